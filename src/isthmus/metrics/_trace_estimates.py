"""Traces of products of two covariances, with their bias and their covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.statistics.influence import InfluenceSample, UnpairedSample
from isthmus.statistics.participation import MIN_UNBIASED_ITEMS, unbiased_product

#: tr S_x, tr S_y, tr S_x^2, tr S_y^2, tr S_x S_y, |S_xy|_F^2.
NAMES = ("x", "y", "xx", "yy", "x.y", "xy")
_SWAPPED = {"x": "y", "y": "x", "xx": "yy", "yy": "xx", "x.y": "x.y", "xy": "xy"}


@dataclass(frozen=True)
class TraceEstimates:
    """Estimates of the traces in `NAMES`.

    The plug-in is biased because it includes the products of a row with itself. With u = x - mean, the bias of tr S^2
    is about (E |u|^4 - 3 tr S^2) / n. With one pair for each item, it is that of the U-statistic.

    Parameters
    ----------
    plug_in : dict of str to float
        The traces of the sample covariances.
    bias : dict of str to float
        Their bias. NaN without rows.
    covariance : numpy.ndarray or None
        Covariance of the traces in the order of `names`, (6, 6). None without rows.
    names : tuple of str
        Names of the traces.
    """

    plug_in: dict[str, float]
    bias: dict[str, float]
    covariance: np.ndarray | None
    names: tuple[str, ...] = NAMES

    def debiased(self, name: str) -> float:
        """Return a trace without its bias."""
        return self.plug_in[name] - self.bias[name]

    def variance(self, weights: dict[str, float]) -> float:
        """Return the variance of sum_k weights[k] * (trace k)."""
        if self.covariance is None:
            return float("nan")
        w = np.array([weights.get(name, 0.0) for name in self.names])
        return max(float(w @ self.covariance @ w), 0.0)

    def swapped(self) -> TraceEstimates:
        """Return the traces of (y, x)."""
        plug_in, bias = ({_SWAPPED[k]: v for k, v in values.items()} for values in (self.plug_in, self.bias))
        return TraceEstimates(plug_in, bias, self.covariance, tuple(_SWAPPED[k] for k in self.names))

    @classmethod
    def from_context(cls, context: MetricContext, /) -> TraceEstimates:
        """Estimate the traces from the moments, and their errors from the influence sample."""
        m = context.moments
        (lx, vx), (ly, vy) = context.x.centred, context.y.centred
        cross = m.cov_xy
        plug_in = {
            "x": float(lx.sum()),
            "y": float(ly.sum()),
            "xx": float(lx @ lx),
            "yy": float(ly @ ly),
            "x.y": float(lx @ context.cross_cosines**2 @ ly),
            "xy": float(np.sum(cross * cross)),
        }
        sample = context.influence_sample
        if sample is None:
            return cls(plug_in, dict.fromkeys(NAMES, float("nan")), None)
        zx, zy = context.pca.projections, context.swapped().pca.projections  # u and v in their own principal directions
        if isinstance(sample, UnpairedSample):
            return _of_sets(plug_in, sample, zx, zy, context.cross_cosines)
        u_in_y, v_in_x = zx @ context.cross_cosines, zy @ context.cross_cosines.T
        u_cross = zx @ (vx.T @ cross @ vy)  # so that u' S_xy v is a row product with zy
        rows = (zx, zy, u_in_y, v_in_x, u_cross)
        first = _first_derivatives(rows, lx, ly)
        of_items = first
        if sample.begins is not None:
            of_items = _first_derivatives([sample.by_item(projections) for projections in rows], lx, ly)
        products = _within_item_products(sample, zx, zy, u_in_y)
        bias = {}
        for name in NAMES:
            # Half the second derivative along each item: of the product of covariances, and of their means.
            second = -float(np.sum(of_items[name]))
            if name in products:
                second += (
                    products[name]
                    - float(sample.counts @ sample.by_item(first[name]))
                    + float(sample.counts @ sample.counts) * plug_in[name]
                )
            bias[name] = sample.bias(second)
        if m.n >= MIN_UNBIASED_ITEMS and sample.counts.max() == 1:
            n, scale = m.n, sample.scale * m.n**2
            for name, a, b in (("xx", "x", "x"), ("yy", "y", "y"), ("xy", "x", "y")):
                traces = plug_in[a], plug_in[b]
                bias[name] = plug_in[name] - unbiased_product(plug_in[name], traces, scale * products[name], n)
            # tr S_x S_y is the mean of ((x_i - x_j)'(y_k - y_l))^2 / 4, and sums of u_i'v_j over i or j are 0.
            squares, diagonal = n**2 * plug_in["x.y"], scale * products["x.y"]
            fours = (n * np.trace(cross)) ** 2 + squares + n**2 * np.sum(cross * cross.T) - 6 * diagonal
            threes = (2 * diagonal - squares) / (n - 2)
            unbiased = (squares - diagonal - 2 * threes + fours / ((n - 2) * (n - 3))) / (n * (n - 1))
            bias["x.y"] = plug_in["x.y"] - float(unbiased)
        return cls(plug_in, bias, sample.covariance(*(first[name] for name in NAMES)))


def _of_sets(
    plug_in: dict[str, float], sample: UnpairedSample, zx: np.ndarray, zy: np.ndarray, cosines: np.ndarray
) -> TraceEstimates:
    """Estimate the traces of two independent sets. That of the cross-covariance has no meaning."""
    lx, ly = (np.mean(z**2, axis=0) for z in (zx, zy))
    zeros_x, zeros_y = np.zeros(len(zx)), np.zeros(len(zy))
    u, v = zx**2, zy**2
    of_x = {"x": u.sum(axis=1), "y": zeros_x, "xx": 2 * u @ lx, "yy": zeros_x, "x.y": (zx @ cosines) ** 2 @ ly}
    of_y = {"x": zeros_y, "y": v.sum(axis=1), "xx": zeros_y, "yy": 2 * v @ ly, "x.y": (zy @ cosines.T) ** 2 @ lx}
    of_x["xy"], of_y["xy"] = zeros_x, zeros_y
    covariance = np.zeros((len(NAMES), len(NAMES)))
    for derivatives, scale in ((of_x, sample.scale), (of_y, sample.scale_y)):
        table = np.stack([derivatives[name] for name in NAMES], axis=1)
        table = table - table.mean(axis=0)
        covariance += table.T @ table * (scale * len(table) / max(len(table) - 1, 1))
    (n_x, n_y), fourth_x, fourth_y = sample.sizes, float(np.mean(of_x["x"] ** 2)), float(np.mean(of_y["y"] ** 2))
    bias = {
        "x": -plug_in["x"] / n_x,
        "y": -plug_in["y"] / n_y,
        "xx": (fourth_x - 3 * plug_in["xx"]) / n_x,
        "yy": (fourth_y - 3 * plug_in["yy"]) / n_y,
        "x.y": -plug_in["x.y"] * (1 / n_x + 1 / n_y),
        "xy": float("nan"),
    }
    return TraceEstimates(plug_in, bias, covariance)


def _first_derivatives(rows: Sequence[np.ndarray], lx: np.ndarray, ly: np.ndarray) -> dict[str, np.ndarray]:
    """Return the derivative of each trace by the weight of each row: a quadratic form of that row."""
    u, v, u_in_y, v_in_x, u_cross = rows
    u_squared, v_squared = u**2, v**2
    return {
        "x": np.sum(u_squared, axis=1),
        "y": np.sum(v_squared, axis=1),
        "xx": 2 * (u_squared @ lx),
        "yy": 2 * (v_squared @ ly),
        "x.y": u_in_y**2 @ ly + v_in_x**2 @ lx,
        "xy": 2 * np.einsum("ij,ij->i", u_cross, v),
    }


def _within_item_products(
    sample: InfluenceSample, u: np.ndarray, v: np.ndarray, u_in_y: np.ndarray
) -> dict[str, float]:
    """Return sums over items of the products of an item's pairs with each other, for the quadratic traces."""
    uu, vv, uv = (np.einsum("ij,ij->i", a, b) for a, b in ((u, u), (v, v), (u_in_y, v)))
    sums = {
        "xx": float(uu @ uu),
        "yy": float(vv @ vv),
        "x.y": float(uv @ uv),
        "xy": float(uu @ vv),
    }
    for i, j in sample.within_item_pairs:
        uu, vv = (np.einsum("ij,ij->i", a[i], a[j]) for a in (u, v))
        uv, vu = (np.einsum("ij,ij->i", u_in_y[a], v[b]) for a, b in ((i, j), (j, i)))
        sums["xx"] += 2 * float(uu @ uu)
        sums["yy"] += 2 * float(vv @ vv)
        sums["x.y"] += float(uv @ uv) + float(vu @ vu)
        sums["xy"] += 2 * float(uu @ vv)
    return sums
