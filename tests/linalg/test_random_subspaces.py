"""The null of principal angles against subspaces drawn and compared the slow way."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from scipy import stats

from isthmus.linalg import bulk_edges, random_principal_angles, tracy_widom_edge
from isthmus.utils.errors import InputError


def slow(dim, p, q, draws, seed):
    rng = np.random.default_rng(seed)
    return np.array(
        [
            np.degrees(scipy.linalg.subspace_angles(rng.standard_normal((dim, p)), rng.standard_normal((dim, q))))[::-1]
            for _ in range(draws)
        ]
    )


@pytest.mark.parametrize(("dim", "p", "q"), [(12, 3, 5), (12, 5, 3), (8, 6, 5), (6, 4, 2), (5, 1, 2), (4, 4, 2)])
def test_random_principal_angles_have_the_law_of_random_subspaces(dim, p, q):
    fast = random_principal_angles(dim, p, q, draws=1500, rng=1)
    other = slow(dim, p, q, 1500, 2)
    assert fast.shape == (1500, min(p, q))
    assert (np.diff(fast, axis=1) >= -1e-9).all()
    forced = max(0, p + q - dim)
    assert fast[:, :forced].max(initial=0.0) < 1e-12
    for j in range(forced, min(p, q)):
        assert stats.ks_2samp(fast[:, j], other[:, j]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("p", "q", "bulk", "edge"),
    [(100, 100, 0.6287, 0.6379), (200, 100, 0.8202, 0.8267), (362, 362, 0.8286, None)],
)
def test_edges_equal_reference_values(p, q, bulk, edge):
    assert bulk_edges(512, p, q).high == pytest.approx(bulk, abs=6e-5)
    assert bulk_edges(512, p, q).guaranteed == max(0, p + q - 512)
    if edge is not None:
        assert tracy_widom_edge(512, p, q) == pytest.approx(edge, abs=6e-5)
    assert tracy_widom_edge(512, p, q) == tracy_widom_edge(512, q, p)


def test_bulk_edges_contain_the_squared_cosines():
    angles = random_principal_angles(600, 150, 240, draws=3, rng=0)
    squares = np.cos(np.radians(angles)) ** 2
    edges = bulk_edges(600, 150, 240)
    assert squares.max() == pytest.approx(edges.high, abs=0.015)
    assert squares.min() == pytest.approx(edges.low, abs=0.015)


@pytest.mark.parametrize(("dim", "p", "q"), [(60, 10, 15), (60, 2, 8), (60, 1, 12), (60, 45, 40), (60, 28, 28)])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_tracy_widom_edge_has_its_level(dim, p, q, level):
    forced = max(0, p + q - dim)
    largest = np.cos(np.radians(random_principal_angles(dim, p, q, draws=1500, rng=3)[:, forced])) ** 2
    below = np.mean(largest < tracy_widom_edge(dim, p, q, level=level))
    assert below == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1500) + 0.004)


def test_tracy_widom_edge_uses_the_quantile_of_the_law():
    """The logit of the edge is linear in the quantile: three published quantiles must fit one line."""
    logits = [np.log(e / (1 - e)) for e in (tracy_widom_edge(400, 50, 80, level=v) for v in (0.5, 0.95, 0.99))]
    ratio = (logits[2] - logits[0]) / (logits[1] - logits[0])
    assert ratio == pytest.approx((2.0234 + 1.2686) / (0.9793 + 1.2686), abs=6e-3)


def test_random_principal_angles_of_more_draws_begin_with_those_of_fewer():
    few = random_principal_angles(30, 9, 7, draws=2, rng=3)
    assert np.array_equal(random_principal_angles(30, 9, 7, draws=5, rng=3)[:2], few)
    few[:] = 0  # the caller owns the result
    assert np.all(random_principal_angles(30, 9, 7, draws=2, rng=np.random.default_rng(3)) > 0)
    assert np.all(random_principal_angles(30, 9, 7, draws=2, rng=3) > 0)


def test_random_principal_angles_with_one_seed_are_equal():
    first, second = (random_principal_angles(30, 4, 6, draws=3, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, random_principal_angles(30, 4, 6, draws=3, rng=5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bulk_edges(5, 6, 1), r"p = 6, q = 1 in R\^5"),
        (lambda: tracy_widom_edge(5, 5, 2), "no test"),
        (lambda: tracy_widom_edge(5, 3, 2), "neither reach nor add up to 5"),
        (lambda: tracy_widom_edge(5, 2, 2, level=1.0), "level = 1"),
        (lambda: random_principal_angles(5, 2, 0, draws=1, rng=0), "q = 0"),
        (lambda: random_principal_angles(5, 2, 2, draws=0, rng=0), "draws = 0"),
    ],
)
def test_functions_refuse_impossible_dimensions(call, message):
    with pytest.raises(InputError, match=message):
        call()
