"""Expected matches of strangers against sums over all pairs, one by one."""

from dataclasses import replace

import numpy as np
import pytest

import pcc_match as pm
from pcc_match.datasets import DnaModel, State, synthesize
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.statistics import expected_counts
from pcc_match.errors import GalleryError
from pcc_match.evaluation import dna
from pcc_match.evaluation.dna import Truth, measure_dna

FREQUENCIES = "strider-austria"
AUSTRIA = State("AT", (FREQUENCIES, "norstr-europe", "nist-caucasian"), 1, {"SGM Plus": 1, "NGM": 2})


def evaluated(folder, columns, truth_rows, rule=None, **how):
    with pm.DnaGallery.create(folder / "g") as gallery:
        gallery.enrol(columns)
    (folder / "truth.csv").write_text("\n".join(["id,person,second,relative", *truth_rows]) + "\n")
    truth = Truth(gallery, folder / "truth.csv")
    rule = rule or pm.treaty("eu-2008-616").dna
    with pm.Matcher(gallery, device="cpu") as matcher:
        return measure_dna(gallery, pm.rematch(matcher, rule=rule), truth, rule, replicates=20, **how)


def test_expected_matches_are_the_sum_over_all_pairs_of_what_their_common_loci_make_likely():
    rng = np.random.default_rng(3)
    tables = {name: dna._pooled(name, {"AT": 1}, [AUSTRIA]) for name in dna.ESS}
    mask = rng.random((12, len(tables))) < 0.8
    number = rng.integers(1, 4, 12)
    profiles = np.repeat(mask, number, axis=0)
    for theta in dna.THETAS:
        full = near = 0.0
        for a in range(len(profiles)):
            for b in range(a):
                common = [name for name, here in zip(tables, profiles[a] & profiles[b], strict=True) if here]
                cells = expected_counts({name: tables[name] for name in common}, 2, theta)
                if len(common) >= 3:
                    full += cells[len(common), 0]
                if len(common) >= 4:
                    near += cells[len(common) - 1, 1]
        chances = dna._chances(tables, theta)
        assert dna._expected_pairs(mask.astype(float), number, chances, 3) == pytest.approx((full, near), rel=1e-9)


def test_strangers_match_as_often_as_expected(tmp_path):
    """A treaty of three loci: enough matches by chance to count."""
    model = DnaModel(theta=0, communities=1, copies=0, relatives=0, mixtures=0, rare=0, three_alleles=0)
    ((columns, truth),) = synthesize(3_000, 7, states=[AUSTRIA], model=model)
    rows = [f"{id},{entry['person']},-1,-1" for id, entry in zip(columns.ids, truth, strict=True)]
    keep = [columns.loci.index(name) for name in dna.ESS[:4]]
    columns = replace(columns, loci=dna.ESS[:4], alleles=columns.alleles[:, keep])
    rule = pm.DnaRule(3, 1, 1, 1, 1, True, (1, 2, 3, 4))
    facts = evaluated(tmp_path, columns, rows, rule, states=[AUSTRIA])
    found = facts["adventitious"]
    for kind in ("full", "near"):
        expected = found[f"expected_{kind}"][0]
        assert expected > 30
        assert abs(found[f"observed_{kind}"] - expected) < 5 * expected**0.5 + 0.1 * expected


def test_pairs_are_told_apart_by_what_they_have_in_common(tmp_path):
    alleles = dict.fromkeys(("VWA", "TH01", "D21S11", "FGA", "D8S1179", "D3S1358"), ("10", "12"))
    ids = ("a", "copy", "sib", "mixture", "stranger", "other")
    changed = alleles | dict.fromkeys(("VWA", "TH01"), ("8", "9"))
    columns = pm.ProfileColumns.from_profiles(
        DnaProfile(id, "person", changed if id == "other" else alleles) for id in ids
    )
    rows = ["a,0,-1,-1", "copy,0,-1,-1", "sib,1,-1,0", "mixture,3,0,-1", "stranger,4,-1,-1", "other,0,-1,-1"]
    facts = evaluated(tmp_path, columns, rows)
    assert {name: sum(counts.values()) for name, counts in facts["matches"].items()} == {
        "same person": 1,  # a and copy
        "mixture with the person": 2,  # mixture with a and with copy
        "relatives": 2,  # sib with a and with copy
        "by chance": 5,  # stranger with the four others, sib with mixture
    }
    assert (facts["planted"], facts["missed"]) == (3, 2)  # a, copy and other are of one person
    assert facts["missed_because"] == {"too few full loci and too many differences": 2}
    assert facts["disagreements"] == 0
    assert "adventitious" not in facts  # no country, no frequencies


def test_a_truth_that_lacks_a_profile_is_refused(tmp_path):
    alleles = dict.fromkeys(("VWA", "TH01", "D21S11", "FGA", "D8S1179", "D3S1358"), ("10", "12"))
    columns = pm.ProfileColumns.from_profiles(DnaProfile(id, "person", alleles) for id in ("a", "b"))
    with pytest.raises(GalleryError, match=r"truth.csv: says nothing of 1 profiles .* 'b'"):
        evaluated(tmp_path, columns, ["a,0,-1,-1"])
