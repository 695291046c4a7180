"""A report as one HTML page that needs nothing else: no script, no network, no font, no image file."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any, Final

from pcc_match.evaluation import plots

TITLES: Final = {
    "finger": "Fingerprints",
    "dna": "DNA",
    "synthetic_against_real": "Synthetic beside real",
    "against": "Against another run",
    "repeat": "To repeat this run",
    "terms": "Terms",
}

_TERMS: Final = (
    ("Mated, non-mated", "a comparison of two prints of the same finger, or of two different ones "
     "(ISO/IEC 2382-37, 37.09.01 and 37.03.34)."),
    ("Threshold", "a comparison whose score is the threshold or more is a match. Scores are whole numbers."),
    ("False match rate (FMR)", "the share of non-mated comparisons that match (2382-37, 37.09.09)."),
    ("False non-match rate (FNMR)", "the share of mated comparisons that do not match (2382-37, 37.09.11)."),
    ("Equal error rate (EER)", "where FMR and FNMR are the same: one number for a first look, no point to work at."),
    ("FNIR(N, R, T)", "false-negative identification rate: the share of searches in a gallery of N references "
     "that do not bring the mate up to rank R with a score of T or more (ISO/IEC 19795-1:2021, 3.22)."),
    ("FPIR(N, T)", "false-positive identification rate: the share of searches without a mate in the gallery that "
     "bring a candidate with a score of T or more (ISO/IEC 19795-1)."),
    ("Rank", "a reference with an equal score stands before the mate: a tie is never decided in favour of the "
     "comparator."),
    ("Failure to acquire, to enrol", "the shares of probes and of references without a usable template (2382-37; "
     "enrolment: 37.09.07)."),
    ("Interval", "95 % of the bootstrap replicates. A replicate draws subjects with replacement, with all their "
     "comparisons: comparisons of one person are not independent. Where no error was seen, the upper end is the "
     "rule of 3: the rate below which no error in so many subjects is still likely."),
    ("Full match, near match", "DNA profiles equal at all loci compared; equal but for one value "
     "(Decision 2008/616/JHA, annex, chapter 1, 1.2). Qualities 1 to 4 as there."),
    ("Adventitious match", "a match between profiles of different people, by chance."),
)  # fmt: skip


def render(facts: Mapping[str, Any], other: Mapping[str, Any] | None = None) -> str:
    """The page of a report: facts as report.json has them, and the other run's for its curves."""
    parts = {}
    for name, section in (("finger", _finger), ("dna", _dna), ("synthetic_against_real", _realism)):
        if name in facts:
            parts[name] = section(facts[name], (other or {}).get(name))
    if "against" in facts:
        parts["against"] = _against(facts["against"])
    parts["repeat"] = _repeat(facts)
    parts["terms"] = _definitions(_TERMS)
    links = "".join(f'<li><a href="#{name}">{TITLES[name]}</a></li>' for name in parts)
    sections = "".join(
        f'<section id="{name}" aria-labelledby="{name}-heading"><h2 '
        f'id="{name}-heading">{TITLES[name]}</h2>{body}</section>'
        for name, body in parts.items()
    )
    run = facts["run"]
    title = " and ".join(TITLES[kind] for kind in ("finger", "dna") if kind in facts)
    style = resources.files("pcc_match.evaluation").joinpath("page.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}: evaluation, {escape(run['date'][:10])}</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#main">To the results</a><header><p class="kicker">pcc_match '
        f"{escape(run['versions']['pcc_match'])} · evaluation of {_date(run['date'])}</p><h1>{_headline(facts)}</h1>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main id="main">{sections}</main>'
        f"<footer>Made by <code>pcc-match evaluate</code>. The same figures for machines: "
        "report.json.</footer></body></html>\n"
    )


def _headline(facts: Mapping[str, Any]) -> str:
    """What was measured, in a few words."""
    words = []
    if "finger" in facts:
        words.append(f"{_count(facts['finger']['subjects'], 'finger')}")
    if "dna" in facts:
        words.append(f"{_count(facts['dna']['profiles'], 'DNA profile')}")
    return f"How well {' and '.join(words)} are told apart"


# ---- fingerprints ---------------------------------------------------------------------------------------------------


def _finger(facts: Mapping[str, Any], other: Mapping[str, Any] | None) -> str:
    rates = {rate["key"]: rate for rate in facts["rates"]}
    main = _headline_rate(facts["rates"])
    cards = [("equal error rate", _pct(rates["eer"]["value"]), _range(rates["eer"]))]
    cards += [
        (f"missed at FMR {_limit(rate['fmr'])}", _pct(rate["value"]), _range(rate))
        for rate in facts["rates"]
        if rate.get("fmr") in (0.01, 0.001, 0.0001)
    ]
    search = facts.get("identification")
    if search:
        first = next(row for row in search["table"] if row["rank"] == 1 and row["fpir"] is None)
        cards.append(("mates found at rank 1", _pct(1 - first["value"]), _range(first, turned=True)))
    speed = facts.get("speed")
    if speed:
        cards.append(("comparisons a second", f"{speed['comparisons_per_second']:,.0f}", _place(speed)))
    curves: list[tuple[str, Mapping[str, Any]]] = [("this run", facts["det"])] + (
        [("other run", other["det"])] if other else []
    )
    histogram = facts["histogram"]
    marks = [(rate["fmr"], rate["value"]) for rate in facts["rates"] if rate.get("fmr") in (0.01, 0.001, 0.0001)]
    figures = [
        (
            plots.det(curves, marks),
            "<strong>What strictness costs.</strong> Each point is a threshold: the fewer strangers may match (to the "
            "left), the more mates are missed (up). Dots mark the rates above, the band is their uncertainty.",
        ),
        (
            plots.distributions(histogram["scores"], histogram["mated"], histogram["non_mated"], main.get("threshold")),
            "<strong>Scores of mates and strangers.</strong> The mated comparisons left of the threshold are "
            "missed, the non-mated ones right of it are false matches.",
        ),
    ]
    body = _lead(facts, main) + _cards(cards) + _figures(figures) + _rate_table(facts)
    if search:
        body += _searches(facts, search, (other or {}).get("identification"))
    return body + _failures(facts) + _mistakes(facts.get("mistakes"))


def _headline_rate(rates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The strictest FMR that is at least 0.1 % and has 30 false matches behind it; else the loosest; else the EER."""
    known = [rate for rate in rates if rate.get("fmr", 0) >= 0.001]
    sure = [rate for rate in known if rate["false_matches"] >= 30]
    return sure[-1] if sure else known[0] if known else rates[0]


def _lead(facts: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    tried = (
        f"{facts['subjects']:,} fingers, {facts['mated_comparisons']:,} mated and "
        f"{facts['non_mated_comparisons']:,} non-mated comparisons."
    )
    if "fmr" not in main:
        return f'<p class="lead">{tried}</p>'
    strangers = round(1 / main["fmr"])
    return (
        f'<p class="lead">{tried} With a threshold of {main["threshold"]:,}, one comparison of different fingers in '
        f"{strangers:,} matches, and {_pct(main['value'])} of the comparisons of the same finger do not "
        f"({_range(main)}).</p>"
    )


def _rate_table(facts: Mapping[str, Any]) -> str:
    rows = []
    for rate in facts["rates"]:
        if "fmr" not in rate:
            continue
        few = "" if rate["false_matches"] >= 30 else "*"
        rows.append(
            (_limit(rate["fmr"]) + few, f"{rate['threshold']:,}", _with_range(rate), f"{rate['misses']:,}",
             f"{rate['false_matches']:,}")
        )  # fmt: skip
    table = _table(
        "Missed mates at the lowest threshold that keeps the false match rate.",
        ("FMR at most", "threshold", "FNMR", "misses", "false matches"),
        rows,
    )
    if any(rate.get("false_matches", 30) < 30 for rate in facts["rates"]):
        table += (
            '<p class="note">* Fewer than 30 false matches stand behind this threshold (rule of 30): more non-mated '
            "comparisons could move it much.</p>"
        )
    return table


def _searches(facts: Mapping[str, Any], search: Mapping[str, Any], other: Mapping[str, Any] | None) -> str:
    other_cmc = [("other run", other["cmc"])] if other else []
    other_curve = [("other run", other)] if other else []
    figures = [
        (
            plots.cmc([("this run", search["cmc"]), *other_cmc]),
            "<strong>How far down the list the mate stands.</strong> An examiner who reads the first R candidates sees "
            "this share of the mates.",
        )
    ]
    if any(0 < rate < 1 for rate in search["fpir"]):
        figures.append(
            (
                plots.identification([("this run", search), *other_curve]),
                "<strong>Searches that answer by themselves.</strong> With a threshold, most searches of "
                "strangers come back empty (left), but more mates are lost (up).",
            )
        )
    rows = []
    for row in search["table"]:
        limit = "none" if row["fpir"] is None else f"{row['threshold']:,} (FPIR at most {_limit(row['fpir'])})"
        rows.append((f"{row['rank']}", limit, _with_range(row)))
    taken = ", whose mates are taken out for that" if search["mates_taken_out"] else ""
    return (
        f"<h3>Searches</h3><p>{search['mated_searches']:,} searches of fingers that are in the gallery of "
        f"{facts['references']:,} references. False positives are counted over {search['non_mated_searches']:,} "
        f"probes{taken or ' without a mate'}.</p>"
        + _figures(figures)
        + _table("Mates that a search does not bring: FNIR(N, R, T).", ("up to rank R", "threshold T", "FNIR"), rows)
    )


def _failures(facts: Mapping[str, Any]) -> str:
    failures, speed = facts.get("failures"), facts.get("speed")
    body = ""
    if failures:
        rows = [
            (name, f"{count['failed']:,} of {count['of']:,}", _pct(count["failed"] / count["of"]))
            for name, count in (("failure to acquire (probes)", failures["acquire"]),
                                ("failure to enrol (references)", failures["enrol"]))
            if count["of"]
        ]  # fmt: skip
        body += "<h3>Failures</h3>" + _table(
            "Prints without a usable template. Their comparisons score 0 and count in all rates above.",
            ("", "prints", "rate"),
            rows,
        )
    if speed:
        body += (
            f"<p>{speed['comparisons']:,} comparisons in {speed['seconds']:,.1f} s on {escape(speed['device'])}; "
            f"{speed['peak_memory_mib']:,} MiB of memory at most.</p>"
        )
    return body


def _mistakes(mistakes: Mapping[str, Any] | None) -> str:
    if not mistakes:
        return ""
    body = (
        "<h3>The worst mistakes</h3><p>Different fingers that look most alike to the comparator, and prints of "
        "one finger that it finds least alike. Reading them tells more than any rate: a wrong name in the truth, "
        "a print too poor, a finger that was pressed elsewhere.</p>"
    )
    for title, entries in (("Non-mates with the highest scores", mistakes["non_mates"]),
                           ("Mates with the lowest scores", mistakes["mates"])):  # fmt: skip
        drawn = [entry for entry in entries if entry.get("svg")]
        body += f"<h4>{title}</h4>"
        if drawn:
            body += '<div class="mistakes">' + "".join(map(_drawing, drawn)) + "</div>"
        rest = [entry for entry in entries if not entry.get("svg")]
        if rest:
            rows = [(f"{entry['score']:,}", escape(entry["probe"]), escape(entry["reference"])) for entry in rest]
            body += _table("", ("score", "probe", "reference"), rows, words=True)
    return body


def _drawing(mistake: Mapping[str, Any]) -> str:
    pair = f"{escape(mistake['probe'])} and {escape(mistake['reference'])}"
    return (
        f'<figure><div class="drawing" role="img" aria-label="Minutiae of {pair}, the paired ones joined by lines">'
        f"{mistake['svg']}</div><figcaption><strong>score {mistake['score']:,}</strong>: {pair}</figcaption></figure>"
    )


# ---- DNA ------------------------------------------------------------------------------------------------------------


def _dna(facts: Mapping[str, Any], other: Mapping[str, Any] | None) -> str:
    matches = facts["matches"]
    total = {name: sum(counts.values()) for name, counts in matches.items()}
    found = facts["planted"] - facts["missed"]
    cards = [("pairs of one person found", f"{found:,}", f"of {facts['planted']:,}")]
    cards += [("missed", _pct(rate["value"]), _range(rate)) for rate in facts["rates"]]
    cards += [
        ("adventitious matches", f"{total['by chance']:,}", f"in {_big(facts['pairs'])} pairs"),
        ("matches of relatives", f"{total['relatives']:,}", "parent and child, full sibs"),
    ]
    speed = facts.get("speed")
    if speed:
        cards.append(("pairs compared a second", _big(speed["comparisons_per_second"]), _place(speed)))
    lead = (
        f'<p class="lead">{facts["profiles"]:,} profiles compared with each other under {escape(facts["treaty"])}. '
        f"Of {facts['planted']:,} pairs that are of one person, {found:,} match; {total['by chance']:,} "
        f"{'pair' if total['by chance'] == 1 else 'pairs'} of strangers do, too.</p>"
    )
    figures = [
        (
            plots.qualities(matches),
            "<strong>Matches by quality and truth.</strong> 1 full match, 2 with a wildcard, 3 with a "
            "micro-variant, 4 with a mismatch. An expert confirms a hit only after looking; quality 4 deserves "
            "the longest look.",
        )
    ]
    if "equal_loci" in facts:
        figures.append(
            (
                plots.equal_loci(facts["equal_loci"]),
                "<strong>Too many alike?</strong> All pairs by the number of equal loci, beside what allele "
                "frequencies make expected between strangers. What exceeds it on the right is people who are "
                "there twice, and relatives.",
            )
        )
    rows = [
        (reason, f"{count:,}", _pct(count / facts["missed_read"])) for reason, count in facts["missed_because"].items()
    ]
    missed = ""
    if rows:
        read = "All of them" if facts["missed_read"] == facts["missed"] else f"The first {facts['missed_read']:,}"
        wrong = facts["disagreements"]
        missed = (
            "<h3>Why pairs of one person were missed</h3>"
            f"<p>{facts['missed']:,} pairs did not match. {read} were read again by the readable rule, locus by locus: "
            + (f"<strong>{wrong:,} of them should have matched.</strong>" if wrong else "it refuses each of them, too.")
            + "</p>"
            + _table("", ("the rule says", "pairs", "share"), rows)
        )
    return lead + _cards(cards) + _figures(figures) + _adventitious(facts.get("adventitious")) + missed


def _adventitious(facts: Mapping[str, Any] | None) -> str:
    if not facts:
        return ""
    low, high = (f"{theta:g}" for theta in facts["thetas"])
    rows = [
        (
            name,
            f"{facts[f'observed_{key}']:,}",
            f"{_few(facts[f'expected_{key}'][0])} to {_few(facts[f'expected_{key}'][1])}",
        )
        for name, key in (("full matches", "full"), ("near matches, one value differs", "near"))
    ]
    return (
        "<h3>Matches of strangers, found and expected</h3><p>Any database large enough has them. From the allele "
        "frequencies, and from the loci that each pair of profiles has in common, follows how many: more than "
        "that means relatives, copies or errors in the database.</p>"
        + _table(
            f"{facts['profiles']:,} profiles of one person each and without wildcards, {_big(facts['pairs'])} pairs. "
            f"Expected between unrelated people whose co-ancestry (theta) is {low} to {high}.",
            ("", "found", "expected"),
            rows,
        )
    )


# ---- the other sections ---------------------------------------------------------------------------------------------


def _realism(facts: Mapping[str, Any], other: Any) -> str:
    """Synthetic data beside real data, as benchmarks/synthetic_against_real.py measured them."""
    rows: list[tuple[str, ...]] = []
    figures: list[tuple[str, str]] = []
    for entry in facts["quantities"]:
        rows.append((escape(entry["title"]), f"{entry['distance']:.3f}"))
        if "synthetic" in entry:
            key = f"realism-{len(figures)}"
            figures.append(
                (
                    plots.pair_of_histograms(key, entry["title"], entry["label"], entry["synthetic"], entry["real"]),
                    f"<strong>{escape(entry['title'])}.</strong> Distance {entry['distance']:.3f}.",
                )
            )
    return f"<p>{escape(facts['about'])}</p>" + _figures(figures) + _table("", ("quantity", "distance"), rows)


def _against(facts: Mapping[str, Any]) -> str:
    body = f"<p>The other run: <code>{escape(facts['report'])}</code> of pcc_match {escape(facts['version'])}.</p>"
    for kind in ("finger", "dna"):
        if kind not in facts:
            continue
        found, row = facts[kind], facts[kind]["headline"]
        if row:
            verdict = _verdict(kind, row, found["paired"])
            body += f'<div class="verdict {row["outcome"].replace(" ", "-")}"><p>{verdict}</p></div>'
        rows = [
            (_named(each["key"]), _pct(each["this"]), _pct(each["other"]),
             f'{_points(each["difference"])} <span class="range">({_points(each["low"])} to '
             f'{_points(each["high"])})</span>',
             f'<span class="{each["outcome"].replace(" ", "-")}">{each["outcome"]}</span>')
            for each in found["rows"]
        ]  # fmt: skip
        body += _table(
            f"{TITLES[kind]}: error rates of both runs; the difference with its 95 % interval, in percentage points.",
            ("", "this run", "other run", "difference", "this run is"),
            rows,
        )
    return body + (
        '<p class="note">Each row is looked at by itself: among many rows that are not told apart in truth, one '
        "in twenty will look better or worse by chance. The verdict is about one rate, chosen beforehand.</p>"
    )


def _verdict(kind: str, row: Mapping[str, Any], paired: bool) -> str:
    what = _named(row["key"])
    how = "on the same subjects" if paired else "on subjects drawn independently"
    sizes = f"{_points(row['difference'])} points, 95 % interval {_points(row['low'])} to {_points(row['high'])}, {how}"
    start = f"{TITLES[kind]}, {what}: {_pct(row['this'])} in this run, {_pct(row['other'])} in the other ({sizes}). "
    if row["outcome"] == "not told apart":
        if row["difference"] == row["low"] == row["high"] == 0:
            return start + "<strong>Both runs made exactly the same errors.</strong>"
        return start + "<strong>The interval includes 0: these data cannot tell the two runs apart.</strong>"
    return start + f"<strong>This run is {row['outcome']}; chance alone does not explain the difference.</strong>"


def _named(key: str) -> str:
    """A rate's key in words."""
    if key == "eer":
        return "equal error rate"
    if key == "fnmr":
        return "pairs of one person missed"
    if key.startswith("fnmr_at_fmr_"):
        return f"FNMR at FMR {_limit(float(key.removeprefix('fnmr_at_fmr_')))}"
    rank, _, fpir = key.removeprefix("fnir_rank_").partition("_at_fpir_")
    return f"FNIR, rank {rank}" + (f", at FPIR {_limit(float(fpir))}" if fpir else ", no threshold")


def _repeat(facts: Mapping[str, Any]) -> str:
    run = facts["run"]
    rows = [("date", _date(run["date"])), ("machine", escape(run["machine"])), ("system", escape(run["system"]))]
    rows += [("device", escape(run["device"])), ("instruction set", escape(run["instruction_set"]))]
    rows += [(escape(name), escape(version)) for name, version in run["versions"].items()]
    for kind in ("finger", "dna"):
        for name, source in facts.get(kind, {}).get("sources", {}).items():
            rows.append((f"{kind}: {escape(name)}", f"<code>{escape(source['path'])}</code><br>{source['what']}"
                         f"<br>SHA-256 <code>{source['sha256']}</code>"))  # fmt: skip
        drawn = facts.get(kind, {}).get("bootstrap")
        if drawn:
            unit = ""
            if drawn.get("units"):
                groups = drawn["units"] < facts[kind]["subjects"]
                unit = f" of {drawn['units']} {'groups of subjects' if groups else 'subjects'}"
            rows.append((f"{kind}: bootstrap", f"{drawn['replicates']:,} replicates{unit}, seed {drawn['seed']}"))
    return f"<pre>{escape(run['command'])}</pre>" + _table("", (), rows, words=True)


def _definitions(terms: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt><strong>{name}</strong></dt><dd><p>{text}</p></dd>" for name, text in terms) + "</dl>"


# ---- pieces of HTML -------------------------------------------------------------------------------------------------


def _cards(cards: Iterable[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<div><dt>{name}</dt><dd class="value">{value}</dd><dd class="range">{more}</dd></div>'
        for name, value, more in cards
    )
    return f'<dl class="key">{inner}</dl>'


def _figures(figures: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f"<figure>{svg}<figcaption>{caption}</figcaption></figure>" for svg, caption in figures)
    return f'<div class="figures">{inner}</div>'


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> str:
    """Cells are HTML. A wide table scrolls in its own box, which the keyboard reaches."""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>" for row in rows
    )
    label = escape(caption or " ".join(head) or "details", quote=True)
    return (
        (f'<p class="caption">{caption}</p>' if caption else "") + f'<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{label}"><table{" class=words" if words else ""}>'
        + (f"<thead><tr>{top}</tr></thead>" if head else "")
        + f"<tbody>{body}</tbody></table></div>"
    )


# ---- numbers in words -----------------------------------------------------------------------------------------------


def _pct(rate: float) -> str:
    """Three digits: 12.3 %, 0.0123 %."""
    return f"{_hundredths(rate)}\u00a0%"


def _hundredths(rate: float) -> str:
    value = 100 * rate
    if value != value:
        return "?"
    if value == 0 or value >= 100:
        return f"{value:.0f}"
    magnitude = int(f"{value:e}".partition("e")[2])
    return f"{value:.{min(max(0, 2 - magnitude), 6)}f}"


def _limit(rate: float) -> str:
    """A round rate that was asked for: 0.1 %."""
    return f"{100 * rate:.6g}\u00a0%"


def _range(rate: Mapping[str, Any], *, turned: bool = False) -> str:
    low, high = (1 - rate["high"], 1 - rate["low"]) if turned else (rate["low"], rate["high"])
    return f"95\u00a0%: {_hundredths(low)} to {_pct(high)}"


def _with_range(rate: Mapping[str, Any]) -> str:
    return f'{_pct(rate["value"])} <span class="range">({_hundredths(rate["low"])} to {_pct(rate["high"])})</span>'


def _points(difference: float) -> str:
    """A difference of rates in percentage points, with its sign."""
    value = 100 * difference
    return "0" if abs(value) < 0.0005 else f"{value:+.2f}".replace("-", "\u2212")


def _place(speed: Mapping[str, Any]) -> str:
    """Where it ran, without the reasons."""
    return escape(speed["device"].partition(" (")[0])


def _few(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2g}"


def _big(number: float) -> str:
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,.0f}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _date(text: str) -> str:
    return escape(text.replace("T", " ").replace("+00:00", " UTC"))
