"""Collect the warnings of fits that run in several threads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from isthmus.align import Aligner, get
from isthmus.utils.warning import collecting_warnings


def is_own(aligner: Aligner) -> bool:
    """Return whether an aligner warns with `isthmus.utils.warning.warn`, so that it may be fitted in any thread."""
    options = aligner.get_params()
    row_map = options.get("row_map")
    values = [*options.values(), get(row_map)() if isinstance(row_map, str) else None]
    return type(aligner).__module__.startswith("isthmus.") and all(
        is_own(value) for value in values if isinstance(value, Aligner)
    )


@contextmanager
def collected_warnings(aligner: Aligner) -> Iterator[list[tuple[str, type[Warning]]]]:
    """Collect the warnings of a fit, as messages and categories.

    Warnings of other packages belong to the process, so that only the calling thread may fit their aligners.
    """
    if is_own(aligner):
        with collecting_warnings() as collected, np.errstate(all="ignore"):
            yield collected
        return
    collected = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield collected
    collected += [(str(warning.message), warning.category) for warning in caught]
