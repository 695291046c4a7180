"""Measures the exchange: requests about DNA answered from a large gallery, and where the time goes.

    python benchmarks/bench_exchange.py [--count 1000000] [--messages 10] [--singles 200]

Each message asks by Article 4 for 500 stains, each single request by Article 3 for one. The ledger is on the disk of
the temporary folder, each answer durable before it is given. Synthetic profiles from a seed.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

import pcc_match as pm
from pcc_match import datasets
from pcc_match.dna.rule import refusals
from pcc_match.exchange import DnaEntry, DnaRequest, Header, Info, Ledger, Responder

SEED = 2018


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=10)
    parser.add_argument("--singles", type=int, default=200)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        run(options, Path(folder))


def run(options: argparse.Namespace, folder: Path) -> None:
    with pm.DnaGallery.create(folder / "dna") as gallery:
        for columns, _ in datasets.synthesize(options.count, SEED, batch=1 << 17):
            gallery.enrol(columns)
    asked = stains()
    with Ledger.open(folder / "ledger", create=True) as ledger:
        responder = Responder(gallery, treaty="pcc-see", state="HU", ledger=ledger)
        print(f"{responder.desks['dna'].matcher}")
        spent = timed(responder, ledger)
        messages = [message(list(islice(asked, 500)), 4, f"B-{k}") for k in range(options.messages)]
        responder.answer(messages.pop())  # the first one warms up
        spent.clear()
        start = time.perf_counter()
        size = sum(len(responder.answer(each)) for each in messages)
        seconds = time.perf_counter() - start
        profiles = 500 * len(messages)
        print(f"Article 4, 500 profiles a message: {profiles / seconds:,.0f} profiles answered a second")
        shares = ", ".join(f"{what} {share / seconds:.0%}" for what, share in spent.items())
        print(f"   {shares}, the rest building answers ({size / len(messages) / 1e6:.1f} MB each)")
        took = []
        for number in range(options.singles):
            single = message([next(asked)], 3, f"S-{number}")
            start = time.perf_counter()
            responder.answer(single)
            took.append(1000 * (time.perf_counter() - start))
        p50, p99 = np.percentile(took, [50, 99])
        print(f"Article 3, one profile: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def stains() -> Iterator[pm.DnaProfile]:
    """Stains of another seed that the treaty lets out; none of them is in the gallery."""
    inclusion = pm.treaty("pcc-see").inclusion
    for columns, _ in datasets.synthesize(1 << 30, SEED + 1):
        for row in np.flatnonzero(columns.kind == 1).tolist():
            profile = columns.profile(row)
            if not refusals(profile, inclusion):
                yield profile


def message(profiles: list[pm.DnaProfile], article: int, id: str) -> bytes:
    now = datetime.now(UTC)
    header = Header(Info("AT", "HU", id, now.date(), now.time().replace(microsecond=0)))
    return DnaRequest(header, tuple(DnaEntry.of(each, article) for each in profiles)).write()


def timed(responder: Responder, ledger: Ledger) -> dict[str, float]:
    """Seconds spent in reading and checking, in matching, and in the ledger; filled as answers are made."""
    spent: dict[str, float] = defaultdict(float)

    def measure(owner: Any, name: str, what: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def measured(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent[what] += time.perf_counter() - start

        setattr(owner, name, measured)

    measure(responder, "read", "parsing and checking")
    measure(responder.desks["dna"].matcher, "search", "matching")
    measure(ledger, "repeat", "auditing")
    measure(ledger, "answer", "auditing")
    return spent


if __name__ == "__main__":
    main()
