"""The budget: what the missing cosine 1 - E[x.y] is made of, exactly, from moments alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isthmus.checks import InputError
from isthmus.moments import Moments
from isthmus.result import NAN, Estimate
from isthmus.theory.ceilings import fidelity

#: The parts in the order in which they are shown, and what each one is.
PARTS = {
    "spectrum": "the two sides spread over their directions in different amounts (no rotation mends it)",
    "centre": "the angle between the two means: the modality gap proper",
    "orientation": "the two clouds spread in different directions (dimension collapse into different subspaces)",
    "pairing": "partners differ although the clouds agree (no rotation or shift mends it)",
}


class Split(NamedTuple):
    """The four parts as plain numbers and the total that they add up to."""

    spectrum: float
    centre: float
    orientation: float
    pairing: float
    total: float
    reached: float


@dataclass(frozen=True)
class Budget(Mapping[str, Estimate]):
    """The parts by name, their `total` 1 - E[x.y], and `reached`, the share of the possible covariance."""

    parts: Mapping[str, Estimate]
    total: Estimate
    reached: Estimate

    def __getitem__(self, name: str) -> Estimate:
        return self.parts[name]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def largest(self) -> str:
        """The name of the largest part."""
        return max(self.parts, key=lambda name: self.parts[name].value)


def split(moments: Moments) -> Split:
    """The four parts of 1 - E[x.y] for unit rows; each is non-negative and they add up exactly.

    With R the lengths of the means, lambda and mu the sorted spectra of the covariances, F = |S_x^1/2 S_y^1/2|_* :
      spectrum    = 1 - R_x R_y - sum sqrt(lambda mu)
      centre      = R_x R_y (1 - cos gap)
      orientation = sum sqrt(lambda mu) - F(S_x, S_y)
      pairing     = F(S_x, S_y) - tr S_xy
    """
    if not moments.normalize and abs(float(np.trace(moments.xx)) / moments.n - 1) > 1e-3:
        raise InputError("the budget splits the cosine of unit rows; use normalize=True")
    m = moments
    length = float(np.linalg.norm(m.mean_x) * np.linalg.norm(m.mean_y))
    centres = float(m.mean_x @ m.mean_y)
    lambdas, mus = (np.clip(np.linalg.eigvalsh(c), 0, None) for c in (m.cov_x, m.cov_y))
    possible = float(np.sqrt(lambdas * mus).sum())
    oriented = fidelity(m.cov_x, m.cov_y)
    covariance = float(np.trace(m.cov_xy))
    return Split(
        spectrum=1 - length - possible,
        centre=length - centres,
        orientation=possible - oriented,
        pairing=oriented - covariance,
        total=1 - m.mean_paired,
        reached=covariance / oriented if oriented > 0 else NAN,
    )


def budget(moments: Moments, /) -> Budget:
    """The budget of the missing cosine 1 - E[x.y] of paired unit rows.

    With fewer pairs than dimensions the parts 'orientation' and 'pairing' are biased: sampled clouds look more
    different, and pairs better, than they are; the null of `reached`, 0 for large n, says by how much (a shuffled
    pairing has tr S_xy = 0 in the mean). Source: derived for this package; F is the fidelity of Bures (1969).

    >>> import numpy as np
    >>> from isthmus.moments import Moments
    >>> X = np.array([[1, 0, 0], [0, 1, 0], [.6, .8, 0], [0, .6, .8]])
    >>> Y = np.array([[.6, 0, .8], [0, 1, 0], [.8, 0, .6], [.6, .8, 0]])
    >>> parts = budget(Moments.of(X, Y))
    >>> [round(parts[name].value, 4) for name in parts], round(parts.total.value, 4)
    ([0.0161, 0.0275, 0.0652, 0.2513], 0.36)
    """
    parts = split(moments.numpy())
    unit = "cosine"
    return Budget(
        {name: Estimate(getattr(parts, name), unit=unit, definition=text) for name, text in PARTS.items()},
        Estimate(parts.total, unit=unit, definition="1 - mean paired cosine"),
        Estimate(parts.reached, unit="share", null=0.0, definition="tr Cov(x, y) / F(Cov x, Cov y)"),
    )
