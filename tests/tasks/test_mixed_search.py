"""Mixed-modality search against a slow loop over queries, captions and shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from isthmus import InputError
from isthmus.align import ScoreStandardization
from isthmus.tasks import MixedSearch, TaskData, registry, share_sweep

Unit = Callable[[np.ndarray], np.ndarray]
Results = dict[str, dict[int, tuple[int, float, float]]]


@pytest.fixture
def captions(rng: np.random.Generator, unit: Unit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 30 unit rows of x, 70 of y, and the items of y."""
    owner = rng.integers(0, 30, 70)
    latent = rng.normal(size=(30, 6))
    return unit(latent + 0.5 * rng.normal(size=(30, 6))), unit(latent[owner] + 0.5 * rng.normal(size=(70, 6))), owner


def inner_product(query_modality: str, modality: str, query: Any, stored: Any) -> float:
    return float(query @ stored)


def slow(x: Any, y: Any, owner: Any, as_x: Any, score: Callable[..., float]) -> Results:
    """Return the rank of the best row, NDCG@10 and the share of the same modality for every query."""
    corpus = [("x", i, x[i]) for i in range(len(x)) if as_x[i]]
    corpus += [("y", owner[j], y[j]) for j in range(len(y)) if not as_x[owner[j]]]
    results: Results = {"x": {}, "y": {}}
    queries = [("x", i, i, x[i]) for i in range(len(x)) if not as_x[i]]
    queries += [("y", j, owner[j], y[j]) for j in range(len(y)) if as_x[owner[j]]]
    for query_modality, number, item, row in queries:
        ranking = sorted(
            ((score(query_modality, modality, row, stored), modality, i == item) for modality, i, stored in corpus),
            reverse=True,
        )
        ranks = [rank for rank, (_, _, is_relevant) in enumerate(ranking, start=1) if is_relevant]
        ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(10, len(ranks)) + 1))
        ndcg = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= 10) / ideal
        nearest = [modality for _, modality, is_relevant in ranking if not is_relevant][:10]
        share = float(np.mean([modality == query_modality for modality in nearest]))
        results[query_modality][number] = (ranks[0], ndcg, share)
    return results


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.8])
def test_mixed_search_equals_a_slow_loop(captions: Any, unit: Unit, share: float, corrected: bool) -> None:
    x, y, owner = captions
    score: Callable[..., float] = inner_product
    correction = None
    if corrected:
        x = unit(x + np.eye(6)[0])  # an offset, which the correction removes
        correction = ScoreStandardization().fit(x, y, index=owner)

        def score(query_modality: str, modality: str, query: Any, stored: Any) -> float:
            mean, deviation = correction.level(query=query_modality, stored=modality)
            return float((query @ stored - mean) / deviation)

    search = MixedSearch.of(x, y, index=owner, share=share, rng=3, correction=correction)
    as_x = np.random.default_rng(3).permutation(30) < (15 if share == 0.5 else round(30 * share))
    without_y = np.bincount(owner, minlength=30) == 0
    expected: Results = {"x": {}, "y": {}}
    for choice in (as_x, ~as_x) if share == 0.5 else (as_x,):
        for modality, results in slow(x, y, owner, choice | without_y, score).items():
            expected[modality].update(results)
    for ranks, ndcg, shares, results in (
        (search.x_ranks, search.x_ndcg, search.x_same_modality, expected["x"]),
        (search.y_ranks, search.y_ndcg, search.y_same_modality, expected["y"]),
    ):
        assert set(np.flatnonzero(ranks)) == set(results)
        for number, values in results.items():
            assert (ranks[number], ndcg[number], shares[number]) == pytest.approx(values)
    both = [list(results.values()) for results in expected.values()]
    shares = [share for results in both for _, _, share in results]
    assert search.same_modality_share == pytest.approx(np.mean(shares))
    for k in (1, 5):
        recalls = [np.mean([rank <= k for rank, _, _ in results]) for results in both]
        assert search.recall(k) == pytest.approx(np.mean(recalls))
    assert search.mrr() == pytest.approx(np.mean([np.mean([1 / rank for rank, _, _ in results]) for results in both]))
    assert search.hits.mean() == pytest.approx(search.recall(1))


def test_expected_share_is_the_share_of_the_corpus_in_the_modality_of_the_query(captions: Any) -> None:
    x, y, owner = captions
    search = MixedSearch.of(x, y, index=owner, share=0.25, rng=3)
    as_x = (np.random.default_rng(3).permutation(30) < round(30 * 0.25)) | (np.bincount(owner, minlength=30) == 0)
    n_x, n_y = np.sum(as_x), np.sum(~as_x[owner])
    n_x_queries, n_y_queries = np.sum(~as_x), np.sum(as_x[owner])
    n_captions = np.bincount(owner, minlength=30)[~as_x]  # the target of an x query does not count
    total = np.sum(n_x / (n_x + n_y - n_captions)) + n_y_queries * n_y / (n_x + n_y - 1)
    assert search.expected_share == pytest.approx(total / (n_x_queries + n_y_queries))


def test_ndcg_equals_that_of_scikit_learn(captions: Any) -> None:
    x, y, owner = captions
    x, y = x[np.unique(owner)], y[np.unique(owner, return_index=True)[1]]
    search = MixedSearch.of(x, y, rng=0)
    as_x = np.random.default_rng(0).permutation(len(x)) < len(x) // 2
    for k in (5, 10):
        values = []
        for choice in (as_x, ~as_x):
            corpus, queries = np.where(choice[:, None], x, y), np.where(choice[:, None], y, x)
            for i in range(len(x)):
                values.append(ndcg_score(np.eye(len(x))[i : i + 1], (queries[i] @ corpus.T)[None], k=k))
        assert search.ndcg(k) == pytest.approx(np.mean(values))


def test_ndcg_of_several_captions_at_another_k_is_refused(captions: Any) -> None:
    x, y, owner = captions
    search = MixedSearch.of(x, y, index=owner)
    assert 0 < search.ndcg() < 1
    with pytest.raises(InputError, match="NDCG@5 of items with several relevant rows is not available, NDCG@10 is"):
        search.ndcg(5)


def test_mixed_search_with_a_large_gap_finds_the_same_modality_alone(rng: np.random.Generator, unit: Unit) -> None:
    latent = rng.normal(size=(60, 8))
    offset = 20 * np.eye(9)[8]
    x, y = (np.hstack([latent, np.zeros((60, 1))]) + sign * offset for sign in (1, -1))
    search = MixedSearch.of(unit(x), unit(y))
    assert (search.same_modality_share, search.recall(1)) == (1.0, 0.0)
    assert search.expected_share == pytest.approx(30 / 59)


def test_mixed_search_without_a_gap_finds_both_modalities(rng: np.random.Generator, unit: Unit) -> None:
    rows = unit(rng.normal(size=(60, 8)))
    assert MixedSearch.of(rows, rows).same_modality_share == pytest.approx(0.5, abs=0.06)


def test_mixed_search_task_returns_the_summaries_of_the_search(rng: np.random.Generator, unit: Unit) -> None:
    x, y, owner = unit(rng.normal(size=(40, 6))), unit(rng.normal(size=(80, 6))), np.arange(80) // 2
    search = MixedSearch.of(x, y, index=owner, rng=1)
    assert 10 in search.x_ranks
    assert 10 in search.y_ranks
    scores = registry()["mixed_search"].run(TaskData(x, y, owner=owner, seed=1)).scores()
    share = np.mean([np.nanmean(search.x_same_modality), np.nanmean(search.y_same_modality)])
    expected_share = np.mean([np.nanmean(search.x_expected_share), np.nanmean(search.y_expected_share)])
    assert scores == pytest.approx(
        {
            "mixed_R@1": search.recall(1),
            "exchange_R@1": search.exchange(),
            "mixed_R@10": search.recall(10),
            "mixed_MRR": search.mrr(),
            "mixed_NDCG@10": search.ndcg(),
            "same_modality_share": share,
            "same_modality_ratio": share / expected_share,
            "restricted_R@1": search.restricted_recall(),
            "mixed_share_of_restricted": search.recall(1) / search.restricted_recall(),
            "fairness": search.fairness(),
        }
    )


def test_share_sweep_has_five_shares_by_default(captions: Any) -> None:
    shares = [row["share"] for row in share_sweep(captions[0], captions[1], index=captions[2])]
    assert shares == [0.1, 0.25, 0.5, 0.75, 0.9]


def test_share_sweep_is_nested_and_equals_single_searches(captions: Any) -> None:
    x, y, owner = captions
    table = share_sweep(x, y, shares=(0.2, 0.5, 0.8), index=owner, rng=1)
    assert [row["share"] for row in table] == [0.2, 0.5, 0.8]
    searches = [MixedSearch.of(x, y, index=owner, share=share, rng=1) for share in (0.2, 0.5, 0.8)]
    for row, search in zip(table, searches, strict=True):
        assert row["x_R@1"] == np.mean(search.x_ranks[search.x_ranks > 0] == 1)
        assert row["y_NDCG@10"] == np.nanmean(search.y_ndcg)
        assert (row["same_modality_share"], row["expected_share"]) == (
            search.same_modality_share,
            search.expected_share,
        )
    queries = [set(np.flatnonzero(search.x_ranks)) for search in searches]
    assert queries[2] < queries[0]


@pytest.mark.parametrize("share", [0.0, 1.0, 0.001])
def test_mixed_search_with_an_empty_modality_is_refused(captions: Any, share: float) -> None:
    with pytest.raises(InputError, match="leaves one modality of the corpus empty"):
        MixedSearch.of(*captions[:2], index=captions[2], share=share)


def test_mixed_search_of_one_item_is_refused() -> None:
    with pytest.raises(InputError, match="a share of 0.5 of 1 item leaves one modality of the corpus empty"):
        MixedSearch.of(np.eye(1), np.eye(1))
    assert MixedSearch.of(np.eye(2), np.eye(2)).recall() == 1
