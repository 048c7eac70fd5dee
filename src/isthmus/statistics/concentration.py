"""How evenly counts are spread."""

from __future__ import annotations

import numpy as np


def gini(counts: np.ndarray, /) -> float:
    """Return the Gini coefficient of counts.

    Parameters
    ----------
    counts : (C,) array
        Counts that are not negative, not all 0.

    Returns
    -------
    float
        In [0, 1 - 1/C]: 0 if all counts are equal, 1 - 1/C if one of them holds everything.

    Notes
    -----
    2 sum_r r m_(r) / (C sum m) - (C + 1) / C with the counts m_(r) in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> gini(np.array([5, 5, 5])), gini(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    """
    ordered = np.sort(np.asarray(counts, dtype=np.float64))
    size = len(ordered)
    return float(2 * np.sum(np.arange(1, size + 1) * ordered) / (size * ordered.sum()) - (size + 1) / size)
