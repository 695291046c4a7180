"""Answers to dactyloscopic requests: each error code of 2.074, searches, candidates with their records."""

import numpy as np
import pytest
from itl_cases import RS, US, binary, fmd, header, tagged
from itl_mutants import mutants
from transaction_cases import GOLDEN, NOW, PRINT, golden, latent, minutiae, tenprint

import pcc_match as pm
from pcc_match import itl
from pcc_match.exchange import prints
from pcc_match.exchange.print_desk import PrintDesk, PrintSearch
from pcc_match.exchange.print_records import FolderStore
from pcc_match.exchange.prints import make_tcn, read_prints
from pcc_match.finger import FingerTemplate
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.prints import FingerRecord
from pcc_match.finger.search import FingerMatcher

TREATY = pm.treaty("eu-2008-616")
PRUEM = {
    "f002": "0300",
    "f006": "4",
    "f007": "HU/NAFIS",
    "f008": "AT/BKA",
    "f009": "2401995014V",
    "f011": "19.68",
    "f012": "19.68",
    "f013": f"INT-I{US}4.22",
    "f014": "20240229125959Z",
}


def type_2(*fields, sys="0422"):
    return tagged(2, "002:00", f"003:{sys}", *fields)


def print_4(idc, *positions):
    return binary(4, idc, positions, (200, 160), 1, PRINT)


def cps(*fields, prints=((1,), (2,)), more=b"", sys="0422", **changes):
    """A CPS byte by byte; `changes` of Type-1 as f006="x"."""
    entries = [(2, "00"), *((4, f"{idc:02d}") for idc in range(1, len(prints) + 1))]
    records = [print_4(idc, *positions) for idc, positions in enumerate(prints, 1)]
    return (
        header(entries, **PRUEM | changes) + type_2(*(fields or ("010:AT/4711",)), sys=sys) + b"".join(records) + more
    )


def mps(count, *fields):
    """An MPS with so many minutiae, and more fields of Type-2."""
    coded = ("126:27\x1f513\x1f0", "127:NONE\x1f0", "128:800", "129:750", "130:1", "131:500", "132:500", "133:0")
    rows = (f"136:{count}", f"137:{fmd(count)}")
    nine = tagged(9, "002:01", "003:6", "004:U", *coded, "134:0", "135:90", *rows)
    image = ("006:200", "007:160", "008:1", "009:500", "010:500", "011:WSQ", "012:8", "013:0", b"999:" + PRINT)
    latent = tagged(13, "002:01", "003:6", "004:AT/BKA", "005:20240229", *image)
    entries = [(2, "00"), (9, "01"), (13, "01")]
    return header(entries, **PRUEM | {"f004": "MPS"}) + type_2("007:AT/C1", *fields) + nine + latent


@pytest.fixture
def nothing(tmp_path):
    """A state that offers no search of prints."""
    return PrintDesk(PrintSearch({}), FolderStore(tmp_path), TREATY, "HU")


def errors(data, desk):
    """The errors of the ERR that answers these bytes."""
    inquiry = desk.read(data)
    outcome = desk.answer(inquiry, NOW)
    (result,) = read_prints(outcome.answer).results
    assert result.transaction.tot == "ERR"
    assert all(problem.field == 10 for problem in result.problems)  # a TCN that was wrong is still the one to name
    assert outcome.note
    assert not outcome.matches
    assert inquiry.searches == (0 if inquiry.message.problems else 1)
    return [(error.code, error.idc, error.field) for error in result.errors]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (cps("063:no CRN"), (101, 0, "2.010")),
        (cps(prints=((1,),)).replace(b"\x1e4\x1f01", b"\x1e7\x1f01"), (102, 1, "7.001")),
        (cps("010:AT/1", "007:AT/2"), (103, 0, "2.007")),
        (cps("010:AT/1", "010:AT/2"), (104, 0, "2.010")),
        (cps(prints=[(n % 15,) for n in range(15)]), (104, 15, "4.001")),
        (cps(prints=((1, 2),)), (105, 1, "4.004")),
        (cps(f009="1A"), (106, -1, "1.009")),
        (cps("010:AT/1", "063:" + "x" * 33), (107, 0, "2.063")),
        (cps(f006="x"), (108, -1, "1.006")),
        (cps(f006="0"), (109, -1, "1.006")),
        (cps("010:AT/1", "320:2"), (110, 0, "2.320")),
        (cps(prints=((15,),)), (110, 1, "4.004")),
        (cps("010:AT/1", b"063:\xe9t\xe9"), (111, 0, "2.063")),
        (cps(f005="20260230"), (112, -1, "1.005")),
        (cps(sys="0300"), (115, 0, "2.003")),
        (cps(f004="ATP"), (116, -1, "1.004")),
        (cps(more=b"rest"), (117, -1, "1.001")),
        (cps(f009="2401995014W"), (201, -1, "1.009")),
        (mps(7), (501, None, "")),
        (cps(prints=()), (502, None, "")),
        (cps(prints=((13,), (14,))), (502, None, "")),
        (cps(prints=((1,), (1,))), (503, None, "")),
        (mps(8), (999, None, "")),
    ],
)  # fmt: skip
def test_each_error_code(data, expected, nothing):
    assert expected in errors(data, nothing)


def test_refusals(nothing):
    inquiry = nothing.read(golden("cps"))
    for cause, expected in (
        ("authorisation", "ERROR: UNAUTHORISED ACCESS"),
        ("quota", "ERROR: ANY OTHER ERROR. FOR FURTHER DETAILS CALL DESTINATION AGENCY"),
    ):
        (result,) = read_prints(nothing.refuse(inquiry, pm.errors.RefusalError(cause, "why"), NOW)).results
        assert [error.text for error in result.errors] == [expected]
        assert result.problems == ()


def test_what_the_responder_learns(nothing):
    inquiry = nothing.read(golden("pms"))
    assert (inquiry.category, inquiry.search_type, inquiry.searches) == ("dactyloscopic", "TP/UL", 1)
    assert (inquiry.requesting, inquiry.requested, inquiry.request_id) == ("AT", "HU", "2600000002H")
    assert (inquiry.body, inquiry.priority) == ("AT/BKA", 1)
    with pytest.raises(pm.ExchangeError, match="is an answer"):
        nothing.read(golden("err"))


def test_an_err_names_the_request_it_answers(nothing):
    for data, expected in (
        (cps(f009="2401995014W"), "2401995014W"),
        (cps(f009=""), prints.NO_TCN),
        (cps(f009=f"a{RS}b"), prints.NO_TCN),
    ):
        answer = read_prints(nothing.answer(nothing.read(data), NOW).answer)
        assert (answer.requesting, answer.requested, answer.request_id) == ("AT", "HU", expected)
        assert answer.results[0].transaction.of_type(2)[0].text(12) == "4711"
        assert answer.results[0].transaction.header.text(8) == "HU/NAFIS"
    answer = read_prints(nothing.answer(nothing.read(cps(f007="")), NOW).answer)
    assert answer.results[0].transaction.header.text(8) == "HU/NCP"


def test_hundreds_of_faults_are_fifty_lines(nothing):
    assert len(errors(cps(*(f"{n}:x" for n in range(100, 400))), nothing)) == 50


def test_the_treatys_limit_counts_not_the_profiles(tmp_path, nothing):
    file = tmp_path / "own.toml"
    file.write_text('extends = "eu-2008-616"\nname = "own"\n[finger.max_candidates]\n"LT/TP" = 12\n')
    assert errors(mps(8, "320:11"), nothing) == [(110, 0, "2.320")]
    own = PrintDesk(nothing.search, nothing.store, pm.treaty(file), "HU")
    assert errors(mps(8, "320:11"), own) == [(999, None, "")]


# -- searches in galleries


def part_of(template, seed):
    """What a latent shows of a finger: the twenty minutiae next to one of it, a little moved, with their own types."""
    rng = np.random.default_rng(seed)
    minutiae = template.sets[0]
    near = np.argsort(np.hypot(minutiae.x - 100, minutiae.y - 80), kind="stable")[:20]
    moved = [np.clip(axis[near] + rng.integers(-1, 2, len(near)), 0, limit) for axis, limit in
             ((minutiae.x, 199), (minutiae.y, 159))]  # fmt: skip
    angle = minutiae.angle[near] * (360 / 256)
    return FingerTemplate.from_minutiae(*moved, angle, type=minutiae.type[near], quality=minutiae.quality[near])


def image(name):
    """A synthetic print of pcc_match.datasets.prints: a1 and a2 of one finger, b1 of another."""
    return (GOLDEN / f"{name}.wsq").read_bytes()


def extracted(name, position):
    return pm.finger.extract(itl.images.decode(image(name)), position=position)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """HU: 8 persons with the fingers 2 and 7 (HU-0 ... HU-7), latents of some of them, and no records of HU-5."""
    folder = tmp_path_factory.mktemp("hu")
    (folder / "records").mkdir()
    store = FolderStore(folder / "records")
    persons, latents = [], []
    for n in range(8):
        for finger in (2, 7):
            template = minutiae(45, 100 * n + finger, finger)
            persons.append(FingerRecord(f"HU-{n}/{finger}", template, f"HU-{n}"))
        if n != 5:
            store.put(f"HU-{n}", tenprint((2, 7), reference=f"HU/CRN-{n}" if n % 2 else "local"))
        latents.append(FingerRecord(f"L-{n}", part_of(persons[-1].template, n), f"C-{n // 2}"))
        store.put(f"L-{n}", latent(latents[-1].template, case=f"HU/C-{n // 2}"))
    persons.append(FingerRecord("HU-A/2", extracted("finger_a1", 2), "HU-A"))
    store.put("HU-A", tenprint((2,), "HU/CRN-A", image("finger_a1")))
    latents.append(FingerRecord("L-A", extracted("finger_a2", 0)))
    store.put("L-A", latent(case="HU/C-A"))
    with FingerGallery.create(folder / "tp") as tp, FingerGallery.create(folder / "ul") as ul:
        tp.enrol(persons)
        ul.enrol(latents)
        with FingerMatcher(tp, device="cpu") as tp_matcher, FingerMatcher(ul, device="cpu") as ul_matcher:
            search = PrintSearch({"TP": tp_matcher, "UL": ul_matcher})
            yield PrintDesk(search, store, TREATY, "HU"), persons


def answered(request, desk):
    """The results of the answer, and what goes on record."""
    outcome = desk.answer(desk.read(bytes(request)), NOW)
    answer = read_prints(outcome.answer)
    assert all(result.problems == () for result in answer.results)
    assert answer.complete
    assert [match.score for match in outcome.matches] == [result.score for result in answer.results if result.hit]
    assert outcome.reply_id.split() == [result.transaction.header.text(9) for result in answer.results]
    return answer.results, outcome


def ask(tot, source, **more):
    common = {"sender": "AT/BKA", "to": "HU/NAFIS", "tcn": make_tcn(2026, 1), "reference": "7", "now": NOW}
    return prints.request(tot, source, **common | more)


def test_a_latent_finds_its_finger_with_the_record_of_that_finger(state):
    desk, persons = state
    for n in (1, 2):
        results, outcome = answered(ask("MPS", latent(part_of(persons[2 * n].template, 50 + n))), desk)
        best = results[0]
        assert best.hit
        assert best.total == len(results) <= 10
        assert best.reference == ("HU/CRN-1" if n == 1 else "HU/HU-2")
        assert [record.get(4) for record in best.transaction.of_type(4)] == [(2,)]
        assert np.array_equal(best.transaction.of_type(4)[0].pixels(), itl.images.decode(PRINT))
        scores = [result.score for result in results if result.hit]
        assert scores == sorted(scores, reverse=True)
        match = outcome.matches[0]
        assert (match.asked, match.asked_is, match.found, match.found_is) == ("AT/7", "trace", best.reference, "person")


def test_a_latent_finds_another_latent(state):
    desk, persons = state
    results, outcome = answered(ask("MMS", latent(part_of(persons[7].template, 99)), candidates=2), desk)
    assert len(results) <= 2
    assert results[0].reference == "HU/C-1"
    assert [record.type for record in results[0].transaction] == [1, 2, 13]
    assert (outcome.matches[0].asked_is, outcome.matches[0].found_is) == ("trace", "trace")


def test_ten_prints_find_their_person_with_all_prints_and_nobody_else(state):
    desk, _ = state
    results, outcome = answered(ask("CPS", tenprint((2, 7), image=image("finger_a2"))), desk)
    (hit,) = results
    assert (hit.hit, hit.reference, hit.number, hit.total) == (True, "HU/CRN-A", 1, 1)
    assert [bytes(record.image) for record in hit.transaction.of_type(4)] == [image("finger_a1")]
    match = outcome.matches[0]
    assert (match.asked_is, match.found_is) == ("person", "person")
    for stranger in (tenprint((2,), image=image("finger_b1")), tenprint((3,), image=image("finger_a2"))):
        results, outcome = answered(ask("CPS", stranger), desk)
        assert [(result.hit, result.errors) for result in results] == [(False, ())]
        assert outcome.matches == ()


def test_ten_prints_find_a_latent_and_the_answer_names_the_finger(state):
    desk, _ = state
    results, outcome = answered(ask("PMS", tenprint((3, 8), image=image("finger_a1"))), desk)
    best = results[0]
    assert (best.hit, best.reference, best.position) == (True, "HU/C-A", 3)
    assert len(results) <= 5
    assert [record.type for record in best.transaction] == [1, 2, 13]
    assert (outcome.matches[0].asked_is, outcome.matches[0].found_is) == ("person", "trace")


def test_a_latent_without_coded_minutiae_goes_through_the_extractor(state):
    desk, _ = state
    source = itl.Transaction.build(
        {"TOT": "X", "DAT": "20240229", "DAI": "A", "ORI": "B", "TCN": "1", "NSR": "19.69", "NTR": "19.69"},
        [(2, {}), (13, {"IMP": 7, "SRC": "A", 5: "20240229", **itl.image_fields(13, image("finger_a2"), 500), 13: 0})],
    )
    results, _ = answered(ask("MPS", source, candidates=1), desk)
    assert results[0].reference == "HU/CRN-A"


def test_prints_without_minutiae_are_501(state):
    desk, _ = state
    for request in (ask("CPS", tenprint((1, 2))), ask("PMS", tenprint((1,))), ask("MMS", latent())):
        assert errors(bytes(request), desk) == [(501, None, "")]


def test_enc_limits_the_candidates(state):
    desk, persons = state
    for wanted in (1, 3):
        results, _ = answered(ask("MPS", latent(part_of(persons[2].template, 1)), candidates=wanted), desk)
        assert len(results) <= wanted


def test_a_candidate_without_records_is_err_999_and_no_match(state):
    desk, persons = state
    results, outcome = answered(ask("MPS", latent(part_of(persons[10].template, 1)), candidates=1), desk)  # of HU-5
    (result,) = results
    assert not result.hit
    assert [error.code for error in result.errors] == [999]
    assert result.transaction.of_type(2)[0].text(63) == "CANDIDATE 001/001 HAS NO RECORDS"
    assert outcome.matches == ()
    assert "HU-5" in outcome.note


def test_a_candidate_whose_records_cannot_be_sent_is_err_999(state, tmp_path):
    desk, persons = state
    other = PrintDesk(desk.search, FolderStore(tmp_path), TREATY, "HU")
    request = ask("MPS", latent(part_of(persons[2].template, 1)), candidates=1)
    for stored, reason in ((latent(), "no images of the kind"), (b"damaged", "no Type-1 record")):
        other.store.path("HU-1").write_bytes(bytes(stored))
        results, outcome = answered(request, other)
        assert reason in outcome.note
        assert [error.code for error in results[0].errors] == [999]


def test_a_threshold_decides_what_is_no_hit(state):
    desk, persons = state
    strict = PrintDesk(PrintSearch(desk.search.matchers, {"LT/TP": 10**6}), desk.store, TREATY, "HU")
    results, outcome = answered(ask("MPS", latent(part_of(persons[2].template, 1))), strict)
    (result,) = results
    assert not result.hit
    assert result.errors == ()
    assert result.transaction.tot == "SRE"
    assert outcome.note == ""
    for matchers, thresholds in (({"XX": None}, {}), ({}, {"TP": 1})):
        with pytest.raises(pm.ExchangeError, match="is none of"):
            PrintSearch(matchers, thresholds)


def test_damaged_requests_are_answered_or_refused(state):
    desk, persons = state
    sources = [bytes(ask(tot, latent(part_of(persons[2].template, 1)))) for tot in ("MPS", "MMS")]
    for data in mutants(sources, 100, seed=8):
        try:
            inquiry = desk.read(data)
        except pm.ExchangeError:
            continue
        assert read_prints(desk.answer(inquiry, NOW).answer).results
