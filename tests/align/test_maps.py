"""Row maps and the arrays that a file holds of them."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.align._maps import Affine, Map, NormalizedAffine, arrays_of_map, map_of_arrays

FIRST = Affine(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), np.array([0.5, 0.0, -1.0]))
SECOND = Affine(2 * np.eye(3), np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "mapping",
    [FIRST, Affine(), Affine(bias=np.ones(2)), NormalizedAffine(FIRST, (2, 1), SECOND)],
    ids=["affine", "identity", "shift", "normalized"],
)
def test_map_of_its_arrays_is_the_same_map(mapping: Map) -> None:
    rows = np.array([[1.0, 2.0], [-3.0, 0.5]])
    again = map_of_arrays(arrays_of_map(mapping, "x"), "x")
    assert type(again) is type(mapping)
    np.testing.assert_array_equal(again(rows), mapping(rows))


def test_arrays_of_a_normalized_map_have_the_names_of_both_stages() -> None:
    tables = arrays_of_map(NormalizedAffine(FIRST, (2, 1), Affine(bias=np.ones(3))), "y")
    assert sorted(tables) == ["first.bias_y", "first.matrix_y", "second.bias_y", "widths_y"]
    assert tables["widths_y"].tolist() == [2, 1]


def test_matrix_of_an_affine_map_has_rows_that_are_contiguous() -> None:
    transposed = np.arange(6.0).reshape(2, 3).T
    assert not transposed.flags.c_contiguous
    matrix = Affine(transposed).matrix
    assert matrix is not None
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, transposed)


def test_map_after_a_shift_adds_the_offset_first() -> None:
    rows, offset = np.array([[1.0, 2.0], [-3.0, 0.5]]), np.array([0.25, -1.0])
    for mapping in (FIRST, Affine(), Affine(FIRST.matrix), NormalizedAffine(FIRST, (2, 1), SECOND)):
        np.testing.assert_allclose(mapping.after_shift(offset)(rows), mapping(rows + offset), atol=1e-14)
