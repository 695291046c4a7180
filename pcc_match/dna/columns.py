"""Many DNA profiles as columns: what files, data sets and galleries hand to each other and engines read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna.loci import ABSENT, LOCI, WILDCARD, allele_code, locus
from pcc_match.dna.profile import KINDS, SINGLES, DnaProfile
from pcc_match.errors import ProfileError
from pcc_match.strings import Strings

_MOST_TEXTS = 1 << 16  # allele texts are uint16 indices
_CHUNK = 1 << 12  # profiles coded at a time, so that temporaries stay in the cache


@dataclass(frozen=True, eq=False)
class ProfileColumns:
    """n profiles over L loci with at most S alleles at a locus (S >= 2).

    Allele texts and labels are stored once; columns hold their indices, 0 for none. Alleles fill their slots from the
    left, and no text but the first means "no allele" (allele_code 0).
    """

    ids: Strings
    kind: NDArray[np.uint8]  # (n,) index into KINDS
    country: NDArray[np.uint32]  # (n,) index into labels; so are the next two
    agency: NDArray[np.uint32]
    kit: NDArray[np.uint32]
    single: NDArray[np.uint8]  # (n,) index into SINGLES
    loci: tuple[str, ...]  # canonical names
    alleles: NDArray[np.uint16]  # (n, L, S) index into texts
    labels: tuple[str, ...] = ("",)
    texts: tuple[str, ...] = ("",)

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """Allele codes, uint8 (n, L, 2), low first, as DnaProfile.codes has them; computed at first use.

        Each text is read once for each locus that has it. ProfileError names locus and value of one that no allele has.
        """
        codes = np.empty((len(self), len(self.loci), 2), dtype=np.uint8)
        table = self._code_of_text()
        haploid = np.array([locus(name).chromosome == "Y" for name in self.loci], dtype=bool)
        for rows in self._chunks():
            first, second = (table.take(self._places(rows, slot)) for slot in (0, 1))
            doubled = haploid | (self.single[rows, None] == 1)  # one value alone stands for two
            np.copyto(second, np.where(doubled, first, WILDCARD), where=second == ABSENT)
            if self.alleles.shape[2] > 2:
                second[self.alleles[rows, :, 2] != 0] = WILDCARD
            second[first == ABSENT] = ABSENT
            np.minimum(first, second, out=codes[rows, :, 0])
            np.maximum(first, second, out=codes[rows, :, 1])
        return codes

    def _code_of_text(self) -> NDArray[np.uint8]:
        """Code of each text at each locus that has it, uint8 (L * len(texts),)."""
        used = _cpu.used_texts(self.alleles, len(self.texts))
        table = np.zeros(used.size, dtype=np.uint8)
        for place in np.flatnonzero(used).tolist():
            column, text = divmod(place, len(self.texts))
            table[place] = allele_code(locus(self.loci[column]), self.texts[text])
        return table

    def _places(self, rows: slice, slot: int) -> NDArray[np.intp]:
        """Where the texts of a slot stand in a table (L, len(texts)); (rows, L)."""
        return self.alleles[rows, :, slot] + len(self.texts) * np.arange(len(self.loci))

    def _chunks(self) -> Iterator[slice]:
        return (slice(start, start + _CHUNK) for start in range(0, len(self), _CHUNK))

    @classmethod
    def from_profiles(cls, profiles: Iterable[DnaProfile]) -> "ProfileColumns":
        profiles = list(profiles)
        present = {name for profile in profiles for name in profile.alleles}
        loci = tuple(place.name for place in LOCI if place.name in present)
        slots = max((len(texts) for profile in profiles for texts in profile.alleles.values()), default=2)
        alleles = np.zeros((len(profiles), len(loci), max(slots, 2)), dtype=np.uint16)
        labels, texts = Numbering(""), Numbering("", limit=_MOST_TEXTS)
        for row, profile in enumerate(profiles):
            for column, name in enumerate(loci):
                for slot, text in enumerate(profile.alleles.get(name, ())):
                    alleles[row, column, slot] = texts[text]
        return cls(
            ids=Strings.from_list(profile.id for profile in profiles),
            kind=np.array([KINDS.index(profile.kind) for profile in profiles], dtype=np.uint8),
            country=np.array([labels[profile.country] for profile in profiles], dtype=np.uint32),
            agency=np.array([labels[profile.agency] for profile in profiles], dtype=np.uint32),
            kit=np.array([labels[profile.kit] for profile in profiles], dtype=np.uint32),
            single=np.array([SINGLES.index(profile.single) for profile in profiles], dtype=np.uint8),
            loci=loci,
            alleles=alleles,
            labels=tuple(labels),
            texts=tuple(texts),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def profile(self, row: int) -> DnaProfile:
        """One row as a DnaProfile; ProfileError where its values are not a profile's."""
        row = range(len(self))[row]
        alleles = {
            name: tuple(self.texts[index] for index in slots if index)
            for name, slots in zip(self.loci, self.alleles[row].tolist(), strict=True)
            if slots[0]
        }
        return DnaProfile(
            id=self.ids[row],
            kind=KINDS[self.kind[row]],
            alleles=alleles,
            country=self.labels[self.country[row]],
            agency=self.labels[self.agency[row]],
            kit=self.labels[self.kit[row]],
            single=SINGLES[self.single[row]],
        )

    def take(self, rows: NDArray[Any]) -> "ProfileColumns":
        """Those rows (indices, or a boolean mask), in that order; labels and texts stay as they are."""
        taken = ProfileColumns(
            ids=self.ids.take(rows),
            kind=self.kind[rows],
            country=self.country[rows],
            agency=self.agency[rows],
            kit=self.kit[rows],
            single=self.single[rows],
            loci=self.loci,
            alleles=self.alleles[rows],
            labels=self.labels,
            texts=self.texts,
        )
        if "codes" in self.__dict__:
            taken.__dict__["codes"] = self.codes[rows]
        return taken

    @classmethod
    def concat(cls, parts: Sequence["ProfileColumns"]) -> "ProfileColumns":
        """All rows of all parts, over every locus that one of them has."""
        labels, texts = Numbering(""), Numbering("", limit=_MOST_TEXTS)
        loci = tuple(dict.fromkeys(name for part in parts for name in part.loci))
        slots = max((part.alleles.shape[2] for part in parts), default=2)
        alleles = np.zeros((sum(map(len, parts)), len(loci), slots), dtype=np.uint16)
        label_of = [np.array([labels[label] for label in part.labels], dtype=np.uint32) for part in parts]
        start = 0
        for part in parts:
            text_of = np.array([texts[text] for text in part.texts], dtype=np.uint16)
            for column, name in enumerate(part.loci):
                target = alleles[start : start + len(part), loci.index(name), : part.alleles.shape[2]]
                target[...] = text_of[part.alleles[:, column]]
            start += len(part)
        numbered = list(zip(parts, label_of, strict=True))
        return cls(
            ids=Strings.concat([part.ids for part in parts]),
            kind=_joined([part.kind for part in parts], np.uint8),
            country=_joined([number[part.country] for part, number in numbered], np.uint32),
            agency=_joined([number[part.agency] for part, number in numbered], np.uint32),
            kit=_joined([number[part.kit] for part, number in numbered], np.uint32),
            single=_joined([part.single for part in parts], np.uint8),
            loci=loci,
            alleles=alleles,
            labels=tuple(labels),
            texts=tuple(texts),
        )


class Numbering(dict[str, int]):
    """Numbers texts in the order of their first use; iterates over them in that order."""

    def __init__(self, first: str, limit: int | None = None) -> None:
        super().__init__({first: 0})
        self._limit = limit

    def __missing__(self, text: str) -> int:
        if len(self) == self._limit:
            raise ProfileError(f"allele {text!r} is one too many: columns hold {len(self) - 1} different allele texts")
        self[text] = len(self)
        return self[text]


def _joined(parts: Sequence[NDArray[Any]], dtype: type[Any]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype, copy=False)
