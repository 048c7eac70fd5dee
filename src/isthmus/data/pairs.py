"""Pairs: two named modalities whose rows belong together."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.compute.resources import block_rows
from isthmus.data.columns import as_source, same_library
from isthmus.data.invalid_rows import invalid_rows_error
from isthmus.data.joins import KeyJoin
from isthmus.data.sources import Source
from isthmus.utils import validation
from isthmus.utils.errors import InputError

Rng = int | np.random.Generator


class Pairs:
    """Two named modalities, `x` and `y`, in one space of width d.

    Parameters
    ----------
    index : array-like of int, optional
        Row j of y belongs to row ``index[j]`` of x, (n_pairs,): several captions per image. Default: row i of y belongs
        to row i of x.
    labels : array-like, optional
        A class for each row of x, (n_items,).
    **modalities : array-like, path or Source
        Exactly two, in order: ``Pairs(image=X, text=Y)`` calls x 'image' and y 'text'. Each has n rows of d floats: an
        array of any library, a list, a column of a data frame or of Arrow, or a file. Rows need not be unit vectors.
        Arrays of two libraries are both read as NumPy arrays.

    Raises
    ------
    InputError
        If the widths or lengths differ, a dtype is not a float, or an entry of `index` is not a row of x.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.eye(3)
    >>> pairs = Pairs(image=X, text=X[[0, 0, 1, 2]], index=[0, 0, 1, 2])
    >>> pairs.names, pairs.n_pairs, pairs.n_items, pairs.dim
    (('image', 'text'), 4, 3, 3)
    """

    #: If True, x and y must have the same width.
    same_dim: ClassVar[bool] = True

    def __init__(self, *, index: Any = None, labels: Any = None, **modalities: Any):
        if len(modalities) != 2:
            raise InputError(
                f"got {len(modalities)} modalities ({', '.join(modalities) or 'none'}), expected two, such "
                "as Pairs(image=X, text=Y); isthmus.Modalities takes more than two"
            )
        self.names: tuple[str, str] = tuple(modalities)  # type: ignore[assignment]
        #: How the pairs were opened, or None if they were not opened from files.
        self.open_spec: OpenSpec | None = None
        self.x, self.y = same_library(*(as_source(name, rows) for name, rows in modalities.items()))
        if self.same_dim:
            validation.check_same_dim(self.x.shape[1], self.y.shape[1], self.x.address, self.y.address)
        if index is None:
            validation.check_same_length(self.x.shape[0], self.y.shape[0], self.x.address, self.y.address)
        self.index = None if index is None else _checked_index(index, self.x.shape[0], self.y.shape[0])
        #: How the rows of two files were matched by a key. None if they were paired by position or `index`.
        self.key_join: KeyJoin | None = None
        #: Rows of each modality without a direction that were left out, and the number of pairs that went with them.
        self.dropped: dict[str, int] | None = None
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None:
            validation.check_labels(self.labels.shape, self.x.shape[0], self.names[0])

    @property
    def n_pairs(self) -> int:
        """Number of pairs, which is the number of rows of y."""
        return self.y.shape[0]

    @property
    def n_items(self) -> int:
        """Number of items, which is the number of rows of x. It is below `n_pairs` if items match several rows of y."""
        return self.x.shape[0]

    @property
    def owner(self) -> np.ndarray:
        """Row of x that each row of y belongs to, (n_pairs,): `index`, or one item for each row."""
        return np.arange(self.n_pairs) if self.index is None else self.index

    @property
    def dim(self) -> int:
        """Width d of x, and of y if both have one width."""
        return self.x.shape[1]

    def blocks(
        self, size: int | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[Array, Array, np.ndarray | None]]:
        """Yield the pairs in blocks of items. All rows of y that match an item are in its block.

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
            Row of the block's x that each row of its y belongs to, (k,), or None if row i belongs to row i.
        """
        size = size or block_rows(self.dim)
        last = self.n_items if last is None else min(last, self.n_items)
        if self.index is None:
            for start in range(first, last, size):
                stop = min(start + size, last)
                yield self.x.read(start, stop), self.y.read(start, stop), None
            return
        order, begins = self._rows_by_item
        for start in range(first, last, size):
            stop = min(start + size, last)
            rows = order[begins[start] : begins[stop]]
            if len(rows):
                yield self.x.read(start, stop), self.y.take(rows), self.index[rows] - start

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
        x = self.x.take(items)
        if self.index is None:
            return self._subset(x, self.y.take(items), None, labels)
        order, begins = self._rows_by_item
        counts = begins[items + 1] - begins[items]
        rows = np.concatenate([order[begins[i] : begins[i + 1]] for i in items])
        return self._subset(x, self.y.take(rows), np.repeat(np.arange(len(items)), counts), labels)

    def _subset(self, x: Array, y: Array, index: np.ndarray | None, labels: np.ndarray | None) -> Pairs:
        """Return pairs of rows that were taken from these, with the names of their files."""
        modalities = {
            name: Source(rows, address=source.address, format=source.format)
            for name, rows, source in zip(self.names, (x, y), (self.x, self.y), strict=True)
        }
        subset = type(self)(index=index, labels=labels, **modalities)
        subset.key_join, subset.dropped = self.key_join, self.dropped
        return subset

    def sample(self, n_items: int, /, *, rng: Rng = 0) -> Pairs:
        """Draw items without replacement.

        Parameters
        ----------
        n_items : int
            Largest number of items.
        rng : int or numpy.random.Generator
            Seed or generator. Default: 0.

        Returns
        -------
        Pairs
            At most `n_items` items in their own order. These pairs themselves if they have no more.
        """
        if self.n_items <= n_items:
            return self
        items = np.random.default_rng(rng).choice(self.n_items, size=n_items, replace=False)
        sample = self.take(np.sort(items))
        if self.open_spec is not None and self.open_spec.sample is None and isinstance(rng, int):
            sample.open_spec = replace(
                self.open_spec, sample=(n_items, rng), key=f"{self.open_spec.key} {n_items} {rng}"
            )
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
            Half of the items, rounded down, each with all its matching rows of y.
        test : Pairs
            The other items.
        """
        order = np.random.default_rng(rng).permutation(self.n_items)
        return self.take(order[: self.n_items // 2]), self.take(order[self.n_items // 2 :])

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
        modalities = []
        for source in (self.x, self.y):
            normalizer = arrays.RowNormalizer(arrays.compute_dtype(source.dtype), normalize=normalize)
            try:
                modalities.append(normalizer(source.read(0, source.shape[0])))
            except arrays.InvalidRowsError:
                raise invalid_rows_error(self.x, self.y) from None
        return modalities[0], modalities[1]

    @property
    def pairing(self) -> dict[str, Any]:
        """How rows were paired, as plain values: by position, index or key, with the rows that were left out."""
        pairing: dict[str, Any] = {"by": "position" if self.index is None else "index"}
        if self.key_join is not None:
            unmatched = dict(zip(self.names, self.key_join.unmatched, strict=True))
            pairing = {"by": "key", "key": self.key_join.key, "unmatched": unmatched}
        return pairing if self.dropped is None else pairing | {"dropped": self.dropped}

    def __repr__(self) -> str:
        return f"Pairs({self.names[0]}={self.x!r}, {self.names[1]}={self.y!r})"


class CrossDimPairs(Pairs):
    """Pairs whose x and y may differ in width: they have moments, and maps between them, but no cosine.

    Parameters
    ----------
    index : array-like of int, optional
        See `Pairs`.
    labels : array-like, optional
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


@dataclass(frozen=True, eq=False)
class OpenSpec:
    """The arguments that pairs were opened with, so that another process can open the same ones without labels.

    Parameters
    ----------
    open_ : callable
        Function that opens them, such as `open_pairs`.
    arguments : tuple
        Its positional arguments, with absolute paths.
    options : dict
        Its keyword arguments.
    sample : tuple of int or None
        Arguments `n_items` and `rng` of `Pairs.sample`, if they are a sample.
    key : str
        Unique name of these pairs, by which a worker caches them.

    Examples
    --------
    >>> import numpy as np
    >>> OpenSpec(lambda: Pairs(image=np.eye(3), text=np.eye(3)), (), {}).open().n_pairs
    3
    """

    open_: Callable[..., Pairs]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    sample: tuple[int, int] | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def open(self) -> Pairs:
        """Open the pairs again.

        Returns
        -------
        Pairs
            The same pairs, read from the same files.
        """
        pairs = self.open_(*self.arguments, **self.options)
        return pairs if self.sample is None else pairs.sample(self.sample[0], rng=self.sample[1])


def _checked_index(index: Any, n_x: int, n_y: int) -> np.ndarray:
    index = np.asarray(index)
    if index.shape != (n_y,) or index.dtype.kind not in "iu":
        raise InputError(
            f"index has shape {index.shape} and dtype {index.dtype}, expected {n_y:,} whole numbers: for each row of y "
            "the row of x that it belongs to"
        )
    if n_y and (index.min() < 0 or index.max() >= n_x):
        outside = np.flatnonzero((index < 0) | (index >= n_x))
        raise InputError(f"index points outside the {n_x:,} rows of x at {validation.format_rows(outside)}")
    return index.astype(np.int64)
