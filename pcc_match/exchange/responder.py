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
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set

if TYPE_CHECKING:
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
    """

    answer: bytes
    reply_id: str = ""
    data_supplied: tuple[str, ...] = ()
    matches: tuple[AuditMatch, ...] = ()


class Desk(Protocol):
    """Answers one category of data. It holds the resident galleries or the register, the treaty and the state."""

    def read(self, data: bytes) -> Inquiry:
        """The request in a message; category, requesting ... body and priority are the desk's to fill.

        PccError where the message cannot be parsed or attributed: the responder records the refusal and nobody gets an
        answer. What is wrong but attributed is the desk's to answer (E, ERR, fault).
        """

    def answer(self, inquiry: Inquiry, now: datetime) -> Outcome:
        """Searches, and builds the answer."""

    def refuse(self, inquiry: Inquiry, reason: str, now: datetime) -> bytes:
        """The answer that says why an attributed request is not served: no authorisation, quota used up."""


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
