"""Writers of rows: the contract, and two implementations that most formats use."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np

#: A function that writes a block of rows (m, d), given the number of its first row in the file.
WriteBlock = Callable[[int, np.ndarray], None]


class Writer(ABC):
    """A sink that takes rows block after block, in order, and leaves a complete file.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from isthmus.data.sources import formats, open_source
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "a.npy"
    ...     writer = formats["npy"].writer(path, (3, 2), np.dtype("float32"))
    ...     writer.write(np.ones((2, 2)))
    ...     writer.write(np.zeros((1, 2)))
    ...     writer.close()
    ...     open_source(path).shape
    (3, 2)
    """

    @abstractmethod
    def write(self, rows: np.ndarray) -> None:
        """Append a block of rows.

        Parameters
        ----------
        rows : numpy.ndarray
            Rows (m, d), the next ones of the file.
        """

    def flush(self) -> None:  # noqa: B027
        """Return when the rows so far are on disk.

        The default does nothing, which is right for files that are only valid after `close`.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish and close the file."""


class RawRowsWriter(Writer):
    """Writer for formats that are a header followed by the rows as they lie in memory.

    Parameters
    ----------
    path : Path
        The file.
    header : bytes
        Bytes before the rows.
    shape : tuple of int
        Numbers of rows and columns.
    dtype : numpy.dtype
        Type of the rows.
    start : int
        Number of rows that the file holds already.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "rows.bin"
    ...     writer = RawRowsWriter(path, b"HEAD", (2, 2), np.dtype("<f4"), 0)
    ...     writer.write(np.eye(2, dtype="f4"))
    ...     writer.close()
    ...     path.stat().st_size
    20
    """

    def __init__(self, path: Path, header: bytes, shape: tuple[int, int], dtype: np.dtype, start: int):
        self.dtype = dtype.newbyteorder("<")
        self.file = path.open("r+b" if start else "wb")
        if not start:
            self.file.write(header)
        self.file.seek(len(header) + start * shape[1] * dtype.itemsize)
        self.file.truncate()

    def write(self, rows: np.ndarray) -> None:
        """Append a block of rows."""
        self.file.write(np.ascontiguousarray(rows, dtype=self.dtype).data)

    def flush(self) -> None:
        """Return when the rows so far are on disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class SequentialWriter(Writer):
    """Writer for formats whose files are written in one go.

    The context manager `context` yields the function that writes a block, and finishes the file when it ends.
    """

    def __init__(self, context: AbstractContextManager[WriteBlock]):
        self._stack = ExitStack()
        self._write_block = self._stack.enter_context(context)
        self._n_written = 0

    def write(self, rows: np.ndarray) -> None:
        """Append a block of rows."""
        self._write_block(self._n_written, rows)
        self._n_written += len(rows)

    def close(self) -> None:
        """Finish and close the file."""
        self._stack.close()
