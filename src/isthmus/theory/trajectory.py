"""Measures of one arrangement of pairs, and their course during an optimisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from isthmus.compute.arrays import Array, to_numpy
from isthmus.statistics.intervals import satterthwaite_p_value
from isthmus.theory._arguments import matching_rows
from isthmus.utils.errors import InputError

#: Level at which both means must differ from zero before an angle between them is reported.
SIGNIFICANCE = 0.01


@dataclass(frozen=True)
class State:
    """Measures of one arrangement of pairs: angles in degrees, lengths in [0, 1].

    Parameters
    ----------
    gap : float
        Angle between the two means, NaN where undefined.
    floor : float
        Angle that sampling noise alone shows between two clouds of these spreads whose true means agree in direction.
    resultant_x : float
        Length of the mean of x.
    resultant_y : float
        Length of the mean of y.
    cosine : float
        Mean cosine of matching pairs.
    mismatch : float
        Root mean square of |P_C x - P_C y|, NaN without a shared space C.
    isometry : float
        Root mean square of x.c_x - y.c_y, with c_x and c_y the normalised means.
    shared_x : float
        Length of the projection of c_x on C.
    shared_y : float
        Length of the projection of c_y on C.
    reason : str
        Why the gap is undefined, or "".

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 0.0], [0.8, 0.6]])
    >>> round(measure_state(rows, rows).cosine, 9)
    1.0
    """

    gap: float
    floor: float
    resultant_x: float
    resultant_y: float
    cosine: float
    mismatch: float
    isometry: float
    shared_x: float
    shared_y: float
    reason: str


def measure_state(X: Array, Y: Array, /, *, shared: np.ndarray | None = None) -> State:
    """Measure gap, means and agreement of an arrangement of pairs.

    Parameters
    ----------
    X : array of shape (n, dim)
        Unit rows.
    Y : array of shape (n, dim)
        Unit rows. Row i matches row i of `X`.
    shared : ndarray of shape (dim, k), optional
        Orthonormal basis of the shared space C.

    Returns
    -------
    State
        The measures.

    Raises
    ------
    InputError
        If the shapes differ, or a value is NaN or infinite.

    Notes
    -----
    The gap is defined if both means differ from zero at the level of 1 %. The test compares n |mean|^2 / g with
    chi-square of f degrees of freedom, g = tr(S^2)/tr(S), f = tr(S)/g, S the covariance (Satterthwaite's
    approximation).

    References
    ----------
    .. [1] Satterthwaite (1946), An approximate distribution of estimates of variance components.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> state = measure_state(square, square)
    >>> state.gap, state.cosine
    (nan, 1.0)
    >>> state.reason
    'the mean of x (length 0.0e+00) is not distinguishable from zero'
    """
    x, y = (to_numpy(rows).astype(np.float64, copy=False) for rows in matching_rows(X, Y))
    n = len(x)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("the rows have NaN or infinite values; leave these pairs out")
    means = x.mean(axis=0), y.mean(axis=0)
    lengths = [float(np.linalg.norm(mean)) for mean in means]
    covariances = [rows.T @ rows / n - np.outer(mean, mean) for rows, mean in zip((x, y), means, strict=True)]
    spreads = [max(0.0, 1.0 - length**2) for length in lengths]
    reason = ""
    for name, length, covariance in zip("xy", lengths, covariances, strict=True):
        if not _is_real(n, length, covariance):
            reason = f"the mean of {name} (length {length:.1e}) is not distinguishable from zero"
            break
    centres = [mean / length if length > 0.0 else mean for mean, length in zip(means, lengths, strict=True)]
    with np.errstate(divide="ignore"):
        noise = sum(np.float64(s) / np.float64(n * r * r) for s, r in zip(spreads, lengths, strict=True))
    shared_lengths = [float("nan")] * 2
    mismatch = float("nan")
    if shared is not None and shared.shape[1]:
        mismatch = float(np.sqrt(np.mean(np.sum(((x - y) @ shared) ** 2, axis=1))))
        shared_lengths = [float(np.linalg.norm(c @ shared)) for c in centres]
    return State(
        gap=float("nan") if reason else _angle(centres[0], centres[1]),
        floor=min(180.0, float(np.degrees(math.sqrt(noise)))),
        resultant_x=lengths[0],
        resultant_y=lengths[1],
        cosine=float(np.mean(np.sum(x * y, axis=1))),
        mismatch=mismatch,
        isometry=float(np.sqrt(np.mean((x @ centres[0] - y @ centres[1]) ** 2))),
        shared_x=shared_lengths[0],
        shared_y=shared_lengths[1],
        reason=reason,
    )


@dataclass(frozen=True)
class Trajectory:
    """The course of a run. Every field of `State` is also an array (k,) of the trajectory.

    Parameters
    ----------
    steps : ndarray of shape (k,)
        Recorded steps.
    loss : ndarray of shape (k,)
        Loss with both directions summed, in nats.
    excess : ndarray of shape (k,)
        Loss minus bound, in nats.
    states : tuple of State
        Measures of each recorded step.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> import numpy as np
    >>> state = measure_state(np.eye(2), np.eye(2))
    >>> Trajectory(np.array([0]), np.array([1.0]), np.array([0.1]), (state,)).cosine.tolist()
    [1.0]
    """

    steps: np.ndarray
    loss: np.ndarray
    excess: np.ndarray
    states: tuple[State, ...]

    @cached_property
    def gap(self) -> np.ndarray:
        """Gap angle (k,), degrees, NaN where undefined."""
        return self._column("gap")

    @cached_property
    def floor(self) -> np.ndarray:
        """Noise floor of the gap angle (k,), degrees."""
        return self._column("floor")

    @cached_property
    def resultant_x(self) -> np.ndarray:
        """Length of the mean of x (k,)."""
        return self._column("resultant_x")

    @cached_property
    def resultant_y(self) -> np.ndarray:
        """Length of the mean of y (k,)."""
        return self._column("resultant_y")

    @cached_property
    def cosine(self) -> np.ndarray:
        """Mean cosine of matching pairs (k,)."""
        return self._column("cosine")

    @cached_property
    def mismatch(self) -> np.ndarray:
        """Root mean square of |P_C x - P_C y| (k,)."""
        return self._column("mismatch")

    @cached_property
    def isometry(self) -> np.ndarray:
        """Root mean square of x.c_x - y.c_y (k,)."""
        return self._column("isometry")

    @cached_property
    def shared_x(self) -> np.ndarray:
        """Length of the projection of c_x on the shared space (k,)."""
        return self._column("shared_x")

    @cached_property
    def shared_y(self) -> np.ndarray:
        """Length of the projection of c_y on the shared space (k,)."""
        return self._column("shared_y")

    def to_dict(self) -> dict[str, list[float | str | None]]:
        """Return lists of plain numbers, NaN as None.

        Returns
        -------
        dict of str to list
            Steps, loss, excess and every field of `State`.
        """
        out: dict[str, list[float | str | None]] = {
            "steps": [int(step) for step in self.steps],
            "loss": [float(value) for value in self.loss],
            "excess": [float(value) for value in self.excess],
        }
        for field in fields(State):
            values = [getattr(state, field.name) for state in self.states]
            out[field.name] = [None if isinstance(v, float) and math.isnan(v) else v for v in values]
        return out

    def _column(self, name: str) -> np.ndarray:
        return np.array([getattr(state, name) for state in self.states])


def _is_real(n: int, length: float, covariance: np.ndarray) -> bool:
    """Return True if a mean of this length differs from zero at the level `SIGNIFICANCE`."""
    if float(np.trace(covariance)) <= 1e-12:
        return length > 0.0
    return satterthwaite_p_value(n * length**2, covariance) < SIGNIFICANCE


def _angle(u: np.ndarray, v: np.ndarray) -> float:
    """Return the angle between unit vectors in degrees, exact close to 0 and 180."""
    return float(np.degrees(2.0 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))
