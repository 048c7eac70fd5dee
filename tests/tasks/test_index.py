"""Approximate indexes against exact search, raw and corrected."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.align import Centering, ScoreCalibration
from isthmus.compute.topk import topk
from isthmus.tasks import Score, Task, TaskData, TaskScores, registry, select_tasks
from isthmus.tasks._indexes import one_thread
from isthmus.tasks.index import INDEXES, _Corpus, _Queries, _share
from isthmus.testing import check_task
from isthmus.utils.progress import listening

faiss = pytest.importorskip("faiss")
#: Pairs of the demonstration.
N = 300


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Return paired unit rows of images and texts with a gap."""
    x, y = isthmus.demo.load("plain", split="test").unit()
    return x[:N], y[:N]


@pytest.fixture(scope="module")
def train() -> isthmus.Pairs:
    """Return pairs to fit on."""
    return isthmus.demo.load("plain", split="train")


def run(data: TaskData) -> dict[str, float]:
    return registry()["index"].run(data).scores()


def test_index_finds_few_rows_exactly_and_fewer_with_fewer_bits(rows: tuple[np.ndarray, np.ndarray]) -> None:
    scores = run(TaskData(*rows))
    assert scores["hnsw_x"] > 0.97
    assert scores["int8_x"] > 0.95
    assert scores["int8_x"] > scores["pq_x"] > scores["binary_x"] > 10 / N
    assert all(scores[f"{name}_us"] > 0 for name in ("exact", *INDEXES))


def test_centering_raises_the_recall_of_codes_for_queries_of_the_other_modality(
    rows: tuple[np.ndarray, np.ndarray], train: isthmus.Pairs
) -> None:
    raw, centred = run(TaskData(*rows)), run(TaskData(*Centering().fit(train).transform(*rows)))
    for name, gain in (("binary_x", 0.1), ("binary_y", 0.1), ("pq_x", 0.01), ("pq_y", 0.01)):
        assert centred[name] > raw[name] + gain, name


def test_centred_coordinates_of_a_score_correction_keep_the_recall_of_hnsw(
    rows: tuple[np.ndarray, np.ndarray], train: isthmus.Pairs
) -> None:
    scores = {
        form: run(TaskData(*rows, correction=ScoreCalibration(index=form).fit(train)))
        for form in ("lists", "centered", "exact")
    }
    assert scores["centered"]["int8_mixed"] > 0.97
    assert scores["centered"]["hnsw_y"] >= scores["lists"]["hnsw_y"] - 1e-9
    # One index of both modalities holds rows of very different lengths, and signs are the same for all of a modality.
    assert scores["exact"]["binary_mixed"] < scores["centered"]["binary_mixed"] - 0.1
    if importlib.util.find_spec("usearch") is not None:
        assert scores["centered"]["usearch_int8_y"] > scores["lists"]["usearch_int8_y"]


def test_recall_counts_ties_and_leaves_out_the_query_itself() -> None:
    rows = np.eye(4, dtype="float32")[[0, 0, 1, 2]]
    asked = _Queries(rows[:2], _Corpus(rows, np.arange(4)), np.array([0, 1]))
    assert asked.best_numbers[:, 0].tolist() == [1, 0]
    found, _ = asked.search(lambda queries, k: np.tile(np.array([[0, 1, 2, -1]]), (2, 1)))
    assert found.tolist() == [[1, 2, -1], [0, 2, -1]]
    # The third row ties with the second, and no row is none.
    np.testing.assert_allclose(asked.recall(found), 2 / 3)
    np.testing.assert_allclose(_share(np.array([[3.0, 1.0]]), np.array([[3.0, 2.0]])), 0.5)


@pytest.mark.parametrize(("form", "n_corpora"), [(None, 3), ("lists", 2), ("exact", 6)])
def test_queries_of_both_modalities_share_the_indexes_of_a_corpus_for_any_number_of_threads(
    rows: tuple[np.ndarray, np.ndarray],
    train: isthmus.Pairs,
    form: str | None,
    n_corpora: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    description, build = INDEXES["hnsw"]
    calls: list[int] = []
    monkeypatch.setitem(INDEXES, "hnsw", (description, lambda *arguments: (calls.append(1), build(*arguments))[1]))
    for name in set(INDEXES) - {"hnsw", "ivf", "binary"}:
        monkeypatch.delitem(INDEXES, name)
    correction = None if form is None else ScoreCalibration(index=form).fit(train)
    steps: list[str] = []
    results = []
    for threads in (1, 3):
        with isthmus.config_context(threads=threads), listening(lambda *step: steps.append(step[3])):
            scores = run(TaskData(*(table[:80] for table in rows), correction=correction))
        results.append({name: value for name, value in scores.items() if not name.endswith("_us")})
    assert len(calls) == 2 * n_corpora
    assert results[0] == results[1]
    assert steps[:n_corpora] == steps[n_corpora:]
    assert steps[0].startswith(f"corpus 1 of {n_corpora}, 80 x ")


@pytest.mark.filterwarnings("ignore:.* rows are distinct")
@pytest.mark.parametrize("name", ["Identity", "Centering", "ScoreCalibration"])
@pytest.mark.parametrize("captions", [1, 2])
def test_index_of_exchanged_modalities_has_exchanged_scores(
    name: str, captions: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(sys.modules["isthmus.tasks.index"]), "MAX_QUERIES", 40)
    images = rng.normal(size=(120 // captions, 16)) + 1
    texts = np.repeat(images, captions, axis=0) + 0.5 * rng.normal(size=(120, 16)) - 1
    rows = {"image": np.repeat(images, captions, axis=0), "text": texts}
    scores = []
    for names in (("image", "text"), ("text", "image")):
        pairs = isthmus.open_pairs(*(rows[modality] for modality in names), names=names)
        aligner = getattr(isthmus.align, name)().fit(pairs)
        mapped = pairs.unit() if aligner.corrects_scores else aligner.transform(*pairs.unit())
        correction = aligner if aligner.corrects_scores else None
        scores.append(run(TaskData(*mapped, owner=pairs.index, y_groups=pairs.y_groups, correction=correction)))
    exchanged = {"x": "y", "y": "x"}
    for score, value in scores[0].items():
        index_name, modality = score.rsplit("_", 1)
        if modality != "us":
            assert scores[1][f"{index_name}_{exchanged.get(modality, modality)}"] == pytest.approx(value, abs=1e-6)


def test_index_without_its_package_is_left_out_of_all_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "is_available", property(lambda task: not task.package))
    assert "index" not in [entry.name for entry in select_tasks(["all"])]
    monkeypatch.setattr("isthmus.tasks.import_optional", lambda *_: (_ for _ in ()).throw(InputError("pip install")))
    with pytest.raises(InputError, match="pip install"):
        select_tasks(["index"])


def test_measured_time_may_differ_between_equal_runs() -> None:
    clock = iter(range(1_000))

    def timed(data: TaskData) -> TaskScores:
        """Return how often this function was called before, an example."""
        return TaskScores({}, {"calls": float(next(clock))})

    declared = {
        is_time: {"calls": Score("lower", "number of calls", (0, 1e9), is_time=is_time)} for is_time in (True, False)
    }
    check_task(Task("timed", timed, declared[True], source="a test"))
    with pytest.raises(AssertionError, match="the same seed gives different scores"):
        check_task(Task("timed", timed, declared[False], source="a test"))


@pytest.mark.slow
def test_product_quantisation_of_the_demo_gains_the_recall_that_the_page_states() -> None:
    images, texts = isthmus.demo.load("collapsed").unit()
    moved = Centering().fit(isthmus.demo.load("collapsed", split="train")).transform(images, texts)
    recalls = []
    with one_thread(faiss):
        for asked, stored in ((texts, images), moved[::-1], (images, texts), moved):
            queries, rows = (np.ascontiguousarray(table, dtype="float32") for table in (asked, stored))
            index = faiss.IndexPQ(rows.shape[1], 16, 4, faiss.METRIC_INNER_PRODUCT)
            index.train(rows)
            index.add(rows)
            best = topk(queries, rows, k=10, exclude_self=False).index
            hits = index.search(queries, 10)[1]
            recalls.append(10 * np.mean([len(np.intersect1d(*pair)) for pair in zip(hits, best, strict=True)]))
    np.testing.assert_allclose(recalls, [51, 62, 50, 61], atol=1.5)
