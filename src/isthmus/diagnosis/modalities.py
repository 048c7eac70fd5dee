"""Measure and explain every pair of more than two modalities."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isthmus.data.columns import as_source
from isthmus.data.invalid_rows import commonly_usable_sources
from isthmus.data.named_rows import named_modalities
from isthmus.data.pairs import Pairs
from isthmus.data.reading_options import open_each
from isthmus.data.sources import Source, modality_name, open_source
from isthmus.data.sources._stacks import stack_members, stack_names
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.diagnosis.explanation import Explanation, explain
from isthmus.diagnosis.pairwise_results import PairwiseResults, T
from isthmus.metrics import measure
from isthmus.statistics.data_warnings import warn_of_data
from isthmus.statistics.result import Result
from isthmus.utils.arguments import check_flags, list_of_names, type_of
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted
from isthmus.utils.progress import as_stages_of
from isthmus.utils.validation import OPENING_WITHOUT_BAD_ROWS

#: Modalities that a message lists.
MAX_LISTED = 3


class Modalities:
    """Two or more named modalities. Rows with the same number belong to one item, unless they are unpaired.

    The methods `measure` and `explain` return a result for each pair of modalities.

    Parameters
    ----------
    *mapping : mapping, optional
        One dictionary of modalities by name, in place of `modalities` or before them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one, without vectors that are all zero.
    unpaired : bool, default False
        Whether the modalities are sets without pairs, whose sizes may differ. Everything about pairs is then undefined.
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

    def __init__(self, *mapping: Mapping[str, Any], pool: str | None = None, unpaired: bool = False, **modalities: Any):
        check_flags(unpaired=unpaired)
        modalities = named_modalities(mapping, modalities, "Modalities")
        if len(modalities) < 2:
            raise InputError(
                f"got {counted(len(modalities), 'modality')}, expected two or more, as Modalities(image=X, text=Y)"
            )
        self.names = tuple(modalities)
        self._sources = {name: as_source(name, rows, pool=pool) for name, rows in modalities.items()}
        #: Each two modalities, as pairs or as sets without pairs
        self.pairs: Mapping[tuple[str, str], Pairs | UnpairedSets]
        if unpaired:
            self.pairs = {pair: UnpairedSets(**sources) for pair, sources in _combinations(self._sources).items()}
        else:
            _check_same_lengths(self._sources)
            self.pairs = _pairs_of(self._sources)

    @classmethod
    def open(
        cls,
        *paths: str | os.PathLike[str],
        names: Sequence[str] | None = None,
        unpaired: bool = False,
        **reading: Any,
    ) -> Modalities:
        """Open one file or folder per modality, or one stack of all, memory-mapped where the format allows it.

        Parameters
        ----------
        *paths : str or path
            Files or folders as in `isthmus.open_pairs`, or one file of a stack (k, n, d).
        names : sequence of str, optional
            Names of the modalities. Default: from the paths.
        unpaired : bool, default False
            Whether the modalities are sets without pairs, whose sizes may differ.
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
        return cls(unpaired=unpaired, **opened)

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
            if isinstance(pair, Pairs):  # results of sets state what is degenerate
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

    def _usable_pairs(
        self, options: dict[str, Any]
    ) -> tuple[Mapping[tuple[str, str], Pairs | UnpairedSets], dict[str, Any]]:
        """Return the pairs without the items that `drop_bad` leaves out, and the other options."""
        if options.get("drop_bad") is not True or isinstance(next(iter(self.pairs.values())), UnpairedSets):
            return self.pairs, options
        options = {**options, "drop_bad": False}
        usable, counts = commonly_usable_sources(self._sources)
        if not any(counts.values()):
            return self.pairs, options
        pairs = _pairs_of(usable)
        for (x, y), pair in pairs.items():
            n_left_out = self._sources[x].shape[0] - pair.n_pairs
            pair.dropped = {x: counts[x], y: counts[y], "pairs": n_left_out}
        return pairs, options

    def _for_each_pair(
        self,
        function: Callable[..., T],
        pairs: Mapping[tuple[str, str], Pairs | UnpairedSets],
        options: dict[str, Any],
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
            "two at a time with --index or --key (index=, key= of open_pairs), or measure sets without pairs "
            "(--unpaired, unpaired=True)"
        )


def _pairs_of(sources: Mapping[str, Source]) -> dict[tuple[str, str], Pairs]:
    """Return the pairs of every two modalities."""
    return {pair: Pairs(**of_pair) for pair, of_pair in _combinations(sources).items()}


def _combinations(sources: Mapping[str, Source]) -> dict[tuple[str, str], dict[str, Source]]:
    """Return every two modalities by name."""
    return {(x, y): {x: sources[x], y: sources[y]} for x, y in itertools.combinations(sources, 2)}
