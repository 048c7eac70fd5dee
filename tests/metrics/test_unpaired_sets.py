"""Measures of two sets without pairs, of different sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.cli import app
from isthmus.data.unpaired_sets import NO_PAIRS, UnpairedSets
from isthmus.metrics import registry
from isthmus.statistics.unpaired_moments import UnpairedMoments
from isthmus.utils.errors import InputError, IsthmusWarning


def sets_of(rng: np.random.Generator, n_x: int, n_y: int, d: int = 12, gap: float = 1.5) -> tuple[Any, Any]:
    basis = rng.normal(size=(6, d))
    return tuple(
        rng.normal(size=(n, 6)) @ basis / 3 + 0.5 * rng.normal(size=(n, d)) + gap * np.eye(d)[axis]
        for n, axis in ((n_x, 0), (n_y, 1))
    )


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_measure_of_unpaired_sets_gives_everything_that_needs_no_pairs(rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 500, 160)
    result = isthmus.measure(x, y, unpaired=True)
    for entry in registry().values():
        for name in entry.names("x", "y"):
            if entry.needs_pairs and entry.requires != "labels":
                assert result[name].undefined == NO_PAIRS, name
            elif not entry.needs_pairs and name not in ("overlap_32", "overlap_128"):
                assert np.isfinite(result[name].value), name
    assert result.pairs["pairing"] == {"by": "none", "rows": {"x": 500, "y": 160}}


def test_measure_of_unpaired_sets_agrees_with_numpy(rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 500, 160)
    result = isthmus.measure(x, y, unpaired=True, metrics="fast")
    u, v = unit(x), unit(y)
    mean_x, mean_y = u.mean(axis=0), v.mean(axis=0)
    cosine = mean_x @ mean_y / np.linalg.norm(mean_x) / np.linalg.norm(mean_y)
    assert result["centroid_angle"].plugin == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-9)
    assert result["centroid_distance"].plugin == pytest.approx(np.linalg.norm(mean_x - mean_y), abs=1e-12)
    assert result["mean_unpaired_cosine"].value == pytest.approx(np.mean(u @ v.T), abs=1e-12)
    assert result["mean_cosine_y"].value == pytest.approx(((v @ v.T).sum() - 160) / (160 * 159), abs=1e-12)
    spread = [np.cov(rows.T, bias=True) for rows in (u, v)]
    assert result["coral_distance"].plugin == pytest.approx(np.linalg.norm(spread[0] - spread[1]), abs=1e-9)


def test_measure_of_swapped_unpaired_sets_swaps_the_names(rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 300, 120)
    metrics = [
        "centroid_angle",
        "fisher_ratio",
        "coral_distance",
        "effective_rank_{side}",
        "participation_ratio_{side}",
    ]
    forward = isthmus.measure(UnpairedSets(a=x, b=y), metrics=metrics)
    backward = isthmus.measure(UnpairedSets(b=y, a=x), metrics=metrics)
    for name, estimate in forward.items():
        assert backward[name].value == pytest.approx(estimate.value, rel=1e-9), name
        assert backward[name].low == pytest.approx(estimate.low, rel=0.02, nan_ok=True), name


@pytest.mark.parametrize("n_y", [120, 300])
def test_nulls_of_exchanged_unpaired_sets_are_equal(n_y: int, rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 300, n_y)
    metrics = ["frechet_distance", "bures_distance", "frechet_centroid_share"]
    forward = isthmus.measure(UnpairedSets(a=x, b=y), metrics=metrics)
    backward = isthmus.measure(UnpairedSets(b=y, a=x), metrics=metrics)
    for name, estimate in forward.items():
        assert backward[name].null == pytest.approx(estimate.null, rel=1e-9), name


def test_unpaired_rows_of_equal_number_are_not_paired(rng: np.random.Generator) -> None:
    x, _ = sets_of(rng, 200, 10)
    result = isthmus.measure(x, x + 0.01, unpaired=True, metrics=["mean_paired_cosine", "linear_separability"])
    assert result["mean_paired_cosine"].undefined == NO_PAIRS
    assert not result["linear_separability"].undefined


def test_unequal_counts_name_the_option(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"--unpaired \(unpaired=True\)"):
        isthmus.measure(*sets_of(rng, 20, 10))


def test_unpaired_sets_leave_bad_rows_out(rng: np.random.Generator) -> None:
    x, y = sets_of(rng, 50, 30)
    x[3], y[5] = np.nan, 0
    with pytest.warns(IsthmusWarning, match="1 of 50 x rows and 1 of 30 y rows"):
        result = isthmus.measure(x, y, unpaired=True, drop_bad=True, metrics=["centroid_distance"])
    assert result.pairs["pairing"]["rows"] == {"x": 49, "y": 29}
    with pytest.raises(InputError, match="row"):
        isthmus.measure(x, y, unpaired=True, metrics=["centroid_distance"])


def test_unpaired_moments_cannot_be_added(rng: np.random.Generator) -> None:
    moments = UnpairedMoments.of_sets(UnpairedSets(x=rng.normal(size=(9, 3)), y=rng.normal(size=(5, 3))))
    with pytest.raises(InputError, match="without pairs"):
        moments + moments


def test_measure_command_of_unpaired_sets(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, rows in zip(("image", "text"), sets_of(rng, 200, 80), strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
    paths = [str(tmp_path / f"{name}.npy") for name in ("image", "text")]
    output = CliRunner().invoke(app, ["measure", *paths, "--unpaired"]).output
    assert "centroid_angle" in output
    assert "undefined" not in output
    sampled = CliRunner().invoke(app, ["measure", *paths, "--unpaired", "--metrics", "linear_separability"]).output
    assert "*: from 80 random rows of each set, of 200 of image and 80 of text (--sample). The interval" in sampled
    refused = CliRunner().invoke(app, ["measure", *paths, "--unpaired", "--key", "id"])
    assert "--key is about pairs" in str(refused.exception)


@pytest.mark.parametrize("side", [0, 1])
def test_repeated_rows_of_a_set_count_once(side: int) -> None:
    rows = [rng_rows + 1 for rng_rows in np.random.default_rng(5).normal(size=(2, 300, 6))]
    flat = [np.repeat(rows[k], 5, axis=0) if k == side else rows[k] for k in (0, 1)]
    names = ["centroid_angle", "centroid_distance", "effective_rank_x", "effective_rank_y", "energy_distance"]
    expected, plain = isthmus.measure(*rows, unpaired=True, metrics=names), isthmus.explain(*rows, unpaired=True)
    with pytest.warns(isthmus.IsthmusWarning, match="300 of 1,500 . rows are distinct: without pairs, equal rows"):
        measured = isthmus.measure(*flat, unpaired=True, metrics=names)
    with pytest.warns(isthmus.IsthmusWarning, match="equal rows count once"):
        explanation = isthmus.explain(*flat, unpaired=True)
    for name in names:
        assert [measured[name].low, measured[name].value, measured[name].high] == pytest.approx(
            [expected[name].low, expected[name].value, expected[name].high], rel=1e-6
        )
    assert str(explanation) == str(plain)
    as_is = isthmus.measure(*flat, unpaired=True, metrics=names, group=False)
    assert as_is["centroid_distance"].high - as_is["centroid_distance"].low < (
        0.95 * (measured["centroid_distance"].high - measured["centroid_distance"].low)
    )


@pytest.mark.slow
def test_intervals_of_unpaired_sets_cover() -> None:
    """The truth is that of 200,000 rows of each law. The sizes differ by a factor of 4."""
    names = [
        "centroid_angle", "centroid_distance", "fisher_ratio", "mean_unpaired_cosine", "coral_distance",
        "participation_ratio_x", "participation_ratio_y", "mean_cosine_y", "energy_distance", "uniformity_y",
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(6, 8))

    def draw(n_x: int, n_y: int, rng: np.random.Generator) -> list[np.ndarray]:
        shift = 1.2 * np.eye(8)
        return [
            rng.normal(size=(n, 6)) @ basis * scale + 0.5 * rng.normal(size=(n, 8)) + shift[axis]
            for n, axis, scale in ((n_x, 0, 0.3), (n_y, 1, 0.4))
        ]

    truth = isthmus.measure(*draw(200_000, 200_000, rng), unpaired=True, metrics=names)
    hits = dict.fromkeys(names, 0)
    for seed in range(200):
        result = isthmus.measure(*draw(400, 100, np.random.default_rng(seed)), unpaired=True, metrics=names)
        for name in names:
            hits[name] += result[name].low <= truth[name].value <= result[name].high
    assert all(hits[name] >= 0.9 * 200 for name in names), hits
