"""Apply an aligner to embeddings on disk, block by block, in constant memory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from isthmus import checks
from isthmus.align._base import Aligner
from isthmus.align._maps import map_tables
from isthmus.arrays import to_numpy
from isthmus.checks import InputError
from isthmus.files import replacing
from isthmus.pairs import block_rows, find_bad_rows
from isthmus.sources import Source, output_format


def apply(
    aligner: Aligner, source: Source, path: str | os.PathLike[str], /, *, side: str, resume: bool = False
) -> tuple[int, int]:
    """Write the aligned rows of `source` to `path`, in order; returns its shape.

    `side` is 'x', 'y' or the name of the modality that the aligner was fitted on. The suffix of `path` says the
    format; in that of `source` (for a folder of shards: a new folder) its other columns, arrays and files are kept.
    The file appears whole or not at all. With `resume=True`, for .npy and .safetensors, unfinished work stays beside it
    as `.NAME.part` and `.NAME.done` when the process dies, and the same call carries on after the last block that was
    finished; work of another aligner, source or side is not taken up.
    Errors: `InputError` for a side, width or output that does not fit, and for rows without a direction.
    """
    path = checks.writable(path)
    if _same_file(source.place, path):
        raise InputError(f"{path}: is the file that is being read; choose another output")
    module, like = output_format(path, source)
    if resume and not module.RESUMES:
        raise InputError(f"{path}: unfinished work is taken up again in .npy and .safetensors files; leave out resume")
    number = side_number(aligner, side)
    transform = (aligner.transform_x, aligner.transform_y)[number]
    rows, size = source.shape[0], block_rows(source.shape[1])
    try:
        first = to_numpy(transform(to_numpy(source.read(0, min(size, rows)))))
        shape = (rows, first.shape[1])

        def fill(part: Path, start: int, done: Path | None) -> None:
            options = {"new": start == 0} if module.RESUMES else {}
            with module.writer(part, like=like, dtype=first.dtype, shape=shape, **options) as write:
                for begin in range(start, rows, size):
                    block = first if begin == 0 else to_numpy(transform(to_numpy(source.read(begin, begin + size))))
                    write(begin, block)
                    if done is not None:
                        with part.open("rb") as file:
                            os.fsync(file.fileno())  # the rows first, the mark afterwards
                        _mark(done, key, min(begin + size, rows))

        if resume:
            key = _key(aligner, source, number)
            part, done = (path.with_name(f".{path.name}.{ending}") for ending in ("part", "done"))
            fill(part, _finished(part, done, key), done)
            os.replace(part, path)
            done.unlink(missing_ok=True)
        else:
            with replacing(path, folder=module.FOLDER) as part:
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


def _key(aligner: Aligner, source: Source, side: int) -> str:
    """What the unfinished file is the work of."""
    digest = hashlib.sha256(repr((source.where, source.shape, source.dtype, side, aligner.normalize)).encode())
    place = source.place
    if isinstance(place, Path) and place.is_file():
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


def _same_file(place: object, path: Path) -> bool:
    return isinstance(place, Path) and path.exists() and path.samefile(place)
