"""Claim: `Auto` closes the gap on pairs that it has not seen, and keeps the recall that its aim promises.

    ISTHMUS_FIXTURES=... python benchmarks/auto.py [clip_coco] [videoclip_msrvtt] [plain] [warm] [collapsed]

Run alone it prints the table of docs/reference/aligners.md, every aim on every set. Ten random halves of each set
(`numpy.random.default_rng(s).permutation(n)`, s = 0 to 9): fitted on the first half, judged on the second. The demo's
runs also: fitted on their training split, judged on their test split, once. In percent and points: R@1 is the mean of
both directions, mixed R@1 that of both query modalities, accuracy that of the nearest class, whose prototype is the
mean text of the fitting rows. Seconds are those of the processor for one fit.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _table import Row

import isthmus
from isthmus import IsthmusWarning, Pairs
from isthmus.align import Auto
from isthmus.align._candidates import AIMS
from isthmus.tasks import MixedSearch, TaskData, ZeroShot, mean_texts
from isthmus.tasks import registry as tasks

SETS = {"clip_coco": ("image", "text"), "videoclip_msrvtt": ("video", "text")}


#: The mixed R@1 that `aim='search'` has to reach on the COCO pairs, and the recall that the aims may cost.
MIXED, SEARCH_COST, RETRIEVAL_COST = 0.28, 0.02, 0.005


def rows() -> list[Row]:
    """What is asked of the two aims, on every set that is there."""
    found = []
    for name in _there(list(SETS)) + list(isthmus.demo.RUNS):
        for how, splits in cases(name):
            _, raw, recall, *_ = scores("retrieval", splits)
            claim = f"R@1 of Auto(aim='retrieval') on unseen pairs of {name}{how}"
            least = round(1 - RETRIEVAL_COST / raw, 3)
            found.append(Row(claim, f"{recall:.3f}", f"raw {raw:.3f}", recall / raw, least=least))
            if name == "clip_coco":
                _, raw, recall, _, mixed, *_ = scores("search", splits)
                claim = f"mixed R@1 of Auto(aim='search') on unseen pairs of {name}"
                found.append(Row(claim, f"{mixed:.3f}", f"{MIXED} required", mixed / MIXED, least=1))
                least = round(1 - SEARCH_COST / raw, 3)
                found.append(
                    Row("and its cross-modal R@1", f"{recall:.3f}", f"raw {raw:.3f}", recall / raw, least=least)
                )
    return found


def main() -> None:
    print(
        "| data (fitted / judged) | aim | R@1 raw | change | mixed R@1 raw | Auto | accuracy raw | change | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or [*_there(list(SETS)), *isthmus.demo.RUNS]:
        for how, splits in cases(name):
            for aim in AIMS:
                if aim == "classification" and splits[0][0].labels is None:
                    continue
                seconds, r0, r1, m0, m1, a0, a1 = 100 * np.array(scores(aim, splits))
                label = f"{name}{how} ({splits[0][0].n_items} / {splits[0][1].n_items})"
                accuracy = "| |" if np.isnan(a0) else f"| {a0:.1f} | {a1 - a0:+.1f}"
                print(
                    f"| {label} | {aim} | {r0:.1f} | {r1 - r0:+.1f} | {m0:.1f} | {m1:.1f} {accuracy} "
                    f"| {seconds / 100:.1f} |",
                    flush=True,
                )


def _there(names: list[str]) -> list[str]:
    return names if "ISTHMUS_FIXTURES" in os.environ else []


def scores(aim: str, splits: list[tuple[Pairs, Pairs]]) -> list[float]:
    """Seconds, then R@1, mixed R@1 and accuracy, each raw and aligned; means over the splits."""
    warnings.simplefilter("ignore", IsthmusWarning)
    return np.mean([judged(aim, fit, test, seed) for seed, (fit, test) in enumerate(splits)], axis=0).tolist()


def cases(name: str) -> Iterator[tuple[str, list[tuple[Pairs, Pairs]]]]:
    if name in SETS:
        folder = Path(os.environ["ISTHMUS_FIXTURES"]) / name
        pairs = isthmus.open_pairs(*(folder / f"{side}.npy" for side in SETS[name]))
        yield "", [pairs.split_half(rng=seed) for seed in range(10)]
        return
    train, test = (isthmus.demo.load(name, split=split) for split in ("train", "test"))
    yield ", halves", [test.split_half(rng=seed) for seed in range(10)]
    yield ", train / test", [(train, test)]


def judged(aim: str, fit: Pairs, test: Pairs, seed: int) -> list[float]:
    """Seconds to fit, then R@1, mixed R@1 and accuracy, each raw and aligned."""
    start = time.process_time()
    auto = Auto(aim=aim).fit(fit)
    seconds = time.process_time() - start
    rows = (fit.unit(), test.unit())
    mapped = rows if auto.corrects_scores else (auto.transform(fit), auto.transform(test))
    found: list[list[float]] = []
    for (fitted, judged_rows), correction in ((rows, None), (mapped, auto if auto.corrects_scores else None)):
        data = TaskData(*judged_rows, seed=seed, correction=correction)
        recall = tasks()["retrieval"].run(data).scores()["R@1"]
        mixed = MixedSearch.of(*judged_rows, rng=seed, correction=correction).recall(1)
        found.append([recall, mixed, accuracy(fitted[1], judged_rows[0], fit, test)])
    return [seconds] + [value for both in zip(*found, strict=True) for value in both]


def accuracy(fit_texts: np.ndarray, rows: np.ndarray, fit: Pairs, test: Pairs) -> float:
    if fit.labels is None or test.labels is None:
        return float("nan")
    classes, texts = mean_texts(fit_texts, np.arange(fit.n_pairs), fit.labels)
    return ZeroShot.of(rows, test.labels, texts, class_names=classes).accuracy


if __name__ == "__main__":
    main()
