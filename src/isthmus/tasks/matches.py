"""Matching pairs of distinct rows, where rows of either side may repeat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.data.components import connected_items, dependence_reason
from isthmus.data.numbering import renumber


@dataclass(frozen=True)
class Matches:
    """The matching pairs of distinct rows.

    Parameters
    ----------
    n_items : int
        Number of rows of x.
    y_rows : np.ndarray or slice
        First row of y of each distinct one, (n_distinct,), or all.
    owner : np.ndarray of shape (n_pairs,)
        Row of x of each pair.
    columns : np.ndarray of shape (n_pairs,) or None
        Distinct row of y of each pair. None if row j of y belongs to pair j.

    Examples
    --------
    >>> matches = Matches.of(3, 4, [0, 1, 2, 2], [0, 0, 1, 2])
    >>> matches.y_rows.tolist(), matches.x_components.tolist(), matches.y_items.tolist()
    ([0, 2, 3], [0, 0, 1], [0, 2, 2])
    """

    n_items: int
    y_rows: Any
    owner: np.ndarray
    columns: np.ndarray | None

    @classmethod
    def of(cls, n_items: int, n_y: int, owner: Any = None, y_groups: Any = None, /) -> Matches:
        """Return the matches of n_items rows of x and n_y rows of y.

        Parameters
        ----------
        n_items, n_y : int
            Numbers of rows.
        owner : array-like of shape (n_y,), optional
            Row of x that each row of y belongs to. Default: row j belongs to row j.
        y_groups : array-like of shape (n_y,), optional
            Number of the distinct row of y. Default: all rows of y are distinct.

        Returns
        -------
        Matches
            The matching pairs.
        """
        owner = np.arange(n_y) if owner is None else np.asarray(owner)
        if y_groups is None:
            return cls(n_items, slice(None), owner, None)
        columns = renumber(np.asarray(y_groups))
        return cls(n_items, np.unique(columns, return_index=True)[1], owner, columns)

    @property
    def x_counts(self) -> np.ndarray:
        """Return the number of matches of each row of x, (n_items,)."""
        return np.bincount(self._different[0], minlength=self.n_items)

    @property
    def y_counts(self) -> np.ndarray:
        """Return the number of matches of each distinct row of y, (n_distinct,)."""
        return np.bincount(self._different[1])

    @property
    def _different(self) -> tuple[np.ndarray, np.ndarray]:
        """Return row of x and distinct row of y of all different matching pairs."""
        if self.columns is None:
            return self.owner, np.arange(len(self.owner))
        n_columns = int(self.columns.max(initial=0)) + 1
        x_rows, columns = np.divmod(np.unique(self.owner * n_columns + self.columns), n_columns)
        return x_rows, columns

    def contain(self, x_rows: np.ndarray, columns: np.ndarray, /) -> np.ndarray:
        """Return whether rows of x match distinct rows of y.

        Parameters
        ----------
        x_rows : np.ndarray of shape (m,)
            Rows of x.
        columns : np.ndarray of shape (m,)
            Distinct rows of y.

        Returns
        -------
        np.ndarray of shape (m,)
            True where the two match.
        """
        of_pairs = np.arange(len(self.owner)) if self.columns is None else self.columns
        n_columns = int(max(of_pairs.max(initial=0), columns.max(initial=0))) + 1
        return np.isin(x_rows * n_columns + columns, self.owner * n_columns + of_pairs)

    @cached_property
    def x_components(self) -> np.ndarray:
        """Return the component of each row of x, (n_items,): rows that share a match, directly or through others."""
        if self.columns is None:
            return np.arange(self.n_items)
        return connected_items(self.owner, self.columns, self.n_items)

    @property
    def y_items(self) -> np.ndarray:
        """Return the first row of x that each distinct row of y belongs to, (n_distinct,)."""
        return self.owner[self.y_rows]

    @property
    def y_components(self) -> np.ndarray:
        """Return the component of each distinct row of y, (n_distinct,)."""
        return self.x_components[self.y_items]

    @property
    def items_to_search(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the item of each row of x and of each distinct row of y in a mixed corpus.

        Items are components. If one of them has more than half of the pairs, and several rows of both modalities, they
        are the rows of x. A row of y then belongs to the first of its items.
        """
        counts = np.bincount(self.x_components[self.owner])
        largest = int(counts.argmax()) if len(counts) else 0
        has_several = all(np.count_nonzero(items == largest) > 1 for items in (self.x_components, self.y_components))
        return self._items(are_components=2 * counts.max(initial=0) <= len(self.owner) or not has_several)

    @property
    def independent_items(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the item of each row of x and of each distinct row of y, where few large components are no items.

        Items are components. If too few of them are independent (`dependence_reason`), as where rows have the text of
        their class, they are the rows of x. A row of y then belongs to the first of its items.
        """
        return self._items(are_components=dependence_reason(self.x_components[self.owner], ("x", "y")) is None)

    def _items(self, *, are_components: bool) -> tuple[np.ndarray, np.ndarray]:
        if self.columns is None or are_components:
            return self.x_components, self.y_components
        return np.arange(self.n_items), self.y_items
