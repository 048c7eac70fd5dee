"""Results of measurements: numbers with their interval, their null value and their unit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from isthmus.statistics.intervals import Z95
from isthmus.utils.errors import unknown_name
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import counted, json_number, number, number_from_json
from isthmus.utils.tabular import Tabular
from isthmus.utils.version import __version__

NAN = float("nan")
#: Names of modalities that a measure may be asked for, in place of their own names.
USUAL_NAMES = (("x", "y"), ("image", "text"))
#: Estimates that the text of a result shows first.
HEADLINES = (
    "centroid_angle", "centroid_distance", "mean_paired_cosine", "relative_modality_gap", "overlap_dimensions",
    "smallest_principal_angle",
)  # fmt: skip
#: Estimates that the text of a result shows if it has none of these.
REPR_ROWS = 12


@dataclass(frozen=True)
class Estimate:
    """One number about the data, with its interval and its null value.

    Parameters
    ----------
    value : float
        The number, or NaN if it is undefined.
    low, high : float
        Ends of the 95 % interval, or NaN if there is none.
    null : float
        Expected value under the null model of the measure, or NaN if the measure declares none.
    unit : str
        'degrees', 'cosine', 'dimensions', 'share' ...
    undefined : str, optional
        Reason why the quantity has no meaning on these data.
    definition : str
        One line that defines the quantity.
    note : str
        Caveat of this number on these data, such as '500 items are too few for 512 dimensions: 5,120 are needed'.
    no_interval : str
        Reason why this measure never has an interval.
    plugin : float
        The published form of the measure, computed as if the sample were the population. Sampling biases it where it
        differs from `value`, which the interval is about. Default: `value`.
    p_value : float
        Two-sided p-value of the test that the value is the null value, or NaN if there is no test.
    sampled : int
        Number of items of the random sample that the value, or its correction of bias and its interval, were computed
        from. 0 if all were computed from all items.

    Examples
    --------
    >>> print(Estimate(0.5, 0.4, 0.6, unit="cosine"))
    0.5 [0.4, 0.6] cosine
    >>> print(Estimate(0.5, 0.4, 0.6, unit="cosine", plugin=0.7))
    0.5 [0.4, 0.6] cosine (plug-in 0.7)
    """

    value: float
    low: float = NAN
    high: float = NAN
    null: float = NAN
    unit: str = ""
    undefined: str | None = None
    definition: str = ""
    note: str = ""
    no_interval: str = ""
    plugin: float = NAN
    p_value: float = NAN
    sampled: int = 0

    def __post_init__(self) -> None:
        if math.isnan(self.plugin):
            object.__setattr__(self, "plugin", self.value)
        for name in ("value", "low", "high", "null", "plugin", "p_value"):
            if np.ndim(getattr(self, name)) == 0 and math.isnan(getattr(self, name)):
                object.__setattr__(self, name, NAN)  # one object, so that estimates with absent numbers are equal

    def __eq__(self, other: object) -> bool:
        # Dictionaries compare absent numbers by identity. The generated method compares them by == from Python 3.13 on.
        return vars(self) == vars(other) if isinstance(other, Estimate) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    @classmethod
    def debiased(
        cls, value: float, interval: tuple[float, float], *, plugin: float, null: float = NAN, note: str = ""
    ) -> Estimate:
        """Build an estimate without the bias of sampling beside its plug-in, which replaces it without an interval.

        Parameters
        ----------
        value : float
            Estimate without bias. It is clipped to the interval, which respects the range of the quantity.
        interval : tuple of float
            Ends of its 95 % interval, or NaN.
        plugin : float
            Value with the bias of sampling.
        null : float
            Value of the plug-in under the null model.
        note : str
            Caveat.

        Returns
        -------
        Estimate
            The estimate.
        """
        low, high = interval
        if math.isnan(low) or math.isnan(high) or math.isnan(value):
            return cls(plugin, null=null, note=note)
        return cls(min(max(value, low), high), low, high, null, note=note, plugin=plugin)

    @property
    def standard_error(self) -> float:
        """Standard error of the value: the width of the 95 % interval over 2 x 1.96, or NaN without an interval."""
        return (self.high - self.low) / (2 * Z95)

    @property
    def plugin_text(self) -> str:
        """The plug-in with four digits, or '' where it does not differ from the value."""
        text = number(self.plugin)
        return "" if self.undefined or text == number(self.value) else text

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if self.undefined:
            return f"undefined ({self.undefined})"
        interval = "" if math.isnan(self.low) else f" [{number(self.low)}, {number(self.high)}]"
        plugin = f" (plug-in {self.plugin_text})" if self.plugin_text else ""
        return f"{number(self.value)}{interval} {self.unit}".rstrip() + plugin

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Fields by name. Absent numbers and empty texts are None, and so is a plug-in that equals the value. A
            p-value stands there only if there is a test. The size of a sample and its standard error stand there only
            if the value was computed from one.
        """
        numbers = {name: json_number(getattr(self, name)) for name in ("value", "low", "high", "null")}
        remarks = {name: getattr(self, name) or None for name in ("undefined", "note", "no_interval", "definition")}
        plugin = None if self.plugin == self.value else json_number(self.plugin)
        extra: dict[str, Any] = {} if math.isnan(self.p_value) else {"p_value": self.p_value}
        if self.sampled:
            extra |= {"sampled": self.sampled, "standard_error": json_number(self.standard_error)}
        return {**numbers, "plugin": plugin, **extra, "unit": self.unit, **remarks}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Estimate:
        """Return the estimate that `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            Result of `to_dict`.

        Returns
        -------
        Estimate
            The estimate.
        """
        fields: dict[str, Any] = {name: number_from_json(content[name]) for name in ("value", "low", "high", "null")}
        fields |= {name: number_from_json(content.get(name)) for name in ("plugin", "p_value")}
        fields |= {name: content.get(name) or "" for name in ("note", "no_interval", "definition")}
        return cls(**fields, unit=content["unit"], undefined=content["undefined"], sampled=content.get("sampled", 0))


def renamed_measure(name: str, names: Sequence[str], known: Collection[str]) -> str | None:
    """Return the known name of a measure that is given under other names of the modalities.

    Parameters
    ----------
    name : str
        An unknown name, such as 'y_to_x_R@1'.
    names : sequence of str
        Names of the two modalities.
    known : collection of str
        Names of the measures.

    Returns
    -------
    str or None
        The name if 'x' and 'y', or 'image' and 'text', stand for the modalities in their order, else None.

    Examples
    --------
    >>> renamed_measure("y_to_x_R@1", ("image", "text"), ["image_to_text_R@1", "text_to_image_R@1"])
    'text_to_image_R@1'
    """
    for usual_names in USUAL_NAMES:
        renamed = dict(zip(usual_names, names, strict=False))
        similar = "_".join(renamed.get(part, part) for part in name.split("_"))
        if similar in known:
            return similar
    return None


@dataclass(frozen=True, eq=False, repr=False)
class Result(Tabular, Mapping[str, Estimate]):
    """Estimates by name, with curves and the provenance of the data.

    Parameters
    ----------
    metrics : mapping of str to Estimate
        Estimates by name. The result itself is this mapping.
    curves : mapping of str to array
        Spectra and principal angles by name.
    pairs : mapping of str to object
        Names, sizes, files and settings of the data.
    rows : Pairs, optional
        The pairs that were measured, whose rows `isthmus.plot` draws. None for a result that was loaded.

    Examples
    --------
    >>> result = Result({"gap": Estimate(1.0)})
    >>> list(result), result["gap"].value
    (['gap'], 1.0)
    """

    kind: ClassVar[str] = "result"

    metrics: Mapping[str, Estimate]
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)
    pairs: Mapping[str, Any] = field(default_factory=dict)
    rows: Any = None

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.metrics:
            similar = renamed_measure(name, self.pairs.get("names", ()), self.metrics)
            raise KeyError(str(unknown_name("measure", name, self.metrics, similar=similar)))
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `to_json` as plain Python values.

        Returns
        -------
        dict
            Format, version, pairs, metrics and curves.
        """
        return {
            "format": FORMAT_VERSION,
            "version": __version__,
            "pairs": dict(self.pairs),
            "metrics": {name: estimate.to_dict() for name, estimate in self.metrics.items()},
            "curves": {name: [json_number(value) for value in curve] for name, curve in self.curves.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Result:
        """Return the result that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Result
            The result.
        """
        metrics = {name: Estimate.from_dict(values) for name, values in content["metrics"].items()}
        curves = {name: np.array([number_from_json(v) for v in curve]) for name, curve in content["curves"].items()}
        return cls(metrics, curves, content["pairs"])

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each estimate.

        Returns
        -------
        dict of str to list
            'measure' is the name without modalities, so that results of several models join. 'side' is 'x', 'y',
            'x_to_y', 'y_to_x' or empty, and 'modality' names it. Then follow the numbers, the unit,
            remarks, and the items of the sample (0: all items).
        """
        names = [split_measure(name, self.pairs.get("names", ())) for name in self.metrics]
        estimates = list(self.metrics.values())
        numbers = {
            field: [getattr(e, field) for e in estimates] for field in ("value", "low", "high", "null", "plugin")
        }
        remarks = {field: [getattr(e, field) or "" for e in estimates] for field in ("unit", "undefined", "note")}
        identity = dict(zip(("measure", "side", "modality"), map(list, zip(*names, strict=True)), strict=True))
        sampled = {"sampled": [e.sampled for e in estimates]}
        return {**(identity or {"measure": [], "side": [], "modality": []}), **numbers, **remarks, **sampled}

    def __repr__(self) -> str:
        names = self.pairs.get("names", ())
        sizes = [f"{self.pairs['n_pairs']:,} pairs"] if "n_pairs" in self.pairs else []
        heading = ", ".join(
            [f"Result of {counted(len(self.metrics), 'measure')}", *(["-".join(names)] if names else []), *sizes]
        )
        shown = [name for name in HEADLINES if name in self.metrics] or list(self.metrics)[:REPR_ROWS]
        width = max(map(len, shown), default=0)
        sentence = self.pairs.get("matching", {}).get("sentence")  # '' if the rows match
        lines = [f"  {sentence}"] if sentence else []
        lines += [f"  {name:{width}}  {self.metrics[name]}" for name in shown]
        hidden = len(self.metrics) - len(shown)
        return "\n".join([heading, *lines, *([f"  and {hidden} more in .to_frame()"] if hidden else [])])


def split_measure(name: str, modalities: Sequence[str], /) -> tuple[str, str, str]:
    """Return the measure, its side and its modality from a printed name.

    Parameters
    ----------
    name : str
        Name of an estimate, such as 'rank_99_image' or 'image_to_text_R@1'.
    modalities : sequence of str
        Names of the two modalities, or nothing.

    Returns
    -------
    measure : str
        Name without modalities.
    side : str
        'x', 'y', 'x_to_y', 'y_to_x' or '' for a measure of both.
    modality : str
        The side with the names of the modalities.

    Examples
    --------
    >>> split_measure("rank_99_image", ("image", "text")), split_measure("text_to_image_R@1", ("image", "text"))
    (('rank_99', 'x', 'image'), ('R@1', 'y_to_x', 'text_to_image'))
    """
    if len(modalities) == 2:
        for (query, side_query), (corpus, side_corpus) in itertools.permutations(zip(modalities, "xy", strict=True)):
            if name.startswith(f"{query}_to_{corpus}_"):
                direction = f"{query}_to_{corpus}"
                return name.removeprefix(f"{direction}_"), f"{side_query}_to_{side_corpus}", direction
            if name.endswith(f"_{query}"):
                return name.removesuffix(f"_{query}"), side_query, query
    return name, "", ""
