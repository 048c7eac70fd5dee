"""The cosine decomposition adds up, equals a worked batch, and rejects rows without a cosine."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from isthmus import InputError, Moments
from isthmus.compute.arrays import unit_rows
from isthmus.diagnosis import COMPONENTS, decompose_cosine
from isthmus.diagnosis.cosine_decomposition import decomposition_values


def test_decompose_cosine_of_a_worked_batch_equals_hand_values() -> None:
    x = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0, 0.6, 0.8]])
    y = np.array([[0.6, 0, 0.8], [0, 1, 0], [0.8, 0, 0.6], [0.6, 0.8, 0]])
    budget = decompose_cosine(Moments.of(x, y))
    values = [part.value for part in budget.values()]
    np.testing.assert_allclose(values, [0.0160504, 0.0274504, 0.0652334, 0.2512657], atol=1e-6)
    assert budget.total.value == pytest.approx(0.36, abs=1e-12)
    assert budget.largest == "pairing"


@pytest.mark.parametrize("seed", range(20))
def test_components_are_not_negative_and_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 60)), int(rng.integers(2, 40))
    x, y = rng.normal(size=(2, n, d)) * rng.choice([0.0, 1e-6, 1.0, 3.0], size=(2, 1, d)) + 0.1
    same = seed % 4 == 0
    parts = decomposition_values(Moments.of(unit_rows(x), unit_rows(x if same else y)))
    values = [getattr(parts, name) for name in COMPONENTS]
    assert min(values) >= 0
    assert sum(values) == pytest.approx(parts.total, abs=1e-12)
    if same:
        assert parts.total == pytest.approx(0, abs=1e-12)


def test_decompose_cosine_of_rows_that_are_not_unit_is_an_error(rng: np.random.Generator) -> None:
    x, y = 2 * unit_rows(rng.normal(size=(2 * 20, 4))).reshape(2, 20, 4)
    with pytest.raises(InputError, match="of the rows is 4, expected unit rows .*; use normalize=True"):
        decompose_cosine(Moments.of(x, y, normalize=False))
    assert decompose_cosine(Moments.of(x / 2, y / 2, normalize=False)).total.value == pytest.approx(
        decompose_cosine(Moments.of(x, y)).total.value, abs=1e-12
    )


def test_decompose_cosine_of_two_widths_is_an_error(rng: np.random.Generator) -> None:
    m = Moments.of(rng.normal(size=(20, 4)), rng.normal(size=(20, 4)))
    with pytest.raises(InputError, match="width 4 and 3 have no cosine to decompose"):
        decomposition_values(dataclasses.replace(m, sum_y=m.sum_y[:3]))
