"""The snapshot of the monitor as a metric of torchmetrics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.train.batch_moments import batch_sums, moments_from_sums
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.format import counted


def metric(width: int, /, *, names: tuple[str, str] = ("image", "text"), **options: Any) -> Any:
    """Create a `torchmetrics.Metric` that computes the numbers of a `GapSnapshot`.

    The state is one vector of sums, which torchmetrics adds up over processes.

    Parameters
    ----------
    width : int
        Number of dimensions of the features.
    names : tuple of two str, default ("image", "text")
        Names of the two modalities.
    **options : Any
        Keyword arguments of `torchmetrics.Metric`.

    Returns
    -------
    torchmetrics.Metric
        `update(x, y)` takes features of shape (n, width). `compute()` returns the numbers of `GapSnapshot.to_dict` as
        a dictionary of tensors.

    Raises
    ------
    InputError
        If torchmetrics is not installed, features have another width, or `compute` is called before `update`.

    Examples
    --------
    >>> gap = metric(512)  # doctest: +SKIP
    >>> gap.update(image_features, text_features)  # doctest: +SKIP
    >>> gap.compute()["gap/angle"]  # doctest: +SKIP
    """
    torchmetrics = import_optional("torchmetrics", "", "metric", package="torchmetrics")

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
                raise InputError(f"got features of shape {tuple(x.shape)}, expected width {width}")
            self.sums += batch_sums(x, y)

        def compute(self) -> dict[str, Tensor]:
            if self.sums[0] < 2:
                raise InputError(f"got {counted(int(self.sums[0]), 'pair')}, expected at least two; call update first")
            snapshot = GapSnapshot.of(moments_from_sums(self.sums), names=names)
            return {key: torch.tensor(value) for key, value in snapshot.to_dict().items()}

    return GapMetric()
