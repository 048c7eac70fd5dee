"""The monitor names degenerate features at its first snapshot, and says where few pairs bias a snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus

torch = pytest.importorskip("torch")

from isthmus.statistics.moments import moments_of  # noqa: E402
from isthmus.train import GapMonitor, GapSnapshot  # noqa: E402


@pytest.mark.parametrize("spread", [0.0, 1e-3])
def test_monitor_of_a_collapsed_encoder_says_so_at_its_first_snapshot(rng: np.random.Generator, spread: float) -> None:
    messages: list[str] = []
    monitor = GapMonitor(every=2, window=2, warn=messages.append)
    cone, cloud = (torch.tensor(rng.normal(size=(64, 16))) for _ in range(2))
    for _ in range(6):
        monitor(torch.nn.functional.normalize(torch.ones(64, 16) + spread * cone), torch.nn.functional.normalize(cloud))
    assert len(messages) == 1
    assert messages[0].startswith("at step 2 ")
    assert "rows of image are" in messages[0]
    assert "the same" in messages[0]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (lambda: (torch.eye(12), -torch.eye(12)), "is the negative of its matching row"),
        (lambda: (torch.randn(64, 3) @ torch.eye(3, 12), torch.randn(64, 12)), "image vary in only 3 of 12 directions"),
        (lambda: (torch.randn(64, 1) @ torch.randn(1, 12), torch.randn(64, 12)), "rows of image lie along one direct"),
        (lambda: (torch.randn(2, 12), torch.randn(2, 12)), "there are only 4 items"),
    ],
)
def test_monitor_of_degenerate_pairs_names_them_once_at_its_first_snapshot(features: Any, message: str) -> None:
    messages: list[str] = []
    torch.manual_seed(0)
    monitor = GapMonitor(every=2, window=2, warn=messages.append)
    rows = [torch.nn.functional.normalize(side) for side in features()]
    for _ in range(4):
        monitor(*rows)
    assert len([m for m in messages if message in m]) == 1, messages


@pytest.mark.parametrize(("n", "is_few"), [(79, True), (80, False)])
def test_snapshot_of_few_pairs_says_how_sampling_biases_it(n: int, is_few: bool, rng: np.random.Generator) -> None:
    snapshot = GapSnapshot.of(isthmus.Moments.of(*(rng.normal(size=(2, n, 8)) + 1)))
    assert ("ranks are too low: few pairs" in str(snapshot)) == is_few
    assert [note.split(":")[0] for note in snapshot.budget.notes] == [
        "Few pairs (79 of the 80 that 8 dimensions need)"
    ] * is_few


@pytest.mark.parametrize("factor", [1e20, 1e-30])
def test_monitor_of_rows_whose_squares_leave_the_range_agrees_with_unit_rows(factor: float) -> None:
    x, y = torch.nn.functional.normalize(torch.randn(2, 32, 8, generator=torch.Generator().manual_seed(0)), dim=2)
    sums = isthmus.train.batch_sums(x, y)
    torch.testing.assert_close(isthmus.train.batch_sums(factor * x, factor * y), sums, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("swapped", [False, True])
def test_monitor_evaluates_rows_that_repeat_as_one_item(swapped: bool, rng: np.random.Generator) -> None:
    latent = rng.normal(size=(60, 8)) + 0.5 * np.eye(8)[0]
    x, y = (torch.nn.functional.normalize(torch.tensor(latent + 0.4 * rng.normal(size=(60, 8)))) for _ in "xy")
    owner = np.repeat(np.arange(60), 3)
    captions = torch.nn.functional.normalize(y[owner] + 0.3 * torch.tensor(rng.normal(size=(180, 8))))
    rows = (captions, x[owner]) if swapped else (x[owner], captions)
    indexed = isthmus.Pairs(x=x.numpy(), y=captions.numpy(), index=owner)
    names = ("y", "x") if swapped else ("x", "y")
    found = GapMonitor(names=names, show=False).evaluate(*rows)
    expected = GapSnapshot.of(moments_of(indexed), step=1, names=("x", "y"))
    assert found is not None
    assert found.to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)
    assert found.budget.notes[0].startswith("Few pairs (60 of the 80")
