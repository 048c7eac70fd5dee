"""How many dimensions one side really uses."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._base import View, metric
from isthmus.result import Estimate

ENERGY = 0.99


def energy_rank(spectrum: np.ndarray, energy: float = ENERGY) -> int:
    """The fewest leading singular values whose squares hold the share `energy` of the total.

    >>> energy_rank(np.array([3.0, 1.0, 0.1]), 0.99)
    2
    """
    share = np.cumsum(spectrum**2) / np.sum(spectrum**2)
    # Rounding of the sum must not add a dimension.
    return int(np.searchsorted(share, energy - 1e-12) + 1)


def _two_to_one() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.repeat(np.eye(3), [8, 8, 8], axis=0)
    return x, x, 3.0


@metric(
    "rank_99_{side}",
    unit="dimensions",
    range=(1, np.inf),
    source="Yi, Douady and Chen 2025, arXiv 2510.03268",
    known=_two_to_one,
)
def rank_99(view: View) -> Estimate:
    """Fewest principal directions (uncentred) of one side that hold 99 % of its energy; grows with n while n < d."""
    return Estimate(float(energy_rank(view.x.spectrum)))


@metric(
    "effective_rank_{side}",
    unit="dimensions",
    range=(1, np.inf),
    better="higher",
    source="Garrido et al. 2023 (RankMe), arXiv 2210.02885",
    known=_two_to_one,
)
def effective_rank(view: View) -> Estimate:
    """RankMe of one side: exp of the entropy of its singular values (uncentred) divided by their sum.

    p_k = sigma_k / sum(sigma) + 1e-7 as in the paper. Only comparable between data of the same n and d.
    """
    s = view.x.spectrum
    s = s[: min(view.moments.n, len(s))]  # the matrix has min(n, d) singular values
    p = s / s.sum() + 1e-7
    return Estimate(float(np.exp(-np.sum(p * np.log(p)))))
