"""Measures of the runs, computed here from their definitions on held-out pairs."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.data.demo import arrays


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def gap(x, y):
    """Return the angle between the means in degrees, and the lengths of the means."""
    a, b = x.mean(0), y.mean(0)
    return np.degrees(np.arccos(unit(a) @ unit(b))), np.linalg.norm(a), np.linalg.norm(b)


def hits(queries, stored):
    """Return whether the item of each query ranks first, where ties count against it."""
    scores = queries @ stored.T
    return (scores >= np.diag(scores)[:, None]).sum(1) == 1


def recall(x, y):
    """Return R@1 in percent, mean of both directions."""
    return 50 * (hits(x, y).mean() + hits(y, x).mean())


def mixed_recall(x, y, draws=10):
    """Return R@1 in percent over a corpus of x rows for one half of the items and y rows for the other half."""
    values_by_draw = []
    for draw in range(draws):
        as_x = np.zeros(len(x), bool)
        as_x[np.random.default_rng(draw).permutation(len(x))[: len(x) // 2]] = True
        hit = hits(np.where(as_x[:, None], y, x), np.where(as_x[:, None], x, y))
        values_by_draw.append(50 * (hit[as_x].mean() + hit[~as_x].mean()))
    return np.mean(values_by_draw)


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def budget(x, y):
    """Return the four terms of 1 - mean cosine: spectrum, centre, orientation, pairing."""
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
    """Return the rotation of unit vector u onto v in their plane."""
    turn = np.outer(v, u) - np.outer(u, v)
    return np.eye(len(u)) + turn + turn @ turn / (1 + u @ v)


def insignificance(rows):
    """Return the p-value of 'the mean is zero' for anisotropic rows (Satterthwaite's approximation)."""
    from scipy.stats import chi2

    covariance = np.cov(rows.T)
    scale = (covariance**2).sum() / np.trace(covariance)
    return chi2.sf(len(rows) * (rows.mean(0) ** 2).sum() / scale, np.trace(covariance) / scale)


@pytest.fixture(scope="module")
def runs():
    """Return (x, y, x_train, y_train) of each run in float64, where x and y are held out."""
    pairs_by_run = {}
    for name in ("plain", "warm", "collapsed"):
        test, train = (arrays(name, split=split) for split in ("test", "train"))
        pairs_by_run[name] = tuple(rows.astype(float) for rows in (test.image, test.text, train.image, train.text))
    return pairs_by_run


@pytest.mark.parametrize("name", ["plain", "warm", "collapsed"])
def test_budget_terms_sum_to_the_cosine_deficit(runs, name):
    x, y, *_ = runs[name]
    terms = budget(x, y)
    assert min(terms.values()) > -1e-9
    assert sum(terms.values()) == pytest.approx(1 - (x * y).sum(1).mean(), abs=1e-6)


def test_gap_of_plain_is_thirty_degrees(runs):
    x, y, *_ = runs["plain"]
    angle, length_x, length_y = gap(x, y)
    assert angle == pytest.approx(30, abs=4)
    assert 0.6 < length_x < 0.8
    assert 0.6 < length_y < 0.8
    assert recall(x, y) >= 28


def test_budget_of_plain_has_four_large_terms(runs):
    terms = budget(*runs["plain"][:2])
    assert terms["spectrum"] > 0.002
    assert min(terms["centre"], terms["orientation"], terms["pairing"]) > 0.05


def test_means_of_warm_do_not_differ_from_zero(runs):
    x, y, *_ = runs["warm"]
    _, length_x, length_y = gap(x, y)
    assert max(length_x, length_y) < 0.06
    assert min(insignificance(x), insignificance(y)) > 0.05
    assert budget(x, y)["centre"] < 0.002
    assert recall(x, y) >= 28
    # The same test sees the means of the plain run at once.
    assert max(insignificance(rows) for rows in runs["plain"][:2]) < 1e-6


def test_gap_of_collapsed_is_sixty_degrees(runs):
    x, y, x_train, y_train = runs["collapsed"]
    assert gap(x, y)[0] == pytest.approx(60, abs=1)
    assert recall(x, y) >= 28
    assert recall(x_train, y_train) >= 28


def test_cosines_of_collapsed_are_a_constant_plus_the_shared_cosine():
    data = arrays("collapsed")
    x, y = data.image.astype(float), data.text.astype(float)
    u, v = unit(x @ data.basis.T), unit(y @ data.basis.T)
    np.testing.assert_allclose((x * y).sum(1), 0.255 + 0.49 * (u * v).sum(1), rtol=0, atol=1e-6)


def test_budget_of_collapsed_is_mostly_the_gap(runs):
    terms = budget(*runs["collapsed"][:2])
    assert 0.25 <= terms["centre"] <= 0.27
    assert max(terms, key=terms.get) == "centre"


def test_rotation_of_the_axes_of_collapsed_closes_the_gap_and_keeps_recall(runs):
    x, y, *_ = runs["collapsed"]
    rotated = x @ rotation(*arrays("collapsed").axes).T
    assert gap(rotated, y)[0] <= 10
    assert recall(rotated, y) == pytest.approx(recall(x, y), abs=0.2)


def test_rotation_of_the_fitted_means_of_collapsed_closes_the_gap(runs):
    x, y, x_train, y_train = runs["collapsed"]
    rotated = x @ rotation(unit(x_train.mean(0)), unit(y_train.mean(0))).T
    assert gap(rotated, y)[0] <= 3
    assert recall(rotated, y) == pytest.approx(recall(x, y), abs=2)


def test_projection_of_collapsed_on_the_shared_space_keeps_recall_and_improves_mixed_search(runs):
    x, y, *_ = runs["collapsed"]
    basis = arrays("collapsed").basis
    u, v = unit(x @ basis.T), unit(y @ basis.T)
    assert recall(u, v) == pytest.approx(recall(x, y), abs=0.2)
    assert mixed_recall(x, y) < 1
    assert mixed_recall(u, v) >= 12


def test_centring_of_collapsed_improves_mixed_search(runs):
    x, y, x_train, y_train = runs["collapsed"]
    assert mixed_recall(unit(x - x_train.mean(0)), unit(y - y_train.mean(0))) >= 13
