"""Draw the picture of the README from real embeddings: 500 images and captions of COCO, embedded by CLIP.

`ISTHMUS_FIXTURES=FOLDER python docs/_figures/overview.py` writes docs/figures/overview.svg. The folder holds
clip_coco/image.npy and clip_coco/text.npy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import isthmus
from isthmus.reporting import panels
from isthmus.reporting.drawing import ACCENT, FONT_SIZE, INK, MUTED, add_axes, new_figure, with_report_style
from isthmus.reporting.held_out_clouds import HeldOutClouds
from isthmus.reporting.svg import inline_svg, standalone_svg

#: Where the picture is, and the correction that `isthmus report` recommends for these data.
PATH = Path(__file__).parents[1] / "figures" / "overview.svg"
CORRECTION = "ScoreCalibration"
#: Score of the comparison -> its label in the picture.
SCORES = {
    "mixed_R@1": "mixed search: match first",
    "same_modality_share": "hits of the query's own modality",
    "R@1": "search in one modality: match first",
}


def load() -> isthmus.Pairs:
    """Return the pairs of CLIP."""
    folder = Path(os.environ["ISTHMUS_FIXTURES"]) / "clip_coco"
    return isthmus.open_pairs(folder / "image.npy", folder / "text.npy")


def percentages(pairs: isthmus.Pairs) -> dict[str, tuple[float, float]]:
    """Return each score in per cent on held-out pairs, before and after the correction."""
    comparison = isthmus.compare(pairs, aligners=[CORRECTION], tasks=["retrieval", "mixed_search"])
    before, after = comparison.rows
    return {name: (100 * before.scores[name].value, 100 * after.scores[name].value) for name in SCORES}


def draw_search(axes: Any, scores: dict[str, tuple[float, float]]) -> None:
    """Draw two bars for each score: before and after the correction."""
    for row, (name, label) in enumerate(SCORES.items()):
        axes.text(0, row - 0.36, label, fontsize=FONT_SIZE, va="center")
        for shift, value, colour in zip((-0.1, 0.18), scores[name], (MUTED, ACCENT), strict=True):
            axes.barh(row + shift, value, height=0.24, color=colour)
            text = f"{value:.0f} %"
            axes.text(value + 2, row + shift, text, va="center", fontsize=FONT_SIZE, weight="bold")
    axes.set(ylim=(len(SCORES) - 0.6, -0.6), xlim=(0, 118), xlabel="% of held-out queries or hits")
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


@with_report_style
def figure(pairs: isthmus.Pairs, explanation: Any, scores: dict[str, tuple[float, float]]) -> Any:
    """Return the three panels."""
    width, height = 900, 330
    fig = new_figure(width, height)
    clouds, budget, search = (add_axes(fig, left, 52, right, 62) for left, right in ((60, 606), (402, 300), (650, 16)))
    projection = HeldOutClouds(pairs).raw
    panels.draw_clouds(clouds, projection, pairs.names, panels.shared_limits(projection))
    panels.draw_budget(budget, explanation.budget)
    draw_search(search, scores)
    gap = explanation.result["centroid_angle"].value
    centre, total = explanation.budget["centre"].value, explanation.budget.total.value
    titles = {
        24: ("The gap of CLIP", f"{gap:.0f} degrees between images and texts"),
        330: ("What it is made of", f"the means: {100 * centre / total:.0f} % of the cosine deficit"),
        650: ("Search in images and texts", f"raw (grey), {CORRECTION} (green)"),
    }
    for start, (title, subtitle) in titles.items():
        fig.text(start / width, 1 - 22 / height, title, weight="bold", fontsize=14, va="center", color=INK)
        fig.text(start / width, 1 - 42 / height, subtitle, fontsize=FONT_SIZE, va="center", alpha=0.85)
    return fig


def main(path: Path = PATH) -> None:
    """Write the picture."""
    pairs = load()
    explanation, scores = isthmus.explain(pairs), percentages(pairs)
    gap = explanation.result["centroid_angle"].value
    before, after = scores["mixed_R@1"]
    label = (
        f"Three panels on 500 COCO pairs of CLIP. Images and texts are {gap:.0f} degrees apart. The means make most of "
        f"the cosine deficit. {CORRECTION} raises R@1 of mixed search from {before:.0f} % to {after:.0f} %."
    )
    svg = standalone_svg(inline_svg(figure(pairs, explanation, scores), "overview", label=label))
    path.write_text(svg, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
