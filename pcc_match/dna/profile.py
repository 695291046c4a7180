"""A DNA profile: who it belongs to and, locus by locus, the alleles as its laboratory wrote them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcc_match.dna.loci import ABSENT, WILDCARD, Locus, allele_code, locus, shortened
from pcc_match.errors import ProfileError

KINDS: Final = ("person", "stain", "missing", "remains")
SINGLES: Final = ("wildcard", "homozygous")
LABELS: Final = ("country", "agency", "kit")


class Allele(NamedTuple):
    text: str
    code: int  # 1 wildcard, else length in bases

    @property
    def designated(self) -> bool:
        return self.code > WILDCARD


@dataclass(frozen=True)
class DnaProfile:
    """One profile, checked and immutable. ProfileError names profile, locus and value.

    `alleles` maps loci to allele texts in the order written; names and aliases become canonical names, empty values
    and NULL are dropped. `single` says what one value alone at a locus means: that value and a wildcard, or the value
    twice.
    """

    id: str
    kind: str  # one of KINDS
    alleles: Mapping[str, tuple[str, ...]] = field(hash=False)
    country: str = ""
    agency: str = ""
    kit: str = ""
    single: str = "wildcard"  # one of SINGLES

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProfileError(f"profile {self.id!r}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if self.single not in SINGLES:
            raise ProfileError(f"profile {self.id!r}: single {self.single!r} is none of {', '.join(SINGLES)}")
        try:
            for name in ("id", *LABELS):
                check_text(name, getattr(self, name))
            object.__setattr__(self, "alleles", MappingProxyType(_checked(self.alleles)))
        except ProfileError as error:
            raise ProfileError(f"profile {self.id!r}: {error}") from None

    @cached_property
    def shown(self) -> Mapping[str, tuple[Allele, ...]]:
        """All alleles as written and as coded, by canonical locus."""
        return {
            name: tuple(Allele(text, allele_code(locus(name), text)) for text in texts)
            for name, texts in self.alleles.items()
        }

    @cached_property
    def pairs(self) -> Mapping[str, tuple[Allele, Allele]]:
        """The two values that comparisons use, shorter first, by canonical locus.

        Decision 2008/616/JHA, annex chapter 1, 1.1: of three alleles (and of more, in a mixture) the first stays and
        the others become one wildcard. A single value stands beside a wildcard, unless the profile says that singles
        are homozygous; a locus of the Y chromosome has one copy, so there one value is the whole locus.
        """
        pairs = {}
        for name, alleles in self.shown.items():
            first = alleles[0]
            if len(alleles) == 1 and (self.single == "homozygous" or locus(name).chromosome == "Y"):
                second = first
            else:
                second = alleles[1] if len(alleles) == 2 else Allele("*", WILDCARD)
            pairs[name] = (first, second) if first.code <= second.code else (second, first)
        return pairs

    def codes(self, loci: Sequence[str]) -> NDArray[np.uint8]:
        """Codes of the pairs at those loci, uint8 (len(loci), 2), low first; 0, 0 where the profile has none."""
        codes = np.zeros((len(loci), 2), dtype=np.uint8)
        for row, name in enumerate(loci):
            for slot, allele in enumerate(self.pairs.get(locus(name).name, ())):
                codes[row, slot] = allele.code
        return codes

    def allele_sets(self, loci: Sequence[str]) -> NDArray[np.uint64]:
        """All alleles at those loci, uint64 (len(loci), 4): bit c of a locus's 256 bits = an allele of code c shows."""
        sets = np.zeros((len(loci), 4), dtype=np.uint64)
        for row, name in enumerate(loci):
            for allele in self.shown.get(locus(name).name, ()):
                sets[row, allele.code >> 6] |= np.uint64(1 << (allele.code & 63))
        return sets

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not pickle
        return type(self), (self.id, self.kind, dict(self.alleles), self.country, self.agency, self.kit, self.single)


def check_text(name: str, text: object) -> None:
    """ProfileError unless `text` can be an id (`name` = "id") or one of LABELS, which may be empty."""
    if not isinstance(text, str) or not text.isprintable() or text != text.strip():
        shown = shortened(text) if isinstance(text, str) else repr(text)
        raise ProfileError(f"{name} {shown} is not a text of printable characters without spaces around it")
    if name == "id" and not text:
        raise ProfileError("the id is empty")


def _checked(alleles: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if not isinstance(alleles, Mapping):
        raise ProfileError(f"alleles are a mapping of loci to texts, not {alleles!r}")
    checked: dict[str, tuple[str, ...]] = {}
    for name, texts in alleles.items():
        where = locus(name)
        if where.name in checked:
            raise ProfileError(f"{where.name} is given twice, the second time as {name!r}")
        kept = tuple(text.strip() for text in _as_texts(where, texts) if allele_code(where, text) != ABSENT)
        checked[where.name] = kept
    return {name: texts for name, texts in checked.items() if texts}


def _as_texts(where: Locus, texts: Sequence[str]) -> Sequence[str]:
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ProfileError(f"{where.name}: alleles are a tuple of texts such as ('9.3', '10'), not {texts!r}")
    return texts
