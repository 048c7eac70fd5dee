"""GapProjection: drop the direction of the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class GapProjection(Aligner):
    """x -> unit(x - g (g.x)), y likewise, with g the unit vector of mean y - mean x. Needs no pairs.

    The rotation-free form of dropping the few coordinates that hold the gap. Rows keep their width. Errors:
    `InputError` when the means are equal. Source: Schrodi et al. 2025, arXiv 2404.07983 (by coordinates).

    >>> import numpy as np
    >>> X, Y = np.array([[2.0, 1.0], [2.0, -1.0]]), np.array([[-2.0, 1.0], [-2.0, -1.0]])
    >>> GapProjection().fit(X, Y).transform_x(X).round(9).tolist()
    [[0.0, 1.0], [0.0, -1.0]]
    """

    source: ClassVar[str] = "Schrodi et al. 2025, arXiv 2404.07983"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        gap = moments.mean_y - moments.mean_x
        length = float(np.linalg.norm(gap))
        if length == 0:
            raise InputError("the two means are equal: there is no gap direction to drop; use Identity")
        direction = gap / length
        projection = Affine(np.eye(len(gap)) - np.outer(direction, direction))
        return projection, projection
