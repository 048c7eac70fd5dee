"""Dual encoders of transformers: CLIP, SigLIP, CLAP and every other with get_text_features and get_image_features."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np

from isthmus.encode._base import Encoder, refused
from isthmus.utils.errors import InputError

#: SigLIP was trained on texts padded to the full context, without a mask, and gives other vectors otherwise.
_PADDED_WHOLE = ("siglip",)
_DRAWING = threading.Lock()


class Transformers(Encoder):
    """`get_image_features` (or `get_audio_features`) and `get_text_features` of a model with its processor."""

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
        return self._sounds(media)

    def _sounds(self, media: list[Any]) -> Any:
        """Each sound alone: CLAP's extractor crops long ones at random and, where none is long, marks one at random."""
        import torch

        extractor = self.processor.feature_extractor
        alone = []
        for sound in media:
            with _DRAWING:  # it draws from NumPy's global generator: always the same crop for the same sound
                state = np.random.get_state()  # noqa: NPY002
                np.random.seed(0)  # noqa: NPY002
                try:
                    alone.append(extractor(sound, sampling_rate=self.sampling_rate, return_tensors="pt"))
                finally:
                    np.random.set_state(state)  # noqa: NPY002
            if "is_longer" in alone[-1]:
                frames, most = (samples // extractor.hop_length for samples in (len(sound), extractor.nb_max_samples))
                alone[-1]["is_longer"] = torch.tensor([[frames > most]])
        whole = alone[0]
        for name in list(whole):
            whole[name] = torch.cat([one[name] for one in alone])
        return whole

    def preprocessing(self) -> dict[str, Any]:
        part = self.processor.image_processor if self.modality == "image" else self.processor.feature_extractor
        tokenizer = self.processor.tokenizer
        return {
            self.modality: {"class": type(part).__name__, **_plain(part.to_dict())},
            "text": type(tokenizer).__name__,
            "context_length": self._context(),
            "padding": self._padding(),
        }

    def _media(self, inputs: Any) -> Any:
        features = self.model.get_image_features if self.modality == "image" else self.model.get_audio_features
        return features(**inputs.to(self.device))

    def _texts(self, texts: list[str]) -> Any:
        inputs = self.processor.tokenizer(
            texts, padding=self._padding(), truncation=True, max_length=self._context(), return_tensors="pt"
        )
        return self.model.get_text_features(**inputs.to(self.device))

    def _padding(self) -> str | bool:
        return "max_length" if self.model.config.model_type.startswith(_PADDED_WHOLE) else True

    def _context(self) -> int:
        """The tokenizer's limit, or the model's where the tokenizer has none (it then says 1e30)."""
        text = getattr(self.model.config, "text_config", self.model.config)
        positions = getattr(text, "max_position_embeddings", 512)
        if getattr(text, "model_type", "").startswith(("roberta", "xlm-roberta", "clap_text")):
            positions -= text.pad_token_id + 1  # RoBERTa counts positions from after the padding token
        return int(min(self.processor.tokenizer.model_max_length, positions))


def open_model(place: str, *, device: str, dtype: str) -> Encoder:
    """The model and the processor in the folder `place`; code that lies beside the model is never run."""
    import transformers

    try:
        model, loading = transformers.AutoModel.from_pretrained(
            place, local_files_only=True, trust_remote_code=False, dtype="float32", output_loading_info=True
        )
    except Exception as error:  # whatever the library raises on files that do not fit together
        raise refused(place, "transformers", "the model", error) from error
    if loading["missing_keys"]:
        raise InputError(
            f"{place}: {len(loading['missing_keys'])} weights of {type(model).__name__} are not in the files, such as "
            f"{min(loading['missing_keys'])}, and would be random; save the whole model there again"
        )
    if not hasattr(model, "get_text_features") or not (
        hasattr(model, "get_image_features") or hasattr(model, "get_audio_features")
    ):
        raise InputError(
            f"{place}: is a {type(model).__name__}, which has no get_text_features beside get_image_features or "
            "get_audio_features; expected a dual encoder such as CLIP, SigLIP or CLAP"
        )
    try:
        processor = transformers.AutoProcessor.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise refused(place, "transformers", "its processor", error) from error
    other = "image_processor" if hasattr(model, "get_image_features") else "feature_extractor"
    for part in ("tokenizer", other):
        if not hasattr(processor, part):
            raise InputError(f"{place}: its processor has no {part}; save the whole processor beside the model")
    return Transformers(model.to(device).eval(), processor, device=device, dtype=dtype)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` without arrays (CLAP's filter banks follow from the numbers beside them)."""
    return {k: v for k, v in settings.items() if isinstance(v, (str, int, float, bool, dict, list, type(None)))}
