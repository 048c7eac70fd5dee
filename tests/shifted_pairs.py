"""Pairs with a gap, for tests of pages and figures."""

from __future__ import annotations

import numpy as np

import isthmus


def shifted_pairs(
    n: int = 120,
    dim: int = 16,
    *,
    gap: float = 1.5,
    paired: bool = True,
    names: tuple[str, str] = ("image", "text"),
    seed: int = 0,
    **options: object,
) -> isthmus.Pairs:
    """Return pairs that share most of their content, each modality shifted along an axis of its own by `gap`."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, dim))
    x, y = (shared + 0.4 * rng.normal(size=(n, dim)) for _ in range(2))
    if not paired:
        y = rng.normal(size=(n, dim))
    x[:, 0] += gap * 2
    y[:, 1] += gap * 2
    return isthmus.Pairs(**{names[0]: x, names[1]: y}, **options)
