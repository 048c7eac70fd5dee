"""Starting points of the optimisation: random unit rows with prescribed means."""

from __future__ import annotations

import math

import numpy as np

from isthmus.theory.frames import Frame
from isthmus.theory.manifolds import RowManifold
from isthmus.utils.errors import InputError

#: Standard deviation of the noise between near pairs, per coordinate of a standard normal cloud.
_JITTER = 0.2


def random_rows(n: int, widths: list[int], init: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Return random unit rows (n, k) of both modalities. With `init` "near" the y rows are noisy copies of x."""
    first = rng.normal(size=(n, max(widths)))
    second = rng.normal(size=first.shape)
    if init == "near":
        second = first + _JITTER * second
    rows = [values[:, :k] for values, k in zip((first, second), widths, strict=True)]
    return [values / np.linalg.norm(values, axis=1, keepdims=True) for values in rows]


def with_mean(rows: np.ndarray, direction: np.ndarray | None, resultant: float | None) -> np.ndarray:
    """Return unit rows moved so that their mean points along `direction` (None: the rows as they are)."""
    if direction is None:
        return rows
    return RowManifold(resultant=0.5 if resultant is None else resultant, centre=direction).retract(rows)


def starting_centres(
    frame: Frame | None, dim: int, gap: float | None, rng: np.random.Generator
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return unit coordinates of two centres that are `gap` degrees from each other (None: no prescribed centres)."""
    if gap is None:
        return None, None
    if frame is None:
        half = math.radians(gap) / 2.0
        plane = np.linalg.qr(rng.normal(size=(dim, 2)))[0]
        return (
            plane[:, 0] * math.cos(half) + plane[:, 1] * math.sin(half),
            plane[:, 0] * math.cos(half) - plane[:, 1] * math.sin(half),
        )
    smallest, largest = math.cos(math.radians(frame.degrees[0])), math.cos(math.radians(frame.degrees[-1]))
    cosine = math.cos(math.radians(gap))
    sign = 1.0 if cosine >= largest else -1.0
    # Both centres lean by the same amount from the principal pair of the smallest angle towards that of the largest.
    spread = sign * smallest - largest
    share = 0.0 if abs(spread) < 1e-12 else (cosine - largest) / spread
    if not -1e-9 <= share <= 1.0 + 1e-9:
        raise InputError(
            f"initial_gap={gap:g}, but these subspaces allow {frame.degrees[0]:g} to {180 - frame.degrees[0]:g} degrees"
        )
    share = min(1.0, max(0.0, share))
    last = len(frame.degrees) - 1
    along_first, along_last = math.sqrt(share), math.sqrt(1.0 - share)
    centres = []
    for basis, first_sign in ((frame.x, 1.0), (frame.y, sign)):
        k = basis.shape[1]
        centres.append(first_sign * along_first * axis_vector(k, 0) + along_last * axis_vector(k, last))
    return centres[0], centres[1]


def rotation_to(source: np.ndarray, target: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Return a rotation (dim, dim) that takes `source` to a random direction at `degrees` from `target`."""
    aside = rng.normal(size=len(target))
    aside -= (aside @ target) * target
    aside /= np.linalg.norm(aside)
    angle = math.radians(degrees)
    goal = math.cos(angle) * target + math.sin(angle) * aside
    turn = np.eye(len(target))
    # Two reflections, from `source` to `aside` and on to the goal, which are all unit vectors.
    for difference in (source - aside, aside - goal):
        length = float(np.linalg.norm(difference))
        if length > 1e-12:
            u = difference / length
            turn = turn - 2.0 * np.outer(u, u @ turn)
    return turn


def axis_vector(k: int, index: int) -> np.ndarray:
    """Return the unit vector (k,) of one axis."""
    out = np.zeros(k)
    out[index] = 1.0
    return out
