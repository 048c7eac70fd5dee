"""Write the page of more than two modalities: matrices, and the verdict of every pair."""

from __future__ import annotations

import math
import os

from isthmus.diagnosis import COMPONENTS, Explanation, PairwiseResults
from isthmus.reporting.descriptions import describe_budget
from isthmus.reporting.figures import budget_figure
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.utils.files import atomic_path
from isthmus.utils.validation import check_writable

#: Heading, explanation and number of decimals of each matrix.
MATRICES = {
    "centroid_angle": ("Angles between the means", "Degrees.", 1),
    "total": ("Cosine deficit", "1 minus the mean cosine of matching pairs, the sum of the four components below.", 3),
    **{name: (f"Component '{name}'", f"{text[0].upper()}{text[1:]}.", 3) for name, text in COMPONENTS.items()},
    "R@1": ("Match ranks first", "Share of the queries in %. Rows are queries, columns are searched.", 1),
}


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
        If `path` cannot be written.
    """
    path = check_writable(path)
    sections = [_matrix_section(results, name) for name in MATRICES]
    for pair, explanation in results.items():
        budget = explanation.budget
        identifier = "-".join(str(results.names.index(name)) for name in pair)
        sections.append(
            Section(
                " and ".join(pair),
                explanation.verdict,
                figure=inline_svg(budget_figure(budget), f"budget-{identifier}", label=describe_budget(budget)),
                caption="Components of the cosine deficit of this pair. Each bar starts where the one above ends.",
            )
        )
    facts = next(iter(results.values())).result.pairs
    summary = f"{facts['n']:,} rows of {len(results.names)} modalities in {facts['dim']:,} dimensions"
    title = title or f"The gaps between {', '.join(results.names[:-1])} and {results.names[-1]}"
    page = plain_page(title, summary, sections)
    with atomic_path(path) as temporary:
        temporary.write_bytes(page.encode("utf-8", errors="replace"))


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
            return "undefined"
        interval = "" if math.isnan(estimate.low) else f" ({text(estimate.low)} to {text(estimate.high)})"
        return f"{text(estimate.value)}{interval}"

    rows = [(modality, *(cell(modality, other) for other in results.names)) for modality in results.names]
    remarks = ["Intervals are 95 %."] if any(not math.isnan(e.low) for e in estimates.values()) else []
    pairs_of_remark: dict[str, list[str]] = {}
    for (x, y), estimate in estimates.items():
        if estimate.undefined:
            remark = f"undefined: {estimate.undefined}"
        elif not math.isnan(estimate.null):
            remark = f"{text(estimate.null)} by chance"
        else:
            continue
        pairs = pairs_of_remark.setdefault(remark, [])
        if f"{y}, {x}" not in pairs:  # most measures are the same in both directions
            pairs.append(f"{x}, {y}")
    remarks += [f"{' and '.join(pairs)}: {remark}." for remark, pairs in pairs_of_remark.items()]
    return Section(heading, [definition, *remarks], header=("", *results.names), rows=rows)
