"""Tables with one column for each dimension of an embedding."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from isthmus.data.sources._members import SeveralArraysError, listed
from isthmus.utils import validation
from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError, IsthmusWarning

#: Fewest numbered columns of one name that count as an embedding of their own.
MIN_NUMBERED = 8
#: Fewest rows whose whole numbers are ids if all differ, beside columns of fractions.
MIN_IDS = 20
#: Names of integer columns that number or label the rows.
_ID_NAMES = re.compile(r"(?i)(^|_)(id|ids|idx|index|key|keys|label|labels|class|row|rows|number|count|split)$|^$")
_NUMBER = re.compile(r"\d+$")
#: Text of a number that is not whole, as ids may be.
FRACTION = r"^\s*[-+]?(\d+[.,]\d*|[.,]\d+|\d+([.,]\d*)?[eE][-+]?\d+)\s*$"


def wide_columns(batch: Any, address: str) -> tuple[str, ...]:
    """Return the columns of numbers that are dimensions of an embedding.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        The first rows.
    address : str
        Name of the file, for messages.

    Returns
    -------
    tuple of str
        Names of the columns, in their order.

    Raises
    ------
    InputError
        If there are fewer than two, numbered columns of several embeddings, or a column of numbers with a word in it.
    """
    import pyarrow.types as t

    names = batch.schema.names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(
            f"{address[-120:]}: holds {names.count(repeated[0])} columns called {repeated[0]!r}; rename them"
        )
    check_words(batch, address)
    floats = [field.name for field in batch.schema if t.is_floating(field.type)]
    integers = [field.name for field in batch.schema if t.is_integer(field.type)]
    stems = [_NUMBER.sub("", name) for name in floats]
    numbered = [
        n for n in integers if _NUMBER.search(n) and _NUMBER.sub("", n) in stems and not _are_row_numbers(batch, n)
    ]
    dimensions = set(floats) | set(numbered) | (set() if floats else {n for n in integers if not _ID_NAMES.search(n)})
    columns = tuple(name for name in names if name in dimensions)
    if len(columns) < 2:
        kinds = ", ".join(f"{field.name}: {field.type}" for field in batch.schema)
        raise InputError(
            f"{address[-120:]}: holds no embeddings, only the columns {kinds[:100] or 'of an empty file'}; expected a "
            "column of lists or of text such as '[0.1, 0.2]', or one column of numbers for each dimension"
            + ("; choose a column of packed signs by ::COLUMN" if "binary" in kinds else "")
        )
    groups = numbered_groups(batch.schema)
    if len(groups) > 1:
        ends = [f"{group[0]} to {group[-1]}" for group in groups.values()]
        holds = f"{address[-120:]}: holds the columns of {len(groups)} embeddings, {listed(ends)}"
        raise SeveralArraysError(holds, [f"{address}::{name}" for name in groups])
    others = [name for name in columns if groups and name not in next(iter(groups.values()))]
    if not others:
        return columns
    (group,) = groups.values()
    warnings.warn(
        f"{address[-120:]}: the dimensions are the columns {group[0]} to {group[-1]}; left out the numbers in "
        f"{listed(others)}",
        IsthmusWarning,
        stacklevel=2,
    )
    return group


def _are_row_numbers(batch: Any, name: str) -> bool:
    """Return whether a column holds 0, 1, 2 ... or 1, 2, 3 ..., or many different numbers, as ids without a name do."""
    column = batch.column(name)
    numbers = column.drop_null().to_numpy(zero_copy_only=False)
    if len(numbers) < 3 or column.null_count:
        return False
    counts_up = numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())
    return counts_up or (len(numbers) >= MIN_IDS and numbers.min() >= 0 and len(np.unique(numbers)) == len(numbers))


def check_words(batch: Any, address: str) -> None:
    """Raise `InputError` if a column is text because of a few cells, and most of its cells hold fractions.

    If there are numbered columns of floats, others are no dimensions, such as prices, and may hold words.
    """
    import pyarrow.compute as pc
    import pyarrow.types as t

    groups = numbered_groups(batch.schema)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        is_dimension = not groups or (_NUMBER.search(name) is not None and _stem(name) in groups)
        if is_dimension and (t.is_string(column.type) or t.is_large_string(column.type)):
            is_number = pc.match_substring_regex(column, FRACTION).fill_null(True).to_numpy(zero_copy_only=False)
            words = np.flatnonzero(~is_number)
            if len(words) and 2 * len(words) < len(column) - column.null_count:
                rows_are = validation.rows_are(words, f"text such as {shown(column[int(words[0])].as_py())}")
                raise InputError(
                    f"{address[-80:]}::{name[:40]}: {rows_are}, expected a number as in most rows; correct it or leave "
                    "the cell empty"
                )


def numbered_groups(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return numbered columns of floats, such as ``image_0`` to ``image_511``, by the name 'image' before the number.

    Integers of a group whose other columns are floats belong to it. A group has at least `MIN_NUMBERED` columns.
    """
    import pyarrow.types as t

    groups: dict[str, list[str]] = {}
    of_floats = set()
    for field in schema:
        is_float = t.is_floating(field.type)
        if _NUMBER.search(field.name) and (is_float or t.is_integer(field.type)):
            stem = _stem(field.name)
            groups.setdefault(stem, []).append(field.name)
            of_floats |= {stem} if is_float else set()
    return {stem: tuple(names) for stem, names in groups.items() if stem in of_floats and len(names) >= MIN_NUMBERED}


def _stem(name: str) -> str:
    """Return the name of a numbered column without the number."""
    return _NUMBER.sub("", name).rstrip("_-. ")
