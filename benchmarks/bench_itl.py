"""The pace of reading ANSI/NIST-ITL transactions beside the package `nistitl`, measured in turn in one run.

    python benchmarks/bench_itl.py [--quick] [--json FILE]

Three questions: single real files (the shared data, PCC_MATCH_SHARED) read to fields, against nistitl on the files that
it can read; transactions of many Type-9 records of 100 minutiae, to fields and to minutiae arrays, against nistitl,
which has no minutiae, so its figure is that of its fields; whether the time grows with the records or their square.
Without the package (pip install nistitl) only this library is measured.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_dna import seconds

from pcc_match import itl

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from itl_cases import fmd, header, m1_record, mrc, std_record
from shared_data import shared

try:
    import nistitl
except ImportError:
    nistitl = None


def nistitl_fields(data: bytes) -> Any:
    message = nistitl.Message()
    message.parse(data)
    return message


def fields(data: bytes) -> int:
    """All records split into fields; the length keeps the work from being left out."""
    return sum(len(record.fields) for record in itl.read(data))


def arrays(data: bytes) -> int:
    return sum(record.minutiae().x.size for record in itl.read(data).of_type(9))


def many(count: int, block: str) -> bytes:
    """A transaction of so many Type-9 records of 100 minutiae."""
    minutiae = {"std": mrc, "m1": fmd}[block](100)
    make = {"std": std_record, "m1": m1_record}[block]
    records = [make(100, f"{i % 100:02d}", minutiae) for i in range(count)]
    return header([(9, f"{i % 100:02d}") for i in range(count)]) + b"".join(records)


def real_files() -> dict[str, bytes]:
    folder = shared("data/itl")
    if folder is None:
        return {}
    paths = (path for name in ("nist_reference", "libbiomeval", "int_i") for path in sorted((folder / name).iterdir()))
    return {path.name: path.read_bytes() for path in paths if path.suffix in (".an2", ".an2k", ".nist")}


def accepted(data: bytes) -> bool:
    try:
        nistitl_fields(data)
    except Exception:  # of any kind: that is its fault here
        return False
    return True


def measure(quick: bool) -> dict[str, Any]:
    results: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    files = real_files()
    if files:
        both = [data for data in files.values() if nistitl is None or accepted(data)]

        def each(work: Callable[[bytes], Any]) -> Callable[[], Any]:
            return lambda: [work(data) for data in both]

        times = seconds(each(fields), *([each(nistitl_fields)] if nistitl else []))
        results["single files"] = {
            "files": len(files),
            "read by both": len(both),
            "MB": sum(map(len, both)) / 1e6,
            "seconds": times[0],
            "nistitl": times[1] if nistitl else None,
            "times as fast": times[1] / times[0] if nistitl else None,
        }
    for block in ("std", "m1"):
        rows = []
        for count in (100, 1000) if quick else (100, 1000, 3000):
            data = many(count, block)
            peer = [lambda data=data: nistitl_fields(data)] if nistitl else []
            times = seconds(lambda data=data: fields(data), lambda data=data: arrays(data), *peer, runs=3)
            rows.append(
                {
                    "records": count,
                    "MB": len(data) / 1e6,
                    "fields": times[0],
                    "minutiae arrays": times[1],
                    "nistitl fields": times[2] if nistitl else None,
                    "fields times as fast": times[2] / times[0] if nistitl else None,
                    "arrays times as fast": times[2] / times[1] if nistitl else None,
                }
            )
        results[f"Type-9 records of 100 minutiae, {block}"] = rows
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="leave out the 3,000 records")
    parser.add_argument("--json", metavar="FILE", help="write the result here, too")
    options = parser.parse_args()
    results = measure(options.quick)
    print(json.dumps(results, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
