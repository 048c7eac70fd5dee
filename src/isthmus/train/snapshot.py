"""What the monitor reads off the recent batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.diagnosis.cosine_decomposition import CosineDecomposition, decompose_cosine
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import Estimate
from isthmus.theory.assumptions import Assumption, check_moments
from isthmus.utils.format import number


@dataclass(frozen=True)
class GapSnapshot:
    """The state of the two clouds at a step of the training, from `n` recent pairs.

    Attributes
    ----------
    step, n : the step, and how many pairs were looked at
    gap : angle between the means in degrees, `undefined` where a mean cannot be told from zero
    distance : between the means
    lengths : of the means, by side, in [0, 1]
    budget : what 1 - E[x.y] is made of
    effective_ranks, ranks : by side, dimensions: RankMe, and those that hold 99 % of the energy
    excess_overlap : dimensions that the two sides share beyond chance
    assumptions : by name, how far the clouds are from what the theorems assume (`residual` in its unit)
    """

    step: int
    n: int
    names: tuple[str, str]
    gap: Estimate
    distance: float
    lengths: Mapping[str, float]
    budget: CosineDecomposition
    effective_ranks: Mapping[str, float]
    ranks: Mapping[str, float]
    excess_overlap: Estimate
    assumptions: Mapping[str, Assumption]

    @classmethod
    def of(cls, moments: Moments, /, *, step: int = 0, names: tuple[str, str] = ("image", "text")) -> GapSnapshot:
        """The reading of these moments of unit rows.

        >>> import isthmus
        >>> reading = GapSnapshot.of(isthmus.Moments.of(isthmus.demo.load("collapsed")), step=300)
        >>> round(reading.gap.value), round(reading.to_dict()["gap/budget_centre"], 3)
        (60, 0.255)
        """
        context = MetricContext(moments, names=names)

        def sides(measure: str) -> dict[str, float]:
            found = evaluate(registry()[measure + "_{side}"], context)
            return {name: found[f"{measure}_{name}"].value for name in names}

        return cls(
            step=step,
            n=moments.n,
            names=names,
            gap=gap_angle(context),
            distance=float(np.linalg.norm(moments.mean_x - moments.mean_y)),
            lengths={
                name: float(np.linalg.norm(mean))
                for name, mean in zip(names, (moments.mean_x, moments.mean_y), strict=True)
            },
            budget=decompose_cosine(moments),
            effective_ranks=sides("effective_rank"),
            ranks=sides("rank_99"),
            excess_overlap=evaluate(registry()["excess_overlap_dimensions"], context)["excess_overlap_dimensions"],
            assumptions=check_moments(moments, names=names),
        )

    def to_dict(self) -> dict[str, float]:
        """Every defined number under a name for a log: 'gap/angle', 'gap/budget_centre', 'gap/residual_...'."""
        found = {
            "angle": self.gap.value,
            "distance": self.distance,
            **{f"length_{name}": value for name, value in self.lengths.items()},
            **{f"budget_{name}": part.value for name, part in self.budget.items()},
            "budget_total": self.budget.total.value,
            "reached": self.budget.captured_fraction.value,
            **{f"effective_rank_{name}": value for name, value in self.effective_ranks.items()},
            **{f"rank_99_{name}": value for name, value in self.ranks.items()},
            "excess_overlap": self.excess_overlap.value,
            **{f"residual_{name}": entry.residual for name, entry in self.assumptions.items()},
        }
        return {f"gap/{name}": float(value) for name, value in found.items() if math.isfinite(value)}

    def __str__(self) -> str:
        gap = "gap undefined" if self.gap.undefined else f"gap {self.gap.value:.1f} degrees"
        x, y = self.names
        ranks = f"effective ranks {number(self.effective_ranks[x])} ({x}) and {number(self.effective_ranks[y])} ({y})"
        lengths = f"means {self.lengths[x]:.2f} and {self.lengths[y]:.2f} long"
        return f"step {self.step:,}: {gap}, {lengths}, {ranks}, mean cosine {1 - self.budget.total.value:.3f}"
