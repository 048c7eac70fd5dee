"""Claim: the measures without an interval have none because intervals from half samples have too low a coverage.

Half of the items, drawn without replacement, scatter around the value of all by about its standard error, where a
measure is smooth. For data sets of one kind the interval value -+ 1.96 times that scatter should hold the value of many
items in 90 to 98 of 100 data sets, or at least the mean value of data sets of this size.

    python benchmarks/covering.py [--sets 100] [--halves 16]
"""

from __future__ import annotations

import argparse

import numpy as np
from _table import Row, show

import isthmus
from isthmus.data.pairs import Pairs
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.statistics.moments import moments_of

ITEMS, LARGE, DIM = 200, 3_000, 20


def draw(seed: int, items: int) -> Pairs:
    """Anisotropic clouds with correlated partners, cones apart, ten classes."""
    rng = np.random.default_rng(seed)
    scales = np.arange(1, DIM + 1) ** -0.6
    latent = rng.normal(size=(items, DIM)) * scales
    x, y = latent + 0.4 * rng.normal(size=(2, items, DIM)) * scales
    x[:, 0] += 1.0
    y[:, 1] += 1.0
    return Pairs(image=x, text=y, labels=np.argmax(latent[:, :10], axis=1))


def measured(pairs: Pairs) -> dict[str, float]:
    """The measures that have no interval; of two sides the first."""
    context = MetricContext(moments_of(pairs), pairs)
    without = [m for m in registry().values() if m.interval.startswith("none: ")]
    return {m.name: next(iter(evaluate(m, context).values())).value for m in without}


def coverage(sets: int, halves: int) -> dict[str, tuple[float, float]]:
    """Share of the intervals that hold the value of many items, and that hold the mean value at this size."""
    truth = [measured(draw(10_000 + k, LARGE)) for k in range(3)]
    values, errors = [], []
    for seed in range(sets):
        pairs = draw(seed, ITEMS)
        order = [np.sort(np.random.default_rng(k).permutation(ITEMS)[: ITEMS // 2]) for k in range(halves)]
        parts = [measured(pairs.take(half)) for half in order]
        values.append(measured(pairs))
        errors.append({name: float(np.std([part[name] for part in parts], ddof=1)) for name in values[0]})
    found = {}
    for name in values[0]:
        value, error = (np.array([one[name] for one in table]) for table in (values, errors))
        if np.isnan(value).any():  # undefined in so few dimensions
            continue
        targets = float(np.mean([one[name] for one in truth])), float(np.mean(value))
        held = [float(np.mean(np.abs(value - target) <= 1.96 * error)) for target in targets]
        found[name] = held[0], held[1]
    return found


def rows(sets: int = 100, halves: int = 16) -> list[Row]:
    """One row for each measure without an interval; the ratio is the coverage of the value of many items."""
    found = coverage(sets, halves)
    return [
        Row(f"coverage of half samples, {name}", f"{100 * many:.0f} % hold the value of many items",
            f"{100 * own:.0f} % hold the mean at {ITEMS} items", many)
        for name, (many, own) in found.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--halves", type=int, default=16)
    options = parser.parse_args()
    assert isthmus.__version__
    show(rows(options.sets, options.halves))


if __name__ == "__main__":
    main()
