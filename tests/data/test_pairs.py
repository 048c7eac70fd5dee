"""Pairs: names, several partners, subsets, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Pairs


def several() -> Pairs:
    x = np.eye(4)
    y = np.eye(4)[[2, 0, 1, 1, 2, 3, 0]] + 0.01 * np.arange(7)[:, None]
    return Pairs(image=x, text=y, index=[2, 0, 1, 1, 2, 3, 0], labels=["a", "b", "c", "d"])


def test_sizes() -> None:
    p = several()
    assert (p.n_pairs, p.n_items, p.dim, p.names) == (7, 4, 4, ("image", "text"))


def test_take_keeps_partners_together() -> None:
    p = several()
    part = p.take(np.array([2, 0]))
    assert part.n_items == 2
    assert part.index is not None
    np.testing.assert_array_equal(part.labels, ["c", "a"])
    x, y = part.x.read(0, 2), part.y.read(0, part.n_pairs)
    np.testing.assert_array_equal(x, np.eye(4)[[2, 0]])
    rows = [0, 4, 1, 6]  # the partners of item 2, then of item 0
    np.testing.assert_array_equal(y, p.y.take(np.array(rows)))
    np.testing.assert_array_equal(part.index, [0, 0, 1, 1])


def test_halves_are_disjoint_and_complete(rng: np.random.Generator) -> None:
    x = np.arange(1, 31, dtype=float).reshape(15, 2)
    a, b = Pairs(u=x, v=x).split_half(rng=3)
    rows = np.concatenate([a.x.read(0, 99), b.x.read(0, 99)])
    assert (a.n_items, b.n_items) == (7, 8)
    np.testing.assert_array_equal(np.sort(rows[:, 0]), x[:, 0])
    again, _ = Pairs(u=x, v=x).split_half(rng=3)
    np.testing.assert_array_equal(again.x.read(0, 99), a.x.read(0, 99))


def test_sample_is_without_replacement() -> None:
    x = np.arange(1, 201, dtype=float).reshape(100, 2)
    p = Pairs(u=x, v=x)
    assert p.sample(100) is p
    part = p.sample(40, rng=1)
    assert len(np.unique(part.x.read(0, 40)[:, 0])) == 40
    np.testing.assert_array_equal(part.x.read(0, 40), part.y.read(0, 40))


def test_blocks_hold_whole_items() -> None:
    p = several()
    seen = []
    for x, y, owner in p.blocks(size=2):
        assert owner is not None
        seen.extend((tuple(x[o]), tuple(row)) for o, row in zip(owner, y, strict=True))
    assert p.index is not None
    expected = [(tuple(np.eye(4)[i]), tuple(p.y.read(j, j + 1)[0])) for j, i in enumerate(p.index)]
    assert sorted(seen) == sorted(expected)


def test_unit(cones: Any) -> None:
    x, y = Pairs(image=cones[0], text=cones[1]).unit()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1)
    np.testing.assert_allclose(y, cones[1] / np.linalg.norm(cones[1], axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("sides", "options", "message"),
    [
        ({"a": np.eye(3)}, {}, r"got 1 modalities \(a\), expected two"),
        ({"a": np.eye(3), "b": np.eye(4)[:3]}, {}, "a has width 3 and b has width 4"),
        ({"a": np.eye(3), "b": np.eye(3)[:2]}, {}, "a has 3 rows and b has 2"),
        ({"a": np.ones(3), "b": np.ones(3)}, {}, r"a: has shape \(3,\), expected two dimensions"),
        ({"a": np.ones((0, 3)), "b": np.ones((0, 3))}, {}, "a: is empty"),
        ({"a": np.ones((1, 3)), "b": np.ones((1, 3))}, {}, "a: has one row"),
        ({"a": np.eye(3, dtype=int), "b": np.eye(3)}, {}, "a: has dtype int64, expected float16, float32 or float64"),
        ({"a": np.eye(3).astype(object), "b": np.eye(3)}, {}, "a: holds Python objects"),
        ({"a": "text", "b": np.eye(3)}, {}, "a: is a str, expected an array"),
        ({"a": np.eye(3), "b": np.eye(3)}, {"index": [0, 1, 3]}, "outside the 3 rows of x at row 2"),
        ({"a": np.eye(3), "b": np.eye(3)}, {"index": [0.0, 1.0, 2.0]}, "index has shape .* expected 3 whole numbers"),
        ({"a": np.eye(3), "b": np.eye(3)}, {"labels": [1, 2]}, "labels has 2 entries, expected one for each of the 3"),
    ],
)
def test_refusals(sides: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pairs(**options, **sides)


def test_names_come_from_paths(tmp_path: Path) -> None:
    for name in ("image.npy", "text.npy"):
        np.save(tmp_path / name, np.eye(3))
    p = isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy")
    assert p.names == ("image", "text")
    assert isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy", names=["a", "b"]).names == ("a", "b")
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "image.npy", np.eye(3))
    with pytest.raises(InputError, match="would both be called 'image'; name them with --names"):
        isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "other" / "image.npy")
    for names in (["a"], ["a", "a"], ["a", ""]):
        with pytest.raises(InputError, match="expected two different ones"):
            isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy", names=names)
    with pytest.raises(InputError, match="'index' cannot be the name"):
        isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy", names=["index", "b"])
