"""Write the verdict: a few plain sentences that contain nothing but the measured numbers, the caveats first."""

from __future__ import annotations

import math

from isthmus.diagnosis.collapse import CollapseReport
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.diagnosis.hypotheses import REFUTED
from isthmus.diagnosis.recommendation import recommendation_sentence
from isthmus.evaluation import Comparison
from isthmus.statistics.degeneracy import UNJUDGED_KINDS
from isthmus.statistics.intervals import chance_limit
from isthmus.statistics.result import Estimate, Result
from isthmus.statistics.sampling_clause import sampling_clause
from isthmus.theory.isotropic_ranks import isotropic_rank
from isthmus.utils.format import cosine_text, counted, fixed, percent, visible_decimals

#: Phrase for each component in a sentence.
COMPONENT_PHRASES = {
    "spectrum": "the unequal spread of the two clouds over their directions",
    "centre": "the angle between the means (the modality gap proper)",
    "orientation": "the different orientation of the two clouds",
    "pairing": "matching rows that still differ when the two clouds agree",
}
#: Characters of the causes of the deficit from which on the smaller ones are a sentence of their own.
MAX_AMOUNTS = 200
#: Share of the deficit below which a component is not named.
NEGLIGIBLE_SHARE = 0.02
#: Distance between the means of unit rows below which the gap is negligible.
NEGLIGIBLE_GAP = 0.1
#: Share of the squared gap in a few coordinates above which these are named, and largest share of random directions.
MIN_COORDINATES_SHARE, MAX_NULL_SHARE = 0.9, 0.5
#: Deficit below which its components are not named.
MIN_DEFICIT = 1e-4
#: Deficit of equal float32 rows by rounding.
MAX_FLOAT32_DEFICIT = 1e-6
#: Items below which R@10 is trivial and R@1 replaces it, and recall has little power.
MIN_ITEMS_FOR_RECALL = 20


def verdict(
    result: Result,
    budget: CosineDecomposition,
    comparison: Comparison | None = None,
    collapse: CollapseReport | None = None,
) -> list[str]:
    """Return three to six sentences about one pair of modalities, the strongest caveat first.

    Parameters
    ----------
    result : Result
        All measures of the pairs.
    budget : CosineDecomposition
        Decomposition of the cosine deficit with its intervals.
    comparison : Comparison, optional
        Aligners judged on held-out pairs. Without it there is no sentence about closing the gap.
    collapse : CollapseReport, optional
        Without it there is no statement about the two hypotheses.

    Returns
    -------
    list of str
        Complete sentences.

    Examples
    --------
    >>> import isthmus
    >>> from isthmus.diagnosis import decompose_pairs
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> verdict(isthmus.measure(pairs), decompose_pairs(pairs))[0][:60]
    'The mean image and the mean text are 60.0 degrees apart (95 '
    """
    x, y = result.pairs["names"]
    sentences = _caveats(result, budget)
    sentences.append(gap_sentence(result, x, y))
    has_angle = not result["centroid_angle"].undefined
    is_collapsed = collapse is not None and any(collapse.collapsed)
    sentences.append(_deficit_sentence(budget, collapsed=is_collapsed, has_angle=has_angle))
    sentences.append(subspace_sentence(result, collapse, x, y))
    sentences.append(_retrieval_sentence(result, x, y))
    if comparison is not None:
        sentences.append(recommendation_sentence(comparison))
    return [sentence for sentence in sentences if sentence]


def _independent_items(result: Result) -> int:
    """Return the number of items, where rows that repeat count once."""
    return int(result.pairs.get("independent_items", result.pairs["items"]))


def retrieval_at_chance(result: Result) -> bool:
    """Return whether recall exceeds chance by at most three standard errors in both directions.

    Parameters
    ----------
    result : Result
        All measures of the pairs.

    Returns
    -------
    bool
        Judged by R@10, which is more sensitive to a weak pairing than R@1, and by R@1 for fewer than 20 items. A
        recall below chance counts as chance, as does one that is undefined, because all rows of a modality are the
        same.

    Examples
    --------
    >>> import isthmus
    >>> retrieval_at_chance(isthmus.measure(isthmus.demo.load("plain", split="test")))
    False
    """
    n = result.pairs["items_ranked"]
    return all(bool(e.undefined) or e.value <= chance_limit(e.null, n) for e in _judged_recalls(result)[1])


def _is_below_chance(result: Result, recall: Estimate) -> bool:
    """Return whether a recall is below chance by more than three standard errors of a random ranking."""
    return recall.value < 2 * recall.null - chance_limit(recall.null, result.pairs["items_ranked"])


def _judged_recalls(result: Result) -> tuple[str, list[Estimate]]:
    """Return the name of the recall by which chance is judged, and its values in both directions."""
    x, y = result.pairs["names"]
    name = "R@10" if result.pairs["items_ranked"] >= MIN_ITEMS_FOR_RECALL else "R@1"
    return name, [result[f"{a}_to_{b}_{name}"] for a, b in ((x, y), (y, x))]


def _caveats(result: Result, budget: CosineDecomposition) -> list[str]:
    caveats = _degeneracy_sentences(result)
    sentence = result.pairs.get("matching", {}).get("sentence", "")
    caveats += [sentence] if sentence else []
    if retrieval_at_chance(result) and not _is_unjudged(result):
        caveats.append(_chance_sentence(result, budget, is_explained=bool(sentence)))
    items, dim = _independent_items(result), result.pairs["dim"]
    noun = "items" if items == result.pairs["items"] else "independent items"
    if items <= dim:
        # With few items recall has little power, so that this caveat is then the stronger one.
        caveats.insert(
            0 if items < MIN_ITEMS_FOR_RECALL else len(caveats),
            f"There are {'as many' if items == dim else 'fewer'} {noun} ({items:,}) {'as' if items == dim else 'than'} "
            f"dimensions ({dim:,}), so numbers of dimensions, and the parts into which the mean cosine is divided, "
            "would change with more items.",
        )
    if result.pairs.get("no_interval"):
        caveats.append(f"There is {result.pairs['no_interval']}.")
    elif budget.notes and math.isnan(budget["pairing"].low) and items > dim:
        caveats.append(
            f"The parts into which the mean cosine is divided below have no intervals, because {items:,} items are few "
            f"for {dim:,} dimensions: the part due to {COMPONENT_PHRASES['orientation']} is biased upward, that due to "
            f"{COMPONENT_PHRASES['pairing']} downward."
        )
    return caveats


def _degeneracy_sentences(result: Result) -> list[str]:
    """Return the ways in which the data are degenerate, and say if the pairing cannot be judged because of them."""
    entries = result.pairs.get("degenerate", [])
    unjudged = [entry["message"] for entry in entries if entry["kind"] in UNJUDGED_KINDS]
    messages = [entry["message"] for entry in entries if entry["kind"] not in UNJUDGED_KINDS]
    if unjudged and retrieval_at_chance(result):
        unjudged = [f"{', and '.join(unjudged)}, so that the pairing and the order of the rows cannot be judged"]
    return [f"{message[0].upper()}{message[1:]}." for message in (*unjudged, *messages)]


def _is_unjudged(result: Result) -> bool:
    """Return whether the data are so degenerate that retrieval at chance says nothing about the pairing."""
    return any(entry["kind"] in UNJUDGED_KINDS for entry in result.pairs.get("degenerate", []))


def _has_collapsed(result: Result) -> bool:
    """Return whether all rows of a modality are the same, or nearly."""
    return any(entry["kind"] in ("constant", "narrow") for entry in result.pairs.get("degenerate", []))


def _chance_sentence(result: Result, budget: CosineDecomposition, *, is_explained: bool) -> str:
    """Return that retrieval is at chance or below, with the reason unless the sentence about the pairing gave one."""
    name, recalls = _judged_recalls(result)
    defined = [recall for recall in recalls if not recall.undefined] or recalls
    values = " and ".join(percent(recall.value) for recall in defined)
    are_below = [_is_below_chance(result, recall) for recall in defined]
    level = "below chance" if all(are_below) else "at chance or below" if any(are_below) else "at chance"
    start = f"Retrieval is {level} ({name} {values}, chance {percent(recalls[0].null)}{_sample_of(result, recalls[0])})"
    if any(are_below):
        start += ": matching rows are further apart than others"
    elif result.pairs.get("matching", {}).get("kind") == "paired":
        return (
            f"{start}, although the rows match: larger differences hide the matches, and a correction may uncover them "
            "(isthmus fit Auto)."
        )
    elif budget.captured_fraction.value > budget.shuffled_95th_percentile:
        start += ", although matching pairs covary more than 95 % of shuffled pairs"
    elif not is_explained:
        start += f", and {counted(result.pairs['items'], 'item')} may be too few to detect a weak pairing"
    return f"{start}. The following sentences describe two clouds rather than pairs."


def gap_sentence(result: Result, x: str, y: str) -> str:
    """Return the angle and the distance of the means, or that there is no gap."""
    angle, distance = result["centroid_angle"], result["centroid_distance"]
    if _no_gap(result):
        return _no_gap_sentence(result)
    if angle.undefined:
        return (
            f"The gap has no angle here, because {angle.undefined}. The means are {fixed(distance.value, 3)} apart "
            f"({_distance_evidence(distance)})."
        )
    chance = "" if math.isnan(angle.null) else f"; sampling alone would give {fixed(angle.null, 1)}"
    digits = visible_decimals(angle.low, angle.high, 1)
    interval = "no interval" if math.isnan(angle.low) else f"95 %: {angle.low:.{digits}f} to {angle.high:.{digits}f}"
    return (
        f"The mean {x} and the mean {y} are {angle.value:.{digits}f} degrees apart ({interval}{chance}), at a distance "
        f"of {fixed(distance.value, 3)}{_coordinates_clause(result)}."
    )


def _coordinates_clause(result: Result) -> str:
    """Return that nearly all of the gap lies in two or eight coordinates, "" if it does not."""
    for name, count in (("gap_share_top_2", 2), ("gap_share_top_8", 8)):
        share = result.metrics.get(name)
        if share is not None and share.value > MIN_COORDINATES_SHARE > MAX_NULL_SHARE > share.null:
            numbers = (share.note or "").rpartition(") ")[2]
            coordinates = f"{count} of {result.pairs['dim']:,} coordinates ({numbers}, counted from 0)"
            return f", and {percent(share.value)} of the squared gap lies in {coordinates}"
    return ""


def _no_gap_sentence(result: Result) -> str:
    """Return that there is no gap if one of `NEGLIGIBLE_GAP` is excluded, else that none can be told from noise."""
    distance = result["centroid_distance"]
    interval = _distance_evidence(distance)
    if result.pairs["normalize"] and distance.high < NEGLIGIBLE_GAP:
        return f"There is no significant gap: the means are less than {NEGLIGIBLE_GAP} apart ({interval})."
    return (
        f"No gap can be told from noise at n = {result.pairs['items']:,}: the means are {fixed(distance.value, 3)} "
        f"apart ({interval})."
    )


def _distance_evidence(distance: Estimate) -> str:
    """Return the interval, and the plug-in beside its null."""
    interval = (
        "no interval" if math.isnan(distance.low) else f"95 %: {fixed(distance.low, 3)} to {fixed(distance.high, 3)}"
    )
    noise = fixed(distance.null, 3)
    return f"{interval}; with sampling noise {fixed(distance.plugin, 3)}, where noise alone gives {noise}"


def _no_gap(result: Result) -> bool:
    """Return whether sampling alone explains the distance of the means."""
    distance = result["centroid_distance"]
    return distance.low == 0 or distance.plugin <= distance.null


def _deficit_sentence(budget: CosineDecomposition, *, collapsed: bool, has_angle: bool = True) -> str:
    total = budget.total.value
    if total < MIN_DEFICIT:
        cosine = "1" if total < MAX_FLOAT32_DEFICIT else cosine_text(1 - total, 4)
        return f"Matching pairs have a mean cosine of {cosine}: there is no deficit to explain."
    start = f"The mean cosine of matching pairs is {format_deficit(total)} below 1"
    phrases = component_phrases(budget, total, collapsed=collapsed, has_angle=has_angle)
    if len(phrases) == 1:
        return (
            f"{start}, nearly all of it ({_amount(budget[next(iter(phrases))])}) due to {next(iter(phrases.values()))}."
        )
    return f"{start}: {amounts_due(budget, total, phrases)}."


def format_deficit(total: float) -> str:
    """Return a cosine deficit with three decimals, or with two digits if it is small.

    >>> format_deficit(0.7624), format_deficit(0.000462)
    ('0.762', '0.00046')
    """
    return fixed(total, 3) if total >= 0.1 else f"{total:.{max(3, 1 - math.floor(math.log10(total)))}f}"


def component_phrases(
    budget: CosineDecomposition, total: float, *, collapsed: bool, has_angle: bool = True
) -> dict[str, str]:
    """Return the causes of the components that are not negligible, the largest first."""
    component_names = [name for name in budget if budget[name].value >= NEGLIGIBLE_SHARE * total]
    component_names.sort(key=lambda name: -budget[name].value)
    return {name: _component_phrase(budget, name, collapsed=collapsed, has_angle=has_angle) for name in component_names}


def amounts_due(budget: CosineDecomposition, total: float, phrases: dict[str, str]) -> str:
    """Return the amounts of components with their causes, and what remains of their sum."""
    amounts = [f"{_amount(budget[name])} due to {phrase}" for name, phrase in phrases.items()]
    remainder = total - sum(budget[name].value for name in phrases)
    ending = f". The remainder ({fixed(remainder, 3)}) is negligible" if remainder >= 0.0005 else ""
    if len(_listed(amounts)) > MAX_AMOUNTS and len(amounts) > 2:
        smaller = _listed([amount.replace(" due to ", " is due to ", 1) for amount in amounts[2:]])
        ending, amounts = f". {smaller}{ending}", amounts[:2]
    return _listed(amounts) + ending


def _listed(amounts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(amounts[:-1]), amounts[-1])))


def _amount(component: Estimate) -> str:
    if math.isnan(component.low):
        return fixed(component.value, 3)
    digits = visible_decimals(component.low, component.high, 3)
    return f"{component.value:.{digits}f} [{component.low:.{digits}f}, {component.high:.{digits}f}]"


def _component_phrase(budget: CosineDecomposition, name: str, *, collapsed: bool, has_angle: bool) -> str:
    """Return the cause of a component, with what sampling alone gives if it is no larger."""
    phrase, component = COMPONENT_PHRASES[name], budget[name]
    if name == "centre" and not has_angle:
        return f"the difference between the means (sampling alone gives {fixed(component.null, 3)})"
    if name != "orientation":
        return phrase
    # The interval is free of the bias that the null consists of.
    if component.low > 0 or (math.isnan(component.low) and component.value > 2 * component.null):
        return phrase + (" (dimension collapse)" if collapsed else " (a rotation of one modality would remove it)")
    return f"{phrase} (sampling alone gives {fixed(component.null, 3)})"


def subspace_sentence(result: Result, collapse: CollapseReport | None, x: str, y: str) -> str:
    """Return the ranks of both modalities, and the verdicts on the explanations of the gap."""
    items, dim = _independent_items(result), result.pairs["dim"]
    rank_x, rank_y = (result[f"rank_99_{name}"].value for name in (x, y))
    if collapse is not None and items > dim and not any(collapse.collapsed) and not _has_collapsed(result):
        sentence = (
            f"Neither modality has collapsed: 99 % of the variance lies in {collapse.centred_ranks[0]:,} ({x}) and "
            f"{collapse.centred_ranks[1]:,} ({y}) of {dim:,} dimensions, and isotropic clouds fill "
            f"{isotropic_rank(items, dim):,}"
        )
    else:
        sentence = (
            f"99 % of the energy (squared length) lies in {rank_x:.0f} ({x}) and {rank_y:.0f} ({y}) of "
            f"{dim:,} dimensions"
        )
        if items > dim:
            sentence += f", and the two subspaces {_shared_dimensions(result)}"
    if collapse is None or result["centroid_angle"].undefined or _no_gap(result) or _has_collapsed(result):
        return sentence + "."
    return f"{sentence}. {_hypotheses(collapse)}."


def _shared_dimensions(result: Result) -> str:
    shared = result["overlap_dimensions"]
    guaranteed = int(shared.null)
    excess = int(shared.value) - guaranteed
    if shared.value == 0:
        angle = result["smallest_principal_angle"]
        angles = f"{fixed(angle.value, 1)} degrees, in random subspaces {fixed(angle.null, 1)}"
        return f"share no direction (smallest angle between them {angles})"
    directions = "direction" if shared.value == 1 else "directions"
    if guaranteed == 0:
        return f"share {shared.value:.0f} {directions}, where random subspaces share none"
    surplus = f"{excess} more than" if excess > 0 else "no more than"
    return f"share {shared.value:.0f} {directions}, {surplus} their ranks guarantee"


def _hypotheses(collapse: CollapseReport) -> str:
    """Return the verdicts on the two hypotheses as a sentence without its full stop."""
    first, second = collapse.hypotheses
    remark = ""
    if first.verdict == REFUTED and any(collapse.collapsed):
        names = [name for name, has_collapsed in zip(collapse.names, collapse.collapsed, strict=True) if has_collapsed]
        verb = "have" if len(names) == 2 else "has"
        remark = (
            f"{' and '.join(names)} {verb} collapsed into few dimensions, but this does not set the angle of the gap. "
        )
        remark = remark[0].upper() + remark[1:]
    tested = " and ".join(f"{hypothesis.name} ({hypothesis.verdict})" for hypothesis in (first, second))
    return f"{remark}Two published explanations of the gap were tested: {tested}"


def _retrieval_sentence(result: Result, x: str, y: str) -> str:
    if retrieval_at_chance(result):
        return ""
    x_to_y, y_to_x = result[f"{x}_to_{y}_R@1"], result[f"{y}_to_{x}_R@1"]
    chance = " and ".join(dict.fromkeys(percent(recall.null) for recall in (x_to_y, y_to_x)))
    return (
        f"The match ranks first for {percent(x_to_y.value)} of the {x} and {percent(y_to_x.value)} of the {y} queries "
        f"(chance {chance}{_sample_of(result, x_to_y, y_to_x)})."
    )


def _sample_of(result: Result, *recalls: Estimate) -> str:
    """Return the sample that recalls were measured on, as the end of a clause. '' if it is all items."""
    clause = sampling_clause(result.pairs["items"], *recalls)
    return f"; among {clause}" if clause else ""
