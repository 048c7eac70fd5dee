"""The pairs of one step: the rows of this process, the rows of all, and means over all that keep exact gradients.

Why gradients come out right: every process holds the loss of the whole batch, and every process calls backward on it.
Gradients that other processes send back to gathered rows are added up, so the rows of a process receive (number of
processes) x the gradient of the loss; `DistributedDataParallel` then averages the parameters' gradients over the
processes, and what is left is the gradient that one process with the whole batch would have found.
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


class Batch:
    """n pairs on this process, N on all: `x`, `y` (n, d) are here, `all_x`, `all_y` (N, d) everywhere.

    Row i of `x` is row `offset + i` of `all_x`. Rows are at least float32, whatever autocast says. Every process must
    bring the same number of rows.
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
        self.processes, self.rank = 1, 0
        if gather and dist.is_available() and dist.is_initialized():
            self.processes, self.rank = dist.get_world_size(), dist.get_rank()
        _check(image_features, text_features, semantic_features, self.processes)
        self.x, self.y = _precise(image_features), _precise(text_features)
        self.n = len(self.x)
        self.offset = self.rank * self.n
        self.scale = _scalar(logit_scale, self.x, "logit_scale")
        self.bias = None if logit_bias is None else _scalar(logit_bias, self.x, "logit_bias")
        self.semantic = None if semantic_features is None else _precise(semantic_features).detach()

    @cached_property
    def all_x(self) -> Tensor:
        return self.gather(self.x)

    @cached_property
    def all_y(self) -> Tensor:
        return self.gather(self.y)

    @property
    def total(self) -> int:
        """How many pairs all processes hold."""
        return self.n * self.processes

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, (n, k) -> (N, k), in the order of the ranks."""
        return rows if self.processes == 1 else _Gather.apply(rows, self.processes, self.rank)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes of a mean over the rows of each. Gradients are exact when all that follows is
        computed alike on every process (never from the rows of one)."""
        if self.processes == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        # The share of this process is 1/processes; what the others' losses send back multiplies it by their number.
        return value + (total / self.processes - value.detach())

    def log_mean_exp(self, exponents: Tensor, *, others: bool = False) -> Tensor:
        """log of the mean of exp over (n, N) `exponents` of all processes; with `others` without those of partners,
        which are overwritten."""
        if others:
            self.positives(exponents).fill_(-torch.inf)
        shift = exponents.detach().max()
        if self.processes > 1:
            dist.all_reduce(shift, dist.ReduceOp.MAX)
        shares = (exponents - shift).exp().sum() / (self.n * (self.total - others))
        return self.mean(shares).log() + shift

    def positives(self, similarities: Tensor, start: int = 0) -> Tensor:
        """A view of the entries of partners in (rows of this process from `start`) x (rows of all)."""
        return similarities.diagonal(self.offset + start)


def squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    """|a_i - b_j|^2 for all pairs, (n, N)."""
    return rows.square().sum(1)[:, None] + others.square().sum(1) - 2 * rows @ others.T


def tiled(function: Callable[..., Tensor], rows: Tensor, *others: Tensor, block: int | None) -> Tensor:
    """`function(rows, start, *others)` on blocks of rows, its values joined; with `block`, nothing that a tile makes
    is kept for the backward pass, which computes it again."""
    if block is None or len(rows) <= block:
        return function(rows, 0, *others)
    parts = [
        checkpoint(function, tile, number * block, *others, use_reentrant=False, preserve_rng_state=False)
        for number, tile in enumerate(rows.split(block))
    ]
    return torch.cat(parts)


class _Gather(torch.autograd.Function):  # type: ignore[misc]
    """All rows; gradients of all processes are added up and each takes those of its own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, processes: int, rank: int) -> Tensor:
        ctx.mine = slice(rank * len(rows), (rank + 1) * len(rows))
        parts = [torch.empty_like(rows) for _ in range(processes)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.mine], None, None


def _precise(rows: Tensor) -> Tensor:
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def _scalar(value: Tensor | float, rows: Tensor, name: str) -> Tensor:
    if not isinstance(value, Tensor):
        value = torch.tensor(float(value), dtype=rows.dtype, device=rows.device)
    if value.numel() != 1:
        raise InputError(f"{name} has shape {tuple(value.shape)}, expected one number")
    return value.reshape(()).to(rows.dtype)


def _check(image: Tensor, text: Tensor, semantic: Tensor | None, processes: int) -> None:
    for name, rows in (("image_features", image), ("text_features", text), ("semantic_features", semantic)):
        if rows is None:
            continue
        if not isinstance(rows, Tensor) or not rows.is_floating_point() or rows.ndim != 2:
            what = f"shape {tuple(rows.shape)} and {rows.dtype}" if isinstance(rows, Tensor) else type(rows).__name__
            raise InputError(f"{name}: {what} came, expected a floating-point tensor of shape (pairs, width)")
        if len(rows) != len(image):
            raise InputError(f"{name} has {len(rows)} rows and image_features {len(image)}: row i of all is one item")
    if image.shape != text.shape:
        raise InputError(
            f"image_features have width {image.shape[1]} and text_features {text.shape[1]}: both must come from the "
            "shared space of one model"
        )
    if len(image) * processes < 2:
        raise InputError(f"a batch of {len(image)} pairs has nothing to contrast; use drop_last=True in the loader")
