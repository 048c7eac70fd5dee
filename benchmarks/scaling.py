"""Claim: a model of four coefficients predicts the processor time of a pass within 30 % for any n, d, threads and
workers.

seconds = n (4 d^2 / g + o d) / threads + c, with g the rate of BLAS on one core, o what reading, checking and adding up
costs for each coordinate of a row, and c what a pass costs before its first row. g, o and c are fitted to the
processor's seconds of passes on one thread; the predictions are checked on other sizes, on two threads and on two
workers, all threads and processes added up. Seconds of the clock stand beside them: they are those of the model only
when nothing else runs on the cores. docs/explanation/scaling.md has what the model says about larger machines: its
tables are written by this file.

    python benchmarks/scaling.py [--page]
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _table import HERE, Row, fastest, fastest_both, installed, show, threads
from growth import shards, the_pass

from isthmus.compute.cluster import PARTS_PER_THREAD, REDUCE_FANIN

COEFFICIENTS = HERE / "coefficients.json"
PAGE = HERE.parent / "docs" / "explanation" / "scaling.md"


@dataclass(frozen=True)
class Coefficients:
    """Of one core: `flops` of BLAS per second, `per_value` seconds for each coordinate of a pair's two rows, `start`
    seconds of a pass, `add` seconds to add one float64 number to another."""

    flops: float
    per_value: float
    start: float
    add: float


@dataclass(frozen=True)
class Hardware:
    """Workers with a number of `threads` each (cores or GPUs).

    `speed` is that of a thread in units of the measured core, `read` and `network` are bytes per second and worker.
    """

    name: str
    workers: int
    threads: int
    speed: float
    read: float
    network: float


@dataclass(frozen=True)
class Cost:
    """What a pass costs: seconds to read, to compute and to add up, and bytes for each worker."""

    read: float
    compute: float
    reduce: float
    bytes_read: float
    bytes_moved: float
    flops: float

    @property
    def seconds(self) -> float:
        """Reading overlaps computing; the tree of sums comes after both."""
        return max(self.read, self.compute) + self.reduce

    @property
    def limit(self) -> str:
        """What the time is spent on."""
        parts = {"reading": self.read, "computing": self.compute, "adding up": self.reduce}
        return max(parts, key=parts.__getitem__)


def moments_bytes(d: int) -> int:
    """Bytes of the moments of width d."""
    return 8 * (3 * d * d + 4 * d + 2)


def predict(n: float, d: int, hardware: Hardware, measured: Coefficients, *, itemsize: int = 4) -> Cost:
    """The cost of the moments of n pairs of width d."""
    workers, n_threads = hardware.workers, hardware.workers * hardware.threads
    read = 2 * n * d * itemsize / workers
    flops = 4 * n * d * d
    compute = (flops / measured.flops + n * d * measured.per_value) / hardware.speed / n_threads + measured.start
    size = moments_bytes(d)
    depth, moved, reduce = 0, 0.0, 0.0
    if workers > 1:
        depth = math.ceil(math.log(PARTS_PER_THREAD * n_threads, REDUCE_FANIN))
        moved = size * PARTS_PER_THREAD * n_threads * (1 - 1 / workers) / workers * (1 + 1 / REDUCE_FANIN)
        reduce = depth * REDUCE_FANIN * (size / hardware.network + size / 8 * measured.add / hardware.speed)
    return Cost(read / hardware.read, compute, reduce, read, moved, flops / workers)


def measure() -> tuple[Coefficients, list[tuple[int, int, float]]]:
    """The coefficients, and the passes (n, d, seconds) that they were fitted to."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        sizes = [(100_000, 64), (100_000, 128), (50_000, 256), (25_000, 512), (12_000, 768), (1_000, 128)]
        places = {size: shards(Path(folder) / f"{size[1]}", *size) for size in sizes}
        work: dict[str, Callable[[], object]] = {f"{n} {d}": lambda p=places[n, d]: on_threads(p, 1) for n, d in sizes}
        best = fastest(work, repeats=5, clock=time.process_time)
        found = [(n, d, best[f"{n} {d}"]) for n, d in sizes]
    rows = np.array([[4.0 * n * d * d, n * d, 1.0] for n, d, _ in found])
    seconds = np.array([s for *_, s in found])
    # Relative errors, and no coefficient below zero.
    from scipy.optimize import nnls

    per_flop, per_value, start = nnls(rows / seconds[:, None], np.ones(len(found)))[0]
    a, b = np.zeros((2, 2_000_000))
    add = fastest({"add": lambda: a.__iadd__(b)}, repeats=5)["add"] / a.size
    return Coefficients(1 / per_flop, per_value, start, add), found


def on_threads(place: tuple[str, str], count: int) -> None:
    """One pass on `count` threads."""
    import isthmus

    with isthmus.config_context(threads=count):
        the_pass(*place)


def rows() -> list[Row]:
    """Prediction against measurement over sizes, threads and workers."""
    import isthmus

    measured, _ = measure()
    COEFFICIENTS.write_text(json.dumps(asdict(measured), indent=1) + "\n", encoding="utf-8")
    table = []

    def row(what: str, n: int, d: int, hardware: Hardware, used: float, seconds: float) -> None:
        cost = predict(n, d, hardware, measured)
        expected = cost.compute * hardware.workers * hardware.threads
        clock = f"elapsed {seconds:.2f} s, predicted {cost.seconds:.2f} s"
        measured_, told = f"{used:.2f} s of processor time", f"predicted {expected:.2f} s"
        table.append(Row(f"{n:,} x {d}, {what}", measured_, told, used / expected, least=0.7, most=1.3, machine=clock))

    core = Hardware("one core", 1, 1, 1.0, 1e12, 1e12)
    two = Hardware("two cores", 1, 2, 1.0, 1e12, 1e12)
    with tempfile.TemporaryDirectory() as folder:
        for n, d in ((300_000, 96), (100_000, 384), (20_000, 1024)):
            place = shards(Path(folder) / f"{n}", n, d)
            work = {"one": lambda p=place: on_threads(p, 1), "two": lambda p=place: on_threads(p, 2)}
            seconds, used = fastest_both(work, repeats=3)
            row("one thread", n, d, core, used["one"], seconds["one"])
            if threads() >= 2:
                row("two threads", n, d, two, used["two"], seconds["two"])
        if installed("distributed") is not None and threads() >= 2:
            from isthmus.compute.cluster import Cluster

            place = shards(Path(folder) / "cluster", 200_000, 384)
            cluster = Cluster(workers=2)

            def on_workers() -> isthmus.Moments:
                with isthmus.config_context(cluster=cluster):
                    return isthmus.Moments.of(isthmus.open_pairs(*place), matmul_dtype="float32")

            work = {"workers": on_workers}
            work["workers"]()
            best, used = math.inf, math.inf
            for _ in range(3):
                before = sum(cluster.client.run(time.process_time).values())
                best = min(best, fastest(work, repeats=1)["workers"])
                used = min(used, sum(cluster.client.run(time.process_time).values()) - before)
            cluster.close()
            row("two workers", 200_000, 384, Hardware("two workers", 2, 1, 1.0, 1e12, 1e9), used, best)
    return table


# What breaks first, simulated.


def sum_errors(blocks: int, *, seed: int = 0) -> tuple[float, float]:
    """Relative error of a sum of `blocks` positive numbers added one after the other in float64 and in float32."""
    values = np.random.default_rng(seed).uniform(0.5, 1.5, size=blocks)
    exact = math.fsum(values)
    chain = float(np.add.accumulate(values)[-1])
    single = float(np.add.accumulate(values.astype(np.float32))[-1])
    return abs(chain - exact) / exact, abs(single - exact) / exact


def tree_seconds(parts: int, fan: int, size: float, network: float, add: float) -> float:
    """Seconds to add `parts` results up, `fan` at a time; every step receives all but one of its inputs."""
    seconds = 0.0
    while parts > 1:
        seconds += min(fan, parts) * (size / network + size / 8 * add)
        parts = -(-parts // fan)
    return seconds


def makespan(workers: int, per_worker: int, *, slow: float = 0.05, factor: float = 3.0, seed: int = 0) -> float:
    """Time until all parts are done relative to a perfect division of the work, a share `slow` of the workers being
    `factor` times as slow, and each part taking 10 % more or less."""
    rng = np.random.default_rng(seed)
    speed = np.ones(workers)
    speed[: max(int(slow * workers), 1)] = 1 / factor
    free = [(0.0, w) for w in range(workers)]
    end = 0.0
    for noise in rng.lognormal(0.0, 0.1, size=workers * per_worker):
        at, worker = heapq.heappop(free)
        done = at + noise / per_worker / speed[worker]
        end = max(end, done)
        heapq.heappush(free, (done, worker))
    return end * float(speed.sum()) / workers


MACHINES = (
    Hardware("laptop: 8 cores, NVMe 3 GB/s", 1, 8, 1.0, 3e9, 1e9),
    Hardware("server: 64 cores, NVMe 6 GB/s", 1, 64, 1.0, 6e9, 1e9),
    Hardware("16 servers of 64 cores, storage and network 25 Gbit/s each", 16, 64, 1.0, 3.1e9, 3.1e9),
    Hardware("256 workers of 16 cores, storage and network 10 Gbit/s each", 256, 16, 1.0, 1.25e9, 1.25e9),
)


def tables(measured: Coefficients) -> dict[str, str]:
    """The tables of docs/explanation/scaling.md by name."""
    found = {
        "coefficients": "\n".join([
            "| coefficient | value |", "|---|---|",
            f"| g, float32 products on one core | {measured.flops / 1e9:.0f} GFLOP/s |",
            f"| o, for each coordinate of a pair | {1e9 * measured.per_value:.2f} ns |",
            f"| c, before the first row | {1e3 * measured.start:.1f} ms |",
            f"| adding one float64 number | {1e9 * measured.add:.2f} ns |",
        ]),
    }  # fmt: skip
    found["predictions"] = prediction_table(measured)
    lines = ["| numbers added | float64 | float32 |", "|---|---|---|"]
    for count in (10**4, 10**5, 10**6, 10**7, 3 * 10**7):
        double, single = sum_errors(count)
        lines.append(f"| {count:,} | {double:.0e} | {single:.0e} |")
    found["sums"] = "\n".join(lines)
    lines = ["| parts | one after the other | 2 at a time | 8 at a time | 64 at a time |", "|---|---|---|---|---|"]
    size = moments_bytes(768)
    for parts in (16, 1_024, 32_768):
        cells = [_time(tree_seconds(parts, fan, size, 1.25e9, measured.add)) for fan in (parts, 2, 8, 64)]
        lines.append(f"| {parts:,} | " + " | ".join(cells) + " |")
    found["tree"] = "\n".join(lines)
    lines = ["| parts for each worker | time, relative to a perfect division |", "|---|---|"]
    for per_worker in (1, 2, 4, 8, 16, 32):
        spans = [makespan(256, per_worker, seed=s) for s in range(5)]
        lines.append(f"| {per_worker} | {np.mean(spans):.2f} |")
    found["stragglers"] = "\n".join(lines)
    return found


def prediction_table(measured: Coefficients) -> str:
    """What the model says about larger machines."""
    lines = [
        "| machine | pairs | d | read per worker | moved per worker | time | limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for hardware in MACHINES:
        for n in (1e8, 1e9, 1e10):
            for d in (512, 768, 1152):
                cost = predict(n, d, hardware, measured)
                lines.append(
                    f"| {hardware.name} | 10^{math.log10(n):.0f} | {d} | {_size(cost.bytes_read)} | "
                    f"{_size(cost.bytes_moved)} | {_time(cost.seconds)} | {cost.limit} |"
                )
    return "\n".join(lines)


def _size(count: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} bytes"


def _time(seconds: float) -> str:
    for unit, scale in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * scale:
            return f"{seconds / scale:.0f} {unit}" if seconds >= 10 * scale else f"{seconds / scale:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def write_page() -> None:
    """Put the tables into docs/explanation/scaling.md."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables(Coefficients(**json.loads(COEFFICIENTS.read_text(encoding="utf-8")))).items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        text = head + begin + table + "\n" + end + tail
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--page", action="store_true", help="write docs/explanation/scaling.md from the coefficients that are there"
    )
    if parser.parse_args().page:
        write_page()
    else:
        show(rows())


if __name__ == "__main__":
    main()
