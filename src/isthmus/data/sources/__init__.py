"""Embeddings on disk, with one file per format.

`open_source` finds the format of a path and opens it without reading all of it. A new module in this folder whose class
is decorated with `register` is found without a second edit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data.sources._codes import Coding, decode
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location, resolve, split_member
from isthmus.data.sources._raw import open_raw
from isthmus.data.sources._registry import (
    find_format,
    format_by_suffix,
    formats,
    register,
    split_format,
    writable_format,
)
from isthmus.data.sources._source import ConcatRows, Source
from isthmus.data.sources._stacks import open_member
from isthmus.data.sources._store import Store, StoreTable, find_store, register_store
from isthmus.data.sources._stores import StoreAddress, store_scheme, stores
from isthmus.data.sources._transposed import warn_if_transposed
from isthmus.data.sources._vector_sets import VectorLists, set_pool
from isthmus.data.sources._write_codes import write_codes
from isthmus.data.sources._writers import RawRowsWriter, Writer
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "ConcatRows",
    "Format",
    "Location",
    "RawRowsWriter",
    "Source",
    "Store",
    "StoreAddress",
    "StoreTable",
    "Writer",
    "find_format",
    "formats",
    "modality_name",
    "modality_of_column",
    "open_source",
    "register",
    "register_store",
    "split_member",
    "stores",
    "writable_format",
    "write_codes",
]

#: Names of arrays and columns that do not name a modality.
GENERIC_COLUMN_NAMES = {"embedding", "embeddings", "emb", "vector", "vectors", "features", "rows", "npy", "arr_0"}
_ENDINGS = ("_embeddings", "_embedding", "_embeds", "_embed", "_embs", "_emb", "_features", "_vectors", "_vector")
_SYNONYMS = {"img": "image", "images": "image", "txt": "text", "texts": "text", "captions": "text"}
#: Modalities that a field of a structure names before its other fields.
_COMMON_MODALITIES = ("image", "text", "audio", "video")


def open_source(
    path: str | os.PathLike[str],
    *,
    pool: str | None = None,
    raw: str | None = None,
    scale: Any = None,
    offset: Any = None,
    ranges: Any = None,
    bits: bool = False,
    rounding: str | None = None,
    min_rows: int = 2,
) -> Source:
    """Open the embeddings at `path` without reading all of them.

    Parameters
    ----------
    path : str or path-like
        A file, a folder of shards, a URL, or an address in a vector store such as ``lancedb://folder/table::vector``.
        ``FILE::NAME`` selects one array or column of several. ``FORMAT:FILE`` names the format, as in ``faiss:FILE``.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one. Vectors that are all zero are padding, and are left out.
    raw : str, optional
        Dtype and width of a file without a header and of no known format, such as 'float32:512'.
    scale : float, array-like (d,) or path, optional
        Factor of stored numbers, such as int8 or uint8 codes: row = scale * code + offset.
    offset : float, array-like (d,) or path, optional
        Number that is added to scaled codes.
    ranges : array-like (2, d) or path, optional
        Minimum and maximum of each coordinate that int8 or uint8 codes were made from, as sentence-transformers keeps
        them. A path is that of an .npy file.
    bits : bool
        Whether the bits of int8 or uint8 numbers are signs, packed by numpy.packbits. Default: False.
    rounding : {'down', 'nearest', 'zero'}, optional
        How the codes of `ranges` were rounded. Default: recognised by the lengths of the rows or the number of zeros,
        else 'down', with a warning.
    min_rows : int, default 2
        Fewest rows that are accepted.

    Returns
    -------
    Source
        The rows (n, d), read in blocks.

    Raises
    ------
    InputError
        If nothing is there, or the file is truncated or pickled. If it holds whole numbers without a scale, ranges or
        bits. If the embeddings are not at least `min_rows` rows of floats in two dimensions. If the file holds several
        arrays or columns and none is selected.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "clip.npz"
    ...     np.savez(path, image=np.eye(3), text=np.ones((5, 4)))
    ...     open_source(f"{path}::text").shape
    (5, 4)
    """
    scheme = store_scheme(str(path))
    if scheme is not None:
        source: Source = stores[scheme].open_source(str(path), min_rows=min_rows)
    else:
        named, text = split_format(str(path))
        text, member = split_member(text)
        location = resolve(text)
        is_raw = raw is not None and named is None and not location.is_dir() and format_by_suffix(location) is None
        if is_raw:
            source = open_raw(location, str(raw), min_rows=min_rows)
        else:
            source = open_member(named or find_format(location), location, member, min_rows=min_rows)
    coding = {"scale": scale, "offset": offset, "ranges": ranges, "bits": bits, "rounding": rounding}
    source = prepared(source, pool=pool, **coding)
    source.reading = {"pool": pool, "raw": raw, **coding}
    return source


def prepared(source: Source, *, pool: str | None = None, **coding: Any) -> Source:
    """Return a source with decoded numbers and pooled vectors, given options of `open_source`."""
    if pool is not None and source.n_vectors is not None and (source.n_vectors != 1).any():
        source = _sets_of_list(source, source.n_vectors)
    source = decode(source, Coding(**coding))
    warn_if_transposed(source)
    set_pool(source.rows, pool)
    return source


def _sets_of_list(source: Source, n_vectors: np.ndarray) -> Source:
    """Return a list of arrays, which was read as batches, as sets of vectors."""
    return Source(
        VectorLists(source.rows, n_vectors, source.address, source.convert),
        address=source.address,
        format=source.format,
        location=source.location,
        member=source.member,
    )


def modality_name(path: str | os.PathLike[str]) -> str:
    """Return the modality that a path names.

    The array or column of ``FILE::NAME`` gives the name, unless it is a generic one such as 'embedding'. Endings such
    as '_emb' are dropped, and 'img' and 'txt' are written out. In a vector store, ``?modality=image`` gives the name.

    Parameters
    ----------
    path : str or path-like
        A file, folder or URL, with or without ``::NAME``.

    Returns
    -------
    str
        The name of the modality.

    Examples
    --------
    >>> modality_name("a/img_emb.npy"), modality_name("clip.npz::text"), modality_name("laion.parquet::text_embedding")
    ('image', 'text', 'text')
    >>> modality_name("image.parquet::embedding"), modality_name("text_embeddings.npz"), modality_name("audio.h5")
    ('image', 'text', 'audio')
    """
    file, member = _file_and_member(path)
    named = None if member is None else modality_of_column(member)
    return _modality_of_file(Path(file)) if named is None else named


def distinct_modality_names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the modalities that paths name: those of the files or tables if columns have one name.

    >>> distinct_modality_names(["image.parquet::clip", "text.parquet::clip"])
    ['image', 'text']
    """
    names = [modality_name(path) for path in paths]
    of_files = [_modality_of_file(Path(_file_and_member(path)[0])) for path in paths]
    return of_files if len(set(names)) < len(names) == len(set(of_files)) else names


def modality_name_among(path: str | os.PathLike[str], modalities: Sequence[str]) -> str:
    """Return the modality that a path names by its column, or by its file or table if only this one is known.

    >>> modality_name_among("text.parquet::clip", ["image", "text"])
    'text'
    """
    name, of_file = modality_name(path), _modality_of_file(Path(_file_and_member(path)[0]))
    return of_file if name not in modalities and of_file in modalities else name


def absolute_address(path: str | os.PathLike[str]) -> str:
    """Return a path with an absolute one, also behind the name of a format or a store. URLs are returned as they are.

    >>> absolute_address("faiss:/a/b.bin"), absolute_address("/a/../c.npz::text"), absolute_address("s3://b/c.parquet")
    ('faiss:/a/b.bin', '/c.npz::text', 's3://b/c.parquet')
    """
    text = str(path)
    if "://" in text:
        return text
    name, colon, location = text.partition(":")
    if split_format(text)[0] is None and store_scheme(text) is None:
        name, colon, location = "", "", text
    return f"{name}{colon}{os.path.abspath(location)}"


def _file_and_member(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Return the file or table of a path, and its array, column or value of ``?modality=``."""
    stored = find_store(str(path))
    if stored is None:
        return split_member(split_format(str(path))[1])
    address = stored[1]
    return address.table, dict(address.filters).get("modality", address.column)


def modality_of_column(name: str) -> str | None:
    """Return the modality that an array or a column names, None for a generic name such as 'embedding'.

    Parameters
    ----------
    name : str
        Name of the array or column, or of a field of a structure.

    Returns
    -------
    str or None
        The name of the modality.

    Examples
    --------
    >>> modality_of_column("img_emb"), modality_of_column("clip.text.embedding"), modality_of_column("embedding")
    ('image', 'text', None)
    """
    fields = [_modality_of_file(Path(field)) for field in Path(name).name.split(".")]
    named = [field for field in fields if field and field not in GENERIC_COLUMN_NAMES]
    return next((field for field in named if field in _COMMON_MODALITIES), named[0] if named else None)


def _modality_of_file(path: Path) -> str:
    """Return the name of a file or folder without its suffix and endings."""
    stem = path.name if os.path.isdir(path) else path.stem
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    return _SYNONYMS.get(stem, stem)


if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter("isthmus.sources", __all__)
