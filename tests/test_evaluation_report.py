"""Reports as their readers meet them: the command line, the JSON, and the page in a real browser."""

import csv
import hashlib
import html.parser
import json
import sys

import browser
import numpy as np
import pytest

import pcc_match as pm
from pcc_match import datasets
from pcc_match.cli import main
from pcc_match.datasets import minutiae
from pcc_match.evaluation.against import compare_runs
from pcc_match.evaluation.measures import measure
from pcc_match.evaluation.report import write_report
from pcc_match.evaluation.trials import Trials, run
from pcc_match.finger.prints import FingerRecord

FINGERS, PROFILES, SEED = 12, 2_500, 5


def measured(matrix, probes, references, seed=1):
    trials = Trials(1 + int(max(*probes, *references)), seed=seed)
    for _ in run(trials, lambda start, end: matrix[start:end], np.array(probes), np.array(references)):
        pass
    return measure(trials, [f"finger {k}" for k in range(trials.subjects)], 100) | {"references": len(references)}


def separated(gap, seed=2):
    """The section of a comparator whose mated scores lie `gap` above the non-mated ones, all of spread 30."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(40), 3)
    noise = np.random.default_rng(9).normal(100, 30, (120, 120)) + rng.normal(0, 3, (120, 120))
    return measured((noise + gap * (subjects[:, None] == subjects)).astype(np.int32), subjects, subjects)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Galleries of prints and of profiles, probes and truth."""
    folder = tmp_path_factory.mktemp("data")
    with (
        pm.FingerGallery.create(folder / "references") as references,
        pm.FingerGallery.create(folder / "probes") as probes,
    ):
        made = next(minutiae.impressions(FINGERS, SEED, impressions=3))
        for gallery, kept in ((references, made.impression == 0), (probes, made.impression > 0)):
            gallery.enrol(
                FingerRecord(
                    f"{made.finger[row]}-{made.impression[row]}", made.template(row), f"p{made.finger[row] // 10}"
                )
                for row in np.flatnonzero(kept).tolist()
            )
    datasets.write_dataset(folder / "profiles", PROFILES, SEED)
    with pm.DnaGallery.create(folder / "dna") as gallery:
        for columns, _ in datasets.synthesize(PROFILES, SEED):
            gallery.enrol(columns)
    return folder


@pytest.fixture(scope="module")
def reports(data):
    """Two runs of one command over both kinds of data, the second against the first."""
    words = [
        "evaluate",
        str(data / "references"),
        str(data / "dna"),
        "--probes",
        str(data / "probes"),
        "--replicates",
        "50",
    ]
    words += ["--truth", str(data / "profiles" / "truth.csv"), "--device", "cpu"]
    assert main([*words, "--out", str(data / "first")]) == 0
    entry = {
        "title": "Minutiae per print",
        "label": "minutiae",
        "distance": 0.1,
        "earth_movers": 2.5,
        "medians": [50, 48],
    }
    entry |= {"synthetic": [[0, 40, 80], [0.4, 0.6]], "real": [[0, 40, 80], [0.5, 0.5]]}
    realism = {"about": "Synthetic fingers beside real ones.", "quantities": [entry, entry | {"title": "Scores"}]}
    (data / "realism.json").write_text(json.dumps(realism))
    words += ["--realism", str(data / "realism.json"), "--against", str(data / "first" / "report.json")]
    assert main([*words, "--out", str(data / "second")]) == 0
    return data / "first", data / "second"


def facts_of(folder):
    return json.loads((folder / "report.json").read_text())


# ---- what is measured ------------------------------------------------------------------------------------------------


def test_the_report_counts_what_score_matrix_and_the_truth_say(data, reports):
    facts = facts_of(reports[0])["finger"]
    references, probes = (next(pm.FingerGallery.open(data / name).export()) for name in ("references", "probes"))
    scores = pm.score_matrix([r.template for r in probes], [r.template for r in references])
    finger = [[record.id.split("-")[0] for record in side] for side in (probes, references)]
    mated = np.array(finger[0])[:, None] == np.array(finger[1])
    histogram = facts["histogram"]
    for name, which in (("mated", mated), ("non_mated", ~mated)):
        values, counts = np.unique(scores[which], return_counts=True)
        found = {s: n for s, n in zip(histogram["scores"], histogram[name], strict=True) if n}
        assert found == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert facts["mated_comparisons"] == 2 * FINGERS
    assert facts["identification"]["mated_searches"] == 2 * FINGERS
    assert facts["failures"]["acquire"] == {"failed": 0, "of": 2 * FINGERS}
    worst = facts["mistakes"]["mates"][0]
    assert worst["score"] == scores[mated].min()
    by_id = {record.id: record.template for side in (references, probes) for record in side}
    assert pm.compare(by_id[worst["probe"]], by_id[worst["reference"]]).score == worst["score"]


def test_dna_is_held_against_the_planted_truth(data, reports):
    facts = facts_of(reports[0])["dna"]
    with (data / "profiles" / "truth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["second"] == "-1"]
    people = {}
    for row in rows:
        people.setdefault(row["person"], []).append(row["id"])
    planted = sum(len(ids) * (len(ids) - 1) // 2 for ids in people.values())
    assert facts["planted"] == planted > 50
    assert planted - facts["missed"] == sum(facts["matches"]["same person"].values()) > 0
    assert sum(facts["missed_because"].values()) == facts["missed"]
    assert facts["disagreements"] == 0
    assert (
        sum(facts["equal_loci"]["found"])
        == facts["equal_loci"]["profiles"] * (facts["equal_loci"]["profiles"] - 1) // 2
    )


def test_the_run_can_be_repeated_from_the_report(data, reports):
    first, second = map(facts_of, reports)
    run_facts = first["run"]
    assert run_facts["command"].startswith("pcc-match evaluate ")
    assert "--seed 1" in run_facts["command"]
    assert run_facts["versions"]["pcc_match"] == pm.__version__
    assert "cpu" in run_facts["device"]
    assert run_facts["instruction_set"]
    manifest = (data / "references" / "manifest.json").read_bytes()
    assert first["finger"]["sources"]["gallery"]["sha256"] == hashlib.sha256(manifest).hexdigest()
    for kind, varying in (("finger", {"speed"}), ("dna", {"speed"})):  # the same data, the same figures
        assert {k: v for k, v in first[kind].items() if k not in varying} == {
            k: v for k, v in second[kind].items() if k not in varying
        }


def test_a_folder_of_templates_with_a_truth_file_gives_the_same_as_a_gallery(data, reports, tmp_path):
    assert main(["gallery", "export", str(data / "probes"), str(tmp_path / "probes")]) == 0
    (tmp_path / "probes" / "zz-broken.iso").write_bytes(b"no template")
    with (tmp_path / "truth.csv").open("w") as file:
        file.write("id,subject\nzz-broken,finger 1\n")
        for name in ("references", "probes"):
            for batch in pm.FingerGallery.open(data / name).export():
                file.writelines(f"{id},finger {id.split('-')[0]}\n" for id in batch.ids)
    words = ["evaluate", str(data / "references"), "--probes", str(tmp_path / "probes"), "--replicates", "20"]
    assert main([*words, "--truth", str(tmp_path / "truth.csv"), "--out", str(tmp_path / "out")]) == 0
    facts, expected = facts_of(tmp_path / "out")["finger"], facts_of(reports[0])["finger"]
    assert facts["failures"]["acquire"] == {"failed": 1, "of": 2 * FINGERS + 1}
    assert facts["mated_comparisons"] == expected["mated_comparisons"] + 1
    assert sum(facts["histogram"]["mated"][1:]) <= sum(expected["histogram"]["mated"])


def test_prints_of_one_gallery_are_compared_with_each_other(data, tmp_path):
    assert main(["evaluate", str(data / "probes"), "--replicates", "20", "--out", str(tmp_path)]) == 0
    facts = facts_of(tmp_path)["finger"]
    assert (facts["mated_comparisons"], facts["non_mated_comparisons"]) == (FINGERS, 2 * FINGERS * (FINGERS - 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{dna}"], "--truth"),
        (["{references}"], "error rates need some of both"),
        (["{references}", "{probes}"], "a second gallery"),
        (["{references}", "--truth", "{wrong}"], "columns id and subject"),
        (["{references}", "--truth", "{short}"], "says nothing of the print"),
        (["{references}", "--probes", "{profiles}/none"], "neither a gallery nor a folder"),
        (["{references}", "--probes", "{probes}", "--against", "{wrong}"], "cannot be read as a report"),
        (["{references}", "--probes", "{probes}", "--realism", "{wrong}"], "not JSON"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_a_reason(data, tmp_path, capsys, arguments, message):
    (tmp_path / "wrong.csv").write_text("name,finger\n")
    (tmp_path / "short.csv").write_text("id,subject\nx,y\n")
    places = {name: data / name for name in ("references", "probes", "dna", "profiles")}
    places |= {name: tmp_path / f"{name}.csv" for name in ("wrong", "short")}
    words = [word.format(**places) for word in arguments]
    assert main(["evaluate", *words, "--replicates", "5", "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---- two runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    write_report(folder, {"finger": separated(100)}, device="none", command=["a"])
    return folder / "report.json"


@pytest.mark.parametrize(("gap", "outcome"), [(140, "better"), (60, "worse"), (100, "not told apart")])
def test_the_verdict_on_two_runs(tmp_path, other_run, gap, outcome):
    facts = write_report(tmp_path / "b", {"finger": separated(gap)}, device="none", command=["b"], against=other_run)
    found = facts["against"]["finger"]
    assert found["paired"]
    assert found["headline"]["key"] == "fnmr_at_fmr_0.001"
    assert found["headline"]["outcome"] == outcome
    words = {"better": "This run is better", "worse": "This run is worse", "not told apart": "exactly the same errors"}
    assert words[outcome] in (tmp_path / "b" / "report.html").read_text()


def test_runs_on_other_subjects_are_not_paired_and_need_more(other_run):
    paired, other = separated(108), separated(108)
    other["bootstrap"]["sample"] = "another"
    one, two = (compare_runs({"finger": each}, other_run)["finger"] for each in (paired, other))
    assert (one["paired"], two["paired"]) == (True, False)
    width = [row["headline"]["high"] - row["headline"]["low"] for row in (one, two)]
    assert width[0] < width[1]


# ---- the page --------------------------------------------------------------------------------------------------------


def test_a_random_comparator_is_reported_on_the_diagonal(tmp_path):
    subjects = np.repeat(np.arange(60), 3)
    section = measured(np.random.default_rng(4).integers(0, 500, (180, 180)), subjects, subjects)
    for fmr, fnmr in zip(section["det"]["fmr"], section["det"]["fnmr"], strict=True):
        assert abs(fmr + fnmr - 1) < 0.07
    assert section["rates"][0]["low"] < 0.5 < section["rates"][0]["high"]
    write_report(tmp_path, {"finger": section}, device="none", command=["random"])
    assert (tmp_path / "report.html").stat().st_size > 10_000


class Links(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.inner, self.outer = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            elif name in ("href", "src", "xlink:href"):
                (self.inner if value.startswith("#") else self.outer).append(value)


def test_the_page_needs_nothing_else_and_holds_no_image(reports):
    for folder in reports:
        page = (folder / "report.html").read_text()
        found = Links(page)
        assert not {"script", "image", "img", "iframe", "link"} & {*found.tags} - {"link"}
        assert found.outer == ["data:,"]  # no icon is asked for
        assert {link[1:] for link in found.inner} <= {*found.ids}
        assert len(found.ids) == len({*found.ids})
        assert "@import" not in page
        assert found.tags.count("title") == 1 + found.tags.count("desc")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    reason = browser.missing()
    if reason:
        pytest.skip(reason)
    if not sys.platform.startswith("linux"):
        pytest.skip("Debian's Chromium is for Linux")
    with browser.Browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


LOOK = """
const found = [], plots = [...document.querySelectorAll('.figures svg')], wide = innerWidth + 0.5;
const say = (what, element) => found.push(what + ': ' + (element.textContent || element.tagName).trim().slice(0, 60));
if (document.documentElement.scrollWidth > innerWidth) found.push('the page scrolls sideways');
if (performance.getEntriesByType('resource').length) found.push('something was loaded');
for (const plot of plots) {
  const box = plot.getBoundingClientRect();
  if (box.width < 250 || box.height < 150 || box.left < 0 || box.right > wide) say('plot not in sight', plot);
  const texts = [...plot.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()]);
  if (texts.length < 5) say('plot without text', plot);
  for (const [text, at] of texts) {
    if (at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 || at.bottom > box.bottom + 1)
      say('text leaves its plot', text);
    if (at.left < 0 || at.right > wide) say('text leaves the window', text);
    for (const [other, there] of texts)
      if (text !== other && at.left + 1 < there.right && there.left + 1 < at.right && at.top + 2 < there.bottom
          && there.top + 2 < at.bottom) say('texts overlap', text);
  }
  const widths = [...plot.querySelectorAll('path')].map(path => path.getBoundingClientRect().width);
  if (Math.max(...widths) < 50) say('empty plot', plot);
}
for (const element of document.querySelectorAll('main *, header *, footer *')) {
  if (element.closest('svg')) continue;
  const at = element.getBoundingClientRect(), box = element.closest('.scroll');
  if (at.width && !box && (at.left < -0.5 || at.right > wide)) say('leaves the window', element);
  const style = getComputedStyle(element), hides = style.overflowX === 'hidden' || style.overflowX === 'clip';
  if (hides && element.scrollWidth > element.clientWidth + 1) say('clipped', element);
  if (element.classList.contains('scroll') && element.tabIndex !== 0) say('out of reach of the keyboard', element);
}
return [plots.length, found];
"""

CONTRAST = """
const luminance = colour => {
  const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = luminance(getComputedStyle(document.body).backgroundColor);
const inks = [...document.querySelectorAll('p, td, th, dd, dt, a, h1, figcaption, .figures svg text')];
return Math.min(...inks.map(each => {
  const style = getComputedStyle(each), other = luminance(each instanceof SVGTextElement ? style.fill : style.color);
  return (Math.max(paper, other) + 0.05) / (Math.min(paper, other) + 0.05);
}));
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_in_a_browser(reports, chromium, width, scheme):
    chromium.open(reports[1] / "report.html", width, scheme)
    plots, found = chromium.run(LOOK)
    assert found == []
    assert plots == 8  # DET, scores, CMC, identification, qualities, equal loci, two of synthetic beside real
    assert chromium.run(CONTRAST) >= 4.5  # WCAG 2.2, 1.4.3
    dark = chromium.run("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, dark[4:-1].split(","))) < 60) == (scheme == "dark")
    assert chromium.complaints() == []


def test_the_keyboard_reaches_the_results_and_every_table(reports, chromium):
    chromium.open(reports[1] / "report.html", 1400)
    chromium.press("\ue004")  # tab
    assert chromium.run("return document.activeElement.textContent") == "To the results"
    chromium.press("\ue007")  # enter
    assert chromium.run("return location.hash") == "#main"
    reached = set()
    for _ in range(40):
        chromium.press("\ue004")
        reached.add(chromium.run("return document.activeElement.getAttribute('aria-label')"))
    assert reached >= set(chromium.run("return [...document.querySelectorAll('.scroll')].map(e => e.ariaLabel)"))
