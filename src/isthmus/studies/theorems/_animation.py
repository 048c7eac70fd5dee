"""The animation: two clouds on the sphere move to the optimum under each constraint."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from isthmus.theory import Cone, ConstantParts, Constraint, Subspaces, Unconstrained, measure_state, optimise

_PAIRS = 48
_FRAMES = 40
#: Coordinates are stored as integers in units of 1 / _SCALE.
_SCALE = 1000


@functools.cache
def animations() -> list[dict[str, Any]]:
    """Return for each constraint a title, a caption, circles to draw and frames of positions, as JSON values."""
    tilt = math.radians(60) / 2.0
    planes = [_circle(tilt), _circle(-tilt)]
    height = math.sqrt(1.0 - 0.7**2) * math.sin(tilt)
    return [
        _animation(
            "No constraint",
            "Rows spread evenly and matching pairs meet. Both means vanish: there is no gap and no angle to report.",
            Unconstrained(),
            initial_gap=120,
        ),
        _animation(
            "Cone",
            "The mean of each modality has length 0.5. The clouds turn towards each other: a cone alone makes no gap.",
            Cone(resultant=0.5),
            initial_gap=70,
        ),
        _animation(
            "Cone, started opposite",
            "The same constraint, started at 180°. The clouds stay opposite: a cone can preserve an existing gap.",
            Cone(resultant=0.5),
            initial_gap=180,
        ),
        _animation(
            "Two planes and a cone",
            "Each cloud lies on its own great circle, with means of length 0.5, and starts without a gap. The centres "
            "leave the shared axis and the gap becomes the angle between the planes.",
            Subspaces(angle=60, resultant=0.5),
            initial_gap=4,
            init="near",
            circles=planes,
        ),
        _animation(
            "Two planes, no cone",
            "The same planes without a condition on the means: they vanish, and the gap has no meaning.",
            Subspaces(angle=60),
            initial_gap=30,
            init="near",
            circles=planes,
        ),
        _animation(
            "Constant parts",
            "Four dimensions; the coordinate that is equal for all rows is not drawn. Each modality has its own "
            "constant part, so it lies on its own parallel circle. The loss does not depend on the distance of the "
            "circles.",
            ConstantParts(angle=60, radius=0.7),
            circles=[_parallel(0.7, height), _parallel(0.7, -height)],
            axes=(0, 1, 3),
        ),
    ]


def _animation(
    title: str,
    caption: str,
    constraint: Constraint,
    *,
    initial_gap: float | None = None,
    init: str = "random",
    circles: Sequence[list[list[int]]] = (),
    axes: tuple[int, ...] = (0, 1, 2),
) -> dict[str, Any]:
    """Run the optimiser and return the frames. `axes` are the three coordinates that are drawn."""
    steps: list[tuple[float, np.ndarray, np.ndarray]] = []
    final = optimise(
        constraint,
        n=_PAIRS,
        dim=max(axes) + 1,
        temperature=0.2,
        init=init,
        initial_gap=initial_gap,
        callback=lambda step, loss, x, y: steps.append((loss, np.array(x), np.array(y))),
        rng=1,
    )
    frames = []
    for index in _evenly_spaced(steps):
        loss, x, y = steps[index]
        state = measure_state(x, y)
        frames.append(
            {
                "step": index,
                "loss": round(loss, 4),
                "gap": None if math.isnan(state.gap) else round(state.gap, 1),
                "cosine": round(state.cosine, 3),
                "means": [round(state.resultant_x, 3), round(state.resultant_y, 3)],
                "x": _as_integers(x[:, axes]),
                "y": _as_integers(y[:, axes]),
            }
        )
    return {
        "title": title,
        "caption": caption,
        "end": final.classify_optimum(),
        "circles": list(circles),
        "frames": frames,
    }


def _evenly_spaced(steps: list[tuple[float, np.ndarray, np.ndarray]]) -> list[int]:
    """Return steps at about equal distances along the path, the first and the last included."""
    lengths = [float(np.sqrt(np.mean((b[1] - a[1]) ** 2) + np.mean((b[2] - a[2]) ** 2))) for a, b in pairwise(steps)]
    path = np.concatenate([[0.0], np.cumsum(lengths)])
    marks = np.linspace(0.0, path[-1], _FRAMES)
    return sorted({int(index) for index in np.searchsorted(path, marks - 1e-12)} | {0, len(steps) - 1})


def _as_integers(rows: np.ndarray) -> list[int]:
    return [int(value) for value in np.rint(_SCALE * rows).ravel()]


def _circle(tilt: float) -> list[list[int]]:
    """Return points of the great circle that is tilted by `tilt` about the first axis."""
    angles = np.linspace(0.0, 2.0 * math.pi, 73)
    axis = np.array([0.0, math.cos(tilt), math.sin(tilt)])
    points = np.cos(angles)[:, None] * np.array([1.0, 0.0, 0.0]) + np.sin(angles)[:, None] * axis
    return np.rint(_SCALE * points).astype(int).tolist()


def _parallel(radius: float, height: float) -> list[list[int]]:
    """Return points of the circle of this radius at this height."""
    angles = np.linspace(0.0, 2.0 * math.pi, 73)
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full_like(angles, height)], axis=1)
    return np.rint(_SCALE * points).astype(int).tolist()
