"""The figures of the report: one function each, from numbers to a matplotlib `Figure`.

They never touch pyplot or the reader's settings. `overview` saves one picture of the three that say most.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.diagnosis import CosineDecomposition, Explanation, best_row
from isthmus.evaluation import Comparison
from isthmus.reporting import wording
from isthmus.reporting.drawing import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    SMALL_FONT_SIZE,
    WIDTH,
    X,
    Y,
    add_axes,
    new_figure,
    with_report_style,
)
from isthmus.reporting.samples import LINES, CloudProjection, Cosines, before_and_after
from isthmus.reporting.svg import inline_svg, standalone_svg
from isthmus.statistics.result import Result

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@with_report_style
def angle(result: Result) -> Any:
    """The two means in their own plane, to scale inside the unit circle. Needs a defined angle."""
    x, y = result.pairs["names"]
    degrees = result["centroid_angle"].value
    fig = new_figure(270, 146)
    ax = add_axes(fig, 8, 8, 8, 8)
    turn = np.radians(np.linspace(0, 180, 91))
    ax.plot(np.cos(turn), np.sin(turn), color=MUTED, lw=0.8, dashes=(2, 3))
    ends = []
    for name, colour, sign in ((x, X, 1), (y, Y, -1)):
        length = result[f"mean_resultant_length_{name}"].value
        towards = math.radians(90 + sign * degrees / 2)
        end = length * np.array([math.cos(towards), math.sin(towards)])
        ends.append(towards)
        ax.annotate(
            "",
            end,
            (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.4, "shrinkA": 0, "shrinkB": 0},
        )
        outside = np.array([math.cos(towards), math.sin(towards)]) * 1.05 + [0, 0.04]
        place = {"ha": "right" if sign > 0 else "left", "va": "center"}
        if degrees > 110:  # beside a flat arrow there is no room: above its tip
            outside, place = end + np.array([0, 0.08]), {"ha": "center", "va": "bottom"}
        ax.text(*outside, wording.short(name, 12), color=colour, weight="bold", **place)
    arc = np.linspace(ends[1], ends[0], 60)
    ax.plot(0.3 * np.cos(arc), 0.3 * np.sin(arc), color=INK, lw=1.1)
    at, place = (0.0, 0.37), {"ha": "center", "va": "bottom"}
    if degrees < 75:  # between narrow arrows there is no room: beside the right one
        at, place = (math.tan(math.radians(degrees / 2)) * 0.2 + 0.1, 0.17), {"ha": "left", "va": "center"}
    ax.text(*at, f"{degrees:.1f}°", weight="bold", fontsize=13, **place)
    ax.plot(0, 0, "o", color=INK, ms=4)
    ax.set(xlim=(-1.36, 1.36), ylim=(-0.1, 1.22), aspect="equal")
    ax.axis("off")
    return fig


@with_report_style
def budget(parts: CosineDecomposition) -> Any:
    """The missing cosine as a waterfall: four parts and their total."""
    fig = new_figure(WIDTH, 232)
    _budget(add_axes(fig, 88, 40, 12, 6), parts)
    return fig


def _budget(ax: Any, parts: CosineDecomposition) -> None:
    total = parts.total.value
    start, rows = 0.0, [*parts, "total"]
    room = 1.42 * total if total > 0 else 1.0
    for place, name in enumerate(rows):
        value = total if name == "total" else parts[name].value
        left = 0.0 if name == "total" else start
        colour = INK if name == "total" else ACCENT if name == parts.largest else MUTED
        ax.barh(place, value, left=left, height=0.62, color=colour)
        share = "" if name == "total" or total <= 0 else f" · {100 * value / total:.0f} %"
        ax.text(
            left + value + 0.015 * room,
            place,
            f"{value:.3f}{share}",
            va="center",
            fontsize=SMALL_FONT_SIZE,
            weight="bold" if name in (parts.largest, "total") else "normal",
        )
        if name != "total":
            start += value
            ax.plot([start, start], [place - 0.31, place + 1.31], color=INK, lw=0.6, alpha=0.5)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(rows) - 0.45, -0.55), xlim=(0, room), xlabel="cosine missing from 1")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= 1.1 * total])
    ax.spines["left"].set_visible(False)


@with_report_style
def clouds(points: CloudProjection, names: tuple[str, str], limits: tuple[float, float, float, float]) -> Any:
    """Both clouds on one plane, some partners joined, the means marked; `limits` as of `shared_limits`."""
    fig = new_figure(WIDTH, 350)
    _clouds(add_axes(fig, 62, 42, 16, 8), points, names, limits)
    return fig


def shared_limits(*shown: CloudProjection | None) -> tuple[float, float, float, float]:
    """Axis limits (left, right, bottom, top) that hold nearly all drawn points of every cloud."""
    points = np.concatenate([side for c in shown if c is not None for side in c.drawn()])
    low, high = np.quantile(points, 0.002, axis=0), np.quantile(points, 0.998, axis=0)
    margin = np.maximum(0.05 * (high - low), 1e-3)
    low, high = low - margin, high + margin
    return float(low[0]), float(high[0]), float(low[1]), float(high[1] + 0.14 * (high[1] - low[1]))


def _clouds(
    ax: Any, points: CloudProjection, names: tuple[str, str], limits: tuple[float, float, float, float]
) -> None:
    from matplotlib.collections import LineCollection

    x, y = points.drawn()
    joined = np.linspace(0, len(x) - 1, min(LINES, len(x))).astype(int)
    ax.add_collection(LineCollection(np.stack([x[joined], y[joined]], axis=1), colors=INK, alpha=0.22, linewidths=0.6))
    for side, colour, marker in ((x, X, "o"), (y, Y, "^")):
        ax.scatter(*side.T, s=9, c=colour, marker=marker, alpha=0.55, linewidths=0)
    means = np.stack([points.x.mean(axis=0), points.y.mean(axis=0)])
    ax.plot(*means.T, color=PAPER, lw=4.5)
    ax.plot(*means.T, color=INK, lw=2)
    for mean, colour, marker in zip(means, (X, Y), ("o", "^"), strict=True):
        ax.plot(*mean, marker, ms=9, mfc=colour, mec=PAPER, mew=1.5)
    for label, colour, place, glyph, aligned in (
        (names[0], X, 0.01, "●", "left"),
        (names[1], Y, 0.99, "▲", "right"),
    ):
        text = wording.short(label, 20)
        ax.text(
            place,
            0.985,
            f"{glyph} {text}" if aligned == "left" else f"{text} {glyph}",
            color=colour,
            weight="bold",
            ha=aligned,
            va="top",
            transform=ax.transAxes,
        )
    # Both axes to one scale; the longer way round decides it, so that equal limits give equal pictures.
    box = ax.get_window_extent()
    scale = max((limits[1] - limits[0]) / box.width, (limits[3] - limits[2]) / box.height)
    for across, middle, size in (
        ("x", limits[0] + limits[1], box.width),
        ("y", limits[2] + limits[3], box.height),
    ):
        getattr(ax, f"set_{across}lim")((middle - scale * size) / 2, (middle + scale * size) / 2)
    ax.locator_params(nbins=6)
    ax.set(xlabel="along the difference of the means", ylabel="widest direction of spread")


@with_report_style
def spectra(result: Result) -> Any:
    """Share of energy of each principal direction against its rank, the 99 % rank marked."""
    from matplotlib.ticker import NullLocator

    names = result.pairs["names"]
    fig = new_figure(WIDTH, 280)
    ax = add_axes(fig, 54, 42, 10, 8)
    curves = [result.curves[f"spectrum_{name}"] for name in names]
    n = result.pairs["n"]
    kept = [c[: min(n, len(c))] for c in curves]
    kept = [c[c > max(1e-9, 1e-9 * c[0])] for c in kept]
    floor = min(c[-1] for c in kept)
    for name, curve, colour, dashes, above in zip(names, kept, (X, Y), ((), (5, 2)), (0.10, 0.02), strict=True):
        rank = int(result[f"rank_99_{name}"].value)
        ax.plot(np.arange(1, len(curve) + 1), curve, color=colour, lw=1.8, dashes=dashes or (1, 0))
        ax.plot(
            [rank, rank],
            [floor, curve[min(rank, len(curve)) - 1]],
            color=colour,
            lw=1,
            dashes=dashes or (1, 0),
        )
        ax.plot(rank, curve[min(rank, len(curve)) - 1], "o", color=colour, ms=6, mec=PAPER)
        ax.text(
            0.98,
            0.97 - above,
            f"{wording.short(name, 18)}: 99 % in {rank:,}",
            color=colour,
            weight="bold",
            ha="right",
            va="top",
            transform=ax.transAxes,
        )
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(lambda share, _: "10" + str(round(math.log10(share))).translate(_RAISED))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="rank of the principal direction", ylabel="share of the energy", xlim=(0, None))
    return fig


@with_report_style
def principal_angles(result: Result, null: np.ndarray) -> Any:
    """The principal angles between the two 99 % subspaces, against those of random subspaces (5 to 95 %)."""
    degrees = np.sort(result.curves["principal_angles"])
    forced = int(result["overlap_dimensions"].null)
    places = np.arange(1, len(degrees) + 1)
    low, middle, high = np.quantile(null, [0.05, 0.5, 0.95], axis=0)
    fig = new_figure(WIDTH, 280)
    ax = add_axes(fig, 46, 42, 10, 8)
    ax.fill_between(places, low, high, color=MUTED, alpha=0.45, linewidth=0)
    ax.plot(places, middle, color=MUTED, lw=1.6)
    ax.plot(places, degrees, color=ACCENT, lw=2, marker="o" if len(places) < 30 else None, ms=4)
    if forced:
        ax.axvline(forced + 0.5, color=INK, lw=1, dashes=(3, 3))
        left = forced > len(places) / 2
        ax.text(
            forced + 0.5,
            88,
            f" {forced} forced ",
            ha="right" if left else "left",
            va="top",
            fontsize=SMALL_FONT_SIZE,
        )
    ax.set(xlabel="number of the principal angle", ylabel="degrees", ylim=(-1, 91), xlim=(0, len(places) + 1))
    ax.set_yticks([0, 30, 60, 90])
    ax.text(0.98, 0.12, "measured", color=ACCENT, weight="bold", ha="right", transform=ax.transAxes)
    ax.text(0.98, 0.04, "random subspaces, 5–95 %", color=MUTED, weight="bold", ha="right", transform=ax.transAxes)
    return fig


#: How each kind of cosine is drawn: colour, dashes.
KINDS: dict[str, tuple[str, tuple[float, ...]]] = {
    "paired": (ACCENT, (1, 0)), "unpaired": (INK, (4, 2)), "x": (X, (1, 0)), "y": (Y, (1, 0)),
}  # fmt: skip


@with_report_style
def cosines(sample: Cosines) -> Any:
    """Densities of the cosines of partners, of strangers across the sides, and within each side."""
    fig = new_figure(WIDTH, 280)
    ax = add_axes(fig, 48, 42, 10, 8)
    for kind, (colour, dashes) in KINDS.items():
        density = sample.densities[kind]
        edges = sample.edges[: len(density) + 1]
        ax.stairs(density, edges, fill=True, color=colour, alpha=0.16 if kind != "unpaired" else 0.07)
        ax.stairs(density, edges, color=colour, lw=1.7, linestyle=(0, dashes) if dashes != (1, 0) else "-")
    ax.set(xlabel="cosine", ylabel="density", xlim=(sample.edges[0], sample.edges[-1]), ylim=(0, None))
    ax.locator_params(axis="y", nbins=5)
    return fig


@with_report_style
def aligners(comparison: Comparison) -> Any:
    """What each aligner gains in mixed search, against what it does to cross-modal recall."""
    fig = new_figure(WIDTH, 300)
    _aligners(add_axes(fig, 52, 42, 12, 8), comparison)
    return fig


def _aligners(ax: Any, comparison: Comparison) -> None:
    rows = [row for row in comparison.rows if row.scores]
    best = best_row(comparison)
    spots = np.array([[100 * r.scores["mixed_R@1"].value, 100 * r.changes["R@1"].value] for r in rows])
    for row, spot in zip(rows, spots, strict=True):
        if row.name == "Identity":
            ax.plot(*spot, "s", color=INK, ms=7, mec=PAPER)
            continue
        colour = ACCENT if row is best else MUTED
        across, down = row.changes["mixed_R@1"], row.changes["R@1"]
        ax.plot(
            [spot[0] + 100 * (e - across.value) for e in (across.low, across.high)],
            [spot[1]] * 2,
            color=colour,
            lw=1.3,
        )
        ax.plot([spot[0]] * 2, [100 * down.low, 100 * down.high], color=colour, lw=1.3)
        ax.plot(*spot, "o", color=colour, ms=8 if row is best else 7, mec=PAPER)
    ax.axhline(0, color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    reach = np.array([[100 * r.changes["R@1"].low, 100 * r.changes["R@1"].high] for r in rows])
    right = max(max(100 * r.changes["mixed_R@1"].high + 100 * rows[0].scores["mixed_R@1"].value for r in rows), 2.0)
    low, high = min(reach.min(), -2.0), max(reach.max(), 2.0)
    ax.set(
        xlim=(-0.05 * right + min(0, spots[:, 0].min()), 1.08 * right),
        ylim=(low - 0.08 * (high - low), high + 0.12 * (high - low)),
    )
    ax.set(xlabel="mixed search: partner found first (%)", ylabel="change in R@1 (points)")
    _name(
        ax,
        spots,
        ["raw" if r.name == "Identity" else wording.aligner(r) for r in rows],
        [r is best or r.name == "Identity" for r in rows],
    )


def _name(ax: Any, spots: np.ndarray, texts: Sequence[str], strong: Sequence[bool]) -> None:
    """Write each text beside its spot, where it covers least of the others and stays inside."""
    to_points = ax.transData
    places = to_points.transform(spots)
    frame = ax.bbox
    taken: list[tuple[float, float, float, float]] = []
    for i, (text, heavy) in enumerate(zip(texts, strong, strict=True)):
        lines = textwrap.wrap(text, 22, break_long_words=False) or [text]
        wide, tall = max(map(len, lines)) * SMALL_FONT_SIZE * 0.62, len(lines) * SMALL_FONT_SIZE * 1.2
        options: list[tuple[Any, ...]] = []
        for dx, dy in ((9, 9), (9, -9), (-9, 9), (-9, -9), (9, 22), (9, -22), (-9, 22), (-9, -22)):
            left = places[i, 0] + dx - (wide if dx < 0 else 0)
            bottom = places[i, 1] + dy - (tall if dy < 0 else 0)
            box = (left, bottom, left + wide, bottom + tall)
            outside = (
                max(frame.x0 - box[0], 0)
                + max(box[2] - frame.x1 - 8, 0)
                + max(frame.y0 - box[1], 0)
                + max(box[3] - frame.y1, 0)
            )
            covered = sum(box[0] - 5 < px < box[2] + 5 and box[1] - 5 < py < box[3] + 5 for px, py in places)
            overlaps = sum(
                max(0, min(box[2], b[2]) - max(box[0], b[0])) * max(0, min(box[3], b[3]) - max(box[1], b[1]))
                for b in taken
            )
            options.append((20 * outside + 600 * covered + overlaps, len(options), dx, dy, box))
        _, _, dx, dy, box = min(options)
        taken.append(box)
        ax.annotate(
            "\n".join(lines),
            spots[i],
            (dx, dy),
            textcoords="offset points",
            fontsize=SMALL_FONT_SIZE,
            ha="left" if dx > 0 else "right",
            va="bottom" if dy > 0 else "top",
            weight="bold" if heavy else "normal",
            bbox={"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 1},
        )


def overview(
    explanation: Explanation, pairs: Pairs, path: str | os.PathLike[str], /, *, fit: Pairs | None = None
) -> None:
    """Save one picture (SVG, 900 wide, light and dark): the clouds, the budget, and what each aligner does.

    `explanation` must hold a comparison: `isthmus.explain(pairs, comparison=isthmus.compare(pairs))`.
    Errors: `InputError` when it holds none, or when `path` cannot be written.
    """
    from isthmus.utils.errors import InputError
    from isthmus.utils.files import atomic_path

    if explanation.comparison is None:
        raise InputError("the explanation holds no comparison; make it with explain(pairs, comparison=compare(pairs))")
    names: tuple[str, str] = pairs.names
    before, _ = before_and_after(pairs, row=None, fit=fit, normalize=explanation.result.pairs["normalize"])
    fig = _overview(explanation, before, names)
    text = standalone_svg(inline_svg(fig, "overview", label=wording.overview(explanation)))
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


@with_report_style
def _overview(explanation: Explanation, before: CloudProjection, names: tuple[str, str]) -> Any:
    comparison = explanation.comparison
    assert comparison is not None  # `overview` has checked it
    fig = new_figure(900, 330)
    panels = [add_axes(fig, left, 52, 900 - right, 62) for left, right in ((72, 306), (408, 606), (682, 884))]
    _clouds(panels[0], before, names, shared_limits(before))
    _budget(panels[1], explanation.budget)
    _aligners(panels[2], comparison)
    heads = ("How big is the gap?", "Where does it come from?", "What does closing it do?")
    for left, head, line in zip(
        (24 / 900, 338 / 900, 640 / 900), heads, wording.three_answers(explanation), strict=True
    ):
        fig.text(left, 1 - 22 / 330, head, weight="bold", fontsize=14, va="center")
        fig.text(left, 1 - 42 / 330, line, fontsize=SMALL_FONT_SIZE, va="center", alpha=0.85)
    return fig


__all__ = [
    "aligners",
    "angle",
    "budget",
    "clouds",
    "cosines",
    "overview",
    "principal_angles",
    "shared_limits",
    "spectra",
]
