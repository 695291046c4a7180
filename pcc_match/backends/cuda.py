"""DNA search on a GPU: drives the kernels of kernels/dna_search.cu over a DnaIndex, through CuPy.

The index's arrays are copied to the device as they are. An index that does not fit is cut into runs of blocks (chunks)
that are copied one after another, each searched by all probes before the next one comes.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcc_match._cpu import DnaIndex, max_differing
from pcc_match.backends import Backend, Hits, Part, Probes
from pcc_match.backends.device import CupyDevice, Device
from pcc_match.candidates import HIT
from pcc_match.dna.rule import DnaRule, MixtureRule, Rule, StringencyRule
from pcc_match.errors import DeviceError

Codes = NDArray[np.uint8]

BLOCK: Final = 512  # slots
LINE: Final = 64  # bytes
SET_BYTES: Final = 32  # a mixture's locus
EMPTY: Final = 0xFFFFFFFF  # kEmptySlot, kNoPosition
ITEM_BLOCKS: Final = 8  # a warp's 32 lanes, four a block
SHARED_THREADS, DIRECT_THREADS, THREADS = 640, 256, 256
DIRECT_PROBES = 64  # fewer probes than this do not pay for copying an item to shared memory
SLICE = 1024  # fewer probes than this do not pay for copying an item once more
TILE = 1 << 16  # most probes that are compiled together
FIRST_ROOM = 1 << 18  # survivors, until more are found
FIRST_READ = 512  # hits that are read together with their count

GROUP = np.dtype(
    [
        ("all", "<u4", 8),
        ("any", "<u4", 8),
        *((name, "<u4") for name in ("lines", "key_position", "all_units", "any_units", "first_unit", "spare")),
    ]
)
ITEM = np.dtype(
    [
        ("first_line", "<i8"),
        *((name, "<u4") for name in ("group", "blocks", "first_slot", "slots", "first_key", "last_key")),
    ]
)
TASK = np.dtype([("survivors", "<u8"), ("hits", "<u8"), ("kind", "<u4"), ("limits", "<u4", 7)])


class _Chunk(NamedTuple):
    first_block: int
    blocks: int

    @property
    def first_slot(self) -> int:
        return self.first_block * BLOCK


@dataclass(frozen=True)
class _Loaded:
    """A chunk on the device. Lines, slots and groups count from the chunk's first."""

    chunk: _Chunk
    lines: Any
    codes: Any
    groups: Any
    bases: Any
    group_count: int
    units: int  # of 16 bytes, of a probe's programs for all groups
    items: tuple[tuple[Any, int, int], ...]  # (buffer, how many, their shared memory; 0: they do not fit there)


class CudaBackend:
    """Searches of one index on one GPU; the hits equal the CPU's. Calls from several threads take turns.

    `memory` bounds the device memory used, in bytes; by default nine tenths of what is free.
    """

    def __init__(
        self,
        parts: list[Part],
        loci: int,
        number: int = 0,
        *,
        device: Device | None = None,
        memory: int | None = None,
    ) -> None:
        self._device: Device = device or CupyDevice(number)
        self.description = self._device.name
        self._index = index = DnaIndex(parts, loci, threads=os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._scratch: dict[str, Any] = {}
        self._loaded: _Loaded | None = None
        self._groups = index.groups
        self._group_of_block = np.repeat(np.arange(len(self._groups)), self._groups["blocks"])
        self._profiles_before = np.append(0, np.cumsum((index.row_of_slot.reshape(-1, BLOCK) != EMPTY).sum(axis=1)))
        # The genotype up to which a block's profiles may go: that of the group's next block.
        self._last_key = np.append(index.first_key[1:], np.uint16(0xFFFF))[: index.blocks]
        self._last_key[self._groups["first_block"] + self._groups["blocks"] - 1] = 0xFFFF
        self._stride = index.codes.shape[1]
        self._own_places = self._places(np.arange(index.loci))
        budget = self._device.free_bytes() * 9 // 10 if memory is None else memory
        budget -= index.allele_line.nbytes + index.base.nbytes + GROUP.itemsize * len(self._groups)
        self._probe_bytes = budget // 8
        self._chunks = self._cut(budget * 5 // 8)
        slots = max((chunk.blocks for chunk in self._chunks), default=0) * BLOCK
        self._most_room = max(slots, budget // 4 // (8 + HIT.itemsize))
        self._room = min(FIRST_ROOM, self._most_room)
        with self._memory_reported():
            self._allele_lines = self._upload(index.allele_line)

    def search(self, probes: Probes, rule: Rule) -> Hits:
        """All pairs of a probe and a live row that the rule accepts; `probe` is the probe's position."""
        if isinstance(rule, MixtureRule):
            codes = np.ascontiguousarray(probes.mixtures[:, self._index.order]).reshape(len(probes), -1).view(np.uint8)
        else:
            codes = self._by_position(probes.codes, self._own_places)
        found = []
        for hits, slots in self._run(codes.__getitem__, len(probes), rule):
            hits["row"] = self._index.row_of_slot[slots]
            found.append(hits)
        return np.concatenate([np.zeros(0, HIT), *found])

    def rematch(
        self,
        against: Backend | None,
        rule: Rule,
        new: NDArray[np.bool_] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Hits:
        """All accepted pairs of live rows, each unordered pair once, no row with itself; `probe` and `row` are rows.

        With `against`, of the same kind: the pairs of a row here (`probe`) and a row there. With `new`, a mask of rows:
        only pairs with a row here that is marked. `progress` is told the share done, 0 to 1.
        """
        if isinstance(rule, MixtureRule):
            raise DeviceError("a mixture rule takes mixtures as probes; it cannot compare references with references")
        there = self if against is None else against
        if not isinstance(there, CudaBackend):
            raise DeviceError("both galleries of a rematch are opened on the same kind of device")
        index, row_of_slot = self._index, self._index.row_of_slot
        is_probe = row_of_slot != EMPTY
        if new is not None:
            is_probe[is_probe] = new[row_of_slot[is_probe]]
        triangle = against is None and new is None
        probe_slots = np.arange(len(row_of_slot)) if triangle else np.flatnonzero(is_probe)

        places = there._places(index.order)

        def codes(tile: slice) -> Codes:
            own = index.codes[probe_slots[tile]]
            return there._by_position(own.reshape(len(own), -1, 2), places)

        found = []
        for hits, slots in there._run(codes, len(probe_slots), rule, triangle=triangle, progress=progress):
            if against is None and new is not None:  # of two marked rows only one is the probe
                own = probe_slots[hits["probe"]]
                once = (slots != own) & ~(is_probe[slots] & (slots > own))
                hits, slots = hits[once], slots[once]
            hits["probe"] = row_of_slot[probe_slots[hits["probe"]]]
            hits["row"] = there._index.row_of_slot[slots]
            found.append(hits)
        return np.concatenate([np.zeros(0, HIT), *found])

    def close(self) -> None:
        """Gives the device's memory back."""
        self._loaded = self._allele_lines = None
        self._scratch.clear()

    # ---- The index on the device

    def _cut(self, limit: int) -> list[_Chunk]:
        """Runs of blocks of at most `limit` bytes, with room for a probe that matches all their profiles."""
        lines = self._groups["lines"].astype(np.int64)[self._group_of_block]
        end = np.cumsum(lines * LINE + BLOCK * (self._stride + 8 + HIT.itemsize) + ITEM.itemsize)
        chunks = []
        first, done = 0, 0
        while first < len(end):
            last = int(np.searchsorted(end, done + limit, side="right"))
            if last == first:
                raise DeviceError(
                    f"{self._device.name}: its memory for the index, {limit} bytes, is too small for one block of "
                    f"{BLOCK} profiles; give it more, or use device 'cpu'"
                )
            chunks.append(_Chunk(first, last - first))
            first, done = last, int(end[last - 1])
        return chunks

    def _load(self, chunk: _Chunk) -> _Loaded:
        if self._loaded is None or self._loaded.chunk != chunk:
            self._loaded = None  # frees its memory first
            self._loaded = self._copy(chunk)
        return self._loaded

    def _copy(self, chunk: _Chunk) -> _Loaded:
        index, last = self._index, chunk.first_block + chunk.blocks
        first_group, last_group = (int(self._group_of_block[b]) for b in (chunk.first_block, last - 1))
        groups = self._groups[first_group : last_group + 1]
        start = np.maximum(groups["first_block"].astype(np.int64), chunk.first_block)
        stop = np.minimum(groups["first_block"].astype(np.int64) + groups["blocks"], last)
        lines = groups["lines"].astype(np.int64)
        first_line = groups["first_line"].astype(np.int64) + (start - groups["first_block"]) * lines
        end_line = int(first_line[-1] + (stop[-1] - start[-1]) * lines[-1])
        table = _group_table(groups)
        fitting = self._device.shared_bytes // LINE // (lines + 1)
        items = self._items(start, stop, np.where(fitting, np.minimum(fitting, ITEM_BLOCKS), ITEM_BLOCKS))
        items["first_line"] += first_line[items["group"]] - first_line[0]
        items["first_slot"] -= chunk.first_slot
        # Those that take longest first: of groups whose profiles have different loci.
        items = items[np.argsort(table["any_units"][items["group"]] == 0, kind="stable")]
        shared = (lines[items["group"]] + 1) * items["blocks"] * LINE
        fits = shared <= self._device.shared_bytes
        parts = [(items[fits], int(shared[fits].max(initial=0))), (items[~fits], 0)]
        return _Loaded(
            chunk,
            self._upload(index.lines[first_line[0] : end_line]),
            self._upload(index.codes[chunk.first_slot : last * BLOCK]),
            self._upload(table.view(np.uint8)),
            self._upload(index.base[first_group : last_group + 1]),
            len(groups),
            int(table["all_units"].sum() + table["any_units"].sum()),
            tuple((self._upload(part.view(np.uint8)), len(part), size) for part, size in parts if len(part)),
        )

    def _items(self, start: NDArray[np.int64], stop: NDArray[np.int64], most: NDArray[np.int64]) -> NDArray[np.void]:
        """The blocks [start, stop) of each group in items of nearly equal size, of `most` blocks or fewer.

        Lines count from the group's first, slots from the index's.
        """
        blocks, parts = stop - start, -((start - stop) // most)
        group = np.repeat(np.arange(len(start)), parts)
        number = np.arange(len(group)) - np.repeat(np.cumsum(parts) - parts, parts)
        first = start[group] + blocks[group] * number // parts[group]
        end = start[group] + blocks[group] * (number + 1) // parts[group]
        items = np.zeros(len(group), ITEM)
        items["group"] = group
        items["blocks"] = end - first
        items["first_line"] = (first - start[group]) * self._groups["lines"][self._group_of_block[first]]
        items["first_slot"] = first * BLOCK
        items["slots"] = self._profiles_before[end] - self._profiles_before[first]
        items["first_key"] = self._index.first_key[first]
        items["last_key"] = self._last_key[end - 1]
        return items

    def _places(self, loci: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(positions, columns): of codes whose columns are these loci, the columns that go to these positions."""
        column = np.full(self._index.loci, -1)
        column[loci] = np.arange(len(loci))
        columns = column[self._index.order]
        return np.flatnonzero(columns >= 0), columns[columns >= 0]

    def _by_position(self, codes: Codes, places: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Codes:
        """Codes (n, columns, 2) as the index has its own, uint8 (n, stride)."""
        positions, columns = places
        moved = np.zeros((len(codes), self._stride // 2, 2), np.uint8)
        moved[:, positions] = codes[:, columns]
        return moved.reshape(len(codes), self._stride)

    # ---- A tile of probes

    def _run(
        self,
        probes: Callable[[slice], Codes],
        count: int,
        rule: Rule,
        *,
        triangle: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[tuple[Hits, NDArray[np.intp]]]:
        """Matches of `count` probes (bytes as a kernel wants them) as (hits, slots of their references).

        triangle: the probes are the index's own slots, and only slots before the probe's are asked for.
        """
        for number, chunk in enumerate(self._chunks):
            wanted = [slice(chunk.first_slot if triangle else 0, count)]
            while wanted:
                part = wanted.pop()
                if part.start >= part.stop:
                    continue
                tile, found = self._first_tile(chunk, probes, part, rule, triangle)
                wanted.append(slice(tile.stop, part.stop))
                if isinstance(found, int):
                    wanted += self._make_room(found, tile)
                    continue
                if progress:
                    progress((number + (tile.stop / count) ** (1 + triangle)) / len(self._chunks))
                if len(found):
                    slots = chunk.first_slot + found["row"].astype(np.intp)
                    found["probe"] += np.uint32(tile.start)
                    yield found, slots

    def _first_tile(
        self, chunk: _Chunk, probes: Callable[[slice], Codes], part: slice, rule: Rule, triangle: bool
    ) -> tuple[slice, Hits | int]:
        """Runs as many of the probes as fit, the first ones: which, and what _tile says of them."""
        probe_bytes = SET_BYTES * len(self._index.order) if isinstance(rule, MixtureRule) else self._stride
        with self._lock, self._memory_reported():
            loaded = self._load(chunk)
            size = max(1, min(TILE, self._probe_bytes // (16 * loaded.units + probe_bytes)))
            tile = slice(part.start, min(part.start + size, part.stop))
            return tile, self._tile(loaded, self._probes(loaded, probes, tile, triangle), tile, rule, triangle)

    def _probes(self, loaded: _Loaded, probes: Callable[[slice], Codes], tile: slice, triangle: bool) -> Any:
        chunk = loaded.chunk
        if triangle and tile.stop <= chunk.first_slot + chunk.blocks * BLOCK:
            return loaded.codes[
                (tile.start - chunk.first_slot) * self._stride : (tile.stop - chunk.first_slot) * self._stride
            ]
        codes = probes(tile)
        buffer = self._buffer("probes", codes.size, np.uint8)
        self._device.write(buffer, codes)
        return buffer[: codes.size]

    def _make_room(self, needed: int, tile: slice) -> list[slice]:
        """What to run instead of a tile that found more than there was room for: itself with more room, or halves."""
        if needed <= self._most_room:
            self._room = needed
            return [tile]
        middle = (tile.start + tile.stop) // 2
        return [slice(middle, tile.stop), slice(tile.start, middle)]

    def _tile(self, loaded: _Loaded, codes: Any, tile: slice, rule: Rule, triangle: bool) -> Hits | int:
        """Hits with probe and row as the kernels count them, or how much room they and the survivors need."""
        device, room, count = self._device, self._room, tile.stop - tile.start
        task = np.zeros(1, TASK)
        task["kind"] = (DnaRule, StringencyRule, MixtureRule).index(type(rule))
        task["limits"][0, : len(rule.packed())] = rule.packed()
        answer = self._buffer("answer", TASK.itemsize + room * HIT.itemsize, np.uint8)
        device.write(answer, task.view(np.uint8))
        own_slot = np.uint32(tile.start - loaded.chunk.first_slot if triangle else EMPTY)
        stride, positions = np.uint32(self._stride), np.uint32(len(self._index.order))
        limits = filter_limits(rule)
        if limits is None:
            slots = loaded.chunk.blocks * BLOCK
            width = np.uint32(len(codes) // count)
            pairs = (codes, np.uint32(count), width, own_slot, loaded.codes, np.uint32(slots), stride, positions)
            grid = slots // THREADS, min(count, 1024)
            device.launch("dna_exhaustive", grid, THREADS, 0, (*pairs, answer, np.uint64(room)))
        else:
            self._filter(loaded, codes, count, own_slot, limits, answer)
            survivors = self._buffer("survivors", room, np.uint64)
            left = (survivors, np.uint64(room), codes, loaded.codes, stride, positions)
            grid = 8 * device.multiprocessors, 1
            device.launch("dna_verify", grid, THREADS, 0, (*left, answer, np.uint64(room)))
        first = device.read(answer, TASK.itemsize + min(room, FIRST_READ) * HIT.itemsize)
        done = first[: TASK.itemsize].view(TASK)[0]
        needed = int(max(done["survivors"], done["hits"]))
        if needed > room:
            return needed
        found = int(done["hits"])
        if found > FIRST_READ:
            first = device.read(answer, TASK.itemsize + found * HIT.itemsize)
        return first[TASK.itemsize :].view(HIT)[:found].copy()

    def _filter(
        self, loaded: _Loaded, codes: Any, count: int, own_slot: np.uint32, limits: tuple[int, int], answer: Any
    ) -> None:
        device, room = self._device, self._room
        min_identical, allowed = limits
        misses = 1 if allowed <= 1 else 3
        programs = self._buffer("programs", 4 * loaded.units * count, np.uint32)
        survivors = self._buffer("survivors", room, np.uint64)
        stride, positions, probes = (np.uint32(n) for n in (self._stride, len(self._index.order), count))
        compile_arguments = (codes, probes, stride, positions, loaded.groups, loaded.bases, self._allele_lines)
        numbers = (np.uint32(min_identical), np.uint32(allowed), np.uint32(misses))
        grid = loaded.group_count, -(-count // THREADS)
        device.launch("dna_compile", grid, THREADS, 0, (*compile_arguments, *numbers, programs))
        for items, item_count, shared in loaded.items:
            given = (loaded.lines, items, loaded.groups, codes, stride, programs, probes, own_slot)
            arguments = (*given, np.uint32(misses), answer, survivors, np.uint64(room))
            if shared and count >= DIRECT_PROBES:
                slices = min(-(-8 * device.multiprocessors // item_count), -(-count // SLICE))
                device.launch("dna_filter_shared", (item_count, slices), SHARED_THREADS, shared, arguments)
            else:
                slices = min(-(-8 * device.multiprocessors // item_count), -(-count // (DIRECT_THREADS // 32)))
                threads = min(DIRECT_THREADS, 32 * count)
                device.launch("dna_filter_direct", (item_count, slices), threads, 0, arguments)

    # ---- Memory

    def _upload(self, array: NDArray[Any]) -> Any:
        buffer = self._device.empty(array.size, array.dtype)
        self._device.write(buffer, array)
        return buffer

    def _buffer(self, name: str, count: int, dtype: Any) -> Any:
        """Scratch memory that is kept for the next call."""
        if name not in self._scratch or len(self._scratch[name]) < count:
            self._scratch.pop(name, None)
            self._scratch[name] = self._device.empty(count, dtype)
        return self._scratch[name]

    @contextmanager
    def _memory_reported(self) -> Iterator[None]:
        try:
            yield
        except MemoryError as e:
            raise DeviceError(
                f"{self._device.name}: out of device memory ({e}); give it a smaller bound (memory=)"
            ) from e


def filter_limits(rule: Rule) -> tuple[int, int] | None:
    """(identical, different): each match has at least and at most so many loci that are designated on both sides.

    None where no filter follows from the rule: every pair is compared.
    """
    most = max_differing(rule.packed())
    if most is not None and isinstance(rule, DnaRule):
        return rule.min_full_loci, most
    if most is not None and isinstance(rule, StringencyRule) and rule.level == "high":
        return rule.min_loci, most
    return None


def _group_table(groups: NDArray[np.void]) -> NDArray[np.void]:
    table = np.zeros(len(groups), GROUP)
    for name in ("all", "any"):
        table[name] = np.ascontiguousarray(groups[name]).view(np.uint32)
    for name in ("lines", "key_position"):
        table[name] = groups[name]
    in_all, in_any = (np.unpackbits(table[name].view(np.uint8), axis=1).sum(axis=1) for name in ("all", "any"))
    table["all_units"] = (in_all + 3 + 3) // 4  # up to three words are no loci
    table["any_units"] = (in_any - in_all + 1) // 2
    units = table["all_units"] + table["any_units"]
    table["first_unit"] = np.cumsum(units) - units
    return table
