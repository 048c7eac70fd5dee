"""What a backend is: something that turns images (or sounds) and texts into rows of one space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np

from isthmus.utils.errors import InputError, unknown_name

DTYPES = ("float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps")


class Encoder(ABC):
    """A dual encoder with its preprocessing. A backend fills in `prepare`, `_media` and `_texts`.

    `device` and `dtype` are those of the computing: weights stay float32, and float16 or bfloat16 mean autocast.
    """

    #: Name of the backend, as `--backend` takes it.
    backend: ClassVar[str]
    #: The libraries whose versions decide what comes out.
    libraries: ClassVar[tuple[str, ...]]
    #: What stands opposite the texts.
    modality: Literal["image", "audio"] = "image"
    #: Samples per second that the model expects of sounds.
    sampling_rate: int = 0

    #: Name, revision and digests of the files of the model.
    source: dict[str, Any]

    def __init__(self, *, device: str, dtype: str):
        self.device = device
        self.dtype = dtype
        self.source = {}

    @abstractmethod
    def prepare(self, media: list[Any]) -> Any:
        """What `encode_media` takes, from PIL images (RGB) or mono waveforms. Called in the loader threads."""

    def encode_media(self, inputs: Any) -> np.ndarray:
        """The vectors (n, d), float32 and as long as the model makes them, of what `prepare` returned."""
        return self._run(self._media, inputs)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """The vectors (n, d) of `texts`; what is longer than the model's context is cut by its tokenizer."""
        return self._run(self._texts, texts)

    @abstractmethod
    def preprocessing(self) -> dict[str, Any]:
        """How pixels and words become inputs, as JSON."""

    @abstractmethod
    def _media(self, inputs: Any) -> Any:
        """Tensor (n, d) of the prepared inputs."""

    @abstractmethod
    def _texts(self, texts: list[str]) -> Any:
        """Tensor (n, d) of the texts."""

    def _run(self, encode: Callable[[Any], Any], inputs: Any) -> np.ndarray:
        import torch

        kind = torch.device(self.device).type
        lower = None if self.dtype == "float32" else getattr(torch, self.dtype)
        with torch.inference_mode(), torch.autocast(kind, dtype=lower, enabled=lower is not None):
            try:
                rows = encode(inputs)
            except torch.cuda.OutOfMemoryError:
                raise InputError(
                    f"the batch does not fit into the memory of {self.device}; use a smaller one (--batch)"
                ) from None
        # transformers 5 returns an object with the pooled vector, earlier ones return it bare.
        rows = rows if isinstance(rows, torch.Tensor) else rows.pooler_output
        if rows.ndim != 2:
            raise InputError(
                f"the model returns features of shape {tuple(rows.shape)}, expected one vector for each input (n, d)"
            )
        return rows.float().cpu().numpy()


def resolve_device(device: str) -> str:
    """`device`, or the best one there is for 'auto'; `InputError` for one that this machine does not have."""
    import torch

    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise unknown_name("device", device, DEVICES)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, found in there.items() if found)
    if not there[kind]:
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise InputError(f"the device {device!r} is not there; torch sees {found}: give one of them or auto")
    return device


def check_dtype(dtype: str) -> str:
    """`dtype` if it is one that models can run in."""
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    return dtype


def refused(place: str, library: str, what: str, error: Exception) -> InputError:
    """The error for files that `library` cannot load, with the first line of what it says."""
    lines = str(error).strip().splitlines()
    return InputError(
        f"{place}: {library} cannot load {what} ({lines[0][:300] if lines else type(error).__name__}); save the whole "
        "model there again"
    )
