"""Mutual information of leading directions, and the variance that is unique to a modality."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus.metrics import shared_information
from isthmus.metrics.shared_information import DIRECTIONS, _information_without_each, _unique_share_without_each
from isthmus.statistics.influence import InfluenceSample

MUTUAL = "gaussian_mutual_information"
UNIQUE = "unique_variance_x"


def _law(dim: int, decay: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of both modalities, diagonal, and their cross-covariance, (d,) and (d, d)."""
    rng = np.random.default_rng(seed)
    variances = np.arange(1, dim + 1.0) ** -decay
    mixing = np.linalg.qr(np.eye(dim) + rng.normal(size=(dim, dim)) / np.sqrt(dim))[0]
    correlations = np.diag(0.8 * np.arange(1, dim + 1.0) ** -0.5) @ mixing
    return variances, np.sqrt(np.outer(variances, variances)) * correlations


def _draw(variances: np.ndarray, cross: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    d = len(variances)
    covariance = np.block([[np.diag(variances), cross], [cross.T, np.diag(variances)]])
    rows = rng.normal(size=(n, 2 * d)) @ np.linalg.cholesky(covariance + 1e-12 * np.eye(2 * d)).T
    return rows[:, :d], rows[:, d:]


def _measure(x: np.ndarray, y: np.ndarray, **options: object) -> isthmus.Result:
    return isthmus.measure(x, y, metrics=[MUTUAL, "unique_variance_{side}"], normalize=False, **options)


def _truth(variances: np.ndarray, cross: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return both measures of the law along the leading directions of a sample, by determinants."""
    leading = [np.linalg.eigh(np.cov(rows.T))[1][:, -DIRECTIONS:] for rows in (x, y)]
    of_x, of_y = (basis.T @ (variances[:, None] * basis) for basis in leading)
    between = leading[0].T @ cross @ leading[1]
    joint = np.block([[of_x, between], [between.T, of_y]])
    logs = [np.linalg.slogdet(matrix)[1] for matrix in (of_x, of_y, joint)]
    to_y = cross @ leading[1]
    explained = np.trace(to_y @ np.linalg.solve(of_y, to_y.T))
    return (logs[0] + logs[1] - logs[2]) / 2, 1 - explained / variances.sum()


def test_measures_of_two_correlated_gaussians_equal_their_formula():
    rng = np.random.default_rng(0)
    variances, correlations = np.r_[np.full(10, 2.0), np.full(6, 1e-3)], np.linspace(0.1, 0.9, 10)
    cross = np.diag(np.r_[2 * correlations, np.zeros(6)])
    x, y = _draw(variances, cross, 20_000, rng)
    result = _measure(x, y)
    information = -0.5 * np.log(1 - correlations**2).sum()
    assert result[MUTUAL].value == pytest.approx(information, abs=0.03)
    assert result[UNIQUE].value == pytest.approx(1 - 2 * (correlations**2).sum() / variances.sum(), abs=0.01)


def test_information_of_shuffled_pairs_includes_zero_and_its_plugin_equals_the_null():
    rng = np.random.default_rng(1)
    scales = np.arange(1, 17.0) ** -0.7
    estimates = [_measure(*(rng.normal(size=(2, 150, 16)) * scales)) for _ in range(20)]
    assert sum(result[MUTUAL].low == 0 for result in estimates) >= 18
    plugin = np.mean([result[MUTUAL].plugin for result in estimates])
    assert plugin == pytest.approx(estimates[0][MUTUAL].null, rel=0.1)
    assert np.mean([result[UNIQUE].plugin for result in estimates]) == pytest.approx(
        estimates[0][UNIQUE].null, abs=0.01
    )


def test_information_does_not_change_under_linear_maps_within_ten_dimensions():
    rng = np.random.default_rng(2)
    x, y = _draw(*_law(10, 1.0, 0), 300, rng)
    mapped = x @ rng.normal(size=(10, 10)), y @ rng.normal(size=(10, 10))
    before, after = _measure(x, y)[MUTUAL], _measure(*mapped)[MUTUAL]
    np.testing.assert_allclose([before.value, before.low, before.high], [after.value, after.low, after.high], rtol=1e-6)


def test_measures_along_arbitrary_directions_have_no_interval():
    rng = np.random.default_rng(9)
    x, noise = rng.normal(size=(2, 300, 16))
    result, name = _measure(x, x + noise), "unique_variance_x"
    for estimate in (result[MUTUAL], result[name]):
        assert np.isnan(estimate.low)
        assert estimate.note.startswith("no interval: the leading directions of")
    steep = _measure(x, (x + noise) * np.arange(1, 17.0) ** -0.7)
    assert np.isnan(steep[MUTUAL].low)  # those of x
    assert steep[name].low < steep[name].value < steep[name].high  # those of y alone


def test_hardly_any_isotropic_rows_have_an_interval():
    """At p = .025, six of a hundred have one that is misleading."""
    rng, stated = np.random.default_rng(11), 0
    for _ in range(50):
        x, noise = rng.normal(size=(2, 150, 12))
        result = isthmus.measure(x, x + noise, metrics=["unique_variance_{side}"], normalize=False)
        stated += sum(not np.isnan(estimate.low) for estimate in result.values())
    assert stated <= 1


def test_interval_of_the_unique_share_is_wider_if_few_items_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _draw(*_law(16, 1.0, 0), 200, np.random.default_rng(5))
    x[0] += 20 * np.std(x, axis=0)
    estimates = [_measure(x, y)[UNIQUE]]
    monkeypatch.setattr(shared_information, "tail_factor", lambda scores: 1.0)
    estimates.append(_measure(x, y)[UNIQUE])
    wide, narrow = (estimate.high - estimate.low for estimate in estimates)
    assert wide > 1.05 * narrow


def test_information_of_a_linear_function_is_undefined():
    x = np.random.default_rng(3).normal(size=(200, 12))
    assert "infinite" in _measure(x, x @ np.diag(np.arange(1, 13.0)))[MUTUAL].undefined


def test_information_is_blind_to_dependence_without_correlation():
    x = np.random.default_rng(4).normal(size=(2_000, 12)) * np.arange(1, 13.0) ** -0.5
    result = _measure(x, x**2)
    assert result[MUTUAL].low < 0.02
    assert result[UNIQUE].high > 0.99


def test_repeated_pairs_leave_the_value_and_widen_the_interval():
    x, y = _draw(*_law(16, 1.0, 0), 200, np.random.default_rng(5))
    rng, index = np.random.default_rng(6), np.repeat(np.arange(200), 5)
    texts = y[index] + 0.3 * np.std(y, axis=0) * rng.normal(size=(1_000, 16))
    of_images, of_rows = _measure(x[index], texts), _measure(x[index] + 1e-4 * rng.normal(size=texts.shape), texts)
    assert of_images[MUTUAL].plugin == pytest.approx(of_rows[MUTUAL].plugin, rel=1e-3)
    widths = [result[MUTUAL].high - result[MUTUAL].low for result in (of_images, of_rows, _measure(x, y))]
    assert widths[0] > 1.5 * widths[1]
    assert widths[0] == pytest.approx(widths[2], rel=0.35)


def test_values_without_each_item_equal_a_slow_recomputation():
    rng = np.random.default_rng(8)
    counts = np.arange(40) % 3 + 1
    begins, n, k = np.cumsum(counts) - counts, int(counts.sum()), 3
    x = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + 1
    y = x @ rng.normal(size=(k, k)) + 2 * rng.normal(size=(n, k))
    to_x, rho, to_y = np.linalg.svd(_whitened(x).T @ _whitened(y) / n)
    scores_x, scores_y = _whitened(x) @ to_x, _whitened(y) @ to_y.T
    sample = InfluenceSample(x, y, begins, scale=1.0)
    residuals = (x - x.mean(axis=0)) - scores_y @ (scores_y.T @ (x - x.mean(axis=0)) / n)
    sums = float(np.sum(residuals**2)), float(np.sum((x - x.mean(axis=0)) ** 2)), n
    information, unique = [], []
    for first, count in zip(begins, counts, strict=True):
        others = np.delete(np.arange(n), slice(first, first + count))
        logs = [
            np.linalg.slogdet(np.cov(table[others].T))[1]
            for table in (scores_x, scores_y, np.hstack([scores_x, scores_y]))
        ]
        information.append((logs[0] + logs[1] - logs[2]) / 2)
        design, rows = np.hstack([np.ones((len(others), 1)), scores_y[others]]), x[others]
        remaining = rows - design @ np.linalg.lstsq(design, rows, rcond=None)[0]
        unique.append(np.sum(remaining**2) / np.sum((rows - rows.mean(axis=0)) ** 2))
    np.testing.assert_allclose(_information_without_each(sample, scores_x, scores_y, rho, n), information, rtol=1e-9)
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(
        _unique_share_without_each(sample, centred, residuals, scores_y, sums), unique, rtol=1e-9
    )


def _whitened(rows: np.ndarray) -> np.ndarray:
    """Return centred rows whose covariance (1/n) is the identity."""
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    return (rows - rows.mean(axis=0)) @ vectors / np.sqrt(values)


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.3, 1.2])
@pytest.mark.parametrize("n", [200, 1_000])
def test_intervals_of_shared_information_cover_the_value_of_the_law(decay, n):
    rng = np.random.default_rng(7)
    variances, cross = _law(64, decay, 1)
    covered, stated = np.zeros((2, 2))
    for _ in range(200):
        x, y = _draw(variances, cross, n, rng)
        result = _measure(x, y)
        for i, (name, value) in enumerate(zip((MUTUAL, UNIQUE), _truth(variances, cross, x, y), strict=True)):
            covered[i] += result[name].low <= value <= result[name].high
            stated[i] += not np.isnan(result[name].low)
    assert np.all(stated >= 140)  # without the sets whose spectrum isotropic rows explain
    assert np.all(covered >= 0.85 * stated)


def test_unique_share_of_items_with_one_pair_equals_that_of_items_in_general(rng: np.random.Generator) -> None:
    rows, residuals, scores = rng.normal(size=(40, 6)), rng.normal(size=(40, 6)), rng.normal(size=(40, 3))
    sums = (300.0, 500.0, 80)
    single, general = (
        _unique_share_without_each(InfluenceSample(rows, rows, begins, scale=1.0), rows, residuals, scores, sums)
        for begins in (None, np.arange(40))
    )
    np.testing.assert_allclose(single, general, rtol=1e-12)
