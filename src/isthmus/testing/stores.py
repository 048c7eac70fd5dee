"""The contract of a vector store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus.align import Centering, ScoreCalibration
from isthmus.align.streaming import apply
from isthmus.data.sources import Store, _stored_rows, open_source, stores
from isthmus.utils.errors import InputError

#: Rows and columns of the table.
SHAPE = (600, 6)
#: Rows in a block, so that there are several.
BLOCK_ROWS = 256

ColumnAddress = Callable[[str, str], str]
MakeTable = Callable[[np.ndarray, Mapping[str, np.ndarray], np.ndarray], str]


class _InterruptedError(Exception):
    """Ends a call in the middle."""


def check_store(
    store: Store,
    make: MakeTable,
    *,
    dtype: str = "float32",
    new_table: str | None = None,
    columns: bool = True,
    filters: bool = True,
    column_address: ColumnAddress = "{}::{}".format,
) -> None:
    """Raise AssertionError unless `store` keeps the contract of `isthmus.sources.Store`.

    The suite reads columns of vectors in the order of their ids, with a filter and with keys. It writes a second
    column, which it interrupts and continues, writes one in place, and writes a new table.

    Parameters
    ----------
    store : Store
        An instance of the store, which is registered.
    make : callable
        Function (ids, columns, modality) -> address without a column. It makes a table of the ids (n,), of the columns
        of vectors by name, and of the text column 'modality'. Each call makes another table.
    dtype : str
        Type of the numbers that the store keeps. Default: 'float32'.
    new_table : str or None
        Address of a table that does not exist, with a column, if the store makes tables. Default: None.
    columns : bool
        Whether a column is added beside the vectors. Default: True.
    filters : bool
        Whether the rows of one modality are selected by a filter. Default: True.
    column_address : callable
        Function (address, name) -> address of one column of vectors, for stores with one vector in a row, which keep
        each column in a table of its own. Default: ADDRESS::NAME.

    Raises
    ------
    AssertionError
        With a sentence about the first promise that is broken.

    Examples
    --------
    >>> check_store(isthmus.sources.stores["lancedb"], make)  # doctest: +SKIP
    """
    rng = np.random.default_rng(0)
    rows = {name: (rng.normal(size=SHAPE) + 1).astype(dtype) for name in ("image_vector", "text_vector")}
    ids = rng.permutation(SHAPE[0]) + 10
    order = np.argsort(ids)
    modality = np.where(ids % 3 == 0, "text", "image")
    url = make(ids, rows, modality)
    _require(stores.registered().get(store.scheme) is store, f"{store.scheme} is not registered under its scheme")
    _require(store.description != store.scheme, f"{store.scheme} has no docstring, which says how to write addresses")
    _check_reading(lambda name: column_address(url, name), rows, ids, order, modality if filters else None)
    fitted = Centering().fit(*(rows[name][order] for name in rows))
    if columns:
        _check_second_column(url, fitted, rows["image_vector"], order, modality)
        _check_in_place(make(ids, rows, modality), fitted, rows, order, modality)
    if new_table is not None:
        source = open_source(column_address(url, "text_vector"))
        _interrupted_twice(fitted, source, new_table, "y", fitted.transform_y(rows["text_vector"][order]))


def _check_reading(
    column: Callable[[str], str],
    rows: Mapping[str, np.ndarray],
    ids: np.ndarray,
    order: np.ndarray,
    modality: np.ndarray | None,
) -> None:
    for name, table in rows.items():
        source = open_source(column(name))
        _equal(source.read(0, SHAPE[0]), table[order], "rows are not those of the table in the order of their ids")
        _equal(source.read(250, 260), table[order][250:260], "a block in the middle is wrong")
        _equal(source.take(np.array([5, 1, 5])), table[order][[5, 1, 5]], "selected rows are wrong")
        _require(str(source.dtype) == str(table.dtype), f"dtype is {source.dtype}, expected {table.dtype}")
    _require((np.asarray(source.keys("id")).astype(int) == ids[order]).all(), "keys are not in the order of the rows")
    if modality is not None:
        texts = open_source(f"{column('text_vector')}?modality=text")
        selected = order[modality[order] == "text"]
        _equal(texts.read(0, SHAPE[0]), rows["text_vector"][selected], "a filter selects other rows")
        _require((np.asarray(texts.keys("id")).astype(int) == ids[selected]).all(), "keys of a filter are other ones")
    for address in (column("nothing"), f"{column('text_vector')}?nothing=1", f"{column('text_vector')}?modality=none"):
        try:
            open_source(address)
        except InputError:
            continue
        raise AssertionError(f"{address} was opened, expected an InputError that says what exists")


def _check_second_column(url: str, fitted: Any, rows: np.ndarray, order: np.ndarray, modality: np.ndarray) -> None:
    expected = fitted.transform_x(rows[order])
    of_image = modality[order] == "image"
    images = open_source(f"{url}::image_vector?modality=image")
    _interrupted_twice(fitted, images, f"{url}::corrected", "x", None)
    apply(fitted, open_source(f"{url}::image_vector"), f"{url}::corrected", modality="x")
    _equal(open_source(f"{url}::corrected").read(0, SHAPE[0]), expected, "a second column has other rows")
    _equal(open_source(f"{url}::image_vector").read(0, SHAPE[0]), rows[order], "the old column has changed")
    calibration = ScoreCalibration().fit(rows, rows[::-1])
    try:
        apply(calibration, images, f"{url}::corrected", modality="x", role="stored")
    except InputError:
        pass
    else:
        raise AssertionError("a column of another correction was overwritten without replace=True")
    apply(calibration, images, f"{url}::corrected", modality="x", role="stored", replace=True)
    written = open_source(f"{url}::corrected?modality=image").read(0, SHAPE[0])
    _equal(written, calibration.stored(rows[order][of_image], modality="x"), "a column of another width has other rows")


def _check_in_place(
    url: str, fitted: Any, rows: Mapping[str, np.ndarray], order: np.ndarray, modality: np.ndarray
) -> None:
    name = "image_vector"
    target = f"{url}::{name}"
    expected = rows[name][order].copy()
    for chosen, transform in (("image", fitted.transform_x), ("text", fitted.transform_y)):
        source = open_source(f"{target}?modality={chosen}")
        try:
            apply(fitted, source, target, modality="x")
        except InputError:
            pass
        else:
            raise AssertionError("the column that is read was overwritten without replace=True")
        letter = "x" if chosen == "image" else "y"
        _interrupted(fitted, source, target, letter, replace=True)
        _equal(open_source(target).read(0, SHAPE[0]), expected, "an interrupted call has changed the column in place")
        apply(fitted, source, target, modality=letter, replace=True)
        is_chosen = modality[order] == chosen
        expected[is_chosen] = transform(rows[name][order][is_chosen])
        _equal(open_source(target).read(0, SHAPE[0]), expected, f"the {chosen} rows are wrong after a call in place")
        try:
            apply(fitted, open_source(f"{target}?modality={chosen}"), target, modality=letter, replace=True)
        except InputError:
            continue
        raise AssertionError("rows were aligned twice in place")


def _interrupted_twice(fitted: Any, source: Any, target: str, modality: str, expected: np.ndarray | None) -> None:
    """Interrupt a call twice after a block, continue it, and repeat it."""
    for n_blocks in (1, 1):
        _interrupted(fitted, source, target, modality, n_blocks=n_blocks)
    for _ in range(2):
        apply(fitted, source, target, modality=modality)
    if expected is not None:
        _equal(open_source(target).read(0, SHAPE[0]), expected, "an interrupted call left wrong rows")


def _interrupted(fitted: Any, source: Any, target: str, modality: str, *, n_blocks: int = 1, **options: Any) -> None:
    finished = []

    def stop(done: int, _: int, __: str) -> None:
        finished.append(done)
        if len(finished) == n_blocks:
            raise _InterruptedError

    budget = _stored_rows.BLOCK_BYTES
    _stored_rows.BLOCK_BYTES = 1  # the smallest blocks
    try:
        apply(fitted, source, target, modality=modality, progress=stop, **options)
    except _InterruptedError:
        return
    finally:
        _stored_rows.BLOCK_BYTES = budget


def _equal(got: Any, expected: np.ndarray, message: str) -> None:
    _require(got.shape == expected.shape, f"{message}: shape {got.shape}, expected {expected.shape}")
    difference = float(np.abs(got.astype(np.float64) - expected).max()) if got.size else 0.0
    tolerance = 5e-3 if np.float16 in (got.dtype, expected.dtype) else 1e-6
    _require(difference <= tolerance, f"{message}: they differ by {difference:.2g}")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)
