"""The data that a measure is computed from, and the work that several measures share."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.linalg import remembered
from isthmus.statistics.influence import InfluenceSample, UnpairedSample
from isthmus.statistics.item_moments import covariance_of_sums
from isthmus.statistics.moments import Moments
from isthmus.statistics.spectral_errors import SpectralErrors

#: Measures that need rows take a random sample of this many items when there are more: they cost n^2.
MAX_ROW_ITEMS = 10_000
#: Rounding errors of the eigenvalues of a covariance, as shares of the mean squared length, by products in float64 and
#: in float32.
ROUNDING, FLOAT32_ROUNDING = 1e-14, 1e-7

V = TypeVar("V")


class SharedWork(Protocol):
    """An intermediate result that several measures use.

    The file of the measures defines the class, and `MetricContext.shared` computes it once. A class with a method
    `swapped()`, which returns the same result with x and y exchanged, is computed once for both orders of the
    modalities. A class without it is computed once for each order.
    """

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Self:
        """Compute the intermediate result.

        Parameters
        ----------
        context : MetricContext
            The data.

        Returns
        -------
        SharedWork
            The result.
        """
        ...


W = TypeVar("W", bound=SharedWork)


class SecondMoment:
    """The second moment of one modality and its eigendecompositions, computed once.

    Parameters
    ----------
    gram : numpy.ndarray
        Sum of the outer products of the rows, (d, d).
    mean : numpy.ndarray or None
        Mean row, (d,). Only `centred` needs it.
    n : int
        Number of rows. Only `centred` needs it.
    rounding : float
        Rounding error of an eigenvalue as a share of the mean squared length.

    Examples
    --------
    >>> SecondMoment(np.diag([1.0, 4.0])).spectrum.tolist()
    [2.0, 1.0]
    """

    def __init__(self, gram: np.ndarray, mean: np.ndarray | None = None, n: int = 1, *, rounding: float = ROUNDING):
        self.gram = gram
        self.mean = mean
        self.n = n
        self.rounding = rounding
        self._eigen: tuple[np.ndarray, np.ndarray] | None = None
        self._centred: tuple[np.ndarray, np.ndarray] | None = None
        # The lock of each object: measures of both modalities decompose side by side.
        self._lock = threading.RLock()

    @property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of the (uncentred) rows, descending, (d,), and right singular vectors, (d, d)."""
        with self._lock:
            if self._eigen is None:
                values, vectors = remembered.eigh(self.gram / self.n)  # the mean product, which others decompose too
                self._eigen = np.sqrt(np.clip(self.n * values[::-1], 0.0, None)), vectors[:, ::-1]
            return self._eigen

    @property
    def spectrum(self) -> np.ndarray:
        """Singular values of the (uncentred) rows, descending, (d,)."""
        return self.eigen[0]

    @property
    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the covariance (1/n), descending, (d,), and eigenvectors, (d, d).

        Eigenvalues that are rounding noise are set to 0.
        """
        assert self.mean is not None
        with self._lock:
            if self._centred is None:
                # The bits of `Moments.cov_x`, which diagnoses decompose too.
                values, vectors = remembered.eigh(covariance_of_sums(self.gram, self.n, self.mean, self.mean))
                # The subtraction of the mean leaves rounding errors of this size in place of a zero.
                floor = self.rounding * float(np.trace(self.gram)) / self.n
                self._centred = np.where(values > floor, values, 0.0)[::-1], vectors[:, ::-1]
            return self._centred


class MetricContext:
    """The data that a measure is computed from: moments, and pairs if there are any.

    Parameters
    ----------
    moments : Moments
        Moments of all pairs, as NumPy arrays.
    pairs : Pairs, UnpairedSets or None
        The pairs, for measures that need rows. It is None for moments that were summed elsewhere, and in the context
        of the swapped modalities. Of sets without pairs, as many random rows of both are taken for pairs.
    normalize : bool
        True if rows are divided by their norms.
    moments_x, moments_y : SecondMoment or None
        Second moments of the modalities whose decompositions are known already. Default: those of `moments`.
    names : tuple of str or None
        Names of the modalities. Default: those of `pairs`, or 'x' and 'y'.
    sample_items : int or None
        Items that measures of rows are computed from, at most. Default: `MAX_ROW_ITEMS`.

    Attributes
    ----------
    x, y : SecondMoment
        Second moments of the modalities.

    Examples
    --------
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + 1
    >>> context = MetricContext(Moments.of(X, Y))
    >>> context.swapped().x is context.y
    True
    """

    def __init__(
        self,
        moments: Moments,
        pairs: Pairs | UnpairedSets | None = None,
        *,
        normalize: bool = True,
        moments_x: SecondMoment | None = None,
        moments_y: SecondMoment | None = None,
        names: tuple[str, str] | None = None,
        sample_items: int | None = None,
    ):
        self.moments = moments
        #: Items that measures of rows are computed from, at most.
        self.sample_items = MAX_ROW_ITEMS if sample_items is None else sample_items
        #: The sets without pairs, or None.
        self.sets = pairs if isinstance(pairs, UnpairedSets) else None
        self.pairs = pairs.random_pairs(sample_items) if isinstance(pairs, UnpairedSets) else pairs
        self.names = names or (pairs.names if pairs is not None else ("x", "y"))
        self.normalize = normalize
        rounding = FLOAT32_ROUNDING if moments.matmul_dtype == "float32" else ROUNDING
        self.x = moments_x or SecondMoment(moments.xx, moments.mean_x, moments.n, rounding=rounding)
        second = moments.swapped()  # of sets without pairs, y has a number of rows of its own
        self.y = moments_y or SecondMoment(second.xx, second.mean_x, second.n, rounding=rounding)
        #: Kinds of work that the measures of this run take from the pass over all scores.
        self.planned_sweeps: frozenset[type[Any]] = frozenset()
        self._cache: dict[Hashable, Any] = {}
        # Measures run in several threads. The first one that needs a shared result computes it, and the others wait.
        self._locks: defaultdict[Hashable, threading.RLock] = defaultdict(threading.RLock)
        self._reading = threading.RLock()
        self._swapped: MetricContext | None = None
        #: The context in the order of the pairs: this one, or the one that it was swapped from.
        self.original = self

    def swapped(self) -> MetricContext:
        """Return the context with x and y exchanged.

        Measures of '{side}' are computed on x alone, and on the swapped context for y.

        Returns
        -------
        MetricContext
            The same object in every call. It shares the cache of this one.
        """
        if self._swapped is None:
            swapped = MetricContext(
                self.moments.swapped(),
                normalize=self.normalize,
                moments_x=self.y,
                moments_y=self.x,
                names=self.names[::-1],
            )
            swapped.original, swapped._swapped = self, self
            self._swapped = swapped
        return self._swapped

    def shared(self, work: type[W], /) -> W:
        """Return an intermediate result, computed on the first call.

        Parameters
        ----------
        work : type
            A class with the class method `from_context(context)`, and optionally a method `swapped()`.

        Returns
        -------
        object of `work`
            The result for this order of the modalities.
        """
        return self.cached(work, work.from_context, getattr(work, "swapped", None))

    def cached(
        self, key: Hashable, compute: Callable[[MetricContext], V], swap: Callable[[V], V] | None = None, /
    ) -> V:
        """Return the value of a function of this context, computed on the first call.

        Parameters
        ----------
        key : hashable
            Key of the value in the cache.
        compute : callable
            Function of the context.
        swap : callable or None
            Function that turns the value of the original context into that of the swapped one. Without it, the
            swapped context computes its own value.

        Returns
        -------
        object
            The value for this order of the modalities.
        """
        if key not in self._cache:
            with self._locks[key]:
                if key not in self._cache:
                    if swap is None or self.original is self:
                        self._cache[key] = compute(self)
                    else:
                        self._cache[key] = swap(self.original.cached(key, compute, swap))
        value: V = self._cache[key]
        return value

    @property
    def influence_sample(self) -> InfluenceSample | None:
        """A sample of the items whose influence gives standard errors. None without pairs."""
        return self.cached("influence_sample", _influence_sample, _swapped_sample)

    @cached_property
    def pca(self) -> SpectralErrors:
        """The spectrum of the covariance of x with the rows that give its sampling error."""
        values, directions = self.x.centred
        return SpectralErrors(values, directions, self.influence_sample, centre=self.moments.mean_x)

    @property
    def cross_cosines(self) -> np.ndarray:
        """Cosines between the principal directions (centred) of x (rows) and y (columns), (d, d)."""
        return self.cached("cross_cosines", lambda c: c.x.centred[1].T @ c.y.centred[1], np.transpose)

    @property
    def sample(self) -> Pairs:
        """At most `sample_items` random items of the pairs, in the order of the pairs."""
        return self.cached("sample", _sample)

    @property
    def sampled(self) -> int:
        """Number of items of the sample, or of rows of each unpaired set. 0 if it contains all, or without rows."""
        context = self.original
        if context.pairs is None:
            return 0
        n_items = context.sample.n_items
        n_available = context.pairs.n_items if context.sets is None else max(context.sets.sizes)
        return n_items if n_items < n_available else 0

    @property
    def sample_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of x and of y of the sample, divided by their norms if `normalize`."""
        return self.cached("sample rows", _sample_rows)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the data in this block alone: readers of some formats do not share their files with other threads.

        Yields
        ------
        None
            Nothing. Other threads wait before their blocks.
        """
        with self.original._reading:
            yield


def _sample(context: MetricContext) -> Pairs:
    assert context.pairs is not None
    with context.reading():
        return context.pairs.sample(context.sample_items)


def _sample_rows(context: MetricContext) -> tuple[np.ndarray, np.ndarray]:
    sample = context.sample
    with context.reading():
        x, y = (to_numpy(rows) for rows in sample.unit(normalize=context.normalize))
    return x, y


def _swapped_sample(sample: InfluenceSample | None) -> InfluenceSample | None:
    return None if sample is None else sample.swapped()


def _influence_sample(context: MetricContext) -> InfluenceSample | None:
    with context.reading():
        if context.sets is not None:
            return UnpairedSample.of_sets(context.sets, normalize=context.normalize)
        if context.pairs is None:
            return None
        return InfluenceSample.of(context.pairs, context.moments, normalize=context.normalize)
