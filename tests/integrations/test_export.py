"""Corrections as ONNX graphs and as transforms of faiss, against `stored` and `query`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, integrations
from isthmus.align import (
    Centering,
    DifferenceWhitening,
    Procrustes,
    ScoreCalibration,
    ScoreStandardization,
    SharedSpaceProjection,
)

#: The maps are exported whatever they do to recall.
pytestmark = pytest.mark.filterwarnings("ignore:.* changes the R@1 of held-out pairs")
N, D = 200, 12


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    scales = 2 / np.arange(1, D + 1)
    latent = rng.normal(size=(N, D)) * scales
    image, text = (latent + 0.3 * scales * rng.normal(size=(N, D)) + 2 * np.eye(D)[axis] for axis in (0, 1))
    return image.astype("float32"), text.astype("float32")


CORRECTIONS: dict[str, Any] = {
    "centering": lambda: Centering(),
    "raw": lambda: Centering(normalize=False),
    "procrustes": lambda: Procrustes(),
    "whitening": lambda: DifferenceWhitening(),
    "projection": lambda: SharedSpaceProjection(),
    "standardization": lambda: ScoreStandardization(),
    "mapped": lambda: ScoreStandardization(row_map="Centering"),
}


@pytest.mark.parametrize("name", CORRECTIONS)
@pytest.mark.parametrize("role", ["query", "stored"])
def test_onnx_graph_gives_the_rows_of_the_role(
    name: str, role: str, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    correction = CORRECTIONS[name]().fit(image=pairs[0], text=pairs[1])
    integrations.to_onnx(correction, tmp_path / "a.onnx", modality="text", role=role)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    (got,) = session.run(None, {"rows": pairs[1]})
    expected = getattr(correction, role)(pairs[1], modality="text")
    np.testing.assert_allclose(got, expected, atol=1e-6 * max(1.0, float(np.abs(expected).max())))


def test_onnx_graph_of_512_dimensions_is_small(rng: np.random.Generator) -> None:
    pytest.importorskip("onnx")
    x, y = rng.normal(size=(2, 600, 512)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)  # few pairs for so many dimensions
        model = integrations.to_onnx(Procrustes().fit(x, y), modality="x")
    assert len(model.SerializeToString()) < 1.1 * 4 * 512 * 512


def test_query_graph_of_a_correction_with_a_bank_exists_and_its_stored_graph_is_refused(
    pairs: tuple[np.ndarray, np.ndarray],
) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    correction = ScoreCalibration(row_map="Centering").fit(image=pairs[0], text=pairs[1])
    model = integrations.to_onnx(correction, modality="text")
    (got,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": pairs[1]})
    np.testing.assert_allclose(got, correction.query(pairs[1], modality="text"), atol=1e-6)
    with pytest.raises(InputError, match="stored rows of ScoreCalibration depend on a bank and have no layers"):
        integrations.to_onnx(correction, modality="text", role="stored")
    with pytest.raises(InputError, match="role='index', expected 'stored' or 'query'"):
        integrations.to_onnx(correction, modality="text", role="index")


@pytest.mark.parametrize("name", [*CORRECTIONS, "calibration"])
def test_faiss_index_corrects_raw_queries(name: str, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    make = {**CORRECTIONS, "calibration": lambda: ScoreCalibration()}[name]
    images, texts = pairs
    correction = make().fit(image=images, text=texts)
    stored = np.ascontiguousarray(correction.stored(images, modality="image"), dtype="float32")
    index = faiss.IndexFlatIP(stored.shape[1])
    index.add(stored)
    if name == "projection" and len(getattr(correction.map_of("image"), "widths", (0,))) > 1:
        with pytest.raises(InputError, match="divides .* blocks"):
            integrations.to_faiss(correction, index, modality="text")
        return
    faiss.write_index(integrations.to_faiss(correction, index, modality="text"), str(tmp_path / "a.index"))
    scores, rows = faiss.read_index(str(tmp_path / "a.index")).search(texts, 10)
    products = correction.query(texts, modality="text") @ stored.T
    np.testing.assert_allclose(np.sort(scores)[:, ::-1], -np.sort(-products, axis=1)[:, :10], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(products, rows, axis=1), scores, rtol=1e-5, atol=1e-5)


def test_faiss_index_of_another_width_is_refused(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    faiss = pytest.importorskip("faiss")
    with pytest.raises(InputError, match=f"got an index of width 3, expected {D}"):
        integrations.to_faiss(Centering().fit(*pairs), faiss.IndexFlatIP(3), modality="x")


def test_auto_is_exported_as_what_it_chose(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        auto = isthmus.align.Auto().fit(image=pairs[0], text=pairs[1])
    model = integrations.to_onnx(auto, modality="text")
    (got,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": pairs[1]})
    np.testing.assert_allclose(got, auto.query(pairs[1], modality="text"), atol=1e-6)
