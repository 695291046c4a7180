"""Templates from image files and from the image records of ANSI/NIST-ITL transactions."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import PccError, RecordError, TemplateError
from pcc_match.finger.extract import Examination, examine
from pcc_match.finger.slap import SLAPS, SlapFinger, examine_slap
from pcc_match.finger.template import PPI, FingerTemplate
from pcc_match.itl import images
from pcc_match.itl.dictionary import codes
from pcc_match.itl.records import BinaryRecord, Record
from pcc_match.itl.transaction import read

IMAGE_RECORDS: Final = (4, 13, 14, 15)  # finger, latent, finger, palm; Type-3, 5 and 6 are coarse, bilevel or both
# Screens' and scanners' defaults: what a file states outside of this says nothing of a print.
_STATED_PPI: Final = (200, 2400)
_TRANSACTION: Final = re.compile(rb"\s*1\.0{0,2}1:")  # its first field


@dataclass(frozen=True, eq=False)
class Source:
    """One image of friction ridges and where it is from.

    name        of the file, and of the record in it
    image       uint8 (height, width)
    ppi         pixels per inch; None where nothing states it
    position    finger or palm as ANSI/NIST-ITL codes it, 0 unknown
    missing     positions of a slap whose fingers are not in it
    problems    what was left out or is uncertain
    """

    name: str
    image: NDArray[np.uint8]
    ppi: float | None
    position: int = 0
    missing: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()

    def prints(self, sets: int = 1) -> tuple[SlapFinger | Examination, ...]:
        """One Examination, or the fingers of a slap."""
        ppi = self.ppi or PPI
        if self.position in SLAPS:
            found = examine_slap(self.image, ppi, self.position, sets=sets, missing=self.missing)
            return tuple(replace(finger, template=self._noted(finger.template)) for finger in found)
        single = examine(self.image, ppi, sets, position=self.position)
        return (replace(single, template=self._noted(single.template)),)

    def _noted(self, template: FingerTemplate) -> FingerTemplate:
        return replace(template, problems=self.problems + template.problems)


def sources(path: Path) -> Iterator[Source | PccError]:
    """The images of a file: one picture, or each image record of a transaction; an error for each that is unreadable.

    OSError where the file cannot be read.
    """
    data = path.read_bytes()
    if images.probe(data).format == "unknown" and _TRANSACTION.match(data):
        for record in read(data):
            if record.type in IMAGE_RECORDS and record.image is not None:
                try:
                    yield source_of(record, f"{path.stem}.{record.number:02d}.type{record.type}")
                except PccError as error:
                    yield error
        return
    try:
        yield _picture(path, data)
    except PccError as error:
        yield error


def source_of(record: Record, name: str = "") -> Source:
    """The image of a Type-4, 13, 14 or 15 record; RecordError where it cannot be decoded."""
    header = record.image_header()
    if record.type not in IMAGE_RECORDS or header is None:
        raise TemplateError(f"prints stand in records of the types 4, 13, 14 and 15, not in Type-{record.type}")
    problems, ppi = [], None
    if header.ppi is None:
        problems.append(f"the record states no resolution: {PPI} ppi is assumed")
    elif abs(header.ppi[0] - header.ppi[1]) > 0.01 * header.ppi[0]:
        raise RecordError(
            f"{header.ppi[0]:g} pixels per inch across and {header.ppi[1]:g} down: prints need one resolution",
            record=record.number,
            type=record.type,
            idc=record.idc,
        )
    else:
        ppi = header.ppi[0]
    positions = _positions(record)
    if len(positions) > 1:
        problems.append(f"the position is uncertain: {', '.join(map(str, positions))}")
    position = positions[0] if len(positions) == 1 else 0
    gone = _firsts(record, 18) if record.type == 14 else []
    missing = tuple(finger for finger in SLAPS.get(position, ()) if str(finger) in gone)
    return Source(name, _grey(record.pixels()), ppi, position, missing, tuple(problems))


def templates_of(record: Record, sets: int = 1) -> tuple[FingerTemplate, ...]:
    """The template of a Type-4, 13, 14 or 15 record's image; of a slap, those of its fingers, from left to right.

    A slap's fingers that the record says are missing (14.018) are not looked for. RecordError where the image cannot be
    decoded, TemplateError for a record of another type.
    """
    return tuple(found.template for found in source_of(record).prints(sets))


def _positions(record: Record) -> list[int]:
    """Positions that the record states, as far as they are positions."""
    stated: tuple[object, ...]
    if isinstance(record, BinaryRecord):
        header = record.get(4)
        stated = header if isinstance(header, tuple) else ()
    else:
        stated = tuple(_firsts(record, 13))
    known = codes()["friction_ridge"]
    return list(dict.fromkeys(int(str(code)) for code in stated if str(code) in known and str(code) != "0"))


def _firsts(record: Record, number: int) -> list[str]:
    """The first item of each subfield of a tagged record, without leading zeros."""
    if isinstance(record, BinaryRecord):
        return []
    return [subfield[0].lstrip("0") for subfield in record.text(number).subfields]


def _picture(path: Path, data: bytes) -> Source:
    facts = images.probe(data)
    if facts.format == "unknown":
        pixels, ppi = _by_pillow(path, data)
    else:
        try:
            pixels, ppi = images.decode(data), facts.ppi
        except RecordError as error:
            raise TemplateError(f"{path}: {error}") from None
    stated = ppi is not None and _STATED_PPI[0] <= ppi <= _STATED_PPI[1]
    return Source(path.stem, _grey(pixels), ppi if stated else None)


def _by_pillow(path: Path, data: bytes) -> tuple[NDArray[np.uint8], float | None]:
    """TIFF, BMP and what else Pillow reads."""
    try:
        from PIL import Image
    except ImportError:
        raise TemplateError(f"{path}: this format needs Pillow: pip install 'pcc_match[images]'") from None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > images.PIXEL_LIMIT:
                raise TemplateError(f"{path}: an image of {picture.width} x {picture.height} pixels is over the limit")
            if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
                raise TemplateError(f"{path}: pixels of the mode {picture.mode}; expected 8-bit grey or colour")
            dpi = picture.info.get("dpi", (None, None))
            return np.asarray(picture.convert("RGB")), float(dpi[0]) if dpi[0] and dpi[0] == dpi[1] else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise TemplateError(f"{path}: neither an image nor an ANSI/NIST-ITL transaction: {error}") from None


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance (ITU-R BT.601) of colour, in integers."""
    if pixels.ndim == 2:
        return pixels
    weighted = pixels[..., :3].astype(np.uint32) @ np.array([77, 150, 29], np.uint32)
    grey: NDArray[np.uint8] = (weighted >> 8).astype(np.uint8)
    return grey
