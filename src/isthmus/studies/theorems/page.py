"""One self-contained page of all experiments: table, figures and animation, without network or other files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from isthmus.studies.theorems._animation import animations
from isthmus.studies.theorems._experiment import ExperimentResult, Row, experiments, registry
from isthmus.studies.theorems._journal import journal_line, resumable, stored_results
from isthmus.studies.theorems._notation import SYMBOLS
from isthmus.studies.theorems._style import figure_to_inline_svg
from isthmus.utils.files import atomic_path
from isthmus.utils.format import number, precise_number
from isthmus.utils.journal import Journal
from isthmus.utils.paths import check_writable_folder
from isthmus.utils.progress import DRAWING, as_steps_of, report_progress

#: Name of the experiment on the central claim.
CENTRAL = "theorem_3"
#: Kind of an experiment -> heading of its section.
HEADINGS = {
    "theorem": "Theorems",
    "corollary": "Corollaries",
    "counterexample": "Counterexamples and limits",
    "sweep": "Sweeps",
}
#: Called with the number of finished experiments, their total and the name of the next one, "" at the end.
Progress = Callable[[int, int, str], None]


def run_all(
    out_dir: str | os.PathLike[str],
    /,
    *,
    names: Sequence[str] | None = None,
    quick: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Run experiments and write the page `theory.html`.

    Parameters
    ----------
    out_dir : str or path
        Folder of the page, created if it does not exist.
    names : sequence of str, optional
        Names of experiments. Default: all, which takes about four minutes on two cores.
    quick : bool, default False
        Take fewer pairs and settings, half a minute in all.
    progress : callable, optional
        Called as progress(done, total, name) before each experiment and at the end.

    Returns
    -------
    pathlib.Path
        The page. It is written atomically, so that an interrupted run leaves no incomplete page.

    Raises
    ------
    InputError
        If a name is unknown, or `out_dir` is a file.

    Notes
    -----
    Finished experiments are stored in `theory.jsonl` of the folder (`theory-quick.jsonl` with `quick`) until the page
    is written. An interrupted run continues after them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = run_all(folder, names=["certificate"], quick=True)
    ...     page.name, "<svg" in page.read_text(encoding="utf-8")
    ('theory.html', True)
    """
    folder = check_writable_folder(out_dir)
    with resumable(folder, quick=quick) as journal:
        return write(collect(names, quick=quick, progress=progress, journal=journal), folder)


def collect(
    names: Sequence[str] | None,
    /,
    *,
    quick: bool = False,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> list[ExperimentResult]:
    """Run experiments and return their results.

    Parameters
    ----------
    names : sequence of str or None
        Names of experiments. None stands for all.
    quick : bool, default False
        Take fewer pairs and settings.
    progress : callable, optional
        Called as progress(done, total, name) before each experiment and at the end.
    journal : Journal, optional
        Finished experiments, see `resumable`. They do not run again, and each new one is added.

    Returns
    -------
    list of ExperimentResult
        Results in the order of the names.

    Raises
    ------
    InputError
        If a name is unknown. Nothing runs then.

    Examples
    --------
    >>> [result.verdict for result in collect(["certificate"], quick=True)]
    ['holds']
    """
    selected = list(experiments().values()) if names is None else [registry[name] for name in names]
    stored = {} if journal is None else stored_results(journal)
    results = []
    n_all = len(selected)
    total = n_all if n_all > 1 else None  # the number of optimisations of one experiment is not known
    for n_finished, experiment in enumerate(selected):
        stage = f"experiment {experiment.name}"
        report_progress(n_finished, total, stage)
        if progress is not None:
            progress(n_finished, len(selected), experiment.name)
        if experiment.name not in stored:
            with as_steps_of(stage, partial(_state, n_finished, total)):
                stored[experiment.name] = experiment(quick=quick)
            report_progress(n_finished + 1, n_all, stage)
            if journal is not None:
                journal.add(journal_line(stored[experiment.name]))
        results.append(stored[experiment.name])
    if progress is not None:
        progress(len(selected), len(selected), "")
    return results


def _state(n_finished: int, total: int | None) -> tuple[int, int | None, str]:
    """Return the finished experiments, all of them, and what is done with the one under way."""
    return n_finished, total, "running"


def write(results: Sequence[ExperimentResult], out_dir: str | os.PathLike[str], /) -> Path:
    """Write the page of results as `theory.html`, atomically.

    Parameters
    ----------
    results : sequence of ExperimentResult
        Results to show.
    out_dir : str or path
        Folder of the page, created if it does not exist.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    InputError
        If `out_dir` is a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write([], folder).name
    'theory.html'
    """
    folder = check_writable_folder(out_dir)
    page_html = render(results)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "theory.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page_html, encoding="utf-8")
    report_progress(len(results) + 1, len(results) + 1, DRAWING)
    return path


def render(results: Sequence[ExperimentResult], /) -> str:
    """Return the page of these results as one HTML text."""
    from isthmus.reporting.templates import render_template  # imports jinja2

    svgs: list[str] = []
    total = len(results) + 1
    for result in results:
        report_progress(len(svgs), total, DRAWING, result.name)
        svgs.append(figure_svg(result))
    report_progress(len(results), total, DRAWING, "animations")
    with as_steps_of(DRAWING, lambda: (len(results), total, "animations")):
        frames = animations()
    return render_template(
        "page.html.j2",
        package="isthmus.studies.theorems",
        title="The theory of the modality gap, tested",
        headings=HEADINGS,
        conclusion=_conclusion(results),
        experiments=[
            {
                "result": result,
                "headline": _headline(result),
                "tone": _tone(result),
                "passed": sum(row.passed for row in result.rows),
                "svg": svg,
            }
            for result, svg in zip(results, svgs, strict=True)
        ],
        # "</" would end the script element that holds the data.
        animations=json.dumps(frames, separators=(",", ":")).replace("</", "<\\/"),
        number=precise_number,
        notation={symbol: meaning for symbol, (meaning, _) in SYMBOLS.items()},
        seconds=sum(result.seconds for result in results),
    )


def _conclusion(results: Sequence[ExperimentResult]) -> list[str]:
    """Return how many claims hold, and the verdict on the central one, in two sentences."""
    tones = [_tone(result) for result in results]
    counts = [
        f"{tones.count('holds')} hold",
        f"{tones.count('limits')} hold under an assumption",
        f"{tones.count('fails')} fail as stated",
    ]
    sentences = [f"Of {len(results)} claims about the gap, {counts[0]}, {counts[1]} and {counts[2]}."]
    central = next((result for result in results if result.name == CENTRAL), None)
    if central is not None:
        row = _headline(central)
        sentences.append(
            f"'{central.title}' {central.verdict}. The check '{row.quantity}' predicts {_short(row.predicted)}, and "
            f"{_short(row.measured)} was measured."
        )
    return sentences


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)


def figure_svg(result: ExperimentResult, /) -> str:
    """Return the figure as an inline SVG element with its text alternative."""
    return result.svg if result.draw is None else figure_to_inline_svg(result.draw, result.name, result.picture)


def _headline(result: ExperimentResult) -> Row:
    """Return the row that decides: the first that failed, else the first."""
    return next((row for row in result.rows if not row.passed), result.rows[0])


def _tone(result: ExperimentResult) -> str:
    if result.verdict.startswith("fails"):
        return "fails"
    return "limits" if result.verdict != "holds" else "holds"
