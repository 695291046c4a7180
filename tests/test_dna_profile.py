"""Profiles: what they keep, what they refuse, and the pair of values that comparisons use."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from pcc_match.dna.profile import DnaProfile
from pcc_match.errors import ProfileError


def profile(single: str = "wildcard", **alleles: tuple[str, ...]) -> DnaProfile:
    return DnaProfile("P-1", "person", alleles, single=single)


def test_texts_are_kept_as_written_under_canonical_names() -> None:
    kept = profile(vWA=("16", " 17 "), th_01=("9,3", "<8"), F13A01=("na",), AMELOGENIN=("X", "Y"))
    assert kept.alleles == {"VWA": ("16", "17"), "TH01": ("9,3", "<8"), "F13A1": ("na",), "AMEL": ("X", "Y")}


def test_empty_values_and_null_are_absent() -> None:
    assert profile(FGA=("20", "", "NULL"), TH01=("NULL", ""), VWA=()).alleles == {"FGA": ("20",)}


def test_a_profile_does_not_change() -> None:
    fixed = profile(FGA=("20", "21"))
    with pytest.raises(FrozenInstanceError):
        fixed.id = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        fixed.alleles["FGA"] = ("1",)  # type: ignore[index]


def test_equal_profiles_are_equal_hashable_and_survive_pickling() -> None:
    one, other = profile(vWA=("16", "17"), FGA=("20", "21")), profile(FGA=("20", "21"), VWA=("16", "17"))
    assert one == other
    assert len({one, other}) == 1
    assert one.codes(["FGA"]).shape == (1, 2)
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("alleles", "single", "codes"),
    [
        (("12", "14"), "wildcard", (48, 56)),
        (("14", "12"), "wildcard", (48, 56)),
        (("12", "12"), "wildcard", (48, 48)),
        (("12",), "wildcard", (1, 48)),
        (("12",), "homozygous", (48, 48)),
        (("12", "*"), "homozygous", (1, 48)),
        (("*",), "homozygous", (1, 1)),
        (("na", "<8"), "wildcard", (1, 1)),
        (("14", "12", "13"), "wildcard", (1, 56)),  # the first written, not the lowest
        (("14", "12", "13", "15"), "homozygous", (1, 56)),
        (("*", "12", "13"), "wildcard", (1, 1)),
        ((), "wildcard", (0, 0)),
    ],
)
def test_the_pair_that_comparisons_use(alleles: tuple[str, ...], single: str, codes: tuple[int, int]) -> None:
    assert profile(single, TH01=alleles).codes(["TH01"]).tolist() == [list(codes)]


def test_one_value_is_the_whole_locus_on_the_y_chromosome() -> None:
    assert profile(DYS391=("10",)).codes(["DYS391"]).tolist() == [[40, 40]]
    assert profile(DYS385=("11", "14")).codes(["DYS385"]).tolist() == [[44, 56]]
    assert profile(DYS391=("*",)).codes(["DYS391"]).tolist() == [[1, 1]]


def test_codes_follow_the_loci_asked_for() -> None:
    codes = profile(FGA=("20", "21"), AMEL=("Y", "X"), Penta_E=("11.4", "12")).codes(["amel", "TH01", "PENTA E", "FGA"])
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[2, 3], [0, 0], [59, 60], [80, 84]]
    assert profile().codes([]).shape == (0, 2)


def test_allele_sets_hold_every_allele() -> None:
    sets = profile(FGA=("20", "21", "30.2", "63"), TH01=("*",)).allele_sets(["FGA", "VWA", "TH01"])
    assert sets.dtype == np.uint64
    found = [[code for code in range(256) if int(words[code // 64]) >> code % 64 & 1] for words in sets]
    assert found == [[80, 84, 122, 252], [], [1]]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": ""}, "id"),
        ({"id": " A"}, "id"),
        ({"id": "A\n"}, "id"),
        ({"id": "A\ud800"}, "id"),
        ({"id": 7}, "id"),
        ({"kind": "suspect"}, "suspect"),
        ({"country": "A\tT"}, "country"),
        ({"agency": None}, "agency"),
        ({"single": "maybe"}, "maybe"),
        ({"alleles": {"D3S1385": ("12",)}}, "D3S1358"),
        ({"alleles": {"TH01": ("9.4", "8")}}, "TH01: allele '9.4'"),
        ({"alleles": {"TH01": ("8", "8"), "th-01": ("8", "8")}}, "TH01 is given twice"),
        ({"alleles": {"TH01": "9.3"}}, "TH01"),
        ({"alleles": {"TH01": (9.3, 8)}}, "TH01"),
        ({"alleles": {"TH01": None}}, "TH01"),
        ({"alleles": [("TH01", ("8", "8"))]}, "mapping"),
    ],
)
def test_what_is_no_profile_is_refused_with_its_place(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ProfileError) as error:
        DnaProfile(**{"id": "P-1", "kind": "person", "alleles": {}, **fields})  # type: ignore[arg-type]
    assert named in str(error.value)
    assert str(error.value).startswith("profile ")
