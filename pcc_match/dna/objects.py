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
from itertools import chain, repeat
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
)
from pcc_match.dna.loci import LOCI, locus
from pcc_match.dna.profile import LABELS
from pcc_match.errors import ProfileError

_FIELDS: Final = ("id", *CHOICES, *LABELS)
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
    left_out: dict[str, None] = {}
    batch = _Batch(ignore, left_out)
    for found in _array(source) if source.start.lstrip().startswith(b"[") else _lines(source):
        batch.add(found)
        if len(batch.found) == batch_rows or batch.is_full:
            yield from batch.drafts(0, len(batch.found))
            batch = _Batch(ignore, left_out)
    if batch.found:
        yield from batch.drafts(0, len(batch.found))
    if left_out:
        _log.warning("%s: keys left out: %s", source.name, ", ".join(left_out))


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
        for text in map(str.strip, texts):
            if text:
                try:
                    yield _Found(line, text, _DECODER.decode(text))
                except (ValueError, RecursionError) as error:
                    yield _Found(line, text, ProfileError(_reason(error)))
            line += 1
        if len(rest) > MAX_RECORD:
            raise source.error(line, "a line of more than 1 MiB: this is no file of profiles")


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
    """Profiles found, their texts numbered."""

    def __init__(self, ignore: Collection[str], left_out: dict[str, None]) -> None:
        self.ignore = ignore
        self.left_out = left_out
        self.found: list[_Found] = []
        self.size = 0  # characters
        self.problems: dict[int, Problem] = {}
        self.ids: list[str] = []
        self.choices: list[list[int]] = []
        self.labels: list[list[int]] = []
        self.choice_texts, self.label_texts, self.allele_texts = Numbering(""), Numbering(""), Numbering("")
        # Profiles share most of their typings (a locus with its alleles), so these are numbered, too.
        self.typings: dict[tuple[str, ...], int] = {}
        self.typing_place: list[int] = []  # of each: its locus's place in LOCI
        self.typing_alleles: list[list[int]] = []
        self.entry_profile: list[int] = []  # of each typing of each profile
        self.entry_typing: list[int] = []

    @property
    def is_full(self) -> bool:
        return self.size >= drafts.PIECE or len(self.allele_texts) > MAX_TEXTS - len(LOCI) * MAX_SLOTS

    def add(self, found: _Found) -> None:
        row = len(self.found)
        fields = dict.fromkeys(_FIELDS, "")
        key = ""
        try:
            profile = _as_object(found.value)
            for key in _FIELDS:
                fields[key] = _as_text(profile.pop(key, None))
            key = "alleles"
            alleles = _as_object(profile.pop(key, None))
            wanted = [name for name in alleles if name not in self.ignore]
            if len(wanted) > len(LOCI):
                raise ProfileError(f"{len(wanted)} loci are more than there are")
            for name in wanted:
                self.entry_typing.append(self._typing(name, alleles[name]))
                self.entry_profile.append(row)
            if len(self.left_out) < 20:
                self.left_out |= dict.fromkeys(name for name in profile if name not in self.ignore)
        except ProfileError as error:
            self.problems[row] = Problem(row, key, str(error))
        self.found.append(found)
        self.size += len(found.text)
        self.ids.append(fields["id"])
        self.choices.append([self.choice_texts[fields[name]] for name in CHOICES])
        self.labels.append([self.label_texts[fields[name]] for name in LABELS])

    def _typing(self, name: str, alleles: Any) -> int:
        where = locus(name)
        if not isinstance(alleles, list):
            raise ProfileError(f'{where.name}: there must be a list of alleles, such as ["6", "9.3"]')
        if not all(map(isinstance, alleles, repeat(str))):
            alleles = [_as_text(allele) for allele in alleles]
        number = self.typings.get((where.name, *alleles))
        if number is None:
            if len(alleles) > MAX_SLOTS:
                raise ProfileError(f"{where.name}: {len(alleles)} alleles are more than {MAX_SLOTS}")
            number = self.typings[where.name, *alleles] = len(self.typings)
            self.typing_place.append(PLACE_OF[where.name])
            self.typing_alleles.append([self.allele_texts[allele.strip()] for allele in alleles])
        return number

    def drafts(self, begin: int, end: int) -> Iterator[Draft]:
        """Profiles begin .. end - 1; in parts where a few of very many alleles would make their table too large."""
        entries = slice(*np.searchsorted(self.entry_profile, [begin, end]).tolist())
        profile = np.array(self.entry_profile[entries], dtype=np.intp) - begin
        typings, typing = np.unique(np.array(self.entry_typing[entries], dtype=np.intp), return_inverse=True)
        places, column = np.unique(np.array(self.typing_place, dtype=np.intp)[typings], return_inverse=True)
        alleles = [self.typing_alleles[number] for number in typings.tolist()]
        shape = (end - begin, len(places), max([2, *map(len, alleles)]))
        if end - begin > 1 and max(shape[0] * shape[1], len(alleles)) * shape[2] > MAX_ALLELES:
            middle = (begin + end) // 2
            yield from self.drafts(begin, middle)
            yield from self.drafts(middle, end)
            return

        loci = tuple(LOCI[place].name for place in places.tolist())
        numbers = np.zeros((len(alleles), shape[2]), dtype=np.uint16)
        for row, texts in enumerate(alleles):
            numbers[row, : len(texts)] = texts
        placed, again = place_alleles(shape, profile, column[typing], numbers[typing])
        problems = {row - begin: problem for row, problem in self.problems.items() if begin <= row < end}
        for entry in again.tolist():
            row, name = int(profile[entry]), loci[column[typing[entry]]]
            problems.setdefault(row, Problem(row + begin, "alleles", f"{name} is given twice"))
        record = np.arange(begin, end)
        yield Draft(
            ids=self.ids[begin:end],
            choices=np.array(self.choices[begin:end], dtype=np.intp).reshape(-1, len(CHOICES)),
            choice_texts=tuple(self.choice_texts),
            labels=np.array(self.labels[begin:end], dtype=np.intp).reshape(-1, len(LABELS)),
            label_texts=tuple(self.label_texts),
            loci=loci,
            alleles=placed,
            allele_texts=tuple(self.allele_texts),
            columns={name: name for name in _FIELDS},
            allele_column=lambda column, slot: "alleles",
            records=Records(np.array([found.line for found in self.found]), lambda row: self.found[row].text),
            record=record,
            allele_record=np.broadcast_to(record[:, np.newaxis], shape[:2]),
            problems=problems,
        )


def _as_object(value: Any) -> dict[str, Any]:
    if isinstance(value, ProfileError):
        raise value
    if isinstance(value, _Repeated):
        raise ProfileError("a key of the object is given twice")
    if not isinstance(value, dict):
        raise ProfileError("there must be a JSON object")
    return value


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProfileError("there must be a text")
    return value.strip()
