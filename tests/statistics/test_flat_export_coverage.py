"""Intervals on flat exports cover as those of distinct rows do: a simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import isthmus

WIDTH, GROUPS, DATA_SETS = 8, 200, 150
FAMILIES = "first order,separability,distribution,spectrum,subspaces,cone and uniformity,representation similarity"
#: Measures whose expectation depends on the number of items: the true value is the mean over the data sets.
OF_THIS_SIZE = ("intrinsic_dimension", "linear_separability", "separability_auc")
MEANS = np.array([[1.2, 0.4, 0.3, 0.2, 0.3, 0.1, 0.4, 0.2], [0.3, 1.2, -0.2, 0.3, 0.1, 0.4, 0.1, 0.3]])
SCALES, NOISE_X, NOISE_Y = (np.linspace(*ends, WIDTH) for ends in ((1.4, 0.4), (0.9, 0.3), (0.2, 1.0)))


def flat_export(layout: str, n_groups: int, rng: np.random.Generator) -> isthmus.Pairs:
    """Open a flat export of independent groups."""
    if layout == "two images and three captions":
        owner_x = np.repeat(2 * np.arange(n_groups), 4) + np.tile([0, 0, 1, 1], n_groups)
        owner_y = np.repeat(3 * np.arange(n_groups), 4) + np.tile([0, 1, 1, 2], n_groups)
        group_x, group_y = np.arange(2 * n_groups) // 2, np.arange(3 * n_groups) // 3
    else:
        counts = np.full(n_groups, 5) if layout == "five captions" else rng.integers(1, 7, size=n_groups)
        one, many = np.repeat(np.arange(n_groups), counts), np.arange(int(counts.sum()))
        owner_x, owner_y = (one, many) if layout == "five captions" else (many, one)
        group_x, group_y = (np.arange(n_groups), one) if layout == "five captions" else (one, np.arange(n_groups))
    latent = rng.normal(size=(n_groups, WIDTH)) * SCALES
    x, y = (
        latent[group] + noise * rng.normal(size=(len(group), WIDTH)) + mean
        for group, noise, mean in zip((group_x, group_y), (NOISE_X, NOISE_Y), MEANS, strict=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        return isthmus.open_pairs(x[owner_x], y[owner_y])


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["five captions", "one to six images", "two images and three captions"])
def test_intervals_on_flat_exports_cover(layout: str) -> None:
    truth = isthmus.measure(flat_export(layout, 15_000, np.random.default_rng(0)), metrics=FAMILIES)
    measured = [
        isthmus.measure(flat_export(layout, GROUPS, np.random.default_rng([1, seed])), metrics=FAMILIES)
        for seed in range(DATA_SETS)
    ]
    judged = {}
    for name, large in truth.items():
        estimates = [result[name] for result in measured]
        stated = [e for e in estimates if not np.isnan(e.low)]
        true = float(np.mean([e.value for e in estimates])) if name.startswith(OF_THIS_SIZE) else large.value
        if len(stated) >= 0.9 * DATA_SETS:
            judged[name] = float(np.mean([e.low <= true <= e.high for e in stated]))
    assert len(judged) > 30
    assert not {n: share for n, share in judged.items() if share < 0.93 - 2.6 * np.sqrt(0.93 * 0.07 / DATA_SETS)}
    assert 0.93 <= np.median(list(judged.values())) <= 0.98
