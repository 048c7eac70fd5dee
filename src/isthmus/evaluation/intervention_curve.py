"""The result of interventions on the gap: points, their curves, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from isthmus.statistics.intervals import chance_limit
from isthmus.statistics.result import Estimate
from isthmus.utils.errors import unknown_name
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import json_number, number_from_json, percent
from isthmus.utils.tabular import Tabular
from isthmus.utils.version import __version__

#: Each intervention, what it changes, and its strengths. Strength 0 is the raw space.
INTERVENTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "translate": (
        "both modalities move along the line between their means. At 1 the means coincide, below 0 the gap widens",
        (-0.5, -0.25, 0.25, 0.5, 0.75, 1.0),
    ),
    "rotate": (
        "the first modality is rotated in the plane of the two means. At 1 both means have one direction",
        (-0.5, -0.25, 0.25, 0.5, 0.75, 1.0),
    ),
    "collapse": (
        "the covarying directions shrink by this share in both modalities. At 1 they are removed",
        (0.2, 0.4, 0.6, 0.8, 0.9, 1.0),
    ),
    "remove_unshared": (
        "the directions that do not covary shrink by this share in both modalities. At 1 they are removed",
        (0.2, 0.4, 0.6, 0.8, 0.9, 1.0),
    ),
}

#: Smallest difference of two shares of variance with which one explanation is called better.
MIN_DIFFERENCE = 0.05
#: Names of the measures of a point, besides its scores.
MEASURES = ("gap", "gap_plugin", "gap_distance", "gap_distance_plugin", "alignment")


@dataclass(frozen=True)
class InterventionPoint:
    """The test pairs after one intervention of one strength.

    Parameters
    ----------
    intervention : str
        A name in `INTERVENTIONS`, or 'raw'.
    strength : float
        Strength of the intervention. The raw space has 0.
    gap : float
        Angle between the means in degrees without the bias of sampling, NaN where it is undefined.
    gap_distance : float
        Euclidean distance between the means without the bias of sampling.
    alignment : float
        Shared-space alignment in [-1, 1], see `isthmus.evaluation.shared_space.shared_alignment`.
    scores : dict of str to float
        Scores of the tasks.
    gap_plugin, gap_distance_plugin : float
        Angle and distance with the bias of sampling, the published forms. Default: NaN.

    Examples
    --------
    >>> InterventionPoint("rotate", 0.5, 30.0, 0.5, 0.4, {"R@1": 0.6}).gap
    30.0
    """

    intervention: str
    strength: float
    gap: float
    gap_distance: float
    alignment: float
    scores: dict[str, float]
    gap_plugin: float = math.nan
    gap_distance_plugin: float = math.nan


@dataclass(frozen=True, eq=False, repr=False)
class InterventionCurve(Tabular):
    """All points of an experiment, and how well the gap and the alignment explain each score.

    Parameters
    ----------
    points : list of InterventionPoint
        The raw space first, then each intervention in order of its strengths.
    explained : dict of str to dict of str to Estimate
        For each score: 'gap' and 'alignment' (Spearman's rank correlation over the points) and 'difference'
        (|alignment| - |gap|). Rank correlations ignore how far a score moves. 'gap_curve' and 'alignment_curve' are the
        shares of the score's variance that a monotone curve explains. 'curve_difference' is alignment minus gap. The
        verdict is based on 'curve_difference'.
    gap_measure : str
        'gap' (degrees), or 'gap_distance' if the angle is undefined at some point.
    shared_dimensions : int
        Dimension of the shared space.
    n_fit, n_test : int
        Numbers of pairs.
    names : tuple of str
        Names of the two modalities.
    settings : dict
        Arguments of the experiment.

    Notes
    -----
    Intervals are percentiles of a bootstrap that resamples the points within each intervention. They state how much
    the answer depends on the chosen strengths, and not how precise the scores are.

    Examples
    --------
    >>> raw = InterventionPoint("raw", 0.0, 60.0, 1.0, 0.4, {"R@1": 0.6})
    >>> half = InterventionPoint("rotate", 0.5, 30.0, 0.5, 0.4, {"R@1": 0.6})
    >>> curve = InterventionCurve([raw, half], {}, "gap", 8, 100, 100, ("image", "text"))
    >>> [point.gap for point in curve.curve("rotate")]
    [60.0, 30.0]
    """

    kind: ClassVar[str] = "intervention curve"

    points: list[InterventionPoint]
    explained: dict[str, dict[str, Estimate]]
    gap_measure: str
    shared_dimensions: int
    n_fit: int
    n_test: int
    names: tuple[str, str]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def raw(self) -> InterventionPoint:
        """Return the point of the raw space."""
        return next(point for point in self.points if point.strength == 0)

    def curve(self, intervention: str) -> list[InterventionPoint]:
        """Return the points of one intervention in order of strength, with the raw space at strength 0.

        Parameters
        ----------
        intervention : str
            A name in `INTERVENTIONS`.

        Returns
        -------
        list of InterventionPoint
            Points in order of strength.

        Raises
        ------
        InputError
            If the name is unknown.
        """
        if intervention not in INTERVENTIONS:
            raise unknown_name("intervention", intervention, INTERVENTIONS)
        points = (p for p in self.points if p.intervention == intervention or p.strength == 0)
        return sorted(points, key=lambda point: point.strength)

    def verdict(self) -> list[str]:
        """Return one sentence for each score: which of the gap and the alignment explains it better.

        Returns
        -------
        list of str
            Sentences in the order of `explained`.
        """
        sentences = []
        for score, estimates in self.explained.items():
            if reason := self._unexplained(score):
                sentences.append(f"{reason}, so there is nothing to explain.")
                continue
            gap, alignment = (
                f"{100 * estimates[f'{name}_curve'].value:.0f} % of its variance "
                f"(rank correlation {_interval(estimates[name])})"
                for name in ("gap", "alignment")
            )
            evidence = f"A monotone curve of the alignment explains {alignment}, and one of the gap {gap}."
            sentences.append(f"{self._followed(score)}. {evidence} {self._changes(score)}")
        return sentences

    def conclusions(self) -> list[str]:
        """Return the verdict on each score in one short sentence with the two shares of variance.

        Returns
        -------
        list of str
            Sentences in the order of `explained`.
        """
        sentences = []
        for score, estimates in self.explained.items():
            if reason := self._unexplained(score):
                sentences.append(f"{reason}.")
                continue
            gap, alignment = (f"{100 * estimates[f'{name}_curve'].value:.0f} %" for name in ("gap", "alignment"))
            evidence = f"the alignment explains {alignment} of its variance here, the gap {gap}"
            sentences.append(f"{self._followed(score)}: {evidence}.")
        return sentences

    def _unexplained(self, score: str) -> str:
        """Return why a score follows neither the gap nor the alignment, or an empty text."""
        difference = self.explained[score]["curve_difference"]
        if not math.isfinite(difference.value) or not math.isfinite(difference.low):
            return f"{score} hardly changes over these interventions"
        highest, chance = max(point.scores[score] for point in self.points), 1 / self.n_test
        if score == "R@1" and highest <= chance_limit(chance, self.n_test):
            return f"{score} is at chance at every strength (at most {percent(highest)}, chance {percent(chance)})"
        return ""

    def _followed(self, score: str) -> str:
        """Return which of the gap and the alignment a score follows."""
        difference = self.explained[score]["curve_difference"]
        if difference.low > 0 and difference.value >= MIN_DIFFERENCE:
            return f"{score} follows the alignment of the shared space more closely than the gap"
        if difference.high < 0 and difference.value <= -MIN_DIFFERENCE:
            return f"{score} follows the gap more closely than the alignment of the shared space"
        return f"These interventions do not show whether {score} follows the gap or the alignment"

    def _changes(self, score: str) -> str:
        """Describe the score, the gap and the alignment at full strength of each intervention."""
        raw, unit = self.raw, " degrees" if self.gap_measure == "gap" else ""
        full_strengths = [self.curve(name)[-1] for name in self.settings["interventions"]]
        changes = [
            f"{full_strength.intervention} {full_strength.scores[score] - raw.scores[score]:+.3f} "
            f"(gap {getattr(full_strength, self.gap_measure):.3g}{unit}, alignment {full_strength.alignment:.3f})"
            for full_strength in full_strengths
        ]
        start = f"gap {getattr(raw, self.gap_measure):.3g}{unit}, alignment {raw.alignment:.3f}"
        return f"At full strength it changes from {raw.scores[score]:.3f} ({start}) by: {'; '.join(changes)}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Content of `to_json`. Absent numbers are None.
        """
        return {
            "format": FORMAT_VERSION,
            "kind": "intervention curve",
            "version": __version__,
            "names": list(self.names),
            "n_fit": self.n_fit,
            "n_test": self.n_test,
            "shared_dimensions": self.shared_dimensions,
            "gap_measure": self.gap_measure,
            "settings": self.settings,
            "explained": {
                score: {name: estimate.to_dict() for name, estimate in estimates.items()}
                for score, estimates in self.explained.items()
            },
            "verdict": self.verdict(),
            "points": [
                {
                    "intervention": point.intervention,
                    "strength": point.strength,
                    **{name: json_number(getattr(point, name)) for name in MEASURES},
                    **point.scores,
                }
                for point in self.points
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> InterventionCurve:
        """Return the experiment that `save` wrote as JSON.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        InterventionCurve
            The experiment.
        """
        explained = {
            score: {name: Estimate.from_dict(values) for name, values in estimates.items()}
            for score, estimates in content["explained"].items()
        }
        points = []
        for point in content["points"]:
            measures = {name: number_from_json(point[name]) for name in MEASURES}
            scores = {
                name: value for name, value in point.items() if name not in {"intervention", "strength", *MEASURES}
            }
            points.append(InterventionPoint(point["intervention"], point["strength"], scores=scores, **measures))
        sizes = {name: content[name] for name in ("gap_measure", "shared_dimensions", "n_fit", "n_test", "settings")}
        return cls(points=points, explained=explained, names=(content["names"][0], content["names"][1]), **sizes)

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each point.

        Returns
        -------
        dict of str to list
            Intervention, strength, gap in degrees and distance of the means with their plug-ins, alignment and every
            score.
        """
        own = ("intervention", "strength", *MEASURES)
        scores = list(dict.fromkeys(name for point in self.points for name in point.scores))
        columns: dict[str, list[Any]] = {name: [getattr(point, name) for point in self.points] for name in own}
        return columns | {name: [point.scores.get(name, math.nan) for point in self.points] for name in scores}

    def __repr__(self) -> str:
        interventions = ", ".join(dict.fromkeys(point.intervention for point in self.points if point.strength))
        heading = f"InterventionCurve of {len(self.points)} points ({interventions})"
        return "\n".join([heading, *(f"  {sentence}" for sentence in self.verdict())])


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "undefined"
    interval = "no interval" if math.isnan(estimate.low) else f"95 %: {estimate.low:+.2f} to {estimate.high:+.2f}"
    return f"{estimate.value:+.2f}, {interval}"
