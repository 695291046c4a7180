"""Searches in finger galleries: one subject's prints against all, by the rules of a treaty's search type.

A reference print is compared with each probe print that may be of the same finger: positions are equal, or one of them
is unknown. Of several impressions of a finger the best counts. In a search of ten-prints among ten-prints a subject's
score is the sum over fingers; where a latent takes part, which shows one finger, it is the best of all.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import DeviceError, ExchangeError, GalleryError, TemplateError
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.compare import Comparison, compare
from pcc_match.finger.devices import CpuScorer, described, mode_of, open_scorer
from pcc_match.finger.gallery import FingerGallery, subjects_over
from pcc_match.finger.palms import PLACE, comparable, is_palm, places_of
from pcc_match.finger.prints import FingerRecord
from pcc_match.finger.tally import NOBODY, References, Tally
from pcc_match.finger.template import FingerTemplate
from pcc_match.gallery.gallery import ranks_over
from pcc_match.gallery.store import NO_ROW
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set
from pcc_match.treaties.search_types import SEARCH_TYPES, SearchType

LEAST_SHARE: Final = 0.1
"""What a prefilter leaves at least: with less, too many mates fall out."""


class FingerScore(NamedTuple):
    """The best pair of a finger: which of the probe's prints, the reference print's id, their score."""

    probe: int
    reference: str
    score: int


@dataclass(frozen=True)
class FingerMatch:
    """A candidate: a subject of the gallery. A machine decides a match; an expert confirms a hit."""

    rank: int  # 1 for the best candidate
    subject: str
    score: int
    fingers: tuple[FingerScore, ...]  # what the score is made of, best first
    _result: "FingerSearchResult"

    @property
    def reference(self) -> str:
        """Id of the print that scored best."""
        return self.fingers[0].reference

    def comparison(self, finger: int = 0) -> Comparison:
        """The comparison behind `fingers[finger]`: its partial sums, the paired minutiae, the drawing."""
        pair = self._result.candidates[self.rank - 1].pairs[finger]
        return self._result.matcher._comparison(self._result, pair)

    def explain(self) -> str:
        """The candidate for an expert: how the score came about, and each comparison in words."""
        kind = self._result.question.kind
        how = "the best pair" if kind.latent_probe or kind.latent_references else "the sum over fingers"
        lines = [f"{kind.name}: subject {self.subject}, rank {self.rank}, score {self.score} ({how})"]
        for number, pair in enumerate(self.fingers):
            lines += ["", f"probe print {pair.probe + 1} and {pair.reference}: {pair.score}"]
            lines.append(self.comparison(number).explain())
        return "\n".join(lines)


class Pair(NamedTuple):
    """A probe print (its number), a row of the galleries, and their score."""

    probe: int
    row: int
    score: int


class Candidate(NamedTuple):
    """A subject by its number, its score, and the pairs that it is made of, best first."""

    subject: int
    score: int
    pairs: list[Pair]


class Question(NamedTuple):
    """What is searched for, and how."""

    prints: tuple[FingerTemplate, ...]
    kind: SearchType
    early_exit: bool
    share: float | None  # that a prefilter leaves

    @property
    def mode(self) -> int:
        return mode_of(self.kind.latent, early_exit=self.early_exit)

    @property
    def likeness(self) -> int:
        """The mode by which a prefilter compares."""
        return mode_of(self.kind.latent, likeness=True)


@dataclass(frozen=True, eq=False)
class FingerSearchResult:
    """The candidates of one search, best first; an empty result says "no match", which is an answer, too."""

    question: Question
    candidates: list[Candidate]
    matcher: "FingerMatcher"

    def __len__(self) -> int:
        return len(self.candidates)

    def __repr__(self) -> str:
        return f"FingerSearchResult({self.question.kind.name}, {len(self)} candidates, {self.matcher.device})"

    @cached_property
    def matches(self) -> list[FingerMatch]:
        matches = []
        for rank, candidate in enumerate(self.candidates, start=1):
            records = [self.matcher.record(pair.row) for pair in candidate.pairs]
            fingers = tuple(
                FingerScore(pair.probe, record.id, pair.score)
                for pair, record in zip(candidate.pairs, records, strict=True)
            )
            subject = records[0].subject or records[0].id
            matches.append(FingerMatch(rank, subject, candidate.score, fingers, self))
        return matches

    def __iter__(self) -> Iterator[FingerMatch]:
        return iter(self.matches)


class FingerMatcher:
    """Finger galleries on a device; the references are the subjects of all of them.

    `treaty` is a treaty set or its name or path: its limits bound the candidate lists. `device`: "auto", "cpu", "cuda",
    "cuda:1" ... or "reference". `threads` bounds the CPU threads (default: all cores).

    A matcher sees the galleries as they were when it was made, and streams them from disk block by block. Neither
    device and threads nor the order of enrolment or the galleries that the references are spread over change a result.
    """

    def __init__(
        self,
        *galleries: FingerGallery,
        treaty: str | Treaty = "eu-2008-616",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        if not galleries or not all(isinstance(gallery, FingerGallery) for gallery in galleries):
            raise GalleryError("a Matcher needs galleries, all of one kind")
        self.galleries = galleries
        self.treaty = treaty if isinstance(treaty, Treaty) else treaty_set(treaty)
        self._scorer = open_scorer(device, keep=True)
        self.threads = threads or os.cpu_count() or 1
        self._starts = np.cumsum([0, *(gallery.rows for gallery in galleries)])
        self._ranks = np.concatenate(ranks_over(galleries))
        subject = np.concatenate(subjects_over(galleries))
        subjects = int(subject.max()) + 1 if len(subject) else 0
        subject[self._ranks == NO_ROW] = NOBODY
        self._parts = [
            (References(part.packed, subject[start + part.first_row :][part.row]), _starts(part.packed))
            for gallery, start in zip(galleries, self._starts.tolist(), strict=False)
            for part in gallery.parts()
        ]
        # The live rows by subject: those of subject s are _rows[_ends[s] : _ends[s + 1]].
        self._references = int(np.count_nonzero(subject != NOBODY))
        self._rows = np.argsort(subject, kind="stable").astype(np.uint32)[: self._references]
        self._ends = np.searchsorted(subject[self._rows], np.arange(subjects + 1))
        self._pool = ThreadPoolExecutor(self.threads, "pcc_match")

    def close(self) -> None:
        """Ends its threads."""
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Reference prints."""
        return self._references

    @property
    def device(self) -> str:
        """Where it runs, and on "auto" why there."""
        return described(self._scorer, self.threads)

    def __repr__(self) -> str:
        return f"Matcher(finger, {len(self):,} references, {self.treaty.name}, {self.device})"

    def search(
        self,
        probe: FingerTemplate | Sequence[FingerTemplate],
        search_type: str = "TP/TP",
        *,
        threshold: int = 1,
        limit: int | None = None,
        early_exit: bool = False,
        prefilter: float | None = None,
    ) -> FingerSearchResult:
        """The best candidates for one subject's prints: score descending, among equals by the subject's text.

        Candidates score at least `threshold` (scores are integers; `pm.threshold_for` says what they mean for one pair
        of prints). At most as many as the treaty lets this search type return, or `limit` where that is less.
        `early_exit`, as in `score_matrix`, is faster and loses some mates. `prefilter` is a share, 0.1 to 1: only so
        many of the references, those with the most alike minutiae, are compared as a whole, and those that equal the
        last of them. That is faster still, and loses more mates.
        ExchangeError for an unknown search type; TemplateError for palms among fingers and the other way.
        """
        if search_type not in SEARCH_TYPES:
            raise ExchangeError(f"no search type is called {search_type!r}: take one of {', '.join(SEARCH_TYPES)}")
        kind = SEARCH_TYPES[search_type]
        prints = _of_kind((probe,) if isinstance(probe, FingerTemplate) else tuple(probe), kind)
        if prefilter is not None and not LEAST_SHARE <= prefilter <= 1:
            raise ValueError(f"a prefilter leaves a share of {LEAST_SHARE} to 1 of the references, not {prefilter!r}")
        question = Question(prints, kind, early_exit, prefilter)
        most = min(limit or NO_ROW, self.treaty.finger.max_candidates[search_type])
        tally = self._scorer.tally(len(self._ends) - 1)
        groups = _groups(prints, kind)
        cuts = [0] * len(prints)
        for group in groups:
            for number in group:
                cuts[number] = self._add(tally, number, question)
            tally.end_group()
        candidates = []
        for key in tally.top(max(threshold, 1), most).tolist():
            score, subject = key >> 32, ~key & 0xFFFFFFFF
            pairs = self._pairs(self._rows[self._ends[subject] : self._ends[subject + 1]], groups, question, cuts)
            recomputed = sum(pair.score for pair in pairs)
            if recomputed != score:
                raise DeviceError(
                    f"{self.device} scored a candidate {score}, the CPU {recomputed}: do not use this device"
                )
            candidates.append(Candidate(subject, score, pairs))
        return FingerSearchResult(question, candidates, self)

    def record(self, row: int) -> FingerRecord:
        """The reference print of a row: rows are numbered over all galleries."""
        gallery = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.galleries[gallery].record(row - int(self._starts[gallery]))

    # ---- within

    def _add(self, tally: Tally, number: int, question: Question) -> int:
        """Compares a print of the probe with all references that may be of the same finger, and that are alike enough.

        Returns the least likeness of these.
        """
        print_, kind = question.prints[number], question.kind
        probe = FingerColumns.pack(comparable(print_))
        places = places_of(print_.position, palms=kind.palms)
        blocks = [
            (part, range(first, min(first + self._scorer.block, start[some.stop])))
            for part, start in self._parts
            for some in places
            for first in range(start[some.start], start[some.stop], self._scorer.block)
        ]
        cut = 0
        wanted: Sequence[NDArray[np.bool_] | None] = [None] * len(blocks)
        if question.share is not None and blocks:
            likeness = list(self._pool.map(lambda block: self._likeness(probe, question, *block), blocks))
            cut = least_alike(np.concatenate(likeness), question.share)
            wanted = [some >= cut for some in likeness]
        tally.ask(probe, question.mode)
        list(self._pool.map(lambda block, some: tally.add(block[0], block[1], some), blocks, wanted))
        return cut

    def _likeness(
        self, probe: FingerColumns, question: Question, references: References, rows: range
    ) -> NDArray[np.int32]:
        """(len(rows),) likeness to the probe, -1 for prints that were removed."""
        scores = self._scorer.scores(probe, references.packed, question.likeness, rows)
        likeness: NDArray[np.int32] = scores.max(axis=0)
        likeness[references.subject[rows.start : rows.stop] == NOBODY] = -1
        return likeness

    def _pairs(
        self, rows: NDArray[np.uint32], groups: list[list[int]], question: Question, cuts: list[int]
    ) -> list[Pair]:
        """What a subject's score is made of: for each group its best pair, scored on the CPU.

        rows   the subject's
        cuts   the least likeness to each print of the probe that a prefilter left
        """
        references = [(row, self.record(row).template) for row in rows.tolist()]
        found = []
        for group in groups:
            pairs = []
            for number in group:
                places = places_of(question.prints[number].position, palms=question.kind.palms)
                same = [(row, r) for row, r in references if any(PLACE[r.position] in some for some in places)]
                scores = _scores_of(number, [r for _, r in same], question, cuts[number])
                pairs += [Pair(number, row, score) for (row, _), score in zip(same, scores, strict=True)]
            found += [min(pairs, key=self._order)] if pairs else []
        return sorted((pair for pair in found if pair.score), key=self._order)

    def _order(self, pair: Pair) -> tuple[int, int, int]:
        return -pair.score, int(self._ranks[pair.row]), pair.probe

    def _comparison(self, result: FingerSearchResult, pair: Pair) -> Comparison:
        """The comparison of a pair; of palms, that of their best pieces."""
        question, a, b = result.question, result.question.prints[pair.probe], self.record(pair.row).template
        how = partial(compare, latent=question.kind.latent, early_exit=question.early_exit)
        comparisons = (how(x, y) for x in comparable(a) for y in comparable(b))
        return next(comparison for comparison in comparisons if comparison.score == pair.score)


def _of_kind(prints: tuple[FingerTemplate, ...], kind: SearchType) -> tuple[FingerTemplate, ...]:
    """The prints of a search; those of palms whose position is unknown say that they are palms."""
    if not prints:
        raise TemplateError("a search needs a print")
    for number, template in enumerate(prints, start=1):
        if template.position and is_palm(template.position) != kind.palms:
            of = "palms" if kind.palms else "fingers"
            raise TemplateError(f"{kind.name} searches {of}; print {number} has position {template.position}")
    if not kind.palms:
        return prints
    return tuple(template if template.position else replace(template, position=20) for template in prints)


def _groups(prints: Sequence[FingerTemplate], kind: SearchType) -> list[list[int]]:
    """Numbers of the probe's prints: the best of a group counts, and the groups are added up."""
    if not kind.summed:
        return [list(range(len(prints)))]
    groups: dict[tuple[int, int], list[int]] = {}
    for number, template in enumerate(prints):
        place = int(PLACE[template.position])
        groups.setdefault((place, 0 if place else number), []).append(number)
    return list(groups.values())


def _starts(packed: FingerColumns) -> list[int]:
    """The prints of PLACE p, by which a part is ordered, are those from number [p] on, up to [p + 1]."""
    starts: list[int] = np.searchsorted(PLACE[packed.position], np.arange(len(PLACE) + 1)).tolist()
    return starts


def least_alike(likeness: NDArray[np.int32], share: float) -> int:
    """The likeness that this share of the prints, rounded up, reach; more where several have it. Below 0: no print."""
    live = likeness[likeness >= 0]
    if not len(live):
        return 0
    last = len(live) - max(1, ceil(share * len(live)))
    return int(np.partition(live, last)[last])


def _scores_of(number: int, references: Sequence[FingerTemplate], question: Question, cut: int) -> list[int]:
    """Scores of a print of the probe with others, of palms those of the best pieces that are alike enough."""
    if not references:
        return []
    pieces = [comparable(reference) for reference in references]
    every = FingerColumns.pack(piece for some in pieces for piece in some)
    probe, scorer = FingerColumns.pack(comparable(question.prints[number])), CpuScorer()
    scores = scorer.scores(probe, every, question.mode).max(axis=0)
    if question.share is not None:
        scores[scorer.scores(probe, every, question.likeness).max(axis=0) < cut] = 0
    best: list[int] = np.maximum.reduceat(scores, np.cumsum([0, *map(len, pieces[:-1])])).tolist()
    return best
