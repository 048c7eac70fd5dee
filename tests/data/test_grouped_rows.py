"""A flat export, which repeats a row of x beside each of its matches, gives what the index gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.data.equal_rows import MIN_DISTINCT_ROWS

N_ITEMS, WIDTH = 60, 12


def captions(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct images, captions, and the image of each caption."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(N_ITEMS, WIDTH)) + 1
    owner = np.sort(np.concatenate([np.arange(N_ITEMS), rng.integers(0, N_ITEMS, size=2 * N_ITEMS)]))
    return images, 0.6 * images[owner] + rng.normal(size=(len(owner), WIDTH)) - 1, owner


def open_quietly(*arguments: Any, **options: Any) -> isthmus.Pairs:
    """Open pairs whose repeated rows are reported."""
    with pytest.warns(isthmus.IsthmusWarning, match="image rows are distinct: equal rows count as one image"):
        return isthmus.open_pairs(*arguments, names=("image", "text"), **options)


def test_open_pairs_of_repeated_rows_gives_the_index_and_counts_them() -> None:
    images, texts, owner = captions()
    with pytest.warns(
        isthmus.IsthmusWarning,
        match=r"^60 of 180 image rows are distinct: equal rows count as one image with several matches; --as-is",
    ):
        pairs = isthmus.open_pairs(images[owner], texts, names=("image", "text"))
    assert (pairs.n_items, pairs.n_pairs) == (N_ITEMS, len(owner))
    np.testing.assert_array_equal(pairs.index, owner)
    np.testing.assert_array_equal(pairs.x.read(0, N_ITEMS), images)
    assert pairs.pairing == {"by": "index", "grouped": {"image": {"rows": 180, "distinct": 60}}}


def test_measure_of_repeated_rows_equals_that_with_the_index() -> None:
    images, texts, owner = captions()
    flat = isthmus.measure(open_quietly(images[owner], texts))
    expected = isthmus.measure(isthmus.Pairs(image=images, text=texts, index=owner))
    assert {name: str(e) for name, e in flat.items()} == {name: str(e) for name, e in expected.items()}
    assert {name: e.null for name, e in flat.items()} == pytest.approx(
        {name: e.null for name, e in expected.items()}, nan_ok=True
    )


def test_compare_and_explain_of_repeated_rows_equal_those_with_the_index() -> None:
    images, texts, owner = captions()
    flat, indexed = open_quietly(images[owner], texts), isthmus.Pairs(image=images, text=texts, index=owner)
    assert isthmus.explain(flat).verdict == isthmus.explain(indexed).verdict
    tables = [
        isthmus.compare(pairs, aligners=["Centering"], splits=2, tasks=["retrieval"]) for pairs in (flat, indexed)
    ]
    assert str(tables[0]["Centering"].scores) == str(tables[1]["Centering"].scores)


def test_open_pairs_of_permuted_and_scaled_repeats_finds_the_same_items(tmp_path: Path) -> None:
    images, texts, owner = captions()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(owner))
    np.save(tmp_path / "image.npy", (images[owner] * rng.choice([0.5, 1.0, 2.0], size=(len(owner), 1)))[order])
    np.save(tmp_path / "text.npy", texts[order])
    with pytest.warns(isthmus.IsthmusWarning, match="60 of 180 image rows"):
        pairs = isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy")
    measured = isthmus.measure(pairs, metrics="fast")
    expected = isthmus.measure(isthmus.Pairs(image=images, text=texts, index=owner), metrics="fast")
    for name, estimate in expected.items():
        assert measured[name].value == pytest.approx(estimate.value, rel=1e-6, abs=1e-9, nan_ok=True)


def test_open_pairs_as_is_takes_every_row() -> None:
    images, texts, owner = captions()
    pairs = isthmus.open_pairs(images[owner], texts, group=False)
    assert pairs.n_items == len(owner)
    assert pairs.grouped is None


def test_open_pairs_with_an_index_and_repeats_joins_both() -> None:
    images, texts, owner = captions()
    doubled = np.concatenate([images, images])
    index = owner + N_ITEMS * (np.arange(len(owner)) % 2)
    pairs = open_quietly(doubled, texts, index=index)
    np.testing.assert_array_equal(pairs.index, owner)


def test_open_pairs_keeps_equal_rows_of_different_labels_apart() -> None:
    images, texts, owner = captions()
    labels = np.arange(len(owner)) % 2
    pairs = open_quietly(images[owner], texts, labels=labels)
    for item in range(pairs.n_items):
        assert set(labels[pairs.index == item]) == {pairs.labels[item]}


@pytest.mark.parametrize("n_distinct", [1, MIN_DISTINCT_ROWS - 1])
def test_open_pairs_of_a_collapsed_side_does_not_group(n_distinct: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_distinct, WIDTH))[rng.integers(0, n_distinct, size=100)]
    assert isthmus.open_pairs(rows, rng.normal(size=(100, WIDTH))).n_items == 100


def test_open_pairs_of_distinct_rows_gives_no_warning() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 200, WIDTH))
    assert isthmus.open_pairs(x, y).index is None
