"""Temperatures: modules whose call gives `logit_scale` = 1/temperature, and their group of parameters.

The gap of a trained encoder follows its temperature (Yaras et al. 2024, arXiv 2412.07909): one that falls quickly
freezes the gap of the start, one that is held up or falls slowly lets it close, one that is too high costs retrieval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.utils.errors import InputError


class FixedTemperature(nn.Module):  # type: ignore[misc]
    """One temperature for the whole run: `FixedTemperature(0.07)()` is 1/0.07.

    >>> round(FixedTemperature(0.07)().item(), 4)
    14.2857
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        _check(temperature=temperature)
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def forward(self) -> Tensor:
        """`logit_scale`, a scalar."""
        return 1 / self.temperature


class LearnedTemperature(nn.Module):  # type: ignore[misc]
    """A temperature that is trained as CLIP trains it: logit_scale = exp(log_scale), kept in [smallest, largest].

    The parameter is clamped at each call, before it is used, so that the optimizer cannot carry it beyond the bounds
    for longer than one step and a gradient back into the range is never lost. Radford et al. 2021, arXiv 2103.00020
    (start 0.07, smallest 0.01). Give `log_scale` no weight decay (`parameter_groups`).

    >>> temperature = LearnedTemperature(0.07)
    >>> round(temperature().item(), 4), [name for name, _ in temperature.named_parameters()]
    (14.2857, ['log_scale'])
    """

    def __init__(self, start: float = 0.07, *, smallest: float = 0.01, largest: float = math.inf) -> None:
        super().__init__()
        _check(start=start, smallest=smallest, largest=largest)
        if not smallest <= start <= largest:
            raise InputError(f"start={start} lies outside of smallest={smallest} to largest={largest}")
        self.smallest, self.largest = smallest, largest
        self.log_scale = nn.Parameter(torch.tensor(-math.log(start)))

    def forward(self) -> Tensor:
        """`logit_scale`, a scalar."""
        with torch.no_grad():
            self.log_scale.clamp_(-math.log(self.largest), -math.log(self.smallest))
        return self.log_scale.exp()


class SoftplusTemperature(nn.Module):  # type: ignore[misc]
    """A trained temperature that moves slowly at low temperatures: logit_scale = softplus(raw) = log(1 + e^raw).

    A step of the parameter changes logit_scale by at most that step, where CLIP's exponential changes it by
    logit_scale times as much. Reparametrised temperature (TR) of Yaras et al. 2024, arXiv 2412.07909. Kept at or above
    `smallest` as in `LearnedTemperature`.

    >>> round(SoftplusTemperature(0.07)().item(), 4)
    14.2857
    """

    def __init__(self, start: float = 0.07, *, smallest: float = 0.01) -> None:
        super().__init__()
        _check(start=start, smallest=smallest)
        if smallest > start:
            raise InputError(f"start={start} lies below smallest={smallest}")
        self.smallest = smallest
        self.raw_scale = nn.Parameter(torch.tensor(_inverse_softplus(1 / start)))

    def forward(self) -> Tensor:
        """`logit_scale`, a scalar."""
        with torch.no_grad():
            self.raw_scale.clamp_(max=_inverse_softplus(1 / self.smallest))
        # A copy: what backward keeps must not be what the next call clamps in place.
        return nn.functional.softplus(self.raw_scale.clone())


class ScheduledTemperature(nn.Module):  # type: ignore[misc]
    """A temperature that follows a plan: from `start` to `end` over `steps` calls of `step()`, then `end`.

    `shape`: 'linear' in the temperature (TS of Yaras et al. 2024, arXiv 2412.07909: .01 to .02 ... .05), 'cosine' (a
    half cosine) or 'geometric' (linear in the logarithm). The position is a buffer: checkpoints carry on where they
    stopped. Call `step()` after each step of the optimizer.

    >>> temperature = ScheduledTemperature(0.01, 0.05, steps=4)
    >>> for _ in range(2):
    ...     temperature.step()
    >>> round(1 / temperature().item(), 4)
    0.03
    """

    def __init__(self, start: float, end: float, *, steps: int, shape: str = "linear") -> None:
        super().__init__()
        _check(start=start, end=end)
        if steps < 1:
            raise InputError(f"steps={steps}, expected at least 1")
        if shape not in ("linear", "cosine", "geometric"):
            raise InputError(f"shape {shape!r} came: give 'linear', 'cosine' or 'geometric'")
        self.start, self.end, self.steps, self.shape = float(start), float(end), steps, shape
        self.register_buffer("position", torch.tensor(0))

    def step(self) -> None:
        """One step further along the plan."""
        self.position += 1

    def forward(self) -> Tensor:
        """`logit_scale`, a scalar."""
        share = (self.position / self.steps).clamp(max=1.0)
        if self.shape == "geometric":
            return torch.exp(-math.log(self.start) + share * math.log(self.start / self.end))
        if self.shape == "cosine":
            share = (1 - torch.cos(math.pi * share)) / 2
        return 1 / (self.start + share * (self.end - self.start))


def parameter_groups(
    *modules: nn.Module,
    lr: float,
    factor: float = 1.0,
    names: Iterable[str] = ("logit_scale", "log_scale", "raw_scale"),
) -> list[dict[str, Any]]:
    """Two groups for an optimizer: all parameters at `lr`, the temperature at `factor` * `lr` without weight decay.

    `factor=0.1` is the slower learning rate (SLRT) of Yaras et al. 2024, arXiv 2412.07909. A parameter is a
    temperature when the last part of its name is one of `names` (open_clip calls it logit_scale). Parameters that
    need no gradient are left out. Errors: `InputError` when no temperature is found.

    >>> groups = parameter_groups(nn.Linear(2, 2), LearnedTemperature(), lr=1e-3, factor=0.1)
    >>> [(len(group["params"]), group["lr"]) for group in groups]
    [(2, 0.001), (1, 0.0001)]
    """
    _check(lr=lr, factor=factor)
    wanted = set(names)
    groups: tuple[list[Any], list[Any]] = [], []
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                groups[name.split(".")[-1] in wanted].append(parameter)
    if not groups[1]:
        raise InputError(f"no parameter is called {' or '.join(sorted(wanted))}; give names= of the temperature")
    return [{"params": groups[0], "lr": lr}, {"params": groups[1], "lr": factor * lr, "weight_decay": 0.0}]


def _check(**values: float) -> None:
    for name, value in values.items():
        if not value > 0 or (math.isinf(value) and name != "largest"):
            raise InputError(f"{name}={value}, expected a number above 0")


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
