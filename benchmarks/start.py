"""Claim: the command line starts almost as fast as its libraries are imported, and the demonstration takes seconds.

Processor time of a new process, the least of several in turns, on one BLAS thread. The reference imports what the
command cannot do without. `isthmus demo` is timed by the clock, in a new folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from _table import Row

#: Words of the command -> reference, and the largest ratio that is asked for.
COMMANDS = {
    "--help": ("import typer, rich", 1.3),
    "--version": ("import typer, rich", 1.3),
    "list": ("import typer, rich, numpy", 1.5),
    "list metrics": ("import typer, rich, numpy", 1.5),
}
REPEATS = 10
#: Seconds that are asked of `isthmus demo`.
DEMO_SECONDS = 5.0


def processor_seconds(arguments: Sequence[str]) -> float:
    """Processor time of one new process of Python."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def demo_seconds() -> float:
    """Seconds of `isthmus demo` in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "isthmus", "demo"], check=True, capture_output=True, cwd=folder)
        return time.perf_counter() - begin


def rows() -> list[Row]:
    """One row for each command."""
    demo = min(demo_seconds() for _ in range(3))
    table = [Row("isthmus demo", f"{demo:.1f} s", f"allowed {DEMO_SECONDS:.0f} s", demo / DEMO_SECONDS, most=1)]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for words, (reference, most) in COMMANDS.items():
        contenders = {"isthmus": ["-m", "isthmus", *words.split()], "reference": ["-c", reference]}
        best = dict.fromkeys(contenders, float("inf"))
        for _ in range(REPEATS):
            for name, arguments in contenders.items():
                best[name] = min(best[name], processor_seconds(arguments))
        ours, theirs = best["isthmus"], best["reference"]
        table.append(Row(f"isthmus {words}", f"{ours:.2f} s", f"{reference}: {theirs:.2f} s", ours / theirs, most=most))
    return table
