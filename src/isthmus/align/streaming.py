"""Apply an aligner to embeddings on disk, block by block, in constant memory."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import checks
from isthmus.align._base import Aligner
from isthmus.align._maps import map_tables
from isthmus.arrays import to_numpy
from isthmus.checks import InputError
from isthmus.files import replacing
from isthmus.pairs import find_bad_rows
from isthmus.resources import block_rows, current
from isthmus.sources import Source

#: Name of the tensor in a .safetensors file.
TENSOR = "rows"
_SAFETENSORS_DTYPES = {"float32": "F32", "float64": "F64"}


def apply(
    aligner: Aligner, source: Source, path: str | os.PathLike[str], /, *, side: str, resume: bool = False
) -> tuple[int, int]:
    """Write the aligned rows of `source` to the .npy or .safetensors file `path`, in order; returns its shape.

    `side` is 'x', 'y' or the name of the modality that the aligner was fitted on. The file appears whole or not at
    all. With `resume=True` unfinished work stays beside it as `.NAME.part` and `.NAME.done` when the process dies, and
    the same call carries on after the last block that was finished; work of another aligner, source or side is not
    taken up. Errors: `InputError` for a side, width or output that does not fit, and for rows without a direction.
    """
    path = checks.writable(path)
    if path.suffix not in (".npy", ".safetensors"):
        raise InputError(
            f"{path}: aligned rows are written as .npy or .safetensors; give a name that ends in one of them"
        )
    if _same_file(source.where, path):
        raise InputError(f"{path}: is the file that is being read; choose another output")
    number = side_number(aligner, side)
    cluster = current().cluster
    if cluster is not None:
        written: tuple[int, int] = cluster.apply(aligner, source.where, path, side=number)
        return written
    transform = (aligner.transform_x, aligner.transform_y)[number]
    rows, size = source.shape[0], block_rows(source.shape[1])
    try:
        first = to_numpy(transform(to_numpy(source.read(0, min(size, rows)))))
        shape = (rows, first.shape[1])

        def fill(part: Path, start: int, done: Path | None) -> None:
            out = _mapped(part, first.dtype, shape, path.suffix, new=start == 0)
            for begin in range(start, rows, size):
                block = first if begin == 0 else transform(to_numpy(source.read(begin, begin + size)))
                out[begin : begin + size] = block
                if done is not None:
                    out.flush()  # the rows first, the mark afterwards
                    _mark(done, key, min(begin + size, rows))
            out.flush()

        if resume:
            key = _key(aligner, source, number)
            part, done = (path.with_name(f".{path.name}.{ending}") for ending in ("part", "done"))
            fill(part, _finished(part, done, key), done)
            os.replace(part, path)
            done.unlink(missing_ok=True)
        else:
            with replacing(path) as part:
                fill(part, 0, None)
    except InputError:
        non_finite, zero = find_bad_rows(source)
        if len(non_finite) or len(zero):
            raise checks.bad_rows(source.where, non_finite, zero) from None
        raise
    return shape


def side_number(aligner: Aligner, side: str) -> int:
    """0 for the first modality, 1 for the second."""
    known = {"x": 0, "y": 1}
    if aligner.names_ is not None:
        known.update({name: number for number, name in enumerate(aligner.names_)})
    if side not in known:
        names = (
            f"this aligner was fitted on {' and '.join(aligner.names_)}" if aligner.names_ else "its sides are x and y"
        )
        raise InputError(f"unknown side {side!r}: {names}")
    return known[side]


def _mapped(part: Path, dtype: np.dtype, shape: tuple[int, int], suffix: str, *, new: bool) -> Any:
    """The rows of the file as a writable memory map."""
    if suffix == ".npy":
        if new:
            return np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        return np.lib.format.open_memmap(part, mode="r+")
    end = int(np.prod(shape)) * dtype.itemsize
    entry = {"dtype": _SAFETENSORS_DTYPES[dtype.name], "shape": list(shape), "data_offsets": [0, end]}
    header = json.dumps({TENSOR: entry}).encode()
    header += b" " * (-len(header) % 8)
    if new:
        with part.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + end)
    return np.memmap(part, dtype=dtype.newbyteorder("<"), mode="r+", offset=8 + len(header), shape=shape)


def _key(aligner: Aligner, source: Source, side: int) -> str:
    """What the unfinished file is the work of."""
    digest = hashlib.sha256(repr((source.where, source.shape, source.dtype, side, aligner.normalize)).encode())
    place = Path(source.where)
    if place.is_file():
        digest.update(repr((place.stat().st_size, place.stat().st_mtime_ns)).encode())
    for name, table in sorted(map_tables(aligner._solved()[side], "x").items()):
        digest.update(name.encode() + np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()


def _mark(done: Path, key: str, rows: int) -> None:
    with replacing(done) as part:
        part.write_text(f"{key} {rows}", encoding="utf-8")


def _finished(part: Path, done: Path, key: str) -> int:
    """The rows of `part` that are finished; 0 when there is none, or it is the work of another call."""
    if not part.exists() or not done.exists():
        return 0
    found, _, rows = done.read_text(encoding="utf-8").partition(" ")
    return int(rows) if found == key else 0


def _same_file(where: str, path: Path) -> bool:
    return path.exists() and Path(where).is_file() and path.samefile(where)
