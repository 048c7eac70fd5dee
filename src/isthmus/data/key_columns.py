"""Columns of keys, read from the file of the embeddings, from another file, or given as an array."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.row_values import known_entries, read_row_values, without_unequal_lines
from isthmus.data.sources import Source, csv, jsonl, parquet, split_member
from isthmus.data.sources._unequal_lines import UnequalLinesError
from isthmus.utils.errors import InputError
from isthmus.utils.files import load_npy


def read_keys(source: Source, key: Any, *, drop_bad: bool = False) -> tuple[Any, str]:
    """Return the keys of `source` and their description for messages.

    `key` is a column of the file, a file of keys (`.npy`, `.txt`, `FILE.csv::COLUMN`), or an array. If `drop_bad`, keys
    in lines with another number of cells than the others are masked.
    """
    if not isinstance(key, (str, os.PathLike)):
        keys, address = (
            np.ma.atleast_1d(key) if isinstance(key, np.ma.MaskedArray) else np.atleast_1d(key),
            f"the keys of {source.address}",
        )
    else:
        key_file, column = split_member(key)
        address = str(key)
        if os.path.isfile(key_file):
            keys = _read_key_file(Path(key_file), column, drop_bad=drop_bad)
        elif Path(key_file).suffix.lower() in (".npy", *parquet.Parquet.suffixes):
            raise InputError(f"{key_file}: no such file; give a file of keys, one key a row, or the name of a column")
        else:
            keys, address = _own_keys(source, str(key), drop_bad=drop_bad), f"{source.location}::{key}"
    if len(keys) != source.shape[0]:
        raise InputError(f"{address}: holds {len(keys):,} keys, expected one for each of {source.shape[0]:,} rows")
    return keys, address


def known_keys(keys: Any, address: str, *, drop_bad: bool) -> tuple[Any, np.ndarray]:
    """Return the keys that are not masked, and the numbers of their rows. Masked ones raise `InputError` by default."""
    keys, mask = known_entries(keys, address, drop_bad=drop_bad)
    return (keys, np.arange(len(keys))) if mask is None else (keys[~mask], np.flatnonzero(~mask))


def _own_keys(source: Source, column: str, *, drop_bad: bool) -> Any:
    """Return the keys in a column of the file of `source`."""
    try:
        return source.keys(column)
    except UnequalLinesError as error:
        if not drop_bad:
            raise
        return without_unequal_lines(error)


def _read_key_file(path: Path, column: str | None, *, drop_bad: bool) -> Any:
    if path.suffix.lower() in parquet.Parquet.suffixes:
        if column is None:
            raise InputError(f"{path}: the column of the keys is not named; give {path}::COLUMN")
        return parquet.read_keys(path, column)
    if path.suffix.lower() in (".txt", *csv.Csv.suffixes, *jsonl.Jsonl.suffixes):
        return read_row_values(str(path) if column is None else f"{path}::{column}", "key", drop_bad=drop_bad)
    keys = load_npy(path, mmap_mode="r")
    if keys is None or not keys.ndim:
        raise InputError(
            f"{path}: is not a file of keys, expected integers or text saved with numpy.save, or FILE.parquet::COLUMN"
        )
    return keys
