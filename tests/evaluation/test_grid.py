"""Sweeps of options, and numbers of fitting items."""

from __future__ import annotations

import pytest

from isthmus import InputError, Pairs
from isthmus.align import HyperplaneRotation
from isthmus.evaluation import compare, expand_grid


def test_compare_with_a_sweep_has_a_row_for_each_value(pairs: Pairs) -> None:
    table = compare(pairs, aligners=["Centering", "HyperplaneRotation"], splits=1, sweep={"energy": [0.9, 0.95]})
    names = ["Identity", "Centering", "HyperplaneRotation(energy=0.9)", "HyperplaneRotation(energy=0.95)"]
    assert [row.name for row in table.rows] == names


def test_expand_grid_of_two_options_has_every_combination() -> None:
    grid = expand_grid([HyperplaneRotation()], {"energy": [0.9, 0.95], "normalize": [True, False]})
    options = [(aligner.get_params()["energy"], aligner.normalize) for aligner in grid]
    assert options == [(0.9, True), (0.9, False), (0.95, True), (0.95, False)]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"enrgy": [1]}, "unknown option to sweep 'enrgy': did you mean 'energy'"),
        ({"energy": ["much"]}, "Rotation got energy='much', expected a number such as 0.99"),
        ({"energy": []}, "the sweep of energy has no values"),
    ],
)
def test_compare_with_an_invalid_sweep_is_refused(pairs: Pairs, sweep: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(pairs, aligners=["HyperplaneRotation"], sweep=sweep)


def test_compare_with_fit_sizes_fits_on_that_many_items(pairs: Pairs) -> None:
    table = compare(pairs, aligners=["Centering"], splits=2, fit_sizes=[10, 60])
    assert [row.name for row in table.rows] == ["Identity", "Centering on 10 items", "Centering on 60 items"]
    all_items = compare(pairs, aligners=["Centering"], splits=2)["Centering"]
    assert table["Centering on 60 items"].scores["R@1"] == all_items.scores["R@1"]
    distances = [table[f"Centering on {n} items"].scores["gap_distance"].value for n in (10, 60)]
    assert distances[0] > distances[1]


def test_compare_with_too_small_or_large_fit_sizes_is_refused(pairs: Pairs) -> None:
    for size in (3, 61):
        message = f"{size} items to fit on, expected 4 to the 60 that are available"
        with pytest.raises(InputError, match=message):
            compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1, fit_sizes=[size])
    assert compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1, fit_sizes=[4]).splits == 1
