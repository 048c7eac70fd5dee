"""Clouds with exact distances, for the reference cases of measures."""

from __future__ import annotations

import numpy as np


def two_points() -> tuple[np.ndarray, np.ndarray]:
    """Return two clouds of 30 equal rows each, at the distance sqrt(2)."""
    return np.tile([1.0, 0.0, 0.0], (30, 1)), np.tile([0.0, 1.0, 0.0], (30, 1))


def same_centred_clouds() -> tuple[np.ndarray, np.ndarray]:
    """Return two clouds that differ by their means alone, each of 15 rows at both ends of a segment of length 1.2."""
    ends = np.tile([0.6, -0.6], 15)
    zeros, means = np.zeros(30), np.full(30, 0.8)
    return np.stack([means, ends, zeros], axis=1), np.stack([zeros, ends, means], axis=1)
