"""Two runs compared: is one of them better, or can these data not tell?

Replicates that drew the same subjects are compared one by one (paired bootstrap): what is hard for both runs then
cancels out. Runs on other subjects, or with another seed, are compared by independent draws, which need a larger
difference to be sure.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from pcc_match.errors import PccError
from pcc_match.evaluation.rates import interval

_HEADLINE: Final = ("fnmr_at_fmr_0.001", "fnmr_at_fmr_0.01", "fnmr", "eer")
"""The rate that the verdict is about: the first that both runs have."""


def read_report(path: str | Path) -> dict[str, Any]:
    """A report.json; PccError where it is none, or of another format."""
    try:
        facts = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PccError(f"{path}: cannot be read as a report: {error}") from error
    if not isinstance(facts, dict) or facts.get("pcc_match") != "evaluation" or facts.get("format") != FORMAT:
        raise PccError(f"{path}: not a report of this format ({FORMAT}): give the report.json of another run")
    return facts


FORMAT: Final = 1  # of report.json; a change that older readers would misread raises it


def compare_runs(this: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """This run against that of another report.json: for each kind of data that both have, rates and a verdict."""
    other = read_report(path)
    found: dict[str, Any] = {
        "report": str(path),
        "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "command": other["run"]["command"],
        "version": other["run"]["versions"]["pcc_match"],
    }
    for kind in ("finger", "dna"):
        if "bootstrap" in this.get(kind, {}) and "bootstrap" in other.get(kind, {}):
            found[kind] = _compare(this[kind], other[kind])
    if not {"finger", "dna"} & found.keys():
        raise PccError(f"{path}: has no data of a kind that this run has, so there is nothing to compare")
    return found


def _compare(this: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    paired = this["bootstrap"]["sample"] == other["bootstrap"]["sample"]
    before = _rates(other)
    rows = []
    for key, rate in _rates(this).items():
        if key not in before:
            continue
        ours = np.array(this["bootstrap"]["values"][key])
        theirs = np.array(other["bootstrap"]["values"][key])
        if not paired:  # any pairing serves for independent draws, as long as it is not the drawn order
            theirs = np.random.default_rng(this["bootstrap"]["seed"]).permutation(theirs)
        drawn = min(len(ours), len(theirs))
        low, high = interval(ours[:drawn] - theirs[:drawn])
        rows.append(
            {
                "key": key,
                "this": rate["value"],
                "other": before[key]["value"],
                "difference": rate["value"] - before[key]["value"],
                "low": low,
                "high": high,
                "outcome": "better" if high < 0 else "worse" if low > 0 else "not told apart",
            }
        )
    headline = next((row for key in _HEADLINE for row in rows if row["key"] == key), None)
    return {"paired": paired, "rows": rows, "headline": headline}


def _rates(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every rate of a section by its key; all are error rates: less is better."""
    return {row["key"]: row for row in [*facts["rates"], *facts.get("identification", {}).get("table", [])]}
