"""Why fitted maps are evaluated on other pairs: in-sample and held-out recall on the COCO pairs of CLIP.

    ISTHMUS_FIXTURES=... python benchmarks/procrustes_guard.py

R@1 is the mean of both directions among the pairs judged. In-sample: fitted and judged on all 500. Held out: fitted on
`numpy.random.default_rng(s).permutation(500)[:250]`, judged on the rest, mean over s = 0..9.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from _table import Row, missing, show

from isthmus import IsthmusWarning
from isthmus.align import (
    Aligner,
    Centering,
    DifferenceWhitening,
    Identity,
    KernelBlend,
    PartialWhitening,
    Procrustes,
    RidgeCCA,
    RidgeMap,
    ScoreStandardization,
    SharedSignal,
)
from isthmus.tasks import MixedSearch, Retrieval


def recall(x: np.ndarray, y: np.ndarray) -> float:
    ranks = Retrieval.of(x, y)
    return float(np.mean([np.mean(ranks.x_to_y <= 1), np.mean(ranks.y_to_x <= 1)]))


def rows() -> list[Row]:
    """In-sample against held-out recall of each aligner; the ratio is how much the first promises too much."""
    warnings.simplefilter("ignore", IsthmusWarning)
    if "ISTHMUS_FIXTURES" not in os.environ:
        return [missing("recall on the fitting pairs", "CLIP's COCO pairs (ISTHMUS_FIXTURES)")]
    folder = Path(os.environ["ISTHMUS_FIXTURES"]) / "clip_coco"
    x, y = (np.load(folder / f"{side}.npy").astype(np.float64) for side in ("image", "text"))
    aligners: list[Aligner] = [
        Identity(), Centering(), PartialWhitening(), DifferenceWhitening(), DifferenceWhitening(alpha=0.5),
        KernelBlend(), SharedSignal(), RidgeCCA(), RidgeMap(), Procrustes(), Procrustes(center=False),
    ]  # fmt: skip
    found = []
    for aligner in aligners:
        inside = recall(*aligner.fit(x, y).transform(x, y))
        outside, mixed = [], []
        for seed in range(10):
            order = np.random.default_rng(seed).permutation(len(x))
            fit, test = order[:250], order[250:]
            a, b = aligner.fit(x[fit], y[fit]).transform(x[test], y[test])
            outside.append(recall(a, b))
            mixed.append(MixedSearch.of(a, b, rng=seed).recall(1))
        center = "" if getattr(aligner, "center", True) else "(center=False)"
        strength = f"(alpha={aligner.alpha})" if isinstance(aligner, DifferenceWhitening) else center
        name = type(aligner).__name__ + strength
        held_out = f"{np.mean(outside):.3f} held out, mixed {np.mean(mixed):.3f}"
        found.append(Row(name, f"R@1 {inside:.2f} in-sample", held_out, inside / float(np.mean(outside))))
    mixed = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(x))
        scores = ScoreStandardization().fit(x[order[:250]], y[order[:250]])
        a, b = (side[order[250:]] / np.linalg.norm(side[order[250:]], axis=1, keepdims=True) for side in (x, y))
        mixed.append(MixedSearch.of(a, b, rng=seed, correction=scores).recall(1))
    said = f"as Identity, mixed {np.mean(mixed):.3f}"
    return [*found, Row("ScoreStandardization", "R@1 as Identity", said, float("nan"))]


def main() -> None:
    show(rows())


if __name__ == "__main__":
    main()
