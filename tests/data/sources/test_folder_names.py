"""Names of files in folders: one vector a file, missing files, and folders of files that are no shards."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning
from isthmus.data.sources import open_source

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 6)) + 1
Y = X + RNG.normal(size=X.shape) - 2


def save(folder: Path, rows: Sequence[np.ndarray], *, left_out: Sequence[int] = (), prefix: str = "") -> Path:
    """Save one file for each entry of `rows`."""
    folder.mkdir()
    for number, row in enumerate(rows):
        if number not in left_out:
            np.save(folder / f"{prefix}{number:04d}.npy", row)
    return folder


def test_other_files_missing_on_both_sides_are_warned_of_and_paired_by_name(tmp_path: Path) -> None:
    image, text = save(tmp_path / "image", X, left_out=[7]), save(tmp_path / "text", Y, left_out=[20], prefix="text_")
    with pytest.warns(IsthmusWarning, match=r"0008.npy stands beside text_0007.npy, .* give --key __key__"):
        isthmus.open_pairs(image, text)
    (tmp_path / "text").rename(tmp_path / "old")
    text = save(tmp_path / "text", Y, left_out=[20])
    with pytest.warns(IsthmusWarning, match="38 pairs of 38 items, without a match for 1 of 39 rows of image and 1"):
        pairs = isthmus.open_pairs(image, text, key="__key__")
    np.testing.assert_array_equal(pairs.y.read(0, 38), np.delete(Y, [7, 20], axis=0))


def test_other_shards_missing_on_both_sides_are_warned_of(tmp_path: Path) -> None:
    image = save(tmp_path / "image", np.split(X, 8), left_out=[2], prefix="img_emb_")
    text = save(tmp_path / "text", np.split(Y, 8), left_out=[5], prefix="text_emb_")
    with pytest.warns(IsthmusWarning, match=r"img_emb_0003.npy stands beside text_emb_0002.npy, .* file is missing"):
        isthmus.open_pairs(image, text)


@pytest.mark.parametrize("prefixes", [("img_emb_", "text_emb_"), ("", "part")])
def test_files_of_the_same_numbers_are_silent(prefixes: tuple[str, str], tmp_path: Path) -> None:
    paths = [save(tmp_path / name, rows, prefix=p) for name, rows, p in zip("xy", (X, Y), prefixes, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        isthmus.open_pairs(*paths)


def test_matrix_between_vectors_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "image", [*X[:9], X[9:11]])
    with pytest.raises(InputError, match=r"0009.npy: holds 2 rows, and other shards hold one vector; if it is no"):
        open_source(folder)


def test_two_files_of_several_rows_with_other_names_are_warned_of(tmp_path: Path) -> None:
    np.save(tmp_path / "query.npy", X)
    np.save(tmp_path / "document.npy", Y)
    with pytest.warns(IsthmusWarning, match=r"files of 2 kinds of names \(document: 1, query: 1\) are read as one"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        (".txt", r"holds 3 .txt files, which are no shards: give one of them, or write their rows into one .npy"),
        (".pkl", r"holds 3 .pkl files: pickles, which are never loaded; save their rows with np.save"),
        (".json", "holds 3 .json files"),
    ],
)
def test_folder_without_shards_names_its_files(suffix: str, message: str, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}{suffix}").write_text("[0.1, 0.2]")
    with pytest.raises(InputError, match=message):
        open_source(tmp_path)


def test_pickles_of_tables_and_of_named_vectors_get_statements_that_run(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = tmp_path / "frame.pkl"
    pandas.DataFrame({"embedding": list(X)}).to_pickle(frame)
    with pytest.raises(InputError, match=r"run pandas.read_pickle\('frame.pkl'\).to_parquet\('rows.parquet'\)"):
        open_source(frame)
    names = tmp_path / "names.pkl"
    names.write_bytes(pickle.dumps({f"{number}.jpg": row for number, row in enumerate(X)}))
    statement = (
        r"rows = list\(pickle.load\(open\('names.pkl', 'rb'\)\).values\(\)\) and np.save\('rows.npy', np.asarray"
    )
    with pytest.raises(InputError, match=statement):
        open_source(names)
    old = tmp_path / "old.pkl"
    old.write_bytes(pickle.dumps(X, protocol=0))
    with pytest.raises(InputError, match=r"is a pickle, .* run rows = pickle.load\(open\('old.pkl', 'rb'\)\) and"):
        open_source(old)


def test_names_with_a_superscript_are_sorted_as_text(tmp_path: Path) -> None:
    rows = np.arange(12.0).reshape(3, 4)
    for name in ("x10.npy", "x².npy", "x2.npy"):
        np.save(tmp_path / name, rows + len(name))
    assert open_source(tmp_path).rows.names == ["x2.npy", "x10.npy", "x².npy"]
