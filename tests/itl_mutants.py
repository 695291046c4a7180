"""Damaged transactions: random damage to bytes, and damage that knows the format; for tests and the fuzz target."""

from collections.abc import Callable, Iterator
from random import Random

from pcc_match import itl

LENGTHS = (0, 1, 17, 18, 10**12, 0xFFFFFFFF, 10**30)
_SEPARATORS = b"\x1c\x1d\x1e\x1f"
_WORDS = (
    b"1.001:",
    b"1.01:",
    b"9.012:",
    b"14.999:",
    b"\x1d13.999:",
    b"\x00\x00\x00\x11",
    b"\xff\xa0\xff\xa4",
    b"-1",
    b"",
)


def _flip(data: bytes, rng: Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _drop(data: bytes, rng: Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 40) :]


def _double(data: bytes, rng: Random) -> bytes:
    start = rng.randrange(len(data))
    end = start + rng.randint(1, 60)
    return data[:end] + data[start:end] + data[end:]


def _separate(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes((rng.choice(_SEPARATORS),)) + data[place + rng.randint(0, 1) :]


def _word(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + rng.choice(_WORDS) + data[place + rng.randint(0, 6) :]


def _length(data: bytes, rng: Random) -> bytes:
    """The LEN of a tagged record, or four bytes anywhere, become an impossible length."""
    value = rng.choice(LENGTHS)
    tags = [place for place in range(len(data) - 6) if data[place : place + 4] in (b".001", b".01:")]
    if tags and rng.random() < 0.7:
        start = data.index(b":", rng.choice(tags)) + 1
        end = start
        while end < len(data) and data[end] not in _SEPARATORS:
            end += 1
        return data[:start] + str(value).encode() + data[end:]
    place = rng.randrange(len(data))
    return data[:place] + (value & 0xFFFFFFFF).to_bytes(4, "big") + data[place + 4 :]


def _splice(data: bytes, rng: Random, others: list[bytes]) -> bytes:
    """A record of one transaction in place of a record of another, or between two."""
    mine, theirs = itl.read(data).records, itl.read(rng.choice(others)).records
    record, new = rng.choice(mine), rng.choice(theirs)
    end = record.offset + (record.size if rng.random() < 0.5 else 0)
    return data[: record.offset] + bytes(new) + data[end:]


def mutants(sources: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """So many damaged transactions, each from one of the sources, some damaged twice."""
    rng = Random(seed)
    ways: list[Callable[[bytes, Random], bytes]] = [_flip, _cut, _drop, _double, _separate, _word, _length]
    for _ in range(count):
        source = rng.choice(sources)
        damaged = _splice(source, rng, sources) if rng.random() < 0.1 else rng.choice(ways)(source, rng)
        if damaged and rng.random() < 0.3:
            damaged = rng.choice(ways)(damaged, rng)
        yield damaged


def exercise(data: bytes) -> itl.Transaction | None:
    """All that a node does with bytes that it was sent; RecordError alone may come of it, and only from reading."""
    try:
        transaction = itl.read(data)
    except itl.RecordError:
        return None
    assert bytes(transaction) == data
    position = transaction.records[0].offset
    for record in transaction.records:
        assert record.offset == position or (record.offset > position and transaction.problems)
        position = record.offset + record.size
        for field in record.fields:
            assert record.offset <= field.offset <= position
            _ = field.value
        if record.type == 9:
            minutiae = record.minutiae()
            assert len(minutiae) == len(minutiae.originals)
            _ = minutiae.extras
    assert position <= len(data)
    for problem in transaction.problems:
        assert problem.offset is not None
        assert 0 <= problem.offset <= len(data)
        assert problem.message
        assert problem.path
    return transaction
