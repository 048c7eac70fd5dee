"""Powers of covariances. Each decomposition is computed once per set of moments."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from isthmus.linalg import remembered
from isthmus.linalg.shared_directions import EnergySubspaces
from isthmus.statistics.moments import Moments

#: Variance that is rounding, as a share of the largest one.
ROUNDING = 1e-12
#: Variance that the subtraction of the mean leaves, as a share of the mean squared length.
MEAN_ROUNDING = 1e-13

T = TypeVar("T")


class _Entry:
    """A decomposition, which one thread computes while others wait for it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.values: list[Any] = []


#: Decompositions by the id of their moments, which have no hash. An entry is removed together with its moments.
_CACHES: dict[int, dict[Any, _Entry]] = {}
_LOCK = threading.Lock()


def cached(moments: Moments, key: tuple, compute: Callable[[], T]) -> T:
    """Return `compute()`, cached per moments and key, because `Auto` solves many aligners on the same moments."""
    with _LOCK:
        if id(moments) not in _CACHES:
            _CACHES[id(moments)] = {}
            weakref.finalize(moments, _CACHES.pop, id(moments), None)
        entry = _CACHES[id(moments)].setdefault(key, _Entry())
    with entry.lock:
        if not entry.values:
            entry.values.append(compute())
    value: T = entry.values[0]
    return value


def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues (d,), clipped at zero, and the eigenvectors (d, d) of a covariance."""
    values, vectors = remembered.eigh((matrix + matrix.T) / 2)
    return np.clip(values, 0, None), vectors


def spectrum(moments: Moments, modality: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `eigen` of the covariance of modality 'x' or 'y', without the rounding of a constant modality."""

    def compute() -> tuple[np.ndarray, np.ndarray]:
        cov, gram = (moments.cov_x, moments.xx) if modality == "x" else (moments.cov_y, moments.yy)
        values, vectors = eigen(cov)
        return np.where(values > MEAN_ROUNDING * float(np.trace(gram)) / moments.n, values, 0.0), vectors

    return cached(moments, ("spectrum", modality), compute)


def energy_subspaces(moments: Moments, energy: float) -> EnergySubspaces:
    """Return the subspaces that hold a share of the energy of each modality."""
    cache_key = ("energy subspaces", energy)
    return cached(moments, cache_key, lambda: EnergySubspaces.of(moments.xx, moments.yy, energy=energy))


def inverse_power(values: np.ndarray, vectors: np.ndarray, alpha: float, lam: float) -> np.ndarray:
    """Return V (e + lam mean(e))^-alpha V', (d, d), which is a whitening at alpha = .5 and lam = 0."""
    return weighted_projection(vectors, shrunk_eigenvalues(values, lam) ** -alpha)


def weighted_projection(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return V w V', (d, d), for weights (m,) of 0 or more. A product with its own transpose costs half."""
    table = vectors * np.sqrt(weights)
    return table @ table.T


def shrunk_eigenvalues(values: np.ndarray, lam: float) -> np.ndarray:
    """Return e + lam mean(e), bounded below by 1e-12 of the largest eigenvalue, which is its rounding error."""
    mean = float(values.mean())
    floor = 1e-12 * float(values.max()) if mean > 0 else 1.0
    return np.maximum(values + lam * mean, floor)


def whitening(moments: Moments, modality: str, alpha: float, lam: float) -> np.ndarray:
    """Return the symmetric partial whitening (d, d) of modality 'x' or 'y'."""
    cache_key = ("whitening", modality, alpha, lam)
    return cached(moments, cache_key, lambda: inverse_power(*spectrum(moments, modality), alpha, lam))


def canonical_directions(moments: Moments, lam: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the directions (d_x, m), (d_y, m) and the descending correlations (m,) of regularised CCA."""

    def solve() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        white_x, white_y = whitening(moments, "x", 0.5, lam), whitening(moments, "y", 0.5, lam)
        left_vectors, rho, right_vectors = remembered.svd(white_x @ moments.cov_xy @ white_y, full_matrices=False)
        signs = np.sign(left_vectors[np.argmax(np.abs(left_vectors), axis=0), np.arange(left_vectors.shape[1])])
        return white_x @ (left_vectors * signs), white_y @ (right_vectors.T * signs), np.minimum(rho, 1.0)

    return cached(moments, ("canonical", lam), solve)


def canonical_form(moments: Moments, lam: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cross-covariance M (d_x, d_y) of whitened rows, and the eigenpairs of (M M')^(1/2).

    The eigenvalues are the ascending canonical correlations. The eigenvectors are the left singular vectors of M. Their
    decomposition costs half of a singular value decomposition, and its errors are small where M is.
    """

    def solve() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cross = whitened_cross(moments, 0.5, lam)
        squares, vectors = remembered.eigh(cross @ cross.T)
        return cross, np.sqrt(np.clip(squares, 0.0, 1.0)), vectors

    return cached(moments, ("canonical form", lam), solve)


def canonical_maps(moments: Moments, lam: float, g: float) -> tuple[np.ndarray, np.ndarray]:
    """Return canonical directions weighted by rho^g and rotated back by the left singular vectors.

    The rotation changes no score. It makes the result independent of the signs and the order of the directions, so that
    fits to similar data give similar maps.
    """
    if g >= 1:
        # The right singular vectors are M' L / rho, so that rho^(g - 1) suffices for the second map.
        cross, rho, left_vectors = canonical_form(moments, lam)
        white_x, white_y = whitening(moments, "x", 0.5, lam), whitening(moments, "y", 0.5, lam)
        return white_x @ weighted_projection(left_vectors, rho**g), white_y @ (
            cross.T @ weighted_projection(left_vectors, rho ** (g - 1))
        )
    directions_x, directions_y, rho = canonical_directions(moments, lam)
    values, vectors = spectrum(moments, "x")
    # w_x^-1 directions_x, which is orthonormal
    back = (vectors * np.sqrt(shrunk_eigenvalues(values, lam))) @ (vectors.T @ directions_x)
    return (directions_x * rho**g) @ back.T, (directions_y * rho**g) @ back.T


def whitened_cross(moments: Moments, alpha: float, lam: float) -> np.ndarray:
    """Return the cross-covariance (d, d) of partially whitened rows."""

    def compute() -> np.ndarray:
        return whitening(moments, "x", alpha, lam) @ moments.cov_xy @ whitening(moments, "y", alpha, lam)

    return cached(moments, ("whitened cross", alpha, lam), compute)


def whitened_variances(values: np.ndarray, alpha: float, lam: float) -> np.ndarray:
    """Return the eigenvalues (d,) of the covariance of partially whitened rows, from those of the rows."""
    return values * shrunk_eigenvalues(values, lam) ** (-2 * alpha)


def difference_spectrum(moments: Moments, alpha: float, lam: float) -> tuple[np.ndarray, np.ndarray]:
    """Return `eigen` of the covariance of x W_x - y W_y over the pairs, with partial whitenings W. Rounding is 0."""

    def compute() -> tuple[np.ndarray, np.ndarray]:
        cross = whitened_cross(moments, alpha, lam)
        total, largest = -cross - cross.T, 0.0
        for modality in "xy":
            values, vectors = spectrum(moments, modality)  # they are those of the whitening too
            variances = whitened_variances(values, alpha, lam)
            total += weighted_projection(vectors, variances)
            largest = max(largest, float(variances.max()))
        values, vectors = eigen(total)
        return np.where(values > ROUNDING * largest, values, 0.0), vectors

    return cached(moments, ("difference", alpha, lam), compute)
