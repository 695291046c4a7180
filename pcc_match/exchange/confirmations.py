"""What becomes of a match: an expert confirms it, then it is a hit, or rejects it; core data follow a hit alone.

match -> hit | rejected, hit -> core data. Each step is a person's decision, with time and reason, in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pcc_match.errors import ExchangeError
from pcc_match.exchange.audit import AuditRecord
from pcc_match.exchange.ledger import HeldMatch, Ledger
from pcc_match.treaties import Treaty


class Confirmations:
    """The matches in a ledger: those of our own requests, and those that we have answered with."""

    def __init__(self, ledger: Ledger, treaty: Treaty) -> None:
        self.ledger = ledger
        self.treaty = treaty

    def open(self) -> list[HeldMatch]:
        """The matches that wait for an expert."""
        return self.ledger.matches("match")

    def confirm(self, id: str, *, officer: str, reason: str, at: datetime | None = None) -> None:
        """The match is a hit. officer: who compared it; reason: what convinced; at: when, UTC (now)."""
        self._decide("confirmed", id, officer, reason, at)

    def reject(self, id: str, *, officer: str, reason: str, at: datetime | None = None) -> None:
        """The match is none."""
        self._decide("rejected", id, officer, reason, at)

    def core_data_due(self, id: str) -> datetime | None:
        """Until when core data of a hit are to be supplied (Regulation (EU) 2024/982, article 47); None: no limit."""
        match, hours = self.ledger.match(id), self.treaty.core_data.within_hours
        if match.state != "hit" or match.decided is None:
            raise ExchangeError(f"match {id} is in state {match.state!r}: core data follow a hit")
        return None if hours is None else match.decided.at + timedelta(hours=hours)

    def core_data(
        self,
        id: str,
        data: Mapping[str, str],
        *,
        officer: str,
        reason: str,
        late: str = "",
        at: datetime | None = None,
    ) -> dict[str, str]:
        """Accounts for the core data of a hit and returns them: to be sent now, or as they came from the partner.

        data: by the treaty's names of the elements; of a trace only those that the treaty allows for one.
        officer: who decided that they are supplied. late: why they come after their time (a judicial authorisation).
        """
        rule, match = self.treaty.core_data, self.ledger.match(id)
        due, at = self.core_data_due(id), at or datetime.now(UTC)
        found = match.record.matches[match.place].found_is
        allowed = rule.trace if found == "trace" else rule.person
        if not data:
            raise ExchangeError(f"match {id}: no core data are given")
        for element in data:
            if element not in allowed:
                raise ExchangeError(
                    f"match {id}: {element!r} may not be supplied about a {found}: {self.treaty.name} allows "
                    + (", ".join(allowed) or "nothing")
                )
        if due is not None and at > due and not late:
            raise ExchangeError(f"match {id}: core data were due until {due}: say in `late` why they come later")
        supplied = tuple(json.dumps({element: value}, ensure_ascii=False) for element, value in data.items())
        self._decide("core data", id, officer, f"{reason}; late: {late}" if late else reason, at, supplied)
        return dict(data)

    def _decide(
        self, event: str, id: str, officer: str, reason: str, at: datetime | None, supplied: tuple[str, ...] = ()
    ) -> None:
        if not officer.strip() or not reason.strip():
            raise ExchangeError(f"match {id}: a decision needs the officer who made it and the reason")
        about = self.ledger.match(id).record
        record = AuditRecord(
            event=event,
            direction=about.direction,
            treaty=self.treaty.name,
            partner=about.partner,
            category=about.category,
            search_type=about.search_type,
            request_id=about.request_id,
            reply_id=about.reply_id,
            received_at=at or datetime.now(UTC),
            data_supplied=supplied,
            searching_body=about.searching_body,
            administering_body=about.administering_body,
            reason=reason,
            case_reference=about.case_reference,
            officer_searching=officer,
            retention_years=self.treaty.exchange.log_years,
        )
        self.ledger.decide(id, record)
