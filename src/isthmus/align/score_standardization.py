"""ScoreStandardization: make the scores of both modalities comparable instead of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.compute import arrays
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError, unknown_name


@dataclass(kw_only=True, eq=False)
class ScoreStandardization(Aligner):
    """z = (q.c - mu) / sigma, with mu and sigma of the scores of the query's modality against that of the stored row.
    Needs no pairs.

    This corrects scores and leaves the rows as they are (`transform` only divides them by their norm): a row has
    another role as a query than as a stored row. Mean and variance are those over all pairs of rows of the two
    modalities, exactly from the moments:
    mu = mean_q.mean_c, sigma^2 = tr(S_q S_c) + mean_q'S_c mean_q + mean_c'S_q mean_c (S covariances, q and c drawn
    independently). The source takes them over pseudo-positives (the best hit of each modality), which needs a first
    search; that variant is not offered.

    `scores` gives z directly. Two indexes, one for each modality, are searched as they are and their hits merged by z.
    For one index of inner products there is an exact affine form with one coordinate more: store `stored(rows)` =
    [c / sigma, -mu / sigma], ask with `query(rows)` = [q, 1]; it depends on the modality of the query, so a corpus that
    both modalities search is stored twice. Ranks within one modality never change: cross-modal retrieval stays, and
    `isthmus.tasks.MixedSearch.of(x, y, correction=...)` and `isthmus.compare` judge the mixed corpus by z.
    Errors: `InputError` when all scores of two modalities are equal, and with `normalize=False`.
    Source: Yamashita et al. 2025, arXiv 2511.22141.

    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 4)) + [[[1.0]], [[-1.0]]]
    >>> z = ScoreStandardization().fit(X, Y)
    >>> own, other = z.scores(X, X, query="x", stored="x"), z.scores(X, Y, query="x", stored="y")
    >>> bool(abs(own.mean()) < 1e-9), bool(abs(other.mean()) < 1e-9), round(float(other.std()), 6)
    (True, True, 1.0)
    """

    source: ClassVar[str] = "Yamashita et al. 2025, arXiv 2511.22141"

    def fit_moments(self, moments: Moments, /, *, names: tuple[str, str] | None = None) -> Self:
        """Fit to moments of unit rows."""
        if not self.normalize:
            raise InputError("scores of unit rows are standardised: leave normalize=True")
        return super().fit_moments(moments, names=names)

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        levels = {a + b: self.level(query=a, stored=b) for a in "xy" for b in "xy"}
        self.fit_info_ = {"levels": {both: list(level) for both, level in levels.items()}}
        return Affine(), Affine()

    def level(self, *, query: str, stored: str) -> tuple[float, float]:
        """(mu, sigma) of the scores of queries of one modality, 'x' or 'y', against stored rows of another."""
        for side in (query, stored):
            if side not in ("x", "y"):
                raise unknown_name("side", side, ["x", "y"])
        s = self.statistics_
        mean_a, cov_a = (s.mean_x, s.cov_x) if query == "x" else (s.mean_y, s.cov_y)
        mean_b, cov_b = (s.mean_x, s.cov_x) if stored == "x" else (s.mean_y, s.cov_y)
        variance = np.sum(cov_a * cov_b) + mean_a @ cov_b @ mean_a + mean_b @ cov_a @ mean_b
        if not variance > 1e-20:
            raise InputError(f"all scores of {query} against {stored} are equal and have no spread to divide by")
        return float(mean_a @ mean_b), math.sqrt(float(variance))

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
