"""DnaGallery: what is enrolled comes back, row for row; damage is named; one writer, many readers."""

import json
import os
import re
import resource
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_cases import Model, columns, contents, damage, person
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.loci import LOCI
from pcc_match.dna.profile import KINDS, DnaProfile
from pcc_match.errors import GalleryError, ProfileError
from pcc_match.gallery import store
from pcc_match.gallery.gallery import ranks_over
from pcc_match.strings import Strings

LOCUS_NAMES = [place.name for place in LOCI if place.period == 4][:6]

profiles = st.builds(
    DnaProfile,
    id=st.text("ab", min_size=1, max_size=2) | st.text(string.ascii_letters + "žß€𝄞", min_size=1, max_size=12),
    kind=st.sampled_from(KINDS),
    alleles=st.dictionaries(
        st.sampled_from(LOCUS_NAMES),
        st.lists(st.sampled_from(["9", "09", "9.3", "10", "*", "<8", "12"]), min_size=1, max_size=4).map(tuple),
        max_size=4,
    ),
    country=st.sampled_from(["", "AT", "SI"]),
    agency=st.sampled_from(["", "BK", "žandarmerija"]),
    single=st.sampled_from(["wildcard", "homozygous"]),
)


def assert_holds(gallery: DnaGallery, model: dict[str, DnaProfile]) -> None:
    assert contents(gallery) == model
    assert len(gallery) == len(model)
    ranks = gallery.ranks()
    live = np.flatnonzero(ranks != 0xFFFFFFFF)
    assert len(ranks) == gallery.rows
    ids = gallery.ids(live)
    assert [ids[k] for k in np.argsort(ranks[live])] == sorted(model, key=str.encode)
    assert sorted(ranks[live].tolist()) == list(range(len(model)))
    for row, id in zip(live.tolist(), ids, strict=True):
        assert gallery.id(row) == id
        assert gallery.profile(row) == gallery.profile(id) == model[id]
    first = 0
    for codes, positions, alive in gallery.parts(LOCUS_NAMES):
        rows = np.arange(first, first + len(codes))
        flags = np.ones(len(codes), bool) if alive is None else alive.astype(bool)
        assert flags.tolist() == np.isin(rows, live).tolist()
        for row in rows[flags].tolist():
            spread = np.zeros((len(LOCUS_NAMES), 2), np.uint8)
            spread[positions[positions >= 0]] = codes[row - first, positions >= 0]
            assert spread.tolist() == gallery.profile(row).codes(LOCUS_NAMES).tolist()
        first += len(codes)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enrol"), st.lists(profiles, max_size=8), st.booleans()),
        st.tuples(st.just("remove"), st.lists(st.text("ab", min_size=1, max_size=2), max_size=3)),
        st.tuples(st.just("compact")),
        st.tuples(st.just("reopen")),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 3))
def test_behaves_as_a_dict(tmp_path_factory: pytest.TempPathFactory, steps: list[Any], small_segments: int) -> None:
    path = tmp_path_factory.mktemp("gallery") / "g"
    model = Model()
    gallery = DnaGallery.create(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcc_match.gallery.store.SMALL_SEGMENTS", small_segments)
        patch.setattr("pcc_match.gallery.store._BISECTION", small_segments // 2)  # by bisection or by index of ids
        patch.setattr("pcc_match.gallery.store.SEGMENT_ROWS", 5)
        for step in steps:
            match step:
                case ("enrol", some, over):
                    done = gallery.enrol(columns(*some), replace=over)
                    expected = model.enrol(some, over)
                    assert (done.added, done.unchanged, done.replaced, [r.row for r in done.rejected]) == expected
                    assert [r.id for r in done.rejected] == [some[row].id for row in expected[3]]
                case ("remove", ids):
                    assert gallery.remove(ids) == model.remove(ids)
                case ("compact",):
                    gallery.compact()
                    assert gallery.info().removed == 0
                case ("reopen",):
                    gallery.close()
                    gallery = DnaGallery.open(path, write=True)
            assert contents(gallery) == model.profiles
    assert_holds(gallery, model.profiles)
    assert_holds(DnaGallery.open(path, check="all"), model.profiles)
    assert DnaGallery.verify(path) == []
    gallery.close()


def test_ranks_over_galleries_are_equal_for_equal_ids(tmp_path: Path) -> None:
    first, second = DnaGallery.create(tmp_path / "first"), DnaGallery.create(tmp_path / "second")
    first.enrol(columns(person("b"), person("d"), person("é")))
    second.enrol(columns(person("d"), person("a"), person("b")))
    second.enrol(columns(person("c")))
    second.remove(["b"])
    ranks = ranks_over([first, second])
    assert [ranks[0][row] for row in range(3)] == [1, 3, 5]  # b, d, é
    assert [(second.id(row), int(ranks[1][row])) for row in range(4)] == [
        ("a", 0),
        ("b", 0xFFFFFFFF),
        ("d", 3),
        ("c", 2),
    ]


def test_info_counts_live_profiles(tmp_path: Path) -> None:
    with DnaGallery.create(tmp_path / "g") as gallery:
        gallery.enrol(columns(person("a"), person("b"), DnaProfile("s", "stain", {"FGA": ("20",)})))
        gallery.enrol(columns(person("c")))
        assert gallery.remove(["b", "b", "nobody", "\udcff"]) == 1
        info = gallery.info()
    assert (info.profiles, info.removed, info.segments, info.generation) == (3, 1, 2, 3)
    assert info.kinds == {"person": 2, "stain": 1, "missing": 0, "remains": 0}
    assert info.loci == ("TH01", "FGA")
    assert info.bytes == sum(file.stat().st_size for file in (tmp_path / "g").glob("*.pcc"))
    assert info.made_by["library"].startswith("pcc_match ")
    assert len(info.made_by["loci.toml sha256"]) == 64


def test_rejections_say_what_stands_under_the_id(tmp_path: Path) -> None:
    gallery = DnaGallery.create(tmp_path / "g")
    gallery.enrol(columns(person("a")))
    done = gallery.enrol(columns(person("b"), person("b", "7"), person("a", "8"), person("a")))
    assert (done.added, done.unchanged, done.replaced) == (1, 1, 0)
    assert [(r.row, r.id, r.reason.split(" other ")[0]) for r in done.rejected] == [
        (1, "b", "an earlier row has"),
        (2, "a", "the gallery holds"),
    ]


def test_replacing_and_removing_outlast_the_process_in_one_step(tmp_path: Path) -> None:
    with DnaGallery.create(tmp_path / "g") as gallery:
        gallery.enrol(columns(person("a"), person("b")))
        before = gallery.generation
        assert gallery.enrol(columns(person("b", "8", "9")), replace=True).replaced == 1
        assert gallery.generation == before + 1
    assert contents(DnaGallery.open(tmp_path / "g"))["b"] == person("b", "8", "9")


def test_unknown_and_removed_profiles_are_named(tmp_path: Path) -> None:
    gallery = DnaGallery.create(tmp_path / "g")
    gallery.enrol(columns(person("a"), person("b")))
    gallery.remove(["a"])
    for which in ("a", "nobody", 0, 2, -1):
        with pytest.raises(GalleryError, match="removed"):
            gallery.profile(which)
    with pytest.raises(IndexError):
        gallery.ids(np.array([2]))


def test_columns_that_do_not_fit_are_refused_whole(tmp_path: Path) -> None:
    gallery = DnaGallery.create(tmp_path / "g")
    sound = columns(person("a"), person("b"))
    for wrong in (
        {"alleles": sound.alleles + 5},
        {"kind": sound.kind + 4},
        {"country": sound.country + 1},
        {"single": sound.single[:1]},
        {"loci": ("TH01", "FGA")},
        {"texts": ("", "6", "99999")},
        {"texts": ("", "6", "6")},
        {"labels": ("", " AT")},
        {"alleles": sound.alleles * np.array([0, 1], np.uint16)},
        {"ids": Strings.from_list(["a", ""])},
        {"ids": Strings.from_list(["a", "b "])},
        {"ids": Strings.from_list(["a", "b\n"])},
        {"ids": Strings(np.frombuffer("né".encode(), np.uint8), np.array([0, 2, 3], np.uint64))},
        {"ids": Strings(np.frombuffer(b"a\xff", np.uint8), np.array([0, 1, 2], np.uint64))},
    ):
        with pytest.raises(ProfileError):
            gallery.enrol(replace(sound, **wrong))
    assert len(gallery) == 0
    assert DnaGallery.verify(tmp_path / "g") == []


@given(st.lists(st.text(max_size=3), min_size=1, max_size=4))
def test_ids_are_those_that_profiles_may_have(ids: list[str]) -> None:
    def is_one(id: str) -> bool:
        try:
            return person(id).id == id
        except ProfileError:
            return False

    given = replace(columns(*(person(f"{k}") for k in range(len(ids)))), ids=Strings.from_list(ids))
    with tempfile.TemporaryDirectory() as directory, DnaGallery.create(directory) as gallery:
        if all(map(is_one, ids)):
            assert gallery.enrol(given).added == len(set(ids)) == len(gallery)
        else:
            with pytest.raises(ProfileError, match="id"):
                gallery.enrol(given)


def test_texts_beyond_one_dictionary_stay_in_several_segments(tmp_path: Path) -> None:
    gallery = DnaGallery.create(tmp_path / "g")
    for part in range(2):
        remarks = [f"remark {part} {k}" for k in range(40_000)]
        numbers = np.arange(1, 40_001, dtype=np.uint16).reshape(20_000, 1, 2)
        kinds, labels = np.zeros(20_000, np.uint8), np.zeros(20_000, np.uint32)
        ids = Strings.from_list(f"{part}-{k}" for k in range(20_000))
        texts = ("", *remarks)
        gallery.enrol(ProfileColumns(ids, kinds, labels, labels, labels, kinds, ("TH01",), numbers, ("",), texts))
    gallery.compact()
    assert len(gallery) == 40_000
    assert gallery.profile("1-19999").alleles == {"TH01": ("remark 1 39998", "remark 1 39999")}
    assert DnaGallery.verify(tmp_path / "g") == []


# ---- who may write and read


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    writer = DnaGallery.create(tmp_path / "g")
    with pytest.raises(GalleryError, match=f"process {os.getpid()} is writing"):
        DnaGallery.open(tmp_path / "g", write=True)
    script = "import sys; from pcc_match.dna.gallery import DnaGallery; DnaGallery.open(sys.argv[1], write=True)"
    other = subprocess.run([sys.executable, "-c", script, tmp_path / "g"], capture_output=True, text=True, check=False)
    assert f"GalleryError: {tmp_path / 'g'}: process {os.getpid()} is writing" in other.stderr
    assert len(DnaGallery.open(tmp_path / "g")) == 0  # readers need no lock
    writer.close()
    DnaGallery.open(tmp_path / "g", write=True).close()


def test_a_lock_ends_with_the_gallery_that_held_it(tmp_path: Path) -> None:
    DnaGallery.create(tmp_path / "g")
    with DnaGallery.open(tmp_path / "g", write=True) as gallery:
        gallery.enrol(columns(person("a")))
    with pytest.raises(GalleryError, match="write=True"):
        gallery.enrol(columns(person("b")))
    damage(tmp_path / "g" / "segment-00000001.pcc", 3)
    for _ in range(2):
        with pytest.raises(GalleryError, match="segment-00000001"):
            DnaGallery.open(tmp_path / "g", write=True)


def test_readers_cannot_write(tmp_path: Path) -> None:
    DnaGallery.create(tmp_path / "g").enrol(columns(person("a")))
    reader = DnaGallery.open(tmp_path / "g")
    for change in (lambda: reader.enrol(columns(person("b"))), lambda: reader.remove(["a"])):
        with pytest.raises(GalleryError, match="write=True"):
            change()


def test_a_reader_keeps_its_view_while_the_writer_compacts(tmp_path: Path) -> None:
    writer = DnaGallery.create(tmp_path / "g")
    writer.enrol(columns(person("a"), person("b")))
    writer.enrol(columns(person("c")))
    writer.remove(["a"])
    before = contents(writer)
    reader = DnaGallery.open(tmp_path / "g")
    writer.compact()
    writer.enrol(columns(person("b", "5")), replace=True)
    assert not (tmp_path / "g" / "segment-00000001.pcc").exists()
    assert_holds(reader, before)
    assert contents(DnaGallery.open(tmp_path / "g"))["b"] == person("b", "5")


def test_a_reader_that_loses_the_race_with_compact_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = DnaGallery.create(tmp_path / "g")
    for id in "abc":
        writer.enrol(columns(person(id)))
    read = store._Manifest.read.__func__  # type: ignore[attr-defined]
    waiting = [writer.compact]

    def read_then_compact(cls: type, directory: Path) -> Any:
        manifest = read(cls, directory)
        if waiting:
            waiting.pop()()
        return manifest

    monkeypatch.setattr(store._Manifest, "read", classmethod(read_then_compact))
    assert set(contents(DnaGallery.open(tmp_path / "g"))) == set("abc")
    writer.enrol(columns(person("d")))
    waiting.append(writer.compact)
    assert DnaGallery.verify(tmp_path / "g") == []


# ---- damage


def header(file: Path) -> Any:
    raw = file.read_bytes()
    return json.loads(raw[16 : 16 + int.from_bytes(raw[8:16], "little")])


def read_everything(path: Path) -> tuple[Any, ...]:
    """All that a gallery answers."""
    gallery = DnaGallery.open(path)
    live = [row for row, rank in enumerate(gallery.ranks().tolist()) if rank != 0xFFFFFFFF]
    parts = [
        (codes.tolist(), positions.tolist(), None if alive is None else alive.tolist())
        for codes, positions, alive in gallery.parts(gallery.loci)
    ]
    by_id = [gallery.profile(id) for id in gallery.ids(np.array(live))]
    return contents(gallery), gallery.ranks().tolist(), parts, by_id, gallery.info()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments, one of them with removed rows."""
    path = tmp_path_factory.mktemp("sample") / "g"
    gallery = DnaGallery.create(path)
    gallery.enrol(columns(person("a"), person("b", "7", "8", "9"), DnaProfile("s", "stain", {"FGA": ("20",)}, "AT")))
    gallery.enrol(columns(person("c"), person("a", "5")), replace=True)
    gallery.close()
    assert DnaGallery.verify(path) == []
    return path


def test_a_flipped_bit_anywhere_is_named_and_never_answered_from(sample: Path, tmp_path: Path) -> None:
    copy = tmp_path / "g"
    shutil.copytree(sample, copy)
    truth = read_everything(sample)
    random = np.random.default_rng(2)
    for file in sorted(copy.iterdir()):
        original = file.read_bytes()
        structure = {0, 7, 8, 15, 16, len(original) - 1}
        if file.suffix == ".pcc":
            layout = header(file)
            body = len(original) - layout["body"]
            for place in layout["arrays"].values():
                structure |= {body - 1, body + place["offset"] - 1, body + place["offset"]}
        for position in sorted(structure | set(random.integers(0, len(original), 200).tolist())):
            damage(file, position, int(random.integers(8)))
            problems = DnaGallery.verify(copy)
            assert [problem.file for problem in problems] == [file.name], position
            assert not problems[0].harmless
            with pytest.raises(GalleryError, match=re.escape(str(file))):
                DnaGallery.open(copy, check="all")
            try:
                answer = read_everything(copy)
            except GalleryError as error:
                assert str(file) in str(error)  # noqa: PT017
            else:
                assert answer == truth  # padding, or a column that no answer needed
            file.write_bytes(original)


def test_damage_in_a_column_stops_what_needs_the_column(sample: Path, tmp_path: Path) -> None:
    needs: dict[str, Callable[[DnaGallery], object]] = {
        "codes": lambda gallery: gallery.parts(gallery.loci),
        "ids": lambda gallery: gallery.ranks(),
        "ids_offsets": lambda gallery: gallery.profile("b"),
        "alleles": lambda gallery: gallery.profile("b"),
        "labels": lambda gallery: list(gallery.export()),
        "kind": lambda gallery: gallery.info(),
    }
    for name, use in needs.items():
        shutil.copytree(sample, tmp_path / name)
        file = tmp_path / name / "segment-00000001.pcc"
        layout = header(file)
        body = file.stat().st_size - layout["body"]
        damage(file, body + layout["arrays"][name]["offset"])
        gallery = DnaGallery.open(tmp_path / name)
        with pytest.raises(GalleryError, match=rf"segment-00000001.pcc: damaged in block 0 .*\b{name}\b"):
            use(gallery)


def test_cut_extended_and_missing_files_are_named(sample: Path, tmp_path: Path) -> None:
    copy = tmp_path / "g"
    shutil.copytree(sample, copy)
    for file in sorted(copy.iterdir()):
        original = file.read_bytes()
        end = 16 + int.from_bytes(original[8:16], "little")
        cuts = {0, 1, 7, 8, 15, 16, 17, end - 1, end, end + 64, len(original) - 1}
        for content in [original[:cut] for cut in cuts if cut < len(original)] + [original + b"\0", None]:
            file.unlink() if content is None else file.write_bytes(content)
            with pytest.raises(GalleryError, match=re.escape(str(copy if content is None else file))):
                DnaGallery.open(copy)
            assert [problem.file for problem in DnaGallery.verify(copy)] == [file.name]
            file.write_bytes(original)
    assert DnaGallery.verify(copy) == []


def test_swapped_and_stray_files_are_named(sample: Path, tmp_path: Path) -> None:
    copy = tmp_path / "g"
    shutil.copytree(sample, copy)
    (copy / "notes.txt").write_text("not ours")
    (copy / "segment-00000099.pcc").write_bytes(b"left over")
    assert [(p.file, p.harmless) for p in DnaGallery.verify(copy)] == [
        ("notes.txt", True),
        ("segment-00000099.pcc", True),
    ]
    DnaGallery.open(copy, write=True).close()
    assert [p.file for p in DnaGallery.verify(copy)] == ["notes.txt"]  # the writer deletes its own kind only
    first, second = copy / "segment-00000001.pcc", copy / "segment-00000003.pcc"
    shutil.copy(first, copy / "notes.txt")
    shutil.copy(second, first)
    shutil.copy(copy / "notes.txt", second)
    assert [p.file for p in DnaGallery.verify(copy) if not p.harmless] == [first.name, second.name]
    with pytest.raises(GalleryError, match="another gallery"):
        DnaGallery.open(copy)


def test_verify_compares_codes_with_the_texts(tmp_path: Path) -> None:
    wrong = columns(person("a"), person("b"))
    wrong.codes[1, 0, 1] += 1
    gallery = DnaGallery.create(tmp_path / "g")
    gallery.enrol(wrong)
    (problem,) = DnaGallery.verify(tmp_path / "g")
    assert problem.file == "segment-00000001.pcc"
    assert "codes" in problem.what


def test_foreign_files_and_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="no such directory"):
        DnaGallery.open(tmp_path / "nowhere")
    with pytest.raises(GalleryError, match="not a gallery"):
        DnaGallery.open(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "an app", "version": 3}')
    for write in (False, True):
        with pytest.raises(GalleryError, match=r"manifest.json: .*not a gallery's manifest"):
            DnaGallery.open(tmp_path, write=write)
    with pytest.raises(GalleryError, match="not empty"):
        DnaGallery.create(tmp_path)
    with pytest.raises(GalleryError, match="cannot be created"):
        DnaGallery.create(tmp_path / "manifest.json")
    with pytest.raises(GalleryError, match="cannot be created"):
        DnaGallery.create(tmp_path / "no" / "parent")
    store.Store.create(tmp_path / "fingers", "finger", {}).close()
    with pytest.raises(GalleryError, match="'finger'"):
        DnaGallery.open(tmp_path / "fingers")
    assert "'finger'" in DnaGallery.verify(tmp_path / "fingers")[0].what


@pytest.mark.parametrize(
    ("target", "what"),
    [("store.FORMAT", "manifest.json: gallery format 2"), ("segment.FORMAT", "segment-00000001.pcc: segment format 2")],
)
def test_files_of_a_future_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, what: str
) -> None:
    with monkeypatch.context() as future:
        future.setattr(f"pcc_match.gallery.{target}", 2)
        DnaGallery.create(tmp_path / "g").enrol(columns(person("a")))
    with pytest.raises(GalleryError, match=f"{what}.*newer pcc_match"):
        DnaGallery.open(tmp_path / "g")
    assert "newer pcc_match" in str(DnaGallery.verify(tmp_path / "g")[0])


def test_codes_of_another_catalogue_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(
            "pcc_match.dna.gallery.LOCI",
            [replace(place, period=7) if place.name == "TH01" else place for place in LOCI],
        )
        DnaGallery.create(tmp_path / "g").enrol(columns(person("a")))
    with pytest.raises(GalleryError, match=r"TH01.*export the gallery with that version"):
        DnaGallery.open(tmp_path / "g")


# ---- a full disk


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_leaves_the_old_state(tmp_path: Path) -> None:
    gallery = DnaGallery.create(tmp_path / "g")
    gallery.enrol(columns(person("a"), person("b")))
    before = contents(gallery)
    many = columns(*(person(f"n{k}", "9", f"{k % 30 + 5}") for k in range(500)), person("a", "5"))
    changes: dict[str, Callable[[], object]] = {
        "enrol": lambda: gallery.enrol(many, replace=True),
        "remove": lambda: gallery.remove(["a"]),
        "compact": gallery.compact,
    }
    for name, change in changes.items():
        for size in range(0, 30_000, 500):
            generation = gallery.generation
            try:
                with files_limited_to(size):
                    change()
            except GalleryError as error:
                assert "File too large: nothing changed" in str(error)  # noqa: PT017
                assert gallery.generation == generation
                assert contents(gallery) == before
                assert DnaGallery.verify(tmp_path / "g") == []
                assert contents(DnaGallery.open(tmp_path / "g", check="all")) == before
            else:
                assert size > 0, name
                break
        before = contents(DnaGallery.open(tmp_path / "g", check="all"))
        assert before == contents(gallery)
    assert len(before) == 501
