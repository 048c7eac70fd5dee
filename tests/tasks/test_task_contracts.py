"""What every task promises, checked for all of them from the registry."""

from __future__ import annotations

import math

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.tasks import TaskData, mean_texts, registry, select_tasks, task
from isthmus.tasks._base import TaskScores, mean_per_item

names = pytest.mark.parametrize("name", registry())


@pytest.fixture
def rows(rng: np.random.Generator) -> TaskData:
    n = 60
    labels = np.arange(n) % 4
    latent = rng.normal(size=(n, 8)) + 2 * np.eye(8)[labels]
    owner = np.sort(np.concatenate([np.arange(n), rng.integers(0, n, 20)]))
    x = latent + 0.5 * rng.normal(size=latent.shape) + 3 * np.eye(8)[0]
    y = latent[owner] + 0.5 * rng.normal(size=(len(owner), 8))
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    classes = mean_texts(y, owner, labels)
    return TaskData(x, y, owner, labels, x, y, classes[0], classes[1], seed=3)


@names
def test_task_declares_itself(name: str) -> None:
    entry = registry()[name]
    assert entry.needs in ("pairs", "labels")
    assert len(entry.definition) > 30
    assert entry.source
    for score in entry.scores.values():
        assert score.better in ("higher", "lower", "neither")
        assert score.definition


@names
def test_task_returns_the_scores_that_it_declares(name: str, rows: TaskData) -> None:
    found = registry()[name].run(rows)
    assert set(found.scores()) == set(registry()[name].scores)
    for values in found.items.values():
        assert values.shape == (rows.items,)
    for value in found.scores().values():
        assert math.isfinite(value)
    again = registry()[name].run(rows)
    assert again.scores() == found.scores()


@names
def test_task_does_not_change_its_rows(name: str, rows: TaskData) -> None:
    x, y = rows.x.copy(), rows.y.copy()
    registry()[name].run(rows)
    np.testing.assert_array_equal(rows.x, x)
    np.testing.assert_array_equal(rows.y, y)


@names
def test_task_without_labels_says_so(name: str, rows: TaskData) -> None:
    if registry()[name].needs == "labels":
        with pytest.raises(InputError, match=f"{name} needs labels"):
            registry()[name].run(TaskData(rows.x, rows.y, rows.owner))


def test_scores_have_one_name_each() -> None:
    everything = [score for entry in registry().values() for score in entry.scores]
    assert len(everything) == len(set(everything))


def test_what_items_add_averages_to_the_mean_over_queries(rng: np.random.Generator) -> None:
    owner, values = rng.integers(0, 9, 40), rng.normal(size=40)
    assert mean_per_item(values, owner, 9).mean() == pytest.approx(values.mean())


def test_a_new_task_is_found_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.tasks._base._REGISTRY", dict(registry()))

    @task("widest", scores={"widest": ("lower", "largest coordinate")}, source="a test")
    def widest(rows: TaskData) -> TaskScores:
        """The largest coordinate of each row of x, which says nothing about anything."""
        return TaskScores({"widest": rows.x.max(axis=1)})

    table = isthmus.compare(isthmus.demo.load("warm", split="test"), aligners=["Centering"], tasks=["widest"], splits=1)
    assert 0 < table["Identity"].scores["widest"].value < 1
    assert math.isfinite(table["Centering"].changes["widest"].low)


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(InputError, match="unknown task 'retrival': did you mean 'retrieval'"):
        select_tasks(["retrival"])
    assert [t.name for t in select_tasks(["all"])] == list(registry())
