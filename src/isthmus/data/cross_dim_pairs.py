"""Pairs whose two modalities may differ in width."""

from __future__ import annotations

from typing import ClassVar

from isthmus.data.pairs import Pairs


class CrossDimPairs(Pairs):
    """Pairs whose x and y may differ in width: they have moments, and maps between them, but no cosine.

    Parameters
    ----------
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
