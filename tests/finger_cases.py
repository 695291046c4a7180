"""Fingers for tests: random, made worse as a second print is, degenerate; and real ones where they are there."""

import numpy as np
from hypothesis import strategies as st
from shared_data import shared

import pcc_match as pm

SIZES = (0, 1, 2, 3, 4, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255)


def finger(count, seed, side=400, **options):
    """Minutiae with directions that vary as slowly as those of ridges do."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, side, (2, count))
    angle = 40 * np.sin(x / 70) + 30 * np.cos(y / 90) + 180 * random.integers(0, 2, count)
    quality = random.integers(1, 101, count)
    return pm.FingerTemplate.from_minutiae(x, y, angle, quality=quality, **options)


def again(template, seed, turn=10.0, noise=2.0, lost=0.2):
    """Another print of a finger: turned by degrees and shifted, with minutiae lost, moved and added."""
    random = np.random.default_rng(seed)
    (print_,) = template.sets
    kept = np.flatnonzero(random.random(len(print_)) >= lost)
    x, y = print_.x[kept] - 200.0, print_.y[kept] - 200.0
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    x, y = (
        c * x + s * y + 210 + random.normal(0, noise, len(kept)),
        c * y - s * x + 190 + random.normal(0, noise, len(kept)),
    )
    x, y = np.clip((x, y), -16383, 16383)
    angle = print_.angle[kept] * (360 / 256) + turn + random.normal(0, 4, len(kept))
    more = finger(len(kept) // 4, seed + 1).sets[0]
    return pm.FingerTemplate.from_minutiae(
        np.append(x, more.x), np.append(y, more.y), np.append(angle, more.angle * (360 / 256))
    )


def degenerate():
    """Sets whose cylinders, distances or directions are all alike, or as far apart as can be."""
    grid = np.array([(x, y) for x in range(0, 250, 25) for y in range(0, 250, 25)])
    line = np.arange(0, 400, 10)
    yield pm.FingerTemplate.from_minutiae(grid[:, 0], grid[:, 1], np.zeros(len(grid)))
    yield pm.FingerTemplate.from_minutiae(grid[:, 0], grid[:, 1], np.tile([0, 180], len(grid) // 2))
    yield pm.FingerTemplate.from_minutiae(line, np.zeros(40), np.zeros(40))
    yield pm.FingerTemplate.from_minutiae(np.zeros(40), line, line)
    yield pm.FingerTemplate.from_minutiae(np.arange(30), np.arange(30), np.zeros(30))
    yield pm.FingerTemplate.from_minutiae(np.full(40, 50), np.full(40, 50), np.arange(0, 360, 9))
    ends = np.tile([-16383, 16383, 0], 20)
    yield pm.FingerTemplate.from_minutiae(ends + np.arange(60) % 7 * (ends == 0), ends[::-1], np.arange(60) * 6)
    far = np.concatenate([np.arange(30) * 12 - 16383, 16383 - np.arange(30) * 12])
    yield pm.FingerTemplate.from_minutiae(far, far[::-1], np.arange(60) * 3)


@st.composite
def fingers(draw):
    """Any template of one set."""
    count = draw(st.integers(0, 40))
    side = draw(st.sampled_from([1, 20, 200, 500, 16383]))
    low = draw(st.sampled_from([0, -side]))
    place = st.integers(low, side)
    columns = [draw(st.lists(v, min_size=count, max_size=count)) for v in (place, place, st.integers(0, 255))]
    return pm.FingerTemplate.from_minutiae(columns[0], columns[1], np.multiply(columns[2], 360 / 256))


def real_fingers(source, fingers=(101, 102), impressions=range(1, 9)):
    """Real templates by (set, finger, impression); empty where they are not there."""
    folder = shared("data/finger/templates")
    if folder is None:
        return {}
    return {
        (path.parent.name, finger, impression): pm.FingerTemplate.read(path, source=source)
        for finger in fingers
        for impression in impressions
        for path in sorted((folder / source).rglob(f"{finger}_{impression}.iso"))
    }
