"""Results for each pair of modalities."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from isthmus.diagnosis.explanation import Explanation
from isthmus.statistics.result import NAN, Estimate, Result
from isthmus.utils.errors import unknown_name
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import counted
from isthmus.utils.tabular import Tabular
from isthmus.utils.version import __version__

T = TypeVar("T", Result, Explanation)


@dataclass(frozen=True, eq=False, repr=False)
class PairwiseResults(Tabular, Mapping[tuple[str, str], T], Generic[T]):
    """Results for each pair of modalities, with matrices of single numbers over all pairs.

    The object is a mapping from two names, in either order, to a `Result` or an `Explanation`.

    Parameters
    ----------
    names : tuple of str
        Names of the modalities.
    results : mapping of (str, str) to Result or Explanation
        One result for each pair of names.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y, Z = np.random.default_rng(0).normal(size=(3, 50, 4)) + np.eye(4)[:3, None] * 3
    >>> explained = isthmus.Modalities(image=X, text=Y, audio=Z).explain()
    >>> explained["audio", "image"].budget.largest, explained.matrix("total").shape
    ('centre', (3, 3))
    """

    kind: ClassVar[str] = "pairwise results"

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
        """Return one number for all pairs of modalities.

        Parameters
        ----------
        name : str
            A measure of two modalities ('centroid_angle'), or a measure of a query and a corpus without its prefix
            ('R@1', 'hubness'). For explanations also a component of the cosine deficit ('centre'), 'total' or
            'reached', the captured fraction.

        Returns
        -------
        array of float, (m, m)
            In the order of `names`, with NaN on the diagonal and where the number is undefined. Row i of a measure of a
            query and a corpus has modality i as the query.

        Raises
        ------
        InputError
            For an unknown name.
        """
        matrix = np.full((len(self.names), len(self.names)), NAN)
        for (x, y), estimate in self.estimates(name).items():
            matrix[self.names.index(x), self.names.index(y)] = estimate.value
        return matrix

    def estimates(self, name: str) -> dict[tuple[str, str], Estimate]:
        """Return the estimates of `matrix`, with their intervals, nulls and reasons.

        Parameters
        ----------
        name : str
            A name as in `matrix`.

        Returns
        -------
        dict of (str, str) to Estimate
            Estimates by row and column of the matrix, without its diagonal.

        Raises
        ------
        InputError
            For an unknown name.
        """
        return {
            pair: _number(result, name, *pair) for (x, y), result in self.results.items() for pair in ((x, y), (y, x))
        }

    def per_modality(self, name: str) -> dict[str, Estimate]:
        """Return one number of every single modality.

        Parameters
        ----------
        name : str
            A measure of one modality without its suffix, such as 'effective_rank'.

        Returns
        -------
        dict of str to Estimate
            Estimates by modality, each from the first pair that contains it. Empty if there is no such measure.
        """
        estimates: dict[str, Estimate] = {}
        for pair, result in self.results.items():
            numbers = _numbers(result)
            for modality in pair:
                if f"{name}_{modality}" in numbers:
                    estimates.setdefault(modality, numbers[f"{name}_{modality}"])
        return estimates

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'modalities', and 'pairs' with the result of each pair under the key 'x,y'.
        """
        return {
            "format": FORMAT_VERSION,
            "version": __version__,
            "modalities": list(self.names),
            "pairs": {",".join(pair): result.to_dict() for pair, result in self.results.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> PairwiseResults[Any]:
        """Return the results that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        PairwiseResults
            The results.
        """
        names = tuple(content["modalities"])
        of_pair = {f"{x},{y}": (x, y) for x, y in itertools.combinations(names, 2)}
        kinds: dict[str, type[Result] | type[Explanation]] = {"result": Result, "explanation": Explanation}
        results: dict[tuple[str, str], Any] = {
            of_pair[pair]: kinds[values["kind"]].from_dict(values) for pair, values in content["pairs"].items()
        }
        return cls(names, results)

    def _saved(self) -> dict[str, Any]:
        return {**super()._saved(), "pairs": {",".join(pair): result._saved() for pair, result in self.results.items()}}

    def columns(self) -> dict[str, list[Any]]:
        """Return the tables of all pairs of modalities, one below the other.

        Returns
        -------
        dict of str to list
            'x' and 'y' are the names of the modalities. Then follow the columns of each result.
        """
        tables = {pair: result.columns() for pair, result in self.results.items()}
        counts = {pair: len(next(iter(table.values()))) for pair, table in tables.items()}
        columns: dict[str, list[Any]] = {
            side: [pair[i] for pair, count in counts.items() for _ in range(count)] for i, side in enumerate("xy")
        }
        titles = next(iter(tables.values()))
        return columns | {title: [cell for table in tables.values() for cell in table[title]] for title in titles}

    def __repr__(self) -> str:
        heading = (
            f"{type(next(iter(self.results.values()))).__name__}s of {counted(len(self), 'pair')} of "
            f"{', '.join(self.names)}"
        )
        lines: list[str] = []
        for (x, y), result in self.results.items():
            gap = _numbers(result).get("centroid_angle")
            lines.append(f"  {x}-{y}" + ("" if gap is None else f": centroid_angle {gap}"))
        return "\n".join([heading, *lines])


def _numbers(result: Result | Explanation) -> dict[str, Estimate]:
    """Return all numbers of a result by name."""
    if isinstance(result, Explanation):
        budget = result.budget
        totals = {"total": budget.total, "reached": budget.captured_fraction}
        return {**result.result.metrics, **budget.components, **totals}
    return dict(result.metrics)


def _number(result: Result | Explanation, name: str, query: str, corpus: str) -> Estimate:
    """Return the number `name`, or that of this query and corpus."""
    numbers = _numbers(result)
    for candidate in (name, f"{query}_to_{corpus}_{name}"):
        if candidate in numbers:
            return numbers[candidate]
    raise unknown_name("number", name, numbers)
