"""Aligned rows as a column of a vector store: beside the old one, in place of it, or in a new table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as with_changes

import numpy as np

from isthmus.align._cluster import RowForm
from isthmus.data.sources import Source, Store, StoreAddress, StoreTable
from isthmus.data.sources._stored_rows import StoredRows, block_size
from isthmus.utils import validation
from isthmus.utils.errors import InputError

#: Ending of the column in which rows are collected that replace another column.
WORK_ENDING = "_isthmus_work"
#: Rows that are kept for the comparison with the fit.
MAX_SAMPLE = 5_000

Progress = Callable[[int, int, str], None]
Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


def write_to_store(
    form: RowForm,
    source: Source,
    store: Store,
    address: StoreAddress,
    *,
    replace: bool,
    progress: Progress | None,
) -> tuple[int, int]:
    """Write the rows of a source in the form of an aligner to a column of a store, and return their shape.

    Every block is one step of the store, and rows that have an aligned vector are left out. So the same call continues
    one that was killed, without lost or doubled rows. A note of the column names the aligner, by which work of another
    one is recognised.
    """
    origin = source.rows.table if isinstance(source.rows, StoredRows) else None
    n_rows = source.shape[0]
    first_ids, first_rows = next(_read(source, origin, 1))
    example = form.rows(first_rows)
    width, dtype = example.shape[1], example.dtype
    if origin is not None and origin.address.table_key == address.table_key:
        if address.filters:
            raise InputError(f"{address}: is the output; give the filter with the rows that are read instead")
        _write_column(form, source, origin, store, address, width, dtype, replace=replace, progress=progress)
        return n_rows, width
    if replace:
        raise InputError(f"{address}: --replace is for a column of the table that is read; give a new table")
    if origin is not None:
        origin.check_ids()
    table = store.create_table(address, first_ids, width, dtype, _note(form, source.address))
    finished = table.written_ids()

    def unfinished(blocks: Blocks) -> Blocks:
        for ids, rows in blocks:
            position = np.minimum(np.searchsorted(finished, ids), max(len(finished) - 1, 0))
            is_new = finished[position] != ids if len(finished) else np.ones(len(ids), dtype=bool)
            yield (ids, rows) if is_new.all() else (ids[is_new], rows[is_new])

    blocks = unfinished(_read(source, origin, block_size(width)))
    _write_blocks(form, source, table, str(table.address.column), blocks, len(finished), dtype, progress)
    table.finish()
    return n_rows, width


def _write_column(
    form: RowForm,
    source: Source,
    table: StoreTable,
    store: Store,
    address: StoreAddress,
    width: int,
    dtype: np.dtype,
    *,
    replace: bool,
    progress: Progress | None,
) -> None:
    """Write aligned rows to a column of the table that is read."""
    column = address.column or f"{table.address.column}_corrected"
    in_place = column == table.address.column
    table.check_ids()
    note = _note(form, str(table.address.column))
    target, final_note = column, note
    if in_place:
        final_note = _note_in_place(form, table, column, note, width, replace=replace)
        target, dtype = f"{column}{WORK_ENDING}", table.dtype
    existing = table.note(target)
    if existing is not None and existing != note:
        if not existing.startswith("isthmus: "):
            _check_replaceable(store, with_changes(address, column=target, filters=()))
        if not (replace or in_place):
            raise InputError(
                f"{address}: the column {column!r} exists and holds {existing or 'other vectors'}; name another "
                "column, or write it anew with --replace"
            )
        table.drop_column(target)
        existing = None
    if existing is None:
        table.add_column(target, width, dtype, note)
    missing = None if replace and not in_place else target
    blocks = table.blocks(block_size(max(width, table.width)), missing=missing)
    _write_blocks(form, source, table, target, blocks, 0, dtype, progress)
    if in_place:
        everything = store.open_table(with_changes(table.address, filters=()))
        for ids, rows in everything.blocks(block_size(width), missing=target):  # rows that the filter leaves out
            table.write(target, ids, rows.astype(dtype))
        table.rename_column(target, column, final_note)


def _check_replaceable(store: Store, address: StoreAddress) -> None:
    """Raise `InputError` if a column holds ids, captions or anything else than vectors."""
    try:
        width = store.open_table(address).width
    except InputError:
        width = 0
    if not width:
        raise InputError(f"{address}: holds no vectors, and only a column of vectors is replaced; name another column")


def _note_in_place(form: RowForm, table: StoreTable, column: str, note: str, width: int, *, replace: bool) -> str:
    """Return the note of a column whose rows are replaced. Raise `InputError` if they are aligned already."""
    if not replace:
        raise InputError(f"{table.address}: is the column that is read; name another column, or give --replace")
    if table.address.filters and width != table.width:
        raise InputError(
            f"{table.address}: the aligned rows have {width} numbers and the column holds vectors of {table.width}, so "
            "a part of its rows cannot be replaced; name another column"
        )
    earlier = table.note(column) or ""
    earlier = earlier if earlier.startswith("isthmus: ") else ""  # a comment of somebody else
    finished = earlier.removeprefix(f"{note}; ").split(",") if earlier.startswith(f"{note}; ") else []
    if (earlier and not finished) or form.modality in finished:
        raise InputError(f"{table.address}: the column holds aligned rows already ({earlier}); align the original rows")
    return f"{note}; {','.join([*finished, form.modality])}"


def _write_blocks(
    form: RowForm,
    source: Source,
    table: StoreTable,
    column: str,
    blocks: Blocks,
    n_finished: int,
    dtype: np.dtype,
    progress: Progress | None,
) -> None:
    """Write blocks of rows in the form of an aligner, and keep some of the rows that were read."""
    n_rows = source.shape[0]
    step, sample, n_written = max(1, n_rows // MAX_SAMPLE), [], n_finished
    for ids, rows in blocks:
        if not len(ids):
            continue
        sample.append(rows[::step].copy())
        table.write(column, ids, _formed(form, source.address, ids, rows).astype(dtype, copy=False))
        n_written += len(ids)
        if progress is not None:
            progress(n_written, n_rows, "rows")
    if isinstance(source.rows, StoredRows) and sample:
        source.rows.sample = np.concatenate(sample)


def _formed(form: RowForm, address: str, ids: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return rows in the form of an aligner. Name the ids of rows without a direction."""
    try:
        return form.rows(rows)
    except InputError:
        unusable = ids[~np.isfinite(rows).all(axis=1) | (rows == 0).all(axis=1)]
        if not len(unusable):
            raise
        state = validation.ids_are(unusable, "zero, NaN or infinite")
        raise InputError(f"{address}: {state}; remove or embed them again") from None


def _read(source: Source, origin: StoreTable | None, size: int) -> Blocks:
    """Yield ids and rows of a table, or row numbers and rows of a file."""
    if origin is not None:
        yield from origin.blocks(size)
        return
    for begin in range(0, source.shape[0], size):
        end = min(begin + size, source.shape[0])
        yield np.arange(begin, end), np.asarray(source.read(begin, end))


def _note(form: RowForm, origin: str) -> str:
    """Return the note of a column: the aligner, its role and a hash of its content, and where the rows come from."""
    digest = form.aligner.digest(form.role, form.queries)
    role = "" if form.role is None else f", {form.role}"
    return f"isthmus: {type(form.aligner).__name__}{role} {digest[:16]} of {origin}"
