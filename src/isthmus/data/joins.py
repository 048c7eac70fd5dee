"""Joins by keys: which row of one file belongs to which row of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.data.hashing import hash_text
from isthmus.data.sources import Source
from isthmus.utils.errors import InputError
from isthmus.utils.files import temporary_rows

#: Bytes of text that are hashed at once.
CHUNK_BYTES = 2**24


class RepeatedKeyError(InputError):
    """A key occurs in several rows of the first file.

    Examples
    --------
    >>> issubclass(RepeatedKeyError, InputError)
    True
    """


@dataclass(frozen=True)
class KeyJoin:
    """Rows of two files that share a key.

    Row ``y[j]`` of the second file belongs to row ``x[index[j]]`` of the first one, or to ``x[j]`` if `index` is None.

    Parameters
    ----------
    key : str
        Name of the key, as it was given.
    x : numpy.ndarray
        Row numbers (n_items,) of the first file, ascending, so that it is read from front to back.
    y : numpy.ndarray
        Row numbers (n_pairs,) of the second file.
    index : numpy.ndarray or None
        Position in `x` for each entry of `y`, or None if every key occurs once in both files.
    sizes : tuple of int
        Rows of the two files.
    matched : tuple of int or None
        Rows of the two files that have a match, if keys repeat in the first. None if every row has its own entry.
    repeats_in_both : bool
        Whether keys repeat in both files. Default: False.

    Examples
    --------
    >>> import numpy as np
    >>> join = join_keys(np.array([5, 9]), np.array([9, 5, 7]), key="id", columns=("images", "texts"))
    >>> join.x.tolist(), join.y.tolist(), join.unmatched
    ([0, 1], [1, 0], (0, 1))
    """

    key: str
    x: np.ndarray
    y: np.ndarray
    index: np.ndarray | None
    sizes: tuple[int, int]
    matched: tuple[int, int] | None = None
    repeats_in_both: bool = False

    @property
    def unmatched(self) -> tuple[int, int]:
        """Number of rows of either file whose key the other one lacks."""
        matched = self.matched or (len(self.x), len(self.y))
        return self.sizes[0] - matched[0], self.sizes[1] - matched[1]

    def summary(self, names: tuple[str, str]) -> str:
        """Return a sentence about what was paired and what was left out.

        Parameters
        ----------
        names : tuple of str
            Names of the two modalities.

        Returns
        -------
        str
            The sentence, without a full stop.
        """
        unmatched = " and ".join(
            f"{count:,} of {size:,} rows of {name}"
            for count, size, name in zip(self.unmatched, self.sizes, names, strict=True)
        )
        if self.matched is None:
            made = f"{len(self.y):,} pairs of {len(self.x):,} items"
        else:
            different = len(self.x), int(np.count_nonzero(np.bincount(self.y)))
            rows = " and ".join(
                f"{count:,} different rows of {name}" for count, name in zip(different, names, strict=True)
            )
            where = "both modalities" if self.repeats_in_both else names[0]
            made = f"its keys repeat in {where}, each row matches all rows of its key: {len(self.y):,} pairs of {rows}"
        return f"paired by {self.key}: {made}" + (f", without a match for {unmatched}" if any(self.unmatched) else "")


def join_keys(x: Any, y: Any, /, *, key: str, columns: tuple[str, str]) -> KeyJoin:
    """Match two columns of keys.

    Memory: 16 bytes per key and column, besides the keys.

    Parameters
    ----------
    x : numpy.ndarray or pyarrow.ChunkedArray
        Keys (n_x,) of the first file, integers or text, all different.
    y : numpy.ndarray or pyarrow.ChunkedArray
        Keys (n_y,) of the second file. A key may occur in several rows.
    key : str
        Name of the key for `KeyJoin`.
    columns : tuple of str
        Names of the two columns for messages.

    Returns
    -------
    KeyJoin
        The matching rows.

    Raises
    ------
    InputError
        If a key of `x` occurs twice, one column holds text and the other integers, or no key is shared.

    Examples
    --------
    >>> import numpy as np
    >>> join_keys(np.array(["a", "b"]), np.array(["b", "b"]), key="id", columns=("x", "y")).index.tolist()
    [0, 0]
    """
    codes_x, codes_y = key_codes((x, y), columns)
    order = np.lexsort(codes_x[::-1])
    sorted_x = [codes[order] for codes in codes_x]
    repeated = np.flatnonzero(np.all([codes[1:] == codes[:-1] for codes in sorted_x], axis=0))
    if len(repeated):
        first, second = sorted(order[repeated[0] : repeated[0] + 2])
        raise RepeatedKeyError(
            f"{columns[0]}: the key {_example(x, first)} is in rows {first:,} and {second:,} (counted from 0), "
            "expected one row per key in x; give the modality with several rows per key second"
        )
    order_y = np.argsort(codes_y[0])
    position = np.empty(len(order_y), dtype=np.int64)
    position[order_y] = np.searchsorted(sorted_x[0], codes_y[0][order_y])  # ascending values are found faster
    position = np.minimum(position, len(order) - 1)
    # Probability that a first hash collides: 3e-8 for a million keys, 3e-4 for 10^8.
    if len(codes_x) > 1 and np.any(sorted_x[0][1:] == sorted_x[0][:-1]):
        raise InputError(f"{columns[0]}: two of its keys have the same hash by chance; give integers as keys")
    is_match = np.all([a[position] == b for a, b in zip(sorted_x, codes_y, strict=True)], axis=0)
    rows_y = np.flatnonzero(is_match)
    if not len(rows_y):
        raise no_common_key(x, y, columns)
    owner = order[position[rows_y]]
    by_owner = np.argsort(owner, kind="stable")
    rows_x, index = np.unique(owner[by_owner], return_inverse=True)
    one_to_one = len(rows_x) == len(rows_y)
    return KeyJoin(key, rows_x, rows_y[by_owner], None if one_to_one else index, (len(x), len(y)))


def key_codes(columns_of_keys: Sequence[Any], names: Sequence[str], /) -> list[list[np.ndarray]]:
    """Return columns of numbers for each column of keys: the integers, or two 64-bit hashes of the text.

    Integers are compared with text as they are printed: 7 equals "7", and not "007". Raises `InputError` if keys are
    neither integers nor text, or if two columns cannot be compared.
    """
    checked = [_checked_keys(keys, name) for keys, name in zip(columns_of_keys, names, strict=True)]
    x, y = checked[0], checked[-1]
    if _is_text(x) != _is_text(y):
        checked = [keys if _is_text(keys) else keys.astype("S20") for keys in checked]  # the longest of 64 bits
    elif "uint64" in (getattr(x, "dtype", ""), getattr(y, "dtype", "")) and x.dtype != y.dtype:
        for keys, name in zip(checked, names, strict=True):
            if keys.dtype == np.uint64 and int(keys.max()) >= 2**63:
                raise InputError(f"{name}: has keys of 2^63 and more, the other file signed integers; use one dtype")
    return [_codes(keys) for keys in checked]


def no_common_key(x: Any, y: Any, columns: Sequence[str], /) -> InputError:
    """Return the error of two columns that share no key."""
    x, y = (_checked_keys(keys, name) for keys, name in zip((x, y), columns, strict=True))
    advice = "; write both in one way" if _is_text(x) != _is_text(y) else ""
    return InputError(
        f"no key of {columns[0]} is a key of {columns[1]}: the first have keys such as {_example(x, 0)}, the "
        f"others such as {_example(y, 0)}{advice}"
    )


def select_rows(source: Source, rows: np.ndarray, /, *, min_rows: int = 2) -> Source:
    """Return selected rows of a source as a source.

    Parameters
    ----------
    source : Source
        Rows (n, d).
    rows : numpy.ndarray
        Row numbers (m,), in any order.
    min_rows : int
        Smallest number of rows that is accepted. Default: 2.

    Returns
    -------
    Source
        The rows (m, d), or `source` itself if they are all of its rows in order.

    Examples
    --------
    >>> import numpy as np
    >>> select_rows(Source(np.arange(8.0).reshape(4, 2), address="x"), np.array([3, 0])).read(0, 2).tolist()
    [[6.0, 7.0], [0.0, 1.0]]
    """
    if len(rows) == source.shape[0] and np.array_equal(rows, np.arange(len(rows))):
        return source
    if not source.is_numpy:
        taken = arrays.take(source.rows, rows)
        return Source(taken, address=source.address, format=source.format, numbers=rows, min_rows=min_rows)
    subset = Source(
        RowSubset(source, rows),
        address=source.address,
        format=source.format,
        dtype=source.dtype,
        convert=source.convert,
        location=source.location,
        member=source.member,
        numbers=source.numbers(rows),
        min_rows=min_rows,
    )
    subset.ragged = source.ragged
    return subset


def taken_rows(source: Source, rows: np.ndarray, /) -> Source:
    """Return selected rows of a source in memory. Rows that are in memory already are gathered when they are read.

    Parameters
    ----------
    source : Source
        Rows (n, d).
    rows : numpy.ndarray
        Row numbers (m,), in any order.

    Returns
    -------
    Source
        The rows (m, d).

    Examples
    --------
    >>> taken_rows(Source(np.arange(8.0).reshape(4, 2), address="x"), np.array([3, 0])).read(0, 2).tolist()
    [[6.0, 7.0], [0.0, 1.0]]
    """
    if type(source.rows) is np.ndarray:
        return select_rows(source, rows)
    return Source(source.take(rows), address=source.address, format=source.format)


class RowSubset:
    """Selected rows of a source, in any order.

    Random access is expensive if rows must be decoded sequentially. If the order is then not that of the file, the rows
    are written to a temporary file in their new order. This happens once and in one pass.
    """

    def __init__(self, source: Source, numbers: np.ndarray):
        self._base, self._numbers = source.rows, numbers
        self.shape = (len(numbers), source.shape[1])
        self.dtype = source.rows.dtype
        is_ascending = bool(np.all(numbers[1:] > numbers[:-1]))
        self._read_directly = source.random_access or is_ascending
        #: Names of the shards, if the rows are in the order of the file.
        self.names: Sequence[str] = getattr(self._base, "names", ()) if is_ascending else ()
        self.random_access = source.random_access or not self._read_directly

    def __getitem__(self, key: Any) -> Any:
        key = key[0] if isinstance(key, tuple) else key
        if not self._read_directly:
            return self._ordered_copy[key]
        rows = self._numbers[key]
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and np.all(rows[1:] > rows[:-1]):
            return self._base[int(rows[0]) : int(rows[-1]) + 1, ...]
        return arrays.take(self._base, rows)

    @property
    def ends(self) -> np.ndarray:
        """The row after the last one of each shard in `names`, (n_shards,)."""
        return np.searchsorted(self._numbers, self._base.ends)

    @cached_property
    def _ordered_copy(self) -> np.ndarray:
        copy = temporary_rows(None, np.dtype(self.dtype), self.shape)
        order = np.argsort(self._numbers)
        size = max(CHUNK_BYTES // (self.shape[1] * copy.dtype.itemsize), 1)
        for start in range(0, len(order), size):
            positions = order[start : start + size]
            copy[positions] = self._base[self._numbers[positions]]
        return copy


def _checked_keys(keys: Any, address: str) -> Any:
    """Return keys as a NumPy array of integers or text, or as Arrow text."""
    if not isinstance(keys, np.ndarray):
        import pyarrow as pa

        return keys.to_numpy() if pa.types.is_integer(keys.type) else keys
    if keys.ndim != 1 or keys.dtype.kind not in "iuSU":
        raise InputError(
            f"{address}: has keys of shape {keys.shape} and dtype {keys.dtype}, expected (n,) integers or text"
        )
    return keys


def _is_text(keys: Any) -> bool:
    return not isinstance(keys, np.ndarray) or keys.dtype.kind in "SU"


def _example(keys: Any, row: int) -> str:
    """Return a key as it is quoted in messages."""
    value = keys[row]
    value = value.as_py() if hasattr(value, "as_py") else value.item()
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)


def _codes(keys: Any) -> list[np.ndarray]:
    """Return columns of numbers that are equal if the keys are: the integers, or two 64-bit hashes of the text."""
    if not _is_text(keys):
        return [np.ascontiguousarray(keys, dtype=np.int64)]
    codes = [np.empty(len(keys), dtype=np.uint64) for _ in range(2)]
    filled = 0
    for words in _text_words(keys):
        for column, hashes in zip(codes, hash_text(words), strict=True):
            column[filled : filled + len(words)] = hashes
        filled += len(words)
    return codes


def _utf8(text: np.ndarray) -> np.ndarray:
    """Return text (n,) in UTF-8. ASCII takes a fiftieth of the time of `numpy.char.encode`."""
    characters = np.ascontiguousarray(text, dtype=text.dtype.newbyteorder("=")).view(np.uint32)
    if characters.max(initial=0) >= 128:
        return np.asarray(np.char.encode(text, "utf-8"))
    return characters.astype(np.uint8).view(f"S{max(text.dtype.itemsize // 4, 1)}")


def _text_words(keys: Any) -> Iterator[np.ndarray]:
    """Yield text as rows of 64-bit words, padded with zeros, in blocks of about `CHUNK_BYTES`."""
    if isinstance(keys, np.ndarray):
        size = max(CHUNK_BYTES // max(keys.dtype.itemsize, 1), 1)
        for start in range(0, len(keys), size):
            block = keys[start : start + size]
            block = np.ascontiguousarray(_utf8(block) if block.dtype.kind == "U" else block)
            width = -(-block.dtype.itemsize // 8) * 8
            yield block.astype(f"S{width}").view(np.uint64).reshape(len(block), -1)
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    width = -(-max(pc.max(pc.binary_length(keys)).as_py() or 0, 1) // 8) * 8
    size = max(CHUNK_BYTES // width, 1)
    for chunk in keys.chunks:
        for start in range(0, len(chunk), size):
            block = chunk[start : start + size].cast(pa.large_binary())
            _, offsets, utf8_bytes = block.buffers()
            ends = np.frombuffer(offsets, dtype=np.int64)[block.offset : block.offset + len(block) + 1]
            utf8_codes = np.frombuffer(utf8_bytes or b"", dtype=np.uint8)[ends[0] : ends[-1]]
            utf8_codes = np.concatenate([utf8_codes, np.zeros(width, dtype=np.uint8)])
            windows = np.lib.stride_tricks.sliding_window_view(utf8_codes, width)
            rows = windows[ends[:-1] - ends[0]]
            rows[np.arange(width) >= np.diff(ends)[:, None]] = 0
            yield rows.view(np.uint64)
