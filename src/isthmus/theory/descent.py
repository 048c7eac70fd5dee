"""Riemannian L-BFGS: steepest descent on a manifold with a memory of its curvature.

The limited-memory two-loop recursion of Nocedal (1980) in the coordinates of the surrounding space; the
direction is projected to the tangent space, the step is retracted, old pairs are carried along as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isthmus.arrays import namespace
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
    point = manifold.retract(start)
    value, gradient = _riemannian(objective, manifold, point)
    memory: list[tuple[Point, Point, float]] = []
    step = 0
    yield Iterate(step=step, point=point, value=value, slope=_norm(gradient))
    while True:
        direction = manifold.tangent(point, _two_loop(gradient, memory))
        slope = _dot(gradient, direction)
        norm = _norm(direction)
        if slope >= -1e-12 * norm * _norm(gradient):
            memory.clear()
            direction, slope, norm = _scale(gradient, -1.0), -_dot(gradient, gradient), _norm(gradient)
        if norm == 0.0:
            yield Iterate(step=step, point=point, value=value, slope=0.0, stuck=True)
            return
        longest = reach / norm
        length = min(1.0, longest) if memory else min(longest, 0.1 * reach / norm)
        found = None
        for _ in range(_HALVINGS):
            moved = manifold.retract(_axpy(length, direction, point))
            trial, trial_gradient = _riemannian(objective, manifold, moved)
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
        s = manifold.tangent(moved, _axpy(-1.0, point, moved))
        y = _axpy(-1.0, manifold.tangent(moved, gradient), trial_gradient)
        curvature = _dot(s, y)
        if curvature > 1e-10 * _norm(s) * _norm(y):
            memory.append((s, y, curvature))
            del memory[:-_MEMORY]
        point, value, gradient = moved, trial, trial_gradient
        step += 1
        yield Iterate(step=step, point=point, value=value, slope=_norm(gradient))


def _riemannian(objective: Objective, manifold: Manifold, point: Point) -> tuple[float, Point]:
    value, gradient = objective(point)
    return value, manifold.tangent(point, gradient)


def _two_loop(gradient: Point, memory: list[tuple[Point, Point, float]]) -> Point:
    q = gradient
    weights = []
    for s, y, curvature in reversed(memory):
        weight = _dot(s, q) / curvature
        weights.append(weight)
        q = _axpy(-weight, y, q)
    if memory:
        _, y, curvature = memory[-1]
        q = _scale(q, curvature / _dot(y, y))
    for (s, y, curvature), weight in zip(memory, reversed(weights), strict=True):
        q = _axpy(weight - _dot(y, q) / curvature, s, q)
    return _scale(q, -1.0)


def _dot(a: Point, b: Point) -> float:
    return sum(float(namespace(u).sum(u * v)) for u, v in zip(a, b, strict=True))


def _norm(a: Point) -> float:
    return _dot(a, a) ** 0.5


def _scale(a: Point, factor: float) -> Point:
    return tuple(factor * u for u in a)


def _axpy(factor: float, a: Point, b: Point) -> Point:
    """b + factor * a."""
    return tuple(v + factor * u for u, v in zip(a, b, strict=True))
