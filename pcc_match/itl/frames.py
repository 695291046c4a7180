"""The image that the positions of a Type-9 record refer to: as its M1 block says, or the image of the same IDC."""

from __future__ import annotations

import re

from pcc_match.itl.minutiae import PPI, Frame
from pcc_match.itl.raster import image_header
from pcc_match.itl.records import Record

# Pixels at 500 ppi in 0.01 mm, the unit of all blocks but M1.
UNIT = PPI / 2540
_NUMBER = re.compile(rb"\d{1,9}")


def m1_frame(record: Record) -> Frame:
    """Fields 9.128 to 9.132; 500 ppi where they give no resolution."""
    unit = integer(record, 130)
    across, down = integer(record, 131), integer(record, 132)
    width, height = integer(record, 128) or None, integer(record, 129) or None
    if unit in (1, 2) and across and down:
        return Frame(width, height, unit, across, down)
    return Frame(width, height)


def image_frame(record: Record) -> Frame:
    """The friction ridge image of the same IDC in the transaction; an unknown frame where there is none."""
    transaction = record._transaction
    for other in () if transaction is None else transaction.images_of(record.idc):
        header = image_header(other)
        if header is None or header.width is None or header.height is None:
            continue
        if other.type in (13, 14, 15) and header.ppi is not None:
            unit, across, down = (integer(other, number) or 0 for number in (8, 9, 10))
            return Frame(header.width, header.height, unit, across, down)
        ppi = header.ppi or (PPI, PPI)
        return Frame(header.width, header.height, 1, round(ppi[0]), round(ppi[1]))
    return Frame()


def image_rows(frame: Frame, greatest: int) -> int:
    """Height of the image in 0.01 mm, to turn positions from the bottom left; without an image from the highest one."""
    if frame.height is None:
        return greatest + 1
    return round(frame.height / frame.ppi[1] * 2540)


def efs_frame(record: Record) -> Frame:
    """The image of the same IDC, else the region of interest 9.300 and what lies above and left of it."""
    frame = image_frame(record)
    size = [int(item) for item in record.text(300).items[:2] if re.fullmatch(r"[0-9]{1,5}", item)]
    if frame.height is not None or len(size) != 2:
        return frame
    right, down = region(record)
    return Frame(round((size[0] + right) * UNIT), round((size[1] + down) * UNIT))


def region(record: Record) -> tuple[int, int]:
    """Offset of the EFS region of interest (9.300) from the image's top left corner, 0.01 mm."""
    items = (*record.text(300).items, "", "", "", "")
    offsets = [int(item) if re.fullmatch(r"[0-9]{1,5}", item) else 0 for item in items[2:4]]
    return offsets[0], offsets[1]


def integer(record: Record, number: int) -> int | None:
    """A field of a tagged record as a number, None where it is not one."""
    field = record.field(number)
    return int(field.raw) if field is not None and _NUMBER.fullmatch(field.raw) else None
