"""A folder of .npy shards as clip-retrieval lays them out: `img_emb/img_emb_0.npy`, ... in natural order."""

from __future__ import annotations

import re
from pathlib import Path

from isthmus.checks import InputError
from isthmus.sources import npy
from isthmus.sources._base import Chain, Source


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
