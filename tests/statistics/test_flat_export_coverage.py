"""Intervals on flat exports cover as those of distinct rows do: a simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import isthmus
from isthmus import Estimate
from isthmus.diagnosis.decomposition_intervals import decompose_pairs

WIDTH, GROUPS, DATA_SETS = 8, 200, 150
#: Every measure with an interval.
WITH_INTERVAL = [name for name, m in isthmus.metrics.registry().items() if not m.interval.startswith("none: ")]
#: Measures whose expectation depends on the number of items: the true value is the mean over the data sets.
OF_THIS_SIZE = (
    "intrinsic_dimension", "linear_separability", "separability_auc", "mutual_knn", "mixing_rate",
    "mixed_partner_rank", "x_to_y_R@", "y_to_x_R@",
)  # fmt: skip
MEANS = np.array([[1.2, 0.4, 0.3, 0.2, 0.3, 0.1, 0.4, 0.2], [0.3, 1.2, -0.2, 0.3, 0.1, 0.4, 0.1, 0.3]])
SCALES, NOISE_X, NOISE_Y = (np.linspace(*ends, WIDTH) for ends in ((1.4, 0.4), (0.9, 0.3), (0.2, 1.0)))


def flat_export(layout: str, n_groups: int, rng: np.random.Generator) -> isthmus.Pairs:
    """Open a flat export of independent groups."""
    if layout == "one to six captions, shared by one to three images":
        images, own = rng.integers(1, 4, size=n_groups), rng.integers(0, 6, size=3 * n_groups)
        group_x = np.repeat(np.arange(n_groups), images)
        own = own[: len(group_x)]
        group_y = np.concatenate([np.arange(n_groups), np.repeat(group_x, own)])
        owner_x = np.concatenate([np.arange(len(group_x)), np.repeat(np.arange(len(group_x)), own)])
        owner_y = np.concatenate([group_x, np.arange(n_groups, len(group_y))])
    elif layout == "two images and three captions":
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


def estimates_of(pairs: isthmus.Pairs) -> dict[str, Estimate]:
    """Return every measure with an interval, and the components of the cosine deficit."""
    return {**isthmus.measure(pairs, metrics=WITH_INTERVAL), **decompose_pairs(pairs)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [
        "five captions",
        "one to six images",
        "two images and three captions",
        "one to six captions, shared by one to three images",
    ],
)
def test_intervals_on_flat_exports_cover(layout: str) -> None:
    truth = estimates_of(flat_export(layout, 15_000, np.random.default_rng(0)))
    measured = [
        estimates_of(flat_export(layout, GROUPS, np.random.default_rng([1, seed]))) for seed in range(DATA_SETS)
    ]
    judged, reasons = {}, set()
    for name, large in truth.items():
        estimates = [result[name] for result in measured]
        stated = [e for e in estimates if not np.isnan(e.low)]
        true = float(np.mean([e.value for e in estimates])) if name.startswith(OF_THIS_SIZE) else large.value
        if len(stated) >= 0.9 * DATA_SETS:
            judged[name] = float(np.mean([e.low <= true <= e.high for e in stated]))
        else:
            reasons |= {e.note or e.undefined for e in estimates if np.isnan(e.low)}
    assert len(judged) > 55
    assert all(reasons)
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
        result = isthmus.measure(isthmus.open_pairs(x, y), metrics=WITH_INTERVAL)
    assert all(np.isnan(e.low) for e in result.values())
    notes = {e.note for e in result.values() if not e.undefined and not e.no_interval}
    assert notes == {"no interval: 40 of 120 pairs (33 %) share rows of x or y with each other, more than a tenth"}
