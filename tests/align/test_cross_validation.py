"""The scores of the cross-validation of `Auto` on items with several rows of y, and without any."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import Pairs
from isthmus.align._cross_validation import _mixed_recall, _recall


@pytest.fixture
def captions() -> Pairs:
    """Four items, of which the third has no row of y and the fourth has two."""
    x = np.eye(5)[:4]
    y = np.array([[1.0, 0.1, 0, 0, 0], [0, 0, 1.0, 0, 0], [0, 0, 0, 1.0, 0.1], [1.0, 0, 0, 0.5, 0]])
    return Pairs(x=x, y=y, index=[0, 1, 3, 3])


def test_recall_of_items_averages_both_directions_and_the_rows_of_an_item(captions: Pairs) -> None:
    recall = _recall(*captions.unit(), captions)
    # Item 1: its row of y is nearest to item 2. Item 3: one of two rows of y finds it.
    assert recall.tolist() == [1.0, 0.0, 0.0, 0.75]


def test_mixed_recall_of_captions_is_that_of_the_first_row_of_each_item() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30, 8))
    y += 2 * x
    index = np.repeat(np.arange(1, 30), 2)  # item 0 has no row of y
    rows = np.empty((58, 8))
    rows[::2], rows[1::2] = y[1:], rng.normal(size=(29, 8))
    recall = _mixed_recall(x, rows, Pairs(x=x, y=rows, index=index), 3)
    first_rows = _mixed_recall(x[1:], y[1:], Pairs(x=x[1:], y=y[1:]), 3)
    np.testing.assert_array_equal(recall, [0.0, *first_rows])
    assert 0 < first_rows.mean() < 1
