"""The budget: what the missing cosine 1 - E[x.y] is made of, exactly, from moments alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError

#: The parts in the order in which they are shown, and what each one is.
COMPONENTS = {
    "spectrum": "the two sides spread over their directions in different amounts (no rotation mends it)",
    "centre": "the angle between the two means: the modality gap proper",
    "orientation": "the two clouds spread in different directions (dimension collapse into different subspaces)",
    "pairing": "partners differ although the clouds agree (no rotation or shift mends it)",
}


class DecompositionValues(NamedTuple):
    """The four parts as plain numbers, the total that they add up to, and the share of the covariance reached."""

    spectrum: float
    centre: float
    orientation: float
    pairing: float
    total: float
    captured_fraction: float


NOT_COMPUTED = Estimate(NAN, unit="share", undefined="not asked for")


@dataclass(frozen=True)
class CosineDecomposition(Mapping[str, Estimate]):
    """The parts by name, their `total` 1 - E[x.y], and `reached`, the share of the possible covariance.

    `chance`: the share that 95 % of shuffled pairings stay below. `rotated`: the share that the best rotation of one
    side would reach, fitted to these very pairs, |S_xy|_* / sum sqrt(lambda mu), its null that of a shuffled pairing.
    `notes` say what the numbers cannot tell, such as why a part has no interval.
    """

    components: Mapping[str, Estimate]
    total: Estimate
    captured_fraction: Estimate
    shuffled_95th_percentile: float = NAN
    best_rotation_fraction: Estimate = NOT_COMPUTED
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        return self.components[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    @property
    def largest(self) -> str:
        """The name of the largest part."""
        return max(self.components, key=lambda name: self.components[name].value)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; absent numbers are None."""
        return {
            "parts": {name: part.to_dict() for name, part in self.items()},
            "total": self.total.to_dict(),
            "reached": self.captured_fraction.to_dict(),
            "rotated": self.best_rotation_fraction.to_dict(),
            "chance": None if np.isnan(self.shuffled_95th_percentile) else self.shuffled_95th_percentile,
            "notes": list(self.notes),
        }


class CovariancePair:
    """The two covariances of `moments` taken apart: spectra and directions in descending order.

    `core` is S_x^1/2 S_y^1/2 in the two eigenbases; its singular values add up to the fidelity F.
    """

    def __init__(self, moments: Moments):
        self.mean_x, self.mean_y = moments.mean_x, moments.mean_y
        self.lambdas, self.directions_x = _eigen(moments.cov_x)
        self.mus, self.directions_y = _eigen(moments.cov_y)
        self.covariance = float(np.trace(moments.cov_xy))
        self.possible = float(np.sqrt(self.lambdas * self.mus).sum())

    @property
    def core(self) -> np.ndarray:
        return (self.directions_x * np.sqrt(self.lambdas)).T @ (self.directions_y * np.sqrt(self.mus))

    @property
    def fidelity(self) -> float:
        """F = |S_x^1/2 S_y^1/2|_*, at most `possible` (rounding apart, which is cut)."""
        return min(float(np.linalg.svd(self.core, compute_uv=False).sum()), self.possible)


def decomposition_values(moments: Moments) -> DecompositionValues:
    """The four parts of 1 - E[x.y] for unit rows; each is non-negative and they add up exactly.

    With R the lengths of the means, lambda and mu the sorted spectra of the covariances, F = |S_x^1/2 S_y^1/2|_* :
      spectrum    = 1 - R_x R_y - sum sqrt(lambda mu)
      centre      = R_x R_y (1 - cos gap)
      orientation = sum sqrt(lambda mu) - F(S_x, S_y)
      pairing     = F(S_x, S_y) - tr S_xy
    """
    if moments.dim_x != moments.dim_y:
        raise InputError(f"sides of width {moments.dim_x} and {moments.dim_y} have no cosine to split")
    for gram in (moments.xx, moments.yy):
        length = float(np.trace(gram)) / moments.n
        if abs(length - 1) > 1e-3:
            raise InputError(
                f"the budget splits the cosine of unit rows, but the mean square length of rows is {length:.4g}; use "
                "normalize=True"
            )
    clouds = CovariancePair(moments)
    length = float(np.linalg.norm(clouds.mean_x) * np.linalg.norm(clouds.mean_y))
    centres = float(clouds.mean_x @ clouds.mean_y)
    oriented = clouds.fidelity
    # Parts that are zero come out as rounding of either sign; what is cut goes to the spectrum, so that the sum stays.
    centre = max(length - centres, 0.0)
    orientation = clouds.possible - oriented
    pairing = max(oriented - clouds.covariance, 0.0)
    total = max(1 - moments.mean_paired, 0.0)
    others = centre + orientation + pairing
    if others > total:
        centre, orientation, pairing = (part * total / others for part in (centre, orientation, pairing))
    spectrum = max(total - (centre + orientation + pairing), 0.0)
    reached = clouds.covariance / oriented if oriented > 1e-12 else NAN
    return DecompositionValues(spectrum, centre, orientation, pairing, total, reached)


def decompose_cosine(moments: Moments, /) -> CosineDecomposition:
    """The budget of the missing cosine 1 - E[x.y] of paired unit rows, without intervals (`explain` adds them).

    With few pairs for their dimensions the parts 'orientation' and 'pairing' are biased: sampled clouds look more
    different, and pairs better, than they are. The null of 'pairing' is what a shuffled pairing leaves, F; the null of
    `reached` is 0, and 95 % of shuffled pairings stay below `chance` = 1.645 sqrt(tr(S_x S_y) / (items - 1)) / F.
    Source: derived for this package; F is the fidelity of Bures (1969).
    Errors: `InputError` when the rows are not unit.

    >>> import numpy as np
    >>> from isthmus.statistics.moments import Moments
    >>> X = np.array([[1, 0, 0], [0, 1, 0], [.6, .8, 0], [0, .6, .8]])
    >>> Y = np.array([[.6, 0, .8], [0, 1, 0], [.8, 0, .6], [.6, .8, 0]])
    >>> parts = decompose_cosine(Moments.of(X, Y))
    >>> [round(parts[name].value, 4) for name in parts], round(parts.total.value, 4)
    ([0.0161, 0.0275, 0.0652, 0.2513], 0.36)
    """
    moments = moments.numpy()
    parts = decomposition_values(moments)
    unit = "cosine"
    estimates = {name: Estimate(getattr(parts, name), unit=unit, definition=text) for name, text in COMPONENTS.items()}
    covariance = moments.mean_paired - float(moments.mean_x @ moments.mean_y)
    possible = parts.pairing + covariance
    estimates["pairing"] = Estimate(parts.pairing, null=possible, unit=unit, definition=COMPONENTS["pairing"])
    spread = float(np.sum(moments.cov_x * moments.cov_y)) / max(moments.by_item.n_items - 1, 1)
    undefined = "neither cloud has a spread that the other could follow" if np.isnan(parts.captured_fraction) else None
    return CosineDecomposition(
        estimates,
        Estimate(parts.total, unit=unit, definition="1 - mean paired cosine"),
        Estimate(
            parts.captured_fraction,
            null=0.0,
            unit="share",
            undefined=undefined,
            definition="tr Cov(x, y) / F(Cov x, Cov y)",
        ),
        shuffled_95th_percentile=NAN if undefined else 1.6448536269514722 * float(np.sqrt(max(spread, 0.0))) / possible,
    )


def _eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(matrix)
    # Eigenvalues at rounding level are zeros: their square roots would not be small any more.
    values = np.where(values > 4 * np.finfo(float).eps * max(float(values[-1]), 0.0), values, 0.0)
    return values[::-1], vectors[:, ::-1]
