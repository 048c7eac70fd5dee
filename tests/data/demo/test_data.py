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
def test_arrays_are_unit_float32_rows(run):
    data = demo.arrays(run)
    for rows in (data.image, data.text):
        assert rows.dtype == np.float32
        assert rows.shape == (1797, 64)
        np.testing.assert_allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-6)
    assert data.name == run
    assert data.description == demo.RUNS[run]


@pytest.mark.parametrize("run", demo.RUNS)
def test_arrays_of_splits_partition_the_rows(run):
    all_pairs, train, test = (demo.arrays(run, split=split) for split in (None, "train", "test"))
    assert all_pairs.train.sum() == len(train.image) == len(train.captions) == 1200
    assert len(test.image) == len(test.text) == len(test.labels) == len(test.captions) == 597
    assert train.train.all()
    assert not test.train.any()
    np.testing.assert_array_equal(all_pairs.image[all_pairs.train], train.image)
    np.testing.assert_array_equal(all_pairs.text[~all_pairs.train], test.text)
    np.testing.assert_array_equal(all_pairs.labels[~all_pairs.train], test.labels)
    assert [c for c, is_train in zip(all_pairs.captions, all_pairs.train, strict=True) if is_train] == train.captions


def test_arrays_of_all_runs_have_the_same_captions():
    runs = [demo.arrays(run) for run in demo.RUNS]
    assert all(run.captions == runs[0].captions for run in runs)
    assert not np.array_equal(runs[0].image, runs[1].image)


def test_data_files_are_small():
    files = list(DATA.glob("*"))
    assert {file.name for file in files} == {f"{name}.safetensors.xz" for name in ("items", *demo.RUNS)}
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_demo_all_pairsis_frozen():
    with pytest.raises(FrozenInstanceError):
        demo.arrays("plain").image = None


def test_axes_and_basis_exist_for_the_collapsed_all_pairsonly():
    assert demo.arrays("plain").axes is None
    collapsed = demo.arrays("collapsed")
    assert collapsed.axes.shape == (2, 64)
    assert collapsed.basis.shape == (16, 64)
    frame = np.concatenate([collapsed.axes, collapsed.basis])
    expected = np.eye(18)
    expected[0, 1] = expected[1, 0] = 0.5  # 60 degrees
    np.testing.assert_allclose(frame @ frame.T, expected, atol=1e-14)


@pytest.mark.parametrize("misspelled", ["plane", "PLAIN"])
def test_arrays_of_a_misspelled_all_pairssuggests_the_name(misspelled):
    with pytest.raises(InputError, match=rf"unknown demo run '{misspelled}': did you mean 'plain'\?"):
        demo.arrays(misspelled)


def test_load_of_an_unknown_all_pairslists_the_names():
    with pytest.raises(InputError, match=r"known: collapsed, plain, warm$"):
        demo.load("xyz")


def test_arrays_of_an_unknown_split_is_refused():
    with pytest.raises(InputError, match=r"unknown demo split 'tests'.*did you mean 'test'\?"):
        demo.arrays("plain", split="tests")


def test_load_returns_pairs_of_the_arrays():
    pairs = demo.load("warm", split="test")
    expected = demo.arrays("warm", split="test")
    assert pairs.names == ("image", "text")
    np.testing.assert_array_equal(pairs.x.read(0, pairs.n_pairs), expected.image)
    np.testing.assert_array_equal(pairs.y.read(0, pairs.n_pairs), expected.text)
    np.testing.assert_array_equal(pairs.labels, expected.labels)


def test_export_writes_the_arrays(tmp_path):
    paths = demo.export(tmp_path / "new" / "folder", "collapsed")
    data = demo.arrays("collapsed")
    np.testing.assert_array_equal(np.load(paths[0], allow_pickle=False), data.image)
    np.testing.assert_array_equal(np.load(paths[1], allow_pickle=False), data.text)
    assert sorted(p.name for p in paths[0].parent.iterdir()) == ["image.npy", "text.npy"]
    demo.export(paths[0].parent, "plain", split="test")
    assert np.load(paths[0]).shape == (597, 64)


def test_export_to_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        demo.export(tmp_path / "taken", "plain")


def test_arrays_import_neither_sklearn_nor_torch():
    code = (
        "import sys; from isthmus import demo; [demo.arrays(run) for run in demo.RUNS]; "
        "print(sorted({'sklearn', 'torch', 'scipy'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
