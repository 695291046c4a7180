"""Writes a report: report.json for machines, and report.html, one page that needs nothing else."""

import hashlib
import json
import os
import platform
import resource
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pcc_match.evaluation.against import FORMAT, compare_runs, read_report
from pcc_match.evaluation.page import render
from pcc_match.output import complete_file


def write_report(
    out: str | Path,
    sections: Mapping[str, Any],
    *,
    device: str,
    command: Sequence[str],
    against: str | Path | None = None,
) -> dict[str, Any]:
    """Writes report.json and report.html into the directory `out`; returns what report.json holds.

    sections: "finger" (measures.measure and more), "dna", "synthetic_against_real", as page.py reads them. device:
    where the comparisons ran. command: the words of the command line that repeats the run. against: the report.json
    of another run to compare with.
    """
    facts = {"pcc_match": "evaluation", "format": FORMAT, "run": circumstances(device, command), **sections}
    other = None
    if against is not None:
        other = read_report(against)
        facts["against"] = compare_runs(facts, against)
    page = render(facts, other)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with complete_file(folder / "report.json") as file:
        json.dump(_plain(facts), file, indent=1, allow_nan=False)
        file.write("\n")
    with complete_file(folder / "report.html") as file:
        file.write(page)
    return facts


def circumstances(device: str, command: Sequence[str]) -> dict[str, Any]:
    """What is needed to repeat a run beside its data."""
    import matplotlib

    from pcc_match import __version__, _cpu

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "machine": f"{_processor()}, {os.cpu_count()} threads",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "device": device,
        "instruction_set": _cpu.isa(),
        "versions": {
            "pcc_match": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "matplotlib": matplotlib.__version__,
        },
    }


def source(path: str | Path, what: str) -> dict[str, str]:
    """A gallery (by its manifest, which holds the digests of all its files), a file, or a folder of files, with the
    SHA-256 that tells whether another run reads the same. `what`: in words, what it holds."""
    place = Path(path)
    digest = hashlib.sha256()
    if (place / "manifest.json").is_file():
        digest.update((place / "manifest.json").read_bytes())
    elif place.is_dir():
        for file in sorted(each for each in place.rglob("*") if each.is_file()):
            digest.update(f"{file.relative_to(place)}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    else:
        digest.update(place.read_bytes())
    return {"path": str(path), "what": what, "sha256": digest.hexdigest()}


def peak_memory_mib() -> int:
    """Most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit >> 20


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _plain(value: Any) -> Any:
    """Values as JSON has them: no drawings, and null where a number is not known."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if key != "svg"}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and value != value else value
