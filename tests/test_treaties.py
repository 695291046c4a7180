"""Treaty sets: what the shipped ones ask, and how a file of one's own is read or refused."""

import re
from pathlib import Path

import pytest

from pcc_match.errors import ExchangeError
from pcc_match.treaties import treaties, treaty


def test_the_decision() -> None:
    rule = treaty("eu-2008-616").dna
    assert (rule.min_full_loci, rule.max_differences) == (6, 1)
    assert (rule.max_wildcards, rule.max_microvariants, rule.max_mismatches) == (1, 1, 1)
    assert rule.count_wildcards
    assert rule.qualities == (1, 2, 3, 4)
    inclusion = treaty("eu-2008-616").inclusion
    assert (inclusion.min_designated_loci, inclusion.min_person_ess_loci, inclusion.max_three_allele_loci) == (6, 6, 1)


def test_candidates_of_a_search_of_prints() -> None:
    limits = treaty("eu-2008-616").finger.max_candidates
    assert limits == {"TP/TP": 1, "LT/TP": 10, "LP/PP": 5, "TP/UL": 5, "LT/UL": 5, "PP/ULP": 5, "LP/ULP": 5}
    assert treaty("pcc-see").finger == treaty("eu-2008-616").finger


def test_pcc_see_has_the_decisions_limits_and_its_own_basis() -> None:
    see, decision = treaty("pcc-see"), treaty("eu-2008-616")
    assert see.dna.packed() == decision.dna.packed()
    assert see.inclusion == decision.inclusion
    assert see.basis != decision.basis
    assert see.dna.basis == see.basis


def test_wildcards_unlimited() -> None:
    rule = treaty("wildcards-unlimited").dna
    assert rule.max_wildcards is None
    assert not rule.count_wildcards
    assert rule.min_full_loci == 6


def test_shipped_sets_carry_the_name_of_their_file() -> None:
    assert {"eu-2008-616", "pcc-see", "wildcards-unlimited"} <= set(treaties())
    for name in treaties():
        assert treaty(name).name == name
    assert treaty("wildcards-unlimited").dna.name == "wildcards-unlimited"


def test_times_logs_and_states() -> None:
    decision, see, second = map(treaty, ("eu-2008-616", "pcc-see", "pruem-ii"))
    assert (decision.dna_messages.max_profiles, decision.dna_messages.answer_within_minutes) == (500, 15)
    assert (
        decision.dactyloscopic_messages.answer_within_minutes
        == see.dactyloscopic_messages.answer_within_minutes
        == 24 * 60
    )
    assert decision.vehicle_messages.answer_within_minutes is None
    assert [each.exchange.log_years for each in (decision, see, second)] == [2, 2, 3]
    assert decision.exchange.repeat_window_hours == 24
    codes = {"GR": "GR", "EL": "GR", "GB": "GB", "UK": "GB", "AL": None}
    assert {written: decision.states.code(written) for written in codes} == codes
    assert (see.states.code("AL"), see.states.code("DE")) == ("AL", None)
    assert second.states.code("DK") is None
    assert {"missing-person", "unidentified-remains"} <= set(see.exchange.purposes) - set(decision.exchange.purposes)
    assert second.exchange.justification
    assert (second.core_data.within_hours, see.core_data.within_hours) == (48, None)
    assert set(second.core_data.trace) < set(second.core_data.person)


@pytest.mark.parametrize(
    ("name", "what", "article"),
    [
        ("pruem-ii", "dna", "2024/982, article 9(3)"),
        ("pruem-ii", "inclusion", "articles 5(3) and 8(2)"),
        ("pruem-ii", "finger", "article 14(2)"),
        ("pruem-ii", "dna_messages", "37(6)"),
        ("pruem-ii", "dactyloscopic_messages", "13(2)"),
        ("eu-2008-616", "core_data", "2008/615/JHA, articles 5 and 10"),
    ],
)
def test_what_no_published_act_states_names_its_article(name: str, what: str, article: str) -> None:
    with pytest.raises(ExchangeError, match=re.escape(article)):
        getattr(treaty(name), what)


def test_agreed_values_take_the_place_of_unpublished_ones(tmp_path: Path) -> None:
    head = 'extends = "pruem-ii"\nname = "own"\n[finger.max_candidates]\n'
    limits = {"TP/TP": 1, "LT/TP": 10, "LP/PP": 5, "TP/UL": 5, "LT/UL": 5, "PP/ULP": 5, "LP/ULP": 5}
    own = write(tmp_path, head + "\n".join(f'"{name}" = {limit}' for name, limit in limits.items()))
    assert treaty(own).finger.max_candidates == limits
    with pytest.raises(ExchangeError, match=r"\[finger\.max_candidates\] LP/PP is missing"):
        treaty(write(tmp_path, head + '"TP/TP" = 1'))


def test_a_users_states_are_all_there_are(tmp_path: Path) -> None:
    own = treaty(write(tmp_path, 'extends = "pcc-see"\nname = "own"\n[exchange.states]\nAL = []\nMK = ["MD"]'))
    assert [own.states.code(code) for code in ("AL", "MD", "AT")] == ["AL", "MK", None]


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "own.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_a_file_of_ones_own_gives_what_differs(tmp_path: Path) -> None:
    own = write(tmp_path, 'extends = "pcc-see"\nname = "own"\n[dna]\nmin_full_loci = 8\nmax_mismatches = "unlimited"')
    for given in (own, str(own)):
        read = treaty(given)
        assert (read.name, read.dna.name, read.dna.min_full_loci, read.dna.max_mismatches) == ("own", "own", 8, None)
        assert read.dna.max_differences == 1
        assert read.inclusion == treaty("pcc-see").inclusion


def test_a_file_of_ones_own_may_stand_alone(tmp_path: Path) -> None:
    keys = """
        name = "own"
        title = "t"
        basis = "b"
        [dna]
        min_full_loci = 7
        max_differences = 2
        max_wildcards = 2
        max_microvariants = 2
        max_mismatches = 0
        count_wildcards = true
        qualities = [1, 3]
        [dna.inclusion]
        min_designated_loci = 7
        min_person_ess_loci = 5
        max_three_allele_loci = 0
        [finger.max_candidates]
        TP/TP = 2
        LT/TP = 3
        LP/PP = 4
        TP/UL = 5
        LT/UL = 6
        PP/ULP = 7
        LP/ULP = 8
        """
    keys = re.sub(r"(\w+/\w+)", r'"\1"', keys)
    assert treaty(write(tmp_path, keys)).dna.packed() == (7, 2, 2, 2, 0, 1, 0b1010)
    for line in filter(None, map(str.strip, keys.splitlines())):
        if "=" in line:
            key = line.split()[0].strip('"')
            with pytest.raises(ExchangeError, match=f"{key} is missing"):
                treaty(write(tmp_path, keys.replace(line, "")))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[dna]\nmin_loci = 6", "[dna] unknown key 'min_loci'"),
        ("[dna]\nmin_full_loci = 0", "[dna] min_full_loci: 0"),
        ("[dna]\nmin_full_loci = 'six'", "[dna] min_full_loci: 'six'"),
        ("[dna]\nmin_full_loci = 'unlimited'", "[dna] min_full_loci: no limit"),
        ("[dna]\nmax_wildcards = 1.5", "[dna] max_wildcards: 1.5"),
        ("[dna]\nqualities = [1, 5]", "[dna] qualities"),
        ("[dna]\nqualities = 1", "[dna] qualities"),
        ("[dna]\nqualities = [[1]]", "[dna] qualities"),
        ("[dna]\ncount_wildcards = 'no'", "[dna] count_wildcards"),
        ("[dna]\nname = 'x'", "[dna] unknown key 'name'"),
        ("[dna.inclusion]\nmin_designated_loci = -6", "[dna.inclusion] min_designated_loci: -6"),
        ("[dna.inclusion]\nmin_loci = 6", "[dna.inclusion] unknown key 'min_loci'"),
        ("[dna.exclusion]\nx = 6", "[dna] unknown key 'exclusion'"),
        ("[exchange]\nlog_years = 0", "[exchange] log_years: 0"),
        ("[exchange]\nlog_years = 'unlimited'", "[exchange] log_years: no limit"),
        ("[exchange]\njustification = 1", "[exchange] justification: 1"),
        ("[exchange]\npurposes = ['a', 'a']", "[exchange] purposes"),
        ("[exchange]\npurposes = []", "[exchange] purposes"),
        ("[exchange]\npurposes = 'a'", "[exchange] purposes: 'a'"),
        ("[exchange]\nyears = 2", "[exchange] unknown key 'years'"),
        ("[exchange.states]\nGreece = []", "[exchange.states] Greece"),
        ("[exchange.states]\nGR = 'EL'", "[exchange.states] GR: 'EL'"),
        ("[exchange.dna]\nmax_profiles = 'unlimited'", "[exchange.dna] max_profiles: no limit"),
        ("[exchange.dna]\nunpublished = 'x'\nmax_profiles = 1", "[exchange.dna] unpublished stands alone"),
        ("[exchange.dna]\nunpublished = 7", "[exchange.dna] unpublished stands alone"),
        ("[exchange.core_data]\nwithin_hours = 48", "[exchange.core_data] person is missing"),
        ("[vehicles]\nx = 6", "unknown key 'vehicles'"),
        ("[finger]\nx = 6", "[finger] unknown key 'x'; the keys are max_candidates"),
        ("[finger.max_candidates]\n'TP/XX' = 6", "[finger.max_candidates] unknown key 'TP/XX'"),
        ("[finger.max_candidates]\n'TP/TP' = 0", "[finger.max_candidates] TP/TP: 0"),
        ("[finger.max_candidates]\n'TP/TP' = true", "[finger.max_candidates] TP/TP: True"),
        ("[finger.max_candidates]\n'TP/TP' = 'unlimited'", "[finger.max_candidates] TP/TP: None"),
        ("[finger.max_candidates]\n'TP/TP' = [1]", "[finger.max_candidates] TP/TP: (1,)"),
        ("title = 7", "title: 7"),
        ("dna = 7", "dna: 7 is not a table"),
        ("dna = {inclusion = 7}", "inclusion: 7 is not a table"),
        ("[dna]\nmin_full_loci = ", "line 5"),
        ("[dna", "line 4"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    own = write(tmp_path, f'extends = "eu-2008-616"\nname = "own"\n\n{text}\n')
    with pytest.raises(ExchangeError) as error:
        treaty(own)
    assert str(error.value).startswith(str(own))
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"name = '\xff'", "not UTF-8"),
        (b"extends = 'elsewhere'", "eu-2008-616"),
        (b"extends = 7", "extends: 7"),
        (b"extends = 'eu-2008-616'", "name is missing"),
        (b"", "missing"),
    ],
)
def test_a_file_without_a_usable_base(tmp_path: Path, text: bytes, named: str) -> None:
    with pytest.raises(ExchangeError, match=named):
        treaty(write(tmp_path, text))


def test_unknown_names_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"'prum'.*pcc-see"):
        treaty("prum")
    with pytest.raises(ExchangeError, match=r"missing\.toml: cannot be read"):
        treaty(tmp_path / "missing.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ExchangeError, match=r"folder\.toml: cannot be read"):
        treaty(tmp_path / "folder.toml")
