"""Goodness of fit of the von Mises-Fisher distribution, along its mean direction and around it."""

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
    """Result of `goodness_of_fit`. All numbers are without unit, p-values in [0, 1].

    Parameters
    ----------
    radial_ks : float
        Kolmogorov-Smirnov distance of c.x from its law under the model.
    radial_p : float
        Its p-value.
    variance_ratio : float
        Variance of c.x over that of the model, 1 under the model.
    isotropy : float
        (d - 1) tr(S^2) / tr(S)^2 of the unit tangents, without its bias. It is 1 under the model and d - 1 if all
        tangents lie on one line. NaN for d = 2, where the tangents are only signs.
    isotropy_p : float
        Its p-value, NaN for d = 2.

    References
    ----------
    .. [1] Bingham (1974), An antipodally symmetric distribution on the sphere.

    Examples
    --------
    >>> GoodnessOfFit(0.02, 0.4, 1.0, 1.0, 0.5).radial_p
    0.4
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
    """Compare unit rows with a von Mises-Fisher distribution, in O(n d min(n, d)).

    Parameters
    ----------
    model : VonMisesFisher
        The distribution.
    X : array of shape (n, d)
        Unit rows, at least 8.
    fitted : bool, default True
        True if the model was fitted to these rows, False if its parameters were known beforehand.
    draws : int, default 199
        Samples of the parametric bootstrap of a fitted model, at least 19.
    rng : int or numpy.random.Generator, default 0
        Seed of the bootstrap.

    Returns
    -------
    GoodnessOfFit
        Statistics and p-values of the radial and of the tangential part.

    Raises
    ------
    InputError
        If there are fewer than 8 rows or 19 draws, or the rows are not unit vectors of R^d.

    Notes
    -----
    Radial part: under the model c.x has a density proportional to exp(kappa w) (1 - w^2)^((d-3)/2). If `fitted`, the
    rows are compared with the concentration that has their own mean cosine. The p-value is a parametric bootstrap of
    `draws` samples of cosines, each compared with its own refitted law. Given the sum of the rows, their law does not
    depend on the parameters. So any concentration close to the fitted one gives the correct null. Otherwise the p-value
    is that of the exact Kolmogorov-Smirnov law.

    Tangential part: under the model the unit tangents t_i are uniform on the sphere of R^D, D = d - 1. The squared
    cosines (t_i.t_j)^2 are then pairwise independent with mean 1/D. Bingham's statistic is Q = m D (D + 2) / 2 (tr S^2
    - 1/D) with S = mean t t'. It has exactly the mean of chi-square with (D - 1)(D + 2)/2 degrees of freedom. Its
    variance is right up to the factor 1 - 1/m, also for n < d. Here m = n, or n - 1 if `fitted`, because the tangents
    at a fitted mean nearly add up to zero.

    References
    ----------
    .. [1] Bingham (1974), An antipodally symmetric distribution on the sphere.
    .. [2] Paindaveine and Verdebout (2016), On high-dimensional sign tests, for the limit of many dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> X = VonMisesFisher(np.eye(20)[0], 30.0).sample(500, rng=1)
    >>> result = goodness_of_fit(VonMisesFisher.fit(X), X)
    >>> bool(result.radial_p > 0.05 and result.isotropy_p > 0.05)
    True
    """
    rows = unit_rows_or_error(X)
    if len(rows) < 8 or draws < 19:
        raise InputError(f"{len(rows)} rows and {draws} draws, expected at least 8 rows and 19 draws")
    cosines = model.cosines(rows)
    dim, n = model.dim, len(rows)
    kappa = float(_concentrations(dim, cosines.mean()[None])[0]) if fitted else model.kappa
    radius = _Radial(dim, kappa)
    statistic = radius.ks(cosines)
    if fitted:
        rng = np.random.default_rng(rng)
        samples = radius.quantile(rng.random((draws, n)))
        refitted_kappas = _concentrations(dim, samples.mean(axis=1)).tolist()
        null_statistics = np.array([_Radial(dim, k, 1025).ks(w) for k, w in zip(refitted_kappas, samples, strict=True)])
        radial_p = (1.0 + float(np.sum(null_statistics >= statistic))) / (draws + 1.0)
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
    """Return the concentrations in [0, 1e6] whose mean cosines are closest to the given ones."""
    largest_ratio = bessel_ratio(dim / 2 - 1, 1e6)
    return np.asarray(inverse_bessel_ratio(dim / 2 - 1, np.clip(mean_cosines, 0.0, largest_ratio)))


class _Radial:
    """The law of the cosine with the mean direction, on a grid of angles around its mode."""

    def __init__(self, dim: int, kappa: float, points: int = 2049) -> None:
        # The log density of the angle, kappa cos + (d - 2) log sin, has its mode at kappa sin^2 = (d - 2) cos.
        power = dim - 2.0
        mode = math.acos(min(1.0, 2.0 * kappa / (power + math.hypot(power, 2.0 * kappa)))) if kappa > 0 else np.pi / 2
        curvature = kappa * math.cos(mode) + (power / math.sin(mode) ** 2 if power else 0.0)
        reach = 14.0 / math.sqrt(curvature) if curvature > 0.0 else np.pi
        angle = np.linspace(max(0.0, mode - reach), min(np.pi, mode + reach), points)
        with np.errstate(divide="ignore"):
            log_sine = power * np.log(np.sin(angle)) if power else np.zeros(points)
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
        """Return the Kolmogorov-Smirnov distance of a sample from this law."""
        rank = np.arange(cosines.size + 1) / cosines.size
        law = np.interp(np.sort(np.arccos(cosines)), self.angle, self.cumulative)
        return float(max(np.max(rank[1:] - law), np.max(law - rank[:-1])))

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Return the cosines at the angles whose probability is `u`."""
        return np.cos(np.interp(u, self.cumulative, self.angle))


def _isotropy(rows: np.ndarray, cosines: np.ndarray, mean: np.ndarray, m: int) -> tuple[float, float]:
    """Return the isotropy of the tangents without its bias, and its p-value."""
    from scipy.special import gammaincc  # chi2.sf without the second that scipy.stats takes to load

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
    return isotropy, float(gammaincc(degrees / 2, max(statistic, 0.0) / 2))
