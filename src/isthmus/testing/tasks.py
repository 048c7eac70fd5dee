"""Contract suite of downstream tasks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.compute.arrays import unit_rows
from isthmus.tasks import Task, TaskData, TaskScores, mean_texts, registry
from isthmus.tasks._base import DIRECTIONS, NEEDS
from isthmus.utils.errors import InputError, unknown_name

#: Seeds over which scores are averaged if a task draws random numbers.
N_SEEDS = 12
#: Rounding that scores may differ by.
TOLERANCE = 1e-6


def check_task(task: Task | str, /) -> None:
    """Check that a task keeps its contract.

    The task must declare its scores and return exactly these, within their ranges. It must not change its input. The
    same seed must give the same scores, and the order of items and rows must not matter. Without labels it must work,
    or raise `InputError` with one clear sentence. The test data have several rows of y per item, and items without
    one.

    Parameters
    ----------
    task : Task or str
        The task, or its name in the registry.

    Raises
    ------
    AssertionError
        If the task breaks its contract. The message names the broken promise.
    InputError
        If the name is unknown.

    Examples
    --------
    >>> check_task("retrieval")
    """
    task = _find(task)
    try:
        _check_all(task)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"task {task.name}: {type(error).__name__} for valid data: {error}") from error


def _find(task: object) -> Task:
    if isinstance(task, str):
        tasks = registry()
        if task not in tasks:
            raise unknown_name("task", task, tasks)
        return tasks[task]
    if not isinstance(task, Task):
        name, kind = getattr(task, "__name__", repr(task)), type(task).__name__
        raise AssertionError(f"task {name}: is a {kind}; add the decorator @task(...) and pass the name")
    return task


def _check_all(task: Task) -> None:
    _check_declaration(task)
    for data in (_example_data(captions=False), _example_data(captions=True)):
        scores = _run(task, data)
        _check_scores(task, scores, data)
        _check_input_unchanged(task, data)
        _require(
            task, _untimed(task, _run(task, data)) == _untimed(task, scores), "the same seed gives different scores"
        )
        _check_order(task, data)
    _check_labels(task)


def _require(task: Task, condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(f"task {task.name}: {message}")


def _check_declaration(task: Task) -> None:
    length = len(task.definition)
    _require(task, length > 0, "the definition is missing; give the function a docstring")
    _require(task, length > 30, f"the definition {task.definition!r} has {length} characters, expected at least 31")
    _require(task, bool(task.source), "the source is missing; give source=, the reference of the task")
    _require(task, task.needs in NEEDS, f"needs={task.needs!r}, expected one of {', '.join(NEEDS)}")
    _require(task, len(task.scores) > 0, "no score is declared")
    for name, score in task.scores.items():
        _require(task, score.better in DIRECTIONS, f"score {name} has no direction: better={score.better!r}")
        _require(task, bool(score.definition), f"score {name} has no definition")
        low, high = score.range
        _require(task, low < high, f"score {name} has the empty range {score.range}")


def _example_data(*, captions: bool, labels: bool = True, seed: int = 3) -> TaskData:
    """Return unit rows of 60 items in four classes with a gap between the modalities."""
    rng = np.random.default_rng(20260101)
    n, d = 60, 8
    classes = np.arange(n) % 4
    latent = rng.normal(size=(n, d)) + 2 * np.eye(d)[classes]
    owner = np.arange(n)
    if captions:  # up to three rows of y per item in any order, and items without one
        owner = rng.permutation(np.concatenate([np.arange(5, n), rng.integers(5, n, 20)]))
    x = unit_rows(latent + 0.5 * rng.normal(size=(n, d)) + 3 * np.eye(d)[0])
    y = unit_rows(latent[owner] + 0.5 * rng.normal(size=(len(owner), d)))
    options: dict[str, Any] = {"owner": owner, "raw_x": unit_rows(x + 0.1), "raw_y": unit_rows(y - 0.1), "seed": seed}
    if labels:
        names, texts = mean_texts(y, owner, classes)
        options |= {"labels": classes, "class_names": names, "class_texts": texts}
    return TaskData(x, y, **options)


def _copy(data: TaskData, *, seed: int | None = None) -> TaskData:
    """Return data with arrays of its own."""
    arrays: dict[str, Any] = {
        name: None if getattr(data, name) is None else getattr(data, name).copy()
        for name in ("owner", "labels", "raw_x", "raw_y", "class_names", "class_texts")
    }
    return TaskData(data.x.copy(), data.y.copy(), **arrays, seed=data.seed if seed is None else seed)


def _reorder(data: TaskData) -> tuple[TaskData, np.ndarray]:
    """Return the same pairs with items and rows of y in another order, and the order of the items."""
    rng = np.random.default_rng(7)
    items, rows = rng.permutation(data.n_items), rng.permutation(len(data.y))
    position = np.argsort(items)
    reordered = TaskData(
        data.x[items],
        data.y[rows],
        owner=position[data.owner[rows]],
        labels=None if data.labels is None else data.labels[items],
        raw_x=data.raw_x[items],
        raw_y=data.raw_y[rows],
        class_names=data.class_names,
        class_texts=data.class_texts,
        seed=data.seed,
    )
    return reordered, items


def _run(task: Task, data: TaskData) -> TaskScores:
    scores = task.run(_copy(data))
    _require(task, isinstance(scores, TaskScores), f"returned {type(scores).__name__}, expected TaskScores")
    return scores


def _untimed(task: Task, result: TaskScores) -> dict[str, float]:
    """Return the scores that are no measured times."""
    return {name: value for name, value in result.scores().items() if not task.scores[name].is_time}


def _check_scores(task: Task, result: TaskScores, data: TaskData) -> None:
    names = [*result.per_item, *result.overall]
    _require(task, len(names) == len(set(names)), "a score is both a mean over items and an overall score")
    _require(task, set(names) == set(task.scores), f"returned {sorted(names)}, but {sorted(task.scores)} are declared")
    scores = result.scores()
    for name, values in result.per_item.items():
        actual_shape = np.shape(values)
        expected = (data.n_items,)
        _require(
            task, actual_shape == expected, f"per-item values of {name} have shape {actual_shape}, expected {expected}"
        )
        _require(task, bool(np.isfinite(values).all()), f"per-item values of {name} are not finite")
        mean = float(np.mean(values))
        _require(task, abs(mean - scores[name]) <= TOLERANCE, f"the mean over items of {name} is not the score")
    for name, value in scores.items():
        low, high = task.scores[name].range
        _require(task, math.isfinite(value), f"the score {name} is {value}")
        in_range = low - TOLERANCE <= value <= high + TOLERANCE
        _require(task, in_range, f"the score {name} is {value:g}, outside of its range {low:g} to {high:g}")


def _check_input_unchanged(task: Task, data: TaskData) -> None:
    used = _copy(data)
    task.run(used)
    for name in ("x", "y", "owner", "labels", "raw_x", "raw_y", "class_names", "class_texts"):
        _require(task, np.array_equal(getattr(used, name), getattr(data, name)), f"the task changes its input {name}")


def _check_order(task: Task, data: TaskData) -> None:
    """Compare scores in two orders: exactly if the seed does not matter, otherwise as means over seeds."""
    reordered, items = _reorder(data)
    runs, reordered_runs = (
        [_run(task, _copy(some, seed=seed)) for seed in range(N_SEEDS)] for some in (data, reordered)
    )
    for name in (name for name, score in task.scores.items() if not score.is_time):
        values, reordered_values = (np.array([run.scores()[name] for run in group]) for group in (runs, reordered_runs))
        difference = abs(float(values.mean() - reordered_values.mean()))
        error = math.sqrt((float(values.var(ddof=1)) + float(reordered_values.var(ddof=1))) / N_SEEDS)
        message = f"the score {name} depends on the order of the items ({values[0]:g} and {reordered_values[0]:g})"
        _require(task, difference <= TOLERANCE + 4 * error, message)
        if name in runs[0].per_item and np.ptp(values) == 0:
            expected, actual = runs[0].per_item[name][items], reordered_runs[0].per_item[name]
            follows_order = np.allclose(actual, expected, rtol=0, atol=TOLERANCE)
            _require(task, follows_order, f"per-item values of {name} do not follow the order of the items")


def _check_labels(task: Task) -> None:
    data = _example_data(captions=False, labels=False)
    if task.needs == "pairs":
        labelled = _untimed(task, _run(task, _example_data(captions=False)))
        message = "the task declares needs='pairs', but its scores depend on the labels"
        _require(task, _untimed(task, _run(task, data)) == labelled, message)
        return
    try:
        task.run(data)
    except InputError as error:
        message = str(error)
        clear = message.startswith(f"{task.name} needs labels") and "\n" not in message and len(message) <= 300
        _require(task, clear, f"the error without labels must start with '{task.name} needs labels': {message}")
    else:
        raise AssertionError(f"task {task.name}: it declares needs='labels', but runs without labels")
