"""Responder: a message of another state in, the answer that the treaty wants out, every step on record.

with pm.exchange.Ledger.open("ledger", create=True) as ledger:
    responder = pm.exchange.Responder(gallery, treaty="pcc-see", state="AT", ledger=ledger)
    reply = responder.answer(mail_body)

A category of data is answered by a desk: see Desk. What all categories share is here: who asks, whether it may, whether
it asked before, how much it asked today, and the record, which is durable before an answer leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from pcc_match.dna.gallery import DnaGallery
from pcc_match.errors import ExchangeError, PccError, RefusalError
from pcc_match.exchange import xml
from pcc_match.exchange.audit import AuditMatch, AuditRecord
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.partners import Partners
from pcc_match.search import Matcher
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set

if TYPE_CHECKING:
    from pcc_match.exchange.print_desk import PrintSearch
    from pcc_match.exchange.print_records import RecordStore
    from pcc_match.exchange.vehicle_register import VehicleRegister

EXPEDITED: Final = 1  # PRY of a dactyloscopic transaction: "highest, process immediately"
ORDINARY: Final = 5


# ---- What a desk takes and gives


@dataclass(frozen=True, repr=False)
class Inquiry:
    """A request as a desk has read it: what the responder decides by, and the message for the desk itself.

    requesting   code of the state that asks, as written; "" where the message does not say
    requested    code of the state that is asked; "" where it is any state
    search_type  one of partners.ASKED: what the partner must be authorised for, and what its quota counts
    searches     how many searches the message asks for; what is wrong with the message is none
    body         unit of the requesting state that searches, where the message says so
    due_at       until when the treaty wants the answer; None: it names no time
    """

    category: str  # one of audit.CATEGORIES
    requesting: str
    requested: str
    request_id: str
    search_type: str
    searches: int
    message: Any
    data: bytes
    body: str = ""
    priority: int = ORDINARY
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    due_at: datetime | None = None

    def __repr__(self) -> str:  # nothing that leads to a person
        return f"Inquiry({self.category}, {self.search_type}, {self.requesting}, {self.request_id!r})"


@dataclass(frozen=True, repr=False)
class Outcome:
    """What a desk answers, and what of it goes on record.

    answer         bytes of the message, or of several one after another where a category answers so
    reply_id       the answer's own id, where it has one
    data_supplied  reference numbers of the data received and supplied, or the data themselves
    matches        each match, by reference numbers
    note           what was not served and why; nothing personal
    """

    answer: bytes
    reply_id: str = ""
    data_supplied: tuple[str, ...] = ()
    matches: tuple[AuditMatch, ...] = ()
    note: str = ""


class Desk(Protocol):
    """Answers one category of data. It holds the resident galleries or the register, the treaty and the state."""

    def read(self, data: bytes) -> Inquiry:
        """The request in a message; category, requesting ... body and priority are the desk's to fill.

        PccError where the message cannot be parsed or attributed: the responder records the refusal and nobody gets an
        answer. What is wrong but attributed is the desk's to answer (E, ERR, fault).
        """

    def answer(self, inquiry: Inquiry, now: datetime) -> Outcome:
        """Searches, and builds the answer."""

    def refuse(self, inquiry: Inquiry, refusal: RefusalError, now: datetime) -> bytes:
        """The answer that says why an attributed request is not served, of cause "authorisation" or "quota"."""


def category_of(data: bytes) -> str:
    """Which desk a message is for, by its first bytes; ExchangeError where it is none of ours."""
    if data[:4] in (b"1.00", b"1.01", b"1.1:"):  # field 1.001 of an ANSI/NIST-ITL transaction
        return "dactyloscopic"
    root = xml.root_name(data)
    if root == "Envelope":
        return "vehicles"
    if root:
        return "dna"
    raise ExchangeError("the message is neither XML nor an ANSI/NIST-ITL transaction")


def queue_order(inquiries: Iterable[Inquiry]) -> list[Inquiry]:
    """In the order in which they are to be answered: the one place that decides it.

    Expedited ones first, then by the time that each is due: within a category that is the order of arrival
    (2008/616/JHA, Art. 14 and annex, chapter 1, 3.1; PCC SEE implementing agreement, Art. 11), and no category waits
    for another that has more time. Where the treaty names no time the exchange is synchronous: due on arrival.
    """
    return sorted(inquiries, key=_place)


def _place(inquiry: Inquiry) -> tuple[Any, ...]:
    due = inquiry.due_at or inquiry.received_at
    return inquiry.priority > EXPEDITED, due, inquiry.received_at, inquiry.requesting, inquiry.request_id


# ---- The responder


class Responder:
    """Answers for one state from its resident galleries and registers.

    galleries  a DNA gallery, or several that are searched as one
    state      code of this state in the treaty's table
    partners   who may ask what; without it every state of the treaty may ask everything
    ledger     every answer, repetition and refusal is recorded in it before anything leaves
    prints     what dactyloscopic requests search; store: the transactions behind it, whose images answers carry
    vehicles   the register behind queries about vehicles
    device, threads   as of Matcher
    """

    def __init__(
        self,
        galleries: DnaGallery | Sequence[DnaGallery] = (),
        *,
        treaty: str | Treaty,
        state: str,
        ledger: Ledger,
        partners: Partners | None = None,
        prints: PrintSearch | None = None,
        store: RecordStore | None = None,
        vehicles: VehicleRegister | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.treaty = treaty if isinstance(treaty, Treaty) else treaty_set(treaty)
        code = self.treaty.states.code(state)
        if code is None:
            raise ExchangeError(f"{state!r} is no state of {self.treaty.name}: {', '.join(self.treaty.states.aliases)}")
        self.state = code
        self.ledger = ledger
        self.partners = partners or Partners.everyone(self.treaty)
        self.desks: dict[str, Desk] = {}
        galleries = [galleries] if isinstance(galleries, DnaGallery) else list(galleries)
        if galleries:
            from pcc_match.exchange.dna_desk import DnaDesk

            self.desks["dna"] = DnaDesk(Matcher(*galleries, treaty=self.treaty, device=device, threads=threads))
        if (prints is None) != (store is None):
            raise ExchangeError("answers about prints need both: what is searched, and the store of transactions")
        if prints is not None and store is not None:
            from pcc_match.exchange.print_desk import PrintDesk

            self.desks["dactyloscopic"] = PrintDesk(prints, store, self.treaty, code)
        if vehicles is not None:
            from pcc_match.exchange.vehicle_desk import VehicleDesk

            self.desks["vehicles"] = VehicleDesk(vehicles, code)

    def __repr__(self) -> str:
        return f"Responder({self.state}, {self.treaty.name}, {', '.join(self.desks) or 'no data'})"

    def read(self, message: Any, *, received_at: datetime | None = None) -> Inquiry:
        """The request in a message (bytes or an object of this library), with its deadline; for queue_order and answer.

        ExchangeError or RecordError where it cannot be parsed or attributed, is not for this state or comes from none
        that may ask; the refusal is on record then.
        """
        data, received = _as_bytes(message), received_at or datetime.now(UTC)
        category, inquiry = "unknown", None
        try:
            category = category_of(data)
            if category not in self.desks:
                raise ExchangeError(f"this node has no data of category {category!r} to answer from")
            inquiry = replace(self.desks[category].read(data), received_at=received)
            self._attribute(inquiry)
            return replace(inquiry, due_at=self._due(inquiry))
        except PccError as error:
            self.ledger.append(self._record(category, inquiry, received, event="refused", refusal=str(error)))
            raise

    def answer(self, message: Any, *, received_at: datetime | None = None) -> bytes:
        """The answer to a message (bytes, an object of this library, or what read() gave), accounted for.

        A message that came before gets the bytes of the first answer. What is not authorised, or more than the day's
        quota, gets an answer that says so. ExchangeError as read(), and for a request id that came with another message
        or longer ago than answers are kept; the refusal is on record then. Where the ledger cannot be written there is
        no answer.
        """
        inquiry = message if isinstance(message, Inquiry) else self.read(message, received_at=received_at)
        desk = self.desks[inquiry.category]
        record = self._record(
            inquiry.category, inquiry, inquiry.received_at, event="answered", searches=inquiry.searches
        )
        partner = self.partners.states[record.partner]
        quota = partner.quotas.get(inquiry.search_type)
        if inquiry.search_type not in partner.may:
            reason = f"{partner.code} is not authorised for searches of type {inquiry.search_type}"
            self.ledger.append(replace(record, event="refused", refusal=reason, searches=0))
            return desk.refuse(inquiry, RefusalError("authorisation", reason), self._now(inquiry))
        try:
            stored = self.ledger.repeat(record, inquiry.data, quota=quota)
            if stored is not None:
                return stored
            outcome = self._answered(desk, inquiry, record)
            now = self._now(inquiry)
            record = replace(
                record,
                answered_at=now,
                reply_id=outcome.reply_id,
                data_supplied=outcome.data_supplied,
                matches=outcome.matches,
                refusal=outcome.note,
            )
            window = timedelta(hours=self.treaty.exchange.repeat_window_hours)
            return self.ledger.answer(record, inquiry.data, outcome.answer, repeat_window=window, quota=quota)
        except RefusalError as error:
            if error.cause != "quota":
                raise
            return desk.refuse(inquiry, error, self._now(inquiry))

    def _answered(self, desk: Desk, inquiry: Inquiry, record: AuditRecord) -> Outcome:
        try:
            return desk.answer(inquiry, self._now(inquiry))
        except Exception as error:
            reason = str(error) if isinstance(error, PccError) else type(error).__name__
            self.ledger.append(replace(record, event="refused", refusal=f"fault of this node: {reason}", searches=0))
            raise

    def _attribute(self, inquiry: Inquiry) -> None:
        """ExchangeError unless a state that may ask asks this state."""
        code = self.treaty.states.code(inquiry.requesting)
        if code is None or code not in self.partners.states:
            known = f"no state of {self.treaty.name}" if code is None else "not in the partner directory"
            raise ExchangeError(f"the state that asks, {inquiry.requesting!r}, is {known}")
        if inquiry.requested and self.treaty.states.code(inquiry.requested) != self.state:
            raise ExchangeError(f"the message is for {inquiry.requested!r}; this is {self.state}")

    def _due(self, inquiry: Inquiry) -> datetime | None:
        if inquiry.category == "dna":
            minutes = self.treaty.dna_messages.answer_within_minutes
        elif inquiry.category == "dactyloscopic":
            minutes = self.treaty.dactyloscopic_messages.answer_within_minutes
        else:
            minutes = self.treaty.vehicle_messages.answer_within_minutes
        return None if minutes is None else inquiry.received_at + timedelta(minutes=minutes)

    def _now(self, inquiry: Inquiry) -> datetime:
        """Never before the message came: clocks of mail relays differ."""
        return max(datetime.now(UTC), inquiry.received_at)

    def _record(self, category: str, inquiry: Inquiry | None, received_at: datetime, **values: Any) -> AuditRecord:
        return AuditRecord(
            direction="in",
            treaty=self.treaty.name,
            partner=(inquiry and self.treaty.states.code(inquiry.requesting)) or "",
            category=category,
            search_type=inquiry.search_type if inquiry else "",
            request_id=inquiry.request_id if inquiry else "",
            received_at=received_at,
            retention_years=self.treaty.exchange.log_years,
            searching_body=(inquiry and inquiry.body) or "",
            administering_body=self.state,
            **values,
        )


def _as_bytes(message: Any) -> bytes:
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    if hasattr(message, "write"):
        written: bytes = message.write()
        return written
    return bytes(message)
