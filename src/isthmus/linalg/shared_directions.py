"""Which directions two subspaces share beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.linalg.random_subspaces import tracy_widom_edge
from isthmus.linalg.rotations import PrincipalAngles, principal_angles


@dataclass(frozen=True, eq=False)
class SharedSpace:
    """Two subspaces of R^d with orthonormal bases `basis_x` (d, p) and `basis_y` (d, q), such as the significant
    directions of both sides, and the directions in which they meet closer than random subspaces do.

    Shared are the principal angles whose squared cosine exceeds `edge`, the 95 % Tracy-Widom edge of random subspaces
    of these dimensions; `forced` = max(0, p + q - d) of them any two such subspaces have. Where `testable` is False
    (an empty side, a side that fills R^d, p + q = d) there is no edge, and asking for it raises `InputError`.
    Source: Johnstone 2008, arXiv 0803.3408.

    >>> axes = np.eye(40)
    >>> space = SharedSpace(axes[:, :5], axes[:, [0, 1, 2, 7, 8]])
    >>> space.count, space.forced, np.flatnonzero(np.abs(space.midpoints()).sum(1) > 1e-9).tolist()
    (3, 0, [0, 1, 2])
    """

    basis_x: np.ndarray
    basis_y: np.ndarray

    @property
    def dim(self) -> int:
        """d."""
        return int(self.basis_x.shape[0])

    @property
    def ranks(self) -> tuple[int, int]:
        """Dimensions of both subspaces."""
        return int(self.basis_x.shape[1]), int(self.basis_y.shape[1])

    @property
    def forced(self) -> int:
        """Dimensions that any two subspaces of these ranks share."""
        return max(0, sum(self.ranks) - self.dim)

    @property
    def testable(self) -> bool:
        """Whether chance says anything about subspaces of these ranks."""
        return min(self.ranks) > 0 and max(self.ranks) < self.dim and sum(self.ranks) != self.dim

    @cached_property
    def angles(self) -> PrincipalAngles:
        """Between the two subspaces."""
        return principal_angles(self.basis_x, self.basis_y)

    @cached_property
    def edge(self) -> float:
        """The squared cosine that the smallest angle of random subspaces exceeds in 5 % of all cases."""
        return tracy_widom_edge(self.dim, *self.ranks)

    @cached_property
    def shared(self) -> np.ndarray:
        """Which of the principal angles lie beyond chance, (min(p, q),) booleans."""
        return np.asarray(self.angles.cosines) ** 2 > self.edge

    @property
    def count(self) -> int:
        """How many directions are shared, the forced ones included."""
        return int(np.sum(self.shared))

    def midpoints(self) -> np.ndarray:
        """Unit bisectors (d, count) of the shared principal vectors of both sides: orthonormal, the same from either
        side."""
        middle = np.asarray(self.angles.vectors_a)[:, self.shared] + np.asarray(self.angles.vectors_b)[:, self.shared]
        return np.asarray(middle / np.linalg.norm(middle, axis=0))
