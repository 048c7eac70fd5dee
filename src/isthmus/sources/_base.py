"""What a source is: rows of one modality that can be read in blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import arrays, checks


class Source:
    """Embeddings of one modality, `shape` (n, d), read in blocks of rows.

    `rows` is anything that gives rows for a slice or for row numbers: a memory-mapped array, an array of any array
    library, a chain of shards. `convert` turns what was read into floats (bfloat16 files need it).
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
    ):
        self.rows = rows
        self.where = where
        self.format = format
        self.convert = convert
        checks.matrix(rows.shape, where)
        self.shape: tuple[int, int] = (int(rows.shape[0]), int(rows.shape[1]))
        self.dtype = dtype or str(rows.dtype)

    @property
    def is_numpy(self) -> bool:
        """Whether what is read are NumPy arrays."""
        return not arrays.is_foreign(self.rows)

    def read(self, start: int, stop: int) -> Any:
        """Rows start .. stop - 1, as they lie (dtype and byte order of the file)."""
        block = self.rows[start : min(stop, self.shape[0]), ...]
        return self.convert(block) if self.convert else block

    def take(self, rows: np.ndarray) -> Any:
        """The rows with these numbers, in this order."""
        block = arrays.take(self.rows, rows)
        return self.convert(block) if self.convert else block

    def __repr__(self) -> str:
        return f"Source({self.where}, {self.format}, {self.shape[0]} x {self.shape[1]} {self.dtype})"


class Chain:
    """Several row-arrays of one width, one after the other, as if they were one."""

    def __init__(self, parts: list[Any]):
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self.ends[-1]), parts[0].shape[1])
        self.dtype = np.result_type(*(part.dtype.newbyteorder("=") for part in parts))

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):  # rows[start:stop, ...]
            start, stop, _ = key[0].indices(self.shape[0])
            first, last = np.searchsorted(self.ends, [start, max(stop - 1, start)], side="right")
            begin = 0 if first == 0 else int(self.ends[first - 1])
            if first == last:  # inside one shard: no copy
                return self.parts[first][start - begin : stop - begin]
            key = np.arange(start, stop)
        key = np.asarray(key)
        out = np.empty((len(key), self.shape[1]), dtype=self.dtype)
        shard = np.searchsorted(self.ends, key, side="right")
        for number in np.unique(shard):
            mine = shard == number
            begin = 0 if number == 0 else self.ends[number - 1]
            out[mine] = self.parts[number][key[mine] - begin]
        return out


def modality_name(path: Path) -> str:
    """The modality that a path speaks of: `image.npy` -> image, `img_emb/` -> image, `text_emb/` -> text.

    >>> [modality_name(Path(p)) for p in ("x/image.npy", "img_emb/", "text_embeddings.npz", "audio.safetensors")]
    ['image', 'image', 'text', 'audio']
    """
    stem = path.name if path.is_dir() else path.stem
    for ending in ("_embeddings", "_embedding", "_embeds", "_embed", "_embs", "_emb", "_features"):
        stem = stem.removesuffix(ending)
    return {"img": "image", "images": "image", "txt": "text", "texts": "text", "captions": "text"}.get(stem, stem)
