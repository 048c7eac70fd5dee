"""The contract of tasks: the data that they get, the scores that they return, and their registry."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.tasks.matches import Matches
from isthmus.utils.errors import InputError
from isthmus.utils.registry import Registry

#: Directions of a score.
DIRECTIONS = ("higher", "lower", "neither")
#: Inputs that a task can require.
NEEDS = ("pairs", "labels", "labels or captions")


class TaskData:
    """Input of a task: the rows of both modalities after an alignment map, and before it.

    Parameters
    ----------
    x : np.ndarray of shape (n_x, d)
        Rows of the first modality after the map, one for each item.
    y : np.ndarray of shape (n_y, d)
        Rows of the second modality after the map.
    owner : np.ndarray of shape (n_y,), optional
        Item (row of x) that each row of y belongs to. Default: row j belongs to item j.
    y_groups : np.ndarray of shape (n_y,), optional
        Number of the distinct row of y. Default: all are distinct.
    labels : np.ndarray of shape (n_x,), optional
        Class of each item.
    raw_x, raw_y : np.ndarray of shape (n_x, d) and (n_y, d), optional
        The same rows before the map. Default: x and y.
    class_names, class_texts : np.ndarray of shape (C,) and (C, d), optional
        Classes, and the vector that represents each class, after the map.
    seed : int, default 0
        Seed of everything random.
    correction : object, optional
        Correction of the scores of a mixed corpus, such as `isthmus.align.ScoreStandardization`.
    tasks : iterable of str, optional
        Names of all tasks that will run on this input, so that they share the work that they have in common.

    Examples
    --------
    >>> data = TaskData(np.eye(3), np.eye(3)[[0, 1, 1]], owner=np.array([0, 1, 1]))
    >>> data.n_items, data.raw_x is data.x
    (3, True)
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        /,
        *,
        owner: np.ndarray | None = None,
        y_groups: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        raw_x: np.ndarray | None = None,
        raw_y: np.ndarray | None = None,
        class_names: np.ndarray | None = None,
        class_texts: np.ndarray | None = None,
        seed: int = 0,
        correction: Any = None,
        tasks: Iterable[str] = (),
    ):
        self.x, self.y = x, y
        self.owner = np.arange(len(y)) if owner is None else owner
        self.y_groups = y_groups
        self.labels = labels
        self.raw_x = x if raw_x is None else raw_x
        self.raw_y = y if raw_y is None else raw_y
        self.class_names, self.class_texts = class_names, class_texts
        self.seed = seed
        self.correction = correction
        self.tasks = frozenset(tasks)
        self.shared: dict[str, Any] = {}  # work that several tasks share

    @property
    def n_items(self) -> int:
        """Return the number of items, which is the number of rows of x."""
        return len(self.x)

    @cached_property
    def matches(self) -> Matches:
        """Matching pairs of distinct rows."""
        return Matches.of(len(self.x), len(self.y), self.owner, self.y_groups)


@dataclass(frozen=True, eq=False)
class TaskScores:
    """Output of a task.

    Parameters
    ----------
    per_item : dict of str to np.ndarray of shape (n_x,)
        Scores that are means over items: the contribution of each item, from which standard errors follow.
    overall : dict of str to float
        Scores that are not means over items, such as a Gini index.
    influence : dict of str to np.ndarray of shape (n_x,)
        Influence of each item on some of the scores in `overall`, whose standard error is that of the mean influence.

    Examples
    --------
    >>> TaskScores({"R@1": np.array([0.0, 1.0])}, {"gini": 0.25}).scores()
    {'R@1': 0.5, 'gini': 0.25}
    """

    per_item: Mapping[str, np.ndarray] = field(default_factory=dict)
    overall: Mapping[str, float] = field(default_factory=dict)
    influence: Mapping[str, np.ndarray] = field(default_factory=dict)

    def scores(self) -> dict[str, float]:
        """Return every score as one number.

        Returns
        -------
        dict of str to float
            Mean over items of the scores in `per_item`, and the scores in `overall`.
        """
        return {**{name: float(np.mean(values)) for name, values in self.per_item.items()}, **self.overall}


@dataclass(frozen=True)
class Score:
    """Declaration of one score of a task.

    Parameters
    ----------
    better : {'higher', 'lower', 'neither'}
        Direction of improvement.
    definition : str
        Definition in one phrase, shown in tables.
    range : tuple of float, default (0, 1)
        Smallest and largest possible value.
    is_shown : bool, default False
        Show the score in short tables. They always show the first score of a task.
    is_time : bool, default False
        The score is a measured time, which differs between equal runs.
    counts_neighbours : bool, default False
        The score counts rows among the neighbours, so that an item moves it as a query and as much as a stored row.
    is_ratio : bool, default False
        The score is a ratio of two means over items.

    Examples
    --------
    >>> Score("lower", "median rank of the match", (1, np.inf)).better
    'lower'
    """

    better: str
    definition: str
    range: tuple[float, float] = (0.0, 1.0)
    is_shown: bool = False
    is_time: bool = False
    counts_neighbours: bool = False
    is_ratio: bool = False


@dataclass(frozen=True)
class Task:
    """A downstream task: a function of `TaskData`, and the scores that it returns.

    Parameters
    ----------
    name : str
        Name in the registry: lower-case letters, digits and '_'.
    run : callable
        Function of `TaskData` that returns `TaskScores`. It must not change its input. The order of the items must
        not matter, and all random numbers must come from `TaskData.seed`. If the task needs labels and gets none, it
        raises `InputError` (see `require_labels`).
    scores : dict of str to Score
        Scores by name. Names must be unique among all tasks.
    needs : {'pairs', 'labels', 'labels or captions'}, default 'pairs'
        Required input: rows only, class labels too, or either labels or items with several rows of y.
    source : str, default ''
        Reference of the task.
    definition : str, optional
        Definition of the task. Default: first paragraph of the docstring of `run`.
    package : str, default ''
        Optional package that the task imports. Without it, ['all'] leaves the task out.
    work : str, default ''
        What the task does for each correction, if it takes long. It is shown before a comparison begins.

    Raises
    ------
    InputError
        If a declaration is invalid.

    Examples
    --------
    >>> task = Task("widest", lambda data: TaskScores({"widest": abs(data.x).max(axis=1)}),
    ...             scores={"widest": Score("lower", "largest absolute coordinate of a row of x")})
    >>> task.run(TaskData(np.eye(3), np.eye(3))).scores()
    {'widest': 1.0}
    """

    name: str
    run: Callable[[TaskData], TaskScores]
    scores: Mapping[str, Score]
    needs: str = "pairs"
    source: str = ""
    definition: str = ""
    package: str = ""
    work: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise InputError(f"task name {self.name!r}: expected lower-case letters, digits and '_'")
        if self.needs not in NEEDS:
            raise InputError(f"task {self.name}: needs={self.needs!r}, expected one of {', '.join(NEEDS)}")
        if not self.scores:
            raise InputError(f"task {self.name}: no score is declared; give scores={{name: Score(...)}}")
        for name, score in self.scores.items():
            if score.better not in DIRECTIONS:
                expected = ", ".join(DIRECTIONS)
                raise InputError(f"task {self.name}, score {name}: better={score.better!r}, expected one of {expected}")
        if not self.definition:
            paragraph = (inspect.getdoc(self.run) or "").split("\n\n")[0]
            object.__setattr__(self, "definition", " ".join(paragraph.split()))

    @property
    def is_available(self) -> bool:
        """Return whether the package that the task needs is installed."""
        return not self.package or importlib.util.find_spec(self.package) is not None

    @property
    def main_scores(self) -> list[str]:
        """Return the names of the scores in short tables: the first one, and those with `is_shown`."""
        return [name for i, (name, score) in enumerate(self.scores.items()) if i == 0 or score.is_shown]


#: All tasks. A new file in this package, or an entry point of the group, adds one.
REGISTRY: Registry[Task] = Registry("task", package="isthmus.tasks", group="isthmus.tasks")


def task(
    name: str,
    /,
    *,
    scores: Mapping[str, Score],
    needs: str = "pairs",
    source: str = "",
    package: str = "",
    work: str = "",
) -> Callable[[Callable[[TaskData], TaskScores]], Callable[[TaskData], TaskScores]]:
    """Register the decorated function as a task.

    Parameters
    ----------
    name : str
        Name in the registry.
    scores : dict of str to Score
        Scores that the function returns.
    needs : {'pairs', 'labels', 'labels or captions'}, default 'pairs'
        Required input, see `Task`.
    source : str, default ''
        Reference of the task.
    package : str, default ''
        Optional package that the task imports.
    work : str, default ''
        What the task does for each correction, if it takes long.

    Returns
    -------
    callable
        Decorator that returns the function unchanged. The first paragraph of its docstring becomes the definition.

    Raises
    ------
    InputError
        If a declaration is invalid or the name is taken.

    Examples
    --------
    >>> @task("widest", scores={"widest": Score("lower", "largest absolute coordinate of a row of x")})
    ... def widest(data):
    ...     '''Find the largest absolute coordinate of each row of x.'''
    ...     return TaskScores({"widest": abs(data.x).max(axis=1)})
    >>> unregister("widest").definition
    'Find the largest absolute coordinate of each row of x.'
    """

    def decorate(function: Callable[[TaskData], TaskScores]) -> Callable[[TaskData], TaskScores]:
        register(Task(name, function, scores, needs, source, package=package, work=work))
        return function

    return decorate


def register(task: Task, /) -> Task:
    """Add a task to the registry.

    Parameters
    ----------
    task : Task
        The task.

    Returns
    -------
    Task
        The same task.

    Raises
    ------
    InputError
        If another task has that name, or a score of the same name.

    Examples
    --------
    >>> widest = Task("widest", lambda data: TaskScores({"widest": abs(data.x).max(axis=1)}),
    ...               scores={"widest": Score("lower", "largest absolute coordinate of a row of x")})
    >>> register(widest).name
    'widest'
    >>> unregister("widest") is widest
    True
    """
    if not getattr(task.run, "__module__", "").startswith("isthmus.tasks."):
        REGISTRY.discover()  # else a built-in task would be the second one, and be refused
    others = REGISTRY.registered()
    previous = others.pop(task.name, None)
    REGISTRY.register(task.name, task)
    for name, other in others.items():
        repeated = sorted(set(task.scores) & set(other.scores))
        if repeated:
            REGISTRY.unregister(task.name)
            if previous is not None:
                REGISTRY.register(previous.name, previous)
            raise InputError(f"task {task.name}: task {name!r} has a score {repeated[0]!r} too; choose another name")
    return task


def unregister(name: str, /) -> Task:
    """Remove a task from the registry.

    Parameters
    ----------
    name : str
        Name of the task.

    Returns
    -------
    Task
        The removed task.

    Raises
    ------
    InputError
        If there is no such task.

    Examples
    --------
    >>> register(unregister("retrieval")).name
    'retrieval'
    """
    return REGISTRY.unregister(name)


def registry() -> dict[str, Task]:
    """Return all tasks by name.

    Returns
    -------
    dict of str to Task
        Tasks of this package, of other packages that declare the entry point `isthmus.tasks`, and registered ones.

    Examples
    --------
    >>> registry()["zero_shot"].needs
    'labels'
    """
    return dict(REGISTRY)
