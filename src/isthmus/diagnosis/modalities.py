"""Measure and explain every pair of more than two modalities."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from isthmus.data.columns import as_source
from isthmus.data.invalid_rows import commonly_usable_sources
from isthmus.data.named_rows import named_modalities
from isthmus.data.pairs import Pairs
from isthmus.data.reading_options import open_each
from isthmus.data.sources import Source, modality_name, open_source
from isthmus.data.sources._stacks import stack_members, stack_names
from isthmus.diagnosis.explanation import Explanation, explain
from isthmus.metrics import measure
from isthmus.statistics.data_warnings import warn_of_data
from isthmus.statistics.result import NAN, Estimate, Result
from isthmus.utils.arguments import list_of_names, type_of
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import counted
from isthmus.utils.progress import as_stages_of
from isthmus.utils.tabular import Tabular
from isthmus.utils.validation import OPENING_WITHOUT_BAD_ROWS
from isthmus.utils.version import __version__

T = TypeVar("T", Result, Explanation)
#: Modalities that a message lists.
MAX_LISTED = 3


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


class Modalities:
    """Two or more named modalities. Rows with the same number belong to one item.

    The methods `measure` and `explain` return a result for each pair of modalities.

    Parameters
    ----------
    *mapping : mapping, optional
        One dictionary of modalities by name, in place of `modalities` or before them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one, without vectors that are all zero.
    **modalities : array-like (n, d), path or Source
        Rows of each modality: an array, list, column or file, as in `Pairs`, and all of one shape. The order is kept.

    Raises
    ------
    InputError
        For fewer than two modalities, names that are no text or reserved, and shapes that differ.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y, Z = np.random.default_rng(0).normal(size=(3, 50, 4)) + np.eye(4)[:3, None] * 3
    >>> measured = Modalities(image=X, text=Y, audio=Z).measure(metrics=["centroid_angle"])
    >>> list(measured), measured.matrix("centroid_angle").shape
    ([('image', 'text'), ('image', 'audio'), ('text', 'audio')], (3, 3))
    """

    def __init__(self, *mapping: Mapping[str, Any], pool: str | None = None, **modalities: Any):
        modalities = named_modalities(mapping, modalities, "Modalities")
        if len(modalities) < 2:
            raise InputError(
                f"got {counted(len(modalities), 'modality')}, expected two or more, as Modalities(image=X, text=Y)"
            )
        self.names = tuple(modalities)
        self._sources = {name: as_source(name, rows, pool=pool) for name, rows in modalities.items()}
        _check_same_lengths(self._sources)
        self.pairs = _pairs_of(self._sources)

    @classmethod
    def open(cls, *paths: str | os.PathLike[str], names: Sequence[str] | None = None, **reading: Any) -> Modalities:
        """Open one file or folder per modality, or one stack of all, memory-mapped where the format allows it.

        Parameters
        ----------
        *paths : str or path
            Files or folders as in `isthmus.open_pairs`, or one file of a stack (k, n, d).
        names : sequence of str, optional
            Names of the modalities. Default: from the paths.
        **reading
            Options of `isthmus.sources.open_source`, such as `pool` or `scale`. A tuple has one value for each path.

        Returns
        -------
        Modalities
            The modalities in the order of the paths.

        Raises
        ------
        InputError
            If the names are not different, or their number is not that of the paths.
        """
        if not all(isinstance(path, (str, os.PathLike)) for path in paths):
            other = next(path for path in paths if not isinstance(path, (str, os.PathLike)))
            raise InputError(
                f"Modalities.open got {type_of(other)}, expected paths; give arrays as Modalities(image=X, text=Y)"
            )
        paths = tuple(stack_members(paths[0])) or paths if len(paths) == 1 else paths
        named = None if names is None else list_of_names(names, "names")
        modalities = named or stack_names(paths) or [modality_name(path) for path in paths]
        if len(modalities) != len(paths) or len(set(modalities)) < len(modalities) or not all(modalities):
            raise InputError(
                f"got the names {', '.join(map(repr, modalities))} for {counted(len(paths), 'path')}, expected as "
                "many different names; give them with --names image,text,audio (names=('image', 'text', 'audio') in "
                "Python)"
            )
        sources = open_each(len(paths), reading, lambda number, options: open_source(paths[number], **options))
        opened: dict[str, Any] = dict(zip(modalities, sources, strict=True))
        return cls(**opened)

    def measure(self, **options: Any) -> PairwiseResults[Result]:
        """Measure every pair of modalities.

        Parameters
        ----------
        **options
            Options of `isthmus.measure`. With `drop_bad=True` an item with an invalid row in one modality is left out
            of all pairs of modalities.

        Returns
        -------
        PairwiseResults
            One `Result` for each pair.
        """
        pairs, options = self._usable_pairs(options)
        results = self._for_each_pair(measure, pairs, options)
        for pair in pairs.values():
            warn_of_data(pair, named=len(self.names) > 2)
        return results

    def explain(self, **options: Any) -> PairwiseResults[Explanation]:
        """Explain the gap of every pair of modalities.

        Parameters
        ----------
        **options
            Options of `isthmus.explain`, with `drop_bad` as in `measure`.

        Returns
        -------
        PairwiseResults
            One `Explanation` for each pair.
        """
        return self._for_each_pair(explain, *self._usable_pairs(options))

    def _usable_pairs(self, options: dict[str, Any]) -> tuple[dict[tuple[str, str], Pairs], dict[str, Any]]:
        """Return the pairs without the items that `drop_bad` leaves out, and the other options."""
        if options.get("drop_bad") is not True:
            return self.pairs, options
        options = {**options, "drop_bad": False}
        usable, counts = commonly_usable_sources(self._sources)
        if not any(counts.values()):
            return self.pairs, options
        pairs = _pairs_of(usable)
        for (x, y), pair in pairs.items():
            n_left_out = self.pairs[x, y].n_pairs - pair.n_pairs
            pair.dropped = {x: counts[x], y: counts[y], "pairs": n_left_out}
        return pairs, options

    def _for_each_pair(
        self, function: Callable[..., T], pairs: dict[tuple[str, str], Pairs], options: dict[str, Any]
    ) -> PairwiseResults[T]:
        results = {}
        for names, pair in pairs.items():
            try:
                with as_stages_of(" and ".join(names)):
                    results[names] = function(pair, **options)
            except InputError as error:
                if OPENING_WITHOUT_BAD_ROWS not in str(error):
                    raise
                raise InputError(str(error).replace(OPENING_WITHOUT_BAD_ROWS, "drop_bad=True")) from error
        return PairwiseResults(self.names, results)

    def __repr__(self) -> str:
        return f"Modalities({', '.join(self.names)})"


def _check_same_lengths(sources: Mapping[str, Source]) -> None:
    """Raise `InputError` if more than two modalities have different numbers of rows."""
    sizes = {name: source.shape[0] for name, source in sources.items()}
    if len(sizes) > 2 and len(set(sizes.values())) > 1:
        counts = ", ".join(f"{size:,} ({name})" for name, size in list(sizes.items())[:MAX_LISTED])
        raise InputError(
            f"got modalities of different numbers of rows: {counts}; give one row for each item in every modality, or "
            "two at a time: with --index or --key (index=, key= of open_pairs), or without pairs (--unpaired, "
            "unpaired=True of measure)"
        )


def _pairs_of(sources: Mapping[str, Source]) -> dict[tuple[str, str], Pairs]:
    """Return the pairs of every two modalities."""
    return {(x, y): Pairs(**{x: sources[x], y: sources[y]}) for x, y in itertools.combinations(sources, 2)}


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
