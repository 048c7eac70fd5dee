"""Approximate search: which of the exact ten nearest rows an index finds, and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from isthmus.compute.topk import topk
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._indexes import INDEXES, Search, exact, one_thread
from isthmus.tasks._per_item import mean_per_item
from isthmus.utils.errors import import_optional

#: Number of nearest rows.
K = 10
#: Queries of each modality. More are sampled.
MAX_QUERIES = 1_000
#: Scores below the tenth by less than this share of the largest are ties.
TIE = 1e-6
#: Forms of a score correction whose lists are merged.
LIST_FORMS = ("lists", "centered")
#: Indexes whose recall short tables show.
SHOWN = ("hnsw", "pq", "binary")


def _scores() -> dict[str, Score]:
    scores = {}
    for name, (description, _) in INDEXES.items():
        recall = f"share of the exact {K} nearest rows that {description} finds"
        for query, stored in (("x", "y"), ("y", "x")):
            definition = f"{recall}, for queries of {query} among {stored}"
            scores[f"{name}_{query}"] = Score("higher", definition, is_shown=name in SHOWN)
        scores[f"{name}_own"] = Score("higher", f"{recall}, for queries of each modality among its own rows")
        scores[f"{name}_mixed"] = Score("higher", f"{recall}, for one corpus of both modalities")
    for name in ("exact", *INDEXES):
        definition = f"microseconds of one thread for a query of the other modality: {name}"
        scores[f"{name}_us"] = Score("lower", definition, (0, np.inf), is_time=True)
    return scores


@task(
    "index",
    scores=_scores(),
    package="faiss",
    source="Jegou et al. 2011 (product quantisation), Malkov and Yashunin 2020 (HNSW), Jaiswal et al. 2022 (queries of "
    "another distribution), arXiv 2211.12850",
)
def index(data: TaskData) -> TaskScores:
    """Compare approximate indexes of the stored rows with exact search, by the modality of the query.

    Recall is that of the scores that the index is asked for, raw or corrected, and not of matching rows. Queries of the
    other modality are out of the distribution that the index is built on. A row does not find itself.
    """
    faiss = import_optional("faiss", "faiss", "the task index")
    rows = {"x": data.x, "y": data.y[data.matches.y_rows]}
    owner = {"x": np.arange(data.n_items), "y": data.matches.y_items}
    rng = np.random.default_rng(data.seed)
    asking = {modality: np.sort(rng.permutation(len(table))[:MAX_QUERIES]) for modality, table in rows.items()}
    searches = _Searches(data.correction, rows, asking, data.seed)
    recalls: dict[str, dict[str, np.ndarray]] = {}
    seconds = dict.fromkeys(("exact", *INDEXES), 0.0)
    with one_thread(faiss):
        for modality in rows:
            for name, values, elapsed in searches.of(modality, faiss):
                if values is not None:
                    contributions = mean_per_item(values, owner[modality][asking[modality]], data.n_items)
                    recalls.setdefault(name, {})[modality] = contributions
                else:
                    seconds[name] += elapsed / sum(map(len, asking.values()))
    per_item = {name: np.mean(list(by_side.values()), axis=0) for name, by_side in recalls.items()}
    return TaskScores(per_item, {f"{name}_us": 1e6 * value for name, value in seconds.items()})


class _Corpus:
    """Queries and the rows that they search.

    Parameters
    ----------
    asked : (m, d) array
        Queries.
    rows : (n, d) array
        Stored rows.
    own : (m,) int array or None
        Number of the row that each query is, which it does not find.
    order : (n,) int array
        Order in which the rows enter an index.
    """

    def __init__(self, asked: np.ndarray, rows: np.ndarray, own: np.ndarray | None, order: np.ndarray):
        self.asked, self.rows, self.own, self.order = (
            np.ascontiguousarray(asked, dtype=np.float32),
            np.ascontiguousarray(rows, dtype=np.float32),
            own,
            order,
        )
        self.shuffled = self.rows[order]
        self.k = min(K, len(rows) - (own is not None))
        best = topk(self.asked, self.rows, k=self.k + (own is not None), exclude_self=False)
        self.best_numbers = self._without_own(best.index)
        self.best_values = self.values(self.best_numbers)

    def _without_own(self, numbers: np.ndarray) -> np.ndarray:
        """Return the first k numbers of each query that are not the query itself."""
        if self.own is None:
            return numbers[:, : self.k]
        is_own = numbers == self.own[:, None]
        return np.take_along_axis(numbers, np.argsort(is_own, axis=1, kind="stable")[:, : self.k], axis=1)

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """Return the inner products of the queries and the rows with these numbers, and -inf for none."""
        values = np.einsum("md,mkd->mk", self.asked, self.rows[numbers])
        return np.where(numbers < 0, -np.inf, values)

    def search(self, search: Search) -> tuple[np.ndarray, float]:
        """Return the numbers that an index finds, and the seconds of the processor."""
        start = time.process_time()
        positions = search(self.asked, self.k + (self.own is not None))
        elapsed = time.process_time() - start
        return self._without_own(np.where(positions < 0, -1, self.order[positions])), elapsed

    def recall(self, numbers: np.ndarray) -> np.ndarray:
        """Return the share of the k nearest rows among these, (m,). Rows that tie with the last one count."""
        return _share(self.values(numbers), self.best_values)


def _share(values: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the share of values that reach the last of the best ones, (m,)."""
    tenth_best = best.min(axis=1, keepdims=True)
    slack = TIE * np.abs(best).max()
    return np.asarray((values >= tenth_best - slack).mean(axis=1))


class _Searches:
    """Searches of the corpora of one run, raw or in the form of a score correction.

    Parameters
    ----------
    correction : object or None
        Score correction.
    rows : dict of str to (n, d) array
        Rows of each modality.
    asking : dict of str to (m,) int array
        Numbers of the rows of each modality that are queries.
    seed : int
        Seed of the order of the rows and of the indexes.
    """

    def __init__(self, correction: Any, rows: Mapping[str, np.ndarray], asking: Mapping[str, np.ndarray], seed: int):
        self.correction, self.rows, self.asking, self.seed = correction, rows, asking, seed % 2**31
        self.order = {
            modality: np.random.default_rng((seed, i)).permutation(len(rows[modality]))
            for i, modality in enumerate(rows)
        }
        names = ("x", "y") if correction is None else correction.modalities[:2]
        self.names = dict(zip(rows, names, strict=True))
        self.merges = correction is not None and correction.index in LIST_FORMS

    def _stored(self, modality: str, query: str) -> np.ndarray:
        """Return the rows of a modality as an index for the queries of a modality stores them."""
        if self.correction is None:
            return self.rows[modality]
        asking = self.names[query] if self.correction.index == "exact" else None
        return np.asarray(self.correction.stored(self.rows[modality], modality=self.names[modality], queries=asking))

    def of(self, query: str, faiss: Any) -> Iterator[tuple[str, np.ndarray | None, float]]:
        """Yield (score, recall of each query, 0) and (index, None, seconds) for the queries of one modality."""
        raw = self.rows[query][self.asking[query]]
        name, correction = self.names[query], self.correction
        queries = raw if correction is None else np.asarray(correction.query(raw, modality=name))
        stored = {modality: self._stored(modality, query) for modality in self.rows}
        (opposite,) = set(self.rows) - {query}
        cross = _Corpus(queries, stored[opposite], None, self.order[opposite])
        within = _Corpus(queries, stored[query], self.asking[query], self.order[query])

        def merged(corpora: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
            return np.asarray(correction.merge(corpora, raw, modality=name, k=K).scores)

        if self.merges:
            best = merged(
                {
                    self.names[modality]: (c.best_values, c.best_numbers)
                    for modality, c in ((opposite, cross), (query, within))
                }
            )
        else:
            mixed_rows = np.concatenate([stored[query], stored[opposite]])
            order = np.random.default_rng((self.seed, 2)).permutation(len(mixed_rows))
            mixed = _Corpus(queries, mixed_rows, self.asking[query], order)
        yield "exact", None, cross.search(exact(faiss, cross.shuffled, self.seed))[1]
        for label, (_, build) in INDEXES.items():
            numbers, elapsed = cross.search(build(faiss, cross.shuffled, self.seed))
            own_numbers, _ = within.search(build(faiss, within.shuffled, self.seed))
            yield label, None, elapsed
            yield f"{label}_{query}", cross.recall(numbers), 0.0
            yield f"{label}_own", within.recall(own_numbers), 0.0
            if self.merges:
                lists = {
                    self.names[opposite]: (cross.values(numbers), numbers),
                    name: (within.values(own_numbers), own_numbers),
                }
                yield f"{label}_mixed", _share(merged(lists), best), 0.0
            else:
                mixed_numbers, _ = mixed.search(build(faiss, mixed.shuffled, self.seed))
                yield f"{label}_mixed", mixed.recall(mixed_numbers), 0.0
