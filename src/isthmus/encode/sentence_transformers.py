"""Multimodal models of sentence-transformers, which encode images, sounds and texts with `encode`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from isthmus.encode._base import Encoder, load_error
from isthmus.utils.errors import InputError, first_line


class SentenceTransformers(Encoder):
    """Encode with `SentenceTransformer.encode`. The library prepares images and texts itself."""

    backend: ClassVar[str] = "sentence_transformers"
    libraries: ClassVar[tuple[str, ...]] = (
        *("sentence_transformers", "transformers", "torch", "torchvision"),
        *("tokenizers", "pillow"),
    )

    has_roles: ClassVar[bool] = True

    def __init__(self, model: Any, **options: str):
        super().__init__(**options)
        self.model = model
        self._takes_batches = True
        self.modality = "image" if model.supports("image") else "audio"
        if model.supports("audio"):
            self.sampling_rate = _sampling_rate(model)

    @property
    def media(self) -> tuple[str, ...]:
        """Return the modalities that the model encodes beside the texts."""
        return tuple(name for name in ("image", "audio") if self.model.supports(name))

    def prepare(self, media: list[Any]) -> Any:
        if self.modality == "image":
            return media
        # A router would take the keys of a plain dictionary for the names of its routes.
        return [{"audio": {"array": sound, "sampling_rate": self.sampling_rate}} for sound in media]

    def preprocessing(self) -> dict[str, Any]:
        return {
            "modules": str(self.model),
            "max_seq_length": self.model.max_seq_length,
            "prompts": dict(self.model.prompts),
        }

    def media_features(self, inputs: Any) -> Any:
        role, prompt = self.instructions.media_role, self.instructions.media_prompt
        if not self._takes_batches:
            return self._encode_singly(inputs, role, prompt)
        try:
            rows = self._encode(inputs, role, prompt)
        except InputError:
            if len(inputs) == 1:
                raise
            rows = None
        if rows is None or len(rows) != len(inputs):
            # Processors without a chat template take a list of images for one document with several images.
            rows = self._encode_singly(inputs, role, prompt)
            self._takes_batches = False
        return rows

    def text_features(self, texts: list[str]) -> Any:
        return self._encode(texts, self.instructions.text_role, self.instructions.text_prompt)

    def _encode_singly(self, inputs: list[Any], role: str | None, prompt: str | None) -> Any:
        import torch

        return torch.cat([self._encode([item], role, prompt) for item in inputs])

    def _encode(self, inputs: list[Any], role: str | None, prompt: str | None) -> Any:
        import torch

        encode = self.model.encode if role is None else getattr(self.model, f"encode_{role}")
        try:
            return encode(
                inputs,
                prompt=prompt,
                batch_size=len(inputs),
                convert_to_tensor=True,
                show_progress_bar=False,
                normalize_embeddings=False,
            )
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # processors raise many exceptions on inputs that they do not take
            kind = "texts" if isinstance(inputs[0], str) else {"image": "images", "audio": "sounds"}[self.modality]
            raise InputError(
                f"sentence-transformers cannot encode {kind} with this model ({type(error).__name__}: "
                f"{first_line(error, 120)}); update sentence-transformers and transformers, or report it to them"
            ) from error


def open_model(location: str, *, device: str, dtype: str) -> Encoder:
    """Open the model in the folder `location`. Code in that folder is never run."""
    from sentence_transformers import SentenceTransformer, __version__

    if int(__version__.partition(".")[0]) < 6:  # earlier versions trust every local folder
        raise InputError(
            f"sentence-transformers {__version__} runs code in the folder of a model; update it to 6 or later"
        )
    try:
        with _collect_missing_weights() as missing_weights:
            model = SentenceTransformer(location, device=device, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library raises many exceptions on files that do not match
        raise load_error(location, "sentence-transformers", "the model", error) from error
    if missing_weights:
        raise InputError(
            f"{location}: some weights are not in the files and would be random ({missing_weights[0]}); save the whole "
            "model in this folder again"
        )
    if not ((model.supports("image") or model.supports("audio")) and model.supports("text")):
        raise InputError(
            f"{location}: encodes {', '.join(map(str, model.modalities))}, expected images and texts, as CLIP does, or "
            "sounds and texts"
        )
    return SentenceTransformers(model.eval(), device=device, dtype=dtype)


def _sampling_rate(model: Any) -> int:
    """Return the samples per second of the first module that takes sounds, which may be behind a router."""
    for module in model.modules():
        extractor: Any = getattr(getattr(module, "processor", None), "feature_extractor", None)
        if hasattr(extractor, "sampling_rate"):
            return int(extractor.sampling_rate)
    raise InputError("the model takes sounds and does not tell their sampling rate; save its processor with it")


@contextmanager
def _collect_missing_weights() -> Iterator[list[str]]:
    """Collect the weights that transformers reports as newly initialised.

    sentence-transformers passes on no other information than this log message.
    """
    missing_weights: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if "newly initialized" in message:
                names = [line.partition("|")[0].strip() for line in message.splitlines() if "| MISSING" in line]
                missing_weights.append(", ".join(names[:3]) or message.splitlines()[0])

    logger, listener = logging.getLogger("transformers.modeling_utils"), Listener(logging.WARNING)
    level = logger.level
    logger.addHandler(listener)
    if not logger.isEnabledFor(logging.WARNING):  # if the user has set transformers to errors only
        logger.setLevel(logging.WARNING)  # else the library would check its plans for several devices, and print them
    try:
        yield missing_weights
    finally:
        logger.setLevel(level)
        logger.removeHandler(listener)
