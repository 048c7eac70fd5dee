"""The .pt and .pth formats of PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import listed, select_member
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, from_bfloat16, same_format
from isthmus.data.sources._stacks import n_stacked
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils import errors, validation
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError, IsthmusWarning, unknown_name
from isthmus.utils.files import temporary_rows


@register
class TorchFile(Format):
    """PyTorch's .pt and .pth: a tensor or a dictionary of tensors (FILE::KEY), mapped. Only tensors are unpickled."""

    name = "torch"
    suffixes = (".pt", ".pth")  # no magic: a .pt is a zip archive, as an .npz is

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the tensor `member` of the file, or its only matrix of floats."""
        torch = errors.import_optional("torch", "torch", f"reading {location}")
        path: Any = location
        tensors = load_tensors(torch, path, member)
        member = None if "" in tensors else member
        vector_names = list(tensors)
        if member is None and len(tensors) > 1 and _are_vectors(tensors.values()):
            tensors = {"": _concat(torch, list(tensors.values()), str(path))}  # one vector for each name
        else:
            vector_names = []
        if set(tensors) == {""}:
            name, address = "", str(path)
        else:
            floats = {n: t for n, t in tensors.items() if t.is_floating_point()}
            floats = floats or {n: t for n, t in tensors.items() if t.dtype in (torch.int8, torch.uint8)}
            ranks = (2, 3, 1) if min_rows == 0 else (2, 3)  # a shard may hold one vector
            by_rank = [[n for n, t in floats.items() if t.ndim == rank] for rank in ranks]
            candidates = next(filter(None, by_rank), [])
            if member is None and not candidates:
                raise InputError(f"{path}: holds no tensor of floats of two dimensions, only {listed(list(tensors))}")
            name = select_member(path, candidates if member is None else list(tensors), member)
            address = f"{path}::{name}"
        tensor = tensors[name]
        if tensor.layout is not torch.strided:
            raise InputError(f"{address}: is a sparse tensor, expected a dense one; convert it with .to_dense()")
        if tensor.dtype not in (
            torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.uint8,
        ):  # fmt: skip
            raise InputError(
                f"{address}: is a tensor of {tensor.dtype}, expected float16, bfloat16, float32 or float64; convert it "
                "with .float()"
            )
        validation.check_matrix_shape(tensor.shape, address, min_rows=min_rows)

        def keys(key: str) -> Any:
            if key == "__key__" and vector_names:
                return np.array(vector_names)
            columns = [n for n, t in tensors.items() if t.ndim == 1 and not t.is_floating_point()]
            if key not in columns:
                raise unknown_name(f"tensor of keys in {path}", key, columns)
            return tensors[key].numpy()

        n_vectors = getattr(tensor, "n_vectors", None)
        tensor, bfloat16 = tensor.detach(), tensor.dtype is torch.bfloat16
        source = Source(
            tensor.view(torch.int16).numpy().view(np.uint16) if bfloat16 else tensor.numpy(),
            address=address,
            format=self.name,
            dtype="bfloat16" if bfloat16 else None,
            convert=from_bfloat16 if bfloat16 else None,
            location=path,
            member=name or None,
            keys=keys,
            min_rows=min_rows,
        )
        source.n_vectors = None if n_vectors is None or tensor.ndim != 2 else np.array(n_vectors)
        return source

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer that collects the rows in a mapped file and saves them with the contents of `source`."""
        return SequentialWriter(_open_writer(path, shape, dtype, same_format(source, self.name)))


def load(torch: Any, path: Path) -> Any:
    """Load the file with its tensors mapped. Only tensors and plain values are unpickled."""
    import pickle

    with path.open("rb") as file:
        start = file.read(4)
    zipped = start == b"PK\x03\x04"
    if not zipped and start[:1] != b"\x80":
        raise InputError(f"{path}: is no file of torch.save, as its first bytes show; write it again with torch.save")
    try:
        with warnings.catch_warnings():
            # PyTorch 2.14 announces that it validates sparse tensors, whether or not the file holds one.
            warnings.filterwarnings("ignore", message="Validating sparse tensor invariants")
            # Files older than PyTorch 1.6 are no archives and cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise InputError(
                f"{path}: holds Python objects beside tensors, which are never loaded; if you trust it, run torch.load"
                f"({path.name[-24:]!r}, weights_only=False) and save its arrays as tensors"
            ) from None
        raise _incomplete(path, error) from None
    except Exception as error:  # bytes that are no archive raise errors of every kind
        raise _incomplete(path, error) from None


def load_tensors(torch: Any, path: Path, member: str | None = None) -> dict[str, Any]:
    """Return the tensors of the file by name, mapped. A single tensor without a name has the name ''.

    Nested dictionaries have names such as 'features/image'. `member` selects an entry of a list by its number.
    """
    loaded = load(torch, path)
    address = str(path)
    if _is_list_of_tensors(torch, loaded):
        are_modalities = _are_modalities(loaded)
        if isinstance(loaded, tuple) and are_modalities:
            loaded = torch.stack(loaded)
        elif member is not None and member.isdecimal() and int(member) < len(loaded):
            return {"": loaded[int(member)]}
        elif are_modalities:
            warnings.warn(
                f"{path}: holds {len(loaded)} tensors of shape {tuple(loaded[0].shape)}, which are read as batches of "
                f"one modality; if they are modalities, give {path}::0 and {path}::1",
                IsthmusWarning,
                stacklevel=2,
            )
    tensors = _named_tensors(torch, loaded, "", address)
    if not tensors:
        raise InputError(
            f"{path}: holds {type_of(loaded)} without tensors, expected a tensor or a dict of tensors; convert "
            "lists of numbers with torch.tensor before torch.save"
        )
    if "" in tensors and member is not None:
        raise InputError(f"{path}::{member}: holds one tensor without a name; leave out '::{member}'")
    return tensors


def _named_tensors(torch: Any, value: Any, name: str, address: str) -> dict[str, Any]:
    """Return the tensors in a value by name. Lists are concatenated, also lists of dictionaries, one for each batch."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    if _is_list_of_tensors(torch, value):
        return {name: _concat(torch, value, f"{address}::{name}" if name else address)}
    if isinstance(value, (list, tuple)) and value and all(isinstance(batch, dict) for batch in value):
        if any(batch.keys() != value[0].keys() for batch in value):
            raise InputError(f"{address}: holds a list of dictionaries with different keys; save one dictionary")
        value = {key: [batch[key] for batch in value] for key in value[0]}
    tensors: dict[str, Any] = {}
    if isinstance(value, dict):
        for key, entry in value.items():
            tensors |= _named_tensors(torch, entry, f"{name}/{key}" if name else str(key), address)
    return tensors


def _is_list_of_tensors(torch: Any, value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(entry, torch.Tensor) for entry in value)


def _are_modalities(tensors: Sequence[Any]) -> bool:
    """Return whether a few matrices of one shape may be the modalities of the same items."""
    shape = tuple(tensors[0].shape)
    return (
        shape[0] > 1
        and n_stacked((len(tensors), *shape)) > 0
        and all(tuple(tensor.shape) == shape for tensor in tensors)
    )


def _are_vectors(tensors: Collection[Any]) -> bool:
    """Return whether each tensor holds one vector, (d,) or (1, d)."""
    return all(tensor.ndim == 1 or (tensor.ndim == 2 and tensor.shape[0] == 1) for tensor in tensors)


def _concat(torch: Any, tensors: Sequence[Any], address: str) -> Any:
    """Return a list of vectors, or of batches of them, as one matrix. A batch of one row may be a vector."""
    batches = [tensor[None] if tensor.ndim == 1 else tensor for tensor in tensors]
    shapes = list(dict.fromkeys(tuple(tensor.shape[1:]) for tensor in batches))
    if len(shapes) > 1 or len(shapes[0]) not in (1, 2):
        first, last = tuple(tensors[0].shape), next(tuple(t.shape) for t in tensors if tuple(t.shape[-1:]) != shapes[0])
        raise InputError(
            f"{address}: holds {len(tensors):,} tensors of the shapes {first}, {last} ..., expected vectors or batches "
            f"of one width; {address}::0 selects the first one"
        )
    joined = torch.cat(batches)
    joined.n_vectors = [len(batch) for batch in batches]  # of each item, if the list holds sets of vectors
    return joined


def _incomplete(path: Path, error: Exception) -> InputError:
    return errors.incomplete_file(path, "file of tensors", error, "save it again with torch.save")


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source | None) -> Iterator[WriteBlock]:
    """Collect the rows in a nameless mapped file, and save them with the contents of `template`."""
    torch = errors.import_optional("torch", "torch", f"writing {path}")
    rows = temporary_rows(path.parent, dtype, shape)

    def write_block(start: int, block: np.ndarray) -> None:
        rows[start : start + len(block)] = block

    yield write_block
    tensor = torch.from_numpy(rows)
    if template is None or template.member is None:
        torch.save(tensor, path)
    else:
        torch.save(_with_tensor(load(torch, template.location), template.member, tensor), path)


def _with_tensor(content: Any, name: str, tensor: Any) -> Any:
    """Return the content of a file with a new tensor of this name. Lists of batches leave only the tensor."""
    if not isinstance(content, dict):
        return {name: tensor}
    head, _, tail = name.partition("/")
    if tail and name not in content:
        return content | {head: _with_tensor(content.get(head), tail, tensor)}
    return content | {name: tensor}
