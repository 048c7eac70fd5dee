"""The goodness of fit holds its level under the model and finds what real clouds do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from isthmus.theory import VonMisesFisher, goodness_of_fit
from isthmus.theory.goodness import _Radial
from isthmus.utils.errors import InputError


@pytest.mark.slow
@pytest.mark.parametrize(("d", "kappa", "n"), [(3, 5.0, 80), (20, 0.5, 60), (120, 100.0, 40)])
def test_p_values_with_fitted_parameters_have_their_level(d, kappa, n):
    rng = np.random.default_rng(d)
    model = VonMisesFisher(np.eye(d)[-1], kappa)
    p = []
    for _ in range(300):
        X = model.sample(n, rng=rng)
        found = goodness_of_fit(VonMisesFisher.fit(X), X, draws=39, rng=rng)
        p.append((found.radial_p, found.isotropy_p))
    for values in np.array(p).T:
        assert 0.02 <= np.mean(values <= 0.05) <= 0.09
        assert 0.40 <= np.mean(values <= 0.5) <= 0.60


@pytest.mark.parametrize(("d", "n"), [(5, 60), (100, 30)])
def test_p_values_with_known_parameters_have_their_level(d, n):
    rng = np.random.default_rng(d)
    model = VonMisesFisher(np.eye(d)[0], 12.0)
    p = []
    for _ in range(300):
        found = goodness_of_fit(model, model.sample(n, rng=rng), fitted=False)
        p.append((found.radial_p, found.isotropy_p))
    for values in np.array(p).T:
        assert 0.02 <= np.mean(values <= 0.05) <= 0.09
        assert stats.kstest(values, "uniform").pvalue > 1e-4


def test_statistics_under_the_model_are_near_one():
    model = VonMisesFisher(np.eye(300)[0], 200.0)
    X = model.sample(3000, rng=0)
    found = goodness_of_fit(VonMisesFisher.fit(X), X, draws=19)
    assert found.variance_ratio == pytest.approx(1.0, abs=0.12)
    assert found.isotropy == pytest.approx(1.0, abs=0.01)
    again = goodness_of_fit(VonMisesFisher.fit(X, debiased=True), X, draws=19)
    assert again.radial_ks == pytest.approx(found.radial_ks, abs=1e-9)


def test_isotropy_of_anisotropic_clouds_is_rejected():
    """A few directions, the mean's among them, carry the variance, as in real embeddings: both parts must
    see it.
    """
    rng = np.random.default_rng(1)
    scales = np.linspace(1, 0.05, 100) ** 3
    X = rng.standard_normal((400, 100)) * scales + 4.0 * np.eye(100)[0]
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    found = goodness_of_fit(VonMisesFisher.fit(X), X, draws=99)
    assert found.radial_p <= 0.01
    assert found.isotropy_p < 1e-6
    assert found.variance_ratio > 2
    assert found.isotropy > 2


def test_radial_law_of_wrong_concentration_and_mixture_is_rejected():
    X = VonMisesFisher(np.eye(30)[0], 20.0).sample(300, rng=0)
    wrong = goodness_of_fit(VonMisesFisher(np.eye(30)[0], 40.0), X, fitted=False)
    assert wrong.radial_p < 1e-6
    assert wrong.isotropy_p > 1e-3
    both = np.concatenate([VonMisesFisher(np.eye(30)[0], k).sample(300, rng=1) for k in (5.0, 200.0)])
    found = goodness_of_fit(VonMisesFisher.fit(both), both, draws=99)
    assert found.radial_p <= 0.01


def test_isotropy_equals_slow_loops():
    rng = np.random.default_rng(2)
    X = VonMisesFisher(np.eye(6)[2], 4.0).sample(25, rng=rng)
    model = VonMisesFisher(np.eye(6)[2], 4.0)
    tangents = [x - x[2] * np.eye(6)[2] for x in X]
    tangents = [t / np.linalg.norm(t) for t in tangents]
    squares = [(tangents[i] @ tangents[j]) ** 2 for i in range(25) for j in range(25) if i != j]
    found = goodness_of_fit(model, X, fitted=False)
    assert found.isotropy == pytest.approx(5 * np.mean(squares), rel=1e-12)
    more_columns = np.concatenate([X, np.zeros((25, 40))], axis=1)
    wide = goodness_of_fit(VonMisesFisher(np.eye(46)[2], 4.0), more_columns, fitted=False)
    assert wide.isotropy == pytest.approx(45 * np.mean(squares), rel=1e-12)
    assert np.isnan(goodness_of_fit(VonMisesFisher(np.eye(2)[0], 1.0), np.eye(2)[[0, 1] * 5]).isotropy)


@pytest.mark.parametrize(
    ("d", "kappa"), [(2, 0.0), (2, 30.0), (3, 2.0), (3, 1e5), (40, 0.0), (40, 100.0), (3000, 2000.0)]
)
def test_radial_law_equals_quadrature(d, kappa):
    radial = _Radial(d, kappa)
    u = np.array([0.01, 0.3, 0.8])
    angles = np.arccos(radial.quantile(u))
    mode = radial.angle[np.argmax(np.gradient(radial.cumulative))]

    def log_density(a):
        return kappa * np.cos(a) + (d - 2) * np.log(np.maximum(np.sin(a), 1e-300))

    def density(a):
        return np.exp(log_density(a) - log_density(mode))

    low, high = radial.angle[[0, -1]]
    total = integrate.quad(density, low, high, points=[mode], epsrel=1e-10)[0]
    for probability, angle in zip(u, angles, strict=True):
        share = integrate.quad(density, low, angle, epsrel=1e-10)[0] / total
        assert share == pytest.approx(probability, abs=1e-4)
    mean = integrate.quad(lambda a: density(a) * np.cos(a), low, high, points=[mode])[0] / total

    def spread(a):
        return density(a) * (np.cos(a) - mean) ** 2 / total

    assert radial.variance == pytest.approx(integrate.quad(spread, low, high, points=[mode])[0], rel=1e-3)


@pytest.mark.parametrize(("n", "draws"), [(7, 99), (20, 5)])
def test_goodness_of_fit_refuses_few_rows_and_few_draws(n, draws):
    model = VonMisesFisher(np.eye(3)[0], 2.0)
    with pytest.raises(InputError, match="at least 8 rows and 19 draws"):
        goodness_of_fit(model, model.sample(n, rng=0), draws=draws)
