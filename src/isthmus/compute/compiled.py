"""Loops over a tile of scores that are compiled, where numba is installed (the extra `fast`)."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from functools import cache
from typing import Any

import numpy as np

from isthmus.utils.errors import IsthmusWarning

#: Entries of the score matrix of 10,000 rows each way. With fewer, loading the loops takes longer than they save.
MIN_SCORES = 100_000_000


def compiled_loops(n_scores: int, dtype: np.dtype | type) -> Any:
    """Return the module of compiled loops, or None if NumPy is to compute.

    Parameters
    ----------
    n_scores : int
        Entries of the score matrix.
    dtype : numpy.dtype
        Their type.

    Returns
    -------
    module or None
        `isthmus.compute._loops` for at least `MIN_SCORES` scores of float32, if numba is installed.

    Examples
    --------
    >>> compiled_loops(1_000, np.float32) is None
    True
    """
    return _loops() if n_scores >= MIN_SCORES and np.dtype(dtype) == np.float32 else None


@cache
def _loops() -> Any:
    """Return the module, or None if numba is missing. A numba that cannot be imported is reported once."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module("isthmus.compute._loops")
    except ImportError as error:
        message = f"numba cannot be imported, so that NumPy computes more slowly: {error}"
        warnings.warn(message, IsthmusWarning, stacklevel=2)
        return None
