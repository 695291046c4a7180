"""The asking side: requests with their grounds, the answers to them, and the matches that wait for an expert.

requester = Requester(ledger, treaty="pcc-see", state="AT", body="AT/BK")
for request in requester.ask_dna(new_profiles, ["HU", "RS"], grounds, article=4):
    send(request.partner, request.data)               # it is in the ledger by now
for match in requester.take_dna(answer):
    print(requester.compare(match.id).explain())      # the partner's values against ours
    requester.matches.confirm(match.id, officer="...", reason="...")

Prints are asked with exchange.prints, and go on record by the same two verbs as any message made elsewhere:

about = {"partner": "HU", "category": "dactyloscopic", "request_id": request.request_id}     # of read_prints(data)
requester.ask(data, grounds, search_type=request.search_type.name, data_supplied=[request.reference], **about)
hits = [result for result in read_prints(answer).results if result.hit]
matches = [AuditMatch(request.reference, "trace", hit.reference, "person", score=hit.score) for hit in hits]
requester.take(answer, reply_id="...", matches=matches, data_supplied=[hit.reference for hit in hits], **about)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import Comparison, compare
from pcc_match.errors import ExchangeError
from pcc_match.exchange.audit import AuditMatch, AuditRecord
from pcc_match.exchange.confirmations import Confirmations
from pcc_match.exchange.dna import TYPES, DnaAnswer, DnaEntry, DnaRequest, Header, Info, read_dna
from pcc_match.exchange.ledger import HeldMatch, Ledger
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set

SOUGHT: Final = ("suspect", "convicted", "victim", "missing", "remains", "unknown")  # 2024/982 Art. 33(2)
_PARTIES: Final = {"P": "person", "S": "trace"}


@dataclass(frozen=True, repr=False, kw_only=True)
class Grounds:
    """Why a search is made, and who answers for it: 2008/615/JHA Art. 30(2)(b), 2024/982 Art. 33.

    purpose    one of the treaty's
    sought     whose data they are, one of SOUGHT, and offence: where the treaty wants the record of justification
    """

    purpose: str
    reason: str
    case_reference: str
    officer_searching: str
    officer_ordering: str
    sought: str = ""
    offence: str = ""

    def __repr__(self) -> str:  # nothing that leads to a person
        return f"Grounds({self.purpose})"

    def justification(self, treaty: Treaty) -> dict[str, str]:
        """As the audit record has it. ExchangeError names what the treaty wants and this lacks."""
        for name in ("reason", "case_reference", "officer_searching", "officer_ordering"):
            if not getattr(self, name).strip():
                raise ExchangeError(f"grounds: {name} is empty: each search has it on record (2008/615/JHA Art. 30)")
        if self.purpose not in treaty.exchange.purposes:
            raise ExchangeError(
                f"grounds: purpose {self.purpose!r}: {treaty.name} knows {', '.join(treaty.exchange.purposes)}"
            )
        if self.sought not in SOUGHT and (self.sought or treaty.exchange.justification):
            raise ExchangeError(f"grounds: sought {self.sought!r} is none of {', '.join(SOUGHT)}")
        given = {"purpose": self.purpose, "sought": self.sought, "offence": self.offence}
        return {name: text for name, text in given.items() if text}


@dataclass(frozen=True)
class SentRequest:
    """A request that is on record and may leave. due_at: when the treaty has it answered, None for no time."""

    partner: str
    request_id: str
    due_at: datetime | None
    data: bytes = field(repr=False)


class Requester:
    """Asks for one state. `matches` holds what came back: Confirmations of the same ledger and treaty.

    state  our code in the treaty; body: name or reference code of the searching body
    """

    def __init__(self, ledger: Ledger, *, treaty: str | Treaty, state: str, body: str) -> None:
        self.ledger = ledger
        self.treaty = treaty if isinstance(treaty, Treaty) else treaty_set(treaty)
        self.state = self._code(state)
        self.body = body
        self.matches = Confirmations(ledger, self.treaty)

    # ---- messages of any category

    def ask(
        self,
        message: bytes,
        grounds: Grounds,
        *,
        partner: str,
        category: str,
        search_type: str,
        request_id: str,
        data_supplied: Sequence[str],
        searches: int = 1,
        quota: int | None = None,
        at: datetime | None = None,
    ) -> None:
        """Accounts for a request made elsewhere, before it leaves.

        search_type: as in the partner directory, "dna-3", "TP/TP", "vehicles". data_supplied: the data, or reference
        numbers that lead to them. quota: searches of this type that the partner has declared for a day; RefusalError
        where they are used up.
        """
        record = AuditRecord(
            event="asked",
            direction="out",
            treaty=self.treaty.name,
            partner=self._code(partner),
            category=category,
            search_type=search_type,
            request_id=request_id,
            received_at=at or datetime.now(UTC),
            searches=searches,
            data_supplied=tuple(data_supplied),
            searching_body=self.body,
            administering_body=self._code(partner),
            reason=grounds.reason,
            case_reference=grounds.case_reference,
            officer_searching=grounds.officer_searching,
            officer_ordering=grounds.officer_ordering,
            justification=grounds.justification(self.treaty),
            retention_years=self.treaty.exchange.log_years,
        )
        self.ledger.ask(record, message, quota=quota)

    def take(
        self,
        answer: bytes,
        *,
        partner: str,
        category: str,
        request_id: str,
        reply_id: str,
        matches: Sequence[AuditMatch],
        data_supplied: Sequence[str],
        at: datetime | None = None,
    ) -> list[HeldMatch]:
        """Accounts for an answer read elsewhere; its matches, each in its present state.

        The same answer once more gives the same matches. RefusalError: it answers no request of ours, or the reply id
        came with another answer.
        """
        record = replace(
            self._about("received", self._code(partner), category, request_id, at),
            reply_id=reply_id,
            matches=tuple(matches),
            data_supplied=tuple(data_supplied),
        )
        return [self.ledger.match(id) for id in self.ledger.receive(record, answer)]

    def _about(self, event: str, partner: str, category: str, request_id: str, at: datetime | None) -> AuditRecord:
        """A record about an answer, with the grounds of the request, if that was made."""
        record = AuditRecord(
            event=event,
            direction="out",
            treaty=self.treaty.name,
            partner=partner,
            category=category,
            search_type="",
            request_id=request_id,
            received_at=at or datetime.now(UTC),
            searching_body=self.body,
            administering_body=partner,
            retention_years=self.treaty.exchange.log_years,
        )
        asked = self.ledger.asked(partner, category, request_id)
        if asked is None:
            return record
        return replace(
            record,
            search_type=asked.search_type,
            reason=asked.reason,
            case_reference=asked.case_reference,
            officer_searching=asked.officer_searching,
            officer_ordering=asked.officer_ordering,
            justification=asked.justification,
        )

    # ---- DNA

    def ask_dna(
        self,
        profiles: Iterable[DnaProfile],
        partners: Iterable[str],
        grounds: Grounds,
        *,
        article: int = 3,
        quota: int | None = None,
        at: datetime | None = None,
    ) -> Iterator[SentRequest]:
        """Requests for profiles to each partner; each is on record before it is given out.

        article 3 of 2008/615/JHA: search in the individual case, a message for each profile; 4: comparison of open
        traces, as many profiles in a message as the treaty allows (annex, chapter 1, 4.1). Nothing is asked before the
        first request is taken from the iterator.
        """
        entries = [DnaEntry.of(profile, article) for profile in profiles]
        states = [self._code(partner) for partner in partners]
        grounds.justification(self.treaty)
        if article == 4 and any(entry.type == "P" for entry in entries):
            raise ExchangeError("article 4 compares open traces: ask for persons under article 3")
        size = self.treaty.dna_messages.max_profiles if article == 4 else 1
        return self._ask_dna(entries, states, grounds, article, size, quota, at)

    def _ask_dna(
        self,
        entries: list[DnaEntry],
        states: list[str],
        grounds: Grounds,
        article: int,
        size: int,
        quota: int | None,
        at: datetime | None,
    ) -> Iterator[SentRequest]:
        minutes = self.treaty.dna_messages.answer_within_minutes
        for partner in states:
            for start in range(0, len(entries), size):
                asked = entries[start : start + size]
                now = (at or datetime.now(UTC)).astimezone(UTC)
                id = f"{self.state}-{now:%Y%m%d}-{uuid.uuid4().hex[:12]}"
                header = Header(Info(self.state, partner, id, now.date(), now.time().replace(microsecond=0)))
                data = DnaRequest(header, tuple(asked)).write()
                self.ask(
                    data,
                    grounds,
                    partner=partner,
                    category="dna",
                    search_type=f"dna-{article}",
                    request_id=id,
                    data_supplied=[_as_text(entry) for entry in asked],
                    searches=len(asked),
                    quota=quota,
                    at=now,
                )
                yield SentRequest(partner, id, None if minutes is None else now + timedelta(minutes=minutes), data)

    def take_dna(self, answer: bytes, *, at: datetime | None = None) -> list[HeldMatch]:
        """The matches of an answer about DNA; see take(). ExchangeError also where it answers what was not asked."""
        read = read_dna(answer, treaty=self.treaty)
        if not isinstance(read, DnaAnswer):
            raise ExchangeError("a request is no answer: hand it to a Responder")
        info = read.header.requesting
        partner = self._code(info.destination)
        asked = self.ledger.asked(partner, "dna", info.request_id)
        types = {} if asked is None else {entry["id"]: entry["type"] for entry in map(json.loads, asked.data_supplied)}
        about = {entry.match_id if entry.quality else entry.profile_id for entry in read.results}
        reason = ""
        if self.treaty.states.code(info.source) != self.state:
            reason = f"the answer is for {info.source}, not for {self.state}"
        elif asked is not None and not about <= types.keys():
            reason = "the answer is about a profile that was not asked for"
        if reason:
            self.ledger.append(replace(self._about("refused", partner, "dna", info.request_id, at), refusal=reason))
            raise ExchangeError(f"answer to request {info.request_id!r} of {partner}: {reason}: tell the partner")
        matched = [entry for entry in read.results if entry.quality and asked is not None]
        matches = [
            AuditMatch(
                asked=entry.match_id,
                asked_is=_PARTIES[types[entry.match_id]],
                found=entry.profile_ident,
                found_is=_PARTIES[entry.type],
                quality=entry.quality,
            )
            for entry in matched
        ]
        return self.take(
            answer,
            partner=partner,
            category="dna",
            request_id=info.request_id,
            reply_id=read.header.ref,
            matches=matches,
            data_supplied=[_as_text(entry) for entry in matched],
            at=at,
        )

    def compare(self, id: str) -> Comparison:
        """Our profile and the partner's of a DNA match, compared anew: what an expert looks at before deciding."""
        match = self.ledger.match(id)
        asked = self.ledger.asked(match.record.partner, "dna", match.record.request_id)
        if match.record.category != "dna" or match.record.direction != "out" or asked is None:
            raise ExchangeError(f"match {id} is none of a DNA request of ours that is still on record")
        wanted = match.record.matches[match.place].asked
        ours = next(text for text in map(json.loads, asked.data_supplied) if text["id"] == wanted)
        theirs = json.loads(match.record.data_supplied[match.place])
        if theirs["alleles"] is None:
            raise ExchangeError(f"match {id}: the answer did not hold the partner's profile")
        return compare(_profile(ours), _profile(theirs), self.treaty.dna)

    def _code(self, state: str) -> str:
        code = self.treaty.states.code(state)
        if code is None:
            raise ExchangeError(f"{state!r} is no state of {self.treaty.name}")
        return code


def _as_text(entry: DnaEntry) -> str:
    """The data that are supplied, as the ledger keeps them."""
    alleles: Mapping[str, Sequence[str]] | None = None if entry.profile is None else dict(entry.profile.alleles)
    return json.dumps({"id": entry.profile_id, "type": entry.type, "alleles": alleles})


def _profile(text: dict[str, object]) -> DnaProfile:
    alleles = text["alleles"]
    assert isinstance(alleles, dict)
    kind = {type: kind for kind, type in reversed(TYPES.items())}[str(text["type"])]
    return DnaProfile(str(text["id"]), kind, {name: tuple(values) for name, values in alleles.items()})
