"""A slow WSQ decoder that reads like the standard (IAFIS-IC-0110), for tests to hold the real one to, pixel by pixel.

Arithmetic is float32 in the order of the sums below: the same results, not similar ones, are expected. Takes streams
apart into segments, too, so that tests can put others together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SOI, EOI, SOF, SOB, DTT, DQT, DHT, DRI, COM = range(0xFFA0, 0xFFA9)
F = np.float32
Plane = NDArray[np.float32]


# ---- segments ----


def split(stream: bytes) -> list[tuple[int, bytes, bytes]]:
    """(marker, content, entropy-coded data) of each segment between start and end marker."""
    assert stream[:2] == b"\xff\xa0"
    at, found = 2, []
    while stream[at : at + 2] != b"\xff\xa1":
        marker, length = struct.unpack_from(">HH", stream, at)
        end = at + 2 + length
        data = end
        while marker == SOB and not (stream[data] == 0xFF and 0xA0 <= stream[data + 1] < 0xB0):
            data += 1
        found.append((marker, stream[at + 4 : end], stream[end:data]))
        at = data
    return found


def join(segments: list[tuple[int, bytes, bytes]]) -> bytes:
    body = b"".join(struct.pack(">HH", marker, len(c) + 2) + c + data for marker, c, data in segments)
    return b"\xff\xa0" + body + b"\xff\xa1"


def replace(stream: bytes, marker: int, content: bytes) -> bytes:
    """The stream with another content of every segment of a kind."""
    return join([(m, content if m == marker else c, data) for m, c, data in split(stream)])


# ---- tables ----


def _decimal(exponent: int, value: int) -> np.float32:
    number = F(value)
    for _ in range(exponent):
        number = F(number / 10.0)
    return number


def _filters(content: bytes) -> tuple[list[np.float32], list[np.float32]]:
    """The synthesis filters, low and high, from the right halves of the analysis filters (A.2.2)."""
    sizes = content[0], content[1]
    halves = []
    at = 2
    for size in sizes:
        half = []
        for _ in range((size + 1) // 2):
            negative, exponent, value = struct.unpack_from(">BBI", content, at)
            half.append(-_decimal(exponent, value) if negative else _decimal(exponent, value))
            at += 6
        halves.append(half)
    if sizes[0] % 2:
        high, low = ([c * F((-1) ** k) for k, c in enumerate(half)] for half in halves)
        return low[:0:-1] + low, high[:0:-1] + high
    high = [c * F((-1) ** k) for k, c in enumerate(halves[0])]
    low = [c * F((-1) ** (k + 1)) for k, c in enumerate(halves[1])]
    return low[::-1] + low, [-c for c in high[::-1]] + high


def _codes(counts: bytes, symbols: bytes) -> dict[str, int]:
    codes, code, at = {}, 0, 0
    for length, count in enumerate(counts, 1):
        code *= 2
        for _ in range(count):
            codes[format(code, f"0{length}b")] = symbols[at]
            code, at = code + 1, at + 1
    return codes


@dataclass
class Stream:
    width: int = 0
    height: int = 0
    shift: np.float32 = field(default_factory=F)
    scale: np.float32 = field(default_factory=F)
    low: list[np.float32] = field(default_factory=list)
    high: list[np.float32] = field(default_factory=list)
    centre: np.float32 = field(default_factory=F)
    step: list[np.float32] = field(default_factory=list)
    zero: list[np.float32] = field(default_factory=list)
    coefficients: list[int] = field(default_factory=list)


def parse(data: bytes) -> Stream:
    stream = Stream()
    codes = {}
    for marker, content, coded in split(data):
        if marker == SOF:
            stream.height, stream.width = struct.unpack_from(">HH", content, 2)
            stream.shift = _decimal(*struct.unpack_from(">BH", content, 6))
            stream.scale = _decimal(*struct.unpack_from(">BH", content, 9))
        elif marker == DTT:
            stream.low, stream.high = _filters(content)
        elif marker == DQT:
            stream.centre = _decimal(*struct.unpack_from(">BH", content))
            numbers = [_decimal(*struct.unpack_from(">BH", content, 3 + 3 * i)) for i in range(128)]
            stream.step, stream.zero = numbers[::2], numbers[1::2]
        elif marker == DHT:
            at = 0
            while at < len(content):
                counts = content[at + 1 : at + 17]
                end = at + 17 + sum(counts)
                codes[content[at]] = _codes(counts, content[at + 17 : end])
                at = end
        elif marker == SOB:
            for bits in bit_strings(coded):
                for symbol, extra, _end in tokens(bits, codes[content[0]]):
                    stream.coefficients += _values(symbol, extra)
    return stream


def bit_strings(coded: bytes) -> Iterator[str]:
    """The bits of a block, one text for each restart interval."""
    for n in range(8):
        coded = coded.replace(bytes((0xFF, 0xB0 + n)), b"\xff\xb0")
    for interval in coded.split(b"\xff\xb0"):
        yield "".join(format(byte, "08b") for byte in interval.replace(b"\xff\x00", b"\xff"))


def tokens(bits: str, codes: dict[str, int]) -> Iterator[tuple[int, int, int]]:
    """(symbol, the number after it, bit where the next one begins), up to the padding."""
    at = 0
    while True:
        end = at + 1
        while bits[at:end] not in codes:
            end += 1
            if end > len(bits):
                return
        symbol = codes[bits[at:end]]
        width = {101: 8, 102: 8, 103: 16, 104: 16, 105: 8, 106: 16}.get(symbol, 0)
        at = end + width
        yield symbol, int(bits[end:at] or "0", 2), at


def _values(symbol: int, extra: int) -> list[int]:
    if symbol <= 100:
        return [0] * symbol
    if symbol in (105, 106):
        return [0] * extra
    return [{101: extra, 103: extra, 102: -extra, 104: -extra}.get(symbol, symbol - 180)]


# ---- subbands ----


@dataclass
class Node:
    """A rectangle of the plane: a band that is sent, or four nodes of half the size; y, x are slices of the plane."""

    y: slice
    x: slice
    mirror_y: bool = False
    mirror_x: bool = False
    parts: list[Node] = field(default_factory=list)

    def divide(self) -> list[Node]:
        def halves(whole: slice, mirror: bool) -> list[slice]:
            size = whole.stop - whole.start
            middle = whole.start + (size // 2 if mirror else (size + 1) // 2)
            return [slice(whole.start, middle), slice(middle, whole.stop)]

        ys, xs = halves(self.y, self.mirror_y), halves(self.x, self.mirror_x)
        # What a high-pass half holds is mirrored in frequency; in the parent's own mirrored half it is so twice.
        self.parts = [Node(y, x, i == 1, j == 1) for i, y in enumerate(ys) for j, x in enumerate(xs)]
        return self.parts


def tree(height: int, width: int) -> tuple[Node, list[Node]]:
    """The whole image and its 64 bands."""
    root = Node(slice(0, height), slice(0, width))
    low, right, below, both = root.divide()
    inner = low.divide()
    sixteens = [[band for part in node.divide() for band in part.divide()] for node in inner[:3]]
    lowest, *rest = sixteens[0]
    fours = [band for node in (right, below, both) for band in node.divide()]
    return root, [*lowest.divide(), *rest, *sixteens[1], *sixteens[2], inner[3], *fours]


def _periods(low: Plane, high: Plane, half_sample: bool) -> tuple[Plane, Plane]:
    """One period of each band's symmetric extension; lines run along axis 0."""
    odd = len(low) != len(high)
    if not half_sample:
        low_back = low[-2:0:-1] if odd else low[:0:-1]
        high_back = high[::-1] if odd else high[-2::-1] if len(high) > 1 else high[:0]
    else:
        low_back = (low[-2::-1] if len(low) > 1 else low[:0]) if odd else low[::-1]
        gap = np.zeros((1 if odd else 0, high.shape[1]), F)
        high_back = np.concatenate([gap, -high[::-1]])
    return np.concatenate([low, low_back]), np.concatenate([high, high_back])


def join_bands(low: Plane, high: Plane, low_filter: list[np.float32], high_filter: list[np.float32]) -> Plane:
    """Synthesis along axis 0."""
    half_sample = len(low_filter) % 2 == 0
    sign = F(-1) if half_sample else F(1)
    lows, highs = _periods(low, high, half_sample)
    out = np.zeros((len(low) + len(high), low.shape[1]), F)
    for n in range(len(out)):
        terms = []
        for i, weight in enumerate(low_filter):
            k, rest = divmod(n - len(low_filter) // 2 + i, 2)
            if rest == 0:
                terms.append(lows[k % len(lows)] * weight)
        for i, weight in enumerate(high_filter):
            k, rest = divmod(n - (len(high_filter) + 1) // 2 + i, 2)
            if rest == 0 and len(high):
                terms.append(highs[k % len(highs)] * (sign * weight))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        out[n] = total
    return out


def synthesise(plane: Plane, node: Node, low_filter: list[np.float32], high_filter: list[np.float32]) -> None:
    if not node.parts:
        return
    for part in node.parts:
        synthesise(plane, part, low_filter, high_filter)
    here = plane[node.y, node.x]
    for turn, mirror in ((here, node.mirror_y), (here.T, node.mirror_x)):
        size = len(turn)
        if mirror:
            high, low = turn[: size // 2], turn[size // 2 :]
        else:
            low, high = turn[: (size + 1) // 2], turn[(size + 1) // 2 :]
        turn[:] = join_bands(low.copy(), high.copy(), low_filter, high_filter)


def decode(data: bytes) -> NDArray[np.uint8]:
    stream = parse(data)
    root, bands = tree(stream.height, stream.width)
    plane = np.zeros((stream.height, stream.width), F)
    left = stream.coefficients
    for band, step, zero in zip(bands, stream.step, stream.zero, strict=True):
        target = plane[band.y, band.x]
        if step == 0 or target.size == 0:
            continue
        sent, left = np.array(left[: target.size], F), left[target.size :]
        half = zero / F(2)
        values = np.where(sent > 0, step * (sent - stream.centre) + half, step * (sent + stream.centre) - half)
        flat = np.zeros(target.size, F)
        flat[: len(sent)] = np.where(sent == 0, F(0), values)
        target[:] = flat.reshape(target.shape)
    assert not left
    synthesise(plane, root, stream.low, stream.high)
    with np.errstate(invalid="ignore", over="ignore"):
        grey = plane * stream.scale + stream.shift + F(0.5)
    return np.clip(grey, 0, 255).astype(np.uint8)
