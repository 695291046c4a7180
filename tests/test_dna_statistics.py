"""Counts of matching and partially matching loci: against a plain count, and against an independent program.

tests/data/dbcompare-* and dbexpect-*: what dbCompare and dbExpect of DNAtools say about the NIST 1036 people.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match import _cpu
from pcc_match.datasets import nist1036, nist1036_populations
from pcc_match.dna.statistics import expected_counts, match_partial_counts, pairs_with_matches

DATA = Path(__file__).parent / "data"


def each_isa():
    """Iterates over the instruction sets, each in use while the loop's body runs."""
    before = _cpu.isa()
    try:
        for level in _cpu.available_isas():
            _cpu.set_isa(level)
            yield level
    finally:
        _cpu.set_isa(before)


@pytest.fixture(scope="module")
def complete():
    """The 1034 of the NIST people that have all 29 loci."""
    people = nist1036()
    return people.take(np.flatnonzero((people.codes > 1).all(axis=(1, 2))))


def table(name):
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


def profiles(n, loci, seed, alleles=4):
    """Few alleles: homozygotes, wildcards, empty loci and equal profiles are frequent."""
    random = np.random.default_rng(seed)
    codes = np.sort(random.integers(2, 2 + alleles, (n, loci, 2), np.uint8), axis=2)
    codes[random.random((n, loci)) < 0.1] = 0
    codes[random.random((n, loci)) < 0.1, 0] = 1
    if n:
        copies = random.random(n) < 0.2
        codes[copies] = codes[random.integers(0, n, copies.sum())]
    return codes


def shared_loci(one, other):
    """(matching, partially matching) loci of two profiles."""
    matching = partial = 0
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        if min(a) >= 2 and min(b) >= 2:
            matching += sorted(a) == sorted(b)
            partial += sorted(a) != sorted(b) and bool(set(a) & set(b))
    return matching, partial


def counted_one_by_one(codes, against=None):
    counts = np.zeros((codes.shape[1] + 1,) * 2, np.int64)
    for i, one in enumerate(codes):
        for other in codes[i + 1 :] if against is None else against:
            counts[shared_loci(one, other)] += 1
    return counts


def counted_by_locus(codes, against):
    """The same for many profiles: all ordered pairs."""
    matching, partial = np.zeros((2, len(codes), len(against)), int)
    for locus in range(codes.shape[1]):
        a, b = codes[:, None, locus], against[None, :, locus]
        both = (a >= 2).all(axis=2) & (b >= 2).all(axis=2)
        equal = both & (a == b).all(axis=2)
        matching += equal
        partial += both & ~equal & ((a == b) | (a == b[:, :, ::-1])).any(axis=2)
    return matching, partial


def histogram(matching, partial, loci):
    return np.bincount((matching * (loci + 1) + partial).ravel(), minlength=(loci + 1) ** 2).reshape(loci + 1, loci + 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 25), st.integers(0, 20), st.integers(0, 2**32), st.integers(1, 3))
def test_counts_are_those_of_a_plain_count(n, loci, seed, threads):
    codes, others = profiles(n, loci, seed), profiles(n // 2, loci, seed + 1)
    among, between = counted_one_by_one(codes), counted_one_by_one(codes, others)
    for isa in each_isa():
        assert np.array_equal(match_partial_counts(codes, threads=threads), among), isa
        assert np.array_equal(match_partial_counts(codes, others, threads=threads), between), isa
        assert np.array_equal(match_partial_counts(others, codes, threads=threads), between), isa


@pytest.mark.parametrize(("n", "loci"), [(511, 16), (512, 7), (513, 8), (1030, 31), (700, 32), (520, 130), (70, 300)])
def test_many_blocks_and_any_number_of_loci(n, loci):
    codes = profiles(n, loci, seed=n, alleles=9)
    matching, partial = counted_by_locus(codes, codes)
    pair = np.triu_indices(n, 1)
    for isa in each_isa():
        counts = match_partial_counts(codes)
        assert np.array_equal(counts, histogram(matching[pair], partial[pair], loci)), isa
        assert counts.sum() == n * (n - 1) // 2
        counts = match_partial_counts(codes, codes[:5])
        assert np.array_equal(counts, histogram(matching[:5], partial[:5], loci)), isa


def test_all_allele_codes_are_told_apart():
    every = np.array([(a, b) for a in range(2, 256, 3) for b in range(a, 256, 5)], np.uint8)
    codes = np.random.default_rng(0).permutation(every)[:900, None]
    matching, partial = counted_by_locus(codes, codes)
    pair = np.triu_indices(len(codes), 1)
    for isa in each_isa():
        assert np.array_equal(match_partial_counts(codes), histogram(matching[pair], partial[pair], 1)), isa


def test_all_pairs_in_one_cell():
    codes = np.full((1100, 5, 2), 40, np.uint8)
    for isa in each_isa():
        counts = match_partial_counts(codes)
        assert counts[5, 0] == counts.sum() == 1100 * 1099 // 2, isa


def test_a_locus_counts_where_both_are_designated():
    one = np.array([[[20, 24]] * 7], np.uint8)
    other = np.array([[[20, 24], [24, 24], [20, 28], [28, 32], [1, 20], [0, 0], [1, 1]]], np.uint8)
    assert np.argwhere(match_partial_counts(one, other)).tolist() == [[1, 2]]


@pytest.mark.parametrize("at_least", [0, 3, 6, 99])
def test_pairs_with_matches(at_least):
    codes = profiles(700, 9, seed=1)
    matching, partial = counted_by_locus(codes, codes)
    row, other = np.nonzero(np.triu(matching >= at_least, 1))
    for _ in each_isa():
        found = pairs_with_matches(codes, at_least)
        assert np.array_equal(found["row"], row)
        assert np.array_equal(found["other"], other)
        assert np.array_equal(found["matching"], matching[row, other])
        assert np.array_equal(found["partial"], partial[row, other])
    for against in (codes[:20], np.concatenate([codes, codes[:20]])):
        found = pairs_with_matches(codes, at_least, against)
        matching, partial = counted_by_locus(codes, against)
        row, other = np.nonzero(matching >= at_least)
        assert np.array_equal(found["row"], row)
        assert np.array_equal(found["other"], other)
        assert np.array_equal(found["partial"], partial[row, other])


def test_counts_of_the_nist_people_equal_dbcompare(complete):
    expected = np.zeros((30, 30), np.int64)
    for row in table("dbcompare-nist1036.csv"):
        expected[int(row["match"]), int(row["partial"])] = int(row["Freq"])
    assert expected.sum() == 534_061
    for isa in each_isa():
        for threads in (1, 2, 5):
            assert np.array_equal(match_partial_counts(complete.codes, threads=threads), expected), isa


def test_closest_nist_people_equal_dbcompare(complete):
    found = {
        (frozenset((complete.ids[row], complete.ids[other])), matching, partial)
        for row, other, matching, partial in pairs_with_matches(complete.codes, 9).tolist()
    }
    assert found == {
        (frozenset((row["sample1"], row["sample2"])), int(row["match"]), int(row["partial"]))
        for row in table("dbcompare-nist1036-pairs.csv")
    }


@pytest.mark.parametrize("theta", ["0", "0.01"])
def test_expected_counts_equal_dbexpect(theta):
    caucasian = nist1036().codes[np.array(nist1036_populations()) == "caucasian"]
    frequencies = {}
    for locus in range(caucasian.shape[1]):
        alleles, counts = np.unique(caucasian[:, locus], return_counts=True)
        frequencies[str(locus)] = dict(zip(alleles.tolist(), counts.tolist(), strict=True))
    expected = expected_counts(frequencies, 361, float(theta))
    cells = table(f"dbexpect-nist-caucasian-theta-{theta}.csv")
    assert len(cells) == np.count_nonzero(expected) == 465
    for cell in cells:
        assert expected[int(cell["match"]), int(cell["partial"])] == pytest.approx(float(cell["Freq"]), rel=1e-9)


def test_expectation_at_one_locus_by_hand():
    """Alleles of 1/2 each: genotypes AA 1/4, AB 1/2, BB 1/4."""
    counts = expected_counts({"TPOX": {"8": 0.5, "11": 0.5}}, 2)
    assert counts == pytest.approx(np.array([[1 / 8, 1 / 2], [3 / 8, 0]]))
    assert expected_counts({}, 5).tolist() == [[10]]
    assert expected_counts({"TPOX": {"8": 3}}, 1).tolist() == [[0, 0], [0, 0]]


def test_impossible_arguments_are_refused():
    codes = profiles(3, 4, seed=0)
    for wrong in (codes.astype(np.int64), codes[0], codes[:, :, :1]):
        with pytest.raises(ValueError, match=r"uint8 \(n, loci, 2\)"):
            match_partial_counts(wrong)
    with pytest.raises(ValueError, match="equally many loci"):
        match_partial_counts(codes, codes[:, :2])
    with pytest.raises(ValueError, match="locus FGA"):
        expected_counts({"FGA": {"20": -1, "21": 2}}, 10)
    with pytest.raises(ValueError, match="theta"):
        expected_counts({}, 10, theta=1.5)
