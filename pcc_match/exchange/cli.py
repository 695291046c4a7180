"""`pcc-match exchange answer | read | check | ledger ...`: messages between states from files.

Exit codes: 0 done (answer: an answer was written, whatever it says), 1 refused: nothing was written, the ledger says
why; 2 usage, 3 no such device. Messages are personal data: `read` shows counts, and values with --values alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.rule import refusals
from pcc_match.exchange import ledger_cli
from pcc_match.exchange.dna import DnaAnswer, DnaEntry, DnaRequest, read_dna
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.partners import Partners
from pcc_match.exchange.print_desk import PrintSearch
from pcc_match.exchange.print_records import FolderStore
from pcc_match.exchange.prints import read_prints
from pcc_match.exchange.responder import Responder, category_of
from pcc_match.exchange.vehicle_register import SqliteRegister
from pcc_match.exchange.vehicles import VehicleAnswer, read_vehicle
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.search import FingerMatcher
from pcc_match.output import complete_file, write_complete
from pcc_match.treaties import Treaty
from pcc_match.treaties import treaty as treaty_set
from pcc_match.treaties.search_types import SEARCH_TYPES

_KINDS = {kind.references for kind in SEARCH_TYPES.values()}


def add_commands(exchange: argparse.ArgumentParser) -> None:
    """Adds the actions to the parser of `pcc-match exchange`; each sets `command`, which gives the exit code."""
    commands = exchange.add_subparsers(required=True, metavar="ACTION")
    treaty_option = argparse.ArgumentParser(add_help=False)
    treaty_option.add_argument("--treaty", metavar="NAME|FILE.toml", default="eu-2008-616", help="(%(default)s)")
    json_option = argparse.ArgumentParser(add_help=False)
    json_option.add_argument("--json", metavar="PATH", help="write the result as JSON ('-': standard output)")

    def command(name: str, run: Callable[[argparse.Namespace], int], *parents: argparse.ArgumentParser) -> Any:
        added = commands.add_parser(name, parents=parents, help=run.__doc__, description=run.__doc__)
        added.add_argument("file", metavar="FILE", help="message")
        added.set_defaults(command=run)
        return added

    answering = command("answer", answer)
    answering.add_argument(
        "--dna", metavar="GALLERY", action="append", default=[], help="DNA gallery; more than once: searched as one"
    )
    answering.add_argument(
        "--prints",
        metavar="[KIND=]GALLERY",
        action="append",
        default=[],
        help="finger gallery; KIND: TP ten-prints (if none is said), PP palms, UL and ULP unsolved latents of both",
    )
    answering.add_argument("--records", metavar="FOLDER", help="transactions that the prints were made from")
    answering.add_argument("--vehicles", metavar="DB", help="vehicle register")
    answering.add_argument("--treaty", metavar="NAME|FILE.toml", required=True, help="treaty set")
    answering.add_argument("--state", metavar="CC", required=True, help="this state")
    answering.add_argument("--partners", metavar="FILE.toml", help="who may ask what (without: all states everything)")
    answering.add_argument("--ledger", metavar="FILE", required=True, help="ledger; made if there is none")
    answering.add_argument("--key", metavar="KEY.pem", help="Ed25519 private key that signs the ledger's heads")
    answering.add_argument("--out", metavar="ANSWER", type=Path, required=True, help="file to write")
    answering.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or reference (%(default)s)")

    command("read", read, treaty_option, json_option).add_argument(
        "--values", action="store_true", help="show reference numbers and alleles, which are personal data"
    )
    command("check", check, treaty_option)
    ledger_cli.add_commands(commands)


def answer(options: argparse.Namespace) -> int:
    """Answers a request from another state."""
    treaty = treaty_set(options.treaty)
    if options.partners:
        partners = Partners.read(options.partners, treaty)
    else:
        partners = Partners.everyone(treaty)
        print(
            f"pcc-match: no --partners: every state of {treaty.name} may ask everything, without quotas",
            file=sys.stderr,
        )
    galleries = [DnaGallery.open(path) for path in options.dna]
    register = SqliteRegister(options.vehicles) if options.vehicles else None
    message = Path(options.file).read_bytes()
    with Ledger.open(options.ledger, key=options.key, create=True) as ledger:
        responder = Responder(
            galleries,
            treaty=treaty,
            state=options.state,
            partners=partners,
            ledger=ledger,
            prints=_prints(options, treaty),
            store=FolderStore(options.records) if options.records else None,
            vehicles=register,
            device=options.device,
        )
        print(responder, file=sys.stderr)
        write_complete(options.out, responder.answer(message))
    return 0


def _prints(options: argparse.Namespace, treaty: Treaty) -> PrintSearch | None:
    galleries: dict[str, list[FingerGallery]] = {}
    for given in options.prints:
        kind, said, path = given.partition("=")
        kind, path = (kind, path) if said and kind in _KINDS else ("TP", given)
        galleries.setdefault(kind, []).append(FingerGallery.open(path))
    matchers = {
        kind: FingerMatcher(*opened, treaty=treaty, device=options.device) for kind, opened in galleries.items()
    }
    return PrintSearch(matchers) if matchers else None


def read(options: argparse.Namespace) -> int:
    """Shows what a message says."""
    facts = _facts(Path(options.file).read_bytes(), options)
    if options.json:
        with complete_file(options.json) as file:
            file.write(json.dumps(facts, indent=1) + "\n")
        return 0
    for name, value in facts.items():
        if isinstance(value, list):
            print(*(json.dumps(each, ensure_ascii=False) for each in value), sep="\n")
        else:
            print(f"{name:12}  {value}")
    return 0


def _facts(data: bytes, options: argparse.Namespace) -> dict[str, Any]:
    category = category_of(data)
    if category == "dna":
        return _dna_facts(read_dna(data, treaty=options.treaty), options.values)
    if category == "vehicles":
        message = read_vehicle(data)
        facts = {
            "message": type(message).__name__,
            "from": message.requesting,
            "to": message.requested,
            "request_id": message.request_id,
            "at": message.created.isoformat(),
        }
        if isinstance(message, VehicleAnswer):
            facts["result"] = f"{message.result}, vehicles {len(message.vehicles)}"
        return facts
    return {"message": repr(read_prints(data))}


def _dna_facts(message: DnaRequest | DnaAnswer, values: bool) -> dict[str, Any]:
    about = message.header.requesting
    answered = isinstance(message, DnaAnswer)
    facts: dict[str, Any] = {
        "message": "DNA answer" if answered else "DNA request",
        "from": about.source,
        "to": about.destination,
        "request_id": about.request_id,
        "at": f"{about.date} {about.time}",
    }
    asked = [entry for entry in message.entries if not entry.quality]
    facts["profiles"] = len(asked)
    if answered:
        counts = Counter(entry.result for entry in asked)
        facts["results"] = ", ".join(f"{number} {result}" for result, number in sorted(counts.items()))
        facts["matches"] = len(message.entries) - len(asked)
    else:
        facts["unreadable"] = sum(bool(entry.error) for entry in asked)
    if values:
        facts["entries"] = [_entry_facts(entry) for entry in message.entries]
    return facts


def _entry_facts(entry: DnaEntry) -> dict[str, Any]:
    names = (
        "reqtype",
        "type",
        "result",
        "quality",
        "profile_id",
        "match_id",
        "hitcount",
        "rescount",
        "message",
        "error",
    )
    facts = {name: getattr(entry, name) for name in names}
    if entry.profile is not None:
        facts["alleles"] = {name: list(texts) for name, texts in entry.profile.alleles.items()}
    return {name: value for name, value in facts.items() if value not in (None, "")}


def check(options: argparse.Namespace) -> int:
    """Says what is wrong with a message before it is sent: form, and of each profile what the treaty asks."""
    data = Path(options.file).read_bytes()
    findings = []
    if category_of(data) == "dna":
        message = read_dna(data, treaty=options.treaty)
        inclusion = treaty_set(options.treaty).inclusion
        for number, entry in enumerate(message.entries, 1):
            reasons = [entry.error] if entry.error else []
            if isinstance(message, DnaRequest) and entry.profile is not None:
                reasons += [refusal.sentence for refusal in refusals(entry.profile, inclusion)]
                if entry.reqtype == 4 and entry.type == "P":
                    reasons.append("article 4 of Decision 2008/615/JHA compares open traces: type P is a person")
            findings += [f"profile {number}: {reason}" for reason in reasons]
    elif category_of(data) == "vehicles":
        query = read_vehicle(data)
        findings += [problem] if (problem := getattr(query, "problem", None)) else []
    else:
        findings += [str(problem) for problem in getattr(read_prints(data), "problems", ())]
    print("\n".join(findings) or "nothing found")
    return 1 if findings else 0
