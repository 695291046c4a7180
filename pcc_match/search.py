"""Matcher: galleries made resident on a device, searched for one probe or many under a treaty's rule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends import COMPARED, Backend, Probes, open_backend
from pcc_match.candidates import ordered
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import Comparison, Rule, compare
from pcc_match.errors import GalleryError
from pcc_match.gallery.gallery import ranks_over
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set


@dataclass(frozen=True)
class Match:
    """An accepted pair. A machine decides a match; an expert confirms a hit.

    The counts are the tally of the rule: `PccTally` of kernels/compare_dna.h says what each means.
    """

    rank: int  # 1 for the best candidate
    probe: DnaProfile
    reference: str
    quality: int
    full_loci: int
    wildcards: int
    microvariants: int
    mismatches: int
    _result: "SearchResult"

    def comparison(self) -> Comparison:
        """The readable rule's own account of this pair, locus by locus."""
        result = self._result
        reference = result.matcher.profile(int(result.hits["row"][self.rank - 1]))
        return compare(self.probe, reference, result.rule)

    def explain(self) -> str:
        """The comparison for an expert: the locus table with the class of each pair of alleles, and the paragraphs."""
        return self.comparison().explain()


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The candidates of one probe, best first; an empty result says "no match", which is an answer, too.

    `hits` has the dtype `candidates.HIT`; the probe's profile and the other columns are made when asked for.
    """

    batch: Probes
    position: int  # of the probe in its batch
    rule: Rule
    hits: NDArray[np.void]
    matcher: "Matcher"

    def __len__(self) -> int:
        return len(self.hits)

    def __repr__(self) -> str:
        return f"SearchResult({self.probe.id!r}, {len(self)} matches, {self.matcher.device})"

    @cached_property
    def probe(self) -> DnaProfile:
        return self.batch.profile(self.position)

    @cached_property
    def references(self) -> list[str]:
        """Ids of the candidates."""
        return self.matcher.ids(self.hits["row"])

    @property
    def matches(self) -> list[Match]:
        return list(self)

    def __iter__(self) -> Iterator[Match]:
        columns = ("quality", "full", "wildcards", "microvariants", "mismatches")
        tallies = zip(*(self.hits[name].tolist() for name in columns), strict=True)
        for rank, (reference, tally) in enumerate(zip(self.references, tallies, strict=True), start=1):
            quality, full, wildcards, microvariants, mismatches = tally
            yield Match(rank, self.probe, reference, quality, full, wildcards, microvariants, mismatches, self)


class Matcher:
    """DNA galleries resident on a device; the references are those of all of them.

    `treaty` is a treaty set or its name or path. `device`: "auto" takes a GPU where one is usable, else the CPU, and
    `repr` says which and why; "cpu", "cuda", "cuda:1" ... and "reference" (the readable rule, pair by pair: slow) take
    just that or raise DeviceError. `threads` bounds the CPU threads of batches (default: all cores).

    Of FingerGalleries, Matcher(...) is a `pcc_match.finger.FingerMatcher`.

    A matcher sees the galleries as they were when it was made. Neither device and threads nor the order of enrolment
    or the galleries that the references are spread over change a result.
    """

    def __new__(cls, *galleries: Any, **options: Any) -> Any:
        if galleries and not isinstance(galleries[0], DnaGallery):
            from pcc_match.finger.search import FingerMatcher  # loaded at its first use

            return FingerMatcher(*galleries, **options)
        return super().__new__(cls)

    def __init__(
        self,
        *galleries: DnaGallery,
        treaty: str | Treaty = "eu-2008-616",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        if not galleries or not all(isinstance(gallery, DnaGallery) for gallery in galleries):
            raise GalleryError("a Matcher needs galleries, all of one kind")
        self.galleries = galleries
        self.treaty = treaty if isinstance(treaty, Treaty) else treaty_set(treaty)
        self.ranks = np.concatenate(ranks_over(galleries))
        self._starts = np.cumsum([0, *(gallery.rows for gallery in galleries)])
        self._references = sum(map(len, galleries))
        parts = [part for gallery in galleries for part in gallery.parts(COMPARED)]
        self.backend: Backend = open_backend(device, parts, self.profile, threads)

    def close(self) -> None:
        """Gives the device's memory back."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """References."""
        return self._references

    @property
    def rows(self) -> int:
        """Row numbers in use, over all galleries; those of removed profiles included."""
        return int(self._starts[-1])

    @property
    def device(self) -> str:
        """Where it runs, and on "auto" why there."""
        return self.backend.description

    def __repr__(self) -> str:
        return f"Matcher(dna, {len(self):,} references, {self.treaty.name}, {self.device})"

    @overload
    def search(self, probes: DnaProfile, rule: Rule | None = None) -> SearchResult: ...
    @overload
    def search(self, probes: ProfileColumns | Sequence[DnaProfile], rule: Rule | None = None) -> list[SearchResult]: ...
    def search(
        self, probes: DnaProfile | ProfileColumns | Sequence[DnaProfile], rule: Rule | None = None
    ) -> SearchResult | list[SearchResult]:
        """All references that the rule accepts, and no others. `rule` is the treaty's unless another is given.

        One profile gives one result; a sequence or columns of profiles give a list of results in their order.
        """
        rule = rule or self.treaty.dna
        batch = Probes([probes] if isinstance(probes, DnaProfile) else probes)
        hits = ordered(self.backend.search(batch, rule), self.ranks)
        if isinstance(probes, DnaProfile):
            return SearchResult(batch, 0, rule, hits, self)
        ends = np.searchsorted(hits["probe"], np.arange(len(batch) + 1)).tolist()
        return [SearchResult(batch, k, rule, hits[start:end], self) for k, (start, end) in enumerate(pairwise(ends))]

    def profile(self, row: int) -> DnaProfile:
        """The reference of a row: rows are numbered over all galleries."""
        gallery = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.galleries[gallery].profile(row - int(self._starts[gallery]))

    def ids(self, rows: NDArray[Any]) -> list[str]:
        """Ids of rows, in their order."""
        if len(self.galleries) == 1:
            return self.galleries[0].ids(rows)
        ids = np.empty(len(rows), object)
        of = np.searchsorted(self._starts, rows, side="right") - 1
        for k in np.unique(of).tolist():
            ids[of == k] = self.galleries[k].ids(rows[of == k] - self._starts[k])
        found: list[str] = ids.tolist()
        return found
