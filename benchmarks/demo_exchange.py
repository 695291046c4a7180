"""`make demo`, second half: a dialogue of two states by files, and the account that each keeps of it.

    python benchmarks/demo_exchange.py [--count 100000]

AT asks HU under PCC SEE: its stains by Article 3 (in the individual case) and Article 4 (all at once), the prints of a
suspect and a latent by CPS, PMS, MPS and MMS, and a licence number. HU answers; an expert of AT decides on each match,
of DNA by the partner's values; core personal data follow a confirmed hit. Both ledgers are verified. All data are
synthetic.
"""

import argparse
import tempfile
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import demo_prints
from demo import part

import pcc_match as pm
from pcc_match import datasets

SEED = 2018
TREATY = "pcc-see"
GROUNDS = {
    "reason": "burglary",
    "case_reference": "AT-2026-117",
    "officer_searching": "AT/0815",
    "officer_ordering": "AT/4711",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="profiles of all five states")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.count, Path(folder))


def run(count: int, folder: Path) -> None:
    with part("AT's stains, HU's gallery and register"):
        stains = fill(count, folder)
        register = register_of(folder)
        print(f"   {len(stains):,} stains of AT; {len(pm.DnaGallery.open(folder / 'dna')):,} profiles of HU")
    with ExitStack() as stack:
        with part(f"HU's prints: {demo_prints.PERSONS} persons and as many latents, drawn, extracted, enrolled"):
            prints = stack.enter_context(demo_prints.state(folder))
        talk(stains, register, prints, folder)
    register.close()
    with part("both ledgers verified; the statistics of each"):
        for state in ("at", "hu"):
            account(folder / f"{state}.ledger", state.upper())


def talk(
    stains: list[pm.DnaProfile], register: pm.exchange.SqliteRegister, prints: demo_prints.State, folder: Path
) -> None:
    with (
        pm.exchange.Ledger.open(folder / "at.ledger", create=True) as asking,
        pm.exchange.Ledger.open(folder / "hu.ledger", create=True) as answering,
    ):
        requester = pm.exchange.Requester(asking, treaty=TREATY, state="AT", body="AT/BK")
        responder = pm.exchange.Responder(
            pm.DnaGallery.open(folder / "dna"), treaty=TREATY, state="HU", ledger=answering, vehicles=register,
            prints=prints.search, store=prints.store,
        )  # fmt: skip
        print(f"   {responder}")
        with part("DNA, article 3: one stain"):
            dialogue(requester, responder, stains[:1], 3, folder)
        with part(f"DNA, article 4: {len(stains):,} stains, 500 in a message"):
            found = dialogue(requester, responder, stains, 4, folder)
        with part("an expert of AT looks at the matches"):
            decide(requester, found)
        with part("prints: a suspect and a latent against HU's ten-prints and latents"):
            grounds = pm.exchange.Grounds(purpose="investigation", **GROUNDS)
            demo_prints.dialogue(requester, responder, prints.asked, grounds, folder)
        with part("a licence number, as it was a month ago"):
            vehicle(requester, responder)


def fill(count: int, folder: Path) -> list[pm.DnaProfile]:
    """HU's profiles into a gallery; the stains of AT that the treaty lets out."""
    inclusion = pm.treaty(TREATY).inclusion
    stains = []
    with pm.DnaGallery.create(folder / "dna") as gallery:
        for columns, _ in datasets.synthesize(count, SEED):
            ids = list(columns.ids)
            gallery.enrol(columns.take([row for row, id in enumerate(ids) if id.startswith("HU-")]))
            ours = (columns.profile(row) for row, id in enumerate(ids) if id.startswith("AT-"))
            stains += [each for each in ours if each.kind == "stain" and not pm.dna.rule.refusals(each, inclusion)]
    return stains


def dialogue(
    requester: pm.exchange.Requester,
    responder: pm.exchange.Responder,
    stains: list[pm.DnaProfile],
    article: int,
    folder: Path,
) -> list[pm.exchange.HeldMatch]:
    """Requests and answers as files; the matches that AT holds then."""
    grounds = pm.exchange.Grounds(purpose="investigation", **GROUNDS)
    results: Counter[str] = Counter()
    matches = []
    for number, request in enumerate(requester.ask_dna(stains, ["HU"], grounds, article=article)):
        message, answer = (folder / f"{what}-{article}-{number}.xml" for what in ("request", "answer"))
        message.write_bytes(request.data)
        answer.write_bytes(responder.answer(message.read_bytes()))
        assert responder.answer(message.read_bytes()) == answer.read_bytes()  # asked again: the same bytes
        matches += requester.take_dna(answer.read_bytes())
        entries = pm.exchange.read_dna(answer.read_bytes()).results
        results.update(entry.result for entry in entries if entry.quality == 0)
    shown = ", ".join(f"{number:,} {result}" for result, number in sorted(results.items()))
    qualities = Counter(match.record.matches[match.place].quality for match in matches)
    by_quality = ", ".join(f"{number:,} of quality {quality}" for quality, number in sorted(qualities.items()))
    print(f"   answered: {shown}; {len(matches):,} matches: {by_quality or 'none'}")
    return matches


def decide(requester: pm.exchange.Requester, found: list[pm.exchange.HeldMatch]) -> None:
    """Full matches are confirmed, others rejected: what an expert decides on more than this."""
    confirmed = []
    for match in found:
        comparison = requester.compare(match.id)
        if comparison.quality == 1:
            requester.matches.confirm(match.id, officer="AT/0042", reason="all values agree")
            confirmed.append(match)
        else:
            requester.matches.reject(match.id, officer="AT/0042", reason=f"quality {comparison.quality}: retyped")
    print(f"   {len(confirmed):,} confirmed hits, {len(found) - len(confirmed):,} rejected")
    persons = (match for match in confirmed if match.record.matches[match.place].found_is == "person")
    if (hit := next(persons, None)) is not None:
        data = {"family-names": "(made up)", "date-of-birth": "1980-01-01"}
        requester.matches.core_data(hit.id, data, officer="AT/0042", reason="answer of HU's contact point")
        print(
            f"   core personal data of hit {hit.id} received; it is in state {requester.ledger.match(hit.id).state!r}"
        )
        print(f"\n{requester.compare(hit.id).explain()}")


def register_of(folder: Path) -> pm.exchange.SqliteRegister:
    register = pm.exchange.SqliteRegister.create(folder / "vehicles", country="HU")
    register.add(
        {"vin": "TSMLYE21S00123456", "make": "SUZUKI", "commercial_type": "VITARA"},
        registrations=[{"licence_number": "ABC-123", "registration_start": "2020-05-04"}],
        holders=[{"name": "(made up)", "legal_entity": "company"}],
    )
    return register


def vehicle(requester: pm.exchange.Requester, responder: pm.exchange.Responder) -> None:
    now = datetime.now(UTC)
    query = pm.exchange.VehicleQuery(
        requesting="AT", requested="HU", request_id="AT-V-1", created=now, licence_number="ABC 123",
        at=now - timedelta(days=30),
    )  # fmt: skip
    data = query.write()
    grounds = pm.exchange.Grounds(purpose="public-security", **GROUNDS)
    about = {"partner": "HU", "category": "vehicles", "request_id": query.request_id}
    requester.ask(data, grounds, search_type="vehicles", data_supplied=["ABC 123"], **about)
    answer = responder.answer(data)
    read = pm.exchange.read_vehicle(answer)
    numbers = [record.vehicle.get("vin", "") for record in read.vehicles]
    requester.take(answer, reply_id=f"{query.request_id} HU", matches=(), data_supplied=numbers, **about)
    print(f"   answered: {read.result}{', current data' if read.current_data else ''} {', '.join(numbers)}")


def account(path: Path, state: str) -> None:
    problems = pm.exchange.Ledger.verify(path)
    with pm.exchange.Ledger.open(path) as ledger:
        year = pm.exchange.statistics(ledger.entries(), datetime.now(UTC).year)
        print(f"   {state}: {sum(1 for _ in ledger.entries()):,} records, {len(problems)} problems")
    for row in year.rows:
        matches = ", ".join(f"{number:,} {type}" for type, number in row.matches.items() if number)
        print(
            f"      {row.direction} {row.partner} {row.category}: {row.requests:,} requests, "
            f"{row.searches:,} searches, {row.repeated:,} repeated, {row.refused:,} refused; "
            f"matches: {matches or 'none'}; "
            f"{row.confirmed_with_core_data + row.confirmed_without_core_data:,} confirmed, {row.rejected:,} rejected"
        )


if __name__ == "__main__":
    main()
