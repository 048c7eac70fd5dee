"""The contract of tasks, for every registered task and for tasks that break it."""

from __future__ import annotations

import importlib
import math
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.tasks import (
    Score,
    Task,
    TaskData,
    TaskScores,
    mean_per_item,
    register,
    registry,
    require_labels,
    select_tasks,
    task,
    unregister,
)
from isthmus.testing import check_task

WIDEST = {"widest": Score("lower", "largest coordinate of a row of x", (0, 1))}


def widest(data: TaskData) -> TaskScores:
    """Find the largest coordinate of each row of x, an example."""
    return TaskScores({"widest": np.abs(data.x).max(axis=1)})


@pytest.fixture
def temporary_task() -> Iterator[Task]:
    yield register(Task("widest", widest, WIDEST, source="a test"))
    unregister("widest")


@pytest.mark.parametrize("name", registry())
def test_registered_task_keeps_the_contract(name: str) -> None:
    check_task(name)
    assert registry()[name].source


def test_correct_new_task_keeps_the_contract() -> None:
    check_task(Task("widest", widest, WIDEST, source="a test"))


class TestBrokenTasks:
    def broken(self, run: Callable[[TaskData], TaskScores], match: str, needs: str = "pairs", **score: object) -> None:
        declared = {"widest": Score(**{"better": "lower", "definition": "largest coordinate", **score})}  # type: ignore[arg-type]
        definition = "Find the largest coordinate of each row of x."
        with pytest.raises(AssertionError, match=match):
            check_task(Task("widest", run, declared, needs, source="a test", definition=definition))

    def test_missing_definition(self) -> None:
        with pytest.raises(AssertionError, match="the definition is missing"):
            check_task(Task("widest", lambda data: widest(data), WIDEST))
        with pytest.raises(AssertionError, match="'Find it.' has 8 characters, expected at least 31"):
            check_task(Task("widest", widest, WIDEST, definition="Find it."))
        self.broken(widest, "score widest has no definition", definition="")
        self.broken(widest, r"score widest has the empty range \(1, 0\)", range=(1, 0))

    def test_missing_source(self) -> None:
        with pytest.raises(AssertionError, match="task widest: the source is missing"):
            check_task(Task("widest", widest, WIDEST))

    def test_undecorated_function(self) -> None:
        with pytest.raises(AssertionError, match="task widest: is a function; add the decorator @task"):
            check_task(widest)  # type: ignore[arg-type]

    def test_unknown_name(self) -> None:
        with pytest.raises(InputError, match="unknown task 'retrival': did you mean 'retrieval'"):
            check_task("retrival")

    def test_other_error(self) -> None:
        def fail(data: TaskData) -> TaskScores:
            raise KeyError("no rows")

        self.broken(fail, "task widest: KeyError for valid data: 'no rows'")

    def test_other_result(self) -> None:
        self.broken(lambda data: {"widest": 0.5}, "returned dict, expected TaskScores")  # type: ignore[arg-type, return-value]

    def test_other_scores(self) -> None:
        self.broken(lambda data: TaskScores({}, {"wide": 0.5}), "returned .'wide'., but .'widest'. are declared")
        both = TaskScores({"widest": np.zeros(60)}, {"widest": 0.0})
        self.broken(lambda data: both, "a score is both a mean over items and an overall score")

    def test_score_outside_of_its_range(self) -> None:
        self.broken(
            lambda data: TaskScores({}, {"widest": 1.1}), "the score widest is 1.1, outside of its range 0 to 1"
        )
        self.broken(lambda data: TaskScores({}, {"widest": -0.1}), "outside of its range")

    def test_undefined_score(self) -> None:
        self.broken(lambda data: TaskScores({}, {"widest": math.nan}), "the score widest is nan")
        holes = np.full(60, math.inf)
        self.broken(lambda data: TaskScores({"widest": holes}), "per-item values of widest are not finite")

    def test_per_item_values_of_another_shape(self) -> None:
        self.broken(lambda data: TaskScores({"widest": np.zeros(61)}), r"have shape \(61,\), expected \(60,\)")

    def test_changed_input(self) -> None:
        def change(data: TaskData) -> TaskScores:
            result = widest(data)
            data.raw_y[0] = 0
            return result

        self.broken(change, "the task changes its input raw_y")

    def test_random_numbers_without_the_seed(self) -> None:
        generator = np.random.default_rng(0)
        self.broken(lambda data: TaskScores({}, {"widest": generator.random()}), "the same seed gives different scores")

    def test_score_that_depends_on_the_order(self) -> None:
        self.broken(
            lambda data: TaskScores({}, {"widest": float(abs(data.x[0, 0]))}),
            "the score widest depends on the order of the items",
        )

        def ignores_owner(data: TaskData) -> TaskScores:
            n = min(data.n_items, len(data.y))
            return TaskScores({}, {"widest": float(abs(np.mean(data.x[:n] * data.y[:n])))})

        self.broken(ignores_owner, "the score widest depends on the order of the items")

    def test_per_item_values_in_another_order(self) -> None:
        self.broken(
            lambda data: TaskScores({"widest": np.sort(np.abs(data.x).max(axis=1))}),
            "per-item values of widest do not follow the order of the items",
        )

    def test_labels_declared_but_not_required(self) -> None:
        self.broken(widest, "it declares needs='labels', but runs without labels", needs="labels")

    def test_labels_required_but_not_declared(self) -> None:
        def count(data: TaskData) -> TaskScores:
            return TaskScores({}, {"widest": 0.0 if data.labels is None else 1.0})

        self.broken(count, "declares needs='pairs', but its scores depend on the labels")

    def test_unclear_message_without_labels(self) -> None:
        def fail(data: TaskData) -> TaskScores:
            if data.labels is None:
                raise InputError("no labels")
            return widest(data)

        self.broken(fail, "the error without labels must start with 'widest needs labels'", needs="labels")


class TestDeclaration:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"name": "Widest"}, "task name 'Widest': expected lower-case letters"),
            ({"name": "widest-row"}, "task name 'widest-row': expected lower-case letters"),
            ({"needs": "classes"}, "needs='classes', expected one of pairs, labels, labels or captions"),
            ({"scores": {}}, "no score is declared"),
            ({"scores": {"a": Score("up", "x")}}, "score a: better='up', expected one of higher, lower, neither"),
        ],
    )
    def test_invalid_declaration_is_refused(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Task(**{"name": "widest", "run": widest, "scores": WIDEST, **options})  # type: ignore[arg-type]

    def test_definition_is_the_first_paragraph_of_the_docstring(self) -> None:
        assert Task("widest", widest, WIDEST).definition == "Find the largest coordinate of each row of x, an example."

    def test_defaults(self) -> None:
        entry = Task("widest", widest, WIDEST)
        assert (entry.needs, entry.source) == ("pairs", "")
        data = TaskData(np.eye(3), np.eye(3))
        assert data.owner.tolist() == [0, 1, 2]
        assert (data.raw_x is data.x, data.raw_y is data.y, data.labels, data.seed) == (True, True, None, 0)

    def test_main_scores_are_the_first_and_the_shown_ones(self) -> None:
        shown = Score("higher", "an example", is_shown=True)
        assert Task("widest", widest, {**WIDEST, "b": WIDEST["widest"], "c": shown}).main_scores == ["widest", "c"]
        assert registry()["mixed_search"].main_scores == ["exchange_R@1", "mixed_R@1"]

    def test_registered_task_can_be_sent_to_a_worker(self) -> None:
        entry = registry()["retrieval"]
        assert pickle.loads(pickle.dumps(entry)).run is entry.run


class TestRegistry:
    def test_new_task_is_found_by_compare_and_list(self, temporary_task: Task) -> None:
        pairs = isthmus.demo.load("warm", split="test")
        table = isthmus.compare(pairs, aligners=["Centering"], tasks=["widest"], splits=1)
        assert 0 < table["Identity"].scores["widest"].value < 1
        assert math.isfinite(table["Centering"].changes["widest"].low)
        assert registry()["widest"] is temporary_task
        assert "widest" in [entry.name for entry in select_tasks(["all"])]

    def test_second_task_of_a_name_is_refused(self, temporary_task: Task) -> None:
        with pytest.raises(InputError, match="task 'widest' is registered twice"):
            task("widest", scores=WIDEST)(lambda data: widest(data))
        with pytest.raises(InputError, match="task 'retrieval' is registered twice"):
            register(Task("retrieval", widest, WIDEST))
        assert registry()["widest"] is temporary_task

    def test_second_score_of_a_name_is_refused(self, temporary_task: Task) -> None:
        with pytest.raises(InputError, match="task wide: task 'widest' has a score 'widest' too; choose another name"):
            register(Task("wide", lambda data: widest(data), WIDEST))
        assert "wide" not in registry()

    def test_same_function_may_be_registered_again(self, temporary_task: Task) -> None:
        again = register(Task("widest", widest, WIDEST, source="the same cell of a notebook"))
        assert registry()["widest"] is again

    def test_unregistered_task_is_unknown(self) -> None:
        register(Task("widest", widest, WIDEST))
        assert unregister("widest").name == "widest"
        assert "widest" not in registry()
        with pytest.raises(InputError, match="unknown task 'widest'"):
            unregister("widest")

    def test_new_file_is_found_without_a_second_edit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "widest_row.py").write_text(
            "from isthmus.tasks import Score, TaskScores, task\n"
            "@task('widest_row', scores={'widest_row': Score('lower', 'largest coordinate')}, source='a test')\n"
            "def widest_row(data):\n"
            "    '''Find the largest coordinate of each row of x.'''\n"
            "    return TaskScores({'widest_row': abs(data.x).max(axis=1)})\n",
            encoding="utf-8",
        )
        package = importlib.import_module("isthmus.tasks")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        registry_object = package.REGISTRY
        monkeypatch.setattr(registry_object, "_discovered", False)
        try:
            check_task("widest_row")
        finally:
            unregister("widest_row")
            sys.modules.pop("isthmus.tasks.widest_row")

    def test_score_names_are_unique(self) -> None:
        names = [score for entry in registry().values() for score in entry.scores]
        assert len(names) == len(set(names))

    def test_select_tasks_ignores_case_and_hyphens(self) -> None:
        assert [entry.name for entry in select_tasks(["Mixed-Search", "mixed_search"])] == ["mixed_search"]
        assert [entry.name for entry in select_tasks(["all"])] == list(registry())

    def test_select_tasks_unknown_name_is_refused(self) -> None:
        with pytest.raises(InputError, match="unknown task 'retrival': did you mean 'retrieval'"):
            select_tasks(["retrival"])
        with pytest.raises(InputError, match="no task was named; known: .*retrieval"):
            select_tasks([])


class TestLabels:
    def test_require_labels_returns_them(self) -> None:
        data = TaskData(np.eye(2), np.eye(2), labels=np.array(["a", "b"]))
        assert require_labels(data, "widest").tolist() == ["a", "b"]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (None, "widest needs labels: give"),
            (np.arange(3), "widest got 3 labels for 2 rows of the first modality"),
            (np.zeros(2), "widest needs two classes or more, but all 2 labels are"),
        ],
    )
    def test_require_labels_refuses_unusable_labels(self, labels: np.ndarray | None, message: str) -> None:
        with pytest.raises(InputError, match=message):
            require_labels(TaskData(np.eye(2), np.eye(2), labels=labels), "widest")


def test_mean_per_item_has_the_mean_over_queries(rng: np.random.Generator) -> None:
    owner, values = rng.integers(0, 9, 40), rng.normal(size=40)
    assert mean_per_item(values, owner, 9).mean() == pytest.approx(values.mean())
