"""`pcc-match evaluate`: galleries held against the truth; report.html for people, report.json for machines."""

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

from pcc_match.errors import GalleryError, PccError
from pcc_match.gallery.store import kind_of
from pcc_match.progress import Progress


def add_command(commands: Any) -> None:
    """Adds `evaluate` to the subparsers of pcc-match."""
    about = evaluate.__doc__
    parser = commands.add_parser("evaluate", help=about, description=about)
    parser.add_argument("gallery", nargs="+", metavar="GALLERY", help="of prints, of DNA profiles, or one of each")
    parser.add_argument("--out", required=True, metavar="DIR", help="directory for report.html and report.json")
    parser.add_argument(
        "--probes",
        metavar="GALLERY|DIR",
        help="prints to search, a gallery or a folder of templates (default: the gallery)",
    )
    parser.add_argument(
        "--truth", action="append", default=[], metavar="CSV",
        help="prints: columns id and subject, one finger a subject (default: subject and position in the gallery); "
        "DNA: id and person, as `synth dna` writes truth.csv; may be given twice",
    )  # fmt: skip
    parser.add_argument(
        "--treaty", default="eu-2008-616", metavar="NAME|FILE.toml", help="DNA: treaty set (%(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or reference (%(default)s)")
    parser.add_argument("--threads", type=_count, metavar="N", help="CPU threads (all cores)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the bootstrap (%(default)s)")
    parser.add_argument("--replicates", type=_count, default=1000, metavar="N", help="of the bootstrap (%(default)s)")
    parser.add_argument("--against", metavar="JSON", help="report.json of another run to compare with")
    parser.add_argument(
        "--realism", metavar="JSON", help="result of benchmarks/synthetic_against_real.py to show in the report"
    )
    parser.add_argument(
        "--with-images",
        metavar="DIR",
        help="draw the images of this folder, named by the prints' ids, under the mistakes",
    )
    parser.set_defaults(command=evaluate)


def evaluate(options: argparse.Namespace) -> int:
    """Error rates of prints, matches of DNA profiles held against the truth: one report."""
    from pcc_match.evaluation.against import read_report
    from pcc_match.evaluation.report import write_report

    truths = {_truth_kind(path): path for path in options.truth}
    galleries: dict[str, str] = {}
    for place in options.gallery:
        kind = kind_of(Path(place))
        if kind in galleries:
            raise GalleryError(f"{place}: a second gallery of the kind {kind!r}: evaluate one at a time")
        if kind not in _SECTIONS:
            raise GalleryError(f"{place}: holds records of kind {kind!r}, which this version does not know")
        galleries[kind] = place
    if options.against:
        read_report(options.against)  # refused before the work, not after it
    sections = {kind: _SECTIONS[kind](place, truths.get(kind), options) for kind, place in galleries.items()}
    devices = [section["speed"]["device"] for section in sections.values()]
    if options.realism:
        sections["synthetic_against_real"] = json.loads(Path(options.realism).read_text(encoding="utf-8"))
    facts = write_report(
        options.out, sections, device="; ".join(dict.fromkeys(devices)), command=_command(options),
        against=options.against,
    )  # fmt: skip
    print(f"{Path(options.out) / 'report.html'}: {summary(facts)}", file=sys.stderr)
    return 0


def summary(facts: dict[str, Any]) -> str:
    """The main rates in one line."""
    words = []
    for rate in facts.get("finger", {}).get("rates", []):
        name = "EER" if rate["key"] == "eer" else f"FNMR at FMR {100 * rate['fmr']:g} %"
        words.append(f"{name} {100 * rate['value']:.2f} %")
    for rate in facts.get("dna", {}).get("rates", []):
        words.append(f"pairs of one person missed {100 * rate['value']:.2f} %")
    return ", ".join(words)


def _fingers(place: str, truth: str | None, options: argparse.Namespace) -> dict[str, Any]:
    from pcc_match.evaluation.finger import evaluate_fingers

    with Progress("compare", None, "comparisons") as progress:
        return evaluate_fingers(
            place, options.probes, truth, device=options.device, threads=options.threads, seed=options.seed,
            replicates=options.replicates, images=options.with_images, progress=progress,
        )  # fmt: skip


def _dna(place: str, truth: str | None, options: argparse.Namespace) -> dict[str, Any]:
    import pcc_match as pm
    from pcc_match import datasets
    from pcc_match.evaluation.dna import Truth, measure_dna
    from pcc_match.evaluation.report import peak_memory_mib, source

    if truth is None:
        raise PccError(f"{place}: profiles need --truth, a CSV file with the columns id and person")
    gallery = pm.DnaGallery.open(place)
    known = Truth(gallery, truth)
    with (
        pm.Matcher(gallery, treaty=options.treaty, device=options.device, threads=options.threads) as matcher,
        Progress("rematch", 100, "percent") as progress,
    ):
        begun = time.perf_counter()
        result = pm.rematch(matcher, progress=lambda share: progress(round(100 * share)))
        seconds = time.perf_counter() - begun
        facts = measure_dna(
            gallery, result, known, matcher.treaty.dna, states=datasets.default_states(), seed=options.seed,
            replicates=options.replicates,
        )  # fmt: skip
    return facts | {
        "treaty": matcher.treaty.name,
        "speed": {
            "comparisons": facts["pairs"],
            "seconds": seconds,
            "comparisons_per_second": facts["pairs"] / seconds,
            "device": matcher.device,
            "peak_memory_mib": peak_memory_mib(),
        },
        "sources": {
            "gallery": source(place, f"{len(gallery):,} profiles"),
            "truth": source(truth, "the person of each profile"),
        },
    }


_SECTIONS = {"finger": _fingers, "dna": _dna}


def _truth_kind(path: str) -> str:
    """Which kind of records a truth file speaks of, by its columns."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file), [])
    if "id" not in names or not {"subject", "person"} & {*names}:
        raise GalleryError(f"{path}: needs the columns id and subject (prints), or id and person (DNA)")
    return "dna" if "person" in names else "finger"


def _command(options: argparse.Namespace) -> list[str]:
    """The words that repeat the run, every choice spelt out."""
    words = ["pcc-match", "evaluate", *options.gallery, "--out", options.out]
    for name in ("probes", "treaty", "device", "threads", "seed", "replicates", "against", "realism", "with_images"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for path in options.truth:
        words += ["--truth", path]
    return words


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
