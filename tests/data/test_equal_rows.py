"""Equal rows: repeated, rounded, scaled and stored rows are found, and similar rows are not."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.data.equal_rows import TOLERANCE, find_equal_rows
from isthmus.data.hashing import hash_bytes
from isthmus.data.numbering import renumber
from isthmus.data.sources import Source


def groups(rows: np.ndarray) -> np.ndarray | None:
    return find_equal_rows(Source(rows, address="x"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dim", [2, 8, 300])
@pytest.mark.parametrize("noise", [0.0, 0.4, -0.4])
def test_find_equal_rows_finds_repeats_in_any_order_with_noise(seed: int, dim: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    distinct = rng.normal(size=(60, dim))
    distinct /= np.linalg.norm(distinct, axis=1, keepdims=True)
    numbers = np.concatenate([np.arange(60), rng.integers(0, 60, size=90)])[rng.permutation(150)]
    shifts = noise * TOLERANCE / 2 * rng.choice([-1.0, 1.0], size=(150, dim)) / 1.2
    found = groups((distinct[numbers] + shifts) * rng.uniform(0.1, 10, size=(150, 1)))
    assert found is not None
    np.testing.assert_array_equal(found, renumber(numbers))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_find_equal_rows_of_every_dtype_ignores_the_sign_of_zero(dtype: str) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 16)).astype(dtype)
    rows[3, 2], rows[20] = 0.0, rows[3]
    rows[20, 2] = -0.0
    found = groups(rows)
    assert found is not None
    assert found[20] == 3
    assert found.max() == 28


def test_find_equal_rows_keeps_similar_and_invalid_rows_apart() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similar = rows.copy()
    similar[:, 0] += 4 * TOLERANCE
    invalid = np.zeros((6, 16))
    invalid[2:4], invalid[4:] = np.nan, np.inf
    assert groups(np.concatenate([rows, similar, invalid])) is None


def test_find_equal_rows_of_a_narrow_cloud_finds_the_equal_bytes() -> None:
    rng = np.random.default_rng(0)
    rows = 1 + 2e-5 * rng.normal(size=(400, 8))
    rows[200:] = rows[:200]
    found = groups(rows)
    assert found is not None
    np.testing.assert_array_equal(found[200:], found[:200])
    assert found.max() > 150


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_find_equal_rows_of_extreme_norms(scale: float) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 8))
    found = groups(np.concatenate([rows, scale * rows[:1]]))
    assert found is not None
    np.testing.assert_array_equal(found, [*range(20), 0])


def test_rows_of_different_lengths_are_one_item_only_if_they_are_normalised() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(30, 6)), 3, axis=0)
    y, scales = rng.normal(size=(90, 6)), np.tile([1.0, 2.0, 1.0], 30)[:, None]
    for normalize, items in ((True, 30), (False, 60)):
        with pytest.warns(isthmus.IsthmusWarning, match=f"{items} of 90 x rows are distinct"):
            result = isthmus.measure(x * scales, y, metrics="mean_paired_cosine", normalize=normalize)
        assert result.pairs["items"] == items


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("values", [(-1, 1), (0, 1), (-1, 0.5), (1, 2, 4, 8)])
def test_find_equal_rows_of_few_values_keeps_different_rows_apart(dtype: str, values: tuple[float, ...]) -> None:
    rows = np.random.default_rng(0).choice(values, size=(600, 8)).astype(dtype)
    distinct = rows / np.maximum(np.linalg.norm(rows.astype("f8"), axis=1, keepdims=True), 1e-9)
    expected = np.unique(np.round(distinct, 6), axis=0, return_inverse=True)[1].ravel()
    is_zero = ~rows.any(axis=1)  # rows without a direction are distinct
    expected[is_zero] = expected.max() + 1 + np.arange(is_zero.sum())
    found = groups(rows)
    assert found is not None
    assert np.array_equal(found[:, None] == found, expected[:, None] == expected)


@pytest.mark.parametrize("random_access", [True, False])
@pytest.mark.parametrize("layout", ["side by side", "in any order", "few"])
def test_find_equal_rows_over_blocks_finds_all_copies_and_no_invalid_row(
    layout: str, random_access: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.data.equal_rows.block_rows", lambda dim: 5)
    monkeypatch.setattr("isthmus.compute.rows.SLICE_BYTES", 3 * 4 * 7 * 2)  # slices of two rows
    monkeypatch.setattr(Source, "random_access", random_access)
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(60), 3)
    if layout == "in any order":
        numbers = rng.permutation(numbers)
    elif layout == "few":
        numbers = np.concatenate([np.arange(170), [4, 90, 169]])
    rows = rng.normal(size=(numbers.max() + 1, 7))[numbers].astype(np.float32)
    rows[:3], rows[40:43], rows[90:95] = np.nan, np.inf, 0  # copies of an invalid row stay alone
    rows[120:123] = rows[119] * np.array([[1], [-1], [1]])
    expected = numbers.copy()
    expected[120:123] = expected[119]
    expected[121] = expected.max() + 1
    alone = [*range(3), *range(40, 43), *range(90, 95)]
    expected[alone] = expected.max() + 1 + np.arange(len(alone))
    found = groups(rows)
    assert found is not None
    np.testing.assert_array_equal(found, renumber(expected))


def test_find_equal_rows_of_copies_in_any_order_takes_less_than_64_bytes_a_row() -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    numbers = rng.permutation(np.repeat(np.arange(n // 5), 5))
    source = Source(rng.normal(size=(n // 5, 4)).astype(np.float32)[numbers], address="x")
    tracemalloc.start()
    found = find_equal_rows(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    np.testing.assert_array_equal(found, renumber(numbers))
    assert peak < 64 * n


@pytest.mark.parametrize("constant", [[0], [1], [0, 1]])
@pytest.mark.parametrize("random_access", [True, False])
def test_find_equal_rows_keeps_different_rows_of_equal_hashes_apart(
    constant: list[int], random_access: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collide(rows: np.ndarray) -> np.ndarray:
        hashes = hash_bytes(rows)
        hashes[constant] = 7
        return hashes

    monkeypatch.setattr("isthmus.data.equal_rows.hash_bytes", collide)
    monkeypatch.setattr("isthmus.data.equal_rows.block_rows", lambda dim: 50)
    monkeypatch.setattr(Source, "random_access", random_access)
    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.repeat(np.arange(200), 3))
    found = groups(rng.normal(size=(200, 16))[numbers])
    assert found is not None
    np.testing.assert_array_equal(found, renumber(numbers))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("random_access", [True, False])
def test_find_equal_rows_joins_copies_of_rows_of_few_counts(
    dtype: str, random_access: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "random_access", random_access)
    rng = np.random.default_rng(0)
    rows = np.eye(1000, dtype=dtype)  # most share one cell, and their words differ in the highest bits alone
    rows[:500, -1] = 2
    numbers = np.concatenate([rng.permutation(1000), rng.integers(1000, size=4000)])
    found = groups(rows[numbers])
    assert found is not None
    np.testing.assert_array_equal(found, renumber(numbers))


def test_open_pairs_of_shards_with_copies_in_any_order_in_both_modalities(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = {name: rng.permutation(np.repeat(np.arange(60), 4)) for name in ("image", "text")}
    for name, order in numbers.items():
        (tmp_path / name).mkdir()
        rows = rng.normal(size=(60, 8)).astype(np.float32)[order]
        for number, shard in enumerate(np.split(rows, [100, 101])):
            np.save(tmp_path / name / f"{number}.npy", shard)
    with pytest.warns(isthmus.IsthmusWarning, match="60 of 240 image rows and 60 of 240 text rows are distinct"):
        pairs = isthmus.open_pairs(tmp_path / "image", tmp_path / "text")
    np.testing.assert_array_equal(pairs.index, renumber(numbers["image"]))
    np.testing.assert_array_equal(pairs.y_groups, renumber(numbers["text"]))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("random_access", [True, False])
def test_find_equal_rows_joins_multiples_of_sparse_rows(
    dtype: str, random_access: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "random_access", random_access)
    rng = np.random.default_rng(0)
    counts = np.zeros((400, 3000), dtype=dtype)  # most share one cell
    counts[np.arange(400)[:, None], rng.integers(3000, size=(400, 4))] = rng.integers(1, 4, size=(400, 4))
    numbers = rng.permutation(np.repeat(np.arange(400), 5))
    rows = counts[numbers] * rng.uniform(0.1, 9, size=(2000, 1)).astype(dtype)
    found = groups(rows)
    assert found is not None
    np.testing.assert_array_equal(found, renumber(numbers))
