"""Claim: the probability that a hit is right is calibrated, and finds more matches at a precision than the cosine.

    ISTHMUS_FIXTURES=... python benchmarks/relevance.py [clip_coco] [videoclip_msrvtt] [clasp_uniprot] [plain] ...

Ten random halves of each set, as in benchmarks/scores.py: `ScoreCalibration` is fitted to the first half, and its
relevance is calibrated on the same half. All items of the second half search, and a random half of them is stored.
Recall is the share of the queries with a match whose right hit passes. All numbers are in percent and the mean of both
directions: the largest recall at a precision of 80 and 90 %, the precision and the recall at the threshold that the
first half gives for them, the recall that it states, and the calibration error in ten groups of all hits of all halves.
"""

from __future__ import annotations

import sys

import numpy as np
from _table import Row, show
from scores import data_sets

import isthmus
from isthmus.align import Reliability, ScoreCalibration

PRECISIONS = (0.8, 0.9)
SHARE_WITHOUT_MATCH = 0.5
SPLITS = 10
#: Recall that has to be reached at both precisions, and largest calibration error, which has to be kept on these sets.
ASKED = {"clip_coco": (45, 32)}
ALLOWED_ERROR = 8


def rows(*names: str) -> list[Row]:
    """Recall at two precisions, transfer of the thresholds, and calibration error on every set."""
    table = []
    for name, pairs in data_sets():
        if names and name not in names:
            continue
        try:
            splits = [measure(pairs, seed) for seed in range(SPLITS)]
        except isthmus.InputError as error:
            table.append(Row(f"relevance on {name}", "refused", str(error), float("nan")))
            continue
        probability, is_right = (
            np.concatenate([split[key] for split in splits]) for key in ("probability", "is_right")
        )
        error = 100 * reliability(probability, is_right).error
        for position, precision in enumerate(PRECISIONS):
            numbers = np.array([split["numbers"][position] for split in splits])
            recall, by_cosine, stated, passing, right, matches = numbers.mean(axis=0)
            reached = 100 * right / max(passing, 1e-9)
            line = (
                f"{100 * recall:.1f}, threshold: precision {reached:.0f}, recall {100 * right / matches:.1f} "
                f"(stated {100 * stated:.1f})"
            )
            title = f"recall at precision {100 * precision:.0f} on {name}"
            table.append(Row(title, line, f"cosine {100 * by_cosine:.1f}", recall / max(by_cosine, 1e-9)))
            if name in ASKED:
                asked = ASKED[name][position]
                table.append(Row(title, f"{100 * recall:.1f}", f"{asked} required", 100 * recall / asked, 1))
        needed = 1 if name in ASKED else None
        claim = f"calibration error on {name}"
        table.append(Row(claim, f"{error:.1f}", f"{ALLOWED_ERROR} allowed", ALLOWED_ERROR / error, needed))
    return table


def measure(pairs: isthmus.Pairs, seed: int) -> dict[str, np.ndarray]:
    """Probabilities and truth of the hits of one half, and its numbers for both precisions."""
    order = np.random.default_rng(seed).permutation(pairs.n_items)
    fitted, judged = (pairs.take(items) for items in (order[: len(order) // 2], order[len(order) // 2 :]))
    correction = ScoreCalibration().fit(fitted)
    relevance = correction.relevance(fitted, share_without_match=SHARE_WITHOUT_MATCH)
    items = np.arange(judged.n_items)
    stored = np.random.default_rng(seed + 500).permutation(items)[: round((1 - SHARE_WITHOUT_MATCH) * len(items))]
    probabilities, truths, numbers = [], [], []
    rows = [np.asarray(table) for table in judged.unit()]
    for a, b in ((0, 1), (1, 0)):
        names = {"query": judged.names[a], "stored": judged.names[b]}
        hit, probability = relevance.first_hits(rows[a], rows[b][stored], **names)
        is_right = stored[hit] == items
        products = rows[a] @ rows[b][stored].T
        cosine, cosine_is_right = products.max(axis=1), stored[products.argmax(axis=1)] == items
        numbers.append([])
        for precision in PRECISIONS:
            passes = probability >= relevance.threshold(precision, **names)
            numbers[-1].append([
                recall_at(probability, is_right, len(stored), precision),
                recall_at(cosine, cosine_is_right, len(stored), precision),
                relevance.recall(precision, n_stored=len(stored), **names),
                passes.sum(), (passes & is_right).sum(), len(stored),
            ])  # fmt: skip
        probabilities.append(probability)
        truths.append(is_right)
    values = {"probability": np.concatenate(probabilities), "is_right": np.concatenate(truths)}
    return values | {"numbers": np.array(numbers).mean(axis=0)}


def recall_at(score: np.ndarray, is_right: np.ndarray, n_matches: int, precision: float) -> float:
    """Largest share of the matches among the hits of largest score that have a precision, by their truth."""
    right = np.cumsum(is_right[np.argsort(-score, kind="stable")])
    reached = np.flatnonzero(right / np.arange(1, len(right) + 1) >= precision)
    return float(right[reached[-1]] / n_matches) if len(reached) else 0.0


def reliability(probability: np.ndarray, is_right: np.ndarray) -> Reliability:
    """Predicted against observed shares in ten groups of equally many hits."""
    groups = np.array_split(np.argsort(probability, kind="stable"), 10)
    predicted, observed = ([float(values[g].mean()) for g in groups] for values in (probability, is_right))
    return Reliability(np.array(predicted), np.array(observed), np.array([len(g) for g in groups]))


if __name__ == "__main__":
    show(rows(*sys.argv[1:]))
