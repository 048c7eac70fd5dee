"""Traces of products of two covariances: plug-in, bias, and joint covariance, by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._context import MetricContext

#: tr S_x, tr S_y, tr S_x^2, tr S_y^2, tr S_x S_y, |S_xy|_F^2.
NAMES = ("x", "y", "xx", "yy", "x.y", "xy")
_SWAPPED = {"x": "y", "y": "x", "xx": "yy", "yy": "xx", "x.y": "x.y", "xy": "xy"}


@dataclass(frozen=True)
class TraceEstimates:
    """`plug_in`, `bias` (NaN without rows) and `covariance` (None without rows) of the traces in `names`.

    The plug-in is biased because a row meets itself: tr S^2 by (E |u|^4 - 3 tr S^2) / n, u = x - mean.
    """

    plug_in: dict[str, float]
    bias: dict[str, float]
    covariance: np.ndarray | None
    names: tuple[str, ...] = NAMES

    def debiased(self, name: str) -> float:
        return self.plug_in[name] - self.bias[name]

    def variance(self, weights: dict[str, float]) -> float:
        """Variance of sum_k weights[k] * (trace k)."""
        if self.covariance is None:
            return float("nan")
        w = np.array([weights.get(name, 0.0) for name in self.names])
        return max(float(w @ self.covariance @ w), 0.0)

    def swapped(self) -> TraceEstimates:
        """Those of (y, x)."""
        plug_in, bias = ({_SWAPPED[k]: v for k, v in part.items()} for part in (self.plug_in, self.bias))
        return TraceEstimates(plug_in, bias, self.covariance, tuple(_SWAPPED[k] for k in self.names))

    @classmethod
    def from_context(cls, context: MetricContext, /) -> TraceEstimates:
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
        s = context.influence_sample
        if s is None:
            return cls(plug_in, dict.fromkeys(NAMES, float("nan")), None)
        zx, zy = context.pca.projections, context.swapped().pca.projections  # u and v in their own principal directions
        u_in_y, v_in_x = zx @ context.cross_cosines, zy @ context.cross_cosines.T
        u_cross = zx @ (vx.T @ cross @ vy)  # so that u' S_xy v is a row product with zy
        rows = (zx, zy, u_in_y, v_in_x, u_cross)
        linear = _forms(rows, lx, ly)
        means = linear if s.begins is None else _forms([s.by_item(a) for a in rows], lx, ly)
        own = _own_products(zx, zy, u_in_y, s.within_item_pairs)
        bias = {}
        for name in NAMES:
            # Half the second derivative along each item: of the product of covariances, and of their means.
            second = -float(np.sum(means[name]))
            if name in own:
                second += (
                    own[name] - float(s.counts @ s.by_item(linear[name])) + float(s.counts @ s.counts) * plug_in[name]
                )
            bias[name] = s.bias(second)
        return cls(plug_in, bias, s.covariance(*(linear[name] for name in NAMES)))


def _forms(rows: Sequence[np.ndarray], lx: np.ndarray, ly: np.ndarray) -> dict[str, np.ndarray]:
    """The quadratic form of each trace at every row: its first derivative when the row is weighted up."""
    u, v, u_in_y, v_in_x, u_cross = rows
    uu, vv = u**2, v**2
    return {
        "x": np.sum(uu, axis=1),
        "y": np.sum(vv, axis=1),
        "xx": 2 * (uu @ lx),
        "yy": 2 * (vv @ ly),
        "x.y": u_in_y**2 @ ly + v_in_x**2 @ lx,
        "xy": 2 * np.einsum("ij,ij->i", u_cross, v),
    }


def _own_products(
    u: np.ndarray, v: np.ndarray, u_in_y: np.ndarray, siblings: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """Sums over items of the products of an item's pairs with each other, for the quadratic traces."""
    uu, vv, uv = (np.einsum("ij,ij->i", a, b) for a, b in ((u, u), (v, v), (u_in_y, v)))
    found = {
        "xx": float(uu @ uu),
        "yy": float(vv @ vv),
        "x.y": float(uv @ uv),
        "xy": float(uu @ vv),
    }
    for i, j in siblings:
        uu, vv = (np.einsum("ij,ij->i", a[i], a[j]) for a in (u, v))
        uv, vu = (np.einsum("ij,ij->i", u_in_y[a], v[b]) for a, b in ((i, j), (j, i)))
        found["xx"] += 2 * float(uu @ uu)
        found["yy"] += 2 * float(vv @ vv)
        found["x.y"] += float(uv @ uv) + float(vu @ vu)
        found["xy"] += 2 * float(uu @ vv)
    return found
