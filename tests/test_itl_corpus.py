"""Real transactions (../shared): all read, all written back, every bad one refused at the right place."""

import pytest
from shared_data import shared

from pcc_match import itl

FOLDER = shared("data/itl")
FILES = (
    []
    if FOLDER is None
    else sorted(p for s in ("*.an2", "*.an2k", "*.nist") for p in FOLDER.rglob(s) if p.name != "empty.an2")
)
# Faults of the makers: NIST's 13.005 in a Type-9 record, its IDC against CNT, VLL of a testing image.
FAULTY = {
    "type9-13.an2k": ["2/2.034", "3/9.005"],
    "type9-15.an2k": ["5/9.002"],
    "rec01_rec02_rec16.nst.an2": ["3/16.007"],
}
BAD = {
    "bad_cnt_count.an2": "1/1.003/1/2",
    "bad_cnt_idc_mismatch.an2": "2/2.002",
    "bad_len_huge.an2": "2/2.001",
    "bad_len_short.an2": "2/2.001",
    "bad_m1_type_letter.an2": "2/9.137/1/5",
    "bad_mrc_xyt_10_digits.an2": "2/9.012/1/2",
    "bad_trailing_nuls.an2": "transaction",
    "bad_truncated_in_image.an2": "3/14.999",
    "bad_type4_len_17.an2": "2/4.001",
    "bad_type4_len_zero.an2": "2/4.001",
    "bad_unknown_type_23.an2": "2/23.001",
}

pytestmark = pytest.mark.skipif(FOLDER is None, reason="the shared test data are not here")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_transaction_is_read_and_written_back_byte_for_byte(path):
    data = path.read_bytes()
    transaction = itl.read(path)
    assert bytes(transaction) == data
    assert transaction.records[0].type == 1
    covered = transaction.records[0].offset + sum(record.size for record in transaction.records)
    assert covered == len(data) or path.name.startswith("bad_trailing")
    problems = [problem.path for problem in transaction.problems]
    if path.name.startswith("bad_"):
        assert problems[0] == BAD[path.name]
        with pytest.raises(itl.RecordError) as caught:
            itl.read(path, strict=True)
        assert caught.value.path == BAD[path.name]
    else:
        assert problems == FAULTY.get(path.name, [])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_checks_of_real_transactions_end(path):
    transaction = itl.read(path)
    for profile in (None, "pruem", "sis", "ees"):
        assert all(finding.message for finding in transaction.check(profile))


def test_nists_reference_transactions_keep_the_standard():
    clean = [p for p in FILES if p.parent.name == "nist_reference" and p.name not in FAULTY]
    assert len(clean) >= 27
    assert [p.name for p in clean if itl.read(p).check()] == []


def test_ten_fingers_under_int_i():
    transaction = itl.read(FOLDER / "int_i" / "int_i_4.22_atp.nist", strict=True)
    fingers = transaction.of_type(4)
    assert [record["FGP"] for record in fingers] == [(n,) for n in range(1, 11)]
    assert [record.idc for record in fingers] == list(range(1, 11))
    assert [record.pixels().shape for record in fingers] == [(r["VLL"], r["HLL"]) for r in fingers]
    assert transaction.records[1]["SYS"] == "0422"


def test_a_name_in_utf8():
    transaction = itl.read(FOLDER / "malformed" / "ok_utf8_dcs.an2", strict=True)
    assert transaction.records[1][30] == "Žižka Ω"
    assert transaction.charset.codec == "utf-8"
