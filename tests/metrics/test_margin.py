"""Margins against sorts of all scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

import isthmus
from isthmus import Pairs
from isthmus.compute import score_sweep
from isthmus.metrics import _negative_ends
from isthmus.metrics._negative_ends import NegativeEnds, end_window
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics.margin import HALF_SAMPLES, ScoreEnds, half_sample_ends, score_ends

NAMES = ["siglip_margin", "siglip_relative_bias", "siglip_margin_trimmed", "siglip_relative_bias_trimmed"]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow(x: np.ndarray, y: np.ndarray, share: float) -> tuple[float, float]:
    scores = x @ y.T
    positives = np.sort(np.diag(scores))[int(share * len(x)) :]
    negatives = np.sort(scores[~np.eye(len(x), dtype=bool)])
    negatives = negatives[: len(negatives) - int(share * len(negatives))]
    return float(positives[0]), float(negatives[-1])


def trimmed_ends(rows: PairedRows) -> ScoreEnds:
    return score_ends(rows, NegativeEnds.of(rows), trim=True)


def test_margins_equal_a_sort(cones: Any) -> None:
    x, y = map(unit, cones)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    for share, (margin, bias) in ((0.0, NAMES[:2]), (0.05, NAMES[2:])):
        low, high = slow(x, y, share)
        assert estimates[margin].value == pytest.approx((low - high) / 2, abs=1e-12)
        assert estimates[bias].value == pytest.approx((low + high) / 2, abs=1e-12)
    assert estimates[NAMES[2]].value > estimates[NAMES[0]].value


def test_trimmed_margin_interval_is_the_scatter_of_halves(rng: np.random.Generator) -> None:
    x, y = map(unit, rng.normal(size=(2, 200, 5)) + 1)
    rows = PairedRows(x, y)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    assert np.isnan(estimates[NAMES[0]].low)
    draws, order = np.random.default_rng(0), rows.random_order
    halves = [order[draws.permutation(200)[:100]] for _ in range(40)]
    for name, sign in ((NAMES[2], -1), (NAMES[3], 1)):
        positives = np.sort(np.einsum("ij,ij->i", x, y)[np.array(halves)], axis=1)
        low = 0.95 * positives[:, 4] + 0.05 * positives[:, 5]  # the quantile .05 of 100 is that of the rank 5.05
        high = np.array([slow(x[half], y[half], 0.05)[1] for half in halves])
        e = estimates[name]
        error, share = np.std((low + sign * high) / 2, ddof=1), np.var(low / 2) / np.var((low + sign * high) / 2)
        # The gaps between following positives, over which the end of 200 varies, are few.
        freedom = 1 / (1 / 39 + min(share, 1) ** 2 / np.sqrt(np.pi * 200 * 0.05 * 0.95))
        assert (e.high - e.low) / 2 == pytest.approx(student.ppf(0.975, freedom) * error, rel=1e-7)
        ordered = np.sort(np.einsum("ij,ij->i", x, y))
        assert e.value - e.plugin == pytest.approx(0.95 * (ordered[9] - ordered[10]) / 2, abs=1e-9)
    few = isthmus.measure(Pairs(image=x[:199], text=y[:199]), metrics=NAMES[2:])
    assert few[NAMES[2]].note == "no interval: 200 items are needed"


@pytest.mark.parametrize("window", [(2.0, 3.0), (-3.0, -2.0), (np.inf, np.inf)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_negative_ends_outside_of_the_window_are_exact(
    cones: Any, monkeypatch: pytest.MonkeyPatch, window: tuple[float, float], dtype: type
) -> None:
    x, y = (unit(rows).astype(dtype) for rows in cones)
    monkeypatch.setattr(_negative_ends, "end_window", lambda *_: window)
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 32)
    ends = NegativeEnds.of(PairedRows(x, y))
    atol = 8 * float(np.finfo(dtype).eps)
    assert (ends.highest, ends.trimmed) == pytest.approx((slow(x, y, 0)[1], slow(x, y, 0.05)[1]), abs=atol)


def test_end_window_contains_the_end_and_few_scores(rng: np.random.Generator) -> None:
    x, y = map(unit, rng.normal(size=(2, 800, 8)) + 0.3)
    end, scores = slow(x, y, 0.05)[1], x @ y.T
    for m in (100, 400):
        low, high = end_window(x[:m], y[:m], 800)
        assert low < end <= high
        assert np.mean((scores > low) & (scores <= high)) < 0.09
    assert end_window(x[:49], y[:49], 800)[1] == np.inf  # all negatives are stored


def test_negative_ends_of_equal_scores_need_no_storage() -> None:
    x = np.eye(100)
    assert end_window(x, x, 100) == (0, 0)  # which contains no score
    ends = NegativeEnds.of(PairedRows(x, x[::-1]))
    assert (ends.highest, ends.trimmed) == (1, 0)


def test_margin_null_is_that_of_a_shuffle(rng: np.random.Generator) -> None:
    x, y = unit(rng.normal(size=(200, 5))), unit(rng.normal(size=(200, 5)))  # nothing is paired
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    for name in NAMES:
        assert estimates[name].value == pytest.approx(estimates[name].null, abs=0.05)


def test_margins_of_clip_have_known_values(clip_coco: Pairs) -> None:
    x, y = (np.asarray(modality, dtype=np.float64) for modality in clip_coco.unit())
    estimates = isthmus.measure(clip_coco, metrics=NAMES)
    low, high = slow(x, y, 0.05)
    assert estimates["siglip_margin_trimmed"].plugin == pytest.approx((low - high) / 2, abs=1e-6)
    assert estimates["siglip_margin"].value < 0 < estimates["siglip_margin_trimmed"].value


@pytest.mark.parametrize("n", [60, 300])
def test_half_sample_ends_equal_a_sort_of_each_half(n: int, cones: Any, rng: np.random.Generator) -> None:
    x, y = (unit(rng.normal(size=(n, 5)) ** 3) for _ in "xy")  # hubs: some halves hold most of the high scores
    rows, draws = PairedRows(x, y), np.random.default_rng(0)
    scores = (x @ y.T)[np.ix_(rows.random_order, rows.random_order)]
    negatives = []
    for _ in range(HALF_SAMPLES):
        half = draws.permutation(n)[: n // 2]
        ordered = np.sort(scores[np.ix_(half, half)][~np.eye(n // 2, dtype=bool)])
        negatives.append(ordered[len(ordered) - 1 - int(0.05 * len(ordered))])
    np.testing.assert_allclose(half_sample_ends(rows)[:, 1], negatives, atol=1e-12)
