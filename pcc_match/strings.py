"""Many texts as two arrays: how columns, files and galleries keep ids and other texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Strings:
    """Texts in one UTF-8 heap: text i is heap[offsets[i]:offsets[i + 1]]."""

    heap: NDArray[np.uint8]
    offsets: NDArray[np.uint64]  # len(self) + 1

    @classmethod
    def from_list(cls, texts: Iterable[str]) -> "Strings":
        texts = list(texts)
        joined = "".join(texts)
        lengths = map(len, texts if joined.isascii() else [text.encode() for text in texts])
        return cls(np.frombuffer(joined.encode(), np.uint8), _offsets(np.fromiter(lengths, np.uint64, len(texts))))

    @classmethod
    def from_bytes(cls, texts: Iterable[bytes]) -> "Strings":
        texts = list(texts)
        return cls(
            np.frombuffer(b"".join(texts), np.uint8), _offsets(np.fromiter(map(len, texts), np.uint64, len(texts)))
        )

    @classmethod
    def concat(cls, parts: Sequence["Strings"]) -> "Strings":
        lengths = [np.diff(part.offsets) for part in parts]
        heaps = [part.heap[int(part.offsets[0]) : int(part.offsets[-1])] for part in parts]
        return cls(
            np.concatenate([np.empty(0, np.uint8), *heaps]),
            _offsets(np.concatenate([np.empty(0, np.uint64), *lengths])),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return self.raw(index).decode()

    def raw(self, index: int) -> bytes:
        index = range(len(self))[index]
        return self.heap[int(self.offsets[index]) : int(self.offsets[index + 1])].tobytes()

    def __iter__(self) -> Iterator[str]:
        heap = self.heap.tobytes()
        return (heap[start:end].decode() for start, end in pairwise(self.offsets.tolist()))

    def take(self, rows: NDArray[Any]) -> "Strings":
        """The texts of those rows (indices, or a boolean mask), in that order."""
        rows = np.arange(len(self))[rows]
        starts = self.offsets[:-1][rows]
        offsets = _offsets(self.offsets[1:][rows] - starts)
        shift = np.repeat(starts - offsets[:-1], np.diff(offsets).astype(np.intp))  # wraps around, and back
        return Strings(self.heap[np.arange(len(shift), dtype=np.uint64) + shift], offsets)


def _offsets(lengths: NDArray[Any]) -> NDArray[np.uint64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.uint64)
    np.cumsum(lengths, dtype=np.uint64, out=offsets[1:])
    return offsets
