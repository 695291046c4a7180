"""How many loci pairs of profiles share: counted over all pairs, and expected between unrelated people.

A locus counts for a pair where both profiles are designated there (two alleles, no wildcard). It is a match where both
alleles are equal, partial where exactly one is shared. The counts are those of `dbCompare` and `dbExpect` (Tvedebrink
et al. 2012, doi 10.1016/j.fsigen.2011.08.001, after Weir 2004 and 2007): against the expectation, they tell an expert
how many adventitious matches a database of this size must have, and show relatives and duplicates that exceed it.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcc_match import _cpu

PAIR: Final = np.dtype([("row", np.uint32), ("other", np.uint32), ("matching", np.uint32), ("partial", np.uint32)])
"""A pair of rows and its numbers of matching and of partially matching loci."""


def match_partial_counts(
    codes: ArrayLike, against: ArrayLike | None = None, *, threads: int | None = None
) -> NDArray[np.int64]:
    """Pairs by matching and partially matching loci: int64 (L + 1, L + 1), cell [m, p] for m and p loci.

    codes: allele codes, uint8 (n, L, 2), as `ProfileColumns.codes`; any L. All unordered pairs of its rows count, or
    with `against` all pairs of a row of `codes` and a row of `against`. threads: None = one a core.
    ValueError for another shape or dtype.
    """
    profiles = _codes(codes)
    loci = profiles.shape[1]
    counts = np.zeros((loci + 1, loci + 1), np.int64)
    for block, _ in _blocks(profiles, against, loci + 1, threads):
        counts += block
    return counts


def pairs_with_matches(
    codes: ArrayLike, at_least: int, against: ArrayLike | None = None, *, threads: int | None = None
) -> NDArray[np.void]:
    """The pairs with at least so many matching loci, dtype PAIR, sorted by row and other row.

    As match_partial_counts; row < other without `against`, else `row` is of `codes` and `other` of `against`.
    """
    pairs = np.concatenate(
        [np.empty((0, 4), np.uint32), *(found for _, found in _blocks(_codes(codes), against, at_least, threads))]
    )
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].view(PAIR)[:, 0]


def expected_counts(frequencies: Mapping[str, Mapping[str, float]], n: int, theta: float = 0.0) -> NDArray[np.float64]:
    """The counts to expect between n unrelated profiles with all these loci: float64 (L + 1, L + 1) as above.

    frequencies: locus -> allele -> frequency in any unit, as `pcc_match.datasets.frequencies`. theta: the probability
    that two alleles are of common descent in the population, 0 <= theta < 1. ValueError names what is impossible.
    """
    if n < 0 or not 0 <= theta < 1:
        raise ValueError(f"n = {n}, theta = {theta}: n must be 0 or more, theta in [0, 1)")
    counts = np.array([[n * (n - 1) / 2]])
    for name, alleles in frequencies.items():
        weights = np.array(list(alleles.values()), np.float64)
        if not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
            raise ValueError(f"locus {name}: frequencies must be numbers of 0 or more, one of them above 0")
        match, partial, neither = _chances(weights / weights.sum(), theta)
        wider = np.zeros((len(counts) + 1, len(counts) + 1))
        wider[:-1, :-1] = neither * counts
        wider[1:, :-1] += match * counts
        wider[:-1, 1:] += partial * counts
        counts = wider
    return counts


def _chances(p: NDArray[np.float64], theta: float) -> tuple[float, float, float]:
    """That two profiles match, match partially, or share nothing at a locus with these frequencies.

    Four alleles are drawn one by one (Balding and Nichols): after k draws, m of them this allele, the next one is it
    with probability (m theta + (1 - theta) p) / (1 + (k - 1) theta). The same holds for a set of alleles.
    """
    q = (1 - theta) * p
    last_two = (1 + theta) * (1 + 2 * theta)
    same = np.eye(len(p), dtype=bool)
    first_profile = p[:, None] * (q + theta * same)
    equal_to_it = np.where(same, (2 * theta + q) * (3 * theta + q), 2 * np.outer(theta + q, theta + q))
    others = 1 - theta - np.where(same, q, q[:, None] + q)
    match = float((first_profile * equal_to_it).sum() / last_two)
    neither = float((first_profile * others * (theta + others)).sum() / last_two)
    return match, 1 - match - neither, neither


def _codes(codes: ArrayLike) -> NDArray[np.uint8]:
    array = np.asarray(codes)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 2:
        raise ValueError(f"allele codes must be uint8 (n, loci, 2), not {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)


def _blocks(
    codes: NDArray[np.uint8], against: ArrayLike | None, at_least: int, threads: int | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    """Counts and pairs of each part of the work."""
    from concurrent.futures import ThreadPoolExecutor

    others = None if against is None else _codes(against)
    swapped = False
    if others is not None and len(others) > len(codes):  # the larger side is the one that is cut in blocks
        codes, others, swapped = others, codes, True
    matrix = _cpu.DnaMatrix(codes, others)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for counts, pairs in pool.map(lambda block: matrix.count(block, at_least), reversed(range(matrix.blocks))):
            yield counts, pairs[:, [1, 0, 2, 3]] if swapped else pairs
