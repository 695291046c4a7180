"""Where the test data lie that are not part of the project: real transactions, prints and templates."""

import hashlib
import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def shared(part: str) -> Path | None:
    """A folder of the shared data, from PCC_MATCH_SHARED, else beside the checkout; None where it is not there."""
    stated = os.environ.get("PCC_MATCH_SHARED")
    for base in (Path(stated),) if stated else (ROOT.parent / "shared", ROOT.parent.parent / "shared"):
        if (base / part).is_dir():
            return base / part
    return None


def wsq_streams() -> dict[bytes, str]:
    """The real WSQ streams that are there, with the SHA-256 of their pixels."""
    folder = shared("data/itl")
    if folder is None:
        return {}
    entries = json.loads((folder / "wsq" / "expected.json").read_text())
    expected = {entry["sha1_stream_12"]: entry["sha256_pixels"] for entry in entries}
    lengths = {entry["bytes"] for entry in entries}
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".an2", ".an2k", ".nist", ".wsq"):
            continue
        data = path.read_bytes()
        for start in re.finditer(rb"\xff\xa0\xff[\xa2-\xa8]", data):
            for length in lengths:
                stream = data[start.start() : start.start() + length]
                if stream.endswith(b"\xff\xa1"):
                    pixels = expected.get(hashlib.sha1(stream).hexdigest()[:12])
                    if pixels is not None:
                        found[stream] = pixels
    return found
