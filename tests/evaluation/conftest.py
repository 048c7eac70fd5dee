"""Pairs and a table that several tests of the evaluation share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from isthmus import Pairs
from isthmus.evaluation import Comparison, compare


def clouds(rng: np.random.Generator, n: int, *, d: int = 8, gap: float = 1.0) -> Pairs:
    """Return correlated pairs with means `gap` along two axes."""
    latent = rng.normal(size=(n, d)) / np.arange(1, d + 1) ** 0.5
    x = latent + 0.5 * rng.normal(size=(n, d)) + gap * np.eye(d)[0]
    y = latent + 0.5 * rng.normal(size=(n, d)) + gap * np.eye(d)[1]
    return Pairs(image=x, text=y)


@pytest.fixture(scope="session")
def make_clouds() -> Callable[..., Pairs]:
    return clouds


@pytest.fixture
def pairs(rng: np.random.Generator) -> Pairs:
    return clouds(rng, 120)


@pytest.fixture(scope="session")
def table() -> Comparison:
    pairs = clouds(np.random.default_rng(20260101), 120)
    return compare(pairs, aligners=["Centering", "MeanRotation"], splits=2)


@pytest.fixture(scope="session")
def simulated_tables() -> list[Comparison]:
    """Return Centering on four splits of 250 simulated data sets of 60 pairs."""
    return [
        compare(
            clouds(np.random.default_rng(seed), 60), aligners=["Centering"], tasks=["retrieval"], splits=4, rng=seed
        )
        for seed in range(250)
    ]
