"""Multimodal models of sentence-transformers: what `encode` makes of PIL images and of texts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from isthmus.encode._base import Encoder, refused
from isthmus.utils.errors import InputError


class SentenceTransformers(Encoder):
    """`SentenceTransformer.encode`; the library prepares images and texts itself."""

    backend: ClassVar[str] = "sentence_transformers"
    libraries: ClassVar[tuple[str, ...]] = (
        *("sentence_transformers", "transformers", "torch", "torchvision"),
        *("tokenizers", "pillow"),
    )

    def __init__(self, model: Any, **options: str):
        super().__init__(**options)
        self.model = model

    def prepare(self, media: list[Any]) -> Any:
        return media

    def preprocessing(self) -> dict[str, Any]:
        return {"modules": str(self.model), "max_seq_length": self.model.max_seq_length}

    def _media(self, inputs: Any) -> Any:
        return self._encode(inputs)

    def _texts(self, texts: list[str]) -> Any:
        return self._encode(texts)

    def _encode(self, inputs: list[Any]) -> Any:
        return self.model.encode(
            inputs, batch_size=len(inputs), convert_to_tensor=True, show_progress_bar=False, normalize_embeddings=False
        )


def open_model(place: str, *, device: str, dtype: str) -> Encoder:
    """The model in the folder `place`; code that lies beside the model is never run."""
    from sentence_transformers import SentenceTransformer, __version__

    if int(__version__.partition(".")[0]) < 6:  # it trusts every folder on this machine
        raise InputError(
            f"sentence-transformers {__version__} runs code that lies beside a model; update it to 6 or later"
        )
    try:
        with _random_weights() as random:
            model = SentenceTransformer(place, device=device, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever the library raises on files that do not fit together
        raise refused(place, "sentence-transformers", "the model", error) from error
    if random:
        raise InputError(
            f"{place}: some weights are not in the files and would be random ({random[0]}); save the whole model "
            "there again"
        )
    if not (model.supports("image") and model.supports("text")):
        raise InputError(
            f"{place}: encodes {', '.join(map(str, model.modalities))}, expected images and texts, as of CLIP"
        )
    return SentenceTransformers(model.eval(), device=device, dtype=dtype)


@contextmanager
def _random_weights() -> Iterator[list[str]]:
    """Collects what transformers says of weights that it draws at random; sentence-transformers passes nothing on
    but these words."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words = record.getMessage()
            if "newly initialized" in words:
                missing = [line.partition("|")[0].strip() for line in words.splitlines() if "| MISSING" in line]
                found.append(", ".join(missing[:3]) or words.splitlines()[0])

    logger, listener = logging.getLogger("transformers.modeling_utils"), Listener(logging.WARNING)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.WARNING)  # also where the user has asked transformers for silence
    try:
        yield found
    finally:
        logger.setLevel(level)
        logger.removeHandler(listener)
