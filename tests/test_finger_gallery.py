"""FingerGallery: what is enrolled comes back, print for print; damage is named; nothing acknowledged is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_cases import Model, damage
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_fingers import finger

from pcc_match.dna.gallery import DnaGallery
from pcc_match.errors import GalleryError, TemplateError
from pcc_match.finger import FingerColumns, FingerTemplate
from pcc_match.finger import gallery as module
from pcc_match.finger.gallery import FingerGallery, subjects_over
from pcc_match.finger.palms import PLACE, comparable
from pcc_match.finger.prints import FingerRecord, PrintColumns


@st.composite
def templates(draw: Any) -> FingerTemplate:
    sets = tuple(
        finger(seed, count).sets[0]
        for seed, count in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=3))
    )
    source, size = draw(st.sampled_from(["", "mindtct", "é"])), draw(st.sampled_from([(None, None), (500, 600)]))
    return FingerTemplate(sets, draw(st.sampled_from([0, 1, 2, 10, 21, 22])), *size, source)


records = st.builds(
    FingerRecord,
    id=st.text("ab", min_size=1, max_size=2) | st.text("xyžß€𝄞", min_size=1, max_size=6),
    template=templates(),
    subject=st.sampled_from(["", "S 1", "ž"]),
).map(lambda record: replace(record, subject="" if record.subject == record.id else record.subject))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("enrol"), st.lists(records, max_size=6), st.booleans()),
        st.tuples(st.just("remove"), st.lists(st.text("ab", min_size=1, max_size=2), max_size=3)),
        st.tuples(st.just("compact")),
        st.tuples(st.just("reopen")),
    ),
    max_size=6,
)


def contents(gallery: FingerGallery) -> dict[str, FingerRecord]:
    return {record.id: record for columns in gallery.export() for record in columns}


def assert_holds(gallery: FingerGallery, model: dict[str, FingerRecord]) -> None:
    assert contents(gallery) == model
    assert len(gallery) == len(model)
    ranks, (subjects,) = gallery.ranks(), subjects_over([gallery])
    live = np.flatnonzero(ranks != 0xFFFFFFFF)
    assert [gallery.id(row) for row in live[np.argsort(ranks[live])]] == sorted(model, key=str.encode)
    for row in live.tolist():
        assert gallery.record(row) == gallery.record(gallery.id(row)) == model[gallery.id(row)]
    texts = {(record.subject or record.id).encode() for record in model.values()}
    by_number = {int(subjects[row]): (gallery.record(row).subject or gallery.id(row)).encode() for row in live.tolist()}
    assert [by_number[number] for number in sorted(by_number)] == sorted(texts)
    for part in gallery.parts():
        assert (np.diff(PLACE[part.packed.position].astype(int)) >= 0).all()
        for row in np.unique(part.row).tolist():
            if part.live is None or part.live[row]:
                pieces = comparable(gallery.record(part.first_row + row).template)
                stored = [part.packed.template(k) for k in np.flatnonzero(part.row == row).tolist()]
                repacked = FingerColumns.pack(pieces)
                assert stored == [repacked.template(k) for k in range(len(pieces))]


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(0, 3))
def test_behaves_as_a_dict(tmp_path_factory: pytest.TempPathFactory, steps: list[Any], small_segments: int) -> None:
    path = tmp_path_factory.mktemp("gallery") / "g"
    model: Any = Model()
    gallery = FingerGallery.create(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcc_match.gallery.store.SMALL_SEGMENTS", small_segments)
        patch.setattr("pcc_match.finger.gallery._SEGMENT_ROWS", 5)
        for step in steps:
            match step:
                case ("enrol", some, over):
                    done = gallery.enrol(some, replace=over)
                    expected = model.enrol(some, over)
                    assert (done.added, done.unchanged, done.replaced, [r.row for r in done.rejected]) == expected
                case ("remove", ids):
                    assert gallery.remove(ids) == model.remove(ids)
                case ("compact",):
                    gallery.compact()
                    assert gallery.info().removed == 0
                case ("reopen",):
                    gallery.close()
                    gallery = FingerGallery.open(path, write=True)
            assert contents(gallery) == model.profiles
    assert_holds(gallery, model.profiles)
    assert_holds(FingerGallery.open(path, check="all"), model.profiles)
    assert FingerGallery.verify(path) == []
    gallery.close()


@pytest.mark.parametrize("count", [0, 1, 2, 64, 129, 255, 800])
def test_templates_come_back_as_they_went_in(tmp_path: Path, count: int) -> None:
    whole = finger(count, count, size=(3000, 3000), position=21)
    several = replace(finger(1, 20), sets=(finger(1, 20).sets[0], whole.sets[0]), source="mindtct+fingerjet")
    prints = [FingerRecord("palm", whole, "someone"), FingerRecord("several", several)]
    with FingerGallery.create(tmp_path / "g") as gallery:
        assert gallery.enrol(PrintColumns.from_records(prints)).added == 2
        assert list(contents(gallery).values()) == prints
        info = gallery.info()
    assert (info.prints, info.subjects, info.positions) == (2, 2, {0: 1, 21: 1})
    assert FingerGallery.verify(tmp_path / "g") == []


def test_the_pieces_of_a_palm_hold_the_surroundings_of_each_minutia() -> None:
    palm = finger(0, 500, size=(2000, 2000), position=25)
    x, y = palm.sets[0].x.astype(int), palm.sets[0].y.astype(int)
    pieces = [set(zip(p.sets[0].x.tolist(), p.sets[0].y.tolist(), strict=True)) for p in comparable(palm)]
    assert len(pieces) < 40
    assert max(map(len, pieces)) == 128
    for k in range(500):
        near = np.argsort((x - x[k]) ** 2 + (y - y[k]) ** 2, kind="stable")[:12]
        around = {(int(x[n]), int(y[n])) for n in near}
        assert any(around <= piece for piece in pieces)
    assert comparable(finger(0, 128, position=25)) == (finger(0, 128, position=25),)


def test_what_cannot_be_enrolled_is_refused_whole(tmp_path: Path) -> None:
    good = FingerRecord("a", finger(0, 5))
    with FingerGallery.create(tmp_path / "g") as gallery:
        for wrong in (
            replace(good, id=""),
            replace(good, id="a\n"),
            replace(good, subject=" x"),
            replace(good, template=replace(good.template, source="x" * 256)),
            replace(good, template=replace(good.template, width=70_000)),
        ):
            with pytest.raises(TemplateError):
                gallery.enrol([good, wrong])
        assert len(gallery) == 0
        assert gallery.enrol([]).added == 0


def test_columns_of_another_builder_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FingerGallery.create(tmp_path / "g") as gallery:
        gallery.enrol([FingerRecord("a", finger(0, 5))])
        assert gallery.info().made_by["builder"] == module.BUILDER
    monkeypatch.setattr(module, "BUILDER", "pcc_match finger 0")
    with pytest.raises(GalleryError, match=r"segment-00000001\.pcc: packed by .* enrol the prints in a new one"):
        FingerGallery.open(tmp_path / "g", write=True)
    assert "packed by" in str(FingerGallery.verify(tmp_path / "g")[0])


def test_kinds_of_galleries_are_told_apart(tmp_path: Path) -> None:
    FingerGallery.create(tmp_path / "g").close()
    with pytest.raises(GalleryError, match="holds records of kind 'finger', not 'dna'"):
        DnaGallery.open(tmp_path / "g")


def test_damage_is_named(tmp_path: Path) -> None:
    with FingerGallery.create(tmp_path / "g") as gallery:
        gallery.enrol([FingerRecord(f"{k:04}", finger(k, 30)) for k in range(300)])
    (file,) = (tmp_path / "g").glob("segment-*")
    damage(file, file.stat().st_size // 2)
    (problem,) = FingerGallery.verify(tmp_path / "g")
    assert problem.file == file.name
    assert "packed_words" in problem.what
    gallery = FingerGallery.open(tmp_path / "g")
    with pytest.raises(GalleryError, match="packed_words"):
        gallery.parts()
    with pytest.raises(GalleryError, match="damaged"):
        FingerGallery.open(tmp_path / "g", check="all")


def test_verify_packs_the_templates_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = module._pack

    def wrong(templates: list[FingerTemplate]) -> Any:
        packed, row = right(templates)
        x = packed.x.copy()
        x[0] += 1
        return replace(packed, x=x), row

    monkeypatch.setattr(module, "_pack", wrong)
    with FingerGallery.create(tmp_path / "g") as gallery:
        gallery.enrol([FingerRecord(f"{k}", finger(k, 30)) for k in range(3)])
    monkeypatch.setattr(module, "_pack", right)
    (problem,) = FingerGallery.verify(tmp_path / "g")
    assert "packed columns of rows 0 and following are not those of their templates" in problem.what


# ---- kill -9


def batch(number: int) -> list[FingerRecord]:
    return [FingerRecord(f"{number:05}-{k}", FINGERS[(number + k) % len(FINGERS)]) for k in range(20)]


FINGERS = [finger(seed, 12) for seed in range(7)]


def write(path: str) -> None:
    with FingerGallery.open(path, write=True) as gallery:
        first = len(gallery) // 20
        os.write(1, f"{first}\n".encode())
        for number in range(first, first + 10_000):
            gallery.enrol(batch(number))
            os.write(1, b"done\n")


def test_killed_while_enrolling(tmp_path: Path) -> None:
    path = tmp_path / "g"
    FingerGallery.create(path).close()
    draw = random.Random(7)
    for _ in range(3):
        with subprocess.Popen([sys.executable, __file__, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            before = int(writer.stdout.readline())
            time.sleep(draw.uniform(0, 0.3))
            writer.send_signal(signal.SIGKILL)
            acknowledged = before + len(writer.stdout.readlines())
        found = contents(FingerGallery.open(path, check="all"))
        assert len(found) in (20 * acknowledged, 20 * acknowledged + 20)  # the step under way is there, or not at all
        assert found == {record.id: record for number in range(len(found) // 20) for record in batch(number)}
        assert [problem for problem in FingerGallery.verify(path) if not problem.harmless] == []
    assert acknowledged > 3


if __name__ == "__main__":
    write(sys.argv[1])
