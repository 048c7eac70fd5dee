"""Describe measures and figures in words: reading aids, headlines and text alternatives."""

from __future__ import annotations

import numpy as np

from isthmus.diagnosis import CosineDecomposition
from isthmus.evaluation import Comparison
from isthmus.reporting.formatting import aligner_label, points
from isthmus.reporting.samples import CloudProjection, CosineSample
from isthmus.statistics.result import Result
from isthmus.utils.errors import InputError
from isthmus.utils.format import percent

#: Reading aid of a measure for a reader who knows the model but not the theory, by registered name. Optional.
READING_AIDS = {
    "centroid_angle": "0° means that both modalities have the same mean direction. Encoders trained with a contrastive "
    "loss usually stay between 60° and 90°.",
    "centroid_distance": "The same gap as a distance. It also shrinks if the modalities spread out, because spread-out "
    "clouds have short means.",
    "mean_resultant_length_{side}": "How narrow the cone of one modality is.",
    "mean_paired_cosine": "The value that a threshold on the similarity must pass for a match. Compare it with the "
    "shuffled pairing (the null), not with 1.",
    "mean_unpaired_cosine": "The similarity of two unrelated items.",
    "rank_99_{side}": "The number of dimensions that a modality uses. Far below the width, the modality has collapsed.",
    "effective_rank_{side}": "A smooth count of the dimensions in use. Weak directions count in part.",
    "overlap_dimensions": "Large subspaces of a small space always share dimensions. Only the excess over the null is "
    "evidence.",
    "smallest_principal_angle": "The smallest energy angle: the smallest angle between a direction of one 99 % energy "
    "subspace and a direction of the other. Both subspaces contain the means.",
    "{x}_to_{y}_R@1": "Recall at 1, 5 and 10. The definition below is that of the first.",
    "{y}_to_{x}_R@1": "The same in the other direction.",
}


def describe_angle(result: Result) -> str:
    """Return the text alternative of the two mean arrows."""
    x, y = result.pairs["names"]
    length_x, length_y = (result[f"mean_resultant_length_{name}"].value for name in (x, y))
    return (
        f"Two arrows from one point, {result['centroid_angle'].value:.1f} degrees apart, inside a circle of "
        f"radius 1: the mean of {x}, of length {length_x:.2f}, and the mean of {y}, of length {length_y:.2f}."
    )


def describe_budget(budget: CosineDecomposition) -> str:
    """Return the text alternative of the waterfall."""
    components_text = ", ".join(f"{name} {component.value:z.3f}" for name, component in budget.items())
    return f"Waterfall of the cosine deficit: {components_text}; total {budget.total.value:z.3f}."


def describe_clouds(projection: CloudProjection, names: tuple[str, str], state: str) -> str:
    """Return the text alternative of the scatter plot, `state` for example 'raw'."""
    x, y = names
    spread_x, spread_y = (float(np.sqrt(np.mean(np.var(points, axis=0)))) for points in (projection.x, projection.y))
    return (
        f"Scatter plot, {state}: {len(projection.visible_points()[0]):,} {x} points and as many {y} points. Their "
        f"means are {projection.distance:.2f} apart on the first axis; the points scatter around them by "
        f"{spread_x:.2f} ({x}) and {spread_y:.2f} ({y})."
    )


def describe_spectra(result: Result) -> str:
    """Return the text alternative of the two spectra."""
    x, y = result.pairs["names"]
    first_x, first_y = (percent(float(result.curves[f"spectrum_{name}"][0])) for name in (x, y))
    rank_x, rank_y = (f"{result[f'rank_99_{name}'].value:.0f}" for name in (x, y))
    return (
        f"Two falling curves: the first principal direction holds {first_x} of the energy of {x} and "
        f"{first_y} of that of {y}; 99 % is reached at rank {rank_x} and {rank_y} of {result.pairs['dim']:,}."
    )


def describe_principal_angles(result: Result, random_angles: np.ndarray) -> str:
    """Return the text alternative of the principal angles, `random_angles` those of random subspaces."""
    guaranteed = int(result["overlap_dimensions"].null)

    def describe(degrees: np.ndarray) -> str:
        return f"{degrees[0]:.1f} to {degrees[-1]:.1f} degrees, half of them below {np.median(degrees):.1f}"

    measured, random_medians = np.sort(result.curves["principal_angles"]), np.median(random_angles, axis=0)
    return (
        f"{len(measured):,} principal angles from {describe(measured)}; those of random subspaces of the same "
        f"dimensions from {describe(random_medians)}. The dimensions guarantee {guaranteed:,} zero angles."
    )


def describe_cosines(sample: CosineSample) -> str:
    """Return the text alternative of the densities of cosines."""
    x, y = sample.names
    means = sample.means
    return (
        f"Four densities of cosines with these means: matching pairs {means['paired']:z.3f}, non-matching pairs "
        f"{means['unpaired']:z.3f}, within {x} {means['x']:z.3f}, within {y} {means['y']:z.3f}."
    )


def check_shown_scores(comparison: Comparison, shown_by: str) -> None:
    """Raise `InputError` if a comparison lacks a score that 'the page' or 'the figure' shows."""
    missing = {"R@1", "exchange_R@1"} - comparison["Identity"].scores.keys()
    if missing:
        raise InputError(
            f"the comparison has no {' and no '.join(sorted(missing))}, which {shown_by} shows; run compare with "
            "tasks=['retrieval', 'mixed_search'] among others"
        )


def describe_aligners(comparison: Comparison) -> str:
    """Return the text alternative of the trade-off of the aligners."""
    results = "; ".join(
        f"{aligner_label(row)} {percent(row.scores['exchange_R@1'].value)} and {points(row.changes['R@1'])} points"
        for row in comparison.rows
        if row.scores and row.name != "Identity"
    )
    raw = percent(comparison["Identity"].scores["exchange_R@1"].value)
    return (
        f"Exchange score and change in cross-modal R@1 of each aligner; raw {raw} and 0; "
        f"{results or 'no aligner could be fitted'}."
    )
