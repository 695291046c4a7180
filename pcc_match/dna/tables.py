"""Delimiter-separated files of profiles: wide (a profile a row) and long (a locus of a profile a row), read as drafts.

Wide: an id, `kind`, ... and `<locus>_1`, `<locus>_2` (or `.1`, `.2`), with further alleles in `_3`, `_4`, ...
Long: a sample name, `Marker`, `Allele 1`, `Allele 2`, ...; GeneMapper exports are such files.
Columns stand in any order; the delimiter is whichever of comma, semicolon and tab makes most columns of the header.
"""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna import drafts
from pcc_match.dna.drafts import (
    CHOICES,
    MAX_ALLELES,
    MAX_RECORD,
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

_ID, _CHOICES, _LABELS, _ALLELES, _MARKER = range(5)  # groups of columns
_ID_NAMES: Final = ("id", "profileid", "specimenid", "samplename", "sampleid", "sample", "specimen")
_MARKER_NAMES: Final = ("marker", "locus")
_WIDE_ALLELE: Final = re.compile(r"(.+?)\s*([_.\s-])\s*(\d{1,2})")
_LONG_ALLELE: Final = re.compile(r"allele(\d{0,2})")

_MAX_ROWS: Final = 1 << 20  # of a long table read at a time
_MAX_SAMPLE_ROWS: Final = 10_000  # of one sample in a long table

_log = logging.getLogger(__name__)


def read_table(source: Source, ignore: Collection[str], batch_rows: int) -> Iterator[Draft]:
    """Drafts of at most `batch_rows` profiles. ProfileError, with file and line, where this is no table of profiles."""
    table = _Table(source, ignore)
    return _long_drafts(table, batch_rows) if table.is_long else _wide_drafts(table, batch_rows)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a table, their cells in groups of columns. Each group has its own texts, of which text 0 is ''."""

    texts: list[list[str]]  # of each group
    numbers: list[NDArray[Any]]  # of each group, (rows, width): indices into its texts
    line: NDArray[np.int64]
    cells: NDArray[np.int32]  # as counted in the row; -1: a quote is not closed
    records: Any  # (rows,) bytes: the rows as they stand in the file

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, rows: Any) -> "_Rows":
        numbers = [numbers[rows] for numbers in self.numbers]
        return _Rows(self.texts, numbers, self.line[rows], self.cells[rows], self.records[rows])

    def kept(self) -> "_Rows":
        """The same, independent of the piece of the file that it was read from."""
        records = np.empty(len(self), dtype=object)
        records[:] = list(self.records)
        return replace(self, records=records)

    def text(self, row: int) -> str:
        return bytes(self.records[row]).decode("utf-8", "surrogateescape")


class _Table:
    """A table: what its columns say, and its rows."""

    def __init__(self, source: Source, ignore: Collection[str]) -> None:
        self.source = source
        self.ignore = ignore
        self.names = self._read_header()
        self.columns: dict[str, str] = {}  # what the file calls id, marker, CHOICES and LABELS
        self._places = [(-1, 0)] * len(self.names)  # of each column: its group and its position there

        plain = [re.sub(r"[\s_.-]", "", name).casefold() for name in self.names]
        self.is_long = any(map(_LONG_ALLELE.fullmatch, plain)) and any(name in plain for name in _MARKER_NAMES)
        fields: list[tuple[str, Sequence[str], tuple[int, int]]] = [("id", _ID_NAMES, (_ID, 0))]
        fields += [(name, (name,), (_CHOICES, place)) for place, name in enumerate(CHOICES)]
        fields += [(name, (name,), (_LABELS, place)) for place, name in enumerate(LABELS)]
        fields += [("marker", _MARKER_NAMES, (_MARKER, 0))] if self.is_long else []
        for field, spellings, place in fields:
            index = next((plain.index(spelling) for spelling in spellings if spelling in plain), None)
            if index is not None:
                if plain[index] in plain[index + 1 :]:
                    raise self.error(f"two columns {self.names[index]!r}")
                self.columns[field] = self.names[index]
                self._places[index] = place
        if "id" not in self.columns:
            raise self.error(f"no column 'id' among {', '.join(map(repr, self.names[:20]))}")

        slots: dict[tuple[str, int], int] = {}  # (locus, slot): column. The locus is '' in a long table.
        for index, name in enumerate(self.names):
            if self._places[index] == (-1, 0) and name not in ignore:
                slot = _long_slot(plain[index]) if self.is_long else self._wide_slot(name)
                if slot is not None and slots.setdefault(slot, index) != index:
                    raise self.error(f"columns {self.names[slots[slot]]!r} and {name!r} say the same")
        if not slots:
            raise self.error("no columns of alleles: a locus has the columns <locus>_1 and <locus>_2, as in TH01_1")
        self.loci = tuple(dict.fromkeys(name for name, _ in slots))
        self.slots = max(1, *(number for _, number in slots)) + 1
        for (name, number), index in slots.items():
            self._places[index] = (_ALLELES, self.loci.index(name) * self.slots + number)
        self._name_of = dict(zip(self._places, self.names, strict=True))

        left_out = [name for name, (group, _) in zip(self.names, self._places, strict=True) if group < 0 and name]
        if left_out:
            _log.warning("%s: columns left out: %s", source.name, ", ".join(left_out))

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

    def _wide_slot(self, column: str) -> tuple[str, int] | None:
        match = _WIDE_ALLELE.fullmatch(column)
        name = match[1] if match else column
        if name in self.ignore:
            return None
        try:
            where = locus(name)
        except ProfileError as error:
            if match and match[2] in "_.":
                raise self.error(f"column {column!r}: {error}; ignore={[name]} leaves it out") from None
            return None
        if match is None or int(match[3]) == 0:
            raise self.error(f"column {column!r}: the columns of a locus are called {where.name}_1, {where.name}_2")
        return where.name, int(match[3]) - 1

    def error(self, problem: str) -> ProfileError:
        return self.source.error(self._first_line - 1, problem)

    def allele_column(self, column: int, slot: int) -> str:
        return self._name_of[_ALLELES, column * self.slots + slot]

    def rows(self, most: int) -> Iterator[_Rows]:
        """All rows, at most `most` at a time."""
        widths = [1, len(CHOICES), len(LABELS), len(self.loci) * self.slots, 1]
        data, line = self._first_rows, self._first_line
        while True:
            groups, begin, end, lines, cells, consumed, line_ends, too_long = _cpu.csv_rows(
                data, self._delimiter, self.source.ended, self._places, widths, most
            )
            if len(cells):
                texts = [_decoded(heap, offsets) for heap, offsets, _ in groups]
                numbers = [numbers for *_, numbers in groups]
                yield _Rows(texts, numbers, line + lines.astype(np.int64), cells, _Slices(data, begin, end))
            elif too_long:
                raise self.source.error(line + line_ends, "a line of more than 1 MiB: this is no table of profiles")
            elif self.source.ended:
                return
            data, line = data[consumed:], line + line_ends
            if not len(cells):
                data = memoryview(bytes(data) + self.source.read(drafts.PIECE))

    def problems(self, rows: _Rows) -> dict[int, Problem]:
        """The rows whose cells do not fit the header."""
        wrong = np.flatnonzero(rows.cells != len(self.names)).tolist()
        return {row: Problem(row, "", self._count(int(rows.cells[row]))) for row in wrong}

    def _count(self, cells: int) -> str:
        if cells < 0:
            return "a quote is not closed"
        return f"{cells} cells in a table of {len(self.names)} columns"


class _Slices(Sequence[bytes]):
    """data[begin[i]:end[i]] as item i."""

    def __init__(self, data: memoryview, begin: NDArray[np.uint64], end: NDArray[np.uint64]) -> None:
        self.data, self.begin, self.end = data, begin, end

    def __len__(self) -> int:
        return len(self.begin)

    def __getitem__(self, index: Any) -> Any:
        return bytes(self.data[int(self.begin[index]) : int(self.end[index])])


def _long_slot(plain: str) -> tuple[str, int] | None:
    match = _LONG_ALLELE.fullmatch(plain)
    return ("", int(match[1] or 1) - 1) if match else None


def _decoded(heap: bytes, offsets: NDArray[np.uint64]) -> list[str]:
    parts = pairwise(offsets.tolist())
    if heap.isascii():
        text = heap.decode("ascii")
        return [text[start:end].strip() for start, end in parts]
    return [heap[start:end].decode("utf-8", "surrogateescape").strip() for start, end in parts]


# ---- Wide: a profile a row ----


def _wide_drafts(table: _Table, batch_rows: int) -> Iterator[Draft]:
    most = min(batch_rows, max(1, MAX_ALLELES // (len(table.loci) * table.slots)))
    for rows in table.rows(most):
        shape = (len(rows), len(table.loci), table.slots)
        record = np.arange(len(rows))
        ids = rows.texts[_ID]
        yield Draft(
            ids=[ids[number] for number in rows.numbers[_ID][:, 0].tolist()],
            choices=rows.numbers[_CHOICES],
            choice_texts=rows.texts[_CHOICES],
            labels=rows.numbers[_LABELS],
            label_texts=rows.texts[_LABELS],
            loci=table.loci,
            alleles=rows.numbers[_ALLELES].reshape(shape),
            allele_texts=rows.texts[_ALLELES],
            columns=table.columns,
            allele_column=table.allele_column,
            records=Records(rows.line, rows.text),
            record=record,
            allele_record=np.broadcast_to(record[:, np.newaxis], shape[:2]),
            problems=table.problems(rows),
        )


# ---- Long: a locus of a profile a row ----


def _long_drafts(table: _Table, batch_rows: int) -> Iterator[Draft]:
    """Samples in the order in which they begin.

    Where the rows of every sample stand together, as programs export them, little more than a piece of the file is held
    at a time; to know that, the file is read twice. A file that cannot be, or has its samples scattered, is held whole.
    """
    together = _samples_stand_together(table)
    held: list[_Rows] = []
    for rows in table.rows(_MAX_ROWS):
        held.append(rows.kept())
        if together:
            rows = _joined(held)
            sample = rows.numbers[_ID][:, 0]
            last = int(np.argmax(sample == sample[sample > 0][-1])) if sample.any() else len(rows)
            if len(rows) - last > _MAX_SAMPLE_ROWS:
                name = rows.texts[_ID][sample[last]]
                raise table.source.error(int(rows.line[last]), f"sample {name!r} has more than {_MAX_SAMPLE_ROWS} rows")
            yield from _samples(table, rows[:last], batch_rows)
            held = [rows[last:]]
    if held:
        yield from _samples(table, _joined(held), batch_rows)


def _samples_stand_together(table: _Table) -> bool:
    source = table.source
    if source.ended or not source.file.seekable():
        return False
    back, bytes_read = source.file.tell(), source.bytes_read
    runs = []  # a hash for each run of rows of one sample
    for rows in table.rows(_MAX_ROWS):
        _marker_places(table, rows)  # an unknown marker is told before any profile is handed out
        hashes = np.array([hash(text) for text in rows.texts[_ID]])
        named = rows.numbers[_ID][rows.numbers[_ID] > 0]
        runs.append(hashes[named[_begins(named)]])
    source.file.seek(back)
    source.ended, source.bytes_read = False, bytes_read
    run = np.concatenate(runs)
    run = run[_begins(run)]  # one that goes on in the next piece is one
    return len(np.unique(run)) == len(run)


def _begins(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it."""
    begins = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    return begins


def _joined(parts: Sequence[_Rows]) -> _Rows:
    texts, numbers = [], []
    for group in range(len(parts[0].texts)):
        new: dict[str, int] = {}
        number_of = [np.array([new.setdefault(text, len(new)) for text in part.texts[group]]) for part in parts]
        numbers.append(np.concatenate([of[part.numbers[group]] for of, part in zip(number_of, parts, strict=True)]))
        texts.append(list(new))
    return _Rows(
        texts,
        numbers,
        np.concatenate([part.line for part in parts]),
        np.concatenate([part.cells for part in parts]),
        np.concatenate([part.records for part in parts]),
    )


def _marker_places(table: _Table, rows: _Rows) -> NDArray[np.intp]:
    """For each text of the markers its place in LOCI; -1 where there is none, or the marker is to be ignored."""
    markers = np.where(rows.cells == len(table.names), rows.numbers[_MARKER][:, 0], 0)
    places = np.full(len(rows.texts[_MARKER]), -1, dtype=np.intp)
    for number in np.unique(markers).tolist():
        name = rows.texts[_MARKER][number]
        if name and name not in table.ignore:
            try:
                places[number] = PLACE_OF[locus(name).name]
            except ProfileError as error:
                line = int(rows.line[np.argmax(markers == number)])
                raise table.source.error(line, f"{error}; ignore={[name]} leaves it out") from None
    return places


def _samples(table: _Table, rows: _Rows, batch_rows: int) -> Iterator[Draft]:
    """Drafts of the samples that these rows are all of. A row without a sample's name stands alone."""
    if len(rows.texts[_ALLELES]) > MAX_TEXTS:
        raise table.source.error(int(rows.line[0]), f"more than {MAX_TEXTS} different allele texts from here on")
    place_of = _marker_places(table, rows)
    rows = rows[np.argsort(rows.numbers[_ID][:, 0], kind="stable")]
    sample = rows.numbers[_ID][:, 0]
    bounds = np.append(np.flatnonzero(_begins(sample) | (sample == 0)), len(rows))
    most = min(batch_rows, max(1, MAX_ALLELES // (len(place_of) * table.slots)))
    for first in range(0, len(bounds) - 1, most):
        part = bounds[first : first + most + 1]
        yield _sample_draft(table, rows[part[0] : part[-1]], part - part[0], place_of)


def _sample_draft(table: _Table, rows: _Rows, bounds: NDArray[np.intp], place_of: NDArray[np.intp]) -> Draft:
    """Profile i has the rows bounds[i] .. bounds[i + 1]."""
    count = len(bounds) - 1
    begin = bounds[:-1]
    profile = np.repeat(np.arange(count), np.diff(bounds))
    place = place_of[rows.numbers[_MARKER][:, 0]]
    entries = np.flatnonzero((place >= 0) & (rows.cells == len(table.names)))
    places, column = np.unique(place[entries], return_inverse=True)
    shape = (count, len(places), table.slots)
    alleles, again = place_alleles(shape, profile[entries], column, rows.numbers[_ALLELES][entries].astype(np.uint16))
    allele_record = np.repeat(begin[:, np.newaxis], len(places), axis=1)
    allele_record[profile[entries], column] = entries

    problems: dict[int, Problem] = {}

    def refuse(at: NDArray[np.intp], column: str, reason: str) -> None:
        for row in at.tolist():
            problems.setdefault(int(profile[row]), Problem(row, column, reason))

    for row, problem in table.problems(rows).items():
        problems.setdefault(int(profile[row]), problem)
    refuse(np.flatnonzero(rows.numbers[_MARKER][:, 0] == 0), table.columns["marker"], "the row names no marker")
    refuse(entries[again], table.columns["marker"], "the sample has this marker twice")
    for group, names in ((_CHOICES, tuple(CHOICES)), (_LABELS, LABELS)):
        differ = rows.numbers[group] != rows.numbers[group][begin[profile]]
        for position, name in enumerate(names):
            refuse(np.flatnonzero(differ[:, position]), table.columns.get(name, name), "differs within the sample")

    return Draft(
        ids=[rows.texts[_ID][number] for number in rows.numbers[_ID][begin, 0].tolist()],
        choices=rows.numbers[_CHOICES][begin],
        choice_texts=rows.texts[_CHOICES],
        labels=rows.numbers[_LABELS][begin],
        label_texts=rows.texts[_LABELS],
        loci=tuple(LOCI[place].name for place in places.tolist()),
        alleles=alleles,
        allele_texts=rows.texts[_ALLELES],
        columns=table.columns,
        allele_column=lambda _, slot: table.allele_column(0, slot),
        records=Records(rows.line, rows.text),
        record=begin,
        allele_record=allele_record,
        problems=problems,
    )
