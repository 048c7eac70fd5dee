"""Inspection of a source against NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.data.sources import Source
from isthmus.diagnosis import inspection
from isthmus.diagnosis.inspection import inspect, inspect_pair


def source(rows: np.ndarray) -> Source:
    return Source(rows, address="rows")


def test_inspect_counts_invalid_and_duplicate_rows(rng: np.random.Generator, monkeypatch: Any) -> None:
    rows = rng.normal(size=(200, 5)).astype(np.float32)
    rows[[3, 50, 51, 52, 53, 120]] = 0
    rows[[7, 90], 2] = np.nan, np.inf
    rows[150] = rows[10]
    monkeypatch.setattr(inspection, "block_rows", lambda dim: 37)
    report = inspect(source(rows))
    assert (report.rows, report.width, report.dtype) == (200, 5, "float32")
    assert (report.zero, report.zero_rows) == (6, [3, 50, 51, 52, 53])
    assert (report.non_finite, report.non_finite_rows) == (2, [7, 90])
    assert (report.duplicates, report.rows_compared) == (1, 200)  # row 150, as rows of zeros are no duplicates
    valid = np.delete(rows, [3, 7, 50, 51, 52, 53, 90, 120], axis=0).astype(np.float64)
    norms = np.linalg.norm(valid, axis=1)
    np.testing.assert_allclose([report.norm_low, report.norm_mean, report.norm_high],
                               [norms.min(), norms.mean(), norms.max()], rtol=1e-12)  # fmt: skip


def test_inspect_of_signed_zeros_finds_a_duplicate() -> None:
    assert inspect(source(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]))).duplicates == 1


def test_inspect_of_invalid_rows_alone_gives_no_norms() -> None:
    report = inspect(source(np.full((3, 2), np.nan)))
    assert np.isnan(report.norm_low)
    assert report.to_dict()["norm_mean"] is None
    assert report.duplicates == 0


def test_inspect_compares_the_first_rows_only(rng: np.random.Generator, monkeypatch: Any) -> None:
    monkeypatch.setattr(inspection, "MAX_ROWS", 40)
    monkeypatch.setattr(inspection, "N_FIRST_ROWS", 30)
    report = inspect(source(np.tile(rng.normal(size=(10, 3)), (5, 1))))
    assert (report.rows_compared, report.duplicates) == (30, 20)


def test_inspect_counts_the_distinct_rows_of_measure(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 200, 8))
    x[20:60] = x[20] * rng.uniform(1, 2, size=(40, 1))  # multiples of one row
    x[[3, 100]], x[[9, 10]] = np.nan, 0
    usable = np.isfinite(x).all(axis=1) & x.any(axis=1)
    report = inspect(source(x))
    with pytest.warns(isthmus.IsthmusWarning) as caught:
        pairs = isthmus.open_pairs(x, y, drop_bad=True)
    assert pairs.n_items == usable.sum() - 39
    assert report.duplicates == 39
    assert "157 of 196 x rows are distinct" in str(caught[-1].message)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_inspect_pair_gives_the_cosines_of_all_usable_rows(
    dtype: type, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rng.normal(size=(2, 200, 5)).astype(dtype)
    x[[3, 50]] = 0
    x[7, 2], y[90] = np.nan, np.inf
    monkeypatch.setattr(inspection, "block_rows", lambda dim: 37)
    first, second, cosines = inspect_pair(source(x), source(y))
    for report, rows in ((first, x), (second, y)):
        alone = inspect(source(rows))
        assert report == replace(alone, norm_mean=pytest.approx(alone.norm_mean))  # blocks of other sizes
    usable = np.delete(np.arange(200), [3, 7, 50, 90])
    a, b = (rows[usable].astype(np.float64) for rows in (x, y))
    expected = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines is not None
    assert cosines.pairs == 196
    values = (cosines.low, cosines.mean, cosines.high)
    np.testing.assert_allclose(values, (expected.min(), expected.mean(), expected.max()), atol=1e-6)


def test_inspect_pair_of_other_shapes_or_no_usable_row_gives_no_cosine() -> None:
    assert inspect_pair(source(np.eye(3)), source(np.eye(4)))[2] is None
    cosines = inspect_pair(source(np.eye(3)), source(np.zeros((3, 3))))[2]
    assert cosines is not None
    assert cosines.to_dict() == {"pairs": 0, "low": None, "mean": None, "high": None}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_inspect_pair_reads_each_row_once_and_those_that_may_be_equal_again(
    rng: np.random.Generator, monkeypatch: Any, n_threads: int
) -> None:
    rows = rng.normal(size=(2, 400, 6))
    rows[0, [310, 12]] = 3 * rows[0, [5, 11]]  # another block, and the row above
    reads, taken = [], []
    read, take = Source.read, Source.take
    monkeypatch.setattr(Source, "read", lambda self, a, b: (reads.append((self.address, a)), read(self, a, b))[1])
    monkeypatch.setattr(Source, "take", lambda self, numbers: (taken.append(len(numbers)), take(self, numbers))[1])
    monkeypatch.setattr(inspection, "block_rows", lambda dim: 200)
    monkeypatch.setattr(inspection, "_collapse", lambda source: "")
    with isthmus.config_context(threads=n_threads):
        first, second, _ = inspect_pair(*(Source(table, address=name) for table, name in zip(rows, "xy", strict=True)))
    assert (first.duplicates, second.duplicates) == (2, 0)
    assert sorted(reads) == [(name, start) for name in "xy" for start in range(0, 400, 100)]
    assert sum(taken) <= 16
