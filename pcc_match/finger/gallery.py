"""A gallery of prints on disk: packed columns for the comparison and, beside them, each template as it was enrolled."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.errors import GalleryError, TemplateError
from pcc_match.finger.columns import BUILDER, FingerColumns
from pcc_match.finger.palms import PLACE, comparable
from pcc_match.finger.prints import FingerRecord, PrintColumns
from pcc_match.finger.template import FingerTemplate
from pcc_match.gallery.gallery import EXPORT_ROWS, Enrolment, Gallery, ids_of, unsound_ids, version
from pcc_match.gallery.segment import Segment
from pcc_match.gallery.store import Content, Part, Rows
from pcc_match.strings import Strings

_SEGMENT_ROWS: Final = 1 << 16  # about 200 MB
_PACK: Final = 1 << 10  # templates that one thread packs at a time
_PACKED: Final = tuple(field.name for field in fields(FingerColumns) if field.name != "sources")


@dataclass(frozen=True)
class FingerGalleryInfo:
    """Counts of live prints unless said otherwise."""

    path: str
    prints: int
    subjects: int
    positions: dict[int, int]  # finger or palm -> prints
    removed: int  # rows that wait for compact()
    segments: int
    bytes: int  # on disk, without the manifest
    generation: int
    made_by: dict[str, str]


class FingerPart(NamedTuple):
    """A segment as searches take it; its rows are first_row .. first_row + n - 1 of the gallery.

    A finger is packed as one template, a palm as several pieces. The packed templates lie ordered by PLACE: those of a
    finger or hand are one range. Everything is mapped, read-only, and every block of it has been checked.
    """

    first_row: int
    packed: FingerColumns
    row: NDArray[np.uint32]  # (len(packed),) row within the part that each packed template is of
    live: NDArray[np.uint8] | None  # (n,); None = all


class FingerGallery(Gallery[PrintColumns]):
    """Prints by id, each of a finger or palm of a subject.

    A row is one print: an impression of one finger or palm with one or more sets of minutiae, or a latent. What
    comparisons read is packed when the print is enrolled; a gallery holds columns of one builder only.
    """

    KIND = "finger"
    RECORD = "print"

    # ---- what is in it

    def record(self, which: int | str) -> FingerRecord:
        """The live print of a row or id. GalleryError when there is none."""
        return self._live(which).record(0)

    def parts(self) -> list[FingerPart]:
        """The rows in order."""
        return [
            FingerPart(part.first_row, _packed(part.segment), part.segment.column("packed_row"), part.live())
            for part in self._store.parts
        ]

    def info(self) -> FingerGalleryInfo:
        positions = np.zeros(256, np.int64)
        for part in self._store.parts:
            positions += np.bincount(part.segment.column("position"), part.live(), minlength=256).astype(np.int64)
        (numbers,) = subjects_over([self])
        return FingerGalleryInfo(
            path=str(self.path),
            prints=len(self),
            subjects=len(np.unique(numbers[self.ranks() != 0xFFFFFFFF])),
            positions={position: int(positions[position]) for position in np.flatnonzero(positions).tolist()},
            removed=self._store.removed_rows,
            segments=len(self._store.parts),
            bytes=self._store.bytes,
            generation=self.generation,
            made_by=dict(self._store.made_by),
        )

    # ---- change

    def enrol(self, records: Iterable[FingerRecord] | PrintColumns, *, replace: bool = False) -> Enrolment:
        """Enrols all prints in one durable step, as if one after the other.

        An id that is there with an equal template (all but its `problems`) of the same subject is unchanged; with other
        content it is rejected, or with `replace` the new content takes its place. Nothing is enrolled where one of the
        ids or subjects is no text of printable characters without spaces around it (TemplateError).
        """
        columns = records if isinstance(records, PrintColumns) else PrintColumns.from_records(records)
        for what in _unsound(columns):
            raise TemplateError(f"prints to enrol: {what}")
        return self._enrol(columns, replace=replace)

    # ---- what Gallery asks

    @classmethod
    def _made_by(cls) -> dict[str, str]:
        return {"library": f"pcc_match {version()}", "builder": BUILDER}

    @staticmethod
    def _opened(segment: Segment) -> "_Prints":
        return _Prints(segment)

    @staticmethod
    def _content(columns: PrintColumns) -> Content:
        packed, row = _pack([columns.template(row) for row in range(len(columns))])
        arrays: dict[str, NDArray[Any]] = {f"packed_{name}": getattr(packed, name) for name in _PACKED}
        arrays |= {"packed_row": row, "position": columns.positions}
        for name, texts in (("ids", columns.ids), ("subjects", columns.subjects), ("templates", columns.templates)):
            arrays |= {name: texts.heap, f"{name}_offsets": texts.offsets}
        return Content(arrays, {"builder": BUILDER, "made_by": version(), "sources": packed.sources})

    @staticmethod
    def _equal(a: PrintColumns, b: PrintColumns) -> NDArray[np.bool_]:
        same = [
            a.templates.raw(row) == b.templates.raw(row) and a.subjects.raw(row) == b.subjects.raw(row)
            for row in range(len(a))
        ]
        return np.array(same, bool)

    @staticmethod
    def _concat(parts: Sequence[PrintColumns]) -> PrintColumns:
        return PrintColumns.concat(parts)

    @staticmethod
    def _wrong_rows(part: Part) -> Iterator[str]:
        return _wrong_prints(part)

    def _segment_rows(self) -> int:
        return _SEGMENT_ROWS


def subjects_over(galleries: Sequence[FingerGallery]) -> list[NDArray[np.uint32]]:
    """For each gallery, uint32[rows]: numbers of the subjects over all galleries, in bytewise order."""
    parts = [part for gallery in galleries for part in gallery._store.parts]
    texts = Strings.concat([Strings(*part.segment.texts("subjects")) for part in parts])
    order, first = _cpu.sort_ids(texts.heap, texts.offsets)
    numbers = np.empty(len(order), np.uint32)
    numbers[order] = np.cumsum(first, dtype=np.uint32) - np.uint32(1)
    return np.split(numbers, np.cumsum([gallery.rows for gallery in galleries])[:-1])


class _Prints:
    """A segment read as prints."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        builder = segment.tables["builder"]
        if builder != BUILDER:
            raise GalleryError(
                f"{segment.path}: packed by {builder} of pcc_match {segment.tables['made_by']}; this library's "
                f"comparison takes {BUILDER}: export the gallery with that version and enrol the prints in a new one"
            )

    def take(self, rows: Rows) -> PrintColumns:
        subjects, templates = (
            Strings(*self._segment.texts(name)).take(rows)
            if len(rows) > 1
            else Strings.from_bytes(self._segment.text(name, row) for row in rows.tolist())
            for name in ("subjects", "templates")
        )
        return PrintColumns(ids_of(self._segment, rows), subjects, templates)


def _pack(templates: Sequence[FingerTemplate]) -> tuple[FingerColumns, NDArray[np.uint32]]:
    """The packed templates, ordered by place, and the number of the template that each is of."""
    pieces = [(piece, number) for number, template in enumerate(templates) for piece in comparable(template)]
    pieces.sort(key=lambda piece: PLACE[piece[0].position])
    chunks = [[piece for piece, _ in pieces[k : k + _PACK]] for k in range(0, len(pieces), _PACK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        packed = FingerColumns.concat(list(pool.map(FingerColumns.pack, chunks)))
    return packed, np.array([number for _, number in pieces], np.uint32)


def _packed(segment: Segment) -> FingerColumns:
    columns = {name: segment.column(f"packed_{name}") for name in _PACKED}
    return FingerColumns(**columns, sources=tuple(segment.tables["sources"]))


def _unsound(columns: PrintColumns) -> Iterator[str]:
    yield from unsound_ids(columns.ids)
    yield from (what.replace("id", "subject") for what in unsound_ids(columns.subjects))


def _wrong_prints(part: Part) -> Iterator[str]:
    """Each template is read and packed anew."""
    segment = part.segment
    try:
        prints, stored, row = _Prints(segment), _packed(segment), segment.column("packed_row")
        if (np.diff(PLACE[stored.position].astype(np.int64)) < 0).any():
            yield "packed templates are not ordered by place"
        by_row = np.argsort(row, kind="stable")
        for start in range(0, part.rows, EXPORT_ROWS):
            stop = min(start + EXPORT_ROWS, part.rows)
            columns = prints.take(np.arange(start, stop))
            yield from _unsound(columns)
            if not np.array_equal(columns.positions, segment.column("position", start, stop)):
                yield f"positions of rows {start} and following are not those of their templates"
            packed, of = _pack([columns.template(row) for row in range(len(columns))])
            here = np.argsort(of, kind="stable")
            there = by_row[np.searchsorted(row, start, sorter=by_row) : np.searchsorted(row, stop, sorter=by_row)]
            if not np.array_equal(row[there], of[here] + start) or not _same(packed.take(here), stored.take(there)):
                yield f"packed columns of rows {start} and following are not those of their templates"
    except (GalleryError, TemplateError, KeyError, ValueError, IndexError) as error:
        yield str(error).removeprefix(f"{segment.path}: ")


def _same(a: FingerColumns, b: FingerColumns) -> bool:
    columns = (name for name in _PACKED if name != "source")
    sources = ([columns.sources[number] for number in columns.source.tolist()] for columns in (a, b))
    return (
        len(a) == len(b)
        and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in columns)
        and (next(sources) == next(sources))
    )
