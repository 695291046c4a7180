from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

def isa() -> str: ...
def set_isa(name: str) -> None: ...
def available_isas() -> list[str]: ...
def compare_dna(a: NDArray[np.uint8], b: NDArray[np.uint8], rule: Sequence[int]) -> NDArray[np.uint16]: ...
def compare_stringency(a: NDArray[np.uint8], b: NDArray[np.uint8], rule: Sequence[int]) -> NDArray[np.uint16]: ...
def compare_mixture(a: NDArray[np.uint64], b: NDArray[np.uint8], rule: Sequence[int]) -> NDArray[np.uint16]: ...
def max_differing(rule: Sequence[int]) -> int | None: ...

class IdIndex:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(
        self, heap: NDArray[np.uint8], offsets: NDArray[np.uint64], live: NDArray[np.uint8] | None, first_row: int
    ) -> None: ...
    def find(self, heap: NDArray[np.uint8], offsets: NDArray[np.uint64]) -> NDArray[np.uint32]: ...

def sort_ids(heap: NDArray[np.uint8], offsets: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]: ...
def rank_ids(
    columns: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint8] | None]],
) -> NDArray[np.uint32]: ...
def minutiae_rows(field: bytes, number: int) -> NDArray[np.int32] | None: ...

class DnaIndex:
    def __init__(
        self,
        parts: Sequence[tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8] | None]],
        loci: int,
        *,
        threads: int = 1,
        rare_per_million: int = 500,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def loci(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def order(self) -> NDArray[np.uint32]: ...
    @property
    def allele_line(self) -> NDArray[np.uint8]: ...
    @property
    def groups(self) -> NDArray[np.void]: ...
    @property
    def base(self) -> NDArray[np.uint16]: ...
    @property
    def first_key(self) -> NDArray[np.uint16]: ...
    @property
    def lines(self) -> NDArray[np.uint64]: ...
    @property
    def codes(self) -> NDArray[np.uint8]: ...
    @property
    def row_of_slot(self) -> NDArray[np.uint32]: ...
    def search(
        self,
        probes: NDArray[np.uint8] | NDArray[np.uint64],
        rule: Sequence[int],
        first_block: int = 0,
        last_block: int = 0xFFFFFFFF,
    ) -> NDArray[np.void]: ...

class DnaRematch:
    def __init__(
        self,
        here: DnaIndex,
        against: DnaIndex | None,
        rule: Sequence[int],
        new_rows: NDArray[np.uint8] | None = None,
        ways: str = "cheapest",
    ) -> None: ...
    @property
    def costs(self) -> NDArray[np.float64]: ...
    def run(self, task: int) -> NDArray[np.void]: ...

class DnaMatrix:
    def __init__(self, codes: NDArray[np.uint8], against: NDArray[np.uint8] | None) -> None: ...
    @property
    def blocks(self) -> int: ...
    def count(self, block: int, at_least: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]: ...

def used_texts(numbers: NDArray[np.uint16], texts: int) -> NDArray[np.bool_]: ...

_Prints = tuple[
    NDArray[np.uint64],
    NDArray[np.int16],
    NDArray[np.int16],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.int16],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.int16],
    NDArray[np.int16],
    NDArray[np.int16],
]

class SynthFingers:
    def __init__(
        self,
        master_key: int,
        impression_key: int,
        model: Sequence[int],
        patterns: NDArray[np.int32],
        captures: NDArray[np.int32],
        sine: NDArray[np.int16],
        arctangent: NDArray[np.uint16],
    ) -> None: ...
    def flow(
        self, finger: int, step: int, rows: int, columns: int
    ) -> tuple[int, int, int, NDArray[np.int32], NDArray[np.uint16]]: ...
    def masters(self, first: int, count: int) -> _Prints: ...
    def impressions(self, first: int, count: int, first_impression: int, impressions: int) -> _Prints: ...

def csv_record(data: bytes | memoryview, delimiter: str, last: bool) -> tuple[list[bytes], int, int] | None: ...
def csv_rows(
    data: bytes | memoryview,
    delimiter: str,
    last: bool,
    columns: Sequence[tuple[int, int]],
    widths: Sequence[int],
    max_rows: int,
) -> tuple[
    list[tuple[bytes, NDArray[np.uint64], NDArray[np.uint16]]],
    NDArray[np.uint64],
    NDArray[np.uint64],
    NDArray[np.uint64],
    NDArray[np.int32],
    int,
    int,
    bool,
]: ...

WSQ_SIDES: tuple[int, int]

def wsq_header(data: NDArray[np.uint8]) -> tuple[int, int, list[bytes]]: ...
def wsq_decode(data: NDArray[np.uint8], pixel_limit: int) -> NDArray[np.uint8]: ...
def wsq_encode(pixels: NDArray[np.uint8], ppi: int, ratio: float) -> bytes: ...
def lossless_jpeg_decode(data: NDArray[np.uint8], pixel_limit: int) -> NDArray[np.uint8]: ...
def resample(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]: ...
def extract_print(image: NDArray[np.uint8], set: int) -> dict[str, NDArray[Any]]: ...

EXTRACT_CELL: int

def pack_fingers(
    x: NDArray[np.int16],
    y: NDArray[np.int16],
    angle: NDArray[np.uint8],
    quality: NDArray[np.uint8],
    offsets: NDArray[np.uint64],
) -> tuple[
    NDArray[np.uint32],
    NDArray[np.uint8],
    NDArray[np.int16],
    NDArray[np.int16],
    NDArray[np.uint8],
    NDArray[np.uint64],
    NDArray[np.uint32],
    NDArray[np.uint32],
    NDArray[np.uint16],
    NDArray[np.int16],
    NDArray[np.int16],
    NDArray[np.uint8],
    NDArray[np.uint32],
]: ...

class FingerFound(TypedDict):
    score: int
    swapped: bool
    candidates: int
    accepted: NDArray[np.uint8]
    agreement: int
    paired: NDArray[np.uint8]
    closeness: int
    overlap: tuple[int, int]
    resemblance: int
    left_early: bool
    pose: tuple[int, int, int, int, int, int, int]

class FingerSets:
    def __init__(
        self,
        start: NDArray[np.uint32],
        count: NDArray[np.uint8],
        left: NDArray[np.int16],
        top: NDArray[np.int16],
        cell: NDArray[np.uint8],
        order: NDArray[np.uint64],
        area: NDArray[np.uint32],
        words: NDArray[np.uint32],
        inverse: NDArray[np.uint16],
        x: NDArray[np.int16],
        y: NDArray[np.int16],
        direction: NDArray[np.uint8],
    ) -> None: ...
    def __len__(self) -> int: ...
    def compare(self, set: int, other: FingerSets, other_set: int, mode: int) -> FingerFound: ...
    def scores(
        self,
        sets: NDArray[np.uint32],
        first: int,
        last: int,
        references: FingerSets,
        reference_sets: NDArray[np.uint32],
        mode: int,
        stages: int = 5,
        wanted: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int32]: ...
