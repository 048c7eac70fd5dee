"""Base class of score corrections: they change the scores of rows and not the rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np

from isthmus.align._bank import Bank
from isthmus.align._corpus_check import MIN_ROWS, warn_of_other_corpus
from isthmus.align._further import Further
from isthmus.align._hits import Hits
from isthmus.align._index_forms import INDEX_FORMS, IndexForm, assembled, shared_warning
from isthmus.align._relevance import Relevance
from isthmus.align._relevance_fitting import calibrate
from isthmus.align._score_rows import ScoreRows
from isthmus.align._state import FittedState
from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.data.columns import as_source
from isthmus.data.opening import as_pairs
from isthmus.utils.arguments import check_count, shown
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.warning import warn


@dataclass(kw_only=True, eq=False)
class ScoreCorrection(ScoreRows):
    """Base class of score corrections.

    A score correction learns how the scores of each modality are distributed and corrects them. Rows stay as they are,
    or as the row map in front leaves them. `stored` and `query` return rows for an index of inner products, `scores`
    returns corrected scores, and `merge` merges the hits of several lists. It takes two or more modalities, and fits
    each of them alone.

    Parameters
    ----------
    normalize : bool, default True
        Must be True, because scores of unit rows are corrected.
    row_map : Aligner or str, optional
        Aligner whose maps are applied to the rows first, such as 'Centering'. Default: rows stay.
    bank_size : int, default 1000
        Largest number of rows of each modality that scores are compared with.
    bank : {'sample', 'cluster'}, default 'sample'
        Whether the bank is a sample, or holds one row near each of `bank_size` cluster centres of a larger sample.
    rng : int, default 0
        Seed of the sample of the bank.
    index : {'lists', 'centered', 'exact', 'shared'}, default 'lists'
        Form of the index that `stored` and `query` serve. See the Notes.
    metric : {'inner_product', 'cosine'}, default 'inner_product'
        Score of the index. For 'cosine' a coordinate completes all stored rows to one norm, so that the order is that
        of the inner products.

    Attributes
    ----------
    modalities : tuple of str
        Names of the modalities.
    score_model : ScoreModel
        Banks, levels and weights of the fit.

    Notes
    -----
    A subclass implements `rule`, and `solve` as `return self.solve_scores(moments)`.

    - 'lists' is the default, because one copy of the rows serves queries of all modalities and every kind of index
      keeps its recall. It is one list, partition or filter for each stored modality. Search each with one query,
      and `merge` the hits.
    - 'centered' is 'lists' for HNSW and for indexes that keep codes of few bits. The mean of each further coordinate
      over the bank is subtracted. This leaves the order within a list as it is, and `merge` adds it again.
    - 'exact' is one index for each modality of queries, `stored(rows, modality=, queries=)`, and one plain search. Its
      rows have very different norms, so HNSW loses recall on it.
    - 'shared' is one index for all modalities of queries. It replaces the spreads by products of one factor for each
      modality, which costs balance between the modalities, and HNSW loses recall on it.

    Examples
    --------
    >>> import isthmus
    >>> train, test = isthmus.demo.load("plain", split="train"), isthmus.demo.load("plain", split="test")
    >>> images, texts = test.unit()
    >>> correction = isthmus.align.ScoreCalibration().fit(train)
    >>> correction.stored(images, modality="image").shape, correction.query(texts, modality="text").shape
    ((597, 66), (597, 66))
    """

    _forms = cast("Mapping[str, IndexForm]", {})  # of the last model, by index

    def level(self, *, query: str, stored: str) -> tuple[float, float]:
        """Return mean and standard deviation of the scores of two modalities.

        Parameters
        ----------
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.

        Returns
        -------
        mu : float
            Mean of the scores of random rows. Within one modality no row is scored against itself.
        sigma : float
            Standard deviation of these scores.

        Raises
        ------
        InputError
            If a modality is unknown, or if all scores are equal.
        """
        model = self.score_model
        return model.levels[self._name(query), self._name(stored)]

    def _name(self, modality: str) -> str:
        return self.modalities[self.modality_number(modality)]

    def scores(self, queries: Array, rows: Array, /, *, query: str, stored: str) -> Any:
        """Return the corrected scores of queries and stored rows.

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
            Corrected scores in the array library and dtype of the queries.

        Raises
        ------
        InputError
            If a modality is unknown, or if rows are invalid.
        """
        mapped = self._transform(queries, self.modality_number(query))
        mapped_rows = self._transform(rows, self.modality_number(stored))
        if mapped.ndim != 2 or mapped_rows.ndim != 2:
            raise InputError("scores got a single row, expected queries (m, d) and rows (n, d); give row[None]")
        scores = self.score_model.scores(
            arrays.to_numpy(mapped), arrays.to_numpy(mapped_rows), query=self._name(query), stored=self._name(stored)
        )
        return arrays.asarray_like(scores, mapped)

    def stored(self, rows: Array, /, *, modality: str, queries: str | None = None, index: str | None = None) -> Any:
        """Return rows for an index of inner products.

        Parameters
        ----------
        rows : array of shape (n, d) or (d,)
            Rows to store.
        modality : str
            Modality of the rows.
        queries : str, optional
            Modality of the queries. It selects the form 'exact', an index for queries of this modality alone.
        index : {'lists', 'centered', 'exact', 'shared'}, optional
            Form of the index. Default: 'exact' if `queries` is given, else the option `index`.

        Returns
        -------
        array of shape (n, k) or (k,)
            Rows with further coordinates: d + M for 'lists' and 'centered', d + 1 + M for 'exact' and d + 2 M for
            'shared', with M modalities. Without hubness weights fewer suffice. The metric 'cosine' adds one.

        Raises
        ------
        InputError
            If a modality or the form is unknown, rows are invalid, or 'exact' comes without `queries`.
        """
        if index is None:
            index = "exact" if queries is not None else self.index
        form = self._form(index)
        if index == "exact" and queries is None:
            raise InputError(
                "index='exact' serves queries of one modality, and queries= is missing; give it, such as "
                f"stored(rows, modality={modality!r}, queries={self.modalities[0]!r})"
            )
        if index == "shared":
            warn(shared_warning(form), IsthmusWarning, stacklevel=2)
        asking = None if queries is None else self._name(queries)
        number = self.modality_number(modality)
        mapped = self._transform(rows, number)
        self._check_corpus(rows, number)
        is_one_row = mapped.ndim == 1
        if is_one_row:
            mapped = mapped[None, :]
        divisor, columns = form.stored(arrays.to_numpy(mapped), stored=self.modalities[number], query=asking)
        bound = form.norm_bound(asking) if self.metric == "cosine" else None
        table = assembled(mapped, divisor, columns, bound)
        return table[0] if is_one_row else table

    def query(self, rows: Array, /, *, modality: str, index: str | None = None) -> Any:
        """Return queries for an index of the rows of `stored`.

        Parameters
        ----------
        rows : array of shape (m, d) or (d,)
            Queries.
        modality : str
            Modality of the queries.
        index : {'lists', 'centered', 'exact', 'shared'}, optional
            Form of the index. Default: the option `index`.

        Returns
        -------
        array of shape (m, k) or (k,)
            Queries of the width of the stored rows.

        Raises
        ------
        InputError
            If the modality or the form is unknown, or if rows are invalid.
        """
        form = self._form(self.index if index is None else index)
        number = self.modality_number(modality)
        mapped = self._transform(rows, number)
        self._check_corpus(rows, number)
        is_one_row = mapped.ndim == 1
        if is_one_row:
            mapped = mapped[None, :]
        divisor, columns = form.query(arrays.to_numpy(mapped), query=self.modalities[number])
        if self.metric == "cosine":
            columns = np.concatenate([columns, np.zeros((len(columns), 1), columns.dtype)], axis=1)
        table = assembled(mapped, divisor, columns, None)
        return table[0] if is_one_row else table

    def score_terms(
        self, x: Array, y: Array, /
    ) -> tuple[tuple[np.ndarray, np.ndarray], dict[tuple[str, str], tuple[float, np.ndarray, np.ndarray]]]:
        """Return the terms that make corrected scores of the inner products of two modalities, each computed once.

        Parameters
        ----------
        x, y : array of shape (n, d) and (m, d)
            Rows of the first and of the second modality, as queries and as stored rows.

        Returns
        -------
        rows : tuple of ndarray
            Rows of both modalities after the row map, whose inner products are meant.
        terms : dict of tuple of str to tuple
            For each asking and stored modality, 'x' or 'y': scale, a term for each stored row and one for each query.
            A corrected score is the product / scale + both terms.

        Raises
        ------
        InputError
            If rows are invalid.
        """
        names = dict(zip("xy", self.modalities, strict=False))
        mapped = {}
        for number, (side, rows) in enumerate((("x", x), ("y", y))):
            mapped[side] = arrays.to_numpy(self._transform(rows, number))
            self._check_corpus(rows, number)
        terms = self.score_model.terms({names[side]: rows for side, rows in mapped.items()})
        return (mapped["x"], mapped["y"]), {(a, b): terms[names[a], names[b]] for a in "xy" for b in "xy"}

    def relevance(
        self,
        pairs: Any = None,
        y: Any = None,
        /,
        *,
        share_without_match: float = 0.5,
        n_stored: int | Mapping[str, int] | None = None,
        rng: int = 0,
    ) -> Relevance:
        """Calibrate the probability that the first hit of a query is right.

        All items search among a random part of them. A logistic regression is fitted for each direction. Its variables
        are the score without the level of the query, its margin to the second hit, and the level. Bank rows of the item
        of a query or of a stored row are left out, so that the pairs may be those of the fit. The result is kept in
        `fit_info_` and saved with the correction.

        Parameters
        ----------
        pairs : Pairs or array of shape (n, d), optional
            At least 40 pairs of two of the modalities, of which 4,000 are sampled. Without pairs, what was calibrated
            before is returned.
        y : array of shape (n, d), optional
            Rows of the second modality.
        share_without_match : float, default 0.5
            Share of the queries that match no stored row. State what you expect, because another share shifts the
            probabilities.
        n_stored : int or mapping of str to int, optional
            Number of rows of each modality in the corpus in use, or by name. Default: that of the calibration.
        rng : int, default 0
            Seed of the random parts.

        Returns
        -------
        Relevance
            Probabilities, thresholds, reliability, and sentences that say what these data allow.

        Raises
        ------
        InputError
            If the correction has no bank, pairs or right hits are too few, or nothing was calibrated before.
        """
        if pairs is None:
            if "relevance" not in self.fit_info_:
                raise InputError("no relevance was calibrated; give pairs, such as correction.relevance(pairs)")
            return Relevance.from_dict(self, self.fit_info_["relevance"])
        if isinstance(n_stored, Mapping):
            n_stored = {self._name(name): check_count(n, f"n_stored[{name!r}]", 2) for name, n in n_stored.items()}
        elif n_stored is not None:
            n_stored = check_count(n_stored, "n_stored", 2)
        models = calibrate(self, as_pairs(pairs, y), share_without_match=share_without_match, rng=rng)
        relevance = Relevance(self, models, n_stored)
        self.fit_info_["relevance"] = relevance.to_dict()
        return relevance

    def _with_relevance(
        self, hits: Hits, best: Callable[[], Mapping[str, Hits]], queries: Array, modality: str
    ) -> Hits:
        return self.relevance().of_hits(hits, best(), queries, modality) if "relevance" in self.fit_info_ else hits

    def _form(self, index: str) -> IndexForm:
        if not isinstance(index, str) or index not in INDEX_FORMS:
            raise InputError(f"index={shown(index)}, expected 'lists', 'centered', 'exact' or 'shared'")
        model = self.score_model
        form = self._forms.get(index)
        if form is None or form.model is not model:
            form = IndexForm(model, index)
            self._forms = {**self._forms, index: form}
        return form

    def _check_corpus(self, rows: Any, number: int) -> None:
        """Warn, once for each modality, of rows that are unlike those of the fit."""
        shape = np.shape(rows)
        if number in self._compared or len(shape) < 2 or shape[0] < MIN_ROWS:
            return
        self._compared |= {number}
        if self.fitted_state.statistics is not None:
            warn_of_other_corpus(self.modalities[number], self._fitted_cloud(number), rows)

    def _list_scores(self, values: np.ndarray, mapped: np.ndarray, query: str, stored: str) -> np.ndarray:
        form, listed = self._form(self.index), self._name(stored)
        if self.metric == "cosine":
            divisor, columns = form.query(mapped, query=query)
            asked = assembled(mapped, divisor, columns, None)
            values = values * np.linalg.norm(asked, axis=1)[:, None] * form.norm_bound(query)
        return form.scores(values, mapped, query=query, stored=listed)

    def adapt(self, X_new: Any = None, Y_new: Any = None, /, **modalities: Any) -> Self:
        """Return a copy whose levels and banks are those of unpaired rows of a new corpus.

        Parameters
        ----------
        X_new : array of shape (n, d), optional
            New rows of the first modality.
        Y_new : array of shape (m, d), optional
            New rows of the second modality.
        **modalities : array of shape (n, d)
            New rows by name. A modality that is not given keeps its rows.

        Returns
        -------
        ScoreCorrection
            The adapted copy. This aligner stays as it is.

        Raises
        ------
        InputError
            If no rows are given, shapes are wrong, or a row map cannot be adapted.
        """
        rows = self._new_rows(X_new, Y_new, modalities)
        new, state = self._new_clouds(rows), self.fitted_state
        clouds = [new.get(number) or self._fitted_cloud(number) for number in range(len(self.modalities))]
        statistics = clouds[0].statistics(clouds[1])
        counts = list(state.fit_info["rows"].values())
        for number, cloud in enumerate(clouds):
            clouds[number] = replace(cloud, n=cloud.n if number in new else counts[number])
        banks = [state.arrays[f"bank.{k}"] for k in range(len(clouds)) if f"bank.{k}" in state.arrays]
        for number, changed in rows.items() if banks else ():
            source = as_source(self.modalities[number], changed)
            banks[number] = Bank.extended(None, source, size=self._sample_size, seed=self.rng).rows
        mapper, maps = self._mapper(), (state.map_x, state.map_y)
        if mapper is not None:
            mapper.fitted_state = FittedState(*maps, state.dims, state.statistics)
            maps = mapper.adapt_maps(statistics)
        adapted = copy.copy(self)
        adapted.fitted_state = state
        further = [Further.alone(cloud, normalize=True) for cloud in clouds[2:]]
        info = adapted._solve_levels(self.modalities, clouds, banks, maps, further, {})
        adapted.fitted_state = FittedState(
            *maps, state.dims, statistics, state.names, uses_pairs=False, fit_info=info, arrays=adapted._arrays
        )
        return adapted
