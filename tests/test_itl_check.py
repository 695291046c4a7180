"""Checks: the standard's tables by version, the Prüm profile, SIS and EES limits, and the text of 2.074."""

import numpy as np
import pytest
from itl_cases import RS, US, binary, fmd, header, latent, latents, m1_record, tagged

from pcc_match import itl
from pcc_match.itl import dictionary
from pcc_match.itl.problems import FIXED_TEXTS, Problem, error_message
from pcc_match.itl.profiles import profile, tcn_check_character
from pcc_match.itl.reader import dictionary as readers_dictionary

PIXELS = (np.add.outer(np.arange(160), np.arange(200)) * 7 % 256).astype(np.uint8)
STREAM = itl.images.encode_wsq(PIXELS, ppi=500, ratio=10)
PRUEM = {
    "f002": "0300",
    "f006": "4",
    "f009": "2401995014V",
    "f011": "19.68",
    "f012": "19.68",
    "f013": f"INT-I{US}4.22",
    "f014": "20240229125959Z",
}


def paths(findings):
    return [(problem.path, problem.code) for problem in findings]


def pruem(entries, *records, **changes):
    return itl.read(header(entries, **{**PRUEM, **changes}) + b"".join(records)).check("pruem")


def type_2(*fields):
    return tagged(2, "002:00", "003:0422", *fields)


def print_4(idc, fgp, stream=STREAM):
    return binary(4, idc, (fgp,), (200, 160), 1, stream)


def cps(*fields, fingers=(1, 2), **changes):
    entries = [(2, "00"), *((4, f"{i:02d}") for i, _ in enumerate(fingers, 1))]
    records = [print_4(i, finger) for i, finger in enumerate(fingers, 1)]
    return pruem(entries, type_2(*(fields or ("010:DE/4711",))), *records, **changes)


def pruem_latent(idc="01", cga="WSQ"):
    return tagged(
        13, f"002:{idc}", "003:6", "004:SRC", "005:20240229", "006:200", "007:160", "008:1", "009:500", "010:500",
        f"011:{cga}", "012:8", "013:0", b"999:" + STREAM,
    )  # fmt: skip


def pruem_minutiae(idc="01"):
    fields = (
        "126:27\x1f513\x1f0",
        "127:NONE\x1f0",
        "128:800",
        "129:750",
        "130:1",
        "131:500",
        "132:500",
        "133:0",
        "134:0",
    )
    return tagged(9, f"002:{idc}", "003:6", "004:U", *fields, "135:90", "136:3", f"137:{fmd(3)}")


def test_every_record_type_has_a_table_and_every_row_is_understood():
    rules = dictionary._rules()
    assert set(rules) == dictionary.RECORD_TYPES == readers_dictionary.RECORD_TYPES
    for rule in rules.values():
        for field in rule.fields.values():
            assert field.mnemonic
            assert field.condition in "MODL"
            assert all(item.length[0] <= item.length[1] for item in field.items)


def test_good_transactions_have_no_findings():
    plain = tagged(2, "002:00", "999:x")
    assert itl.read(header([(2, "00")]) + plain).check() == ()
    full = tagged(
        14, "002:01", "003:1", "004:SRC", "005:20240229", "006:4", "007:2", "008:1", "009:500", "010:500", "011:NONE",
        "012:8", "013:1", "200:user", b"999:12345678",
    )  # fmt: skip
    assert itl.read(header([(14, "01")]) + full).check() == ()


def record_14(**changes):
    fields = {
        "f003": "1", "f004": "SRC", "f005": "20240229", "f006": "4", "f007": "2", "f008": "1", "f009": "500",
        "f010": "500", "f011": "NONE", "f012": "8", "f013": "1",
    } | changes  # fmt: skip
    return tagged(14, "002:01", *(f"{k[1:]}:{v}" for k, v in fields.items() if v), b"999:12345678")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"f013": ""}, ("2/14.013", 101)),
        ({"f012": ""}, ("2/14.012", 101)),
        ({"f100": "x"}, ("2/14.100", 103)),
        ({"f013": RS.join("1234567")}, ("2/14.013", 104)),
        ({"f018": f"1{US}XX{US}more"}, ("2/14.018/1", 105)),
        ({"f018": "1"}, ("2/14.018/1/2", 101)),
        ({"f027": "YY"}, ("2/14.027", 107)),
        ({"f020": "x" * 129}, ("2/14.020", 107)),
        ({"f030": "OBS"}, ("2/14.030", 106)),
        ({"f006": "four"}, ("2/14.006", 108)),
        ({"f996": "xyz"}, ("2/14.996", 111)),
        ({"f005": "20230229"}, ("2/14.005", 112)),
        ({"f005": "2024022"}, ("2/14.005", 112)),
        ({"f003": "99"}, ("2/14.003", 115)),
        ({"f022": f"1{US}3{RS}11{US}3"}, ("2/14.022/2/1", 115)),
    ],
)
def test_the_standards_rules_by_prüms_codes(changes, expected):
    findings = itl.read(header([(14, "01")]) + record_14(**changes)).check()
    assert paths(findings) == [expected]
    assert all(finding.offset is not None for finding in findings)


def test_numbers_out_of_range():
    assert paths(itl.read(header([], f006="0")).check()) == [("1/1.006", 109)]
    nine = (
        m1_record(1, minutiae=f"1{US}1{US}1{US}1{US}1{US}1").replace(b"9.133:0", b"9.133:16").replace(b":1", b":1", 1)
    )
    assert ("2/9.133", 110) in paths(itl.read(header([(9, "01")]) + nine).check())


def test_fields_belong_to_a_version():
    record = tagged(
        14, *(f"{f}" for f in ("002:01", "003:1", "004:S", "005:20240229", "013:1", "018:1\x1fXX", "031:30"))
    )
    for version, expected in (("0300", [18, 31]), ("0400", [31]), ("0500", [])):
        findings = itl.read(header([(14, "01")], f002=version) + record).check()
        assert [finding.field for finding in findings] == expected
    assert paths(itl.read(header([], f002="0")).check()) == [("1/1.002", 115)]


def test_a_print_that_is_only_missing_needs_no_image():
    fields = ("002:01", "003:1", "004:S", "005:20240229", "013:1")
    assert itl.read(header([(14, "01")]) + tagged(14, *fields, "018:1\x1fXX")).check() == ()
    assert paths(itl.read(header([(14, "01")]) + tagged(14, *fields)).check()) == [("2/14.999", 101)]


def test_m1_minutiae_are_numbered_from_1_and_lie_in_the_image():
    zero = m1_record(1, minutiae=f"0{US}1{US}1{US}1{US}1{US}1")
    outside = m1_record(1, minutiae=f"1{US}800{US}1{US}1{US}1{US}1")
    assert paths(itl.read(header([(9, "01")]) + zero).check()) == [("2/9.137/1/1", 115)]
    assert paths(itl.read(header([(9, "01")]) + outside).check()) == [("2/9.137/1/2", 110)]


def test_undeclared_characters_are_a_finding_but_no_problem():
    transaction = itl.read(header([(2, "00")]) + tagged(2, "002:00", b"030:\xc5\xbd"))
    assert transaction.problems == ()
    assert paths(transaction.check()) == [("2/2.030", 111)]


def test_a_check_tells_what_reading_found_too():
    data = header([(2, "07")]) + tagged(2, "002:00")
    assert paths(itl.read(data).check()) == [("2/2.002", 115)]


def test_good_prüm_transactions_have_no_findings():
    assert cps() == ()
    assert cps("010:DE/4711", "320:1", "063:note", fingers=range(1, 15)) == ()
    latent_search = [(2, "00"), (9, "01"), (13, "01")]
    assert pruem(latent_search, type_2("007:DE/C1"), pruem_minutiae(), pruem_latent(), f004="MPS") == ()
    assert pruem([(2, "00"), (13, "01")], type_2("007:DE/C1"), pruem_latent(), f004="MMS") == ()
    hit = "064:CPS\x1eI\x1e001/001\x1e999999"
    answer = {"f004": "SRE", "f010": "1600000366G"}
    assert pruem([(2, "00"), (4, "01")], type_2(hit, "012:4711"), print_4(1, 1), **answer) == ()
    assert pruem([(2, "00")], type_2("064:CPS\x1eN", "012:4711"), **answer) == ()
    error = "074:201: IDC -1 FIELD 1.009 WRONG CONTROL CHARACTER"
    assert pruem([(2, "00")], type_2(error), f004="ERR", f010="1600000366G") == ()


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (lambda: cps(f002="0502"), ("1/1.002", 115)),
        (lambda: cps(f004="ATP"), ("1/1.004", 116)),
        (lambda: cps(f006=""), ("1/1.006", 101)),
        (lambda: cps(f007="BKA"), ("1/1.007", 106)),
        (lambda: cps(f007="Germany/BKA"), ("1/1.007", 115)),
        (lambda: cps(f009="2401995014W"), ("1/1.009", 201)),
        (lambda: cps(f011="19.69"), ("1/1.011", 115)),
        (lambda: cps(f013=f"NORAM{US}"), ("1/1.013/1/1", 115)),
        (lambda: cps(f014=""), ("1/1.014", 101)),
        (lambda: cps(f014="20241301000000Z"), ("1/1.014", 112)),
        (lambda: cps("063:x"), ("2/2.010", 101)),
        (lambda: cps("010:DE/1", "007:DE/2"), ("2/2.007", 103)),
        (lambda: cps("010:DE/1", "320:2"), ("2/2.320", 110)),
        (lambda: cps(fingers=()), ("1/1.003", 502)),
        (lambda: cps(fingers=(1, 1)), ("4/4.004", 503)),
        (lambda: cps(fingers=(15,)), ("3/4.004", 110)),
        (lambda: pruem([(2, "00"), (13, "01")], type_2("007:DE/C1"), pruem_latent(cga="WSQ20"), f004="MMS"),
         ("3/13.011", 115)),
        (lambda: pruem([(2, "00")], type_2("010:DE/1"), f004="PMS"), ("1/1.003", 502)),
        (lambda: pruem([(2, "00"), (9, "01")], type_2("007:DE/C1"), pruem_minutiae(), f004="MPS"), ("1/1.003", 502)),
        (lambda: pruem([(2, "00")], type_2("064:CPS\x1eN"), f004="SRE"), ("1/1.010", 101)),
        (lambda: pruem([(2, "00")], type_2("064:CPS\x1eX"), f004="SRE", f010="1600000366G"), ("2/2.064/2/1", 115)),
        (lambda: pruem([(2, "00")], type_2("064:CPS\x1eI\x1e001/001\x1e0"), f004="SRE", f010="1600000366G"),
         ("2/2.064", 502)),
        (lambda: pruem([(2, "00"), (4, "01")], type_2("010:DE/1"), binary(4, 1, (1,), (200, 160), 0, PIXELS.tobytes())),
         ("3/4.008", 115)),
        (lambda: pruem([(2, "00"), (4, "01")], type_2("010:DE/1"),
                       print_4(1, 1, itl.images.encode_wsq(PIXELS, ratio=40))), ("3/4.009", 117)),
        (lambda: pruem([(2, "00"), (14, "01")], type_2("010:DE/1"), record_14()), ("3/14.001", 102)),
    ],
)  # fmt: skip
def test_prüm_rules_by_code(findings, expected):
    assert expected in paths(findings())


def test_prints_larger_than_the_card_allows():
    wide = itl.images.encode_wsq(np.tile(PIXELS, (1, 5)), ratio=10)
    record = binary(4, 1, (5,), (1000, 160), 1, wide)
    assert ("3/4.006", 110) in paths(pruem([(2, "00"), (4, "01")], type_2("010:DE/1"), record))


def test_the_check_character_of_three_real_numbers():
    assert [tcn_check_character(n) for n in (1600000366, 2401995014, 19125458357684)] == ["G", "V", "J"]
    assert tcn_check_character(0) == "Z"


def test_partners_may_relax_a_check():
    entries, print_ = [(2, "00"), (4, "01")], print_4(1, 1)
    data = header(entries, **{**PRUEM, "f009": "0200000004F"}) + type_2("010:DE/1") + print_
    assert paths(itl.read(data).check("pruem")) == [("1/1.009", 201)]
    assert itl.read(data).check("pruem", relaxed=["tcn"]) == ()
    with pytest.raises(itl.RecordError, match="tcn"):
        itl.read(data).check("pruem", relaxed=["nothing"])


def test_error_message_has_the_form_of_the_decision():
    problems = [
        Problem("wrong control character", 5, 1, 1, None, 9, code=201),
        Problem("Invalid system information", 50, 2, 2, 0, 3, code=115),
        Problem("x", 50, 3, 9, 1, 137, 2, 4, code=115),
        Problem("no fingers", code=502),
        Problem("no fingers at all", code=502),
        Problem("a\x1cž", code=117),
    ]
    assert error_message(problems).split("\n") == [
        "201: IDC -1 FIELD 1.009 WRONG CONTROL CHARACTER",
        "115: IDC 0 FIELD 2.003 INVALID SYSTEM INFORMATION",
        "115: IDC 1 FIELD 9.137.2 X",
        "502: ERROR: MISSING FINGERPRINTS",
        "117: IDC -1 FIELD 1.001 A??",
    ]
    assert FIXED_TEXTS[3] == "ERROR: UNAUTHORISED ACCESS"
    assert error_message([]) == ""


def test_sis_forbids_leading_zeros_and_other_compressions():
    plain = itl.Transaction.build(
        {
            "VER": "0502",
            "TOT": "SIS",
            "DAT": "20240229",
            "DAI": "A",
            "ORI": "B",
            "TCN": "1",
            "NSR": "19.69",
            "NTR": "19.69",
        },
        [(2, {}), (4, {"IMP": 0, "FGP": 1, "HLL": 200, "VLL": 160, "GCA": 1, 9: STREAM})],
        leading_zeros=False,
    )
    assert plain.check("sis") == ()
    padded = itl.read(header([(2, "00"), (4, "01")]) + tagged(2, "002:00") + print_4(1, 1)).check("sis")
    assert paths(padded) == [("1/1.003/2/2", 115), ("1/1.003/3/2", 115), ("2/2.002", 115)]
    raw = itl.read(header([(4, "1")]) + binary()).check("sis")
    assert ("2/4.008", 115) in paths(raw)
    assert ("2/9.001", 102) in paths(itl.read(header([(9, "1")]) + m1_record(idc="1")).check("sis"))


def test_ees_asks_for_its_header_and_for_qualities():
    record = record_14(f011="WSQ20", f006="200", f007="160").replace(b"12345678", STREAM)
    findings = itl.read(header([(14, "01")], f004="EES", f013=f"EES{US}1.00") + record).check("ees")
    assert ("2/14.024", 101) in paths(findings)
    other = paths(itl.read(header([(14, "01")]) + record).check("ees"))
    assert {("1/1.004", 115), ("1/1.013", 101)} <= set(other)


def test_an_unknown_profile_is_refused():
    with pytest.raises(itl.RecordError, match=r"int-i-4\.22"):
        itl.read(latents()).check("fbi")
    assert profile("prüm") is profile("prüm")
    assert profile("PRUEM").name == "int-i-4.22"


def test_latent_is_a_case_of_its_own():
    assert itl.read(header([(13, "01")]) + latent()).check() == ()
