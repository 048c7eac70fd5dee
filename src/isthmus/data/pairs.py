"""Pairs: two named modalities whose rows belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.compute.arrays import Array
from isthmus.compute.resources import block_rows
from isthmus.data import shared_rows
from isthmus.data.columns import sources_of_pairs
from isthmus.data.components import connected_items, dependence_reason, disjoint_pairs, halves_of_groups
from isthmus.data.joins import KeyJoin, taken_rows
from isthmus.data.named_rows import named_modalities
from isthmus.data.numbering import checked_index, checked_y_groups, renumber
from isthmus.data.open_spec import OpenSpec
from isthmus.data.sources import Source
from isthmus.utils import validation
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted
from isthmus.utils.transposition import check_same_dim

Rng = int | np.random.Generator


class Pairs:
    """Two named modalities, `x` and `y`, in one space of width d.

    Parameters
    ----------
    *mapping : mapping, optional
        One dictionary of `modalities`, in their place.
    index : array-like of int, optional
        Row j of y belongs to row ``index[j]`` of x, (n_pairs,): several captions per image. Default: row i of y belongs
        to row i of x.
    labels : array-like, optional
        A class for each row of x, (n_items,).
    y_groups : array-like of int, optional
        Number of the distinct row of y in each pair, (n_pairs,), such as a caption that several images share. Rows of y
        with one number are equal. Means count each pair, and searches count each distinct row once. Default: all rows
        of y are distinct.
    **modalities : array-like, path or Source
        Exactly two, in order: ``Pairs(image=X, text=Y)`` calls x 'image' and y 'text'. Each has n rows of d floats: an
        array of any library, a list, a column of a data frame or of Arrow, or a file. Rows need not be unit vectors.
        Arrays of two libraries are both read as NumPy arrays.

    Raises
    ------
    InputError
        If the widths or lengths differ, a dtype is not a float, or an entry of `index` is not a row of x. Also if
        `y_groups` does not have one whole number for each row of y.

    Notes
    -----
    Equal rows of x are several items here, and equal rows of y are distinct rows unless `y_groups` tells otherwise.
    Functions that measure or fit pairs find equal rows and make one item of them, unless their `group` is False.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = Pairs(image=np.eye(3), text=np.eye(3)[[0, 0, 1, 2]], index=[0, 0, 1, 2])
    >>> pairs.names, pairs.n_pairs, pairs.n_items, pairs.dim
    (('image', 'text'), 4, 3, 3)
    """

    same_dim: ClassVar[bool] = True  #: If True, x and y must have the same width

    def __init__(self, *mapping: Any, index: Any = None, labels: Any = None, y_groups: Any = None, **modalities: Any):
        modalities = named_modalities(mapping, modalities, "Pairs")
        if len(modalities) != 2:
            listed = ", ".join([*modalities][:5]) or "none"
            expected = "two, such as Pairs(image=X, text=Y); isthmus.Modalities takes more than two"
            raise InputError(f"got {counted(len(modalities), 'modality')} ({listed}), expected {expected}")
        self.names: tuple[str, str] = tuple(modalities)  # type: ignore[assignment]
        self.open_spec: OpenSpec | None = None  # how the pairs were opened from files
        self.x, self.y = sources_of_pairs(modalities)
        if self.same_dim:
            check_same_dim(self.x.shape, self.y.shape, self.x.address, self.y.address)
        if index is None:
            validation.check_same_length(self.x.shape[0], self.y.shape[0], self.x.address, self.y.address)
        self.index = None if index is None else checked_index(index, self.x.shape[0], self.y.shape[0])
        #: Number of the distinct row of y in each pair (n_pairs,), from 0, or None if all rows of y are distinct.
        self.y_groups = None if y_groups is None else checked_y_groups(y_groups, self.y.shape[0])
        self.key_join: KeyJoin | None = None  #: How a key matched the rows of two files
        self.dropped: dict[str, int] | None = None  #: Rows without a direction that were left out, by modality
        self.grouped: dict[str, dict[str, int]] | None = None  #: Rows and distinct rows by modality, if grouped
        self.rows_are_items = False  #: True if equal rows have been grouped or are to stay apart.
        #: The pairs before equal rows were grouped, and whether rows of different lengths could be equal then.
        self.ungrouped: tuple[Pairs, bool] | None = None
        self.labels = None if labels is None else validation.one_per_row(labels, "labels")
        if self.labels is not None:
            validation.check_labels(self.labels, self.x.shape[0], self.names[0])

    @property
    def n_pairs(self) -> int:
        """Number of pairs, which is the number of rows of y."""
        return self.y.shape[0]

    @property
    def n_items(self) -> int:
        """Number of items, which is the number of rows of x. It is below `n_pairs` if items match several rows of y."""
        return self.x.shape[0]

    @property
    def n_distinct(self) -> tuple[int, int]:
        """Numbers of distinct rows of x and of y."""
        return self.n_items, self.n_pairs if self.y_groups is None else int(self.y_groups.max()) + 1

    @property
    def owner(self) -> np.ndarray:
        """Row of x that each row of y belongs to, (n_pairs,): `index`, or one item for each row."""
        return np.arange(self.n_pairs) if self.index is None else self.index

    @cached_property
    def components(self) -> np.ndarray:
        """Number of the connected component of each item, (n_items,), from 0.

        Items that share a row of y, directly or through other items, are one component. Components are independent of
        each other. Without `y_groups` every item is its own component.
        """
        if self.y_groups is None:
            return np.arange(self.n_items)
        return connected_items(self.owner, self.y_groups, self.n_items)

    @cached_property
    def n_components(self) -> int:
        """Number of `components` that have a pair."""
        return len(np.unique(self.components[self.owner]))

    @cached_property
    def first_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Item and row of y of the first pair of each component. If `dependence`, of pairs that share no row."""
        if self.index is None and self.y_groups is None:
            return np.arange(self.n_pairs), np.arange(self.n_pairs)
        if self.dependence is not None and self.y_groups is not None:
            rows = disjoint_pairs(self.owner, self.y_groups)
        else:
            rows = np.unique(self.sampling_units[self.owner], return_index=True)[1]
        return self.owner[rows], rows

    @property
    def sampling_units(self) -> np.ndarray:
        """Unit of each item that samples and shuffles keep whole: `components`, or items if `dependence`."""
        return self.components if self.dependence is None else np.arange(self.n_items)

    @cached_property
    def dependence(self) -> str | None:
        """Why so few of the pairs are independent that there are no intervals. None if there are."""
        if self.index is None and self.y_groups is None:
            return None
        return dependence_reason(self.components[self.owner], self.names)

    @property
    def dim(self) -> int:
        """Width d of x, and of y if both have one width."""
        return self.x.shape[1]

    def blocks(
        self, size: int | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[Array, Array, np.ndarray | None, np.ndarray | None]]:
        """Yield the pairs in blocks of items. All rows of y that match an item are in its block.

        If items share rows of y and enough `components` are independent, items are in the order of their components.
        The items of a component are then in one block.

        Parameters
        ----------
        size : int or None
            Items in a block. Default: as many as stay in the cache of the processor.
        first : int
            First item. Default: 0.
        last : int or None
            Item after the last one. Default: all items.

        Yields
        ------
        x : array
            Rows of x, (m, d).
        y : array
            Rows of y, (k, d).
        owner : numpy.ndarray or None
            Row of the block's x of each row of its y, (k,), or None if row i belongs to row i.
        component : numpy.ndarray or None
            Number of the component of each row of the block's x, (m,), in ascending order. None if each row is one.
        """
        size = size or block_rows(self.dim)
        last = self.n_items if last is None else min(last, self.n_items)
        starts = range(first, last, size)
        if self.index is None and self._items_by_component is None:
            for start in starts:
                stop = min(start + size, last)
                yield self.x.read(start, stop), self.y.read(start, stop), None, None
            return
        order, begins = self._rows_by_item
        if self._items_by_component is None:
            for start in starts:
                stop = min(start + size, last)
                rows = order[begins[start] : begins[stop]]
                if len(rows):
                    yield self.x.read(start, stop), self.y.take(rows), self.owner[rows] - start, None
            return
        items, bounds = self._items_by_component
        counts = np.diff(begins)
        for start in starts:
            low, high = bounds[np.searchsorted(bounds, (start, min(start + size, last)))]
            block = items[low:high]
            if counts[block].any():
                owner = np.repeat(np.arange(len(block)), counts[block])
                yield self.x.take(block), self.y.take(self._rows_of(block)), owner, self.components[block]

    @cached_property
    def _items_by_component(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Items sorted by component, and the positions where components begin and end. None if items are components."""
        if self.y_groups is None or self.dependence is not None or len(self.components) == self.n_components:
            return None
        counts = np.bincount(self.components)
        return np.argsort(self.components, kind="stable"), np.concatenate([[0], np.cumsum(counts)])

    def _rows_of(self, items: np.ndarray) -> np.ndarray:
        """Rows of y that match items, item by item."""
        order, begins = self._rows_by_item
        counts = begins[items + 1] - begins[items]
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return order[np.repeat(begins[items], counts) + within]

    @cached_property
    def _rows_by_item(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of y sorted by item, and the position where the rows of each item begin."""
        order = np.argsort(self.owner, kind="stable")
        return order, np.concatenate([[0], np.cumsum(np.bincount(self.owner, minlength=self.n_items))])

    def take(self, items: np.ndarray) -> Pairs:
        """Return selected items with all matching rows of y, in memory.

        Parameters
        ----------
        items : numpy.ndarray
            Item numbers (m,), in any order.

        Returns
        -------
        Pairs
            The m items, renumbered from 0.
        """
        items = np.asarray(items)
        labels = None if self.labels is None else self.labels[items]
        x = taken_rows(self.x, items)
        if self.index is None:
            return self._subset(x, taken_rows(self.y, items), None, labels, self.y_groups_of(items))
        rows = self._rows_of(items)
        index = np.repeat(np.arange(len(items)), np.diff(self._rows_by_item[1])[items])
        return self._subset(x, taken_rows(self.y, rows), index, labels, self.y_groups_of(rows))

    def y_groups_of(self, rows: np.ndarray, /) -> np.ndarray | None:
        """Return `y_groups` of selected rows of y, numbered anew from 0.

        Parameters
        ----------
        rows : numpy.ndarray
            Numbers of the rows of y (m,).

        Returns
        -------
        numpy.ndarray or None
            Group numbers (m,), or None if the selected rows are distinct.
        """
        groups = None if self.y_groups is None else renumber(self.y_groups[rows])
        return None if groups is None or groups.max(initial=-1) + 1 == len(groups) else groups

    def _subset(
        self, x: Source, y: Source, index: np.ndarray | None, labels: np.ndarray | None, y_groups: np.ndarray | None
    ) -> Pairs:
        """Return pairs of rows that were taken from these, with the names of their files."""
        modalities = dict(zip(self.names, (x, y), strict=True))
        return type(self)(index=index, labels=labels, y_groups=y_groups, **modalities)._with_history_of(self)

    def _with_history_of(self, opened: Pairs, /) -> Self:
        """Take over how the rows of `opened`, of which these are a part or an image, were found."""
        for fact in ("key_join", "dropped", "grouped", "rows_are_items"):
            setattr(self, fact, getattr(opened, fact))
        return self

    def sample(self, n_items: int, /, *, rng: Rng = 0) -> Pairs:
        """Draw items without replacement, or whole `components` if items share rows of y.

        Parameters
        ----------
        n_items : int
            Largest number of items or components.
        rng : int or numpy.random.Generator
            Seed or generator. Default: 0.

        Returns
        -------
        Pairs
            At most `n_items` items or components in their own order. These pairs themselves if they have no more.
            Items are drawn if so few components are independent that there are no intervals (`dependence`).
        """
        units = self.sampling_units
        if int(units.max(initial=-1)) < n_items:
            return self
        if not isinstance(rng, int):
            return self.take(shared_rows.sampled_items(units, n_items, rng=rng))
        key = ("sample", n_items, rng)
        sample = shared_rows.computed_once(
            self, key, lambda: self.take(shared_rows.sampled_items(units, n_items, rng=rng))
        )
        if self.open_spec is not None and self.open_spec.sample is None:
            worker_key = f"{self.open_spec.key} {n_items} {rng}"
            sample.open_spec = replace(self.open_spec, sample=(n_items, rng), key=worker_key)
        return sample

    def split_half(self, *, rng: Rng) -> tuple[Pairs, Pairs]:
        """Split the items at random into one half to fit on and one half to test on.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            Seed or generator.

        Returns
        -------
        fit : Pairs
            Half of the items, rounded down, each with all its matching rows of y. Items that share rows of y are in
            one half: half of the `components` are here then.
        test : Pairs
            The other items.
        """
        fit_items, test_items = self.half_items(rng=rng)
        return self.take(fit_items), self.take(test_items)

    def half_items(self, *, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """Return the items of each half of `split_half`.

        Parameters
        ----------
        rng : int or numpy.random.Generator
            Seed or generator.

        Returns
        -------
        fit_items, test_items : numpy.ndarray of shape (m,) and (n_items - m,)
            Item numbers of the two halves, with m about n_items / 2. Items of one of the `components` are in one half.
        """
        return halves_of_groups(self.split_groups, rng)

    @property
    def split_groups(self) -> np.ndarray:
        """Group of each item that stays in one half or fold, (n_items,), from 0.

        Groups are `components`. If one of them has more than half of the pairs, no split keeps it whole, and every item
        is a group.
        """
        counts = np.bincount(self.components[self.owner])
        return self.components if 2 * counts.max(initial=0) <= self.n_pairs else np.arange(self.n_items)

    def unit(self, *, normalize: bool = True) -> tuple[Array, Array]:
        """Read all rows of x and y into memory and normalise them.

        Parameters
        ----------
        normalize : bool
            Whether rows are divided by their Euclidean norm. Default: True.

        Returns
        -------
        x : array
            Rows (n_items, d), float32, or float64 if the data are.
        y : array
            Rows (n_pairs, d).

        Raises
        ------
        InputError
            If a row has NaN or infinite values, or is all zero.
        """
        return shared_rows.unit_rows(self, self.x, self.y, normalize=normalize)

    @property
    def pairing(self) -> dict[str, Any]:
        """How rows were paired, as plain values: by position, index or key, with the rows that were left out."""
        given = self if self.ungrouped is None else self.ungrouped[0]  # equal rows that are one item have an index too
        pairing: dict[str, Any] = {"by": "position" if given.index is None else "index"}
        if self.key_join is not None:
            unmatched = dict(zip(self.names, self.key_join.unmatched, strict=True))
            repeats = {"repeats_in_both": True} if self.key_join.repeats_in_both else {}
            pairing = {"by": "key", "key": self.key_join.key, "unmatched": unmatched, **repeats}
        if self.grouped is not None:
            pairing["grouped"] = self.grouped
        return pairing if self.dropped is None else pairing | {"dropped": self.dropped}

    def __repr__(self) -> str:
        return f"Pairs({self.names[0]}={self.x!r}, {self.names[1]}={self.y!r})"
