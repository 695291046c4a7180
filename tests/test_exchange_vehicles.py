"""Vehicle registration data: what is asked, what is answered, the SOAP codec, and a register with history."""

import re
import sqlite3
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from vehicle_cases import NOW, VIN, person, query, register

import pcc_match as pm
from pcc_match.exchange import vehicles
from pcc_match.exchange.vehicle_register import SqliteRegister
from pcc_match.exchange.vehicles import VehicleAnswer, VehicleFault, VehicleQuery, VehicleRecord, read_vehicle

FOLDER = files("pcc_match.exchange")
XSD = "{http://www.w3.org/2001/XMLSchema}"
SCHEMA = etree.XMLSchema(etree.parse(str(FOLDER / "vehicles.xsd")))


def body(data):
    return etree.fromstring(data)[0][0]


def valid(data):
    """The message's element, found valid by the schema."""
    content = body(data)
    if etree.QName(content).localname == "Fault":
        content = content.find("detail")[0]
    SCHEMA.assertValid(content)
    return content


def ask(known, now=NOW, **changes):
    """The answer after both messages have been through their encoding."""
    asked = query(**changes)
    valid(asked.write())
    answer = vehicles.answer(read_vehicle(asked.write()), known, state="HU", now=now)
    valid(answer.write())
    assert read_vehicle(answer.write()) == answer
    return answer


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    with register(tmp_path_factory.mktemp("register")) as made:
        yield made


# -- the table


def test_the_schema_has_the_elements_of_the_table_in_its_order():
    tree = etree.parse(str(FOLDER / "vehicles.xsd"))
    for group, rules in vehicles.element_table().items():
        rows = tree.find(f".//{XSD}complexType[@name='{group}']").iter(f"{XSD}element")
        types = {row.get("name"): row.get("type") for row in rows}
        assert list(types) == list(rules)
        for name, rule in rules.items():
            if isinstance(rule.type, str):
                assert types[name] == rule.type
                continue
            listed = tree.find(f".//{XSD}simpleType[@name='{types[name]}']").iter(f"{XSD}enumeration")
            assert tuple(value.get("value") for value in listed) == rule.type


def test_the_rows_of_the_decision():
    table = vehicles.element_table()
    refine = ["licence_number", "vin", "country_of_registration", "make", "commercial_type", "eu_category"]
    assert [name for name, rule in table["vehicle"].items() if rule.refine] == refine
    assert all(rule.send in "MO" and rule.source in ("read", "recalled") for g in table.values() for rule in g.values())
    assert table["vehicle"]["vin"].code == "E"
    assert table["holder"]["name"].code == "C.1.1"
    assert table["owner"]["first_names"].code == "C.2.2"
    assert not table["holder"]["holder_type"].pruem


# -- answers


def test_one_vehicle_is_answered_with_all_that_may_be_sent(known):
    answer = ask(known)
    assert (answer.result, answer.current_data, answer.requested) == ("found", False, "HU")
    (found,) = answer.vehicles
    assert found.vehicle["licence_number"] == "ABC 123"
    assert found.vehicle["status"] == "stolen"
    assert found.vehicle["power_kw"] == "55"
    assert [holder["name"] for holder in found.holders] == ["Új Kft", "Társ"]
    assert found.holders[0]["id_number"] == "77"
    assert [owner["name"] for owner in found.owners] == ["Bank"]
    assert found.insurances == ({"company": "Insurer", "start": "2020-01-01"},)


def test_what_is_not_relevant_to_prüm_never_leaves(known):
    table = vehicles.element_table()
    (found,) = ask(known, at=datetime(2018, 1, 1, tzinfo=UTC)).vehicles
    sent = {(group, name) for group, values in found.groups() for name in values}
    assert ("holder", "birth_date") in sent
    assert all(table[group][name].pruem for group, name in sent)


def test_history_answers_with_what_was_valid_at_the_reference_time(known):
    answer = ask(known, licence_number="OLD-001", at=datetime(2005, 5, 5, tzinfo=UTC))
    (found,) = answer.vehicles
    assert not answer.current_data
    assert found.vehicle["licence_number"] == "OLD-001"
    assert found.vehicle["status"] == "registered"
    assert [holder["name"] for holder in found.holders] == ["Old"]
    assert ask(known, licence_number="OLD-001").result == "none"
    assert ask(known, licence_number="ABC 123", at=datetime(2005, 5, 5, tzinfo=UTC)).result == "none"


def test_the_day_is_the_registers_own(known):
    evening = datetime(2009, 12, 31, 23, 30, tzinfo=UTC)  # in Budapest it is 2010
    assert ask(known, licence_number="OLD-001", at=evening).result == "none"
    assert ask(known, licence_number="ABC 123", at=evening).result == "found"


def test_before_the_history_the_data_of_today_are_marked_as_such(known):
    answer = ask(known, at=datetime(1999, 12, 31, tzinfo=UTC))
    assert answer.current_data
    assert answer.vehicles[0].vehicle["licence_number"] == "ABC 123"
    assert not ask(known, vin="TMBZZZ1JZXW000009", at=datetime(1999, 12, 31, tzinfo=UTC)).current_data
    assert ask(known, vin="TMBZZZ1JZXW000002", at=datetime(2021, 12, 31, tzinfo=UTC)).result == "none"


def test_several_vehicles_are_answered_by_the_refinement_set(known):
    answer = ask(known, licence_number="abc-123")
    assert answer.result == "several"
    assert [dict(found.vehicle) for found in answer.vehicles] == [
        {"licence_number": "ABC 123", "vin": VIN, "country_of_registration": "HU", "make": "VOLKSWAGEN",
         "commercial_type": "GOLF", "eu_category": "M1"},
        {"licence_number": "AB C123", "vin": "TMBZZZ1JZXW000002", "country_of_registration": "HU", "make": "SKODA"},
    ]  # fmt: skip
    assert not any(found.holders or found.owners or found.insurances for found in answer.vehicles)
    assert ask(known, licence_number="ABC123", vin=VIN).result == "found"


@pytest.mark.parametrize("written", ["ABC 123", "abc123", "ABC-123", "АВС 123", "ΑΒC·123"])  # noqa: RUF001
def test_a_licence_number_matches_however_it_is_written(known, written):
    assert ask(known, licence_number=written, vin=VIN).result == "found"


def test_a_vehicle_that_is_no_longer_registered_keeps_its_last_registration(tmp_path):
    with SqliteRegister.create(tmp_path / "v.db", country="SI") as made:
        gone = {"licence_number": "LJ 1", "registration_start": "2010-01-01", "registration_end": "2012-01-01"}
        made.add({"vin": VIN}, registrations=[gone], statuses=[{"status": "scrapped", "status_start": "2012-01-01"}])
        (found,) = made.find(vin=VIN, licence_number=None, at=NOW).records
        assert found.vehicle["registration_end"] == "2012-01-01"
        assert found.vehicle["status"] == "scrapped"
        assert made.find(vin=None, licence_number="LJ 1", at=NOW).records == ()
        assert len(made.find(vin=None, licence_number="LJ 1", at=datetime(2012, 1, 1, tzinfo=UTC)).records) == 1


def test_on_a_day_of_change_both_holders_and_the_plate_that_was_asked_for(tmp_path):
    with SqliteRegister.create(tmp_path / "v.db", country="SI") as made:
        plates = [
            {"licence_number": "LJ 1", "registration_end": "2012-01-01"},
            {"licence_number": "LJ 2", "registration_start": "2012-01-01"},
        ]
        holders = [person("A", end="2012-01-01"), person("B", start="2012-01-01")]
        made.add({"vin": VIN}, registrations=plates, holders=holders)
        for plate in ("LJ 1", "LJ 2"):
            (found,) = made.find(vin=None, licence_number=plate, at=datetime(2012, 1, 1, tzinfo=UTC)).records
            assert found.vehicle["licence_number"] == plate
            assert [holder["name"] for holder in found.holders] == ["A", "B"]


# -- queries that are refused


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vin": None}, "needs a <vin> or a <licence_number>"),
        ({"vin": "WVW*"}, "<vin>: 17 letters"),
        ({"vin": "WVWZZZ1JZXW00000O"}, "<vin>: 17 letters"),
        ({"licence_number": "AB?"}, "<licence_number>: a complete number"),
        ({"licence_number": "AB%"}, "<licence_number>: a complete number"),
        ({"licence_number": "AB_"}, "<licence_number>: a complete number"),
        ({"licence_number": " - "}, "<licence_number>: a complete number"),
        ({"licence_number": "ABC 123", "requested": "ALL"}, "exactly one state"),
        ({"at": datetime(2020, 1, 1)}, "with its time zone"),
        ({"at": datetime(1, 1, 1, tzinfo=UTC)}, "from 1900 on"),
        ({"requesting": "Austria"}, "<requesting>: a country code"),
        ({"requested": "at"}, "<requested>: a country code"),
        ({"request_id": "a b"}, "<request_id>: 1 to 64"),
        ({"created": datetime(2026, 1, 1)}, "<created>: a time"),
    ],
)
def test_impossible_queries_cannot_be_made(changes, reason):
    with pytest.raises(pm.ExchangeError, match=re.escape(reason)):
        query(**changes)


def edited(old, new, data=None):
    data = query().write() if data is None else data
    assert old in data
    return data.replace(old, new)


def test_a_query_that_is_wrong_behind_its_header_is_answered_by_a_fault(known):
    wrong = [
        (VIN.encode(), b"WVW*", "line 9, <vin>: 17 letters and digits"),
        (b"<vin>", b"<vin/><vin>", "line 9, <vin>: the element stands here a second time"),
        (b"</vin>", b"</vin><name>x</name>", "line 9, <name>: the element is not known in <vehicle_query>"),
        (b"</vin>", b"</vin><reference_time>2020-13-01T00:00:00Z</reference_time>", "<reference_time>: a time"),
        (b"</vin>", b"</vin><reference_time>2020-01-01T00:00:00</reference_time>", "<reference_time>: a time"),
        (b"</vin>", b"</vin><licence_number><b/></licence_number>", "<b>: <licence_number> holds text"),
        (b"</vin>", b"</vin>text", "line 4, <vehicle_query>: text behind <vin>"),
        (b"<requested>HU<", b"<requested>SK<", "<requested>: the query is addressed to SK; this is HU"),
    ]
    for old, new, reason in wrong:
        asked = read_vehicle(edited(old, new))
        answer = vehicles.answer(asked, known, state="HU", now=NOW)
        assert isinstance(answer, VehicleFault)
        assert (answer.code, answer.request_id, answer.requested) == ("Client", "AT-2026-1", "HU")
        assert reason in answer.reason
        valid(answer.write())
        assert read_vehicle(answer.write()) == answer
    with pytest.raises(pm.ExchangeError, match="cannot be written"):
        read_vehicle(edited(VIN.encode(), b"*")).write()


def test_a_reference_time_in_the_future_is_refused(known):
    for at in (NOW + timedelta(days=2), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)):
        assert "future" in vehicles.answer(query(at=at), known, state="HU", now=NOW).reason
    assert isinstance(vehicles.answer(query(at=NOW + timedelta(hours=1)), known, state="HU", now=NOW), VehicleAnswer)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not well-formed"),
        (b"<a>", "line 1: not well-formed"),
        (b"<a/>", "line 1, <a>: a SOAP 1.1 envelope"),
        (b"\xff\xfe<", "not well-formed"),
        (edited(b"encoding='utf-8'", b"encoding='nonsense'"), "line 1"),
        (edited(b"AT-2026-1", b""), "line 7, <request_id>: 1 to 64"),
        (edited(b"<created>", b"<created/><created>"), "<created> stands 2 times"),
        (edited(b"vehicle_query", b"vehicle_question"), "line 4, <vehicle_question>: a vehicle_query"),
        (edited(b"<soap:Body>", b"<soap:Header><s xmlns='x' soap:mustUnderstand='1'/></soap:Header><soap:Body>"),
         "line 3, <s>: this header block is not understood"),
        (edited(b"</vehicle_query>", b"</vehicle_query><a/>"), "one message is wanted"),
        (edited(b"<soap:Envelope", b"<!DOCTYPE a [<!ENTITY e 'x'>]><soap:Envelope"), "document type declaration"),
        (edited(b"<vin>", b"<a>" * 20 + b"</a>" * 20 + b"<vin>"), "deeper than 16 levels"),
        (b" " * ((1 << 20) + 1), "at most 1048576 are read"),
    ],
)  # fmt: skip
def test_what_cannot_be_attributed_is_an_error_with_its_place(data, reason):
    with pytest.raises(pm.ExchangeError, match=re.escape(reason)):
        read_vehicle(data)


def test_entities_neither_grow_nor_read_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    laughs = "".join(f"<!ENTITY e{i + 1} '{f'&e{i};' * 10}'>" for i in range(12))
    for declaration in (f"<!ENTITY e0 SYSTEM 'file://{secret}'>", f"<!ENTITY e0 'ha'>{laughs}"):
        for use in (b"&e0;", b"&e12;"):
            data = edited(b"<soap:Envelope", f"<!DOCTYPE a [{declaration}]><soap:Envelope".encode())
            with pytest.raises(pm.ExchangeError) as caught:
                read_vehicle(edited(VIN.encode(), use, data))
            assert "secret" not in str(caught.value).replace(str(secret), "")


def test_answers_are_read_with_the_same_care(known):
    data = ask(known).write()
    for old, new, reason in [
        (b"<result>found", b"<result>none", "<result>: 'found' is wanted"),
        (b"<current_data>false", b"<current_data>no", "<current_data>: true or false"),
        (b"<gender>female", b"<gender>x", "<gender>: one of male, female"),
        (b"<country>HU", b"<country>Hungary", "<country>: a country code"),
        (b"<birth_date>1980-02-29", b"<birth_date>1981-02-29", "<birth_date>: a date YYYY-MM-DD, YYYY-MM or YYYY"),
        (b"<status_start>2025-03-01", b"<status_start>20250301", "<status_start>: a date YYYY-MM-DD"),
        (b"<power_kw>55", b"<power_kw>a", "<power_kw>: a number"),
        (b"<holder>", b"<driver/><holder>", "<driver>: the element is not known in <vehicle_data>"),
    ]:
        with pytest.raises(pm.ExchangeError, match=r"line \d+, .*" + re.escape(reason)):
            read_vehicle(edited(old, new, data))


def test_a_record_names_the_element_that_is_wrong():
    for values, reason in [
        ({"vin": VIN, "colour": "red"}, "<vehicle> has no element <colour>"),
        ({"vin": VIN, "make": ""}, "<vehicle> <make>: a text of 1 to 200"),
        ({"vin": VIN, "make": "a\x00"}, "<vehicle> <make>: a text of 1 to 200"),
        ({"make": "SKODA"}, "neither <vin> nor <licence_number>"),
    ]:
        with pytest.raises(pm.ExchangeError, match=re.escape(reason)):
            VehicleRecord(values)


def test_nothing_personal_in_a_repr(known):
    answer = ask(known)
    assert "Társ" not in repr(answer)
    assert VIN not in repr(answer)


# -- the register


def test_a_register_names_the_file_that_is_none(tmp_path):
    with pytest.raises(pm.ExchangeError, match="no such register"):
        SqliteRegister(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("no database at all " * 100)
    with pytest.raises(pm.ExchangeError, match=r"text\.db: not a register"):
        SqliteRegister(tmp_path / "text.db")
    with pytest.raises(pm.ExchangeError, match=r"text\.db: the file exists"):
        SqliteRegister.create(tmp_path / "text.db", country="AT")
    with pytest.raises(pm.ExchangeError, match="not a time zone"):
        SqliteRegister.create(tmp_path / "new.db", country="AT", zone="Mars/Base")
    with SqliteRegister.create(tmp_path / "v.db", country="AT") as made:
        with pytest.raises(pm.ExchangeError, match="ends before it begins"):
            made.add(
                {"vin": VIN}, registrations=[{"registration_start": "2020-01-02", "registration_end": "2020-01-01"}]
            )
        with pytest.raises(pm.ExchangeError, match="nobody could ask for it"):
            made.add({"make": "SKODA"}, registrations=[])
        with pytest.raises(pm.ExchangeError, match="<holder> <gender>"):
            made.add({"vin": VIN}, registrations=[], holders=[{"gender": "x"}])
        assert made.find(vin=VIN, licence_number=None, at=NOW).records == ()
        made.add({"vin": VIN}, registrations=[])
        with sqlite3.connect(tmp_path / "v.db") as db:
            db.execute("UPDATE vehicle SET elements = '{'")
        db.close()
        with pytest.raises(pm.ExchangeError, match=r"v\.db: the register of vehicles fails"):
            made.find(vin=VIN, licence_number=None, at=NOW)


# -- identity, damage


texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
countries = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2)
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
headers = st.fixed_dictionaries(
    {"requesting": countries, "requested": countries, "request_id": st.from_regex(r"\A[!-~]{1,64}\Z"), "created": times}
)


def values(group, required=()):
    kinds = {
        "text": texts,
        "date": st.dates(date(1000, 1, 1)).map(str),
        "partial": st.dates(date(1000, 1, 1)).flatmap(lambda d: st.sampled_from([str(d), str(d)[:7], str(d)[:4]])),
        "number": st.integers(0, 999).map(str),
        "country": countries,
    }
    table = {
        name: kinds[rule.type] if isinstance(rule.type, str) else st.sampled_from(rule.type)
        for name, rule in vehicles.element_table()[group].items()
    }
    optional = {name: kind for name, kind in table.items() if name not in required}
    return st.fixed_dictionaries({name: table[name] for name in required}, optional=optional)


many = {name: st.lists(values(name[:-1]), max_size=2).map(tuple) for name in ("holders", "owners", "insurances")}
records = st.builds(VehicleRecord, values("vehicle", ["vin"]), **many)


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        lambda header, **given: VehicleQuery(**header, **given),
        headers,
        vin=st.from_regex(r"\A[A-HJ-NPR-Z0-9]{17}\Z"),
        licence_number=st.none() | st.from_regex(r"\A[A-Z0-9]{1,20}\Z"),
        at=st.none() | times,
    )
    | st.builds(
        lambda header, **given: VehicleAnswer(**header, **given),
        headers,
        at=st.none() | times,
        current_data=st.booleans(),
        vehicles=st.lists(records, max_size=3).map(tuple),
    )
)
def test_reading_what_was_written_gives_the_same_message(message):
    assert read_vehicle(message.write()) == message
    valid(message.write())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_messages_give_an_exchange_error_or_a_message(known, data):
    original = data.draw(
        st.sampled_from([query().write(), vehicles.answer(query(), known, state="HU", now=NOW).write()])
    )
    mutant = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutant) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "double", "insert"]))
        if change == "flip":
            mutant[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "cut":
            del mutant[place : place + data.draw(st.integers(1, 40))]
        elif change == "double":
            mutant[place:place] = mutant[place : place + data.draw(st.integers(1, 40))]
        else:
            mutant[place:place] = data.draw(
                st.sampled_from([b"<", b"&", b"\x00", b"]]>", b"&#0;", b"&lt;", b"<a>", b'"'])
            )
    try:
        message = read_vehicle(bytes(mutant))
    except pm.ExchangeError:
        return
    if isinstance(message, VehicleQuery):
        valid(vehicles.answer(message, known, state="HU", now=NOW).write())


# -- an independent SOAP client


@pytest.fixture(scope="module")
def client(known):
    """A zeep client of our WSDL; what it posts goes through our codec in this process."""
    zeep = pytest.importorskip("zeep")

    class InProcess(zeep.Transport):
        def post(self, address, message, headers):
            assert headers["SOAPAction"] == '"urn:pcc-match:vehicles:1:find"'
            answer = vehicles.answer(read_vehicle(message), known, state="HU", now=NOW)
            status = 500 if isinstance(answer, VehicleFault) else 200
            content_type = {"Content-Type": "text/xml; charset=utf-8"}
            return SimpleNamespace(status_code=status, content=answer.write(), headers=content_type, encoding="utf-8")

    transport = InProcess()
    yield zeep.Client(str(FOLDER / "vehicles.wsdl"), transport=transport)
    transport.session.close()


def test_zeep_asks_and_understands(client):
    head = {"requesting": "AT", "requested": "HU", "request_id": "Z-1", "created": NOW}
    answer = client.service.find(**head, licence_number="ABC 123", vin=VIN, reference_time=NOW)
    assert answer.result == "found"
    assert answer.current_data is False
    assert [holder.name for holder in answer.vehicle_data[0].holder] == ["Új Kft", "Társ"]
    assert answer.vehicle_data[0].vehicle.status == "stolen"
    several = client.service.find(**head, licence_number="ABC 123")
    assert (several.result, len(several.vehicle_data)) == ("several", 2)
    assert client.service.find(**head | {"requested": "ALL"}, vin="TMBZZZ1JZXW000009").result == "none"


def test_zeep_gets_a_fault_with_the_query_it_answers(client):
    zeep = pytest.importorskip("zeep")
    head = {"requesting": "AT", "requested": "SK", "request_id": "Z-2", "created": NOW}
    with pytest.raises(zeep.exceptions.Fault, match="addressed to SK") as caught:
        client.service.find(**head, vin=VIN)
    assert caught.value.code == "soap:Client"
    detail = client.wsdl.types.deserialize(caught.value.detail[0])
    assert (detail.requesting, detail.requested, detail.request_id) == ("AT", "HU", "Z-2")
