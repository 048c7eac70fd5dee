"""Standardization: subtract the mean and divide by the standard deviation of each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centering_map
from isthmus.statistics.moments import Moments

#: Coordinates whose standard deviation is below this fraction of the largest one are constant up to rounding.
CONSTANT = 1e-7


@dataclass(kw_only=True, eq=False)
class Standardization(Aligner):
    """Standardize each coordinate of each modality: x_k -> (x_k - mean_k) / std_k.

    It needs no pairs. Standard deviations have divisor n. A coordinate that is constant in the fitted rows becomes 0.
    The result depends on the basis, so a rotation of the space changes it.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.

    References
    ----------
    An et al. 2025 (I0T), arXiv 2412.14384.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 30.0], [3.0, 10.0]])
    >>> Standardization(normalize=False).fit(X, X).transform_x(X).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """

    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "An et al. 2025 (I0T), arXiv 2412.14384"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the two maps with diagonal matrices."""
        return (
            centering_map(moments.mean_x, np.diag(_scales(moments.cov_x))),
            centering_map(moments.mean_y, np.diag(_scales(moments.cov_y))),
        )


def _scales(cov: np.ndarray) -> np.ndarray:
    """Return the inverse standard deviations, and 0 for constant coordinates."""
    deviation = np.sqrt(np.clip(np.diag(cov), 0, None))
    varies = deviation > CONSTANT * deviation.max()
    return np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
