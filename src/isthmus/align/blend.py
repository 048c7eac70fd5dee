"""Blend: concatenate a map that needs no pairs and a map that does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.align._blend_options import _BlendOptions
from isthmus.align._maps import Affine, NormalizedAffine, centering_map
from isthmus.align._spectra import canonical_maps, whitening
from isthmus.align._spread import require_spread
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class Blend(_BlendOptions):
    """Concatenate sqrt(1 - w) unit(partial whitening) and sqrt(w) unit(regularised CCA), so that cosines are averaged.

    It needs pairs. Mapped rows have twice the dimension. The map is **not affine**, because each block is divided by
    its own norm. `Auto` chooses the weight by cross-validation.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    weight : float, default 0.1
        Weight w of the CCA cosine in the sum of both cosines, in [0, 1]. 0 is partial whitening alone. With 250 pairs
        or fewer, a weight above .5 lowers recall on almost all data.
    alpha : float, default 0.25
        `alpha` of `PartialWhitening`, at least 0.
    lam : float, default 3.0
        `lam` of `PartialWhitening`, at least 0.
    cca_lam : float, default 1.0
        `lam` of `RidgeCCA`, at least 0.
    g : float, default 2.0
        `g` of `RidgeCCA`, at least 0.

    References
    ----------
    This package. The cosines are a convex sum of two kernels.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 4))
    >>> X2, Y2 = Blend(weight=0.25).fit(X, Y).transform(X, Y)
    >>> X2.shape, bool(np.allclose((X2[:, :4] ** 2).sum(axis=1), 0.75))
    ((50, 8), True)
    """

    weight: float = 0.1
    alpha: float = 0.25
    lam: float = 3.0
    cca_lam: float = 1.0
    g: float = 2.0

    def solve(self, moments: Moments) -> tuple[NormalizedAffine, NormalizedAffine]:
        """Return the concatenation of both maps for each modality."""
        require_spread(self, moments, "Blend needs directions in which both vary")
        canonical_x, canonical_y = canonical_maps(moments, self.cca_lam, self.g)
        maps = []
        for modality, mean, canonical in (("x", moments.mean_x, canonical_x), ("y", moments.mean_y, canonical_y)):
            blocks = whitening(moments, modality, self.alpha, self.lam), canonical
            widths = tuple(block.shape[1] for block in blocks)
            weights = np.repeat([np.sqrt(1 - self.weight), np.sqrt(self.weight)], widths)
            maps.append(NormalizedAffine(centering_map(mean, np.hstack(blocks)), widths, Affine(np.diag(weights))))
        return maps[0], maps[1]
