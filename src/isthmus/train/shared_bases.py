"""Orthonormal bases of the space that both sides share, from covariances: what `SharedSpaceAlignment` projects onto."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus.linalg.shared_directions import SharedSpace
from isthmus.linalg.significance import significant_directions

#: (covariance of x, of y, of x with y, effective number of rows, k) -> basis (d, at most k), (d, 0) for nothing
Estimator = Callable[[np.ndarray, np.ndarray, np.ndarray, float, int | None], np.ndarray]


def overlap(cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None) -> np.ndarray:
    """Midpoints of the principal vectors of the significant subspaces (Gavish and Donoho) that lie closer than chance
    allows (95 % Tracy-Widom edge), those with the most variance of both sides first. Does not look at the pairing."""
    space = SharedSpace(*(significant_directions(cov, max(2, int(rows) - 1)) for cov in (cov_x, cov_y)))
    # Without a test, and where the ranks force as many, nothing is known to be shared.
    if not space.testable or space.count <= space.forced:
        return np.zeros((len(cov_x), 0))
    middle = space.midpoints()
    energy = (middle * ((cov_x + cov_y) @ middle)).sum(0)
    return middle[:, np.argsort(-energy)[:k]]


def cross_covariance(
    cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None
) -> np.ndarray:
    """The directions b in which partners covary most, max b'C_xy b: eigenvectors of the symmetric part of the
    cross-covariance with positive eigenvalues (partial least squares with one basis for both sides)."""
    return _leading((cov_xy + cov_xy.T) / 2, k)


def cca(cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None) -> np.ndarray:
    """Midpoints of the canonical directions of both sides, made orthonormal in the order of their correlations;
    covariances are regularised by their mean eigenvalue."""
    whiten = []
    for cov in (cov_x, cov_y):
        values, vectors = np.linalg.eigh(cov)
        whiten.append((vectors / np.sqrt(np.clip(values, 0, None) + values.mean())) @ vectors.T)
    left, correlations, right = np.linalg.svd(whiten[0] @ cov_xy @ whiten[1])
    size = min(_participation(correlations) if k is None else k, len(cov_x))
    directions = whiten[0] @ left[:, :size], whiten[1] @ right[:size].T
    middle = sum(side / np.linalg.norm(side, axis=0) for side in directions)
    return np.linalg.qr(middle)[0]


def joint_pca(cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None) -> np.ndarray:
    """The principal directions of both sides together, eigenvectors of C_x + C_y: a control, blind to sharing."""
    return _leading(cov_x + cov_y, k)


def _leading(symmetric: np.ndarray, k: int | None) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    values, vectors = values[::-1], vectors[:, ::-1]
    positive = values[values > 1e-12 * abs(values).max()]
    return vectors[:, : min(_participation(positive) if k is None else k, len(positive))]


def _participation(strengths: np.ndarray) -> int:
    """How many equal strengths are as concentrated as these, (sum)^2 / sum of squares, rounded up."""
    return int(np.ceil(strengths.sum() ** 2 / (strengths**2).sum() - 1e-9)) if len(strengths) else 0


ESTIMATORS: dict[str, Estimator] = {
    "cca": cca,
    "cross_covariance": cross_covariance,
    "joint_pca": joint_pca,
    "overlap": overlap,
}
