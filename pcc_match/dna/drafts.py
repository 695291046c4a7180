"""What the readers of profile files share: the file in pieces, and the way from what it says to ProfileColumns.

A reader makes drafts: it numbers the texts and remembers where they stood. Then each distinct text is looked at once,
by the rules of the locus catalogue and of DnaProfile. A profile goes in whole or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.loci import ABSENT, LOCI, allele_code, is_absent, locus, shortened
from pcc_match.dna.profile import KINDS, LABELS, SINGLES, check_text
from pcc_match.errors import ProfileError
from pcc_match.strings import Strings

PIECE = 8 << 20  # bytes of a file that are read at a time
MAX_RECORD: Final = 1 << 20  # bytes of a header, row or JSON object; csrc/csv_cells.h has the same limit
MAX_SLOTS: Final = 99  # alleles of a profile at a locus
MAX_TEXTS: Final = 1 << 16  # different allele texts of a draft, as in ProfileColumns
MAX_ALLELES: Final = 1 << 25  # n * L * S of a draft, for the memory it takes
CHOICES: Final = {"kind": KINDS, "single": SINGLES}
PLACE_OF: Final = {where.name: place for place, where in enumerate(LOCI)}


class Source:
    """A binary file that is read in pieces; the first is there from the start, without its byte-order mark."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        self.ended = False
        self.bytes_read = 0
        start = self.read(PIECE)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise self.error(1, "the file is UTF-16; save it as UTF-8")
        self.start = start.removeprefix(b"\xef\xbb\xbf")

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only where the file ends."""
        pieces = []
        while size > 0 and not self.ended:
            piece = self.file.read(size)
            pieces.append(piece)
            size -= len(piece)
            self.bytes_read += len(piece)
            self.ended = not piece
        return b"".join(pieces)

    def error(self, line: int, problem: str) -> ProfileError:
        return ProfileError(f"{self.name}, line {line}: {problem}")


class Reject(NamedTuple):
    """A profile that was left out, and why."""

    line: int  # of the file, from 1: where the record starts
    column: str  # as the file names it; "" where the whole record is meant
    reason: str
    row: str  # the record as it stands in the file; errors="surrogateescape" turns it back into the same bytes


@dataclass(frozen=True, eq=False)
class Records:
    """The rows of a table, or the objects of a JSON file, that profiles come from."""

    line: NDArray[np.int64]
    text: Callable[[int], str]

    def reject(self, record: int, column: str, reason: str) -> Reject:
        return Reject(int(self.line[record]), column, reason, self.text(record))


@dataclass(frozen=True, eq=False)
class Batch:
    """Profiles of a file, and those that stood among them and are not well-formed, both in the order of the file."""

    columns: ProfileColumns
    rejects: list[Reject]
    bytes_read: int  # of the file so far
    records: Records
    record: NDArray[np.intp]  # of each row of the columns

    def reject(self, row: int, column: str, reason: str) -> Reject:
        """A row of the columns as a reject, where a profile is well-formed but cannot be taken."""
        return self.records.reject(int(self.record[row]), column, reason)


class Problem(NamedTuple):
    """Why a profile cannot be had, as its reader found."""

    record: int
    column: str
    reason: str


@dataclass(frozen=True, eq=False)
class Draft:
    """n profiles over L loci with up to S alleles each, not yet checked. Text 0 of every sort is ''."""

    ids: list[str]
    choices: NDArray[Any]  # (n, 2) indices into choice_texts, in the order of CHOICES
    choice_texts: Sequence[str]
    labels: NDArray[Any]  # (n, 3) indices into label_texts, in the order of LABELS
    label_texts: Sequence[str]
    loci: tuple[str, ...]  # canonical names
    alleles: NDArray[np.uint16]  # (n, L, S) indices into allele_texts; slots between alleles may be empty
    allele_texts: Sequence[str]
    columns: Mapping[str, str]  # what the file calls id, CHOICES and LABELS
    allele_column: Callable[[int, int], str]  # what it calls a locus (0 .. L - 1) and slot
    records: Records
    record: NDArray[np.intp]  # (n,) the record that a profile starts with
    allele_record: NDArray[np.intp]  # (n, L) the record that its alleles stand in
    problems: Mapping[int, Problem]  # of profiles that the reader gives up


def used(numbers: NDArray[Any], size: int) -> NDArray[np.bool_]:
    """Which of the numbers 0 .. size - 1 there are."""
    is_used = np.zeros(size, dtype=bool)
    is_used[numbers] = True
    return is_used


def place_alleles(
    shape: tuple[int, int, int], profile: NDArray[np.intp], column: NDArray[np.intp], numbers: NDArray[np.uint16]
) -> tuple[NDArray[np.uint16], NDArray[np.intp], NDArray[np.intp]]:
    """Alleles (n, L, S) from entries, each the S numbers of a locus of a profile.

    Also the entry that stands at each profile and locus (n, L), -1 where none does, and those that come again.
    """
    entries = np.arange(len(profile))
    place = profile * shape[1] + column
    entry = np.full(shape[0] * shape[1], -1, dtype=np.intp)
    entry[place[::-1]] = entries[::-1]  # the first of several stays
    alleles = np.zeros((len(entry), shape[2]), dtype=np.uint16)
    alleles[entry >= 0] = numbers[entry[entry >= 0]]
    return alleles.reshape(shape), entry.reshape(shape[:2]), np.flatnonzero(entry[place] != entries)


def check(draft: Draft, defaults: Mapping[str, str], bytes_read: int) -> Batch:
    """The well-formed profiles of a draft, and the others. `defaults` are the CHOICES where the file makes none."""
    rejects = {row: draft.records.reject(*problem) for row, problem in draft.problems.items()}

    def reject(texts: _Texts, numbers: NDArray[Any], column: str, record: NDArray[np.intp]) -> None:
        for row in np.flatnonzero(texts.meaning[numbers] < 0).tolist() if texts.problems else ():
            problem = texts.problems[int(numbers[row])]
            if row not in rejects:
                rejects[row] = draft.records.reject(int(record[row]), column, problem)

    joined = "".join(draft.ids)
    if not all(draft.ids) or not joined.isprintable() or "NULL" in joined.upper():  # else all of them are good
        every = np.arange(len(draft.ids))
        reject(
            _Texts(draft.ids, np.ones(len(every), bool), partial(_label, "id")),
            every,
            draft.columns["id"],
            draft.record,
        )

    chosen = {}
    for name, numbers in zip(CHOICES, draft.choices.T, strict=True):
        texts = _Texts(
            draft.choice_texts, used(numbers, len(draft.choice_texts)), partial(_choice, name, defaults[name])
        )
        reject(texts, numbers, draft.columns.get(name, name), draft.record)
        chosen[name] = texts.meaning[numbers].astype(np.uint8)

    labels = np.zeros(len(draft.label_texts), dtype=bool)  # texts that are a label
    for name, numbers in zip(LABELS, draft.labels.T, strict=True):
        texts = _Texts(draft.label_texts, used(numbers, len(draft.label_texts)), partial(_label, name))
        reject(texts, numbers, draft.columns.get(name, name), draft.record)
        labels |= texts.meaning > ABSENT

    alleles = np.zeros(len(draft.allele_texts), dtype=bool)  # texts that are an allele at some locus
    typed = _cpu.used_texts(draft.alleles, len(draft.allele_texts))
    for column, name in enumerate(draft.loci):
        texts = _Texts(draft.allele_texts, typed[column], partial(allele_code, locus(name)))
        alleles |= texts.meaning > ABSENT
        if texts.problems:
            for slot in range(draft.alleles.shape[2]):
                numbers = draft.alleles[:, column, slot]
                if (texts.meaning[numbers] < 0).any():
                    reject(texts, numbers, draft.allele_column(column, slot), draft.allele_record[:, column])

    good = np.ones(len(draft.ids), dtype=bool)
    good[list(rejects)] = False
    rows = good if rejects else slice(None)
    label_texts, label_numbers = _kept(labels, draft.label_texts, draft.labels[rows])
    allele_texts, allele_numbers = _kept(alleles, draft.allele_texts, draft.alleles[rows])
    country, agency, kit = label_numbers.T.astype(np.uint32)
    columns = ProfileColumns(
        ids=Strings.from_list(compress(draft.ids, good.tolist())),
        kind=chosen["kind"][rows],
        country=country,
        agency=agency,
        kit=kit,
        single=chosen["single"][rows],
        loci=draft.loci,
        alleles=_from_the_left(allele_numbers),
        labels=label_texts,
        texts=allele_texts,
    )
    return Batch(columns, [rejects[row] for row in sorted(rejects)], bytes_read, draft.records, draft.record[rows])


class _Texts:
    """What each text that is used means; -1, and the problem, where `meaning` raises a ProfileError."""

    def __init__(self, texts: Sequence[str], is_used: NDArray[np.bool_], meaning: Callable[[str], int]) -> None:
        self.meaning = np.full(len(texts), -1, dtype=np.int16)
        self.problems: dict[int, str] = {}
        for number in np.flatnonzero(is_used).tolist():
            try:
                self.meaning[number] = meaning(_utf8(texts[number]))
            except ProfileError as error:
                self.problems[number] = str(error)


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ProfileError(f"{shortened(text)} is not UTF-8") from None
    return text


def _choice(name: str, default: str, text: str) -> int:
    choice = default if is_absent(text) else text.casefold()
    if choice not in CHOICES[name]:
        raise ProfileError(f"{name} {shortened(text)} is none of {', '.join(CHOICES[name])}")
    return CHOICES[name].index(choice)


def _label(name: str, text: str) -> int:
    """ABSENT or, for a text that can be an id or label, another number."""
    text = "" if is_absent(text) else text
    check_text(name, text)
    return ABSENT + bool(text)


def _kept(keep: NDArray[np.bool_], texts: Sequence[str], numbers: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[Any]]:
    """The texts to keep, each once, '' first, and the numbers that go with them: 0 for the others."""
    new = {"": 0}
    number_of = [new.setdefault(text, len(new)) if kept else 0 for text, kept in zip(texts, keep.tolist(), strict=True)]
    if len(new) < len(texts):
        numbers = np.array(number_of, dtype=numbers.dtype)[numbers]
    return tuple(new), numbers


def _from_the_left(alleles: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Alleles (n, L, S) in their order but in the first slots; slots that no profile needs go, down to two."""
    gaps = ((alleles[:, :, :-1] == 0) & (alleles[:, :, 1:] != 0)).any(axis=(1, 2))
    if gaps.any():
        order = np.argsort(alleles[gaps] == 0, axis=2, kind="stable")
        alleles = alleles.copy()
        alleles[gaps] = np.take_along_axis(alleles[gaps], order, axis=2)
    slots = alleles.shape[2]
    while slots > 2 and not alleles[:, :, slots - 1].any():
        slots -= 1
    return np.ascontiguousarray(alleles[:, :, :slots])
