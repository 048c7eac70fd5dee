"""What the recommendation says of changes without an interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import isthmus
from isthmus.diagnosis.recommendation import recommendation_sentence
from isthmus.evaluation import Comparison
from isthmus.statistics.result import Estimate


@pytest.fixture
def comparison(rng: np.random.Generator) -> Comparison:
    latent = rng.normal(size=(120, 8))
    x, y = latent + 0.3 * rng.normal(size=(120, 8)) + 2, latent + 0.3 * rng.normal(size=(120, 8)) - 2
    return isthmus.compare(x, y, aligners=["Centering"], tasks=["retrieval", "mixed_search"], splits=2)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("exchange_R@1", "but this change has no interval (only 3 items decide)."),
        ("R@1", "cross-modal R@1 changes by an amount without an interval (+0.1 points)"),
    ],
)
def test_recommendation_names_a_change_without_an_interval(comparison: Comparison, score: str, expected: str) -> None:
    unknown = Estimate(0.001, note="no interval: only 3 items decide")
    rows = [replace(row, changes=row.changes | {score: unknown}) for row in comparison.rows]
    sentence = recommendation_sentence(replace(comparison, rows=rows))
    assert expected in sentence
    assert "nan" not in sentence
