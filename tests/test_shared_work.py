"""Work that the steps of a verb share is computed once: samples, unit rows, moments, decompositions and searches."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.align import _score_model
from isthmus.compute import score_matrix, score_sweep
from isthmus.compute.arrays import RowNormalizer, to_numpy
from isthmus.data import shared_rows
from isthmus.data.pairs import Pairs
from isthmus.linalg import remembered
from isthmus.metrics import _score_sweep
from isthmus.statistics.moments import Moments
from isthmus.tasks import _joint_search

ITEMS, DIMS, SAMPLED = 130, 8, 60


def content(value: Any) -> Any:
    """Return a key of the content of an argument."""
    if isinstance(value, Pairs):
        rows = (to_numpy(source.read(0, source.shape[0])) for source in (value.x, value.y))
        return tuple(map(content, (*rows, value.index, value.y_groups)))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hashlib.blake2b(np.ascontiguousarray(value).tobytes()).hexdigest()
    return repr(value)


class Work:
    """Counts how often each piece of work is computed, by its kind and the content of its input."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.counts: Counter[Any] = Counter()
        self.monkeypatch = monkeypatch
        for name in ("eigh", "eigvalsh"):
            self.count(np.linalg, name, "decomposition")
        # Singular values and vectors of one matrix are one decomposition.
        self.count(np.linalg, "svd", "decomposition", key=lambda matrix: content(np.asarray(matrix)))
        self.count(Pairs, "take", "rows")
        self.count(score_matrix.ScoreMatrix, "__init__", "scores", skip=1)
        self.count(Moments, "_of_blocks", "moments", skip=1)
        self.count(_score_model, "mean_of_largest", "levels")
        self.corrections: list[Any] = []  # kept, so that no other one gets the id of one that was counted
        self.count(_joint_search, "_prepared", "search", key=self.searched)
        self.count(score_sweep, "sweep_scores", "sweep", key=lambda x, y, consumers: (content(x), content(y)))
        monkeypatch.setattr(_score_sweep, "sweep_scores", score_sweep.sweep_scores)
        work = self

        class CountedNormalizer(RowNormalizer):
            def __call__(self, rows: Any) -> Any:
                work.counts["unit rows", content(to_numpy(rows))] += 1
                return super().__call__(rows)

        monkeypatch.setattr(shared_rows, "RowNormalizer", CountedNormalizer)

    def count(self, owner: Any, name: str, kind: str, *, skip: int = 0, key: Callable[..., Any] | None = None) -> None:
        """Count the calls of a function by the content of its arguments, without the first `skip` ones."""
        function, is_class_method = getattr(owner, name), isinstance(vars(owner).get(name), classmethod)

        def counted(*arguments: Any, **options: Any) -> Any:
            values = [*arguments[skip:], *sorted(options), *(options[option] for option in sorted(options))]
            self.counts[kind, name, key(*arguments[skip:]) if key else tuple(map(content, values))] += 1
            return function(*(arguments[1:] if is_class_method else arguments), **options)

        self.monkeypatch.setattr(owner, name, classmethod(counted) if is_class_method else counted)

    def searched(self, data: Any, earlier: Any = ()) -> Any:
        """Return the key of a search, by its rows and its correction, whatever searches came before it."""
        self.corrections.append(data.correction)
        return content(np.asarray(data.x)), content(np.asarray(data.y)), id(data.correction)

    def kinds(self, least: int) -> dict[str, int]:
        """Return how many pieces of each kind were computed at least so many times."""
        return dict(Counter(piece[0] for piece, number in self.counts.items() if number >= least))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    for module in ("samples", "page_data", "held_out_clouds"):
        monkeypatch.setattr(f"isthmus.reporting.{module}.MAX_ITEMS", SAMPLED)
    monkeypatch.setattr("isthmus.statistics.influence.SAMPLE_ITEMS", SAMPLED)
    monkeypatch.setattr(remembered, "MIN_SIZE", 2)  # small matrices are cached as large ones are
    monkeypatch.setattr(remembered, "_CACHE", remembered.DecompositionCache(remembered.MAX_BYTES))
    monkeypatch.setattr(_score_model, "_LARGEST", remembered.DecompositionCache(_score_model.MAX_BYTES))
    return Work(monkeypatch)


def labelled_pairs() -> Pairs:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ITEMS, DIMS)) + 1
    return Pairs(image=x, text=x + rng.normal(size=x.shape) - 2, labels=np.arange(ITEMS) % 5)


TASKS = ["retrieval", "mixed_search", "zero_shot", "within_modality_search"]
#: Verbs, and the kinds of work that each of them does.
VERBS: dict[str, tuple[Callable[[Pairs, Path], Any], set[str]]] = {
    "measure": (lambda pairs, folder: isthmus.measure(pairs), {"decomposition", "moments", "rows", "unit rows"}),
    "explain": (lambda pairs, folder: isthmus.explain(pairs), {"decomposition", "moments", "unit rows"}),
    "fit": (
        lambda pairs, folder: isthmus.align.Auto().fit(pairs),
        {"decomposition", "moments", "rows", "unit rows", "scores", "search"},
    ),
    "compare": (
        lambda pairs, folder: isthmus.compare(pairs, splits=2, tasks=TASKS),
        {"decomposition", "levels", "moments", "rows", "unit rows", "scores", "search"},
    ),
    "report": (
        lambda pairs, folder: isthmus.report(pairs, folder / "report.html"),
        {"decomposition", "moments", "rows", "unit rows", "scores", "search", "sweep"},
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_work_that_steps_of_a_verb_share_is_computed_once(verb: str, work: Work, tmp_path: Path) -> None:
    run, kinds = VERBS[verb]
    with isthmus.config_context(threads=1):
        run(labelled_pairs(), tmp_path)
    assert kinds <= work.kinds(1).keys()
    assert work.kinds(2) == {}


def test_covariances_are_decomposed_once_however_they_were_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 150, remembered.MIN_SIZE)) + 0.3
    decomposed, eigh = [], np.linalg.eigh

    def counted(matrix: np.ndarray) -> Any:
        decomposed.append(matrix.copy())
        return eigh(matrix)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    isthmus.explain(x, y, metrics="all")
    wide = [matrix for matrix in decomposed if len(matrix) == x.shape[1]]
    assert len(wide) > 4
    assert not [(a, b) for b in range(len(wide)) for a in range(b) if np.allclose(wide[a], wide[b], rtol=1e-9, atol=0)]
