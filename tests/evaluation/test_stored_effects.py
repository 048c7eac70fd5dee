"""What items add as stored rows, against searches without each of them."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.evaluation import stored_effects as module
from isthmus.evaluation.item_changes import item_changes
from isthmus.evaluation.pair_groups import N_PAIR_GROUPS, PairGroups
from isthmus.evaluation.split_variance import PARTS
from isthmus.evaluation.stored_effects import StoredEffect, stored_effects
from isthmus.statistics.median import median_influence
from isthmus.tasks import TaskData, TaskScores
from isthmus.tasks._mixed_corpus import stored_items

N, SEED = 30, 5


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    latent = rng.normal(size=(N, 6))
    x, y = latent + rng.normal(size=(2, N, 6))
    return unit(x + 1), unit(y - 1)


def test_stored_effects_on_shares_are_those_of_the_ten_best_rows(rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    unchanged = stored_effects(TaskData(x, y, raw_x=x, raw_y=y, seed=SEED, tasks=["mixed_search"]))
    assert not np.any(unchanged["same_modality_share"].values)
    assert unchanged["same_modality_share"].pair_variance == 0
    half, expected = stored_items(N, 0.5, SEED), np.zeros(N)
    for queries, targets in ((x, y), (y, x)):
        is_own = half[:, None] != half
        scores = np.where(is_own, queries @ queries.T, queries @ targets.T)
        np.fill_diagonal(scores, -np.inf)
        order = np.argsort(-scores, axis=1)[:, :11]
        own = np.take_along_axis(is_own, order, axis=1).astype(float)
        np.add.at(expected, order, (own - own[:, -1:]) / 20)
    # All 15 rows of the own modality precede the others, so that no row changes the share of the raw embeddings.
    raw = unit(np.abs(x))
    effects = stored_effects(TaskData(x, y, raw_x=raw, raw_y=-raw, seed=SEED, tasks=["mixed_search"]))
    assert effects["same_modality_share"].values == pytest.approx(expected)
    assert effects["same_modality_ratio"].values == pytest.approx(2 * expected)


def test_stored_effects_on_ranks_of_mixed_search_are_those_of_searches_without_the_row(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = rows
    raw = unit(rows[0] - 2)
    data = TaskData(x, y, raw_x=raw, raw_y=y, seed=SEED, tasks=["mixed_search"])
    effects, half = stored_effects(data), stored_items(N, 0.5, SEED)
    of_rank = {
        "mixed_R@1": lambda ranks: ranks == 1,
        "mixed_R@10": lambda ranks: ranks <= 10,
        "mixed_MRR": lambda ranks: 1 / ranks,
        "mixed_NDCG@10": lambda ranks: (ranks <= 10) / np.log2(1 + ranks),
    }
    for name, gain in of_rank.items():
        expected = np.zeros(N)
        for sign, first in ((1, x), (-1, raw)):
            for queries, targets in ((first, y), (y, first)):
                is_own = half[:, None] != half
                scores = np.where(is_own, queries @ queries.T, queries @ targets.T)
                is_ahead = scores > np.diag(queries @ targets.T)[:, None]
                np.fill_diagonal(is_ahead, False)
                ranks = 1 + is_ahead.sum(axis=1)
                without = ranks[:, None] - is_ahead  # rank of each query without each row
                difference = gain(ranks)[:, None].astype(float) - gain(without).astype(float)
                expected += sign * difference.sum(axis=0) / 2
        assert effects[name].values == pytest.approx(expected, abs=1e-5), name
        assert np.any(expected), name


def test_stored_effects_on_a_median_cancel_the_influence_of_queries_if_all_queries_see_one_order(
    rng: np.random.Generator,
) -> None:
    """The ranks are 1 to n in every sample. So their median does not vary, but the ranks do."""
    n = 400
    level = rng.permutation(n) / n
    x, y = np.tile([1.0, 0.0], (n, 1)), np.stack([level, np.sqrt(1 - level**2)], axis=1)
    tied = np.ones((n, 2))  # all ranks are n
    effect = stored_effects(TaskData(x, y, raw_x=tied, raw_y=tied, tasks=["retrieval"]))["median_rank"].values
    influence = median_influence(np.argsort(np.argsort(-level)) + 1) / 2
    assert np.std(influence + effect) < 0.3 * np.std(influence)


def test_stored_effects_of_captions_are_summed_over_the_rows_of_an_item(rng: np.random.Generator) -> None:
    x, y = unit(rng.normal(size=(12, 4))), unit(rng.normal(size=(36, 4)))
    owner = np.repeat(np.arange(12), 3)
    raw_x, raw_y = unit(x + 1), unit(y - 1)
    tasks = ["retrieval", "mixed_search"]
    effects = stored_effects(TaskData(x, y, owner=owner, raw_x=raw_x, raw_y=raw_y, seed=1, tasks=tasks))
    order = rng.permutation(36)
    shuffled = TaskData(x, y[order], owner=owner[order], raw_x=raw_x, raw_y=raw_y[order], seed=1, tasks=tasks)
    for name, effect in stored_effects(shuffled).items():
        assert effect.values == pytest.approx(effects[name].values, abs=1e-5)
        assert effect.pair_variance == pytest.approx(effects[name].pair_variance, rel=1e-5)


def test_stored_effects_of_captions_are_those_of_searches_without_all_rows_of_the_item(
    rng: np.random.Generator,
) -> None:
    n = 20
    latent = rng.normal(size=(n, 4))
    x, y = (
        unit(latent + rng.normal(size=(n, 4))),
        unit(np.repeat(latent + 1, 3, axis=0) + 0.3 * rng.normal(size=(60, 4))),
    )
    owner, raw_y = np.repeat(np.arange(n), 3), unit(y - 1)
    data = TaskData(x, y, owner=owner, raw_x=x, raw_y=raw_y, seed=SEED, tasks=["mixed_search"])
    half, expected = stored_items(n, 0.5, SEED), np.zeros(n)
    for sign, captions in ((1, y), (-1, raw_y)):
        for queries, targets, of_queries, of_targets in (
            (x, captions, np.arange(n), owner),
            (captions, x, owner, np.arange(n)),
        ):
            same_half = half[of_queries][:, None] == half
            scores = queries @ targets.T
            best = np.where(of_queries[:, None] == of_targets, scores, -np.inf).max(axis=1, keepdims=True)
            ahead = np.concatenate(
                [
                    (scores > best) & same_half[:, of_targets] & (of_queries[:, None] != of_targets),
                    (queries @ queries.T > best) & ~same_half[:, of_queries] & (of_queries[:, None] != of_queries),
                ],
                axis=1,
            )
            items, ranks = np.concatenate([of_targets, of_queries]), 1 + ahead.sum(axis=1)
            for item in range(n):
                without = 1 + ahead[:, items != item].sum(axis=1)
                expected[item] += sign * np.mean(1 / ranks - 1 / without) / 2
    assert stored_effects(data)["mixed_MRR"].values == pytest.approx(n * expected, abs=1e-5)
    assert np.abs(expected).max() > 0.01


def test_sums_of_pairs_have_the_variance_of_pairs_whatever_their_random_groups(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = rows
    data = TaskData(x, y, raw_x=unit(x - 2), raw_y=y, seed=SEED, tasks=["retrieval", "mixed_search"])
    draws = [stored_effects(data, pair_groups=PairGroups.random(N, seed)) for seed in range(40)]
    for name, effect in draws[0].items():
        squares = [float(draw[name].pair_sums @ draw[name].pair_sums) for draw in draws]
        assert effect.pair_variance > 0, name
        assert np.mean(squares) == pytest.approx(effect.pair_variance, rel=0.15), name


def test_stored_effects_of_many_rows_and_of_rows_of_several_items_are_empty(
    rows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rows
    owner, columns = np.arange(N) // 2, np.arange(N) % 2 + 2 * (np.arange(N) // 4)  # two rows match two rows
    several = TaskData(x[: N // 2], y, owner=owner, y_groups=columns, tasks=["retrieval"])
    assert stored_effects(several) == {}
    monkeypatch.setattr(module, "MAX_SCORES", N**2 - 1)
    assert stored_effects(TaskData(x, y, tasks=["retrieval"])) == {}


def test_item_changes_with_effects_of_stored_rows_add_them_and_subtract_the_variance_of_pairs() -> None:
    scores, raw_scores = (TaskScores({"R@1": np.array(hits)}) for hits in ([1.0, 1.0, 0.0], [0.0, 1.0, 0.0]))
    effect = StoredEffect(np.array([-1.0, 2.0, 0.5]), 0.1**0.5 * np.eye(N_PAIR_GROUPS)[0])
    change = item_changes(scores, raw_scores, np.arange(3), np.arange(3), as_stored={"R@1": effect})["R@1"]
    expected = np.array([1.0 - 1.0, 0.0 + 2.0, 0.0 + 0.5]).var(ddof=1) / 3 - 0.1
    assert (change.value, change.variance) == pytest.approx((1 / 3, expected))
    assert change.pair_sums[:2] == [round(PARTS * (0.1 / expected) ** 0.5), 0]
