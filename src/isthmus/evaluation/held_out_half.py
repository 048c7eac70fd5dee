"""The test half of one split: its rows, their clouds and tasks, and the scores of the raw embeddings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from isthmus.align import Aligner, Identity
from isthmus.align._corpus_check import CorpusWarning
from isthmus.compute.arrays import to_numpy
from isthmus.compute.rows import are_equal
from isthmus.data.pairs import Pairs
from isthmus.data.shared_rows import computed_once
from isthmus.evaluation.item_changes import ItemChange, item_changes
from isthmus.evaluation.mapped_clouds import MappedClouds
from isthmus.evaluation.pair_groups import PairGroups
from isthmus.evaluation.split_variance import random_groups
from isthmus.evaluation.stored_effects import StoredEffect
from isthmus.tasks import Task, TaskData, TaskScores
from isthmus.tasks._joint_search import search_together
from isthmus.utils.warning import without_warnings

#: Names of the classes and the vectors that represent them, or None twice.
ClassTexts = tuple[np.ndarray | None, np.ndarray | None]


class TestHalf:
    """The test pairs of one split, and the scores of their raw embeddings. Rows are read on first use.

    Attributes
    ----------
    all_pairs : the pairs that are split
    items : the test items
    tasks : the tasks to evaluate
    normalize : whether rows are divided by their norm
    seed : seed of the tasks
    """

    __test__ = False  # not a class of tests

    def __init__(
        self,
        all_pairs: Pairs,
        items: np.ndarray,
        group: np.ndarray,
        tasks: Sequence[Task],
        *,
        normalize: bool,
        seed: int,
        group_seed: int,
    ):
        self.all_pairs, self.items, self.tasks, self.normalize, self.seed = all_pairs, items, tasks, normalize, seed
        groups, self.group = np.unique(group[items], return_inverse=True)
        self.random_group = random_groups(int(group.max()) + 1, group_seed)[groups]
        self.pair_groups = PairGroups.random(int(group.max()) + 1, group_seed).take(group[items])
        self.raw_scores: dict[str, TaskScores] | None = None
        self.lock = threading.Lock()  # one thread computes the scores of the raw embeddings
        self.first: Any = None  # the first split that is judged on these pairs, until the raw scores are known
        self.identity: Aligner | None = None  # Identity, fitted by the first split
        self.corrections: Sequence[Aligner] = ()  # corrections of the raw embeddings, whose products they share
        self.prepared: dict[int, Any] = {}  # these corrections by the id of their aligner
        self.terms: dict[int, Any] = {}  # terms of the scores of a correction by its id, after its tasks have run
        self.inputs: dict[int, TaskData] = {}  # what they are judged on, by the id of the fitted aligner

    @cached_property
    def pairs(self) -> Pairs:
        """Return the test pairs."""
        return self.all_pairs.take(self.items)

    @cached_property
    def rows(self) -> tuple[Any, Any]:
        """Return the raw rows x and y."""
        return self.pairs.unit(normalize=self.normalize)

    @cached_property
    def raw_clouds(self) -> MappedClouds:
        """Return the clouds of the raw rows, which score corrections leave as they are."""
        return MappedClouds(self.pairs, *(to_numpy(rows) for rows in self.rows))

    @cached_property
    def identity_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows x and y after Identity, which divides them by their norms once more."""
        assert self.identity is not None
        x, y = (to_numpy(rows) for rows in rows_after(self.identity, *self.rows))
        return x, y

    @cached_property
    def identity_clouds(self) -> MappedClouds:
        """Return the clouds of the rows after Identity. Many maps change the rows of one modality only."""
        return MappedClouds(self.pairs, *self.identity_rows)

    def transform(self, aligner: Aligner) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows x and y after the map. A score correction leaves them as they are.

        Rows that the map leaves as Identity does are the same array as those of Identity.
        """
        if aligner.corrects_scores:
            x, y = (to_numpy(rows) for rows in rows_after(aligner, *self.rows))
            return x, y
        if type(aligner) is Identity and aligner.normalize == self.normalize:
            return self.identity_rows
        x, y = (
            unchanged if are_equal(rows := to_numpy(mapped), unchanged) else rows
            for mapped, unchanged in zip(rows_after(aligner, *self.rows), self.identity_rows, strict=True)
        )
        return x, y

    def clouds(self, x: np.ndarray, y: np.ndarray) -> MappedClouds:
        """Return the clouds of mapped rows."""
        if all(rows is raw for rows, raw in zip((x, y), self.rows, strict=True)):
            return self.raw_clouds
        if all(rows is unchanged for rows, unchanged in zip((x, y), self.identity_rows, strict=True)):
            return self.identity_clouds
        return MappedClouds(self.pairs, x, y, plain=self.identity_clouds)

    @without_warnings(CorpusWarning)  # the halves are parts of one corpus
    def run_tasks(
        self, x: np.ndarray, y: np.ndarray, classes: ClassTexts, correction: Aligner | None = None
    ) -> dict[str, TaskScores]:
        """Run every task on mapped rows."""
        searched = self.inputs.pop(id(correction), None)
        task_data = self.task_data(x, y, classes, correction)
        if searched is not None:
            task_data.shared |= searched.shared
        results = {task.name: task.run(task_data) for task in self.tasks}
        self.terms[id(correction)] = task_data.shared.get("terms")
        return results

    @without_warnings(CorpusWarning)
    def search_raw(self, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        """Search the raw embeddings and those of the corrections at once, and return what their tasks share."""
        raw = self.task_data(x, y, (None, None))
        fitted = [prepared.fitted for prepared in self.prepared.values() if prepared.split is not None]
        self.inputs = {id(c): self.task_data(*self.transform(c), (None, None), c) for c in fitted}
        search_together([raw, *self.inputs.values()])
        return raw.shared

    def task_data(
        self, x: np.ndarray, y: np.ndarray, classes: ClassTexts, correction: Aligner | None = None
    ) -> TaskData:
        """Return the input of the tasks."""
        raw_x, raw_y = (to_numpy(rows) for rows in self.rows)
        task_data = TaskData(
            x,
            y,
            owner=self.pairs.index,
            y_groups=self.pairs.y_groups,
            labels=self.pairs.labels,
            raw_x=raw_x,
            raw_y=raw_y,
            class_names=classes[0],
            class_texts=classes[1],
            seed=self.seed,
            correction=correction,
            tasks=[task.name for task in self.tasks],
        )
        if correction is None:
            task_data.shared["of_modality"] = partial(self._of_modality, x, y)
        return task_data

    def _of_modality(self, x: np.ndarray, y: np.ndarray, name: str, compute: Callable[[], Any]) -> Any:
        """Return a result of the rows of one modality alone, computed once for all maps that leave them as they are."""
        number = "xy".index(name)
        if (x, y)[number] is not self.identity_rows[number]:
            return compute()
        return computed_once(self.pairs, ("result of one modality", name), compute)

    def changes(
        self, scores: TaskScores, raw: TaskScores, as_stored: Mapping[str, StoredEffect]
    ) -> dict[str, ItemChange]:
        """Return the difference of each score from the raw embeddings, with the contributions of the items to it."""
        declared = [item for task in self.tasks for item in task.scores.items()]
        neighbours = {name for name, score in declared if score.counts_neighbours}
        units = self.group, self.random_group
        return item_changes(scores, raw, *units, of_neighbours=neighbours, as_stored=as_stored)


def rows_after(aligner: Aligner, x: Any, y: Any) -> tuple[Any, Any]:
    """Return rows of x and y after the map. A score correction leaves them as they are."""
    if aligner.corrects_scores:
        _ = aligner.map_x_  # solved here, so that its warnings are notes of the trial
        return x, y
    return (None, aligner.transform_y(y)) if x is None else aligner.transform(x, y)
