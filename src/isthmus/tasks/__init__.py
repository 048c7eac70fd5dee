"""What the gap does downstream: one file per task, in blocks of scores.

A new task is one file: a function of `Rows` that returns an `Outcome`, registered by `@task` with its scores and what
it needs. `isthmus.compare`, `isthmus list tasks` and the contract tests find it in the registry.
"""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.tasks._base import Outcome, Rows, Score, Task, registry, task
from isthmus.tasks.clustering import Clustering
from isthmus.tasks.mixed_search import MixedSearch, share_sweep
from isthmus.tasks.neighbours import kept_neighbours
from isthmus.tasks.retrieval import Retrieval
from isthmus.tasks.robustness import nearest, noisy, quantised, unchanged
from isthmus.tasks.zero_shot import ZeroShot, gini, mean_texts
from isthmus.utils.errors import InputError, unknown

__all__ = [
    "Clustering",
    "MixedSearch",
    "Outcome",
    "Retrieval",
    "Rows",
    "Score",
    "Task",
    "ZeroShot",
    "chosen",
    "gini",
    "kept_neighbours",
    "mean_texts",
    "nearest",
    "noisy",
    "quantised",
    "registry",
    "share_sweep",
    "task",
    "unchanged",
]


def chosen(names: Sequence[str], /) -> list[Task]:
    """The tasks of these names, '-' and '_' not told apart; 'all' stands for every one.

    Errors: `InputError` for an unknown name.

    >>> [task.name for task in chosen(["retrieval", "mixed-search"])]
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
            raise unknown("task", name, known)
        if known[plain] not in found:
            found.append(known[plain])
    return found
