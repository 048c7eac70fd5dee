"""Folders that hold several modalities, or files that are no shards."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning
from isthmus.data.sources import open_source

X = np.random.default_rng(24).normal(size=(40, 6)).astype(np.float32)


def save(folder: Path, **arrays: np.ndarray) -> Path:
    """Save one .npy file for each name."""
    for name, rows in arrays.items():
        np.save(folder / f"{name}.npy", rows)
    return folder


def test_folder_of_two_modalities_is_refused_with_a_file_of_each(tmp_path: Path) -> None:
    save(tmp_path, image_embeddings=X, text_embeddings=X, ids=np.arange(40))
    with pytest.raises(
        InputError, match=r"holds files of 2 modalities, image_embeddings.npy, text_embeddings.npy; give"
    ):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.arange(40), r"ids.npy: has dtype int64.*; if it is no shard, move it out of the folder"),
        (np.zeros(40, dtype=np.float32), "ids.npy: holds one vector"),
        (
            np.zeros((40, 3), dtype=np.float32),
            r"part_0.npy: has width 6, but ids.npy has 3; all shards .* one model; if",
        ),
        (
            np.zeros(6, dtype=np.float32),
            r"ids.npy: holds one vector, and other shards hold several; if it is no shard",
        ),
        (np.array(["a", "b"]), "ids.npy: has dtype.*; if it is no shard"),
    ],
)
def test_file_that_is_no_shard_is_named(other: np.ndarray, message: str, tmp_path: Path) -> None:
    save(tmp_path, part_0=X[:20], part_1=X[20:], ids=other)
    (tmp_path / "README.md").write_text("not read")
    with pytest.raises(InputError, match=message) as caught:
        open_source(tmp_path)
    assert "move it out of the folder" in str(caught.value)


def save_shards(folder: Path, kind: str) -> None:
    """Save 40 rows of an image and a text column in three shards."""
    shards = [{"image_embedding": X[rows], "text_embedding": -X[rows]} for rows in np.array_split(np.arange(40), 3)]
    if kind == "datasets":
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        both = datasets.Dataset.from_dict({"image_embedding": X.tolist(), "text_embedding": (-X).tolist()})
        both.save_to_disk(str(folder), num_shards=3)
    elif kind == "pt":
        torch = pytest.importorskip("torch")
        for number, shard in enumerate(shards):
            torch.save({name: torch.tensor(rows) for name, rows in shard.items()}, folder / f"{number}.pt")
    elif kind == "npz":
        for number, shard in enumerate(shards):
            np.savez(folder / f"{number}.npz", **shard)
    else:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        for number, shard in enumerate(shards):
            table = pa.table({name: rows.tolist() for name, rows in shard.items()})
            parquet.write_table(table, folder / f"{number}.parquet")


@pytest.mark.parametrize("kind", ["parquet", "datasets", "pt", "npz"])
def test_shards_of_two_modalities_are_selected_in_the_whole_folder(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("both").mkdir()
    save_shards(Path("both"), kind)
    with pytest.raises(InputError, match="holds (several columns|the arrays) .*, such as both::image_embedding$"):
        open_source("both")
    with pytest.raises(InputError, match="give two of them as both::image_embedding both::text_embedding$"):
        isthmus.measure("both")
    np.testing.assert_array_equal(open_source("both::text_embedding").read(0, 40).astype(np.float32), -X)


def test_several_kinds_of_names_are_read_with_a_warning(tmp_path: Path) -> None:
    save(tmp_path, train_0=X[:20], train_1=X[20:], test_0=X[:5])
    with pytest.warns(
        IsthmusWarning, match=r"files of 2 kinds of names \(test: 1, train: 2\) are read as one modality"
    ):
        assert open_source(tmp_path).shape == (45, 6)


@pytest.mark.parametrize(
    "names",
    [
        ("img_emb_0", "img_emb_1", "img_emb_10"),
        ("part-00000-1a2b3c4d-e5f6-c000", "part-00001-1a2b3c4d-e5f6-c000", "part-00002-9f8e7d6c-b5a4-c000"),
        ("000", "001", "002"),
        ("cat", "dog", "bird"),
        ("image_and_text_0", "image_and_text_1", "image_and_text_2"),
        ("clip_image_rank0", "clip_image_rank1", "clip_image_rank2"),
    ],
)
def test_shards_of_one_modality_are_read_silently(names: tuple[str, ...], tmp_path: Path) -> None:
    save(tmp_path, **dict.fromkeys(names, X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_source(tmp_path).shape == (120, 6)


def test_one_vector_a_file_is_a_matrix_in_natural_order(tmp_path: Path) -> None:
    save(tmp_path, **{f"{number}": row for number, row in enumerate(X)})
    np.testing.assert_array_equal(open_source(tmp_path).read(0, 40), X)
