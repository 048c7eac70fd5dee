"""Losses and temperatures of the study by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from isthmus.studies.training.settings import Setting
from isthmus.train import (
    FixedTemperature,
    LearnedTemperature,
    Loss,
    ScheduledTemperature,
    Sigmoid,
    SoftplusTemperature,
    get,
    registry,
)
from isthmus.utils.errors import unknown_name

#: Name -> temperature of a run of that many steps.
TEMPERATURES: dict[str, Callable[[int], nn.Module]] = {
    "0.01": lambda steps: FixedTemperature(0.01),
    "0.07": lambda steps: FixedTemperature(0.07),
    "0.2": lambda steps: FixedTemperature(0.2),
    "learned": lambda steps: LearnedTemperature(0.07),
    "softplus": lambda steps: SoftplusTemperature(0.07),
    "rising": lambda steps: ScheduledTemperature(0.01, 0.05, steps=steps),
    "slow": lambda steps: LearnedTemperature(0.07),
}
#: Learning rate of the temperature 'slow', relative to that of the encoders (Yaras et al. 2024).
SLOW_LR_FACTOR = 0.1
#: Initial bias of the logits of the sigmoid loss (Zhai et al. 2023).
INITIAL_BIAS = -10.0
RELATIVE_SIGMOID = "Sigmoid (relative bias)"


def loss_names() -> list[str]:
    """Return the names of all losses of the study."""
    return [*sorted(registry()), RELATIVE_SIGMOID]


def build_loss(setting: Setting, /) -> Loss:
    """Return the loss of a setting, a term together with InfoNCE. Raise InputError for an unknown name."""
    if setting.loss == RELATIVE_SIGMOID:
        return Sigmoid(bias="relative")
    name = get(setting.loss).__name__
    options = {"weight": setting.weight, "k": setting.k, "estimator": setting.estimator}
    return registry()[name].build(**{option: value for option, value in options.items() if value})


class Objective(nn.Module):  # type: ignore[misc]
    """Loss and temperature of a run, and the bias of the logits of the sigmoid losses.

    `lr_factor` is the learning rate of the temperature relative to that of the encoders.
    """

    def __init__(self, setting: Setting, *, steps: int):
        super().__init__()
        if setting.temperature not in TEMPERATURES:
            raise unknown_name("temperature", setting.temperature, TEMPERATURES)
        self.loss = build_loss(setting)
        self.loss.is_checked = True  # runs start from narrow cones on purpose, so the first batch is no mistake
        self.scale = TEMPERATURES[setting.temperature](steps)
        self.lr_factor = SLOW_LR_FACTOR if setting.temperature == "slow" else 1.0
        self.bias: nn.Parameter | None = None
        if setting.loss.startswith("Sigmoid"):
            # The relative bias is a cosine. The logits start at the same values at the first temperature.
            is_relative = setting.loss == RELATIVE_SIGMOID
            self.bias = nn.Parameter(torch.tensor(-INITIAL_BIAS * self.temperature if is_relative else INITIAL_BIAS))

    def forward(self, x: Tensor, y: Tensor, semantic_features: Tensor | None = None) -> Tensor:
        """Return the loss of paired rows. `semantic_features` are unit rows whose products are similarities."""
        return self.loss(x, y, self.scale(), self.bias, semantic_features=semantic_features)

    def step(self) -> None:
        """Advance a scheduled temperature after a step of the optimizer."""
        if isinstance(self.scale, ScheduledTemperature):
            self.scale.step()

    @property
    def temperature(self) -> float:
        """Current temperature."""
        return 1 / float(self.scale().detach())
