"""What the gallery tests share: small profiles, and the gallery's promise in its plainest form."""

from pathlib import Path

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.profile import DnaProfile


def columns(*profiles: DnaProfile) -> ProfileColumns:
    return ProfileColumns.from_profiles(profiles)


def person(id: str, *alleles: str) -> DnaProfile:
    return DnaProfile(id, "person", {"TH01": alleles or ("6", "9.3")})


def contents(gallery: DnaGallery) -> dict[str, DnaProfile]:
    exported = [batch.profile(row) for batch in gallery.export() for row in range(len(batch))]
    assert len({profile.id for profile in exported}) == len(exported) == len(gallery)
    return {profile.id: profile for profile in exported}


def damage(file: Path, position: int, bit: int = 0) -> None:
    raw = bytearray(file.read_bytes())
    raw[position] ^= 1 << bit
    file.write_bytes(raw)


class Model:
    """A dict, one profile after the other."""

    def __init__(self) -> None:
        self.profiles: dict[str, DnaProfile] = {}

    def enrol(self, profiles: list[DnaProfile], replace: bool) -> tuple[int, int, int, list[int]]:
        added = unchanged = replaced = 0
        rejected = []
        for row, profile in enumerate(profiles):
            if profile.id not in self.profiles:
                added += 1
                self.profiles[profile.id] = profile
            elif self.profiles[profile.id] == profile:
                unchanged += 1
            elif replace:
                replaced += 1
                self.profiles[profile.id] = profile
            else:
                rejected.append(row)
        return added, unchanged, replaced, rejected

    def remove(self, ids: list[str]) -> int:
        return sum(self.profiles.pop(id, None) is not None for id in set(ids))
