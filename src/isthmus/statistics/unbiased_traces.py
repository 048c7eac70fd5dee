"""Traces of products of two covariances as means over four different items, without the bias of sampling."""

from __future__ import annotations

import numpy as np

#: Fewest items for means over four different items.
MIN_UNBIASED_ITEMS = 4


def unbiased_product(plug_in: float, traces: tuple[float, float], self_products: float, n: int) -> float:
    """Return the squared norm of a cross-covariance S_xy without bias, or tr S^2 for y = x.

    Parameters
    ----------
    plug_in : float
        The squared norm of the sample cross-covariance, with 1/n.
    traces : tuple of float
        tr S_x and tr S_y of the samples, with 1/n.
    self_products : float
        Sum over all items of |u|^2 |v|^2, with the centred rows u and v.
    n : int
        Number of items with one row each, at least 4.

    Returns
    -------
    float
        The unbiased HSIC [1]_ of linear kernels.

    References
    ----------
    .. [1] Song et al. (2012), JMLR 13.

    Examples
    --------
    >>> x = np.array([0.0, 0.0, 0.0, 1.0]) - 0.25  # of four items, the mean over ((a - b) (c - d))^2 / 4
    >>> round(unbiased_product(float(np.mean(x**2)) ** 2, (float(np.mean(x**2)),) * 2, float(np.sum(x**4)), 4), 12)
    0.0
    """
    numerator = n**2 * plug_in - self_products * n / (n - 2) + n**2 * traces[0] * traces[1] / ((n - 1) * (n - 2))
    return numerator / (n * (n - 3))


def unbiased_trace(plug_in: float, self_products: float, cross: np.ndarray, n: int) -> float:
    """Return tr S_x S_y of the covariances of matching rows without bias.

    Parameters
    ----------
    plug_in : float
        The trace of the samples, with 1/n.
    self_products : float
        Sum over all items of (u'v)^2, with the centred rows u and v.
    cross : (d, d) array
        The sample cross-covariance, with 1/n.
    n : int
        Number of items with one row each, at least 4.

    Returns
    -------
    float
        The mean of ((x_i - x_j)'(y_k - y_l))^2 / 4 over four different items.

    Examples
    --------
    >>> x = np.array([0.0, 0.0, 0.0, 1.0]) - 0.25
    >>> variance = float(np.mean(x**2))
    >>> round(unbiased_trace(variance**2, float(np.sum(x**4)), np.array([[variance]]), 4), 12)
    0.0
    """
    # The products u_i'v_j have sum 0 over i and over j.
    squared_sum, transposed = n**2 * plug_in, n**2 * float(np.sum(cross * cross.T))
    mean_two = (squared_sum - self_products) / (n * (n - 1))
    mean_three = (2 * self_products - squared_sum) / (n * (n - 1) * (n - 2))
    mean_four = ((n * float(np.trace(cross))) ** 2 + squared_sum + transposed - 6 * self_products) / (
        n * (n - 1) * (n - 2) * (n - 3)
    )
    return mean_two - 2 * mean_three + mean_four
