"""Logistic regression of right first hits, its reliability and its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from isthmus.utils.errors import InputError
from isthmus.utils.tabular import Tabular

#: Newton steps, ridge on standardized features, and largest step.
STEPS, RIDGE, MAX_STEP = 50, 1e-4, 3.0
#: Groups of items, each judged by the regression on the others.
FOLDS = 5
#: Groups of hits in the table of thresholds, in a reliability diagram, and by their cosine.
THRESHOLD_GROUPS, RELIABILITY_GROUPS, COSINE_GROUPS = 100, 10, 20
#: Quantiles of the probabilities of hits with one cosine.
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Reliability(Tabular):
    """Predicted probabilities against observed shares of right hits, in groups of equally many hits.

    Parameters
    ----------
    predicted : ndarray of shape (g,)
        Mean probability of each group, in ascending order.
    observed : ndarray of shape (g,)
        Share of right hits of each group.
    counts : ndarray of int of shape (g,)
        Number of hits of each group.

    Examples
    --------
    >>> import numpy as np
    >>> reliability = Reliability(np.array([0.2, 0.9]), np.array([0.1, 0.8]), np.array([50, 50]))
    >>> round(reliability.error, 3)
    0.1
    """

    kind: ClassVar[str] = "reliability"

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each group.

        Returns
        -------
        dict of str to list
            'predicted', 'observed' and 'counts'.
        """
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'predicted', 'observed' and 'counts'.
        """
        return self.columns()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Reliability:
        """Return the diagram that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Reliability
            The diagram.
        """
        return cls(*(np.array(content[field.name]) for field in fields(cls)))

    @property
    def error(self) -> float:
        """Return the expected calibration error, the mean distance of predicted and observed over all hits."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.counts))


@dataclass(frozen=True, eq=False)
class CalibrationHits:
    """First hits of queries, some of which have no match.

    Attributes
    ----------
    features : (m, 3) array
        Score, margin and level.
    is_right : (m,) bool array
        Whether each hit is right.
    cosines : (m,) array
        Cosine of each query and its hit, before any correction.
    has_match : (m,) bool array
        Whether the match of each query is stored.
    items : (m,) int array
        Item of each query.
    n_stored : (m,) int array
        Number of rows that each query searched.
    is_full : (m,) bool array
        Whether the corpus was the full one, not a half of it.
    """

    features: np.ndarray
    is_right: np.ndarray
    cosines: np.ndarray
    has_match: np.ndarray
    items: np.ndarray
    n_stored: np.ndarray
    is_full: np.ndarray

    @classmethod
    def joined(cls, hits: Sequence[CalibrationHits]) -> CalibrationHits:
        """Return all hits as one."""
        return cls(*(np.concatenate([getattr(h, field.name) for h in hits]) for field in fields(cls)))


@dataclass(frozen=True, eq=False)
class ThresholdTable:
    """Hits of one size of the corpus, in groups of ascending probability. All fields are JSON values.

    Attributes
    ----------
    n_stored : int
        Number of stored rows.
    predicted, observed, counts, lowest : list of float
        Mean probability, share of right hits, number of hits and smallest probability of each group.
    """

    n_stored: int
    predicted: list[float]
    observed: list[float]
    counts: list[float]
    lowest: list[float]

    @classmethod
    def of(cls, probability: np.ndarray, is_right: np.ndarray, n_stored: np.ndarray) -> ThresholdTable:
        """Return the table of hits (m,)."""
        groups = _groups(probability, THRESHOLD_GROUPS)
        predicted, observed = ([_rounded(values[g].mean()) for g in groups] for values in (probability, is_right))
        lowest = [_rounded(probability[g[0]]) for g in groups]
        return cls(round(float(n_stored.mean())), predicted, observed, [float(len(g)) for g in groups], lowest)

    def threshold(self, precision: float, /) -> float:
        """Return the smallest probability from which on hits have this precision, NaN if there is none."""
        start = self._first_group(precision)
        return float("nan") if start is None else self.lowest[start]

    def right_share(self, precision: float, /) -> float:
        """Return the share of hits that are right and pass the threshold of a precision."""
        start = self._first_group(precision)
        if start is None:
            return 0.0
        counts = np.array(self.counts)
        return float((counts * self.observed)[start:].sum() / counts.sum())

    def _first_group(self, precision: float) -> int | None:
        """Return the first group from which on both the mean probability and the share of right hits suffice."""
        counts = np.array(self.counts)
        return first_of_mean(counts, precision, np.array(self.predicted), np.array(self.observed))

    def reliability(self) -> Reliability:
        """Return predicted probabilities against observed shares in ten groups."""
        predicted, observed, counts = (np.array(table) for table in (self.predicted, self.observed, self.counts))
        groups = np.array_split(np.arange(len(counts)), min(RELIABILITY_GROUPS, len(counts)))
        return Reliability(
            np.array([np.average(predicted[g], weights=counts[g]) for g in groups]),
            np.array([np.average(observed[g], weights=counts[g]) for g in groups]),
            np.array([counts[g].sum() for g in groups]).astype(np.int64),
        )


@dataclass(frozen=True, eq=False)
class HitModel:
    """Logistic regressions of first hits on score, margin, level and log2 of the number of stored rows.

    They hold for one pair of modalities. All fields are JSON values, so that they are saved with the correction. The
    probabilities of the tables come from regressions on the hits of other items.

    Attributes
    ----------
    right : Logistic
        Probability that a hit is right.
    match : Logistic
        Probability that the query of a wrong hit has a match.
    share_without_match : float
        Share of queries without a match.
    full, half : ThresholdTable
        Hits in the full corpus and in half of it.
    cosines : list of list of float
        Groups of hits with about one cosine: smallest and largest cosine, share of right hits, quantiles of the
        probability.
    """

    right: Logistic
    match: Logistic
    share_without_match: float
    full: ThresholdTable
    half: ThresholdTable
    cosines: list[list[float]]

    @classmethod
    def calibrated(cls, hits: CalibrationHits, *, share_without_match: float) -> HitModel:
        """Fit to hits, and judge the hits of each fifth of the items by the regression on the others."""
        features = np.column_stack([hits.features, np.log2(hits.n_stored)])
        is_right, fold = hits.is_right, hits.items % FOLDS
        probability = np.empty(len(is_right))
        for number in range(FOLDS):
            in_fold = fold == number
            logistic = Logistic.fitted(features[~in_fold], is_right[~in_fold])
            probability[in_fold] = logistic.probability(features[in_fold])
        full, half = (
            ThresholdTable.of(probability[rows], is_right[rows], hits.n_stored[rows])
            for rows in (hits.is_full, ~hits.is_full)
        )
        groups = [np.flatnonzero(hits.is_full)[g] for g in _groups(hits.cosines[hits.is_full], COSINE_GROUPS)]
        by_cosine = [
            (*hits.cosines[g[[0, -1]]], is_right[g].mean(), *np.quantile(probability[g], QUANTILES)) for g in groups
        ]
        cosines = [[_rounded(value) for value in row] for row in by_cosine]
        right, wrong = Logistic.fitted(features, is_right), ~is_right
        match = Logistic.fitted(features[wrong], hits.has_match[wrong])
        return cls(right, match, share_without_match, full, half, cosines)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HitModel:
        """Return the model that `dataclasses.asdict` described."""
        models = {name: Logistic(**values[name]) for name in ("right", "match")}
        tables = {name: ThresholdTable(**values[name]) for name in ("full", "half")}
        return cls(**{**values, **models, **tables})

    @property
    def n_stored(self) -> int:
        """Return the number of stored rows of the calibration."""
        return self.full.n_stored

    def probability(
        self, features: np.ndarray, /, *, n_stored: int | None = None, share_without_match: float | None = None
    ) -> np.ndarray:
        """Return the probabilities (m,) that hits with these features (m, 3) are right.

        Another share of queries without a match changes the weights of wrong hits of queries with and without a match.
        """
        size = np.full(len(features), np.log2(n_stored or self.n_stored))
        features = np.column_stack([features, size])
        right = self.right.probability(features)
        if share_without_match is None:
            return right
        match = self.match.probability(features)
        with_match = (1 - share_without_match) / (1 - self.share_without_match)
        without_match = share_without_match / self.share_without_match
        wrong = (1 - right) * (with_match * match + without_match * (1 - match))
        return np.asarray(with_match * right / (with_match * right + wrong))

    def threshold(self, precision: float, /) -> float:
        """Return the smallest probability from which on hits have this precision, NaN if there is none."""
        return self.full.threshold(precision)

    def recall(self, precision: float, n_stored: int | None = None, /) -> float:
        """Return the share of queries with a match whose right hit passes the threshold of a precision.

        In another corpus the recall changes with each doubling of its rows as it does from half of the corpus to the
        full one.
        """
        recall, of_half = (t.right_share(precision) / (1 - self.share_without_match) for t in (self.full, self.half))
        if n_stored is None or recall == 0 or of_half == 0:
            return recall
        doublings = np.log2(n_stored / self.full.n_stored)
        return float(min(recall * min(recall / of_half, 1.0) ** doublings, 1.0))


def first_of_mean(counts: np.ndarray, precision: float, *ascending: np.ndarray) -> int | None:
    """Return the first place from which on the means of all tables, weighted by counts, reach the precision."""
    if not 0 < precision < 1:
        raise InputError(f"precision={precision}, expected a share between 0 and 1")
    totals = np.cumsum(counts[::-1])[::-1]
    means = [np.cumsum((counts * table)[::-1])[::-1] / totals for table in ascending]
    reached = np.flatnonzero(np.min(means, axis=0) >= precision)
    return int(reached[0]) if len(reached) else None


def _rounded(value: float) -> float:
    """Return a float of six decimals, which saves space in files."""
    return round(float(value), 6)


def _groups(values: np.ndarray, count: int) -> list[np.ndarray]:
    """Return positions of the values in ascending order, in groups of equal size."""
    return np.array_split(np.argsort(values, kind="stable"), min(count, len(values)))


@dataclass(frozen=True, eq=False)
class Logistic:
    """Logistic regression on standardized features. All fields are JSON values.

    Attributes
    ----------
    weights, centre, scale : list of float
        Weights of the standardized features and of the constant, means and deviations of the features.
    """

    weights: list[float]
    centre: list[float]
    scale: list[float]

    @classmethod
    def fitted(cls, features: np.ndarray, target: np.ndarray) -> Logistic:
        """Fit to features (m, f) and a bool target (m,), with a small ridge that keeps separable targets finite."""
        target = target.astype(float)
        centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
        design = np.column_stack([(features - centre) / scale, np.ones(len(features))])
        weights = np.zeros(design.shape[1])
        weights[-1] = np.log((target.mean() + 1e-3) / (1 - target.mean() + 1e-3))
        ridge = np.diag([RIDGE * len(target)] * features.shape[1] + [1e-6])
        for _ in range(STEPS):
            probability = _sigmoid(design @ weights)
            hessian = (design * (probability * (1 - probability))[:, None]).T @ design + ridge
            step = np.linalg.solve(hessian, design.T @ (probability - target) + ridge @ weights)
            weights -= np.clip(step, -MAX_STEP, MAX_STEP)
            if np.abs(step).max() < 1e-10:
                break
        return cls(weights.tolist(), centre.tolist(), scale.tolist())

    def probability(self, features: np.ndarray, /) -> np.ndarray:
        """Return the probabilities (m,) of features (m, f)."""
        standardized = (features - np.array(self.centre)) / np.array(self.scale)
        return _sigmoid(standardized @ np.array(self.weights[:-1]) + self.weights[-1])


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))
