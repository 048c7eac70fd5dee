"""Claim: an item stored as one row of both modalities is found as often as by the better of its two rows.

    ISTHMUS_FIXTURES=... python benchmarks/items.py [clip_coco] [videoclip_msrvtt] [clasp_uniprot] [plain] ...

Ten random halves of each set, as in benchmarks/scores.py, and 40 of sets of fewer than 100 items, where one item of the
judged half counts two points. `ScoreCalibration` is fitted to the first half. The weights are chosen with the items of
the first half and judged with those of the second. The sets have one row of each modality for an item, so a query is
made of the row of its modality: the row plus s times the deviation of the row of another.
"""

from __future__ import annotations

import sys

import numpy as np
from _table import Row, show
from scores import data_sets

import isthmus
from isthmus.align import CombinedItems, ScoreCalibration

STRENGTHS = (0.7, 1.0, 1.4)
SPLITS, SMALL_ITEMS = 10, 100


def rows(*names: str) -> list[Row]:
    """R@1 of items of both modalities beside that of the better one, in percent."""
    table = []
    for name, pairs in data_sets():
        if names and name not in names:
            continue
        for number, query in enumerate(pairs.names):
            for strength in STRENGTHS:
                splits = SPLITS if pairs.n_items >= SMALL_ITEMS else 4 * SPLITS
                values = 100 * np.array([measure(pairs, number, strength, seed) for seed in range(splits)])
                both, first, second = values.mean(axis=0)
                better = max(first, second)
                line = f"{both:.1f} ({pairs.names[0]} {first:.1f}, {pairs.names[1]} {second:.1f})"
                claim = f"items of {name}, {query} queries, s = {strength:g}"
                table.append(Row(claim, line, "better half less one point", both - better, -1))
    return table


def measure(pairs: isthmus.Pairs, number: int, strength: float, seed: int) -> list[float]:
    """R@1 of both modalities with the chosen weight, and of each alone, on the second half."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(pairs.n_items)
    halves = [pairs.take(items) for items in (order[: len(order) // 2], order[len(order) // 2 :])]
    correction, query = ScoreCalibration().fit(halves[0]), pairs.names[number]
    fitted, judged = (dict(zip(pairs.names, half.unit(), strict=True)) for half in halves)
    queries = [disturbed(rows[query], strength, rng) for rows in (fitted, judged)]
    chosen = CombinedItems.chosen(correction, queries[0], query=query, **fitted)
    asked = correction.query(queries[1], modality=query, index="exact")
    recall = []
    for weight in (chosen.weights[pairs.names[0]], 1.0, 0.0):
        weights = {pairs.names[0]: weight, pairs.names[1]: 1 - weight}
        stored = CombinedItems(correction, query, weights).stored(**judged)
        recall.append(float(np.mean((asked @ stored.T).argmax(axis=1) == np.arange(len(stored)))))
    return recall


def disturbed(rows: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Each row plus `strength` times the deviation of the row of another item from the mean."""
    others = np.roll(rng.permutation(len(rows)), 1)
    mixed = rows + strength * (rows[others] - rows.mean(axis=0))
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


if __name__ == "__main__":
    show(rows(*sys.argv[1:]))
