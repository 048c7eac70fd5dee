"""Claim: the moments of both modalities and of their pairs take less time than other libraries need for one modality.

All work on the same float32 rows in memory with the same number of threads. torch.cov gives one covariance of both
sides side by side, (2d, 2d); scikit-learn's and dask-ml's IncrementalPCA the principal directions of one side;
dask.array the three products of one `compute`. The moments hold all of that and the sums for the standard errors.

    python benchmarks/peers.py [--rows 20000] [--width 512] [--repeats 3]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from _bare import bare, limit
from _table import Row, fastest, installed, missing, show, threads


def rows(n: int = 20_000, width: int = 512, repeats: int = 3) -> list[Row]:
    """Time against each of them."""
    from isthmus import Moments
    from isthmus.compute.threads import blas_limited

    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n, width), dtype=np.float32) for _ in "xy")
    claim = f"moments of {n:,} x {width} pairs in memory"
    block = 4096
    contenders: dict[str, Callable[[], Any]] = {
        "isthmus": lambda: Moments.of(x, y, matmul_dtype="float32", threads=threads()),
    } | bare(n, width)
    absent = []
    torch = installed("torch")
    if torch is None:
        absent.append("torch.cov")
    else:
        torch.set_num_threads(threads())
        both = torch.cat([torch.from_numpy(x), torch.from_numpy(y)], dim=1)
        contenders["torch.cov of both sides"] = lambda: torch.cov(both.T)
    if installed("sklearn.decomposition") is None:
        absent.append("scikit-learn")
    else:
        from sklearn.decomposition import IncrementalPCA

        contenders["scikit-learn IncrementalPCA of one side"] = lambda: IncrementalPCA(batch_size=4 * width).fit(x)
    if installed("dask.array") is None:
        absent.append("dask.array")
    else:
        import dask
        import dask.array as da

        chunks = (block, width)

        def products() -> Any:
            a, b = da.from_array(x, chunks=chunks), da.from_array(y, chunks=chunks)
            with blas_limited(1):  # as many threads as the others have: one of BLAS in each of Dask's
                return dask.compute(a.T @ a, b.T @ b, a.T @ b, scheduler="threads", num_workers=threads())

        contenders["dask.array, three products"] = products
    if installed("dask_ml.decomposition") is None:
        absent.append("dask-ml IncrementalPCA")
    else:
        import dask.array as da
        from dask_ml.decomposition import IncrementalPCA as Incremental

        def dask_ml() -> Any:
            return Incremental(n_components=width // 2, batch_size=4 * width).fit(da.from_array(x, chunks=chunks))

        contenders["dask-ml IncrementalPCA of one side"] = dask_ml
    slow = {name: work for name, work in contenders.items() if "IncrementalPCA" in name}
    quick = {name: work for name, work in contenders.items() if name not in slow}
    best = fastest(quick, repeats=repeats) | fastest(slow, repeats=1)
    ours = best["isthmus"]
    measured = f"{ours:.2f} s"
    machine = f"{100 * limit(best) / ours:.0f} % of bare BLAS"
    table = [
        Row(claim, measured, f"{name}: {seconds:.2f} s", seconds / ours, least=1, machine=machine)
        for name, seconds in best.items()
        if name != "isthmus" and not name.startswith("bare")
    ]
    return table + [missing(claim, name) for name in absent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    show(rows(options.rows, options.width, options.repeats))


if __name__ == "__main__":
    main()
