"""Where the prints of an answer come from, and stored records in the form that INT-I 4.22 wants them.

Compressed WSQ images are taken as they are, byte for byte; uncompressed ones are encoded at 15:1. A stored transaction
may be of any version: Type-14 fingers become Type-4 records.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import numpy as np

from pcc_match import itl
from pcc_match.errors import ExchangeError, RecordError
from pcc_match.finger.template import FingerTemplate
from pcc_match.itl.minutiae import COLUMNS, Frame, Minutiae
from pcc_match.itl.records import Record
from pcc_match.itl.writer import Content

Fields = dict[int | str, Content]
NewRecord = tuple[int, Fields]

WSQ_RATIO = 15  # 2008/616/JHA, annex, chapter 2: at most
_PPI = 500
_TENPRINT_POSITIONS = range(15)
_PALM_POSITIONS = range(20, 31)
# Codes of x.003 that Prüm knows; what later versions added is "unknown" there.
_FINGER_IMPRESSIONS, _UNKNOWN_IMPRESSION = range(10), 9
_LATENT_IMPRESSIONS, _LATENT = range(4, 16), 4
_PALM_IMPRESSIONS, _NON_LIVE_PALM = range(10, 16), 11


class RecordStore(Protocol):
    """The file of transactions that the templates of a gallery were made from."""

    def transaction(self, subject_id: str) -> itl.Transaction:
        """The prints of a subject, or the latent of that id. ExchangeError where there is none or it cannot be read."""
        ...


class FolderStore:
    """A folder with one transaction a subject: `<id>.an2`, the id percent-encoded where a file name cannot hold it."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ExchangeError(f"{self.folder}: there is no such folder of transactions")

    def path(self, subject_id: str) -> Path:
        """The file of a subject."""
        return self.folder / f"{quote(subject_id, safe=' +,=@()')}.an2"

    def transaction(self, subject_id: str) -> itl.Transaction:
        """See RecordStore.transaction."""
        try:
            return itl.read(self.path(subject_id))
        except RecordError as error:
            raise ExchangeError(f"{self.path(subject_id)}: {error}") from None

    def put(self, subject_id: str, transaction: itl.Transaction) -> None:
        """Writes the file of a subject; an existing one is replaced."""
        path = self.path(subject_id)
        new = path.with_name(path.name + ".new")
        new.write_bytes(bytes(transaction))
        new.replace(path)

    def __repr__(self) -> str:
        return f"FolderStore({str(self.folder)!r})"


def finger_records(transaction: itl.Transaction) -> list[NewRecord]:
    """Type-4 records of the finger images, one for each position, without IDC; the first of a position counts."""
    found: dict[int, NewRecord] = {}
    for record in transaction.of_type(4, 14):
        positions = positions_of(record)
        if record.image is None or len(positions) != 1 or positions[0] not in _TENPRINT_POSITIONS:
            continue
        if positions[0] in found and positions[0] != 0:
            continue
        stream = _wsq(record)
        impression = _impression(record, _FINGER_IMPRESSIONS, _UNKNOWN_IMPRESSION)
        fields: Fields = {3: impression, 4: positions[0], **itl.image_fields(4, stream)}
        found[positions[0] if positions[0] else -len(found)] = 4, fields
    return list(found.values())


def palm_records(transaction: itl.Transaction) -> list[NewRecord]:
    """Type-15 records of the palm images, without IDC."""
    return [
        (15, _image_record(record, _impression(record, _PALM_IMPRESSIONS, _NON_LIVE_PALM)))
        for record in transaction.of_type(15)
        if record.image is not None and positions_of(record)[:1] and positions_of(record)[0] in _PALM_POSITIONS
    ]


def latent_records(transaction: itl.Transaction, idc: int | None = None) -> list[NewRecord]:
    """The Type-13 record of a latent, with IDC 1: of an IDC, or the first one. Empty where there is none."""
    for record in transaction.of_type(13):
        if record.image is not None and idc in (None, record.idc):
            return [(13, _image_record(record, _impression(record, _LATENT_IMPRESSIONS, _LATENT)) | {2: 1})]
    return []


def minutiae_record(template: FingerTemplate, latent: NewRecord) -> NewRecord:
    """A Type-9 record of a template's first set, for the image of a Type-13 record: INCITS 378 block, IDC 1."""
    minutiae, fields = template.sets[0], latent[1]
    columns = np.empty(len(minutiae), COLUMNS)
    columns["x"], columns["y"], columns["angle"] = minutiae.x, minutiae.y, minutiae.angle * (360 / 256)
    columns["type"], columns["quality"] = minutiae.type, minutiae.quality
    size = (int(str(fields[6])), int(str(fields[7])))
    frame = Frame(*size, int(str(fields[8])), int(str(fields[9])), int(str(fields[10])))
    impression = int(str(fields[3]))
    made = Minutiae(columns, frame=frame, positions=(template.position,), impression=impression)
    return 9, {**itl.type9_fields(made, "m1"), 2: 1}


def positions_of(record: Record) -> tuple[int, ...]:
    """Finger or palm codes of an image record or a Type-9 record of the INCITS 378 block."""
    number = {4: 4, 9: 134}.get(record.type, 13)
    value = record.get(number)
    if isinstance(value, tuple):
        return value
    texts = [items[0] for items in record.text(number).subfields]
    return tuple(int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= 2)


def _impression(record: Record, known: range, otherwise: int) -> int:
    value = record.get(3)
    text = str(value)
    code = value if isinstance(value, int) else int(text) if text.isascii() and text.isdigit() else -1
    return code if code in known else otherwise


def _image_record(record: Record, impression: int) -> Fields:
    """Fields of a Type-13 or 15 record as INT-I has them, from one of any version."""
    header = record.image_header()
    ppi = None if header is None or header.ppi is None else round(header.ppi[0])
    facts = itl.images.probe(bytes(record.image or b""))
    stream = bytes(record.image or b"") if facts.format in ("jp2", "j2k") else _wsq(record)
    fields: Fields = {3: impression, 4: record.text(4) or "UNKNOWN", 5: record.text(5) or "00000000"}
    fields |= itl.image_fields(record.type, stream, ppi)
    names: dict[Content, Content] = {"WSQ20": "WSQ", "JP2": "J2K", "JP2L": "J2K"}
    fields[11] = names.get(fields[11], fields[11])
    fields[13] = [str(position) for position in positions_of(record)] or ["0"]
    return fields


def _wsq(record: Record) -> bytes:
    """The image as WSQ: its own stream, or its pixels encoded. ExchangeError for what is not of 500 ppi."""
    header = record.image_header()
    ppi = None if header is None else header.ppi
    place = f"Type-{record.type} IDC {record.idc}"
    if ppi is None or abs(ppi[0] - _PPI) > _PPI / 50:
        stated = "unknown resolution" if ppi is None else f"{ppi[0]:.0f} ppi"
        raise ExchangeError(f"{place}: an image of {stated}; images of {_PPI} ppi are exchanged")
    try:
        if itl.images.probe(bytes(record.image or b"")).format == "wsq":
            return bytes(record.image or b"")
        pixels = record.pixels()
        return itl.images.encode_wsq(pixels, _PPI, WSQ_RATIO)
    except RecordError as error:
        raise ExchangeError(f"{place}: {error.message}") from None
