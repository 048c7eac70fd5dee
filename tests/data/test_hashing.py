"""The hash of rows and of text: equality, byte order, padding, and collisions of structured data."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.data.hashing import hash_rows, hash_text


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
