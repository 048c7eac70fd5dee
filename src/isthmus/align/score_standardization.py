"""ScoreStandardization: make the scores of the modalities comparable and leave the rows as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.align._statistics import Statistics
from isthmus.compute import arrays
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError, unknown_name

#: Variance of scores below which they are equal up to rounding.
MIN_VARIANCE = 1e-20


@dataclass(kw_only=True, eq=False)
class ScoreStandardization(Aligner):
    """Standardize scores by the modalities of the query and of the stored row: z = (q.c - mu) / sigma.

    It needs no pairs. It corrects scores and leaves the rows as they are, so `transform` only divides them by their
    norm. Rankings within one modality never change, so cross-modal retrieval stays.

    Parameters
    ----------
    normalize : bool, default True
        Must be True, because scores of unit rows are standardized.

    Notes
    -----
    mu and sigma^2 are mean and variance of the scores of all pairs of rows of the two modalities. They follow exactly
    from means and covariances S, because q and c are drawn independently: `mu = mean_q.mean_c` and `sigma^2 = tr(S_q
    S_c) + mean_q'S_c mean_q + mean_c'S_q mean_c`. The reference takes them over pseudo-positives (the best hit of each
    modality), which needs a first search and is not offered.

    `scores` returns z directly. Two indexes, one for each modality, are searched as they are and their hits are merged
    by z. One index of inner products needs one coordinate more: store `stored(rows)` = [c / sigma, -mu / sigma] and
    search with `query(rows)` = [q, 1]. The stored form depends on the modality of the query, so a corpus that both
    modalities search is stored twice. `isthmus.tasks.MixedSearch.of(x, y, scores=...)` and `isthmus.compare` rank a
    mixed corpus by z.

    References
    ----------
    Yamashita et al. 2025, arXiv 2511.22141.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 4)) + [[[1.0]], [[-1.0]]]
    >>> z = ScoreStandardization().fit(X, Y)
    >>> same, cross = z.scores(X, X, query="x", stored="x"), z.scores(X, Y, query="x", stored="y")
    >>> bool(abs(same.mean()) < 1e-9), bool(abs(cross.mean()) < 1e-9), round(float(cross.std()), 6)
    (True, True, 1.0)
    """

    source: ClassVar[str] = "Yamashita et al. 2025, arXiv 2511.22141"

    def check_options(self) -> None:
        """Raise `InputError` if `normalize` is False."""
        if not self.normalize:
            raise InputError("got normalize=False, expected True, because ScoreStandardization scores unit rows")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return two identity maps and store the levels of the scores in `fit_info_`."""
        statistics = Statistics.of(moments)
        self.fit_info_ = {"levels": {a + b: list(_level(statistics, a, b)) for a in "xy" for b in "xy"}}
        return Affine(), Affine()

    def level(self, *, query: str, stored: str) -> tuple[float, float]:
        """Return mean and standard deviation of the scores of two modalities.

        Parameters
        ----------
        query : {'x', 'y'}
            Modality of the queries.
        stored : {'x', 'y'}
            Modality of the stored rows.

        Returns
        -------
        mu : float
            Mean of the scores.
        sigma : float
            Standard deviation of the scores.

        Raises
        ------
        InputError
            If a modality is unknown, or if all scores are equal.
        """
        return _level(self.statistics_, query, stored)

    def scores(self, queries: Any, rows: Any, /, *, query: str, stored: str) -> Any:
        """Return the standardized scores of queries and stored rows.

        Parameters
        ----------
        queries : array of shape (m, d)
            Queries.
        rows : array of shape (n, d)
            Stored rows.
        query : {'x', 'y'}
            Modality of the queries.
        stored : {'x', 'y'}
            Modality of the stored rows.

        Returns
        -------
        array of shape (m, n)
            Standardized scores.
        """
        mean, deviation = self.level(query=query, stored=stored)
        return (arrays.unit_rows(queries) @ arrays.unit_rows(rows).T - mean) / deviation

    def query(self, rows: Any, /) -> Any:
        """Return queries for an index of the rows of `stored`.

        Parameters
        ----------
        rows : array of shape (m, d)
            Queries.

        Returns
        -------
        array of shape (m, d + 1)
            Unit rows with a 1 appended.
        """
        xp = arrays.namespace(rows)
        rows = arrays.unit_rows(rows)
        return xp.concat([rows, xp.ones_like(rows[:, :1])], axis=1)

    def stored(self, rows: Any, /, *, query: str, stored: str) -> Any:
        """Return rows for an index of inner products, whose scores with `query(...)` are standardized.

        Parameters
        ----------
        rows : array of shape (n, d)
            Rows to store.
        query : {'x', 'y'}
            Modality of the queries.
        stored : {'x', 'y'}
            Modality of the rows.

        Returns
        -------
        array of shape (n, d + 1)
            Rows with one coordinate more.
        """
        mean, deviation = self.level(query=query, stored=stored)
        xp = arrays.namespace(rows)
        rows = arrays.unit_rows(rows)
        return xp.concat([rows / deviation, xp.full_like(rows[:, :1], -mean / deviation)], axis=1)


def _level(statistics: Statistics, query: str, stored: str) -> tuple[float, float]:
    """Return mean and standard deviation of q.c for independent rows q and c of these modalities."""
    clouds = {"x": (statistics.mean_x, statistics.cov_x), "y": (statistics.mean_y, statistics.cov_y)}
    for modality in (query, stored):
        if modality not in clouds:
            raise unknown_name("modality", modality, clouds)
    (mean_q, cov_q), (mean_c, cov_c) = clouds[query], clouds[stored]
    variance = np.sum(cov_q * cov_c) + mean_q @ cov_c @ mean_q + mean_c @ cov_q @ mean_c
    if not variance > MIN_VARIANCE:
        raise InputError(f"all scores of {query} against {stored} are equal, so there is no spread to divide by")
    return float(mean_q @ mean_c), math.sqrt(float(variance))
