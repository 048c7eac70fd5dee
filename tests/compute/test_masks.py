"""Comparisons of tiles, positions of true entries, keys of scores and buffers against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.compute.elementwise import BUFFER
from isthmus.compute.masks import at_least, true_positions
from isthmus.compute.streaming_topk import lowest_key, scores_of_keys, sorting_keys
from isthmus.compute.workspace import ALIGNMENT, Workspace


@pytest.mark.parametrize("columns", [7, BUFFER + 3])  # both ways of comparing
def test_at_least_equals_a_comparison_and_leaves_the_buffer_size(rng: np.random.Generator, columns: int) -> None:
    scores, size = np.round(rng.normal(size=(5, columns)), 1).astype(np.float32), np.getbufsize()
    rows, out = scores[:, 0].copy(), np.empty(scores.shape, dtype=bool)
    np.testing.assert_array_equal(at_least(scores, rows, out), scores >= rows[:, None])
    np.testing.assert_array_equal(at_least(scores, scores[0].copy(), out, axis=1), scores >= scores[0])
    assert np.getbufsize() == size


@pytest.mark.parametrize("shape", [(6, 8), (3, 7), (0, 8)])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_true_positions_equal_a_search_of_all_entries(
    rng: np.random.Generator, shape: tuple[int, int], share: float
) -> None:
    mask = rng.random(shape) < share
    expected = np.flatnonzero(mask)
    found = true_positions(mask)
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    assert (true_positions(mask, at_most=max(len(expected) - 1, 0)) is None) == (len(expected) > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sorting_keys_order_scores_and_of_equal_ones_the_smaller_number_first(
    rng: np.random.Generator, dtype: type
) -> None:
    scores = np.concatenate([np.round(rng.normal(size=50), 1), [0.0, -0.0, np.inf, -1e-40]]).astype(dtype)
    index = rng.permutation(2**32 - np.arange(1, len(scores) + 1))
    keys = sorting_keys(scores, index)
    np.testing.assert_array_equal(np.argsort(keys)[::-1], np.lexsort((index, -scores)))
    assert np.all(keys > lowest_key(np.dtype(dtype)))
    for values, expected in zip(scores_of_keys(keys, np.dtype(dtype)), (scores, index), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_buffers_of_a_workspace_begin_at_a_line_of_the_cache() -> None:
    workspace = Workspace()
    for shape in ((3, 5), (10, 10), (2, 2)):
        buffer = workspace.empty("a", shape, np.dtype(np.float32))
        assert buffer.shape == shape
        assert buffer.ctypes.data % ALIGNMENT == 0
