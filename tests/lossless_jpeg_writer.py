"""Lossless JPEG streams (ITU-T T.81 process 14) for tests: any predictor, restarts, scans of one or all components."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content


def _predict(selector: int, a: int, b: int, c: int) -> int:
    return (0, a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) // 2)[selector]


def _scan_bits(image: NDArray[np.uint8], selector: int, shift: int, rows_between_restarts: int) -> list[str]:
    """The bits of each restart interval; differences of n bits have the code n, in five bits."""
    values = image.astype(int) >> shift
    intervals = []
    for y, row in enumerate(values):
        first = y % rows_between_restarts == 0 if rows_between_restarts else y == 0
        if first:
            intervals.append("")
        for x, pixel in enumerate(row):
            for i, value in enumerate(pixel):
                if first:
                    predicted = row[x - 1][i] if x else 1 << (7 - shift)
                elif x == 0:
                    predicted = values[y - 1][0][i]
                else:
                    predicted = _predict(selector, row[x - 1][i], values[y - 1][x][i], values[y - 1][x - 1][i])
                difference = int(value - predicted)
                size = abs(difference).bit_length()
                intervals[-1] += format(size, "05b")
                if size:
                    intervals[-1] += format(difference if difference > 0 else difference + (1 << size) - 1, f"0{size}b")
    return intervals


def _pack(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")


def write(
    image: NDArray[np.uint8],
    selector: int = 4,
    *,
    shift: int = 0,
    rows_between_restarts: int = 0,
    interleaved: bool = True,
    table_class: int = 0,
) -> bytes:
    """A stream of uint8 (height, width, components). `table_class` 1 is what NIST's encoder declares."""
    height, width, components = image.shape
    frame = struct.pack(">BHHB", 8, height, width, components) + b"".join(
        bytes((i + 1, 0x11, 0)) for i in range(components)
    )
    lengths = bytes([0, 0, 0, 0, 17, *[0] * 11])
    out = b"\xff\xd8" + _segment(0xFFC3, frame)
    out += _segment(0xFFC4, bytes([table_class << 4]) + lengths + bytes(range(17)))
    if rows_between_restarts:
        out += _segment(0xFFDD, struct.pack(">H", rows_between_restarts * width))
    for group in [range(components)] if interleaved else [[i] for i in range(components)]:
        header = bytes([len(group)]) + b"".join(bytes((i + 1, 0)) for i in group) + bytes((selector, 0, shift))
        intervals = _scan_bits(image[:, :, list(group)], selector, shift, rows_between_restarts)
        out += _segment(0xFFDA, header) + _pack(intervals[0])
        for n, bits in enumerate(intervals[1:]):
            out += bytes((0xFF, 0xD0 + n % 8)) + _pack(bits)
    return out + b"\xff\xd9"
