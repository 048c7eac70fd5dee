"""The explanation: all that is known about the gap of one pair of modalities."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from isthmus.data.pairs import Pairs
from isthmus.diagnosis.calibration import Calibration, calibrate
from isthmus.diagnosis.collapse import CollapseReport, report_collapse
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.diagnosis.decomposition_intervals import decompose_pairs
from isthmus.diagnosis.verdict import verdict
from isthmus.evaluation import Comparison
from isthmus.metrics import measure
from isthmus.statistics.moments import moments_of
from isthmus.statistics.result import Result
from isthmus.theory.assumptions import Check, check
from isthmus.theory.ceilings import Ceiling, ceiling
from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.version import __version__


@dataclass(frozen=True)
class Explanation:
    """`budget` of the missing cosine, `collapse` report, `ceiling` of the mean cosine, `verdict` in sentences, and the
    `result` of all measures behind them. `assumptions` of the theory and `calibration` of the cosines are made when
    first asked for."""

    budget: CosineDecomposition
    verdict: list[str]
    result: Result
    comparison: Comparison | None
    collapse: CollapseReport
    ceiling: Ceiling
    pairs: Pairs
    temperature: float = 0.01

    @cached_property
    def assumptions(self) -> Check:
        """Which theorems speak about these pairs (`isthmus.theory.check` at `temperature`)."""
        return check(self.pairs, temperature=self.temperature)

    @cached_property
    def calibration(self) -> Calibration | None:
        """What a cosine means here (`isthmus.calibrate`); None for fewer than 20 items and rows that are not unit."""
        try:
            return calibrate(self.pairs, normalize=bool(self.result.pairs["normalize"]))
        except InputError:
            return None

    @property
    def ceiling_fraction(self) -> float:
        """Share of the ceiling (`ceiling.centred`) that the mean cosine reaches; NaN when that is not positive."""
        top = self.ceiling.centred
        return self.ceiling.mean_cosine / top if top > 0 else float("nan")

    def to_dict(self, cosine: float | None = None) -> dict[str, Any]:
        """Plain JSON values: those of the result, and beside them verdict, budget, collapse, ceiling, assumptions and
        calibration (with what `cosine` means, if there is one)."""
        ceilings = {name: getattr(self.ceiling, name) for name in ("mean_cosine", "centred", "uncentred", "rotated")}
        return {
            **self.result.to_dict(),
            "format": FORMAT_VERSION,
            "version": __version__,
            "verdict": list(self.verdict),
            "budget": self.budget.to_dict(),
            "ceiling": ceilings,
            "collapse": self.collapse.to_dict(),
            "assumptions": self.assumptions.to_dict(),
            "calibration": None if self.calibration is None else self.calibration.to_dict(cosine),
        }

    def to_json(self) -> str:
        """Valid JSON: numbers that are absent or undefined are null."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def explain(
    pairs: Pairs,
    /,
    *,
    comparison: Comparison | None = None,
    normalize: bool = True,
    temperature: float = 0.01,
) -> Explanation:
    """Measure `pairs` and say what the misalignment is made of.

    With a `comparison` (see `isthmus.compare`) the verdict also says what closing the gap does to the tasks.
    `temperature` is that of the training; only the check of the assumptions uses it.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 200, 8)) + [[[2.0]], [[3.0]]]
    >>> explanation = isthmus.explain(isthmus.Pairs(image=X, text=Y))
    >>> explanation.budget.largest
    'pairing'
    """
    result = measure(pairs, normalize=normalize)
    parts = decompose_pairs(pairs, normalize=normalize)
    collapse = report_collapse(pairs, parts, normalize=normalize)
    sentences = verdict(result, parts, comparison, collapse)
    top = ceiling(moments_of(pairs, normalize=normalize).numpy())
    return Explanation(parts, sentences, result, comparison, collapse, top, pairs, temperature)
