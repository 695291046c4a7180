"""Synthetic fingers on disk, with their truth: galleries of templates, or folders of images."""

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from pcc_match.datasets import minutiae
from pcc_match.datasets.frequencies import DATA
from pcc_match.datasets.minutiae import CAPTURES, FingerModel, Impressions
from pcc_match.datasets.patterns import PATTERNS
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.prints import FingerRecord
from pcc_match.output import complete_file, write_complete

Report = Callable[[int], object]

_FINGER_TRUTH = (
    *("id", "subject", "finger", "impression", "position", "pattern", "capture", "quality", "rotation"),
    *("minutiae", "spurious"),
)
_PRINT_TRUTH = (
    *("id", "subject", "finger", "impression", "position", "pattern", "minutiae", "rotation", "shift_x", "shift_y"),
    *("contact_width", "contact_height", "bend", "pressure", "dryness", "wetness", "noise", "scars"),
)


def write_fingers(
    folder: str | os.PathLike[str],
    count: int,
    seed: int,
    *,
    impressions: int = 2,
    progress: Report | None = None,
) -> list[Path]:
    """Fingers 0 to count - 1 as galleries; returns the paths of all that was written.

    gallery      a FingerGallery with the first impression of each finger
    probes       one with the other impressions, where there are any
    truth.csv    a row a print
    CARD.md      what is modelled; written last, so that its presence says that all is there
    progress(prints so far) is called after each batch. GalleryError where a gallery is there already.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "gallery", *([folder / "probes"] if impressions > 1 else [])]
    for path in paths:
        FingerGallery.create(path).close()
    done = 0
    with complete_file(folder / "truth.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_FINGER_TRUTH)
        for made in minutiae.impressions(count, seed, impressions=impressions):
            for path, rows in zip(paths, (made.impression == 0, made.impression > 0), strict=False):
                with FingerGallery.open(path, write=True) as gallery:
                    gallery.enrol([_record(made, row) for row in np.flatnonzero(rows).tolist()])
            writer.writerows(_truth_rows(made))
            done += len(made)
            if progress is not None:
                progress(done)
    lines = [
        f"{count:,} fingers, {impressions} impressions each, seed {seed}, version {minutiae.VERSION} of the model."
    ]
    lines += ["", "| parameter | value |", "|---|---|"]
    lines += [f"| {field.name} | {getattr(FingerModel(), field.name)} |" for field in fields(FingerModel)]
    lines += [f"| capture {number} | {asdict(capture)} |" for number, capture in enumerate(CAPTURES)]
    return [*paths, folder / "truth.csv", _card(folder, "CARD-minutiae.md", lines)]


def write_prints(
    folder: str | os.PathLike[str],
    count: int,
    seed: int,
    *,
    impressions: int = 2,
    progress: Report | None = None,
) -> list[Path]:
    """Fingers 0 to count - 1 as images; returns the paths of all that was written.

    images       `<finger>_<impression>.png`, 8-bit grey, 500 ppi; impressions count from 1
    templates    `<finger>_<impression>.fmr`, ISO/IEC 19794-2:2005: the true minutiae that lie in the contact
    truth.csv    a row an image
    CARD.md      what is modelled, and the versions that the pixels depend on; written last
    progress(images so far) is called after each finger. Each file appears when it is complete. PccError where OpenCV
    (extra `vision`) is missing.
    """
    from pcc_match.datasets import prints

    cv2 = prints.opencv()
    folder = Path(folder)
    images, templates = folder / "images", folder / "templates"
    for path in (images, templates):
        path.mkdir(parents=True, exist_ok=True)
    with complete_file(folder / "truth.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_PRINT_TRUTH)
        for finger in range(count):
            master = prints.master(seed, finger)
            for number in range(impressions):
                made = prints.impression(master, number)
                name = f"{finger:06}_{number + 1}"
                write_complete(images / f"{name}.png", cv2.imencode(".png", made.image)[1].tobytes())
                write_complete(templates / f"{name}.fmr", made.template.write())
                under = made.condition
                values = (
                    *(under.rotation, *under.shift, *under.contact, under.bend, under.pressure, under.dryness),
                    *(under.wetness, under.noise),
                )
                writer.writerow(
                    (
                        *(name, _subject(finger), finger, number + 1, master.position, master.pattern),
                        *(len(made.template), *(round(value, 3) for value in values), under.scars),
                    )
                )
            if progress is not None:
                progress((finger + 1) * impressions)
    lines = [
        f"{count:,} fingers, {impressions} impressions each, seed {seed}, version {prints.VERSION} of the model.",
        f"Pixels are those of OpenCV {cv2.__version__} and numpy {np.__version__}.",
    ]
    return [images, templates, folder / "truth.csv", _card(folder, "CARD-prints.md", lines)]


def _truth_rows(made: Impressions) -> Iterator[tuple[object, ...]]:
    """In the order of _FINGER_TRUTH."""
    ends = made.offsets.astype(np.int64)
    counts = ends[1:] - ends[:-1]
    spurious = np.bincount(np.repeat(np.arange(len(made)), counts)[made.origin < 0], minlength=len(made))
    fingers, numbers = made.finger.tolist(), made.impression.tolist()
    return zip(
        map(_id, fingers, numbers),
        map(_subject, fingers),
        fingers,
        numbers,
        made.position.tolist(),
        (PATTERNS[pattern] for pattern in made.pattern.tolist()),
        made.capture.tolist(),
        made.print_quality.tolist(),
        np.round(made.rotation * (360 / 65536), 2).tolist(),
        counts.tolist(),
        spurious.tolist(),
        strict=True,
    )


def _record(made: Impressions, row: int) -> FingerRecord:
    finger = int(made.finger[row])
    return FingerRecord(_id(finger, int(made.impression[row])), made.template(row), _subject(finger))


def _id(finger: int, impression: int) -> str:
    return f"F{finger:010}-{impression:03}"


def _subject(finger: int) -> str:
    return f"S{finger // 10:09}"


def _card(folder: Path, model: str, lines: list[str]) -> Path:
    """The card of the model, and of this data set."""
    path = folder / "CARD.md"
    with complete_file(path) as file:
        file.write((DATA.parent / model).read_text("utf-8") + "\n## This data set\n\n" + "\n".join(lines) + "\n")
    return path
