"""Loss with a temperature of its own."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError


class AtTemperature(Loss):
    """Compute a loss at the temperature of a module and ignore the `logit_scale` of the call.

    Use it in training loops whose model has a logit_scale of its own, such as open_clip's. The parameters of a learned
    temperature are parameters of this module, so give them to the optimizer.

    Parameters
    ----------
    loss : Loss
        Loss to compute.
    temperature : torch.nn.Module
        Module whose call returns `logit_scale`, such as `ScheduledTemperature`.

    Raises
    ------
    InputError
        If `loss` is no loss of `isthmus.train`.

    Examples
    --------
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
            raise InputError(f"got {type_of(loss)}, expected a loss of isthmus.train")
        self.loss, self.temperature = loss, temperature

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        rescaled = copy.copy(batch)
        rescaled.scale = self.temperature().to(batch.scale)
        return self.loss.terms(rescaled)
