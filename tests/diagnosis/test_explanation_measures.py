"""The measures that an explanation computes: those that it shows, and those that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.diagnosis.explanation import EXPLAINED


@pytest.fixture(scope="module")
def pairs() -> isthmus.Pairs:
    """Return 60 pairs of width 8 with a gap."""
    x, y = np.random.default_rng(3).normal(size=(2, 60, 8))
    return isthmus.Pairs(image=x + 2, text=y + 3)


def test_explain_by_default_measures_only_what_the_verdict_speaks_of(pairs: isthmus.Pairs) -> None:
    measured = set(isthmus.explain(pairs).result)
    assert measured == set(isthmus.measure(pairs, metrics=EXPLAINED))
    assert len(measured) < len(isthmus.measure(pairs)) / 4


@pytest.mark.parametrize("metrics", ["all", "fast, neighbours", ["neighbours"]])
def test_explain_with_further_measures_gives_the_same_sentences_and_numbers(
    pairs: isthmus.Pairs, metrics: str | list[str]
) -> None:
    short, long = isthmus.explain(pairs), isthmus.explain(pairs, metrics=metrics)
    assert long.verdict == short.verdict
    assert set(short.result) < set(long.result)
    for name, estimate in short.result.items():
        assert str(estimate) == str(long.result[name])


def test_explain_with_an_unknown_measure_raises(pairs: isthmus.Pairs) -> None:
    with pytest.raises(isthmus.InputError, match="unknown measure 'centroid_angel': did you mean 'centroid_angle'"):
        isthmus.explain(pairs, metrics=["centroid_angel"])


@pytest.mark.parametrize("temperature", [0, -1.0, "warm"])
def test_explain_refuses_a_temperature_at_once(temperature: object) -> None:
    with pytest.raises(InputError, match=f"temperature {temperature!r}, expected a number of at least 1e-6"):
        isthmus.explain(np.eye(3), np.eye(3), temperature=temperature)  # type: ignore[arg-type]
