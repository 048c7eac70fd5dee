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


#: Laws whose intervals are hard: means of the rows (length along one axis, and the gap), and exponent of the spectrum.
LAWS = {"narrow cone": (12.0, 2.0, 0.5), "isotropic": (0.0, 3.0, 0.0), "no gap": (1.6, 0.0, 0.5)}
HARD = ("centroid_angle", "conformity_sd_{side}", "mutual_knn")
#: Measures whose true value is the mean over data sets of this size.
MEAN_OF_SETS = ("mutual_knn",)


def hard_pairs(law: str, captions: int, n_groups: int, rng: np.random.Generator) -> isthmus.Pairs:
    """Open pairs of a law with one or several texts per image."""
    length, gap, exponent = LAWS[law]
    scales, owner = np.arange(1, 13.0) ** -exponent, np.repeat(np.arange(n_groups), captions)
    latent = rng.normal(size=(n_groups, 12)) * scales
    x = latent + 0.7 * rng.normal(size=latent.shape) * scales
    y = latent[owner] + 0.7 * rng.normal(size=(len(owner), 12)) * scales
    for rows, sign in ((x, 1), (y, -1)):
        rows[:, 2] += length
        rows[:, 5] += sign * gap
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        return isthmus.open_pairs(x[owner], y, names=("image", "text"))


@pytest.mark.slow
@pytest.mark.parametrize("captions", [1, 5])
@pytest.mark.parametrize("law", LAWS)
def test_intervals_of_hard_laws_cover_on_pairs_and_on_flat_exports(law: str, captions: int) -> None:
    measured = [
        isthmus.measure(hard_pairs(law, captions, 250, np.random.default_rng([2, seed])), metrics=list(HARD))
        for seed in range(100)
    ]
    truth = isthmus.measure(hard_pairs(law, captions, 40_000, np.random.default_rng(3)), metrics=list(HARD[:2]))
    for name in measured[0]:
        stated = [result[name] for result in measured if not np.isnan(result[name].low)]
        true = float(np.mean([e.value for e in stated])) if name in MEAN_OF_SETS else truth[name].value
        assert len(stated) >= 90, name
        assert all(e.high > e.low for e in stated), name
        assert np.mean([e.low <= true <= e.high for e in stated]) >= 0.82, name


def test_one_text_on_a_third_of_the_images_leaves_no_interval_and_says_why(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 120, WIDTH)) + MEANS[:, None]
    y[::3] = y[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        result = isthmus.measure(isthmus.open_pairs(x, y), metrics=f"{FAMILIES},neighbours,retrieval")
    assert all(np.isnan(e.low) for e in result.values())
    notes = {e.note for e in result.values() if not e.undefined and not e.no_interval}
    assert notes == {"no interval: 40 of 120 pairs (33 %) share rows of x or y with each other, more than a tenth"}
