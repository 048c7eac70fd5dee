"""What chance gives: principal angles between random subspaces, and the edge beyond which an angle means
something.

Two generic subspaces of dimensions p and q of R^d share max(0, p + q - d) dimensions exactly, and many more
nearly: a large cosine is evidence of a shared space only beyond the edge of this null.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.utils.errors import InputError


@dataclass(frozen=True)
class BulkEdges:
    """Edges of the squared cosines of random subspaces: `low` and `high` in [0, 1], and the number
    `guaranteed` to be 1.
    """

    low: float
    high: float
    guaranteed: int


def bulk_edges(dim: int, p: int, q: int, /) -> BulkEdges:
    """Limits of the squared cosines of the principal angles between random subspaces of dimensions `p`, `q`
    of R^dim.

    (sqrt(a (1 - b)) -+ sqrt(b (1 - a)))^2 with a = p/dim, b = q/dim, besides max(0, p + q - dim) exact ones.
    Holds for large dim. Source: Wachter (1980), The limiting empirical measure of multiple discriminant
    ratios.

    Raises `InputError` unless 1 <= p, q <= dim.

    >>> edges = bulk_edges(512, 362, 362)
    >>> round(edges.high, 4), edges.guaranteed
    (0.8286, 212)
    """
    _dimensions(dim, p, q)
    one, two = math.sqrt(p * (dim - q)) / dim, math.sqrt(q * (dim - p)) / dim
    return BulkEdges(low=(one - two) ** 2, high=(one + two) ** 2, guaranteed=max(0, p + q - dim))


def tracy_widom_edge(dim: int, p: int, q: int, /, *, level: float = 0.95) -> float:
    """The squared cosine that the largest non-forced one of two random subspaces stays below with
    probability `level`.

    Johnstone's logit form: N = dim - 1, sin^2(g/2) = (min - 1/2)/N, sin^2(f/2) = (max - 1/2)/N,
    mu = 2 log tan((f + g)/2), sigma^3 = 16 / (N^2 sin^2(f + g) sin f sin g), edge = logistic(mu + s sigma),
    s the quantile of the Tracy-Widom law of order 1. If p + q > dim the complements' dimensions take the
    place of p and q; for a line the exact Beta law is used. Where p + q is near dim the edge is near 1: no
    cosine can be significant there. Source: Johnstone (2008), arXiv 0803.3408; the quantile by Chiani
    (2014), arXiv 1209.3394.

    Raises `InputError` unless 1 <= p, q < dim (a subspace that is all of R^dim leaves nothing to test), p + q
    differs from dim, and 0 < level < 1.

    >>> round(tracy_widom_edge(512, 100, 100), 4)
    0.6379
    """
    from scipy.special import (
        betaincinv,
        gammaincinv,
    )  # the quantiles of scipy.stats without the second it takes to load

    _dimensions(dim, p, q)
    if dim in (p, q, p + q):
        raise InputError(
            f"subspaces of dimensions {p} and {q} in R^{dim} came: random ones come as near as can be, "
            "so that there is no test; give dimensions that neither reach nor add up to the whole."
        )
    if not 0.0 < level < 1.0:
        raise InputError(f"level = {level:g} came: give a probability between 0 and 1.")
    if p + q > dim:
        p, q = dim - p, dim - q
    few, many = min(p, q), max(p, q)
    if few == 1:
        return float(betaincinv(many / 2, (dim - many) / 2, level))
    g, f = (2.0 * math.asin(math.sqrt((k - 0.5) / (dim - 1))) for k in (few, many))
    sigma = (16.0 / ((dim - 1) ** 2 * math.sin(f + g) ** 2 * math.sin(f) * math.sin(g))) ** (1 / 3)
    quantile = 0.186054 * float(gammaincinv(46.446, level)) - 9.84801
    return 1.0 / (1.0 + math.exp(-2.0 * math.log(math.tan(0.5 * (f + g))) - quantile * sigma))


def random_principal_angles(dim: int, p: int, q: int, /, *, draws: int, rng: int | np.random.Generator) -> np.ndarray:
    """Principal angles in degrees, ascending, of `draws` pairs of random subspaces: shape (draws, min(p, q)).

    One subspace may stay fixed, and a rotation inside it or its complement changes nothing: only the
    triangular factors of two Gaussian blocks are drawn, O(m^3) per draw for m = min(p, q), whatever dim is.
    Subspaces that overfill the space (p + q > dim) share p + q - dim dimensions, and their other angles are
    those of their complements, which are drawn in their place.

    Raises `InputError` unless 1 <= p, q <= dim and draws >= 1.

    >>> random_principal_angles(512, 3, 5, draws=2, rng=0).shape
    (2, 3)
    """
    _dimensions(dim, p, q)
    if draws < 1:
        raise InputError(f"draws = {draws} came: give at least 1.")
    rng = np.random.default_rng(rng)
    forced = max(0, p + q - dim)
    if forced:
        p, q = dim - p, dim - q
    few, many = min(p, q), max(p, q)
    out = np.zeros((draws, forced + few))
    for row in out[:, forced:]:
        row[:] = _random_angles(rng, dim, few, many)
    return np.degrees(out)


def _random_angles(rng: np.random.Generator, dim: int, few: int, many: int) -> np.ndarray:
    """Principal angles in radians, ascending, (few,), of one draw; few + many <= dim."""
    basis = np.linalg.qr(np.concatenate([_triangular(rng, many, few), _triangular(rng, dim - many, few)]))[0]
    cosines = np.linalg.svd(basis[:few], compute_uv=False)
    sines = np.linalg.svd(basis[few:], compute_uv=False)[::-1]
    return np.where(cosines**2 < 0.5, np.arccos(np.minimum(cosines, 1.0)), np.arcsin(np.minimum(sines, 1.0)))


def _triangular(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """The R factor of a Gaussian matrix of `rows` and `columns`, rows >= columns (Bartlett)."""
    R = np.triu(rng.standard_normal((columns, columns)), 1)
    R[np.diag_indices(columns)] = np.sqrt(rng.chisquare(rows - np.arange(columns)))
    return R


def _dimensions(dim: int, p: int, q: int) -> None:
    if not (1 <= p <= dim and 1 <= q <= dim):
        raise InputError(f"dimensions p = {p}, q = {q} in R^{dim} came: give 1 <= p, q <= dim.")
