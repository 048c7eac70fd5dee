"""Self-contained page about the study."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.statistics.result import Estimate
from isthmus.studies.training.causal_links import DISPLAY_NAMES
from isthmus.studies.training.claims import describe_case
from isthmus.studies.training.figures import draw_angles, draw_curves, draw_scores
from isthmus.studies.training.panels import curve_groups, describe_switch
from isthmus.studies.training.results import (
    COMPARED_MEASURES,
    StudyResult,
    describe_setting,
    format_difference,
    format_estimate,
)
from isthmus.studies.training.seed_statistics import group_by_setting, mean_final_value
from isthmus.studies.training.settings import REGIMES, Setting
from isthmus.studies.training.trainer import TrainingRun
from isthmus.utils.files import atomic_path
from isthmus.utils.paths import check_writable

#: Columns of the tables of losses and alternatives, with their decimal places.
COLUMNS = {
    "gap": 1,
    "R@1": 3,
    "mixed_R@1": 3,
    "zero_shot_accuracy": 3,
    "length_image": 2,
    "effective_rank_image": 1,
    "effective_rank_text": 1,
    "budget_centre": 3,
    "budget_orientation": 3,
    "cosine": 3,
    "alignment": 3,
}
#: Columns of the table of imposed collapse, with their decimal places.
COLLAPSE_COLUMNS = {
    "gap": 1,
    "length_image": 2,
    "centre_in_shared": 2,
    "cosine": 3,
    "ceiling": 3,
    "imposed_ceiling": 3,
    "loss": 3,
    "R@1": 3,
    "mixed_R@1": 3,
    "zero_shot_accuracy": 3,
}
#: Column titles that differ from the display names.
COLUMN_TITLES = {
    "gap": "gap (degrees)",
    "length_image": "length of the image mean",
    "budget_centre": "budget: centre",
    "budget_orientation": "budget: orientation",
    "alignment": "shared-space alignment",
    "cosine": "pair cosine",
    "loss": "loss",
    "zero_shot_accuracy": "zero-shot",
}
METHODS = Section(
    "Methods",
    [
        "Two perceptrons with two hidden layers of 256 map 64 pixels and 128 hashed 3- and 4-grams to unit rows of 64 "
        "dimensions. They are trained with AdamW in batches of 256, with a learning rate of 0.001 on half a cosine. A "
        "seed sets the split, the weights, the order and the imposed subspaces. Ranks are RankMe. The shared space has "
        "16 directions and is fitted on the training pairs. Class texts are mean training captions.",
    ],
    folded=True,
)


def write_page(result: StudyResult, path: str | os.PathLike[str], /) -> None:
    """Write a page that contains its figures and needs no network.

    Parameters
    ----------
    result : StudyResult
        Result of the study.
    path : path
        File to write.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> write_page(StudyResult({}), "page.html")  # doctest: +SKIP
    """
    path = check_writable(path)
    runs_by_part = result.runs
    n_settings = len({run.setting for runs in runs_by_part.values() for run in runs})
    n_seeds = len({run.setting.seed for runs in runs_by_part.values() for run in runs})
    sections = [
        *(_chain_sections(result) if result.links else []),
        *(_collapse_sections(result) if runs_by_part.get("collapse") else []),
        *(_loss_sections(runs_by_part["losses"]) if runs_by_part.get("losses") else []),
        *(_alternative_sections(runs_by_part["alternatives"]) if runs_by_part.get("alternatives") else []),
        *(_shared_space_sections(result) if result.shared_space_differences else []),
        METHODS,
    ]
    html = plain_page(
        "Does collapse cause the gap? A dual encoder, trained and measured",
        f"{n_settings:,} training runs of a dual encoder of 1,797 digits and their captions with {n_seeds} seeds, "
        "measured on 597 held-out pairs",
        sections,
        conclusion=result.sentences()[:2],
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(html.encode("utf-8", errors="replace"))


def _chain_sections(result: StudyResult) -> list[Section]:
    groups = list(dict.fromkeys(link.among for link in result.links))
    links = {(link.label, link.among): link for link in result.links}
    rows = []
    for label in dict.fromkeys(link.label for link in result.links):
        row = [links.get((label, group)) for group in groups]
        cells = ("" if k is None else f"{k.verdict}: {format_estimate(k.correlation, digits=2)}" for k in row)
        rows.append((label, *cells))
    sizes = [max(link.runs for link in result.links if link.among == group) for group in groups]
    return [
        Section("Results", result.sentences()[2:] or result.sentences()),
        Section(
            "The chain: collapse, gap, pair alignment, task",
            [
                "Numbers are rank correlations. Their intervals resample the seeds. A link holds if the correlation "
                "has the expected sign and its whole interval is at least one half. Many runs have no gap angle, so "
                "the distance of the means stands for the gap.",
            ],
            draw_scores(result),
            "Every mark is one training run. Left: the distance of the means. Right: the alignment of matching pairs "
            "inside the shared space, which does not depend on the means.",
            ("Link", *(f"{group} ({size} runs)" for group, size in zip(groups, sizes, strict=True))),
            rows,
            wide=True,
            text_cells=True,
        ),
    ]


def _collapse_sections(result: StudyResult) -> list[Section]:
    runs = result.runs["collapse"]
    claims = [(c.case, c.statement, c.predicted, c.measured, c.verdict) for c in result.claims]
    rows = []
    for setting, group in sorted(group_by_setting(runs).items(), key=lambda item: _collapse_order(item[0])):
        case = describe_case(setting.rank, setting.temperature, setting.epochs)
        name = f"{setting.regime.replace('_', ' ')}, {setting.angle:g}°, {case}"
        rows.append((name, *_cells(group, COLLAPSE_COLUMNS)))
    curves = curve_groups("collapse", runs)
    regimes = {name.replace("_", " "): text for name, text in REGIMES.items() if name != "free"}
    return [
        Section(
            "Imposed collapse against the theory",
            [f"{name}: {text}." for name, text in regimes.items()],
            draw_angles(result),
            "On the broken line the gap is the imposed angle. Bars are 95 % intervals over seeds. Regimes whose means "
            "vanish have no angle to draw.",
            ("Case", "the theory predicts", "prediction", "measured", "verdict"),
            claims,
            text_cells=True,
        ),
        Section(
            "All settings of imposed collapse",
            [
                "Pair alignment is the mean cosine of matching pairs. No pairing of the two modalities exceeds the "
                "ceiling mean_x·mean_y + F(cov_x, cov_y). The imposed ceiling is the largest mean cosine that "
                "subspaces at this angle allow."
            ],
            draw_curves(curves, "doses"),
            "Some settings over the epochs, at 30° and 90°. Means over seeds with 95 % intervals.",
            header=("Setting", *map(_column_title, COLLAPSE_COLUMNS)),
            rows=rows,
            wide=True,
            folded=True,
        ),
    ]


def _collapse_order(setting: Setting) -> tuple[object, ...]:
    return (list(REGIMES).index(setting.regime), setting.rank, setting.epochs, setting.temperature, setting.angle)


def _loss_sections(runs: Sequence[TrainingRun]) -> list[Section]:
    curves = curve_groups("losses", runs)
    return [
        Section(
            "Losses and temperatures",
            ["Nothing is imposed. Terms are added to InfoNCE at the weight of their source."],
            draw_curves(curves, "losses"),
            "Means over seeds with 95 % intervals, over the epochs. Lines without a loss are InfoNCE, lines without a "
            "temperature have a learned one. Lines of the gap end where it is undefined.",
            ("Loss and temperature", *map(_column_title, COLUMNS)),
            _rows(runs, lambda s: f"{s.loss}, temperature {s.temperature}"),
            wide=True,
        )
    ]


def _alternative_sections(runs: Sequence[TrainingRun]) -> list[Section]:
    curves = curve_groups("alternatives", runs)
    return [
        Section(
            "Alternative causes",
            [
                "Other papers name three causes of the gap: mismatched pairs, captions that leave out attributes "
                "(information imbalance), and narrow cones in which both encoders start. None of them imposes a "
                "subspace."
            ],
            draw_curves(curves, "rivals"),
            "InfoNCE at temperature 0.01. Means over seeds with 95 % intervals.",
            ("Switch", *map(_column_title, COLUMNS)),
            _rows(runs, lambda s: f"{describe_switch(s)}, temperature {s.temperature}"),
            wide=True,
        )
    ]


def _shared_space_sections(result: StudyResult) -> list[Section]:
    runs = [*result.runs.get("shared_space", []), *result.runs.get("ablations", [])]
    groups = group_by_setting({run.setting: run for run in runs}.values())
    rows = []
    for setting, differences in result.shared_space_differences.items():
        cells = (format_difference(differences[name]) for name in COMPARED_MEASURES)
        rows.append((describe_setting(setting), str(len(groups[setting])), *cells))
    return [
        Section(
            "SharedSpaceAlignment minus InfoNCE",
            [
                "Seeds, steps and temperature are equal. Numbers are mean paired differences on held-out pairs with "
                "95 % intervals. The loss aligns matching pairs inside the shared space that it estimates during "
                "training, and has no term on the gap."
            ],
            header=("Setting", "seeds", *(DISPLAY_NAMES[name] for name in COMPARED_MEASURES)),
            rows=rows,
        )
    ]


def _rows(runs: Sequence[TrainingRun], name: Callable[[Setting], str]) -> list[tuple[str, ...]]:
    return [(name(setting), *_cells(group, COLUMNS)) for setting, group in group_by_setting(runs).items()]


def _cells(runs: Sequence[TrainingRun], columns: dict[str, int]) -> list[str]:
    return [_cell(mean_final_value(runs, measure), digits) for measure, digits in columns.items()]


def _cell(estimate: Estimate, digits: int) -> str:
    """Return the value, with its interval on a second line."""
    value_text = format_estimate(estimate, digits=digits, symmetric=True)
    return value_text.replace(" ± ", "\n± ").replace("undefined in", "undefined\nin")


def _column_title(name: str) -> str:
    return COLUMN_TITLES.get(name) or DISPLAY_NAMES.get(name) or name.replace("_", " ")
