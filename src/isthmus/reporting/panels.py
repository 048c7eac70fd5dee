"""Draw each figure of the report on a given matplotlib axis, in the colours of the report."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.align import Reliability
from isthmus.diagnosis import CosineDecomposition, best_row
from isthmus.evaluation import Comparison, Summary
from isthmus.reporting.descriptions import check_shown_scores
from isthmus.reporting.drawing import ACCENT, FONT_SIZE, INK, MUTED, PAPER, X, Y, apply_layout
from isthmus.reporting.formatting import aligner_label, shorten
from isthmus.reporting.labels import place_labels
from isthmus.reporting.samples import MAX_LINES, CloudProjection, CosineSample
from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.result import Estimate, Result

#: Left, right, bottom and top limit of an axis.
Limits = tuple[float, float, float, float]
#: Colour and dashes of each kind of cosine.
KINDS: dict[str, tuple[str, tuple[float, ...]]] = {
    "paired": (ACCENT, (1, 0)), "unpaired": (INK, (4, 2)), "x": (X, (1, 0)), "y": (Y, (1, 0)),
}  # fmt: skip
#: Share of the energy below which a spectrum is rounding, and is not drawn.
MIN_ENERGY = 1e-9
#: Numbers of principal angles up to which each one has a marker.
MAX_MARKED_ANGLES = 29
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_angle(ax: Any, result: Result) -> None:
    """Draw the two means in their own plane, to scale inside the unit circle. The angle must be defined."""
    x, y = result.pairs["names"]
    degrees = result["centroid_angle"].value
    circle = np.radians(np.linspace(0, 180, 91))
    ax.plot(np.cos(circle), np.sin(circle), color=MUTED, lw=0.8, dashes=(2, 3))
    directions = []
    for name, colour, sign in ((x, X, 1), (y, Y, -1)):
        length = result[f"mean_resultant_length_{name}"].value
        direction = math.radians(90 + sign * degrees / 2)
        unit = np.array([math.cos(direction), math.sin(direction)])
        tip = length * unit
        directions.append(direction)
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.4, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", tip, (0, 0), arrowprops=arrow)
        position, alignment = unit * 1.05 + [0, 0.04], {"ha": "right" if sign > 0 else "left", "va": "center"}
        if degrees > 110:  # no space beside a flat arrow, so that the name stands above its tip
            position, alignment = tip + np.array([0, 0.08]), {"ha": "center", "va": "bottom"}
        ax.text(*position, shorten(name, 12), color=colour, weight="bold", **alignment)
    arc = np.linspace(directions[1], directions[0], 60)
    ax.plot(0.3 * np.cos(arc), 0.3 * np.sin(arc), color=INK, lw=1.1)
    label_at, alignment = (0.0, 0.37), {"ha": "center", "va": "bottom"}
    if degrees < 75:  # no space between narrow arrows, so that the angle stands beside the right one
        label_at = (math.tan(math.radians(degrees / 2)) * 0.2 + 0.1, 0.17)
        alignment = {"ha": "left", "va": "center"}
    ax.text(*label_at, f"{degrees:.1f}°", weight="bold", fontsize=13, **alignment)
    ax.plot(0, 0, "o", color=INK, ms=4)
    ax.set(xlim=(-1.36, 1.36), ylim=(-0.1, 1.22), aspect="equal")
    ax.axis("off")


def draw_budget(ax: Any, budget: CosineDecomposition) -> None:
    """Draw the cosine deficit as a waterfall: four components and their total."""
    total = budget.total.value
    start, names = 0.0, [*budget, "total"]
    width = 1.42 * total if total > 0 else 1.0
    for row, name in enumerate(names):
        value = total if name == "total" else budget[name].value
        bar_start = 0.0 if name == "total" else start
        colour = INK if name == "total" else ACCENT if name == budget.largest else MUTED
        ax.barh(row, value, left=bar_start, height=0.62, color=colour)
        percentage = "" if name == "total" or total <= 0 else f" · {100 * value / total:.0f} %"
        ax.text(
            bar_start + value + 0.015 * width,
            row,
            f"{value:z.3f}{percentage}",
            va="center",
            fontsize=FONT_SIZE,
            weight="bold" if name in (budget.largest, "total") else "normal",
        )
        if name != "total":
            start += value
            ax.plot([start, start], [row - 0.31, row + 1.31], color=INK, lw=0.6, alpha=0.5)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(names) - 0.45, -0.55), xlim=(0, width), xlabel="cosine deficit")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= 1.1 * total])
    ax.spines["left"].set_visible(False)


def shared_limits(*projections: CloudProjection | None) -> Limits:
    """Return axis limits that hold nearly all visible points of every projection."""
    points = np.concatenate([rows for p in projections if p is not None for rows in p.visible_points()])
    low, high = np.quantile(points, 0.002, axis=0), np.quantile(points, 0.998, axis=0)
    margin = np.maximum(0.05 * (high - low), 1e-3)
    low, high = low - margin, high + margin
    return float(low[0]), float(high[0]), float(low[1]), float(high[1] + 0.14 * (high[1] - low[1]))


def draw_clouds(ax: Any, projection: CloudProjection, names: tuple[str, str], limits: Limits) -> None:
    """Draw both clouds on one plane, with lines between some matching pairs and marks at the means."""
    from matplotlib.collections import LineCollection

    x, y = projection.visible_points()
    joined = np.linspace(0, len(x) - 1, min(MAX_LINES, len(x))).astype(int)
    ax.add_collection(LineCollection(np.stack([x[joined], y[joined]], axis=1), colors=INK, alpha=0.22, linewidths=0.6))
    for points, colour, marker in ((x, X, "o"), (y, Y, "^")):
        ax.scatter(*points.T, s=9, c=colour, marker=marker, alpha=0.55, linewidths=0)
    means = np.stack([projection.x.mean(axis=0), projection.y.mean(axis=0)])
    ax.plot(*means.T, color=PAPER, lw=4.5)
    ax.plot(*means.T, color=INK, lw=2)
    for mean, colour, marker in zip(means, (X, Y), ("o", "^"), strict=True):
        ax.plot(*mean, marker, ms=9, mfc=colour, mec=PAPER, mew=1.5)
    name_x, name_y = (shorten(name, 20) for name in names)
    style = {"weight": "bold", "va": "top", "transform": ax.transAxes}
    ax.text(0.01, 0.985, f"● {name_x}", color=X, ha="left", **style)
    ax.text(0.99, 0.985, f"{name_y} ▲", color=Y, ha="right", **style)
    ax.set(xlabel="along the difference of the means", ylabel="widest direction of spread")
    apply_layout(ax)
    # Both axes have one scale. The larger one of the two decides it, so that equal limits give equal figures.
    box = ax.get_window_extent()
    scale = max((limits[1] - limits[0]) / box.width, (limits[3] - limits[2]) / box.height)
    for axis, doubled_middle, size in (
        ("x", limits[0] + limits[1], box.width),
        ("y", limits[2] + limits[3], box.height),
    ):
        getattr(ax, f"set_{axis}lim")((doubled_middle - scale * size) / 2, (doubled_middle + scale * size) / 2)
    ax.locator_params(nbins=6)


def draw_spectra(ax: Any, result: Result) -> None:
    """Draw the share of energy of each principal direction by rank, with the 99 % ranks."""
    from matplotlib.ticker import NullLocator

    names, n = result.pairs["names"], result.pairs["n"]
    curves = [result.curves[f"spectrum_{name}"] for name in names]
    curves = [curve[: min(n, len(curve))] for curve in curves]
    curves = [curve[curve > max(MIN_ENERGY, MIN_ENERGY * curve[0])] for curve in curves]
    minimum = min(curve[-1] for curve in curves)
    for name, curve, colour, dashes, offset in zip(names, curves, (X, Y), ((1, 0), (5, 2)), (0.10, 0.02), strict=True):
        rank = int(result[f"rank_99_{name}"].value)
        energy = curve[min(rank, len(curve)) - 1]
        ax.plot(np.arange(1, len(curve) + 1), curve, color=colour, lw=1.8, dashes=dashes)
        ax.plot([rank, rank], [minimum, energy], color=colour, lw=1, dashes=dashes)
        ax.plot(rank, energy, "o", color=colour, ms=6, mec=PAPER)
        curve_label = f"{shorten(name, 18)}: 99 % in {rank:,}"
        style = {"color": colour, "weight": "bold", "ha": "right", "va": "top", "transform": ax.transAxes}
        ax.text(0.98, 0.97 - offset, curve_label, **style)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(lambda share, _: "10" + str(round(math.log10(share))).translate(_SUPERSCRIPTS))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="rank of the principal direction", ylabel="share of the energy", xlim=(0, None))


def draw_principal_angles(ax: Any, result: Result, random_angles: np.ndarray) -> None:
    """Draw the principal angles between the two 99 % subspaces, and the 5 to 95 % range of random subspaces."""
    degrees = np.sort(result.curves["principal_angles"])
    guaranteed = int(result["overlap_dimensions"].null)
    numbers = np.arange(1, len(degrees) + 1)
    low, median, high = np.quantile(random_angles, [0.05, 0.5, 0.95], axis=0)
    ax.fill_between(numbers, low, high, color=MUTED, alpha=0.45, linewidth=0)
    ax.plot(numbers, median, color=MUTED, lw=1.6)
    if len(numbers) == 1:  # a line and a band of one point are invisible
        ax.vlines(numbers, low, high, color=MUTED, lw=4)
    ax.plot(numbers, degrees, color=ACCENT, lw=2, marker="o" if len(numbers) <= MAX_MARKED_ANGLES else None, ms=4)
    if guaranteed:
        ax.axvline(guaranteed + 0.5, color=INK, lw=1, dashes=(3, 3))
        alignment = "right" if guaranteed > len(numbers) / 2 else "left"
        ax.text(guaranteed + 0.5, 92, f" {guaranteed} guaranteed ", ha=alignment, va="bottom", fontsize=FONT_SIZE)
    # The space above 90 degrees, where no curve can be, is for the labels.
    ax.set(xlabel="number of the principal angle", ylabel="degrees", ylim=(-1, 126), xlim=(0, len(numbers) + 1))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_yticks([0, 30, 60, 90])
    style = {"weight": "bold", "ha": "right", "va": "top", "transform": ax.transAxes}
    ax.text(0.98, 0.99, "measured", color=ACCENT, **style)
    ax.text(0.98, 0.91, "random subspaces, 5–95 %", color=MUTED, **style)


def draw_cosines(ax: Any, sample: CosineSample) -> None:
    """Draw the densities of the cosines of matching and non-matching pairs, and within each modality."""
    labels = {"paired": "matching pairs", "unpaired": "non-matching pairs"}
    labels |= {kind: f"within {name}" for kind, name in zip("xy", sample.names, strict=True)}
    for kind, (colour, dashes) in KINDS.items():
        density = sample.densities[kind]
        edges = sample.edges[: len(density) + 1]
        ax.stairs(density, edges, fill=True, color=colour, alpha=0.16 if kind != "unpaired" else 0.07)
        line = (0, dashes) if dashes != (1, 0) else "-"
        ax.stairs(density, edges, color=colour, lw=1.7, linestyle=line, label=labels[kind])
    ax.set(xlabel="cosine", ylabel="density", xlim=(sample.edges[0], sample.edges[-1]), ylim=(0, None))
    ax.locator_params(axis="y", nbins=5)


def draw_reliability(ax: Any, reliability: Reliability) -> None:
    """Draw the observed share of right hits against their mean probability, with 95 % Wilson intervals."""
    ax.plot((0, 1), (0, 1), color=MUTED, lw=1, linestyle=(0, (4, 2)))
    bounds = np.array(
        [wilson_interval(s * n, n) for s, n in zip(reliability.observed, reliability.counts, strict=True)]
    )
    ax.vlines(reliability.predicted, bounds[:, 0], bounds[:, 1], color=ACCENT, lw=1.2)
    ax.plot(reliability.predicted, reliability.observed, "o-", color=ACCENT, lw=1.7, ms=4)
    ax.set(xlabel="probability that the hit is right", ylabel="share of right hits", xlim=(0, 1), ylim=(0, 1))


def draw_aligners(ax: Any, comparison: Comparison) -> None:
    """Draw the exchange score of each aligner against its change in cross-modal recall."""
    check_shown_scores(comparison, "the figure")
    rows = [row for row in comparison.rows if row.scores]
    best_summary = best_row(comparison)
    positions = np.array([[100 * r.scores["exchange_R@1"].value, 100 * r.changes["R@1"].value] for r in rows])
    for row, position in zip(rows, positions, strict=True):
        _draw_aligner(ax, row, position, is_best=row is best_summary)
    ax.axhline(0, color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    changes = 100 * np.array([_ends(r.changes["R@1"]) for r in rows])
    raw = rows[0].scores["exchange_R@1"].value
    right = max(2.0, *(100 * (_ends(r.changes["exchange_R@1"])[1] + raw) for r in rows))
    low, high = min(changes.min(), -2.0), max(changes.max(), 2.0)
    ax.set(
        xlim=(-0.05 * right + min(0, positions[:, 0].min()), 1.08 * right),
        ylim=(low - 0.08 * (high - low), high + 0.12 * (high - low)),
    )
    ax.set(xlabel="exchange score of mixed search (%)", ylabel="change in R@1 (points)")
    names = ["raw" if row.name == "Identity" else aligner_label(row) for row in rows]
    place_labels(ax, positions, names, [row is best_summary or row.name == "Identity" for row in rows])


def _ends(change: Estimate) -> tuple[float, float]:
    """Return the ends of the interval, or the value twice if there is none."""
    return (change.value, change.value) if math.isnan(change.low) else (change.low, change.high)


def _draw_aligner(ax: Any, row: Summary, position: np.ndarray, *, is_best: bool) -> None:
    """Draw one aligner with its two intervals, the raw space as a square."""
    if row.name == "Identity":
        ax.plot(*position, "s", color=INK, ms=7, mec=PAPER)
        return
    colour = ACCENT if is_best else MUTED
    exchange, recall = row.changes["exchange_R@1"], row.changes["R@1"]
    exchange_ends = [position[0] + 100 * (end - exchange.value) for end in (exchange.low, exchange.high)]
    ax.plot(exchange_ends, [position[1]] * 2, color=colour, lw=1.3)
    ax.plot([position[0]] * 2, [100 * recall.low, 100 * recall.high], color=colour, lw=1.3)
    ax.plot(*position, "o", color=colour, ms=8 if is_best else 7, mec=PAPER)
