"""HDF5 (.h5, .hdf5): a dataset of two dimensions, FILE::DATASET; mapped in place when it is stored as one piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources._base import Put, Source, Streamed, Writer, alike
from isthmus.data.sources._members import choose
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

SUFFIXES = (".h5", ".hdf5", ".hdf")
MAGIC = b"\x89HDF\r\n\x1a\n"
CARRIES_ON = False
#: The dataset of embeddings in a new file.
NAME = "embedding"


@contextmanager
def reading(where: str) -> Iterator[None]:
    """What h5py says of broken files, in our words."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise InputError(f"{where}: is not a complete HDF5 file ({errors.first_line(error)}); write it again") from None


class Rows:
    """A dataset in chunks: rows are unpacked chunk by chunk."""

    random_access = False

    def __init__(self, data: Any, where: str):
        self.data, self.where = data, where
        self.shape, self.dtype = tuple(data.shape), data.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        with reading(self.where):
            if isinstance(key, tuple):
                return np.asarray(self.data[key[0]])
            wanted, back = np.unique(np.asarray(key), return_inverse=True)
            out = np.empty((len(wanted), self.shape[1]), dtype=self.dtype)
            # One read for each chunk that is touched, whatever the number of rows in it.
            high = self.data.chunks[0] if self.data.chunks else max(len(wanted), 1)
            chunk = wanted // high
            for number in np.unique(chunk):
                mine = chunk == number
                first, last = int(wanted[mine][0]), int(wanted[mine][-1])
                out[mine] = self.data[first : last + 1][wanted[mine] - first]
            return out[back]


def open_source(place: Path, member: str | None, min_rows: int = 2) -> Source:
    """The source in the dataset `member` of the file `place`; the only one of two dimensions when there is one."""
    h5py = errors.import_optional("h5py", "hdf5", f"reading {place}")
    with reading(str(place)):
        file = h5py.File(place, "r")
        sets = datasets(h5py, file)
        fit = [name for name, data in sets.items() if data.dtype.kind == "f" and data.ndim == 2]
        if not fit and member is None:
            shapes = ", ".join(f"{name} {data.shape} {data.dtype}" for name, data in sets.items())
            raise InputError(f"{place}: holds no dataset of floats of two dimensions, only {shapes or 'nothing'}")
        name = choose(place, fit if member is None else list(sets), member and member.strip("/"))
        where, data = f"{place}::{name}", sets[name]
        validation.check_float_dtype(data.dtype, where)
        validation.check_matrix_shape(data.shape, where, min_rows=min_rows)
        mapped = _mapped(place, data)
        rows = Rows(data, where) if mapped is None else mapped

    def keys(name: str) -> Any:
        with reading(f"{place}::{name}"):
            if name not in sets:
                known = [n for n, d in sets.items() if d.ndim == 1]
                raise unknown_name(f"dataset of keys in {place}", name, known)
            data = sets[name]
            if h5py.check_string_dtype(data.dtype) is not None:
                return np.asarray(data.asstr()[:], dtype=np.str_)
            return data[:]

    return Source(rows, where=where, format="hdf5", place=place, member=name, keys=keys, min_rows=min_rows)


def datasets(h5py: Any, file: Any) -> dict[str, Any]:
    """All datasets of the file by their path; those that are links to other files are left out."""
    found: dict[str, Any] = {}

    def visit(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset) and not thing.is_virtual and not thing.external:
            found[name] = thing

    file.visititems(visit)
    return found


def _mapped(place: Path, data: Any) -> np.ndarray | None:
    """The dataset as it lies in the file, None when it is in chunks, packed, or cut off."""
    offset = data.id.get_offset()
    if offset is None or data.chunks is not None:
        return None
    if offset + data.size * data.dtype.itemsize > place.stat().st_size:
        raise InputError(f"{place}::{data.name.strip('/')}: is truncated: the file ends inside it; copy it again")
    rows = np.memmap(place, dtype=data.dtype, mode="r", offset=offset, shape=data.shape)
    # Blocks for the user's own bytes move what the library calls the beginning: one look tells.
    return rows if rows[:1].tobytes() == data[:1].tobytes() and rows[-1:].tobytes() == data[-1:].tobytes() else None


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes blocks of rows into a dataset of a new file; everything else in it is that of `like`."""
    return Streamed(_begun(path, shape, dtype, alike(source, "hdf5")))


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source | None) -> Iterator[Put]:
    h5py = errors.import_optional("h5py", "hdf5", f"writing {part}")
    with h5py.File(part, "w") as out:
        name, options = NAME, {}
        if like is not None:
            name = str(like.member)
            with reading(like.where), h5py.File(like.place, "r") as old:
                _copied(h5py, old, out, name)
                data = old[name]
                if data.chunks:
                    options = {
                        "chunks": (data.chunks[0], min(shape[1], data.chunks[1])),
                        "compression": data.compression,
                    }
                rows = out.create_dataset(name, shape=shape, dtype=dtype, **options)
                rows.attrs.update(data.attrs)
        else:
            rows = out.create_dataset(name, shape=shape, dtype=dtype)

        def write(start: int, block: np.ndarray) -> None:
            rows[start : start + len(block)] = block

        yield write


def _copied(h5py: Any, old: Any, new: Any, but: str) -> None:
    """Everything in the group `old` into the group `new`, except the dataset at the path `but`."""
    new.attrs.update(old.attrs)
    head, _, rest = but.partition("/")
    for name in old:
        if name != head:
            old.copy(name, new, expand_external=False)
        elif rest:
            _copied(h5py, old[name], new.create_group(name), rest)
