"""Minutiae: the same print in every block and template, what each block can say and what it cannot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from itl_cases import RS, US, fmd, header, latent, latents, m1_record, mrc, std_record, tagged
from shared_data import shared

from pcc_match import itl
from pcc_match.itl import type9, type9_columns
from pcc_match.itl.minutiae import Core, Delta, Extras, Frame, Minutia, Minutiae, RidgeCount
from pcc_match.itl.templates import FORMATS, Template, View, read_template
from pcc_match.itl.type9_write import converted_fields, type9_fields

BLOCKS = ("std", "iafis", "m1", "efs")
# Greatest difference of a position, pixels at 500 ppi, and of an angle, degrees, that writing in a format may make.
ROUNDING = {"std": (0.1, 0.5), "iafis": (0.1, 0.5), "efs": (0.1, 0.5), "m1": (0.5, 1)}


def angle_difference(a, b):
    return np.abs((np.asarray(a) - np.asarray(b) + 180) % 360 - 180)


def one(record: bytes, *others: bytes) -> itl.Record:
    entries = [(9, "01"), *((13, "01") for _ in others)]
    return itl.read(header(entries) + record + b"".join(others), strict=True).records[1]


def test_a_minutia_of_the_standard_block_by_hand():
    row = f"1{US}25400100030{US}02{US}B{US}2,7"
    image = latent(data=bytes(1000 * 500), size=(1000, 500))
    minutia = one(std_record(1, minutiae=row), image).minutiae()[0]
    # 25.40 mm is 500 pixels at 500 ppi; 500 rows are 25.40 mm, and 1.00 mm above the bottom row is at 24.39.
    assert minutia.x == pytest.approx(500)
    assert minutia.y == pytest.approx((2540 - 1 - 100) / 2540 * 500)
    assert (minutia.angle, minutia.type, minutia.quality) == (210, "bifurcation", 99)
    assert minutia.original == ("1", "25400100030", "02", "B", "2,7")


def test_a_minutia_of_the_m1_block_by_hand():
    record = m1_record(1, minutiae=f"1{US}100{US}200{US}45{US}1{US}77").replace(b"9.131:500", b"9.131:250")
    minutia = itl.read(header([(9, "01")]) + record.replace(b"9.132:500", b"9.132:250")).records[1].minutiae()[0]
    assert minutia == Minutia(200, 400, 90, "ridge_ending", 77, ("1", "100", "200", "45", "1", "77"))


def test_a_minutia_of_the_iafis_block_by_hand():
    row = f"001{US}25400100030{US}63{US}C" + f"{US}25515" * 8 + f"{US}00000000"
    record = tagged(9, "002:01", "003:3", "004:U", "014:07", "015:1", f"021:12700000{US}242{US}0000", f"023:{row}")
    minutiae = one(record).minutiae()
    assert minutiae[0][:5] == (pytest.approx(500), pytest.approx(100 / 2540 * 500), 30, "other", 1)
    assert minutiae.positions == (7,)
    assert minutiae.cores == (Core(pytest.approx(250), 0, 242),)
    assert set(minutiae.ridge_counts) == {RidgeCount(1, 255, 15)}


def test_a_minutia_of_the_efs_block_by_hand():
    record = tagged(
        9, "002:01", "003:4", "004:U", f"300:3000{US}2000{US}1270{US}254", f"302:3{US}{US}{US}", f"320:0{US}0{US}90",
        f"321:2540{US}0{US}10{US}20{US}30", f"331:1270{US}2540{US}45{US}E{RS}0{US}0{US}360{US}X{US}5{US}9",
        "332:OCTANT", f"333:1{US}2{US}4{US}1{US}0",
    )  # fmt: skip
    minutiae = one(record).minutiae()
    assert minutiae[0][:5] == (pytest.approx(500), pytest.approx(550), 45, "ridge_ending", 0)
    assert minutiae[1][2:4] == (0, "other")
    assert minutiae.cores == (Core(pytest.approx(250), pytest.approx(50), 90),)
    assert minutiae.deltas == (Delta(pytest.approx(750), pytest.approx(50), (10, 20, 30)),)
    assert (minutiae.ridge_counts, minutiae.extras.ridge_count_method) == ((RidgeCount(1, 2, 4),), 2)


def test_thirteen_digits_hold_palms():
    minutiae = one(std_record(2, minutiae=f"1{US}1270005080090{RS}2{US}25400508090")).minutiae()
    assert minutiae[0][:3] == (pytest.approx(2500), pytest.approx(0), 270)
    assert minutiae[1][2:3] == (270,)


def test_a_record_without_minutiae_gives_an_empty_sequence():
    transaction = itl.read(latents())
    for record in transaction.of_type(1, 2, 13):
        assert len(record.minutiae()) == 0
        assert list(record.minutiae()) == []
    empty = one(tagged(9, "002:01", "003:4", "004:U"))
    assert len(empty.minutiae()) == 0
    assert len(empty.minutiae("std")) == 0
    with pytest.raises(itl.RecordError, match="block"):
        empty.minutiae("xyz")
    assert len(one(std_record(0)).minutiae()) == 0


def test_a_record_of_two_blocks_gives_the_exact_one_unless_told():
    both = tagged(
        9, "002:01", "003:4", "004:U", "010:1", f"012:1{US}25400100030", "130:1", "131:500", "132:500", "136:1",
        f"137:1{US}500{US}500{US}15{US}1{US}0",
    )  # fmt: skip
    record = one(both)
    assert record.minutiae().block == "m1"
    assert record.minutiae("std").block == "std"


def test_columns_and_items_are_the_same_minutiae():
    minutiae = itl.read(latents()).of_type(9)[0].minutiae()
    assert [m.x for m in minutiae] == minutiae.x.tolist()
    assert [m.angle for m in minutiae] == minutiae.angle.tolist()
    assert minutiae[-1] == minutiae[len(minutiae) - 1] == list(minutiae)[-1]
    assert minutiae[1:] == list(minutiae)[1:]
    with pytest.raises(IndexError):
        minutiae[len(minutiae)]
    with pytest.raises(ValueError, match="read-only"):
        minutiae.x[0] = 1


@st.composite
def some_minutiae(draw):
    count = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kinds = ("other", "ridge_ending", "bifurcation")
    minutiae = [
        Minutia(*rng.uniform(0, 700, 2), rng.uniform(0, 360), kinds[rng.integers(3)], int(rng.integers(0, 101)))
        for _ in range(count)
    ]
    extras = Extras(
        tuple(Core(*rng.uniform(0, 700, 2), float(rng.integers(0, 360))) for _ in range(rng.integers(3))),
        tuple(Delta(*rng.uniform(0, 700, 2), tuple(rng.uniform(0, 360, 3))) for _ in range(rng.integers(3))),
        tuple(RidgeCount(1, int(n), int(rng.integers(9))) for n in rng.integers(1, 9, count and rng.integers(9))),
        2,
    )
    return Minutiae.of(minutiae, Frame(750, 760), extras=extras)


@given(some_minutiae(), st.sampled_from(BLOCKS))
def test_a_block_written_and_read_is_the_same_within_its_rounding(minutiae, block):
    header_fields = {
        "TOT": "MPS",
        "DAT": "20240229",
        "DAI": "A",
        "ORI": "B",
        "TCN": "1",
        "NSR": "19.68",
        "NTR": "19.68",
    }
    image = {"IMP": 4, 6: 750, 7: 760, 8: 1, 9: 500, 10: 500, 11: "NONE", 12: 8, 999: bytes(750 * 760)}
    built = itl.Transaction.build(header_fields, [(13, image), (9, {"IDC": 1, **type9_fields(minutiae, block)})])
    assert built.problems == ()
    back = built.records[2].minutiae()
    pixels, degrees = ROUNDING[block]
    assert np.abs(back.x - minutiae.x).max(initial=0) <= pixels + 1e-9
    assert np.abs(back.y - minutiae.y).max(initial=0) <= pixels + 1e-9
    assert angle_difference(back.angle, minutiae.angle).max(initial=0) <= degrees + 1e-9
    assert back.type.tolist() == minutiae.type.tolist()
    assert len(back.cores) == (len(minutiae.cores) if len(back) else 0)
    if block in ("std", "iafis"):
        assert np.abs(back.columns["quality"].astype(int) - minutiae.columns["quality"]).max(initial=0) <= 1
    if block == "m1":
        assert back.columns["quality"].tolist() == minutiae.columns["quality"].tolist()
        assert len(back) == 0 or back.ridge_counts == minutiae.ridge_counts
    again = type9_fields(back, block)
    assert again == type9_fields(built.replace({built.records[2]: again}).records[2].minutiae(), block)


@given(st.integers(0, 63), st.sampled_from("ABCD"), st.integers(0, 9999), st.integers(0, 359))
def test_the_standard_block_keeps_every_value_through_the_model(grade, letter, place, theta):
    row = f"001{US}{place:04d}{9999 - place:04d}{theta:03d}{US}{grade:02d}{US}{letter}"
    record = one(std_record(1, minutiae=row), latent(data=bytes(2000 * 20), size=(20, 2000)))
    fields = converted_fields(record, "std")
    assert fields[12] == [tuple(row.split(US))]


NUMBER = st.text("0123456789", max_size=6)
XYT = st.one_of(st.text("01239", min_size=11, max_size=11), st.text("01239", min_size=9, max_size=14))
ITEMS = {
    "std": (
        NUMBER,
        XYT,
        NUMBER,
        st.sampled_from(["A", "B", "C", "D", "E", ""]),
        st.sampled_from(["1,2", "", "12", "1,2,3", ","]),
    ),
    "iafis": (
        NUMBER,
        XYT,
        NUMBER,
        st.sampled_from(["A", "C", ""]),
        st.sampled_from(["25515", "", "00000000", "123456789"]),
    ),
    "m1": (NUMBER, NUMBER, NUMBER, NUMBER, st.sampled_from(["0", "1", "2", "3", ""]), NUMBER, NUMBER),
}


@st.composite
def written_minutiae(draw):
    """A block and a field of it in the usual form, with a few items replaced by something else."""
    block = draw(st.sampled_from(sorted(ITEMS)))
    usual = {
        "std": ["1", "12341234123", "05", "B", "1,2", "255,15"],
        "iafis": ["001", "12341234123", "63", "C", "25515"],
    }
    usual["m1"] = ["12", "345", "678", "90", "1", "100"]
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        items = list(usual[block])
        for _ in range(draw(st.integers(0, 2))):
            place = draw(st.integers(0, len(items) - 1))
            items[place] = draw(ITEMS[block][min(place, len(ITEMS[block]) - 1)])
        cut = draw(st.sampled_from([len(items)] * 4 + [4, 5]))
        rows.append(US.join(items[:cut]))
    return block, RS.join(rows).encode()


@given(written_minutiae())
def test_compiled_code_takes_only_what_the_pattern_takes_and_finds_the_same(written):
    name, raw = written
    block = next(block for block in type9.BLOCKS if block.name == name)
    rows = block.row.findall(raw)
    quick = type9_columns.usual_numbers(block.minutiae, raw)
    if quick is not None:
        assert len(rows) == raw.count(b"\x1e") + 1
        for a, b in zip(quick, type9_columns.numbers(name, rows), strict=True):
            assert a.tolist() == b.tolist()


def test_compiled_code_knows_the_usual_forms():
    for number, text in ((12, mrc(50)), (23, f"1{US}12341234123{US}00{US}C" + f"{US}25515" * 8), (137, fmd(50))):
        assert type9_columns.usual_numbers(number, text.encode()) is not None
    assert type9_columns.usual_numbers(137, b"") is None


def test_what_a_block_cannot_say_is_refused():
    far = Minutiae.of([Minutia(3000, 10, 0, "other", 0)])
    with pytest.raises(itl.RecordError, match=r"99\.99 mm"):
        type9_fields(far, "std")
    assert type9_fields(far, "m1")[137] == [(1, 3000, 10, 0, 0, 0)]
    with pytest.raises(itl.RecordError, match="block"):
        type9_fields(far, "xyz")
    with pytest.raises(itl.RecordError, match="no minutiae"):
        converted_fields(one(tagged(9, "002:01", "003:4")), "m1")


def test_conversion_keeps_the_fields_of_no_block():
    record = one(tagged(9, "002:01", "003:4", "004:U", "136:1", f"137:1{US}5{US}5{US}5{US}1{US}5", "902:x"))
    assert converted_fields(record, "std")[902] == [("x",)]


@given(some_minutiae(), st.sampled_from(sorted(FORMATS)))
def test_a_template_written_and_read_is_the_same_within_its_rounding(minutiae, name):
    data = bytes(Template(name, (View(minutiae), View(minutiae, 1))))
    template = read_template(data, strict=True)
    assert template.format == name
    for number, view in enumerate(template.views):
        back = view.minutiae
        assert view.number == number
        assert np.abs(back.x - minutiae.x).max(initial=0) <= 0.5
        assert np.abs(back.y - minutiae.y).max(initial=0) <= 0.5
        assert angle_difference(back.angle, minutiae.angle).max(initial=0) <= FORMATS[name].angle / 2 + 1e-9
        assert back.columns["quality"].tolist() == minutiae.columns["quality"].tolist()
        assert back.type.tolist() == minutiae.type.tolist()
        assert len(back.cores) == len(minutiae.cores)
        assert [len(delta.angles) for delta in back.deltas] == [3] * len(minutiae.deltas)
        assert back.ridge_counts == minutiae.ridge_counts
    assert bytes(template) == data


def nist_minutiae(name: str) -> Minutiae:
    folder = shared("data/itl/nist_reference")
    if folder is None:
        pytest.skip("the shared test data are not here")
    return itl.read(folder / name, strict=True).of_type(9)[0].minutiae()


def test_nist_has_one_print_in_three_blocks():
    forms = [nist_minutiae(f"type-9-{name}.an2") for name in ("14-std", "14-m1", "4-iafis")]
    assert [len(m) for m in forms] == [48, 48, 48]
    assert [m.block for m in forms] == ["std", "m1", "iafis"]
    for a in forms:
        for b in forms:
            assert np.abs(a.x - b.x).max() < 0.5
            assert np.abs(a.y - b.y).max() < 0.5
            assert angle_difference(a.angle, b.angle).max() <= 1
            assert a.columns["quality"].tolist() == b.columns["quality"].tolist()
            assert a.ridge_counts == b.ridge_counts
            assert np.hypot(a.cores[0].x - b.cores[0].x, a.cores[0].y - b.cores[0].y) < 0.6
            assert np.hypot(a.deltas[0].x - b.deltas[0].x, a.deltas[0].y - b.deltas[0].y) < 0.6


@pytest.mark.parametrize("target", BLOCKS)
def test_nists_print_survives_conversion_to_every_block(target):
    for name in ("14-std", "14-m1", "4-iafis"):
        original = nist_minutiae(f"type-9-{name}.an2")
        transaction = itl.read(shared("data/itl/nist_reference") / f"type-9-{name}.an2")
        nine = transaction.of_type(9)[0]
        converted = transaction.replace({nine: converted_fields(nine, target)})
        assert converted.problems == ()
        back = converted.of_type(9)[0].minutiae(target)
        pixels, degrees = ROUNDING[target]
        assert np.abs(back.x - original.x).max() <= pixels
        assert np.abs(back.y - original.y).max() <= pixels
        assert angle_difference(back.angle, original.angle).max() <= degrees
