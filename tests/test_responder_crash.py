"""kill -9 at 200 moments of answering, from the message to the ledger: what was answered is answered the same again.

Run as a script this file is the parent of the nodes that die: killed_nodes.py.
"""

import hashlib
import itertools
import random
import tempfile
from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path

import pytest
from killed_nodes import Node, in_memory, serve, tell
from ledger_cases import NOON, problems

import pcc_match as pm
from pcc_match.exchange.dna import DnaAnswer, DnaEntry, DnaRequest, Header, Info, read_dna
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.partners import Partner, Partners
from pcc_match.exchange.responder import Responder

KILLS = 200
LOCI = ("VWA", "TH01", "D21S11", "FGA", "D8S1179", "D3S1358", "D18S51")


def profile(id: str, kind: str, number: int) -> pm.DnaProfile:
    return pm.DnaProfile(id, kind, dict.fromkeys(LOCI, (str(8 + number % 5), "14")))


def message(round: int, number: int) -> bytes:
    """The requests of a round, each for two stains; every other one has matches."""
    entries = [DnaEntry.of(profile(f"S-{each}", "stain", number + each), 4) for each in range(2)]
    return DnaRequest(Header(Info("AT", "DE", f"{round}.{number}", date(2040, 3, 1), time(12))), tuple(entries)).write()


def make_gallery(folder: Path) -> None:
    with pm.DnaGallery.create(folder / "gallery") as gallery:
        gallery.enrol(pm.ProfileColumns.from_profiles([profile(f"P-{k}", "person", k) for k in range(2)]))


def responder(folder: Path, ledger: Ledger, quota: int) -> Responder:
    partners = Partners({"AT": Partner("AT", frozenset({"dna-4"}), {"dna-4": quota})})
    gallery = pm.DnaGallery.open(folder / "gallery")
    return Responder(gallery, treaty="eu-2008-616", state="DE", ledger=ledger, partners=partners, threads=1)


def work(path: Path, round: int, quota: int) -> None:
    for start in itertools.count(step=3):
        with Ledger.open(path, create=True) as ledger:
            node = responder(path.parent, ledger, quota)
            for number in range(start, start + 3):
                answer = node.answer(message(round, number), received_at=NOON + round * timedelta(days=1))
                read = read_dna(answer)
                assert isinstance(read, DnaAnswer)
                if read.results[0].result == "E":
                    return  # the quota of the day is used up
                tell("done", f"{round}.{number}={hashlib.sha256(answer).hexdigest()}")


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    node = Node(__file__)
    yield node
    node.close()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder with a gallery, in memory where there is one."""
    with in_memory(tmp_path) as folder:
        make_gallery(folder)
        yield folder


def test_killed_while_answering(node: Node, memory: Path) -> None:
    draw = random.Random(8)
    repeated = 0
    for kill in range(KILLS):
        path = memory / f"ledger{kill // 10}"
        told = dict(answer.split("=") for answer in node.killed(path, kill, draw))
        if not path.exists():
            continue  # killed before it began
        found = problems(path)
        if not told and found and "it is empty" in found[0]:
            continue  # while it made the ledger; the next one begins again
        assert found == []  # so each record has its answer, each answer its record, and each quota is theirs
        with Ledger.open(path) as ledger:
            records = [entry.record for entry in ledger.entries() if entry.record]
            answered = {record.request_id for record in records if record.event == "answered"}
            assert answered >= told.keys()
            if kill % 4 == 0 and told:
                again = responder(memory, ledger, quota=1 << 30)
                for number, (_, digest) in enumerate(sorted(told.items(), key=lambda item: item[0])):
                    answer = again.answer(message(kill, number), received_at=NOON + kill * timedelta(days=1))
                    assert hashlib.sha256(answer).hexdigest() == digest
                    repeated += 1
    assert repeated > 0


def test_a_quota_is_used_up_once(node: Node, memory: Path) -> None:
    """Two searches a message: of a quota of seven, three messages are served, whichever process answers."""
    path = memory / "ledger"
    answered: list[str] = []
    for _ in range(3):
        node.start(path, 0, quota=7)
        answered.append(str(node.answered()))
    assert answered[0] == answered[1] == answered[2]
    assert answered[0].count("=") == 3
    assert problems(path) == []


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:  # what every node needs is loaded once, before they are forked
        make_gallery(Path(folder))
        with Ledger.open(Path(folder) / "ledger", create=True) as ledger:
            responder(Path(folder), ledger, quota=1)
    serve(work)
