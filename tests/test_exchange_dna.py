"""Messages about DNA: what is written, what is read, and what is said of a message that is wrong."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from dna_message_cases import ASKED, GOLDEN, REFERENCES, SEVEN, SIX, gallery, mutants, profile, request
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

import pcc_match as pm
from pcc_match.dna.loci import LOCI, allele_code, allele_text, locus
from pcc_match.dna.rule import AlleleClass
from pcc_match.exchange.dna import DnaAnswer, DnaEntry, DnaRequest, Header, Info, exported, read_dna
from pcc_match.exchange.dna_desk import DnaDesk

NOW = datetime(2026, 11, 28, 12, 0, 9, tzinfo=UTC)
SCHEMA = etree.XMLSchema(etree.parse(Path(pm.exchange.__file__).with_name("dna.xsd")))


def valid(data: bytes) -> bool:
    return SCHEMA.validate(etree.fromstring(data))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with pm.Matcher(
        gallery(tmp_path_factory.mktemp("dna") / "g", REFERENCES), treaty="pcc-see", device="cpu"
    ) as matcher:
        yield DnaDesk(matcher)


def answered(desk: DnaDesk, message: DnaRequest | bytes) -> DnaAnswer:
    """With a reply id and times that do not change."""
    data = message if isinstance(message, bytes) else message.write()
    found = read_dna(desk.answer(desk.read(data), NOW).answer)
    assert isinstance(found, DnaAnswer)
    return replace(found, header=replace(found.header, ref="reply-9"))


# ---- Golden messages: the comment of each names the paragraphs


def golden_messages(desk: DnaDesk) -> dict[str, bytes]:
    odd = SEVEN | {"Penta D": ("9", "10", "12"), "SE33": ("<8", "17"), "D1S1656": ("12",), "AMEL": ("Y", "X")}
    wrong = request(
        profile("AT-P-2", SEVEN, "person"), ASKED, profile("AT-S-3", dict(list(SIX.items())[:5])), article=4
    )
    impossible = wrong.write().replace(b"<high_allele>9.3<", b"<high_allele>9.7<", 2).replace(b"9.7<", b"9.3<", 1)
    return {
        "dna_request.xml": request(profile("AT-S-7", odd)).write(),
        "dna_answer_hit.xml": answered(desk, request(ASKED)).write(),
        "dna_answer_none.xml": answered(desk, request(profile("AT-S-8", SIX | {"FGA": ("19", "25")}))).write(),
        "dna_answer_error.xml": answered(desk, impossible).write(),
    }


@pytest.mark.parametrize("name", ["dna_request", "dna_answer_hit", "dna_answer_none", "dna_answer_error"])
def test_golden_messages(desk, name):
    golden = (GOLDEN / f"{name}.xml").read_bytes()
    written = golden_messages(desk)[f"{name}.xml"]
    assert re.sub(rb"\n<!--.*?-->", b"", golden, flags=re.DOTALL) == written
    assert b"2008/616" in golden.partition(b"<PRUEMDNAx>")[0]
    assert valid(golden)
    assert read_dna(golden).write() == written


def test_an_answer_has_the_asked_profile_and_every_match(desk):
    own, *matches = answered(desk, request(ASKED)).results
    assert (own.result, own.quality, own.rescount, own.profile_id, own.match_id) == ("H", 0, 4, "AT-S-1", "")
    assert own.profile is not None
    assert {(each.profile_id, each.quality) for each in matches} == {
        ("HU-P-1", 1), ("HU-P-2", 2), ("HU-R-3", 3), ("HU-S-4", 4),
    }  # fmt: skip
    assert {each.match_id for each in matches} == {"AT-S-1"}
    assert {each.result for each in matches} == {"H"}
    assert all(each.profile_ident == each.profile_id and each.rescount is None for each in matches)
    assert {each.profile_id: each.type for each in matches} == {
        "HU-P-1": "P", "HU-P-2": "P", "HU-R-3": "S", "HU-S-4": "S",
    }  # fmt: skip


def test_hitcount_is_the_pairs_of_class_identical(desk):
    for result in answered(desk, request(ASKED)).results[1:]:
        reference = next(each for each in REFERENCES if each.id == result.profile_id)
        comparison = pm.compare(ASKED, reference, pm.treaty("pcc-see").dna)
        found = [finding.found for row in comparison.loci for finding in row.findings]
        assert result.hitcount == found.count(AlleleClass.IDENTICAL)


def test_a_wrong_profile_is_answered_with_rule_locus_and_value_and_the_others_are_served(desk):
    messages = golden_messages(desk)
    person, wrong, few = read_dna(messages["dna_answer_error.xml"]).results
    assert [each.result for each in (person, wrong, few)] == ["E", "E", "E"]
    assert "article 4" in person.message
    assert "rule 1.1" in wrong.message
    assert "TH01" in wrong.message
    assert "'9.7'" in wrong.message
    assert "rule min_designated_loci, locus all, value 5" in few.message
    served = answered(desk, request(ASKED, profile("AT-S-3", {"FGA": ("1", "2")}), ASKED))
    assert [each.result for each in served.results if each.quality == 0] == ["H", "E", "H"]


def test_what_is_not_answered_as_asked(desk):
    data = request(ASKED, ASKED).write()
    other_article = data[: (place := data.rindex(b"<reqtype>3"))] + b"<reqtype>4" + data[place + 10 :]
    assert [each.result for each in answered(desk, other_article).results if each.quality == 0] == ["H", "E"]
    for old, new, named in (
        (b"<type>S", b"<type>Q", "type"),
        (b"<reqtype>3", b"<reqtype>5", "reqtype"),
        (b"<reqtype>3", b"<reqtype>x", "reqtype"),
        (b"<vwa>", b"<vwb>", "vwb"),
        (b"<th01>", b"<vwa>", "vwa"),
        (b"<agency>", b"<office>", "office"),
        (b"<low_allele>", b"<middle_allele>", "middle_allele"),
    ):
        wrong = data.replace(old, new, 1)
        closing = new.replace(b"<", b"</")
        if new.endswith(b">"):
            wrong = wrong.replace(old.replace(b"<", b"</"), closing, 1)
        first, *others = answered(desk, wrong).results
        assert (first.result, first.profile_id) == ("E", "AT-S-1"), named
        assert named in first.message
        assert [each.result for each in others if each.quality == 0] == ["H"]


# ---- Reading


def test_elements_loci_and_alleles_in_any_order_and_case():
    written = request(ASKED).write()
    root = etree.fromstring(written)
    for element in root.iter():
        element[:] = reversed(element[:])
        element.tag = element.tag.upper()
    header = root[-1]
    root.remove(header)
    root.insert(0, header)
    assert read_dna(etree.tostring(root)) == read_dna(written)
    assert read_dna(written.replace(b"<PRUEMDNAx>", b"<PRUEMDNAx xmlns='urn:any'>")) == read_dna(written)


def test_loci_of_the_extension_in_either_group_and_loci_of_the_catalogue_beyond_the_table():
    data = request(profile("s", SEVEN | {"D1S1656": ("12", "15.3")})).write()
    assert b"<additional_loci>\n      <d1s1656>" in data
    moved = data.replace(b"</ess_issol>\n    <additional_loci>", b"").replace(b"</additional_loci>", b"</ess_issol>")
    assert read_dna(moved) == read_dna(data)
    other = data.replace(b"d1s1656", b"d6s1043").replace(b"15.3", b"15")
    read = read_dna(other)
    assert read.profiles[0].alleles["D6S1043"] == ("12", "15")
    assert read.write() == other
    assert valid(other)


def test_writers_keep_order_and_one_spelling():
    sent = exported(profile("s", {"FGA": ("24,2", "*"), "VWA": ("016", "14"), "TH01": ("9",), "SE33": ("ol", "20.0")}))
    assert dict(sent.alleles) == {"VWA": ("14", "16"), "TH01": ("9", "*"), "FGA": ("24.2", "*"), "SE33": ("20", "*")}
    assert list(sent.alleles) == ["VWA", "TH01", "FGA", "SE33"]
    assert exported(sent) == sent
    for place in (each for each in LOCI if each.compared):
        texts = {code: allele_text(place, code) for code in range(2, 256)}
        coded = {code: text for code, text in texts.items() if text not in ("0.1", "0.2", "0.3", "0.4", "1", "99")}
        assert {code: allele_code(place, text) for code, text in coded.items() if code > place.period} == {
            code: code for code in coded if code > place.period
        }


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (b"<direct>R", b"<direct>X", "line 4, <direct>: direct is R in a request"),
        (b"<direct>R</direct>", b"", "<header>: direct"),
        (b"<source_isocode>AT</source_isocode>", b"", "<requesting>: <source_isocode> is missing"),
        (b"<date>2026-11-28", b"<date>2026-13-28", "<date>: a date YYYY-MM-DD"),
        (b"<time>12:00:01", b"<time>noon", "<time>: a time HH:MM:SS"),
        (b"<request_id>AT-1", b"<request_id>", "<requesting>: a message names"),
        (b"<ref>mail-7</ref>", b"<reference>mail-7</reference>", "<reference>: the element is not known"),
        (b"<header>", b"<datas/><header>", "<datas>: <header> is wanted first"),
        (b"</header>", b"</header><more/>", "<more>: the element is not known here"),
        (b"PRUEMDNAx>", b"PRUEM>", "<PRUEM>: <PRUEMDNAx> is wanted"),
        (b"</PRUEMDNAx>", b"", "not well-formed"),
        (b"?>\n", b"?>\n<!DOCTYPE PRUEMDNAx [<!ENTITY a 'b'>]>\n", "document type"),
        (b"?>\n", b"?>\n<!DOCTYPE PRUEMDNAx SYSTEM 'file:///etc/passwd'>\n", "document type"),
        (b"<vwa>", b"<vwa>&unknown;", "not well-formed"),
    ],
)
def test_a_message_that_cannot_be_attributed_is_refused_by_line_and_element(old, new, named):
    data = request(ASKED).write()
    assert old in data
    with pytest.raises(pm.ExchangeError, match=re.escape(named)):
        read_dna(data.replace(old, new))


def test_sizes_are_limited():
    with pytest.raises(pm.ExchangeError, match="at most 500 profiles"):
        read_dna(request(*[ASKED] * 501).write())
    assert len(read_dna(request(*[ASKED] * 500).write()).profiles) == 500
    with pytest.raises(pm.ExchangeError, match="no end of <header> or <datas>"):
        read_dna(b"<PRUEMDNAx><header>" + b"<a/>" * 400_000)
    head, foot = request(ASKED).write().split(b"</PRUEMDNAx>")
    with pytest.raises(pm.ExchangeError, match="a request has at most"):
        read_dna(head + b" " * (1 << 23) + b"</PRUEMDNAx>" + foot)
    with pytest.raises(pm.ExchangeError, match="not well-formed"):
        read_dna(b"<PRUEMDNAx><header>" + b"<a>" * 10_000)


def test_errors_and_reprs_show_nothing_personal():
    message = read_dna(request(ASKED).write())
    assert "AT-S-1" not in f"{message!r} {message.entries!r}"
    with pytest.raises(pm.ExchangeError) as error:
        read_dna(request(ASKED).write().replace(b"AT-1<", b"AT-1\xe2\x80\xaa<"))
    assert "AT-1" not in str(error.value)


# ---- Write, then read

texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=12)


@st.composite
def profiles(draw):
    names = draw(st.lists(st.sampled_from([each.name for each in LOCI]), min_size=1, max_size=12, unique=True))
    alleles = {}
    for name in names:
        if name == "AMEL":
            alleles[name] = draw(st.sampled_from([("X", "Y"), ("Y",), ("X", "X"), ("*",)]))
            continue
        codes = draw(st.lists(st.integers(1, 255), min_size=1, max_size=3))
        alleles[name] = tuple(allele_text(locus(name), code) for code in codes)
    kind = draw(st.sampled_from(["person", "stain", "missing", "remains"]))
    return profile(draw(texts), {**alleles, "VWA": ("14", "16")}, kind, kit=draw(texts), agency=draw(texts))


infos = st.builds(
    Info,
    st.sampled_from(["AT", "EL"]),
    st.sampled_from(["HU", "UK"]),
    texts,
    st.dates(),
    st.times(timezones=st.just(UTC)),
)
headers = st.builds(Header, infos, infos, texts, texts, texts)


@st.composite
def results(draw):
    entry = DnaEntry.of(draw(profiles()), draw(st.sampled_from([3, 4])), date=draw(st.none() | st.dates()))
    values = {"result": draw(st.sampled_from("HNE")), "quality": draw(st.integers(0, 4))}
    values |= {"message": draw(texts), "match_id": draw(texts), "hitcount": draw(st.none() | st.integers(0, 60))}
    if values["result"] != "H":
        values["profile"] = None
    return replace(entry, **values, rescount=draw(st.none() | st.integers(0, 60)))


@settings(max_examples=50, deadline=None)
@given(headers, st.lists(profiles(), min_size=1, max_size=4), st.sampled_from([3, 4]))
def test_a_request_that_was_written_reads_the_same(header, asked, article):
    message = DnaRequest(header, tuple(DnaEntry.of(each, article) for each in asked))
    data = message.write()
    assert read_dna(data) == message
    assert valid(data)


@settings(max_examples=50, deadline=None)
@given(headers, st.lists(results(), min_size=1, max_size=4))
def test_an_answer_that_was_written_reads_the_same(header, entries):
    message = DnaAnswer(header, tuple(entries))
    data = message.write()
    assert read_dna(data) == message
    assert valid(data)


def test_dates_and_times_as_other_writers_have_them():
    data = request(ASKED).write()
    for old, new in ((b"<date>2026-11-28<", b"<date>2026-11-28+01:00<"), (b"12:00:01<", b"12:00:01.250Z<")):
        assert old in data
        data = data.replace(old, new)
    about = read_dna(data).header.requesting
    assert (about.date, about.time) == (date(2026, 11, 28), time(12, 0, 1, 250_000, tzinfo=UTC))


# ---- Damage


def test_damaged_messages_give_exchange_errors_alone(desk):
    messages = list(golden_messages(desk).values())
    whole = 0
    for data in mutants(messages, 10_000, seed=6):
        try:
            read_dna(data)
            whole += 1
        except pm.ExchangeError:
            pass
    assert 500 < whole < 9_500
