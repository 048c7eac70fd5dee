"""Riemannian L-BFGS: steepest descent on a manifold with a memory of its curvature.

The limited-memory two-loop recursion of Nocedal (1980) runs in the coordinates of the surrounding space. The direction
is projected to the tangent space and the step is retracted. Stored pairs are not transported between tangent spaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isthmus.compute.arrays import Array, namespace
from isthmus.theory.manifolds import Manifold, Point

#: point -> value, and gradient in coordinates
Objective = Callable[[Point], tuple[float, Point]]

_MEMORY = 20
_ARMIJO = 1e-4
_MAX_HALVINGS = 30


@dataclass(frozen=True, eq=False)
class Iterate:
    """One accepted step: its number, point, value, and `slope`, the norm of the Riemannian gradient.

    `stuck` is True if no step along the negative gradient lowers the value in floating point.
    """

    step: int
    point: Point
    value: float
    slope: float
    stuck: bool = False


def descend(objective: Objective, manifold: Manifold, start: Point, /, *, reach: float) -> Iterator[Iterate]:
    """Yield iterates of Riemannian L-BFGS from `start` until the caller stops or no step lowers the value.

    `reach` bounds the length of one step (Euclidean norm over all coordinates). Only the last iterate is `stuck`.
    """
    # Points are tuples of matrices. Directions, gradients and memory are single vectors, which is faster.
    flat = _Flattener(start)
    point = manifold.retract(start)

    def evaluate(point: Point) -> tuple[float, Array]:
        value, gradient = objective(point)
        return value, flat.vector(manifold.tangent(point, gradient))

    def project(point: Point, vector: Array) -> Array:
        return flat.vector(manifold.tangent(point, flat.point(vector)))

    def line_search(length: float, direction: Array, slope: float) -> tuple[Point, float, Array] | None:
        """Return point, value and gradient of the first step that lowers the value enough (Armijo), else None."""
        for _ in range(_MAX_HALVINGS):
            candidate = manifold.retract(flat.point(coordinates + length * direction))
            candidate_value, candidate_gradient = evaluate(candidate)
            if candidate_value <= value + _ARMIJO * length * slope:
                return candidate, candidate_value, candidate_gradient
            # The minimum of the parabola through value, slope and candidate, clipped to [0.1, 0.5].
            bend = candidate_value - value - length * slope
            length *= min(0.5, max(0.1, -0.5 * length * slope / bend)) if bend > 0.0 else 0.5
        return None

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
        coordinates = flat.vector(point)
        accepted = line_search(min(1.0, reach / norm) if memory else 0.1 * reach / norm, direction, slope)
        if accepted is None:
            if memory:
                memory.clear()
                continue
            yield Iterate(step=step, point=point, value=value, slope=_norm(gradient), stuck=True)
            return
        new_point, new_value, new_gradient = accepted
        s = project(new_point, flat.vector(new_point) - coordinates)
        y = new_gradient - project(new_point, gradient)
        curvature = float(s @ y)
        if curvature > 1e-10 * _norm(s) * _norm(y):
            memory.append((s, y, curvature))
            del memory[:-_MEMORY]
        point, value, gradient = new_point, new_value, new_gradient
        step += 1
        yield Iterate(step=step, point=point, value=value, slope=_norm(gradient))


class _Flattener:
    """Conversion between tuples of matrices and one vector."""

    def __init__(self, point: Point) -> None:
        self.xp = namespace(*point)
        self.shapes = [tuple(matrix.shape) for matrix in point]
        self.sizes = [math.prod(shape) for shape in self.shapes]

    def vector(self, point: Point) -> Array:
        """Return the entries of all matrices as one vector."""
        vectors = [self.xp.reshape(matrix, (-1,)) for matrix in point]
        return vectors[0] if len(vectors) == 1 else self.xp.concat(vectors)

    def point(self, vector: Array) -> Point:
        """Return the matrices of a vector."""
        out, first = [], 0
        for shape, size in zip(self.shapes, self.sizes, strict=True):
            out.append(self.xp.reshape(vector[first : first + size], shape))
            first += size
        return tuple(out)


def _two_loop(gradient: Array, memory: list[tuple[Array, Array, float]]) -> Array:
    """Return minus the approximate inverse Hessian times the gradient."""
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
