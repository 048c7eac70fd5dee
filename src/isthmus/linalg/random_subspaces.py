"""Principal angles between random subspaces: the null model of shared directions.

Two generic subspaces of dimensions p and q of R^d share max(0, p + q - d) dimensions exactly, and come close in many
more. A large cosine is evidence of a shared space only beyond the edge of this null model.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from isthmus.linalg.marchenko_pastur import tracy_widom_quantile
from isthmus.utils.errors import InputError


@dataclass(frozen=True)
class BulkEdges:
    """Range of the squared cosines of principal angles between random subspaces.

    Parameters
    ----------
    low : float
        Lower edge, in [0, 1].
    high : float
        Upper edge, in [0, 1].
    guaranteed : int
        Number of squared cosines that are exactly 1.

    Examples
    --------
    >>> BulkEdges(low=0.0, high=0.5, guaranteed=0).high
    0.5
    """

    low: float
    high: float
    guaranteed: int


def bulk_edges(dim: int, p: int, q: int, /) -> BulkEdges:
    """Return the limits of the squared cosines of principal angles between random subspaces, for large dim.

    Parameters
    ----------
    dim : int
        Dimension of the space.
    p : int
        Dimension of the first subspace.
    q : int
        Dimension of the second subspace.

    Returns
    -------
    BulkEdges
        (sqrt(a (1 - b)) -+ sqrt(b (1 - a)))^2 with a = p/dim and b = q/dim. Besides these, max(0, p + q - dim) squared
        cosines are 1.

    Raises
    ------
    InputError
        Unless 1 <= p, q <= dim.

    References
    ----------
    .. [1] Wachter (1980), The limiting empirical measure of multiple discriminant ratios.

    Examples
    --------
    >>> edges = bulk_edges(512, 362, 362)
    >>> round(edges.high, 4), edges.guaranteed
    (0.8286, 212)
    """
    _dimensions(dim, p, q)
    a, b = math.sqrt(p * (dim - q)) / dim, math.sqrt(q * (dim - p)) / dim
    return BulkEdges(low=(a - b) ** 2, high=(a + b) ** 2, guaranteed=max(0, p + q - dim))


def tracy_widom_edge(dim: int, p: int, q: int, /, *, level: float = 0.95) -> float:
    """Return the squared cosine that the smallest angle of two random subspaces stays below with a given probability.

    Dimensions that the ranks alone guarantee are not counted.

    Parameters
    ----------
    dim : int
        Dimension of the space.
    p : int
        Dimension of the first subspace.
    q : int
        Dimension of the second subspace.
    level : float, default 0.95
        Probability, between 0 and 1.

    Returns
    -------
    float
        Squared cosine. If p + q is close to dim it is close to 1, and no cosine can be significant.

    Raises
    ------
    InputError
        Unless 1 <= p, q < dim, p + q differs from dim, and 0 < level < 1.

    Notes
    -----
    Johnstone's logit form is used. Let N = dim - 1, sin^2(g/2) = (min - 1/2)/N and sin^2(f/2) = (max - 1/2)/N. Then mu
    = 2 log tan((f + g)/2) and sigma^3 = 16 / (N^2 sin^2(f + g) sin f sin g). The edge is logistic(mu + s sigma), where
    s is the quantile of the Tracy-Widom law of order 1. If p + q > dim, the dimensions of the complements replace p and
    q. For a line the exact Beta law is used.

    References
    ----------
    .. [1] Johnstone (2008), Multivariate analysis and Jacobi ensembles, arXiv 0803.3408.

    Examples
    --------
    >>> round(tracy_widom_edge(512, 100, 100), 4)
    0.6379
    """
    # The quantiles of scipy.stats, without the second that its import takes.
    from scipy.special import betaincinv

    _dimensions(dim, p, q)
    if dim in (p, q, p + q):
        raise InputError(
            f"subspaces of dimensions {p} and {q} in R^{dim}: random ones are as close as possible, which leaves no "
            f"test; expected dimensions that neither reach nor add up to {dim}"
        )
    if not 0.0 < level < 1.0:
        raise InputError(f"level = {level:g}, expected a probability between 0 and 1")
    if p + q > dim:
        p, q = dim - p, dim - q
    small, large = min(p, q), max(p, q)
    if small == 1:
        return float(betaincinv(large / 2, (dim - large) / 2, level))
    g, f = (2.0 * math.asin(math.sqrt((k - 0.5) / (dim - 1))) for k in (small, large))
    sigma = (16.0 / ((dim - 1) ** 2 * math.sin(f + g) ** 2 * math.sin(f) * math.sin(g))) ** (1 / 3)
    return 1.0 / (1.0 + math.exp(-2.0 * math.log(math.tan(0.5 * (f + g))) - tracy_widom_quantile(level) * sigma))


def random_principal_angles(dim: int, p: int, q: int, /, *, draws: int, rng: int | np.random.Generator) -> np.ndarray:
    """Draw principal angles between random subspaces.

    Parameters
    ----------
    dim : int
        Dimension of the space.
    p : int
        Dimension of the first subspace.
    q : int
        Dimension of the second subspace.
    draws : int
        Number of pairs of subspaces.
    rng : int or numpy.random.Generator
        Seed.

    Returns
    -------
    ndarray of shape (draws, min(p, q))
        Angles in degrees, ascending in each row.

    Raises
    ------
    InputError
        Unless 1 <= p, q <= dim and draws >= 1.

    Notes
    -----
    One subspace may stay fixed, and rotations inside it or its complement change nothing. Only the triangular factors
    of two Gaussian blocks are drawn, which costs O(m^3) for m = min(p, q), whatever dim is. If p + q > dim, the
    subspaces share p + q - dim dimensions. Their other angles are those of their complements, which are drawn instead.

    Examples
    --------
    >>> random_principal_angles(512, 3, 5, draws=2, rng=0).shape
    (2, 3)
    """
    _dimensions(dim, p, q)
    if draws < 1:
        raise InputError(f"draws = {draws}, expected at least 1")
    guaranteed = max(0, p + q - dim)
    if guaranteed:
        p, q = dim - p, dim - q
    small, large = min(p, q), max(p, q)
    series = _seeded(rng, dim, small, large) if isinstance(rng, int) else _Draws(rng, dim, small, large)
    out = np.zeros((draws, guaranteed + small))
    if small:
        out[:, guaranteed:] = series.first(draws)
    return np.degrees(out)


class _Draws:
    """Draws of a generator, each computed once: measures, hypotheses and figures compare with the same ones."""

    def __init__(self, rng: int | np.random.Generator, dim: int, small: int, large: int) -> None:
        self._rng, self._shape = np.random.default_rng(rng), (dim, small, large)
        self._rows: list[np.ndarray] = []
        self._lock = threading.Lock()

    def first(self, draws: int) -> np.ndarray:
        """Return the angles of the first draws in radians, (draws, small)."""
        with self._lock:
            while len(self._rows) < draws:
                self._rows.append(_random_angles(self._rng, *self._shape))
            return np.stack(self._rows[:draws])


@lru_cache(maxsize=16)
def _seeded(seed: int, dim: int, small: int, large: int) -> _Draws:
    return _Draws(seed, dim, small, large)


def _random_angles(rng: np.random.Generator, dim: int, small: int, large: int) -> np.ndarray:
    """Return the principal angles of one draw in radians, ascending, shape (small,), for small + large <= dim."""
    basis = np.linalg.qr(np.concatenate([_triangular(rng, large, small), _triangular(rng, dim - large, small)]))[0]
    cosines = np.linalg.svd(basis[:small], compute_uv=False)
    sines = np.linalg.svd(basis[small:], compute_uv=False)[::-1]
    return np.where(cosines**2 < 0.5, np.arccos(np.minimum(cosines, 1.0)), np.arcsin(np.minimum(sines, 1.0)))


def _triangular(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return the R factor of a Gaussian matrix of `rows` and `columns`, rows >= columns (Bartlett's decomposition)."""
    R = np.triu(rng.standard_normal((columns, columns)), 1)
    R[np.diag_indices(columns)] = np.sqrt(rng.chisquare(rows - np.arange(columns)))
    return R


def _dimensions(dim: int, p: int, q: int) -> None:
    if not (1 <= p <= dim and 1 <= q <= dim):
        raise InputError(f"p = {p}, q = {q} in R^{dim}, expected 1 <= p, q <= {dim}")
