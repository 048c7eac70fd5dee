"""What the runs show, computed here from the definitions, on pairs that the encoders have not seen."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.demo import arrays


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def gap(x, y):
    """The angle between the means in degrees, and the lengths of the means."""
    a, b = x.mean(0), y.mean(0)
    return np.degrees(np.arccos(unit(a) @ unit(b))), np.linalg.norm(a), np.linalg.norm(b)


def hits(queries, stored):
    """Whether the item of a query ranks first; ties count against it."""
    scores = queries @ stored.T
    return (scores >= np.diag(scores)[:, None]).sum(1) == 1


def recall(x, y):
    """R@1 in percent, mean of both directions."""
    return 50 * (hits(x, y).mean() + hits(y, x).mean())


def mixed_recall(x, y, draws=10):
    """R@1 in percent where each item is stored as x or as y, a random half each, and sought by its other side."""
    found = []
    for draw in range(draws):
        as_x = np.zeros(len(x), bool)
        as_x[np.random.default_rng(draw).permutation(len(x))[: len(x) // 2]] = True
        hit = hits(np.where(as_x[:, None], y, x), np.where(as_x[:, None], x, y))
        found.append(50 * (hit[as_x].mean() + hit[~as_x].mean()))
    return np.mean(found)


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def budget(x, y):
    """The four parts of 1 - mean cosine: spectrum, centre, orientation, pairing."""
    a, b = x.mean(0), y.mean(0)
    xc, yc = x - a, y - b
    sx, sy, sxy = xc.T @ xc / len(x), yc.T @ yc / len(x), xc.T @ yc / len(x)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    matched = np.sqrt(np.maximum(np.linalg.eigvalsh(sx) * np.linalg.eigvalsh(sy), 0)).sum()
    fidelity = np.linalg.norm(root(sx) @ root(sy), "nuc")
    return {
        "spectrum": 1 - lengths - matched,
        "centre": lengths - a @ b,
        "orientation": matched - fidelity,
        "pairing": fidelity - np.trace(sxy),
    }


def rotation(u, v):
    """The rotation of unit vector u onto v in their plane."""
    turn = np.outer(v, u) - np.outer(u, v)
    return np.eye(len(u)) + turn + turn @ turn / (1 + u @ v)
