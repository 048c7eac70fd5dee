"""Claim: in a mixed corpus standardised scores find more than `KernelBlend`, at unchanged cross-modal recall.

    ISTHMUS_FIXTURES=... python benchmarks/score_standardization.py

Ten random halves of each set (`numpy.random.default_rng(s).permutation(n)`, s = 0 to 9): levels and map fitted on the
first half, mixed R@1 (mean of both query modalities) on the second. The demo's runs: their training and test split.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from _table import Row, show

import isthmus
from isthmus.align import KernelBlend, ScoreStandardization
from isthmus.tasks import MixedSearch

SETS = {"clip_coco": ("image", "text"), "videoclip_msrvtt": ("video", "text")}


def rows() -> list[Row]:
    """Mixed R@1 with standardised scores against the map that does well there."""
    cases = {run: [tuple(isthmus.demo.load(run, split=s) for s in ("train", "test"))] for run in isthmus.demo.RUNS}
    if "ISTHMUS_FIXTURES" in os.environ:
        for name, sides in SETS.items():
            folder = Path(os.environ["ISTHMUS_FIXTURES"]) / name
            pairs = isthmus.open_pairs(*(folder / f"{side}.npy" for side in sides))
            cases[name] = [pairs.split_half(rng=seed) for seed in range(10)]
    table = []
    for name, splits in cases.items():
        numbers = []
        for seed, (fit, test) in enumerate(splits):
            scores, raw = ScoreStandardization().fit(fit), test.unit()
            mapped = KernelBlend().fit(fit).transform(test)
            numbers.append(
                [
                    MixedSearch.of(*raw, rng=seed, correction=scores).recall(1),
                    MixedSearch.of(*raw, rng=seed).recall(1),
                    MixedSearch.of(*mapped, rng=seed).recall(1),
                ]
            )
        standard, plain, blend = np.mean(numbers, axis=0)
        table.append(
            Row(
                f"mixed R@1 on {name}",
                f"{standard:.3f}",
                f"KernelBlend {blend:.3f} (raw {plain:.3f})",
                standard / blend,
            )
        )
    return table


if __name__ == "__main__":
    show(rows())
