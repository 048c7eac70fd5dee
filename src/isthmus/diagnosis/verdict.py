"""The verdict: a few plain sentences made from the numbers and nothing else, the strongest caveat first."""

from __future__ import annotations

import math

from isthmus.diagnosis.collapse import REFUTED, SUPPORTED, UNDECIDED, CollapseReport
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.evaluation import Comparison, Summary
from isthmus.statistics.result import Estimate, Result
from isthmus.utils.format import percent

#: How each part is named in a sentence.
SPOKEN = {
    "spectrum": "the unequal spread of the two sides over their directions",
    "centre": "the angle between the means (the modality gap proper)",
    "orientation": "the different orientation of the two clouds",
    "pairing": "partners that differ although the clouds agree",
}
#: Parts below this share of the missing cosine go unnamed.
SMALL = 0.02
#: Fewer missing than this is none: float32 rows miss 1e-7.
NOTHING = 1e-4


def verdict(
    result: Result,
    budget: CosineDecomposition,
    comparison: Comparison | None = None,
    collapse: CollapseReport | None = None,
) -> list[str]:
    """Three to six sentences about one pair of modalities, made from these numbers alone; what weakens them first."""
    x, y = result.pairs["names"]
    sentences = _caveats(result, budget, x, y)
    sentences.append(_gap(result, x, y))
    ranks = [result[f"rank_99_{side}"].value for side in (x, y)]
    sentences.append(_budget(budget, min(ranks) < result.pairs["dim"]))
    sentences.append(_subspaces(result, collapse, x, y))
    sentences.append(_retrieval(result, x, y))
    if comparison is not None:
        sentences.append(_closing(comparison))
    return [s for s in sentences if s]


def retrieval_at_chance(result: Result) -> bool:
    """Whether recall of the partner is within three standard errors of chance in both directions.

    R@10 sees a weak pairing better than R@1; in fewer than 20 items it sees nothing.
    """
    x, y = result.pairs["names"]
    n = result.pairs["items_ranked"]
    k = 10 if n >= 20 else 1
    found = [result[f"{a}_to_{b}_R@{k}"] for a, b in ((x, y), (y, x))]
    return all(e.value - e.null <= 3 * math.sqrt(e.null * (1 - e.null) / n) for e in found)


def _caveats(result: Result, budget: CosineDecomposition, x: str, y: str) -> list[str]:
    found = []
    if retrieval_at_chance(result):
        recall = result[f"{x}_to_{y}_R@1"]
        start = f"Retrieval is at chance (R@1 {percent(recall.value)}, chance {percent(recall.null)})"
        if _turned(budget):
            rotated = budget.best_rotation_fraction
            found.append(
                f"{start}, yet partners follow each other: the best rotation of one side would bring their covariance "
                f"from {percent(budget.captured_fraction.value)} to {percent(rotated.value)} of what is possible "
                f"({percent(rotated.null)} for shuffled partners). The rows are paired, but the two sides are "
                "turned against each other; they do not come from one shared space as they are."
            )
        else:
            slight = budget.captured_fraction.value > budget.shuffled_95th_percentile
            found.append(
                f"{start}: either row i of {x} is not the partner of row i of {y}, or the encoders were never trained "
                f"together, or {result.pairs['items']:,} items are too few to see a weak pairing"
                + (" (partners covary more than 95 % of shuffled pairings do)" if slight else "")
                + "; what follows speaks of two clouds rather than of pairs."
            )
    items, dim = result.pairs["items"], result.pairs["dim"]
    if items <= dim:
        # In a handful of items recall says little, so that this is then the stronger caveat.
        found.insert(
            0 if items < 20 else len(found),
            f"There are no more items ({items:,}) than dimensions ({dim:,}): ranks, shared dimensions and the split "
            "between orientation and pairing would change with more.",
        )
    elif budget.notes:
        found.append(
            f"The parts of the missing cosine have no intervals, because {items:,} items are few for {dim:,} "
            "dimensions: orientation comes out too large and pairing too small."
        )
    return found


def _turned(budget: CosineDecomposition) -> bool:
    """Whether a rotation would find the partners that cosines do not."""
    rotated = budget.best_rotation_fraction
    return bool(
        rotated.value > 2 * rotated.null and rotated.value > 0.3 and rotated.value > 2 * budget.captured_fraction.value
    )


def _gap(result: Result, x: str, y: str) -> str:
    angle, distance = result["centroid_angle"], result["centroid_distance"]
    if _no_gap(result):
        return (
            f"There is no gap to speak of: the means are {distance.value:.3f} apart, and sampling alone gives "
            f"{distance.null:.3f}."
        )
    if angle.undefined:
        return (
            f"The gap has no angle here, because {angle.undefined}; the means are {distance.value:.3f} apart, and "
            f"sampling alone gives {distance.null:.3f}."
        )
    swaps = "" if math.isnan(angle.null) else f"; random swaps of the sides leave {angle.null:.1f}"
    return (
        f"The mean {x} and the mean {y} point {angle.value:.1f} degrees apart (95 %: {angle.low:.1f} to "
        f"{angle.high:.1f}{swaps}), at a distance of {distance.value:.3f}."
    )


def _no_gap(result: Result) -> bool:
    """Whether the distance of the means is what sampling alone gives."""
    distance = result["centroid_distance"]
    return distance.low == 0 or distance.value <= distance.null


def _budget(budget: CosineDecomposition, collapsed: bool) -> str:
    total = budget.total.value
    if total < NOTHING:
        return "Partners have the full cosine of 1: nothing is missing."
    named = [name for name in budget if budget[name].value >= SMALL * total]
    named.sort(key=lambda name: -budget[name].value)
    text = f"Partners miss {total:.3f} of the full cosine of 1"
    rest = total - sum(budget[name].value for name in named)
    if len(named) == 1:
        only = named[0]
        return f"{text}, nearly all of it ({_amount(budget[only])}) due to {_named(budget, only, collapsed)}."
    parts = [f"{_amount(budget[name])} due to {_named(budget, name, collapsed)}" for name in named]
    ending = f"; the rest ({rest:.3f}) is small change" if rest >= 0.0005 else ""
    return f"{text}: {', '.join(parts[:-1])} and {parts[-1]}{ending}."


def _amount(part: Estimate) -> str:
    # An interval that lies below the value would need more words than a verdict has.
    if math.isnan(part.low) or part.low > part.value or part.high < part.value:
        return f"{part.value:.3f}"
    digits = 3 if part.high - part.low >= 0.001 else 4
    return f"{part.value:.{digits}f} [{part.low:.{digits}f}, {part.high:.{digits}f}]"


def _named(budget: CosineDecomposition, name: str, collapsed: bool) -> str:
    text = SPOKEN[name]
    if name != "orientation":
        return text
    part = budget[name]
    if part.low > part.null or (math.isnan(part.low) and part.value > 2 * part.null):
        return text + (" (dimension collapse)" if collapsed else " (a rotation of one side would mend it)")
    return f"{text} (sampling alone gives {part.null:.3f})"


def _subspaces(result: Result, collapse: CollapseReport | None, x: str, y: str) -> str:
    items, dim = result.pairs["items"], result.pairs["dim"]
    rank_x, rank_y = (result[f"rank_99_{side}"].value for side in (x, y))
    if min(rank_x, rank_y) >= dim:
        text = f"Neither side has collapsed: both need all {dim:,} dimensions for 99 % of their energy"
    else:
        text = f"99 % of the energy lies in {rank_x:.0f} ({x}) and {rank_y:.0f} ({y}) of {dim:,} dimensions"
        if items > dim:
            text += f", and these {_shared(result)}"
    if collapse is None or result["centroid_angle"].undefined or _no_gap(result):
        return text + "."
    return f"{text}; {_accounts(collapse)}."


def _shared(result: Result) -> str:
    shared = result["overlap_dimensions"]
    forced = int(shared.null)
    excess = int(shared.value) - forced
    if shared.value == 0:
        angle = result["smallest_principal_angle"]
        return f"share none (their smallest angle is {angle.value:.1f} degrees, {angle.null:.1f} for random ones)"
    if forced == 0:
        return f"share {shared.value:.0f}, where random subspaces share none"
    return f"share {shared.value:.0f}" + (
        f", {excess} more than the ranks force" if excess > 0 else ", no more than the ranks force"
    )


def _accounts(collapse: CollapseReport) -> str:
    """What the data say about the two accounts of the gap, as half a sentence."""
    names = {SUPPORTED: "speak for", REFUTED: "speak against", UNDECIDED: "cannot decide on"}
    first, second = collapse.hypotheses
    if first.verdict == second.verdict:
        both = "either account" if first.verdict == UNDECIDED else "both accounts"
        return f"the data {names[first.verdict]} {both} of the gap: {first.name}, and {second.name}"
    return f"as for the gap, the data {names[first.verdict]} {first.name} and {names[second.verdict]} {second.name}"


def _retrieval(result: Result, x: str, y: str) -> str:
    if retrieval_at_chance(result):
        return ""
    there, back = result[f"{x}_to_{y}_R@1"], result[f"{y}_to_{x}_R@1"]
    return (
        f"The partner is found first for {percent(there.value)} of {x} and {percent(back.value)} of {y} queries "
        f"(chance {_both(percent(there.null), percent(back.null))})."
    )


def _both(one: str, two: str) -> str:
    return one if one == two else f"{one} and {two}"


def best_row(comparison: Comparison) -> Summary | None:
    """The row that the verdict names: the best mixed R@1 among the aligners that keep recall, or among all when none
    does; None when no aligner could be fitted."""
    rows = [row for row in comparison.rows if row.scores and row.name != "Identity"]
    return max(_keepers(rows) or rows, key=lambda row: row.scores["mixed_R@1"].value, default=None)


def _keepers(rows: list[Summary]) -> list[Summary]:
    return [row for row in rows if row.changes["R@1"].high >= 0 and row.changes["mixed_R@1"].low > 0]


def _closing(comparison: Comparison) -> str:
    raw = comparison["Identity"].scores
    best = best_row(comparison)
    if best is None:
        return "No aligner could be fitted: see the table for the reasons."
    found, own = (percent(raw[name].value) for name in ("mixed_R@1", "same_modality_share"))
    where = f"In a corpus that mixes both modalities the raw space finds the partner first in {found} of searches"
    if best.changes["mixed_R@1"].low <= 0:
        return where + "; none of the corrections tried changes that on unseen pairs."
    which = "correction tried that keeps recall" if _keepers([best]) else "correction tried"
    return (
        f"{where} (of its top ten, {own} have the query's own modality); the best {which}, {best.name}, reaches "
        f"{percent(best.scores['mixed_R@1'].value)} on unseen pairs, and {_kept(best.changes['R@1'])}."
    )


def _kept(change: Estimate) -> str:
    points = f"{100 * change.value:+.1f} points, 95 %: {100 * change.low:+.1f} to {100 * change.high:+.1f}"
    if change.low > 0:
        return f"cross-modal R@1 rises ({points})"
    if change.high < 0:
        return f"cross-modal R@1 falls ({points})"
    return f"cross-modal R@1 does not change measurably ({points})"
