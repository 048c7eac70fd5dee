"""How far unit rows are from a von Mises-Fisher distribution: along its mean direction and around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array
from isthmus.linalg.bessel import bessel_ratio, inverse_bessel_ratio
from isthmus.theory.vmf import VonMisesFisher, unit_rows_or_error
from isthmus.utils.errors import InputError


@dataclass(frozen=True)
class GoodnessOfFit:
    """Result of `goodness_of_fit`; all numbers without unit, p-values in [0, 1].

    `radial_ks`, `radial_p`: Kolmogorov-Smirnov distance of c.x from the model's law, and its p-value.
    `variance_ratio`: variance of c.x over the model's (1 under the model).
    `isotropy`, `isotropy_p`: (d - 1) tr(S^2) / tr(S)^2 of the unit tangents, without its bias (1 under the
    model, d - 1 if all lie on one line), and its p-value; NaN for d = 2, where the tangents are only signs.
    """

    radial_ks: float
    radial_p: float
    variance_ratio: float
    isotropy: float
    isotropy_p: float


def goodness_of_fit(
    model: VonMisesFisher,
    X: Array,
    /,
    *,
    fitted: bool = True,
    draws: int = 199,
    rng: int | np.random.Generator = 0,
) -> GoodnessOfFit:
    """Compare unit rows `X` (n, d) with `model`, in O(n d min(n, d)).

    **Radial.** Under the model c.x has density proportional to exp(kappa w) (1 - w^2)^((d-3)/2). With
    `fitted=True` (the model was fitted to these very rows) the rows are compared with the concentration
    that has their own mean cosine, and the p-value is a parametric bootstrap of `draws` samples of cosines,
    each compared with its own refitted law: given the sum of the rows, their law does not depend on the
    parameters, so any concentration near the fitted one gives the right null. With `fitted=False`
    (parameters known beforehand) it is the exact Kolmogorov-Smirnov law.

    **Tangential.** Under the model the unit tangents t_i are uniform on the sphere of R^D, D = d - 1. Then
    the squared cosines (t_i.t_j)^2 are pairwise independent with mean 1/D, and Bingham's statistic Q = m D
    (D + 2) / 2 (tr S^2 - 1/D), S = mean t t', has the mean of chi-square with (D - 1)(D + 2)/2 degrees of
    freedom exactly and its variance up to the factor 1 - 1/m: right for n < d too. m = n, or n - 1 with
    `fitted=True`, because the tangents at a fitted mean add up to (nearly) nothing.

    Source: Bingham (1974), An antipodally symmetric distribution on the sphere; Paindaveine and Verdebout
    (2016), On high-dimensional sign tests, for the limit of many dimensions.

    Raises `InputError` for fewer than 8 rows, rows that are not unit vectors of R^d, and fewer than 19 draws.

    >>> import numpy as np
    >>> X = VonMisesFisher(np.eye(20)[0], 30.0).sample(500, rng=1)
    >>> result = goodness_of_fit(VonMisesFisher.fit(X), X)
    >>> bool(result.radial_p > 0.05 and result.isotropy_p > 0.05)
    True
    """
    rows = unit_rows_or_error(X)
    if len(rows) < 8 or draws < 19:
        raise InputError(f"{len(rows)} rows and {draws} draws came: give at least 8 rows and 19 draws.")
    cosines = model.cosines(rows)
    dim, n = model.dim, len(rows)
    kappa = float(_concentrations(dim, cosines.mean()[None])[0]) if fitted else model.kappa
    radius = _Radial(dim, kappa)
    statistic = radius.ks(cosines)
    if fitted:
        rng = np.random.default_rng(rng)
        samples = radius.quantile(rng.random((draws, n)))
        refitted = _concentrations(dim, samples.mean(axis=1)).tolist()
        null = np.array([_Radial(dim, k, 1025).ks(w) for k, w in zip(refitted, samples, strict=True)])
        radial_p = (1.0 + float(np.sum(null >= statistic))) / (draws + 1.0)
    else:
        from scipy import stats

        radial_p = float(stats.kstwo.sf(statistic, n))
    isotropy, isotropy_p = _isotropy(rows, cosines, model.mean, n - 1 if fitted else n)
    return GoodnessOfFit(
        radial_ks=statistic,
        radial_p=radial_p,
        variance_ratio=float(np.var(cosines, ddof=1)) / radius.variance,
        isotropy=isotropy,
        isotropy_p=isotropy_p,
    )


def _concentrations(dim: int, mean_cosines: np.ndarray) -> np.ndarray:
    """The kappa in [0, 1e6] whose mean cosines come nearest."""
    top = bessel_ratio(dim / 2 - 1, 1e6)
    return np.asarray(inverse_bessel_ratio(dim / 2 - 1, np.clip(mean_cosines, 0.0, top)))


class _Radial:
    """The law of the cosine with the mean direction, on a grid of angles around its mode."""

    def __init__(self, dim: int, kappa: float, points: int = 2049) -> None:
        # The log density of the angle, kappa cos + (d - 2) log sin, has its mode where kappa sin^2 = (d -
        # 2) cos.
        sides = dim - 2.0
        mode = math.acos(min(1.0, 2.0 * kappa / (sides + math.hypot(sides, 2.0 * kappa)))) if kappa > 0 else np.pi / 2
        curvature = kappa * math.cos(mode) + (sides / math.sin(mode) ** 2 if sides else 0.0)
        reach = 14.0 / math.sqrt(curvature) if curvature > 0.0 else np.pi
        angle = np.linspace(max(0.0, mode - reach), min(np.pi, mode + reach), points)
        with np.errstate(divide="ignore"):
            log_sine = sides * np.log(np.sin(angle)) if sides else np.zeros(points)
        log_density = -2.0 * kappa * np.sin(0.5 * angle) ** 2 + log_sine
        density = np.exp(log_density - log_density.max())
        cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
        self.angle, self.cumulative = angle, cumulative / cumulative[-1]
        below = 2.0 * np.sin(0.5 * angle) ** 2
        weights = density.copy()
        weights[[0, -1]] *= 0.5
        weights /= weights.sum()
        self.variance = float(weights @ (below - weights @ below) ** 2)

    def ks(self, cosines: np.ndarray) -> float:
        """Kolmogorov-Smirnov distance of a sample from this law."""
        rank = np.arange(cosines.size + 1) / cosines.size
        law = np.interp(np.sort(np.arccos(cosines)), self.angle, self.cumulative)
        return float(max(np.max(rank[1:] - law), np.max(law - rank[:-1])))

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Cosines at the angle whose probability is `u`."""
        return np.cos(np.interp(u, self.cumulative, self.angle))


def _isotropy(rows: np.ndarray, cosines: np.ndarray, mean: np.ndarray, m: int) -> tuple[float, float]:
    from scipy import stats

    dim = rows.shape[1] - 1
    if dim < 2:
        return math.nan, math.nan
    tangents = rows - np.outer(cosines, mean)
    norms = np.linalg.norm(tangents, axis=1, keepdims=True)
    # A row on the mean direction itself has no tangent and gives no evidence.
    tangents = tangents[norms[:, 0] > 1e-12] / norms[norms[:, 0] > 1e-12]
    n = len(tangents)
    if n < 2:
        return math.nan, math.nan
    m -= len(rows) - n
    gram = tangents.T @ tangents if n > dim else tangents @ tangents.T
    trace = float(np.sum(gram**2)) / n**2
    degrees = 0.5 * (dim - 1.0) * (dim + 2.0)
    statistic = m * 0.5 * dim * (dim + 2.0) * (trace - 1.0 / dim)
    isotropy = dim * (trace - 1.0 / m) / (1.0 - 1.0 / m)
    return isotropy, float(stats.chi2.sf(statistic, degrees))
