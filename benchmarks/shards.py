"""Claim: a pass over pairs in shards of 1 MB takes at most 1.3 times that over the same pairs in few shards.

The rows of both modalities are written as 2 x 300 .npy shards of 1 MB, of which few stay open, and as 2 x 3 shards of
100 MB. One run times in turns the pass (`Moments.of`, what every verb begins with) over each. Opening is timed apart.

    python benchmarks/shards.py [--shards 300] [--repeats 5]
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from _table import Row, fastest, show

#: Rows and width of a shard of 1 MB in float32.
ROWS, WIDTH = 512, 512
#: Small shards that make a large one.
MERGED = 100


def write(folder: Path, shards: int) -> None:
    for seed, name in enumerate(("image", "text")):
        for kind in ("many", "few"):
            (folder / kind / name).mkdir(parents=True)
        values = np.random.default_rng(seed).standard_normal((shards * ROWS, WIDTH), dtype=np.float32)
        for number in range(shards):
            np.save(folder / "many" / name / f"{name}_{number}.npy", values[number * ROWS : (number + 1) * ROWS])
        for number in range(0, shards, MERGED):
            np.save(folder / "few" / name / f"{name}_{number}.npy", values[number * ROWS : (number + MERGED) * ROWS])


def rows(shards: int = 300, repeats: int = 5) -> list[Row]:
    """The pass over many shards against few, and the opening of many."""
    import isthmus

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, shards)
        opening = {
            kind: partial(isthmus.open_pairs, folder / kind / "image", folder / kind / "text", group=False)
            for kind in ("many", "few")
        }
        passes = {kind: partial(isthmus.Moments.of, open_()) for kind, open_ in opening.items()}
        for work in passes.values():
            work()  # files into the page cache
        seconds = fastest(passes, repeats=repeats)
        opened = fastest(opening, repeats=repeats)
    size = f"{shards * ROWS:,} x {WIDTH} pairs"
    per_shard = 1e6 * opened["many"] / (2 * shards)
    return [
        Row(
            f"pass over {size} in 2 x {shards} shards of 1 MB",
            f"{seconds['many']:.2f} s",
            f"2 x {len(range(0, shards, MERGED))} shards: {seconds['few']:.2f} s",
            seconds["many"] / seconds["few"],
            most=1.3,
            machine=f"opening apart: {per_shard:.0f} us a shard",
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    show(rows(options.shards, options.repeats))


if __name__ == "__main__":
    main()
