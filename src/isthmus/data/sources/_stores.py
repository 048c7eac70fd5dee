"""The registry of vector stores that are read through URLs, by their scheme, such as ``lancedb``.

Packages above this one, and other installed packages, fill it through the entry-point group ``isthmus.stores``. Nothing
here imports them: the entry points are loaded on the first look-up.
"""

from __future__ import annotations

from typing import Any

from isthmus.utils.registry import Registry

#: Every store by the scheme of its URLs. A member has a method `open_source(url)` that returns a `Source`.
stores: Registry[Any] = Registry("store", group="isthmus.stores")


def url_scheme(text: str) -> str | None:
    """Return the scheme of a URL, or None for a path or for chained URLs of fsspec.

    >>> url_scheme("lancedb://table"), url_scheme("a/b.npy"), url_scheme("simplecache::s3://b/c.parquet")
    ('lancedb', None, None)
    """
    scheme, separator, _ = text.partition("://")
    return scheme if separator and "::" not in scheme else None
