"""Fingerprints evaluated: probes compared with all prints of a gallery, and what came out held against the truth."""

import csv
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import GalleryError, PccError, TemplateError
from pcc_match.evaluation.histograms import I64
from pcc_match.evaluation.measures import measure
from pcc_match.evaluation.report import peak_memory_mib, source
from pcc_match.evaluation.trials import Trials, run
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.compare import compare, score_matrix
from pcc_match.finger.devices import described, open_scorer
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.palms import PLACE, comparable
from pcc_match.finger.template import FingerTemplate
from pcc_match.gallery.store import MANIFEST

INDEX = "index.csv"  # of a folder of templates, as `gallery export` writes it
_LEAST = 3  # minutiae of a usable print: fewer score 0
_NOTHING = FingerTemplate.from_minutiae([], [], [])
_IMAGES = (".png", ".wsq", ".jpg", ".jp2", ".tif", ".bmp")


@dataclass(frozen=True, eq=False)
class Prints:
    """Prints in an order of their own, packed. What one packed template is of says `print`: a palm is several."""

    ids: list[str]
    subjects: list[str]
    place: NDArray[np.uint8]  # (n,) palms.PLACE of each print's position
    packed: FingerColumns
    print: I64  # (len(packed),)
    failed: int  # prints without a usable template
    template: Callable[[int], FingerTemplate]  # of a print

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of_gallery(cls, gallery: FingerGallery) -> "Prints":
        """The live prints of a gallery, in the order of their rows."""
        packed, rows = [], []
        for part in gallery.parts():
            row = part.row.astype(np.int64)
            kept = np.arange(len(row)) if part.live is None else np.flatnonzero(part.live[row])
            packed.append(part.packed if part.live is None else part.packed.take(kept))
            rows.append(part.first_row + row[kept])
        if not any(map(len, rows)):
            raise GalleryError(f"{gallery.path}: holds no print")
        columns = packed[0] if len(packed) == 1 else FingerColumns.concat(packed)
        live, print_of = np.unique(np.concatenate(rows), return_inverse=True)
        subjects = [record.subject or record.id for batch in gallery.export() for record in batch]
        ids = [id for batch in gallery.export() for id in batch.ids]
        place = np.zeros(len(live), np.uint8)
        place[print_of] = PLACE[columns.position]
        known = live.tolist()
        return cls(
            ids, subjects, place, columns, print_of, _unusable(columns, print_of, len(live)),
            lambda k: gallery.record(known[k]).template,
        )  # fmt: skip

    @classmethod
    def of_folder(cls, folder: Path) -> "Prints":
        """The templates of a folder. A file that is none counts as a failure to acquire; its name stays its id."""
        index: dict[str, dict[str, str]] = {}
        if (folder / INDEX).is_file():
            with open(folder / INDEX, encoding="utf-8", newline="") as file:
                index = {row["file"]: row for row in csv.DictReader(file)}
        files = sorted(
            file for file in folder.iterdir() if file.is_file() and file.name[0] != "." and file.name != INDEX
        )
        if not files:
            raise PccError(f"{folder}: holds no template")
        templates = [_read(file) for file in files]
        ids = [index.get(file.name, {}).get("id") or file.stem for file in files]
        subjects = [index.get(file.name, {}).get("subject") or "" for file in files]
        pieces = [comparable(template) for template in templates]
        columns = FingerColumns.pack([piece for several in pieces for piece in several])
        print_of = np.repeat(np.arange(len(files)), [len(several) for several in pieces])
        place = PLACE[[template.position for template in templates]]
        failed = _unusable(columns, print_of, len(files))
        return cls(ids, subjects, place, columns, print_of, failed, templates.__getitem__)

    def named(self, truth: Mapping[str, str], path: str | Path) -> list[str]:
        """The subject of each print by a truth file; GalleryError names a print that it lacks."""
        for id in self.ids:
            if id not in truth:
                raise GalleryError(f"{path}: says nothing of the print {id!r}")
        return [truth[id] for id in self.ids]


def _read(file: Path) -> FingerTemplate:
    try:
        return FingerTemplate.read(file)
    except TemplateError:
        return _NOTHING


def _unusable(columns: FingerColumns, print_of: I64, prints: int) -> int:
    """Prints with fewer than _LEAST minutiae in all."""
    total = np.concatenate([[0], np.cumsum(columns.count, dtype=np.int64)])
    minutiae = np.bincount(print_of, np.diff(total[columns.sets.astype(np.int64)]), minlength=prints)
    return int((minutiae < _LEAST).sum())


def read_truth(path: str | Path) -> dict[str, str]:
    """id -> subject, of a CSV file with these columns. A subject here is one finger of one person."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for name in ("id", "subject"):
            if name not in (reader.fieldnames or ()):
                raise GalleryError(f"{path}: no column {name!r}: the truth of prints needs id and subject")
        return {row["id"]: row["subject"] for row in reader}


def evaluate_fingers(
    gallery: str | Path,
    probes: str | Path | None = None,
    truth: str | Path | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 1,
    replicates: int = 1000,
    worst: int = 6,
    images: str | Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """The section of a report about a gallery of prints, searched and compared at full precision.

    probes: a gallery or a folder of templates; without it each print of the gallery is compared with all others. truth:
    a CSV file of id and subject, where a subject is one finger; without it a finger is a subject of the gallery and a
    position. images: a folder of images, named by the prints' ids, to draw under the worst mistakes; without it they
    show minutiae alone. progress: told the comparisons made so far.
    """
    references = Prints.of_gallery(FingerGallery.open(gallery))
    same = probes is None
    searched = references if probes is None else _prints(Path(probes))
    fingers = _fingers(references, searched, truth)
    names = sorted({*fingers[0], *fingers[1]})
    number = {name: k for k, name in enumerate(names)}
    of_references, of_probes = (np.array([number[name] for name in side], np.int64) for side in fingers)
    trials = Trials(len(names), seed=seed, worst=worst)
    seconds = 0.0

    def scores(start: int, end: int) -> NDArray[np.int32]:
        nonlocal seconds
        begun = time.perf_counter()
        found = _scores(searched, start, end, references, device, threads)
        seconds += time.perf_counter() - begun
        return found

    for done in run(trials, scores, of_probes, of_references, same=same):
        if progress is not None:
            progress(done)
    comparisons = len(searched) * len(references)
    sources = {"gallery": source(gallery, f"{len(references):,} prints, the references")}
    if probes is not None:
        sources["probes"] = source(probes, f"{len(searched):,} prints, the probes")
    if truth is not None:
        sources["truth"] = source(truth, "the subject of each print")
    return measure(trials, names, replicates) | {
        "references": len(references),
        "probes": len(searched),
        "same": same,
        "failures": {
            "acquire": {"failed": searched.failed, "of": len(searched)},
            "enrol": {"failed": references.failed, "of": len(references)},
        },
        "speed": {
            "comparisons": comparisons,
            "seconds": seconds,
            "comparisons_per_second": comparisons / seconds,
            "device": described(open_scorer(device), threads or os.cpu_count() or 1),
            "peak_memory_mib": peak_memory_mib(),
        },
        "mistakes": {
            "images": images is not None,
            "non_mates": _drawn(trials.worst_nonmates, searched, references, images),
            "mates": _drawn(trials.worst_mates, searched, references, images),
        },
        "sources": sources,
    }


def _prints(place: Path) -> Prints:
    if not place.is_dir():
        raise PccError(f"{place}: neither a gallery nor a folder of templates")
    return Prints.of_gallery(FingerGallery.open(place)) if (place / MANIFEST).is_file() else Prints.of_folder(place)


def _fingers(references: Prints, probes: Prints, truth: str | Path | None) -> tuple[list[str], list[str]]:
    """The finger that each reference and each probe is of, by name."""
    if truth is not None:
        subjects = read_truth(truth)
        return references.named(subjects, truth), probes.named(subjects, truth)
    for id, subject in zip(probes.ids, probes.subjects, strict=True):
        if not subject:
            raise PccError(f"probe {id!r}: no subject is known: give --truth, a CSV file of id and subject")
    unknown = [bool((side.place == 0).all()) for side in (references, probes)]
    known = [bool((side.place != 0).all()) for side in (references, probes)]
    if all(known):
        both = [[f"{s} finger {p}" for s, p in zip(side.subjects, side.place.tolist(), strict=True)]
                for side in (references, probes)]  # fmt: skip
        return both[0], both[1]
    if not all(unknown):
        raise PccError(
            "the finger of some prints is known and of others not, so which comparisons are mated is not known either: "
            "give --truth, a CSV file of id and subject that names each finger"
        )
    return references.subjects, probes.subjects


def _scores(
    probes: Prints, start: int, end: int, references: Prints, device: str, threads: int | None
) -> NDArray[np.int32]:
    """(end - start, len(references)): of the packed templates of two prints, the best pair counts."""
    pieces = np.flatnonzero((probes.print >= start) & (probes.print < end))
    scores = score_matrix(probes.packed.take(pieces), references.packed, device, threads=threads)
    scores = _best(scores.T, references.print, len(references)).T
    return _best(scores, probes.print[pieces] - start, end - start)


def _best(scores: NDArray[np.int32], group: I64, groups: int) -> NDArray[np.int32]:
    """The best row of each group, in the order of the groups."""
    order = np.argsort(group, kind="stable")
    if len(order) == groups:
        return scores[order]
    return np.maximum.reduceat(scores[order], np.searchsorted(group[order], np.arange(groups)), axis=0)


def _drawn(
    mistakes: NDArray[np.void], probes: Prints, references: Prints, images: str | Path | None
) -> list[dict[str, Any]]:
    drawn = []
    for score, probe, reference, _ in mistakes.tolist():
        titles = (probes.ids[probe], references.ids[reference])
        comparison = compare(probes.template(probe), references.template(reference))
        pictures = [_image(Path(images), id) if images is not None else None for id in titles]
        drawn.append(
            {"score": score, "probe": titles[0], "reference": titles[1]}
            | {"svg": comparison.to_svg(*pictures, titles=titles)}
        )
    return drawn


def _image(folder: Path, id: str) -> Any:
    """The image of a print, named by its id; None where there is none."""
    from pcc_match.itl import images

    for suffix in _IMAGES:
        if (folder / f"{id}{suffix}").is_file():
            return images.decode((folder / f"{id}{suffix}").read_bytes())
    return None
