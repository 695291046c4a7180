"""A directory of immutable segments and one manifest: crash-safe, one writer, many readers. Knows no kind of record.

    manifest.json           which files count, their rows and digests; replaced atomically: the only moment of commit
    segment-00000007.pcc    columns of records, sorted by id (segment.py)
    removed-00000009.pcc    numbers of the rows of one segment that no longer count

A change writes new files, forces them and the directory to disk, then replaces the manifest. Files that no manifest
names are left over from an interrupted change: readers never see them, the next writer deletes them. The writer holds a
lock on the directory itself (flock), which ends with its process however that ends. Readers take no lock: what they
have mapped stays theirs when compact() deletes the file.
"""

import fcntl
import hashlib
import json
import os
import re
import weakref
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.errors import GalleryError
from pcc_match.gallery.segment import Array, Problem, Segment, Tables, write_segment

FORMAT = 1
MANIFEST = "manifest.json"
NO_ROW = 0xFFFFFFFF
SEGMENT_ROWS = 1 << 19  # rows of the segments that compact() writes, as a rule (80 MB of DNA profiles at 24 loci)
SMALL_SEGMENTS = 64  # more segments than this, each of less than half that size, are merged: open stays fast

_NEW_MANIFEST = MANIFEST + ".new"
_OWN_FILE = re.compile(r"(segment|removed)-\d{8}\.pcc")
_BISECTION = 1000  # looking for an id in a segment costs as much as putting this many rows into an index
_SEAL = b',\n "sha256": "%s"\n}\n'  # ends the manifest: SHA-256 of all bytes before it

Rows = NDArray[Any]  # row numbers over all segments in their order; removed rows keep theirs until compact()
Ids = tuple[NDArray[np.uint8], NDArray[np.uint64]]  # heap of UTF-8 bytes, offsets[n + 1]


@dataclass(frozen=True)
class Content:
    """What one segment will hold. `arrays` has the texts `ids`; the rows are sorted by them, strictly."""

    arrays: Mapping[str, Array]
    tables: Tables


@dataclass(frozen=True)
class _File:
    """A file as the manifest names it: rows, digest of its header, and the file of its removed rows."""

    file: str
    rows: int
    sha256: str
    removed: "_File | None" = None


@dataclass(frozen=True)
class _Manifest:
    kind: str
    made_by: Mapping[str, str]
    generation: int = 0
    next_file: int = 1
    segments: tuple[_File, ...] = ()

    def text(self) -> bytes:
        text = json.dumps({"pcc_match": "gallery", "format": FORMAT} | asdict(self), indent=1)[: -len("\n}")].encode()
        return text + _SEAL % hashlib.sha256(text).hexdigest().encode()

    @classmethod
    def read(cls, directory: Path) -> Self:
        path = directory / MANIFEST
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raise GalleryError(f"{directory}: not a gallery (it has no {MANIFEST}): create one first") from None
        except OSError as error:
            raise GalleryError(f"{path}: cannot be read: {error.strerror}") from error
        text = raw[: -len(_SEAL % (b"0" * 64))]
        if raw != text + _SEAL % hashlib.sha256(text).hexdigest().encode():
            raise GalleryError(f"{path}: damaged, or not a gallery's manifest: restore it from a copy")
        try:
            body = json.loads(raw)
            if body["format"] != FORMAT:
                raise GalleryError(
                    f"{path}: gallery format {body['format']}; this library reads format {FORMAT}: "
                    "open it with the newer pcc_match that wrote it"
                )
            segments = tuple(
                _File(entry["file"], entry["rows"], entry["sha256"], entry["removed"] and _File(**entry["removed"]))
                for entry in body["segments"]
            )
            manifest = cls(body["kind"], body["made_by"], body["generation"], body["next_file"], segments)
            if not all(_OWN_FILE.fullmatch(name) for name in manifest.files()):
                raise ValueError("names of files")
        except (KeyError, TypeError, ValueError) as error:
            raise GalleryError(f"{path}: not a gallery's manifest ({error}): restore it from a copy") from error
        return manifest

    def files(self) -> set[str]:
        return {entry.file for s in self.segments for entry in (s, s.removed) if entry}


@dataclass(frozen=True)
class Part:
    """A segment in its place: its rows are first_row .. first_row + rows - 1 of the gallery."""

    segment: Segment
    removed: Segment | None
    first_row: int
    rows: int

    def live(self) -> NDArray[np.uint8] | None:
        """uint8[rows], 1 for each row that counts; None = all."""
        if self.removed is None:
            return None
        live = np.ones(self.rows, np.uint8)
        live[self.removed.column("rows")] = 0
        return live

    def is_live(self, rows: Rows) -> NDArray[np.bool_]:
        """For rows counted within the segment."""
        if self.removed is None:
            return np.ones(len(rows), bool)
        removed = self.removed.column("rows")  # ascending
        nearest = np.minimum(np.searchsorted(removed, rows), len(removed) - 1)
        live: NDArray[np.bool_] = removed[nearest] != rows
        return live


class Store:
    """Opened by create() or open(); a writer keeps its lock until close()."""

    parts: tuple[Part, ...]

    def __init__(self, path: Path, kind: str, lock: int | None = None, check: Literal["lazy", "all"] = "lazy") -> None:
        self.path = path
        self._unlock = None if lock is None else weakref.finalize(self, os.close, lock)
        self.parts = ()
        self._index = _cpu.IdIndex()
        self._indexed = 0  # parts in the index
        self._load()
        try:
            if self.kind != kind:
                raise GalleryError(f"{path}: this gallery holds records of kind '{self.kind}', not '{kind}'")
            for file in self._files() if check == "all" else ():
                for problem in file.problems():
                    raise GalleryError(f"{path / problem.file}: {problem.what}")
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path, kind: str, made_by: Mapping[str, str]) -> Self:
        """A new, empty store, open for writing, in a directory that is new or empty."""
        try:
            path.mkdir(exist_ok=True)
            lock = _lock(path)
            try:
                if any(file.name != _NEW_MANIFEST for file in path.iterdir()):
                    raise GalleryError(f"{path}: the directory is not empty: choose a new one for the gallery")
                _write_manifest(path, _Manifest(kind, made_by))
                _sync_directory(path.absolute().parent)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise GalleryError(f"{path}: the gallery cannot be created: {error.strerror}") from error
        return cls(path, kind, lock)

    @classmethod
    def open(cls, path: Path, kind: str, *, write: bool = False, check: Literal["lazy", "all"] = "lazy") -> Self:
        """check="lazy": manifest, headers, sizes now, each block before its first use; "all": every byte now."""
        if not path.is_dir():
            raise GalleryError(f"{path}: no such directory: create the gallery first")
        try:
            lock = _lock(path) if write else None
        except OSError as error:
            raise GalleryError(f"{path}: cannot be locked for writing: {error.strerror}") from error
        return cls(path, kind, lock, check)

    def close(self) -> None:
        """Ends writing: another process may write. Reading goes on."""
        if self._unlock is not None:
            self._unlock()

    # ---- what is in it

    @property
    def kind(self) -> str:
        return self._manifest.kind

    @property
    def made_by(self) -> Mapping[str, str]:
        return self._manifest.made_by

    @property
    def generation(self) -> int:
        """Grows by one with every change; row numbers hold within one generation."""
        return self._manifest.generation

    @property
    def rows(self) -> int:
        """All rows, removed ones included."""
        return sum(entry.rows for entry in self._manifest.segments)

    @property
    def removed_rows(self) -> int:
        return sum(entry.removed.rows for entry in self._manifest.segments if entry.removed)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self._files())

    def split(self, rows: Rows) -> Iterator[tuple[Part, NDArray[np.intp], Rows]]:
        """For each part that has some of the rows: (part, where in `rows` they stand, their numbers in the part)."""
        rows = rows.astype(np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise IndexError(f"{self.path}: rows are 0 .. {self.rows - 1}")
        owner = np.searchsorted(np.array([part.first_row for part in self.parts]), rows, side="right") - 1
        by_owner = np.argsort(owner, kind="stable")
        for where in np.split(by_owner, np.flatnonzero(np.diff(owner[by_owner])) + 1):
            if len(where):
                part = self.parts[owner[where[0]]]
                yield part, where, rows[where] - part.first_row

    def find(self, ids: Ids) -> NDArray[np.uint32]:
        """Live row of each id, or NO_ROW."""
        heap, offsets = ids
        count = len(offsets) - 1
        if self._indexed or count * len(self.parts) * _BISECTION >= self.rows:
            for part in self.parts[self._indexed :]:
                self._index.add(*part.segment.texts("ids"), part.live(), part.first_row)
                self._indexed += 1
            rows = self._index.find(heap, offsets)
            known = np.flatnonzero(rows != NO_ROW)
            for part, where, inside in self.split(rows[known]):
                rows[known[where[~part.is_live(inside)]]] = NO_ROW
            return rows
        rows = np.full(count, NO_ROW, np.uint32)
        for i in range(count):
            id = heap[offsets[i] : offsets[i + 1]].tobytes()
            for part in self.parts:
                id_at = partial(part.segment.text, "ids")
                row = bisect_left(range(part.rows), id, key=id_at)
                if row < part.rows and id_at(row) == id and part.is_live(np.array([row]))[0]:
                    rows[i] = part.first_row + row
        return rows

    # ---- change

    def commit(
        self, contents: Iterable[Content] = (), *, remove: Rows | None = None, drop: Collection[int] = ()
    ) -> None:
        """Adds segments, removes rows and drops whole parts (by number) in one durable step; all of it or nothing."""
        old = self._manifest
        number = old.next_file
        entries: list[_File] = []

        def write(kind: str, content: Content, rows: int) -> _File:
            nonlocal number
            name = f"{kind}-{number:08d}.pcc"
            number += 1
            return _File(name, rows, write_segment(self.path / name, content.arrays, content.tables))

        self._require_writer()
        gone = {} if remove is None else {part.first_row: inside for part, _, inside in self.split(remove)}
        try:
            for k, (part, entry) in enumerate(zip(self.parts, old.segments, strict=True)):
                if k in drop:
                    continue
                if part.first_row in gone:
                    before = part.removed.column("rows") if part.removed else np.empty(0, np.uint32)
                    rows = np.union1d(before, gone[part.first_row]).astype(np.uint32)
                    entry = replace(entry, removed=write("removed", Content({"rows": rows}, {}), len(rows)))
                entries.append(entry)
            for content in contents:
                rows_added = len(content.arrays["ids_offsets"]) - 1
                if rows_added:
                    entries.append(write("segment", content, rows_added))
            if sum(entry.rows for entry in entries) >= NO_ROW:
                raise GalleryError(f"{self.path}: a gallery holds at most {NO_ROW - 1} rows: begin another one")
            new = replace(old, generation=old.generation + 1, next_file=number, segments=tuple(entries))
            _sync_directory(self.path)  # the files' names must be durable before the manifest that relies on them
            _write_manifest(self.path, new)
        except BaseException as error:
            self._load()  # what counts is the manifest on disk: take it over, delete what it does not name
            if not isinstance(error, OSError):
                raise
            what = "nothing changed" if self._manifest == old else "changed, but that may not outlast a power failure"
            raise GalleryError(f"{self.path}: cannot write: {error.strerror}: {what}") from error
        self._load()

    def compact(
        self, rewrite: Callable[[Rows], Iterable[Content]], segment_rows: int, *, small_only: bool = False
    ) -> None:
        """Writes the live rows anew, by id, into few segments; `rewrite` gives segments of some rows, in order."""
        drop = [k for k, part in enumerate(self.parts) if not small_only or part.rows < segment_rows // 2]
        if small_only and len(drop) <= SMALL_SEGMENTS:
            return
        rows = sum(self.parts[k].rows for k in drop)
        if all(self.parts[k].removed is None for k in drop) and len(drop) <= -(-rows // segment_rows):
            return
        ranks = rank([self.parts[k] for k in drop])
        numbers = np.concatenate([np.arange(p.first_row, p.first_row + p.rows) for p in (self.parts[k] for k in drop)])
        live = ranks != NO_ROW
        order = np.empty(np.count_nonzero(live), np.uint32)
        order[ranks[live]] = numbers[live]
        chunks = (order[i : i + segment_rows] for i in range(0, len(order), segment_rows))
        self.commit((content for chunk in chunks for content in rewrite(chunk)), drop=drop)

    def _require_writer(self) -> None:
        if self._unlock is None or not self._unlock.alive:
            raise GalleryError(f"{self.path}: opened for reading: open it with write=True to change it")

    # ---- files

    def _files(self) -> Iterator[Segment]:
        for part in self.parts:
            yield part.segment
            if part.removed:
                yield part.removed

    def _load(self) -> None:
        """Takes over the manifest on disk; what is mapped already stays mapped, with what was checked of it."""
        known = {file.path.name: file for file in self._files()}
        indexed = [part.segment for part in self.parts[: self._indexed]]
        try:
            self._manifest, self.parts = _snapshot(self.path, known)
            if indexed != [part.segment for part in self.parts[: self._indexed]]:
                self._index, self._indexed = _cpu.IdIndex(), 0
            if self._unlock is not None:
                for name in _strays(self.path, self._manifest, own=True):
                    (self.path / name).unlink()
        except BaseException as error:
            self.close()  # what this object knows may be old: it must not write any more
            if isinstance(error, OSError):
                raise GalleryError(f"{error.filename or self.path}: {error.strerror}") from error
            raise


def kind_of(path: Path) -> str:
    """What kind of records a gallery holds; GalleryError where it is none, or its manifest is damaged."""
    return _Manifest.read(path).kind


def rank(parts: Sequence[Part]) -> NDArray[np.uint32]:
    """Rank of each row's id, bytewise, over all the parts (of one gallery or several), one part after the other.

    Removed rows have NO_ROW; equal ids (of two galleries) have equal ranks.
    """
    return _cpu.rank_ids([(*part.segment.texts("ids"), part.live()) for part in parts])


def verify(path: Path, kind: str, meaning: Callable[[Part], Iterable[str]]) -> list[Problem]:
    """Reads every byte of the directory. `meaning` tells what is wrong with the records of a part with sound bytes."""
    try:
        manifest, files = _open_all(path)
    except GalleryError as error:
        return [Problem(MANIFEST, str(error).removeprefix(f"{path / MANIFEST}: "))]
    if manifest.kind != kind:
        return [Problem(MANIFEST, f"the gallery holds records of kind '{manifest.kind}', not '{kind}'")]
    problems: list[Problem] = []
    seen = _cpu.IdIndex()
    first_row = 0
    for entry in manifest.segments:
        segment, removed = files[entry.file], files[entry.removed.file] if entry.removed else None
        found = [file for file in (segment, removed) if isinstance(file, Problem)]
        found += [problem for file in (segment, removed) if isinstance(file, Segment) for problem in file.problems()]
        if isinstance(segment, Segment) and not isinstance(removed, Problem) and not found:
            part = Part(segment, removed, first_row, entry.rows)
            found += [Problem(entry.file, what) for what in (*_wrong_rows(part, entry, seen), *meaning(part))]
        problems += found
        first_row += entry.rows
    ours = "of a change that was interrupted (the next writer deletes it) or is under way"
    own = _strays(path, manifest, own=True)
    for name in _strays(path, manifest, own=False):
        why = ours if name in own else "not the gallery's"
        problems.append(Problem(name, f"the manifest does not name this file: {why}", harmless=True))
    return problems


def _open_all(path: Path) -> tuple[_Manifest, dict[str, Segment | Problem]]:
    """As _snapshot, but goes on where a file cannot be opened."""
    while True:
        manifest = _Manifest.read(path)
        files: dict[str, Segment | Problem] = {}
        for file in (file for entry in manifest.segments for file in (entry, entry.removed) if file):
            try:
                files[file.file] = Segment(path / file.file, file.sha256)
            except GalleryError as error:
                files[file.file] = Problem(file.file, str(error).removeprefix(f"{path / file.file}: "))
            except OSError as error:
                files[file.file] = Problem(file.file, f"{error.strerror}: restore the file from a copy")
        damaged = any(isinstance(file, Problem) for file in files.values())
        if not damaged or _Manifest.read(path) == manifest:  # else a writer has compacted in between: look again
            return manifest, files


def _wrong_rows(part: Part, entry: _File, seen: _cpu.IdIndex) -> Iterator[str]:
    """What disagrees though each byte is as it was written. `seen` gathers the live ids of all parts."""
    heap, offsets = part.segment.texts("ids")
    if len(offsets) - 1 != entry.rows:
        yield f"{len(offsets) - 1} ids, the manifest counts {entry.rows} rows"
        return
    try:
        order, first = _cpu.sort_ids(heap, offsets)
    except ValueError as error:
        yield str(error)
        return
    if not first.all() or (order[1:] < order[:-1]).any():
        yield "the ids are not sorted, or one is there twice"
        return
    if part.removed is not None and entry.removed is not None:
        removed = part.removed.column("rows")
        if len(removed) != entry.removed.rows or (np.diff(removed.astype(np.int64), append=entry.rows) <= 0).any():
            yield "its file of removed rows does not name rows of it, each once"
            return
    again = np.flatnonzero((seen.find(heap, offsets) != NO_ROW) & (part.is_live(np.arange(entry.rows))))
    for row in again[:10].tolist():
        yield f"id {part.segment.text('ids', row)!r} is live in an earlier segment, too"
    seen.add(heap, offsets, part.live(), part.first_row)


def _strays(path: Path, manifest: _Manifest, *, own: bool) -> list[str]:
    """Files that the manifest does not name; own: only those that a writer of this library leaves."""
    names = {file.name for file in path.iterdir()} - manifest.files() - {MANIFEST}
    return sorted(name for name in names if not own or name == _NEW_MANIFEST or _OWN_FILE.fullmatch(name))


def _snapshot(path: Path, known: Mapping[str, Segment]) -> tuple[_Manifest, tuple[Part, ...]]:
    """The manifest and all that it names, mapped: from then on nothing that a writer does touches it."""

    def opened(file: _File) -> Segment:
        return known.get(file.file) or Segment(path / file.file, file.sha256)

    while True:
        manifest = _Manifest.read(path)
        parts: list[Part] = []
        first_row = 0
        try:
            for entry in manifest.segments:
                removed = opened(entry.removed) if entry.removed else None
                parts.append(Part(opened(entry), removed, first_row, entry.rows))
                first_row += entry.rows
            return manifest, tuple(parts)
        except FileNotFoundError as error:
            if _Manifest.read(path) == manifest:  # else a writer has compacted in between: look again
                raise GalleryError(f"{error.filename}: missing: restore the file from a copy") from error


def _write_manifest(path: Path, manifest: _Manifest) -> None:
    with open(path / _NEW_MANIFEST, "wb") as file:
        file.write(manifest.text())
        file.flush()
        os.fsync(file.fileno())
    os.replace(path / _NEW_MANIFEST, path / MANIFEST)
    _sync_directory(path)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(path: Path) -> int:
    """The writer's lock: a descriptor of the directory; closing it, or the end of the process, ends the lock."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _lock_holder(directory)
        os.close(directory)
        raise GalleryError(
            f"{path}: {holder} is writing to this gallery, and it takes one writer at a time: "
            "wait until it has ended, or end it (what it was told is done stays done)"
        ) from None
    except BaseException:
        os.close(directory)
        raise
    return directory


def _lock_holder(directory: int) -> str:
    """Linux lists the locks with the process and the inode (proc(5), /proc/locks)."""
    try:
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        locks = []
    for line in locks:
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{os.fstat(directory).st_ino}"):
            return f"process {fields[4]}"
    return "another process"
