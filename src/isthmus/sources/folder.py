"""A folder of .npy shards as clip-retrieval lays them out: `img_emb/img_emb_0.npy`, ... in natural order."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from isthmus.checks import InputError
from isthmus.sources import npy
from isthmus.sources._base import Chain, Source, Writer

CARRIES_ON = True
#: Rows of a shard when the source has none.
SHARD_ROWS = 1_000_000


def natural(path: Path) -> list[object]:
    """A sort key under which shard 2 comes before shard 10.

    >>> [p.name for p in sorted(map(Path, ["e_10.npy", "e_2.npy", "e_0.npy"]), key=natural)]
    ['e_0.npy', 'e_2.npy', 'e_10.npy']
    """
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def open_source(path: Path, member: str | None) -> Source:
    """The rows of all .npy files of the folder `path`, one shard after the other."""
    if member is not None:
        raise InputError(f"{path}::{member}: a folder of shards holds one array; leave out '::{member}'")
    shards = sorted(path.glob("*.npy"), key=natural)
    if not shards:
        inner = [p.name for p in sorted(path.iterdir()) if p.is_dir() and any(p.glob("*.npy"))]
        hint = f"; it holds the folders {', '.join(inner)}: give one of them for each side" if inner else ""
        raise InputError(f"{path}: holds no .npy shard{hint}")
    parts = [npy.mapped(shard, where=str(shard), least=1) for shard in shards]  # the last may be left with one
    for shard, part in zip(shards, parts, strict=True):
        if part.shape[1] != parts[0].shape[1]:
            raise InputError(
                f"{shard}: has width {part.shape[1]}, but {shards[0].name} has {parts[0].shape[1]}; all "
                "shards of a folder must come from one model"
            )
    return Source(Chain(parts), where=str(path), format=f"folder of {len(shards)} npy shards")


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes shards into the folder `path`: those of the source by name and number of rows, else of a million rows."""
    return _Shards(path, _layout(source, shape[0]), shape[1], dtype, start)


def _layout(source: Source, rows: int) -> list[tuple[str, int]]:
    """Name and number of rows of every shard."""
    if isinstance(source.rows, Chain):
        names = [shard.name for shard in sorted(Path(source.where).glob("*.npy"), key=natural)]
        return list(zip(names, map(len, source.rows.parts), strict=True))
    begins = range(0, rows, SHARD_ROWS)
    return [(f"rows_{number}.npy", min(SHARD_ROWS, rows - begin)) for number, begin in enumerate(begins)]


class _Shards:
    """Rows spread over shards; one is open at a time."""

    def __init__(self, path: Path, layout: list[tuple[str, int]], width: int, dtype: np.dtype, start: int):
        self.path, self.layout, self.width, self.dtype = path, layout, width, dtype
        path.mkdir(exist_ok=True)
        self.ends = np.cumsum([count for _, count in layout])
        self.at = start
        self.shard: Writer | None = None
        if start < self.ends[-1]:
            self._open()

    def _open(self) -> None:
        """The shard that the next row belongs to."""
        number = int(np.searchsorted(self.ends, self.at, side="right"))
        name, count = self.layout[number]
        begin = int(self.ends[number]) - count
        shape = (count, self.width)
        self.shard = npy.writer(self.path / name, shape, self.dtype, start=self.at - begin, source=None)  # type: ignore[arg-type]
        self.room = begin + count - self.at

    def write(self, rows: np.ndarray) -> None:
        while len(rows):
            assert self.shard is not None
            part, rows = rows[: self.room], rows[self.room :]
            self.shard.write(part)
            self.at, self.room = self.at + len(part), self.room - len(part)
            if not self.room:
                self.shard.flush()
                self.shard.close()
                self.shard = None
                if self.at < self.ends[-1]:
                    self._open()

    def flush(self) -> None:
        if self.shard is not None:
            self.shard.flush()

    def close(self) -> None:
        if self.shard is not None:
            self.shard.close()
