"""The people behind synthetic profiles: who they are, where they live, whose relatives they are, and their genotypes.

A person is numbered by the first profile of theirs, so `person == profile number` says that a profile is not a copy.
All is a pure function of (seed, number): nothing is stored, and any person can be made again from the number alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcc_match.datasets.draws import I64, Choice, Draws, Stream, high, low
from pcc_match.datasets.frequencies import MILLION, frequencies
from pcc_match.dna.loci import AMELOGENIN, locus

if TYPE_CHECKING:
    from pcc_match.datasets.dna import DnaModel, State

Texts = NDArray[np.uint16]

# Alleles are indices into TEXTS, which has a place for each repeat number and remainder, so that their order is the
# order of size and a change of length is arithmetic.
REMAINDERS = 5
LONGEST = 75  # repeats
WILDCARD = 1 + (LONGEST + 1) * REMAINDERS
X, Y = WILDCARD + 1, WILDCARD + 2
TEXTS: tuple[str, ...] = (
    "",
    *(f"{n}.{r}" if r else f"{n}" for n in range(LONGEST + 1) for r in range(REMAINDERS)),
    *("*", "X", "Y"),
)
NUMBER_OF = {text: number for number, text in enumerate(TEXTS)}

URN_DRAWS = 4000

# Slots of the stream "profile" that decide whose profile it is (the others are in profiles.py).
COPY, SOURCE = 0, 1
# Slots of the stream "person"; ALLELES and INHERITED have one slot for each locus.
RELATED, RELATIVE, HOME, SEX, RARE, RARE_PLACE, THREE, THREE_PLACE, ALLELES, INHERITED = 0, 1, 2, 3, 4, 5, 6, 7, 16, 136

NONE, PARENT_CHILD, FULL_SIBS = 0, 1, 2


def longer(texts: Texts, periods: I64, bases: I64 | int) -> Texts:
    """Alleles longer by so many bases (shorter if negative); the other way where that would be no allele."""
    repeats, remainders = np.divmod(texts.astype(np.int64) - 1, REMAINDERS)
    before = repeats * periods + remainders
    after = before + bases
    wrong = (after < 2 * periods) | (after > np.minimum(LONGEST * periods, 255))
    after = np.where(wrong, before - bases, after)
    return (1 + after // periods * REMAINDERS + after % periods).astype(np.uint16)


@dataclass(frozen=True)
class Genotypes:
    """Alleles by locus and person: indices into TEXTS, uint16 (loci, people), low <= high, amelogenin last."""

    low: Texts
    high: Texts
    third: Texts  # (people,): a third allele, longer than both, 0 where there is none
    third_locus: I64  # (people,)
    rare_locus: I64  # (people,): where an allele is off every table, -1 for nowhere


class People:
    """loci: canonical names, amelogenin last."""

    def __init__(self, seed: int, states: Sequence["State"], model: "DnaModel", loci: Sequence[str]):
        self._model = model
        self._profile = Stream(seed, "profile")
        self._person = Stream(seed, "person")
        self._periods = np.array([locus(name).period for name in loci], dtype=np.int64)
        self._homes = Choice([[state.share for state in states]])
        self._alleles = [_communities(seed, states, model, name, place) for place, name in enumerate(loci[:-1])]
        assert loci[-1] == AMELOGENIN

    def persons(self, profiles: I64) -> I64:
        """The person whom each profile number is of."""
        persons, rows = profiles.copy(), np.arange(len(profiles))
        while len(rows):
            draws = self._profile.at(persons[rows])
            copied = draws.chance(COPY, self._model.copies) & (persons[rows] > 0)
            rows = rows[copied]
            persons[rows] = draws.rows(copied).below(SOURCE, persons[rows])
        return persons

    def relatives(self, persons: I64) -> tuple[I64, I64, I64]:
        """Rows of those who are a relative of an earlier person, that person, and which (PARENT_CHILD or FULL_SIBS)."""
        draws = self._person.at(persons)
        rows = np.flatnonzero(draws.chance(RELATED, self._model.relatives) & (persons > 0))
        draws = draws.rows(rows)
        relation = (draws.word(RELATIVE) & np.uint64(1)).astype(np.int64) + PARENT_CHILD
        return rows, self.persons(draws.below(RELATIVE, persons[rows])), relation

    def homes(self, persons: I64) -> tuple[I64, I64]:
        """State and community of each person; relatives live together. Communities are numbered through all states."""
        heads, rows = persons.copy(), np.arange(len(persons))
        while len(rows):
            found, others, _ = self.relatives(heads[rows])
            rows = rows[found]
            heads[rows] = others
        word = self._person.at(heads).word(HOME)
        states = self._homes.draw(high(word)).astype(np.int64)
        communities = (low(word) * np.uint64(self._model.communities) >> np.uint64(32)).astype(np.int64)
        return states, states * self._model.communities + communities

    def genotypes(self, persons: I64, communities: I64) -> Genotypes:
        # Everyone whose alleles are needed: the persons, those they are relatives of, those these are relatives of ...
        levels = [(0, len(persons))]
        everyone, homes, links = [persons], [communities], []
        while len(everyone[-1]):
            rows, others, relation = self.relatives(everyone[-1])
            links.append((rows, relation))
            everyone.append(others)
            homes.append(homes[-1][rows])
            levels.append((levels[-1][1], levels[-1][1] + len(others)))
        draws = self._person.at(np.concatenate(everyone))
        one, two = self._own_alleles(draws, np.concatenate(homes))
        rare_locus = np.zeros(0, dtype=np.int64)
        for (start, end), (below, beyond), (rows, relation) in reversed(
            list(zip(levels[:-1], levels[1:], links, strict=True))
        ):
            own = draws.rows(np.arange(start, end))
            level = one[:, start:end], two[:, start:end]
            if len(rows):
                _inherit(level, rows, relation, own.rows(rows), one[:, below:beyond], two[:, below:beyond])
            rare_locus = self._make_rare(level, own)
        count = len(persons)
        smaller, larger = np.minimum(one[:, :count], two[:, :count]), np.maximum(one[:, :count], two[:, :count])
        third, third_locus = self._third(smaller, larger, draws.rows(np.arange(count)))
        return Genotypes(smaller, larger, third, third_locus, rare_locus)

    def _own_alleles(self, draws: Draws, communities: I64) -> tuple[Texts, Texts]:
        shape = len(self._periods), len(communities)
        one, two = np.empty(shape, dtype=np.uint16), np.empty(shape, dtype=np.uint16)
        for place, choice in enumerate(self._alleles):
            word = draws.word(ALLELES + place)
            offsets = choice.offsets(communities)
            one[place] = choice.draw(high(word), offsets)
            two[place] = choice.draw(low(word), offsets)
        one[-1] = X
        two[-1] = np.where(draws.chance(SEX, self._model.men), np.uint16(Y), np.uint16(X))
        return one, two

    def _make_rare(self, level: tuple[Texts, Texts], draws: Draws) -> I64:
        """Gives few people an allele 1-3 bases longer than a drawn one: a micro-variant, or one off the ladder."""
        rows = np.flatnonzero(draws.chance(RARE, self._model.rare))
        draws = draws.rows(rows)
        places, bases = draws.below(RARE_PLACE, len(self._periods) - 1), 1 + (draws.word(RARE_PLACE) % np.uint64(3))
        level[0][places, rows] = longer(level[0][places, rows], self._periods[places], bases.astype(np.int64))
        rare_locus = np.full(level[0].shape[1], -1, dtype=np.int64)
        rare_locus[rows] = places
        return rare_locus

    def _third(self, smaller: Texts, larger: Texts, draws: Draws) -> tuple[Texts, I64]:
        """A third allele, one repeat longer than the longer one (a somatic mutation), at one heterozygous locus."""
        third, places = np.zeros(smaller.shape[1], dtype=np.uint16), np.zeros(smaller.shape[1], dtype=np.int64)
        rows = np.flatnonzero(draws.chance(THREE, self._model.three_alleles))
        where = draws.rows(rows).below(THREE_PLACE, len(self._periods) - 1)
        alleles = larger[where, rows]
        longest = longer(alleles, self._periods[where], self._periods[where])
        third[rows] = np.where((smaller[where, rows] < alleles) & (longest > alleles), longest, 0)
        places[rows] = where
        return third, places


def _inherit(level: tuple[Texts, Texts], rows: I64, relation: I64, draws: Draws, one: Texts, two: Texts) -> None:
    """Replaces alleles of `rows` by those shared with their relatives, whose alleles are one and two (loci, rows).

    A parent and a child share one allele of each locus; full sibs share 2, 1, 0 in 1/4, 1/2, 1/4 of the loci.
    """
    places = len(one) - 1  # not the sex marker
    words = draws.words(INHERITED, places)
    which = words >> np.uint64(63) == 0
    quarter = words >> np.uint64(61) & np.uint64(3)
    sibs = relation == FULL_SIBS
    shares_one = np.where(sibs, quarter != 0, True)
    shares_both = sibs & (quarter == 1)
    one, two = one[:places], two[:places]
    first, second = level[0][:places, rows], level[1][:places, rows]
    level[0][:places, rows] = np.where(shares_one, np.where(which, one, two), first)
    level[1][:places, rows] = np.where(shares_both, np.where(which, two, one), second)


def _communities(seed: int, states: Sequence["State"], model: "DnaModel", name: str, place: int) -> Choice:
    """The alleles of one locus in every community of every state.

    A community's frequencies are a Balding-Nichols draw around its state's table, made by Polya's urn with integer
    weights: of 4000 draws, draw k is a new one from the table with probability (1 - theta) / (1 - theta + k theta),
    else a copy of one of the k before. Their variance is theta p (1 - p) * 4000 / (4000 + (1 - theta) / theta), which
    at theta 0.01 is 97.6 % of that of endless draws.
    """
    tables = []
    for state in states:
        known = [table[name] for table in map(frequencies, state.frequencies) if name in table]
        if not known:  # needed even if none of its own kits has the locus: its people are typed abroad, too
            raise ValueError(f"state {state.code}: none of its frequencies has the locus {name}")
        tables.append(known[0])
    alleles = sorted({NUMBER_OF[text] for table in tables for text in table})
    texts = [TEXTS[allele] for allele in alleles]
    weights = [[table.get(text, 0) for text in texts] for table in tables]
    lanes = [row for row in weights for _ in range(model.communities)]
    if model.theta == 0:
        return Choice(lanes, alleles)

    count = URN_DRAWS * len(lanes)
    draws = Stream(seed, f"urn {place}").at(np.arange(count))
    turn, lane = np.divmod(np.arange(count), len(lanes))
    ball = draws.below(0, MILLION - model.theta + model.theta * turn) - (MILLION - model.theta)
    copied = ball >= 0
    source = np.where(copied, ball // model.theta * len(lanes) + lane, np.arange(count))
    while copied.any():  # follow copies of copies to the draw from the table that they go back to
        followed = source[source]
        copied = followed != source
        source = followed
    choice = Choice(weights)
    drawn = choice.draw(high(draws.word(1)), choice.offsets(lane // model.communities))[source]
    counts = np.bincount(lane * len(alleles) + drawn, minlength=len(lanes) * len(alleles)).reshape(len(lanes), -1)
    table_weight, copy_weight = MILLION - model.theta, model.theta * MILLION
    urns = [
        [table_weight * weight + copy_weight * seen for weight, seen in zip(*lane, strict=True)]
        for lane in zip(lanes, counts.tolist(), strict=True)
    ]
    return Choice(urns, alleles)
