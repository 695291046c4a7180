"""Messages about DNA: requests and answers in the XML of Decision 2008/616/JHA, annex, chapter 1, 4.1.

request = read_dna(data)                   # DnaRequest or DnaAnswer
[profile.id for profile in request.profiles]
read_dna(answer).results[0].result         # U H N E

Element names are data: dna_names.toml. dna.xsd beside this file describes what is written here; it is ours, because the
official schema is not public. Readers take elements, loci and the two alleles in any order; writers keep the order of
the table, the low allele before the high one, `*` last.
"""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeVar

from lxml import etree

from pcc_match.dna.loci import LOCI, allele_text, known_locus, locus
from pcc_match.dna.profile import DnaProfile, check_text
from pcc_match.errors import ExchangeError, ProfileError
from pcc_match.exchange import xml
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set

ARTICLES: Final = (3, 4)  # of Decision 2008/615/JHA: search in the individual case, comparison of open traces
RESULTS: Final = ("U", "H", "N", "E")
KINDS: Final = {"P": "person", "S": "stain"}
TYPES: Final = {"person": "P", "missing": "P", "stain": "S", "remains": "S"}  # known person, or unidentified
REQUEST_SIZE: Final = 1 << 23  # bytes; 500 profiles of all loci, indented, take a quarter of it
ANSWER_SIZE: Final = 1 << 28

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?")
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?")
_SCHEMA_VERSION = "pcc_match 1"
_T = TypeVar("_T")


class _Names:
    """dna_names.toml, with what reading needs: names of elements in lower case."""

    def __init__(self) -> None:
        table = tomllib.loads(files("pcc_match.exchange").joinpath("dna_names.toml").read_text("utf-8"))
        self.root, self.header, self.datas = table["root"], table["header"], table["datas"]
        self.fields: dict[str, dict[str, str]] = {
            part: table[f"{part}_fields"] for part in ("header", "info", "datas", "profile", "locus")
        }
        self.groups: dict[str, dict[str, str]] = {group: table[group] for group in ("ess_issol", "additional_loci")}
        self.loci = {name: spelt for group in self.groups.values() for name, spelt in group.items()}
        # Loci that the table does not have are read and written last: who asks with them gets them back.
        others = {
            other.name: re.sub(r"[ /-]", "_", other.name.lower()) for other in LOCI if other.name not in self.loci
        }
        self.written = self.groups | {"additional_loci": self.groups["additional_loci"] | others}
        self._read = {
            part: {spelt.lower(): ours for ours, spelt in table.items()} for part, table in self.fields.items()
        }
        self._loci = {spelt.lower(): name for name, spelt in self.loci.items()}

    def field(self, part: str, element: xml.Element) -> str | None:
        """What the library calls an element of a part; None for an element that the part does not have."""
        return self._read[part].get(xml.name(element).lower())

    def locus(self, element: xml.Element) -> str | None:
        """The canonical name of an element's locus: those of the table, and any other of the catalogue."""
        name = xml.name(element)
        found = self._loci.get(name.lower())
        if found is None and (other := known_locus(name)) is not None:
            found = other.name
        return found


@cache
def _names() -> _Names:
    return _Names()


# ---- What a message says


@dataclass(frozen=True)
class Info:
    """Who asks whom, by codes as written, with the request's id; date and time of the message that this is about."""

    source: str
    destination: str
    request_id: str
    date: date
    time: time

    def __post_init__(self) -> None:
        for name in ("source", "destination", "request_id"):
            _check_text(name, getattr(self, name))
        if not (self.source and self.destination and self.request_id):
            raise ExchangeError("a message names the state that asks, the state that is asked, and the request's id")


@dataclass(frozen=True)
class Header:
    """requesting: of the request. requested: of the answer, where the message is one."""

    requesting: Info
    requested: Info | None = None
    ref: str = ""
    generator: str = "pcc_match"
    schema_version: str = _SCHEMA_VERSION

    def __post_init__(self) -> None:
        for name in ("ref", "generator", "schema_version"):
            _check_text(name, getattr(self, name))


@dataclass(frozen=True, repr=False)
class DnaEntry:
    """One `datas`: a profile that is asked for, or one line of an answer.

    profile     as exported() gives it; None in an answer without a hit. In memory its id is profile_id
    profile_id  of the profile; profile_ident: the state's id of it, most often the same
    quality     in an answer: 0 the profile that was asked for, 1 to 4 a match; None in a request
    match_id    of a match: profile_id of the profile that was asked for
    hitcount    of a match: allele values that are identical
    rescount    of the profile that was asked for: its matches
    date        when the profile was stored
    error       in a request that was read: why this entry cannot be served. It is not written
    reqtype 0 and type "" stand where a request did not say them, in its entry and in the answer E to it.
    """

    reqtype: int
    type: str
    profile_id: str
    profile: DnaProfile | None = None
    result: str = "U"
    profile_ident: str = ""
    agency: str = ""
    date: date | None = None
    message: str = ""
    match_id: str = ""
    quality: int | None = None
    hitcount: int | None = None
    rescount: int | None = None
    error: str = ""

    def __post_init__(self) -> None:
        for name in ("profile_id", "profile_ident", "agency", "message", "match_id"):
            _check_text(name, getattr(self, name))
        if self.error:
            return
        failed = self.result == "E"
        if self.reqtype not in ARTICLES and not (failed and self.reqtype == 0):
            raise ExchangeError("reqtype is 3 or 4: the article of Decision 2008/615/JHA")
        if self.result not in RESULTS or (self.type not in KINDS and not (failed and self.type == "")):
            raise ExchangeError("type is P or S, result U, H, N or E")
        if self.quality not in (None, 0, 1, 2, 3, 4):
            raise ExchangeError("quality is a number from 0 to 4")
        if any(number is not None and number < 0 for number in (self.hitcount, self.rescount)):
            raise ExchangeError("hitcount and rescount are no negative numbers")
        if self.profile is not None and (self.profile.id, self.profile.kind) != (self.profile_id, KINDS[self.type]):
            raise ExchangeError("id and kind of the profile are not those of its entry: take DnaEntry.of()")

    @classmethod
    def of(cls, profile: DnaProfile, reqtype: int, **values: Any) -> DnaEntry:
        """An entry for a profile of one's own."""
        sent = exported(profile)
        type = TYPES[profile.kind]
        given = {"agency": profile.agency, "profile_ident": profile.id} | values
        return cls(reqtype, type, profile.id, sent, **given)

    def __repr__(self) -> str:  # nothing that leads to a person
        return f"DnaEntry({self.type}, {self.result}, quality {self.quality})"


@dataclass(frozen=True, repr=False)
class DnaRequest:
    """A request for 1 or more profiles."""

    header: Header
    entries: tuple[DnaEntry, ...]

    @property
    def profiles(self) -> tuple[DnaProfile, ...]:
        """The profiles that can be searched; entries say why another cannot."""
        return tuple(entry.profile for entry in self.entries if entry.profile is not None and not entry.error)

    def write(self) -> bytes:
        """The message; ExchangeError where an entry could not be read."""
        return _write(self.header, "R", self.entries)

    def __repr__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, repr=False)
class DnaAnswer:
    """An answer: an entry of quality 0 for each profile asked, each followed by its matches."""

    header: Header
    results: tuple[DnaEntry, ...]

    @property
    def entries(self) -> tuple[DnaEntry, ...]:
        return self.results

    def write(self) -> bytes:
        """The message."""
        return _write(self.header, "A", self.results)

    def __repr__(self) -> str:
        return _shown(self)


def _shown(message: DnaRequest | DnaAnswer) -> str:
    info = message.header.requesting
    return (
        f"{type(message).__name__}({info.source} -> {info.destination}, {info.request_id!r}, "
        f"{len(message.entries)} entries)"
    )


def exported(profile: DnaProfile) -> DnaProfile:
    """The profile as a message holds it: at the loci of the table, two values each, in one spelling.

    Annex, chapter 1, 1.1: of three alleles the first is sent with a wildcard; what is not a designated number is `*`.
    Kinds are two: a missing person's profile is that of a person, that of remains is unidentified as a stain's is.
    """
    alleles = {name: _two_texts(profile, name) for name in _names().loci if name in profile.pairs}
    return DnaProfile(profile.id, KINDS[TYPES[profile.kind]], alleles, kit=profile.kit)


def _two_texts(profile: DnaProfile, name: str) -> tuple[str, str]:
    """Low, high, `*` last."""
    low, high = profile.pairs[name]
    if not low.designated:
        low, high = high, low
    where = locus(name)
    return allele_text(where, low.code), allele_text(where, high.code)


def _check_text(name: str, text: str) -> None:
    try:
        check_text(name, text) if text else None
    except ProfileError:
        raise ExchangeError(f"{name} is not a text of printable characters without spaces around it") from None


# ---- Reading


def read_dna(data: bytes, *, treaty: str | Treaty = "eu-2008-616") -> DnaRequest | DnaAnswer:
    """The request or answer in a message; the treaty says how many profiles a request may have.

    ExchangeError names line and element, and no value, where the message is not well-formed, is no message about DNA,
    or cannot be attributed. What is wrong with one profile of a request stands in its entry's `error`, which names
    rule, locus and value: the answer tells the state that asked. An answer with a wrong entry is refused whole.
    """
    names = _names()
    rules = treaty if isinstance(treaty, Treaty) else treaty_set(treaty)
    header, direct = None, ""
    entries: list[DnaEntry] = []
    for element in xml.stream(data, (names.header, names.datas), ANSWER_SIZE):
        root = element.getparent()
        if xml.name(root).lower() != names.root.lower():
            raise xml.fault(root, f"<{names.root}> is wanted")
        if xml.name(element).lower() == names.header.lower():
            if header is not None:
                raise xml.fault(element, "the element stands here a second time")
            header, direct = _read_header(element)
            if direct == "R" and len(data) > REQUEST_SIZE:
                raise xml.fault(element, f"a request has at most {REQUEST_SIZE} bytes")
        elif header is None:
            raise xml.fault(element, f"<{names.header}> is wanted first")
        else:
            if direct == "R" and len(entries) == rules.dna_messages.max_profiles:
                raise xml.fault(element, f"a request has at most {len(entries)} profiles (annex, chapter 1, 4.1)")
            entry = _read_entry(element, answered=direct == "A")
            if entry.error and direct == "A":
                raise xml.fault(element, "the entry cannot be read: see the schema dna.xsd")
            entries.append(entry)
    if header is None:
        raise ExchangeError(f"line 1: no <{names.header}>: this is no message about DNA")
    if not entries:
        raise ExchangeError(f"line 1: no <{names.datas}>: the message has no profile")
    return DnaRequest(header, tuple(entries)) if direct == "R" else DnaAnswer(header, tuple(entries))


def _children(part: str, element: xml.Element) -> dict[str, xml.Element]:
    """The child elements by what the library calls them."""
    found: dict[str, xml.Element] = {}
    for child in xml.elements(element):
        name = _names().field(part, child)
        if name is None or name in found:
            wrong = "is not known here" if name is None else "stands here a second time"
            raise xml.fault(child, f"the element {wrong}")
        found[name] = child
    return found


def _read_header(element: xml.Element) -> tuple[Header, str]:
    found = _children("header", element)
    direct = xml.text(found["direct"]) if "direct" in found else ""
    if direct not in ("R", "A"):
        raise xml.fault(found.get("direct", element), "direct is R in a request, A in an answer")
    if "requesting" not in found or (direct == "A" and "requested" not in found):
        raise xml.fault(element, "requesting is wanted, and in an answer requested")
    values: dict[str, Any] = {"requesting": _read_info(found["requesting"])}
    # An empty one in a request says nothing, as none does.
    if "requested" in found and (direct == "A" or len(found["requested"])):
        values["requested"] = _read_info(found["requested"])
    for name in ("ref", "generator", "schema_version"):
        values[name] = xml.text(found[name]) if name in found else ""
    return _located(element, Header, values), direct


def _read_info(element: xml.Element) -> Info:
    found = _children("info", element)
    for name, spelt in _names().fields["info"].items():
        if name not in found:
            raise xml.fault(element, f"<{spelt}> is missing")
    values: dict[str, Any] = {name: xml.text(found[name]) for name in ("source", "destination", "request_id")}
    values |= {"date": _read_date(found["date"]), "time": _read_time(found["time"])}
    return _located(element, Info, values)


def _located(element: xml.Element, make: type[_T], values: Mapping[str, Any]) -> _T:
    try:
        return make(**values)
    except ExchangeError as error:
        raise xml.fault(element, str(error)) from None


def _read_date(element: xml.Element) -> date:
    found = _DATE.fullmatch(xml.text(element))
    try:
        if found:
            return date.fromisoformat(found[1])
    except ValueError:
        pass
    raise xml.fault(element, "a date YYYY-MM-DD is wanted")


def _read_time(element: xml.Element) -> time:
    text = xml.text(element)
    try:
        if _TIME.fullmatch(text):
            return time.fromisoformat(text)
    except ValueError:
        pass
    raise xml.fault(element, "a time HH:MM:SS is wanted")


def _read_number(element: xml.Element) -> int | None:
    text = xml.text(element)
    if not re.fullmatch(r"[0-9]{0,9}", text):
        raise xml.fault(element, "a number is wanted")
    return int(text) if text else None


def _read_entry(element: xml.Element, *, answered: bool) -> DnaEntry:
    """The entry; where something is wrong, as much of it as tells whose it is, and `error`."""
    values: dict[str, Any] = {"reqtype": 0, "type": "", "profile_id": ""}
    errors: list[str] = []

    def attempt(read: Any, *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except ExchangeError as error:
            errors.append(str(error))
            return None

    found = attempt(_children, "datas", element) or _loosely(element)
    for name in ("type", "result", "agency", "profile_ident", "message", "match_id"):
        if name in found:
            values[name] = attempt(xml.text, found[name]) or ""
    for name in ("reqtype", "quality", "hitcount", "rescount"):
        if name in found:
            values[name] = attempt(_read_number, found[name])
    values["reqtype"] = values["reqtype"] or 0
    values["result"] = values.get("result") or "U"
    if "date" in found and (found["date"].text or "").strip():
        values["date"] = attempt(_read_date, found["date"])
    parts: dict[str, xml.Element] = {}
    if "profile" in found:
        parts = attempt(_children, "profile", found["profile"]) or {}
        if "profile_id" in parts:
            values["profile_id"] = attempt(xml.text, parts["profile_id"]) or ""
    values["profile_id"] = values["profile_id"] or values.get("profile_ident", "")
    if not errors:
        try:
            values["profile"] = _read_profile(parts, values["profile_id"], KINDS.get(values["type"], ""))
            if answered or values["profile"] is not None:
                return DnaEntry(**values)
            errors.append("rule 1.1 (annex, chapter 1): the profile has no loci")
        except ExchangeError as error:
            errors.append(str(error))
        except ProfileError as error:
            errors.append(f"rule 1.1 (annex, chapter 1): {error}")
    return _wrong_entry(values, errors[0])


def _loosely(element: xml.Element) -> dict[str, xml.Element]:
    """The children that are known, of an entry that has others, too."""
    found = {_names().field("datas", child): child for child in element if isinstance(child.tag, str)}
    return {name: child for name, child in found.items() if name is not None}


def _wrong_entry(values: Mapping[str, Any], error: str) -> DnaEntry:
    """Whose entry it is and what is wrong; texts that could not be written again are left out."""
    kept: dict[str, Any] = {"reqtype": values["reqtype"] if values["reqtype"] in ARTICLES else 0}
    kept["type"] = values["type"] if values["type"] in KINDS else ""
    for name in ("profile_id", "profile_ident", "agency"):
        text = values.get(name) or ""
        kept[name] = text if text.isprintable() and text == text.strip() else ""
    return DnaEntry(**kept, error=error)


def _read_profile(parts: Mapping[str, xml.Element], id: str, kind: str) -> DnaProfile | None:
    """The profile; None without loci. ProfileError names locus and value."""
    alleles: dict[str, tuple[str, ...]] = {}
    spelt = list(_names().fields["locus"].values())
    for group in _names().groups:
        for child in xml.elements(parts[group]) if group in parts else ():
            name = _names().locus(child)
            if name is None or name in alleles:
                wrong = "is not a locus of the catalogue" if name is None else "stands in this profile a second time"
                raise xml.fault(child, wrong)
            pair: list[xml.Element] = list(child)
            if [each.tag for each in pair] != spelt or (child.text or "").strip():  # the usual form needs no table
                values = _children("locus", child)
                pair = [values[place] for place in ("low", "high") if place in values]
            alleles[name] = tuple(filter(None, map(xml.text, pair)))
    alleles = {name: texts for name, texts in alleles.items() if texts}
    if alleles and not kind:
        raise ExchangeError("type is P or S")
    marker = xml.text(parts["marker"]) if "marker" in parts else ""
    return DnaProfile(id, kind, alleles, kit=marker) if alleles else None


# ---- Writing


def _write(header: Header, direct: str, entries: tuple[DnaEntry, ...]) -> bytes:
    if not entries:
        raise ExchangeError("a message has at least one profile")
    names = _names()
    stream = io.BytesIO()
    with etree.xmlfile(stream, encoding="utf-8") as file:
        file.write_declaration()
        with file.element(names.root):
            file.write("\n", _header_element(header, direct), pretty_print=True)
            for entry in entries:
                file.write(_entry_element(entry), pretty_print=True)
    stream.write(b"\n")
    return stream.getvalue()


def _header_element(header: Header, direct: str) -> xml.Element:
    element: xml.Element = etree.Element(_names().header)
    values = {"direct": direct, "ref": header.ref, "generator": header.generator}
    values |= {"schema_version": header.schema_version}
    for name, spelt in _names().fields["header"].items():
        if name in values:
            _add(element, spelt, values[name])
            continue
        info = header.requesting if name == "requesting" else header.requested
        if info is not None:
            part = _add(element, spelt)
            for field_name, field_spelt in _names().fields["info"].items():
                value = getattr(info, field_name)
                text = value if isinstance(value, str) else _iso(value)
                _add(part, field_spelt, text)
    return element


def _add(parent: xml.Element, name: str, text: str | None = None) -> xml.Element:
    child: xml.Element = etree.SubElement(parent, name)
    child.text = text
    return child


def _iso(value: date | time) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _entry_element(entry: DnaEntry) -> xml.Element:
    if entry.error:
        raise ExchangeError("an entry that could not be read cannot be written")
    element: xml.Element = etree.Element(_names().datas)
    for name, spelt in _names().fields["datas"].items():
        if name == "profile":
            _profile_element(element, spelt, entry)
            continue
        value = getattr(entry, name) if name != "reqtype" else entry.reqtype or None
        if value not in (None, ""):
            _add(element, spelt, _iso(value) if isinstance(value, date) else str(value))
    return element


def _profile_element(parent: xml.Element, spelt: str, entry: DnaEntry) -> None:
    element = _add(parent, spelt)
    for name, field_spelt in _names().fields["profile"].items():
        if name == "profile_id":
            _add(element, field_spelt, entry.profile_id)
        elif entry.profile is None:
            continue
        elif name == "marker":
            if entry.profile.kit:
                _add(element, field_spelt, entry.profile.kit)
        else:
            _loci_element(element, field_spelt, entry.profile, _names().written[name])


def _loci_element(parent: xml.Element, spelt: str, profile: DnaProfile, loci: Mapping[str, str]) -> None:
    present = [(name, tag) for name, tag in loci.items() if name in profile.pairs]
    if not present:
        return
    element = _add(parent, spelt)
    low_spelt, high_spelt = (_names().fields["locus"][place] for place in ("low", "high"))
    for name, tag in present:
        low, high = _two_texts(profile, name)
        place = _add(element, tag)
        _add(place, low_spelt, low)
        _add(place, high_spelt, high)
