"""Dual encoders of transformers: CLIP, SigLIP, CLAP and others with get_text_features and get_image_features."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np

from isthmus.encode._base import Encoder, load_error
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError

#: Model types that were trained on texts padded to the full context without a mask. Other padding changes the vectors.
_FULLY_PADDED = ("siglip",)
#: CLAP's extractor draws from NumPy's global generator.
_RANDOM_STATE_LOCK = threading.Lock()
#: Context of a model whose configuration has none.
_DEFAULT_CONTEXT = 512


class Transformers(Encoder):
    """Encode with `get_image_features` (or `get_audio_features`) and `get_text_features` of a model."""

    backend: ClassVar[str] = "transformers"
    libraries: ClassVar[tuple[str, ...]] = ("transformers", "torch", "torchvision", "tokenizers", "pillow")

    def __init__(self, model: Any, processor: Any, **options: str):
        super().__init__(**options)
        self.model, self.processor = model, processor
        self.modality = "image" if hasattr(model, "get_image_features") else "audio"
        if self.modality == "audio":
            self.sampling_rate = int(processor.feature_extractor.sampling_rate)

    def prepare(self, media: list[Any]) -> Any:
        if self.modality == "image":
            return self.processor.image_processor(images=media, return_tensors="pt")
        return self._prepare_sounds(media)

    def _prepare_sounds(self, sounds: list[Any]) -> Any:
        """Prepare each sound alone and concatenate the results.

        CLAP's extractor crops long sounds at random. If no sound of a batch is long, it marks a random one as long.
        """
        import torch

        extractor = self.processor.feature_extractor
        prepared = []
        for sound in sounds:
            with _RANDOM_STATE_LOCK:  # the fixed seed gives a sound the same crop in every run
                state = np.random.get_state()  # noqa: NPY002
                np.random.seed(0)  # noqa: NPY002
                try:
                    inputs = extractor(sound, sampling_rate=self.sampling_rate, return_tensors="pt")
                finally:
                    np.random.set_state(state)  # noqa: NPY002
            if "is_longer" in inputs:
                n_frames = len(sound) // extractor.hop_length
                max_frames = extractor.nb_max_samples // extractor.hop_length
                inputs["is_longer"] = torch.tensor([[n_frames > max_frames]])
            prepared.append(inputs)
        batch = prepared[0]
        for name in list(batch):
            batch[name] = torch.cat([inputs[name] for inputs in prepared])
        return batch

    def preprocessing(self) -> dict[str, Any]:
        is_image = self.modality == "image"
        media_processor = self.processor.image_processor if is_image else self.processor.feature_extractor
        return {
            self.modality: {"class": type(media_processor).__name__, **_without_arrays(media_processor.to_dict())},
            "text": type(self.processor.tokenizer).__name__,
            "context_length": self._context_length(),
            "padding": self._padding(),
        }

    def media_features(self, inputs: Any) -> Any:
        features = self.model.get_image_features if self.modality == "image" else self.model.get_audio_features
        return features(**inputs.to(self.device))

    def text_features(self, texts: list[str]) -> Any:
        inputs = self.processor.tokenizer(
            texts, padding=self._padding(), truncation=True, max_length=self._context_length(), return_tensors="pt"
        )
        return self.model.get_text_features(**inputs.to(self.device))

    def _padding(self) -> str | bool:
        return "max_length" if self.model.config.model_type.startswith(_FULLY_PADDED) else True

    def _context_length(self) -> int:
        """Return the tokenizer's limit, or the model's if the tokenizer has none (its limit is then 1e30)."""
        text_config = getattr(self.model.config, "text_config", self.model.config)
        positions = getattr(text_config, "max_position_embeddings", _DEFAULT_CONTEXT)
        if getattr(text_config, "model_type", "").startswith(("roberta", "xlm-roberta", "clap_text")):
            positions -= text_config.pad_token_id + 1  # RoBERTa counts positions from after the padding token
        return int(min(self.processor.tokenizer.model_max_length, positions))


def open_model(location: str, *, device: str, dtype: str) -> Encoder:
    """Open the model and the processor in the folder `location`. Code in that folder is never run."""
    import transformers

    try:
        model, loading = transformers.AutoModel.from_pretrained(
            location, local_files_only=True, trust_remote_code=False, dtype="float32", output_loading_info=True
        )
    except Exception as error:  # the library raises many exceptions on files that do not match
        raise load_error(location, "transformers", "the model", error) from error
    if loading["missing_keys"]:
        raise InputError(
            f"{location}: {len(loading['missing_keys'])} weights of {type(model).__name__} are not in the files, such "
            f"as {min(loading['missing_keys'])}, and would be random; save the whole model in this folder again"
        )
    if not hasattr(model, "get_text_features") or not (
        hasattr(model, "get_image_features") or hasattr(model, "get_audio_features")
    ):
        raise InputError(
            f"{location}: is {type_of(model)}, which has no get_text_features with get_image_features or "
            "get_audio_features; expected a dual encoder such as CLIP, SigLIP or CLAP, or a model with a pooling layer "
            "that sentence-transformers has saved"
        )
    try:
        processor = transformers.AutoProcessor.from_pretrained(location, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise load_error(location, "transformers", "its processor", error) from error
    media_processor = "image_processor" if hasattr(model, "get_image_features") else "feature_extractor"
    for name in ("tokenizer", media_processor):
        if not hasattr(processor, name):
            raise InputError(f"{location}: its processor has no {name}; save the whole processor beside the model")
    return Transformers(model.to(device).eval(), processor, device=device, dtype=dtype)


def _without_arrays(settings: dict[str, Any]) -> dict[str, Any]:
    """Return `settings` without arrays. The filter banks of CLAP follow from its other settings."""
    return {k: v for k, v in settings.items() if isinstance(v, (str, int, float, bool, dict, list, type(None)))}
