"""Components of two sets without pairs: their intervals contain the components of many rows."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus.compute.arrays import unit_rows
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.diagnosis.cosine_decomposition import decomposition_values
from isthmus.diagnosis.printing import explanation_lines
from isthmus.diagnosis.unpaired_intervals import UNPAIRED_COMPONENTS, set_intervals
from isthmus.statistics.unpaired_moments import UnpairedMoments

SETS, DIM = 200, 8


def draw(n_x: int, n_y: int, rng: np.random.Generator) -> UnpairedSets:
    """Return sets whose means, spectra and directions differ."""
    scales = np.arange(1, DIM + 1) ** -0.7
    turn = np.linalg.qr(np.eye(DIM) + 0.1 * np.random.default_rng(1).normal(size=(DIM, DIM)))[0]
    stretch = np.where(np.arange(DIM) % 2, 1.2, 1.8)
    x = rng.normal(size=(n_x, DIM)) * scales + np.eye(DIM)[0]
    y = (rng.normal(size=(n_y, DIM)) * scales * stretch) @ turn + np.eye(DIM)[1]
    return UnpairedSets(x=np.asarray(unit_rows(x)), y=np.asarray(unit_rows(y)))


@pytest.mark.slow
def test_intervals_of_components_of_unpaired_sets_cover() -> None:
    rng = np.random.default_rng(0)
    truth = decomposition_values(UnpairedMoments.of_sets(draw(200_000, 200_000, rng)))
    covered = dict.fromkeys(UNPAIRED_COMPONENTS, 0)
    for _ in range(SETS):
        sets = draw(300, 120, rng)
        for name, (_, low, high) in set_intervals(sets, UnpairedMoments.of_sets(sets)).items():
            covered[name] += low <= getattr(truth, name) <= high
    shares = {name: count / SETS for name, count in covered.items()}
    # Long simulations give .94 to .99, with a standard error of .018 for 200 data sets.
    assert min(shares.values()) >= 0.88, shares


def test_explain_of_large_sets_states_the_random_rows_behind_intervals(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = draw(300, 120, rng)
    assert isthmus.explain(sets).budget.notes == ()
    monkeypatch.setattr("isthmus.diagnosis.unpaired_intervals.MAX_ITEMS", 150)
    explanation = isthmus.explain(sets)
    (note,) = explanation.budget.notes
    assert "are those of 150 random rows of each larger set (--sample), scaled to all rows" in note
    assert any(note in line for line in explanation_lines(explanation))
    centre = explanation.to_dict()["budget"]["parts"]["centre"]
    assert (centre["sampled"], centre["standard_error"] > 0) == (150, True)


def test_sample_sets_the_random_rows_of_explain(rng: np.random.Generator) -> None:
    sets = draw(300, 220, rng)
    for sample in (100, 150):
        explanation = isthmus.explain(sets, sample=sample)
        assert f"are those of {sample} random rows of each larger set (--sample)" in explanation.budget.notes[0]
        assert {explanation.budget[name].sampled for name in UNPAIRED_COMPONENTS} == {sample}
    nulls = [isthmus.explain(sets, sample=sample).budget["centre"].null for sample in (100, 150, 300)]
    assert len(set(nulls)) == 3


def test_a_sample_of_more_than_10000_rows_is_drawn(rng: np.random.Generator) -> None:
    sets = draw(12_000, 11_500, rng)
    measured = isthmus.measure(sets, metrics=["linear_separability"], sample=11_000)
    assert measured["linear_separability"].sampled == 11_000
