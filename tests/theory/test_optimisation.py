"""Particles reach the optima of the theory, stay where the theory says they stay, and say what they found."""

import math

import numpy as np
import pytest

from isthmus.theory.bounds import affine_infimum, collapse_margin, orthogonal_centres_value, uniform_bound
from isthmus.theory.clouds import cloud_loss
from isthmus.theory.constraints import FreePairs, RotatingCloud, Side
from isthmus.theory.infonce import info_nce
from isthmus.theory.optimisation import optimise
from isthmus.theory.problems import frame_of, hyperplanes
from isthmus.utils.errors import InputError


@pytest.mark.parametrize(("temperature", "optimum"), [(0.05, 3.71260), (0.2, 6.485094)])
def test_free_pairs_reach_the_uniform_optimum_and_their_gap_is_undefined(temperature, optimum):
    run = optimise("none", n=256, dim=3, temperature=temperature)
    assert run.converged
    assert run.loss == pytest.approx(optimum, abs=1e-4)
    assert run.excess > -1e-9
    assert math.isnan(run.gap)
    assert "not distinguishable from zero" in run.state.reason
    assert run.landing.startswith("undefined")
    assert run.state.cosine == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("start", [0, 30, 90, 150])
def test_hyperplanes_and_a_cone_make_the_gap_of_the_hyperplanes(start):
    run = optimise("subspace", n=256, dim=3, angle=60, resultant=0.5, temperature=0.2, start=start)
    assert run.trajectory.gap[0] == pytest.approx(start, abs=1e-6)
    assert run.gap == pytest.approx(60.0, abs=0.05)
    assert run.landing == "centres orthogonal to the shared space"
    assert run.state.mismatch < 4e-3
    assert run.state.isometry < 4e-3
    assert run.state.resultant_x == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(("temperature", "start"), [(0.2, 60), (0.5, 30)])
def test_the_same_in_eight_dimensions(temperature, start):
    run = optimise("subspace", n=256, dim=8, angle=60, resultant=0.5, temperature=temperature, start=start, steps=250)
    assert run.gap == pytest.approx(60.0, abs=0.05)


def test_orthogonal_centres_reach_their_formula():
    run = optimise("subspace", n=256, dim=8, angle=60, resultant=0.5, temperature=0.5, start=30)
    level = 2 * math.log(256) + orthogonal_centres_value(8, temperature=0.5, mean_length=0.5)
    assert run.loss == pytest.approx(level, abs=1e-4)


@pytest.mark.parametrize(("centres", "gap"), [("orthogonal", 60.0), ("reversed", 120.0)])
def test_both_signs_of_orthogonal_centres_tie_and_the_tie_has_a_name(centres, gap):
    run = optimise("subspace", n=256, dim=8, angle=60, resultant=0.5, temperature=0.5, centres=centres)
    assert run.loss == pytest.approx(8.45698, abs=1e-4)
    assert run.gap == pytest.approx(gap, abs=0.05)
    assert run.landing.endswith("one of them reversed") == (centres == "reversed")


def test_an_obtuse_start_stays_in_the_valley_with_one_shared_dimension_less():
    run = optimise("subspace", n=256, dim=8, angle=60, resultant=0.5, temperature=0.5, start=150)
    assert run.loss == pytest.approx(2 * math.log(256) + uniform_bound(5, temperature=0.5 / 0.75), abs=1e-4)
    assert run.gap > 125.0
    assert run.landing == "centres neither inside nor orthogonal to the shared space"


def test_a_cone_alone_closes_the_gap_from_near_and_keeps_it_from_afar():
    near = optimise("cone", n=256, dim=8, resultant=0.5, temperature=0.5, start=30)
    far = optimise("cone", n=256, dim=8, resultant=0.5, temperature=0.5, start=150)
    assert near.loss == pytest.approx(8.40398, abs=1e-4)
    assert far.loss == pytest.approx(8.40626, abs=1e-4)
    assert near.gap < 0.1
    assert near.landing == "no gap"
    assert far.gap > 179.5
    assert far.landing == "centres opposite"


def test_rigid_clouds_started_far_apart_stay_apart():
    near = optimise("cone", kappa=20.0, n=256, dim=3, temperature=0.05, start=60)
    far = optimise("cone", kappa=20.0, n=256, dim=3, temperature=0.05, start=120)
    assert near.gap < 0.5
    assert far.gap == pytest.approx(175.6, abs=6.0)
    assert far.landing == "centres opposite"
    assert far.loss > near.loss


@pytest.mark.parametrize("angle", [0, 90, 180])
def test_constant_parts_make_any_gap_at_the_same_loss(angle):
    run = optimise("affine", n=256, dim=8, angle=angle, radius=0.7, temperature=0.2, plateau=1e-5)
    assert run.loss == pytest.approx(7.13542, abs=1e-4)
    assert run.bound == pytest.approx(2 * math.log(256) + affine_infimum(8, temperature=0.2, radius=0.7), abs=1e-12)
    assert run.gap == pytest.approx(angle, abs=0.05)


@pytest.mark.parametrize("temperature", [0.2, 0.5])
def test_without_a_cone_the_gap_is_undefined_and_the_clouds_may_collapse(temperature):
    run = optimise("subspace", n=128, dim=8, angle=60, temperature=temperature, steps=500)
    outside = np.sqrt(np.mean((run.x @ hyperplanes(8, 60).x[:, -1]) ** 2))
    assert math.isnan(run.gap)
    assert (outside < 0.02) == (collapse_margin(8, temperature=temperature, angle=60) > 0)


def test_a_saturated_loss_keeps_the_gap_of_the_start():
    run = optimise("subspace", n=128, dim=32, angle=60, resultant=0.5, temperature=0.05, start=20, steps=200)
    assert run.loss < 2e-3
    assert run.gap == pytest.approx(20.0, abs=2.0)


def test_local_minima_inside_the_shared_space_at_a_small_temperature():
    inside, outside = (
        optimise(
            "subspace", n=192, dim=8, angle=60, resultant=0.5, temperature=0.05, start=start, partners="near",
            steps=150,
        )
        for start in (0, 60)
    )  # fmt: skip
    assert inside.gap < 5.0
    assert inside.landing == "centres inside the shared space"
    assert outside.gap == pytest.approx(60.0, abs=0.05)
    assert inside.loss > outside.loss + 0.01


def test_orthogonal_centres_beat_the_gap_of_46_degrees_on_circles():
    settings = {"n": 256, "dim": 3, "angle": 80, "resultant": 0.3, "temperature": 0.05, "partners": "near"}
    orthogonal = optimise("subspace", **settings, start=80, rng=6)
    elsewhere = optimise("subspace", **settings, start=46, rng=0)
    assert abs(orthogonal.gap - 80.0) < 0.01
    assert orthogonal.loss < 8.03 < elsewhere.loss


@pytest.mark.parametrize(
    ("dim", "centres", "value"),
    [
        (3, "shared", -0.39633),
        (3, "orthogonal", -0.76399),
        (8, "shared", -3.42933),
        (8, "orthogonal", -3.72950),
    ],
)
def test_exact_loss_of_clouds(dim, centres, value):
    loss = cloud_loss(dim, kappa=10.0, temperature=0.2, angle=60, centres=centres)
    assert loss == pytest.approx(value, abs=1e-5)


def test_exact_loss_of_clouds_where_centres_in_the_shared_space_win():
    values = [
        cloud_loss(8, kappa=2.0, temperature=0.05, angle=80, centres=centres) for centres in ("shared", "orthogonal")
    ]
    assert values == pytest.approx([-11.6630, -11.6097], abs=1e-4)


def test_exact_loss_of_clouds_agrees_with_a_sample():
    rng = np.random.default_rng(0)
    n, kappa, tau = 4000, 10.0, 0.2
    turn = rng.vonmises(0.0, kappa, n)
    frame = hyperplanes(3, 60)
    coordinates = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    loss = info_nce(coordinates @ frame.x.T, coordinates @ frame.y.T, temperature=tau)
    exact = cloud_loss(3, kappa=kappa, temperature=tau, angle=60, centres="orthogonal")
    assert loss - 2 * math.log(n) == pytest.approx(exact, abs=0.05)


def test_runs_are_deterministic_and_differ_by_seed():
    settings = {"n": 48, "dim": 4, "temperature": 0.3, "steps": 20}
    first, again, other = (optimise("none", **settings, rng=seed) for seed in (3, np.random.default_rng(3), 4))
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)


def test_torch_goes_in_and_torch_comes_out():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, Y = (rng.normal(size=(64, 3)) for _ in range(2))
    X, Y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (X, Y))
    settings = {"angle": 60, "resultant": 0.5, "temperature": 0.2, "steps": 40}
    ours = optimise("subspace", init=(X, Y), **settings)
    theirs = optimise("subspace", init=(torch.asarray(X), torch.asarray(Y)), **settings)
    assert isinstance(theirs.x, torch.Tensor)
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-6)
    single = optimise("none", init=(torch.asarray(X).float(), torch.asarray(Y).float()), temperature=0.2, steps=40)
    assert single.x.dtype == torch.float32


def test_bases_and_clouds_of_torch_give_torch():
    torch = pytest.importorskip("torch")
    frame = hyperplanes(5, [30, 50])
    settings = {"n": 32, "resultant": 0.5, "temperature": 0.5, "start": 40, "steps": 15}
    ours = optimise("subspace", bases=(frame.x, frame.y), **settings)
    theirs = optimise("subspace", bases=(torch.asarray(frame.x), torch.asarray(frame.y)), **settings)
    assert isinstance(theirs.x, torch.Tensor)
    assert theirs.x.dtype == torch.float64
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-9)
    cloud = np.random.default_rng(0).normal(size=(40, 4)) + 1.0
    turned = optimise("cone", clouds=(torch.asarray(cloud),) * 2, temperature=0.2, start=60)
    assert isinstance(turned.y, torch.Tensor)
    assert turned.gap < 0.1


@pytest.mark.parametrize(
    ("constraint", "options"),
    [
        ("none", {}),
        ("cone", {"resultant": 0.5}),
        ("subspace", {"angle": 60, "resultant": 0.5}),
        ("subspace", {"angle": 60, "pressure": 1.0}),
        ("affine", {"angle": 50, "radius": 0.7}),
    ],
)
def test_every_constraint_runs_on_any_array_library(constraint, options):
    xp = pytest.importorskip("array_api_strict")
    start = [optimise("none", n=40, dim=4, temperature=0.2, steps=0, rng=seed).x for seed in (0, 1)]
    settings = {"temperature": 0.2, "steps": 12, **options}
    ours = optimise(constraint, init=tuple(start), **settings)
    theirs = optimise(constraint, init=tuple(map(xp.asarray, start)), block=16, **settings)
    assert type(theirs.x) is type(xp.asarray(0.0))
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-9)


def test_subspaces_by_bases_and_several_principal_angles():
    frame = hyperplanes(6, [30, 50])
    rng = np.random.default_rng(1)
    turns = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2)]
    again = frame_of(frame.x @ turns[0], frame.y @ turns[1])
    assert again.degrees == pytest.approx([0, 0, 30, 50], abs=1e-6)
    by_bases = optimise("subspace", n=64, bases=(frame.x, frame.y), resultant=0.5, temperature=0.5, start=40, steps=300)
    by_angles = optimise("subspace", n=64, dim=6, angle=[30, 50], resultant=0.5, temperature=0.5, start=40, steps=300)
    assert by_bases.loss == pytest.approx(by_angles.loss, abs=1e-3)
    normal = np.linalg.svd(frame.x)[0][:, 4:]
    assert np.abs(by_bases.x @ normal).max() < 1e-12


def test_unequal_subspaces_keep_their_rows():
    frame = frame_of(np.eye(5)[:, :3], np.eye(5)[:, 1:5])
    assert frame.x.shape == (5, 3)
    assert frame.y.shape == (5, 4)
    assert frame.shared == 2
    run = optimise("subspace", n=48, bases=(frame.x, frame.y), temperature=0.5, steps=50)
    assert np.abs(run.x[:, 3:]).max() < 1e-12
    assert np.abs(run.y[:, :1]).max() < 1e-12


def test_soft_walls_press_the_clouds_into_their_subspaces():
    normal = np.linalg.svd(hyperplanes(8, 60).x)[0][:, -1]
    outside = []
    for pressure in (0.0, 1.0, 100.0):
        run = optimise(
            "subspace",
            n=64,
            dim=8,
            angle=60,
            resultant=0.5,
            temperature=0.5,
            start=30,
            pressure=pressure,
            steps=150,
        )
        outside.append(float(np.sqrt(np.mean((run.x @ normal) ** 2))))
    assert outside[0] > outside[1] > outside[2]
    assert outside[2] < 0.02


def test_trajectory_and_callback():
    seen = []
    run = optimise(
        "cone", n=48, dim=3, resultant=0.4, temperature=0.3, start=70, record=5, steps=23,
        plateau=0.0, tolerance=0.0,
        callback=lambda step, loss, x, y: seen.append((step, loss, x.shape)),
    )  # fmt: skip
    assert not run.converged
    assert run.stopped == "steps"
    assert run.trajectory.steps.tolist() == [0, 5, 10, 15, 20, 23]
    assert [step for step, _, _ in seen] == list(range(24))
    assert np.all(np.diff(run.trajectory.loss) <= 0)
    assert run.trajectory.excess[-1] == run.excess
    assert run.trajectory.gap[-1] == run.gap
    assert run.trajectory.floor.shape == (6,)
    values = run.trajectory.to_dict()
    assert values["mismatch"] == [None] * 6
    assert values["loss"][-1] == run.loss


def test_the_loss_is_that_of_the_returned_rows():
    run = optimise("affine", n=40, dim=6, angle=50, radius=0.6, temperature=0.3, steps=30)
    assert info_nce(run.x, run.y, temperature=0.3) == pytest.approx(run.loss, abs=1e-12)
    assert np.linalg.norm(run.x, axis=1) == pytest.approx(np.ones(40), abs=1e-12)


@pytest.mark.parametrize(
    "side",
    [Side(), Side(resultant=0.4), Side(resultant=0.4, centre=np.eye(4)[0]), Side(radius=0.6)],
    ids=["sphere", "mean length", "mean", "scaled"],
)
def test_tangent_projection_is_orthogonal_and_retraction_agrees_to_first_order(side):
    rng = np.random.default_rng(2)
    U = side.retract(rng.normal(size=(30, 4)) + 0.5)
    V, W = (rng.normal(size=(30, 4)) for _ in range(2))
    tangent = side.tangent(U, V)
    assert side.tangent(U, tangent) == pytest.approx(tangent, abs=1e-12)
    assert np.sum((V - tangent) * side.tangent(U, W)) == pytest.approx(0.0, abs=1e-10)
    small = 1e-5
    assert side.retract(U + small * tangent) == pytest.approx(U + small * tangent, abs=1e-8)


def test_rotation_manifold_is_orthogonal_and_its_gradient_is_right():
    rng = np.random.default_rng(3)
    X, Y = (rng.normal(size=(20, 3)) for _ in range(2))
    X, Y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (X, Y))
    cloud = RotatingCloud(X, Y)
    (Q,) = cloud.retract((rng.normal(size=(3, 3)),))
    assert pytest.approx(np.eye(3), abs=1e-12) == Q @ Q.T

    def loss(Q):
        return info_nce(*cloud.embed((Q,)), temperature=0.3)

    _, gx, gy = info_nce(*cloud.embed((Q,)), temperature=0.3, gradient=True)
    (slope,) = cloud.tangent((Q,), cloud.pullback((Q,), gx, gy))
    step = 1e-6
    moved = [cloud.retract((Q + sign * step * slope,))[0] for sign in (1, -1)]
    assert (loss(moved[0]) - loss(moved[1])) / (2 * step) == pytest.approx(np.sum(slope**2), rel=1e-6)


def test_pullback_is_the_transpose_of_embed():
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(5, 3)))[0]
    pairs = FreePairs(Side(basis=basis, radius=0.5), Side())
    U, V, gx, gy = (
        rng.normal(size=(6, 3)),
        rng.normal(size=(6, 5)),
        rng.normal(size=(6, 5)),
        rng.normal(size=(6, 5)),
    )
    X, Y = pairs.embed((U, V))
    a, b = pairs.pullback((U, V), gx, gy)
    assert np.sum(X * gx) + np.sum(Y * gy) == pytest.approx(np.sum(a * U) + np.sum(b * V))


@pytest.mark.parametrize(
    ("constraint", "options", "message"),
    [
        ("cube", {}, "give one of none, cone, subspace, affine"),
        ("none", {"angle": 60}, "angle= does not belong"),
        ("none", {"temperature": -1.0}, "temperature=-1.0 came"),
        ("cone", {}, "needs one of resultant=, kappa= or clouds="),
        ("cone", {"resultant": 1.5}, "resultant=1.5 came"),
        ("subspace", {}, "needs angle= or bases="),
        ("subspace", {"angle": 120.0}, "above 0 and up to 90"),
        ("subspace", {"angle": [10.0, 20.0], "dim": 3}, "at least dim=4"),
        ("subspace", {"angle": 60.0, "start": 200.0}, "degrees from 0 to 180"),
        ("subspace", {"angle": [10.0, 20.0], "dim": 4, "resultant": 0.5, "start": 5.0}, "allow 10 to 170"),
        ("subspace", {"angle": 60.0, "centres": "orthogonal"}, "needs resultant="),
        ("subspace", {"angle": 60.0, "centres": "up", "resultant": 0.5}, "give one of free"),
        ("subspace", {"angle": 60.0, "partners": "far"}, "give one of random, near"),
        (
            "subspace",
            {"angle": [10.0, 20.0], "dim": 4, "centres": "shared", "resultant": 0.5},
            "share no direction",
        ),
        ("affine", {"angle": 60.0}, "needs angle="),
        ("none", {"n": 1}, "give n and dim from 2"),
        ("none", {"init": (np.eye(3), np.eye(2))}, "give two arrays"),
        ("none", {"init": (np.eye(3).tolist(), np.eye(3))}, "init of list and ndarray came"),
        ("none", {"init": (np.eye(3), np.eye(3)), "dim": 4}, "leave dim out"),
        ("none", {"init": (np.eye(3), np.eye(3)), "start": 4.0}, "give one of them"),
        ("cone", {"kappa": 5.0, "init": (np.eye(3), np.eye(3))}, "does not go with rigid clouds"),
        (
            "subspace",
            {"angle": 60.0, "pressure": 1.0, "centres": "shared", "resultant": 0.5},
            "free centres only",
        ),
    ],
)
def test_wrong_input_is_named(constraint, options, message):
    with pytest.raises(InputError, match=message):
        optimise(constraint, **{"temperature": 0.2, "n": None, **options})


def test_cloud_loss_refuses_what_it_cannot_integrate():
    with pytest.raises(InputError, match="dim from 3"):
        cloud_loss(2, kappa=1.0, temperature=0.2, angle=60, centres="shared")
    with pytest.raises(InputError, match="'shared' or 'orthogonal'"):
        cloud_loss(3, kappa=1.0, temperature=0.2, angle=60, centres="both")
