"""Measures from moments against slow loops, SciPy and scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import MetricContext
from isthmus.metrics.principal_angles import shared_directions
from isthmus.statistics.moments import moments_of

TIGHT = {"rel": 1e-8, "abs": 1e-8}


@pytest.fixture
def data(cones: Any) -> tuple[np.ndarray, np.ndarray, isthmus.Result]:
    """Unit rows and what is measured on them."""
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in cones)
    return x, y, isthmus.measure(Pairs(image=x, text=y))


@pytest.fixture
def captions(rng: np.random.Generator, cones: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, isthmus.Result]:
    """Items with one to four partners each, by item."""
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in cones)
    index = np.concatenate([np.arange(50), np.sort(rng.integers(0, 50, size=70))])
    return x[:50], y, index, isthmus.measure(Pairs(image=x[:50], text=y, index=index))


def different(index: np.ndarray) -> np.ndarray:
    """Mask of the pairs of pairs that belong to different items."""
    return index[:, None] != index[None, :]


def test_relative_modality_gap_equals_loops(data: Any, captions: Any) -> None:
    x, y, result = data
    n = len(x)
    within = [np.mean([(1 - a[i] @ a[j]) / 2 for i in range(n) for j in range(n) if i != j]) for a in (x, y)]
    paired = np.mean([(1 - a @ b) / 2 for a, b in zip(x, y, strict=True)])
    unpaired = np.mean([(1 - x[i] @ y[j]) / 2 for i in range(n) for j in range(n) if i != j])
    e = result["relative_modality_gap"]
    assert e.value == pytest.approx(paired / (paired + sum(within) / 2), **TIGHT)
    assert e.null == pytest.approx(unpaired / (unpaired + sum(within) / 2), **TIGHT)

    x, y, index, result = captions
    x, is_different = x[index], different(index)
    within = [np.mean((1 - (a @ a.T)[is_different]) / 2) for a in (x, y)]
    paired = np.mean((1 - np.sum(x * y, axis=1)) / 2)
    assert result["relative_modality_gap"].value == pytest.approx(paired / (paired + sum(within) / 2), **TIGHT)


def test_relative_modality_gap_of_equal_rows_has_the_smallest_distance(cones: Any) -> None:
    x = cones[1] / np.linalg.norm(cones[1], axis=1, keepdims=True)
    e = isthmus.measure(Pairs(image=x, text=x))["relative_modality_gap"]
    within = np.mean((1 - (x @ x.T)[~np.eye(len(x), dtype=bool)]) / 2)
    assert e.value == pytest.approx(1e-3 / (1e-3 + within), **TIGHT)
    assert np.isnan(e.low)
    assert "the smallest distance that the definition allows" in e.note


def test_debiased_distance_leaves_out_equal_items(data: Any, captions: Any) -> None:
    x, y, result = data
    n = len(x)
    squared = np.mean([(x[i] - y[i]) @ (x[j] - y[j]) for i in range(n) for j in range(n) if i != j])
    assert result["centroid_distance_debiased"].value == pytest.approx(math.sqrt(squared), **TIGHT)
    x, y, index, result = captions
    difference = x[index] - y
    squared = np.mean((difference @ difference.T)[different(index)])
    assert result["centroid_distance_debiased"].value == pytest.approx(math.sqrt(squared), **TIGHT)


def test_residual_energy_share_equals_a_loop(data: Any, rng: np.random.Generator) -> None:
    x, y, result = data
    residual = (x - y) - (x.mean(axis=0) - y.mean(axis=0))
    energy = np.mean(np.sum(residual**2, axis=1))
    e = result["residual_energy_share"]
    gap = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    assert e.plugin == pytest.approx(energy / (gap + energy), **TIGHT)
    shuffles = []
    for _ in range(300):
        z = y[rng.permutation(len(y))]
        rest = (x - z) - (x - z).mean(axis=0)
        shuffles.append(np.mean(np.sum(rest**2, axis=1)) / np.mean(np.sum((x - z) ** 2, axis=1)))
    assert e.null == pytest.approx(np.mean(shuffles), abs=0.01)


def test_fisher_ratio_equals_discriminant_analysis(data: Any, rng: np.random.Generator) -> None:
    x, y, result = data
    rows, modality = np.concatenate([x, y]), np.repeat([0, 1], len(x))

    def ratio(modality: np.ndarray) -> float:
        means = np.stack([rows[modality == s].mean(axis=0) for s in (0, 1)])[modality]
        return float(np.sum((means - rows.mean(axis=0)) ** 2) / np.sum((rows - means) ** 2))

    assert result["fisher_ratio"].plugin == pytest.approx(ratio(modality), **TIGHT)
    swaps = []
    for _ in range(1000):
        flip = rng.integers(0, 2, size=len(x))
        swaps.append(ratio(np.concatenate([flip, 1 - flip])))
    assert result["fisher_ratio"].null == pytest.approx(np.mean(swaps), rel=0.1)


def test_gap_shares_equal_sorted_squares(data: Any, rng: np.random.Generator) -> None:
    x, y, result = data
    gap = x.mean(axis=0) - y.mean(axis=0)
    shares = sorted((g**2 / (gap @ gap) for g in gap), reverse=True)
    np.testing.assert_allclose(result.curves["gap_share_per_coordinate"], shares, atol=1e-8)
    for count in (2, 8):
        assert result[f"gap_share_top_{count}"].plugin == pytest.approx(sum(shares[:count]), **TIGHT)
        random = rng.normal(size=(5000, len(gap))) ** 2
        chance = np.mean(np.sort(random)[:, -count:].sum(axis=1) / random.sum(axis=1))
        assert result[f"gap_share_top_{count}"].null == pytest.approx(chance, abs=0.02)


def test_gap_shares_along_principal_directions_equal_pca(data: Any) -> None:
    from sklearn.decomposition import PCA

    x, y, result = data
    gap = x.mean(axis=0) - y.mean(axis=0)
    for name, rows in (("image", x), ("text", y)):
        pca = PCA().fit(rows)
        shares = (pca.components_ @ gap) ** 2 / (gap @ gap)
        np.testing.assert_allclose(result.curves[f"gap_share_per_direction_{name}"], shares, atol=1e-8)
        rank = int(np.searchsorted(np.cumsum(pca.explained_variance_ratio_), 0.99) + 1)
        e = result[f"gap_outside_span_{name}"]
        assert e.value == pytest.approx(1 - shares[:rank].sum(), **TIGHT)
        assert e.null == pytest.approx(1 - rank / len(gap))
        e = result[f"gap_share_leading_8_{name}"]
        assert e.value == pytest.approx(shares[:8].sum(), **TIGHT)
        assert e.null == 8 / 12
    # The gap of these clouds points along coordinates of which the rows vary: shares must not be all alike.
    assert np.ptp(result.curves["gap_share_per_direction_image"]) > 0.1


def test_frechet_and_bures_equal_scipy(data: Any) -> None:
    from scipy.linalg import sqrtm

    x, y, result = data
    cx, cy = (np.cov(a.T, bias=True) for a in (x, y))
    gap = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    bures = np.trace(cx + cy - 2 * np.real(sqrtm(cx @ cy)))
    assert result["frechet_distance"].value == pytest.approx(math.sqrt(gap + bures), rel=1e-7)
    assert result["bures_distance"].value == pytest.approx(math.sqrt(bures), rel=1e-7)
    assert result["frechet_centroid_share"].value == pytest.approx(gap / (gap + bures), rel=1e-7)
    assert result["coral_distance"].plugin == pytest.approx(np.linalg.norm(cx - cy), **TIGHT)


def test_distance_nulls_are_those_of_swaps(data: Any, rng: np.random.Generator) -> None:
    from isthmus.linalg import fidelity

    x, y, result = data
    squares, coral = [], []
    for _ in range(200):
        flip = rng.integers(0, 2, size=(len(x), 1)) == 1
        a, b = np.where(flip, x, y), np.where(flip, y, x)
        ca, cb = (np.cov(c.T, bias=True) for c in (a, b))
        bures = np.trace(ca + cb) - 2 * fidelity(ca, cb)
        squares.append([np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2), bures])
        coral.append(np.sum((ca - cb) ** 2))
    gap, bures = np.mean(squares, axis=0)
    spread = np.std(np.sum(squares, axis=1) ** 0.5)
    assert result["frechet_distance"].null == pytest.approx(math.sqrt(gap + bures), abs=3 * spread)  # one draw
    assert result["bures_distance"].null == pytest.approx(math.sqrt(bures), rel=0.2)
    assert result["coral_distance"].null == pytest.approx(math.sqrt(np.mean(coral)), rel=0.05)


def test_frechet_null_of_large_data_is_scaled_from_a_sample(rng: np.random.Generator, monkeypatch: Any) -> None:
    latent = rng.normal(size=(4000, 6))
    x, y = latent + 0.5 * rng.normal(size=(2, 4000, 6)) + np.eye(6)[:2, None]
    names = ["bures_distance", "frechet_distance"]
    of_all = isthmus.measure(Pairs(image=x, text=y), metrics=names)
    monkeypatch.setattr("isthmus.statistics.influence.SAMPLE_ITEMS", 1_000)
    scaled = isthmus.measure(Pairs(image=x, text=y), metrics=names)
    for name in names:
        assert scaled[name].value == of_all[name].value
        assert scaled[name].null == pytest.approx(of_all[name].null, rel=0.3), name


def test_spectrum_measures_equal_pca(data: Any) -> None:
    from sklearn.decomposition import PCA

    x, y, result = data
    for name, rows in (("image", x), ("text", y)):
        values = PCA().fit(rows).explained_variance_
        d = len(values)
        assert result[f"participation_ratio_{name}"].plugin == pytest.approx(
            values.sum() ** 2 / np.sum(values**2), **TIGHT
        )
        assert result[f"anisotropy_{name}"].plugin == pytest.approx(values[0] / values.mean(), **TIGHT)
        slope = np.polyfit(np.log(np.arange(2, d // 2 + 1)), np.log(values[1 : d // 2]), 1)[0]
        assert result[f"power_law_slope_{name}"].plugin == pytest.approx(-slope, **TIGHT)
        sigma = np.linalg.svd(rows, compute_uv=False)
        for percent in (90, 99):
            enough = np.cumsum(sigma**2) >= percent / 100 * np.sum(sigma**2)
            assert result[f"rank_{percent}_{name}"].value == np.argmax(enough) + 1
        p = sigma / sigma.sum() + 1e-7
        assert result[f"effective_rank_{name}"].plugin == pytest.approx(math.exp(-np.sum(p * np.log(p))), **TIGHT)


@pytest.mark.parametrize(("n", "d"), [(200, 64), (40, 64)])
def test_spectrum_nulls_are_those_of_isotropic_rows(rng: np.random.Generator, n: int, d: int) -> None:
    from isthmus.linalg.marchenko_pastur import isotropic_spectrum

    x = rng.normal(size=(n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(x.T @ x)[::-1] / n
    np.testing.assert_allclose(isotropic_spectrum(n, d), values, atol=0.12 * values[0])
    result = isthmus.measure(Pairs(a=x, b=x[::-1]))
    for name in ("rank_99_a", "effective_rank_a", "participation_ratio_a", "anisotropy_a", "power_law_slope_a"):
        assert result[name].null == pytest.approx(result[name].plugin, rel=0.15), name


def test_overlaps_equal_scipy(data: Any) -> None:
    from scipy.linalg import subspace_angles
    from sklearn.decomposition import PCA

    x, y, result = data
    bases = [PCA().fit(a).components_ for a in (x, y)]
    cosines = np.cos(subspace_angles(bases[0][:8].T, bases[1][:8].T))
    assert result["overlap_8"].value == pytest.approx(np.mean(cosines**2), **TIGHT)
    assert result["overlap_8"].null == 8 / 12
    assert result["overlap_32"].undefined == "12 dimensions are too few to compare subspaces of 32 dimensions"


def test_shared_directions_equal_those_of_the_projection(rng: np.random.Generator) -> None:
    from isthmus.align import SharedSpaceProjection

    n, d = 800, 40
    both, own_x, own_y = rng.normal(size=(n, 5)), rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    x, y = 0.1 * rng.normal(size=(2, n, d))
    x[:, :5] += both
    y[:, :5] += both
    x[:, 5:9] += own_x
    y[:, 9:13] += own_y
    pairs, shuffled = Pairs(x=x, y=y), Pairs(x=x, y=rng.permutation(y))
    estimates = [isthmus.measure(p, metrics="shared_directions")["shared_directions"] for p in (pairs, shuffled)]
    assert [e.value for e in estimates] == [5, 5]  # it needs no pairs
    assert estimates[0].null == 0
    assert SharedSpaceProjection(judge=False).fit_moments(moments_of(pairs)).matrix_x.shape[1] == 5


def test_shared_directions_of_filling_subspaces_are_undefined(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 4)) * [9.0, 8.0, 1.0, 0.9]
    e = isthmus.measure(Pairs(x=x, y=x[:, ::-1]), metrics="shared_directions", normalize=False)["shared_directions"]
    assert e.undefined == "subspaces of 2 and 2 of 4 dimensions always intersect, so that no test is possible"
    noise = rng.normal(size=(2, 500, 20))
    assert isthmus.measure(Pairs(x=noise[0], y=noise[1]))["shared_directions"].undefined == (
        "all directions of one modality are indistinguishable from noise"
    )


def test_shared_directions_of_random_subspaces_are_rare() -> None:
    """The 5 % edge: of 60 data sets of two random subspaces few have a shared direction."""
    estimates = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bases = [np.linalg.qr(rng.normal(size=(60, 12)))[0] for _ in range(2)]
        x, y = (rng.normal(size=(400, 12)) @ b.T + 0.02 * rng.normal(size=(400, 60)) for b in bases)
        context = MetricContext(moments_of(Pairs(x=x, y=y)))
        estimates.append(shared_directions(context).value)
    assert np.mean(np.array(estimates) > 0) <= 0.15


def test_excess_overlap_of_random_subspaces_is_zero(rng: np.random.Generator) -> None:
    d, r = 40, 25
    bases = [np.linalg.qr(rng.normal(size=(d, r)))[0] for _ in range(2)]
    x, y = (rng.normal(size=(300, r)) @ b.T for b in bases)
    result = isthmus.measure(Pairs(x=x, y=y))
    assert result["overlap_dimensions"].value >= 9
    assert result["excess_overlap_dimensions"].value == pytest.approx(0, abs=1.5)


def test_reproducibility_separates_shared_spaces_from_chance(rng: np.random.Generator) -> None:
    d, n = 40, 600
    latent = rng.normal(size=(n, 8))
    x, y = 0.5 * rng.normal(size=(2, n, d))
    x[:, :8] += latent
    y[:, 10:18] += latent
    name = "shared_space_reproducibility"
    estimates = isthmus.measure(Pairs(x=x, y=y), metrics=[name])[name]
    shuffled = isthmus.measure(Pairs(x=x, y=y[::-1]), metrics=[name])[name]
    assert estimates.value > 0.9
    assert shuffled.value < 0.5  # above the chance of 0.2 only because both halves prefer the strong directions
    assert estimates.null == 0.2
    few = isthmus.measure(Pairs(x=x[:20], y=y[:20]), metrics=[name])[name]
    assert few.undefined is not None


def test_cone_measures_equal_loops(data: Any) -> None:
    from isthmus.linalg.bessel import bessel_ratio

    x, y, result = data
    n, d = x.shape
    for name, rows in (("image", x), ("text", y)):
        cosine = np.mean([rows[i] @ rows[j] for i in range(n) for j in range(n) if i != j])
        assert result[f"mean_cosine_{name}"].value == pytest.approx(cosine, **TIGHT)
        mean = rows.mean(axis=0)
        assert cosine == pytest.approx((n * mean @ mean - 1) / (n - 1))
        e = result[f"vmf_concentration_{name}"]
        for kappa, square in (
            (e.value, cosine),
            *zip((e.low, e.high), (result[f"mean_cosine_{name}"].low, result[f"mean_cosine_{name}"].high), strict=True),
        ):
            assert bessel_ratio(d / 2 - 1, kappa) ** 2 == pytest.approx(square, rel=1e-7)
        conformity = [np.mean([rows[i] @ rows[j] for j in range(n) if j != i]) for i in range(n)]
        assert result[f"conformity_sd_{name}"].plugin == pytest.approx(np.std(conformity), **TIGHT)


def test_vmf_concentration_of_a_known_law_is_covered(rng: np.random.Generator) -> None:
    from scipy.stats import vonmises_fisher

    from isthmus.theory import VonMisesFisher

    x = vonmises_fisher(np.eye(5)[0], 7.0).rvs(4000, random_state=rng)
    e = isthmus.measure(Pairs(x=x, y=x), metrics=["vmf_concentration_{side}"])["vmf_concentration_x"]
    assert e.low <= 7.0 <= e.high
    assert e.value == pytest.approx(VonMisesFisher.fit(x, debiased=True).kappa, rel=1e-7)
    assert e.high - e.low < 0.6


def test_cka_equals_kernels(data: Any, rng: np.random.Generator) -> None:
    x, y, result = data
    n = len(x)
    h = np.eye(n) - 1 / n

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.trace(a @ a.T @ h @ b @ b.T @ h))

    scale = math.sqrt(hsic(x, x) * hsic(y, y))
    assert result["cka"].plugin == pytest.approx(hsic(x, y) / scale, **TIGHT)
    shuffled = np.mean([hsic(x, y[rng.permutation(n)]) for _ in range(400)]) / scale
    assert result["cka"].null == pytest.approx(shuffled, rel=0.05)


def test_svcca_equals_pca(data: Any, rng: np.random.Generator) -> None:
    from sklearn.decomposition import PCA

    x, y, result = data

    def correlation(x: np.ndarray, y: np.ndarray) -> float:
        a, b = (np.linalg.qr(PCA(10).fit_transform(rows))[0] for rows in (x, y))
        return float(np.mean(np.linalg.svd(a.T @ b, compute_uv=False)))

    assert result["svcca"].value == pytest.approx(correlation(x, y), **TIGHT)
    shuffled = np.mean([correlation(x, y[rng.permutation(len(y))]) for _ in range(50)])
    assert result["svcca"].null == pytest.approx(shuffled, rel=0.05)


def test_measures_of_equal_rows_are_undefined() -> None:
    same = np.tile([0.6, 0.8, 0.0], (30, 1))
    result = isthmus.measure(Pairs(x=same, y=same))
    for name in ("participation_ratio_x", "anisotropy_y", "cka", "svcca", "fisher_ratio", "residual_energy_share",
                 "vmf_concentration_x", "gap_share_top_2", "coral_distance", "power_law_slope_x"):  # fmt: skip
        assert result[name].undefined, name
        assert np.isnan(result[name].value)
    raw = isthmus.measure(Pairs(x=same * 2, y=same[:, ::-1]), normalize=False)
    assert raw["relative_modality_gap"].undefined == "the formula holds for unit rows; use normalize=True"
    assert raw["vmf_concentration_x"].undefined == "all rows of x are the same"


def test_measures_of_raw_rows_have_values(cones: Any) -> None:
    x, y = cones
    result = isthmus.measure(Pairs(x=x, y=y), normalize=False)
    difference = x - y
    gap = difference.mean(axis=0)
    of_all = np.mean(np.sum(difference**2, axis=1))
    assert result["residual_energy_share"].plugin == pytest.approx(1 - gap @ gap / of_all)
    assert result["residual_energy_share"].note.startswith("no interval: ")
    assert result["coral_distance"].plugin == pytest.approx(
        np.linalg.norm(np.cov(x.T, bias=True) - np.cov(y.T, bias=True))
    )
    assert result["coral_distance"].low < result["coral_distance"].value < result["coral_distance"].high


def test_frechet_null_of_the_average_over_swaps_varies_less_than_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    nulls: dict[int, list[float]] = {1: [], 5: []}
    for _ in range(20):
        x, y = rng.normal(size=(2, 60, 3))
        for n_swaps, values in nulls.items():
            monkeypatch.setattr("isthmus.metrics.frechet.N_SWAPS", n_swaps)
            values.append(isthmus.measure(x, y + 0.3, metrics="frechet_distance")["frechet_distance"].null)
    assert np.std(nulls[5]) < 0.8 * np.std(nulls[1])
    assert np.mean(nulls[5]) == pytest.approx(np.mean(nulls[1]), rel=0.1)
