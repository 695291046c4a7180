"""Requests, galleries and damaged messages about DNA for the tests of the exchange."""

from collections.abc import Iterator, Sequence
from datetime import date, time
from pathlib import Path
from random import Random

import pcc_match as pm
from pcc_match.dna.columns import ProfileColumns
from pcc_match.exchange.dna import DnaEntry, DnaRequest, Header, Info

GOLDEN = Path(__file__).parent / "golden"
SIX = {
    "VWA": ("14", "16"),
    "TH01": ("6", "9.3"),
    "D21S11": ("28", "31.2"),
    "FGA": ("20", "24"),
    "D8S1179": ("13", "13"),
    "D3S1358": ("15", "17"),
}
SEVEN = SIX | {"D18S51": ("12", "16")}


def profile(id: str, alleles: dict[str, tuple[str, ...]], kind: str = "stain", **labels: str) -> pm.DnaProfile:
    return pm.DnaProfile(id, kind, alleles, **labels)


def request(
    *profiles: pm.DnaProfile, article: int = 3, id: str = "AT-1", source: str = "AT", destination: str = "HU"
) -> DnaRequest:
    info = Info(source, destination, id, date(2026, 11, 28), time(12, 0, 1))
    return DnaRequest(Header(info, ref="mail-7"), tuple(DnaEntry.of(each, article) for each in profiles))


def gallery(folder: Path, profiles: Sequence[pm.DnaProfile]) -> pm.DnaGallery:
    made = pm.DnaGallery.create(folder)
    made.enrol(ProfileColumns.from_profiles(profiles))
    return made


# Worked cases of the rule: what is asked, and a gallery in which every quality occurs.
ASKED = profile("AT-S-1", SEVEN | {"Penta E": ("11.4", "12")}, agency="AT/BK", kit="ESX 17")
REFERENCES = (
    profile("HU-P-1", SEVEN | {"AMEL": ("X", "Y")}, "person", agency="HU/NC", kit="NGM"),
    profile("HU-P-2", SIX | {"D18S51": ("12", "*")}, "person"),
    profile("HU-R-3", SEVEN | {"Penta E": ("12", "12")}, "remains"),
    profile("HU-S-4", SIX | {"D18S51": ("12", "17")}),
    profile("HU-S-5", SIX | {"D18S51": ("13", "17")}),  # two alleles differ: no match
    profile("HU-S-6", dict(list(SEVEN.items())[:5])),  # five loci: no match
)

# ---- Damage

_WORDS = (
    b"<",
    b">",
    b"</datas>",
    b"<datas>",
    b"&a;",
    b"<!DOCTYPE a []>",
    b"\x00",
    b"]]>",
    b"<vwa/>",
    b"*",
    b"",
    b"\xff",
    b"-1",
)


def mutants(messages: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Messages with one to three damages: bits, pieces that are lost, doubled, moved or put in, other values."""
    rng = Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(messages))
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(data) + 1)
            end = min(place + rng.randint(1, 40), len(data))
            match rng.randrange(6):
                case 0 if place < len(data):
                    data[place] ^= 1 << rng.randrange(8)
                case 1:
                    del data[place:end]
                case 2:
                    data[place:place] = data[place:end]
                case 3:
                    data[place:place] = rng.choice(_WORDS)
                case 4:
                    start = data.find(b">", place) + 1
                    data[start : max(start, data.find(b"<", start))] = rng.choice(
                        (b"", b"99", b"9.9", b"Z", b"7" * 300)
                    )
                case _:
                    other = rng.choice(messages)
                    data[place:end] = other[place:end]
        yield bytes(data)
