"""Files of DNA profiles, read and written in batches: tables (tables.py, long_tables.py) and JSON (objects.py).

What a file is shows from its first bytes and its header. Text is UTF-8. Memory does not grow with the file, but for the
long tables that long_tables.py names. Limits: 1 MiB a row or JSON object, 99 alleles of a profile at a locus.
"""

import csv
import json
import pickle
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.drafts import CHOICES, Batch, Draft, Reject, Source, check
from pcc_match.dna.long_tables import long_drafts
from pcc_match.dna.objects import read_objects
from pcc_match.dna.profile import KINDS, LABELS, SINGLES
from pcc_match.dna.tables import Table, wide_drafts
from pcc_match.errors import ProfileError
from pcc_match.output import complete_file

__all__ = ["Batch", "Reject", "Rejects", "read_columns", "write_csv", "write_json"]

_FIELDS: Final = ("id", *CHOICES, *LABELS)


def read_columns(
    source: str | Path | BinaryIO,
    *,
    kind: str = "person",
    single: str = "wildcard",
    ignore: Collection[str] = (),
    batch_rows: int = 1 << 16,
) -> Iterator[Batch]:
    """The profiles of a file (a path, or a file open in binary mode), in batches of at most `batch_rows`.

    A profile that is not well-formed is left out, whole, and is among the rejects of its batch; the others go on.
    `kind` and `single` hold where the file does not say. `ignore` names columns, loci or JSON keys to leave out; what
    is left out besides, because it does not look like a locus, is logged as a warning. ProfileError, with file and
    line, where the file as a whole cannot be read: it is no table of profiles, names an unknown locus, breaks a limit.
    """
    defaults = {"kind": kind, "single": single}
    for name, value in defaults.items():
        if value not in CHOICES[name]:
            raise ProfileError(f"{name} {value!r} is none of {', '.join(CHOICES[name])}")
    with open(source, "rb") if isinstance(source, str | Path) else nullcontext(source) as file:
        text = Source(file, str(getattr(file, "name", "the file")))
        for draft in _drafts(text, ignore, batch_rows):
            yield check(draft, defaults, text.bytes_read)


def _drafts(source: Source, ignore: Collection[str], batch_rows: int) -> Iterator[Draft]:
    if source.start.lstrip()[:1] in (b"{", b"["):
        return read_objects(source, ignore, batch_rows)
    table = Table(source, ignore)
    return long_drafts(table, batch_rows) if table.is_long else wide_drafts(table, batch_rows)


def write_csv(batches: Iterable[ProfileColumns], path: str | Path) -> int:
    """Writes a wide table, UTF-8 with commas, and returns the number of profiles; read_columns gives equal ones back.

    The file appears under its name when it is complete, or not at all. A temporary file holds the batches meanwhile:
    the header needs to know the loci and alleles of all of them.
    """
    with tempfile.TemporaryFile() as spool:
        slots: dict[str, int] = {}  # at each locus
        count = written = 0
        for batch in batches:
            for locus, alleles in zip(batch.loci, np.moveaxis(batch.alleles, 1, 0), strict=True):
                used = int(np.flatnonzero(alleles.any(axis=0)).max(initial=1)) + 1
                slots[locus] = max(slots.get(locus, 0), used)
            pickle.dump(batch, spool)
            count += 1
        spool.seek(0)
        with complete_file(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            columns = [(locus, slot) for locus, used in slots.items() for slot in range(used)]
            writer.writerow([*_FIELDS, *(f"{locus}_{slot + 1}" for locus, slot in columns)])
            for _ in range(count):
                batch = pickle.load(spool)
                texts = np.array(batch.texts, dtype=object)
                cells = [_alleles(batch, texts, locus, slot) for locus, slot in columns]
                writer.writerows(zip(*_fields(batch), *cells, strict=True))
                written += len(batch)
    return written


def write_json(batches: Iterable[ProfileColumns], path: str | Path) -> int:
    """Writes JSON, a line for each profile, and returns their number; read_columns gives equal ones back.

    The file appears under its name when it is complete, or not at all.
    """
    written = 0
    with complete_file(path) as file:
        for batch in batches:
            for values, row in zip(zip(*_fields(batch), strict=True), batch.alleles.tolist(), strict=True):
                profile: dict[str, object] = dict(zip(_FIELDS, values, strict=True))
                profile["alleles"] = {
                    locus: [batch.texts[text] for text in slots if text]
                    for locus, slots in zip(batch.loci, row, strict=True)
                    if slots[0]
                }
                file.write(json.dumps(profile, ensure_ascii=False) + "\n")
            written += len(batch)
    return written


def _fields(batch: ProfileColumns) -> list[list[str]]:
    """The columns of a batch that are no alleles, as texts, in the order of _FIELDS."""
    numbered: list[tuple[Sequence[str], NDArray[Any]]] = [(KINDS, batch.kind), (SINGLES, batch.single)]
    numbered += [(batch.labels, numbers) for numbers in (batch.country, batch.agency, batch.kit)]
    return [list(batch.ids), *([texts[number] for number in numbers.tolist()] for texts, numbers in numbered)]


def _alleles(batch: ProfileColumns, texts: NDArray[np.object_], locus: str, slot: int) -> list[str]:
    if locus not in batch.loci or slot >= batch.alleles.shape[2]:
        return [""] * len(batch)
    alleles: list[str] = texts[batch.alleles[:, batch.loci.index(locus), slot]].tolist()
    return alleles


class Rejects:
    """FILE.rejects.csv beside a file that is read: line, column, reason, original row.

    It takes its place when the block ends; where nothing was rejected, one of an earlier run goes.
    """

    def __init__(self, file: str | Path) -> None:
        self.path = Path(f"{file}.rejects.csv")
        self._open = ExitStack()
        self._writer: Any = None

    def write(self, rejects: Collection[Reject]) -> None:
        if rejects and self._writer is None:
            self._writer = csv.writer(self._open.enter_context(complete_file(self.path)), lineterminator="\n")
            self._writer.writerow(Reject._fields)
        if rejects:
            self._writer.writerows(rejects)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)
        if exception[0] is None and self._writer is None:
            self.path.unlink(missing_ok=True)
