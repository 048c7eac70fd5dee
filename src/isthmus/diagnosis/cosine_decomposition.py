"""Decompose the cosine deficit 1 - E[x.y] of matching pairs into four components, from moments alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isthmus.linalg.psd import covariance_eigh, factor_fidelity
from isthmus.statistics.degeneracy import constant_modalities
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError
from isthmus.utils.format import json_number, number_from_json

#: Components of the cosine deficit in the order in which they are shown, with their definitions.
COMPONENTS = {
    "spectrum": "the two clouds spread over their directions in different amounts (no rotation changes this)",
    "centre": "the angle between the two means: the modality gap proper",
    "orientation": "the two clouds spread in different directions (a rotation of one of them would remove this)",
    "pairing": "matching rows still differ when the two clouds agree (no rotation or shift changes this)",
}
#: Largest deviation of the mean square length of unit rows from 1.
LENGTH_TOLERANCE = 1e-3
#: Covariances below this are rounding errors: no pairing of constant rows can covary.
MIN_COVARIANCE = 1e-12
#: Standard normal quantile of the one-sided 5 % level.
Z95_ONE_SIDED = 1.6448536269514722
#: Reason why fractions of the covariance are undefined.
NO_SPREAD = "a cloud without spread has no covariance that the other one could follow"


class DecompositionValues(NamedTuple):
    """The four components as plain numbers, their sum `total`, and the captured fraction of the covariance."""

    spectrum: float
    centre: float
    orientation: float
    pairing: float
    total: float
    captured_fraction: float


NOT_COMPUTED = Estimate(NAN, unit="share", undefined="not computed")


@dataclass(frozen=True)
class CosineDecomposition(Mapping[str, Estimate]):
    """Decomposition of the cosine deficit 1 - E[x.y] into four components that are not negative.

    The object is a mapping from the names 'spectrum', 'centre', 'orientation' and 'pairing' to estimates.

    Parameters
    ----------
    components : mapping of str to Estimate
        The four components, as cosines.
    total : Estimate
        The deficit 1 - E[x.y], the sum of the components.
    captured_fraction : Estimate
        tr S_xy / F, the fraction of the largest possible covariance that the matching pairs have.
    shuffled_95th_percentile : float
        Captured fraction that 95 % of shuffled pairings stay below.
    best_rotation_fraction : Estimate
        |S_xy|_* / sum sqrt(lambda mu), the fraction that the best rotation of one modality captures. The rotation is
        fitted to the same pairs. The null is the value for a shuffled pairing.
    notes : tuple of str
        Limits of these numbers, for example why a component has no interval.

    Examples
    --------
    >>> import isthmus
    >>> budget = isthmus.explain(isthmus.demo.load("collapsed", split="test")).budget
    >>> budget.largest, list(budget)
    ('centre', ['spectrum', 'centre', 'orientation', 'pairing'])
    """

    components: Mapping[str, Estimate]
    total: Estimate
    captured_fraction: Estimate
    shuffled_95th_percentile: float = NAN
    best_rotation_fraction: Estimate = NOT_COMPUTED
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        return self.components[name]

    def __repr__(self) -> str:
        lines = [f"  {name:11} {component}  ({component.definition})" for name, component in self.components.items()]
        return "\n".join(
            [f"Components of the cosine deficit {self.total}", *lines, *(f"  {note}" for note in self.notes)]
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    @property
    def largest(self) -> str:
        """Name of the largest component."""
        return max(self.components, key=lambda name: self.components[name].value)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values. Missing numbers are None.

        Returns
        -------
        dict
            'parts' (by name), 'total', 'reached' (the captured fraction), 'rotated' (the best rotation), 'chance' (the
            95th percentile of shuffled pairings) and 'notes'.
        """
        return {
            "parts": {name: component.to_dict() for name, component in self.items()},
            "total": self.total.to_dict(),
            "reached": self.captured_fraction.to_dict(),
            "rotated": self.best_rotation_fraction.to_dict(),
            "chance": json_number(self.shuffled_95th_percentile),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> CosineDecomposition:
        """Return the decomposition that `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            Result of `to_dict`.

        Returns
        -------
        CosineDecomposition
            The decomposition.
        """
        return cls(
            {name: Estimate.from_dict(component) for name, component in content["parts"].items()},
            Estimate.from_dict(content["total"]),
            Estimate.from_dict(content["reached"]),
            number_from_json(content["chance"]),
            Estimate.from_dict(content["rotated"]),
            tuple(content["notes"]),
        )


class CovariancePair:
    """Eigendecompositions of the two covariances of `moments`, spectra and directions in descending order.

    The spectrum of a constant modality, and its covariance with the other one, are exactly 0.
    """

    def __init__(self, moments: Moments):
        self.mean_x, self.mean_y = moments.mean_x, moments.mean_y
        self.lambdas, self.directions_x = covariance_eigh(moments.cov_x)
        self.mus, self.directions_y = covariance_eigh(moments.cov_y)
        #: tr S_xy, the covariance that the matching pairs have.
        self.covariance = float(np.trace(moments.cov_xy))
        is_constant_x, is_constant_y = constant_modalities(moments)
        if is_constant_x:
            self.lambdas = np.zeros_like(self.lambdas)
        if is_constant_y:
            self.mus = np.zeros_like(self.mus)
        if is_constant_x or is_constant_y:
            self.covariance = 0.0
        #: sum sqrt(lambda mu), the largest covariance over all pairings and rotations.
        self.bound = float(np.sqrt(self.lambdas * self.mus).sum())

    @property
    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Factors A, B with S_x = A A' and S_y = B B'."""
        return self.directions_x * np.sqrt(self.lambdas), self.directions_y * np.sqrt(self.mus)

    @property
    def core(self) -> np.ndarray:
        """S_x^1/2 S_y^1/2 in the two eigenbases. Its singular values add up to the fidelity F."""
        factor_x, factor_y = self.factors
        return factor_x.T @ factor_y

    @property
    def fidelity(self) -> float:
        """F = |S_x^1/2 S_y^1/2|_*, clipped at `bound` against rounding."""
        return min(factor_fidelity(*self.factors), self.bound)


def decomposition_values(moments: Moments) -> DecompositionValues:
    """Return the components of 1 - E[x.y] for unit rows. Each is non-negative, and the sum is exact.

    The formulas are those of `decompose_cosine`.
    """
    if moments.dim_x != moments.dim_y:
        raise InputError(
            f"rows of width {moments.dim_x} and {moments.dim_y} have no cosine to decompose, expected one width"
        )
    for gram in (moments.xx, moments.yy):
        length = float(np.trace(gram)) / moments.n
        if abs(length - 1) > LENGTH_TOLERANCE:
            raise InputError(
                f"the mean square length of the rows is {length:.4g}, expected unit rows for a decomposition of their "
                "cosine; use normalize=True"
            )
    pair = CovariancePair(moments)
    length = float(np.linalg.norm(pair.mean_x) * np.linalg.norm(pair.mean_y))
    fidelity = pair.fidelity
    # Components that are zero come out as rounding errors of either sign. The clipped amount goes to the spectrum, so
    # that the sum stays exact.
    centre = max(length - float(pair.mean_x @ pair.mean_y), 0.0)
    orientation = pair.bound - fidelity
    pairing = max(fidelity - pair.covariance, 0.0)
    total = max(1 - moments.mean_paired, 0.0)
    without_spectrum = centre + orientation + pairing
    if without_spectrum > total:
        centre, orientation, pairing = (v * total / without_spectrum for v in (centre, orientation, pairing))
    spectrum = max(total - (centre + orientation + pairing), 0.0)
    has_spread = fidelity > MIN_COVARIANCE and not any(constant_modalities(moments))
    captured = pair.covariance / fidelity if has_spread else NAN
    return DecompositionValues(spectrum, centre, orientation, pairing, total, captured)


def decompose_cosine(moments: Moments, /) -> CosineDecomposition:
    """Decompose the cosine deficit 1 - E[x.y] of unit rows, without intervals.

    `decompose_pairs` adds the intervals.

    Parameters
    ----------
    moments : Moments
        Moments of paired unit rows of one width.

    Returns
    -------
    CosineDecomposition
        The components with the null of 'pairing' only.

    Raises
    ------
    InputError
        If the rows are not unit rows, or the widths differ.

    Notes
    -----
    R are the lengths of the means, lambda and mu the sorted spectra of the covariances, and
    F = |S_x^1/2 S_y^1/2|_* their fidelity.

    spectrum = 1 - R_x R_y - sum sqrt(lambda mu)

    centre = R_x R_y (1 - cos gap)

    orientation = sum sqrt(lambda mu) - F

    pairing = F - tr S_xy

    The null of 'pairing' is F, the value for a shuffled pairing. The captured fraction tr S_xy / F has the null 0.
    95 % of shuffled pairings stay below 1.645 sqrt(tr(S_x S_y) / (items - 1)) / F. With few pairs for their dimensions
    'orientation' is biased upward and 'pairing' downward.

    References
    ----------
    The decomposition was derived for this package. F is the fidelity of Bures (1969).

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus.statistics.moments import Moments
    >>> X = np.array([[1, 0, 0], [0, 1, 0], [.6, .8, 0], [0, .6, .8]])
    >>> Y = np.array([[.6, 0, .8], [0, 1, 0], [.8, 0, .6], [.6, .8, 0]])
    >>> budget = decompose_cosine(Moments.of(X, Y))
    >>> [round(component.value, 4) for component in budget.values()], round(budget.total.value, 4)
    ([0.0161, 0.0275, 0.0652, 0.2513], 0.36)
    """
    moments = moments.numpy()
    values = decomposition_values(moments)
    unit = "cosine"
    components = {
        name: Estimate(getattr(values, name), unit=unit, definition=text) for name, text in COMPONENTS.items()
    }
    covariance = moments.mean_paired - float(moments.mean_x @ moments.mean_y)
    fidelity = max(values.pairing + covariance, 0.0)
    components["pairing"] = Estimate(values.pairing, null=fidelity, unit=unit, definition=COMPONENTS["pairing"])
    # Variance of tr S_xy over random pairings of the items.
    variance = float(np.sum(moments.cov_x * moments.cov_y)) / max(moments.by_item.n_items - 1, 1)
    undefined = NO_SPREAD if math.isnan(values.captured_fraction) else None
    return CosineDecomposition(
        components,
        Estimate(values.total, unit=unit, definition="1 - mean paired cosine"),
        Estimate(
            values.captured_fraction,
            null=0.0,
            unit="share",
            undefined=undefined,
            definition="tr Cov(x, y) / F(Cov x, Cov y)",
        ),
        # The normal approximation exceeds 1, the largest fraction, for a few items.
        shuffled_95th_percentile=NAN
        if undefined
        else min(Z95_ONE_SIDED * math.sqrt(max(variance, 0.0)) / fidelity, 1.0),
    )
