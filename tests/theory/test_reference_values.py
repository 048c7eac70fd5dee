"""Values that were derived or measured independently of this implementation."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize

from isthmus import linalg, theory

X = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0, 0.6, 0.8]])
Y = np.array([[0.6, 0, 0.8], [0, 1, 0], [0.8, 0, 0.6], [0.6, 0.8, 0]])
TAU = 0.5


@pytest.mark.parametrize(
    ("dim", "t", "value"),
    [(3, 0.2, -4.605261), (8, 0.05, -15.513702), (512, 0.01, -180.822325), (512, 0.07, -28.172986)],
)
def test_uniform_bound_equals_reference_values(dim, t, value):
    assert theory.uniform_bound(dim, temperature=t) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("w", "value"), [(1.0, -0.693147), (0.0, 7.937698), (-1.0, 3.688879)])
def test_cone_function_equals_reference_values(w, value):
    assert theory.cone_function(w, kappa=20, dim=3, temperature=0.05) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("s", "value"), [(1.0, -0.207303), (0.5, -0.114337)])
def test_subspace_function_equals_reference_values(s, value):
    found = theory.subspace_function(s, s, s, kappa=10, dim=3, temperature=0.2)
    assert found == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("k", "dim", "value"), [(5, 6, 0.590162), (2, 6, 0.308789), (100, 510, 0.189093)])
def test_bessel_ratio_equals_reference_values(k, dim, value):
    assert linalg.bessel.bessel_ratio(dim / 2 - 1, k) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("k", "dim", "value"),
    [
        (50, 512, 0.096745705070352118),
        (500, 512, 0.61174818274075135),
        (1000, 2048, 0.40732521742901223),
        (1e4, 4096, 0.81598806295869719),
    ],
)
def test_bessel_ratio_equals_reference_values_to_all_digits(k, dim, value):
    assert linalg.bessel.bessel_ratio(dim / 2 - 1, k) == pytest.approx(value, rel=1e-13)
    assert linalg.bessel.inverse_bessel_ratio(dim / 2 - 1, value) == pytest.approx(k, rel=1e-13)


def test_log_iv_equals_the_reference_value_to_all_digits():
    assert linalg.bessel.log_iv(255, 50) == pytest.approx(-338.46881198536164, rel=1e-13)


@pytest.mark.parametrize(("t", "value"), [(0.2, 0.0568882), (0.5, 1.2229997)])
def test_finite_bound_of_nine_pairs_equals_reference_values(t, value):
    assert theory.finite_bound(9, temperature=t) == pytest.approx(value, abs=1e-6)


def test_infima_of_prescribed_centres_equal_reference_values():
    """The particle optima of 256 pairs lie on these infima to 1e-4."""
    many = 2 * math.log(256)
    affine = theory.affine_infimum(8, temperature=0.2, radius=0.7) + many
    assert affine == pytest.approx(7.13542, abs=1e-4)
    orthogonal = theory.orthogonal_centres_value(8, temperature=0.5, mean_length=0.5) + many
    assert orthogonal == pytest.approx(8.45698, abs=1e-4)
    certificate = theory.orthogonal_centres_certificate(512, temperature=0.01, mean_length=0.8, angle=60.0)
    assert certificate.holds


def test_hyperplane_ceiling_equals_reference_values():
    assert theory.hyperplane_ceiling(0.3, 0.2, angle=60.0) == pytest.approx(0.870806, abs=1e-6)
    assert theory.hyperplane_ceiling(0.3, 0.2, angle=0.0) == pytest.approx(0.993280, abs=1e-6)


def test_loss_of_a_worked_batch_equals_reference_values():
    loss = theory.info_nce(X, Y, temperature=TAU)
    assert loss == pytest.approx(2.679675, abs=1e-6)
    bound = 2 * math.log(4) + theory.uniform_bound(3, temperature=TAU)
    assert bound == pytest.approx(-0.036971, abs=1e-6)
    assert theory.info_nce_limit(X, Y, temperature=TAU) == pytest.approx(2.679675 - 2 * math.log(4), abs=1e-6)


def test_ceilings_of_a_worked_batch_equal_reference_values():
    A, B = X - X.mean(0), Y - Y.mean(0)
    moments = SimpleNamespace(
        mean_x=X.mean(0), mean_y=Y.mean(0), cov_x=A.T @ A / 4, cov_y=B.T @ B / 4, cov_xy=A.T @ B / 4
    )
    found = theory.ceiling(moments)
    assert found.mean_cosine == pytest.approx(0.64, abs=1e-12)
    assert moments.mean_x @ moments.mean_y == pytest.approx(0.54, abs=1e-12)
    assert found.centred == pytest.approx(0.891266, abs=1e-6)
    assert found.uncentred == pytest.approx(0.904596, abs=1e-6)
    assert found.rotated == pytest.approx(0.985680, abs=1e-6)
    rows, columns = optimize.linear_sum_assignment(-X @ Y.T)
    assert np.sum(X[rows] * Y[columns]) / 4 == pytest.approx(0.86, abs=1e-12)
    trace, best = float(np.trace(moments.cov_xy)), linalg.fidelity(moments.cov_x, moments.cov_y)
    for cosine, value in ((trace, 2.386502), (best, 1.554744), (1.0, 0.378678)):
        assert theory.finite_bound(4, temperature=TAU, cosine=cosine) == pytest.approx(value, abs=1e-6)
    # the budget of what is missing to a mean cosine of 1
    R_x, R_y = np.linalg.norm(moments.mean_x), np.linalg.norm(moments.mean_y)
    paired = np.sqrt(np.linalg.eigvalsh(moments.cov_x) * np.linalg.eigvalsh(moments.cov_y)).sum()
    budget = [
        1 - R_x * R_y - paired,
        R_x * R_y - moments.mean_x @ moments.mean_y,
        paired - best,
        best - trace,
    ]
    np.testing.assert_allclose(budget, [0.0160504, 0.0274504, 0.0652334, 0.2512657], atol=1e-6)
    assert sum(budget) == pytest.approx(0.36, abs=1e-12)


@pytest.mark.parametrize(("dim", "shared", "apart"), [(3, -0.39633, -0.76399), (8, -3.42933, -3.72950)])
def test_loss_of_von_mises_fisher_clouds_equals_reference_values(dim, shared, apart):
    """Phi of clouds in hyperplanes at 60 degrees, partners equal in the shared space: where the centres lie
    decides.

    The inner mean over the other cloud is exact, the outer one a mean over draws with its own standard error.
    """
    kappa, t, n = 10.0, 0.2, 200_000
    for axis, value in ((1, shared), (0, apart)):
        # Coordinates in a hyperplane: its own direction first, then the shared space.
        model = theory.VonMisesFisher(np.eye(dim - 1)[axis], kappa)
        points = model.sample(n, rng=7)
        seen = points * np.concatenate([[0.5], np.ones(dim - 2)])
        matched = np.sum(points * seen, axis=1) / t
        lengths = np.linalg.norm(kappa * model.mean + seen / t, axis=1)
        inner = linalg.bessel.log_sphere_mgf(dim - 1, lengths) - linalg.bessel.log_sphere_mgf(dim - 1, kappa)
        # The cosine with the centre and its square have known means: they cut the noise.
        first = model.mean_length
        second = 1.0 - (dim - 2) / kappa * first
        cosines = points @ model.mean
        basis = np.stack([cosines - first, cosines**2 - second], axis=1)
        values = -2.0 * matched + 2.0 * inner
        design = np.concatenate([np.ones((n, 1)), basis], axis=1)
        coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
        estimate = coefficients[0]
        error = np.std(values - design @ coefficients) / math.sqrt(n)
        assert estimate == pytest.approx(value, abs=1e-4 + 4 * error)
        assert error < 5e-3
