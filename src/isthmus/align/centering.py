"""Centering: subtract the mean of each modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class Centering(Aligner):
    """Subtract the mean of each modality: x -> unit(x - mean x), y -> unit(y - mean y).

    It needs no pairs. Both means are near zero afterwards, so the gap angle is undefined.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.

    References
    ----------
    Zhang et al. 2024 (C3), arXiv 2401.08567. Li et al. 2025 (GR-CLIP), arXiv 2507.19054.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> Centering().fit(X, X).transform_x(X).round(3).tolist()
    [[0.447, -0.894], [-0.447, 0.894]]
    """

    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "Zhang et al. 2024, arXiv 2401.08567"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the translations by the negative means."""
        return Affine(bias=-moments.mean_x), Affine(bias=-moments.mean_y)
