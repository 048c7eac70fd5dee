"""Aligned rows on disk: both formats, in order, whole or not at all, and carried on after a kill."""

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
from isthmus.align.streaming import apply
from isthmus.sources import open_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(2000, 5000)).astype(np.float32)  # eight blocks
    np.save(tmp_path / "image.npy", rows[:, :5000])
    return tmp_path / "image.npy"


@pytest.fixture
def aligner(source: Path) -> Any:
    rows = np.load(source)[:50]
    return align.Centering().fit(isthmus.Pairs(image=rows, text=rows[::-1].copy()))


@pytest.mark.parametrize("ending", ["npy", "safetensors"])
@pytest.mark.parametrize("resume", [False, True])
def test_both_formats_hold_the_rows_in_order(source: Path, aligner: Any, ending: str, resume: bool) -> None:
    out = source.with_name(f"out.{ending}")
    assert apply(aligner, open_source(source), out, side="image", resume=resume) == (2000, 5000)
    found = open_source(out)
    np.testing.assert_allclose(found.read(0, 2000), aligner.transform_x(np.load(source)), atol=1e-6)
    assert {p.name for p in source.parent.iterdir()} == {"image.npy", out.name}
    if ending == "safetensors":
        from safetensors.numpy import load_file

        assert load_file(out)["rows"].dtype == np.float32


class Stop(Exception):
    pass


class Counting:
    """A source that stops after some reads."""

    def __init__(self, path: Path, stop: int):
        self.inner, self.left, self.starts = open_source(path), stop, []
        self.where, self.shape, self.dtype = self.inner.where, self.inner.shape, self.inner.dtype
        self.place = self.inner.place

    def read(self, start: int, stop: int) -> Any:
        if self.left == 0:
            raise Stop
        self.left -= 1
        self.starts.append(start)
        return self.inner.read(start, stop)


@pytest.mark.parametrize("ending", ["npy", "safetensors"])
def test_stopped_work_is_carried_on(source: Path, aligner: Any, ending: str) -> None:
    out = source.with_name(f"out.{ending}")
    with pytest.raises(Stop):
        apply(aligner, Counting(source, 4), out, side="x", resume=True)
    assert not out.exists()
    again = Counting(source, 99)
    apply(aligner, again, out, side="x", resume=True)
    assert again.starts[:2] == [0, 1024]  # the first block for its width, then what is missing
    np.testing.assert_allclose(open_source(out).read(0, 2000), aligner.transform_x(np.load(source)), atol=1e-6)
    # Work of another aligner is not taken up.
    other = align.Identity().fit(np.load(source)[:50], np.load(source)[:50])
    with pytest.raises(Stop):
        apply(aligner, Counting(source, 4), out, side="x", resume=True)
    afresh = Counting(source, 99)
    apply(other, afresh, out, side="x", resume=True)
    assert afresh.starts[:2] == [0, 256]
    np.testing.assert_allclose(open_source(out).read(0, 2000), other.transform_x(np.load(source)), atol=1e-6)


def test_a_killed_process_is_carried_on(source: Path, aligner: Any) -> None:
    aligner.save(source.with_name("a.safetensors"))
    code = (
        "import os, sys, isthmus\n"
        "from isthmus.align import streaming\n"
        "seen = streaming._mark\n"
        "def mark(done, key, rows):\n"
        "    seen(done, key, rows)\n"
        f"    if rows > 1000: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "streaming._mark = mark\n"
        "folder = sys.argv[1]\n"
        "source = isthmus.sources.open_source(folder + '/image.npy')\n"
        "streaming.apply(isthmus.load(folder + '/a.safetensors'), source, folder + '/out.npy', side='x', resume=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(source.parent)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    out = source.with_name("out.npy")
    assert not out.exists()
    again = Counting(source, 99)
    apply(isthmus.load(source.with_name("a.safetensors")), again, out, side="x", resume=True)
    assert again.starts[1] == 1024
    np.testing.assert_allclose(np.load(out), aligner.transform_x(np.load(source)), atol=1e-6)


def test_refusals(source: Path, aligner: Any) -> None:
    with pytest.raises(InputError, match=r"written as .npy, .npz, .safetensors, .parquet"):
        apply(aligner, open_source(source), source.with_name("out.csv"), side="x")
    with pytest.raises(InputError, match="unknown side 'audio': this aligner was fitted on image and text"):
        apply(aligner, open_source(source), source.with_name("out.npy"), side="audio")
