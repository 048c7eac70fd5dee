"""Aligned rows on disk: formats, order, atomic output and continuation after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, align
from isthmus.align._cluster import RowForm, _apply_part
from isthmus.align.streaming import apply
from isthmus.data.sources import open_source


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("isthmus.align.streaming.block_rows", lambda dim: 256)  # eight blocks
    np.save(tmp_path / "image.npy", np.random.default_rng(0).normal(size=(2000, 50)).astype(np.float32))
    return tmp_path / "image.npy"


@pytest.fixture
def aligner(source: Path) -> Any:
    rows = np.load(source)[:50]
    return align.Centering().fit(isthmus.Pairs(image=rows, text=rows[::-1].copy()))


ENDINGS = pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors", ""])


@ENDINGS
@pytest.mark.parametrize("resume", [False, True])
def test_apply_to_any_format_keeps_the_order_of_rows(source: Path, aligner: Any, ending: str, resume: bool) -> None:
    out = source.with_name(f"out{ending}")
    assert apply(aligner, open_source(source), out, modality="image", resume=resume) == (2000, 50)
    found = open_source(out)
    np.testing.assert_allclose(found.read(0, 2000), aligner.transform_x(np.load(source)), atol=1e-6)
    assert {p.name for p in source.parent.iterdir()} == {"image.npy", out.name}
    assert found.dtype == "float32"
    if ending == ".safetensors":
        from safetensors.numpy import load_file

        np.testing.assert_array_equal(load_file(out)["rows"], found.read(0, 2000))
    if ending == ".npz":
        np.testing.assert_array_equal(np.load(out)["rows"], found.read(0, 2000))  # NumPy checks the checksum


@pytest.mark.parametrize("stop", [None, 3])
def test_apply_to_a_folder_keeps_its_shards(source: Path, aligner: Any, stop: int | None) -> None:
    folder, rows = source.with_name("img_emb"), np.load(source)
    folder.mkdir()
    for number, (begin, end) in enumerate([(0, 700), (700, 701), (701, 2000)]):
        np.save(folder / f"img_emb_{9 + number}.npy", rows[begin:end].astype(np.float64))
    out = source.with_name("aligned")
    if stop:
        with pytest.raises(Stop):
            apply(aligner, Counting(folder, stop), out, modality="image", resume=True)
        assert not out.exists()
    apply(aligner, open_source(folder), out, modality="image", resume=stop is not None)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in folder.iterdir())
    assert [len(np.load(out / f"img_emb_{n}.npy")) for n in (9, 10, 11)] == [700, 1, 1299]
    np.testing.assert_allclose(open_source(out).read(0, 2000), aligner.transform_x(rows.astype(float)), atol=1e-9)
    assert {p.name for p in source.parent.iterdir()} == {"image.npy", "img_emb", "aligned"}
    with pytest.raises(InputError, match="aligned: exists; give the name of a new folder"):
        apply(aligner, open_source(folder), out, modality="image")
    with pytest.raises(InputError, match="lies in the folder that is being read"):
        apply(aligner, open_source(folder), folder / "more.npy", modality="image")


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_apply_to_an_archive_keeps_the_name_of_the_array(source: Path, aligner: Any, ending: str) -> None:
    rows = np.load(source)
    file = source.with_name(f"both{ending}")
    if ending == ".npz":
        np.savez(file, image=rows, text=rows)
    else:
        from safetensors.numpy import save_file

        save_file({"image": rows, "text": rows}, file)
    with pytest.raises(InputError, match="is the file that is being read"):
        apply(aligner, open_source(f"{file}::text"), file, modality="text")
    out = source.with_name(f"out{ending}")
    apply(aligner, open_source(f"{file}::text"), out, modality="text")
    found = open_source(f"{out}::text")
    np.testing.assert_allclose(found.read(0, 2000), aligner.transform_y(rows), atol=1e-6)
    np.testing.assert_array_equal(open_source(f"{out}::image").read(0, 2000), rows)  # what else was there is kept


def test_apply_to_large_files_needs_constant_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak of allocated memory does not grow with the number of rows, in every format."""
    import tracemalloc

    rng = np.random.default_rng(0)
    few = rng.normal(size=(2, 300, 64)).astype(np.float32)
    aligner = align.Centering().fit(*few)
    monkeypatch.setattr("isthmus.align.streaming.block_rows", lambda dim: 1000)
    peaks: dict[str, list[int]] = {}
    for n in (4_000, 40_000):
        np.save(tmp_path / "x.npy", rng.normal(size=(n, 64)).astype(np.float32))
        for ending in (".npy", ".npz", ".safetensors", ""):
            tracemalloc.start()
            apply(aligner, open_source(tmp_path / "x.npy"), tmp_path / f"out{n}{ending}", modality="x")
            peaks.setdefault(ending, []).append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    for small, large in peaks.values():
        assert large < 1.2 * small


class Stop(Exception):
    pass


class Counting:
    """A source that stops after some reads."""

    def __init__(self, path: Path, stop: int):
        self.inner, self.left, self.starts = open_source(path), stop, []
        self.address, self.shape, self.dtype = self.inner.address, self.inner.shape, self.inner.dtype
        self.rows, self.format = self.inner.rows, self.inner.format
        self.location, self.member = self.inner.location, self.inner.member
        self.is_subset = False

    def read(self, start: int, stop: int) -> Any:
        if self.left == 0:
            raise Stop
        self.left -= 1
        self.starts.append(start)
        return self.inner.read(start, stop)


@ENDINGS
def test_apply_after_an_error_resumes(source: Path, aligner: Any, ending: str) -> None:
    out = source.with_name(f"out{ending}")
    with pytest.raises(Stop):
        apply(aligner, Counting(source, 4), out, modality="x", resume=True)
    assert not out.exists()
    again = Counting(source, 99)
    apply(aligner, again, out, modality="x", resume=True)
    assert again.starts[:2] == [0, 1024]  # the first block for its width, then what is missing
    np.testing.assert_allclose(open_source(out).read(0, 2000), aligner.transform_x(np.load(source)), atol=1e-6)
    if not ending:
        out = source.with_name("again")
    # Work of another aligner is not taken up.
    other = align.Identity().fit(np.load(source)[:50], np.load(source)[:50])
    with pytest.raises(Stop):
        apply(aligner, Counting(source, 4), out, modality="x", resume=True)
    afresh = Counting(source, 99)
    apply(other, afresh, out, modality="x", resume=True)
    assert afresh.starts[:2] == [0, 256]
    np.testing.assert_allclose(open_source(out).read(0, 2000), other.transform_x(np.load(source)), atol=1e-6)


def test_apply_after_a_kill_resumes(source: Path, aligner: Any) -> None:
    aligner.save(source.with_name("a.safetensors"))
    code = (
        "import os, sys, isthmus\n"
        "from isthmus.align import streaming\n"
        "seen = streaming._mark\n"
        "def mark(done, key, rows):\n"
        "    seen(done, key, rows)\n"
        f"    if rows > 1000: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "streaming._mark, streaming.MARK_SECONDS, streaming.block_rows = mark, 0, lambda dim: 256\n"
        "folder = sys.argv[1]\n"
        "source = isthmus.sources.open_source(folder + '/image.npy')\n"
        "aligner = isthmus.load(folder + '/a.safetensors')\n"
        "streaming.apply(aligner, source, folder + '/out.npy', modality='x', resume=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(source.parent)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    out = source.with_name("out.npy")
    assert not out.exists()
    again = Counting(source, 99)
    apply(isthmus.load(source.with_name("a.safetensors")), again, out, modality="x", resume=True)
    assert again.starts[1] == 1024
    np.testing.assert_allclose(np.load(out), aligner.transform_x(np.load(source)), atol=1e-6)


def test_apply_to_unknown_format_or_modality_is_refused(source: Path, aligner: Any) -> None:
    with pytest.raises(InputError, match=r"out.xyz: aligned rows are written as .arrow, .fbin, .h5, .* or a folder"):
        apply(aligner, open_source(source), source.with_name("out.xyz"), modality="x")
    with pytest.raises(InputError, match="unknown modality 'audio' of the rows, expected image or text"):
        apply(aligner, open_source(source), source.with_name("out.npy"), modality="audio")


def test_apply_part_of_a_cluster_writes_only_its_rows(
    source: Path, aligner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.align._cluster.block_rows", lambda dim: 256)
    out = source.with_name("out.npy")
    np.save(out, np.full((2000, 50), np.nan, dtype=np.float32))
    assert _apply_part(RowForm(aligner, "image"), 300, 900, path=str(source), output=str(out), reading={}) == 600
    rows = np.load(out)
    np.testing.assert_allclose(rows[300:900], aligner.transform_x(np.load(source))[300:900], atol=1e-6)
    assert np.isnan(rows[:300]).all()
    assert np.isnan(rows[900:]).all()
