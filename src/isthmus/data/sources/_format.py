"""The contract of a file format: how its files are recognised, read in blocks and written."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from isthmus.data.sources._locations import Location
from isthmus.data.sources._source import Source
from isthmus.data.sources._writers import Writer
from isthmus.utils.errors import InputError


class Format(ABC):
    """A file format that embeddings are read from, and perhaps written to.

    A subclass sets `name` and `suffixes` and defines `open_source`. Everything else has a default. Decorate the class
    with `register`, or put it in a module that an entry point of the group ``isthmus.formats`` names. The
    command ``isthmus list sources`` prints the first paragraph of its docstring. `isthmus.testing.check_format` tests
    the contract.

    Attributes
    ----------
    name : str
        Unique name, which is also `Source.format` of its sources.
    suffixes : tuple of str
        Lower-case file suffixes with their dot, the usual one first. No two formats share a suffix.
    magic : bytes or None
        First bytes of every file, by which a file without a known suffix is recognised. Default: None.
    dtypes : tuple of str
        NumPy dtypes that files can hold. Default: float16, float32 and float64. Whole numbers are codes, which
        `isthmus.sources.open_source` decodes.
    supports_resume : bool
        Whether `writer` can continue a file that was cut short. Default: False.
    reads_urls : bool
        Whether `open_source` accepts a `RemotePath`. Default: False.
    is_shard : bool
        Whether files in a folder are shards. False for text, which often lies beside shards as captions or ids.
        Default: True.
    announces_length : bool
        Whether a file says how long it is, so that one that was cut off is refused. False for text and .fvecs.
        Default: True.

    Examples
    --------
    A format for raw rows of eight float32 numbers, which is read but not written:

    >>> import numpy as np
    >>> from isthmus.data.sources import Format, Source
    >>> class Eights(Format):
    ...     "Raw rows of eight float32 numbers (.f8)."
    ...     name = "eights"
    ...     suffixes = (".f8",)
    ...     def open_source(self, location, member=None, *, min_rows=2):
    ...         rows = np.fromfile(location, dtype="<f4").reshape(-1, 8)
    ...         return Source(rows, address=str(location), format=self.name, min_rows=min_rows)
    >>> Eights().description
    'Raw rows of eight float32 numbers (.f8).'
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    magic: ClassVar[bytes | None] = None
    dtypes: ClassVar[tuple[str, ...]] = ("float16", "float32", "float64")
    supports_resume: ClassVar[bool] = False
    reads_urls: ClassVar[bool] = False
    is_shard: ClassVar[bool] = True
    announces_length: ClassVar[bool] = True

    @property
    def description(self) -> str:
        """Return the first paragraph of the class docstring in one line."""
        return " ".join(inspect.cleandoc(type(self).__doc__ or self.name).split("\n\n")[0].split())

    def matches(self, head: bytes) -> bool:
        """Return whether a file that begins with `head` is in this format.

        Parameters
        ----------
        head : bytes
            First 512 bytes of the file, or all of a shorter one.

        Returns
        -------
        bool
            By default, whether `head` starts with `magic`.
        """
        return self.magic is not None and head.startswith(self.magic)

    @abstractmethod
    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the embeddings at `location` without reading all of them.

        Parameters
        ----------
        location : Path or RemotePath
            An existing file. A `RemotePath` is only given if `reads_urls` is True.
        member : str or None
            Name of the array or column, for formats whose files hold several. Default: the only one.
        min_rows : int
            Fewest rows that are accepted: 0 for a shard. Default: 2.

        Returns
        -------
        Source
            Rows (n, d) of one of `dtypes` or, through `Source.convert`, of any other type of float.

        Raises
        ------
        InputError
            If the file is truncated or corrupted, holds no embeddings, or `member` is missing or ambiguous.
        """

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of rows to the file `path`.

        Parameters
        ----------
        path : Path
            Name to write to. The caller renames it once the file is complete.
        shape : tuple of int
            Rows and columns (n, d) of the complete file.
        dtype : numpy.dtype
            One of `dtypes`.
        start : int
            Rows that an earlier writer has flushed to `path`. Nonzero only if `supports_resume` is True.
        source : Source or None
            Source that the rows are computed from. If it is in this format, whatever else its file holds is copied.

        Returns
        -------
        Writer
            It takes the rows in order, in blocks of any size.

        Raises
        ------
        InputError
            If the format cannot be written, which is the default.
        """
        raise InputError(f"{path}: files of the format {self.name!r} are read but not written; choose another suffix")

    def __repr__(self) -> str:
        return f"<format {self.name}: {', '.join(self.suffixes) or 'no suffix'}>"
