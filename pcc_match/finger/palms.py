"""Palms: many more minutiae than a comparison takes at once, so a palm is compared piece by piece.

A piece is the neighbourhood of a minutia. Pieces overlap so much that what a latent shows lies almost whole in one of
them; of all pairs of pieces the best score counts. So a palm needs nothing that a finger does not: the same comparison,
the same packed columns. A larger template would cost the square of its size in every comparison, and let the many
minutiae outside a latent's area compete with those inside it.
"""

from typing import Final

import numpy as np

from pcc_match.finger.columns import MOST
from pcc_match.finger.template import FingerTemplate, MinutiaSet

PALMS: Final = range(20, 39)
"""Positions of palms in ANSI/NIST-ITL."""

_CORE: Final = MOST // 4  # of a piece's minutiae, those nearest to its centre need no other piece


PLACE: Final = np.zeros(256, np.uint8)
"""For each position the finger or hand that a print of it shows: 0 a finger that is not known, 20 a palm that is not.

Plain impressions of the thumbs are of the same fingers as the rolled ones. Prints of the same palm may show parts of it
that overlap, so that the hand alone tells palms apart. A print of several fingers may be of any.
"""
PLACE[1:11] = range(1, 11)
PLACE[[11, 12]] = 1, 6
PLACE[[16, 17]] = 16, 17  # extra digits
PLACE[20:39] = 20
PLACE[[21, 22, 25, 26, 29, 31, 32, 33, 37]] = 21  # right palm
PLACE[[23, 24, 27, 28, 30, 34, 35, 36, 38]] = 23  # left palm


def places_of(position: int, *, palms: bool) -> list[range]:
    """The PLACEs of prints that may show what a print of this position shows."""
    place, unknown, all_of_them = (int(PLACE[position]), *((20, range(20, 39)) if palms else (0, range(20))))
    return [all_of_them] if place == unknown else [range(unknown, unknown + 1), range(place, place + 1)]


def is_palm(position: int) -> bool:
    return position in PALMS


def comparable(template: FingerTemplate) -> tuple[FingerTemplate, ...]:
    """What the comparison takes a print as: a finger as it is, a palm in pieces."""
    if not is_palm(template.position) or all(len(minutiae) <= MOST for minutiae in template.sets):
        return (template,)
    return tuple(
        FingerTemplate((piece,), template.position, template.width, template.height, template.source)
        for minutiae in template.sets
        for piece in _pieces(minutiae)
    )


def _pieces(minutiae: MinutiaSet) -> list[MinutiaSet]:
    """Neighbourhoods of minutiae, the first that is in no core so far and so on: each minutia lies in a core."""
    x, y = minutiae.x.astype(np.int64), minutiae.y.astype(np.int64)
    left = np.ones(len(minutiae), bool)
    pieces = []
    while left.any():
        centre = int(np.argmax(left))
        near = np.argsort((x - x[centre]) ** 2 + (y - y[centre]) ** 2, kind="stable")[:MOST]
        left[near[:_CORE]] = False
        rows = np.sort(near)
        columns = minutiae.angle[rows], minutiae.type[rows], minutiae.quality[rows]
        pieces.append(MinutiaSet(minutiae.x[rows], minutiae.y[rows], *columns))
    return pieces
