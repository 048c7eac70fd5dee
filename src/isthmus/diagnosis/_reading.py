"""Read the parts of a saved explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.diagnosis.collapse import CollapseReport
from isthmus.diagnosis.hypotheses import Hypothesis, Prediction
from isthmus.statistics.result import Estimate


def collapse_from_dict(content: Mapping[str, Any], /) -> CollapseReport:
    """Return the report that `CollapseReport.to_dict` wrote."""
    estimates = ("shared", "smallest_angle", "largest_angle", "orthogonal_share")
    collapse, offset = map(_hypothesis, content["accounts"])
    (x, rank_x), (y, rank_y) = content["ranks"].items()
    centred_ranks = content["centred_ranks"]
    return CollapseReport(
        names=(x, y),
        dim=content["dim"],
        ranks=(rank_x, rank_y),
        centred_ranks=(centred_ranks[x], centred_ranks[y]),
        guaranteed=content["forced"],
        collapsed=(content["collapsed"][x], content["collapsed"][y]),
        hypotheses=(collapse, offset),
        **{name: Estimate.from_dict(content[name]) for name in estimates},
    )


def _hypothesis(content: Mapping[str, Any]) -> Hypothesis:
    predictions = (Prediction(p["statement"], p["measured"], p["speaks"]) for p in content["predictions"])
    return Hypothesis(content["name"], content["source"], tuple(predictions))
