"""The HDF5 format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import listed, select_member
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, same_format
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

#: The dataset of embeddings in a new file.
NAME = "embedding"


@contextmanager
def translated_errors(address: str) -> Iterator[None]:
    """Raise the errors of h5py as InputError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise errors.incomplete_file(address, "HDF5 file", error, "write it again") from None


#: Datasets of a file of ann-benchmarks: the index, the queries, and the nearest rows of each query.
ANN_BENCHMARKS = {"train", "test", "neighbors"}


@register
class Hdf5(Format):
    """HDF5 (.h5, .hdf5): a dataset of two dimensions, FILE::DATASET, mapped in place if it is stored as one piece."""

    name = "hdf5"
    suffixes = (".h5", ".hdf5", ".hdf")
    magic = b"\x89HDF\r\n\x1a\n"

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the dataset `member` of the file, or its only matrix of floats."""
        h5py = errors.import_optional("h5py", "hdf5", f"reading {location}")
        path: Any = location
        with translated_errors(str(path)):
            file = h5py.File(path, "r")
            datasets = _local_datasets(h5py, file)
            ranks = {name: data.ndim for name, data in datasets.items() if data.dtype.kind == "f"}
            ranks = ranks or {name: data.ndim for name, data in datasets.items() if data.dtype in (np.int8, np.uint8)}
            candidates = [n for n, rank in ranks.items() if rank == 2] or [n for n, rank in ranks.items() if rank == 3]
            if not candidates and member is None:
                shapes = listed([f"{name} {data.shape} {data.dtype}" for name, data in datasets.items()])
                raise InputError(
                    f"{path}: holds no dataset of floats of two dimensions, only {shapes or 'nothing'}; save "
                    "the rows as one dataset (n, d)"
                )
            if member is None and datasets.keys() >= ANN_BENCHMARKS:
                raise InputError(
                    f"{path}: is a file of ann-benchmarks, whose index and queries are no pairs; run isthmus measure "
                    f"{path}::train {path}::test --unpaired"
                )
            names = candidates if member is None else list(datasets)
            name = select_member(path, names, member and member.strip("/"))
            address, data = f"{path}::{name}", datasets[name]
            validation.check_float_dtype(data.dtype, address, codes=True)
            validation.check_matrix_shape(data.shape, address, min_rows=min_rows)
            mapped = _memory_map(path, data)
            rows = Hdf5Dataset(data, address) if mapped is None else mapped

        return Source(
            rows,
            address=address,
            format=self.name,
            location=path,
            member=name,
            keys=lambda name: _read_keys(h5py, path, name),
            min_rows=min_rows,
        )

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of a dataset. Everything else in the file is that of `source`."""
        return SequentialWriter(_open_writer(path, shape, dtype, same_format(source, self.name)))


def _read_keys(h5py: Any, path: Path, name: str) -> np.ndarray:
    """Return a dataset of one dimension as keys. The file is opened for it, so that no file stays open for its keys."""
    with translated_errors(f"{path}::{name}"), h5py.File(path, "r") as file:
        datasets = _local_datasets(h5py, file)
        if name not in datasets:
            columns = [n for n, d in datasets.items() if d.ndim == 1]
            raise unknown_name(f"dataset of keys in {path}", name, columns)
        column = datasets[name]
        if h5py.check_string_dtype(column.dtype) is not None:
            return np.asarray(column.asstr()[:], dtype=np.str_)
        keys: np.ndarray = column[:]
        return keys


class Hdf5Dataset:
    """Rows of a dataset in chunks, which are decompressed one by one."""

    random_access = False

    def __init__(self, data: Any, address: str):
        self.data, self.address = data, address
        self.shape, self.dtype = tuple(data.shape), data.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        with translated_errors(self.address):
            if isinstance(key, tuple):
                return np.asarray(self.data[key[0]])
            numbers, inverse = np.unique(np.asarray(key), return_inverse=True)
            rows = np.empty((len(numbers), *self.shape[1:]), dtype=self.dtype)
            # One read for each chunk with a requested row, whatever the number of rows in it.
            chunk_rows = self.data.chunks[0] if self.data.chunks else max(len(numbers), 1)
            chunk_of_row = numbers // chunk_rows
            for chunk in np.unique(chunk_of_row):
                in_chunk = chunk_of_row == chunk
                first, last = int(numbers[in_chunk][0]), int(numbers[in_chunk][-1])
                rows[in_chunk] = self.data[first : last + 1][numbers[in_chunk] - first]
            return rows[inverse]


def _local_datasets(h5py: Any, file: Any) -> dict[str, Any]:
    """Return all datasets of the file by their path, without links to other files."""
    datasets: dict[str, Any] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and not node.is_virtual and not node.external:
            datasets[name] = node

    file.visititems(visit)
    return datasets


def _memory_map(path: Path, data: Any) -> np.ndarray | None:
    """Map the dataset in the file. Return None if it is chunked, compressed or otherwise not stored as one piece."""
    offset = data.id.get_offset()
    if offset is None or data.chunks is not None:
        return None
    if offset + data.size * data.dtype.itemsize > path.stat().st_size:
        raise InputError(f"{path}::{data.name.strip('/')}: is truncated: the file ends inside it; copy it again")
    rows = np.memmap(path, dtype=data.dtype, mode="r", offset=offset, shape=data.shape)
    # A user block shifts the offset that the library reports, so the first and last rows are compared.
    rows_agree = rows[:1].tobytes() == data[:1].tobytes() and rows[-1:].tobytes() == data[-1:].tobytes()
    return rows if rows_agree else None


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source | None) -> Iterator[WriteBlock]:
    """Write a file with one dataset of rows and everything else of `template`."""
    h5py = errors.import_optional("h5py", "hdf5", f"writing {path}")
    with h5py.File(path, "w") as new_file:
        name, options = NAME, {}
        if template is not None:
            name = str(template.member)
            with translated_errors(template.address), h5py.File(template.location, "r") as old_file:
                _copy_group(h5py, old_file, new_file, excluded=name)
                data = old_file[name]
                if data.chunks:
                    options = {
                        "chunks": (data.chunks[0], min(shape[1], data.chunks[1])),
                        "compression": data.compression,
                    }
                rows = new_file.create_dataset(name, shape=shape, dtype=dtype, **options)
                rows.attrs.update(data.attrs)
        else:
            rows = new_file.create_dataset(name, shape=shape, dtype=dtype)

        def write_block(start: int, block: np.ndarray) -> None:
            rows[start : start + len(block)] = block

        yield write_block


def _copy_group(h5py: Any, old_group: Any, new_group: Any, *, excluded: str) -> None:
    """Copy everything in a group, except the dataset at the path `excluded`."""
    new_group.attrs.update(old_group.attrs)
    head, _, tail = excluded.partition("/")
    for name in old_group:
        if name != head:
            old_group.copy(name, new_group, expand_external=False)
        elif tail:
            _copy_group(h5py, old_group[name], new_group.create_group(name), excluded=tail)
