"""The contract of a vector store: how a column of its vectors is read in blocks, and written."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np

from isthmus.data.sources._source import Source
from isthmus.data.sources._stored_rows import StoredRows, block_size
from isthmus.data.sources._stores import StoreAddress, store_scheme, stores
from isthmus.utils.errors import InputError

StoreClass = TypeVar("StoreClass", bound="type[Store]")


class StoreTable(ABC):
    """The rows of a table in a store: ids and one column of vectors, of all rows or of those that a filter selects.

    Attributes
    ----------
    address : StoreAddress
        Address with the column of vectors.
    count : int
        Number of rows that the filter of the address selects.
    width : int
        Length of the vectors.
    dtype : numpy.dtype
        Type of the numbers.
    has_ids : bool
        Whether rows have ids, without which nothing is written. Default: True.
    ordered : bool
        Whether `blocks` yields rows in the order of their ids. Default: False, and the ids are sorted.

    Examples
    --------
    >>> from isthmus.data.sources import stores
    >>> store = stores["lancedb"]
    >>> store.open_table(store.parse("lancedb://shop/items::vector")).count  # doctest: +SKIP
    20000
    """

    address: StoreAddress
    count: int
    width: int
    dtype: np.dtype
    has_ids: bool = True
    ordered: bool = False

    @abstractmethod
    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids (m,) and vectors (m, d) of all rows once, as they are when the first block is asked for.

        Parameters
        ----------
        size : int
            Largest number of rows in a block.
        missing : str or None
            Name of another column. Rows that have a vector in it are left out.

        Yields
        ------
        tuple of numpy.ndarray
            Ids, integers or text, and vectors.

        Raises
        ------
        InputError
            If a vector is null.
        """

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids (m,) and the values (m,) of a column that may serve as a key.

        Parameters
        ----------
        name : str
            Name of the column.

        Raises
        ------
        InputError
            If the store has no such column, which is the default.
        """
        raise InputError(f"{self.address}: this store has no column of keys; give a file of keys instead of {name!r}")

    def written_ids(self) -> np.ndarray:
        """Return the ids of all rows.

        Returns
        -------
        numpy.ndarray
            Ids (n,) in ascending order.
        """
        blocks = [ids for ids, _ in self.blocks(block_size(self.width))]
        return np.sort(np.concatenate(blocks)) if blocks else np.empty(0, dtype=np.int64)

    def check_ids(self) -> None:
        """Raise `InputError` unless rows have ids that all differ. The default trusts the store."""
        if not self.has_ids:
            raise InputError(
                f"{self.address}: has no column 'id', and vectors are written by id; name the column of ids as ?id=NAME"
            )

    # The methods below serve targets: stores whose tables hold several vectors a row.

    def note(self, column: str) -> str | None:
        """Return the note of a column, or None if there is no such column. A column without a note has an empty one.

        Parameters
        ----------
        column : str
            Name of the column.

        Raises
        ------
        InputError
            If the store does not write, which is the default.
        """
        raise read_only(self.address)

    def add_column(self, column: str, width: int, dtype: np.dtype, note: str) -> None:
        """Add a column of vectors that are all null, with a note about where it comes from.

        Parameters
        ----------
        column : str
            Name of the new column.
        width : int
            Length of its vectors.
        dtype : numpy.dtype
            Type of its numbers.
        note : str
            One line of text.
        """
        raise read_only(self.address)

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Set the vectors of some rows in one step that is done or not done. Rows with other ids stay.

        Parameters
        ----------
        column : str
            Name of the column.
        ids : numpy.ndarray
            Ids (m,), all different.
        rows : numpy.ndarray
            Vectors (m, k).
        """
        raise read_only(self.address)

    def finish(self) -> None:  # noqa: B027
        """Complete a new table after its last row was written. The default does nothing."""

    def drop_column(self, column: str) -> None:
        """Remove a column.

        Parameters
        ----------
        column : str
            Name of the column.
        """
        raise read_only(self.address)

    def rename_column(self, column: str, new: str, note: str) -> None:
        """Replace the column `new`, if it exists, by `column`, with a new note.

        Parameters
        ----------
        column : str
            Name of the column, which ends.
        new : str
            Name that it has from now on.
        note : str
            One line of text.
        """
        raise read_only(self.address)


class Store(ABC):
    """A vector store: a database or a file whose vectors are read by address, and perhaps written.

    A subclass sets `scheme` and defines `open_table`. Decorate the class with `register_store`, or put it in a module
    that an entry point of the group ``isthmus.stores`` names. `isthmus.testing.check_store` tests the contract.

    Attributes
    ----------
    scheme : str
        Scheme of the addresses.
    options : tuple of str
        Names after '?' that are options of the address and no filters. Default: 'id', the column of the ids.

    Examples
    --------
    >>> from isthmus.data.sources import stores
    >>> stores["lancedb"].parse("lancedb://shop/items::vector?modality=image").table
    'items'
    """

    scheme: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ("id",)

    @property
    def description(self) -> str:
        """Return the first paragraph of the class docstring in one line."""
        return " ".join(inspect.cleandoc(type(self).__doc__ or self.scheme).split("\n\n")[0].split())

    @abstractmethod
    def open_table(self, address: StoreAddress) -> StoreTable:
        """Open the column of vectors at an address.

        Parameters
        ----------
        address : StoreAddress
            Address. Without a column, the only column of vectors is meant.

        Returns
        -------
        StoreTable
            The rows.

        Raises
        ------
        InputError
            If the store, the table or the column is missing, or the column is ambiguous.
        """

    def create_table(self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str) -> Any:
        """Create a table of ids and vectors, or open the one that a call with the same note began.

        Parameters
        ----------
        address : StoreAddress
            Address of the new table, with a column.
        ids : numpy.ndarray
            The first ids, which have the type of all.
        width : int
            Length of the vectors.
        dtype : numpy.dtype
            Type of the numbers.
        note : str
            One line of text, which is kept with the column.

        Returns
        -------
        StoreTable
            The table, whose `write` adds rows.

        Raises
        ------
        InputError
            If the table exists, or the store does not write, which is the default.
        """
        raise read_only(address)

    def parse(self, url: str) -> StoreAddress:
        """Return the parts of an address.

        Parameters
        ----------
        url : str
            The address.

        Returns
        -------
        StoreAddress
            Its parts.
        """
        return StoreAddress.parse(url, self.options)

    def open_source(self, url: str, *, min_rows: int = 2) -> Source:
        """Open the column of vectors at an address as a source.

        Parameters
        ----------
        url : str
            Address.
        min_rows : int, default 2
            Fewest rows that are accepted.

        Returns
        -------
        Source
            The rows in the order of their ids. The first read copies them to a nameless temporary file.
        """
        table = self.open_table(self.parse(url))
        if table.address.filters and not table.count:
            raise InputError(f"{table.address}: no row has this value; check the name and the value of the filter")
        rows = StoredRows(table)
        address = str(table.address)
        return Source(rows, address=address, format=self.scheme, location=address, keys=rows.keys, min_rows=min_rows)


def read_only(address: StoreAddress) -> InputError:
    """Return the error for a store that is read but not written."""
    return InputError(f"{address}: this store is read but not written; write the rows to a file or to another store")


def register_store(store_class: StoreClass) -> StoreClass:
    """Add a store to `stores` under its scheme, as a class decorator.

    Parameters
    ----------
    store_class : type
        Subclass of `Store` whose constructor needs no argument.

    Returns
    -------
    type
        The class itself.

    Raises
    ------
    InputError
        If another store has the scheme.

    Examples
    --------
    >>> from isthmus.data.sources import Store, register_store, stores
    >>> @register_store
    ... class Mine(Store):
    ...     "A store of one table in memory."
    ...     scheme = "mine"
    ...     def open_table(self, address): ...
    >>> stores.unregister("mine").description
    'A store of one table in memory.'
    """
    if not store_class.__module__.startswith(f"{stores.package}."):
        stores.discover()  # else a built-in store would be the second one, and be refused
    registered = stores.registered().get(store_class.scheme)
    if type(registered).__qualname__ == store_class.__qualname__:
        stores.unregister(store_class.scheme)  # a notebook cell that is run again
    stores.register(store_class.scheme, store_class())
    return store_class


def find_store(text: str) -> tuple[Store, StoreAddress] | None:
    """Return the store of an address and its parts, or None for a path or another URL."""
    scheme = store_scheme(text)
    store = None if scheme is None else stores[scheme]
    return (store, store.parse(text)) if isinstance(store, Store) else None
