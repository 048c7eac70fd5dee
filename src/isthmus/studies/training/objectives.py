"""The loss and the temperature of a run, by their names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from isthmus.studies.training.settings import Setting
from isthmus.train import get, registry
from isthmus.train._base import Loss
from isthmus.train.sigmoid import Sigmoid
from isthmus.train.temperature import FixedTemperature, LearnedTemperature, ScheduledTemperature, SoftplusTemperature
from isthmus.utils.errors import unknown_name

#: name -> the temperature of a run of so many steps
TEMPERATURES: dict[str, Callable[[int], nn.Module]] = {
    "0.01": lambda steps: FixedTemperature(0.01),
    "0.07": lambda steps: FixedTemperature(0.07),
    "0.2": lambda steps: FixedTemperature(0.2),
    "learned": lambda steps: LearnedTemperature(0.07),
    "softplus": lambda steps: SoftplusTemperature(0.07),
    "rising": lambda steps: ScheduledTemperature(0.01, 0.05, steps=steps),
    "slow": lambda steps: LearnedTemperature(0.07),
}
#: The share of the learning rate that the temperature called 'slow' learns with (Yaras et al. 2024).
SLOW = 0.1
#: What the logits of the sigmoid loss begin with (Zhai et al. 2023).
BIAS = -10.0
RELATIVE = "Sigmoid (relative bias)"


def objectives() -> list[str]:
    """Names of all losses that the digits can be trained with."""
    return [*sorted(registry()), RELATIVE]


def make_loss(setting: Setting, /) -> Loss:
    """The loss of a setting: itself, or InfoNCE and a term. Errors: `InputError` for an unknown name."""
    if setting.loss == RELATIVE:
        return Sigmoid(bias="relative")
    name = get(setting.loss).__name__
    chosen = {"weight": setting.weight, "k": setting.k, "estimator": setting.estimator}
    return registry()[name].build(**{option: value for option, value in chosen.items() if value})


class Objective(nn.Module):  # type: ignore[misc]
    """Loss, temperature and, for the sigmoid losses, the bias of the logits. `rate` is the temperature's share of the
    learning rate."""

    def __init__(self, setting: Setting, *, steps: int):
        super().__init__()
        if setting.temperature not in TEMPERATURES:
            raise unknown_name("temperature", setting.temperature, TEMPERATURES)
        self.loss = make_loss(setting)
        self.scale = TEMPERATURES[setting.temperature](steps)
        self.rate = SLOW if setting.temperature == "slow" else 1.0
        self.bias: nn.Parameter | None = None
        if setting.loss.startswith("Sigmoid"):
            # The relative bias is a cosine: the same start of the logits at the first temperature.
            start = -BIAS * self.now if setting.loss == RELATIVE else BIAS
            self.bias = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor, y: Tensor, meanings: Tensor | None = None) -> Tensor:
        """The loss of the rows of both sides; `meanings` are unit rows that say how alike the items are."""
        return self.loss(x, y, self.scale(), self.bias, semantic_features=meanings)

    def step(self) -> None:
        """After each step of the optimizer."""
        if isinstance(self.scale, ScheduledTemperature):
            self.scale.step()

    @property
    def now(self) -> float:
        """The temperature."""
        return 1 / float(self.scale().detach())
