"""Sums of the rows of batches on the device of the features, from which `Moments` are made."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.data.grouping import group_equal_rows
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError

#: Smallest norm that a row is divided by.
MIN_NORM = 1e-30
#: Largest coordinate of a row whose squares are added as they are. Its inverse is the smallest one.
MAX_COORDINATE = 1e12


def batch_sums(x: Tensor, y: Tensor, /) -> Tensor:
    """Return all sums of a batch of pairs as one vector, without a gradient or a synchronisation with the device.

    Parameters
    ----------
    x, y : Tensor of shape (n, d)
        Features of the two modalities. Row i of both is one pair. Rows are divided by their norms.

    Returns
    -------
    Tensor of shape (3 d^2 + 4 d + 2,)
        Sums in float64 (float32 on Apple devices), from products in float32, or float64 for float64 features. Vectors
        of several batches and processes add up. `moments_from_sums` converts them.

    Raises
    ------
    InputError
        If the features are no floating-point matrices of one shape.

    Examples
    --------
    >>> x = torch.eye(2)
    >>> batch_sums(x, x).shape
    torch.Size([22])
    """
    for name, rows in (("x", x), ("y", y)):
        if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
            actual = f"{rows.dtype} of shape {tuple(rows.shape)}" if isinstance(rows, Tensor) else type(rows).__name__
            raise InputError(f"{name}: got {actual}, expected a floating-point tensor of shape (pairs, width)")
    if x.shape != y.shape:
        raise InputError(
            f"got features of shapes {tuple(x.shape)} and {tuple(y.shape)}, expected one shape: row i of both is one "
            "pair"
        )
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        x, y = (_unit_rows(rows.detach()) for rows in (x, y))
        cosines = (x * y).sum(1)
        count = torch.full((1,), float(len(x)), device=x.device, dtype=x.dtype)
        sums = torch.cat(
            (
                *(count, (cosines @ cosines)[None], x.sum(0), y.sum(0), cosines @ x, cosines @ y),
                *((x.T @ x).flatten(), (y.T @ y).flatten(), (x.T @ y).flatten()),
            )
        )
        # Apple devices have no float64.
        return sums if sums.device.type == "mps" else sums.double()


def _unit_rows(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(scaled_rows(rows)[0], eps=MIN_NORM)


def scaled_rows(rows: Tensor, /) -> tuple[Tensor, Tensor]:
    """Return rows whose squares stay in the range of float32, and the factor that each of them was divided by.

    Parameters
    ----------
    rows : Tensor of shape (n, d)
        Rows of any finite length.

    Returns
    -------
    rows : Tensor of shape (n, d)
        Rows in float32 or float64, unchanged unless their largest coordinate is far from 1.
    factors : Tensor of shape (n, 1)
        1, or the largest absolute value of the row.
    """
    rows = rows if rows.dtype == torch.float64 else rows.float()
    largest = rows.abs().amax(dim=1, keepdim=True)
    is_in_range = ((largest > 1 / MAX_COORDINATE) & (largest < MAX_COORDINATE)) | (largest == 0) | ~largest.isfinite()
    factors = largest.masked_fill(is_in_range, 1.0)
    return rows / factors, factors


def moments_of_items(x: Tensor, y: Tensor, /) -> Moments | None:
    """Return the moments of pairs whose equal rows are one item.

    Parameters
    ----------
    x, y : Tensor of shape (n, d)
        Features of the two modalities, finite and not zero. Row i of both is one pair.

    Returns
    -------
    Moments or None
        Moments of unit rows in NumPy's float64. None if no row repeats.

    Examples
    --------
    >>> x, y = torch.eye(24), torch.eye(24).flip(0)
    >>> moments_of_items(*(rows.repeat_interleave(2, 0) for rows in (x, y))).by_item.n_items
    24
    """
    if len(x) < 2:
        return None
    first, second = (_unit_rows(rows.detach()).cpu().numpy() for rows in (x, y))
    pairs = group_equal_rows(Pairs(x=first, y=second))
    return None if pairs.grouped is None else Moments.of(pairs).numpy()


def moments_from_sums(sums: Tensor, /, *, matmul_dtype: str = "float32") -> Moments:
    """Convert added `batch_sums` to `Moments`.

    Parameters
    ----------
    sums : Tensor of shape (3 d^2 + 4 d + 2,)
        Sum of one or more results of `batch_sums`.
    matmul_dtype : {"float32", "float64"}, default "float32"
        Precision of the products in the sums.

    Returns
    -------
    Moments
        Moments of unit rows in NumPy's float64.

    Examples
    --------
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
