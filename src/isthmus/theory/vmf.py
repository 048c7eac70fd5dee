"""The von Mises-Fisher distribution on the unit sphere, right in every dimension from 2 to 4096.

Density exp(kappa c.x) / (area E exp(kappa u.c)) with mean direction c and concentration kappa. Nothing here
forms a d x d matrix, overflows or underflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, to_numpy
from isthmus.linalg.bessel import bessel_ratio, inverse_bessel_ratio, log_sphere_mgf
from isthmus.utils.errors import InputError

#: how far the length of a row may be from 1: half precision passes, raw embeddings do not
_UNIT = 5e-3


@dataclass(frozen=True, eq=False)
class VonMisesFisher:
    """von Mises-Fisher distribution with mean direction `mean` (d,), a unit vector, and concentration
    `kappa` in [0, 1e6].

    kappa = 0 is the uniform distribution. Source: Mardia and Jupp (2000), Directional Statistics, sections
    9.3 and 10.3.

    Raises `InputError` for a mean that is not a unit vector, d outside 2..4096 and kappa outside its range.

    >>> import numpy as np
    >>> model = VonMisesFisher(np.array([0.0, 0.0, 1.0]), 5.0)
    >>> round(model.entropy(), 6)
    1.22794
    """

    mean: np.ndarray
    kappa: float

    def __post_init__(self) -> None:
        mean = to_numpy(self.mean).astype(np.float64)
        norm = float(np.linalg.norm(mean))
        if mean.ndim != 1 or not 2 <= mean.size <= 4096 or not abs(norm - 1.0) <= _UNIT:
            raise InputError(
                f"a mean of shape {mean.shape} and length {norm:g} came: give a unit vector of 2 to 4096 entries."
            )
        if not 0.0 <= self.kappa <= 1e6:
            raise InputError(f"kappa = {self.kappa:g} came: give a concentration in [0, 1e6].")
        object.__setattr__(self, "mean", mean / norm)
        object.__setattr__(self, "kappa", float(self.kappa))

    @property
    def dim(self) -> int:
        """d, the dimension of the space around the sphere."""
        return self.mean.size

    @property
    def mean_length(self) -> float:
        """|E x| = I_{d/2}(kappa) / I_{d/2-1}(kappa), in [0, 1)."""
        return float(bessel_ratio(self.dim / 2 - 1, self.kappa))

    @classmethod
    def fit(cls, X: Array, /, *, debiased: bool = False) -> VonMisesFisher:
        """The maximum likelihood fit to unit rows `X` (n, d).

        The mean direction is that of the mean row, kappa solves I_{d/2}/I_{d/2-1} (kappa) = R, R its
        length. A mean of n rows is longer than the mean of their law: `debiased=True` takes sqrt(max(0, (n
        R^2 - 1) / (n - 1))) for R, which matters as soon as n kappa^2 is not large against d^2. Source:
        Banerjee, Dhillon, Ghosh and Sra (2005), with Newton's iteration to the end.

        Raises `InputError` for fewer than two rows, rows that are not unit vectors, and rows all (but) equal.

        >>> import numpy as np
        >>> turn = np.radians([-60.0, 0.0, 60.0])
        >>> model = VonMisesFisher.fit(np.stack([np.cos(turn), np.sin(turn)], axis=1))
        >>> model.mean.tolist(), round(model.mean_length, 9)
        ([1.0, 0.0], 0.666666667)
        """
        rows = unit_rows_or_error(X)
        if len(rows) < 2:
            raise InputError(f"{len(rows)} row came: give at least two, one row says nothing about concentration.")
        return cls.fit_mean(rows.mean(axis=0), n=len(rows), debiased=debiased)

    @classmethod
    def fit_mean(cls, mean: Array, /, *, n: int, debiased: bool = False) -> VonMisesFisher:
        """`fit` from the mean row (d,) of `n` unit rows alone: it is all that the likelihood sees.

        A mean of exactly zero gives kappa = 0 and the first axis. Raises `InputError` as `fit` does.

        >>> VonMisesFisher.fit_mean([0.0, 0.05], n=101, debiased=True).kappa
        0.0
        """
        values = np.asarray(to_numpy(mean), dtype=np.float64)
        length = float(np.linalg.norm(values))
        if values.ndim != 1 or not length <= 1.0 + _UNIT or n < 2:
            raise InputError(
                f"a mean of shape {values.shape} and length {length:g} of n = {n} rows came: give the mean (d,) of at "
                "least two unit rows."
            )
        square = min(length, 1.0) ** 2
        if debiased:
            square = max(0.0, (n * square - 1.0) / (n - 1.0))
        direction = values / length if length > 0.0 else np.eye(1, values.size)[0]
        return cls(direction, inverse_bessel_ratio(values.size / 2 - 1, min(math.sqrt(square), np.nextafter(1, 0))))

    def log_prob(self, X: Array, /) -> Array:
        """Log density (n,) in nats of unit rows `X` (n, d) with respect to the area of the sphere.

        Raises `InputError` for rows that are not unit vectors of R^d.

        >>> import numpy as np
        >>> uniform = VonMisesFisher(np.array([1.0, 0.0]), 0.0)
        >>> bool(np.isclose(uniform.log_prob(np.array([[0.0, 1.0]]))[0], -np.log(2 * np.pi)))
        True
        """
        cosines = self.cosines(X)
        return asarray_like(self.kappa * cosines - self._log_normaliser(), X)

    def entropy(self) -> float:
        """-E log density, in nats; at most the log of the sphere's area, reached at kappa = 0."""
        return self._log_normaliser() - self.kappa * self.mean_length

    def sample(self, n: int, /, *, rng: int | np.random.Generator) -> np.ndarray:
        """`n` independent rows (n, d), float64.

        The cosine with the mean by Wood's rejection, the direction around it from a projected Gaussian: O(n
        d). Source: Wood (1994), Simulation of the von Mises Fisher distribution.

        Raises `InputError` for a negative n.

        >>> import numpy as np
        >>> model = VonMisesFisher(np.eye(512)[0], 300.0)
        >>> X = model.sample(2000, rng=0)
        >>> X.shape, bool(abs(X[:, 0].mean() - model.mean_length) < 0.01)
        ((2000, 512), True)
        """
        if n < 0:
            raise InputError(f"n = {n} came: give a number of rows of at least 0.")
        rng = np.random.default_rng(rng)
        below = self._sample_below_one(n, rng)
        X = rng.standard_normal((n, self.dim))
        X -= np.outer(X @ self.mean, self.mean)
        # sin^2 = (1 - w)(1 + w) from 1 - w: no digit is lost at high concentration.
        X *= (np.sqrt(below * (2.0 - below)) / np.linalg.norm(X, axis=1))[:, None]
        X += np.outer(1.0 - below, self.mean)
        return X

    def cosines(self, X: Array, /) -> np.ndarray:
        """c.x (n,) in float64 for unit rows `X` (n, d); `InputError` for any others."""
        rows = unit_rows_or_error(X)
        if rows.shape[1] != self.dim:
            raise InputError(f"rows of {rows.shape[1]} entries came to a law in R^{self.dim}: give (n, {self.dim}).")
        return np.clip(rows @ self.mean, -1.0, 1.0)

    def _log_normaliser(self) -> float:
        """log of the integral of exp(kappa c.x) over the sphere."""
        log_area = math.log(2.0) + 0.5 * self.dim * math.log(math.pi) - math.lgamma(0.5 * self.dim)
        return log_area + log_sphere_mgf(self.dim, self.kappa)

    def _sample_below_one(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """1 - c.x of `n` draws."""
        m = self.dim - 1.0
        b = m / (2.0 * self.kappa + math.hypot(2.0 * self.kappa, m))
        x0, rest = (1.0 - b) / (1.0 + b), 2.0 * b / (1.0 + b)
        peak = -self.kappa * rest + m * math.log(rest * (1.0 + x0))
        parts, missing = [np.empty(0)], n
        while missing > 0:
            size = int(1.6 * missing) + 16
            z = rng.beta(0.5 * m, 0.5 * m, size)
            below = 2.0 * b * z / (1.0 - (1.0 - b) * z)
            accept = -self.kappa * below + m * np.log(rest + x0 * below) - peak >= np.log1p(-rng.random(size))
            parts.append(below[accept][:missing])
            missing -= parts[-1].size
        return np.minimum(np.concatenate(parts), 2.0)


def unit_rows_or_error(X: Array, /) -> np.ndarray:
    """Rows (n, d) as float64, checked to be unit vectors (to 0.005) and rescaled to be exactly so."""
    rows = to_numpy(X).astype(np.float64)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 2:
        raise InputError(f"rows of shape {rows.shape} came: give unit rows (n, d) with d >= 2.")
    norms = np.linalg.norm(rows, axis=1)
    off = ~(np.abs(norms - 1.0) <= _UNIT)
    if off.any():
        row = int(np.argmax(off))
        raise InputError(
            f"row {row} has length {norms[row]:g}: give unit rows (isthmus.compute.arrays.unit_rows makes them)."
        )
    return rows / norms[:, None]
