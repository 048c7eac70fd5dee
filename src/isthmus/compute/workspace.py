"""Buffers that threads allocate once, for the tiles of a computation."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

#: Bytes at whose multiples a buffer begins: a line of the cache, and the longest vector of the processor. NumPy itself
#: aligns to 16 bytes, which makes a product in place almost twice as slow.
ALIGNMENT = 64


class Workspace(threading.local):
    """Buffers that each thread allocates once.

    Examples
    --------
    >>> workspace = Workspace()
    >>> first = workspace.empty("scores", (2, 3), np.float32)
    >>> np.shares_memory(first, workspace.empty("scores", (3, 1), np.float32))
    True
    """

    def __init__(self) -> None:
        self._buffers: dict[Any, np.ndarray] = {}

    def empty(self, name: str, shape: tuple[int, int], dtype: Any) -> np.ndarray:
        """Return a buffer with this name. The next call with the name in the same thread returns the same memory.

        Parameters
        ----------
        name : str
            Name of the buffer.
        shape : tuple of int
            Rows and columns.
        dtype : numpy.dtype
            Type of the entries.

        Returns
        -------
        array
            The buffer, C-ordered, with arbitrary entries.
        """
        size = shape[0] * shape[1]
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = _aligned(size, np.dtype(dtype))
        return buffer[:size].reshape(shape)


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Return an array whose first entry is aligned, (size,)."""
    n_bytes = size * dtype.itemsize
    memory = np.empty(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes].view(dtype)
