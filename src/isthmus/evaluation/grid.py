"""Sensitivity: the same aligners with an option through several values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from isthmus.align import Aligner
from isthmus.utils.errors import InputError, unknown_name


def expand_grid(aligners: Sequence[Aligner], sweep: Mapping[str, Sequence[Any]], /) -> list[Aligner]:
    """Return each aligner once for every combination of the options in `sweep` that it has.

    Errors: `InputError` when none of the aligners has an option in `sweep`.

    >>> from isthmus.align import Centering, HyperplaneRotation
    >>> [a.get_params() for a in expand_grid([Centering(), HyperplaneRotation()], {"energy": [0.9, 0.95]})]
    [{'normalize': True}, {'normalize': True, 'energy': 0.9}, {'normalize': True, 'energy': 0.95}]
    """
    known = [{f.name for f in fields(aligner)} for aligner in aligners]
    for name, values in sweep.items():
        if not any(name in has for has in known):
            raise unknown_name("option to sweep", name, set().union(*known) - {"normalize"})
        if not values:
            raise InputError(f"the sweep of {name} has no values; give some, such as {name}=0.9,0.95")
    made: list[Aligner] = []
    for aligner, has in zip(aligners, known, strict=True):
        names = [name for name in sweep if name in has]
        for values in itertools.product(*(sweep[name] for name in names)):
            options = dict(zip(names, values, strict=True))
            try:
                made.append(type(aligner)(**{**aligner.get_params(), **options}))
            except TypeError:
                given, like = (
                    ", ".join(f"{name}={values[name]!r}" for name in names)
                    for values in (options, aligner.get_params())
                )
                raise InputError(f"{type(aligner).__name__} cannot take {given}: expected values like {like}") from None
    return made
