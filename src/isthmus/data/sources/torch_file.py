"""PyTorch's .pt and .pth: a tensor or a dictionary of tensors (FILE::KEY), mapped; nothing but tensors is unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources._base import Put, Source, Streamed, Writer, alike, bfloat16
from isthmus.data.sources._members import choose
from isthmus.data.sources.npy import into
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.files import temporary_rows

SUFFIXES = (".pt", ".pth")
MAGIC = None  # a .pt is a zip archive, as an .npz is
CARRIES_ON = False


def open_source(place: Path, member: str | None, min_rows: int = 2) -> Source:
    """The source in the tensor `member` of the file `place`; the only matrix when there is one."""
    torch = errors.import_optional("torch", "torch", f"reading {place}")
    tensors = tensors_of(torch, place)
    if set(tensors) == {""}:
        if member is not None:
            raise InputError(f"{place}::{member}: holds one tensor without a name; leave out '::{member}'")
        name, where = "", str(place)
    else:
        fit = [n for n, t in tensors.items() if t.ndim == 2 and t.is_floating_point()]
        if member is None and not fit:
            raise InputError(f"{place}: holds no tensor of floats of two dimensions, only {', '.join(tensors)}")
        name = choose(place, fit if member is None else list(tensors), member)
        where = f"{place}::{name}"
    tensor = tensors[name]
    if tensor.layout is not torch.strided or tensor.dtype not in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
    ):  # fmt: skip
        raise InputError(
            f"{where}: is a tensor of {tensor.dtype}, {tensor.layout}, expected dense float16, bfloat16, float32 or "
            "float64; convert it with .float()"
        )
    validation.check_matrix_shape(tensor.shape, where, min_rows=min_rows)

    def keys(key: str) -> Any:
        fit = [n for n, t in tensors.items() if t.ndim == 1 and not t.is_floating_point()]
        if key not in fit:
            raise unknown_name(f"tensor of keys in {place}", key, fit)
        return tensors[key].numpy()

    about: dict[str, Any] = {"where": where, "format": "torch", "place": place, "member": name or None, "keys": keys}
    if tensor.dtype is torch.bfloat16:
        bits = tensor.detach().view(torch.int16).numpy().view(np.uint16)
        return Source(bits, dtype="bfloat16", convert=bfloat16, min_rows=min_rows, **about)
    return Source(tensor.detach().numpy(), min_rows=min_rows, **about)


def load(torch: Any, place: Path) -> Any:
    """What is in the file, with its tensors mapped; nothing but tensors and plain values is unpickled."""
    import pickle

    with place.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    try:
        # Files older than PyTorch 1.6 are no archives and cannot be mapped.
        return torch.load(place, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise InputError(
                f"{place}: holds Python objects beside tensors, which are never loaded; save plain tensors"
            ) from None
        raise _broken(place, error) from None
    except Exception as error:  # bytes that are no archive bring up errors of every kind
        raise _broken(place, error) from None


def tensors_of(torch: Any, place: Path) -> dict[str, Any]:
    """The tensors of the file by name, mapped; the only one without a name has the name ''."""
    found = load(torch, place)
    if isinstance(found, torch.Tensor):
        return {"": found}
    if isinstance(found, dict):
        tensors = {str(key): value for key, value in found.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise InputError(f"{place}: holds a {type(found).__name__} without tensors, expected a tensor or a dict of tensors")


def _broken(place: Path, error: Exception) -> InputError:
    return InputError(
        f"{place}: is not a complete file of tensors ({errors.first_line(error)}); save it again with torch.save"
    )


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Collects blocks of rows in a mapped file beside `part` and saves them with what else is in `like`."""
    return Streamed(_begun(path, shape, dtype, alike(source, "torch")))


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source | None) -> Iterator[Put]:
    torch = errors.import_optional("torch", "torch", f"writing {part}")
    rows = temporary_rows(part.parent, dtype, shape)
    yield into(rows)
    tensor = torch.from_numpy(rows)
    if like is None or like.member is None:
        torch.save(tensor, part)
    else:
        torch.save(load(torch, like.place) | {like.member: tensor}, part)
