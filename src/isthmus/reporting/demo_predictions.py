"""Compare the cosines that theory predicts for every pair of the collapsed demo run with the measured ones."""

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

#: Pairs in the figure. The table is about all pairs.
MAX_POINTS = 120


@dataclass(frozen=True, eq=False)
class MapPrediction:
    """Cosines (n,) of the held-out pairs after one map: `predicted` from the shared cosine E = u.v, and `measured`."""

    name: str
    formula: str
    shared: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray


def predict_cosines() -> list[MapPrediction]:
    """Return predicted and measured cosines of the test pairs of the collapsed run, for six maps.

    The run is x = sqrt(.51) a + .7 u and y = sqrt(.51) b + .7 v. Two of the maps use its true axes and shared space.
    The other ones are fitted to the training pairs.

    >>> worst = {p.name: float(np.abs(p.measured - p.predicted).max()) for p in predict_cosines()}
    >>> worst["raw"] < 1e-6, worst["axis onto axis, true"] < 1e-6
    (True, True)
    """
    run, train = demo.arrays("collapsed", split="test"), demo.load("collapsed", split="train")
    assert run.axes is not None
    assert run.basis is not None
    x, y = run.image.astype(np.float64), run.text.astype(np.float64)
    u, v = (_unit(rows @ run.basis.T) for rows in (x, y))
    shared, axis_cosine = np.sum(u * v, axis=1), float(run.axes[0] @ run.axes[1])
    raw = f".51 × {axis_cosine:.2f} + .49 E", 0.51 * axis_cosine + 0.49 * shared
    rotated = ".51 + .49 E", 0.51 + 0.49 * shared
    projected = "E", shared
    return [
        MapPrediction(name, formula, shared, predicted, np.sum(a * b, axis=1))
        for name, (formula, predicted), (a, b) in (
            ("raw", raw, (x, y)),
            ("axis onto axis, true", rotated, (plane_rotation(*run.axes).apply(x), y)),
            ("MeanRotation", rotated, MeanRotation().fit(train).transform(x, y)),
            ("shared space, true", projected, (u, v)),
            ("SharedSpaceProjection", projected, SharedSpaceProjection(judge=False).fit(train).transform(x, y)),
            ("Centering", projected, Centering().fit(train).transform(x, y)),
        )
    ]


def demo_sections(run: str) -> list[Section]:
    """Return the additional sections of the page of a demo run. Only the collapsed run has one."""
    if run != "collapsed":
        return []
    predictions = predict_cosines()
    rows = [
        (
            p.name,
            p.formula,
            f"{p.predicted.mean():.3f}",
            f"{p.measured.mean():.3f}",
            f"{np.sqrt(np.mean((p.measured - p.predicted) ** 2)):.3f}",
            f"{np.abs(p.measured - p.predicted).max():.3f}",
        )
        for p in predictions
    ]
    text_alternative = "Cosine of each pair against its E: " + "; ".join(
        f"{name} {measured} (predicted {predicted})" for name, _, predicted, measured, *_ in rows
    )
    return [
        Section(
            "What theory predicts for every pair",
            [
                "Every image of this run is √.51 a + .7 u and every caption √.51 b + .7 v, with fixed axes a and b and "
                "a shared space that is orthogonal to both. With E = u·v the cosine of a pair is known before and "
                "after each map. The fitted maps use only the training pairs."
            ],
            inline_svg(_figure(predictions), "predicted", label=text_alternative),
            "Lines: predicted. Points: held-out pairs after the fitted maps. A rotation adds one constant to all "
            "scores, and the projection removes it.",
            ["Map", "cosine of the pair", "predicted mean", "measured mean", "RMS error of a pair", "largest error"],
            rows,
        )
    ]


@with_report_style
def _figure(predictions: list[MapPrediction]) -> Any:
    """Return the cosine of a pair against E, predicted and measured."""
    fig = new_figure(WIDTH, 280)
    draw_predictions(add_axes(fig, 44, 42, 14, 8), predictions)
    return fig


def draw_predictions(ax: Any, predictions: list[MapPrediction]) -> None:
    """Draw the cosine of a pair against E, predicted and measured."""
    by_name = {p.name: p for p in predictions}
    for name, label, colour in (
        ("raw", "raw", INK),
        ("MeanRotation", "rotation", X),
        ("SharedSpaceProjection", "projection", Y),
    ):
        p = by_name[name]
        order = np.argsort(p.shared)
        visible = order[np.linspace(0, len(order) - 1, MAX_POINTS).astype(int)]
        ax.plot(p.shared[visible], p.measured[visible], "o", ms=2.6, color=colour, alpha=0.7)
        ends = order[[0, -1]]
        ax.plot(p.shared[ends], p.predicted[ends], color=colour, lw=1.2)
        position = order[len(order) // 8]
        above = label == "rotation"
        ax.text(
            p.shared[position], p.predicted[position] + (0.05 if above else -0.06), label, color=colour, weight="bold",
            ha="right" if above else "left", va="bottom" if above else "top",
        )  # fmt: skip
    ax.set(xlabel="E, the cosine of the pair inside the shared space", ylabel="cosine of the pair")
    ax.grid(color=MUTED, lw=0.3, alpha=0.5)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
