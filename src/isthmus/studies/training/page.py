"""One self-contained page about the causal experiment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import isthmus.studies.training.figures as figures
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.statistics.result import Estimate
from isthmus.studies.training.causal_links import NAMES
from isthmus.studies.training.claims import describe
from isthmus.studies.training.grid import HYPERPLANE, SMALL
from isthmus.studies.training.results import COMPARED, StudyResult, change, shown
from isthmus.studies.training.results import describe as setting_words
from isthmus.studies.training.seed_statistics import groups, summary
from isthmus.studies.training.settings import REGIMES, Setting
from isthmus.studies.training.trainer import Run
from isthmus.utils.files import atomic_path
from isthmus.utils.validation import check_writable

#: Columns of the tables of runs, with the digits that are shown.
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
HEADS = {
    "gap": "gap (degrees)",
    "length_image": "length of the image mean",
    "budget_centre": "budget: centre",
    "budget_orientation": "budget: orientation",
    "alignment": "shared-space alignment",
    "cosine": "pair cosine",
    "loss": "loss",
    "zero_shot_accuracy": "zero-shot",
}


MADE = Section(
    "How it was made",
    [
        "Two perceptrons with two hidden layers of 256 turn 64 pixels and 128 hashed 3- and 4-grams into unit rows of "
        "64 dimensions; AdamW, batches of 256, learning rate 0.001 falling along a half cosine. A seed sets the split, "
        "the weights, the order and the imposed subspaces. Ranks are RankMe, the shared space has 16 directions and is "
        "fitted on the training pairs, class texts are mean training captions.",
    ],
)


def write_page(result: StudyResult, path: str | os.PathLike[str], /) -> None:
    """Write the page to `path`. It holds its figures and needs no network."""
    path = check_writable(path)
    parts = result.runs
    number = len({run.setting for some in parts.values() for run in some})
    seeds = len({run.setting.seed for some in parts.values() for run in some})
    sections = [
        *(_chain(result) if result.links else []),
        *(_dose(result) if parts.get("collapse") else []),
        *(_losses(parts["losses"]) if parts.get("losses") else []),
        *(_rivals(parts["alternatives"]) if parts.get("alternatives") else []),
        *(_shared(result) if result.shared else []),
        MADE,
    ]
    text = plain_page(
        "Does collapse make the gap? A dual encoder, trained and watched",
        f"{number:,} trainings of a dual encoder of 1,797 digits and their captions, {seeds} seeds; everything is "
        "measured on 597 pairs that training did not see",
        sections,
    )
    with atomic_path(path) as part:
        part.write_bytes(text.encode("utf-8", errors="replace"))


def _chain(result: StudyResult) -> list[Section]:
    among = list(dict.fromkeys(link.among for link in result.links))
    found = {(link.words, link.among): link for link in result.links}
    rows = []
    for words in dict.fromkeys(link.words for link in result.links):
        cells = [found.get((words, name)) for name in among]
        rows.append((words, *("" if c is None else f"{c.verdict}: {shown(c.correlation, digits=2)}" for c in cells)))
    sizes = [max(link.runs for link in result.links if link.among == name) for name in among]
    return [
        Section("What was found", result.sentences()),
        Section(
            "The chain: collapse, gap, pair alignment, task",
            [
                "Numbers are rank correlations, their intervals draw the seeds anew. A link holds where the "
                "correlation has the sign that the chain expects and is, with its whole interval, at least one half. "
                "Many runs have no gap angle: the distance of the means stands for the gap.",
            ],
            figures.follows(result),
            "Every mark is one training. Left: the distance of the means; right: the alignment of partners inside the "
            "shared space, which the means do not enter.",
            ("Link", *(f"{name} ({size} runs)" for name, size in zip(among, sizes, strict=True))),
            rows,
            wide=True,
            text_cells=True,
        ),
    ]


def _dose(result: StudyResult) -> list[Section]:
    runs = result.runs["collapse"]
    judged = [(s.case, s.statement, s.predicted, s.measured, s.verdict) for s in result.claims]
    table = []
    order = list(REGIMES)
    for setting, some in sorted(
        groups(runs).items(),
        key=lambda item: (
            order.index(item[0].regime),
            *(getattr(item[0], k) for k in ("rank", "epochs", "temperature", "angle")),
        ),
    ):
        name = f"{setting.regime}, {setting.angle:g}°, {describe(setting.rank, setting.temperature, setting.epochs)}"
        cells = [_cell(summary(some, column), digits) for column, digits in DOSE.items()]
        table.append((name, *cells))
    named = figures.named_groups(
        runs,
        {
            f"{words}, {angle:g}°": lambda s, kind=kind, angle=angle: (
                (s.regime, s.rank, s.temperature, s.angle, s.epochs) == (*kind, angle, 60)
            )
            for words, kind in CHOSEN.items()
            for angle in (30.0, 90.0)
        },
    )
    return [
        Section(
            "Imposed collapse against the theory",
            [f"{name}: {words}." for name, words in REGIMES.items() if name != "free"],
            figures.angles(result),
            "On the broken line the gap is the imposed angle. Bars are 95 % intervals over seeds; regimes whose means "
            "vanish have no angle to draw.",
            ("Case", "the theory says", "predicted", "measured", "verdict"),
            judged,
            text_cells=True,
        ),
        Section(
            "Every dose",
            [
                "Pair alignment is the mean cosine of partners. No pairing of the two clouds exceeds the ceiling "
                "mean_x·mean_y + F(cov_x, cov_y); the imposed ceiling is what subspaces at this angle allow at all."
            ],
            figures.over_steps(named, "doses"),
            "Some of them over the epochs, at 30° and 90°. Means over seeds with 95 % intervals.",
            header=("Dose", *(_head(name) for name in DOSE)),
            rows=table,
            wide=True,
        ),
    ]


#: Doses whose course is drawn: words -> regime, rank, temperature.
CHOSEN = {
    "fixed axes": ("affine", 16, "learned"),
    "length held, rank 8": ("mean_length_penalty", SMALL, "learned"),
    "hyperplanes, 0.01": ("subspace", HYPERPLANE, "0.01"),
}
DOSE = {
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


def _losses(runs: Sequence[Run]) -> list[Section]:
    named = figures.named_groups(
        runs,
        {
            "temperature 0.01": lambda s: s.temperature == "0.01" and s.loss == "InfoNCE",
            "learned": lambda s: s.temperature == "learned" and s.loss == "InfoNCE",
            "temperature 0.2": lambda s: s.temperature == "0.2" and s.loss == "InfoNCE",
            "rising": lambda s: s.temperature == "rising",
            "CUAXU": lambda s: s.temperature == "learned" and s.loss == "CUAXU",
            "SharedSpaceAlignment": lambda s: s.temperature == "learned" and s.loss == "SharedSpaceAlignment",
        },
    )
    return [
        Section(
            "Losses and temperatures",
            ["Nothing is imposed. Terms are added to InfoNCE at the weight that their source gives."],
            figures.over_steps(named, "losses"),
            "Means over seeds with 95 % intervals, over the epochs; InfoNCE where no loss is named, a learned "
            "temperature where none is. Lines of the gap end where it is undefined.",
            ("Loss and temperature", *(_head(name) for name in COLUMNS)),
            _table(runs, lambda s: f"{s.loss}, {_heat(s)}"),
            wide=True,
        )
    ]


def _rivals(runs: Sequence[Run]) -> list[Section]:
    named = figures.named_groups(
        runs,
        {
            "as they are": lambda s: s.temperature == "0.01" and _switch(s) == "nothing switched",
            "half mismatched": lambda s: s.temperature == "0.01" and s.shuffled_fraction == 0.5,
            "captions: digit alone": lambda s: s.temperature == "0.01" and s.caption_dropout == 4,
            "cones at 0°": lambda s: s.temperature == "0.01" and s.initial_cone_angle == 0.0,
            "cones at 180°": lambda s: s.temperature == "0.01" and s.initial_cone_angle == 180.0,
        },
    )
    return [
        Section(
            "Rival explanations",
            [
                "Mismatched pairs, captions that leave out attributes (information imbalance) and narrow cones in "
                "which both encoders start are named by other accounts of the gap. None of them imposes a subspace."
            ],
            figures.over_steps(named, "alternatives"),
            "InfoNCE at temperature 0.01. Means over seeds with 95 % intervals.",
            ("Switch", *(_head(name) for name in COLUMNS)),
            _table(runs, lambda s: f"{_switch(s)}, {_heat(s)}"),
            wide=True,
        )
    ]


def _shared(result: StudyResult) -> list[Section]:
    rows = []
    for setting, found in result.shared.items():
        runs = len(_runs_of(result, setting))
        rows.append(
            (
                setting_words(setting),
                str(runs),
                *(change(found[name]) for name in COMPARED),
            )
        )
    return [
        Section(
            "SharedSpaceAlignment minus InfoNCE",
            [
                "The same seeds, steps and temperature; mean paired differences on held-out pairs with 95 % intervals. "
                "The loss aligns partners inside the shared space that it estimates while training and has no term on "
                "the gap."
            ],
            header=("Setting", "seeds", *(NAMES[name] for name in COMPARED)),
            rows=rows,
        )
    ]


def _table(runs: Sequence[Run], name: Callable[[Setting], str]) -> list[tuple[str, ...]]:
    return [
        (name(setting), *(_cell(summary(some, column), digits) for column, digits in COLUMNS.items()))
        for setting, some in groups(runs).items()
    ]


def _cell(estimate: Estimate, digits: int) -> str:
    """The value, and its interval on a line of its own."""
    return shown(estimate, digits=digits, even=True).replace(" ± ", "\n± ").replace("undefined in", "undefined\nin")


def _runs_of(result: StudyResult, setting: Setting) -> list[Run]:
    everything = [*result.runs.get("shared_space", []), *result.runs.get("ablations", [])]
    return groups({run.setting: run for run in everything}.values())[setting]


def _switch(setting: Setting) -> str:
    if setting.shuffled_fraction:
        return f"{setting.shuffled_fraction:.0%} of the pairs mismatched"
    if setting.caption_dropout:
        return f"captions leave out {setting.caption_dropout} of 4 attributes"
    if setting.initial_cone_angle is not None:
        return f"narrow cones {setting.initial_cone_angle:g}° apart at the start"
    return "nothing switched"


def _heat(setting: Setting) -> str:
    return f"temperature {setting.temperature}"


def _head(name: str) -> str:
    return HEADS.get(name) or NAMES.get(name) or name.replace("_", " ")
