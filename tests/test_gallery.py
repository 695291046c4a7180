"""DnaGallery: what is enrolled comes back, row for row; damage is named; one writer, many readers."""

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.gallery import DnaGallery, ranks_over
from pcc_match.dna.loci import LOCI
from pcc_match.dna.profile import KINDS, DnaProfile

LOCUS_NAMES = [place.name for place in LOCI if place.period == 4][:6]

profiles = st.builds(
    DnaProfile,
    id=st.text("ab", min_size=1, max_size=2) | st.text(string.ascii_letters + "žß€𝄞", min_size=1, max_size=12),
    kind=st.sampled_from(KINDS),
    alleles=st.dictionaries(
        st.sampled_from(LOCUS_NAMES),
        st.lists(st.sampled_from(["9", "09", "9.3", "10", "*", "<8", "12"]), min_size=1, max_size=4).map(tuple),
        max_size=4,
    ),
    country=st.sampled_from(["", "AT", "SI"]),
    agency=st.sampled_from(["", "BK", "žandarmerija"]),
    single=st.sampled_from(["wildcard", "homozygous"]),
)


def columns(*some: DnaProfile) -> ProfileColumns:
    return ProfileColumns.from_profiles(some)


def person(id: str, *alleles: str) -> DnaProfile:
    return DnaProfile(id, "person", {"TH01": alleles or ("6", "9.3")})


def contents(gallery: DnaGallery) -> dict[str, DnaProfile]:
    exported = [batch.profile(row) for batch in gallery.export() for row in range(len(batch))]
    assert len({profile.id for profile in exported}) == len(exported) == len(gallery)
    return {profile.id: profile for profile in exported}


class Model:
    """The gallery's promise in its plainest form: a dict, one profile after the other."""

    def __init__(self) -> None:
        self.profiles: dict[str, DnaProfile] = {}

    def enrol(self, some: list[DnaProfile], replace: bool) -> tuple[int, int, int, list[int]]:
        added = unchanged = replaced = 0
        rejected = []
        for row, profile in enumerate(some):
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


def assert_holds(gallery: DnaGallery, model: dict[str, DnaProfile]) -> None:
    assert contents(gallery) == model
    assert len(gallery) == len(model)
    ranks = gallery.ranks()
    live = np.flatnonzero(ranks != 0xFFFFFFFF)
    assert len(ranks) == gallery.rows
    ids = gallery.ids(live)
    assert [ids[k] for k in np.argsort(ranks[live])] == sorted(model, key=str.encode)
    assert sorted(ranks[live].tolist()) == list(range(len(model)))
    for row, id in zip(live.tolist(), ids, strict=True):
        assert gallery.id(row) == id
        assert gallery.profile(row) == gallery.profile(id) == model[id]
    first = 0
    for codes, positions, alive in gallery.parts(LOCUS_NAMES):
        rows = np.arange(first, first + len(codes))
        flags = np.ones(len(codes), bool) if alive is None else alive.astype(bool)
        assert flags.tolist() == np.isin(rows, live).tolist()
        for row in rows[flags].tolist():
            spread = np.zeros((len(LOCUS_NAMES), 2), np.uint8)
            spread[positions[positions >= 0]] = codes[row - first, positions >= 0]
            assert spread.tolist() == gallery.profile(row).codes(LOCUS_NAMES).tolist()
        first += len(codes)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enrol"), st.lists(profiles, max_size=8), st.booleans()),
        st.tuples(st.just("remove"), st.lists(st.text("ab", min_size=1, max_size=2), max_size=3)),
        st.tuples(st.just("compact")),
        st.tuples(st.just("reopen")),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 3))
def test_behaves_as_a_dict(tmp_path_factory: pytest.TempPathFactory, steps: list[Any], small_segments: int) -> None:
    path = tmp_path_factory.mktemp("gallery") / "g"
    model = Model()
    gallery = DnaGallery.create(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcc_match.gallery.store.SMALL_SEGMENTS", small_segments)
        patch.setattr("pcc_match.gallery.store._FEW_LOOKUPS", 4 * small_segments)  # by bisection and by index
        patch.setattr("pcc_match.gallery.store.SEGMENT_ROWS", 5)
        for step in steps:
            match step:
                case ("enrol", some, over):
                    done = gallery.enrol(columns(*some), replace=over)
                    expected = model.enrol(some, over)
                    assert (done.added, done.unchanged, done.replaced, [r.row for r in done.rejected]) == expected
                    assert [r.id for r in done.rejected] == [some[row].id for row in expected[3]]
                case ("remove", ids):
                    assert gallery.remove(ids) == model.remove(ids)
                case ("compact",):
                    gallery.compact()
                    assert gallery.info().removed == 0
                case ("reopen",):
                    gallery.close()
                    gallery = DnaGallery.open(path, write=True)
            assert contents(gallery) == model.profiles
    assert_holds(gallery, model.profiles)
    assert_holds(DnaGallery.open(path, check="all"), model.profiles)
    assert DnaGallery.verify(path) == []
    gallery.close()


def test_ranks_over_galleries_put_equal_ids_side_by_side(tmp_path: Path) -> None:
    first, second = DnaGallery.create(tmp_path / "first"), DnaGallery.create(tmp_path / "second")
    first.enrol(columns(person("b"), person("d"), person("é")))
    second.enrol(columns(person("d"), person("a"), person("b")))
    second.enrol(columns(person("c")))
    second.remove(["b"])
    ranks = ranks_over([first, second])
    assert [ranks[0][row] for row in range(3)] == [1, 3, 5]  # b, d, é
    assert [(second.id(row), int(ranks[1][row])) for row in range(4)] == [
        ("a", 0),
        ("b", 0xFFFFFFFF),
        ("d", 4),
        ("c", 2),
    ]
