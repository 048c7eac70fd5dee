"""Centering: subtract each side's own mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class Centering(Aligner):
    """x -> unit(x - mean x), y -> unit(y - mean y), with the means of the fitting rows. Needs no pairs.

    Afterwards both means are noise, so the gap angle is undefined. Source: Zhang et al. 2024 (C3),
    arXiv 2401.08567; Li et al. 2025 (GR-CLIP), arXiv 2507.19054.

    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> Centering().fit(X, X).transform_x(X).round(3).tolist()
    [[0.447, -0.894], [-0.447, 0.894]]
    """

    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "Zhang et al. 2024, arXiv 2401.08567"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        return Affine(bias=-moments.mean_x), Affine(bias=-moments.mean_y)
