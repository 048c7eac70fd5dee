"""Variances of smooth functions of the means, computed from moments alone.

A statistic f(mean x, mean y, mean p) moves by f'(score of item g) when item g gets more weight. The infinitesimal
jackknife [1]_ sums the squares of these scores. Scores are linear in x_g, y_g and p_g, so the sum is a quadratic form
in the second moments. No second pass over the rows is needed. The pairs of an item count as one observation, because
its rows are not independent.

References
----------
.. [1] Jaeckel (1972), The infinitesimal jackknife.
"""

from __future__ import annotations

import numpy as np

from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.moments import Moments


def linear_variance(
    moments: Moments,
    along_x: np.ndarray | None = None,
    along_y: np.ndarray | None = None,
    along_p: float = 0.0,
) -> float:
    """Return the variance of a linear function of the means, with independent items.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.
    along_x, along_y : (d,) array, optional
        Coefficients of mean x and of mean y. Default: zero.
    along_p : float, default 0.0
        Coefficient of the mean paired cosine.

    Returns
    -------
    float
        Variance of `along_x . mean x + along_y . mean y + along_p * mean p`.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> round(linear_variance(moments, along_p=1.0), 3)
    0.09
    """
    m, n = moments.by_item, moments.n
    a = np.zeros(moments.dim_x) if along_x is None else along_x
    b = np.zeros(moments.dim_y) if along_y is None else along_y
    c = along_p
    raw = a @ m.xx @ a + b @ m.yy @ b + c * c * m.cos_sq + 2 * (a @ m.xy @ b + c * (a @ m.cos_x) + c * (b @ m.cos_y))
    mean_value = a @ moments.mean_x + b @ moments.mean_y + c * (moments.mean_paired if c else 0.0)
    weighted_by_count = a @ m.count_x + b @ m.count_y + c * m.count_cos
    total = raw - 2 * mean_value * weighted_by_count + mean_value**2 * m.count_sq
    effective = effective_items(moments)
    return max(float(total), 0.0) / n**2 * effective / max(effective - 1, 1)


def effective_items(moments: Moments, /) -> float:
    """Return how many items with equally many pairs have means of the same variance.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    float
        (sum c)^2 / sum c^2 of the numbers of pairs c. Few items with many pairs decide if these differ much.

    Examples
    --------
    >>> from isthmus import Moments
    >>> effective_items(Moments.of(np.eye(30), np.eye(30)))
    30.0
    """
    by_item = moments.by_item
    return min(moments.n**2 / by_item.count_sq, by_item.n_items) if by_item.count_sq > 0 else float(by_item.n_items)


def mean_freedom(moments: Moments, /) -> float:
    """Return the degrees of freedom of the estimated variance of a mean.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    float
        n - 1 for n items with equally many pairs.

    Notes
    -----
    An item with c pairs adds c^2 r^2 to the variance. With independent normal r, the sum has (sum c^2)^2 / sum c^4
    degrees of freedom. For log-normal numbers c this is e^4 / n^3, and for exponential ones 1.3 e^3 / n^2 with e
    effective items. The moments contain no fourth powers, so that it is taken as e^3 / n^2.

    Examples
    --------
    >>> from isthmus import Moments
    >>> mean_freedom(Moments.of(np.eye(30), np.eye(30)))
    29.0
    """
    effective = effective_items(moments)
    return effective * (effective / moments.by_item.n_items) ** 2 - 1


def product_variance(
    moments: Moments, *, xx: float = 0.0, yy: float = 0.0, xy: float = 0.0, paired: float = 0.0
) -> float:
    """Return the variance of a function of the unbiased products of the means and of the mean paired cosine.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.
    xx, yy, xy : float, default 0.0
        Derivatives of the function with respect to the products of `debiased_mean_products`.
    paired : float, default 0.0
        Derivative with respect to the mean paired cosine.

    Returns
    -------
    float
        Variance.

    Notes
    -----
    Without an item, the products of n items change by n / (n - 2) times their derivatives. That of x and y also changes
    by the paired cosine of the item, which it does not contain. With one pair of unit rows for each item, this is the
    jackknife's variance of a linear function. The first-order variance is too small by (n - 2)^2 / n^2.

    Examples
    --------
    >>> from isthmus import Moments
    >>> rows = np.random.default_rng(0).normal(size=(20, 3)) + 2
    >>> moments = Moments.of(rows, rows)
    >>> round(product_variance(moments, xx=1.0) / linear_variance(moments, 2 * moments.mean_x), 2)
    1.23
    """
    n = effective_items(moments)
    remaining = max(n - 2, 1.0)
    along_x = n / remaining * (2 * xx * moments.mean_x + xy * moments.mean_y)
    along_y = n / remaining * (2 * yy * moments.mean_y + xy * moments.mean_x)
    return linear_variance(moments, along_x, along_y, paired - 2 * xy / remaining)


def interval_variance(moments: Moments, /, **derivatives: float) -> float:
    """Return `product_variance` with the factor that gives the interval of Student's t.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.
    **derivatives : float
        Derivatives `xx`, `yy`, `xy` and `paired` of the function, see `product_variance`.

    Returns
    -------
    float
        Variance of which an interval takes 1.96 standard errors, see `widened_variance` and `mean_freedom`.

    Examples
    --------
    >>> from isthmus import Moments
    >>> rows = np.random.default_rng(0).normal(size=(20, 3)) + 2
    >>> moments = Moments.of(rows, rows)
    >>> round(interval_variance(moments, xx=1.0) / product_variance(moments, xx=1.0), 2)
    1.14
    """
    return widened_variance(product_variance(moments, **derivatives), mean_freedom(moments))
