"""Proof of a ledger: every record is in its place and unchanged, and everything else in the file follows from them."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcc_match.errors import ExchangeError
from pcc_match.exchange.audit import START, AuditRecord, chained, salted
from pcc_match.exchange.heads import Head
from pcc_match.exchange.ledger_file import (
    APPLICATION,
    FOLLOWED,
    SCHEMA,
    STATES,
    connect,
    explained,
    of_runs,
    quota_key,
    request_key,
)

_MATCH_STATES = {after: event for event, (_, after) in STATES.items()}


@dataclass(frozen=True)
class LedgerProblem:
    """Something that is not as it was written; record: its number, None where it concerns none."""

    record: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.record is None else f"record {self.record}: {self.what}"


def verify(path: Path, head: Head | None = None) -> list[LedgerProblem]:
    """What is wrong with the ledger; Ledger.verify() says more."""
    while True:
        try:
            before = path.stat()
        except OSError as error:
            raise ExchangeError(f"{path}: there is no such ledger ({error.strerror})") from None
        alone = not Path(f"{path}-wal").exists()  # nobody has it open: reading it may leave no file behind
        found = _problems(path, head, "immutable=1" if alone else "mode=ro")
        after = path.stat()
        if not (alone and found) or (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return found  # else somebody has begun to write in between: look again


def _problems(path: Path, head: Head | None, mode: str) -> list[LedgerProblem]:
    try:
        with explained(path), closing(connect(path, mode)) as db:
            db.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
            db.execute("BEGIN")  # one state, whatever others write
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                what = "it is empty; if its making was interrupted, nothing was recorded, and create=True makes it"
                return [LedgerProblem(None, what)]
            return list(_Check(db).problems(head))
    except ExchangeError as error:
        cause = error.__cause__
        if not isinstance(cause, sqlite3.DatabaseError | UnicodeDecodeError) or _elsewhere(cause):
            raise
        return [LedgerProblem(None, f"the file's structure is damaged: {cause}: restore it from a copy")]


def _elsewhere(error: Exception) -> bool:
    """The fault lies not in the file."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN"))


class _Check:
    """Follows the records once and gathers what the other tables must be."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.ledger = ""
        self.signer = ""
        self.signed_from = 0  # heads from this record on are signed
        self.latest = ""  # the latest time in any record
        self.count = 0
        self.requests: dict[str, tuple[int, bytes, str | None, str | None]] = {}  # key -> record, salt, until, digest
        self.matches: dict[tuple[int, int], tuple[str, int]] = {}  # as the table
        self.quotas: Counter[tuple[str, str]] = Counter()
        self.deleted: dict[int, str] = {}  # record -> keep_until
        self.held: set[int] = set()

    def problems(self, head: Head | None) -> Iterator[LedgerProblem]:
        sound = True
        for what in (*self._structure(), *self._schema()):
            sound = False
            yield LedgerProblem(None, what)
        with nullcontext() if sound else suppress(Exception):  # a damaged file is followed as far as it can be read
            yield from self._records()
            yield from self._deletions()
            for what in (*self._requests(), *self._matches(), *self._quotas()):
                yield LedgerProblem(None, what)
            for what in self._heads(head):
                yield LedgerProblem(None, what)

    # ---- the file

    def _structure(self) -> Iterator[str]:
        for (what,) in self.db.execute("PRAGMA integrity_check").fetchall():
            if what != "ok":
                yield f"the file's structure is damaged: {what}: restore it from a copy"

    def _schema(self) -> Iterator[str]:
        if self.db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            yield "the file's header does not say that it is a ledger"
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
        with closing(sqlite3.connect(":memory:")) as fresh:
            for statement in SCHEMA:
                fresh.execute(statement)
            expected = set(fresh.execute(query))
        found = set(self.db.execute(query))
        for each in found ^ expected:
            yield f"tables: {'changed or strange' if each in found else 'missing'}: {each[0]} {each[1]}"

    # ---- the records

    def _records(self) -> Iterator[LedgerProblem]:
        before = {START}  # the chain's value, as it stands and as it should stand
        query = (
            "SELECT number, CAST(keep_until AS TEXT), CAST(salt AS BLOB), CAST(content AS BLOB), CAST(digest AS BLOB),"
            " CAST(chain AS BLOB) FROM records ORDER BY number"
        )
        for number, keep_until, salt, text, digest, chain in self.db.execute(query):
            if number != self.count + 1:
                first, last = self.count + 1, number - 1
                yield LedgerProblem(first, "missing" if first == last else f"missing, and all up to record {last}")
                before = set()
            self.count = number
            links = {chained(value, number, keep_until, digest) for value in before}
            linked = chain in links or not before
            before = {chain} | (set() if linked else links)
            if text is None and salt is None and keep_until is not None:
                self.deleted[number] = keep_until
                if not linked:
                    yield LedgerProblem(
                        number, "deleted by purge, and its digest, clock or place has been changed since"
                    )
                continue
            if text is None or salt is None or salted(salt, text) != digest:
                yield LedgerProblem(number, "its content, salt or digest was changed")
                continue
            try:
                content = json.loads(text)
                if content["number"] != number:
                    written = f"holds what was written as record {content['number']}: moved or inserted"
                    yield LedgerProblem(number, written)
                elif not linked:
                    what = f"does not follow record {number - 1}: one of them was changed or inserted"
                    yield LedgerProblem(number, what)
                yield from self._control(number, content) if keep_until is None else self._record(number, content, salt)
            except (ExchangeError, KeyError, TypeError, ValueError) as error:
                yield LedgerProblem(number, f"not what this library writes ({error})")

    def _record(self, number: int, content: dict[str, Any], salt: bytes) -> Iterator[LedgerProblem]:
        record = AuditRecord.from_content(content)
        self.latest = max(self.latest, content["answered_at"] or content["received_at"])
        if record.searches:
            self.quotas[quota_key(record)] += record.searches
        if record.event in ("answered", "asked", "received"):
            until = content.get("repeat_until")
            self.requests[request_key(record)] = (number, salt, until, content.get("answer"))
        if record.event in FOLLOWED:
            self.matches |= {(number, place): ("match", number) for place in range(1, len(record.matches) + 1)}
        if record.match:
            place = tuple(int(part) for part in record.match.split("."))
            before, after = STATES[record.event]
            state = self.matches.get((place[0], place[1]))
            if state is not None and state[0] != before:
                yield LedgerProblem(number, f"{record.event} in state {state[0]!r}")
            if state is not None or place[0] not in self.deleted:
                self.matches[place[0], place[1]] = (after, number)

    def _control(self, number: int, content: dict[str, Any]) -> Iterator[LedgerProblem]:
        self.latest = max(self.latest, content["at"])
        match content["event"]:
            case "opened":
                self.ledger = content["ledger"]
            case "signer":
                self.signer, self.signed_from = content["public_key"], number
            case "hold":
                self.held.update(of_runs(content["numbers"]))
            case "hold lifted":
                self.held.difference_update(of_runs(content["numbers"]))
            case "purged":
                for each in of_runs(content["numbers"]):
                    keep_until = self.deleted.get(each, "")
                    if each in self.held:
                        yield LedgerProblem(each, f"deleted by record {number} under legal hold")
                    elif each not in self.deleted:
                        yield LedgerProblem(each, f"record {number} says that it was deleted: it is here again")
                    elif keep_until > content["at"]:
                        yield LedgerProblem(each, f"deleted by record {number} before its time, {keep_until}")
                    self.deleted[each] = ""
                for day, key in [each for each in self.quotas if each[0] < content["quotas_before"]]:
                    del self.quotas[day, key]

    def _deletions(self) -> Iterator[LedgerProblem]:
        for number, keep_until in self.deleted.items():
            if keep_until:
                yield LedgerProblem(number, "its content is gone, and no record says that it was deleted")

    # ---- what follows from them

    def _requests(self) -> Iterator[str]:
        expected = dict(self.requests)
        for key, number, until, answer in self.db.execute("SELECT key, number, repeat_until, answer FROM requests"):
            record, salt, expected_until, digest = expected.pop(key, (0, b"", None, None))
            if (record, expected_until) != (number, until):
                yield f"requests: the row of record {number} says what no record says"
            elif answer is not None and salted(salt, answer).hex() != digest:
                yield f"requests: the stored answer of record {number} was changed"
            elif answer is None and until is not None and until >= self.latest:
                yield f"requests: the stored answer of record {number} is missing"
        for number, *_ in expected.values():
            yield f"requests: the row of record {number} is missing"

    def _matches(self) -> Iterator[str]:
        query = self.db.execute("SELECT number, place, state, last FROM matches")
        found = {(number, place): (state, last) for number, place, state, last in query}
        for number, place in found.keys() | self.matches.keys():
            if found.get((number, place)) != self.matches.get((number, place)):
                yield f"matches: the state of match {number}.{place} is not what the records say"

    def _quotas(self) -> Iterator[str]:
        found = {(day, key): used for day, key, used in self.db.execute("SELECT day, key, used FROM quotas")}
        for day, key in found.keys() | self.quotas.keys():
            if found.get((day, key)) != self.quotas.get((day, key)):
                yield f"quotas: the count of {day} for {key} is not what the records say"

    # ---- heads

    def _heads(self, given: Head | None) -> Iterator[str]:
        if not self.ledger:
            yield "no record says which ledger this is"
        for count, text in self.db.execute("SELECT count, head FROM heads ORDER BY count"):
            try:
                head = Head.read(text, f"stored head {count}")
            except ExchangeError as error:
                yield str(error)
                continue
            if head.count != count or head.text() != text or not head.signature:
                yield f"stored head {count}: changed"
            yield from (f"stored head {count}: {what}" for what in self._against(head))
        if given is not None:
            yield from (f"the given head of {given.at}: {what}" for what in self._against(given))

    def _against(self, head: Head) -> Iterator[str]:
        if head.ledger != self.ledger:
            yield f"it is that of another ledger ({head.ledger})"
            return
        if head.count > self.count:
            yield f"there were {head.count} records, now there are {self.count}: the end was cut off"
        elif (
            head.count
            and not self.db.execute(
                "SELECT 1 FROM records WHERE number = ? AND chain = ?", (head.count, bytes.fromhex(head.chain))
            ).fetchone()
        ):
            yield f"the records up to {head.count} are not those that it was made of"
        if self.signer and head.count >= self.signed_from and head.public_key != self.signer:
            yield "it is not signed with the ledger's key"
