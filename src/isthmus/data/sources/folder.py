"""A folder of shards in natural order (clip-retrieval's `img_emb/img_emb_0.npy` ...), or one saved by `datasets`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from isthmus.data.sources import _tables, npy
from isthmus.data.sources._base import Chain, Put, Source, Streamed, Writer, joined_keys
from isthmus.data.sources._places import Place
from isthmus.utils.errors import InputError

#: What `datasets` writes beside the shards of a saved data set, and into the folder of several splits.
STATE, SPLITS = "state.json", "dataset_dict.json"
CARRIES_ON = True
#: Rows of a shard when the source has none.
SHARD_ROWS = 1_000_000


def natural(path: Place) -> list[object]:
    """A sort key under which shard 2 comes before shard 10.

    >>> [p.name for p in sorted(map(Path, ["e_10.npy", "e_2.npy", "e_0.npy"]), key=natural)]
    ['e_0.npy', 'e_2.npy', 'e_10.npy']
    """
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def shards(place: Place, formats: tuple[ModuleType, ...]) -> tuple[ModuleType, list[Place]]:
    """The shards of the folder in order, and the module that reads them."""
    files = sorted((p for p in place.iterdir() if not p.name.startswith(".")), key=natural)
    named = {p.name: p for p in files}
    if STATE in named:
        return _arrow(formats), [named[name] for name in _saved(named[STATE], named)]
    found = {m: [p for p in files if p.suffix.lower() in m.SUFFIXES and not p.is_dir()] for m in formats}
    kinds = [module for module, some in found.items() if some]
    if len(kinds) == 1:
        return kinds[0], found[kinds[0]]
    if kinds:
        names = ", ".join(kind.SUFFIXES[0] for kind in kinds)
        raise InputError(f"{place}: holds shards of several formats ({names}); give a folder of one of them")
    inner = [p.name for p in files if isinstance(p, Path) and p.is_dir() and any(p.glob("*.*"))]
    if SPLITS in named and inner:
        raise InputError(
            f"{place}: holds the splits {', '.join(inner)} of a data set; give one, such as {place}/{inner[0]}"
        )
    hint = f"; it holds the folders {', '.join(inner)}: give one of them for each side" if inner else ""
    raise InputError(f"{place}: holds no shard of embeddings (.npy, .parquet, .tar ...){hint}")


def open_source(place: Place, member: str | None, formats: tuple[ModuleType, ...]) -> Source:
    """The rows of all shards of the folder `place`, one after the other."""
    module, files = shards(place, formats)
    parts: list[Source] = [module.open_source(file, member, min_rows=0) for file in files]
    filled = [(file, part) for file, part in zip(files, parts, strict=True) if part.shape[0]]
    for file, part in filled:
        if part.shape[1] != filled[0][1].shape[1]:
            raise InputError(
                f"{file}: has width {part.shape[1]}, but {filled[0][0].name} has {filled[0][1].shape[1]}; all "
                "shards of a folder must come from one model"
            )
        if part.convert is not parts[0].convert:
            raise InputError(f"{file}: holds {part.dtype}, but {files[0].name} holds {parts[0].dtype}; convert one")

    def keys(name: str) -> Any:
        if parts[0].has_keys:
            return joined_keys([part.keys(name) for part in parts])
        return _metadata(place, name, [part.shape[0] for part in parts], formats)

    kind = parts[0].format
    return Source(
        Chain([part.rows for part in parts]),
        where=str(place) if member is None else f"{place}::{member}",
        format=f"folder of {len(files)} {kind} shard{'s' if len(files) > 1 else ''}",
        dtype=parts[0].dtype if parts[0].convert else None,
        convert=parts[0].convert,
        place=place,
        member=parts[0].member,
        keys=keys,
    )


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes shards into the folder `path`: those of the source by name and number of rows, and by format; without
    shards in the source, .npy files of a million rows."""
    if source.format.startswith("folder of") and " npy shard" not in source.format:
        if start:
            raise InputError(f"{path}: unfinished {source.format} cannot be carried on, and was removed; begin again")
        return Streamed(_begun(path, shape, dtype, source))
    return _Shards(path, _layout(source, shape[0]), shape[1], dtype, start)


def _layout(source: Source, rows: int) -> list[tuple[str, int]]:
    """Name and number of rows of every shard of .npy."""
    if source.format.startswith("folder of"):
        parts = zip(shards(source.place, (npy,))[1], source.rows.parts, strict=True)
        return [(file.name, part.shape[0]) for file, part in parts]
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


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source) -> Iterator[Put]:
    """Shards of other formats, with what else is in them."""
    from isthmus.data.sources import FORMATS

    part.mkdir(exist_ok=True)
    module, files = shards(like.place, FORMATS)
    parts = [module.open_source(file, like.member, min_rows=0) for file in files]
    ends = np.cumsum([part.shape[0] for part in parts])
    for beside in like.place.iterdir():  # what `datasets` notes of a saved data set
        if beside.suffix == ".json":
            text = beside.read_text(encoding="utf-8")
            new = _tables.described(text, str(like.member), dtype, shape[1])
            (part / beside.name).write_text(new, encoding="utf-8")
    with ExitStack() as stack:
        number = -1
        shard: Any = None

        def next_shard() -> None:
            nonlocal number, shard
            stack.close()
            number += 1
            rows = (parts[number].shape[0], shape[1])
            target = part / files[number].name
            shard = stack.enter_context(closing(module.writer(target, rows, dtype, source=parts[number])))

        def put(start: int, block: np.ndarray) -> None:
            while len(block):
                while number < 0 or start >= ends[number]:
                    next_shard()
                size = min(len(block), int(ends[number]) - start)
                shard.write(block[:size])
                start, block = start + size, block[size:]

        yield put
        while number + 1 < len(parts):  # shards without rows
            next_shard()


def _saved(state: Place, named: dict[str, Place]) -> list[str]:
    """The names of the shards that `datasets` noted."""
    try:
        with state.open("rb") as file:
            names = [str(entry["filename"]) for entry in json.load(file)["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{state}: does not list the shards of a saved data set ({error}); save it again") from None
    missing = [name for name in names if name not in named]
    if missing or not names:
        raise InputError(f"{state}: lists {', '.join(missing) or 'no shard'}, which the folder does not hold")
    return names


def _arrow(formats: tuple[ModuleType, ...]) -> ModuleType:
    return next(module for module in formats if ".arrow" in module.SUFFIXES)


def _metadata(place: Place, name: str, sizes: list[int], formats: tuple[ModuleType, ...]) -> Any:
    """Keys beside clip-retrieval's folders of embeddings: `metadata/metadata_0.parquet`, one for each shard."""
    beside = place.parent / "metadata" if isinstance(place, Path) else None
    if beside is None or not beside.is_dir():
        raise InputError(
            f"{place}: .npy shards hold no keys and there is no folder {beside or 'metadata'} beside them; give a "
            f"file of keys instead of {name!r}, such as --key image_ids.npy,text_ids.npy"
        )
    from isthmus.data.sources import parquet

    files = sorted(beside.glob("*.parquet"), key=natural)
    found = [parquet.key_column(file, name) for file in files]
    counts = [len(keys) for keys in found]
    if counts != sizes:
        index = beside.parent / "index.npy"
        advice = f"pair with --index {index} instead of a key" if index.is_file() else "both must be written by one run"
        raise InputError(
            f"{beside}: its {len(counts)} shards hold {sum(counts):,} rows, but those of {place} hold {sum(sizes):,}; "
            f"{advice}"
        )
    return joined_keys(found)
