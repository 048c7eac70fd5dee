"""Base class of losses and weighted sums of losses."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from isthmus.train._batch import Batch
from isthmus.utils.errors import InputError


class Loss(nn.Module):  # type: ignore[misc]
    """Base of all losses: a new one gives `value(batch)`, one number in nats or squared units.

    Rows are used as they come (nothing is normalised; encoders give unit rows). Under autocast everything is computed
    in float32 at least. Where `torch.distributed` is initialised the loss is that of the pairs of all processes, with
    exact gradients for `DistributedDataParallel`, which averages them; every process must bring equally many pairs.
    `loss.gather = False`, set on the loss that is called, keeps to the pairs of this process.
    """

    #: The key of the value in the dictionary; ends in _loss.
    key: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.gather = True

    def forward(
        self,
        image_features: Tensor,
        text_features: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float | None = None,
        output_dict: bool = False,
        *,
        semantic_features: Tensor | None = None,
    ) -> Tensor | dict[str, Tensor]:
        """The loss of n pairs, rows (n, d) of two tensors; a dictionary of its terms, weighted, with `output_dict`.

        `logit_scale` is 1/temperature (already exponentiated), `logit_bias` is added to the logits by losses that have
        a bias. `semantic_features` (n, k) are unit rows that say how alike the items are, for
        `IntraModalitySeparation`. Errors: `InputError` for shapes that do not fit and for fewer than two pairs.
        """
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
            # A parameter that no term uses still gets a gradient, zero: DistributedDataParallel insists on one.
            for unused in (batch.scale, batch.bias):
                if unused is not None and unused.requires_grad:
                    first = next(iter(terms))
                    terms[first] = terms[first] + 0 * unused
        return terms if output_dict else sum(terms.values(), torch.zeros((), device=batch.x.device))

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """The terms by key; they add up to the loss."""
        return {self.key: self.value(batch)}

    def value(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        raise NotImplementedError

    def __add__(self, other: Loss) -> Sum:
        return Sum(self, other) if isinstance(other, Loss) else NotImplemented

    def __mul__(self, weight: float) -> Sum:
        return Sum(self, weights=[weight]) if isinstance(weight, int | float) else NotImplemented

    __rmul__ = __mul__


class Sum(Loss):
    """A weighted sum of losses, `Sum(InfoNCE(), 0.1 * VarianceCovariance())` or `InfoNCE() + 0.1 * ...`.

    Sums of sums are flat. The dictionary holds the weighted terms, so that they add up to the loss, as training loops
    expect; terms of one key are added. Errors: `InputError` for nothing to add, for what is no loss, and for a weight
    that is not finite.

    >>> import torch
    >>> from isthmus.train import InfoNCE, TruePairAlignment
    >>> both = Sum(InfoNCE(), 0.5 * TruePairAlignment())
    >>> x, y = torch.eye(2), -torch.eye(2)
    >>> {key: round(value.item(), 4) for key, value in both(x, y, 1.0, output_dict=True).items()}
    {'contrastive_loss': 1.3133, 'true_pair_alignment_loss': 2.0}
    """

    losses: nn.ModuleList
    weights: list[float]

    def __init__(self, *losses: Loss, weights: list[float] | None = None) -> None:
        super().__init__()
        weights = [1.0] * len(losses) if weights is None else weights
        flat: list[Loss] = []
        scaled: list[float] = []
        if not losses or len(weights) != len(losses):
            raise InputError(f"{len(losses)} losses and {len(weights)} weights came, expected one weight for each")
        for loss, weight in zip(losses, weights, strict=True):
            if not isinstance(loss, Loss):
                raise InputError(f"a {type(loss).__name__} cannot be added, expected a loss of isthmus.train")
            if not abs(weight) < float("inf"):
                raise InputError(f"weight {weight} came, expected a finite number")
            if isinstance(loss, Sum):
                flat += list(loss.losses)
                scaled += [weight * inner for inner in loss.weights]
            else:
                flat.append(loss)
                scaled.append(float(weight))
        self.losses = nn.ModuleList(flat)
        self.weights = scaled

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for loss, weight in zip(self.losses, self.weights, strict=True):
            for key, value in loss.terms(batch).items():
                total[key] = total[key] + weight * value if key in total else weight * value
        return total

    def extra_repr(self) -> str:
        return f"weights={self.weights}"


__all__ = ["Loss", "Sum"]
