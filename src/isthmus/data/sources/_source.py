"""Sources: rows of one modality that are read in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._vector_sets import VectorSets
from isthmus.utils import validation
from isthmus.utils.errors import InputError


class Source:
    """Embeddings of one modality that are read in blocks of rows.

    Parameters
    ----------
    rows : array-like
        Anything of shape (n, d) that is indexed by ``rows[start:stop, ...]`` and by an array of row numbers. Examples
        are a memory-mapped array, an array of any array library, and the reader of a format.
    address : str
        File and member, as they appear in messages.
    format : str
        Name of the format. Default: 'array'.
    dtype : str or None
        Name of the dtype that `read` returns. Default: that of `rows`.
    convert : callable or None
        Function from stored rows to floats, for types that NumPy lacks, such as bfloat16.
    location : Path, RemotePath or None
        The file or folder.
    member : str or None
        Name of the array or column in the file.
    keys : callable or None
        Function from the name of a column to its keys, one per row.
    numbers : numpy.ndarray or None
        Row numbers (n,) in the file, if the source is a subset of its rows.
    min_rows : int
        Fewest rows that are accepted. Default: 2.

    Raises
    ------
    InputError
        If the shape is not (n, d) with n >= `min_rows` and d >= 2.

    Examples
    --------
    >>> import numpy as np
    >>> source = Source(np.arange(12.0).reshape(4, 3), address="numbers")
    >>> source, source.read(1, 3).tolist()
    (Source(numbers, array, 4 x 3 float64), [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
    """

    def __init__(
        self,
        rows: Any,
        /,
        *,
        address: str,
        format: str = "array",
        dtype: str | None = None,
        convert: Callable[[np.ndarray], np.ndarray] | None = None,
        location: Any = None,
        member: str | None = None,
        keys: Callable[[str], Any] | None = None,
        numbers: np.ndarray | None = None,
        min_rows: int = 2,
    ):
        validation.check_matrix_shape(rows.shape, address, min_rows=min_rows)
        #: True if the file holds one vector (d,) and not a matrix.
        self.is_vector = len(rows.shape) == 1
        if self.is_vector:
            rows = rows[None]
        if len(rows.shape) == 3:
            rows, convert = VectorSets(rows, address, convert), None
        self.rows = rows
        self.address = address
        self.format = format
        self.convert = convert
        self.location = location
        self.member = member
        #: Options of `open_source` that opened it, so that another process can open the same rows.
        self.reading: dict[str, Any] = {}
        #: Record of rows of another length than the others, which are read as NaN, if the format can hold any.
        self.ragged: RaggedRows | None = getattr(rows, "ragged", None)
        #: Number of rows of each array in a list that the file holds. With `pool` they are the vectors of one item.
        self.n_vectors: np.ndarray | None = None
        self._keys = keys
        self._numbers = numbers
        self.shape: tuple[int, int] = (int(rows.shape[0]), int(rows.shape[1]))
        self.dtype = dtype or str(rows.dtype)

    @property
    def is_numpy(self) -> bool:
        """True if `read` returns NumPy arrays."""
        return not arrays.is_non_numpy(self.rows)

    @property
    def is_subset(self) -> bool:
        """True if these are selected rows of the file."""
        return self._numbers is not None

    @property
    def random_access(self) -> bool:
        """True if single rows can be read without decoding those before them."""
        return bool(getattr(self.rows, "random_access", True))

    def read(self, start: int, stop: int) -> Any:
        """Return rows start .. stop - 1 in the dtype and byte order of the file.

        Parameters
        ----------
        start : int
            First row.
        stop : int
            Row after the last one. It may exceed the number of rows.

        Returns
        -------
        array
            Rows (m, d), in the array library of the data.
        """
        block = self.rows[start : min(stop, self.shape[0]), ...]
        return self.convert(block) if self.convert else block

    def take(self, rows: np.ndarray) -> Any:
        """Return the rows with these numbers, in this order.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers (m,), in any order, repeated or not.

        Returns
        -------
        array
            Rows (m, d), in the array library of the data.
        """
        block = arrays.take(self.rows, rows)
        return self.convert(block) if self.convert else block

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers that rows of this source have in the file.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers (m,) of this source.

        Returns
        -------
        numpy.ndarray
            Row numbers (m,) in the file.
        """
        return rows if self._numbers is None else self._numbers[rows]

    @property
    def has_keys(self) -> bool:
        """True if the format has columns that may serve as keys."""
        return self._keys is not None

    def keys(self, name: str) -> Any:
        """Return the keys in the column `name`.

        Parameters
        ----------
        name : str
            Name of a column, dataset or array beside the embeddings.

        Returns
        -------
        numpy.ndarray or pyarrow.ChunkedArray
            Keys (n,), integers or text.

        Raises
        ------
        InputError
            If the format has no columns, or the column is missing or has nulls.
        """
        if self._keys is None:
            raise InputError(
                f"{self.address}: {self.format} holds no column of keys; give a file of keys instead of {name!r}, one "
                "key a row, such as --key image_ids.npy,text_ids.npy"
            )
        return self._keys(name)

    def __repr__(self) -> str:
        return f"Source({self.address}, {self.format}, {self.shape[0]} x {self.shape[1]} {self.dtype})"


class ConcatRows:
    """Several row arrays of one width, concatenated without a copy.

    Parameters
    ----------
    shards : sequence of array-like
        Rows (n_i, d) of each, as in `Source`.
    names : sequence of str
        Names of their files. Default: ().

    Examples
    --------
    >>> import numpy as np
    >>> ConcatRows([np.eye(3)[:2], np.eye(3)[2:]])[1:3, ...].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    def __init__(self, shards: Sequence[Any], names: Sequence[str] = ()):
        self.shards = shards
        self.names = names
        self.ends = np.cumsum([shard.shape[0] for shard in shards])
        width = max(shard.shape[1] for shard in shards if shard.shape[0] or shard is shards[0])
        self.shape = (int(self.ends[-1]), width)
        self.dtype = np.result_type(*{shard.dtype.newbyteorder("=") for shard in shards})
        self.random_access = all(getattr(shard, "random_access", True) for shard in shards)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):  # rows[start:stop, ...]
            start, stop, _ = key[0].indices(self.shape[0])
            if start >= stop:
                return np.empty((0, self.shape[1]), dtype=self.dtype)
            first, last = np.searchsorted(self.ends, [start, stop - 1], side="right")
            if first == last:
                begin = self._begin(first)
                return np.asarray(self.shards[first][start - begin : stop - begin, ...])
            block = np.empty((stop - start, self.shape[1]), dtype=self.dtype)
            for number in range(first, last + 1):
                shard, begin = self.shards[number], self._begin(number)
                if shard.shape[0]:
                    read = getattr(shard, "borrow", shard.__getitem__)
                    block[max(begin - start, 0) : int(self.ends[number]) - start] = read(
                        (slice(max(start - begin, 0), min(stop - begin, shard.shape[0])), ...)
                    )
            return block
        key = np.asarray(key)
        rows = np.empty((len(key), self.shape[1]), dtype=self.dtype)
        shard_of_row = np.searchsorted(self.ends, key, side="right")
        for number in np.unique(shard_of_row):
            in_shard = shard_of_row == number
            rows[in_shard] = self.shards[number][key[in_shard] - self._begin(number)]
        return rows

    def _begin(self, number: int) -> int:
        """Return the first row of a shard."""
        return 0 if number == 0 else int(self.ends[number - 1])


def same_format(source: Source | None, format: str) -> Source | None:
    """Return `source` if a writer of this format can copy whatever else its file holds, row by row, else None."""
    return source if source is not None and source.format == format and not source.is_subset else None


def concat_keys(columns: Sequence[Any], address: str) -> Any:
    """Concatenate the keys of several shards, of one kind: integers or text."""
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    import pyarrow as pa

    types = list(dict.fromkeys(column.type for column in columns))
    are_integers = {pa.types.is_integer(key_type) for key_type in types}
    if len(are_integers) > 1:
        held = " and ".join(map(str, types[:3]))
        raise InputError(
            f"{address[-120:]}: its shards hold keys of {held}, expected one type; write all of them alike"
        )
    common = types[0] if len(types) == 1 else pa.int64() if are_integers == {True} else pa.large_binary()
    return pa.chunked_array([chunk for column in columns for chunk in column.cast(common).chunks], type=common)


def from_bfloat16(encoded: np.ndarray) -> np.ndarray:
    """Return float32 values from encoded bfloat16 (uint16), which are the upper half of a float32."""
    return (encoded.astype(np.uint32) << 16).view(np.float32)
