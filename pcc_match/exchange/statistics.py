"""What a node reports each year: 2008/616/JHA Art. 21, and Regulation (EU) 2024/982 Art. 72."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pcc_match.exchange.ledger import Entry


@dataclass(frozen=True)
class Exchanged:
    """A year's exchange with one partner in one category and direction ("in": the partner asked).

    matches     by type: "person-trace" is a person's data that matched a trace of the other side, and so on
    confirmed   matches that an expert confirmed in the year: with core personal data supplied since, or without
    """

    partner: str
    category: str
    direction: str
    requests: int = 0
    searches: int = 0
    repeated: int = 0
    refused: int = 0
    matches: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    confirmed_with_core_data: int = 0
    confirmed_without_core_data: int = 0


@dataclass(frozen=True)
class Year:
    """The rows, by partner, category and direction; `gone`: deleted records that may have been of this year."""

    year: int
    rows: tuple[Exchanged, ...]
    gone: int


MATCH_TYPES = ("person-trace", "trace-person", "trace-trace", "person-person")


def statistics(entries: Iterable[Entry], year: int) -> Year:
    """Of a year (UTC), from the records of a ledger: Ledger.entries()."""
    counts: Counter[tuple[str, str, str, str]] = Counter()  # partner, category, direction, what
    confirmed: dict[str, tuple[str, str, str]] = {}
    supplied: set[str] = set()
    gone = 0
    for entry in entries:
        record = entry.record
        if record is None:
            gone += entry.content is None and int((entry.keep_until or "0")[:4]) > year
            continue
        if record.event == "core data":
            supplied.add(record.match)
        if record.at.year != year:
            continue
        key = (record.partner, record.category, record.direction)
        match record.event:
            case "answered" | "asked":
                counts[*key, "requests"] += 1
                counts[*key, "searches"] += record.searches
            case "repeated" | "refused" | "rejected":
                counts[*key, record.event] += 1
            case "confirmed":
                confirmed[record.match] = key
        if record.event in ("answered", "received"):
            counts.update((*key, f"{match.asked_is}-{match.found_is}") for match in record.matches)
    for match, key in confirmed.items():
        counts[*key, f"confirmed_{'with' if match in supplied else 'without'}_core_data"] += 1
    rows = []
    for key in sorted({key[:3] for key in counts}):
        values: dict[str, Any] = {what: number for (*row, what), number in counts.items() if tuple(row) == key}
        matches = {name: values.pop(name, 0) for name in MATCH_TYPES}
        rows.append(Exchanged(*key, matches=matches, **values))
    return Year(year, tuple(rows), gone)
