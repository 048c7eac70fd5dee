"""`compare`: fit every aligner on some pairs, judge it on others."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align import (
    Aligner,
    Centering,
    HyperplaneRotation,
    Identity,
    MeanRotation,
    SharedSpaceProjection,
    get,
)
from isthmus.arrays import to_numpy
from isthmus.checks import InputError, IsthmusWarning
from isthmus.comparison.held_out import fingerprint, groups, halves, refuse_same
from isthmus.comparison.journal import Journal
from isthmus.comparison.sweep import swept
from isthmus.comparison.table import Cell, Comparison, own_options
from isthmus.metrics import View
from isthmus.metrics.centroid import gap_angle
from isthmus.moments import Moments
from isthmus.pairs import Pairs
from isthmus.result import NAN
from isthmus.tasks import Outcome, Rows, Task, chosen, mean_texts

#: More items than this are sampled: the tasks cost n^2 for every aligner and split.
SAMPLE = 10_000

Progress = Callable[[int, int, str], None]


def default_aligners() -> list[Aligner]:
    """Those of the report."""
    return [
        Centering(),
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
    sweep : option -> values; every aligner that has the option is tried with each, see `swept`
    fit_sizes : numbers of fitting items; every aligner is fitted on as many, drawn from the fitting half
    class_texts : label -> vector (d,) for zero-shot classification; default: the mean fitting text of each class
    journal : path of a JSON-lines file of finished cells; what it holds is not computed again
    progress : called as progress(done, total, name) after every cell

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
    todo = chosen(tasks)
    _check(pairs, fit, todo, splits, class_texts)
    made = [get(a)(normalize=normalize) if isinstance(a, str) else a for a in aligners or []]
    made = made if aligners is not None else default_aligners()
    made = [Identity(normalize=normalize)] + [a for a in swept(made, sweep or {}) if not isinstance(a, Identity)]
    pairs.moments(normalize=normalize)  # looks at every row, so that a bad one is named as it stands in its file
    where = (str(pairs.x.where), str(pairs.y.where))
    pairs = pairs.sample(SAMPLE, rng=rng)
    group = groups(pairs)
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
        "names": list(pairs.names), "paths": list(where), "items": pairs.items, "pairs": pairs.n, "dim": pairs.dim,
        "fingerprint": fingerprint(pairs),
    }  # fmt: skip
    log = None if journal is None else Journal(journal, {"fingerprint": data["fingerprint"], **settings})
    sizes: list[int | None] = [None] if fit_sizes is None else [int(size) for size in fit_sizes]
    cells: list[Cell] = []
    total = rounds * len(sizes) * len(made)
    for number in range(rounds):
        if fit is None:
            fit_items, test_items = halves(pairs, group, rng=rng + number)
        else:
            fit_items, test_items = np.arange(fit.items), np.arange(pairs.items)
        for size in sizes:
            if size is not None and not 4 <= size <= len(fit_items):
                raise InputError(f"fit_sizes: {size} items to fit on, expected 4 to the {len(fit_items):,} there are")
            wanted = [(type(a).__name__, own_options(a), a) for a in made]
            split = _Split(
                pairs,
                fit,
                fit_items[:size],
                test_items,
                group,
                todo,
                class_texts,
                normalize,
                rng + number,
                number,
                size,
            )
            for name, options, aligner in wanted:
                key = Cell(name, options, number, 0, 0, size).key
                cell = log.cells.get(key) if log is not None else None
                if cell is None:
                    cell = split.judge(name, options, aligner)
                    if log is not None:
                        log.add(cell)
                cells.append(cell)
                if progress is not None:
                    progress(len(cells), total, name)
    better = {name: score.better for t in todo for name, score in t.scores.items()}
    return Comparison.of_cells(
        cells, data=data, settings=settings, better={"gap_distance": "lower", "paired_cosine": "higher", **better}
    )


def _check(pairs: Pairs, fit: Pairs | None, todo: Sequence[Task], splits: int, class_texts: Any) -> None:
    if fit is not None:
        refuse_same(pairs, fit)
    if pairs.items < 8:
        raise InputError(
            f"{pairs.items} items are too few to fit on one half and judge on the other, expected 8 or more"
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
class _Split:
    """One fitting set and one test set, and what every aligner on them shares. Nothing is read before it is needed."""

    pairs: Pairs
    fit: Pairs | None
    fit_items: np.ndarray
    test_items: np.ndarray
    group: np.ndarray
    todo: Sequence[Task]
    class_texts: Mapping[Any, Any] | None
    normalize: bool
    seed: int
    number: int
    size: int | None
    raw: dict[str, Outcome] | None = None
    fitting: Pairs | None = None
    testing: Pairs | None = None
    sides: tuple[Any, Any] | None = None

    def judge(self, name: str, options: dict[str, Any], aligner: Aligner) -> Cell:
        """The cell of this aligner."""
        if self.testing is None:
            source = self.pairs if self.fit is None else self.fit
            whole = self.fit is not None and self.size is None
            self.fitting = source if whole else source.take(self.fit_items)
            self.testing = self.pairs.take(self.test_items)
            self.sides = self.testing.unit(normalize=self.normalize)
        assert self.fitting is not None
        facts: dict[str, Any] = {
            "aligner": name, "options": options, "split": self.number, "fit_size": self.size,
            "fit_pairs": self.fitting.n, "test_pairs": self.testing.n,
        }  # fmt: skip
        if self.raw is None:
            identity = Identity(normalize=self.normalize).fit_moments(self.fitting.moments(normalize=self.normalize))
            self.raw = self._outcomes(identity, *self._mapped(identity))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fitted = self._fit(aligner)
                x, y = self._mapped(fitted)
                found = self.raw if isinstance(aligner, Identity) else self._outcomes(fitted, x, y)
            except InputError as error:
                return Cell(**facts, refused=str(error))
        after = Moments.of(*map(_wide, (x, y)), index=self.testing.index, normalize=False, products="float64")
        inflation = 1 + self.testing.items / self.fitting.items if aligner.centres else 1.0
        gap = gap_angle(View(after), inflation=inflation)
        scores = {
            "gap_distance": float(np.linalg.norm(after.mean_x - after.mean_y)),
            "paired_cosine": after.mean_paired,
        }
        changes: dict[str, tuple[float, float]] = {}
        for task_name, outcome in found.items():
            scores |= outcome.scores()
            changes |= self._changes(outcome, self.raw[task_name])
        notes = [str(w.message) for w in caught if issubclass(w.category, IsthmusWarning)]
        gap_value = NAN if gap.undefined else gap.value
        return Cell(**facts, scores=scores, changes=changes, gap=gap_value, gap_undefined=gap.undefined, notes=notes)

    def _fit(self, aligner: Aligner) -> Aligner:
        assert self.fitting is not None
        if type(aligner).fit is Aligner.fit:
            return aligner.fit_moments(self.fitting.moments(normalize=aligner.normalize))
        # An aligner that is not a function of moments says so by its own fit.
        seeded = {"rng": self.seed} if "rng" in inspect.signature(aligner.fit).parameters else {}
        rows = self.fitting.unit(normalize=self.normalize)
        return aligner.fit(*rows, index=self.fitting.index, **seeded)

    def _mapped(self, aligner: Aligner) -> tuple[np.ndarray, np.ndarray]:
        assert self.sides is not None
        x, y = (to_numpy(side) for side in aligner.transform(*self.sides))
        return x, y

    def _outcomes(self, aligner: Aligner, x: np.ndarray, y: np.ndarray) -> dict[str, Outcome]:
        assert self.testing is not None
        assert self.sides is not None
        names, texts = self._classes(aligner)
        raw = [to_numpy(side) for side in self.sides]
        owner = np.arange(len(y)) if self.testing.index is None else self.testing.index
        rows = Rows(x, y, owner, self.testing.labels, raw[0], raw[1], names, texts, self.seed)
        return {t.name: t.run(rows) for t in self.todo}

    def _classes(self, aligner: Aligner) -> tuple[Any, Any]:
        """Names of the classes and the vectors that stand for them, after the map."""
        if not any(t.name == "zero_shot" for t in self.todo):
            return None, None
        if self.class_texts is not None:
            names = np.asarray(list(self.class_texts))
            given = np.stack([np.asarray(to_numpy(v), dtype=np.float64) for v in self.class_texts.values()])
            return names, to_numpy(aligner.transform_y(given))
        assert self.fitting is not None
        if self.fitting.labels is None:
            return None, None
        owner = np.arange(self.fitting.n) if self.fitting.index is None else self.fitting.index
        texts = to_numpy(aligner.transform_y(self.fitting.unit(normalize=self.normalize)[1]))
        return mean_texts(texts, owner, self.fitting.labels)

    def _changes(self, outcome: Outcome, raw: Outcome) -> dict[str, tuple[float, float]]:
        """Mean difference to the raw embeddings and its variance; items of one group move together."""
        group = np.unique(self.group[self.test_items], return_inverse=True)[1]
        count = int(group.max()) + 1
        found = {}
        for name, values in outcome.items.items():
            differences = values - raw.items[name]
            mean = float(differences.mean())
            totals = np.bincount(group, weights=differences - mean, minlength=count)
            variance = float(totals @ totals) / len(differences) ** 2 * count / max(count - 1, 1)
            found[name] = (mean, variance)
        return found | {name: (value - raw.values[name], NAN) for name, value in outcome.values.items()}


def _wide(rows: np.ndarray) -> np.ndarray:
    """Rows of width 2 at least: moments want two columns, a map may leave one."""
    return rows if rows.shape[1] > 1 else np.pad(rows, ((0, 0), (0, 1)))


def _called(paths: tuple[str, str], names: tuple[str, str]) -> str:
    """A short name for the data: the modalities, and the folder that their files lie in."""
    folders = dict.fromkeys(Path(path).parent.name for path in paths if path not in names)
    return " / ".join(names) + (f" in {', '.join(folders)}" if any(folders) else "")
