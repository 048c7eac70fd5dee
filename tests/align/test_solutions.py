"""Every aligner against an independent solution: SciPy, scikit-learn, cca-zoo or a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from isthmus import InputError, IsthmusWarning, Moments
from isthmus.align import (
    Blend,
    DifferenceWhitening,
    DimensionRemoval,
    GapProjection,
    KernelBlend,
    OrthogonalShift,
    PartialWhitening,
    Procrustes,
    ReAlign,
    RidgeCCA,
    RidgeMap,
    ScoreStandardization,
    SharedSignal,
    Standardization,
    Translation,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def clouds(cones: Any) -> tuple[np.ndarray, np.ndarray]:
    return unit(cones[0]), unit(cones[1])


def centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=0)


def power(cov: np.ndarray, alpha: float, lam: float) -> np.ndarray:
    """Return (S + lam tr S / d I)^-alpha by the matrix power of SciPy."""
    shifted = cov + lam * np.trace(cov) / len(cov) * np.eye(len(cov))
    return scipy.linalg.fractional_matrix_power(shifted, -alpha)


def cov(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return centred(a).T @ centred(b) / len(a)


def test_translation_by_one_and_two_gaps_equals_and_exchanges_means(clouds: Any) -> None:
    x, y = clouds
    for side in ("both", "x", "y"):
        a, b = Translation(moves=side, normalize=False).fit(x, y).transform(x, y)
        np.testing.assert_allclose(a.mean(axis=0), b.mean(axis=0), atol=1e-14)
    a, b = Translation(delta=2.0, normalize=False).fit(x, y).transform(x, y)
    np.testing.assert_allclose(a.mean(axis=0), y.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(b.mean(axis=0), x.mean(axis=0), atol=1e-14)
    only = Translation(moves="y").fit(x, y)
    np.testing.assert_allclose(only.transform_x(x), x, atol=1e-14)
    np.testing.assert_allclose(only.transform_y(y), unit(y - (y.mean(axis=0) - x.mean(axis=0))), atol=1e-14)
    with pytest.raises(InputError, match="moves='left', expected 'both', 'x' or 'y'"):
        Translation(moves="left").fit(x, y)


def test_standardization_equals_standard_scaler(clouds: Any) -> None:
    from sklearn.preprocessing import StandardScaler

    x, y = clouds
    mapped = Standardization(normalize=False).fit(x, y).transform(x, y)
    for rows, actual in zip(clouds, mapped, strict=True):
        np.testing.assert_allclose(actual, StandardScaler().fit_transform(rows), atol=1e-9)
    flat = x.copy()
    flat[:, 2] = 0.3
    assert not Standardization(normalize=False).fit(flat, y).transform_x(x)[:, 2].any()


def test_gap_projection_removes_the_gap_direction(clouds: Any) -> None:
    x, y = clouds
    gap = y.mean(axis=0) - x.mean(axis=0)
    a, b = GapProjection().fit(x, y).transform(x, y)
    np.testing.assert_allclose(np.abs(np.vstack([a, b]) @ gap).max(), 0, atol=1e-14)
    with pytest.raises(InputError, match="the two means are equal"):
        _ = GapProjection().fit(x, x).map_x_


def test_dimension_removal_drops_the_largest_coordinates(clouds: Any) -> None:
    x, y = clouds
    gap = np.abs(y.mean(axis=0) - x.mean(axis=0))
    kept = np.sort(np.argsort(-gap)[3:])
    removal = DimensionRemoval(k=3).fit(x, y)
    np.testing.assert_allclose(removal.transform_x(x), unit(x[:, kept]), atol=1e-14)
    assert removal.fit_info_["gap_share"] == pytest.approx(1 - (gap[kept] ** 2).sum() / (gap**2).sum())
    # The rotated variant does not depend on the basis, and the plain one does.
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(x.shape[1],) * 2))[0]
    scores = []
    for rotated in (True, False):
        pair = [
            DimensionRemoval(k=3, rotated=rotated).fit(x @ r, y @ r).transform(x @ r, y @ r) for r in (np.eye(12), q)
        ]
        scores.append([a @ b.T for a, b in pair])
    np.testing.assert_allclose(*scores[0], atol=1e-9)
    assert np.abs(scores[1][0] - scores[1][1]).max() > 0.01
    with pytest.raises(InputError, match="k=11 of 12 dimensions cannot be dropped, expected 1 to 10"):
        _ = DimensionRemoval(k=11).fit(x, y).map_x_
    with pytest.raises(InputError, match="leaves two or more dimensions, and the rows have only 2; use Centering"):
        _ = DimensionRemoval(k=1).fit(x[:, :2], y[:, :2]).map_x_


def test_orthogonal_shift_keeps_the_promised_rankings(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 10)) * ([1.0] * 5 + [0.0] * 5)  # the retrieved side lies in five dimensions
    y = x + 0.5 * rng.normal(size=(60, 10)) * ([1.0] * 5 + [0.0] * 5) + 2 * np.eye(10)[7]
    x, y = unit(x), unit(y)
    shift = OrthogonalShift(energy=1.0).fit(x, y)
    a, b = shift.transform(x, y)
    assert shift.fit_info_["rank"] == 5
    assert shift.fit_info_["orthogonal_gap"] > 0.5
    np.testing.assert_allclose(a, x, atol=1e-15)
    distance = ((b[:, None] - a[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(np.argsort(distance, axis=1), np.argsort(-(y @ x.T), axis=1))
    # Searching the moved side: the dot product keeps its ranking, distance does not.
    np.testing.assert_array_equal(np.argsort(-(a @ b.T), axis=1), np.argsort(-(x @ y.T), axis=1))
    assert (np.argsort(distance.T, axis=1) != np.argsort(-(x @ y.T), axis=1)).any()
    assert abs(np.linalg.norm(b, axis=1) - 1).max() > 0.1
    other = OrthogonalShift(energy=1.0, retrieved="y").fit(y, x).transform_x(y)
    np.testing.assert_allclose(other, b, atol=1e-12)


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_procrustes_equals_scipy(clouds: Any) -> None:
    x, y = clouds
    centred_turn = scipy.linalg.orthogonal_procrustes(centred(x), centred(y))[0]
    turn = scipy.linalg.orthogonal_procrustes(x, y)[0]
    np.testing.assert_allclose(Procrustes().fit(x, y).matrix_x, centred_turn, atol=1e-10)
    plain = Procrustes(center=False).fit(x, y)
    np.testing.assert_allclose(plain.matrix_x, turn, atol=1e-10)
    np.testing.assert_allclose(plain.matrix_x @ plain.matrix_x.T, np.eye(12), atol=1e-12)
    assert (Procrustes().uses_means, plain.uses_means) == (True, False)


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_procrustes_with_different_dims_pads_the_smaller_one(clouds: Any) -> None:
    x, y = clouds
    narrow = y[:, :9]
    for first, second in ((x, narrow), (narrow, x)):
        a, b = Procrustes(normalize=False).fit(first, second).transform(first, second)
        pads = [np.pad(centred(s), ((0, 0), (0, 12 - s.shape[1]))) for s in (first, second)]
        turn = scipy.linalg.orthogonal_procrustes(*pads)[0]
        np.testing.assert_allclose(((a - b) ** 2).sum(), ((pads[0] @ turn - pads[1]) ** 2).sum(), rtol=1e-9)
        assert a.shape == b.shape == (120, 12)


def test_procrustes_with_few_pairs_warns(clouds: Any) -> None:
    with pytest.warns(IsthmusWarning, match="12 x 12 numbers to 119 items, fewer than 10 per dimension"):
        _ = Procrustes().fit(clouds[0][1:], clouds[1][1:]).map_x_


@pytest.mark.parametrize("width", [12, 9])
def test_ridge_map_equals_scikit_learn_ridge(clouds: Any, width: int) -> None:
    from sklearn.linear_model import Ridge

    x, y = clouds[0], clouds[1][:, :width]
    for direction, (a, b) in {"x_to_y": (x, y), "y_to_x": (y, x)}.items():
        penalty = 0.5 * np.trace(cov(a, a)) / a.shape[1] * len(a)
        expected = Ridge(alpha=penalty).fit(a, b).coef_.T
        mapped = RidgeMap(ridge=0.5, direction=direction, normalize=False).fit(x, y)
        np.testing.assert_allclose(getattr(mapped, f"matrix_{direction[0]}"), expected, atol=1e-9)
        assert mapped.transform_x(x).shape == mapped.transform_y(y).shape


@pytest.mark.parametrize("width", [12, 9])
def test_ridge_cca_solves_the_generalised_eigenproblem(clouds: Any, width: int) -> None:
    x, y = clouds[0], clouds[1][:, :width]
    lam = 0.3
    sx, sy, sxy = cov(x, x), cov(y, y), cov(x, y)
    rx, ry = (s + lam * np.trace(s) / len(s) * np.eye(len(s)) for s in (sx, sy))
    squares, vectors = scipy.linalg.eigh(sxy @ np.linalg.solve(ry, sxy.T), rx)
    cca = RidgeCCA(lam=lam, g=0.0, k=4, normalize=False).fit(x, y)
    actual = cca.matrix_x
    np.testing.assert_allclose(np.array(cca.fit_info_["correlations"][:4]) ** 2, squares[::-1][:4], rtol=1e-9)
    expected = vectors[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(np.sum(actual * (rx @ expected), axis=0)), 1, atol=1e-9)
    weighted = RidgeCCA(lam=lam, g=2.0, k=4, normalize=False).fit(x, y).matrix_x
    np.testing.assert_allclose(weighted, actual * np.array(cca.fit_info_["correlations"][:4]) ** 2, atol=1e-10)
    with pytest.raises(InputError, match=f"k=13, expected at most {width}, the number of canonical directions"):
        _ = RidgeCCA(k=13).fit(x, y).map_x_


def test_ridge_cca_without_ridge_equals_scikit_learn(clouds: Any) -> None:
    from sklearn.cross_decomposition import CCA

    x, y = clouds
    a, b = CCA(n_components=2, scale=False, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = [np.corrcoef(a[:, j], b[:, j])[0, 1] for j in range(2)]
    # The rows of the fixture fill all dimensions after the division by norms, so lam = 0 is well posed.
    cca = RidgeCCA(lam=0.0, normalize=False).fit(x, y)
    _ = cca.map_x_
    np.testing.assert_allclose(cca.fit_info_["correlations"][:2], expected, atol=1e-6)


@pytest.mark.parametrize(("width", "lam"), [(12, 0.3), (9, 1.0)])
def test_ridge_cca_equals_cca_zoo(clouds: Any, width: int, lam: float) -> None:
    """cca-zoo uses (1 - c) S + c I. Scaled by 1 / (1 - c) this is S + c / (1 - c) I, with c per modality."""
    linear = pytest.importorskip("cca_zoo.linear")
    x, y = centred(clouds[0]), centred(clouds[1][:, :width])
    means = [lam * np.trace(cov(s, s)) / s.shape[1] * len(s) / (len(s) - 1) for s in (x, y)]  # it divides by n - 1
    model = linear.RidgeCCA(n_components=3, shrinkage=[m / (1 + m) for m in means]).fit([x, y])
    expected = model.transform([x, y])
    cca = RidgeCCA(lam=lam, g=0.0, k=3, normalize=False).fit(clouds[0], clouds[1][:, :width])
    for actual, expected_scores in zip(cca.transform(clouds[0], clouds[1][:, :width]), expected, strict=True):
        for j in range(3):
            assert abs(np.corrcoef(actual[:, j], np.asarray(expected_scores)[:, j])[0, 1]) == pytest.approx(1, abs=1e-8)


def test_partial_whitening_equals_matrix_powers(clouds: Any) -> None:
    x, y = clouds
    mapped = PartialWhitening(alpha=0.3, lam=2.0, normalize=False).fit(x, y).transform(x, y)
    for rows, actual in zip(clouds, mapped, strict=True):
        np.testing.assert_allclose(actual, centred(rows) @ power(cov(rows, rows), 0.3, 2.0), atol=1e-9)


def test_partial_whitening_at_one_half_equals_pca_whitening(clouds: Any) -> None:
    from sklearn.decomposition import PCA

    x, y = clouds
    white = PartialWhitening(alpha=0.5, lam=0.0, normalize=False).fit(x, y).transform_x(x)
    expected = PCA(whiten=True).fit_transform(x)
    np.testing.assert_allclose(white @ white.T, expected @ expected.T * len(x) / (len(x) - 1), atol=1e-7)


def difference_oracle(x: np.ndarray, y: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    wx, wy = power(cov(x, x), 0.25, 3.0), power(cov(y, y), 0.25, 3.0)
    left = x @ wx - y @ wy
    common = power(cov(left, left), alpha, 3.0)
    return centred(x) @ wx @ common, centred(y) @ wy @ common


def test_difference_whitening_equals_solution_from_rows(clouds: Any) -> None:
    x, y = clouds
    mapped = DifferenceWhitening(alpha=0.5, normalize=False).fit(x, y).transform(x, y)
    for actual, expected in zip(mapped, difference_oracle(x, y, 0.5), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-9)


def cca_oracle(x: np.ndarray, y: np.ndarray, g: float) -> tuple[np.ndarray, np.ndarray]:
    wx, wy = power(cov(x, x), 0.5, 1.0), power(cov(y, y), 0.5, 1.0)
    u, rho, zt = np.linalg.svd(wx @ cov(x, y) @ wy)
    return centred(x) @ wx @ (u * rho**g), centred(y) @ wy @ (zt.T * rho**g)


def test_blend_cosine_is_the_mean_of_two_cosines(clouds: Any) -> None:
    x, y = clouds
    white = [unit(centred(s) @ power(cov(s, s), 0.25, 3.0)) for s in clouds]
    paired = [unit(s) for s in cca_oracle(x, y, 2.0)]
    blend = Blend(weight=0.3).fit(x, y)
    a, b = blend.transform(x, y)
    np.testing.assert_allclose(a @ b.T, 0.7 * white[0] @ white[1].T + 0.3 * paired[0] @ paired[1].T, atol=1e-9)
    np.testing.assert_allclose(a @ a.T, 0.7 * white[0] @ white[0].T + 0.3 * paired[0] @ paired[0].T, atol=1e-9)
    with pytest.raises(InputError, match="Blend is not an affine map of the rows; use transform or to_torch"):
        _ = blend.matrix_x


def test_kernel_blend_scores_are_the_convex_combination(clouds: Any) -> None:
    x, y = clouds
    white = [centred(s) @ power(cov(s, s), 0.5, 3.0) for s in clouds]
    paired = list(cca_oracle(x, y, 1.0))
    scales = [np.sqrt(np.prod([np.mean(np.sum(s**2, axis=1)) for s in both])) for both in (white, paired)]
    for t in (0.0, 0.4, 1.0):
        a, b = KernelBlend(weight=t, normalize=False).fit(x, y).transform(x, y)
        expected = (1 - t) * white[0] @ white[1].T / scales[0] + t * paired[0] @ paired[1].T / scales[1]
        np.testing.assert_allclose(a @ b.T, expected, atol=1e-8)
    # Nothing is blended in at t = 0: partial whitening itself.
    plain = PartialWhitening(alpha=0.5).fit(x, y).transform(x, y)
    for actual, expected in zip(KernelBlend(weight=0.0).fit(x, y).transform(x, y), plain, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_shared_signal_scores_equal_the_likelihood_ratio(clouds: Any) -> None:
    """The oracle is the log ratio of 'one item' and 'two items' from the normal densities of SciPy."""
    from scipy.stats import multivariate_normal

    x, y = clouds
    mapped = SharedSignal(shrink=0.5, floor=0.0, before_alpha=0.0, normalize=False).fit(x, y).transform(x, y)
    differences = cov(x - y, x - y)
    noise = differences / 2 + 0.5 * np.trace(differences) / 2 / 12 * np.eye(12)
    shared = (cov(x, y) + cov(x, y).T) / 2
    # The positive part of the shared covariance, in the metric of the noise.
    values, vectors = scipy.linalg.eigh(shared, noise)
    back = noise @ vectors
    shared = (back * np.clip(values, 0, None)) @ back.T
    total = noise + shared
    one = multivariate_normal(np.zeros(24), np.block([[total, shared], [shared, total]]))
    two = multivariate_normal(np.zeros(12), total)
    a, b = centred(x), centred(y)
    ratio = np.array([[one.logpdf(np.hstack([p, q])) - two.logpdf(p) - two.logpdf(q) for q in b[:15]] for p in a[:15]])
    # The ratio is bilinear up to one term for each row: compare double differences.
    double = ratio - ratio.mean(axis=0) - ratio.mean(axis=1)[:, None] + ratio.mean()
    scores = mapped[0][:15] @ mapped[1][:15].T
    double_scores = scores - scores.mean(axis=0) - scores.mean(axis=1)[:, None] + scores.mean()
    np.testing.assert_allclose(double, double_scores, atol=1e-8)


def test_realign_on_narrow_cones_closes_the_gap(rng: np.random.Generator) -> None:
    residuals = []
    for spread in (0.1, 0.05):
        noise = rng.normal(size=(2, 20_000, 4)) * [0.5, 1.0, 2.0, 1.0]
        x, y = spread * noise * [[[1.0]], [[2.0]]] + np.eye(4)[:2, None]
        aligner = ReAlign().fit(x, y)
        ux = unit(x)
        a, b = aligner.transform(x, y)
        np.testing.assert_allclose(a, ux, atol=1e-14)
        mean, means = ux.mean(axis=0), unit(y).mean(axis=0)
        scale = aligner.fit_info_["scale"]
        e = unit(mean + scale * (unit(y) - means))
        exact = unit(e - e.mean(axis=0) + mean)
        residuals.append(np.abs(exact - b).max())
        assert scale == pytest.approx(
            np.sqrt(np.trace(np.cov(ux.T, bias=True)) / np.trace(np.cov(unit(y).T, bias=True))), rel=1e-9
        )
    assert residuals[0] < 0.02
    assert residuals[1] < residuals[0] / 4  # what the expansion leaves out falls faster than the spread squared


@pytest.mark.filterwarnings("ignore:Every row of y is the negative of its matching row")
def test_realign_on_wide_cones_closes_the_gap(rng: np.random.Generator) -> None:
    z = rng.normal(size=(1_000, 10)) + 2 * np.eye(10)[0]
    other = np.exp(rng.normal(size=(1_000, 1))) * z + rng.normal(size=z.shape) * np.eye(10)[3] + 0.6
    for x, y, bound in ((z, z, 1e-12), (z, -z, 0.01), (z, other, 0.01)):
        a, b = ReAlign().fit(x, y).transform(x, y)
        assert np.linalg.norm(a.mean(axis=0) - b.mean(axis=0)) < bound


def test_score_standardization_equals_statistics_of_all_scores(clouds: Any) -> None:
    x, y = clouds
    z = ScoreStandardization().fit(x, y)
    for query, q in (("x", x), ("y", y)):
        for stored, c in (("x", x), ("y", y)):
            mean, deviation = z.level(query=query, stored=stored)
            products = q @ c.T
            if query == stored:  # without a row against itself
                products = products[~np.eye(len(q), dtype=bool)]
            assert mean == pytest.approx(products.mean(), abs=1e-12)
            assert deviation == pytest.approx(products.std(), rel=1e-9)
            scores = z.scores(q, c, query=query, stored=stored)
            index_scores = z.query(q, modality=query, index="exact") @ z.stored(c, modality=stored, queries=query).T
            np.testing.assert_allclose(scores, index_scores, atol=1e-10)
    with pytest.raises(InputError, match="unknown modality 'z'"):
        z.level(query="z", stored="x")
    with pytest.raises(InputError, match="not fitted"):
        ScoreStandardization().scores(x, y, query="x", stored="y")


def test_fit_with_different_dims_is_refused(clouds: Any) -> None:
    x, y = clouds
    with pytest.raises(InputError, match="x has width 12 and y has width 9"):
        PartialWhitening().fit(x, y[:, :9])
    moments = Moments.of(x, y[:, :9], index=np.arange(len(x)))
    np.testing.assert_allclose(moments.xy, x.T @ unit(y[:, :9]), atol=1e-12)
    with pytest.raises(InputError, match="have no paired cosine"):
        _ = moments.mean_paired
