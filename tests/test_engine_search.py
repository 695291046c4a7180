"""Every search finds what the compiled rule accepts pair by pair, on each instruction-set level, and nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from engine_cases import as_set, every_pair, gallery, index_of

from pcc_match import _cpu

UNLIMITED = 0xFFFF
EU = (6, 1, 1, 1, 1, 1, 0b11110)
TREATY_RULES = [
    EU,
    (6, 1, UNLIMITED, 1, 1, 0, 0b11110),  # wildcards without limit
    (6, 0, 0, 0, 0, 1, 0b11110),  # equal in all values
    (0, 0, 0, 0, 0, 1, 0b11110),  # nothing in common is enough
    (0, 2, 1, 1, 1, 0, 0b11110),
    (1, 3, 3, 3, 3, 1, 0b11110),
    (4, 2, 2, 2, 0, 1, 0b11110),
    (5, 3, 9, 9, 9, 1, 0b11110),
    (3, 4, 4, 4, 4, 1, 0b11110),  # more differences than planes count
    (7, UNLIMITED - 1, UNLIMITED, UNLIMITED, UNLIMITED, 1, 0b11110),
    (17, 1, 1, 1, 1, 1, 0b11110),
    (6, 1, 1, 1, 1, 1, 0b11000),  # only the qualities 3 and 4
    (6, 2, 1, 1, 0, 1, 0b00100),
]
STRINGENCY_RULES = [(level, loci, lower) for level in (1, 2, 3) for loci, lower in ((1, 0), (5, 1), (4, 3), (2, 9))]
MIXTURE_RULES = [(1, 0), (5, 0), (4, 1), (5, 3), (3, 12)]


@pytest.fixture(params=_cpu.available_isas())
def level(request):
    before = _cpu.isa()
    _cpu.set_isa(request.param)
    yield request.param
    _cpu.set_isa(before)


def probes_of(codes, count, seed):
    """Rows of the gallery and profiles that are not in it."""
    r = np.random.default_rng(seed)
    rows = codes[r.integers(0, max(1, len(codes)), count)] if len(codes) else codes
    return np.concatenate([rows, gallery(count // 4 + 1, codes.shape[1], seed + 1000)])


def mixtures_of(codes, count, seed):
    """Sets of the alleles of two or three profiles; some loci absent, some with a wildcard, some without an allele."""
    r = np.random.default_rng(seed)
    shows = np.zeros((count, codes.shape[1], 256), bool)
    for k in range(count):
        for profile in codes[r.integers(0, len(codes), 2 + k % 2)]:
            shows[k, np.arange(len(profile))[:, None], profile] = True
    shows[:, :, 0] = False
    shows[r.random(shows.shape[:2]) < 0.2] = False
    shows[:, :, 1] &= r.random(shows.shape[:2]) < 0.1
    shows[r.random(shows.shape) < 0.003] = True
    shows[:, :, 0] = False
    return np.packbits(shows, axis=2, bitorder="little").view(np.uint64)


@pytest.mark.parametrize("rule", TREATY_RULES)
def test_treaty_rules(level, rule):
    codes = gallery(3000, loci=12, seed=1)
    probes = probes_of(codes, 60, 2)
    index = index_of(codes, rare_per_million=2000)
    wanted = every_pair(probes, codes, rule)
    assert as_set(index.search(probes, rule)) == wanted
    one_by_one = [index.search(probes[k : k + 1], rule) for k in range(len(probes))]
    for k, hits in enumerate(one_by_one):
        hits["probe"] = k
    assert as_set(np.concatenate(one_by_one)) == wanted


@pytest.mark.parametrize("rule", STRINGENCY_RULES)
def test_stringency_rules(level, rule):
    codes = gallery(1500, loci=9, seed=3)
    probes = probes_of(codes, 30, 4)
    assert as_set(index_of(codes, rare_per_million=2000).search(probes, rule)) == every_pair(probes, codes, rule)


@pytest.mark.parametrize("rule", MIXTURE_RULES)
def test_mixture_rules(level, rule):
    codes = gallery(1500, loci=9, seed=5)
    mixtures = mixtures_of(codes, 40, 6)
    found = as_set(index_of(codes, rare_per_million=2000).search(mixtures, rule))
    assert found == every_pair(mixtures, codes, rule)
    assert found


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 511, 512, 513, 1025])
def test_sizes_around_words_and_blocks(level, n):
    codes = gallery(n, loci=8, seed=n)
    probes = probes_of(codes, 20, 7)
    assert as_set(index_of(codes).search(probes, EU)) == every_pair(probes, codes, EU)


@pytest.mark.parametrize("loci", [1, 33, 65, 129, 256])
def test_numbers_of_loci(level, loci):
    codes = gallery(600, loci=loci, seed=loci)
    probes = probes_of(codes, 20, 8)
    for rule in (EU, (1, 2, 2, 2, 2, 1, 0b11110), (2, 1, 1)):
        assert as_set(index_of(codes).search(probes, rule)) == every_pair(probes, codes, rule)


def test_one_locus_set_sorted_by_key(level):
    """Large uniform groups, where the key of the group tells blocks apart."""
    codes = gallery(14000, loci=10, seed=9)
    codes = codes[(codes[:, :7, 0] > 1).all(axis=1)]
    codes[:, 7:] = 0
    probes = probes_of(codes, 40, 10)
    index = index_of(codes)
    assert index.groups["blocks"].max() >= 6
    for rule in (EU, (6, 0, 0, 0, 0, 1, 0b11110), (4, 2, 2, 2, 2, 1, 0b11110), (3, 3, 3, 3, 3, 1, 0b11110)):
        assert as_set(index.search(probes, rule)) == every_pair(probes, codes, rule)


def test_all_profiles_equal(level):
    codes = np.repeat(gallery(1, loci=8, seed=12), 1300, axis=0)
    codes[0, 0] = 48, 60
    wanted = every_pair(codes[:3], codes, EU)
    assert as_set(index_of(codes).search(codes[:3], EU)) == wanted


def test_removed_rows_are_never_found(level):
    codes = gallery(2000, loci=10, seed=13)
    live = (np.random.default_rng(14).random(2000) < 0.7).astype(np.uint8)
    probes = probes_of(codes, 50, 15)
    wanted = {pair for pair in every_pair(probes, codes, EU) if live[pair[1]]}
    assert as_set(index_of(codes, live).search(probes, EU)) == wanted


def test_blocks_and_batches_add_up(level):
    codes = gallery(5000, loci=12, seed=16)
    probes = np.concatenate([codes[::4], gallery(900, 12, 17)])  # more than a tile
    index = index_of(codes)
    whole = as_set(index.search(probes, EU))
    cuts = [0, 1, 4, index.blocks]
    assert set().union(*(as_set(index.search(probes, EU, a, b)) for a, b in pairwise(cuts))) == whole
    for start in range(0, len(probes), 700):
        hits = index.search(np.ascontiguousarray(probes[start : start + 700]), EU)
        hits["probe"] += start
        assert as_set(hits) == {pair for pair in whole if start <= pair[0] < start + 700}


def test_order_of_rows_changes_nothing(level):
    codes = gallery(3000, loci=11, seed=18)
    probes = probes_of(codes, 40, 19)
    order = np.random.default_rng(20).permutation(3000)
    straight = index_of(codes).search(probes, EU)
    shuffled = index_of(np.ascontiguousarray(codes[order])).search(probes, EU)
    shuffled["row"] = order[shuffled["row"]]
    assert as_set(shuffled) == as_set(straight)


def test_probes_of_another_form_are_refused():
    index = index_of(gallery(10, loci=4, seed=0))
    good = np.zeros((1, 4, 2), np.uint8)
    for bad in (good.astype(np.int64), good[:, :3], good[0], np.zeros((1, 4, 4), np.uint64)):
        with pytest.raises(TypeError, match="uint8"):
            index.search(bad, EU)
    with pytest.raises(TypeError, match="uint64"):
        index.search(good, (1, 0))
