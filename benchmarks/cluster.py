"""Claim: two local Dask workers of one thread reach 80 % of the rate of one process with two threads, and a worker that
is killed in the middle does not change the sums.

Both read the same mapped files. The cluster is running already; its time includes the making of the tasks, the tree of
sums and the transfer of the result.

    python benchmarks/cluster.py [--rows 400000] [--width 512] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, fastest, installed, missing, show
from moments import write


def rows(n: int = 400_000, width: int = 512, repeats: int = 3) -> list[Row]:
    """Rate, agreement, and agreement after a kill."""
    import isthmus

    claim = f"moments of {n:,} x {width} pairs on two workers"
    if installed("distributed") is None:
        return [missing(claim, "Dask")]
    from isthmus.compute.cluster import Cluster

    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), n, width)

        def alone() -> Any:
            return isthmus.Moments.of(isthmus.open_pairs(*paths), matmul_dtype="float32", threads=2)

        expected = alone()
        cluster = Cluster(workers=2)

        def together() -> Any:
            with isthmus.config_context(cluster=cluster):
                return isthmus.Moments.of(isthmus.open_pairs(*paths), matmul_dtype="float32")

        def difference(found: Any) -> float:
            scale = float(np.abs(expected.xy).max())
            return max(
                float(np.abs(getattr(found, k) - getattr(expected, k)).max()) / scale for k in ("xx", "yy", "xy")
            )

        apart = difference(together())
        best = fastest({"alone": alone, "together": together}, repeats=repeats)
        victim = next(iter(cluster.client.run(os.getpid).values()))

        def kill(done: int, total: int, name: str) -> None:
            if done == total // 2:
                os.kill(victim, signal.SIGKILL)

        cluster.progress = kill
        after = difference(together())
        killed = victim not in set(cluster.client.run(os.getpid).values())
        cluster.close()
    if not killed:
        raise RuntimeError("no worker was killed")
    measured, peer = f"{best['together']:.1f} s", f"one process, two threads: {best['alone']:.1f} s"
    return [
        Row(claim, measured, peer, best["alone"] / best["together"], least=0.8),
        Row("difference from one process", f"{apart:.1e} of the largest sum", "allowed 1e-12", apart / 1e-12, most=1),
        Row("the same, a worker killed half-way", f"{after:.1e}", "allowed 1e-12", after / 1e-12, most=1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    show(rows(options.rows, options.width, options.repeats))


if __name__ == "__main__":
    main()
