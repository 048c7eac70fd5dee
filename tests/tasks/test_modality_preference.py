"""The matrix of preferences between modalities against a slow loop and known cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from isthmus import InputError
from isthmus.tasks import modality_preference

Unit = Callable[[np.ndarray], np.ndarray]


class OffsetCorrection:
    """Inner products with a constant for each pair of modalities."""

    def __init__(self, offsets: dict[tuple[str, str], float]):
        self.offsets = offsets

    def query(self, rows: np.ndarray, *, modality: str, index: str) -> np.ndarray:
        return np.hstack([rows, np.ones((len(rows), 1))])

    def stored(self, rows: np.ndarray, *, modality: str, queries: str) -> np.ndarray:
        return np.hstack([rows, np.full((len(rows), 1), self.offsets.get((queries, modality), 0.0))])


@pytest.fixture
def rows(rng: np.random.Generator, unit: Unit) -> dict[str, np.ndarray]:
    """Return unit rows of three modalities of different sizes."""
    sizes = {"image": 20, "text": 35, "audio": 12}
    return {name: unit(rng.normal(size=(n, 5)) + 0.4 * np.eye(5)[i]) for i, (name, n) in enumerate(sizes.items())}


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("with_items", [False, True])
def test_modality_preference_equals_a_slow_loop(
    rng: np.random.Generator, rows: dict[str, np.ndarray], k: int, with_items: bool
) -> None:
    items = {
        name: rng.integers(0, 15, len(block)) if with_items else np.arange(len(block)) for name, block in rows.items()
    }
    correction = OffsetCorrection({("image", "text"): 0.3, ("audio", "audio"): -0.2})
    preference = modality_preference(rows, k=k, items=items if with_items else None, correction=correction)
    corpus = [(name, items[name][i], row) for name, block in rows.items() for i, row in enumerate(block)]
    names = list(rows)
    shares, expected = np.zeros((3, 3)), np.zeros((3, 3))
    for a, item, query in corpus:
        others = [
            (float(query @ row) + correction.offsets.get((a, b), 0.0), b) for b, other, row in corpus if other != item
        ]
        for _, b in sorted(others, reverse=True)[:k]:
            shares[names.index(a), names.index(b)] += 1 / k / len(rows[a])
        for b in names:
            expected[names.index(a), names.index(b)] += np.mean([name == b for _, name in others]) / len(rows[a])
    assert preference.modalities == tuple(names)
    assert preference.shares == pytest.approx(shares)
    assert preference.expected == pytest.approx(expected)
    assert preference.ratio == pytest.approx(shares / expected)
    assert preference.shares.sum(axis=1) == pytest.approx(np.ones(3))


def test_modalities_far_apart_find_themselves_alone(rng: np.random.Generator, unit: Unit) -> None:
    rows = {name: unit(rng.normal(size=(20, 6)) + 30 * np.eye(6)[i]) for i, name in enumerate("abc")}
    assert np.array_equal(modality_preference(rows).shares, np.eye(3))


def test_modalities_of_one_distribution_are_fair(rng: np.random.Generator, unit: Unit) -> None:
    rows = {name: unit(rng.normal(size=(300, 6))) for name in "abc"}
    preference = modality_preference(rows)
    assert preference.expected == pytest.approx(np.full((3, 3), 1 / 3))
    assert preference.ratio == pytest.approx(np.ones((3, 3)), abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({"a": (5, 2)}, {}, "got 1 modality, expected two or more"),
        ({"a": (5, 2), "b": (5, 3)}, {}, "expected .n, d. with one d for all modalities"),
        ({"a": (5, 2), "b": (5, 2)}, {"k": 0}, "k=0, expected 1 or more"),
        ({"a": (5, 2), "b": (5, 2)}, {"k": 9}, "k=9, but a query can find 8 rows of other items"),
        ({"a": (5, 2), "b": (5, 2)}, {"items": {"a": range(5)}}, "items of b: expected one for each of its 5 rows"),
    ],
)
def test_modality_preference_refuses_unusable_rows(
    arguments: dict[str, tuple[int, int]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        modality_preference({name: np.ones(shape) for name, shape in arguments.items()}, **options)
