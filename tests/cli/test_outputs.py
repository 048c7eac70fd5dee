"""Outputs that cannot be written are refused before the inputs are read, and nothing is left behind."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError
from isthmus.cli import app

FILES = ("missing_image.npy", "missing_text.npy")
#: The arguments of each verb that writes a file, without the file, and an ending that it writes.
VERBS = {
    "measure": (("measure", *FILES, "-o"), ".json"),
    "explain": (("explain", *FILES, "-o"), ".csv"),
    "report": (("report", *FILES, "-o"), ".html"),
    "compare": (("compare", *FILES, "-o"), ".html"),
    "journal of compare": (("compare", *FILES, "--resume"), ".jsonl"),
    "compare-merge": (("compare-merge", "missing.json", "-o"), ".json"),
    "intervene": (("intervene", *FILES, "-o"), ".svg"),
    "models": (("models", "missing_a", "missing_b", "-o"), ".md"),
    "fit": (("fit", "Centering", *FILES, "-o"), ".safetensors"),
    "adapt": (("adapt", "missing.safetensors", *FILES, "-o"), ".safetensors"),
    "apply": (("apply", "fitted.safetensors", "missing_image.npy", "-o"), ".npy"),
    "zero-shot": (("zero-shot", *FILES, "--labels", "missing.npy", "-o"), ".json"),
    "demo": (("demo", "--run", "missing", "-o"), ".html"),
}
#: The arguments of each verb that writes a folder.
FOLDER_VERBS = {
    "encode": ("encode", "missing_model", "missing_images", "-o"),
    "theory": ("theory", "all", "-o"),
    "train": ("train", "demo", "--part", "missing", "-o"),
    "export of demo": ("demo", "--run", "missing", "--export"),
    "apply": ("apply", "fitted.safetensors", "missing_image.npy", "-o"),
    "export": ("export", "fitted.safetensors"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a fitted aligner to the working folder."""
    monkeypatch.chdir(tmp_path)
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3))
    isthmus.align.Centering().fit(x, y).save("fitted.safetensors")
    return tmp_path


def refused(*words: object) -> str:
    before = sorted(Path().rglob("*"))
    done = CliRunner().invoke(app, list(map(str, words)))
    assert isinstance(done.exception, InputError), done.output
    assert sorted(Path().rglob("*")) == before
    message = str(done.exception)
    assert len(message) <= 300
    return message


def refuse_new_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system refuse new files, as in a folder that is mounted read-only, also if `os.access` allows them."""

    def mkstemp(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)


@pytest.mark.parametrize("verb", VERBS)
def test_file_that_cannot_be_written_is_refused_before_the_inputs_are_read(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, suffix = VERBS[verb]
    out = f"out{suffix}"
    assert f"missing{os.sep}{out}: cannot be written because the folder missing does not" in refused(
        *words, Path("missing", out)
    )
    Path(out).mkdir()
    assert f"{out}: is a folder, expected the name of a file" in refused(*words, out)
    Path(out).rmdir()
    if suffix != ".jsonl":
        assert " written as " in refused(*words, "out.pkl")
    os.symlink(os.devnull, out)  # a device has no rows, and must not be replaced
    assert f"{out}: is no file, and cannot be replaced by one" in refused(*words, out)
    Path(out).unlink()
    refuse_new_files(monkeypatch)
    assert f"{out}: cannot be written (read-only file system)" in refused(*words, out)


@pytest.mark.parametrize("verb", FOLDER_VERBS)
def test_folder_that_cannot_be_written_is_refused_before_the_inputs_are_read(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = FOLDER_VERBS[verb]
    if verb == "export":
        pytest.importorskip("onnx")
    if verb == "train":
        pytest.importorskip("torch")
    Path("file").write_text("")
    assert "file: " in refused(*words, "file")
    refuse_new_files(monkeypatch)
    assert "new: cannot be written (read-only file system)" in refused(*words, "new")


def test_output_that_is_an_input_is_refused() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3))
    for name, rows in (("x.csv", x), ("y.csv", y)):
        np.savetxt(name, rows, delimiter=",")
    content = Path("x.csv").read_bytes()
    assert refused("measure", "x.csv", "y.csv", "-o", "x.csv").startswith("x.csv: is a file that is being read")
    assert refused("compare", "x.csv", "y.csv", "-o", "y.csv").startswith("y.csv: is a file that is being read")
    assert Path("x.csv").read_bytes() == content


def test_page_in_a_folder_that_refuses_files_is_refused_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_new_files(monkeypatch)
    with pytest.raises(InputError, match=r"page.html: cannot be written \(read-only file system\)"):
        isthmus.report("missing_image.npy", "missing_text.npy", "page.html")
