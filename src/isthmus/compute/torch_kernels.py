"""Ranks and neighbours in blocks of scores on a PyTorch device: what ranks and measures of neighbours count.

Scores are rounded differently there, so that rows whose scores differ by a few units of rounding may change places.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.devices import full_precision, to_device

#: Scores in one block on the device, 256 MB of float32; masks of the same shape come beside it.
BLOCK_SCORES = 2**26


def count_above(
    x: np.ndarray, y: np.ndarray, best: np.ndarray, own: np.ndarray, owner: np.ndarray, device: str, /
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x how many rows y[j] of other items score `best[i]` or more, (n_x,), and for each row of y how
    many rows of x other than its owner score `own[j]` or more, (n_y,)."""
    at_x, at_y, best_there, own_there, owner_there = (to_device(a, device) for a in (x, y, best, own, owner))
    above_x, above_y = (to_device(np.zeros(len(side), dtype=np.int64), device) for side in (x, y))
    numbers = to_device(np.arange(len(x)), device)
    with full_precision():
        for start, stop in _blocks(len(x), len(y)):
            scores = at_x[start:stop] @ at_y.T
            others = numbers[start:stop, None] != owner_there
            above_x[start:stop] = ((scores >= best_there[start:stop, None]) & others).sum(1)
            above_y += ((scores >= own_there) & others).sum(0)
    return to_numpy(above_x), to_numpy(above_y)


def nearest(
    queries: np.ndarray, corpus: np.ndarray, device: str, /, *, k: int, leave_self: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Blocks (scores, numbers) of the k nearest rows of the corpus, nearest first, (b, k) each."""
    at_queries, at_corpus = to_device(queries, device), to_device(corpus, device)
    parts = []
    with full_precision():
        for start, stop in _blocks(len(queries), len(corpus)):
            scores = at_queries[start:stop] @ at_corpus.T
            if leave_self:
                scores.diagonal(start)[:] = -np.inf
            parts.append(_top(scores, k))
    return parts


def search(
    queries: np.ndarray, same: np.ndarray, other: np.ndarray, k: int, device: str, first: int, last: int, /
) -> tuple[list[Any], list[Any], np.ndarray, np.ndarray]:
    """For the queries first .. last - 1: nearest rows on their own side (themselves left out) and on the other, as
    blocks (scores, numbers), the rank of the partner among both, and how often each item comes before a partner."""
    at_queries, at_same, at_other = (to_device(side, device) for side in (queries, same, other))
    n = len(queries)
    before = to_device(np.zeros(n, dtype=np.int64), device)
    parts_same, parts_other, ranks = [], [], []
    with full_precision():
        for start, stop in _blocks(last, n, first):
            across, within = (at_queries[start:stop] @ side.T for side in (at_other, at_same))
            own = across.diagonal(start).clone()[:, None]
            parts_other.append(_top(across, k))
            within.diagonal(start)[:] = -np.inf
            parts_same.append(_top(within, min(k, n - 1)))
            above = across >= own
            above.diagonal(start)[:] = False
            counts = above.byte() + (within >= own).byte()
            ranks.append(to_numpy(1 + counts.sum(1)))
            before += counts.sum(0)
    return parts_same, parts_other, np.concatenate(ranks), to_numpy(before)


def find(
    queries: np.ndarray,
    corpus: np.ndarray,
    columns: np.ndarray,
    real: np.ndarray,
    top: int,
    slack: float,
    device: str,
    /,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    """By block of queries: the scores of the relevant rows of the corpus (`columns` (n, m) where `real`), best first,
    -inf beyond them; how many other rows score as high as each; and the numbers of the `top` nearest others."""
    dtype = np.result_type(queries, corpus)
    at_queries, at_corpus = (to_device(side.astype(dtype, copy=False), device) for side in (queries, corpus))
    at_columns, at_real = to_device(columns, device), to_device(real, device)
    for start, stop in _blocks(len(queries), len(corpus)):
        with full_precision():
            scores = at_queries[start:stop] @ at_corpus.T
        there, meant = at_columns[start:stop], at_real[start:stop]
        relevant = scores.gather(1, there).masked_fill(~meant, -np.inf)
        scores.scatter_reduce_(1, there, relevant.new_full(there.shape, -np.inf).where(meant, np.inf), "amin")
        relevant = relevant.sort(dim=1, descending=True).values
        above = [to_numpy((scores >= one[:, None] - slack).sum(1)) for one in relevant.T]
        yield slice(start, stop), to_numpy(relevant), np.stack(above, axis=1), _top(scores, top)[1]


def _top(scores: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    values, found = scores.topk(min(k, scores.shape[1]), dim=1)
    return to_numpy(values), to_numpy(found)


def _blocks(last: int, corpus: int, first: int = 0) -> list[tuple[int, int]]:
    step = max(1, BLOCK_SCORES // corpus)
    return [(start, min(start + step, last)) for start in range(first, last, step)]
