"""PyTorch devices: validation, and copies of rows to a device.

PyTorch is imported when a device is requested and not before. 'cpu' uses the same code as 'cuda'.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from isthmus.utils.errors import InputError, MissingDependencyError

#: Copiers that each thread keeps.
_thread_state = threading.local()


def validate_device(name: str) -> str:
    """Return the name of a device that PyTorch has.

    Parameters
    ----------
    name : str
        'cpu', 'cuda' or 'cuda:0'.

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        If PyTorch lacks the device.
    MissingDependencyError
        If PyTorch is not installed.
    """
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
                f"device {name!r} was requested, but PyTorch {torch.__version__} sees no CUDA device; use a machine "
                "and a build of PyTorch with CUDA, or leave the device out"
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise InputError(f"device {name!r} was requested, but there are {torch.cuda.device_count()} CUDA devices")
    return name


class HostToDeviceCopier:
    """Copy blocks of NumPy rows to a device, in the dtype of the computation.

    Blocks are double-buffered through pinned host memory, so that a copy overlaps with the computation on the block
    before. A buffer is reused only after its asynchronous copy has completed. On 'cpu' the computation reads the
    buffer.

    Parameters
    ----------
    device : str
        PyTorch device.
    dtype : {'float32', 'float64'}
        Dtype of the rows on the device.
    """

    def __init__(self, device: str, dtype: str):
        self._torch = _torch(device)
        self.device = self._torch.device(device)
        self.dtype = getattr(self._torch, dtype)
        self._buffers: list[tuple[Any, Any]] = []  # (host rows, event of their copy)
        self._stream: Any = None

    def __call__(self, block: np.ndarray) -> Any:
        """Return the rows of a block (n, d) on the device."""
        torch, cuda = self._torch, self.device.type == "cuda"
        if len(self._buffers) == 2:
            host, event = self._buffers.pop(0)
            if event is not None:
                event.synchronize()
        else:
            host, event = torch.empty(0, dtype=self.dtype), None
        if host.shape[0] < block.shape[0] or host.shape[1:] != block.shape[1:]:
            host = torch.empty(block.shape, dtype=self.dtype, pin_memory=cuda)
        rows = host[: block.shape[0]]
        np.copyto(rows.numpy(), block, casting="same_kind")
        if not cuda:
            self._buffers.append((host, None))
            return rows.to(self.device)
        self._stream = self._stream or torch.cuda.Stream(self.device)
        with torch.cuda.stream(self._stream):  # beside the stream that computes
            on_device = rows.to(self.device, non_blocking=True)
            event = self._stream.record_event()
        compute_stream = torch.cuda.current_stream(self.device)
        compute_stream.wait_event(event)
        on_device.record_stream(compute_stream)  # its memory is not released before the computation has completed
        self._buffers.append((host, event))
        return on_device


def to_device_cached(rows: np.ndarray, device: str, dtype: str) -> Any:
    """Copy rows to the device through a pinned buffer of this thread.

    Parameters
    ----------
    rows : (n, d) array
        Rows.
    device : str
        PyTorch device.
    dtype : {'float32', 'float64'}
        Dtype of the rows on the device.

    Returns
    -------
    tensor
        The rows. On 'cpu' later calls overwrite them.
    """
    copiers: dict[tuple[str, str], HostToDeviceCopier] = _thread_state.__dict__.setdefault("copiers", {})
    if (device, dtype) not in copiers:
        copiers[device, dtype] = HostToDeviceCopier(device, dtype)
    return copiers[device, dtype](rows)


def to_device(rows: np.ndarray, device: str) -> Any:
    """Copy an array to the device.

    Parameters
    ----------
    rows : array
        NumPy array.
    device : str
        PyTorch device.

    Returns
    -------
    tensor
        A copy on the device.
    """
    return _torch(device).from_numpy(np.array(rows)).to(device)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute float32 products in float32 inside the block, whatever the program allows elsewhere.

    TensorFloat-32 keeps three digits only.
    """
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
    """Set the newer precision switches of PyTorch inside the block."""
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


def _torch(device: str) -> Any:
    """Import PyTorch for a device."""
    try:
        import torch
    except ImportError:
        raise MissingDependencyError(f"device {device!r} needs PyTorch: pip install 'isthmus[torch]'") from None
    return torch
