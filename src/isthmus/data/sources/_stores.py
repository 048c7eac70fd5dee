"""The registry of vector stores that are read through URLs, by their scheme, and the addresses of their columns.

Stores are registered by the modules of `isthmus.integrations.stores`, which the registry resolves by its dotted name on
the first look-up. Other installed packages use the entry-point group ``isthmus.stores``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote

from isthmus.utils.errors import InputError, without_password
from isthmus.utils.registry import Registry

#: Every store by the scheme of its URLs. A member has a method `open_source(url)` that returns a `Source`.
stores: Registry[Any] = Registry("store", package="isthmus.integrations.stores", group="isthmus.stores")

#: Other names of schemes.
ALIASES = {"postgres": "postgresql"}
#: A scheme before one colon. Two colons select a member of a file.
_SCHEME = re.compile(r"([a-z][a-z0-9+-]+):(?!:)")


def url_scheme(text: str) -> str | None:
    """Return the scheme of a URL, or None for a path or for chained URLs of fsspec.

    >>> url_scheme("lancedb://table"), url_scheme("a/b.npy"), url_scheme("simplecache::s3://b/c.parquet")
    ('lancedb', None, None)
    """
    scheme, separator, _ = text.partition("://")
    return scheme if separator and "::" not in scheme else None


def store_scheme(text: str) -> str | None:
    """Return the scheme of an address if a store of this scheme is registered, else None.

    >>> store_scheme("a/b.npy"), store_scheme("s3://bucket/a.parquet")
    (None, None)
    """
    match = _SCHEME.match(text)
    scheme = None if match is None else ALIASES.get(match[1], match[1])
    return scheme if scheme is not None and scheme in stores else None  # a path imports no store


def unknown_scheme(text: str) -> InputError | None:
    """Return the error for an address whose scheme no store has, or None for a path without a scheme."""
    match = _SCHEME.match(text)
    if match is None:
        return None
    known = ", ".join(sorted(stores))
    return InputError(
        f"{text}: no store or file system of the scheme {match[1]!r} is installed; install the package that provides "
        f"it, take one of {known}, or export the vectors to a Parquet file"
    )


@dataclass(frozen=True)
class StoreAddress:
    """The address of a column of vectors in a store, ``SCHEME:[//]LOCATION/TABLE::COLUMN?NAME=VALUE``.

    Parameters
    ----------
    scheme : str
        Scheme of the store.
    location : str
        Everything between the scheme and the column, without options. It may hold a password.
    column : str or None
        Name of the column of vectors.
    filters : tuple of (str, str)
        Columns and the values that they have in the rows that are meant, such as ('modality', 'image').
    options : dict of str to str
        Names that the store takes as options, such as 'id'.
    slashes : str
        Two slashes after the scheme, or nothing. Default: two slashes.

    Examples
    --------
    >>> address = StoreAddress.parse("lancedb://data/shop/items::vector?modality=image")
    >>> address.location, address.column, address.filters
    ('data/shop/items', 'vector', (('modality', 'image'),))
    >>> address.folder, address.table
    ('data/shop', 'items')
    >>> str(StoreAddress.parse("postgresql://me:secret@host/shop/items::vector"))
    'postgresql://me@host/shop/items::vector'
    """

    scheme: str
    location: str = field(repr=False)
    column: str | None = None
    filters: tuple[tuple[str, str], ...] = ()
    options: dict[str, str] = field(default_factory=dict, hash=False)
    slashes: str = "//"

    @classmethod
    def parse(cls, text: str, options: tuple[str, ...] = ("id",)) -> StoreAddress:
        """Return the parts of an address.

        Parameters
        ----------
        text : str
            The address.
        options : tuple of str
            Names after '?' that are options. All others are filters. Default: 'id'.

        Returns
        -------
        StoreAddress
            Its parts.
        """
        scheme, _, location = text.partition(":")
        scheme = ALIASES.get(scheme, scheme)
        location = location.removeprefix("//")
        before, colons, column = location.rpartition("::")
        if not colons or "/" in column.partition("?")[0]:
            before, column = location, ""
        before, _, first_query = before.partition("?")
        column, _, query = column.partition("?")
        pairs = [*parse_qsl(first_query, keep_blank_values=True), *parse_qsl(query, keep_blank_values=True)]
        filters = tuple((name, value) for name, value in pairs if name not in options)
        chosen = {name: value for name, value in pairs if name in options}
        return cls(scheme, before.rstrip("/"), column or None, filters, chosen)

    @property
    def folder(self) -> str:
        """The location without the table."""
        return self.location.rpartition("/")[0]

    @property
    def table(self) -> str:
        """The last component of the location."""
        return self.location.rpartition("/")[2]

    @property
    def table_key(self) -> tuple[str, str]:
        """Scheme and location, which two addresses of one table share."""
        return self.scheme, self.location

    def with_column(self, column: str) -> StoreAddress:
        """Return the address of another column of the same rows.

        Parameters
        ----------
        column : str
            Name of the column.

        Returns
        -------
        StoreAddress
            The other address.
        """
        return replace(self, column=column)

    def __str__(self) -> str:
        column = f"::{self.column}" if self.column else ""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in self.filters)
        return without_password(f"{self.scheme}:{self.slashes}{self.location}{column}{f'?{query}' if query else ''}")


def require_table(address: StoreAddress, example: str) -> None:
    """Raise `InputError` unless the address names a folder and a table."""
    if not address.folder or not address.table:
        raise InputError(f"{address}: names no table, expected an address such as {example}")
