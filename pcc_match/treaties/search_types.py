"""The kinds of dactyloscopic search that states ask of each other: what is searched for, and among what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pcc_match.errors import ExchangeError

_LATENT: Final = {"LT", "LP", "UL", "ULP"}
_PALM: Final = {"PP", "LP", "ULP"}


@dataclass(frozen=True)
class SearchType:
    """One kind of search.

    Ten-prints TP, palm prints PP, latents of fingers LT and of palms LP, unsolved latents of fingers UL and palms ULP.
    """

    probe: str
    references: str

    @property
    def name(self) -> str:
        return f"{self.probe}/{self.references}"

    @property
    def latent_probe(self) -> bool:
        return self.probe in _LATENT

    @property
    def latent_references(self) -> bool:
        return self.references in _LATENT

    @property
    def latent(self) -> str:
        """Which side a comparison takes for a latent, as finger.compare says it: where both are, the probe."""
        return "a" if self.latent_probe else "b" if self.latent_references else ""

    @property
    def summed(self) -> bool:
        """Whether a subject's score is the sum over fingers: a latent shows one finger."""
        return not self.latent_probe and not self.latent_references

    @property
    def palms(self) -> bool:
        return self.references in _PALM


SEARCH_TYPES: Final = {
    f"{probe}/{references}": SearchType(probe, references)
    for probe, references in (
        ("TP", "TP"),
        ("LT", "TP"),
        ("TP", "UL"),
        ("LT", "UL"),
        ("LP", "PP"),
        ("PP", "ULP"),
        ("LP", "ULP"),
    )
}


@dataclass(frozen=True)
class FingerRule:
    """What a treaty asks of dactyloscopic searches: for each search type, the most candidates that one may return."""

    max_candidates: Mapping[str, int]

    def __post_init__(self) -> None:
        for name, limit in self.max_candidates.items():
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
                raise ExchangeError(f"{name}: {limit!r} is not a number of candidates, 1 or more")
