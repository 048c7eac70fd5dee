"""Warnings that belong to a context: threads collect their own, and Python gets those that no block takes."""

from __future__ import annotations

import warnings

import pytest

from isthmus.compute.threads import run_parallel
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import collecting_warnings, is_dropped, warn, without_warnings


class OwnWarning(IsthmusWarning):
    """A kind of warning."""


def test_warn_outside_of_blocks_is_a_warning_of_python_at_the_caller() -> None:
    with pytest.warns(OwnWarning, match="few pairs") as record:
        warn("few pairs", OwnWarning, stacklevel=1)
    assert record[0].filename == __file__


def test_threads_that_collect_at_the_same_time_get_their_own_warnings() -> None:
    def fit(number: int) -> list[str]:
        with collecting_warnings() as collected:
            for _ in range(50):
                warn(f"from {number}")
        return [message for message, _ in collected]

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing reaches Python
        collected = run_parallel([lambda k=k: fit(k) for k in range(4)], threads=4)
    assert collected == [[f"from {k}"] * 50 for k in range(4)]


def test_without_warnings_drops_a_category_and_passes_others_to_the_outer_block() -> None:
    with collecting_warnings() as collected, without_warnings(OwnWarning):
        run_parallel([lambda: warn("dropped", OwnWarning), lambda: warn("kept")], threads=2)
    assert collected == [("kept", IsthmusWarning)]


def test_is_dropped_is_true_only_where_no_block_inside_collects_the_warnings() -> None:
    assert not is_dropped(OwnWarning)
    with without_warnings(OwnWarning):
        assert is_dropped(OwnWarning)
        assert not is_dropped(IsthmusWarning)
        with collecting_warnings():
            assert not is_dropped(OwnWarning)
