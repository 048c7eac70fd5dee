"""Finding the features of a step in what a framework hands over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

#: Names under which dual encoders return the features of their two sides.
KNOWN = (
    ("image_features", "text_features"),
    ("image_embeds", "text_embeds"),
    ("audio_embeds", "text_embeds"),
    ("audio_features", "text_features"),
)


def features_in(output: Any, /) -> tuple[Tensor, Tensor] | None:
    """The features in a model's output or a step's dictionary, under one of the `KNOWN` names; None without them.

    >>> import torch
    >>> x, y = features_in({"loss": 0.0, "image_embeds": torch.eye(2), "text_embeds": torch.ones(2, 2)})
    >>> tuple(x.shape), features_in(torch.eye(2))
    ((2, 2), None)
    """
    for names in KNOWN:
        found = [output.get(n) if isinstance(output, Mapping) else getattr(output, n, None) for n in names]
        if all(isinstance(side, Tensor) for side in found):
            return found[0], found[1]
    return None
