"""Delimiter-separated files of profiles: what their columns say, and their rows; wide tables, a profile a row.

Wide: an id, `kind`, ... and `<locus>_1`, `<locus>_2` (or `.1`, `.2`), with further alleles in `_3`, `_4`, ...
Long (long_tables.py): a sample name, `Marker`, `Allele 1`, `Allele 2`, ...; GeneMapper exports are such files.
Columns stand in any order; the delimiter is whichever of comma, semicolon and tab makes most columns of the header.
"""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna import drafts
from pcc_match.dna.drafts import CHOICES, MAX_ALLELES, MAX_RECORD, Draft, Problem, Records, Source
from pcc_match.dna.loci import known_locus, locus, shortened
from pcc_match.dna.profile import LABELS
from pcc_match.errors import ProfileError

ID, CHOSEN, LABELLED, ALLELES, MARKER = range(5)  # groups of columns
_NOWHERE: Final = (-1, 0)

_ID_NAMES: Final = ("id", "profileid", "specimenid", "samplename", "sampleid", "sample", "specimen")
_MARKER_NAMES: Final = ("marker", "locus")
_WIDE_ALLELE: Final = re.compile(r"(.+)([_.\s-])(\d{1,2})")
_SPACE: Final = re.compile(r"\s")
_LONG_ALLELE: Final = re.compile(r"allele(\d{0,2})")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table. Their cells stand in groups of columns, each of which has its own texts; text 0 is ''."""

    texts: list[list[str]]  # of each group
    numbers: list[NDArray[Any]]  # of each group, (rows, width): indices into its texts
    line: NDArray[np.int64]
    cells: NDArray[np.int32]  # as counted in the row; -1: a quote is not closed
    place: NDArray[np.int64]  # (rows, 3): the row as it stands in the file is pieces[p][b:e] for p, b, e
    pieces: list[memoryview]

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, rows: Any) -> "Rows":
        numbers = [numbers[rows] for numbers in self.numbers]
        return Rows(self.texts, numbers, self.line[rows], self.cells[rows], self.place[rows], self.pieces)

    def text(self, row: int) -> str:
        piece, begin, end = self.place[row].tolist()
        return bytes(self.pieces[piece][begin:end]).decode("utf-8", "surrogateescape")


class Table:
    """A table behind its header. ProfileError, with file and line, where it is none of profiles."""

    def __init__(self, source: Source, ignore: Collection[str]) -> None:
        self.source = source
        self.ignore = ignore
        self.names = self._read_header()
        self._places = [_NOWHERE] * len(self.names)  # of each column: its group, and its position there
        self._find_fields()
        self._find_alleles()
        self._name_at = dict(zip(self._places, self.names, strict=True))
        left_out = [name for name, place in zip(self.names, self._places, strict=True) if name and place == _NOWHERE]
        if left_out:
            _log.warning("%s: columns left out: %s", source.name, _listed(left_out))

    def _read_header(self) -> list[str]:
        start = self.source.start
        headers: dict[str, tuple[list[bytes], int, int]] = {}
        while not headers:
            for delimiter in ",;\t":
                if header := _cpu.csv_record(start, delimiter, self.source.ended):
                    headers[delimiter] = header
            if self.source.ended or len(start) > MAX_RECORD:
                break
            start += self.source.read(drafts.PIECE)
        if not headers:
            raise self.source.error(1, "no header: the file is empty, or a quote of its first line is not closed")
        self._delimiter = max(headers, key=lambda delimiter: len(headers[delimiter][0]))
        names, size, line_ends = headers[self._delimiter]
        self._first_rows, self._first_line = memoryview(start)[size:], 1 + line_ends
        try:
            return [name.decode().strip() for name in names]
        except UnicodeDecodeError:
            raise self.error("the header is not UTF-8; save the file as UTF-8") from None

    def _find_fields(self) -> None:
        plain = list(map(_plain, self.names))
        self.is_long = any(map(_LONG_ALLELE.fullmatch, plain)) and any(name in plain for name in _MARKER_NAMES)
        fields: dict[str, tuple[Sequence[str], int, int]] = {"id": (_ID_NAMES, ID, 0)}
        fields |= {name: ([name], CHOSEN, position) for position, name in enumerate(CHOICES)}
        fields |= {name: ([name], LABELLED, position) for position, name in enumerate(LABELS)}
        fields |= {"marker": (_MARKER_NAMES, MARKER, 0)} if self.is_long else {}
        self.fields: dict[str, str] = {}  # what the file calls them
        for field, (spellings, group, position) in fields.items():
            spelling = next((spelling for spelling in spellings if spelling in plain), None)
            if spelling is not None:
                column = plain.index(spelling)
                if plain.count(spelling) > 1:
                    raise self.error(f"two columns {shortened(self.names[column])}")
                self.fields[field] = self.names[column]
                self._places[column] = group, position
        if "id" not in self.fields:
            raise self.error(f"no column 'id' among {_listed(self.names)}")

    def _find_alleles(self) -> None:
        columns: dict[tuple[str, int], int] = {}  # by locus, '' in a long table, and slot
        for column, name in enumerate(self.names):
            if self._places[column] == _NOWHERE and name not in self.ignore:
                slot = _long_slot(name) if self.is_long else self._wide_slot(name)
                if slot is not None and columns.setdefault(slot, column) != column:
                    raise self.error(f"columns {shortened(self.names[columns[slot]])} and {shortened(name)} are one")
        if not columns:
            raise self.error("no alleles: a locus has the columns <locus>_1 and <locus>_2, as in TH01_1")
        self.loci = tuple(dict.fromkeys(name for name, _ in columns))
        self.slots = max(1, *(number for _, number in columns)) + 1
        for (name, number), column in columns.items():
            self._places[column] = (ALLELES, self.loci.index(name) * self.slots + number)

    def _wide_slot(self, column: str) -> tuple[str, int] | None:
        """Locus and slot, counted from 0, of a column; None for one that does not look like a locus."""
        match = _WIDE_ALLELE.fullmatch(column)
        name = match[1] if match else column
        if name in self.ignore:
            return None
        where = known_locus(name)
        if where is None and (match is None or match[2] not in "_."):
            return None
        try:
            where = where or locus(name)
        except ProfileError as error:
            problem = f"column {shortened(column)}: {error}; ignore=[{shortened(name)}] leaves it out"
            raise self.error(problem) from None
        if match is None or int(match[3]) == 0:
            raise self.error(f"column {shortened(column)}: call the columns of a locus {where.name}_1, {where.name}_2")
        return where.name, int(match[3]) - 1

    def error(self, problem: str) -> ProfileError:
        return self.source.error(max(1, self._first_line - 1), problem)

    def allele_column(self, locus: int, slot: int) -> str:
        return self._name_at[ALLELES, locus * self.slots + slot]

    def rows(self, most: int) -> Iterator[Rows]:
        """All rows, at most `most` at a time."""
        widths = [1, len(CHOICES), len(LABELS), len(self.loci) * self.slots, 1]
        data, line = self._first_rows, self._first_line
        while True:
            groups, begin, end, lines, cells, consumed, line_ends, too_long = _cpu.csv_rows(
                data, self._delimiter, self.source.ended, self._places, widths, most
            )
            if len(cells):
                texts = [_texts(heap, offsets) for heap, offsets, _ in groups]
                numbers = [numbers for *_, numbers in groups]
                place = np.stack([np.zeros_like(begin), begin, end], axis=1).astype(np.int64)
                yield Rows(texts, numbers, line + lines.astype(np.int64), cells, place, [data])
            elif too_long:
                raise self.source.error(line + line_ends, "a line of more than 1 MiB: this is no table of profiles")
            elif self.source.ended:
                return
            data, line = data[consumed:], line + line_ends
            if not len(cells) or len(data) < drafts.PIECE:
                data = memoryview(bytes(data) + self.source.read(drafts.PIECE))

    def problems(self, rows: Rows) -> dict[int, Problem]:
        """The rows whose cells do not fit the header."""
        wrong = np.flatnonzero(rows.cells != len(self.names)).tolist()
        counts = rows.cells[wrong].tolist()
        reasons = [f"{n} cells under {len(self.names)} columns" if n >= 0 else "a quote is not closed" for n in counts]
        return {row: Problem(row, "", reason) for row, reason in zip(wrong, reasons, strict=True)}


def wide_drafts(table: Table, batch_rows: int) -> Iterator[Draft]:
    """Drafts of at most `batch_rows` profiles."""
    most = min(batch_rows, max(1, MAX_ALLELES // (len(table.loci) * table.slots)))
    for rows in table.rows(most):
        shape = (len(rows), len(table.loci), table.slots)
        record = np.arange(len(rows))
        yield Draft(
            ids=[rows.texts[ID][number] for number in rows.numbers[ID][:, 0].tolist()],
            choices=rows.numbers[CHOSEN],
            choice_texts=rows.texts[CHOSEN],
            labels=rows.numbers[LABELLED],
            label_texts=rows.texts[LABELLED],
            loci=table.loci,
            alleles=rows.numbers[ALLELES].reshape(shape),
            allele_texts=rows.texts[ALLELES],
            columns=table.fields,
            allele_column=table.allele_column,
            records=Records(rows.line, rows.text),
            record=record,
            allele_record=np.broadcast_to(record[:, np.newaxis], shape[:2]),
            problems=table.problems(rows),
        )


def _long_slot(column: str) -> tuple[str, int] | None:
    match = _LONG_ALLELE.fullmatch(_plain(column))
    return ("", max(1, int(match[1] or 1)) - 1) if match else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).casefold()


def _texts(heap: bytes, offsets: NDArray[np.uint64]) -> list[str]:
    """The texts of a heap, without spaces around them; what is not UTF-8 becomes lone surrogates."""
    bounds = pairwise(offsets.tolist())
    if not heap.isascii():
        return [heap[start:end].decode("utf-8", "surrogateescape").strip() for start, end in bounds]
    joined = heap.decode("ascii")
    texts = [joined[start:end] for start, end in bounds]
    return [text.strip() for text in texts] if _SPACE.search(joined) else texts


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shortened, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
