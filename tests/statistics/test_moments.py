"""Moments against slow loops: sums, swaps and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Moments, Pairs
from isthmus.compute.arrays import to_numpy
from isthmus.statistics.moments import moments_of

NUMBERS = ("n", "sum_x", "sum_y", "xx", "yy", "xy", "cos_sq", "cos_x", "cos_y")


def slow(x: np.ndarray, y: np.ndarray, index: list[int]) -> dict[str, Any]:
    """Every sum by a loop over pairs."""
    x = [row / np.linalg.norm(row) for row in x]
    y = [row / np.linalg.norm(row) for row in y]
    pairs = [(x[i], y[j]) for j, i in enumerate(index)]
    return {
        "n": len(pairs),
        "sum_x": sum(a for a, b in pairs),
        "sum_y": sum(b for a, b in pairs),
        "xx": sum(np.outer(a, a) for a, b in pairs),
        "yy": sum(np.outer(b, b) for a, b in pairs),
        "xy": sum(np.outer(a, b) for a, b in pairs),
        "cos_sq": sum((a @ b) ** 2 for a, b in pairs),
        "cos_x": sum(a * (a @ b) for a, b in pairs),
        "cos_y": sum(b * (a @ b) for a, b in pairs),
    }


def slow_by_item(x: np.ndarray, y: np.ndarray, index: list[int]) -> dict[str, Any]:
    x = [row / np.linalg.norm(row) for row in x]
    y = [row / np.linalg.norm(row) for row in y]
    totals = []
    for i in sorted(set(index)):
        own_rows = [y[j] for j in range(len(y)) if index[j] == i]
        totals.append((len(own_rows), len(own_rows) * x[i], sum(own_rows), sum(float(x[i] @ b) for b in own_rows)))
    return {
        "n_items": len(totals),
        "count_sq": sum(m * m for m, *_ in totals),
        "count_x": sum(m * a for m, a, b, p in totals),
        "count_y": sum(m * b for m, a, b, p in totals),
        "count_cos": sum(m * p for m, a, b, p in totals),
        "xx": sum(np.outer(a, a) for m, a, b, p in totals),
        "yy": sum(np.outer(b, b) for m, a, b, p in totals),
        "xy": sum(np.outer(a, b) for m, a, b, p in totals),
        "cos_sq": sum(p * p for m, a, b, p in totals),
        "cos_x": sum(a * p for m, a, b, p in totals),
        "cos_y": sum(b * p for m, a, b, p in totals),
    }


def agree(m: Any, expected: dict[str, Any], tolerance: float = 1e-12) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(to_numpy(getattr(m, name)), value, atol=tolerance, rtol=tolerance, err_msg=name)


def test_moments_equal_those_of_a_loop(cones: Any, to_xp: Callable[[np.ndarray], Any]) -> None:
    x, y = cones
    m = Moments.of(to_xp(x), to_xp(y))
    agree(m, slow(x, y, list(range(len(x)))))
    assert type(m.xx) is type(to_xp(x))
    assert m.item_moments is None


def test_item_moments_equal_those_of_a_loop(cones: Any, rng: np.random.Generator) -> None:
    x, y = cones
    index = rng.integers(0, 50, size=len(y))  # scattered, some items have no row of y
    index[index == 7] = 8
    m = Moments.of(x, y, index=index) if len(x) == 50 else Moments.of(x[:50], y, index=index)
    agree(m, slow(x[:50], y, index.tolist()))
    agree(m.item_moments, slow_by_item(x[:50], y, index.tolist()))


def test_item_moments_of_one_pair_each_equal_those_by_pair(cones: Any) -> None:
    x, y = cones
    grouped, plain = Moments.of(x, y, index=np.arange(len(x))), Moments.of(x, y)
    agree(grouped, {name: getattr(plain, name) for name in NUMBERS})
    agree(
        grouped.item_moments,
        {
            name: getattr(plain.by_item, name)
            for name in ("n_items", "count_sq", "count_x", "count_cos", "xy", "cos_sq")
        },
    )


def test_moments_of_parts_add_up(cones: Any) -> None:
    x, y = cones
    expected_total = Moments.of(x, y)
    total = Moments.of(x[:17], y[:17]) + Moments.of(x[17:50], y[17:50]) + Moments.of(x[50:], y[50:])
    agree(total, {name: getattr(expected_total, name) for name in NUMBERS}, 1e-13)
    index = np.arange(len(y)) // 2
    expected_total = Moments.of(x[:60], y, index=index)
    total = Moments.of(x[:20], y[:40], index=index[:40]) + Moments.of(x[20:60], y[40:], index=index[40:] - 20)
    agree(total, {name: getattr(expected_total, name) for name in NUMBERS}, 1e-13)
    agree(
        total.item_moments,
        {"count_sq": expected_total.item_moments.count_sq, "xy": expected_total.item_moments.xy, "n_items": 60},
        1e-13,
    )


def test_moments_in_blocks_are_equal(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 5000, 8)) + 1  # more than one block
    agree(Moments.of(x, y), slow(x, y, list(range(5000))), 1e-10)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f4", ">f8", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_moments_of_any_dtype_and_order_are_equal(cones: Any, dtype: str, order: str) -> None:
    x, y = (np.array(rows, dtype=dtype, order=order) for rows in cones)
    expected = slow(x.astype(np.float64), y.astype(np.float64), list(range(len(x))))
    agree(Moments.of(x, y), expected, 1e-12)
    agree(Moments.of(x, y, matmul_dtype="float32"), expected, 2e-5)


def test_float32_products_are_added_in_float64(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200_000, 4)).astype(np.float32) + 3
    m32, m64 = (Moments.of(x, x, matmul_dtype=p) for p in ("float32", "float64"))
    assert m32.xx.dtype == np.float64
    np.testing.assert_allclose(m32.xx, m64.xx, rtol=1e-6)
    np.testing.assert_allclose(m32.sum_x, m64.sum_x, rtol=1e-6)
    assert (m32 + m64).matmul_dtype == "float32"


def test_moments_of_tiny_and_huge_rows_are_finite() -> None:
    x = np.array([[3e-25, 4e-25], [3e25, 4e25], [0.3, 0.4]], dtype=np.float32)
    m = Moments.of(x, x, matmul_dtype="float32")
    np.testing.assert_allclose(m.sum_x, [1.8, 2.4], rtol=1e-6)


def test_moments_without_normalize_are_raw_sums(cones: Any) -> None:
    x, y = cones
    m = Moments.of(x, y, normalize=False)
    np.testing.assert_allclose(m.xy, x.T @ y, rtol=1e-12)
    with pytest.raises(InputError, match="normalised rows and of raw rows"):
        _ = m + Moments.of(x, y)


def test_swapped_moments_are_those_of_y_and_x(cones: Any) -> None:
    x, y = cones
    index = np.arange(len(y)) // 2
    for a, b in ((Moments.of(x, y), Moments.of(y, x)), (Moments.of(x[:60], y, index=index), None)):
        s = a.swapped()
        np.testing.assert_array_equal(s.mean_x, a.mean_y)
        np.testing.assert_array_equal(s.xy, a.xy.T)
        if b is not None:
            agree(s, {name: getattr(b, name) for name in NUMBERS})
        else:
            np.testing.assert_array_equal(s.item_moments.cos_y, a.item_moments.cos_x)


def test_covariances_equal_those_of_numpy(cones: Any) -> None:
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in cones)
    m = Moments.of(x, y)
    joint = np.cov(np.hstack([x, y]).T, bias=True)
    d = x.shape[1]
    np.testing.assert_allclose(m.cov_x, joint[:d, :d], atol=1e-14)
    np.testing.assert_allclose(m.cov_y, joint[d:, d:], atol=1e-14)
    np.testing.assert_allclose(m.cov_xy, joint[:d, d:], atol=1e-14)
    assert m.mean_paired == pytest.approx(np.mean(np.sum(x * y, axis=1)), abs=1e-14)


def test_saved_moments_are_loaded_unchanged(cones: Any, tmp_path: Path) -> None:
    x, y = cones
    index = np.arange(len(y)) // 2
    for m in (Moments.of(x, y), Moments.of(x[:60], y, index=index)):
        m.save(tmp_path / "m.safetensors")
        for back in (Moments.load(tmp_path / "m.safetensors"), isthmus.load(tmp_path / "m.safetensors")):
            agree(back, {name: getattr(m, name) for name in NUMBERS}, 0)
            assert (back.matmul_dtype, back.normalize, back.item_moments is None) == (
                m.matmul_dtype,
                True,
                m.item_moments is None,
            )
            assert isinstance(back.n, int)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "m.safetensors").read_bytes()[:-50])
    with pytest.raises(InputError, match="not a complete safetensors file"):
        Moments.load(tmp_path / "cut.safetensors")


def test_moments_of_different_dimensions_cannot_be_added(cones: Any) -> None:
    x, y = cones
    with pytest.raises(InputError, match="width 12 x 12 and of width 5 x 5 cannot be added"):
        _ = Moments.of(x, y) + Moments.of(x[:, :5], y[:, :5])


def test_moments_with_an_invalid_row_name_the_modality(cones: Any) -> None:
    x, y = cones
    y = y.copy()
    y[[3, 99]] = np.nan
    with pytest.raises(InputError, match=r"text: rows 3, 99 \(counted from 0\)"):
        moments_of(Pairs(image=x, text=y))
    y[[3, 99]] = 0
    with pytest.raises(InputError, match="text: rows 3, 99 .* all zeros"):
        moments_of(Pairs(image=x, text=y))
    y[[3, 99]] = np.inf
    with pytest.raises(InputError, match="NaN or infinite"):
        Moments.of(x, y)


def test_moments_with_an_unknown_matmul_dtype_raise(cones: Any) -> None:
    with pytest.raises(InputError, match="matmul_dtype='float16', expected 'float32', 'float64' or None"):
        Moments.of(*cones, matmul_dtype="float16")


class RecordingCluster:
    """A cluster whose parts are computed in this process."""

    def __init__(self) -> None:
        self.work: list[str] = []

    def split(self, n: int, block: int) -> list[tuple[int, int]]:
        return [(start, min(start + 100, n)) for start in range(0, n, 100)]

    def tree_reduce(self, function: Any, shared: Any, ranges: Any, name: str, **options: Any) -> Any:
        self.work.append(name)
        with isthmus.config_context(threads=1):
            first, *others = [function(shared, start, stop, **options) for start, stop in ranges]
        for other in others:
            first = first + other
        return first


def test_moments_use_the_cluster_for_pairs_that_it_can_open(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = rng.normal(size=(2, 250, 4))
    np.save(tmp_path / "image.npy", x)
    np.save(tmp_path / "text.npy", y)
    opened = isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy")
    expected = {name: getattr(Moments.of(x, y), name) for name in NUMBERS}
    cluster = RecordingCluster()
    agree(Moments.of(opened), expected)
    assert cluster.work == []
    with isthmus.config_context(cluster=cluster):
        agree(Moments.of(opened), expected)
        assert cluster.work == ["moments"]
        agree(Moments.of(x, y), expected)  # arrays in memory are computed here
    assert cluster.work == ["moments"]


def test_moments_of_are_computed_once_for_each_option(cones: Any) -> None:
    pairs = Pairs(image=cones[0], text=cones[1])
    assert moments_of(pairs) is moments_of(pairs)
    assert moments_of(pairs) is not moments_of(pairs, normalize=False)
    assert moments_of(pairs).normalize
    assert not moments_of(pairs, normalize=False).normalize
    assert moments_of(pairs, matmul_dtype="float32").matmul_dtype == "float32"


def test_moments_cannot_be_changed(cones: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        Moments.of(*cones).n = 3  # type: ignore[misc]
