"""The subspaces of two modalities and the directions that they share: one implementation of every estimator.

`EnergySubspaces` is the published definition and counts principal angles near zero. `SharedSpace` asks which angles are
smaller than chance. `ESTIMATORS` names functions of covariances that return a basis of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from isthmus.linalg import remembered
from isthmus.linalg.random_subspaces import tracy_widom_edge
from isthmus.linalg.significance import ENERGY_SHARE, energy_rank, principal_directions, significant_directions
from isthmus.linalg.subspaces import PrincipalAngles, angles_of_bases, orthonormal_pair, principal_vectors

#: A principal angle counts as closed when its cosine exceeds 1 - COSINE_TOLERANCE (the choice of arXiv 2510.03268).
COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class SubspacePair:
    """Two subspaces of R^d and the principal angles between them.

    Parameters
    ----------
    basis_x : ndarray of shape (d, p)
        Orthonormal basis of the first subspace.
    basis_y : ndarray of shape (d, q)
        Orthonormal basis of the second subspace.
    """

    basis_x: np.ndarray
    basis_y: np.ndarray

    @property
    def dim(self) -> int:
        """Dimension d of the surrounding space."""
        return int(self.basis_x.shape[0])

    @property
    def ranks(self) -> tuple[int, int]:
        """Dimensions of both subspaces."""
        return int(self.basis_x.shape[1]), int(self.basis_y.shape[1])

    @property
    def guaranteed(self) -> int:
        """Dimensions that any two subspaces of these ranks share: max(0, p + q - d)."""
        return max(0, sum(self.ranks) - self.dim)

    @cached_property
    def bases(self) -> tuple[np.ndarray, np.ndarray]:
        """Both bases, which are checked to be orthonormal."""
        return orthonormal_pair(self.basis_x, self.basis_y)

    @cached_property
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Principal vectors (d, min(p, q)) of both subspaces, the smallest angle first."""
        return principal_vectors(self.bases)

    @cached_property
    def angles(self) -> PrincipalAngles:
        """Principal angles between the two subspaces."""
        return angles_of_bases(self.bases)

    def closed(self, tolerance: float = COSINE_TOLERANCE) -> np.ndarray:
        """Return which principal angles have a cosine above 1 - `tolerance`.

        Parameters
        ----------
        tolerance : float, default 1e-3
            Distance of the cosine from 1.

        Returns
        -------
        ndarray of shape (min(p, q),)
            Booleans, the smallest angle first.
        """
        return np.asarray(self.angles.cosines) > 1 - tolerance


class EnergySubspaces(SubspacePair):
    """Subspaces that hold a share of the energy of each modality, uncentred.

    Parameters
    ----------
    basis_x : ndarray of shape (d, p)
        Orthonormal basis of the first subspace.
    basis_y : ndarray of shape (d, q)
        Orthonormal basis of the second subspace.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> spaces = EnergySubspaces.of(np.diag([4.0, 4.0, 0.0, 0.0]), np.diag([4.0, 0.0, 4.0, 0.0]))
    >>> spaces.ranks, spaces.overlap(), spaces.guaranteed
    ((2, 2), 1, 0)
    """

    @classmethod
    def of(cls, gram_x: np.ndarray, gram_y: np.ndarray, /, *, energy: float = ENERGY_SHARE) -> Self:
        """Build the subspaces of two Gram matrices.

        Parameters
        ----------
        gram_x, gram_y : ndarray of shape (d, d)
            X'X and Y'Y, or multiples of them.
        energy : float, default 0.99
            Share of the energy that each subspace holds, above 0 and up to 1.

        Returns
        -------
        EnergySubspaces
            Spans of the leading right singular vectors.
        """
        return cls.of_spectra(principal_directions(gram_x), principal_directions(gram_y), energy=energy)

    @classmethod
    def of_spectra(
        cls,
        spectrum_x: tuple[np.ndarray, np.ndarray],
        spectrum_y: tuple[np.ndarray, np.ndarray],
        /,
        *,
        energy: float = ENERGY_SHARE,
    ) -> Self:
        """Build the subspaces from singular values and directions.

        Parameters
        ----------
        spectrum_x, spectrum_y : tuple of ndarray of shape (d,) and ndarray of shape (d, d)
            Singular values, descending, and right singular vectors, as `principal_directions` returns them.
        energy : float, default 0.99
            Share of the energy that each subspace holds, above 0 and up to 1.

        Returns
        -------
        EnergySubspaces
            Spans of the leading right singular vectors.
        """
        bases = (
            np.ascontiguousarray(directions[:, : energy_rank(values, energy)])
            for values, directions in (spectrum_x, spectrum_y)
        )
        return cls(*bases)

    def overlap(self, tolerance: float = COSINE_TOLERANCE) -> int:
        """Count the principal angles whose cosine exceeds 1 - `tolerance`.

        Parameters
        ----------
        tolerance : float, default 1e-3
            Distance of the cosine from 1.

        Returns
        -------
        int
            Number of shared dimensions, the guaranteed ones included.
        """
        return int(np.sum(self.closed(tolerance)))


class SharedSpace(SubspacePair):
    """Two subspaces and the directions in which they are closer than random subspaces of these dimensions.

    A principal angle is shared if its squared cosine exceeds `edge`, the 95 % Tracy-Widom edge of random subspaces.
    The test does not use the pairing.

    Parameters
    ----------
    basis_x : ndarray of shape (d, p)
        Orthonormal basis of the first subspace, such as the significant directions of the first modality.
    basis_y : ndarray of shape (d, q)
        Orthonormal basis of the second subspace.

    References
    ----------
    .. [1] Johnstone (2008), Multivariate analysis and Jacobi ensembles, arXiv 0803.3408.

    Examples
    --------
    >>> axes = np.eye(40)
    >>> space = SharedSpace(axes[:, :5], axes[:, [0, 1, 2, 7, 8]])
    >>> space.count, space.guaranteed, np.flatnonzero(np.abs(space.midpoints()).sum(1) > 1e-9).tolist()
    (3, 0, [0, 1, 2])
    """

    @classmethod
    def of(cls, cov_x: np.ndarray, cov_y: np.ndarray, /, *, n_x: int, n_y: int) -> Self:
        """Build the pair of significant subspaces of two covariances.

        Parameters
        ----------
        cov_x, cov_y : ndarray of shape (d, d)
            Covariances of the two modalities.
        n_x, n_y : int
            Numbers of independent rows behind them, n - 1 after centring.

        Returns
        -------
        SharedSpace
            Spans of the directions that stand out of the noise.
        """
        return cls(significant_directions(cov_x, n_x), significant_directions(cov_y, n_y))

    @property
    def testable(self) -> bool:
        """True if random subspaces of these ranks have an edge: not empty, not all of R^d, and p + q not d."""
        return min(self.ranks) > 0 and max(self.ranks) < self.dim and sum(self.ranks) != self.dim

    @cached_property
    def edge(self) -> float:
        """Squared cosine that the smallest angle of random subspaces exceeds in 5 % of all cases."""
        return tracy_widom_edge(self.dim, *self.ranks)

    @cached_property
    def shared(self) -> np.ndarray:
        """Booleans (min(p, q),): which principal angles are smaller than chance."""
        _ = self.vectors  # which `midpoints` needs, so that one decomposition serves both
        return np.asarray(self.angles.cosines) ** 2 > self.edge

    @property
    def count(self) -> int:
        """Number of shared directions, the guaranteed ones included."""
        return int(np.sum(self.shared))

    def midpoints(self) -> np.ndarray:
        """Return unit bisectors of the shared principal vectors of both subspaces.

        Returns
        -------
        ndarray of shape (d, count)
            Orthonormal columns, which do not depend on the order of the subspaces.
        """
        vectors_a, vectors_b = (np.asarray(v)[:, self.shared] for v in self.vectors)
        midpoints = vectors_a + vectors_b
        return np.asarray(midpoints / np.linalg.norm(midpoints, axis=0))

    def objection(self) -> str:
        """Return why no shared space can be reported.

        Returns
        -------
        str
            One sentence without a full stop, or "" if directions are shared beyond what the ranks guarantee. It starts
            with "no test" if subspaces of these ranks leave nothing to test.
        """
        p, q = self.ranks
        if min(p, q) == 0:
            return "no direction of one modality stands out of the noise, so that there is no subspace to share"
        if max(p, q) >= self.dim:
            return (
                f"no test for a shared space: the centred rows fill {p} and {q} of {self.dim} "
                "dimensions, and then every direction is shared"
            )
        if not self.testable:
            return (
                f"no test for a shared space: the significant subspaces have {p} and {q} dimensions, "
                f"which add up to all {self.dim}, and random ones then come as near as can be"
            )
        if self.count <= self.guaranteed:
            return (
                f"no shared space: of {len(self.shared)} principal angles between the significant "
                f"subspaces (dimensions {p} and {q}), {self.count} lie beyond what random "
                f"subspaces reach and {self.guaranteed} are guaranteed by their ranks alone"
            )
        return ""


#: (covariance of x, of y, of x with y, effective number of rows, k) -> basis (d, at most k), (d, 0) for nothing
Estimator = Callable[[np.ndarray, np.ndarray, np.ndarray, float, int | None], np.ndarray]


def overlap(cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None) -> np.ndarray:
    """Return the midpoints of a `SharedSpace`, those with the most variance first. The pairing is not used."""
    n = max(2, int(rows) - 1)
    space = SharedSpace.of(cov_x, cov_y, n_x=n, n_y=n)
    if space.objection():
        return np.zeros((len(cov_x), 0))
    middle = space.midpoints()
    energy = (middle * ((cov_x + cov_y) @ middle)).sum(0)
    return middle[:, np.argsort(-energy)[:k]]


def cross_covariance(
    cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None
) -> np.ndarray:
    """Return the directions of the largest positive covariance between matching pairs (`covarying_directions`).

    This is partial least squares with one basis for both modalities.
    """
    return _leading(*covarying_directions(cov_xy), k)


def cca(cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None) -> np.ndarray:
    """Return midpoints of the canonical directions, made orthonormal in the order of their correlations.

    Covariances are regularised by their mean eigenvalue.
    """
    whiten = []
    for cov in (cov_x, cov_y):
        values, vectors = remembered.eigh(cov)
        whiten.append((vectors / np.sqrt(np.clip(values, 0, None) + values.mean())) @ vectors.T)
    vectors_x, correlations, vectors_y = remembered.svd(whiten[0] @ cov_xy @ whiten[1])
    size = min(_participation(correlations) if k is None else k, len(cov_x))
    directions = whiten[0] @ vectors_x[:, :size], whiten[1] @ vectors_y[:size].T
    midpoints = sum(columns / np.linalg.norm(columns, axis=0) for columns in directions)
    return np.linalg.qr(midpoints)[0]


def joint_pca(cov_x: np.ndarray, cov_y: np.ndarray, cov_xy: np.ndarray, rows: float, k: int | None) -> np.ndarray:
    """Return the principal directions of both modalities together: a control that does not see what is shared."""
    return _leading(*_descending_eigenvectors(cov_x + cov_y), k)


def covarying_directions(cov_xy: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions w of the largest covariance w'C_xy w between matching pairs.

    Parameters
    ----------
    cov_xy : ndarray of shape (d, d)
        Cross-covariance of matching pairs.

    Returns
    -------
    covariances : ndarray of shape (d,)
        Eigenvalues of the symmetric part of `cov_xy`, descending. They can be negative.
    directions : ndarray of shape (d, d)
        Orthonormal eigenvectors in the same order.

    Examples
    --------
    >>> covarying_directions(np.diag([1.0, 3.0, -2.0]))[0].tolist()
    [3.0, 1.0, -2.0]
    """
    return _descending_eigenvectors((cov_xy + cov_xy.T) / 2)


def _descending_eigenvectors(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = remembered.eigh(symmetric)
    return values[::-1], vectors[:, ::-1]


def _leading(values: np.ndarray, vectors: np.ndarray, k: int | None) -> np.ndarray:
    """Return the eigenvectors of the k largest positive values, or of as many as their participation ratio."""
    positive = values[values > 1e-12 * abs(values).max()]
    return vectors[:, : min(_participation(positive) if k is None else k, len(positive))]


def _participation(strengths: np.ndarray) -> int:
    """Return the number of equal strengths that are as concentrated as these: (sum)^2 / sum of squares, rounded up."""
    return int(np.ceil(strengths.sum() ** 2 / (strengths**2).sum() - 1e-9)) if len(strengths) else 0


#: Estimators of a basis of the shared space by name.
ESTIMATORS: dict[str, Estimator] = {
    "cca": cca,
    "cross_covariance": cross_covariance,
    "joint_pca": joint_pca,
    "overlap": overlap,
}
