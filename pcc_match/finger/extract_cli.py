"""`pcc-match finger extract`: minutiae of image files and of transactions' images, written and drawn on the print."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pcc_match.errors import PccError
from pcc_match.finger.extract import Examination
from pcc_match.finger.extract_draw import drawn
from pcc_match.finger.extract_records import Source, sources
from pcc_match.finger.slap import SlapFinger
from pcc_match.finger.template import FingerTemplate, MinutiaSet
from pcc_match.output import complete_file, write_complete
from pcc_match.progress import Progress


def add_extract(actions: Any) -> None:
    """Adds `extract` to the actions of `pcc-match finger`."""
    parser = actions.add_parser("extract", help=_extract.__doc__, description=_extract.__doc__)
    parser.add_argument("image", nargs="+", metavar="IMAGE", help="PNG, JPEG, WSQ, JPEG 2000, TIFF, or a transaction")
    parser.add_argument(
        "--out", metavar="DIR", help="write ISO/IEC 19794-2:2005 templates there, NAME.fmr, with the best 255 minutiae"
    )
    parser.add_argument("--png", metavar="PATH", help="draw the minutiae on the print; several: PATH-NAME.png")
    parser.add_argument("--sets", type=int, default=1, choices=[1, 2], help="minutiae sets of a print (%(default)s)")
    parser.add_argument("--ppi", type=float, help="resolution, whatever the files state (where they do not: 500)")
    parser.add_argument("--position", type=int, help="finger or palm (1 right thumb ...; 13, 14: slaps) of image files")
    parser.add_argument("--json", metavar="PATH", help="write what was found as JSON lines ('-': standard output)")
    parser.set_defaults(command=_extract)


def _extract(options: argparse.Namespace) -> int:
    """Find minutiae in images of prints."""
    lines, pictures, refused = [], [], 0
    out = Path(options.out) if options.out else None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with Progress("extract", None, "prints") as progress:
        for path, source in _all_sources(options):
            try:
                if isinstance(source, (PccError, OSError)):
                    raise source
                found = source.prints(options.sets)
            except (PccError, OSError) as error:
                print(f"pcc-match: {error if str(path) in str(error) else f'{path}: {error}'}", file=sys.stderr)
                refused += 1
                continue
            for number, one in enumerate(found, start=1):
                name = source.name if len(found) == 1 else f"{source.name}.{one.template.position or f'part{number}'}"
                line = {"file": str(path), "name": name, **_facts(one)}
                if out is not None:
                    line["template"] = str(out / f"{name}.fmr")
                    write_complete(out / f"{name}.fmr", _best(one.template).write())
                lines.append(line)
                for problem in one.template.problems:
                    print(f"pcc-match: {path}: {name}: {problem}", file=sys.stderr)
            if not found:
                print(f"pcc-match: {path}: {source.name}: no finger was found", file=sys.stderr)
                refused += 1
            elif options.png:
                pictures.append((source, found))
            progress(len(lines))
    for source, found in pictures:
        target = Path(options.png)
        if len(pictures) > 1:
            target = target.with_name(f"{target.stem}-{source.name}.png")
        write_complete(target, drawn(source.image, source.ppi, found))
    if options.json:
        with complete_file(options.json) as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    else:
        for line in lines:
            count = " + ".join(map(str, line["minutiae"]))
            print(f"{line['name']}: position {line['position']}, {count} minutiae, quality {line['quality']}")
    return 1 if refused else 0


def _all_sources(options: argparse.Namespace) -> Iterator[tuple[Path, Source | PccError | OSError]]:
    for path in map(Path, options.image):
        try:
            for source in sources(path):
                if isinstance(source, Source):
                    source = replace(source, ppi=options.ppi or source.ppi)
                    if options.position is not None and not source.position:
                        source = replace(source, position=options.position)
                yield path, source
        except (PccError, OSError) as error:
            yield path, error


def _best(template: FingerTemplate) -> FingerTemplate:
    """What the format holds; minutiae stand best first."""
    best = slice(255)
    return replace(
        template,
        sets=tuple(
            MinutiaSet(m.x[best], m.y[best], m.angle[best], m.type[best], m.quality[best]) for m in template.sets
        ),
    )


def _facts(one: Examination | SlapFinger) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "position": one.template.position,
        "width": one.template.width,
        "height": one.template.height,
        "minutiae": [len(minutiae) for minutiae in one.template.sets],
        "quality": one.quality,
        "problems": list(one.template.problems),
    }
    if isinstance(one, Examination):
        facts["singular_points"] = [{"kind": p.kind, "x": p.x, "y": p.y} for p in one.singular_points]
    else:
        facts["left"], facts["top"] = one.left, one.top
    return facts
