"""Searches of finger galleries against a plain account of the rule; the same lists whatever carries the gallery."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_fingers import cutting, finger, impression

import pcc_match as pm
from pcc_match.errors import DeviceError, ExchangeError, GalleryError, TemplateError
from pcc_match.finger import FingerColumns, FingerTemplate
from pcc_match.finger.devices import CpuScorer, mode_of
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.palms import comparable
from pcc_match.finger.prints import FingerRecord
from pcc_match.finger.search import FingerMatcher, FingerSearchResult

THUMBS = {11: 1, 12: 6}
RIGHT, LEFT = {21, 22, 25, 26, 29, 31, 32, 33, 37}, {23, 24, 27, 28, 30, 34, 35, 36, 38}


def may_be_one(a: int, b: int) -> bool:
    """Whether prints of two positions may show the same finger or the same hand."""
    if (20 <= a <= 38) != (20 <= b <= 38):
        return False
    if a in (0, 20) or b in (0, 20):
        return True
    return THUMBS.get(a, a) == THUMBS.get(b, b) or {a, b} <= RIGHT or {a, b} <= LEFT


def expected(
    probe: list[FingerTemplate], records: list[FingerRecord], name: str, limit: int, share: float = 1
) -> list[tuple[str, int]]:
    """(subject, score), the rule written down as plainly as can be. `share`: that a prefilter leaves, of fingers."""
    latent = "a" if name[0] == "L" else "b" if name.endswith(("UL", "ULP")) else ""
    score = {
        (number, record.id): int(pm.score_matrix(comparable(print_), comparable(record.template), latent=latent).max())
        for number, print_ in enumerate(probe)
        for record in records
        if may_be_one(print_.position, record.template.position)
    }
    for number, print_ in enumerate(probe if share < 1 else []):
        some = [record for record in records if (number, record.id) in score]
        columns = [FingerColumns.pack(prints) for prints in ([print_], [record.template for record in some])]
        likeness = CpuScorer().scores(*columns, mode_of(latent, likeness=True))[0].tolist()
        cut = sorted(likeness, reverse=True)[math.ceil(share * len(some)) - 1]
        for record, value in zip(some, likeness, strict=True):
            if value < cut:
                del score[number, record.id]
    total: dict[str, int] = {}
    for subject in {record.subject or record.id for record in records}:
        best: dict[object, int] = {}
        for number, print_ in enumerate(probe):
            finger = THUMBS.get(print_.position, print_.position) or f"unknown {number}"
            key = "all" if latent else finger
            for record in records:
                if (record.subject or record.id) == subject:
                    best[key] = max(best.get(key, 0), score.get((number, record.id), 0))
        total[subject] = sum(best.values())
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0].encode()))
    return [(subject, score) for subject, score in ordered if score][:limit]


LIMITS = {"TP/TP": 1, "LT/TP": 10, "LP/PP": 5, "TP/UL": 5, "LT/UL": 5, "PP/ULP": 5, "LP/ULP": 5}


def tenprints() -> list[FingerRecord]:
    """14 subjects with some fingers each, some of them twice, some of no known position."""
    draw = random.Random(3)
    records = []
    for subject in range(14):
        for position in draw.sample(range(1, 11), 4):
            for number in range(draw.choice([1, 1, 2])):
                template = impression(finger(100 * subject + position, 25), number + 7 * subject)
                known = draw.choice([position, position, 0, {1: 11, 6: 12}.get(position, position)])
                id = f"{chr(ord('a') + draw.randrange(26))}{subject}-{position}-{number}"
                records.append(FingerRecord(id, replace(template, position=known), f"S{subject}"))
    return records


RECORDS = tenprints()


def probe_of(subject: int, *positions: int) -> list[FingerTemplate]:
    return [
        replace(impression(finger(100 * subject + position, 25), 99), position=position if k % 3 else 0)
        for k, position in enumerate(positions)
    ]


def found(result: FingerSearchResult) -> list[tuple[str, int]]:
    return [(match.subject, match.score) for match in result]


def enrolled(path: Path, records: list[FingerRecord], batch: int = 1000) -> FingerGallery:
    with FingerGallery.create(path) as gallery:
        for start in range(0, len(records), batch):
            gallery.enrol(records[start : start + batch])
    return FingerGallery.open(path)


@pytest.mark.parametrize("name", ["TP/TP", "LT/TP", "TP/UL", "LT/UL"])
def test_finds_what_the_rule_says(tmp_path: Path, name: str) -> None:
    with FingerMatcher(enrolled(tmp_path / "g", RECORDS), device="cpu") as matcher:
        for subject in (0, 5):
            for probe in (probe_of(subject, 1, 2, 3, 5, 8), probe_of(subject, 6, 6, 1)):
                result = matcher.search(probe, name)
                assert found(result) == expected(probe, RECORDS, name, LIMITS[name])
                assert [match.rank for match in result] == list(range(1, len(result) + 1))
                for match in result.matches[:3]:
                    parts = [match.comparison(k).score for k in range(len(match.fingers))]
                    assert parts == [pair.score for pair in match.fingers]
                    assert sum(parts) == match.score
                    assert parts == sorted(parts, reverse=True)
                    assert {r.subject for r in RECORDS if r.id == match.reference} == {match.subject}


def test_a_subjects_ten_prints_find_it(tmp_path: Path) -> None:
    with pm.Matcher(enrolled(tmp_path / "g", RECORDS), treaty="pcc-see", device="auto") as matcher:
        assert isinstance(matcher, FingerMatcher)
        assert repr(matcher) == f"Matcher(finger, {len(RECORDS)} references, pcc-see, {matcher.device})"
        for subject in range(14):
            (match,) = matcher.search(probe_of(subject, *range(1, 11)))
            assert match.subject == f"S{subject}"
        text = match.explain()
        assert f"TP/TP: subject S13, rank 1, score {match.score} (the sum over fingers)" in text
        assert f"and {match.reference}: {match.fingers[0].score}" in text


def test_neither_threads_nor_order_nor_shards_nor_removed_prints_change_a_list(tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(RECORDS, len(RECORDS))
    decoys = [FingerRecord(f"decoy {k}", r.template, f"decoy {k}") for k, r in enumerate(RECORDS[:9])]
    crowded = tmp_path / "crowded"
    enrolled(crowded, RECORDS[:20] + decoys + RECORDS[20:], batch=13)
    with FingerGallery.open(crowded, write=True) as gallery:
        gallery.remove([decoy.id for decoy in decoys])
    matchers = [
        FingerMatcher(enrolled(tmp_path / "g", RECORDS), device="cpu", threads=1),
        FingerMatcher(enrolled(tmp_path / "h", shuffled, batch=7), device="cpu", threads=3),
        FingerMatcher(*(enrolled(tmp_path / f"{k}", shuffled[k::3]) for k in range(3)), device="cpu"),
        FingerMatcher(FingerGallery.open(crowded), device="cpu"),
    ]
    for name in ("TP/TP", "LT/TP"):
        for subject in range(3):
            lists = [
                [(m.subject, m.score, m.fingers) for m in matcher.search(probe_of(subject, 1, 5, 9), name)]
                for matcher in matchers
            ]
            assert lists[1:] == lists[:1] * 3
            assert lists[0]
    for matcher in matchers:
        matcher.close()


def test_reference_device_finds_the_same(tmp_path: Path) -> None:
    gallery = enrolled(tmp_path / "g", RECORDS[:12])
    probe = probe_of(0, 1, 2)
    with FingerMatcher(gallery, device="cpu") as cpu, FingerMatcher(gallery, device="reference") as reference:
        assert found(cpu.search(probe, "LT/TP")) == found(reference.search(probe, "LT/TP"))


def test_with_an_early_exit_a_list_is_that_of_the_scores_with_it(tmp_path: Path) -> None:
    probe = probe_of(3, *range(1, 11))
    with FingerMatcher(enrolled(tmp_path / "g", RECORDS), device="cpu") as matcher:
        result = matcher.search(probe, "LT/TP", early_exit=True)
        whole = {match.subject: match.score for match in matcher.search(probe, "LT/TP")}
        assert found(result)[0] == ("S3", whole["S3"])
        for match in result:
            best = match.comparison()
            assert best.score == match.score
            assert match.score == pm.score_matrix([best.a], [best.b], latent="a", early_exit=True)[0, 0]
        assert found(result) != found(matcher.search(probe, "LT/TP"))


@pytest.mark.parametrize("share", [0.1, 0.3, 1])
@pytest.mark.parametrize("name", ["TP/TP", "LT/TP"])
def test_a_prefilter_leaves_the_most_alike(tmp_path: Path, name: str, share: float) -> None:
    gone = [FingerRecord(f"gone {k}", r.template, f"gone {k}") for k, r in enumerate(RECORDS[20:29])]
    enrolled(tmp_path / "g", RECORDS[:40] + gone, batch=25).close()
    with FingerGallery.open(tmp_path / "g", write=True) as gallery:
        gallery.remove([record.id for record in gone])
    probe = probe_of(2, 1, 4, 8)
    lists = expected(probe, RECORDS[:40], name, LIMITS[name], share)
    for device in ("cpu", "reference"):
        with FingerMatcher(FingerGallery.open(tmp_path / "g"), device=device) as matcher:
            result = matcher.search(probe, name, prefilter=share)
            assert found(result) == lists
            assert all(match.comparison().score == match.fingers[0].score for match in result)
            assert share < 1 or found(result) == found(matcher.search(probe, name))


def test_a_prefilter_leaves_a_tenth_at_least(tmp_path: Path) -> None:
    with FingerMatcher(enrolled(tmp_path / "g", RECORDS[:3]), device="cpu") as matcher:
        for share in (0, 0.09, 1.1, float("nan")):
            with pytest.raises(ValueError, match=r"a share of 0\.1 to 1"):
                matcher.search(finger(1), prefilter=share)


def test_equal_scores_go_by_subject(tmp_path: Path) -> None:
    same = [FingerRecord(f"{9 - k}", finger(1), subject) for k, subject in enumerate(["ž", "b", "a", "B"])]
    with FingerMatcher(enrolled(tmp_path / "g", same), device="cpu") as matcher:
        result = matcher.search(finger(1), "LT/TP")
        assert [match.subject for match in result] == ["B", "a", "b", "ž"]
        assert len({match.score for match in result}) == 1
        assert [match.subject for match in matcher.search(finger(1))] == ["B"]  # the treaty's limit
        assert len(matcher.search(finger(1), "LT/TP", limit=2)) == 2
        assert len(matcher.search(finger(1), "LT/TP", threshold=result.matches[0].score)) == 4
        assert len(matcher.search(finger(1), "LT/TP", threshold=result.matches[0].score + 1)) == 0


def test_several_sets_of_a_finger_are_summed(tmp_path: Path) -> None:
    records = [FingerRecord(f"{k}", FingerTemplate.join(finger(k), finger(50 + k))) for k in range(6)]
    probe = FingerTemplate.join(impression(finger(3), 1), impression(finger(53), 2))
    with FingerMatcher(enrolled(tmp_path / "g", records), device="cpu") as matcher:
        (match,) = matcher.search(probe)
    assert match.subject == "3"
    assert match.score == pm.finger.compare(probe, records[3].template).score


def test_a_latent_is_found_however_it_lies(tmp_path: Path) -> None:
    records = [FingerRecord(f"{k}", finger(k, 40, position=1 + k % 10)) for k in range(60)]
    with FingerMatcher(enrolled(tmp_path / "g", records), device="cpu") as matcher:
        for k in range(0, 60, 7):
            latent = replace(impression(cutting(finger(k, 40), 11, 14), k, keep=1, turn=37 * k), position=0)
            result = matcher.search(latent, "LT/TP")
            assert result.matches[0].subject == f"{k}"
            assert len(result) == 10


def test_palms_are_found_by_a_piece(tmp_path: Path) -> None:
    palms = [FingerRecord(f"{k}", finger(k, 300, size=(1500, 1500), position=(21, 23, 20)[k % 3])) for k in range(4)]
    fingers = [FingerRecord("finger", finger(7, position=1))]
    with FingerMatcher(enrolled(tmp_path / "g", palms + fingers), device="cpu") as matcher:
        for k, position in ((0, 0), (1, 20), (1, 27), (2, 25)):
            latent = replace(cutting(palms[k].template, 150, 25), position=position)
            result = matcher.search(latent, "LP/PP")
            assert found(result) == expected([replace(latent, position=position or 20)], palms, "LP/PP", 5)
            assert result.matches[0].subject == f"{k}"
            assert result.matches[0].comparison().score == result.matches[0].score
        wrong_hand = replace(cutting(palms[0].template, 150, 25), position=24)
        assert "0" not in [match.subject for match in matcher.search(wrong_hand, "LP/PP")]
        assert [match.subject for match in matcher.search(finger(7))] == ["finger"]


def test_what_cannot_be_searched_is_said(tmp_path: Path) -> None:
    gallery = enrolled(tmp_path / "g", RECORDS[:3])
    with FingerMatcher(gallery, device="cpu") as matcher:
        with pytest.raises(ExchangeError, match="'TP': take one of TP/TP"):
            matcher.search(finger(1), "TP")
        with pytest.raises(TemplateError, match="LP/PP searches palms; print 2 has position 3"):
            matcher.search([finger(1), finger(1, position=3)], "LP/PP")
        with pytest.raises(TemplateError, match="TP/TP searches fingers; print 1 has position 21"):
            matcher.search(finger(1, position=21))
        with pytest.raises(TemplateError, match="needs a print"):
            matcher.search([])
        assert len(matcher.search(finger(1, 0))) == 0  # no minutiae: no match
    with pytest.raises(DeviceError):
        FingerMatcher(gallery, device="abacus")
    with pytest.raises(GalleryError, match="all of one kind"):
        pm.Matcher(gallery, pm.DnaGallery.create(tmp_path / "dna"))
    with FingerMatcher(FingerGallery.create(tmp_path / "empty"), device="cpu") as matcher:
        assert len(matcher.search(finger(1))) == 0
