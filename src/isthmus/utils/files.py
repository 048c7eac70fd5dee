"""Files that are written atomically, and temporary rows."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.utils.errors import InputError
from isthmus.utils.interrupts import removed_on_exit
from isthmus.utils.paths import check_readable, check_writable, temporary_beside

if TYPE_CHECKING:
    import numpy as np

#: Version of the format of saved moments, aligners and results.
FORMAT_VERSION = 1
#: First bytes of an .npy file.
NPY_MAGIC = b"\x93NUMPY"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside a file, which replaces the file if the block succeeds.

    If the block raises, the temporary file is removed and the file stays as it was.

    Parameters
    ----------
    path : path-like
        File to write.

    Yields
    ------
    Path
        Temporary path in the same folder.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = check_writable(path)
    temporary = temporary_beside(path)
    with removed_on_exit(temporary):
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def load_npy(path: str | os.PathLike[str], *, mmap_mode: Any = None) -> np.ndarray | None:
    """Return the array of an .npy file, or None if the file holds something else.

    Parameters
    ----------
    path : path-like
        File, which is not unpickled.
    mmap_mode : {'r'}, optional
        Mode in which the array is mapped. Default: it is read.

    Returns
    -------
    ndarray or None
        The array.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels.npy"
    ...     np.save(path, [3, 1])
    ...     load_npy(path)
    array([3, 1])
    """
    import numpy as np

    try:
        with open(path, "rb") as file:  # an archive or a pickle begins in another way
            is_npy = file.read(len(NPY_MAGIC)) == NPY_MAGIC
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False) if is_npy else None
    except (ValueError, EOFError, OSError):
        return None


def temporary_rows(
    folder: str | os.PathLike[str] | None, dtype: np.dtype, shape: tuple[int, int]
) -> np.memmap[Any, Any]:
    """Return writable rows that are mapped from a nameless temporary file.

    Parameters
    ----------
    folder : path-like or None
        Folder of the file. None is the folder of the system for temporary files.
    dtype : dtype
        Dtype of the rows.
    shape : tuple of int
        Number of rows and dimension.

    Returns
    -------
    memmap
        The rows. The file is removed with them.

    Raises
    ------
    OSError
        If the disk is full.
    """
    import numpy as np

    size = max(shape[0] * shape[1] * dtype.itemsize, 1)
    with tempfile.TemporaryFile(dir=folder) as file:
        # The space is allocated now: if a mapped file finds the disk full later, the process ends.
        os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def spooled_rows(blocks: Iterable[np.ndarray]) -> np.memmap[Any, Any] | None:
    """Return rows that came in blocks, mapped from a nameless temporary file.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (m, d)
        Rows of one dtype and one width.

    Returns
    -------
    memmap or None
        The rows (n, d). The file is removed with them. None if there are no blocks.

    Raises
    ------
    OSError
        If the disk is full.
    """
    import numpy as np

    n_rows, last = 0, None
    with tempfile.TemporaryFile() as file:
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
            n_rows, last = n_rows + len(block), block
        if last is None:
            return None
        file.flush()
        return np.memmap(file, dtype=last.dtype, mode="r+", shape=(n_rows, last.shape[1]))


def save_arrays(path: str | os.PathLike[str], content: str, arrays: Mapping[str, np.ndarray], header: Any) -> None:
    """Write arrays and a JSON header as one safetensors file, atomically.

    Parameters
    ----------
    path : path-like
        File to write.
    content : str
        What the file holds, such as 'moments'.
    arrays : mapping of str to array
        Arrays by name.
    header : object
        JSON values.
    """
    import numpy as np
    from safetensors.numpy import save_file

    metadata = {"isthmus": json.dumps({"kind": content, "format": FORMAT_VERSION, "header": header})}
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_path(path) as temporary:
        save_file(contiguous, temporary, metadata=metadata)


def load_arrays(path: str | os.PathLike[str], content: str | None = None) -> tuple[str, dict[str, np.ndarray], Any]:
    """Read a file that `save_arrays` wrote.

    Parameters
    ----------
    path : path-like
        The file.
    content : str, optional
        What the file must hold. Default: anything.

    Returns
    -------
    content : str
        What the file holds.
    arrays : dict of str to array
        Arrays by name.
    header : object
        JSON values.

    Raises
    ------
    InputError
        If the file is incomplete, of a newer version, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    path = check_readable(
        path, f"the file of saved {content}" if content else "an aligner saved by `isthmus fit`, or saved moments"
    )
    try:
        with safe_open(path, framework="np") as file:
            metadata = (file.metadata() or {}).get("isthmus")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is not a complete safetensors file ({error}); save it again") from None
    if metadata is None:
        raise InputError(f"{path}: holds no isthmus {content or 'object'}; expected a file written by save()")
    info = json.loads(metadata)
    if info["format"] > FORMAT_VERSION:
        raise InputError(
            f"{path}: has format {info['format']}, this version reads up to {FORMAT_VERSION}; update isthmus"
        )
    if content is not None and info["kind"] != content:
        raise InputError(f"{path}: holds {info['kind']}, expected {content}")
    return info["kind"], arrays, info["header"]


def pack_array(array: np.ndarray, /) -> dict[str, Any]:
    """Return an array as JSON values: compressed bytes in base64, with dtype and shape.

    Parameters
    ----------
    array : ndarray
        Numbers.

    Returns
    -------
    dict
        'dtype', 'shape' and 'zlib'.

    Examples
    --------
    >>> import numpy as np
    >>> unpack_array(pack_array(np.arange(6).reshape(2, 3)))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    import numpy as np

    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    packed = base64.b64encode(zlib.compress(little.tobytes(), level=6)).decode("ascii")
    return {"dtype": little.dtype.str, "shape": list(array.shape), "zlib": packed}


def unpack_array(content: Mapping[str, Any], /) -> np.ndarray:
    """Return the array that `pack_array` made.

    Parameters
    ----------
    content : mapping
        Result of `pack_array`.

    Returns
    -------
    ndarray
        The numbers, in the byte order of the machine.
    """
    import numpy as np

    values = np.frombuffer(zlib.decompress(base64.b64decode(content["zlib"])), dtype=np.dtype(content["dtype"]))
    return values.reshape(content["shape"]).astype(values.dtype.newbyteorder("="))
