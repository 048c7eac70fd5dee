"""A loss names invalid rows and scales once, and has a default temperature."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from isthmus import InputError, IsthmusWarning  # noqa: E402
from isthmus.train import InfoNCE, Sigmoid  # noqa: E402


def unit_rows(seed: int) -> torch.Tensor:
    rows = torch.randn(32, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize("loss", [InfoNCE(), Sigmoid(), InfoNCE() + 0.5 * InfoNCE()])
def test_loss_without_a_scale_has_the_temperature_of_clip(loss: torch.nn.Module) -> None:
    x, y = unit_rows(0), unit_rows(1)
    assert loss(x, y).item() == pytest.approx(loss(x, y, 1 / 0.07).item())
    assert loss(x, y, temperature=0.5).item() == pytest.approx(loss(x, y, logit_scale=2.0).item())


def test_loss_with_scale_and_temperature_raises() -> None:
    with pytest.raises(InputError, match="expected one of them"):
        InfoNCE()(unit_rows(0), unit_rows(1), 2.0, temperature=0.5)


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan])
def test_loss_with_a_temperature_that_is_not_positive_raises(temperature: float) -> None:
    with pytest.raises(InputError, match=f"temperature={temperature}, expected a positive number"):
        InfoNCE()(unit_rows(0), unit_rows(1), temperature=temperature)


@pytest.mark.parametrize(
    ("factor", "scale", "message"),
    [
        (9.0, 14.3, "got rows of mean length 9 and 9,"),
        (1e20, 14.3, r"got rows of mean length 1e\+20 and 1e\+20, and the loss is nan"),
        (1e37, 14.3, r"got rows of mean length 1e\+37 and 1e\+37, and the loss is nan"),
        (1e-30, 14.3, "got rows of mean length 1e-30 and 1e-30,"),
        (math.nan, 14.3, "32 of 32 rows of image_features and 32 of 32 rows of text_features hold NaN or infinite"),
        (1.0, math.nan, "logit_scale is NaN"),
        (1.0, math.inf, "logit_scale is inf, and the loss is nan"),
        (1.0, 0.07, r"logit_scale=0.07 looks like a temperature, expected 1 / temperature: give 14.29"),
        (1.0, math.log(1 / 0.07), "looks like a logarithm"),
        (1.0, torch.tensor(100.0).log(), "looks like a logarithm"),
        (1.0, math.log(10), "looks like a logarithm"),
        (1.0, -2.66, "looks like a logarithm"),
        (1.0, 0.0, "looks like a logarithm"),
        (1.0, torch.nn.Parameter(torch.tensor(3.2)), "looks like a logarithm"),
    ],
)
def test_loss_of_a_suspicious_batch_warns_once(factor: float, scale: float, message: str) -> None:
    loss, x, y = InfoNCE(), factor * unit_rows(0), factor * unit_rows(1)
    with pytest.warns(IsthmusWarning, match=message) as caught:
        loss(x, y, scale)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(x, y, scale)


@pytest.mark.parametrize("scale", [math.nan, torch.tensor(math.nan)])
def test_loss_whose_scale_becomes_nan_warns_once(scale: float) -> None:
    loss, x, y = InfoNCE(), unit_rows(0), unit_rows(1)
    loss(x, y, 14.3)
    with pytest.warns(IsthmusWarning, match="logit_scale is NaN, and so is the loss"):
        loss(x, y, scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(x, y, scale)


def test_loss_of_later_rows_that_overflow_warns_once() -> None:
    loss, x, y = InfoNCE(), unit_rows(0), unit_rows(1)
    loss(x, y, 14.3)
    with pytest.warns(IsthmusWarning, match=r"got rows of mean length 1e\+20 and 1e\+20, and the loss is") as caught:
        loss(1e20 * x, 1e20 * y, 1e30)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(1e20 * x, 1e20 * y, 1e30)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_loss_of_unit_rows_does_not_warn(dtype: torch.dtype) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InfoNCE()(unit_rows(0).to(dtype), unit_rows(1).to(dtype), 1.0)


@pytest.mark.parametrize("spread", [0.0, 1e-3])
def test_loss_of_a_collapsed_first_batch_names_the_modality_once(spread: float) -> None:
    loss, y = InfoNCE(), unit_rows(1)
    x = torch.nn.functional.normalize(torch.ones(32, 8) + spread * unit_rows(0), dim=1)
    with pytest.warns(IsthmusWarning, match="rows of image_features are (nearly all )?"):
        value = loss(x, y)
    assert value.item() >= math.log(32) - 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(x, y)


def test_loss_with_a_bias_that_is_nan_names_it() -> None:
    with pytest.warns(IsthmusWarning, match="logit_bias is nan, and the loss is nan: look for an overflow"):
        Sigmoid()(unit_rows(0), unit_rows(1), 10.0, math.nan)


def test_loss_with_a_high_temperature_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InfoNCE()(unit_rows(0), unit_rows(1), temperature=1.9)


@pytest.mark.parametrize(
    ("temperature", "message"),
    [
        (14.0, "^temperature=14 looks like a logit scale, which is 1 / temperature: give logit_scale=14 or"),
        (torch.tensor(14.0), "^temperature=14 looks like a logit scale"),
        (torch.tensor(math.nan), "^temperature is NaN, and so is the loss"),
        (torch.tensor(-2.66), "^temperature=-2.66, expected a positive number, such as 0.07; if the model stores"),
        (torch.tensor(0.0), "^temperature is 0, and the loss is nan: expected a positive number"),
        (torch.tensor(math.inf), "^temperature=inf, expected a positive number, such as 0.07$"),
    ],
)
@pytest.mark.parametrize("loss_class", [InfoNCE, lambda: InfoNCE() + 0.5 * Sigmoid()])
def test_loss_with_a_suspicious_temperature_names_the_temperature_once(
    loss_class: Callable[[], torch.nn.Module], temperature: float | torch.Tensor, message: str
) -> None:
    loss, x, y = loss_class(), unit_rows(0), unit_rows(1)
    with pytest.warns(IsthmusWarning, match=message) as caught:
        loss(x, y, temperature=temperature)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(x, y, temperature=temperature)


def test_loss_of_later_rows_that_are_not_unit_rows_warns_once() -> None:
    loss, x, y = InfoNCE(), unit_rows(0), unit_rows(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(x, y, 14.3)
        loss(x, y, 14.3)
    with pytest.warns(IsthmusWarning, match="got rows of mean length 9 and 1, and the losses expect") as caught:
        loss(9 * x, y, 14.3)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(9 * x, 9 * y, 14.3)
