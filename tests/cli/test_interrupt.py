"""Ctrl-C: a verb ends at once, waits for no other thread, and leaves nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

#: Runs a verb whose main thread is interrupted while another thread computes something that takes long.
PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from isthmus.cli import main
from isthmus.compute import threads
from isthmus.utils.files import atomic_path

# A shell starts background jobs with Ctrl-C switched off.
signal.signal(signal.SIGINT, signal.default_int_handler)

def late(verb_module, name):
    def interrupted(*arguments, **options):
        with atomic_path(Path({output!r})) as temporary, threads.thread_pool(2) as pool:
            temporary.write_text("half")
            pool.submit(time.sleep, 30)
            time.sleep(0.05)
            signal.raise_signal(signal.SIGINT)
    setattr(verb_module, name, interrupted)

import isthmus
late(isthmus, {function!r})
sys.argv = ["isthmus", *{words!r}]
main()
"""
VERBS = ("measure", "explain", "report", "compare")


@pytest.mark.parametrize("verb", VERBS)
def test_interrupt_ends_a_verb_that_computes_in_another_thread(verb: str, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4))
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", rows + 1)
    folder = tmp_path / "written"
    folder.mkdir()
    suffix = "html" if verb == "report" else "json"
    words = [verb, str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "-o", str(folder / f"out.{suffix}")]
    program = PROGRAM.format(output=str(folder / "out.json"), function=verb, words=words)
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=25, check=False)
    assert process.returncode == 130, process.stderr
    assert list(folder.iterdir()) == []
