"""JSON files of DNA profiles, read as drafts: an array, or a line for each profile, of objects such as

    {"id": "AT-1", "kind": "stain", "country": "AT", "agency": "LKA 38", "kit": "ESX 17", "single": "wildcard",
     "alleles": {"TH01": ["6", "9.3"], "FGA": ["21"]}}

of which `id` and `alleles` are needed. Values may be numbers: they are taken as written. null is an absent value.
"""

import codecs
import json
import logging
import re
from collections.abc import Collection, Iterator
from itertools import chain, compress, islice
from typing import Any, Final, NamedTuple

import numpy as np

from pcc_match.dna import drafts
from pcc_match.dna.columns import Numbering
from pcc_match.dna.drafts import (
    CHOICES,
    MAX_ALLELES,
    MAX_RECORD,
    MAX_SLOTS,
    MAX_TEXTS,
    PLACE_OF,
    Draft,
    Problem,
    Records,
    Source,
    place_alleles,
    used,
)
from pcc_match.dna.loci import LOCI, known_locus, shortened
from pcc_match.dna.profile import LABELS
from pcc_match.errors import ProfileError

_FIELDS: Final = ("id", *CHOICES, *LABELS)
_KEYS: Final = {*_FIELDS, "alleles"}
_TOO_LONG: Final = "a profile of more than 1 MiB: this is no file of profiles"
_MOST_TOLD: Final = 20  # keys left out
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_log = logging.getLogger(__name__)


class _Repeated(dict[str, Any]):
    """A JSON object that has a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    return keys if len(keys) == len(pairs) else _Repeated(keys)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_int=str)


class _Found(NamedTuple):
    """What stands in the place of a profile."""

    line: int
    text: str
    value: Any  # decoded, or the ProfileError that came of it


def read_objects(source: Source, ignore: Collection[str], batch_rows: int) -> Iterator[Draft]:
    """Drafts of at most `batch_rows` profiles.

    A line that is not JSON is a profile left out; in an array nothing can be read behind such a place, so there it is a
    ProfileError, with file and line.
    """
    left_out: dict[str, None] = {}  # keys
    batch = _Batch(ignore, left_out)
    for found in _array(source) if source.start.lstrip().startswith(b"[") else _lines(source):
        if len(batch.found) == batch_rows or not batch.add(found):
            yield batch.draft()
            batch = _Batch(ignore, left_out)
            batch.add(found)
    if batch.found:
        yield batch.draft()
    if left_out:
        _log.warning("%s: keys left out: %s", source.name, ", ".join(map(shortened, islice(left_out, _MOST_TOLD))))


# ---- Text to values ----


def _pieces(source: Source) -> Iterator[str]:
    """The file as text. Bytes that are not UTF-8 become lone surrogates, which no profile can have."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    yield decode(source.start, source.ended)
    while not source.ended:
        yield decode(source.read(drafts.PIECE), source.ended)


def _lines(source: Source) -> Iterator[_Found]:
    rest, line = "", 1
    for piece in chain(_pieces(source), ["\n"]):
        *texts, rest = (rest + piece).split("\n")
        for text in texts:
            if text := text.strip():
                yield _decoded(source, line, text)
            line += 1
        if len(rest) > MAX_RECORD:
            raise source.error(line, _TOO_LONG)


def _decoded(source: Source, line: int, text: str) -> _Found:
    if len(text) > MAX_RECORD:
        raise source.error(line, _TOO_LONG)
    try:
        return _Found(line, text, _DECODER.decode(text))
    except (ValueError, RecursionError) as error:
        return _Found(line, text, ProfileError(_reason(error)))


def _array(source: Source) -> Iterator[_Found]:
    pieces = _pieces(source)
    text = next(pieces)
    at = text.index("[") + 1  # behind the bracket or comma before an element
    line = 1 + text.count("\n", 0, at)
    while True:
        start = _behind_space(text, at)
        if text.startswith("]", start):
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
            end, reason = _behind_space(text, end), "not JSON: no comma or ] behind an element"
        except (ValueError, RecursionError) as error:
            end, reason = len(text), _reason(error)
        if text.startswith((",", "]"), end):
            line += text.count("\n", at, start)
            if end - start > MAX_RECORD:
                raise source.error(line, _TOO_LONG)
            yield _Found(line, text[start:end].rstrip(), value)
            line += text.count("\n", start, end)
            at = end + text.startswith(",", end)
        elif end == len(text) and end - at <= MAX_RECORD and (piece := next(pieces, None)) is not None:
            text, at = text[at:] + piece, 0
        else:
            raise source.error(line + text.count("\n", at, start), reason)
    if any(piece.strip() for piece in chain([text[start + 1 :]], pieces)):
        raise source.error(line, "more text behind the end of the array")


def _behind_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _reason(error: ValueError | RecursionError) -> str:
    return f"not JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else "not JSON: nested too deeply"


# ---- Values to drafts ----


class _Batch:
    """Profiles, their texts numbered."""

    def __init__(self, ignore: Collection[str], left_out: dict[str, None]) -> None:
        self.ignore = ignore
        self.left_out = left_out
        self.found: list[tuple[int, str]] = []  # line and text
        self.size = 0  # characters
        self.slots = 2
        self.problems: dict[int, Problem] = {}
        self.ids: list[str] = []
        self.choices: list[list[int]] = []
        self.labels: list[list[int]] = []
        self.choice_texts, self.label_texts, self.allele_texts = Numbering(""), Numbering(""), Numbering("")
        # Profiles share most of their typings (a locus with its alleles), so these are numbered, too.
        self.typings: dict[tuple[str, ...], int] = {}
        self.typing_place: list[int] = []  # of each: its locus's place in LOCI
        self.typing_alleles: list[list[int]] = []
        self.typings_of: list[list[int]] = []  # of each profile

    def add(self, found: _Found) -> bool:
        """Adds a profile; False, and nothing is added, where the batch is full."""
        known = len(self.typings)
        fields, typings, problem = self._read(found.value)
        slots = max([self.slots, *map(len, self.typing_alleles[known:])])
        if self.is_full or (self.found and (len(self.found) + 1) * len(LOCI) * slots > MAX_ALLELES):
            del self.typing_place[known:], self.typing_alleles[known:]
            return False
        if problem:
            self.problems[len(self.found)] = problem
        self.slots = slots
        self.found.append((found.line, found.text))
        self.size += len(found.text)
        self.ids.append(fields["id"])
        self.choices.append([self.choice_texts[fields[name]] for name in CHOICES])
        self.labels.append([self.label_texts[fields[name]] for name in LABELS])
        self.typings_of.append(typings)
        return True

    @property
    def is_full(self) -> bool:
        return self.size >= drafts.PIECE or len(self.allele_texts) > MAX_TEXTS - len(LOCI) * MAX_SLOTS

    def _read(self, value: Any) -> tuple[dict[str, str], list[int], Problem | None]:
        fields = dict.fromkeys(_FIELDS, "")
        key = ""
        try:
            profile = _as_object("a profile", value)
            for key in _FIELDS:
                fields[key] = _as_text(key, profile.get(key))
            key = "alleles"
            alleles = _as_object(key, profile.get(key))
            if self.ignore:
                alleles = {name: texts for name, texts in alleles.items() if name not in self.ignore}
            if len(alleles) > len(LOCI):
                raise ProfileError(f"{len(alleles)} loci are more than there are")
            typings = [self._typing(name, texts) for name, texts in alleles.items()]
        except ProfileError as error:
            return fields, [], Problem(len(self.found), key, str(error))
        if not profile.keys() <= _KEYS and len(self.left_out) < _MOST_TOLD:
            self.left_out |= {key: None for key in profile if key not in _KEYS and key not in self.ignore}
        return fields, typings, None

    def _typing(self, name: str, alleles: Any) -> int:
        """The number of a locus with these alleles."""
        try:
            number = self.typings.get((name, *alleles)) if isinstance(alleles, list) else None
        except TypeError:  # there is a list or an object among them
            number = None
        if number is None:
            where = known_locus(name)
            if where is None:
                raise ProfileError(f"unknown locus {shortened(name)}")
            if not isinstance(alleles, list) or len(alleles) > MAX_SLOTS:
                raise ProfileError(f"{where.name} must have a list of up to {MAX_SLOTS} texts")
            texts = [_as_text(f"{where.name}: an allele", allele) for allele in alleles]
            number = self.typings[name, *alleles] = len(self.typings)
            self.typing_place.append(PLACE_OF[where.name])
            self.typing_alleles.append([self.allele_texts[text] for text in texts])
        return number

    def draft(self) -> Draft:
        count = len(self.found)
        profile = np.repeat(np.arange(count), [len(typings) for typings in self.typings_of])
        typing = np.fromiter(chain.from_iterable(self.typings_of), dtype=np.intp)
        places = np.array(self.typing_place, dtype=np.intp)
        typed = used(places, len(LOCI))
        loci = tuple(where.name for where in compress(LOCI, typed.tolist()))
        numbers = np.zeros((len(places), self.slots), dtype=np.uint16)
        for row, alleles in zip(numbers, self.typing_alleles, strict=True):
            row[: len(alleles)] = alleles
        column = (np.cumsum(typed) - 1)[places]
        shape = (count, len(loci), self.slots)
        placed, _, again = place_alleles(shape, profile, column[typing], numbers[typing])
        for entry in again.tolist():
            index, name = int(profile[entry]), loci[column[typing[entry]]]
            self.problems.setdefault(index, Problem(index, "alleles", f"{name} is given twice"))
        record = np.arange(count)
        return Draft(
            ids=self.ids,
            choices=np.array(self.choices),
            choice_texts=list(self.choice_texts),
            labels=np.array(self.labels),
            label_texts=list(self.label_texts),
            loci=loci,
            alleles=placed,
            allele_texts=list(self.allele_texts),
            columns={name: name for name in _FIELDS},
            allele_column=lambda locus, slot: "alleles",
            records=Records(np.array([line for line, _ in self.found]), lambda row: self.found[row][1]),
            record=record,
            allele_record=np.broadcast_to(record[:, np.newaxis], shape[:2]),
            problems=self.problems,
        )


def _as_object(what: str, value: Any) -> dict[str, Any]:
    if isinstance(value, ProfileError):
        raise value
    if isinstance(value, _Repeated):
        raise ProfileError(f"{what} has a key twice")
    if not isinstance(value, dict):
        raise ProfileError(f"{what} must be a JSON object")
    return value


def _as_text(what: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProfileError(f"{what} must be a text")
    return value.strip()
