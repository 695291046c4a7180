"""The locus catalogue (loci.toml), and what an allele's text means at a locus."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from pcc_match.errors import ProfileError

AMELOGENIN: Final = "AMEL"

# Allele codes: one byte an allele. From 2 on a code is the allele's length in bases; amelogenin has codes of its own.
ABSENT: Final = 0
WILDCARD: Final = 1
_AMELOGENIN_CODES: Final = {"X": 2, "Y": 3}

LONGEST_TEXT: Final = 255  # characters of an allele as written


@dataclass(frozen=True)
class Locus:
    """One place of the genome that kits type; loci.toml says what each field means."""

    name: str
    period: int  # bases per repeat
    aliases: tuple[str, ...] = ()
    chromosome: str = "autosomal"  # or "X", "Y", "sex-marker"
    table_2008: int | None = None  # 1-24, position in the table of Decision 2008/616/JHA
    ess7: bool = False
    ess12: bool = False

    @property
    def compared(self) -> bool:
        """Whether the locus counts in comparisons: amelogenin and the Y indel only tell the sex."""
        return self.chromosome != "sex-marker"


def _read_catalogue() -> tuple[Locus, ...]:
    with Path(__file__).with_name("loci.toml").open("rb") as file:
        rows = tomllib.load(file)["locus"]
    return tuple(Locus(**{**row, "aliases": tuple(row.get("aliases", ()))}) for row in rows)


_IGNORED = str.maketrans("", "", " \t\u00a0_-/")


def _key(name: str) -> str:
    return name.upper().translate(_IGNORED)


LOCI: Final = _read_catalogue()
_BY_KEY: Final = {_key(name): locus for locus in LOCI for name in (locus.name, *locus.aliases)}


@lru_cache(4096)
def known_locus(name: str) -> Locus | None:
    """The locus of that name or alias, if there is one; case, spaces, `_`, `-` and `/` do not count."""
    return _BY_KEY.get(_key(name))


def locus(name: str) -> Locus:
    """The locus as known_locus finds it; ProfileError, with a name that may be meant, where there is none."""
    found = known_locus(name)
    if found is not None:
        return found
    from difflib import get_close_matches

    near = [_BY_KEY[key].name for key in get_close_matches(_key(name)[:40], _BY_KEY, n=1)]
    hint = f"did you mean {near[0]}?" if near else "a new locus is a line in pcc_match/dna/loci.toml"
    raise ProfileError(f"unknown locus {shortened(name)}: {hint}")


# What a spreadsheet or a typist may have meant as a number. Whatever else is written is a remark such as na, ol or <8.
_NUMBER_LIKE = re.compile(r"[+\-\u2212]?[.,]*\d[\d.,]*(?:[eE][+\-]?\d+)?")
_ALLELE = re.compile(r"0*([0-9]{1,3})(?:[.,]([0-9]))?")
_NOT_DESIGNATED = {(0, 0), (1, 0), (99, 0)}  # numbers that mean "any allele": annex chapter 1, 1.1


def is_absent(text: str) -> bool:
    """Whether a text says that there is no value; it has no spaces around it."""
    return text == "" or text.upper() == "NULL"


def allele_code(locus: Locus, text: str) -> int:
    """Code of one allele as written: 0 absent (empty, NULL), 1 wildcard, else its length in bases, 2-255.

    A wildcard is `*`, any value that is not a number, and the numbers 0, 1 and 99 (Decision 2008/616/JHA, annex
    chapter 1, 1.1). At amelogenin X and Y have codes of their own. ProfileError, naming locus and value, where a
    number cannot be an allele of the locus or the text cannot be kept.
    """
    text = text.strip()
    if is_absent(text):
        return ABSENT
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise _wrong(locus, text, f"is not a text of up to {LONGEST_TEXT} printable characters")
    if locus.name == AMELOGENIN and text.upper() in _AMELOGENIN_CODES:
        return _AMELOGENIN_CODES[text.upper()]
    if not _NUMBER_LIKE.fullmatch(text):
        return WILDCARD
    allele = _ALLELE.fullmatch(text)
    if allele is None:
        raise _wrong(locus, text, "is not written as an allele: repeats, or repeats.bases such as 9.3")
    repeats, remainder = int(allele[1]), int(allele[2] or 0)
    if (repeats, remainder) in _NOT_DESIGNATED:
        return WILDCARD
    if locus.name == AMELOGENIN:
        raise _wrong(locus, text, "is not X or Y")
    if remainder >= locus.period:
        raise _wrong(locus, text, f"has {remainder} bases beside its repeats of {locus.period} bases: too many")
    bases = repeats * locus.period + remainder
    if not 2 <= bases <= 255:
        raise _wrong(locus, text, f"is {bases} bases long at {locus.period} bases a repeat: 2 to 255 are possible")
    return bases


def allele_text(locus: Locus, code: int) -> str:
    """The one text of an allele's code, as messages have it: `*`, `X`, `9.3`, `10`; of 0 the empty text."""
    if code <= WILDCARD:
        return "*" if code else ""
    if locus.name == AMELOGENIN:
        return next(text for text, known in _AMELOGENIN_CODES.items() if known == code)
    repeats, bases = divmod(code, locus.period)
    return f"{repeats}.{bases}" if bases else str(repeats)


def _wrong(locus: Locus, text: str, reason: str) -> ProfileError:
    return ProfileError(f"{locus.name}: allele {shortened(text)} {reason}")


def shortened(text: str) -> str:
    """A text in quotes for a message."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
