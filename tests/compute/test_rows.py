"""Norms of rows whose squares exceed the range of floating point, and the measures of such rows."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus.compute.arrays import unit_rows
from isthmus.compute.rows import row_norms


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_row_norms_and_unit_rows_of_any_size_are_exact(scale: float) -> None:
    rows = scale * np.array([[3.0, 4.0], [0.0, 0.0], [-6.0, 8.0]])
    np.testing.assert_allclose(row_norms(rows), scale * np.array([5.0, 0.0, 10.0]), rtol=1e-12)
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0.0, 0.0], [-0.6, 0.8]], rtol=1e-12)


def test_row_norms_of_invalid_rows_are_not_finite() -> None:
    assert not np.isfinite(row_norms(np.array([[np.inf, 1.0], [np.nan, 1.0]]))).any()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_measure_of_rows_of_any_size_equals_that_of_their_unit_rows(scale: float) -> None:
    x, y = np.random.default_rng(0).normal([[[1.0]], [[2.0]]], size=(2, 40, 6))
    expected = isthmus.measure(x, y, metrics="fast")
    for pair in ((scale * x, y), (x, scale * y)):
        result = isthmus.measure(*pair, metrics="fast")
        assert result["centroid_angle"].value == pytest.approx(expected["centroid_angle"].value, abs=1e-9)
        with pytest.raises(isthmus.InputError, match="multiply all rows by one factor"):
            isthmus.measure(*pair, metrics="fast", normalize=False)


def test_measure_under_other_names_of_the_modalities_proposes_the_same_direction() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40, 6))
    pairs = isthmus.Pairs(image=x, text=y)
    with pytest.raises(isthmus.InputError, match="did you mean 'text_to_image_R@1'"):
        isthmus.measure(pairs, metrics="y_to_x_R@1")
    with pytest.raises(isthmus.InputError, match="did you mean 'y_to_x_R@1'"):
        isthmus.measure(x, y, metrics="text_to_image_R@1")
    with pytest.raises(KeyError, match="did you mean 'rank_99_text'"):
        isthmus.measure(pairs, metrics="spectrum")["rank_99_y"]
