"""Simulation: the intervals of `compare` cover the truth and are as wide as the changes vary over data sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.evaluation import compare

N_ITEMS, DIM, N_DATA_SETS = 200, 16, 75
ALIGNERS = ("ScoreCalibration", "Centering", "MeanRotation")
#: Scores that count rows among the neighbours.
SHARES = ("same_modality_share", "same_modality_ratio")


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
            table = compare(draw(np.random.default_rng([3, seed])), aligners=ALIGNERS, splits=5, rng=seed)
        for row in table.rows[1:]:
            for name, change in row.changes.items():
                is_changed = not change.note  # notes belong to changes that no item shows
                ends.setdefault((row.name, name), []).append((change.value, change.low, change.high, is_changed))
    coverages, widths = {}, {}
    for key, values in ends.items():
        value, low, high = np.array(values)[:, :3].T
        truth, is_changed = value.mean(), np.array([change[3] for change in values])
        coverages[key] = float(np.mean((low <= truth) & (truth <= high), where=is_changed))
        widths[key] = float(np.mean(high - low, where=is_changed) / (2 * 1.96 * value.std(ddof=1)))
        if is_changed.mean() < 0.95:  # a few queries in all of the data change, and in some data sets none
            assert coverages.pop(key) >= 0.95
            assert widths.pop(key) <= 2.5
    maps = [key for key in widths if key[0] != "ScoreCalibration" and key[1] not in (*SHARES, "median_rank")]
    corrections = [key for key in widths if key[0] == "ScoreCalibration" and key[1] not in (*SHARES, "median_rank")]
    for keys in (maps, corrections):
        assert np.mean([coverages[key] for key in keys]) >= 0.94
        assert min(coverages[key] for key in keys) >= 0.83
        assert 0.95 <= np.mean([widths[key] for key in keys]) <= 1.22
    assert np.mean([coverages[key] for key in ends if key[1] in SHARES]) >= 0.9
    assert 0.85 <= np.mean([widths[key] for key in ends if key[1] in SHARES]) <= 1.4
    # Where the same rows precede nearly all matches, the median of all ranks hardly varies, but the ranks do.
    medians = [widths[name, "median_rank"] for name in ALIGNERS]
    assert 0.75 <= np.mean(medians) <= 1.35
    assert min(coverages[name, "median_rank"] for name in ALIGNERS) >= 0.75
