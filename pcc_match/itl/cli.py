"""`pcc-match itl show | check | extract | diff | convert`: transactions on the command line.

Exit codes: 0 done (check: nothing found; diff: no difference), 1 refused input, findings or differences, 2 usage.
Values of fields are shown only with --values: a transaction is personal data, and terminals keep logs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pcc_match.errors import RecordError
from pcc_match.itl import dictionary, images, profiles, templates
from pcc_match.itl.problems import Problem, error_message
from pcc_match.itl.raster import image_data, image_header
from pcc_match.itl.records import Field, Record
from pcc_match.itl.transaction import Transaction, read
from pcc_match.itl.type9 import BLOCKS, blocks_of
from pcc_match.itl.type9_write import converted_fields
from pcc_match.output import complete_file, write_complete

_SUFFIXES = {
    "wsq": "wsq",
    "jpeg": "jpg",
    "jpeg-progressive": "jpg",
    "jpeg-lossless": "jpg",
    "jp2": "jp2",
    "j2k": "j2k",
    "png": "png",
    "unknown": "raw",
}


def add_commands(subparsers: Any) -> None:
    """Adds `itl` to the subparsers of pcc-match; each command sets `command`, a function from options to exit code."""
    parser = subparsers.add_parser("itl", help="read, check and convert ANSI/NIST-ITL transactions")
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    json_option = argparse.ArgumentParser(add_help=False)
    json_option.add_argument("--json", metavar="PATH", help="write the result as JSON ('-': standard output)")
    value_option = argparse.ArgumentParser(add_help=False)
    value_option.add_argument("--values", action="store_true", help="show the values, which are personal data")
    force_option = argparse.ArgumentParser(add_help=False)
    force_option.add_argument("--force", action="store_true", help="replace files that exist")
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--fallback", metavar="CHARSET", help="character set where 1.015 declares none, e.g. latin-1")

    def command(name: str, run: Callable[[argparse.Namespace], int], *options: argparse.ArgumentParser) -> Any:
        added = commands.add_parser(name, parents=[*options, reading], help=run.__doc__, description=run.__doc__)
        added.add_argument("file", metavar="FILE")
        added.set_defaults(command=run)
        return added

    command("show", show, value_option, json_option)

    checking = command("check", check, json_option)
    checking.add_argument("--profile", help=f"{', '.join((*profiles.NAMES, 'pruem'))}; without it the standard alone")
    checking.add_argument("--erm", action="store_true", help="as the text of field 2.074 of an ERR transaction")

    extracting = command("extract", extract, force_option)
    extracting.add_argument(
        "--to", type=Path, default=Path("."), metavar="DIR", help="existing directory (default: here)"
    )
    extracting.add_argument("--png", action="store_true", help="images decoded to PNG (needs Pillow)")
    extracting.add_argument("--template", choices=sorted(templates.FORMATS), help="templates from Type-9 records")

    command("diff", diff, value_option).add_argument("other", metavar="FILE2")

    converting = command("convert", convert, force_option)
    names = [block.name for block in BLOCKS]
    converting.add_argument("output", metavar="OUTPUT")
    converting.add_argument("--to", choices=names, required=True, help="minutiae block of the new file")
    converting.add_argument("--from", choices=names, dest="source", help="block to take (default: the first there is)")


# -- show


def show(args: argparse.Namespace) -> int:
    """The records and fields of a transaction."""
    transaction = read(args.file, fallback=args.fallback)
    if args.json:
        _write_json(
            args.json,
            {"records": [_record_object(r, args.values) for r in transaction], **_problems_object(transaction)},
        )
    else:
        for record in transaction:
            rule = dictionary.record_rule(record.type)
            idc = "" if record.idc is None else f", IDC {record.idc}"
            name = "unknown" if rule is None else rule.name
            print(f"record {record.number}: Type-{record.type} {name}{idc}, {record.size} bytes")
            for line in (_image_line(record), _minutiae_line(record)):
                if line:
                    print(f"  {line}")
            for field in record:
                print(f"  {record.type}.{field.number:03d} {field.mnemonic:5} {_shown(field, args.values)}")
        for problem in transaction.problems:
            print(f"problem: {problem}", file=sys.stderr)
    return 1 if transaction.problems else 0


def _shown(field: Field, values: bool) -> str:
    """The value, or only its form."""
    value = field.value
    if isinstance(value, memoryview):
        return f"{len(value)} bytes of data"
    if values:
        return str(value).replace("\x1e", " {RS} ").replace("\x1f", " {US} ") if isinstance(value, str) else repr(value)
    if isinstance(value, str):
        count = value.count("\x1e") + 1
        return f"{len(value)} characters" + (f" in {count} subfields" if count > 1 else "")
    return f"{len(field.raw)} bytes"


def _image_line(record: Record) -> str:
    header = image_header(record)
    if header is None or record.image is None:
        return ""
    size = f"{header.width} x {header.height}"
    ppi = "" if header.ppi is None else f", {header.ppi[0]:.0f} ppi"
    return f"image {size}{ppi}, stated {header.compression or '-'}, found {_found_format(record)}"


def _found_format(record: Record) -> str:
    try:
        format = images.probe(image_data(record) or b"").format
    except RecordError:
        return "a damaged image"
    return "no image format" if format == "unknown" else format


def _minutiae_line(record: Record) -> str:
    counts = [f"{len(record.minutiae(block.name))} ({block.name})" for block in blocks_of(record)]
    return f"minutiae: {', '.join(counts)}" if counts else ""


def _record_object(record: Record, values: bool) -> dict[str, Any]:
    fields = [
        {"field": f"{record.type}.{field.number:03d}", "mnemonic": field.mnemonic, "bytes": len(field.raw)}
        | ({"value": _json_value(field)} if values else {})
        for field in record
    ]
    return {"record": record.number, "type": record.type, "idc": record.idc, "bytes": record.size, "fields": fields}


def _json_value(field: Field) -> Any:
    value = field.value
    if isinstance(value, memoryview):
        return None
    return [list(items) for items in value.subfields] if isinstance(value, str) else value


# -- check


def check(args: argparse.Namespace) -> int:
    """All that is wrong with a transaction."""
    transaction = read(args.file, fallback=args.fallback)
    findings = transaction.check(args.profile)
    if args.json:
        _write_json(args.json, {"findings": [_problem_object(p) for p in findings], "erm": error_message(findings)})
    elif args.erm:
        if findings:
            print(error_message(findings))
    else:
        for problem in findings:
            print(f"{problem.path} {problem.code:03d} {problem}")
        print(f"{len(findings)} findings" if findings else "nothing found", file=sys.stderr)
    return 1 if findings else 0


def _problems_object(transaction: Transaction) -> dict[str, Any]:
    return {"problems": [_problem_object(problem) for problem in transaction.problems]}


def _problem_object(problem: Problem) -> dict[str, Any]:
    names = ("path", "offset", "record", "type", "idc", "field", "subfield", "item", "code", "message")
    return {name: getattr(problem, name) for name in names}


def _write_json(path: str, value: Any) -> None:
    with complete_file(path) as file:
        file.write(json.dumps(value, indent=1) + "\n")


# -- extract


def extract(args: argparse.Namespace) -> int:
    """Write images and minutiae templates as files."""
    transaction = read(args.file, fallback=args.fallback)
    written = 0
    for record in transaction:
        name = f"{Path(args.file).stem}.{record.number:02d}.type{record.type}"
        if args.template and record.type == 9:
            template = templates.Template(args.template, (templates.View(record.minutiae()),))
            _write(args.to / f"{name}.{args.template}.fmr", bytes(template), args.force)
            written += 1
        image = image_data(record)
        if image is not None and len(image):
            if args.png and image_header(record) is not None:
                _write(args.to / f"{name}.png", _png(record), args.force)
            else:
                suffix = _SUFFIXES[images.probe(image).format] if image_header(record) is not None else "data"
                _write(args.to / f"{name}.{suffix}", bytes(image), args.force)
            written += 1
    print(f"{written} files", file=sys.stderr)
    return 0


def _png(record: Record) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        raise RecordError('PNG files need Pillow: pip install "pcc_match[images]"') from None
    import io

    header = image_header(record)
    stream = io.BytesIO()
    dpi = {} if header is None or header.ppi is None else {"dpi": header.ppi}
    Image.fromarray(record.pixels()).save(stream, "PNG", **dpi)
    return stream.getvalue()


def _write(path: Path, data: bytes, force: bool) -> None:
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists: --force replaces it")
    write_complete(path, data)


# -- diff


def diff(args: argparse.Namespace) -> int:
    """The fields in which two transactions differ."""
    first, second = (read(name, fallback=args.fallback) for name in (args.file, args.other))
    lines = list(_differences(first, second, args.values))
    for line in lines:
        print(line)
    if not lines and bytes(first) != bytes(second):
        print("only the encoding differs (padding, order or width of tags)")
        return 1
    return 1 if lines else 0


def _differences(first: Transaction, second: Transaction, values: bool) -> Iterable[str]:
    """Records are paired by type, IDC and occurrence, fields by number and occurrence."""
    left, right = _keyed(first), _keyed(second)
    for key in [*left, *(key for key in right if key not in left)]:
        name = f"Type-{key[0]}" + ("" if key[1] is None else f" IDC {key[1]}")
        if key not in right or key not in left:
            yield f"{name}: only in the {'first' if key in left else 'second'}"
            continue
        fields = _keyed_fields(left[key]), _keyed_fields(right[key])
        for place in [*fields[0], *(place for place in fields[1] if place not in fields[0])]:
            a, b = fields[0].get(place), fields[1].get(place)
            where = f"{name} {key[0]}.{place[0]:03d}"
            if a is None or b is None:
                yield f"{where}: only in the {'first' if b is None else 'second'}"
            elif place[0] != 1 and a.value != b.value:
                shown = (
                    f": {_shown(a, True)} | {_shown(b, True)}"
                    if values
                    else f": {_shown(a, False)} | {_shown(b, False)}"
                )
                yield f"{where} differs{shown}"


def _keyed(transaction: Transaction) -> dict[tuple[int, int | None, int], Record]:
    keyed: dict[tuple[int, int | None, int], Record] = {}
    for record in transaction:
        occurrence = 0
        while (record.type, record.idc, occurrence) in keyed:
            occurrence += 1
        keyed[record.type, record.idc, occurrence] = record
    return keyed


def _keyed_fields(record: Record) -> dict[tuple[int, int], Field]:
    keyed: dict[tuple[int, int], Field] = {}
    for field in record:
        occurrence = 0
        while (field.number, occurrence) in keyed:
            occurrence += 1
        keyed[field.number, occurrence] = field
    return keyed


# -- convert


def convert(args: argparse.Namespace) -> int:
    """Convert the minutiae of all Type-9 records from one block to another."""
    transaction = read(args.file, fallback=args.fallback)
    changes = {record: converted_fields(record, args.to, args.source) for record in transaction.of_type(9)}
    if not changes:
        raise RecordError("the transaction has no Type-9 record")
    _write(Path(args.output), bytes(transaction.replace(changes)), args.force)
    print(f"{len(changes)} records converted", file=sys.stderr)
    return 0
