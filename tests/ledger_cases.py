"""Audit records for the tests of the ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pcc_match.exchange.audit import AuditMatch, AuditRecord
from pcc_match.exchange.ledger import Ledger

NOON = datetime(2040, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
MATCH = AuditMatch("AT-S-1", "trace", "DE-P-7", "person", quality=1)


def record(event: str = "answered", **values: Any) -> AuditRecord:
    given = {
        "direction": "out" if event in ("asked", "received") else "in",
        "treaty": "eu-2008-616",
        "partner": "AT",
        "category": "dna",
        "search_type": "3",
        "request_id": "r1",
        "received_at": NOON,
        "retention_years": 2,
        "searches": 1 if event in ("answered", "asked") else 0,
    }
    return AuditRecord(event=event, **(given | values))


def answer(ledger: Ledger, request_id: str = "r1", *, quota: int | None = None, **values: Any) -> bytes:
    """Answers b"message" with b"answer to ID"."""
    made = record(request_id=request_id, **values)
    return ledger.answer(made, b"message", f"answer to {request_id}".encode(), repeat_window=DAY, quota=quota)


def events(ledger: Ledger) -> list[str]:
    return [entry.content["event"] if entry.content else "deleted" for entry in ledger.entries()]


def problems(path: Path, head: Any = None) -> list[str]:
    return [str(problem) for problem in Ledger.verify(path, head)]
