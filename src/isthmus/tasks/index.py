"""Approximate search: which of the exact ten nearest rows an index finds, and how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from isthmus.compute.resources import n_threads
from isthmus.compute.threads import run_parallel
from isthmus.compute.topk import topk
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._indexes import INDEXES, Search, exact, one_thread
from isthmus.tasks._per_item import mean_per_item
from isthmus.utils.errors import import_optional
from isthmus.utils.progress import report_progress

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
    work=f"builds {len(INDEXES)} approximate indexes of each modality and of both",
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
    orders = {modality: np.random.default_rng(data.seed).permutation(len(table)) for modality, table in rows.items()}
    asking = {modality: np.sort(order[:MAX_QUERIES]) for modality, order in orders.items()}
    searches = _Searches(data.correction, rows, asking, data.seed)
    searches.run(faiss)
    recalls: dict[str, dict[str, np.ndarray]] = {}
    for modality in rows:
        for name, values in searches.recalls(modality):
            contributions = mean_per_item(values, owner[modality][asking[modality]], data.n_items)
            recalls.setdefault(name, {})[modality] = contributions
    n_queries = sum(map(len, asking.values()))
    per_item = {name: np.mean(list(by_side.values()), axis=0) for name, by_side in recalls.items()}
    return TaskScores(per_item, {f"{name}_us": 1e6 * value / n_queries for name, value in searches.seconds.items()})


class _Corpus:
    """Stored rows of one index, in the order in which they enter it.

    Parameters
    ----------
    rows : (n, d) array
        Stored rows.
    order : (n,) int array
        Order in which the rows enter an index.
    """

    def __init__(self, rows: np.ndarray, order: np.ndarray):
        self.rows, self.order = np.ascontiguousarray(rows, dtype=np.float32), order

    def indexes(self, faiss: Any, seed: int) -> dict[str, Search]:
        """Build every index of these rows, each with one thread, so that the result does not depend on their number."""
        shuffled = self.rows[self.order]
        builders = {"exact": exact} | {name: build for name, (_, build) in INDEXES.items()}

        def built(build: Callable[[Any, np.ndarray, int], Search]) -> Search:
            with one_thread(faiss):
                return build(faiss, shuffled, seed)

        jobs = [partial(built, build) for build in builders.values()]
        return dict(zip(builders, run_parallel(jobs, min(n_threads(), len(jobs))), strict=True))


class _Queries:
    """Queries of a corpus, and the best rows of each.

    Parameters
    ----------
    vectors : (m, d) array
        Queries.
    corpus : _Corpus
        Stored rows.
    row_numbers : (m,) int array or None
        Number of the row that each query is, which it does not find.
    """

    def __init__(self, vectors: np.ndarray, corpus: _Corpus, row_numbers: np.ndarray | None):
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.corpus, self.row_numbers = corpus, row_numbers
        self.k = min(K, len(corpus.rows) - (row_numbers is not None))
        best = topk(self.vectors, corpus.rows, k=self.k + (row_numbers is not None), exclude_self=False)
        self.best_numbers = self._other_rows(best.index)
        self.best_values = self.values(self.best_numbers)
        #: Numbers of the rows that each index finds.
        self.neighbours: dict[str, np.ndarray] = {}

    def _other_rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return the first k numbers of each query that are not the query itself."""
        if self.row_numbers is None:
            return numbers[:, : self.k]
        is_query = numbers == self.row_numbers[:, None]
        return np.take_along_axis(numbers, np.argsort(is_query, axis=1, kind="stable")[:, : self.k], axis=1)

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """Return the inner products of the queries and the rows with these numbers, and -inf for none."""
        values = np.einsum("md,mkd->mk", self.vectors, self.corpus.rows[numbers])
        return np.where(numbers < 0, -np.inf, values)

    def search(self, search: Search) -> tuple[np.ndarray, float]:
        """Return the numbers that an index finds, and the seconds of the processor."""
        start = time.process_time()
        positions = search(self.vectors, self.k + (self.row_numbers is not None))
        elapsed = time.process_time() - start
        return self._other_rows(np.where(positions < 0, -1, self.corpus.order[positions])), elapsed

    def recall(self, numbers: np.ndarray) -> np.ndarray:
        """Return the share of the k nearest rows among these, (m,). Rows that tie with the last one count."""
        return _share(self.values(numbers), self.best_values)


def _share(values: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the share of values that reach the last of the best ones, (m,)."""
    tenth_best = best.min(axis=1, keepdims=True)
    slack = TIE * np.abs(best).max()
    return np.asarray((values >= tenth_best - slack).mean(axis=1))


def _mixed_order(orders: Sequence[np.ndarray], mixed_rows: np.ndarray) -> np.ndarray:
    """Return the order in which the rows of both modalities enter one index, (n,), whichever modality comes first.

    The rows of each modality are in their own order, spread evenly. Where two rows have the same place, the one with
    the smaller sum comes first.
    """
    places = np.concatenate([(np.argsort(order) + 0.5) / len(order) for order in orders])
    return np.lexsort((mixed_rows.sum(axis=1), places))


class _Searches:
    """Searches of the corpora of one run, raw or in the form of a score correction.

    The queries of both modalities search the same corpora, unless the correction stores rows for the queries of one
    modality. So each corpus is indexed once.

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

    Attributes
    ----------
    seconds : dict of str to float
        Seconds of the processor that each index takes for all queries of the other modality.
    """

    def __init__(self, correction: Any, rows: Mapping[str, np.ndarray], asking: Mapping[str, np.ndarray], seed: int):
        self.correction, self.rows, self.asking, self.seed = correction, rows, asking, seed % 2**31
        self.order = {
            modality: np.random.default_rng((seed, 0)).permutation(len(table)) for modality, table in rows.items()
        }
        names = ("x", "y") if correction is None else correction.modalities[:2]
        self.names = dict(zip(rows, names, strict=True))
        self.merges = correction is not None and correction.index in LIST_FORMS
        self.by_query = correction is not None and correction.index == "exact"
        self.seconds = dict.fromkeys(("exact", *INDEXES), 0.0)
        #: Queries of a modality by the corpus that they search: 'cross', 'within' or 'mixed'.
        self.by_corpus: dict[str, dict[str, _Queries]] = {modality: {} for modality in rows}

    def _stored(self, modality: str, query: str | None) -> np.ndarray:
        """Return the rows of a modality as an index stores them, for the queries of a modality or of both."""
        if self.correction is None:
            return self.rows[modality]
        asking = None if query is None else self.names[query]
        return np.asarray(self.correction.stored(self.rows[modality], modality=self.names[modality], queries=asking))

    def _queries(self, modality: str) -> np.ndarray:
        """Return the queries of a modality in the form in which an index is searched."""
        raw = self.rows[modality][self.asking[modality]]
        return raw if self.correction is None else np.asarray(self.correction.query(raw, modality=self.names[modality]))

    def _corpora(self) -> Iterator[tuple[_Corpus, list[tuple[str, str, np.ndarray | None]]]]:
        """Yield each corpus with its searches: the modality of the queries, the kind, and their own rows."""
        for queries in ([query] for query in self.rows) if self.by_query else [list(self.rows)]:
            stored = {modality: self._stored(modality, queries[0] if self.by_query else None) for modality in self.rows}
            for modality, table in stored.items():
                searches: list[tuple[str, str, np.ndarray | None]] = [
                    (query, "within", self.asking[query]) if query == modality else (query, "cross", None)
                    for query in queries
                ]
                yield _Corpus(table, self.order[modality]), searches
            if not self.merges:
                mixed_rows = np.concatenate(list(stored.values()))
                first = {"x": 0, "y": len(stored["x"])}
                order = _mixed_order(list(self.order.values()), mixed_rows)
                yield (
                    _Corpus(mixed_rows, order),
                    [(query, "mixed", first[query] + self.asking[query]) for query in queries],
                )

    def run(self, faiss: Any) -> None:
        """Build the indexes of each corpus and search them."""
        queries = {modality: self._queries(modality) for modality in self.rows}
        total = (1 + self.by_query) * (3 - self.merges)
        for number, (corpus, searches) in enumerate(self._corpora()):
            n_rows, width = corpus.rows.shape
            report_progress(number, total, "index", f"corpus {number + 1} of {total}, {n_rows:,} x {width} rows")
            indexes = corpus.indexes(faiss, self.seed)
            for query, kind, row_numbers in searches:
                searching = self.by_corpus[query][kind] = _Queries(queries[query], corpus, row_numbers)
                with one_thread(faiss):
                    for name, index in indexes.items():
                        if name in INDEXES or kind == "cross":
                            searching.neighbours[name], elapsed = searching.search(index)
                            self.seconds[name] += elapsed if kind == "cross" else 0.0

    def recalls(self, query: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each score with the recall of every query of one modality."""
        by_corpus = self.by_corpus[query]
        (opposite,) = set(self.rows) - {query}
        modalities = {self.names[opposite]: by_corpus["cross"], self.names[query]: by_corpus["within"]}
        raw = self.rows[query][self.asking[query]]

        def merged(numbers: Mapping[str, np.ndarray]) -> np.ndarray:
            lists = {name: (modalities[name].values(rows), rows) for name, rows in numbers.items()}
            return np.asarray(self.correction.merge(lists, raw, modality=self.names[query], k=K).scores)

        best = merged({name: queries.best_numbers for name, queries in modalities.items()}) if self.merges else None
        for name in INDEXES:
            yield f"{name}_{query}", by_corpus["cross"].recall(by_corpus["cross"].neighbours[name])
            yield f"{name}_own", by_corpus["within"].recall(by_corpus["within"].neighbours[name])
            if best is None:
                yield f"{name}_mixed", by_corpus["mixed"].recall(by_corpus["mixed"].neighbours[name])
            else:
                yield (
                    f"{name}_mixed",
                    _share(merged({key: queries.neighbours[name] for key, queries in modalities.items()}), best),
                )
