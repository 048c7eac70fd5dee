"""Base class of losses and weighted sums of losses."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.statistics.degeneracy import COLLAPSED_KINDS, find_degeneracies
from isthmus.train._batch import Batch
from isthmus.train.batch_moments import batch_sums, moments_from_sums, scaled_rows
from isthmus.utils.arguments import check_number, shown
from isthmus.utils.errors import InputError, IsthmusWarning

#: Temperature of CLIP at its start (A. Radford et al. 2021), used by a call without one.
DEFAULT_TEMPERATURE = 0.07
#: Largest deviation of the mean length of unit rows from 1. Rows in bfloat16 deviate by 0.004.
LENGTH_TOLERANCE = 0.02
#: Scales at the start and at the end of the training of CLIP, and at the start of SigLIP.
USUAL_SCALES = (1 / DEFAULT_TEMPERATURE, 100.0, 10.0)
#: Largest difference of a scale from the logarithm of a usual one at which it is taken for this logarithm.
LOG_TOLERANCE = 1e-3
#: Scale below which it is taken for a temperature. That of trained models is 4 to 200. A temperature above the inverse
#: is taken for a scale.
SMALLEST_SCALE = 0.5
UNIT_ROWS = "use torch.nn.functional.normalize(features, dim=1)"
#: Pairs of the first batch whose moments are searched for a collapse.
CHECKED_PAIRS = 256
#: Fewest pairs of a first batch whose rows are judged.
MIN_CHECKED_PAIRS = 4
#: Batches on a device from one whose lengths and loss are read to the next, because reading waits for the device.
DEVICE_CHECK_INTERVAL = 64


class Loss(nn.Module):  # type: ignore[misc]
    """Define the interface of all losses. A subclass sets `key` and implements `value(batch)`.

    Rows are used as they are: encoders return unit rows, and nothing is normalised here. Under autocast, all
    computations have at least float32 precision. If `torch.distributed` is initialised, the loss is that of the pairs
    of all processes, with exact gradients for `DistributedDataParallel`. Every process must have the same number of
    pairs. Set `loss.gather = False` on the loss that is called to use the pairs of this process alone.

    Examples
    --------
    >>> import torch
    >>> class MeanNorm(Loss):
    ...     key = "mean_norm_loss"
    ...     def value(self, batch):
    ...         return batch.mean(batch.x.norm(dim=1).mean())
    >>> MeanNorm()(torch.eye(2), torch.eye(2), 1.0).item()
    1.0
    """

    #: Key of the value in the dictionary of terms. It ends in '_loss'.
    key: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.gather = True
        #: True after the rows and the scale of the first batch were checked.
        self.is_checked = False
        #: Number of calls outside compiled code.
        self.n_calls = 0
        #: True after rows that are not unit rows were reported.
        self.has_warned_of_lengths = False
        #: True after a loss that is not finite was reported.
        self.has_warned_of_nan = False

    def forward(
        self,
        image_features: Tensor,
        text_features: Tensor,
        logit_scale: Tensor | float | None = None,
        logit_bias: Tensor | float | None = None,
        output_dict: bool = False,
        *,
        semantic_features: Tensor | None = None,
        temperature: Tensor | float | None = None,
    ) -> Tensor | dict[str, Tensor]:
        """Compute the loss of n pairs.

        Parameters
        ----------
        image_features, text_features : Tensor of shape (n, d)
            Unit rows of the two modalities. Row i of both is one pair.
        logit_scale : Tensor or float or None, default None
            1 / temperature, already exponentiated. Without it and without `temperature`, 1 / 0.07.
        logit_bias : Tensor or float or None, default None
            Bias of the logits, for losses that have one.
        output_dict : bool, default False
            Return the weighted terms instead of their sum.
        semantic_features : Tensor of shape (n, k) or None, default None
            Unit rows whose products are the similarities of the items, for `IntraModalitySeparation`.
        temperature : Tensor or float or None, default None
            Temperature, in place of `logit_scale`.

        Returns
        -------
        Tensor or dict of str to Tensor
            The loss as a scalar, or its weighted terms by key.

        Raises
        ------
        InputError
            If shapes do not fit, there are fewer than two pairs, or both `logit_scale` and `temperature` are given.
            Also if `temperature` is a number that is not positive.

        Warns
        -----
        IsthmusWarning
            Once, if the loss is not finite, with the reason. Once, if rows are not unit rows. On a device, the first
            batch and every 64th one are checked. On the first call only, if all rows of a modality are the same, nearly
            the same, or vary in few directions. Also if `logit_scale` is not positive, below 0.5 as temperatures are,
            or the logarithm of a usual one, and if `temperature` is not positive, or above 2 as scales are.
        """
        if logit_scale is not None and temperature is not None:
            raise InputError("got logit_scale and temperature, expected one of them: logit_scale is 1 / temperature")
        # The value of a tensor is not read, because that would wait for the device.
        if temperature is not None and not isinstance(temperature, Tensor):
            check_number(temperature, "temperature", "a positive number, such as 0.07, or a tensor", 0)
        if logit_scale is not None and not isinstance(logit_scale, Tensor | numbers.Real):  # NaN is warned of
            raise InputError(f"logit_scale={shown(logit_scale)}, expected a number, such as 14.3, or a tensor")
        scale_given = logit_scale if temperature is None else temperature
        if logit_scale is None:
            logit_scale = 1 / (DEFAULT_TEMPERATURE if temperature is None else temperature)
        device = image_features.device.type if isinstance(image_features, Tensor) else "cpu"
        with torch.autocast(device, enabled=False):
            batch = Batch(
                image_features,
                text_features,
                logit_scale,
                logit_bias,
                semantic_features=semantic_features,
                gather=self.gather,
            )
            terms = self.terms(batch)
            # A parameter that no term uses gets the gradient zero, because DistributedDataParallel requires one.
            for parameter in (batch.scale, batch.bias):
                if parameter is not None and parameter.requires_grad:
                    first = next(iter(terms))
                    terms[first] = terms[first] + 0 * parameter
            total = sum(terms.values(), torch.zeros((), device=batch.x.device))
            is_first, self.is_checked = not self.is_checked, True
            is_read = is_first
            if not torch.compiler.is_compiling():
                self.n_calls += 1
                is_read = is_first or device == "cpu" or self.n_calls % DEVICE_CHECK_INTERVAL == 0
            argument = "logit_scale" if temperature is None else "temperature"
            messages = []
            if is_read and not math.isfinite(total.detach()):
                if not self.has_warned_of_nan:
                    self.has_warned_of_nan = True
                    messages.append(overflow_reason(batch, float(total.detach()), argument))
            elif is_read and not self.has_warned_of_lengths and (lengths := non_unit_lengths(batch.x, batch.y)):
                self.has_warned_of_lengths = True
                messages.append(
                    f"got rows of mean length {lengths[0]:.4g} and {lengths[1]:.4g}, and the losses expect unit rows: "
                    f"{UNIT_ROWS}"
                )
            if is_first:
                messages += collapse_warnings(batch) + scale_warnings(batch, scale_given, argument)
            for message in messages:
                warnings.warn(message, IsthmusWarning, stacklevel=4)
        return terms if output_dict else total

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the terms of the loss, which add up to it.

        Parameters
        ----------
        batch : Batch
            Pairs of this step.

        Returns
        -------
        dict of str to Tensor
            Scalars by key.
        """
        return {self.key: self.value(batch)}

    def value(self, batch: Batch) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        batch : Batch
            Pairs of this step.

        Returns
        -------
        Tensor
            Scalar, in nats or squared units.
        """
        raise NotImplementedError

    def __add__(self, other: Loss) -> Sum:
        return Sum(self, other) if isinstance(other, Loss) else NotImplemented

    def __mul__(self, weight: float) -> Sum:
        return Sum(self, weights=[weight]) if isinstance(weight, int | float) else NotImplemented

    __rmul__ = __mul__


def overflow_reason(batch: Batch, loss: float, argument: str) -> str:
    """Return why the loss of a batch is NaN or infinite. `argument` is 'logit_scale' or 'temperature'."""
    bad = [
        f"{int(count)} of {batch.n} rows of {name}"
        for name, rows in (("image_features", batch.x), ("text_features", batch.y))
        if (count := (~rows.detach().isfinite()).any(dim=1).sum())
    ]
    if bad:
        return f"{' and '.join(bad)} hold NaN or infinite values, and so does the loss: look at the encoder"
    scale = argument_value(batch, argument)
    if math.isnan(scale):
        return f"{argument} is NaN, and so is the loss: look for an overflow in an earlier step"
    if argument == "temperature" and scale == 0:
        return f"temperature is 0, and the loss is {loss}: expected a positive number, such as 0.07"
    bias = 0.0 if batch.bias is None else float(batch.bias.detach())
    for name, value in ((argument, scale), ("logit_bias", bias)):
        if not math.isfinite(value):
            return f"{name} is {value}, and the loss is {loss}: look for an overflow in an earlier step"
    lengths = non_unit_lengths(batch.x, batch.y)
    if lengths:
        return f"got rows of mean length {lengths[0]:.4g} and {lengths[1]:.4g}, and the loss is {loss}: {UNIT_ROWS}"
    remedy = "lower the scale" if argument == "logit_scale" else "raise the temperature"
    return f"the loss is {loss} although rows and {argument}={scale:.4g} are finite: {remedy}, or use float64"


def argument_value(batch: Batch, argument: str) -> float:
    """Return the scale of a batch as the value of the argument that set it, 'logit_scale' or 'temperature'."""
    scale = float(batch.scale.detach())
    if argument == "logit_scale":
        return scale
    return 1 / scale if scale else math.inf


def collapse_warnings(batch: Batch) -> list[str]:
    """Return which modalities of a first batch are collapsed."""
    rows = [features[:CHECKED_PAIRS].detach() for features in (batch.x, batch.y)]
    is_judged = batch.x.shape == batch.y.shape and len(batch.x) >= MIN_CHECKED_PAIRS
    moments = moments_from_sums(batch_sums(*rows)) if is_judged else None
    if moments is None or not np.isfinite(moments.cos_sq):
        return []
    degeneracies = find_degeneracies(moments, ("image_features", "text_features"))
    return [f"in the first batch {d.message}" for d in degeneracies if d.kind in COLLAPSED_KINDS]


def scale_warnings(batch: Batch, argument_given: Tensor | float | None, argument: str) -> list[str]:
    """Return what is suspicious about the scale or the temperature that a first call was given."""
    if argument_given is None:
        return []
    value = argument_value(batch, argument)
    if argument == "temperature":
        if 1 / SMALLEST_SCALE < value < math.inf:
            return [
                f"temperature={value:.4g} looks like a logit scale, which is 1 / temperature: give "
                f"logit_scale={value:.4g} or temperature={1 / value:.4g}"
            ]
        if value < 0 or value == math.inf:
            remedy = "; if the model stores the logarithm, give its exponential" if value < 0 else ""
            return [f"temperature={value:.4g}, expected a positive number, such as 0.07{remedy}"]
        return []
    is_raw_parameter = isinstance(argument_given, nn.Parameter)
    if value <= 0 or is_raw_parameter or any(abs(value - math.log(usual)) < LOG_TOLERANCE for usual in USUAL_SCALES):
        return [
            f"logit_scale={value:.4g} looks like a logarithm, expected 1 / temperature: if the model stores the "
            "logarithm, give logit_scale.exp()"
        ]
    if 0 < value < SMALLEST_SCALE:
        return [
            f"logit_scale={value:.4g} looks like a temperature, expected 1 / temperature: give {1 / value:.4g}, or 1 / "
            "temperature of the model"
        ]
    return []


def non_unit_lengths(x: Tensor, y: Tensor) -> tuple[float, float] | None:
    """Return the mean lengths of the rows that are not zero, or None if both are 1 within 2 %, or not finite."""
    means = torch.stack([torch.linalg.vector_norm(rows.detach(), dim=1).mean().float() for rows in (x, y)])
    if bool(((means - 1).abs() <= LENGTH_TOLERANCE).all()):  # the usual case, without a scaled copy of the rows
        return None
    lengths = []
    for features in (x, y):
        rows, factors = scaled_rows(features.detach())
        row_lengths = rows.norm(dim=1)
        n_rows = int((row_lengths > 0).sum())
        largest = float(factors.max())  # a mean of large lengths may exceed float32
        lengths.append(float((row_lengths * (factors[:, 0] / largest)).sum()) * largest / n_rows if n_rows else 1.0)
    is_unit = not any(abs(length - 1) > LENGTH_TOLERANCE and math.isfinite(length) for length in lengths)
    return None if is_unit or not all(map(math.isfinite, lengths)) else (lengths[0], lengths[1])


class Sum(Loss):
    """Add losses with weights: `Sum(InfoNCE(), 0.1 * VarianceCovariance())` or `InfoNCE() + 0.1 * ...`.

    Sums of sums are flat. The dictionary holds the weighted terms, so that they add up to the loss. Terms with the
    same key are added.

    Parameters
    ----------
    *losses : Loss
        One or more losses.
    weights : list of float or None, default None
        One finite weight for each loss, 1 by default.

    Raises
    ------
    InputError
        If there is no loss, an argument is no loss, or a weight is not finite.

    Examples
    --------
    >>> import torch
    >>> from isthmus.train import InfoNCE, TruePairAlignment
    >>> loss = Sum(InfoNCE(), 0.5 * TruePairAlignment())
    >>> x, y = torch.eye(2), -torch.eye(2)
    >>> {key: round(value.item(), 4) for key, value in loss(x, y, 1.0, output_dict=True).items()}
    {'contrastive_loss': 1.3133, 'true_pair_alignment_loss': 2.0}
    """

    losses: nn.ModuleList
    weights: list[float]

    def __init__(self, *losses: Loss, weights: list[float] | None = None) -> None:
        super().__init__()
        weights = [1.0] * len(losses) if weights is None else weights
        flat_losses: list[Loss] = []
        flat_weights: list[float] = []
        if not losses or len(weights) != len(losses):
            raise InputError(f"got {len(losses)} losses and {len(weights)} weights, expected one weight for each loss")
        for loss, weight in zip(losses, weights, strict=True):
            if not isinstance(loss, Loss):
                raise InputError(f"a {type(loss).__name__} cannot be added, expected a loss of isthmus.train")
            if not abs(weight) < float("inf"):
                raise InputError(f"got weight {weight}, expected a finite number")
            if isinstance(loss, Sum):
                flat_losses += list(loss.losses)
                flat_weights += [weight * inner for inner in loss.weights]
            else:
                flat_losses.append(loss)
                flat_weights.append(float(weight))
        self.losses = nn.ModuleList(flat_losses)
        self.weights = flat_weights

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for loss, weight in zip(self.losses, self.weights, strict=True):
            for key, value in loss.terms(batch).items():
                total[key] = total[key] + weight * value if key in total else weight * value
        return total

    def extra_repr(self) -> str:
        return f"weights={self.weights}"


__all__ = ["Loss", "Sum"]
