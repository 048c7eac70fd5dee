"""Problems of the optimiser: a manifold, a starting point, and a bound of the loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, namespace
from isthmus.theory.bounds import loss_bound
from isthmus.theory.descent import Objective
from isthmus.theory.frames import Frame
from isthmus.theory.infonce import info_nce
from isthmus.theory.manifolds import FreePairs, Manifold, Point, RowManifold
from isthmus.theory.starts import axis_vector, random_rows, starting_centres, with_mean


@dataclass(frozen=True, eq=False)
class Setup:
    """Size, temperature and start of a run. `init` is "random", "near" or a pair of arrays (n, dim)."""

    n: int
    dim: int
    temperature: float
    init: str | tuple[Array, Array]
    initial_gap: float | None
    rng: np.random.Generator

    @property
    def rows(self) -> tuple[Array, Array] | None:
        """Given starting rows, if there are any."""
        return None if isinstance(self.init, str) else self.init


@dataclass(frozen=True, eq=False)
class Problem:
    """A manifold, a starting point, a lower bound of the loss, and the basis of the shared space if there is one.

    If `normals` is given, `penalty` * |components of x and y along them|^2 is added to the loss of every pair.
    """

    manifold: Manifold
    start: Point
    bound: float
    shared: np.ndarray | None = None
    normals: tuple[Array, Array] | None = None
    penalty: float = 0.0

    def objective(self, *, temperature: float, block: int) -> Objective:
        """Return the function that computes the loss and its gradient in coordinates."""

        def evaluate(point: Point) -> tuple[float, Point]:
            rows = self.manifold.embed(point)
            loss, *gradients = info_nce(*rows, temperature=temperature, gradient=True, block=block)
            if self.normals is not None:
                n = rows[0].shape[0]
                for index, (X, normal) in enumerate(zip(rows, self.normals, strict=True)):
                    normal_coords = X @ normal
                    xp = namespace(normal_coords)
                    loss = loss + self.penalty * float(xp.sum(normal_coords**2)) / n
                    slope = (2.0 * self.penalty / n) * (normal_coords @ xp.matrix_transpose(normal))
                    gradients[index] = gradients[index] + slope
            return float(loss), self.manifold.pullback(point, *gradients)

        return evaluate


def free_problem(
    setup: Setup,
    frame: Frame | None,
    *,
    resultant: float | None = None,
    centres: str = "free",
    penalty: float | None = None,
    reference: Array | None = None,
) -> Problem:
    """Return the problem of pairs that move one by one, in the whole space (`frame` None) or in two subspaces.

    The rows are arrays like the given starting rows, else like `reference`.
    """
    if setup.rows is not None:
        reference = setup.rows[0]
    elif reference is None:
        reference = np.empty(0)
    whole_space = frame is None or penalty is not None
    bases = (np.eye(setup.dim), np.eye(setup.dim)) if frame is None else (frame.x, frame.y)
    fixed: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if centres != "free":
        assert frame is not None
        angle_number = 0 if centres == "shared" else len(frame.degrees) - 1
        sign = -1.0 if centres == "reversed" else 1.0
        fixed = (axis_vector(bases[0].shape[1], angle_number), sign * axis_vector(bases[1].shape[1], angle_number))
    x, y = (
        RowManifold(
            basis=None if whole_space else asarray_like(basis, reference),
            resultant=resultant,
            centre=None if centre is None else asarray_like(centre, reference),
        )
        for basis, centre in zip(bases, fixed, strict=True)
    )
    if isinstance(setup.init, str):
        directions = fixed
        if centres == "free":
            directions = starting_centres(frame, setup.dim, setup.initial_gap, setup.rng)
        rows = random_rows(setup.n, [basis.shape[1] for basis in bases], setup.init, setup.rng)
        coordinates = [with_mean(U, direction, resultant) for U, direction in zip(rows, directions, strict=True)]
        if penalty is not None:
            coordinates = [U @ basis.T for U, basis in zip(coordinates, bases, strict=True)]
        start = tuple(asarray_like(U, reference) for U in coordinates)
    else:
        start = tuple(X if whole_space else X @ rows.basis for X, rows in zip(setup.init, (x, y), strict=True))
    return Problem(
        manifold=FreePairs(x, y),
        start=start,
        bound=loss_bound(setup.n, setup.dim, temperature=setup.temperature),
        shared=None if frame is None else frame.basis_of_shared,
        normals=None if penalty is None else tuple(asarray_like(_complement(basis), reference) for basis in bases),
        penalty=0.0 if penalty is None else penalty,
    )


def _complement(basis: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the orthogonal complement."""
    return np.linalg.svd(basis, full_matrices=True)[0][:, basis.shape[1] :]
