"""Claim: `log_iv` is more than a hundred times as fast as mpmath, with errors below 1e-12.

100,000 pairs, orders uniform in [0, 2048] and arguments log-uniform in [0.01, 1000]. mpmath is timed at its
default 15 digits on the first 2,000 of them (--part); errors are taken at 40 digits on the same number.

    python benchmarks/bessel.py [--part 2000]
"""

from __future__ import annotations

import argparse
import time

import mpmath
import numpy as np
from _table import Row, show

from isthmus.linalg.bessel import log_iv


def rows(part: int = 2_000) -> list[Row]:
    """Speed and worst error."""
    rng = np.random.default_rng(0)
    nu, x = rng.uniform(0.0, 2048.0, 100_000), 10.0 ** rng.uniform(-2.0, 3.0, 100_000)
    log_iv(nu[:10], x[:10])
    times = []
    for _ in range(7):
        start = time.perf_counter()
        found = log_iv(nu, x)
        times.append((time.perf_counter() - start) / nu.size)
    ours = float(np.median(times))
    start = time.perf_counter()
    for n, v in zip(nu[:part].tolist(), x[:part].tolist(), strict=True):
        mpmath.log(mpmath.besseli(n, v))
    theirs = (time.perf_counter() - start) / part
    errors = []
    with mpmath.workdps(40):
        for g, n, v in zip(found[:2000].tolist(), nu[:2000].tolist(), x[:2000].tolist(), strict=True):
            exact = mpmath.log(mpmath.besseli(n, v, maxterms=10**6))
            errors.append(abs(float((g - exact) / exact)))
    peer = f"mpmath, 15 digits: {1e6 * theirs:.1f} us a value"
    error = f"relative error: {max(errors):.1e} at worst, {np.median(errors):.1e} in the middle"
    return [
        Row("log_iv, speed", f"{1e6 * ours:.3f} us a value", peer, theirs / ours, least=100),
        Row("log_iv, error", error, "1e-12; truth: mpmath at 40 digits", max(errors) / 1e-12, most=1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=int, default=2_000, help="how many of the pairs mpmath is timed on")
    show(rows(parser.parse_args().part))


if __name__ == "__main__":
    main()
