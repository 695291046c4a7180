"""The rules that decide whether two DNA profiles match, written to be read.

The engines run the same rules from kernels/compare_dna.h, many million times a second; the tests hold the two equal.
Paragraph numbers are those of Council Decision 2008/616/JHA, annex, chapter 1.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from pcc_match.dna.loci import LOCI, Locus
from pcc_match.dna.profile import Allele, DnaProfile
from pcc_match.errors import ExchangeError

Pair = tuple[Allele, Allele]


# ---- One allele value against another ----


class AlleleClass(StrEnum):
    """What comparing one allele value with another can find, in the order of preference."""

    IDENTICAL = "identical"
    WILDCARD = "wildcard"
    MICROVARIANT = "micro-variant"
    MISMATCH = "mismatch"


MEANING: Final = {
    AlleleClass.IDENTICAL: "both values are designated and equal (1.2, full match)",
    AlleleClass.WILDCARD: "at least one value is *, which stands for any allele in either position (1.1)",
    AlleleClass.MICROVARIANT: "the values are one base apart and not both whole numbers of repeats (1.1)",
    AlleleClass.MISMATCH: "the values differ, and not as micro-variants do (1.2, near match)",
}


def classify(a: Allele, b: Allele, period: int) -> AlleleClass:
    """The class of two allele values at a locus whose repeats are `period` bases long."""
    if not a.designated or not b.designated:
        return AlleleClass.WILDCARD
    if a.code == b.code:
        return AlleleClass.IDENTICAL
    whole_repeats = a.code % period == 0 and b.code % period == 0
    if abs(a.code - b.code) == 1 and not whole_repeats:
        return AlleleClass.MICROVARIANT
    return AlleleClass.MISMATCH


# ---- What a comparison finds ----


class Tally(NamedTuple):
    """What a comparison counted; PccTally of kernels/compare_dna.h says what each count means for each kind of rule."""

    full: int = 0
    wildcards: int = 0
    microvariants: int = 0
    mismatches: int = 0

    @property
    def quality(self) -> int:
        """1-4: the quality of a match with these counts."""
        return 4 if self.mismatches else 3 if self.microvariants else 2 if self.wildcards else 1


QUALITY: Final = {
    1: "equal in all values compared",
    2: "equal in all values compared, with wildcards",
    3: "with a deviation: micro-variant, or a locus of lower stringency",
    4: "with a mismatch",
}


class Finding(NamedTuple):
    """One line of evidence: the values set against each other at a locus, and what was found."""

    a: str
    b: str
    found: str


class LocusComparison(NamedTuple):
    """What a rule found at one locus, and how that counts."""

    locus: str
    findings: tuple[Finding, ...]
    tally: Tally


class Limit(NamedTuple):
    """One limit of a rule beside what was counted, and whether it was kept."""

    sentence: str
    kept: bool


@dataclass(frozen=True)
class Comparison:
    """Two profiles compared under a rule: what was found locus by locus, the totals, and what they mean."""

    a: DnaProfile
    b: DnaProfile
    rule: "Rule"
    loci: tuple[LocusComparison, ...]
    tally: Tally
    limits: tuple[Limit, ...]
    disagreements: tuple[str, ...]  # sex markers that differ: reported, never counted

    @property
    def quality(self) -> int:
        """1-4, or 0 for no match: every limit of the rule must be kept."""
        return self.tally.quality if all(limit.kept for limit in self.limits) else 0

    def explain(self) -> str:
        """The comparison as a text for an expert: verdict, locus table, and what each finding means and rests on."""
        verdict = f"match of quality {self.quality}, {QUALITY[self.quality]}" if self.quality else "no match"
        table = [("locus", self.a.id, self.b.id, "compared"), *map(self._row, self.loci)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            [
                f"{self.a.id} ({self.a.kind}) and {self.b.id} ({self.b.kind}): {verdict}",
                "",
                *("  ".join(map(str.ljust, row, widths)).rstrip() for row in table),
                "",
                *(f"{limit.sentence}: {'kept' if limit.kept else 'NOT KEPT'}" for limit in self.limits),
                *self.disagreements,
                "",
                *self.rule.grounds(self.loci),
            ]
        )

    def _row(self, row: LocusComparison) -> tuple[str, str, str, str]:
        compared = ", ".join(f"{finding.a} | {finding.b} {finding.found}" for finding in row.findings)
        return row.locus, ",".join(self.a.alleles[row.locus]), ",".join(self.b.alleles[row.locus]), compared


def compare(a: DnaProfile, b: DnaProfile, rule: "Rule") -> Comparison:
    """Compare two profiles under a rule, at every locus both have but the sex markers, in the catalogue's order.

    Which profile comes first matters only under a MixtureRule, where `a` is the mixture.
    """
    common = [locus for locus in LOCI if locus.name in a.pairs and locus.name in b.pairs]
    rows = [rule.at(locus, a, b) for locus in common if locus.compared]
    loci = tuple(row for row in rows if row is not None)
    tally = Tally(*(sum(counts) for counts in zip(*(row.tally for row in loci), strict=True)))
    markers = [_sex_disagreement(locus, a, b) for locus in common if not locus.compared]
    return Comparison(a, b, rule, loci, tally, tuple(rule.limits(tally)), tuple(filter(None, markers)))


def _sex_disagreement(locus: Locus, a: DnaProfile, b: DnaProfile) -> str:
    """A sentence where each way to pair the marker's values has a mismatch."""
    for other in (b.pairs[locus.name], b.pairs[locus.name][::-1]):
        classes = [classify(x, y, locus.period) for x, y in zip(a.pairs[locus.name], other, strict=True)]
        if AlleleClass.MISMATCH not in classes:
            return ""
    values = " and ".join(",".join(profile.alleles[locus.name]) for profile in (a, b))
    return f"{locus.name} disagrees, {values}: reported, not compared for a match (1.2)"


# ---- The rule of the treaty ----


@dataclass(frozen=True)
class DnaRule:
    """The matching rule (1.2) with a treaty's limits. None as a maximum means no limit."""

    min_full_loci: int
    max_differences: int
    max_wildcards: int | None
    max_microvariants: int | None
    max_mismatches: int | None
    count_wildcards: bool  # whether a wildcard counts as a difference
    qualities: tuple[int, ...]  # the qualities that are reported as a match
    name: str = ""
    basis: str = ""  # the legal text behind the limits

    def __post_init__(self) -> None:
        _check_numbers(self, "min_full_loci", least=1)
        _check_numbers(self, "max_differences")
        _check_numbers(self, "max_wildcards", "max_microvariants", "max_mismatches", unlimited=True)
        if type(self.count_wildcards) is not bool:
            raise ExchangeError(f"count_wildcards: {self.count_wildcards!r} is neither true nor false")
        listed = self.qualities if isinstance(self.qualities, tuple) else ()
        if not listed or not all(type(quality) is int and quality in QUALITY for quality in listed):
            raise ExchangeError(f"qualities: {self.qualities!r} is not a list of some of 1, 2, 3, 4")

    def at(self, locus: Locus, a: DnaProfile, b: DnaProfile) -> LocusComparison | None:
        """Each value of one profile meets one value of the other; of the two ways to pair them, the better one."""
        ways = (b.pairs[locus.name], b.pairs[locus.name][::-1])
        return min((_paired(locus, a.pairs[locus.name], way) for way in ways), key=self._burden)

    def _burden(self, way: LocusComparison) -> tuple[int, ...]:
        """Better is fewer differences, then fewer mismatches, then fewer micro-variants, then fewer wildcards."""
        return self._differences(way.tally), way.tally.mismatches, way.tally.microvariants, way.tally.wildcards

    def _differences(self, tally: Tally) -> int:
        return tally.mismatches + tally.microvariants + (tally.wildcards if self.count_wildcards else 0)

    def limits(self, tally: Tally) -> list[Limit]:
        """Every limit of the rule against these totals."""
        return [
            _at_least(self.min_full_loci, "full loci", tally.full),
            _at_most(self.max_differences, "differences", self._differences(tally)),
            _at_most(self.max_wildcards, "wildcards", tally.wildcards),
            _at_most(self.max_microvariants, "micro-variants", tally.microvariants),
            _at_most(self.max_mismatches, "mismatches", tally.mismatches),
            Limit(f"quality {tally.quality}, reported {list(self.qualities)}", tally.quality in self.qualities),
        ]

    def grounds(self, loci: tuple[LocusComparison, ...]) -> list[str]:
        """What the classes found mean, and the texts that the rule rests on."""
        found = {finding.found for row in loci for finding in row.findings}
        return [
            *(f"{name}: {meaning}" for name, meaning in MEANING.items() if name in found),
            "Paragraphs: Council Decision 2008/616/JHA, annex, chapter 1",
            f"Limits: {self.name or 'no treaty named'}{self.basis and ', ' + self.basis}",
        ]

    def packed(self) -> tuple[int, ...]:
        """The rule as PccTreatyRule, field by field."""
        maxima = (self.max_wildcards, self.max_microvariants, self.max_mismatches)
        return (
            self.min_full_loci,
            self.max_differences,
            *(_UNLIMITED if maximum is None else maximum for maximum in maxima),
            int(self.count_wildcards),
            sum(1 << quality for quality in set(self.qualities)),
        )


def _paired(locus: Locus, a: Pair, b: Pair) -> LocusComparison:
    findings = tuple(Finding(x.text, y.text, classify(x, y, locus.period)) for x, y in zip(a, b, strict=True))
    found = [finding.found for finding in findings]
    tally = Tally(
        full=int(found.count(AlleleClass.IDENTICAL) == 2),
        wildcards=found.count(AlleleClass.WILDCARD),
        microvariants=found.count(AlleleClass.MICROVARIANT),
        mismatches=found.count(AlleleClass.MISMATCH),
    )
    return LocusComparison(locus.name, findings, tally)


# ---- What a profile must have to be exchanged ----


@dataclass(frozen=True)
class InclusionRule:
    """What a profile needs to be made available or sent out (1.1)."""

    min_designated_loci: int  # fully designated: two values, none of them a wildcard
    min_person_ess_loci: int  # fully designated of the seven ESS loci, in the profile of a known person
    max_three_allele_loci: int  # loci whose three alleles count as one person's; four alleles never do

    def __post_init__(self) -> None:
        _check_numbers(self, "min_designated_loci", "min_person_ess_loci", "max_three_allele_loci")


class Refusal(NamedTuple):
    """Why a profile may not be exchanged: the limit's name, the loci and the value it is about, and a sentence."""

    rule: str
    locus: str
    value: str
    sentence: str


def refusals(profile: DnaProfile, rule: InclusionRule) -> tuple[Refusal, ...]:
    """Every reason against exchanging the profile; none if it may go."""
    found = []
    compared = [locus for locus in LOCI if locus.compared and locus.name in profile.pairs]
    designated = [locus for locus in compared if all(allele.designated for allele in profile.pairs[locus.name])]
    if len(designated) < rule.min_designated_loci:
        partial = ", ".join(locus.name for locus in compared if locus not in designated)
        kept = _at_least(rule.min_designated_loci, "fully designated loci", len(designated)).sentence
        found.append(Refusal("min_designated_loci", partial, str(len(designated)), f"{kept} (1.1)"))
    ess = [locus for locus in LOCI if locus.ess7]
    lacking = [locus.name for locus in ess if locus not in designated]
    if profile.kind == "person" and len(ess) - len(lacking) < rule.min_person_ess_loci:
        count = len(ess) - len(lacking)
        kept = _at_least(rule.min_person_ess_loci, "fully designated loci of the seven ESS loci", count).sentence
        names = ", ".join(lacking)
        found.append(Refusal("min_person_ess_loci", names, str(count), f"{kept} (1.1); lacking: {names}"))
    three = [name for name, texts in profile.alleles.items() if len(texts) == 3]
    mixed = three if len(three) > rule.max_three_allele_loci else []
    for name, texts in profile.alleles.items():
        if name in mixed or len(texts) > 3:
            sentence = f"{len(texts)} alleles at {name}: mixed profiles are not exchanged (1.1)"
            found.append(Refusal("mixture", name, ",".join(texts), sentence))
    return tuple(found)


# ---- National rules ----

LEVELS: Final = ("nothing shared", "low", "moderate", "high")


@dataclass(frozen=True)
class StringencyRule:
    """A rule that compares the sets of alleles at each locus, as CODIS does.

    high: the same alleles, none unknown; moderate: all known alleles of one side show on the other; low: one allele is
    shared. Every locus reaches `level`, but for up to `lower_loci` that stay one step below it; at least `min_loci`
    reach it. A locus where one side has no known allele is not compared.
    """

    level: str  # high, moderate or low
    min_loci: int
    lower_loci: int = 0

    def __post_init__(self) -> None:
        _check_numbers(self, "min_loci", least=1)
        _check_numbers(self, "lower_loci")
        if self.level not in LEVELS[1:]:
            raise ExchangeError(f"level: {self.level!r} is none of high, moderate, low")

    def at(self, locus: Locus, a: DnaProfile, b: DnaProfile) -> LocusComparison | None:
        """The level that a locus reaches."""
        alleles = (*a.pairs[locus.name], *b.pairs[locus.name])
        known_a = {allele.code for allele in a.pairs[locus.name] if allele.designated}
        known_b = {allele.code for allele in b.pairs[locus.name] if allele.designated}
        if not known_a or not known_b:
            return None
        unknown = not all(allele.designated for allele in alleles)
        if known_a == known_b and not unknown:
            reached = "high"
        elif known_a <= known_b or known_b <= known_a:
            reached = "moderate"
        else:
            reached = "low" if known_a & known_b else "nothing shared"
        steps_below = LEVELS.index(self.level) - LEVELS.index(reached)
        finding = Finding(",".join(x.text for x in alleles[:2]), ",".join(x.text for x in alleles[2:]), reached)
        tally = Tally(int(steps_below <= 0), int(unknown), int(steps_below == 1), int(steps_below > 1))
        return LocusComparison(locus.name, (finding,), tally)

    def limits(self, tally: Tally) -> list[Limit]:
        """Every limit of the rule against these totals."""
        return [
            _at_least(self.min_loci, f"loci of {self.level} stringency", tally.full),
            _at_most(self.lower_loci, "loci one step lower", tally.microvariants),
            _at_most(0, "loci further below", tally.mismatches),
        ]

    def grounds(self, loci: tuple[LocusComparison, ...]) -> list[str]:
        """The rule itself: it is the user's own, not a treaty's."""
        return [f"National rule: {self}"]

    def packed(self) -> tuple[int, ...]:
        """The rule as PccStringencyRule, field by field."""
        return LEVELS.index(self.level), self.min_loci, self.lower_loci


@dataclass(frozen=True)
class MixtureRule:
    """Could the reference be a contributor of the mixture?

    At every locus that both have, each value of the reference shows in the mixture, but for up to `max_missing` over
    all loci; at least `min_loci` loci show all. A homozygote's value counts once. A wildcard of the reference asks for
    nothing, and one in the mixture explains any value; a locus that needs one does not count as showing all.
    """

    max_missing: int
    min_loci: int

    def __post_init__(self) -> None:
        _check_numbers(self, "max_missing")
        _check_numbers(self, "min_loci", least=1)

    def at(self, locus: Locus, a: DnaProfile, b: DnaProfile) -> LocusComparison | None:
        """Look each value of the reference `b` up among the alleles that the mixture `a` shows."""
        shown = {allele.code: allele.text for allele in a.shown[locus.name] if allele.designated}
        explains_any = not all(allele.designated for allele in a.shown[locus.name])
        findings = []
        for value in {allele.code: allele for allele in b.pairs[locus.name]}.values():
            if value.code in shown:
                findings.append(Finding(shown[value.code], value.text, "shows"))
            elif explains_any or not value.designated:
                findings.append(Finding("*", value.text, "wildcard"))
            else:
                findings.append(Finding("-", value.text, "missing"))
        found = [finding.found for finding in findings]
        full = int(found.count("shows") == len(found))
        tally = Tally(full=full, wildcards=found.count("wildcard"), mismatches=found.count("missing"))
        return LocusComparison(locus.name, tuple(findings), tally)

    def limits(self, tally: Tally) -> list[Limit]:
        """Every limit of the rule against these totals."""
        return [
            _at_least(self.min_loci, "loci whose alleles all show", tally.full),
            _at_most(self.max_missing, "missing alleles", tally.mismatches),
        ]

    def grounds(self, loci: tuple[LocusComparison, ...]) -> list[str]:
        """The rule itself: it is the user's own, not a treaty's."""
        return [f"National rule: {self}"]

    def packed(self) -> tuple[int, ...]:
        """The rule as PccMixtureRule, field by field."""
        return self.min_loci, self.max_missing


Rule = DnaRule | StringencyRule | MixtureRule

_UNLIMITED: Final = 0xFFFF  # kPccUnlimited


def _at_least(minimum: int, what: str, count: int) -> Limit:
    return Limit(f"{what} {count}, at least {minimum}", count >= minimum)


def _at_most(maximum: int | None, what: str, count: int) -> Limit:
    if maximum is None:
        return Limit(f"{what} {count}, without limit", True)
    return Limit(f"{what} {count}, at most {maximum}", count <= maximum)


def _check_numbers(rule: object, *names: str, least: int = 0, unlimited: bool = False) -> None:
    for name in names:
        value = getattr(rule, name)
        if value is None and unlimited:
            continue
        if type(value) is not int or not least <= value < _UNLIMITED:
            written = "no limit" if value is None else repr(value)
            raise ExchangeError(f"{name}: {written} is not a whole number from {least} to {_UNLIMITED - 1}")
