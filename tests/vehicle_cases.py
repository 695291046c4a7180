"""A register of vehicles with history, and a query."""

from datetime import UTC, date, datetime

from pcc_match.exchange import vehicles
from pcc_match.exchange.vehicle_register import SqliteRegister

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
VIN = "WVWZZZ1JZXW000001"


def person(name, **more):
    fields = {"name": name, "first_names": "Test", "street": "Street", "house_number": "1", "postcode": "1000"}
    return fields | {"place": "Town", "country": "HU", "legal_entity": "individual"} | more


def register(folder):
    """ABC 123: holder and owner Old until the end of 2019, then two holders; AB C123: another vehicle, same letters."""
    made = SqliteRegister.create(
        folder / "vehicles.db", country="HU", zone="Europe/Budapest", history_since=date(2000, 1, 1)
    )
    made.add(
        {"vin": VIN, "make": "VOLKSWAGEN", "commercial_type": "GOLF", "eu_category": "M1", "power_kw": "55"}
        | {"first_registration": "1999-06"},
        registrations=[
            {"licence_number": "OLD-001", "registration_start": "1999-06-01", "registration_end": "2009-12-31"},
            {"licence_number": "ABC 123", "registration_start": "2010-01-01", "licence_number_type": "regular"},
        ],
        statuses=[
            {"status": "registered", "status_start": "1999-06-01", "status_end": "2025-02-28"},
            {"status": "stolen", "status_start": "2025-03-01"},
        ],
        holders=[
            person("Old", gender="male", birth_date="1950", start="1999-06-01", end="2019-12-31", holder_type="owner"),
            person("Új Kft", start="2020-01-01", id_number="77", id_type="tax"),
            person("Társ", gender="female", birth_date="1980-02-29", start="2020-01-01"),
        ],
        owners=[person("Old", start="1999-06-01", end="2019-12-31"), person("Bank", start="2020-01-01")],
        insurances=[{"company": "Insurer", "start": "2020-01-01", "insurer_id": "9"}],
    )  # fmt: skip
    made.add(
        {"vin": "TMBZZZ1JZXW000002", "make": "SKODA"},
        registrations=[{"licence_number": "AB C123", "registration_start": "2022-01-01"}],
        holders=[person("Other", start="2022-01-01")],
    )
    return made


def query(**changes):
    fields = {"requesting": "AT", "requested": "HU", "request_id": "AT-2026-1", "created": NOW}
    keys = {} if changes.keys() & {"vin", "licence_number"} else {"vin": VIN}
    return vehicles.VehicleQuery(**(fields | keys | changes))
