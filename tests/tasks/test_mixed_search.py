"""Mixed-modality search against a slow loop over queries, captions and shares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from isthmus import InputError
from isthmus.align import ScoreStandardization
from isthmus.tasks import MixedSearch, share_sweep


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def sides(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    owner = rng.integers(0, 30, 70)
    latent = rng.normal(size=(30, 6))
    return unit(latent + 0.5 * rng.normal(size=(30, 6))), unit(latent[owner] + 0.5 * rng.normal(size=(70, 6))), owner


def slow(
    x: Any, y: Any, owner: Any, as_x: Any, score: Any = lambda q, kind, row, vector: row @ vector
) -> tuple[dict[int, Any], dict[int, Any]]:
    """For every x query and y query: rank of its best row, NDCG@10, own share of the top 10."""
    corpus = [("x", i, x[i]) for i in range(len(x)) if as_x[i]]
    corpus += [("y", owner[j], y[j]) for j in range(len(y)) if not as_x[owner[j]]]
    found: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
    queries = [(0, i, i, x[i]) for i in range(len(x)) if not as_x[i]]
    queries += [(1, j, owner[j], y[j]) for j in range(len(y)) if as_x[owner[j]]]
    for side, number, item, row in queries:
        scored = sorted(
            ((float(score("xy"[side], kind, row, vector)), kind, of == item) for kind, of, vector in corpus),
            reverse=True,
        )
        places = [place for place, (_, _, relevant) in enumerate(scored, start=1) if relevant]
        ideal = sum(1 / math.log2(1 + p) for p in range(1, min(10, len(places)) + 1))
        gain = sum(1 / math.log2(1 + p) for p in places if p <= 10) / ideal
        own = np.mean([kind == "xy"[side] for _, kind, relevant in scored if not relevant][:10])
        found[side][number] = (places[0], gain, own)
    return found


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.8])
def test_search_is_that_of_a_slow_loop(sides: Any, share: float, standardised: bool) -> None:
    x, y, owner = sides
    options: dict[str, Any] = {}
    if standardised:
        x = unit(x + np.eye(6)[0])  # an offset, which the correction takes out
        levels = ScoreStandardization().fit(x, y, index=owner)

        def score(q: str, kind: str, row: Any, vector: Any) -> float:
            mean, deviation = levels.level(query=q, stored=kind)
            return float((row @ vector - mean) / deviation)

        options = {"score": score}
    found = MixedSearch.of(x, y, index=owner, share=share, rng=3, correction=levels if standardised else None)
    count = 15 if share == 0.5 else round(30 * share)
    as_x = np.random.default_rng(3).permutation(30) < count
    lonely = np.bincount(owner, minlength=30) == 0
    expected: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
    for choice in (as_x, ~as_x) if share == 0.5 else (as_x,):
        for whole, part in zip(expected, slow(x, y, owner, choice | lonely, **options), strict=True):
            whole.update(part)
    for ranks, gains, own, side in (
        (found.x_ranks, found.x_ndcg, found.x_same_modality, expected[0]),
        (found.y_ranks, found.y_ndcg, found.y_same_modality, expected[1]),
    ):
        assert set(np.flatnonzero(ranks)) == set(side)
        for number, (rank, gain, part) in side.items():
            assert ranks[number] == rank
            assert gains[number] == pytest.approx(gain)
            assert own[number] == pytest.approx(part)
    assert found.same_modality_share == pytest.approx(np.mean([v[2] for side in expected for v in side.values()]))
    assert found.recall(1) == pytest.approx(np.mean([np.mean([v[0] == 1 for v in s.values()]) for s in expected]))
    assert found.mrr() == pytest.approx(np.mean([np.mean([1 / v[0] for v in s.values()]) for s in expected]))
    assert found.hits.mean() == pytest.approx(found.recall(1))


def test_ndcg_is_that_of_scikit_learn(sides: Any) -> None:
    x, y, owner = sides
    x, y = x[np.unique(owner)], y[np.unique(owner, return_index=True)[1]]
    found = MixedSearch.of(x, y, rng=0)
    as_x = np.random.default_rng(0).permutation(len(x)) < len(x) // 2
    gains = []
    for choice in (as_x, ~as_x):
        corpus, queries = np.where(choice[:, None], x, y), np.where(choice[:, None], y, x)
        for i in range(len(x)):
            gains.append(ndcg_score(np.eye(len(x))[i : i + 1], (queries[i] @ corpus.T)[None], k=10))
    assert found.ndcg() == pytest.approx(np.mean(gains))
    assert found.ndcg(5) <= found.ndcg(10)


def test_a_gap_hides_the_other_modality(rng: np.random.Generator) -> None:
    latent = rng.normal(size=(60, 8))
    far = np.zeros(9)
    far[8] = 20
    x, y = (np.hstack([latent, np.zeros((60, 1))]) + sign * far for sign in (1, -1))
    found = MixedSearch.of(unit(x), unit(y))
    assert (found.same_modality_share, found.recall(1), found.expected_share) == (1.0, 0.0, 0.5)
    assert MixedSearch.of(unit(latent), unit(latent)).same_modality_share == pytest.approx(0.5, abs=0.06)


def test_the_sweep_is_nested_and_names_what_is_fair(sides: Any) -> None:
    x, y, owner = sides
    table = share_sweep(x, y, shares=(0.2, 0.5, 0.8), index=owner, rng=1)
    assert [row["share"] for row in table] == [0.2, 0.5, 0.8]
    one = MixedSearch.of(x, y, index=owner, share=0.2, rng=1)
    assert table[0]["x_R@1"] == np.mean(one.x_ranks[one.x_ranks > 0] == 1)
    assert table[0]["same_modality_share"] == one.same_modality_share
    asked = [set(np.flatnonzero(MixedSearch.of(x, y, index=owner, share=s, rng=1).x_ranks)) for s in (0.2, 0.8)]
    assert asked[1] < asked[0]


@pytest.mark.parametrize("share", [0.0, 1.0, 0.001])
def test_a_share_that_leaves_nothing_is_refused(sides: Any, share: float) -> None:
    with pytest.raises(InputError, match="leaves one modality of the corpus empty"):
        MixedSearch.of(*sides[:2], index=sides[2], share=share)
