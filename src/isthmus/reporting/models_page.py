"""The page that compares several models or checkpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.diagnosis.model_table import ModelComparison
from isthmus.reporting.drawing import ACCENT, INK, MUTED, WIDTH, X, Y, add_axes, new_figure, with_report_style
from isthmus.reporting.formatting import shorten
from isthmus.reporting.labels import place_labels
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.statistics.result import Estimate
from isthmus.utils.files import atomic_path
from isthmus.utils.format import common_decimals, format_interval
from isthmus.utils.paths import check_writable

#: Numbers in the main table, with their titles.
COLUMNS = {
    "centroid_angle": "gap (degrees)",
    "centroid_distance": "gap (distance)",
    "shared_alignment": "shared alignment",
    "R@1": "R@1",
    "exchange_R@1": "exchange R@1",
    "mixed_R@1": "mixed R@1",
    "same_modality_share": "same-modality share",
}
#: Numbers of the budget and of the collapse.
PARTS = {
    "budget_spectrum": "spectrum",
    "budget_centre": "centre",
    "budget_orientation": "orientation",
    "budget_pairing": "pairing",
    "effective_rank_x": "effective rank x",
    "effective_rank_y": "effective rank y",
    "overlap_dimensions": "overlap dimensions",
}
#: Lines of the figure over training steps.
OVER_STEPS = (("centroid_distance", Y), ("shared_alignment", ACCENT), ("R@1", X), ("exchange_R@1", INK))
OVER_STEPS_NAMES = tuple(name for name, _ in OVER_STEPS)


def models_page(comparison: ModelComparison, path: str | os.PathLike[str], /) -> None:
    """Write one self-contained page about several models.

    Parameters
    ----------
    comparison : ModelComparison
        Result of `isthmus.compare_models`.
    path : str or path-like
        HTML file to write atomically.

    Raises
    ------
    InputError
        If `path` cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile, isthmus
    >>> runs = {run: isthmus.demo.load(run, split="test") for run in ("plain", "collapsed")}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     models_page(isthmus.compare_models(runs), pathlib.Path(folder) / "models.html")
    ...     "collapsed has the best" in (pathlib.Path(folder) / "models.html").read_text(encoding="utf-8")
    True
    """
    from isthmus.reporting.plain_page import plain_page  # jinja2 is needed for pages only

    path = check_writable(path)
    same = "the same pairs" if comparison.paired else "different pairs"
    size = f"{next(iter(comparison.sizes.values())):,} pairs" if len(set(comparison.sizes.values())) == 1 else ""
    facts = ", ".join(filter(None, [f"{len(comparison)} models", same, size]))
    sentences = comparison.sentences()
    svg = inline_svg(models_figure(comparison), "models", label=_describe(comparison, ("centroid_distance", "R@1")))
    sections = [
        Section(
            "Recall against the gap, and against the alignment",
            sentences[1:],
            svg,
            "Each point is a model, with 95 % intervals. Left: the gap. Right: how well matching pairs agree inside "
            "the dimensions that both modalities share.",
            wide=True,
            short="Figure",
        ),
        _table("The numbers", comparison, COLUMNS),
        _differences(comparison),
        _table("Components of the cosine deficit, and the dimensions", comparison, PARTS, folded=True),
    ]
    if comparison.steps:
        figure = inline_svg(steps_figure(comparison), "steps", label=_describe(comparison, OVER_STEPS_NAMES))
        sections.insert(1, Section("Over training", [], figure, "Shares and the distance of the means by step."))
    page = plain_page("Several models, side by side", facts, sections, conclusion=[_gaps(comparison), sentences[0]])
    with atomic_path(path) as temporary:
        temporary.write_bytes(page.encode("utf-8", errors="replace"))


def _gaps(comparison: ModelComparison) -> str:
    """Return the smallest and the largest gap in a sentence."""
    distances = {model: own["centroid_distance"].value for model, own in comparison.items()}
    low, high = min(distances, key=distances.__getitem__), max(distances, key=distances.__getitem__)
    return (
        f"The gap, as the distance between the two means, is smallest in {low} ({distances[low]:.3f}) and largest in "
        f"{high} ({distances[high]:.3f})."
    )


def _describe(comparison: ModelComparison, names: Sequence[str]) -> str:
    """Return the text alternative of a figure: the drawn numbers of each model."""
    numbers = (
        f"{model}: " + ", ".join(f"{COLUMNS[name]} {own[name].value:.3f}" for name in names if name in own)
        for model, own in comparison.items()
    )
    return "; ".join(numbers) + "."


@with_report_style
def models_figure(comparison: ModelComparison) -> Any:
    """Return the figure of R@1 against the gap (left) and against the alignment of the shared space (right)."""
    fig = new_figure(2 * WIDTH, 300)
    for column, (name, label) in enumerate(
        (("centroid_distance", "gap (distance of the means)"), ("shared_alignment", "shared-space alignment"))
    ):
        ax = add_axes(fig, 58 + column * WIDTH, 42, WIDTH * (1 - column) + 16, 12)
        draw_models(ax, comparison, name)
        ax.set(xlabel=label, ylabel="R@1" if column == 0 else "")
    return fig


@with_report_style
def steps_figure(comparison: ModelComparison) -> Any:
    """Return the figure of the numbers of checkpoints over the training steps."""
    fig = new_figure(WIDTH, 280)
    draw_steps(add_axes(fig, 48, 42, 12, 8), comparison)
    return fig


def draw_models(ax: Any, comparison: ModelComparison, name: str = "centroid_distance") -> None:
    """Draw R@1 of each model against another number, with 95 % intervals."""
    drawn = {model: (own[name], own["R@1"]) for model, own in comparison.items() if np.isfinite(own[name].value)}
    for x, y in drawn.values():
        ax.errorbar(x.value, y.value, xerr=_errors(x), yerr=_errors(y), fmt="o", color=X, ecolor=MUTED, ms=5, lw=1)
    ax.margins(0.18)
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -0.06 * high), high)  # a share has no negative values
    positions = np.array([(x.value, y.value) for x, y in drawn.values()]).reshape(-1, 2)
    place_labels(ax, positions, [shorten(model, 16) for model in drawn], [False] * len(drawn))


def draw_steps(ax: Any, comparison: ModelComparison) -> None:
    """Draw numbers of checkpoints over the training steps."""
    order = sorted(comparison.steps, key=lambda model: comparison.steps[model])
    steps = [comparison.steps[model] for model in order]
    for name, colour in OVER_STEPS:
        values = [comparison[model][name].value for model in order]
        ax.plot(steps, values, color=colour, lw=1.6, marker="o", ms=3, label=COLUMNS[name])
    ax.set(xlabel="step", ylim=(0, 1.25 * ax.get_ylim()[1]))
    ax.legend(frameon=False, ncols=2, loc="upper center")


def _errors(estimate: Estimate) -> list[list[float]] | None:
    """Return the lengths of the error bars below and above, None if there is no interval."""
    if not np.isfinite([estimate.low, estimate.high]).all():
        return None
    return [[max(estimate.value - estimate.low, 0.0)], [max(estimate.high - estimate.value, 0.0)]]


def _table(heading: str, comparison: ModelComparison, columns: dict[str, str], *, folded: bool = False) -> Section:
    shown = {name: title for name, title in columns.items() if any(name in own for own in comparison.values())}
    cells = [_column([own.get(name) for own in comparison.values()]) for name in shown]
    rows = list(zip(comparison, *cells, strict=True))
    return Section(heading, header=("Model", *shown.values()), rows=rows, folded=folded)


def _differences(comparison: ModelComparison) -> Section:
    first = next(iter(comparison))
    numbers = {b: own for (a, b), own in comparison.differences.items() if a == first}
    cells = [_column([own.get(name) for own in numbers.values()], sign="+") for name in COLUMNS]
    rows = list(zip(numbers, *cells, strict=True))
    how = "from the differences of the same pairs" if comparison.paired else "for independent pairs"
    return Section(
        f"Differences from {first}", [f"With 95 % intervals {how}."], header=("Model", *COLUMNS.values()), rows=rows
    )


def _column(estimates: Sequence[Estimate | None], *, sign: str = "") -> list[str]:
    """Return values with their intervals, with the decimals of the narrowest interval."""
    texts = [_texts(estimate) for estimate in estimates]
    decimals = common_decimals(value for value, _ in texts if value)
    return [_cell(*entry, decimals, sign) for entry in zip(estimates, texts, strict=True)]


def _cell(estimate: Estimate | None, texts: tuple[str, str], decimals: int | None, sign: str) -> str:
    value, interval = texts
    if estimate is None or not value:
        return "undefined"
    if decimals is not None:
        value = f"{estimate.value:{sign}z.{decimals}f}"
        interval = interval and f"{estimate.low:z.{decimals}f} to {estimate.high:z.{decimals}f}"
    return f"{value}\n{interval}".rstrip().replace("-", "−")


def _texts(estimate: Estimate | None) -> tuple[str, str]:
    """Return value and interval as text, '' twice where there is no value."""
    if estimate is None or estimate.undefined or not np.isfinite(estimate.value):
        return "", ""
    return format_interval(estimate.value, estimate.low, estimate.high)
