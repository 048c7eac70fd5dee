"""A loss as sentence-transformers calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from isthmus.train._base import Loss
from isthmus.train.temperature import FixedTemperature
from isthmus.utils.errors import InputError


class SentencePairs(nn.Module):  # type: ignore[misc]
    """`SentencePairs(model, loss)` for `SentenceTransformerTrainer(model, loss=...)` and data sets of two columns.

    The columns are the two sides: a text and an image that the model can embed, or two texts. Embeddings are divided
    by their norm, `loss` gets them with the logit_scale of `temperature` (a number or a module; 0.05 is the library's
    own scale of 20), and its terms are logged one by one. A trained temperature is trained along, since the trainer
    hands the parameters of its loss to the optimizer. Labels are not used. Errors: `InputError` for data of other than
    two columns.
    """

    def __init__(self, model: nn.Module, loss: Loss, *, temperature: float | nn.Module = 0.05) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.temperature = temperature if isinstance(temperature, nn.Module) else FixedTemperature(temperature)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> dict[str, Tensor]:
        """The terms of the loss by key; the trainer adds them up."""
        columns = [functional.normalize(self.model(column)["sentence_embedding"]) for column in sentence_features]
        if len(columns) != 2:
            raise InputError(f"{len(columns)} columns came, expected two: the partners")
        terms: dict[str, Tensor] = self.loss(columns[0], columns[1], self.temperature(), output_dict=True)
        return terms
