"""Measures that run side by side give the same numbers as one after another."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.cli import app
from isthmus.compute.resources import config_context
from isthmus.metrics import _measure
from isthmus.metrics._context import SecondMoment
from isthmus.utils.errors import InputError


@pytest.fixture
def parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run also measures of few rows side by side."""
    monkeypatch.setattr(_measure, "MIN_PARALLEL_VALUES", 0)
    monkeypatch.setattr(_measure, "MIN_SWEPT_ITEMS", 0)


@pytest.mark.usefixtures("parallel")
def test_measure_in_several_threads_gives_the_same_numbers(rng: np.random.Generator, tmp_path: Path) -> None:
    rows = rng.normal(size=(2, 120, 8)) + 1
    for name, modality in zip("xy", rows, strict=True):
        np.save(tmp_path / f"{name}.npy", modality)
    index = np.repeat(np.arange(60), 2)
    for data in (
        isthmus.Pairs(image=tmp_path / "x.npy", text=tmp_path / "y.npy", labels=np.arange(120) % 3),
        isthmus.Pairs(image=rows[0][:60], text=rows[1], index=index),
    ):
        results = []
        for threads in (1, 4):
            with config_context(threads=threads):
                results.append(isthmus.measure(data))
        one, several = results
        assert list(one) == list(several)
        for name, estimate in one.items():
            numbers = [[e.value, e.low, e.high, e.null] for e in (estimate, several[name])]
            np.testing.assert_array_equal(*numbers, err_msg=name)


@pytest.mark.usefixtures("parallel")
def test_measure_in_several_threads_raises_the_errors_of_a_plugin(rng: np.random.Generator) -> None:
    from isthmus.metrics import metric, unregister

    @metric("broken", unit="share", range=(0, 1), direction="lower", source="a test")
    def broken(context: object) -> None:
        raise TypeError("a programming error")

    try:
        with config_context(threads=2), pytest.raises(TypeError, match="a programming error"):
            isthmus.measure(*rng.normal(size=(2, 20, 3)), metrics=["centroid_angle", "broken"])
    finally:
        unregister("broken")


def test_second_moment_is_decomposed_once_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, eigh = [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (calls.append(1), eigh(matrix))[1])
    moment = SecondMoment(np.diag([1.0, 2.0]), np.zeros(2), 1)
    threads = [threading.Thread(target=lambda: (moment.centred, moment.eigen)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 2


def test_measure_states_the_sample_and_its_standard_error(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 400, 6)) + 1
    names = ["image_to_text_R@10", "image_to_text_hubness", "centroid_angle"]
    result = isthmus.measure(isthmus.Pairs(image=x, text=y), metrics=names, sample=150)
    assert [result[name].sampled for name in names] == [150, 150, 0]
    assert result.pairs["items_ranked"] == 150
    recall = result["image_to_text_R@10"]
    of_independent_queries = np.sqrt(recall.value * (1 - recall.value) / 150)
    assert 0.9 * of_independent_queries < recall.standard_error < 2 * of_independent_queries  # queries share rows ahead
    restored = type(result).from_dict(result.to_dict())
    assert restored["image_to_text_R@10"].sampled == 150
    shared = isthmus.measure(isthmus.Pairs(image=x, text=y[np.arange(400) // 2]), metrics=names, sample=150)
    assert shared[names[0]].sampled == shared.pairs["items_ranked"] == 300  # items that share a text count as one
    assert result.to_dict()["metrics"]["image_to_text_R@10"]["standard_error"] == recall.standard_error
    assert "sampled" not in result.to_dict()["metrics"]["centroid_angle"]
    assert result.columns()["sampled"] == [150, 150, 0]
    everything = isthmus.measure(isthmus.Pairs(image=x, text=y), metrics=names, sample=400)
    assert {estimate.sampled for estimate in everything.values()} == {0}
    with pytest.raises(InputError, match="sample=99: expected 100 items or more"):
        isthmus.measure(x, y, sample=99)


def test_measure_command_counts_sampled_numbers_without_a_standard_error(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    paths = [str(tmp_path / name) for name in ("image.npy", "text.npy")]
    for path in paths:
        np.save(path, rng.normal(size=(140, 6)) + 1)

    def run(metrics: str, *options: str) -> str:
        return CliRunner().invoke(app, ["measure", *paths, "--sample", "100", "--metrics", metrics, *options]).stdout

    metrics = "image_to_text_R@10,image_to_text_hubness,cknna"
    content = json.loads(run(metrics, "--json"))["metrics"]
    errors = [values["standard_error"] for values in content.values()]
    assert (len(errors), errors.count(None)) == (3, 2)
    stated = "--json states its standard error"
    assert f"{stated}. Without an interval there is none (2 numbers)." in " ".join(run(metrics).split())
    assert f"{stated}." in " ".join(run("image_to_text_R@10").split())
