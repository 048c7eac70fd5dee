"""ScoreStandardization: make the scores of both modalities comparable instead of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from isthmus import arrays
from isthmus.checks import InputError, unknown
from isthmus.moments import Moments


@dataclass
class ScoreStandardization:
    """z = (q.c - mu) / sigma, with mu and sigma of the scores of the query's modality against that of the stored row.

    This is a correction of scores and no map of rows, so it is no `Aligner`: a row has another role as a query than as
    a stored row. Mean and variance are those over all pairs of rows of the two modalities, exactly from the moments:
    mu = mean_q.mean_c, sigma^2 = tr(S_q S_c) + mean_q'S_c mean_q + mean_c'S_q mean_c (S covariances, q and c drawn
    independently). The source takes them over pseudo-positives (the best hit of each modality), which needs a first
    search; that variant is not offered. Rows are divided by their norm.

    `scores` gives z directly. For an index of inner products there is an exact affine form with one coordinate more:
    store `stored(rows)` = [c / sigma, -mu / sigma], ask with `query(rows)` = [q, 1]. It depends on the modality of the
    query, so a corpus that both modalities search is stored twice. Ranks within one modality never change:
    cross-modal retrieval stays, and `isthmus.tasks.MixedSearch.of(x, y, scores=...)` judges the mixed corpus.
    Source: Yamashita et al. 2025, arXiv 2511.22141.

    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 4)) + [[[1.0]], [[-1.0]]]
    >>> z = ScoreStandardization().fit(X, Y)
    >>> own, other = z.scores(X, X, query="x", stored="x"), z.scores(X, Y, query="x", stored="y")
    >>> bool(abs(own.mean()) < 1e-9), bool(abs(other.mean()) < 1e-9), round(float(other.std()), 6)
    (True, True, 1.0)
    """

    def __post_init__(self) -> None:
        self._levels: dict[tuple[str, str], tuple[float, float]] | None = None

    def fit(self, X: Any, Y: Any = None, /, *, index: Any = None) -> Self:
        """Fit to rows X and Y (n, d), or to one `Pairs`; the pairing is not used."""
        return self.fit_moments(Moments.of(X, Y, index=index))

    def fit_moments(self, moments: Moments, /) -> Self:
        """Fit to moments of unit rows. Errors: `InputError` when all scores of two modalities are equal."""
        if not moments.normalize:
            raise InputError("moments with normalize=False came: scores of unit rows are standardised")
        m = moments.numpy()
        sides = {"x": (m.mean_x, m.cov_x), "y": (m.mean_y, m.cov_y)}
        self._levels = {}
        for a, (mean_a, cov_a) in sides.items():
            for b, (mean_b, cov_b) in sides.items():
                variance = np.sum(cov_a * cov_b) + mean_a @ cov_b @ mean_a + mean_b @ cov_a @ mean_b
                if not variance > 1e-20:
                    raise InputError(f"all scores of {a} against {b} are equal and have no spread to divide by")
                self._levels[a, b] = float(mean_a @ mean_b), math.sqrt(float(variance))
        return self

    def level(self, *, query: str, stored: str) -> tuple[float, float]:
        """(mu, sigma) of the scores of queries of one modality, 'x' or 'y', against stored rows of another."""
        if self._levels is None:
            raise InputError("this ScoreStandardization is not fitted; call fit(X, Y) first")
        for side in (query, stored):
            if side not in ("x", "y"):
                raise unknown("side", side, ["x", "y"])
        return self._levels[query, stored]

    def scores(self, queries: Any, rows: Any, /, *, query: str, stored: str) -> Any:
        """Standardised scores (n_q, n) of queries (n_q, d) and stored rows (n, d)."""
        mean, deviation = self.level(query=query, stored=stored)
        return (arrays.unit_rows(queries) @ arrays.unit_rows(rows).T - mean) / deviation

    def query(self, rows: Any, /) -> Any:
        """Queries (n, d) with a 1 appended, (n, d + 1)."""
        xp = arrays.namespace(rows)
        rows = arrays.unit_rows(rows)
        return xp.concat([rows, xp.ones_like(rows[:, :1])], axis=1)

    def stored(self, rows: Any, /, *, query: str, stored: str) -> Any:
        """Stored rows (n, d + 1) whose inner product with `query(...)` is the standardised score."""
        mean, deviation = self.level(query=query, stored=stored)
        xp = arrays.namespace(rows)
        rows = arrays.unit_rows(rows)
        return xp.concat([rows / deviation, xp.full_like(rows[:, :1], -mean / deviation)], axis=1)
