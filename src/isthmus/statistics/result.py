"""Results of measurements: numbers with their interval, their null value and their unit."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.utils.errors import unknown_name
from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.format import json_number, number
from isthmus.utils.version import __version__

NAN = float("nan")


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
        Caveat of this number on these data, such as 'n = 500 < d = 512: needs n >= 5,120'.
    no_interval : str
        Reason why this measure never has an interval.

    Examples
    --------
    >>> print(Estimate(0.5, 0.4, 0.6, unit="cosine"))
    0.5 [0.4, 0.6] cosine
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

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if self.undefined:
            return f"undefined ({self.undefined})"
        interval = "" if math.isnan(self.low) else f" [{number(self.low)}, {number(self.high)}]"
        return f"{number(self.value)}{interval} {self.unit}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Fields by name without the definition. Absent numbers and empty texts are None.
        """
        numbers = {name: json_number(getattr(self, name)) for name in ("value", "low", "high", "null")}
        remarks = {name: getattr(self, name) or None for name in ("undefined", "note", "no_interval")}
        return {**numbers, "unit": self.unit, **remarks}


@dataclass(frozen=True)
class Result(Mapping[str, Estimate]):
    """Estimates by name, with curves and the provenance of the data.

    Parameters
    ----------
    metrics : mapping of str to Estimate
        Estimates by name. The result itself is this mapping.
    curves : mapping of str to array
        Spectra and principal angles by name.
    pairs : mapping of str to object
        Names, sizes, files and settings of the data.

    Examples
    --------
    >>> result = Result({"gap": Estimate(1.0)})
    >>> list(result), result["gap"].value
    (['gap'], 1.0)
    """

    metrics: Mapping[str, Estimate]
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)
    pairs: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.metrics:
            raise KeyError(str(unknown_name("measure", name, self.metrics)))
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

    def to_json(self) -> str:
        """Return the result as valid JSON.

        Returns
        -------
        str
            JSON text. Numbers that are absent or undefined are null.
        """
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result as JSON, atomically.

        Parameters
        ----------
        path : path-like
            File to write.
        """
        with atomic_path(path) as temporary:
            temporary.write_text(self.to_json() + "\n", encoding="utf-8")
