"""Operations on arrays of any library: the only module that knows array libraries.

Arrays of every library that follows the array API (NumPy, PyTorch, CuPy, JAX ...) are accepted, and arrays of the same
library are returned. No framework is imported here, because `array_api_compat` inspects what the caller has loaded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.compute.rows import SLICE_BYTES, cache_sized_slices, row_norms

Array = Any


def namespace(*arrays: Array) -> Any:
    """Return the array API namespace that all arrays share.

    Parameters
    ----------
    *arrays : array
        Arrays of one library.

    Returns
    -------
    module
        The namespace.

    Raises
    ------
    TypeError
        If the arrays belong to different libraries.

    Examples
    --------
    >>> namespace(np.eye(2)).__name__
    'array_api_compat.numpy'
    """
    import array_api_compat

    return array_api_compat.array_namespace(*arrays)


def is_numpy(array: Array) -> bool:
    """Return True for a NumPy array.

    Parameters
    ----------
    array : object
        Any object.

    Returns
    -------
    bool
        True for a NumPy array.

    Examples
    --------
    >>> is_numpy(np.eye(2)), is_numpy([1.0])
    (True, False)
    """
    return isinstance(array, np.ndarray)


def is_non_numpy(array: Any) -> bool:
    """Return True for an array of another library than NumPy.

    Parameters
    ----------
    array : object
        Any object.

    Returns
    -------
    bool
        False for NumPy arrays and for objects that are no arrays.

    Examples
    --------
    >>> is_non_numpy(np.eye(2)), is_non_numpy([1.0])
    (False, False)
    """
    import array_api_compat

    return not isinstance(array, np.ndarray) and array_api_compat.is_array_api_obj(array)


def to_numpy(array: Array) -> np.ndarray:
    """Return an array as a NumPy array on the host, detached from any gradient.

    Parameters
    ----------
    array : array
        Array of any library.

    Returns
    -------
    ndarray
        A view if possible, else a copy.

    Examples
    --------
    >>> to_numpy(np.arange(2)).tolist()
    [0, 1]
    """
    if isinstance(array, np.ndarray):
        return array
    import array_api_compat

    if array_api_compat.is_torch_array(array):
        array = array.detach().cpu()
        # NumPy has no bfloat16.
        return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
    if array_api_compat.is_cupy_array(array):
        return array.get()
    return np.asarray(array)


def asarray_like(values: np.ndarray, reference: Array) -> Array:
    """Convert a NumPy array to the library, device and floating dtype of a reference.

    Parameters
    ----------
    values : ndarray
        Values to convert.
    reference : array
        Array of any library.

    Returns
    -------
    array
        The values, in float64 if the reference is no floating array.

    Examples
    --------
    >>> asarray_like(np.arange(2), np.zeros(1, dtype="f4")).dtype
    dtype('float32')
    """
    if isinstance(reference, np.ndarray):
        dtype = reference.dtype if reference.dtype.kind == "f" else np.dtype(np.float64)
        return np.asarray(values, dtype=dtype.newbyteorder("="))
    import array_api_compat

    xp = namespace(reference)
    device = array_api_compat.device(reference)
    dtype = reference.dtype if xp.isdtype(reference.dtype, "real floating") else xp.float64
    return xp.asarray(np.ascontiguousarray(values), dtype=dtype, device=device)


def to_float64(array: Array) -> Array:
    """Return an array in float64, in its own library.

    Parameters
    ----------
    array : array
        Array of any library.

    Returns
    -------
    array
        The array itself if it is float64 already.

    Examples
    --------
    >>> to_float64(np.zeros(1, dtype="f4")).dtype
    dtype('float64')
    """
    if isinstance(array, np.ndarray):
        return np.asarray(array, dtype=np.float64)
    xp = namespace(array)
    return xp.astype(array, xp.float64, copy=False)


def take(rows: Array, index: np.ndarray) -> Array:
    """Return the rows with these numbers, in this order.

    Parameters
    ----------
    rows : array
        Array of any library, or an object that is indexed like a NumPy array.
    index : (k,) int array
        Row numbers.

    Returns
    -------
    array
        The rows.

    Examples
    --------
    >>> take(np.arange(3.0)[:, None], np.array([2, 0])).ravel().tolist()
    [2.0, 0.0]
    """
    if is_non_numpy(rows):
        import array_api_compat

        xp = namespace(rows)
        return xp.take(rows, xp.asarray(index, device=array_api_compat.device(rows)), axis=0)
    return rows[index]


def row_dot(x: Array, y: Array) -> Array:
    """Return the inner product of each row of x with the same row of y.

    Parameters
    ----------
    x, y : (n, d) arrays
        Rows.

    Returns
    -------
    (n,) array
        Inner products.

    Examples
    --------
    >>> row_dot(np.eye(2), np.array([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [3.0, 6.0]
    """
    if isinstance(x, np.ndarray):
        return np.einsum("ij,ij->i", x, y)
    return namespace(x, y).linalg.vecdot(x, y)


def unit_rows(array: Array, /) -> Array:
    """Divide rows by their Euclidean norm. A zero row stays zero.

    Parameters
    ----------
    array : (n, d) array
        Rows.

    Returns
    -------
    (n, d) array
        Unit rows.

    Examples
    --------
    >>> import numpy as np
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    if not isinstance(array, np.ndarray):
        xp = namespace(array)
        norms = xp.linalg.vector_norm(array, axis=1, keepdims=True)
        return array / xp.where(norms == 0, xp.ones_like(norms), norms)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.add.reduce(array * array, axis=1, keepdims=True))
        if not norms.all() or np.isinf(norms).any():
            norms = row_norms(array)[:, None].astype(norms.dtype)
            norms[norms == 0] = 1
        return array / norms  # infinite values become NaN without a warning


def normalize_and_flag(rows: Array, /, *, normalize: bool) -> tuple[Array, Array]:
    """Divide rows by their norm and flag invalid rows, without a transfer from the device.

    Parameters
    ----------
    rows : (n, d) array
        Rows.
    normalize : bool
        Divide by the norm. If False, rows are only checked for NaN and infinite values.

    Returns
    -------
    rows : (n, d) array
        The rows.
    invalid : () bool array
        True if a row is NaN, infinite or zero. Float32 rows shorter than 1e-15 or longer than 1e15 are invalid too,
        because their squares exceed the range of float32.

    Examples
    --------
    >>> bool(normalize_and_flag(np.full((1, 2), np.inf), normalize=False)[1])
    True
    """
    xp = namespace(rows)
    norms = xp.linalg.vector_norm(rows, axis=1, keepdims=True)
    valid = xp.isfinite(norms)
    if normalize:
        shortest, longest = (1e-15, 1e15) if rows.dtype == xp.float32 else (0.0, float("inf"))
        valid = valid & (norms > shortest) & (norms < longest)
        rows = rows / norms
    return rows, ~xp.all(valid)


class InvalidRowsError(Exception):
    """Raised for rows without a direction: NaN, infinite or all zero. The caller knows the file and lists them."""


class RowNormalizer:
    """Convert blocks of rows, as they are stored, to unit rows in the dtype of the computation.

    NumPy blocks are converted to native byte order and C order, in one buffer that the next block overwrites. Arrays of
    other libraries keep their type.

    Parameters
    ----------
    dtype : {'float32', 'float64'}
        Precision of the result.
    normalize : bool, default True
        Divide rows by their norm.

    Examples
    --------
    >>> RowNormalizer("float64")(np.array([[3.0, 4.0]], dtype="f4")).round(3).tolist()
    [[0.6, 0.8]]
    """

    def __init__(self, dtype: str, *, normalize: bool = True):
        self.dtype = dtype
        self.normalize = normalize
        self._buffer: np.ndarray | None = None

    def __call__(self, block: Array) -> Array:
        """Return the rows of a block. Raise `InvalidRowsError` if a row has NaN, infinite values or no length."""
        if not isinstance(block, np.ndarray):
            return self._normalize_non_numpy(block)
        if self._buffer is None or self._buffer.shape[0] < block.shape[0]:
            self._buffer = np.empty(block.shape, dtype=self.dtype)
        out = self._buffer[: block.shape[0]]
        native = block.dtype == out.dtype and block.flags.c_contiguous
        if out.nbytes <= SLICE_BYTES:
            self._normalize_slice(block, out, native)
        else:
            for rows in cache_sized_slices(out):
                self._normalize_slice(block[rows], out[rows], native)
        return out if self.normalize or not native else block

    def _normalize_slice(self, block: np.ndarray, out: np.ndarray, native: bool) -> None:
        """Check a few rows, and write them to `out` unless they may stay as they are."""
        if not native:
            with np.errstate(over="ignore"):  # rows beyond float32 are read again below
                np.copyto(out, block, casting="same_kind")
        rows = block if native else out
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", rows, rows)
        # The comparison is false for NaN. Squares leave the range of float32 long before norms do.
        one_row = len(squares) == 1  # a search waits for one query
        smallest, largest = (squares[0], squares[0]) if one_row else (squares.min(initial=1), squares.max(initial=1))
        if not (smallest > 1e-30 and largest < 1e30):
            with np.errstate(over="ignore", invalid="ignore"):
                squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
            if not np.all((squares > 0) & (squares < np.inf)):
                norms = row_norms(rows)  # of rows whose squares exceed the range of float64, too
                has_direction = (norms > 0) & (norms < np.inf)
                if not np.all(
                    has_direction if self.normalize else np.isfinite(squares) & ((squares > 0) | (norms == 0))
                ):
                    raise InvalidRowsError
                if self.normalize:
                    np.divide(rows, norms[:, None], out=out, casting="same_kind")
                return
        if self.normalize:
            np.multiply(rows, (1 / np.sqrt(squares))[:, None], out=out, casting="same_kind")

    def _normalize_non_numpy(self, block: Array) -> Array:
        """Return the rows of a block of another library."""
        xp = namespace(block)
        block = xp.astype(block, getattr(xp, self.dtype), copy=False)
        rows, invalid = normalize_and_flag(block, normalize=self.normalize)
        if bool(invalid):
            raise InvalidRowsError
        return rows


def compute_dtype(dtype: str) -> str:
    """Return the precision in which rows of this dtype are computed.

    Parameters
    ----------
    dtype : str
        Name of a dtype, such as 'float16', 'torch.float32' or '>f8'.

    Returns
    -------
    str
        'float64' for double precision, else 'float32'.

    Examples
    --------
    >>> compute_dtype("float16"), compute_dtype(">f8")
    ('float32', 'float64')
    """
    return "float64" if dtype.endswith(("float64", "f8")) else "float32"
