"""Losses of this package with the interface of sentence-transformers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from isthmus.train._base import Loss
from isthmus.train.temperature import FixedTemperature
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted


class SentencePairs(nn.Module):  # type: ignore[misc]
    """Wrap a loss for `SentenceTransformerTrainer(model, loss=...)` and data sets of two columns.

    The columns are the two modalities: a text and an image that the model can embed, or two texts. Embeddings are
    divided by their norms. The trainer logs the terms of the loss one by one. It passes the parameters of the loss to
    the optimizer, so that a learned temperature is trained. Labels are ignored.

    Parameters
    ----------
    model : torch.nn.Module
        SentenceTransformer to train.
    loss : Loss
        Loss of the embeddings.
    temperature : float or torch.nn.Module, default 0.05
        Temperature, or a module whose call returns `logit_scale`. The default is the scale 20 of the library.

    Raises
    ------
    InputError
        If the data do not have two columns.

    Examples
    --------
    >>> import torch
    >>> from isthmus.train import InfoNCE
    >>> loss = SentencePairs(nn.Identity(), InfoNCE(), temperature=1.0)  # stands for a model
    >>> columns = [{"sentence_embedding": torch.eye(2)}, {"sentence_embedding": torch.eye(2)}]
    >>> round(loss(columns)["contrastive_loss"].item(), 4)
    0.3133
    """

    def __init__(self, model: nn.Module, loss: Loss, *, temperature: float | nn.Module = 0.05) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.temperature = temperature if isinstance(temperature, nn.Module) else FixedTemperature(temperature)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the terms of the loss, which the trainer adds up.

        Parameters
        ----------
        sentence_features : iterable of dict
            Inputs of the model for each column.
        labels : Tensor or None, default None
            Ignored.

        Returns
        -------
        dict of str to Tensor
            Terms by key, scalars.

        Raises
        ------
        InputError
            If there are not two columns.
        """
        columns = [functional.normalize(self.model(column)["sentence_embedding"]) for column in sentence_features]
        if len(columns) != 2:
            raise InputError(f"got {counted(len(columns), 'column')}, expected two: the two members of each pair")
        terms: dict[str, Tensor] = self.loss(columns[0], columns[1], self.temperature(), output_dict=True)
        return terms
