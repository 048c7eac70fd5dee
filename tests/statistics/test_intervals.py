"""Generic intervals against SciPy, and the limits at which they change their form."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2, ncx2, norm
from scipy.stats import t as student

from isthmus.statistics.freedom import freedom_of_parts, tail_factor
from isthmus.statistics.intervals import (
    clip_interval,
    cosine_interval,
    length_interval,
    normal_interval,
    positive_interval,
    satterthwaite_p_value,
    square_interval,
    wilson_interval,
)
from isthmus.statistics.noise_intervals import noise_interval


def test_normal_interval_has_the_quantiles_of_scipy() -> None:
    assert normal_interval(3.0, 0.25) == pytest.approx(norm.interval(0.95, loc=3.0, scale=0.5), abs=1e-12)


def test_square_interval_is_that_of_the_length_and_may_be_negative_near_zero() -> None:
    low, high = length_interval(2.0, 0.3)
    assert square_interval(2.0, 0.3) == pytest.approx((low**2, high**2))
    assert square_interval(0.5, 0.8) == normal_interval(0.5, 0.8)
    assert square_interval(-0.2, 0.01)[1] < 0


def test_positive_interval_is_symmetric_in_the_logarithm_and_starts_at_zero_near_it() -> None:
    low, high = positive_interval(3.0, 0.5)
    assert low * high == pytest.approx(9.0)
    assert math.log(high / low) == pytest.approx(2 * norm.ppf(0.975) * math.sqrt(0.5) / 3)
    assert positive_interval(0.1, 0.5)[0] == 0


def test_tail_factor_of_many_normal_scores_is_one_and_of_one_extreme_score_is_large() -> None:
    scores = np.random.default_rng(0).normal(size=5_000)
    assert 1 < tail_factor(scores) < 1.001
    assert tail_factor(np.r_[np.zeros(99), 1.0]) > 1.5
    assert tail_factor(np.ones(9)) == 1


@pytest.mark.parametrize("m", [2, 6])
def test_equal_squares_have_one_degree_of_freedom_less_than_scores(m: int) -> None:
    scores = np.repeat([0.0, 1.0], m // 2)
    assert tail_factor(scores) == pytest.approx(student.ppf(0.975, m - 1) / norm.ppf(0.975))
    assert freedom_of_parts(np.ones(m)) == m - 1
    assert freedom_of_parts(np.append(np.ones(m), 1.01)) == m


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (12, 12), (3, 12), (1, 1), (14, 1000), (986, 1000)])
def test_interval_of_few_successes_or_failures_is_exact(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(method="exact")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(15, 30), (15, 1000), (499, 1000), (985, 1000)])
def test_wilson_interval_is_that_of_scipy(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [6, 20, 60, 300])
def test_intervals_of_shares_cover_whatever_the_expectation(n: int) -> None:
    shares = np.r_[np.arange(0.01, min(n / 2, 40), 0.02) / n, np.linspace(0.001, 0.5, 200)]
    low, high = np.array([wilson_interval(successes, n) for successes in range(n + 1)]).T
    is_covered = (low <= shares[:, None]) & (shares[:, None] <= high)
    coverage = (binom.pmf(np.arange(n + 1), n, shares[:, None]) * is_covered).sum(axis=1)
    assert coverage.min() > 0.93


def test_wilson_interval_of_no_success_starts_at_zero_and_of_all_ends_at_one() -> None:
    for n in range(1, 200):
        assert 0 <= wilson_interval(0, n)[0] < 1e-15
        assert 1 - 1e-15 < wilson_interval(n, n)[1] <= 1


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((-0.5, 0.5), (0, 0.5)), ((0.5, 1.5), (0.5, 1)), ((-2, -1), (0, 0)), ((2, 3), (1, 1)), ((0.1, 0.9), (0.1, 0.9))],
)
def test_clip_interval_moves_both_ends_into_the_range(
    interval: tuple[float, float], expected: tuple[float, float]
) -> None:
    assert clip_interval(interval, 0.0, 1.0) == expected


def test_length_interval_of_a_clear_length_is_symmetric_around_the_corrected_root() -> None:
    squared, error = 4.0, 0.4
    low, high = length_interval(squared, error**2)
    assert (low + high) / 2 == pytest.approx(2 * (1 + 0.1**2 / 8), rel=1e-12)
    assert high - low == pytest.approx(2 * norm.ppf(0.975) * error / (2 * 2), rel=1e-9)


@pytest.mark.parametrize("interval", [positive_interval, length_interval, square_interval])
def test_intervals_of_positive_quantities_widen_with_the_error_and_without_a_jump(
    interval: Callable[[float, float], tuple[float, float]],
) -> None:
    errors = np.linspace(0.001, 8, 40_000)
    low, high = np.array([interval(1.0, error**2) for error in errors]).T
    assert np.diff(low).max() <= 1e-12
    assert np.diff(high).min() >= -1e-12
    # A root reaches zero with a vertical tangent. The other ends have slopes of at most 14.
    assert np.abs(np.diff([low, high])).max() < 0.02


def test_positive_interval_of_one_deciding_item_ends_beyond_that_of_a_count_of_one() -> None:
    count_of_one = chi2.isf(0.025, 4) / 2
    for error in (0.99, 1.0, 1.01, 2.0):
        assert count_of_one < positive_interval(1.0, error**2)[1] < 7.2


def test_cosine_interval_is_continuous_in_the_range_and_mirrored() -> None:
    values = np.linspace(-1, 1, 4_001)
    low, high = np.array([cosine_interval(value, 0.04) for value in values]).T
    assert low.min() == -1
    assert high.max() == 1
    assert np.abs(np.diff([low, high])).max() < 0.005
    assert low == pytest.approx(-high[::-1], abs=1e-12)
    assert ((low <= values) & (values <= high)).all()


@pytest.mark.parametrize("value", [0.1, 0.299, -0.2])
def test_cosine_interval_near_zero_is_the_normal_one_or_a_given_one(value: float) -> None:
    assert cosine_interval(value, 0.01) == normal_interval(value, 0.01)
    assert cosine_interval(value, 0.01, near_zero=(-0.5, 0.5)) == (-0.5, 0.5)


def test_length_interval_of_an_error_far_above_the_square_is_symmetric_on_its_scale() -> None:
    assert length_interval(1.0, 4.0) == pytest.approx((0.0, math.sqrt(1 + norm.ppf(0.975) * 2)))


def test_length_interval_of_a_negative_square_starts_at_zero() -> None:
    low, high = length_interval(-0.1, 0.01)
    assert low == 0.0
    assert high == pytest.approx(math.sqrt(-0.1 + norm.ppf(0.975) * 0.1))
    assert length_interval(-1.0, 0.01) == (0.0, 0.0)


def test_length_interval_of_a_clear_length_is_never_negative() -> None:
    assert length_interval(1.0, 0.999**2)[0] >= 0
    assert length_interval(1e-4, (0.99e-4) ** 2)[0] >= 0


def test_noise_interval_holds_the_noncentralities_of_scipy() -> None:
    covariance = np.diag([2.0, 1.0, 0.5])
    trace, square = 3.5, 4 + 1 + 0.25
    g, f = square / trace, trace**2 / square
    for squared in (4.0, 12.0):
        interval = noise_interval(squared, covariance)
        assert interval is not None
        low, high = interval
        assert ncx2.cdf(squared / g, f, high / g) == pytest.approx(0.025, abs=1e-6)
        if chi2.cdf(squared / g, f) > 0.975:
            assert ncx2.cdf(squared / g, f, low / g) == pytest.approx(0.975, abs=1e-6)
        else:
            assert low == 0.0


@pytest.mark.parametrize("dim", [1, 4])
def test_noise_interval_ends_at_the_noise_level(dim: int) -> None:
    threshold = chi2.isf(0.001, dim)
    assert noise_interval(threshold * 0.999, np.eye(dim)) is not None
    assert noise_interval(threshold * 1.001, np.eye(dim)) is None


def test_noise_interval_of_a_tiny_length_is_zero_at_both_ends() -> None:
    assert noise_interval(1e-6, np.eye(4)) == (0.0, 0.0)


def test_noise_interval_without_variance_is_none() -> None:
    assert noise_interval(0.0, np.zeros((2, 2))) is None
    assert noise_interval(1.0, np.zeros((2, 2))) is None


@pytest.mark.parametrize("dim", [1, 3, 10])
def test_satterthwaite_p_value_of_isotropic_noise_is_chi_square(dim: int) -> None:
    assert satterthwaite_p_value(5.0, 2 * np.eye(dim)) == pytest.approx(chi2.sf(2.5, dim), rel=1e-10)


def test_satterthwaite_p_value_matches_two_moments_of_the_sum(rng: np.random.Generator) -> None:
    scales = np.array([3.0, 1.0, 1.0, 0.2])
    squares = np.sum(scales * rng.normal(size=(200_000, 4)) ** 2, axis=1)
    for value in np.quantile(squares, [0.5, 0.9, 0.99]):
        assert satterthwaite_p_value(float(value), np.diag(scales)) == pytest.approx(np.mean(squares > value), abs=0.02)


def test_satterthwaite_p_value_without_variance_is_zero_or_one() -> None:
    assert satterthwaite_p_value(0.0, np.zeros((2, 2))) == 1.0
    assert satterthwaite_p_value(1e-9, np.zeros((2, 2))) == 0.0


@pytest.mark.parametrize("n", [1, 7, 100, 1_000_003])
def test_wilson_interval_of_a_share_of_0_or_1_ends_exactly_there(n: int) -> None:
    assert wilson_interval(0, n)[0] == 0.0
    assert wilson_interval(n, n)[1] == 1.0
