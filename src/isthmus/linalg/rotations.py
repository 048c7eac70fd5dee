"""The smallest rotation that carries one subspace onto another.

A rotation is stored as two reflections, R = (2 M M' - I)(2 A A' - I). A spans the principal vectors of the first
subspace, M the midpoints between them and their targets. This form contains no angle, so it loses no digits at any
angle. Its application to n rows costs O(n d k) for k principal vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, namespace, to_numpy
from isthmus.linalg.subspaces import orthonormal_pair, principal_vectors
from isthmus.utils.errors import InputError

#: Unit vectors closer than this count as equal, because rounding alone separates them.
_EQUAL = 1e-14


@dataclass(frozen=True, eq=False)
class Rotation:
    """The rotation R = (2 S S' - I)(2 F F' - I) of R^d.

    Parameters
    ----------
    first : ndarray of shape (d, k)
        Orthonormal columns F.
    second : ndarray of shape (d, l)
        Orthonormal columns S.

    Examples
    --------
    >>> import numpy as np
    >>> quarter = plane_rotation(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> abs(quarter.apply(np.array([[1.0, 0.0], [0.0, 2.0]]))).round(9).tolist()
    [[0.0, 1.0], [2.0, 0.0]]
    """

    first: np.ndarray
    second: np.ndarray

    def apply(self, X: Array, /) -> Array:
        """Return R x for every row x, in O(n d k).

        Parameters
        ----------
        X : array of shape (n, d) or (d,)
            Rows, or one vector, of any array library.

        Returns
        -------
        array of the shape and library of `X`
            Rotated rows.

        Raises
        ------
        InputError
            If the rows do not have d columns.
        """
        xp = namespace(X)
        dim = self.first.shape[0]
        if X.ndim not in (1, 2) or X.shape[-1] != dim:
            raise InputError(f"an array of shape {tuple(X.shape)} for a rotation of R^{dim}, expected rows (n, {dim})")
        k = self.first.shape[1]
        basis = np.concatenate([self.first, self.second], axis=1)
        # R = I + G K G' with G = [F S].
        core = -2.0 * np.eye(basis.shape[1])
        core[k:, :k] = 4.0 * self.second.T @ self.first
        G = asarray_like(basis, X)
        X = xp.astype(X, G.dtype, copy=False)
        return X + ((X @ G) @ asarray_like(np.ascontiguousarray(core.T), G)) @ xp.matrix_transpose(G)

    def matrix(self) -> np.ndarray:
        """Return R as a matrix, which `apply` never needs.

        Returns
        -------
        ndarray of shape (d, d)
            float64.
        """
        return np.ascontiguousarray(self.apply(np.eye(self.first.shape[0])).T)

    def inverse(self) -> Rotation:
        """Return the inverse rotation.

        Returns
        -------
        Rotation
            The transpose of R.
        """
        return Rotation(first=self.second, second=self.first)

    def norm(self) -> float:
        """Return the distance |R - I|_F from the identity.

        Returns
        -------
        float
            sqrt(8 sum_j sin^2(theta_j / 2)) for rotation angles theta_j.
        """
        small, large = sorted((self.first, self.second), key=lambda basis: basis.shape[1])
        residual = small - large @ (large.T @ small)
        return float(np.sqrt(8.0 * np.sum(residual**2) + 4.0 * (large.shape[1] - small.shape[1])))


def plane_rotation(u: Array, v: Array, /) -> Rotation:
    """Return the rotation that takes one direction to another and is the identity on their complement.

    Parameters
    ----------
    u : array of shape (d,)
        Source of any length.
    v : array of shape (d,)
        Target of any length.

    Returns
    -------
    Rotation
        R = I + K + K^2 / (1 + u.v) with K = v u' - u v', for unit u and v. If v = -u, it turns in the plane of u and
        the coordinate axis most nearly orthogonal to u (the first such axis).

    Raises
    ------
    InputError
        If a vector is zero, the lengths differ, or the vectors are antipodal and d = 1.

    Examples
    --------
    >>> import numpy as np
    >>> turn = plane_rotation(np.array([1.0, 0.0, 0.0]), np.array([0.0, 3.0, 0.0]))
    >>> abs(turn.apply(np.array([[2.0, 0.0, 5.0]]))).round(9).tolist()
    [[0.0, 2.0, 5.0]]
    """
    pair = []
    for vector in (u, v):
        values = to_numpy(vector).astype(np.float64)
        norm = float(np.linalg.norm(values))
        if values.ndim != 1 or not np.isfinite(norm) or norm == 0.0:
            raise InputError(
                f"a vector of shape {values.shape} and norm {norm:g}, expected finite non-zero vectors (d,)"
            )
        pair.append((values / norm)[:, None])
    if pair[0].shape != pair[1].shape:
        raise InputError(
            f"vectors of {pair[0].shape[0]} and {pair[1].shape[0]} entries, expected two of the same length"
        )
    return rotation_of_vectors(pair[0], pair[1])


def minimal_rotation(A: Array, B: Array, /, *, signs: Sequence[int] | np.ndarray | None = None) -> Rotation:
    """Return the rotation closest to the identity that carries one subspace into another.

    Parameters
    ----------
    A : array of shape (d, p)
        Orthonormal columns that span the first subspace.
    B : array of shape (d, q)
        Orthonormal columns that span the second subspace.
    signs : sequence of int, optional
        +1 or -1 for each principal pair, in the order of `principal_angles`. -1 rotates that pair to the opposite
        direction, by 180 - theta_j degrees. Default: all +1, which is the minimum.

    Returns
    -------
    Rotation
        If p <= q, it maps span(A) into span(B), and onto it if p = q. If p > q, it maps the q principal vectors of A,
        so that span(B) lies in the image of span(A).

    Raises
    ------
    InputError
        If columns are not orthonormal or a sign is neither +1 nor -1. Also if an odd number of exactly shared
        directions is to be flipped and no other direction is free.

    Notes
    -----
    With principal pairs (a_j, b_j) the rotation takes a_j to `signs[j]` b_j. It is the identity on the complement of
    both subspaces, and |R - I|_F = sqrt(8 sum_j sin^2(theta_j / 2)). Subspaces do not determine the sign of a mean: the
    minimal rotation can turn a mean away from the mean of the other modality. `signs` corrects that.

    Examples
    --------
    >>> import numpy as np
    >>> e1, e2, e3 = np.eye(3)
    >>> turn = minimal_rotation(e1[:, None], np.stack([e2, e3], axis=1))
    >>> bool(abs(turn.apply(e1[None, :])[0, 0]) < 1e-15), round(turn.norm(), 9)
    (True, 2.0)
    """
    a, b = principal_vectors(orthonormal_pair(A, B))
    if signs is not None:
        factors = np.asarray(to_numpy(signs) if not isinstance(signs, Sequence) else signs, dtype=np.float64)
        if factors.shape != (a.shape[1],) or not np.all(np.abs(factors) == 1.0):
            raise InputError(f"signs = {factors.tolist()}, expected {a.shape[1]} of +1 or -1, one for each pair")
        b = b * factors
    return rotation_of_vectors(a, b)


def rotation_of_vectors(a: np.ndarray, c: np.ndarray) -> Rotation:
    """Return the rotation a_j -> c_j within the planes span(a_j, c_j), which must be orthogonal to each other."""
    midpoints = a + c
    lengths = np.linalg.norm(midpoints, axis=0)
    acute = lengths >= 1.0  # up to 120 degrees
    if acute.all():
        # Fixed directions are left out, so that hyperplanes cost as little as a plane rotation.
        rotating = np.linalg.norm(a - c, axis=0) > _EQUAL
        return Rotation(first=a[:, rotating], second=np.linalg.qr(midpoints[:, rotating])[0])
    mid = np.linalg.qr(midpoints[:, acute])[0]
    # Beyond 120 degrees the midpoint cancels. It is then built from the direction of the plane that is orthogonal to
    # a_j. Wide planes come first, because the residual of a narrow plane is only as accurate as its sine.
    frame = a
    antipodal = 0
    spread = np.linalg.norm(a - c, axis=0)
    for j in np.argsort(-lengths * spread, kind="stable"):
        frame, extended = _extend(frame, c[:, j])
        if acute[j]:
            continue
        if extended:
            midpoint = 0.5 * (lengths[j] * a[:, j] + spread[j] * frame[:, -1])
            mid = np.concatenate([mid, midpoint[:, None]], axis=1)
        else:
            antipodal += 1
    if antipodal % 2:
        # Two exact flips together make a half turn. An odd flip needs a free direction to turn through.
        free = 1.0 - np.sum(frame**2, axis=1)
        axis = int(np.argmax(free > free.max() - 1e-12))
        frame, extended = _extend(frame, np.eye(a.shape[0])[axis], floor=1e-4)
        if not extended:
            raise InputError(
                "an odd number of directions that both modalities share would be reversed, and no rotation of "
                f"{a.shape[0]} dimensions does this where no direction is free; change one of the signs, or use "
                "Procrustes, which also reflects"
            )
        mid = np.concatenate([mid, frame[:, [-1]]], axis=1)
    return Rotation(first=a, second=np.linalg.qr(mid)[0])


def _extend(frame: np.ndarray, vector: np.ndarray, floor: float = 1e-14) -> tuple[np.ndarray, bool]:
    """Append the direction of `vector` orthogonal to `frame`, and return whether that part is longer than `floor`."""
    residual = vector - frame @ (frame.T @ vector)
    norm = np.linalg.norm(residual)
    if norm <= floor:
        return frame, False
    for _ in range(2):
        residual = residual / np.linalg.norm(residual)
        residual = residual - frame @ (frame.T @ residual)
    return np.concatenate([frame, (residual / np.linalg.norm(residual))[:, None]], axis=1), True
