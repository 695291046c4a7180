"""The prints of demo_exchange.py: HU's ten-prints and latents, and what AT asks about one suspect and one trace.

AT's suspect is HU's person 0, taken again; AT's latent is of that person's right thumb, and so is HU's latent 0. The
pictures are those of pcc_match.datasets.prints. HU's persons but the first have two fingers: pictures take time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pcc_match as pm
from pcc_match import itl
from pcc_match.datasets.prints import Condition, Print, impression, latent, master
from pcc_match.exchange import prints
from pcc_match.exchange.print_desk import PrintSearch
from pcc_match.exchange.print_records import FolderStore
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.prints import FingerRecord
from pcc_match.finger.search import FingerMatcher

SEED = 2018
PERSONS = 6
ROLLED = Condition(480, 560, contact=(1.1, 1.1))
AGAIN = replace(ROLLED, rotation=8, bend=10, contact=(1.0, 1.0))
LATENT = Condition(512, 512, rotation=25, shift=(10, -20), contact=(0.75, 0.65), bend=10, noise=8)
TRUE = {"HU/CRN-0", "HU/LATENT-0"}  # what a comparison by eye would find to be of AT's suspect


class State(NamedTuple):
    """What HU searches and sends, and what AT has: by message, the transaction to ask with."""

    search: PrintSearch
    store: FolderStore
    asked: dict[str, itl.Transaction]


@contextmanager
def state(folder: Path) -> Iterator[State]:
    """Makes all pictures; galleries and the folder of transactions lie in `folder`."""
    (folder / "records").mkdir()
    store = FolderStore(folder / "records")
    persons, latents = [], []
    for person in range(PERSONS):
        fingers = [master(SEED + person, finger) for finger in range(10 if person == 0 else 2)]
        taken = {finger.position: impression(finger, 0, ROLLED) for finger in fingers}
        store.put(f"CRN-{person}", transaction(14, taken, {10: f"HU/CRN-{person}"}))
        for position, shown in taken.items():
            template = pm.finger.extract(shown.image, position=position)
            persons.append(FingerRecord(f"CRN-{person}/{position}", template, f"CRN-{person}"))
        found = latent(fingers[0], 0, LATENT)
        store.put(f"LATENT-{person}", transaction(13, {0: found}, {7: f"HU/LATENT-{person}"}))
        latents.append(FingerRecord(f"LATENT-{person}", pm.finger.extract(found.image)))
        if person == 0:
            suspect = transaction(14, {each.position: impression(each, 1, AGAIN) for each in fingers}, {})
            trace = transaction(13, {0: latent(fingers[0], 1, replace(LATENT, rotation=-40))}, {})
    with FingerGallery.create(folder / "tp") as tp, FingerGallery.create(folder / "ul") as ul:
        tp.enrol(persons)
        ul.enrol(latents)
        with FingerMatcher(tp) as of_tp, FingerMatcher(ul) as of_ul:
            asked = {"CPS": suspect, "PMS": suspect, "MPS": trace, "MMS": trace}
            yield State(PrintSearch({"TP": of_tp, "UL": of_ul}), store, asked)


def transaction(type: int, taken: dict[int, Print], case: dict[int | str, object]) -> itl.Transaction:
    """Prints by position as a node stores them, WSQ at 15:1."""
    header = {"TOT": "CAR", "DAT": "20260101", "DAI": "HU/A", "ORI": "HU/A", "TCN": "1", "NSR": "19.69", "NTR": "19.69"}
    common = {"IMP": 7 if type == 13 else 1, "SRC": "HU/A", 5: "20260101"}
    records = [
        (type, common | itl.image_fields(type, itl.images.encode_wsq(shown.image), 500) | {13: position})
        for position, shown in taken.items()
    ]
    return itl.Transaction.build(header, [(2, case), *records])


def dialogue(
    requester: pm.exchange.Requester,
    responder: pm.exchange.Responder,
    asked: dict[str, itl.Transaction],
    grounds: pm.exchange.Grounds,
    folder: Path,
) -> None:
    """CPS, PMS, MPS and MMS as files; each match decided by an expert."""
    tcns = prints.TcnClock()
    for tot, source in asked.items():
        made = prints.request(tot, source, sender="AT/BK", to="HU/NAFIS", tcn=tcns(), reference="117")
        request = prints.read_prints(bytes(made))
        assert isinstance(request, prints.PrintRequest)
        message, reply = folder / f"{tot}.an2", folder / f"{tot}-answer.an2"
        message.write_bytes(bytes(made))
        about = {"partner": "HU", "category": "dactyloscopic", "request_id": request.request_id}
        kind = request.search_type
        requester.ask(bytes(made), grounds, search_type=kind.name, data_supplied=[request.reference], **about)
        reply.write_bytes(responder.answer(message.read_bytes()))
        answer = prints.read_prints(reply.read_bytes())
        assert isinstance(answer, prints.PrintAnswer)
        hits = [result for result in answer.results if result.hit]
        asked_is, found_is = ("trace" if latent else "person" for latent in (kind.latent_probe, kind.latent_references))
        matches = [
            pm.exchange.AuditMatch(request.reference, asked_is, hit.reference, found_is, score=hit.score)
            for hit in hits
        ]
        reply_id = " ".join(str(result.transaction.header.text(9)) for result in answer.results)
        names = [hit.reference for hit in hits]
        held = requester.take(reply.read_bytes(), reply_id=reply_id, matches=matches, data_supplied=names, **about)
        confirmed = 0
        for match, hit in zip(held, hits, strict=True):
            same = hit.reference in TRUE
            confirmed += same
            decide = requester.matches.confirm if same else requester.matches.reject
            decide(match.id, officer="AT/0042", reason="the ridges agree" if same else "the ridges differ")
        faults = [str(error.code) for result in answer.results for error in result.errors]
        shown = ", ".join(f"{hit.reference} {hit.score:,}" for hit in hits[:3]) or "no hit"
        print(
            f"   {tot} {kind.name}: {len(message.read_bytes()) >> 10:,} KB, {len(hits)} candidates ({shown}"
            f"{' ...' if len(hits) > 3 else ''}), {confirmed} confirmed, {len(hits) - confirmed} rejected"
            f"{', errors ' + ' '.join(faults) if faults else ''}"
        )
