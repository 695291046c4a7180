"""The ledger: what is answered, repeated, refused, counted, decided, deleted and proven."""

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ledger_cases import DAY, MATCH, NOON, answer, events, problems, record

from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import AuditMatch, AuditRecord
from pcc_match.exchange.heads import Head
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.ledger_file import SCHEMA

KEY = Ed25519PrivateKey.generate()
YEARS_LATER = NOON + timedelta(days=3 * 366)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, key=KEY, create=True) as ledger:
        yield ledger
    assert problems(path) == []
    assert [file.name for file in path.parent.iterdir() if file.name.startswith("ledger")] == ["ledger"]


# ---- answers


def test_an_answer_is_repeated_to_the_same_message(ledger: Ledger) -> None:
    assert ledger.repeat(record(), b"message") is None
    assert answer(ledger, matches=(MATCH,), reply_id="a1") == b"answer to r1"
    assert ledger.repeat(record(received_at=NOON + DAY), b"message") == b"answer to r1"
    assert events(ledger)[2:] == ["answered", "repeated"]
    repeated = list(ledger.entries())[-1].record
    assert repeated is not None
    assert (repeated.matches, repeated.reply_id, repeated.searches) == ((MATCH,), "a1", 0)


def test_who_answers_second_gives_the_first_answer(ledger: Ledger) -> None:
    answer(ledger)
    assert ledger.answer(record(), b"message", b"made meanwhile", repeat_window=DAY) == b"answer to r1"


def test_an_id_with_another_message_is_refused(ledger: Ledger) -> None:
    answer(ledger)
    for attempt in (ledger.repeat, lambda r, m: ledger.answer(r, m, b"other", repeat_window=DAY)):
        with pytest.raises(RefusalError, match=r"request 'r1' \(dna, AT\) is refused: .* another message") as refusal:
            attempt(record(), b"other message")
        assert refusal.value.cause == "other message"
    assert events(ledger)[2:] == ["answered", "refused", "refused"]
    for other in ({"partner": "HU"}, {"category": "vehicles"}, {"request_id": "r2"}):
        assert ledger.repeat(record(**other), b"other message") is None


def test_after_the_window_only_the_digest_is_left(ledger: Ledger, path: Path) -> None:
    answer(ledger)
    with pytest.raises(RefusalError, match="answered already") as refusal:
        ledger.repeat(record(received_at=NOON + DAY + timedelta(seconds=1)), b"message")
    assert refusal.value.cause == "window"
    ledger.checkpoint()
    assert b"answer to r1" not in path.read_bytes()
    with pytest.raises(RefusalError, match="another message"):
        ledger.repeat(record(received_at=NOON + 2 * DAY), b"other message")


def test_purge_deletes_answers_that_may_not_be_repeated(ledger: Ledger, path: Path) -> None:
    answer(ledger)
    assert ledger.purge(NOON + DAY) == 0
    assert b"answer to r1" in path.read_bytes()
    assert ledger.purge(NOON + 2 * DAY) == 0
    assert b"answer to r1" not in path.read_bytes()


def test_quota_of_a_day(ledger: Ledger) -> None:
    for number in range(3):
        answer(ledger, f"r{number}", quota=3)
    with pytest.raises(RefusalError, match="3 of 3 searches of the day are used") as refusal:
        answer(ledger, "r3", quota=3)
    assert refusal.value.cause == "quota"
    assert ledger.used(record()) == 3
    assert events(ledger)[-1] == "refused"
    answer(ledger, "r4", quota=3, partner="HU")
    answer(ledger, "r5", quota=3, search_type="4", searches=3)
    answer(ledger, "r6", quota=3, received_at=NOON + timedelta(hours=12))
    with pytest.raises(RefusalError, match="2 more"):
        answer(ledger, "r7", quota=2, searches=2, received_at=NOON + timedelta(hours=13))
    assert answer(ledger, "r0", quota=0) == b"answer to r0"  # a repetition costs nothing


def test_requests_of_ours_and_their_answers(ledger: Ledger) -> None:
    number = ledger.ask(record("asked", case_reference="c1"), b"request", quota=1)
    asked = ledger.asked("AT", "dna", "r1")
    assert asked is not None
    assert asked.case_reference == "c1"
    assert number == 3
    with pytest.raises(RefusalError, match="take a new one"):
        ledger.ask(record("asked"), b"request")
    with pytest.raises(RefusalError, match="1 of 1 searches"):
        ledger.ask(record("asked", request_id="r2"), b"request", quota=1)
    ids = ledger.receive(record("received", reply_id="a1", matches=(MATCH, MATCH)), b"reply")
    assert ledger.receive(record("received", reply_id="a1"), b"reply") == ids
    assert ledger.receive(record("received", reply_id="a2", matches=(MATCH,)), b"reply 2") != ids
    for wrong in (
        record("received", reply_id="a1"),
        record("received", request_id="r2"),
        record("received", partner="HU"),
    ):
        with pytest.raises(RefusalError):
            ledger.receive(wrong, b"another reply")
    assert [match.id for match in ledger.matches()][:2] == ids
    assert ledger.asked("AT", "dna", "r2") is None


def test_events_go_where_they_belong(ledger: Ledger) -> None:
    with pytest.raises(ExchangeError, match="takes 'refused'"):
        ledger.append(record())
    ledger.append(record("refused", refusal="not a partner"))
    with pytest.raises(ExchangeError, match="takes 'answered'"):
        ledger.answer(record("refused"), b"", b"", repeat_window=DAY)
    with pytest.raises(ExchangeError, match="takes 'asked'"):
        ledger.ask(record(), b"")
    with pytest.raises(ExchangeError, match="takes 'received'"):
        ledger.receive(record(), b"")
    with pytest.raises(ExchangeError, match="takes 'confirmed', 'rejected', 'core data'"):
        ledger.decide("3.1", record())


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "lost"},
        {"direction": "out"},
        {"category": "faces"},
        {"retention_years": 0},
        {"searches": -1},
        {"received_at": datetime(2026, 1, 1)},
        {"answered_at": NOON - DAY},
    ],
)
def test_impossible_records(wrong: dict[str, object]) -> None:
    with pytest.raises(ExchangeError, match="audit record"):
        record(**wrong)
    with pytest.raises(ExchangeError, match="'suspect'"):
        AuditMatch("a", "suspect", "b", "person")


def test_any_text_is_kept(ledger: Ledger) -> None:
    for text in ("", "\0", "\ud800", "'; --", "Żółć", "\U0001f600"):
        assert ledger.answer(record(request_id=text, reason=text), b"m", b"a", repeat_window=DAY) == b"a"
        assert ledger.repeat(record(request_id=text), b"m") == b"a"
        entry = list(ledger.entries())[-2].record
        assert entry is not None
        assert entry.reason == text


# ---- matches


def test_a_match_is_confirmed_then_core_data_follow(ledger: Ledger) -> None:
    answer(ledger, matches=(MATCH, MATCH))
    decision = {"officer_searching": "officer 1", "reason": "recomputed", "received_at": NOON + DAY}
    ledger.decide("3.1", record("confirmed", **decision))
    ledger.decide("3.2", record("rejected", **decision))
    assert [match.state for match in ledger.matches()] == ["hit", "rejected"]
    hit = ledger.match("3.1")
    assert hit.record.matches[hit.place] == MATCH
    assert hit.decided is not None
    assert (hit.decided.officer_searching, hit.decided.match) == ("officer 1", "3.1")
    for id, event in [("3.1", "confirmed"), ("3.1", "rejected"), ("3.2", "core data"), ("3.2", "confirmed")]:
        with pytest.raises(ExchangeError, match=f"match {id} is in state"):
            ledger.decide(id, record(event, **decision))
    ledger.decide("3.1", record("core data", **decision, data_supplied=("name",)))
    assert ledger.matches("core data") == [ledger.match("3.1")]
    assert ledger.matches("match") == []


@pytest.mark.parametrize(
    ("id", "wrong"), [("9.1", "no match 9.1"), ("3.2", "no match"), ("x", "not the id"), ("", "not")]
)
def test_no_such_match(ledger: Ledger, id: str, wrong: str) -> None:
    answer(ledger, matches=(MATCH,))
    with pytest.raises(ExchangeError, match=wrong):
        ledger.decide(id, record("confirmed"))
    with pytest.raises(ExchangeError, match="came after this decision"):
        ledger.decide("3.1", record("confirmed", received_at=NOON - DAY))


# ---- retention


def test_deleted_when_the_time_is_up_and_not_before(ledger: Ledger, path: Path) -> None:
    answer(ledger, "two", reason="PERSONAL")
    answer(ledger, "three", reason="KEPT", retention_years=3)
    assert ledger.purge(NOON.replace(year=2042) - timedelta(seconds=1)) == 0
    assert ledger.purge(NOON.replace(year=2042)) == 1
    assert events(ledger)[2:4] == ["deleted", "answered"]
    assert b"PERSONAL" not in path.read_bytes()
    assert b"KEPT" in path.read_bytes()
    assert problems(path) == []
    assert ledger.purge(NOON.replace(year=2043)) == 1
    answer(ledger, "two", received_at=YEARS_LATER)  # what is forgotten is new


def test_a_leap_day_is_kept_to_the_first_of_march() -> None:
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert record(received_at=leap).keep_until == datetime(2030, 3, 1, 12, tzinfo=UTC)
    assert record(received_at=leap, retention_years=4).keep_until == leap.replace(year=2032)


def test_legal_hold(ledger: Ledger, path: Path) -> None:
    for id in ("r1", "r2"):
        answer(ledger, id, matches=(MATCH,))
    ledger.decide("3.1", record("confirmed"))
    ledger.hold([3], "court 12/26")
    assert ledger.held() == {3}
    assert ledger.purge(YEARS_LATER) == 1
    assert events(ledger)[2:5] == ["answered", "deleted", "confirmed"]  # the decision stays with what it decides
    assert [match.id for match in ledger.matches()] == ["3.1"]
    assert problems(path) == []
    for gone in (4, 99):
        with pytest.raises(ExchangeError, match=f"no record {gone} to hold"):
            ledger.hold([3, gone], "court")
    ledger.lift([3], "court 13/26")
    assert ledger.purge(YEARS_LATER) == 2
    assert ledger.matches() == []


def test_nothing_personal_is_left_in_the_file(path: Path) -> None:
    """Whatever the sizes: pages that were split, freed and filled again hold nothing of what was deleted."""
    with Ledger.open(path, create=True) as ledger:
        for number in range(150):
            size = (7 * number * number) % 6000
            personal = f"PERSONAL{number:04}" * (size // 12 + 1)
            made = record(request_id=f"r{number}", received_at=NOON + number * timedelta(days=10), reason=personal)
            ledger.answer(made, b"m", personal.encode(), repeat_window=DAY)
            if number % 50 == 49:
                ledger.purge(made.received_at)
                raw = path.read_bytes()
                live = {entry.record.request_id for entry in ledger.entries() if entry.record}
                for each in range(number + 1):
                    assert (b"PERSONAL%04d" % each in raw) == (f"r{each}" in live)
    assert problems(path) == []


# ---- proof


def tampered(path: Path, change: Callable[[sqlite3.Connection], object]) -> list[str]:
    """What verify says after a change by someone who knows SQLite."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TRIGGER records_stay")
        db.execute("DROP TRIGGER records_append_only")
        change(db)
        for name in ("records_stay", "records_append_only"):
            db.execute(next(sql for sql in SCHEMA if sql.startswith(f"CREATE TRIGGER {name} ")))
    return problems(path)


def filled(path: Path) -> Head:
    with Ledger.open(path, key=KEY, create=True) as ledger:
        answer(ledger, "old", received_at=NOON.replace(year=2030))
        ledger.purge(NOON)
        for number in range(4):
            answer(ledger, f"r{number}", matches=(MATCH,))
        return ledger.head()


SWAP = "UPDATE records SET number = CASE number WHEN 6 THEN -7 ELSE -6 END WHERE number IN (6, 7)"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE records SET content = replace(content, 'r1', 'rX') WHERE number = 6", "record 6: its content"),
        ("UPDATE records SET salt = randomblob(16) WHERE number = 6", "record 6: its content, salt"),
        ("UPDATE records SET content = NULL, salt = NULL WHERE number = 6", "record 6: its content is gone"),
        ("UPDATE records SET keep_until = '2026-01-01' WHERE number = 6", "record 6: does not follow record 5"),
        ("UPDATE records SET keep_until = '2099-01-01' WHERE number = 3", "record 3: deleted by purge, and its digest"),
        ("UPDATE records SET chain = randomblob(32) WHERE number = 6", "record 6: does not follow record 5"),
        ("DELETE FROM records WHERE number = 6", "record 6: missing"),
        ("DELETE FROM records WHERE number IN (6, 7)", "record 6: missing, and all up to record 7"),
        ("DELETE FROM records WHERE number = 8", "stored head 8: there were 8 records, now there are 7"),
        (
            SWAP + ";UPDATE records SET number = -number WHERE number < 0",
            "record 6: holds what was written as record 7",
        ),
        (
            "UPDATE records SET number = number + 100 WHERE number > 6; UPDATE records SET number = number - 99"
            " WHERE number > 100; INSERT INTO records SELECT 7, keep_until, salt, content, digest, chain"
            " FROM records WHERE number = 6",
            "record 7: holds what was written as record 6",
        ),
        ("UPDATE requests SET answer = 'x' WHERE number = 6", "damaged"),
        ("UPDATE requests SET answer = x'00' WHERE number = 6", "the stored answer of record 6 was changed"),
        ("UPDATE requests SET answer = NULL WHERE number = 6", "the stored answer of record 6 is missing"),
        ("UPDATE requests SET repeat_until = '2099' WHERE number = 6", "the row of record 6 says what no record says"),
        ("DELETE FROM requests WHERE number = 6", "the row of record 6 is missing"),
        ("UPDATE quotas SET used = 0", "quotas: the count of 2040-03-01"),
        ("DELETE FROM quotas", "quotas: the count of 2040-03-01"),
        ("UPDATE matches SET state = 'hit' WHERE number = 6", "the state of match 6.1"),
        ("DELETE FROM matches WHERE number = 6", "the state of match 6.1"),
        (
            "UPDATE heads SET head = replace(head, '\"count\":8', '\"count\":7')",
            "stored head 8: the signature does not fit",
        ),
        ("CREATE TABLE more (x)", "tables: changed or strange: table more"),
        ("DROP INDEX requests_number", "tables: missing: index requests_number"),
        ("PRAGMA application_id = 7", "header"),
    ],
)
def test_what_was_changed_is_named(path: Path, sql: str, found: str) -> None:
    filled(path)
    assert problems(path) == []
    if "'x'" in sql:  # STRICT tables do not take it: the schema must say so
        with pytest.raises(sqlite3.IntegrityError):
            tampered(path, lambda db: db.execute(sql))
        return
    said = tampered(path, lambda db: [db.execute(each) for each in sql.split(";")])
    assert any(found in problem for problem in said), said


def test_a_rewritten_chain_is_found_against_a_head(path: Path) -> None:
    """Who can write the file can make a chain of his own, but cannot sign it."""
    head = filled(path)
    path.unlink()
    with Ledger.open(path, create=True) as ledger:
        for number in range(7):
            answer(ledger, f"r{number}")
    assert problems(path) == []
    assert "another ledger" in problems(path, head)[0]


def test_a_cut_off_end_is_found_against_a_head(path: Path) -> None:
    head = filled(path)
    early = path.read_bytes()
    with Ledger.open(path, key=KEY) as ledger:
        answer(ledger, "r9")
        later = ledger.head()
    assert problems(path, head) == problems(path, later) == []
    path.write_bytes(early)
    assert problems(path) == []
    assert problems(path, head) == []
    assert "there were 9 records, now there are 8: the end was cut off" in problems(path, later)[0]


def test_a_head_of_another_hand(path: Path) -> None:
    head = filled(path)
    text = json.loads(head.text())
    for change in ({"count": 7}, {"chain": "00" * 32}, {"ledger": "0"}, {"public_key": "00" * 32}):
        with pytest.raises(ExchangeError, match="the signature does not fit"):
            Head.read(json.dumps(text | change))
    other_spelling = {"signature": head.signature.upper()}
    for wrong in (
        "",
        "{}",
        "[]",
        *(json.dumps(text | each) for each in ({"count": "1"}, {"chain": 7}, other_spelling)),
    ):
        with pytest.raises(ExchangeError, match="not the head of a ledger"):
            Head.read(wrong)
    unsigned = Head(head.ledger, head.count, head.chain, head.at)
    for other in (unsigned, unsigned.sign(Ed25519PrivateKey.generate())):
        assert Head.read(other.text()) == other
        assert "not signed with the ledger's key" in problems(path, other)[0]


def test_damage_to_the_file_is_told_as_such(path: Path) -> None:
    filled(path)
    good = path.read_bytes()
    for bad in (b"", b"not a ledger", good[:5000], bytes(4096) + good[4096:], good[:4096] + bytes(len(good) - 4096)):
        path.write_bytes(bad)
        assert problems(path)
        with pytest.raises(ExchangeError, match=str(path)):
            Ledger.open(path).close()
    with pytest.raises(ExchangeError, match="no such ledger"):
        Ledger.verify(path.parent / "other")


# ---- export


def test_an_export_can_be_checked_without_this_library(ledger: Ledger, tmp_path: Path) -> None:
    import hashlib

    answer(ledger, "old", received_at=NOON.replace(year=2030))
    ledger.purge(NOON)
    for day in range(3):
        answer(ledger, f"r{day}", received_at=NOON + day * DAY, reason=f"reason {day}")
    ledger.hold([5], "court")
    file = io.StringIO()
    head = ledger.export(file, since=NOON + DAY, until=NOON + 2 * DAY)
    *lines, last = file.getvalue().splitlines(keepends=True)
    assert head.export_sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    signed = json.loads(last)
    signature = bytes.fromhex(signed["signature"])
    del signed["pcc_match"]
    text = json.dumps(signed | {"signature": ""}, sort_keys=True, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["public_key"])).verify(
        signature, b"pcc_match ledger head\n" + text
    )
    chain = bytes(32)
    for number, line in enumerate(map(json.loads, lines[1:]), start=1):
        digest = bytes.fromhex(line["digest"])
        if "content" in line:
            assert digest == hashlib.sha256(bytes.fromhex(line["salt"]) + line["content"].encode()).digest()
        chain = hashlib.sha256(chain + f"{number} {line['keep_until'] or 'always'} ".encode() + digest).digest()
    assert (chain.hex(), number) == (signed["chain"], signed["count"])
    assert "reason 1" in file.getvalue()
    assert "reason 0" not in file.getvalue()
    assert "reason 2" not in file.getvalue()
    assert events(ledger)[-1] == "exported"


# ---- opening


def test_opening(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="no such ledger"):
        Ledger.open(path)
    with pytest.raises(ExchangeError, match="No such file"):
        Ledger.open(tmp_path / "nowhere" / "ledger", create=True)
    Ledger.open(path, create=True).close()
    assert path.stat().st_mode & 0o777 == 0o600
    Ledger.open(path, create=True).close()
    pem = tmp_path / "key.pem"
    pem.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    Ledger.open(path, key=pem).close()  # from now on it is signed
    with pytest.raises(ExchangeError, match="another key"):
        Ledger.open(path, key=Ed25519PrivateKey.generate())
    for text in (b"", b"-----BEGIN PRIVATE KEY-----\n"):
        pem.write_bytes(text)
        with pytest.raises(ExchangeError, match="not a private Ed25519 key"):
            Ledger.open(path, key=pem)
    with pytest.raises(ExchangeError, match=r"cannot be read"):
        Ledger.open(path, key=tmp_path / "none.pem")
    other = tmp_path / "other"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (x)")
    for create in (False, True):
        with pytest.raises(ExchangeError, match="not a ledger of this library"):
            Ledger.open(other, create=create)


def test_a_busy_ledger_refuses_service(path: Path) -> None:
    with Ledger.open(path, create=True, wait=0.05) as ledger, contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(ExchangeError, match=r"another process is writing .*try again \(SQLITE_BUSY\)") as error:
            answer(ledger)
        assert not isinstance(error.value, RefusalError)
        db.rollback()
        assert answer(ledger) == b"answer to r1"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who may not write")
def test_a_ledger_that_may_not_be_written(path: Path, tmp_path: Path) -> None:
    filled(path)
    for part in (path, *path.parents[:-2]):
        with contextlib.suppress(OSError):
            part.chmod(part.stat().st_mode | 0o055)
    path.chmod(0o444)
    code = (
        "import os, sys; sys.path[:0] = ['tests']\n"
        "from ledger_cases import *\n"
        "os.setuid(65534)\n"
        f"print(problems(Path({str(path)!r})))\n"
        f"Ledger.open({str(path)!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert ran.stdout == "[]\n", ran.stderr
    assert "ExchangeError" in ran.stderr
    assert "cannot be" in ran.stderr


def test_records_cannot_be_changed_by_mistake(path: Path) -> None:
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        for sql in (
            "DELETE FROM records",
            "UPDATE records SET content = 'x'",
            "UPDATE records SET number = number + 9",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(sql)


def test_nothing_personal_in_repr(ledger: Ledger) -> None:
    made = record(
        officer_searching="OFFICER", officer_ordering="OFFICER", case_reference="CASE", data_supplied=("DATA",),
        matches=(AuditMatch("TRACE-ID", "trace", "PERSON-ID", "person"),), reason="REASON", request_id="REQUEST",
    )  # fmt: skip
    ledger.answer(made, b"MESSAGE", b"ANSWER", repeat_window=DAY)
    held = ledger.matches()[0]
    for shown in (repr(made), repr(ledger), repr(held), repr(made.matches), str(list(ledger.entries())[-1])):
        for personal in ("OFFICER", "CASE", "DATA", "-ID", "REASON", "MESSAGE", "ANSWER"):
            assert personal not in shown


def test_records_read_back_as_they_were(ledger: Ledger) -> None:
    made = record(
        answered_at=NOON + timedelta(microseconds=1),
        justification={"purpose": "p"},
        matches=(MATCH,),
        data_supplied=("a", "b"),
    )
    ledger.answer(made, b"m", b"a", repeat_window=DAY)
    assert list(ledger.entries())[-1].record == made
    assert AuditRecord.from_content(made.content()) == made
