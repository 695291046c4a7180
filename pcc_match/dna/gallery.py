"""A gallery of DNA profiles on disk: the columns that comparisons read and, beside them, each profile as written."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna import loci as catalogue
from pcc_match.dna.columns import ProfileColumns, Strings
from pcc_match.dna.loci import LOCI
from pcc_match.dna.profile import KINDS, SINGLES, DnaProfile
from pcc_match.errors import GalleryError, ProfileError
from pcc_match.gallery import store as stores
from pcc_match.gallery.segment import Problem, Segment
from pcc_match.gallery.store import NO_ROW, Content, Ids, Part, Rows, Store

KIND: Final = "dna"
CODING: Final = 1  # raised when the same texts give other codes: loci.allele_code, ProfileColumns.codes
EXPORT_ROWS: Final = 1 << 16

_FEW_ROWS = 256  # ids of fewer rows are read one by one: their blocks alone are checked
_PLAIN = ("kind", "country", "agency", "kit", "single", "alleles")  # columns kept as ProfileColumns has them


class Rejected(NamedTuple):
    """A row of the enrolled columns that did not go in."""

    row: int
    id: str
    reason: str


@dataclass(frozen=True)
class Enrolment:
    """What became of each row: added + unchanged + replaced + len(rejected) rows were given."""

    added: int = 0
    unchanged: int = 0
    replaced: int = 0
    rejected: list[Rejected] = field(default_factory=list)


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


class DnaGallery:
    """Opened by create() or open(); `with` or close() ends a writer's lock.

    Rows are numbered over the whole gallery, from 0; the numbers hold until the next change. Removed profiles keep
    their row until compact(): `parts` marks them dead. GalleryError names the file that is damaged, missing or locked.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[Segment, _Profiles] = {}
        try:
            for part in store.parts:
                self._profiles(part)  # touches no block; GalleryError if the codes are of another catalogue
        except GalleryError:
            store.close()
            raise

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """A new, empty gallery, open for writing, in a directory that is new or empty."""
        return cls(Store.create(Path(path), KIND, _made_by()))

    @classmethod
    def open(cls, path: str | Path, *, check: Literal["lazy", "all"] = "lazy", write: bool = False) -> Self:
        """check="lazy": manifest, headers and sizes now, each block before its first use; "all": every byte now."""
        return cls(Store.open(Path(path), KIND, write=write, check=check))

    def close(self) -> None:
        """Ends writing, so that another process may write; reading goes on."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Live profiles."""
        return self._store.rows - self._store.removed_rows

    def __repr__(self) -> str:
        return f"DnaGallery({str(self.path)!r}, {len(self)} profiles)"

    # ---- what is in it

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def generation(self) -> int:
        """Grows by one with every change."""
        return self._store.generation

    @property
    def rows(self) -> int:
        """Row numbers in use, those of removed profiles included."""
        return self._store.rows

    @property
    def loci(self) -> tuple[str, ...]:
        """Canonical names of all loci that some profile may have, in the catalogue's order."""
        present = {name for part in self._store.parts for name in self._profiles(part).loci}
        return tuple(place.name for place in LOCI if place.name in present)

    def parts(self, loci: Sequence[str]) -> list[tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8] | None]]:
        """The rows in order, as engines take them: (codes uint8 (n, L', 2), columns int32 (L',), live uint8 (n,)).

        columns[k] = position in `loci` of the part's locus k, or -1 where `loci` lacks it; live None = all. Codes are
        mapped, read-only; every block of theirs has been checked.
        """
        position = {name: number for number, name in enumerate(loci)}
        parts = []
        for part in self._store.parts:
            columns = np.array([position.get(name, -1) for name in self._profiles(part).loci], np.int32)
            parts.append((part.segment.column("codes"), columns, part.live()))
        return parts

    def ranks(self) -> NDArray[np.uint32]:
        """uint32[rows]: how many live profiles have an id that is bytewise smaller; 2**32 - 1 for removed ones."""
        return ranks_over([self])[0]

    def profile(self, which: int | str) -> DnaProfile:
        """The live profile of a row or id. GalleryError when there is none."""
        row = int(self._find([which])[0]) if isinstance(which, str) else which
        if row == NO_ROW or not 0 <= row < self.rows:
            raise GalleryError(f"{self.path}: no profile {which!r}: it was never enrolled, or it was removed")
        ((part, _, inside),) = self._store.split(np.array([row]))
        if not part.is_live(inside)[0]:
            raise GalleryError(f"{self.path}: row {row} is of a removed profile")
        return self._profiles(part).take(inside).profile(0)

    def id(self, row: int) -> str:
        return self.ids(np.array([row]))[0]

    def ids(self, rows: Rows) -> list[str]:
        """Ids of rows, in their order."""
        ids = np.empty(len(rows), object)
        for part, where, inside in self._store.split(rows):
            ids[where] = list(self._profiles(part).ids(inside))
        found: list[str] = ids.tolist()
        return found

    def export(self) -> Iterator[ProfileColumns]:
        """All live profiles, in batches of at most 65,536."""
        for part in self._store.parts:
            live = part.live()
            rows = np.arange(part.rows) if live is None else np.flatnonzero(live)
            for start in range(0, len(rows), EXPORT_ROWS):
                yield self._profiles(part).take(rows[start : start + EXPORT_ROWS])

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
        self._store.compact(self._contents, small_only=True)
        ids: Ids = (columns.ids.heap, columns.ids.offsets)
        order, first = _cpu.sort_ids(*ids)
        enrolled = self._store.find(ids)[order]  # from here on, arrays go by id: rows with the same id side by side
        known = enrolled != NO_ROW
        as_enrolled = np.zeros(len(order), bool)
        as_enrolled[known] = self._as_enrolled(columns, order[known], enrolled[known])
        # What stands under a row's id when its turn comes: the gallery's profile, or an earlier row's.
        after_row = ~first & (replace | ~known)
        (after,) = np.nonzero(after_row)
        before = after - 1 if replace else np.flatnonzero(first)[np.cumsum(first)[after] - 1]
        same = as_enrolled.copy()
        same[after] = _equal(columns.take(order[after]), columns.take(order[before]))
        new = first & ~known
        changed = ~new & ~same
        written = np.append(first[1:], [True])[: len(order)] & ~as_enrolled if replace else new
        if written.any():
            chosen = columns if (written & (order == np.arange(len(order)))).all() else columns.take(order[written])
            self._store.commit([_content(chosen)], remove=enrolled[written & known])
        return Enrolment(
            added=int(np.count_nonzero(new)),
            unchanged=int(np.count_nonzero(same)),
            replaced=int(np.count_nonzero(changed)) if replace else 0,
            rejected=[] if replace else sorted(_rejections(columns, order[changed], known[changed])),
        )

    def remove(self, ids: Iterable[str]) -> int:
        """Removes profiles in one durable step; how many of the ids were there."""
        rows = self._find(ids)
        rows = np.unique(rows[rows != NO_ROW])
        if len(rows):
            self._store.commit(remove=rows)
        return len(rows)

    def compact(self) -> None:
        """Writes the live profiles anew, ordered by id, in few segments: removed ones leave the disk."""
        self._store.compact(self._contents)

    @staticmethod
    def verify(path: str | Path) -> list[Problem]:
        """Reads every byte of the directory, of galleries that do not open, too; each problem names its file.

        Beyond the bytes: ids sorted and unique, dictionary indices in range, codes those of the allele texts.
        """
        return stores.verify(Path(path), KIND, _wrong_profiles)

    # ---- within

    def _profiles(self, part: Part) -> "_Profiles":
        if part.segment not in self._read:
            current = {other.segment for other in self._store.parts}
            self._read = {segment: read for segment, read in self._read.items() if segment in current}
            self._read[part.segment] = _Profiles(part.segment)
        return self._read[part.segment]

    def _find(self, ids: Iterable[str]) -> NDArray[np.uint32]:
        """Live row of each id or NO_ROW; a text that is no Unicode (lone surrogates) is never there."""
        encoded = [id.encode(errors="surrogatepass") for id in ids]
        offsets = np.zeros(len(encoded) + 1, np.uint64)
        offsets[1:] = np.cumsum([len(id) for id in encoded], dtype=np.uint64)
        return self._store.find((np.frombuffer(b"".join(encoded), np.uint8), offsets))

    def _as_enrolled(self, columns: ProfileColumns, rows: Rows, enrolled: Rows) -> NDArray[np.bool_]:
        """Whether each of the rows has the same content as the gallery's row beside it."""
        same = np.zeros(len(rows), bool)
        for part, where, inside in self._store.split(enrolled):
            same[where] = _equal(columns.take(rows[where]), self._profiles(part).take(inside))
        return same

    def _contents(self, rows: Rows) -> Iterator[Content]:
        """New segments from rows of the gallery, in the order given."""
        pieces, places = [], []
        for part, where, inside in self._store.split(rows):
            pieces.append(self._profiles(part).take(inside))
            places.append(where)
        try:
            columns = ProfileColumns.concat(pieces)
        except ProfileError:  # more different allele texts than one set of columns can number
            yield from self._contents(rows[: len(rows) // 2])
            yield from self._contents(rows[len(rows) // 2 :])
        else:
            yield _content(columns.take(np.argsort(np.concatenate(places))))


def ranks_over(galleries: Sequence[DnaGallery]) -> list[NDArray[np.uint32]]:
    """The ranks() of each gallery over all of them; equal ids have equal ranks."""
    ranks = stores.rank([part for gallery in galleries for part in gallery._store.parts])
    return np.split(ranks, np.cumsum([gallery.rows for gallery in galleries])[:-1])


class _Profiles:
    """A segment read as DNA profiles."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        tables = segment.tables
        self.loci = tuple(name for name, *_ in tables["loci"])
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

    def ids(self, rows: Rows) -> Strings:
        if len(rows) <= _FEW_ROWS:
            return Strings.from_list(self._segment.text("ids", row).decode() for row in rows.tolist())
        return Strings(*self._segment.texts("ids")).take(rows)

    def take(self, rows: Rows) -> ProfileColumns:
        columns = {name: self._segment.take(name, rows) for name in _PLAIN}
        return ProfileColumns(ids=self.ids(rows), loci=self.loci, labels=self.labels, texts=self.texts, **columns)


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
    return Content(arrays, {"coding": CODING, "made_by": _version(), "loci": loci})


def _coding(name: str) -> list[Any]:
    """What the codes of a locus rest on beside its texts; nothing where the catalogue lacks it."""
    return next(([place.period, place.chromosome] for place in LOCI if place.name == name), [])


def _version() -> str:
    import pcc_match  # which imports this module

    return pcc_match.__version__


def _made_by() -> dict[str, str]:
    loci = Path(catalogue.__file__).with_name("loci.toml").read_bytes()
    return {
        "library": f"pcc_match {_version()}",
        "coding": str(CODING),
        "loci.toml sha256": hashlib.sha256(loci).hexdigest(),
    }


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


def _rejections(columns: ProfileColumns, rows: Rows, known: NDArray[np.bool_]) -> Iterator[Rejected]:
    for row, id, in_gallery in zip(rows.tolist(), columns.ids.take(rows), known.tolist(), strict=True):
        where = "the gallery holds" if in_gallery else "an earlier row has"
        yield Rejected(row, id, f"{where} other content under this id: give it another id, or enrol with replace")


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
    heap, offsets = columns.ids.heap, columns.ids.offsets
    if n and ((np.diff(offsets) == 0).any() or ((heap[offsets[1:] - 1] == 32) | (heap[offsets[:-1]] == 32)).any()):
        yield "an id is empty, or has spaces around it"
    try:
        if not heap.tobytes().decode().isprintable() or (n and ((heap[offsets[:-1]] & 0xC0) == 0x80).any()):
            yield "an id is not a text of printable characters"
    except UnicodeDecodeError:
        yield "an id is not a text in UTF-8"


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
