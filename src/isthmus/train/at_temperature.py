"""A loss with a temperature of its own."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.utils.errors import InputError


class AtTemperature(Loss):
    """`loss` at the `temperature` of a module such as `ScheduledTemperature`, whatever logit_scale it is called with.

    For training loops whose model brings its own logit_scale, as open_clip's does. The parameters of a trained
    temperature are parameters of this module: give them to the optimizer. Errors: `InputError` for what is no loss.

    >>> import torch
    >>> from isthmus.train import FixedTemperature, InfoNCE
    >>> x = torch.eye(2)
    >>> fixed = AtTemperature(InfoNCE(), FixedTemperature(0.5))
    >>> bool(fixed(x, x, 100.0) == InfoNCE()(x, x, 2.0))
    True
    """

    def __init__(self, loss: Loss, temperature: nn.Module) -> None:
        super().__init__()
        if not isinstance(loss, Loss):
            raise InputError(f"a {type(loss).__name__} came, expected a loss of isthmus.train")
        self.loss, self.temperature = loss, temperature

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        own = copy.copy(batch)
        own.scale = self.temperature().to(batch.scale)
        return self.loss.terms(own)
