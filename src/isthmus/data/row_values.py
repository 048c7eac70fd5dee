"""Files with one value for each row: the matching row, the class, or a key."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import csv, jsonl, parquet
from isthmus.data.sources._locations import split_member
from isthmus.data.sources._members import listed
from isthmus.data.sources._unequal_lines import UnequalLinesError
from isthmus.utils import paths, validation
from isthmus.utils.errors import InputError, IsthmusWarning, import_optional, unknown_name
from isthmus.utils.files import load_npy
from isthmus.utils.format import counted

#: Names of the column of each option. A table of several columns has one of them, or the column is named.
_CLASS_NAMES = ("label", "labels", "class", "classes", "category", "target")
COLUMN_NAMES = {"index": ("index",), "labels": _CLASS_NAMES, "classes": _CLASS_NAMES, "key": ("key", "id")}
#: Names that the first line of a text of one column may hold.
HEADINGS = {*COLUMN_NAMES["index"], *COLUMN_NAMES["labels"], *COLUMN_NAMES["key"], "row", "y"}
#: The files that messages expect.
EXPECTED = "one value for each row: .npy, or lines of .txt, .csv, .tsv, .jsonl or .parquet (FILE::COLUMN)"


def read_row_values(values: Any, name: str, /, *, drop_bad: bool = False) -> Any:
    r"""Return an array of one value for each row, which may be given as a file.

    Parameters
    ----------
    values : path or array-like
        A file (``.npy``, ``.txt``, ``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``), with ``::COLUMN`` for a table of
        several columns. A file of text may begin with the name of its column. Anything else is returned as it is.
    name : {'index', 'labels', 'classes', 'key'}
        Option that the values are for. It also chooses the column.
    drop_bad : bool, default False
        Whether lines with another number of cells than the others are masked, with a warning.

    Returns
    -------
    array-like
        The values. Those of a file are whole numbers, numbers or text.

    Raises
    ------
    InputError
        If the file cannot be read, or its column has to be named. Also if lines of a table of text have another number
        of cells than the others, unless `drop_bad`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "index.csv"
    ...     _ = path.write_text("index\n0\n0\n1\n")
    ...     read_row_values(path, "index").tolist()
    [0, 0, 1]
    """
    if not isinstance(values, (str, os.PathLike)):
        return values
    file, column = split_member(str(values))
    path = paths.check_readable(file, EXPECTED)
    suffix = path.suffix.lower()
    if suffix in (*csv.Csv.suffixes, *jsonl.Jsonl.suffixes, *parquet.Parquet.suffixes):
        import_optional("pyarrow", "parquet", f"reading {path}")
        try:
            return _of_table(path, suffix, column, name)
        except UnequalLinesError as error:
            if name == "classes":  # none of them can be left out
                raise InputError(f"{error.found}; correct the line") from None
            if not drop_bad:
                raise
            return without_unequal_lines(error)
    try:
        loaded = _of_lines(path) if suffix == ".txt" else load_npy(path)
    except (ValueError, OSError):
        loaded = None
    if loaded is None:
        raise InputError(f"{path}: is no readable file of {name}; expected {EXPECTED}")
    return loaded


def _of_table(path: Path, suffix: str, column: str | None, name: str) -> np.ndarray:
    """Return a column of a table."""

    def choose(schema: Any) -> str:
        names = schema.names
        known = [entry for entry in names if entry.lower() in COLUMN_NAMES[name]]
        if column is not None and column not in names:
            raise unknown_name(f"column in {str(path)[-80:]}", column, names)
        if column is None and len(names) > 1 and len(known) != 1:
            advice = f"give one, such as {path.name}::{names[-1]}"
            raise InputError(f"{path}: holds the columns {listed(names)[:100]}; {advice}")
        return str(column or (names[0] if len(names) == 1 else known[0]))

    try:
        if suffix in csv.Csv.suffixes:
            if column is None and _has_one_column(path):
                return _of_lines(path)
            chosen = csv.read_column(path, choose)
        else:
            table = parquet.open_file(path).read() if suffix in parquet.Parquet.suffixes else _json_table(path)
            chosen = table.column(choose(table.schema))
    except InputError:
        raise
    except (ValueError, TypeError, OSError) as error:  # of pyarrow and of json
        raise InputError(f"{path}: is no complete table ({str(error)[:80]}); expected {EXPECTED}") from None
    return _array_of(chosen, str(path))


def _array_of(column: Any, address: str) -> np.ndarray:
    """Return a column of Arrow without nulls as whole numbers, numbers or text."""
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy())
        raise InputError(f"{address}: {validation.rows_are(rows, 'null')}; expected {EXPECTED}")
    values = np.asarray(column.to_numpy())
    return values if values.dtype.kind != "O" else _typed(values.astype(str))


def without_unequal_lines(error: UnequalLinesError, /) -> np.ma.MaskedArray[Any, Any]:
    """Return the values of a column, masked in lines with another number of cells, with a warning that names them.

    Parameters
    ----------
    error : UnequalLinesError
        The error of reading the column.

    Returns
    -------
    numpy.ma.MaskedArray
        A value for each row (n,).
    """
    mask = np.zeros(len(error.column), dtype=bool)
    mask[error.rows] = True
    values = _array_of(error.column.filter(~mask), error.found)
    filled = np.zeros(len(mask), dtype=values.dtype)
    filled[~mask] = values
    warnings.warn(f"{error.found}: left out {counted(len(error.rows), 'line')}", IsthmusWarning, stacklevel=3)
    return np.ma.MaskedArray(filled, mask)


def known_entries(values: Any, name: str, /, *, drop_bad: bool) -> tuple[Any, np.ndarray | None]:
    """Return the entries of an array without its mask, and the mask. Masked ones raise `InputError` unless `drop_bad`.

    Parameters
    ----------
    values : array-like
        An entry for each row (n,).
    name : str
        What they are, for messages.
    drop_bad : bool
        Whether the rows of masked entries will be left out.

    Returns
    -------
    entries : array-like
        The entries, of which masked ones are arbitrary.
    mask : numpy.ndarray or None
        True (n,) where an entry is masked. None if none is.

    Examples
    --------
    >>> entries, mask = known_entries(np.ma.MaskedArray([1, 2], [False, True]), "labels", drop_bad=True)
    >>> entries.tolist(), mask.tolist()
    ([1, 2], [False, True])
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values, None
    entries, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
    if not mask.any():
        return entries, None
    if not drop_bad:
        masked = validation.rows_are(np.flatnonzero(mask), "masked")
        raise InputError(f"{name}: {masked}; leave these rows out with drop_bad=True")
    return entries, mask


def _has_one_column(path: Path) -> bool:
    """Return whether the first line of a text table has no separator."""
    with path.open(encoding="utf-8-sig") as file:
        return not any(mark in re.sub(r'"[^"]*"', "", file.readline()) for mark in ",\t;|")


def _of_lines(path: Path) -> np.ndarray:
    """Return the lines of a file of text, without the name of the column in the first line."""
    lines = np.char.strip(np.char.strip(np.array(path.read_text("utf-8-sig").splitlines(), dtype=str)), '"')
    empty = np.flatnonzero(lines == "")
    if len(empty):
        raise InputError(f"{path}: line {int(empty[0]) + 1:,} is empty, expected {EXPECTED}")
    return _typed(lines[1:] if len(lines) and str(lines[0]).lower() in HEADINGS else lines)


def _json_table(path: Path) -> Any:
    """Return a table of JSON lines, whose lines may also be single values."""
    import pyarrow as pa

    lines = path.read_text("utf-8-sig").splitlines()
    rows = json.loads(f"[{','.join(lines)}]")
    return pa.Table.from_pylist(rows) if rows and isinstance(rows[0], dict) else pa.table({"": pa.array(rows)})


def _typed(lines: np.ndarray) -> np.ndarray:
    """Return text as whole numbers, else as numbers, if all of it is."""
    values = np.char.strip(lines)
    for dtype in (np.int64, np.float64):
        try:
            return values.astype(dtype)
        except (ValueError, OverflowError):
            continue
    return values
