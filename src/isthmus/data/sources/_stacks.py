"""Stacks (k, n, d), in which one array holds the rows of k modalities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location, resolve, split_member
from isthmus.data.sources._registry import find_format, split_format
from isthmus.data.sources._source import Source
from isthmus.data.sources._vector_sets import VectorSets
from isthmus.utils.errors import InputError

#: Largest number of modalities in a stack. A longer first axis counts items with several vectors each.
MAX_MODALITIES = 8


def n_stacked(shape: Sequence[int]) -> int:
    """Return the number of modalities in an array of this shape, 0 if it is no stack.

    Parameters
    ----------
    shape : sequence of int
        Shape of an array.

    Returns
    -------
    int
        The first size of (2, n, d), and of (k, n, d) with k up to 8 and n above k.

    Examples
    --------
    >>> n_stacked((2, 100, 8)), n_stacked((3, 100, 8)), n_stacked((100, 3, 8)), n_stacked((100, 8))
    (2, 3, 0, 0)
    """
    if len(shape) != 3:
        return 0
    is_stack = shape[0] == 2 or 2 < shape[0] <= min(MAX_MODALITIES, shape[1] - 1)
    return int(shape[0]) if is_stack else 0


def open_member(format: Format, location: Location, member: str | None, *, min_rows: int = 2) -> Source:
    """Open an array of a file. ``NUMBER`` or ``NAME::NUMBER`` selects a modality of a stack."""
    name, _, layer = (member or "").rpartition("::")
    try:
        return format.open_source(location, member, min_rows=min_rows)
    except InputError:
        stack = None
        if layer.isdecimal():
            with suppress(InputError):
                stack = format.open_source(location, name or None)
        sets = _sets(stack)
        if stack is None or sets is None or int(layer) >= sets.shape[0]:
            raise
    return Source(
        # A modality that is mapped stays mapped. One in chunks is read into memory.
        sets[int(layer)] if isinstance(sets, np.ndarray) else sets[slice(int(layer), int(layer) + 1), ...][0],
        address=f"{location}::{member}",
        format=f"{format.name} stack",
        dtype=stack.dtype if stack.dtype == "bfloat16" else None,
        convert=stack.rows.convert,
        location=location,
        member=member,
        min_rows=min_rows,
    )


def stack_members(path: Any) -> list[str]:
    """Return the addresses of all modalities in a file that holds a stack. Empty for every other path.

    Parameters
    ----------
    path : str or path-like
        A file, or ``FILE::NAME``.

    Returns
    -------
    list of str
        Addresses such as ``FILE::0`` and ``FILE::1``.
    """
    named, text = split_format(str(path))
    file, member = split_member(text)
    if "://" in text or not os.path.isfile(file):
        return []
    stack = None
    with suppress(InputError):
        location = resolve(file)
        stack = (named or find_format(location)).open_source(location, member)
    sets = _sets(stack)
    if stack is None or sets is None:
        return []
    address = str(path) if stack.member in (None, member) else f"{path}::{stack.member}"
    return [f"{address}::{number}" for number in range(n_stacked(sets.shape))]


def stack_names(paths: Sequence[Any]) -> list[str] | None:
    """Return names of the modalities of one stack, None for other paths. Their numbers are no names.

    Parameters
    ----------
    paths : sequence
        Addresses of modalities.

    Returns
    -------
    list of str or None
        'x', 'y' and 'z', or 'modality_0' and so on for more than three.

    Examples
    --------
    >>> stack_names(["a.npy::0", "a.npy::1"]), stack_names(["a.npy::0", "b.npy::1"])
    (['x', 'y'], None)
    """
    if not all(isinstance(path, (str, os.PathLike)) for path in paths):
        return None
    stacks = {str(path).removesuffix(f"::{number}") for number, path in enumerate(paths)}
    if len(paths) < 2 or len(stacks) > 1 or stacks <= set(map(str, paths)):
        return None
    return list("xyz"[: len(paths)]) if len(paths) <= 3 else [f"modality_{number}" for number in range(len(paths))]


def _sets(source: Source | None) -> Any:
    """Return the array (k, n, d) that a source pools, None if it has one vector a row."""
    return source.rows.sets if source is not None and isinstance(source.rows, VectorSets) else None
