"""ScoreCalibration: standardized scores without the hubness of the stored row and the level of the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._maps import Map
from isthmus.align._score_correction import ScoreCorrection
from isthmus.align._score_model import ScoreRule
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class ScoreCalibration(ScoreCorrection):
    """Standardize scores, and subtract the hubness of the stored row and the level of the query.

    This is the default choice. It needs no pairs. It raises cross-modal recall, and it makes the scores of all
    modalities comparable, so that one search ranks them together. Pairs make the correction stronger where they show
    that it helps.

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
    k : int, default 8
        Number of largest scores in hubness and level, at least 1. A smaller bank is used as a whole.
    hubness_weight : float, optional
        Weight w of the hubness, at least 0. Default: chosen by the size of the bank and by pairs, see the Notes.
    level_weight : float, default 0.5
        Weight v of the level of the query, at least 0.

    Notes
    -----
    S(q, c) = z(q, c) - w h(c) - v l(q), with the standardized scores z of `ScoreStandardization`. h(c) is the mean of
    the k largest z of c against a bank of rows of the modality of the query. l(q) is that of q against a bank of the
    stored modality. A bank row that equals the row is left out.

    By default w = n / (2 (n + 50)) for a bank of n rows, because a small bank overcorrects. Pairs are tested: w = .5
    where it raises the mean reciprocal rank of the matches by two standard errors, compared with w = 0. The pairs in
    the bank search each other for this, and a query and its competitor are left out of the bank. A bank of another
    corpus loses recall, so fit it to rows of the corpus that is searched, or of its queries.

    References
    ----------
    Conneau et al. 2018, arXiv 1710.04087. Chowdhury et al. 2024, arXiv 2410.24114. Yamashita et al. 2025, arXiv
    2511.22141.

    Examples
    --------
    >>> import isthmus
    >>> train, test = isthmus.demo.load("plain", split="train"), isthmus.demo.load("plain", split="test")
    >>> images, texts = test.unit()
    >>> calibration = ScoreCalibration().fit(train)
    >>> queries = calibration.query(texts, modality="text")
    >>> lists = {}
    >>> for name, rows in (("image", images), ("text", texts)):
    ...     products = queries @ calibration.stored(rows, modality=name).T
    ...     best = products.argsort(axis=1)[:, :-11:-1]
    ...     lists[name] = (products[[[i] for i in range(len(best))], best], best)
    >>> calibration.merge(lists, texts, modality="text", k=10).rows.shape == (len(texts), 10)
    True
    """

    k: int = 8
    hubness_weight: float | None = None
    level_weight: float = 0.5

    source: ClassVar[str] = "Conneau et al. 2018, arXiv 1710.04087; Chowdhury et al. 2024, arXiv 2410.24114"

    def rule(self) -> ScoreRule:
        """Return what these options do with scores."""
        return ScoreRule(
            standardizes=True, hubness_weight=self.hubness_weight, level_weight=self.level_weight, k=self.k
        )

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the row maps in front and store levels and weights of the scores in `fit_info_`."""
        return self.solve_scores(moments)
