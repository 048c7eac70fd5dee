"""The exchange score against a slow loop, its bounds, and scores that prefer one modality."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from isthmus.tasks import MixedSearch, TaskData, registry

Unit = Callable[[np.ndarray], np.ndarray]
#: Mixed, restricted and exchanged hit of each query.
Hits = dict[int, tuple[bool, bool, bool]]


class BlockCorrection:
    """Random scores: a scale and an offset for each pair of modalities, and a coin for each query.

    The coin of a query adds `coin` times 1 or -1 to all scores of the other modality.
    """

    def __init__(self, seed: int, *, offset: float = 0.0, coin: float = 0.0):
        rng = np.random.default_rng(seed)
        self.scales = {name: rng.uniform(0.2, 3) for name in ("xx", "xy", "yx", "yy")}
        self.offsets = {name: rng.normal() + offset * (name[0] != name[1]) for name in self.scales}
        self.coin = coin

    def query(self, rows: np.ndarray, *, modality: str, index: str = "exact") -> np.ndarray:
        return np.column_stack([rows, np.ones(len(rows)), np.where(rows[:, 0] > 0, 1.0, -1.0)])

    def stored(self, rows: np.ndarray, *, modality: str, queries: str) -> np.ndarray:
        constant = np.ones((len(rows), 1))
        preference = self.coin * constant * (queries != modality)
        return np.hstack(
            [self.scales[queries + modality] * rows, self.offsets[queries + modality] * constant, preference]
        )


def random_pairs(rng: np.random.Generator, unit: Unit, n: int = 40, *, captions: bool = False) -> Any:
    owner = rng.integers(0, n, 2 * n) if captions else np.arange(n)
    latent = rng.normal(size=(n, 6))
    x = unit(latent + 0.5 * rng.normal(size=latent.shape) + 0.5 * np.eye(6)[0])
    return x, unit(latent[owner] + 0.5 * rng.normal(size=(len(owner), 6))), owner


def slow_hits(x: Any, y: Any, owner: Any, as_x: Any, correction: Any) -> dict[str, Hits]:
    """Return the hits of one corpus by loops over queries, from the definition."""
    items = {"x": np.arange(len(x)), "y": owner}
    rows = {"x": x, "y": y}
    stored = {"x": [i for i in range(len(x)) if as_x[i]], "y": [j for j in range(len(y)) if not as_x[owner[j]]]}
    hits: dict[str, Hits] = {}
    for modality, other in (("x", "y"), ("y", "x")):
        queries = [row for row in range(len(rows[modality])) if as_x[items[modality][row]] == (modality == "y")]
        scores: dict[int, tuple[float, list[float], list[float]]] = {}
        for query in queries:
            vectors = {
                name: [correction.stored(rows[name][[row]], modality=name, queries=modality)[0] for row in stored[name]]
                for name in "xy"
            }
            vector = correction.query(rows[modality][[query]], modality=modality)[0]
            is_target = [items[other][row] == items[modality][query] for row in stored[other]]
            all_other = [float(vector @ row) for row in vectors[other]]
            target = max(score for score, matches in zip(all_other, is_target, strict=True) if matches)
            rest = [score for score, matches in zip(all_other, is_target, strict=True) if not matches]
            own = [float(vector @ row) for row in vectors[modality]]
            scores[query] = (target, sorted(own, reverse=True), sorted(rest, reverse=True))
        own_lead = np.mean([own[0] - np.mean(own[:10]) for _, own, _ in scores.values()])
        other_lead = np.mean([rest[0] - np.mean(rest[:10]) for _, _, rest in scores.values()])
        rho = own_lead / other_lead
        hits[modality] = {}
        for query, (target, own, rest) in scores.items():
            margin, difference = target - rest[0], own[0] - rest[0]
            hits[modality][query] = (
                bool(margin > 0 and margin > difference),
                bool(margin > 0),
                bool(margin > 0 and rho * margin > -difference),
            )
    return hits


@pytest.mark.parametrize("captions", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_exchange_equals_a_slow_loop(rng: np.random.Generator, unit: Unit, captions: bool, seed: int) -> None:
    x, y, owner = random_pairs(rng, unit, captions=captions)
    correction = BlockCorrection(seed)
    search = MixedSearch.of(x, y, index=owner, rng=seed, correction=correction)
    as_x = np.random.default_rng(seed).permutation(len(x)) < len(x) // 2
    without_y = np.bincount(owner, minlength=len(x)) == 0
    expected: dict[str, Hits] = {"x": {}, "y": {}}
    for choice in (as_x, ~as_x):
        for modality, hits in slow_hits(x, y, owner, choice | without_y, correction).items():
            expected[modality].update(hits)
    for ranks, restricted, exchanged, hits in (
        (search.x_ranks, search.x_restricted, search.x_exchanged, expected["x"]),
        (search.y_ranks, search.y_restricted, search.y_exchanged, expected["y"]),
    ):
        assert set(np.flatnonzero(~np.isnan(exchanged))) == set(hits)
        for query, values in hits.items():
            assert (ranks[query] == 1, restricted[query], exchanged[query]) == values
    means = [np.mean(list(hits.values()), axis=0) for hits in expected.values()]
    mixed, recall, exchanged_share = np.mean(means, axis=0)
    assert 0 < mixed < recall
    assert search.exchange() == pytest.approx((mixed + exchanged_share) / 2)
    assert search.restricted_recall() == pytest.approx(recall)
    both = np.mean([np.mean([a and c for a, _, c in hits.values()]) for hits in expected.values()])
    assert search.fairness() == pytest.approx(both / recall)


@pytest.mark.parametrize("seed", range(60))
def test_exchange_is_between_half_and_all_of_the_restricted_recall(seed: int, unit: Unit) -> None:
    """Random sizes, pairings, offsets and corrections, every third time with many ties."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    x, y, owner = random_pairs(rng, unit, size)
    if seed % 3 == 0:
        x, y = np.round(x), np.round(y)
    if seed % 2 and size > 3:  # two captions for each item but the last
        y, owner = y[:-1].repeat(2, axis=0), owner[:-1].repeat(2)
    correction = BlockCorrection(seed, offset=rng.uniform(-3, 3))
    search = MixedSearch.of(x, y, index=owner, rng=seed, correction=correction)
    recall = search.restricted_recall()
    assert recall / 2 - 1e-12 <= search.exchange() <= recall + 1e-12
    assert search.recall(1) <= recall + 1e-12
    assert 0 <= search.fairness() <= 1 + 1e-12
    for ranks, restricted, exchanged in (
        (search.x_ranks, search.x_restricted, search.x_exchanged),
        (search.y_ranks, search.y_restricted, search.y_exchanged),
    ):
        hits = restricted == 1  # one of the two hits at least, for each query
        assert np.all((ranks == 1)[hits] | (exchanged == 1)[hits])
        assert not np.any((ranks == 1)[~hits] | (exchanged == 1)[~hits])


@pytest.mark.parametrize(
    ("correction", "mixed_share"),
    [
        (BlockCorrection(1, offset=1e3), 1.0),  # always the other modality
        (BlockCorrection(1, offset=-1e3), 0.0),  # always the modality of the query
        (BlockCorrection(1, coin=1e3), None),  # one modality for each query, by a coin
    ],
)
def test_exchange_of_a_score_that_prefers_one_modality_is_half_of_the_restricted_recall(
    rng: np.random.Generator, unit: Unit, correction: BlockCorrection, mixed_share: float | None
) -> None:
    x, y, owner = random_pairs(rng, unit, 60)
    search = MixedSearch.of(x, y, index=owner, correction=correction)
    recall = search.restricted_recall()
    assert recall > 0.3
    assert search.exchange() == pytest.approx(recall / 2, abs=1e-12)
    assert search.fairness() == pytest.approx(0, abs=1e-12)
    scores = registry()["mixed_search"].run(TaskData(x, y, correction=correction)).scores()
    if mixed_share is None:
        assert 0.2 < scores["mixed_share_of_restricted"] < 0.8
    else:
        assert scores["mixed_share_of_restricted"] == mixed_share
        assert scores["same_modality_share"] == 1 - mixed_share


def test_exchange_does_not_rise_with_an_offset_that_mixed_recall_rewards(rng: np.random.Generator, unit: Unit) -> None:
    x, y, owner = random_pairs(rng, unit, 200)
    searches = [
        MixedSearch.of(x, y, index=owner, correction=OffsetCorrection(offset)) for offset in np.linspace(-1, 1, 9)
    ]
    mixed, exchange = (
        [float(score) for score in values]
        for values in zip(*((search.recall(1), search.exchange()) for search in searches), strict=True)
    )
    assert mixed == sorted(mixed)
    assert 0 < int(np.argmax(exchange)) < 8
    assert max(exchange) > 1.3 * exchange[8]


class OffsetCorrection(BlockCorrection):
    """Inner products with a constant added to the scores of the other modality."""

    def __init__(self, offset: float):
        super().__init__(0)
        self.scales = dict.fromkeys(self.scales, 1.0)
        self.offsets = {name: offset * (name[0] != name[1]) for name in self.scales}


def test_restricted_recall_is_that_of_a_search_in_one_modality(rng: np.random.Generator, unit: Unit) -> None:
    x, y, owner = random_pairs(rng, unit, 30)
    search = MixedSearch.of(x, y, index=owner, rng=4)
    as_x = np.random.default_rng(4).permutation(30) < 15
    hits = []
    for choice in (as_x, ~as_x):
        stored_y, stored_x = np.flatnonzero(~choice), np.flatnonzero(choice)
        hits += [stored_y[np.argmax(x[i] @ y[stored_y].T)] == i for i in stored_y]
        hits += [stored_x[np.argmax(y[j] @ x[stored_x].T)] == j for j in stored_x]
    assert search.restricted_recall() == pytest.approx(np.mean(hits))


def test_ties_count_against_the_query(unit: Unit) -> None:
    """All rows are equal: nothing is found, also not in the restricted search."""
    rows = np.tile(unit(np.ones((1, 3))), (12, 1))
    search = MixedSearch.of(rows, rows)
    assert (search.recall(1), search.restricted_recall(), search.exchange(), search.fairness()) == (0, 0, 0, 0)


def test_ratios_have_values_per_item_that_follow_the_delta_method(rng: np.random.Generator, unit: Unit) -> None:
    x, y, owner = random_pairs(rng, unit, 50, captions=True)
    result = registry()["mixed_search"].run(TaskData(x, y, owner=owner))
    mixed, restricted = (result.per_item[name] for name in ("mixed_R@1", "restricted_R@1"))
    ratio = mixed.mean() / restricted.mean()
    values = result.per_item["mixed_share_of_restricted"]
    assert values.mean() == pytest.approx(ratio)
    assert values - ratio == pytest.approx((mixed - ratio * restricted) / restricted.mean())
    exchange = result.per_item["exchange_R@1"].mean()
    assert result.per_item["fairness"].mean() == pytest.approx(2 * exchange / restricted.mean() - 1)


def test_two_items_have_no_competitor_in_the_modality_of_the_target(unit: Unit) -> None:
    x = unit(np.array([[1.0, 0.1], [0.1, 1.0]]))
    search = MixedSearch.of(x, x)
    assert (search.recall(1), search.restricted_recall(), search.exchange()) == (1, 1, 1)
