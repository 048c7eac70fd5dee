"""Pairs: names, several matches per item, subsets, and invalid arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Pairs
from isthmus.data.invalid_rows import find_invalid_rows
from isthmus.data.sources import absolute_address


def several() -> Pairs:
    x = np.eye(4)
    y = np.eye(4)[[2, 0, 1, 1, 2, 3, 0]] + 0.01 * np.arange(7)[:, None]
    return Pairs(image=x, text=y, index=[2, 0, 1, 1, 2, 3, 0], labels=["a", "b", "c", "d"])


def test_sizes_count_pairs_items_and_columns() -> None:
    p = several()
    assert (p.n_pairs, p.n_items, p.dim, p.names) == (7, 4, 4, ("image", "text"))


def test_take_keeps_all_matching_rows_of_an_item() -> None:
    p = several()
    subset = p.take(np.array([2, 0]))
    assert subset.n_items == 2
    assert subset.index is not None
    np.testing.assert_array_equal(subset.labels, ["c", "a"])
    x, y = subset.x.read(0, 2), subset.y.read(0, subset.n_pairs)
    np.testing.assert_array_equal(x, np.eye(4)[[2, 0]])
    rows = [0, 4, 1, 6]  # the matches of item 2, then of item 0
    np.testing.assert_array_equal(y, p.y.take(np.array(rows)))
    np.testing.assert_array_equal(subset.index, [0, 0, 1, 1])


def test_split_half_is_disjoint_and_complete(rng: np.random.Generator) -> None:
    x = np.arange(1, 31, dtype=float).reshape(15, 2)
    a, b = Pairs(u=x, v=x).split_half(rng=3)
    rows = np.concatenate([a.x.read(0, 99), b.x.read(0, 99)])
    assert (a.n_items, b.n_items) == (7, 8)
    np.testing.assert_array_equal(np.sort(rows[:, 0]), x[:, 0])
    repeated, _ = Pairs(u=x, v=x).split_half(rng=3)
    np.testing.assert_array_equal(repeated.x.read(0, 99), a.x.read(0, 99))


def test_sample_draws_without_replacement() -> None:
    x = np.arange(1, 201, dtype=float).reshape(100, 2)
    p = Pairs(u=x, v=x)
    assert p.sample(100) is p
    subset = p.sample(40, rng=1)
    assert len(np.unique(subset.x.read(0, 40)[:, 0])) == 40
    np.testing.assert_array_equal(subset.x.read(0, 40), subset.y.read(0, 40))


def sharing() -> Pairs:
    """Return six items: items 0, 4 and 2 are connected by two rows of y, items 1 and 5 by one, item 3 by none."""
    y = np.arange(12, dtype=float).reshape(6, 2)[[0, 1, 2, 3, 0, 1, 2]]
    x = np.arange(1, 13, dtype=float).reshape(6, 2)
    return Pairs(image=x, text=y, index=[0, 1, 2, 3, 4, 5, 4], y_groups=[9, 7, 4, 5, 9, 7, 4])


def test_components_join_the_items_that_share_a_row_of_y() -> None:
    np.testing.assert_array_equal(sharing().components, [0, 1, 0, 2, 0, 1])
    np.testing.assert_array_equal(sharing().y_groups, [0, 1, 2, 3, 0, 1, 2])


def test_components_of_distinct_rows_are_the_items() -> None:
    x = np.arange(1, 9, dtype=float).reshape(4, 2)
    pairs = Pairs(image=x, text=x, y_groups=[3, 0, 1, 2])
    assert pairs.y_groups is None
    np.testing.assert_array_equal(pairs.components, np.arange(4))
    np.testing.assert_array_equal(several().components, np.arange(4))


def test_take_numbers_the_groups_of_y_anew() -> None:
    subset = sharing().take(np.array([4, 2, 5]))
    np.testing.assert_array_equal(subset.index, [0, 0, 1, 2])
    np.testing.assert_array_equal(subset.y_groups, [0, 1, 1, 2])
    assert sharing().take(np.array([4, 3])).y_groups is None
    by_position = Pairs(image=np.eye(4), text=np.eye(4)[[0, 1, 0, 3]], y_groups=[0, 1, 0, 2])
    np.testing.assert_array_equal(by_position.take(np.array([2, 1, 0])).y_groups, [0, 1, 0])


def test_split_half_keeps_a_component_in_one_half() -> None:
    x = np.arange(1, 41, dtype=float).reshape(20, 2)
    y_groups = np.arange(20) // 2
    pairs = Pairs(image=x, text=x[y_groups], y_groups=y_groups)
    for seed in range(5):
        fit, test = pairs.split_half(rng=seed)
        assert (fit.n_items, test.n_items) == (10, 10)
        assert not len(np.intersect1d(fit.y.read(0, 9)[:, 0], test.y.read(0, 9)[:, 0]))


def test_blocks_keep_the_pairs_of_an_item_together() -> None:
    p = several()
    block_pairs = []
    for x, y, owner, _ in p.blocks(size=2):
        assert owner is not None
        block_pairs.extend((tuple(x[o]), tuple(row)) for o, row in zip(owner, y, strict=True))
    assert p.index is not None
    expected = [(tuple(np.eye(4)[i]), tuple(p.y.read(j, j + 1)[0])) for j, i in enumerate(p.index)]
    assert sorted(block_pairs) == sorted(expected)


def test_unit_normalises_rows(cones: Any) -> None:
    x, y = Pairs(image=cones[0], text=cones[1]).unit()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1)
    np.testing.assert_allclose(y, cones[1] / np.linalg.norm(cones[1], axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("modalities", "options", "message"),
    [
        ({"a": np.eye(3)}, {}, r"got 1 modality \(a\), expected two"),
        ({"a": np.eye(3), "b": np.eye(4)[:3]}, {}, "a has width 3 and b has width 4"),
        ({"a": np.eye(3), "b": np.eye(3)[:2]}, {}, "a has 3 rows and b has 2"),
        ({"a": np.ones(3), "b": np.ones(3)}, {}, r"a: has shape \(3,\), expected two dimensions"),
        ({"a": np.ones((0, 3)), "b": np.ones((0, 3))}, {}, "a: is empty"),
        ({"a": np.ones((1, 3)), "b": np.ones((1, 3))}, {}, "a: has one row"),
        ({"a": np.eye(3, dtype=int), "b": np.eye(3)}, {}, "a: has dtype int64, expected floats; whole numbers"),
        (
            {"a": np.array([["u"] * 3] * 3, object), "b": np.eye(3)},
            {},
            "a: holds Python objects, expected floats; give",
        ),
        ({"a": {1}, "b": np.eye(3)}, {}, "a: is a set, expected an array"),
        ({"a": np.eye(3), "b": np.eye(3)}, {"index": [0, 1, 3]}, "outside the 3 rows of x at row 2"),
        (
            {"a": np.eye(4), "b": np.eye(4)[:3]},
            {"index": [0, 1, 2, 0]},
            "; give y first, if the index is for the rows",
        ),
        ({"a": np.eye(3), "b": np.eye(3)}, {"index": [0.0, 1.0, 2.0]}, "index has shape .* expected 3 whole numbers"),
        ({"a": np.eye(3), "b": np.eye(3)}, {"y_groups": [0, 1]}, "y_groups has shape .* expected 3 whole numbers"),
        ({"a": np.eye(3), "b": np.eye(3)}, {"labels": [1, 2]}, "labels has 2 entries, expected one for each of the 3"),
        (
            {"a": np.eye(3), "b": np.eye(3)},
            {"labels": [1.0, np.nan, 2.0]},
            r"labels: row 1 \(counted from 0\) has no class",
        ),
        ({"a": np.eye(3), "b": np.eye(3)}, {"labels": ["u", None, None]}, "labels: rows 1, 2 .* have no class"),
    ],
)
def test_pairs_of_invalid_arguments_are_refused(
    modalities: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Pairs(**options, **modalities)


def test_open_pairs_names_modalities_after_paths(tmp_path: Path) -> None:
    for name in ("image.npy", "text.npy"):
        np.save(tmp_path / name, np.eye(3))
    p = isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy")
    assert p.names == ("image", "text")
    assert isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy", names=["a", "b"]).names == ("a", "b")
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "image.npy", np.eye(3))
    with pytest.raises(InputError, match="would both be called 'image'; name them with --names"):
        isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "other" / "image.npy")
    for name in ("image", "text"):
        np.savez(tmp_path / f"{name}.npz", clip=np.eye(3))
    columns = [f"{tmp_path}/{name}.npz::clip" for name in ("image", "text")]
    assert isthmus.open_pairs(*columns).names == ("image", "text")
    for names in (["a"], ["a", "a"], ["a", ""]):
        with pytest.raises(InputError, match="expected two different ones"):
            isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy", names=names)
    with pytest.raises(InputError, match="'index' cannot be the name"):
        isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy", names=["index", "b"])


@pytest.mark.parametrize("name", ["index", "labels"])
def test_open_pairs_with_a_reserved_name_is_refused(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.eye(3))
    with pytest.raises(InputError, match=f"'{name}' cannot be the name of a modality"):
        isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "image.npy", names=["image", name])


def test_open_spec_opens_the_same_pairs_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 3))
    np.save(tmp_path / "image.npy", rows)
    np.save(tmp_path / "text.npy", rows + 1)
    monkeypatch.chdir(tmp_path)
    pairs = isthmus.open_pairs("image.npy", "text.npy")
    sample = pairs.sample(7, rng=3)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert pairs.open_spec is not None
    assert sample.open_spec is not None
    assert sample.open_spec.key != pairs.open_spec.key
    np.testing.assert_array_equal(pairs.open_spec.open().y.read(0, 99), rows + 1)
    np.testing.assert_array_equal(sample.open_spec.open().x.read(0, 99), sample.x.read(0, 99))
    assert sample.sample(4).open_spec is None  # a sample of a sample is not recorded
    assert pairs.sample(7, rng=np.random.default_rng(3)).open_spec is None


def test_open_spec_of_named_formats_and_stores_has_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    for name in ("image", "text"):
        np.save(tmp_path / f"{name}.npy", rows)
        (tmp_path / f"{name}.npy").rename(tmp_path / f"{name}.rows")
    monkeypatch.chdir(tmp_path)
    spec = isthmus.open_pairs("npy:image.rows", "npy:text.rows").open_spec
    assert spec is not None
    monkeypatch.chdir(tmp_path.parent)
    np.testing.assert_array_equal(spec.open().y.read(0, 6), rows)
    assert absolute_address("duckdb:shop.duckdb/items::image") == f"duckdb:{tmp_path.parent}/shop.duckdb/items::image"


def test_find_invalid_rows_numbers_rows_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.pairs.block_rows", lambda dim: 4)
    rows = np.ones((20, 2))
    rows[[2, 9, 18]] = 0
    rows[[5, 13]] = np.nan, np.inf
    source = isthmus.sources.Source(rows, address="rows")
    for first, last, expected in ((0, None, ([5, 13], [2, 9, 18])), (3, 13, ([5], [9]))):
        non_finite, zero = find_invalid_rows(source, first, last)
        assert (non_finite.tolist(), zero.tolist()) == expected
