"""The symmetric InfoNCE loss and its exact gradient, tile by tile, without an n x n matrix.

With S_ij = x_i.y_j / temperature, the loss of pair i in one direction is log(1 + sum_{j != i} exp(S_ij - S_ii)). Only
the sums without the diagonal are accumulated, so that a loss of 1e-12 keeps its digits. The gradient needs every tile a
second time. The first tiles are kept, as many as fit into a fixed amount of memory, and the others are recomputed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from isthmus.compute.arrays import Array, namespace
from isthmus.theory._arguments import matching_rows
from isthmus.utils.arguments import check_count
from isthmus.utils.errors import InputError

#: Bits of the precision -> largest exponent that needs no shift, summed over a million rows or inverted.
_SAFE_EXPONENT = {32: 55.0, 64: 300.0}
_TILE = 1024
#: Bytes of tiles that are kept for the gradient, for any n.
_CACHE_BYTES = 24 * 2**20


@dataclass(frozen=True)
class InfoNCEParts:
    """The parts of Phi = L - 2 log n, in nats (see `info_nce_parts`).

    Parameters
    ----------
    alignment : float
        Part of the matching pairs.
    uniformity_x : float
        Part of the x rows against all y rows.
    uniformity_y : float
        Part of the y rows against all x rows.

    References
    ----------
    .. [1] Wang and Isola (2020), arXiv 2005.10242.

    Examples
    --------
    >>> InfoNCEParts(alignment=-2.0, uniformity_x=0.5, uniformity_y=0.5).limit
    -1.0
    """

    alignment: float
    uniformity_x: float
    uniformity_y: float

    @property
    def limit(self) -> float:
        """Phi, the sum of the three parts."""
        return self.alignment + self.uniformity_x + self.uniformity_y


def info_nce(
    X: Array,
    Y: Array,
    /,
    *,
    temperature: float,
    reduction: str = "sum",
    gradient: bool = False,
    block: int = _TILE,
) -> Any:
    """Return the symmetric InfoNCE loss of pairs, and optionally its gradient.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows of the first modality, used without normalisation.
    Y : array of shape (n, d)
        Rows of the second modality. Row i matches row i of `X`.
    temperature : float
        Temperature t, positive.
    reduction : {'sum', 'mean'}, default 'sum'
        'sum' adds the two directions, the convention of the theorems. 'mean' is half of that, the convention of CLIP.
    gradient : bool, default False
        Return the gradient too.
    block : int, default 1024
        Rows of a tile.

    Returns
    -------
    float or tuple
        Loss in nats, non-negative. With `gradient=True` the triple (loss, dL/dX, dL/dY), with arrays of the given type.

    Raises
    ------
    InputError
        If the arrays are not two of the same shape (n, d), or a value is not finite. Also if the temperature is not
        positive, the reduction is unknown, or the block is below 1.

    Notes
    -----
    L = (1/n) sum_i [-log softmax_j(x_i.y_j / t)_i - log softmax_j(y_i.x_j / t)_i]. Products and exponentials have the
    precision of the arrays (at least float32), sums are float64. Memory is O(n d + block^2), and up to 24 MB of tiles
    for the gradient.

    References
    ----------
    .. [1] van den Oord, Li and Vinyals (2018), arXiv 1807.03748.
    .. [2] Radford et al. (2021), arXiv 2103.00020.

    Examples
    --------
    >>> import numpy as np
    >>> round(info_nce(np.eye(2), np.eye(2), temperature=1.0), 6)
    0.626523
    """
    if reduction not in ("sum", "mean"):
        raise InputError(f"reduction {reduction!r}, expected 'sum' or 'mean' of the two directions")
    tiles = _Tiles(X, Y, temperature, block, keep_tiles=gradient)
    loss = tiles.loss()
    weight = 1.0 if reduction == "sum" else 0.5
    if not gradient:
        return weight * loss
    return weight * loss, *tiles.gradient(weight, X, Y)


def info_nce_limit(X: Array, Y: Array, /, *, temperature: float, block: int = _TILE) -> float:
    """Return Phi = L - 2 log n, the loss without the part that the number of negatives adds.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows of the first modality, used without normalisation.
    Y : array of shape (n, d)
        Rows of the second modality. Row i matches row i of `X`.
    temperature : float
        Temperature t, positive.
    block : int, default 1024
        Rows of a tile.

    Returns
    -------
    float
        Phi in nats, with both directions summed.

    Raises
    ------
    InputError
        As `info_nce`.

    Notes
    -----
    At every n, Phi equals a population functional of the empirical distribution of the pairs: -(2/t) E[x.y] + E_x log
    E_y exp(x.y/t) + E_y log E_x exp(x.y/t). A bound of the functional therefore bounds every batch.

    References
    ----------
    .. [1] Wang and Isola (2020), arXiv 2005.10242.

    Examples
    --------
    >>> import numpy as np
    >>> round(info_nce_limit(np.eye(2), np.eye(2), temperature=1.0), 6)
    -0.759771
    """
    return info_nce_parts(X, Y, temperature=temperature, block=block).limit


def info_nce_parts(X: Array, Y: Array, /, *, temperature: float, block: int = _TILE) -> InfoNCEParts:
    """Split Phi = L - 2 log n into alignment and the uniformity of each modality.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows of the first modality, used without normalisation.
    Y : array of shape (n, d)
        Rows of the second modality. Row i matches row i of `X`.
    temperature : float
        Temperature t, positive.
    block : int, default 1024
        Rows of a tile.

    Returns
    -------
    InfoNCEParts
        Parts in nats. For unit rows alignment is at least -2/t, and each uniformity lies in [-1/t, 1/t].

    Raises
    ------
    InputError
        As `info_nce`.

    Notes
    -----
    alignment = -(2/t) mean x_i.y_i and uniformity_x = mean_i log mean_j exp(x_i.y_j / t). uniformity_y is the same with
    the roles exchanged.

    References
    ----------
    .. [1] Wang and Isola (2020), arXiv 2005.10242, in the finite form of the cross-modal loss.

    Examples
    --------
    >>> import numpy as np
    >>> parts = info_nce_parts(np.eye(2), np.eye(2), temperature=1.0)
    >>> parts.alignment, round(parts.uniformity_x, 6)
    (-2.0, 0.620115)
    """
    tiles = _Tiles(X, Y, temperature, block)
    xp, n = tiles.xp, tiles.n
    rows = [float(xp.sum(xp.logaddexp(a, s))) for a, s in zip(tiles.rows, tiles.diagonal, strict=True)]
    columns = [float(xp.sum(xp.logaddexp(a, s))) for a, s in zip(tiles.columns, tiles.diagonal, strict=True)]
    matched = math.fsum(float(xp.sum(s)) for s in tiles.diagonal)
    return InfoNCEParts(
        alignment=-2.0 * matched / n,
        uniformity_x=math.fsum(rows) / n - math.log(n),
        uniformity_y=math.fsum(columns) / n - math.log(n),
    )


class _Tiles:
    """Log-sums of exp(S_ij) over j != i (`rows`) and over i != j (`columns`), and S_ii, as lists of blocks."""

    def __init__(self, X: Array, Y: Array, temperature: float, block: int, *, keep_tiles: bool = False) -> None:
        X, Y = matching_rows(X, Y)
        self.xp = xp = namespace(X, Y)
        if not (isinstance(temperature, int | float | np.floating) and 0.0 < temperature < math.inf):
            raise InputError(f"temperature {temperature!r}, expected a positive number")
        block = check_count(block, "block")
        self.n, self.temperature = int(X.shape[0]), float(temperature)
        self.X, self.Y = (self._working(array) for array in (X, Y))
        bound = self._longest(self.X) * self._longest(self.Y) / self.temperature
        if not math.isfinite(bound):
            raise InputError("the arrays have values that are not finite, expected arrays without NaN and infinity")
        n_bits = self.xp.finfo(self.X.dtype).bits
        self.unshifted = bound <= _SAFE_EXPONENT[n_bits]
        self.free_entries = _CACHE_BYTES // (n_bits // 8) if keep_tiles else 0
        self.cache: dict[tuple[int, int], Array] = {}
        self.edges = [(start, min(start + block, self.n)) for start in range(0, self.n, block)]
        # Scaled once, so that the logits of every tile are one product.
        self.scaled = self.X / self.temperature
        self.diagonal = [
            xp.sum(xp.astype(self.scaled[a:b, :], xp.float64) * xp.astype(self.Y[a:b, :], xp.float64), axis=1)
            for a, b in self.edges
        ]
        self._sum()

    def _working(self, array: Array) -> Array:
        """Return `array` detached from any gradient, in float64 if it is that wide, else in float32."""
        xp = self.xp
        array = array.detach() if hasattr(array, "detach") else array
        if not xp.isdtype(array.dtype, "real floating"):
            return xp.astype(array, xp.float64)
        return xp.astype(array, xp.float64 if array.dtype == xp.float64 else xp.float32, copy=False)

    def _longest(self, array: Array) -> float:
        return math.sqrt(float(self.xp.max(self.xp.sum(array * array, axis=1))))

    def _tile(self, row: int, column: int) -> Array:
        """Return exp(S) of one tile, or S itself where exp could overflow, without the diagonal (0 or -inf)."""
        if (row, column) in self.cache:
            # A tile is used twice. After the second use its memory is free.
            return self.cache.pop((row, column))
        xp = self.xp
        (a, b), (c, d) = self.edges[row], self.edges[column]
        tile = self.scaled[a:b, :] @ xp.matrix_transpose(self.Y[c:d, :])
        if self.unshifted:
            tile = xp.exp(tile)
        if row == column:
            diagonal = xp.eye(b - a, dtype=tile.dtype, device=array_api_compat.device(tile)) > 0.0
            tile = xp.where(diagonal, xp.full_like(tile, 0.0 if self.unshifted else -math.inf), tile)
        if (size := (b - a) * (d - c)) <= self.free_entries:
            self.free_entries -= size
            self.cache[row, column] = tile
        return tile

    def _sum(self) -> None:
        xp = self.xp
        empty = [xp.zeros_like(s) for s in self.diagonal]
        self.rows, self.columns = list(empty), list(empty)
        shift_rows = [xp.full_like(s, -math.inf) for s in self.diagonal]
        shift_columns = list(shift_rows)
        for i in range(len(self.edges)):
            for j in range(len(self.edges)):
                tile = self._tile(i, j)
                if self.unshifted:
                    self.rows[i] = self.rows[i] + xp.sum(tile, axis=1, dtype=xp.float64)
                    self.columns[j] = self.columns[j] + xp.sum(tile, axis=0, dtype=xp.float64)
                else:
                    self.rows[i], shift_rows[i] = self._online(tile, self.rows[i], shift_rows[i], 1)
                    self.columns[j], shift_columns[j] = self._online(tile, self.columns[j], shift_columns[j], 0)
        for sums, shifts in ((self.rows, shift_rows), (self.columns, shift_columns)):
            for i, total in enumerate(sums):
                some = total > 0.0
                log = xp.log(xp.where(some, total, xp.ones_like(total)))
                log = xp.where(some, log, xp.full_like(log, -math.inf))
                sums[i] = log if self.unshifted else log + shifts[i]

    def _online(self, S: Array, total: Array, shift: Array, axis: int) -> tuple[Array, Array]:
        """Return the running sum and maximum after one more tile."""
        xp = self.xp
        new_shift = xp.maximum(shift, xp.astype(xp.max(S, axis=axis), xp.float64, copy=False))
        # A row of only -inf (the diagonal of a tile of one row) has no maximum yet.
        base = xp.where(new_shift > -math.inf, new_shift, xp.zeros_like(new_shift))
        total = total * xp.exp(xp.minimum(shift - base, xp.zeros_like(new_shift)))
        terms = xp.exp(S - xp.astype(xp.expand_dims(base, axis=axis), S.dtype, copy=False))
        return total + xp.sum(terms, axis=axis, dtype=xp.float64), new_shift

    def loss(self) -> float:
        """Return the loss with both directions summed."""
        xp = self.xp
        zero = xp.zeros_like(self.diagonal[0][:1])
        losses = [
            float(xp.sum(xp.logaddexp(log_sum - s, zero)))
            for sums in (self.rows, self.columns)
            for log_sum, s in zip(sums, self.diagonal, strict=True)
        ]
        return math.fsum(losses) / self.n

    def gradient(self, weight: float, X: Array, Y: Array) -> tuple[Array, Array]:
        """Return the gradients with respect to X and Y."""
        xp = self.xp
        factor = weight / (self.n * self.temperature)
        full_rows = [xp.logaddexp(a, s) for a, s in zip(self.rows, self.diagonal, strict=True)]
        full_columns = [xp.logaddexp(a, s) for a, s in zip(self.columns, self.diagonal, strict=True)]
        # The softmax of a matching pair minus 1 is minus the share of all other pairs, which avoids cancellation.
        matched = [
            -(xp.exp(a - r) + xp.exp(b - c))[:, None]
            for a, r, b, c in zip(self.rows, full_rows, self.columns, full_columns, strict=True)
        ]
        g_x, g_y = (
            [xp.astype(m, Z.dtype) * Z[a:b, :] for m, (a, b) in zip(matched, self.edges, strict=True)]
            for Z in (self.Y, self.X)
        )
        if self.unshifted:
            by_row, by_column = (
                [xp.astype(xp.exp(-v), self.X.dtype) for v in full] for full in (full_rows, full_columns)
            )
        else:
            by_row, by_column = ([xp.astype(v, self.X.dtype) for v in full] for full in (full_rows, full_columns))
        for i, (a, b) in enumerate(self.edges):
            for j, (c, d) in enumerate(self.edges):
                tile, r, k = self._tile(i, j), by_row[i][:, None], by_column[j][None, :]
                if self.unshifted:
                    W = r + k
                    W *= tile
                else:
                    W = xp.exp(tile - r)
                    W += xp.exp(tile - k)
                g_x[i] += W @ self.Y[c:d, :]
                g_y[j] += xp.matrix_transpose(W) @ self.X[a:b, :]
        return self._back(xp.concat(g_x) * factor, X), self._back(xp.concat(g_y) * factor, Y)

    def _back(self, gradient: Array, array: Array) -> Array:
        """Return `gradient` in the floating type of the input array."""
        floating = self.xp.isdtype(array.dtype, "real floating")
        return self.xp.astype(gradient, array.dtype, copy=False) if floating else gradient
