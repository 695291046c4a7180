"""A gallery of DNA profiles on disk: the columns that comparisons read and, beside them, each profile as written."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna import loci as catalogue
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.loci import LOCI
from pcc_match.dna.profile import KINDS, SINGLES, DnaProfile
from pcc_match.errors import GalleryError, ProfileError
from pcc_match.gallery.gallery import EXPORT_ROWS, Enrolment, Gallery, ids_of, unsound_ids, version
from pcc_match.gallery.segment import Segment
from pcc_match.gallery.store import Content, Part, Rows
from pcc_match.strings import Strings

CODING: Final = 1  # raised when the same texts give other codes: loci.allele_code, ProfileColumns.codes

_PLAIN = ("kind", "country", "agency", "kit", "single", "alleles")  # columns kept as ProfileColumns has them


@dataclass(frozen=True)
class GalleryInfo:
    """Counts of live profiles unless said otherwise."""

    path: str
    profiles: int
    kinds: dict[str, int]
    loci: tuple[str, ...]
    removed: int  # rows that wait for compact()
    segments: int
    bytes: int  # on disk, without the manifest
    generation: int
    made_by: dict[str, str]


class DnaGallery(Gallery[ProfileColumns]):
    """Profiles by id, and their allele codes as engines take them (`parts`)."""

    KIND = "dna"
    RECORD = "profile"

    # ---- what is in it

    @property
    def loci(self) -> tuple[str, ...]:
        """Canonical names of all loci that some profile may have, in the catalogue's order."""
        present = {name for part in self._store.parts for name in _loci(part.segment)}
        return tuple(place.name for place in LOCI if place.name in present)

    def parts(self, loci: Sequence[str]) -> list[tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8] | None]]:
        """The rows in order, as engines take them: (codes uint8 (n, L', 2), columns int32 (L',), live uint8 (n,)).

        columns[k] = position in `loci` of the part's locus k, or -1 where `loci` lacks it; live None = all. Codes are
        mapped, read-only; every block of theirs has been checked.
        """
        position = {name: number for number, name in enumerate(loci)}
        parts = []
        for part in self._store.parts:
            columns = np.array([position.get(name, -1) for name in _loci(part.segment)], np.int32)
            parts.append((part.segment.column("codes"), columns, part.live()))
        return parts

    def profile(self, which: int | str) -> DnaProfile:
        """The live profile of a row or id. GalleryError when there is none."""
        return self._live(which).profile(0)

    def info(self) -> GalleryInfo:
        kinds = np.zeros(len(KINDS), np.int64)
        for part in self._store.parts:
            kinds += np.bincount(part.segment.column("kind"), part.live(), minlength=len(KINDS)).astype(np.int64)
        return GalleryInfo(
            path=str(self.path),
            profiles=len(self),
            kinds=dict(zip(KINDS, kinds.tolist(), strict=True)),
            loci=self.loci,
            removed=self._store.removed_rows,
            segments=len(self._store.parts),
            bytes=self._store.bytes,
            generation=self.generation,
            made_by=dict(self._store.made_by),
        )

    # ---- change

    def enrol(self, columns: ProfileColumns, *, replace: bool = False) -> Enrolment:
        """Enrols all rows in one durable step, as if one after the other.

        An id that is there with equal content (all fields, texts as written) is unchanged; with other content it is
        rejected, or with `replace` the new content takes its place. ProfileError where columns are not sound.
        """
        _check_sound(columns)
        return self._enrol(columns, replace=replace)

    # ---- what Gallery asks

    @classmethod
    def _made_by(cls) -> dict[str, str]:
        loci = Path(catalogue.__file__).with_name("loci.toml").read_bytes()
        return {
            "library": f"pcc_match {version()}",
            "coding": str(CODING),
            "loci.toml sha256": hashlib.sha256(loci).hexdigest(),
        }

    @staticmethod
    def _opened(segment: Segment) -> "_Profiles":
        return _Profiles(segment)

    @staticmethod
    def _content(columns: ProfileColumns) -> Content:
        return _content(columns)

    @staticmethod
    def _equal(a: ProfileColumns, b: ProfileColumns) -> NDArray[np.bool_]:
        return _equal(a, b)

    @staticmethod
    def _concat(parts: Sequence[ProfileColumns]) -> ProfileColumns | None:
        try:
            return ProfileColumns.concat(parts)
        except ProfileError:  # more different allele texts than one set of columns can number
            return None

    @staticmethod
    def _wrong_rows(part: Part) -> Iterator[str]:
        return _wrong_profiles(part)


def _loci(segment: Segment) -> tuple[str, ...]:
    return tuple(name for name, *_ in segment.tables["loci"])


class _Profiles:
    """A segment read as DNA profiles."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        tables = segment.tables
        self.loci = _loci(segment)
        for name, *coded in tables["loci"]:
            if tables["coding"] != CODING or coded != _coding(name):
                raise GalleryError(
                    f"{segment.path}: the codes of {name} were made by pcc_match {tables['made_by']} with another rule "
                    "or locus catalogue: export the gallery with that version and import it into a new one"
                )

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(Strings(*self._segment.texts("labels")))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(Strings(*self._segment.texts("texts")))

    def take(self, rows: Rows) -> ProfileColumns:
        columns = {name: self._segment.take(name, rows) for name in _PLAIN}
        ids = ids_of(self._segment, rows)
        return ProfileColumns(ids=ids, loci=self.loci, labels=self.labels, texts=self.texts, **columns)


def _content(columns: ProfileColumns) -> Content:
    """Rows must be sorted by id. Labels and texts without a row are left out."""
    labels_used = np.zeros(len(columns.labels), bool)
    for column in (columns.country, columns.agency, columns.kit):
        labels_used[column] = True
    labels, (country, agency, kit) = _kept(columns.labels, labels_used, columns.country, columns.agency, columns.kit)
    texts_used = np.logical_or.reduce(_cpu.used_texts(columns.alleles, len(columns.texts)), axis=0)
    texts, (alleles,) = _kept(columns.texts, texts_used, columns.alleles)
    label_strings, text_strings = Strings.from_list(labels), Strings.from_list(texts)
    arrays: dict[str, NDArray[Any]] = {
        "codes": columns.codes,
        "ids": columns.ids.heap,
        "ids_offsets": columns.ids.offsets,
        "alleles": alleles,
        "kind": columns.kind,
        "country": country,
        "agency": agency,
        "kit": kit,
        "single": columns.single,
        "labels": label_strings.heap,
        "labels_offsets": label_strings.offsets,
        "texts": text_strings.heap,
        "texts_offsets": text_strings.offsets,
    }
    loci = [[name, *_coding(name)] for name in columns.loci]
    return Content(arrays, {"coding": CODING, "made_by": version(), "loci": loci})


def _coding(name: str) -> list[Any]:
    """What the codes of a locus rest on beside its texts; nothing where the catalogue lacks it."""
    return next(([place.period, place.chromosome] for place in LOCI if place.name == name), [])


def _kept(
    words: tuple[str, ...], used: NDArray[np.bool_], *columns: NDArray[Any]
) -> tuple[list[str], list[NDArray[Any]]]:
    """The words that are used (and the first, which is none), and the columns with the new numbers."""
    used[0] = True
    if used.all():
        return list(words), list(columns)
    number = np.cumsum(used) - 1
    return [words[k] for k in np.flatnonzero(used)], [number.astype(column.dtype)[column] for column in columns]


def _equal(a: ProfileColumns, b: ProfileColumns) -> NDArray[np.bool_]:
    """Row by row: the same content, texts as written; ids are not looked at."""
    label, text = _number_in(a.labels, b.labels), _number_in(a.texts, b.texts)
    same: NDArray[np.bool_] = (a.kind == b.kind) & (a.single == b.single)
    for name in ("country", "agency", "kit"):
        same &= getattr(a, name) == label[getattr(b, name)]
    for name in {*a.loci, *b.loci}:
        for slot in range(max(a.alleles.shape[2], b.alleles.shape[2])):
            same &= _allele(a, name, slot) == text[_allele(b, name, slot)]
    return same


def _number_in(words: tuple[str, ...], others: tuple[str, ...]) -> NDArray[np.int64]:
    """Number in `words` of each of the others; -1 = not there."""
    number = {word: k for k, word in enumerate(words)}
    return np.array([number.get(word, -1) for word in others], np.int64)


def _allele(columns: ProfileColumns, name: str, slot: int) -> NDArray[np.uint16]:
    """(n,) text numbers in one slot of a locus; zeros where the columns lack it."""
    if name not in columns.loci or slot >= columns.alleles.shape[2]:
        return np.zeros(len(columns), np.uint16)
    return columns.alleles[:, columns.loci.index(name), slot]


def _check_sound(columns: ProfileColumns) -> None:
    """ProfileError where columns that some program put together do not fit each other."""
    for what in _unsound(columns):
        raise ProfileError(f"profile columns: {what}")


def _unsound(columns: ProfileColumns) -> Iterator[str]:
    n, alleles = len(columns), columns.alleles
    if alleles.ndim != 3 or alleles.shape[:2] != (n, len(columns.loci)) or alleles.shape[2] < 2:
        yield f"alleles have the shape {alleles.shape} instead of ({n}, {len(columns.loci)}, 2 or more)"
        return
    for slot in range(1, alleles.shape[2]):
        if ((alleles[:, :, slot] != 0) & (alleles[:, :, slot - 1] == 0)).any():
            yield "alleles do not fill their slots from the left"
    for name, limit in (
        ("kind", len(KINDS)),
        ("single", len(SINGLES)),
        ("country", len(columns.labels)),
        ("agency", len(columns.labels)),
        ("kit", len(columns.labels)),
        ("alleles", len(columns.texts)),
    ):
        column = getattr(columns, name)
        if len(column) != n:
            yield f"{name} has {len(column)} rows instead of {n}"
        elif column.size and int(column.max()) >= limit:
            yield f"{name} has the value {column.max()}, but there are only {limit}"
    for name, words in (("labels", columns.labels), ("texts", columns.texts)):
        if words[:1] != ("",) or len(set(words)) != len(words):
            yield f"{name} must begin with an empty text and have each text once"
        if not "".join(words).isprintable() or any(word != word.strip() for word in words):
            yield f"{name} must be of printable characters, without spaces around them"
    yield from unsound_ids(columns.ids)


def _wrong_profiles(part: Part) -> Iterator[str]:
    try:
        profiles = _Profiles(part.segment)
        for start in range(0, part.rows, EXPORT_ROWS):
            columns = profiles.take(np.arange(start, min(start + EXPORT_ROWS, part.rows)))
            _check_sound(columns)
            if not np.array_equal(columns.codes, part.segment.column("codes", start, start + EXPORT_ROWS)):
                yield f"codes of rows {start} and following are not those of the allele texts"
    except (GalleryError, ProfileError, KeyError, ValueError, IndexError) as error:
        yield str(error).removeprefix(f"{part.segment.path}: ")
