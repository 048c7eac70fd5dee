"""Sensitivity to options: the same aligners with several values of an option."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from isthmus.align import Aligner
from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError, unknown_name


def expand_grid(aligners: Sequence[Aligner], sweep: Mapping[str, Sequence[Any]], /) -> list[Aligner]:
    """Return each aligner once for every combination of the swept options that it has.

    Parameters
    ----------
    aligners : sequence of Aligner
        Aligners. One without a swept option is returned once, unchanged.
    sweep : dict of str to sequence
        Values of each option.

    Returns
    -------
    list of Aligner
        New aligners in order.

    Raises
    ------
    InputError
        If no aligner has an option, an option has no values, or an aligner refuses a value.

    Examples
    --------
    >>> from isthmus.align import Centering, HyperplaneRotation
    >>> aligners = expand_grid([Centering(), HyperplaneRotation()], {"energy": [0.9, 0.95]})
    >>> [aligner.get_params().get("energy") for aligner in aligners]
    [None, 0.9, 0.95]
    """
    options_of = [{f.name for f in fields(aligner)} for aligner in aligners]
    for name, values in sweep.items():
        if not isinstance(name, str) or not isinstance(values, Sequence) or isinstance(values, str):
            raise InputError(f"sweep got {shown(name)}: {shown(values)}, expected the name of an option with a list")
        if not any(name in options for options in options_of):
            raise unknown_name("option to sweep", name, set().union(*options_of) - {"normalize"})
        if not values:
            raise InputError(f"the sweep of {name} has no values; give some, such as {name}=0.9,0.95")
    expanded: list[Aligner] = []
    for aligner, options in zip(aligners, options_of, strict=True):
        names = [name for name in sweep if name in options]
        for values in itertools.product(*(sweep[name] for name in names)):
            expanded.append(_with_options(aligner, dict(zip(names, values, strict=True))))
    return expanded


def _with_options(aligner: Aligner, options: dict[str, Any]) -> Aligner:
    """Return a new aligner of the same class with these options changed."""
    changed = type(aligner)(**{**aligner.get_params(), **options})
    changed.validate_options()
    return changed
