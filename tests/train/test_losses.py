"""Every loss against a slow loop in float64, its gradient, and what all losses promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from isthmus import InputError, train  # noqa: E402

Rows = np.ndarray
SCALE, BIAS = 5.0, -2.0


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[Rows, Rows]:
    x = unit(rng.normal(size=(6, 4)) + np.eye(4)[1])
    return x, unit(x + 0.7 * rng.normal(size=(6, 4)))


def tensors(*arrays: Rows, gradient: bool = False) -> list[Any]:
    return [torch.tensor(a, dtype=torch.float64, requires_grad=gradient) for a in arrays]


# Slow loops: the formulas as they stand in the papers, one pair after another.


def slow_info_nce(x: Rows, y: Rows, scale: float = SCALE) -> float:
    n, total = len(x), 0.0
    for i in range(n):
        to_y = [math.exp(scale * float(x[i] @ y[j])) for j in range(n)]
        to_x = [math.exp(scale * float(y[i] @ x[j])) for j in range(n)]
        total -= math.log(to_y[i] / sum(to_y)) + math.log(to_x[i] / sum(to_x))
    return total / n / 2


def slow_sigmoid(x: Rows, y: Rows, relative: bool = False) -> float:
    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            cosine = float(x[i] @ y[j])
            logit = SCALE * (cosine - BIAS) if relative else SCALE * cosine + BIAS
            total -= math.log(1 / (1 + math.exp(-logit if i == j else logit)))
    return total / n


def slow_alignment(x: Rows, y: Rows) -> float:
    return sum(float((a - b) @ (a - b)) for a, b in zip(x, y, strict=True)) / len(x)


#: the loss and what the loop gives for it
CASES: dict[str, tuple[Callable[[], Any], Callable[[Rows, Rows], float]]] = {
    "InfoNCE": (lambda: train.InfoNCE(), slow_info_nce),
    "InfoNCE, sum": (lambda: train.InfoNCE(reduction="sum"), lambda x, y: 2 * slow_info_nce(x, y)),
    "InfoNCE, tiles": (lambda: train.InfoNCE(block=4), slow_info_nce),
    "Sigmoid": (lambda: train.Sigmoid(), slow_sigmoid),
    "Sigmoid, relative": (lambda: train.Sigmoid(bias="relative"), lambda x, y: slow_sigmoid(x, y, relative=True)),
    "Sigmoid, tiles": (lambda: train.Sigmoid(block=4), slow_sigmoid),
    "TruePairAlignment": (lambda: train.TruePairAlignment(), slow_alignment),
    "Sum": (
        lambda: 2 * train.InfoNCE() + train.TruePairAlignment() * 0.5,
        lambda x, y: 2 * slow_info_nce(x, y) + 0.5 * slow_alignment(x, y),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_the_slow_loop(case: str, pairs: tuple[Rows, Rows]) -> None:
    make, slow = CASES[case]
    assert make()(*tensors(*pairs), SCALE, BIAS).item() == pytest.approx(slow(*pairs), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_gradient(case: str, pairs: tuple[Rows, Rows]) -> None:
    loss = CASES[case][0]().eval()
    inputs = (*tensors(*pairs, gradient=True), *tensors(np.array(SCALE), np.array(BIAS), gradient=True))
    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize("case", CASES)
def test_the_dictionary_adds_up(case: str, pairs: tuple[Rows, Rows]) -> None:
    loss = CASES[case][0]().eval()
    terms = loss(*tensors(*pairs), SCALE, BIAS, output_dict=True)
    assert all(key.endswith("_loss") for key in terms)
    assert sum(value.item() for value in terms.values()) == pytest.approx(loss(*tensors(*pairs), SCALE, BIAS).item())


def test_every_loss_has_a_case() -> None:
    assert {case.split(",")[0] for case in CASES} - {"Sum"} == set(train.registry())


def test_registry() -> None:
    assert sorted(train.registry()) == sorted(train._LOSSES)
    for name, declared in train.registry().items():
        assert declared.name == name == declared.cls.__name__
        assert declared.definition
        assert declared.source
        assert isinstance(declared.make(), train.Loss)
        assert train.get(name.lower()) is declared.cls
    with pytest.raises(InputError, match="unknown loss 'infonec': did you mean 'InfoNCE'"):
        train.get("infonec")
