"""One immutable file of columns: written once, mapped read-only, every byte under a checksum.

    magic (8 bytes) | header length (uint64, little-endian) | header (JSON, padded with spaces) | body

The body holds the arrays at 64-byte aligned offsets; gaps are zero. The header lists them and the SHA-256 of every
1 MiB block of the body; the manifest (store.py) keeps the SHA-256 of all that stands before the body. So a flipped byte
is found wherever it is, and a reader pays only for the blocks that it uses. Texts are two arrays: NAME, a heap of UTF-8
bytes, and NAME_offsets, uint64[n + 1].
"""

import hashlib
import json
import math
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import GalleryError

FORMAT = 1
MAGIC = b"\x89PCCseg\n"  # a high bit and a line end: a transfer in text mode shows at once
BLOCK = 1 << 20
ALIGNMENT = 64
_PREFIX = len(MAGIC) + 8
_MAX_HEADER = 1 << 28
_PARALLEL_BLOCKS = 8
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Array = NDArray[Any]
Tables = Mapping[str, Any]  # JSON values that say what the columns mean


@dataclass(frozen=True)
class Problem:
    """One finding of verify(): the file, what is wrong in it and where, what to do."""

    file: str
    what: str
    harmless: bool = False  # nothing that an answer rests on

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def _block_digests(pieces: list[memoryview]) -> list[str]:
    """SHA-256 of every BLOCK bytes of the concatenated pieces; a block may span several pieces."""
    blocks: list[list[memoryview]] = []
    room = 0
    for piece in pieces:
        while len(piece):
            if room == 0:
                blocks.append([])
                room = BLOCK
            blocks[-1].append(piece[:room])
            piece = piece[room:]
            room -= len(blocks[-1][-1])

    def digest(block: list[memoryview]) -> str:
        sha = hashlib.sha256()
        for part in block:
            sha.update(part)
        return sha.hexdigest()

    return _for_each(digest, blocks)


def _for_each(work: Callable[[_Item], _Result], items: list[_Item]) -> list[_Result]:
    """[work(item), ...]; many items on all cores (hashlib releases the GIL)."""
    if len(items) < _PARALLEL_BLOCKS:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # a tenth of the time that importing pcc_match takes

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))


def write_segment(path: Path, arrays: Mapping[str, Array], tables: Tables) -> str:
    """Write a new file and force it to disk; returns the SHA-256 of all before the body, for the manifest.

    The caller makes the name durable (fsync of the directory) and removes the file when this fails: OSError.
    """
    pieces: list[memoryview] = []
    layout: dict[str, Any] = {}
    size = 0
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        layout[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "offset": size}
        padding = bytes(-array.nbytes % ALIGNMENT)
        pieces += [array.reshape(-1).view(np.uint8).data, memoryview(padding)]
        size += array.nbytes + len(padding)
    header = {
        "format": FORMAT,
        "arrays": layout,
        "tables": tables,
        "body": size,
        "sha256": _block_digests(pieces),
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(_PREFIX + len(text)) % ALIGNMENT)
    head = MAGIC + len(text).to_bytes(8, "little") + text
    with open(path, "xb") as file:
        file.write(head)
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(head).hexdigest()


class Segment:
    """A file of columns, open for reading. Bytes leave it only after their block's checksum was checked once."""

    def __init__(self, path: Path, digest: str) -> None:
        """`digest`: what write_segment returned. GalleryError on a damaged, foreign or newer file; OSError."""
        self.path = path
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            prefix = file.read(_PREFIX)
            if len(prefix) < _PREFIX or prefix[: len(MAGIC)] != MAGIC:
                raise self._error("not a gallery's segment, or damaged in its first bytes")
            length = int.from_bytes(prefix[len(MAGIC) :], "little")
            text = file.read(length) if length <= _MAX_HEADER else b""
            if len(text) != length or hashlib.sha256(prefix + text).hexdigest() != digest:
                raise self._error("the header is damaged, or the file is of another gallery")
            try:
                header = json.loads(text)
                if header["format"] != FORMAT:
                    raise GalleryError(
                        f"{path}: segment format {header['format']}, this library reads format {FORMAT}: "
                        "open the gallery with the newer pcc_match that wrote it"
                    )
                if size != _PREFIX + length + header["body"]:
                    raise self._error(f"cut or extended: {size} bytes instead of {_PREFIX + length + header['body']}")
                mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
                self.bytes = size
                self.tables: Tables = header["tables"]
                self._body = mapped[_PREFIX + length :]
                self._digests: list[str] = header["sha256"]
                self._offsets = {name: place["offset"] for name, place in header["arrays"].items()}
                self._arrays = {name: self._array(**place) for name, place in header["arrays"].items()}
            except (KeyError, TypeError, ValueError) as error:
                raise self._error(f"the header is not one of pcc_match ({error})") from error
        self._checked = np.zeros(-(-len(self._body) // BLOCK), bool)
        self._lock = threading.Lock()
        if len(self._checked) != len(self._digests):
            raise self._error("the header is not one of pcc_match (digests)")

    def _array(self, dtype: str, shape: list[int], offset: int) -> Array:
        size = np.dtype(dtype).itemsize * math.prod(shape)
        return self._body[offset : offset + size].view(dtype).reshape(shape)

    def _error(self, what: str) -> GalleryError:
        return GalleryError(f"{self.path}: {what}: restore the file from a copy, or build the gallery anew")

    def column(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows start..stop of a column, mapped, read-only; GalleryError names a damaged block among theirs."""
        array = self._arrays[name][start:stop]
        if array.nbytes:
            first = self._offsets[name] + start * array.strides[0]
            self._check(range(first // BLOCK, (first + array.nbytes - 1) // BLOCK + 1))
        return array

    def take(self, name: str, rows: NDArray[Any]) -> Array:
        """A copy of some rows of a column; only their blocks are checked."""
        array = self._arrays[name]
        width = array.nbytes // len(array) if len(array) else 0
        if width > BLOCK:
            self.column(name)
        elif len(rows) and width:
            first = self._offsets[name] + rows.astype(np.int64) * width
            touched = np.zeros(len(self._digests), bool)
            touched[first // BLOCK] = True
            touched[(first + width - 1) // BLOCK] = True
            self._check(np.flatnonzero(touched).tolist())
        taken: Array = array[rows]
        return taken

    def text(self, name: str, row: int) -> bytes:
        start, stop = self.column(f"{name}_offsets", row, row + 2).tolist()
        return self.column(name, start, stop).tobytes()

    def texts(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        """(heap, offsets) of a column of texts."""
        return self.column(name), self.column(f"{name}_offsets")

    def _check(self, blocks: Iterable[int]) -> None:
        todo = [block for block in blocks if not self._checked[block]]
        if not todo:
            return
        with self._lock:  # another thread may be hashing the same blocks: wait for it rather than hash twice
            todo = [block for block in todo if not self._checked[block]]
            for problem in self._damaged(todo):
                raise GalleryError(f"{self.path}: {problem.what}")
            self._checked[todo] = True

    def _damaged(self, blocks: list[int]) -> Iterator[Problem]:
        def good(block: int) -> bool:
            return hashlib.sha256(self._block(block).data).hexdigest() == self._digests[block]

        for block, fine in zip(blocks, _for_each(good, blocks), strict=True):
            if not fine:
                yield self._problem(block)

    def _block(self, block: int) -> Array:
        return self._body[block * BLOCK : (block + 1) * BLOCK]

    def _problem(self, block: int) -> Problem:
        start, stop = block * BLOCK, block * BLOCK + len(self._block(block))
        columns = [
            name
            for name, array in self._arrays.items()
            if self._offsets[name] < stop and self._offsets[name] + array.nbytes > start
        ]
        return Problem(
            self.path.name,
            f"damaged in block {block} (bytes {start}-{stop - 1} of the body; {', '.join(columns) or 'padding'}): "
            "restore the file from a copy, or build the gallery anew",
        )

    def problems(self) -> list[Problem]:
        """Every damaged block; reads all bytes again, whatever was checked before."""
        return list(self._damaged(list(range(len(self._digests)))))
