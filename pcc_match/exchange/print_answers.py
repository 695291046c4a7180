"""Answering a dactyloscopic request: templates, search, and for each candidate its records; or the error.

What decides an ERR, besides what INT-I 4.22 objects to (INT-I codes of field 2.074):

    110   2.320 asks for more candidates than the treaty allows
    115   1.007 names another state
    501   none of the prints gives a template of MIN_MINUTIAE
    502   no print of a finger in a position that can be searched (1-12 for CPS, 0-12 for PMS): slaps alone are not
    503   two prints of one position
    999   a candidate whose records cannot be sent, or a kind of search that this state does not offer

Not checked: whether all ten fingers are there, whether a print is of the finger that it names (rolled against slap),
and whether two prints of a transaction are of one person.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from pcc_match import itl
from pcc_match.errors import ExchangeError, PccError, RecordError
from pcc_match.exchange import prints
from pcc_match.exchange.print_records import (
    Fields,
    NewRecord,
    RecordStore,
    finger_records,
    latent_records,
    palm_records,
    positions_of,
)
from pcc_match.exchange.prints import PrintRequest
from pcc_match.finger.template import FingerTemplate
from pcc_match.itl.problems import (
    INSUFFICIENT_QUALITY,
    INVALID_ITEM_VALUE,
    MISSING_FINGERPRINTS,
    NUMBER_TOO_BIG,
    OTHER,
    UNAUTHORISED,
    Problem,
)
from pcc_match.itl.records import Record
from pcc_match.treaties import Treaty
from pcc_match.treaties.search_types import SearchType

# Fewer minutiae say nothing about a person; ours, no act states a number.
MIN_MINUTIAE = 8
# Plain prints of the thumbs are prints of the thumbs.
_PLAIN_THUMBS = {11: 1, 12: 6}
_SEARCHED = {"CPS": range(1, 13), "PMS": range(13)}
_NO_RECORDS = "CANDIDATE {:03d}/{:03d} HAS NO RECORDS"


@dataclass(frozen=True)
class Candidate:
    """A reference that a search returns.

    id         of the print
    subject    whose print it is
    score      comparison score, fused over the fingers where the search fuses
    position   of the finger or palm: the reference's in a latent search, the probe's in a search among latents; 0
               unknown
    """

    id: str
    subject: str
    score: int
    position: int = 0


class PrintSearch(Protocol):
    """What searches a state's prints: galleries here, a national AFIS elsewhere."""

    def candidates(self, search: SearchType, probes: list[FingerTemplate], limit: int) -> list[Candidate]:
        """At most `limit` candidates, best first, of one kind of search; ExchangeError where it is not offered.

        probes   fingers of one person (fused to one score a subject in TP/TP), his palms, or one latent
        """
        ...


@dataclass(frozen=True, eq=False)
class Reply:
    """The answer to a request, and what is to be put on record beside it.

    transactions   one SRE for each candidate, or one that there is none; ERR
    candidates     those that were answered with their records
    notes          why there is an ERR, for the audit record; nothing personal
    """

    transactions: tuple[itl.Transaction, ...]
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()

    def __bytes__(self) -> bytes:
        """The transactions, one behind the other."""
        return b"".join(map(bytes, self.transactions))

    def __repr__(self) -> str:
        return f"<Reply {', '.join(each.tot for each in self.transactions)}>"


def answer(
    request: PrintRequest,
    search: PrintSearch,
    store: RecordStore,
    *,
    treaty: Treaty,
    state: str,
    tcns: Callable[[], str],
    now: datetime | None = None,
) -> Reply:
    """What `state` says to a request.

    treaty   whose limits of candidates hold
    store    the transactions that the galleries were made from: by subject for ten-prints and palms, by id for latents
    tcns     gives the TCN of each answer, as prints.TcnClock does
    """
    problems = [*request.problems, *_wrong_state(request, state)]
    if request.tot not in prints.REQUESTS or problems:
        return refuse(request, problems, state=state, tcn=tcns(), now=now)
    kind = request.search_type
    limit = treaty.finger.max_candidates[kind.name]
    problems += _wrong_limit(request, limit)
    probes: list[FingerTemplate] = []
    if not problems:
        probes, problems = templates(request)
    if problems:
        return refuse(request, problems, state=state, tcn=tcns(), now=now)
    try:
        found = search.candidates(kind, probes, min(limit, request.wanted or limit))
    except ExchangeError as error:
        return refuse(request, [Problem(str(error), code=OTHER)], state=state, tcn=tcns(), now=now)
    if not found:
        return Reply((prints.result(request, own_agency(request, state), tcns(), now=now),))
    transactions, sent, notes = [], [], []
    for number, candidate in enumerate(found, 1):
        try:
            transactions.append(_hit(request, candidate, (number, len(found)), store, state, tcns(), now))
            sent.append(candidate)
        except (ExchangeError, RecordError) as error:
            notes.append(f"candidate {number} of {len(found)}: {error}")
            problem = Problem(notes[-1], code=OTHER)
            info = _NO_RECORDS.format(number, len(found))
            transactions.append(
                prints.error(request, [problem], own_agency(request, state), tcns(), info=info, now=now)
            )
    return Reply(tuple(transactions), tuple(sent), tuple(notes))


def refuse(
    request: PrintRequest, problems: list[Problem], *, state: str, tcn: str, now: datetime | None = None
) -> Reply:
    """An ERR for these problems."""
    transaction = prints.error(request, problems, own_agency(request, state), tcn, now=now)
    return Reply((transaction,), notes=tuple(f"{problem.code:03d} {problem}" for problem in problems))


def unauthorised(request: PrintRequest, *, state: str, tcn: str, now: datetime | None = None) -> Reply:
    """The ERR 003 for a state that may not ask this."""
    return refuse(request, [Problem("not authorised", code=UNAUTHORISED)], state=state, tcn=tcn, now=now)


def own_agency(request: PrintRequest, state: str) -> str:
    """The agency that answers: the one that was asked if it is of this state, else the state's contact point."""
    asked = str(request.transaction.header.text(7))
    return asked if request.requested == state else f"{state}/NCP"


def _wrong_state(request: PrintRequest, state: str) -> list[Problem]:
    header = request.transaction.header
    if request.requested in (state, ""):
        return []
    return [header.problem(f"this is {state}", header.field(7), code=INVALID_ITEM_VALUE)]


def _wrong_limit(request: PrintRequest, limit: int) -> list[Problem]:
    if request.wanted is None or request.wanted <= limit:
        return []
    record = request.transaction.of_type(2)[0]
    message = f"at most {limit} candidates in a search {request.search_type.name}"
    return [record.problem(message, record.field(320), code=NUMBER_TOO_BIG)]


# -- templates


def templates(request: PrintRequest) -> tuple[list[FingerTemplate], list[Problem]]:
    """The templates of a request's prints, one for each finger or palm, or why there are none."""
    transaction = request.transaction
    if request.tot in ("MPS", "MMS"):
        coded = transaction.of_type(9)
        image = transaction.of_type(13)[0]
        found = [FingerTemplate.from_itl(coded[0])] if coded else _extracted(image, positions_of(image))
    elif request.search_type.palms:
        found = [
            template for record in transaction.of_type(15) for template in _extracted(record, positions_of(record))
        ]
    else:
        searched = _SEARCHED[request.tot]
        records = [record for record in transaction.of_type(4) if positions_of(record)[0] in searched]
        if not records:
            header = transaction.header
            message = "no print of a single finger in a known position"
            return [], [header.problem(message, header.field(3), code=MISSING_FINGERPRINTS)]
        found = [template for record in records for template in _extracted(record, positions_of(record))]
    usable = [template for template in _by_finger(found) if len(template) >= MIN_MINUTIAE]
    if not usable:
        message = f"none of the prints has {MIN_MINUTIAE} minutiae"
        return [], [Problem(message, code=INSUFFICIENT_QUALITY)]
    return usable, []


def _extracted(record: Record, positions: tuple[int, ...]) -> list[FingerTemplate]:
    """The template of an image, none where nothing can be extracted."""
    from pcc_match.finger import extract

    header = record.image_header()
    ppi = 500.0 if header is None or header.ppi is None else header.ppi[0]
    try:
        template = extract(record.pixels(), round(ppi))
    except PccError:
        return []
    position = positions[0] if len(positions) == 1 else 0
    return [replace(template, position=_PLAIN_THUMBS.get(position, position))]


def _by_finger(found: list[FingerTemplate]) -> list[FingerTemplate]:
    """One template for each known position: prints of one finger are joined."""
    fingers: dict[int, list[FingerTemplate]] = {}
    for number, template in enumerate(found, 1):
        fingers.setdefault(template.position or -number, []).append(template)
    return [FingerTemplate.join(*same) if len(same) > 1 else same[0] for same in fingers.values()]


# -- candidates


def _hit(
    request: PrintRequest,
    candidate: Candidate,
    place: tuple[int, int],
    store: RecordStore,
    state: str,
    tcn: str,
    now: datetime | None,
) -> itl.Transaction:
    """The SRE of a candidate; ExchangeError where its records cannot be sent."""
    kind = request.search_type
    stored = store.transaction(candidate.id if kind.latent_references else candidate.subject)
    records = _records(kind, candidate, stored)
    if not records:
        raise ExchangeError("its transaction holds no images of the kind that was searched")
    transaction = prints.result(
        request,
        own_agency(request, state),
        tcn,
        number=place[0],
        total=place[1],
        score=candidate.score,
        reference=_reference(kind, candidate, stored, state),
        position=candidate.position,
        records=records,
        now=now,
    )
    for problem in transaction.check("int-i-4.22"):
        raise ExchangeError(f"its records are not as INT-I 4.22 wants them: {problem}")
    return transaction


def _records(kind: SearchType, candidate: Candidate, stored: itl.Transaction) -> list[NewRecord]:
    if kind.latent_references:
        return latent_records(stored)
    if kind.palms:
        return palm_records(stored)
    fingers = finger_records(stored)
    if kind.latent_probe and candidate.position:  # only the finger that the latent may be of
        return [(type, fields) for type, fields in fingers if fields[4] == candidate.position] or fingers
    return fingers[:14]


def _reference(kind: SearchType, candidate: Candidate, stored: itl.Transaction, state: str) -> Fields:
    """2.010, or 2.007 to 2.009: the stored transaction's own where they are of Prüm's form, else the gallery's id."""
    number, id = (7, candidate.id) if kind.latent_references else (10, candidate.subject)
    type_2 = stored.of_type(2)
    text = str(type_2[0].text(number)) if type_2 else ""
    if not re.fullmatch(rf"{state}/[ -~]{{1,32}}", text):
        return {number: f"{state}/{id}"}
    fields: Fields = {number: text}
    for more, pattern in ((8, r"[0-9]{1,4}"), (9, r"[A-Z]{1,2}")) if number == 7 else ():
        value = str(type_2[0].text(more))
        if re.fullmatch(pattern, value):
            fields[more] = value
    return fields
