"""Ctrl-C: a verb ends at once, waits for no thread and no product, and leaves nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import isthmus

#: Runs verbs side by side, each in a process of its own whose main thread waits for another thread, or is in a
#: function that no signal interrupts, like a decomposition: a mutex that it holds itself. Both last far longer than the
#: test waits. Prints the exit code of each verb, and the seconds of the processor from Ctrl-C to its end, which other
#: work on the machine does not prolong.
PROGRAM = """
import ctypes, importlib, json, os, signal, sys, threading, time
import isthmus
import isthmus.data.sources, isthmus.evaluation, isthmus.reporting.page
from isthmus.cli import alignment, comparison, diagnosis, main, resources
from isthmus.compute import threads

# A shell starts background jobs with Ctrl-C switched off.
signal.signal(signal.SIGINT, signal.default_int_handler)

def send(verb):
    with open(f"../{verb}.sent", "w") as file:
        file.write(str(time.process_time()))
    os.kill(os.getpid(), signal.SIGINT)

def blocked(verb):
    threading.Timer(0.05, send, (verb,)).start()
    mutex = ctypes.create_string_buffer(256)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)

def waiting(verb):
    with threads.thread_pool(2) as pool:
        pool.submit(time.sleep, 600)
        time.sleep(0.05)
        send(verb)
        time.sleep(600)

processes = {}
for verb, (words, module, owner, name, kind) in json.loads(sys.argv[1]).items():
    processes[os.fork()] = verb
    if verb in processes.values() and 0 in processes:
        signal.alarm(200)  # ends a verb that waits, which no other signal would
        os.chdir(verb)
        place = importlib.import_module(module)
        place = getattr(place, owner) if owner else place
        setattr(place, name, lambda *arguments, **options: globals()[kind](verb))
        sys.argv = ["isthmus", *words]
        main()
ends = {}
for _ in range(len(processes)):
    process, status, used = os.wait3(0)
    verb = processes[process]
    try:
        seconds = used.ru_utime + used.ru_stime - float(open(f"{verb}.sent").read())
    except OSError:
        seconds = None
    ends[verb] = os.waitstatus_to_exitcode(status), seconds
print(json.dumps(ends))
"""
FILES = ["../x.npy", "../y.npy"]
READ = ("isthmus.data.sources._source", "Source", "read")
#: Folder of the verb -> its words, the function that is interrupted (module, class, name), and what it does then.
VERBS = {
    "measure": (["measure", *FILES, "-o", "a.json"], *READ, "waiting"),
    "explain": (["explain", *FILES, "-o", "a.json"], *READ, "waiting"),
    "report": (["report", *FILES, "-o", "a.html"], *READ, "blocked"),
    "compare": (["compare", *FILES, "-o", "a.json"], *READ, "blocked"),
    "fit": (["fit", "Centering", *FILES, "-o", "a.safetensors"], *READ, "blocked"),
    "apply": (
        ["apply", "../a.safetensors", "../x.npy", "a.npy"],
        *("isthmus.data.sources._writers", "RawRowsWriter", "write", "blocked"),
    ),
    "intervene": (["intervene", *FILES, "-o", "a.json"], *READ, "blocked"),
    "models": (["models", ",".join(FILES), "../y.npy,../x.npy", "-o", "a.html"], *READ, "blocked"),
    "theory": (
        ["theory", "certificate", "-o", "."],
        *("isthmus.studies.theorems._experiment", "Experiment", "__call__", "blocked"),
    ),
}


def interrupted(verbs: dict[str, object], folder: Path) -> dict[str, tuple[int, float]]:
    """Return the exit code of each verb, and the seconds of the processor from Ctrl-C to its end."""
    rows = np.random.default_rng(0).normal(size=(20, 4)) + 1
    for name, table in (("x", rows), ("y", rows + 1)):
        np.save(folder / f"{name}.npy", table)
    isthmus.align.Centering().fit(x=rows, y=rows + 1).save(folder / "a.safetensors")
    for verb in verbs:
        (folder / verb).mkdir()
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(verbs)],
        capture_output=True, text=True, timeout=300, check=False, cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the mutex is that of Linux")
def test_interrupt_ends_every_verb_at_once_and_leaves_no_file(tmp_path: Path) -> None:
    ends = interrupted(VERBS, tmp_path)
    assert {verb: code for verb, (code, _) in ends.items()} == dict.fromkeys(VERBS, 130)
    assert all(seconds < 2 for _, seconds in ends.values()), ends
    assert {verb: list((tmp_path / verb).iterdir()) for verb in VERBS} == {verb: [] for verb in VERBS}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the mutex is that of Linux")
def test_interrupt_of_a_training_leaves_the_journal_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    verb = ["train", "demo", "--part", "losses", "--quick", "-o", "."]
    training = (verb, "isthmus.studies.training.runner", "", "train_setting", "blocked")
    code, seconds = interrupted({"train": training}, tmp_path)["train"]
    assert code == 130
    assert seconds < 2
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["train.jsonl"]


#: Runs a verb in a process of its own for each moment, and interrupts it when the named module is imported, or when the
#: interpreter ends. The import may turn the interrupt into another error, as compiled modules do. Prints the exit code
#: for each moment.
IMPORTS = """
import atexit, json, os, signal, sys
from isthmus.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupting:
    def __init__(self, moment):
        self.name, _, self.kind = moment.partition(" ")

    def find_spec(self, name, path, target=None):
        if name == self.name:
            self.name = None
            if self.kind == "in a destructor":
                Destroyed()
                return
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                if self.kind == "as another error":
                    raise ImportError("the module could not be loaded") from None
                raise

class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

processes = {}
for moment in json.loads(sys.argv[1]):
    process = os.fork()
    if process == 0:
        sys.meta_path.insert(0, Interrupting(moment))
        if moment == "end of the interpreter":
            atexit.register(os.kill, os.getpid(), signal.SIGINT)
        sys.argv = ["isthmus", "measure", *sys.argv[2:], "--quiet"]
        main()
    processes[process] = moment
codes = {}
for _ in processes.copy():
    process, status = os.wait()
    codes[processes[process]] = os.waitstatus_to_exitcode(status)
print(json.dumps(codes))
"""
#: Modules of the start of the program, of a verb, and of the opening of files, and the end of the program.
MOMENTS = (
    "typer", "isthmus.cli._application", "isthmus.cli.diagnosis", "isthmus.cli.diagnosis as another error", "numpy",
    "numpy as another error", "isthmus.data.opening", "isthmus.data.sources.npy as another error",
    "isthmus.data.sources.npy in a destructor", "end of the interpreter",
)  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_interrupt_while_modules_load_or_files_are_opened_has_its_exit_code_and_no_traceback(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)) + 1
    files = [str(tmp_path / name) for name in ("x.npy", "y.npy")]
    for path in files:
        np.save(path, rows)
    process = subprocess.run(
        [sys.executable, "-c", IMPORTS, json.dumps(MOMENTS), *files],
        capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(process.stdout.splitlines()[-1]) == dict.fromkeys(MOMENTS, 130)
    assert process.stderr == ""
