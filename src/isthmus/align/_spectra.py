"""Powers of covariances, each decomposition computed once for each set of moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from isthmus.statistics.moments import Moments

T = TypeVar("T")


def cached(moments: Moments, key: tuple, compute: Callable[[], T]) -> T:
    """`compute()`, kept with these moments: `Auto` solves many aligners on the same ones."""
    store = moments.__dict__.setdefault("_solutions", {})
    if key not in store:
        store[key] = compute()
    return store[key]


def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (d,), at least zero, and eigenvectors (d, d) of a covariance."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.clip(values, 0, None), vectors


def spectrum(moments: Moments, side: str) -> tuple[np.ndarray, np.ndarray]:
    """`eigen` of the covariance of the side 'x' or 'y'."""
    return cached(moments, ("spectrum", side), lambda: eigen(moments.cov_x if side == "x" else moments.cov_y))


def damping(values: np.ndarray, vectors: np.ndarray, alpha: float, lam: float) -> np.ndarray:
    """V (e + lam mean(e))^-alpha V', (d, d): a whitening at alpha = .5, lam = 0."""
    return (vectors * shrunk(values, lam) ** -alpha) @ vectors.T


def shrunk(values: np.ndarray, lam: float) -> np.ndarray:
    """e + lam mean(e), kept above the rounding of the largest."""
    mean = float(values.mean())
    floor = 1e-12 * float(values.max()) if mean > 0 else 1.0
    return np.maximum(values + lam * mean, floor)


def whitening(moments: Moments, side: str, alpha: float, lam: float) -> np.ndarray:
    """The partial whitening (d, d) of one side; symmetric."""
    return cached(
        moments, ("whitening", side, alpha, lam), lambda: damping(*spectrum(moments, side), alpha, lam)
    )  # fmt: skip


def canonical(moments: Moments, lam: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Canonical directions (d_x, m) and (d_y, m) of regularised CCA, and canonical correlations (m,) descending."""

    def solve() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        white_x, white_y = whitening(moments, "x", 0.5, lam), whitening(moments, "y", 0.5, lam)
        left, rho, right = np.linalg.svd(white_x @ moments.cov_xy @ white_y, full_matrices=False)
        signs = np.sign(left[np.argmax(np.abs(left), axis=0), np.arange(left.shape[1])])
        return white_x @ (left * signs), white_y @ (right.T * signs), np.minimum(rho, 1.0)

    return cached(moments, ("canonical", lam), solve)


def canonical_turned(moments: Moments, lam: float, g: float) -> tuple[np.ndarray, np.ndarray]:
    """Both sides' canonical directions weighted by rho^g and turned back by the left singular vectors: scores stay, and
    neither the signs nor the order of the directions leave a trace, so that fits on like data are alike."""
    left, right, rho = canonical(moments, lam)
    values, vectors = spectrum(moments, "x")
    back = (vectors * np.sqrt(shrunk(values, lam))) @ (vectors.T @ left)  # w_x^-1 left, orthonormal
    return (left * rho**g) @ back.T, (right * rho**g) @ back.T


def difference(moments: Moments, map_x: np.ndarray, map_y: np.ndarray) -> np.ndarray:
    """Covariance (k, k) of x @ map_x - y @ map_y over the pairs."""
    cross = map_x.T @ moments.cov_xy @ map_y
    return map_x.T @ moments.cov_x @ map_x + map_y.T @ moments.cov_y @ map_y - cross - cross.T
