"""Scores of the held-out rows after fits without each of a few groups of fitting items.

The levels of a score correction are sums over pairs of rows, and its pools are means of the largest scores with a bank.
Both are computed without each group from the products of all rows. So no correction is fitted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from isthmus.align import ScoreCorrection
from isthmus.align._score_model import MIN_VARIANCE, mean_of_first
from isthmus.align._score_solution import without_own_scores
from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import moments_of

#: Groups of items that fits leave out in turn. They are unions of `isthmus.evaluation.split_variance.N_GROUPS` groups.
N_FIT_GROUPS = 16
#: Largest bank scores of a row that are kept for each one that a pool averages.
KEPT_SCORES = 3

#: Scores of queries against stored rows by their modalities: product / scale + stored + query.
ScoreTerms = Mapping[tuple[str, str], tuple[float, np.ndarray, np.ndarray]]


def reduced_terms(
    correction: ScoreCorrection, rows: Mapping[str, np.ndarray], fit: Pairs, group: np.ndarray, /
) -> Iterator[ScoreTerms]:
    """Yield the terms of the scores of rows for the whole fit, and then without each group of fitting items.

    Parameters
    ----------
    correction : ScoreCorrection
        Correction that was fitted to `fit`, without a row map.
    rows : mapping of str to np.ndarray
        Unit rows of 'x' and 'y'.
    fit : Pairs
        Fitting pairs.
    group : np.ndarray of shape (n_items,)
        Group of each fitting item, below `N_FIT_GROUPS`. Items that share a row of y have one group.

    Yields
    ------
    mapping of tuple of str to tuple
        Terms as those of `ScoreCorrection.score_terms`.
    """
    model, names = correction.score_model, dict(zip("xy", correction.modalities, strict=False))
    first = np.unique(fit.components, return_index=True)[1]
    bank_groups = {name: group[first][items] for name, items in zip("xy", correction.bank_items, strict=False)}
    banks = {name: to_numpy(model.banks[names[name]]) for name in bank_groups}
    x, y = (to_numpy(values) for values in fit.unit())
    y_rows, y_pairs = np.arange(len(y)), np.ones(len(y), dtype=np.int64)
    if fit.y_groups is not None:
        y_rows, y_pairs = np.unique(fit.y_groups, return_index=True, return_counts=True)[1:]
    fit_rows = {
        "x": _FitRows(x, group, np.bincount(fit.owner, minlength=len(x))),
        "y": _FitRows(y[y_rows], group[fit.owner[y_rows]], y_pairs),
    }
    products = {(a, b): rows[a] @ banks[b].T for a in "xy" for b in bank_groups}
    directions = [(a, b) for a in "xy" for b in "xy"]
    if correction.rule().standardizes:
        levels = {(a, b): _levels(fit_rows[a], fit_rows[b]) for a, b in directions}
    else:
        levels = {direction: np.tile([0.0, 1.0], (N_FIT_GROUPS + 1, 1)) for direction in directions}
    pools = _Pools(products, bank_groups, model)
    for left_out in range(-1, N_FIT_GROUPS):
        terms = {}
        for query, stored in directions:
            mean, deviation = levels[query, stored][left_out + 1].tolist()
            of_stored, of_query = np.zeros(len(rows[stored])), np.full(len(rows[query]), -mean / deviation)
            if weight := model.hubness_weights[names[query]]:
                of_stored -= weight * pools.standardized(stored, query, left_out, mean, deviation)
            if model.level_weight:
                of_query -= model.level_weight * pools.standardized(query, stored, left_out, mean, deviation)
            terms[query, stored] = deviation, of_stored, of_query
        yield terms


def reduced_rows(
    aligner: Any, rows: tuple[np.ndarray, np.ndarray], fit: Pairs, group: np.ndarray, /
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows x and y after maps that are fitted without each group of fitting items.

    Parameters
    ----------
    aligner : Aligner
        Row map that is fitted to moments.
    rows : tuple of np.ndarray
        Rows x and y.
    fit : Pairs
        Fitting pairs.
    group : np.ndarray of shape (n_items,)
        Group of each fitting item, below `N_FIT_GROUPS`.

    Yields
    ------
    tuple of np.ndarray
        Mapped rows.
    """
    for left_out in range(N_FIT_GROUPS):
        remaining = fit.take(np.flatnonzero(group != left_out))
        moments = moments_of(remaining, normalize=aligner.normalize)
        x, y = type(aligner)(**aligner.get_params()).fit_moments(moments).transform(*rows)
        yield to_numpy(x), to_numpy(y)


class _FitRows(NamedTuple):
    """Distinct rows of a modality.

    Attributes
    ----------
    rows : (n, d), unit rows
    group : (n,), their groups, below `N_FIT_GROUPS`
    n_pairs : (n,), how many pairs each belongs to, which is its weight
    """

    rows: np.ndarray
    group: np.ndarray
    n_pairs: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Return the weight of each row in its group, and zeros in others, (n, N_FIT_GROUPS)."""
        in_group: np.ndarray = np.equal.outer(self.group, np.arange(N_FIT_GROUPS)) * self.n_pairs[:, None].astype(float)
        return in_group


def _levels(query: _FitRows, stored: _FitRows) -> np.ndarray:
    """Return mean and standard deviation of the scores of rows, of all and without each group, (1 + groups, 2).

    Within one modality the scores of a row with itself, which are 1, are taken out as the correction does it.
    """
    scores = (query.rows @ stored.rows.T).astype(np.float64)
    left, right = query.weights, stored.weights
    sums = np.stack(
        [np.outer(left.sum(axis=0), right.sum(axis=0)), left.T @ scores @ right, left.T @ scores**2 @ right]
    )
    totals = sums.sum(axis=(1, 2))[:, None]
    without = totals - sums.sum(axis=1) - sums.sum(axis=2) + np.diagonal(sums, axis1=1, axis2=2)
    number, first, second = np.concatenate([totals, without], axis=1)
    mean = first / number
    variance = second / number - mean**2
    if query is stored:
        in_groups = np.bincount(query.group, minlength=N_FIT_GROUPS)
        n_rows = len(query.rows) - np.concatenate([[0], in_groups])
        mean, variance = without_own_scores(mean, variance, n_rows)
    return np.stack([mean, np.sqrt(np.maximum(variance, MIN_VARIANCE))], axis=1)


class _Pools:
    """Pooled scores of rows with banks, without each group of bank rows."""

    def __init__(self, products: Mapping[tuple[str, str], np.ndarray], groups: Mapping[str, np.ndarray], model: Any):
        self.model, self.groups, self.products = model, groups, products
        self.largest: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        if model.pooling != "mean":
            return
        for (name, bank), scores in products.items():
            n_kept = min(KEPT_SCORES * model.k, scores.shape[1])
            best = np.argpartition(-scores, n_kept - 1, axis=1)[:, :n_kept]
            values = np.take_along_axis(scores, best, axis=1)
            order = np.argsort(-values, axis=1)
            best, values = (np.take_along_axis(array, order, axis=1) for array in (best, values))
            self.largest[name, bank] = values, groups[bank][best]

    def standardized(self, name: str, bank: str, left_out: int, mean: float, deviation: float) -> np.ndarray:
        """Return the pooled standardized scores (n,) of the rows of a modality with a bank."""
        if self.model.pooling == "mean":
            values, group = self.largest[name, bank]
            pooled: np.ndarray = (mean_of_first(values, group == left_out, k=self.model.k) - mean) / deviation
            return pooled
        scores = self.products[name, bank][:, self.groups[bank] != left_out]
        scores = self.model.beta * (scores - mean) / deviation
        top = scores.max(axis=1)
        mass: np.ndarray = np.exp(scores - top[:, None]).mean(axis=1)
        return (top + np.log(mass)) / self.model.beta
