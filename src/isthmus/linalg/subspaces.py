"""Orthonormal bases of subspaces and the principal angles between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, to_numpy
from isthmus.linalg import remembered
from isthmus.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class PrincipalAngles:
    """Principal angles and vectors of two subspaces, the smallest angle first.

    Parameters
    ----------
    degrees : array of shape (m,)
        Angles in [0, 90], ascending, with m = min(p, q).
    cosines : array of shape (m,)
        Their cosines.
    bases : pair of ndarray
        Orthonormal bases (d, p) and (d, q) of the subspaces.

    Examples
    --------
    >>> axes = np.eye(3)
    >>> principal_angles(axes[:, :1], axes[:, 1:]).degrees.tolist()
    [90.0]
    """

    degrees: Array
    cosines: Array
    bases: tuple[np.ndarray, np.ndarray]

    @cached_property
    def vectors_a(self) -> Array:
        """Principal vectors (d, m) of the first subspace."""
        return asarray_like(self._vectors[0], self.degrees)

    @cached_property
    def vectors_b(self) -> Array:
        """Principal vectors (d, m) of the second subspace. Column j makes angle j with column j of `vectors_a`."""
        return asarray_like(self._vectors[1], self.degrees)

    @cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        return principal_vectors(self.bases)


def principal_angles(A: Array, B: Array, /) -> PrincipalAngles:
    """Return the principal angles between two subspaces.

    Parameters
    ----------
    A : array of shape (d, p)
        Orthonormal columns that span the first subspace.
    B : array of shape (d, q)
        Orthonormal columns that span the second subspace.

    Returns
    -------
    PrincipalAngles
        Angles and, on demand, principal vectors.

    Raises
    ------
    InputError
        If columns are not orthonormal, or the subspaces lie in spaces of different dimensions.

    Notes
    -----
    cos theta_j are the singular values of A'B. Angles below 45 degrees are taken from their sines, the singular values
    of (I - A A') B. Every angle is therefore accurate to about 1e-14 degrees.

    References
    ----------
    .. [1] Bjorck and Golub (1973), Numerical methods for computing angles between linear subspaces.

    Examples
    --------
    >>> import numpy as np
    >>> e1, e2, e3 = np.eye(3)
    >>> tilted = np.cos(np.pi / 6) * e2 + np.sin(np.pi / 6) * e3
    >>> angles = principal_angles(np.stack([e1, e2], axis=1), np.stack([tilted, e1], axis=1))
    >>> angles.degrees.round(9).tolist()
    [0.0, 30.0]
    """
    return angles_of_bases(orthonormal_pair(A, B), like=A)


def angles_of_bases(bases: tuple[np.ndarray, np.ndarray], /, *, like: Array | None = None) -> PrincipalAngles:
    """Return the principal angles between the spans of two bases that `orthonormal_pair` has checked.

    Parameters
    ----------
    bases : pair of ndarray
        Orthonormal bases (d, p) and (d, q).
    like : array, optional
        Array whose library the angles have. Default: NumPy.

    Returns
    -------
    PrincipalAngles
        Angles and, on demand, principal vectors.
    """
    a, b = bases
    like = a if like is None else like
    cross = a.T @ b
    cosines = np.minimum(remembered.singular_values(cross), 1.0)
    n_small_angles = int(np.sum(cosines**2 >= 0.5))
    radians = np.arccos(cosines)
    if n_small_angles:
        sines = remembered.singular_values(b - a @ cross)[::-1][:n_small_angles]
        radians[:n_small_angles] = np.arcsin(np.minimum(sines, 1.0))
        cosines[:n_small_angles] = np.cos(radians[:n_small_angles])
    degrees = asarray_like(np.degrees(radians), like)
    return PrincipalAngles(degrees=degrees, cosines=asarray_like(cosines, like), bases=bases)


def orthonormal(columns: Array, /) -> Array:
    """Return orthonormal columns with the span of the given ones.

    Parameters
    ----------
    columns : array of shape (d, p)
        Linearly independent columns, p <= d.

    Returns
    -------
    array of shape (d, p)
        Orthonormal columns in Gram-Schmidt order and with Gram-Schmidt signs.

    Raises
    ------
    InputError
        If the columns are linearly dependent.

    Examples
    --------
    >>> import numpy as np
    >>> orthonormal(np.array([[3.0], [4.0]])).round(9).tolist()
    [[0.6], [0.8]]
    """
    matrix = _matrix(columns)
    spectrum = np.linalg.svd(matrix, compute_uv=False)
    rank = int(np.sum(spectrum > spectrum[0] * max(matrix.shape) * np.finfo(float).eps))
    if rank < matrix.shape[1]:
        raise InputError(
            f"columns of shape {matrix.shape} have rank {rank}, expected linearly independent columns, such as the "
            "leading left singular vectors"
        )
    return asarray_like(_gram_schmidt(matrix), columns)


def principal_vectors(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return principal vectors of A (d, m) and of B (d, m), angles ascending."""
    A, B = pair
    U, cosines, Wt = remembered.svd(A.T @ B, full_matrices=False)
    a, b = A @ U, B @ Wt.T
    is_small_angle = cosines**2 >= 0.5
    if is_small_angle.any():
        # Cosines that are equal to rounding still have different sines, which separate the small angles.
        residual = b[:, is_small_angle] - A @ (A.T @ b[:, is_small_angle])
        Vt = remembered.svd(residual, full_matrices=False)[2]
        b[:, is_small_angle] = b[:, is_small_angle] @ Vt[::-1].T
        a[:, is_small_angle] = _gram_schmidt(A @ (A.T @ b[:, is_small_angle]))
    return a, b


def _gram_schmidt(columns: np.ndarray) -> np.ndarray:
    """Return the Q of a QR factorisation whose R has a positive diagonal."""
    q, r = np.linalg.qr(columns)
    return q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0)


def _matrix(columns: Array) -> np.ndarray:
    """Return checked float64 columns."""
    matrix = to_numpy(columns).astype(np.float64)
    if matrix.ndim != 2 or not 1 <= matrix.shape[1] <= matrix.shape[0] or not np.all(np.isfinite(matrix)):
        raise InputError(
            f"columns of shape {matrix.shape}, expected a finite array (d, p) with 1 <= p <= d, one column for each "
            "direction"
        )
    return matrix


def orthonormal_pair(A: Array, B: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return both bases in float64, after a check that they are orthonormal and lie in one space."""
    out = []
    for name, columns in (("A", A), ("B", B)):
        matrix = _matrix(columns)
        error = float(np.max(np.abs(matrix.T @ matrix - np.eye(matrix.shape[1]))))
        if error > 1e-4:
            raise InputError(
                f"the columns of {name} are not orthonormal (largest error {error:.1e}); pass them through "
                "isthmus.linalg.orthonormal first"
            )
        # Columns that are orthonormal only to single precision are made so to double precision.
        out.append(_gram_schmidt(matrix) if error > 1e-14 else matrix)
    if out[0].shape[0] != out[1].shape[0]:
        raise InputError(
            f"subspaces of R^{out[0].shape[0]} and of R^{out[1].shape[0]}, expected both in the same space"
        )
    return out[0], out[1]
