"""A transaction: its records in order, what is wrong with it, and its bytes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import IO, Union

from pcc_match.errors import RecordError
from pcc_match.itl import minutiae, raster, writer
from pcc_match.itl.charsets import Charset, fallback_charset
from pcc_match.itl.problems import Problem
from pcc_match.itl.reader import Layout, split_records
from pcc_match.itl.records import Record, TaggedRecord, Text

Source = Union[bytes, bytearray, memoryview, str, "os.PathLike[str]", IO[bytes]]


def read(data: Source, strict: bool = False, *, fallback: str | None = None) -> Transaction:
    """Reads an ANSI/NIST-ITL transaction in the traditional encoding, versions 0200 to 0502 (1993 to 2015).

    data       the bytes, the path of a file, or an open binary file
    strict     raise the first problem as a RecordError; otherwise read on and keep all of them in `.problems`
    fallback   character set where 1.015 declares none (default: UTF-8 where the bytes are that, else Latin-1)

    Without `strict`, RecordError is raised only where no Type-1 record can be found.
    """
    charset = fallback_charset(fallback)
    if charset is None:
        raise RecordError(f"the fallback character set {fallback!r} is not known")
    transaction = Transaction(split_records(_load(data), charset))
    if strict and transaction.problems:
        raise transaction.problems[0].error()
    return transaction


def _load(data: Source) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    try:
        if isinstance(data, (str, os.PathLike)):
            with open(data, "rb") as file:
                return file.read()
        return data.read()
    except OSError as error:
        raise RecordError(f"cannot read: {error}") from error


class Transaction:
    """An immutable transaction. `bytes(transaction)` is its encoding, for one that was read the very bytes.

    records   in file order, Type-1 first
    charset   of the text fields (1.015, or the fallback)
    """

    def __init__(self, layout: Layout) -> None:
        self.records: tuple[Record, ...] = tuple(layout.records)
        self.charset: Charset = layout.charset
        self._data = layout.data
        self._layout_problems = layout.problems
        for record in self.records:
            record._transaction = self

    @classmethod
    def build(
        cls,
        header: Mapping[int | str, writer.Content],
        records: Iterable[Record | tuple[int, Mapping[int | str, writer.Content]]],
        *,
        charset: str = "ascii",
        leading_zeros: bool = True,
    ) -> Transaction:
        """A new transaction from field values by number or mnemonic; see writer.py for what a value may be.

        header    fields of the Type-1 record without LEN and CNT, which are computed; 1.015 is set by `charset`
        records   (type, fields) without LEN, and without IDC unless it must be a certain one (a Type-9 record names its
                  image's); or a Record of another transaction, which is taken byte for byte
        charset   "ascii", "latin-1", "utf-8", "utf-16" or "utf-32", for the text of all but Type-1
        leading_zeros   IDC as "01" in CNT and x.002, else as "1" (SIS wants none)

        RecordError for a value that the encoding cannot carry: a separator in it, a character outside the set, a number
        that does not fit.
        """
        data = writer.encode_transaction(header, records, charset, leading_zeros)
        return read(data)

    def replace(self, changes: Mapping[Record, Mapping[int | str, writer.Content]]) -> Transaction:
        """This transaction with all fields of some tagged records replaced; their types, IDCs and places stay.

        Every other record keeps its bytes. RecordError for Type-1 and for binary records.
        """
        pieces = []
        position = 0
        for record in self.records:
            fields = changes.get(record)
            if fields is None:
                continue
            if not isinstance(record, TaggedRecord) or record.type == 1:
                raise record.problem("only tagged records behind Type-1 can be replaced").error()
            changed = writer.encode_tagged(record.type, {**fields, 2: record.text(2)}, self.charset)
            pieces += [self._data[position : record.offset], changed]
            position = record.offset + record.size
        return read(b"".join([*pieces, self._data[position:]]))

    # -- looking into it

    @property
    def header(self) -> Record:
        """The Type-1 record."""
        return self.records[0]

    @property
    def tot(self) -> Text:
        """Type of transaction, 1.004."""
        return self.header.text(4)

    @property
    def version(self) -> int | None:
        """1.002 VER as a number, 502 for ANSI/NIST-ITL 1-2011 Update 2015; None where it is not one."""
        text = self.header.text(2)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None

    def of_type(self, *types: int) -> list[Record]:
        """The records of these types, in order."""
        return [record for record in self.records if record.type in types]

    def images_of(self, idc: int | None) -> list[Record]:
        """The friction ridge image records (Type-3 to 6, 13 to 15) of an IDC."""
        return self._friction_images.get(idc, [])

    @cached_property
    def _friction_images(self) -> dict[int | None, list[Record]]:
        images: dict[int | None, list[Record]] = {}
        for record in self.records:
            if record.type in raster.FRICTION_TYPES:
                images.setdefault(record.idc, []).append(record)
        return images

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __bytes__(self) -> bytes:
        return self._data

    def __repr__(self) -> str:
        types = [record.type for record in self.records]
        counts = ", ".join(f"{types.count(type)} of Type-{type}" for type in sorted(set(types)))
        return f"<Transaction of {len(self._data)} bytes: {counts}>"

    # -- what is wrong with it

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """All that reading found, by position: records, fields, text, minutiae, and images against what fields say."""
        found = list(self._layout_problems)
        for record in self.records:
            found.extend(record.structure_problems())
            if isinstance(record, TaggedRecord):
                found.extend(record.text_problems())
            found.extend(minutiae.minutiae_problems(record) if record.type == 9 else raster.image_problems(record))
        return tuple(sorted(found, key=lambda problem: problem.offset or 0))

    def check(self, profile: str | None = None, *, relaxed: Collection[str] = ()) -> tuple[Problem, ...]:
        """All that breaks a rule: `problems`, the standard's tables in the version of 1.002, and a named profile.

        profile   "int-i-4.22" (also "pruem"), "sis" or "ees"; RecordError for another name
        relaxed   names of the profile's checks that partners have agreed to leave out, as "tcn" or "wsq_ratio"
        """
        from pcc_match.itl import check

        return check.check(self, profile, relaxed)
