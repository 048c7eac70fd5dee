"""The only file that knows array libraries.

Arrays of any library that follows the array API (NumPy, PyTorch, CuPy, JAX ...) go in, and arrays of the same
library come out. A framework is never imported here: `array_api_compat` looks at what the caller already loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = Any

#: Bytes of rows that are read, changed and read again while they lie in the cache of one core.
SLICE_BYTES = 3 * 2**19


def namespace(*arrays: Array) -> Any:
    """The array API namespace that all `arrays` share (`TypeError` when they differ)."""
    import array_api_compat

    return array_api_compat.array_namespace(*arrays)


def is_numpy(array: Array) -> bool:
    """Whether `array` is a NumPy array."""
    return isinstance(array, np.ndarray)


def is_non_numpy(array: Any) -> bool:
    """Whether `array` is an array of another library than NumPy."""
    import array_api_compat

    return not isinstance(array, np.ndarray) and array_api_compat.is_array_api_obj(array)


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array on the host; a view where that is possible, detached from any gradient."""
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
    """NumPy `values` as an array of the library, device and floating dtype of `reference`."""
    if isinstance(reference, np.ndarray):
        dtype = reference.dtype if reference.dtype.kind == "f" else np.dtype(np.float64)
        return np.asarray(values, dtype=dtype.newbyteorder("="))
    import array_api_compat

    xp = namespace(reference)
    device = array_api_compat.device(reference)
    dtype = reference.dtype if xp.isdtype(reference.dtype, "real floating") else xp.float64
    return xp.asarray(np.ascontiguousarray(values), dtype=dtype, device=device)


def to_float64(array: Array) -> Array:
    """`array` in float64, in its own library."""
    if isinstance(array, np.ndarray):
        return np.asarray(array, dtype=np.float64)
    xp = namespace(array)
    return xp.astype(array, xp.float64, copy=False)


def take(rows: Array, index: np.ndarray) -> Array:
    """The rows with these numbers, in this order; `rows` may also be anything that is indexed like NumPy."""
    if is_non_numpy(rows):
        import array_api_compat

        xp = namespace(rows)
        return xp.take(rows, xp.asarray(index, device=array_api_compat.device(rows)), axis=0)
    return rows[index]


def row_dot(x: Array, y: Array) -> Array:
    """The inner product of each row of x with the same row of y, (n,)."""
    if isinstance(x, np.ndarray):
        return np.einsum("ij,ij->i", x, y)
    return namespace(x, y).linalg.vecdot(x, y)


def unit_rows(array: Array, /) -> Array:
    """Rows of `array` (n, d) divided by their Euclidean norm; a zero row stays zero.

    >>> import numpy as np
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    xp = namespace(array)
    norms = xp.linalg.vector_norm(array, axis=1, keepdims=True)
    return array / xp.where(norms == 0, xp.ones_like(norms), norms)


def cache_sized_slices(rows: np.ndarray, /) -> Iterator[slice]:
    """Slices of a few rows each, which stay in the cache of one core while they are worked on."""
    few = max(SLICE_BYTES // max(rows.itemsize * rows.shape[1], 1), 1)
    return (slice(start, min(start + few, len(rows))) for start in range(0, len(rows), few))


def normalize_and_flag(rows: Array, /, *, normalize: bool) -> tuple[Array, Array]:
    """(rows divided by their norm, whether one of them is NaN, infinite or zero): both stay on the device.

    Float32 rows shorter than 1e-15 or longer than 1e15 count as such too: their squares leave the range of float32.
    """
    xp = namespace(rows)
    norms = xp.linalg.vector_norm(rows, axis=1, keepdims=True)
    good = xp.isfinite(norms)
    if normalize:
        least, most = (1e-15, 1e15) if rows.dtype == xp.float32 else (0.0, float("inf"))
        good = good & (norms > least) & (norms < most)
        rows = rows / norms
    return rows, ~xp.all(good)


class InvalidRowsError(Exception):
    """Rows without a direction: NaN, infinite or all zero. The caller knows the file and says which."""


class RowNormalizer:
    """Turns blocks of rows as they lie on disk or device into clean, unit, computable ones.

    NumPy blocks go to `dtype` (float32 or float64), native byte order and C order, in one buffer that the next block
    overwrites; other libraries keep their own type in the same precision.
    """

    def __init__(self, dtype: str, *, normalize: bool = True):
        self.dtype = dtype
        self.normalize = normalize
        self._buffer: np.ndarray | None = None

    def __call__(self, block: Array) -> Array:
        """Raises `InvalidRowsError` when a row has NaN, infinite values or no length."""
        if not isinstance(block, np.ndarray):
            return self._foreign(block)
        if self._buffer is None or self._buffer.shape[0] < block.shape[0]:
            self._buffer = np.empty(block.shape, dtype=self.dtype)
        out = self._buffer[: block.shape[0]]
        native = block.dtype == out.dtype and block.flags.c_contiguous
        for few in cache_sized_slices(out):
            self._clean(block[few], out[few], native)
        return out if self.normalize or not native else block

    def _clean(self, block: np.ndarray, out: np.ndarray, native: bool) -> None:
        """A few rows checked, and written to `out` unless they may stay as they are."""
        if not native:
            np.copyto(out, block, casting="same_kind")
        rows = block if native else out
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", rows, rows)
        # The comparison is false for NaN. Squares leave the range of float32 long before lengths do.
        if not np.all((squares > 1e-30) & (squares < 1e30)):
            with np.errstate(over="ignore", invalid="ignore"):
                squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
            if not np.all((squares > 0) & (squares < np.inf)) and (self.normalize or not np.isfinite(squares).all()):
                raise InvalidRowsError
        if self.normalize:
            np.multiply(rows, (1 / np.sqrt(squares))[:, None], out=out, casting="same_kind")

    def _foreign(self, block: Array) -> Array:
        xp = namespace(block)
        block = xp.astype(block, getattr(xp, self.dtype), copy=False)
        rows, bad = normalize_and_flag(block, normalize=self.normalize)
        if bool(bad):
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
    """
    return "float64" if dtype.endswith(("float64", "f8")) else "float32"
