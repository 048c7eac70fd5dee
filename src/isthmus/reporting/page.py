"""Render the report page: collect numbers, figures and text for the template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from isthmus.compute.resources import n_threads
from isthmus.compute.threads import map_ahead
from isthmus.data.grouping import grouping_summary
from isthmus.data.pairs import Pairs
from isthmus.diagnosis import Explanation, best_row, best_row_map, retrieval_at_chance
from isthmus.diagnosis.recommendation import SCORE_TITLES, deciding_score, improves_beyond_interval
from isthmus.evaluation import Comparison, Summary
from isthmus.evaluation.summary import missing_intervals
from isthmus.metrics import registry
from isthmus.reporting import descriptions, figures, formatting, panels, samples
from isthmus.reporting.held_out_clouds import HeldOutClouds
from isthmus.reporting.page_data import PairExamples, cloud_views, slider_data
from isthmus.reporting.recommended_commands import commands, files_of
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.reporting.templates import render_template
from isthmus.reporting.theorem_sentences import theorem_sentences
from isthmus.reporting.thumbnails import make_thumbnails
from isthmus.statistics.result import Estimate, Result
from isthmus.statistics.sampling_clause import sample_remark
from isthmus.utils.format import counted, percent
from isthmus.utils.progress import DRAWING, as_steps_of, report_progress

#: Steps of the page: the tasks of `_sampled_and_drawn`, the figures of samples, and the text.
N_STEPS = 8
#: Short name of each component of the cosine deficit, and the same after "from".
COMPONENT_NAMES = {
    "spectrum": ("unequal spectra", "unequal spectra"),
    "centre": ("angle between the means", "the angle between the means"),
    "orientation": ("different orientation", "the different orientation of the clouds"),
    "pairing": ("pairing", "the pairing"),
}


@dataclass
class TableRow:
    """Row of the table of aligners. `cells` are (label, text, interval)."""

    name: str
    is_best: bool
    notes: list[str]
    cells: list[tuple[str, str, str]] = field(default_factory=list)
    recall_falls: bool = False


def render(
    explanation: Explanation,
    comparison: Comparison | None,
    pairs: Pairs,
    /,
    *,
    fit: Pairs | None = None,
    title: str | None = None,
    extra: Sequence[Section] = (),
    no_comparison: str = "",
    texts: Mapping[str, Sequence[str]] | None = None,
    images: Sequence[Path | None] | None = None,
    held_out: HeldOutClouds | None = None,
) -> str:
    """Return the page as text, with the sections `extra` after the table of aligners.

    `held_out` are the projections of a comparison that was observed. By default the page fits the aligners anew.
    Without a comparison, the page states the reason `no_comparison` in its place.
    """
    result = explanation.result
    x, y = pairs.names
    normalize = bool(result.pairs["normalize"])
    texts = texts or {}
    best_summary, mapped = (None, None) if comparison is None else (best_row(comparison), best_row_map(comparison))
    deciding = "" if comparison is None else deciding_score(comparison) or ""
    held_out = held_out or HeldOutClouds(pairs, fit, is_compared=comparison is not None, normalize=normalize)
    examples, figure_values = _sampled_and_drawn(explanation, comparison, held_out, mapped, texts)
    clouds = cloud_views(
        held_out,
        comparison,
        texts,
        shown=None if mapped is None else formatting.aligner_label(mapped),
    )
    thumbnails: dict[int, str] = {}
    if images is not None:
        in_lists = (
            [] if examples is None else [item for rows in examples.numbers.values() for row in rows for item in row]
        )
        thumbnails = make_thumbnails(images, [*clouds["rows"], *in_lists])
        clouds["images"] = [thumbnails.get(item) for item in clouds["rows"]]
    return render_template(
        "page.html.j2",
        title=title or f"The gap between {x} and {y}",
        x=x,
        y=y,
        at_chance=retrieval_at_chance(result),
        explanation=explanation,
        verdict=explanation.verdict,
        result=result,
        budget=explanation.budget,
        percentages=_percentages(explanation),
        component_names=COMPONENT_NAMES,
        raw=None if comparison is None else comparison["Identity"],
        best=best_summary,
        improves=comparison is not None and improves_beyond_interval(comparison),
        deciding_score=deciding,
        deciding_title=SCORE_TITLES.get(deciding, ""),
        mapped=mapped,
        comparison=comparison,
        no_comparison=no_comparison,
        rows=[] if comparison is None else [_table_row(row, best_summary) for row in comparison.rows],
        splits="" if comparison is None else _describe_splits(comparison, pairs.n_items, separate_fit=fit is not None),
        definitions=_definitions(result, pairs.names),
        provenance=_provenance(result, pairs),
        extra=[(section, Markup(section.figure)) for section in extra],
        text=formatting,
        sample_remark=sample_remark,
        theorems=theorem_sentences(explanation.assumptions),
        commands=None
        if best_summary is None
        else commands(best_summary, pairs.names, files_of(pairs), pairing=pairs.pairing),
        examples=examples,
        thumbnails=thumbnails,
        clouds_data=clouds,
        calibration_data=None if explanation.calibration is None else slider_data(explanation.calibration),
        **figure_values,
    )


def _sampled_and_drawn(
    explanation: Explanation,
    comparison: Comparison | None,
    held_out: HeldOutClouds,
    mapped: Summary | None,
    texts: Mapping[str, Sequence[str]],
) -> tuple[PairExamples | None, dict[str, Any]]:
    """Return examples, and every figure with its text alternative and the samples that the captions need.

    Samples, calibration and assumptions are computed while one thread draws the figures that need none of them.
    """
    result, pairs = explanation.result, held_out.pairs
    normalize, ranks = bool(result.pairs["normalize"]), (_rank(result, pairs.names[0]), _rank(result, pairs.names[1]))
    tasks: list[Callable[[], Any]] = [
        lambda: explanation.calibration,
        partial(_figures_of_results, explanation, comparison, held_out, mapped),
        partial(samples.random_subspace_angles, pairs.dim, ranks),
        partial(samples.CosineSample.of, pairs, normalize=normalize),
        lambda: explanation.assumptions,
        lambda: PairExamples.of(pairs, texts, normalize=normalize) if pairs.n_items > 1 else None,
    ]
    values: list[Any] = []
    report_progress(0, N_STEPS, DRAWING)
    with as_steps_of(DRAWING, lambda: (len(values), N_STEPS, "")):
        for value in map_ahead(lambda task: task(), tasks, n_threads(), ahead=len(tasks)):
            values.append(value)
            report_progress(len(values), N_STEPS, DRAWING)
    _, figure_values, random_angles, cosines, _, examples = values
    figure_values["figure"] |= _figures_of_samples(result, cosines, random_angles)
    report_progress(len(tasks) + 1, N_STEPS, DRAWING)
    return examples, figure_values | {"cosines": cosines}


def _svg(figure: Any, name: str, label: str) -> Markup:
    return Markup(inline_svg(figure, name, label=label))


def _figures_of_results(
    explanation: Explanation, comparison: Comparison | None, held_out: HeldOutClouds, mapped: Summary | None
) -> dict[str, Any]:
    """Return the figures that need no sample as SVG, and the clouds before and after a map."""
    result, names, budget = explanation.result, held_out.pairs.names, explanation.budget
    before, after = held_out.raw, None if mapped is None else held_out.mapped(mapped)
    limits = panels.shared_limits(before, after)
    svgs: dict[str, Markup | None] = {
        "angle": None,
        "after": None,
        "budget": _svg(figures.budget_figure(budget), "budget", descriptions.describe_budget(budget)),
        "before": _svg(
            figures.clouds_figure(before, names, limits), "before", descriptions.describe_clouds(before, names, "raw")
        ),
        "spectra": _svg(figures.spectra_figure(result), "spectra", descriptions.describe_spectra(result)),
    }
    if comparison is not None:
        label = descriptions.describe_aligners(comparison)
        svgs["aligners"] = _svg(figures.aligners_figure(comparison), "aligners", label)
    if not result["centroid_angle"].undefined:
        svgs["angle"] = _svg(figures.angle_figure(result), "angle", descriptions.describe_angle(result))
    if after is not None and mapped is not None:
        label = descriptions.describe_clouds(after, names, f"after {formatting.aligner_label(mapped)}")
        svgs["after"] = _svg(figures.clouds_figure(after, names, limits), "after", label)
    return {"figure": svgs, "before": before, "after": after}


def _figures_of_samples(
    result: Result, cosines: samples.CosineSample, random_angles: np.ndarray
) -> dict[str, Markup | None]:
    """Return the figures of samples as SVG with their text alternatives."""
    angles_label = descriptions.describe_principal_angles(result, random_angles)
    return {
        "angles": _svg(figures.principal_angles_figure(result, random_angles), "angles", angles_label),
        "cosines": _svg(figures.cosines_figure(cosines), "cosines", descriptions.describe_cosines(cosines)),
    }


def _rank(result: Result, name: str) -> int:
    return int(result[f"rank_99_{name}"].value)


def _percentages(explanation: Explanation) -> dict[str, float]:
    """Return each component as a percentage of the deficit."""
    total = explanation.budget.total.value
    return {name: 100 * component.value / total if total > 0 else 0.0 for name, component in explanation.budget.items()}


def _table_row(row: Summary, best: Summary | None) -> TableRow:
    """Return one row of the table as text. The zero-width space allows a line break before the options."""
    notes = [f"{note[:1].upper()}{note[1:]}" for note in row.notes]
    table_row = TableRow(row.name.replace("(", "\u200b("), row is best, notes)
    if not row.scores:
        return table_row
    gap = row.scores["gap"]
    if gap.undefined:
        table_row.notes.insert(0, f"No angle: {gap.undefined}.")
    is_raw = row.name == "Identity"
    reasons = missing_intervals([row], ("R@1", "mixed_R@1", "exchange_R@1"))
    table_row.notes += [f"No interval: {reason}." for reason in reasons]
    change, mixed = row.changes["R@1"], row.changes["mixed_R@1"]
    exchange_interval = "" if is_raw else formatting.points_interval(row.changes["exchange_R@1"])
    change_texts = ("", "") if is_raw else (formatting.points(change), formatting.points_interval(change))
    table_row.cells = [
        ("Gap", formatting.gap(row), ""),
        ("R@1", percent(row.scores["R@1"].value), ""),
        ("Change in R@1", *change_texts),
        ("Mixed R@1", percent(row.scores["mixed_R@1"].value), "" if is_raw else formatting.points_interval(mixed)),
        ("Exchange score", percent(row.scores["exchange_R@1"].value), exchange_interval),
        ("Mixed NDCG@10", f"{row.scores['mixed_NDCG@10'].value:.3f}", ""),
        ("Same modality", percent(row.scores["same_modality_share"].value), ""),
    ]
    table_row.recall_falls = not is_raw and change.high < 0
    return table_row


def _describe_splits(comparison: Comparison, items: int, *, separate_fit: bool) -> str:
    """Return how the pairs of the table were split, after 'Every correction was'."""
    compared = comparison.data.get("items", items)
    sample = f" of a random sample of {compared:,} of {items:,} items" if compared < items else ""
    fit, test = (counted(count, "pair") for count in (comparison.n_fit, comparison.n_test))
    if separate_fit:
        return f"fitted on {counted(comparison.n_fit, 'other pair')} and judged on {test}{sample}"
    halves = (
        "The half is random" if comparison.splits == 1 else f"Scores are means over {comparison.splits} random halves"
    )
    return f"fitted on one half ({fit}) and judged on the other ({test}){sample}. {halves}"


def _definitions(result: Result, names: tuple[str, str]) -> list[dict[str, Any]]:
    """Return every registered measure with its numbers. Recall at 1, 5 and 10 is one entry."""
    definitions: dict[str, dict[str, Any]] = {}
    for name, entry in registry().items():
        numbers: list[tuple[str, Estimate]] = [(n, result[n]) for n in entry.names(*names) if n in result]
        family = name.split("@")[0]
        if family in definitions:
            definitions[family]["numbers"] += numbers
        elif numbers:
            definitions[family] = {
                "numbers": numbers,
                "definition": numbers[0][1].definition,
                "reading": descriptions.READING_AIDS.get(name, ""),
                "unit": entry.unit,
                "direction": entry.direction,
                "source": entry.source,
            }
    return list(definitions.values())


def _provenance(result: Result, pairs: Pairs) -> list[tuple[str, str]]:
    """Return the origin of the numbers as labels and text."""
    facts = result.pairs
    lines = []
    for name, path, dtype, source in zip(
        facts["names"], facts["paths"], facts["dtypes"], (pairs.x, pairs.y), strict=True
    ):
        origin = "an array in memory" if path == name else path
        lines.append((name, f"{origin} ({counted(source.shape[0], 'row')}, {dtype})"))
    items = "" if facts["items"] == facts["n"] else f" of {facts['items']:,} items"
    lines.append(("pairs", f"{facts['n']:,}{items}, width {facts['dim']:,}"))
    if pairs.key_join is not None:
        lines.append(("pairing", pairs.key_join.summary(pairs.names)))
    if pairs.grouped is not None:
        lines.append(("equal rows", grouping_summary(pairs)))
    lines.append(("rows", "divided by their norm" if facts["normalize"] else "not normalized (normalize=False)"))
    lines.append(("sums", f"products in {facts['matmul_dtype']}, sums in float64"))
    if facts["items_ranked"] < facts["items"]:
        sample = f"a random sample of {facts['items_ranked']:,} of {facts['items']:,} items"
        lines.append(("sample", f"measures that say so come from {sample}, all others from all items"))
    return lines
