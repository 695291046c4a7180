"""Synthetic prints: repeatable, like prints, and with minutiae where the truth says; data sets on disk."""

import csv
import subprocess
import sys

import numpy as np
import pytest

import pcc_match as pm
from pcc_match import cli
from pcc_match.datasets import prints
from pcc_match.datasets.finger_files import write_fingers
from pcc_match.datasets.minutiae import impressions, templates
from pcc_match.datasets.prints import Condition

cv2 = pytest.importorskip("cv2")
CLEAN = Condition(width=480, height=600, bend=0, noise=0, contact=(1.6, 1.6))


@pytest.fixture(scope="module")
def finger():
    return prints.master(7, 2)


def test_a_seed_gives_the_same_picture_again(finger):
    again = prints.master(7, 2)
    assert np.array_equal(again.ridges, finger.ridges)
    for take in (prints.impression, prints.latent):
        first, second, other = take(finger, 0), take(again, 0), take(finger, 1)
        assert np.array_equal(first.image, second.image)
        assert first.template == second.template
        assert first.image.dtype == np.uint8
        assert not np.array_equal(first.image, other.image)
    assert not np.array_equal(prints.master(8, 2).ridges, finger.ridges)


def test_a_master_has_ridges_of_a_finger_and_the_pattern_of_its_minutiae(finger):
    (made,) = impressions(1, 7, first=2)
    assert finger.pattern == prints.PATTERNS[made.pattern[0]]
    assert finger.position == 3
    assert (len(finger.cores), len(finger.deltas)) in {(0, 0), (1, 1), (2, 2)}
    assert finger.ridges.shape == (prints.HEIGHT, prints.WIDTH)
    power = np.abs(np.fft.fft2(finger.ridges)) ** 2
    frequency = np.hypot(np.fft.fftfreq(prints.HEIGHT)[:, None], np.fft.fftfreq(prints.WIDTH))
    power, frequency = power[frequency > 0], frequency[frequency > 0]
    assert 7.5 < 1 / np.average(frequency, weights=power) < 10.5  # pixels from ridge to ridge
    assert 25 < len(finger.x) < 130
    assert set(finger.type.tolist()) == {1, 2}


def test_true_minutiae_lie_at_the_ends_and_forks_of_the_picture(finger):
    """An ending points back along its ridge, a fork into its valley: dark ahead of an ending, light behind it."""
    made = prints.impression(finger, 0, CLEAN)
    (minutiae,) = made.template.sets
    dark = 255 - cv2.GaussianBlur(made.image, (0, 0), 1.5).astype(float)
    turn = minutiae.angle * (2 * np.pi / 256)

    def at(step):
        x, y = np.rint(minutiae.x + step * np.cos(turn)), np.rint(minutiae.y - step * np.sin(turn))
        return dark[y.astype(int).clip(0, 599), x.astype(int).clip(0, 479)]

    ending = minutiae.type == 1
    assert (at(5) > at(-5))[ending].mean() > 0.9
    assert (at(5) < at(-5))[~ending].mean() > 0.9


def test_truth_moves_with_the_impression(finger):
    straight = prints.impression(finger, 0, CLEAN)
    turned = prints.impression(finger, 0, Condition(480, 600, rotation=90, bend=0, noise=0, contact=(1.6, 1.6)))
    (a,), (b,) = straight.template.sets, turned.template.sets
    _, of_a, of_b = np.intersect1d(straight.origin, turned.origin, return_indices=True)
    assert len(of_a) > 20
    # 90 degrees counter-clockwise about the middle: right goes up.
    assert np.abs((b.x[of_b] - 240.0) - (a.y[of_a] - 300.0)).max() <= 2
    assert np.abs((b.y[of_b] - 300.0) + (a.x[of_a] - 240.0)).max() <= 2
    off = (b.angle[of_b].astype(int) - a.angle[of_a] - 64 + 128) % 256 - 128
    assert np.abs(off).max() <= 3


def test_bad_conditions_show_less(finger):
    fair, dry = Condition(), Condition(dryness=0.9)
    assert prints.impression(finger, 0, fair).template.sets[0].quality.mean() > 20 + np.mean(
        prints.impression(finger, 0, dry).template.sets[0].quality
    )
    part = prints.impression(finger, 0, Condition(contact=(0.5, 0.4)))
    assert len(part.template) < 0.5 * len(prints.impression(finger, 0, fair).template)
    latent = prints.latent(finger, 0)
    assert latent.image.shape == (512, 512)
    assert len(latent.template) < len(finger.x)


def test_impressions_of_one_finger_are_alike(finger):
    other = prints.master(7, 3)
    a, b, c = (prints.impression(f, k).template for f, k in ((finger, 0), (finger, 1), (other, 0)))
    assert pm.compare(a, b).score > 4 * pm.compare(a, c).score


def test_synth_prints_writes_images_templates_and_truth(tmp_path):
    assert cli.main(["synth", "prints", "--count", "1", "--seed", "5", "--out", str(tmp_path / "set")]) == cli.DONE
    names = ["000000_1", "000000_2"]
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["CARD.md", "images", "templates", "truth.csv"]
    with (tmp_path / "set" / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == names
    assert sorted(path.stem for path in (tmp_path / "set" / "images").iterdir()) == names
    made = prints.impression(prints.master(5, 0), 1)
    assert np.array_equal(cv2.imread(str(tmp_path / "set/images/000000_2.png"), cv2.IMREAD_UNCHANGED), made.image)
    template = pm.FingerTemplate.read(tmp_path / "set/templates/000000_2.fmr", strict=True)
    assert template.sets == made.template.sets
    assert int(rows[1]["minutiae"]) == len(template)
    card = (tmp_path / "set" / "CARD.md").read_text("utf-8")
    assert "seed 5" in card
    assert f"OpenCV {cv2.__version__}" in card


def test_synth_finger_writes_galleries_whose_prints_are_those_of_the_seed(tmp_path):
    arguments = ["--count", "30", "--seed", "5", "--impressions", "3", "--out", str(tmp_path / "set")]
    assert cli.main(["synth", "finger", *arguments]) == cli.DONE
    with (tmp_path / "set" / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90
    expected = list(templates(30, 5, impressions=3))
    gallery, probes = (pm.FingerGallery.open(tmp_path / "set" / name) for name in ("gallery", "probes"))
    assert (len(gallery), len(probes)) == (30, 60)
    for row, template in zip(rows, expected, strict=True):
        record = (gallery if row["impression"] == "0" else probes).record(row["id"])
        assert record.template == template
        assert record.subject == row["subject"]
        assert int(row["minutiae"]) == len(template)
    assert {row["subject"] for row in rows} == {"S000000000", "S000000001", "S000000002"}
    assert 0 < sum(int(row["spurious"]) for row in rows) < sum(int(row["minutiae"]) for row in rows) / 2
    with pytest.raises(pm.GalleryError, match="gallery"):
        write_fingers(tmp_path / "set", 30, 5)


def test_the_package_loads_without_opencv():
    code = "import sys; import pcc_match.datasets.prints; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
