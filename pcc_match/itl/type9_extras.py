"""Cores, deltas and ridge counts of the four Type-9 blocks. What is no number is left out; `check` says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from pcc_match.itl.frames import UNIT, image_rows, region
from pcc_match.itl.minutiae import Core, Delta, Extras, Frame, RidgeCount
from pcc_match.itl.records import Record

_XY = re.compile(r"([0-9]{4})([0-9]{4})")
_NUMBER = re.compile(r"-?[0-9]{1,5}")
_PAIR = re.compile(rb"(\d{1,4}),(\d{1,3})")
_COUNT = re.compile(rb"(\d{3})(\d\d)")
# Items of 9.023 behind the index: XYT, quality, type, then eight ridge counts and the residuals.
_IAFIS_SLOTS = slice(3, 11)


def _std_extras(record: Record, frame: Frame, subfields: Sequence[bytes]) -> Extras:
    heights = [int(raw.split(b"\x1f", 2)[1][4:8]) for raw in subfields]
    below = image_rows(frame, max(heights, default=0)) - 1
    points = {
        number: [
            (int(m[1]) * UNIT, (below - int(m[2])) * UNIT)
            for m in map(_XY.fullmatch, _first_items(record, number))
            if m
        ]
        for number in (8, 9)
    }
    counts: list[RidgeCount] = []
    for raw in subfields:
        index, *items = raw.split(b"\x1f")
        pairs = (_PAIR.fullmatch(item) for item in items[3:])
        counts.extend(RidgeCount(int(index), int(m[1]), int(m[2])) for m in pairs if m)
    return Extras(
        tuple(Core(x, y) for x, y in points[8]),
        tuple(Delta(x, y) for x, y in points[9]),
        tuple(counts),
        2 if record.text(11) == "1" else 0,
    )


def _iafis_extras(record: Record, frame: Frame, subfields: Sequence[bytes]) -> Extras:
    cores = []
    for place, items in _placed(record, 21):
        angles = _angles(items[1:2])
        cores.append(Core(*place, angles[0] if angles else None))
    deltas = [Delta(*place, _angles(items[1:4])) for place, items in _placed(record, 22)]
    counts: list[RidgeCount] = []
    for raw in subfields:
        index, *slots_and_more = raw.split(b"\x1f")
        slots = (_COUNT.fullmatch(item) for item in slots_and_more[_IAFIS_SLOTS])
        counts.extend(RidgeCount(int(index), int(m[1]), int(m[2])) for m in slots if m)
    return Extras(tuple(cores), tuple(deltas), tuple(counts), 2)


def _m1_extras(record: Record, frame: Frame, subfields: Sequence[bytes]) -> Extras:
    across, down = frame.scale
    cores, deltas, counts = [], [], []
    for numbers in _numbers(record, 139, 2):
        cores.append(Core(numbers[0] * across, numbers[1] * down, numbers[2] * 2.0 if len(numbers) > 2 else None))
    more = list(_numbers(record, 141, 2))
    for place, numbers in enumerate(_numbers(record, 140, 2)):
        angles = numbers[2:3] + (more[place][:2] if place < len(more) else [])
        deltas.append(Delta(numbers[0] * across, numbers[1] * down, tuple(angle * 2.0 for angle in angles)))
    method = 0
    for place, numbers in enumerate(_numbers(record, 138, 3)):
        if place == 0:
            method = numbers[0]
        else:
            counts.append(RidgeCount(*numbers[:3]))
    return Extras(tuple(cores), tuple(deltas), tuple(counts), method)


def _efs_extras(record: Record, frame: Frame, subfields: Sequence[bytes]) -> Extras:
    right, down = region(record)

    def point(numbers: list[int]) -> tuple[float, float]:
        return (numbers[0] + right) * UNIT, (numbers[1] + down) * UNIT

    cores = [Core(*point(n), n[2] % 360.0 if len(n) > 2 else None) for n in _numbers(record, 320, 2)]
    deltas = [Delta(*point(n), tuple(angle % 360.0 for angle in n[2:5])) for n in _numbers(record, 321, 2)]
    counts = [RidgeCount(*n[:3]) for n in _numbers(record, 333, 3)]
    method = {"QUADRANT": 1, "OCTANT": 2}.get(str(record.text(332)), 0)
    return Extras(tuple(cores), tuple(deltas), tuple(counts), method)


EXTRAS: dict[str, Callable[[Record, Frame, Sequence[bytes]], Extras]] = {
    "std": _std_extras,
    "iafis": _iafis_extras,
    "m1": _m1_extras,
    "efs": _efs_extras,
}


def _first_items(record: Record, number: int) -> list[str]:
    return [items[0] for items in record.text(number).subfields]


def _placed(record: Record, number: int) -> Iterator[tuple[tuple[float, float], tuple[str, ...]]]:
    """Position (from the top left) and items of each subfield that begins with XXXXYYYY."""
    for items in record.text(number).subfields:
        match = _XY.fullmatch(items[0])
        if match:
            yield (int(match[1]) * UNIT, int(match[2]) * UNIT), items


def _numbers(record: Record, number: int, least: int) -> Iterator[list[int]]:
    """The leading numbers of each subfield that has at least so many."""
    for items in record.text(number).subfields:
        numbers = []
        for item in items:
            if not _NUMBER.fullmatch(item):
                break
            numbers.append(int(item))
        if len(numbers) >= least:
            yield numbers


def _angles(items: Sequence[str]) -> tuple[float, ...]:
    return tuple(int(item) % 360.0 for item in items if re.fullmatch(r"[0-9]{1,3}", item))
