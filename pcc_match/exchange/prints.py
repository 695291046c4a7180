"""Dactyloscopic transactions between states: requests CPS, PMS, MPS, MMS and answers SRE, ERR (2008/616/JHA, annex, 2).

request = prints.request("CPS", store.transaction("AT-7"), sender="AT/BKA", to="HU/NAFIS", tcn=tcns(), reference="7")
answer = prints.read_prints(data)                      # of the transactions that came back
for result in answer.results:
    print(result.hit, result.reference, result.score, result.errors)

    CPS   ten-prints among ten-prints                     PMS   ten-prints or palms among unsolved latents
    MPS   a latent among ten-prints or palms              MMS   a latent among unsolved latents

Each candidate is an SRE of its own. In files they follow one another, byte behind byte; by mail each is a message, with
mail_subject() as its subject.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pcc_match import itl
from pcc_match.errors import ExchangeError, RecordError
from pcc_match.exchange.print_records import (
    Fields,
    NewRecord,
    finger_records,
    latent_records,
    minutiae_record,
    palm_records,
    positions_of,
)
from pcc_match.finger.template import FingerTemplate
from pcc_match.itl.problems import Problem, error_message
from pcc_match.treaties.search_types import SEARCH_TYPES, SearchType

REQUESTS = ("CPS", "PMS", "MPS", "MMS")
ANSWERS = ("SRE", "ERR")
VERIFIED = 999999  # 2.064, the score of a hit that an expert has verified
NO_TCN = "0000000000Z"  # 1.009 where there is none
SIZE_LIMIT = 64 << 20  # bytes of a message: fourteen slaps uncompressed are less
PROFILE = "int-i-4.22"
# The limit of 2.320 ENC is the treaty's, by type of search, not the profile's.
_TREATYS = ("candidates",)
_MOST_LINES = 50  # of 2.074
_MOST_ANSWERS = 99  # 2.320 ENC has two digits
_AGENCY = re.compile(r"[A-Z]{2}/[!-~](?:[ -~]{0,30}[!-~])?")
_PALMS = range(20, 31)


# -- requests


@dataclass(frozen=True, eq=False)
class PrintRequest:
    """A request as it came: who asks for what, and all that is wrong with it.

    transaction   as it was read
    problems      what the standard and INT-I 4.22 object to; a request with any is answered by an ERR
    """

    transaction: itl.Transaction
    problems: tuple[Problem, ...] = ()

    @property
    def tot(self) -> str:
        """CPS, PMS, MPS or MMS; another text where `problems` says so."""
        return str(self.transaction.tot)

    @property
    def requesting(self) -> str:
        """Country code of 1.008 ORI."""
        return str(self.transaction.header.text(8))[:2]

    @property
    def requested(self) -> str:
        """Country code of 1.007 DAI, "" where it is none."""
        agency = str(self.transaction.header.text(7))
        return agency[:2] if _AGENCY.fullmatch(agency) else ""

    @property
    def request_id(self) -> str:
        """1.009 TCN, or zeros with their check character where there is none."""
        return _tcn(self.transaction)

    @property
    def search_type(self) -> SearchType:
        """The search that the records ask for: fingers or palms."""
        latents = self.transaction.of_type(13)
        palm_latent = any(position in _PALMS for record in latents for position in positions_of(record))
        palms = palm_latent if self.tot in ("MPS", "MMS") else bool(self.transaction.of_type(15))
        names = {"PMS": ("TP/UL", "PP/ULP"), "MPS": ("LT/TP", "LP/PP"), "MMS": ("LT/UL", "LP/ULP")}
        return SEARCH_TYPES[names.get(self.tot, ("TP/TP", "TP/TP"))[palms]]

    @property
    def reference(self) -> str:
        """2.010 of ten-prints and palms, or 2.007, 2.008 and 2.009 of a latent, joined by blanks."""
        return reference_of(self.transaction)

    @property
    def wanted(self) -> int | None:
        """2.320 ENC, the number of candidates that are wanted, None where it is not said."""
        text = _type_2(self.transaction, 320)
        return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else None

    def __repr__(self) -> str:
        return f"<PrintRequest {self.tot!r}, {len(self.problems)} problems>"


def request(
    tot: str,
    source: itl.Transaction,
    *,
    sender: str,
    to: str,
    tcn: str,
    reference: str,
    sequence: str = "",
    mark: str = "",
    template: FingerTemplate | None = None,
    palms: bool = False,
    idc: int | None = None,
    candidates: int | None = None,
    priority: int = 5,
    info: str = "",
    now: datetime | None = None,
) -> itl.Transaction:
    """A request from stored prints: the images as Prüm wants them, and what names the case.

    tot               "CPS", "PMS", "MPS" or "MMS"
    sender, to        country code and agency, "AT/BKA"
    reference         criminal reference number (2.010) of ten-prints, case number (2.007) of a latent
    sequence, mark    2.008 and 2.009 of a latent
    template          minutiae of the latent, if it has any, sent beside its image; else those of a Type-9 record of
                      `source` that has its IDC
    palms             a PMS with the palms of `source` instead of its fingers
    idc               which latent of `source`, the first if not said
    candidates        how many candidates are wanted at most (2.320)
    priority          1 (at once) to 9

    ExchangeError for prints that are missing or cannot be sent, and for what INT-I 4.22 does not allow.
    """
    if tot not in REQUESTS:
        raise ExchangeError(f"{tot!r} is not a request: {', '.join(REQUESTS)}")
    if tot in ("CPS", "PMS"):
        records = palm_records(source) if palms and tot == "PMS" else finger_records(source)
        case: Fields = {10: f"{sender[:2]}/{reference}"}
    else:
        records = latent_records(source, idc)
        if records and template is None:
            template = _stored_template(source, idc)
        if records and template is not None and len(template.sets[0]):  # a record of no minutiae would be unsound
            records = [minutiae_record(template, records[0]), *records]
        case = {7: f"{sender[:2]}/{reference}", **_given({8: sequence, 9: mark})}
    if not records:
        raise ExchangeError(f"{tot}: the transaction holds no prints of the kind that it takes")
    case |= _given({63: info, 320: candidates})
    header = _header(tot, to, sender, tcn, "", priority, now)
    transaction = _built(header, case, records)
    for problem in transaction.check(PROFILE, relaxed=_TREATYS):
        raise ExchangeError(f"{tot}: {problem}")
    return transaction


def _stored_template(source: itl.Transaction, idc: int | None) -> FingerTemplate | None:
    """The minutiae of the latent with this IDC, or of the first latent, where a Type-9 record holds them."""
    latents = [record.idc for record in source.of_type(13) if record.image is not None]
    wanted = latents[0] if idc is None else idc
    stored = [record for record in source.of_type(9) if record.idc == wanted]
    return FingerTemplate.from_itl(stored[0]) if stored else None


# -- answers


@dataclass(frozen=True)
class PrintError:
    """One line of 2.074 ERM. code 0 for a line of another form; idc -1 for Type-1, None where no place is named."""

    code: int
    text: str
    idc: int | None = None
    field: str = ""


@dataclass(frozen=True, eq=False)
class PrintResult:
    """One SRE or ERR.

    hit             whether it names a candidate (RLS I); the machine's word unless `verified`
    number, total   of the candidate, 0 of 0 without one
    score           of the comparison as the other state counts it, 0 if it gives none
    reference       of the candidate: 2.010, or 2.007, 2.008 and 2.009 joined by blanks
    position        of the finger that hit, in the SRE to a PMS (2.063)
    errors          lines of 2.074
    problems        what is wrong with the transaction itself
    """

    transaction: itl.Transaction
    hit: bool
    number: int
    total: int
    score: int
    reference: str
    position: int | None
    errors: tuple[PrintError, ...]
    problems: tuple[Problem, ...]

    @property
    def verified(self) -> bool:
        return self.score == VERIFIED

    def __repr__(self) -> str:
        return f"<PrintResult {self.transaction.tot} {self.number}/{self.total}, {len(self.errors)} errors>"


@dataclass(frozen=True)
class PrintAnswer:
    """The answers to one request.

    requesting, requested   country codes: who had asked, who answers
    request_id              TCN of the request (1.010)
    """

    requesting: str
    requested: str
    request_id: str
    results: tuple[PrintResult, ...]

    @property
    def complete(self) -> bool:
        """Whether there is a result for each candidate that the answers announce."""
        return len(self.results) >= max(result.total for result in self.results)


def result(
    request: PrintRequest,
    sender: str,
    tcn: str,
    *,
    number: int = 0,
    total: int = 0,
    score: int = 0,
    reference: Fields | None = None,
    position: int | None = None,
    records: Sequence[NewRecord] = (),
    now: datetime | None = None,
) -> itl.Transaction:
    """An SRE: a candidate with its records, or, without a number, that there is none.

    reference   2.010, or 2.007 to 2.009, of the candidate
    position    of the finger that hit, for a PMS
    """
    rls: list[Any] = [request.tot, "N"]
    if number:
        rls = [request.tot, "I", f"{number:03d}/{total:03d}", min(score, VERIFIED - 1)]
    fields: Fields = {**(reference or {}), **_echo(request), 64: rls}
    if position is not None and request.tot == "PMS":
        fields[63] = f"{position:02d}"
    return _built(_answer_header("SRE", request, sender, tcn, now), fields, records)


def error(
    request: PrintRequest,
    problems: Iterable[Problem],
    sender: str,
    tcn: str,
    *,
    info: str = "",
    now: datetime | None = None,
) -> itl.Transaction:
    """An ERR: one line of 2.074 for each problem, at most 50. `info` goes into 2.063, at most 32 characters."""
    lines = error_message(problems).split("\n")
    fields: Fields = {**_echo(request), 74: "\n".join(lines[:_MOST_LINES])} | _given({63: info})
    return _built(_answer_header("ERR", request, sender, tcn, now), fields, [])


def _echo(request: PrintRequest) -> Fields:
    """2.012 to 2.015: the numbers of the request, without their country code."""
    values = {12: 10} if request.tot in ("CPS", "PMS") else {13: 7, 14: 8, 15: 9}
    fields: Fields = {}
    for number, source in values.items():
        text = _type_2(request.transaction, source)
        if source in (7, 10):
            text = re.sub(r"[A-Z]{2}/", "", text, count=1)
        if re.fullmatch(r"[ -~]{1,32}", text):
            fields[number] = text
    return fields


# -- reading


def read_prints(data: bytes, *, relaxed: Collection[str] = ()) -> PrintRequest | PrintAnswer:
    """A request, or the answers to one: transactions that follow each other.

    relaxed   checks of INT-I 4.22 that the states have agreed to leave out, as "tcn"

    ExchangeError for what cannot be attributed: no transaction, no country in 1.008, answers to different requests.
    All else that is wrong stands in `problems`.
    """
    if len(data) > SIZE_LIMIT:
        raise ExchangeError(f"the message has {len(data)} bytes, at most {SIZE_LIMIT} are read")
    relaxed = (*relaxed, *_TREATYS)
    try:
        first = itl.read(data)
        _sender(first)
        if first.tot not in ANSWERS:
            return PrintRequest(first, first.check(PROFILE, relaxed=relaxed))
        return _read_answers([_result(each, relaxed) for each in split(data)])
    except RecordError as error:
        raise ExchangeError(f"not a transaction: {error}") from None


def split(data: bytes) -> list[itl.Transaction]:
    """The transactions that follow each other in `data`."""
    found: list[itl.Transaction] = []
    position = 0
    while position < len(data) and len(found) < _MOST_ANSWERS:
        transaction = itl.read(data[position:])
        last = transaction.records[-1]
        end = position + last.offset + last.size
        following = data.find(b"1.001:", end, end + 16) == end
        found.append(itl.read(data[position:end]) if following else transaction)
        position = end if following else len(data)
    return found


def _read_answers(results: list[PrintResult]) -> PrintAnswer:
    heads = {
        (str(each.transaction.header.text(7))[:2], _sender(each.transaction), str(each.transaction.header.text(10)))
        for each in results
    }
    if len(heads) != 1:
        raise ExchangeError("1.007, 1.008, 1.010: the transactions answer different requests")
    requesting, requested, request_id = heads.pop()
    return PrintAnswer(requesting, requested, request_id, tuple(results))


def _result(transaction: itl.Transaction, relaxed: Collection[str]) -> PrintResult:
    if transaction.tot not in ANSWERS:
        raise ExchangeError(f"1.004: a transaction among answers is neither of {', '.join(ANSWERS)}")
    problems = transaction.check(PROFILE, relaxed=relaxed)
    values = [items[0] for items in _type_2(transaction, 64).subfields]
    place = re.fullmatch(r"([0-9]{3})/([0-9]{3})", values[2]) if len(values) > 2 else None
    hit = transaction.tot == "SRE" and len(values) > 1 and values[1] == "I"
    score = values[3] if len(values) > 3 and re.fullmatch(r"[0-9]{1,6}", values[3]) else "0"
    numbers = (int(place[1]), int(place[2])) if place and hit else (0, 0)
    info = _type_2(transaction, 63)
    position = int(info) if hit and values[0] == "PMS" and re.fullmatch(r"[0-9]{1,2}", info) else None
    errors = tuple(map(_error_line, filter(None, _type_2(transaction, 74).splitlines())))
    return PrintResult(transaction, hit, *numbers, int(score), reference_of(transaction), position, errors, problems)


def _error_line(line: str) -> PrintError:
    found = re.fullmatch(r"([0-9]{3}): ?(?:IDC (-?[0-9]{1,3}) FIELD ([0-9.]+) ?)?(.*)", line, re.DOTALL)
    if found is None:
        return PrintError(0, line)
    return PrintError(int(found[1]), found[4], None if found[2] is None else int(found[2]), found[3] or "")


def _sender(transaction: itl.Transaction) -> str:
    """Country code of 1.008."""
    agency = str(transaction.header.text(8))
    if not _AGENCY.fullmatch(agency):
        raise ExchangeError("1.008 ORI: the sender is not a country code and an agency, CC/AGENCY")
    return agency[:2]


def _tcn(transaction: itl.Transaction) -> str:
    text = str(transaction.header.text(9))
    return text if re.fullmatch(r"[!-~]{1,40}", text) else NO_TCN


def reference_of(transaction: itl.Transaction) -> str:
    """2.010, 2.007, 2.008 and 2.009 joined by blanks, as far as they are there."""
    return " ".join(filter(None, (str(_type_2(transaction, number)) for number in (10, 7, 8, 9))))


def _type_2(transaction: itl.Transaction, number: int) -> Any:
    """A field of the Type-2 record, "" where there is none."""
    records = transaction.of_type(2)
    return records[0].text(number) if records else itl.records.Text("")


# -- numbers, header, mail


def make_tcn(year: int, serial: int) -> str:
    """1.009: YYSSSSSSSS and their check character."""
    if not 0 <= serial < 10**8:
        raise ExchangeError(f"1.009: a serial number of a year is one of 0 to 99999999, not {serial}")
    number = year % 100 * 10**8 + serial
    return f"{number:010d}{itl.tcn_check_character(number)}"


class TcnClock:
    """Transaction control numbers without a memory: three a second of the year, so one source a node is enough.

    `tcns()` gives the next one; none is given twice by one process, whatever its threads. Where the clock has not moved
    on, numbers run ahead of it.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._last = (0, -1)
        self._lock = threading.Lock()

    def __call__(self) -> str:
        moment = self._now().astimezone(UTC)
        since = moment - datetime(moment.year, 1, 1, tzinfo=UTC)
        with self._lock:
            year, serial = max((moment.year, int(since.total_seconds() * 3)), (self._last[0], self._last[1] + 1))
            self._last = year, serial
        return make_tcn(year, serial)


def mail_subject(transaction: itl.Transaction) -> str:
    """Country of the sender and type of transaction, "DE/CPS" (annex, chapter 2, appendix 8)."""
    return f"{_sender(transaction)}/{transaction.tot}"


def _answer_header(tot: str, request: PrintRequest, sender: str, tcn: str, now: datetime | None) -> Fields:
    header = request.transaction.header
    priority = header.text(6)
    to = str(header.text(8))
    return _header(tot, to, sender, tcn, request.request_id, int(priority) if priority in set("123456789") else 5, now)


def _header(tot: str, to: str, sender: str, tcn: str, tcr: str, priority: int, now: datetime | None) -> Fields:
    for agency in (to, sender):
        if not _AGENCY.fullmatch(agency):
            raise ExchangeError(f"1.007, 1.008: {agency!r} is not a country code and an agency, CC/AGENCY")
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    header: Fields = {2: "0300", 4: tot, 5: f"{moment:%Y%m%d}", 6: priority, 7: to, 8: sender, 9: tcn, 11: "19.68"}
    return header | _given({10: tcr}) | {12: "19.68", 13: ("INT-I", "4.22"), 14: f"{moment:%Y%m%d%H%M%S}Z"}


def _built(header: Fields, case: Fields, records: Sequence[NewRecord]) -> itl.Transaction:
    numbered = [(type, {2: number, **fields}) for number, (type, fields) in enumerate(records, 1)]
    try:
        return itl.Transaction.build(header, [(2, {3: "0422", **case}), *numbered])
    except RecordError as error:
        raise ExchangeError(f"the transaction cannot be written: {error}") from None


def _given(fields: dict[int, Any]) -> Fields:
    return {number: value for number, value in fields.items() if value not in ("", None)}
