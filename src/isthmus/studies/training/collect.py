"""Training all runs of the plan, one after another, with a journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from isthmus.studies.training.grid import PARTS
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import Run, train
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.journal import Journal

#: called with (runs done, runs in all, name of what comes next or "")
Progress = Callable[[int, int, str], None]


def settings(part: str, /, *, seeds: int = 5, quick: bool = False) -> Iterator[Setting]:
    """The settings of one part, each with seeds 0, 1, 2 ...

    >>> found = list(settings("shared_space", seeds=2, quick=True))
    >>> len(found), found[0].loss, found[0].seed
    (12, 'InfoNCE', 0)
    """
    if part not in PARTS:
        raise unknown_name("part", part, PARTS)
    if seeds < 2:
        raise InputError(f"seeds={seeds}, expected at least 2: an interval needs a spread")
    plan, times = PARTS[part]
    for seed in range(times * seeds):
        for setting in plan(quick):
            yield replace(setting, seed=seed)


def collect(
    parts: Sequence[str] = tuple(PARTS),
    /,
    *,
    seeds: int = 5,
    quick: bool = False,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Run]]:
    """Train everything that `parts` ask for; part -> its runs. A setting that two parts ask for is trained once.

    Runs that the `journal` (JSON lines, made when it does not exist) holds are not trained again; it may hold runs of
    other parts and seeds.
    """
    settings_of = {part: list(settings(part, seeds=seeds, quick=quick)) for part in parts}
    log = None if journal is None else Journal(journal, "train demo", {})
    done = {} if log is None else {run.setting: run for run in map(Run.from_dict, log.lines)}
    todo = _once(setting for wanted in settings_of.values() for setting in wanted)
    for number, setting in enumerate(todo):
        if progress is not None:
            progress(number, len(todo), setting.key)
        if setting not in done:
            done[setting] = train(setting)
            if log is not None:
                log.add(done[setting].to_dict())
    if progress is not None:
        progress(len(todo), len(todo), "")
    return {part: [done[setting] for setting in wanted] for part, wanted in settings_of.items()}


def _once(found: Iterable[Setting]) -> list[Setting]:
    return list(dict.fromkeys(found))
