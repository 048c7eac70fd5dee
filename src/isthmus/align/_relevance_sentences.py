"""Sentences that say what the relevance of hits allows."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from isthmus.align._hit_model import HitModel
from isthmus.align._score_model import Direction
from isthmus.utils.format import counted

#: Recall of right hits below which a threshold is useless.
MIN_RECALL = 0.1
#: Precisions of the thresholds.
PRECISIONS = (0.8, 0.9)


def threshold_sentence(direction: Direction, model: HitModel, n_stored: int | None) -> str:
    """Return the recall of thresholds in a corpus of `n_stored` rows, or that no threshold is good enough."""
    size = model.n_stored if n_stored is None else n_stored
    query, stored = direction
    setting = (
        f"If {query} queries search {size:,} {stored} rows, and {_percent(model.share_without_match)} of the queries "
        "have no match:"
    )
    # The recall of each precision is extrapolated by itself, and a higher precision never finds more.
    values = np.minimum.accumulate([model.recall(precision, size) for precision in PRECISIONS])
    recall = dict(zip(PRECISIONS, values.tolist(), strict=True))
    if recall[PRECISIONS[0]] < MIN_RECALL:
        return (
            f"{setting} no threshold separates right hits from wrong ones. At a precision of "
            f"{_percent(PRECISIONS[0])}, {_percent(recall[PRECISIONS[0]])} of the matches are found."
        )
    reached = " and ".join(
        f"{_percent(value)} at a precision of {_percent(precision)} "
        f"(probability {_probability(model.threshold(precision))} or more)"
        for precision, value in recall.items()
        if value > 0
    )
    return (
        f"{setting} of the matches, a threshold on the probability finds {reached}. The probabilities are wrong by "
        f"{counted(round(100 * model.full.reliability().error), 'point')} on average."
    )


def cosine_sentence(direction: Direction, cosine: float, hits: Mapping[str, float]) -> str:
    """Return what the corrected score adds to a cosine, from the result of `Relevance.at_cosine`."""
    query, stored = direction
    interval = f"between {hits['from']:.3f} and {hits['to']:.3f}"
    if math.isnan(hits["right_share"]):
        return f"All first hits of {query} queries in {stored} have a cosine {interval}, and none has {cosine:g}."
    return (
        f"First hits of {query} queries in {stored} with a cosine {interval}: {_percent(hits['right_share'])} are "
        f"right. The corrected score tells them apart: a tenth of them has a probability of being right below "
        f"{max(math.ceil(100 * hits['low']), 1) / 100:.2f}, and another tenth has one above "
        f"{math.floor(min(100 * hits['high'], 99)) / 100:.2f}."
    )


def _probability(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
