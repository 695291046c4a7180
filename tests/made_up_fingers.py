"""Prints that tests make up: minutiae at random places, and impressions of them. Seeded; no real print."""

from dataclasses import replace

import numpy as np

from pcc_match.finger import FingerTemplate, MinutiaSet


def finger(seed: int, count: int = 35, *, size: tuple[int, int] = (400, 500), position: int = 0) -> FingerTemplate:
    """Minutiae at least 12 pixels apart."""
    random = np.random.default_rng([1, seed])
    places = np.empty((0, 2))
    while len(places) < count:
        place = random.integers(0, size, 2)
        if (np.hypot(*(places - place).T) >= 12).all():
            places = np.vstack([places, place])
    columns = random.integers(0, 256, count), random.integers(1, 3, count), random.integers(1, 101, count)
    minutiae = MinutiaSet(places[:, 0], places[:, 1], *columns)
    return FingerTemplate((minutiae,), position, *size, "made up")


def impression(template: FingerTemplate, seed: int, *, keep: float = 0.9, turn: float = 0) -> FingerTemplate:
    """The same finger once more: turned by some degrees, shifted, each minutia moved a little, some lost."""
    random = np.random.default_rng([2, seed])
    angle = np.radians(turn)
    sets = []
    for minutiae in template.sets:
        kept = random.random(len(minutiae)) < keep
        x, y = minutiae.x[kept] - 200.0, minutiae.y[kept] - 250.0
        count = len(x)
        moved_x = x * np.cos(angle) + y * np.sin(angle) + 300 + random.normal(0, 1.5, count) + random.integers(-20, 20)
        moved_y = y * np.cos(angle) - x * np.sin(angle) + 350 + random.normal(0, 1.5, count) + random.integers(-20, 20)
        turned = minutiae.angle[kept] + np.rint(turn * 256 / 360 + random.normal(0, 3, count))
        columns = np.rint(moved_x), np.rint(moved_y), turned.astype(np.int64) & 255
        sets.append(MinutiaSet(*columns, minutiae.type[kept], minutiae.quality[kept]))
    return replace(template, sets=tuple(sets), width=None, height=None)


def cutting(template: FingerTemplate, centre: int, count: int) -> FingerTemplate:
    """What a latent shows: the minutiae next to one of them."""
    minutiae = template.sets[0]
    x, y = minutiae.x.astype(np.int64), minutiae.y.astype(np.int64)
    near = np.argsort((x - x[centre]) ** 2 + (y - y[centre]) ** 2, kind="stable")[:count]
    columns = (minutiae.x, minutiae.y, minutiae.angle, minutiae.type, minutiae.quality)
    return replace(template, sets=(MinutiaSet(*(column[near] for column in columns)),), width=None, height=None)
