"""The command line as its users call it: files in, files out, exit codes."""

import json
import subprocess
import sys

import pytest

import pcc_match as pm
from pcc_match.cli import main

LOCI = ("VWA", "TH01", "D21S11", "FGA", "D8S1179", "D3S1358", "D18S51")
OTHER = ("16", "18")


def csv_file(path, *rows, header=None):
    """rows: (id, kind, {locus: alleles}); six equal loci unless given."""
    names = header or ["id", "kind", *(f"{locus}_{slot}" for locus in LOCI for slot in (1, 2))]
    lines = [",".join(names)]
    for id, kind, given in rows:
        alleles = dict.fromkeys(LOCI[:6], ("10", "12")) | given
        lines.append(",".join([id, kind, *(value for locus in LOCI for value in alleles.get(locus, ("", "")))]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def gallery(tmp_path):
    """Five profiles: all agree in six loci."""
    rows = [
        ("b", "person", {"D18S51": ("12", "14")}),
        ("a", "stain", {"D18S51": ("12", "14")}),
        ("é", "person", {"D18S51": ("12", "*")}),
        ("c", "missing", {"D18S51": ("12", "15")}),
        ("d", "remains", {"D18S51": OTHER}),
    ]
    assert main(["gallery", "create", str(tmp_path / "g"), "--kind", "dna"]) == 0
    assert main(["gallery", "import", str(tmp_path / "g"), str(csv_file(tmp_path / "five.csv", *rows))]) == 0
    return tmp_path / "g"


def line(probe, reference, quality, full_loci, wildcards=0, microvariants=0, mismatches=0):
    return {
        "probe": probe,
        "reference": reference,
        "quality": quality,
        "full_loci": full_loci,
        "wildcards": wildcards,
        "microvariants": microvariants,
        "mismatches": mismatches,
    }


def lines_of(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


PAIRS = [
    line("a", "b", 1, 7),
    line("a", "é", 2, 6, wildcards=1),
    line("a", "c", 4, 6, mismatches=1),
    line("b", "é", 2, 6, wildcards=1),
    line("b", "c", 4, 6, mismatches=1),
    line("c", "é", 2, 6, wildcards=1),
]


def test_rematch_writes_each_pair_once_sorted_by_probe_then_rank(gallery, tmp_path):
    out = tmp_path / "pairs.jsonl"
    assert main(["rematch", str(gallery), "--treaty", "eu-2008-616", "--device", "cpu", "--json", str(out)]) == 0
    assert lines_of(out) == PAIRS
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_rematch_against_another_gallery(gallery, tmp_path):
    other = tmp_path / "other"
    main(["gallery", "create", str(other), "--kind", "dna"])
    main(
        ["gallery", "import", str(other), str(csv_file(tmp_path / "x.csv", ("bb", "stain", {"D18S51": ("12", "14")})))]
    )
    out = tmp_path / "pairs.jsonl"
    options = ["--treaty", "eu-2008-616", "--device", "cpu", "--json", str(out)]
    assert main(["rematch", str(gallery), "--against", str(other), *options]) == 0
    assert lines_of(out) == [
        line("a", "bb", 1, 7),
        line("b", "bb", 1, 7),
        line("bb", "é", 2, 6, wildcards=1),
        line("bb", "c", 4, 6, mismatches=1),
    ]


def test_search_omits_nothing_and_skips_the_own_id_when_told(gallery, tmp_path):
    probes = csv_file(tmp_path / "p.csv", ("a", "stain", {"D18S51": ("12", "14")}), ("z", "person", {"FGA": OTHER}))
    out = tmp_path / "found.jsonl"
    command = ["search", str(gallery), str(probes), "--treaty", "pcc-see", "--device", "cpu", "--json", str(out)]
    assert main(command) == 0
    found = lines_of(out)
    assert found == [line("a", "a", 1, 7), *PAIRS[:3]]
    assert main([*command, "--skip-same-id"]) == 0
    assert lines_of(out) == found[1:]


def test_results_go_to_standard_output(gallery, capsys):
    assert main(["rematch", str(gallery), "--device", "cpu", "--json", "-"]) == 0
    assert [json.loads(text) for text in capsys.readouterr().out.splitlines()] == PAIRS
    assert main(["rematch", str(gallery), "--device", "cpu"]) == 0
    table = [text.split("\t") for text in capsys.readouterr().out.splitlines()]
    assert table[0][:3] == ["probe", "reference", "quality"]
    assert [row[:3] for row in table[1:]] == [
        [pair["probe"], pair["reference"], str(pair["quality"])] for pair in PAIRS
    ]


def test_bad_rows_are_written_beside_the_file_and_the_good_ones_go_in(tmp_path, capsys):
    gallery, file = tmp_path / "g", tmp_path / "mixed.csv"
    csv_file(file, ("good", "person", {}), ("bad", "person", {"VWA": ("9.7", "12")}), ("odd", "nobody", {}))
    main(["gallery", "create", str(gallery), "--kind", "dna"])
    assert main(["gallery", "import", str(gallery), str(file), "--json", "-"]) == 1
    counts = json.loads(capsys.readouterr().out)
    assert (counts["added"], counts["rejected"]) == (1, 2)
    header, *rejects = (tmp_path / "mixed.csv.rejects.csv").read_text().splitlines()
    assert header == "line,column,reason,row"
    assert rejects[0].startswith("3,VWA_1,")
    assert "9.7" in rejects[0]
    assert rejects[1].startswith("4,kind,")
    assert "nobody" in rejects[1]
    assert len(pm.DnaGallery.open(gallery)) == 1


def test_an_id_with_other_content_is_rejected_with_its_line_unless_replaced(gallery, tmp_path, capsys):
    file = csv_file(tmp_path / "new.csv", ("x", "person", {}), ("b", "person", {"D18S51": OTHER}))
    assert main(["gallery", "import", str(gallery), str(file)]) == 1
    reject = (tmp_path / "new.csv.rejects.csv").read_text().splitlines()[1]
    assert reject.startswith("3,id,")
    assert main(["gallery", "replace", str(gallery), str(file), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["replaced"] == 1
    assert not (tmp_path / "new.csv.rejects.csv").exists()
    assert pm.DnaGallery.open(gallery).profile("b").alleles["D18S51"] == OTHER


def test_importing_twice_changes_nothing(gallery, tmp_path, capsys):
    capsys.readouterr()
    generation = pm.DnaGallery.open(gallery).generation
    assert main(["gallery", "import", str(gallery), str(tmp_path / "five.csv"), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 5
    assert pm.DnaGallery.open(gallery).generation == generation


def test_remove_compact_export_and_import_again(gallery, tmp_path):
    (tmp_path / "ids.txt").write_text("a\nd\n")
    assert main(["gallery", "remove", str(gallery), "b", "--ids", str(tmp_path / "ids.txt")]) == 0
    assert main(["gallery", "remove", str(gallery), "b"]) == 1  # it is not there any more
    assert main(["gallery", "compact", str(gallery)]) == 0
    for name in ("out.csv", "out.json"):
        assert main(["gallery", "export", str(gallery), str(tmp_path / name)]) == 0
        again = tmp_path / f"again-{name}"
        main(["gallery", "create", str(again), "--kind", "dna"])
        assert main(["gallery", "import", str(again), str(tmp_path / name)]) == 0
        profiles = pm.DnaGallery.open(again)
        assert sorted(id for columns in profiles.export() for id in columns.ids) == ["c", "é"]
        assert profiles.profile("c") == pm.DnaGallery.open(gallery).profile("c")


def test_verify_names_the_damaged_file(gallery, capsys):
    assert main(["gallery", "verify", str(gallery)]) == 0
    segment = next(gallery.glob("segment*"))
    content = bytearray(segment.read_bytes())
    content[-100] ^= 1
    segment.write_bytes(content)
    assert main(["gallery", "verify", str(gallery)]) == 1
    assert segment.name in capsys.readouterr().out
    assert main(["rematch", str(gallery), "--device", "cpu"]) in (0, 1)  # never wrong: refused where the block is used


def test_info_counts_what_a_treaty_would_refuse(gallery, tmp_path, capsys):
    rows = [("short", "stain", {"VWA": ("", ""), "FGA": ("", "")}), ("person", "person", {"VWA": ("10", "*")})]
    main(["gallery", "import", str(gallery), str(csv_file(tmp_path / "few.csv", *rows))])
    capsys.readouterr()
    assert main(["gallery", "info", str(gallery), "--treaty", "eu-2008-616", "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["profiles"] == 7
    refused = facts["refused under eu-2008-616"]
    assert refused["profiles"] == 2
    assert refused["min_designated_loci"] == 2
    assert refused["min_person_ess_loci"] == 1


def test_compare_explains_and_counts(gallery, tmp_path, capsys):
    assert main(["compare", f"{gallery}:a", f"{gallery}:c"]) == 0
    assert "mismatch" in capsys.readouterr().out
    assert main(["compare", f"{tmp_path / 'five.csv'}:a", f"{gallery}:c", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == line("a", "c", 4, 6, mismatches=1)


def test_a_treaty_of_ones_own(gallery, tmp_path):
    (tmp_path / "strict.toml").write_text(
        'name = "strict"\ntitle = "Only full matches"\nextends = "eu-2008-616"\n[dna]\nqualities = [1]\n'
    )
    out = tmp_path / "pairs.jsonl"
    options = ["--treaty", str(tmp_path / "strict.toml"), "--device", "cpu", "--json", str(out)]
    assert main(["rematch", str(gallery), *options]) == 0
    assert lines_of(out) == PAIRS[:1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gallery", "info", "nowhere"], 1, "nowhere"),
        (["gallery", "import", "{gallery}", "nowhere.csv"], 1, "nowhere.csv"),
        (["rematch", "{gallery}", "--treaty", "versailles"], 1, "versailles"),
        (["rematch", "{gallery}", "--device", "abacus"], 3, "abacus"),
        (["compare", "{gallery}:a", "{gallery}:zz"], 1, "zz"),
        (["gallery", "create", "{gallery}", "--kind", "dna"], 1, ""),
    ],
)
def test_refusals_have_exit_codes_and_say_why(gallery, arguments, code, message, capsys):
    assert main([argument.format(gallery=gallery) for argument in arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith("pcc-match: ")
    assert message in error
    assert "Traceback" not in error


def test_wrong_usage_is_exit_code_2():
    with pytest.raises(SystemExit) as stopped:
        main(["rematch"])
    assert stopped.value.code == 2


def test_a_failed_result_leaves_the_old_file(gallery, tmp_path):
    out = tmp_path / "found.jsonl"
    out.write_text("old\n")
    broken = tmp_path / "broken.csv"
    broken.write_text("id,kind,NOSUCH_1,NOSUCH_2\nx,person,1,2\n")
    assert main(["search", str(gallery), str(broken), "--device", "cpu", "--json", str(out)]) == 1
    assert out.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.glob("*found*")) == ["found.jsonl"]


def test_doctor_answers_rightly_here(capsys):
    assert main(["doctor", "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["known answers"].values()) == {"right"}
    assert facts["loci"] >= 40


def test_the_installed_command_runs_and_stops_quietly_when_nobody_reads(gallery):
    command = [sys.executable, "-P", "-m", "pcc_match.cli", "rematch", str(gallery), "--device", "cpu", "--json", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    process.wait(60)
    assert "Traceback" not in errors
