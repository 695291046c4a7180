"""The responder: who may ask, what is asked twice, quotas, refusals on record, the queue, the command line."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dna_message_cases import ASKED, GOLDEN, REFERENCES, SEVEN, gallery, mutants, profile, request
from ledger_cases import events, problems

import pcc_match as pm
from pcc_match.cli import main
from pcc_match.exchange import Inquiry, Ledger, Partner, Partners, Responder, SqliteRegister, VehicleQuery, queue_order
from pcc_match.exchange.dna import read_dna
from pcc_match.exchange.vehicles import read_vehicle

NOON = datetime(2040, 3, 1, 12, tzinfo=UTC)
TREATY = pm.treaty("pcc-see")


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    return gallery(tmp_path_factory.mktemp("responder") / "g", REFERENCES)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger", create=True) as ledger:
        yield ledger
    assert problems(tmp_path / "ledger") == []


@pytest.fixture
def responder(references, ledger):
    partners = Partners({"AT": Partner("AT", frozenset({"dna-3", "dna-4", "vehicles"}), {"dna-4": 3})})
    return Responder(references, treaty=TREATY, state="HU", partners=partners, ledger=ledger, device="cpu")


def last(ledger: Ledger):
    return list(ledger.entries())[-1].record


def test_an_answer_is_on_record_with_all_that_article_30_asks(responder, ledger):
    answer = read_dna(responder.answer(request(ASKED), received_at=NOON))
    record = last(ledger)
    assert (record.event, record.partner, record.request_id, record.search_type) == ("answered", "AT", "AT-1", "dna-3")
    assert (record.received_at, record.reply_id, record.searches) == (NOON, answer.header.ref, 1)
    assert (record.searching_body, record.administering_body) == ("AT/BK", "HU")
    assert record.data_supplied == ("AT-S-1",)
    assert [(match.found, match.quality) for match in record.matches] == [
        (each.profile_id, each.quality) for each in answer.results[1:]
    ]
    assert {(match.asked_is, match.found_is) for match in record.matches} == {("trace", "person"), ("trace", "trace")}


def test_the_same_message_gets_the_same_bytes_and_another_under_its_id_is_refused(responder, ledger):
    asked = request(ASKED)
    first = responder.answer(asked, received_at=NOON)
    assert responder.answer(asked.write(), received_at=NOON + timedelta(hours=23)) == first
    for other, at, cause in (
        (request(profile("AT-S-2", SEVEN)), NOON, "other message"),
        (asked, NOON + timedelta(hours=25), "window"),
    ):
        with pytest.raises(pm.errors.RefusalError) as error:
            responder.answer(other, received_at=at)
        assert error.value.cause == cause
    assert events(ledger)[1:] == ["answered", "repeated", "refused", "refused"]


def test_quota_and_authorisation_are_answered_and_on_record(responder, ledger):
    traces = [replace(ASKED, id=f"S-{number}") for number in range(3)]
    assert read_dna(responder.answer(request(*traces[:2], article=4), received_at=NOON)).results[0].result == "H"
    over = request(*traces[:2], article=4, id="AT-2")
    answer = read_dna(responder.answer(over, received_at=NOON))
    assert [(each.result, each.quality) for each in answer.results] == [("E", 0)] * 2
    assert "2 of 3 searches of the day are used" in answer.results[0].message
    assert "quota" not in events(ledger)
    assert last(ledger).event == "refused"
    next_day = read_dna(responder.answer(over, received_at=NOON + timedelta(days=1)))
    assert next_day.results[0].result == "H"
    responder.partners = Partners({"AT": Partner("AT", frozenset({"dna-3"}))})
    answer = read_dna(responder.answer(request(ASKED, article=4, id="AT-3"), received_at=NOON))
    assert answer.results[0].message == "AT is not authorised for searches of type dna-4"
    assert last(ledger).refusal == "AT is not authorised for searches of type dna-4"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "neither XML nor"),
        (b"\xff\xfe", "neither XML nor"),
        (b"<x/>", "no message about DNA"),
        (request(ASKED, source="DE").write(), "no state of pcc-see"),
        (request(ASKED, source="RS").write(), "not in the partner directory"),
        (request(ASKED, destination="AT").write(), "the message is for 'AT'; this is HU"),
        ((GOLDEN / "dna_answer_hit.xml").read_bytes(), "a Requester takes it"),
        (b"1.001:230\x1d1.002:0300\x1c", "no data of category 'dactyloscopic'"),
    ],
)
def test_what_cannot_be_attributed_gets_no_answer_and_is_on_record(responder, ledger, message, reason):
    with pytest.raises(pm.ExchangeError, match=reason):
        responder.answer(message, received_at=NOON)
    assert reason in last(ledger).refusal
    assert events(ledger)[1:] == ["refused"]


def test_a_fault_of_the_node_is_on_record_and_costs_nothing(responder, ledger):
    responder.desks["dna"].matcher.close()
    responder.desks["dna"].matcher.backend = None
    with pytest.raises(AttributeError):
        responder.answer(request(ASKED), received_at=NOON)
    assert last(ledger).refusal == "fault of this node: AttributeError"
    assert last(ledger).searches == 0


def test_codes_in_use_for_a_state_are_one_partner(references, tmp_path):
    with Ledger.open(tmp_path / "l", create=True) as ledger:
        responder = Responder(references, treaty="eu-2008-616", state="HU", ledger=ledger, device="cpu")
        answer = read_dna(responder.answer(request(ASKED, source="EL"), received_at=NOON))
        assert answer.header.requesting.source == "EL"
        assert last(ledger).partner == "GR"
        with pytest.raises(pm.errors.RefusalError):
            responder.answer(request(profile("x", SEVEN), source="GR"), received_at=NOON)


def test_what_pruem_ii_leaves_open_is_an_error_that_names_the_article(references, tmp_path):
    with Ledger.open(tmp_path / "l", create=True) as ledger:
        responder = Responder(references, treaty="pruem-ii", state="HU", ledger=ledger, device="cpu")
        with pytest.raises(pm.ExchangeError, match=r"2024/982, articles 9\(3\) and 37\(6\)"):
            responder.answer(request(ASKED))
        assert "37(6)" in last(ledger).refusal


def test_vehicles_go_to_their_desk(tmp_path, ledger):
    register = SqliteRegister.create(tmp_path / "vehicles", country="HU")
    responder = Responder(treaty="pcc-see", state="HU", ledger=ledger, vehicles=register)
    query = VehicleQuery(requesting="AT", requested="HU", request_id="V-1", created=NOON, licence_number="ABC 123")
    assert read_vehicle(responder.answer(query)).result == "none"
    assert last(ledger).data_supplied == ("asked: ABC 123",)
    responder.partners = Partners({"AT": Partner("AT", frozenset())})
    assert "not authorised" in read_vehicle(responder.answer(replace(query, request_id="V-2"))).reason
    register.close()


def test_the_queue_is_by_deadline_within_a_category_by_arrival_and_expedited_first(responder):
    def inquiry(category: str, minute: int, minutes: int | None, priority: int = 5) -> Inquiry:
        at = NOON + timedelta(minutes=minute)
        due = None if minutes is None else at + timedelta(minutes=minutes)
        return Inquiry(category, "AT", "HU", f"{minute}", "x", 1, None, b"", "", priority, at, due)

    dna = [inquiry("dna", minute, 15) for minute in (0, 2, 4)]
    prints = [inquiry("dactyloscopic", minute, 24 * 60) for minute in (1, 3)]
    urgent = inquiry("dactyloscopic", 5, 24 * 60, priority=1)
    vehicle = inquiry("vehicles", 6, None)
    waiting = [prints[1], vehicle, dna[2], urgent, dna[0], prints[0], dna[1]]
    assert queue_order(waiting) == [urgent, vehicle, *dna, *prints]
    read = responder.read(request(ASKED), received_at=NOON)
    assert read.due_at == NOON + timedelta(minutes=15)
    assert read_dna(responder.answer(read)).results[0].result == "H"


# ---- The partner directory


def directory(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "partners.toml"
    file.write_text(text)
    return file


def test_a_partner_directory(tmp_path):
    text = '[AT]\nmay = ["dna-3", "TP/TP"]\n[AT.quotas]\n"TP/TP" = 100\n[RS]\nmay = []\n'
    states = Partners.read(directory(tmp_path, text), TREATY).states
    assert states["AT"] == Partner("AT", frozenset({"dna-3", "TP/TP"}), {"TP/TP": 100})
    assert states["RS"].may == frozenset()
    assert states.keys() == {"AT", "RS"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[DE]", "[DE] is no state of pcc-see"),
        ("[AT]\nmay = ['dna']", "[AT] may"),
        ("[AT]\nmay = 'dna-3'", "[AT] may"),
        ("[AT]\nmight = []", "[AT] unknown key 'might'"),
        ("[AT]\nmay = ['dna-3']\nquotas = 7", "[AT] quotas"),
        ("[AT]\nmay = ['dna-3']\nquotas = {'dna-4' = 7}", "dna-4 = 7"),
        ("[AT]\nmay = ['dna-3']\nquotas = {'dna-3' = -1}", "dna-3 = -1"),
        ("AT = 7", "[AT] 7 is not a table"),
        ("[AT\n", "line 1"),
    ],
)
def test_a_wrong_directory_is_refused_by_file_and_key(tmp_path, text, named):
    with pytest.raises(pm.ExchangeError) as error:
        Partners.read(directory(tmp_path, text), TREATY)
    assert named in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


# ---- Damage


def test_each_damaged_message_is_answered_or_refused_on_record(responder, ledger):
    """Nothing else happens, and each refusal is in the ledger."""
    counts: Counter[str] = Counter()
    messages = [request(ASKED, profile("AT-S-2", SEVEN)).write(), (GOLDEN / "dna_request.xml").read_bytes()]
    for number, damaged in enumerate(mutants(messages, 2_000, seed=4)):
        data = damaged.replace(b"AT-1<", b"AT-%d<" % number)
        before = len(list(ledger.entries())) if counts["refused"] < 5 else None
        try:
            read_dna(responder.answer(data))
            counts["answered"] += 1
        except pm.ExchangeError:
            counts["refused"] += 1
            assert before is None or len(list(ledger.entries())) == before + 1
    recorded = Counter(events(ledger)[1:])
    assert recorded["refused"] == counts["refused"] > 200
    assert recorded["answered"] + recorded["repeated"] == counts["answered"] > 200


# ---- The command line


def test_from_files(references, tmp_path, capsys):
    (tmp_path / "asked.xml").write_bytes(request(ASKED).write())
    (tmp_path / "junk.xml").write_bytes(b"junk")
    node = ["--dna", str(references.path), "--treaty", "pcc-see", "--state", "HU", "--ledger", str(tmp_path / "l")]

    def answer(file: str, out: str, *more: str) -> int:
        return main(["exchange", "answer", str(tmp_path / file), *node, "--out", str(tmp_path / out), *more])

    assert answer("asked.xml", "a.xml") == answer("asked.xml", "b.xml") == 0
    assert "no --partners: every state of pcc-see may ask everything" in capsys.readouterr().err
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()
    assert answer("junk.xml", "c.xml") == answer("missing.xml", "c.xml") == 1
    assert not (tmp_path / "c.xml").exists()
    assert answer("asked.xml", "d.xml", "--partners", str(directory(tmp_path, "[RS]\nmay = []"))) == 1
    with Ledger.open(tmp_path / "l") as ledger:
        assert events(ledger)[1:] == ["answered", "repeated", "refused", "refused"]
    capsys.readouterr()
    assert main(["exchange", "read", str(tmp_path / "a.xml"), "--json", "-"]) == 0
    shown = capsys.readouterr().out
    assert (json.loads(shown)["results"], json.loads(shown)["matches"]) == ("1 H", 4)
    assert "HU-P-1" not in shown
    assert main(["exchange", "read", str(tmp_path / "a.xml"), "--values"]) == 0
    assert "HU-P-1" in capsys.readouterr().out
    assert main(["exchange", "check", str(tmp_path / "asked.xml"), "--treaty", "pcc-see"]) == 0
    (tmp_path / "few.xml").write_bytes(request(profile("s", {"VWA": ("14", "16")})).write())
    assert main(["exchange", "check", str(tmp_path / "few.xml")]) == 1
    assert "fully designated loci 1, at least 6" in capsys.readouterr().out
    assert main(["exchange", "ledger", "verify", str(tmp_path / "l")]) == 0
