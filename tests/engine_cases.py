"""Galleries for the engine's tests: small, but with everything that profiles have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu

Codes = NDArray[np.uint8]
Found = tuple[int, ...]  # probe, row, full, wildcards, micro-variants, mismatches, quality


def gallery(n: int, loci: int = 16, seed: int = 0, *, alleles: int = 9) -> Codes:
    """uint8[n, loci, 2]: kits, partial stains, homozygotes, wildcards, micro-variants, rare alleles, empty profiles,
    and copies of earlier rows with up to three alleles off, so that matches of every kind occur."""
    r = np.random.default_rng(seed)
    codes = np.empty((n, loci, 2), np.uint8)
    for locus in range(loci):
        codes[:, locus] = 4 * (8 + r.choice(alleles, size=(n, 2), p=r.dirichlet(np.ones(alleles))))
    copies = np.flatnonzero(r.random(n) < 0.4)
    for row in copies[copies > 0]:
        codes[row] = codes[r.integers(row)]
    for chance in (0.3, 0.15, 0.1):
        rows = np.flatnonzero(r.random(n) < chance)
        changed = 4 * (8 + r.integers(0, alleles, len(rows)))
        codes[rows, r.integers(0, loci, len(rows)), r.integers(0, 2, len(rows))] = changed
    step = (r.random(codes.shape) < 0.01) * r.choice(np.array([1, -1]), codes.shape)
    codes = (codes.astype(np.int64) + step).astype(np.uint8)
    rare = r.random(codes.shape) < 0.002
    codes[rare] = r.integers(120, 250, int(rare.sum()))
    wild = r.random(codes.shape) < np.where(r.random(n) < 0.3, 0.06, 0.0)[:, None, None]
    codes[wild] = 1
    kits = r.random((4, loci)) < np.array([1.0, 0.8, 0.7, 0.5])[:, None]
    present = kits[r.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])]
    present &= ~((r.random(n) < 0.3)[:, None] & (r.random((n, loci)) < 0.4))
    present &= (r.random(n) > 0.01)[:, None]
    codes[~present] = 0
    codes.sort(axis=2)
    return codes


def every_pair(probes: NDArray[Any], codes: Codes, rule: tuple[int, ...]) -> set[Found]:
    """What a search must find: the compiled rule, one pair after the other."""
    compare = {7: _cpu.compare_dna, 3: _cpu.compare_stringency, 2: _cpu.compare_mixture}[len(rule)]
    found: set[Found] = set()
    for number, probe in enumerate(probes):
        tallies = compare(probe[None], codes, rule)
        rows = np.flatnonzero(tallies[:, 4])
        found.update((number, row, *tally) for row, tally in zip(rows.tolist(), tallies[rows].tolist(), strict=True))
    return found


def as_set(hits: NDArray[np.void]) -> set[Found]:
    """Hits (candidates.HIT) in the same form; none may come twice."""
    found = set(hits.tolist())
    assert len(found) == len(hits)
    return found


def index_of(codes: Codes, live: Codes | None = None, **options: int) -> _cpu.DnaIndex:
    loci = codes.shape[1]
    return _cpu.DnaIndex([(codes, np.arange(loci, dtype=np.int32), live)], loci, **options)
