"""From the name of a constraint and its numbers to a manifold, a starting point and a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, to_numpy
from isthmus.theory.constraints import FreePairs, Manifold, Point, RotatingCloud, Side
from isthmus.utils.errors import InputError

#: constraint -> what it means, in the order in which the theory needs them
CONSTRAINTS = {
    "none": "all pairs of unit vectors",
    "cone": "the mean of each side has a fixed length, or both sides are fixed clouds that can only turn",
    "subspace": "each side stays in its own subspace, with or without a fixed mean length",
    "affine": "each side has its own constant part, orthogonal to the shared space",
}
CENTRES = ("free", "shared", "orthogonal", "reversed")
PARTNERS = ("random", "near")

#: standard deviation of the noise between near partners, per coordinate of a standard normal cloud
_JITTER = 0.2

#: cosines above this belong to shared directions
_SHARED = 1.0 - 1e-12


@dataclass(frozen=True, eq=False)
class Frame:
    """Two subspaces: orthonormal bases (dim, k) whose columns come in principal pairs, the nearest first.

    The first `shared` columns span the intersection C; pair j makes the angle `degrees[j]`.
    """

    x: np.ndarray
    y: np.ndarray
    degrees: np.ndarray

    @property
    def shared(self) -> int:
        return int(np.sum(np.cos(np.radians(self.degrees)) > _SHARED))

    @property
    def basis_of_shared(self) -> np.ndarray:
        return self.x[:, : self.shared]


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a run needs to know: where pairs may move, where they start, what bounds their loss."""

    manifold: Manifold
    start: Point
    frame: Frame | None
    shared: np.ndarray | None
    bound: float
    #: pressure * |x - P_A x|^2 is added to the loss of every pair (None: no such term)
    normals: tuple[Array, Array] | None = None


def hyperplanes(dim: int, angles: float | Sequence[float]) -> Frame:
    """Subspaces of R^dim with the given non-zero principal angles (degrees); all other directions are shared.

    One angle gives two hyperplanes; m angles give subspaces of dimension dim - m that share dim - 2m.

    Raises `InputError` if the angles are outside (0, 90] or 2 m > dim.

    >>> frame = hyperplanes(3, 60.0)
    >>> frame.x.shape, frame.shared, frame.degrees.round(9).tolist()
    ((3, 2), 1, [0.0, 60.0])
    """
    values = np.sort(np.atleast_1d(np.asarray(angles, dtype=np.float64)))
    m = len(values)
    if m == 0 or not np.all((values > 0.0) & (values <= 90.0)):
        raise InputError(f"angle={values.tolist()} came: give angles above 0 and up to 90 degrees.")
    if 2 * m > dim:
        raise InputError(f"{m} non-zero principal angles came for dim={dim}: they need at least dim={2 * m}.")
    eye = np.eye(dim)
    common = eye[:, : dim - 2 * m]
    middle, across = eye[:, dim - 2 * m : dim - m], eye[:, dim - m :]
    half = np.radians(values) / 2.0
    x = np.concatenate([common, middle * np.cos(half) + across * np.sin(half)], axis=1)
    y = np.concatenate([common, middle * np.cos(half) - across * np.sin(half)], axis=1)
    return Frame(x=x, y=y, degrees=np.concatenate([np.zeros(dim - 2 * m), values]))


def frame_of(A: Array, B: Array) -> Frame:
    """The `Frame` of two subspaces given by orthonormal columns `A` (dim, p) and `B` (dim, q)."""
    from isthmus.linalg.rotations import principal_angles

    a, b = to_numpy(A).astype(np.float64), to_numpy(B).astype(np.float64)
    pairs = principal_angles(a, b)
    return Frame(
        x=_completed(to_numpy(pairs.vectors_a), a),
        y=_completed(to_numpy(pairs.vectors_b), b),
        degrees=np.asarray(pairs.degrees, dtype=np.float64),
    )


def cloud_scene(
    dim: int, clouds: tuple[Array, Array], start: float | None, bound: float, rng: np.random.Generator
) -> Scene:
    """Rigid clouds: the second is first turned so that the means make the angle `start`."""
    x0, y0 = clouds
    turn = np.eye(dim)
    if start is not None:
        mx, my = to_numpy(x0).astype(np.float64).mean(axis=0), to_numpy(y0).astype(np.float64).mean(axis=0)
        turn = _turn(my / np.linalg.norm(my), mx / np.linalg.norm(mx), start, rng)
    return Scene(manifold=RotatingCloud(x0, y0), start=(asarray_like(turn, x0),), frame=None, shared=None, bound=bound)


def free_scene(
    frame: Frame | None,
    *,
    n: int,
    dim: int,
    bound: float,
    resultant: float | None,
    centres: str,
    start: float | None,
    partners: str,
    init: tuple[Array, Array] | None,
    reference: Array,
    soft: bool,
    rng: np.random.Generator,
) -> Scene:
    """Pairs that move one by one, in the whole space (`frame` None) or in two subspaces, as arrays like `reference`
    (like `init` where given)."""
    wide = frame is None or soft
    bases = (np.eye(dim), np.eye(dim)) if frame is None else (frame.x, frame.y)
    reference = reference if init is None else init[0]
    fixed: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if centres != "free":
        assert frame is not None
        index = 0 if centres == "shared" else len(frame.degrees) - 1
        sign = -1.0 if centres == "reversed" else 1.0
        fixed = (_unit(bases[0].shape[1], index), sign * _unit(bases[1].shape[1], index))
    sides = tuple(
        Side(
            basis=None if wide else asarray_like(basis, reference),
            resultant=resultant,
            centre=None if centre is None else asarray_like(centre, reference),
        )
        for basis, centre in zip(bases, fixed, strict=True)
    )
    if init is not None:
        point = tuple(X if wide else X @ side.basis for X, side in zip(init, sides, strict=True))
    else:
        directions = fixed if centres != "free" else _starting_centres(frame, dim, start, rng)
        widths = [basis.shape[1] for basis in bases]
        coordinates = [
            _centred(rows, direction, resultant)
            for rows, direction in zip(_rows(n, widths, partners, rng), directions, strict=True)
        ]
        if soft:
            coordinates = [u @ basis.T for u, basis in zip(coordinates, bases, strict=True)]
        point = tuple(asarray_like(rows, reference) for rows in coordinates)
    normals = None
    if soft:
        assert frame is not None
        normals = tuple(asarray_like(_complement(basis), reference) for basis in (frame.x, frame.y))
    return Scene(
        manifold=FreePairs(*sides),
        start=point,
        frame=frame,
        shared=None if frame is None else frame.basis_of_shared,
        bound=bound,
        normals=normals,
    )


def affine_scene(
    *,
    n: int,
    dim: int,
    angle: float,
    radius: float,
    bound: float,
    partners: str,
    init: tuple[Array, Array] | None,
    rng: np.random.Generator,
) -> Scene:
    """x = sqrt(1 - r^2) a + r u and y = sqrt(1 - r^2) b + r v with u, v in C, a and b orthogonal to C."""
    eye, half = np.eye(dim), math.radians(angle) / 2.0
    common = eye[:, : dim - 2]
    length = math.sqrt(1.0 - radius**2)
    middle, across = length * math.cos(half) * eye[:, -2], length * math.sin(half) * eye[:, -1]
    reference = np.empty(0) if init is None else init[0]
    sides = tuple(
        Side(
            basis=asarray_like(common, reference), offset=asarray_like(middle + sign * across, reference), radius=radius
        )
        for sign in (1.0, -1.0)
    )
    if init is None:
        point = tuple(_rows(n, [dim - 2, dim - 2], partners, rng))
    else:
        point = tuple((X - side.offset) @ side.basis for X, side in zip(init, sides, strict=True))
    return Scene(manifold=FreePairs(*sides), start=point, frame=None, shared=common, bound=bound)


def _starting_centres(
    frame: Frame | None, dim: int, start: float | None, rng: np.random.Generator
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Unit coordinates of two centres at `start` degrees from each other (None: centres left to chance)."""
    if start is None:
        return None, None
    if frame is None:
        half = math.radians(start) / 2.0
        plane = np.linalg.qr(rng.normal(size=(dim, 2)))[0]
        return (
            plane[:, 0] * math.cos(half) + plane[:, 1] * math.sin(half),
            plane[:, 0] * math.cos(half) - plane[:, 1] * math.sin(half),
        )
    near, far = math.cos(math.radians(frame.degrees[0])), math.cos(math.radians(frame.degrees[-1]))
    cosine = math.cos(math.radians(start))
    sign = 1.0 if cosine >= far else -1.0
    # Both centres lean by the same amount from the nearest pair of directions towards the farthest.
    spread = sign * near - far
    share = 0.0 if abs(spread) < 1e-12 else (cosine - far) / spread
    if not -1e-9 <= share <= 1.0 + 1e-9:
        raise InputError(
            f"start={start:g} came: these subspaces allow {frame.degrees[0]:g} to {180 - frame.degrees[0]:g} degrees."
        )
    share = min(1.0, max(0.0, share))
    last = len(frame.degrees) - 1
    lean, rest = math.sqrt(share), math.sqrt(1.0 - share)
    out = []
    for basis, flip in ((frame.x, 1.0), (frame.y, sign)):
        k = basis.shape[1]
        out.append(flip * lean * _unit(k, 0) + rest * _unit(k, last))
    return out[0], out[1]


def _rows(n: int, widths: list[int], partners: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Random unit rows (n, k) for both sides; "near": y starts where x does, but for a little noise."""
    first = rng.normal(size=(n, max(widths)))
    second = rng.normal(size=first.shape)
    if partners == "near":
        second = first + _JITTER * second
    rows = [values[:, :k] for values, k in zip((first, second), widths, strict=True)]
    return [values / np.linalg.norm(values, axis=1, keepdims=True) for values in rows]


def _centred(rows: np.ndarray, direction: np.ndarray | None, resultant: float | None) -> np.ndarray:
    """Unit rows moved so that their mean points along `direction` (None: left as they are)."""
    if direction is None:
        return rows
    return Side(resultant=0.5 if resultant is None else resultant, centre=direction).retract(rows)


def _turn(source: np.ndarray, target: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """A rotation (dim, dim) that takes `source` to a direction at `degrees` from `target`."""
    aside = rng.normal(size=len(target))
    aside -= (aside @ target) * target
    aside /= np.linalg.norm(aside)
    angle = math.radians(degrees)
    goal = math.cos(angle) * target + math.sin(angle) * aside
    turn = np.eye(len(target))
    # Two reflections: source to aside's mirror and on to the goal; both vectors are unit.
    for u in (source - aside, aside - goal):
        length = float(np.linalg.norm(u))
        if length > 1e-12:
            u = u / length
            turn = turn - 2.0 * np.outer(u, u @ turn)
    return turn


def _unit(k: int, index: int) -> np.ndarray:
    out = np.zeros(k)
    out[index] = 1.0
    return out


def _completed(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """`columns` followed by the directions of span(`basis`) that they leave out."""
    missing = basis.shape[1] - columns.shape[1]
    if missing == 0:
        return columns
    inside = np.linalg.svd(basis.T @ columns, full_matrices=True)[0][:, columns.shape[1] :]
    return np.concatenate([columns, basis @ inside], axis=1)


def _complement(basis: np.ndarray) -> np.ndarray:
    return np.linalg.svd(basis, full_matrices=True)[0][:, basis.shape[1] :]
