"""Every statement of the theory as an experiment: predicted, measured, verdict.

A new statement is one file in this folder with functions marked `@experiment(...)`.

>>> [entry.name for entry in experiments().values()][:3]
['theorem_1', 'theorem_2', 'theorem_3']
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from isthmus.studies.theorems._experiment import Entry, Experiment, Row
from isthmus.utils.errors import InputError

__all__ = ["Entry", "Experiment", "Row", "experiments", "find", "run"]


def experiments() -> dict[str, Entry]:
    """All experiments by name, in the order of the theory."""
    return dict(_found())


def run(name: str, /, *, quick: bool = False) -> Experiment:
    """The result of the experiment `name`; `quick` takes fewer particles and settings.

    Raises `InputError` for an unknown name.

    >>> run("certificate", quick=True).verdict
    'holds'
    """
    return find(name)(quick=quick)


def find(name: str, /) -> Entry:
    """The experiment `name`, not run yet.

    Raises `InputError` for an unknown name.
    """
    known = _found()
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(known)}."
        raise InputError(f"no experiment is named {name!r}: {hint}")
    return known[name]


@cache
def _found() -> dict[str, Entry]:
    entries = []
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            contents = vars(importlib.import_module(f"{__name__}.{module.name}"))
            entries += [value for value in contents.values() if isinstance(value, Entry)]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.order)}
