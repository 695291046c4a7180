"""Damaged transactions: the strict reader names the place, the lax one goes on and keeps every byte."""

import pytest
from itl_cases import GS, RS, US, binary, header, latent, m1_record, prints, std_record, tagged

from pcc_match import itl

PLAIN = header([(2, "00")])
TEXT = tagged(2, "002:00", "030:a")


def two_records(entries, *records):
    return header(entries) + b"".join(records)


# name: (data, path of the first problem, types of the records that the lax reader finds)
CASES = {
    "CNT counts wrong": (
        header([(2, "00")], f003=f"1{US}5{RS}2{US}00") + TEXT,
        "1/1.003/1/2",
        [1, 2],
    ),
    "CNT announces more than there is": (header([(2, "00"), (14, "01")]) + TEXT, "1/1.003/3", [1, 2]),
    "CNT announces less than there is": (header([(2, "00")]) + TEXT + tagged(2, "002:01"), "3/2.001", [1, 2, 2]),
    "CNT has another IDC": (header([(2, "07")]) + TEXT, "2/2.002", [1, 2]),
    "CNT has another type": (header([(14, "00")]) + TEXT, "2/2.001", [1, 2]),
    "CNT announces a binary record where a tagged one stands": (header([(4, "00")]) + TEXT, "2/2.001", [1, 2]),
    "CNT is not numbers": (header([], f003=f"1{US}1{RS}x{US}00") + TEXT, "1/1.003/2", [1, 2]),
    "no CNT": (header([], f003="") + TEXT, "1/1", [1, 2]),
    "LEN is huge": (PLAIN + tagged(2, "002:00", "030:a", length=str(10**12)), "2/2.001", [1, 2]),
    "LEN is too short": (PLAIN + tagged(2, "002:00", "030:abcdef", length="28"), "2/2.001", [1, 2]),
    "LEN is too long": (PLAIN + tagged(2, "002:00", "030:a", length="29"), "2/2.001", [1, 2]),
    "LEN is no number": (PLAIN + tagged(2, "002:00", "030:a", length="x1"), "2/2.001", [1, 2]),
    "LEN has thirty digits": (PLAIN + tagged(2, "002:00", "030:a", length="9" * 30), "2/2.001", [1, 2]),
    "LEN is wrong before another record": (
        two_records([(2, "00"), (2, "01")], tagged(2, "002:00", length="99"), tagged(2, "002:01")),
        "2/2.001",
        [1, 2, 2],
    ),
    "LEN of an image is wrong before another record": (
        two_records([(14, "01"), (2, "00")], tagged(14, "002:01", b"999:\x1c\x1d", length="23"), TEXT),
        "2/14.001",
        [1, 14, 2],
    ),
    "LEN of Type-1 is wrong": (header([(2, "00")]).replace(b"1.001:1", b"1.001:9") + TEXT, "1/1.001", [1, 2]),
    "no FS": (PLAIN + TEXT[:-1], "2/2.001", [1, 2]),
    "cut in an image": (header([(13, "01")]) + latent()[:-5], "2/13.999", [1, 13]),
    "cut in a tag": (PLAIN + b"2.001:26\x1d2.0", "2/2.001", [1, 2]),
    "unknown type": (header([(23, "01")]) + tagged(23, "002:01"), "2/23.001", [1, 23]),
    "a second Type-1": (header([(1, "00"), (2, "00")]) + header([]) + TEXT, "2/1.001", [1, 1, 2]),
    "another transaction behind": (prints() + prints(), "transaction", [1, 2, 4, 4, 14]),
    "NUL behind": (PLAIN + TEXT + bytes(16), "transaction", [1, 2]),
    "line end behind": (PLAIN + TEXT + b"\r\n", "transaction", [1, 2]),
    "bytes before": (b"\xef\xbb\xbf" + PLAIN + TEXT, "transaction", [1, 2]),
    "no record where one is announced": (
        two_records([(14, "00"), (2, "01")], b"garbage\x1c", tagged(2, "002:01")), "2/14", [1, 2]),
    "no record where the last one is announced": (PLAIN + b"garbage", "2/2", [1]),
    "line ends between records": (PLAIN + b"\r\n" + TEXT, "2/2", [1, 2]),
    "bytes between records": (PLAIN + b"garbage\x1c" + TEXT, "2/2", [1, 2]),
    "no LEN": (PLAIN + b"2.002:00\x1d2.030:a\x1c", "2/2", [1, 2]),
    "Type-4 LEN 17": (header([(4, "01")]) + binary(length=17)[:17], "2/4.001", [1, 4]),
    "Type-4 LEN 0": (header([(4, "01")]) + binary(length=0), "2/4.001", [1, 4]),
    "Type-4 LEN 0 before another": (
        two_records([(4, "01"), (2, "00")], binary(length=0), TEXT),
        "2/4.001",
        [1, 4, 2],
    ),
    "Type-4 LEN 0 of a compressed image before another": (
        two_records([(4, "01"), (2, "00")], binary(length=0, compression=1, data=b"\xff\xa0" * 9), TEXT),
        "2/4.001",
        [1, 4, 2],
    ),
    "Type-4 LEN of 4 GB": (header([(4, "01")]) + binary(length=0xFFFFFFFF), "2/4.001", [1, 4]),
    "Type-4 cut": (header([(4, "01")]) + binary()[:3], "2/4", [1, 4]),
    "Type-4 raw data too short": (header([(4, "01")]) + binary(data=b"1234567"), "2/4.009", [1, 4]),
    "IDC missing": (PLAIN + tagged(2, "030:a"), "2/2", [1, 2]),
    "IDC is no number": (PLAIN + tagged(2, "002:xx"), "2/2.002", [1, 2]),
    "IDC is too great": (PLAIN + tagged(2, "002:256"), "2/2.002", [1, 2]),
    "width is no number": (
        header([(13, "01")]) + latent().replace(b"13.006:4", b"13.006:x"), "2/13.006", [1, 13]),
    "width of M1 is no number": (
        header([(9, "01")]) + m1_record().replace(b"9.128:800", b"9.128:8x0"), "2/9.128", [1, 9]),
    "IDC is not second": (PLAIN + tagged(2, "030:a", "002:00"), "2/2.002", [1, 2]),
    "field of another type": (header([(9, "01")]) + m1_record().replace(b"9.133:", b"13.33:"), "2/9.033", [1, 9]),
    "field twice": (PLAIN + tagged(2, "002:00", "030:a", "030:b"), "2/2.030", [1, 2]),
    "field without tag": (PLAIN + tagged(2, "002:00", b"030:a\x1dtext"), "2/2", [1, 2]),
    "empty field": (PLAIN + tagged(2, "002:00", b"030:a\x1d"), "2/2", [1, 2]),
    "image tag of another type": (header([(14, "01")]) + tagged(14, "002:01", b"999:IMG").replace(b"14.999", b"13.999"),
                                  "2/14.999", [1, 14]),
    "not UTF-8": (header([(2, "00")], f"015:003{US}UTF-8") + tagged(2, "002:00", b"030:\xff\xfe"), "2/2.030", [1, 2]),
    "not ASCII though declared": (header([(2, "00")], "015:0") + tagged(2, "002:00", b"030:\xe4"), "2/2.030", [1, 2]),
    "half a UTF-16 unit": (header([(2, "00")], "015:2") + tagged(2, "002:00", b"030:\x00A\xd8"), "2/2.030", [1, 2]),
    "unknown character set": (header([(2, "00")], "015:99") + TEXT, "1/1.015/1/1", [1, 2]),
    "number of minutiae": (header([(9, "01")]) + m1_record().replace(b"9.136:3", b"9.136:4"), "2/9.136", [1, 9]),
    "number of minutiae is no number": (
        header([(9, "01")]) + std_record().replace(b"9.010:3", b"9.010:x"), "2/9.010", [1, 9]),
    "M1 type is a letter": (
        header([(9, "01")]) + m1_record(1, minutiae=f"1{US}10{US}20{US}20{US}A{US}50"), "2/9.137/1/5", [1, 9]),
    "M1 type is a letter among numbers out of range": (
        header([(9, "01")]) + m1_record(1, minutiae=f"1{US}10{US}20{US}200{US}A{US}101"), "2/9.137/1/5", [1, 9]),
    "M1 angle out of range": (
        header([(9, "01")]) + m1_record(1, minutiae=f"1{US}10{US}20{US}180{US}1{US}50"), "2/9.137/1/4", [1, 9]),
    "M1 minutia too short": (
        header([(9, "01")]) + m1_record(2, minutiae=f"1{US}1{US}2{US}3{US}1{US}5{RS}2{US}9"), "2/9.137/2", [1, 9]),
    "XYT of ten digits": (
        header([(9, "01")]) + std_record(1, minutiae=f"1{US}1250125011"), "2/9.012/1/2", [1, 9]),
    "XYT with 400 degrees": (
        header([(9, "01")]) + std_record(1, minutiae=f"1{US}12501250400"), "2/9.012/1/2", [1, 9]),
    "quality of 9.012 out of range": (
        header([(9, "01")]) + std_record(1, minutiae=f"1{US}12501250011{US}64{US}A"), "2/9.012/1/3", [1, 9]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_strict_names_the_place_and_lax_reads_on(name):
    data, path, types = CASES[name]
    with pytest.raises(itl.RecordError) as caught:
        itl.read(data, strict=True)
    error = caught.value
    assert error.path == path
    assert 0 <= error.offset <= len(data)
    assert error.message
    transaction = itl.read(data)
    assert [record.type for record in transaction.records] == types
    assert (transaction.problems[0].path, transaction.problems[0].offset) == (path, error.offset)
    assert bytes(transaction) == data


def test_the_error_has_every_part_of_the_place():
    data = header([(9, "01")]) + std_record(2, minutiae=f"1{US}12501250011{RS}2{US}12501250011{US}9{US}Z")
    with pytest.raises(itl.RecordError) as caught:
        itl.read(data, strict=True)
    e = caught.value
    assert (e.record, e.type, e.idc, e.field, e.subfield, e.item) == (2, 9, 1, 12, 2, 4)
    assert data[e.offset : e.offset + 1] == b"Z"
    assert str(e) == f"record 2, Type-9 IDC 1, 9.012, subfield 2, item 4, byte {e.offset}: {e.message}"


@pytest.mark.parametrize("data", [b"", b"\x00" * 50, b"garbage", b"11.001:9\x1d", TEXT, b"1.0010:", b"x" * 1000])
def test_without_a_type_1_record_there_is_no_transaction(data):
    for strict in (False, True):
        with pytest.raises(itl.RecordError, match="no Type-1"):
            itl.read(data, strict=strict)


def test_offsets_point_at_the_fault():
    data = PLAIN + tagged(2, "002:00", "030:a", length="28")
    problem = itl.read(data).problems[0]
    assert data[problem.offset :].startswith(b"28" + GS.encode())


def test_a_megabyte_of_nonsense_makes_few_problems():
    data = PLAIN + tagged(2, "002:00", *["030:a"] * 30000)
    assert len(itl.read(data).problems) <= 101
    rows = RS.join(["?"] * 30000)
    data = header([(9, "01")]) + m1_record(30000, minutiae=rows)
    assert len(itl.read(data).problems) <= 101


def test_what_cannot_be_read_of_the_minutiae_is_left_out_and_named():
    rows = RS.join(
        [f"1{US}10{US}20{US}30{US}1{US}50", f"2{US}x{US}20{US}30{US}1{US}50", f"3{US}11{US}20{US}30{US}2{US}0"]
    )
    minutiae = itl.read(header([(9, "01")]) + m1_record(3, minutiae=rows)).records[1].minutiae()
    assert [m.original[0] for m in minutiae] == ["1", "3"]
    assert [problem.path for problem in minutiae.problems] == ["2/9.137/2/2"]
