"""Riemannian L-BFGS: steepest descent on a manifold with a memory of its curvature.

The limited-memory two-loop recursion of Nocedal (1980) in the coordinates of the surrounding space; the
direction is projected to the tangent space, the step is retracted, old pairs are carried along as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isthmus.compute.arrays import Array, namespace
from isthmus.theory.constraints import Manifold, Point

#: value and gradient in coordinates
Objective = Callable[[Point], tuple[float, Point]]

_MEMORY = 20
_ARMIJO = 1e-4
_HALVINGS = 30


@dataclass(frozen=True, eq=False)
class Iterate:
    """One accepted step: where, how much, how steep (`slope`: norm of the Riemannian gradient)."""

    step: int
    point: Point
    value: float
    slope: float
    stuck: bool = False


def descend(objective: Objective, manifold: Manifold, start: Point, /, *, reach: float) -> Iterator[Iterate]:
    """Iterates of Riemannian L-BFGS from `start`, for as long as the caller wants them.

    `reach` bounds the length of one step (Euclidean norm over all coordinates). The last iterate has
    `stuck=True` when no step along the negative gradient lowers the value in floating point.
    """
    # Points are tuples of matrices; directions, gradients and memory are single vectors, which is faster.
    flat = _Flat(start)
    point = manifold.retract(start)

    def evaluate(point: Point) -> tuple[float, Array]:
        value, gradient = objective(point)
        return value, flat.vector(manifold.tangent(point, gradient))

    def project(point: Point, vector: Array) -> Array:
        return flat.vector(manifold.tangent(point, flat.point(vector)))

    value, gradient = evaluate(point)
    memory: list[tuple[Array, Array, float]] = []
    step = 0
    yield Iterate(step=step, point=point, value=value, slope=_norm(gradient))
    while True:
        direction = project(point, _two_loop(gradient, memory))
        slope, norm = float(gradient @ direction), _norm(direction)
        if slope >= -1e-12 * norm * _norm(gradient):
            memory.clear()
            direction, norm = -gradient, _norm(gradient)
            slope = -(norm**2)
        if norm == 0.0:
            yield Iterate(step=step, point=point, value=value, slope=0.0, stuck=True)
            return
        length = min(1.0, reach / norm) if memory else 0.1 * reach / norm
        here = flat.vector(point)
        found = None
        for _ in range(_HALVINGS):
            moved = manifold.retract(flat.point(here + length * direction))
            trial, trial_gradient = evaluate(moved)
            if trial <= value + _ARMIJO * length * slope:
                found = (moved, trial, trial_gradient)
                break
            # The minimum of the parabola through what is known, kept inside [0.1, 0.5].
            bend = trial - value - length * slope
            length *= min(0.5, max(0.1, -0.5 * length * slope / bend)) if bend > 0.0 else 0.5
        if found is None:
            if memory:
                memory.clear()
                continue
            yield Iterate(step=step, point=point, value=value, slope=_norm(gradient), stuck=True)
            return
        moved, trial, trial_gradient = found
        s = project(moved, flat.vector(moved) - here)
        y = trial_gradient - project(moved, gradient)
        curvature = float(s @ y)
        if curvature > 1e-10 * _norm(s) * _norm(y):
            memory.append((s, y, curvature))
            del memory[:-_MEMORY]
        point, value, gradient = moved, trial, trial_gradient
        step += 1
        yield Iterate(step=step, point=point, value=value, slope=_norm(gradient))


class _Flat:
    """Between tuples of matrices and one vector."""

    def __init__(self, point: Point) -> None:
        self.xp = namespace(*point)
        self.shapes = [tuple(part.shape) for part in point]
        self.sizes = [math.prod(shape) for shape in self.shapes]

    def vector(self, point: Point) -> Array:
        parts = [self.xp.reshape(part, (-1,)) for part in point]
        return parts[0] if len(parts) == 1 else self.xp.concat(parts)

    def point(self, vector: Array) -> Point:
        out, first = [], 0
        for shape, size in zip(self.shapes, self.sizes, strict=True):
            out.append(self.xp.reshape(vector[first : first + size], shape))
            first += size
        return tuple(out)


def _two_loop(gradient: Array, memory: list[tuple[Array, Array, float]]) -> Array:
    q = gradient
    weights = []
    for s, y, curvature in reversed(memory):
        weight = float(s @ q) / curvature
        weights.append(weight)
        q = q - weight * y
    if memory:
        _, y, curvature = memory[-1]
        q = q * (curvature / float(y @ y))
    for (s, y, curvature), weight in zip(memory, reversed(weights), strict=True):
        q = q + (weight - float(y @ q) / curvature) * s
    return -q


def _norm(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))
