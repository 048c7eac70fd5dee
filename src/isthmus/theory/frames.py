"""Two subspaces in general position, described by principal pairs of directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, to_numpy
from isthmus.linalg.subspaces import principal_angles
from isthmus.utils.arguments import check_count, shown
from isthmus.utils.errors import InputError

#: Directions are shared when the cosine of their angle exceeds this: only rounding separates them.
_SHARED_COSINE = 1.0 - 1e-12


@dataclass(frozen=True, eq=False)
class Frame:
    """Two subspaces of R^dim by orthonormal bases whose columns come in principal pairs, the smallest angle first.

    Parameters
    ----------
    x : ndarray of shape (dim, p)
        Basis of the first subspace.
    y : ndarray of shape (dim, q)
        Basis of the second subspace.
    degrees : ndarray of shape (min(p, q),)
        Principal angles in [0, 90], ascending. Column j of `x` and of `y` make the angle `degrees[j]`.

    References
    ----------
    .. [1] Bjorck and Golub (1973), Numerical methods for computing angles between linear subspaces.

    Examples
    --------
    >>> hyperplanes(4, 30.0).shared
    2
    """

    x: np.ndarray
    y: np.ndarray
    degrees: np.ndarray

    @property
    def shared(self) -> int:
        """Dimension of the intersection."""
        return int(np.sum(np.cos(np.radians(self.degrees)) > _SHARED_COSINE))

    @property
    def basis_of_shared(self) -> np.ndarray:
        """Orthonormal basis (dim, shared) of the intersection."""
        return self.x[:, : self.shared]

    @classmethod
    def of_bases(cls, A: Array, B: Array, /) -> Frame:
        """Build the frame of two subspaces.

        Parameters
        ----------
        A : array of shape (dim, p)
            Orthonormal columns.
        B : array of shape (dim, q)
            Orthonormal columns.

        Returns
        -------
        Frame
            The same subspaces, with bases of principal vectors.
        """
        a, b = to_numpy(A).astype(np.float64), to_numpy(B).astype(np.float64)
        angles = principal_angles(a, b)
        return cls(
            x=_completed(to_numpy(angles.vectors_a), a),
            y=_completed(to_numpy(angles.vectors_b), b),
            degrees=np.asarray(angles.degrees, dtype=np.float64),
        )


def hyperplanes(dim: int, angles: float | Sequence[float], /) -> Frame:
    """Return two subspaces of R^dim with the given non-zero principal angles. They share all other directions.

    Parameters
    ----------
    dim : int
        Dimension of the space.
    angles : float or sequence of float
        Non-zero principal angles in degrees, above 0 and up to 90. One angle gives two hyperplanes, m angles give
        subspaces of dimension dim - m that share dim - 2m.

    Returns
    -------
    Frame
        Both subspaces.

    Raises
    ------
    InputError
        If an angle is outside (0, 90], or there are more than dim / 2 of them.

    References
    ----------
    .. [1] Bjorck and Golub (1973), Numerical methods for computing angles between linear subspaces.

    Examples
    --------
    >>> frame = hyperplanes(3, 60.0)
    >>> frame.x.shape, frame.shared, frame.degrees.round(9).tolist()
    ((3, 2), 1, [0.0, 60.0])
    """
    dim = check_count(dim, "dim")
    try:
        values = np.sort(np.atleast_1d(np.asarray(angles, dtype=np.float64)))
    except (TypeError, ValueError):
        raise InputError(f"angle={shown(angles)}, expected angles above 0 and up to 90 degrees") from None
    m = len(values)
    if m == 0 or not np.all((values > 0.0) & (values <= 90.0)):
        raise InputError(f"angle={values.tolist()}, expected angles above 0 and up to 90 degrees")
    if 2 * m > dim:
        raise InputError(f"{m} non-zero principal angles need dim={2 * m} or more, but dim={dim}")
    eye = np.eye(dim)
    common = eye[:, : dim - 2 * m]
    middle, across = eye[:, dim - 2 * m : dim - m], eye[:, dim - m :]
    half = np.radians(values) / 2.0
    x = np.concatenate([common, middle * np.cos(half) + across * np.sin(half)], axis=1)
    y = np.concatenate([common, middle * np.cos(half) - across * np.sin(half)], axis=1)
    return Frame(x=x, y=y, degrees=np.concatenate([np.zeros(dim - 2 * m), values]))


def _completed(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return `columns` followed by the directions of span(`basis`) that they leave out."""
    missing = basis.shape[1] - columns.shape[1]
    if missing == 0:
        return columns
    inside = np.linalg.svd(basis.T @ columns, full_matrices=True)[0][:, columns.shape[1] :]
    return np.concatenate([columns, basis @ inside], axis=1)
