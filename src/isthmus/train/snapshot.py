"""Snapshot of the modality gap at one step of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from isthmus.diagnosis.cosine_decomposition import CosineDecomposition, decompose_cosine
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.degeneracy import Degeneracy, find_degeneracies
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import Estimate
from isthmus.theory.assumptions import check_moments
from isthmus.theory.statements import Assumption
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import json_number, number, number_from_json
from isthmus.utils.tabular import Tabular
from isthmus.utils.version import __version__

#: Pairs for each dimension from which on the bias of ranks and components is small.
PAIRS_PER_DIMENSION = 10


@dataclass(frozen=True, eq=False, repr=False)
class GapSnapshot(Tabular):
    """Gap, ranks and assumptions of `n` recent pairs at a step of the training.

    Parameters
    ----------
    step : int
        Step of the training.
    n : int
        Number of pairs.
    names : tuple of two str
        Names of the modalities.
    gap : Estimate
        Angle between the means in degrees, `undefined` if a mean is not distinguishable from zero.
    distance : float
        Distance between the means, in [0, 2], without the bias of sampling.
    lengths : mapping of str to float
        Length of the mean of each modality, in [0, 1], without the bias of sampling.
    budget : CosineDecomposition
        Decomposition of 1 - E[x.y]. The components are plug-ins. Below ten pairs for each dimension, `budget.notes`
        says in which direction sampling biases them.
    effective_ranks : mapping of str to float
        Effective rank (RankMe) of each modality in dimensions, a plug-in that is too low for few pairs.
    ranks : mapping of str to float
        Number of dimensions with 99 % of the energy of each modality, a plug-in that is too low for few pairs.
    excess_overlap : Estimate
        Number of dimensions that the modalities share beyond chance, a plug-in.
    assumptions : mapping of str to Assumption
        Deviations from the assumptions of the theorems, `residual` in its unit.
    plugins : mapping of str to float
        Plug-in of 'angle', 'distance' and 'length_NAME', which the bias of sampling changes.
    degeneracies : tuple of Degeneracy
        Ways in which the pairs are degenerate, such as rows that are all the same.

    Examples
    --------
    >>> import isthmus
    >>> snapshot = GapSnapshot.of(isthmus.Moments.of(isthmus.demo.load("collapsed")), step=300)
    >>> str(snapshot).split(",")[0]
    'step 300: gap 60.0 degrees'
    """

    kind: ClassVar[str] = "gap snapshot"

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
    plugins: Mapping[str, float] = field(default_factory=dict)
    degeneracies: tuple[Degeneracy, ...] = ()

    @classmethod
    def of(cls, moments: Moments, /, *, step: int = 0, names: tuple[str, str] = ("image", "text")) -> GapSnapshot:
        """Compute the snapshot of moments of unit rows.

        Parameters
        ----------
        moments : Moments
            Moments of unit rows.
        step : int, default 0
            Step of the training.
        names : tuple of two str, default ("image", "text")
            Names of the modalities.

        Returns
        -------
        GapSnapshot
            Snapshot of these pairs.

        Examples
        --------
        >>> import isthmus
        >>> snapshot = GapSnapshot.of(isthmus.Moments.of(isthmus.demo.load("collapsed")), step=300)
        >>> round(snapshot.gap.value), round(snapshot.to_dict()["gap/budget_centre"], 3)
        (60, 0.255)
        """
        context = MetricContext(moments, names=names)
        metrics = registry()

        def by_modality(measure: str) -> dict[str, float]:
            estimates = evaluate(metrics[measure + "_{side}"], context)
            return {name: estimates[f"{measure}_{name}"].value for name in names}

        gap = gap_angle(context)
        distance = evaluate(metrics["centroid_distance"], context)["centroid_distance"]
        lengths = evaluate(metrics["mean_resultant_length_{side}"], context)
        of_means = {f"length_{name}": lengths[f"mean_resultant_length_{name}"] for name in names}
        return cls(
            step=step,
            n=moments.n,
            names=names,
            gap=gap,
            distance=distance.value,
            lengths={name: of_means[f"length_{name}"].value for name in names},
            plugins={
                name: estimate.plugin for name, estimate in {"angle": gap, "distance": distance, **of_means}.items()
            },
            budget=replace(decompose_cosine(moments), notes=_bias_notes(moments)),
            effective_ranks=by_modality("effective_rank"),
            ranks=by_modality("rank_99"),
            excess_overlap=evaluate(metrics["excess_overlap_dimensions"], context)["excess_overlap_dimensions"],
            assumptions=check_moments(moments, names=names),
            degeneracies=tuple(find_degeneracies(moments, names)),
        )

    def to_dict(self) -> dict[str, float]:
        """Return every defined number under a name for a logger.

        Returns
        -------
        dict of str to float
            Numbers by names such as 'gap/angle', 'gap/budget_centre' and 'gap/residual_constant_part_image'. The
            names of p-values start with 'gap/p_'.
        """
        numbers = {
            "angle": self.gap.value,
            "distance": self.distance,
            **{f"length_{name}": value for name, value in self.lengths.items()},
            **{f"plugin_{name}": value for name, value in self.plugins.items()},
            **{f"budget_{name}": estimate.value for name, estimate in self.budget.items()},
            "budget_total": self.budget.total.value,
            "reached": self.budget.captured_fraction.value,
            **{f"effective_rank_{name}": value for name, value in self.effective_ranks.items()},
            **{f"rank_99_{name}": value for name, value in self.ranks.items()},
            "excess_overlap": self.excess_overlap.value,
            **{
                f"p_{name}" if entry.unit == "p-value" else f"residual_{name}": entry.residual
                for name, entry in self.assumptions.items()
            },
        }
        return {f"gap/{name}": float(value) for name, value in numbers.items() if math.isfinite(value)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> GapSnapshot:
        """Return the snapshot that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        GapSnapshot
            The snapshot.
        """
        plain = {name: content[name] for name in ("step", "n", "distance", "lengths", "effective_ranks", "ranks")}
        return cls(
            **plain,
            names=(content["names"][0], content["names"][1]),
            gap=Estimate.from_dict(content["gap"]),
            budget=CosineDecomposition.from_dict(content["budget"]),
            excess_overlap=Estimate.from_dict(content["excess_overlap"]),
            assumptions={name: Assumption.from_dict(values) for name, values in content["assumptions"].items()},
            plugins={name: number_from_json(value) for name, value in content.get("plugins", {}).items()},
        )

    def _saved(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("step", "n", "distance", "lengths", "effective_ranks", "ranks")}
        parts = {name: getattr(self, name).to_dict() for name in ("gap", "budget", "excess_overlap")}
        assumptions = {name: assumption.to_dict() for name, assumption in self.assumptions.items()}
        plain["plugins"] = {name: json_number(value) for name, value in self.plugins.items()}
        heading = {"format": FORMAT_VERSION, "kind": self.kind, "version": __version__, "names": list(self.names)}
        return {**heading, **plain, **parts, "assumptions": assumptions}

    def columns(self) -> dict[str, list[Any]]:
        """Return one row with every defined number.

        Returns
        -------
        dict of str to list
            'step', 'n', and the numbers under their names without 'gap/'.
        """
        numbers = {name.removeprefix("gap/"): [value] for name, value in self.to_dict().items()}
        return {"step": [self.step], "n": [self.n], **numbers}

    def __repr__(self) -> str:
        return f"GapSnapshot({self})"

    def __str__(self) -> str:
        gap = "gap undefined" if self.gap.undefined else f"gap {self.gap.value:.1f} degrees"
        x, y = self.names
        ranks = f"effective ranks {number(self.effective_ranks[x])} ({x}) and {number(self.effective_ranks[y])} ({y})"
        lengths = f"means {self.lengths[x]:.2f} and {self.lengths[y]:.2f} long"
        bias = " (ranks are too low: few pairs)" if self.budget.notes else ""
        return f"step {self.step:,}: {gap}, {lengths}, {ranks}{bias}, mean cosine {1 - self.budget.total.value:.3f}"


def _bias_notes(moments: Moments) -> tuple[str, ...]:
    """Return how sampling biases plug-ins of so few pairs, or nothing."""
    needed = PAIRS_PER_DIMENSION * moments.dim_x
    n_items = moments.by_item.n_items
    if n_items >= needed:
        return ()
    return (
        f"Few pairs ({n_items:,} of the {needed:,} that {moments.dim_x:,} dimensions need): ranks and pairing are "
        "too low, and orientation is too high.",
    )
