"""Pairs whose two modalities may differ in width."""

from __future__ import annotations

from typing import Any, ClassVar

from isthmus.data.pairs import Pairs


class CrossDimPairs(Pairs):
    """Pairs whose x and y may differ in width: they have moments, and maps between them, but no cosine.

    Parameters
    ----------
    *mapping : mapping, optional
        See `Pairs`.
    index : array-like of int, optional
        See `Pairs`.
    labels : array-like, optional
        See `Pairs`.
    y_groups : array-like of int, optional
        See `Pairs`.
    **modalities : array-like or Source
        See `Pairs`.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = CrossDimPairs(image=np.eye(3), text=np.eye(4)[:3])
    >>> pairs.x.shape, pairs.y.shape
    ((3, 3), (3, 4))
    """

    same_dim: ClassVar[bool] = False


def with_rows(pairs: Pairs, x: Any, y: Any, /, *, names: tuple[str, str] | None = None) -> Pairs:
    """Return pairs of other rows that are matched as given pairs are, such as the same rows after a map.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items and m rows of y.
    x, y : array-like
        Rows (n, d_x) and (m, d_y).
    names : tuple of str, optional
        Names of the modalities. Default: those of `pairs`.

    Returns
    -------
    Pairs
        The new pairs, with the labels of the given ones.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = Pairs(image=np.eye(2), text=np.eye(2)[[0, 1, 1]], index=[0, 1, 1])
    >>> with_rows(pairs, np.eye(3)[:2], np.eye(3)).index.tolist()
    [0, 1, 1]
    """
    mapped = CrossDimPairs(
        index=pairs.index,
        labels=pairs.labels,
        y_groups=pairs.y_groups,
        **dict(zip(names or pairs.names, (x, y), strict=True)),
    )
    mapped.rows_are_items = True
    return mapped
