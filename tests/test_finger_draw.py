"""The drawing of a comparison: every pair is there, numbered, in both prints; SVG and PNG can be opened."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from made_up_fingers import finger, impression
from PIL import Image
from prints import ridges

import pcc_match as pm
from pcc_match.errors import PccError, TemplateError
from pcc_match.finger import Comparison, FingerTemplate

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return pm.finger.compare(finger(1), impression(finger(1), 2))


def test_pairs_are_numbered_in_both_prints(comparison: Comparison) -> None:
    drawing = ET.fromstring(comparison.to_svg(titles=("probe <1>", "reference & co")))
    texts = ["".join(element.itertext()) for element in drawing.iter(f"{SVG}text")]
    pairs = len(comparison.best.paired)
    assert pairs > 10
    assert sorted(text for text in texts if text.isdigit()) == sorted(map(str, [*range(1, pairs + 1)] * 2))
    assert {"probe <1>", "reference & co"} <= set(texts)
    assert any(f"score {comparison.score}: {pairs} minutiae paired" in text for text in texts)
    marks = len(list(drawing.iter(f"{SVG}circle"))) + sum(
        element.get("fill") == "none" for element in drawing.iter(f"{SVG}rect")
    )
    assert marks == len(comparison.a) + len(comparison.b)


def test_images_lie_under_the_minutiae(comparison: Comparison) -> None:
    image = ridges(500, 400)
    drawing = comparison.to_svg(image, np.dstack([image] * 3))
    stored = re.findall(r'href="data:image/png;base64,([^"]*)"', drawing)
    assert len(stored) == 2
    for data in stored:
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert np.array_equal(shown, 128 + image // 2)
    with pytest.raises(TemplateError, match="not \\(height, width\\)"):
        comparison.to_svg(np.zeros(5, np.uint8))


def test_the_same_as_png(comparison: Comparison) -> None:
    for images in ((), (ridges(500, 400), None)):
        picture = Image.open(io.BytesIO(comparison.to_png(*images, width=700)))
        assert picture.format == "PNG"
        assert picture.width == 700
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        assert len(np.unique(colours, axis=0)) > 100
        assert (colours.min(axis=1) > 240).mean() > 0.3  # light ground


@pytest.mark.parametrize("count", [0, 1, 2])
def test_prints_with_hardly_anything_in_them(count: int) -> None:
    few = FingerTemplate(finger(1, count).sets)
    comparison = pm.finger.compare(few, finger(2))
    assert ET.fromstring(comparison.to_svg()) is not None
    assert comparison.to_png(width=300)


def test_without_pillow(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(PccError, match=r"pip install 'pcc_match\[images\]'"):
        comparison.to_png()
    assert comparison.to_svg()
