"""Inspection of a source against NumPy, and the pairing test from both sides of its threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus import Pairs
from isthmus.data.sources import Source
from isthmus.diagnosis import inspection
from isthmus.diagnosis.inspection import first_pairs, has_rotated_pairs, inspect, looks_paired, matching_offset


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
    assert (report.duplicates, report.rows_compared) == (6, 200)  # five zero rows and row 150
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
    assert report.duplicates == 2


def test_inspect_compares_the_first_rows_only(rng: np.random.Generator, monkeypatch: Any) -> None:
    monkeypatch.setattr(inspection, "block_rows", lambda dim: 10)
    monkeypatch.setattr(inspection, "MAX_COMPARED_ROWS", 25)
    report = inspect(source(np.tile(rng.normal(size=(10, 3)), (5, 1))))
    assert (report.rows_compared, report.duplicates) == (30, 20)


def clouds(weight: float) -> tuple[Source, Source]:
    """Return two cones of 300 rows each, whose pairs share a component of this weight."""
    rng = np.random.default_rng(5)
    shared, noise_x, noise_y = rng.normal(size=(3, 300, 24))
    return source(noise_x + weight * shared + 1), source(noise_y + weight * shared - 0.5)


def with_z(target: float) -> tuple[Source, Source]:
    """Return clouds whose pairing test has this z, found by bisection of the weight."""
    low, high = 0.0, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if looks_paired(*clouds(middle)).z < target else (low, middle)
    return clouds(high)


@pytest.mark.parametrize(("target", "expected"), [(3.95, False), (4.05, True)])
def test_looks_paired_changes_at_four_standard_errors(target: float, expected: bool) -> None:
    pairing = looks_paired(*with_z(target))
    assert pairing.z == pytest.approx(target, abs=1e-6)
    assert pairing.looks_paired is expected
    assert pairing.reason.startswith("yes: " if expected else "no sign of it: ")


def test_looks_paired_z_is_the_difference_in_standard_errors() -> None:
    """Over many unrelated clouds z has mean 0 and standard deviation 1."""
    z = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 100, 12)) + 0.7
        z.append(looks_paired(source(x), source(y)).z)
    assert abs(np.mean(z)) < 0.25
    assert 0.8 < np.std(z) < 1.25


def test_looks_paired_reports_the_cosines_of_pairs_and_of_other_rows(rng: np.random.Generator) -> None:
    x, y = clouds(0.8)
    unit_x, unit_y = (np.asarray(s.rows) / np.linalg.norm(s.rows, axis=1, keepdims=True) for s in (x, y))
    cosines = unit_x @ unit_y.T
    pairing = looks_paired(x, y)
    assert pairing.paired == pytest.approx(np.trace(cosines) / 300, abs=1e-12)
    assert pairing.unpaired == pytest.approx((cosines.sum() - np.trace(cosines)) / (300 * 299), abs=1e-12)


def test_looks_paired_of_sources_that_cannot_be_compared_says_why(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(20, 4))
    assert looks_paired(source(rows), source(rows[:19])).reason == "no: 20 rows against 19"
    assert (
        looks_paired(source(rows), source(rows[:, :3])).reason
        == "no cosine to compare: width 4 against 3; they do not come from one shared space"
    )
    rows[:13] = 0
    pairing = looks_paired(source(rows), source(rows))
    assert (pairing.looks_paired, pairing.reason) == (False, "only 7 usable rows to compare")
    assert pairing.to_dict()["z"] is None


def test_first_pairs_gives_the_first_pair_of_each_item(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    first_x, first_y = first_pairs(Pairs(image=x, text=y, index=[2, 0, 2, 3, 0, 3]))
    np.testing.assert_array_equal(first_x.read(0, 9), x[[0, 2, 3]])
    np.testing.assert_array_equal(first_y.read(0, 9), y[[1, 0, 3]])


def clip_like_rows(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    signal, basis = rng.normal(size=(n, 12)), rng.normal(size=(12, d))
    return tuple(signal @ basis + 1.5 * rng.normal(size=(n, d)) + 3 * rng.normal(size=d) for _ in range(2))  # type: ignore[return-value]


def test_looks_paired_of_two_spaces_does_not_blame_the_order(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    rotated = looks_paired(source(x), source(y @ np.linalg.qr(rng.normal(size=(48, 48)))[0]))
    shuffled = looks_paired(source(x), source(rng.permutation(y)))
    assert "the rows match" in rotated.reason
    assert "do not come from one shared space" in rotated.reason
    assert "check the order" not in rotated.reason
    assert "check the order" in shuffled.reason
    assert "shared space" not in shuffled.reason
    assert looks_paired(source(x), source(y)).looks_paired


def test_looks_paired_of_two_widths_names_two_spaces(rng: np.random.Generator) -> None:
    reason = looks_paired(source(rng.normal(size=(20, 6))), source(rng.normal(size=(20, 4)))).reason
    assert "width 6 against 4" in reason
    assert "do not come from one shared space" in reason


def test_has_rotated_pairs_of_unrelated_rows_is_never_true(rng: np.random.Generator) -> None:
    assert not any(has_rotated_pairs(*rng.normal(size=(2, 120, 16))) for _ in range(100))


@pytest.mark.parametrize(("shift", "words"), [(1, "1 row later"), (-7, "7 rows earlier")])
def test_looks_paired_of_a_shifted_side_names_the_offset(shift: int, words: str, rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    shifted = looks_paired(source(x), source(np.roll(y, shift, axis=0)))
    swapped = looks_paired(source(np.roll(y, -shift, axis=0)), source(x))
    assert words in shifted.reason
    assert words in swapped.reason


def test_matching_offset_of_shuffled_or_constant_rows_is_zero(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    offsets = {matching_offset(source(x), source(rng.permutation(y))) for _ in range(50)}
    assert offsets == {0}
    assert matching_offset(source(x), source(np.ones((400, 48)))) == 0
