"""Loading, exporting, and the files themselves."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

import isthmus.data.demo as demo
from isthmus.utils.errors import InputError

DATA = Path(demo.__file__).parent / "data"


@pytest.mark.parametrize("run", demo.RUNS)
def test_rows_are_unit_float32(run):
    data = demo.arrays(run)
    for rows in (data.image, data.text):
        assert rows.dtype == np.float32
        assert rows.shape == (1797, 64)
        np.testing.assert_allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-6)
    assert data.name == run
    assert data.description == demo.RUNS[run]


@pytest.mark.parametrize("run", demo.RUNS)
def test_splits_partition_the_rows(run):
    whole, train, test = (demo.arrays(run, split=split) for split in (None, "train", "test"))
    assert whole.train.sum() == len(train.image) == len(train.captions) == 1200
    assert len(test.image) == len(test.text) == len(test.labels) == len(test.captions) == 597
    assert train.train.all()
    assert not test.train.any()
    np.testing.assert_array_equal(whole.image[whole.train], train.image)
    np.testing.assert_array_equal(whole.text[~whole.train], test.text)
    np.testing.assert_array_equal(whole.labels[~whole.train], test.labels)
    assert [c for c, kept in zip(whole.captions, whole.train, strict=True) if kept] == train.captions


def test_all_runs_hold_the_same_pairs():
    runs = [demo.arrays(run) for run in demo.RUNS]
    assert all(run.captions == runs[0].captions for run in runs)
    assert not np.array_equal(runs[0].image, runs[1].image)


def test_the_files_are_small():
    files = list(DATA.glob("*"))
    assert {file.name for file in files} == {f"{name}.safetensors" for name in ("items", *demo.RUNS)}
    assert sum(file.stat().st_size for file in files) < 1_500_000


def test_a_run_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        demo.arrays("plain").image = None


def test_only_the_collapsed_run_has_axes():
    assert demo.arrays("plain").axes is None
    collapsed = demo.arrays("collapsed")
    assert collapsed.axes.shape == (2, 64)
    assert collapsed.basis.shape == (16, 64)
    frame = np.concatenate([collapsed.axes, collapsed.basis])
    expected = np.eye(18)
    expected[0, 1] = expected[1, 0] = 0.5  # 60 degrees
    np.testing.assert_allclose(frame @ frame.T, expected, atol=1e-14)


@pytest.mark.parametrize("given", ["plane", "PLAIN"])
def test_an_unknown_run_is_named_with_what_was_meant(given):
    with pytest.raises(InputError, match=rf"unknown demo run '{given}': did you mean 'plain'\?"):
        demo.arrays(given)


def test_an_unknown_run_that_resembles_none_has_no_guess():
    with pytest.raises(InputError, match=r"Known: collapsed, plain, warm$"):
        demo.load("xyz")


def test_an_unknown_split():
    with pytest.raises(InputError, match=r"unknown demo split 'tests'.*did you mean 'test'\?"):
        demo.arrays("plain", split="tests")


def test_load_wraps_the_arrays():
    pairs = demo.load("warm", split="test")
    expected = demo.arrays("warm", split="test")
    assert pairs.names == ("image", "text")
    np.testing.assert_array_equal(pairs.x.read(0, pairs.n_pairs), expected.image)
    np.testing.assert_array_equal(pairs.y.read(0, pairs.n_pairs), expected.text)
    np.testing.assert_array_equal(pairs.labels, expected.labels)


def test_export_writes_what_is_loaded(tmp_path):
    paths = demo.export(tmp_path / "new" / "folder", "collapsed")
    data = demo.arrays("collapsed")
    np.testing.assert_array_equal(np.load(paths[0], allow_pickle=False), data.image)
    np.testing.assert_array_equal(np.load(paths[1], allow_pickle=False), data.text)
    assert sorted(p.name for p in paths[0].parent.iterdir()) == ["image.npy", "text.npy"]
    demo.export(paths[0].parent, "plain", split="test")
    assert np.load(paths[0]).shape == (597, 64)


def test_export_onto_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="it is a file; give a directory"):
        demo.export(tmp_path / "taken", "plain")


def test_loading_imports_neither_sklearn_nor_torch():
    code = (
        "import sys; from isthmus import demo; [demo.arrays(run) for run in demo.RUNS]; "
        "print(sorted({'sklearn', 'torch', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
