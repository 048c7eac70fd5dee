"""Claim: the pass over parquet pairs runs at 70 % or more of its rate over .npy pairs, files in the page cache.

Two sides of float32 embeddings are written as .npy and as parquet (fixed-size lists, as pyarrow writes them by default:
snappy; and without compression). One run times, in turns: the pass (`Moments.of`, what every verb begins with) over
each; reading alone, block by block, through isthmus, every byte copied once into one buffer; and pyarrow's own scan of
the same file in the same blocks, which is the ceiling of whatever is built on it.

    python benchmarks/sources.py [--rows 100000] [--width 768] [--repeats 5]
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _table import Row, fastest, show

#: Ending of the files -> what they are.
PARQUET = {".parquet": "parquet, snappy", ".plain.parquet": "parquet, uncompressed"}


def write(folder: Path, rows: int, width: int) -> None:
    for seed, name in enumerate(("image", "text")):
        values = np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)
        np.save(folder / f"{name}.npy", values)
        table = pa.table({"embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width)})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=50_000)
        pq.write_table(
            table, folder / f"{name}.plain.parquet", row_group_size=50_000, compression="none", use_dictionary=False
        )


def the_pass(folder: Path, ending: str) -> None:
    import isthmus

    pairs = isthmus.open_pairs(folder / f"image{ending}", folder / f"text{ending}", names=("image", "text"))
    isthmus.Moments.of(pairs, matmul_dtype="float32")


def read(folder: Path, ending: str, size: int) -> None:
    """Every block through isthmus into one buffer, so that mapped pages are touched too."""
    from isthmus.data.sources import open_source

    source = open_source(folder / f"image{ending}")
    buffer = np.empty((size, source.shape[1]), dtype=np.float32)
    for start in range(0, source.shape[0], size):
        block = source.read(start, start + size)
        buffer[: len(block)] = block


def scan(folder: Path, ending: str, size: int, width: int) -> None:
    """The same through pyarrow alone."""
    buffer = np.empty((size, width), dtype=np.float32)
    file = pq.ParquetFile(folder / f"image{ending}", memory_map=True)
    for batch in file.iter_batches(size, columns=["embedding"], use_threads=False):
        block = batch.column(0).flatten().to_numpy().reshape(-1, width)
        buffer[: len(block)] = block


def rows(n: int = 100_000, width: int = 768, repeats: int = 5) -> list[Row]:
    """The pass and the reading of each kind of file against .npy and against pyarrow."""
    from isthmus.data.pairs import block_rows

    size = block_rows(width)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, n, width)
        work = {f"pass{ending}": partial(the_pass, folder, ending) for ending in (".npy", *PARQUET)}
        work |= {f"read{ending}": partial(read, folder, ending, size) for ending in (".npy", *PARQUET)}
        work |= {f"scan{ending}": partial(scan, folder, ending, size, width) for ending in PARQUET}
        for each in work.values():
            each()  # files into the page cache, libraries loaded
        best = fastest(work, repeats=repeats)
    rate = {name: n * width * 4 * (2 if name.startswith("pass") else 1) / best[name] / 1e9 for name in work}
    said = {name: f"{value:.2f} GB/s" for name, value in rate.items()}
    table = []
    for ending, kind in PARQUET.items():
        ratio = rate[f"pass{ending}"] / rate["pass.npy"]
        claim = f"pass over {n:,} x {width} pairs from {kind}"
        table.append(Row(claim, said[f"pass{ending}"], f"npy: {said['pass.npy']}", ratio, least=0.7))
    for ending, kind in PARQUET.items():
        ratio = rate[f"read{ending}"] / rate[f"scan{ending}"]
        machine = f"{100 * rate[f'read{ending}'] / rate['read.npy']:.0f} % of a copy of npy"
        table.append(
            Row(f"reading {kind}", said[f"read{ending}"], f"pyarrow: {said[f'scan{ending}']}", ratio, machine=machine)
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    show(rows(options.rows, options.width, options.repeats))


if __name__ == "__main__":
    main()
