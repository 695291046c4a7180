"""The command line: `pcc-match doctor | gallery | search | compare | rematch | finger | itl | exchange | synth`.

Results go to standard output or to `--json PATH` ("-" = standard output), progress and messages to standard error.
Exit codes: 0 done; 1 input refused, wholly or in part; 2 wrong usage; 3 no such device.
"""

import argparse
import json
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import pcc_match as pm
from pcc_match import _cpu
from pcc_match.dna import files
from pcc_match.dna.loci import LOCI
from pcc_match.dna.profile import KINDS, SINGLES
from pcc_match.dna.rule import InclusionRule, refusals
from pcc_match.errors import DeviceError, GalleryError, PccError
from pcc_match.evaluation.cli import add_command as add_evaluate_command
from pcc_match.finger import cli as finger_cli
from pcc_match.gallery.store import kind_of
from pcc_match.itl.cli import add_commands as add_itl_commands
from pcc_match.output import complete_file
from pcc_match.progress import Progress
from pcc_match.rematch import match_lines

DONE, REFUSED, NO_DEVICE = 0, 1, 3  # 2, wrong usage, is argparse's

_TABLE_ROWS = 20  # of a table for people; --json has everything
_PROBES = 1 << 12  # searched at a time


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(exchanging=arguments[:1] == ["exchange"]).parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except BrokenPipeError:
        sys.stderr.close()  # the reader of standard output has left; the interpreter would complain once more
        return REFUSED
    except (PccError, OSError) as error:
        print(f"pcc-match: {error}", file=sys.stderr)
        return NO_DEVICE if isinstance(error, DeviceError) else REFUSED
    except KeyboardInterrupt:
        print("pcc-match: interrupted; what was acknowledged is safe", file=sys.stderr)
        return REFUSED


# ---- what is here


def doctor(options: argparse.Namespace) -> int:
    """What this installation runs on, and whether it answers rightly here."""
    from pcc_match.backends.cpu import answers_rightly
    from pcc_match.backends.device import devices

    try:
        gpus = devices()
    except DeviceError as error:
        gpus = [f"none: {error}"]
    level = _cpu.isa()
    answers = {}
    for name in _cpu.available_isas():
        _cpu.set_isa(name)
        answers[name] = "right" if answers_rightly(name) else "WRONG"
    _cpu.set_isa(level)
    _report(
        options,
        {
            "pcc_match": pm.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "system": f"{platform.system()} {platform.machine()}",
            "instruction set": level,
            "known answers": answers,
            "gpu": gpus,
            "treaties": list(pm.treaties()),
            "loci": len(LOCI),
        },
    )
    return DONE if set(answers.values()) == {"right"} else REFUSED


# ---- galleries


_KINDS: dict[str, type[pm.DnaGallery] | type[pm.FingerGallery]] = {"dna": pm.DnaGallery, "finger": pm.FingerGallery}


def _kind(path: str) -> type[pm.DnaGallery] | type[pm.FingerGallery]:
    """The class of a gallery on disk."""
    kind = kind_of(Path(path))
    if kind not in _KINDS:
        raise GalleryError(f"{path}: holds records of kind {kind!r}, which this version does not know")
    return _KINDS[kind]


def gallery_create(options: argparse.Namespace) -> int:
    """A new, empty gallery."""
    _KINDS[options.kind].create(options.gallery).close()
    return DONE


def gallery_import(options: argparse.Namespace) -> int:
    """Enrols the profiles of a CSV or JSON file, or the templates (ISO/IEC 19794-2, INCITS 378) of files and folders.

    What cannot go in is written to FILE.rejects.csv, or named, if a template; everything else goes in.
    """
    if _kind(options.gallery) is pm.FingerGallery:
        counts = finger_cli.enrol(options)
        _report(options, dict(counts))
        return REFUSED if counts["rejected"] else DONE
    if len(options.file) > 1:
        raise GalleryError(f"{options.gallery}: holds DNA profiles: import one file at a time")
    return _import_profiles(options, options.file[0])


def _import_profiles(options: argparse.Namespace, file: str) -> int:
    counts = Counter(added=0, unchanged=0, replaced=0, rejected=0)
    with (
        pm.DnaGallery.open(options.gallery, write=True) as gallery,
        files.Rejects(file) as rejects,
        Progress("import", Path(file).stat().st_size, "bytes") as progress,
    ):
        for batch in files.read_columns(file, kind=options.default_kind, single=options.single):
            enrolment = gallery.enrol(batch.columns, replace=options.replace)
            counts.update(added=enrolment.added, unchanged=enrolment.unchanged, replaced=enrolment.replaced)
            refused = [*batch.rejects, *(batch.reject(row, "id", reason) for row, _, reason in enrolment.rejected)]
            rejects.write(sorted(refused))
            counts["rejected"] += len(refused)
            progress(batch.bytes_read)
    _report(options, dict(counts) | ({"rejects": str(rejects.path)} if counts["rejected"] else {}))
    return REFUSED if counts["rejected"] else DONE


def gallery_remove(options: argparse.Namespace) -> int:
    """Removes profiles or prints by id."""
    ids = list(options.id)
    if options.ids:
        with open(options.ids, encoding="utf-8") as file:
            ids += [line.strip() for line in file if line.strip()]
    with _kind(options.gallery).open(options.gallery, write=True) as gallery:
        removed = gallery.remove(ids)
    missing = len(set(ids)) - removed
    _report(options, {"removed": removed, "not there": missing})
    return REFUSED if missing else DONE


def gallery_verify(options: argparse.Namespace) -> int:
    """Reads every byte of the gallery; names each file and place that is damaged."""
    try:
        kind = _kind(options.gallery)
    except GalleryError:
        kind = pm.DnaGallery  # verify says what is wrong with the manifest
    problems = kind.verify(options.gallery)
    if options.json:
        _write_lines(options.json, (json.dumps(asdict(problem)) for problem in problems))
    else:
        print("\n".join(map(str, problems)) or "every byte is as it was written")
    return DONE if all(problem.harmless for problem in problems) else REFUSED


def gallery_compact(options: argparse.Namespace) -> int:
    """Writes the gallery anew without what was removed."""
    with _kind(options.gallery).open(options.gallery, write=True) as gallery:
        gallery.compact()
        _report(options, {f"{gallery.RECORD}s": len(gallery), "generation": gallery.generation})
    return DONE


def gallery_info(options: argparse.Namespace) -> int:
    """What the gallery holds; with --treaty, how many profiles that treaty's inclusion rules would refuse, and why."""
    gallery = _kind(options.gallery).open(options.gallery)
    facts = asdict(gallery.info())
    if options.treaty:
        if not isinstance(gallery, pm.DnaGallery):
            raise GalleryError(f"{options.gallery}: inclusion rules are about DNA profiles, this gallery holds prints")
        treaty = pm.treaty(options.treaty)
        facts[f"refused under {treaty.name}"] = _refusals(gallery, treaty.inclusion)
    _report(options, facts)
    return DONE


def _refusals(gallery: pm.DnaGallery, rule: InclusionRule) -> dict[str, int]:
    """How many profiles each inclusion rule refuses. It sees kind and number and wildcards of alleles, locus by locus:
    profiles alike in these are decided once."""
    counts: Counter[str] = Counter()
    for columns in gallery.export():
        known = (columns.codes > 1).sum(axis=2, dtype=np.uint8)
        written = (columns.alleles != 0).sum(axis=2, dtype=np.uint8)
        alike = np.column_stack([columns.kind, known, written])
        _, first, number = np.unique(alike, axis=0, return_index=True, return_counts=True)
        for row, profiles in zip(first.tolist(), number.tolist(), strict=True):
            reasons = {refusal.rule for refusal in refusals(columns.profile(row), rule)}
            counts.update(dict.fromkeys(reasons | ({"profiles"} if reasons else set()), profiles))
    return {"profiles": counts.pop("profiles", 0), **counts}


def gallery_export(options: argparse.Namespace) -> int:
    """Writes all profiles to a CSV or JSON file, texts as enrolled; or all prints to a folder of templates."""
    if _kind(options.gallery) is pm.FingerGallery:
        return finger_cli.export(options)
    write = files.write_json if Path(options.file).suffix in (".json", ".jsonl") else files.write_csv
    write(pm.DnaGallery.open(options.gallery).export(), options.file)
    return DONE


# ---- comparisons


def search(options: argparse.Namespace) -> int:
    """Searches a gallery: for each profile of a file all matches, or for each template (a folder holds those of one
    subject) the candidates that the treaty lets the search type return; best first."""
    if _kind(options.gallery) is pm.FingerGallery:
        return finger_cli.search(options)
    if len(options.probes) > 1:
        raise GalleryError(f"{options.gallery}: holds DNA profiles: search for those of one file at a time")
    return _search_profiles(options, options.probes[0])


def _search_profiles(options: argparse.Namespace, probes: str) -> int:
    counts = Counter(probes=0, matches=0, refused=0)

    def lines() -> Iterator[str]:
        for batch in files.read_columns(probes, kind=options.default_kind, single=options.single):
            for line, column, reason, _ in batch.rejects:
                print(f"pcc-match: {probes}: line {line}: {column}: {reason}", file=sys.stderr)
            counts["refused"] += len(batch.rejects)
            for start in range(0, len(batch.columns), _PROBES):
                rows = np.arange(start, min(start + _PROBES, len(batch.columns)))
                for result in matcher.search(batch.columns.take(rows)):
                    found = list(_lines(result, skip_same_id=options.skip_same_id))
                    counts.update(probes=1, matches=len(found))
                    yield from found
                progress(counts["probes"])

    with _matcher(options, options.gallery) as matcher, Progress("search", None, "probes") as progress:
        _write_matches(options, lines())
    print(", ".join(f"{number:,} {what}" for what, number in counts.items() if number), file=sys.stderr)
    return REFUSED if counts["refused"] else DONE


def _lines(result: pm.SearchResult, *, skip_same_id: bool) -> Iterator[str]:
    references, hits = result.references, result.hits
    if skip_same_id:
        others = [k for k, reference in enumerate(references) if reference != result.probe.id]
        references, hits = [references[k] for k in others], hits[others]
    return match_lines([result.probe.id] * len(hits), references, hits)


def _matcher(options: argparse.Namespace, gallery: str) -> pm.Matcher:
    opened = pm.DnaGallery.open(gallery)
    matcher = pm.Matcher(opened, treaty=options.treaty, device=options.device, threads=options.threads)
    print(matcher, file=sys.stderr)
    return matcher


def compare(options: argparse.Namespace) -> int:
    """Compares two profiles, each given as GALLERY:ID or FILE:ID, and explains the outcome."""
    comparison = pm.compare(_profile(options.a), _profile(options.b), pm.treaty(options.treaty).dna)
    if options.json:
        tally = comparison.tally._asdict()
        line = {
            "probe": comparison.a.id,
            "reference": comparison.b.id,
            "quality": comparison.quality,
            "full_loci": tally.pop("full"),
            **tally,
        }
        _write_lines(options.json, [json.dumps(line)])
    else:
        print(comparison.explain())
    return DONE


def _profile(where: str) -> pm.DnaProfile:
    """GALLERY:ID or FILE:ID."""
    place, found, name = where.rpartition(":")
    if not found:
        raise GalleryError(f"{where!r} does not say which profile: write GALLERY:ID or FILE:ID")
    if Path(place).is_dir():
        return pm.DnaGallery.open(place).profile(name)
    for batch in files.read_columns(place):
        for row, id in enumerate(batch.columns.ids):
            if id == name:
                return batch.columns.profile(row)
    raise GalleryError(f"{place}: no profile {name!r}")


def rematch(options: argparse.Namespace) -> int:
    """Compares all profiles of a gallery with each other, or with those of another gallery."""
    matcher = _matcher(options, options.gallery)
    against = _matcher(options, options.against) if options.against else None
    with Progress("rematch", 100, "percent") as progress:
        result = pm.rematch(matcher, against, progress=lambda share: progress(round(100 * share)))
    _write_matches(options, result.lines())
    print(f"{len(result):,} matches", file=sys.stderr)
    return DONE


# ---- data sets


def synth_dna(options: argparse.Namespace) -> int:
    """Synthetic profiles of several states with their ground truth."""
    from pcc_match import datasets

    with Progress("synth", options.count, "profiles") as progress:
        files = datasets.write_dataset(options.out, options.count, options.seed, progress=progress)
    _report(options, {"files": [str(file) for file in files]})
    return DONE


def synth_finger(options: argparse.Namespace) -> int:
    """Galleries of synthetic fingers as minutiae, with their ground truth."""
    from pcc_match.datasets.finger_files import write_fingers

    return _synth_prints(options, write_fingers)


def synth_prints(options: argparse.Namespace) -> int:
    """Synthetic prints as images, with their true minutiae."""
    from pcc_match.datasets.finger_files import write_prints

    return _synth_prints(options, write_prints)


def _synth_prints(options: argparse.Namespace, write: Callable[..., list[Path]]) -> int:
    with Progress("synth", options.count * options.impressions, "prints") as progress:
        files = write(options.out, options.count, options.seed, impressions=options.impressions, progress=progress)
    _report(options, {"files": [str(file) for file in files]})
    return DONE


# ---- output


def _report(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    if options.json:
        _write_lines(options.json, [json.dumps(facts, default=str)])
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or "none"
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value)) or "none"
        print(f"{name:{width}}  {_text(value)}")


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _write_lines(path: str, lines: Iterable[str]) -> None:
    with complete_file(path) as file:
        for line in lines:
            file.write(line + "\n")


def _write_matches(options: argparse.Namespace, lines: Iterator[str]) -> None:
    if options.json:
        _write_lines(options.json, lines)
        return
    columns = ("probe", "reference", "quality", "full_loci", "wildcards", "microvariants", "mismatches")
    print("\t".join(columns))
    more = 0
    for number, line in enumerate(lines):
        if number < _TABLE_ROWS:
            print("\t".join(str(value) for value in json.loads(line).values()))
        else:
            more += 1
    if more:
        print(f"... and {more:,} more; --json PATH writes all of them")


# ---- arguments


def _parser(*, exchanging: bool) -> argparse.ArgumentParser:
    """The commands of `exchange` need packages that the others do without: they are there if one is meant."""
    parser = argparse.ArgumentParser(prog="pcc-match", description="Exact comparison for exchange between states.")
    parser.add_argument("--version", action="version", version=f"pcc_match {pm.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    json_option = argparse.ArgumentParser(add_help=False)
    json_option.add_argument("--json", metavar="PATH", help="write the result as JSON ('-': standard output)")
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--single", choices=SINGLES, default="wildcard", help="what one value alone at a locus means")
    reading.add_argument("--default-kind", choices=KINDS, default="person", help="kind of profiles that name none")
    matching = argparse.ArgumentParser(add_help=False)
    matching.add_argument("--treaty", default="eu-2008-616", metavar="NAME|FILE.toml", help="treaty set (%(default)s)")
    placing = argparse.ArgumentParser(add_help=False)
    placing.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or reference (%(default)s)")
    placing.add_argument("--threads", type=_positive, metavar="N", help="CPU threads (all cores)")

    def command(
        group: Any, names: str, run: Any, *parents: argparse.ArgumentParser, **arguments: str
    ) -> argparse.ArgumentParser:
        name, *aliases = names.split()
        about = {"help": run.__doc__, "description": run.__doc__}
        added: argparse.ArgumentParser = group.add_parser(name, aliases=aliases, parents=parents, **about)
        for argument, text in arguments.items():
            added.add_argument(argument, metavar=argument.upper(), help=text)
        added.set_defaults(command=run)
        return added

    command(commands, "doctor", doctor, json_option)

    gallery = commands.add_parser("gallery", help="create, fill, check and describe galleries")
    galleries = gallery.add_subparsers(required=True, metavar="ACTION")
    create = command(galleries, "create", gallery_create, gallery="new directory")
    create.add_argument("--kind", choices=list(_KINDS), required=True)
    for names, replace in (("import enrol", False), ("replace", True)):
        importing = command(galleries, names, gallery_import, json_option, reading, gallery="directory")
        importing.add_argument("file", nargs="+", metavar="FILE", help="CSV or JSON file; templates, folders of them")
        finger_cli.add_enrolling(importing)
        importing.set_defaults(replace=replace)
    remove = command(galleries, "remove", gallery_remove, json_option, gallery="directory")
    remove.add_argument("id", nargs="*", metavar="ID")
    remove.add_argument("--ids", metavar="FILE", help="file with an id on each line")
    command(galleries, "verify", gallery_verify, json_option, gallery="directory")
    command(galleries, "compact", gallery_compact, json_option, gallery="directory")
    info = command(galleries, "info", gallery_info, json_option, gallery="directory")
    info.add_argument("--treaty", metavar="NAME|FILE.toml", help="count what its inclusion rules refuse")
    target = "file to write: .csv, .json or .jsonl; for prints, a new folder"
    command(galleries, "export", gallery_export, gallery="directory", file=target)

    searching = command(
        commands, "search", search, json_option, reading, matching, placing, gallery="directory"
    )  # fmt: skip
    searching.add_argument(
        "probes", nargs="+", metavar="PROBE", help="CSV or JSON file of profiles; templates, folders of a subject's"
    )
    finger_cli.add_searching(searching)
    searching.add_argument("--skip-same-id", action="store_true", help="leave out references with the probe's own id")
    command(commands, "compare", compare, json_option, matching, a="GALLERY:ID or FILE:ID", b="GALLERY:ID or FILE:ID")
    rematching = command(commands, "rematch", rematch, json_option, matching, placing, gallery="directory")
    rematching.add_argument("--against", metavar="GALLERY", help="compare with the profiles of this gallery instead")

    finger_cli.add_commands(commands)
    add_itl_commands(commands)
    add_evaluate_command(commands)
    exchange = commands.add_parser("exchange", help="answer, read and check messages between states; the ledger")
    if exchanging:
        try:
            from pcc_match.exchange.cli import add_commands as add_exchange_commands
        except ImportError as error:
            parser.exit(REFUSED, f"pcc-match: {error}\n")
        add_exchange_commands(exchange)

    synth = commands.add_parser("synth", help="make synthetic data sets")
    sets = synth.add_subparsers(required=True, metavar="SET")
    for name, run in (("dna", synth_dna), ("finger", synth_finger), ("prints", synth_prints)):
        made = command(sets, name, run, json_option)
        made.add_argument("--count", type=_positive, required=True, metavar="N", help="profiles, or fingers")
        made.add_argument("--seed", type=int, required=True, metavar="S")
        made.add_argument("--out", required=True, metavar="DIR")
        if name != "dna":
            made.add_argument(
                "--impressions", type=_positive, default=2, metavar="K", help="of each finger (%(default)s)"
            )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
