"""Pairs of unit vectors that minimise the contrastive loss under a constraint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.compute.arrays import Array, namespace, unit_rows
from isthmus.theory.bounds import affine_infimum, finite_bound, loss_bound
from isthmus.theory.constraints import Point, RotatingCloud
from isthmus.theory.descent import Iterate, descend
from isthmus.theory.infonce import info_nce
from isthmus.theory.problems import (
    CENTRES,
    CONSTRAINTS,
    PARTNERS,
    Frame,
    Scene,
    affine_scene,
    cloud_scene,
    frame_of,
    free_scene,
    hyperplanes,
)
from isthmus.theory.trajectory import State, Trajectory, measure_state
from isthmus.utils.errors import InputError

#: how far back a plateau is judged, in steps
_WINDOW = 50


@dataclass(frozen=True, eq=False)
class Run:
    """The outcome of `optimise`.

    `x`, `y` (n, dim) final unit rows; `loss` InfoNCE, both directions summed, in nats; `bound` what no
    arrangement can go below; `converged` and `stopped` (why it ended); `steps` taken; `slope` root mean
    square over particles of the gradient of a particle's own loss; `state` the final measures (gap, means,
    mismatch ...); `trajectory` the same along the way; `settings` what was asked for.
    """

    constraint: str
    x: Array
    y: Array
    loss: float
    bound: float
    converged: bool
    stopped: str
    steps: int
    slope: float
    state: State
    trajectory: Trajectory
    settings: Mapping[str, Any] = field(repr=False)

    @property
    def gap(self) -> float:
        """Final gap angle in degrees, NaN where undefined (`state.reason` says why)."""
        return self.state.gap

    @property
    def excess(self) -> float:
        """Loss minus bound, in nats."""
        return self.loss - self.bound

    @property
    def landing(self) -> str:
        """Where the run came to rest, named: a gap angle alone does not tell why it is what it is."""
        return _landing(self)


def optimise(
    constraint: str,
    /,
    *,
    n: int | None = None,
    dim: int | None = None,
    temperature: float,
    angle: float | Sequence[float] | None = None,
    bases: tuple[Array, Array] | None = None,
    resultant: float | None = None,
    kappa: float | None = None,
    clouds: tuple[Array, Array] | None = None,
    radius: float | None = None,
    centres: str = "free",
    pressure: float | None = None,
    start: float | None = None,
    partners: str = "random",
    init: tuple[Array, Array] | None = None,
    steps: int = 3000,
    tolerance: float = 1e-5,
    plateau: float = 1e-6,
    record: int = 10,
    block: int = 1024,
    rng: int | np.random.Generator = 0,
    callback: Callable[[int, float, Array, Array], None] | None = None,
) -> Run:
    """Minimise InfoNCE over n pairs (x_i, y_i) of unit vectors of R^dim that obey `constraint`.

    L = (1/n) sum_i [-log softmax_j(x_i.y_j / tau)_i - log softmax_j(y_i.x_j / tau)_i], by Riemannian L-BFGS.
    The loss is not convex: a run finds a stationary point, and `start` and `rng` decide which.

    Constraints
      "none": no other condition.
      "cone": the mean of each side has length `resultant`, its direction is free. Or two rigid clouds, of
        which one may turn: `clouds` (X, Y), or `kappa` for a von Mises-Fisher sample and its copy.
      "subspace": x in A, y in B, given by `angle` (degrees: one for two hyperplanes, several for the non-zero
        principal angles) or by `bases` (dim, p), (dim, q) with orthonormal columns; with `resultant` also
        a cone. `centres` "shared", "orthogonal" or "reversed" holds the means in the shared space C,
        or orthogonal to it with x- and y-centre at the largest principal angle or its supplement.
        `pressure` replaces the hard walls by pressure * (|x - P_A x|^2 + |y - P_B y|^2) added to each pair.
      "affine": x = sqrt(1 - r^2) a + r u, y = sqrt(1 - r^2) b + r v, with r = `radius`, a and b at `angle`
        degrees from each other and orthogonal to the shared space of u and v.

    `temperature` is tau. `start` sets the starting gap in degrees, otherwise the means are left to chance.
    `partners` "random" starts x_i and y_i independently, "near" close together (on circles and at small
    temperatures particles cannot pass each other, and random partners stay in poor optima). `init` (X, Y),
    (n, dim) each, starts from given rows. The rows that come back are of the library, precision and device
    of `init`, `clouds` or `bases` (float64 NumPy without any of them). The run ends when the gradient falls
    below `tolerance`, when the loss changes by less than `plateau` nats in 50 steps, or after `steps`. Every
    `record`-th step is measured; `callback(step, loss, x, y)` sees each step. `block` rows are compared at a
    time: memory is O(n dim + block^2).

    Source of the constraints: Yi, Douady and Chen (2025), arXiv 2510.03268.
    Raises `InputError` for unknown names, numbers out of range and options that do not belong together.

    >>> run = optimise("subspace", n=64, dim=3, angle=60, resultant=0.5, temperature=0.2, start=30)
    >>> round(run.gap, 1), run.landing
    (60.0, 'centres orthogonal to the shared space')
    """
    given = {
        "n": n,
        "dim": dim,
        "temperature": temperature,
        "angle": angle,
        "bases": None if bases is None else "given",
        "resultant": resultant,
        "kappa": kappa,
        "clouds": None if clouds is None else "given",
        "radius": radius,
        "centres": centres,
        "pressure": pressure,
        "start": start,
        "partners": partners,
        "init": None if init is None else "given",
    }
    rng = np.random.default_rng(rng)
    n, dim = _sizes(n, dim, bases, clouds, init)
    _check(constraint, given, n, dim, steps, record)
    scene = _scene(
        constraint, n, dim, temperature, angle, bases, resultant, kappa, clouds, radius, centres, pressure,
        start, partners, init, rng,
    )  # fmt: skip

    def objective(point: Point) -> tuple[float, Point]:
        X, Y = scene.manifold.embed(point)
        loss, gx, gy = info_nce(X, Y, temperature=temperature, gradient=True, block=block)
        if scene.normals is not None:
            assert pressure is not None
            for side, (Z, N) in enumerate(zip((X, Y), scene.normals, strict=True)):
                outside = Z @ N
                xp = namespace(outside)
                loss = loss + pressure * float(xp.sum(outside**2)) / n
                extra = (2.0 * pressure / n) * (outside @ xp.matrix_transpose(N))
                gx, gy = (gx + extra, gy) if side == 0 else (gx, gy + extra)
        return float(loss), scene.manifold.pullback(point, gx, gy)

    rigid = isinstance(scene.manifold, RotatingCloud)
    reach = 0.5 if rigid else 0.3 * math.sqrt(2.0 * n)
    scale = 1.0 if rigid else math.sqrt(n)
    marks: list[tuple[int, float, State]] = []
    losses: list[float] = []
    stopped = "steps"
    last: Iterate | None = None
    for last in descend(objective, scene.manifold, scene.start, reach=reach):
        losses.append(last.value)
        X, Y = scene.manifold.embed(last.point)
        if last.step % record == 0 and not last.stuck:
            marks.append((last.step, last.value, measure_state(X, Y, shared=scene.shared)))
        if callback is not None:
            callback(last.step, last.value, X, Y)
        if scale * last.slope <= tolerance:
            stopped = "gradient"
            break
        if last.stuck:
            stopped = "rounding"
            break
        if last.step >= _WINDOW and losses[-1 - _WINDOW] - losses[-1] < plateau:
            stopped = "plateau"
            break
        if last.step >= steps:
            break
    assert last is not None
    X, Y = scene.manifold.embed(last.point)
    state = measure_state(X, Y, shared=scene.shared)
    if marks[-1][0] != last.step:
        marks.append((last.step, last.value, state))
    values = np.array([mark[1] for mark in marks])
    return Run(
        constraint=constraint,
        x=X,
        y=Y,
        loss=last.value,
        bound=scene.bound,
        converged=stopped != "steps",
        stopped=stopped,
        steps=last.step,
        slope=scale * last.slope,
        state=state,
        trajectory=Trajectory(
            steps=np.array([mark[0] for mark in marks]),
            loss=values,
            excess=values - scene.bound,
            states=tuple(mark[2] for mark in marks),
        ),
        settings={key: value for key, value in given.items() if value is not None} | {"n": n, "dim": dim},
    )


def _sizes(
    n: int | None,
    dim: int | None,
    bases: tuple[Array, Array] | None,
    clouds: tuple[Array, Array] | None,
    init: tuple[Array, Array] | None,
) -> tuple[int, int]:
    """n and dim, from the arrays where they are given."""
    shapes = []
    for name, pair in (("init", init), ("clouds", clouds)):
        if pair is None:
            continue
        X, Y = pair
        if not (hasattr(X, "ndim") and type(X) is type(Y)):
            raise InputError(
                f"{name} of {type(X).__name__} and {type(Y).__name__} came: give two arrays of one library."
            )
        if X.ndim != 2 or X.shape != Y.shape:
            raise InputError(f"{name} of shapes {tuple(X.shape)} and {tuple(Y.shape)} came: give two arrays (n, dim).")
        shapes.append(tuple(X.shape))
    if bases is not None:
        shapes.append((None, bases[0].shape[0]))
    for rows, columns in shapes:
        for name, asked, found in (("n", n, rows), ("dim", dim, columns)):
            if asked is not None and found is not None and asked != found:
                raise InputError(f"{name}={asked} came with arrays of {name}={found}: leave {name} out.")
        n, dim = n if rows is None else rows, columns
    return 512 if n is None else n, 3 if dim is None else dim


def _check(constraint: str, given: Mapping[str, Any], n: int, dim: int, steps: int, record: int) -> None:
    if constraint not in CONSTRAINTS:
        raise InputError(f"constraint {constraint!r} came: give one of {', '.join(CONSTRAINTS)}.")
    belongs = {
        "none": {"start", "init"},
        "cone": {"resultant", "kappa", "clouds", "start", "init"},
        "subspace": {"angle", "bases", "resultant", "centres", "pressure", "start", "init"},
        "affine": {"angle", "radius", "init"},
    }[constraint]
    asked = {key for key, value in given.items() if value is not None}
    asked -= {"n", "dim", "temperature", "partners"}
    if given["centres"] == "free":
        asked.discard("centres")
    for name in sorted(asked - belongs):
        raise InputError(f'{name}= does not belong to the constraint "{constraint}": leave it out.')
    for name, low, high in (
        ("temperature", 0.0, math.inf),
        ("resultant", 0.0, 1.0),
        ("radius", 0.0, 1.0),
        ("kappa", 0.0, math.inf),
        ("pressure", 0.0, math.inf),
    ):
        value = given[name]
        if value is not None and not low < value < high and not (name == "pressure" and value == 0.0):
            raise InputError(f"{name}={value} came: give a number between {low:g} and {high:g}.")
    if given["start"] is not None and not 0.0 <= given["start"] <= 180.0:
        raise InputError(f"start={given['start']} came: give degrees from 0 to 180.")
    if given["centres"] not in CENTRES:
        raise InputError(f"centres={given['centres']!r} came: give one of {', '.join(CENTRES)}.")
    if given["partners"] not in PARTNERS:
        raise InputError(f"partners={given['partners']!r} came: give one of {', '.join(PARTNERS)}.")
    if n < 2 or dim < 2 or steps < 0 or record < 1:
        raise InputError(
            f"n={n}, dim={dim}, steps={steps}, record={record} came: give n and dim from 2, steps from 0, "
            "record from 1."
        )
    if constraint == "cone" and sum(given[k] is not None for k in ("resultant", "kappa", "clouds")) != 1:
        raise InputError('the constraint "cone" needs one of resultant=, kappa= or clouds=.')
    if constraint == "subspace":
        if (given["angle"] is None) == (given["bases"] is None):
            raise InputError('the constraint "subspace" needs angle= or bases=, not both.')
        if given["centres"] != "free" and given["resultant"] is None:
            raise InputError(f"centres={given['centres']!r} needs resultant=, the length of the means.")
        if given["pressure"] is not None and given["centres"] != "free":
            raise InputError("pressure= replaces the walls: it goes with free centres only.")
    if constraint == "affine" and (given["radius"] is None or not np.isscalar(given["angle"]) or dim < 4):
        raise InputError('the constraint "affine" needs angle= (one number), radius= and dim of 4 or more.')
    if given["init"] is not None and given["start"] is not None:
        raise InputError("init= and start= came together: give one of them.")


def _scene(
    constraint: str,
    n: int,
    dim: int,
    temperature: float,
    angle: float | Sequence[float] | None,
    bases: tuple[Array, Array] | None,
    resultant: float | None,
    kappa: float | None,
    clouds: tuple[Array, Array] | None,
    radius: float | None,
    centres: str,
    pressure: float | None,
    start: float | None,
    partners: str,
    init: tuple[Array, Array] | None,
    rng: np.random.Generator,
) -> Scene:
    if constraint == "affine":
        assert radius is not None
        assert angle is not None
        bound = max(
            2.0 * math.log(n) + affine_infimum(dim, temperature=temperature, radius=radius),
            finite_bound(n, temperature=temperature, cosine=radius**2),
        )
        return affine_scene(
            n=n,
            dim=dim,
            angle=float(np.max(angle)),
            radius=radius,
            bound=bound,
            partners=partners,
            init=init,
            rng=rng,
        )
    bound = loss_bound(n, dim, temperature=temperature)
    if constraint == "cone" and resultant is None:
        if clouds is None:
            from isthmus.theory.vmf import VonMisesFisher

            assert kappa is not None
            sample = np.asarray(VonMisesFisher(np.eye(dim)[0], kappa).sample(n, rng=rng))
            clouds = (sample, sample)
        if init is not None:
            raise InputError("init= does not go with rigid clouds: give clouds= alone.")
        return cloud_scene(dim, (unit_rows(clouds[0]), unit_rows(clouds[1])), start, bound, rng)
    frame: Frame | None = None
    if constraint == "subspace":
        frame = hyperplanes(dim, angle) if bases is None else frame_of(*bases)  # type: ignore[arg-type]
        if centres == "shared" and frame.shared == 0:
            raise InputError("centres='shared' came, but these subspaces share no direction.")
    return free_scene(
        frame,
        n=n,
        dim=dim,
        bound=bound,
        resultant=resultant,
        centres=centres,
        start=start,
        partners=partners,
        init=init,
        reference=np.empty(0) if bases is None else bases[0],
        soft=pressure is not None,
        rng=rng,
    )


def _landing(run: Run) -> str:
    state, phi = run.state, None
    if math.isnan(state.gap):
        return "undefined: " + state.reason
    if run.constraint == "subspace":
        if min(state.shared_x, state.shared_y) > 0.95:
            return "centres inside the shared space"
        angle = run.settings.get("angle")
        phi = None if angle is None else float(np.max(angle))
        if max(state.shared_x, state.shared_y) < 0.05:
            if phi is not None and phi < 89.0 and abs(state.gap - (180.0 - phi)) < 1.0:
                return "centres orthogonal to the shared space, one of them reversed"
            return "centres orthogonal to the shared space"
        return "centres neither inside nor orthogonal to the shared space"
    if run.constraint == "affine":
        return "the gap is what the constant parts say"
    if state.gap > 90.0:
        return "centres opposite"
    return "no gap" if state.gap < max(1.0, state.floor) else "a gap without a name"
