"""Whether a transaction keeps the rules: of the standard in its version, and of a profile."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pcc_match.itl import dictionary, profiles, rules
from pcc_match.itl.problems import INVALID_CHARACTER, INVALID_ITEM_VALUE, NUMBER_TOO_BIG, Problem
from pcc_match.itl.raster import RASTER_TYPES
from pcc_match.itl.records import Record, TaggedRecord

if TYPE_CHECKING:
    from pcc_match.itl.transaction import Transaction

# 1.002 of every version of the traditional encoding, and the year and name that it stands for.
VERSIONS = {
    200: "ANSI/NIST-CSL 1-1993",
    201: "ANSI/NIST-ITL 1a-1997",
    300: "ANSI/NIST-ITL 1-2000",
    400: "ANSI/NIST-ITL 1-2007",
    500: "ANSI/NIST-ITL 1-2011",
    501: "ANSI/NIST-ITL 1-2011 Update 2013",
    502: "ANSI/NIST-ITL 1-2011 Update 2015",
}
NEWEST = 502


def check(transaction: Transaction, profile: str | None, relaxed: Collection[str]) -> tuple[Problem, ...]:
    """See Transaction.check: findings by position, one for each place."""
    chosen = None if profile is None else profiles.profile(profile)
    found = list(transaction.problems)
    found.extend(_standard(transaction, chosen))
    if chosen is not None:
        found.extend(profiles.profile_findings(transaction, chosen, relaxed))
    places: dict[object, Problem] = {}
    for problem in found:
        place = problem.record, problem.type, problem.field, problem.subfield, problem.item
        # What reading found says more than the table about the same item; several rules may meet in a whole record.
        places.setdefault(place if problem.field is not None else (place, problem.message), problem)
    return tuple(sorted(places.values(), key=lambda problem: problem.offset or 0))


def _standard(transaction: Transaction, profile: profiles.Profile | None) -> Iterator[Problem]:
    version = transaction.version
    if version not in VERSIONS:
        if profile is None:
            header = transaction.header
            yield header.problem("the version is none of the standard", header.field(2), code=INVALID_ITEM_VALUE)
        version = NEWEST
    for record in transaction.records:
        rule = dictionary.record_rule(record.type)
        if rule is None:
            continue
        if profile is not None:
            rule = profile.record_rule(rule)
        if record.type == 2 and (profile is None or 2 not in profile.fields):
            rule = replace(rule, fields={number: rule.fields[number] for number in (1, 2)})
        yield from rules.record_findings(record, rule, version or NEWEST)
        if record.type in RASTER_TYPES:
            yield from rules.raster_findings(record)
        if record.type == 9:
            yield from _minutiae_findings(record)
        if isinstance(record, TaggedRecord) and not transaction.charset.declared:
            yield from _ascii_findings(record)


def _ascii_findings(record: TaggedRecord) -> Iterator[Problem]:
    for field in record.fields:
        if isinstance(field.raw, bytes) and not field.raw.isascii():
            message = "characters beyond 7-bit ASCII, but 1.015 declares no character set"
            yield record.problem(message, field, code=INVALID_CHARACTER)


def _minutiae_findings(record: Record) -> Iterator[Problem]:
    """9.137: numbered from 1, inside the image that 9.128 and 9.129 state."""
    field = record.field(137)
    if field is None:
        return
    minutiae = record.minutiae("m1")
    width, height = minutiae.frame.width, minutiae.frame.height
    for number, original in enumerate(minutiae.originals, 1):
        index, x, y = (int(original[place]) for place in range(3))
        if index != number:
            yield record.problem(f"minutia {number} has the index {index}", field, number, 1, INVALID_ITEM_VALUE)
            break
        if (width is not None and x >= width) or (height is not None and y >= height):
            yield record.problem(f"the minutia lies outside {width} x {height}", field, number, 2, NUMBER_TOO_BIG)
            break
