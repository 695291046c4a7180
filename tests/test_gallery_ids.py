"""Ids of galleries in the extension: bytewise order, ranks over sorted columns, the index from id to row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcc_match import _cpu
from pcc_match.strings import Strings

NO_ROW = 0xFFFFFFFF
texts = st.text("ab\0", max_size=3) | st.text(max_size=20) | st.text("a", min_size=7, max_size=18)


def pair(ids):
    strings = Strings.from_list(ids)
    return strings.heap, strings.offsets


@given(st.lists(texts, max_size=40))
def test_sorting_is_bytewise_and_keeps_the_order_of_equal_ids(ids):
    order, first = _cpu.sort_ids(*pair(ids))
    assert order.tolist() == sorted(range(len(ids)), key=lambda row: ids[row].encode())
    assert first.tolist() == [k == 0 or ids[order[k - 1]] != ids[order[k]] for k in range(len(ids))]


@given(st.lists(st.tuples(st.sets(texts, max_size=12), st.randoms(use_true_random=False)), max_size=5))
def test_ranks_count_the_live_ids_that_are_smaller(columns):
    parts, live_ids = [], []
    for ids, draw in columns:
        ids = sorted(ids, key=str.encode)
        live = np.array([draw.random() < 0.7 for _ in ids], np.uint8)
        parts.append((*pair(ids), live if draw.random() < 0.7 else None))
        alive = live if parts[-1][2] is not None else np.ones(len(ids), np.uint8)
        live_ids.append([id.encode() if kept else None for id, kept in zip(ids, alive, strict=True)])
    everything = sorted(key for column in live_ids for key in column if key is not None)
    expected = [everything.index(key) if key is not None else NO_ROW for column in live_ids for key in column]
    assert _cpu.rank_ids(parts).tolist() == expected


@given(st.lists(st.lists(texts, unique=True, max_size=30), max_size=5), st.lists(texts, max_size=10))
def test_index_finds_the_latest_row_of_each_id(columns, others):
    index, rows, first_row = _cpu.IdIndex(), {}, 0
    for number, ids in enumerate(columns):
        live = np.array([(len(id) + number) % 3 > 0 for id in ids], np.uint8)
        index.add(*pair(ids), live, first_row)
        rows |= {id: first_row + k for k, id in enumerate(ids) if live[k]}
        first_row += len(ids)
        asked = [*rows, *others, *ids]
        assert index.find(*pair(asked)).tolist() == [rows.get(id, NO_ROW) for id in asked]
    assert len(index) == len(rows)


def test_index_holds_many_ids():
    index, n = _cpu.IdIndex(), 100_000
    for start in range(0, n, 7_919):
        index.add(*pair([f"AT-{k:07d}" for k in range(start, min(start + 7_919, n))]), None, start)
    assert len(index) == n
    found = index.find(*pair([f"AT-{k:07d}" for k in range(n + 1_000)]))
    assert found.tolist() == [*range(n)] + [NO_ROW] * 1_000


def test_columns_that_are_no_ids_are_refused():
    heap, offsets = pair(["a", "b"])
    for wrong in (offsets[::-1].copy(), offsets + np.uint64(1), offsets[:0]):
        with pytest.raises(ValueError, match="ids"):
            _cpu.sort_ids(heap, wrong)
    with pytest.raises(ValueError, match="not sorted at row 1"):
        _cpu.rank_ids([(*pair(["b", "a"]), None)])
    with pytest.raises(ValueError, match="not sorted at row 1"):
        _cpu.rank_ids([(*pair(["a", "a"]), None)])
    with pytest.raises(ValueError, match="live"):
        _cpu.rank_ids([(heap, offsets, np.ones(3, np.uint8))])
    with pytest.raises(TypeError):
        _cpu.sort_ids(heap, offsets.astype(np.int64))
    index = _cpu.IdIndex()
    index.add(heap, offsets, None, 5)
    with pytest.raises(ValueError, match="row order"):
        index.add(heap, offsets, None, 6)
