"""Synthetic DNA: the same bits everywhere, near to reality, and a truth that is true."""

import csv
import hashlib
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match.datasets import (
    DnaModel,
    State,
    default_states,
    frequencies,
    kits,
    nist1036,
    nist1036_populations,
    populations,
    synthesize,
    write_dataset,
)
from pcc_match.datasets.draws import Choice, Draws
from pcc_match.datasets.profiles import Laboratories
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.files import read_columns
from pcc_match.dna.loci import allele_code, locus

# Persons only, typed as they are: nothing but populations at work.
CLEAN = DnaModel(
    theta=0,
    kinds=(1, 0, 0, 0),
    copies=0,
    relatives=0,
    rare=0,
    three_alleles=0,
    errors=(0, 0, 0, 0),
    wildcards=(0, 0, 0, 0),
)
US = State("US", ("nist-caucasian",), 1, {"PowerPlex Fusion 6C": 1})
PERSON, STAIN, MISSING, REMAINS = range(4)


def made(count, seed=1, **options):
    """One ProfileColumns and one truth array."""
    batches = list(synthesize(count, seed, **options))
    return ProfileColumns.concat([columns for columns, _ in batches]), np.concatenate([truth for _, truth in batches])


def texts(columns):
    """Allele texts as fixed-width bytes (n, L, S)."""
    return np.array(columns.texts, dtype="S8")[columns.alleles]


def autosomal(columns):
    """Codes (n, L, 2) without amelogenin, which comes last."""
    assert columns.loci[-1] == "AMEL"
    return columns.codes[:, :-1]


@pytest.fixture(scope="module")
def standard():
    return made(60_000, seed=7)


# ---- real data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("population", populations())
def test_every_table_has_only_designated_alleles_and_sums_to_a_million(population):
    for name, alleles in frequencies(population).items():
        assert locus(name).name == name
        assert sum(alleles.values()) == 1_000_000
        assert min(alleles.values()) > 0
        codes = [allele_code(locus(name), allele) for allele in alleles]
        assert min(codes) > 1
        assert codes == sorted(set(codes))


def test_frequencies_of_an_unknown_population_name_the_known_ones():
    with pytest.raises(KeyError, match="strider-austria"):
        frequencies("atlantis")


def test_the_tables_are_those_published():
    assert frequencies("strider-austria")["VWA"]["17"] == 286_036  # 2.86036e-1
    assert frequencies("norstr-europe")["D2S1360"]["22"] == 293_000
    assert len(populations()) == 25


def test_nist1036_is_whole():
    people = nist1036()
    assert (len(people), len(people.loci)) == (1036, 29)
    complete = (people.codes[:, :, 0] > 1).all(axis=1)
    assert complete.sum() == 1034
    assert [people.ids[row] for row in np.flatnonzero(~complete)] == ["OT05588", "C88H"]
    assert Counter(nist1036_populations()) == {"african-american": 342, "asian": 97, "caucasian": 361, "hispanic": 236}
    first = people.profile(0)
    assert (first.id, first.kind, first.alleles["D1S1656"]) == ("GT37019", "person", ("12", "16.3"))


def test_the_nist_tables_are_counted_from_the_nist_people():
    people = nist1036().take(np.array(nist1036_populations()) == "asian")
    place = people.loci.index("FGA")
    counts = Counter(people.texts[index] for index in people.alleles[:, place].ravel().tolist())
    shares = frequencies("nist-asian")["FGA"]
    assert shares.keys() == counts.keys()
    assert all(abs(shares[allele] - Fraction(1_000_000 * count, 2 * 97)) < 1 for allele, count in counts.items())


def test_default_states_have_frequencies_for_every_locus_of_their_kits():
    for state in default_states():
        known = {name for population in state.frequencies for name in frequencies(population)}
        for kit in state.kits:
            assert set(kits()[kit]) - {"AMEL"} <= known


# ---- draws -----------------------------------------------------------------------------------------------------------


def test_splitmix64_gives_the_published_numbers():
    draws = Draws(np.array([1234567], dtype=np.uint64))
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [int(draws.word(slot)[0]) for slot in range(4)] == published
    assert draws.words(1, 3)[:, 0].tolist() == published[1:]
    assert draws.word(np.array([2])).tolist() == published[2:3]


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=70).filter(any))
@settings(max_examples=60, deadline=None)
def test_choice_has_the_asked_probabilities(weights):
    choice = Choice([weights], range(100, 100 + len(weights)))
    evenly = np.arange(0, 1 << 32, 1 << 14, dtype=np.uint64)
    counts = np.bincount(choice.draw(evenly), minlength=170)[100 : 100 + len(weights)]
    exact = np.array([float(Fraction(weight * len(evenly), sum(weights))) for weight in weights])
    assert counts.sum() == len(evenly)
    assert np.abs(counts - exact).max() <= choice.buckets  # one draw a bucket
    assert not counts[np.array(weights) == 0].any()


def test_choice_draws_by_row():
    choice = Choice([[1, 0, 0], [0, 0, 5]])
    random = np.arange(0, 1 << 32, 77_777_777, dtype=np.uint64)
    for row, only in ((0, 0), (1, 2)):
        assert set(choice.draw(random, choice.offsets(np.full(len(random), row))).tolist()) == {only}


# ---- the same bits everywhere ----------------------------------------------------------------------------------------


def digest(columns, truth):
    parts = [columns.ids.heap, columns.kind, texts(columns), truth]
    parts += [np.array(columns.labels, dtype="S24")[labels] for labels in (columns.country, columns.kit)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_ten_thousand_profiles_have_the_golden_digest():
    """If this fails, every data set made before is another one now: raise dna.VERSION if that is meant."""
    assert digest(*made(10_000, seed=20_240_901)) == GOLDEN


GOLDEN = "71bc6c5929cc3a39d698c8d1caa47e0848c6d01ee2f3942c56a64fe98b163e03"


def test_the_seed_matters():
    assert digest(*made(100, seed=1)) != digest(*made(100, seed=2))


@pytest.mark.parametrize("batch", [1, 1_037, 10_000])
def test_batches_do_not_matter(batch):
    count = 60 if batch == 1 else 20_000
    assert digest(*made(count, seed=5, batch=batch)) == digest(*made(count, seed=5))


def test_any_profile_can_be_made_alone_and_in_any_order(standard):
    laboratories = Laboratories(7, default_states(), DnaModel())
    numbers = np.random.default_rng(1).permutation(60_000)[:9_000]
    columns, truth = laboratories.make(numbers)
    assert digest(columns, truth) == digest(standard[0].take(numbers), standard[1][numbers])
    alone, _ = laboratories.make(numbers[:1])
    assert alone.profile(0) == columns.profile(0)


def test_no_profiles_are_no_profiles():
    assert list(synthesize(0, 1)) == []


# ---- ids and kits ----------------------------------------------------------------------------------------------------


def test_ids_name_the_state_and_hide_the_order(standard):
    columns, truth = standard
    ids = list(columns.ids)
    assert len(set(ids)) == len(ids)
    codes = [state.code for state in default_states()]
    assert [text[:3] for text in ids] == [f"{codes[state]}-" for state in truth["state"]]
    assert all(len(text) == 19 and set(text[3:]) <= set("0123456789abcdef") for text in ids)
    steps = np.diff([int(text[3:], 16) >> 1 for text in ids])
    assert abs((steps > 0).mean() - 0.5) < 0.01


def test_profiles_have_the_loci_of_their_kit(standard):
    columns, truth = standard
    present = columns.alleles[:, :, 0] > 0
    assert set(columns.labels[1:]) == {state.code for state in default_states()} | {*kits()} - {""}
    for index in np.unique(columns.kit):
        rows = columns.kit == index
        in_kit = np.array([name in kits()[columns.labels[index]] for name in columns.loci])
        assert (present[rows] <= in_kit).all()
        assert (in_kit.sum() - present[rows].sum(axis=1) == truth["lost_loci"][rows]).all()
    assert not truth["lost_loci"][np.isin(truth["kind"], [PERSON, MISSING])].any()
    assert present.sum(axis=1).min() >= DnaModel().least_loci


def test_states_use_their_own_kits(standard):
    columns, truth = standard
    for number, state in enumerate(default_states()):
        rows = truth["state"] == number
        assert {columns.labels[index] for index in np.unique(columns.country[rows])} == {state.code}
        used = Counter(columns.labels[index] for index in columns.kit[rows].tolist())
        for kit, share in state.kits.items():
            assert abs(used[kit] / rows.sum() - share / sum(state.kits.values())) < 0.02
        assert set(used) == set(state.kits)


def test_every_profile_is_well_formed(standard):
    columns, _ = standard
    assert (columns.codes[:, :, 0] <= columns.codes[:, :, 1]).all()
    for row in range(0, len(columns), 101):
        profile = columns.profile(row)
        assert (profile.codes(columns.loci) == columns.codes[row]).all()


# ---- populations -----------------------------------------------------------------------------------------------------


def test_alleles_of_unrelated_people_follow_the_tables():
    """Pearson's statistic of every locus of every state, 40,000 people: summed, it is near its degrees of freedom."""
    columns, truth = made(40_000, seed=3, model=CLEAN)
    statistic = freedom = 0.0
    for number, state in enumerate(default_states()):
        rows = truth["state"] == number
        for place, name in enumerate(columns.loci[:-1]):
            table = next(t[name] for t in map(frequencies, state.frequencies) if name in t)
            seen = Counter(columns.texts[index] for index in columns.alleles[rows, place].ravel().tolist() if index)
            total = seen.total()
            assert seen.keys() <= table.keys()
            if total == 0:
                continue
            expected = {allele: share * total / 1e6 for allele, share in table.items()}
            statistic += sum((seen[allele] - mean) ** 2 / mean for allele, mean in expected.items())
            freedom += len(table) - 1
    assert freedom > 1000
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("theta", [0, 30_000])
def test_heterozygotes_are_as_many_as_theta_says(theta):
    """1 - sum p^2 in a population in equilibrium, less the share theta of it in one divided into communities."""
    columns, _ = made(40_000, seed=11, states=[US], model=replace(CLEAN, theta=theta, communities=100))
    codes = autosomal(columns)
    seen = (codes[:, :, 0] != codes[:, :, 1]).mean(axis=0)
    table = frequencies("nist-caucasian")
    even = np.array([1 - sum((p / 1e6) ** 2 for p in table[name].values()) for name in columns.loci[:-1]])
    assert abs(seen / even - (1 - theta / 1e6)).max() < 0.015
    assert abs((seen / even).mean() - (1 - theta / 1e6)) < 0.004


def test_pairs_of_people_match_at_as_many_loci_as_expected():
    """Numbers of (matching, half-matching) loci over all pairs, against the product of the loci's exact chances."""
    columns, _ = made(1_500, seed=13, states=[US], model=CLEAN)
    codes = autosomal(columns)
    loci = codes.shape[1]
    match = np.zeros((len(codes), len(codes)), dtype=np.uint8)
    half = np.zeros_like(match)
    for place in range(loci):
        one, two = codes[:, place, 0], codes[:, place, 1]
        same = (one[:, None] == one) & (two[:, None] == two)
        touch = (one[:, None] == one) | (one[:, None] == two) | (two[:, None] == one) | (two[:, None] == two)
        match += same
        half += touch & ~same
    upper = np.triu_indices(len(codes), 1)
    seen = np.bincount(match[upper] * 32 + half[upper].astype(np.intp), minlength=1024).reshape(32, 32)

    expected = np.zeros((32, 32))
    expected[0, 0] = 1
    table = frequencies("nist-caucasian")
    for name in columns.loci[:-1]:
        p = np.array(list(table[name].values())) / 1e6
        s2, s3, s4 = ((p**power).sum() for power in (2, 3, 4))
        full = 2 * s2**2 - s4
        none = 1 - 4 * s2 + 4 * s3 + 2 * s2**2 - 3 * s4
        step = (1 - full - none) * np.roll(expected, 1, axis=1) + full * np.roll(expected, 1, axis=0)
        expected = none * expected + step
    assert abs(expected.sum() - 1) < 1e-12
    share = seen / seen.sum()
    assert np.abs(share - expected).sum() < 0.05  # twice the total variation distance
    axis = np.arange(32)
    assert abs((share.sum(axis=1) - expected.sum(axis=1)) @ axis) < 0.02
    assert abs((share.sum(axis=0) - expected.sum(axis=0)) @ axis) < 0.05


def test_shares_of_kinds_and_copies_are_those_asked_for(standard):
    columns, truth = standard
    model = DnaModel()
    assert (columns.kind == truth["kind"]).all()
    shares = np.bincount(truth["kind"], minlength=4) / len(truth)
    assert np.abs(shares * 1e6 - model.kinds).max() < 4_000
    copies = truth["person"] != truth["profile"]
    assert abs(copies.mean() * 1e6 / model.copies - 1) < 0.1
    home = truth["state"][truth["person"]]
    abroad = home[copies] != truth["state"][copies]
    assert abs(abroad.mean() * 1e6 / model.abroad - 1) < 0.05
    relatives = truth["relation"][~copies] > 0
    assert abs(relatives.mean() * 1e6 / model.relatives - 1) < 0.15


# ---- the truth -------------------------------------------------------------------------------------------------------


def differing_loci(codes, truth, rows, others):
    """Loci where two profiles have alleles and do not agree in all of them, for each pair of rows."""
    both = (codes[rows] > 0).all(axis=2) & (codes[others] > 0).all(axis=2)
    return ((codes[rows] != codes[others]).any(axis=2) & both).sum(axis=1), both.sum(axis=1)


def changes(truth):
    return truth["errors"] + truth["wildcards"] + truth["false_homozygotes"] + truth["three_alleles"]


def test_profiles_of_a_person_agree_but_for_the_recorded_changes(standard):
    columns, truth = standard
    single = truth["second"] < 0
    rows = np.flatnonzero((truth["person"] != truth["profile"]) & single & single[truth["person"]])
    others = truth["person"][rows]
    assert (truth["person"][others] == others).all()
    assert (others < rows).all()
    differing, compared = differing_loci(columns.codes, truth, rows, others)
    recorded = changes(truth)[rows] + changes(truth)[others]
    assert (differing <= recorded).all()
    assert differing[recorded > 0].sum() > 100
    assert compared.min() > 0


def test_profiles_of_different_people_do_not_agree(standard):
    columns, truth = standard
    rows = np.flatnonzero((truth["second"] < 0) & (truth["kind"] == PERSON))
    rows, others = rows[1:], rows[:-1]
    apart = (truth["person"][rows] != truth["person"][others]) & (truth["relation"][rows] == 0)
    differing, compared = differing_loci(columns.codes, truth, rows[apart], others[apart])
    assert (differing > compared // 3).mean() > 0.999


def test_a_recorded_error_is_one_repeat_or_one_base():
    """The same data set with and without errors differs in nothing else."""
    model = replace(CLEAN, errors=(200_000,) * 4)
    wrong, truth = made(5_000, seed=23, model=model)
    right, _ = made(5_000, seed=23, model=CLEAN)
    changed = (wrong.codes != right.codes).any(axis=2)
    assert (changed.sum(axis=1) == truth["errors"]).all()
    assert 800 < truth["errors"].sum() < 1_200
    rows, places = np.nonzero(changed)
    before, after = right.codes[rows, places].astype(int), wrong.codes[rows, places].astype(int)
    moved = after.sum(axis=1) - before.sum(axis=1)
    periods = np.array([locus(name).period for name in wrong.loci])[places]
    assert (np.isin(np.abs(moved), [1]) | (np.abs(moved) == periods)).all()
    assert {"AMEL"}.isdisjoint(np.array(wrong.loci)[places])
    one_kept = (before[:, :, None] == after[:, None, :]).any(axis=(1, 2))
    assert one_kept.all()
    assert 0.4 < (np.abs(moved) == 1).mean() < 0.6


def test_recorded_wildcards_are_there(standard):
    columns, truth = standard
    hidden = (columns.codes[:, :-1, 0] == 1) & (columns.alleles[:, :-1, 2] == 0)
    single = truth["second"] < 0
    assert (hidden.sum(axis=1)[single] == truth["wildcards"][single]).all()
    assert truth["wildcards"][truth["kind"] == PERSON].max() <= 2
    written = texts(columns)[:, :, :2]
    assert (written == b"*").any(axis=2).sum() > 1_000
    assert (written == b"*").all(axis=2).any()  # neither value known
    assert ((written[:, :, 0] != b"") & (written[:, :, 1] == b"")).any()  # one value alone


def test_three_alleles_and_rare_alleles_are_recorded():
    model = replace(CLEAN, three_alleles=300_000, rare=300_000)
    columns, truth = made(5_000, seed=29, states=[US], model=model)
    three = (columns.alleles[:, :, 2] > 0).sum(axis=1)
    assert (three == truth["three_alleles"]).all()
    assert 900 < three.sum() < 1_500  # heterozygotes only
    rows, places = np.nonzero(columns.alleles[:, :, 2])
    first, second, third = columns.alleles[rows, places, :3].T
    assert ((first < second) & (second < third)).all()
    known = [
        {b"X", b"Y"} if name == "AMEL" else {t.encode() for t in frequencies("nist-caucasian")[name]}
        for name in columns.loci
    ]
    written = texts(columns)[:, :, :2]
    new = np.array(
        [[not set(pair) <= known[place] for place, pair in enumerate(row)] for row in written[:1_000].tolist()]
    )
    assert not new[truth["rare"][:1_000] == 0].any()
    assert (new.sum(axis=1) <= 1).all()
    assert new[truth["rare"][:1_000] == 1].any(axis=1).mean() > 0.4  # the others meet an allele that exists
    assert 1_400 < truth["rare"].sum() < 1_600


def test_relatives_share_what_relatives_share():
    columns, truth = made(20_000, seed=31, model=replace(CLEAN, relatives=300_000), states=[US])
    codes = autosomal(columns)

    def shared(rows, others):
        """Alleles shared at each locus (pairs, loci): 0, 1, 2."""
        one, two = codes[rows], codes[others]
        straight = (one == two).sum(axis=2)
        crossed = (one == two[:, :, ::-1]).sum(axis=2)
        return np.maximum(straight, crossed)

    rows = np.flatnonzero(truth["relation"] == 1)
    assert 2_700 < len(rows) < 3_300
    assert shared(rows, truth["relative"][rows]).min() >= 1
    sibs = np.flatnonzero(truth["relation"] == 2)
    ibs = [(shared(sibs, truth["relative"][sibs]) == number).mean() for number in range(3)]
    strangers = [(shared(sibs, truth["relative"][sibs] // 2 + 1) == number).mean() for number in range(3)]
    # By descent 0, 1, 2 in 1/4, 1/2, 1/4; no shared allele only where none is shared by descent.
    assert abs(ibs[0] / strangers[0] - 0.25) < 0.01
    assert ibs[2] > 0.25 + 0.25 * strangers[2]
    assert (truth["relative"][truth["relation"] > 0] < truth["profile"][truth["relation"] > 0]).all()


def test_long_fragments_are_lost_first():
    model = replace(CLEAN, kinds=(0, 1, 0, 0), degradation=((0, 1, 1), (1, 980_000, 960_000)))
    state = State("AT", ("strider-austria", "norstr-europe"), 1, {"NGM SElect": 1})
    stains, _ = made(20_000, seed=37, states=[state], model=model)
    lost = (stains.alleles[:, :-1, 0] == 0).mean(axis=0)
    lengths = np.array([kits()["NGM SElect"][name] for name in stains.loci[:-1]])
    assert np.corrcoef(lengths, lost)[0, 1] > 0.95
    by_length = lost[np.argsort(lengths)]
    assert by_length[-3:].min() > 2 * by_length[:3].max()


def test_an_overlooked_allele_makes_a_false_homozygote():
    base = replace(CLEAN, kinds=(0, 1, 0, 0))
    whole, _ = made(5_000, seed=41, model=replace(base, degradation=((1, 1_000_000, 1_000_000),)))
    stains, truth = made(5_000, seed=41, model=replace(base, degradation=((0, 1, 1), (1, 950_000, 980_000))))
    false = (stains.codes[:, :, 0] == stains.codes[:, :, 1]) & (whole.codes[:, :, 0] != whole.codes[:, :, 1])
    false &= stains.codes[:, :, 0] > 0
    assert (false.sum(axis=1) == truth["false_homozygotes"]).all()
    assert truth["false_homozygotes"].sum() > 500
    left = stains.codes > 1
    kept = (stains.codes == whole.codes) | (stains.codes == whole.codes[:, :, ::-1])
    assert kept[left].all()


def test_a_mixture_has_all_alleles_of_its_people_and_no_other():
    model = replace(CLEAN, kinds=(9, 1, 0, 0), mixtures=1_000_000, copies=700_000)
    columns, truth = made(6_000, seed=43, states=[US], model=replace(model, degradation=((1, 1_000_000, 1_000_000),)))
    mixed = np.flatnonzero(truth["second"] >= 0)
    assert 500 < len(mixed) < 700
    assert (truth["kind"][mixed] == STAIN).all()
    assert 0.2 < (truth["third"][mixed] >= 0).mean() < 0.4
    written = columns.alleles.tolist()
    checked = 0
    for row in mixed.tolist():
        people = [p for p in (truth["person"][row], truth["second"][row], truth["third"][row]) if p >= 0]
        if any(truth["second"][person] >= 0 for person in people):
            continue  # the person's own first profile is a mixture
        checked += 1
        for place in range(len(columns.loci)):
            expected = {allele for person in people for allele in written[person][place]} - {0}
            seen = [allele for allele in written[row][place] if allele]
            assert set(seen) == expected
            assert seen == sorted(seen)
            assert len(seen) == max(len(expected), 2)
    assert checked > 300


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_written_data_set_reads_back_as_the_same_profiles(tmp_path):
    done = []
    files = write_dataset(tmp_path / "set", 3_000, 53, progress=done.append)
    assert [path.name for path in files] == ["AT.csv", "BA.csv", "HU.csv", "ME.csv", "SI.csv", "truth.csv", "CARD.md"]
    assert sorted(files) == sorted((tmp_path / "set").iterdir())
    assert done == sorted(done)
    assert done[-1] == 3_000
    columns, truth = made(3_000, seed=53)
    order = np.argsort(truth["state"], kind="stable")

    with files[5].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == list(columns.ids.take(order))
    for row, record in zip(rows, truth[order], strict=True):
        assert [int(row[name]) for name in ("profile", "person", "second", "errors")] == [
            record[name] for name in ("profile", "person", "second", "errors")
        ]
        assert row["state"] == default_states()[record["state"]].code == row["id"][:2]
        assert row["kind"] == ("person", "stain", "missing", "remains")[record["kind"]]
        assert row["relation"] == ("", "parent-child", "full-sibs")[record["relation"]]

    read = []
    for path in files[:5]:
        for batch in read_columns(path):
            assert batch.rejects == []
            read.append(batch.columns)
    read = ProfileColumns.concat(read)
    assert [read.profile(row) for row in range(3_000)] == [columns.profile(row) for row in order.tolist()]


def test_the_card_names_source_seed_and_parameters(tmp_path):
    *_, card = write_dataset(tmp_path, 50, 59, states=[US], model=replace(CLEAN, men=123_456))
    text = card.read_text("utf-8")
    for part in ("STRidER", "What it does not model", "seed 59", "50 profiles", "nist-caucasian", "| men | 123456 |"):
        assert part in text


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: State("Aut", ("strider-austria",), 1, {"NGM": 1}), "two capital letters"),
        (lambda: State("AT", ("strider-atlantis",), 1, {"NGM": 1}), "strider-atlantis"),
        (lambda: State("AT", ("strider-austria",), 1, {"NGM 2": 1}), "NGM 2"),
        (lambda: State("AT", ("strider-austria",), 1, {"NGM": 0}), "share"),
        (lambda: DnaModel(copies=1_000_001), "per million"),
        (lambda: DnaModel(kinds=(0, 0, 0, 0)), "kinds"),
        (lambda: synthesize(-1, 1), "count"),
        (lambda: synthesize(1, 1, batch=0), "batch"),
        (lambda: synthesize(1, 1, states=[]), "states"),
        (lambda: synthesize(1, 1, states=[US, US]), "states"),
    ],
)
def test_impossible_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_a_state_without_frequencies_for_a_locus_of_its_kit_is_named():
    state = State("AT", ("strider-austria",), 1, {"Identifiler": 1})
    with pytest.raises(ValueError, match=r"AT.*(TPOX|CSF1PO|D5S818|D7S820|D13S317)"):
        synthesize(1, 1, states=[state])
