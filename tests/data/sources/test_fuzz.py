"""A seeded sample of the mutated files of every format, and tests of the fuzzer itself.

`python tests/fuzz.py` tries 10,000 files of each format.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import formats
import fuzz

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_open_source_of_mutated_files_refuses_or_reads(count: int) -> None:
    # In a process of its own: children are forked there, which is not safe beside the threads of this one.
    arguments = [sys.executable, str(TESTS / "fuzz.py"), "--count", str(count), "--seed", "1"]
    process = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    reports = re.findall(
        rf"^(\w+) +{count} files: (\d+) refused, (\d+) read, 0 failed", process.stdout, flags=re.MULTILINE
    )
    assert [name for name, *_ in reports] == [*formats.FILES, *formats.FOLDERS]
    assert all(int(refused) + int(read) == count and int(refused) > count / 4 for _, refused, read in reports)
    assert count < 200 or all(int(read) > 0 for *_, read in reports)


@pytest.mark.parametrize(
    ("action", "report"),
    [
        ("os.kill(os.getpid(), 11)", "CRASH by signal 11"),
        ("time.sleep(9)", "HANG"),
        ("[0] * 10**12", "MemoryError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_fuzz_reports_crashes_hangs_and_other_errors(action: str, report: str) -> None:
    code = (
        "import os, sys, time\n"
        f"sys.path.insert(0, {str(TESTS)!r})\n"
        "import fuzz\n"
        "fuzz.SECONDS, calls = 1, []\n"
        "def outcome(*_, **__):\n"
        "    calls.append(0)\n"
        f"    return 'read' if len(calls) == 1 else {action}\n"
        "fuzz.outcome = outcome\n"
        "print(*fuzz.fuzz('npy', 2, 0), sep='\\n')\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = process.stdout.splitlines()
    assert len(lines) == 2
    assert all(report in line for line in lines)


def test_fuzz_reports_numbers_that_are_not_in_the_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    path = formats.npy(tmp_path, rows)
    assert fuzz.all_numbers_in_file(rows, [path.read_bytes()])
    rows[3, 2] += 1
    assert not fuzz.all_numbers_in_file(rows, [path.read_bytes()])
    assert fuzz.outcome(path, [path.read_bytes()], plain=True) == "read"
    with pytest.raises(AssertionError, match="not in the file"):
        fuzz.outcome(path, [bytes(200)], plain=True)


def test_mutations_differ_and_repeat_with_their_seed() -> None:
    content = bytes(range(256)) * 8
    mutants = [fuzz.mutate(content, np.random.default_rng(number)) for number in range(200)]
    assert len(set(mutants)) > 180
    assert mutants[7] == fuzz.mutate(content, np.random.default_rng(7))
    assert any(len(data) < len(content) - 400 for data in mutants)
    assert any(len(data) > len(content) for data in mutants)


@pytest.mark.parametrize("name", formats.READ_ONLY)
def test_fuzz_takes_formats_that_are_only_read(name: str, tmp_path: Path) -> None:
    path, original = fuzz.originals(name, tmp_path)
    assert path == original
    assert fuzz.outcome(path, [path.read_bytes()], plain=False) == "read"
