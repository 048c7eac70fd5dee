"""Simulated pairs in several orders, and rows out of order, for tests of where the pairing breaks."""

from __future__ import annotations

import numpy as np

from isthmus.data.sources import Source


def source(rows: np.ndarray) -> Source:
    return Source(rows, address="x")


def clip_like_rows(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    signal, basis = rng.normal(size=(n, 12)), rng.normal(size=(12, d))
    return tuple(signal @ basis + 1.5 * rng.normal(size=(n, d)) + 3 * rng.normal(size=d) for _ in range(2))  # type: ignore[return-value]


def out_of_order(rows: np.ndarray, start: int, stop: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows with those from start to stop shuffled among each other."""
    return np.concatenate([rows[:start], rng.permutation(rows[start:stop]), rows[stop:]])


def class_sorted_rows(rng: np.random.Generator, n: int, *, item: float, noise: np.ndarray | float = 1.0) -> list:
    """Return rows of 20 classes, sorted by class, with what the rows of an item share beyond the class."""
    basis, labels = rng.normal(size=(12, 64)) / 8, np.sort(rng.integers(0, 20, n))
    content = 1.5 * rng.normal(size=(20, 12))[labels] + item * rng.normal(size=(n, 12))
    return [content @ basis * 0.29 + noise * rng.normal(size=(n, 64)) / 8 + rng.normal(size=64) / 11 for _ in range(2)]


def class_sorted_pairs(rng: np.random.Generator, n: int, kind: str) -> list[np.ndarray]:
    largest = {"class quality": 3.0, "class hardly matches": 5.0}.get(kind)
    noise = np.repeat(rng.uniform(0.5, largest, 20), -(-n // 20))[:n, None] if largest else 1.0
    return class_sorted_rows(rng, n, item=float(kind != "class only"), noise=noise)


def pairs_of_quality(rng: np.random.Generator, n: int, noise: np.ndarray | float) -> list[np.ndarray]:
    basis, content = rng.normal(size=(12, 64)) / 8, rng.normal(size=(n, 12)) * 0.29
    return [content @ basis + noise * rng.normal(size=(n, 64)) / 8 + rng.normal(size=64) / 11 for _ in range(2)]


def pairs_sorted_by_length(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Return rows sorted by the length of their caption, which moves both means and makes y clearer."""
    length = np.sort(rng.gamma(3, 4, n)).clip(2, 60)
    trend = np.log(length)[:, None] - np.log(length).mean()
    basis, content, direction = rng.normal(size=(12, 48)), rng.normal(size=(n, 12)) / np.sqrt(12), rng.normal(size=48)
    x = content @ basis + 0.8 * rng.normal(size=(n, 48)) + 0.7 * trend * direction + 2 * rng.normal(size=48)
    noise = 1.2 / np.sqrt(length / 6)[:, None] * rng.normal(size=(n, 48))
    return [x, content @ basis + noise + 1.5 * trend * direction + 2 * rng.normal(size=48)]
