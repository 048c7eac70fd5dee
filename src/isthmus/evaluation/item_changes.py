"""Changes of scores from those of the raw embeddings, with what the items contribute to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from isthmus.evaluation.fit_effects import FitEffect
from isthmus.evaluation.split_variance import MAX_SHARE_OF_ONE_CHANGE, in_parts, stored_sums, unit_contributions
from isthmus.evaluation.stored_effects import StoredEffect
from isthmus.statistics.result import NAN
from isthmus.tasks import TaskScores

#: Variance of a score that counts neighbours, in units of that from the queries, where the effects of stored rows are
#: not known. If an item moves the score as much in both roles, with a correlation of 1/2, their sum has three times the
#: variance.
NEIGHBOUR_FACTOR = 3.0
#: Smallest share of the variance of the contributions that is left after the variance of pairs is subtracted.
MIN_SHARE = 0.05


class ItemChange(NamedTuple):
    """Change of a score from the raw embeddings.

    Attributes
    ----------
    value : the change
    variance : its variance from the items, NaN if they do not show it
    group_sums : what random groups of items contribute, see `isthmus.evaluation.split_variance.stored_sums`
    pair_sums : what random groups of pairs of items contribute, which `group_sums` count twice
    """

    value: float
    variance: float = NAN
    group_sums: Sequence[int] = ()
    pair_sums: Sequence[int] = ()


def item_changes(
    scores: TaskScores,
    raw_scores: TaskScores,
    unit: np.ndarray,
    random_group: np.ndarray,
    *,
    of_neighbours: Collection[str] = (),
    as_stored: Mapping[str, StoredEffect] | None = None,
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
    of_neighbours : collection of str, optional
        Scores that count rows among the neighbours of the queries.
    as_stored : mapping of str to StoredEffect, optional
        What items add as stored rows to the changes of some scores.

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
    differences = {name: values - raw_scores.per_item[name] for name, values in scores.per_item.items()}
    changes = {name: ItemChange(float(values.mean())) for name, values in differences.items()}
    changes |= {name: ItemChange(value - raw_scores.overall[name]) for name, value in scores.overall.items()}
    differences |= {name: values - raw_scores.influence[name] for name, values in scores.influence.items()}
    if not differences:
        return changes
    frequent = _frequent_changes(differences, unit)
    effects = {name: effect for name, effect in (as_stored or {}).items() if name in frequent}
    differences |= {name: differences[name] + effect.values for name, effect in effects.items()}
    contributions, variances = unit_contributions(np.stack(list(differences.values())), unit)
    of_pairs = np.array([effects[name].pair_variance if name in effects else 0.0 for name in differences])
    variances = np.maximum(variances - of_pairs, MIN_SHARE * variances)
    sums = stored_sums(contributions, random_group, variances)
    for name, variance, group_sums in zip(differences, variances.tolist(), sums, strict=True):
        factor = NEIGHBOUR_FACTOR if name in of_neighbours and name not in effects else 1.0
        pair_sums = in_parts(effects[name].pair_sums, variance) if name in effects and variance > 0 else ()
        changes[name] = ItemChange(changes[name].value, factor * variance, group_sums, pair_sums)
    return changes


def _frequent_changes(differences: Mapping[str, np.ndarray], unit: np.ndarray) -> set[str]:
    """Return the scores that several queries change. Effects of stored rows would hide how rare other changes are."""
    contributions, variances = unit_contributions(np.stack(list(differences.values())), unit)
    fourth_moments = np.einsum("ij,ij->i", contributions**2, contributions**2)
    most = MAX_SHARE_OF_ONE_CHANGE + 3 / contributions.shape[1]
    is_frequent = (variances > 0) & (fourth_moments <= most * variances**2)
    return {name for name, frequent in zip(differences, is_frequent.tolist(), strict=True) if frequent}


def stored_changes(changes: Mapping[str, ItemChange], of_fit: Mapping[str, FitEffect], /) -> dict[str, dict[str, Any]]:
    """Return the fields of a trial that hold changes.

    Parameters
    ----------
    changes : mapping of str to ItemChange
        Changes by score.
    of_fit : mapping of str to FitEffect
        Effects of groups of fitting items on some scores.

    Returns
    -------
    dict of str to dict
        'changes', 'group_sums', 'pair_sums' and 'fit_effects' of `isthmus.evaluation.trial.Trial`.

    Examples
    --------
    >>> stored_changes({"R@1": ItemChange(0.5, 0.25, [1000, 0])}, {})["changes"]
    {'R@1': (0.5, 0.25)}
    """
    return {
        "changes": {name: (change.value, change.variance) for name, change in changes.items()},
        "group_sums": {name: list(change.group_sums) for name, change in changes.items() if change.group_sums},
        "pair_sums": {name: list(change.pair_sums) for name, change in changes.items() if change.pair_sums},
        "fit_effects": {
            name: (of_fit[name].variance, in_parts(of_fit[name].sums, change.variance))
            for name, change in changes.items()
            if name in of_fit and change.variance > 0
        },
    }
