"""Neighbour overlap against a slow loop and known answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from isthmus import InputError
from isthmus.compute.topk import topk
from isthmus.tasks import TaskData, neighbour_overlap, neighbours, registry

Unit = Callable[[np.ndarray], np.ndarray]


@pytest.mark.parametrize("k", [1, 4])
def test_neighbour_overlap_equals_a_slow_loop(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, unit: Unit, k: int
) -> None:
    monkeypatch.setattr("isthmus.compute.score_matrix.BLOCK_SCORES", 100)  # several blocks
    before, after = unit(rng.normal(size=(30, 5))), unit(rng.normal(size=(30, 3)))
    overlap = neighbour_overlap(before, after, ks=[k])[:, 0]
    for i in range(30):
        sets = []
        for rows in (before, after):
            order = sorted((j for j in range(30) if j != i), key=lambda j: -float(rows[i] @ rows[j]))
            sets.append(set(order[:k]))
        assert overlap[i] == len(sets[0] & sets[1]) / k


def test_neighbour_overlap_of_several_maps_searches_the_raw_rows_once(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, unit: Unit
) -> None:
    searched = []
    monkeypatch.setattr(
        neighbours, "topk", lambda rows, *args, **options: searched.append(1) or topk(rows, *args, **options)
    )
    raw = unit(rng.normal(size=(80, 5)))
    maps = [unit(raw + 0.1 * rng.normal(size=raw.shape)) for _ in range(3)]
    apart = [neighbour_overlap(raw, rows, ks=[4]) for rows in maps]
    assert len(searched) == 4
    raw = unit(raw + 0.5)  # other rows have neighbours of their own
    for rows, overlap in zip(maps, apart, strict=True):
        assert not np.array_equal(neighbour_overlap(raw, rows, ks=[4]), overlap)
    assert len(searched) == 5


def test_neighbour_overlap_after_a_rotation_is_one(rng: np.random.Generator, unit: Unit) -> None:
    rows = unit(rng.normal(size=(300, 6)))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert neighbour_overlap(rows, rows @ turn, ks=[10]).min() == 1


def test_neighbour_overlap_of_other_rows_is_chance(rng: np.random.Generator, unit: Unit) -> None:
    rows, other = unit(rng.normal(size=(300, 6))), unit(rng.normal(size=(300, 6)))
    assert neighbour_overlap(rows, other).mean() == pytest.approx(10 / 299, abs=0.01)


@pytest.mark.parametrize("ks", [[0], [30], [5, 30], []])
def test_neighbour_overlap_invalid_k_is_refused(rng: np.random.Generator, ks: list[int]) -> None:
    rows = rng.normal(size=(30, 3))
    with pytest.raises(InputError, match="expected 1 to 29 neighbours of 30 rows"):
        neighbour_overlap(rows, rows, ks=ks)


def test_neighbour_overlap_limits_of_k_are_allowed(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(30, 3))
    assert neighbour_overlap(rows, rows[::-1], ks=[1, 29])[:, 1].tolist() == [1.0] * 30


def test_neighbour_overlap_of_other_numbers_of_rows_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="30 rows before the map and 29 after it"):
        neighbour_overlap(rng.normal(size=(30, 3)), rng.normal(size=(29, 3)))


def test_neighbours_task_of_few_items_uses_all_others(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 6, 3))
    scores = registry()["neighbours"].run(TaskData(x, y, raw_x=y, raw_y=x)).scores()
    assert scores == {"NAS@10_x": 1.0, "NAS@10_y": 1.0}
