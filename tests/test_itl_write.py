"""Building transactions: computed LEN, CNT and IDC, refused values, and what is built reads back as it was meant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from itl_cases import latents, prints

from pcc_match import itl
from pcc_match.itl.raster import image_fields

HEADER = {"TOT": "CPS", "DAT": "20240229", "DAI": "DE/A", "ORI": "AT/B", "TCN": "1", "NSR": "19.68", "NTR": "19.68"}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1c\x1d\x1e\x1f\x02\x03"), max_size=12)


def test_len_cnt_and_idc_are_computed():
    built = itl.Transaction.build(
        {**HEADER, "DOM": ("INT-I", "4.22")},
        [
            (2, {"SYS": "0422"}),
            (4, {"IMP": 0, "FGP": 1, "HLL": 4, "VLL": 2, "GCA": 0, 9: b"12345678"}),
            (13, {"IMP": "4", 999: b"\x1c\x1d", 13: ["1", "2"]}),
            (9, {"IDC": "02", "IMP": 4, "FMT": "U"}),
        ],
    )
    assert built.problems == ()
    assert built.header["CNT"].subfields == (("1", "04"), ("2", "00"), ("4", "01"), ("13", "02"), ("9", "02"))
    assert built.header["DOM"].items == ("INT-I", "4.22")
    assert [record.idc for record in built.records] == [None, 0, 1, 2, 2]
    assert built.records[2]["FGP"] == (1,)
    assert [field.number for field in built.records[3]] == [1, 2, 3, 13, 999]
    assert int(built.records[3][1]) == built.records[3].size
    assert bytes(built).endswith(b"9.003:4\x1d9.004:U\x1c")


def test_leading_zeros_are_a_switch():
    records = [(2, {}), (14, {"IMP": "0"})]
    padded = itl.Transaction.build(HEADER, records)
    plain = itl.Transaction.build(HEADER, records, leading_zeros=False)
    assert padded.records[2][2] == "01"
    assert plain.records[2][2] == "1"
    assert plain.header["CNT"].subfields == (("1", "2"), ("2", "0"), ("14", "1"))


@pytest.mark.parametrize("size", [*range(80, 110), 980, 981, 982, 983, 984, 985, 9975, 9976, 9977, 9978, 9979])
def test_len_counts_its_own_digits(size):
    built = itl.Transaction.build(HEADER, [(2, {30: "x" * size})])
    assert int(built.records[1][1]) == len(bytes(built.records[1]))
    assert built.problems == ()


@pytest.mark.parametrize("text", ["a\x1cb", "a\x1d", "\x1e", "\x1f", "\x02", "\x03"])
def test_separators_in_values_are_refused(text):
    with pytest.raises(itl.RecordError, match="separator") as caught:
        itl.Transaction.build(HEADER, [(2, {30: ["a", ("b", text)]})])
    assert (caught.value.path, caught.value.subfield) == ("2/2.030/2", 2)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ((2, {30: "Žižka"}), "ASCII"),
        ((2, {30: b"bytes"}), "999"),
        ((14, {6: b"bytes"}), "999"),
        ((23, {3: "x"}), "Type-23"),
        ((2, {"NOPE": "x"}), "NOPE"),
        ((2, {"IDC": 256}), "IDC"),
        ((2, {"IDC": "x"}), "IDC"),
        ((4, {3: 256, 4: 1, 6: 1, 7: 1, 8: 0, 9: b""}), "255"),
        ((4, {3: 0, 4: (1,) * 7, 6: 1, 7: 1, 8: 0, 9: b""}), "finger"),
        ((4, {3: 0, 4: 1, 6: 70000, 7: 1, 8: 0, 9: b""}), "65535"),
        ((4, {3: 0, 4: 1, 6: 1, 7: 1, 8: 0, 9: b"", 10: 1}), "field 10"),
        ((4, {3: 0, 4: 1, 7: 1, 8: 0, 9: b""}), "None"),
    ],
)
def test_what_the_encoding_cannot_carry_is_refused(record, words):
    with pytest.raises(itl.RecordError, match=words):
        itl.Transaction.build(HEADER, [record])


def test_an_unknown_character_set_is_refused():
    with pytest.raises(itl.RecordError, match="ebcdic"):
        itl.Transaction.build(HEADER, [], charset="ebcdic")


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=3))
def test_utf8_values_come_back(subfields):
    built = itl.Transaction.build(HEADER, [(2, {30: [tuple(items) for items in subfields]})], charset="utf-8")
    assert built.problems == ()
    assert built.records[1][30].subfields == tuple(tuple(items) for items in subfields)


@given(st.text("abcxyzäÄßŽžΩЖЛЭФЮ -", max_size=10), st.sampled_from(["utf-16", "utf-32", "utf-8"]))
def test_wide_values_come_back(text, charset):
    built = itl.Transaction.build(HEADER, [(2, {30: text, 31: "x"})], charset=charset)
    assert built.problems == ()
    assert built.records[1][30] == text
    assert built.header[15].items[1] == charset.upper()


def test_records_of_other_transactions_are_taken_byte_for_byte():
    source = itl.read(prints())
    built = itl.Transaction.build(HEADER, source.records[1:])
    assert [bytes(record) for record in built.records[1:]] == [bytes(record) for record in source.records[1:]]
    assert built.problems == ()


def test_replacing_records_keeps_all_others():
    source = itl.read(latents())
    nine = source.of_type(9)[0]
    changed = source.replace({nine: {3: "7", 4: "U", 150: "x"}})
    assert changed.problems == ()
    assert changed.records[2][3] == "7"
    assert [bytes(r) for r in changed if r.number != 3] == [bytes(r) for r in source if r.number != 3]
    with pytest.raises(itl.RecordError, match="tagged"):
        source.replace({source.header: {4: "SRE"}})


def test_an_images_own_header_fills_the_fields():
    pixels = (np.arange(40 * 30).reshape(30, 40) % 200).astype(np.uint8)
    stream = itl.images.encode_wsq(pixels, ppi=500)
    four = {"IMP": 0, "FGP": 1, **image_fields(4, stream)}
    thirteen = {"IMP": 4, "FGP": 1, **image_fields(13, stream)}
    built = itl.Transaction.build(HEADER, [(4, four), (13, thirteen)])
    assert built.problems == ()
    assert built.records[1]["GCA"] == 1
    assert (built.records[2]["HLL"], built.records[2]["THPS"], built.records[2]["CGA"]) == ("40", "500", "WSQ20")
    assert np.array_equal(built.records[1].pixels(), built.records[2].pixels())
    with pytest.raises(itl.RecordError, match="unknown"):
        image_fields(14, b"raw pixels")
    with pytest.raises(itl.RecordError, match="Type-6"):
        image_fields(6, stream)
