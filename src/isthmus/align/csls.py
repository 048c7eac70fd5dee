"""CSLS: subtract the mean of the nearest scores of both the query and the stored row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._maps import Map
from isthmus.align._score_correction import ScoreCorrection
from isthmus.align._score_model import ScoreRule
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class CSLS(ScoreCorrection):
    """Subtract half of the mean of the k largest scores of the query and of the stored row, each against a bank.

    It needs no pairs. The name stands for cross-domain similarity local scaling.

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
    k : int, default 10
        Number of largest scores, at least 1. A smaller bank is used as a whole.

    Notes
    -----
    S(q, c) = q.c - h(c) / 2 - l(q) / 2, half of the value in the reference. h(c) is the mean of the k largest scores of
    c against a bank of rows of the modality of the query. l(q) is that of q against a bank of the stored modality. A
    bank row that equals the row is left out. l(q) changes how hits of several modalities are merged, and no ranking
    within one.

    References
    ----------
    Conneau et al. 2018, Word Translation Without Parallel Data, arXiv 1710.04087.

    Examples
    --------
    >>> import isthmus
    >>> csls = CSLS().fit(isthmus.demo.load("plain", split="train"))
    >>> csls.modalities, csls.score_model.level_weight
    (('image', 'text'), 0.5)
    """

    k: int = 10

    source: ClassVar[str] = "Conneau et al. 2018, arXiv 1710.04087"

    def rule(self) -> ScoreRule:
        """Return what these options do with scores."""
        return ScoreRule(standardizes=False, hubness_weight=0.5, level_weight=0.5, k=self.k)

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the row maps in front and store levels and weights of the scores in `fit_info_`."""
        return self.solve_scores(moments)
