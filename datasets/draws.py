"""Random draws that are the same on every machine: SplitMix64 by position, and integer tables.

Every draw is a pure function of (seed, stream, number, slot): `number` says which profile or person, `slot` which of
its decisions. So any profile can be made alone, in any order, in any batch and thread. Only uint64 additions,
multiplications, shifts and comparisons decide; no float, no library generator whose algorithm could change.

SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: output k of a generator
with state s is mix(s + (k + 1) * GAMMA), which can be computed for any k at once.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

GAMMA = 0x9E3779B97F4A7C15
SLOTS = 256  # decisions of one number; slot and number share the generator's counter as number * SLOTS + slot
WORD = 1 << 64

_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def mix(z: U64) -> U64:
    """SplitMix64's output function, a bijection of 64-bit words; works in place and returns its argument."""
    shifted = z >> _S30
    z ^= shifted
    z *= _M1
    np.right_shift(z, _S27, out=shifted)
    z ^= shifted
    z *= _M2
    np.right_shift(z, _S31, out=shifted)
    z ^= shifted
    return z


class Stream:
    """The draws of one purpose: `Stream(seed, "person")`. `at(numbers)` fixes whose draws are wanted."""

    def __init__(self, seed: int, purpose: str):
        digest = hashlib.sha256(f"pcc_match/{seed}/{purpose}".encode()).digest()
        self.key = int.from_bytes(digest[:8], "little")

    def at(self, numbers: I64) -> "Draws":
        return Draws(numbers.astype(np.uint64) * np.uint64(SLOTS * GAMMA % WORD) + np.uint64(self.key))


class Draws:
    """One 64-bit word for each number and slot."""

    def __init__(self, base: U64):
        self.base = base

    def word(self, slot: int | I64) -> U64:
        """Fresh uint64 array, one word a number (one slot for all, or one a number)."""
        if isinstance(slot, int):
            return mix(self.base + np.uint64((slot + 1) * GAMMA % WORD))
        return mix(self.base + (slot.astype(np.uint64) + np.uint64(1)) * np.uint64(GAMMA))

    def words(self, slot: int, count: int) -> U64:
        """uint64 (count, numbers): the words of `count` slots from `slot` on."""
        counters = [(slot + 1 + i) * GAMMA % WORD for i in range(count)]
        return mix(self.base + np.array(counters, dtype=np.uint64)[:, None])

    def rows(self, rows: I64 | NDArray[np.bool_]) -> "Draws":
        return Draws(self.base[rows])

    def chance(self, slot: int, per_million: int | U64) -> NDArray[np.bool_]:
        """True with probability per_million / 1,000,000 (one probability for all, or one a number)."""
        limit = np.asarray(per_million, dtype=np.uint64) * np.uint64(1 << 32) // np.uint64(1_000_000)
        return np.asarray(high(self.word(slot)) < limit, dtype=np.bool_)

    def below(self, slot: int, bound: int | I64) -> I64:
        """0 <= draw < bound <= 2^32 (one bound for all, or one a number)."""
        return (high(self.word(slot)) * np.asarray(bound, dtype=np.uint64) >> _S32).astype(np.int64)


def high(word: U64) -> U64:
    return word >> _S32


def low(word: U64) -> U64:
    return word & _LOW


class Choice:
    """Draws from lists of integer weights: the alias method (Walker 1977, Vose 1991), tables made with exact integers.

    weights: one list of non-negative weights for each row (population, state ...), all of one length, none all zero.
    labels: what each place in a list stands for (uint16); its own index if not given.
    The probability of a place differs from weight / sum by less than 2^-25.
    """

    def __init__(self, weights: Sequence[Sequence[int]], labels: Sequence[int] | None = None):
        count = len(weights[0])
        names = list(range(count)) if labels is None else list(labels)
        bits = max((count - 1).bit_length(), 1)
        self.buckets = 1 << bits
        self._shift = np.uint64(32 - bits)
        self._mask = np.uint64((1 << (32 - bits)) - 1)
        limits, values = [], []
        for row in weights:
            for own, other, numerator in _alias(row, self.buckets):
                limits.append((numerator << (32 - bits)) // sum(row))
                values += [names[own], names[other]]
        self._limits = np.array(limits, dtype=np.uint64)
        self._values = np.array(values, dtype=np.uint16)

    def offsets(self, rows: I64) -> I64:
        """What draw() wants for these rows of weights."""
        return rows * self.buckets

    def draw(self, random: U64, offsets: I64 | int = 0) -> NDArray[np.uint16]:
        """One label for each random 32-bit value (held in uint64)."""
        bucket = (random >> self._shift).view(np.int64)
        bucket += offsets
        other = (random & self._mask) >= self._limits.take(bucket)
        bucket += bucket
        bucket += other
        return self._values.take(bucket)


def _alias(row: Sequence[int], buckets: int) -> list[tuple[int, int, int]]:
    """Vose's table: (own, other, own's part of the bucket as a numerator over sum(row)) for each bucket."""
    total = sum(row)
    # Sums to buckets * total, so some bucket is large as long as one is small.
    left = [weight * buckets for weight in row] + [0] * (buckets - len(row))
    table = [(0, 0, 0)] * buckets
    small = [i for i, weight in enumerate(left) if weight < total]
    large = [i for i, weight in enumerate(left) if weight >= total]
    while small:
        i, j = small.pop(), large[-1]
        table[i] = min(i, len(row) - 1), j, left[i]
        left[j] -= total - left[i]
        if left[j] < total:
            small.append(large.pop())
    for i in large:
        table[i] = i, i, total
    return table
