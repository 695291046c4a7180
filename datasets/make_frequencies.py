"""Makes the tables in datasets/data/ from the published files: the tables are committed, the published files are not.

    python datasets/make_frequencies.py PUBLISHED_FILES [--out datasets/data]

PUBLISHED_FILES holds (sources and terms: datasets/data/SOURCES.md)
    fafreqs/strider-2015.xml, fafreqs/LICENSE      STRidER v2015 by country, from knifecake/fafreqs (MIT)
    norSTR/EuropaDB_v2023.txt, norSTR/LICENSE.md   norSTR, Europe, from magnusdv/norSTR (MIT)
    nist1036_genotypes.csv                         NIST 1036, revised 2017 (public domain)

Every table has the columns locus, allele, per_million, people. A locus sums to exactly 1,000,000 (largest remainders),
so that whoever draws from it needs integers only; `people` is the number typed, empty where the source does not say.
"""

import argparse
import csv
import gzip
import io
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from pcc_match.dna.loci import WILDCARD, allele_code, locus
from pcc_match.errors import ProfileError

MILLION = 1_000_000
NIST_POPULATIONS = {"AA": "african-american", "Asian": "asian", "Cauc": "caucasian", "Hisp": "hispanic"}

Table = dict[str, tuple[dict[str, int], int | None]]  # canonical locus -> (allele text -> per million, people)


def per_million(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Weights as integers that sum to 1,000,000, alleles in order of size, those that round to 0 left out."""
    total = sum(weights.values())
    exact = {allele: weight * MILLION / total for allele, weight in weights.items()}
    whole = {allele: int(value) for allele, value in exact.items()}
    by_remainder = sorted(exact, key=lambda allele: (whole[allele] - exact[allele], Fraction(allele)))
    for allele in by_remainder[: MILLION - sum(whole.values())]:
        whole[allele] += 1
    return {allele: whole[allele] for allele in sorted(whole, key=Fraction) if whole[allele]}


def strider(path: Path) -> dict[str, Table]:
    """Origin -> table; the sum over all origins is left out, `Europe` kept."""
    tables: dict[str, Table] = {}
    for marker in ElementTree.parse(path).getroot().iter("marker"):
        where = locus(marker.findtext("name", ""))
        for origin in marker.iter("origin"):
            weights = {f.attrib["allele"]: Fraction(f.text or "0") for f in origin.iter("frequency")}
            # A few people have the allele "1" there, which stands for one that was not designated.
            designated = {text: weight for text, weight in weights.items() if allele_code(where, text) > WILDCARD}
            tables.setdefault(origin.attrib["name"], {})[where.name] = per_million(designated), int(origin.attrib["n"])
    del tables["Entire Database"]
    return tables


def norstr(path: Path) -> Table:
    """Blocks of a marker name and `allele <tab> frequency` lines, divided by empty lines."""
    table: Table = {}
    for block in path.read_text("utf-8-sig").replace("\r", "").strip().split("\n\n"):
        name, *lines = block.split("\n")
        try:
            canonical = locus(name.strip()).name
        except ProfileError:
            print(f"norSTR: {name.strip()} is not in the locus catalogue, left out")
            continue
        pairs = (line.split("\t") for line in lines)
        table[canonical] = per_million({allele.strip(): Fraction(value.strip()) for allele, value in pairs}), None
    return table


def nist(rows: list[dict[str, str]]) -> Table:
    table: Table = {}
    for name in [column.removesuffix(".1") for column in rows[0] if column.endswith(".1")]:
        texts = [row[f"{name}.{slot}"] for row in rows for slot in (1, 2)]
        counts = Counter(text for text in texts if text)
        weights = {allele: Fraction(count) for allele, count in counts.items()}
        table[locus(name).name] = per_million(weights), counts.total() // 2
    return table


def write_table(path: Path, table: Table) -> None:
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["locus", "allele", "per_million", "people"])
        for name in sorted(table):
            alleles, people = table[name]
            writer.writerows([name, allele, share, people] for allele, share in alleles.items())


def write_genotypes(path: Path, rows: list[dict[str, str]]) -> None:
    """id, population, <locus>_1, <locus>_2: the published values under catalogue names, gzip without a date."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [column for column in rows[0] if column not in ("sample", "pop")]
    names = [f"{locus(column[:-2]).name}_{column[-1]}" for column in columns]
    writer.writerow(["id", "population", *names])
    writer.writerows([row["sample"], NIST_POPULATIONS[row["pop"]], *(row[c] for c in columns)] for row in rows)
    path.write_bytes(gzip.compress(text.getvalue().encode("ascii"), 9, mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the allele frequency tables from the published files.")
    parser.add_argument("published", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    arguments = parser.parse_args()
    published, out = arguments.published, arguments.out
    out.mkdir(exist_ok=True)
    for origin, table in strider(published / "fafreqs/strider-2015.xml").items():
        # The source's spelling of this country is out of date.
        name = origin.replace("HERZEGOWINA", "HERZEGOVINA").lower().replace(" ", "-")
        write_table(out / f"strider-{name}.csv", table)
    write_table(out / "norstr-europe.csv", norstr(published / "norSTR/EuropaDB_v2023.txt"))
    with (published / "nist1036_genotypes.csv").open(encoding="utf-8-sig", newline="") as file:
        people = list(csv.DictReader(file))
    for code, name in NIST_POPULATIONS.items():
        write_table(out / f"nist-{name}.csv", nist([row for row in people if row["pop"] == code]))
    write_genotypes(out / "nist1036.csv.gz", people)
    shutil.copyfile(published / "fafreqs/LICENSE", out / "LICENSE-fafreqs.txt")
    shutil.copyfile(published / "norSTR/LICENSE.md", out / "LICENSE-norSTR.md")


if __name__ == "__main__":
    main()
