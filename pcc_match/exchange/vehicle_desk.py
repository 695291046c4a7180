"""Answering queries about vehicles."""

from __future__ import annotations

from datetime import datetime

from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange import vehicles
from pcc_match.exchange.responder import Inquiry, Outcome
from pcc_match.exchange.vehicle_register import VehicleRegister
from pcc_match.exchange.vehicles import ALL_STATES, VehicleAnswer, VehicleFault, VehicleQuery


class VehicleDesk:
    """Answers from a state's register."""

    def __init__(self, register: VehicleRegister, state: str) -> None:
        self.register = register
        self.state = state

    def read(self, data: bytes) -> Inquiry:
        """See Desk."""
        query = vehicles.read_vehicle(data)
        if not isinstance(query, VehicleQuery):
            raise ExchangeError("the message is an answer: a Requester takes it")
        return Inquiry(
            category="vehicles",
            requesting=query.requesting,
            requested="" if query.requested == ALL_STATES else query.requested,
            request_id=query.request_id,
            search_type="vehicles",
            searches=0 if query.problem else 1,
            message=query,
            data=data,
        )

    def answer(self, inquiry: Inquiry, now: datetime) -> Outcome:
        """See Desk. What was asked and what was supplied goes on record by VIN and licence number."""
        query: VehicleQuery = inquiry.message
        answer = vehicles.answer(query, self.register, state=self._state(query), now=now)
        asked = [f"asked: {key}" for key in (query.vin, query.licence_number) if key]
        found = answer.vehicles if isinstance(answer, VehicleAnswer) else ()
        numbers = [each.vehicle.get("vin") or each.vehicle["licence_number"] for each in found]
        note = answer.reason if isinstance(answer, VehicleFault) else ""
        return Outcome(answer.write(), data_supplied=(*asked, *(f"supplied: {each}" for each in numbers)), note=note)

    def refuse(self, inquiry: Inquiry, refusal: RefusalError, now: datetime) -> bytes:
        """See Desk."""
        query: VehicleQuery = inquiry.message
        created = now.replace(microsecond=0)
        header = {"requesting": query.requesting, "requested": self._state(query), "request_id": query.request_id}
        return VehicleFault(**header, created=created, code="Client", reason=str(refusal)).write()

    def _state(self, query: VehicleQuery) -> str:
        """This state, as the query wrote it: the responder has seen that the query is for it."""
        return self.state if query.requested == ALL_STATES else query.requested
