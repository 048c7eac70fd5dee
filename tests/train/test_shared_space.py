"""The running moments, the bases of the shared space, and the alignment inside it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
from sklearn.decomposition import PCA

torch = pytest.importorskip("torch")

from isthmus import InputError, IsthmusWarning, train  # noqa: E402
from isthmus.linalg.shared_directions import ESTIMATORS, cca, cross_covariance, joint_pca, overlap  # noqa: E402
from isthmus.train._batch import Batch  # noqa: E402
from isthmus.train.running_moments import RunningMoments  # noqa: E402

# Tests of projections use rows of any length.
pytestmark = pytest.mark.filterwarnings("ignore:got rows of mean length")

Rows = np.ndarray


def two_sides(rng: np.random.Generator, n: int = 3000, noise: float = 0.02) -> tuple[Rows, Rows, Rows]:
    """Rows of width 20 whose sides share 3 dimensions and have 4 and 5 of their own, and the basis of those three."""
    basis = np.linalg.qr(rng.normal(size=(20, 12)))[0].T
    latent = rng.normal(size=(n, 3)) * [1.5, 1.2, 1.0]
    x = latent @ basis[:3] + rng.normal(size=(n, 4)) @ basis[3:7] + noise * rng.normal(size=(n, 20))
    y = latent @ basis[:3] + rng.normal(size=(n, 5)) @ basis[7:] + noise * rng.normal(size=(n, 20))
    return x + 0.5, y - 0.5, basis[:3].T


def covariances(x: Rows, y: Rows) -> tuple[Rows, Rows, Rows]:
    x, y = x - x.mean(0), y - y.mean(0)
    return x.T @ x / len(x), y.T @ y / len(y), x.T @ y / len(x)


def cosines(a: Rows, b: Rows) -> Rows:
    """Of the principal angles between the spans of orthonormal columns."""
    return np.linalg.svd(a.T @ b, compute_uv=False)


def test_running_moments_equal_a_weighted_loop(rng: np.random.Generator) -> None:
    batches = [(rng.normal(size=(n, 3)) + 1, rng.normal(size=(n, 3)) - 2) for n in (4, 4, 6, 4)]
    decay, moments = 0.7, RunningMoments(0.7)
    for x, y in batches:
        moments.update(Batch(torch.tensor(x), torch.tensor(y), 1.0))
    weights = np.concatenate([np.full(len(x), decay ** (3 - t) / len(x)) for t, (x, _) in enumerate(batches)])
    x, y = (np.concatenate(side) for side in zip(*batches, strict=True))
    weights /= weights.sum()
    mean_x, mean_y = weights @ x, weights @ y
    np.testing.assert_allclose(moments.mean_x, mean_x, rtol=1e-12)
    np.testing.assert_allclose(moments.mean_y, mean_y, rtol=1e-12)
    centred = x - mean_x, y - mean_y
    expected = [(a * weights[:, None]).T @ b for a, b in ((centred[0],) * 2, (centred[1],) * 2, centred)]
    for found, wanted in zip(moments.covariances, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    assert moments.n_effective == pytest.approx(1 / (weights**2).sum())


def test_running_moments_with_another_width_start_again() -> None:
    moments = RunningMoments()
    for width in (3, 5):
        moments.update(Batch(torch.ones(4, width), torch.ones(4, width), 1.0))
    assert moments.width == 5
    assert moments.n_effective == pytest.approx(4)


def test_estimators_with_shared_directions_find_them(rng: np.random.Generator) -> None:
    x, y, truth = two_sides(rng)
    arguments = (*covariances(x, y), float(len(x)))
    for name, estimator in ESTIMATORS.items():
        for k in (None, 2, 3):
            basis = estimator(*arguments, k)
            np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
            if name == "joint_pca":
                continue
            # Left alone, canonical correlations of noise add a little to the count.
            assert basis.shape[1] in ((k,) if k else (3, 4)), name
            assert cosines(basis, truth).min() > 0.995, name
    assert joint_pca(*arguments, 5).shape == (20, 5)


def test_estimators_equal_other_formulas(rng: np.random.Generator) -> None:
    x, y, _ = two_sides(rng, n=400)
    cov_x, cov_y, cov_xy = covariances(x, y)
    both = np.concatenate([x - x.mean(0), y - y.mean(0)])
    pca = PCA(3).fit(both).components_.T
    np.testing.assert_allclose(cosines(joint_pca(cov_x, cov_y, cov_xy, 400.0, 3), pca), 1, atol=1e-9)
    # The symmetric part of the cross-covariance is that of partners' sums minus that of their differences.
    plus, minus = (np.cov((x + sign * y).T, bias=True) for sign in (1, -1))
    vectors = np.linalg.eigh((plus - minus) / 4)[1][:, ::-1][:, :3]
    np.testing.assert_allclose(cosines(cross_covariance(cov_x, cov_y, cov_xy, 400.0, 3), vectors), 1, atol=1e-9)
    # Canonical directions as the generalised eigenvectors of one block problem.
    zero, ridges = np.zeros((20, 20)), [c + np.trace(c) / 20 * np.eye(20) for c in (cov_x, cov_y)]
    left, right = np.block([[zero, cov_xy], [cov_xy.T, zero]]), scipy.linalg.block_diag(*ridges)
    vectors = scipy.linalg.eigh(left, right)[1][:, ::-1][:, :2]
    middle = sum(part / np.linalg.norm(part, axis=0) for part in (vectors[:20], vectors[20:]))
    np.testing.assert_allclose(cosines(cca(cov_x, cov_y, cov_xy, 400.0, 2), np.linalg.qr(middle)[0]), 1, atol=1e-9)


def test_overlap_without_shared_directions_is_empty(rng: np.random.Generator) -> None:
    basis = np.linalg.qr(rng.normal(size=(20, 8)))[0].T
    x, y = (rng.normal(size=(500, 4)) @ part + 0.01 * rng.normal(size=(500, 20)) for part in (basis[:4], basis[4:]))
    assert overlap(*covariances(x, y), 500.0, None).shape == (20, 0)
    full = np.eye(20)
    assert overlap(full, full, full, 500.0, None).shape == (20, 0)
    # Ranks of 15 and 15 in 20 dimensions share 10 whatever they are.
    for seed in range(3):
        sides = [np.linalg.qr(np.random.default_rng([seed, side]).normal(size=(20, 15)))[0] for side in (0, 1)]
        cov = [side @ side.T + 1e-12 * np.eye(20) for side in sides]
        assert overlap(*cov, cov[0], 1e6, None).shape[1] == 0


def test_shared_space_loss_equals_info_nce_of_the_projections(rng: np.random.Generator) -> None:
    x, y, _ = two_sides(rng, n=12)
    loss = train.SharedSpaceAlignment(weight=0.7, k=2, every=1, estimator="cross_covariance")
    x_, y_ = torch.tensor(x), torch.tensor(y)
    terms = loss(x_, y_, 3.0, output_dict=True)
    basis = cross_covariance(*covariances(x, y), 12.0, 2)
    a, b = (rows @ basis for rows in (x, y))
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    total = 0.0
    for i in range(12):
        total += math.log(sum(math.exp(3 * float(a[i] @ b[j] - a[i] @ b[i])) for j in range(12))) / 24
        total += math.log(sum(math.exp(3 * float(b[i] @ a[j] - a[i] @ b[i])) for j in range(12))) / 24
    assert terms["shared_space_loss"].item() == pytest.approx(0.7 * total, rel=1e-10)
    assert terms["contrastive_loss"].item() == pytest.approx(train.InfoNCE()(x_, y_, 3.0).item(), rel=1e-12)


def test_shared_space_loss_gradient_excludes_the_basis(rng: np.random.Generator) -> None:
    x, y, _ = two_sides(rng, n=8)
    rows = [torch.tensor(side, requires_grad=True) for side in (x, y)]
    loss = train.SharedSpaceAlignment(k=2, every=1, estimator="cca")
    loss(*rows, 3.0)
    assert not loss.basis.requires_grad
    assert not loss.moments.table.requires_grad
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss.eval(), (*rows, scale))


def test_shared_space_loss_with_shifted_modality_is_unchanged(rng: np.random.Generator) -> None:
    """Moving one side along a direction that is not shared changes the gap and leaves the second term alone."""
    x, y, _ = (torch.tensor(part) for part in two_sides(rng))
    loss = train.SharedSpaceAlignment(k=3, alone=True, estimator="overlap")
    before = loss(x, y, 3.0).item()
    apart = torch.linalg.svd(loss.basis.T)[2][-1]
    moved = y + 5 * apart
    assert loss.eval()(x, moved, 3.0).item() == pytest.approx(before, rel=1e-9)
    assert (moved.mean(0) - x.mean(0)).norm() > 3
    # Nor does the estimate of the space.
    again = train.SharedSpaceAlignment(k=3, alone=True, estimator="overlap")
    assert again(x, moved, 3.0).item() == pytest.approx(before, rel=1e-9)
    assert before > 0


def test_shared_space_weight_with_warmup_grows_linearly(rng: np.random.Generator) -> None:
    x, y, _ = (torch.tensor(part) for part in two_sides(rng, n=50))
    loss = train.SharedSpaceAlignment(weight=2.0, warmup=4, decay=0.0, every=1, estimator="cca")
    values = [loss(x, y, 3.0, output_dict=True)["shared_space_loss"].item() for _ in range(6)]
    assert values == pytest.approx([values[-1] * share for share in (0.25, 0.5, 0.75, 1, 1, 1)])


def test_shared_space_state_is_fixed_in_eval_and_restored(rng: np.random.Generator) -> None:
    x, y, _ = two_sides(rng, n=50)
    x_, y_ = torch.tensor(x), torch.tensor(y)
    loss = train.SharedSpaceAlignment(every=3, warmup=10, decay=0.5, estimator="cca")
    assert loss.eval()(x_, y_, 3.0, output_dict=True)["shared_space_loss"].item() == 0
    for _ in range(4):
        loss.train()(x_, y_, 3.0)
    steps, table = loss.steps, loss.moments.table.clone()
    loss.eval()(y_, x_, 3.0)
    assert loss.steps == steps == 4
    assert torch.equal(loss.moments.table, table)
    again = train.SharedSpaceAlignment(every=3, warmup=10, decay=0.5, estimator="cca")
    again.load_state_dict(loss.state_dict())
    for _ in range(3):
        assert again.train()(y_, x_, 3.0).item() == loss.train()(y_, x_, 3.0).item()


def test_shared_space_loss_without_shared_directions_is_zero(rng: np.random.Generator) -> None:
    x, y = (torch.tensor(rng.normal(size=(300, 4))) for _ in range(2))
    terms = train.SharedSpaceAlignment(estimator="overlap")(x, y, 3.0, output_dict=True)
    assert terms["shared_space_loss"].item() == 0
    assert terms["contrastive_loss"].item() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "pls"}, "unknown estimator 'pls'"),
        ({"weight": -1}, "weight=-1"),
        ({"warmup": -1}, "warmup=-1"),
        ({"every": 0}, "every=0"),
        ({"k": 0}, "k=0"),
        ({"decay": 1.0}, "decay=1.0"),
    ],
)
def test_shared_space_with_invalid_options_raises(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train.SharedSpaceAlignment(**options)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_shared_space_loss_of_features_with_nan_warns_and_finds_nothing(rng: np.random.Generator, value: float) -> None:
    x, y = (torch.from_numpy(rng.normal(size=(32, 6))) for _ in range(2))
    x[3, 2] = value
    loss = train.SharedSpaceAlignment()
    with (
        pytest.warns(IsthmusWarning, match="features hold NaN or infinite values, so SharedSpaceAlignment finds no"),
        pytest.warns(IsthmusWarning, match="1 of 32 rows of image_features hold NaN or infinite values, and so does"),
    ):
        loss(x, y)
    assert loss.basis.shape[1] == 0
