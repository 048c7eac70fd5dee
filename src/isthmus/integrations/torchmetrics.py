"""A reading as a metric of torchmetrics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.integrations import needed
from isthmus.train.batch_moments import batch_sums, moments_from_sums
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError


def metric(width: int, /, *, names: tuple[str, str] = ("image", "text"), **options: Any) -> Any:
    """A `torchmetrics.Metric`: `update(x, y)` with features (n, `width`), `compute()` gives the numbers of
    `GapSnapshot.to_dict` as a dictionary of tensors.

    The state is one vector of sums: torchmetrics adds it up over processes. `options` go to `Metric`.
    Errors: `InputError` without torchmetrics, for features of another width, and when nothing was seen.
    """
    torchmetrics = needed("torchmetrics", "metric")

    class GapMetric(torchmetrics.Metric):  # type: ignore[misc,name-defined]
        is_differentiable = False
        higher_is_better = False
        full_state_update = False
        sums: Tensor

        def __init__(self) -> None:
            super().__init__(**options)
            zeros = torch.zeros(3 * width * width + 4 * width + 2, dtype=torch.float64)
            self.add_state("sums", default=zeros, dist_reduce_fx="sum")

        def update(self, x: Tensor, y: Tensor) -> None:
            if x.ndim != 2 or x.shape[1] != width:
                raise InputError(f"features of shape {tuple(x.shape)} came, expected width {width}")
            self.sums += batch_sums(x, y)

        def compute(self) -> dict[str, Tensor]:
            if self.sums[0] < 2:
                raise InputError(f"{int(self.sums[0])} pairs were seen, expected at least two; call update first")
            reading = GapSnapshot.of(moments_from_sums(self.sums), names=names)
            return {key: torch.tensor(value) for key, value in reading.to_dict().items()}

    return GapMetric()
