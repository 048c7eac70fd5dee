"""What theory says of every pair of the collapsed run, beside what the maps do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.align import Centering, MeanRotation, SharedSpaceProjection
from isthmus.data import demo
from isthmus.linalg.rotations import plane_rotation
from isthmus.reporting.drawing import INK, MUTED, WIDTH, X, Y, add_axes, new_figure, with_report_style
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg

#: Pairs in the figure; the table has all.
SHOWN = 120


@dataclass(frozen=True, eq=False)
class Prediction:
    """The cosines of the n held-out pairs after a map, as predicted from E = u.v, and as measured, (n,)."""

    name: str
    formula: str
    shared: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray


def cosines_of_pairs() -> list[Prediction]:
    """Every map of the collapsed run, x = sqrt(.51) a + .7 u and y = sqrt(.51) b + .7 v, judged on its test pairs.

    Two of the maps know the axes and the shared space that the run was made with; the others are fitted on the training
    pairs.

    >>> worst = {p.name: float(np.abs(p.measured - p.predicted).max()) for p in cosines_of_pairs()}
    >>> worst["raw"] < 1e-6, worst["axis onto axis, as made"] < 1e-6
    (True, True)
    """
    run, train = demo.arrays("collapsed", split="test"), demo.load("collapsed", split="train")
    assert run.axes is not None
    assert run.basis is not None
    x, y = run.image.astype(np.float64), run.text.astype(np.float64)
    u, v = (_unit(side @ run.basis.T) for side in (x, y))
    shared, cosine = np.sum(u * v, axis=1), float(run.axes[0] @ run.axes[1])
    rotated, offset, projected = ".51 + .49 E", 0.51 + 0.49 * shared, "E"
    found = []
    for name, formula, predicted, (a, b) in (
        ("raw", f".51 × {cosine:.2f} + .49 E", 0.51 * cosine + 0.49 * shared, (x, y)),
        ("axis onto axis, as made", rotated, offset, (plane_rotation(*run.axes).apply(x), y)),
        ("MeanRotation", rotated, offset, MeanRotation().fit(train).transform(x, y)),
        ("shared space, as made", projected, shared, (u, v)),
        ("SharedSpaceProjection", projected, shared, SharedSpaceProjection().fit(train).transform(x, y)),
        ("Centering", projected, shared, Centering().fit(train).transform(x, y)),
    ):
        found.append(Prediction(name, formula, shared, predicted, np.sum(a * b, axis=1)))
    return found


def predictions(run: str) -> list[Section]:
    """The section for the page of `run`: one for the collapsed run, none for the others."""
    if run != "collapsed":
        return []
    found = cosines_of_pairs()
    rows = [
        (
            p.name,
            p.formula,
            f"{p.predicted.mean():.3f}",
            f"{p.measured.mean():.3f}",
            f"{np.sqrt(np.mean((p.measured - p.predicted) ** 2)):.3f}",
            f"{np.abs(p.measured - p.predicted).max():.3f}",
        )
        for p in found
    ]
    label = "Cosine of each pair against its E: " + "; ".join(
        f"{name} {measured} (predicted {predicted})" for name, _, predicted, measured, *_ in rows
    )
    return [
        Section(
            "What theory predicts for every pair",
            [
                "Every image of this run is √.51 a + .7 u and every caption √.51 b + .7 v: fixed axes a and b, and a "
                "shared space that is orthogonal to both. With E = u·v the cosine of a pair is then known before and "
                "after each map. The maps that are fitted know only the training pairs."
            ],
            inline_svg(_drawing(found), "predicted", label=label),
            "Lines: predicted. Points: held-out pairs after the fitted maps. A rotation adds one constant to all "
            "scores, the projection takes it away.",
            ["Map", "cosine of the pair", "predicted mean", "measured mean", "rms error of a pair", "largest error"],
            rows,
        )
    ]


@with_report_style
def _drawing(found: list[Prediction]) -> Any:
    """Cosine of a pair against E, predicted and measured."""
    fig = new_figure(WIDTH, 280)
    ax = add_axes(fig, 44, 42, 14, 8)
    named = {p.name: p for p in found}
    for name, text, colour in (
        ("raw", "raw", INK),
        ("MeanRotation", "rotation", X),
        ("SharedSpaceProjection", "projection", Y),
    ):
        p = named[name]
        order = np.argsort(p.shared)
        step = np.linspace(0, len(order) - 1, SHOWN).astype(int)
        ax.plot(p.shared[order[step]], p.measured[order[step]], "o", ms=2.6, color=colour, alpha=0.7)
        ends = order[[0, -1]]
        ax.plot(p.shared[ends], p.predicted[ends], color=colour, lw=1.2)
        at = order[len(order) // 8]
        above = text == "rotation"
        ax.text(
            p.shared[at], p.predicted[at] + (0.05 if above else -0.06), text, color=colour, weight="bold",
            ha="right" if above else "left", va="bottom" if above else "top",
        )  # fmt: skip
    ax.set(xlabel="E, the cosine of the pair inside the shared space", ylabel="cosine of the pair")
    ax.grid(color=MUTED, lw=0.3, alpha=0.5)
    return fig


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
