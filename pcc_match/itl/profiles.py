"""Profiles: what INT-I 4.22 (Prüm), SIS or EES ask for beyond the standard; the values are data (profiles/*.toml)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pcc_match.errors import RecordError
from pcc_match.itl import dictionary
from pcc_match.itl.dictionary import FieldRule, RecordRule
from pcc_match.itl.problems import (
    INVALID_ITEM_VALUE,
    INVALID_RECORD_DATA,
    INVALID_RECORD_TYPE,
    INVALID_SUBFIELD_COUNT,
    INVALID_TCN,
    INVALID_TRANSACTION_TYPE,
    MANDATORY_FIELD_MISSING,
    MISSING_FINGERPRINTS,
    NUMBER_TOO_BIG,
    SEQUENCE_CHECK_FAILED,
    TOO_MANY_OCCURRENCES,
    UNDEFINED_FIELD,
    Problem,
)
from pcc_match.itl.raster import MM_PER_INCH, image_data, image_header
from pcc_match.itl.records import Record

if TYPE_CHECKING:
    from pcc_match.itl.transaction import Transaction

NAMES = ("int-i-4.22", "sis", "ees")
_ALIASES = {"pruem": "int-i-4.22", "prüm": "int-i-4.22", "int-i": "int-i-4.22"}
# Table of the check character of 1.009 by the number before it modulo 23: no I, O, S.
_CHECK_CHARACTERS = "ZABCDEFGHJKLMNPQRTUVWXY"


@dataclass(frozen=True)
class TransactionRule:
    """One type of transaction: records besides Type-1 and 2 (least, greatest number), Type-2 fields by number."""

    records: Mapping[int, tuple[int, int]]
    one_of: tuple[int, ...]
    mandatory: tuple[int, ...]
    optional: tuple[int, ...]
    candidates: int | None
    answer: bool


@dataclass(frozen=True)
class Profile:
    """A profile; `fields` by record type override the standard's rows, `values` are the numbers that its checks use."""

    name: str
    leading_zeros: bool
    record_types: tuple[int, ...]
    fields: Mapping[int, Mapping[int, FieldRule]]
    transactions: Mapping[str, TransactionRule]
    checks: tuple[str, ...]
    values: Mapping[str, Any]

    def record_rule(self, rule: RecordRule) -> RecordRule:
        """The standard's table of a record type with this profile's rows in place of its own."""
        rows = self.fields.get(rule.type)
        return rule if rows is None else replace(rule, fields={**rule.fields, **rows})


def tcn_check_character(number: int) -> str:
    """Check character of a transaction control number: of YYSSSSSSSS as one number (2008/616/JHA, field 1.009)."""
    return _CHECK_CHARACTERS[number % 23]


@cache
def profile(name: str) -> Profile:
    """A profile by name, "pruem" is INT-I 4.22; RecordError for a name that is none."""
    known = _ALIASES.get(name.lower(), name.lower())
    if known not in NAMES:
        raise RecordError(f"{name!r} is not a profile: {', '.join((*NAMES, 'pruem'))}")
    table = tomllib.loads(files("pcc_match.itl").joinpath("profiles", f"{known}.toml").read_text("utf-8"))
    fields = {
        int(type): {
            int(n): dictionary.parse_field(int(n), row, dictionary.codes()) for n, row in entry["fields"].items()
        }
        for type, entry in table.get("types", {}).items()
    }
    transactions = {
        tot: TransactionRule(
            {int(type): (least, most) for type, (least, most) in entry["records"].items()},
            tuple(entry.get("one_of", ())),
            tuple(entry["mandatory"]),
            tuple(entry["optional"]),
            entry.get("candidates"),
            entry.get("answer", False),
        )
        for tot, entry in table.get("transactions", {}).items()
    }
    types = {1, 2, *table.get("record_types", ()), *(type for rule in transactions.values() for type in rule.records)}
    return Profile(
        table["name"], table["leading_zeros"], tuple(sorted(types)), fields, transactions, tuple(table["checks"]), table
    )


def profile_findings(transaction: Transaction, profile: Profile, relaxed: Collection[str]) -> Iterator[Problem]:
    """What a profile forbids or misses beyond the rows of its fields; `relaxed` names checks to leave out."""
    if not set(relaxed) <= set(profile.checks):
        raise RecordError(f"the checks of {profile.name} are {', '.join(profile.checks)}, not {', '.join(relaxed)}")
    for record in transaction.records:
        if record.type not in profile.record_types:
            message = f"{profile.name} has no Type-{record.type} record"
            yield record.problem(message, record.field(1), code=INVALID_RECORD_TYPE)
    if not profile.leading_zeros:
        yield from _leading_zeros(transaction)
    if profile.transactions:
        yield from _transaction_type(transaction, profile)
    for name in profile.checks:
        if name in relaxed:
            continue
        yield from _CHECKS[name](transaction, profile)


def _transaction_type(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    header = transaction.header
    rule = profile.transactions.get(transaction.tot)
    if rule is None:
        message = f"the type of transaction is none of {', '.join(profile.transactions)}"
        yield header.problem(message, header.field(4), code=INVALID_TRANSACTION_TYPE)
        return
    for type in profile.record_types:
        least, most = {1: (1, 1), 2: (1, 1)}.get(type) or rule.records.get(type, (0, 0))
        records = transaction.of_type(type)
        if len(records) < least:
            code = MISSING_FINGERPRINTS if type in (4, 13, 15) else INVALID_RECORD_DATA
            message = f"{transaction.tot} needs {_amount(least, most)} of Type-{type}, this one has {len(records)}"
            yield header.problem(message, header.field(3), code=code)
        for record in records[most:]:
            code = INVALID_RECORD_TYPE if most == 0 else TOO_MANY_OCCURRENCES
            message = f"{transaction.tot} takes {_amount(least, most)} of Type-{type}"
            yield record.problem(message, record.field(1), code=code)
    if rule.one_of and len([type for type in rule.one_of if transaction.of_type(type)]) != 1:
        message = f"{transaction.tot} needs records of exactly one of the types {', '.join(map(str, rule.one_of))}"
        yield header.problem(message, header.field(3), code=MISSING_FINGERPRINTS)
    for record in transaction.of_type(2)[:1]:
        yield from _type_2_fields(record, transaction.tot, rule)


def _amount(least: int, most: int) -> str:
    return "no record" if most == 0 else f"{most} records" if least == most else f"{least} to {most} records"


def _type_2_fields(record: Record, tot: str, rule: TransactionRule) -> Iterator[Problem]:
    allowed = {1, 2, 3, *rule.mandatory, *rule.optional}
    for field in record.fields:
        if field.number not in allowed:
            yield record.problem(f"the field is not defined for {tot}", field, code=UNDEFINED_FIELD)
    for number in rule.mandatory:
        if number not in record:
            name = dictionary.mnemonic(2, number)
            place = (record.offset, record.number, record.type, record.idc, number)
            yield Problem(f"{tot} needs {name}", *place, code=MANDATORY_FIELD_MISSING)


def _leading_zeros(transaction: Transaction) -> Iterator[Problem]:
    header = transaction.header
    for number, items in enumerate(header.text(3).subfields, 1):
        for place, item in enumerate(items, 1):
            if len(item) > 1 and item.startswith("0"):
                yield header.problem(
                    "leading zeros are not allowed", header.field(3), number, place, INVALID_ITEM_VALUE
                )
    for record in transaction.records[1:]:
        text = record.text(2)
        if len(text) > 1 and text.startswith("0"):
            yield record.problem("leading zeros are not allowed", record.field(2), code=INVALID_ITEM_VALUE)


# -- checks that are more than a row of a table


def _tcn(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    header = transaction.header
    for number in (9, 10):
        text = header.text(number)
        if re.fullmatch(r"[0-9]{10,14}[A-Z]", text) and text[-1] != tcn_check_character(int(text[:-1])):
            yield header.problem("wrong control character", header.field(number), code=INVALID_TCN)


def _answer_names_request(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    rule = profile.transactions.get(transaction.tot)
    header = transaction.header
    if rule is not None and rule.answer and 10 not in header:
        message = f"{transaction.tot} needs TCR, the TCN of the request"
        yield Problem(message, header.offset, 1, 1, None, 10, code=MANDATORY_FIELD_MISSING)


def _positions_once(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    """One finger in each Type-4 record, none of them twice."""
    seen: set[tuple[int, ...]] = set()
    for record in transaction.of_type(4):
        positions = record.get(4)
        if not isinstance(positions, tuple):
            continue
        if len(positions) != 1:
            yield record.problem("one finger position is wanted", record.field(4), code=INVALID_SUBFIELD_COUNT)
        elif positions != (0,) and positions in seen:
            message = f"finger position {positions[0]} stands in an earlier record, too"
            yield record.problem(message, record.field(4), code=SEQUENCE_CHECK_FAILED)
        seen.add(positions)


def _print_size(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    sizes = profile.values["print_size"]
    tolerance = sizes["tolerance"]
    for record in transaction.of_type(4):
        positions, header = record.get(4), image_header(record)
        if not isinstance(positions, tuple) or len(positions) != 1 or header is None or header.ppi is None:
            continue
        limit = sizes.get(str(positions[0]))
        for number, pixels, most, ppi in zip(
            (6, 7), (header.width, header.height), limit or (), header.ppi, strict=False
        ):
            if pixels is not None and pixels > (most + tolerance) / MM_PER_INCH * ppi:
                message = f"{pixels / ppi * MM_PER_INCH:.1f} mm, at most {most} mm for finger position {positions[0]}"
                yield record.problem(message, record.field(number), code=NUMBER_TOO_BIG)


def _wsq_ratio(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    most = profile.values["wsq_ratio"]
    for record in transaction.of_type(4, 13, 15):
        header, data = image_header(record), image_data(record)
        if header is None or not data or header.compression not in ("WSQ", "WSQ20"):
            continue
        ratio = (header.width or 0) * (header.height or 0) / len(data)
        # An encoder meets the ratio that it is told within some percent.
        if ratio > most * 1.05:
            message = f"compressed {ratio:.0f}:1, at most {most}:1 is allowed"
            yield record.problem(message, record.field(9 if record.type == 4 else 999))


def _scale(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    """Resolution, and the compression that goes with it."""
    allowed: dict[str, list[str]] = profile.values["compression"]
    for record in transaction.of_type(4, 13, 14, 15):
        header = image_header(record)
        if header is None or record.image is None:
            continue
        place = record.field(5 if record.type == 4 else 9)
        if header.ppi is None:
            if record.type != 4:
                yield record.problem("the resolution is not stated", place, code=INVALID_ITEM_VALUE)
            continue
        ppi = next((known for known in (500, 1000) if abs(header.ppi[0] - known) <= known / 50), None)
        names = allowed.get(str(ppi)) or (allowed.get("more") if header.ppi[0] > 510 else None)
        if names is None:
            message = f"{header.ppi[0]:.0f} ppi is not a resolution of {profile.name}"
            yield record.problem(message, place, code=INVALID_ITEM_VALUE)
        elif header.compression.replace("WSQ20", "WSQ") not in [name.replace("WSQ20", "WSQ") for name in names]:
            message = f"images of {header.ppi[0]:.0f} ppi are stored as {' or '.join(names)}"
            yield record.problem(message, record.field(8 if record.type == 4 else 11), code=INVALID_ITEM_VALUE)


def _result(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    """2.064 RLS of an SRE: type of the search, I or N, candidate number/total, score of a hit."""
    for record in transaction.of_type(2)[:1] if transaction.tot == "SRE" else ():
        field, values = record.field(64), [items[0] for items in record.text(64).subfields]
        if field is None:
            continue
        wanted = (
            (r"CPS|PMS|MPS|MMS", "the type of the search, CPS, PMS, MPS or MMS"),
            (r"[IN]", "I for a hit, N for none"),
            (r"[0-9]{3}/[0-9]{3}", "number/total of the candidate, 001/001"),
            (r"[0-9]{1,6}", "a score of up to 6 digits"),
        )
        hit = len(values) > 1 and values[1] == "I"
        if len(values) not in ((4,) if hit else (2, 3, 4)):
            yield record.problem("RLS has four subfields for a hit", field, code=INVALID_SUBFIELD_COUNT)
        for number, (value, (pattern, words)) in enumerate(zip(values, wanted, strict=False), 1):
            empty = not value and not hit and number > 2
            if not empty and not re.fullmatch(pattern, value):
                yield record.problem(f"this is {words}", field, number, 1, INVALID_ITEM_VALUE)
        images = [r for r in transaction.records if r.type in (4, 13, 15)]
        if hit and not images:
            yield record.problem("a hit is answered with the prints", field, code=MISSING_FINGERPRINTS)
        for image in () if hit or len(values) < 2 else images:
            yield image.problem("no hit, no prints", image.field(1), code=INVALID_RECORD_TYPE)


def _candidates(transaction: Transaction, profile: Profile) -> Iterator[Problem]:
    """2.320 ENC within the greatest number of candidates of the search."""
    rule = profile.transactions.get(transaction.tot)
    for record in transaction.of_type(2)[:1]:
        text = record.text(320)
        if rule is None or rule.candidates is None or not re.fullmatch(r"[0-9]{1,4}", text):
            continue
        if int(text) > rule.candidates:
            message = f"at most {rule.candidates} candidates in a {transaction.tot}"
            yield record.problem(message, record.field(320), code=NUMBER_TOO_BIG)


_CHECKS: Mapping[str, Callable[[Transaction, Profile], Iterator[Problem]]] = {
    "tcn": _tcn,
    "answer_names_request": _answer_names_request,
    "positions_once": _positions_once,
    "print_size": _print_size,
    "wsq_ratio": _wsq_ratio,
    "scale": _scale,
    "result": _result,
    "candidates": _candidates,
}
