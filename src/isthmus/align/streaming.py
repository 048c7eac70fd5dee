"""Apply an aligner to embeddings on disk, block by block, in constant memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align._aligned_codes import write_aligned_codes
from isthmus.align._base import Aligner
from isthmus.align._cluster import RowForm, apply_on_cluster
from isthmus.align._drift import ModalityDrift
from isthmus.align._maps import arrays_of_map
from isthmus.align._store_target import write_to_store
from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows, current
from isthmus.data.invalid_rows import invalid_rows_by_state
from isthmus.data.sources import Format, Source, Writer, formats, writable_format
from isthmus.data.sources._registry import split_format
from isthmus.data.sources._store import find_store
from isthmus.data.sources.npy import memory_map
from isthmus.utils import paths, validation
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.interrupts import removed_on_exit

#: Seconds between two marks of the finished rows.
MARK_SECONDS = 1.0
#: Largest number of rows that are compared with the fit.
MAX_ROWS = 5_000
#: Fewer rows than this are not compared.
MIN_ROWS = 100
#: Common offset of the rows, in units of their spread, above which there is a warning.
MAX_OFFSET = 0.1


def apply(
    aligner: Aligner,
    source: Source,
    path: str | os.PathLike[str],
    /,
    *,
    modality: str,
    role: str | None = None,
    queries: str | None = None,
    resume: bool = False,
    replace: bool = False,
    codes: str | None = None,
    ranges: Any = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[int, int]:
    """Write the aligned rows of a source to a file, a folder or a vector store, in constant memory.

    The output is written atomically. If the process dies with `resume=True`, unfinished work stays beside it as
    `.NAME.part` and `.NAME.done`, and the same call continues it. Work of another aligner, source or modality is
    discarded. A store always continues: rows that have an aligned vector are not written again.

    Parameters
    ----------
    aligner : Aligner
        Fitted aligner.
    source : Source
        Rows of one modality.
    path : str or path-like
        Output. The suffix names the format (.npy, .npz, .safetensors ...). Without a suffix it is a new folder of .npy
        shards, with those of the source if it is such a folder. The address of a store is a second column of the table
        that is read, or a new table.
    modality : str
        Modality of the rows: 'x', 'y' or a name that the aligner was fitted to.
    role : {'stored', 'query'}, optional
        Whether an index stores the rows or is asked with them. Score corrections need it, and row maps do not.
    queries : str, optional
        Modality of the queries, for stored rows of an index for queries of one modality.
    resume : bool, default False
        Whether to continue the unfinished work of an earlier call.
    replace : bool, default False
        Whether a column of a store that exists is replaced, such as the column that is read.
    codes : {'int8', 'uint8', 'binary'}, optional
        Write codes of a quantiser to a .npy file instead of floats, and the ranges of 8-bit codes beside them, to
        `NAME.ranges.npy`. Binary codes are the signs.
    ranges : array-like of shape (2, d) or path of a .npy file, optional
        Minimum and maximum of each coordinate for `codes`. Default: those of these rows.
    progress : callable, optional
        Called as progress(finished rows, all rows, 'rows').

    Returns
    -------
    tuple of int
        Shape of the aligned rows.

    Raises
    ------
    NotFittedError
        If the aligner is not fitted.
    InputError
        If the modality, the dimension or the output is wrong, or if a row is zero, infinite or NaN.
    """
    stored = find_store(str(path))
    number = modality_number(aligner, modality)
    form = RowForm(aligner, aligner.modalities[number], role, queries)
    dim = aligner.dim(modality)
    if source.shape[1] != dim:
        raise InputError(
            f"{source.address}: got rows of dimension {source.shape[1]}, expected {dim} for {modality} as "
            f"in the fit of this {type(aligner).__name__}; give rows of the same model, or fit again"
        )
    if codes is not None and (stored is not None or resume):
        raise InputError(
            f"{path}: codes are written to a new .npy file at once; leave out resume (--resume) and stores"
        )
    if stored is not None:
        return write_to_store(form, source, *stored, replace=replace, progress=progress)
    output_format = writable_format(path)
    path = check_aligned_output(path, source.address)
    if codes is not None:
        with _named_invalid_rows(source):
            return write_aligned_codes(form, source, path, codes, ranges, progress)
    cluster = current().cluster
    if cluster is not None and not source.is_subset:
        return apply_on_cluster(cluster, form, source, path)
    n_rows, size = source.shape[0], block_rows(source.shape[1])

    def aligned_block(begin: int) -> np.ndarray:
        return form.rows(source.read(begin, min(begin + size, n_rows)))

    with _named_invalid_rows(source):
        first_block = aligned_block(0)
        shape, dtype = (n_rows, first_block.shape[1]), first_block.dtype
        # Rows for a format that cannot be continued are collected in a .npy file and converted at the end.
        part_format = output_format if output_format.supports_resume or not resume else formats["npy"]
        work_key = _work_key(form, source, part_format.name) if resume else ""
        with _unfinished_paths(path, keep=resume) as (part_path, mark_path):
            start = _finished_rows(part_path, mark_path, work_key) if resume else 0
            writer: Writer = part_format.writer(part_path, shape, dtype, start=start, source=source)
            last_mark = time.monotonic()
            try:
                for begin in range(start, n_rows, size):
                    writer.write(first_block if begin == 0 else aligned_block(begin))
                    start = min(begin + size, n_rows)
                    if resume and time.monotonic() - last_mark >= MARK_SECONDS:
                        writer.flush()  # before the mark, which says that these rows are on disk
                        _mark(mark_path, work_key, start)
                        last_mark = time.monotonic()
                    if progress is not None:
                        progress(start, n_rows, "rows")
            finally:
                if resume:
                    writer.flush()
                    _mark(mark_path, work_key, start)
                writer.close()
            if part_format is not output_format:
                _convert(part_path, output_format, shape, dtype, source, path)
            else:
                os.replace(part_path, path)
    return shape


def modality_number(aligner: Aligner, modality: str) -> int:
    """Return the position of a modality of an aligner, from 0.

    Parameters
    ----------
    aligner : Aligner
        Fitted aligner.
    modality : str
        'x', 'y' or a name that the aligner was fitted to.

    Returns
    -------
    int
        Position in `aligner.modalities`.

    Raises
    ------
    InputError
        If the modality is unknown.
    """
    if modality not in {"x", "y", *aligner.modalities}:
        expected = " or ".join(aligner.modalities)
        raise InputError(
            f"unknown modality {modality!r} of the rows, expected {expected}; name it with modality= (--modality)"
        )
    return aligner.modality_number(modality)


def drift_warnings(aligner: Aligner, source: Source, modality: str, /) -> list[str]:
    """Return warnings for rows that differ from those of the fit.

    At most 5,000 rows are compared, evenly spaced over the source.

    Parameters
    ----------
    aligner : Aligner
        Fitted aligner.
    source : Source
        Rows of one modality.
    modality : str
        Modality of the rows: 'x', 'y' or a name that the aligner was fitted to.

    Returns
    -------
    list of str
        Sentences of the drift if the means differ and the common offset of the rows exceeds a tenth of their spread.
        Empty otherwise, for fewer than 100 rows, and if the aligner was saved without statistics.
    """
    number = modality_number(aligner, modality)
    if source.shape[0] < MIN_ROWS or aligner.fitted_state.statistics is None:
        return []
    sample = np.unique(np.linspace(0, source.shape[0] - 1, MAX_ROWS).astype(np.int64))
    kept = getattr(source.rows, "sample", None)  # rows of a store that `apply` has read
    rows = to_numpy(source.take(sample)) if kept is None else kept
    drift = aligner.drift(**{aligner.modalities[number]: rows})
    shift = drift.modalities[0]
    if not (shift.shifted and shift.residual > MAX_OFFSET):
        return []
    return [*_swap_warning(aligner, rows, number, shift), *drift.sentences]


def _swap_warning(aligner: Aligner, rows: np.ndarray, number: int, modality: ModalityDrift) -> list[str]:
    """Return a question if the rows are at most half as far from the mean of the other modality as from their own."""
    if number > 1:
        return []
    other_mean = aligner.statistics_.mean_x if number else aligner.statistics_.mean_y
    if rows.shape[1] != len(other_mean):
        return []
    unit = unit_rows(rows) if aligner.normalize else rows
    distance = float(np.linalg.norm(unit.mean(axis=0) - other_mean))
    if distance > modality.shift / 2:
        return []
    name = (aligner.names_ or ("x", "y"))[1 - number]
    return [
        f"These rows of {modality.name} lie {distance:.3f} from the mean of {name} and {modality.shift:.3f} from their "
        f"own: are they rows of {name}?"
    ]


def check_aligned_output(path: str | os.PathLike[str], address: str, /) -> Path:
    """Return the file or folder for aligned rows, which can be written without touching the rows that are read.

    Parameters
    ----------
    path : str or path-like
        Output of `apply` that is no address of a store.
    address : str
        File or folder that is read, such as ``FILE::NAME``.

    Returns
    -------
    Path
        The file, or the new folder.

    Raises
    ------
    InputError
        If no format has this suffix, or the output cannot be written or is part of what is read.
    """
    writable_format(path)
    path = Path(split_format(str(path))[1])
    being_read = Path(address.partition("::")[0])
    if path.exists() and being_read.exists() and path.samefile(being_read):
        raise InputError(f"{path}: is the file that is being read; choose another output")
    if being_read.is_dir() and path.resolve().parent == being_read.resolve():
        raise InputError(f"{path}: lies in the folder that is being read; choose another output")
    if path.exists() and not path.suffix:
        raise InputError(f"{path}: exists; give the name of a new folder, or of a file with a suffix such as .npy")
    return paths.check_writable(path)


@contextmanager
def _named_invalid_rows(source: Source) -> Iterator[None]:
    """Name the rows that are zero, NaN or infinite, if an aligner raises `InputError` because of them."""
    try:
        yield
    except InputError:
        invalid = invalid_rows_by_state(source)
        if any(map(len, invalid)):
            raise validation.invalid_rows({source.address: invalid}, paired=False) from None
        raise


@contextmanager
def _unfinished_paths(path: Path, *, keep: bool) -> Iterator[tuple[Path, Path]]:
    """Yield the paths of the unfinished rows and of their mark. With `keep`, both survive a failure."""
    unique = "" if keep else f".{os.getpid()}-{time.monotonic_ns()}"
    part_path, mark_path = (path.with_name(f".{path.name}{unique}.{ending}") for ending in ("part", "done"))
    with nullcontext() if keep else removed_on_exit(part_path):
        try:
            yield part_path, mark_path
        except BaseException as error:
            if keep and not isinstance(error, InputError):  # invalid input cannot be continued
                raise
            _remove(part_path)
            mark_path.unlink(missing_ok=True)
            raise
        _remove(part_path)
        mark_path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove a file or folder that may not exist."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _convert(npy_path: Path, form: Format, shape: tuple[int, int], dtype: np.dtype, source: Source, path: Path) -> None:
    """Write the rows of a .npy file in another format."""
    rows = memory_map(npy_path, address=str(npy_path))
    with atomic_path(path) as temporary:
        writer: Writer = form.writer(temporary, shape, dtype, source=source)
        for begin in range(0, shape[0], block_rows(shape[1])):
            writer.write(rows[begin : begin + block_rows(shape[1])])
        writer.close()


def _work_key(form: RowForm, source: Source, output_format: str) -> str:
    """Return a hash of the map, the source and the format, which unfinished work must match."""
    aligner, number = form.aligner, form.aligner.modality_number(form.modality)
    settings: tuple[Any, ...] = (
        source.address, source.shape, source.dtype, number, aligner.normalize, output_format
    )  # fmt: skip
    if aligner.corrects_scores:
        settings += (form.role, form.queries, aligner.json_options(), aligner.fit_info_)
    digest = hashlib.sha256(repr(settings).encode())
    location = Path(source.address.partition("::")[0])
    files = [location, *sorted(location.iterdir())] if location.is_dir() else [location] if location.is_file() else []
    for source_file in files:
        digest.update(repr((source_file.name, source_file.stat().st_size, source_file.stat().st_mtime_ns)).encode())
    tables = aligner.fitted_state.arrays | arrays_of_map((aligner.map_x_, aligner.map_y_)[min(number, 1)], "x")
    for name, table in sorted(tables.items()):
        digest.update(name.encode() + np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()


def _mark(mark_path: Path, key: str, rows: int) -> None:
    """Record how many rows are finished."""
    with atomic_path(mark_path) as temporary:
        temporary.write_text(f"{key} {rows}", encoding="utf-8")


def _finished_rows(part_path: Path, mark_path: Path, key: str) -> int:
    """Return the number of finished rows. Work with another key is removed and counts as 0."""
    if part_path.exists() and mark_path.exists():
        marked_key, _, rows = mark_path.read_text(encoding="utf-8").partition(" ")
        if marked_key == key and rows.isdigit():
            return int(rows)
    _remove(part_path)
    return 0
