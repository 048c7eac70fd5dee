"""Roles of rows in a search: stored rows and queries of named modalities, their scores and the merge of lists."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.align._fitting import Fitting
from isthmus.align._further import MAP
from isthmus.align._hits import Hits
from isthmus.align._maps import Map, map_of_arrays
from isthmus.compute.arrays import Array, to_numpy
from isthmus.utils.errors import InputError, unknown_name


@dataclass(kw_only=True, eq=False)
class Roles(Fitting):
    """Roles of the rows of an aligner. For a row map, a row is stored and asked in one form, the mapped row."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the names of the modalities in the order of the fit: 'x' and 'y' for arrays without names."""
        fit = self._require_fit()
        return (*(fit.names or ("x", "y")), *(self._more or fit.info.get("modalities", ())[2:]))

    @property
    def needs(self) -> str:
        """Return what a fit with these options needs: 'pairs' or 'no pairs', and more for score corrections."""
        return "no pairs" if self._accepts_unpaired else "pairs"

    def modality_number(self, modality: str, /) -> int:
        """Return the position of a modality.

        Parameters
        ----------
        modality : str
            A name of `modalities`, or 'x' or 'y' for the first two.

        Returns
        -------
        int
            Position in `modalities`.

        Raises
        ------
        InputError
            If the modality is unknown.
        """
        names = self.modalities
        if isinstance(modality, str) and modality in names:
            return names.index(modality)
        if not isinstance(modality, str) or modality not in ("x", "y"):
            unnamed = " (fit(image=X, text=Y) gives them names)" if self._require_fit().names is None else ""
            raise InputError(f"{unknown_name('modality', str(modality), names)}{unnamed}")
        return 0 if modality == "x" else 1

    def dim(self, modality: str, /) -> int:
        """Return the dimension of the rows of a modality.

        Parameters
        ----------
        modality : str
            A name of `modalities`, or 'x' or 'y' for the first two.

        Returns
        -------
        int
            The dimension.

        Raises
        ------
        InputError
            If the modality is unknown.
        """
        return self._dim(self.modality_number(modality))

    def _dim(self, number: int) -> int:
        matrix = getattr(self._mapping(number), "matrix", None) if number > 1 else None
        return self._require_fit().dims[min(number, 1)] if matrix is None else len(matrix)

    def _check_shape(self, rows: Array, number: int) -> None:
        dim = self._dim(number)
        if rows.ndim != 2 or rows.shape[1] != dim:
            name = self.modalities[number]
            raise InputError(
                f"got rows of shape {tuple(rows.shape)} for {name}, expected (n, {dim}), the dimension that this "
                f"{type(self).__name__} was fitted to"
            )

    def map_of(self, modality: str, /) -> Map:
        """Return the map of the rows of a modality, without the divisions by norms before and after it.

        Exports to other libraries hold its matrices. Rows are corrected with `stored` and `query`.

        Parameters
        ----------
        modality : str
            A name of `modalities`, or 'x' or 'y' for the first two.

        Returns
        -------
        Affine or NormalizedAffine
            The map.

        Raises
        ------
        InputError
            If the modality is unknown.

        Examples
        --------
        >>> import isthmus, numpy as np
        >>> aligner = isthmus.align.Centering(normalize=False).fit(image=np.eye(2), text=2 * np.eye(2))
        >>> aligner.map_of("text").bias.tolist()
        [-1.0, -1.0]
        """
        return self._mapping(self.modality_number(modality))

    def _mapping(self, number: int) -> Map:
        """Return the row map of the modality with this number."""
        maps = self._solve_once()
        if number < 2:
            return maps[number]
        tables = {key.removeprefix(MAP): table for key, table in self._arrays.items() if key.startswith(MAP)}
        return map_of_arrays(tables, str(number))

    @abc.abstractmethod
    def _transform(self, rows: Array, number: int) -> Array:
        """Return the mapped rows of the modality with this number."""

    def stored(self, rows: Array, /, *, modality: str, queries: str | None = None, index: str | None = None) -> Any:
        """Return rows in the form that an index stores.

        Parameters
        ----------
        rows : array of shape (n, d) or (d,)
            Rows to store.
        modality : str
            Modality of the rows.
        queries : str, optional
            Modality of the queries. Score corrections alone use it.
        index : str, optional
            Form of the index. Score corrections alone use it.

        Returns
        -------
        array of shape (n, k) or (k,)
            Mapped rows.

        Raises
        ------
        InputError
            If a modality is unknown, or if rows are invalid.
        """
        del index
        if queries is not None:
            self.modality_number(queries)
        return self._transform(rows, self.modality_number(modality))

    def query(self, rows: Array, /, *, modality: str, index: str | None = None) -> Any:
        """Return rows in the form in which an index is asked.

        Parameters
        ----------
        rows : array of shape (n, d) or (d,)
            Queries.
        modality : str
            Modality of the queries.
        index : str, optional
            Form of the index. Score corrections alone use it.

        Returns
        -------
        array of shape (n, k) or (k,)
            Mapped rows.

        Raises
        ------
        InputError
            If the modality is unknown, or if rows are invalid.
        """
        del index
        return self._transform(rows, self.modality_number(modality))

    def scores(self, queries: Array, rows: Array, /, *, query: str, stored: str) -> Any:
        """Return the scores of queries and stored rows.

        Parameters
        ----------
        queries : array of shape (m, d)
            Queries.
        rows : array of shape (n, d)
            Stored rows.
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.

        Returns
        -------
        array of shape (m, n)
            Inner products of the mapped rows.

        Raises
        ------
        InputError
            If a modality is unknown, or if rows are invalid.
        """
        return self.query(queries, modality=query) @ self.stored(rows, modality=stored).T

    def merge(self, lists: Mapping[str, tuple[Any, Any]], queries: Array, /, *, modality: str, k: int = 10) -> Hits:
        """Merge the hits of one list for each stored modality by their scores.

        Parameters
        ----------
        lists : mapping of modality to (values, rows)
            What the search of each list returned for `query(queries, modality=modality)`: inner products and row
            numbers, two arrays of shape (m, any). Negative row numbers are missing hits, as in faiss.
        queries : array of shape (m, d)
            The queries as they came, before `query`.
        modality : str
            Modality of the queries.
        k : int, default 10
            Number of hits of each query.

        Returns
        -------
        Hits
            The k best rows of each query with their scores and modalities.

        Raises
        ------
        InputError
            If a modality is unknown, a list is no pair of scores and row numbers, or shapes do not match.
        """
        names, number = self.modalities, self.modality_number(modality)
        for name in lists if isinstance(lists, Mapping) else ():
            if name not in names:
                self.modality_number(name)
        mapped = np.atleast_2d(to_numpy(self._transform(queries, number)))
        scored: dict[str, np.ndarray] = {}

        def score(values: np.ndarray, name: str) -> np.ndarray:
            if len(values) != len(mapped):
                raise InputError(
                    f"got the hits of {len(values)} queries in the list of {name} and {len(mapped)} queries, expected "
                    "one row of hits for each query"
                )
            if name not in scored:
                scored[name] = self._list_scores(values, mapped, names[number], name)
            return scored[name]

        def best() -> dict[str, Hits]:
            return {name: Hits.merged({name: found}, score, k=2) for name, found in lists.items()}

        return self._with_relevance(Hits.merged(lists, score, k=k), best, queries, modality)

    def _with_relevance(
        self, hits: Hits, best: Callable[[], Mapping[str, Hits]], queries: Array, modality: str
    ) -> Hits:
        """Return hits with the probability that they are right, from the two best hits of each list, if calibrated."""
        del best, queries, modality
        return hits

    def _list_scores(self, values: np.ndarray, mapped: np.ndarray, query: str, stored: str) -> np.ndarray:
        """Return the scores of hits from mapped queries and the inner products that the list of one modality gave."""
        del mapped, query, stored
        return values
