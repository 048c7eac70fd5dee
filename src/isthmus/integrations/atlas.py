"""One Parquet file of both modalities for embedding-atlas, with projections before and after a correction."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.files import atomic_path


def to_atlas(
    path: str | os.PathLike[str],
    rows: Mapping[str, Any],
    correction: Aligner,
    /,
    *,
    texts: Mapping[str, Sequence[str]] | None = None,
    ids: Mapping[str, Sequence[Any]] | None = None,
) -> int:
    """Write the rows of all modalities to one Parquet file that embedding-atlas shows before and after a correction.

    The columns are `id`, `modality`, `text`, and the first two principal components of all rows together. `raw_x` and
    `raw_y` are those of the unit rows, `corrected_x` and `corrected_y` those of the rows that `stored` returns.

    Parameters
    ----------
    path : str or path-like
        Name of the file, which is written atomically.
    rows : mapping of str to array of shape (n, d)
        Rows by the modalities of the correction, all of one width.
    correction : Aligner
        A fitted correction.
    texts : mapping of str to sequence of str, optional
        A caption for each row.
    ids : mapping of str to sequence, optional
        An id for each row. Default: the modality and the number of the row.

    Returns
    -------
    int
        Number of rows of the file.

    Raises
    ------
    InputError
        If pyarrow is not installed, the widths differ, or there are not as many texts or ids as rows.

    Examples
    --------
    >>> to_atlas("atlas.parquet", {"image": images, "text": captions}, correction)  # doctest: +SKIP
    >>> # embedding-atlas atlas.parquet --x corrected_x --y corrected_y --text text
    """
    pa = import_optional("pyarrow", "parquet", "to_atlas")
    parquet = import_optional("pyarrow.parquet", "parquet", "to_atlas")
    tables = {name: to_numpy(table) for name, table in rows.items()}
    widths = {table.shape[1] for table in tables.values()}
    if len(widths) != 1:
        raise InputError(f"got rows of the widths {sorted(widths)}, expected one width in all modalities")
    raw = [unit_rows(table.astype(np.float64)) for table in tables.values()]
    corrected = [np.asarray(correction.stored(table, modality=name), np.float64) for name, table in tables.items()]
    columns: dict[str, Any] = {"id": [], "modality": [], "text": []}
    for name, table in tables.items():
        n_rows = len(table)
        for column, given, default in (
            ("id", ids, [f"{name}-{number}" for number in range(n_rows)]),
            ("text", texts, [""] * n_rows),
        ):
            values = default if given is None or name not in given else [str(value) for value in given[name]]
            if len(values) != n_rows:
                raise InputError(
                    f"got {len(values):,} entries of {column} for {n_rows:,} rows of {name}, expected one each"
                )
            columns[column] += values
        columns["modality"] += [name] * n_rows
    for prefix, blocks in (("raw", raw), ("corrected", corrected)):
        columns[f"{prefix}_x"], columns[f"{prefix}_y"] = _principal_components(np.concatenate(blocks)).T
    with atomic_path(path) as temporary:
        parquet.write_table(pa.table(columns), temporary)
    return len(columns["id"])


def _principal_components(rows: np.ndarray) -> np.ndarray:
    """Return the first two principal components (n, 2), the larger one first. The largest loading is positive."""
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, [-1, -2]]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    projected: np.ndarray = centred @ axes
    return projected
