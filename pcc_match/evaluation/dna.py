"""A DNA gallery compared with itself under a treaty, and what was found held against the truth.

The rule gives no score: a pair matches with a quality or does not. So there is one operating point, the treaty's, and
the questions are which pairs of one person were missed and why, and whether there are more matches between strangers
than allele frequencies make expected (adventitious matches).
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends import COMPARED
from pcc_match.datasets import State, frequencies
from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.loci import LOCI, WILDCARD
from pcc_match.dna.rule import DnaRule, compare
from pcc_match.dna.statistics import expected_counts, match_partial_counts
from pcc_match.errors import GalleryError
from pcc_match.evaluation.histograms import I64
from pcc_match.evaluation.rates import LEVEL, interval, none_seen
from pcc_match.evaluation.trials import MOST_UNITS
from pcc_match.gallery.store import NO_ROW
from pcc_match.rematch import Rematch

THETAS: Final = (0.0, 0.01)
"""Co-ancestry between two people of the gallery: the expectation is given for both, the truth lies between."""
MISSES_READ: Final = 2_000
"""Missed pairs that the readable rule is asked about, one by one."""
SAME, MIXTURE, RELATIVES, CHANCE = RELATION = ("same person", "mixture with the person", "relatives", "by chance")

ESS: Final = tuple(place.name for place in LOCI if place.ess7)
"""The seven loci of the first European Standard Set, which nearly every profile has."""

_MOST_COUNTED = 200_000  # profiles whose equal loci are counted: 2 x 10^10 pairs
_ROWS = 256  # masks compared with all others at a time


class Truth:
    """Whose each profile is: rows as in the gallery; numbers of people, -1 for none or not known."""

    def __init__(self, gallery: DnaGallery, path: str | Path) -> None:
        """`path`: a CSV file with the columns id and person, as `synth dna` writes; second, third (people of mixtures)
        and relative are used where they are there. GalleryError names what is missing."""
        live = np.flatnonzero(gallery.ranks() != NO_ROW)
        rows = dict(zip(gallery.ids(live), live.tolist(), strict=True))
        table = {name: np.full(gallery.rows, -1, np.int64) for name in ("person", "second", "third", "relative")}
        people: dict[str, int] = {}
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"id", "person"} - set(reader.fieldnames or ())
            if missing:
                raise GalleryError(f"{path}: no column {sorted(missing)[0]!r}: the truth needs id and person")
            for entry in reader:
                row = rows.get(entry["id"])
                if row is not None:
                    for name, column in table.items():
                        person = entry.get(name) or "-1"
                        column[row] = -1 if person == "-1" else people.setdefault(person, len(people))
        unknown = live[table["person"][live] < 0]
        if len(unknown):
            raise GalleryError(
                f"{path}: says nothing of {len(unknown):,} profiles of {gallery.path}, "
                f"such as {gallery.id(int(unknown[0]))!r}"
            )
        self.person, self.second, self.third, self.relative = table.values()
        self.people = len(people)

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Rows that show more than one person."""
        return self.second >= 0

    def relation(self, a: I64, b: I64) -> NDArray[np.intp]:
        """What each pair of rows has in common: index into RELATION."""
        found = np.full(len(a), RELATION.index(CHANCE))
        related = (self.relative[a] == self.person[b]) | (self.relative[b] == self.person[a])
        found[related] = RELATION.index(RELATIVES)
        shared = np.zeros(len(a), bool)
        for one in (self.person, self.second, self.third):
            for other in (self.person, self.second, self.third):
                shared |= (one[a] == other[b]) & (one[a] >= 0)
        found[shared] = RELATION.index(MIXTURE)
        same = (self.person[a] == self.person[b]) & ~self.mixed[a] & ~self.mixed[b]
        found[same] = RELATION.index(SAME)
        return found

    def planted(self) -> NDArray[np.int64]:
        """All pairs of unmixed profiles of one person: (pairs, 2), the smaller row first, sorted."""
        rows = np.flatnonzero((self.person >= 0) & ~self.mixed)
        rows = rows[np.argsort(self.person[rows], kind="stable")]
        starts = np.flatnonzero(np.diff(self.person[rows], prepend=-1))
        groups = (group.tolist() for group in np.split(rows, starts[1:]) if len(group) > 1)
        pairs = [pair for group in groups for pair in combinations(group, 2)]
        return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def measure_dna(
    gallery: DnaGallery,
    result: Rematch,
    truth: Truth,
    rule: DnaRule,
    *,
    states: Sequence[State] = (),
    seed: int = 1,
    replicates: int = 1000,
) -> dict[str, Any]:
    """What was found and missed, as plain values. `result`: the gallery compared with itself under `rule`. `states`:
    the allele frequencies of each country; without them nothing is said about expected matches."""
    a, b = result.hits["probe"].astype(np.int64), result.hits["row"].astype(np.int64)
    quality = result.hits["quality"].astype(np.int64)
    relation = truth.relation(a, b)
    counts = np.zeros((len(RELATION), 5), np.int64)
    np.add.at(counts, (relation, quality), 1)

    planted = truth.planted()
    key = planted[:, 0] * gallery.rows + planted[:, 1]
    is_found = np.isin(key, np.minimum(a, b) * gallery.rows + np.maximum(a, b))
    missed = planted[~is_found]
    reasons, disagreements = _reasons(gallery, missed[:MISSES_READ], rule)
    facts: dict[str, Any] = {
        "profiles": len(gallery),
        "pairs": len(gallery) * (len(gallery) - 1) // 2,
        "mixed_profiles": int(truth.mixed.sum()),
        "matches": {name: dict(enumerate(row[1:].tolist(), 1)) for name, row in zip(RELATION, counts, strict=True)},
        "planted": len(planted),
        "missed": len(missed),
        "missed_read": min(len(missed), MISSES_READ),
        "missed_because": dict(reasons.most_common()),
        "disagreements": disagreements,
        "rates": [],
    }
    if len(planted):
        value, drawn = _missed_rate(truth, planted, is_found, seed, replicates)
        low, high = interval(drawn)
        if value == high == 0:
            high = none_seen(len(np.unique(truth.person[planted[:, 0]])))
        facts["rates"] = [{"key": "fnmr", "value": value, "low": low, "high": high}]
        facts["bootstrap"] = {
            "level": LEVEL,
            "replicates": replicates,
            "seed": seed,
            "sample": hashlib.sha256(planted.tobytes() + f"{seed} {replicates}".encode()).hexdigest(),
            "values": {"fnmr": [round(each, 7) for each in drawn.tolist()]},
        }
    whole = _whole(gallery, truth)
    expected = _expected(gallery, whole, rule, states)
    if expected is not None:
        chance = (relation == RELATION.index(CHANCE)) & whole[a] & whole[b]
        facts["equal_loci"] = expected.pop("equal_loci")
        facts["adventitious"] = expected | {
            "observed_full": int((chance & (quality == 1)).sum()),
            "observed_near": int((chance & (quality >= 3)).sum()),
        }
    return facts


def _reasons(gallery: DnaGallery, missed: I64, rule: DnaRule) -> tuple[Counter[str], int]:
    """Which limits the missed pairs broke, by the readable rule; and how many it would have accepted."""
    reasons: Counter[str] = Counter()
    disagreements = 0
    for one, other in missed.tolist():
        comparison = compare(gallery.profile(one), gallery.profile(other), rule)
        disagreements += comparison.quality > 0
        few, many = (not limit.kept for limit in comparison.limits[:2])  # full loci, differences
        reasons[_BECAUSE[few, many]] += 1
    return reasons, disagreements


_BECAUSE = {
    (True, False): "too few full loci in common",
    (False, True): "more than the allowed differences",
    (True, True): "too few full loci and too many differences",
    (False, False): "another limit",
}


def _missed_rate(
    truth: Truth, planted: I64, is_found: NDArray[np.bool_], seed: int, replicates: int
) -> tuple[float, NDArray[np.float64]]:
    """The share of planted pairs that were missed, and its bootstrap over people, in groups of them drawn by lot."""
    rng = np.random.default_rng(seed)
    people, person = np.unique(truth.person[planted[:, 0]], return_inverse=True)
    units = min(len(people), MOST_UNITS)
    unit = (rng.permutation(len(people)) % units)[person]
    pairs, misses = np.bincount(unit, minlength=units), np.bincount(unit[~is_found], minlength=units)
    weights = rng.multinomial(units, np.full(units, 1 / units), size=replicates)
    return float(misses.sum() / pairs.sum()), (weights @ misses) / (weights @ pairs)


def _expected(
    gallery: DnaGallery, whole: NDArray[np.bool_], rule: DnaRule, states: Sequence[State]
) -> dict[str, Any] | None:
    """Matches to expect between unrelated people with `whole` profiles, by the loci that each pair has in common.

    A full match is equal at all of them, at least `min_full_loci`; a near match has one value that differs, and as many
    full loci beside it. The frequencies are the average over the profiles' countries. None where a country is not
    among `states`, or the rule allows more.
    """
    countries = Counter[str]()
    for columns in gallery.export():
        numbers = np.bincount(columns.country, minlength=len(columns.labels)).tolist()
        countries.update({label: number for label, number in zip(columns.labels, numbers, strict=True) if number})
    if not states or rule.max_differences != 1 or not countries.keys() <= {state.code for state in states}:
        return None
    masks = [_typed(codes, places) for codes, places, _ in gallery.parts(COMPARED)]
    mask, number = np.unique(np.concatenate(masks)[whole], axis=0, return_counts=True)
    total = int(number.sum())
    full, near = [], []
    tables = {name: _pooled(name, countries, states) for name in COMPARED}
    for theta in THETAS:
        sums = _expected_pairs(mask.astype(np.float64), number, _chances(tables, theta), rule.min_full_loci)
        full.append(sums[0])
        near.append(sums[1])
    return {
        "profiles": total,
        "pairs": total * (total - 1) // 2,
        "thetas": list(THETAS),
        "expected_full": full,
        "expected_near": near,
        "equal_loci": _equal_loci(gallery, whole, {name: tables[name] for name in ESS}),
    }


def _equal_loci(
    gallery: DnaGallery, whole: NDArray[np.bool_], tables: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """Pairs by the number of equal loci of these, found and expected: profiles that have them all."""
    parts = []
    for codes, places, _ in gallery.parts(tuple(tables)):
        of_part = np.full((len(codes), len(tables), 2), 0, np.uint8)
        of_part[:, places[places >= 0]] = codes[:, places >= 0]
        parts.append(of_part)
    codes = np.concatenate(parts)
    codes = codes[whole & (codes > WILDCARD).all(axis=(1, 2))][:_MOST_COUNTED]
    return {
        "loci": list(tables),
        "profiles": len(codes),
        "found": match_partial_counts(codes).sum(axis=1).tolist(),
        "expected": [expected_counts(tables, len(codes), theta).sum(axis=1).tolist() for theta in THETAS],
    }


def _typed(codes: NDArray[np.uint8], places: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool (n, COMPARED): the loci with two designated alleles. `codes` and `places` as DnaGallery.parts has them."""
    typed = np.zeros((len(codes), len(COMPARED)), bool)
    typed[:, places[places >= 0]] = (codes[:, places >= 0] > WILDCARD).all(axis=2)
    return typed


def _whole(gallery: DnaGallery, truth: Truth) -> NDArray[np.bool_]:
    """Live rows of unmixed profiles without any wildcard."""
    whole = []
    for codes, places, live in gallery.parts(COMPARED):
        hidden = (codes[:, places >= 0] == WILDCARD).any(axis=(1, 2))
        whole.append(~hidden if live is None else ~hidden & (live != 0))
    return np.concatenate(whole) & ~truth.mixed


def _pooled(name: str, countries: Mapping[str, int], states: Sequence[State]) -> Mapping[str, int]:
    """Allele frequencies of a locus, averaged over the countries' profiles."""
    pooled: Counter[str] = Counter()
    for state in states:
        tables = map(frequencies, state.frequencies)
        table = next((table[name] for table in tables if name in table), MappingProxyType({}))
        for allele, share in table.items():
            pooled[allele] += share * countries.get(state.code, 0)
    return pooled


def _chances(tables: Mapping[str, Mapping[str, int]], theta: float) -> NDArray[np.float64]:
    """(loci, 2): that two profiles of unrelated people are equal at a locus, or differ in one value."""
    chances = np.full((len(tables), 2), (1.0, 0.0))  # a locus without frequencies: no profile is typed there
    for place, (name, table) in enumerate(tables.items()):
        if table:
            cells = expected_counts({name: table}, 2, theta)
            chances[place] = cells[1, 0], cells[0, 1]
    return chances


def _expected_pairs(
    mask: NDArray[np.float64], number: I64, chances: NDArray[np.float64], least: int
) -> tuple[float, float]:
    """Full and near matches over all pairs of profiles. mask: (kinds, loci), 1 where typed; number: profiles of each
    kind; chances: (loci, 2) as _chances."""
    match, partial = chances.T
    full = near = 0.0
    for start in range(0, len(mask), _ROWS):
        rows = mask[start : start + _ROWS]
        common = rows @ mask.T
        equal = np.exp((rows * np.log(match)) @ mask.T)
        one_differs = equal * ((rows * (partial / match)) @ mask.T)
        pairs = number[start : start + _ROWS, None] * number.astype(np.float64)
        kind = np.arange(len(rows))
        pairs[kind, start + kind] -= number[start : start + _ROWS]  # no profile is compared with itself
        full += float((pairs * equal)[common >= least].sum()) / 2
        near += float((pairs * one_differs)[common > least].sum()) / 2
    return full, near
