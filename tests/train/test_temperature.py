"""Temperatures follow their plans, learn within their bounds, and have their own group of parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from isthmus import InputError, train  # noqa: E402


def test_temperature_starts_at_its_value() -> None:
    for temperature in (
        train.FixedTemperature(0.07),
        train.LearnedTemperature(0.07),
        train.SoftplusTemperature(0.07),
        train.ScheduledTemperature(0.07, 0.1, steps=5),
    ):
        assert temperature().item() == pytest.approx(1 / 0.07, rel=1e-6)


def test_scheduled_temperature_follows_its_shape() -> None:
    expected = {
        "linear": lambda share: 0.01 + 0.04 * share,
        "cosine": lambda share: 0.01 + 0.04 * (1 - math.cos(math.pi * share)) / 2,
        "geometric": lambda share: 0.01 * 5**share,
    }
    for shape, formula in expected.items():
        temperature = train.ScheduledTemperature(0.01, 0.05, steps=8, shape=shape)
        for step in range(11):
            assert 1 / temperature().item() == pytest.approx(formula(min(1, step / 8)), rel=1e-5)
            temperature.step()
        again = train.ScheduledTemperature(0.01, 0.05, steps=8, shape=shape)
        again.load_state_dict(temperature.state_dict())
        assert again() == temperature()
        assert not list(temperature.parameters())


def push(temperature: Any, direction: float, steps: int = 300, lr: float = 0.1) -> list[float]:
    """What logit_scale does under a constant gradient of its parameter's own loss."""
    optimizer = torch.optim.SGD(temperature.parameters(), lr=lr)
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = temperature()
        (direction * value).backward()
        optimizer.step()
        seen.append(value.item())
    return seen


def test_learned_temperature_at_a_bound_stays_and_returns() -> None:
    temperature = train.LearnedTemperature(0.07, smallest=0.01, largest=0.5)
    assert push(temperature, -1.0)[-1] == pytest.approx(100, rel=1e-5)
    # Not carried away beyond the bound: the first step back is seen at once.
    assert push(temperature, 1.0, steps=3, lr=1e-3)[1] < 99.5
    assert push(temperature, 1.0, steps=2000)[-1] == pytest.approx(2, rel=1e-5)


def test_softplus_temperature_has_bounded_gradient() -> None:
    gradients = {}
    for kind in (train.LearnedTemperature, train.SoftplusTemperature):
        temperature = kind(0.02)
        temperature().backward()
        gradients[kind] = next(iter(temperature.parameters())).grad.item()
    assert gradients[train.LearnedTemperature] == pytest.approx(50, rel=1e-5)
    assert gradients[train.SoftplusTemperature] == pytest.approx(1, rel=1e-5)
    assert push(train.SoftplusTemperature(0.05, smallest=0.02), -1.0, lr=1.0)[-1] == pytest.approx(50, rel=1e-5)


@pytest.mark.parametrize("name", ["LearnedTemperature", "SoftplusTemperature"])
def test_temperature_called_twice_accumulates_gradients(name: str) -> None:
    """As when gradients are accumulated over two batches."""
    temperature = getattr(train, name)(0.1)
    first, second = temperature(), temperature()
    (first + second).backward()
    once = getattr(train, name)(0.1)
    once().backward()
    (twice,), (single,) = temperature.parameters(), once.parameters()
    assert twice.grad.item() == pytest.approx(2 * single.grad.item())


def test_parameter_groups_separate_the_temperature() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = torch.nn.Linear(3, 3)
            self.logit_scale = torch.nn.Parameter(torch.tensor(2.0))
            self.frozen = torch.nn.Parameter(torch.tensor(1.0), requires_grad=False)

    groups = train.parameter_groups(Model(), lr=1e-2, factor=0.1)
    assert [len(group["params"]) for group in groups] == [2, 1]
    assert groups[1] == {"params": groups[1]["params"], "lr": pytest.approx(1e-3), "weight_decay": 0.0}
    torch.optim.AdamW(groups)
    whole = train.parameter_groups(torch.nn.Linear(2, 2), train.SoftplusTemperature(), lr=1e-2)
    assert [len(group["params"]) for group in whole] == [2, 1]
    with pytest.raises(InputError, match="no parameter is called log_scale or logit_scale or raw_scale"):
        train.parameter_groups(torch.nn.Linear(2, 2), lr=1e-2)


@pytest.mark.parametrize("name", ["LearnedTemperature", "SoftplusTemperature"])
def test_temperature_inside_a_loss_is_trained(name: str) -> None:
    torch.manual_seed(0)
    temperature = getattr(train, name)(0.5)
    x = torch.nn.functional.normalize(torch.randn(16, 4))
    loss = train.AtTemperature(train.InfoNCE(), temperature)
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    before = loss(x, x, 1.0)
    before.backward()
    optimizer.step()
    assert loss(x, x, 1.0) < before
    assert temperature() > 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: train.FixedTemperature(0), "temperature=0, expected a number above 0"),
        (lambda: train.FixedTemperature(math.inf), "temperature=inf"),
        (lambda: train.LearnedTemperature(0.001), "start=0.001 lies outside of smallest=0.01 to largest=inf"),
        (lambda: train.SoftplusTemperature(0.001), "start=0.001 lies below smallest=0.01"),
        (lambda: train.ScheduledTemperature(0.1, 0.2, steps=0), "steps=0"),
        (lambda: train.ScheduledTemperature(0.1, -0.2, steps=1), "end=-0.2"),
        (lambda: train.ScheduledTemperature(0.1, 0.2, steps=1, shape="square"), "shape='square', expected"),
        (lambda: train.parameter_groups(train.LearnedTemperature(), lr=0), "lr=0"),
    ],
)
def test_temperature_with_invalid_arguments_raises(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
