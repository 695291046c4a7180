"""One record against the table of its type: which fields, how many subfields and items, what each item may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from pcc_match.itl.dictionary import FieldRule, ItemRule, RecordRule
from pcc_match.itl.problems import (
    INVALID_CHARACTER,
    INVALID_DATE,
    INVALID_ITEM_VALUE,
    INVALID_SUBFIELD_COUNT,
    MANDATORY_FIELD_MISSING,
    NOT_A_NUMBER,
    NUMBER_TOO_BIG,
    NUMBER_TOO_SMALL,
    TOO_LONG,
    TOO_MANY_OCCURRENCES,
    TOO_SHORT,
    UNDEFINED_FIELD,
    Problem,
)
from pcc_match.itl.records import BINARY_TYPES, BinaryRecord, Field, Record

# Findings of one field: the rest of a field of ten thousand wrong items tells nothing new.
_PER_FIELD = 20
# Field numbers that are the user's or another maker's in each type but 2, where all are.
_OPEN_NUMBERS = {1: range(0), 9: range(13, 300)}
_USER_NUMBERS = range(200, 901)

_CHARACTERS: Mapping[str, tuple[re.Pattern[str], str, int]] = {
    "N": (re.compile(r"[0-9]*"), "a number is wanted", NOT_A_NUMBER),
    "A": (re.compile(r"[A-Za-z]*"), "only letters are allowed", INVALID_CHARACTER),
    "AN": (re.compile(r"[A-Za-z0-9]*"), "only letters and digits are allowed", INVALID_CHARACTER),
    "ANS": (re.compile(r"[ -~]*"), "only printable ASCII characters are allowed", INVALID_CHARACTER),
    "NS": (re.compile(r"[0-9+\-.,]*"), "a number is wanted", NOT_A_NUMBER),
    "H": (re.compile(r"[0-9A-Fa-f]*"), "hexadecimal digits are wanted", INVALID_CHARACTER),
    "D": (re.compile(r"[0-9]*"), "a date YYYYMMDD is wanted", INVALID_DATE),
    "Z": (re.compile(r"[0-9]*Z?"), "a time YYYYMMDDHHMMSSZ is wanted", INVALID_DATE),
    "B": (re.compile(r"(?s:.*)"), "", INVALID_CHARACTER),
    "U": (re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1b\x7f]*"), "control characters are not allowed", INVALID_CHARACTER),
}


def record_findings(record: Record, rule: RecordRule, version: int) -> Iterator[Problem]:
    """Everything in which a record differs from the table of its type in a version of the standard (502: 0502)."""
    for number, field_rule in rule.fields.items():
        if field_rule.condition == "M" and field_rule.since <= version and number not in record:
            yield _missing(record, field_rule)
    for field in record.fields:
        known = rule.fields.get(field.number)
        if known is None or known.since > version:
            if known is not None or not (rule.open or _is_users(record.type, field.number)):
                what = "not defined" if known is None else f"not defined before version {known.since:04d}"
                yield record.problem(f"the field is {what}", field, code=UNDEFINED_FIELD)
        elif isinstance(record, BinaryRecord):
            yield from _binary_findings(record, field, known)
        else:
            yield from _field_findings(record, field, known)


def _missing(record: Record, rule: FieldRule) -> Problem:
    return Problem(
        f"the mandatory field {rule.mnemonic} is missing",
        record.offset,
        record.number,
        record.type,
        record.idc,
        rule.number,
        code=MANDATORY_FIELD_MISSING,
    )


def _is_users(type: int, number: int) -> bool:
    return type in (2, 7) or number in _OPEN_NUMBERS.get(type, _USER_NUMBERS) or number > 999


def _binary_findings(record: BinaryRecord, field: Field, rule: FieldRule) -> Iterator[Problem]:
    item = rule.items[0]
    value = field.value
    numbers = value if isinstance(value, tuple) else (value,) if isinstance(value, int) else ()
    for number in numbers:
        finding = _value_finding(str(number), item)
        if finding is not None:
            yield record.problem(finding[0], field, code=finding[1])


def _field_findings(record: Record, field: Field, rule: FieldRule) -> Iterator[Problem]:
    if isinstance(field.raw, memoryview):
        if len(field.raw) == 0 and rule.condition == "M":
            yield record.problem("the image is empty", field, code=TOO_SHORT)
        return
    found = 0
    subfields = record.text(field.number).subfields if record.field(field.number) is field else ()
    if len(subfields) > rule.subfields:
        message = f"{len(subfields)} subfields, at most {rule.subfields} are allowed"
        yield record.problem(message, field, code=TOO_MANY_OCCURRENCES)
    for number, items in enumerate(subfields, 1):
        for place, message, code in _subfield_findings(items, rule):
            single = rule.single and len(subfields) == 1
            subfield, item = (None, None) if single else (number, place)
            yield record.problem(message, field, subfield, item, code)
            found += 1
            if found == _PER_FIELD:
                return


def _subfield_findings(items: tuple[str, ...], rule: FieldRule) -> Iterator[tuple[int | None, str, int]]:
    """(item from 1, sentence, code) of each fault of a subfield."""
    last = len(rule.items) - 1
    count = len(items)
    while count > 1 and not items[count - 1]:
        count -= 1  # a separator behind the last item that is there is not uniform between writers
    if count > len(rule.items) and not rule.items[last].repeats:
        yield None, f"{count} items, at most {len(rule.items)} are allowed", INVALID_SUBFIELD_COUNT
    for place, item_rule in enumerate(rule.items):
        if item_rule.mandatory and (place >= count or not items[place]):
            yield place + 1, f"{item_rule.mnemonic} is missing", MANDATORY_FIELD_MISSING
    for place, text in enumerate(items[:count]):
        if place <= last or rule.items[last].repeats:
            finding = _value_finding(text, rule.items[min(place, last)]) if text else None
            if finding is not None:
                yield place + 1, *finding


def _value_finding(text: str, rule: ItemRule) -> tuple[str, int] | None:
    """(sentence, code) of the first fault of an item that is not empty."""
    pattern, words, code = _CHARACTERS[rule.characters]
    least, most = rule.length
    if not pattern.fullmatch(text):
        return words, code
    if rule.characters in ("D", "Z") and not _is_time(text, rule.characters):
        return words, INVALID_DATE
    # Binary header fields have no characters to count; theirs are bounded by the header's layout.
    if len(text) > most:
        return f"{len(text)} characters, at most {most} are allowed", TOO_LONG
    if len(text) < least and rule.characters != "N":
        return f"{len(text)} characters, at least {least} are wanted", TOO_SHORT
    if rule.range is not None and rule.characters in ("N", "NS"):
        number = _number(text)
        if number is None:
            return "a number is wanted", NOT_A_NUMBER
        low, high = rule.range
        if number < low:
            return f"the number is below {low}", NUMBER_TOO_SMALL
        if number > high:
            return f"the number is above {high}", NUMBER_TOO_BIG
    if rule.codes is not None and text not in rule.codes:
        return f"not one of {rule.codes}" if len(
            str(rule.codes)
        ) < 80 else "not a code of the standard", INVALID_ITEM_VALUE
    if rule.pattern is not None and not rule.pattern.fullmatch(text):
        return f"{rule.mnemonic} does not have its form {rule.pattern.pattern}", INVALID_ITEM_VALUE
    return None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?", text) else None


def _is_time(text: str, characters: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d" if characters == "D" else "%Y%m%d%H%M%SZ")
    except ValueError:
        return False
    return len(text) == (8 if characters == "D" else 15)


def raster_findings(record: Record) -> Iterator[Problem]:
    """Size, scale, compression and data belong together; Type-14, 15, 19 may lack all of them for a missing print."""
    from pcc_match.itl.dictionary import mnemonic

    if record.type in BINARY_TYPES:
        return
    if 999 not in record:
        if record.type not in (14, 15, 19) or 18 not in record:
            yield _absent(record, 999, "DATA")
        return
    for number in range(6, 13):
        if number not in record:
            yield _absent(record, number, mnemonic(record.type, number))


def _absent(record: Record, number: int, name: str) -> Problem:
    place = (record.offset, record.number, record.type, record.idc, number)
    return Problem(f"the field {name} is missing", *place, code=MANDATORY_FIELD_MISSING)
