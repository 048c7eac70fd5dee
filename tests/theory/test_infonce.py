"""The InfoNCE loss against slow loops and torch's automatic gradient."""

from __future__ import annotations

import math
import tracemalloc

import mpmath
import numpy as np
import pytest

from isthmus.theory import info_nce, info_nce_limit, info_nce_parts
from isthmus.utils.errors import InputError


def pairs(n, d, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Y = X + noise * rng.standard_normal((n, d))
    return tuple(Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (X, Y))


def slow_loss(X, Y, t):
    n, total = len(X), 0.0
    for i in range(n):
        forward = [math.exp(sum(X[i] * Y[j]) / t) for j in range(n)]
        backward = [math.exp(sum(Y[i] * X[j]) / t) for j in range(n)]
        total -= math.log(forward[i] / sum(forward)) + math.log(backward[i] / sum(backward))
    return total / n


@pytest.mark.parametrize("block", [1, 3, 7, 20, 1024])
@pytest.mark.parametrize("t", [0.05, 0.3, 2.0])
def test_info_nce_equals_slow_loops(block, t):
    X, Y = pairs(20, 5)
    loss = info_nce(X, Y, temperature=t, block=block)
    assert isinstance(loss, float)
    assert loss == pytest.approx(slow_loss(X, Y, t), rel=1e-13)
    assert info_nce(X, Y, temperature=t, block=block, reduction="mean") == pytest.approx(loss / 2, rel=1e-15)


@pytest.mark.parametrize(("t", "stretch"), [(0.5, 1.0), (0.01, 1.0), (0.0005, 1.0), (0.1, 30.0)])
@pytest.mark.parametrize("block", [4, 64])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradient_equals_torch(t, stretch, block, reduction):
    torch = pytest.importorskip("torch")
    X, Y = pairs(30, 6, seed=4, noise=1.0)
    X = X * stretch
    a, b = (torch.tensor(Z, requires_grad=True) for Z in (X, Y))
    logits = a @ b.T / t
    target = torch.arange(30)
    value = torch.nn.functional.cross_entropy(logits, target) + torch.nn.functional.cross_entropy(logits.T, target)
    value = value * (0.5 if reduction == "mean" else 1.0)
    value.backward()
    loss, g_x, g_y = info_nce(X, Y, temperature=t, gradient=True, block=block, reduction=reduction)
    assert loss == pytest.approx(value.item(), rel=1e-12)
    scale = max(1.0, abs(a.grad).max().item())
    np.testing.assert_allclose(g_x, a.grad.numpy(), atol=1e-10 * scale)
    np.testing.assert_allclose(g_y, b.grad.numpy(), atol=1e-10 * scale)
    # a tensor that carries a gradient may come too
    again = info_nce(a, b, temperature=t, gradient=True, block=block, reduction=reduction)
    assert not again[1].requires_grad
    np.testing.assert_allclose(again[1].numpy(), g_x, atol=1e-12 * scale)


def test_info_nce_of_a_saturated_loss_keeps_its_digits():
    X = np.eye(5)
    loss, g_x, _ = info_nce(X, X, temperature=0.02, gradient=True)
    exact = 2 * mpmath.log1p(4 * mpmath.exp(-50))
    assert loss == pytest.approx(float(exact), rel=1e-13)
    share = 4 * math.exp(-50) / (1 + 4 * math.exp(-50))
    assert g_x[0, 0] == pytest.approx(-2 * share / (5 * 0.02), rel=1e-13)
    assert info_nce(X, X, temperature=0.001) == pytest.approx(float(2 * mpmath.log1p(4 * mpmath.exp(-1000))), abs=0)


def test_info_nce_of_one_pair_is_zero():
    loss, g_x, g_y = info_nce(np.ones((1, 3)), np.ones((1, 3)), temperature=0.5, gradient=True)
    assert loss == 0.0
    assert not g_x.any()
    assert not g_y.any()


def test_parts_add_up_to_the_limit():
    X, Y = pairs(25, 4, seed=8)
    t = 0.3
    parts = info_nce_parts(X, Y, temperature=t, block=7)
    kernel = np.exp(X @ Y.T / t)
    assert parts.alignment == pytest.approx(-2 * np.mean(np.sum(X * Y, axis=1)) / t, rel=1e-13)
    assert parts.uniformity_x == pytest.approx(np.mean(np.log(kernel.mean(axis=1))), rel=1e-12)
    assert parts.uniformity_y == pytest.approx(np.mean(np.log(kernel.mean(axis=0))), rel=1e-12)
    limit = info_nce_limit(X, Y, temperature=t)
    assert parts.limit == pytest.approx(limit, rel=1e-13)
    assert limit == pytest.approx(info_nce(X, Y, temperature=t) - 2 * math.log(25), abs=1e-12)


def test_limit_of_many_pairs_equals_the_population_value():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    # aligned and uniform on the sphere in R^3: Phi = -2/t + 2 log(t sinh(1/t))
    expected = -2 / 0.5 + 2 * math.log(0.5 * math.sinh(2.0))
    assert info_nce_limit(X, X, temperature=0.5) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_info_nce_keeps_the_array_library(library):
    xp = pytest.importorskip(library)
    X, Y = pairs(20, 4)
    expected = info_nce(X, Y, temperature=0.2, gradient=True)
    got = info_nce(xp.asarray(X), xp.asarray(Y), temperature=0.2, gradient=True, block=6)
    assert got[0] == pytest.approx(expected[0], rel=1e-13)
    assert type(got[1]) is type(xp.asarray(X))
    np.testing.assert_allclose(np.asarray(got[2]), expected[2], atol=1e-13)
    single = [xp.asarray(Z, dtype=xp.float32) for Z in (X, Y)]
    got = info_nce(*single, temperature=0.2, gradient=True, block=6)
    assert got[0] == pytest.approx(expected[0], rel=1e-5)
    assert got[1].dtype == xp.float32
    if library == "torch":
        half = [Z.half() for Z in single]
        got = info_nce(*half, temperature=0.2, gradient=True)
        assert got[1].dtype == xp.float16
        np.testing.assert_allclose(np.asarray(got[1]), expected[1], atol=5e-3)
    cold = info_nce(xp.asarray(X), xp.asarray(Y), temperature=0.0005, block=6)
    assert cold == pytest.approx(info_nce(X, Y, temperature=0.0005), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": np.ones((3, 3))}, r"shapes \(3, 2\) and \(3, 3\)"),
        ({"Y": np.ones(3)}, r"same shape \(n, d\)"),
        ({"Y": np.full((3, 2), np.nan)}, "not finite"),
        ({"temperature": 0.0}, "temperature 0.0, expected a positive number"),
        ({"temperature": float("nan")}, "positive number"),
        ({"reduction": "average"}, "'sum' or 'mean'"),
        ({"block": 0}, "block=0"),
    ],
)
def test_info_nce_refuses_wrong_arguments(change, message):
    options = {"temperature": 0.5, "reduction": "sum", "block": 8} | change
    Y = options.pop("Y", np.ones((3, 2)))
    with pytest.raises(InputError, match=message):
        info_nce(np.ones((3, 2)), Y, **options)


@pytest.mark.parametrize("room", [0, 100, 500])
@pytest.mark.parametrize("t", [0.1, 0.002])
def test_gradient_does_not_depend_on_the_cache_of_tiles(monkeypatch, room, t):
    X, Y = pairs(25, 4, seed=3)
    expected = info_nce(X, Y, temperature=t, gradient=True)
    monkeypatch.setattr("isthmus.theory.infonce._CACHE_BYTES", room)
    got = info_nce(X, Y, temperature=t, gradient=True, block=6)
    assert got[0] == pytest.approx(expected[0], rel=1e-13)
    for one, other in zip(got[1:], expected[1:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12 * abs(other).max())


@pytest.mark.parametrize("t", [1.0, 0.07, 0.017, 0.01, 0.001])
def test_info_nce_in_single_precision_is_accurate_with_and_without_shift(t):
    X, Y = (Z.astype(np.float32) for Z in pairs(60, 12, seed=5))
    exact = info_nce(X.astype(np.float64), Y.astype(np.float64), temperature=t, gradient=True)
    got = info_nce(X, Y, temperature=t, gradient=True, block=16)
    assert got[0] == pytest.approx(exact[0], abs=1e-6 / t)
    for one, other in zip(got[1:], exact[1:], strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=2e-6 / t * abs(other).max())


def test_info_nce_memory_does_not_grow_with_the_square_of_n():
    X, Y = (Z.astype(np.float32) for Z in pairs(6000, 8))
    tracemalloc.start()
    info_nce(X, Y, temperature=0.2, gradient=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One matrix of all pairs would take 144 MB.
    assert peak < 48e6


def test_info_nce_takes_lists_and_any_number_as_temperature(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 10, 4))
    expected = info_nce(x, y, temperature=0.5)
    assert info_nce(x.tolist(), y.tolist(), temperature=np.float32(0.5)) == pytest.approx(expected, rel=1e-12)
