"""Apply an aligner to embeddings on disk, block by block, in constant memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._cluster import apply_on_cluster
from isthmus.align._maps import map_tables
from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows, current
from isthmus.data.pairs import find_invalid_rows
from isthmus.data.sources import Format, Source, Writer, formats, writable_format
from isthmus.data.sources.npy import memory_map
from isthmus.utils import validation
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path

#: How often unfinished work is marked as done so far, in seconds.
MARK_SECONDS = 1.0


def apply(
    aligner: Aligner,
    source: Source,
    path: str | os.PathLike[str],
    /,
    *,
    side: str,
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[int, int]:
    """Write the aligned rows of `source` to `path`, in order; returns their shape.

    The suffix of `path` names the format (.npy, .npz, .safetensors ...); without one it becomes a folder of .npy
    shards, those of the source if it is such a folder. `side` is 'x', 'y' or the name of the modality that the aligner
    was fitted on. What is written appears whole or not at all. With `resume=True` unfinished work stays beside it as
    `.NAME.part` and `.NAME.done` when the process dies, and the same call carries on from there; work of another
    aligner, source or side is not taken up. `progress` is called as progress(rows done, all rows, 'rows').
    Errors: `InputError` for a side, width or output that does not fit, and for rows without a direction.
    """
    path = Path(path)
    form = writable_format(path)
    _free(path, source)
    number = side_number(aligner, side)
    aligner._solved()  # says so when it was never fitted
    if source.shape[1] != aligner._width(number):
        raise InputError(
            f"{source.address}: holds rows of width {source.shape[1]}, and this {type(aligner).__name__} was fitted on "
            f"width {aligner._width(number)} for {side}; give rows of the same model, or fit an aligner to these"
        )
    cluster = current().cluster
    if cluster is not None:
        return apply_on_cluster(cluster, aligner, source, path, modality=number)
    transform = (aligner.transform_x, aligner.transform_y)[number]
    rows, size = source.shape[0], block_rows(source.shape[1])

    def block(begin: int) -> np.ndarray:
        return to_numpy(transform(to_numpy(source.read(begin, min(begin + size, rows)))))

    try:
        first = block(0)
        shape, dtype = (rows, first.shape[1]), first.dtype
        # A format whose files cannot be carried on gets its rows from a plain file once that is whole.
        inner = form if form.supports_resume or not resume else formats["npy"]
        key = _key(aligner, source, number, inner.name) if resume else ""
        with _unfinished(path, keep=resume) as (part, done):
            start = _finished(part, done, key) if resume else 0
            writer: Writer = inner.writer(part, shape, dtype, start=start, source=source)
            marked = time.monotonic()
            try:
                for begin in range(start, rows, size):
                    writer.write(first if begin == 0 else block(begin))
                    start = min(begin + size, rows)
                    if resume and time.monotonic() - marked >= MARK_SECONDS:
                        writer.flush()  # the rows first, the mark afterwards
                        _mark(done, key, start)
                        marked = time.monotonic()
                    if progress is not None:
                        progress(start, rows, "rows")
            finally:
                if resume:
                    writer.flush()
                    _mark(done, key, start)
                writer.close()
            if inner is not form:
                _rewritten(part, form, shape, dtype, source, path)
            else:
                os.replace(part, path)
    except InputError:
        non_finite, zero = find_invalid_rows(source)
        if len(non_finite) or len(zero):
            raise validation.invalid_rows(source.address, non_finite, zero, paired=False) from None
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
        raise InputError(f"unknown side {side!r}: {names}; say which one these rows are (--side in the shell)")
    return known[side]


def _free(path: Path, source: Source) -> None:
    """`InputError` unless rows can be written to `path` without touching what is read."""
    being_read = Path(source.address.partition("::")[0])
    if path.exists() and being_read.exists() and path.samefile(being_read):
        raise InputError(f"{path}: is the file that is being read; choose another output")
    if being_read.is_dir() and path.resolve().parent == being_read.resolve():
        raise InputError(f"{path}: lies in the folder that is being read; choose another output")
    if path.suffix:
        validation.check_writable(path)
    elif path.exists():
        raise InputError(f"{path}: exists; give the name of a new folder, or of a file with a suffix such as .npy")
    else:
        validation.check_writable(path)


@contextmanager
def _unfinished(path: Path, *, keep: bool) -> Iterator[tuple[Path, Path]]:
    """Names for the unfinished rows and the mark of how many there are; with `keep` they outlive a failure."""
    own = "" if keep else f".{os.getpid()}-{time.monotonic_ns()}"
    part, done = (path.with_name(f".{path.name}{own}.{ending}") for ending in ("part", "done"))
    try:
        yield part, done
    except BaseException as error:
        if keep and not isinstance(error, InputError):  # what cannot be used will not be carried on
            raise
        _removed(part)
        done.unlink(missing_ok=True)
        raise
    _removed(part)
    done.unlink(missing_ok=True)


def _removed(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _rewritten(part: Path, form: Format, shape: tuple[int, int], dtype: np.dtype, source: Source, path: Path) -> None:
    """The rows of the .npy file `part` in another format."""
    plain = memory_map(part, address=str(part))
    with atomic_path(path) as whole:
        writer: Writer = form.writer(whole, shape, dtype, source=source)
        for begin in range(0, shape[0], block_rows(shape[1])):
            writer.write(plain[begin : begin + block_rows(shape[1])])
        writer.close()


def _key(aligner: Aligner, source: Source, side: int, form: str) -> str:
    """What the unfinished file is the work of."""
    digest = hashlib.sha256(repr((source.address, source.shape, source.dtype, side, aligner.normalize, form)).encode())
    place = Path(source.address.partition("::")[0])
    for file in [place, *sorted(place.iterdir())] if place.is_dir() else [place] if place.is_file() else []:
        digest.update(repr((file.name, file.stat().st_size, file.stat().st_mtime_ns)).encode())
    for name, table in sorted(map_tables(aligner._solved()[side], "x").items()):
        digest.update(name.encode() + np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()


def _mark(done: Path, key: str, rows: int) -> None:
    with atomic_path(done) as part:
        part.write_text(f"{key} {rows}", encoding="utf-8")


def _finished(part: Path, done: Path, key: str) -> int:
    """The rows of `part` that are finished; 0, and nothing left of it, when it is the work of another call."""
    if part.exists() and done.exists():
        found, _, rows = done.read_text(encoding="utf-8").partition(" ")
        if found == key and rows.isdigit():
            return int(rows)
    _removed(part)
    return 0
