"""What a node reports: statistics of a year, the ledger's command line."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ledger_cases import DAY, NOON, answer, record

from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import AuditMatch
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.ledger_cli import add_commands
from pcc_match.exchange.statistics import Exchanged, statistics


def match(kind: str) -> AuditMatch:
    asked, found = kind.split("-")
    return AuditMatch("1", asked, "2", found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A year's exchange."""
    path = tmp_path / "ledger"
    with Ledger.open(path, create=True) as ledger:
        kinds = ["person-trace", "trace-person", "trace-person", "trace-trace", "person-person"]
        answer(ledger, "r1", searches=9, matches=tuple(map(match, kinds)))  # record 2
        answer(ledger, "r1")
        with pytest.raises(RefusalError):
            answer(ledger, "r2", quota=9)
        answer(ledger, "r3", partner="HU", category="dactyloscopic")
        answer(ledger, "r4", received_at=NOON.replace(year=2041))
        ledger.ask(record("asked", request_id="r5"), b"")
        ledger.receive(record("received", request_id="r5", matches=(match("trace-person"),)), b"")  # record 8
        for id, event in [("2.1", "confirmed"), ("2.2", "confirmed"), ("2.3", "rejected"), ("8.1", "confirmed")]:
            ledger.decide(id, record(event, direction="out" if id == "8.1" else "in", received_at=NOON + DAY))
        ledger.decide("2.1", record("core data", received_at=NOON.replace(year=2041)))
    return path


def test_statistics_of_a_year(path: Path) -> None:
    with Ledger.open(path) as ledger:
        year = statistics(ledger.entries(), 2040)
        none = {"person-trace": 0, "trace-person": 0, "trace-trace": 0, "person-person": 0}
        matches = {"person-trace": 1, "trace-person": 2, "trace-trace": 1, "person-person": 1}
        asked = none | {"trace-person": 1}
        assert year.rows == (
            Exchanged("AT", "dna", "in", 1, 9, 1, 1, matches, 1, 1, 1),
            Exchanged("AT", "dna", "out", 1, 1, 0, 0, asked, 0, 0, 1),
            Exchanged("HU", "dactyloscopic", "in", 1, 1, 0, 0, none),
        )
        assert year.gone == 0
        assert [row.requests for row in statistics(ledger.entries(), 2041).rows] == [1]
        assert statistics(ledger.entries(), 2039).rows == ()
        ledger.purge(NOON.replace(year=2042))
        assert statistics(ledger.entries(), 2040).gone > 0


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    options = parser.parse_args(["ledger", *map(str, arguments)])
    code: int = options.command(options)
    return code


def test_verify(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", path) == 0
    said = capsys.readouterr()
    assert "every record is in its place" in said.out
    assert "without --head" in said.err
    out = tmp_path / "export.jsonl"
    assert run("export", path, out) == 0
    assert "not signed" in capsys.readouterr().err
    assert run("verify", path, "--head", out) == 0
    damaged = path.read_bytes().replace(b"person", b"persom", 1)
    path.write_bytes(damaged)
    assert run("verify", path, "--head", out) == 1
    assert "record 3: its content, salt or digest was changed" in capsys.readouterr().out
    assert run("verify", path, "--json", "-") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[0])["record"] == 3
    out.write_bytes(out.read_bytes().replace(b"person", b"persom", 1))
    with pytest.raises(ExchangeError, match="the export was changed"):
        run("verify", path, "--head", out)
    with pytest.raises(ExchangeError, match="cannot be read"):
        run("verify", path, "--head", tmp_path / "none")
    out.write_bytes(b"")
    with pytest.raises(ExchangeError, match="not the head of a ledger"):
        run("verify", path, "--head", out)


def test_export_signed(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem, out, last = tmp_path / "key.pem", tmp_path / "export.jsonl", tmp_path / "head"
    key = Ed25519PrivateKey.generate()
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert run("export", path, out, "--key", pem, "--since", "2040-03-02", "--until", "2041-01-01") == 0
    assert capsys.readouterr().err == ""
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["number"] for line in lines[1:-1] if "content" in line and line["keep_until"]] == [9, 10, 11, 12]
    last.write_text(out.read_text().splitlines()[-1])
    for head in (out, last):
        assert run("verify", path, "--head", head) == 0
    with pytest.raises(SystemExit, match="2"):
        run("export", path, out, "--since", "yesterday")


def test_purge_and_stats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ledger"
    now = datetime.now(UTC)
    with Ledger.open(path, create=True) as ledger:
        answer(ledger, "old", received_at=now - 3 * 366 * DAY, reason="PERSONAL")
        answer(ledger, "older", received_at=now - 4 * 366 * DAY)
        answer(ledger, "new", received_at=now - timedelta(seconds=1), matches=(match("trace-person"),))
        ledger.hold([3], "court")
    assert run("purge", path) == 0
    assert capsys.readouterr().out == "deleted: 1, under legal hold: 1\n"
    assert run("purge", path, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 0, "under legal hold": 1}
    year = (now - timedelta(seconds=1)).year
    assert run("stats", path, "--year", year) == 0
    assert capsys.readouterr().out == "AT dna in: 1 requests, 1 searches, 1 trace-person\n"
    assert run("stats", path, "--year", year, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["matches"]["trace-person"] == 1
    assert run("stats", path, "--year", "1999") == 0
    said = capsys.readouterr()
    assert said.out == "nothing in 1999\n"
    assert "1 deleted records may have been of 1999" in said.err
