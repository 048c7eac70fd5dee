"""Forms of the index of score corrections: their inner products are the corrected scores."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import IsthmusWarning
from isthmus.align import CSLS, BankNormalization, InvertedSoftmax, ScoreCalibration, ScoreStandardization
from isthmus.utils.errors import InputError, NotFittedError

CORRECTIONS = (ScoreStandardization, BankNormalization, CSLS, InvertedSoftmax, ScoreCalibration)
N, D = 90, 12


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def modalities() -> dict[str, np.ndarray]:
    """Return paired unit rows of three modalities, each in a cone of its own."""
    rng = np.random.default_rng(7)
    latent = rng.normal(size=(N, D)) / np.sqrt(np.arange(1, D + 1))
    return {
        name: unit(latent + 0.5 * rng.normal(size=(N, D)) + offset * np.eye(D)[number])
        for number, (name, offset) in enumerate((("image", 1.5), ("text", 2.0), ("audio", 0.7)))
    }


@pytest.mark.parametrize("cls", CORRECTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_forms_of_the_index_equal_scores(
    cls: Any, dtype: str, tolerance: float, metric: str, modalities: dict[str, np.ndarray]
) -> None:
    rows = {name: table.astype(dtype) for name, table in modalities.items()}
    correction = cls(metric=metric).fit(**rows)
    for query, queries in rows.items():
        scores = {name: correction.scores(queries, table, query=query, stored=name) for name, table in rows.items()}
        for index in ("lists", "centered", "exact"):
            correction.index = index
            asked, asking = correction.query(queries, modality=query), query if index == "exact" else None
            lists = {}
            for name, table in rows.items():
                corpus = correction.stored(table, modality=name, queries=asking)
                assert corpus.dtype == asked.dtype == np.dtype(dtype)
                products = asked @ corpus.T
                if metric == "cosine":
                    np.testing.assert_allclose(np.linalg.norm(corpus, axis=1), 1, atol=1e-6)
                    products /= np.linalg.norm(asked, axis=1, keepdims=True)
                lists[name] = products, np.tile(np.arange(N), (N, 1))
            hits = correction.merge(lists, queries, modality=query, k=3 * N)
            for i, name in enumerate(rows):
                in_list = hits.modalities == name
                ranked = np.empty((N, N))
                ranked[np.arange(N)[:, None], hits.rows[in_list].reshape(N, N)] = hits.scores[in_list].reshape(N, N)
                scale = 1 if metric == "inner_product" else 30  # the bound of the norms costs digits
                np.testing.assert_allclose(ranked, scores[name], atol=tolerance * scale, err_msg=f"{index} {i}")


@pytest.mark.parametrize("cls", CORRECTIONS)
@pytest.mark.parametrize("index", ["lists", "exact"])
@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_faiss_finds_the_same_top_ten(cls: Any, index: str, metric: str, modalities: dict[str, np.ndarray]) -> None:
    faiss = pytest.importorskip("faiss")
    rows = {name: table.astype("float32") for name, table in modalities.items()}
    correction = cls(index=index, metric=metric).fit(**rows)
    for query, queries in rows.items():
        scores = np.concatenate(
            [correction.scores(queries, table, query=query, stored=name) for name, table in rows.items()], axis=1
        )
        best = np.sort(scores, axis=1)[:, ::-1][:, :10]
        asking = query if index == "exact" else None
        corpora = {name: correction.stored(table, modality=name, queries=asking) for name, table in rows.items()}
        asked = np.array(correction.query(queries, modality=query), order="C")
        if metric == "cosine":
            faiss.normalize_L2(asked)
        if index == "exact":
            corpora = {"all": np.concatenate(list(corpora.values()))}
        lists = {}
        for name, corpus in corpora.items():
            store = faiss.IndexFlatIP(corpus.shape[1])
            store.add(np.ascontiguousarray(corpus))
            lists[name] = store.search(asked, 10)
        values, numbers = lists.get("all", (None, None))
        if index == "lists":
            hits = correction.merge(lists, queries, modality=query, k=10)
            offsets = {name: N * number for number, name in enumerate(rows)}
            values, numbers = hits.scores, hits.rows + np.vectorize(offsets.get)(hits.modalities)
        tolerance = 1e-5 if metric == "inner_product" else 1e-4  # the bound of the norms costs digits
        found = np.take_along_axis(scores, numbers, axis=1)
        np.testing.assert_allclose(found, best, atol=2 * tolerance)  # but for ties
        if metric == "inner_product" or index == "lists":
            np.testing.assert_allclose(values, found, atol=tolerance)


def test_hnsw_keeps_the_recall_of_the_lists_and_the_shared_form_has_its_measured_loss() -> None:
    faiss = pytest.importorskip("faiss")
    train, test = (isthmus.demo.load("plain", split=split) for split in ("train", "test"))
    corpus, (images, texts) = dict(zip(train.names, train.unit(), strict=True)), test.unit()
    del images
    correction = ScoreCalibration().fit(train)
    scores = np.concatenate(
        [correction.scores(texts, rows, query="text", stored=name) for name, rows in corpus.items()], axis=1
    )
    truth = np.argsort(-scores, axis=1)[:, :10]

    def overlap(numbers: np.ndarray) -> float:
        return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(numbers, truth, strict=True)])) / 10

    def graph(rows: np.ndarray) -> Any:
        store = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        store.hnsw.efSearch = 64
        store.add(np.ascontiguousarray(rows, dtype="float32"))
        return store

    asked = np.ascontiguousarray(correction.query(texts, modality="text"), dtype="float32")
    lists = {name: graph(correction.stored(rows, modality=name)).search(asked, 10) for name, rows in corpus.items()}
    hits = correction.merge(lists, texts, modality="text", k=10)
    assert overlap(hits.rows + train.n_items * (hits.modalities == "text")) > 0.97
    with pytest.warns(IsthmusWarning, match=r"it finds \d+ % of the ten best rows.*never HNSW") as caught:
        shared = [correction.stored(rows, modality=name, index="shared") for name, rows in corpus.items()]
    measured = int(str(caught[0].message).split(" finds ")[1].split(" %")[0]) / 100
    asked = np.ascontiguousarray(correction.query(texts, modality="text", index="shared"), dtype="float32")
    assert measured < 0.6
    assert overlap(graph(np.concatenate(shared)).search(asked, 10)[1]) < 0.6


def test_form_of_the_index_is_changed_after_load(modalities: dict[str, np.ndarray], tmp_path: Path) -> None:
    ScoreCalibration().fit(**modalities).save(tmp_path / "scores.safetensors")
    loaded = isthmus.load(tmp_path / "scores.safetensors").set_params(index="exact", metric="cosine")
    corpus = loaded.stored(modalities["image"], modality="image", queries="text")
    assert corpus.shape[1] == loaded.query(modalities["text"], modality="text").shape[1] == D + 1 + 3 + 1
    with pytest.raises(NotFittedError):  # the banks of other options were not kept
        _ = loaded.set_params(bank_size=50).score_model


def test_shared_index_is_warned_of_and_exact_where_spreads_are_products(modalities: dict[str, np.ndarray]) -> None:
    correction = BankNormalization().fit(**modalities)  # all spreads are 1
    queries = correction.query(modalities["text"], modality="text", index="shared")
    with pytest.warns(IsthmusWarning, match="costs balance between the modalities"):
        corpus = correction.stored(modalities["image"], modality="image", index="shared")
    scores = correction.scores(modalities["text"], modalities["image"], query="text", stored="image")
    np.testing.assert_allclose(queries @ corpus.T, scores, atol=1e-12)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([(np.ones((5, 2)), np.ones((5, 2), int))], "a list of lists, expected a dictionary"),
        ({"image": np.ones((5, 2))}, r"a ndarray as the list of image, expected a pair \(scores, rows\)"),
        ({"image": (np.ones((5, 2)),)}, "a tuple of 1 as the list of image"),
        ({"image": (np.ones((5, 2)), np.ones((5, 3), int))}, r"shape \(5, 2\) and rows of shape \(5, 3\)"),
        ({"image": (np.ones((5, 2)), np.ones((5, 2)))}, "rows of float64 in the list of image"),
        (
            {"image": (np.ones((4, 2)), np.ones((4, 2), int))},
            "the hits of 4 queries in the list of image and 5 queries",
        ),
        (
            {"image": (np.ones((5, 2)), np.ones((5, 2), int)), "text": (np.ones((3, 2)), np.ones((3, 2), int))},
            "the hits of 5 for image, 3 for text queries",
        ),
        ({"audio": (np.ones((5, 2)), np.ones((5, 2), int))}, "audio"),
        ({}, "0 lists"),
    ],
)
def test_merge_of_unusable_lists_raises_one_sentence(lists: Any, message: str) -> None:
    pairs = isthmus.demo.load("plain", split="test").take(range(60))
    auto = isthmus.align.Auto(aim="search")
    with pytest.warns(IsthmusWarning):
        auto.fit(pairs)
    for correction in (auto, ScoreCalibration().fit(pairs), isthmus.align.Centering().fit(pairs)):
        with pytest.raises(InputError, match=message) as caught:
            correction.merge(lists, pairs.unit()[1][:5], modality="text")
        assert len(str(caught.value)) < 300


def test_merge_of_many_hits_equals_that_of_few(modalities: dict[str, np.ndarray]) -> None:
    correction = ScoreCalibration().fit(**modalities)
    queries = modalities["text"][:3]
    asked = correction.query(queries, modality="text")
    lists, few = {}, {}
    for name, rows in modalities.items():
        products = asked @ correction.stored(rows, modality=name).T
        order = np.argsort(-products, axis=1)
        lists[name] = (products, np.broadcast_to(np.arange(len(rows)), products.shape))
        few[name] = (np.take_along_axis(products, order, axis=1)[:, :12], order[:, :12])
        few[name][1][:, 10:] = -1  # as faiss marks a hit that is missing
    many, sorted_hits = (correction.merge(found, queries, modality="text", k=10) for found in (lists, few))
    np.testing.assert_array_equal(many.rows, sorted_hits.rows)
    np.testing.assert_array_equal(many.modalities, sorted_hits.modalities)
    np.testing.assert_array_equal(many.scores, sorted_hits.scores)


@pytest.mark.parametrize("correction", [BankNormalization, CSLS, InvertedSoftmax, ScoreCalibration])
def test_rows_whose_scores_are_rounding_of_float32_warn_unless_a_map_centres_them(correction: Any) -> None:
    rng = np.random.default_rng(3)
    latent, centre = rng.normal(size=(400, 32)), unit(rng.normal(size=(1, 32)))
    x, y = (
        (centre + 3e-4 * (latent + 0.5 * rng.normal(size=latent.shape)) / np.sqrt(32)).astype(np.float32)
        for _ in range(2)
    )

    def sentences_and_hits(dtype: type, **options: Any) -> tuple[list[str], float]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted = correction(**options).fit(image=x[:200].astype(dtype), text=y[:200].astype(dtype))
            scores = fitted.scores(x[200:].astype(dtype), y[200:].astype(dtype), query="image", stored="text")
        hits = float(np.mean(np.argmax(np.asarray(scores), axis=1) == np.arange(200)))
        return [str(entry.message) for entry in caught if "the rounding of float32" in str(entry.message)], hits

    sentences, hits = sentences_and_hits(np.float32)
    assert len(sentences) == 1
    assert "use row_map='Centering' (--set row_map=Centering), or rows of float64" in sentences[0]
    for dtype, options in ((np.float32, {"row_map": "Centering"}), (np.float64, {})):
        silent, better_hits = sentences_and_hits(dtype, **options)
        assert silent == []
        assert better_hits > hits + 0.5
