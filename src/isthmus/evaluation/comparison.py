"""`compare`: fit every aligner on some pairs, judge it on others."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align import (
    Aligner,
    Centering,
    HyperplaneRotation,
    Identity,
    KernelBlend,
    MeanRotation,
    PartialWhitening,
    ScoreStandardization,
    SharedSpaceProjection,
    get,
)
from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import current
from isthmus.data.grouping import item_groups
from isthmus.data.pairs import Pairs
from isthmus.evaluation.grid import expand_grid
from isthmus.evaluation.held_out import check_disjoint, fingerprint, group_split
from isthmus.evaluation.table import Comparison, Trial, own_options
from isthmus.evaluation.trial_log import TrialLog
from isthmus.linalg.psd import fidelity
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN
from isthmus.tasks import Task, TaskData, TaskScores, mean_texts, select_tasks
from isthmus.utils.errors import InputError, IsthmusWarning

#: More items than this are sampled: the tasks cost n^2 for every aligner and split.
SAMPLE = 10_000

#: Scores that every map gets beside those of the tasks, and which way is better.
GEOMETRY = {"gap_distance": "lower", "paired_cosine": "higher", "ceiling": "higher", "ceiling_reached": "higher"}

Progress = Callable[[int, int, str], None]


def default_aligners() -> list[Aligner]:
    """Those of the report."""
    return [
        Centering(),
        PartialWhitening(),
        KernelBlend(),
        MeanRotation(),
        HyperplaneRotation(),
        SharedSpaceProjection(),
        SharedSpaceProjection(estimator="published"),
    ]


def compare(
    pairs: Pairs,
    /,
    *,
    aligners: Sequence[Aligner | str] | None = None,
    tasks: Sequence[str] = ("retrieval", "mixed_search"),
    fit: Pairs | None = None,
    splits: int = 5,
    rng: int = 0,
    normalize: bool = True,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    fit_sizes: Sequence[int] | None = None,
    class_texts: Mapping[Any, Any] | None = None,
    journal: Any = None,
    progress: Progress | None = None,
) -> Comparison:
    """Fit each aligner on one half of the pairs and judge it on the other, over `splits` random halves.

    With `fit` the aligners are fitted on those pairs and judged on all of `pairs`, once. Identity is always included.
    An aligner that refuses the data stays in the table with its reason. More than 10,000 items are sampled.

    Parameters
    ----------
    aligners : aligners or their names; default: those of the report
    tasks : names from `isthmus.tasks.registry()`, or ['all']
    sweep : option -> values; every aligner that has the option is tried with each, see `expand_grid`
    fit_sizes : numbers of fitting items; every aligner is fitted on as many, drawn from the fitting half
    class_texts : label -> vector (d,) for zero-shot classification; default: the mean fitting text of each class
    journal : path of a JSON-lines file of finished trials; what it holds is not computed again
    progress : called as progress(done, total, name) after every trial

    Intervals of changes: for scores that are means over items the per-item differences to Identity, items with the same
    row of x as one, with the variance of a single split (splits share items, so their mean is at least as sure); for
    the other scores (ARI, Gini ...) the spread over three or more splits by Nadeau and Bengio's correction (2003).
    Errors: `InputError` when there are fewer than 8 items, a task lacks labels, a name is unknown, or `fit` holds the
    test pairs (same object, same files, same rows).

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + [[[1.0]], [[2.0]]]
    >>> table = isthmus.compare(isthmus.Pairs(image=X, text=Y), splits=1)
    >>> table.rows[0].name, table.n_fit, table.n_test
    ('Identity', 50, 50)
    """
    todo = select_tasks(tasks)
    _check(pairs, fit, todo, splits, class_texts)
    made = [get(a)(normalize=normalize) if isinstance(a, str) else a for a in aligners or []]
    made = made if aligners is not None else default_aligners()
    made = [Identity(normalize=normalize)] + [a for a in expand_grid(made, sweep or {}) if type(a) is not Identity]
    moments_of(pairs, normalize=normalize)  # looks at every row, so that a bad one is named as it stands in its file
    where = (str(pairs.x.where), str(pairs.y.where))
    pairs = pairs.sample(SAMPLE, rng=rng)
    group = item_groups(pairs)
    if fit is None and int(group.max()) + 1 < 8:
        raise InputError(f"{int(group.max()) + 1} different rows of {pairs.names[0]} are too few, expected 8 or more")
    rounds = splits if fit is None else 1
    settings: dict[str, Any] = {
        "rng": rng,
        "normalize": normalize,
        "tasks": [t.name for t in todo],
        "fit": None if fit is None else fingerprint(fit),
        "class_texts": None if class_texts is None else sorted(map(str, class_texts)),
    }
    data = {
        "name": _called(where, pairs.names),
        "names": list(pairs.names), "paths": list(where),
        "items": pairs.n_items, "pairs": pairs.n_pairs, "dim": pairs.dim,
        "pairing": pairs.pairing,
        "fingerprint": fingerprint(pairs),
    }  # fmt: skip
    log = None if journal is None else TrialLog(journal, {"fingerprint": data["fingerprint"], **settings})
    # The raw embeddings are not fitted: they appear once, whatever the sizes.
    blocks: list[tuple[int | None, list[Aligner]]] = [(None, made)]
    if fit_sizes is not None:
        blocks = [(None, made[:1]), *((int(size), made[1:]) for size in fit_sizes)]
    work = _Rounds(pairs, fit, group, todo, blocks, class_texts, normalize, rng)
    known = {} if log is None else log.trials
    total = rounds * sum(len(some) for _, some in blocks)
    trials: list[Trial] = []
    for trial in _trials(work, rounds, known):
        if log is not None and trial.key not in known:
            log.append(trial)
        trials.append(trial)
        if progress is not None:
            progress(len(trials), total, trial.aligner)
    better = {name: score.better for t in todo for name, score in t.scores.items()}
    return Comparison.from_trials(trials, data=data, settings=settings, better=GEOMETRY | better)


def _check(pairs: Pairs, fit: Pairs | None, todo: Sequence[Task], splits: int, class_texts: Any) -> None:
    if fit is not None:
        check_disjoint(pairs, fit)
    if pairs.n_items < 8:
        raise InputError(
            f"{pairs.n_items} items are too few to fit on one half and judge on the other, expected 8 or more"
        )
    if splits < 1:
        raise InputError(f"splits={splits}, expected 1 or more")
    for t in todo:
        if t.needs == "labels" and pairs.labels is None:
            raise InputError(
                f"the task {t.name} needs labels: give Pairs(..., labels=), in the shell --labels FILE.npy"
            )
        if t.name == "zero_shot" and class_texts is None and fit is not None and fit.labels is None:
            raise InputError("zero_shot needs class_texts=, or labels on the fitting pairs to take mean texts from")


@dataclass
class _Rounds:
    """What all splits of one comparison share."""

    pairs: Pairs
    fit: Pairs | None
    group: np.ndarray
    todo: Sequence[Task]
    blocks: Sequence[tuple[int | None, Sequence[Aligner]]]
    class_texts: Mapping[Any, Any] | None
    normalize: bool
    rng: int

    def trials(self, number: int, known: Mapping[Any, Trial]) -> Iterator[Trial]:
        """The trials of one split; those that are `known` are not computed again."""
        if self.fit is None:
            fit_items, test_items = group_split(self.pairs, self.group, rng=self.rng + number)
        else:
            fit_items, test_items = np.arange(self.fit.n_items), np.arange(self.pairs.n_items)
        shared = _Test(self.pairs, test_items, self.group, self.todo, self.normalize, self.rng + number)
        for size, some in self.blocks:
            if size is not None and not 4 <= size <= len(fit_items):
                raise InputError(f"fit_sizes: {size} items to fit on, expected 4 to the {len(fit_items):,} there are")
            split = _Split(shared, self.fit, fit_items[:size], self.class_texts, number, size)
            for aligner in some:
                name, options = type(aligner).__name__, own_options(aligner)
                trial = known.get(Trial(name, options, number, 0, 0, size).key)
                yield trial if trial is not None else split.judge(name, options, aligner)


def _trials(work: _Rounds, rounds: int, known: Mapping[Any, Trial]) -> Iterator[Trial]:
    """The trials of all splits in order, a split for each worker of the cluster in use when it can open the pairs."""
    cluster = current().cluster
    if cluster is None or work.fit is not None or work.pairs.open_spec is None:
        for number in range(rounds):
            yield from work.trials(number, known)
        return
    open_spec, labels = work.pairs.open_spec, work.pairs.labels
    sent = replace(work, pairs=None)  # type: ignore[arg-type]  # each worker opens them
    for some in cluster.map(_split_elsewhere, range(rounds), "splits", sent=(open_spec, labels, sent, dict(known))):
        yield from some


def _split_elsewhere(number: int, sent: tuple[Any, Any, _Rounds, Mapping[Any, Trial]]) -> list[Trial]:
    open_spec, labels, work, known = sent
    pairs = open_spec.open()
    pairs.labels = labels
    return list(replace(work, pairs=pairs).trials(number, known))


class _Test:
    """The test pairs of one split and how the raw embeddings do on them; nothing is read before it is needed."""

    def __init__(
        self, pairs: Pairs, items: np.ndarray, group: np.ndarray, todo: Sequence[Task], normalize: bool, seed: int
    ):
        self.pairs, self.items, self.todo, self.normalize, self.seed = pairs, items, todo, normalize, seed
        self.group = np.unique(group[items], return_inverse=True)[1]
        self.raw: dict[str, TaskScores] | None = None

    @cached_property
    def testing(self) -> Pairs:
        return self.pairs.take(self.items)

    @cached_property
    def sides(self) -> tuple[Any, Any]:
        return self.testing.unit(normalize=self.normalize)

    def mapped(self, aligner: Aligner) -> tuple[np.ndarray, np.ndarray]:
        """Both sides after the map."""
        x, y = (to_numpy(side) for side in aligner.transform(*self.sides))
        return x, y

    def outcomes(
        self, x: np.ndarray, y: np.ndarray, classes: tuple[Any, Any], scores: Any = None
    ) -> dict[str, TaskScores]:
        """Every task on the mapped rows."""
        raw = [to_numpy(side) for side in self.sides]
        owner = np.arange(len(y)) if self.testing.index is None else self.testing.index
        data = TaskData(
            x,
            y,
            owner=owner,
            labels=self.testing.labels,
            raw_x=raw[0],
            raw_y=raw[1],
            class_names=classes[0],
            class_texts=classes[1],
            seed=self.seed,
            correction=scores,
        )
        return {t.name: t.run(data) for t in self.todo}

    def changes(self, found: TaskScores, raw: TaskScores) -> dict[str, tuple[float, float]]:
        """Mean difference to the raw embeddings and its variance; items of one group move together."""
        count = int(self.group.max()) + 1
        made = {}
        for name, values in found.per_item.items():
            differences = values - raw.per_item[name]
            mean = float(differences.mean())
            totals = np.bincount(self.group, weights=differences - mean, minlength=count)
            variance = float(totals @ totals) / len(differences) ** 2 * count / max(count - 1, 1)
            made[name] = (mean, variance)
        return made | {name: (value - raw.overall[name], NAN) for name, value in found.overall.items()}


@dataclass
class _Split:
    """One fitting set for one test set."""

    test: _Test
    fit: Pairs | None
    fit_items: np.ndarray
    class_texts: Mapping[Any, Any] | None
    number: int
    size: int | None

    @cached_property
    def fitting(self) -> Pairs:
        if self.fit is not None and len(self.fit_items) == self.fit.n_items:
            return self.fit
        return (self.test.pairs if self.fit is None else self.fit).take(self.fit_items)

    def judge(self, name: str, options: dict[str, Any], aligner: Aligner) -> Trial:
        """The trial of this aligner."""
        test, normalize = self.test, self.test.normalize
        facts: dict[str, Any] = {
            "aligner": name, "options": options, "split": self.number, "fit_size": self.size,
            "fit_pairs": self.fitting.n_pairs, "test_pairs": test.testing.n_pairs,
        }  # fmt: skip
        if test.raw is None:
            identity = Identity(normalize=normalize).fit_moments(moments_of(self.fitting, normalize=normalize))
            test.raw = test.outcomes(*test.mapped(identity), self._classes(identity))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fitted = self._fit(aligner)
                x, y = test.mapped(fitted)
                classes = self._classes(fitted)
            except InputError as error:
                return Trial(**facts, error=str(error))
        if x.shape[1] < 2:
            return Trial(**facts, error="it keeps a single dimension, in which every cosine is 1 or -1")
        corrected = fitted if isinstance(fitted, ScoreStandardization) else None
        found = test.raw if type(aligner) is Identity else test.outcomes(x, y, classes, corrected)
        after = Moments.of(*map(_wide, (x, y)), index=test.testing.index, normalize=False, matmul_dtype="float64")
        inflation = 1 + test.testing.n_items / self.fitting.n_items if aligner.uses_means else 1.0
        gap = gap_angle(MetricContext(after, names=test.testing.names), inflation=inflation)
        top = float(after.mean_x @ after.mean_y) + fidelity(after.cov_x, after.cov_y)  # no pairing has more
        scores = {
            "gap_distance": float(np.linalg.norm(after.mean_x - after.mean_y)),
            "paired_cosine": after.mean_paired,
            "ceiling": top,
            "ceiling_reached": after.mean_paired / top if top > 0 else NAN,
        }
        changes: dict[str, tuple[float, float]] = {}
        for task_name, outcome in found.items():
            scores |= outcome.scores()
            changes |= test.changes(outcome, test.raw[task_name])
        notes = [str(w.message) for w in caught if issubclass(w.category, IsthmusWarning)]
        notes += getattr(fitted, "reasons_", [])[:1]  # what Auto chose
        gap_value = NAN if gap.undefined else gap.value
        return Trial(**facts, scores=scores, changes=changes, gap=gap_value, gap_undefined=gap.undefined, notes=notes)

    def _fit(self, aligner: Aligner) -> Aligner:
        if type(aligner).fit is Aligner.fit:
            return aligner.fit_moments(moments_of(self.fitting, normalize=aligner.normalize))
        # An aligner that is not a function of moments has its own fit.
        known = inspect.signature(aligner.fit).parameters
        texts: dict[str, Any] = (
            {"class_texts": self.class_texts} if self.class_texts is not None and "class_texts" in known else {}
        )
        return aligner.fit(self.fitting, **texts)

    def _classes(self, aligner: Aligner) -> tuple[Any, Any]:
        """Names of the classes and the vectors that stand for them, after the map."""
        if not any(t.name == "zero_shot" for t in self.test.todo):
            return None, None
        if self.class_texts is not None:
            names = np.asarray(list(self.class_texts))
            given = np.stack([np.asarray(to_numpy(v), dtype=np.float64) for v in self.class_texts.values()])
            return names, to_numpy(aligner.transform_y(given))
        if self.fitting.labels is None:
            return None, None
        owner = np.arange(self.fitting.n_pairs) if self.fitting.index is None else self.fitting.index
        texts = to_numpy(aligner.transform_y(self.fitting.unit(normalize=self.test.normalize)[1]))
        return mean_texts(texts, owner, self.fitting.labels)


def _wide(rows: np.ndarray) -> np.ndarray:
    """Rows of width 2 at least: moments want two columns, a map may leave one."""
    return rows if rows.shape[1] > 1 else np.pad(rows, ((0, 0), (0, 1)))


def _called(paths: tuple[str, str], names: tuple[str, str]) -> str:
    """A short name for the data: the modalities, and the folder that their files lie in."""
    folders = dict.fromkeys(Path(path).parent.name for path in paths if path not in names)
    return " / ".join(names) + (f" in {', '.join(folders)}" if any(folders) else "")
