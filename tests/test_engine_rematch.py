"""Re-matching finds each accepted pair once, however the work is cut, joined or threaded."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from engine_cases import as_set, every_pair, gallery, index_of

from pcc_match import _cpu

EU = (6, 1, 1, 1, 1, 1, 0b11110)
RULES = [
    EU,
    (6, 1, 0xFFFF, 1, 1, 0, 0b11110),
    (5, 0, 2, 0, 0, 0, 0b11110),
    (4, 2, 2, 2, 2, 1, 0b11110),
    (3, 3, 3, 3, 3, 1, 0b11110),
    (7, 9, 9, 9, 9, 1, 0b11110),
    (2, 5, 1),  # stringency
]
WAYS = ("cheapest", "joins", "bitmaps")


def kits(n, loci, seed):
    """A gallery with large uniform groups of several kits, so that joins have something to do."""
    codes = gallery(n, loci, seed)
    r = np.random.default_rng(seed)
    whole = r.random(n) < 0.85
    codes[whole] = np.sort(np.where(codes[whole] < 2, 40, codes[whole]), axis=2)
    kit = r.integers(0, 3, n)
    codes[whole & (kit == 1), loci - 2 :] = 0
    codes[whole & (kit == 2), :2] = 0
    return codes


def run(rematch):
    empty = index_of(np.zeros((0, 1, 2), np.uint8)).search(np.zeros((0, 1, 2), np.uint8), EU)
    return np.concatenate([empty, *(rematch.run(task) for task in range(len(rematch.costs)))])


def turned(pairs):
    return {(b, a, *tally) for a, b, *tally in pairs}


@pytest.fixture(scope="module")
def here():
    return kits(3000, 11, 1)


@pytest.fixture(scope="module")
def there(here):
    codes = kits(2200, 11, 2)
    codes[:400] = here[:400]
    return codes


@pytest.mark.parametrize("rule", RULES)
def test_within_one_gallery(here, rule):
    codes = here[:1500] if len(rule) == 3 else here
    index = index_of(codes, rare_per_million=2000)
    new = (np.random.default_rng(3).random(len(codes)) < 0.3).astype(np.uint8)
    wanted = {pair for pair in every_pair(codes, codes, rule) if pair[0] < pair[1]}
    for ways in WAYS:
        assert as_set(run(_cpu.DnaRematch(index, None, rule, ways=ways))) == wanted
        of_new = as_set(run(_cpu.DnaRematch(index, None, rule, new, ways=ways)))
        assert of_new == {pair for pair in wanted if new[pair[0]] or new[pair[1]]}


@pytest.mark.parametrize("rule", RULES)
def test_one_gallery_against_another(here, there, rule):
    a, b = (here[:900], there[:700]) if len(rule) == 3 else (here, there)
    left, right = index_of(a), index_of(b, rare_per_million=5000)
    wanted = every_pair(a, b, rule)
    for ways in WAYS:
        for x, y, pairs, rows in ((left, right, wanted, len(a)), (right, left, turned(wanted), len(b))):
            assert as_set(run(_cpu.DnaRematch(x, y, rule, ways=ways))) == pairs
            new = (np.random.default_rng(4).random(rows) < 0.3).astype(np.uint8)
            of_new = as_set(run(_cpu.DnaRematch(x, y, rule, new, ways=ways)))
            assert of_new == {pair for pair in pairs if new[pair[0]]}


def test_a_gallery_against_itself_has_every_pair(here):
    codes = here[:800]
    index = index_of(codes)
    for ways in WAYS:
        assert as_set(run(_cpu.DnaRematch(index, index, EU, ways=ways))) == every_pair(codes, codes, EU)


def test_every_way_on_every_level(here, there):
    left, right = index_of(here), index_of(there)
    before, found = _cpu.isa(), []
    for level in _cpu.available_isas():
        _cpu.set_isa(level)
        for ways in WAYS:
            found.append(
                (
                    as_set(run(_cpu.DnaRematch(left, None, EU, ways=ways))),
                    as_set(run(_cpu.DnaRematch(left, right, EU, ways=ways))),
                )
            )
    _cpu.set_isa(before)
    assert all(pair == found[0] for pair in found)


def test_joins_are_used(here):
    tasks = {ways: len(_cpu.DnaRematch(index_of(here), None, EU, ways=ways).costs) for ways in WAYS}
    assert tasks["joins"] > tasks["bitmaps"]


def test_galleries_whose_parts_have_other_loci(here, there):
    """The two indexes order their loci differently, and one lacks some."""
    narrow = there.copy()
    narrow[:, [0, 5]] = 0
    wanted = every_pair(here, narrow, EU)
    for ways in WAYS:
        assert as_set(run(_cpu.DnaRematch(index_of(here), index_of(narrow), EU, ways=ways))) == wanted


def test_removed_rows_have_no_pairs(here):
    live = (np.random.default_rng(5).random(len(here)) < 0.8).astype(np.uint8)
    wanted = {p for p in every_pair(here, here, EU) if p[0] < p[1] and live[p[0]] and live[p[1]]}
    for ways in WAYS:
        assert as_set(run(_cpu.DnaRematch(index_of(here, live), None, EU, ways=ways))) == wanted


def test_tasks_run_in_any_order_on_threads(here):
    rematch = _cpu.DnaRematch(index_of(here), None, EU, ways="joins")
    tasks = np.random.default_rng(6).permutation(len(rematch.costs)).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert as_set(np.concatenate(list(pool.map(rematch.run, tasks)))) == as_set(run(rematch))


@pytest.mark.parametrize("n", [0, 1, 2, 511, 512, 513])
def test_small_galleries(n):
    codes = kits(n, 8, n)
    wanted = {pair for pair in every_pair(codes, codes, EU) if pair[0] < pair[1]}
    for ways in WAYS:
        assert as_set(run(_cpu.DnaRematch(index_of(codes), None, EU, ways=ways))) == wanted


def test_equal_profiles_are_each_others_matches():
    codes = np.repeat(kits(1, 8, 7), 600, axis=0)
    codes[:, 0] = 48
    for ways in WAYS:
        assert len(as_set(run(_cpu.DnaRematch(index_of(codes), None, EU, ways=ways)))) == 600 * 599 // 2


def test_what_cannot_be_rematched_is_refused(here):
    index = index_of(here)
    with pytest.raises(ValueError, match="mixture"):
        _cpu.DnaRematch(index, None, (1, 0))
    with pytest.raises(ValueError, match="loci"):
        _cpu.DnaRematch(index, index_of(gallery(5, 3)), EU)
    with pytest.raises(ValueError, match="new_rows"):
        _cpu.DnaRematch(index, None, EU, np.zeros(3, np.uint8))
    with pytest.raises(IndexError):
        _cpu.DnaRematch(index, None, EU).run(1000)
