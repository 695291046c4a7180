"""Where vehicle registration data come from: the interface to a national register, and one on SQLite with history."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol, Self
from zoneinfo import ZoneInfo

from pcc_match.errors import ExchangeError
from pcc_match.exchange.vehicles import Values, VehicleRecord, check_values, plate_key, vin_key


@dataclass(frozen=True)
class Found:
    """What a register found. `current_data`: it has no history for the reference time, these are the data of today."""

    records: tuple[VehicleRecord, ...] = ()
    current_data: bool = False


class VehicleRegister(Protocol):
    """A national register. What it raises besides ExchangeError is the node's affair, not the requesting state's."""

    def find(self, *, vin: str | None, licence_number: str | None, at: datetime) -> Found:
        """The vehicles that bore these complete numbers (both, where both are given) at a time, as they were then."""
        ...


_FORMAT = "pcc_match vehicles 1"
_SCHEMA = """
CREATE TABLE about (format TEXT NOT NULL, country TEXT NOT NULL, zone TEXT NOT NULL, history_since TEXT);
CREATE TABLE vehicle (id INTEGER PRIMARY KEY, vin TEXT, elements TEXT NOT NULL);
CREATE INDEX vehicle_vin ON vehicle (vin);
CREATE TABLE period (
    vehicle INTEGER NOT NULL REFERENCES vehicle (id),
    kind TEXT NOT NULL CHECK (kind IN ('registration', 'status', 'holder', 'owner', 'insurance')),
    start TEXT NOT NULL,
    end TEXT NOT NULL,
    plate TEXT,
    elements TEXT NOT NULL
);
CREATE INDEX period_vehicle ON period (vehicle);
CREATE INDEX period_plate ON period (plate) WHERE plate IS NOT NULL;
"""
# The group of vehicles.toml that a period's elements are of, and those of them that say its first and last day.
_PERIODS = {
    "registration": ("vehicle", "registration_start", "registration_end"),
    "status": ("vehicle", "status_start", "status_end"),
    "holder": ("holder", "start", "end"),
    "owner": ("owner", "start", "end"),
    "insurance": ("insurance", "start", "end"),
}
_EVER, _OPEN = "0000-00-00", "9999-99-99"


class SqliteRegister:
    """Vehicles with the history of their plates, states, holders, owners and insurances in one SQLite file.

    A period holds from its first to its last day, both included, in the register's own time zone: on a day of change
    both holders are named. A vehicle asked for by VIN when it is no longer registered is answered with its last
    registration. Before `history_since` the register knows no history and answers with the data of today.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens a register that create() made; ExchangeError names the file."""
        self.path = Path(path)
        if not self.path.is_file():
            raise ExchangeError(f"{self.path}: there is no such register of vehicles")
        try:
            self._db = sqlite3.connect(self.path, check_same_thread=False)
            about = self._db.execute("SELECT format, country, zone, history_since FROM about").fetchone()
        except sqlite3.Error as error:
            self._db.close()
            raise ExchangeError(f"{self.path}: not a register of vehicles: {error}") from None
        if about is None or about[0] != _FORMAT:
            self._db.close()
            raise ExchangeError(f"{self.path}: not a register of vehicles of this version ({_FORMAT})")
        self.country: str = about[1]
        self.zone = ZoneInfo(about[2])
        self.history_since: str | None = about[3]

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], *, country: str, zone: str = "UTC", history_since: date | None = None
    ) -> Self:
        """An empty register of a country.

        zone            of the register's dates, as "Europe/Vienna"
        history_since   first day of which everything is known; None: there is no earlier day to ask for
        """
        if Path(path).exists():
            raise ExchangeError(f"{path}: the file exists already")
        check_values("vehicle", {"country_of_registration": country})
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError):
            raise ExchangeError(f"{zone!r} is not a time zone") from None
        try:
            with closing(sqlite3.connect(path)) as db, db:
                db.executescript(_SCHEMA)
                since = None if history_since is None else history_since.isoformat()
                db.execute("INSERT INTO about VALUES (?, ?, ?, ?)", (_FORMAT, country, zone, since))
        except sqlite3.Error as error:
            raise ExchangeError(f"{path}: cannot be written: {error}") from None
        return cls(path)

    def add(
        self,
        vehicle: Values,
        *,
        registrations: Sequence[Values],
        statuses: Sequence[Values] = (),
        holders: Sequence[Values] = (),
        owners: Sequence[Values] = (),
        insurances: Sequence[Values] = (),
    ) -> None:
        """One vehicle with its history: elements of vehicles.toml, each period with its own first and last day.

        vehicle         what does not change: VIN, make, ...
        registrations   licence number with registration_start, registration_end and what belongs to them
        statuses        status with status_start, status_end

        A period without a first day has held always, one without a last day holds on.
        """
        fixed = check_values("vehicle", vehicle)
        rows = []
        periods: Mapping[str, Sequence[Values]] = {
            "registration": registrations,
            "status": statuses,
            "holder": holders,
            "owner": owners,
            "insurance": insurances,
        }
        for kind, all in periods.items():
            group, first, last = _PERIODS[kind]
            for given in all:
                values = check_values(group, given)
                start, end = values.get(first, _EVER), values.get(last, _OPEN)
                if start > end:
                    raise ExchangeError(f"<{group}> <{last}>: the {kind} ends before it begins")
                plate = plate_key(values["licence_number"]) if "licence_number" in values else None
                rows.append((kind, start, end, plate, _json(values)))
        vin = vin_key(fixed["vin"]) if "vin" in fixed else None
        if vin is None and not any("licence_number" in values for values in registrations):
            raise ExchangeError("<vehicle>: neither <vin> nor any <licence_number>: nobody could ask for it")
        try:
            with self._db as db:
                cursor = db.execute("INSERT INTO vehicle (vin, elements) VALUES (?, ?)", (vin, _json(fixed)))
                periods_of_it = [(cursor.lastrowid, *row) for row in rows]
                db.executemany("INSERT INTO period VALUES (?, ?, ?, ?, ?, ?)", periods_of_it)
        except sqlite3.Error as error:
            raise self._error(error) from None

    def find(self, *, vin: str | None, licence_number: str | None, at: datetime) -> Found:
        """See VehicleRegister.find."""
        day = at.astimezone(self.zone).date().isoformat()
        current = self.history_since is not None and day < self.history_since
        if current:
            day = datetime.now(self.zone).date().isoformat()
        plate = None if licence_number is None else plate_key(licence_number)
        try:
            records = [self._record(id, plate, day) for id in self._ids(vin, plate, day)]
        except (sqlite3.Error, ValueError) as error:
            raise self._error(error) from None
        found = tuple(record for record in records if record is not None)
        return Found(found, current and bool(found))

    def _ids(self, vin: str | None, plate: str | None, day: str) -> list[int]:
        """Rows of the vehicles, in the order in which they were added."""
        conditions = []
        if vin is not None:
            conditions.append("vin = :vin")
        if plate is not None:
            conditions.append("id IN (SELECT vehicle FROM period WHERE plate = :plate AND :day BETWEEN start AND end)")
        query = f"SELECT id FROM vehicle WHERE {' AND '.join(conditions)} ORDER BY id"
        return [id for (id,) in self._db.execute(query, {"vin": vin, "plate": plate, "day": day})]

    def _record(self, id: int, plate: str | None, day: str) -> VehicleRecord | None:
        """A vehicle as it was on a day, None where it was not registered yet."""
        (elements,) = self._db.execute("SELECT elements FROM vehicle WHERE id = ?", (id,)).fetchone()
        valid: dict[str, list[Values]] = {kind: [] for kind in _PERIODS}
        past: list[Values] = []
        registered = False
        # The licence number that was asked for comes last, and so counts on a day of change; else the latest.
        query = "SELECT kind, start, end, elements FROM period WHERE vehicle = ? ORDER BY plate IS ?, start, rowid"
        for kind, start, end, text in self._db.execute(query, (id, plate)):
            registered |= kind == "registration"
            if start <= day <= end:
                valid[kind].append(json.loads(text))
            elif end < day and kind == "registration":
                past = [json.loads(text)]
        registrations = valid["registration"] or past
        if registered and not registrations:
            return None
        vehicle = {"country_of_registration": self.country} | json.loads(elements)
        for period in registrations + valid["status"]:
            vehicle |= period
        return VehicleRecord(vehicle, tuple(valid["holder"]), tuple(valid["owner"]), tuple(valid["insurance"]))

    def _error(self, error: Exception) -> ExchangeError:
        return ExchangeError(f"{self.path}: the register of vehicles fails: {error}")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SqliteRegister({str(self.path)!r}, {self.country})"


def _json(values: Values) -> str:
    return json.dumps(dict(values), ensure_ascii=False)
