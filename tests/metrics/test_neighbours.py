"""Neighbourhoods against scikit-learn and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import kurtosis, norm
from scipy.stats import t as student
from sklearn.neighbors import NearestNeighbors

import isthmus
from isthmus import Pairs
from isthmus.compute import score_matrix
from isthmus.compute.score_matrix import select_topk
from isthmus.compute.topk import topk
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.metrics._score_sweep import sweep_rows
from isthmus.metrics.recall import SampledRetrieval
from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.moments import moments_of


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(pairs: Pairs, name: str, **options: Any) -> isthmus.Estimate:
    return next(iter(isthmus.measure(pairs, metrics=[name], **options).values()))


def neighbours_of(rows: np.ndarray, k: int) -> np.ndarray:
    model = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)
    return model.kneighbors(return_distance=False)  # without the row itself


@pytest.mark.parametrize("columns", [5, 40, 400, 407, 5000])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_select_topk_equals_a_sort(rng: np.random.Generator, columns: int, dtype: str) -> None:
    scores = rng.normal(size=(30, columns)).astype(dtype)
    scores[3] = np.sort(scores[3])  # the largest beside each other
    scores[4, :] = -np.inf
    scores[4, :5] = 1, 2, 3, 4, 5
    values, index = select_topk(scores.copy(), 5)
    np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :5])
    np.testing.assert_array_equal(np.take_along_axis(scores, index, axis=1), values)


def test_neighbours_equal_loops(cones: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = map(unit, cones)
    n, k = len(x), 6
    monkeypatch.setattr(score_matrix, "BLOCK_SCORES", 7 * n)  # eighteen blocks
    estimates = Neighbours.of(x, y, k=k)
    for mine, within, across, rank, before, other in (
        (x, estimates.xx, estimates.xy, estimates.rank_x, estimates.before_x, y),
        (y, estimates.yy, estimates.yx, estimates.rank_y, estimates.before_y, x),
    ):
        np.testing.assert_array_equal(within.index, neighbours_of(mine, k))
        expected_before = np.zeros(n, dtype=int)
        for i in range(n):
            np.testing.assert_array_equal(across.index[i], np.argsort(-(other @ mine[i]))[:k])
            ahead = 0
            for j in set(range(n)) - {i}:
                hits = int(mine[j] @ mine[i] >= other[i] @ mine[i]) + int(other[j] @ mine[i] >= other[i] @ mine[i])
                ahead += hits
                expected_before[j] += hits
            assert rank[i] == 1 + ahead
        np.testing.assert_array_equal(before, expected_before)


def test_topk_of_other_queries_equals_a_sort(rng: np.random.Generator) -> None:
    queries, corpus = rng.normal(size=(9, 4)), rng.normal(size=(200, 4))
    estimates = topk(queries, corpus, k=3, exclude_self=False)
    np.testing.assert_array_equal(estimates.index, np.argsort(-(queries @ corpus.T), axis=1)[:, :3])


def test_mutual_knn_and_its_interval_equal_scikit_learn(cones: Any) -> None:
    x, y = cones
    a, b = neighbours_of(x, 10), neighbours_of(y, 10)
    shares = np.array([len(set(p) & set(q)) / 10 for p, q in zip(a, b, strict=True)])
    e = measured(Pairs(image=x, text=y), "mutual_knn")
    assert e.value == pytest.approx(shares.mean(), abs=1e-12)
    assert e.null == pytest.approx(10 / 119)
    near_x, near_y = np.zeros((2, 120, 120))
    for near, index in ((near_x, a), (near_y, b)):
        np.put_along_axis(near, index, 1.0, axis=1)
    residuals = near_x * near_y - e.value / 2 * (near_x + near_y)
    of_pairs = residuals + residuals.T  # a pair of items is dependent on all others that share an item
    parts = of_pairs.sum(axis=1) ** 2 - (of_pairs**2).sum(axis=1) / 2
    freedom = 2 * parts.sum() ** 2 / (120 * parts.var())
    variance = parts.sum() / 1200**2 * (student.ppf(0.975, freedom) / 1.959963984540054) ** 2
    trials = e.value * (1 - e.value) / variance
    assert (e.low, e.high) == pytest.approx(wilson_interval(e.value * trials, trials), abs=1e-9)


def test_mutual_knn_of_a_shuffle_has_the_null_mean(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 5))
    values = [measured(Pairs(image=x, text=x[rng.permutation(60)]), "mutual_knn").value for _ in range(40)]
    assert np.mean(values) == pytest.approx(10 / 59, abs=0.01)


def shares_of_the_other_side(x: np.ndarray, y: np.ndarray, k: int) -> float:
    union = np.vstack([x, y])
    n = len(x)
    return float(np.mean([(i < n) != (j < n) for i, row in enumerate(neighbours_of(union, k)) for j in row]))


def test_mixing_rate_equals_scikit_learn(cones: Any) -> None:
    x, y = map(unit, cones)
    shift = 0.85 * (y.mean(axis=0) - x.mean(axis=0))  # so that the two clouds touch
    for a in (x, x + shift):
        e = measured(Pairs(image=a, text=y), "mixing_rate")
        assert e.value == pytest.approx(shares_of_the_other_side(a, y, 20), abs=1e-12)
    assert 0.05 < e.value < 0.6
    assert e.null == pytest.approx(120 / 239)


def test_mixing_rate_interval_equals_the_jackknife(rng: np.random.Generator) -> None:
    x = unit(rng.normal(size=(40, 4)) + 0.6 * np.eye(4)[0])
    y = unit(x + 0.4 * rng.normal(size=(40, 4)))
    y[7] = unit(x[7:8] + 0.01)  # both rows of an item in the lists
    e = measured(Pairs(image=x, text=y), "mixing_rate")
    left_out = np.array([shares_of_the_other_side(np.delete(x, i, 0), np.delete(y, i, 0), 20) for i in range(40)])
    error = np.sqrt(39 / 40 * np.sum((left_out - left_out.mean()) ** 2))
    error *= student.ppf(0.975, min(2 * 40 / (kurtosis(left_out, fisher=False) - 1), 39)) / 1.959963984540054
    trials = e.value * (1 - e.value) / error**2
    assert (e.low, e.high) == pytest.approx(wilson_interval(e.value * trials, trials), abs=1e-10)


def test_mixing_rate_of_zero_has_an_upper_bound(cones: Any) -> None:
    e = measured(Pairs(image=cones[0] + 50 * np.eye(12)[7], text=cones[1]), "mixing_rate")
    assert e.value == e.low == 0
    assert e.high == pytest.approx(1 - 0.025 ** (1 / 120))


def test_mixed_partner_rank_and_its_jackknife_equal_a_loop(cones: Any) -> None:
    def slow(x: np.ndarray, y: np.ndarray) -> float:
        scores = np.hstack([x @ x.T, x @ y.T])
        np.fill_diagonal(scores, -np.inf)
        return float(np.mean(np.sum(scores >= np.sum(x * y, axis=1)[:, None] - 1e-15, axis=1)))

    x, y = map(unit, cones)
    n = len(x)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=["mixed_partner_rank_{side}"])
    image, text = estimates["mixed_partner_rank_image"], estimates["mixed_partner_rank_text"]
    assert image.value == pytest.approx(slow(x, y), abs=1e-9)
    assert text.value == pytest.approx(slow(y, x), abs=1e-9)
    assert image.null == n
    # (rank - 1) / (n - 1) without each item, as if n items were left
    left_out = [(slow(np.delete(x, i, 0), np.delete(y, i, 0)) - 1) / (n - 2) * (n - 1) for i in range(n)]
    df = 2 * n / (kurtosis(left_out, fisher=False) - 1)
    error = student.ppf(0.975, df) / norm.ppf(0.975) * np.sqrt(n - 1) * np.std(left_out)
    ahead = image.value - 1
    # The upper end is that with one more rank like the largest.
    largest = (np.mean(left_out) - min(left_out)) * (n - 1) / n
    ends = [
        1 + ahead / np.exp(norm.ppf(0.975) * error / ahead),
        1 + (ahead + largest) * np.exp(norm.ppf(0.975) * np.hypot(error, largest) / (ahead + largest)),
    ]
    assert (image.low, image.high) == pytest.approx(ends, abs=1e-8)


@pytest.mark.parametrize(("n_moved", "is_defined"), [(3, False), (4, True)])
def test_mixed_partner_rank_needs_five_later_matches_for_an_interval(n_moved: int, is_defined: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 12))
    y = x + 0.1 * rng.normal(size=x.shape)
    y[: n_moved + 1] = np.roll(y[: n_moved + 1], 1, axis=0)  # none of these rows matches
    estimate = isthmus.measure(Pairs(image=x, text=y), metrics=["mixed_partner_rank_image"])["mixed_partner_rank_image"]
    assert np.isfinite(estimate.low) == is_defined
    assert estimate.note == ("" if is_defined else "no interval: 4 matching rows of rank above 1, 5 are needed")


def test_note_of_one_later_match_is_in_the_singular() -> None:
    x = np.eye(12)
    y = x.copy()
    y[0] = -x[0]
    estimate = isthmus.measure(Pairs(image=x, text=y), metrics=["mixed_partner_rank_image"])["mixed_partner_rank_image"]
    assert estimate.note == "no interval: 1 matching row of rank above 1, 5 are needed"


def test_interval_of_the_mixed_partner_rank_ends_at_the_largest_rank(rng: np.random.Generator) -> None:
    x = unit(rng.normal(size=(12, 4)))
    estimate = measured(Pairs(image=x, text=0.3 * rng.normal(size=x.shape) - x), "mixed_partner_rank_image")
    assert estimate.low < estimate.value < estimate.high == 23


def test_mixed_partner_rank_without_variance_has_no_interval() -> None:
    cone = 3 * np.eye(13)[12]
    estimate = measured(Pairs(image=np.eye(13)[:12] + cone, text=np.eye(13)[:12] - cone), "mixed_partner_rank_image")
    assert estimate.value == 12
    assert np.isnan(estimate.low)
    assert estimate.note == "no interval: these items are too few, or do not vary"


def test_paired_rows_have_the_first_row_of_each_item(cones: Any) -> None:
    x, y = cones
    index = np.array([2, 0, 0, 3, 2, 5, 9, 7, 8, 3, 11, 10, 6, 12, 13])
    pairs = Pairs(image=x[:14], text=y[:15], index=index)
    several = PairedRows.of(pairs)
    items, first = [0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13], [1, 0, 3, 5, 12, 7, 8, 6, 11, 10, 13, 14]
    np.testing.assert_allclose(several.x, unit(x[items]))
    np.testing.assert_allclose(several.y, unit(y[first]))
    one = measured(Pairs(image=x[items], text=y[first]), "mutual_knn")
    assert measured(pairs, "mutual_knn").value == one.value


def test_row_measures_of_one_item_are_undefined() -> None:
    x = np.eye(4)
    pairs = Pairs(image=x, text=x[[1, 1, 1]], index=[1, 1, 1])
    for name, m in isthmus.metrics.registry().items():
        if m.requires == "rows" and "R@" not in name and name not in ("instance_gap", "alignment"):
            e = measured(pairs, name)
            assert np.isnan(e.value)
            assert "1 item with a matching row" in str(e.undefined)


def test_swapped_context_shares_the_neighbours(cones: Any) -> None:
    pairs = Pairs(image=cones[0], text=cones[1])
    context = isthmus.metrics.MetricContext(moments_of(pairs), pairs)
    swapped = context.swapped()
    assert swapped.shared(Neighbours).xx is context.shared(Neighbours).yy
    assert swapped.shared(PairwiseSums).xx is context.shared(PairwiseSums).yy
    np.testing.assert_array_equal(swapped.shared(Neighbours).rank_x, context.shared(Neighbours).rank_y)


def test_random_order_does_not_depend_on_the_row_order(cones: Any, rng: np.random.Generator) -> None:
    x, y = cones
    order = rng.permutation(len(x))
    a, b = PairedRows(x, y), PairedRows(x[order], y[order])
    np.testing.assert_array_equal(x[a.random_order], x[order][b.random_order])
    assert sorted(a.random_order) == list(range(len(x)))
    shifted = np.roll(a.random_order, 1)  # the first shuffle
    scores = np.einsum("ij,ij->i", x[a.random_order], y[shifted])
    np.testing.assert_allclose(a.non_matching_scores[0], scores, atol=1e-12)
    distances = np.linalg.norm(x[a.random_order] - y[shifted], axis=1)
    np.testing.assert_allclose(a.non_matching_distances[0], distances, atol=1e-12)
    backward = np.roll(a.random_order, -10)  # the last one
    scores = np.einsum("ij,ij->i", x[a.random_order], y[backward])
    np.testing.assert_allclose(a.non_matching_scores[19], scores, atol=1e-12)
    assert a.non_matching_scores.shape == (20, len(x))
    assert PairedRows(x[:4], y[:4]).non_matching_scores.shape == (6, 4)


def test_neighbours_of_clip_have_known_values(clip_coco: Pairs) -> None:
    assert measured(clip_coco, "mutual_knn").value == pytest.approx(0.249, abs=5e-4)
    assert measured(clip_coco, "mutual_knn").null == pytest.approx(0.020, abs=5e-4)
    assert measured(clip_coco, "mixing_rate").value == 0
    ranks = isthmus.measure(clip_coco, metrics=["mixed_partner_rank_{side}"])
    assert [round(e.value) for e in ranks.values()] == [500, 483]


def test_row_measures_of_large_data_take_a_sample(cones: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.metrics import _context

    monkeypatch.setattr(_context, "MAX_ROW_ITEMS", 50)
    pairs = Pairs(image=cones[0], text=cones[1])
    context = isthmus.metrics.MetricContext(moments_of(pairs), pairs)
    assert context.shared(PairedRows).n == context.shared(SampledRetrieval).retrieval.items == 50
    assert measured(pairs, "mutual_knn").null == pytest.approx(10 / 49)


def test_neighbours_of_raw_rows_are_by_inner_product(cones: Any) -> None:
    estimates = isthmus.measure(Pairs(image=cones[0], text=cones[1]), normalize=False)  # all measures, no warning
    near = []
    for modality in cones:
        scores = modality @ modality.T
        np.fill_diagonal(scores, -np.inf)
        near.append(np.argsort(-scores, axis=1)[:, :10])
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)]
    assert estimates["mutual_knn"].value == pytest.approx(np.mean(shares), abs=1e-12)


def test_select_topk_with_ties_and_nan_equals_a_sort(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 5, size=(30, 2000)).astype("f4")  # many rows reach every bound
    np.testing.assert_array_equal(select_topk(scores, 5)[0], -np.sort(-scores, axis=1)[:, :5])
    scores = rng.normal(size=(30, 2000)).astype("f4")
    expected = select_topk(scores, 5)[1]
    scores[7] = np.nan
    np.testing.assert_array_equal(np.delete(select_topk(scores, 5)[1], 7, axis=0), np.delete(expected, 7, axis=0))


def test_recall_takes_nearest_rows_from_the_scores_that_rank_the_matches(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 60, 5))
    found = sweep_rows(PairedRows(x, y), SampledRetrieval)[SampledRetrieval]
    scores = x @ y.T
    np.testing.assert_array_equal(found.nearest[0], np.argsort(-scores, axis=1)[:, :11])
    np.testing.assert_array_equal(found.nearest[1], np.argsort(-scores.T, axis=1)[:, :11])
    np.testing.assert_array_equal(found.retrieval.x_to_y, 1 + (scores > np.diag(scores)[:, None]).sum(axis=1))
