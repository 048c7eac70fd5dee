"""The explanation of two sets without pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.cli import app
from isthmus.data.unpaired_sets import NO_PAIRS, UnpairedSets
from isthmus.diagnosis.unpaired_verdict import decompose_sets
from isthmus.utils.errors import InputError

PAIRING_WORDS = ("does not match", "No sign that", "Retrieval is at chance", "ranks first", "check the order")


def sets_of(rng: np.random.Generator, n_x: int = 600, n_y: int = 200, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    content = rng.normal(size=(n_x + n_y, 5)) @ rng.normal(size=(5, d))
    x, y = content[:n_x] + 2 * np.eye(d)[0], content[n_x:] + 2 * np.eye(d)[1]
    return x + 0.3 * rng.normal(size=x.shape), y + 0.3 * rng.normal(size=y.shape)


def test_explain_of_unpaired_sets_covers_gap_and_collapse_and_not_pairing(rng: np.random.Generator) -> None:
    x, y = sets_of(rng)
    explanation = isthmus.explain(x, y, unpaired=True)
    text = " ".join(explanation.verdict)
    assert text.startswith("The 600 rows of x and 200 of y have no pairs")
    assert "degrees apart" in text
    assert "No pairing of these two clouds" in text
    assert not any(words in text for words in PAIRING_WORDS)
    assert explanation.budget["pairing"].undefined == explanation.budget.total.undefined == NO_PAIRS
    assert explanation.calibration is None
    with pytest.raises(InputError, match="no matching pairs"):
        _ = explanation.assumptions


def test_explain_of_unpaired_sets_names_their_few_rows_and_the_parts_of_the_missing_cosine(
    rng: np.random.Generator,
) -> None:
    x, y = sets_of(rng, 30, 40)
    dim = x.shape[1]
    wide = [np.hstack([rows, 0.01 * rng.normal(size=(len(rows), 35 - dim))]) for rows in (x, y)]
    explanation = isthmus.explain(*wide, unpaired=True)
    text = " ".join(explanation.verdict)
    assert "x (30) has no more rows than dimensions (35). Its ranks would change with more rows." in text
    limit, missing = re.findall(r"has a mean cosine above (\S+), which is (\S+) below 1: ", text)[0]
    assert float(limit) + float(missing) == pytest.approx(1, abs=1e-3)
    both = " ".join(isthmus.explain(wide[0], wide[1][:32], unpaired=True).verdict)
    assert "x (30) and y (32) have no more rows than dimensions (35). Their ranks would change" in both


def test_components_of_unpaired_sets_are_those_of_pairs_of_the_same_rows(rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 300, 300)
    unpaired = isthmus.explain(x, y, unpaired=True)
    paired = isthmus.explain(x, y)
    for name in ("spectrum", "centre", "orientation"):
        assert unpaired.budget[name].plugin == pytest.approx(paired.budget[name].plugin, abs=1e-9)
    assert unpaired.ceiling.centred == pytest.approx(paired.ceiling.centred, abs=1e-9)


def test_components_of_two_samples_of_one_law_have_their_null_on_average() -> None:
    numbers = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cloud = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 8)) + 2
        budget = decompose_sets(UnpairedSets(x=cloud[:300], y=cloud[300:]))
        components = [budget[name] for name in ("spectrum", "centre", "orientation")]
        numbers.append([(e.plugin, e.null, e.value, e.low) for e in components])
    for plugin, null, value, _ in np.mean(numbers, axis=0):
        assert 0.6 < plugin / null < 1.6
        assert value < 0.7 * null
    assert np.mean(np.array(numbers)[:, :, 3] == 0) > 0.9


def test_explanation_of_unpaired_sets_loads_as_it_was_saved(tmp_path: Path, rng: np.random.Generator) -> None:
    explanation = isthmus.explain(*sets_of(rng), unpaired=True)
    json.dumps(explanation.to_dict(), allow_nan=False)
    explanation.save(tmp_path / "explanation.json")
    loaded = isthmus.load(tmp_path / "explanation.json")
    assert loaded.verdict == explanation.verdict
    assert loaded.to_dict()["assumptions"] is None


def test_explain_command_of_unpaired_sets(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, rows in zip(("image", "text"), sets_of(rng), strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
    paths = [str(tmp_path / f"{name}.npy") for name in ("image", "text")]
    output = CliRunner().invoke(app, ["explain", *paths, "--unpaired"]).output
    assert f"pairing     undefined: {NO_PAIRS}" in output
    assert "Assumptions" not in output
    refused = CliRunner().invoke(app, ["explain", *paths, "--unpaired", "--cosine", "0.2"])
    assert "--cosine is about pairs" in str(refused.exception)


@pytest.mark.slow
@pytest.mark.parametrize(("n_x", "n_y"), [(160, 60), (60, 160)])
def test_intervals_of_the_components_of_two_sets_cover(n_x: int, n_y: int) -> None:
    mixing = np.random.default_rng(9).normal(size=(2, 4, 4)) * [1.5, 1.2, 0.9, 0.6]

    def sets(rng: np.random.Generator, first: int, second: int) -> UnpairedSets:
        x = 0.5 * rng.normal(size=(first, 4)) @ mixing[0] + [1, 0, 0, 1]
        return UnpairedSets(x=x, y=0.5 * rng.normal(size=(second, 4)) @ mixing[1] + [0, 1, 0, 1])

    large = decompose_sets(sets(np.random.default_rng(10), 200_000, 200_000))
    covered = np.zeros(3)
    for seed in range(25):
        budget = decompose_sets(sets(np.random.default_rng(seed), n_x, n_y))
        names = ("spectrum", "centre", "orientation")
        covered += [budget[name].low <= large[name].plugin <= budget[name].high for name in names]
    assert covered.min() >= 21


def test_a_set_with_few_rows_is_named_as_the_reason_for_no_intervals(rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 600, 30)
    explanation = isthmus.explain(x, y, unpaired=True)
    assert np.isnan(explanation.budget["centre"].low)
    assert "30 rows of y in 10 dimensions are too few to estimate their bias" in explanation.budget.notes[0]


@pytest.mark.parametrize("function", [isthmus.measure, isthmus.explain])
def test_invalid_rows_of_both_sets_are_in_one_sentence(function: Callable[..., Any]) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 60, 5))
    x[[3, 4]], x[9], y[7] = np.nan, 0, np.inf
    message = r"^x: rows 3, 4 .* hold null, .* and row 9 is all zeros .*; y: row 7 .*; embed them again, or leave"
    with pytest.raises(isthmus.InputError, match=message):
        function(x, y[:50], unpaired=True)


@pytest.mark.parametrize("n_y", [5, 40])
def test_exchanged_sets_of_different_sizes_have_the_same_intervals_and_warnings(
    n_y: int, rng: np.random.Generator
) -> None:
    x, y = sets_of(rng, 300, n_y)
    metrics = ["centroid_angle", "centroid_distance", "fisher_ratio", "mean_unpaired_cosine", "cross_uniformity"]
    result, swapped = (
        isthmus.measure(first, second, unpaired=True, metrics=metrics) for first, second in ((x, y), (y, x))
    )
    for name in metrics:
        estimates = [(e.value, e.low, e.high) for e in (result[name], swapped[name])]
        np.testing.assert_allclose(*estimates, rtol=1e-6, err_msg=name)
    messages = [[entry["message"] for entry in r.pairs["degenerate"]] for r in (result, swapped)]
    assert messages[0] == messages[1] == (["there are only 5 items"] if n_y == 5 else [])


@pytest.mark.parametrize("n_y", [100, 300])
def test_exchange_of_sets_without_names_exchanges_samples_and_intervals(n_y: int, rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 300, n_y)
    metrics = ["linear_separability", "separability_auc", "energy_distance", "mixing_rate", "sliced_wasserstein"]
    result, swapped = (isthmus.measure(*sets, unpaired=True, metrics=metrics) for sets in ((x, y), (y, x)))
    for name in metrics:
        estimates = [(e.value, e.low, e.high, e.null) for e in (result[name], swapped[name])]
        np.testing.assert_allclose(*np.array(estimates, dtype=float), rtol=1e-9, err_msg=name)
    budgets = [isthmus.explain(*sets, unpaired=True).budget for sets in ((x, y), (y, x))]
    for name in ("spectrum", "centre", "orientation"):
        ends = [(budget[name].low, budget[name].high) for budget in budgets]
        np.testing.assert_allclose(*ends, rtol=1e-9, err_msg=name)
