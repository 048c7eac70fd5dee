"""BankNormalization: subtract the hubness of stored rows, measured on a bank of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._maps import Map
from isthmus.align._score_correction import ScoreCorrection
from isthmus.align._score_model import ScoreRule
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class BankNormalization(ScoreCorrection):
    """Subtract from each score the mean of the k largest scores of the stored row against a bank (NNN).

    It needs no pairs. A stored row that is near to many queries of a bank loses rank, which raises cross-modal recall.
    The scores of different modalities do not become comparable. Use `ScoreCalibration` for a mixed corpus.

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
    hubness_weight : float, default 0.5
        Weight w of the mean, at least 0.
    k : int, default 8
        Number of largest scores, at least 1. A smaller bank is used as a whole.

    Notes
    -----
    S(q, c) = q.c - w h(c). The hubness h(c) is the mean of the k largest scores of c against a bank of rows of the
    modality of the query. A bank row that equals c is left out.

    References
    ----------
    Chowdhury et al. 2024, Nearest Neighbor Normalization Improves Multimodal Retrieval, arXiv 2410.24114.

    Examples
    --------
    >>> import isthmus
    >>> train, test = isthmus.demo.load("plain", split="train"), isthmus.demo.load("plain", split="test")
    >>> images, texts = test.unit()
    >>> nnn = BankNormalization().fit(train)
    >>> rows, queries = nnn.stored(texts, modality="text"), nnn.query(images, modality="image")
    >>> bool(abs(queries @ rows.T - nnn.scores(images, texts, query="image", stored="text")).max() < 1e-6)
    True
    """

    hubness_weight: float = 0.5
    k: int = 8

    source: ClassVar[str] = "Chowdhury et al. 2024, arXiv 2410.24114"

    def rule(self) -> ScoreRule:
        """Return what these options do with scores."""
        return ScoreRule(standardizes=False, hubness_weight=self.hubness_weight, k=self.k)

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the row maps in front and store levels and weights of the scores in `fit_info_`."""
        return self.solve_scores(moments)
