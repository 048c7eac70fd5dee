"""The constraints of the theory: where pairs may move, where they start, and what bounds their loss.

A constraint is a small dataclass that builds the `Problem` of the optimiser. The constraints are those of Yi, Douady
and Chen (2025), arXiv 2510.03268. `ConstantParts` is derived here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, to_numpy, unit_rows
from isthmus.theory.bounds import affine_infimum, finite_bound, loss_bound
from isthmus.theory.frames import Frame, hyperplanes
from isthmus.theory.manifolds import FreePairs, RotatingCloud, RowManifold
from isthmus.theory.problems import Problem, Setup, free_problem
from isthmus.theory.starts import random_rows, rotation_to
from isthmus.theory.trajectory import State
from isthmus.theory.vmf import VonMisesFisher
from isthmus.utils.arguments import check_number
from isthmus.utils.errors import InputError

#: Positions of the means that `Subspaces` can hold.
CENTRES = ("free", "shared", "orthogonal", "reversed")


class Constraint(ABC):
    """Base class of the constraints of `optimise`.

    A subclass implements `problem`. The other methods have defaults.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> issubclass(Cone, Constraint)
    True
    """

    @abstractmethod
    def problem(self, setup: Setup, /) -> Problem:
        """Return manifold, start and bound for a run.

        Parameters
        ----------
        setup : Setup
            Size, temperature and start of the run.

        Returns
        -------
        Problem
            What the optimiser minimises.

        Raises
        ------
        InputError
            If the set-up does not fit the constraint.
        """

    def given_arrays(self) -> dict[str, tuple[Array, Array]]:
        """Return pairs of arrays (n, dim) that fix n and dim, by the name of their parameter.

        Returns
        -------
        dict of str to pair of arrays
            Empty by default.
        """
        return {}

    def given_dim(self) -> int | None:
        """Return the dimension that the constraint fixes.

        Returns
        -------
        int or None
            None by default: any dimension.
        """
        return None

    def classify_optimum(self, state: State, /) -> str:
        """Describe the position of the means at the end of a run.

        Parameters
        ----------
        state : State
            Final state of the run.

        Returns
        -------
        str
            A short phrase, such as 'no gap'.
        """
        if math.isnan(state.gap):
            return f"undefined: {state.reason}"
        if state.gap > 90.0:
            return "centres opposite"
        return "no gap" if state.gap < max(1.0, state.floor) else "a gap that no theorem describes"


@dataclass(frozen=True)
class Unconstrained(Constraint):
    """No constraint: `optimise` may choose all pairs of unit vectors.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 1.

    Examples
    --------
    >>> Unconstrained()
    Unconstrained()
    """

    def problem(self, setup: Setup, /) -> Problem:
        return free_problem(setup, None)


@dataclass(frozen=True)
class Cone(Constraint):
    """Constraint: the mean of each modality has a fixed length and any direction.

    Parameters
    ----------
    resultant : float
        Length of both means, between 0 and 1.

    Raises
    ------
    InputError
        If `resultant` is outside (0, 1).

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 2.

    Examples
    --------
    >>> Cone(resultant=0.5)
    Cone(resultant=0.5)
    """

    resultant: float

    def __post_init__(self) -> None:
        _between("resultant", self.resultant, 0.0, 1.0)

    def problem(self, setup: Setup, /) -> Problem:
        return free_problem(setup, None, resultant=self.resultant)


@dataclass(frozen=True, eq=False)
class RigidClouds(Constraint):
    """Constraint: both clouds keep their shape, and only the second one may turn.

    Parameters
    ----------
    kappa : float, optional
        Concentration of a von Mises-Fisher sample. The second cloud is a copy of it.
    clouds : pair of arrays of shape (n, dim), optional
        Rows of both clouds. Give this or `kappa`.

    Raises
    ------
    InputError
        If not exactly one of both is given, or `kappa` is not positive.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 2.

    Examples
    --------
    >>> RigidClouds(kappa=20.0).kappa
    20.0
    """

    kappa: float | None = None
    clouds: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        if (self.kappa is None) == (self.clouds is None):
            raise InputError("RigidClouds needs kappa= or clouds=, and not both")
        if self.kappa is not None:
            _between("kappa", self.kappa, 0.0, math.inf)

    def given_arrays(self) -> dict[str, tuple[Array, Array]]:
        return {} if self.clouds is None else {"clouds": self.clouds}

    def problem(self, setup: Setup, /) -> Problem:
        if setup.rows is not None:
            raise InputError("init= does not go with RigidClouds; give the rows as clouds=")
        clouds = self.clouds
        if clouds is None:
            assert self.kappa is not None
            sample = VonMisesFisher(np.eye(setup.dim)[0], self.kappa).sample(setup.n, rng=setup.rng)
            clouds = (sample, sample)
        x0, y0 = unit_rows(clouds[0]), unit_rows(clouds[1])
        turn = np.eye(setup.dim)
        if setup.initial_gap is not None:
            mean_x, mean_y = (to_numpy(rows).astype(np.float64).mean(axis=0) for rows in (x0, y0))
            source, target = mean_y / np.linalg.norm(mean_y), mean_x / np.linalg.norm(mean_x)
            turn = rotation_to(source, target, setup.initial_gap, setup.rng)
        bound = loss_bound(setup.n, setup.dim, temperature=setup.temperature)
        return Problem(manifold=RotatingCloud(x0, y0), start=(asarray_like(turn, x0),), bound=bound)


@dataclass(frozen=True, eq=False)
class Subspaces(Constraint):
    """Constraint: x in a subspace A, y in a subspace B, with or without a fixed length of the means.

    Parameters
    ----------
    angle : float or sequence of float, optional
        Non-zero principal angles in degrees. One angle gives two hyperplanes.
    bases : pair of arrays of shapes (dim, p) and (dim, q), optional
        Orthonormal columns that span A and B. Give this or `angle`.
    resultant : float, optional
        Length of both means, between 0 and 1. Default: any length.
    centres : {'free', 'shared', 'orthogonal', 'reversed'}, default 'free'
        Direction of the means. 'shared' holds them in the shared space. 'orthogonal' and 'reversed' hold them
        orthogonal to it, at the largest principal angle or at its supplement. All but 'free' need `resultant`.
    penalty : float, optional
        Replace the hard constraint by penalty * (|x - P_A x|^2 + |y - P_B y|^2), added to the loss of each pair, in
        nats. It goes with free centres.

    Raises
    ------
    InputError
        If not exactly one of `angle` and `bases` is given, or a parameter is out of range.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3.

    Examples
    --------
    >>> Subspaces(angle=60, resultant=0.5).centres
    'free'
    """

    angle: float | Sequence[float] | None = None
    bases: tuple[Array, Array] | None = None
    resultant: float | None = None
    centres: str = "free"
    penalty: float | None = None

    def __post_init__(self) -> None:
        if (self.angle is None) == (self.bases is None):
            raise InputError("Subspaces needs angle= or bases=, and not both")
        if self.resultant is not None:
            _between("resultant", self.resultant, 0.0, 1.0)
        if self.centres not in CENTRES:
            raise InputError(f"centres={self.centres!r}, expected one of {', '.join(CENTRES)}")
        if self.centres != "free" and self.resultant is None:
            raise InputError(f"centres={self.centres!r} needs resultant=, the length of the means")
        if self.penalty is not None and not 0.0 <= self.penalty < math.inf:
            raise InputError(f"penalty={self.penalty}, expected a number from 0")
        if self.penalty is not None and self.centres != "free":
            raise InputError("penalty= goes with free centres only; leave out one of penalty= and centres=")

    def given_dim(self) -> int | None:
        return None if self.bases is None else int(self.bases[0].shape[0])

    def problem(self, setup: Setup, /) -> Problem:
        if self.bases is not None:
            frame = Frame.of_bases(*self.bases)
        else:
            assert self.angle is not None
            frame = hyperplanes(setup.dim, self.angle)
        if self.centres == "shared" and frame.shared == 0:
            raise InputError("centres='shared', but these subspaces share no direction")
        return free_problem(
            setup,
            frame,
            resultant=self.resultant,
            centres=self.centres,
            penalty=self.penalty,
            reference=None if self.bases is None else self.bases[0],
        )

    def classify_optimum(self, state: State, /) -> str:
        if math.isnan(state.gap):
            return f"undefined: {state.reason}"
        if min(state.shared_x, state.shared_y) > 0.95:
            return "centres inside the shared space"
        if max(state.shared_x, state.shared_y) >= 0.05:
            return "centres neither inside nor orthogonal to the shared space"
        largest = None if self.angle is None else float(np.max(self.angle))
        if largest is not None and largest < 89.0 and abs(state.gap - (180.0 - largest)) < 1.0:
            return "centres orthogonal to the shared space, one of them reversed"
        return "centres orthogonal to the shared space"


@dataclass(frozen=True)
class ConstantParts(Constraint):
    """Constraint of the affine case: x = sqrt(1 - r^2) a + r u and y = sqrt(1 - r^2) b + r v.

    u and v are unit vectors of a shared space C of dim - 2 dimensions. a and b are fixed unit vectors orthogonal to C.

    Parameters
    ----------
    angle : float
        Angle between a and b in degrees, 0 to 180.
    radius : float
        Length r of the part in the shared space, between 0 and 1.

    Raises
    ------
    InputError
        If `angle` is not one number from 0 to 180, or `radius` is outside (0, 1).

    References
    ----------
    .. [1] Derived here. Chowers et al. (2026), arXiv 2603.29080, describe such an offset.

    Examples
    --------
    >>> ConstantParts(angle=60, radius=0.7)
    ConstantParts(angle=60, radius=0.7)
    """

    angle: float
    radius: float

    def __post_init__(self) -> None:
        if not (isinstance(self.angle, int | float | np.floating | np.integer) and 0.0 <= self.angle <= 180.0):
            raise InputError(f"angle={self.angle!r}, expected one number of degrees from 0 to 180")
        _between("radius", self.radius, 0.0, 1.0)

    def problem(self, setup: Setup, /) -> Problem:
        n, dim = setup.n, setup.dim
        if dim < 4:
            raise InputError(f"dim={dim}, expected 4 or more for ConstantParts, so that a shared space is left")
        if setup.initial_gap is not None:
            raise InputError("initial_gap= does not go with ConstantParts, whose gap is their angle; leave it out")
        bound = max(
            2.0 * math.log(n) + affine_infimum(dim, temperature=setup.temperature, radius=self.radius),
            finite_bound(n, temperature=setup.temperature, cosine=self.radius**2),
        )
        eye, half = np.eye(dim), math.radians(self.angle) / 2.0
        common = eye[:, : dim - 2]
        length = math.sqrt(1.0 - self.radius**2)
        middle, across = length * math.cos(half) * eye[:, -2], length * math.sin(half) * eye[:, -1]
        reference = np.empty(0) if setup.rows is None else setup.rows[0]
        x, y = (
            RowManifold(
                basis=asarray_like(common, reference),
                offset=asarray_like(middle + sign * across, reference),
                radius=self.radius,
            )
            for sign in (1.0, -1.0)
        )
        if isinstance(setup.init, str):
            start = tuple(random_rows(n, [dim - 2, dim - 2], setup.init, setup.rng))
        else:
            start = tuple((X - rows.offset) @ rows.basis for X, rows in zip(setup.init, (x, y), strict=True))
        return Problem(manifold=FreePairs(x, y), start=start, bound=bound, shared=common)

    def classify_optimum(self, state: State, /) -> str:
        if math.isnan(state.gap):
            return f"undefined: {state.reason}"
        return "the gap is the angle between the constant parts"


def _between(name: str, value: float, low: float, high: float) -> None:
    check_number(value, name, f"a number between {low:g} and {high:g}", low, high)
