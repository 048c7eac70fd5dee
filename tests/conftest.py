"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus


@pytest.fixture(autouse=True)
def _handler_of_interrupts() -> Iterator[None]:
    """The program leaves its own handler of Ctrl-C in place, also after tests that call it in their process."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


@pytest.fixture
def cones(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two paired clouds like those of CLIP: cones apart, partners correlated, anisotropic, of unequal norms."""
    n, d = 120, 12
    scales = 1 / np.arange(1, d + 1)
    latent = rng.normal(size=(n, d)) * scales
    x = latent + 0.3 * rng.normal(size=(n, d)) * scales + 1.5 * np.eye(d)[0]
    y = latent + 0.3 * rng.normal(size=(n, d)) * scales + 1.5 * np.eye(d)[3]
    return x * rng.uniform(0.5, 2, size=(n, 1)), y


@pytest.fixture(params=["numpy", "torch", "strict"])
def to_xp(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Any]:
    """Turns a NumPy array into an array of each library in turn; the strict reference library included."""
    if request.param == "numpy":
        return lambda a: a
    if request.param == "torch":
        torch = pytest.importorskip("torch")
        return lambda a: torch.from_numpy(np.ascontiguousarray(a))
    strict = pytest.importorskip("array_api_strict")
    return lambda a: strict.asarray(a)


@pytest.fixture
def clip_coco() -> isthmus.Pairs:
    return isthmus.open_pairs(fixture("clip_coco/image.npy"), fixture("clip_coco/text.npy"))


def fixture(name: str) -> Path:
    """A file of real embeddings, from the folder that ISTHMUS_FIXTURES names; the test is skipped without it."""
    folder = os.environ.get("ISTHMUS_FIXTURES")
    if not folder:
        pytest.skip("ISTHMUS_FIXTURES is not set")
    return Path(folder) / name


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    return fixture
