"""Minutiae templates of five formats: golden values of other programs, damaged bytes, what a format cannot hold."""

import json
from pathlib import Path
from random import Random

import pytest
from shared_data import shared

from pcc_match.errors import TemplateError
from pcc_match.itl.minutiae import Frame, Minutia, Minutiae
from pcc_match.itl.templates import Template, View, read_template

GOLDEN = {
    "ansi378v2004": "ansi-2004",
    "ansi378v2009": "ansi-2009",
    "ansi378v2009am1": "ansi-2009-am1",
    "iso19794p2v2005": "iso-2005",
    "iso19794p2v2011": "iso-2011",
}
POSITIONS = {"LEFT_INDEX": 7, "RIGHT_INDEX": 2}
TYPES = {"ENDING": 1, "BIFURCATION": 2}


def sample(part: str) -> Path:
    folder = shared("data/itl")
    if folder is None:
        pytest.skip("the shared test data are not here")
    return folder / part


@pytest.mark.parametrize("name", GOLDEN)
def test_values_of_fingerprintio(name):
    path = sample(f"templates/fingerprintio-java/com/machinezoo/fingerprintio/{name}/{name}-sample.dat")
    golden = json.loads(path.with_suffix(".json").read_text())
    template = read_template(path.read_bytes())
    assert template.format == GOLDEN[name]
    assert len(template.views) == len(golden["fingerprints"])
    for view, expected in zip(template.views, golden["fingerprints"], strict=True):
        minutiae = view.minutiae
        assert minutiae.positions == (POSITIONS[expected["position"]],)
        assert minutiae.quality == (expected["qrecords"][0] if "qrecords" in expected else expected)["quality"]
        size = expected if "width" in expected else golden
        frame = Frame(size["width"], size["height"], 2, size["resolutionX"], size["resolutionY"])
        assert minutiae.frame == frame
        values = [(m["positionX"], m["positionY"], m["angle"], m["quality"]) for m in expected["minutiae"]]
        assert [original[1:] for original in minutiae.originals] == values
        types = [TYPES.get(m["type"], 0) for m in expected["minutiae"]]
        assert minutiae.type.tolist() == types
        unit = 2 if name.startswith("ansi") else 360 / 256
        assert minutiae.angle.tolist() == [angle * unit % 360 for _, _, angle, _ in values]
        assert minutiae.x.tolist() == pytest.approx([x * 500 / (197 * 2.54) for x, _, _, _ in values])
        edges = (expected["counts"] or {}).get("edges", [])
        assert [(c.centre, c.neighbour, c.ridges) for c in minutiae.ridge_counts] == [
            (edge["from"], edge["to"], edge["count"]) for edge in edges
        ]
        assert [kind for kind, _ in view.extensions] == [extension["type"] for extension in expected["extensions"]]


def test_nists_own_samples_are_written_back():
    for part in (
        "libbiomeval/fmr.ansi2007",
        "templates/biomdi/Sampledata/fingerminutia/ANSI-INCITS-378_2004/Appendix-B2_Example.raw",
    ):
        data = sample(part).read_bytes()
        assert bytes(read_template(data, strict=True)) == data


def test_nists_samples_with_wrong_lengths_are_read_and_named():
    iso = read_template(sample("libbiomeval/fmr.iso2005").read_bytes())
    assert [len(view.minutiae) for view in iso.views] == [27, 22]
    assert iso.problems
    ansi = read_template(sample("libbiomeval/fmr.ansi2004").read_bytes())
    assert [len(view.minutiae) for view in ansi.views] == [27, 22, 28]
    third = ansi.views[2].minutiae
    assert [core.angle for core in third.cores] == [180, 90]
    assert third.deltas[0].angles == (200, 220, 240)
    assert len(third.ridge_counts) == 224
    with pytest.raises(TemplateError, match="byte 517"):
        read_template(sample("libbiomeval/fmr.ansi2004").read_bytes(), strict=True)


def own_template(name: str = "iso-2005") -> bytes:
    minutiae = Minutiae.of(
        [Minutia(10.0 * i, 20.0 * i, 3.0 * i, "ridge_ending", i) for i in range(20)], Frame(400, 500)
    )
    return bytes(Template(name, (View(minutiae),)))


@pytest.mark.parametrize("name", ["ansi-2004", "ansi-2007", "ansi-2009", "ansi-2009-am1", "iso-2005", "iso-2011"])
def test_damaged_templates_raise_nothing_but_template_errors(name):
    data = own_template(name)
    rng = Random(1)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(data[: rng.choice((len(data), rng.randrange(len(data))))])
        for _ in range(rng.randint(0, 3)):
            if damaged:
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            views = read_template(bytes(damaged)).views
        except TemplateError:
            refused += 1
        else:
            assert all(len(view.minutiae.originals) == len(view.minutiae) for view in views)
    assert 500 < refused < 3000


def test_strict_refuses_wrong_lengths():
    data = own_template()
    assert read_template(data, strict=True).problems == ()
    assert "behind" in read_template(data + b"\0").problems[0]
    with pytest.raises(TemplateError, match="byte 8"):
        read_template(data[:8] + b"\0\0\0\x10" + data[12:], strict=True)
    with pytest.raises(TemplateError, match="FMR"):
        read_template(b"")
    with pytest.raises(TemplateError, match="version"):
        read_template(b"FMR\0 99\0" + data[8:])


def test_what_a_format_cannot_hold_is_refused():
    def template(minutiae, name="iso-2005"):
        return Template(name, (View(minutiae),))

    with pytest.raises(TemplateError, match="255"):
        bytes(template(Minutiae.of([Minutia(1, 1, 0, "other", 0)] * 256)))
    with pytest.raises(TemplateError, match="16384"):
        bytes(template(Minutiae.of([Minutia(20000, 1, 0, "other", 0)])))
    with pytest.raises(TemplateError, match="none"):
        bytes(template(Minutiae.of([]), "none"))
    with pytest.raises(TemplateError, match="views"):
        bytes(Template("iso-2005", ()))
    mixed = (View(Minutiae.of([], Frame(1, 1))), View(Minutiae.of([], Frame(2, 2))))
    with pytest.raises(TemplateError, match="size or scale"):
        bytes(Template("ansi-2004", mixed))
    assert len(read_template(bytes(Template("iso-2011", mixed))).views) == 2


def test_a_template_over_64_kilobytes_has_the_long_header():
    minutiae = Minutiae.of([Minutia(5, 6, 7, "other", 0)] * 255)
    data = bytes(Template("ansi-2004", tuple(View(minutiae, number % 16) for number in range(50))))
    assert data[8:10] == b"\0\0"
    assert len(read_template(data, strict=True).views) == 50
