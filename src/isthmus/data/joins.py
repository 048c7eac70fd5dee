"""Pairing by keys: which row of one file belongs to which row of the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.data.sources import Source, parquet, split_member
from isthmus.utils.errors import InputError
from isthmus.utils.files import temporary_rows

#: Bytes of text that are turned into numbers at once.
CHUNK = 2**24


@dataclass(frozen=True)
class KeyJoin:
    """Rows of two files that share a key: row `y[j]` of the second belongs to row `x[index[j]]` of the first (`index`
    None: to `x[j]`). `x` ascends, so the first file is read from front to back. `sizes` are the rows of the files."""

    key: str
    x: np.ndarray
    y: np.ndarray
    index: np.ndarray | None
    sizes: tuple[int, int]

    @property
    def unmatched(self) -> tuple[int, int]:
        """Rows of either file whose key the other one has not."""
        return self.sizes[0] - len(self.x), self.sizes[1] - len(self.y)

    def summary(self, names: tuple[str, str]) -> str:
        """What was paired and what was left out."""
        left = " and ".join(
            f"{count:,} of {size:,} rows of {name}"
            for count, size, name in zip(self.unmatched, self.sizes, names, strict=True)
        )
        return f"paired by {self.key}: {len(self.y):,} pairs of {len(self.x):,} items; without a partner: {left}"


def join_keys(x: Any, y: Any, /, *, key: str, where: tuple[str, str]) -> KeyJoin:
    """Match the keys of two sides, (n_x,) and (n_y,): integers or text, in NumPy or Arrow arrays.

    The keys of x differ from each other; a key may stand in several rows of y. Errors: `InputError` when a key of x
    repeats, the kinds of the keys differ, or no key is shared. Memory: 16 bytes a key and side besides the keys.
    """
    x, y = (_plain(keys, w) for keys, w in zip((x, y), where, strict=True))
    if _is_text(x) != _is_text(y):
        raise InputError(
            f"{where[0]} has keys such as {_shown(x, 0)} and {where[1]} such as {_shown(y, 0)}: text and integers are "
            "never alike; write both in one way"
        )
    if "uint64" in (getattr(x, "dtype", ""), getattr(y, "dtype", "")) and x.dtype != y.dtype:
        for keys, w in ((x, where[0]), (y, where[1])):
            if keys.dtype == np.uint64 and int(keys.max()) >= 2**63:
                raise InputError(f"{w}: has keys of 2^63 and more, the other side signed integers; use one dtype")
    code_x, code_y = _codes(x), _codes(y)
    order = np.lexsort(code_x[::-1])
    ordered = [part[order] for part in code_x]
    again = np.flatnonzero(np.all([part[1:] == part[:-1] for part in ordered], axis=0))
    if len(again):
        first, second = sorted(order[again[0] : again[0] + 2])
        raise InputError(
            f"{where[0]}: the key {_shown(x, first)} stands in rows {first:,} and {second:,} (counted from 0), "
            "expected one row for each item of the first side; give the side with several rows for an item second"
        )
    place = np.minimum(np.searchsorted(ordered[0], code_y[0]), len(order) - 1)
    if len(code_x) > 1 and np.any(
        ordered[0][1:] == ordered[0][:-1]
    ):  # by chance: 3e-8 for a million keys, 3e-4 for 10^8
        raise InputError(f"{where[0]}: its keys cannot be told apart; give integers as keys")
    hit = np.all([a[place] == b for a, b in zip(ordered, code_y, strict=True)], axis=0)
    rows_y = np.flatnonzero(hit)
    if not len(rows_y):
        raise InputError(
            f"no key of {where[0]} is a key of {where[1]}: the first have keys such as {_shown(x, 0)}, the others "
            f"such as {_shown(y, 0)}"
        )
    owner = order[place[rows_y]]
    by_owner = np.argsort(owner, kind="stable")
    rows_x, index = np.unique(owner[by_owner], return_inverse=True)
    alone = len(rows_x) == len(rows_y)
    return KeyJoin(key, rows_x, rows_y[by_owner], None if alone else index, (len(x), len(y)))


def read_keys(source: Source, key: Any) -> tuple[Any, str]:
    """The keys of `source` and where they come from: a column, a file of keys (`.npy`, `FILE.parquet::COLUMN`), or an
    array."""
    if not isinstance(key, (str, os.PathLike)):
        found, where = np.asarray(key), f"the keys of {source.where}"
    else:
        file, column = split_member(key)
        where = str(key)
        if Path(file).is_file():
            found = _file(Path(file), column)
        else:
            found, where = source.keys(str(key)), f"{source.location}::{key}"
    if len(found) != source.shape[0]:
        raise InputError(f"{where}: holds {len(found):,} keys, expected one for each of {source.shape[0]:,} rows")
    return found, where


def select_rows(source: Source, rows: np.ndarray) -> Source:
    """The rows of `source` with these numbers, as a source; `source` itself when they are all of them in order."""
    if len(rows) == source.shape[0] and np.array_equal(rows, np.arange(len(rows))):
        return source
    return Source(
        RowSubset(source, rows),
        where=source.where,
        format=source.format,
        dtype=source.dtype,
        convert=source.convert,
        location=source.location,
        member=source.member,
        numbers=rows,
    )


class RowSubset:
    """Some rows of a source, in any order.

    Where single rows are dear (they are unpacked from the front), and the order is not that of the file, the rows are
    put in order once, in a temporary file, in one pass.
    """

    def __init__(self, source: Source, numbers: np.ndarray):
        self._base, self._numbers = source.rows, numbers
        self.shape = (len(numbers), source.shape[1])
        self.dtype = source.rows.dtype
        self._ordered = source.random_access or bool(np.all(numbers[1:] > numbers[:-1]))
        self.random_access = source.random_access or not self._ordered

    def __getitem__(self, key: Any) -> Any:
        key = key[0] if isinstance(key, tuple) else key
        if not self._ordered:
            return self._sorted[key]
        rows = self._numbers[key]
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and np.all(rows[1:] > rows[:-1]):
            return self._base[int(rows[0]) : int(rows[-1]) + 1, ...]
        return arrays.take(self._base, rows)

    @cached_property
    def _sorted(self) -> np.ndarray:
        out = temporary_rows(None, np.dtype(self.dtype), self.shape)
        order = np.argsort(self._numbers)
        size = max(CHUNK // (self.shape[1] * out.dtype.itemsize), 1)
        for start in range(0, len(order), size):
            places = order[start : start + size]
            out[places] = self._base[self._numbers[places]]
        return out


def _file(path: Path, column: str | None) -> Any:
    if path.suffix.lower() in parquet.Parquet.suffixes:
        if column is None:
            raise InputError(f"{path}: say which column holds the keys, as {path}::COLUMN")
        return parquet.read_keys(path, column)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise InputError(
            f"{path}: is no file of keys; expected integers or text saved with numpy.save, or FILE.parquet::COLUMN"
        ) from None


def _plain(keys: Any, where: str) -> Any:
    """Keys as a NumPy array of integers or text, or as Arrow text."""
    if not isinstance(keys, np.ndarray):
        import pyarrow as pa

        return keys.to_numpy() if pa.types.is_integer(keys.type) else keys
    if keys.ndim != 1 or keys.dtype.kind not in "iuSU":
        raise InputError(
            f"{where}: has keys of shape {keys.shape} and dtype {keys.dtype}, expected (n,) integers or text"
        )
    return keys


def _is_text(keys: Any) -> bool:
    return not isinstance(keys, np.ndarray) or keys.dtype.kind in "SU"


def _shown(keys: Any, row: int) -> str:
    value = keys[row]
    value = value.as_py() if hasattr(value, "as_py") else value.item()
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)


def _codes(keys: Any) -> list[np.ndarray]:
    """Numbers that are equal where keys are: integers as they are, text as 128 bits in two parts."""
    if not _is_text(keys):
        return [np.ascontiguousarray(keys, dtype=np.int64)]
    parts = [np.empty(len(keys), dtype=np.uint64) for _ in range(2)]
    done = 0
    for words in _words(keys):
        for seed, part in enumerate(parts):
            part[done : done + len(words)] = _mixed(words, seed)
        done += len(words)
    return parts


def _mixed(words: np.ndarray, seed: int) -> np.ndarray:
    """A 64-bit number for each row of `words` (n, k): a sum over its words, each scrambled with its place in the row.
    Words that are zero count for nothing, so that padding changes nothing."""
    total = np.zeros(len(words), dtype=np.uint64)
    salts: Any = np.random.default_rng(seed).integers(1, 2**64, size=words.shape[1], dtype=np.uint64)
    for number, salt in enumerate(salts):
        column = words[:, number]
        mixed = column ^ salt
        for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53), (33, 1)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        total += np.where(column == 0, np.uint64(0), mixed)
    return total


def _words(keys: Any) -> Iterator[np.ndarray]:
    """Text as rows of 64-bit words, padded with zeros, in pieces of about `CHUNK` bytes."""
    if isinstance(keys, np.ndarray):
        longest = max(keys.dtype.itemsize, 1)
        for start in range(0, len(keys), max(CHUNK // longest, 1)):
            part = keys[start : start + max(CHUNK // longest, 1)]
            part = np.ascontiguousarray(np.char.encode(part, "utf-8") if part.dtype.kind == "U" else part)
            width = -(-part.dtype.itemsize // 8) * 8
            yield part.astype(f"S{width}").view(np.uint64).reshape(len(part), -1)
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    width = -(-max(pc.max(pc.binary_length(keys)).as_py() or 0, 1) // 8) * 8
    for chunk in keys.chunks:
        for start in range(0, len(chunk), max(CHUNK // width, 1)):
            part = chunk[start : start + max(CHUNK // width, 1)].cast(pa.large_binary())
            _, offsets, data = part.buffers()
            ends = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
            text = np.frombuffer(data or b"", dtype=np.uint8)[ends[0] : ends[-1]]
            text = np.concatenate([text, np.zeros(width, dtype=np.uint8)])
            windows = np.lib.stride_tricks.sliding_window_view(text, width)
            rows = windows[ends[:-1] - ends[0]]
            rows[np.arange(width) >= np.diff(ends)[:, None]] = 0
            yield rows.view(np.uint64)
