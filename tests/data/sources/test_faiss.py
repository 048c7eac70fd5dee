"""Indexes of faiss against the library itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.align.streaming import apply
from isthmus.data.sources import open_source
from isthmus.testing import check_format

faiss = pytest.importorskip("faiss")

N, D = 60, 8
IDS = np.arange(N)[::-1] + 100


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(N, D)).astype("float32") + 1


def write(path: Path, index: object, rows: np.ndarray, ids: np.ndarray | None = None) -> Path:
    index.train(rows)
    index.add(rows) if ids is None else index.add_with_ids(rows, ids)
    faiss.write_index(index, str(path))
    return path


@pytest.mark.parametrize("with_ids", [False, True])
def test_indexes_of_the_library_keep_the_contract_of_a_format(tmp_path: Path, with_ids: bool) -> None:
    def write_index(folder: Path, rows: np.ndarray) -> Path:
        flat = faiss.IndexFlatIP(rows.shape[1])
        index = faiss.IndexIDMap2(flat) if with_ids else flat
        return write(folder / "a.index", index, rows, np.arange(len(rows)) * 7 if with_ids else None)

    check_format(isthmus.sources.formats["faiss"], tmp_path, write=write_index, key="id" if with_ids else None)


@pytest.mark.parametrize("kind", ["QT_8bit", "QT_fp16"])
@pytest.mark.parametrize("with_ids", [False, True])
def test_scalar_quantised_index_gives_the_rows_of_the_library(
    tmp_path: Path, rows: np.ndarray, kind: str, with_ids: bool
) -> None:
    quantised = faiss.IndexScalarQuantizer(D, getattr(faiss.ScalarQuantizer, kind))
    index = faiss.IndexIDMap(quantised) if with_ids else quantised
    path = write(tmp_path / "a.faiss", index, rows, IDS if with_ids else None)
    source = open_source(path)
    np.testing.assert_array_equal(source.read(10, 30), quantised.reconstruct_n(10, 20))
    np.testing.assert_array_equal(source.take(np.array([5, 3])), quantised.reconstruct_n(0, N)[[5, 3]])
    if with_ids:
        np.testing.assert_array_equal(source.keys("id"), IDS)


@pytest.mark.parametrize("description", ["PQ4x4", "HNSW8,Flat", "IVF2,Flat"])
def test_index_without_its_rows_is_refused_by_its_kind(tmp_path: Path, rows: np.ndarray, description: str) -> None:
    index = faiss.index_factory(D, description)
    path = write(tmp_path / "a.index", index, rows)
    with pytest.raises(InputError, match=f"is an {type(index).__name__}, which does not give its rows back"):
        open_source(path)


@pytest.mark.parametrize("with_ids", [False, True])
def test_apply_writes_an_index_that_the_library_searches(tmp_path: Path, rows: np.ndarray, with_ids: bool) -> None:
    flat = faiss.IndexFlatIP(D)
    index = faiss.IndexIDMap2(flat) if with_ids else flat
    path = write(tmp_path / "image.index", index, rows, IDS if with_ids else None)
    calibration = isthmus.align.ScoreCalibration().fit(image=rows, text=rows[::-1] + 1)
    output = tmp_path / "aligned.bin"
    source = open_source(f"faiss:{path}")
    isthmus.align.streaming.apply(calibration, source, f"faiss:{output}", modality="image", role="stored")
    aligned = faiss.read_index(str(output))
    stored = calibration.stored(rows, modality="image")
    np.testing.assert_allclose(
        faiss.rev_swig_ptr(stored_flat(aligned).get_xb(), stored.size), stored.ravel(), atol=1e-6
    )
    query = np.ascontiguousarray(calibration.query(rows[:9], modality="text"), dtype="float32")
    _, nearest = aligned.search(query, 1)
    expected = (query @ stored.T).argmax(axis=1)
    np.testing.assert_array_equal(nearest[:, 0], IDS[expected] if with_ids else expected)
    assert isthmus.sources.modality_name(f"faiss:{path}") == "image"


def stored_flat(index: object) -> object:
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index


def test_keys_of_an_index_without_ids_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    source = open_source(write(tmp_path / "a.index", faiss.IndexFlatL2(D), rows))
    with pytest.raises(InputError, match="holds no ids"):
        source.keys("id")


def test_file_of_ids_selects_rows_and_aligned_rows_keep_the_ids(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    rows, ids = rng.normal(size=(50, 6)).astype("float32"), rng.permutation(50) + 7
    for name, index in (("ids", faiss.IndexIDMap(faiss.IndexFlatIP(6))), ("numbers", faiss.IndexFlatIP(6))):
        index.add_with_ids(rows, ids) if name == "ids" else index.add(rows)
        faiss.write_index(index, str(tmp_path / f"{name}.index"))
    np.save(tmp_path / "chosen.npy", np.sort(ids)[[30, 3, 3, 12]])
    source = open_source(f"{tmp_path}/ids.index::{tmp_path}/chosen.npy")
    chosen = np.sort(ids)[[3, 12, 30]]
    positions = [int(np.flatnonzero(ids == number)[0]) for number in chosen]
    np.testing.assert_array_equal(source.keys("id"), chosen)
    np.testing.assert_array_equal(source.read(0, 3), rows[positions])
    np.testing.assert_array_equal(
        open_source(f"{tmp_path}/numbers.index::{tmp_path}/chosen.npy").read(0, 3), rows[chosen]
    )
    aligner = isthmus.align.Centering().fit(rows, rows[::-1])
    apply(aligner, source, tmp_path / "new.index", modality="x")
    np.testing.assert_array_equal(open_source(tmp_path / "new.index").keys("id"), chosen)
    np.save(tmp_path / "chosen.npy", np.array([99]))
    with pytest.raises(InputError, match="1 of its ids, such as 99, are not in"):
        open_source(f"{tmp_path}/ids.index::{tmp_path}/chosen.npy")
