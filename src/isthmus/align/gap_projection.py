"""GapProjection: remove the direction of the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.align._spread import require_direction
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class GapProjection(Aligner):
    """Remove the direction of the gap from the rows: x -> unit(x - g (g.x)), y -> unit(y - g (g.y)).

    Here g is the unit vector of mean y - mean x. It needs no pairs and keeps the dimension of the rows. This is the
    rotation-invariant form of `DimensionRemoval`. `fit` succeeds and the first use of the maps raises `InputError` if
    the means are equal.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.

    References
    ----------
    Schrodi et al. 2025, arXiv 2404.07983 (for coordinates).

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.array([[2.0, 1.0], [2.0, -1.0]]), np.array([[-2.0, 1.0], [-2.0, -1.0]])
    >>> GapProjection().fit(X, Y).transform_x(X).round(9).tolist()
    [[0.0, 1.0], [0.0, -1.0]]
    """

    source: ClassVar[str] = "Schrodi et al. 2025, arXiv 2404.07983"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the same projection for both modalities, or raise `InputError` for equal means."""
        gap = moments.mean_y - moments.mean_x
        require_direction(gap, moments, "the two means are equal, so there is no gap direction to remove; use Identity")
        direction = gap / np.linalg.norm(gap)
        projection = Affine(np.eye(len(gap)) - np.outer(direction, direction))
        return projection, projection
