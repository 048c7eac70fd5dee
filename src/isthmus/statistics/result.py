"""What a measurement returns: numbers with their interval, their null and their unit."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.format import json_number, number
from isthmus.utils.version import __version__

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """One number about the data.

    Attributes
    ----------
    value : the number; NaN when `undefined`
    low, high : ends of the 95 % interval; NaN where the measure has none
    null : what chance alone gives; NaN where the measure declares none
    unit : 'degrees', 'cosine', 'dimensions', 'share' ...
    undefined : None, or the reason why the quantity has no meaning on these data
    definition : one line that says what was computed
    note : a caveat of this number on these data, such as 'n = 500 < d = 512: needs n >= 5,120'; empty if none
    no_interval : why this measure never has an interval; empty if it can have one
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
        """Plain JSON values; absent numbers are None."""
        numbers = {k: json_number(getattr(self, k)) for k in ("value", "low", "high", "null")}
        words = {k: getattr(self, k) or None for k in ("undefined", "note", "no_interval")}
        return {**numbers, "unit": self.unit, **words}


@dataclass(frozen=True)
class Result(Mapping[str, Estimate]):
    """Estimates by name, curves (spectra, principal angles) by name, and where they come from."""

    metrics: Mapping[str, Estimate]
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)
    pairs: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.metrics:
            from isthmus.utils.errors import unknown_name

            raise KeyError(str(unknown_name("measure", name, self.metrics)))
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """The content of `to_json` as plain Python values."""
        return {
            "format": FORMAT_VERSION,
            "version": __version__,
            "pairs": dict(self.pairs),
            "metrics": {name: estimate.to_dict() for name, estimate in self.metrics.items()},
            "curves": {name: [json_number(v) for v in curve] for name, curve in self.curves.items()},
        }

    def to_json(self) -> str:
        """Valid JSON: numbers that are absent or undefined are null."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json()` to `path`; the file appears whole or not at all."""
        with atomic_path(path) as part:
            part.write_text(self.to_json() + "\n", encoding="utf-8")
