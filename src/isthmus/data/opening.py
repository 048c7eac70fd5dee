"""Opening of pairs in two files, matched by position, index or key."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from isthmus.data.joins import KeyJoin, join_keys, read_keys, select_rows
from isthmus.data.pairs import CrossDimPairs, OpenSpec, Pairs
from isthmus.data.sources import Source, modality_name, open_source
from isthmus.utils import validation
from isthmus.utils.errors import InputError, IsthmusWarning

P = ParamSpec("P")


def _record_open_spec(open_: Callable[P, Pairs]) -> Callable[P, Pairs]:
    """Record the arguments with absolute paths, so that workers in another working directory can reopen the pairs."""

    @wraps(open_)
    def open_and_record(*paths: P.args, **options: P.kwargs) -> Pairs:
        pairs = open_(*paths, **options)
        absolute = tuple(str(p) if "://" in str(p) else os.path.abspath(str(p)) for p in paths)
        pairs.open_spec = OpenSpec(open_and_record, absolute, {**options, "names": pairs.names})
        return pairs

    return open_and_record


@_record_open_spec
def open_pairs(
    x: str | os.PathLike[str],
    y: str | os.PathLike[str],
    /,
    *,
    names: Sequence[str] | None = None,
    index: Any = None,
    labels: Any = None,
    key: Any = None,
    same_dim: bool = True,
) -> Pairs:
    """Open the pairs in two files or folders, memory-mapped if the format allows it.

    Rows are paired by position, by `index` or by `key`. Rows whose key the other file lacks are left out, counted in
    `Pairs.key_join` and reported in an `IsthmusWarning`.

    Parameters
    ----------
    x : str or path-like
        A file, folder or URL of n_x rows, as in `isthmus.sources.open_source`.
    y : str or path-like
        A file, folder or URL of n_y rows.
    names : sequence of str, optional
        Names of the two modalities. Default: those that the paths name (``image.npy`` and ``img_emb/`` name 'image').
    index : array-like of int, optional
        Row of x for each row of y, (n_y,), as in `Pairs`.
    labels : array-like, optional
        A class for each row of the file `x`, (n_x,).
    key : str, path-like, array-like or sequence of two of them, optional
        A column that both files have, or one key for each file. A key is a column, a file of keys (``.npy``,
        ``FILE.parquet::COLUMN``) or an array. The keys of x differ from each other. A key may occur in several rows of
        y, such as captions of one image.
    same_dim : bool
        Whether x and y must have the same width. If False, `CrossDimPairs` are returned. Default: True.

    Returns
    -------
    Pairs
        The pairs, read in blocks.

    Raises
    ------
    InputError
        If a path cannot be used, both paths give one name, or keys repeat, are null or have no match.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("image", "text"):
    ...         np.save(f"{folder}/{name}.npy", np.eye(4))
    ...     open_pairs(f"{folder}/image.npy", f"{folder}/text.npy").names
    ('image', 'text')
    """
    sources = [open_source(path) for path in (x, y)]
    pairs_class = Pairs if same_dim else CrossDimPairs
    modalities = modality_names(x, y, names)
    if key is None:
        return pairs_class(index=index, labels=labels, **dict(zip(modalities, sources, strict=True)))
    if index is not None:
        raise InputError("got index and key, expected one of them: both say which rows belong together")
    key_join = _join_by_key(sources, key)
    if any(key_join.unmatched):
        warnings.warn(key_join.summary(modalities), IsthmusWarning, stacklevel=3)
    subsets = [select_rows(source, rows) for source, rows in zip(sources, (key_join.x, key_join.y), strict=True)]
    if labels is not None:
        labels = np.asarray(labels)
        validation.check_labels(labels.shape, sources[0].shape[0], modalities[0])
        labels = labels[key_join.x]
    pairs = pairs_class(index=key_join.index, labels=labels, **dict(zip(modalities, subsets, strict=True)))
    pairs.key_join = key_join
    return pairs


def modality_names(
    x: str | os.PathLike[str], y: str | os.PathLike[str], names: Sequence[str] | None = None
) -> tuple[str, str]:
    """Return the names of two modalities: `names` after a check, or else those that the paths name."""
    if names is None:
        names = [modality_name(path) for path in (x, y)]
        if names[0] == names[1]:
            raise InputError(
                f"{x} and {y} would both be called {names[0]!r}; name them with --names image,text "
                "(names=('image', 'text') in Python)"
            )
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise InputError(f"got the names {', '.join(map(repr, names))}, expected two different ones such as image,text")
    reserved = {"index", "labels"} & set(names)
    if reserved:
        raise InputError(f"{reserved.pop()!r} cannot be the name of a modality; choose another with --names")
    return names[0], names[1]


def _join_by_key(sources: Sequence[Source], key: Any) -> KeyJoin:
    keys = (key, key) if isinstance(key, (str, os.PathLike)) else tuple(key)
    if len(keys) != 2:
        raise InputError(f"got {len(keys)} keys, expected one column for both files, or one for each of the two")
    (keys_x, address_x), (keys_y, address_y) = (read_keys(source, k) for source, k in zip(sources, keys, strict=True))
    key_names = [str(k) if isinstance(k, (str, os.PathLike)) else "an array" for k in keys]
    return join_keys(keys_x, keys_y, key=", ".join(dict.fromkeys(key_names)), columns=(address_x, address_y))
