"""The sums of the rows of some batches, on the device of the features: what `Moments` is made from."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


def batch_sums(x: Tensor, y: Tensor, /) -> Tensor:
    """All sums of a batch of pairs x, y (n, d) in one vector (3 d^2 + 4 d + 2,): no gradient, no transfer, no wait.

    Rows are divided by their norms and multiplied in float32 (float64 stays). Vectors of several batches, and of
    several processes, add up; `moments_from_sums` reads them. Errors: `InputError` for shapes that do not fit.
    """
    for name, rows in (("the first side", x), ("the second side", y)):
        if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
            what = f"{rows.dtype} of shape {tuple(rows.shape)}" if isinstance(rows, Tensor) else type(rows).__name__
            raise InputError(f"{name}: {what} came, expected a floating-point tensor of shape (pairs, width)")
    if x.shape != y.shape:
        raise InputError(f"features of shapes {tuple(x.shape)} and {tuple(y.shape)} came: row i of both is one pair")
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        x, y = (_unit(side.detach()) for side in (x, y))
        p = (x * y).sum(1)
        parts = (
            torch.full((1,), float(len(x)), device=x.device, dtype=x.dtype), (p @ p)[None], x.sum(0), y.sum(0), p @ x,
            p @ y, (x.T @ x).flatten(), (y.T @ y).flatten(), (x.T @ y).flatten(),
        )  # fmt: skip
        whole = torch.cat(parts)
        # Apple's devices have no float64.
        return whole if whole.device.type == "mps" else whole.double()


def _unit(rows: Tensor) -> Tensor:
    rows = rows if rows.dtype == torch.float64 else rows.float()
    return torch.nn.functional.normalize(rows, eps=1e-30)


def moments_from_sums(sums: Tensor, /, *, matmul_dtype: str = "float32") -> Moments:
    """The `Moments`, in NumPy's float64, of added up `batch_sums`; `matmul_dtype` is the precision of their products.

    >>> x, y = torch.eye(2), torch.eye(2).flip(0)
    >>> moments_from_sums(batch_sums(x, y) + batch_sums(x, x)).mean_paired
    0.5
    """
    flat = sums.detach().double().cpu().numpy()
    d = round(((16 + 12 * (len(flat) - 2)) ** 0.5 - 4) / 6)
    n, cos_sq = round(flat[0]), float(flat[1])
    sum_x, sum_y, cos_x, cos_y = flat[2 : 2 + 4 * d].reshape(4, d)
    xx, yy, xy = flat[2 + 4 * d :].reshape(3, d, d)
    return Moments(n, sum_x, sum_y, xx, yy, xy, cos_sq, cos_x, cos_y, None, matmul_dtype, True)
