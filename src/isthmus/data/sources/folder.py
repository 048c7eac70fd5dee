"""Folders of shards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from isthmus.data.sources import parquet
from isthmus.data.sources._folder_names import check_one_modality, warn_of_kinds_of_names
from isthmus.data.sources._foreign import PICKLES, check_embeddings_folder, check_shard
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location, RemotePath
from isthmus.data.sources._members import SeveralArraysError, listed
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._registry import formats, register
from isthmus.data.sources._reopened import ReopenedRows, max_open
from isthmus.data.sources._source import ConcatRows, Source, concat_keys
from isthmus.data.sources._table_rewriter import update_features
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Files that `datasets` writes beside the shards of a saved data set, and into the folder of several splits.
STATE, SPLITS = "state.json", "dataset_dict.json"
#: Advice for a file that does not fit to the others.
NO_SHARD = "; if it is no shard, move it out of the folder"
#: Rows of a shard if the source has no shards.
SHARD_ROWS = 1_000_000


@register
class Folder(Format):
    """Shards in natural order (clip-retrieval's `img_emb/img_emb_0.npy` ...), or a data set saved by `datasets`."""

    name = "folder"
    suffixes = ()
    supports_resume = True
    reads_urls = True

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the rows of all shards of the folder, concatenated."""
        shard_format, files = find_shards(location, _shard_formats(location))
        check_one_modality(location, [file.name for file in files])
        shards = [_open_shard(shard_format, location, file, member, len(files)) for file in files]
        _check_equal_shards(files, shards)

        is_file_a_row = shard_format.name != "webdataset" and all(shard.shape[0] == 1 for shard in shards)
        warn_of_kinds_of_names(location, [file.name for file in files], [shard.shape[0] for shard in shards])

        def keys(name: str) -> Any:
            if name == "__key__" and is_file_a_row:
                return np.array([file.name.partition(".")[0] for file in files])
            if shards[0].has_keys:
                return concat_keys([shard.keys(name) for shard in shards], f"{location}::{name}")
            return _metadata_keys(location, name, [shard.shape[0] for shard in shards])

        source = Source(
            ConcatRows([shard.rows for shard in shards], [file.name for file in files]),
            address=str(location) if member is None else f"{location}::{member}",
            format=f"folder of {counted(len(files), f'{shards[0].format} shard')}",
            dtype=shards[0].dtype if shards[0].convert else None,
            convert=shards[0].convert,
            location=location,
            member=shards[0].member,
            keys=keys,
            min_rows=min_rows,
        )
        if any(shard.ragged is not None for shard in shards):
            sizes = [shard.shape[0] for shard in shards]
            source.ragged = RaggedRows.of_shards(source.address, [shard.ragged for shard in shards], sizes)
        return source

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of shards that have the names, sizes and format of those of `source`.

        If `source` has no shards, the shards are .npy files of a million rows.
        """
        if _is_folder(source) and " npy shard" not in source.format:
            if start:
                raise InputError(
                    f"{path}: unfinished {source.format} cannot be continued and was removed; run the command again"
                )
            return SequentialWriter(_open_writer(path, shape, dtype, source))
        return _NpyShardWriter(path, _npy_layout(source, shape[0]), shape[1], dtype, start)


def _open_shard(shard_format: Format, location: Location, file: Location, member: str | None, n_files: int) -> Source:
    """Open a shard. In a folder of many shards its file is closed again until rows are read."""
    try:
        shard = shard_format.open_source(file, member, min_rows=0)
    except SeveralArraysError as error:  # an array of the folder, because one of the file has the rows of one shard
        members = [address.removeprefix(str(file)) for address in error.addresses]
        raise SeveralArraysError(error.holds, [f"{location}{name}" for name in members]) from None
    except InputError as error:
        check_shard(file, may_be_pickle=shard_format.name == "torch")
        raise error if n_files == 1 else InputError(f"{error}{NO_SHARD}") from None
    if n_files > max_open():
        shard.rows = ReopenedRows(shard.rows, _reopening(shard_format, file, member, shard.rows))
    return shard


def _reopening(shard_format: Format, file: Location, member: str | None, rows: Any) -> Callable[[], Any]:
    """Return a function that opens the rows of a shard again. The header of an .npy file is not parsed again."""
    if shard_format.name == "npy" and isinstance(rows, np.memmap) and rows.ndim == 2:
        order: Any = "C" if rows.flags.c_contiguous else "F"
        path: Any = file
        shape, dtype, offset = rows.shape, rows.dtype, rows.offset
        return lambda: np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)

    record = getattr(rows, "ragged", None)  # not the rows, which hold the file open

    def reopen() -> Any:
        reopened = shard_format.open_source(file, member, min_rows=0).rows
        if record is not None:
            reopened.ragged = record
        return reopened

    return reopen


def natural_key(path: Location) -> list[object]:
    """Return a sort key under which shard 2 comes before shard 10.

    >>> [p.name for p in sorted(map(Path, ["e_10.npy", "e_2.npy", "e_0.npy"]), key=natural_key)]
    ['e_0.npy', 'e_2.npy', 'e_10.npy']
    """
    return [int(token) if token.isdecimal() else token for token in re.split(r"(\d+)", path.name)]


def find_shards(location: Location, candidates: Sequence[Format]) -> tuple[Format, list[Location]]:
    """Return the format of the shards in a folder, one of `candidates`, and the shards in order."""
    files: list[Location] = sorted((f for f in location.iterdir() if not f.name.startswith(".")), key=natural_key)
    by_name = {file.name: file for file in files}
    check_embeddings_folder(location, [file.name for file in location.iterdir()])
    if STATE in by_name:
        return formats["arrow"], [by_name[name] for name in _saved_shards(by_name[STATE], by_name)]
    shards = {
        candidate: [f for f in files if f.suffix.lower() in candidate.suffixes and not f.is_dir()]
        for candidate in candidates
    }
    present = [candidate for candidate, matching_files in shards.items() if matching_files]
    if len(present) == 1:
        return present[0], shards[present[0]]
    if present:
        names = ", ".join(sorted(candidate.suffixes[0] for candidate in present))
        raise InputError(f"{location}: holds shards of several formats ({names}); give a folder of one of them")
    inner = [f.name for f in files if isinstance(f, Path) and f.is_dir() and any(f.glob("*.*"))]
    if SPLITS in by_name and inner:
        raise InputError(
            f"{location}: holds the splits {listed(inner)} of a data set; give one, such as {location}/{inner[0]}"
        )
    if inner:
        hint = f"; it holds the folders {listed(inner)}: give one of them for each modality"
    else:
        hint = _advice_on_files([file.suffix.lower() for file in files if file.suffix])
    raise InputError(f"{location}: holds no shard of embeddings (.npy, .parquet, .tar ...){hint}")


def _advice_on_files(suffixes: list[str]) -> str:
    """Return what to do with a folder of files with these suffixes, none of which is a shard."""
    if not suffixes:
        return ""
    suffix = max(set(suffixes), key=suffixes.count)
    held = f"; it holds {suffixes.count(suffix):,} {suffix} files"
    if any(suffix in text_format.suffixes for text_format in formats.values()):
        return f"{held}, which are no shards: give one of them, or write their rows into one .npy file"
    if suffix in PICKLES:
        return f"{held}: pickles, which are never loaded; save their rows with np.save"
    return held


def _shard_formats(location: Location) -> list[Format]:
    """Return the formats that the shards of a folder may have."""
    remote = isinstance(location, RemotePath)
    return [
        format
        for format in formats.values()
        if format.suffixes and format.is_shard and (format.reads_urls or not remote)
    ]


def _check_equal_shards(files: Sequence[Location], shards: Sequence[Source]) -> None:
    """Raise InputError if the shards with rows differ in width or in the type of their floats."""
    filled = [(file, shard) for file, shard in zip(files, shards, strict=True) if shard.shape[0]]
    n_several = sum(shard.shape[0] > 1 for _, shard in filled)
    for file, shard in filled:
        if shard.shape[1] != filled[0][1].shape[1]:
            raise InputError(
                f"{file}: has width {shard.shape[1]}, but {filled[0][0].name} has {filled[0][1].shape[1]}; all "
                f"shards of a folder must come from one model{NO_SHARD}"
            )
        if shard.is_vector and n_several:
            raise InputError(_odd_shard(filled, n_several))
        if shard.convert is not shards[0].convert:
            raise InputError(f"{file}: holds {shard.dtype}, but {files[0].name} holds {shards[0].dtype}; convert one")


def _odd_shard(filled: Sequence[tuple[Location, Source]], n_several: int) -> str:
    """Return a message about the first shard that is a vector between matrices, or a matrix between vectors."""
    if 2 * n_several < len(filled):
        file, shard = next((file, shard) for file, shard in filled if shard.shape[0] > 1)
        return f"{file}: holds {shard.shape[0]:,} rows, and other shards hold one vector{NO_SHARD}"
    file = next(file for file, shard in filled if shard.is_vector)
    return f"{file}: holds one vector, and other shards hold several{NO_SHARD}"


def _is_folder(source: Source | None) -> TypeGuard[Source]:
    """Return whether `source` is all rows of a folder of shards."""
    return source is not None and source.format.startswith("folder of") and not source.is_subset


def _npy_layout(source: Source | None, n_rows: int) -> list[tuple[str, int]]:
    """Return the name and the number of rows of every .npy shard."""
    if _is_folder(source):
        files = find_shards(source.location, [formats["npy"]])[1]
        return [(file.name, shard.shape[0]) for file, shard in zip(files, source.rows.shards, strict=True)]
    begins = range(0, n_rows, SHARD_ROWS)
    return [(f"rows_{number}.npy", min(SHARD_ROWS, n_rows - begin)) for number, begin in enumerate(begins)]


class _NpyShardWriter(Writer):
    """Writer that spreads rows over .npy shards, one of which is open at a time."""

    def __init__(self, path: Path, layout: list[tuple[str, int]], width: int, dtype: np.dtype, start: int):
        self.path, self.layout, self.width, self.dtype = path, layout, width, dtype
        path.mkdir(exist_ok=True)
        self.ends = np.cumsum([count for _, count in layout])
        self.row = start
        self.shard: Writer | None = None
        if start < self.ends[-1]:
            self._open_shard()

    def _open_shard(self) -> None:
        """Open the shard that the next row belongs to."""
        number = int(np.searchsorted(self.ends, self.row, side="right"))
        name, count = self.layout[number]
        begin = int(self.ends[number]) - count
        self.shard = formats["npy"].writer(self.path / name, (count, self.width), self.dtype, start=self.row - begin)
        self.n_missing = begin + count - self.row

    def write(self, rows: np.ndarray) -> None:
        while len(rows):
            assert self.shard is not None
            block, rows = rows[: self.n_missing], rows[self.n_missing :]
            self.shard.write(block)
            self.row, self.n_missing = self.row + len(block), self.n_missing - len(block)
            if not self.n_missing:
                self.shard.flush()
                self.shard.close()
                self.shard = None
                if self.row < self.ends[-1]:
                    self._open_shard()

    def flush(self) -> None:
        if self.shard is not None:
            self.shard.flush()

    def close(self) -> None:
        if self.shard is not None:
            self.shard.close()


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source) -> Iterator[WriteBlock]:
    """Write shards of any format with everything else in the shards of `template`."""
    path.mkdir(exist_ok=True)
    shard_format, files = find_shards(template.location, _shard_formats(template.location))
    old_shards = [shard_format.open_source(file, template.member, min_rows=0) for file in files]
    ends = np.cumsum([shard.shape[0] for shard in old_shards])
    for file in template.location.iterdir():  # the description of a data set saved by `datasets`
        if file.suffix == ".json":
            text = file.read_text(encoding="utf-8")
            new_text = update_features(text, str(template.member), dtype, shape[1])
            (path / file.name).write_text(new_text, encoding="utf-8")
    with ExitStack() as stack:
        number = -1
        shard: Any = None

        def open_next_shard() -> None:
            nonlocal number, shard
            stack.close()
            number += 1
            shard_shape = (old_shards[number].shape[0], shape[1])
            shard_path = path / files[number].name
            writer = shard_format.writer(shard_path, shard_shape, dtype, source=old_shards[number])
            shard = stack.enter_context(closing(writer))

        def write_block(start: int, block: np.ndarray) -> None:
            while len(block):
                while number < 0 or start >= ends[number]:
                    open_next_shard()
                size = min(len(block), int(ends[number]) - start)
                shard.write(block[:size])
                start, block = start + size, block[size:]

        yield write_block
        while number + 1 < len(old_shards):  # shards without rows
            open_next_shard()


def _saved_shards(state: Location, by_name: dict[str, Location]) -> list[str]:
    """Return the names of the shards that `datasets` lists."""
    try:
        with state.open("rb") as file:
            names = [str(entry["filename"]) for entry in json.load(file)["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{state}: does not list the shards of a saved data set ({error}); save it again") from None
    missing = [name for name in names if name not in by_name]
    if missing or not names:
        raise InputError(f"{state}: lists {listed(missing) or 'no shard'}, which the folder does not hold")
    return names


def _metadata_keys(location: Location, name: str, sizes: list[int]) -> Any:
    """Return keys from clip-retrieval's folder `metadata`, which has one Parquet file for each shard of embeddings."""
    metadata = location.parent / "metadata" if isinstance(location, Path) else None
    if metadata is None or not metadata.is_dir():
        raise InputError(
            f"{location}: .npy shards hold no keys and there is no folder {metadata or 'metadata'} beside them; give a "
            f"file of keys instead of {name!r}, such as --key image_ids.npy,text_ids.npy, or __key__ for the names of "
            "files that hold one row each"
        )
    files = sorted(metadata.glob("*.parquet"), key=natural_key)
    columns = [parquet.read_keys(file, name) for file in files]
    counts = [len(column) for column in columns]
    if counts != sizes:
        index = metadata.parent / "index.npy"
        advice = f"pair with --index {index} instead of a key" if index.is_file() else "both must be written by one run"
        raise InputError(
            f"{metadata}: its {len(counts)} shards hold {sum(counts):,} rows, but those of {location} hold "
            f"{sum(sizes):,}; {advice}"
        )
    return concat_keys(columns, f"{metadata}::{name}")
