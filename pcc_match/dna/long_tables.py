"""Long tables of profiles: a locus of a sample a row, as GeneMapper and EuroForMix have them."""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.dna.drafts import (
    CHOICES,
    MAX_ALLELES,
    MAX_TEXTS,
    PLACE_OF,
    Draft,
    Problem,
    Records,
    place_alleles,
    used,
)
from pcc_match.dna.loci import LOCI, locus, shortened
from pcc_match.dna.profile import LABELS
from pcc_match.dna.tables import ALLELES, CHOSEN, ID, LABELLED, MARKER, Rows, Table
from pcc_match.errors import ProfileError

_MAX_ROWS: Final = 1 << 20  # read at a time
_MAX_SAMPLE_ROWS: Final = 10_000


def long_drafts(table: Table, batch_rows: int) -> Iterator[Draft]:
    """Drafts of at most `batch_rows` profiles, in the order in which their samples begin.

    Where the rows of every sample stand together, as programs export them, little more than a piece of the file is held
    at a time; to know that, the file is read twice. A file that cannot be, or has its samples scattered, is held whole.
    """
    together = _samples_stand_together(table)
    held: list[Rows] = []
    for rows in table.rows(_MAX_ROWS):
        held.append(rows)
        if together:
            rows = _joined(held)
            sample = rows.numbers[ID][:, 0]
            last = int(np.argmax(sample == sample[sample > 0][-1])) if sample.any() else len(rows)
            if len(rows) - last > _MAX_SAMPLE_ROWS:
                name = shortened(rows.texts[ID][sample[last]])
                raise table.source.error(int(rows.line[last]), f"sample {name} has more than {_MAX_SAMPLE_ROWS} rows")
            yield from _drafts(table, rows[:last], batch_rows)
            held = [rows[last:]]
    if held:
        yield from _drafts(table, _joined(held), batch_rows)


def _samples_stand_together(table: Table) -> bool:
    source = table.source
    if source.ended or not source.file.seekable():
        return False
    back, bytes_read = source.file.tell(), source.bytes_read
    runs = [np.empty(0, dtype=np.int64)]  # a hash for each run of rows of one sample
    for rows in table.rows(_MAX_ROWS):
        _marker_places(table, rows)  # so that an unknown marker is told before any profile is handed out
        hashes = np.array([hash(text) for text in rows.texts[ID]])
        sample = rows.numbers[ID][rows.numbers[ID] > 0]
        runs.append(hashes[sample[_begins(sample)]])
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


def _joined(parts: Sequence[Rows]) -> Rows:
    """All rows as one, with one numbering of the texts of each group, in order of first appearance."""
    texts, numbers = [], []
    for group in range(len(parts[0].texts)):
        number_of: dict[str, int] = {}
        renumbered = []
        for part in parts:
            new = np.array([number_of.setdefault(text, len(number_of)) for text in part.texts[group]])
            renumbered.append(new[part.numbers[group]])
        texts.append(list(number_of))
        numbers.append(np.concatenate(renumbered))
    places, pieces = [], list[memoryview]()
    for part in parts:
        needed = used(part.place[:, 0], len(part.pieces))
        place = part.place.copy()
        place[:, 0] = (np.cumsum(needed) - 1 + len(pieces))[place[:, 0]]
        places.append(place)
        pieces += compress(part.pieces, needed.tolist())
    return Rows(
        texts,
        numbers,
        np.concatenate([part.line for part in parts]),
        np.concatenate([part.cells for part in parts]),
        np.concatenate(places),
        pieces,
    )


def _marker_places(table: Table, rows: Rows) -> NDArray[np.intp]:
    """For each text of the markers its locus's place in LOCI; -1 where it is none, or is to be ignored."""
    texts = rows.texts[MARKER]
    marker = np.where(rows.cells == len(table.names), rows.numbers[MARKER][:, 0], 0)
    places = np.full(len(texts), -1, dtype=np.intp)
    for number in np.flatnonzero(used(marker, len(texts))).tolist():
        if texts[number] and texts[number] not in table.ignore:
            try:
                places[number] = PLACE_OF[locus(texts[number]).name]
            except ProfileError as error:
                line = int(rows.line[np.argmax(marker == number)])
                raise table.source.error(line, f"{error}; ignore=[{shortened(texts[number])}] leaves it out") from None
    return places


def _drafts(table: Table, rows: Rows, batch_rows: int) -> Iterator[Draft]:
    """Drafts of samples that have no other rows than these. A row without a sample's name stands alone."""
    if len(rows.texts[ALLELES]) > MAX_TEXTS:
        raise table.source.error(int(rows.line[0]), f"more than {MAX_TEXTS} different alleles from here on")
    place_of = _marker_places(table, rows)
    rows = rows[np.argsort(rows.numbers[ID][:, 0], kind="stable")]
    sample = rows.numbers[ID][:, 0]
    bounds = np.append(np.flatnonzero(_begins(sample) | (sample == 0)), len(rows))
    most = min(batch_rows, max(1, MAX_ALLELES // (len(LOCI) * table.slots)))
    for first in range(0, len(bounds) - 1, most):
        part = bounds[first : first + most + 1]
        yield _draft(table, rows[part[0] : part[-1]], part - part[0], place_of)


def _draft(table: Table, rows: Rows, bounds: NDArray[np.intp], place_of: NDArray[np.intp]) -> Draft:
    """The samples with the rows bounds[i] .. bounds[i + 1] - 1."""
    begin = bounds[:-1]
    profile = np.repeat(np.arange(len(begin)), np.diff(bounds))
    place = place_of[rows.numbers[MARKER][:, 0]]
    entry_row = np.flatnonzero((place >= 0) & (rows.cells == len(table.names)))
    typed = used(place[entry_row], len(LOCI))
    column = (np.cumsum(typed) - 1)[place[entry_row]]
    shape = (len(begin), int(typed.sum()), table.slots)
    numbers = rows.numbers[ALLELES][entry_row].astype(np.uint16)
    alleles, entry, again = place_alleles(shape, profile[entry_row], column, numbers)

    problems: dict[int, Problem] = {}
    for row, problem in table.problems(rows).items():
        problems.setdefault(int(profile[row]), problem)

    def refuse(wrong: NDArray[np.intp], column: str, reason: str) -> None:
        for row in wrong.tolist():
            problems.setdefault(int(profile[row]), Problem(row, column, reason))

    refuse(np.flatnonzero(rows.numbers[MARKER][:, 0] == 0), table.fields["marker"], "the row names no marker")
    refuse(entry_row[again], table.fields["marker"], "the sample has this marker twice")
    for group, names in (CHOSEN, tuple(CHOICES)), (LABELLED, LABELS):
        differs = rows.numbers[group] != rows.numbers[group][begin[profile]]
        for position, name in enumerate(names):
            refuse(np.flatnonzero(differs[:, position]), table.fields.get(name, name), "differs within the sample")

    return Draft(
        ids=[rows.texts[ID][number] for number in rows.numbers[ID][begin, 0].tolist()],
        choices=rows.numbers[CHOSEN][begin],
        choice_texts=rows.texts[CHOSEN],
        labels=rows.numbers[LABELLED][begin],
        label_texts=rows.texts[LABELLED],
        loci=tuple(where.name for where in compress(LOCI, typed.tolist())),
        alleles=alleles,
        allele_texts=rows.texts[ALLELES],
        columns=table.fields,
        allele_column=lambda _, slot: table.allele_column(0, slot),
        records=Records(rows.line, rows.text),
        record=begin,
        allele_record=np.append(entry_row, 0)[entry],
        problems=problems,
    )
