"""How long each aligner takes to fit from ready moments: python benchmarks/aligners.py [--width 768] [--pairs 10000]

Run it with one thread (OMP_NUM_THREADS=1); the processor's seconds are those that a busy machine
does not change. Auto cross-validates on rows and is left out. Rows are random cones with shared directions; times do
not depend on them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np

from isthmus import InputError, IsthmusWarning, Moments
from isthmus.align import registry

#: The most that any of them may take at width 768, in seconds.
LIMIT = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--pairs", type=int, default=10_000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    shared = args.width // 4
    scales = 1 / np.sqrt(1 + np.arange(args.width))
    x, y = 0.02 * rng.normal(size=(2, args.pairs, args.width)) * scales
    latent = rng.normal(size=(args.pairs, shared)) * scales[:shared]
    x[:, :shared] += latent
    y[:, :shared] += latent + 0.3 * rng.normal(size=latent.shape) * scales[:shared]
    x[:, -1] += 2.0
    y[:, -2] += 2.0
    moments = Moments.of(x, y)
    warnings.simplefilter("ignore", IsthmusWarning)
    print(f"{args.pairs:,} pairs, width {args.width}")
    print("| aligner | processor seconds | seconds on the clock |\n|---|---|---|")
    for name, cls in registry().items():
        if not cls.streams:
            continue
        fresh = replace(moments)  # without the decompositions that the one before left
        start, clock = time.process_time(), time.perf_counter()
        try:
            _ = cls().fit_moments(fresh).map_x_
            seconds, clock = time.process_time() - start, time.perf_counter() - clock
            print(f"| {name} | {seconds:.2f}{'' if seconds < LIMIT else ' (too long)'} | {clock:.2f} |")
        except InputError as error:
            print(f"| {name} | refused: {error} | |")


if __name__ == "__main__":
    main()
