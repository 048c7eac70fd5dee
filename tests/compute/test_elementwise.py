"""Functions of tiles against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.compute import elementwise
from isthmus.compute.elementwise import add_outer_sum, scaled_exp


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_scaled_exp_equals_numpy_for_both_functions(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, fast: bool, dtype: type, rtol: float
) -> None:
    monkeypatch.setattr(elementwise, "has_fast_exp2", lambda: fast)
    values = rng.random((20, 30)).astype(dtype)
    expected = np.exp(-4 * values.astype(np.float64))
    np.testing.assert_allclose(scaled_exp(values, -4, values), expected, rtol=rtol)


def test_has_fast_exp2_without_introspection_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    elementwise.has_fast_exp2.cache_clear()
    monkeypatch.setattr(np.lib, "introspect", None, raising=False)
    assert not elementwise.has_fast_exp2()
    elementwise.has_fast_exp2.cache_clear()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 5), (1, 4), (4, 1), (3, elementwise.BUFFER + 3)])
def test_add_outer_sum_adds_in_place(rng: np.random.Generator, dtype: type, shape: tuple[int, int]) -> None:
    table, rows, columns = (rng.random(size).astype(dtype) for size in (shape, *shape))
    expected = table + rows[:, None] + columns
    assert add_outer_sum(table, rows, columns) is table
    np.testing.assert_allclose(table, expected, rtol=4 * np.finfo(dtype).eps)
