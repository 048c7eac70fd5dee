"""How a task declares itself, what it is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class TaskData:
    """What a task may look at: the rows of both sides after a map, and before it.

    Attributes
    ----------
    x : (n_x, d), y : (n_y, d), NumPy, after the map; `raw_x`, `raw_y` before it (the same rows for a task that
        compares; default: x and y themselves)
    owner : (n_y,) ints, the row of x that each row of y belongs to; default: its own number
    labels : (n_x,) or None, a class for each row of x
    class_names, class_texts : (C,) and (C, d) or None, the vector that stands for each class, after the map
    seed : of everything random
    correction : a correction of the scores of a mixed corpus, or None
    """

    x: np.ndarray
    y: np.ndarray
    owner: np.ndarray = None  # type: ignore[assignment]  # filled in below
    labels: np.ndarray | None = None
    raw_x: np.ndarray = None  # type: ignore[assignment]  # filled in below
    raw_y: np.ndarray = None  # type: ignore[assignment]  # filled in below
    class_names: np.ndarray | None = None
    class_texts: np.ndarray | None = None
    seed: int = 0
    correction: Any = None

    def __post_init__(self) -> None:
        for name, default in (("owner", np.arange(len(self.y))), ("raw_x", self.x), ("raw_y", self.y)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)

    @property
    def items(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class TaskScores:
    """The scores of one task.

    `items[score]` is (n_x,): what each item adds to the score, which is their mean. Differences between two maps have
    their standard error from these. `values[score]` are scores that are no mean over items (a Gini index, ARI).
    """

    items: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)

    def scores(self) -> dict[str, float]:
        """Every score as one number."""
        return {**{name: float(np.mean(v)) for name, v in self.items.items()}, **self.values}


@dataclass(frozen=True)
class Score:
    """`better`: 'higher', 'lower' or 'neither'."""

    better: str
    definition: str


@dataclass(frozen=True)
class Task:
    """A task and what it promises: its `scores` by name, and whether it `needs` 'pairs' alone or 'labels' too."""

    name: str
    run: Callable[[TaskData], TaskScores]
    scores: Mapping[str, Score]
    needs: str
    source: str
    definition: str


_REGISTRY: dict[str, Task] = {}


def task(
    name: str, *, scores: Mapping[str, tuple[str, str]], source: str, needs: str = "pairs"
) -> Callable[[Callable[[TaskData], TaskScores]], Callable[[TaskData], TaskScores]]:
    """Register a function of `TaskData` as the task `name`; its docstring's first paragraph is the definition.

    `scores` maps each score to (better, definition).
    """

    def register(function: Callable[[TaskData], TaskScores]) -> Callable[[TaskData], TaskScores]:
        definition = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        declared = {key: Score(*value) for key, value in scores.items()}
        _REGISTRY[name] = Task(name, function, declared, needs, source, definition)
        return function

    return register


def registry() -> Mapping[str, Task]:
    """All tasks by name."""
    return dict(_REGISTRY)


def mean_per_item(values: np.ndarray, owner: np.ndarray, items: int) -> np.ndarray:
    """What each item adds to the mean of `values` over queries: query j belongs to item owner[j], (items,).

    The mean of the result is the mean of `values`, also when items have several queries or none.

    >>> mean_per_item(np.array([1.0, 0.0, 1.0]), np.array([0, 0, 2]), 3).tolist()
    [1.0, 0.0, 1.0]
    """
    return np.bincount(owner, weights=values, minlength=items) * (items / max(len(values), 1))


def require_labels(rows: TaskData, what: str) -> np.ndarray:
    """The labels of `rows`; `InputError` when there are none or they name fewer than two classes."""
    if rows.labels is None:
        raise InputError(f"{what} needs labels: give Pairs(..., labels=) one class for each row of the first side")
    labels = np.asarray(rows.labels)
    if len(labels) != rows.items:
        raise InputError(f"{what} got {len(labels):,} labels for {rows.items:,} rows of the first side")
    if len(np.unique(labels)) < 2:
        raise InputError(f"{what} needs two classes or more, all {len(labels):,} labels are {labels[0]!r}")
    return labels
