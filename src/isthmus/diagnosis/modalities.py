"""More than two modalities: every pair of them measured and explained, and matrices of one number over all pairs."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.data.sources import modality_name, open_source
from isthmus.diagnosis.explanation import Explanation, explain
from isthmus.metrics import measure
from isthmus.statistics.result import NAN, Estimate, Result
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.version import __version__

T = TypeVar("T", Result, Explanation)


@dataclass(frozen=True)
class PairwiseResults(Mapping[tuple[str, str], T], Generic[T]):
    """What was found for each pair of modalities, in either order of its names, and `matrix` over all of them."""

    names: tuple[str, ...]
    results: Mapping[tuple[str, str], T]

    def __getitem__(self, pair: tuple[str, str]) -> T:
        x, y = pair
        if (x, y) not in self.results and (y, x) in self.results:
            return self.results[y, x]
        if (x, y) not in self.results:
            raise KeyError(f"no pair {x!r}, {y!r}; the modalities are {', '.join(self.names)}")
        return self.results[x, y]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def matrix(self, name: str) -> np.ndarray:
        """The number `name` for all pairs of modalities: (m, m) in the order of `names`, NaN where it is undefined.

        `name` is a measure of two sides (`centroid_angle`), one of a query and a corpus without its beginning ('R@1',
        'hubness': row i is the query), or for explanations a part of the budget (`centre`), `total` or `reached`. The
        diagonal is NaN. Errors: `InputError` for an unknown name.
        """
        matrix = np.full((len(self.names), len(self.names)), NAN)
        for (x, y), one in self.results.items():
            i, j = self.names.index(x), self.names.index(y)
            matrix[i, j], matrix[j, i] = (_number(one, name, *ends).value for ends in ((x, y), (y, x)))
        return matrix

    def per_modality(self, name: str) -> dict[str, Estimate]:
        """The number `name` of every modality by itself, such as 'effective_rank'; {} when there is none of this name.

        A modality is seen beside several others; the numbers come from the first pair that it is in.
        """
        found: dict[str, Estimate] = {}
        for pair, one in self.results.items():
            numbers = _numbers(one)
            for side in pair:
                if f"{name}_{side}" in numbers:
                    found.setdefault(side, numbers[f"{name}_{side}"])
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what was found by 'x,y'."""
        return {
            "format": FORMAT_VERSION,
            "version": __version__,
            "modalities": list(self.names),
            "pairs": {",".join(pair): one.to_dict() for pair, one in self.results.items()},
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

    @classmethod
    def open(cls, *paths: str | os.PathLike[str], names: Sequence[str] | None = None) -> Modalities:
        """The modalities in these files or folders, memory-mapped; `names` as in `isthmus.open_pairs`."""
        called = [modality_name(path) for path in paths] if names is None else list(names)
        if len(called) != len(paths) or len(set(called)) < len(called) or not all(called):
            raise InputError(
                f"got the names {', '.join(map(repr, called))} for {len(paths)} paths, expected as many different "
                "ones; name them with --names image,text,audio (names=('image', 'text', 'audio') in Python)"
            )
        return cls(**dict(zip(called, map(open_source, paths), strict=True)))

    def measure(self, **options: Any) -> PairwiseResults[Result]:
        """`isthmus.measure` for every pair of modalities; the same options."""
        return self._each(measure, options)

    def explain(self, **options: Any) -> PairwiseResults[Explanation]:
        """`isthmus.explain` for every pair of modalities; the same options."""
        return self._each(explain, options)

    def _each(self, function: Callable[..., T], options: dict[str, Any]) -> PairwiseResults[T]:
        return PairwiseResults(self.names, {names: function(pairs, **options) for names, pairs in self.pairs.items()})

    def __repr__(self) -> str:
        return f"Modalities({', '.join(self.names)})"


def _numbers(one: Result | Explanation) -> dict[str, Estimate]:
    if isinstance(one, Explanation):
        return {
            **one.result.metrics,
            **one.budget.components,
            "total": one.budget.total,
            "reached": one.budget.captured_fraction,
        }
    return dict(one.metrics)


def _number(one: Result | Explanation, name: str, query: str, corpus: str) -> Estimate:
    known = _numbers(one)
    for full in (name, f"{query}_to_{corpus}_{name}"):
        if full in known:
            return known[full]
    raise unknown_name("number", name, known)
