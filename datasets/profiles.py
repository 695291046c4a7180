"""What laboratories report about people: kits, degraded stains, mixtures, typing errors, wildcards; and the truth."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.datasets.draws import I64, Choice, Draws, Stream, high, low
from pcc_match.datasets.frequencies import DATA, MILLION
from pcc_match.datasets.people import TEXTS, WILDCARD, People, Texts, longer
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.loci import AMELOGENIN, LOCI, locus
from pcc_match.dna.profile import KINDS
from pcc_match.strings import Strings

if TYPE_CHECKING:
    from pcc_match.datasets.dna import DnaModel, State

CHUNK = 8192  # profiles made at a time, so that the columns in work stay in the processor's cache
MOST_PEOPLE = 3  # in a mixture

# What was done to each profile. Numbers of people and profiles count from 0, -1 is none.
TRUTH = np.dtype(
    [
        ("profile", "<i8"),  # its number in the data set
        ("person", "<i8"),  # whose it is: the number of the first profile of the same person
        ("second", "<i8"),  # the other people in a mixture
        ("third", "<i8"),
        ("relative", "<i8"),  # the person was made as a relative of this person
        ("relation", "u1"),  # 0 none, 1 parent and child, 2 full sibs
        ("state", "u1"),  # index into the states
        ("kind", "u1"),  # index into KINDS
        ("degraded", "u1"),  # 0 not, else place in DnaModel.degradation
        ("lost_loci", "u1"),  # loci of the kit without any allele
        ("wildcards", "u1"),  # loci where a value is hidden: a wildcard, or one value alone
        ("false_homozygotes", "u1"),  # loci where a lost allele was overlooked
        ("errors", "u1"),  # alleles reported one repeat or one base off
        ("three_alleles", "u1"),  # loci with the person's three alleles
        ("rare", "u1"),  # loci with an allele of the person's that is in no table
    ]
)

# Slots of the stream "profile" (0 and 1 are in people.py).
ABROAD, WHAT, MIXED, SECOND, THIRD, THIRD_PERSON, DEGRADED, ERROR, ERROR_PLACE = range(2, 11)
HIDDEN, HIDDEN_PLACE, HIDDEN_PLACE_TWO, HIDDEN_TWICE = range(11, 15)
SURVIVAL, REPORTED = 16, 136  # one slot for each locus
# What a laboratory makes of a locus that lost one of two alleles, in percent.
LEFT_OUT, AS_WILDCARD, ALONE, OVERLOOKED = range(4)
_REPORT = Choice([[75, 13, 8, 4]])


@cache
def kits() -> Mapping[str, Mapping[str, int]]:
    """Kit -> canonical locus -> usual length of its fragments in bases."""
    with (DATA / "kits.toml").open("rb") as file:
        tables = tomllib.load(file)
    sizes = {kit: {locus(name).name: size for name, size in table.items()} for kit, table in tables.items()}
    return MappingProxyType({kit: MappingProxyType(table) for kit, table in sizes.items()})


class Laboratories:
    """Makes any profiles of one data set: `make(numbers)`."""

    def __init__(self, seed: int, states: Sequence["State"], model: "DnaModel"):
        self._model = model
        self._states = states
        used = [kit for kit in kits() if any(state.kits.get(kit) for state in states)]
        typed = {name for kit in used for name in kits()[kit]} - {AMELOGENIN}
        self.loci = (*(place.name for place in LOCI if place.name in typed), AMELOGENIN)
        self._people = People(seed, states, model, self.loci)
        self._profile = Stream(seed, "profile")
        self._ids = Stream(seed, "ids")
        self._periods = np.array([locus(name).period for name in self.loci], dtype=np.int64)
        self._kinds = Choice([model.kinds])
        self._kits = Choice([[state.kits.get(kit, 0) for kit in used] for state in states])
        others = [[other.share * (other is not state) for other in states] for state in states]
        self._abroad = Choice(others) if len(states) > 1 else None
        self._degraded = Choice([[share for share, _, _ in model.degradation]])
        sizes = np.array([[kits()[kit].get(name, 0) for name in self.loci] for kit in used])
        self._in_kit = (sizes.T > 0).astype(np.uint16)  # (loci, kits)
        # Probability in 2^-32 that one allele is seen, by locus, degree and kit.
        seen = [_survival(amount, kept, int(sizes.max())) for _, amount, kept in model.degradation]
        self._seen = np.array(seen, dtype=np.uint64)[:, sizes // 10].transpose(2, 0, 1)
        self._labels = ("", *(state.code for state in states), *used)
        self._prefixes = np.array([list(f"{state.code}-".encode("ascii")) for state in states], dtype=np.uint8)
        self._slots = 2 * MOST_PEOPLE if model.mixtures else 3 if model.three_alleles else 2

    def make(self, numbers: I64) -> tuple[ProfileColumns, NDArray[Any]]:
        """The profiles of those numbers, and their truth (a structured array of dtype TRUTH)."""
        count = len(numbers)
        truth = np.zeros(count, dtype=TRUTH)
        kit = np.zeros(count, dtype=np.uint32)
        alleles = np.zeros((count, len(self.loci), self._slots), dtype=np.uint16)
        for start in range(0, count, CHUNK):
            rows = slice(start, start + CHUNK)
            kit[rows] = self._make_chunk(numbers[rows], truth[rows], alleles[rows])
        state = truth["state"].astype(np.uint32)
        columns = ProfileColumns(
            ids=self._make_ids(numbers, state),
            kind=truth["kind"].copy(),
            country=1 + state,
            agency=np.zeros(count, dtype=np.uint32),
            kit=1 + len(self._states) + kit,
            single=np.zeros(count, dtype=np.uint8),
            loci=self.loci,
            alleles=alleles,
            labels=self._labels,
            texts=TEXTS,
        )
        return columns, truth

    def states(self, numbers: I64) -> NDArray[np.uint8]:
        """The state that each profile is from: an index into the states."""
        found = np.empty(len(numbers), dtype=np.uint8)
        for start in range(0, len(numbers), CHUNK):
            rows = slice(start, start + CHUNK)
            _, found[rows], _ = self._origins(numbers[rows])
        return found

    def _origins(self, numbers: I64) -> tuple[I64, I64, I64]:
        """Person, state of the profile and community of the person."""
        persons = self._people.persons(numbers)
        state, community = self._people.homes(persons)
        if self._abroad is not None:  # most further profiles of a person are from another state than the person's
            rows = np.flatnonzero(persons != numbers)
            draws = self._profile.at(numbers[rows])
            away = draws.chance(ABROAD, self._model.abroad)
            rows, word = rows[away], draws.rows(away).word(ABROAD)
            state[rows] = self._abroad.draw(low(word), self._abroad.offsets(state[rows]))
        return persons, state, community

    def _make_chunk(self, numbers: I64, truth: NDArray[Any], alleles: Texts) -> NDArray[np.uint16]:
        draws = self._profile.at(numbers)
        persons, state, community = self._origins(numbers)
        word = draws.word(WHAT)
        kind = self._kinds.draw(high(word))
        kit = self._kits.draw(low(word), self._kits.offsets(state))
        relatives, others, relation = self._people.relatives(persons)
        truth["profile"], truth["person"], truth["state"], truth["kind"] = numbers, persons, state, kind
        truth["second"] = truth["third"] = truth["relative"] = -1
        truth["relative"][relatives], truth["relation"][relatives] = others, relation

        in_kit = self._in_kit.take(kit, axis=1)
        found = kind == KINDS.index("stain")
        mixed = np.flatnonzero(found & draws.chance(MIXED, self._model.mixtures) & (numbers > 0))
        second, third = self._contributors(numbers[mixed], draws.rows(mixed))
        truth["second"][mixed], truth["third"][mixed] = second, np.where(third == second, -1, third)
        people = np.concatenate([persons, second, third])
        homes = np.concatenate([community, self._people.homes(second)[1], self._people.homes(third)[1]])
        genotypes = self._people.genotypes(people, homes)
        size = len(numbers)
        one, two = genotypes.low[:, :size] * in_kit, genotypes.high[:, :size] * in_kit

        single = np.ones(size, dtype=np.bool_)
        single[mixed] = False
        found |= kind == KINDS.index("remains")
        self._degrade(one, two, kit, np.flatnonzero(found & single), draws, truth)
        errors, hidden = np.array(self._model.errors), np.array(self._model.wildcards)
        self._mistype(one, two, np.flatnonzero(single & draws.chance(ERROR, errors[kind])), draws, truth)
        self._hide(one, two, np.flatnonzero(single & draws.chance(HIDDEN, hidden[kind])), draws, truth)
        alleles[:, :, 0], alleles[:, :, 1] = one.T, two.T

        rows = np.flatnonzero((genotypes.third[:size] > 0) & single)
        places = genotypes.third_locus[rows]
        # Only where both other alleles are reported as they are.
        whole = (one[places, rows] == genotypes.low[places, rows]) & (two[places, rows] == genotypes.high[places, rows])
        rows, places = rows[whole], places[whole]
        if len(rows):  # without them there may be no third slot
            alleles[rows, places, 2] = genotypes.third[rows]
        truth["three_alleles"][rows] = 1
        rows = np.flatnonzero((genotypes.rare_locus[:size] >= 0) & single)
        truth["rare"][rows] = one[genotypes.rare_locus[rows], rows] > 0

        shares = [np.r_[mixed], np.arange(size, size + len(mixed)), np.arange(size + len(mixed), len(people))]
        parts = [part[:, rows] for rows in shares for part in (genotypes.low, genotypes.high)]
        alleles[mixed] = _mixture(np.stack(parts) * in_kit[:, mixed])[:, :, : self._slots]
        return kit

    def _contributors(self, numbers: I64, draws: Draws) -> tuple[I64, I64]:
        """The second and third person of mixtures; the third is the second again where there are two only."""
        second = self._people.persons(draws.below(SECOND, numbers))
        third = self._people.persons(draws.below(THIRD, numbers))
        return second, np.where(draws.chance(THIRD_PERSON, self._model.third_person), third, second)

    def _degrade(self, one: Texts, two: Texts, kit: Texts, rows: I64, draws: Draws, truth: NDArray[Any]) -> None:
        """Longer fragments are lost first; a profile that would keep fewer than `least_loci` loci is left whole."""
        degree = self._degraded.draw(high(draws.rows(rows).word(DEGRADED)))
        rows, degree = rows[degree > 0], degree[degree > 0]
        draws, kit = draws.rows(rows), kit[rows]
        words, seen = draws.words(SURVIVAL, len(self.loci)), self._seen[:, degree, kit]
        first, second = one[:, rows], two[:, rows]
        first_seen, second_seen = high(words) < seen, low(words) < seen
        lost = (first > 0) & ~first_seen & ~second_seen
        half_lost = (first != second) & (first_seen != second_seen)
        places, columns = np.nonzero(half_lost)
        report = _REPORT.draw(high(draws.rows(columns).word(REPORTED + places)))
        report[places == len(self.loci) - 1] = LEFT_OUT  # half an amelogenin is not reported
        lost[places, columns] = report == LEFT_OUT
        kept = (first > 0).sum(axis=0) - lost.sum(axis=0) >= self._model.least_loci
        lost &= kept
        reported = (report != LEFT_OUT) & kept[columns]
        places, columns, report = places[reported], columns[reported], report[reported]

        left = np.where(first_seen[places, columns], first[places, columns], second[places, columns])
        first[places, columns] = left
        second[places, columns] = np.where(report == OVERLOOKED, left, np.where(report == ALONE, 0, WILDCARD))
        first[lost] = second[lost] = 0
        one[:, rows], two[:, rows] = first, second
        overlooked = report == OVERLOOKED
        truth["degraded"][rows] = degree * kept
        truth["lost_loci"][rows] = lost.sum(axis=0)
        truth["false_homozygotes"][rows] = np.bincount(columns[overlooked], minlength=len(rows))
        truth["wildcards"][rows] = np.bincount(columns[~overlooked], minlength=len(rows))

    def _mistype(self, one: Texts, two: Texts, rows: I64, draws: Draws, truth: NDArray[Any]) -> None:
        """One allele is reported one repeat or one base longer or shorter."""
        draws = draws.rows(rows)
        rows, places, draws = _designated(one, two, rows, draws, ERROR_PLACE)
        how = low(draws.word(ERROR_PLACE)).astype(np.int64)
        step = np.where(how & 1, self._periods[places], 1) * np.where(how & 2, 1, -1)
        first, second = one[places, rows], two[places, rows]
        wrong = longer(np.where(how & 4, first, second), self._periods[places], step)
        right = np.where(how & 4, second, first)
        one[places, rows], two[places, rows] = np.minimum(wrong, right), np.maximum(wrong, right)
        truth["errors"][rows] = 1

    def _hide(self, one: Texts, two: Texts, rows: I64, draws: Draws, truth: NDArray[Any]) -> None:
        """One allele, seldom both, of one locus, seldom of two, is reported as a wildcard."""
        again = rows[draws.rows(rows).chance(HIDDEN_TWICE, self._model.second_wildcard)]
        for slot, hidden in ((HIDDEN_PLACE, rows), (HIDDEN_PLACE_TWO, again)):
            hidden, places, chosen = _designated(one, two, hidden, draws.rows(hidden), slot)
            how = low(chosen.word(slot)) % np.uint64(20)
            left = np.where(how & np.uint64(1), one[places, hidden], two[places, hidden])
            one[places, hidden] = np.where(how < 2, np.uint16(WILDCARD), left)
            two[places, hidden] = WILDCARD
            truth["wildcards"][hidden] += 1

    def _make_ids(self, numbers: I64, state: NDArray[np.uint32]) -> Strings:
        """State and 16 hexadecimal digits that show nothing of the profile's number; never twice in a data set."""
        digits = self._ids.at(numbers).word(0).astype(">u8").view(np.uint8).reshape(-1, 8)
        heap = np.empty((len(numbers), 19), dtype=np.uint8)
        heap[:, :3] = self._prefixes[state]
        heap[:, 3:] = _HEXADECIMAL.take(digits).view(np.uint8)
        return Strings(heap.reshape(-1), np.arange(len(numbers) + 1, dtype=np.uint64) * np.uint64(heap.shape[1]))


_HEXADECIMAL = np.frombuffer(bytes(range(256)).hex().encode("ascii"), dtype=np.uint16)  # two digits of each byte


def _survival(amount: int, kept: int, longest: int) -> list[int]:
    """Probability, in 2^-32, that an allele of 0, 10, 20 ... bases is seen: amount * kept ^ (length / 10)."""
    return [(amount * kept**tens << 32) // MILLION ** (tens + 1) for tens in range(longest // 10 + 1)]


def _designated(one: Texts, two: Texts, rows: I64, draws: Draws, slot: int) -> tuple[I64, I64, Draws]:
    """One locus with two designated alleles for each of those rows that has one: rows, loci and draws of these."""
    full = (one[:-1, rows] > 0) & (two[:-1, rows] > 0) & (two[:-1, rows] < WILDCARD)
    count = full.sum(axis=0)
    places = (np.cumsum(full, axis=0) > draws.below(slot, count)).argmax(axis=0)
    some = count > 0
    return rows[some], places[some], draws.rows(some)


def _mixture(parts: Texts) -> Texts:
    """The different alleles of (2 * people, loci, rows), shorter first: (rows, loci, 2 * people); one alone twice."""
    none = np.uint16(0xFFFF)
    parts = np.where(parts == 0, none, parts)
    parts.sort(axis=0)
    parts[1:][parts[1:] == parts[:-1]] = none
    parts.sort(axis=0)
    parts = np.where(parts == none, np.uint16(0), parts)
    parts[1] = np.where(parts[1] == 0, parts[0], parts[1])
    return parts.transpose(2, 1, 0)
