"""Limits, thresholds and constants of the aligners: each test fails if its number changes."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, align
from isthmus.align import _drift, _spectra
from isthmus.align._candidates import candidates
from isthmus.align._choice import HeldOut
from isthmus.align.streaming import drift_warnings


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("deviation", "scaled"), [(0.5e-7, 0.0), (2e-7, 1.0)])
def test_standardization_of_a_nearly_constant_coordinate_gives_zero_below_1e_7(deviation: float, scaled: float) -> None:
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    rows = signs * [1.0, deviation]
    mapped = align.Standardization(normalize=False).fit(rows, rows, group=False).transform_x(rows)
    np.testing.assert_allclose(mapped, signs * [1.0, scaled], atol=1e-6)


@pytest.mark.parametrize(("n_pairs", "warns"), [(119, True), (120, False)])
def test_procrustes_warns_below_ten_pairs_per_dimension(cones: Any, n_pairs: int, warns: bool) -> None:
    aligner = align.Procrustes().fit(cones[0][:n_pairs], cones[1][:n_pairs])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ = aligner.map_x_
    assert bool(caught) == warns


def test_shrunk_eigenvalues_are_bounded_by_the_rounding_error() -> None:
    np.testing.assert_array_equal(_spectra.shrunk_eigenvalues(np.array([0.0, 2.0]), 0.0), [2e-12, 2.0])
    np.testing.assert_array_equal(_spectra.shrunk_eigenvalues(np.array([1.0, 3.0]), 0.5), [2.0, 4.0])
    np.testing.assert_array_equal(_spectra.shrunk_eigenvalues(np.zeros(2), 0.5), [1.0, 1.0])


def test_shared_signal_of_a_noiseless_direction_uses_the_smallest_noise() -> None:
    """Two coordinates, one without noise: its noise variance is 1e-12 of the largest eigenvalue of the differences."""
    rng = np.random.default_rng(0)
    u, noise = rng.normal(size=(2, 500, 2))
    x, y = u, u + noise * [0.0, 1.0]
    aligner = align.SharedSignal(shrink=0.0, floor=0.0, before_alpha=0.0, normalize=False).fit(x, y)
    moments = aligner.moments_
    assert moments is not None
    largest = np.linalg.eigvalsh(np.cov((x - y).T, bias=True))[-1]
    signal = (moments.cov_xy[0, 0]) / (1e-12 * largest)
    # The weight tends to sqrt(1/2) for a strong signal, divided by the root of the noise.
    expected = np.sqrt(signal / (1 + 2 * signal)) / np.sqrt(1e-12 * largest)
    assert aligner.matrix_x[0, 0] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("correlation", "flipped"), [(-0.25, 0), (-0.40, 1)])
def test_hyperplane_rotation_flips_beyond_three_standard_errors(correlation: float, flipped: int) -> None:
    """With 100 pairs the standard error is 0.1, so -0.25 is 2.5 errors and -0.40 is 4 errors."""
    u = np.tile([1.0, -1.0], 50)
    v = np.where(np.arange(100) < 50 * (1 + correlation), u, -u)
    if np.mean(u * v) > 0:
        v = -v
    x = np.column_stack([u, np.full(100, 3.0), np.zeros((100, 3))])
    y = np.column_stack([v, np.zeros(100), np.full(100, 3.0), np.zeros((100, 2))])
    aligner = align.HyperplaneRotation(energy=1.0, normalize=False).fit(x, y, group=False)
    assert np.mean(u * v) == pytest.approx(correlation, abs=0.03)
    assert aligner.fit_info_["flipped"] == flipped


@pytest.mark.parametrize("n_opposite", [0, 1, 2, 3])
def test_hyperplane_rotation_of_two_full_rank_clouds_does_not_depend_on_coordinates(n_opposite: int) -> None:
    """Every basis has the principal angles 0 here, and no direction is free to reverse an odd number of others."""
    rng = np.random.default_rng(n_opposite)
    signs = np.where(np.arange(5) < n_opposite, -1.0, 1.0)
    z = rng.normal(size=(60, 5)) * np.linspace(1, 2, 5)
    x, y = z + 0.3 * rng.normal(size=z.shape), z * signs + 0.3 * rng.normal(size=z.shape)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    aligner = align.HyperplaneRotation(energy=1.0, judge=False).fit(x, y)
    turned = align.HyperplaneRotation(energy=1.0, judge=False).fit(x @ turn, y @ turn)
    np.testing.assert_allclose(turn @ turned.matrix_x @ turn.T, aligner.matrix_x, atol=1e-8)
    assert np.linalg.det(aligner.matrix_x) == pytest.approx(1.0)
    assert aligner.fit_info_["flipped"] in {n_opposite // 2 * 2, (n_opposite + 1) // 2 * 2}


def test_hyperplane_rotation_of_unrelated_clouds_reverses_no_common_direction() -> None:
    rng = np.random.default_rng(0)
    aligner = align.HyperplaneRotation(energy=1.0, judge=False).fit(*rng.normal(size=(2, 300, 12)))
    assert aligner.fit_info_["flipped"] == 0
    np.testing.assert_allclose(aligner.matrix_x, np.eye(12), atol=1e-12)


@pytest.mark.filterwarnings("ignore:(All|The) rows of [xy] are (nearly all )?the same")
def test_score_standardization_of_equal_scores_is_refused() -> None:
    rows = np.array([[1.0, 0.0]] * 4)
    tilted = unit(np.array([[1.0, 1e-9], [1.0, -1e-9], [1.0, 1e-9], [1.0, -1e-9]]))
    for x in (rows, tilted):
        with pytest.raises(InputError, match="all rows of x are the same"):
            _ = align.ScoreStandardization().fit(x, x).map_x_
    with pytest.raises(InputError, match="got 2 rows of x, expected 3 or more"):
        _ = align.ScoreStandardization().fit(np.eye(2), np.eye(2)[::-1]).map_x_


@pytest.mark.filterwarnings("ignore:.*(same|few|falls back|bank of)")
@pytest.mark.parametrize("width", [1e-3, 1e-4, 1e-5, 1e-6])
def test_score_calibration_of_narrow_cones_has_the_spread_of_their_scores(
    width: float, rng: np.random.Generator
) -> None:
    x = unit(np.eye(12)[0] + width * rng.normal(size=(80, 12)))
    scores = x @ x.T
    expected = scores[~np.eye(len(x), dtype=bool)].std()
    fitted = align.ScoreCalibration().fit(x, x @ np.diag([1.0] * 11 + [-1.0]))
    assert fitted.level(query="x", stored="x")[1] == pytest.approx(expected, rel=0.01)


@pytest.mark.filterwarnings("ignore:.*(same|few|falls back|bank of|match)")
@pytest.mark.parametrize("n", [2, 80])
@pytest.mark.parametrize("constant", ["x", "y", "both"])
def test_auto_leaves_out_what_has_no_fit(n: int, constant: str, rng: np.random.Generator) -> None:
    x = unit(rng.normal(size=(n, 6)))
    same = np.tile(x[:1], (n, 1))
    rows = (same if constant != "y" else x, same if constant != "x" else x)
    for options in ({}, {"paired": False}):
        auto = align.Auto().fit(*rows, **options)
        assert auto.fit_info_["chosen"] == "Identity"
        reasons = " ".join(auto.fit_info_["reasons"])
        assert re.search("so that nothing can be fitted|ScoreCalibration has no fit", reasons)
        assert "nan" not in reasons


def test_auto_cross_validates_from_forty_items(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 40, 4))
    assert align.Auto().fit(x, y).table_
    with pytest.warns(IsthmusWarning, match="39 items are too few to cross-validate"):
        align.Auto().fit(x[:39], y[:39])
    with pytest.warns(IsthmusWarning, match="40 items are too few to cross-validate"):
        align.Auto(folds=21).fit(x, y)


def test_auto_cross_validates_on_at_most_2000_items(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    n_items: list[int] = []

    def record(pairs: isthmus.Pairs, *arguments: Any, **options: Any) -> HeldOut:
        n_items.append(pairs.n_items)
        n = pairs.n_items
        return HeldOut(
            [], np.zeros((2, len(arguments[2]), n)), np.arange(n), np.arange(n)[None] % 2, np.full(n, np.nan)
        )

    monkeypatch.setattr(align.auto, "cross_validate", record)
    x, y = rng.normal(size=(2, 2001, 4))
    for n in (1999, 2001):
        align.Auto(constraint="rows").fit(x[:n], y[:n])
    assert n_items == [1999, 2000]


def test_reduction_to_the_span_scales_the_penalties() -> None:
    plain, reduced = (candidates("retrieval", "rows", normalize=True, fraction=fraction) for fraction in (1.0, 0.25))
    for a, b in zip(plain, reduced, strict=True):
        for name, value in a.get_params().items():
            relative = name in ("lam", "before_lam", "cca_lam", "shrink", "floor")
            assert b.get_params()[name] == (0.25 * value if relative else value)


def modality_drift(**changes: float) -> _drift.ModalityDrift:
    numbers = {"shift": 0.1, "standard_errors": 1.0, "p_value": 0.5, "cosine": 1.0, "residual": 0.1}
    return _drift.ModalityDrift(name="x", n=10, **{**numbers, "fidelity": 0.9, "fidelity_null": 0.8, **changes})


def test_drift_has_its_level_at_one_per_cent() -> None:
    assert modality_drift(p_value=0.0099).shifted
    assert not modality_drift(p_value=0.0101).shifted
    assert modality_drift(fidelity=0.79).reshaped
    assert not modality_drift(fidelity=0.81).reshaped
    drifts = _drift.Drift((modality_drift(), modality_drift(fidelity=0.79)), ())
    assert drifts
    assert not _drift.Drift((modality_drift(),), ())


def test_null_fidelity_is_the_smallest_of_five_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.9, 0.8, 0.7, 0.85, 0.6, 0.1])
    monkeypatch.setattr(_drift, "_factor_fidelity", lambda a, b: next(values))
    assert _drift._null_fidelity(np.eye(3), 50, np.eye(3), 40) == pytest.approx(1 - 1.25 * (1 - 0.6))


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[align.Aligner, np.ndarray, Path]:
    """A fitted aligner, rows of its corpus with spread 1, and a path for shifted rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20_000, 4)) / 2 + [[[3.0, 0, 0, 0]], [[0, 3.0, 0, 0]]]
    return align.Centering(normalize=False).fit(x, y), x, tmp_path / "x.npy"


def warnings_of(corpus: Any, rows: np.ndarray, side: str = "x") -> list[str]:
    np.save(corpus[2], rows)
    return drift_warnings(corpus[0], isthmus.sources.open_source(corpus[2]), side)


@pytest.mark.parametrize(("offset", "warns"), [(0.09, False), (0.11, True)])
def test_drift_warnings_start_at_a_tenth_of_the_spread(corpus: Any, offset: float, warns: bool) -> None:
    rows = corpus[1] - corpus[1].mean(axis=0)
    rows = rows / np.sqrt((rows**2).sum(axis=1).mean()) + corpus[1].mean(axis=0)  # spread 1
    assert bool(warnings_of(corpus, rows + np.array([0, 0, offset, 0]))) == warns


@pytest.mark.parametrize(("n_rows", "warns"), [(99, False), (100, True)])
def test_drift_warnings_need_a_hundred_rows(corpus: Any, n_rows: int, warns: bool) -> None:
    assert bool(warnings_of(corpus, corpus[1][:n_rows] + 1.0)) == warns


def test_drift_warnings_compare_at_most_5000_rows(corpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    take = isthmus.sources.Source.take
    monkeypatch.setattr(
        isthmus.sources.Source, "take", lambda self, rows: (sizes.append(len(rows)), take(self, rows))[1]
    )
    for n_rows in (4_000, 20_000):
        warnings_of(corpus, corpus[1][:n_rows])
    assert sizes == [4_000, 5_000]


@pytest.mark.parametrize(("fraction", "warns"), [(0.6, False), (0.7, True)])
def test_drift_warnings_ask_for_the_other_modality_beyond_two_thirds(corpus: Any, fraction: float, warns: bool) -> None:
    """At fraction f of the way the distances are f and 1 - f, and 1 - f <= f / 2 from two thirds on."""
    rows = corpus[1] + fraction * np.array([-3.0, 3.0, 0, 0])
    sentences = warnings_of(corpus, rows)
    assert sentences
    assert ("are they rows of y?" in sentences[0]) == warns


def test_shared_space_projection_from_ten_items() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(size=(10, 2))
    x, y = np.hstack([u, 0.01 * rng.normal(size=(10, 6))]), np.hstack([u, 0.01 * rng.normal(size=(10, 6))])
    projection = align.SharedSpaceProjection(estimator="paired").fit(x, y)
    assert projection.transform_x(x).shape[0] == 10
    with pytest.raises(InputError, match="9 items are too few"):
        _ = align.SharedSpaceProjection(estimator="paired").fit(x[:9], y[:9]).map_x_


@pytest.mark.parametrize(("kept", "warns"), [(0.48, True), (0.52, False)])
def test_published_projection_below_half_of_the_energy_warns(kept: float, warns: bool) -> None:
    """One shared direction that holds the fraction `kept` of the energy of y, whose other direction is its own."""
    rng = np.random.default_rng(0)
    u, v = np.sign(rng.normal(size=(2, 400)))
    x = np.column_stack([u, np.zeros((400, 5))])
    y = np.column_stack([np.sqrt(kept) * u, np.sqrt(1 - kept) * v, np.zeros((400, 4))])
    projection = align.SharedSpaceProjection(estimator="published", normalize=False).fit(x, y, group=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ = projection.map_x_
    assert projection.fit_info_["energy_kept"][1] == pytest.approx(kept, abs=0.01)
    assert any("too little to search in" in str(w.message) for w in caught) == warns


def test_unrelated_edge_is_the_largest_of_nineteen_draws(monkeypatch: pytest.MonkeyPatch, cones: Any) -> None:
    from isthmus.align import shared_space_projection as module

    draws: list[float] = []
    monkeypatch.setattr(module, "_largest_singular_value", lambda matrix: draws.append(len(draws)) or float(len(draws)))
    moments = isthmus.Moments.of(*cones)
    assert module._unrelated_edge(moments) == pytest.approx(19 / np.sqrt(120))
    assert len(draws) == 19


def test_shared_signal_of_scaled_rows_has_the_scaled_smallest_noise() -> None:
    rng = np.random.default_rng(0)
    u, noise = rng.normal(size=(2, 500, 2))
    x, y = u, u + noise * [0.0, 1.0]  # one coordinate without noise
    aligner = align.SharedSignal(shrink=0.0, floor=0.0, before_alpha=0.0, normalize=False)
    matrix = aligner.fit(x, y).matrix_x
    np.testing.assert_allclose(100 * aligner.fit(100 * x, 100 * y).matrix_x, matrix, rtol=1e-3, atol=1e-6)


def test_null_fidelity_draws_from_seed_zero() -> None:
    expected = []
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = (_drift._sample_factor(np.eye(3), n, rng) for n in (50, 80))
        expected.append(_drift._factor_fidelity(a, b))
    assert _drift._null_fidelity(np.eye(3), 50, np.eye(3), 80) == pytest.approx(1 - 1.25 * (1 - min(expected)))


def test_standardization_of_equal_rows_gives_zero_and_warns() -> None:
    rows = np.tile([1.0, -2.0], (5, 1))
    with pytest.warns(IsthmusWarning, match="All rows of x are the same, and all rows of y are the same"):
        aligner = align.Standardization(normalize=False).fit(rows, rows)
    mapped = aligner.transform_x(rows + 1.0)
    np.testing.assert_array_equal(mapped, np.zeros((5, 2)))
