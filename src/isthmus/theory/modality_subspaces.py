"""The subspace of each modality, and whether the angle between the two subspaces is the angle of the gap.

The directions are those of the centred rows. An uncentred subspace contains the mean itself, so that its angle repeats
the gap on any two clouds. A modality has collapsed if its rows need clearly fewer dimensions than an isotropic cloud of
as many rows. It has a subspace if its spectrum also falls steeply where that ends. Angles have a sampling error, and
are compared with it.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.linalg.shared_directions import SubspacePair
from isthmus.linalg.significance import energy_rank, principal_directions, significant_rank
from isthmus.statistics.intervals import satterthwaite_p_value
from isthmus.statistics.mean_intervals import debiased_mean_cosine, gap_p_value, mean_product_noise
from isthmus.statistics.moments import Moments
from isthmus.theory.isotropic_ranks import largest_collapsed_rank
from isthmus.utils.format import counted, too_few

#: Level at which the means differ, and at which two angles differ.
LEVEL = 0.01
#: Two-sided quantile of the standard normal distribution at this level.
CRITICAL_VALUE = 2.5758293035489004
#: Level at which a mean lies outside the directions of the centred rows.
MEAN_LEVEL = 0.001
#: A subspace ends where an eigenvalue of the covariance exceeds the next one at least this many times ...
MIN_EIGENVALUE_RATIO = 10.0
#: ... and the eigenvalues up to there hold at least this share of the variance.
MIN_VARIANCE_SHARE = 0.9
#: A squared sine below this multiple of its expected noise, or below rounding errors, is that of an angle of zero.
NOISE_MULTIPLE = 4.0
ROUNDING_SQUARED_SINE = 1e-10
ROUNDING_DEGREES = 1e-4
#: Eigenvalues and squared lengths below this share of the total are rounding errors.
ROUNDING_VARIANCE = 1e-11
#: Largest share of the squared mean outside directions that hold the mean.
MAX_MEAN_OUTSIDE = 0.01


@dataclass(frozen=True, eq=False)
class ModalitySubspace:
    """The subspace of one modality: the strong directions of its centred rows, and its mean if that lies outside.

    Parameters
    ----------
    n_items : int
        Number of independent rows.
    mean : ndarray of shape (d,)
        Mean of the rows.
    cov : ndarray of shape (d, d)
        Covariance of the rows.
    n_distinct : int
        Number of distinct rows, if several belong to one item. Default: `n_items`.

    Examples
    --------
    >>> cloud = ModalitySubspace(500, np.eye(6)[5], np.diag([2.0, 1.0, 1.0, 0.0, 0.0, 0.0]))
    >>> cloud.rank_99, cloud.rank, cloud.has_edge, cloud.basis.shape, cloud.is_collapsed
    (3, 4, True, (6, 4), True)
    """

    n_items: int
    mean: np.ndarray
    cov: np.ndarray
    n_distinct: int = 0

    @property
    def few_rows(self) -> str:
        """Clause that there are too few rows to show in how many dimensions the cloud lies, or ""."""
        n_distinct = self.n_distinct or self.n_items
        if n_distinct <= self.dim:
            return f"{counted(n_distinct, 'distinct row')} cannot fill {self.dim:,} dimensions"
        clause = f"{too_few(self.n_items, 'independent item')} to show whether rows fill {self.dim:,} dimensions"
        return clause if self.n_items <= self.dim else ""

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        values, directions = principal_directions(self.cov)
        eigenvalues = values**2
        return np.where(eigenvalues > ROUNDING_VARIANCE * max(eigenvalues.sum(), 1e-300), eigenvalues, 0.0), directions

    @property
    def dim(self) -> int:
        """Dimension of the surrounding space."""
        return len(self.mean)

    @cached_property
    def rank_99(self) -> int:
        """Dimensions that hold 99 % of the variance. It is 0 if all rows are equal."""
        eigenvalues = self._spectrum[0]
        return energy_rank(np.sqrt(eigenvalues)) if eigenvalues[0] > 0 else 0

    @cached_property
    def _edge(self) -> int:
        """Number of eigenvalues before the steepest fall of the spectrum, or 0 if no fall is steep."""
        eigenvalues = self._spectrum[0]
        if eigenvalues[0] <= 0:
            return 0
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = eigenvalues[:-1] / eigenvalues[1:]
        held = np.cumsum(eigenvalues)[:-1] / eigenvalues.sum()
        ratios = np.where(np.isnan(ratios) | (held < MIN_VARIANCE_SHARE), 0.0, ratios)
        steepest = int(np.argmax(ratios)) if len(ratios) else 0
        return steepest + 1 if len(ratios) and ratios[steepest] >= MIN_EIGENVALUE_RATIO else 0

    @property
    def has_edge(self) -> bool:
        """True if the spectrum falls steeply where the subspace ends."""
        return self._edge > 0

    @property
    def is_filled(self) -> bool:
        """True if the rows fill the space as an isotropic cloud does, and are enough to do so."""
        return self.n_items > self.dim and not self.is_collapsed

    @cached_property
    def _centred_rank(self) -> int:
        return self._edge or max(significant_rank(np.sqrt(self._spectrum[0]), self.n_items - 1), 1)

    def _mean_outside(self, rank: int) -> tuple[np.ndarray, bool]:
        """Return the component of the mean outside the `rank` strongest directions, and whether it is no noise."""
        weak = self._spectrum[1][:, rank:]
        outside = weak @ (weak.T @ self.mean)
        squared_length = float(outside @ outside)
        # Directions that hold 99 % of the mean hold it as they hold the variance.
        if squared_length <= MAX_MEAN_OUTSIDE * float(self.mean @ self.mean):
            return outside, False
        # The mean scatters outside with the rows, and the error of the directions turns its inner component outward.
        noise = (self._spectrum[0][rank:] + self._turned(self.mean, rank)) / self.n_items
        return outside, satterthwaite_p_value(squared_length, np.diag(noise)) < MEAN_LEVEL

    @cached_property
    def _outside(self) -> tuple[np.ndarray, bool]:
        return self._mean_outside(self._centred_rank)

    @cached_property
    def rank(self) -> int:
        """Dimensions that hold the mean and 99 % of the variance.

        Narrow clouds of unit rows hardly vary along their mean, so that their variance alone leaves a dimension free.
        """
        return self.rank_99 + int(self._mean_outside(self.rank_99)[1])

    @cached_property
    def basis(self) -> np.ndarray:
        """Orthonormal basis (d, r): the strong directions, then that of the mean outside them."""
        directions = self._spectrum[1][:, : self._centred_rank]
        outside, is_real = self._outside
        if is_real:
            directions = np.column_stack([directions, outside / np.linalg.norm(outside)])
        return np.ascontiguousarray(directions)

    @property
    def is_collapsed(self) -> bool:
        """True if both `rank` and the dimensions of the subspace are clearly fewer than an isotropic cloud fills."""
        return max(self.rank, self.basis.shape[1]) <= self.largest_collapsed_rank

    @property
    def largest_collapsed_rank(self) -> int:
        """Largest rank of a collapsed modality with as many rows."""
        return largest_collapsed_rank(self.n_items, self.dim, has_edge=self.has_edge)

    def leaks(self, vectors: np.ndarray, along: np.ndarray | None = None) -> np.ndarray:
        """Return the variance of unit vectors of the subspace outside it, as sampling moves the subspace.

        It is the first-order variance of principal components of normal rows (Anderson 1963).

        Parameters
        ----------
        vectors : ndarray of shape (d, m)
            Unit vectors in the subspace.
        along : ndarray of shape (d, m), optional
            Directions along which the variance is taken. Default: the sum over all directions outside.

        Returns
        -------
        ndarray of shape (m,)
            Variances.
        """
        eigenvalues, directions = self._spectrum
        weak, outer = eigenvalues[self._centred_rank :], directions[:, self._centred_rank :]
        onto = np.ones((len(weak), vectors.shape[1])) if along is None else (outer.T @ along) ** 2
        variances = np.sum(self._turned(vectors, self._centred_rank) * onto, axis=0)
        outside, is_real = self._outside
        if is_real:
            squared_length = float(outside @ outside)
            variances = variances + (outside @ vectors) ** 2 / squared_length * (weak @ onto) / squared_length
        return np.asarray(variances / self.n_items)

    def _turned(self, vectors: np.ndarray, rank: int) -> np.ndarray:
        """Return n times the variance of vectors (d,) or (d, m) along each weak direction, as the strong ones turn."""
        eigenvalues, directions = self._spectrum
        strong, weak = eigenvalues[:rank], eigenvalues[rank:]
        gaps = np.maximum(strong[:, None] - weak[None, :], 1e-150)
        return np.asarray((strong[:, None] * weak[None, :] / gaps**2).T @ (directions[:, :rank].T @ vectors) ** 2)


@dataclass(frozen=True, eq=False)
class SubspaceAngles:
    """The subspaces of two modalities and the angle between them, beside the angle of the gap.

    Parameters
    ----------
    x, y : ModalitySubspace
        Subspaces of the modalities.
    gap : float
        Debiased angle between the means in degrees.
    gap_error : float
        Its standard error in degrees.
    gap_p_value : float
        p-value of equal means, from the null of swapped modalities.

    Examples
    --------
    >>> import isthmus
    >>> angles = SubspaceAngles.of(isthmus.Moments.of(isthmus.demo.load("collapsed")))
    >>> angles.are_collapsed, round(angles.smallest, 1), angles.agree
    (True, 60.0, True)
    """

    x: ModalitySubspace
    y: ModalitySubspace
    gap: float
    gap_error: float
    gap_p_value: float

    @classmethod
    def of(cls, moments: Moments, /) -> SubspaceAngles:
        """Compute the subspaces and angles from moments.

        Parameters
        ----------
        moments : Moments
            Moments of the pairs.

        Returns
        -------
        SubspaceAngles
            The angles, computed once while the moments exist.
        """
        m = moments.numpy()
        remembered_moments, remembered = _ANGLES.get(id(m), (None, None))
        if remembered is not None and remembered_moments is not None and remembered_moments() is m:
            return remembered
        angles, key = cls._of(m), id(m)
        _ANGLES[key] = (weakref.ref(m, lambda _: _ANGLES.pop(key, None)), angles)
        return angles

    @classmethod
    def _of(cls, m: Moments) -> SubspaceAngles:
        # Few distinct rows, such as the texts of classes, fill few dimensions whatever the number of pairs.
        cosine, variance = debiased_mean_cosine(m)
        # Components of the means that are zero in expectation add noise which the first order misses.
        variance += mean_product_noise(m) / max(float(m.mean_x @ m.mean_x) * float(m.mean_y @ m.mean_y), 1e-300)
        angle = math.acos(min(1.0, max(-1.0, cosine))) if not math.isnan(cosine) else math.nan
        # Near 0 and 180 degrees the derivative of arccos is unbounded, and its root is the error.
        sine = max(math.sin(angle), variance**0.25) if variance > 0 else 1.0
        error = math.degrees(math.sqrt(variance) / sine) if not math.isnan(variance) else math.nan
        clouds = zip(m.n_distinct, (m.mean_x, m.mean_y), (m.cov_x, m.cov_y), strict=True)
        x, y = (ModalitySubspace(min(m.by_item.n_items, n), mean, cov, n) for n, mean, cov in clouds)
        return cls(x, y, math.degrees(angle), error, gap_p_value(m))

    @property
    def has_gap(self) -> bool:
        """True if the means differ by more than swaps of the modalities explain."""
        return self.gap_p_value < LEVEL

    @property
    def no_gap(self) -> str:
        """Reason why there is no gap to judge if `has_gap` is False."""
        return f"swaps of the modalities explain the distance between the means (p = {self.gap_p_value:.2g})"

    @property
    def n_items(self) -> int:
        """Number of independent rows of the modality that has fewer."""
        return min(self.x.n_items, self.y.n_items)

    @property
    def few_rows(self) -> str:
        """Clause that there are too few rows of the modality that has fewer, or ""."""
        return min(self.x, self.y, key=lambda cloud: (cloud.n_items, cloud.n_distinct)).few_rows

    @property
    def is_filled(self) -> bool:
        """True if a modality fills the space as an isotropic cloud does, so that it has no subspace."""
        return self.x.is_filled or self.y.is_filled

    @property
    def are_collapsed(self) -> bool:
        """True if both modalities have collapsed into subspaces with an edge."""
        return all(cloud.is_collapsed and cloud.has_edge for cloud in (self.x, self.y))

    @property
    def are_known(self) -> bool:
        """True if there are more rows than dimensions, or than each subspace has dimensions.

        Few rows of a cloud of many dimensions span a subspace of their own, whose angles say nothing about the cloud.
        """
        return all(cloud.n_items > cloud.dim or cloud.basis.shape[1] < cloud.n_items - 1 for cloud in (self.x, self.y))

    @cached_property
    def spaces(self) -> SubspacePair:
        """The two subspaces."""
        return SubspacePair(self.x.basis, self.y.basis)

    @property
    def joint_basis(self) -> np.ndarray:
        """Orthonormal basis (d, r) of the sum of both subspaces."""
        vectors, values, _ = np.linalg.svd(np.column_stack([self.x.basis, self.y.basis]), full_matrices=False)
        return np.asarray(vectors[:, values > 1e-6])

    @cached_property
    def nonzero(self) -> np.ndarray:
        """Booleans (m,): the principal angles that exceed the noise of the two subspaces."""
        vectors_a, vectors_b = self.spaces.vectors  # first, so that the angles need no decomposition of their own
        squared_sines = np.sin(np.radians(np.asarray(self.spaces.angles.degrees))) ** 2
        noise = self.x.leaks(vectors_a) + self.y.leaks(vectors_b)
        return np.asarray(squared_sines > NOISE_MULTIPLE * noise + ROUNDING_SQUARED_SINE)

    @property
    def smallest(self) -> float:
        """Smallest principal angle above zero in degrees, or NaN if all are zero."""
        angles = np.asarray(self.spaces.angles.degrees)[self.nonzero]
        return float(angles.min()) if len(angles) else math.nan

    @cached_property
    def smallest_error(self) -> float:
        """Standard error of `smallest` in degrees."""
        if not self.nonzero.any():
            return math.nan
        index = int(np.argmax(self.nonzero))
        a, b = (vectors[:, index : index + 1] for vectors in self.spaces.vectors)
        variance = float((self.x.leaks(a, b) + self.y.leaks(b, a))[0])
        sine = max(math.sin(math.radians(self.smallest)), variance**0.25) if variance > 0 else 1.0
        return math.degrees(math.sqrt(variance) / sine)

    @property
    def smallest_bias(self) -> float:
        """Largest amount in degrees by which sampling lowers the smallest of several equal angles.

        Sampling adds noise to the matrix (m, m) of the cosines of m equal angles, of which the largest singular value
        is at most 2 sqrt(m) standard deviations.
        """
        return 2 * math.sqrt(max(int(self.nonzero.sum()) - 1, 0)) * self.smallest_error + self.tolerance

    @property
    def difference_error(self) -> float:
        """Standard error of the difference between the gap and `smallest` in degrees."""
        return math.hypot(self.gap_error, self.smallest_error)

    @property
    def tolerance(self) -> float:
        """Largest difference between the gap and `smallest` in degrees that their sampling error explains."""
        return CRITICAL_VALUE * self.difference_error + ROUNDING_DEGREES

    @property
    def agree(self) -> bool:
        """True if the gap and `smallest` differ by no more than their sampling error."""
        return bool(abs(self.gap - self.smallest) <= self.tolerance)

    def judge_gap(self) -> tuple[bool | None, str]:
        """Judge whether the gap is the smallest angle between the subspaces that is not zero.

        Returns
        -------
        holds : bool or None
            None if the data do not decide.
        message : str
            The measured angles, or why they are not compared.
        """
        if not self.has_gap:
            return None, self.no_gap
        if self.is_filled:
            return None, "there are no two subspaces whose angle the gap could be"
        gap = f"the gap is {self.gap:.1f} degrees"
        if not self.nonzero.any():
            message = f"{gap}, and no angle between strong directions exceeds its sampling error"
            return (False if self.are_collapsed else None), message
        if not self.are_known:
            return None, self.few_rows
        measured = f"{gap}, and the smallest angle above zero between strong directions of the two modalities is "
        measured += f"{self.smallest:.1f} (standard error of the difference {self.difference_error:.2g})"
        if self.agree:
            # Without an edge the directions depend on a threshold, and a large error agrees with every angle.
            holds = self.are_collapsed and self.tolerance < self.smallest / 2
            return holds or None, measured
        # With few rows the angles between sampled subspaces are too large, and the smallest of several is too small.
        is_few = self.n_items <= self.x.dim and self.gap < self.smallest
        is_smallest_of_several = 0 <= self.gap - self.smallest <= self.smallest_bias
        return (None if is_few or is_smallest_of_several else False), measured


#: Angles of moments that still exist, which explanation and assumptions share.
_ANGLES: dict[int, tuple[weakref.ref[Moments], SubspaceAngles]] = {}
