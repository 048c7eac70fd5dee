"""Claim: every aligner is fitted from given moments of width 768 in less than two seconds of processor time.

The processor's seconds are those that a busy machine does not change. Auto cross-validates on rows and is left out.
Rows are random cones with shared directions; times do not depend on them.

    python benchmarks/aligners.py [--width 768] [--pairs 10000]
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
from _table import Row, show

from isthmus import InputError, IsthmusWarning, Moments
from isthmus.align import registry

#: The most that any of them may take at width 768, in seconds.
LIMIT = 2.0


def rows(width: int = 768, pairs: int = 10_000) -> list[Row]:
    """The share of the limit that each aligner takes."""
    rng = np.random.default_rng(0)
    shared = width // 4
    scales = 1 / np.sqrt(1 + np.arange(width))
    x, y = 0.02 * rng.normal(size=(2, pairs, width)) * scales
    latent = rng.normal(size=(pairs, shared)) * scales[:shared]
    x[:, :shared] += latent
    y[:, :shared] += latent + 0.3 * rng.normal(size=latent.shape) * scales[:shared]
    x[:, -1] += 2.0
    y[:, -2] += 2.0
    moments = Moments.of(x, y)
    warnings.simplefilter("ignore", IsthmusWarning)
    found = []
    for name, cls in registry().items():
        if not cls.supports_partial_fit:
            continue
        fresh = replace(moments)  # without the decompositions that the one before left
        start = time.process_time()
        try:
            _ = cls().fit_moments(fresh).map_x_
        except InputError as error:
            found.append(Row(f"fit {name}", "refused", str(error), float("nan")))
            continue
        seconds = time.process_time() - start
        allowed = f"{LIMIT:g} s of processor time, width {width}"
        found.append(Row(f"fit {name}", f"{seconds:.2f} s", allowed, seconds / LIMIT, most=1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--pairs", type=int, default=10_000)
    options = parser.parse_args()
    show(rows(options.width, options.pairs))


if __name__ == "__main__":
    main()
