"""Vehicle registration data: queries, answers and their SOAP encoding (2008/616/JHA, annex, chapter 3).

query = vehicles.VehicleQuery(requesting="AT", requested="HU", request_id="AT-1", created=now, licence_number="ABC 123")
answer = vehicles.answer(vehicles.read_vehicle(query.write()), register, state="HU")
answer.vehicles[0].holders[0]["name"]

A query names a complete VIN, for one state or ALL of them, or a complete licence number of exactly one state (2008/615
Article 12). The answer holds the elements of vehicles.toml. The XML is our own, described by vehicles.xsd and
vehicles.wsdl beside this file: the schemas of EUCARIS are not public.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from lxml import etree

from pcc_match.errors import ExchangeError
from pcc_match.exchange import xml

if TYPE_CHECKING:
    from pcc_match.exchange.vehicle_register import VehicleRegister

NAMESPACE = "urn:pcc-match:vehicles:1"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ALL_STATES = "ALL"
GROUPS = ("vehicle", "holder", "owner", "insurance")
SIZE_LIMIT = 1 << 20
TEXT_LIMIT = 200
# How far a reference time may lie ahead: clocks and time zones differ, nobody registers in the future.
_AHEAD = timedelta(days=1)

_HEADER = ("requesting", "requested", "request_id", "created")
_COUNTRY = re.compile(r"[A-Z]{2}")
_REQUEST_ID = re.compile(r"[!-~]{1,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PARTIAL_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
# ISO 3779 leaves out I, O and Q; chassis numbers from before 1981 are shorter and know no such rule.
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}|[A-Z0-9]{4,16}")
_PLATE = re.compile(r"([^\W_]|[ .·/-]){1,20}")
# No register goes back further, and no time zone takes such a time out of the calendar.
_EARLIEST_YEAR = 1900

Values = Mapping[str, str]


@dataclass(frozen=True)
class ElementRule:
    """One row of vehicles.toml."""

    send: str
    pruem: bool
    type: str | tuple[str, ...]
    source: str
    code: str | None = None
    refine: bool = False


@cache
def element_table() -> Mapping[str, Mapping[str, ElementRule]]:
    """The rows of vehicles.toml by group and name, in the order in which they are written."""
    table = tomllib.loads(files("pcc_match.exchange").joinpath("vehicles.toml").read_text("utf-8"))
    rules = {}
    for group in GROUPS:
        rows = {name: row | {"type": _type(row["type"])} for name, row in table[group].items()}
        rules[group] = MappingProxyType({name: ElementRule(**row) for name, row in rows.items()})
    return MappingProxyType(rules)


def _type(value: str | list[str]) -> str | tuple[str, ...]:
    return value if isinstance(value, str) else tuple(value)


def check_values(group: str, values: Values) -> Values:
    """A read-only copy of the values of a group in the table's order; ExchangeError names group and element."""
    rules = element_table()[group]
    for key in values:
        if key not in rules:
            raise ExchangeError(f"<{group}> has no element <{key}>: vehicles.toml lists {', '.join(rules)}")
    given = {key: values[key] for key in rules if key in values}
    for key, value in given.items():
        message = _value_fault(value, rules[key].type)
        if message:
            raise ExchangeError(f"<{group}> <{key}>: {message}")
    return MappingProxyType(given)


def _value_fault(value: object, type: str | tuple[str, ...]) -> str:
    """What is wrong with a value of a type of vehicles.toml, "" for nothing; the value itself is not repeated."""
    if not isinstance(value, str) or not value or len(value) > TEXT_LIMIT or not value.isprintable():
        return f"a text of 1 to {TEXT_LIMIT} printable characters is wanted"
    if value != value.strip():
        return "the text begins or ends with blanks"
    if isinstance(type, tuple):
        return "" if value in type else f"one of {', '.join(type)} is wanted"
    if type == "date" and not (_DATE.fullmatch(value) and _is_date(value)):
        return "a date YYYY-MM-DD is wanted"
    if type == "partial" and not (_PARTIAL_DATE.fullmatch(value) and _is_date(value + "-01-01"[len(value) - 4 :])):
        return "a date YYYY-MM-DD, YYYY-MM or YYYY is wanted"
    if type == "number" and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value):
        return "a number is wanted"
    if type == "country" and not _COUNTRY.fullmatch(value):
        return "a country code of two letters is wanted"
    return ""


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, repr=False)
class VehicleRecord:
    """What a register holds of one vehicle at one time: values by the element names of vehicles.toml."""

    vehicle: Values
    holders: tuple[Values, ...] = ()
    owners: tuple[Values, ...] = ()
    insurances: tuple[Values, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "vehicle", check_values("vehicle", self.vehicle))
        for group, name in (("holder", "holders"), ("owner", "owners"), ("insurance", "insurances")):
            values = tuple(check_values(group, each) for each in getattr(self, name))
            object.__setattr__(self, name, values)
        if "vin" not in self.vehicle and "licence_number" not in self.vehicle:
            raise ExchangeError("<vehicle>: neither <vin> nor <licence_number>: nobody could tell which vehicle it is")

    def groups(self) -> list[tuple[str, Values]]:
        """All groups with their names, in the order of the message."""
        many = (("holder", self.holders), ("owner", self.owners), ("insurance", self.insurances))
        return [("vehicle", self.vehicle), *((group, values) for group, all in many for values in all)]

    def sent(self) -> VehicleRecord:
        """What an answer holds of it: M as far as present, O where it is relevant to Prüm."""
        keep = {g: {n for n, rule in rows.items() if rule.pruem} for g, rows in element_table().items()}
        many = [
            tuple(kept for values in all if (kept := _only(values, keep[group])))
            for group, all in (("holder", self.holders), ("owner", self.owners), ("insurance", self.insurances))
        ]
        return VehicleRecord(_only(self.vehicle, keep["vehicle"]), *many)

    def refinement(self) -> VehicleRecord:
        """The elements that are sent where several vehicles match."""
        return VehicleRecord(_only(self.vehicle, {n for n, rule in element_table()["vehicle"].items() if rule.refine}))

    def __repr__(self) -> str:  # without the personal data
        counts = f"{len(self.holders)} holders, {len(self.owners)} owners, {len(self.insurances)} insurances"
        return f"<VehicleRecord: {counts}>"


def _only(values: Values, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name in names}


# -- messages


@dataclass(frozen=True, kw_only=True)
class _Message:
    """What every message says of itself.

    requesting   country code of the state that asks
    requested    country code of the state that is asked; ALL in a query by VIN to all states
    request_id   of the query, unique for the requesting state
    created      when this message was made, with time zone
    """

    requesting: str
    requested: str
    request_id: str
    created: datetime

    def __post_init__(self) -> None:
        if not _COUNTRY.fullmatch(self.requesting):
            raise ExchangeError("<requesting>: a country code of two letters is wanted")
        if not _COUNTRY.fullmatch(self.requested) and self.requested != ALL_STATES:
            raise ExchangeError(f"<requested>: a country code of two letters or {ALL_STATES} is wanted")
        if not _REQUEST_ID.fullmatch(self.request_id):
            raise ExchangeError("<request_id>: 1 to 64 printable ASCII characters without blanks are wanted")
        if self.created.tzinfo is None:
            raise ExchangeError("<created>: a time with its time zone is wanted")

    def _header(self) -> dict[str, str | None]:
        return {
            "requesting": self.requesting,
            "requested": self.requested,
            "request_id": self.request_id,
            "created": _time_text(self.created),
        }


@dataclass(frozen=True, kw_only=True)
class VehicleQuery(_Message):
    """A query by complete VIN, or by complete licence number with or without VIN.

    at        reference time, with time zone; None: now
    problem   why the query cannot be answered, of one that was read and is wrong behind its header; its keys are None
    """

    vin: str | None = None
    licence_number: str | None = None
    at: datetime | None = None
    problem: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.problem is not None:
            return
        if self.vin is None and self.licence_number is None:
            raise ExchangeError("a query needs a <vin> or a <licence_number>")
        if self.vin is not None:
            object.__setattr__(self, "vin", vin_key(self.vin))
            if not _VIN.fullmatch(self.vin):
                message = "17 letters and digits without I, O, Q are wanted, or 4 to 16 of a vehicle from before 1981"
                raise ExchangeError(f"<vin>: {message}; no placeholders")
        if self.licence_number is not None:
            if not _PLATE.fullmatch(self.licence_number) or not plate_key(self.licence_number):
                raise ExchangeError(
                    "<licence_number>: a complete number is wanted, up to 20 characters, no placeholders"
                )
            if self.requested == ALL_STATES:
                message = "a licence number is asked of exactly one state (2008/616/JHA, annex, chapter 3)"
                raise ExchangeError(f"<requested>: {message}")
        if self.at is not None and (self.at.tzinfo is None or self.at.year < _EARLIEST_YEAR):
            raise ExchangeError(f"<reference_time>: a time from {_EARLIEST_YEAR} on is wanted, with its time zone")

    def write(self) -> bytes:
        """The SOAP envelope."""
        if self.problem is not None:
            raise ExchangeError(f"a query that is wrong cannot be written: {self.problem}")
        fields = self._header() | {"vin": self.vin, "licence_number": self.licence_number}
        root = _element("vehicle_query", fields | {"reference_time": _time_text(self.at)})
        return _envelope(root)


@dataclass(frozen=True, kw_only=True)
class VehicleAnswer(_Message):
    """An answer: no vehicle, one with all that may be sent, or several with the refinement set of each.

    at             the reference time of the query
    current_data   the data are those of today although `at` lies in the past: the register has no history that far
    """

    at: datetime | None = None
    current_data: bool = False
    vehicles: tuple[VehicleRecord, ...] = ()

    @property
    def result(self) -> str:
        """ "none", "found" or "several"."""
        return ("none", "found", "several")[min(len(self.vehicles), 2)]

    def write(self) -> bytes:
        """The SOAP envelope."""
        fields = self._header() | {"reference_time": _time_text(self.at), "result": self.result}
        root = _element("vehicle_answer", fields | {"current_data": "true" if self.current_data else "false"})
        for record in self.vehicles:
            data = etree.SubElement(root, _tag("vehicle_data"))
            for group, values in record.groups():
                data.append(_element(group, values))
        return _envelope(root)


@dataclass(frozen=True, kw_only=True)
class VehicleFault(_Message):
    """A query that could be attributed but not answered. `code`: "Client" for a wrong query, "Server" for ours."""

    code: str
    reason: str

    def write(self) -> bytes:
        """The SOAP envelope with a soap:Fault."""
        root = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
        etree.SubElement(root, "faultcode").text = f"soap:{self.code}"
        etree.SubElement(root, "faultstring").text = "".join(c if c.isprintable() else "?" for c in self.reason)
        etree.SubElement(root, "detail").append(_element("vehicle_fault", self._header()))
        return _envelope(root)


Message = VehicleQuery | VehicleAnswer | VehicleFault
_T = TypeVar("_T")


def answer(
    query: VehicleQuery, register: VehicleRegister, *, state: str, now: datetime | None = None
) -> VehicleAnswer | VehicleFault:
    """What the register of `state` says to a query.

    Several vehicles are answered by their refinement sets: the requesting state asks again with the VIN. A wrong query
    and one for another state give a VehicleFault. ExchangeError where the register itself fails.
    """
    moment = now or datetime.now(UTC)
    head: dict[str, Any] = {"requesting": query.requesting, "requested": state, "request_id": query.request_id}
    head["created"] = moment.replace(microsecond=0)
    reason = query.problem
    if reason is None and query.requested not in (state, ALL_STATES):
        reason = f"<requested>: the query is addressed to {query.requested}; this is {state}"
    if reason is None and query.at is not None and query.at > moment + _AHEAD:
        reason = "<reference_time>: the reference time lies in the future"
    if reason is not None:
        return VehicleFault(**head, code="Client", reason=reason)
    found = register.find(vin=query.vin, licence_number=query.licence_number, at=query.at or moment)
    records = [record.sent() if len(found.records) == 1 else record.refinement() for record in found.records]
    return VehicleAnswer(**head, at=query.at, current_data=found.current_data, vehicles=tuple(records))


# Cyrillic and Greek letters that stand on number plates because they look like Latin ones.
_LATIN = str.maketrans(
    "АВЕКМНОРСТУХЈЅІ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",  # noqa: RUF001
    "ABEKMHOPCTYXJSI" + "ABEZHIKMNOPTYX",
)


def plate_key(licence_number: str) -> str:
    """A licence number without what differs from writer to writer: case, separators, letters that look alike."""
    letters = unicodedata.normalize("NFC", licence_number).upper()
    return "".join(c for c in letters if c.isalnum()).translate(_LATIN)


def vin_key(vin: str) -> str:
    """A VIN in capitals, without blanks."""
    return "".join(vin.upper().split())


# -- SOAP


def read_vehicle(data: bytes) -> Message:
    """The query, answer or fault in a SOAP 1.1 envelope.

    ExchangeError names line and element. A query whose header can be read but whose rest is wrong is returned with
    `problem` set, so that it can be answered.
    """
    envelope = xml.parse(data, SIZE_LIMIT)
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise xml.fault(envelope, "a SOAP 1.1 envelope is wanted")
    parts = xml.children(envelope, {"Header": False, "Body": False}, SOAP)
    for header in parts["Header"]:
        for block in header:
            if block.get(f"{{{SOAP}}}mustUnderstand") == "1":
                raise xml.fault(block, "this header block is not understood here: the node's SOAP layer takes it away")
    content = [child for body in parts["Body"] for child in xml.elements(body)]
    if len(content) != 1:
        raise xml.fault(envelope, "a SOAP body with one message is wanted")
    reader = _READERS.get(content[0].tag)
    if reader is None:
        raise xml.fault(content[0], "a vehicle_query, a vehicle_answer or a soap:Fault is wanted")
    return reader(content[0])


def _read_query(root: xml.Element) -> VehicleQuery:
    header = _read_header(root)
    try:
        names = dict.fromkeys((*_HEADER, "vin", "licence_number", "reference_time"), False)
        found = xml.children(root, names, NAMESPACE)
        vin, plate = _text(found["vin"]), _text(found["licence_number"])
        return _located(root, VehicleQuery, header, vin=vin, licence_number=plate, at=_time(found["reference_time"]))
    except ExchangeError as error:
        return VehicleQuery(**header, problem=str(error))


def _read_answer(root: xml.Element) -> VehicleAnswer:
    header = _read_header(root)
    names = dict.fromkeys((*_HEADER, "reference_time", "result", "current_data"), False) | {"vehicle_data": True}
    found = xml.children(root, names, NAMESPACE)
    current = _text(found["current_data"])
    if current not in ("true", "false", "1", "0"):
        raise xml.fault(root, "<current_data>: true or false is wanted")
    vehicles = tuple(_read_vehicle_data(element) for element in found["vehicle_data"])
    at = _time(found["reference_time"])
    given = {"at": at, "current_data": current in ("true", "1"), "vehicles": vehicles}
    answer = _located(root, VehicleAnswer, header, **given)
    if _text(found["result"]) != answer.result:
        raise xml.fault(root, f"<result>: {answer.result!r} is wanted for {len(vehicles)} vehicles")
    return answer


def _read_vehicle_data(element: xml.Element) -> VehicleRecord:
    names = {"vehicle": False, "holder": True, "owner": True, "insurance": True}
    groups = xml.children(element, names, NAMESPACE)
    values = {group: tuple(_read_values(each) for each in groups[group]) for group in GROUPS}
    if not values["vehicle"]:
        raise xml.fault(element, "<vehicle> is missing")
    many = [values["holder"], values["owner"], values["insurance"]]
    return _located(element, lambda: VehicleRecord(values["vehicle"][0], *many), {})


def _read_values(element: xml.Element) -> Values:
    group = xml.name(element)
    found = xml.children(element, dict.fromkeys(element_table()[group], False), NAMESPACE)
    values = {}
    for name, children in found.items():
        for child in children:
            values[name] = xml.text(child)
            message = _value_fault(values[name], element_table()[group][name].type)
            if message:
                raise xml.fault(child, message)
    return values


def _read_fault(root: xml.Element) -> VehicleFault:
    names = dict.fromkeys(("faultcode", "faultstring", "faultactor", "detail"), False)
    found = xml.children(root, names, "")
    details = [child for detail in found["detail"] for child in xml.elements(detail)]
    if len(details) != 1 or details[0].tag != _tag("vehicle_fault"):
        raise xml.fault(
            root, "the fault says nothing of the query that it answers: <vehicle_fault> is missing in <detail>"
        )
    xml.children(details[0], dict.fromkeys(_HEADER, False), NAMESPACE)
    code = (_text(found["faultcode"]) or "").rpartition(":")[2]
    if code not in ("Client", "Server"):
        raise xml.fault(root, "<faultcode>: Client or Server is wanted")
    reason = _text(found["faultstring"]) or ""
    return _located(root, VehicleFault, _read_header(details[0]), code=code, reason=reason)


_READERS: Mapping[str, Callable[[xml.Element], Message]] = {
    f"{{{NAMESPACE}}}vehicle_query": _read_query,
    f"{{{NAMESPACE}}}vehicle_answer": _read_answer,
    f"{{{SOAP}}}Fault": _read_fault,
}


def _read_header(root: xml.Element) -> dict[str, Any]:
    """Who asks whom, and the request's id: what makes a message attributable."""
    header: dict[str, Any] = {}
    for name in _HEADER:
        found = root.findall(_tag(name))
        if len(found) != 1:
            raise xml.fault(root, f"<{name}> stands {len(found)} times; it is wanted once")
        header[name] = _time(found) if name == "created" else _text(found)
    _located(root, _Message, header)
    return header


def _located(element: xml.Element, make: Callable[..., _T], header: dict[str, Any], **values: Any) -> _T:
    """make(**header, **values); its ExchangeError gets the line of the element it names, or of this one."""
    try:
        return make(**header, **values)
    except ExchangeError as error:
        named = re.match(r"<(\w+)>", str(error))
        found = element.find(_tag(named[1])) if named else None
        line = (element if found is None else found).sourceline
        raise ExchangeError(f"line {line}, {error}") from None


def _text(found: list[xml.Element]) -> str | None:
    if not found:
        return None
    return xml.text(found[0])


def _time(found: list[xml.Element]) -> datetime | None:
    text = _text(found)
    if text is None:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise xml.fault(found[0], "a time YYYY-MM-DDTHH:MM:SS with its time zone is wanted")


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _element(name: str, fields: Mapping[str, str | None]) -> xml.Element:
    root = etree.Element(_tag(name), nsmap={None: NAMESPACE})
    for child, text in fields.items():
        if text is not None:
            etree.SubElement(root, _tag(child)).text = text
    return root


def _envelope(content: xml.Element) -> bytes:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    encoded: bytes = etree.tostring(envelope, encoding="utf-8", xml_declaration=True, pretty_print=True)
    return encoded
