"""The monitor reads what the measures read, costs no gradient, and says when dimensions collapse."""

from __future__ import annotations

import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import isthmus  # noqa: E402
from isthmus import InputError, IsthmusWarning, Moments  # noqa: E402
from isthmus.statistics.moments import moments_of  # noqa: E402
from isthmus.theory import check  # noqa: E402
from isthmus.train import (  # noqa: E402
    CollapseDetector,
    GapMonitor,
    GapSnapshot,
    batch_sums,
    make_logger,
    moments_from_sums,
)


def clouds(rng: np.random.Generator, n: int = 60, d: int = 8, *, mean: float = 4.0) -> tuple[Any, Any]:
    latent = rng.normal(size=(n, d))
    sides = (latent + 0.4 * rng.normal(size=(n, d)) + mean * np.eye(d)[i] for i in (0, 1))
    x, y = (torch.nn.functional.normalize(torch.tensor(side)) for side in sides)
    return x, y


def test_moments_from_sums_equal_moments_of_rows(rng: np.random.Generator) -> None:
    x, y = clouds(rng)
    expected = Moments.of(x.numpy(), y.numpy())
    for dtype, accuracy in ((torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.2)):
        parts = batch_sums(x[:20].to(dtype), y[:20].to(dtype)) + batch_sums(x[20:].to(dtype), y[20:].to(dtype))
        found = moments_from_sums(parts)
        assert found.n == 60
        for name in ("sum_x", "sum_y", "xx", "yy", "xy", "cos_sq", "cos_x", "cos_y"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=60 * accuracy, err_msg=name)


def test_monitor_snapshot_equals_the_measures_of_the_window(rng: np.random.Generator) -> None:
    monitor = GapMonitor(every=5, window=2, names=("sound", "text"))
    batches = [clouds(rng, mean=1 + 0.1 * step) for step in range(10)]
    found = [monitor(*batch) for batch in batches]
    assert [step for step, reading in enumerate(found, 1) if reading is not None] == [1, 5, 10]
    reading = found[9]
    assert reading is monitor.last
    assert (reading.step, reading.n) == (10, 120)
    rows = [torch.cat([batch[side] for batch in batches[8:]]).numpy() for side in (0, 1)]
    pairs = isthmus.Pairs(sound=rows[0], text=rows[1])
    result, explained, assumed = isthmus.measure(pairs), isthmus.explain(pairs), check(pairs)
    assert reading.gap.value == pytest.approx(result["centroid_angle"].value, abs=1e-9)
    assert reading.gap.low == pytest.approx(result["centroid_angle"].low, abs=1e-9)
    assert reading.distance == pytest.approx(result["centroid_distance"].value, abs=1e-12)
    assert reading.plugins["distance"] == pytest.approx(result["centroid_distance"].plugin, abs=1e-12)
    assert reading.excess_overlap.value == result["excess_overlap_dimensions"].value
    for side in ("sound", "text"):
        assert reading.lengths[side] == pytest.approx(result[f"mean_resultant_length_{side}"].value)
        assert reading.plugins[f"length_{side}"] == pytest.approx(result[f"mean_resultant_length_{side}"].plugin)
        assert reading.effective_ranks[side] == pytest.approx(result[f"effective_rank_{side}"].plugin)
        assert reading.ranks[side] == result[f"rank_99_{side}"].value
    for name, part in explained.budget.items():
        assert reading.budget[name].value == pytest.approx(part.plugin, abs=1e-9)
    for name, entry in reading.assumptions.items():
        assert entry.residual == pytest.approx(assumed[name].residual, abs=1e-9, nan_ok=True), name
    numbers = reading.to_dict()
    assert numbers["gap/angle"] == reading.gap.value
    assert numbers["gap/residual_subspace_text"] == reading.assumptions["subspace_text"].residual
    json.dumps(numbers, allow_nan=False)
    assert "step 10: gap" in str(reading)


@pytest.mark.parametrize(
    ("n", "every", "window", "steps"),
    [(5, 20, 4, [4, 20]), (60, 20, 4, [1, 20]), (5, 20, 17, [20]), (1, 20, 4, [16, 20]), (60, 20, 20, [20])],
)
def test_monitor_first_snapshot_comes_when_there_are_two_pairs_a_dimension(
    rng: np.random.Generator, n: int, every: int, window: int, steps: list[int]
) -> None:
    monitor = GapMonitor(every=every, window=window, show=False, warn=lambda message: None)
    for _ in range(20):
        monitor(*clouds(rng, n=n))
    assert [snapshot.step for snapshot in monitor.snapshots] == steps
    assert monitor.snapshots[-1].n == window * n
    if len(steps) == 2:
        assert 16 <= monitor.snapshots[0].n == steps[0] * n


def test_monitor_counts_no_fall_from_its_first_snapshot(rng: np.random.Generator) -> None:
    messages: list[str] = []
    monitor = GapMonitor(every=4, window=1, warn=messages.append, show=False)
    for step in range(20):
        x, y = clouds(rng, n=100, mean=0.0)
        x[:, 2:] *= 1.0 if step < 3 else 0.02  # full rank before the training alone
        monitor(x, y)
    assert [snapshot.step for snapshot in monitor.snapshots] == [1, 4, 8, 12, 16, 20]
    assert not [message for message in messages if "collapses" in message]


def test_monitor_prints_one_line_for_each_snapshot_unless_it_is_told_not_to(
    rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, hidden = GapMonitor(every=2, window=2), GapMonitor(every=2, window=2, show=False)
    for _ in range(4):
        for monitor in (shown, hidden):
            monitor(*clouds(rng))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [str(snapshot) for snapshot in shown.snapshots]


def test_monitor_under_autocast_keeps_gradients_and_numbers(rng: np.random.Generator) -> None:
    x, y = (side.float().requires_grad_() for side in clouds(rng))
    monitor = GapMonitor(every=1, window=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = monitor(x, y)
    outside = monitor(x, y)
    assert inside.gap.value == pytest.approx(outside.gap.value, abs=1e-9)
    assert x.grad is None
    (x.sum() + y.sum()).backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert 0 < monitor.overhead <= 1


def test_monitor_in_background_returns_equal_snapshots_later(rng: np.random.Generator) -> None:
    batches = [clouds(rng) for _ in range(6)]
    here, there = GapMonitor(every=2, window=2), GapMonitor(every=2, window=2, background=True)
    returned = [there(*batch) for batch in batches] + [there.flush()]
    for batch in batches:
        here(*batch)
    assert [r.to_dict() for r in there.snapshots] == [r.to_dict() for r in here.snapshots]
    assert [r for r in returned if r is not None] == there.snapshots
    assert returned[1] is None
    assert there.flush() is None


def test_monitor_with_vanishing_means_has_no_angle(rng: np.random.Generator) -> None:
    x = torch.tensor(rng.normal(size=(200, 6)))
    x, y = (torch.nn.functional.normalize(rows) for rows in (x, x + 0.1))
    reading = GapMonitor(every=1, window=1)(x, y)
    assert "not distinguishable from zero" in reading.gap.undefined
    assert "gap/angle" not in reading.to_dict()
    assert "gap undefined" in str(reading)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(float("nan"), "NaN or infinite values in the batches up to step 1"), (0.0, "1.7 % of the features are all")],
)
def test_monitor_with_invalid_features_warns(rng: np.random.Generator, spoil: float, words: str) -> None:
    x, y = clouds(rng)
    x[3] = spoil
    monitor = GapMonitor(every=1, window=1)
    with pytest.warns(IsthmusWarning, match=words):
        assert monitor(x, y) is None
    assert monitor(clouds(rng)[0], y) is not None


@pytest.mark.parametrize(("n_zeros", "has_snapshot"), [(1, True), (3, False)])
def test_monitor_with_zero_rows_warns_from_one_in_a_thousand(
    rng: np.random.Generator, n_zeros: int, has_snapshot: bool
) -> None:
    x, y = clouds(rng, n=2000)
    y[:n_zeros] = 0
    messages: list[str] = []
    snapshot = GapMonitor(every=1, window=1, warn=messages.append)(x, y)
    assert (snapshot is not None) == has_snapshot
    assert len(messages) == (not has_snapshot)


def test_monitor_flush_with_incomplete_window_returns_its_snapshot(rng: np.random.Generator) -> None:
    batches = [clouds(rng) for _ in range(3)]
    for background in (False, True):
        monitor = GapMonitor(every=4, window=4, background=background)
        assert [monitor(*batch) for batch in batches] == [None] * 3
        snapshot = monitor.flush()
        assert snapshot is monitor.last
        assert (snapshot.step, snapshot.n) == (3, 180)
        assert monitor.flush() is None


def test_monitor_evaluate_measures_these_features_alone(rng: np.random.Generator) -> None:
    monitor = GapMonitor(every=4, window=4)
    monitor(*clouds(rng, mean=1.0))
    x, y = clouds(rng)
    snapshot = monitor.evaluate(x, y, step=40)
    assert (snapshot.step, snapshot.n) == (40, 60)
    assert snapshot.to_dict() == pytest.approx(GapSnapshot.of(Moments.of(x.numpy(), y.numpy())).to_dict(), abs=1e-9)


def test_monitor_with_invalid_arguments_raises() -> None:
    for options in ({"every": 0}, {"every": 4, "window": 5}, {"window": 0}):
        with pytest.raises(InputError, match="expected every >= window >= 1"):
            GapMonitor(**options)
    with pytest.raises(InputError, match="expected two different names"):
        GapMonitor(names=("a", "a"))
    with pytest.raises(InputError, match=r"log=3 cannot be logged to: give a SummaryWriter"):
        GapMonitor(log=3)
    monitor = GapMonitor(every=2, window=2)
    assert monitor.flush() is None
    with pytest.raises(InputError, match=r"y: got ndarray, expected a floating-point tensor"):
        monitor(torch.ones(2, 3), np.ones((2, 3)))
    monitor = GapMonitor(every=2, window=2)
    with pytest.raises(InputError, match=r"got features of shapes \(2, 3\) and \(2, 4\), expected one shape"):
        monitor(torch.ones(2, 3), torch.ones(2, 4))
    monitor = GapMonitor(every=2, window=2)
    monitor(torch.eye(2, 3), torch.eye(2, 3))
    with pytest.raises(InputError, match="got features of width 4 after features of another width"):
        monitor(torch.ones(2, 4), torch.ones(2, 4))
    with pytest.raises(InputError, match="rank_fraction=2, expected a number"):
        CollapseDetector(rank_fraction=2)
    with pytest.raises(InputError, match="patience=0"):
        CollapseDetector(patience=0)


def test_monitor_with_collapse_warns_once_and_again_after_recovery(rng: np.random.Generator) -> None:
    said: list[str] = []
    monitor = GapMonitor(every=1, window=1, warn=said.append)

    def show(share: float, times: int) -> None:
        for _ in range(times):
            x, y = clouds(rng, n=300, mean=0.0)
            keep = torch.ones(8)
            keep[2:] = share
            monitor(x * keep, y)

    show(1.0, 3)
    assert said == []
    show(0.02, 1)
    assert said == []  # one reading may be an accident
    show(0.02, 4)
    assert len(said) == 1
    assert said[0].startswith("image collapses: its effective rank fell from 7.9")
    assert "at step 5" in said[0]
    assert "VarianceCovariance" in said[0]
    show(1.0, 2)
    show(0.02, 3)
    assert len(said) == 2


def test_monitor_of_training_without_negatives_warns() -> None:
    """No negatives, and partners that have nothing in common: all ends in one point."""
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(2, 256, 32, generator=generator)
    sides = [torch.nn.Linear(32, 16, device="meta").to_empty(device="cpu") for _ in range(2)]
    with torch.no_grad():
        for side in sides:
            side.weight.copy_(torch.randn(16, 32, generator=generator) / 6)
            side.bias.fill_(0.1)
    optimizer = torch.optim.Adam([p for side in sides for p in side.parameters()], lr=0.01)
    monitor = GapMonitor(every=10, window=1)

    def pull() -> None:
        for _ in range(200):
            x, y = (torch.nn.functional.normalize(side(rows)) for side, rows in zip(sides, items, strict=True))
            loss = ((x - y) ** 2).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            monitor(x, y)

    with pytest.warns(IsthmusWarning, match=r"(image|text) collapses: its (effective rank|spread)"):
        pull()
    assert monitor.last.lengths["image"] > 0.95


@pytest.mark.parametrize("temperature", ["0.01", "learned"])
def test_monitor_of_healthy_training_does_not_warn(temperature: str) -> None:
    from isthmus.studies.training import Setting, train_setting

    monitor = GapMonitor(every=10, window=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = train_setting(Setting(temperature=temperature, epochs=20), monitor=monitor)
    assert [snapshot.step for snapshot in monitor.snapshots] == [1, *range(10, 101, 10)]
    assert run.end["R@1"] > 0.02
    assert monitor.last.lengths["image"] == pytest.approx(run.end["length_image"], abs=0.05)


def test_monitor_logs_to_tensorboard(rng: np.random.Generator, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        monitor = GapMonitor(every=2, window=1, log=writer)
        for _ in range(4):
            monitor(*clouds(rng))
    events = tensorboard.EventAccumulator(str(tmp_path)).Reload()
    points = events.Scalars("gap/angle")
    assert [point.step for point in points] == [1, 2, 4]
    assert points[2].value == pytest.approx(monitor.last.gap.value, rel=1e-6)
    assert set(events.Tags()["scalars"]) == set(monitor.last.to_dict())


def test_monitor_logs_to_weights_and_biases(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[dict[str, float]] = []
    run = types.SimpleNamespace(log=logged.append)
    monitor = GapMonitor(every=1, window=1)  # finds the run that is active
    monitor(*clouds(rng))
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(run=None))
    monitor(*clouds(rng))
    assert logged == []
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(run=run))
    monitor(*clouds(rng))
    assert logged == [{**monitor.last.to_dict(), "gap/step": 3}]
    make_logger(run)({"a": 1.0}, 7)
    assert logged[1] == {"a": 1.0, "gap/step": 7}


def test_snapshot_of_demo_moments_has_the_imposed_angle() -> None:
    reading = GapSnapshot.of(moments_of(isthmus.demo.load("collapsed")), names=("image", "text"))
    assert reading.gap.value == pytest.approx(60, abs=0.5)
    assert reading.assumptions["constant_part_image"].holds


def test_monitor_of_equal_features_says_so(rng: np.random.Generator) -> None:
    messages: list[str] = []
    x, _ = clouds(rng)
    GapMonitor(every=1, window=1, warn=messages.append)(x, x)
    assert messages == [
        "at step 1 every row of image is the same as its matching row of text. Check that the features of two "
        "modalities are given"
    ]


def test_monitor_of_rows_that_are_not_unit_warns_once_and_measures_the_unit_rows(rng: np.random.Generator) -> None:
    messages: list[str] = []
    monitor, unit_monitor = (GapMonitor(every=1, window=1, warn=messages.append) for _ in range(2))
    x, y = clouds(rng)
    for _ in range(2):
        scaled, unit = monitor(9 * x, 9 * y), unit_monitor(x, y)
    assert [message[:35] for message in messages] == ["got features of mean length 9 and 9"]
    assert scaled is not None
    assert unit is not None
    assert scaled.gap.value == pytest.approx(unit.gap.value)


def test_history_is_a_table_of_all_snapshots_and_is_drawn() -> None:
    monitor = GapMonitor(every=1, window=1)
    with pytest.raises(InputError, match="history got no snapshot"):
        monitor.plot()
    for offset in (0.5, 1.0):
        rows = torch.nn.functional.normalize(torch.randn(60, 8, generator=torch.Generator().manual_seed(0)) + offset)
        monitor(rows, rows.roll(1, 0))
    history = monitor.history
    assert history.columns()["step"] == [1, 2]
    assert history.columns()["distance"] == [snapshot.distance for snapshot in monitor.snapshots]
    assert list(history) == monitor.snapshots
    assert len(history.to_frame()) == 2
    assert monitor.plot().get_xlabel() == "step"
    names = [name for name in monitor.snapshots[0].to_dict() if name.startswith("gap/p_")]
    assert all(0 <= monitor.snapshots[0].to_dict()[name] <= 1 for name in names)
