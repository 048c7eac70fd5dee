"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.utils.errors import InputError
from isthmus.utils.validation import check_readable, check_writable

FORMAT_VERSION = 1  # of saved moments, aligners and results


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well and vanishes when it does not."""
    path = check_writable(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def temporary_rows(
    folder: str | os.PathLike[str] | None, dtype: np.dtype, shape: tuple[int, int]
) -> np.memmap[Any, Any]:
    """Writable rows mapped from a nameless file in `folder` (None: the system's folder for temporary files), which is
    gone when the rows are. Errors: `OSError` when the disk has no room for it."""
    size = max(int(np.prod(shape, dtype=object)) * dtype.itemsize, 1)
    with tempfile.TemporaryFile(dir=folder) as file:
        # Room is taken now: a mapped file that finds the disk full later would end the process.
        os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def save_arrays(path: str | os.PathLike[str], kind: str, arrays: Mapping[str, np.ndarray], header: Any) -> None:
    """Write `arrays` and a JSON `header` as one safetensors file of this `kind`."""
    from safetensors.numpy import save_file

    metadata = {"isthmus": json.dumps({"kind": kind, "format": FORMAT_VERSION, "header": header})}
    contiguous = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    with atomic_path(path) as part:
        save_file(contiguous, part, metadata=metadata)


def load_arrays(path: str | os.PathLike[str], kind: str | None = None) -> tuple[str, dict[str, np.ndarray], Any]:
    """(kind, arrays, header) of a file written by `save_arrays`; `InputError` when it is something else."""
    from safetensors import SafetensorError, safe_open

    path = check_readable(
        path, f"the file of saved {kind}" if kind else "an aligner saved by `isthmus fit`, or saved moments"
    )
    try:
        with safe_open(path, framework="np") as file:
            metadata = (file.metadata() or {}).get("isthmus")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is not a complete safetensors file ({error}); save it again") from None
    if metadata is None:
        raise InputError(f"{path}: holds no isthmus {kind or 'object'}; expected a file written by save()")
    info = json.loads(metadata)
    if info["format"] > FORMAT_VERSION:
        raise InputError(
            f"{path}: has format {info['format']}, this version reads up to {FORMAT_VERSION}; update isthmus"
        )
    if kind is not None and info["kind"] != kind:
        raise InputError(f"{path}: holds {info['kind']}, expected {kind}")
    return info["kind"], arrays, info["header"]
