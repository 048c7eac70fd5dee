"""OrthogonalShift: close the part of the gap that does not affect the ranking."""

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
    """Move the queries by `alpha` times the part of the gap that is orthogonal to the retrieved modality.

    It needs no pairs and works for one direction of search, so fit one aligner for each direction. `fit_info_` holds
    the rank, the length of the gap and the length of the part that is closed.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    retrieved : {'x', 'y'}, default 'x'
        Modality that is searched. Rows of the other modality are the queries and move.
    energy : float, default 0.9
        Fraction of the variance of the retrieved modality that its principal directions V hold, in (0, 1].
    alpha : float, default 1.0
        Fraction of the orthogonal gap that is closed. Negative values widen it.

    Notes
    -----
    V spans the principal directions of the centred retrieved rows, and
    h = (I - VV') (mean of queries - mean of retrieved rows). Queries are mapped by q -> q - alpha h.

    Mapped rows are **not** divided by their norm, so compare them by Euclidean distance. For a fixed query, retrieved
    rows rank by distance as they do by dot product, because they are unit rows and do not move. Both change only by
    alpha h.(r - mean r), which is 0 up to the variance that V leaves out. This is the published guarantee.

    Searching the modality that moves breaks the guarantee for distance, because |q - alpha h| differs between rows. The
    dot product with a fixed row of the other modality moves by a constant and keeps its ranking. Cosine keeps neither.

    References
    ----------
    Chowers et al. 2026, arXiv 2603.29080.

    Examples
    --------
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

    def check_options(self) -> None:
        """Raise `InputError` for an unknown modality or an energy outside (0, 1]."""
        if self.retrieved not in ("x", "y"):
            raise InputError(f"retrieved={self.retrieved!r}, expected 'x' or 'y'")
        if not 0 < self.energy <= 1:
            raise InputError(f"energy={self.energy}, expected a fraction above 0 and up to 1")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return a translation for the queries and the identity for the retrieved rows."""
        values, vectors = spectrum(moments, self.retrieved)
        total = float(values.sum())
        n_smaller = int(np.searchsorted(np.cumsum(values[::-1]), (self.energy - 1e-12) * total))
        rank = min(n_smaller + 1, len(values)) if total else 0
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
        shift = Affine(bias=-self.alpha * orthogonal)
        return (Affine(), shift) if self.retrieved == "x" else (shift, Affine())
