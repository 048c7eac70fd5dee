"""Opening of pairs in two files, matched by position, index or key."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, wraps
from typing import Any, ParamSpec

import numpy as np

from isthmus.data.columns import as_source
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.grouping import pairs_of_items
from isthmus.data.invalid_rows import described_counts, valid_mask
from isthmus.data.joins import KeyJoin, RepeatedKeyError, join_keys, select_rows
from isthmus.data.named_rows import (
    RESERVED_NAMES,
    check_one_argument,
    column_modalities,
    pair_of_columns,
    two_named_modalities,
)
from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.data.reading_options import open_each
from isthmus.data.repeated_keys import join_repeated_keys
from isthmus.data.row_lists import joined_batches
from isthmus.data.row_values import known_entries, known_keys, read_keys, read_row_values
from isthmus.data.sources import Source, absolute_address, distinct_modality_names, modality_name, open_source
from isthmus.data.sources._folder_names import warn_of_other_names
from isthmus.data.sources._members import SeveralArraysError
from isthmus.data.sources._stacks import n_stacked, stack_members, stack_names
from isthmus.utils import validation
from isthmus.utils.arguments import check_flags, list_of_names, shown
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import counted

P = ParamSpec("P")


def _record_open_spec(open_: Callable[P, Pairs]) -> Callable[P, Pairs]:
    """Read the files of index and labels, and record the arguments with absolute paths for workers elsewhere."""

    @wraps(open_)
    def open_and_record(*paths: P.args, **options: P.kwargs) -> Pairs:
        drop_bad = options.get("drop_bad") is True
        given: Any = {name: read_row_values(options.get(name), name, drop_bad=drop_bad) for name in ("index", "labels")}
        pairs = open_(*paths, **{**options, **given})
        if all(isinstance(path, (str, os.PathLike)) for path in paths):
            absolute = tuple(absolute_address(str(path)) for path in paths)
            pairs.open_spec = OpenSpec(open_and_record, absolute, {**options, **given, "names": pairs.names})
        return pairs

    return open_and_record


@_record_open_spec
def open_pairs(
    x: Any,
    y: Any,
    /,
    *,
    names: Sequence[str] | None = None,
    index: Any = None,
    labels: Any = None,
    key: Any = None,
    same_dim: bool = True,
    drop_bad: bool = False,
    group: bool = True,
    normalize: bool = True,
    **reading: Any,
) -> Pairs:
    """Open the pairs in two files or folders, memory-mapped if the format allows it, or in two arrays.

    Rows are paired by position, by `index` or by `key`. Rows whose key the other file lacks are left out, counted in
    `Pairs.key_join` and reported in an `IsthmusWarning`.

    Parameters
    ----------
    x : str, path-like or array-like
        A file, folder or URL of n_x rows, as in `isthmus.sources.open_source`, or rows in memory as in `Pairs`.
    y : str, path-like or array-like
        The same for n_y rows.
    names : sequence of str, optional
        Names of the two modalities. Default: those that the paths name (``image.npy`` and ``img_emb/`` name 'image').
        Columns of a table have the names of the columns. Arrays are called 'x' and 'y'.
    index : array-like of int or path, optional
        Row of x for each row of y, (n_y,), as in `Pairs`. Like `labels`, it may be a file.
    labels : array-like or path, optional
        A class for each row of the file `x`, (n_x,).
    key : str, path-like, array-like or sequence of two of them, optional
        A column that both files have, or one key for each file: a column, a file of keys (``.npy``, ``.txt``,
        ``FILE.csv::COLUMN``) or an array. A key may occur in several rows, such as captions of one image. If it does in
        both files, equal rows of a key count once. Each row of x matches all rows of y with its key.
    same_dim : bool
        Whether x and y must have the same width. If False, `CrossDimPairs` are returned. Default: True.
    drop_bad : bool
        Whether pairs with a row that is NaN, infinite or all zero are left out. They are counted in `Pairs.dropped` and
        reported in an `IsthmusWarning`. Rows whose key, index or label is masked, or in a line of text with another
        number of cells, are left out too. Default: False.
    group : bool
        Whether equal rows are one row with several matches, as with `index`. Examples are an image that is repeated
        beside each of its captions, and a caption beside each of its images. Rows are counted in `Pairs.grouped` and
        reported in an `IsthmusWarning`. Default: True.
    normalize : bool
        Whether a row and a multiple of it are equal rows. False suits functions that get `normalize=False`. Default:
        True.
    **reading
        Options of `isthmus.sources.open_source`: `pool`, `raw`, `scale`, `offset`, `ranges`, `bits` and `rounding`. A
        tuple of two has one value for x and one for y.

    Returns
    -------
    Pairs
        The pairs, read in blocks.

    Raises
    ------
    InputError
        If a path cannot be used, both paths give one name, a name is reserved, or `index` and `key` are both given.
        Also if the widths differ with `same_dim=True`, or `index` or `labels` does not fit. Also if keys are null or
        no key matches.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("image", "text"):
    ...         np.save(f"{folder}/{name}.npy", np.eye(4))
    ...     open_pairs(f"{folder}/image.npy", f"{folder}/text.npy").names
    ('image', 'text')
    """
    check_flags(drop_bad=drop_bad, group=group, normalize=normalize)
    pairs_class = Pairs if same_dim else CrossDimPairs
    labels, unknown_x = known_entries(labels, "labels", drop_bad=drop_bad)
    index, unknown_y = known_entries(index, "index", drop_bad=drop_bad)
    sources, modalities = named_sources(x, y, names, reading)
    if key is None:
        if index is None:
            warn_of_other_names(*sources)
        pairs = pairs_class(index=index, labels=labels, **dict(zip(modalities, sources, strict=True)))
        return _cleaned(pairs, unknown_x, unknown_y, drop_bad=drop_bad, group=group, normalize=normalize)
    if index is not None:
        raise InputError("got index and key, expected one of them: both state which rows belong together")
    key_join = _join_by_key(sources, key, drop_bad=drop_bad, group=group, normalize=normalize)
    if any(key_join.unmatched) or key_join.matched is not None:
        warnings.warn(key_join.summary(modalities), IsthmusWarning, stacklevel=3)
    subsets = [
        select_rows(source, row_numbers) for source, row_numbers in zip(sources, (key_join.x, key_join.y), strict=True)
    ]
    if labels is not None:
        labels = np.asarray(labels)
        validation.check_labels(labels, sources[0].shape[0], modalities[0])
        labels = labels[key_join.x]
    y_groups = None if key_join.matched is None else key_join.y
    pairs = pairs_class(
        index=key_join.index, labels=labels, y_groups=y_groups, **dict(zip(modalities, subsets, strict=True))
    )
    pairs.key_join = key_join
    unknown_x = None if unknown_x is None else unknown_x[key_join.x]
    return _cleaned(pairs, unknown_x, drop_bad=drop_bad, group=group, normalize=normalize)


def named_sources(
    x: Any, y: Any, names: Sequence[str] | None, reading: Mapping[str, Any]
) -> tuple[list[Source], tuple[str, str]]:
    """Return the rows of both modalities as sources, with their names."""
    are_paths = [isinstance(rows, (str, os.PathLike)) for rows in (x, y)]

    @cache
    def modalities() -> tuple[str, str]:
        given = names or column_modalities(x, y)
        if not all(are_paths) and given is None:
            is_path_of = zip((x, y), are_paths, "xy", strict=True)
            given = [modality_name(rows) if is_path else letter for rows, is_path, letter in is_path_of]
        return modality_names(x, y, given)

    def open_modality(number: int, options: dict[str, Any]) -> Source:
        rows = (x, y)[number]
        return open_source(rows, **options) if are_paths[number] else as_source(modalities()[number], rows, **options)

    if reading.get("pool") is None:
        x, y = joined_batches(x, y)
    sources = open_each(2, reading, open_modality)
    return sources, modalities()


def _cleaned(
    pairs: Pairs,
    unknown_x: np.ndarray | None = None,
    unknown_y: np.ndarray | None = None,
    *,
    drop_bad: bool,
    group: bool,
    normalize: bool,
) -> Pairs:
    """Return the pairs without invalid and unknown rows if `drop_bad`, and with equal rows as one if `group`."""
    pairs = drop_invalid_rows(pairs, unknown_x, unknown_y) if drop_bad else pairs
    return pairs_of_items(pairs, group=group, normalize=normalize)


def drop_invalid_rows(
    pairs: Pairs, unknown_x: np.ndarray | None = None, unknown_y: np.ndarray | None = None, /
) -> Pairs:
    """Leave out the pairs with a row that is NaN, infinite or all zero, and report their number in a warning.

    Parameters
    ----------
    pairs : Pairs
        The pairs, each row of which is read.
    unknown_x, unknown_y : numpy.ndarray of bool, optional
        Rows of x without a label, and rows of y without an index, which are left out too.

    Returns
    -------
    Pairs
        The usable pairs, or `pairs` itself if all are usable. `Pairs.dropped` counts the others.

    Raises
    ------
    InputError
        If fewer than two pairs are usable.

    Examples
    --------
    >>> import numpy as np, warnings
    >>> pairs = Pairs(image=np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]]), text=np.eye(3)[:, :2] + 1)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     drop_invalid_rows(pairs).dropped
    {'image': 1, 'text': 0, 'pairs': 1}
    """
    (valid_x, bad_x), (valid_y, bad_y) = valid_mask(pairs.x), valid_mask(pairs.y)
    x, y = pairs.names
    clauses = [described_counts({x: bad_x, y: bad_y}, pairs.x, pairs.y)] if bad_x + bad_y else []
    if unknown_x is not None and unknown_x.any():
        valid_x = valid_x & ~unknown_x
        clauses.append(f"{counted(int(unknown_x.sum()), 'row')} of {x} without a label")
    if unknown_y is not None and unknown_y.any():
        valid_y = valid_y & ~unknown_y
        clauses.append(f"{counted(int(unknown_y.sum()), 'row')} of {y} without an index")
    if not clauses:
        return pairs
    described = " and ".join(clauses)
    rows_y = np.flatnonzero(valid_x[pairs.owner] & valid_y)
    items, index = np.unique(pairs.owner[rows_y], return_inverse=True)
    counts = {x: bad_x, y: bad_y, "pairs": pairs.n_pairs - len(rows_y)}
    if len(items) < 2:
        raise InputError(f"{described}: {len(rows_y)} of {pairs.n_pairs:,} pairs are usable, expected two or more")
    usable = type(pairs)(
        index=None if pairs.index is None else index,
        labels=None if pairs.labels is None else pairs.labels[items],
        y_groups=pairs.y_groups_of(rows_y),
        **{x: select_rows(pairs.x, items), y: select_rows(pairs.y, rows_y)},
    )
    usable._with_history_of(pairs).dropped = counts
    message = f"{described}: left out {counts['pairs']:,} of {pairs.n_pairs:,} pairs, {usable.n_pairs:,} are used"
    warnings.warn(message, IsthmusWarning, stacklevel=3)
    return usable


def as_pairs(data: Any, y: Any = None, /, *, normalize: bool = True, **options: Any) -> Pairs:
    """Return pairs of whatever a function got for both modalities.

    Parameters
    ----------
    data : Pairs, array-like, path or mapping
        Pairs, rows of the first modality, two modalities by name, a table of two columns, or a stack of two arrays
        (2, n, d) or a file of one.
    y : array-like or path, optional
        Rows of the second modality, if `data` holds the first one alone.
    normalize : bool
        Whether rows are divided by their norms later, so that rows of different lengths may be equal. Default: True.
    **options
        Options of `open_pairs`.

    Returns
    -------
    Pairs
        The pairs. Arrays are called 'x' and 'y'.

    Raises
    ------
    InputError
        If the second modality is missing, or one too many is given.

    Examples
    --------
    >>> import numpy as np
    >>> as_pairs(np.eye(3), np.eye(3)).names, as_pairs({"image": np.eye(3), "text": np.eye(3)}).names
    (('x', 'y'), ('image', 'text'))
    """
    check_flags(drop_bad=options.get("drop_bad", False), group=options.get("group", True), normalize=normalize)
    if isinstance(data, Pairs):
        if y is not None:
            raise InputError("got Pairs and a second argument, expected Pairs alone or the rows of two modalities")
        data = drop_invalid_rows(data) if options.get("drop_bad") else data
        return pairs_of_items(data, group=options.get("group", True), normalize=normalize)
    options["normalize"] = normalize
    if y is not None:
        return open_pairs(data, y, **options)
    if isinstance(data, Mapping):
        data = two_named_modalities(data)
        return open_pairs(*data.values(), **{"names": tuple(data), **options})
    if isinstance(data, tuple) and len(data) == 2:
        return open_pairs(*data, **options)
    if is_stack(data):
        return open_pairs(*two_modalities(data), **options)
    if isinstance(data, (str, os.PathLike)):
        raise one_path_error(data)
    check_one_argument(data)
    columns = pair_of_columns(data)
    if columns:
        return open_pairs(*columns.values(), **{"names": tuple(columns), **options})
    shape = tuple(getattr(data, "shape", ()))
    raise InputError(
        f"got one {type(data).__name__}{f' of shape {shape}' if shape else ''}, expected two modalities: give "
        "(x, y), Pairs(image=x, text=y), a table of two columns, or a stack of shape (2, n, d)"
    )


def one_path_error(path: Any) -> InputError:
    """Return the error for the path of a file alone. A file of several arrays is opened with two of them."""
    try:
        open_source(path)
    except SeveralArraysError as error:
        return InputError(f"{error.holds}; give two of them as {' '.join(error.addresses[:2])}")
    return InputError(
        f"got {path} alone, expected the embeddings of two modalities or more, or a stack (2, n, d) of two"
    )


def is_stack(data: Any) -> bool:
    """Return whether `data` is a stack (k, n, d) of several modalities, or a file of one."""
    if isinstance(data, (str, os.PathLike)):
        return bool(stack_members(data))
    return bool(n_stacked(tuple(getattr(data, "shape", ()))))


def two_modalities(stack: Any) -> tuple[Any, Any]:
    """Return the two modalities of a stack, or their addresses. Raise `InputError` if it holds more."""
    modalities = stack_members(stack) if isinstance(stack, (str, os.PathLike)) else stack
    count = len(modalities) if isinstance(modalities, list) else int(modalities.shape[0])  # not all arrays have a len
    if count == 2:
        return modalities[0], modalities[1]
    if isinstance(stack, (str, os.PathLike)):
        advice = f"give two of them as {modalities[0]} {modalities[1]}"
    else:
        advice = "isthmus.Modalities(image=stack[0], text=stack[1], audio=stack[2]) takes more than two"
    raise InputError(f"got a stack of {counted(count, 'modality')}, expected two: {advice}")


def modality_names(x: Any, y: Any, names: Sequence[str] | None = None) -> tuple[str, str]:
    """Return the names of two modalities: `names` after a check, or else those that the paths name."""
    if names is None:
        names = stack_names([x, y]) or distinct_modality_names([x, y])
        if names[0] == names[1]:
            raise InputError(
                f"{x} and {y} would both be called {names[0]!r}; name them with --names image,text "
                "(names=('image', 'text') in Python)"
            )
    names = list_of_names(names, "names")
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise InputError(f"got the names {', '.join(map(repr, names))}, expected two different ones such as image,text")
    reserved = RESERVED_NAMES & set(names)
    if reserved:
        raise InputError(f"{min(reserved)!r} cannot be the name of a modality; choose another with --names")
    return names[0], names[1]


def _join_by_key(sources: Sequence[Source], key: Any, *, drop_bad: bool, group: bool, normalize: bool) -> KeyJoin:
    if not isinstance(key, (str, os.PathLike)) and not isinstance(key, Iterable):
        raise InputError(f"key={shown(key)}, expected the name of a column, or two columns, files or arrays of keys")
    keys = (key, key) if isinstance(key, (str, os.PathLike)) else tuple(key)
    if len(keys) != 2:
        raise InputError(
            f"got {counted(len(keys), 'key')}, expected one for both modalities, or one for each of the two"
        )
    columns_of_keys = [read_keys(source, k, drop_bad=drop_bad) for source, k in zip(sources, keys, strict=True)]
    addresses = columns_of_keys[0][1], columns_of_keys[1][1]
    (keys_x, rows_x), (keys_y, rows_y) = (known_keys(*column, drop_bad=drop_bad) for column in columns_of_keys)
    key_names = [str(k) if isinstance(k, (str, os.PathLike)) else "an array" for k in keys]
    name = ", ".join(dict.fromkeys(key_names))
    sizes = sources[0].shape[0], sources[1].shape[0]
    with contextlib.suppress(RepeatedKeyError):
        key_join = join_keys(keys_x, keys_y, key=name, columns=addresses)
        return replace(key_join, x=rows_x[key_join.x], y=rows_y[key_join.y], sizes=sizes)
    groups_x, groups_y = (
        find_equal_rows(select_rows(source, rows), normalize=normalize) if group and source.is_numpy else None
        for source, rows in zip(sources, (rows_x, rows_y), strict=True)
    )
    key_join = join_repeated_keys(keys_x, keys_y, groups_x, groups_y, key=name, columns=addresses)
    return replace(key_join, x=rows_x[key_join.x], y=rows_y[key_join.y], sizes=sizes)
