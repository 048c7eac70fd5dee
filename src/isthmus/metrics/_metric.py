"""The declaration of a measure and the registry of all measures."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.metrics._conditions import DEGENERATE_CASES
from isthmus.metrics._context import MetricContext
from isthmus.statistics.result import Estimate
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.registry import Registry

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
DIRECTIONS = ("lower", "higher", "neither")
REQUIREMENTS = ("moments", "rows", "labels")
#: Placeholders in the name of a measure.
PLACEHOLDERS = ("side", "x", "y")
INVARIANCES = ("rotation", "row scale", "swap")
#: Methods of intervals. A measure without an interval declares 'none: ' and the reason.
INTERVALS = ("jackknife", "normal", "wilson", "subsampling")
#: Models whose value is the null. A measure without a null declares 'none: ' and the reason.
NULL_MODELS = (
    "pair shuffle",
    "modality swap",
    "random subspace",
    "random direction",
    "isotropic cloud",
    "zero mean",
    "random retrieval",
    "true labels",
)

#: Default of the interval and of the null model, for drafts.
DEFAULT_REASON = "none: the measure declares none"

#: X, Y and the exact value, or X, Y, labels and the exact value if the measure needs labels.
ReferenceCase = Callable[[], tuple[Any, ...]]


@dataclass(frozen=True)
class Metric:
    """A measure and its declaration.

    Parameters
    ----------
    name : str
        Name of the estimate. It may contain '{x}' and '{y}', the names of the modalities. A name with '{side}' gives
        one estimate for each modality: `compute` is then called with the context and with the swapped context.
    compute : callable
        Function of a `MetricContext` that returns an `Estimate`. The first paragraph of its docstring is the
        definition.
    unit : str
        Unit of the value, such as 'degrees', 'cosine', 'share' or 'dimensions'.
    range : tuple of float
        Smallest and largest possible value. Both may be infinite.
    direction : {'lower', 'higher', 'neither'}
        Which values are better.
    source : str
        Paper of the definition.
    requires : {'moments', 'rows', 'labels'}
        Data that the measure needs: one pass over the data, blocks of rows, or rows and labels.
    invariances : tuple of str
        Changes of the data that leave the value alone. 'rotation' is one for both modalities, and 'swap' exchanges the
        modalities. 'row scale' means positive factors of rows that are normalized.
    reference_case : callable or None
        Function without arguments that returns X, Y and the exact value for them, or X, Y, labels and the value if
        the measure needs labels. Tests compare the exact value with the estimate.
    interval : str
        'jackknife', 'normal', 'wilson' or 'subsampling', or 'none: ' and the reason why there is no interval.
    null_model : str
        The model whose value is `Estimate.null`, one of `NULL_MODELS`, or 'none: ' and the reason.
    family : str
        Heading under which the measure is shown, one of `FAMILIES`.
    undefined_if : tuple of str
        Degenerate data on which the measure has no meaning. In 'constant side' all rows of the modality of '{side}'
        are the same. In 'constant modality' those of x or of y are, in 'constant modalities' those of x and those of
        y, and in 'one vector' all rows of both. In 'equal pairs' matching rows are the same.
    min_items : int
        Fewest items with a matching row. With fewer, the estimate is undefined.
    min_interval_items : int
        Fewest items for an interval. With fewer, the note of the estimate states this number.
    needs_pairs : bool
        False for a measure of two sets, which takes no notice of which row of y matches a row of x. A measure of pairs
        is undefined for sets without pairs.
    conditions : tuple of str
        Other data on which `compute` returns an undefined estimate, in words for the documentation.
    sweeps : tuple of type
        Shared work of `compute` that is computed from all scores. One pass serves all measures of a run that declare
        their work.

    Raises
    ------
    InputError
        If `direction`, `requires`, `invariances`, `family` or `undefined_if` are not among the values above. If `range`
        is not a pair of numbers, or `name` holds another placeholder.

    Examples
    --------
    >>> registry()["rank_99_{side}"].names("image", "text")
    ['rank_99_image', 'rank_99_text']
    """

    name: str
    compute: Callable[[MetricContext], Estimate]
    unit: str
    range: tuple[float, float]
    direction: str
    source: str
    requires: str = "moments"
    invariances: tuple[str, ...] = ("rotation", "row scale")
    reference_case: ReferenceCase | None = None
    interval: str = DEFAULT_REASON
    null_model: str = DEFAULT_REASON
    family: str = "others"
    undefined_if: tuple[str, ...] = ()
    min_items: int = 1
    min_interval_items: int = 1
    needs_pairs: bool = True
    conditions: tuple[str, ...] = ()
    sweeps: tuple[type[Any], ...] = ()

    def __post_init__(self) -> None:
        for field, value, choices in (
            ("direction", self.direction, DIRECTIONS),
            ("requirement", self.requires, REQUIREMENTS),
            *(("invariance", invariance, INVARIANCES) for invariance in self.invariances),
            *(("degenerate case", case, DEGENERATE_CASES) for case in self.undefined_if),
            ("family", self.family, FAMILIES),
        ):
            if value not in choices:
                raise unknown_name(field, value, choices)
        if not isinstance(self.range, tuple) or len(self.range) != 2:
            raise InputError(f"measure {self.name}: range={self.range!r}, expected (smallest, largest) value")
        if self.min_items < 1:
            raise InputError(f"measure {self.name}: min_items={self.min_items}, expected 1 or more")
        for _, placeholder, _, _ in string.Formatter().parse(self.name):
            if placeholder is not None and placeholder not in PLACEHOLDERS:
                expected = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
                raise InputError(f"measure name {self.name!r}: got {{{placeholder}}}, expected one of {expected}")

    @property
    def definition(self) -> str:
        """First paragraph of the docstring of `compute`."""
        return " ".join((self.compute.__doc__ or "").split("\n\n")[0].split())

    def names(self, x: str, y: str) -> list[str]:
        """Return the names of the estimates.

        Parameters
        ----------
        x, y : str
            Names of the modalities.

        Returns
        -------
        list of str
            Two names if the name of the measure contains '{side}', else one.
        """
        if "{side}" in self.name:
            return [self.name.format(side=modality) for modality in (x, y)]
        return [self.name.format(x=x, y=y)]


_MEASURES: Registry[Metric] = Registry("measure", package="isthmus.metrics", group="isthmus.metrics")


def metric(
    name: str,
    *,
    unit: str,
    range: tuple[float, float],
    direction: str,
    source: str,
    **options: Any,
) -> Callable[[Callable[[MetricContext], Estimate]], Callable[[MetricContext], Estimate]]:
    """Register a function of a `MetricContext` as a measure.

    Parameters
    ----------
    name : str
        Name of the estimate, see `Metric`.
    unit : str
        Unit of the value.
    range : tuple of float
        Smallest and largest possible value.
    direction : {'lower', 'higher', 'neither'}
        Which values are better.
    source : str
        Paper of the definition.
    **options
        Other fields of `Metric`: `requires` ('moments'), `invariances` ('rotation' and 'row scale'),
        `reference_case` (None), `interval` and `null_model` (none), `family` ('others'), `undefined_if` (never),
        `needs_pairs` (True), `conditions` (none), `sweeps` (none). `min_items` and `min_interval_items` are 1.

    Returns
    -------
    callable
        A decorator that returns the function unchanged.

    Raises
    ------
    InputError
        If the name is registered already, or an option has an unknown value.

    Examples
    --------
    >>> @metric("mean_dot", unit="cosine", range=(-1, 1), direction="higher", source="an example")
    ... def mean_dot(context):
    ...     '''Mean inner product of matching rows.'''
    ...     return Estimate(context.moments.mean_paired)
    >>> unregister("mean_dot").definition
    'Mean inner product of matching rows.'
    """
    optional_fields = [field.name for field in dataclasses.fields(Metric) if field.default is not dataclasses.MISSING]
    for option in options:
        if option not in optional_fields:
            raise unknown_name("option of @metric", option, optional_fields)

    def decorate(function: Callable[[MetricContext], Estimate]) -> Callable[[MetricContext], Estimate]:
        register(Metric(name, function, unit, range, direction, source, **options))
        return function

    return decorate


def register(entry: Metric) -> Metric:
    """Add a measure to the registry.

    Parameters
    ----------
    entry : Metric
        The measure.

    Returns
    -------
    Metric
        The same object.

    Raises
    ------
    InputError
        If the name is registered already.

    Examples
    --------
    >>> entry = Metric("zero", lambda context: Estimate(0.0), "share", (0, 1), "lower", "an example")
    >>> register(entry) is unregister("zero")
    True
    """
    return _MEASURES.register(entry.name, entry)


def unregister(name: str) -> Metric:
    """Remove a measure from the registry.

    Parameters
    ----------
    name : str
        Name under which the measure is registered, such as 'rank_99_{side}'.

    Returns
    -------
    Metric
        The measure.

    Raises
    ------
    InputError
        If no measure has this name.

    Examples
    --------
    >>> entry = register(Metric("zero", lambda context: Estimate(0.0), "share", (0, 1), "lower", "an example"))
    >>> unregister("zero") is entry
    True
    """
    return _MEASURES.unregister(name)


def registry() -> Mapping[str, Metric]:
    """Return all measures by name: by family, then by module, then in the order of their declaration.

    Returns
    -------
    Mapping of str to Metric
        A copy. It does not change when other measures are registered.

    Examples
    --------
    >>> next(iter(registry()))
    'centroid_angle'
    """
    _MEASURES.discover()
    entries = sorted(
        _MEASURES.registered().values(), key=lambda entry: (FAMILIES.index(entry.family), entry.compute.__module__)
    )
    return {entry.name: entry for entry in entries}
