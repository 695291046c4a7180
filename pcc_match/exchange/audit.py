"""Audit records: what Decision 2008/615/JHA Art. 30, PCC SEE Art. 17 and Regulation (EU) 2024/982 Arts. 18, 33, 40 ask.

A record is kept as one text of JSON. Its digest is salted: once text and salt are deleted, the digest says nothing
about what they were. The digests form a chain, so a record can be deleted but not exchanged.
"""

import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, Self

from pcc_match.errors import ExchangeError

# What may have happened, and whether the node was asked ("in") or asks ("out").
EVENTS: Final = {
    "answered": ("in",),  # an answer was made and stored
    "repeated": ("in",),  # the stored answer was given again
    "refused": ("in", "out"),  # a message that was not served or not taken
    "asked": ("out",),  # a request was made
    "received": ("out",),  # its answer was taken
    "confirmed": ("in", "out"),  # an expert confirmed a match: it is a hit now
    "rejected": ("in", "out"),  # an expert rejected it
    "core data": ("in", "out"),  # core personal data of a hit were released (in) or received (out)
}
PARTIES: Final = ("person", "trace")
CATEGORIES: Final = ("dna", "dactyloscopic", "vehicles", "unknown")  # unknown: of a refused message that is no message

START: Final = bytes(32)  # the chain before its first record


@dataclass(frozen=True, repr=False)
class AuditMatch:
    """One match of an answer: whose data were compared, by reference number.

    quality    1-4 of a DNA match
    score      comparison score of a dactyloscopic match
    """

    asked: str
    asked_is: str  # one of PARTIES
    found: str
    found_is: str
    quality: int | None = None
    score: int | None = None

    def __post_init__(self) -> None:
        for party in (self.asked_is, self.found_is):
            if party not in PARTIES:
                raise ExchangeError(f"audit record: {party!r} is none of {', '.join(PARTIES)}")

    def __repr__(self) -> str:
        return f"AuditMatch({self.asked_is}-{self.found_is})"


@dataclass(frozen=True, repr=False, kw_only=True)
class AuditRecord:
    """One supply, receipt, refusal or decision. Times are UTC; texts that do not apply stay empty.

    received_at      when the message came in; "asked": when the request was made; decisions: when they were made
    answered_at      when the answer was given
    searches         how many searches it counts for in the day's quota (profiles, transactions, queries)
    data_supplied    Art. 30(2)(b)(i): the data themselves, or the reference numbers that lead to them
    match            number of the match that a decision is about, as Ledger.matches() gives it
    retention_years  2 (2008/615 Art. 30(4), PCC SEE Art. 17) or 3 (2024/982 Art. 40): data of the treaty set
    """

    event: str
    direction: str
    treaty: str
    partner: str
    category: str
    search_type: str
    request_id: str
    received_at: datetime
    retention_years: int
    reply_id: str = ""
    answered_at: datetime | None = None
    searches: int = 0
    data_supplied: tuple[str, ...] = ()
    searching_body: str = ""
    administering_body: str = ""
    matches: tuple[AuditMatch, ...] = ()
    refusal: str = ""
    reason: str = ""
    case_reference: str = ""
    officer_searching: str = ""
    officer_ordering: str = ""
    justification: Mapping[str, str] = field(default_factory=dict)  # 2024/982 Art. 33
    match: str = ""
    event_id: str = field(default_factory=lambda: new_id())

    def __post_init__(self) -> None:
        if self.direction not in EVENTS.get(self.event, ()):
            raise ExchangeError(f"audit record: no event {self.event!r} in direction {self.direction!r}")
        if self.category not in CATEGORIES:
            raise ExchangeError(f"audit record: category {self.category!r} is none of {', '.join(CATEGORIES)}")
        if self.retention_years < 1 or self.searches < 0:
            raise ExchangeError("audit record: retention_years and searches are whole numbers from 1 and from 0")
        for time in (self.received_at, self.answered_at):
            if time is not None and time.tzinfo is None:
                raise ExchangeError(f"audit record: {time} has no time zone: give times in UTC")
        if self.answered_at is not None and self.answered_at < self.received_at:
            raise ExchangeError("audit record: answered before it was received: look at the clocks")

    def __repr__(self) -> str:  # nothing that leads to a person
        return f"AuditRecord({self.event}, {self.direction}, {self.category}, {self.partner}, {self.event_id})"

    @property
    def at(self) -> datetime:
        """When it was complete; the retention clock starts here."""
        return self.answered_at or self.received_at

    @property
    def keep_until(self) -> datetime:
        """When it is to be deleted."""
        at = self.at.astimezone(UTC)
        try:
            return at.replace(year=at.year + self.retention_years)
        except ValueError:  # 29 February
            return at.replace(year=at.year + self.retention_years, month=3, day=1)

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        return vars(self) | {
            "received_at": utc(self.received_at),
            "answered_at": self.answered_at and utc(self.answered_at),
            "matches": [vars(match) for match in self.matches],
            "justification": dict(self.justification),
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """From content() or the text of a ledger; keys of the ledger's own are left out."""
        values = {field.name: content[field.name] for field in fields(cls)}
        values["received_at"] = datetime.fromisoformat(values["received_at"])
        values["answered_at"] = values["answered_at"] and datetime.fromisoformat(values["answered_at"])
        values["data_supplied"] = tuple(values["data_supplied"])
        values["matches"] = tuple(AuditMatch(**match) for match in values["matches"])
        return cls(**values)


def utc(time: datetime) -> str:
    """In a form that sorts by time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(content: Mapping[str, Any]) -> str:
    """The one text of JSON for a content: ASCII, keys sorted."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def new_id() -> str:
    return uuid.uuid4().hex


def new_salt() -> bytes:
    return secrets.token_bytes(16)


def salted(salt: bytes, data: bytes) -> bytes:
    return hashlib.sha256(salt + data).digest()


def chained(before: bytes, number: int, keep_until: str | None, digest: bytes) -> bytes:
    """The chain's value after a record: covers its place, its retention clock and its digest."""
    return hashlib.sha256(before + f"{number} {keep_until or 'always'} ".encode() + digest).digest()
