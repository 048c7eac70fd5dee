"""More than two modalities: every pair of them measured and explained, and matrices of one number over all pairs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

import isthmus
from isthmus.checks import InputError, unknown
from isthmus.diagnosis import Explanation, explain
from isthmus.files import FORMAT
from isthmus.metrics import measure
from isthmus.pairs import Pairs
from isthmus.result import NAN, Estimate, Result

T = TypeVar("T", Result, Explanation)


@dataclass(frozen=True)
class ByPair(Mapping[tuple[str, str], T], Generic[T]):
    """What was found for each pair of modalities, in either order of its names, and `matrix` over all of them."""

    names: tuple[str, ...]
    found: Mapping[tuple[str, str], T]

    def __getitem__(self, pair: tuple[str, str]) -> T:
        x, y = pair
        if (x, y) not in self.found and (y, x) in self.found:
            return self.found[y, x]
        if (x, y) not in self.found:
            raise KeyError(f"no pair {x!r}, {y!r}; the modalities are {', '.join(self.names)}")
        return self.found[x, y]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def matrix(self, name: str) -> np.ndarray:
        """The number `name` for all pairs of modalities: (m, m) in the order of `names`, NaN where it is undefined.

        `name` is a measure of two sides (`centroid_angle`), or for explanations a part of the budget (`centre`),
        `total` or `reached`. The diagonal is NaN. Errors: `InputError` for an unknown name.
        """
        matrix = np.full((len(self.names), len(self.names)), NAN)
        for (x, y), one in self.found.items():
            i, j = self.names.index(x), self.names.index(y)
            matrix[i, j] = matrix[j, i] = _number(one, name).value
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what was found by 'x,y'."""
        return {
            "format": FORMAT,
            "version": isthmus.__version__,
            "modalities": list(self.names),
            "pairs": {",".join(pair): one.to_dict() for pair, one in self.found.items()},
        }

    def to_json(self) -> str:
        """Valid JSON: numbers that are absent or undefined are null."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


class Modalities:
    """Two or more named modalities whose rows of one number belong together.

    Parameters
    ----------
    **modalities : arrays (n, d) of any array library, all of one shape, or `Source`s; their order is kept.

    Errors: `InputError` for fewer than two modalities and for shapes that do not fit.

    >>> import numpy as np
    >>> X, Y, Z = np.random.default_rng(0).normal(size=(3, 50, 4)) + np.eye(4)[:3, None] * 3
    >>> measured = Modalities(image=X, text=Y, audio=Z).measure(metrics=["centroid_angle"])
    >>> list(measured), measured.matrix("centroid_angle").shape
    ([('image', 'text'), ('image', 'audio'), ('text', 'audio')], (3, 3))
    """

    def __init__(self, **modalities: Any):
        if len(modalities) < 2:
            raise InputError(f"got {len(modalities)} modalities, expected two or more, as Modalities(image=X, text=Y)")
        self.names = tuple(modalities)
        self.pairs = {
            (x, y): Pairs(**{x: modalities[x], y: modalities[y]}) for x, y in itertools.combinations(modalities, 2)
        }

    def measure(self, **options: Any) -> ByPair[Result]:
        """`isthmus.measure` for every pair of modalities; the same options."""
        return self._each(measure, options)

    def explain(self, **options: Any) -> ByPair[Explanation]:
        """`isthmus.explain` for every pair of modalities; the same options."""
        return self._each(explain, options)

    def _each(self, function: Callable[..., T], options: dict[str, Any]) -> ByPair[T]:
        return ByPair(self.names, {names: function(pairs, **options) for names, pairs in self.pairs.items()})

    def __repr__(self) -> str:
        return f"Modalities({', '.join(self.names)})"


def _number(one: Result | Explanation, name: str) -> Estimate:
    known: dict[str, Estimate] = {}
    if isinstance(one, Explanation):
        known = {**one.result.metrics, **one.budget.parts, "total": one.budget.total, "reached": one.budget.reached}
    else:
        known = dict(one.metrics)
    if name not in known:
        raise unknown("number", name, known)
    return known[name]
