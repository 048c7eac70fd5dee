"""How a measure declares itself, and the view of the data that it is computed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.arrays import to_numpy
from isthmus.metrics._rows import Rows
from isthmus.moments import Moments
from isthmus.pairs import Pairs
from isthmus.result import Estimate


@dataclass(frozen=True)
class Metric:
    """A measure and what it promises.

    `name` may hold {x}, {y} or {side}: the names of the modalities; {side} makes one estimate for each of the two.
    """

    name: str
    compute: Callable[[View], Estimate]
    unit: str
    range: tuple[float, float]
    better: str  # 'lower', 'higher' or 'neither'
    needs: str  # 'moments' (one pass), 'rows' (blocks of scores) or 'labels' (rows and labels)
    invariant: tuple[str, ...]  # of 'rotation' (one for both sides), 'row scale', 'swap' (of the sides)
    source: str
    known: Callable[[], tuple[Any, Any, float]]  # () -> X, Y, value
    definition: str

    def names(self, x: str, y: str) -> list[str]:
        """What the estimates are called for modalities `x` and `y`."""
        if "{side}" in self.name:
            return [self.name.format(side=side) for side in (x, y)]
        return [self.name.format(x=x, y=y)]


_REGISTRY: dict[str, Metric] = {}


def metric(
    name: str,
    *,
    unit: str,
    range: tuple[float, float],
    source: str,
    known: Callable[[], tuple[Any, Any, float]],
    better: str = "neither",
    needs: str = "moments",
    invariant: tuple[str, ...] = ("rotation", "row scale"),
) -> Callable[[Callable[[View], Estimate]], Callable[[View], Estimate]]:
    """Register a function of a `View` as the measure `name`; its docstring's first paragraph is the definition."""

    def register(function: Callable[[View], Estimate]) -> Callable[[View], Estimate]:
        definition = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        _REGISTRY[name] = Metric(name, function, unit, range, better, needs, invariant, source, known, definition)
        return function

    return register


def registry() -> Mapping[str, Metric]:
    """All measures by name, in the order in which they are shown."""
    return dict(_REGISTRY)


#: Above this many items, ranks are measured on a random sample of them: they cost n^2.
SAMPLE = 10_000


class Side:
    """The principal directions of one side, found once however many measures ask for them."""

    def __init__(self, gram: np.ndarray):
        self.gram = gram

    @cached_property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of the (uncentred) rows, descending, (d,), and right singular vectors, (d, d)."""
        values, vectors = np.linalg.eigh(self.gram)
        return np.sqrt(np.clip(values[::-1], 0.0, None)), vectors[:, ::-1]

    @property
    def spectrum(self) -> np.ndarray:
        return self.eigen[0]


class View:
    """What a measure may look at: the moments, and for measures of rows the pairs. Shared work is done once."""

    def __init__(
        self,
        moments: Moments,
        pairs: Pairs | None = None,
        *,
        normalize: bool = True,
        sides: tuple[Side, Side] | None = None,
    ):
        self.moments = moments
        self.pairs = pairs
        self.normalize = normalize
        self.x, self.y = sides or (Side(moments.xx), Side(moments.yy))
        self._origin: View | None = None

    def swapped(self) -> View:
        """The same data seen from the other side: measures of {side} are computed on x alone."""
        other = View(self.moments.swapped(), normalize=self.normalize, sides=(self.y, self.x))
        other._origin = self
        return other

    @cached_property
    def sampled(self) -> Pairs:
        """At most `SAMPLE` random items of the pairs."""
        assert self.pairs is not None
        return self.pairs.sample(SAMPLE)

    @cached_property
    def rows(self) -> Rows:
        """The sampled items as rows, one partner for each (`metrics._rows.Rows`)."""
        if self._origin is not None:
            return self._origin.rows.swapped()
        return Rows.of(self.sampled, normalize=self.normalize)

    @cached_property
    def subspaces(self) -> Any:
        """The two 99 % energy subspaces and their principal angles (`metrics.subspaces.Subspaces`)."""
        from isthmus.metrics.subspaces import Subspaces

        return Subspaces.of(self.x, self.y)

    @cached_property
    def retrieval(self) -> Any:
        """Ranks of the partners in both directions (`tasks.retrieval.Retrieval`), on a sample of large data."""
        from isthmus.tasks.retrieval import Retrieval

        x, y = (to_numpy(side) for side in self.sampled.unit(normalize=self.normalize))
        return Retrieval.of(x, y, index=self.sampled.index)


def evaluate(entry: Metric, view: View) -> dict[str, Estimate]:
    """The estimates of one measure, with the unit and definition that it declares."""
    x, y = view.pairs.names if view.pairs is not None else ("x", "y")
    views = [view, view.swapped()] if "{side}" in entry.name else [view]
    return {
        name: dataclasses.replace(
            entry.compute(v),
            unit=entry.unit,
            definition=entry.definition.replace("{x}", x).replace("{y}", y),
        )
        for name, v in zip(entry.names(x, y), views, strict=True)
    }
