"""Answering dactyloscopic requests: templates, search, and for each candidate its records; or the error.

What is answered by an ERR, by the codes of field 2.074, besides all that INT-I 4.22 objects to:

    003   the responder refuses: no authorisation
    110   2.320 asks for more candidates than the treaty allows
    501   none of the prints gives MIN_MINUTIAE minutiae
    502   no print of a single finger: positions 1 to 12 in a CPS, 0 to 12 in a PMS; slaps alone are not searched
    503   two prints of one position
    999   the day's quota is used up; a kind of search that this state does not offer; a candidate whose records cannot
          be sent, which is no match then

Not checked: whether all ten fingers are there, whether a print is of the finger that it names (rolled against slap),
and whether the prints of a transaction are of one person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pcc_match import itl
from pcc_match.errors import ExchangeError, PccError, RefusalError
from pcc_match.exchange import prints
from pcc_match.exchange.audit import AuditMatch
from pcc_match.exchange.print_records import (
    Fields,
    NewRecord,
    RecordStore,
    finger_records,
    latent_records,
    palm_records,
    positions_of,
)
from pcc_match.exchange.prints import PrintRequest, TcnClock
from pcc_match.exchange.responder import EXPEDITED, ORDINARY, Inquiry, Outcome
from pcc_match.finger.extract import extract
from pcc_match.finger.search import FingerMatcher
from pcc_match.finger.template import FingerTemplate
from pcc_match.itl.problems import (
    INSUFFICIENT_QUALITY,
    MISSING_FINGERPRINTS,
    NUMBER_TOO_BIG,
    OTHER,
    UNAUTHORISED,
    Problem,
)
from pcc_match.itl.records import Record
from pcc_match.treaties import Treaty
from pcc_match.treaties.search_types import SEARCH_TYPES, SearchType

# Fewer minutiae say nothing about a person; ours, no act states a number.
MIN_MINUTIAE = 8
# What a candidate's fingers score on average, at least, in a search TP/TP without a threshold of the node's own; ours,
# too: none of the 46,080 non-mated comparisons of finger/calibration.toml with one set of minutiae a print reached it.
FINGER_SCORE = 3000
_SEARCHED = {"CPS": range(1, 13), "PMS": range(13)}
_UNKNOWN_PALM = 20


@dataclass(frozen=True)
class PrintCandidate:
    """A reference that a search returns.

    id         of the print
    subject    whose print it is
    score      comparison score, over all fingers where the search fuses them
    position   of the finger or palm: the reference's where a latent is searched for, the probe's in a search among
               latents; 0 unknown
    """

    id: str
    subject: str
    score: int
    position: int


class PrintSearch:
    """What a state searches: a matcher over finger galleries for each kind of reference.

    matchers     by "TP" ten-prints, "PP" palms, "UL" unsolved latents, "ULP" unsolved palm latents; a kind that is not
                 there is not offered
    thresholds   by search type ("TP/TP"), the least score of a candidate. Without one, a search where latents take part
                 lists its best candidates for the expert who asked; one of ten-prints among ten-prints wants
                 FINGER_SCORE from a candidate's fingers on average
    """

    def __init__(self, matchers: Mapping[str, FingerMatcher], thresholds: Mapping[str, int] | None = None) -> None:
        self.matchers = dict(matchers)
        self.thresholds = dict(thresholds or {})
        kinds = {kind.references for kind in SEARCH_TYPES.values()}
        for given, known in ((self.matchers, kinds), (self.thresholds, set(SEARCH_TYPES))):
            if not given.keys() <= known:
                raise ExchangeError(f"searches of prints: {min(given.keys() - known)!r} is none of {sorted(known)}")

    def candidates(self, kind: SearchType, probes: list[FingerTemplate], limit: int) -> list[PrintCandidate]:
        """At most `limit` candidates, best first; ExchangeError where this kind of search is not offered."""
        matcher = self.matchers.get(kind.references)
        if matcher is None:
            raise ExchangeError(f"searches {kind.name} are not offered: there is no gallery {kind.references}")
        threshold = self.thresholds.get(kind.name)
        mean = FINGER_SCORE if threshold is None and kind.name == "TP/TP" else 0
        result = matcher.search(probes, kind.name, threshold=threshold or 1, limit=limit)
        found = []
        for match, candidate in zip(result.matches, result.candidates, strict=True):
            best = candidate.pairs[0]
            shown = matcher.record(best.row).template if kind.latent_probe else probes[best.probe]
            if match.score >= mean * len(match.fingers):
                found.append(PrintCandidate(match.reference, match.subject, match.score, shown.position))
        return found


@dataclass(frozen=True, eq=False)
class Reply:
    """The answers to a request, and what goes on record beside them.

    transactions   an SRE for each candidate, or one that there is none; or ERR
    matches        the candidates that were answered with their records, each with its reference number
    notes          why there is an ERR
    """

    transactions: tuple[itl.Transaction, ...]
    matches: tuple[tuple[PrintCandidate, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __bytes__(self) -> bytes:
        """The transactions, one behind the other."""
        return b"".join(map(bytes, self.transactions))

    def __repr__(self) -> str:
        return f"<Reply {', '.join(each.tot for each in self.transactions)}>"


class PrintDesk:
    """Answers from a state's galleries of prints, and from the transactions that they were made from.

    store   by subject for ten-prints and palms, by the print's id for latents
    """

    def __init__(self, search: PrintSearch, store: RecordStore, treaty: Treaty, state: str) -> None:
        self.search = search
        self.store = store
        self.treaty = treaty
        self.state = state
        self._tcns = TcnClock()

    # -- what the responder asks

    def read(self, data: bytes) -> Inquiry:
        """See Desk."""
        request = prints.read_prints(data)
        if not isinstance(request, PrintRequest):
            raise ExchangeError("the message is an answer: a Requester takes it")
        return Inquiry(
            category="dactyloscopic",
            requesting=request.requesting,
            requested=request.requested,
            request_id=request.request_id,
            search_type=request.search_type.name,
            searches=0 if request.problems else 1,
            message=request,
            data=data,
            body=str(request.transaction.header.text(8)),
            priority=EXPEDITED if request.transaction.header.text(6) == str(EXPEDITED) else ORDINARY,
        )

    def answer(self, inquiry: Inquiry, now: datetime) -> Outcome:
        """See Desk."""
        request: PrintRequest = inquiry.message
        reply = self.reply(request, now)
        kind = request.search_type
        asked_is, found_is = ("trace" if latent else "person" for latent in (kind.latent_probe, kind.latent_references))
        matches = tuple(
            AuditMatch(request.reference, asked_is, reference, found_is, score=candidate.score)
            for candidate, reference in reply.matches
        )
        return Outcome(
            bytes(reply),
            reply_id=" ".join(str(each.header.text(9)) for each in reply.transactions),
            data_supplied=(f"asked: {request.reference}", *(f"supplied: {match.found}" for match in matches)),
            matches=matches,
            note="; ".join(reply.notes),
        )

    def refuse(self, inquiry: Inquiry, refusal: RefusalError, now: datetime) -> bytes:
        """See Desk."""
        request: PrintRequest = inquiry.message
        code = UNAUTHORISED if refusal.cause == "authorisation" else OTHER
        return bytes(self._error(request, [Problem(str(refusal), code=code)], now))

    # -- the answer

    def reply(self, request: PrintRequest, now: datetime) -> Reply:
        """What is answered to a request."""
        kind = request.search_type
        probes: list[FingerTemplate] = []
        problems = list(request.problems) or self._over_limit(request)
        if not problems:
            probes, problems = templates(request)
        if problems:
            return self._error(request, problems, now)
        limit = self.treaty.finger.max_candidates[kind.name]
        try:
            found = self.search.candidates(kind, probes, min(limit, request.wanted or limit))
        except ExchangeError as error:
            return self._error(request, [Problem(str(error), code=OTHER)], now)
        if not found:
            return Reply((prints.result(request, self._agency(request), self._tcns(), now=now),))
        transactions, matches, notes = [], [], []
        for number, candidate in enumerate(found, 1):
            place = f"CANDIDATE {number:03d}/{len(found):03d}"
            try:
                transaction = self._hit(request, candidate, number, len(found), now)
                matches.append((candidate, prints.reference_of(transaction)))
            except PccError as error:
                notes.append(f"{place}: {error}")
                fault, info = [Problem(str(error), code=OTHER)], f"{place} HAS NO RECORDS"
                transaction = prints.error(request, fault, self._agency(request), self._tcns(), info=info, now=now)
            transactions.append(transaction)
        return Reply(tuple(transactions), tuple(matches), tuple(notes))

    def _error(self, request: PrintRequest, problems: list[Problem], now: datetime) -> Reply:
        transaction = prints.error(request, problems, self._agency(request), self._tcns(), now=now)
        return Reply((transaction,), notes=tuple(f"{problem.code:03d} {problem}" for problem in problems))

    def _agency(self, request: PrintRequest) -> str:
        """Who answers: the agency that was asked, or, where none was named, the state's contact point."""
        return str(request.transaction.header.text(7)) if request.requested else f"{self.state}/NCP"

    def _over_limit(self, request: PrintRequest) -> list[Problem]:
        limit = self.treaty.finger.max_candidates[request.search_type.name]
        if request.wanted is None or request.wanted <= limit:
            return []
        record = request.transaction.of_type(2)[0]
        message = f"at most {limit} candidates in a search {request.search_type.name}"
        return [record.problem(message, record.field(320), code=NUMBER_TOO_BIG)]

    def _hit(
        self, request: PrintRequest, candidate: PrintCandidate, number: int, total: int, now: datetime
    ) -> itl.Transaction:
        """The SRE of a candidate; PccError where its records cannot be sent."""
        kind = request.search_type
        stored = self.store.transaction(candidate.id if kind.latent_references else candidate.subject)
        records = _records(kind, candidate, stored)
        if not records:
            raise ExchangeError("its transaction holds no images of the kind that was searched")
        agency = self._agency(request)
        transaction = prints.result(
            request,
            agency,
            self._tcns(),
            number=number,
            total=total,
            score=candidate.score,
            reference=_reference(kind, candidate, stored, agency[:2]),
            position=candidate.position,
            records=records,
            now=now,
        )
        for problem in transaction.check(prints.PROFILE):
            raise ExchangeError(f"its records are not as INT-I 4.22 wants them: {problem}")
        return transaction


# -- templates


def templates(request: PrintRequest) -> tuple[list[FingerTemplate], list[Problem]]:
    """The templates of a request's prints, or why there are none."""
    transaction, kind = request.transaction, request.search_type
    if kind.latent_probe:
        image, coded = transaction.of_type(13)[0], transaction.of_type(9)
        positions = positions_of(image)
        position = positions[0] if len(positions) == 1 else _UNKNOWN_PALM if kind.palms else 0
        found = [_coded(coded[0], position)] if coded else _extracted(image, position)
    elif kind.palms:
        palms = transaction.of_type(15)
        found = [each for record in palms for each in _extracted(record, positions_of(record)[0])]
    else:
        fingers = [(record, positions_of(record)[0]) for record in transaction.of_type(4)]
        fingers = [(record, position) for record, position in fingers if position in _SEARCHED[request.tot]]
        if not fingers:
            header = transaction.header
            return [], [header.problem("no print of a single finger", header.field(3), code=MISSING_FINGERPRINTS)]
        found = [each for record, position in fingers for each in _extracted(record, position)]
    usable = [template for template in found if max(map(len, template.sets)) >= MIN_MINUTIAE]
    if not usable:
        return [], [Problem(f"none of the prints has {MIN_MINUTIAE} minutiae", code=INSUFFICIENT_QUALITY)]
    return usable, []


def _coded(record: Record, position: int) -> FingerTemplate:
    """The minutiae of a Type-9 record under the position that the image's record states."""
    template = FingerTemplate.from_itl(record)
    return FingerTemplate(template.sets, position, template.width, template.height, template.source)


def _extracted(record: Record, position: int) -> list[FingerTemplate]:
    """The template of an image; none where the image cannot be decoded."""
    header = record.image_header()
    try:
        return [
            extract(
                record.pixels(), 500.0 if header is None or header.ppi is None else header.ppi[0], position=position
            )
        ]
    except PccError:
        return []


# -- candidates


def _records(kind: SearchType, candidate: PrintCandidate, stored: itl.Transaction) -> list[NewRecord]:
    if kind.latent_references:
        return latent_records(stored)
    if kind.palms:
        return palm_records(stored)
    fingers = finger_records(stored)
    if kind.latent_probe and candidate.position:  # only the finger that the latent may be of
        return [(type, fields) for type, fields in fingers if fields[4] == candidate.position]
    return fingers


def _reference(kind: SearchType, candidate: PrintCandidate, stored: itl.Transaction, country: str) -> Fields:
    """2.010, or 2.007 to 2.009: the stored transaction's own where they are of Prüm's form, else the gallery's id."""
    number, id = (7, candidate.id) if kind.latent_references else (10, candidate.subject)
    case = next(iter(stored.of_type(2)), None)
    text = "" if case is None else str(case.text(number))
    if case is None or not re.fullmatch(r"[A-Z]{2}/[ -~]{1,32}", text):
        return {number: f"{country}/{id}"}
    fields: Fields = {number: text}
    for more, pattern in ((8, r"[0-9]{1,4}"), (9, r"[A-Z]{1,2}")) if number == 7 else ():
        if re.fullmatch(pattern, str(case.text(more))):
            fields[more] = str(case.text(more))
    return fields
