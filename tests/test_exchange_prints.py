"""Dactyloscopic transactions: requests from stored prints, answers written and read, golden texts, TCNs, a folder."""

import re
from datetime import UTC, datetime, timedelta
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itl_mutants import mutants
from transaction_cases import GOLDEN, NOW, PRINT, golden, latent, make_print, minutiae, tenprint

import pcc_match as pm
from pcc_match import itl
from pcc_match.exchange import prints
from pcc_match.exchange.print_records import FolderStore, finger_records, latent_records, palm_records
from pcc_match.exchange.prints import PrintAnswer, PrintError, PrintRequest, make_tcn, read_prints
from pcc_match.finger import FingerTemplate
from pcc_match.itl.problems import Problem

HU = "HU/NAFIS"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.txt") if golden(path.stem)[:6] == b"1.001:")
REQUESTS = {"cps": "TP/TP", "pms": "TP/UL", "mps": "LT/TP", "mms": "LT/UL"}


def ask(tot, source, number, reference, **more):
    common = {"sender": "AT/BKA", "to": HU, "tcn": make_tcn(2026, number), "reference": reference, "now": NOW}
    return prints.request(tot, source, **common | more)


def requests():
    """The golden requests, made by the library."""
    return {
        "cps": ask("CPS", tenprint(), 1, "4711", candidates=1),
        "pms": ask("PMS", tenprint((2,)), 2, "4711", info="urgent", priority=1),
        "mps": ask("MPS", latent(minutiae(4, 1)), 3, "C2026-1", sequence="1", mark="A", candidates=10),
        "mms": ask("MMS", latent(), 4, "C2026-2"),
    }


def answers():
    """The golden answers, made by the library from the golden requests."""
    asked = {name: read_prints(golden(name)) for name in REQUESTS}
    faults = [
        Problem("wrong control character", 5, 1, 1, None, 9, code=201),
        Problem("invalid system information", 50, 2, 2, 0, 3, code=115),
    ]
    hit = {"number": 1, "total": 1, "score": 4321, "reference": {10: "HU/77"}, "records": finger_records(tenprint())}
    trace = {"number": 1, "total": 2, "score": 99, "reference": {7: "HU/C1", 8: "2", 9: "B"}, "position": 2}
    trace |= {"records": latent_records(latent())}
    return {
        "sre_hit": prints.result(asked["cps"], HU, make_tcn(2026, 11), **hit, now=NOW),
        "sre_none": prints.result(asked["mps"], HU, make_tcn(2026, 12), now=NOW),
        "sre_latent": prints.result(asked["pms"], HU, make_tcn(2026, 13), **trace, now=NOW),
        "err": prints.error(asked["mms"], faults, HU, make_tcn(2026, 14), now=NOW),
    }  # fmt: skip


# -- golden


def test_every_golden_text_is_made_here():
    assert {*requests(), *answers()} == set(NAMES)
    difference = itl.images.decode(PRINT).astype(int) - itl.images.decode(make_print())
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize("name", NAMES)
def test_golden_transactions_are_written_byte_for_byte(name):
    made = (requests() | answers())[name]
    assert bytes(made) == golden(name)
    assert made.check("int-i-4.22") == ()


@pytest.mark.parametrize("name", REQUESTS)
def test_golden_requests_are_understood(name):
    request = read_prints(golden(name))
    assert isinstance(request, PrintRequest)
    assert request.problems == ()
    assert request.search_type.name == REQUESTS[name]
    assert (request.tot, request.requesting, request.requested) == (name.upper(), "AT", "HU")
    assert request.request_id == make_tcn(2026, list(REQUESTS).index(name) + 1)
    assert request.wanted == {"cps": 1, "mps": 10}.get(name)
    assert bytes(request.transaction) == golden(name)
    assert prints.mail_subject(request.transaction) == f"AT/{name.upper()}"


def test_golden_answers_are_understood():
    found = {name: read_prints(golden(name)) for name in answers()}
    assert all(isinstance(answer, PrintAnswer) for answer in found.values())
    assert {(answer.requesting, answer.requested) for answer in found.values()} == {("AT", "HU")}
    (hit,) = found["sre_hit"].results
    assert (hit.hit, hit.number, hit.total, hit.score, hit.verified) == (True, 1, 1, 4321, False)
    assert (hit.reference, hit.position, hit.errors, hit.problems) == ("HU/77", None, (), ())
    assert [record.get(4) for record in hit.transaction.of_type(4)] == [(1,), (2,)]
    assert np.array_equal(hit.transaction.of_type(4)[0].pixels(), itl.images.decode(PRINT))
    (none,) = found["sre_none"].results
    assert (none.hit, none.number, none.total, found["sre_none"].request_id) == (False, 0, 0, "2600000003J")
    (trace,) = found["sre_latent"].results
    assert (trace.hit, trace.number, trace.total, trace.reference, trace.position) == (True, 1, 2, "HU/C1 2 B", 2)
    assert not found["sre_latent"].complete
    assert found["sre_hit"].complete
    (error,) = found["err"].results
    assert not error.hit
    assert error.errors == (
        PrintError(201, "WRONG CONTROL CHARACTER", -1, "1.009"),
        PrintError(115, "INVALID SYSTEM INFORMATION", 0, "2.003"),
    )


def test_answers_follow_each_other_byte_behind_byte():
    request = read_prints(golden("pms"))
    several = [
        prints.result(request, HU, make_tcn(2026, n), number=n, total=3, score=5, reference={7: f"HU/{n}"}, position=2,
                      records=latent_records(latent()))
        for n in (1, 2)
    ]  # fmt: skip
    error = prints.error(request, [Problem("", code=999)], HU, make_tcn(2026, 3), info="CANDIDATE 003/003")
    data = b"".join(map(bytes, (*several, error)))
    answer = read_prints(data)
    assert [result.hit for result in answer.results] == [True, True, False]
    assert [result.reference for result in answer.results] == ["HU/1", "HU/2", ""]
    assert [error.code for error in answer.results[2].errors] == [999]
    assert all(result.problems == () for result in answer.results)
    assert answer.complete
    assert [bytes(each) for each in prints.split(data)] == [*map(bytes, several), bytes(error)]
    with pytest.raises(pm.ExchangeError, match="answer different requests"):
        read_prints(bytes(several[0]) + golden("err"))
    with pytest.raises(pm.ExchangeError, match="among answers"):
        read_prints(bytes(several[0]) + golden("cps"))


def test_a_machine_never_claims_a_verified_hit():
    sre = prints.result(read_prints(golden("cps")), HU, make_tcn(2026, 1), number=1, total=1, score=10**7,
                        reference={10: "HU/1"}, records=finger_records(tenprint()))  # fmt: skip
    (result,) = read_prints(bytes(sre)).results
    assert (result.score, result.verified) == (999998, False)
    (verified,) = read_prints(golden("sre_hit").replace(b"4321", b"999999").replace(b"2.001:77", b"2.001:79")).results
    assert verified.verified


# -- requests from stored prints


def test_ten_prints_of_any_version_become_type_4():
    request = ask("CPS", tenprint((1, 1, 2, 0, 0, 15)), 1, "x")
    assert [record.get(4) for record in request.of_type(4)] == [(1,), (2,), (0,), (0,)]
    assert all(bytes(record.image) == PRINT for record in request.of_type(4))
    again = ask("PMS", request, 1, "x")  # Type-4 stays what it is
    assert [bytes(record.image) for record in again.of_type(4)] == [PRINT] * 4


def test_uncompressed_images_are_encoded_and_other_resolutions_refused():
    pixels = itl.images.decode(PRINT)
    header = {"TOT": "X", "DAT": "20240229", "DAI": "A", "ORI": "B", "TCN": "1", "NSR": "19.69", "NTR": "19.69"}
    raw = {3: 1, 4: 1, 6: 200, 7: 160, 8: 0, 9: pixels.tobytes()}
    stored = itl.Transaction.build(header, [(2, {}), (4, raw)])
    (record,) = ask("CPS", stored, 1, "x").of_type(4)
    assert itl.images.probe(bytes(record.image)).format == "wsq"
    assert np.abs(record.pixels().astype(int) - pixels).mean() < 12
    fields = {"IMP": 1, "SRC": "A", 5: "20240229", **itl.image_fields(14, PRINT, 500), 9: 1000, 10: 1000, 13: 1}
    with pytest.raises(pm.ExchangeError, match="Type-14 IDC 1: an image of 1000 ppi"):
        ask("CPS", itl.Transaction.build(header, [(2, {}), (14, fields)]), 1, "x")


def test_palms_and_palm_latents():
    header = {"TOT": "X", "DAT": "20240229", "DAI": "A", "ORI": "B", "TCN": "1", "NSR": "19.69", "NTR": "19.69"}
    palm = {"IMP": 10, "SRC": "A", 5: "20240229", **itl.image_fields(15, PRINT, 500), 13: 21}
    stored = itl.Transaction.build(header, [(2, {}), (15, palm), *tenprint((1,)).of_type(14)])
    request = ask("PMS", stored, 1, "x", palms=True)
    assert [record.type for record in request] == [1, 2, 15]
    assert read_prints(bytes(request)).search_type.name == "PP/ULP"
    assert len(palm_records(stored)) == 1
    assert read_prints(bytes(ask("MPS", latent(position=22), 1, "x"))).search_type.name == "LP/PP"
    assert read_prints(bytes(ask("MMS", latent(position=20), 1, "x"))).search_type.name == "LP/ULP"


def test_minutiae_travel_with_their_latent():
    template = minutiae(20, 3)
    for source, beside in ((latent(template), None), (latent(), template)):
        (nine,) = ask("MMS", source, 1, "x", template=beside).of_type(9)
        back = FingerTemplate.from_itl(nine)
        assert np.array_equal(back.sets[0].x, template.sets[0].x)
        assert np.array_equal(back.sets[0].angle, template.sets[0].angle)
        assert np.array_equal(back.sets[0].quality, template.sets[0].quality)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tot": "SRE"}, "'SRE' is not a request"),
        ({"source": latent()}, "CPS: the transaction holds no prints"),
        ({"tot": "MPS"}, "MPS: the transaction holds no prints"),
        ({"sender": "Austria"}, "'Austria' is not a country code and an agency"),
        ({"reference": "x" * 40}, "2.010"),
        ({"reference": "a\x1db"}, "cannot be written"),
        ({"tcn": "2600000001A"}, "wrong control character"),
        ({"priority": 0}, "1.006"),
        ({"info": "x" * 33}, "2.063"),
        ({"candidates": 100}, "2.320"),
    ],
)
def test_what_cannot_be_asked_says_why(changes, reason):
    given = {
        "tot": "CPS",
        "source": tenprint(),
        "sender": "AT/BKA",
        "to": HU,
        "tcn": make_tcn(2026, 1),
        "reference": "1",
    }
    with pytest.raises(pm.ExchangeError, match=re.escape(reason)):
        prints.request(**given | changes)


texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32)


@settings(max_examples=40, deadline=None)
@given(
    tot=st.sampled_from(prints.REQUESTS),
    positions=st.lists(st.integers(0, 14), min_size=1, max_size=14, unique=True),
    reference=texts,
    sequence=st.from_regex(r"\A[0-9]{0,4}\Z"),
    mark=st.from_regex(r"\A[A-Z]{0,2}\Z"),
    candidates=st.none() | st.integers(1, 99),
    priority=st.integers(1, 9),
    count=st.none() | st.integers(0, 60),
    serial=st.integers(0, 10**8 - 1),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),
)
def test_what_was_asked_is_read(tot, positions, reference, sequence, mark, candidates, priority, count, serial, now):
    latents = tot in ("MPS", "MMS")
    template = None if count is None else minutiae(count, 1)
    source = latent(template) if latents else tenprint(positions)
    made = prints.request(
        tot, source, sender="AT/BKA", to=HU, tcn=make_tcn(now.year, serial), reference=reference, sequence=sequence,
        mark=mark, candidates=candidates, priority=priority, now=now,
    )  # fmt: skip
    request = read_prints(bytes(made))
    assert bytes(request.transaction) == bytes(made)
    assert (request.tot, request.wanted, request.request_id) == (tot, candidates, make_tcn(now.year, serial))
    case = request.transaction.of_type(2)[0]
    assert case.text(7 if latents else 10) == f"AT/{reference}"
    assert (case.text(8), case.text(9)) == ((sequence, mark) if latents else ("", ""))
    if not latents:
        assert [record.get(4) for record in request.transaction.of_type(4)] == [(p,) for p in positions]
    answer = read_prints(bytes(prints.result(request, HU, make_tcn(2026, 1), now=now)))
    assert (answer.request_id, answer.results[0].hit) == (request.request_id, False)
    echoed = answer.results[0].transaction.of_type(2)[0]
    assert echoed.text(13 if latents else 12) == reference


# -- reading what is wrong


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no Type-1 record"),
        (b"%PDF-1.7 nothing", "no Type-1 record"),
        (golden("cps").replace(b"AT/BKA", b"Austri"), "1.008 ORI"),
        (golden("cps").replace(b"1.008", b"1.018"), "1.008 ORI"),
        (b" " * (64 << 20) + b" ", "at most"),
    ],
)
def test_what_cannot_be_attributed(data, reason):
    with pytest.raises(pm.ExchangeError, match=reason):
        read_prints(data)


def test_states_may_relax_a_check():
    data = golden("cps").replace(b"2600000001G", b"2600000001A")
    assert [problem.code for problem in read_prints(data).problems] == [201]
    assert read_prints(data, relaxed=["tcn"]).problems == ()


def test_damaged_transactions_give_an_exchange_error_or_a_message():
    for data in mutants([golden(name) for name in NAMES], 400, seed=5):
        try:
            message = read_prints(data)
        except pm.ExchangeError:
            continue
        if isinstance(message, PrintAnswer):
            _ = message.complete
            continue
        _ = message.search_type, message.wanted, message.requested
        error = prints.error(message, message.problems or [Problem("", code=999)], HU, make_tcn(2026, 1))
        assert read_prints(bytes(error)).results[0].errors


# -- numbers


def test_control_numbers():
    assert [make_tcn(2016, 366), make_tcn(2024, 1995014)] == ["1600000366G", "2401995014V"]
    with pytest.raises(pm.ExchangeError, match="0 to 99999999"):
        make_tcn(2026, 10**8)


def test_the_clock_gives_no_number_twice():
    still = prints.TcnClock(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    found = []
    threads = [Thread(target=lambda: found.extend(still() for _ in range(100))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [make_tcn(2026, serial) for serial in range(400)]
    moment = datetime(2028, 12, 31, 23, 59, 59, tzinfo=UTC)
    times = iter([moment, moment + timedelta(seconds=1), moment])
    clock = prints.TcnClock(lambda: next(times))
    assert [clock()[:-1], clock()[:-1], clock()[:-1]] == ["2894867197", "2900000000", "2900000001"]


# -- the folder


def test_a_folder_of_transactions(tmp_path):
    store = FolderStore(tmp_path)
    for id in ("AT-1", "../../etc/passwd", "Ž/1", "a b", ".."):
        store.put(id, tenprint())
        assert bytes(store.transaction(id)) == bytes(tenprint())
        assert store.path(id).parent == tmp_path
    assert len(list(tmp_path.iterdir())) == 5
    with pytest.raises(pm.ExchangeError, match=r"none\.an2"):
        store.transaction("none")
    store.path("damaged").write_bytes(b"nothing")
    with pytest.raises(pm.ExchangeError, match=r"damaged\.an2: .*no Type-1"):
        store.transaction("damaged")
    with pytest.raises(pm.ExchangeError, match="no such folder"):
        FolderStore(tmp_path / "missing")
