"""What a source is: rows of one modality that can be read in blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from isthmus.compute import arrays
from isthmus.utils import validation
from isthmus.utils.errors import InputError

#: Puts a block of rows into a file, the first of them at the row of this number.
Put = Callable[[int, np.ndarray], None]


class Source:
    """Embeddings of one modality, `shape` (n, d), read in blocks of rows.

    `rows` is anything that gives rows for a slice or for row numbers: a memory-mapped array, an array of any array
    library, a chain of shards. `convert` turns what was read into floats (bfloat16 files need it). `place` and
    `member` say which array of which file this is; `keys` gives the column of keys of that name, one key a row.
    `numbers` are those of the rows in the file when they are some of them; `min_rows` is the fewest there may be.
    """

    def __init__(
        self,
        rows: Any,
        /,
        *,
        where: str,
        format: str = "array",
        dtype: str | None = None,
        convert: Callable[[np.ndarray], np.ndarray] | None = None,
        place: Any = None,
        member: str | None = None,
        keys: Callable[[str], Any] | None = None,
        numbers: np.ndarray | None = None,
        min_rows: int = 2,
    ):
        self.rows = rows
        self.where = where
        self.format = format
        self.convert = convert
        self.place = place
        self.member = member
        self._keys = keys
        self._numbers = numbers
        validation.check_matrix_shape(rows.shape, where, min_rows=min_rows)
        self.shape: tuple[int, int] = (int(rows.shape[0]), int(rows.shape[1]))
        self.dtype = dtype or str(rows.dtype)

    @property
    def is_numpy(self) -> bool:
        """Whether what is read are NumPy arrays."""
        return not arrays.is_non_numpy(self.rows)

    @property
    def random_access(self) -> bool:
        """Whether rows far apart are cheap to read one by one; where not, they must be unpacked from the start."""
        return bool(getattr(self.rows, "random_access", True))

    def read(self, start: int, stop: int) -> Any:
        """Rows start .. stop - 1, as they lie (dtype and byte order of the file)."""
        block = self.rows[start : min(stop, self.shape[0]), ...]
        return self.convert(block) if self.convert else block

    def take(self, rows: np.ndarray) -> Any:
        """The rows with these numbers, in this order."""
        block = arrays.take(self.rows, rows)
        return self.convert(block) if self.convert else block

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """The numbers that these rows have in the file."""
        return rows if self._numbers is None else self._numbers[rows]

    @property
    def has_keys(self) -> bool:
        """Whether the format has columns that may be keys."""
        return self._keys is not None

    def keys(self, name: str) -> Any:
        """The keys in the column `name`, one for each row: a NumPy array or an Arrow one.

        Errors: `InputError` where the format has no columns, the column is missing or has nulls.
        """
        if self._keys is None:
            raise InputError(
                f"{self.where}: {self.format} holds no column of keys; give a file of keys instead of {name!r}, one "
                "key a row, such as --key image_ids.npy,text_ids.npy"
            )
        return self._keys(name)

    def __repr__(self) -> str:
        return f"Source({self.where}, {self.format}, {self.shape[0]} x {self.shape[1]} {self.dtype})"


class Chain:
    """Several row-arrays of one width, one after the other, as if they were one."""

    def __init__(self, parts: Sequence[Any]):
        self.parts = parts
        self.ends = np.cumsum([part.shape[0] for part in parts])
        self.shape = (int(self.ends[-1]), max(part.shape[1] for part in parts if part.shape[0] or part is parts[0]))
        self.dtype = np.result_type(*{part.dtype.newbyteorder("=") for part in parts})
        self.random_access = all(getattr(part, "random_access", True) for part in parts)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):  # rows[start:stop, ...]
            start, stop, _ = key[0].indices(self.shape[0])
            first, last = np.searchsorted(self.ends, [start, max(stop - 1, start)], side="right")
            blocks = []
            for number in range(first, last + 1):
                begin = 0 if number == 0 else int(self.ends[number - 1])
                part = self.parts[number]
                if part.shape[0]:
                    blocks.append(part[max(start - begin, 0) : min(stop - begin, part.shape[0]), ...])
            return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, dtype=self.dtype)
        key = np.asarray(key)
        out = np.empty((len(key), self.shape[1]), dtype=self.dtype)
        shard = np.searchsorted(self.ends, key, side="right")
        for number in np.unique(shard):
            mine = shard == number
            begin = 0 if number == 0 else self.ends[number - 1]
            out[mine] = self.parts[number][key[mine] - begin]
        return out


class Writer(Protocol):
    """Takes rows (m, d) block after block, in order, and leaves a whole file behind.

    A format that can be written has in its module `writer(path, shape, dtype, *, start, source) -> Writer`: `path` is
    a name to write to, `source` what the rows are made from, `start` the number of rows that an earlier writer left
    there on disk, not 0 only where the module says `CARRIES_ON = True`.
    """

    def write(self, rows: np.ndarray) -> None: ...

    def flush(self) -> None:
        """Return when the rows so far are on disk."""

    def close(self) -> None:
        """Finish the file."""


class RowFile:
    """The `Writer` of a format that is a header with the rows after it, as they lie in memory."""

    def __init__(self, path: Path, header: bytes, shape: tuple[int, int], dtype: np.dtype, start: int):
        self.dtype = dtype.newbyteorder("<")
        self.file = path.open("r+b" if start else "wb")
        if not start:
            self.file.write(header)
        self.file.seek(len(header) + start * shape[1] * dtype.itemsize)
        self.file.truncate()

    def write(self, rows: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(rows, dtype=self.dtype).data)

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


class Streamed:
    """The `Writer` of a format whose files are written from the front to the end: what `begun` gives takes the blocks,
    and its end finishes the file."""

    def __init__(self, begun: AbstractContextManager[Put]):
        self._stack = ExitStack()
        self._put = self._stack.enter_context(begun)
        self._at = 0

    def write(self, rows: np.ndarray) -> None:
        self._put(self._at, rows)
        self._at += len(rows)

    def flush(self) -> None:
        """Nothing on disk is of use before the file is whole."""

    def close(self) -> None:
        self._stack.close()


def alike(source: Source, format: str) -> Source | None:
    """`source` when its file is of this format, so that a writer can keep what else is in it."""
    return source if source.format == format else None


def joined_keys(parts: Sequence[Any]) -> Any:
    """The keys of several shards, one after the other."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import pyarrow as pa

    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)


def bfloat16(bits: np.ndarray) -> np.ndarray:
    """The float32 numbers whose bfloat16 `bits` (uint16) these are: a bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def modality_name(path: Path) -> str:
    """The modality that a path speaks of: `image.npy` -> image, `img_emb/` -> image, `text_emb/` -> text.

    >>> [modality_name(Path(p)) for p in ("x/image.npy", "img_emb/", "text_embeddings.npz", "audio.safetensors")]
    ['image', 'image', 'text', 'audio']
    """
    stem = path.name if path.is_dir() else path.stem
    for ending in ("_embeddings", "_embedding", "_embeds", "_embed", "_embs", "_emb", "_features"):
        stem = stem.removesuffix(ending)
    return {"img": "image", "images": "image", "txt": "text", "texts": "text", "captions": "text"}.get(stem, stem)
