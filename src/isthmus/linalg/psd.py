"""Positive semidefinite matrices: eigenvalues and fidelity."""

from __future__ import annotations

import numpy as np

from isthmus.compute.arrays import Array, to_numpy
from isthmus.linalg import remembered
from isthmus.utils.errors import InputError

#: Smallest pivot of a covariance, relative to its largest variance, whose Cholesky factor is used.
MIN_PIVOT = 1e-10


def fidelity(P: Array, Q: Array, /, *, noise: float = 0.0) -> float:
    """Return the fidelity of two positive semidefinite matrices, the nuclear norm of P^{1/2} Q^{1/2}.

    It is the largest trace of a cross-covariance of two random vectors with these covariances.

    Parameters
    ----------
    P : array of shape (d, d)
        Positive semidefinite matrix.
    Q : array of shape (d, d)
        Positive semidefinite matrix.
    noise : float, default 0.0
        Size of the rounding errors of both. A covariance of constant rows consists of them, and counts as zero.

    Returns
    -------
    float
        A number in [0, sqrt(tr P tr Q)], symmetric in both, and tr P if P = Q.

    Raises
    ------
    InputError
        If a matrix is not square, finite, symmetric and positive semidefinite, or the sizes differ.

    Notes
    -----
    The value is taken from eigenvectors and one SVD, so that singular matrices need no regularisation. Eigenvalues at
    rounding level count as zero.

    References
    ----------
    .. [1] Uhlmann (1976), The transition probability in the state space of a *-algebra.
    .. [2] Olkin and Pukelsheim (1982), The distance between two random vectors with given dispersion matrices.

    Examples
    --------
    >>> import numpy as np
    >>> round(fidelity(np.diag([4.0, 0.0]), np.diag([9.0, 5.0])), 9)
    6.0
    """
    roots = []
    for matrix in (P, Q):
        values, vectors = psd_eigh(to_numpy(matrix).astype(np.float64), noise=noise)
        roots.append(vectors[:, values > 0.0] * np.sqrt(values[values > 0.0]))
    if roots[0].shape[0] != roots[1].shape[0]:
        raise InputError(f"roots of {roots[0].shape[0]} and {roots[1].shape[0]} rows, expected two of the same size")
    if 0 in (roots[0].shape[1], roots[1].shape[1]):
        return 0.0
    return factor_fidelity(*roots)


def factor_fidelity(A: np.ndarray, B: np.ndarray) -> float:
    """Return the fidelity of A A' and B B', the nuclear norm of A'B, for factors `A` (d, r) and `B` (d, s)."""
    A, B = (factor[:, factor.any(axis=0)] for factor in (A, B))  # zeros of a small rank cost time and precision
    return remembered.nuclear_norm(A.T @ B) if A.size and B.size else 0.0


def covariance_fidelity(cov_x: np.ndarray, cov_y: np.ndarray) -> float:
    """Return the fidelity of two covariances (d, d) of data. Constant rows have the fidelity zero."""
    return factor_fidelity(*(covariance_factor(cov) for cov in (cov_x, cov_y)))


def row_fidelity(x: np.ndarray, y: np.ndarray) -> float:
    """Return the fidelity of the covariances of rows (n, d) and (m, d), which costs little where rows are few."""
    factors = [_centred_factor(np.asarray(rows, dtype=np.float64)) for rows in (x, y)]
    return factor_fidelity(*factors)


def _centred_factor(rows: np.ndarray) -> np.ndarray:
    """Return A with A A' = the covariance of rows (n, d), (d, n - 1).

    A reflection takes the vector of ones to the first axis. The other rows are then centred, and have full rank, unlike
    the rows minus their mean.
    """
    n = len(rows)
    normal = np.full(n, 1 / np.sqrt(n))
    normal[0] += 1
    reflected = rows[1:] - np.outer(normal[1:], (normal @ rows) / normal[0])
    return reflected.T / np.sqrt(n)


def covariance_factor(cov: np.ndarray) -> np.ndarray:
    """Return A with A A' = cov, (d, d). Any factor gives the fidelity, and that of Cholesky costs a tenth."""
    try:
        factor = np.linalg.cholesky(cov)
        if float(np.min(np.diagonal(factor))) ** 2 > MIN_PIVOT * float(np.max(np.diagonal(cov))):
            return factor
    except np.linalg.LinAlgError:
        pass
    values, vectors = covariance_eigh(cov)
    return vectors * np.sqrt(values)


def psd_eigh(matrix: np.ndarray, *, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return descending eigenvalues of a positive semidefinite matrix, rounding noise set to zero, and eigenvectors."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.all(np.isfinite(matrix)):
        raise InputError(f"a covariance of shape {matrix.shape}, expected finite values of shape (d, d)")
    scale = float(np.max(np.abs(matrix), initial=0.0))
    if np.max(np.abs(matrix - matrix.T), initial=0.0) > max(1e-6 * scale, noise):
        raise InputError("a covariance is not symmetric, expected covariances or second moments")
    values, vectors = remembered.eigh(0.5 * (matrix + matrix.T))
    largest = max(float(values[-1]), 0.0)
    if values[0] < -max(1e-5 * max(largest, scale), noise):
        raise InputError(
            f"a covariance has the variance {values[0]:.3g} along a direction (the largest is {values[-1]:.3g}), "
            "expected covariances or second moments, which have no negative variance"
        )
    return _clip(values), vectors[:, ::-1]


def covariance_eigh(cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the descending eigenvalues of a covariance (d, d) and its eigenvectors (d, d).

    Eigenvalues at rounding level become zero, because their square roots would not be small. The matrix is not
    validated: the covariance of constant rows consists of rounding errors of either sign.
    """
    values, vectors = remembered.eigh(cov)
    return _clip(values), vectors[:, ::-1]


def _clip(ascending: np.ndarray) -> np.ndarray:
    """Return the eigenvalues in descending order, those at rounding level set to zero."""
    largest = max(float(ascending[-1]), 0.0)
    return np.where(ascending > 4.0 * np.finfo(float).eps * largest, ascending, 0.0)[::-1]
