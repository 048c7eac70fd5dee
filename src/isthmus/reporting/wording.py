"""The words of the report: numbers for people, text alternatives, and how to read each measure."""

from __future__ import annotations

import math

import numpy as np

from isthmus.diagnosis import CosineDecomposition, Explanation, best_row
from isthmus.evaluation import Comparison, Summary
from isthmus.reporting.samples import CloudProjection, Cosines
from isthmus.statistics.result import Estimate, Result
from isthmus.utils.format import number, percent

#: How to read a measure, for someone who knows the model but not the theory; by registered name, none needed.
READING = {
    "centroid_angle": "0° would mean that the average of both sides points the same way; encoders trained "
    "with a contrastive loss usually stay between 60° and 90°.",
    "centroid_distance": "The same gap as a distance. It also shrinks when the sides spread out, because "
    "means of spread-out clouds are short.",
    "mean_resultant_length_{side}": "How narrow the cone is in which one side lives.",
    "mean_paired_cosine": "What a thresholded similarity sees for a right match. Compare it with the "
    "shuffled pairing (the null), not with 1.",
    "mean_unpaired_cosine": "What a similarity gives to two things that have nothing to do with each other.",
    "rank_99_{side}": "How many dimensions a side really uses. Far below the width: the side has collapsed.",
    "effective_rank_{side}": "A smooth count of the dimensions in use; weak directions count too.",
    "overlap_dimensions": "Large subspaces in a small space always share dimensions. Only what exceeds the "
    "null is a finding.",
    "smallest_principal_angle": "The closest that any direction of one side comes to the other side.",
    "{x}_to_{y}_R@1": "The usual recall at 1, 5 and 10; the definition below is that of the first.",
    "{y}_to_{x}_R@1": "The same, the other way round.",
}


def short(name: str, most: int) -> str:
    """The name, cut to `most` characters.

    >>> short("image", 12), short("a very long modality", 12)
    ('image', 'a very long…')
    """
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def aligner(row: Summary) -> str:
    """The aligner's name as figures write it."""
    return row.name.replace("estimator=", "").replace("'", "")


def value(estimate: Estimate) -> str:
    """The number with its unit, or the word 'undefined'; shares as per cent.

    >>> value(Estimate(72.012, unit="degrees")), value(Estimate(2.0, unit="dimensions"))
    ('72.0°', '2')
    """
    if estimate.undefined or math.isnan(estimate.value):
        return "undefined"
    return _plain(estimate.value, estimate.unit)


def interval(estimate: Estimate) -> str:
    """'0.307 to 0.313', or nothing where there is no interval."""
    if estimate.undefined or math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    return f"{_plain(estimate.low, estimate.unit)} to {_plain(estimate.high, estimate.unit)}"


def null(estimate: Estimate) -> str:
    """What chance gives, or nothing."""
    return "" if estimate.undefined or math.isnan(estimate.null) else _plain(estimate.null, estimate.unit)


def _plain(x: float, unit: str) -> str:
    if unit == "degrees":
        return f"{x:.1f}°"
    if unit == "share":
        return share(x)
    if unit in ("cosine", "length", "distance"):
        return f"{x:.3f}"
    return f"{x:.0f}" if float(x).is_integer() else number(round(x, 1))


def share(x: float) -> str:
    """A share as per cent, kept on one line."""
    return percent(x).replace(" ", "\u00a0")


def points(change: Estimate) -> str:
    """A change of a share in points: '−2.6'."""
    return f"{100 * change.value:+.1f}".replace("-", "−")


def points_interval(change: Estimate) -> str:
    return f"{100 * change.low:+.1f} to {100 * change.high:+.1f}".replace("-", "−")


def effect(change: Estimate) -> str:
    """'rises', 'falls' or 'no measurable change', by the interval."""
    return "rises" if change.low > 0 else "falls" if change.high < 0 else "no measurable change"


def three_answers(explanation: Explanation) -> tuple[str, str, str]:
    """One short line for each question: how big, where from, what does closing do."""
    result, parts = explanation.result, explanation.budget
    gap = result["centroid_angle"]
    big = "no defined angle" if gap.undefined else f"{gap.value:.1f}° between the means"
    big += f", {result['centroid_distance'].value:.2f} apart"
    share = 100 * parts[parts.largest].value / parts.total.value if parts.total.value > 0 else 0.0
    source = f"{share:.0f} % of the missing cosine: {parts.largest}"
    comparison = explanation.comparison
    best = None if comparison is None else best_row(comparison)
    if comparison is None or best is None:
        return big, source, "no aligner could be fitted"
    raw = comparison["Identity"].scores["mixed_R@1"].value
    return (
        big,
        source,
        f"{short(aligner(best), 22)}: mixed R@1 {percent(raw)} → {percent(best.scores['mixed_R@1'].value)}",
    )


# Text alternatives: what a figure says, with its numbers.


def angle(result: Result) -> str:
    x, y = result.pairs["names"]
    long_x, long_y = (result[f"mean_resultant_length_{name}"].value for name in (x, y))
    return (
        f"Two arrows from one point, {result['centroid_angle'].value:.1f} degrees apart, inside a circle of "
        f"radius 1: the mean of {x}, of length {long_x:.2f}, and the mean of {y}, of length {long_y:.2f}."
    )


def budget(parts: CosineDecomposition) -> str:
    listed = ", ".join(f"{name} {parts[name].value:.3f}" for name in parts)
    return f"Waterfall of the missing cosine: {listed}; together {parts.total.value:.3f}."


def clouds(shown: CloudProjection, names: tuple[str, str], state: str) -> str:
    x, y = names
    spread_x, spread_y = (float(np.sqrt(np.mean(np.var(side, axis=0)))) for side in (shown.x, shown.y))
    return (
        f"Scatter plot, {state}: {len(shown.drawn()[0]):,} {x} points and as many {y} points. Their means "
        f"are {shown.distance:.2f} apart on the first axis; the points scatter around them by {spread_x:.2f} "
        f"({x}) and {spread_y:.2f} ({y})."
    )


def spectra(result: Result) -> str:
    x, y = result.pairs["names"]
    first_x, first_y = (percent(float(result.curves[f"spectrum_{name}"][0])) for name in (x, y))
    rank_x, rank_y = (f"{result[f'rank_99_{name}'].value:.0f}" for name in (x, y))
    return (
        f"Two falling curves: the first principal direction holds {first_x} of the energy of {x} and "
        f"{first_y} of that of {y}; 99 % is reached at rank {rank_x} and {rank_y} of {result.pairs['dim']:,}."
    )


def principal_angles(result: Result, random: np.ndarray) -> str:
    forced = int(result["overlap_dimensions"].null)

    def described(degrees: np.ndarray) -> str:
        return f"{degrees[0]:.1f} to {degrees[-1]:.1f} degrees, half of them below {np.median(degrees):.1f}"

    measured, chance = np.sort(result.curves["principal_angles"]), np.median(random, axis=0)
    return (
        f"{len(measured):,} principal angles from {described(measured)}; those of random subspaces of the "
        f"same dimensions from {described(chance)}. {forced:,} zero angles are forced by the dimensions."
    )


def cosines(sample: Cosines, names: tuple[str, str]) -> str:
    m = sample.means
    return (
        f"Four densities of cosines with these means: partners {m['paired']:.3f}, not partners "
        f"{m['unpaired']:.3f}, within {names[0]} {m['x']:.3f}, within {names[1]} {m['y']:.3f}."
    )


def aligners(comparison: Comparison) -> str:
    listed = "; ".join(
        f"{aligner(row)} {percent(row.scores['mixed_R@1'].value)} and {points(row.changes['R@1'])} points"
        for row in comparison.rows
        if row.scores and row.name != "Identity"
    )
    raw = percent(comparison["Identity"].scores["mixed_R@1"].value)
    return (
        f"Mixed R@1 and change in cross-modal R@1 of each aligner; raw {raw} and 0; "
        f"{listed or 'no aligner could be fitted'}."
    )


def overview(explanation: Explanation) -> str:
    big, source, closing = three_answers(explanation)
    assert explanation.comparison is not None
    return (
        f"Three panels. The two clouds: {big}. {budget(explanation.budget)} {source}. Aligners: {closing}. "
        f"{aligners(explanation.comparison)}"
    )
