"""Helpers of the tests of tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(scope="session")
def unit() -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that divides rows by their norm."""
    return lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
