"""Layouts of PyTorch files: nested dictionaries, batches, vectors by name, and tuples of modalities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus import InputError, IsthmusWarning
from isthmus.data.sources import open_source
from isthmus.data.sources._registry import formats

RNG = np.random.default_rng(8)
X = RNG.normal(size=(30, 6)).astype(np.float32) + 1
Y = X + RNG.normal(size=X.shape).astype(np.float32) - 2


def save(path: Path, content: Any) -> Path:
    """Save `content` with arrays of NumPy as tensors."""
    torch.save(_with_tensors(content), path)
    return path


def _with_tensors(content: Any) -> Any:
    if isinstance(content, np.ndarray):
        return torch.tensor(content)
    if isinstance(content, dict):
        return {key: _with_tensors(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(_with_tensors(value) for value in content)
    return content


@pytest.mark.parametrize(
    "content",
    [
        {"features": {"image": X, "text": Y}, "epoch": 3},
        {"features": {"image": [X[:20], X[20:]], "text": [Y[:20], Y[20:]]}},
        {"features": [{"image": X[i : i + 7], "text": Y[i : i + 7]} for i in range(0, 30, 7)]},
    ],
)
def test_nested_dictionaries_are_read_by_path(content: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "clip.pt", content)
    np.testing.assert_array_equal(open_source(f"{path}::features/text").read(0, 30), Y)
    with pytest.raises(InputError, match="holds the arrays features/image, features/text; select one"):
        open_source(path)


def test_batches_of_dictionaries_are_joined(tmp_path: Path) -> None:
    path = save(tmp_path / "clip.pt", [{"image": X[i : i + 7], "text": Y[i : i + 7]} for i in range(0, 30, 7)])
    np.testing.assert_array_equal(open_source(f"{path}::image").read(0, 30), X)
    path = save(tmp_path / "other.pt", [{"image": X}, {"text": X}])
    with pytest.raises(InputError, match="list of dictionaries with different keys"):
        open_source(path)


def test_last_batch_of_one_vector_is_a_row(tmp_path: Path) -> None:
    path = save(tmp_path / "image.pt", [X[:15], X[15:29], X[29]])
    np.testing.assert_array_equal(open_source(path).read(0, 30), X)


def test_matrices_of_one_row_by_name_have_keys(tmp_path: Path) -> None:
    path = save(tmp_path / "image.pt", {f"{number}.jpg": row[None] for number, row in enumerate(X)})
    source = open_source(path)
    np.testing.assert_array_equal(source.read(0, 30), X)
    assert list(source.keys("__key__"))[:2] == ["0.jpg", "1.jpg"]


def test_tuple_of_two_modalities_is_a_stack(tmp_path: Path) -> None:
    path = save(tmp_path / "clip.pt", (X, Y))
    np.testing.assert_array_equal(open_source(f"{path}::1").read(0, 30), Y)
    with pytest.raises(InputError, match="select one of 2 modalities as FILE::0"):
        open_source(path)


def test_list_of_few_equal_matrices_is_read_with_a_warning(tmp_path: Path) -> None:
    path = save(tmp_path / "clip.pt", [X, Y])
    with pytest.warns(IsthmusWarning, match=r"2 tensors of shape \(30, 6\), .* as batches .* give .*::0 and"):
        source = open_source(path)
    np.testing.assert_array_equal(source.read(0, 60), np.concatenate([X, Y]))
    np.testing.assert_array_equal(open_source(f"{path}::1").read(0, 30), Y)


def test_list_of_other_widths_names_the_shapes(tmp_path: Path) -> None:
    path = save(tmp_path / "clip.pt", (X, Y[:, :4]))
    with pytest.raises(InputError, match=r"2 tensors of the shapes \(30, 6\), \(30, 4\) .*clip.pt::0 selects"):
        open_source(path)
    assert open_source(f"{path}::1").shape == (30, 4)


def test_folder_of_dictionaries_with_one_vector_is_a_matrix(tmp_path: Path) -> None:
    for number, row in enumerate(X):
        save(tmp_path / f"{number}.pt", {"embedding": row})
    np.testing.assert_array_equal(open_source(tmp_path).read(0, 30), X)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.tensor(X).to_sparse(), "is a sparse tensor, expected a dense one; convert it with .to_dense"),
        (torch.tensor(X).to(torch.float8_e4m3fn), r"torch.float8_e4m3fn, expected .*; convert it with .float\(\)"),
        ({"image": X}, r"Python objects beside tensors.*run torch.load\('image.pt', weights_only=False\)"),
    ],
)
def test_tensor_of_another_kind_is_refused_with_the_next_step(tensor: Any, message: str, tmp_path: Path) -> None:
    torch.save(tensor, tmp_path / "image.pt")
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / "image.pt")


def test_key_of_a_file_without_keys_says_so(tmp_path: Path) -> None:
    source = open_source(f"{save(tmp_path / 'clip.pt', {'image': X, 'text': Y})}::image")
    with pytest.raises(InputError, match="unknown tensor of keys in .*clip.pt 'id': there is none to choose from"):
        source.keys("id")


@pytest.mark.parametrize("content", [{"features": {"image": X, "text": Y}}, [{"image": X, "text": Y}]])
def test_writer_replaces_a_nested_tensor(content: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "clip.pt", content)
    name = "features/image" if isinstance(content, dict) else "image"
    source = open_source(f"{path}::{name}")
    writer = formats["torch"].writer(tmp_path / "out.pt", X.shape, X.dtype, source=source)
    writer.write(Y)
    writer.close()
    np.testing.assert_array_equal(open_source(f"{tmp_path / 'out.pt'}::{name}").read(0, 30), Y)
    if isinstance(content, dict):
        np.testing.assert_array_equal(open_source(f"{tmp_path / 'out.pt'}::features/text").read(0, 30), Y)


def test_scale_beside_two_modalities_is_left_out() -> None:
    """open_clip returns the features of both modalities and their logit_scale in one dictionary."""
    features = {"image_features": torch.tensor(X), "text_features": torch.tensor(Y), "logit_scale": torch.tensor(100.0)}
    expected = isthmus.measure(X, Y, metrics="centroid_angle")["centroid_angle"].value
    assert isthmus.measure(features, metrics="centroid_angle")["centroid_angle"].value == pytest.approx(expected)
    with pytest.raises(InputError, match=r"got 3 modalities, expected two; isthmus.Modalities\(\*\*modalities\)"):
        isthmus.measure({**features, "audio": X})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.tensor(X).to_sparse(), r"layout torch.sparse_coo, expected a dense one; convert it with .to_dense"),
        (torch.empty(30, 6, device="meta"), "on the device meta, which has no values"),
        (torch.tensor(X).to(torch.float8_e4m3fn), r"dtype torch.float8_e4m3fn, expected .*; convert it with .float"),
        (dict(enumerate(X)), r"is a dict, .*; give list\(rows.values\(\)\) if each value is a row"),
        (iter(X), r"give list\(rows\) if each value is a row"),
    ],
)
def test_rows_in_memory_of_another_kind_are_refused_with_the_next_step(rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        isthmus.measure(rows, Y)


def test_column_of_tensors_is_a_matrix() -> None:
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([torch.tensor(row) for row in X])
    expected = isthmus.measure(X, Y, metrics="centroid_angle")["centroid_angle"].value
    assert isthmus.measure(column, Y, metrics="centroid_angle")["centroid_angle"].value == pytest.approx(expected)
