"""Synthetic fingers as minutiae: the same bits everywhere, and what their truth says is so."""

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest

from pcc_match.datasets import minutiae
from pcc_match.datasets.minutiae import CAPTURES, FingerModel, Impressions, impressions, masters, templates
from pcc_match.datasets.patterns import PATTERNS, patterns

GOLDEN = "45cbb26046c90184bf8472f13ad227b7352e444487c21e9e4d1479dd98e7c437"
COLUMNS = [field.name for field in fields(Impressions)]


def joined(batches):
    batches = list(batches)
    made = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in COLUMNS}
    lengths = np.concatenate([np.diff(batch.offsets) for batch in batches])
    return Impressions(**made | {"offsets": np.r_[np.uint64(0), np.cumsum(lengths, dtype=np.uint64)]})


def equal(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in COLUMNS)


def rows(made):
    return np.repeat(np.arange(len(made)), np.diff(made.offsets).astype(np.int64))


@pytest.fixture(scope="module")
def many():
    """5,000 fingers, two impressions each."""
    return joined(impressions(5_000, 7, impressions=2))


def test_ten_thousand_templates_have_the_same_bits_on_every_machine(many):
    digest = hashlib.sha256()
    for name in ("offsets", "x", "y", "angle", "type", "quality", "origin", "pattern", "capture", "print_quality"):
        column = getattr(many, name)
        digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest() == GOLDEN


def test_batches_threads_and_count_change_nothing(many):
    for options in ({"batch": 999}, {"batch": 640, "threads": 3}):
        assert equal(joined(impressions(5_000, 7, impressions=2, **options)), many)
    alone = joined(impressions(1, 7, first=4_321, first_impression=1))
    one = joined([many])
    assert (
        list(templates(1, 7, first=4_321, first_impression=1)) == [one.template(2 * 4_321 + 1)] == [alone.template(0)]
    )
    assert not np.array_equal(joined(impressions(100, 8)).x[:1000], many.x[:1000])


def test_columns_are_in_range_and_ordered(many):
    row = rows(many)
    assert many.offsets.dtype == np.uint64
    assert many.offsets[-1] == len(many.x) == len(many.origin)
    assert (many.x >= 0).all()
    assert (many.y >= 0).all()
    assert (many.x < many.sizes[row, 0]).all()
    assert (many.y < many.sizes[row, 1]).all()
    assert many.type.max() == 2
    assert 1 <= many.quality.min() < many.quality.max() == 100
    assert np.diff(many.offsets.astype(np.int64)).max() <= 255
    place = row.astype(np.int64) << 32 | many.y.astype(np.int64) << 16 | many.x
    assert (np.diff(place) > 0).all()  # from top to bottom, and no two at one place
    assert np.array_equal(many.finger[::2], np.arange(5_000))
    assert np.array_equal(many.impression, np.tile([0, 1], 5_000))


def test_minutiae_that_are_not_spurious_lie_where_the_master_has_them(many):
    """Turned back and moved back, at a distance that plastic distortion and jitter allow, in the master's direction."""
    whole = masters(5_000, 7)
    row, kept = rows(many), many.origin >= 0
    assert 0.2 < 1 - kept.mean() < 0.45
    row, origin = row[kept], many.origin[kept]
    of_master = whole.offsets[many.finger[row]].astype(np.int64) + origin
    assert (of_master < whole.offsets[many.finger[row] + 1].astype(np.int64)).all()
    turn = many.rotation[row] * (2 * np.pi / 65536)
    x, y = whole.x[of_master], whole.y[of_master]
    off_x = many.x[kept] - (many.origin_x[row] + np.cos(turn) * x + np.sin(turn) * y)
    off_y = many.y[kept] - (many.origin_y[row] + np.cos(turn) * y - np.sin(turn) * x)
    distance = np.hypot(off_x, off_y)
    assert np.median(distance) < 8
    assert np.quantile(distance, 0.999) < 60
    middle = np.hypot(x, y) < 40  # where plastic distortion is small
    assert np.median(distance[middle]) < 3
    off = (many.angle[kept] - whole.angle[of_master].astype(np.int64) - many.rotation[row] / 256 + 128) % 256 - 128
    assert np.abs(np.median(off)) < 0.6
    assert np.median(np.abs(off)) < 6
    assert 0.7 < (many.type[kept] == whole.type[of_master]).mean() < 0.95


def test_better_prints_and_stronger_minutiae_are_found_more_often(many):
    row = rows(many)
    counts = np.diff(many.offsets.astype(np.int64))
    spurious = np.bincount(row[many.origin < 0], minlength=len(many)) / counts
    good, bad = many.print_quality > 180, many.print_quality < 90
    assert spurious[good].mean() + 0.1 < spurious[bad].mean()
    assert many.quality[many.origin >= 0].mean() > many.quality[many.origin < 0].mean() + 10
    whole = masters(5_000, 7)
    found = np.zeros(len(whole.x), bool)
    kept = many.origin >= 0
    found[whole.offsets[many.finger[row[kept]]].astype(np.int64) + many.origin[kept]] = True
    assert found[whole.strength > 200].mean() > found[whole.strength < 50].mean() + 0.1


def test_patterns_have_the_shares_of_their_hand(many):
    assert tuple(pattern.name for pattern in patterns()) == PATTERNS
    first = many.impression == 0
    for hand in (0, 1):
        drawn = many.pattern[first & (many.position > 5 if hand else many.position <= 5)]
        shares = np.array([pattern.share[hand] for pattern in patterns()])
        assert shares.sum() == 1000
        assert np.abs(np.bincount(drawn, minlength=5) / len(drawn) - shares / 1000).max() < 0.03
    assert np.array_equal(many.subject[::2], np.arange(5_000) // 10)


def test_directions_follow_a_flow(many):
    """Neighbours are parallel; far ones need not be."""
    near, far = [], []
    for k in range(200):
        at = slice(int(many.offsets[k]), int(many.offsets[k + 1]))
        x, y, angle = many.x[at].astype(int), many.y[at].astype(int), many.angle[at].astype(int)
        distance = np.hypot(x[:, None] - x, y[:, None] - y)
        off = np.abs((angle[:, None] - angle + 64) % 128 - 64)  # of 128 a half turn
        near.append(off[(distance > 0) & (distance < 24)])
        far.append(off[distance > 120])
    assert (np.concatenate(near) < 16).mean() > 0.8
    assert (np.concatenate(far) < 16).mean() < 0.6


def test_a_template_says_what_its_row_holds(many):
    template = many.template(-1)
    (minutiae,) = template.sets
    at = slice(int(many.offsets[-2]), None)
    assert np.array_equal(minutiae.x, many.x[at])
    assert np.array_equal(minutiae.quality, many.quality[at])
    assert (template.width, template.height) == tuple(many.sizes[-1])
    assert (template.position, template.source) == (10, "synthetic")
    assert type(template).read(template.write()).sets == template.sets


def test_a_model_without_faults_repeats_the_master():
    exact = FingerModel(keep=1024, keep_quality=0, keep_strength=0, confusion=0, other=0, jitter=0, angle_jitter=0)
    exact = replace(exact, bend=0, edge=0)
    capture = replace(CAPTURES[0], width=800, height=800, contact_width=2000, contact_height=2000, contact_spread=0)
    capture = replace(capture, shift_x=0, shift_y=0, rotation=0, spurious=0, steadiness=0)
    made, whole = joined(impressions(50, 3, model=exact, captures=[capture])), masters(50, 3, model=exact)
    assert np.array_equal(made.offsets, whole.offsets)
    order = np.concatenate([whole.offsets[k] + made.origin[made.offsets[k] : made.offsets[k + 1]] for k in range(50)])
    order = order.astype(np.int64)
    assert np.abs(made.x - 400 - whole.x[order]).max() <= 1
    assert np.array_equal(made.angle, whole.angle[order])
    assert np.array_equal(made.type, whole.type[order])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: impressions(-1, 1), "fingers"),
        (lambda: impressions(2, 1, first=minutiae.MOST_FINGERS - 1), "fingers"),
        (lambda: impressions(1, 1, impressions=257), "impressions"),
        (lambda: impressions(1, 1, batch=0), "batch"),
        (lambda: impressions(1, 1, captures=[]), "captures"),
        (lambda: masters(1, 1, first=-1), "fingers"),
    ],
)
def test_impossible_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_none_are_none():
    assert list(impressions(0, 1)) == []
    assert len(masters(0, 1).finger) == 0
