"""Intervals and nulls of the decomposition: derivatives by finite differences, coverage of simulated truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import isthmus
from isthmus import Moments, Pairs
from isthmus.compute.arrays import unit_rows
from isthmus.diagnosis.cosine_decomposition import decomposition_values
from isthmus.diagnosis.decomposition_intervals import decompose_pairs, influence, item_influence, swap_null
from isthmus.diagnosis.half_samples import NAMES
from isthmus.diagnosis.printing import explanation_lines
from isthmus.linalg import fidelity
from isthmus.statistics.moments import moments_of


def clouds(kind: str, n: int, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with simple spectra: cones apart, or one cloud of means zero, or one side turned."""
    scales = np.arange(1, d + 1) ** -0.7
    u = rng.normal(size=(n, d)) * scales
    x, y = u + 0.5 * rng.normal(size=(2, n, d)) * scales
    if kind == "turned":
        y = y @ np.linalg.qr(np.eye(d) + 0.3 * np.random.default_rng(1).normal(size=(d, d)))[0]
    if kind != "zero":
        x, y = x + np.eye(d)[0], y + np.eye(d)[1]
    return unit_rows(x), unit_rows(y)


def mixed(m: Moments, x: np.ndarray, y: np.ndarray, weight: float) -> Moments:
    """The moments in which the pair (x, y) has this weight and all others share the rest."""
    n, keep = m.n, 1 - weight
    return dataclasses.replace(
        m,
        sum_x=keep * m.sum_x + n * weight * x, sum_y=keep * m.sum_y + n * weight * y,
        xx=keep * m.xx + n * weight * np.outer(x, x), yy=keep * m.yy + n * weight * np.outer(y, y),
        xy=keep * m.xy + n * weight * np.outer(x, y),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["apart", "turned"])
def test_influence_equals_the_derivative(kind: str, rng: np.random.Generator) -> None:
    x, y = clouds(kind, 60, 5, rng)
    m = Moments.of(x, y)
    scores, step = influence(m, x, y), 1e-6
    np.testing.assert_allclose(scores.sum(axis=0), 0, atol=1e-10)
    for i in range(6):
        ahead, back = (decomposition_values(mixed(m, x[i], y[i], w)) for w in (step, -step))
        slopes = [(getattr(ahead, name) - getattr(back, name)) / (2 * step) for name in NAMES]
        np.testing.assert_allclose(scores[i], slopes, atol=2e-5)


def test_pairing_equals_the_fidelity_minus_the_covariance(cones: tuple[np.ndarray, np.ndarray]) -> None:
    m = Moments.of(*cones)
    parts = decomposition_values(m)
    assert parts.pairing == pytest.approx(fidelity(m.cov_x, m.cov_y) - np.trace(m.cov_xy), abs=1e-12)


def flat_export(kind: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of n groups with nearly equal eigenvalues, whose texts stand beside 1 to 5 images, or beside one."""
    scales, noise_x, noise_y = np.linspace([1.4, 0.9, 0.2], [0.4, 0.3, 1.0], 8).T
    group = np.repeat(np.arange(n), rng.integers(1, 6, n)) if kind == "repeated" else np.arange(n)
    latent = rng.normal(size=(n, 8)) * scales
    y = (latent + noise_y * rng.normal(size=(n, 8)))[group]
    x = latent[group] + noise_x * rng.normal(size=(len(group), 8))
    numbers = np.arange(1, 9)
    return unit_rows(x + 1.1 * np.cos(numbers) + 0.8), unit_rows(y + 1.1 * np.sin(numbers) + 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n", "d"),
    [
        ("apart", 200, 8),
        ("zero", 200, 8),
        ("turned", 200, 8),
        ("turned", 60, 12),
        ("plain", 200, 8),
        ("repeated", 200, 8),
    ],
)
def test_intervals_cover(kind: str, n: int, d: int) -> None:
    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return flat_export(kind, n, rng) if kind in ("plain", "repeated") else clouds(kind, n, d, rng)

    rng = np.random.default_rng(4)
    truth = decomposition_values(Moments.of(*draw(200_000, rng)))
    sets = 150
    covered = np.zeros(len(NAMES))
    for _ in range(sets):
        x, y = draw(n, rng)
        budget = decompose_pairs(isthmus.open_pairs(x, y) if kind == "repeated" else Pairs(image=x, text=y))
        for k, e in enumerate([*budget.values(), budget.captured_fraction]):
            # Components that are zero have a plug-in of 1e-5 in the long run.
            covered[k] += e.low <= getattr(truth, NAMES[k]) + 5e-5 and getattr(truth, NAMES[k]) <= e.high
            assert e.low <= e.value <= e.high
    shares = dict(zip(NAMES, covered / sets, strict=True))
    # Long simulations give .92 to 1, with a standard error of .02 for 150 data sets.
    assert min(shares.values()) >= 0.86, shares


def test_values_without_bias_add_up_within_their_intervals(rng: np.random.Generator) -> None:
    x = rng.normal(size=(90, 8))
    for y in (rng.permutation(x), x + rng.normal(size=x.shape), rng.normal(size=x.shape) + 1):
        budget = decompose_pairs(Pairs(image=unit_rows(x), text=unit_rows(y)))
        assert sum(e.value for e in budget.values()) == pytest.approx(budget.total.value, abs=1e-12)
        assert all(e.low <= e.value <= e.high for e in budget.values())


def test_intervals_of_repeated_matches_do_not_shrink(rng: np.random.Generator) -> None:
    x, y = clouds("turned", 150, 6, rng)
    once = decompose_pairs(Pairs(image=x, text=y))
    twice = decompose_pairs(Pairs(image=x, text=np.repeat(y, 2, axis=0), index=np.repeat(np.arange(150), 2)))
    for name in once:
        for end in ("value", "low", "high"):
            assert getattr(twice[name], end) == pytest.approx(getattr(once[name], end), abs=1e-9)


def test_item_influence_adds_that_of_its_pairs(rng: np.random.Generator) -> None:
    x, y = clouds("turned", 40, 4, rng)
    index = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 5, 5, 5, 5, 5])
    pairs = Pairs(image=x[:10], text=y, index=index)
    m = moments_of(pairs)
    by_pair = influence(m, x[index], y)
    slow = np.array([by_pair[index == g].sum(axis=0) for g in range(10)]) * 10 / 40
    np.testing.assert_allclose(item_influence(pairs, m), slow, atol=1e-12)


def test_intervals_of_a_sample_scale_to_all_items(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds("turned", 4000, 4, rng)
    whole = decompose_pairs(Pairs(image=x, text=y))
    monkeypatch.setattr("isthmus.diagnosis.decomposition_intervals.MAX_ITEMS", 1000)
    part = decompose_pairs(Pairs(image=x, text=y))
    for name in whole:
        assert part[name].plugin == whole[name].plugin
        assert part[name].high - part[name].low == pytest.approx(whole[name].high - whole[name].low, rel=0.15)


def test_decompose_pairs_with_sample_states_it_with_standard_errors(rng: np.random.Generator) -> None:
    x, y = clouds("turned", 500, 4, rng)
    pairs = Pairs(image=x, text=y)
    explanation = isthmus.explain(pairs, sample=200)
    content = explanation.to_dict()["budget"]
    for component in [*content["parts"].values(), content["reached"]]:
        assert component["sampled"] == 200
        assert component["standard_error"] == pytest.approx((component["high"] - component["low"]) / 2 / 1.959964)
    assert content["rotated"]["sampled"] == 200
    assert "sampled" not in content["total"]
    assert "are those of a random sample of 200 of 500 items (--sample), scaled to all items" in content["notes"][0]
    assert any(content["notes"][0] in line for line in explanation_lines(explanation))
    assert "no intervals" not in " ".join(explanation.verdict)
    budget = decompose_pairs(pairs)
    assert (budget.notes, budget["centre"].sampled) == ((), 0)


def test_few_items_have_a_note_and_no_intervals(rng: np.random.Generator) -> None:
    x, y = clouds("turned", 39, 8, rng)
    budget = decompose_pairs(Pairs(image=x, text=y))
    assert all(np.isnan(part.low) for part in [*budget.values(), budget.captured_fraction])
    assert budget.total.low < budget.total.value < budget.total.high
    assert "39 items in 8 dimensions" in budget.notes[0]
    assert "about 40 are needed" in budget.notes[0]


def test_pairing_null_equals_shuffled_pairings(rng: np.random.Generator) -> None:
    x, y = clouds("turned", 300, 6, rng)
    budget = decompose_pairs(Pairs(image=x, text=y))
    shuffles = [decomposition_values(Moments.of(x, y[rng.permutation(300)])) for _ in range(400)]
    assert np.mean([s.pairing for s in shuffles]) == pytest.approx(budget["pairing"].null, abs=0.01)
    assert np.mean([s.captured_fraction for s in shuffles]) == pytest.approx(0, abs=0.01)
    assert np.mean([s.captured_fraction < budget.shuffled_95th_percentile for s in shuffles]) == pytest.approx(
        0.95, abs=0.03
    )


def test_swap_null_of_blocks_is_that_of_all_rows(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng.normal(size=(2, 70, 5)) + np.eye(5)[:2, None]
    pairs = Pairs(x=x, y=y)
    moments = moments_of(pairs, normalize=True).numpy()
    whole = swap_null(pairs, moments)
    monkeypatch.setattr("isthmus.diagnosis.decomposition_intervals.BLOCK_ROWS", 16)
    assert swap_null(pairs, moments) == pytest.approx(whole, rel=1e-9)


def test_swap_null_equals_two_clouds_of_one_shape(rng: np.random.Generator) -> None:
    scales = np.arange(1, 9) ** -0.7
    values, nulls = [], []
    for _ in range(100):
        x, y = (unit_rows(rng.normal(size=(80, 8)) * scales + np.eye(8)[0]) for _ in range(2))
        m = Moments.of(x, y)
        values.append([getattr(decomposition_values(m), name) for name in ("spectrum", "centre", "orientation")])
        swapped = swap_null(Pairs(image=x, text=y), m)
        nulls.append([swapped[name] for name in ("spectrum", "centre", "orientation")])
    np.testing.assert_allclose(np.mean(nulls, axis=0), np.mean(values, axis=0), rtol=0.15)


@pytest.mark.parametrize(
    ("folder", "files", "parts"),
    [
        ("clip_coco", "image text", [0.0008, 0.3623, 0.1891, 0.1379, 0.6901, 0.518]),
        ("videoclip_msrvtt", "video text", [0.0204, 0.5613, 0.2397, 0.0870, 0.9085, 0.427]),
        ("clasp_uniprot", "protein text", [0.0123, 0.5439, 0.2480, 0.0762, 0.8804, 0.070]),
        ("clip_coco_random_init", "image text", [0.1328, 0.6453, 0.1456, 0.0478, 0.9715, 0.015]),
    ],
)
def test_decomposition_of_real_embeddings_has_its_golden_values(
    real, folder: str, files: str, parts: list[float]
) -> None:  # type: ignore[no-untyped-def]
    x, y = files.split()
    budget = isthmus.explain(isthmus.open_pairs(real(f"{folder}/{x}.npy"), real(f"{folder}/{y}.npy"))).budget
    values = [*(part.value for part in budget.values()), budget.total.value, budget.captured_fraction.value]
    np.testing.assert_allclose(values, parts, atol=1e-3)
    assert budget.notes  # fewer items than dimensions


def test_captured_fraction_without_spread_is_undefined() -> None:
    x, y = np.tile([1.0, 0.0, 0.0], (30, 1)), np.tile([0.0, 1.0, 0.0], (30, 1))
    budget = decompose_pairs(Pairs(image=x, text=y))
    assert [part.value for part in budget.values()] == pytest.approx([0, 1, 0, 0], abs=1e-12)
    assert budget.captured_fraction.undefined
    assert np.isnan(budget.shuffled_95th_percentile)


@pytest.mark.parametrize("captions", [1, 3])
def test_components_do_not_depend_on_the_order_of_the_rows(captions: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(240, 6)) + np.eye(6)[0]
    y = np.repeat(x, captions, axis=0) + rng.normal(size=(240 * captions, 6)) - 0.5
    order, order_of_y = rng.permutation(240), rng.permutation(240 * captions)
    index = np.repeat(np.arange(240), captions)
    budget = decompose_pairs(Pairs(image=x, text=y, index=index))
    permuted = decompose_pairs(Pairs(image=x[order], text=y[order_of_y], index=np.argsort(order)[index[order_of_y]]))
    for name in budget:
        for end in ("value", "low", "high"):
            assert getattr(permuted[name], end) == pytest.approx(getattr(budget[name], end), abs=1e-9)


@pytest.mark.parametrize("constant", ["x", "y"])
def test_pairing_and_orientation_of_a_constant_modality_are_zero(constant: str, rng: np.random.Generator) -> None:
    rows = {name: rng.normal(size=(300, 8)) + 0.5 for name in ("x", "y")}
    rows[constant] = np.tile(rows[constant][0], (300, 1))
    budget = decompose_pairs(Pairs(**rows))
    assert (budget["pairing"].value, budget["pairing"].low, budget["pairing"].high) == (0, 0, 0)
    assert budget["orientation"].value == 0
    assert sum(component.value for component in budget.values()) == pytest.approx(budget.total.value, abs=1e-12)
