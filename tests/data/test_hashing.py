"""The hash of rows and of text: equality, byte order, padding, and collisions of structured data."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.data.hashing import hash_bytes, hash_rows, hash_text


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_hash_rows_of_equal_rows_is_equal_in_any_layout(dtype: str, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(50, 7)).astype(dtype)
    expected = hash_rows(rows)
    np.testing.assert_array_equal(hash_rows(rows.astype(rows.dtype.newbyteorder(">"))), expected)
    np.testing.assert_array_equal(hash_rows(np.asfortranarray(rows)), expected)
    np.testing.assert_array_equal(hash_rows(rows[20:]), expected[20:])
    np.testing.assert_array_equal(hash_rows(np.where(rows < 0, -0.0, rows).astype(dtype)),
                                  hash_rows(np.where(rows < 0, 0.0, rows).astype(dtype)))  # fmt: skip


def test_hash_rows_of_different_rows_is_different(rng: np.random.Generator) -> None:
    rows = rng.integers(-3, 4, size=(20_000, 6)).astype(np.float32)
    assert len(np.unique(hash_rows(rows))) == len(np.unique(rows, axis=0))
    assert len(np.unique(hash_rows(np.eye(512, dtype=np.float32)))) == 512
    assert len(np.unique(hash_rows(np.array([[1.0, 2.0], [2.0, 1.0], [1.5, 1.5]])))) == 3


def test_hash_rows_with_another_seed_is_independent(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(100, 4))
    assert not np.any(hash_rows(rows) == hash_rows(rows, seed=1))
    np.testing.assert_array_equal(hash_rows(rows, seed=3), hash_rows(rows.copy(), seed=3))


def test_hash_rows_keeps_its_values() -> None:
    """Groups of items are numbered by these values, and splits of pairs depend on the numbers."""
    hashes = hash_rows(np.array([[1.0, 2.0], [3.0, -4.0]], dtype=np.float32))
    assert hashes.tolist() == [3403090873795504701, 5245531925129969400]


def words(texts: list[str], width: int) -> np.ndarray:
    return np.array([text.encode() for text in texts], dtype=f"S{width}").view(np.uint64).reshape(len(texts), -1)


def test_hash_text_ignores_padding() -> None:
    texts = ["a", "item-00017", "x" * 24, ""]
    for narrow, wide in zip(hash_text(words(texts, 24)), hash_text(words(texts, 64)), strict=True):
        np.testing.assert_array_equal(narrow, wide)


def test_hash_text_of_keys_that_differ_in_the_last_byte_of_words_is_different() -> None:
    letters = [chr(c) for c in range(48, 123)]
    texts = [f"0000000{a}0000000{b}0000000{c}" for a in letters[:40] for b in letters[:40] for c in letters[:40]]
    for hashes in hash_text(words(texts, 24)):
        assert len(np.unique(hashes)) == len(texts)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_hash_rows_of_signs_is_different(dtype: str) -> None:
    signs = np.random.default_rng(0).choice([-1, 1], size=(2000, 32)).astype(dtype)
    assert len(np.unique(hash_rows(signs))) == len(np.unique(signs, axis=0))


def test_hash_bytes_of_rows_that_differ_in_one_or_two_bits_is_different() -> None:
    single = np.eye(256, dtype=bool)
    first, second = np.triu_indices(256, 1)
    bits = np.concatenate([np.zeros((1, 256), dtype=bool), single, single[first] | single[second]])
    rows = np.packbits(bits, axis=1)  # four words of 64 bits
    hashes = hash_bytes(rows)
    assert len(np.unique(hashes, axis=1).T) == len(rows)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_hash_bytes_of_rows_that_differ_in_signs_of_some_columns_is_different(dtype: str, step: int) -> None:
    rng = np.random.default_rng(0)
    rows = np.tile(rng.normal(size=32), (1000, 1)).astype(dtype)
    rows[:, step - 1 :: step] *= rng.choice([-1, 1], size=(1000, 32 // step)).astype(dtype)
    assert len(np.unique(hash_bytes(rows), axis=1).T) == len(np.unique(rows, axis=0))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_upper_bits_of_the_first_hash_of_bytes_tell_small_whole_numbers_apart(dtype: str) -> None:
    rows = np.unique(np.random.default_rng(0).integers(-2, 3, size=(2000, 32)), axis=0).astype(dtype)
    assert len(np.unique(hash_bytes(rows)[0] >> np.uint64(24))) == len(rows)


@pytest.mark.parametrize("width", [1, 7, 16])
def test_hash_bytes_ignores_the_layout_and_the_place_of_a_row(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, width)).astype("f2")
    expected = hash_bytes(rows)
    np.testing.assert_array_equal(hash_bytes(np.asfortranarray(rows)), expected)
    monkeypatch.setattr("isthmus.data.hashing.SLICE_WORDS", 8)  # several slices
    np.testing.assert_array_equal(hash_bytes(rows[20:]), expected[:, 20:])
