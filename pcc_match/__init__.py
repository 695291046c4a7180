"""Exact, fast comparison of DNA profiles and fingerprints for Prüm-style exchange between states.

import pcc_match as pm

gallery = pm.DnaGallery.open("/srv/node/dna")
with pm.Matcher(gallery, treaty="pcc-see") as matcher:
    for match in matcher.search(probe):
        print(match.rank, match.reference, match.quality, match.explain())
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pcc_match.comparison import compare
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import DnaRule, MixtureRule, StringencyRule
from pcc_match.errors import (
    CalibrationError,
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
    from pcc_match import exchange, finger, itl
    from pcc_match.finger import FingerGallery, FingerRecord, FingerTemplate, score_matrix, threshold_for

_MODULES = ("exchange", "finger", "itl")
_OF_FINGER = ("FingerGallery", "FingerRecord", "FingerTemplate", "score_matrix", "threshold_for")


def __getattr__(name: str) -> Any:
    """`pm.exchange`, `pm.finger` with what it gives to the top level, and `pm.itl` are loaded at their first use."""
    if name in _MODULES:
        return import_module(f"pcc_match.{name}")
    if name in _OF_FINGER:
        return getattr(import_module("pcc_match.finger"), name)
    raise AttributeError(f"module 'pcc_match' has no attribute {name!r}")


__all__ = [
    "CalibrationError",
    "DeviceError",
    "DnaGallery",
    "DnaProfile",
    "DnaRule",
    "ExchangeError",
    "FingerGallery",
    "FingerRecord",
    "FingerTemplate",
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
    "exchange",
    "finger",
    "itl",
    "rematch",
    "score_matrix",
    "threshold_for",
    "treaties",
    "treaty",
]
