"""Apply an aligner to the columns of all modalities of a table, in one pass over its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._cluster import RowForm
from isthmus.data.sources import Source, _tables, modality_of_column
from isthmus.data.sources._arrow_lists import translated_errors
from isthmus.data.sources._cells import matrix_of_cells
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._whole_tables import READ_SUFFIXES, WRITTEN_SUFFIXES, TableWriter, table_batches
from isthmus.utils import paths, validation
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path

#: Rows of each column that are compared with those of the fit.
MAX_SAMPLE = 5_000


@dataclass(frozen=True)
class AppliedTable:
    """Aligned columns of a table.

    Attributes
    ----------
    columns : dict of str to str
        Columns by modality.
    n_rows : int
        Number of rows that were written.
    n_dropped : int
        Number of invalid rows that were left out.
    widths : dict of str to int
        Width of the aligned rows of each modality.
    samples : dict of str to Source
        Some rows of each column as they were, for `drift_warnings`.
    """

    columns: dict[str, str]
    n_rows: int
    n_dropped: int
    widths: dict[str, int]
    samples: dict[str, Source]


def table_columns(path: str, chosen: Sequence[str], modalities: Sequence[str], /) -> dict[str, str]:
    """Return the columns of a table that are named after modalities of an aligner.

    Parameters
    ----------
    path : str
        The table.
    chosen : sequence of str
        Columns that were asked for. Default: all whose names are those of modalities, such as 'text_embedding'.
    modalities : sequence of str
        Names of the modalities.

    Returns
    -------
    dict of str to str
        Columns by modality. Empty for files that are no tables.

    Raises
    ------
    InputError
        If a column does not exist or names no modality, or if two columns name one.
    """
    if Path(path).suffix.lower() not in READ_SUFFIXES or "://" in path or not os.path.isfile(path):
        return {}
    with translated_errors(path, "table"), table_batches(Path(path)) as batches:
        first = next(batches, None)
    names = [] if first is None else list(first.schema.names)
    columns: dict[str, str] = {}
    for name in chosen or names:
        if name not in names:
            raise InputError(f"{path[-120:]}: has no column {name!r}, only {', '.join(names)[:120]}")
        modality = modality_of_column(name)
        if modality is None or modality not in modalities:
            if chosen:
                raise InputError(f"{path[-120:]}::{name}: names no modality of the aligner ({', '.join(modalities)})")
            continue
        if modality in columns:
            raise InputError(
                f"{path[-120:]}: {columns[modality]} and {name} are both columns of {modality}; choose the columns, "
                "such as FILE::image_embedding,text_embedding"
            )
        columns[modality] = name
    return columns


def apply_to_table(
    aligner: Aligner,
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    columns: Mapping[str, str],
    /,
    *,
    role: str | None = None,
    queries: str | None = None,
    drop_bad: bool = False,
    progress: Callable[[int, int | None, str], None] | None = None,
) -> AppliedTable:
    """Write a copy of a table with aligned columns of several modalities, in one pass and in constant memory.

    Parameters
    ----------
    aligner : Aligner
        Fitted aligner.
    path : str or path-like
        Parquet, Arrow, CSV or JSON lines.
    output : str or path-like
        Parquet, Arrow or CSV. It is written atomically.
    columns : mapping of str to str
        Columns by modality, as from `table_columns`. All other columns are copied.
    role : {'stored', 'query'}, optional
        Whether an index stores the rows or is asked with them. Score corrections need it.
    queries : str, optional
        Modality of the queries, for stored rows.
    drop_bad : bool, default False
        Whether rows of the table with an invalid row in one of the columns are left out.
    progress : callable, optional
        Called as progress(finished rows, None, 'rows').

    Returns
    -------
    AppliedTable
        What was written.

    Raises
    ------
    InputError
        If the output is no table or the file that is read, a width differs from that of the fit, or a row is null,
        zero, infinite or NaN.
    """
    path, output = Path(path), Path(output)
    suffix = output.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise InputError(
            f"{output}: a table of several columns is written as {', '.join(WRITTEN_SUFFIXES)}; choose one, "
            "or one column with FILE::COLUMN"
        )
    if output.exists() and output.samefile(path):
        raise InputError(f"{output}: is the file that is being read; choose another output")
    paths.check_writable(output)
    forms = {modality: RowForm(aligner, modality, role, queries) for modality in columns}
    samples = {modality: _Sample() for modality in columns}
    ragged = {modality: RaggedRows(f"{path}::{column}") for modality, column in columns.items()}
    writer: TableWriter | None = None
    first = n_rows = 0
    widths: dict[str, int] = {}
    with atomic_path(output) as temporary, translated_errors(str(path), "table"), table_batches(path) as batches:
        for whole_batch in batches:
            rows = {
                name: _rows_of(whole_batch, columns[name], aligner, name, first, str(path), ragged[name])
                for name in columns
            }
            n_read = whole_batch.num_rows
            valid = np.ones(n_read, dtype=bool)
            for modality, block in rows.items():
                valid &= _valid_rows(block, ragged[modality], first, drop_bad=drop_bad)
            batch = whole_batch if valid.all() else whole_batch.filter(_mask(valid))
            if len(batch) < n_read:
                rows = {modality: block[valid] for modality, block in rows.items()}
            first, n_rows = first + n_read, n_rows + batch.num_rows
            if not batch.num_rows:
                continue
            aligned = {columns[modality]: forms[modality].rows(block) for modality, block in rows.items()}
            for modality, block in rows.items():
                samples[modality].add(block)
            if writer is None:
                shapes = {column: (block.dtype, block.shape[1]) for column, block in aligned.items()}
                widths = {modality: shapes[column][1] for modality, column in columns.items()}
                writer = TableWriter(temporary, suffix, batch.schema, shapes)
            writer.write(batch, aligned)
            if progress is not None:
                progress(first, None, "rows")
        if writer is None:
            raise InputError(f"{path}: holds no usable row; expected a table with rows of embeddings")
        writer.close()
    sources = {
        modality: Source(sample.rows(), address=f"{path}::{columns[modality]}") for modality, sample in samples.items()
    }
    return AppliedTable(dict(columns), n_rows, first - n_rows, widths, sources)


def _rows_of(
    batch: Any, column: str, aligner: Aligner, modality: str, first: int, path: str, ragged: RaggedRows
) -> np.ndarray:
    """Return a column of a batch as rows of floats of the width of the fit. Rows of other widths are NaN."""
    dim = aligner.dim(modality)
    if batch.column(column).null_count == batch.num_rows:
        return np.full((batch.num_rows, dim), np.nan, dtype=np.float32)
    embedding = _tables.find_embedding([batch], column, path)
    rows = matrix_of_cells(batch, embedding, None, first, path, ragged)
    if not rows.shape[1]:  # all cells of the batch are null or empty
        return np.full((len(rows), dim), np.nan, dtype=rows.dtype)
    if rows.shape[1] != dim:
        raise InputError(
            f"{path[-120:]}::{column}: got rows of dimension {rows.shape[1]}, expected {dim} for {modality} as in the "
            f"fit of this {type(aligner).__name__}; give rows of the same model, or fit again"
        )
    return rows


def _valid_rows(rows: np.ndarray, ragged: RaggedRows, first: int, *, drop_bad: bool) -> np.ndarray:
    """Return which rows have a direction. Raise `InputError` for others unless `drop_bad`."""
    finite, nonzero = np.isfinite(rows).all(axis=1), rows.any(axis=1)
    if not drop_bad and not (finite & nonzero).all():
        non_finite, zero = first + np.flatnonzero(~finite), first + np.flatnonzero(~nonzero)
        unequal = np.intersect1d(ragged.numbers, non_finite)
        raise validation.invalid_rows(
            {ragged.address: (np.setdiff1d(non_finite, unequal), zero, unequal)}, paired=False
        )
    mask: np.ndarray = finite & nonzero
    return mask


def _mask(valid: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(valid)


class _Sample:
    """Evenly spaced rows of a stream whose length is not known."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._stride, self._n_seen, self._n_kept = 1, 0, 0

    def add(self, rows: np.ndarray) -> None:
        """Keep every `stride`-th row. The stride doubles if there are too many."""
        block = rows[-self._n_seen % self._stride :: self._stride].copy()
        self._n_seen += len(rows)
        self._blocks.append(block)
        self._n_kept += len(block)
        if self._n_kept > 2 * MAX_SAMPLE:
            self._blocks, self._stride = [self.rows()[::2]], 2 * self._stride
            self._n_kept = len(self._blocks[0])

    def rows(self) -> np.ndarray:
        """Return the rows."""
        return np.concatenate(self._blocks)
