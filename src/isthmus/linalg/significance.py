"""Which directions of a cloud stand out of its noise."""

from __future__ import annotations

import numpy as np

#: Singular values below this share of the largest are rounding of float32 rows, not signal.
FLOOR = 1e-4


def significant_directions(gram: np.ndarray, rows: int, /, *, least: int = 0) -> np.ndarray:
    """Principal directions (d, r) that stand out of noise of unknown level, the strongest first.

    `gram` (d, d) is X'X / n or a covariance of `rows` independent rows (n - 1 after centring). Kept are the singular
    values above omega(beta) times their median, omega(beta) = .56 beta^3 - .95 beta^2 + 1.82 beta + 1.43 with beta the
    ratio of the sides, and above 1e-4 of the largest; at least `least`. Source: Gavish and Donoho 2014,
    arXiv 1305.5870.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1)) @ np.eye(20)[:1] + 0.1 * rng.normal(size=(500, 20))
    >>> significant_directions(X.T @ X / 500, 500).shape
    (20, 1)
    """
    values, vectors = np.linalg.eigh(gram)
    rank = significant_rank(np.sqrt(np.clip(values[::-1], 0.0, None)), rows)
    return np.ascontiguousarray(vectors[:, ::-1][:, : max(rank, least)])


def significant_rank(values: np.ndarray, rows: int, /) -> int:
    """How many singular values (d,), descending, of `rows` independent rows stand out of the noise, as above.

    >>> significant_rank(np.array([9.0, 1.1, 1.0, 0.9]), 10_000)
    1
    """
    real = min(rows, len(values))  # a matrix of that many rows has no more singular values
    beta = real / max(rows, len(values))
    noise = (0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43) * float(np.median(values[:real]))
    return int(np.sum(values[:real] > max(noise, FLOOR * values[0])))
