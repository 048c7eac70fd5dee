"""Changes of scores from those of the raw embeddings, with what the items contribute to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from isthmus.evaluation.split_variance import stored_sums, unit_contributions
from isthmus.statistics.result import NAN
from isthmus.tasks import TaskScores


class ItemChange(NamedTuple):
    """Change of a score from the raw embeddings.

    Attributes
    ----------
    value : the change
    variance : its variance from the items, NaN if they do not show it
    group_sums : what random groups of items contribute, see `isthmus.evaluation.split_variance.stored_sums`
    """

    value: float
    variance: float = NAN
    group_sums: Sequence[int] = ()


def item_changes(
    scores: TaskScores,
    raw_scores: TaskScores,
    unit: np.ndarray,
    random_group: np.ndarray,
    *,
    without_variance: Collection[str] = (),
) -> dict[str, ItemChange]:
    """Return the change of each score of a task from the raw embeddings.

    Parameters
    ----------
    scores, raw_scores : TaskScores
        Scores of mapped rows and of the raw embeddings of the same items.
    unit : np.ndarray of shape (n_items,)
        Number of the independent unit of each item, from 0.
    random_group : np.ndarray of shape (n_units,)
        Random group of each unit.
    without_variance : collection of str, optional
        Scores whose error items do not show.

    Returns
    -------
    dict of str to ItemChange
        Changes by score.

    Examples
    --------
    >>> scores, raw_scores = (TaskScores({"R@1": np.array(hits)}) for hits in ([1.0, 1.0], [0.0, 1.0]))
    >>> item_changes(scores, raw_scores, np.arange(2), np.arange(2))["R@1"][:2]
    (0.5, 0.25)
    """

    def with_variance(value: float, differences: np.ndarray) -> ItemChange:
        contributions, variance = unit_contributions(differences, unit)
        return ItemChange(value, variance, stored_sums(contributions, random_group, variance))

    changes = {}
    for name, values in scores.per_item.items():
        differences = values - raw_scores.per_item[name]
        value = float(differences.mean())
        changes[name] = ItemChange(value) if name in without_variance else with_variance(value, differences)
    for name, score in scores.overall.items():
        changes[name] = ItemChange(score - raw_scores.overall[name])
        if name in scores.influence:
            changes[name] = with_variance(changes[name].value, scores.influence[name] - raw_scores.influence[name])
    return changes
