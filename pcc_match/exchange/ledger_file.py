"""What is in a ledger's file: tables, keys, and what SQLite's errors mean. The ledger writes it, verify() reads it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pcc_match.errors import ExchangeError
from pcc_match.exchange.audit import AuditRecord, utc

APPLICATION: Final = 0x70636C31  # in the file's header: "pcl1"
QUOTA_DAYS: Final = 7  # how long past days' quotas are kept

SCHEMA: Final = (
    "CREATE TABLE records (number INTEGER PRIMARY KEY, keep_until TEXT, salt BLOB, content TEXT,"
    " digest BLOB NOT NULL, chain BLOB NOT NULL) STRICT",
    "CREATE INDEX records_always ON records (number) WHERE keep_until IS NULL",
    "CREATE INDEX records_due ON records (keep_until) WHERE content IS NOT NULL",
    "CREATE TABLE requests (key TEXT PRIMARY KEY, number INTEGER NOT NULL, repeat_until TEXT, answer BLOB) STRICT",
    "CREATE INDEX requests_number ON requests (number)",
    "CREATE INDEX requests_stored ON requests (repeat_until) WHERE answer IS NOT NULL",
    "CREATE TABLE quotas (day TEXT NOT NULL, key TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (day, key)) STRICT",
    "CREATE TABLE matches (number INTEGER NOT NULL, place INTEGER NOT NULL, state TEXT NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY (number, place)) STRICT",
    "CREATE TABLE heads (count INTEGER PRIMARY KEY, head TEXT NOT NULL) STRICT",
    # Tools and mistakes cannot change what is recorded; who writes past SQLite is found by verify().
    "CREATE TRIGGER records_stay BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'records are never removed'); END",
    "CREATE TRIGGER records_append_only BEFORE UPDATE ON records WHEN NEW.content IS NOT NULL OR NEW.salt IS NOT NULL"
    " OR OLD.keep_until IS NULL OR NEW.number <> OLD.number OR NEW.keep_until IS NOT OLD.keep_until"
    " OR NEW.digest <> OLD.digest OR NEW.chain <> OLD.chain"
    " BEGIN SELECT RAISE(ABORT, 'records are append-only'); END",
)

# States of a match and the event that leads from one to the next.
STATES: Final = {
    "confirmed": ("match", "hit"),
    "rejected": ("match", "rejected"),
    "core data": ("hit", "core data"),
}
FOLLOWED: Final = ("answered", "received")  # events whose matches are followed up


def connect(path: Path, mode: str, wait: float = 30) -> sqlite3.Connection:
    """A connection without transactions of its own. wait: seconds, for other processes that write."""
    if sqlite3.sqlite_version_info < (3, 37):
        raise ExchangeError(f"ledgers need SQLite 3.37 or later, this Python has {sqlite3.sqlite_version}")
    address = f"{path.absolute().as_uri()}?{mode}"
    return sqlite3.connect(address, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)


# ---- how things are written down


def runs(numbers: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as [first, last] of each run."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def of_runs(runs: Iterable[Sequence[int]]) -> Iterator[int]:
    """The numbers again."""
    return (number for first, last in runs for number in range(first, last + 1))


def request_key(record: AuditRecord, event: str | None = None) -> str:
    """Event, partner, category, request id; of an answer taken also its own id."""
    event = event or record.event
    parts = [event, record.partner, record.category, record.request_id]
    return json.dumps(parts + ([record.reply_id] if event == "received" else []))


def quota_key(record: AuditRecord) -> tuple[str, str]:
    """Day of receipt (UTC) and the rest of the key."""
    return utc(record.received_at)[:10], json.dumps([record.direction, record.partner, record.search_type])


# ---- what SQLite says, in words

_MEANING: Final = {
    "FULL": "the disk is full; nothing was recorded, so nothing may be answered: free space and try again",
    "IOERR": "the disk cannot be written or read; nothing was recorded, so nothing may be answered: look at the disk",
    "BUSY": "another process is writing to it for too long; nothing was recorded: try again",
    "LOCKED": "another process is writing to it for too long; nothing was recorded: try again",
    "READONLY": "it cannot be written; nothing was recorded: put its permissions right",
    "CANTOPEN": "it cannot be opened: see whether file and directory are there and may be written",
    "CORRUPT": "it is damaged; nothing was recorded: run `pcc-match exchange ledger verify`, restore it from a copy",
    "NOTADB": "not a ledger, or a damaged one: run `pcc-match exchange ledger verify`, restore it from a copy",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the system as ExchangeError."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        meaning = next((text for code, text in _MEANING.items() if name.startswith(f"SQLITE_{code}")), str(error))
        raise ExchangeError(f"{path}: {meaning} ({name or type(error).__name__})") from error
    except UnicodeDecodeError as error:  # in a message of SQLite that quotes the file
        raise ExchangeError(f"{path}: {_MEANING['CORRUPT']}") from error
    except OSError as error:
        raise ExchangeError(f"{path}: {error.strerror}") from error
