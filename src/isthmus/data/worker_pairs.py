"""Pairs that a worker process opens once and keeps for all parts of a pass."""

from __future__ import annotations

import warnings

from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.utils.errors import IsthmusWarning

#: The last pairs that this process opened. Their files are mapped and checked once, not for every part.
_OPENED: list[tuple[str, Pairs]] = []


def open_cached(spec: OpenSpec, /) -> Pairs:
    """Return the pairs that a specification describes, and keep them until another one is requested.

    Warnings are not repeated, because the process that sent the specification has given them.

    Parameters
    ----------
    spec : OpenSpec
        How the pairs were opened.

    Returns
    -------
    Pairs
        The pairs.
    """
    for key, pairs in _OPENED:
        if key == spec.key:
            return pairs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IsthmusWarning)
        pairs = spec.open()
    _OPENED[:] = [(spec.key, pairs)]
    return pairs
