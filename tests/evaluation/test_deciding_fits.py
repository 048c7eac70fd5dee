"""Fits that decide how much an aligner changes scores leave its changes without an interval."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.evaluation import compare
from isthmus.evaluation.deciding_fits import fits_decide
from isthmus.evaluation.split_variance import N_GROUPS
from isthmus.evaluation.summary import FEW_FIT_ITEMS, UNKNOWN_FIT, pool_trials
from isthmus.evaluation.trial import Trial

SPLITS = 5


def trials(
    values: np.ndarray, aligner: str = "Centering", name: str = "R@1", n_scores: int = 1, common: float = 0.5
) -> list[Trial]:
    """Return trials whose items explain a variance of .01 in each split, a part of it in common."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=N_GROUPS) * np.sqrt(common)
    result = []
    for split, value in enumerate(values.tolist()):
        own = rng.normal(size=N_GROUPS) * np.sqrt(1 - common)
        sums = ((shared + own) * 1000 / np.sqrt(N_GROUPS)).astype(int).tolist()
        names = [name, *(f"mixed_R@{k}" for k in (1, 10))][:n_scores]
        changes = {one: (value if one == name else 0.0, 0.01) for one in names}
        result.append(Trial(aligner, {}, split, 50, 50, changes=changes, group_sums=dict.fromkeys(names, sums)))
    return result


def test_fits_decide_where_changes_vary_over_splits_more_than_items_explain() -> None:
    rng = np.random.default_rng(1)
    of_items = [fits_decide(trials(row)) for row in rng.normal(scale=0.07, size=(200, SPLITS))]
    of_fits = [fits_decide(trials(row)) for row in rng.normal(scale=0.7, size=(200, SPLITS))]
    assert np.mean(of_items) <= 0.01
    assert np.mean(of_fits) >= 0.95


def test_the_level_is_that_of_all_scores_together() -> None:
    values = np.sqrt(4.9 * 0.01) * np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / np.sqrt(2.5)
    assert fits_decide(trials(values, common=0.0))
    assert not fits_decide(trials(values, n_scores=3, common=0.0))


def test_score_corrections_medians_and_single_splits_are_not_judged() -> None:
    values = np.arange(float(SPLITS))
    assert fits_decide(trials(values))
    assert not fits_decide(trials(values, "ScoreCalibration"))
    assert not fits_decide(trials(values, name="median_rank"))
    assert not fits_decide(trials(values[:1]))


def test_no_score_of_such_an_aligner_has_an_interval() -> None:
    row = pool_trials(trials(np.arange(float(SPLITS)), n_scores=2))
    assert {change.note for change in row.changes.values()} == {UNKNOWN_FIT}
    assert all(math.isnan(change.low) for change in row.changes.values())
    assert row.changes["R@1"].value == pytest.approx(2.0)


def test_rotations_of_narrow_cones_in_hyperplanes_have_no_interval_and_centring_has_one() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(120, 16)) / np.arange(1, 17) ** 0.5
    x, y = (0.15 * (latent + 0.3 * rng.normal(size=latent.shape)) + np.eye(16)[axis] for axis in (0, 1))
    with isthmus.config_context(threads=1):
        table = compare(Pairs(image=x, text=y), aligners=["Centering", "HyperplaneRotation"], tasks=["mixed_search"])
    assert table["HyperplaneRotation"].changes["mixed_NDCG@10"].note == UNKNOWN_FIT
    assert math.isfinite(table["Centering"].changes["mixed_NDCG@10"].low)


def test_directions_that_few_items_select_leave_changes_without_an_interval_over_several_splits() -> None:
    selected = [replace(trial, selects_from_few_items=True) for trial in trials(np.zeros(SPLITS))]
    change = pool_trials(selected).changes["R@1"]
    assert (change.note, math.isnan(change.low)) == (FEW_FIT_ITEMS, True)
    assert math.isfinite(pool_trials(selected[:1]).changes["R@1"].low)


@pytest.mark.parametrize("dim", [16, 64])
def test_shared_spaces_have_intervals_if_there_are_as_many_fitting_items_as_dimensions(dim: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 80, dim)) * np.where(np.arange(dim) < 3, 1, 0.05) + 0.5 * np.eye(dim)[[4, 5], None]
    y[:, :3] = x[:, :3] + 0.2 * rng.normal(size=(80, 3))
    with isthmus.config_context(threads=1):
        pairs = Pairs(image=x, text=y)
        table = compare(pairs, aligners=["Centering", "SharedSpaceProjection"], tasks=["mixed_search"])
    assert math.isfinite(table["Centering"].changes["mixed_NDCG@10"].low)
    assert (table["SharedSpaceProjection"].changes["mixed_NDCG@10"].note == FEW_FIT_ITEMS) == (dim == 64)
