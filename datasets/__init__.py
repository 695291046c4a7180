"""Synthetic and real data sets; each has a card (CARD.md, data/SOURCES.md)."""

from pcc_match.datasets.dna import DnaModel, State, default_states, synthesize, write_dataset
from pcc_match.datasets.frequencies import frequencies, nist1036, nist1036_populations, populations
from pcc_match.datasets.profiles import TRUTH, kits

__all__ = [
    "TRUTH",
    "DnaModel",
    "State",
    "default_states",
    "frequencies",
    "kits",
    "nist1036",
    "nist1036_populations",
    "populations",
    "synthesize",
    "write_dataset",
]
