"""Training of all settings of the grid, one after another, with a journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from isthmus.studies.training.grid import PARTS
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import TrainingRun, train_setting
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.journal import Journal
from isthmus.utils.progress import report_progress

#: Function of (finished runs, all runs, name of the next run or "").
Progress = Callable[[int, int, str], None]


def settings_of(part: str, /, *, seeds: int = 5, quick: bool = False) -> Iterator[Setting]:
    """Yield the settings of one part of the grid with seeds 0, 1, 2 ...

    >>> settings = list(settings_of("shared_space", seeds=2, quick=True))
    >>> len(settings), settings[0].loss, settings[0].seed
    (12, 'InfoNCE', 0)
    """
    if part not in PARTS:
        raise unknown_name("part", part, PARTS)
    if seeds < 2:
        raise InputError(f"seeds={seeds}, expected at least 2: an interval needs a spread")
    make_settings, seed_factor = PARTS[part]
    for seed in range(seed_factor * seeds):
        for setting in make_settings(quick):
            yield replace(setting, seed=seed)


def run_study(
    parts: Sequence[str] = tuple(PARTS),
    /,
    *,
    seeds: int = 5,
    quick: bool = False,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, list[TrainingRun]]:
    """Train all settings of parts of the grid. A setting of two parts is trained once, and is a stage of the first.

    Parameters
    ----------
    parts : sequence of str
        Keys of `PARTS`, by default all.
    seeds : int, default 5
        Number of seeds of each setting, at least 2. Parts that compare two losses use twice as many.
    quick : bool, default False
        Train fewer settings.
    journal : path or None, default None
        File of JSON lines. Runs that it holds are not trained again. It may hold runs of other parts and seeds.
    progress : callable or None, default None
        Function of (finished runs, all runs, name of the next run or "").

    Returns
    -------
    dict of str to list of TrainingRun
        Runs by part.

    Raises
    ------
    InputError
        If a part is unknown, `seeds` is too small, or the journal is no journal of this study.

    Examples
    --------
    >>> runs = run_study(["losses"], seeds=2, quick=True)  # doctest: +SKIP
    >>> runs["losses"][0].end["R@1"]  # doctest: +SKIP
    0.37
    """
    settings = {name: list(settings_of(name, seeds=seeds, quick=quick)) for name in parts}
    log = None if journal is None else Journal(journal, "train demo", {})
    finished = {} if log is None else {run.setting: run for run in map(TrainingRun.from_dict, log.lines)}
    first_part: dict[Setting, str] = {}
    for part, settings_of_part in settings.items():
        first_part |= {setting: part for setting in settings_of_part if setting not in first_part}
    queue = list(first_part)
    total, n_epochs = sum(setting.epochs for setting in queue if setting not in finished), 0
    for number, setting in enumerate(queue):
        if progress is not None:
            progress(number, len(queue), setting.label)
        if setting not in finished:
            report = partial(_report_epochs, n_epochs, total, f"training for {first_part[setting]}", setting.label)
            report(0)
            finished[setting] = train_setting(setting, progress=report)
            n_epochs += setting.epochs
            if log is not None:
                log.add(finished[setting].to_dict())
    if progress is not None:
        progress(len(queue), len(queue), "")
    return {name: [finished[setting] for setting in settings_of_part] for name, settings_of_part in settings.items()}


def _report_epochs(n_before: int, total: int, stage: str, label: str, n_epochs: int) -> None:
    """Report the finished epochs of the setting that is trained, after those of earlier settings."""
    report_progress(n_before + n_epochs, total, stage, label)
