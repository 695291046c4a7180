"""The readable rules against the cases of the specification, and the compiled rules against the readable ones."""

from dataclasses import replace
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcc_match import _cpu
from pcc_match.dna.loci import allele_code, locus
from pcc_match.dna.profile import Allele, DnaProfile
from pcc_match.dna.rule import (
    AlleleClass,
    Comparison,
    DnaRule,
    InclusionRule,
    MixtureRule,
    Rule,
    StringencyRule,
    classify,
    compare,
    refusals,
)
from pcc_match.errors import ExchangeError
from pcc_match.treaties import treaty

EU = treaty("eu-2008-616").dna
UNLIMITED = treaty("wildcards-unlimited").dna
COMPILED = {DnaRule: _cpu.compare_dna, StringencyRule: _cpu.compare_stringency, MixtureRule: _cpu.compare_mixture}

SIX = {
    "VWA": ("16", "17"),
    "TH01": ("6", "9.3"),
    "D21S11": ("28", "30.2"),
    "FGA": ("20", "21"),
    "D8S1179": ("12", "13"),
    "D18S51": ("14", "14"),
}


def judge(a: DnaProfile, b: DnaProfile, rule: Rule) -> Comparison:
    """The readable comparison, after holding the compiled one to it."""
    readable = compare(a, b, rule)
    loci = [name for name in sorted({*a.alleles, *b.alleles}) if locus(name).compared]
    left = a.allele_sets(loci) if isinstance(rule, MixtureRule) else a.codes(loci)
    compiled = COMPILED[type(rule)](left[None], b.codes(loci)[None], rule.packed())
    assert compiled.tolist() == [[*readable.tally, readable.quality]]
    return readable


def pair_up(name: str, a: str, b: str, loci: dict[str, tuple[str, ...]] = SIX) -> tuple[DnaProfile, DnaProfile]:
    texts = [() if side == "-" else tuple(side.split(",")) for side in (a, b)]
    return DnaProfile("A", "person", loci | {name: texts[0]}), DnaProfile("B", "stain", loci | {name: texts[1]})


WORKED_CASES = [
    ("D3S1358", "-", "-", 1),
    ("D3S1358", "12,*", "9,12", 2),
    ("D3S1358", "12,*", "9,14", 0),
    ("D3S1358", "9.3,10", "9.2,10", 3),
    ("D3S1358", "9.3,9.3", "10,9.3", 3),
    ("Penta E", "11.4,12", "12,12", 3),
    ("D3S1358", "12,12", "12,14", 4),
    ("D3S1358", "12,12", "14,14", 0),
    ("D3S1358", "9.2,9.3", "9.3,10", 4),
    ("D3S1358", "9,10", "10,11", 4),
    ("D3S1358", "12,14", "-", 1),
    # beyond the table
    ("D3S1358", "12", "9,12", 2),  # one value is value and wildcard
    ("D3S1358", "12,13,14", "12,15", 2),  # three alleles are first and wildcard
    ("D3S1358", "13,12,14", "12,15", 0),
    ("D3S1358", "*,*", "12,14", 0),  # two wildcards are two differences
    ("D3S1358", "12,<8", "12,14", 2),
    ("D3S1358", "0,99", "0,99", 0),
    ("D22S1045", "15.2,16", "16,16", 3),
    ("D3S1358", "15.2,16", "16,16", 4),  # two bases apart where repeats have four
    ("Penta E", "11.3,12", "12,12", 4),
]


@pytest.mark.parametrize(("name", "a", "b", "quality"), WORKED_CASES)
@pytest.mark.parametrize("treaty_name", ["eu-2008-616", "pcc-see"])
def test_six_loci_equal_and_a_seventh(name: str, a: str, b: str, quality: int, treaty_name: str) -> None:
    one, other = pair_up(name, a, b)
    rule = treaty(treaty_name).dna
    assert judge(one, other, rule).quality == quality
    assert judge(other, one, rule).quality == quality


def test_a_wildcard_locus_is_not_among_the_six() -> None:
    one, other = pair_up("VWA", "12,*", "12,14")
    for a, b in ((one, other), (other, one)):
        comparison = judge(a, b, EU)
        assert comparison.tally.full == 5
        assert comparison.quality == 0


def test_amelogenin_is_reported_and_not_compared() -> None:
    for a, b in (pair_up("AMEL", "X,X", "X,Y", SIX | {"D3S1358": ("15", "16")}), pair_up("AMEL", "X,Y", "X,X")):
        comparison = judge(a, b, EU)
        assert comparison.quality == 1
        assert comparison.tally.full == len(a.alleles) - 1
        assert [sentence.split()[0] for sentence in comparison.disagreements] == ["AMEL"]
        assert comparison.disagreements[0] in comparison.explain()
    for a, b in (pair_up("AMEL", "X,Y", "Y,X"), pair_up("AMEL", "X", "X,Y"), pair_up("AMEL", "X,Y", "-")):
        assert judge(a, b, EU).disagreements == ()


def test_amelogenin_is_not_among_the_six() -> None:
    five = {name: texts for name, texts in SIX.items() if name != "FGA"}
    assert judge(*pair_up("AMEL", "X,Y", "X,Y", five), EU).quality == 0


def test_wildcards_unlimited() -> None:
    some = SIX | {"D3S1358": ("*", "*"), "TPOX": ("8",)}
    assert judge(*pair_up("D7S820", "9,*", "8,9", some), UNLIMITED).quality == 2
    assert judge(*pair_up("D7S820", "9,*", "8,9", some), EU).quality == 0
    assert judge(*pair_up("D7S820", "9,10", "8,9", some), UNLIMITED).quality == 4
    # pairing 9 with 9 leaves no counted difference, so it is better than pairing 9 with 9.1
    comparison = judge(*pair_up("D7S820", "9,*", "9,9.1"), UNLIMITED)
    assert comparison.quality == 2
    assert comparison.tally.wildcards == 1


def test_every_limit_decides() -> None:
    wildcard, near, other = (pair_up("D3S1358", "12,14", b) for b in ("12,*", "12,14.1", "12,16"))
    assert judge(*wildcard, replace(EU, max_wildcards=0)).quality == 0
    assert judge(*near, replace(EU, max_microvariants=0)).quality == 0
    assert judge(*other, replace(EU, max_mismatches=0)).quality == 0
    assert judge(*other, replace(EU, max_differences=0)).quality == 0
    assert judge(*other, replace(EU, min_full_loci=7)).quality == 0
    assert judge(*other, replace(EU, qualities=(1, 2, 3))).quality == 0
    assert judge(*near, replace(EU, qualities=(3,))).quality == 3
    two = pair_up("TPOX", "8,9", "9,11", {**SIX, "D3S1358": ("*",)})
    assert judge(*two, replace(EU, max_differences=3, max_wildcards=None)).quality == 4


# The annex's own table (1.1): a micro-variant on the left is searched as each value on the right.
SEARCHED_AS = {
    4: {"9.1": "9 9.1 9.2", "9.2": "9.1 9.2 9.3", "9.3": "9.2 9.3 10"},
    5: {"9.1": "9 9.1 9.2", "9.2": "9.1 9.2 9.3", "9.3": "9.2 9.3 9.4", "9.4": "9.3 9.4 10"},
}


@pytest.mark.parametrize(("name", "period"), [("TH01", 4), ("Penta D", 5), ("Penta E", 5), ("CD4", 5)])
def test_micro_variants_are_those_of_the_annex(name: str, period: int) -> None:
    assert locus(name).period == period
    values = [str(value) for value in (8, 9, 10, 11)] + [
        f"{x}.{bases}" for x in (8, 9, 10) for bases in range(1, period)
    ]
    alleles = {text: Allele(text, allele_code(locus(name), text)) for text in values}
    for left, right in product(SEARCHED_AS[period], values):
        accepted = right in SEARCHED_AS[period][left].split()
        for a, b in ((left, right), (right, left)):
            found = classify(alleles[a], alleles[b], period)
            assert (found in (AlleleClass.IDENTICAL, AlleleClass.MICROVARIANT)) == accepted
            assert (found is AlleleClass.IDENTICAL) == (left == right)


def test_whole_repeats_are_never_micro_variants() -> None:
    for name in ("TH01", "Penta E", "D22S1045"):
        nine, ten = (Allele(text, allele_code(locus(name), text)) for text in ("9", "10"))
        assert classify(nine, ten, locus(name).period) is AlleleClass.MISMATCH


@pytest.mark.parametrize("rule", [EU, UNLIMITED, *(StringencyRule(level, 6) for level in ("high", "moderate", "low"))])
@pytest.mark.parametrize("name", ["TH01", "Penta E", "D22S1045"])
def test_every_pair_of_small_loci(name: str, rule: Rule) -> None:
    pairs = list(combinations_with_replacement(["*", "9", "9.1", "9.2", "10", "10.1", "12"], 2))
    profiles = [DnaProfile("P", "stain", {name: pair}) for pair in pairs]
    for a, b in product(profiles, repeat=2):
        assert judge(a, b, rule).tally == judge(b, a, rule).tally


def test_the_better_pairing() -> None:
    def tally(a: str, b: str, rule: DnaRule) -> tuple[int, ...]:
        return judge(*pair_up("D3S1358", a, b, {}), rule).tally[1:]

    assert tally("9.2,9.3", "9.3,10", EU) == (0, 0, 1)  # one mismatch, not two micro-variants
    assert tally("9.2,12", "9.3,12.1", EU) == (0, 2, 0)
    assert tally("*,9.2", "9.1,9.2", EU) == (1, 0, 0)
    assert tally("*,9", "10,12", EU) == (1, 0, 1)
    assert tally("*,9.2", "9.3,12", UNLIMITED) == (1, 1, 0)


SMALL = st.sampled_from(["9", "9.1", "9.2", "10", "12", "*", "na"])
NAMES = [*SIX, "Penta E", "D22S1045", "DYS391", "D6S1043"]
LOOSE = st.dictionaries(st.sampled_from(NAMES), st.lists(SMALL, min_size=1, max_size=4).map(tuple))
SAME = st.dictionaries(st.sampled_from(NAMES), st.tuples(SMALL, SMALL), min_size=6)
COUNT, MAXIMUM = st.integers(0, 3), st.none() | st.integers(0, 3)
DNA_RULES = st.builds(
    DnaRule,
    min_full_loci=st.integers(1, 7),
    max_differences=COUNT,
    max_wildcards=MAXIMUM,
    max_microvariants=MAXIMUM,
    max_mismatches=MAXIMUM,
    count_wildcards=st.booleans(),
    qualities=st.sets(st.integers(1, 4), min_size=1).map(tuple),
)
STRINGENCY_RULES = st.builds(
    StringencyRule, level=st.sampled_from(["high", "moderate", "low"]), min_loci=st.integers(1, 4), lower_loci=COUNT
)
MIXTURE_RULES = st.builds(MixtureRule, max_missing=COUNT, min_loci=st.integers(1, 4))
SINGLE = st.sampled_from(["wildcard", "homozygous"])


@given(SAME, LOOSE, LOOSE, SINGLE, DNA_RULES | STRINGENCY_RULES)
def test_compiled_rules_equal_the_readable_ones(same, only_a, only_b, single, rule) -> None:
    a = DnaProfile("A", "stain", same | only_a, single=single)
    b = DnaProfile("B", "stain", same | only_b)
    forth, back = judge(a, b, rule), judge(b, a, rule)
    assert forth.tally == back.tally
    assert forth.quality == back.quality


@given(SAME, LOOSE, LOOSE, MIXTURE_RULES)
def test_compiled_mixtures_equal_the_readable_ones(same, only_a, only_b, rule) -> None:
    mixture = {name: texts + only_a.get(name, ()) for name, texts in same.items()}
    judge(DnaProfile("M", "stain", mixture), DnaProfile("B", "person", same | only_b), rule)


def test_compiled_rules_take_one_against_many_and_refuse_other_shapes() -> None:
    codes = np.array([[[40, 44]], [[40, 40]], [[1, 44]]], dtype=np.uint8)
    rule = replace(EU, min_full_loci=1).packed()
    one_by_one = [_cpu.compare_dna(codes[:1], codes[row : row + 1], rule)[0].tolist() for row in range(3)]
    assert _cpu.compare_dna(codes[:1], codes, rule).tolist() == one_by_one
    assert _cpu.compare_dna(codes[:0], codes[:0], rule).shape == (0, 5)
    for a, b in ((codes[:2], codes), (codes, codes[:, :, :1]), (codes[0], codes[0])):
        with pytest.raises(ValueError, match="expected arrays"):
            _cpu.compare_dna(a, b, rule)


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("12,14", "14,12", "high"),
        ("12,12", "12,12", "high"),
        ("12,12", "12,14", "moderate"),
        ("12,*", "12,14", "moderate"),
        ("12,*", "12,12", "moderate"),
        ("12,*", "12,*", "moderate"),
        ("12,13", "12,14", "low"),
        ("12,13", "14,15", "nothing shared"),
        ("12,*", "14,15", "nothing shared"),
    ],
)
def test_levels_of_stringency(a: str, b: str, level: str) -> None:
    for one, other in (pair_up("D3S1358", a, b, {}), pair_up("D3S1358", b, a, {})):
        comparison = judge(one, other, StringencyRule("low", 1))
        assert [finding.found for row in comparison.loci for finding in row.findings] == [level]


def test_stringency_allows_some_loci_one_step_lower() -> None:
    moderate, low = pair_up("D3S1358", "12,12", "12,14"), pair_up("D3S1358", "12,13", "12,14")
    assert judge(*moderate, StringencyRule("high", 6)).quality == 0
    assert judge(*moderate, StringencyRule("high", 6, lower_loci=1)).quality == 3
    assert judge(*low, StringencyRule("high", 6, lower_loci=1)).quality == 0
    assert judge(*low, StringencyRule("moderate", 6, lower_loci=1)).quality == 3
    assert judge(*low, StringencyRule("moderate", 7, lower_loci=1)).quality == 0
    assert judge(*low, StringencyRule("low", 7)).quality == 1
    assert (
        judge(*pair_up("D3S1358", "*", "12,14"), StringencyRule("high", 6)).quality == 1
    )  # nothing known, not compared


def test_mixtures_hold_their_contributors() -> None:
    one, two = SIX, dict.fromkeys(SIX, ("19", "9.3"))
    mixture = DnaProfile("M", "stain", {name: one[name] + two[name] for name in SIX})
    first, second = DnaProfile("1", "person", one), DnaProfile("2", "person", two | {"TPOX": ("8", "8")})
    assert judge(mixture, first, MixtureRule(0, 6)).quality == 1
    assert judge(mixture, second, MixtureRule(0, 6)).quality == 1
    assert judge(mixture, second, MixtureRule(0, 7)).quality == 0
    other = DnaProfile("3", "person", one | {"FGA": ("33", "33")})  # a homozygote lacks one value, not two
    assert judge(mixture, other, MixtureRule(0, 5)).quality == 0
    assert judge(mixture, other, MixtureRule(1, 5)).quality == 4
    assert judge(mixture, DnaProfile("4", "person", one | {"FGA": ("20",)}), MixtureRule(0, 5)).quality == 2
    unclear = DnaProfile("M", "stain", dict(mixture.alleles) | {"FGA": ("20", ">26")})
    assert judge(unclear, other, MixtureRule(0, 5)).quality == 2


def test_explain_says_what_was_found_and_where_it_is_laid_down() -> None:
    a, b = pair_up("D3S1358", "9.3,9.3", "10,9.3")
    text = compare(a, b, treaty("pcc-see").dna).explain()
    for part in (
        "A (person) and B (stain): match of quality 3",
        "9.3 | 10 micro-variant",
        "9.3 | 9.3 identical",
        "full loci 6, at least 6: kept",
        "2008/616/JHA, annex, chapter 1",
        "(1.1)",
        "(1.2, full match)",
        "pcc-see",
    ):
        assert part in text
    refused = compare(*pair_up("VWA", "12,*", "12,14"), EU).explain()
    assert "no match" in refused
    assert "full loci 5, at least 6: NOT KEPT" in refused
    assert "* | 14 wildcard" in refused


@pytest.mark.parametrize("rule", [StringencyRule("high", 6, 1), MixtureRule(1, 6)])
def test_explain_of_national_rules_names_the_rule(rule: Rule) -> None:
    text = compare(*pair_up("D3S1358", "12,12", "12,14"), rule).explain()
    assert str(rule) in text
    assert "2008/616" not in text


def test_profiles_without_a_common_locus() -> None:
    a, b = DnaProfile("A", "person", {"TH01": ("6", "7")}), DnaProfile("B", "person", {})
    for rule in (EU, StringencyRule("low", 1), MixtureRule(0, 1)):
        comparison = judge(a, b, rule)
        assert comparison.quality == 0
        assert "no match" in comparison.explain()


INCLUSION = treaty("eu-2008-616").inclusion
SEVEN_ESS = SIX | {"D3S1358": ("15", "16")}


def refused(kind: str, alleles: dict[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    found = refusals(DnaProfile("P", kind, alleles), INCLUSION)
    assert all(refusal.sentence for refusal in found)
    return [(refusal.rule, refusal.locus, refusal.value) for refusal in found]


def test_profiles_that_may_be_exchanged() -> None:
    assert refused("person", SIX) == []
    assert refused("person", SEVEN_ESS | {"FGA": ("20",), "AMEL": ("X",)}) == []
    assert (
        refused(
            "stain",
            {f"D{number}": ("9", "9") for number in ("2S441", "1S1656", "7S820", "5S818")}
            | {"TPOX": ("8", "8"), "Penta E": ("5", "7")},
        )
        == []
    )
    assert refused("person", SEVEN_ESS | {"TPOX": ("8", "9", "10")}) == []


def test_too_few_designated_loci() -> None:
    assert refused("stain", SIX | {"FGA": ("20", "*"), "AMEL": ("X", "Y")}) == [("min_designated_loci", "FGA", "5")]


def test_too_few_loci_of_the_standard_set() -> None:
    person = {name: texts for name, texts in SIX.items() if name != "VWA"} | {"TPOX": ("8", "8"), "SE33": ("9", "9")}
    assert refused("person", person) == [("min_person_ess_loci", "VWA, D3S1358", "5")]
    assert refused("stain", person) == []


def test_mixtures_are_refused_locus_by_locus() -> None:
    four = SEVEN_ESS | {"TPOX": ("8", "9", "10", "11"), "SE33": ("9", "10", "11")}
    assert refused("stain", four) == [("mixture", "TPOX", "8,9,10,11")]
    three = SEVEN_ESS | {"TPOX": ("8", "9", "10"), "SE33": ("9", "10", "11")}
    assert refused("stain", three) == [("mixture", "TPOX", "8,9,10"), ("mixture", "SE33", "9,10,11")]


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: replace(EU, min_full_loci=0),
        lambda: replace(EU, max_differences=-1),
        lambda: replace(EU, max_differences=None),
        lambda: replace(EU, max_wildcards=70000),
        lambda: replace(EU, max_mismatches=1.0),
        lambda: replace(EU, max_mismatches=True),
        lambda: replace(EU, count_wildcards=1),
        lambda: replace(EU, qualities=()),
        lambda: replace(EU, qualities=(0, 1)),
        lambda: replace(EU, qualities=3),
        lambda: replace(EU, qualities=(1.0,)),
        lambda: StringencyRule("highest", 6),
        lambda: StringencyRule("high", 0),
        lambda: MixtureRule(-1, 6),
        lambda: InclusionRule("6", 6, 1),
    ],
)
def test_impossible_rules_are_refused(impossible) -> None:
    with pytest.raises(ExchangeError, match=r"^[a-z_]+: "):
        impossible()
