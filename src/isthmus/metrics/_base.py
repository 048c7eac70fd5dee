"""How a measure declares itself, and the context of the data that it is computed from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.linalg.shared_directions import EnergySubspaces
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import Estimate
from isthmus.utils.errors import InputError, unknown_name


@dataclass(frozen=True)
class Metric:
    """A measure and what it promises.

    `name` may hold {x}, {y} or {side}: the names of the modalities; {side} makes one estimate for each of the two.
    """

    name: str
    compute: Callable[[MetricContext], Estimate]
    unit: str
    range: tuple[float, float]
    direction: str  # 'lower', 'higher' or 'neither'
    requires: str  # 'moments' (one pass), 'rows' (blocks of scores) or 'labels' (rows and labels)
    invariances: tuple[str, ...]  # of 'rotation' (one for both sides), 'row scale', 'swap' (of the sides)
    source: str
    reference_case: Callable[[], tuple[Any, Any, float]]  # () -> X, Y, value
    definition: str
    interval: str = ""  # 'jackknife', 'normal', 'wilson', 'subsampling', or 'none: ' and why
    null_model: str = ""  # what `null` is the value of: 'pair shuffle', 'modality swap' ..., or 'none: ' and the reason
    family: str = "others"  # the heading under which it is shown, one of `FAMILIES`

    def names(self, x: str, y: str) -> list[str]:
        """What the estimates are called for modalities `x` and `y`."""
        if "{side}" in self.name:
            return [self.name.format(side=side) for side in (x, y)]
        return [self.name.format(x=x, y=y)]


_REGISTRY: dict[str, Metric] = {}

#: Headings in the order in which measures are shown.
FAMILIES = (
    "first order",
    "separability",
    "distribution",
    "spectrum",
    "subspaces",
    "cone and uniformity",
    "neighbours",
    "representation similarity",
    "retrieval",
    "others",
)


def metric(
    name: str,
    *,
    unit: str,
    range: tuple[float, float],
    source: str,
    reference_case: Callable[[], tuple[Any, Any, float]],
    direction: str = "neither",
    requires: str = "moments",
    invariances: tuple[str, ...] = ("rotation", "row scale"),
    interval: str = "",
    null_model: str = "",
    family: str = "others",
) -> Callable[[Callable[[MetricContext], Estimate]], Callable[[MetricContext], Estimate]]:
    """Register a function as the measure `name`. The first paragraph of its docstring is the definition."""
    if family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)

    def register(function: Callable[[MetricContext], Estimate]) -> Callable[[MetricContext], Estimate]:
        definition = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        _REGISTRY[name] = Metric(
            name,
            function,
            unit,
            range,
            direction,
            requires,
            invariances,
            source,
            reference_case,
            definition,
            interval,
            null_model,
            family,
        )
        return function

    return register


def registry() -> Mapping[str, Metric]:
    """All measures by name, in the order in which they are shown: by family, then as their files declare them."""
    return dict(sorted(_REGISTRY.items(), key=lambda entry: FAMILIES.index(entry[1].family)))


#: Above this many items, ranks are measured on a random sample of them: they cost n^2.
MAX_ROW_ITEMS = 10_000


class SecondMoment:
    """The principal directions of one side, found once however many measures ask for them."""

    def __init__(self, gram: np.ndarray, mean: np.ndarray | None = None, n: int = 1):
        self.gram = gram
        self.mean = mean
        self.n = n

    @cached_property
    def eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of the (uncentred) rows, descending, (d,), and right singular vectors, (d, d)."""
        values, vectors = np.linalg.eigh(self.gram)
        return np.sqrt(np.clip(values[::-1], 0.0, None)), vectors[:, ::-1]

    @property
    def spectrum(self) -> np.ndarray:
        return self.eigen[0]

    @cached_property
    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of the covariance (1/n), descending, (d,), rounding noise set to 0, and eigenvectors, (d, d)."""
        assert self.mean is not None
        values, vectors = np.linalg.eigh(self.gram / self.n - np.outer(self.mean, self.mean))
        # What the subtraction of the mean leaves of a zero.
        floor = 1e-14 * float(np.trace(self.gram)) / self.n
        return np.where(values > floor, values, 0.0)[::-1], vectors[:, ::-1]


class MetricContext:
    """What a measure may look at: the moments, and for measures of rows the pairs. Shared work is done once."""

    def __init__(
        self,
        moments: Moments,
        pairs: Pairs | None = None,
        *,
        normalize: bool = True,
        sides: tuple[SecondMoment, SecondMoment] | None = None,
        names: tuple[str, str] | None = None,
    ):
        self.moments = moments
        self.pairs = pairs
        self.names = names or (pairs.names if pairs is not None else ("x", "y"))
        self.normalize = normalize
        self.x, self.y = sides or (
            SecondMoment(moments.xx, moments.mean_x, moments.n),
            SecondMoment(moments.yy, moments.mean_y, moments.n),
        )
        self._origin: MetricContext | None = None
        #: What measures of one file share with each other, by name.
        self.kept: dict[str, Any] = {}

    def swapped(self) -> MetricContext:
        """The same data seen from the other side: measures of {side} are computed on x alone."""
        return self._twin

    @cached_property
    def _twin(self) -> MetricContext:
        other = MetricContext(
            self.moments.swapped(), normalize=self.normalize, sides=(self.y, self.x), names=self.names[::-1]
        )
        other._origin = self
        other.__dict__["_twin"] = self
        return other

    @cached_property
    def influence_sample(self) -> Any:
        """A sample of the items whose scores give standard errors (`InfluenceSample`); None without pairs."""
        from isthmus.statistics.influence import InfluenceSample

        if self._origin is not None:
            return None if self._origin.influence_sample is None else self._origin.influence_sample.swapped()
        return None if self.pairs is None else InfluenceSample.of(self.pairs, self.moments, normalize=self.normalize)

    @cached_property
    def pca(self) -> Any:
        """The spectrum of the covariance of x with what its sampling error needs (`SpectralErrors`)."""
        from isthmus.statistics.spectral_errors import SpectralErrors

        values, directions = self.x.centred
        return SpectralErrors(values, directions, self.influence_sample, centre=self.moments.mean_x)

    @cached_property
    def quadratics(self) -> Any:
        """Traces of products of covariances with bias and covariance (`metrics._trace_estimates.TraceEstimates`)."""
        from isthmus.metrics._trace_estimates import TraceEstimates

        return TraceEstimates.of(self) if self._origin is None else self._origin.quadratics.swapped()

    @cached_property
    def random_angles(self) -> np.ndarray:
        """Principal angles in degrees of nine pairs of random subspaces with the ranks of `subspaces`."""
        from isthmus.linalg.random_subspaces import random_principal_angles

        if self._origin is not None:
            return self._origin.random_angles
        spaces = self.subspaces
        return random_principal_angles(spaces.basis_x.shape[0], *spaces.ranks, draws=9, rng=0)

    @cached_property
    def cross_cosines(self) -> np.ndarray:
        """Cosines between the principal directions (centred) of x (rows) and y (columns), (d, d)."""
        if self._origin is not None:
            return self._origin.cross_cosines.T
        return self.x.centred[1].T @ self.y.centred[1]

    @cached_property
    def sample(self) -> Pairs:
        """At most `MAX_ROW_ITEMS` random items of the pairs."""
        assert self.pairs is not None
        return self.pairs.sample(MAX_ROW_ITEMS)

    @cached_property
    def rows(self) -> PairedRows:
        """The sampled items as rows, one partner for each (`metrics._paired_rows.PairedRows`)."""
        if self._origin is not None:
            return self._origin.rows.swapped()
        return PairedRows.of(self.sample, normalize=self.normalize)

    @cached_property
    def subspaces(self) -> EnergySubspaces:
        """The two 99 % energy subspaces and their principal angles."""
        return EnergySubspaces.of_spectra(self.x.eigen, self.y.eigen)

    @cached_property
    def retrieval(self) -> Any:
        """Ranks of the partners in both directions (`tasks.retrieval.Retrieval`), on a sample of large data."""
        from isthmus.tasks.retrieval import Retrieval

        x, y = (to_numpy(side) for side in self.sample.unit(normalize=self.normalize))
        return Retrieval.of(x, y, index=self.sample.index)


NO_ROWS = "no interval: it takes rows, and moments hold none; measure the pairs"


def evaluate(entry: Metric, context: MetricContext) -> dict[str, Estimate]:
    """The estimates of one measure, with the unit and definition that it declares."""
    x, y = context.names
    if entry.requires != "moments" and context.pairs is None:
        raise InputError(f"{entry.name} looks at rows, and moments hold none; measure the pairs")
    contexts = [context, context.swapped()] if "{side}" in entry.name else [context]
    found = {}
    for name, v in zip(entry.names(x, y), contexts, strict=True):
        estimate = entry.compute(v)
        lacks = math.isnan(estimate.low) and not entry.interval.startswith("none") and not estimate.undefined
        note = estimate.note or (NO_ROWS if lacks and context.pairs is None else "")
        definition = entry.definition.replace("{x}", x).replace("{y}", y)
        never = entry.interval.removeprefix("none: ") if entry.interval.startswith("none: ") else ""
        found[name] = dataclasses.replace(
            estimate, unit=entry.unit, definition=definition, note=note, no_interval=never
        )
    return found
