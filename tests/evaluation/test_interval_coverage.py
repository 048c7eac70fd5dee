"""Simulation: the intervals of `compare` cover the truth and are as wide as the changes vary over data sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.evaluation import compare

N_ITEMS, DIM, N_DATA_SETS = 120, 16, 25
ALIGNERS = ("ScoreStandardization", "MeanRotation")


def one_to_one(rng: np.random.Generator) -> Pairs:
    latent = rng.normal(size=(N_ITEMS, DIM)) / np.arange(1, DIM + 1) ** 0.5
    x, y = (latent + 0.35 * rng.normal(size=latent.shape) + np.eye(DIM)[axis] for axis in (0, 1))
    return Pairs(image=x, text=y)


def captions(rng: np.random.Generator) -> Pairs:
    latent = rng.normal(size=(N_ITEMS, DIM)) / np.arange(1, DIM + 1) ** 0.5
    index = np.repeat(np.arange(N_ITEMS), 3)
    x, y = latent + 0.8 * np.eye(DIM)[0], latent[index] + 0.8 * np.eye(DIM)[1]
    return Pairs(image=x + 0.4 * rng.normal(size=x.shape), text=y + 0.4 * rng.normal(size=y.shape), index=index)


def narrow_cones(rng: np.random.Generator) -> Pairs:
    """Return cones of 15 degrees around orthogonal means, where few rows are the nearest of nearly all queries."""
    latent = rng.normal(size=(N_ITEMS, DIM)) / np.arange(1, DIM + 1) ** 0.5
    x, y = (0.15 * (latent + 0.3 * rng.normal(size=latent.shape)) + np.eye(DIM)[axis] for axis in (0, 1))
    return Pairs(image=x, text=y)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [one_to_one, captions, narrow_cones])
def test_intervals_of_changes_cover_and_are_as_wide_as_changes_vary(
    draw: Callable[[np.random.Generator], Pairs],
) -> None:
    ends: dict[tuple[str, str], list[tuple[float, float, float, bool]]] = {}
    for seed in range(N_DATA_SETS):
        with warnings.catch_warnings(), isthmus.config_context(threads=1):
            warnings.simplefilter("ignore")
            pairs = draw(np.random.default_rng([3, seed]))
            table = compare(pairs, aligners=ALIGNERS, tasks=["retrieval", "mixed_search"], splits=5, rng=seed)
        for row in table.rows[1:]:
            for name, change in row.changes.items():
                is_changed = not change.note  # notes belong to changes that no item shows
                ends.setdefault((row.name, name), []).append((change.value, change.low, change.high, is_changed))
    coverages, widths = {}, {}
    for key, values in ends.items():
        value, low, high = np.array(values)[:, :3].T
        truth, is_changed = value.mean(), np.array([change[3] for change in values])
        if is_changed.mean() < 0.75:  # a few queries in all of the data change, and most data sets have no interval
            continue
        coverages[key] = float(np.mean((low <= truth) & (truth <= high), where=is_changed))
        widths[key] = float(np.mean(high - low, where=is_changed) / (2 * 1.96 * value.std(ddof=1)))
    for name in ALIGNERS:
        keys = [key for key in widths if key[0] == name]
        assert np.mean([coverages[key] for key in keys]) >= 0.86
        assert min(coverages[key] for key in keys) >= 0.6
        assert 0.8 <= np.mean([widths[key] for key in keys]) <= (2.0 if name == "ScoreStandardization" else 1.5)
