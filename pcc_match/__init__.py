"""Exact, fast comparison of DNA profiles and fingerprints for Prüm-style exchange between states.

import pcc_match as pm

gallery = pm.DnaGallery.open("/srv/node/dna")
with pm.Matcher(gallery, treaty="pcc-see") as matcher:
    for match in matcher.search(probe):
        print(match.rank, match.reference, match.quality, match.explain())
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import DnaRule, MixtureRule, StringencyRule, compare
from pcc_match.errors import (
    DeviceError,
    ExchangeError,
    GalleryError,
    PccError,
    ProfileError,
    RecordError,
    TemplateError,
)
from pcc_match.rematch import Rematch, rematch
from pcc_match.search import Match, Matcher, SearchResult
from pcc_match.treaties import Treaty, treaties, treaty

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pcc_match import itl


def __getattr__(name: str) -> ModuleType:
    """`pm.itl` is loaded at its first use."""
    if name == "itl":
        return import_module("pcc_match.itl")
    raise AttributeError(f"module 'pcc_match' has no attribute {name!r}")


__all__ = [
    "DeviceError",
    "DnaGallery",
    "DnaProfile",
    "DnaRule",
    "ExchangeError",
    "GalleryError",
    "Match",
    "Matcher",
    "MixtureRule",
    "PccError",
    "ProfileColumns",
    "ProfileError",
    "RecordError",
    "Rematch",
    "SearchResult",
    "StringencyRule",
    "TemplateError",
    "Treaty",
    "compare",
    "itl",
    "rematch",
    "treaties",
    "treaty",
]
