"""Robustness: whether the nearest row stays the nearest if the stored rows are perturbed."""

from __future__ import annotations

import numpy as np

from isthmus.compute.topk import nearest_euclidean
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._per_item import mean_per_item
from isthmus.utils.errors import InputError

#: Variances of the noise in each coordinate.
NOISE = (0.005, 0.022, 0.040)
#: Numbers of bins.
BINS = (32, 64, 128, 256)


def quantize(rows: np.ndarray, bins: int, /) -> np.ndarray:
    """Round every number to the middle of its bin.

    Parameters
    ----------
    rows : np.ndarray of shape (n, d)
        Rows.
    bins : int
        Number of equal bins from the smallest to the largest number of all rows, at least 2.

    Returns
    -------
    np.ndarray of shape (n, d)
        Quantised rows of the same dtype.

    Raises
    ------
    InputError
        If there are fewer than two bins.

    Examples
    --------
    >>> import numpy as np
    >>> quantize(np.array([[0.0, 0.3], [0.6, 1.0]]), 2).tolist()
    [[0.25, 0.25], [0.75, 0.75]]
    """
    if bins < 2:
        raise InputError(f"bins={bins}, expected 2 or more")
    low, high = float(rows.min()), float(rows.max())
    if high == low:
        return rows.copy()
    width = (high - low) / bins
    bin_numbers = np.minimum(np.floor((rows - low) / width), bins - 1)
    return (low + (bin_numbers + 0.5) * width).astype(rows.dtype)


def top1_stability(queries: np.ndarray, corpus: np.ndarray, perturbed: np.ndarray, /) -> np.ndarray:
    """Return whether the nearest row of each query is the same row after a perturbation.

    Parameters
    ----------
    queries : np.ndarray of shape (m, d)
        Queries.
    corpus, perturbed : np.ndarray of shape (n, d)
        Stored rows before and after the perturbation. Nearest is by Euclidean distance.

    Returns
    -------
    np.ndarray of shape (m,)
        Booleans. Their mean is the stability.

    Examples
    --------
    >>> import numpy as np
    >>> stored = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> top1_stability(stored, stored, stored[::-1]).tolist()
    [False, False]
    """
    return nearest_euclidean(queries, corpus) == nearest_euclidean(queries, perturbed)


def add_noise(rows: np.ndarray, variance: float, rng: np.random.Generator, /) -> np.ndarray:
    """Add independent Gaussian noise to every number.

    Parameters
    ----------
    rows : np.ndarray of shape (n, d)
        Rows.
    variance : float
        Variance of the noise in each coordinate.
    rng : np.random.Generator
        Source of the noise.

    Returns
    -------
    np.ndarray of shape (n, d)
        Rows of the same dtype.

    Examples
    --------
    >>> import numpy as np
    >>> noise = add_noise(np.zeros((1000, 8)), 0.04, np.random.default_rng(0))
    >>> round(float(noise.var()), 2)
    0.04
    """
    return rows + rng.normal(size=rows.shape).astype(rows.dtype) * rows.dtype.type(np.sqrt(variance))


def _score_names() -> list[str]:
    return [f"kept_noise_{variance:g}" for variance in NOISE] + [f"kept_{bins}_bins" for bins in BINS]


@task(
    "robustness",
    scores={
        **{
            f"kept_noise_{variance:g}": Score(
                "higher", f"share of queries whose nearest row stays the same with noise N(0, {variance:g} I)"
            )
            for variance in NOISE
        },
        **{
            f"kept_{bins}_bins": Score(
                "higher", f"share of queries whose nearest row stays the same with numbers in {bins} bins"
            )
            for bins in BINS
        },
    },
    source="Chowers et al. 2026, arXiv 2603.29080",
)
def robustness(data: TaskData) -> TaskScores:
    """Count the queries whose nearest row of the other modality stays the same under noise or quantisation.

    The stored rows are changed. Both directions draw the same noise. Scores are the mean of both directions.
    """
    items = np.unique(data.owner)
    y, y_items = data.y[data.matches.y_rows], data.matches.y_items
    per_item: dict[str, np.ndarray] = {name: np.zeros(data.n_items) for name in _score_names()}
    for queries, corpus, owner in ((data.x[items], y, items), (y, data.x, y_items)):
        clean, rng = nearest_euclidean(queries, corpus), np.random.default_rng(data.seed)
        perturbed = [add_noise(corpus, variance, rng) for variance in NOISE] + [quantize(corpus, b) for b in BINS]
        for name, rows in zip(_score_names(), perturbed, strict=True):
            stable = (nearest_euclidean(queries, rows) == clean).astype(float)
            per_item[name] += mean_per_item(stable, owner, data.n_items) / 2
    return TaskScores(per_item)
