"""Files of DNA profiles: what users have is read, damage is told with its place, what is written comes back."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match import _cpu
from pcc_match.dna import drafts
from pcc_match.dna.files import Batch, Reject, read_columns
from pcc_match.dna.profile import DnaProfile

SHARED = Path(__file__).parents[2] / "shared" / "data" / "dna"


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def gathered(batches: Iterable[Batch]) -> tuple[list[DnaProfile], list[Reject]]:
    profiles, rejects = [], []
    for batch in batches:
        profiles += [batch.columns.profile(row) for row in range(len(batch.columns))]
        rejects += batch.rejects
    return profiles, rejects


def read(text: str | bytes, **options) -> tuple[list[DnaProfile], list[Reject]]:
    return gathered(read_columns(io.BytesIO(as_bytes(text)), **options))


def alleles(text: str | bytes, **options) -> dict[str, dict[str, tuple[str, ...]]]:
    """The alleles of each id, of a file in which all is well."""
    profiles, rejects = read(text, **options)
    assert not rejects
    return {profile.id: dict(profile.alleles) for profile in profiles}


@pytest.fixture
def small_pieces(monkeypatch):
    """Files are read 16 bytes at a time."""
    monkeypatch.setattr(drafts, "PIECE", 16)


# ---- Rows and cells: those of Python's csv module, but for a quote that is not closed ----


def rows_by_the_csv_module(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """(line, number of cells or -1, cells) of each row."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines)
    line = 1
    for cells in reader:
        if reader.line_num == len(lines) and list(csv.reader([*lines[line - 1 :], "\n", "end"]))[-1] != ["end"]:
            break  # it has run to the end for want of a quote
        if cells:
            yield line, len(cells), cells
        line = reader.line_num + 1
    for number, single in enumerate(lines[line - 1 :], line):
        rows = list(csv.reader([single.rstrip("\r\n"), "\n", "end"]))
        if rows[-1] != ["end"]:
            yield number, -1, []
        elif rows[0]:
            yield number, len(rows[0]), rows[0]


def rows_by_the_library(text: bytes, piece: int, most: int) -> Iterator[tuple[int, int, list[str]]]:
    data, line, taken = b"", 1, 0
    while True:
        last = taken >= len(text)
        tables, _, end, lines, cells, consumed, line_ends, too_long = _cpu.csv_rows(
            data, ",", last, [(0, column) for column in range(6)], [6], most
        )
        assert not too_long
        heap, offsets, numbers = tables[0]
        texts = [heap[start:stop].decode() for start, stop in pairwise(offsets.tolist())]
        for row, count in enumerate(cells.tolist()):
            shown = [texts[number] for number in numbers[row, : max(count, 0)].tolist()]
            yield line + int(lines[row]), count, shown
            assert data[end[row] : end[row] + 1] in (b"", b"\n", b"\r")
        data, line = data[consumed:], line + line_ends
        if not len(cells):
            if last:
                return
            data, taken = data + text[taken : taken + piece], taken + piece


@settings(max_examples=400)
@given(st.text('a9,"\n\r;\0é ', max_size=30), st.integers(1, 9), st.integers(1, 5))
def test_rows_and_cells_are_those_of_the_csv_module(text, piece, most):
    found = list(rows_by_the_library(text.encode(), piece, most))
    assert found == [(line, count, cells[:6]) for line, count, cells in rows_by_the_csv_module(text)]
