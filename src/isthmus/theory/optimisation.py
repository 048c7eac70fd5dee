"""Pairs of unit vectors that minimise the contrastive loss under a constraint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array
from isthmus.theory._arguments import check_within
from isthmus.theory.constraints import Constraint
from isthmus.theory.descent import Iterate, descend
from isthmus.theory.manifolds import RotatingCloud
from isthmus.theory.problems import Problem, Setup
from isthmus.theory.trajectory import State, Trajectory, measure_state
from isthmus.utils.arguments import check_count, check_number, check_seed
from isthmus.utils.errors import InputError
from isthmus.utils.progress import report_progress

#: Steps over which the loss must change for a run to go on.
_PLATEAU_STEPS = 50
#: Steps between two reports of the progress.
REPORTED_STEPS = 20
#: Ways to draw the starting rows.
INITS = ("random", "near")
_DEFAULT_N, _DEFAULT_DIM = 512, 3


@dataclass(frozen=True)
class Stop:
    """Conditions under which a run of `optimise` ends.

    Parameters
    ----------
    max_steps : int, default 3000
        Most steps.
    tolerance : float, default 1e-5
        The run ends when the root mean square over pairs of the gradient of a pair's own loss falls below this.
    plateau : float, default 1e-6
        The run ends when the loss changes by less than this in 50 steps, in nats.

    Raises
    ------
    InputError
        If `max_steps` is no whole number, or a number is negative.

    Examples
    --------
    >>> Stop(max_steps=100).plateau
    1e-06
    """

    max_steps: int = 3000
    tolerance: float = 1e-5
    plateau: float = 1e-6

    def __post_init__(self) -> None:
        check_count(self.max_steps, "max_steps", 0)
        for name in ("tolerance", "plateau"):
            check_within(name, getattr(self, name), 0.0, math.inf)


@dataclass(frozen=True, eq=False)
class Run:
    """The result of `optimise`.

    Parameters
    ----------
    constraint : Constraint
        Constraint of the run.
    x : array of shape (n, dim)
        Final unit rows of the first modality.
    y : array of shape (n, dim)
        Final unit rows of the second modality.
    loss : float
        InfoNCE with both directions summed, in nats.
    bound : float
        Lower bound of the loss of any arrangement, in nats.
    stopped : {'gradient', 'rounding', 'plateau', 'steps'}
        Why the run ended.
    steps : int
        Number of steps.
    slope : float
        Root mean square over pairs of the gradient of a pair's own loss.
    state : State
        Final gap, means and mismatch.
    trajectory : Trajectory
        The same quantities along the way.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> from isthmus.theory import Unconstrained
    >>> run = optimise(Unconstrained(), n=4, dim=3, temperature=0.5)
    >>> run.converged, round(run.excess, 6)
    (True, 0.0)
    """

    constraint: Constraint
    x: Array
    y: Array
    loss: float
    bound: float
    stopped: str
    steps: int
    slope: float
    state: State
    trajectory: Trajectory

    @property
    def converged(self) -> bool:
        """True if the run ended before the largest number of steps."""
        return self.stopped != "steps"

    @property
    def gap(self) -> float:
        """Final gap angle in degrees, NaN where undefined (`state.reason` gives the reason)."""
        return self.state.gap

    @property
    def excess(self) -> float:
        """Loss minus bound, in nats."""
        return self.loss - self.bound

    def classify_optimum(self) -> str:
        """Describe the position of the means, because a gap angle alone does not explain itself.

        Returns
        -------
        str
            A short phrase, such as 'centres orthogonal to the shared space'.
        """
        return self.constraint.classify_optimum(self.state)


def optimise(
    constraint: Constraint,
    /,
    *,
    temperature: float,
    n: int | None = None,
    dim: int | None = None,
    init: str | tuple[Array, Array] = "random",
    initial_gap: float | None = None,
    stop: Stop | None = None,
    record_every: int = 10,
    block: int = 1024,
    rng: int | np.random.Generator = 0,
    callback: Callable[[int, float, Array, Array], None] | None = None,
) -> Run:
    """Minimise InfoNCE over n pairs (x_i, y_i) of unit vectors of R^dim that obey a constraint.

    Parameters
    ----------
    constraint : Constraint
        `Unconstrained`, `Cone`, `RigidClouds`, `Subspaces` or `ConstantParts`.
    temperature : float
        tau, positive.
    n : int, optional
        Number of pairs. Default: that of given arrays, else 512.
    dim : int, optional
        Dimension. Default: that of given arrays, else 3.
    init : {'random', 'near'} or pair of arrays of shape (n, dim), default 'random'
        Starting rows. 'random' draws x_i and y_i independently, 'near' draws them close to each other. On circles and
        at small temperatures particles cannot pass each other, so random starts stay in poor optima.
    initial_gap : float, optional
        Gap of the start in degrees, 0 to 180. Default: the means of the starting rows decide.
    stop : Stop, optional
        When the run ends. Default: `Stop()`.
    record_every : int, default 10
        Steps between two records of the trajectory.
    block : int, default 1024
        Rows that are compared at a time. Memory is O(n dim + block^2).
    rng : int or numpy.random.Generator, default 0
        Seed of the start.
    callback : callable, optional
        Called as callback(step, loss, x, y) after each step.

    Returns
    -------
    Run
        Final rows, loss, bound and trajectory. The rows have the library, precision and device of given arrays, else
        they are float64 NumPy arrays.

    Raises
    ------
    InputError
        If a parameter is out of range, or parameters do not belong together.

    Notes
    -----
    L = (1/n) sum_i [-log softmax_j(x_i.y_j / tau)_i - log softmax_j(y_i.x_j / tau)_i] is minimised by Riemannian
    L-BFGS. It is not convex: a run finds a stationary point, and `initial_gap` and `rng` decide which.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> from isthmus.theory import Subspaces
    >>> planes = Subspaces(angle=60, resultant=0.5)
    >>> run = optimise(planes, n=64, dim=3, temperature=0.2, initial_gap=30)
    >>> round(run.gap, 1), run.classify_optimum()
    (60.0, 'centres orthogonal to the shared space')
    """
    if not isinstance(constraint, Constraint):
        raise InputError(f"constraint {constraint!r}, expected one of the constraints of isthmus.theory, such as Cone")
    n, dim = _sizes(n, dim, constraint, init)
    _check(n, dim, temperature, init, initial_gap, record_every)
    if not isinstance(rng, np.random.Generator):
        check_seed(rng)
    stop = stop or Stop()
    setup = Setup(n, dim, temperature, init, initial_gap, np.random.default_rng(rng))
    problem = constraint.problem(setup)
    rigid = isinstance(problem.manifold, RotatingCloud)
    recorder = _Recorder(problem, scale=1.0 if rigid else math.sqrt(n), interval=record_every)
    objective = problem.objective(temperature=temperature, block=block)
    reach = 0.5 if rigid else 0.3 * math.sqrt(2.0 * n)
    for iterate in descend(objective, problem.manifold, problem.start, reach=reach):
        X, Y = recorder.add(iterate)
        if iterate.step % REPORTED_STEPS == 0:
            report_progress(iterate.step, stop.max_steps, "optimising", f"step {iterate.step:,}")
        if callback is not None:
            callback(iterate.step, iterate.value, X, Y)
        if reason := recorder.reason_to_stop(stop):
            return recorder.run(constraint, reason)
    raise AssertionError("the descent ends only with a stuck iterate")


class _Recorder:
    """Losses of every step, states of some, and the reason to stop."""

    def __init__(self, problem: Problem, *, scale: float, interval: int) -> None:
        self.problem, self.scale, self.interval = problem, scale, interval
        self.losses: list[float] = []
        self.records: list[tuple[int, float, State]] = []

    def add(self, iterate: Iterate) -> tuple[Array, Array]:
        """Record one iterate and return its rows."""
        self.iterate = iterate
        self.rows = self.problem.manifold.embed(iterate.point)
        self.losses.append(iterate.value)
        if iterate.step % self.interval == 0 and not iterate.stuck:
            self.records.append((iterate.step, iterate.value, self._state()))
        return self.rows

    def reason_to_stop(self, stop: Stop) -> str:
        """Return why the run ends after the last iterate, or ""."""
        if self.scale * self.iterate.slope <= stop.tolerance:
            return "gradient"
        if self.iterate.stuck:
            return "rounding"
        step, losses = self.iterate.step, self.losses
        if step >= _PLATEAU_STEPS and losses[-1 - _PLATEAU_STEPS] - losses[-1] < stop.plateau:
            return "plateau"
        return "steps" if step >= stop.max_steps else ""

    def run(self, constraint: Constraint, reason: str) -> Run:
        """Return the result after the last iterate."""
        state = self._state()
        if self.records[-1][0] != self.iterate.step:
            self.records.append((self.iterate.step, self.iterate.value, state))
        steps, losses, states = zip(*self.records, strict=True)
        return Run(
            constraint=constraint,
            x=self.rows[0],
            y=self.rows[1],
            loss=self.iterate.value,
            bound=self.problem.bound,
            stopped=reason,
            steps=self.iterate.step,
            slope=self.scale * self.iterate.slope,
            state=state,
            trajectory=Trajectory(
                steps=np.array(steps),
                loss=np.array(losses),
                excess=np.array(losses) - self.problem.bound,
                states=states,
            ),
        )

    def _state(self) -> State:
        return measure_state(*self.rows, shared=self.problem.shared)


def _sizes(n: int | None, dim: int | None, constraint: Constraint, init: str | tuple[Array, Array]) -> tuple[int, int]:
    """Return n and dim, from the arrays where they are given."""
    arrays = constraint.given_arrays()
    if not isinstance(init, str):
        arrays = {"init": init, **arrays}
    shapes: list[tuple[int | None, int]] = []
    for name, (X, Y) in arrays.items():
        if not (hasattr(X, "ndim") and type(X) is type(Y)):
            raise InputError(f"{name} of {type(X).__name__} and {type(Y).__name__}, expected two arrays of one library")
        if X.ndim != 2 or X.shape != Y.shape:
            raise InputError(f"{name} of shapes {tuple(X.shape)} and {tuple(Y.shape)}, expected two arrays (n, dim)")
        shapes.append((X.shape[0], X.shape[1]))
    if (columns := constraint.given_dim()) is not None:
        shapes.append((None, columns))
    for rows, columns in shapes:
        for name, requested, actual in (("n", n, rows), ("dim", dim, columns)):
            if requested is not None and actual is not None and requested != actual:
                raise InputError(f"{name}={requested}, but the given arrays have {name}={actual}; leave {name} out")
        n, dim = n if rows is None else rows, columns
    return _DEFAULT_N if n is None else n, _DEFAULT_DIM if dim is None else dim


def _check(
    n: int,
    dim: int,
    temperature: float,
    init: str | tuple[Array, Array],
    initial_gap: float | None,
    record_every: int,
) -> None:
    check_number(temperature, "temperature", "a positive number", 0.0)
    if isinstance(init, str) and init not in INITS:
        raise InputError(f"init={init!r}, expected one of {', '.join(INITS)} or two arrays (n, dim)")
    if initial_gap is not None and not 0.0 <= initial_gap <= 180.0:
        raise InputError(f"initial_gap={initial_gap}, expected degrees from 0 to 180")
    if initial_gap is not None and not isinstance(init, str):
        raise InputError("initial_gap= does not go with given starting rows; leave out initial_gap= or init=")
    for name, value, low in (("n", n, 2), ("dim", dim, 2), ("record_every", record_every, 1)):
        check_count(value, name, low)
