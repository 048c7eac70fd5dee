"""What the benchmarks share: a row of the table, contenders timed in turns, and work in a process of its own.

A benchmark is one file here with a function `rows() -> list[Row]`. `python benchmarks/NAME.py` prints its rows;
`python benchmarks/run.py` runs all of them and writes docs/reference/benchmarks.md.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEADER = "| claim | isthmus | against | ratio | needed | met | machine's limit |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """One claim and its number.

    `ratio` is one number from one run: a rate against the rate of `peer`, or a share of something allowed. The claim
    is met when it is `least` or more, `most` or less; with neither it is only shown. `machine` says in words how near
    the machine's own limit is, such as '93 % of the bare product'. NaN: the peer is not installed.
    """

    claim: str
    measured: str
    peer: str
    ratio: float
    least: float | None = None
    most: float | None = None
    machine: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the ratio is where it has to be; None when nothing was asked or measured."""
        if math.isnan(self.ratio) or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most)

    def line(self) -> str:
        """The row of the table in Markdown."""
        low = "" if self.least is None else f"at least {self.least:g}"
        high = "" if self.most is None else f"at most {self.most:g}"
        ratio = "" if math.isnan(self.ratio) else f"{self.ratio:.3g}" if self.ratio < 1000 else f"{self.ratio:,.0f}"
        met = {None: "", True: "yes", False: "**no**"}[self.met]
        needed = ", ".join(filter(None, (low, high)))
        return f"| {self.claim} | {self.measured} | {self.peer} | {ratio} | {needed} | {met} | {self.machine} |"

    def to_dict(self) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Row:
        return cls(**{**values, "ratio": math.nan if values["ratio"] is None else values["ratio"]})


def missing(claim: str, peer: str) -> Row:
    """The row of a peer that is not installed."""
    return Row(claim, "", f"{peer}: not installed", math.nan)


def installed(name: str) -> Any:
    """The module `name`, None when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def fastest(
    contenders: Mapping[str, Callable[[], Any]], *, repeats: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The least seconds of each contender. They are run in turns, so that a busy machine is busy for all of them.

    `clock` may be `time.process_time`: seconds of the processor, which other programs change least.
    """
    best = dict.fromkeys(contenders, math.inf)
    for _ in range(repeats):
        for name, work in contenders.items():
            begin = clock()
            work()
            best[name] = min(best[name], clock() - begin)
    return best


def fastest_both(
    contenders: Mapping[str, Callable[[], Any]], *, repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The least seconds of each contender by the clock, and of the processor, in turns as in `fastest`."""
    seconds, used = dict.fromkeys(contenders, math.inf), dict.fromkeys(contenders, math.inf)
    for _ in range(repeats):
        for name, work in contenders.items():
            begin, begin_used = time.perf_counter(), time.process_time()
            work()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
            used[name] = min(used[name], time.process_time() - begin_used)
    return seconds, used


def threads() -> int:
    """How many threads the benchmark may use: OMP_NUM_THREADS, else the cores of the machine."""
    return int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))


def child(module: str, function: str, *arguments: Any, limit: float = 600.0, **variables: str) -> Any:
    """`function(*arguments)` of the benchmark `module` in a fresh process; arguments and answer travel as JSON.

    `variables` are set in its environment: a library that reads OMP_NUM_THREADS reads it when it is loaded. Compiled
    modules are kept, as those of an installed package are.
    """
    code = (
        f"import sys, json; sys.path.insert(0, {str(HERE)!r}); import {module}; "
        f"print(json.dumps({module}.{function}(*json.loads(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | variables
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=limit)
    if done.returncode:
        raise RuntimeError(f"{module}.{function} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def anonymous() -> float:
    """The anonymous memory of this process in MB; pages of mapped files are none of it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not report RssAnon")


def peak_anonymous(work: Callable[[], Any]) -> float:
    """The most anonymous memory of this process in MB while `work` runs, looked at every 2 ms."""
    peak, stop = anonymous(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.002):
            peak = max(peak, anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        stop.set()
        thread.join()
    return peak


def show(rows: Iterable[Row]) -> None:
    """Print rows as the table that docs/reference/benchmarks.md has."""
    print(HEADER)
    for row in rows:
        print(row.line(), flush=True)
