"""Fidelity of two positive semidefinite matrices."""

from __future__ import annotations

import numpy as np

from isthmus.compute.arrays import Array, to_numpy
from isthmus.utils.errors import InputError


def fidelity(P: Array, Q: Array, /) -> float:
    """Nuclear norm of P^{1/2} Q^{1/2} for positive semidefinite `P`, `Q` (d, d): the largest trace of a
    cross-covariance.

    In [0, sqrt(tr P tr Q)], symmetric, tr P if P = Q. Taken from eigenvectors and one SVD, so that singular
    matrices need no regularisation; eigenvalues at rounding level count as zero. Source: Uhlmann (1976); as
    the largest trace, Olkin and Pukelsheim (1982), The distance between two random vectors with given
    dispersion matrices.

    Raises `InputError` for matrices that are not square, finite, symmetric, positive semidefinite and of
    one size.

    >>> import numpy as np
    >>> round(fidelity(np.diag([4.0, 0.0]), np.diag([9.0, 5.0])), 9)
    6.0
    """
    roots = []
    for matrix in (P, Q):
        values, vectors = psd_eigh(to_numpy(matrix).astype(np.float64))
        roots.append(vectors[:, values > 0.0] * np.sqrt(values[values > 0.0]))
    if roots[0].shape[0] != roots[1].shape[0]:
        raise InputError(
            f"matrices of {roots[0].shape[0]} and {roots[1].shape[0]} rows came: give two of the same size."
        )
    if 0 in (roots[0].shape[1], roots[1].shape[1]):
        return 0.0
    return factor_fidelity(*roots)


def factor_fidelity(A: np.ndarray, B: np.ndarray) -> float:
    """Return the fidelity of A A' and B B', the nuclear norm of A'B, for factors `A` (d, r) and `B` (d, s)."""
    return float(np.sum(np.linalg.svd(A.T @ B, compute_uv=False)))


def psd_eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descending eigenvalues of a positive semidefinite matrix, rounding noise set to zero, and the
    vectors.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.all(np.isfinite(matrix)):
        raise InputError(f"a matrix of shape {matrix.shape} came: give a finite square matrix (d, d).")
    scale = float(np.max(np.abs(matrix), initial=0.0))
    if np.max(np.abs(matrix - matrix.T), initial=0.0) > 1e-6 * scale:
        raise InputError("a matrix that is not symmetric came: give covariances or second moments.")
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    top = max(float(values[-1]), 0.0)
    if values[0] < -1e-5 * max(top, scale):
        raise InputError(
            f"a matrix with eigenvalue {values[0]:.3g} (largest {values[-1]:.3g}) came: give positive "
            "semidefinite covariances or second moments."
        )
    return _clip(values), vectors[:, ::-1]


def covariance_eigh(cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the descending eigenvalues of a covariance (d, d) and its eigenvectors (d, d).

    Eigenvalues at rounding level become zero, because their square roots would not be small. The matrix is not
    validated: the covariance of constant rows consists of rounding errors of either sign.
    """
    values, vectors = np.linalg.eigh(cov)
    return _clip(values), vectors[:, ::-1]


def _clip(ascending: np.ndarray) -> np.ndarray:
    """Return the eigenvalues in descending order, those at rounding level set to zero."""
    top = max(float(ascending[-1]), 0.0)
    return np.where(ascending > 4.0 * np.finfo(float).eps * top, ascending, 0.0)[::-1]
