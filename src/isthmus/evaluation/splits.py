"""The work of a comparison: fit each aligner on one half of the items and evaluate it on the other half."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from isthmus.align import Aligner, Identity, RecallWarning, ScoreCorrection, SelfJudging
from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import current, n_threads
from isthmus.compute.threads import map_ahead
from isthmus.data.numbering import renumber
from isthmus.data.pairs import Pairs
from isthmus.evaluation.fit_effects import FitEffect, fit_effects
from isthmus.evaluation.fit_observers import observe_fit
from isthmus.evaluation.fit_warnings import collected_warnings, is_own
from isthmus.evaluation.held_out import group_split
from isthmus.evaluation.held_out_half import ClassTexts, TestHalf, rows_after
from isthmus.evaluation.item_changes import ItemChange, stored_changes
from isthmus.evaluation.split_variance import random_groups
from isthmus.evaluation.stored_effects import StoredEffect, stored_effects
from isthmus.evaluation.summary import changed_options
from isthmus.evaluation.trial import Trial, summary_key
from isthmus.statistics.data_warnings import without_data_warnings
from isthmus.statistics.moments import moments_of
from isthmus.statistics.result import NAN
from isthmus.tasks import Task, TaskScores, mean_texts
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import counted

#: Fewer fitting items than this define no map.
MIN_FIT_ITEMS = 4

#: Tasks that catch no warnings, so that they may run while another thread collects those of a fit.
CONCURRENT_TASKS = frozenset({"retrieval", "mixed_search", "two_sided_search", "within_modality_search", "zero_shot"})

#: Aligners that may wait beside one for each thread, while one thread searches the raw embeddings of a split.
MORE_AHEAD = 4

#: A function that returns a finished trial, and what an observer of its fit is told: number of the split, test items,
#: their pairs and fitted aligner. It needs the scores of the raw embeddings.
Judged = Callable[[], tuple[Trial, tuple[int, np.ndarray, Pairs, Aligner] | None]]


@dataclass(frozen=True)
class Design:
    """The parts that all splits of one comparison share.

    Attributes
    ----------
    pairs : the pairs to split, or to test on if `fit` is given
    fit : the fitting pairs, or None
    group : (n_items,), the group of each item, which stays in one half
    tasks : the tasks to evaluate
    blocks : (number of fitting items or None for all, aligners)
    class_texts : label -> vector, or None for the mean fitting text of each class
    normalize : whether rows are divided by their norm
    rng : seed
    """

    pairs: Pairs
    fit: Pairs | None
    group: np.ndarray
    tasks: Sequence[Task]
    blocks: Sequence[tuple[int | None, Sequence[Aligner]]]
    class_texts: Mapping[Any, Any] | None
    normalize: bool
    rng: int

    @property
    def rows(self) -> list[tuple[str, str, int | None]]:
        """Return the keys of the rows of the table, one for each trial of a split."""
        return [
            summary_key(type(aligner).__name__, changed_options(aligner), size)
            for size, aligners in self.blocks
            for aligner in aligners
        ]

    @cached_property
    def class_vectors(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the classes and the vectors that were given for them, or None."""
        if self.class_texts is None:
            return None
        vectors = np.stack([np.asarray(to_numpy(vector), dtype=np.float64) for vector in self.class_texts.values()])
        return np.asarray(list(self.class_texts)), vectors

    def run(self, n_splits: int, finished: Mapping[Any, Trial]) -> Iterator[Trial]:
        """Yield the trials of all splits, those of the first split first.

        If a cluster is in use and its workers can open the pairs, each split is one task of the cluster.
        """
        cluster = current().cluster
        if cluster is None or self.fit is not None or self.pairs.open_spec is None:
            yield from self._run_all(range(n_splits), finished)
            return
        without_pairs = replace(self, pairs=None)  # type: ignore[arg-type]  # each worker opens them
        job = (self.pairs.open_spec, self.pairs.labels, without_pairs, dict(finished))
        for trials in cluster.map(_run_split_on_worker, range(n_splits), "splits", job=job):
            yield from trials

    def run_split(self, number: int, finished: Mapping[Any, Trial]) -> Iterator[Trial]:
        """Yield the trials of one split. Finished ones are not computed again."""
        return self._run_all([number], finished)

    def _run_all(self, numbers: Iterable[int], finished: Mapping[Any, Trial]) -> Iterator[Trial]:
        """Yield the trials of some splits. Aligners are fitted and judged in several threads.

        The raw embeddings are judged first. The changes from them are computed here, so that no thread waits for them.
        """
        jobs = (job for number in numbers for job in self._jobs(number, finished))
        threads = n_threads() if CONCURRENT_TASKS.issuperset(task.name for task in self.tasks) else 1
        for finish in map_ahead(lambda job: job(), jobs, threads, ahead=threads + MORE_AHEAD):
            trial, observed = finish()
            if observed is not None:
                observe_fit(*observed)
            yield trial

    def _test_half(self, items: np.ndarray, seed: int) -> TestHalf:
        options: dict[str, Any] = {"normalize": self.normalize, "seed": seed, "group_seed": self.rng}
        return TestHalf(self.pairs, items, self.group, self.tasks, **options)

    def _jobs(self, number: int, finished: Mapping[Any, Trial]) -> Iterator[Callable[[], Judged]]:
        """Yield functions that judge the aligners of one split. Finished trials are not computed again.

        Corrections of raw rows come last. They are fitted before the raw rows are searched, and share their products.
        """
        if self.fit is None:
            fit_items, test_items = group_split(self.pairs, self.group, rng=self.rng + number)
        else:
            fit_items, test_items = np.arange(self.fit.n_items), np.arange(self.pairs.n_items)
        test = self._test_half(test_items, self.rng + number)
        unit = renumber((self.pairs if self.fit is None else self.fit).sampling_units[fit_items])
        n_units = int(unit.max()) + 1
        for size, aligners in self.blocks:
            if size is not None and not MIN_FIT_ITEMS <= size <= n_units:
                available = f"expected {MIN_FIT_ITEMS} to the {n_units:,} that are available"
                raise InputError(f"fit_sizes: {counted(size, 'item')} to fit on, {available}")
            split = Split(self, test, fit_items if size is None else fit_items[unit < size], number, size)
            unfinished = []
            for aligner in aligners:
                key = (*summary_key(type(aligner).__name__, changed_options(aligner), size), number)
                if key in finished:
                    yield Prepared(finished[key]).judged
                else:
                    unfinished.append(aligner)
            if not unfinished:
                continue
            split.read()
            corrections = [a for a in unfinished if isinstance(a, ScoreCorrection) and a.row_map is None and is_own(a)]
            if test.identity is None:
                test.identity, test.first, test.corrections = split.identity, split, corrections
            correction_ids = {id(aligner) for aligner in corrections}
            for aligner in sorted(unfinished, key=lambda aligner: id(aligner) in correction_ids):
                # Warnings of other packages belong to the process, so that only this thread may fit and collect them.
                yield partial(split.judged, aligner) if is_own(aligner) else split.prepare(aligner).judged


def _run_split_on_worker(number: int, job: tuple[Any, Any, Design, Mapping[Any, Trial]]) -> list[Trial]:
    """Open the pairs on a worker and run one split."""
    open_spec, labels, design, finished = job
    pairs = open_spec.open()
    pairs.labels = labels
    return list(replace(design, pairs=pairs).run_split(number, finished))


@dataclass
class Split:
    """One fitting set for the test half of a split."""

    design: Design
    test: TestHalf
    fit_items: np.ndarray
    number: int
    fit_size: int | None

    @cached_property
    def fit_pairs(self) -> Pairs:
        """Return the fitting pairs."""
        fit = self.design.fit
        if fit is not None and len(self.fit_items) == fit.n_items:
            return fit
        return (self.design.pairs if fit is None else fit).take(self.fit_items)

    def read(self) -> None:
        """Read and sum the rows, before several threads use them."""
        _ = self.test.rows
        moments_of(self.fit_pairs, normalize=self.design.normalize)

    def judged(self, aligner: Aligner) -> Judged:
        """Fit an aligner and judge it."""
        if any(aligner is correction for correction in self.test.corrections):
            self._raw_scores()
            return self.test.prepared.pop(id(aligner)).judged()
        return self.prepare(aligner).judged()

    def prepare(self, aligner: Aligner) -> Prepared:
        """Fit a copy of an aligner, and map the rows of the test half."""
        n_fit, n_test = self.fit_pairs.n_pairs, self.test.pairs.n_pairs
        trial = Trial(
            *(type(aligner).__name__, changed_options(aligner), self.number, n_fit, n_test, self.fit_size),
            selects_from_few_items=aligner.selects_directions and self.fit_pairs.n_components < self.fit_pairs.dim,
        )
        with collected_warnings(aligner) as collected:
            try:
                fitted = self._fit(type(aligner)(**aligner.get_params()))
                x, y = self.test.transform(fitted)
                classes = self._classes(fitted)
            except InputError as error:
                return Prepared(replace(trial, error=str(error)))
            except np.linalg.LinAlgError:
                return Prepared(replace(trial, error="its computation does not converge on these data"))
        if x.shape[1] < 2:
            return Prepared(replace(trial, error="it keeps a single dimension, in which every cosine is 1 or -1"))
        # Recall is judged here.
        judged_warnings = [(text, kind) for text, kind in collected if not issubclass(kind, RecallWarning)]
        notes = [text for text, kind in judged_warnings if issubclass(kind, IsthmusWarning)]
        notes += getattr(fitted, "reasons_", [])[:1]  # the choice of Auto
        return Prepared(replace(trial, notes=notes), self, fitted, (x, y), classes)

    def judge(self, fitted: Aligner, x: np.ndarray, y: np.ndarray, classes: ClassTexts) -> Callable[[], dict[str, Any]]:
        """Judge mapped rows of the test half. Return a function of their scores, changes and gap, fields of a trial."""
        correction = fitted if fitted.corrects_scores else None
        is_raw = type(fitted) is Identity
        # Scores of one direction that move and scale together keep their order. Only rounding changes a rank.
        keeps_order = (
            isinstance(fitted, ScoreCorrection) and fitted.row_map is None and not fitted.score_model.weighs_hubness
        )
        task_scores = self._raw_scores() if is_raw else self.test.run_tasks(x, y, classes, correction)
        clouds = self.test.clouds(x, y)
        inflation = 1 + self.test.pairs.n_components / self.fit_pairs.n_components if fitted.uses_means else 1.0
        gap, scores = clouds.gap(inflation=inflation), clouds.scores()
        for result in task_scores.values():
            scores |= result.scores()
        as_stored: dict[str, StoredEffect] = {}
        of_fit: dict[str, FitEffect] = {}
        if not is_raw:
            task_data = self.test.task_data(x, y, (None, None), correction)
            task_data.shared["terms"] = self.test.terms.pop(id(correction), None)
            as_stored = stored_effects(task_data, pairs=self.test.pairs, pair_groups=self.test.pair_groups)
            if self.design.fit is None:
                groups = random_groups(int(self.design.group.max()) + 1, self.design.rng)[self.design.group]
                of_fit = fit_effects(task_data, fitted, self.test.rows, self.fit_pairs, groups[self.fit_items])

        def fields() -> dict[str, Any]:
            raw_scores = self._raw_scores()
            changes: dict[str, ItemChange] = {}
            same_order = {"retrieval": raw_scores["retrieval"]} if keeps_order and "retrieval" in raw_scores else {}
            for name, result in (task_scores | same_order).items():
                is_same = name in same_order
                changes |= self.test.changes(result, raw_scores[name], {} if is_same else as_stored)
                scores.update(result.scores() if is_same else {})
            return {
                "scores": scores,
                **stored_changes(changes, of_fit),
                "gap": NAN if gap.undefined else gap.value,
                "gap_undefined": gap.undefined,
            }

        return fields

    def _raw_scores(self) -> dict[str, TaskScores]:
        """Return the scores of the raw embeddings, computed once for each split."""
        with self.test.lock:
            if self.test.raw_scores is None:
                first = self.test.first or self
                self.test.prepared = {id(aligner): first.prepare(aligner) for aligner in self.test.corrections}
                x, y = self.test.identity_rows
                data = self.test.task_data(x, y, first.identity_classes)
                data.shared |= self.test.search_raw(x, y)
                self.test.raw_scores = {task.name: task.run(data) for task in self.design.tasks}
                self.test.first = None  # a cycle would keep the rows until garbage is collected
            return self.test.raw_scores

    def _fit(self, aligner: Aligner) -> Aligner:
        if type(aligner).fit is Aligner.fit or isinstance(aligner, SelfJudging):
            return aligner.fit_moments(moments_of(self.fit_pairs, normalize=aligner.normalize))
        # An aligner that is not a function of moments overrides `fit`.
        options: dict[str, Any] = {}
        if self.design.class_texts is not None and "class_texts" in inspect.signature(aligner.fit).parameters:
            options["class_texts"] = self.design.class_texts
        with without_data_warnings():
            return aligner.fit(self.fit_pairs, **options)

    @cached_property
    def identity(self) -> Aligner:
        """Return Identity, fitted."""
        moments = moments_of(self.fit_pairs, normalize=self.design.normalize)
        return Identity(normalize=self.design.normalize).fit_moments(moments)

    @cached_property
    def identity_classes(self) -> ClassTexts:
        """Return the classes and their vectors after Identity."""
        return self._mapped_classes(self.identity)

    @cached_property
    def _fit_texts(self) -> np.ndarray:
        """Return the fitting rows of y, whose means represent the classes. They are read once for all aligners."""
        return to_numpy(self.fit_pairs.unit(normalize=self.design.normalize)[1])

    def _classes(self, aligner: Aligner) -> ClassTexts:
        """Return the classes and the vectors that represent them, after the map."""
        if type(aligner) is Identity and aligner.normalize == self.design.normalize:
            return self.identity_classes
        return self._mapped_classes(aligner)

    def _mapped_classes(self, aligner: Aligner) -> ClassTexts:
        if not any(task.name == "zero_shot" for task in self.design.tasks):
            return None, None
        if self.design.class_vectors is not None:
            names, vectors = self.design.class_vectors
            return names, to_numpy(rows_after(aligner, None, vectors)[1])
        fit = self.fit_pairs
        if fit.labels is None:
            return None, None
        texts = to_numpy(rows_after(aligner, None, self._fit_texts)[1])
        return mean_texts(texts, fit.owner, fit.labels)


@dataclass(frozen=True)
class Prepared:
    """A trial whose aligner is fitted: its mapped rows wait to be judged, or it is finished."""

    trial: Trial  # as far as it is known
    split: Split | None = None  # None for a finished trial
    fitted: Any = None
    rows: tuple[Any, Any] = (None, None)  # mapped rows x and y
    classes: ClassTexts = (None, None)

    def judged(self) -> Judged:
        """Judge the mapped rows. Return a function of the finished trial and of what an observer is told."""
        split, trial, fitted = self.split, self.trial, self.fitted
        if split is None:
            return lambda: (trial, None)
        fields = split.judge(fitted, *self.rows, self.classes)
        observed = (split.number, split.test.items, split.test.pairs, fitted) if split.fit_size is None else None
        return lambda: (replace(trial, **fields()), observed)
