"""OrthogonalShift: close the part of the gap that leaves the ranking alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.align._spectra import spectrum
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class OrthogonalShift(Aligner):
    """Moves the queries by `alpha` times the part of the gap orthogonal to the retrieved side. Needs no pairs.

    `retrieved` is the side that is searched, 'x' or 'y'; the other side asks. V spans the principal directions of the
    retrieved side (centred) that hold the share `energy`; h = (I - VV') (mean of queries - mean of retrieved);
    q -> q - alpha h. `alpha=1` closes this part, negative values open it. It works for one direction: fit one for each.

    Rows are **not** divided by their norm afterwards, so compare them by Euclidean distance. For a fixed query the
    retrieved rows, which are unit and do not move, rank by distance as by dot product, and both change only by
    alpha h.(r - mean r), which is 0 up to the energy that V leaves out: this is the published guarantee. Searching
    the moved side breaks it for distance, where |q - alpha h| differs from row to row, while the dot product with a
    fixed row of the other side moves by a constant and keeps its ranking exactly. Cosine keeps neither.

    `fit_info_` holds the rank, the gap and the part that is closed. Errors: `InputError` for another side or an energy
    outside (0, 1]. Source: Chowers et al. 2026, arXiv 2603.29080.

    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]])
    >>> Y = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
    >>> shift = OrthogonalShift(normalize=False).fit(X, Y)
    >>> shift.transform_y(Y).tolist()
    [[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]
    """

    retrieved: str = "x"
    energy: float = 0.9
    alpha: float = 1.0

    normalizes_output: ClassVar[bool] = False
    source: ClassVar[str] = "Chowers et al. 2026, arXiv 2603.29080"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retrieved not in ("x", "y"):
            raise InputError(f"retrieved={self.retrieved!r}, expected 'x' or 'y'")
        if not 0 < self.energy <= 1:
            raise InputError(f"energy={self.energy}, expected a share above 0 and up to 1")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        values, vectors = spectrum(moments, self.retrieved)
        kept = np.cumsum(values[::-1]) / values.sum()
        rank = min(int(np.searchsorted(kept, self.energy - 1e-12)) + 1, len(values))
        basis = vectors[:, ::-1][:, :rank]
        gap = moments.mean_y - moments.mean_x
        if self.retrieved == "y":
            gap = -gap
        orthogonal = gap - basis @ (basis.T @ gap)
        self.fit_info_ = {
            "rank": rank,
            "gap": float(np.linalg.norm(gap)),
            "orthogonal_gap": float(np.linalg.norm(orthogonal)),
        }
        moved, still = Affine(bias=-self.alpha * orthogonal), Affine()
        return (still, moved) if self.retrieved == "x" else (moved, still)
