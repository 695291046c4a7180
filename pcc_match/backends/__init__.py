"""Where comparisons run: reference (the readable rule), cpu (the C++ extension), cuda (CuPy). All give equal hits."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.loci import LOCI
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import Rule
from pcc_match.errors import DeviceError

COMPARED = tuple(locus.name for locus in LOCI if locus.compared)
"""The loci that back ends number: the whole catalogue but for sex markers. One that no profile has costs nothing."""

Part: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8] | None]
"""Rows of a gallery as `DnaGallery.parts(COMPARED)` gives them."""

Hits: TypeAlias = NDArray[np.void]
"""Accepted pairs in any order, dtype `candidates.HIT`."""


class Probes:
    """A batch of probes, in the forms that back ends ask for."""

    def __init__(self, profiles: ProfileColumns | Sequence[DnaProfile]) -> None:
        self._profiles = profiles

    def __len__(self) -> int:
        return len(self._profiles)

    def profile(self, k: int) -> DnaProfile:
        return self._profiles.profile(k) if isinstance(self._profiles, ProfileColumns) else self._profiles[k]

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """Allele codes, uint8 (n, len(COMPARED), 2), low first."""
        codes = np.zeros((len(self), len(COMPARED), 2), np.uint8)
        if isinstance(self._profiles, ProfileColumns):
            for column, name in enumerate(self._profiles.loci):
                if name in _PLACE:
                    codes[:, _PLACE[name]] = self._profiles.codes[:, column]
        else:
            for k, profile in enumerate(self._profiles):
                for name, (low, high) in profile.pairs.items():
                    if name in _PLACE:
                        codes[k, _PLACE[name]] = low.code, high.code
        return codes

    @cached_property
    def mixtures(self) -> NDArray[np.uint64]:
        """Sets of allele codes, uint64 (n, len(COMPARED), 4): bit c of a locus's 256 says that code c shows."""
        return np.array([self.profile(k).allele_sets(COMPARED) for k in range(len(self))], np.uint64).reshape(
            -1, len(COMPARED), 4
        )


class Backend(Protocol):
    """What every back end does, wholly."""

    description: str

    def search(self, probes: Probes, rule: Rule) -> Hits:
        """All pairs of a probe and a live row that the rule accepts; `probe` is the probe's position."""

    def rematch(
        self,
        against: "Backend | None",
        rule: Rule,
        new: NDArray[np.bool_] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Hits:
        """All accepted pairs of live rows, each unordered pair once, no row with itself; `probe` and `row` are rows.

        With `against`, of the same kind: the pairs of a row here (`probe`) and a row there. With `new`, a mask of rows:
        only pairs with a row here that is marked. `progress` is told the share done, 0 to 1.
        """

    def close(self) -> None:
        """Gives memory and threads back."""


def open_backend(device: str, parts: list[Part], profile: Callable[[int], DnaProfile], threads: int | None) -> Backend:
    """The back end for a device name (see Matcher); DeviceError where there is no such device."""
    kind, _, number = device.partition(":")
    if kind == "reference":
        from pcc_match.backends.reference import ReferenceBackend

        return ReferenceBackend(parts, profile)
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdecimal())):
        raise DeviceError(f"no device is called {device!r}: take auto, cpu, cuda, cuda:N or reference")
    why = ""
    if kind != "cpu":
        from pcc_match.backends import cuda

        try:
            return cuda.CudaBackend(parts, len(COMPARED), int(number or 0))
        except DeviceError as error:
            if kind == "cuda":
                raise
            why = f" (no GPU: {error})"
    from pcc_match.backends.cpu import CpuBackend

    return CpuBackend(parts, len(COMPARED), threads, why)


_PLACE = {name: place for place, name in enumerate(COMPARED)}
