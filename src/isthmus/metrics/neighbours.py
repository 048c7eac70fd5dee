"""Who stands next to whom: neighbourhoods within each side, and in the union of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.metrics._base import View, metric
from isthmus.metrics._neighbours import MOST, Nearest
from isthmus.metrics._rows import few
from isthmus.result import Estimate

#: Neighbours of the mutual k-NN.
K_MUTUAL = 10
#: Neighbours of the mixing rate.
K_MIXING = MOST


def _circles() -> tuple[np.ndarray, np.ndarray]:
    """Thirty items on a circle of x and, in the same order, on an orthogonal circle of y."""
    angle = 2 * np.pi * np.arange(30) / 30 + 0.001 * np.arange(30) ** 2  # no two distances alike
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.hstack([circle, np.zeros_like(circle)]), np.hstack([np.zeros_like(circle), circle])


@metric(
    "mutual_knn",
    unit="share",
    range=(0, 1),
    better="higher",
    needs="rows",
    invariant=("rotation", "row scale", "swap"),
    source="Huh et al. 2024, arXiv 2405.07987",
    known=lambda: (*_circles(), 1.0),
)
def mutual_knn(view: View) -> Estimate:
    """Mean share of the 10 nearest rows of x_i within x (by cosine, itself left out) that are also among the 10
    nearest of y_i within y, on at most 10,000 random items with one partner each. The null is a shuffled pairing,
    k / (n - 1). No interval: removing one item changes the neighbours of others, and no interval tried covers.
    """
    rows = view.rows
    if rows.n < 3:
        return few(rows.n, 3)
    k = min(K_MUTUAL, rows.n - 1)
    return Estimate(float(np.mean(overlaps(rows.neighbours.xx, rows.neighbours.yy, k))), null=k / (rows.n - 1))


def overlaps(a: Nearest, b: Nearest, k: int) -> np.ndarray:
    """Share of the first k neighbours that are in both lists, for each row, (n,)."""
    return np.count_nonzero(a.index[:, :k, None] == b.index[:, None, :k], axis=(1, 2)) / k


@dataclass(frozen=True)
class Mixing:
    """Share of the other modality among the nearest rows of the union: for each x row and for each y row, (n,)."""

    x: np.ndarray
    y: np.ndarray


def mixing(within_x: Nearest, x_to_y: Nearest, within_y: Nearest, y_to_x: Nearest, k: int) -> Mixing:
    """The shares among the k nearest rows of the union, the row itself left out."""
    return Mixing(_other(within_x, x_to_y, k), _other(within_y, y_to_x, k))


def _other(within: Nearest, across: Nearest, k: int) -> np.ndarray:
    scores = np.concatenate([within.scores, across.scores], axis=1)
    own = within.scores.shape[1]
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # ties go to the row's own side
    return np.mean(nearest >= own, axis=1)


@metric(
    "mixing_rate",
    unit="share",
    range=(0, 1),
    better="higher",
    needs="rows",
    invariant=("rotation", "row scale", "swap"),
    source="Yu et al. 2026 (ReAlign), arXiv 2602.07026",
    known=lambda: (np.eye(50)[:25] + np.eye(50)[49], np.eye(50)[25:] + np.eye(50)[24], 0.04),
)
def mixing_rate(view: View) -> Estimate:
    """Share of the other modality among the 20 nearest rows (by cosine, itself left out) of a row in the union of both
    sides, mean over all rows of at most 10,000 random items with one partner each. The null is a well-mixed union,
    n / (2n - 1).
    """
    rows = view.rows
    if rows.n < 2:
        return few(rows.n, 2)
    n, m = rows.n, rows.neighbours
    found = mixing(m.xx, m.xy, m.yy, m.yx, min(K_MIXING, 2 * n - 1))
    return Estimate(float(np.mean([found.x.mean(), found.y.mean()])), null=n / (2 * n - 1))


@metric(
    "mixed_partner_rank_{side}",
    unit="rank",
    range=(1, np.inf),
    better="lower",
    needs="rows",
    source="Role et al. 2025, arXiv 2505.03703",
    known=lambda: (np.eye(24)[:12] + np.eye(24)[23], np.eye(24)[:12] - np.eye(24)[23], 12.0),
)
def mixed_partner_rank(view: View) -> Estimate:
    """Mean rank (by cosine, 1 is best, ties count against it) of the partner of one side's row among the 2n - 1 other
    rows of both sides, on at most 10,000 random items with one partner each. The null is chance, n.
    """
    rows = view.rows
    if rows.n < 2:
        return few(rows.n, 2)
    return Estimate(float(np.mean(rows.neighbours.rank_x)), null=float(rows.n))
