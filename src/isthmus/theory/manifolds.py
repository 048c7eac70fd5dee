"""The sets on which pairs of unit vectors may move, and how to take steps inside them.

Every manifold has four methods. `embed` returns the vectors (n, dim) of both modalities, and `pullback` carries a
gradient back to the coordinates. `tangent` projects a vector onto the tangent space, and `retract` maps a step back
onto the manifold. The method is that of Absil, Mahony and Sepulchre (2008), Optimization Algorithms on Matrix
Manifolds.
"""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat

from isthmus.compute.arrays import Array, namespace, unit_rows

Point = tuple[Array, ...]

#: Largest number of Newton steps that bring a mean back to its prescribed length. Two or three are used.
_MAX_CORRECTIONS = 30


@dataclass(frozen=True, eq=False)
class RowManifold:
    """Rows of one modality: x_i = offset + radius * basis u_i with unit coordinates u_i in R^k.

    Parameters
    ----------
    basis : array of shape (dim, k), optional
        Orthonormal columns. None stands for the identity.
    offset : array of shape (dim,), optional
        Constant vector, orthogonal to the basis.
    radius : float, default 1.0
        Length of the part inside the basis.
    resultant : float, optional
        Length of the mean of the u_i.
    centre : array of shape (k,), optional
        Unit vector: direction of the mean of the u_i.
    """

    basis: Array | None = None
    offset: Array | None = None
    radius: float = 1.0
    resultant: float | None = None
    centre: Array | None = None

    def embed(self, U: Array) -> Array:
        """Return the rows (n, dim) of the coordinates `U` (n, k)."""
        X = U if self.basis is None else U @ namespace(U).matrix_transpose(self.basis)
        if self.radius != 1.0:
            X = self.radius * X
        return X if self.offset is None else X + self.offset

    def pullback(self, G: Array) -> Array:
        """Return the gradient (n, k) with respect to the coordinates, from that of the rows (n, dim)."""
        G = G if self.basis is None else G @ self.basis
        return G if self.radius == 1.0 else self.radius * G

    def tangent(self, U: Array, G: Array) -> Array:
        """Return the component of `G` (n, k) along the manifold at `U` (n, k)."""
        xp = namespace(U)
        G = G - xp.sum(U * G, axis=1, keepdims=True) * U
        if self.resultant is None:
            return G
        n, k = U.shape
        if self.centre is None:
            c = unit_rows(xp.mean(U, axis=0, keepdims=True))
            normal = c - (U @ xp.matrix_transpose(c)) * U
            return G - (xp.sum(G * normal) / xp.sum(normal * normal)) * normal
        gram = n * xp.eye(k, dtype=U.dtype, device=array_api_compat.device(U)) - xp.matrix_transpose(U) @ U
        shift = xp.matrix_transpose(xp.linalg.solve(gram, xp.sum(G, axis=0)[:, None]))
        return G - shift + (U @ xp.matrix_transpose(shift)) * U

    def retract(self, U: Array) -> Array:
        """Return unit rows close to `U` whose mean has the prescribed length and direction."""
        xp = namespace(U)
        U = unit_rows(U)
        if self.resultant is None:
            return U
        n, k = U.shape
        target = self.resultant
        exact = 100.0 * float(xp.finfo(U.dtype).eps)
        for _ in range(_MAX_CORRECTIONS):
            mean = xp.mean(U, axis=0, keepdims=True)
            if self.centre is None:
                length = float(xp.linalg.vector_norm(mean))
                c = mean / length
                error = target - length
                slack = float(xp.mean(1.0 - (U @ xp.matrix_transpose(c)) ** 2))
                shift = (error / max(slack, 0.05)) * c
            else:
                missing = target * self.centre[None, :] - mean
                error = float(xp.linalg.vector_norm(missing))
                gram = xp.eye(k, dtype=U.dtype, device=array_api_compat.device(U)) - xp.matrix_transpose(U) @ U / n
                shift = xp.matrix_transpose(xp.linalg.solve(gram, xp.matrix_transpose(missing)))
            if abs(error) < exact:
                break
            size = float(xp.linalg.vector_norm(shift))
            U = unit_rows(U + shift * min(1.0, 0.5 / size))
        return U


@dataclass(frozen=True, eq=False)
class FreePairs:
    """Rows of both modalities move, each on its own `RowManifold`. A point is (U, V)."""

    x: RowManifold
    y: RowManifold

    def embed(self, point: Point) -> tuple[Array, Array]:
        """Return the rows (n, dim) of both modalities."""
        return self.x.embed(point[0]), self.y.embed(point[1])

    def pullback(self, point: Point, gx: Array, gy: Array) -> Point:
        """Return the gradient with respect to the coordinates, from those of the rows."""
        return self.x.pullback(gx), self.y.pullback(gy)

    def tangent(self, point: Point, vector: Point) -> Point:
        """Return the component of `vector` along the manifold at `point`."""
        return self.x.tangent(point[0], vector[0]), self.y.tangent(point[1], vector[1])

    def retract(self, point: Point) -> Point:
        """Return a point of the manifold close to `point`."""
        return self.x.retract(point[0]), self.y.retract(point[1])


@dataclass(frozen=True, eq=False)
class RotatingCloud:
    """Two rigid clouds, of which only a rotation Q of the second moves: y_i = Q y0_i. A point is (Q,), (dim, dim)."""

    x0: Array
    y0: Array

    def embed(self, point: Point) -> tuple[Array, Array]:
        """Return the rows (n, dim) of both clouds."""
        return self.x0, self.y0 @ namespace(self.y0).matrix_transpose(point[0])

    def pullback(self, point: Point, gx: Array, gy: Array) -> Point:
        """Return the gradient with respect to Q, from those of the rows."""
        return (namespace(gy).matrix_transpose(gy) @ self.y0,)

    def tangent(self, point: Point, vector: Point) -> Point:
        """Return the component of `vector` along the rotations at `point`."""
        transpose = namespace(point[0]).matrix_transpose
        Q = point[0]
        inner = transpose(Q) @ vector[0]
        return (0.5 * Q @ (inner - transpose(inner)),)

    def retract(self, point: Point) -> Point:
        """Return the orthogonal matrix closest to `point`."""
        U, _, Vt = namespace(point[0]).linalg.svd(point[0], full_matrices=False)
        return (U @ Vt,)


Manifold = FreePairs | RotatingCloud
