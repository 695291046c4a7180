"""The figures of a report: matplotlib draws them, as SVG that takes its colours from the page around it.

Colours are written as placeholders that become CSS variables, so one drawing serves light, dark and paper. Curves
differ by dash and carry their names: no one needs the colours. Text stays text: it can be read out, searched, scaled.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcc_match.errors import PccError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

F64 = NDArray[np.float64]

# Placeholders, and the CSS variable of each.
INK, MUTED, LINE, ONE, TWO, THREE = COLOURS = ("#010203", "#010204", "#010205", "#010206", "#010207", "#010208")
_VARIABLES: Final = dict(zip(COLOURS, ("--ink", "--muted", "--line", "--one", "--two", "--three"), strict=True))

_SIZE = (4.7, 3.5)  # inches; a page of 400 px shows this width nearly as it is, a wide one larger
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pcc_match",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
_PROBIT_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.4)


P = ParamSpec("P")


def _drawn(draw: Callable[P, str]) -> Callable[P, str]:
    """Under the style of all figures."""

    @wraps(draw)
    def styled(*values: P.args, **named: P.kwargs) -> str:
        try:
            import matplotlib
        except ImportError as error:
            raise PccError("figures need matplotlib: pip install 'pcc_match[report]'") from error
        with matplotlib.rc_context(_STYLE):
            return draw(*values, **named)

    return styled


@_drawn
def det(curves: Sequence[tuple[str, Mapping[str, Any]]], marks: Sequence[tuple[float, float]]) -> str:
    """FNMR against FMR on normal-deviate axes (ISO/IEC 19795-1, DET curve). curves: name and columns fmr, fnmr and, for
    a band, low and high; marks: points (fmr, fnmr) to point out."""
    figure, axes = _axes()
    smallest = min(min(curve["fmr"]) for _, curve in curves)
    floor = min(_floor(curve["fnmr"]) for _, curve in curves)
    _probit_axes(axes, smallest, floor)
    for (name, curve), colour, dash in zip(curves, (ONE, TWO), ("-", (0, (4, 2))), strict=False):
        x, y = _probit(curve["fmr"], smallest), _probit(curve["fnmr"], floor)
        axes.plot(x, y, color=colour, linestyle=dash, label=name)
        if "low" in curve:
            low, high = _probit(curve["low"], floor), _probit(curve["high"], floor)
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    diagonal = _probit([max(smallest, floor), 0.2], 0)
    axes.plot(diagonal, diagonal, color=MUTED, linewidth=0.8, linestyle=":")
    for fmr, fnmr in marks:
        axes.plot(_probit([fmr], smallest), _probit([fnmr], floor), "o", color=ONE, markersize=4.5)
    axes.set_xlabel("false match rate")
    axes.set_ylabel("false non-match rate")
    if len(curves) > 1:
        axes.legend(loc="upper right")
    return _svg(
        figure,
        "det",
        "Detection error trade-off",
        "False non-match rate against false match rate, both on normal-deviate axes; lower and further left is better. "
        "The dotted line marks equal rates.",
    )


@_drawn
def distributions(scores: ArrayLike, mated: ArrayLike, nonmated: ArrayLike, threshold: int | None) -> str:
    """How the scores of mated and of non-mated comparisons are spread: shares in equal steps, logarithmic."""
    figure, axes = _axes()
    values = np.asarray(scores, np.int64)
    low, high = int(values.min()), int(values.max()) + 1
    step = max(1, -(-(high - low) // 60))
    edges = np.arange(low, high + step, step)
    lowest = 1.0
    for name, counts, colour, dash in (
        ("non-mated", np.asarray(nonmated, np.float64), TWO, (0, (4, 2))),
        ("mated", np.asarray(mated, np.float64), ONE, "-"),
    ):
        share, _ = np.histogram(values, edges, weights=counts / counts.sum())
        lowest = min(lowest, float(share[share > 0].min()))
        axes.stairs(share, edges, color=colour, linestyle=dash, linewidth=1.6, label=name)
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.15)
    axes.set_yscale("log")
    axes.set_ylim(lowest / 2, 1.6)
    axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
    axes.minorticks_off()
    if threshold is not None:
        axes.axvline(threshold, color=MUTED, linewidth=0.8, linestyle=":")
        right = threshold < (low + high) / 2
        axes.annotate(
            f"threshold {threshold:,}", (threshold, 1), xytext=(4 if right else -4, 0), textcoords="offset points",
            ha="left" if right else "right", va="center", color=MUTED,
        )  # fmt: skip
    axes.set_xlabel("comparison score")
    axes.set_ylabel("share of comparisons")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.95))
    return _svg(
        figure,
        "scores",
        "Score distributions",
        "Shares of mated and of non-mated comparisons by score, logarithmic. The less they overlap, the better.",
    )


@_drawn
def cmc(curves: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Cumulative match characteristic: the share of mated searches that found the mate, by rank."""
    figure, axes = _axes()
    lowest = min(min(shares) for _, shares in curves)
    for (name, shares), colour, dash in zip(curves, (ONE, TWO), ("-", (0, (4, 2))), strict=False):
        ranks = np.arange(1, len(shares) + 1)
        axes.plot(ranks, shares, color=colour, linestyle=dash, marker="o", markersize=2.5, label=name)
    longest = max(len(shares) for _, shares in curves)
    axes.set_xticks([rank for rank in (1, 5, 10, 20, 30, 40, 50) if rank <= longest])
    axes.set_ylim(max(0.0, lowest - max(0.15 * (1 - lowest), 0.005)), 1 + 0.05 * (1 - lowest) + 0.0005)
    axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
    axes.set_xlabel("rank")
    axes.set_ylabel("mates found at this rank or before")
    if len(curves) > 1:
        axes.legend(loc="lower right")
    return _svg(
        figure,
        "cmc",
        "Cumulative match characteristic",
        "Share of searches whose mate is found, by rank; higher is better.",
    )


@_drawn
def identification(curves: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """FNIR at rank 1 against FPIR, over all thresholds, on normal-deviate axes."""
    figure, axes = _axes()
    smallest = min(_floor(curve["fpir"]) for _, curve in curves)
    floor = min(_floor(curve["fnir"]) for _, curve in curves)
    _probit_axes(axes, smallest, floor)
    for (name, curve), colour, dash in zip(curves, (ONE, TWO), ("-", (0, (4, 2))), strict=False):
        x, y = _probit(curve["fpir"], smallest), _probit(curve["fnir"], floor)
        axes.plot(x, y, color=colour, linestyle=dash, label=name)
    axes.set_xlabel("false-positive identification rate")
    axes.set_ylabel("false-negative identification rate, rank 1")
    if len(curves) > 1:
        axes.legend(loc="upper right")
    return _svg(
        figure,
        "identification",
        "Identification errors",
        "False-negative against false-positive identification rate over all thresholds, both on normal-deviate axes.",
    )


@_drawn
def qualities(matches: dict[str, dict[str, int]]) -> str:
    """Matches of each quality by what the two profiles have in common: bars, logarithmic."""
    figure, axes = _axes()
    groups = [name for name in matches if any(matches[name].values())]
    width = 0.8 / max(1, len(groups))
    styles = ((ONE, ""), (THREE, "////"), (MUTED, "...."), (TWO, "\\\\\\\\"))
    names = list(matches)
    for place, name in enumerate(groups):
        colour, hatch = styles[names.index(name)]
        counts = [matches[name][quality] for quality in matches[name]]
        x = np.arange(len(counts)) + (place - (len(groups) - 1) / 2) * width
        axes.bar(x, counts, width * 0.9, color=colour, hatch=hatch, edgecolor=colour, linewidth=0.5, label=name,
                 alpha=0.85)  # fmt: skip
        for at, count in zip(x, counts, strict=True):
            if count:
                axes.annotate(
                    f"{count:,}", (at, count), xytext=(0, 2), textcoords="offset points", ha="center", size=7.5
                )
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 4 * max([1, *(count for name in groups for count in matches[name].values())]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.minorticks_off()
    axes.set_xticks(range(4), ["1", "2", "3", "4"])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("quality of the match")
    axes.set_ylabel("matching pairs")
    if groups:
        axes.legend(loc="upper right")
    return _svg(
        figure, "qualities", "Matches by quality", "Matching pairs of each quality, by what the two profiles share."
    )


@_drawn
def equal_loci(facts: dict[str, Any]) -> str:
    """Pairs of profiles by the number of equal loci, found and expected, logarithmic."""
    figure, axes = _axes()
    found = np.array(facts["found"], np.float64)
    low, high = np.array(facts["expected"])
    equal = np.arange(len(found))
    axes.fill_between(equal, low, high, color=TWO, alpha=0.3, linewidth=0)
    axes.plot(equal, high, color=TWO, linestyle=(0, (4, 2)), label="expected between strangers")
    some = found > 0
    axes.plot(equal[some], found[some], "o", color=ONE, markersize=5, label="found")
    axes.set_yscale("log")
    axes.set_ylim(max(0.01, low.min() / 3), 8 * found.max())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.minorticks_off()
    axes.set_xticks(equal)
    axes.set_xlabel(f"equal loci of {len(found) - 1}")
    axes.set_ylabel("pairs of profiles")
    axes.legend(loc="upper right")
    return _svg(figure, "loci", "Equal loci", "Pairs of profiles by the number of equal loci: found, and expected.")


@_drawn
def pair_of_histograms(key: str, title: str, label: str, synthetic: Sequence[Sequence[float]],
                       real: Sequence[Sequence[float]]) -> str:  # fmt: skip
    """A quantity of synthetic data beside the same of real data; each is (edges, shares)."""
    figure, axes = _axes()
    for name, (edges, share), colour, dash in (("real", real, TWO, (0, (4, 2))), ("synthetic", synthetic, ONE, "-")):
        axes.stairs(share, edges, color=colour, linestyle=dash, linewidth=1.6, label=name)
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.15)
    axes.set_ylim(0)
    axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
    axes.set_xlabel(label)
    axes.set_ylabel("share")
    axes.legend(loc="upper right")
    return _svg(figure, key, title, f"{title}: synthetic beside real.")


# ---- parts ----------------------------------------------------------------------------------------------------------


def _axes() -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    return figure, figure.add_subplot()


def _probit(rates: ArrayLike, floor: float) -> F64:
    """Normal deviates of rates; those of 0 and 1 are drawn at the edges."""
    inverse = NormalDist().inv_cdf
    top = 1 - 1e-6
    return np.array([inverse(min(max(rate, floor, 1e-9), top)) for rate in np.asarray(rates, np.float64).tolist()])


def _floor(rates: Sequence[float]) -> float:
    """Where a rate of 0 is drawn: half of the smallest above 0."""
    return min((rate for rate in rates if rate > 0), default=0.001) / 2


def _probit_axes(axes: "Axes", smallest_x: float, smallest_y: float) -> None:
    for axis, smallest in ((axes.xaxis, smallest_x), (axes.yaxis, smallest_y)):
        ticks = _ticks(smallest)
        axis.set_ticks(_probit(ticks, 0).tolist(), labels=[_percent(tick) for tick in ticks])
    axes.set_xlim(_probit([smallest_x], 0)[0], 0.1)
    axes.set_ylim(_probit([smallest_y], 0)[0], 0.1)


def _ticks(smallest: float) -> list[float]:
    """Those of _PROBIT_TICKS that fit, with room for their names, from the largest down."""
    room = 0.14 * (_probit([0.5], 0)[0] - _probit([smallest], 0)[0])
    ticks: list[float] = []
    for tick in reversed(_PROBIT_TICKS):
        if tick >= smallest and (not ticks or _probit([ticks[-1]], 0)[0] - _probit([tick], 0)[0] >= room):
            ticks.append(tick)
    return ticks[::-1]


def _percent(rate: float) -> str:
    return f"{100 * rate:.6g} %"


def _svg(figure: "Figure", key: str, title: str, description: str) -> str:
    """Inline SVG with title and description for those who cannot see it."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    drawn = text.getvalue()
    box = re.search(r'viewBox="([^"]+)"', drawn)
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'id="([^"]+)"', rf'id="{key}-\1"', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", body)
    body = re.sub(r"font: ([0-9.]+px)[^;\"]*", r"font-size: \1", body)
    body = re.sub(r"font-family:[^;\"]*;?", "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    return (
        f'<svg viewBox="{box[1] if box else ""}" role="img" aria-labelledby="{key}-title {key}-about">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-about">{escape(description)}</desc>{body}'
    )
