"""Lists of rows, of sets of vectors or of batches as arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.data.sources._ragged_rows import RaggedRows, usual_length
from isthmus.data.sources._vector_sets import pooled_sets, unpooled
from isthmus.utils import validation
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted


@dataclass(frozen=True)
class ListReader:
    """How the lists of a modality become an array.

    Parameters
    ----------
    name : str
        Name of the modality for messages.
    pool : str or None
        How sets of vectors become one vector each. If None, arrays (k, d) are batches.
    ragged : RaggedRows or None
        Record of the rows of another length than most, which are NaN then. If None, they raise an error.

    Examples
    --------
    >>> ListReader("image", None, None).of_sequence([[1.0, 2.0], None]).tolist()
    [[1.0, 2.0], [nan, nan]]
    """

    name: str
    pool: str | None
    ragged: RaggedRows | None

    def of_objects(self, rows: np.ndarray) -> np.ndarray:
        """Return an array of Python objects as an array of numbers."""
        if rows.ndim == 1:
            return self.of_sequence(rows.tolist(), are_sets=True)
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            numbers = np.array(rows.tolist())
            numbers = numbers.astype(np.float64) if numbers.dtype == object else numbers  # None is NaN
            if numbers.dtype.kind in "iufc":
                return numbers
        raise InputError(f"{self.name}: holds Python objects, expected floats; give np.array(rows.tolist(), 'float32')")

    def of_sequence(self, rows: Sequence[Any], *, are_sets: bool = False) -> np.ndarray:
        """Return a list of rows, of sets of vectors, or of batches that are concatenated. A missing row is NaN."""
        is_missing = np.array([_is_missing(row) for row in rows], dtype=bool)
        if is_missing.any():
            return self._with_missing(rows, is_missing, are_sets=are_sets)
        if not len(rows) or not (hasattr(rows[0], "shape") or arrays.is_non_numpy(rows[0])):
            return self._of_numbers(rows)
        blocks = [arrays.to_numpy(row) if hasattr(row, "shape") else np.asarray(row) for row in rows]
        return self._of_blocks(blocks, are_sets=are_sets)

    def _of_blocks(self, blocks: list[np.ndarray], *, are_sets: bool = False) -> np.ndarray:
        """Return vectors, sets of vectors, or batches of them."""
        name, first = self.name, next((block for block in blocks if block.size), blocks[0])
        ndim = first.ndim
        is_set = ndim == 2 and (are_sets or self.pool is not None)
        is_empty = np.array([is_set and not block.size for block in blocks], dtype=bool)
        if is_empty.any() and len(blocks) > is_empty.sum():
            return self._with_missing(blocks, is_empty, are_sets=are_sets)
        widths = np.array([block.shape[-1] if block.ndim else 0 for block in blocks], dtype=np.int64)
        unlike_first = np.flatnonzero([block.ndim != ndim for block in blocks])
        if len(unlike_first):
            rows_are = validation.rows_are(unlike_first, f"of shape {blocks[unlike_first[0]].shape}")
            raise InputError(
                f"{name}: {rows_are}, expected {first.shape} as the first; remove these rows or embed them again"
            )
        width = usual_length(widths[widths > 0], name)
        unequal = np.flatnonzero(widths != width)
        is_float = np.result_type(*{block.dtype for block in blocks}).kind == "f"  # codes have no NaN
        if len(unequal) and (self.ragged is None or not is_float or (ndim == 2 and not is_set)):
            raise InputError(
                f"{name}: {validation.rows_are(unequal, f'not of {width:,} numbers as most rows')}; remove these rows "
                "or embed them again"
            )
        if len(unequal) and self.ragged is not None:
            self.ragged.add(0, unequal, widths[unequal])
            shape = (1, width)[2 - ndim :]
            for row in unequal.tolist():
                blocks[row] = np.full(shape, np.nan, dtype=np.result_type(blocks[row].dtype, np.float16))
        if ndim != 2:
            return np.stack(blocks)
        sizes = np.array([len(block) for block in blocks])
        if is_set and (sizes != 1).any():
            if self.pool is None:
                batches = ", or concatenate batches" if sizes.mean() > len(sizes) else ""
                raise unpooled(name, f"holds up to {sizes.max():,} vectors an item", batches)
            return pooled_sets(np.concatenate(blocks), sizes, self.pool, name)
        if (sizes[:-1] != sizes[0]).any() or sizes[-1] > sizes[0]:
            raise InputError(
                f"{name}: holds {counted(len(sizes), 'array')} of {min(sizes)} to {max(sizes)} rows, expected one "
                "vector an item; give pool='mean', 'max' or 'first' if they are vectors of one item each, or "
                "concatenate them if they are batches"
            )
        return np.concatenate(blocks)

    def _with_missing(self, rows: Sequence[Any], is_missing: np.ndarray, *, are_sets: bool) -> np.ndarray:
        """Return a list of rows as an array whose missing rows are NaN."""
        missing, present = np.flatnonzero(is_missing), np.flatnonzero(~is_missing)
        of_present = RaggedRows(self.name)
        reader = replace(self, ragged=None if self.ragged is None else of_present)
        matrix = None
        if len(present):
            matrix = reader.of_sequence([rows[row] for row in present.tolist()], are_sets=are_sets)
        if matrix is None or matrix.ndim not in (2, 3) or len(matrix) != len(present) or matrix.dtype.kind in "iu":
            state = "empty" if hasattr(rows[missing[0]], "size") else "None"
            raise InputError(
                f"{self.name}: {validation.rows_are(missing, state)}, expected one vector in each row; "
                "remove these pairs"
            )
        if self.ragged is not None:
            self.ragged.add(0, present[of_present.numbers], of_present.lengths)
        full = np.full((len(rows), *matrix.shape[1:]), np.nan, dtype=np.result_type(matrix.dtype, np.float16))
        full[present] = matrix
        return full

    def _of_numbers(self, rows: Sequence[Any]) -> np.ndarray:
        """Return a list of lists of numbers as an array of float64."""
        with contextlib.suppress(ValueError, TypeError):
            return np.asarray(rows, dtype=np.float64)
        blocks = [_row_of_numbers(row) for row in rows]
        wrong = np.flatnonzero([block is None for block in blocks])
        if len(wrong):
            kind = type(rows[wrong[0]]).__name__
            state = "not made of numbers" if kind in ("list", "tuple", "ndarray") else kind
            rows_are = validation.rows_are(wrong, state)
            raise InputError(f"{self.name}: {rows_are}, expected vectors; remove these rows or embed them again")
        vectors = [block for block in blocks if block is not None]
        regular = [block.shape[-1] for block in vectors if block.dtype != object and block.size]
        if not regular:
            state = "sets of vectors of several lengths"
            raise InputError(f"{self.name}: all rows are {state}, expected one length; embed them again")
        width = usual_length(np.array(regular, dtype=np.int64), self.name)
        usual = [_unusual(block, width) if block.dtype == object else block for block in vectors]
        return self._of_blocks(usual, are_sets=True)


def joined_batches(x: Any, y: Any) -> tuple[Any, Any]:
    """Return the rows of two modalities with batches of different lengths as one array each.

    A list of matrices of one width is taken as batches if it has as many rows as the other modality. Otherwise, and if
    it may hold the vectors of one item in each matrix, it is returned as it is.

    Parameters
    ----------
    x, y : object
        Rows of any kind.

    Returns
    -------
    tuple of two objects
        Arrays instead of lists of batches, and everything else as it is.

    Examples
    --------
    >>> x, y = joined_batches([np.eye(4)[:1], np.eye(4)[1:]], np.eye(4))
    >>> x.shape, len(joined_batches([np.eye(4)[:1], np.eye(4)[1:]], np.eye(2))[0])
    ((4, 4), 2)
    """
    (size_x, unequal_x), (size_y, unequal_y) = _size_and_batches(x), _size_and_batches(y)
    if size_x != size_y:
        return x, y
    return _concatenated(x) if unequal_x else x, _concatenated(y) if unequal_y else y


def _concatenated(batches: Sequence[Any]) -> np.ndarray:
    return np.concatenate([arrays.to_numpy(batch) for batch in batches])


def _size_and_batches(rows: Any) -> tuple[int | None, bool]:
    """Return the number of rows, None if unknown, and whether they are batches of different lengths."""
    if isinstance(rows, (list, tuple)):
        shapes: set[tuple[int, ...]] = {tuple(getattr(batch, "shape", ())) for batch in rows}
        if len(shapes) > 1 and all(len(shape) == 2 for shape in shapes) and len({shape[1] for shape in shapes}) == 1:
            return sum(int(batch.shape[0]) for batch in rows), True
        return len(rows), False
    shape: tuple[int, ...] = getattr(rows, "shape", ())
    return (int(shape[0]) if len(shape) else None), False


def _row_of_numbers(row: Any) -> np.ndarray | None:
    """Return a vector or a set of vectors as float64, a set of vectors of several lengths as objects, or None."""
    with contextlib.suppress(ValueError, TypeError):
        numbers = np.asarray(row, dtype=np.float64)
        return numbers if numbers.ndim else None
    if not isinstance(row, (list, tuple)):
        return None
    vectors = [None if isinstance(vector, str) else _row_of_numbers(vector) for vector in row]
    if any(vector is None or vector.ndim != 1 or vector.dtype == object for vector in vectors):
        return None
    of_objects = np.empty(len(vectors), dtype=object)
    of_objects[:] = vectors
    return of_objects


def _unusual(vectors: np.ndarray, width: int) -> np.ndarray:
    """Return one vector of NaN that is as long as the first of some vectors that has not `width` numbers."""
    return np.full((1, next(len(vector) for vector in vectors if len(vector) != width)), np.nan)


def _is_missing(row: Any) -> bool:
    """Return whether a row is None, or what pandas writes for it: NaN or NA."""
    return row is None or (isinstance(row, float) and row != row) or type(row).__name__ == "NAType"
