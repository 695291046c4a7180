"""The ledger of a node: what was asked, answered, refused, decided; one SQLite file that any number of processes use.

A message is accounted for in one durable transaction: quota, request, stored answer and audit record. A kill at any
moment leaves all of it or nothing; nobody gets an answer before it is on disk.

    records    audit records, append-only; text and salt of a deleted one are gone, its digest stays in the chain
    requests   key of each message answered, asked or received -> its record; the answer, while it may be repeated
    quotas     searches of a day, per partner and type
    matches    state of each match: match, then hit or rejected, then core data
    heads      signed heads, one at each checkpoint

All but the heads follows from the records: verify() derives it again. The file must lie on a local disk (WAL).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TextIO

from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import START, AuditRecord, canonical, chained, new_id, new_salt, salted, utc
from pcc_match.exchange.heads import Head, public_key, read_key
from pcc_match.exchange.ledger_file import (
    APPLICATION,
    FOLLOWED,
    QUOTA_DAYS,
    SCHEMA,
    STATES,
    connect,
    explained,
    of_runs,
    quota_key,
    request_key,
    runs,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from pcc_match.exchange.verify import LedgerProblem


class Entry(NamedTuple):
    """A record in its place. content is None once it is deleted; control records ("opened", "purged", ...) have no
    retention clock and no AuditRecord."""

    number: int
    keep_until: str | None
    content: dict[str, Any] | None

    def __repr__(self) -> str:  # nothing that leads to a person
        return f"Entry({self.number}, {self.content['event'] if self.content else 'deleted'})"

    @property
    def record(self) -> AuditRecord | None:
        """The audit record, if this holds one."""
        return None if self.content is None or self.keep_until is None else AuditRecord.from_content(self.content)


@dataclass(frozen=True)
class HeldMatch:
    """A match in its present state; `record` is the answer it came with, `decided` the last decision."""

    id: str
    state: str
    record: AuditRecord
    place: int  # in record.matches
    decided: AuditRecord | None


class Ledger:
    """Opened by open(); safe to use from several threads and processes."""

    def __init__(self, path: Path, db: sqlite3.Connection, key: Ed25519PrivateKey | None) -> None:
        self.path = path
        self._db = db
        self._key = key
        self._thread = threading.RLock()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        key: str | os.PathLike[str] | Ed25519PrivateKey | None = None,
        create: bool = False,
        wait: float = 30,
    ) -> Self:
        """key: Ed25519 private key (or its PEM file) that signs the heads; without one they are not signed.
        create: make the ledger if there is none. wait: seconds to wait for other processes that write.
        """
        path = Path(path)
        key = None if key is None else read_key(key)
        with explained(path):
            if create:
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
                    _sync(path.absolute().parent)
            elif not path.is_file():
                raise ExchangeError(f"{path}: there is no such ledger: create it first")
            db = connect(path, "mode=rw", wait)
            try:
                for pragma in (
                    "journal_mode = WAL",
                    "synchronous = FULL",
                    "secure_delete = ON",
                    "trusted_schema = OFF",
                ):
                    db.execute(f"PRAGMA {pragma}")
                ledger = cls(path, db, key)
                ledger._prepare(create)
            except BaseException:
                db.close()
                raise
        return ledger

    def _prepare(self, create: bool) -> None:
        """Makes the tables in a new file; refuses what is not a ledger, or one of another key."""
        with self._change() as db:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if empty and create and application == 0:
                for statement in SCHEMA:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                self._control("opened", datetime.now(UTC), ledger=new_id())
            elif application != APPLICATION or empty:
                raise ExchangeError(f"{self.path}: not a ledger of this library: give the path of one, or a new path")
            signer = self._signer()
            if self._key is not None and signer is None:
                self._control("signer", datetime.now(UTC), public_key=public_key(self._key))
            elif self._key is not None and signer != public_key(self._key):
                raise ExchangeError(f"{self.path}: this ledger is signed with another key: open it with that one")

    def close(self) -> None:
        """Signs the head and brings all into one file, unless other processes still use it."""
        with self._thread, explained(self.path):
            try:
                self.checkpoint()
            finally:
                self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    @staticmethod
    def verify(path: str | os.PathLike[str], head: Head | None = None) -> list[LedgerProblem]:
        """What is wrong with a ledger; empty if every record is as it was written and nothing is missing.

        Finds each record that was changed, removed, inserted, moved, or deleted before its time; with a head that was
        kept elsewhere, also an end that was cut off. Each stored answer, quota and state of a match must follow from
        the records; the file's structure is checked by SQLite. Nothing is written.
        """
        from pcc_match.exchange.verify import verify

        return verify(Path(path), head)

    # ---- messages

    def repeat(self, record: AuditRecord, message: bytes, *, quota: int | None = None) -> bytes | None:
        """The stored answer if this very message was answered before and may be repeated; None if it is new.

        Ask this before the search. `record` is what answer() would get, without results; the repetition is recorded
        with the results of the first time. RefusalError: the id came with another message, or the answer is gone, or
        the message is new and the day's quota is used up; that is recorded, too.
        """
        self._require(record, "answered")
        with self._change() as db:
            outcome = self._known(db, record, message)
            if outcome is None:
                outcome = self._over_quota(record, quota)
        return _outcome(outcome)

    def answer(
        self, record: AuditRecord, message: bytes, answer: bytes, *, repeat_window: timedelta, quota: int | None = None
    ) -> bytes:
        """Accounts for an answer and returns it; only then may it leave.

        `record.searches` count for the day of receipt; quota: the most that the day may see, None: any number. Where
        another process answered the same message in the meantime, its answer is returned. RefusalError as repeat(), and
        if the quota is used up.
        """
        self._require(record, "answered")
        until = utc(record.received_at + repeat_window)
        with self._change() as db:
            outcome = self._known(db, record, message)
            if outcome is None:
                outcome = self._over_quota(record, quota)
            if outcome is None:
                number = self._append(record, message, {"answer": answer}, repeat_until=until)
                key = request_key(record)
                db.execute("INSERT INTO requests VALUES (?, ?, ?, ?)", (key, number, until, answer))
                outcome = answer
        given = _outcome(outcome)
        assert given is not None
        return given

    def ask(self, record: AuditRecord, message: bytes, *, quota: int | None = None) -> int:
        """Accounts for a request before it leaves; the number of its record.

        quota: what the partner has declared for the day (2008/616 Art. 13). RefusalError: the quota is used up, or the
        request id is taken.
        """
        self._require(record, "asked")
        number = 0
        with self._change() as db:
            key = request_key(record)
            outcome: bytes | RefusalError | None = None
            if db.execute("SELECT 1 FROM requests WHERE key = ?", (key,)).fetchone():
                outcome = self._refuse(record, "other message", "this request id has been used: take a new one")
            outcome = outcome or self._over_quota(record, quota)
            if outcome is None:
                number = self._append(record, message)
                db.execute("INSERT INTO requests VALUES (?, ?, NULL, NULL)", (key, number))
        _outcome(outcome)
        return number

    def receive(self, record: AuditRecord, message: bytes) -> list[str]:
        """Accounts for the answer to a request of ours; the ids of its matches. An answer taken before gives the same.

        RefusalError: no such request was made, or this reply id came with another answer.
        """
        self._require(record, "received")
        ids: list[str] = []
        outcome: bytes | RefusalError | None = None
        with self._change() as db:
            key = request_key(record)
            known = db.execute("SELECT number FROM requests WHERE key = ?", (key,)).fetchone()
            if not db.execute("SELECT 1 FROM requests WHERE key = ?", (request_key(record, "asked"),)).fetchone():
                outcome = self._refuse(record, "other message", "it answers a request that was not made")
            elif known is None:
                number = self._append(record, message)
                db.execute("INSERT INTO requests VALUES (?, ?, NULL, NULL)", (key, number))
                ids = [f"{number}.{place}" for place in range(1, len(record.matches) + 1)]
            else:
                salt, content = self._stored(known[0])
                if salted(salt, message).hex() != content["message"]:
                    outcome = self._refuse(record, "other message", "this answer came before, with another content")
                else:
                    ids = [f"{known[0]}.{place}" for place in range(1, len(content["matches"]) + 1)]
        _outcome(outcome)
        return ids

    def append(self, record: AuditRecord) -> int:
        """Records what needs no more than a record: a refusal that was decided elsewhere. Its number."""
        self._require(record, "refused")
        with self._change():
            return self._append(record)

    def used(self, record: AuditRecord) -> int:
        """Searches that the quota of the record's partner, search type and day has seen."""
        with self._thread, explained(self.path):
            return self._used(record)

    def asked(self, partner: str, category: str, request_id: str) -> AuditRecord | None:
        """The record of a request of ours."""
        with self._thread, explained(self.path):
            key = json.dumps(["asked", partner, category, request_id])
            row = self._db.execute("SELECT number FROM requests WHERE key = ?", (key,)).fetchone()
            return None if row is None else AuditRecord.from_content(self._stored(row[0])[1])

    # ---- matches

    def decide(self, id: str, record: AuditRecord) -> int:
        """Takes a match to its next state: a record of event "confirmed", "rejected" or "core data". Its number."""
        self._require(record, *STATES)
        before, after = STATES[record.event]
        with self._change() as db:
            held = self.match(id)
            if held.state != before:
                raise ExchangeError(
                    f"{self.path}: match {id} is in state {held.state!r}: {record.event} needs {before!r}"
                )
            if record.at < held.record.at:
                raise ExchangeError(f"{self.path}: match {id} came after this decision: look at the clocks")
            years = max(record.retention_years, held.record.retention_years)  # not deleted before what it decides
            number = self._append(replace(record, match=id, retention_years=years))
            db.execute(
                "UPDATE matches SET state = ?, last = ? WHERE number = ? AND place = ?", (after, number, *_split(id))
            )
        return number

    def match(self, id: str) -> HeldMatch:
        """The match with this id."""
        found = self._matches("WHERE number = ? AND place = ?", _split(id))
        if found:
            return found[0]
        raise ExchangeError(
            f"{self.path}: there is no match {id}: its record may have been deleted when its time was up"
        )

    def matches(self, state: str | None = None) -> list[HeldMatch]:
        """All matches, or those in one state: "match", "hit", "rejected", "core data"."""
        return self._matches("WHERE ? IN (state, '')", [state or ""])

    def _matches(self, where: str, values: Sequence[Any]) -> list[HeldMatch]:
        held = []
        with self._thread, explained(self.path):
            query = f"SELECT number, place, state, last FROM matches {where} ORDER BY number, place"
            for number, place, state, last in self._db.execute(query, values).fetchall():
                record = AuditRecord.from_content(self._stored(number)[1])
                decided = None if last == number else AuditRecord.from_content(self._stored(last)[1])
                held.append(HeldMatch(f"{number}.{place}", state, record, place - 1, decided))
        return held

    # ---- retention

    def hold(self, numbers: Iterable[int], reason: str) -> None:
        """Legal hold: these records stay, whatever their clock says. reason: who ordered it, and its reference."""
        self._set_hold("hold", numbers, reason)

    def lift(self, numbers: Iterable[int], reason: str) -> None:
        """Ends a legal hold."""
        self._set_hold("hold lifted", numbers, reason)

    def held(self) -> set[int]:
        """Numbers of the records under legal hold."""
        held: set[int] = set()
        with self._thread, explained(self.path):
            for (text,) in self._db.execute("SELECT content FROM records WHERE keep_until IS NULL ORDER BY number"):
                content = json.loads(text)
                if content["event"] == "hold":
                    held.update(of_runs(content["numbers"]))
                elif content["event"] == "hold lifted":
                    held.difference_update(of_runs(content["numbers"]))
        return held

    def _set_hold(self, event: str, numbers: Iterable[int], reason: str) -> None:
        numbers = sorted(set(numbers))
        with self._change() as db:
            for number in numbers:
                found = db.execute("SELECT content FROM records WHERE number = ?", (number,)).fetchone()
                if found is None or found[0] is None:
                    raise ExchangeError(f"{self.path}: there is no record {number} to hold, or it is deleted")
            self._control(event, datetime.now(UTC), numbers=runs(numbers), reason=reason)

    def purge(self, now: datetime | None = None) -> int:
        """Deletes what is due: records whose time is up, answers that may not be repeated any more. How many records.

        What is deleted is overwritten in the file. The deletion is a record itself, which names the numbers.
        """
        now = now or datetime.now(UTC)
        due: list[int] = []
        with self._change() as db:
            held = self.held()
            query = "SELECT number, content FROM records WHERE content IS NOT NULL AND keep_until <= ? ORDER BY number"
            for number, text in db.execute(query, (utc(now),)).fetchall():
                match = json.loads(text)["match"]
                if number not in held and not (match and _split(match)[0] in held):
                    due.append(number)
            rows = [(number,) for number in due]
            db.executemany("UPDATE records SET salt = NULL, content = NULL WHERE number = ?", rows)
            db.executemany("DELETE FROM requests WHERE number = ?", rows)
            db.executemany("DELETE FROM matches WHERE number = ?", rows)
            days = (now.astimezone(UTC).date() - timedelta(QUOTA_DAYS)).isoformat()
            quotas = db.execute("DELETE FROM quotas WHERE day < ?", (days,)).rowcount
            if self._forget_answers(now) or due or quotas:
                self._control("purged", now, numbers=runs(due), quotas_before=days)
        with self._thread, explained(self.path):
            if not self._into_one_file():
                raise ExchangeError(
                    f"{self.path}: {len(due)} records are deleted, but {self.path.name}-wal may still hold them while "
                    "another process reads the ledger: purge again when it has ended"
                )
        return len(due)

    # ---- account

    def entries(self) -> Iterator[Entry]:
        """All records in order, as they were when this was called."""
        with self._thread, explained(self.path):
            last = self._last()[0]
        for number in range(1, last + 1):
            with self._thread, explained(self.path):
                query = "SELECT number, keep_until, content FROM records WHERE number = ?"
                number, keep_until, text = self._db.execute(query, (number,)).fetchone()
            yield Entry(number, keep_until, None if text is None else json.loads(text))

    def head(self) -> Head:
        """The present head, signed."""
        with self._thread, explained(self.path):
            return self._head(*self._last())

    def checkpoint(self) -> None:
        """Signs the head (with a key) and moves everything from the write-ahead log into the file."""
        try:
            if self._key is not None:
                with self._change() as db:
                    count, chain = self._last()
                    if not db.execute("SELECT 1 FROM heads WHERE count = ?", (count,)).fetchone():
                        db.execute("INSERT INTO heads VALUES (?, ?)", (count, self._head(count, chain).text()))
            with self._thread, explained(self.path):
                self._into_one_file()
        except ExchangeError as error:
            log = f"{self.path.name}-wal"
            raise ExchangeError(
                f"{error}. Everything recorded before is safe: keep {self.path.name} and {log}, its write-ahead log, "
                "together; they become one file when the ledger is closed the next time"
            ) from error

    def export(self, file: TextIO, *, since: datetime | None = None, until: datetime | None = None) -> Head:
        """Writes the records for a supervisory authority: a line of JSON each, the signed head last.

        Records outside since <= time < until are there without content, so that the chain can be followed. The head's
        export_sha256 is that of all lines before it. The export is recorded.
        """
        now = datetime.now(UTC)
        with self._change():
            period = {name: utc(time) for name, time in (("since", since), ("until", until)) if time}
            self._control("exported", now, **period)
            count, chain = self._last()
        sha256 = hashlib.sha256()

        def write(content: dict[str, Any]) -> None:
            line = canonical(content) + "\n"
            sha256.update(line.encode())
            file.write(line)

        held = self.held()
        write({"pcc_match": "ledger export", "ledger": self._id(), "records": count, "at": utc(now)} | period)
        for number in range(1, count + 1):
            with self._thread, explained(self.path):
                query = "SELECT keep_until, salt, content, digest, chain FROM records WHERE number = ?"
                keep_until, salt, text, digest, link = self._db.execute(query, (number,)).fetchone()
            line = {"number": number, "keep_until": keep_until, "digest": digest.hex(), "chain": link.hex()}
            content = None if text is None else json.loads(text)
            if content is None:
                write(line | {"deleted": True})
            elif keep_until is None or _within(AuditRecord.from_content(content).at, since, until):
                write(line | {"salt": salt.hex(), "content": text, "legal_hold": number in held})
            else:
                write(line)
        head = replace(self._head(count, chain), export_sha256=sha256.hexdigest()).sign(self._key)
        file.write(head.text() + "\n")
        return head

    # ---- within a transaction

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._thread, explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _require(self, record: AuditRecord, *events: str) -> None:
        if record.event not in events:
            raise ExchangeError(f"{self.path}: a record of {record.event!r}; this takes {', '.join(map(repr, events))}")

    def _last(self) -> tuple[int, bytes]:
        row = self._db.execute("SELECT number, chain FROM records ORDER BY number DESC LIMIT 1").fetchone()
        return row or (0, START)

    def _insert(self, content: dict[str, Any], keep_until: str | None, salt: bytes) -> int:
        number, before = self._last()
        number += 1
        text = canonical(content | {"number": number})
        digest = salted(salt, text.encode())
        chain = chained(before, number, keep_until, digest)
        row = (number, keep_until, salt, text, digest, chain)
        self._db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
        return number

    def _control(self, event: str, at: datetime, **content: Any) -> int:
        return self._insert({"event": event, "at": utc(at)} | content, None, new_salt())

    def _append(
        self,
        record: AuditRecord,
        message: bytes | None = None,
        also: dict[str, bytes] | None = None,
        repeat_until: str | None = None,
    ) -> int:
        """Appends a record, with salted digests of the message and what else is given, and what follows from it."""
        salt = new_salt()
        content = record.content()
        for name, data in ({} if message is None else {"message": message} | (also or {})).items():
            content[name] = salted(salt, data).hex()
        if repeat_until:
            content["repeat_until"] = repeat_until
        number = self._insert(content, utc(record.keep_until), salt)
        if record.searches:
            self._db.execute(
                "INSERT INTO quotas VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET used = used + excluded.used",
                (*quota_key(record), record.searches),
            )
        if record.event in FOLLOWED:
            places = range(1, len(record.matches) + 1)
            self._db.executemany("INSERT INTO matches VALUES (?, ?, 'match', ?)", [(number, p, number) for p in places])
        self._forget_answers(record.at)
        return number

    def _forget_answers(self, now: datetime) -> int:
        """Deletes the answers that may not be repeated any more; how many."""
        update = "UPDATE requests SET answer = NULL WHERE answer IS NOT NULL AND repeat_until < ?"
        return self._db.execute(update, (utc(now),)).rowcount

    def _known(self, db: sqlite3.Connection, record: AuditRecord, message: bytes) -> bytes | RefusalError | None:
        row = db.execute("SELECT number, repeat_until, answer FROM requests WHERE key = ?", (request_key(record),))
        found = row.fetchone()
        if found is None:
            return None
        number, repeat_until, answer = found
        salt, content = self._stored(number)
        if salted(salt, message).hex() != content["message"]:
            return self._refuse(record, "other message", "this request id came before, with another message")
        if answer is None or utc(record.received_at) > repeat_until:
            return self._refuse(
                record, "window", f"it was answered already; that could be repeated until {repeat_until}"
            )
        first = AuditRecord.from_content(content)
        repeated = replace(
            record,
            event="repeated",
            event_id=new_id(),
            searches=0,
            reply_id=first.reply_id,
            data_supplied=first.data_supplied,
            matches=first.matches,
        )
        self._append(repeated)
        assert isinstance(answer, bytes)
        return answer

    def _over_quota(self, record: AuditRecord, quota: int | None) -> RefusalError | None:
        used = self._used(record)
        if quota is None or used + record.searches <= quota:
            return None
        return self._refuse(
            record, "quota", f"{used} of {quota} searches of the day are used, and this would be {record.searches} more"
        )

    def _refuse(self, record: AuditRecord, cause: str, reason: str) -> RefusalError:
        refused = replace(record, event="refused", event_id=new_id(), refusal=reason, searches=0, matches=())
        self._append(refused)
        request = f"request {record.request_id!r} ({record.category}, {record.partner})"
        return RefusalError(cause, f"{request} is refused: {reason}")

    def _used(self, record: AuditRecord) -> int:
        query = "SELECT used FROM quotas WHERE day = ? AND key = ?"
        row = self._db.execute(query, quota_key(record)).fetchone()
        return row[0] if row else 0

    def _stored(self, number: int) -> tuple[bytes, dict[str, Any]]:
        salt, text = self._db.execute("SELECT salt, content FROM records WHERE number = ?", (number,)).fetchone()
        return salt, json.loads(text)

    def _id(self) -> str:
        id: str = self._stored(1)[1]["ledger"]
        return id

    def _signer(self) -> str | None:
        signers = "SELECT content FROM records WHERE keep_until IS NULL ORDER BY number DESC"
        for (text,) in self._db.execute(signers):
            content = json.loads(text)
            if content["event"] == "signer":
                key: str = content["public_key"]
                return key
        return None

    def _head(self, count: int, chain: bytes) -> Head:
        return Head(self._id(), count, chain.hex(), utc(datetime.now(UTC))).sign(self._key)

    def _into_one_file(self) -> bool:
        busy: int = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy


def _outcome(outcome: bytes | RefusalError | None) -> bytes | None:
    """Raised only here, after the transaction that records the refusal."""
    if isinstance(outcome, RefusalError):
        raise outcome
    return outcome


def _split(id: str) -> tuple[int, int]:
    number, dot, place = id.partition(".")
    if not (dot and number.isdecimal() and place.isdecimal()):
        raise ExchangeError(f"{id!r} is not the id of a match: they look like '12.1'")
    return int(number), int(place)


def _within(time: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or since <= time) and (until is None or time < until)


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
