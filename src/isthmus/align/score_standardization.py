"""ScoreStandardization: make the scores of the modalities comparable and leave the rows as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._maps import Map
from isthmus.align._score_correction import ScoreCorrection
from isthmus.align._score_model import ScoreRule
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class ScoreStandardization(ScoreCorrection):
    """Standardize scores by the modalities of the query and of the stored row: z = (q.c - mu) / sigma.

    It needs no pairs and no bank. Rankings within one modality never change, so cross-modal retrieval stays.

    Parameters
    ----------
    normalize : bool, default True
        Must be True, because scores of unit rows are corrected.
    row_map : Aligner or str, optional
        Aligner whose maps are applied to the rows first, such as 'Centering'. Default: rows stay.
    bank_size : int, default 1000
        Largest number of rows of each modality in the bank.
    bank : {'sample', 'cluster'}, default 'sample'
        Whether the bank is a sample, or holds one row near each of `bank_size` cluster centres of a larger sample.
    rng : int, default 0
        Seed of the sample of the bank.
    index : {'lists', 'centered', 'exact', 'shared'}, default 'lists'
        Form of the index that `stored` and `query` serve.
    metric : {'inner_product', 'cosine'}, default 'inner_product'
        Score of the index.

    Notes
    -----
    mu and sigma^2 are mean and variance of the scores of random rows of the two modalities. They follow exactly from
    means and covariances S: `mu = mean_q.mean_c` and `sigma^2 = tr(S_q S_c) + mean_q'S_c mean_q + mean_c'S_q mean_c`.
    Within one modality no row is scored against itself. The reference takes them over pseudo-positives (the best hit
    of each modality), which needs a first search and is not offered.

    The default form of the index is one list of the rows for each modality, whose hits `merge` ranks by z. The form
    'exact' is one index of all rows for each modality of queries. `isthmus.tasks.MixedSearch` and `isthmus.compare`
    rank a mixed corpus by z.

    References
    ----------
    Yamashita et al. 2025, arXiv 2511.22141.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 4)) + [[[1.0]], [[-1.0]]]
    >>> z = ScoreStandardization().fit(X, Y)
    >>> same, cross = z.scores(X, X, query="x", stored="x"), z.scores(X, Y, query="x", stored="y")
    >>> bool(abs(same[~np.eye(100, dtype=bool)].mean()) < 1e-9), bool(abs(cross.mean()) < 1e-9)
    (True, True)
    >>> round(float(cross.std()), 6)
    1.0
    """

    source: ClassVar[str] = "Yamashita et al. 2025, arXiv 2511.22141"

    def rule(self) -> ScoreRule:
        """Return what these options do with scores."""
        return ScoreRule(standardizes=True)

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the row maps in front and store levels and weights of the scores in `fit_info_`."""
        return self.solve_scores(moments)
