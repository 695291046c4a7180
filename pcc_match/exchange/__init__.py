"""Messages between states, answers, and the account of both.

Loaded at its first use as `pm.exchange`; needs `pip install 'pcc_match[exchange]'`.
"""

try:
    import cryptography  # noqa: F401
    import lxml  # noqa: F401
except ImportError as error:
    raise ImportError(f"{error.name} is missing: pip install 'pcc_match[exchange]'") from None

from pcc_match.exchange.audit import AuditMatch, AuditRecord
from pcc_match.exchange.confirmations import Confirmations
from pcc_match.exchange.dna import DnaAnswer, DnaEntry, DnaRequest, Header, Info, read_dna
from pcc_match.exchange.ledger import HeldMatch, Ledger
from pcc_match.exchange.partners import Partner, Partners
from pcc_match.exchange.requester import Grounds, Requester
from pcc_match.exchange.responder import Desk, Inquiry, Outcome, Responder, queue_order
from pcc_match.exchange.statistics import statistics
from pcc_match.exchange.vehicle_register import SqliteRegister, VehicleRegister
from pcc_match.exchange.vehicles import VehicleAnswer, VehicleFault, VehicleQuery, VehicleRecord, read_vehicle

__all__ = [
    "AuditMatch",
    "AuditRecord",
    "Confirmations",
    "Desk",
    "DnaAnswer",
    "DnaEntry",
    "DnaRequest",
    "Grounds",
    "Header",
    "HeldMatch",
    "Info",
    "Inquiry",
    "Ledger",
    "Outcome",
    "Partner",
    "Partners",
    "Requester",
    "Responder",
    "SqliteRegister",
    "VehicleAnswer",
    "VehicleFault",
    "VehicleQuery",
    "VehicleRecord",
    "VehicleRegister",
    "queue_order",
    "read_dna",
    "read_vehicle",
    "statistics",
]
