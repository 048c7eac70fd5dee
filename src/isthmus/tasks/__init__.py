"""Downstream tasks: retrieval, mixed-modality search, zero-shot classification, clustering and others.

A new task is one file in this folder: a function of `TaskData` that returns `TaskScores`, under the decorator `@task`.
`isthmus.compare` and `isthmus list tasks` find it in the registry. Another package declares an entry point of the group
`isthmus.tasks`. `isthmus.testing.check_task` checks that a task keeps its contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isthmus.statistics.concentration import gini
from isthmus.tasks._base import (
    REGISTRY,
    Score,
    Task,
    TaskData,
    TaskScores,
    register,
    registry,
    task,
    unregister,
)
from isthmus.tasks._labels import require_labels
from isthmus.tasks._modality_preference import ModalityPreference, modality_preference
from isthmus.tasks._per_item import mean_per_item
from isthmus.tasks._share_sweep import share_sweep
from isthmus.tasks.clustering import Clustering
from isthmus.tasks.mixed_search import MixedSearch
from isthmus.tasks.neighbours import neighbour_overlap
from isthmus.tasks.retrieval import Retrieval
from isthmus.tasks.robustness import add_noise, quantize, top1_stability
from isthmus.tasks.two_sided_search import TwoSidedSearch, has_two_sided_truth
from isthmus.tasks.within_modality_search import WithinModalitySearch
from isthmus.tasks.zero_shot import ZeroShot, mean_texts
from isthmus.utils.arguments import list_of_names
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "Clustering",
    "MixedSearch",
    "ModalityPreference",
    "Retrieval",
    "Score",
    "Task",
    "TaskData",
    "TaskScores",
    "TwoSidedSearch",
    "WithinModalitySearch",
    "ZeroShot",
    "add_noise",
    "gini",
    "has_two_sided_truth",
    "mean_per_item",
    "mean_texts",
    "modality_preference",
    "neighbour_overlap",
    "quantize",
    "register",
    "registry",
    "require_labels",
    "select_tasks",
    "share_sweep",
    "task",
    "top1_stability",
    "unregister",
]


def select_tasks(names: Sequence[str], /) -> list[Task]:
    """Return the tasks with these names.

    Parameters
    ----------
    names : sequence of str
        Names, where '-' and '_' are equivalent and case is ignored. ['all'] selects every task whose
        package is installed.

    Returns
    -------
    list of Task
        Tasks in the given order, each once.

    Raises
    ------
    InputError
        If no name is given, a name is unknown, or the package of a task is not installed.

    Examples
    --------
    >>> [task.name for task in select_tasks(["retrieval", "mixed-search"])]
    ['retrieval', 'mixed_search']
    """
    names = list_of_names(names, "tasks")
    if names == ["all"]:
        return [task for task in REGISTRY.values() if task.is_available]
    if not names:
        raise InputError(f"no task was named; known: {', '.join(REGISTRY)}")
    selected = list({task.name: task for task in (REGISTRY.find(name) for name in names)}.values())
    for entry in selected:
        if not entry.is_available:
            import_optional(entry.package, entry.package, f"the task {entry.name}")
    return selected


if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
