"""The field tables of the standard as data: record types, fields, items, the codes they may take (tables/*.toml)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# Every record type of ANSI/NIST-ITL 1-2011 Update 2015; known here so that reading loads no table.
RECORD_TYPES = frozenset((*range(1, 23), 98, 99))
_TABLES = ("transaction", "binary", "minutiae", "image", "other")
_UNBOUNDED = 10**9


@dataclass(frozen=True)
class Codes:
    """The values a field may take: codes as written, and ranges of numbers (inclusive)."""

    words: frozenset[str]
    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, text: str) -> bool:
        if text in self.words:
            return True
        return text.isascii() and text.isdigit() and len(text) < 10 and any(a <= int(text) <= b for a, b in self.ranges)

    def __str__(self) -> str:
        return ", ".join([f"{a}-{b}" if a < b else str(a) for a, b in self.ranges] + sorted(self.words))


@dataclass(frozen=True)
class ItemRule:
    """What one item may hold.

    characters  N digits, A letters, AN letters and digits, ANS printable ASCII, NS number, H hex, D date, Z GMT,
                U text, B bytes
    length      least and greatest number of characters
    """

    mnemonic: str
    mandatory: bool
    characters: str
    length: tuple[int, int]
    codes: Codes | None = None
    range: tuple[int, int] | None = None
    repeats: bool = False
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True)
class FieldRule:
    """What one field may hold, in at most `subfields` subfields.

    condition   M mandatory, O optional, D dependent on others, L legacy
    """

    number: int
    mnemonic: str
    condition: str
    subfields: int
    items: tuple[ItemRule, ...]
    since: int = 0

    @property
    def single(self) -> bool:
        return len(self.items) == 1 and not self.items[0].repeats


@dataclass(frozen=True)
class RecordRule:
    """A record type: its fields by number; `open` where the standard has fields that the table does not list."""

    type: int
    name: str
    open: bool
    fields: Mapping[int, FieldRule] = field(repr=False)
    numbers: Mapping[str, tuple[int, ...]] = field(repr=False)


def record_rule(type: int) -> RecordRule | None:
    """The table of a record type, None for a type that the standard does not have."""
    return _rules().get(type)


def mnemonic(type: int, number: int) -> str:
    """Short name of a field, "" where the table has none."""
    rule = _rules().get(type)
    found = rule.fields.get(number) if rule is not None else None
    return "" if found is None else found.mnemonic


def numbers(type: int, mnemonic: str) -> tuple[int, ...]:
    """Numbers of the fields with that short name (any case): Type-9 has FGP, MIN and MRC in two of its blocks."""
    rule = _rules().get(type)
    return () if rule is None else rule.numbers.get(mnemonic.upper(), ())


def is_ascii(type: int, number: int) -> bool:
    """Whether every item of the field is ASCII by the standard, whatever character set the transaction declares."""
    rule = _rules().get(type)
    found = rule.fields.get(number) if rule is not None else None
    return found is not None and all(item.characters != "U" for item in found.items)


def parse_codes(values: list[str]) -> Codes:
    words, ranges = set(), []
    for value in values:
        low, dots, high = value.partition("..")
        if dots:
            ranges.append((int(low), int(high)))
        elif value.isdigit() and (value == "0" or value[0] != "0"):
            ranges.append((int(value), int(value)))
        else:
            words.add(value)  # a number written with leading zeros means just that: 0300
    return Codes(frozenset(words), tuple(ranges))


def parse_item(row: str, codes: Mapping[str, Codes]) -> ItemRule:
    """An item from a row "MNEMONIC condition characters length options"."""
    name, condition, characters, length, *options = row.split()
    low, dash, high = length.partition("-")
    values: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        if key == "codes":
            values["codes"] = codes[value]
        elif key == "range":
            a, _, b = value.partition("..")
            values["range"] = (int(a), int(b))
        elif key == "values":
            values["codes"] = parse_codes(value.split("|"))
        elif key == "re":
            values["pattern"] = re.compile(value)
        elif key == "more":
            values["repeats"] = True
        elif key != "since":
            raise ValueError(f"unknown option {option!r} in the row {row!r}")
    limit = int(low) if not dash else _UNBOUNDED if high == "*" else int(high)
    return ItemRule(name, condition == "M", characters, (int(low), limit), **values)


def parse_field(number: int, row: str | list[str], codes: Mapping[str, Codes]) -> FieldRule:
    """A field from its row, or from a list of its head and the rows of its items (see tables/transaction.toml)."""
    head = (row if isinstance(row, str) else row[0]).split()
    name, condition, subfields = head[:3]
    since = next((int(option[6:]) for option in head if option.startswith("since=")), 0)
    items: tuple[ItemRule, ...]
    if isinstance(row, str):
        items = (parse_item(" ".join([name, "M" if condition == "M" else "O", *head[3:]]), codes),)
    else:
        items = tuple(parse_item(item, codes) for item in row[1:])
    limit = _UNBOUNDED if subfields == "*" else int(subfields)
    return FieldRule(number, name, condition, limit, items, since)


@cache
def codes() -> Mapping[str, Codes]:
    """All lists of codes.toml by name."""
    return MappingProxyType({name: parse_codes(values) for name, values in _load("codes").items()})


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(files("pcc_match.itl").joinpath("tables", f"{name}.toml").read_text("utf-8"))


@cache
def _rules() -> Mapping[int, RecordRule]:
    tables = [_load(name) for name in _TABLES]
    groups: dict[str, dict[str, Any]] = {}
    for table in tables:
        groups.update(table.get("groups", {}))
    rules = {}
    for table in tables:
        for key, entry in table["types"].items():
            rows: dict[str, Any] = {}
            for group in entry.get("groups", ()):
                rows.update(groups[group])
            rows.update(entry.get("fields", {}))
            fields = {int(n): parse_field(int(n), row, codes()) for n, row in sorted(rows.items())}
            names: dict[str, tuple[int, ...]] = {}
            for n, rule in fields.items():
                names[rule.mnemonic] = (*names.get(rule.mnemonic, ()), n)
            rules[int(key)] = RecordRule(int(key), entry["name"], entry.get("open", False), fields, names)
    return MappingProxyType(rules)
