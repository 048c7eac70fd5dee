"""Energy distance and MMD against SciPy, scikit-learn and loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import energy_distance, kurtosis
from scipy.stats import t as student
from sklearn.metrics.pairwise import rbf_kernel

import isthmus
from isthmus import Pairs
from isthmus.compute import rows as compute_rows
from isthmus.compute import score_sweep
from isthmus.metrics._bandwidth import BANDWIDTHS, Bandwidth, _median
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.metrics.distribution import BIAS_SWAPS

NAMES = ["energy_distance", "mmd2_0.5", "mmd2_1", "mmd2_2"]
CENTRED = ["centred_energy_distance", "centred_mmd2_1"]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(x: np.ndarray, y: np.ndarray, name: str, **options: Any) -> isthmus.Estimate:
    return isthmus.measure(Pairs(image=x, text=y), metrics=[name], **options)[name]


def off_diagonal(table: np.ndarray) -> float:
    n = len(table)
    return float((table.sum() - np.trace(table)) / (n * (n - 1)))


def jackknife_half_width(left_out: np.ndarray) -> float:
    n = len(left_out)
    df = min(2 * n / (kurtosis(left_out, fisher=False) - 1), n - 1)
    return float(student.ppf(0.975, df) * math.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2)))


def slow_energy(x: np.ndarray, y: np.ndarray) -> float:
    return 2 * off_diagonal(cdist(x, y)) - off_diagonal(cdist(x, x)) - off_diagonal(cdist(y, y))


def slow_mmd(x: np.ndarray, y: np.ndarray, sigma: float) -> float:
    gamma = 1 / (2 * sigma**2)
    across = off_diagonal(rbf_kernel(x, y, gamma=gamma))
    return off_diagonal(rbf_kernel(x, gamma=gamma)) + off_diagonal(rbf_kernel(y, gamma=gamma)) - 2 * across


def test_energy_distance_equals_loops(cones: Any) -> None:
    x, y = map(unit, cones)
    assert measured(x, y, "energy_distance").value == pytest.approx(slow_energy(x, y), abs=1e-8)


def test_energy_distance_on_a_line_equals_scipy(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=50), 0.7 * rng.normal(size=50) + 1
    line = [np.column_stack([a, np.zeros(50)]) for a in (x, y)]
    # SciPy's is the root of the V-statistic: with the terms of an item with itself and 1/n^2 for all.
    e = measured(*line, "energy_distance", normalize=False)
    within = (np.abs(x[:, None] - x).sum() + np.abs(y[:, None] - y).sum()) * (1 / (50 * 49) - 1 / 50**2)
    across = np.abs(x[:, None] - y)
    correction = 2 * (across.mean() - off_diagonal(across))
    assert e.value + correction + within == pytest.approx(energy_distance(x, y) ** 2, abs=1e-8)


def test_mmd_equals_scikit_learn(cones: Any) -> None:
    x, y = map(unit, cones)
    median = float(np.median(pdist(np.vstack([x, y]))))
    for width in (0.5, 1, 2):
        assert measured(x, y, f"mmd2_{width:g}").value == pytest.approx(slow_mmd(x, y, width * median), abs=1e-8)


@pytest.mark.parametrize("normalize", [True, False])
def test_pairwise_sums_in_blocks_and_bands_are_equal(
    cones: Any, monkeypatch: pytest.MonkeyPatch, normalize: bool
) -> None:
    x, y = map(unit, cones) if normalize else cones
    in_one_block = PairwiseSums.of(PairedRows(x, y))
    results = []
    for module, name, size in ((compute_rows, "SLICE_BYTES", 5 * 16 * len(x)), (score_sweep, "TILE_ROWS", 16)):
        monkeypatch.setattr(module, name, size)
        results.append(PairwiseSums.of(PairedRows(x, y)))
    for key in ("xx", "xy", "yx", "yy"):
        for name, sums in getattr(in_one_block, key).items():
            for result in results:
                np.testing.assert_allclose(getattr(result, key)[name], sums, rtol=1e-12, err_msg=f"{key} {name}")
    assert set(in_one_block.xy) - set(in_one_block.xx) == {"centred_distance", "centred_inverse", "centred_rbf_1"}


def test_pairwise_sums_swapped_equal_those_of_swapped_rows(cones: Any) -> None:
    x, y = map(unit, cones)
    a, b = PairwiseSums.of(PairedRows(x, y)).swapped(), PairwiseSums.of(PairedRows(y, x))
    np.testing.assert_allclose(a.gap, b.gap, atol=1e-15)
    for key in ("xx", "xy", "yx", "yy"):
        for name in getattr(b, key):
            np.testing.assert_allclose(getattr(a, key)[name], getattr(b, key)[name], rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_distance_interval_equals_the_jackknife(rng: np.random.Generator, name: str) -> None:
    x, y = unit(rng.normal(size=(30, 4)) + 0.5), unit(rng.normal(size=(30, 4)))
    e = measured(x, y, name)
    median = float(np.median(pdist(np.vstack([x, y]))))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        return slow_energy(a, b) if name == "energy_distance" else slow_mmd(a, b, float(name[5:]) * median)

    left_out = np.array([statistic(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(30)])
    if name != "energy_distance":  # without an item, the median distance changes as well
        bandwidth = Bandwidth.of(x, y)
        left_out -= bandwidth.slopes[f"rbf_{name[5:]}"] * bandwidth.influence / 29
    half = jackknife_half_width(left_out)
    root, ratio = math.sqrt(e.value), half / 1.959963984540054 / e.value
    ends = (root * (1 + ratio**2 / 8) - half / (2 * root), root * (1 + ratio**2 / 8) + half / (2 * root))
    assert ratio < 1
    assert (e.low, e.high) == pytest.approx((ends[0] ** 2, ends[1] ** 2), abs=1e-8)


def test_slopes_by_the_median_distance_equal_differences(cones: Any) -> None:
    x, y = map(unit, cones)
    bandwidth = Bandwidth.of(x, y)
    for width in BANDWIDTHS:
        near = [slow_mmd(x, y, width * (bandwidth.median + step)) for step in (1e-4, -1e-4)]
        assert bandwidth.slopes[f"rbf_{width:g}"] == pytest.approx((near[0] - near[1]) / 2e-4, rel=1e-5)


def test_influence_on_the_median_distance_has_its_standard_error() -> None:
    samples = []
    for seed in range(200):
        x, y = np.random.default_rng(seed).normal(size=(2, 60, 4)) * np.array([1.0, 0.6, 0.4, 0.2])
        samples.append(Bandwidth.of(unit(x + np.eye(4)[0] * 3), unit(0.5 * x + y + np.eye(4)[1] * 3)))
    error = np.mean([sample.influence @ sample.influence / 60**2 for sample in samples]) ** 0.5
    assert 0.8 < error / np.std([sample.median for sample in samples]) < 1.25


def test_median_distance_of_equal_rows_has_no_influence() -> None:
    x = np.ones((20, 3))
    bandwidth = Bandwidth.of(x, x)
    assert bandwidth.median == 0
    assert not np.any(bandwidth.influence)
    assert set(bandwidth.slopes.values()) == {0.0}


def test_distances_after_random_swaps_have_the_null_mean(cones: Any, rng: np.random.Generator) -> None:
    x, y = map(unit, cones)
    for name in ("energy_distance", "mmd2_1"):
        estimates = []
        for _ in range(60):
            swap = rng.random(len(x))[:, None] < 0.5
            estimates.append(measured(np.where(swap, y, x), np.where(swap, x, y), name).value)
        error = np.std(estimates) / math.sqrt(60)
        assert abs(np.mean(estimates)) < 4 * error
        assert measured(x, y, name).value > 20 * np.std(estimates)


@pytest.mark.parametrize("name", CENTRED)
def test_centred_distances_equal_loops(cones: Any, name: str) -> None:
    x, y = map(unit, cones)
    median = float(np.median(pdist(np.vstack([x, y]))))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        return slow_energy(a, b) if "energy" in name else slow_mmd(a, b, median)

    swaps = np.random.default_rng(0)
    order = PairedRows(x, y).random_order
    a, b = ((rows - rows.mean(axis=0))[order] for rows in (x, y))
    biases = []
    for _ in range(16):
        swap = swaps.random(len(x))[:, None] < 0.5
        biases.append(statistic(np.where(swap, b, a), np.where(swap, a, b)))
    e = measured(x, y, name)
    assert e.value == pytest.approx(statistic(x, y) - np.mean(biases), abs=1e-8)
    assert np.mean(biases) < 0
    assert e.null == 0


@pytest.mark.parametrize("name", CENTRED)
def test_centred_distances_ignore_a_shift_and_detect_a_shape(rng: np.random.Generator, name: str) -> None:
    x, y = rng.normal(size=(2, 300, 6))
    same = measured(x + 3, y, name, normalize=False)
    assert same.low < 0 < same.high
    assert measured(x + 3, 0.5 * y, name, normalize=False).low > 0
    shifted, plain = (measured(a, y, name, normalize=False) for a in (1e3 + x, x))
    if "energy" in name:  # the width of the MMD's kernel grows with the gap
        assert abs(shifted.value - plain.value) < (plain.high - plain.low) / 4  # other random swaps


def test_distances_of_equal_rows_are_zero(cones: Any) -> None:
    x = np.tile(unit(cones[0])[:1], (20, 1))
    for name in NAMES:
        assert measured(x, x, name).value == pytest.approx(0, abs=1e-7)
    for name in CENTRED:
        assert measured(x, x, name).undefined == "all rows of image are the same, and all rows of text are the same"


def test_distances_of_clip_have_known_values(clip_coco: Pairs) -> None:
    estimates = isthmus.measure(clip_coco, metrics=[*NAMES, *CENTRED])
    x, y = (np.asarray(rows, dtype=np.float64) for rows in clip_coco.unit())
    assert estimates["energy_distance"].value == pytest.approx(slow_energy(x, y), abs=1e-6)
    assert estimates["mmd2_1"].value == pytest.approx(
        slow_mmd(x, y, float(np.median(pdist(np.vstack([x, y]))))), abs=1e-6
    )
    # Most of the difference is the gap between the means, but not all.
    assert 0 < estimates["centred_energy_distance"].low < estimates["centred_energy_distance"].high < 0.02


@pytest.mark.parametrize("name", CENTRED)
def test_centred_interval_includes_the_error_of_the_means(rng: np.random.Generator, name: str) -> None:
    x = np.column_stack([rng.exponential(size=150), 0.3 * rng.normal(size=150)])  # skewed: moving it changes the fit
    y = rng.normal(size=(150, 2)) * [1.0, 0.3]
    e = measured(x, y, name, normalize=False)
    median = float(np.median(pdist(np.vstack([x, y]))))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        return slow_energy(a, b) if "energy" in name else slow_mmd(a, b, median)

    left_out = np.array([statistic(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(150)])
    # On the scale of the root half the distance of the ends is that of the squares over twice the root.
    root_width = (math.sqrt(e.high) - math.sqrt(e.low)) * math.sqrt(e.value)
    assert root_width == pytest.approx(jackknife_half_width(left_out), rel=0.05)


def test_bias_of_centred_distances_equals_that_of_swapped_rows(rng: np.random.Generator) -> None:
    x, y = (unit(rng.normal(size=(40, 4)) + shift) for shift in (1, -1))
    rows, draws, biases = PairedRows(x, y), np.random.default_rng(0), []
    a, b = (side[rows.random_order] - side.mean(axis=0) for side in (x, y))
    for _ in range(BIAS_SWAPS):
        swap = draws.random(40)[:, None] < 0.5
        first, second = (side - side.mean(axis=0) for side in (np.where(swap, b, a), np.where(swap, a, b)))
        across = cdist(first, second)
        within = 2 * pdist(first).sum() + 2 * pdist(second).sum()
        biases.append((2 * (across.sum() - np.trace(across)) - within) / (40 * 39))
    across = cdist(x - x.mean(axis=0), y - y.mean(axis=0))
    plain = (2 * (across.sum() - np.trace(across)) - 2 * pdist(x).sum() - 2 * pdist(y).sum()) / (40 * 39)
    assert measured(x, y, "centred_energy_distance").value == pytest.approx(plain - np.mean(biases), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 101, 60_000, 60_001])
def test_median_of_many_values_equals_that_of_numpy(rng: np.random.Generator, n: int) -> None:
    values = rng.normal(size=n).astype(np.float32)
    for case in (values, np.sort(values), np.round(values), np.zeros_like(values)):
        assert _median(case) == np.median(case)


def test_intervals_of_distances_of_swapped_modalities_are_the_same(rng: np.random.Generator) -> None:
    x = rng.normal(size=(300, 5)) + 1
    y = 0.5 * x + rng.normal(size=x.shape)
    names = "mmd2_0.5,mmd2_1,mmd2_2"
    first, second = (isthmus.measure(*rows, metrics=names) for rows in ((x, y), (y, x)))
    for name, estimate in first.items():
        assert (estimate.low, estimate.high) == pytest.approx((second[name].low, second[name].high), rel=1e-9), name


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
@pytest.mark.parametrize("normalize", [True, False])
def test_distances_of_equal_rows_have_no_rounding(dtype: str, tolerance: float, normalize: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(8, 8))[rng.integers(8, size=300)].astype(dtype) for _ in range(2))
    unit_x, unit_y = (rows.astype(float) for rows in (x, y))
    if normalize:
        unit_x, unit_y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (unit_x, unit_y))
    others = ~np.eye(300, dtype=bool)
    sums = PairwiseSums.of(PairedRows(*(rows.astype(dtype) for rows in (unit_x, unit_y)), unit=normalize))
    gap = unit_x.mean(axis=0) - unit_y.mean(axis=0)
    for name, a, b in (("xx", unit_x, unit_x), ("yy", unit_y, unit_y), ("xy", unit_x, unit_y)):
        assert getattr(sums, name)["distance"].sum() == pytest.approx(cdist(a, b)[others].sum(), rel=tolerance), name
    assert sums.xy["centred_distance"].sum() == pytest.approx(cdist(unit_x, unit_y + gap)[others].sum(), rel=tolerance)
