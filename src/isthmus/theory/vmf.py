"""The von Mises-Fisher distribution on the unit sphere, accurate in every dimension from 2 to 4096.

The density is exp(kappa c.x) / (area E exp(kappa u.c)) with mean direction c and concentration kappa. No d x d matrix
is formed, and nothing overflows or underflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, to_numpy
from isthmus.linalg.bessel import bessel_ratio, inverse_bessel_ratio, log_sphere_mgf
from isthmus.theory._arguments import check_within
from isthmus.utils.arguments import check_count
from isthmus.utils.errors import InputError

#: Largest distance of the length of a row from 1. Half precision passes, raw embeddings do not.
_LENGTH_TOLERANCE = 5e-3


@dataclass(frozen=True, eq=False)
class VonMisesFisher:
    """The von Mises-Fisher distribution.

    Parameters
    ----------
    mean : array of shape (d,)
        Mean direction, a unit vector with 2 <= d <= 4096.
    kappa : float
        Concentration in [0, 1e6]. 0 is the uniform distribution.

    Raises
    ------
    InputError
        If the mean is not a unit vector, or d or kappa is out of range.

    References
    ----------
    .. [1] Mardia and Jupp (2000), Directional Statistics, sections 9.3 and 10.3.

    Examples
    --------
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
        if mean.ndim != 1 or not 2 <= mean.size <= 4096 or not abs(norm - 1.0) <= _LENGTH_TOLERANCE:
            raise InputError(
                f"a mean of shape {mean.shape} and length {norm:g}, expected a unit vector of 2 to 4096 entries"
            )
        check_within("kappa", self.kappa, 0.0, 1e6)
        object.__setattr__(self, "mean", mean / norm)
        object.__setattr__(self, "kappa", float(self.kappa))

    @property
    def dim(self) -> int:
        """Dimension d of the space around the sphere."""
        return self.mean.size

    @property
    def mean_length(self) -> float:
        """|E x| = I_{d/2}(kappa) / I_{d/2-1}(kappa), in [0, 1)."""
        return float(bessel_ratio(self.dim / 2 - 1, self.kappa))

    @classmethod
    def fit(cls, X: Array, /, *, debiased: bool = False) -> VonMisesFisher:
        """Fit the distribution to unit rows by maximum likelihood.

        Parameters
        ----------
        X : array of shape (n, d)
            Unit rows, at least two.
        debiased : bool, default False
            Correct the length of the mean for the number of rows. This matters as soon as n kappa^2 is not large
            against d^2.

        Returns
        -------
        VonMisesFisher
            The fit.

        Raises
        ------
        InputError
            If there are fewer than two rows, rows are not unit vectors, or all rows are (almost) equal.

        Notes
        -----
        The mean direction is that of the mean row. kappa solves I_{d/2}/I_{d/2-1} (kappa) = R, with R the length of the
        mean row. A mean of n rows is longer than the mean of their law: `debiased` replaces R by sqrt(max(0, (n R^2 -
        1) / (n - 1))).

        References
        ----------
        .. [1] Banerjee, Dhillon, Ghosh and Sra (2005), with Newton's iteration until convergence.

        Examples
        --------
        >>> import numpy as np
        >>> turn = np.radians([-60.0, 0.0, 60.0])
        >>> model = VonMisesFisher.fit(np.stack([np.cos(turn), np.sin(turn)], axis=1))
        >>> model.mean.tolist(), round(model.mean_length, 9)
        ([1.0, 0.0], 0.666666667)
        """
        rows = unit_rows_or_error(X)
        if len(rows) < 2:
            raise InputError(f"{len(rows)} row, expected at least two, because one row has no concentration")
        return cls.fit_mean(rows.mean(axis=0), n=len(rows), debiased=debiased)

    @classmethod
    def fit_mean(cls, mean: Array, /, *, n: int, debiased: bool = False) -> VonMisesFisher:
        """Fit the distribution from the mean row alone, which is a sufficient statistic.

        Parameters
        ----------
        mean : array of shape (d,)
            Mean of unit rows. A mean of exactly zero gives kappa = 0 and the first axis.
        n : int
            Number of rows, at least two.
        debiased : bool, default False
            Correct the length of the mean for the number of rows (see `fit`).

        Returns
        -------
        VonMisesFisher
            The fit.

        Raises
        ------
        InputError
            If the mean is longer than 1, or there are fewer than two rows.

        Examples
        --------
        >>> VonMisesFisher.fit_mean([0.0, 0.05], n=101, debiased=True).kappa
        0.0
        """
        values = np.asarray(to_numpy(mean), dtype=np.float64)
        length = float(np.linalg.norm(values))
        if values.ndim != 1 or not length <= 1.0 + _LENGTH_TOLERANCE or n < 2:
            raise InputError(
                f"a mean of shape {values.shape} and length {length:g} of n = {n} rows, expected the mean (d,) of at "
                "least two unit rows"
            )
        square = min(length, 1.0) ** 2
        if debiased:
            square = max(0.0, (n * square - 1.0) / (n - 1.0))
        direction = values / length if length > 0.0 else np.eye(1, values.size)[0]
        return cls(direction, inverse_bessel_ratio(values.size / 2 - 1, min(math.sqrt(square), np.nextafter(1, 0))))

    def log_prob(self, X: Array, /) -> Array:
        """Return the log density with respect to the area of the sphere.

        Parameters
        ----------
        X : array of shape (n, d)
            Unit rows.

        Returns
        -------
        array of shape (n,)
            Log densities in nats.

        Raises
        ------
        InputError
            If the rows are not unit vectors of R^d.

        Examples
        --------
        >>> import numpy as np
        >>> uniform = VonMisesFisher(np.array([1.0, 0.0]), 0.0)
        >>> bool(np.isclose(uniform.log_prob(np.array([[0.0, 1.0]]))[0], -np.log(2 * np.pi)))
        True
        """
        cosines = self.cosines(X)
        return asarray_like(self.kappa * cosines - self._log_normaliser(), X)

    def entropy(self) -> float:
        """Return the entropy.

        Returns
        -------
        float
            -E log density in nats. It is at most the log of the area of the sphere, which is reached at kappa = 0.
        """
        return self._log_normaliser() - self.kappa * self.mean_length

    def sample(self, n: int, /, *, rng: int | np.random.Generator) -> np.ndarray:
        """Draw independent rows, in O(n d).

        Parameters
        ----------
        n : int
            Number of rows, at least 0.
        rng : int or numpy.random.Generator
            Seed.

        Returns
        -------
        ndarray of shape (n, d)
            Unit rows, float64.

        Raises
        ------
        InputError
            If n is negative, or no whole number.

        Notes
        -----
        The cosine with the mean is drawn by Wood's rejection method, the direction around the mean from a projected
        Gaussian.

        References
        ----------
        .. [1] Wood (1994), Simulation of the von Mises Fisher distribution.

        Examples
        --------
        >>> import numpy as np
        >>> model = VonMisesFisher(np.eye(512)[0], 300.0)
        >>> X = model.sample(2000, rng=0)
        >>> X.shape, bool(abs(X[:, 0].mean() - model.mean_length) < 0.01)
        ((2000, 512), True)
        """
        n = check_count(n, "n", 0)
        rng = np.random.default_rng(rng)
        below = self._sample_below_one(n, rng)
        X = rng.standard_normal((n, self.dim))
        X -= np.outer(X @ self.mean, self.mean)
        # sin^2 = (1 - w)(1 + w) is computed from 1 - w, which loses no digit at high concentration.
        X *= (np.sqrt(below * (2.0 - below)) / np.linalg.norm(X, axis=1))[:, None]
        X += np.outer(1.0 - below, self.mean)
        return X

    def cosines(self, X: Array, /) -> np.ndarray:
        """Return the cosines of unit rows with the mean direction.

        Parameters
        ----------
        X : array of shape (n, d)
            Unit rows.

        Returns
        -------
        ndarray of shape (n,)
            c.x in float64.

        Raises
        ------
        InputError
            If the rows are not unit vectors of R^d.
        """
        rows = unit_rows_or_error(X)
        if rows.shape[1] != self.dim:
            raise InputError(f"rows of {rows.shape[1]} entries for a law in R^{self.dim}, expected (n, {self.dim})")
        return np.clip(rows @ self.mean, -1.0, 1.0)

    def _log_normaliser(self) -> float:
        """Return the log of the integral of exp(kappa c.x) over the sphere."""
        log_area = math.log(2.0) + 0.5 * self.dim * math.log(math.pi) - math.lgamma(0.5 * self.dim)
        return log_area + log_sphere_mgf(self.dim, self.kappa)

    def _sample_below_one(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return 1 - c.x of `n` draws."""
        m = self.dim - 1.0
        b = m / (2.0 * self.kappa + math.hypot(2.0 * self.kappa, m))
        # Wood's x0, and 1 - x0.
        x0, y0 = (1.0 - b) / (1.0 + b), 2.0 * b / (1.0 + b)
        peak = -self.kappa * y0 + m * math.log(y0 * (1.0 + x0))
        samples, missing = [np.empty(0)], n
        while missing > 0:
            size = int(1.6 * missing) + 16
            z = rng.beta(0.5 * m, 0.5 * m, size)
            below = 2.0 * b * z / (1.0 - (1.0 - b) * z)
            accept = -self.kappa * below + m * np.log(y0 + x0 * below) - peak >= np.log1p(-rng.random(size))
            samples.append(below[accept][:missing])
            missing -= samples[-1].size
        return np.minimum(np.concatenate(samples), 2.0)


def unit_rows_or_error(X: Array, /) -> np.ndarray:
    """Return rows (n, d) as float64 unit vectors, or raise `InputError` if a length differs from 1 by over 0.005."""
    rows = to_numpy(X).astype(np.float64)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 2:
        raise InputError(f"rows of shape {rows.shape}, expected unit rows (n, d) with d >= 2")
    norms = np.linalg.norm(rows, axis=1)
    invalid = ~(np.abs(norms - 1.0) <= _LENGTH_TOLERANCE)
    if invalid.any():
        row = int(np.argmax(invalid))
        raise InputError(f"row {row} has length {norms[row]:g}, expected unit rows; divide each row by its norm")
    return rows / norms[:, None]
