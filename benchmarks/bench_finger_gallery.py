"""A gallery of synthetic prints: enrolment, opening, searching, and the memory that a search takes.

    python benchmarks/bench_finger_gallery.py [--count 1000000] [--directory DIR] [--json FILE]

Prints of datasets.minutiae, ten fingers a subject. Opening and searching run in a process of their own, so that its
memory is theirs: what it allocates, and what is resident of the files that are mapped, which the system may drop at any
time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from machine import machine

from pcc_match.datasets import minutiae
from pcc_match.finger import FingerColumns, FingerGallery, FingerMatcher, FingerRecord

BATCH = 10_000  # prints enrolled in one durable step
SEED = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="prints (%(default)s)")
    parser.add_argument("--directory", help="where the gallery is made, and kept; without it, in a temporary one")
    parser.add_argument("--json", help="write the figures to this file, too")
    parser.add_argument("--search", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        print(json.dumps(searched(options.search)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        path = options.directory or f"{temporary}/gallery"
        facts = {
            "machine": machine(),
            "command": " ".join(["python", *sys.argv]),
            **enrolled(path, options.count),
        }
        command = [sys.executable, __file__, "--search", path]
        facts |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for name, value in facts.items():
        print(f"{name:32} {value:,}" if isinstance(value, int | float) else f"{name:32} {value}")
    if options.json:
        Path(options.json).write_text(json.dumps(facts, indent=1) + "\n")


def enrolled(path: str, count: int) -> dict[str, Any]:
    if Path(path).exists():
        return {}
    start = time.perf_counter()
    generated = 0.0
    with FingerGallery.create(path) as gallery:
        batches = minutiae.impressions(count, SEED, batch=BATCH)
        for first in range(0, count, BATCH):
            before = time.perf_counter()
            made = next(batches)
            records = [
                FingerRecord(f"P{number:09}", made.template(row), f"S{number // 10:08}")
                for row, number in enumerate(range(first, first + len(made)))
            ]
            generated += time.perf_counter() - before
            gallery.enrol(records)
        seconds = time.perf_counter() - start - generated
        return {
            "prints": len(gallery),
            "seconds to make them": round(generated, 1),
            "seconds to enrol": round(seconds, 1),
            "prints enrolled a second": round(count / seconds),
            "bytes on disk": gallery.info().bytes,
        }


def searched(path: str) -> dict[str, Any]:
    """In a process of its own: figures of opening and searching."""
    at_rest, allocated = memory("VmHWM"), memory("RssAnon")
    opening = time.perf_counter()
    gallery = FingerGallery.open(path)
    opened = time.perf_counter()
    with FingerMatcher(gallery, device="cpu") as matcher:
        ready = time.perf_counter()
        packed = sum(
            getattr(part.packed, field.name).nbytes
            for part in gallery.parts()
            for field in fields(FingerColumns)
            if field.name != "sources"
        )
        subject = len(gallery) // 20  # in the middle
        probe = list(minutiae.templates(10, SEED, first=10 * subject, first_impression=1))
        begin = time.perf_counter()
        (ten,) = matcher.search(probe)
        tenprint = time.perf_counter()
        latent = matcher.search(replace(probe[1], position=0), "LT/TP")
        end = time.perf_counter()
    return {
        "seconds to open": round(opened - opening, 4),
        "seconds to check all bytes": round(ready - opened, 2),
        "packed bytes": packed,
        "seconds of a ten-print search": round(tenprint - begin, 2),
        "seconds of a search by one print": round(end - tenprint, 2),
        "comparisons a second": round(len(gallery) / (end - tenprint)),
        "threads": matcher.threads,
        "subject found by ten prints": ten.subject == f"S{subject:08}",
        "subject found by one, rank": next((m.rank for m in latent if m.subject == f"S{subject:08}"), None),
        "bytes allocated": memory("RssAnon") - allocated,
        "peak resident bytes": memory("VmHWM") - at_rest,
        "of bytes on disk": round((memory("VmHWM") - at_rest) / gallery.info().bytes, 3),
    }


def memory(kind: str) -> int:
    """Bytes of this process as Linux counts them: VmHWM peak resident, RssAnon resident and not of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


if __name__ == "__main__":
    main()
