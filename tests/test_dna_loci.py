"""The catalogue's facts, the many ways to write a locus, and what an allele's text means."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcc_match.dna.loci import ABSENT, AMELOGENIN, LOCI, WILDCARD, allele_code, locus
from pcc_match.errors import ProfileError

TABLE_2008 = """
VWA TH01 D21S11 FGA D8S1179 D3S1358 D18S51 Amelogenin
TPOX CSF1PO D13S317 D7S820 D5S818 D16S539 D2S1338 D19S433
PentaD PentaE FES F13A1 F13B SE33 CD4 GABA
"""
ESS_2001 = {"VWA", "TH01", "D21S11", "FGA", "D8S1179", "D3S1358", "D18S51"}
ESS_2009 = {"D1S1656", "D2S441", "D10S1248", "D12S391", "D22S1045"}

# As the frequency tables of NIST, STRidER, popSTR and norSTR, and the kits' exports, print them.
NAMES_IN_USE = """
AMEL APOAI1 CSF1PO D10S1248 D10S1435 D10S2325 D11S1304 D11S2368 D11S4463 D11S554 D12ATA63 D12S297 D12S391 D13S317
D13S325 D14S1426 D14S1434 D15S659 D15S822 D16S539 D17S1301 D17S906 D17S974 D18S1364 D18S51 D19S253 D19S433 D1S1627
D1S1656 D1S1677 D1S1679 D20S482 D21S102 D21S11 D21S2055 D22GATA198B05 D22S1045 D2S1338 D2S1360 D2S1776 D2S427 D2S441
D3S1358 D3S1744 D3S2406 D3S3045 D3S3053 D3S4529 D3S4545 D4S2364 D4S2366 D4S2408 D5S1457 D5S2500 D5S2800 D5S818 D6S1017
D6S1027 D6S1043 D6S474 D6S477 D7S1517 D7S2201 D7S3048 D7S820 D8S1132 D8S1179 D9S1118 D9S1120 D9S1122 D9S2157 F13A01
F13B FESFPS FGA LPL Penta_B Penta_C Penta_D Penta_E SE33 TH01 TPOX VWA vWA D1GATA113_ D2S1360_ D17S1290_ D14S608
D18S535 D18S853 D20S470 D20S1082 D21S1270 D8S1115 D9S925 D2S1772 PENTAD PENTAE ACTBP2 Amelogenin AMELOGENIN Yindel
CSF1P0 THO1 F13A1 FES/FPS FES DYS391 DYS570 DYS576 DYS385a/b Y-GATA-H4 Y_GATA_H4 DYF387S1a/b DXS10103 HPRTB
"""


def test_the_table_of_the_decision() -> None:
    table = {place.table_2008: place for place in LOCI if place.table_2008 is not None}
    assert [table[position].name for position in range(1, 25)] == [locus(name).name for name in TABLE_2008.split()]


def test_the_european_standard_sets() -> None:
    assert {place.name for place in LOCI if place.ess7} == ESS_2001
    assert {place.name for place in LOCI if place.ess12} == ESS_2001 | ESS_2009


def test_periods_that_the_rule_names() -> None:
    for name in ("Penta C", "Penta D", "Penta E", "CD4"):
        assert locus(name).period == 5
    assert locus("D22S1045").period == 3
    others = {*TABLE_2008.split(), *ESS_2009} - {"PentaD", "PentaE", "CD4", "D22S1045", "Amelogenin"}
    assert {locus(name).period for name in others} == {4}


def test_a_compared_locus_has_repeats_of_several_bases() -> None:
    assert all(2 <= place.period <= 6 for place in LOCI if place.compared)  # compare_dna.h relies on 2 or more


def test_sex_markers_are_not_compared() -> None:
    assert [place.name for place in LOCI if not place.compared] == [AMELOGENIN, "Y indel"]


def test_the_catalogue_is_more_than_a_word_of_bits() -> None:
    assert len(LOCI) > 64


def test_every_name_and_alias_means_one_locus() -> None:
    for place in LOCI:
        for name in (place.name, *place.aliases):
            assert locus(name) is place


@pytest.mark.parametrize("name", [*NAMES_IN_USE.split(), "Y indel", "Penta D"])
def test_names_in_use_are_known(name: str) -> None:
    assert locus(name) in LOCI


@given(st.sampled_from(LOCI), st.data())
def test_case_and_separators_do_not_count(place, data) -> None:
    letters = [data.draw(st.sampled_from((letter.upper(), letter.lower()))) for letter in place.name]
    separators = [data.draw(st.sampled_from(("", " ", "_", "-", "/", "  "))) for _ in letters]
    assert locus("".join(map(str.__add__, letters, separators))) is place


def test_neighbours_are_not_aliases() -> None:
    assert locus("D5S2500") is not locus("D5S2800")
    assert locus("F13A1") is not locus("F13B")
    assert locus("DYS389I") is not locus("DYS389II")


@pytest.mark.parametrize(("name", "hint"), [("D3S1385", "D3S1358"), ("PentaF", "Penta"), ("?", "loci.toml"), ("", "")])
def test_an_unknown_locus_is_named(name: str, hint: str) -> None:
    with pytest.raises(ProfileError, match="unknown locus") as error:
        locus(name)
    assert repr(name) in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("TH01", "9.3", 39),
        ("TH01", "9,3", 39),
        ("TH01", "09", 36),
        ("TH01", "9.0", 36),
        ("TH01", "0009.3", 39),
        ("TH01", " 12 ", 48),
        ("TH01", "1.2", 6),  # 1 is no allele, 1.2 is one
        ("TH01", "0.2", 2),
        ("TH01", "63.3", 255),
        ("Penta E", "11.4", 59),
        ("Penta D", "2.2", 12),
        ("D22S1045", "16.2", 50),
        ("D12ATA63", "14", 42),
        ("AMEL", "X", 2),
        ("AMEL", "y", 3),
    ],
)
def test_alleles_are_lengths_in_bases(name: str, text: str, code: int) -> None:
    assert allele_code(locus(name), text) == code


@pytest.mark.parametrize(
    "text",
    ["*", "**", "o", "f", "r", "na", "nr", "un", "OL", "?", "-", ".", "<8", ">25", "X", "12/13", "(12)"],
)
def test_what_is_not_a_number_is_a_wildcard(text: str) -> None:
    assert allele_code(locus("TH01"), text) == WILDCARD


@pytest.mark.parametrize("text", ["0", "1", "99", "00", "01", "1.0", "1,0", "099"])
def test_0_1_and_99_are_wildcards(text: str) -> None:
    assert allele_code(locus("TH01"), text) == WILDCARD


@pytest.mark.parametrize("text", ["*", "na", "0", "1", "99", "XY", "Z"])
def test_amelogenin_has_wildcards_too(text: str) -> None:
    assert allele_code(locus("amelogenin"), text) == WILDCARD


@pytest.mark.parametrize("text", ["", "  ", "NULL", "null", " Null "])
def test_nothing_is_absent(text: str) -> None:
    assert allele_code(locus("TH01"), text) == ABSENT
    assert allele_code(locus("AMEL"), text) == ABSENT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TH01", "9.4"),
        ("D22S1045", "14.3"),
        ("Penta E", "11.5"),
        ("TH01", "9.33"),
        ("TH01", "9."),
        ("TH01", ".3"),
        ("TH01", "9.3.1"),
        ("TH01", "1.000,5"),
        ("TH01", "0.1"),  # one base: the code of a wildcard
        ("TH01", "64"),
        ("Penta E", "51.1"),
        ("TH01", "99.2"),
        ("D11S554", "176"),
        ("TH01", "1000"),
        ("TH01", "9" * 200),
        ("TH01", "-3"),
        ("TH01", "-9.3"),
        ("TH01", "\u22123"),
        ("TH01", "+3"),
        ("TH01", "1e1"),
        ("TH01", "1E+01"),
        ("TH01", "\u0967\u0968"),  # twelve in Devanagari digits
        ("TH01", "x" * 300),
        ("TH01", "9\x003"),
        ("TH01", "na\ud800"),
        ("AMEL", "12"),
        ("AMEL", "2"),
    ],
)
def test_an_impossible_number_is_refused_with_locus_and_value(name: str, text: str) -> None:
    with pytest.raises(ProfileError, match=f"^{name}: allele ") as error:
        allele_code(locus(name), text)
    assert repr(text)[:30] in str(error.value)
    assert len(str(error.value)) < 200


@given(st.sampled_from(LOCI), st.text(max_size=12) | st.from_regex(r"[0-9.,+\-eE]{1,8}", fullmatch=True))
def test_any_text_has_a_code_or_an_error_of_ours(place, text) -> None:
    with suppress(ProfileError):
        assert 0 <= allele_code(place, text) <= 255


@given(st.integers(0, 63), st.integers(0, 3))
def test_different_alleles_have_different_codes(repeats: int, remainder: int) -> None:
    place, text = locus("SE33"), f"{repeats}.{remainder}"
    if 4 * repeats + remainder == 1:
        with pytest.raises(ProfileError):
            allele_code(place, text)
    else:
        designated = (repeats, remainder) not in {(0, 0), (1, 0)}
        assert allele_code(place, text) == (4 * repeats + remainder if designated else WILDCARD)
