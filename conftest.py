"""Imports the packages with registries before pytest collects single modules of `src` for their examples.

Pytest would otherwise import such a module a second time, and its classes would not be those of the registries.
The garbage collector rests meanwhile, because it would go through all modules again and again.
"""

import gc
from collections.abc import Iterator

import pytest

import isthmus.align
import isthmus.data.sources
import isthmus.evaluation
import isthmus.metrics
import isthmus.tasks  # noqa: F401


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import all tests without the garbage collector."""
    gc.disable()
    yield
    gc.freeze()  # what was imported stays
    gc.enable()
