"""Properties of all measures on random data: scale, order, repetition and collapse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import registry
from isthmus.metrics.document import undefined_reasons

hypothesis = pytest.importorskip("hypothesis")
strategies = hypothesis.strategies

#: Words of the code that no reason contains.
INSIDE_WORDS = ("matrix", "eigenvalue", "Bessel", " nu ", "SVD", "its computation")
KINDS = ("equal", "constant", "narrow", "line", "plane", "two points", "zero cosine", "opposite", "ordinary")

seeds = strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=2, deadline=None, derandomize=True, database=None)


def modality(kind: str, n: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Return n rows of one modality."""
    rows = rng.normal(size=(n, dim)) + rng.normal()
    changes = {
        "constant": lambda: np.tile(rows[:1], (n, 1)),
        "narrow": lambda: rows[:1] + 10.0 ** rng.uniform(-9, -2) * rng.normal(size=(n, dim)),
        "line": lambda: np.outer(rng.choice([-1.0, 1.0, 2.0], n), rows[0]),
        "plane": lambda: rng.normal(size=(n, 2)) @ rng.normal(size=(2, dim)),
        "two points": lambda: rows[np.arange(n) % 2],
    }
    return changes.get(kind, lambda: rows)()


def pair_of(kinds: tuple[str, str], n: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n matching rows of two kinds."""
    rng = np.random.default_rng(seed)
    x, y = (modality(kind, n, dim, rng) for kind in kinds)
    if "equal" in kinds:
        y = x
    if "opposite" in kinds:
        y = -x
    if "zero cosine" in kinds:
        x, y = np.hstack([x, np.zeros_like(x)]), np.hstack([np.zeros_like(y), y])
    return x, y


def assert_equal(result: isthmus.Result, expected: isthmus.Result, rtol: float = 1e-6) -> None:
    """Fail if a value or an interval differs."""
    for name, estimate in expected.items():
        for end in ("value", "low", "high"):
            actual, wanted = getattr(result[name], end), getattr(estimate, end)
            np.testing.assert_allclose(actual, wanted, rtol=rtol, atol=1e-6, err_msg=f"{name} {end}")


@few_examples
@hypothesis.given(seeds, strategies.sampled_from([12, 40]))
def test_measures_do_not_depend_on_lengths_and_order(seed: int, n: int) -> None:
    x, y = pair_of(("ordinary", "ordinary"), n, 9, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    factors = 2.0 ** rng.integers(-30, 30, size=(2, n, 1))
    expected = isthmus.measure(Pairs(image=x, text=y))
    assert_equal(isthmus.measure(Pairs(image=factors[0] * x, text=factors[1] * y)), expected)
    assert_equal(isthmus.measure(Pairs(image=x[order], text=y[order])), expected)


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32"), ("float16", "float64")])
def test_rows_of_two_precisions_have_the_measures_of_the_wider_one(dtypes: tuple[str, str]) -> None:
    x, y = (rows.astype(dtype) for rows, dtype in zip(pair_of(("ordinary", "ordinary"), 60, 9, 0), dtypes, strict=True))
    measured = isthmus.measure(Pairs(image=x, text=y))
    expected = isthmus.measure(Pairs(image=x.astype(np.float64), text=y.astype(np.float64)))
    for name, estimate in expected.items():
        assert measured[name].undefined == estimate.undefined, name
        if "separability" not in name:  # a probe on nearly equal numbers moves by whole items
            assert measured[name].value == pytest.approx(estimate.value, rel=1e-4, abs=1e-5, nan_ok=True), name


@few_examples
@hypothesis.given(seeds, strategies.sampled_from([2, 3]))
def test_repeated_pairs_leave_the_means_alone(seed: int, times: int) -> None:
    x, y = pair_of(("ordinary", "ordinary"), 30, 9, seed)
    names = "centroid_distance,mean_paired_cosine,frechet_distance,rank_99_image,effective_rank_text"
    expected = isthmus.measure(Pairs(image=x, text=y), metrics=names)
    repeated = isthmus.measure(Pairs(image=np.tile(x, (times, 1)), text=np.tile(y, (times, 1))), metrics=names)
    for name, estimate in expected.items():
        # The bias of sampling depends on the number of items, and the plug-in does not.
        assert repeated[name].plugin == pytest.approx(estimate.plugin, rel=1e-6, nan_ok=True), name


@hypothesis.settings(max_examples=12, deadline=None, derandomize=True, database=None)
@hypothesis.given(strategies.tuples(*[strategies.sampled_from(KINDS)] * 2), strategies.integers(2, 24), seeds)
def test_measures_of_collapsed_data_are_numbers_or_undefined_for_a_declared_reason(
    kinds: tuple[str, str], n: int, seed: int
) -> None:
    x, y = pair_of(kinds, n, 6, seed)
    result = isthmus.measure(Pairs(image=x, text=y))
    declared = {
        name: undefined_reasons(entry) for entry in registry().values() for name in entry.names("image", "text")
    }
    for name, estimate in result.items():
        assert math.isnan(estimate.value) == bool(estimate.undefined), (kinds, n, name)
        if estimate.undefined:
            assert declared[name], (kinds, n, name, estimate.undefined)
            assert not [word for word in INSIDE_WORDS if word in estimate.undefined], estimate.undefined
        elif not math.isnan(estimate.low):
            assert estimate.low <= estimate.high, (kinds, n, name)
