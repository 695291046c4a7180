"""Extraction: made-up ridges with known minutiae, images without any, real prints where they are there."""

import hashlib
import io
import json

import numpy as np
import pytest
from shared_data import shared

import pcc_match as pm
from pcc_match import _cpu
from pcc_match.cli import main
from pcc_match.finger.extract_records import sources
from pcc_match.itl import images


def ridges(minutiae, size=(400, 400), distance=9.0, turn=0.0, noise=0.0, curve=0.0):
    """A print by the phase model (Larkin, Fletcher, Optics Express 15 (2007)): straight ridges, and a turn of the phase
    about each minutia. minutiae: (x, y, +1 or -1). `turn` in degrees, `curve` bends the ridges."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(float)
    t = np.radians(turn)
    phase = 2 * np.pi / distance * (x * np.sin(t) + y * np.cos(t) + curve * (x - width / 2) ** 2 / width)
    for mx, my, sign in minutiae:
        phase += sign * np.arctan2(y - my, x - mx)
    grey = 128 - 100 * np.cos(phase) + np.random.default_rng(0).normal(0, 1, size) * noise
    return np.clip(grey, 0, 255).astype(np.uint8)


SPOTS = [(100, 120, 1), (200, 90, -1), (290, 150, 1), (120, 250, -1), (210, 220, 1), (300, 290, -1), (180, 310, 1)]


def found(template):
    minutiae = template.sets[0]
    return list(zip(minutiae.x.tolist(), minutiae.y.tolist(), (minutiae.angle * (360 / 256)).tolist(), strict=True))


@pytest.mark.parametrize("turn", [0, 30, 75, 90, 140])
@pytest.mark.parametrize("distance", [6.5, 9.0, 12.0])
def test_minutiae_are_found_where_they_are_and_no_others(turn, distance):
    template = pm.finger.extract(ridges(SPOTS, distance=distance, turn=turn, noise=30))
    points = found(template)
    for x, y, _ in SPOTS:
        assert min(np.hypot(px - x, py - y) for px, py, _ in points) < distance, (x, y)
    assert len(points) == len(SPOTS)
    for _, _, angle in points:  # along the ridges: the image is turned by `turn`, its y is down
        assert abs((angle - turn + 90) % 180 - 90) < 12


@pytest.mark.parametrize(("sign", "direction"), [(1, 0), (-1, 180)])
def test_directions_are_those_of_incits_378(sign, direction):
    # One more line lies to the right of (200, 200), or to the left. Whether a ridge ends there or the valley between
    # the branches of one: the direction is that of the line.
    ((x, y, angle),) = found(pm.finger.extract(ridges([(200, 200, sign)])))
    assert np.hypot(x - 200, y - 200) < 9
    assert abs((angle - direction + 180) % 360 - 180) < 12


def test_types_swap_with_the_grey_values():
    image = ridges(SPOTS, noise=10)
    here, there = (pm.finger.extract(i).sets[0] for i in (image, 255 - image))
    for x, y, angle, kind in zip(here.x, here.y, here.angle, here.type, strict=True):
        k = np.argmin(np.hypot(there.x - x.astype(float), there.y - y.astype(float)))
        assert {int(kind), int(there.type[k])} == {1, 2}
        assert abs((int(angle) - int(there.angle[k]) + 128) % 256 - 128) < 12


def test_one_image_one_template():
    y, x = np.mgrid[0:400, 0:400]
    steps = y * 10 + (x - 200) ** 2 // 40 + (y // 100) * (x // 100) * 25 + 6 * (x * y % 7)
    image = (np.abs(steps % 90 - 45) * 5).astype(np.uint8)  # of integers, so that it is the same everywhere
    level = _cpu.isa()
    try:
        for name in _cpu.available_isas():
            _cpu.set_isa(name)
            runs = [_cpu.extract_print(image[:side, :side].copy(), k) for side in (397, 400) for k in (0, 1)]
            digest = hashlib.sha256(b"".join(run["enhanced"].tobytes() + run["minutiae"].tobytes() for run in runs))
            assert len(runs[0]["minutiae"]) > 5
            # The same on every machine and at every level: a change of this is a change of all templates.
            assert digest.hexdigest()[:16] == "8415411fdd2c2688"
    finally:
        _cpu.set_isa(level)
    before = image.copy()
    assert pm.finger.extract(image) == pm.finger.extract(np.asfortranarray(image))
    np.testing.assert_array_equal(image, before)


def test_two_sets():
    template = pm.finger.extract(ridges(SPOTS, noise=60), sets=2, position=4)
    assert (len(template.sets), template.source, template.position) == (2, "pcc_match+pcc_match", 4)
    assert template.sets[0] == pm.finger.extract(ridges(SPOTS, noise=60)).sets[0]
    assert template.sets[0] != template.sets[1]


@pytest.mark.parametrize("ppi", [250, 1000])
def test_other_resolutions_give_the_same_minutiae(ppi):
    scale = ppi / 500
    image = ridges([(x * scale, y * scale, s) for x, y, s in SPOTS], (int(400 * scale),) * 2, 10 * scale, 20)
    template = pm.finger.extract(image, ppi)
    assert (template.width, template.height) == (400, 400)
    points = found(template)
    assert len(points) == len(SPOTS)
    for x, y, _ in SPOTS:
        assert min(np.hypot(px - x, py - y) for px, py, _ in points) < 10


def test_qualities_rank():
    clean, noisy = ridges(SPOTS), ridges(SPOTS, noise=120)
    half = np.where(np.arange(400)[:, None] < 200, clean, noisy)
    minutiae = pm.finger.extract(half).sets[0]
    assert list(minutiae.quality) == sorted(minutiae.quality, reverse=True)
    assert minutiae.quality[minutiae.y < 190].min() > minutiae.quality[minutiae.y > 210].max()
    assert pm.finger.examine(clean).quality > pm.finger.examine(noisy).quality + 20


def test_maps_of_an_examination():
    seen = pm.finger.examine(ridges(SPOTS, distance=8, turn=30))
    rows, columns = seen.mask.shape
    assert (rows, columns) == (50, 50)
    assert seen.skeleton.shape == seen.image.shape == (400, 400)
    assert np.nanmedian(seen.orientation) == pytest.approx(30, abs=2)
    assert np.nanmedian(seen.ridge_distance) == pytest.approx(8, abs=0.4)
    assert seen.mask[5:45, 5:45].all()
    assert np.isnan(seen.orientation[~seen.mask]).all()
    assert seen.singular_points == ()


@pytest.mark.parametrize(
    ("kind", "phase"), [("core", lambda r, a: r), ("delta", lambda r, a: r * abs(np.cos(1.5 * a)))]
)
def test_singular_points(kind, phase):
    """Circles, and three bundles of straight ridges that meet."""
    y, x = np.mgrid[-200:200, -200:200] + 0.5
    image = 128 - 100 * np.cos(2 * np.pi / 9 * phase(np.hypot(x, y), np.arctan2(y, x)))
    points = pm.finger.examine(image.astype(np.uint8)).singular_points
    assert {p.kind for p in points if np.hypot(p.x - 200, p.y - 200) < 40} == {kind}


def test_nothing_to_extract_is_said():
    random = np.random.default_rng(1)
    for image, reason in (
        (np.zeros((300, 300), np.uint8), "grey value 0"),
        (np.full((300, 300), 255, np.uint8), "grey value 255"),
        (np.zeros((1, 1), np.uint8), "1 x 1 pixels at 500 ppi is too small"),
        (ridges([], (20, 400)), "400 x 20 pixels at 500 ppi is too small"),
        (random.integers(0, 256, (300, 300)).astype(np.uint8), "no minutiae"),
        (ridges([]), "no end or fork"),
    ):
        seen = pm.finger.examine(image, sets=2)
        assert len(seen.template) < 5
        if not len(seen.template):
            assert reason in seen.template.problems[0]
            assert seen.quality == 0


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (7, 7), (33, 65), (64, 31), (129, 640), (8, 8)])
def test_any_size(shape):
    image = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    for any_image in (image, np.where(image > 128, 255, 0).astype(np.uint8), ridges([], shape)):
        minutiae = pm.finger.extract(any_image, sets=2).sets
        for one in minutiae:
            assert ((one.x >= 0) & (one.x < shape[1]) & (one.y >= 0) & (one.y < shape[0])).all()


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.zeros((50, 50)), {}, "float64"),
        (np.full((50, 50), np.nan), {}, "float64"),
        (np.zeros((50, 50), np.uint16), {}, "uint16"),
        (np.zeros((50, 50, 3), np.uint8), {}, r"\(50, 50, 3\)"),
        (np.zeros((0, 50), np.uint8), {}, "50 x 0"),
        ([[1, 2], [3, 4]], {}, "list"),
        (np.zeros((50, 50), np.uint8), {"ppi": 0}, "ppi"),
        (np.zeros((50, 50), np.uint8), {"ppi": float("nan")}, "ppi"),
        (np.zeros((50, 50), np.uint8), {"ppi": None}, "ppi"),
        (np.zeros((50, 50), np.uint8), {"sets": 3}, "1 or 2"),
        (np.zeros((50, 50), np.uint8), {"position": 99}, "position"),
        (np.zeros((2, 20000), np.uint8), {}, "16383"),
        (np.zeros((9000, 9000), np.uint8), {"ppi": 250}, "18000 x 18000"),
    ],
)
def test_what_is_no_print_is_refused(image, options, words):
    with pytest.raises(pm.TemplateError, match=words):
        pm.finger.extract(image, **options)


# ---- slaps


def slap(tops=(200, 100, 120, 240), gap=260, distance=9.0):
    """Four ovals of ridges on white, each with three minutiae."""
    image = np.full((700, 1200), 255, np.uint8)
    y, x = np.mgrid[0:360, 0:220]
    oval = ((x - 110) / 100) ** 2 + ((y - 180) / 170) ** 2 < 1
    for k, top in enumerate(tops):
        print_ = ridges([(80, 120, 1), (140, 180, -1), (90, 250, 1)], (360, 220), distance, 10 * k)
        part = image[top : top + 360, 30 + gap * k : 250 + gap * k]
        part[oval] = print_[oval]
    return image


@pytest.mark.parametrize(("position", "expected"), [(13, [2, 3, 4, 5]), (14, [10, 9, 8, 7])])
def test_fingers_of_a_slap(position, expected):
    fingers = pm.finger.examine_slap(slap(), 500, position, sets=2)
    assert [f.template.position for f in fingers] == expected
    for k, (finger, top) in enumerate(zip(fingers, (200, 100, 120, 240), strict=True)):
        assert abs(finger.left - (40 + 260 * k)) < 30
        assert abs(finger.top - (top + 10)) < 30
        points = found(finger.template)
        assert len(finger.template.sets) == 2
        for x, y in ((80, 120), (140, 180), (90, 250)):
            x, y = x + 30 + 260 * k - finger.left, y + top - finger.top
            assert min(np.hypot(px - x, py - y) for px, py, _ in points) < 12


def test_fingers_that_touch_are_parted():
    assert [t.position for t in pm.finger.extract_slap(slap(gap=212), position=13)] == [2, 3, 4, 5]


def test_missing_fingers():
    image = slap()
    image[:, 550:780] = 255
    (unknown, *_) = three = pm.finger.extract_slap(image, position=13)
    assert len(three) == 3
    assert unknown.position == 0
    assert "3 fingers were found, not 4" in unknown.problems[0]
    assert [t.position for t in pm.finger.extract_slap(image, position=13, missing=[4])] == [2, 3, 5]
    assert pm.finger.extract_slap(np.full((500, 500), 255, np.uint8), position=14) == ()
    with pytest.raises(pm.TemplateError, match="position 2 is no image of several"):
        pm.finger.extract_slap(image, position=2)
    with pytest.raises(pm.TemplateError, match="does not show"):
        pm.finger.extract_slap(image, position=13, missing=[7])


# ---- files and the command line


def test_command_line(tmp_path, capsys):
    from PIL import Image

    image = ridges(SPOTS, noise=20)
    (tmp_path / "a.wsq").write_bytes(images.encode_wsq(image, 500))
    Image.fromarray(image).save(tmp_path / "b.tif", dpi=(500, 500))
    Image.fromarray(np.stack([image] * 3, axis=2)).save(tmp_path / "c.png", dpi=(72, 72))
    (tmp_path / "d.png").write_bytes(b"no image")
    files = [str(tmp_path / name) for name in ("a.wsq", "b.tif", "c.png", "d.png", "e.png")]
    out, png, report = tmp_path / "out", tmp_path / "p.png", tmp_path / "r.jsonl"
    arguments = ["--out", str(out), "--png", str(png), "--json", str(report), "--sets", "2", "--position", "3"]
    assert main(["finger", "extract", *files, *arguments]) == 1  # two of them are no images
    errors = capsys.readouterr().err
    assert "d.png: neither an image" in errors
    assert "e.png" in errors
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["name"] for line in lines] == ["a", "b", "c"]
    for line in lines:
        template = pm.FingerTemplate.read(line["template"])
        assert [len(s) for s in template.sets] == line["minutiae"]
        assert template.position == line["position"] == 3
        assert len(template.sets[0]) == len(SPOTS)
        with Image.open(io.BytesIO((tmp_path / f"p-{line['name']}.png").read_bytes())) as drawing:
            assert drawing.size == (800, 800)
            pixels = np.asarray(drawing)
            assert all((pixels == colour).all(axis=2).any() for colour in ((0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)))
    assert pm.FingerTemplate.read(out / "b.fmr").sets == pm.FingerTemplate.read(out / "c.fmr").sets


def test_more_minutiae_than_the_format_holds(tmp_path):
    from PIL import Image

    Image.fromarray(np.tile(ridges(SPOTS, noise=30), (6, 6))).save(tmp_path / "palm.png")
    assert main(["finger", "extract", str(tmp_path / "palm.png"), "--out", str(tmp_path)]) == 0
    assert len(pm.FingerTemplate.read(tmp_path / "palm.fmr")) == 255


# ---- real prints


def test_directions_agree_with_those_of_other_extractors():
    folder = shared("data/finger")
    if folder is None:
        pytest.skip("the shared fingerprint data are not there")
    turned = []
    for name in ("fvc2002_DB1_B", "fvc2004_DB3_B"):
        own = pm.finger.extract(images.decode((folder / "images" / name / "103_2.png").read_bytes())).sets[0]
        other = pm.FingerTemplate.read(folder / "templates" / "fingerjet" / name / "103_2.iso").sets[0]
        for x, y, angle in zip(own.x, own.y, own.angle, strict=True):
            apart = np.hypot(other.x - float(x), other.y - float(y))
            if apart.min() < 8:
                turned.append(abs((int(angle) - int(other.angle[apart.argmin()]) + 128) % 256 - 128))
    assert len(turned) > 30
    assert np.mean(np.array(turned) < 32) > 0.85


def test_accuracy_on_real_prints():
    folder = shared("data/finger/images")
    if folder is None:
        pytest.skip("the shared fingerprint images are not there")
    mated, non_mated = [], []
    for name in sorted(path.name for path in folder.iterdir()):
        prints = [
            pm.finger.extract(images.decode((folder / name / f"{finger}_{k}.png").read_bytes()), sets=1)
            for finger in (102, 105, 108)
            for k in (1, 2, 3)
        ]
        scores = np.asarray(pm.score_matrix(prints, prints))
        same = np.arange(9)[:, None] // 3 == np.arange(9)[None, :] // 3
        upper = np.triu(np.ones((9, 9), bool), 1)
        mated.append(scores[upper & same])
        non_mated.append(scores[upper & ~same])
    mated, non_mated = np.concatenate(mated), np.concatenate(non_mated)
    assert (len(mated), len(non_mated)) == (36, 108)
    assert np.mean(mated > non_mated.max()) >= 0.85


def test_a_real_card():
    """Its slaps' fingers are those of its rolled prints."""
    folder = shared("data/itl/nist_reference")
    if folder is None:
        pytest.skip("the shared transactions are not there")
    card = list(sources(folder / "type-4-tpcard.an2"))
    assert [source.position for source in card] == [*range(1, 11), 14, 12, 11, 13]
    fingers = [found for source in card if source.position in (13, 14) for found in source.prints()]
    assert [f.template.position for f in fingers] == [10, 9, 8, 7, 2, 3, 4, 5]
    rolled = [card[k].prints()[0].template for k in (2, 6, 9)]
    assert [template.position for template in rolled] == [3, 7, 10]
    scores = np.asarray(pm.score_matrix([f.template for f in fingers], rolled)).astype(int)
    for column, template in enumerate(rolled):
        assert fingers[int(scores[:, column].argmax())].template.position == template.position


def test_templates_of_records():
    folder = shared("data/itl/nist_reference")
    if folder is None:
        pytest.skip("the shared transactions are not there")
    latent, exemplar = [r for r in pm.itl.read(folder / "type-13-14-latent-match.an2") if r.type in (13, 14)]
    template = pm.FingerTemplate.from_itl(exemplar)
    assert (template.position, template.source) == (8, "pcc_match")
    assert len(template) > 40
    assert template == pm.finger.templates_of(exemplar)[0]
    assert pm.FingerTemplate.from_itl(latent).position == 8
    slaps = [r for r in pm.itl.read(folder / "type-14-amp-nqm-utf8.an2") if r.type == 14]
    assert [t.position for t in pm.finger.templates_of(slaps[2])] == [10, 8, 7]  # 14.018: 9 is missing
    with pytest.raises(pm.TemplateError, match="shows 3 fingers"):
        pm.FingerTemplate.from_itl(slaps[2])
    with pytest.raises(pm.TemplateError, match="not in Type-1"):
        pm.FingerTemplate.from_itl(pm.itl.read(folder / "type-14-amp-nqm-utf8.an2").header)
