"""`pcc-match itl`: what is printed, what is written, exit codes."""

import argparse
import json

import numpy as np
import pytest
from itl_cases import header, latent, latents, prints, tagged

from pcc_match import itl
from pcc_match.errors import PccError
from pcc_match.itl.cli import add_commands
from pcc_match.itl.templates import read_template


@pytest.fixture
def run(capsys):
    """Runs a command; gives exit code, standard output, standard error."""

    def command(*arguments):
        parser = argparse.ArgumentParser()
        add_commands(parser.add_subparsers(required=True))
        options = parser.parse_args(["itl", *map(str, arguments)])
        code = options.command(options)
        output = capsys.readouterr()
        return code, output.out, output.err

    return command


@pytest.fixture
def file(tmp_path):
    def written(data, name="t.an2"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return written


def test_show_hides_values_unless_asked(run, file):
    path = file(prints())
    code, output, _ = run("show", path)
    assert code == 0
    assert "Type-4 high-resolution greyscale fingerprint image, IDC 1" in output
    assert "1.004 TOT" in output
    assert "Name" not in output
    assert "Name" in run("show", path, "--values")[1]
    plain = json.loads(run("show", path, "--json", "-")[1])
    assert [record["type"] for record in plain["records"]] == [1, 2, 4, 4, 14]
    assert "Name" not in json.dumps(plain)
    assert "Name" in run("show", path, "--json", "-", "--values")[1]


def test_check_names_findings_and_its_exit_code_says_so(run, file):
    good = file(header([(2, "00")]) + tagged(2, "002:00"))
    assert run("check", good)[:2] == (0, "")
    bad = file(header([(2, "00")]) + tagged(2, "002:00", length="99"), "bad.an2")
    code, output, _ = run("check", bad)
    assert code == 1
    assert output.startswith("2/2.001 117 record 2, Type-2 IDC 0, 2.001, byte")
    findings = json.loads(run("check", bad, "--json", "-")[1])["findings"]
    assert [(f["path"], f["code"], f["record"], f["field"]) for f in findings] == [("2/2.001", 117, 2, 1)]
    assert run("check", bad, "--profile", "pruem", "--erm")[1].startswith("101: IDC -1 FIELD 1.006 ")


def test_unreadable_files_are_refused(run, file, tmp_path):
    for arguments in ((file(b"", "e"),), (tmp_path / "missing",), (file(prints()), "--fallback", "klingon")):
        with pytest.raises(PccError):
            run("check", *arguments)


def test_extract_writes_images_and_templates_whole(run, file, tmp_path):
    pixels = (np.arange(64 * 48).reshape(48, 64) % 251).astype(np.uint8)
    stream = itl.images.encode_wsq(pixels)
    records = latent(data=stream, size=(64, 48), cga="WSQ20") + latent("02")
    images = file(header([(13, "01"), (13, "02")]) + records, "i.an2")
    out = tmp_path / "out"
    out.mkdir()
    assert run("extract", images, "--to", out)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["i.02.type13.wsq", "i.03.type13.raw"]
    assert (out / "i.02.type13.wsq").read_bytes() == stream
    with pytest.raises(FileExistsError, match="--force"):
        run("extract", images, "--to", out)
    assert run("extract", images, "--to", out, "--force")[0] == 0
    assert run("extract", file(latents(), "m.an2"), "--to", out, "--template", "iso-2005")[0] == 0
    template = read_template((out / "m.03.type9.iso-2005.fmr").read_bytes(), strict=True)
    assert len(template.views[0].minutiae) == 3


def test_extract_decodes_to_png(run, file, tmp_path):
    image = pytest.importorskip("PIL.Image")
    assert run("extract", file(latents()), "--to", tmp_path, "--png")[0] == 0
    with image.open(tmp_path / "t.04.type13.png") as png:
        assert np.asarray(png).tobytes() == b"\x1c\x1d\x1e\x1f13.9"
        assert [round(dpi) for dpi in png.info["dpi"]] == [500, 500]


def test_diff_pairs_records_and_fields(run, file):
    first = file(header([(2, "00")]) + tagged(2, "002:00", "030:secret", "031:x"), "a")
    second = file(header([(2, "00")]) + tagged(2, "002:00", "030:other1", "032:x"), "b")
    code, output, _ = run("diff", first, second)
    assert code == 1
    assert output.splitlines() == [
        "Type-2 IDC 0 2.030 differs: 6 characters | 6 characters",
        "Type-2 IDC 0 2.031: only in the first",
        "Type-2 IDC 0 2.032: only in the second",
    ]
    assert "secret | other1" in run("diff", first, second, "--values")[1]
    assert run("diff", first, first) == (0, "", "")
    padded = file(header([(2, "00")]) + tagged(2, "002:00", "030:secret", "031:x", length="00000042"), "c")
    assert "encoding" in run("diff", first, padded)[1]


def test_convert_changes_the_minutiae_block_only(run, file, tmp_path):
    source = file(latents())
    target = tmp_path / "converted.an2"
    assert run("convert", source, target, "--to", "m1")[0] == 0
    before, after = itl.read(source), itl.read(target, strict=True)
    assert [record.minutiae().block for record in after.of_type(9)] == ["m1", "m1"]
    assert [bytes(r) for r in after if r.type != 9] == [bytes(r) for r in before if r.type != 9]
    with pytest.raises(FileExistsError):
        run("convert", source, target, "--to", "std")
    with pytest.raises(itl.RecordError, match="no Type-9"):
        run("convert", file(prints(), "p"), tmp_path / "x", "--to", "std")
    assert not (tmp_path / "x").exists()
