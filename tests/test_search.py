"""Matcher and rematch against the readable rule: every pair that the rule accepts and no other, in the one order."""

from itertools import combinations

import numpy as np
import pytest

import pcc_match as pm
from pcc_match import datasets

SEED = 7
COUNT = 110  # each is compared with each by the readable rule
TREATIES = [name for name in pm.treaties() if name != "pruem-ii"]  # whose DNA rule no published act states


@pytest.fixture(scope="module")
def profiles():
    """Synthetic profiles, with so many copies, errors and wildcards that all qualities occur."""
    model = datasets.DnaModel(
        copies=500_000, errors=(300_000,) * 4, wildcards=(300_000,) * 4, mixtures=100_000, relatives=100_000
    )
    return [
        columns.profile(row) for columns, _ in datasets.synthesize(COUNT, SEED, model=model) for row in range(COUNT)
    ]


@pytest.fixture(scope="module")
def expected(profiles):
    """(probe id, reference id) -> (quality, tally) of all accepted pairs, both ways round, by treaty."""
    return {name: accepted(profiles, pm.treaty(name).dna) for name in TREATIES}


def accepted(profiles, rule):
    found = {}
    for a, b in combinations(profiles, 2):
        comparison = pm.compare(a, b, rule)
        if comparison.quality:
            found[a.id, b.id] = found[b.id, a.id] = comparison.quality, *comparison.tally
    for profile in profiles:
        comparison = pm.compare(profile, profile, rule)
        if comparison.quality:
            found[profile.id, profile.id] = comparison.quality, *comparison.tally
    return found


@pytest.fixture(scope="module")
def gallery(profiles, tmp_path_factory):
    return enrolled(tmp_path_factory.mktemp("search") / "gallery", profiles)


def enrolled(path, profiles, batch=50):
    gallery = pm.DnaGallery.create(path)
    for start in range(0, len(profiles), batch):
        gallery.enrol(pm.ProfileColumns.from_profiles(profiles[start : start + batch]))
    gallery.close()
    return pm.DnaGallery.open(path)


def rows(result):
    return {
        (result.probe.id, match.reference): (
            match.quality,
            match.full_loci,
            match.wildcards,
            match.microvariants,
            match.mismatches,
        )
        for match in result
    }


def place(item):
    """The one order: quality, more full loci, fewer differences, the id bytewise."""
    (_, reference), (quality, full, *differences) = item
    return quality, -full, sum(differences), reference.encode()


@pytest.mark.parametrize("treaty", TREATIES)
def test_a_search_finds_what_the_readable_rule_accepts_in_the_one_order(gallery, profiles, expected, treaty):
    qualities = set()
    with pm.Matcher(gallery, treaty=treaty, device="cpu") as matcher:
        for probe in profiles:
            result = matcher.search(probe)
            wanted = {pair: tally for pair, tally in expected[treaty].items() if pair[0] == probe.id}
            assert rows(result) == wanted
            assert list(rows(result)) == [pair for pair, _ in sorted(wanted.items(), key=place)]
            assert [match.rank for match in result] == list(range(1, len(result) + 1))
            qualities |= {match.quality for match in result}
    assert qualities == {1, 2, 3, 4}


def test_a_batch_gives_each_probe_what_a_search_alone_gives(gallery, profiles):
    with pm.Matcher(gallery, device="cpu") as matcher:
        together = matcher.search(profiles)
        from_columns = matcher.search(pm.ProfileColumns.from_profiles(profiles))
        for probe, result, same in zip(profiles, together, from_columns, strict=True):
            assert rows(matcher.search(probe)) == rows(result) == rows(same)
        assert matcher.search([]) == []


def test_galleries_batches_threads_and_enrolment_order_change_nothing(gallery, profiles, tmp_path):
    shuffled = [profiles[k] for k in np.random.default_rng(1).permutation(len(profiles))]
    others = [
        pm.Matcher(gallery, device="cpu", threads=2),
        pm.Matcher(enrolled(tmp_path / "shuffled", shuffled, batch=7), device="cpu", threads=1),
        pm.Matcher(*(enrolled(tmp_path / f"{k}", shuffled[k::3]) for k in range(3)), device="cpu"),
    ]
    with pm.Matcher(gallery, device="cpu", threads=1) as matcher:
        searched = [list(rows(result).items()) for result in matcher.search(profiles)]
        lines = list(pm.rematch(matcher).lines())
    for other in others:
        assert [list(rows(result).items()) for result in other.search(profiles)] == searched
        assert list(pm.rematch(other).lines()) == lines


@pytest.mark.parametrize("treaty", TREATIES)
def test_a_rematch_finds_each_unordered_pair_once(gallery, expected, treaty):
    with pm.Matcher(gallery, treaty=treaty, device="cpu") as matcher:
        result = pm.rematch(matcher)
    wanted = {pair: tally for pair, tally in expected[treaty].items() if pair[0].encode() < pair[1].encode()}
    assert pairs_of(result) == dict(sorted(wanted.items(), key=lambda item: (item[0][0].encode(), place(item))))
    assert list(pairs_of(result)) == [
        pair for pair, _ in sorted(wanted.items(), key=lambda item: (item[0][0].encode(), place(item)))
    ]


def pairs_of(result):
    names = ("quality", "full", "wildcards", "microvariants", "mismatches")
    tallies = zip(*(result.hits[name].tolist() for name in names), strict=True)
    return dict(
        zip(zip(result.ids(result.hits["probe"]), result.ids(result.hits["row"]), strict=True), tallies, strict=True)
    )


def test_new_profiles_against_all(gallery, profiles, expected):
    new = np.zeros(gallery.rows, bool)
    new[::5] = True
    marked = {gallery.id(row) for row in np.flatnonzero(new).tolist()}
    with pm.Matcher(gallery, device="cpu") as matcher:
        result = pm.rematch(matcher, new=new)
    assert pairs_of(result) == {
        pair: tally
        for pair, tally in expected["eu-2008-616"].items()
        if pair[0].encode() < pair[1].encode() and marked & set(pair)
    }


def test_one_gallery_against_another(profiles, expected, tmp_path):
    ours, theirs = profiles[:60], profiles[40:]  # some profiles are in both
    with (
        pm.Matcher(enrolled(tmp_path / "ours", ours), device="cpu") as matcher,
        pm.Matcher(enrolled(tmp_path / "theirs", theirs), device="cpu") as against,
    ):
        result = pm.rematch(matcher, against)
        turned = pm.rematch(against, matcher)
    here, there = {profile.id for profile in ours}, {profile.id for profile in theirs}
    found = list(zip(result.ids(result.hits["probe"]), result.ids(result.hits["row"]), strict=True))
    wanted = [
        (a, b)
        for a, b in expected["eu-2008-616"]
        if a.encode() <= b.encode() and ((a in here and b in there) or (b in here and a in there))
    ]
    twice = [(a, b) for a, b in wanted if a != b and {a, b} <= here & there]  # either may be from either side
    assert sorted(found) == sorted(wanted + twice)
    assert list(result.lines()) == list(turned.lines())


def test_removed_profiles_are_not_found(profiles, tmp_path):
    gone = {profile.id for profile in profiles[::2]}
    enrolled(tmp_path / "gallery", profiles)
    with pm.DnaGallery.open(tmp_path / "gallery", write=True) as gallery:
        gallery.remove(gone)
    with pm.Matcher(pm.DnaGallery.open(tmp_path / "gallery"), device="cpu") as matcher:
        assert len(matcher) == len(profiles) - len(gone)
        for result in matcher.search(profiles):
            assert not gone & set(result.references)
        assert not gone & {id for pair in pairs_of(pm.rematch(matcher)) for id in pair}


@pytest.mark.parametrize(
    "rule",
    [
        pm.StringencyRule("high", min_loci=6),
        pm.StringencyRule("moderate", min_loci=6, lower_loci=1),
        pm.StringencyRule("low", min_loci=8, lower_loci=2),
        pm.MixtureRule(max_missing=0, min_loci=6),
        pm.MixtureRule(max_missing=2, min_loci=4),
    ],
)
def test_national_rules_run_on_the_same_engine(gallery, profiles, rule):
    found = 0
    with pm.Matcher(gallery, device="cpu") as matcher:
        for result in matcher.search(profiles, rule):
            wanted = {}
            for reference in profiles:
                comparison = pm.compare(result.probe, reference, rule)
                if comparison.quality:
                    wanted[result.probe.id, reference.id] = comparison.quality, *comparison.tally
            assert rows(result) == wanted
            found += len(wanted)
    assert found > len(profiles) / 2


def test_the_reference_back_end_gives_the_same(gallery, profiles):
    with pm.Matcher(gallery, device="cpu") as matcher, pm.Matcher(gallery, device="reference") as reference:
        for fast, slow in zip(matcher.search(profiles[:10]), reference.search(profiles[:10]), strict=True):
            assert list(rows(fast).items()) == list(rows(slow).items())


def test_a_match_explains_itself(gallery, profiles):
    with pm.Matcher(gallery, device="cpu") as matcher:
        match = matcher.search(profiles[0]).matches[0]
    text = match.explain()
    assert f"quality {match.quality}" in text
    assert "2008/616/JHA" in text
    assert match.comparison().tally == (match.full_loci, match.wildcards, match.microvariants, match.mismatches)


def test_an_empty_gallery_answers_no_match(profiles, tmp_path):
    pm.DnaGallery.create(tmp_path / "empty").close()
    with pm.Matcher(pm.DnaGallery.open(tmp_path / "empty"), device="cpu") as matcher:
        assert len(matcher) == 0
        assert matcher.search(profiles[0]).matches == []
        assert list(pm.rematch(matcher).lines()) == []


def test_devices_are_taken_by_name_or_refused(gallery):
    for name in ("gpu", "cpu:1", "cuda:x", ""):
        with pytest.raises(pm.DeviceError, match="no device is called"):
            pm.Matcher(gallery, device=name)
    with pm.Matcher(gallery, device="auto") as matcher:
        assert "references" in repr(matcher)
        assert matcher.device in repr(matcher)
