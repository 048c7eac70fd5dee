"""Changes of scores from those of the raw embeddings, and what items contribute to them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus.evaluation.item_changes import NEIGHBOUR_FACTOR, item_changes
from isthmus.evaluation.pair_groups import N_PAIR_GROUPS
from isthmus.evaluation.stored_effects import StoredEffect
from isthmus.tasks import TaskScores


def test_item_changes_of_a_mean_has_the_variance_of_its_differences(rng: np.random.Generator) -> None:
    values, raw_values = rng.normal(size=(2, 40))
    names = ["share", "hits"]
    scores, raw_scores = (TaskScores(dict.fromkeys(names, array)) for array in (values, raw_values))
    changes = item_changes(scores, raw_scores, np.arange(40), np.arange(40), of_neighbours=["share"])
    differences = values - raw_values
    assert changes["hits"].value == pytest.approx(differences.mean())
    assert changes["hits"].variance == pytest.approx(differences.var(ddof=1) / 40)
    assert changes["share"].variance == pytest.approx(NEIGHBOUR_FACTOR * changes["hits"].variance)
    assert changes["share"].group_sums == changes["hits"].group_sums


def test_item_changes_of_a_score_without_items_have_a_variance_only_from_its_influence() -> None:
    influence = np.array([-1.0, 1.0, 0.0, 0.0])
    scores = TaskScores({}, {"median": 3.0, "gini": 0.5}, {"median": influence})
    raw_scores = TaskScores({}, {"median": 5.0, "gini": 0.25}, {"median": np.zeros(4)})
    changes = item_changes(scores, raw_scores, np.arange(4), np.arange(4))
    assert changes["median"].value == -2
    assert changes["median"].variance == pytest.approx(influence.var(ddof=1) / 4)
    assert changes["gini"].value == 0.25
    assert math.isnan(changes["gini"].variance)
    assert not changes["gini"].group_sums


@pytest.mark.parametrize(("n_changes", "is_counted"), [(0, False), (1, False), (20, True)])
def test_item_changes_leave_out_effects_of_stored_rows_if_few_queries_change(n_changes: int, is_counted: bool) -> None:
    """Rare changes of queries have rules of their own, which look for few contributions."""
    scores, raw_scores = (TaskScores({"mixed_R@1": (np.arange(100) < n).astype(float)}) for n in (n_changes, 0))
    effect = StoredEffect(np.linspace(-5.0, 5.0, 100), np.full(N_PAIR_GROUPS, 1e-3))
    changes = [
        item_changes(scores, raw_scores, np.arange(100), np.arange(100) % 64, as_stored=effects)["mixed_R@1"]
        for effects in ({}, {"mixed_R@1": effect})
    ]
    assert (changes[1].variance != changes[0].variance) == is_counted
    assert bool(changes[1].pair_sums) == is_counted
