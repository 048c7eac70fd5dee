"""Models of open_clip: a folder with open_clip_config.json, or an architecture with a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from isthmus.encode._base import Encoder, load_error
from isthmus.utils.errors import InputError


class OpenClip(Encoder):
    """Encode with `encode_image` and `encode_text` of an open_clip model, without normalisation."""

    backend: ClassVar[str] = "open_clip"
    libraries: ClassVar[tuple[str, ...]] = ("open_clip_torch", "torch", "torchvision", "pillow")

    def __init__(self, model: Any, transform: Any, tokenizer: Any, **options: str):
        super().__init__(**options)
        self.model, self.transform, self.tokenizer = model, transform, tokenizer

    def prepare(self, media: list[Any]) -> Any:
        import torch

        return torch.stack([self.transform(image) for image in media])

    def preprocessing(self) -> dict[str, Any]:
        return {
            "image": str(self.transform),
            "text": type(self.tokenizer).__name__,
            "context_length": self.tokenizer.context_length,
        }

    def media_features(self, inputs: Any) -> Any:
        return self.model.encode_image(inputs.to(self.device, non_blocking=True))

    def text_features(self, texts: list[str]) -> Any:
        return self.model.encode_text(self.tokenizer(texts).to(self.device))


def open_model(location: str, *, device: str, dtype: str, weights: str | None = None) -> Encoder:
    """Open the model in the folder `location`, or a checkpoint of the architecture or .json file `location`."""
    import open_clip

    name = location if weights is not None else f"local-dir:{location}"
    if weights is not None and location.endswith(".json"):
        if not Path(location).is_file():
            raise InputError(f"{location}: no such file; give the .json configuration of an open_clip architecture")
        open_clip.add_model_config(location)
        name = Path(location).stem
    if weights is not None and name not in open_clip.list_models():
        raise InputError(f"{name}: is no architecture of open_clip; open_clip.list_models() lists them")
    try:
        model, transform = open_clip.create_model_from_pretrained(name, pretrained=weights, device=device)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # the library raises many exceptions on files that do not match
        raise load_error(weights or location, "open_clip", "the model", error) from error
    return OpenClip(model.eval(), transform, tokenizer, device=device, dtype=dtype)
