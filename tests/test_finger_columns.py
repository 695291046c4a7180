"""Packed fingers: the same bytes everywhere, and tables that are what they say."""

import hashlib
import math
import re
from dataclasses import fields

import numpy as np
import pytest
from finger_cases import SIZES, degenerate, finger
from shared_data import ROOT

import pcc_match as pm
from pcc_match.finger import FingerColumns

GOLDEN = "20602112966d0ccd191dbc74bce8d2488b230abba7e1afc026f3d3dd2cccd369"


def digest(columns):
    sha = hashlib.sha256()
    for field in fields(columns):
        values = getattr(columns, field.name)
        sha.update(repr(values).encode() if field.name == "sources" else np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()


def cases():
    """Of whole numbers, so that they are the same on every machine."""
    state, prints = 1, []

    def draw(count, most):
        nonlocal state
        values = []
        for _ in range(count):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            values.append((state >> 33) % most)
        return np.array(values)

    for count in SIZES:
        x, y, angle, quality = (draw(count, most) for most in (480, 500, 256, 101))
        prints.append(
            pm.FingerTemplate.from_minutiae(
                x, y, angle * (360 / 256), quality=quality, position=count % 11, source="made"
            )
        )
    return [*prints, *degenerate(), pm.FingerTemplate.join(prints[0], prints[6])]


def test_the_same_minutiae_give_the_same_bytes_on_every_machine():
    assert digest(FingerColumns.pack(cases())) == GOLDEN


def tables():
    text = (ROOT / "csrc" / "finger_tables.h").read_text()
    return {
        name: np.array([int(v) for v in re.findall(r"-?\d+", body)])
        for name, body in re.findall(r"(\w+)\[\d+\] = \{(.*?)\};", text, re.S)
    } | {"kThreshold": int(re.search(r"kThreshold = (\d+)", text)[1])}


def test_tables_are_their_formulas():
    if not (ROOT / "csrc").is_dir():
        pytest.skip("the sources are not here")
    made, sigma, spread = tables(), 28 / 3, 0.6
    assert np.abs(made["kCosine"] - [16384 * math.cos(k * math.pi / 128) for k in range(256)]).max() <= 0.51
    assert np.abs(made["kNear"] - [4095 * math.exp(-d / (2 * sigma**2)) for d in range(784)]).max() <= 0.51
    half = math.pi / 6

    def below(angle):
        return 0.5 * (1 + math.erf(angle / (spread * math.sqrt(2))))

    parts = [4096 * (below(a + half) - below(a - half)) for a in (2 * math.pi * k / 768 for k in range(385))]
    assert np.abs(made["kPart"] - parts).max() <= 0.51
    assert made["kThreshold"] == round(0.006 * sigma * math.sqrt(2 * math.pi) * 4095 * 4096)


def test_a_row_is_a_template_again():
    columns = FingerColumns.pack(cases())
    again = FingerColumns.pack([columns.template(row) for row in range(len(columns))])
    assert digest(again) == digest(columns)
    template = finger(30, 1, position=4, width=500, height=510, source="made")
    row = FingerColumns.pack([template]).template(0)
    assert (row.position, row.width, row.height, row.source) == (4, 500, 510, "made")
    assert len(row) == 30


def test_take_and_concat():
    prints = cases()
    columns = FingerColumns.pack(prints)
    order = np.random.default_rng(1).permutation(len(prints))
    assert digest(columns.take(order)) == digest(
        FingerColumns.pack([prints[0], *(prints[k] for k in order)]).take(order * 0 + np.arange(len(order)) + 1)
    )
    parts = [columns.take(np.arange(0, 5)), columns.take(np.arange(5, 5)), columns.take(np.arange(5, len(prints)))]
    assert digest(FingerColumns.concat(parts)) == digest(columns)
    assert len(FingerColumns.concat([])) == len(FingerColumns.pack([])) == 0


def test_of_too_many_minutiae_the_best_are_kept():
    quality = np.arange(255) % 100 + 1
    x, y = np.divmod(np.arange(255), 16)
    for spacing, kept in ((30, 128), (10, 64)):
        template = pm.FingerTemplate.from_minutiae(x * spacing, y * spacing, x * 20, quality=quality)
        columns = FingerColumns.pack([template])
        assert columns.count.tolist() == [kept]
        assert columns.template(0).sets[0].quality.min() >= np.sort(quality)[-kept]


def test_columns_that_do_not_fit_are_refused():
    columns = FingerColumns.pack([finger(20, 1)])
    with pytest.raises(ValueError, match="words has the wrong length"):
        _ = FingerColumns(
            **{f.name: getattr(columns, f.name) for f in fields(columns)} | {"words": columns.words[1:]}
        ).engine
    with pytest.raises(ValueError, match="do not fit"):
        _ = FingerColumns(
            **{f.name: getattr(columns, f.name) for f in fields(columns)} | {"count": columns.count + np.uint8(9)}
        ).engine
