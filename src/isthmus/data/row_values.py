"""Files with one value for each row: the matching row, the class, or a key."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import Source, csv, jsonl, parquet
from isthmus.data.sources._locations import split_member
from isthmus.data.sources._members import listed
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
        except csv.UnequalLinesError as error:
            if name == "classes":  # none of them can be left out
                raise InputError(f"{error.first_line}; correct the line") from None
            if not drop_bad:
                raise
            return without_unequal_lines(error, name)
    try:
        loaded = _of_lines(path, name) if suffix == ".txt" else load_npy(path)
    except InputError:
        raise
    except (ValueError, OSError):
        loaded = None
    if loaded is None:
        raise InputError(f"{path}: is no readable file of {name}; expected {EXPECTED}")
    return loaded


def _of_table(path: Path, suffix: str, column: str | None, name: str) -> np.ndarray:
    """Return a column of a table."""

    def choose(schema: Any) -> str:
        names = schema.names
        of_option = [entry for entry in names if entry.lower() in COLUMN_NAMES[name]]
        if column is not None and column not in names:
            raise unknown_name(f"column in {str(path)[-80:]}", column, names)
        if column is None and len(names) > 1 and len(of_option) != 1:
            advice = f"give one, such as {path.name}::{names[-1]}"
            raise InputError(f"{path}: holds the columns {listed(names)[:100]}; {advice}")
        return str(column or (names[0] if len(names) == 1 else of_option[0]))

    try:
        if suffix in csv.Csv.suffixes:
            if column is None and _has_one_column(path):
                return _of_lines(path, name)
            values_column = csv.read_column(path, choose, as_text=name != "index")
        else:
            table = parquet.open_file(path).read() if suffix in parquet.Parquet.suffixes else _json_table(path)
            values_column = table.column(choose(table.schema))
    except InputError:
        raise
    except (ValueError, TypeError, OSError) as error:  # of pyarrow and of json
        raise InputError(f"{path}: is no complete table ({str(error)[:80]}); expected {EXPECTED}") from None
    return _array_of(values_column, str(path), name)


def _array_of(column: Any, address: str, name: str) -> np.ndarray:
    """Return a column of Arrow without nulls as the values of an option: whole numbers, numbers or text."""
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy())
        raise InputError(
            f"{address}: {validation.rows_are(rows, 'null, such as an empty cell or NA')}; expected {EXPECTED}"
        )
    values = np.asarray(column.to_numpy())
    return values if values.dtype.kind != "O" else _typed(values.astype(str), name)


def without_unequal_lines(error: csv.UnequalLinesError, name: str, /) -> np.ma.MaskedArray[Any, Any]:
    """Return the values of a column, masked in lines with another number of cells, with a warning that names them."""
    mask = np.zeros(len(error.column), dtype=bool)
    mask[error.rows] = True
    values = _array_of(error.column.filter(~mask), error.first_line, name)
    filled = np.zeros(len(mask), dtype=values.dtype)
    filled[~mask] = values
    warnings.warn(f"{error.first_line}: left out {counted(len(error.rows), 'line')}", IsthmusWarning, stacklevel=3)
    return np.ma.MaskedArray(filled, mask)


def known_entries(values: Any, name: str, /, *, drop_bad: bool) -> tuple[Any, np.ndarray | None]:
    """Return the entries of an array without its mask, and the mask. Masked ones raise an error unless `drop_bad`."""
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


def _of_lines(path: Path, name: str) -> np.ndarray:
    """Return the lines of a file of text as the values of an option, without the name of the column in the first line.

    The first line is a name if all others are numbers, or if it is one of `HEADINGS` and no other line repeats it.
    """
    lines = np.char.strip(np.char.strip(np.array(_lines(path), dtype=str)), '"')
    empty = np.flatnonzero(lines == "")
    if len(empty):
        raise InputError(f"{path}: line {int(empty[0]) + 1:,} is empty, expected {EXPECTED}")
    is_name = (
        len(lines) > 1
        and _numbers(lines) is None
        and (_numbers(lines[1:]) is not None or (str(lines[0]).lower() in HEADINGS and lines[0] not in lines[1:]))
    )
    return _typed(lines[1:] if is_name else lines, name)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file of text without blank lines at its end. Separators of Unicode are in lines."""
    return path.read_text("utf-8-sig").rstrip("\n").split("\n")


def _json_table(path: Path) -> Any:
    """Return a table of JSON lines, whose lines may also be single values."""
    import pyarrow as pa

    lines, number = _lines(path), 0
    try:
        rows = json.loads(f"[{','.join(lines)}]")
    except ValueError:
        with contextlib.suppress(ValueError):
            for line in lines:
                number += 1
                json.loads(line)
        raise InputError(f"{path}: line {number:,} is no JSON; expected {EXPECTED}") from None
    return pa.Table.from_pylist(rows) if rows and isinstance(rows[0], dict) else pa.table({"": pa.array(rows)})


def _typed(lines: np.ndarray, name: str) -> np.ndarray:
    """Return text as the values of an option, which are numbers if all of it is and if they print as they are written.

    Row numbers of an index may have any form. Keys are whole numbers or text.
    """
    text = np.char.strip(lines)
    numbers = _numbers(text)
    if numbers is None or name == "index":
        return text if numbers is None else numbers
    is_kept = (numbers.dtype.kind == "i" or name != "key") and bool((numbers.astype(text.dtype) == text).all())
    return numbers if is_kept else text


def _numbers(text: np.ndarray) -> np.ndarray | None:
    """Return text as whole numbers, else as numbers, or None if some of it is neither."""
    for dtype in (np.int64, np.float64):
        with contextlib.suppress(ValueError, OverflowError):
            return np.asarray(text.astype(dtype))
    return None


def read_keys(source: Source, key: Any, *, drop_bad: bool = False) -> tuple[Any, str]:
    """Return the keys of `source`, from a column, a file or an array, and their description for messages."""
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
    except csv.UnequalLinesError as error:
        if not drop_bad:
            raise
        return without_unequal_lines(error, "key")


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
