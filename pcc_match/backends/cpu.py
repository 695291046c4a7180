"""The CPU back end: searches of one DnaIndex (csrc/), cut into pieces for a pool of threads that hold no GIL."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import cache, partial
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.backends import Backend, Hits, Part, Probes
from pcc_match.candidates import HIT
from pcc_match.dna.rule import MixtureRule, Rule
from pcc_match.errors import DeviceError

TILE: Final = 1024  # probes that the engine runs together: smaller pieces of a batch are slower
FEW_PROBES: Final = 16  # a thread; with fewer, threads share the blocks, not the probes
FEW_BLOCKS: Final = 4096  # not worth a second thread


class CpuBackend:
    """Searches of one index on CPU threads (default: all cores). Any number of threads may call it."""

    def __init__(self, parts: list[Part], loci: int, threads: int | None = None, why: str = "") -> None:
        if not answers_rightly(_cpu.isa()):
            raise DeviceError(
                f"the instruction set {_cpu.isa()} gives wrong answers on this machine: please report the output of "
                "`pcc-match doctor`, and set PCC_MATCH_ISA to another one"
            )
        self._threads = threads or os.cpu_count() or 1
        self.description = f"cpu {_cpu.isa()}, {self._threads} thread{'s' * (self._threads > 1)}{why}"
        self.index = _cpu.DnaIndex(parts, loci, threads=self._threads)
        self._pool = ThreadPoolExecutor(self._threads, "pcc_match")

    def search(self, probes: Probes, rule: Rule) -> Hits:
        """All pairs of a probe and a live row that the rule accepts; `probe` is the probe's position."""
        wanted, packed = probes.mixtures if isinstance(rule, MixtureRule) else probes.codes, rule.packed()
        count, blocks = len(wanted), self.index.blocks
        if self._threads == 1 or (count < FEW_PROBES * self._threads and blocks < FEW_BLOCKS * self._threads):
            return self.index.search(wanted, packed)
        if count < FEW_PROBES * self._threads:
            return self._gather(
                partial(self.index.search, wanted, packed, *blocks_of) for blocks_of in _pieces(blocks, self._threads)
            )

        def search(start: int, end: int) -> Hits:
            hits = self.index.search(wanted[start:end], packed)
            hits["probe"] += np.uint32(start)
            return hits

        pieces = -(-count // (TILE * self._threads)) * self._threads
        return self._gather(partial(search, *probes_of) for probes_of in _pieces(count, pieces))

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
        if against is not None and not isinstance(against, CpuBackend):
            raise DeviceError("both galleries of a rematch are opened on the same kind of device")
        there = None if against is None else against.index
        marks = None if new is None else np.ascontiguousarray(new).view(np.uint8)
        plan = _cpu.DnaRematch(self.index, there, rule.packed(), marks)
        longest_first = np.argsort(-plan.costs, kind="stable").tolist()
        return self._gather((partial(plan.run, task) for task in longest_first), plan.costs[longest_first], progress)

    def close(self) -> None:
        """Gives memory and threads back."""
        self._pool.shutdown(cancel_futures=True)
        del self.index

    def _gather(
        self,
        tasks: Iterable[Callable[[], Hits]],
        costs: NDArray[np.float64] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Hits:
        """The hits of all tasks, run on the pool."""
        futures = {self._pool.submit(task): k for k, task in enumerate(tasks)}
        done = np.zeros(len(futures), bool)
        found, waiting = [np.zeros(0, HIT)], set(futures)
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    found.append(future.result())
                    done[futures[future]] = True
                if progress is not None and costs is not None:
                    progress(float(costs[done].sum() / costs.sum()))
        finally:
            for future in waiting:
                future.cancel()
        return np.concatenate(found)


@cache
def answers_rightly(isa: str) -> bool:
    """Whether the instruction set in use, `isa`, gives known answers: search and rematch of a small gallery find what
    the compiled rule accepts, pair by pair and without that instruction set. Some milliseconds, once a process.
    """
    rows, loci, rule = 700, 16, (6, 1, 1, 1, 1, 1, 0b11110)
    draw = np.random.default_rng(616)
    codes = np.sort(draw.integers(1, 60, (rows, loci, 2), np.uint8), axis=2)
    codes[300:] = codes[draw.integers(0, 300, 400)]  # typed again,
    again = np.arange(300, rows)
    codes[again, draw.integers(0, loci, 400), 1] = 60  # with one allele changed,
    codes[again[::4], draw.integers(0, loci, 100)] = 0  # or another locus lost, too
    codes[600:, 9:] = 0  # short stains
    some = np.arange(0, rows, 12)
    found = _cpu.compare_dna(np.repeat(codes[some], rows, axis=0), np.tile(codes, (len(some), 1, 1)), rule)
    probe, row = np.divmod(np.flatnonzero(found[:, 4]), rows)
    wanted = set(zip(some[probe].tolist(), row.tolist(), strict=True))
    index = _cpu.DnaIndex([(codes, np.arange(loci, dtype=np.int32), None)], loci)
    hits = index.search(codes[some], rule)
    searched = list(zip(some[hits["probe"]].tolist(), hits["row"].tolist(), strict=True))
    plan = _cpu.DnaRematch(index, None, rule, np.isin(np.arange(rows), some).view(np.uint8))
    pairs = [pair for task in range(len(plan.costs)) for pair in plan.run(task)[["probe", "row"]].tolist()]
    return sorted(searched) == sorted(wanted) and sorted(pairs) == sorted(
        {(min(p), max(p)) for p in wanted if p[0] != p[1]}
    )


def _pieces(count: int, pieces: int) -> Iterable[tuple[int, int]]:
    """`count` things cut into even runs."""
    return pairwise(count * k // pieces for k in range(pieces + 1))
