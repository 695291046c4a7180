"""Columns hold exactly the profiles that went in, and their codes are the profiles' codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.profile import KINDS, DnaProfile
from pcc_match.errors import ProfileError
from pcc_match.strings import Strings

TEXTS = st.sampled_from(["9.2", "9.3", "9,3", "10", "010", "12", "*", "<8", "na", "1", "99"])
LOCI = ["TH01", "VWA", "Penta E", "SE33", "DYS391", "D6S1043"]
ALLELES = st.dictionaries(st.sampled_from(LOCI), st.lists(TEXTS, min_size=1, max_size=5).map(tuple))
AMELOGENIN = st.lists(st.sampled_from(["X", "Y", "*", "y"]), max_size=3).map(tuple)
NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=6)
PROFILES = st.builds(
    DnaProfile,
    id=NAMES.filter(bool),
    kind=st.sampled_from(KINDS),
    alleles=st.builds(lambda alleles, sex: alleles | {"AMEL": sex}, ALLELES, AMELOGENIN),
    country=st.sampled_from(["", "AT", "HU"]),
    agency=NAMES,
    kit=st.sampled_from(["", "NGM"]),
    single=st.sampled_from(["wildcard", "homozygous"]),
)
MANY = st.lists(PROFILES, max_size=7)


def rows(columns: ProfileColumns) -> list[DnaProfile]:
    return [columns.profile(row) for row in range(len(columns))]


def some_rows(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(-count, max(count - 1, 0)), max_size=9 if count else 0)


@given(MANY)
def test_profiles_come_back_with_equal_codes(profiles: list[DnaProfile]) -> None:
    columns = ProfileColumns.from_profiles(profiles)
    assert rows(columns) == profiles
    assert columns.codes.shape == (len(profiles), len(columns.loci), 2)
    for row, profile in enumerate(profiles):
        assert (columns.codes[row] == profile.codes(columns.loci)).all()
        assert set(profile.alleles) <= set(columns.loci)


@given(MANY, st.data())
def test_take(profiles: list[DnaProfile], data) -> None:
    columns = ProfileColumns.from_profiles(profiles)
    if data.draw(st.booleans()):
        assert len(columns.codes) == len(profiles)  # computed before: taken along
    picked = np.array(data.draw(some_rows(len(profiles))), dtype=np.int64)
    taken = columns.take(picked)
    assert rows(taken) == [profiles[row] for row in picked]
    assert (taken.codes == columns.codes[picked]).all()
    mask = np.array([profile.kind == "stain" for profile in profiles], dtype=bool)
    assert rows(columns.take(mask)) == [profile for profile in profiles if profile.kind == "stain"]


@given(st.lists(MANY, max_size=4))
def test_concat(parts: list[list[DnaProfile]]) -> None:
    whole = ProfileColumns.concat([ProfileColumns.from_profiles(part) for part in parts])
    profiles = [profile for part in parts for profile in part]
    assert rows(whole) == profiles
    for row, profile in enumerate(profiles):
        assert (whole.codes[row] == profile.codes(whole.loci)).all()


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=9), st.data())
def test_strings(texts: list[str], data) -> None:
    strings = Strings.from_list(texts)
    assert list(strings) == texts == [strings[index] for index in range(len(strings))]
    assert strings.offsets.dtype == np.uint64
    assert strings.heap.dtype == np.uint8
    picked = data.draw(some_rows(len(texts)))
    taken = strings.take(np.array(picked, dtype=np.int64))
    assert list(taken) == [texts[row] for row in picked]
    assert list(Strings.concat([strings, taken, Strings.from_list([])])) == [*texts, *taken]


def test_strings_have_ends() -> None:
    strings = Strings.from_list(["a", "bc"])
    assert strings[-1] == "bc"
    with pytest.raises(IndexError):
        strings[2]


def test_no_profiles_are_columns_too() -> None:
    empty = ProfileColumns.from_profiles([])
    assert len(empty) == 0
    assert empty.codes.shape == (0, 0, 2)
    assert len(ProfileColumns.concat([])) == 0
    assert len(ProfileColumns.concat([empty, empty])) == 0


def test_a_text_that_no_allele_has_is_named_with_its_locus() -> None:
    columns = ProfileColumns.from_profiles([DnaProfile("A", "stain", {"TH01": ("9.3", "6")})])
    broken = ProfileColumns(**{**vars(columns), "texts": ("", "9.7", "6")})
    with pytest.raises(ProfileError, match=r"TH01: allele '9\.7'"):
        _ = broken.codes


def test_texts_are_read_where_they_stand_only() -> None:
    profiles = [DnaProfile("A", "stain", {"Penta E": ("11.4", "X")}), DnaProfile("B", "stain", {"TH01": ("9.3",)})]
    assert ProfileColumns.from_profiles(profiles).codes.tolist() == [[[0, 0], [1, 59]], [[1, 39], [0, 0]]]


def test_more_texts_than_columns_can_number() -> None:
    remarks = tuple(f"remark {number}" for number in range(1 << 16))
    with pytest.raises(ProfileError, match="65535 different allele texts"):
        ProfileColumns.from_profiles([DnaProfile("A", "stain", {"TH01": remarks})])


def test_more_than_a_chunk_of_profiles() -> None:
    rng = np.random.default_rng(1)
    few = ProfileColumns.from_profiles(
        DnaProfile(f"P{number}", "stain", {"TH01": (str(number), "9.3"), "VWA": ("16",)}) for number in range(5, 25)
    )
    picked = rng.integers(0, len(few), 150_000)
    many = few.take(picked)
    assert "codes" not in vars(many)
    assert (many.codes == few.codes[picked]).all()
