"""How fast and how exact `log_iv` is against mpmath: python benchmarks/bessel.py

100,000 pairs, orders uniform in [0, 2048] and arguments log-uniform in [0.01, 1000]. mpmath is timed at its
default 15 digits on the same pairs (on fewer of them with --part); errors are taken at 40 digits on 2,000.
"""

from __future__ import annotations

import argparse
import time

import mpmath
import numpy as np

from isthmus.theory.bessel import log_iv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=int, default=100_000, help="how many of the pairs mpmath is timed on")
    part = parser.parse_args().part
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
    print("| what | values | microseconds per value | relative error: median, worst |")
    print("|---|---|---|---|")
    print(f"| isthmus log_iv | {nu.size:,} | {1e6 * ours:.3f} | {np.median(errors):.1e}, {max(errors):.1e} |")
    print(f"| mpmath, 15 digits | {part:,} | {1e6 * theirs:.1f} | the reference, at 40 digits |")
    print(f"| ratio | | {theirs / ours:,.0f} | |")


if __name__ == "__main__":
    main()
