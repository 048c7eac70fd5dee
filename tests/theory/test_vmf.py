"""The von Mises-Fisher model against SciPy (below d = 60, where SciPy is right), quadrature and mpmath."""

from __future__ import annotations

import math
import time

import mpmath
import numpy as np
import pytest
from scipy import stats

from isthmus.theory import VonMisesFisher
from isthmus.utils.errors import InputError


def direction(rng, d):
    v = rng.standard_normal(d)
    return v / np.linalg.norm(v)


@pytest.mark.parametrize(("d", "kappa"), [(2, 3.0), (3, 0.1), (3, 50.0), (10, 7.0), (50, 100.0)])
def test_density_and_entropy_agree_with_scipy(d, kappa):
    rng = np.random.default_rng(d)
    c = direction(rng, d)
    ours, theirs = VonMisesFisher(c, kappa), stats.vonmises_fisher(c, kappa)
    X = ours.sample(400, rng=rng)
    np.testing.assert_allclose(ours.log_prob(X), theirs.logpdf(X), rtol=1e-10, atol=1e-10)
    assert ours.entropy() == pytest.approx(theirs.entropy(), rel=1e-10)
    mean, fitted = stats.vonmises_fisher.fit(X)
    found = VonMisesFisher.fit(X)
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    assert found.kappa == pytest.approx(fitted, rel=1e-4)


@pytest.mark.parametrize(("d", "kappa"), [(80, 40.0), (512, 50.0), (512, 5000.0), (4096, 1.0), (4096, 3000.0)])
def test_density_in_high_dimension_agrees_with_its_formula(d, kappa):
    with mpmath.workdps(30):
        nu, k = mpmath.mpf(d) / 2 - 1, mpmath.mpf(kappa)
        log_c = nu * mpmath.log(k) - (nu + 1) * mpmath.log(2 * mpmath.pi)
        log_c -= mpmath.log(mpmath.besseli(nu, k, maxterms=10**7))
        length = mpmath.besseli(nu + 1, k, maxterms=10**7) / mpmath.besseli(nu, k, maxterms=10**7)
        log_c, length = float(log_c), float(length)
    model = VonMisesFisher(np.eye(d)[0], kappa)
    X = np.stack([np.eye(d)[0], np.eye(d)[1], 0.6 * np.eye(d)[0] - 0.8 * np.eye(d)[2]])
    expected = kappa * np.array([1.0, 0.0, 0.6]) + log_c
    np.testing.assert_allclose(model.log_prob(X), expected, rtol=1e-12, atol=1e-9)
    assert model.entropy() == pytest.approx(-log_c - kappa * length, rel=1e-10)
    assert model.mean_length == pytest.approx(length, rel=1e-13)


def test_zero_concentration_is_the_uniform_distribution():
    model = VonMisesFisher(np.eye(3)[0], 0.0)
    assert model.entropy() == pytest.approx(math.log(4 * math.pi), rel=1e-14)
    X = model.sample(4000, rng=0)
    assert np.linalg.norm(X.mean(axis=0)) < 0.05
    assert stats.kstest(X[:, 1], stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("d", "kappa"), [(2, 0.5), (2, 1e5), (3, 4.0), (3, 1e6), (30, 60.0), (500, 800.0)])
def test_samples_have_the_law_of_the_distribution(d, kappa):
    rng = np.random.default_rng(d)
    model = VonMisesFisher(direction(rng, d), kappa)
    X = model.sample(4000, rng=1)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-12)
    w = X @ model.mean
    slope = 1 - model.mean_length**2 - (d - 1) / kappa * model.mean_length
    assert w.mean() == pytest.approx(model.mean_length, abs=4 * math.sqrt(slope / 4000))
    if d == 3:
        # closed form of the law of 1 - w: a truncated exponential
        law = stats.truncexpon(b=2 * kappa, scale=1 / kappa)
        assert stats.kstest(1 - w, law.cdf).pvalue > 1e-3
    if d == 2:
        angle = np.arctan2(X @ np.array([-model.mean[1], model.mean[0]]), w)
        assert stats.kstest(angle, stats.vonmises(kappa).cdf).pvalue > 1e-3
    other = rng.standard_normal(d)
    other -= (other @ model.mean) * model.mean
    t = X @ other
    assert abs(t.mean()) < 4 * t.std() / math.sqrt(4000)
    np.testing.assert_array_equal(X, model.sample(4000, rng=1))


@pytest.mark.parametrize(("d", "R"), [(2, 0.5), (3, 0.99), (64, 0.3), (512, 0.0967), (4096, 0.8)])
def test_fit_solves_the_likelihood_equation(d, R):
    model = VonMisesFisher.fit_mean(R * np.eye(d)[1], n=100)
    assert model.mean_length == pytest.approx(R, rel=1e-13)
    np.testing.assert_array_equal(model.mean, np.eye(d)[1])
    X = np.stack([np.eye(d)[0], 0.8 * np.eye(d)[0] + 0.6 * np.eye(d)[1]])
    best = VonMisesFisher.fit(X)

    def likelihood(kappa):
        return float(np.sum(VonMisesFisher(best.mean, kappa).log_prob(X)))

    assert likelihood(best.kappa) > max(likelihood(best.kappa * f) for f in (0.99, 1.01))


def test_debiased_fit_recovers_the_concentration():
    truth = VonMisesFisher(np.eye(1024)[0], 10.0)
    fits = [
        [VonMisesFisher.fit(X, debiased=flag).kappa for flag in (False, True)]
        for X in (truth.sample(2000, rng=seed) for seed in range(4))
    ]
    raw, debiased = np.mean(fits, axis=0)
    assert raw == pytest.approx(24.8, abs=0.5)
    # one fit has a standard error of 1.2
    assert debiased == pytest.approx(10.0, abs=2.4)
    truth = VonMisesFisher(np.eye(256)[0], 20.0)
    samples = [truth.sample(500, rng=seed) for seed in range(20)]
    squares = [VonMisesFisher.fit(X, debiased=True).mean_length ** 2 for X in samples]
    assert np.mean(squares) == pytest.approx(truth.mean_length**2, rel=0.03)
    assert VonMisesFisher.fit_mean(np.array([0.0, 0.02]), n=100, debiased=True).kappa == 0.0
    assert VonMisesFisher.fit_mean(np.zeros(5), n=10).kappa == 0.0


def test_sample_in_many_dimensions_is_fast():
    model = VonMisesFisher(np.eye(4096)[0], 500.0)
    times = []
    for seed in range(3):
        start = time.process_time()
        model.sample(2000, rng=seed)
        times.append(time.process_time() - start)
    # No d x d matrix: a tenth of a second. Other work on the machine does not count.
    assert min(times) < 1.0


def test_distribution_accepts_other_array_libraries():
    torch = pytest.importorskip("torch")
    X = VonMisesFisher(np.eye(6)[0], 9.0).sample(50, rng=0)
    model = VonMisesFisher.fit(torch.tensor(X))
    expected = VonMisesFisher.fit(X)
    assert model.kappa == expected.kappa
    got = model.log_prob(torch.tensor(X, dtype=torch.float32))
    assert isinstance(got, torch.Tensor)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), expected.log_prob(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VonMisesFisher(np.ones(3), 1.0), r"shape \(3,\) and length 1.73"),
        (lambda: VonMisesFisher(np.ones(1), 1.0), "2 to 4096"),
        (lambda: VonMisesFisher(np.eye(3)[0], -1.0), "kappa = -1, expected a number"),
        (lambda: VonMisesFisher(np.eye(3)[0], float("nan")), "kappa = nan"),
        (lambda: VonMisesFisher.fit(2 * np.eye(3)), "row 0 has length 2"),
        (lambda: VonMisesFisher.fit(np.full((4, 3), np.nan)), "length nan"),
        (lambda: VonMisesFisher.fit(np.eye(3)[:1]), "at least two"),
        (lambda: VonMisesFisher.fit(np.eye(3)[[0, 0, 0]]), "too nearly equal: their concentration is above 1e6"),
        (lambda: VonMisesFisher.fit(np.ones(3)), r"unit rows \(n, d\)"),
        (lambda: VonMisesFisher.fit_mean(np.ones(3), n=5), "mean of shape"),
        (lambda: VonMisesFisher(np.eye(3)[0], 1.0).log_prob(np.eye(4)), r"law in R\^3"),
        (lambda: VonMisesFisher(np.eye(3)[0], 1.0).sample(-1, rng=0), "n=-1"),
    ],
)
def test_distribution_refuses_wrong_parameters_and_rows(call, message):
    with pytest.raises(InputError, match=message):
        call()
