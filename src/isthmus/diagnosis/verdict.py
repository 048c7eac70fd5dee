"""The verdict: a few plain sentences made from the numbers and nothing else, the strongest caveat first."""

from __future__ import annotations

import math

from isthmus.comparison import Comparison, Row
from isthmus.diagnosis.budget import Budget
from isthmus.result import Estimate, Result

#: How each part is named in a sentence.
SPOKEN = {
    "spectrum": "unequal spectra",
    "centre": "the angle between the means (the modality gap)",
    "orientation": "the different orientation of the two clouds (dimension collapse)",
    "pairing": "the pairing itself",
}


def verdict(result: Result, budget: Budget, comparison: Comparison | None = None) -> list[str]:
    """Three to seven sentences about one pair of modalities."""
    x, y = result.pairs["names"]
    sentences = _caveats(result, x, y)
    sentences.append(_gap(result, x, y))
    sentences.append(_budget(budget))
    sentences.append(_subspaces(result, x, y))
    sentences.append(_retrieval(result, x, y))
    if comparison is not None:
        sentences.extend(_closing(comparison))
    return [s for s in sentences if s]


def at_chance(result: Result) -> bool:
    """Whether recall of the partner is within three standard errors of chance in both directions.

    R@10 sees a weak pairing better than R@1; in fewer than 20 items it sees nothing.
    """
    x, y = result.pairs["names"]
    n = result.pairs["items_ranked"]
    k = 10 if n >= 20 else 1
    found = [result[f"{a}_to_{b}_R@{k}"] for a, b in ((x, y), (y, x))]
    return all(e.value - e.null <= 3 * math.sqrt(e.null * (1 - e.null) / n) for e in found)


def _caveats(result: Result, x: str, y: str) -> list[str]:
    n, dim = result.pairs["n"], result.pairs["dim"]
    found = []
    if at_chance(result):
        recall = result[f"{x}_to_{y}_R@1"]
        found.append(
            f"Retrieval is at chance (R@1 {percent(recall.value)}, chance {percent(recall.null)}): either row i "
            f"of {x} is not the partner of row i of {y}, or the encoders were never trained together; nothing "
            "below says anything about a trained model."
        )
    if n < dim:
        found.append(
            f"There are fewer pairs ({n:,}) than dimensions ({dim:,}): ranks, shared dimensions and the last two "
            "parts of the budget still change with n."
        )
    return found


def _gap(result: Result, x: str, y: str) -> str:
    angle, distance = result["centroid_angle"], result["centroid_distance"]
    if angle.undefined:
        return (
            f"The gap has no angle here: {angle.undefined}. The means are {distance.value:.3f} apart "
            f"(chance {distance.null:.3f})."
        )
    return (
        f"The mean {x} and the mean {y} point {angle.value:.1f} degrees apart (95 %: {angle.low:.1f} to "
        f"{angle.high:.1f}; random swaps of the sides leave {angle.null:.1f}) at a distance of "
        f"{distance.value:.3f}."
    )


def _budget(budget: Budget) -> str:
    order = sorted(budget, key=lambda name: -budget[name].value)
    parts = [f"{budget[name].value:.3f} {SPOKEN[name]}" for name in order]
    return (
        f"Partners miss {budget.total.value:.3f} of the full cosine of 1: "
        + ", ".join(parts[:-1])
        + f" and {parts[-1]}."
    )


def _subspaces(result: Result, x: str, y: str) -> str:
    shared, dim = result["overlap_dimensions"], result.pairs["dim"]
    rank_x, rank_y = (result[f"rank_99_{side}"].value for side in (x, y))
    forced = int(shared.null)
    excess = int(shared.value) - forced
    text = f"99 % of the energy lies in {rank_x:.0f} ({x}) and {rank_y:.0f} ({y}) of {dim} dimensions"
    if min(rank_x, rank_y) >= dim:
        return text + ": neither side has collapsed."
    count = f"{shared.value:.0f} dimension{'' if shared.value == 1 else 's'}"
    if shared.value == 0:
        return text + f"; the two subspaces share none (their smallest angle is {_small_angle(result)})."
    if forced == 0:
        return text + f"; the two subspaces share {count}, none of them forced by the ranks."
    return text + (
        f"; the two subspaces share {count}, of which any two subspaces of these ranks share {forced}"
        + (f": {excess} say something." if excess > 0 else ": nothing beyond that.")
    )


def _small_angle(result: Result) -> str:
    angle = result["smallest_principal_angle"]
    return f"{angle.value:.1f} degrees, {angle.null:.1f} for random ones"


def _retrieval(result: Result, x: str, y: str) -> str:
    if at_chance(result):
        return ""
    there, back = result[f"{x}_to_{y}_R@1"], result[f"{y}_to_{x}_R@1"]
    return (
        f"The partner is found first for {percent(there.value)} of {x} and {percent(back.value)} of {y} queries "
        f"(chance {percent(there.null)} and {percent(back.null)})."
    )


def best_row(comparison: Comparison) -> Row | None:
    """The row that the verdict names: the best mixed R@1 among the aligners that keep recall, or among all when none
    does; None when no aligner could be fitted."""
    rows = [row for row in comparison.rows if row.scores and row.name != "Identity"]
    return max(_keepers(rows) or rows, key=lambda row: row.scores["mixed_R@1"].value, default=None)


def _keepers(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.changes["R@1"].high >= 0 and row.changes["mixed_R@1"].low > 0]


def _closing(comparison: Comparison) -> list[str]:
    raw = comparison["Identity"].scores
    best = best_row(comparison)
    if best is None:
        return ["No aligner could be fitted: see the table for the reasons."]
    found, own = (percent(raw[name].value) for name in ("mixed_R@1", "own_modality"))
    where = f"In a corpus that mixes both modalities the raw space finds the partner first in {found} of searches"
    if best.changes["mixed_R@1"].low <= 0:
        return [where + "; none of the corrections tried changes that on unseen pairs."]
    which = "correction tried that keeps recall" if _keepers([best]) else "correction tried"
    return [
        f"{where} (of its top ten, {own} have the query's own modality); the best {which}, {best.name}, reaches "
        f"{percent(best.scores['mixed_R@1'].value)} on unseen pairs, and {_kept(best.changes['R@1'])}."
    ]


def _kept(change: Estimate) -> str:
    points = f"{100 * change.value:+.1f} points, 95 %: {100 * change.low:+.1f} to {100 * change.high:+.1f}"
    if change.low > 0:
        return f"cross-modal R@1 rises ({points})"
    if change.high < 0:
        return f"cross-modal R@1 falls ({points})"
    return f"cross-modal R@1 does not change measurably ({points})"


def percent(share: float) -> str:
    """A share for people: '55.2 %'.

    >>> percent(0.5521)
    '55.2 %'
    """
    return f"{100 * share:.1f} %"
