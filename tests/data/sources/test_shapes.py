"""Shapes one step away from a matrix: one vector a file, sets of vectors, stacks, batches, and very many shards."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import isthmus
from isthmus import InputError
from isthmus.data.columns import as_source
from isthmus.data.sources import _reopened, open_source
from isthmus.utils.errors import incomplete_file

RNG = np.random.default_rng(13)
X = (RNG.normal(size=(30, 6)) + 1).astype(np.float32)
SUFFIXES = (".npy", ".npz", ".pt", ".safetensors", ".h5")


def padded_sets() -> tuple[np.ndarray, np.ndarray]:
    """Return sets of five vectors (30, 5, 6), padded with zeros, and the number of vectors in each."""
    sets = (X[:, None] + RNG.normal(size=(30, 5, 6))).astype(np.float32)
    counts = 1 + np.arange(30) % 5
    sets[np.arange(5) >= counts[:, None]] = 0
    return sets, counts


def save(path: Path, rows: np.ndarray) -> Path:
    """Save rows in the format of the suffix."""
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".npz":
        np.savez(path, rows=rows)
    elif path.suffix == ".pt":
        torch.save({"rows": torch.tensor(rows)}, path)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"rows": np.ascontiguousarray(rows)}, path)
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            file.create_dataset("rows", data=rows, chunks=(min(len(rows), 7), *rows.shape[1:]), compression="gzip")
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_open_source_of_sets_of_one_vector_drops_the_middle_axis(suffix: str, tmp_path: Path) -> None:
    source = open_source(save(tmp_path / f"rows{suffix}", X[:, None]))
    assert source.shape == (30, 6)
    np.testing.assert_array_equal(source.read(3, 9), X[3:9])
    np.testing.assert_array_equal(source.take(np.array([20, 1])), X[[20, 1]])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_open_source_of_vector_sets_pools_without_the_padding(suffix: str, tmp_path: Path) -> None:
    sets, counts = padded_sets()
    path = save(tmp_path / f"rows{suffix}", sets)
    expected = {
        "mean": np.stack([rows[:count].mean(0) for rows, count in zip(sets, counts, strict=True)]),
        "max": np.stack([rows[:count].max(0) for rows, count in zip(sets, counts, strict=True)]),
        "first": sets[:, 0],
    }
    for pool, rows in expected.items():
        source = open_source(path, pool=pool)
        np.testing.assert_allclose(source.read(0, 30), rows, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(source.take(np.array([29, 4])), rows[[29, 4]], rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match=r"has shape \(30, 5, 6\): 5 vectors an item, expected one; pool") as caught:
        open_source(path)
    assert len(str(caught.value)) <= 300
    with pytest.raises(InputError, match="pool='sum', expected 'mean', 'max' or 'first'"):
        open_source(path, pool="sum")


def test_pool_of_an_item_without_vectors_gives_a_zero_row(tmp_path: Path) -> None:
    sets, _ = padded_sets()
    sets[7] = 0
    path = save(tmp_path / "rows.npy", sets)
    for pool in ("mean", "max", "first"):
        assert not open_source(path, pool=pool).read(7, 8).any()


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
def test_measure_of_vector_sets_in_memory_takes_pool(library: Any) -> None:
    sets, counts = padded_sets()
    means = sets.sum(1) / counts[:, None]
    expected = isthmus.measure(means, X, metrics="centroid_angle")["centroid_angle"].value
    measured = isthmus.measure(library(sets), X, metrics="centroid_angle", pool="mean")
    assert measured["centroid_angle"].value == pytest.approx(expected, abs=1e-4)
    with pytest.raises(InputError, match="x: has shape .* 5 vectors an item"):
        isthmus.measure(library(sets), X)


def test_folder_of_one_vector_a_file_is_a_matrix(tmp_path: Path) -> None:
    for name, rows in (("flat", X), ("row", X[:, None]), ("sets", np.stack([X, X], axis=1)[:, None])):
        (tmp_path / name).mkdir()
        for number, row in enumerate(rows):
            np.save(tmp_path / name / f"{number}.npy", row)
        source = open_source(tmp_path / name, pool="first")
        assert source.shape == (30, 6)
        np.testing.assert_array_equal(source.read(0, 30), X)
        np.testing.assert_array_equal(source.take(np.array([11, 2])), X[[11, 2]])
    with pytest.raises(InputError, match="2 vectors an item"):
        open_source(tmp_path / "sets")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_stack_of_modalities_in_a_file_is_opened_and_selected_by_number(suffix: str, tmp_path: Path) -> None:
    three = save(tmp_path / f"three{suffix}", np.stack([X, X + 1, X - 3]))
    two = save(tmp_path / f"two{suffix}", np.stack([X, X + 1]))
    address = two if suffix == ".npy" else f"{two}::rows"
    np.testing.assert_array_equal(open_source(f"{address}::1").read(0, 30), X + 1)
    with pytest.raises(InputError, match="or select one of 2 modalities as FILE::0"):
        open_source(two)
    with pytest.raises(InputError, match="holds one array|unknown array"):
        open_source(f"{address}::2")
    modalities = isthmus.Modalities.open(three)
    assert modalities.names == ("x", "y", "z")
    np.testing.assert_array_equal(modalities.pairs["x", "z"].y.read(0, 30), X - 3)
    expected = isthmus.measure(X, X + 1, metrics="centroid_angle")["centroid_angle"]
    for measured in (
        isthmus.measure(two, metrics="centroid_angle"),
        modalities.measure(metrics="centroid_angle")["x", "y"],
    ):
        assert str(measured["centroid_angle"]) == str(expected)
    fitted, same = isthmus.align.Centering().fit(two), isthmus.align.Centering().fit(X, X + 1)
    np.testing.assert_allclose(fitted.transform_x(X), same.transform_x(X), rtol=1e-5)


def test_stack_of_three_modalities_where_two_are_expected_names_what_takes_them(tmp_path: Path) -> None:
    stack = np.stack([X, X + 1, X - 3])
    path = save(tmp_path / "stack.npy", stack)
    for function in (isthmus.measure, isthmus.explain, isthmus.align.Centering().fit):
        with pytest.raises(InputError, match=r"a stack of 3 modalities, expected two: give two of them as .*npy::0"):
            function(path)
        with pytest.raises(InputError, match=r"a stack of 3 modalities, expected two: isthmus.Modalities\(image="):
            function(stack)


@pytest.mark.parametrize(
    ("content", "member"),
    [
        ([torch.tensor(X[i : i + 8]) for i in range(0, 30, 8)], ""),
        ([torch.tensor(row) for row in X], ""),
        ({"image": [torch.tensor(row) for row in X], "text": [torch.zeros(3), torch.zeros(3)]}, "::image"),
        ({f"{i:03d}.jpg": torch.tensor(row) for i, row in enumerate(X)}, ""),
    ],
    ids=["batches", "vectors", "dictionary of lists", "vectors by name"],
)
def test_torch_file_of_lists_is_put_together(content: Any, member: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "image.pt")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/image.pt{member}").read(0, 30), X)


def test_torch_file_of_vectors_by_name_has_the_names_as_keys(tmp_path: Path) -> None:
    for name, order in (("image", range(30)), ("text", range(29, -1, -1))):
        torch.save({f"{i:03d}.jpg": torch.tensor(X[i]) for i in order}, tmp_path / f"{name}.pt")
    pairs = isthmus.open_pairs(tmp_path / "image.pt", tmp_path / "text.pt", key="__key__")
    np.testing.assert_array_equal(pairs.x.read(0, 30), pairs.y.read(0, 30))


def test_torch_file_of_many_tensors_is_refused_in_a_short_sentence(tmp_path: Path) -> None:
    torch.save({f"layer_{i:04d}": torch.zeros(4, 3) for i in range(300)}, tmp_path / "image.pt")
    with pytest.raises(InputError, match="layer_0004 and 295 more") as caught:
        open_source(tmp_path / "image.pt")
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("pool", [None, "mean"])
def test_many_shards_of_vector_sets_are_pooled_like_few(pool: str | None, tmp_path: Path) -> None:
    sets, counts = padded_sets()
    for number in range(30):
        np.save(tmp_path / f"{number}.npy", sets[number : number + 1])
    with mock.patch.object(_reopened, "MAX_OPEN", 3):
        if pool is None:
            with pytest.raises(InputError, match="5 vectors an item, expected one; pool them"):
                open_source(tmp_path)
            return
        source = open_source(tmp_path, pool=pool)
    np.testing.assert_allclose(source.read(0, 30), sets.sum(axis=1) / counts[:, None], atol=1e-6)


LIMITED = """
import resource, sys
import isthmus
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
try:
    pairs = isthmus.open_pairs({image!r}, {text!r})
    print(isthmus.measure(pairs, metrics="R@1,centroid_angle")["centroid_angle"].value)
except isthmus.InputError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("suffix", [".parquet", ".h5"])
def test_shards_of_open_readers_stay_below_a_low_limit(suffix: str, tmp_path: Path) -> None:
    """Two folders of 70 shards are more than a limit of 128 open files. The default of macOS is 256."""
    pytest.importorskip("resource")
    rows = RNG.normal(size=(70, 6)) + 1
    for name in ("image", "text"):
        (tmp_path / name).mkdir()
        for number, row in enumerate(rows + (name == "text")):
            if suffix == ".h5":
                save(tmp_path / name / f"{number}.h5", row[None])
            else:
                table = pa.table({"emb": pa.array([row.tolist()])})
                pq.write_table(table, tmp_path / name / f"{number}.parquet")
    paths = {name: str(tmp_path / name) for name in ("image", "text")}
    expected = isthmus.measure(rows, rows + 1, metrics="centroid_angle")["centroid_angle"].value
    program = [sys.executable, "-c", LIMITED.format(limit=128, **paths)]
    process = subprocess.run(program, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert float(process.stdout) == pytest.approx(expected, abs=1e-9)


def test_too_many_open_files_are_not_taken_for_a_broken_file(tmp_path: Path) -> None:
    error = incomplete_file(tmp_path / "image.h5", "HDF5 file", OSError(24, "Too many open files"), "write it again")
    assert str(error).endswith("image.h5: cannot be opened beside so many other files; raise the limit: ulimit -n 4096")


def test_open_source_of_more_shards_than_open_files_reads_all_rows(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(600, 6)) + 1  # 600 shards
    for name in ("image", "text"):
        (tmp_path / name).mkdir()
        for number, row in enumerate(rows):
            np.save(tmp_path / name / f"{number}.npy", row[None] + (name == "text"))
    program = (
        "import resource, isthmus\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))\n"
        f"pairs = isthmus.open_pairs({str(tmp_path / 'image')!r}, {str(tmp_path / 'text')!r})\n"
        "print(isthmus.measure(pairs, metrics='centroid_angle')['centroid_angle'].value)\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = isthmus.measure(rows, rows + 1, metrics="centroid_angle")["centroid_angle"].value
    assert process.returncode == 0, process.stderr
    assert float(process.stdout) == pytest.approx(expected, abs=1e-9)


def test_reopened_shards_are_cached_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reopened, "MAX_OPEN", 3)
    monkeypatch.setattr(_reopened, "_CACHED_SHARDS", 2)
    _reopened._open_rows.clear()
    for number in range(10):
        np.save(tmp_path / f"{number}.npy", X[3 * number : 3 * number + 3])
    source = open_source(tmp_path)
    np.testing.assert_array_equal(source.read(0, 30), X)
    np.testing.assert_array_equal(source.take(np.array([29, 0, 15])), X[[29, 0, 15]])
    assert len(_reopened._open_rows) == 2
    del source
    assert not _reopened._open_rows


@pytest.mark.parametrize("shape", [(30, 1, 6), (30, 6, 1), (30, 1, 1, 6), (30, 6, 1, 1)])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_axes_of_length_one_are_dropped_in_memory(shape: tuple[int, ...], library: str) -> None:
    rows = X.reshape(shape) if library == "numpy" else torch.tensor(X.reshape(shape))
    pairs = isthmus.open_pairs(rows, X)
    np.testing.assert_array_equal(np.asarray(pairs.x.read(0, 30)), X)


def test_more_axes_get_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shape \(30, 6, 2, 2\), .*; average positions, array.mean\(\(2, 3\)\)"):
        isthmus.open_pairs(np.ones((30, 6, 2, 2)), X)
    np.save(tmp_path / "image.npy", X[:, :, None, None])
    with pytest.raises(InputError, match=r"shape \(30, 6, 1, 1\), .*; give array.reshape\(len\(array\), -1\)"):
        open_source(tmp_path / "image.npy")


@pytest.mark.parametrize("kind", ["list", "parquet"])
@pytest.mark.parametrize("pool", ["mean", "max", "first"])
def test_one_large_set_takes_no_memory_for_the_other_sets(kind: str, pool: str, tmp_path: Path) -> None:
    counts = np.full(600, 2)
    counts[[3, 7]] = 3000, 5
    vectors = np.random.default_rng(0).normal(size=(int(counts.sum()), 16)).astype(np.float32)
    sets = np.split(vectors, np.cumsum(counts)[:-1])
    cells = pa.table({"emb": pa.array([rows.tolist() for rows in sets], pa.list_(pa.list_(pa.float32())))})
    pq.write_table(cells, tmp_path / "a.parquet")
    tracemalloc.start()
    source = as_source("a", sets if kind == "list" else tmp_path / "a.parquet", pool=pool)
    pooled = source.read(0, 600)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reduce = {
        "mean": lambda rows: rows.mean(axis=0),
        "max": lambda rows: rows.max(axis=0),
        "first": lambda rows: rows[0],
    }
    np.testing.assert_allclose(pooled, [reduce[pool](rows) for rows in sets], rtol=1e-4, atol=1e-6)
    assert peak < 600 * 3000 * 16 * 4 / 10  # a tenth of padded sets
