"""Files are written atomically, and files of other programs are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.utils.files import atomic_path, load_arrays, save_arrays
from isthmus.utils.paths import check_readable


def test_atomic_path_after_an_error_leaves_the_file(tmp_path: Path) -> None:
    target = tmp_path / "rows.bin"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="no space"), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise OSError("no space")
    assert [p.name for p in tmp_path.iterdir()] == ["rows.bin"]
    assert target.read_bytes() == b"old"


def test_atomic_path_creates_a_file_with_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with atomic_path(tmp_path / "ours") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_atomic_path_that_cannot_be_written_raises(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="because the folder .* does not exist; create it first"),
        atomic_path(tmp_path / "no" / "file"),
    ):
        pass
    with pytest.raises(InputError, match="is a folder, expected the name of a file"), atomic_path(tmp_path):
        pass


def test_save_arrays_keeps_the_shape_of_scalars(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a", "moments", {"n": np.asarray(3), "m": np.ones((2, 3)).T}, {"k": 1})
    kind, tables, header = load_arrays(tmp_path / "a")
    assert (kind, tables["n"].shape, tables["m"].shape, header) == ("moments", (), (3, 2), {"k": 1})


def test_load_arrays_of_other_files_raises(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds no isthmus object; expected a file written by save"):
        isthmus.load(tmp_path / "other.safetensors")
    (tmp_path / "text").write_text("not tensors at all")
    with pytest.raises(InputError, match="is not a complete safetensors file"):
        isthmus.load(tmp_path / "text")
    with pytest.raises(InputError, match="no such file or folder"):
        isthmus.load(tmp_path / "absent")
    save_arrays(tmp_path / "m", "moments", {"n": np.asarray(3)}, {})
    with pytest.raises(InputError, match="holds moments, expected aligner"):
        load_arrays(tmp_path / "m", "aligner")


@pytest.mark.parametrize("path", ["n" * 300 + ".npy", "m/" * 3000 + "rows.npy"])
def test_a_path_that_is_too_long_is_named_by_its_ends(path: str) -> None:
    message = f"{path[:30]}...{path[-30:]}: file name too long ({len(path):,} characters), expected a path"
    with pytest.raises(InputError) as measured:
        isthmus.measure(path, "text.npy")
    with pytest.raises(InputError) as checked:
        check_readable(path)
    assert [str(measured.value), str(checked.value)] == [message, message]
