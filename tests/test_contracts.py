"""What every measure and every aligner promises, checked for all of them from the registries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Moments, Pairs
from isthmus.align import Aligner
from isthmus.compute.arrays import to_numpy
from isthmus.testing import METRIC_CHECKS, check_metric

ALIGNERS = isthmus.align.registry()


@pytest.mark.parametrize("check", METRIC_CHECKS)
@pytest.mark.parametrize("name", isthmus.metrics.registry())
def test_metric_keeps_its_contract(name: str, check: str) -> None:
    check_metric(name, checks=[check])


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
    with pytest.raises(InputError, match=r"got rows of shape \(400, 39\) for x, expected \(n, 40\)"):
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
    with pytest.raises(InputError, match="was fitted to unpaired rows and cannot add pairs"):
        stream.partial_fit(x, shared[1])
    with pytest.raises(InputError, match="was fitted to pairs and cannot add unpaired rows"):
        fitted(name, x, shared[1]).partial_fit(x, None, paired=False)
    with pytest.raises(InputError, match="fit got rows of one modality, expected both"):
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
        with pytest.raises(InputError, match=r"got rows of shape \(400, 41\) for \w+, expected \(n, 40\)"):
            transform(np.hstack([rows, rows[:, :1]]))
    with pytest.raises(InputError, match="got pairs of audio and text, expected image and text"):
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
    with pytest.raises(InputError, match="got moments with normalize=False, expected normalize=True"):
        ALIGNERS["Centering"]().fit_moments(Moments.of(*shared, normalize=False))
