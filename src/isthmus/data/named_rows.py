"""Names of modalities that tables, columns and mappings give to their rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isthmus.compute import arrays
from isthmus.data.sources import Source, modality_of_column
from isthmus.data.sources._members import listed
from isthmus.utils import errors
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Arguments of `Pairs`, which no modality may be called.
RESERVED_NAMES = frozenset({"index", "labels", "y_groups"})


def column_modalities(x: Any, y: Any) -> tuple[str, str] | None:
    """Return the modalities that two columns of a table name, None unless both have different names of modalities.

    Parameters
    ----------
    x, y : object
        Columns of pandas, polars or Hugging Face `datasets`, or rows of another kind.

    Returns
    -------
    tuple of two str, or None
        Names without endings such as '_embedding'.

    Examples
    --------
    >>> import pandas
    >>> frame = pandas.DataFrame({"img_emb": [[1.0, 0.0]], "text_emb": [[0.0, 1.0]], "vector": [[1.0, 1.0]]})
    >>> column_modalities(frame["img_emb"], frame["text_emb"]), column_modalities(frame["img_emb"], frame["vector"])
    (('image', 'text'), None)
    """
    names = [_name_of_column(rows) for rows in (x, y)]
    modalities = [None if name is None else modality_of_column(name) for name in names]
    first, second = modalities
    return None if first is None or second is None or first == second else (first, second)


def _name_of_column(rows: Any) -> str | None:
    if isinstance(rows, (Source, str, os.PathLike)) or arrays.is_non_numpy(rows):
        return None
    name = getattr(rows, "column_name", getattr(rows, "name", None))
    return name if isinstance(name, str) and name and name not in RESERVED_NAMES else None


def two_named_modalities(modalities: Mapping[str, Any]) -> dict[str, Any]:
    """Return the two modalities of a mapping without its single numbers, such as the `logit_scale` of a model.

    Parameters
    ----------
    modalities : mapping of str to array-like or path
        Rows of each modality.

    Returns
    -------
    dict of str to object
        Two modalities.

    Raises
    ------
    InputError
        If there are not two.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.eye(3)
    >>> list(two_named_modalities({"image": rows, "text": rows, "logit_scale": np.float32(100)}))
    ['image', 'text']
    """
    named = {name: rows for name, rows in modalities.items() if getattr(rows, "shape", None) != ()}
    named = {name: rows for name, rows in named.items() if not isinstance(rows, (int, float))}
    if len(named) == 2:
        return named
    if named and all(hasattr(split, "with_format") for split in named.values()):
        splits = listed(list(named))
        raise InputError(f"got a data set of the splits {splits}, expected one: give data['NAME']")
    raise InputError(
        f"got {counted(len(named), 'modality')}, expected two; isthmus.Modalities(**modalities) takes more than two of "
        "them"
    )


def named_modalities(positional: Sequence[Any], named: Mapping[str, Any], owner: str, /) -> dict[str, Any]:
    """Return the modalities of a constructor, which are keyword arguments or one dictionary.

    Parameters
    ----------
    positional : sequence
        Positional arguments: none, or one dictionary of modalities by name.
    named : mapping
        Keyword arguments.
    owner : str
        Class that messages name.

    Returns
    -------
    dict of str to object
        The modalities in their order.

    Raises
    ------
    InputError
        If rows have no name, or a name is reserved or no text.

    Examples
    --------
    >>> named_modalities([{"image": [[1.0]]}], {"text": [[2.0]]}, "Pairs")
    {'image': [[1.0]], 'text': [[2.0]]}
    """
    if not positional:
        return dict(named)
    if len(positional) > 1 or not isinstance(positional[0], Mapping):
        kinds = ", ".join(type(rows).__name__ for rows in positional)
        raise InputError(
            f"{owner} got {kinds[:60]} without names, expected named rows: {owner}(image=X, text=Y), or a dictionary"
        )
    unusable = [name for name in positional[0] if not isinstance(name, str) or name in RESERVED_NAMES]
    if unusable:
        raise InputError(f"{unusable[0]!r} cannot be the name of a modality, expected text such as 'image'")
    return {**positional[0], **named}


def check_one_argument(data: Any, /) -> None:
    """Raise `InputError` for one argument that is no rows yet, or more than two modalities.

    Parameters
    ----------
    data : object
        What a function of two modalities got as its only argument.

    Raises
    ------
    InputError
        If it is a lazy table, or `Modalities`, which have methods of their own.

    Examples
    --------
    >>> import numpy as np
    >>> check_one_argument(np.eye(2))
    """
    if hasattr(data, "collect") and not hasattr(data, "shape"):
        raise InputError(f"got {type_of(data)}, expected a table in memory; run its method .collect() first")
    if type(data).__name__ == "Modalities" and hasattr(data, "pairs"):
        raise InputError(
            "got Modalities, expected two modalities; call Modalities.measure() or Modalities.explain(), or give one "
            "pair of Modalities.pairs"
        )


def pair_of_columns(data: Any) -> dict[str, Any]:
    """Return the two columns of a table of two columns by their modalities, nothing for anything else.

    Parameters
    ----------
    data : object
        A data frame of pandas or polars, a table of pyarrow, or a data set of Hugging Face.

    Returns
    -------
    dict of str to object
        Two columns, or nothing.

    Examples
    --------
    >>> import pandas
    >>> list(pair_of_columns(pandas.DataFrame({"img_emb": [[1.0, 0.0]], "text_emb": [[0.0, 1.0]]})))
    ['image', 'text']
    """
    names = getattr(data, "column_names", getattr(data, "columns", None))
    if names is None and hasattr(data, "__arrow_c_stream__"):
        pa = errors.import_optional("pyarrow", "parquet", f"reading {type_of(data)}")
        stream = pa.RecordBatchReader.from_stream(data)
        data, names = stream.read_all(), stream.schema.names
    if not isinstance(names, Iterable) or not hasattr(data, "__getitem__"):
        return {}
    columns = [name for name in names if isinstance(name, str)]
    modalities = [modality_of_column(name) or name for name in columns]
    if len(columns) != 2 or modalities[0] == modalities[1] or RESERVED_NAMES & set(modalities):
        return {}
    return {modality: data[name] for modality, name in zip(modalities, columns, strict=True)}
