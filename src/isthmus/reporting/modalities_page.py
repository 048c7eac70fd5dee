"""Write the page of more than two modalities: matrices, and the verdict of every pair."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from isthmus.diagnosis import COMPONENTS, Explanation, PairwiseResults
from isthmus.metrics.centroid import both_means_vanish
from isthmus.reporting.descriptions import describe_budget
from isthmus.reporting.figures import budget_figure
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.paths import check_writable

#: Heading, explanation and number of decimals of each matrix.
MATRICES = {
    "centroid_angle": ("Angles between the means", "In degrees: the modality gap.", 1),
    "total": ("Cosine deficit", "1 minus the mean cosine of matching pairs, the sum of the four components below.", 3),
    **{
        name: (f"Component of the cosine deficit: {name}", f"{text[0].upper()}{text[1:]}.", 3)
        for name, text in COMPONENTS.items()
    },
    "R@1": ("Match ranks first", "Share of the queries in %. Rows are queries, columns are searched.", 1),
}

#: Names of the matrices in the contents, where the heading is long.
SHORT = {"centroid_angle": "Angles", "total": "Cosine deficit"}


def modalities_page(
    results: PairwiseResults[Explanation], path: str | os.PathLike[str], /, *, title: str | None = None
) -> None:
    """Write one self-contained page about every pair of several modalities.

    Parameters
    ----------
    results : PairwiseResults of Explanation
        From `isthmus.Modalities.explain`.
    path : str or path
        The file.
    title : str, optional
        Heading of the page.

    Raises
    ------
    InputError
        If `path` cannot be written, or the modalities have no pairs.
    """
    if not all(explanation.is_paired for explanation in results.values()):
        raise InputError("got explanations of sets without pairs, expected those of pairs: a page is about pairs")
    path = check_writable(path)
    sections = [_matrix_section(results, name) for name in ("centroid_angle", "R@1", "total", *COMPONENTS)]
    for pair, explanation in results.items():
        budget = explanation.budget
        identifier = "-".join(str(results.names.index(name)) for name in pair)
        sections.append(
            Section(
                " and ".join(pair),
                explanation.verdict,
                folded=True,
                figure=inline_svg(budget_figure(budget), f"budget-{identifier}", label=describe_budget(budget)),
                caption="Components of the cosine deficit of this pair. Each bar starts where the one above ends. The "
                "largest one is green, and the total is black.",
            )
        )
    facts = next(iter(results.values())).result.pairs
    summary = f"{facts['n']:,} rows of {len(results.names)} modalities in {facts['dim']:,} dimensions"
    title = title or f"The gaps between {', '.join(results.names[:-1])} and {results.names[-1]}"
    page = plain_page(title, summary, sections, conclusion=_conclusion(results))
    with atomic_path(path) as temporary:
        temporary.write_bytes(page.encode("utf-8", errors="replace"))


def _conclusion(results: PairwiseResults[Explanation]) -> list[str]:
    """Return the widest and the narrowest gap, and the best and the worst search, in two sentences."""
    angles = {pair: estimate.value for pair, estimate in results.estimates("centroid_angle").items()}
    gaps = _extremes(angles, lambda pair, value: f"between {' and '.join(pair)} ({value:.1f}°)")
    recalls = {pair: 100 * estimate.value for pair, estimate in results.estimates("R@1").items()}
    searches = _extremes(recalls, lambda pair, value: f"from {pair[0]} to {pair[1]} ({value:.1f} %)")
    sentences = [f"The gap is widest {gaps[1]} and narrowest {gaps[0]}."] if gaps else []
    return sentences + (
        [f"The match ranks first most often {searches[1]} and least often {searches[0]}."] if searches else []
    )


def _extremes(
    values: Mapping[tuple[str, str], float], describe: Callable[[tuple[str, str], float], str]
) -> tuple[str, str] | None:
    """Return the smallest and the largest defined value in words, None if there is none."""
    defined = {pair: value for pair, value in values.items() if math.isfinite(value)}
    if not defined:
        return None
    low, high = min(defined, key=defined.__getitem__), max(defined, key=defined.__getitem__)
    return describe(low, defined[low]), describe(high, defined[high])


def _matrix_section(results: PairwiseResults[Explanation], name: str) -> Section:
    heading, definition, decimals = MATRICES[name]
    estimates, factor = results.estimates(name), 100 if name == "R@1" else 1

    def text(value: float) -> str:
        return f"{factor * value:.{decimals}f}"

    def cell(row: str, column: str) -> str:
        estimate = estimates.get((row, column))
        if estimate is None:
            return ""
        if estimate.undefined:
            return "none (within noise)" if both_means_vanish(estimate) else "undefined"
        interval = "" if math.isnan(estimate.low) else f"\n{text(estimate.low)} to {text(estimate.high)}"
        chance = "" if math.isnan(estimate.null) else f"\nchance {text(estimate.null)}"
        return f"{text(estimate.value)}{interval}{chance}"

    rows = [(modality, *(cell(modality, other) for other in results.names)) for modality in results.names]
    remarks = ["Small lines: 95 % intervals."] if any(not math.isnan(e.low) for e in estimates.values()) else []
    if any(not math.isnan(e.null) for e in estimates.values()):
        remarks.append("Chance: the value without a gap or without matching pairs.")
    pairs_of_remark: dict[str, list[str]] = {}
    for (x, y), estimate in estimates.items():
        if estimate.undefined:
            remark = f"undefined: {estimate.undefined}"
        else:
            continue
        pairs = pairs_of_remark.setdefault(remark, [])
        if f"{y}, {x}" not in pairs:  # most measures are the same in both directions
            pairs.append(f"{x}, {y}")
    remarks += [f"{' and '.join(pairs)}: {remark}." for remark, pairs in pairs_of_remark.items()]
    texts = [" ".join([definition, *remarks])]
    return Section(
        heading, texts, header=("", *results.names), rows=rows, folded=name in COMPONENTS, short=SHORT.get(name, name)
    )
