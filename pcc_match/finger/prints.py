"""Many prints as columns: what is enrolled in a finger gallery, and what comes out of it again."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import TemplateError
from pcc_match.finger.template import FingerTemplate, MinutiaSet
from pcc_match.strings import Strings

_HEAD = struct.Struct("<BHHBB")  # position, width, height (0: not known), bytes of the source, sets
_SET = np.dtype([("x", "<i2"), ("y", "<i2"), ("angle", "u1"), ("type", "u1"), ("quality", "u1")])
_MOST_SETS = 255


@dataclass(frozen=True)
class FingerRecord:
    """One print under its id: an impression of one finger or palm, or a latent.

    subject   whose print it is, as the owner numbers persons (or, of latents, cases); "" stands for the id itself
    """

    id: str
    template: FingerTemplate
    subject: str = ""


@dataclass(frozen=True, eq=False)
class PrintColumns:
    """n prints. Templates are kept byte by byte as `encoded` writes them, so that what went in comes out."""

    ids: Strings
    subjects: Strings  # never empty
    templates: Strings  # of bytes

    @classmethod
    def from_records(cls, records: Iterable[FingerRecord]) -> "PrintColumns":
        records = list(records)
        return cls(
            Strings.from_list(record.id for record in records),
            Strings.from_list(record.subject or record.id for record in records),
            Strings.from_bytes(encoded(record.template) for record in records),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[FingerRecord]:
        return (self.record(row) for row in range(len(self)))

    def record(self, row: int) -> FingerRecord:
        """One print; TemplateError where the bytes are no template's."""
        id, subject = self.ids[row], self.subjects[row]
        return FingerRecord(id, self.template(row), "" if subject == id else subject)

    def template(self, row: int) -> FingerTemplate:
        return decoded(self.templates.raw(row))

    @property
    def positions(self) -> NDArray[np.uint8]:
        """(n,) finger or palm of each print, 0 unknown."""
        return self.templates.heap[self.templates.offsets[:-1]]

    def take(self, rows: NDArray[Any]) -> "PrintColumns":
        """Those prints (indices, or a boolean mask), in that order."""
        return PrintColumns(self.ids.take(rows), self.subjects.take(rows), self.templates.take(rows))

    @classmethod
    def concat(cls, parts: Sequence["PrintColumns"]) -> "PrintColumns":
        return cls(
            Strings.concat([part.ids for part in parts]),
            Strings.concat([part.subjects for part in parts]),
            Strings.concat([part.templates for part in parts]),
        )


def encoded(template: FingerTemplate) -> bytes:
    """A template as galleries keep it: all of it but `problems`, and equal templates as equal bytes."""
    source = template.source.encode()
    if len(template.sets) > _MOST_SETS or len(source) > 0xFF or max(template.width or 0, template.height or 0) > 0xFFFF:
        raise TemplateError(
            f"a gallery keeps at most {_MOST_SETS} sets of minutiae of a print, of an image of at most 65,535 pixels a "
            "side, and 255 bytes of the source's name"
        )
    pieces = [
        _HEAD.pack(template.position, template.width or 0, template.height or 0, len(source), len(template.sets)),
        source,
    ]
    for minutiae in template.sets:
        columns = np.empty(len(minutiae), _SET)
        for name in _SET.names or ():
            columns[name] = getattr(minutiae, name)
        pieces += [len(minutiae).to_bytes(4, "little"), columns.tobytes()]
    return b"".join(pieces)


def decoded(data: bytes) -> FingerTemplate:
    """The template of `encoded`; TemplateError where the bytes are none."""
    try:
        position, width, height, source_size, count = _HEAD.unpack_from(data)
        at = _HEAD.size + source_size
        source = data[_HEAD.size : at].decode()
        sets = []
        for _ in range(count):
            size = int.from_bytes(data[at : at + 4], "little")
            columns = np.frombuffer(data, _SET, size, at + 4)
            sets.append(MinutiaSet(*(columns[name] for name in _SET.names or ())))
            at += 4 + columns.nbytes
        if at != len(data):
            raise ValueError("bytes are left over")
        return FingerTemplate(tuple(sets), position, width or None, height or None, source)
    except (struct.error, ValueError) as error:
        raise TemplateError(f"these bytes are not a gallery's template: {error}") from None
