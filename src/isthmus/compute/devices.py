"""PyTorch devices: is one there, and rows on their way from disk to it.

PyTorch is imported when a device is asked for and not before. 'cpu' goes through the same code as 'cuda'.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from isthmus.utils.errors import InputError


def validate_device(name: str) -> str:
    """`name` when PyTorch has that device; `InputError` in one sentence when it has not."""
    torch = _torch(name)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device {name!r}, expected 'cpu', 'cuda' or 'cuda:0'") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"unknown device {name!r}, expected 'cpu', 'cuda' or 'cuda:0'")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError(
                f"device {name!r} was asked for, but PyTorch {torch.__version__} sees no CUDA device; use a machine "
                "and a build of PyTorch with CUDA, or leave the device out"
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise InputError(f"device {name!r} was asked for, but there are {torch.cuda.device_count()} CUDA devices")
    return name


_thread_state = threading.local()


class HostToDeviceCopier:
    """Puts blocks of NumPy rows on a device, in the dtype of the computation.

    Rows are copied into page-locked memory, two blocks in turn, and travel while the device still works on the block
    before; a block is overwritten only when its journey is over. On 'cpu' the staging memory is what is computed on.
    """

    def __init__(self, device: str, dtype: str):
        self._torch = _torch(device)
        self.device = self._torch.device(device)
        self.dtype = getattr(self._torch, dtype)
        self._staged: list[tuple[Any, Any]] = []  # (host rows, event of their journey)
        self._stream: Any = None

    def __call__(self, block: np.ndarray) -> Any:
        """The rows of `block`, (n, d), on the device."""
        torch, cuda = self._torch, self.device.type == "cuda"
        if len(self._staged) == 2:
            host, event = self._staged.pop(0)
            if event is not None:
                event.synchronize()
        else:
            host, event = torch.empty(0, dtype=self.dtype), None
        if host.shape[0] < block.shape[0] or host.shape[1:] != block.shape[1:]:
            host = torch.empty(block.shape, dtype=self.dtype, pin_memory=cuda)
        rows = host[: block.shape[0]]
        np.copyto(rows.numpy(), block, casting="same_kind")
        if not cuda:
            self._staged.append((host, None))
            return rows.to(self.device)
        self._stream = self._stream or torch.cuda.Stream(self.device)
        with torch.cuda.stream(self._stream):  # beside the stream that computes
            moved = rows.to(self.device, non_blocking=True)
            event = self._stream.record_event()
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(event)
        moved.record_stream(computing)  # its memory is not given away before the computation is over
        self._staged.append((host, event))
        return moved


def to_device_cached(rows: np.ndarray, device: str, dtype: str) -> Any:
    """`rows` on the device through page-locked memory that this thread keeps; on 'cpu' valid until the next call."""
    loaders: dict[tuple[str, str], HostToDeviceCopier] = _thread_state.__dict__.setdefault("loaders", {})
    return loaders.setdefault((device, dtype), HostToDeviceCopier(device, dtype))(rows)


def to_device(rows: np.ndarray, device: str) -> Any:
    """All `rows` on the device."""
    return _torch(device).from_numpy(np.array(rows)).to(device)


@contextmanager
def full_precision() -> Iterator[None]:
    """Float32 products in float32, whatever the program allows elsewhere (TF32 keeps three digits)."""
    torch = _torch("cpu")
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # the program has set the newer switches, and PyTorch refuses to mix them with the older one
        with _ieee_precision([torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]):
            yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _ieee_precision(switches: list[Any]) -> Iterator[None]:
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


def _torch(device: str) -> Any:
    try:
        import torch
    except ImportError:
        raise InputError(f"device {device!r} needs PyTorch: pip install 'isthmus[torch]'") from None
    return torch
