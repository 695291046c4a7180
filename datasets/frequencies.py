"""Real data: allele frequencies of populations, and the genotypes of the NIST 1036 people. Sources: data/SOURCES.md."""

import csv
import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.profile import DnaProfile

DATA = Path(__file__).parent / "data"
MILLION = 1_000_000


@cache
def populations() -> tuple[str, ...]:
    """Names of the populations that frequencies() knows, such as `strider-austria`."""
    return tuple(sorted(path.stem for path in DATA.glob("*-*.csv")))


@cache
def frequencies(population: str) -> Mapping[str, Mapping[str, int]]:
    """Canonical locus -> allele text -> people's alleles per million; every locus sums to exactly 1,000,000.

    Alleles stand in order of size. KeyError for a population that is not in populations().
    """
    if population not in populations():
        raise KeyError(f"no frequencies of {population!r}; there are {', '.join(populations())}")
    table: dict[str, dict[str, int]] = {}
    with (DATA / f"{population}.csv").open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["locus"], {})[row["allele"]] = int(row["per_million"])
    return MappingProxyType({locus: MappingProxyType(alleles) for locus, alleles in table.items()})


def _nist1036_rows() -> list[dict[str, str]]:
    with gzip.open(DATA / "nist1036.csv.gz", "rt", encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def nist1036() -> ProfileColumns:
    """The NIST 1036 U.S. population data set, revised 2017: 1036 real people, 29 autosomal loci.

    Two people lack one locus. Row r is of the population nist1036_populations()[r].
    Steffen et al. 2017, doi 10.1016/j.fsigen.2017.08.011.
    """
    rows = _nist1036_rows()
    loci = [column.removesuffix("_1") for column in rows[0] if column.endswith("_1")]
    return ProfileColumns.from_profiles(
        DnaProfile(
            id=row["id"],
            kind="person",
            country="US",
            alleles={name: (row[f"{name}_1"], row[f"{name}_2"]) for name in loci},
        )
        for row in rows
    )


def nist1036_populations() -> tuple[str, ...]:
    """The population of each row of nist1036(): african-american, asian, caucasian or hispanic."""
    return tuple(row["population"] for row in _nist1036_rows())
