"""Every error that pcc_match raises on purpose. Each message names the place and what to do."""


class PccError(Exception):
    """Base of all errors of this library."""


class ProfileError(PccError):
    """A DNA profile, or the file that holds it, breaks a rule; names file, line, column or locus."""


class TemplateError(PccError):
    """A fingerprint template is damaged or impossible."""


class CalibrationError(PccError):
    """Nothing was counted that could say what a score of this source, or a rate this rare, means."""


class RecordPlace:
    """The place that a RecordError or an itl.Problem names.

    offset    bytes from the start of what was read, or None
    record    position of the record in its transaction, Type-1 is 1, or None
    type, idc, field, subfield, item   numbers as in the standard (subfield and item from 1), or None
    message   what is wrong, without the place
    """

    message: str
    offset: int | None
    record: int | None
    type: int | None
    idc: int | None
    field: int | None
    subfield: int | None
    item: int | None

    @property
    def path(self) -> str:
        """ "record/type.field/subfield/item" as far as known, e.g. "3/9.137/2/5"; "transaction" for none of them."""
        if self.record is None:
            return "transaction"
        parts = [str(self.record)]
        if self.type is not None:
            parts.append(str(self.type) if self.field is None else f"{self.type}.{self.field:03d}")
        if self.subfield is not None:
            parts.append(str(self.subfield))
        if self.item is not None:
            parts.append(str(self.item))
        return "/".join(parts)

    def __str__(self) -> str:
        place = [] if self.record is None else [f"record {self.record}"]
        if self.type is not None:
            place.append(f"Type-{self.type}" + ("" if self.idc is None else f" IDC {self.idc}"))
        if self.field is not None:
            place.append(f"{self.type}.{self.field:03d}")
        if self.subfield is not None:
            place.append(f"subfield {self.subfield}")
        if self.item is not None:
            place.append(f"item {self.item}")
        if self.offset is not None:
            place.append(f"byte {self.offset}")
        return f"{', '.join(place)}: {self.message}" if place else self.message


class RecordError(RecordPlace, PccError):
    """An ANSI/NIST-ITL transaction, record or image cannot be read or written; see RecordPlace for the place."""

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        record: int | None = None,
        type: int | None = None,
        idc: int | None = None,
        field: int | None = None,
        subfield: int | None = None,
        item: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.record = record
        self.type = type
        self.idc = idc
        self.field = field
        self.subfield = subfield
        self.item = item


class GalleryError(PccError):
    """A gallery is missing, damaged, locked or of another version; names the file."""


class DeviceError(PccError):
    """The asked-for device or instruction set is not available here."""


class ExchangeError(PccError):
    """A message, treaty set or request breaks the treaty; names article, file and key."""


class RefusalError(ExchangeError):
    """A request is refused, and the ledger says so. Any other ExchangeError of a ledger means: no service just now.

    cause    "authorisation": the partner may not ask this; "quota": the day's searches are used up; "other message":
             the request id came with another message before; "window": the answer may not be repeated any more
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
