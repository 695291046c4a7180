"""`pcc-match finger ...`, and what the commands on galleries do where a gallery holds prints.

A template's id is its file's name without the suffix, its position is the template's. A folder with an index.csv, as
`gallery export` writes it, gives ids and subjects as they were.
"""

import argparse
import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pcc_match.errors import GalleryError, PccError, TemplateError
from pcc_match.finger.compare import Comparison, compare
from pcc_match.finger.extract_cli import add_extract
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.prints import FingerRecord
from pcc_match.finger.search import LEAST_SHARE, FingerMatch, FingerMatcher
from pcc_match.finger.template import FingerTemplate
from pcc_match.output import complete_file, write_complete
from pcc_match.progress import Progress
from pcc_match.treaties.search_types import SEARCH_TYPES

INDEX = "index.csv"
_COLUMNS = ("file", "id", "subject", "position", "source")
_BATCH = 4096  # prints enrolled in one durable step


def add_commands(commands: Any) -> None:
    """Adds `finger` to the subparsers of pcc-match; each command sets `command`, from options to exit code."""
    actions = commands.add_parser("finger", help="compare two prints; find minutiae in images").add_subparsers(
        required=True, metavar="ACTION"
    )
    add_extract(actions)
    parser = actions.add_parser("compare", help=_compare.__doc__, description=_compare.__doc__)
    parser.add_argument("a", metavar="A", help="template (ISO/IEC 19794-2, INCITS 378), or GALLERY:ID")
    parser.add_argument("b", metavar="B", help="the other print")
    parser.add_argument("--latent", choices=["a", "b"], help="which of the two is a latent")
    parser.add_argument("--svg", metavar="PATH", help="draw the prints and their paired minutiae")
    parser.add_argument("--png", metavar="PATH", help="the same as PNG; needs the extra `images`")
    parser.add_argument("--image-a", metavar="PNG", help="image of the first print, drawn under its minutiae")
    parser.add_argument("--image-b", metavar="PNG", help="image of the second print")
    parser.add_argument("--json", metavar="PATH", help="write the result as JSON ('-': standard output)")
    parser.set_defaults(command=_compare)


def add_enrolling(parser: argparse.ArgumentParser) -> None:
    subject = "prints: the subject is what the first group finds in the id (default: the id)"
    parser.add_argument("--source", default="", help="prints: what found the minutiae; thresholds are kept by it")
    parser.add_argument("--subject", metavar="REGEX", help=subject)


def add_searching(parser: argparse.ArgumentParser) -> None:
    types = list(SEARCH_TYPES)
    parser.add_argument("--type", default="TP/TP", choices=types, dest="search_type", help="prints (%(default)s)")
    parser.add_argument("--threshold", type=int, default=1, metavar="SCORE", help="prints: least score of a candidate")
    early = "prints: end comparisons early that promise little; faster, and loses some mates"
    parser.add_argument("--early-exit", action="store_true", help=early)
    share = "prints: compare as a whole only this share, 0.1 to 1, by the most alike minutiae; loses more mates"
    parser.add_argument("--prefilter", type=_share, metavar="SHARE", help=share)


# ---- galleries


def enrol(options: argparse.Namespace) -> Counter[str]:
    """Enrols templates; what became of them. Each that is refused is named on standard error."""
    counts = Counter(added=0, unchanged=0, replaced=0, rejected=0)

    def refuse(what: str) -> None:
        print(f"pcc-match: {what}", file=sys.stderr)
        counts["rejected"] += 1

    with FingerGallery.open(options.gallery, write=True) as gallery, Progress("import", None, "prints") as progress:
        batch: list[tuple[str, FingerRecord]] = []

        def commit() -> None:
            done = gallery.enrol([record for _, record in batch], replace=options.replace)
            counts.update(added=done.added, unchanged=done.unchanged, replaced=done.replaced)
            for row, _, reason in done.rejected:
                refuse(f"{batch[row][0]}: {reason}")
            batch.clear()
            progress(counts.total())

        for path, entry in _entries(options.file):
            try:
                batch.append((str(path), _record(path, entry, options)))
            except (TemplateError, OSError) as error:
                refuse(str(error))
            if len(batch) == _BATCH:
                commit()
        commit()
    return counts


def _entries(places: Iterable[str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Files of templates, in the order of their names, each with its row of the folder's index."""
    for place in map(Path, places):
        if not place.is_dir():
            yield place, {}
        elif (place / INDEX).exists():
            with open(place / INDEX, encoding="utf-8", newline="") as file:
                for number, entry in enumerate(csv.DictReader(file), start=2):
                    if not entry.get("file") or None in entry or None in entry.values():
                        raise GalleryError(f"{place / INDEX}: line {number}: not a row of {', '.join(_COLUMNS)}")
                    yield place / entry["file"], entry
        else:
            yield from ((file, {}) for file in sorted(place.rglob("*")) if file.is_file() and file.name[0] != ".")


def _record(path: Path, entry: dict[str, str], options: argparse.Namespace) -> FingerRecord:
    template = FingerTemplate.read(path, source=entry.get("source") or options.source)
    for problem in template.problems:
        print(f"pcc-match: {path}: {problem}", file=sys.stderr)
    id, subject = entry.get("id") or path.stem, entry.get("subject", "")
    if options.subject:
        found = re.search(options.subject, id)
        if not found or not found.groups() or not found[1]:
            raise TemplateError(f"{path}: --subject {options.subject!r} finds no group in the id {id!r}")
        subject = found[1]
    if not id.isprintable() or id != id.strip():
        raise TemplateError(f"{path}: {id!r} is no id: it must be of printable characters, without spaces around them")
    return FingerRecord(id, template, subject)


def export(options: argparse.Namespace) -> int:
    """Writes all prints as ISO/IEC 19794-2:2005 into a new folder, with an index."""
    folder = Path(options.file)
    folder.mkdir()
    refused = 0
    with complete_file(folder / INDEX) as file:
        index = csv.writer(file, lineterminator="\n")
        index.writerow(_COLUMNS)
        for columns in FingerGallery.open(options.gallery).export():
            for record in columns:
                name = f"{quote(record.id, safe=' ()+,=@')}.iso"
                template = record.template
                try:
                    write_complete(folder / name, template.write())
                except TemplateError as error:
                    print(f"pcc-match: {record.id}: {error}", file=sys.stderr)
                    refused += 1
                else:
                    index.writerow((name, record.id, record.subject, template.position, template.source))
    return 1 if refused else 0


# ---- searches


def _share(text: str) -> float:
    share = float(text)
    if not LEAST_SHARE <= share <= 1:
        raise argparse.ArgumentTypeError(f"a share of {LEAST_SHARE} to 1, not {text}")
    return share


def search(options: argparse.Namespace) -> int:
    counts = Counter(probes=0, candidates=0, refused=0)

    def lines() -> Iterator[dict[str, Any]]:
        for place in map(Path, options.probes):
            try:
                files = sorted(file for file in place.iterdir() if file.name != INDEX) if place.is_dir() else [place]
                prints = [FingerTemplate.read(file) for file in files]
                result = matcher.search(
                    prints,
                    options.search_type,
                    threshold=options.threshold,
                    early_exit=options.early_exit,
                    prefilter=options.prefilter,
                )
            except (TemplateError, OSError) as error:
                print(f"pcc-match: {place}: {error}", file=sys.stderr)
                counts["refused"] += 1
                continue
            counts.update(probes=1, candidates=len(result))
            progress(counts["probes"])
            yield from (_line(place, match) for match in result)

    gallery = FingerGallery.open(options.gallery)
    with (
        FingerMatcher(gallery, treaty=options.treaty, device=options.device, threads=options.threads) as matcher,
        Progress("search", len(options.probes), "probes") as progress,
    ):
        print(matcher, file=sys.stderr)
        if options.json:
            with complete_file(options.json) as file:
                for line in lines():
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
        else:
            print("\t".join(("probe", "rank", "subject", "reference", "score")))
            for line in lines():
                print("\t".join(str(line[name]) for name in ("probe", "rank", "subject", "reference", "score")))
    print(", ".join(f"{number:,} {what}" for what, number in counts.items() if number), file=sys.stderr)
    return 1 if counts["refused"] else 0


def _line(place: Path, match: FingerMatch) -> dict[str, Any]:
    return {
        "probe": str(place),
        "rank": match.rank,
        "subject": match.subject,
        "reference": match.reference,
        "score": match.score,
        "fingers": [finger._asdict() for finger in match.fingers],
    }


# ---- comparisons


def _compare(options: argparse.Namespace) -> int:
    """Compares two prints, explains the score and draws the paired minutiae."""
    comparison = compare(_template(options.a), _template(options.b), latent=options.latent or "")
    images = [_image(path) if path else None for path in (options.image_a, options.image_b)]
    titles = (options.a, options.b)
    if options.svg:
        with complete_file(options.svg) as file:
            file.write(comparison.to_svg(*images, titles=titles))
    if options.png:
        write_complete(Path(options.png), comparison.to_png(*images, titles=titles))
    if options.json:
        with complete_file(options.json) as file:
            file.write(json.dumps(_facts(comparison, options)) + "\n")
    else:
        print(comparison.explain())
    return 0


def _facts(comparison: Comparison, options: argparse.Namespace) -> dict[str, Any]:
    parts = [
        {
            "a_set": part.a_set,
            "b_set": part.b_set,
            "score": part.score,
            "candidates": part.candidates,
            "accepted": part.accepted.tolist(),
            "agreement": part.agreement,
            "paired": part.paired.tolist(),
            "overlap": list(part.overlap),
            "reason": part.reason,
        }
        for part in comparison.parts
    ]
    return {"a": options.a, "b": options.b, "latent": comparison.latent, "score": comparison.score, "parts": parts}


def _template(where: str) -> FingerTemplate:
    """A template's file, or GALLERY:ID."""
    place, found, id = where.rpartition(":")
    if found and not Path(where).exists() and Path(place).is_dir():
        return FingerGallery.open(place).record(id).template
    try:
        return FingerTemplate.read(where)
    except OSError as error:
        raise PccError(f"{where}: cannot be read: {error.strerror}") from None


def _image(path: str) -> Any:
    from pcc_match.itl import images

    return images.decode(Path(path).read_bytes())
