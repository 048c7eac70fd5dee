"""The only file that knows array libraries.

Arrays of any library that follows the array API (NumPy, PyTorch, CuPy, JAX ...) go in, and arrays of the same
library come out. A framework is never imported here: `array_api_compat` looks at what the caller already loaded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def namespace(*arrays: Array) -> Any:
    """The array API namespace that all `arrays` share (`TypeError` when they differ)."""
    import array_api_compat

    return array_api_compat.array_namespace(*arrays)


def is_numpy(array: Array) -> bool:
    """Whether `array` is a NumPy array."""
    return isinstance(array, np.ndarray)


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


def like(values: np.ndarray, reference: Array) -> Array:
    """NumPy `values` as an array of the library, device and floating dtype of `reference`."""
    if isinstance(reference, np.ndarray):
        dtype = reference.dtype if reference.dtype.kind == "f" else np.dtype(np.float64)
        return np.asarray(values, dtype=dtype.newbyteorder("="))
    import array_api_compat

    xp = namespace(reference)
    device = array_api_compat.device(reference)
    dtype = reference.dtype if xp.isdtype(reference.dtype, "real floating") else xp.float64
    return xp.asarray(np.ascontiguousarray(values), dtype=dtype, device=device)


def unit_rows(array: Array, /) -> Array:
    """Rows of `array` (n, d) divided by their Euclidean norm; a zero row stays zero.

    >>> import numpy as np
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    xp = namespace(array)
    norms = xp.linalg.vector_norm(array, axis=1, keepdims=True)
    return array / xp.where(norms == 0, xp.ones_like(norms), norms)
