"""Base class of the backends, which encode images (or sounds) and texts as rows of one space."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from isthmus.utils.errors import InputError, first_line, unknown_name

DTYPES = ("float32", "bfloat16", "float16")
ROLES = ("query", "document")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Instructions:
    """Role and prompt of the images (or sounds) and of the texts, for models that take instructions.

    Parameters
    ----------
    media_role, text_role : {"query", "document"} or None, default None
        Role in a search. Models with roles encode queries and documents in two ways.
    media_prompt, text_prompt : str or None, default None
        Text before each input, such as an instruction. It replaces the prompt that the model has for the role.

    Raises
    ------
    InputError
        If a role is unknown.

    Examples
    --------
    >>> Instructions(text_role="query").to_dict()["text"]
    {'role': 'query', 'prompt': None}
    """

    media_role: str | None = None
    text_role: str | None = None
    media_prompt: str | None = None
    text_prompt: str | None = None

    def __post_init__(self) -> None:
        for role in (self.media_role, self.text_role):
            if role not in (None, *ROLES):
                raise unknown_name("role", str(role), ROLES)

    def to_dict(self) -> dict[str, dict[str, str | None]]:
        """Return JSON values.

        Returns
        -------
        dict
            Role and prompt of 'media' and 'text'.
        """
        return {
            "media": {"role": self.media_role, "prompt": self.media_prompt},
            "text": {"role": self.text_role, "prompt": self.text_prompt},
        }


class Encoder(ABC):
    """Encode images (or sounds) and texts with a dual encoder and its preprocessing.

    A backend implements `prepare`, `media_features`, `text_features` and `preprocessing`.

    Parameters
    ----------
    device : str
        Device of the model, such as 'cpu' or 'cuda:1'.
    dtype : {"float32", "bfloat16", "float16"}
        Precision of the computation. Weights stay float32. The half-precision types use autocast.

    Attributes
    ----------
    backend : str
        Name of the backend, as `--backend` takes it.
    libraries : tuple of str
        Libraries whose versions determine the vectors.
    modality : {"image", "audio"}
        Modality beside the texts.
    media : tuple of str
        Modalities that the model encodes beside the texts.
    sampling_rate : int
        Samples per second that the model expects of sounds.
    source : dict
        Name, revision and digests of the files of the model.
    instructions : Instructions
        Roles and prompts.
    has_roles : bool
        Whether the library applies roles and prompts itself. Otherwise a prompt is put before each text.

    Examples
    --------
    >>> class Lengths(Encoder):
    ...     backend, libraries = "lengths", ("numpy",)
    ...     def prepare(self, media): return media
    ...     def media_features(self, inputs): raise NotImplementedError
    ...     def text_features(self, texts): raise NotImplementedError
    ...     def preprocessing(self): return {}
    >>> Lengths(device="cpu", dtype="float32").modality
    'image'
    """

    backend: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]]
    modality: Literal["image", "audio"] = "image"
    sampling_rate: int = 0
    source: dict[str, Any]
    has_roles: ClassVar[bool] = False
    instructions: Instructions = Instructions()

    def __init__(self, *, device: str, dtype: str):
        self.device = device
        self.dtype = dtype
        self.source = {}

    @property
    def media(self) -> tuple[str, ...]:
        """Return the modalities that the model encodes beside the texts. Omni models have several."""
        return (self.modality,)

    def for_media(self, modality: str) -> Encoder:
        """Return this encoder for another modality beside the texts. The model is shared.

        Parameters
        ----------
        modality : {"image", "audio"}
            One of `media`.

        Returns
        -------
        Encoder
            The encoder.

        Raises
        ------
        InputError
            If the model does not encode this modality.
        """
        if modality not in self.media:
            raise InputError(f"the model encodes {', '.join((*self.media, 'text'))}, and not {modality!r}")
        encoder = copy.copy(self)
        encoder.modality = cast("Any", modality)
        return encoder

    @abstractmethod
    def prepare(self, media: list[Any]) -> Any:
        """Convert images or sounds to the input of `encode_media`. Runs in the loader threads.

        Parameters
        ----------
        media : list of PIL.Image or ndarray
            RGB images or mono waveforms.

        Returns
        -------
        object
            Input of `encode_media`.
        """

    def encode_media(self, inputs: Any) -> np.ndarray:
        """Encode prepared images or sounds.

        Parameters
        ----------
        inputs : object
            Result of `prepare`.

        Returns
        -------
        ndarray of shape (n, d)
            Vectors in float32, not normalised.

        Raises
        ------
        InputError
            If the batch does not fit into memory, or the model returns no vectors.
        """
        return self._run(self.media_features, inputs)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Encode texts. The tokenizer truncates texts that are longer than the context of the model.

        Parameters
        ----------
        texts : list of str
            Texts.

        Returns
        -------
        ndarray of shape (n, d)
            Vectors in float32, not normalised.

        Raises
        ------
        InputError
            If the batch does not fit into memory, or the model returns no vectors.
        """
        prompt = None if self.has_roles else self.instructions.text_prompt
        return self._run(self.text_features, [f"{prompt}{text}" for text in texts] if prompt else texts)

    @abstractmethod
    def preprocessing(self) -> dict[str, Any]:
        """Describe the preprocessing of pixels (or samples) and words.

        Returns
        -------
        dict
            JSON values, which the record of a run stores.
        """

    @abstractmethod
    def media_features(self, inputs: Any) -> Any:
        """Compute the features of prepared images or sounds.

        Parameters
        ----------
        inputs : object
            Result of `prepare`.

        Returns
        -------
        Tensor of shape (n, d)
            Features, or an object whose `pooler_output` holds them.
        """

    @abstractmethod
    def text_features(self, texts: list[str]) -> Any:
        """Compute the features of texts.

        Parameters
        ----------
        texts : list of str
            Texts.

        Returns
        -------
        Tensor of shape (n, d)
            Features, or an object whose `pooler_output` holds them.
        """

    def _run(self, encode: Callable[[Any], Any], inputs: Any) -> np.ndarray:
        """Call a forward pass in inference mode and return its vectors in float32."""
        import torch

        device_type = torch.device(self.device).type
        autocast_dtype = None if self.dtype == "float32" else getattr(torch, self.dtype)
        autocast = torch.autocast(device_type, dtype=autocast_dtype, enabled=autocast_dtype is not None)
        with torch.inference_mode(), autocast:
            try:
                rows = encode(inputs)
            except torch.cuda.OutOfMemoryError:
                raise InputError(
                    f"the batch does not fit into the memory of {self.device}; use a smaller one (--batch)"
                ) from None
        # transformers 5 returns an object with the pooled vector, earlier versions return the vector.
        rows = rows if isinstance(rows, torch.Tensor) else rows.pooler_output
        if rows.ndim != 2:
            raise InputError(
                f"the model returns features of shape {tuple(rows.shape)}, expected one vector for each input (n, d)"
            )
        return rows.float().cpu().numpy()


def resolve_device(device: str) -> str:
    """Return `device`, or the best available one for 'auto'. Raise InputError if this machine does not have it."""
    import torch

    device_type = device.partition(":")[0]
    if device_type not in DEVICES:
        raise unknown_name("device", device, DEVICES)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, is_available in available.items() if is_available)
    if not available[device_type]:
        names = ", ".join(name for name, is_available in available.items() if is_available)
        raise InputError(f"the device {device!r} is not available; torch sees {names}: give one of them or auto")
    return device


def check_dtype(dtype: str) -> str:
    """Return `dtype`, or raise InputError if models cannot run in it."""
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    return dtype


def load_error(location: str, library: str, item: str, error: Exception) -> InputError:
    """Return the InputError for files that `library` cannot load, with the first line of its message."""
    reason = first_line(error, 150)
    return InputError(f"{location}: {library} cannot load {item} ({reason}); save the whole model in this folder again")
