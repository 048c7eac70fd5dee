"""Features of the two modalities in the output of a model or a training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

#: Names under which dual encoders return the features of their two modalities.
FEATURE_NAMES = (
    ("image_features", "text_features"),
    ("image_embeds", "text_embeds"),
    ("audio_embeds", "text_embeds"),
    ("audio_features", "text_features"),
)


def find_features(output: Any, /) -> tuple[Tensor, Tensor] | None:
    """Return the features in a model's output or a step's dictionary under one of `FEATURE_NAMES`, else None.

    >>> import torch
    >>> x, y = find_features({"loss": 0.0, "image_embeds": torch.eye(2), "text_embeds": torch.ones(2, 2)})
    >>> tuple(x.shape), find_features(torch.eye(2))
    ((2, 2), None)
    """
    for names in FEATURE_NAMES:
        x, y = (output.get(name) if isinstance(output, Mapping) else getattr(output, name, None) for name in names)
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return x, y
    return None
