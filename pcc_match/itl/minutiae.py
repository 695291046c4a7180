"""One model of minutiae for all records and templates: pixels at 500 ppi, one sense of angle, one scale of quality.

Position: pixels at 500 pixels per inch from the top left corner of the original image, x to the right, y down. Angle:
degrees 0 to below 360, counter-clockwise from the x axis, in the sense of INCITS 378 (a ridge ending points back along
its ridge; ANSI/NIST 9.012 means the opposite direction). Quality: 1 (worst) to 100, 0 where it is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from pcc_match.itl.problems import Problem

if TYPE_CHECKING:
    from pcc_match.itl.records import Record

PPI = 500.0
# Kinds by their code in the columns; 0 to 2 are the codes of INCITS 378 and ISO/IEC 19794-2 too.
KINDS = ("other", "ridge_ending", "bifurcation", "compound")
OTHER, RIDGE_ENDING, BIFURCATION, COMPOUND = range(4)

COLUMNS = np.dtype([("x", "f8"), ("y", "f8"), ("angle", "f8"), ("type", "u1"), ("quality", "u1")])
Columns = NDArray[np.void]


class Minutia(NamedTuple):
    """One minutia; see the module for units.

    type       "ridge_ending", "bifurcation", "compound" (ANSI/NIST 9.012 only) or "other"
    original   what the record or template held: the items of the subfield, or the numbers of the template
    """

    x: float
    y: float
    angle: float
    type: str
    quality: int
    original: tuple[str | int, ...] = ()


class Core(NamedTuple):
    """A core; position as a minutia's, angle in degrees or None where it is not given."""

    x: float
    y: float
    angle: float | None = None


class Delta(NamedTuple):
    """A delta; position as a minutia's, the angles (degrees) that are given, at most three."""

    x: float
    y: float
    angles: tuple[float, ...] = ()


class RidgeCount(NamedTuple):
    """Ridges between two minutiae, by their numbers in the record (from 1; 255 or 0: there is none), as written."""

    centre: int
    neighbour: int
    ridges: int


@dataclass(frozen=True)
class Frame:
    """The image that positions refer to: pixels (None if unknown) and scale, of unit 1 per inch or 2 per centimetre."""

    width: int | None = None
    height: int | None = None
    unit: int = 1
    across: int = 500
    down: int = 500

    @property
    def ppi(self) -> tuple[float, float]:
        factor = 2.54 if self.unit == 2 else 1.0
        return self.across * factor, self.down * factor

    @property
    def scale(self) -> tuple[float, float]:
        """Factors from this image's pixels to pixels at 500 ppi."""
        across, down = self.ppi
        return PPI / across, PPI / down


@dataclass(frozen=True)
class Extras:
    """What a record tells besides minutiae."""

    cores: tuple[Core, ...] = ()
    deltas: tuple[Delta, ...] = ()
    ridge_counts: tuple[RidgeCount, ...] = ()
    ridge_count_method: int = 0  # 0 not said, 1 quadrants, 2 octants


class Minutiae(Sequence[Minutia]):
    """The minutiae of one view of a finger or palm.

    columns     numpy structured array x, y, angle, type (index into KINDS), quality; read-only
    block       "std", "m1", "iafis", "efs", or the template format; "" for a record without minutiae
    frame       the image that they refer to, in its own pixels
    positions   finger or palm codes, several where it is uncertain which
    impression  code of x.003, None where it is not given
    quality     of the whole print, 0-100, None where it is not reported
    problems    what could not be read and was left out
    """

    def __init__(
        self,
        columns: Columns,
        block: str = "",
        frame: Frame | None = None,
        *,
        positions: tuple[int, ...] = (),
        impression: int | None = None,
        quality: int | None = None,
        originals: Callable[[], Sequence[tuple[str | int, ...]]] | None = None,
        extras: Callable[[], Extras] | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self.columns = columns
        columns.flags.writeable = False
        self.block = block
        self.frame = frame or Frame()
        self.positions = positions
        self.impression = impression
        self.quality = quality
        self.problems = problems
        self._load_originals = originals
        self._load_extras = extras

    @classmethod
    def of(cls, minutiae: Sequence[Minutia], frame: Frame | None = None, *, extras: Extras | None = None) -> Minutiae:
        """Minutiae from single ones, in pixels at 500 ppi."""
        rows = [(m.x, m.y, m.angle % 360, KINDS.index(m.type), m.quality) for m in minutiae]
        given = extras or Extras()
        return cls(np.array(rows, COLUMNS), frame=frame, extras=lambda: given)

    @property
    def x(self) -> NDArray[np.float64]:
        return self.columns["x"]

    @property
    def y(self) -> NDArray[np.float64]:
        return self.columns["y"]

    @property
    def angle(self) -> NDArray[np.float64]:
        return self.columns["angle"]

    @property
    def type(self) -> NDArray[np.uint8]:
        return self.columns["type"]

    @cached_property
    def originals(self) -> Sequence[tuple[str | int, ...]]:
        """What each minutia was made of, by position; empty for minutiae that were not read."""
        return self._load_originals() if self._load_originals is not None else ()

    @cached_property
    def extras(self) -> Extras:
        """Cores, deltas and ridge counts, read when first asked for."""
        return self._load_extras() if self._load_extras is not None else Extras()

    @property
    def cores(self) -> tuple[Core, ...]:
        return self.extras.cores

    @property
    def deltas(self) -> tuple[Delta, ...]:
        return self.extras.deltas

    @property
    def ridge_counts(self) -> tuple[RidgeCount, ...]:
        return self.extras.ridge_counts

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> Minutia: ...
    @overload
    def __getitem__(self, index: slice) -> list[Minutia]: ...
    def __getitem__(self, index: int | slice) -> Minutia | list[Minutia]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        x, y, angle, kind, quality = self.columns[index].item()
        original = self.originals[index] if self.originals else ()
        return Minutia(x, y, angle, KINDS[kind], quality, tuple(original))

    def __iter__(self) -> Iterator[Minutia]:
        originals = self.originals or ((),) * len(self)
        for (x, y, angle, kind, quality), original in zip(self.columns.tolist(), originals, strict=True):
            yield Minutia(x, y, angle, KINDS[kind], quality, tuple(original))

    def __repr__(self) -> str:
        block = f" of block {self.block}" if self.block else ""
        return f"<{len(self)} Minutiae{block}>"


def read_minutiae(record: Record, block: str | None = None) -> Minutiae:
    """See Record.minutiae."""
    from pcc_match.itl import type9

    return type9.read_block(record, block)


def minutiae_problems(record: Record) -> list[Problem]:
    """What cannot be read in any of the minutiae blocks of a Type-9 record, and counts that do not hold."""
    from pcc_match.itl import type9

    return type9.block_problems(record)


def empty_columns() -> Columns:
    return np.empty(0, COLUMNS)
