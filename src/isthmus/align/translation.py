"""Translation: move the sides along the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class Translation(Aligner):
    """x -> unit(x + delta g / 2), y -> unit(y - delta g / 2) with g = mean y - mean x. Needs no pairs.

    `delta` counts in gaps: 0 leaves the rows alone, 1 makes the means equal before the last division by norms, 2
    exchanges them, negative values open the gap further; a sweep over -2 to 2 is the experiment of the source, whose
    own shift is delta |g|. `side`: 'both' moves each half of the way, 'x' or 'y' moves that side all of it. The
    common mean stays, so rankings change much more than with `Centering`.
    Errors: `InputError` for another side. Source: Liang et al. 2022, arXiv 2203.02053.

    >>> import numpy as np
    >>> X, Y = np.array([[3.0, 0.0], [5.0, 0.0]]), np.array([[0.0, 2.0], [0.0, 4.0]])
    >>> X2, Y2 = Translation(normalize=False).fit(X, Y).transform(X, Y)
    >>> X2.mean(axis=0).tolist(), Y2.mean(axis=0).tolist()
    ([2.0, 1.5], [2.0, 1.5])
    """

    delta: float = 1.0
    side: str = "both"

    source: ClassVar[str] = "Liang et al. 2022, arXiv 2203.02053"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side not in ("both", "x", "y"):
            raise InputError(f"side={self.side!r}, expected 'both', 'x' or 'y'")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        step = self.delta * (moments.mean_y - moments.mean_x)
        share = {"both": 0.5, "x": 1.0, "y": 0.0}[self.side]
        return Affine(bias=share * step), Affine(bias=(share - 1) * step)
