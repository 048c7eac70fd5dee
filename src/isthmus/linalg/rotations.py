"""Principal angles between subspaces, and the smallest rotation that carries one subspace onto another.

A rotation is kept as two reflections, R = (2 M M' - I)(2 A A' - I): A spans the principal vectors of the
first subspace, M the midpoints between them and their targets. That form needs no angle, so it loses no
digits at any angle, and applying it to n rows costs O(n d k) for k principal vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, namespace, to_numpy
from isthmus.utils.errors import InputError

#: pairs of unit vectors as near as this count as equal: it is what rounding leaves between them
_STILL = 1e-14


@dataclass(frozen=True, eq=False)
class PrincipalAngles:
    """Principal angles and vectors of two subspaces; m = min(p, q) pairs, the smallest angle first.

    `degrees` (m,) ascending in [0, 90]; `cosines` (m,); `vectors_a` and `vectors_b` (d, m): column j of
    one makes angle j with column j of the other and is orthogonal to all the rest. The vectors are found
    when they are asked for: most questions are about angles.
    """

    degrees: Array
    cosines: Array
    bases: tuple[np.ndarray, np.ndarray]

    @cached_property
    def vectors_a(self) -> Array:
        return asarray_like(self._vectors[0], self.degrees)

    @cached_property
    def vectors_b(self) -> Array:
        return asarray_like(self._vectors[1], self.degrees)

    @cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        return _principal_vectors(self.bases)


@dataclass(frozen=True, eq=False)
class Rotation:
    """The rotation R = (2 S S' - I)(2 F F' - I) of R^d, F = `first` (d, k) and S = `second` (d, l), both
    orthonormal.

    >>> import numpy as np
    >>> quarter = plane_rotation(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> abs(quarter.apply(np.array([[1.0, 0.0], [0.0, 2.0]]))).round(9).tolist()
    [[0.0, 1.0], [2.0, 0.0]]
    """

    first: np.ndarray
    second: np.ndarray

    def apply(self, X: Array, /) -> Array:
        """R x for every row x of `X` (n, d), or for one vector (d,), in O(n d k); the array type that came
        goes out.

        Raises `InputError` if the rows do not have d columns.
        """
        xp = namespace(X)
        dim = self.first.shape[0]
        if X.ndim not in (1, 2) or X.shape[-1] != dim:
            raise InputError(f"an array of shape {tuple(X.shape)} came to a rotation of R^{dim}: give rows (n, {dim}).")
        k = self.first.shape[1]
        basis = np.concatenate([self.first, self.second], axis=1)
        # R = I + G K G' with G = [F S].
        core = -2.0 * np.eye(basis.shape[1])
        core[k:, :k] = 4.0 * self.second.T @ self.first
        G = asarray_like(basis, X)
        X = xp.astype(X, G.dtype, copy=False)
        return X + ((X @ G) @ asarray_like(np.ascontiguousarray(core.T), G)) @ xp.matrix_transpose(G)

    def matrix(self) -> np.ndarray:
        """R as a (d, d) float64 NumPy array, for small d: `apply` never needs it."""
        return np.ascontiguousarray(self.apply(np.eye(self.first.shape[0])).T)

    def inverse(self) -> Rotation:
        """The rotation that undoes this one (the transpose)."""
        return Rotation(first=self.second, second=self.first)

    def norm(self) -> float:
        """|R - I|_F, the distance from doing nothing: sqrt(8 sum_j sin^2(theta_j / 2)) for rotation angles
        theta_j.
        """
        few, many = sorted((self.first, self.second), key=lambda basis: basis.shape[1])
        residual = few - many @ (many.T @ few)
        return float(np.sqrt(8.0 * np.sum(residual**2) + 4.0 * (many.shape[1] - few.shape[1])))


def orthonormal(columns: Array, /) -> Array:
    """Orthonormal columns (d, p) with the span of `columns` (d, p), Gram-Schmidt order and signs kept.

    Raises `InputError` if the columns are linearly dependent.

    >>> import numpy as np
    >>> orthonormal(np.array([[3.0], [4.0]])).round(9).tolist()
    [[0.6], [0.8]]
    """
    values = _matrix(columns)
    spectrum = np.linalg.svd(values, compute_uv=False)
    rank = int(np.sum(spectrum > spectrum[0] * max(values.shape) * np.finfo(float).eps))
    if rank < values.shape[1]:
        raise InputError(
            f"columns of shape {values.shape} have rank {rank}: give linearly independent columns "
            "(for instance the leading left singular vectors)."
        )
    return asarray_like(_gram_schmidt(values), columns)


def principal_angles(A: Array, B: Array, /) -> PrincipalAngles:
    """Principal angles between span(A) and span(B), `A` (d, p) and `B` (d, q) with orthonormal columns.

    cos theta_j are the singular values of A'B; angles below 45 degrees are taken from their sines, the
    singular values of (I - A A') B, so every angle is right to about 1e-14 degrees. Source: Bjorck and
    Golub (1973), Numerical methods for computing angles between linear subspaces.

    Raises `InputError` if the columns are not orthonormal or live in different dimensions.

    >>> import numpy as np
    >>> e1, e2, e3 = np.eye(3)
    >>> tilted = np.cos(np.pi / 6) * e2 + np.sin(np.pi / 6) * e3
    >>> angles = principal_angles(np.stack([e1, e2], axis=1), np.stack([tilted, e1], axis=1))
    >>> angles.degrees.round(9).tolist()
    [0.0, 30.0]
    """
    bases = a, b = _orthonormal_pair(A, B)
    cross = a.T @ b
    cosines = np.minimum(np.linalg.svd(cross, compute_uv=False), 1.0)
    small = int(np.sum(cosines**2 >= 0.5))
    radians = np.arccos(cosines)
    if small:
        sines = np.linalg.svd(b - a @ cross, compute_uv=False)[::-1][:small]
        radians[:small] = np.arcsin(np.minimum(sines, 1.0))
        cosines[:small] = np.cos(radians[:small])
    return PrincipalAngles(degrees=asarray_like(np.degrees(radians), A), cosines=asarray_like(cosines, A), bases=bases)


def plane_rotation(u: Array, v: Array, /) -> Rotation:
    """The rotation that takes the direction of `u` (d,) to the direction of `v` (d,), identity on their
    complement.

    R = I + K + K^2 / (1 + u.v), K = v u' - u v', for unit u and v. If v = -u every plane that holds u
    would do: the one chosen also holds the coordinate axis most nearly orthogonal to u (the first such
    axis).

    Raises `InputError` for a zero vector, for different lengths, and for antipodal vectors when d = 1.

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
                f"a vector of shape {values.shape} and norm {norm:g} came: give finite non-zero vectors (d,)."
            )
        pair.append((values / norm)[:, None])
    if pair[0].shape != pair[1].shape:
        raise InputError(
            f"vectors of {pair[0].shape[0]} and {pair[1].shape[0]} entries came: give two of the same length."
        )
    return _rotation_onto(pair[0], pair[1])


def minimal_rotation(A: Array, B: Array, /, *, signs: Sequence[int] | np.ndarray | None = None) -> Rotation:
    """The rotation nearest to the identity that carries span(A) into span(B), `A` (d, p), `B` (d, q)
    orthonormal.

    For p <= q it maps span(A) into span(B) (onto it if p = q); for p > q it maps the q principal vectors
    of A, so that span(B) lies in the image of span(A). With principal pairs (a_j, b_j) it takes a_j to
    `signs[j]` b_j (ordered by `principal_angles`; default all +1, which is the minimum) and is the
    identity on the complement of both subspaces. |R - I|_F = sqrt(8 sum_j sin^2(theta_j / 2)).

    Subspaces know nothing of the sign of a mean: the nearest rotation can turn a mean away from its
    partner. Give `signs` to rotate a pair the other way round (theta_j becomes 180 - theta_j degrees).

    Raises `InputError` for columns that are not orthonormal, for signs other than +1 and -1, and if an odd
    number of exactly shared directions is to be flipped where no other direction is free.

    >>> import numpy as np
    >>> e1, e2, e3 = np.eye(3)
    >>> turn = minimal_rotation(e1[:, None], np.stack([e2, e3], axis=1))
    >>> bool(abs(turn.apply(e1[None, :])[0, 0]) < 1e-15), round(turn.norm(), 9)
    (True, 2.0)
    """
    a, b = _principal_vectors(_orthonormal_pair(A, B))
    if signs is not None:
        chosen = np.asarray(to_numpy(signs) if not isinstance(signs, Sequence) else signs, dtype=np.float64)
        if chosen.shape != (a.shape[1],) or not np.all(np.abs(chosen) == 1.0):
            raise InputError(f"signs {chosen.tolist()} came: give {a.shape[1]} of +1 or -1, one per pair.")
        b = b * chosen
    return _rotation_onto(a, b)


def _rotation_onto(a: np.ndarray, c: np.ndarray) -> Rotation:
    """The rotation a_j -> c_j within the planes span(a_j, c_j), which must be orthogonal to each other."""
    midpoints = a + c
    lengths = np.linalg.norm(midpoints, axis=0)
    near = lengths >= 1.0
    if near.all():
        # Directions that stay where they are can be left out: hyperplanes then cost as little as a plane rotation.
        moved = np.linalg.norm(a - c, axis=0) > _STILL
        return Rotation(first=a[:, moved], second=np.linalg.qr(midpoints[:, moved])[0])
    mid = np.linalg.qr(midpoints[:, near])[0]
    # Beyond 120 degrees the midpoint cancels: build it from the direction of the plane that is orthogonal
    # to a_j. Wide planes come first, because what is left of a narrow one is only as good as its sine.
    frame = a
    antipodal = 0
    spread = np.linalg.norm(a - c, axis=0)
    for j in np.argsort(-lengths * spread, kind="stable"):
        frame, found = _extend(frame, c[:, j])
        if near[j]:
            continue
        if found:
            middle = 0.5 * (lengths[j] * a[:, j] + spread[j] * frame[:, -1])
            mid = np.concatenate([mid, middle[:, None]], axis=1)
        else:
            antipodal += 1
    if antipodal % 2:
        # Two exact flips make a half turn together; an odd one needs a free direction to turn through.
        free = 1.0 - np.sum(frame**2, axis=1)
        axis = int(np.argmax(free > free.max() - 1e-12))
        frame, found = _extend(frame, np.eye(a.shape[0])[axis], floor=1e-4)
        if not found:
            raise InputError(
                f"an odd number of shared directions is to be flipped in R^{a.shape[0]} with no free "
                "direction left: no rotation does that, change one of the signs."
            )
        mid = np.concatenate([mid, frame[:, [-1]]], axis=1)
    return Rotation(first=a, second=np.linalg.qr(mid)[0])


def _extend(frame: np.ndarray, vector: np.ndarray, floor: float = 1e-14) -> tuple[np.ndarray, bool]:
    """`frame` plus the direction of `vector` orthogonal to it, and whether that part was longer than
    `floor`.
    """
    rest = vector - frame @ (frame.T @ vector)
    norm = np.linalg.norm(rest)
    if norm <= floor:
        return frame, False
    for _ in range(2):
        rest = rest / np.linalg.norm(rest)
        rest = rest - frame @ (frame.T @ rest)
    return np.concatenate([frame, (rest / np.linalg.norm(rest))[:, None]], axis=1), True


def _principal_vectors(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Principal vectors of A (d, m) and of B (d, m), angles ascending."""
    A, B = pair
    U, cosines, Wt = np.linalg.svd(A.T @ B, full_matrices=False)
    a, b = A @ U, B @ Wt.T
    small = cosines**2 >= 0.5
    if small.any():
        # Equal cosines to rounding still have different sines: separate the small angles by them.
        residual = b[:, small] - A @ (A.T @ b[:, small])
        Vt = np.linalg.svd(residual, full_matrices=False)[2]
        b[:, small] = b[:, small] @ Vt[::-1].T
        a[:, small] = _gram_schmidt(A @ (A.T @ b[:, small]))
    return a, b


def _gram_schmidt(columns: np.ndarray) -> np.ndarray:
    """The Q of a QR factorisation whose R has a positive diagonal."""
    q, r = np.linalg.qr(columns)
    return q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0)


def _matrix(columns: Array) -> np.ndarray:
    values = to_numpy(columns).astype(np.float64)
    if values.ndim != 2 or not 1 <= values.shape[1] <= values.shape[0] or not np.all(np.isfinite(values)):
        raise InputError(
            f"columns of shape {values.shape} came: give a finite array (d, p) with 1 <= p <= d, "
            "one column per direction."
        )
    return values


def _orthonormal_pair(A: Array, B: Array) -> tuple[np.ndarray, np.ndarray]:
    out = []
    for name, columns in (("A", A), ("B", B)):
        values = _matrix(columns)
        error = float(np.max(np.abs(values.T @ values - np.eye(values.shape[1]))))
        if error > 1e-4:
            raise InputError(
                f"the columns of {name} are not orthonormal (largest error {error:.1e}): pass them through "
                "isthmus.linalg.orthonormal first."
            )
        # Columns that are orthonormal only to single precision are made so to double precision.
        out.append(_gram_schmidt(values) if error > 1e-14 else values)
    if out[0].shape[0] != out[1].shape[0]:
        raise InputError(
            f"subspaces of R^{out[0].shape[0]} and of R^{out[1].shape[0]} came: give both in the same space."
        )
    return out[0], out[1]
