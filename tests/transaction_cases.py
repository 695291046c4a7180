"""Dactyloscopic transactions: small synthetic prints, and golden transactions written as text (tests/golden/*.txt).

# ...                 a comment: the paragraph that a line follows
1.004:CPS             a field; {US} and {RS} stand for the separators, {LF} for a line feed
4: 00000cf2 01 ...    a binary record: bytes in hexadecimal
{print.wsq}           the bytes of that file, within a line
{FS}                  ends a tagged record
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from prints import ridges

from pcc_match import itl
from pcc_match.finger import FingerTemplate

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
SEPARATORS = {"{US}": "\x1f", "{RS}": "\x1e", "{LF}": "\n"}
PRINT = (GOLDEN / "print.wsq").read_bytes()  # ridges(160, 200) by our encoder, 10:1


def golden(name: str) -> bytes:
    """The bytes that a golden text stands for."""
    records, fields = [], []
    for line in (GOLDEN / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        if re.match(r"\d+: ", line):
            records.append(b"".join(_bytes(word) for word in line.split()[1:]))
        elif line == "{FS}":
            records.append(b"\x1d".join(fields) + b"\x1c")
            fields = []
        else:
            parts = re.split(r"(\{[\w.]+\})", line)
            fields.append(b"".join(SEPARATORS.get(part, "").encode() or _text(part) for part in parts))
    assert not fields
    return b"".join(records)


def _text(part: str) -> bytes:
    return (GOLDEN / part[1:-1]).read_bytes() if part.startswith("{") else part.encode()


def _bytes(word: str) -> bytes:
    return _text(word) if word.startswith("{") else bytes.fromhex(word)


def tenprint(positions=(1, 2), reference: str = "HU/77", image: bytes = PRINT) -> itl.Transaction:
    """A stored transaction of a modern version: fingers as Type-14 records."""
    header = {"TOT": "CAR", "DAT": "20240229", "DAI": "HU/A", "ORI": "HU/A", "TCN": "1", "NSR": "19.69", "NTR": "19.69"}
    fields = {"IMP": 1, "SRC": "HU/A", 5: "20240229", **itl.image_fields(14, image, 500)}
    records = [(14, {**fields, 13: position}) for position in positions]
    return itl.Transaction.build(header, [(2, {10: reference}), *records])


def latent(template: FingerTemplate | None = None, case: str = "HU/C1", position: int = 0) -> itl.Transaction:
    """A stored latent, with its minutiae where a template is given."""
    header = {"TOT": "LFS", "DAT": "20240229", "DAI": "HU/A", "ORI": "HU/A", "TCN": "1", "NSR": "19.69", "NTR": "19.69"}
    fields = {"IMP": 7, "SRC": "HU/A", 5: "20240229", **itl.image_fields(13, PRINT, 500), 13: position, 2: 1}
    records = [(2, {7: case}), (13, fields)]
    if template is not None:
        minutiae = template.sets[0]
        columns = np.empty(len(minutiae), itl.minutiae.COLUMNS)
        columns["x"], columns["y"], columns["angle"] = minutiae.x, minutiae.y, minutiae.angle * (360 / 256)
        columns["type"], columns["quality"] = minutiae.type, minutiae.quality
        frame = itl.minutiae.Frame(200, 160, 1, 500, 500)
        made = itl.Minutiae(columns, frame=frame, positions=(position,), impression=7)
        records.insert(1, (9, {**itl.type9_fields(made, "m1"), 2: 1}))
    return itl.Transaction.build(header, records)


def minutiae(count: int, seed: int, position: int = 0) -> FingerTemplate:
    """So many minutiae at random within 200 x 160 pixels."""
    rng = np.random.default_rng(seed)
    return FingerTemplate.from_minutiae(
        rng.integers(0, 200, count), rng.integers(0, 160, count), rng.integers(0, 180, count) * 2,
        type=rng.integers(0, 3, count), quality=rng.integers(1, 100, count), position=position, width=200, height=160,
    )  # fmt: skip


def make_print() -> bytes:
    """What print.wsq was made with."""
    return itl.images.encode_wsq(ridges(160, 200), ratio=10)
