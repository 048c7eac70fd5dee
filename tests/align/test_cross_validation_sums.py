"""The moments of each fitting set are those of its own rows."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import Moments
from isthmus.align._cross_validation import _sums_of_others


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_sums_of_other_folds_are_the_moments_of_their_rows(rng: np.random.Generator, folds: int) -> None:
    x, y = rng.normal(size=(2, 60, 4))
    fold = np.arange(60) % folds
    sums = _sums_of_others([Moments.of(x[fold == f], y[fold == f]) for f in range(folds)])
    assert len(sums) == folds
    for number, moments in enumerate(sums):
        expected = Moments.of(x[fold != number], y[fold != number])
        assert moments.n == expected.n
        np.testing.assert_allclose(moments.xy, expected.xy, atol=1e-5)
        np.testing.assert_allclose(moments.sum_x, expected.sum_x, atol=1e-5)
