"""Prints on the command line, as a node uses them: real files, real galleries."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_fingers import cutting, finger, impression

import pcc_match as pm
from pcc_match.cli import main


def save(path: Path, template: pm.FingerTemplate, **changes: Any) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(replace(template, **changes).write())
    return str(path)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """Two fingers each of twelve subjects."""
    for subject in range(12):
        for position in (2, 7):
            save(tmp_path / "in" / f"S{subject:02}_{position}.iso", finger(10 * subject + position), position=position)
    return tmp_path / "in"


@pytest.fixture
def gallery(tmp_path: Path, templates: Path, capsys: pytest.CaptureFixture[str]) -> str:
    node = str(tmp_path / "node")
    assert main(["gallery", "create", node, "--kind", "finger"]) == 0
    assert main(["gallery", "enrol", node, str(templates), "--subject", "^([^_]*)", "--source", "mindtct"]) == 0
    assert "added      24" in capsys.readouterr().out
    return node


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_from_a_folder_to_a_candidate(gallery: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for position in (2, 7):
        save(tmp_path / "probe" / f"{position}.iso", impression(finger(50 + position), 3), position=position)
    assert main(["search", gallery, str(tmp_path / "probe"), "--json", "-"]) == 0
    (match,) = lines(capsys)
    assert (match["rank"], match["subject"], match["probe"]) == (1, "S05", str(tmp_path / "probe"))
    assert sorted(pair["reference"] for pair in match["fingers"]) == ["S05_2", "S05_7"]
    assert match["score"] == sum(pair["score"] for pair in match["fingers"])

    latent = save(tmp_path / "latent.iso", impression(cutting(finger(87), 9, 14), 1, turn=80))
    assert main(["search", gallery, latent, "--type", "LT/TP", "--treaty", "pcc-see", "--device", "cpu"]) == 0
    table = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["probe", "rank", "subject", "reference", "score"]
    assert table[1][1:4] == ["1", "S08", "S08_7"]
    assert len(table) == 11


def test_a_search_may_end_comparisons_early(gallery: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    probe = save(tmp_path / "probe.iso", impression(finger(42), 8))
    found = []
    for options in ([], ["--early-exit"], ["--prefilter", "0.5"]):
        assert main(["search", gallery, probe, "--type", "LT/TP", "--json", "-", *options]) == 0
        found.append([(line["subject"], line["score"]) for line in lines(capsys)])
    assert found[0][0] == found[1][0]
    assert found[0] != found[1]


def test_what_a_gallery_holds(gallery: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "info", gallery, "--json", "-"]) == 0
    (info,) = lines(capsys)
    assert (info["prints"], info["subjects"], info["positions"]) == (24, 12, {"2": 12, "7": 12})
    assert main(["gallery", "remove", gallery, "S03_2", "S03_7", "nobody"]) == 1
    assert main(["gallery", "compact", gallery]) == 0
    assert main(["gallery", "verify", gallery]) == 0
    assert main(["gallery", "info", gallery, "--treaty", "pcc-see"]) == 1
    shown = capsys.readouterr()
    assert "prints      22" in shown.out
    assert "every byte is as it was written" in shown.out
    assert "inclusion rules are about DNA" in shown.err


def test_exported_prints_come_back(gallery: str, tmp_path: Path) -> None:
    odd = pm.FingerRecord("../AT/7", finger(3, 20), "someone")
    with pm.FingerGallery.open(gallery, write=True) as opened:
        opened.enrol([odd])
    out, again = tmp_path / "out", str(tmp_path / "again")
    assert main(["gallery", "export", gallery, str(out)]) == 0
    with open(out / "index.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 25
    assert {path.parent for path in out.rglob("*")} == {out}
    assert main(["gallery", "create", again, "--kind", "finger"]) == 0
    assert main(["gallery", "import", again, str(out)]) == 0
    before, after = (
        {record.id: record for columns in pm.FingerGallery.open(place).export() for record in columns}
        for place in (gallery, again)
    )
    assert before.keys() == after.keys()
    for id, record in before.items():
        assert after[id].subject == record.subject
        assert after[id].template.source == ("mindtct" if record.id != odd.id else "made up")
        assert after[id].template.sets == record.template.sets
    assert main(["gallery", "export", gallery, str(out)]) == 1  # it is there already


def test_bad_files_are_named_and_the_others_go_in(
    gallery: str, templates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more"
    save(more / "new.iso", finger(999))
    save(more / "S00_2.iso", finger(998), position=2)
    (more / "broken.iso").write_bytes(b"FMR\0 20\0 and then nothing")
    assert main(["gallery", "import", gallery, str(more), str(templates / "S01_2.iso"), str(more / "gone.iso")]) == 1
    shown = capsys.readouterr()
    assert "added      1" in shown.out
    assert "rejected   4" in shown.out  # S01_2 has another subject and source now
    for name in ("broken.iso", "S00_2.iso: the gallery holds other content", "gone.iso"):
        assert name in shown.err
    assert main(["gallery", "replace", gallery, str(more / "S00_2.iso")]) == 0
    assert pm.FingerGallery.open(gallery).record("S00_2").template.sets == finger(998).sets
    assert main(["search", gallery, str(more / "broken.iso"), str(more / "new.iso")]) == 1
    assert "new.iso\t1\tnew\tnew" in capsys.readouterr().out


def test_two_prints_compared_and_drawn(gallery: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    probe = save(tmp_path / "probe.iso", impression(finger(42), 8))
    drawing, picture = tmp_path / "out.svg", tmp_path / "out.png"
    arguments = ["finger", "compare", probe, f"{gallery}:S04_2"]
    assert main([*arguments, "--svg", str(drawing), "--png", str(picture)]) == 0
    assert "minutiae pair within" in capsys.readouterr().out
    assert drawing.read_text().startswith("<svg")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*arguments, "--latent", "a", "--json", "-"]) == 0
    (facts,) = lines(capsys)
    expected = pm.finger.compare(pm.FingerTemplate.read(probe), finger(42), latent="a")
    assert (facts["score"], facts["latent"]) == (expected.score, "a")
    assert facts["parts"][0]["paired"] == expected.parts[0].paired.tolist()
    for wrong in (["gone.iso", probe], [probe, f"{gallery}:nobody"]):
        assert main(["finger", "compare", *wrong]) == 1


def test_galleries_of_profiles_take_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = str(tmp_path / "dna")
    assert main(["gallery", "create", node, "--kind", "dna"]) == 0
    assert main(["gallery", "import", node, "a.csv", "b.csv"]) == 1
    assert main(["search", node, "a.csv", "b.csv"]) == 1
    assert capsys.readouterr().err.count("one") == 2
