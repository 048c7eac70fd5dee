"""Eigenvalues before sampling: those of populations whose samples are known."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.linalg.sampled_spectrum import SampledSpectrum


def spectrum_of(scales: np.ndarray, n: int, rng: np.random.Generator) -> SampledSpectrum:
    """Return the spectrum of normal rows with random halves of them."""
    rows = rng.normal(size=(n, len(scales))) * scales
    halves = []
    for _ in range(10):
        order = rng.permutation(n)
        halves += [np.cov(rows[half].T, bias=True) for half in (order[: n // 2], order[n // 2 :])]
    return SampledSpectrum(np.cov(rows.T, bias=True), halves)


def test_estimated_eigenvalues_of_equal_ones_spread_less_than_observed(rng: np.random.Generator) -> None:
    spectra = [spectrum_of(np.ones(10), 200, rng) for _ in range(10)]
    observed, estimated = (np.mean([np.ptp(getattr(s, name)) for s in spectra]) for name in ("observed", "estimated"))
    assert estimated < 0.5 * observed


def test_estimated_eigenvalues_of_clear_ones_are_those_of_the_population(rng: np.random.Generator) -> None:
    scales = 2.0 ** -np.arange(5)
    spectra = [spectrum_of(scales, 400, rng) for _ in range(20)]
    np.testing.assert_allclose(np.mean([s.estimated for s in spectra], axis=0), scales**2, rtol=0.06)


def test_directions_without_variance_stay_at_zero() -> None:
    cov = np.diag([2.0, 1.0, 0.0])
    spectrum = SampledSpectrum(cov, [1.1 * cov, 0.9 * cov])
    assert spectrum.estimated[2] == spectrum.from_observed[0, 2] == 0
    assert spectrum.without_sampling().from_observed.tolist() == [pytest.approx([2.0, 1.0, 0.0])]


def test_constant_rows_have_a_spectrum_of_zeros() -> None:
    noise = 1e-33 * np.random.default_rng(0).normal(size=(2, 4, 4))
    spectrum = SampledSpectrum(np.zeros((4, 4)), [matrix @ matrix.T for matrix in noise])
    assert not spectrum.estimated.any()
    assert not spectrum.from_estimated.any()
