"""The page: what the explanation says, laid out by the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from isthmus.data.pairs import Pairs
from isthmus.diagnosis import Explanation, best_row, retrieval_at_chance
from isthmus.evaluation import Comparison, Summary
from isthmus.metrics import registry
from isthmus.reporting import figures, samples, wording
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.reporting.templates import render_template
from isthmus.statistics.result import Estimate, Result
from isthmus.utils.format import percent


def render(
    explanation: Explanation,
    pairs: Pairs,
    /,
    *,
    fit: Pairs | None = None,
    title: str | None = None,
    extra: Sequence[Section] = (),
) -> str:
    """The whole page as text, with the sections `extra` after the table. `explanation` must hold a comparison."""
    result, comparison = explanation.result, explanation.comparison
    assert comparison is not None
    x, y = names = pairs.names
    best = best_row(comparison)
    return render_template(
        "page.html.j2",
        title=title or f"The gap between {x} and {y}",
        x=x,
        y=y,
        chance=retrieval_at_chance(result),
        explanation=explanation,
        verdict=explanation.verdict,
        result=result,
        parts=explanation.budget,
        share=_shares(explanation),
        raw=comparison["Identity"],
        best=best,
        rows=[_cells(row, best) for row in comparison.rows],
        held_out=samples.held_out(comparison, separate=fit is not None),
        definitions=_definitions(result, names),
        provenance=_provenance(result, pairs),
        extra=[(part, Markup(part.figure)) for part in extra],
        wording=wording,
        **_figures(explanation, comparison, pairs, fit, best),
    )


def _figures(
    explanation: Explanation, comparison: Comparison, pairs: Pairs, fit: Pairs | None, best: Summary | None
) -> dict[str, Any]:
    """Every figure as SVG with its text alternative, and the samples that the captions speak of."""
    result, names = explanation.result, pairs.names
    normalize = bool(result.pairs["normalize"])
    before, after = samples.before_and_after(pairs, row=best, fit=fit, normalize=normalize)
    limits = figures.shared_limits(before, after)
    cosines = samples.Cosines.of(pairs, normalize=normalize)
    null = samples.null_angles(pairs.dim, (_rank(result, names[0]), _rank(result, names[1])))

    def svg(drawing: Any, name: str, label: str) -> Markup:
        return Markup(inline_svg(drawing, name, label=label))

    drawn: dict[str, Markup | None] = {
        "angle": None,
        "after": None,
        "budget": svg(figures.budget(explanation.budget), "budget", wording.budget(explanation.budget)),
        "before": svg(figures.clouds(before, names, limits), "before", wording.clouds(before, names, "raw")),
        "spectra": svg(figures.spectra(result), "spectra", wording.spectra(result)),
        "angles": svg(figures.principal_angles(result, null), "angles", wording.principal_angles(result, null)),
        "cosines": svg(figures.cosines(cosines), "cosines", wording.cosines(cosines, names)),
        "aligners": svg(figures.aligners(comparison), "aligners", wording.aligners(comparison)),
    }
    if not result["centroid_angle"].undefined:
        drawn["angle"] = svg(figures.angle(result), "angle", wording.angle(result))
    if after is not None and best is not None:
        label = wording.clouds(after, names, f"after {wording.aligner(best)}")
        drawn["after"] = svg(figures.clouds(after, names, limits), "after", label)
    return {"figure": drawn, "before": before, "after": after, "cosines": cosines}


def _rank(result: Result, name: str) -> int:
    return int(result[f"rank_99_{name}"].value)


def _shares(explanation: Explanation) -> dict[str, float]:
    """Each part of the budget as a percentage of the total."""
    total = explanation.budget.total.value
    return {name: 100 * part.value / total if total > 0 else 0.0 for name, part in explanation.budget.items()}


def _cells(row: Summary, best: Summary | None) -> dict[str, Any]:
    """One row of the table as text."""
    made: dict[str, Any] = {
        "name": row.name.replace("(", "\u200b("),
        "best": row is best,
        "notes": list(row.notes),
        "cells": [],
    }
    if not row.scores:
        return made
    gap = row.scores["gap"]
    if gap.undefined:
        made["notes"].insert(0, f"No angle: {gap.undefined}.")
    raw = row.name == "Identity"
    change, mixed = row.changes["R@1"], row.changes["mixed_R@1"]
    made["cells"] = [
        ("Gap", wording.value(gap), ""),
        ("R@1", percent(row.scores["R@1"].value), ""),
        (
            "Change in R@1",
            "" if raw else f"{wording.points(change)}",
            "" if raw else wording.points_interval(change),
        ),
        (
            "Mixed R@1",
            percent(row.scores["mixed_R@1"].value),
            "" if raw else f"{wording.points_interval(mixed)}",
        ),
        ("Mixed NDCG@10", f"{row.scores['mixed_NDCG@10'].value:.3f}", ""),
        ("Own modality", percent(row.scores["same_modality_share"].value), ""),
    ]
    made["falls"] = not raw and change.high < 0
    return made


def _definitions(result: Result, names: tuple[str, str]) -> list[dict[str, Any]]:
    """Every registered measure with its numbers, in the registry's order; recall at 1, 5, 10 is one entry."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in registry().items():
        numbers: list[tuple[str, Estimate]] = [(n, result[n]) for n in entry.names(*names) if n in result]
        family = name.split("@")[0]
        if family in found:
            found[family]["numbers"] += numbers
        elif numbers:
            found[family] = {
                "numbers": numbers,
                "definition": numbers[0][1].definition,
                "reading": wording.READING.get(name, ""),
                "unit": entry.unit,
                "better": entry.direction,
                "source": entry.source,
            }
    return list(found.values())


def _provenance(result: Result, pairs: Pairs) -> list[tuple[str, str]]:
    """Where the numbers come from, as labels and text."""
    facts = result.pairs
    listed = []
    for name, path, dtype, source in zip(
        facts["names"], facts["paths"], facts["dtypes"], (pairs.x, pairs.y), strict=True
    ):
        where = "an array in memory" if path == name else path
        listed.append((name, f"{where} ({source.shape[0]:,} rows, {dtype})"))
    items = "" if facts["items"] == facts["n"] else f" of {facts['items']:,} items"
    listed.append(("pairs", f"{facts['n']:,}{items}, width {facts['dim']:,}"))
    if pairs.key_join is not None:
        listed.append(("pairing", pairs.key_join.summary(pairs.names)))
    listed.append(("rows", "divided by their norm" if facts["normalize"] else "used as they are (normalize=False)"))
    listed.append(("sums", f"products in {facts['matmul_dtype']}, sums in float64"))
    if facts["items_ranked"] < facts["items"]:
        listed.append(("recall", f"measured on a random sample of {facts['items_ranked']:,} items"))
    return listed
