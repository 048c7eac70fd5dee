"""Intervals of recall count queries that share a corpus as dependent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

import isthmus
from isthmus.statistics.intervals import wilson_interval
from isthmus.tasks import _corpus_effects
from isthmus.tasks.matches import Matches
from isthmus.tasks.retrieval import RECALL_RANKS, Retrieval

LAYOUTS = {
    "pairs": (np.arange(30), np.arange(30)),
    "three captions": (np.repeat(np.arange(20), 3), np.arange(60)),
    "repeated captions": (np.arange(60), np.arange(60) // 3),
    "two images and three captions": (
        np.repeat(2 * np.arange(15), 4) + np.tile([0, 0, 1, 1], 15),
        np.repeat(3 * np.arange(15), 4) + np.tile([0, 1, 1, 2], 15),
    ),
}


def unit_rows(layout: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    owner, columns = LAYOUTS[layout]
    x, y = rng.normal(size=(owner.max() + 1, 6)), rng.normal(size=(columns.max() + 1, 6))
    np.add.at(y, columns, x[owner])
    return x / np.linalg.norm(x, axis=1, keepdims=True), y / np.linalg.norm(y, axis=1, keepdims=True)


def hits_without(scores: np.ndarray, is_match: np.ndarray, is_left: np.ndarray, k: int) -> np.ndarray:
    best = np.where(is_match, scores, -np.inf).max(axis=1, keepdims=True)
    hits: np.ndarray = ((scores >= best) & ~is_match & is_left).sum(axis=1) < k
    return hits


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("listed", [2**22, 1])
def test_released_queries_equal_those_of_a_search_without_each_component(
    layout: str, listed: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_corpus_effects, "LISTED", listed)
    owner, columns = LAYOUTS[layout]
    x, y = unit_rows(layout, rng)
    matches = Matches.of(len(x), len(owner), owner, columns)
    ranks = Retrieval.of(x, y[columns], index=owner, y_groups=columns)
    is_match = np.zeros((len(x), len(y)), dtype=bool)
    is_match[owner, columns] = True
    sides = (
        (ranks.effects_x, x @ y.T, is_match, matches.x_components, matches.y_components),
        (ranks.effects_y, y @ x.T, is_match.T, matches.y_components, matches.x_components),
    )
    for effects, scores, is_match_of_query, component, row_component in sides:
        for k in RECALL_RANKS:
            hits, squares = hits_without(scores, is_match_of_query, np.ones(1, dtype=bool), k), 0.0
            for number in range(matches.x_components.max() + 1):
                is_released = hits_without(scores, is_match_of_query, row_component != number, k) & ~hits
                is_released[component == number] = False
                assert effects[k].released[number] == is_released.sum()
                squares += float(np.sum(np.bincount(component[is_released]) ** 2.0))
            assert effects[k].interaction.sum() == pytest.approx(squares)
    assert sum(effect.released.sum() for effect in ranks.effects_x.values()) > 5


def test_only_components_that_may_release_a_query_are_held() -> None:
    """One hundred rows stand before the match: 95 of component 1, and one of each of five others."""
    row_owner = np.concatenate([np.ones(95, dtype=int), np.arange(2, 7), [0]])
    held = _corpus_effects._rows_before(
        np.array([0]), lambda queries, length: np.arange(length)[None], 101, np.array([100]), 10, np.array([100]),
        np.array([0]), row_owner, 7,
    )  # fmt: skip
    assert [column.tolist() for column in held] == [[0], [1], [95]]


def test_recall_interval_is_wider_if_few_rows_stand_before_the_matches_of_many_queries() -> None:
    """Without one row that 90 of 200 queries prefer, they would be hits."""
    hits = np.arange(200) < 60
    released = np.where(np.arange(200) == 199, 90.0, 0.0)
    effect = _corpus_effects.CorpusEffect(np.arange(200), released, released)
    ranks = Retrieval(np.where(hits, 1, 2), np.ones(200, dtype=int), 200, 200, None, effects_x={1: effect})
    shared, independent = ranks.recall(1)[0], wilson_interval(60, 200)
    assert shared.high - shared.low > 5 * (independent[1] - independent[0])


def test_recall_interval_of_the_sweep_equals_that_of_a_search(rng: np.random.Generator) -> None:
    x, y = unit_rows("pairs", rng)
    names = [f"x_to_y_R@{k}" for k in RECALL_RANKS] + [f"y_to_x_R@{k}" for k in RECALL_RANKS]
    pairs = isthmus.Pairs(x=x, y=y)
    alone, beside_neighbours = (isthmus.measure(pairs, metrics=[*names, *more]) for more in ([], ["mixing_rate"]))
    searched = Retrieval.of(x, y)
    for direction, prefix in enumerate(("x_to_y", "y_to_x")):
        for k in RECALL_RANKS:
            expected = searched.recall(k)[direction]
            for measured in (alone, beside_neighbours):
                assert measured[f"{prefix}_R@{k}"].low == pytest.approx(expected.low, abs=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_effective_number_of_nearest_rows_equals_a_loop(layout: str, rng: np.random.Generator) -> None:
    owner, columns = LAYOUTS[layout]
    x, y = unit_rows(layout, rng)
    component = Matches.of(len(x), len(owner), owner, columns).y_components
    effects = Retrieval.of(x, y[columns], index=owner, y_groups=columns).effects_x
    for k in RECALL_RANKS:
        counts = dict.fromkeys(component.tolist(), 0)
        for item, scores in enumerate(x @ y.T):
            wrong = [row for row in np.argsort(-scores) if row not in set(columns[owner == item])]
            for row in wrong[:k]:
                counts[component[row]] += 1
        expected = sum(counts.values()) ** 2 / sum(count**2 for count in counts.values())
        assert effects[k].effective_rows == pytest.approx(expected)


def test_variance_is_below_that_of_independent_queries_only_if_many_rows_are_near(rng: np.random.Generator) -> None:
    """Where a query is a hit, the rows of two others turn into hits without it: queries compete for ranks."""
    hits = rng.permutation(400) < 200
    independent = 400 * 0.25
    many = _corpus_effects.CorpusEffect(np.arange(400), 0.6 * hits, np.zeros(400), 300.0)
    few = _corpus_effects.CorpusEffect(np.arange(400), 0.6 * hits, np.zeros(400), 30.0)
    assert many.variance(hits, independent) < 0.3 * independent
    assert few.variance(hits, independent) == independent


def test_variance_is_wider_if_few_rows_are_nearest_to_most_queries() -> None:
    hits, released, none = np.arange(400) % 2 == 0, np.arange(400) % 5.0, np.zeros(400)
    effects = [_corpus_effects.CorpusEffect(np.arange(400), released, none, rows) for rows in (6.0, 30.0, 400.0)]
    variances = [effect.variance(hits, 100.0) for effect in effects]
    quantiles = [student.ppf(0.975, freedom) for freedom in (3, 15)]
    assert variances[0] / variances[1] == pytest.approx((quantiles[0] / quantiles[1]) ** 2)
    assert variances[1] > variances[2] > 100


@pytest.mark.slow
@pytest.mark.parametrize("captions", [1, 5])
def test_recall_intervals_cover_where_few_rows_are_near_many_queries(captions: int) -> None:
    """Isotropic caps. Intervals for independent queries cover .68 to .92, and these .92 to .98."""
    d, n, owner = 24, 200, np.repeat(np.arange(200), captions)

    def cap(directions: np.ndarray, axis: int, rng: np.random.Generator) -> np.ndarray:
        heights = rng.beta(8, 2, size=(len(directions), 1))
        directions[:, axis] = 0
        rows = directions / np.linalg.norm(directions, axis=1, keepdims=True) * np.sqrt(1 - heights**2)
        rows[:, axis] = heights[:, 0]
        return rows

    estimates = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        latent = rng.normal(size=(n, d))
        x = cap(latent + 0.5 * rng.normal(size=latent.shape), 0, rng)
        y = cap(latent[owner] + 0.7 * rng.normal(size=(len(owner), d)), 1, rng)
        ranks = Retrieval.of(x, y, index=owner)
        estimates.append([e for k in RECALL_RANKS for e in ranks.recall(k)])
    for column in zip(*estimates, strict=True):
        true = float(np.mean([e.value for e in column]))
        assert 0.91 <= np.mean([e.low <= true <= e.high for e in column]) <= 0.995
