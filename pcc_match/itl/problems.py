"""One problem found in a transaction: what is wrong, where, and which Prüm error code answers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pcc_match.errors import RecordError, RecordPlace

# Error codes of field 2.074 (2008/616/JHA, annex chapter 2). Codes below 200 take a place, the others are fixed texts.
UNAUTHORISED = 3
MANDATORY_FIELD_MISSING = 101
INVALID_RECORD_TYPE = 102
UNDEFINED_FIELD = 103
TOO_MANY_OCCURRENCES = 104
INVALID_SUBFIELD_COUNT = 105
TOO_SHORT = 106
TOO_LONG = 107
NOT_A_NUMBER = 108
NUMBER_TOO_SMALL = 109
NUMBER_TOO_BIG = 110
INVALID_CHARACTER = 111
INVALID_DATE = 112
INVALID_ITEM_VALUE = 115
INVALID_TRANSACTION_TYPE = 116
INVALID_RECORD_DATA = 117
INVALID_TCN = 201
INSUFFICIENT_QUALITY = 501
MISSING_FINGERPRINTS = 502
SEQUENCE_CHECK_FAILED = 503
OTHER = 999

# Texts that stand alone in 2.074; 1xx and 201 take the form "code: IDC idc FIELD field text" instead.
FIXED_TEXTS = {
    UNAUTHORISED: "ERROR: UNAUTHORISED ACCESS",
    INSUFFICIENT_QUALITY: "ERROR: INSUFFICIENT FINGERPRINT QUALITY",
    MISSING_FINGERPRINTS: "ERROR: MISSING FINGERPRINTS",
    SEQUENCE_CHECK_FAILED: "ERROR: FINGERPRINT SEQUENCE CHECK FAILED",
    OTHER: "ERROR: ANY OTHER ERROR. FOR FURTHER DETAILS CALL DESTINATION AGENCY",
}


@dataclass(frozen=True)
class Problem(RecordPlace):
    """A fault found by reading or by a check; the place as in RecordPlace, `code` the Prüm error code (2.074)."""

    message: str
    offset: int | None = None
    record: int | None = None
    type: int | None = None
    idc: int | None = None
    field: int | None = None
    subfield: int | None = None
    item: int | None = None
    code: int = INVALID_RECORD_DATA

    def error(self) -> RecordError:
        return RecordError(
            self.message,
            offset=self.offset,
            record=self.record,
            type=self.type,
            idc=self.idc,
            field=self.field,
            subfield=self.subfield,
            item=self.item,
        )

    __str__ = RecordPlace.__str__


def error_message(problems: Iterable[Problem]) -> str:
    """The text of field 2.074 ERM that answers these problems, one line each, every line once.

    "115: IDC 0 FIELD 2.003 INVALID SYSTEM INFORMATION": the IDC of Type-1 (and of none) is -1. The message's characters
    outside printable ASCII become '?', so the text can stand in any record. Empty for no problems.
    """
    lines: dict[str, None] = {}
    for problem in problems:
        if problem.code in FIXED_TEXTS:
            line = f"{problem.code:03d}: {FIXED_TEXTS[problem.code]}"
        else:
            field = f"{problem.type or 1}.{problem.field or 1:03d}"
            if problem.subfield is not None:
                field += f".{problem.subfield}"
            text = "".join(c if " " <= c <= "~" else "?" for c in problem.message.upper())
            line = f"{problem.code:03d}: IDC {-1 if problem.idc is None else problem.idc} FIELD {field} {text}"
        lines[line] = None
    return "\n".join(lines)
