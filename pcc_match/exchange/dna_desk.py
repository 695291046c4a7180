"""Answering requests about DNA: who may be searched, the search of all at once, and the answer profile by profile.

Article 3 of Decision 2008/615/JHA: searches in the individual case, for any profile. Article 4: comparison of open
traces; a person's profile is answered with an error. Every match is reported, near matches and no matches, too (annex
of 2008/616/JHA, chapter 1, 1.3). Which profiles may be made available is decided where the gallery is filled.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from pcc_match.dna.loci import locus
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import refusals
from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import AuditMatch
from pcc_match.exchange.dna import TYPES, DnaAnswer, DnaEntry, DnaRequest, Header, read_dna
from pcc_match.exchange.responder import Inquiry, Outcome
from pcc_match.search import Match, Matcher
from pcc_match.treaties import Treaty

_PARTY: Final = {"P": "person", "S": "trace", "": "trace"}


class DnaDesk:
    """Answers from the galleries of one matcher, under its treaty."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.treaty = matcher.treaty

    def read(self, data: bytes) -> Inquiry:
        """See Desk. Each entry of the message is checked here: what cannot be searched says why in its `error`."""
        request = read_dna(data, treaty=self.treaty)
        if isinstance(request, DnaAnswer):
            raise ExchangeError("the message is an answer: a Requester takes it")
        article = next((entry.reqtype for entry in request.entries if entry.reqtype in (3, 4)), 3)
        entries = tuple(_checked(entry, article, self.treaty) for entry in request.entries)
        about = request.header.requesting
        return Inquiry(
            category="dna",
            requesting=about.source,
            requested=about.destination,
            request_id=about.request_id,
            search_type=f"dna-{article}",
            searches=sum(not entry.error for entry in entries),
            message=DnaRequest(request.header, entries),
            data=data,
            body=entries[0].agency,
        )

    def answer(self, inquiry: Inquiry, now: datetime) -> Outcome:
        """See Desk."""
        request: DnaRequest = inquiry.message
        found = iter(self.matcher.search(list(request.profiles)) if request.profiles else ())
        results: list[DnaEntry] = []
        matches: list[AuditMatch] = []
        for entry in request.entries:
            if entry.error:
                results.append(_error(entry, entry.error))
                continue
            result = next(found)
            own = replace(entry, result="H" if len(result) else "N", quality=0, rescount=len(result))
            results.append(own if len(result) else replace(own, profile=None))
            for match in result:
                reference = self.matcher.profile(int(result.hits["row"][match.rank - 1]))
                results.append(_match(entry, match, reference))
                parties = entry.profile_id, _PARTY[entry.type], reference.id, _PARTY[TYPES[reference.kind]]
                matches.append(AuditMatch(*parties, quality=match.quality))
        reply_id = uuid4().hex
        answer = DnaAnswer(_header(request, reply_id, now), tuple(results)).write()
        asked = tuple(entry.profile_id for entry in request.entries if not entry.error)
        wrong = len(request.entries) - len(asked)
        note = f"{wrong} of {len(request.entries)} profiles were answered E" if wrong else ""
        return Outcome(answer, reply_id, data_supplied=asked, matches=tuple(matches), note=note)

    def refuse(self, inquiry: Inquiry, refusal: RefusalError, now: datetime) -> bytes:
        """See Desk: every profile of the request is answered with the reason."""
        request: DnaRequest = inquiry.message
        entries = tuple(_error(entry, entry.error or str(refusal)) for entry in request.entries)
        return DnaAnswer(_header(request, uuid4().hex, now), entries).write()


def _checked(entry: DnaEntry, article: int, treaty: Treaty) -> DnaEntry:
    """The entry, with the reasons against searching it as its `error`."""
    if entry.error or entry.profile is None:
        return entry
    if entry.reqtype != article:
        reason = f"rule 4.1 (annex, chapter 1): reqtype {entry.reqtype} in a message by article {article}"
        return replace(entry, error=reason)
    if article == 4 and entry.type == "P":
        return replace(
            entry, error="rule article 4 of Decision 2008/615/JHA: open traces are compared, type P is a person"
        )
    reasons = [
        f"rule {refusal.rule}, locus {refusal.locus or 'all'}, value {refusal.value}: {refusal.sentence}"
        for refusal in refusals(entry.profile, treaty.inclusion)
    ]
    return replace(entry, error="; ".join(reasons)) if reasons else entry


def _match(entry: DnaEntry, match: Match, reference: DnaProfile) -> DnaEntry:
    return DnaEntry.of(
        reference,
        entry.reqtype,
        result="H",
        match_id=entry.profile_id,
        quality=match.quality,
        hitcount=_identical(match, reference),
    )


def _identical(match: Match, reference: DnaProfile) -> int:
    """Allele values that are identical: of the two at each locus compared, those that the rule did not count."""
    common = sum(locus(name).compared for name in match.probe.pairs.keys() & reference.pairs.keys())
    return 2 * common - match.wildcards - match.microvariants - match.mismatches


def _error(entry: DnaEntry, reason: str) -> DnaEntry:
    message = "".join(character if character.isprintable() else "?" for character in reason).strip()
    return replace(entry, result="E", quality=0, rescount=0, profile=None, message=message, error="")


def _header(request: DnaRequest, reply_id: str, now: datetime) -> Header:
    about = request.header.requesting
    made = now.astimezone(UTC)
    requested = replace(about, date=made.date(), time=made.time().replace(microsecond=0))
    return Header(about, requested, ref=reply_id)
