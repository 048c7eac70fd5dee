"""Thresholds, patience and recovery of the collapse detector, on both sides of each limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

import isthmus
from isthmus import InputError, Moments
from isthmus.train import CollapseDetector, GapSnapshot


@pytest.fixture(scope="module")
def snapshot() -> GapSnapshot:
    return GapSnapshot.of(Moments.of(isthmus.demo.load("plain")))


def n_messages(
    detector: CollapseDetector, snapshot: GapSnapshot, ranks: list[float], lengths: list[float] | None = None
) -> list[int]:
    """Return the number of messages after each snapshot with these image ranks and mean lengths."""
    counts = []
    for step, (rank, length) in enumerate(zip(ranks, lengths or [0.0] * len(ranks), strict=True), start=1):
        changed = replace(
            snapshot,
            step=step,
            effective_ranks={"image": rank, "text": 20.0},
            lengths={"image": length, "text": 0.0},
        )
        counts.append(len(detector(changed)))
    return counts


@pytest.mark.parametrize(("fraction", "expected"), [(0.49, [0, 0, 1]), (0.51, [0, 0, 0])])
def test_detector_with_rank_near_half_of_the_maximum_reports_below_it(
    fraction: float, expected: list[int], snapshot: GapSnapshot
) -> None:
    assert n_messages(CollapseDetector(), snapshot, [20.0, 20 * fraction, 20 * fraction]) == expected


@pytest.mark.parametrize(("spread", "expected"), [(0.24, [0, 0, 1]), (0.26, [0, 0, 0])])
def test_detector_with_spread_near_a_quarter_of_the_maximum_reports_below_it(
    spread: float, expected: list[int], snapshot: GapSnapshot
) -> None:
    lengths = [0.0, (1 - spread) ** 0.5, (1 - spread) ** 0.5]
    assert n_messages(CollapseDetector(), snapshot, [20.0] * 3, lengths) == expected


def test_detector_with_options_uses_their_thresholds(snapshot: GapSnapshot) -> None:
    ranks = [20.0, 9.0, 9.0]
    assert n_messages(CollapseDetector(rank_fraction=0.4), snapshot, ranks) == [0, 0, 0]
    assert n_messages(CollapseDetector(rank_fraction=0.46), snapshot, ranks) == [0, 0, 1]
    lengths = [0.0, 0.8, 0.8]  # a spread of 0.36
    assert n_messages(CollapseDetector(spread_fraction=0.35), snapshot, [20.0] * 3, lengths) == [0, 0, 0]
    assert n_messages(CollapseDetector(spread_fraction=0.37), snapshot, [20.0] * 3, lengths) == [0, 0, 1]


def test_detector_with_patience_reports_once_after_that_many_low_snapshots(snapshot: GapSnapshot) -> None:
    assert n_messages(CollapseDetector(patience=1), snapshot, [20.0, 5.0, 5.0]) == [0, 1, 0]
    assert n_messages(CollapseDetector(patience=3), snapshot, [20.0, 5.0, 5.0, 5.0, 5.0]) == [0, 0, 0, 1, 0]
    assert n_messages(CollapseDetector(), snapshot, [20.0, 5.0, 15.0, 5.0, 5.0]) == [0, 0, 0, 0, 1]


def test_detector_with_slow_fall_compares_with_the_maximum(snapshot: GapSnapshot) -> None:
    assert n_messages(CollapseDetector(), snapshot, [20.0, 12.0, 8.0, 8.0]) == [0, 0, 0, 1]


def test_detector_after_recovery_reports_again(snapshot: GapSnapshot) -> None:
    assert n_messages(CollapseDetector(), snapshot, [20.0, 5.0, 5.0, 15.0, 5.0, 5.0]) == [0, 0, 1, 0, 0, 1]


def test_detector_during_warmup_ignores_the_maximum(snapshot: GapSnapshot) -> None:
    assert n_messages(CollapseDetector(warmup_steps=1), snapshot, [40.0, 15.0, 15.0, 15.0]) == [0, 0, 0, 0]
    assert n_messages(CollapseDetector(), snapshot, [40.0, 15.0, 15.0, 15.0]) == [0, 0, 1, 0]


def test_detector_message_names_values_steps_and_modality(snapshot: GapSnapshot) -> None:
    detector = CollapseDetector(patience=1)
    n_messages(detector, snapshot, [20.0])
    low = replace(snapshot, step=7, effective_ranks={"image": 20.0, "text": 5.0}, lengths={"image": 0.0, "text": 0.0})
    (message,) = detector(low)
    assert message.startswith("text collapses: its effective rank fell from 20 at step 1 to 5 at step 7. Lower the")
    assert len(message) <= 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank_fraction": 0}, "rank_fraction=0, expected a number between 0 and 1"),
        ({"spread_fraction": 1}, "spread_fraction=1, expected a number between 0 and 1"),
        ({"patience": 0}, "patience=0, warmup_steps=0: expected at least 1 and at least 0"),
        ({"warmup_steps": -1}, "patience=2, warmup_steps=-1: expected at least 1 and at least 0"),
    ],
)
def test_detector_with_invalid_options_raises(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CollapseDetector(**options)
