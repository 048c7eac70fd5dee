"""The probe against scikit-learn, and what centring does to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import isthmus
from isthmus import Pairs
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics.separability import Probe, logistic_regression
from isthmus.statistics.intervals import wilson_interval

NAMES = ["linear_separability", "separability_auc"]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def overlapping(rng: np.random.Generator, n: int = 300, gap: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    latent = rng.normal(size=(n, 6))
    x, y = latent + 0.7 * rng.normal(size=(2, n, 6))
    x[:, 0] += gap
    return unit(x), unit(y)


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_logistic_regression_equals_scikit_learn(rng: np.random.Generator, offset: float) -> None:
    x, y = overlapping(rng)
    x, y = x + offset, y + offset  # the bias is not penalised
    model = LogisticRegression(tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    model.fit(np.vstack([x, y]), np.repeat([1, 0], len(x)))
    weights, bias = logistic_regression(x, y)
    np.testing.assert_allclose(weights, model.coef_[0], atol=1e-6)
    assert bias == pytest.approx(model.intercept_[0], abs=1e-6 * max(1, 10 * offset))


def test_separability_equals_scikit_learn_on_held_out_items(rng: np.random.Generator) -> None:
    x, y = overlapping(rng)
    rows = PairedRows(x, y)
    fit, judged = rows.random_order[:150], rows.random_order[150:]
    assert not set(fit) & set(judged)
    model = LogisticRegression(tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    model.fit(np.vstack([x[fit], y[fit]]), np.repeat([1, 0], 150))
    test, truth = np.vstack([x[judged], y[judged]]), np.repeat([1, 0], 150)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    assert estimates[NAMES[0]].value == pytest.approx(model.score(test, truth), abs=1e-12)
    assert estimates[NAMES[1]].value == pytest.approx(roc_auc_score(truth, model.decision_function(test)), abs=1e-12)
    assert 0.5 < estimates[NAMES[0]].value < 0.8
    for name in NAMES:
        assert estimates[name].low < estimates[name].value < estimates[name].high
        assert estimates[name].null == 0.5


def test_separability_after_centring_falls_below_chance(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 200, 64))
    x, y = unit(x + 2 * np.eye(64)[0]), unit(y + 2 * np.eye(64)[1])
    raw = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    centred = Pairs(image=x - x.mean(axis=0), text=y - y.mean(axis=0))
    estimates = isthmus.measure(centred, metrics=NAMES, normalize=False)
    for name in NAMES:
        assert raw[name].value > 0.9
        assert estimates[name].value < 0.4


def test_separability_of_separable_modalities_is_one(cones: Any) -> None:
    x, y = cones
    estimates = isthmus.measure(Pairs(image=x + 9 * np.eye(12)[5], text=y - 9 * np.eye(12)[5]), metrics=NAMES)
    accuracy, auc = (estimates[name] for name in NAMES)
    assert accuracy.value == auc.value == 1
    assert accuracy.high == pytest.approx(1)
    assert 0.9 < accuracy.low < 1
    assert 0.9 < auc.low < auc.high == 1


def test_auc_interval_ends_at_areas_whose_errors_reach_the_measured_one(rng: np.random.Generator) -> None:
    """DeLong's variance: placement values of both rows of an item are summed, because they are not independent."""
    x, y = overlapping(rng)
    probe = Probe.of(PairedRows(x, y))
    m = len(probe.x)
    above = (probe.x[:, None] > probe.y).astype(float)
    placements = above.mean(axis=1) + above.mean(axis=0)
    deviations = placements - placements.mean()
    df = 2 * m / (np.mean(deviations**4) / np.mean(deviations**2) ** 2 - 1)

    def hanley_mcneil(area: float) -> float:
        shared = (m - 1) * (area / (2 - area) + 2 * area**2 / (1 + area) - 2 * area**2)
        return (area * (1 - area) + shared) / m**2

    auc = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)[NAMES[1]]
    ratio = (df * placements.var(ddof=1) / m / hanley_mcneil(auc.value) + 5) / (df + 5)
    for end in (auc.low, auc.high):
        assert abs(end - auc.value) == pytest.approx(1.959963984540054 * np.sqrt(ratio * hanley_mcneil(end)), abs=1e-10)


def test_accuracy_interval_equals_wilson_with_the_trials_between_items(rng: np.random.Generator) -> None:
    x, y = overlapping(rng)
    probe = Probe.of(PairedRows(x, y))
    correct = ((probe.x > 0) * 1.0 + (probe.y < 0)) / 2
    share, n = correct.mean(), len(correct)
    trials = n * share * (1 - share) / correct.var(ddof=1)
    assert trials > n  # the errors of the two rows of an item are nearly independent
    accuracy = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)[NAMES[0]]
    # The ends solve |end - share| = z sqrt(end (1 - end) / trials).
    for end in (accuracy.low, accuracy.high):
        assert abs(end - share) == pytest.approx(1.959963984540054 * np.sqrt(end * (1 - end) / trials), abs=1e-10)


def accuracy(errors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> isthmus.Estimate:
    """Return the accuracy of a probe that errs on 0, 1 or 2 rows of each item."""
    rows = np.arange(2.0 * len(errors)).reshape(2, -1) + 1
    probe = Probe(np.where(errors > 0, -1.0, 1.0), np.where(errors > 1, 1.0, -1.0))
    monkeypatch.setattr(Probe, "from_context", lambda context: probe)
    return isthmus.measure(rows[0][:, None] ** [0, 1], rows[1][:, None] ** [0, 1], metrics=NAMES[:1])[NAMES[0]]


def test_accuracy_without_errors_counts_items(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accuracy(np.zeros(40), monkeypatch).low == pytest.approx(0.025 ** (1 / 40))


def test_accuracy_of_items_with_one_error_each_counts_items(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = accuracy(np.ones(40), monkeypatch)
    assert (estimate.low, estimate.high) == pytest.approx(wilson_interval(20, 40))


@pytest.mark.parametrize("rows_of_an_item", [1, 2])
def test_accuracy_with_more_errors_has_a_lower_interval(rows_of_an_item: int, monkeypatch: pytest.MonkeyPatch) -> None:
    estimates = [accuracy(rows_of_an_item * (np.arange(150) < n), monkeypatch) for n in range(25)]
    assert np.all(np.diff([e.low for e in estimates]) < 0)
    assert np.all(np.diff([e.high for e in estimates[: 15 if rows_of_an_item == 2 else 25]]) < 1e-3)


@pytest.mark.parametrize("expected_errors", [0.5, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("are_together", [False, True])
def test_interval_of_few_errors_covers_whether_or_not_rows_of_an_item_err_together(
    are_together: bool, expected_errors: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If both rows of an item count as trials where no error is seen, 4 expected errors are covered in .85."""
    rng, n, intervals, is_covered = np.random.default_rng(7), 100, {}, []
    rate = expected_errors / (2 * n)
    for _ in range(1000):
        errors = 2 * (rng.random(n) < rate) if are_together else (rng.random((n, 2)) < rate).sum(axis=1)
        counts = tuple(np.bincount(errors, minlength=3).tolist())
        if counts not in intervals:
            intervals[counts] = accuracy(errors, monkeypatch)
        is_covered.append(intervals[counts].low <= 1 - rate <= intervals[counts].high)
    assert np.mean(is_covered) >= 0.93


@pytest.mark.parametrize(("n", "is_defined"), [(7, False), (8, True)])
def test_separability_needs_eight_items(n: int, is_defined: bool, rng: np.random.Generator) -> None:
    x, y = overlapping(rng)
    for estimate in isthmus.measure(Pairs(image=x[:n], text=y[:n]), metrics=NAMES).values():
        assert (estimate.undefined is None) == is_defined
        assert is_defined or estimate.undefined == "7 items with a matching row, at least 8 are needed"


def test_auc_of_ties_counts_half() -> None:
    x = np.ones((20, 3))
    rows = PairedRows(x, x)
    probe = Probe.of(rows)
    assert np.all(probe.x == probe.y)
    estimates = isthmus.measure(Pairs(image=x, text=x), metrics=["separability_auc"])
    assert estimates["separability_auc"].value == 0.5


def test_separability_of_clip_is_one(clip_coco: Pairs) -> None:
    estimates = isthmus.measure(clip_coco, metrics=NAMES)
    assert [estimates[name].value for name in NAMES] == [1, 1]


def test_accuracy_counts_items_as_trials_if_their_rows_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = accuracy(2 * (np.arange(60) < 20), monkeypatch)
    assert (estimate.low, estimate.high) == pytest.approx(wilson_interval(40, 60))


def test_rows_that_equal_those_of_a_constant_modality_are_ties(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(291, 16)), np.tile(rng.normal(size=16), (291, 1))
    x[::20] = y[0]
    forward, backward = (isthmus.measure(*rows, metrics=NAMES[1:])[NAMES[1]] for rows in ((x, y), (y, x)))
    assert forward.value == pytest.approx(backward.value, rel=1e-12)
    assert np.ptp(Probe.of(PairedRows(x, y)).y) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_that_differ_in_length_alone_are_ties(dtype: str, rng: np.random.Generator) -> None:
    x, direction, lengths = rng.normal(size=(61, 16)), rng.normal(size=16), rng.uniform(0.5, 3, size=(61, 1))
    x[::3] = lengths[::3] * direction
    constant = isthmus.measure(x.astype(dtype), np.tile(direction, (61, 1)).astype(dtype), metrics=NAMES)
    rows = x.astype(dtype), (lengths[::-1] * direction).astype(dtype)
    for x_rows, y_rows in (rows, rows[::-1]):
        estimates = isthmus.measure(x_rows, y_rows, metrics=NAMES)
        for name in NAMES:
            assert estimates[name].value == pytest.approx(constant[name].value, rel=1e-12), name
