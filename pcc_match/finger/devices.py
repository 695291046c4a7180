"""Where fingerprints are compared: on the CPU (csrc/), on a GPU (CUDA), or by the readable definition."""

from __future__ import annotations

from functools import cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.errors import DeviceError
from pcc_match.finger import reference
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.tally import HostTally, Tally

LATENTS: Final = ("", "a", "b")
"""Which of the two is a latent: its normalisation then asks for no more than the latent shows."""


def mode_of(latent: str, *, early_exit: bool = False, likeness: bool = False) -> int:
    """How to compare, as the engines take it: the bits of reference.py. `latent` is one of LATENTS."""
    return LATENTS.index(latent) | early_exit * reference.EARLY_EXIT | likeness * reference.LIKENESS


class Scorer(Protocol):
    """What compares fingers. Any number of threads may call it."""

    description: str
    block: int
    """References that one call should be given."""

    def scores(
        self,
        probes: FingerColumns,
        references: FingerColumns,
        mode: int,
        rows: range | None = None,
        wanted: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int32]:
        """int32 (len(probes), len(rows)); `mode`: see mode_of; `rows`: of references, or all.

        Rows that are not `wanted`, bool (len(rows),), are not compared and have 0.
        """

    def tally(self, subjects: int) -> Tally:
        """For a search among the prints of so many subjects."""


class CpuScorer:
    """The compiled comparison on the calling thread; nothing of the columns is copied."""

    block: int = 1 << 11

    def __init__(self, why: str = "") -> None:
        self.description = f"cpu {_cpu.isa()}{why}"

    def scores(
        self,
        probes: FingerColumns,
        references: FingerColumns,
        mode: int,
        rows: range | None = None,
        wanted: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int32]:
        sets = references.sets if rows is None else references.sets[rows.start : rows.stop + 1]
        return probes.engine.scores(probes.sets, 0, len(probes), references.engine, sets, mode, wanted=wanted)

    def tally(self, subjects: int) -> Tally:
        return HostTally(self, subjects)


class ReferenceScorer:
    """The readable definition, pair by pair: slow."""

    description = "reference"
    block: int = 1 << 11

    def scores(
        self,
        probes: FingerColumns,
        references: FingerColumns,
        mode: int,
        rows: range | None = None,
        wanted: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int32]:
        rows = range(len(references)) if rows is None else rows
        unwanted = np.zeros(len(rows), bool) if wanted is None else ~wanted
        against = [[] if unwanted[k] else _views(references, row) for k, row in enumerate(rows)]
        asked = [_views(probes, row) for row in range(len(probes))]
        scores = [[sum(reference.score(a, b, mode) for a in p for b in r) for r in against] for p in asked]
        return np.array(scores, np.int32).reshape(len(probes), len(against))

    def tally(self, subjects: int) -> Tally:
        return HostTally(self, subjects)


def open_scorer(device: str, *, keep: bool = False) -> Scorer:
    """The scorer for a device name: "auto", "cpu", "cuda", "cuda:1" ..., "reference"; DeviceError where there is none.

    "auto" takes a GPU where one is usable, and else says why not. `keep`: references stay in a GPU's memory.
    """
    kind, _, number = device.partition(":")
    if kind == "reference":
        return ReferenceScorer()
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdecimal())):
        raise DeviceError(f"no device is called {device!r}: take auto, cpu, cuda, cuda:N or reference")
    why = ""
    if kind != "cpu":
        from pcc_match.finger.cuda import FingerCuda

        try:
            return FingerCuda(int(number or 0), keep=True) if keep else _shared(int(number or 0))
        except DeviceError as error:
            if kind == "cuda":
                raise
            why = f" (no GPU: {error})"
    return CpuScorer(why)


def described(scorer: Scorer, threads: int) -> str:
    """Where it runs, in words; `threads` are those of the CPU."""
    many = f", {threads} thread{'s' * (threads > 1)}" if isinstance(scorer, CpuScorer) else ""
    return scorer.description + many


@cache
def _shared(ordinal: int) -> Scorer:
    """One for all matrices: its kernels are compiled once a process."""
    from pcc_match.finger.cuda import FingerCuda

    return FingerCuda(ordinal)


def _views(columns: FingerColumns, row: int) -> list[reference.MinutiaView]:
    first, last = columns.sets[row : row + 2].tolist()
    return [reference.MinutiaView.of(columns, s) for s in range(first, last)]
