"""Reading transactions: fields, values, character sets, images; what was read is written back unchanged."""

import io

import pytest
from itl_cases import ALL, FS, GS, RS, US, binary, european, header, latent, latents, prints, tagged

from pcc_match import itl


@pytest.mark.parametrize("name", ALL)
def test_a_transaction_is_read_without_a_problem_and_written_back_unchanged(name):
    data = ALL[name]()
    transaction = itl.read(data, strict=True)
    assert transaction.problems == ()
    assert bytes(transaction) == data
    assert b"".join(bytes(record) for record in transaction.records) == data


def test_bytes_paths_and_files_are_read(tmp_path):
    data = prints()
    path = tmp_path / "prints.an2"
    path.write_bytes(data)
    sources = (data, bytearray(data), memoryview(data), path, str(path), io.BytesIO(data))
    assert [bytes(itl.read(source)) for source in sources] == [data] * len(sources)
    with pytest.raises(itl.RecordError, match=r"missing\.an2"):
        itl.read(tmp_path / "missing.an2")


def test_fields_by_number_and_by_mnemonic():
    head = itl.read(latents()).header
    assert head[4] == head["TOT"] == head["tot"] == "CPS"
    assert head["CNT"].subfields[:3] == (("1", "5"), ("2", "00"), ("9", "01"))
    assert "DOM" not in head
    assert head.get("DOM") is None
    assert head.text("DOM") == ""
    assert [field.number for field in head] == [1, 2, 3, 4, 5, 7, 8, 9, 11, 12]
    assert head.field(4).mnemonic == "TOT"
    assert 99 not in head
    with pytest.raises(itl.RecordError, match=r"1\.099"):
        head[99]
    with pytest.raises(KeyError):
        head["XYZ"]


def test_a_mnemonic_of_two_blocks_means_the_field_that_is_there():
    first, second = itl.read(latents()).of_type(9)
    assert first.field("FGP").number == 134
    assert second.field("FGP").number == 6


def test_items_of_a_field_are_split_with_empty_ones_kept():
    record = tagged(2, "002:00", f"030:a{US}{US}c{RS}d{RS}")
    value = itl.read(header([(2, "00")]) + record).records[1][30]
    assert value == f"a{US}{US}c{RS}d{RS}"
    assert value.subfields == (("a", "", "c"), ("d",), ("",))
    assert value.items == ("a", "", "c")


def test_only_len_bounds_an_image():
    data = b"\x1c\x1d14.999:\x1e\x1f1.001:99\x1d\x1c"
    record = tagged(14, "002:01", b"999:" + data)
    transaction = itl.read(header([(14, "01"), (2, "00")]) + record + tagged(2, "002:00"), strict=True)
    assert [r.type for r in transaction] == [1, 14, 2]
    assert transaction.records[1].image == data
    assert isinstance(transaction.records[1][999], memoryview)


def test_999_is_an_ordinary_field_of_type_2_and_a_comment_may_hold_its_tag():
    text = tagged(2, "002:00", "999:user", "998:x")
    comment = tagged(14, "002:01", "020:see 14.999: and 999:", b"999:IMG")
    records = itl.read(header([(2, "00"), (14, "01")]) + text + comment, strict=True).records
    assert records[1][999] == "user"
    assert records[1][998] == "x"
    assert records[2][20] == "see 14.999: and 999:"
    assert bytes(records[2].image) == b"IMG"


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_tags_of_any_width_are_the_same_fields(digits):
    record = tagged(2, f"{2:0{digits}d}:00", f"{30:0{digits}d}:a", digits=min(digits, 3))
    data = header([(2, "00")]) + record
    transaction = itl.read(data)
    assert transaction.records[1][30] == "a"
    assert transaction.records[1].field(30).tag == f"2.{30:0{digits}d}".encode()
    assert bytes(transaction) == data


def test_fields_stand_in_any_order_behind_the_first_two():
    record = itl.read(header([(2, "00")]) + tagged(2, "002:00", "040:x", "030:a"), strict=True).records[1]
    assert [field.number for field in record] == [1, 2, 40, 30]


def test_binary_records_have_named_header_fields():
    data = bytes(range(256))
    record = binary(4, 250, (3, 4), (40000, 50000), 1, data, isr=1, impression=29)
    head = header([(4, "250")], f011="39.37")
    transaction = itl.read(head + record)
    four = transaction.records[1]
    assert (four.type, four.idc, four["IMP"], four["FGP"], four["ISR"]) == (4, 250, 29, (3, 4), 1)
    assert (four["HLL"], four["VLL"], four["GCA"]) == (40000, 50000, 1)
    assert bytes(four[9]) == bytes(four.image) == data
    header_fields = four.image_header()
    assert (header_fields.width, header_fields.height, header_fields.compression) == (40000, 50000, "WSQ20")
    assert header_fields.ppi == pytest.approx((1000, 1000), rel=1e-3)


@pytest.mark.parametrize(("type", "ppi", "depth"), [(3, 250, 8), (4, 500, 8), (5, 250, 1), (6, 500, 1)])
def test_nominal_resolution_and_depth_of_binary_prints(type, ppi, depth):
    record = itl.read(header([(type, "1")]) + binary(type)).records[1]
    assert record.image_header().ppi == (ppi, ppi)
    assert record.image_header().depth == depth


def test_signature_and_user_image_records():
    signature = (20).to_bytes(4, "big") + bytes((1, 1, 2, 0)) + bytes((0, 200, 0, 60)) + b"vectors!"
    user = binary(4, 2)
    transaction = itl.read(header([(8, "1"), (7, "2")]) + signature + user, strict=True)
    eight, seven = transaction.records[1:]
    assert (eight["SIG"], eight["SRT"], eight["HLL"], eight["VLL"], bytes(eight.image)) == (1, 2, 200, 60, b"vectors!")
    assert bytes(seven.image) == user[5:]
    assert seven.read_as(4)["HLL"] == 4


def test_text_is_decoded_by_the_declared_character_set():
    for index, codec in (
        (1, "latin-1"),
        (3, "utf-8"),
        (2, "utf-16-be"),
        (2, "utf-16"),
        (4, "utf-32-be"),
        (200, "cp1250"),
    ):
        name = "Straße Žižka" if codec != "latin-1" else "Straße"
        record = tagged(2, "002:00", b"030:" + name.encode(codec), "003:0422")
        head = header([(2, "00")], f"015:{index:03d}{US}{'windows-1250' if index == 200 else ''}{US}")
        transaction = itl.read(head + record, strict=True)
        assert transaction.records[1][30] == name
        assert transaction.records[1][3] == "0422"


@pytest.mark.parametrize("codec", ["utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le"])
def test_wide_text_whose_bytes_equal_separators(codec):
    # U+041C to U+041F are Cyrillic capitals whose low byte is FS, GS, RS or US.
    name = "МНОП Нина"
    record = tagged(2, "002:00", b"030:" + name.encode(codec), b"031:" + "Ольга".encode(codec))
    index = 2 if codec.startswith("utf-16") else 4
    transaction = itl.read(header([(2, "00")], f"015:{index}") + record, strict=True)
    assert transaction.records[1][30] == name
    assert transaction.records[1][31] == "Ольга"


def test_items_of_wide_text_may_be_parted_by_single_bytes():
    for parts in (("Ab", "Cd", "E"), ("Žižka", "Ω"), ("Дом", "Ель", "Эхо")):
        raw = b"\x1f".join(part.encode("utf-16-be") for part in parts)
        record = tagged(2, "002:00", b"030:" + raw)
        value = itl.read(header([(2, "00")], f"015:002{US}UTF-16") + record, strict=True).records[1][30]
        assert value.items == parts


def test_undeclared_text_is_utf8_or_latin_1_or_as_the_caller_says():
    def name(raw, **options):
        return itl.read(header([(2, "00")]) + tagged(2, "002:00", b"030:" + raw), strict=True, **options).records[1][30]

    assert name("Ω".encode()) == "Ω"
    assert name(b"Stra\xdfe") == "Straße"
    assert name(b"\x8ei\x9eka", fallback="windows-1250") == "Žižka"
    with pytest.raises(itl.RecordError, match="klingon"):
        name(b"a", fallback="klingon")


def test_repr_and_problems_show_no_personal_data():
    secret = "Wanted Person"
    record = tagged(2, "002:00", f"030:{secret}", f"030:{secret}", secret)
    transaction = itl.read(header([(2, "00"), (13, "01")]) + record + latent())
    shown = [repr(transaction), *map(repr, transaction.records), *map(str, transaction.problems)]
    shown += [repr(field) for r in transaction for field in r]
    assert len(transaction.problems) == 2
    assert not [text for text in shown if "Wanted" in text or "13.999:" in text]


def test_a_type_1_record_alone_is_a_transaction():
    transaction = itl.read(header([]), strict=True)
    assert len(transaction) == 1
    assert len(transaction.header.minutiae()) == 0


def test_idc_and_len_may_be_padded():
    data = european()
    assert itl.read(data, strict=True).records[2][1] == "00000057"
    single = header([(2, "7")]) + tagged(2, "002:007")
    assert itl.read(single, strict=True).records[1].idc == 7


def test_images_are_compared_with_what_the_fields_say():
    import numpy as np

    pixels = (np.arange(64 * 48).reshape(48, 64) % 251).astype(np.uint8)
    stream = itl.images.encode_wsq(pixels, ppi=500)
    right = latent(data=stream, size=(64, 48), cga="WSQ20")
    transaction = itl.read(header([(13, "01")]) + right, strict=True)
    assert transaction.records[1].pixels().shape == (48, 64)
    for wrong, field in (
        (latent(data=stream, size=(64, 47), cga="WSQ20"), 7),
        (latent(data=stream, size=(64, 48), cga="JPEGL"), 11),
        (latent(data=itl.images.encode_wsq(pixels, ppi=1000), size=(64, 48), cga="WSQ20"), 9),
        (latent(data=b"13.999:" + stream, size=(64, 48), cga="WSQ20"), 999),
    ):
        problems = itl.read(header([(13, "01")]) + wrong).problems
        assert [(p.type, p.field) for p in problems] == [(13, field)]


def test_raw_pixels_by_the_fields():
    record = itl.read(latents()).of_type(13)[0]
    assert record.pixels().tobytes() == b"\x1c\x1d\x1e\x1f13.9"
    with pytest.raises(itl.RecordError, match="no image"):
        itl.read(latents()).of_type(9)[0].pixels()


def test_separators_are_what_the_cases_say():
    assert (FS, GS, RS, US) == ("\x1c", "\x1d", "\x1e", "\x1f")
