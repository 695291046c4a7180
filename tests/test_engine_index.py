"""The search index says exactly what the profiles say: every line, group and map is checked against the codes."""

import numpy as np
import pytest
from engine_cases import gallery, index_of

from pcc_match import _cpu

EMPTY = 0xFFFFFFFF


def bits(line):
    """bool[512] of a line of 8 little-endian words."""
    return np.unpackbits(line.astype("<u8").view(np.uint8), bitorder="little").astype(bool)


def members(words, positions):
    return [p for p in range(positions) if int(words[p // 64]) >> (p % 64) & 1]


def check(index, codes, live):
    rows = index.row_of_slot
    used = rows != EMPTY
    assert np.array_equal(np.sort(rows[used]), np.flatnonzero(live))
    assert len(index) == live.sum()
    positions = len(index.order)
    assert np.array_equal(np.sort(index.order), np.flatnonzero(codes[live].any(axis=(0, 2))))
    mine = np.zeros((len(rows), positions, 2), np.uint8)
    mine[used] = codes[rows[used]][:, index.order]
    assert np.array_equal(index.codes[:, : 2 * positions].reshape(mine.shape), mine)
    assert not index.codes[:, 2 * positions :].any()
    for group, base in zip(index.groups, index.base, strict=True):
        for b in range(group["blocks"]):
            block = slice((group["first_block"] + b) * 512, (group["first_block"] + b + 1) * 512)
            lines = index.lines[int(group["first_line"]) + b * int(group["lines"]) :][: group["lines"]]
            check_block(index, group, base, mine[block], used[block], lines)
            if group["key_position"] != EMPTY:
                key = mine[block][used[block]][:, group["key_position"]].astype(int) @ [256, 1]
                assert (np.diff(key) >= 0).all()
                assert index.first_key[group["first_block"] + b] == key[0]


def check_block(index, group, base, codes, used, lines):
    positions = codes.shape[1]
    every, some = members(group["all"], positions), members(group["any"], positions)
    designated = codes[:, :, 0] > 1
    assert designated[used][:, every].all()
    assert not np.delete(designated, some, axis=1).any()
    assert not lines[0].any()
    for p in some:
        line_of, home = index.allele_line[p], int(base[p])
        first, second = line_of[codes[:, p, 0]], line_of[codes[:, p, 1]]
        assert (first[designated[:, p]] > 0).all()
        if every != some:
            assert np.array_equal(bits(lines[home - 1]), designated[:, p])
        assert np.array_equal(bits(lines[home]), designated[:, p] & (first == second))
        for n in range(1, line_of.max() + 1):
            has = designated[:, p] & ((first == n) | (second == n))
            assert np.array_equal(bits(lines[home + n]), has)


@pytest.mark.parametrize("n", [0, 1, 31, 511, 512, 513, 6000])
def test_lines_say_what_the_codes_say(n):
    codes = gallery(n, loci=12, seed=n)
    check(index_of(codes, rare_per_million=3000), codes, np.ones(n, bool))


def test_removed_rows_are_left_out():
    codes = gallery(3000, loci=10, seed=1)
    live = np.random.default_rng(2).random(3000) < 0.6
    check(index_of(codes, live.astype(np.uint8)), codes, live)


@pytest.mark.parametrize("loci", [1, 33, 70, 130, 256])
def test_any_number_of_loci(loci):
    codes = gallery(700, loci=loci, seed=loci)
    check(index_of(codes), codes, np.ones(700, bool))


def test_parts_with_other_columns_are_one_gallery():
    codes = gallery(2000, loci=9, seed=5)
    front, back = np.array([4, 1, 8]), np.array([0, 3, 4, 8, 7, 6])
    whole = np.zeros_like(codes)
    whole[:900, front] = codes[:900, front]
    whole[900:, back] = codes[900:, back]
    not_compared = np.full((900, 1, 2), 77, np.uint8)
    parts = [
        (
            np.ascontiguousarray(np.concatenate([codes[:900, front], not_compared], axis=1)),
            np.array([*front, -1], np.int32),
            None,
        ),
        (np.ascontiguousarray(codes[900:, back]), back.astype(np.int32), None),
    ]
    check(_cpu.DnaIndex(parts, 9), whole, np.ones(2000, bool))


def test_index_is_the_same_for_any_number_of_threads():
    codes = gallery(5000, seed=3)
    one, three = index_of(codes), index_of(codes, threads=3)
    for name in ("order", "allele_line", "groups", "base", "first_key", "lines", "codes", "row_of_slot"):
        assert np.array_equal(getattr(one, name), getattr(three, name)), name


@pytest.mark.parametrize("pair", [(0, 12), (40, 36), (5, 1)])
def test_impossible_codes_are_refused_with_their_place(pair):
    codes = gallery(20, loci=3, seed=0)
    codes[7, 2] = pair
    with pytest.raises(ValueError, match="part 0, row 7, locus 2"):
        index_of(codes)


def test_impossible_columns_are_refused():
    codes = gallery(4, loci=2)
    for columns in ([0, 2], [1, 1]):
        with pytest.raises(ValueError, match="column 1"):
            _cpu.DnaIndex([(codes, np.array(columns, np.int32), None)], 2)
    with pytest.raises(ValueError, match="256"):
        _cpu.DnaIndex([], 257)
    with pytest.raises(TypeError):
        _cpu.DnaIndex([(codes.astype(np.int16), np.arange(2, dtype=np.int32), None)], 2)
