"""The one order of candidates: every list of this library is sorted by it, on every back end.

A candidate's key is one uint64, `score << 32 | ~rank`: the better score first and, among equal scores, the smaller
rank. The rank says how many references have an id that is bytewise smaller, so that neither the order of enrolment nor
the number of shards, threads or devices can change a list.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

HIT = np.dtype(
    {
        "names": ["probe", "row", "full", "wildcards", "microvariants", "mismatches", "quality"],
        "formats": ["<u4", "<u4", "<u2", "<u2", "<u2", "<u2", "<u2"],
        "itemsize": 20,
    }
)
"""What a back end reports for an accepted pair: `PccHit` of kernels/compare_dna.h.

`probe` is the probe's position in the batch, `row` the reference's row; the counts are those of the rule.
"""


def keys(scores: NDArray[Any], ranks: NDArray[Any]) -> NDArray[np.uint64]:
    """Keys of candidates; scores and ranks are whole numbers below 2**32. A larger key is a better candidate."""
    last: NDArray[np.uint64] = ~ranks.astype(np.uint64) & np.uint64(0xFFFFFFFF)
    return scores.astype(np.uint64) << np.uint64(32) | last


def best_keys(keys: NDArray[np.uint64], most: int) -> NDArray[np.uint64]:
    """The greatest keys, at most so many, best first."""
    if most < len(keys):
        keys = np.partition(keys, len(keys) - most)[len(keys) - most :]
    return np.sort(keys)[::-1]


def dna_keys(hits: NDArray[np.void], ranks: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Keys of `hits` (dtype HIT): quality 1 first, then more full loci, then fewer differences, then the id.

    `ranks` is uint32, one for each reference row. A larger key is a better candidate.
    """
    differences = hits["wildcards"].astype(np.uint64) + hits["microvariants"] + hits["mismatches"]
    score = (
        (np.uint64(7) - hits["quality"]) << np.uint64(29)
        | np.minimum(hits["full"], np.uint64(0x1FFF)).astype(np.uint64) << np.uint64(16)
        | np.uint64(0xFFFF) - np.minimum(differences, np.uint64(0xFFFF))
    )
    return keys(score, ranks[hits["row"]])


def ordered(hits: NDArray[np.void], ranks: NDArray[np.uint32]) -> NDArray[np.void]:
    """`hits` sorted by probe, then by key, best first; an id that two galleries have, in their order."""
    if len(hits) < 2:
        return hits
    return hits[np.lexsort((hits["row"], ~dna_keys(hits, ranks), hits["probe"]))]
