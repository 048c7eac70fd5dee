"""Limits of the checks of shapes, dtypes and labels."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import InputError
from isthmus.utils.transposition import check_same_dim
from isthmus.utils.validation import (
    check_float_dtype,
    check_labels,
    check_matrix_shape,
    check_same_length,
    format_rows,
    invalid_rows,
)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5)])
def test_check_matrix_shape_accepts_two_rows_of_two_columns(shape: tuple[int, int]) -> None:
    check_matrix_shape(shape, "x")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (3,),
            r"expected two dimensions .rows, width.; if whole rows follow each other, give array.reshape.-1, WIDTH.",
        ),
        ((1, 9, 4), "one item of 9 vectors; give array.0. if each is an item"),
        ((0, 4), "is empty"),
        ((1, 4), "has one row"),
        ((3, 1), "has width 1"),
    ],
)
def test_check_matrix_shape_refuses_other_shapes(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"x: .*{message}"):
        check_matrix_shape(shape, "x")


def test_check_matrix_shape_of_a_shard_accepts_no_and_one_row() -> None:
    check_matrix_shape((0, 0), "x", min_rows=0)
    check_matrix_shape((1, 4), "x", min_rows=0)
    check_matrix_shape((1, 4), "x", min_rows=1)
    with pytest.raises(InputError, match="is empty"):
        check_matrix_shape((0, 4), "x", min_rows=1)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
def test_check_float_dtype_accepts_floats_of_up_to_eight_bytes(dtype: str) -> None:
    check_float_dtype(np.dtype(dtype), "x")


@pytest.mark.parametrize(
    ("dtype", "message"), [("O", "pickled"), ("i4", "has dtype int32"), ("c8", "has dtype complex")]
)
def test_check_float_dtype_refuses_other_dtypes(dtype: str, message: str) -> None:
    with pytest.raises(InputError, match=f"x: .*{message}"):
        check_float_dtype(np.dtype(dtype), "x")


def test_check_float_dtype_refuses_extended_precision() -> None:
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(InputError, match="expected float16, float32 or float64"):
            check_float_dtype(np.dtype(np.longdouble), "x")


def test_checks_of_two_modalities_name_both_sizes() -> None:
    check_same_length(3, 3, "x", "y")
    check_same_dim((5, 3), (4, 3), "x", "y")
    with pytest.raises(InputError, match="x has 1,000 rows and y has 2, expected equal numbers; give --key"):
        check_same_length(1_000, 2, "x", "y")
    with pytest.raises(InputError, match=r"--key .* or --index .* --unpaired .* isthmus zero-shot takes class texts$"):
        check_same_length(1_000_000, 1_000, "/data/a long folder/image.npy", "/data/a long folder/class_texts.npy")
    with pytest.raises(InputError, match="x has width 3 and y has width 4: they do not come from one shared space"):
        check_same_dim((3,), (4,), "x", "y")


def test_check_labels_of_another_shape_says_what_came() -> None:
    check_labels(np.arange(3), 3, "image")
    with pytest.raises(InputError, match="labels has 2 entries, expected one for each of the 3 rows of image"):
        check_labels(np.arange(2), 3, "image")
    with pytest.raises(InputError, match=r"labels has shape \(3, 1\), expected one"):
        check_labels(np.ones((3, 1)), 3, "image")


def test_format_rows_lists_five_rows() -> None:
    assert format_rows(np.array([4])) == "row 4"
    assert format_rows(np.arange(5)) == "rows 0, 1, 2, 3, 4"
    assert format_rows(np.arange(6)) == "rows 0, 1, 2, 3, 4 and 1 more"


def test_invalid_rows_names_non_finite_rows_before_zero_rows() -> None:
    error = invalid_rows({"x": (np.array([3]), np.array([1])), "y": (np.array([]), np.array([7]))})
    assert str(error) == (
        "x: row 3 (counted from 0) holds null, NaN or infinite values and row 1 is all zeros and has no "
        "direction; y: row 7 (counted from 0) is all zeros and has no direction; remove these pairs, or leave them "
        "out with --drop-bad (open_pairs(x, y, drop_bad=True))"
    )
    error = invalid_rows({"x": (np.array([]), np.array([1, 2]))}, paired=False)
    assert str(error) == (
        "x: rows 1, 2 (counted from 0) are all zeros and have no direction; embed them again, or "
        "leave them out with --drop-bad (drop_bad=True)"
    )


def test_check_float_dtype_of_complex_numbers_keeps_lengths_and_products() -> None:
    rows = np.random.default_rng(0).normal(size=(4, 6)).view(complex)
    with pytest.raises(InputError, match=r"rows: has dtype complex128, .*np\.concatenate\(\[rows\.real, rows\.imag\]"):
        check_float_dtype(rows.dtype, "rows")
    advised = np.concatenate([rows.real, rows.imag], axis=1)
    np.testing.assert_allclose(advised @ advised.T, (rows @ rows.conj().T).real)


@pytest.mark.parametrize(
    ("shape_x", "shape_y", "clause"),
    [
        ((1000, 512), (512, 1000), "one of them is transposed: rows must be items"),
        ((2000, 48), (48, 400), "the second looks transposed, 400 items of width 48"),
        ((48, 400), (2000, 48), "the first looks transposed, 400 items of width 48"),
        ((512, 512), (512, 768), "do not come from one shared space"),
        ((1000, 512), (1000, 768), "do not come from one shared space"),
    ],
)
def test_check_same_dim_names_a_transposed_modality(
    shape_x: tuple[int, int], shape_y: tuple[int, int], clause: str
) -> None:
    with pytest.raises(InputError, match=clause):
        check_same_dim(shape_x, shape_y, "x", "y")


@pytest.mark.parametrize(("n_y", "end"), [(990, "isthmus inspect"), (10, "isthmus zero-shot"), (700, "isthmus zero")])
def test_different_numbers_of_rows_name_unpaired_and_what_helps(n_y: int, end: str) -> None:
    with pytest.raises(InputError, match=rf"--key .* else measure --unpaired \(unpaired=True\); {end}"):
        check_same_length(1000, n_y, "image.npy", "text.npy")
