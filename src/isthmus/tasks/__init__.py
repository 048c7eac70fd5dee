"""What the gap does downstream: one file per task, in blocks of scores.

A new task is one file: a function of `TaskData` that returns `TaskScores`, registered by `@task` with its scores and
what it needs. `isthmus.compare`, `isthmus list tasks` and the contract tests find it in the registry.
"""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.tasks._base import Score, Task, TaskData, TaskScores, registry, task
from isthmus.tasks.clustering import Clustering
from isthmus.tasks.mixed_search import MixedSearch, share_sweep
from isthmus.tasks.neighbours import neighbour_overlap
from isthmus.tasks.retrieval import Retrieval
from isthmus.tasks.robustness import add_noise, nearest, quantize, top1_stability
from isthmus.tasks.zero_shot import ZeroShot, gini, mean_texts
from isthmus.utils.errors import InputError, unknown_name

__all__ = [
    "Clustering",
    "MixedSearch",
    "Retrieval",
    "Score",
    "Task",
    "TaskData",
    "TaskScores",
    "ZeroShot",
    "add_noise",
    "gini",
    "mean_texts",
    "nearest",
    "neighbour_overlap",
    "quantize",
    "registry",
    "select_tasks",
    "share_sweep",
    "task",
    "top1_stability",
]


def select_tasks(names: Sequence[str], /) -> list[Task]:
    """The tasks of these names, '-' and '_' not told apart; 'all' stands for every one.

    Errors: `InputError` for an unknown name.

    >>> [task.name for task in select_tasks(["retrieval", "mixed-search"])]
    ['retrieval', 'mixed_search']
    """
    known = registry()
    if list(names) == ["all"]:
        return list(known.values())
    if not names:
        raise InputError(f"no task was named; known: {', '.join(known)}")
    found = []
    for name in names:
        plain = name.strip().lower().replace("-", "_")
        if plain not in known:
            raise unknown_name("task", name, known)
        if known[plain] not in found:
            found.append(known[plain])
    return found
