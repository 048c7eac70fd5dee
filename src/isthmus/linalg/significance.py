"""Leading directions of a cloud: those above its noise, and those that hold a share of its energy."""

from __future__ import annotations

import numpy as np

from isthmus.linalg import remembered

#: Singular values below this share of the largest are rounding of float32 rows, not signal.
ROUNDING_SHARE = 1e-4
#: Share of the energy that the subspace of one modality holds by default (the choice of arXiv 2510.03268).
ENERGY_SHARE = 0.99


def significant_directions(gram: np.ndarray, n_rows: int, /, *, min_rank: int = 0) -> np.ndarray:
    """Return the principal directions that stand out of noise of unknown level.

    Parameters
    ----------
    gram : ndarray of shape (d, d)
        X'X / n, or a covariance.
    n_rows : int
        Number of independent rows, n - 1 after centring.
    min_rank : int, default 0
        Least number of directions to return.

    Returns
    -------
    ndarray of shape (d, r)
        Orthonormal directions, the strongest first.

    See Also
    --------
    significant_rank : The threshold.

    References
    ----------
    .. [1] Gavish and Donoho (2014), The optimal hard threshold for singular values is 4/sqrt(3), arXiv 1305.5870.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1)) @ np.eye(20)[:1] + 0.1 * rng.normal(size=(500, 20))
    >>> significant_directions(X.T @ X / 500, 500).shape
    (20, 1)
    """
    singular_values, directions = principal_directions(gram)
    rank = significant_rank(singular_values, n_rows)
    return np.ascontiguousarray(directions[:, : max(rank, min_rank)])


def significant_rank(singular_values: np.ndarray, n_rows: int, /) -> int:
    """Count the singular values that stand out of noise of unknown level.

    Parameters
    ----------
    singular_values : ndarray of shape (d,)
        Singular values of the rows, descending.
    n_rows : int
        Number of independent rows.

    Returns
    -------
    int
        Number of singular values above the threshold.

    Notes
    -----
    The threshold is omega(beta) times the median singular value, where beta is the ratio of the smaller to the larger
    of n and d:

    omega(beta) = 0.56 beta^3 - 0.95 beta^2 + 1.82 beta + 1.43.

    Values below 1e-4 of the largest are never counted.

    References
    ----------
    .. [1] Gavish and Donoho (2014), The optimal hard threshold for singular values is 4/sqrt(3), arXiv 1305.5870.

    Examples
    --------
    >>> significant_rank(np.array([9.0, 1.1, 1.0, 0.9]), 10_000)
    1
    """
    n_values = min(n_rows, len(singular_values))  # a matrix of that many rows has no more singular values
    beta = n_values / max(n_rows, len(singular_values))
    noise = (0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43) * float(np.median(singular_values[:n_values]))
    return int(np.sum(singular_values[:n_values] > max(noise, ROUNDING_SHARE * singular_values[0])))


def energy_rank(singular_values: np.ndarray, energy: float = ENERGY_SHARE) -> int:
    """Return the least number of leading singular values whose squares hold a share of the total.

    Parameters
    ----------
    singular_values : ndarray of shape (d,)
        Singular values, descending.
    energy : float, default 0.99
        Share of the sum of squares, above 0 and up to 1.

    Returns
    -------
    int
        The rank, from 1 to d.

    Examples
    --------
    >>> energy_rank(np.array([3.0, 1.0, 0.1]), 0.99)
    2
    """
    share = np.cumsum(singular_values**2) / np.sum(singular_values**2)
    # The tolerance keeps rounding of the sum from adding a dimension.
    return int(np.searchsorted(share, energy - 1e-12) + 1)


def principal_directions(gram: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return the singular values of the rows and their right singular vectors, the strongest first.

    Parameters
    ----------
    gram : ndarray of shape (d, d)
        X'X, X'X / n or a covariance. The singular values scale with its root.

    Returns
    -------
    singular_values : ndarray of shape (d,)
        Roots of the eigenvalues of `gram`, descending. Negative rounding noise counts as zero.
    directions : ndarray of shape (d, d)
        Orthonormal columns in the same order.

    Examples
    --------
    >>> principal_directions(np.diag([1.0, 9.0]))[0].tolist()
    [3.0, 1.0]
    """
    values, vectors = remembered.eigh(gram)
    return np.sqrt(np.clip(values[::-1], 0.0, None)), vectors[:, ::-1]
