"""Translation: move the modalities along the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class Translation(Aligner):
    """Move both modalities along the gap: x -> unit(x + delta g / 2), y -> unit(y - delta g / 2).

    Here g = mean y - mean x. It needs no pairs. The common mean stays, so rankings change much more than with
    `Centering`.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    delta : float, default 1.0
        Step in units of the gap. 0 leaves the rows alone, 1 makes the means equal before the last division by norms, 2
        exchanges them, and negative values widen the gap. The source sweeps the shift delta |g| from -2 to 2 gaps.
    moves : {'both', 'x', 'y'}, default 'both'
        Which modality moves. With 'both' each one moves half of the way.

    References
    ----------
    Liang et al. 2022, arXiv 2203.02053.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.array([[3.0, 0.0], [5.0, 2.0]]), np.array([[0.0, 2.0], [2.0, 4.0]])
    >>> X2, Y2 = Translation(normalize=False).fit(X, Y).transform(X, Y)
    >>> X2.mean(axis=0).tolist(), Y2.mean(axis=0).tolist()
    ([2.5, 2.0], [2.5, 2.0])
    """

    delta: float = 1.0
    moves: str = "both"

    source: ClassVar[str] = "Liang et al. 2022, arXiv 2203.02053"

    def check_options(self) -> None:
        """Raise `InputError` if `moves` is unknown."""
        if self.moves not in ("both", "x", "y"):
            raise InputError(f"moves={self.moves!r}, expected 'both', 'x' or 'y'")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the two translations."""
        step = self.delta * (moments.mean_y - moments.mean_x)
        fraction = {"both": 0.5, "x": 1.0, "y": 0.0}[self.moves]
        return Affine(bias=fraction * step), Affine(bias=(fraction - 1) * step)
