"""Degenerate data are found from their moments and named in words."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.statistics.degeneracy import constant_modalities, find_degeneracies, has_equal_pairs
from isthmus.statistics.moments import Moments

N, DIM = 80, 16


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rows(seed: int, n: int = N) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, DIM)) + 0.5)


def kinds(x: np.ndarray, y: np.ndarray) -> list[tuple[str, tuple[str, ...]]]:
    return [(entry.kind, entry.modalities) for entry in find_degeneracies(Moments.of(x, y), ("image", "text"))]


def test_find_degeneracies_of_ordinary_rows_is_empty() -> None:
    assert kinds(rows(0), rows(1)) == []
    assert kinds(rows(0, n=6), rows(1, n=6)) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_find_degeneracies_of_constant_rows_names_the_modality(dtype: str) -> None:
    constant = np.tile(rows(2)[:1], (N, 1)).astype(dtype)
    x, y = rows(0).astype(dtype), rows(1).astype(dtype)
    assert kinds(constant, y) == [("constant", ("image",))]
    assert kinds(x, constant) == [("constant", ("text",))]
    assert kinds(constant, 2 * -constant[:, ::-1]) == [("constant", ("image", "text"))]
    message = find_degeneracies(Moments.of(constant, -constant[:, ::-1]), ("image", "text"))[0].message
    assert message == "all rows of image are the same, and all rows of text are the same"


def test_find_degeneracies_of_a_narrow_cone_gives_the_length_of_its_mean() -> None:
    narrow = unit(rows(2)[:1] + 0.01 * rows(3))
    entry, *others = find_degeneracies(Moments.of(rows(0), narrow), ("image", "text"))
    assert not others
    assert entry.kind == "narrow"
    assert entry.message.startswith("the rows of text are nearly all the same (their mean has 99.99")


def test_find_degeneracies_of_one_line_and_of_few_directions_tells_them_apart() -> None:
    signs = np.where(np.random.default_rng(0).random(N) < 0.5, -1.0, 1.0)
    line = np.outer(signs, rows(2)[0])
    flat = unit(np.random.default_rng(1).normal(size=(N, 3)) @ np.eye(3, DIM))
    assert kinds(line, rows(1)) == [("line", ("image",))]
    assert kinds(rows(0), flat) == [("few directions", ("text",))]


def test_find_degeneracies_of_equal_pairs_and_equal_cosines_tells_them_apart() -> None:
    x = rows(0)
    assert kinds(x, x) == [("equal rows", ("image", "text"))]
    assert kinds(x, -x) == [("negated rows", ("image", "text"))]
    assert kinds(np.tile([[1.0, 0.0], [0.0, 1.0]], (20, 1)), np.tile([[0.0, 1.0], [1.0, 0.0]], (20, 1)))[-1] == (
        "equal cosines",
        ("image", "text"),
    )


@pytest.mark.parametrize("n", [2, 5, 6])
def test_find_degeneracies_counts_few_items_up_to_five(n: int) -> None:
    assert (("few items", ("image", "text")) in kinds(rows(0, n), rows(1, n))) == (n <= 5)


def test_constant_rows_and_equal_pairs_do_not_depend_on_the_scale() -> None:
    for scale in (1e-3, 1.0, 1e3):
        x = scale * rows(0)
        moments = Moments.of(x, x, normalize=False)
        assert has_equal_pairs(moments)
        assert not constant_modalities(moments)[0]
        constant = Moments.of(np.tile(x[:1], (N, 1)), x, normalize=False)
        assert constant_modalities(constant)[0]
        assert not has_equal_pairs(constant)


@pytest.mark.parametrize(("noise", "is_flat"), [(3e-6, True), (3e-5, False)])
def test_find_degeneracies_counts_directions_above_1e_10_of_the_largest_variance(noise: float, is_flat: bool) -> None:
    flat = unit(np.random.default_rng(1).normal(size=(N, 3)) @ np.eye(3, DIM))
    x = flat + noise * np.random.default_rng(2).normal(size=(N, DIM))
    assert kinds(x, rows(0)) == ([("few directions", ("image",))] if is_flat else [])
