"""The moving picture: two clouds on the sphere on their way to the optimum under each constraint."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from isthmus.theory import Cone, ConstantParts, Subspaces, Unconstrained, measure_state, optimise

_PAIRS = 48
_FRAMES = 40
#: coordinates are stored as whole numbers of this fraction
_SCALE = 1000


def scenes() -> list[dict[str, Any]]:
    """Plain values for the page: per scene a title, a caption, circles to draw and frames of positions."""
    tilt = math.radians(60) / 2.0
    planes = [_circle(tilt), _circle(-tilt)]
    height = math.sqrt(1.0 - 0.7**2) * math.sin(tilt)
    return [
        _scene(
            "No constraint",
            "Free pairs spread evenly and partners meet. Both means vanish: there is no gap, and no angle to report.",
            lambda see: optimise(
                Unconstrained(), n=_PAIRS, dim=3, temperature=0.2, initial_gap=120, callback=see, rng=1
            ),
        ),
        _scene(
            "Cone",
            "The mean of each side has length 0.5. The clouds turn towards each other: a cone alone makes no gap.",
            lambda see: optimise(
                Cone(resultant=0.5), n=_PAIRS, dim=3, temperature=0.2, initial_gap=70, callback=see, rng=1
            ),
        ),
        _scene(
            "Cone, started opposite",
            "The same, started at 180°. The clouds stay opposite: a cone can keep a gap that was there before.",
            lambda see: optimise(
                Cone(resultant=0.5), n=_PAIRS, dim=3, temperature=0.2, initial_gap=180, callback=see, rng=1
            ),
        ),
        _scene(
            "Two planes and a cone",
            "Each cloud lives on its own great circle, means of length 0.5, started without a gap. The centres leave "
            "the shared axis and the gap becomes the angle between the planes.",
            lambda see: optimise(
                Subspaces(angle=60, resultant=0.5),
                n=_PAIRS,
                dim=3,
                temperature=0.2,
                initial_gap=4,
                init="near",
                callback=see,
                rng=1,
            ),
            planes,
        ),
        _scene(
            "Two planes, no cone",
            "The same planes without a condition on the means: they vanish, and the gap has no meaning.",
            lambda see: optimise(
                Subspaces(angle=60), n=_PAIRS, dim=3, temperature=0.2, initial_gap=30, init="near", callback=see, rng=1
            ),
            planes,
        ),
        _scene(
            "Constant parts",
            "Four dimensions, of which the one that is the same for all is left out. Each side has its own constant "
            "part, so it lives on its own parallel circle; the loss cannot see how far apart they are.",
            lambda see: optimise(
                ConstantParts(angle=60, radius=0.7), n=_PAIRS, dim=4, temperature=0.2, callback=see, rng=1
            ),
            [_ring(0.7, height), _ring(0.7, -height)],
            keep=(0, 1, 3),
        ),
    ]


def _scene(
    title: str,
    caption: str,
    run: Callable[[Callable[..., None]], Any],
    circles: list[list[list[int]]] | None = None,
    keep: tuple[int, ...] = (0, 1, 2),
) -> dict[str, Any]:
    seen: list[tuple[float, np.ndarray, np.ndarray]] = []
    final = run(lambda step, loss, x, y: seen.append((loss, np.array(x), np.array(y))))
    frames = []
    for index in _even(seen):
        loss, x, y = seen[index]
        state = measure_state(x, y)
        frames.append(
            {
                "step": index,
                "loss": round(loss, 4),
                "gap": None if math.isnan(state.gap) else round(state.gap, 1),
                "cosine": round(state.cosine, 3),
                "means": [round(state.resultant_x, 3), round(state.resultant_y, 3)],
                "x": _whole(x[:, keep]),
                "y": _whole(y[:, keep]),
            }
        )
    return {
        "title": title,
        "caption": caption,
        "end": final.classify_optimum(),
        "circles": circles or [],
        "frames": frames,
    }


def _even(seen: list[tuple[float, np.ndarray, np.ndarray]]) -> list[int]:
    """Frames at about equal distances along the path, the first and the last included."""
    moved = [float(np.sqrt(np.mean((b[1] - a[1]) ** 2) + np.mean((b[2] - a[2]) ** 2))) for a, b in pairwise(seen)]
    path = np.concatenate([[0.0], np.cumsum(moved)])
    marks = np.linspace(0.0, path[-1], _FRAMES)
    return sorted({int(index) for index in np.searchsorted(path, marks - 1e-12)} | {0, len(seen) - 1})


def _whole(rows: np.ndarray) -> list[int]:
    return [int(value) for value in np.rint(_SCALE * rows).ravel()]


def _circle(tilt: float) -> list[list[int]]:
    turn = np.linspace(0.0, 2.0 * math.pi, 73)
    axis = np.array([0.0, math.cos(tilt), math.sin(tilt)])
    points = np.cos(turn)[:, None] * np.array([1.0, 0.0, 0.0]) + np.sin(turn)[:, None] * axis
    return np.rint(_SCALE * points).astype(int).tolist()


def _ring(radius: float, height: float) -> list[list[int]]:
    turn = np.linspace(0.0, 2.0 * math.pi, 73)
    points = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.full_like(turn, height)], axis=1)
    return np.rint(_SCALE * points).astype(int).tolist()
