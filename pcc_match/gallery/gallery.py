"""What galleries of every kind share: rows under ids that are enrolled, replaced, removed, found and exported."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.errors import GalleryError
from pcc_match.gallery import store as stores
from pcc_match.gallery.segment import Problem, Segment
from pcc_match.gallery.store import NO_ROW, Content, Ids, Part, Rows, Store
from pcc_match.strings import Strings

EXPORT_ROWS = 1 << 16
_FEW_ROWS = 256  # ids of fewer rows are read one by one: their blocks alone are checked


class Rejected(NamedTuple):
    """A row of the enrolled columns that did not go in."""

    row: int
    id: str
    reason: str


@dataclass(frozen=True)
class Enrolment:
    """What became of each row: added + unchanged + replaced + len(rejected) rows were given."""

    added: int = 0
    unchanged: int = 0
    replaced: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class Columns(Protocol):
    """Rows of one kind in memory: what is enrolled, and what is exported."""

    @property
    def ids(self) -> Strings: ...
    def __len__(self) -> int: ...
    def take(self, rows: NDArray[Any]) -> Self: ...


C = TypeVar("C", bound=Columns)
Read = TypeVar("Read", bound=Columns, covariant=True)


class Reader(Protocol[Read]):
    """A segment read as rows of one kind."""

    def take(self, rows: Rows) -> Read: ...


class Gallery(ABC, Generic[C]):
    """Opened by create() or open(); `with` or close() ends a writer's lock.

    Rows are numbered over the whole gallery, from 0; the numbers hold until the next change. Removed rows keep their
    number until compact(). GalleryError names the file that is damaged, missing or locked.
    """

    KIND: ClassVar[str]
    """What the manifest calls the records."""

    RECORD: ClassVar[str]
    """What messages call one of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[Segment, Reader[C]] = {}
        try:
            for part in store.parts:
                self._reader(part)  # touches no block; GalleryError if the columns were made by another rule
        except GalleryError:
            store.close()
            raise

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """A new, empty gallery, open for writing, in a directory that is new or empty."""
        return cls(Store.create(Path(path), cls.KIND, cls._made_by()))

    @classmethod
    def open(cls, path: str | Path, *, check: Literal["lazy", "all"] = "lazy", write: bool = False) -> Self:
        """check="lazy": manifest, headers and sizes now, each block before its first use; "all": every byte now."""
        return cls(Store.open(Path(path), cls.KIND, write=write, check=check))

    def close(self) -> None:
        """Ends writing, so that another process may write; reading goes on."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Live rows."""
        return self._store.rows - self._store.removed_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {len(self)} {self.RECORD}s)"

    # ---- what is in it

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def generation(self) -> int:
        """Grows by one with every change."""
        return self._store.generation

    @property
    def rows(self) -> int:
        """Row numbers in use, those of removed rows included."""
        return self._store.rows

    def ranks(self) -> NDArray[np.uint32]:
        """uint32[rows]: how many live rows have an id that is bytewise smaller; 2**32 - 1 for removed ones."""
        return ranks_over([self])[0]

    def id(self, row: int) -> str:
        return self.ids(np.array([row]))[0]

    def ids(self, rows: Rows) -> list[str]:
        """Ids of rows, in their order."""
        ids = np.empty(len(rows), object)
        for part, where, inside in self._store.split(rows):
            ids[where] = list(ids_of(part.segment, inside))
        found: list[str] = ids.tolist()
        return found

    def export(self) -> Iterator[C]:
        """All live rows, in batches of at most 65,536."""
        for part in self._store.parts:
            live = part.live()
            rows = np.arange(part.rows) if live is None else np.flatnonzero(live)
            for start in range(0, len(rows), self._export_rows()):
                yield self._reader(part).take(rows[start : start + self._export_rows()])

    # ---- change

    def _enrol(self, columns: C, *, replace: bool) -> Enrolment:
        """Enrols all rows in one durable step, as if one after the other."""
        self._store.compact(self._contents, self._segment_rows(), small_only=True)
        ids: Ids = (columns.ids.heap, columns.ids.offsets)
        order, first = _cpu.sort_ids(*ids)
        enrolled = self._store.find(ids)[order]  # from here on, arrays go by id: rows with the same id side by side
        known = enrolled != NO_ROW
        as_enrolled = np.zeros(len(order), bool)
        as_enrolled[known] = self._as_enrolled(columns, order[known], enrolled[known])
        # What stands under a row's id when its turn comes: the gallery's row, or an earlier row of the columns.
        after_row = ~first & (replace | ~known)
        (after,) = np.nonzero(after_row)
        before = after - 1 if replace else np.flatnonzero(first)[np.cumsum(first)[after] - 1]
        same = as_enrolled.copy()
        same[after] = self._equal(columns.take(order[after]), columns.take(order[before]))
        new = first & ~known
        changed = ~new & ~same
        written = np.append(first[1:], [True])[: len(order)] & ~as_enrolled if replace else new
        if written.any():
            chosen = columns if (written & (order == np.arange(len(order)))).all() else columns.take(order[written])
            self._store.commit([self._content(chosen)], remove=enrolled[written & known])
        return Enrolment(
            added=int(np.count_nonzero(new)),
            unchanged=int(np.count_nonzero(same)),
            replaced=int(np.count_nonzero(changed)) if replace else 0,
            rejected=[] if replace else sorted(_rejections(columns, order[changed], known[changed])),
        )

    def remove(self, ids: Iterable[str]) -> int:
        """Removes rows in one durable step; how many of the ids were there."""
        rows = self._find(ids)
        rows = np.unique(rows[rows != NO_ROW])
        if len(rows):
            self._store.commit(remove=rows)
        return len(rows)

    def compact(self) -> None:
        """Writes the live rows anew, ordered by id, in few segments: removed ones leave the disk."""
        self._store.compact(self._contents, self._segment_rows())

    @classmethod
    def verify(cls, path: str | Path) -> list[Problem]:
        """Reads every byte of the directory, of galleries that do not open, too; each problem names its file.

        Beyond the bytes: ids sorted and unique, and whether the columns are those of the records as enrolled.
        """
        return stores.verify(Path(path), cls.KIND, cls._wrong_rows)

    # ---- what a kind says of itself

    @classmethod
    @abstractmethod
    def _made_by(cls) -> dict[str, str]:
        """Kept in the manifest: what wrote the gallery."""

    @staticmethod
    @abstractmethod
    def _opened(segment: Segment) -> Reader[C]:
        """GalleryError where another rule made the segment's columns."""

    @staticmethod
    @abstractmethod
    def _content(columns: C) -> Content:
        """Rows are sorted by id."""

    @staticmethod
    @abstractmethod
    def _equal(a: C, b: C) -> NDArray[np.bool_]:
        """Row by row: the same content; ids are not looked at."""

    @staticmethod
    @abstractmethod
    def _concat(parts: Sequence[C]) -> C | None:
        """All rows of all parts; None where they are too many for one segment."""

    @staticmethod
    @abstractmethod
    def _wrong_rows(part: Part) -> Iterator[str]:
        """What is wrong with the records of a part whose bytes are sound."""

    def _segment_rows(self) -> int:
        """Rows of the segments that compact() writes."""
        return stores.SEGMENT_ROWS

    def _export_rows(self) -> int:
        return EXPORT_ROWS

    # ---- within

    def _reader(self, part: Part) -> Reader[C]:
        if part.segment not in self._read:
            current = {other.segment for other in self._store.parts}
            self._read = {segment: read for segment, read in self._read.items() if segment in current}
            self._read[part.segment] = self._opened(part.segment)
        return self._read[part.segment]

    def _live(self, which: int | str) -> C:
        """The live row of a number or id, alone. GalleryError when there is none."""
        row = int(self._find([which])[0]) if isinstance(which, str) else which
        if row == NO_ROW or not 0 <= row < self.rows:
            raise GalleryError(f"{self.path}: no {self.RECORD} {which!r}: it was never enrolled, or it was removed")
        ((part, _, inside),) = self._store.split(np.array([row]))
        if not part.is_live(inside)[0]:
            raise GalleryError(f"{self.path}: row {row} is of a removed {self.RECORD}")
        return self._reader(part).take(inside)

    def _find(self, ids: Iterable[str]) -> NDArray[np.uint32]:
        """Live row of each id or NO_ROW; a text that is no Unicode (lone surrogates) is never there."""
        encoded = [id.encode(errors="surrogatepass") for id in ids]
        offsets = np.zeros(len(encoded) + 1, np.uint64)
        offsets[1:] = np.cumsum([len(id) for id in encoded], dtype=np.uint64)
        return self._store.find((np.frombuffer(b"".join(encoded), np.uint8), offsets))

    def _as_enrolled(self, columns: C, rows: Rows, enrolled: Rows) -> NDArray[np.bool_]:
        """Whether each of the rows has the same content as the gallery's row beside it."""
        same = np.zeros(len(rows), bool)
        for part, where, inside in self._store.split(enrolled):
            same[where] = self._equal(columns.take(rows[where]), self._reader(part).take(inside))
        return same

    def _contents(self, rows: Rows) -> Iterator[Content]:
        """New segments from rows of the gallery, in the order given."""
        pieces, places = [], []
        for part, where, inside in self._store.split(rows):
            pieces.append(self._reader(part).take(inside))
            places.append(where)
        columns = self._concat(pieces)
        if columns is None:
            yield from self._contents(rows[: len(rows) // 2])
            yield from self._contents(rows[len(rows) // 2 :])
        else:
            yield self._content(columns.take(np.argsort(np.concatenate(places))))


def ranks_over(galleries: Sequence[Gallery[C]]) -> list[NDArray[np.uint32]]:
    """The ranks() of each gallery over all of them; equal ids have equal ranks."""
    ranks = stores.rank([part for gallery in galleries for part in gallery._store.parts])
    return np.split(ranks, np.cumsum([gallery.rows for gallery in galleries])[:-1])


def ids_of(segment: Segment, rows: Rows) -> Strings:
    if len(rows) <= _FEW_ROWS:
        return Strings.from_list(segment.text("ids", row).decode() for row in rows.tolist())
    return Strings(*segment.texts("ids")).take(rows)


def unsound_ids(ids: Strings) -> Iterator[str]:
    """What keeps texts from being ids: each is printable, not empty, and has no spaces around it."""
    heap, offsets = ids.heap, ids.offsets
    n = len(ids)
    if n and ((np.diff(offsets) == 0).any() or ((heap[offsets[1:] - 1] == 32) | (heap[offsets[:-1]] == 32)).any()):
        yield "an id is empty, or has spaces around it"
    try:
        if not heap.tobytes().decode().isprintable() or (n and ((heap[offsets[:-1]] & 0xC0) == 0x80).any()):
            yield "an id is not a text of printable characters"
    except UnicodeDecodeError:
        yield "an id is not a text in UTF-8"


def version() -> str:
    import pcc_match  # which imports this module

    return pcc_match.__version__


def _rejections(columns: Columns, rows: Rows, known: NDArray[np.bool_]) -> Iterator[Rejected]:
    for row, id, in_gallery in zip(rows.tolist(), columns.ids.take(rows), known.tolist(), strict=True):
        where = "the gallery holds" if in_gallery else "an earlier row has"
        yield Rejected(row, id, f"{where} other content under this id: give it another id, or enrol with replace")
