"""Batch of one training step, with the rows of all processes and means over them that keep exact gradients.

Every process computes the loss of the whole batch and calls backward on it. The backward pass of the gathered rows adds
up the gradients of all processes. The rows of a process therefore receive (number of processes) x the gradient of the
loss. `DistributedDataParallel` then averages the gradients of the parameters over the processes. The result is the
gradient that one process with the whole batch would compute.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from isthmus.utils.errors import InputError
from isthmus.utils.format import counted


class Batch:
    """Pairs of one step: n on this process, N on all processes.

    Row i of `x` is row `offset + i` of `all_x`. Rows have at least float32 precision, also under autocast. Every
    process must have the same number of rows.

    Parameters
    ----------
    image_features, text_features : Tensor of shape (n, d)
        Features of the two modalities. Row i of both is one pair.
    logit_scale : Tensor or float
        1 / temperature.
    logit_bias : Tensor or float or None, default None
        Bias of the logits.
    semantic_features : Tensor of shape (n, k) or None, default None
        Unit rows whose products are the similarities of the items.
    gather : bool, default True
        Use the pairs of all processes if `torch.distributed` is initialised.

    Attributes
    ----------
    x, y : Tensor of shape (n, d)
        Rows of this process.
    n, n_total : int
        Numbers of pairs on this process and on all processes.
    world_size, rank : int
        Number of processes and index of this one.
    offset : int
        Index of the first row of this process among all rows.
    scale : Tensor
        `logit_scale` as a scalar.
    bias : Tensor or None
        `logit_bias` as a scalar.
    semantic : Tensor of shape (n, k) or None
        `semantic_features` without a gradient.

    Raises
    ------
    InputError
        If shapes or types do not fit, or the batch has fewer than two pairs.
    """

    def __init__(
        self,
        image_features: Tensor,
        text_features: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float | None = None,
        *,
        semantic_features: Tensor | None = None,
        gather: bool = True,
    ) -> None:
        self.world_size, self.rank = 1, 0
        if gather and dist.is_available() and dist.is_initialized():
            self.world_size, self.rank = dist.get_world_size(), dist.get_rank()
        _validate(image_features, text_features, semantic_features, self.world_size)
        self.x, self.y = _at_least_float32(image_features), _at_least_float32(text_features)
        self.n = len(self.x)
        self.n_total = self.n * self.world_size
        self.offset = self.rank * self.n
        self.scale = _scalar(logit_scale, self.x, "logit_scale")
        self.bias = None if logit_bias is None else _scalar(logit_bias, self.x, "logit_bias")
        self.semantic = None if semantic_features is None else _at_least_float32(semantic_features).detach()

    @cached_property
    def all_x(self) -> Tensor:
        """Rows x of all processes, (N, d)."""
        return self.gather(self.x)

    @cached_property
    def all_y(self) -> Tensor:
        """Rows y of all processes, (N, d)."""
        return self.gather(self.y)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes in the order of their ranks, (n, k) -> (N, k)."""
        return rows if self.world_size == 1 else _Gather.apply(rows, self.world_size, self.rank)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes of `value`, itself a mean over the rows of each process.

        Gradients are exact if everything that follows is computed alike on every process, and never from the rows of
        one process.
        """
        if self.world_size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        # The share of this process is 1/world_size. The gradients of the other losses multiply it by world_size.
        return value + (total / self.world_size - value.detach())

    def log_mean_exp(self, exponents: Tensor, *, exclude_positives: bool = False) -> Tensor:
        """Return the log of the mean of exp over the (n, N) `exponents` of all processes.

        With `exclude_positives`, the entries of matching pairs are overwritten and not counted.
        """
        if exclude_positives:
            self.positives(exponents).fill_(-torch.inf)
        shift = exponents.detach().max()
        if self.world_size > 1:
            dist.all_reduce(shift, dist.ReduceOp.MAX)
        row_mean = (exponents - shift).exp().sum() / (self.n * (self.n_total - exclude_positives))
        return self.mean(row_mean).log() + shift

    def positives(self, similarities: Tensor, start: int = 0) -> Tensor:
        """Return a view of the entries of matching pairs.

        `similarities` holds (rows of this process from `start`) x (rows of all processes).
        """
        return similarities.diagonal(self.offset + start)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return |a_i - b_j|^2 for all pairs of rows, (n, N)."""
    return a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T


def map_tiles(function: Callable[..., Tensor], rows: Tensor, *args: Tensor, block: int | None) -> Tensor:
    """Return `function(rows, start, *args)`, applied to tiles of `block` rows and concatenated.

    Intermediate results of a tile are not kept for the backward pass, which computes them again. If `block` is None,
    there is one tile and everything is kept.
    """
    if block is None or len(rows) <= block:
        return function(rows, 0, *args)
    values = [
        checkpoint(function, tile, number * block, *args, use_reentrant=False, preserve_rng_state=False)
        for number, tile in enumerate(rows.split(block))
    ]
    return torch.cat(values)


class _Gather(torch.autograd.Function):  # type: ignore[misc]
    """Concatenate the rows of all processes. The backward pass adds up all gradients of the rows of a process."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, world_size: int, rank: int) -> Tensor:
        ctx.local_rows = slice(rank * len(rows), (rank + 1) * len(rows))
        gathered = [torch.empty_like(rows) for _ in range(world_size)]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.local_rows], None, None


def _at_least_float32(rows: Tensor) -> Tensor:
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def _scalar(value: Tensor | float, rows: Tensor, name: str) -> Tensor:
    """Return `value` as a scalar with the dtype of the rows."""
    if not isinstance(value, Tensor):
        value = torch.tensor(float(value), dtype=rows.dtype, device=rows.device)
    if value.numel() != 1:
        raise InputError(f"{name} has shape {tuple(value.shape)}, expected one number")
    return value.reshape(()).to(rows.dtype)


def _validate(image: Tensor, text: Tensor, semantic: Tensor | None, world_size: int) -> None:
    """Raise InputError unless the features are at least two pairs of one width."""
    for name, rows in (("image_features", image), ("text_features", text), ("semantic_features", semantic)):
        if rows is None:
            continue
        if not isinstance(rows, Tensor) or not rows.is_floating_point() or rows.ndim != 2:
            actual = f"shape {tuple(rows.shape)} and {rows.dtype}" if isinstance(rows, Tensor) else type(rows).__name__
            raise InputError(f"{name}: got {actual}, expected a floating-point tensor of shape (pairs, width)")
        if len(rows) != len(image):
            raise InputError(
                f"{name} has {counted(len(rows), 'row')} and image_features {len(image)}: give one row for each item, "
                "in one order"
            )
    if image.shape != text.shape:
        raise InputError(
            f"image_features have width {image.shape[1]} and text_features {text.shape[1]}: give features of the "
            "shared space of one model"
        )
    if len(image) * world_size < 2:
        raise InputError(
            f"a batch of {counted(len(image), 'pair')} has no non-matching pair; use drop_last=True in the loader"
        )
