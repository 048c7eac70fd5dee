"""The first eigenvector of a covariance, at a small share of the cost of all of them."""

from __future__ import annotations

import numpy as np

#: Columns of the block, steps before all eigenvectors are computed instead, and error of the eigenvector equation as a
#: share of the eigenvalue.
BLOCK, MAX_STEPS, TOLERANCE = 8, 60, 1e-10


def leading_eigenvector(matrix: np.ndarray, /) -> np.ndarray:
    """Return the eigenvector of the largest eigenvalue of a positive semidefinite matrix, by subspace iteration.

    Parameters
    ----------
    matrix : array of shape (d, d)
        Symmetric positive semidefinite matrix.

    Returns
    -------
    numpy.ndarray of shape (d,)
        Unit vector, whose sign is arbitrary.

    Examples
    --------
    >>> abs(leading_eigenvector(np.diag([1.0, 9.0, 4.0]))).round(8).tolist()
    [0.0, 1.0, 0.0]
    """
    width = len(matrix)
    if width > 4 * BLOCK:
        block = np.random.default_rng(0).standard_normal((width, BLOCK))
        for _ in range(MAX_STEPS):
            basis = np.linalg.qr(block)[0]
            block = matrix @ basis
            values, rotation = np.linalg.eigh(basis.T @ block)
            vector: np.ndarray = basis @ rotation[:, -1]
            if np.linalg.norm(block @ rotation[:, -1] - values[-1] * vector) <= TOLERANCE * values[-1]:
                return vector
    last: np.ndarray = np.linalg.eigh(matrix)[1][:, -1]
    return last
