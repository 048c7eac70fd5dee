"""Size and scale of the sample of items, and sums by item."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import Moments, Pairs
from isthmus.statistics import influence
from isthmus.statistics.concentration import gini
from isthmus.statistics.influence import InfluenceSample


def pairs_of(rng: np.random.Generator, items: int, rows_per_item: int) -> Pairs:
    index = np.repeat(np.arange(items), rows_per_item)
    rng.shuffle(index)
    x = rng.normal(size=(items, 3))
    return Pairs(image=x, text=x[index] + rng.normal(size=(len(index), 3)), index=index)


def sample_of(pairs: Pairs) -> InfluenceSample:
    return InfluenceSample.of(pairs, Moments.of(pairs))


def test_sample_has_at_most_2000_items(rng: np.random.Generator) -> None:
    assert sample_of(pairs_of(rng, 2_500, 1)).items == 2_000
    assert sample_of(pairs_of(rng, 1_500, 1)).items == 1_500


def test_sample_of_items_with_many_pairs_has_fewer_items(rng: np.random.Generator) -> None:
    assert sample_of(pairs_of(rng, 900, 4)).items == 500  # 2,000 pairs
    assert sample_of(pairs_of(rng, 300, 20)).items == 200  # never fewer than 200 items
    assert sample_of(pairs_of(rng, 150, 20)).items == 150


def test_scale_turns_a_sum_over_the_sample_into_one_over_all_items(rng: np.random.Generator) -> None:
    pairs = pairs_of(rng, 900, 4)
    assert sample_of(pairs).scale == pytest.approx(900 / 500 / 3_600**2)


def test_pairs_of_an_item_stand_together(rng: np.random.Generator) -> None:
    pairs = pairs_of(rng, 20, 3)
    sample = sample_of(pairs)
    assert sample.counts.tolist() == [3.0] * 20
    assert sample.begins is not None
    assert sample.begins.tolist() == list(range(0, 60, 3))
    x = pairs.unit()[0]
    np.testing.assert_allclose(sample.x, np.repeat(x, 3, axis=0), atol=1e-6)
    for first, second in sample.within_item_pairs:
        assert (first // 3 == second // 3).all()
    assert sum(len(first) for first, _ in sample.within_item_pairs) == 20 * 3


def test_one_pair_per_item_has_no_couples_within_an_item(rng: np.random.Generator) -> None:
    sample = InfluenceSample(*rng.normal(size=(2, 5, 3)), None, scale=1.0)
    assert sample.within_item_pairs == []
    assert sample.counts.tolist() == [1.0] * 5


def test_variance_of_a_mean_is_its_squared_standard_error(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(2, 40, 3))
    sample = InfluenceSample(*rows, None, scale=1 / 40**2)
    scores = rng.normal(size=40)
    assert sample.variance(scores) == pytest.approx(np.var(scores, ddof=1) / 40, rel=1e-10)
    both = sample.covariance(scores, 2 * scores)
    np.testing.assert_allclose(both, sample.variance(scores) * np.array([[1, 2], [2, 4]]), rtol=1e-10)


def test_variance_of_one_item_is_finite(rng: np.random.Generator) -> None:
    sample = InfluenceSample(*rng.normal(size=(2, 1, 3)), None, scale=1.0)
    assert sample.variance(np.ones(1)) == 0.0


def test_bias_is_the_scaled_sum(rng: np.random.Generator) -> None:
    sample = InfluenceSample(*rng.normal(size=(2, 4, 3)), None, scale=0.25)
    assert sample.bias(np.array([1.0, 2.0, 3.0, 6.0])) == 3.0


def test_random_order_is_the_same_for_rows_in_another_order(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 30, 3))
    shuffle = rng.permutation(30)
    sample = InfluenceSample(x, y, None, scale=1.0)
    shuffled = InfluenceSample(x[shuffle], y[shuffle], None, scale=1.0)
    np.testing.assert_array_equal(shuffle[shuffled.random_order], sample.random_order)
    np.testing.assert_array_equal(sample.swapped().random_order, sample.random_order)
    cosines = np.einsum("ij,ij->i", x, y)[sample.random_order]
    assert not (np.diff(cosines) > 0).all()


def test_random_order_takes_the_mean_cosine_of_an_item(rng: np.random.Generator) -> None:
    x = np.ones((6, 1))
    y = np.array([[1.0], [1.0], [1.0], [2.0], [0.5], [0.5]])  # items 0, 1, 2 with 3, 1 and 2 pairs
    sample = InfluenceSample(x, y, np.array([0, 3, 4]), scale=1.0)
    order = np.argsort([1.0, 2.0, 0.5])[np.random.default_rng(0).permutation(3)]
    assert sample.random_order.tolist() == order.tolist()


def test_sample_sizes_are_the_documented_ones() -> None:
    assert (influence.SAMPLE_ITEMS, influence.MIN_SAMPLE_ITEMS) == (2_000, 200)


@pytest.mark.parametrize(
    ("counts", "expected"), [([4, 4], 0.0), ([0, 10], 0.5), ([1, 2, 3], 2 / 9), ([3, 1, 2], 2 / 9)]
)
def test_gini_is_the_mean_difference_over_twice_the_mean(counts: list[int], expected: float) -> None:
    values = np.array(counts, dtype=float)
    by_differences = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert gini(values) == pytest.approx(expected, abs=1e-12)
    assert by_differences == pytest.approx(expected, abs=1e-12)
