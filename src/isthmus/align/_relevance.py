"""Relevance: the probability that the first hit of a query is right, from its score, its margin and the level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from isthmus.align._hit_model import HitModel, Reliability, first_of_mean
from isthmus.align._hits import Hits
from isthmus.align._relevance_sentences import cosine_sentence, threshold_sentence
from isthmus.align._score_model import Direction
from isthmus.align._score_rows import ScoreRows
from isthmus.compute.arrays import Array, to_numpy
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.warning import warn

#: Factor by which the number of stored rows may differ from the calibration without a warning.
MAX_GROWTH = 4


@dataclass(frozen=True, eq=False)
class Relevance:
    """Calibrated probability that the first hit of a query is right, returned by `ScoreCorrection.relevance`.

    Parameters
    ----------
    correction : ScoreCorrection
        Fitted correction, whose scores are judged.
    models : mapping of (query modality, stored modality) to HitModel
        Logistic regression of each pair of modalities, with the hits that it was calibrated on.
    n_stored : int or mapping of str to int, optional
        Number of rows of the corpus in use, or that of each stored modality. None stands for that of the calibration.

    Examples
    --------
    >>> import isthmus
    >>> train, test = (isthmus.demo.load("collapsed", split=split) for split in ("train", "test"))
    >>> relevance = isthmus.align.ScoreCalibration().fit(train).relevance(test)
    >>> images, texts = test.unit()
    >>> rows, probabilities = relevance.first_hits(texts, images, query="text", stored="image")
    >>> rows.shape, bool(0 <= probabilities.min() <= probabilities.max() <= 1)
    ((597,), True)
    """

    correction: ScoreRows
    models: Mapping[Direction, HitModel]
    n_stored: int | Mapping[str, int] | None = None

    def _direction(self, query: str, stored: str) -> tuple[Direction, HitModel]:
        names = self.correction.modalities
        direction = names[self.correction.modality_number(query)], names[self.correction.modality_number(stored)]
        if direction not in self.models:
            calibrated = ", ".join(f"{a} to {b}" for a, b in self.models)
            raise InputError(f"relevance of {direction[0]} to {direction[1]} was not calibrated, only {calibrated}")
        return direction, self.models[direction]

    def _corpus_size(self, stored: str) -> int | None:
        """Return the number of rows of a stored modality in the corpus in use, None for that of the calibration."""
        return self.n_stored.get(stored) if isinstance(self.n_stored, Mapping) else self.n_stored

    def probability(
        self, scores: Any, queries: Array, /, *, query: str, stored: str, n_stored: int | None = None,
        share_without_match: float | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return the probability that the first hit of each query is right.

        Parameters
        ----------
        scores : array of shape (m, k)
            Corrected scores of the two or more best hits of each query, the best one first: those of `merge` with one
            list.
        queries : array of shape (m, d)
            The queries, before `query`.
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.
        n_stored : int, optional
            Number of stored rows. Default: that of this relevance. The odds fall as the corpus grows.
        share_without_match : float, optional
            Share of queries without a match. Default: that of the calibration. Another one corrects the odds.

        Returns
        -------
        ndarray of shape (m,)
            Probabilities.

        Raises
        ------
        InputError
            If shapes, modalities or numbers are invalid.
        """
        (asking, corpus), hit_model = self._direction(query, stored)
        n_stored = self._corpus_size(corpus) if n_stored is None else n_stored
        if share_without_match is not None and not 0 <= share_without_match < 1:
            raise InputError(f"share_without_match={share_without_match}, expected at least 0 and below 1")
        if n_stored is not None and n_stored < 2:
            raise InputError(f"n_stored={n_stored}, expected 2 or more, because the margin needs a second hit")
        table = np.atleast_2d(to_numpy(scores)).astype(float)
        rows = to_numpy(self.correction.mapped(queries, modality=asking))
        if table.shape[1] < 2 or len(table) != len(rows):
            raise InputError(
                f"got scores of shape {table.shape} for {len(rows)} queries, expected (m, 2 or more): the scores of "
                "the two best hits of each query"
            )
        model = self.correction.score_model
        if model.level_weight:
            table = table + model.level_weight * model.level(rows, query=asking, stored=corpus)[:, None]
        features = model.hit_features(table, rows, query=asking, stored=corpus)
        return hit_model.probability(features, n_stored=n_stored, share_without_match=share_without_match)

    def first_hits(
        self, queries: Array, rows: Array, /, *, query: str, stored: str, share_without_match: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Search stored rows and return the first hit of each query with its probability to be right.

        Parameters
        ----------
        queries : array of shape (m, d)
            Queries.
        rows : array of shape (n, d)
            Stored rows, two or more.
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.
        share_without_match : float, optional
            Share of queries without a match. Default: that of the calibration.

        Returns
        -------
        rows : ndarray of int of shape (m,)
            Number of the first hit of each query.
        probabilities : ndarray of shape (m,)
            Probability that it is right in a corpus of n rows.

        Raises
        ------
        InputError
            If rows, modalities or the share are invalid.

        Warns
        -----
        IsthmusWarning
            If the corpus is more than four times larger or smaller than in the calibration.
        """
        (asking, corpus), hit_model = self._direction(query, stored)
        if not 1 / MAX_GROWTH <= len(rows) / hit_model.n_stored <= MAX_GROWTH:
            warn(
                f"got {len(rows):,} stored rows, and {hit_model.n_stored:,} in the calibration, so probabilities are "
                "extrapolated; calibrate with more pairs, or check them on hits that you know",
                IsthmusWarning,
                stacklevel=2,
            )
        mapped = to_numpy(self.correction.mapped(queries, modality=asking))
        mapped_rows = to_numpy(self.correction.mapped(rows, modality=corpus))
        model = self.correction.score_model
        best = model.best(mapped, mapped_rows, query=asking, stored=corpus, k=2, hubness=None)
        scores = best.scores
        if model.level_weight:
            scores = scores - model.level_weight * model.level(mapped, query=asking, stored=corpus)[:, None]
        probabilities = self.probability(
            scores, queries, query=query, stored=stored, n_stored=len(rows), share_without_match=share_without_match
        )
        return best.index[:, 0], probabilities

    def of_hits(self, hits: Hits, best: Mapping[str, Hits], queries: Array, modality: str) -> Hits:
        """Return merged hits with the probability that the best row of each list is right.

        Parameters
        ----------
        hits : Hits
            Hits of `merge`.
        best : mapping of modality to Hits
            The two best hits of each list.
        queries : array of shape (m, d)
            The queries, before `query`.
        modality : str
            Modality of the queries.

        Returns
        -------
        Hits
            Hits with `relevance`, which is NaN for lists of one row, and for pairs of modalities without calibration.
        """
        names = self.correction.modalities
        asking, table = names[self.correction.modality_number(modality)], np.atleast_2d(to_numpy(queries))
        relevance = np.full(hits.scores.shape, np.nan)
        for name, list_hits in best.items():
            stored = names[self.correction.modality_number(name)]
            if (asking, stored) not in self.models or list_hits.scores.shape[1] < 2:
                continue
            has_two = np.isfinite(list_hits.scores).all(axis=1)
            probability = np.full(len(has_two), np.nan)
            probability[has_two] = self.probability(
                list_hits.scores[has_two], table[has_two], query=asking, stored=stored
            )
            is_first = (hits.modalities == name) & (hits.rows == list_hits.rows[:, :1]) & (hits.rows >= 0)
            relevance = np.where(is_first, probability[:, None], relevance)
        return replace(hits, relevance=relevance)

    def threshold(
        self, precision: float, /, *, query: str, stored: str, probabilities: np.ndarray | None = None
    ) -> float:
        """Return the smallest probability at and above which this share of the first hits are right.

        Parameters
        ----------
        precision : float
            Wanted share of right hits among those that pass, between 0 and 1.
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.
        probabilities : ndarray of shape (m,), optional
            Probabilities of first hits in the corpus in use, whose mean above the threshold is then the precision.
            Default: those of the calibration.

        Returns
        -------
        float
            Probability. NaN if no threshold reaches the precision.

        Raises
        ------
        InputError
            If the precision or a modality is invalid.
        """
        _, hit_model = self._direction(query, stored)
        if probabilities is None:
            return hit_model.threshold(precision)
        ordered = np.sort(np.asarray(probabilities, dtype=float))
        first = first_of_mean(np.ones(len(ordered)), precision, ordered)
        return float("nan") if first is None else float(ordered[first])

    def recall(self, precision: float, /, *, query: str, stored: str, n_stored: int | None = None) -> float:
        """Return the share of queries with a match whose right hit passes the threshold of a precision.

        Parameters
        ----------
        precision : float
            Wanted precision, between 0 and 1.
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.
        n_stored : int, optional
            Number of stored rows. Default: that of this relevance. The recall is extrapolated from the calibration.

        Returns
        -------
        float
            Recall, 0 if no threshold reaches the precision.

        Raises
        ------
        InputError
            If the precision or a modality is invalid.
        """
        (_, corpus), hit_model = self._direction(query, stored)
        return hit_model.recall(precision, self._corpus_size(corpus) if n_stored is None else n_stored)

    def reliability(self, *, query: str, stored: str) -> Reliability:
        """Return predicted probabilities against observed shares of right hits.

        Parameters
        ----------
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.

        Returns
        -------
        Reliability
            Ten groups of hits. `isthmus.plot.reliability` draws them.

        Raises
        ------
        InputError
            If the pair of modalities was not calibrated.
        """
        return self._direction(query, stored)[1].full.reliability()

    def at_cosine(self, cosine: float, /, *, query: str, stored: str) -> dict[str, float]:
        """Return what the corrected score says about first hits with about this cosine before any correction.

        Parameters
        ----------
        cosine : float
            Cosine of a query and its first hit.
        query : str
            Modality of the queries.
        stored : str
            Modality of the stored rows.

        Returns
        -------
        dict of str to float
            'from' and 'to', the range of the cosines of the nearest twentieth of the hits. 'right_share' of these hits
            is right, and 'low', 'median' and 'high' are the 10, 50 and 90 % quantiles of their probabilities. They are
            NaN if no hit has such a cosine.

        Raises
        ------
        InputError
            If the cosine is outside -1 to 1, or the pair of modalities was not calibrated.
        """
        if not -1 <= cosine <= 1:
            raise InputError(f"cosine={cosine:g}, expected a number between -1 and 1")
        table = np.array(self._direction(query, stored)[1].cosines)
        row = table[np.argmin(np.abs(table[:, :2] - cosine).min(axis=1))]
        if not table[0, 0] <= cosine <= table[-1, 1]:
            row = np.array([table[0, 0], table[-1, 1], *[np.nan] * 4])
        return dict(zip(("from", "to", "right_share", "low", "median", "high"), row.tolist(), strict=True))

    def sentences(self, cosine: float | None = None) -> list[str]:
        """Return what these data allow, for each pair of modalities.

        Parameters
        ----------
        cosine : float, optional
            Cosine of a query and its first hit. Default: the sentences are about thresholds.

        Returns
        -------
        list of str
            Recall and threshold for a precision of 80 % and 90 %, or that the data do not allow them. With a cosine,
            what the corrected score adds to it.

        Raises
        ------
        InputError
            If the cosine is outside -1 to 1.
        """
        if cosine is None:
            return [
                threshold_sentence(direction, model, self._corpus_size(direction[1]))
                for direction, model in self.models.items()
            ]
        return [
            cosine_sentence((query, stored), cosine, self.at_cosine(cosine, query=query, stored=stored))
            for query, stored in self.models
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'n_stored' and the list 'models' with 'query' and 'stored'.
        """
        models = [{"query": a, "stored": b} | asdict(model) for (a, b), model in self.models.items()]
        sizes = dict(self.n_stored) if isinstance(self.n_stored, Mapping) else self.n_stored
        return {"n_stored": sizes, "models": models}

    @classmethod
    def from_dict(cls, correction: ScoreRows, values: Mapping[str, Any]) -> Relevance:
        """Return the relevance that `to_dict` described, for a fitted correction.

        Parameters
        ----------
        correction : ScoreCorrection
            The correction that was calibrated.
        values : mapping of str to Any
            Result of `to_dict`.

        Returns
        -------
        Relevance
            The relevance.
        """
        models = {}
        for model in values["models"]:
            fields = {key: value for key, value in model.items() if key not in ("query", "stored")}
            models[model["query"], model["stored"]] = HitModel.from_dict(fields)
        return cls(correction, models, values["n_stored"])
