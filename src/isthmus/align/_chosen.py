"""Base of aligners that choose another one: it does everything that the chosen aligner does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._drift import Drift
from isthmus.align._hits import Hits
from isthmus.align._maps import Map
from isthmus.align._relevance import Relevance
from isthmus.align._score_correction import ScoreCorrection
from isthmus.align._state import FittedState
from isthmus.align._statistics import Statistics
from isthmus.align.registration import aligner_of_json
from isthmus.compute.arrays import Array
from isthmus.utils.errors import InputError


@dataclass(frozen=True)
class Choice:
    """The aligner that was chosen, and why."""

    aligner: Aligner
    table: list[dict[str, Any]]
    reasons: list[str]
    independent: dict[str, float]
    score: str = ""  #: name of the score that decided, '' without a choice


@dataclass(kw_only=True, eq=False)
class ChosenAligner(Aligner):
    """Aligner that chooses another one. Its state is that of the chosen aligner."""

    _choice = cast("Choice | None", None)  # of the last fit, until its maps are solved
    _arrays = cast("dict[str, np.ndarray]", {})  # arrays of the chosen aligner
    _winner = cast("Aligner | None", None)  # the chosen aligner, built on first use

    @property
    def chosen_(self) -> Aligner:
        """Return the chosen aligner, fitted."""
        info = self.fit_info_
        if self._winner is None:
            winner = aligner_of_json({"class": info["chosen"], "options": info["chosen_options"]})
            uses_pairs = info.get("chosen_uses_pairs", winner.uses_pairs)
            winner.fitted_state = replace(
                self.fitted_state, uses_pairs=uses_pairs, fit_info=info.get("chosen_fit_info", {})
            )
            self._winner = winner
        return self._winner

    def _mark_correction(self, corrects_scores: bool) -> None:
        """Declare of this instance whether it corrects scores, which the chosen aligner decides."""
        vars(self).pop("corrects_scores", None)
        if corrects_scores:
            vars(self)["corrects_scores"] = True

    def _further_arrays(self) -> dict[str, np.ndarray]:
        return dict(self._arrays)

    def _restore_arrays(self, further: dict[str, np.ndarray]) -> None:
        self._arrays, self._winner = dict(further), None
        info = {} if self._fit is None else self._fit.info
        self._mark_correction("levels" in info.get("chosen_fit_info", {}))

    def _discard_maps(self) -> None:
        self._winner = None
        super()._discard_maps()

    @property
    def uses_pairs(self) -> bool:
        """Return whether the chosen aligner depends on the pairing, or True before the choice."""
        if self._fit is None:
            return True
        if self._fit.maps is None or self._fit.is_solving:
            assert self._choice is not None
            return self._choice.aligner.uses_pairs
        uses_pairs: bool = self._fit.info["chosen_uses_pairs"]
        return uses_pairs

    def adapt_maps(self, statistics: Statistics) -> tuple[Map, Map]:
        """Adapt the maps of the chosen aligner."""
        return self.chosen_.adapt_maps(statistics)

    def drift(self, X_new: Any = None, Y_new: Any = None, /, **modalities: Any) -> Drift:
        """Compare unpaired rows of a new corpus with the rows of the fit, by the chosen aligner. See `Aligner.drift`.

        Parameters
        ----------
        X_new : array of shape (n, d), optional
            New rows of the first modality.
        Y_new : array of shape (m, d), optional
            New rows of the second modality.
        **modalities : array of shape (n, d)
            New rows by the name of their modality.

        Returns
        -------
        Drift
            Shift of the means and change of the covariances, with sentences.
        """
        return self.chosen_.drift(X_new, Y_new, **modalities)

    def adapt(self, X_new: Any = None, Y_new: Any = None, /, **modalities: Any) -> Self:
        """Return a copy whose chosen aligner is refitted to unpaired rows of a new corpus.

        Parameters
        ----------
        X_new : array of shape (n, d), optional
            New rows of the first modality.
        Y_new : array of shape (m, d), optional
            New rows of the second modality.
        **modalities : array of shape (n, d)
            New rows by the name of their modality.

        Returns
        -------
        Auto
            The adapted copy. This aligner stays as it is.

        Raises
        ------
        InputError
            If no rows are given, shapes are wrong, or the solution depends on pairs and holds no means.
        """
        state: FittedState = self.chosen_.adapt(X_new, Y_new, **modalities).fitted_state
        adapted = copy.copy(self)
        info = self.fit_info_ | {"chosen_fit_info": state.fit_info, "chosen_uses_pairs": state.uses_pairs}
        adapted.fitted_state = replace(state, fit_info=info)
        return adapted

    def relevance(self, pairs: Any = None, y: Any = None, /, **options: Any) -> Relevance:
        """Calibrate the probability that the first hit of a query is right. See `ScoreCorrection.relevance`.

        Parameters
        ----------
        pairs : Pairs or array of shape (n, d), optional
            Pairs of two of the modalities. Default: what was calibrated before is returned.
        y : array of shape (n, d), optional
            Rows of the second modality.
        **options : Any
            Options of `ScoreCorrection.relevance`.

        Returns
        -------
        Relevance
            Probabilities, thresholds and reliability.

        Raises
        ------
        InputError
            If a row map was chosen, or if the data do not allow it.
        """
        chosen = self.chosen_
        if not isinstance(chosen, ScoreCorrection):
            raise InputError(
                f"{type(self).__name__} chose {type(chosen).__name__}, which has no relevance of hits; use "
                "ScoreCalibration"
            )
        relevance = chosen.relevance(pairs, y, **options)
        self.fit_info_["chosen_fit_info"] = chosen.fit_info_
        return relevance

    def transform(self, X: Any, Y: Array = None, /) -> Any:
        """Map rows, or raise `InputError` if a score correction was chosen. See `Aligner.transform`.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or both modalities.
        Y : array of shape (m, d), optional
            Rows of the second modality.

        Returns
        -------
        array or tuple of array
            Mapped rows.

        Raises
        ------
        InputError
            If a score correction was chosen, or rows are invalid.
        """
        return self.chosen_.transform(X, Y) if self.corrects_scores else super().transform(X, Y)

    def transform_x(self, X: Array, /) -> Array:
        """Map rows of the first modality, or raise `InputError` if a score correction was chosen.

        Parameters
        ----------
        X : array of shape (n, d) or (d,)
            Rows, or one row.

        Returns
        -------
        array of shape (n, k) or (k,)
            Mapped rows.

        Raises
        ------
        InputError
            If a score correction was chosen, or rows are invalid.
        """
        return self.chosen_.transform_x(X) if self.corrects_scores else super().transform_x(X)

    def transform_y(self, Y: Array, /) -> Array:
        """Map rows of the second modality, or raise `InputError` if a score correction was chosen.

        Parameters
        ----------
        Y : array of shape (n, d) or (d,)
            Rows, or one row.

        Returns
        -------
        array of shape (n, k) or (k,)
            Mapped rows.

        Raises
        ------
        InputError
            If a score correction was chosen, or rows are invalid.
        """
        return self.chosen_.transform_y(Y) if self.corrects_scores else super().transform_y(Y)

    def to_torch(self) -> Any:
        """Return the maps as a module, or raise `InputError` if a score correction was chosen.

        Returns
        -------
        torch.nn.Module
            The module, see `Aligner.to_torch`.

        Raises
        ------
        InputError
            If a score correction was chosen.
        """
        return self.chosen_.to_torch() if self.corrects_scores else super().to_torch()

    def stored(self, rows: Array, /, *, modality: str, queries: str | None = None, index: str | None = None) -> Any:
        """Return rows in the form that an index stores, by the chosen aligner. See `ScoreCorrection.stored`.

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
            Rows for the index.
        """
        if not self.corrects_scores:
            return super().stored(rows, modality=modality, queries=queries, index=index)
        return self.chosen_.stored(rows, modality=modality, queries=queries, index=index)

    def query(self, rows: Array, /, *, modality: str, index: str | None = None) -> Any:
        """Return rows in the form in which an index is asked, by the chosen aligner. See `ScoreCorrection.query`.

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
            Queries for the index.
        """
        if not self.corrects_scores:
            return super().query(rows, modality=modality, index=index)
        return self.chosen_.query(rows, modality=modality, index=index)

    def scores(self, queries: Array, rows: Array, /, *, query: str, stored: str) -> Any:
        """Return the scores of queries and stored rows by the chosen aligner.

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
            Scores.
        """
        if not self.corrects_scores:
            return super().scores(queries, rows, query=query, stored=stored)
        return self.chosen_.scores(queries, rows, query=query, stored=stored)

    def merge(self, lists: Mapping[str, tuple[Any, Any]], queries: Array, /, *, modality: str, k: int = 10) -> Hits:
        """Merge the hits of one list for each stored modality, by the chosen aligner. See `ScoreCorrection.merge`.

        Parameters
        ----------
        lists : mapping of modality to (values, rows)
            What the search of each list returned.
        queries : array of shape (m, d)
            The queries as they came, before `query`.
        modality : str
            Modality of the queries.
        k : int, default 10
            Number of hits of each query.

        Returns
        -------
        Hits
            The k best rows of each query.
        """
        if not self.corrects_scores:
            return super().merge(lists, queries, modality=modality, k=k)
        return self.chosen_.merge(lists, queries, modality=modality, k=k)
