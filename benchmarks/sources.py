"""Claim: the pass over parquet pairs runs at 70 % or more of its rate over .npy pairs, files in the page cache.

Two sides of float32 embeddings are written as .npy and as parquet (fixed-size lists, snappy, what pyarrow writes by
default; and lists without compression). One run gives, each against the other in turn: the pass (`Moments.of`, what
every verb begins with) over both; reading alone, block by block, through isthmus; and pyarrow's own scan, which is the
ceiling of whatever is built on it (`iter_batches`, and whole row groups).

    python benchmarks/sources.py [--rows 100000] [--width 512] [--repeats 5] [--products float32]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import isthmus
from isthmus.pairs import block_rows
from isthmus.sources import open_source


def write(folder: Path, rows: int, width: int) -> None:
    for seed, name in enumerate(("image", "text")):
        values = np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)
        np.save(folder / f"{name}.npy", values)
        table = pa.table({"embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width)})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=50_000)
        pq.write_table(
            table, folder / f"{name}.plain.parquet", row_group_size=50_000, compression="none", use_dictionary=False
        )


def the_pass(folder: Path, ending: str, products: str) -> None:
    pairs = isthmus.open_pairs(folder / f"image{ending}", folder / f"text{ending}", names=("image", "text"))
    isthmus.Moments.of(pairs, products=products)


def read(folder: Path, ending: str) -> None:
    """Every block through isthmus into one buffer, so that mapped pages are touched too."""
    source = open_source(folder / f"image{ending}")
    size = block_rows(source.shape[1])
    buffer = np.empty((size, source.shape[1]), dtype=np.float32)
    for start in range(0, source.shape[0], size):
        block = source.read(start, start + size)
        buffer[: len(block)] = block


def scan(folder: Path, ending: str, width: int) -> None:
    """pyarrow's own batches, into the same buffer."""
    size = block_rows(width)
    buffer = np.empty((size, width), dtype=np.float32)
    file = pq.ParquetFile(folder / f"image{ending}", memory_map=True)
    for batch in file.iter_batches(size, columns=["embedding"], use_threads=False):
        block = batch.column(0).flatten().to_numpy().reshape(-1, width)
        buffer[: len(block)] = block


def groups(folder: Path, ending: str) -> None:
    """Whole row groups, as pyarrow reads them."""
    file = pq.ParquetFile(folder / f"image{ending}", memory_map=True)
    for number in range(file.num_row_groups):
        file.read_row_group(number, use_threads=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--products", default="float32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, options.rows, options.width)
        size = options.rows * options.width * 4 / 1e9
        work: dict[str, tuple[float, Callable[[], None]]] = {}
        for ending in (".npy", ".parquet", ".plain.parquet"):
            work[f"pass {ending}"] = 2 * size, lambda e=ending: the_pass(folder, e, options.products)
        for ending in (".npy", ".parquet", ".plain.parquet"):
            work[f"read {ending}"] = size, lambda e=ending: read(folder, e)
        for ending in (".parquet", ".plain.parquet"):
            work[f"pyarrow iter_batches {ending}"] = size, lambda e=ending: scan(folder, e, options.width)
            work[f"pyarrow row groups {ending}"] = size, lambda e=ending: groups(folder, e)
        for _, function in work.values():
            function()  # files into the page cache, libraries loaded
        seconds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(options.repeats):
            for name, (_, function) in work.items():
                begin = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - begin)
    print(f"{options.rows:,} x {options.width} float32, a side; {options.repeats} repeats, files in the page cache")
    print(f"{'':38} {'GB/s':>7}  {'of .npy':>8}  (lowest, highest)")
    for name, (gigabytes, _) in work.items():
        kind = "pass .npy" if name.startswith("pass") else "read .npy"
        ratios = sorted(a / b for a, b in zip(seconds[kind], seconds[name], strict=True))
        print(f"{name:38} {gigabytes / median(seconds[name]):7.2f}  {median(ratios):8.2f}  "
              f"({ratios[0]:.2f}, {ratios[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
