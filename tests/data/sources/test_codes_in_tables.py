"""Columns of int8 and uint8 codes in Parquet and Arrow, files of ann-benchmarks, and stacks as the only argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, align
from isthmus.cli import app
from isthmus.diagnosis import calibrate
from isthmus.evaluation import intervene

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
SCALE, OFFSET = 0.01, 0.2


def table_of(codes: np.ndarray, layout: str) -> Any:
    number = pa.from_numpy_dtype(codes.dtype)
    if layout == "wide":
        return pa.table({"id": range(len(codes))} | {f"d{j}": codes[:, j] for j in range(codes.shape[1])})
    if layout == "nested":
        return pa.table(
            {"id": range(len(codes)), "rows": pa.array(codes[:, None].tolist(), pa.list_(pa.list_(number)))}
        )
    kind = pa.list_(number) if layout == "lists" else pa.list_(number, codes.shape[1])
    return pa.table({"id": range(len(codes)), "rows": pa.array(codes.tolist(), kind)})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("layout", ["lists", "fixed lists", "nested", "wide", "arrow", "column"])
def test_codes_of_a_table_are_decoded_with_their_scale_only(
    layout: str, dtype: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    codes = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, size=(40, 6)).astype(dtype)
    table, path = table_of(codes, layout), str(tmp_path / "rows.parquet")
    rows: Any = path
    if layout == "arrow":
        rows = path = str(tmp_path / "rows.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    elif layout == "column":
        rows = table["rows"]
    else:
        pq.write_table(table, path)
    floats = rng.normal(size=(40, 6))
    options = {"names": ("image", "text"), "scale": (SCALE, None), "offset": (OFFSET, None)}
    decoded = isthmus.open_pairs(rows, floats, **options)
    np.testing.assert_allclose(decoded.x.read(0, 40), codes * SCALE + OFFSET, rtol=1e-6)
    with pytest.raises(InputError, match=f"has dtype {dtype}: codes, which are no embeddings without their scale"):
        isthmus.open_pairs(rows, floats, names=("image", "text"))


def test_file_of_ann_benchmarks_names_the_command_for_its_index_and_queries(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "laion.hdf5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["train"], file["test"] = rng.normal(size=(60, 8)), rng.normal(size=(20, 8))
        file["neighbors"], file["distances"] = np.zeros((20, 10), dtype=int), np.zeros((20, 10))
    message = "is a file of ann-benchmarks.*laion.hdf5::train .*laion.hdf5::test --unpaired"
    with pytest.raises(InputError, match=message):
        isthmus.sources.open_source(path)
    result = isthmus.measure(f"{path}::train", f"{path}::test", unpaired=True, metrics="centroid_distance")
    assert result.pairs["pairing"]["rows"] == {"train": 60, "test": 20}


@pytest.fixture
def stack(rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=(120, 8)) + 1
    return np.stack([x, x + 0.3 * rng.normal(size=x.shape) + np.eye(8)[0]])


@pytest.mark.parametrize("is_path", [False, True])
def test_stack_of_two_modalities_is_enough_for_every_function(
    is_path: bool, stack: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.evaluation.interventions.BOOTSTRAPS", 10)
    np.save(tmp_path / "stack.npy", stack)
    rows: Any = str(tmp_path / "stack.npy") if is_path else stack
    for unpaired in (False, True):
        angles = [isthmus.measure(*a, metrics="centroid_angle", unpaired=unpaired) for a in ((rows,), tuple(stack))]
        assert angles[0]["centroid_angle"] == angles[1]["centroid_angle"]
    assert calibrate(rows).items == 120
    assert intervene(rows, interventions=["translate"]).points
    assert isthmus.compare(rows, aligners=["Centering"], tasks=["retrieval"], splits=1).n_fit == 60
    for name in ("Centering", "ScoreCalibration"):
        aligner = align.get(name)()
        np.testing.assert_array_equal(aligner.fit(rows).map_x_.bias, align.get(name)().fit(*stack).map_x_.bias)


def test_stack_is_enough_for_the_verbs_of_the_shell(stack: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", stack)
    np.savez(tmp_path / "two.npz", image=stack[0], text=stack[1])
    run = CliRunner().invoke
    shell = ["compare", str(tmp_path / "stack.npy"), "--aligners", "Centering", "--tasks", "retrieval", "--splits", "1"]
    assert "60 pairs to fit on" in run(app, shell).output
    fitted = run(app, ["fit", "Centering", str(tmp_path / "stack.npy"), "-o", str(tmp_path / "a.safetensors")])
    assert "Fitted Centering to 120 pairs" in fitted.output
    for verb in ("compare", "measure"):
        with pytest.raises(InputError, match="holds the arrays image, text"):
            run(app, [verb, str(tmp_path / "two.npz")], catch_exceptions=False, standalone_mode=False)
