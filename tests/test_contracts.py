"""What every measure and every aligner promises, checked for all of them from the registries."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Moments, Pairs
from isthmus.align import Aligner
from isthmus.compute.arrays import to_numpy
from isthmus.metrics import Metric

#: Measures that need labels have the same tests beside their own (tests/metrics/test_hubness.py).
METRICS = {name: m for name, m in isthmus.metrics.registry().items() if m.requires != "labels"}
CONTROLS = {
    "pair shuffle",
    "modality swap",
    "random subspace",
    "random direction",
    "isotropic cloud",
    "zero mean",
    "random retrieval",
}
ALIGNERS = isthmus.align.registry()


def values(pairs: Pairs, name: str) -> dict[str, isthmus.Estimate]:
    return dict(isthmus.measure(pairs, metrics=[name]))


def rotation(d: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(5).normal(size=(d, d)))[0]


def assert_same(a: dict[str, isthmus.Estimate], b: dict[str, isthmus.Estimate], tolerance: float) -> None:
    assert len(a) == len(b)
    for (name, one), other in zip(a.items(), b.values(), strict=True):
        for part in ("value", "low", "high", "null"):
            u, v = getattr(one, part), getattr(other, part)
            assert u == pytest.approx(v, abs=tolerance, rel=tolerance, nan_ok=True), (name, part)


@pytest.fixture
def pairs(cones: Any) -> Pairs:
    return Pairs(image=cones[0], text=cones[1])


metric_names = pytest.mark.parametrize("name", METRICS)


@metric_names
def test_metric_declares_itself(name: str) -> None:
    m: Metric = METRICS[name]
    assert m.direction in ("lower", "higher", "neither")
    assert m.requires in ("moments", "rows")
    assert set(m.invariances) <= {"rotation", "row scale", "swap"}
    assert m.unit
    assert m.family in isthmus.metrics.FAMILIES[:-1]
    assert m.source
    assert len(m.definition) > 30
    assert m.definition.endswith((".", ")"))
    assert m.range[0] < m.range[1]
    assert m.interval in ("jackknife", "normal", "wilson", "subsampling") or m.interval.startswith("none: "), name
    assert m.null_model.startswith("none: ") or m.null_model in CONTROLS, name


@metric_names
def test_metric_carries_the_evidence_it_declares(name: str, pairs: Pairs) -> None:
    for estimate in values(pairs, name).values():
        if estimate.undefined:
            continue
        without = METRICS[name].interval.startswith("none: ") or "no interval" in estimate.note
        assert math.isnan(estimate.low) == math.isnan(estimate.high) == without
        assert math.isnan(estimate.null) == METRICS[name].null_model.startswith("none: ")
        # An interval beside the value is that of the value without its bias, and a note says so.
        assert without or estimate.low <= estimate.value <= estimate.high or "without its bias" in estimate.note


@metric_names
def test_metric_known_answer(name: str) -> None:
    x, y, expected = METRICS[name].reference_case()
    for estimate in values(Pairs(image=x, text=y), name).values():
        assert estimate.value == pytest.approx(expected, abs=2e-6), estimate.undefined


@metric_names
def test_metric_stays_in_its_range(name: str, pairs: Pairs) -> None:
    low, high = METRICS[name].range
    for estimate in values(pairs, name).values():
        assert estimate.undefined or low <= estimate.value <= high
        assert estimate.unit == METRICS[name].unit
        if not math.isnan(estimate.low):
            assert low <= estimate.low <= estimate.high <= high


@metric_names
def test_metric_invariances(name: str, pairs: Pairs, cones: Any) -> None:
    x, y = cones
    q = rotation(x.shape[1])
    scale = np.random.default_rng(6).uniform(0.1, 10, size=(len(x), 1))
    base, declared = values(pairs, name), METRICS[name].invariances
    changed = {
        "rotation": Pairs(image=x @ q, text=y @ q),
        "row scale": Pairs(image=x * scale, text=y / scale),
        "swap": Pairs(image=y, text=x),
    }
    for kind in declared:
        assert_same(base, values(changed[kind], name), 1e-8)


@metric_names
def test_metric_does_not_depend_on_the_order_of_pairs(name: str, pairs: Pairs, cones: Any) -> None:
    order = np.random.default_rng(7).permutation(len(cones[0]))
    assert_same(values(pairs, name), values(Pairs(image=cones[0][order], text=cones[1][order]), name), 1e-9)


@metric_names
def test_metric_on_every_array_library(name: str, pairs: Pairs, cones: Any, to_xp: Callable[..., Any]) -> None:
    other = Pairs(image=to_xp(cones[0]), text=to_xp(cones[1]))
    assert_same(values(pairs, name), values(other, name), 1e-9)


@metric_names
def test_metric_streamed_or_whole(name: str, pairs: Pairs, cones: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 7 rows, and for what moments suffice for a sum of moments of parts."""
    whole = values(pairs, name)
    monkeypatch.setattr("isthmus.data.pairs.block_rows", lambda dim: 7)
    monkeypatch.setattr("isthmus.metrics._neighbours.BLOCK_SCORES", 7 * 240)
    monkeypatch.setattr("isthmus.metrics._pairwise_sums.BLOCK_SCORES", 7 * 120)
    assert_same(whole, values(Pairs(image=cones[0], text=cones[1]), name), 1e-9)
    if METRICS[name].requires == "moments":
        parts = [Moments.of(cones[0][i : i + 50], cones[1][i : i + 50]) for i in range(0, 120, 50)]
        merged = isthmus.measure(parts[0] + parts[1] + parts[2], metrics=[name])
        for one, two in zip(whole.values(), merged.values(), strict=True):
            assert one.value == pytest.approx(two.value, abs=1e-9, nan_ok=True)


@metric_names
def test_metric_on_float32(name: str, pairs: Pairs, cones: Any) -> None:
    narrow = Pairs(image=cones[0].astype(np.float32), text=cones[1].astype(np.float32))
    assert_same(values(pairs, name), values(narrow, name), 1e-4)


aligner_names = pytest.mark.parametrize("name", ALIGNERS)


def fitted(name: str, x: Any, y: Any) -> Aligner:
    return ALIGNERS[name]().fit(x, y)


@pytest.fixture
def shared(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs on which every aligner has a solution: ten shared directions of forty, cones apart, some noise."""
    n, d, k = 400, 40, 10
    u = rng.normal(size=(n, k))
    x, y = 0.01 * rng.normal(size=(2, n, d))
    x[:, :k] += u
    y[:, :k] += u + 0.3 * rng.normal(size=(n, k))
    x[:, k] += 2.0
    y[:, k + 1] += 2.0
    return x, y


@aligner_names
def test_aligner_stream_is_whole(name: str, shared: Any) -> None:
    x, y = shared
    if not ALIGNERS[name].supports_partial_fit:
        with pytest.warns(isthmus.IsthmusWarning, match="moments hold no rows"):
            ALIGNERS[name]().partial_fit(x, y)
        return
    whole, stream = fitted(name, x, y), ALIGNERS[name]()
    for start in range(0, len(x), 150):
        stream.partial_fit(x[start : start + 150], y[start : start + 150])
    for a, b in zip(whole.transform(x, y), stream.transform(x, y), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


@aligner_names
def test_aligner_round_trip_is_exact(name: str, shared: Any, tmp_path: Path) -> None:
    x, y = shared
    aligner = fitted(name, x, y)
    aligner.save(tmp_path / "a.safetensors")
    back = isthmus.load(tmp_path / "a.safetensors")
    assert type(back) is type(aligner)
    assert back.get_params() == aligner.get_params()
    for a, b in zip(aligner.transform(x, y), back.transform(x, y), strict=True):
        np.testing.assert_array_equal(a, b)


@aligner_names
def test_aligner_row_is_row_of_the_batch(name: str, shared: Any) -> None:
    x, y = shared
    aligner = fitted(name, x, y)
    x2, y2 = aligner.transform(x, y)
    np.testing.assert_allclose(aligner.transform_x(x[7]), x2[7], atol=1e-12)
    np.testing.assert_allclose(aligner.transform_y(y[7:8]), y2[7:8], atol=1e-12)
    if aligner.normalizes_output:
        np.testing.assert_allclose(np.linalg.norm(x2, axis=1), 1, atol=1e-12)


@aligner_names
def test_aligner_keeps_the_array_library(name: str, shared: Any, to_xp: Callable[..., Any]) -> None:
    x, y = shared
    plain = fitted(name, x, y)
    other = fitted(name, to_xp(x), to_xp(y))
    for a, b in zip(plain.transform(x, y), other.transform(to_xp(x), to_xp(y)), strict=True):
        assert type(b) is type(to_xp(x))
        np.testing.assert_allclose(a, to_numpy(b), atol=1e-8)


@aligner_names
def test_aligner_dtypes(name: str, shared: Any) -> None:
    x, y = shared
    aligner = fitted(name, x, y)
    reference = aligner.transform_x(x)
    for dtype, result, tolerance in (("f2", "f4", 0.02), ("f4", "f4", 1e-4), (">f8", "f8", 1e-12)):
        got = aligner.transform_x(x.astype(dtype))
        assert got.dtype == np.dtype(result)
        np.testing.assert_allclose(got, reference, atol=tolerance)


@aligner_names
def test_aligner_refuses_what_does_not_fit(name: str, shared: Any) -> None:
    x, y = shared
    with pytest.raises(InputError, match="is not fitted; call fit"):
        ALIGNERS[name]().transform_x(x)
    aligner = fitted(name, x, y)
    with pytest.raises(InputError, match=r"rows of shape \(400, 39\) came to the first side .* fitted on width 40"):
        aligner.transform_x(x[:, 1:])
    bad = y.copy()
    bad[5, 0] = np.nan
    with pytest.raises(InputError, match="row 5 .* NaN"):
        aligner.transform_y(bad)
    with pytest.raises(InputError, match="unknown option of .* 'enrgy'"):
        aligner.set_params(enrgy=1)


@aligner_names
def test_aligner_is_a_scikit_learn_estimator(name: str) -> None:
    from sklearn.base import clone

    assert clone(ALIGNERS[name](normalize=False)).get_params()["normalize"] is False


@aligner_names
def test_aligner_needs_no_pairs_if_it_says_so(name: str, shared: Any) -> None:
    x, y = shared
    if ALIGNERS[name].requires_pairing:
        return
    shuffled = y[np.random.default_rng(0).permutation(len(y))]
    a, b = fitted(name, x, y), fitted(name, x, shuffled)
    np.testing.assert_allclose(a.transform_x(x), b.transform_x(x), atol=1e-8)


@aligner_names
def test_aligner_of_unpaired_rows(name: str, shared: Any) -> None:
    """Other rows on each side, whole or in a stream: what needs no pairs comes out, what needs them is refused."""
    x, y = shared[0], shared[1][:333]
    if ALIGNERS[name].requires_pairing:
        with pytest.raises(InputError, match=f"{name} needs pairs and cannot be fitted to unpaired rows"):
            ALIGNERS[name]().fit(x, y, paired=False)
        return
    whole, stream = ALIGNERS[name]().fit(x, y, paired=False), ALIGNERS[name]()
    stream.partial_fit(x[:150], None, paired=False)
    stream.partial_fit(x[150:], y[:50], paired=False)
    stream.partial_fit(None, y[50:], paired=False)
    for a, b in zip(whole.transform(x, y), stream.transform(x, y), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
    assert (whole.statistics_.n_x, whole.statistics_.n_y) == (400, 333)
    # As many rows on both sides, in any order: the fit to pairs.
    unpaired = ALIGNERS[name]().fit(x, shared[1][::-1], paired=False)
    np.testing.assert_allclose(unpaired.transform_x(x), fitted(name, x, shared[1]).transform_x(x), atol=1e-8)
    with pytest.raises(InputError, match="pairs came to an aligner of unpaired rows"):
        stream.partial_fit(x, shared[1])
    with pytest.raises(InputError, match="unpaired rows came to an aligner of pairs"):
        fitted(name, x, shared[1]).partial_fit(x, None, paired=False)
    with pytest.raises(InputError, match="fit needs rows of both sides"):
        ALIGNERS[name]().fit(x, paired=False)
    with pytest.raises(InputError, match="is not fitted"):
        ALIGNERS[name]().partial_fit(x, None, paired=False).transform_x(x)


@aligner_names
def test_aligner_of_one_width_refuses_another(name: str, shared: Any, tmp_path: Path) -> None:
    """Widths in the file: rows of another width and pairs of other modalities are refused after loading."""
    x, y = shared
    ALIGNERS[name]().fit(Pairs(image=x, text=y)).save(tmp_path / "a.safetensors")
    back = isthmus.load(tmp_path / "a.safetensors")
    for rows, transform in ((x, back.transform_x), (y, back.transform_y)):
        with pytest.raises(InputError, match=r"rows of shape \(400, 41\) came to the .* fitted on width 40"):
            transform(np.hstack([rows, rows[:, :1]]))
    with pytest.raises(InputError, match=f"pairs of audio and text came to a {name} fitted on image and text"):
        back.transform(Pairs(audio=x, text=y))
    if ALIGNERS[name].allows_different_dims:
        both = ALIGNERS[name]().fit(x, y[:, :35]).transform(x, y[:, :35])
        assert both[0].shape == both[1].shape
    else:
        with pytest.raises(InputError, match="has width 40 and .* has width 35"):
            ALIGNERS[name]().fit(x, y[:, :35])


@pytest.mark.parametrize("name", ["MeanRotation", "HyperplaneRotation", "Procrustes"])
@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_rotations_are_orthogonal(name: str, shared: Any, rng: np.random.Generator) -> None:
    """To 1e-12, also for means and subspaces that are nearly equal or nearly opposite."""
    x, y = shared
    sides = [(x, y), (x, x + 1e-9 * y), (x, -x + 1e-7 * y), tuple(rng.normal(size=(2, 300, 200)) + 0.1)]
    for a, b in sides:
        turn = ALIGNERS[name]().fit(a, b).matrix_x
        np.testing.assert_allclose(turn @ turn.T, np.eye(len(turn)), atol=1e-12)


@aligner_names
def test_aligner_documents_itself(name: str) -> None:
    cls = ALIGNERS[name]
    assert cls.__doc__ is not None
    assert ">>>" in cls.__doc__
    assert cls.source or name == "Identity"
    assert dataclasses.is_dataclass(cls)


def test_moments_with_another_normalisation_are_refused(shared: Any) -> None:
    with pytest.raises(InputError, match="normalize=False cannot fit an aligner with normalize=True"):
        ALIGNERS["Centering"]().fit_moments(Moments.of(*shared, normalize=False))
