"""Particles reach the optima of the theory, stay where the theory says they stay, and say what they found."""

import math

import numpy as np
import pytest

from isthmus.theory.bounds import affine_infimum, collapse_margin, orthogonal_centres_value, uniform_bound
from isthmus.theory.constraints import Cone, ConstantParts, RigidClouds, Subspaces, Unconstrained
from isthmus.theory.frames import Frame, hyperplanes
from isthmus.theory.infonce import info_nce
from isthmus.theory.optimisation import Stop, optimise
from isthmus.utils.errors import InputError


@pytest.mark.parametrize(("temperature", "optimum"), [(0.05, 3.71260), (0.2, 6.485094)])
def test_unconstrained_pairs_reach_the_uniform_optimum_without_a_gap(temperature, optimum):
    run = optimise(Unconstrained(), n=256, dim=3, temperature=temperature)
    assert run.converged
    assert run.loss == pytest.approx(optimum, abs=1e-4)
    assert run.excess > -1e-9
    assert math.isnan(run.gap)
    assert "not distinguishable from zero" in run.state.reason
    assert run.classify_optimum().startswith("undefined")
    assert run.state.cosine == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("start", [0, 30, 90, 150])
def test_subspaces_with_a_cone_end_at_the_angle_of_the_hyperplanes(start):
    run = optimise(Subspaces(angle=60, resultant=0.5), n=256, dim=3, temperature=0.2, initial_gap=start)
    assert run.trajectory.gap[0] == pytest.approx(start, abs=1e-6)
    assert run.gap == pytest.approx(60.0, abs=0.05)
    assert run.classify_optimum() == "centres orthogonal to the shared space"
    assert run.state.mismatch < 4e-3
    assert run.state.isometry < 4e-3
    assert run.state.resultant_x == pytest.approx(0.5, abs=1e-9)


def test_subspaces_in_eight_dimensions_end_at_the_angle_of_the_hyperplanes():
    run = optimise(
        Subspaces(angle=60, resultant=0.5), n=256, dim=8, temperature=0.2, initial_gap=60, stop=Stop(max_steps=250)
    )
    assert run.gap == pytest.approx(60.0, abs=0.05)


def test_subspaces_reach_the_angle_of_the_hyperplanes_and_the_loss_of_orthogonal_centres():
    run = optimise(Subspaces(angle=60, resultant=0.5), n=256, dim=8, temperature=0.5, initial_gap=30)
    level = 2 * math.log(256) + orthogonal_centres_value(8, temperature=0.5, mean_length=0.5)
    assert run.gap == pytest.approx(60.0, abs=0.05)
    assert run.loss == pytest.approx(level, abs=1e-4)


@pytest.mark.parametrize(("centres", "gap"), [("orthogonal", 60.0), ("reversed", 120.0)])
def test_orthogonal_and_reversed_centres_have_equal_loss_and_their_own_names(centres, gap):
    run = optimise(Subspaces(angle=60, resultant=0.5, centres=centres), n=256, dim=8, temperature=0.5)
    assert run.loss == pytest.approx(8.45698, abs=1e-4)
    assert run.gap == pytest.approx(gap, abs=0.05)
    assert run.classify_optimum().endswith("one of them reversed") == (centres == "reversed")


def test_subspaces_from_an_obtuse_start_stay_in_the_valley():
    run = optimise(Subspaces(angle=60, resultant=0.5), n=256, dim=8, temperature=0.5, initial_gap=150)
    assert run.loss == pytest.approx(2 * math.log(256) + uniform_bound(5, temperature=0.5 / 0.75), abs=1e-4)
    assert run.gap > 125.0
    assert run.classify_optimum() == "centres neither inside nor orthogonal to the shared space"


def test_cone_closes_a_small_gap_and_keeps_a_large_one():
    near = optimise(Cone(resultant=0.5), n=256, dim=8, temperature=0.5, initial_gap=30)
    far = optimise(Cone(resultant=0.5), n=256, dim=8, temperature=0.5, initial_gap=150)
    assert near.loss == pytest.approx(8.40398, abs=1e-4)
    assert far.loss == pytest.approx(8.40626, abs=1e-4)
    assert near.gap < 0.1
    assert near.classify_optimum() == "no gap"
    assert far.gap > 179.5
    assert far.classify_optimum() == "centres opposite"


def test_rigid_clouds_from_a_large_gap_stay_apart():
    near = optimise(RigidClouds(kappa=20.0), n=256, dim=3, temperature=0.05, initial_gap=60)
    far = optimise(RigidClouds(kappa=20.0), n=256, dim=3, temperature=0.05, initial_gap=120)
    assert near.gap < 0.5
    assert far.gap == pytest.approx(175.6, abs=6.0)
    assert far.classify_optimum() == "centres opposite"
    assert far.loss > near.loss


@pytest.mark.parametrize("angle", [0, 90, 180])
def test_constant_parts_have_any_gap_at_one_loss(angle):
    run = optimise(ConstantParts(angle=angle, radius=0.7), n=256, dim=8, temperature=0.2, stop=Stop(plateau=1e-5))
    assert run.loss == pytest.approx(7.13542, abs=1e-4)
    assert run.bound == pytest.approx(2 * math.log(256) + affine_infimum(8, temperature=0.2, radius=0.7), abs=1e-12)
    assert run.gap == pytest.approx(angle, abs=0.05)


@pytest.mark.parametrize("temperature", [0.2, 0.5])
def test_subspaces_without_a_cone_have_no_gap_and_collapse_by_the_margin(temperature):
    run = optimise(Subspaces(angle=60), n=128, dim=8, temperature=temperature, stop=Stop(max_steps=500))
    outside = np.sqrt(np.mean((run.x @ hyperplanes(8, 60).x[:, -1]) ** 2))
    assert math.isnan(run.gap)
    assert (outside < 0.02) == (collapse_margin(8, temperature=temperature, angle=60) > 0)


def test_subspaces_with_a_saturated_loss_keep_the_initial_gap():
    run = optimise(
        Subspaces(angle=60, resultant=0.5), n=128, dim=32, temperature=0.05, initial_gap=20, stop=Stop(max_steps=200)
    )
    assert run.loss < 2e-3
    assert run.gap == pytest.approx(20.0, abs=2.0)


def test_subspaces_at_a_small_temperature_stay_inside_the_shared_space():
    inside, outside = (
        optimise(
            Subspaces(angle=60, resultant=0.5),
            n=192,
            dim=8,
            temperature=0.05,
            initial_gap=start,
            init="near",
            stop=Stop(max_steps=150),
        )
        for start in (0, 60)
    )
    assert inside.gap < 5.0
    assert inside.classify_optimum() == "centres inside the shared space"
    assert outside.gap == pytest.approx(60.0, abs=0.05)
    assert inside.loss > outside.loss + 0.01


def test_orthogonal_centres_on_circles_beat_other_gaps():
    planes, settings = Subspaces(angle=80, resultant=0.3), {"n": 256, "dim": 3, "temperature": 0.05, "init": "near"}
    orthogonal = optimise(planes, **settings, initial_gap=80, rng=6)
    elsewhere = optimise(planes, **settings, initial_gap=46, rng=0)
    assert abs(orthogonal.gap - 80.0) < 0.01
    assert orthogonal.loss < 8.03 < elsewhere.loss


def test_optimise_is_deterministic_and_differs_by_seed():
    settings = {"n": 48, "dim": 4, "temperature": 0.3, "stop": Stop(max_steps=20)}
    first, again, other = (optimise(Unconstrained(), **settings, rng=seed) for seed in (3, np.random.default_rng(3), 4))
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)


def test_optimise_of_torch_rows_returns_torch_rows():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, Y = (rng.normal(size=(64, 3)) for _ in range(2))
    X, Y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (X, Y))
    planes, settings = Subspaces(angle=60, resultant=0.5), {"temperature": 0.2, "stop": Stop(max_steps=40)}
    ours = optimise(planes, init=(X, Y), **settings)
    theirs = optimise(planes, init=(torch.asarray(X), torch.asarray(Y)), **settings)
    assert isinstance(theirs.x, torch.Tensor)
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-6)
    single = optimise(
        Unconstrained(),
        init=(torch.asarray(X).float(), torch.asarray(Y).float()),
        temperature=0.2,
        stop=Stop(max_steps=40),
    )
    assert single.x.dtype == torch.float32


def test_optimise_of_torch_bases_and_clouds_returns_torch_rows():
    torch = pytest.importorskip("torch")
    frame = hyperplanes(5, [30, 50])
    settings = {"n": 32, "temperature": 0.5, "initial_gap": 40, "stop": Stop(max_steps=15)}
    ours = optimise(Subspaces(bases=(frame.x, frame.y), resultant=0.5), **settings)
    bases = (torch.asarray(frame.x), torch.asarray(frame.y))
    theirs = optimise(Subspaces(bases=bases, resultant=0.5), **settings)
    assert isinstance(theirs.x, torch.Tensor)
    assert theirs.x.dtype == torch.float64
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-9)
    cloud = np.random.default_rng(0).normal(size=(40, 4)) + 1.0
    turned = optimise(RigidClouds(clouds=(torch.asarray(cloud),) * 2), temperature=0.2, initial_gap=60)
    assert isinstance(turned.y, torch.Tensor)
    assert turned.gap < 0.1


@pytest.mark.parametrize(
    "constraint",
    [
        Unconstrained(),
        Cone(resultant=0.5),
        Subspaces(angle=60, resultant=0.5),
        Subspaces(angle=60, penalty=1.0),
        ConstantParts(angle=50, radius=0.7),
    ],
)
def test_every_constraint_gives_one_loss_in_any_array_library(constraint):
    xp = pytest.importorskip("array_api_strict")
    start = [
        optimise(Unconstrained(), n=40, dim=4, temperature=0.2, rng=seed, stop=Stop(max_steps=0)).x for seed in (0, 1)
    ]
    settings = {"temperature": 0.2, "stop": Stop(max_steps=12)}
    ours = optimise(constraint, init=tuple(start), **settings)
    theirs = optimise(constraint, init=tuple(map(xp.asarray, start)), block=16, **settings)
    assert type(theirs.x) is type(xp.asarray(0.0))
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-9)


def test_subspaces_by_bases_equal_subspaces_by_angles():
    frame = hyperplanes(6, [30, 50])
    rng = np.random.default_rng(1)
    turns = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2)]
    again = Frame.of_bases(frame.x @ turns[0], frame.y @ turns[1])
    assert again.degrees == pytest.approx([0, 0, 30, 50], abs=1e-6)
    by_bases = optimise(
        Subspaces(bases=(frame.x, frame.y), resultant=0.5),
        n=64,
        temperature=0.5,
        initial_gap=40,
        stop=Stop(max_steps=300),
    )
    by_angles = optimise(
        Subspaces(angle=[30, 50], resultant=0.5), n=64, dim=6, temperature=0.5, initial_gap=40, stop=Stop(max_steps=300)
    )
    assert by_bases.loss == pytest.approx(by_angles.loss, abs=1e-3)
    normal = np.linalg.svd(frame.x)[0][:, 4:]
    assert np.abs(by_bases.x @ normal).max() < 1e-12


def test_subspaces_of_unequal_dimensions_keep_their_rows_inside():
    frame = Frame.of_bases(np.eye(5)[:, :3], np.eye(5)[:, 1:5])
    assert frame.x.shape == (5, 3)
    assert frame.y.shape == (5, 4)
    assert frame.shared == 2
    run = optimise(Subspaces(bases=(frame.x, frame.y)), n=48, temperature=0.5, stop=Stop(max_steps=50))
    assert np.abs(run.x[:, 3:]).max() < 1e-12
    assert np.abs(run.y[:, :1]).max() < 1e-12


def test_larger_penalty_moves_the_rows_into_their_subspaces():
    normal = np.linalg.svd(hyperplanes(8, 60).x)[0][:, -1]
    outside = []
    for pressure in (0.0, 1.0, 100.0):
        run = optimise(
            Subspaces(angle=60, resultant=0.5, penalty=pressure),
            n=64,
            dim=8,
            temperature=0.5,
            initial_gap=30,
            stop=Stop(max_steps=150),
        )
        outside.append(float(np.sqrt(np.mean((run.x @ normal) ** 2))))
    assert outside[0] > outside[1] > outside[2]
    assert outside[2] < 0.02


def test_optimise_records_a_trajectory_and_calls_the_callback():
    seen = []
    run = optimise(
        Cone(resultant=0.4),
        n=48,
        dim=3,
        temperature=0.3,
        initial_gap=70,
        record_every=5,
        callback=lambda step, loss, x, y: seen.append((step, loss, x.shape)),
        stop=Stop(max_steps=23, plateau=0.0, tolerance=0.0),
    )
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


def test_run_loss_equals_the_loss_of_its_rows():
    run = optimise(ConstantParts(angle=50, radius=0.6), n=40, dim=6, temperature=0.3, stop=Stop(max_steps=30))
    assert info_nce(run.x, run.y, temperature=0.3) == pytest.approx(run.loss, abs=1e-12)
    assert np.linalg.norm(run.x, axis=1) == pytest.approx(np.ones(40), abs=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Cone(resultant=1.5), "resultant=1.5, expected a number between 0 and 1"),
        (lambda: RigidClouds(), "needs kappa= or clouds=, and not both"),
        (lambda: RigidClouds(kappa=1.0, clouds=(np.eye(3), np.eye(3))), "needs kappa= or clouds=, and not both"),
        (lambda: RigidClouds(kappa=0.0), "kappa=0.0, expected a number between 0 and inf"),
        (lambda: Subspaces(), "needs angle= or bases=, and not both"),
        (lambda: Subspaces(angle=60.0, bases=(np.eye(3), np.eye(3))), "needs angle= or bases=, and not both"),
        (lambda: Subspaces(angle=60.0, resultant=0.0), "resultant=0.0, expected a number between 0 and 1"),
        (lambda: Subspaces(angle=60.0, centres="orthogonal"), "needs resultant="),
        (lambda: Subspaces(angle=60.0, centres="up", resultant=0.5), "expected one of free, shared"),
        (lambda: Subspaces(angle=60.0, penalty=-1.0), "penalty=-1.0, expected a number from 0"),
        (lambda: Subspaces(angle=60.0, penalty=1.0, centres="shared", resultant=0.5), "free centres only"),
        (lambda: ConstantParts(angle=60.0, radius=1.5), "radius=1.5, expected a number between 0 and 1"),
        (lambda: ConstantParts(angle=[60.0, 20.0], radius=0.5), "expected one number of degrees"),
        (lambda: ConstantParts(angle=200.0, radius=0.5), "angle=200.0, expected one number of degrees from 0"),
        (lambda: Stop(max_steps=-1), "max_steps=-1, expected a whole number of 0 or more"),
    ],
)
def test_constraint_refuses_wrong_parameters(build, message):
    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize(
    ("constraint", "options", "message"),
    [
        ("cube", {}, "expected one of the constraints of isthmus.theory"),
        (Unconstrained(), {"temperature": -1.0}, "temperature=-1.0, expected a positive number"),
        (Subspaces(angle=120.0), {}, "above 0 and up to 90"),
        (Subspaces(angle=[10.0, 20.0]), {"dim": 3}, "need dim=4 or more"),
        (Subspaces(angle=60.0), {"initial_gap": 200.0}, "degrees from 0 to 180"),
        (Subspaces(angle=[10.0, 20.0], resultant=0.5), {"dim": 4, "initial_gap": 5.0}, "allow 10 to 170"),
        (Subspaces(angle=60.0), {"init": "far"}, "expected one of random, near"),
        (Subspaces(angle=[10.0, 20.0], centres="shared", resultant=0.5), {"dim": 4}, "share no direction"),
        (ConstantParts(angle=60.0, radius=0.5), {}, "dim=3, expected 4 or more"),
        (ConstantParts(angle=60.0, radius=0.5), {"dim": 5, "initial_gap": 5.0}, "whose gap is their angle"),
        (Unconstrained(), {"n": 1}, "n=1, expected a whole number of 2 or more"),
        (Unconstrained(), {"record_every": 0}, "record_every=0, expected a whole number of 1"),
        (Unconstrained(), {"init": (np.eye(3), np.eye(2))}, "expected two arrays"),
        (Unconstrained(), {"init": (np.eye(3).tolist(), np.eye(3))}, "init of list and ndarray"),
        (Unconstrained(), {"init": (np.eye(3), np.eye(3)), "dim": 4}, "leave dim out"),
        (Subspaces(bases=(np.eye(3)[:, :2], np.eye(3)[:, 1:])), {"dim": 4}, "leave dim out"),
        (Unconstrained(), {"init": (np.eye(3), np.eye(3)), "initial_gap": 4.0}, "leave out initial_gap= or init="),
        (RigidClouds(kappa=5.0), {"init": (np.eye(3), np.eye(3))}, "does not go with RigidClouds"),
    ],
)
def test_optimise_refuses_what_does_not_fit(constraint, options, message):
    with pytest.raises(InputError, match=message):
        optimise(constraint, **{"temperature": 0.2, "n": None, **options})
