"""The asking side: what leaves is on record with its grounds, what comes back waits for an expert."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from ledger_cases import events, problems
from transaction_cases import golden

import pcc_match as pm
from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import AuditMatch
from pcc_match.exchange.confirmations import Confirmations
from pcc_match.exchange.dna import DnaAnswer, DnaEntry, DnaRequest, Info, read_dna
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.prints import read_prints
from pcc_match.exchange.requester import Grounds, Requester, SentRequest

NOW = datetime(2040, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GROUNDS = Grounds(
    purpose="investigation",
    reason="burglary",
    case_reference="K 12/40",
    officer_searching="o-1",
    officer_ordering="o-2",
)
LOCI = ("VWA", "TH01", "D21S11", "FGA", "D8S1179", "D3S1358", "D18S51")


def profile(id: str, kind: str = "stain", first: str = "9") -> pm.DnaProfile:
    return pm.DnaProfile(id, kind, dict.fromkeys(LOCI, (first, "10")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, create=True) as ledger:
        yield ledger
    assert problems(path) == []


@pytest.fixture
def requester(ledger: Ledger) -> Requester:
    return Requester(ledger, treaty="eu-2008-616", state="AT", body="AT/BK")


def ask_one(requester: Requester, kind: str = "stain") -> SentRequest:
    (sent,) = requester.ask_dna([profile("S-1", kind)], ["DE"], GROUNDS, at=NOW)
    return sent


def answer_to(data: bytes, *found: DnaEntry, **header: object) -> bytes:
    """The answer of a partner: found[k] matched the first profile."""
    request = read_dna(data)
    assert isinstance(request, DnaRequest)
    results = []
    for number, entry in enumerate(request.entries):
        mine = found if number == 0 else ()
        results.append(replace(entry, result="H" if mine else "N", quality=0, rescount=len(mine)))
        results += [replace(each, match_id=entry.profile_id) for each in mine]
    asked = request.header.requesting
    own = Info(asked.source, asked.destination, asked.request_id, NOW.date(), time(12, 5))
    return DnaAnswer(replace(request.header, requested=own, ref="answer 1", **header), tuple(results)).write()


def found(id: str = "P-7", kind: str = "person", quality: int = 1, first: str = "9") -> DnaEntry:
    return DnaEntry.of(profile(id, kind, first), 3, result="H", quality=quality, hitcount=14)


# ---- asking


def test_a_request_is_on_record_before_it_is_given_out(requester: Requester, ledger: Ledger) -> None:
    requests = requester.ask_dna([profile("S-1"), profile("S-2")], ["DE", "HU"], GROUNDS, at=NOW)
    assert events(ledger) == ["opened"]
    sent = next(requests)
    assert events(ledger) == ["opened", "asked"]
    rest = list(requests)
    assert [each.partner for each in (sent, *rest)] == ["DE", "DE", "HU", "HU"]
    assert len({each.request_id for each in (sent, *rest)}) == 4
    assert sent.due_at == NOW + HOUR / 4
    read = read_dna(sent.data)
    assert isinstance(read, DnaRequest)
    assert (read.header.requesting.source, read.header.requesting.destination) == ("AT", "DE")
    assert [each.id for each in read.profiles] == ["S-1"]
    record = ledger.asked("DE", "dna", sent.request_id)
    assert record is not None
    assert (record.case_reference, record.officer_searching, record.officer_ordering) == ("K 12/40", "o-1", "o-2")
    assert (record.search_type, record.searches, record.justification) == ("dna-3", 1, {"purpose": "investigation"})
    assert json.loads(record.data_supplied[0])["alleles"]["VWA"] == ["9", "10"]


def test_open_traces_travel_together(requester: Requester) -> None:
    traces = [profile(f"S-{number}") for number in range(501)]
    sent = list(requester.ask_dna(traces, ["DE"], GROUNDS, article=4, at=NOW))
    assert [len(read_dna(each.data).entries) for each in sent] == [500, 1]
    with pytest.raises(ExchangeError, match="article 3"):
        requester.ask_dna([profile("P-1", "person")], ["DE"], GROUNDS, article=4)


def test_the_partners_quota_is_kept(requester: Requester, ledger: Ledger) -> None:
    requests = requester.ask_dna([profile("S-1"), profile("S-2")], ["DE"], GROUNDS, quota=1, at=NOW)
    next(requests)
    with pytest.raises(RefusalError, match="1 of 1 searches of the day"):
        next(requests)
    assert events(ledger)[1:] == ["asked", "refused"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"reason": " "}, "reason is empty"),
        ({"case_reference": ""}, "case_reference is empty"),
        ({"officer_searching": ""}, "officer_searching is empty"),
        ({"officer_ordering": ""}, "officer_ordering is empty"),
        ({"purpose": "curiosity"}, "purpose 'curiosity'"),
        ({"sought": "neighbour"}, "sought 'neighbour'"),
    ],
)
def test_grounds_are_wanted(requester: Requester, ledger: Ledger, change: dict[str, str], wrong: str) -> None:
    with pytest.raises(ExchangeError, match=wrong):
        requester.ask_dna([profile("S-1")], ["DE"], replace(GROUNDS, **change))
    with pytest.raises(ExchangeError, match="'XX' is no state"):
        requester.ask_dna([profile("S-1")], ["XX"], GROUNDS)
    assert events(ledger) == ["opened"]


def test_pruem_ii_wants_the_record_of_justification(ledger: Ledger) -> None:
    requester = Requester(ledger, treaty="pruem-ii", state="AT", body="AT/BK")
    sent = {"partner": "DE", "category": "vehicles", "search_type": "vehicles", "data_supplied": ["VIN"]}
    with pytest.raises(ExchangeError, match="sought '' is none of suspect"):
        requester.ask(b"query", GROUNDS, request_id="q1", **sent)
    requester.ask(b"query", replace(GROUNDS, sought="suspect", offence="theft"), request_id="q1", at=NOW, **sent)
    record = ledger.asked("DE", "vehicles", "q1")
    assert record is not None
    assert record.justification == {"purpose": "investigation", "sought": "suspect", "offence": "theft"}
    assert record.keep_until == NOW.replace(year=2043)
    with pytest.raises(ExchangeError, match=r"article.* 9\(3\)"):
        list(requester.ask_dna([profile("S-1")], ["DE"], replace(GROUNDS, sought="suspect")))


# ---- taking answers


def test_a_match_waits_for_an_expert(requester: Requester, ledger: Ledger) -> None:
    sent = ask_one(requester)
    (match,) = requester.take_dna(answer_to(sent.data, found()), at=NOW + HOUR)
    assert (match.state, match.record.matches[0]) == ("match", AuditMatch("S-1", "trace", "P-7", "person", 1))
    assert (match.record.reply_id, match.record.case_reference) == ("answer 1", "K 12/40")
    assert requester.matches.open() == [match]
    comparison = requester.compare(match.id)
    assert (comparison.quality, comparison.a.id, comparison.b.id) == (1, "S-1", "P-7")
    requester.matches.confirm(match.id, officer="o-3", reason="all values compared", at=NOW + 2 * HOUR)
    assert requester.matches.open() == []
    hit = ledger.match(match.id)
    assert hit.state == "hit"
    assert hit.decided is not None
    assert (hit.decided.officer_searching, hit.decided.reason, hit.decided.at) == (
        "o-3",
        "all values compared",
        NOW + 2 * HOUR,
    )
    with pytest.raises(ExchangeError, match="in state 'hit'"):
        requester.matches.reject(match.id, officer="o-3", reason="second thoughts", at=NOW + 3 * HOUR)


def test_a_wrong_match_is_rejected(requester: Requester, ledger: Ledger) -> None:
    sent = ask_one(requester)
    (match,) = requester.take_dna(answer_to(sent.data, found(first="17")), at=NOW + HOUR)
    assert requester.compare(match.id).quality == 0  # what the partner called a match is none
    for officer, reason in (("", "r"), ("o", " ")):
        with pytest.raises(ExchangeError, match="needs the officer who made it and the reason"):
            requester.matches.reject(match.id, officer=officer, reason=reason)
    requester.matches.reject(match.id, officer="o-3", reason="7 loci differ", at=NOW + HOUR)
    assert ledger.match(match.id).state == "rejected"


def test_an_answer_taken_twice_counts_once(requester: Requester, ledger: Ledger) -> None:
    sent = ask_one(requester)
    answer = answer_to(sent.data, found(), found("P-8", quality=4))
    first = requester.take_dna(answer, at=NOW + HOUR)
    assert [match.id for match in requester.take_dna(answer, at=NOW + HOUR)] == [match.id for match in first]
    assert events(ledger)[1:] == ["asked", "received"]
    with pytest.raises(RefusalError, match="came before, with another content"):
        requester.take_dna(answer_to(sent.data), at=NOW + HOUR)


def test_answers_that_are_not_ours(requester: Requester, ledger: Ledger) -> None:
    sent = ask_one(requester)
    info = read_dna(sent.data).header.requesting
    for change, wrong in [
        ({"source": "HU"}, "is for HU, not for AT"),
        ({"destination": "HU"}, "a request that was not made"),
        ({"destination": "XX"}, "no state"),
        ({"request_id": "other"}, "a request that was not made"),
    ]:
        with pytest.raises(ExchangeError, match=wrong):
            requester.take_dna(answer_to(sent.data, requesting=replace(info, **change)), at=NOW)
    with pytest.raises(ExchangeError, match="a request is no answer"):
        requester.take_dna(sent.data)
    (other,) = requester.ask_dna([profile("S-9")], ["DE"], GROUNDS, at=NOW)
    strange = answer_to(other.data, requesting=info)
    with pytest.raises(ExchangeError, match="not asked for"):
        requester.take_dna(strange, at=NOW)
    assert ledger.matches() == []
    assert events(ledger).count("refused") == 4


# ---- core data


def hit(ledger: Ledger, treaty: str, found_is: str = "person") -> tuple[Confirmations, str]:
    """A confirmed hit of a request of ours."""
    requester = Requester(ledger, treaty=treaty, state="HU", body="HU/NEBEK")
    grounds = replace(GROUNDS, sought="suspect")
    common = {"partner": "AT", "category": "dactyloscopic", "request_id": "1", "at": NOW}
    requester.ask(b"request", grounds, search_type="LT/TP", data_supplied=["L-1"], **common)
    found = AuditMatch("L-1", "trace", "P-7", found_is, score=999)
    (match,) = requester.take(b"answer", reply_id="2", matches=[found], data_supplied=["P-7"], **common)
    requester.matches.confirm(match.id, officer="o-3", reason="12 minutiae", at=NOW)
    return requester.matches, match.id


NAMES = {"family-names": "N", "first-names": "F"}


def test_core_data_follow_a_hit_within_48_hours(ledger: Ledger) -> None:
    matches, id = hit(ledger, "pruem-ii")
    assert matches.core_data_due(id) == NOW + 48 * HOUR
    given = matches.core_data(id, NAMES, officer="o-4", reason="facts of the offence given", at=NOW + 47 * HOUR)
    assert given == NAMES
    record = ledger.match(id).decided
    assert record is not None
    assert record.data_supplied == ('{"family-names": "N"}', '{"first-names": "F"}')
    assert ledger.match(id).state == "core data"
    with pytest.raises(ExchangeError, match="in state 'core data'"):
        matches.core_data(id, NAMES, officer="o-4", reason="again")


def test_late_core_data_say_why(ledger: Ledger) -> None:
    matches, id = hit(ledger, "pruem-ii")
    with pytest.raises(ExchangeError, match="were due until"):
        matches.core_data(id, NAMES, officer="o-4", reason="r", at=NOW + 49 * HOUR)
    matches.core_data(id, NAMES, officer="o-4", reason="r", late="court order", at=NOW + 49 * HOUR)
    decided = ledger.match(id).decided
    assert decided is not None
    assert decided.reason == "r; late: court order"


def test_core_data_of_a_trace_name_nobody(ledger: Ledger) -> None:
    matches, id = hit(ledger, "pruem-ii", found_is="trace")
    with pytest.raises(ExchangeError, match="'family-names' may not be supplied about a trace"):
        matches.core_data(id, NAMES, officer="o-4", reason="r", at=NOW)
    with pytest.raises(ExchangeError, match="no core data"):
        matches.core_data(id, {}, officer="o-4", reason="r", at=NOW)
    matches.core_data(id, {"case-number": "7"}, officer="o-4", reason="r", at=NOW)


def test_core_data_need_a_treaty_that_knows_them(ledger: Ledger, requester: Requester) -> None:
    matches, id = hit(ledger, "eu-2008-616")
    with pytest.raises(ExchangeError, match="articles 5 and 10"):
        matches.core_data(id, NAMES, officer="o-4", reason="r", at=NOW)
    assert ledger.match(id).state == "hit"


def test_no_core_data_of_what_is_no_hit(ledger: Ledger) -> None:
    requester = Requester(ledger, treaty="pcc-see", state="HU", body="HU/NEBEK")
    common = {"partner": "AT", "category": "dactyloscopic", "request_id": "1", "at": NOW}
    requester.ask(b"request", GROUNDS, search_type="LT/TP", data_supplied=["L-1"], **common)
    found = AuditMatch("L-1", "trace", "P-7", "person")
    one, two = requester.take(b"answer", reply_id="2", matches=[found, found], data_supplied=[], **common)
    requester.matches.reject(two.id, officer="o", reason="r", at=NOW)
    for match in (one, two):
        with pytest.raises(ExchangeError, match="core data follow a hit"):
            requester.matches.core_data(match.id, NAMES, officer="o", reason="r", at=NOW)
    with pytest.raises(ExchangeError, match="none of a DNA request"):
        requester.compare(one.id)
    requester.matches.confirm(one.id, officer="o", reason="r", at=NOW)
    assert requester.matches.core_data_due(one.id) is None


def test_prints_are_asked_and_taken_by_the_same_verbs(requester: Requester, ledger: Ledger) -> None:
    data, answer = golden("cps"), golden("sre_hit")
    request, read = read_prints(data), read_prints(answer)
    about = {"partner": "HU", "category": "dactyloscopic", "request_id": request.request_id, "at": NOW}
    supplied = [request.reference]
    requester.ask(data, GROUNDS, search_type=request.search_type.name, data_supplied=supplied, **about)
    assert read.request_id == request.request_id
    (hit,) = read.results
    found = AuditMatch(request.reference, "person", hit.reference, "person", score=hit.score)
    reply_id = str(hit.transaction.header.text(9))
    (match,) = requester.take(answer, reply_id=reply_id, matches=[found], data_supplied=[hit.reference], **about)
    requester.matches.confirm(match.id, officer="o-3", reason="the ridges agree", at=NOW)
    assert ledger.match(match.id).state == "hit"
    assert ledger.match(match.id).record.matches[0].score == 4321


def test_nothing_personal_in_repr(requester: Requester) -> None:
    sent = ask_one(requester)
    for shown in (repr(sent), repr(GROUNDS), repr(requester)):
        for personal in ("K 12", "o-1", "burglary", "S-1", "datas"):
            assert personal not in shown
