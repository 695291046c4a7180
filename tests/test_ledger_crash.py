"""kill -9, full disks, damaged bytes, several processes: what was acknowledged is there, and nothing is half there.

Run as a script this file is the parent of the nodes that die: killed_nodes.py.
"""

import contextlib
import itertools
import random
import resource
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from killed_nodes import Node, in_memory, serve, tell
from ledger_cases import DAY, MATCH, NOON, answer, events, problems, record

from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import AuditRecord
from pcc_match.exchange.ledger import Ledger

KILLS = 200
UNLIMITED = 1 << 30
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


# ---- the node that dies


def request(round: int, number: int) -> AuditRecord:
    """The requests of a round fall on one day, which has a quota of its own."""
    return record(request_id=f"{round}.{number}", received_at=NOON + round * DAY, matches=(MATCH,) * (number % 3))


def work(path: Path, round: int, quota: int) -> None:
    for number in itertools.count():
        with Ledger.open(path, key=KEY, create=True) as ledger:  # each time: a checkpoint may be killed, too
            for each in range(number * 4, number * 4 + 4):
                made = request(round, each)
                try:
                    ledger.answer(made, b"message", made.request_id.encode() * 99, repeat_window=DAY, quota=quota)
                except RefusalError:
                    return
                tell("done", made.request_id)
            if number % 3 == 2:
                ledger.purge(made.received_at)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    nodes = [Node(__file__), Node(__file__)]
    yield nodes
    for node in nodes:
        node.close()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a kill does not ask how slow the disk is."""
    with in_memory(tmp_path) as folder:
        yield folder


def test_killed_at_random_moments(nodes: list[Node], memory: Path) -> None:
    draw = random.Random(6)
    in_log = 0  # kills that left a write-ahead log
    for kill in range(KILLS):
        path = memory / f"ledger{kill // 10}"
        acknowledged = nodes[0].killed(path, kill, draw)
        if not path.exists():
            continue  # killed before it began
        in_log += path.with_name(path.name + "-wal").exists()
        found = problems(path)
        if acknowledged == [] and found and "it is empty" in found[0]:
            continue  # while it made the ledger; the next one begins again
        assert found == []  # so each record has its answer, each answer its record, and each quota is theirs
        if acknowledged:
            with Ledger.open(path, key=KEY) as ledger:
                recorded = [entry.record.request_id for entry in ledger.entries() if entry.record]
                assert recorded[-len(acknowledged) - 1 :][: len(acknowledged)] == acknowledged or (
                    recorded[-len(acknowledged) :] == acknowledged
                )
                last = request(kill, len(acknowledged) - 1)
                assert ledger.repeat(last, b"message") == last.request_id.encode() * 99
    assert in_log > 0  # else no kill fell into the work


def test_two_processes_share_a_quota_and_an_answer(nodes: list[Node], tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for round in range(5):
        for node in nodes:
            node.start(path, round, quota=9)
        said = [node.answered() for node in nodes]
        assert said[0] == said[1] == [f"{round}.{number}" for number in range(9)]
    assert problems(path) == []
    with Ledger.open(path, key=KEY) as ledger:
        happened = events(ledger)
        assert (happened.count("answered"), happened.count("repeated"), happened.count("refused")) == (45, 45, 10)
        assert [ledger.used(request(round, 0)) for round in range(5)] == [9] * 5


# ---- the full disk


@pytest.fixture
def full() -> Iterator[None]:
    """A limit on the size of files: writes fail as on a full disk, at every size."""
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.usefixtures("full")
def test_a_full_disk_refuses_service_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    acknowledged: list[str] = []
    with Ledger.open(path, key=KEY, create=True) as ledger:
        for free in range(4):
            limit_files((free + 1) * 300_000)
            with pytest.raises(ExchangeError, match="nothing was recorded, so nothing may be answered") as error:  # noqa: PT012
                for number in itertools.count(len(acknowledged)):
                    made = record(request_id=f"r{number}", data_supplied=("*" * 20_000,))
                    ledger.answer(made, b"message", b"answer", repeat_window=DAY)
                    acknowledged.append(made.request_id)
            assert not isinstance(error.value, RefusalError)
            limit_files(resource.RLIM_INFINITY)
            assert problems(path) == []
            recorded = [entry.record.request_id for entry in ledger.entries() if entry.record]
            assert recorded == acknowledged
    assert len(acknowledged) > 10
    assert problems(path) == []


@pytest.mark.usefixtures("full")
def test_a_disk_too_full_to_close(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger.open(path, create=True)
    answer(ledger)
    limit_files(path.stat().st_size)
    with pytest.raises(ExchangeError, match="write-ahead log"):
        ledger.close()
    limit_files(resource.RLIM_INFINITY)
    assert problems(path) == []
    with Ledger.open(path) as ledger:
        assert ledger.repeat(record(), b"message") == b"answer to r1"


# ---- damaged bytes


def contents(path: Path) -> list[object]:
    """Everything that is in the file, as SQLite reads it."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as db:
        db.text_factory = bytes
        tables = ("records", "requests", "quotas", "matches", "heads", "sqlite_master")
        return [sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables]


def test_each_flipped_bit_is_found_or_was_in_no_content(memory: Path) -> None:
    path = memory / "ledger"
    with Ledger.open(path, key=KEY, create=True) as ledger:
        answer(ledger, "old", reason="*" * 9000, received_at=NOON - 9 * 365 * DAY)
        ledger.purge(NOON)
        for number in range(6):
            answer(ledger, f"r{number}", matches=(MATCH,), data_supplied=("*" * number * 500,))
        ledger.decide("5.1", record("confirmed", received_at=NOON + timedelta(hours=1)))
    sound = path.read_bytes()
    written = contents(path)
    draw = random.Random(7)
    used = draw.sample([place for place, byte in enumerate(sound) if byte], 300)
    zero = draw.sample([place for place, byte in enumerate(sound) if not byte], 60)
    found = 0
    for place in used + zero:
        damaged = bytearray(sound)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        if problems(path):
            found += 1
        else:
            assert contents(path) == written, f"byte {place}"
    assert found > 200


if __name__ == "__main__":
    serve(work)
