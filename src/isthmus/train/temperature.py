"""Temperatures as modules whose call returns `logit_scale` = 1 / temperature, and their group of parameters.

The gap of a trained encoder follows its temperature (C. Yaras et al. 2024, arXiv 2412.07909). A temperature that falls
quickly freezes the initial gap. One that stays high or falls slowly lets the gap close. One that is too high costs
retrieval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.utils.errors import InputError


class FixedTemperature(nn.Module):  # type: ignore[misc]
    """Keep one temperature for the whole run.

    Parameters
    ----------
    temperature : float
        Temperature, above 0.

    Raises
    ------
    InputError
        If the temperature is not positive and finite.

    Examples
    --------
    >>> round(FixedTemperature(0.07)().item(), 4)
    14.2857
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        _require_positive(temperature=temperature)
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def forward(self) -> Tensor:
        """Return `logit_scale`.

        Returns
        -------
        Tensor
            Scalar 1 / temperature.
        """
        return 1 / self.temperature


class LearnedTemperature(nn.Module):  # type: ignore[misc]
    """Learn a temperature as CLIP does: logit_scale = exp(log_scale), clamped to a range.

    The parameter is clamped at each call, before it is used. The optimizer can therefore leave the range for at most
    one step, and no gradient back into the range is lost. Exclude `log_scale` from weight decay (`parameter_groups`).

    Parameters
    ----------
    start : float, default 0.07
        Initial temperature.
    smallest : float, default 0.01
        Lower bound of the temperature.
    largest : float, default inf
        Upper bound of the temperature.

    Raises
    ------
    InputError
        If a temperature is not positive, or `start` is out of the range.

    References
    ----------
    A. Radford et al. (2021), arXiv 2103.00020 (start 0.07, smallest 0.01).

    Examples
    --------
    >>> temperature = LearnedTemperature(0.07)
    >>> round(temperature().item(), 4), [name for name, _ in temperature.named_parameters()]
    (14.2857, ['log_scale'])
    """

    def __init__(self, start: float = 0.07, *, smallest: float = 0.01, largest: float = math.inf) -> None:
        super().__init__()
        _require_positive(start=start, smallest=smallest, largest=largest)
        if not smallest <= start <= largest:
            raise InputError(f"start={start} lies outside of smallest={smallest} to largest={largest}")
        self.smallest, self.largest = smallest, largest
        self.log_scale = nn.Parameter(torch.tensor(-math.log(start)))

    def forward(self) -> Tensor:
        """Return `logit_scale`.

        Returns
        -------
        Tensor
            Scalar 1 / temperature, with a gradient.
        """
        with torch.no_grad():
            self.log_scale.clamp_(-math.log(self.largest), -math.log(self.smallest))
        return self.log_scale.exp()


class SoftplusTemperature(nn.Module):  # type: ignore[misc]
    """Learn a temperature that moves slowly while it is low: logit_scale = softplus(raw) = log(1 + e^raw).

    A step of the parameter changes logit_scale by at most that step. With CLIP's exponential the change is logit_scale
    times as large. The temperature is clamped to `smallest` as in `LearnedTemperature`.

    Parameters
    ----------
    start : float, default 0.07
        Initial temperature.
    smallest : float, default 0.01
        Lower bound of the temperature.

    Raises
    ------
    InputError
        If a temperature is not positive, or `start` lies below `smallest`.

    References
    ----------
    C. Yaras et al. (2024), arXiv 2412.07909: temperature reparametrisation (TR).

    Examples
    --------
    >>> round(SoftplusTemperature(0.07)().item(), 4)
    14.2857
    """

    def __init__(self, start: float = 0.07, *, smallest: float = 0.01) -> None:
        super().__init__()
        _require_positive(start=start, smallest=smallest)
        if smallest > start:
            raise InputError(f"start={start} lies below smallest={smallest}")
        self.smallest = smallest
        self.raw_scale = nn.Parameter(torch.tensor(_inverse_softplus(1 / start)))

    def forward(self) -> Tensor:
        """Return `logit_scale`.

        Returns
        -------
        Tensor
            Scalar 1 / temperature, with a gradient.
        """
        with torch.no_grad():
            self.raw_scale.clamp_(max=_inverse_softplus(1 / self.smallest))
        # Copied because the backward pass needs the value, and the next call clamps the parameter in place.
        return nn.functional.softplus(self.raw_scale.clone())


class ScheduledTemperature(nn.Module):  # type: ignore[misc]
    """Change the temperature from `start` to `end` over a number of calls of `step()`, then keep it.

    Call `step()` after each step of the optimizer. The position is a buffer, so that checkpoints resume it.

    Parameters
    ----------
    start, end : float
        First and last temperature.
    steps : int
        Number of calls of `step()` from `start` to `end`.
    shape : {"linear", "cosine", "geometric"}, default "linear"
        Course between them: linear in the temperature, half a cosine, or linear in the logarithm.

    Raises
    ------
    InputError
        If a temperature is not positive, `steps` is below 1, or `shape` is unknown.

    References
    ----------
    C. Yaras et al. (2024), arXiv 2412.07909: temperature scheduling (TS), linear from .01 to .02 ... .05.

    Examples
    --------
    >>> temperature = ScheduledTemperature(0.01, 0.05, steps=4)
    >>> for _ in range(2):
    ...     temperature.step()
    >>> round(1 / temperature().item(), 4)
    0.03
    """

    def __init__(self, start: float, end: float, *, steps: int, shape: str = "linear") -> None:
        super().__init__()
        _require_positive(start=start, end=end)
        if steps < 1:
            raise InputError(f"steps={steps}, expected at least 1")
        if shape not in ("linear", "cosine", "geometric"):
            raise InputError(f"shape={shape!r}, expected 'linear', 'cosine' or 'geometric'")
        self.start, self.end, self.steps, self.shape = float(start), float(end), steps, shape
        self.register_buffer("position", torch.tensor(0))

    def step(self) -> None:
        """Advance the schedule by one step."""
        self.position += 1

    def forward(self) -> Tensor:
        """Return `logit_scale`.

        Returns
        -------
        Tensor
            Scalar 1 / temperature.
        """
        progress = (self.position / self.steps).clamp(max=1.0)
        if self.shape == "geometric":
            return torch.exp(-math.log(self.start) + progress * math.log(self.start / self.end))
        if self.shape == "cosine":
            progress = (1 - torch.cos(math.pi * progress)) / 2
        return 1 / (self.start + progress * (self.end - self.start))


def parameter_groups(
    *modules: nn.Module,
    lr: float,
    factor: float = 1.0,
    names: Iterable[str] = ("logit_scale", "log_scale", "raw_scale"),
) -> list[dict[str, Any]]:
    """Return two groups for an optimizer: the encoders, and the temperature without weight decay.

    Parameters
    ----------
    *modules : torch.nn.Module
        Modules to train. Parameters that need no gradient are left out.
    lr : float
        Learning rate of the encoders.
    factor : float, default 1.0
        Ratio of the learning rate of the temperature to `lr`. 0.1 is the slower learning rate (SLRT) of the source.
    names : iterable of str, default ("logit_scale", "log_scale", "raw_scale")
        A parameter is a temperature if the last component of its name is one of these. open_clip calls it logit_scale.

    Returns
    -------
    list of dict
        Parameter groups of a torch optimizer.

    Raises
    ------
    InputError
        If no temperature is found, or a rate is not positive.

    References
    ----------
    C. Yaras et al. (2024), arXiv 2412.07909.

    Examples
    --------
    >>> groups = parameter_groups(nn.Linear(2, 2), LearnedTemperature(), lr=1e-3, factor=0.1)
    >>> [(len(group["params"]), group["lr"]) for group in groups]
    [(2, 0.001), (1, 0.0001)]
    """
    _require_positive(lr=lr, factor=factor)
    temperature_names = set(names)
    encoder_parameters: list[Any] = []
    temperature_parameters: list[Any] = []
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                is_temperature = name.split(".")[-1] in temperature_names
                (temperature_parameters if is_temperature else encoder_parameters).append(parameter)
    if not temperature_parameters:
        raise InputError(
            f"no parameter is called {' or '.join(sorted(temperature_names))}; give names= of the temperature"
        )
    return [
        {"params": encoder_parameters, "lr": lr},
        {"params": temperature_parameters, "lr": factor * lr, "weight_decay": 0.0},
    ]


def _require_positive(**values: float) -> None:
    """Raise InputError for a value that is not positive, or infinite unless it is `largest`."""
    for name, value in values.items():
        if not value > 0 or (math.isinf(value) and name != "largest"):
            raise InputError(f"{name}={value}, expected a number above 0")


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
