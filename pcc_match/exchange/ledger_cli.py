"""`pcc-match exchange ledger verify | export | purge | stats`: the account of a node on the command line.

Exit codes: 0 done (verify: nothing is wrong), 1 refused input or problems found, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pcc_match.exchange.heads import read_head
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.statistics import statistics
from pcc_match.output import complete_file


def add_commands(subparsers: Any) -> None:
    """Adds `ledger` to the subparsers of `pcc-match exchange`."""
    parser = subparsers.add_parser("ledger", help="prove, hand out, clean and count the records of a node")
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    json_option = argparse.ArgumentParser(add_help=False)
    json_option.add_argument("--json", metavar="PATH", help="write the result as JSON ('-': standard output)")
    key_option = argparse.ArgumentParser(add_help=False)
    key_option.add_argument("--key", metavar="KEY.pem", help="Ed25519 private key that signs the ledger's heads")

    def command(name: str, run: Any, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name, parents=parents, help=run.__doc__, description=run.__doc__
        )
        added.add_argument("ledger", metavar="FILE", help="the ledger")
        added.set_defaults(command=run)
        return added

    verifying = command("verify", verify, json_option)
    verifying.add_argument("--head", metavar="HEAD", type=Path, help="an export, or its last line: an earlier state")

    exporting = command("export", export, key_option)
    exporting.add_argument("out", metavar="OUT", help="file of JSON lines ('-': standard output)")
    exporting.add_argument("--since", type=_day, metavar="YYYY-MM-DD", help="records from this day on (UTC)")
    exporting.add_argument("--until", type=_day, metavar="YYYY-MM-DD", help="records before this day (UTC)")

    command("purge", purge, key_option, json_option)

    counting = command("stats", stats, json_option)
    counting.add_argument("--year", type=int, default=datetime.now(UTC).year, help="(%(default)s)")


def verify(options: argparse.Namespace) -> int:
    """Says whether every record is in its place and as it was written, and names each that is not."""
    problems = Ledger.verify(options.ledger, options.head and read_head(options.head))
    if options.json:
        _write_lines(options.json, [asdict(problem) for problem in problems])
    else:
        print("\n".join(map(str, problems)) or "every record is in its place and as it was written")
    if not problems and options.head is None:
        print("without --head an end that was cut off cannot be seen", file=sys.stderr)
    return 1 if problems else 0


def export(options: argparse.Namespace) -> int:
    """Writes all records for the supervisory authority, with a signed hash."""
    with Ledger.open(options.ledger, key=options.key) as ledger, complete_file(options.out) as file:
        head = ledger.export(file, since=options.since, until=options.until)
    if not head.signature:
        print("not signed: give the node's key with --key", file=sys.stderr)
    return 0


def purge(options: argparse.Namespace) -> int:
    """Deletes the records whose time is up, and answers that may not be repeated any more."""
    with Ledger.open(options.ledger, key=options.key) as ledger:
        deleted, held = ledger.purge(), len(ledger.held())
    if options.json:
        _write_lines(options.json, [{"deleted": deleted, "under legal hold": held}])
    else:
        print(f"deleted: {deleted:,}, under legal hold: {held:,}")
    return 0


def stats(options: argparse.Namespace) -> int:
    """Counts the requests, matches and confirmations of a year, per partner and category."""
    with Ledger.open(options.ledger) as ledger:
        year = statistics(ledger.entries(), options.year)
    rows = [asdict(row) for row in year.rows]
    flat = [{name: value for name, value in row.items() if name != "matches"} | row["matches"] for row in rows]
    if options.json:
        _write_lines(options.json, [asdict(year)])
    elif not flat:
        print(f"nothing in {year.year}")
    for row in [] if options.json else flat:
        print(f"{row.pop('partner')} {row.pop('category')} {row.pop('direction')}: ", end="")
        print(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in row.items() if number))
    if year.gone:
        print(f"{year.gone:,} deleted records may have been of {year.year}, and are not counted", file=sys.stderr)
    return 0


def _write_lines(path: str, lines: list[dict[str, Any]]) -> None:
    with complete_file(path) as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, as 2026-11-28") from None
