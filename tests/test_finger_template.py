"""FingerTemplate: what it takes, what it refuses, what it keeps when it is written and read again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

import pcc_match as pm
from pcc_match.finger import MinutiaSet
from pcc_match.itl.templates import read_template


def some(count, seed=0, **options):
    random = np.random.default_rng(seed)
    x, y = random.permutation(400)[:count], random.permutation(400)[:count]
    kind, quality = random.integers(0, 3, count), random.integers(0, 101, count)
    angle = random.integers(0, 256, count) * 360 / 256
    return pm.FingerTemplate.from_minutiae(x, y, angle, type=kind, quality=quality, width=400, height=400, **options)


def test_arrays_are_normalised_to_500_ppi():
    template = pm.FingerTemplate.from_minutiae(
        [10, 20.5], [30, 41], [-90, 360], type=[1, 2], quality=[0, 100], position=2, width=100, height=201, ppi=1000
    )
    assert (template.width, template.height, template.position) == (50, 100, 2)
    minutiae = template.sets[0]
    assert minutiae.x.tolist() == [5, 10]
    assert minutiae.y.tolist() == [15, 21]
    assert minutiae.angle.tolist() == [192, 0]
    assert minutiae.type.tolist() == [1, 2]
    assert minutiae.quality.tolist() == [0, 100]
    with pytest.raises(ValueError, match="read-only"):
        minutiae.x[0] = 1


@pytest.mark.parametrize("format", ["iso-19794-2:2005", "iso-19794-2:2011"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 255])
def test_written_and_read_again(format, count):
    template = pm.FingerTemplate.join(some(count, 1, position=7), some(count // 2, 2))
    again = pm.FingerTemplate.read(template.write(format), strict=True)
    assert again == template
    assert not again.problems


def test_ansi_keeps_all_but_the_last_bit_of_the_angle():
    template = some(40)
    for format in ("ansi-378-2004", "ansi-378-2009"):
        again = pm.FingerTemplate.read(template.write(format), strict=True)
        (ours,), (theirs,) = template.sets, again.sets
        assert np.array_equal(ours.x, theirs.x)
        assert np.array_equal(ours.y, theirs.y)
        assert np.abs((ours.angle - theirs.angle).view(np.int8)).max() <= 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": [1, float("nan")]}, "minutia 2: x is nan"),
        ({"angle": [float("inf"), 1]}, "minutia 1: angle is inf"),
        ({"x": [1, 100]}, "minutia 2: x 100 lies outside"),
        ({"y": [-1, 5]}, "minutia 1: y -1 lies outside"),
        ({"x": [1]}, "2 values of y, but 1 of x"),
        ({"x": [[1, 2]]}, r"shape \(1, 2\)"),
        ({"x": ["a", "b"]}, "not an array of numbers"),
        ({"type": [0, 3]}, "minutia 2: type 3"),
        ({"quality": [101, 3]}, "minutia 1: quality 101"),
        ({"quality": [1]}, "1 values of quality"),
        ({"position": 39}, "position 39"),
        ({"position": -1}, "position -1"),
        ({"width": 0}, "minutia 1: x 1 lies outside|width of 0"),
        ({"ppi": 0}, "resolution of 0"),
        ({"ppi": float("nan")}, "resolution of nan"),
        ({"x": [1, 40000], "width": None}, "too far"),
    ],
)
def test_impossible_arrays_are_refused(changed, message):
    given = {"x": [1, 2], "y": [3, 4], "angle": [5, 6], "width": 100, "height": 100} | changed
    x, y, angle = (given.pop(name) for name in ("x", "y", "angle"))
    with pytest.raises(pm.TemplateError, match=message):
        pm.FingerTemplate.from_minutiae(x, y, angle, **given)


def test_exact_duplicates_are_dropped_and_told():
    template = pm.FingerTemplate.from_minutiae([5, 9, 5, 5], [6, 9, 6, 6], [0, 9, 0, 90])
    assert template.sets[0].x.tolist() == [5, 9, 5]
    assert "1 minutiae" in template.problems[0]


def test_a_cut_template_gives_its_whole_minutiae():
    template = some(20)
    for format, minutiae_at in (("iso-19794-2:2005", 28), ("ansi-378-2004", 30), ("iso-19794-2:2011", 47)):
        data = template.write(format)
        for size in range(len(data)):
            with pytest.raises(pm.TemplateError):
                pm.FingerTemplate.read(data[:size], strict=True)
            if size < minutiae_at - 4:
                with pytest.raises(pm.TemplateError):
                    pm.FingerTemplate.read(data[:size])
                continue
            if size < minutiae_at:
                continue
            cut = pm.FingerTemplate.read(data[:size])
            whole = min(20, (size - minutiae_at) // 6)
            assert cut.sets[0].x.tolist() == template.sets[0].x[:whole].tolist()
            assert cut.problems


def test_a_template_that_is_too_long_is_told():
    data = some(5).write() + b"more"
    assert "4 bytes stand behind" in " ".join(pm.FingerTemplate.read(data).problems)
    with pytest.raises(pm.TemplateError):
        pm.FingerTemplate.read(data, strict=True)


def test_a_second_view_that_is_cut_leaves_the_first():
    data = pm.FingerTemplate.join(some(9), some(7, 1)).write()
    first_view = 24 + 4 + 9 * 6 + 2
    cut = pm.FingerTemplate.read(data[: first_view + 2])
    assert list(map(len, cut.sets)) == [9]
    assert "2 views are stated" in cut.problems[0]
    assert list(map(len, pm.FingerTemplate.read(data[: first_view + 4 + 13]).sets)) == [9, 2]


@given(st.binary(max_size=60), st.integers(0, 200), st.booleans())
def test_damaged_bytes_never_crash(noise, at, strict):
    data = bytearray(some(20).write())
    data[at : at + len(noise)] = noise
    try:
        template = pm.FingerTemplate.read(bytes(data), strict)
    except pm.TemplateError:
        return
    assert all(isinstance(minutiae, MinutiaSet) for minutiae in template.sets)


def test_a_path_and_its_errors(tmp_path):
    path = tmp_path / "finger.fmr"
    path.write_bytes(some(5).write())
    assert pm.FingerTemplate.read(path) == pm.FingerTemplate.read(str(path)) == some(5)
    path.write_bytes(b"nothing")
    with pytest.raises(pm.TemplateError, match=r"finger\.fmr: byte 0"):
        pm.FingerTemplate.read(path)


def test_several_fingers_in_one_record_need_a_choice():
    data = bytearray(pm.FingerTemplate.join(some(5, position=2), some(6)).write())
    data[24 + 4 + 5 * 6 + 2] = 7
    with pytest.raises(pm.TemplateError, match="positions 2, 7"):
        pm.FingerTemplate.read(bytes(data))
    assert len(pm.FingerTemplate.read(bytes(data), position=7)) == 6


def test_join_sums_sets_and_names_its_sources():
    a, b = some(5, position=3, source="fingerjet"), some(4, 1, source="mindtct")
    both = pm.FingerTemplate.join(a, b)
    assert (both.position, both.source, len(both), len(both.sets)) == (3, "fingerjet+mindtct", 9, 2)
    with pytest.raises(pm.TemplateError, match="3, 4 are not one finger"):
        pm.FingerTemplate.join(a, some(4, 1, position=4))


def test_templates_of_type_9_records_in_all_blocks():
    folder = shared("data/itl")
    if folder is None:
        pytest.skip("the shared test data are not here")
    blocks = set()
    for path in sorted(folder.rglob("*.an2")):
        try:
            transaction = pm.itl.read(path)
        except pm.RecordError:
            continue
        for record in transaction.of_type(9):
            for block in ("m1", "efs", "std", "iafis"):
                minutiae = record.minutiae(block)
                template = pm.FingerTemplate.from_itl(record, block)
                assert len(template) <= len(minutiae)
                assert len(template) == len(minutiae) or template.problems
                if len(template):
                    blocks.add(block)
    assert blocks


def test_given_templates_are_read_whole():
    folder = shared("data/finger/templates")
    if folder is None:
        pytest.skip("the shared test data are not here")
    for path in sorted(folder.rglob("101_*.iso")):
        template = pm.FingerTemplate.read(path, strict=True)
        (view,) = read_template(path.read_bytes()).views
        assert len(template) == len(view.minutiae)
        assert [m[1] for m in view.minutiae.originals] == template.sets[0].x.tolist()
