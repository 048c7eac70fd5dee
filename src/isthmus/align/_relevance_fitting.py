"""Calibration of the relevance of hits on pairs of which some are not stored."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from isthmus.align._hit_model import CalibrationHits, HitModel
from isthmus.align._score_model import EQUAL_DISTANCE_SQ, Direction, ScoreModel
from isthmus.align._score_rows import ScoreRows
from isthmus.compute.arrays import Array, to_numpy
from isthmus.compute.topk import topk
from isthmus.data.pairs import Pairs
from isthmus.tasks.matches import Matches
from isthmus.utils.arguments import check_number, check_seed
from isthmus.utils.errors import InputError
from isthmus.utils.format import too_few
from isthmus.utils.warning import without_warnings

#: Random choices of the items that are stored.
DRAWS = 4
#: Folds of the items, each judged with the bank rows of the others. One fold leaves out at most this share of the bank.
FOLDS, MAX_OVERLAP = 2, 0.2
#: Fewest items, and largest sample of them.
MIN_ITEMS, MAX_ITEMS = 40, 4_000
#: Fewest right and wrong hits that three weights are fitted to.
MIN_HITS = 10


def calibrate(
    correction: ScoreRows, pairs: Pairs, *, share_without_match: float, rng: int
) -> dict[Direction, HitModel]:
    """Return the models of both directions of a pair of modalities, or raise `InputError`."""
    if not correction.rule().needs_bank:
        raise InputError(
            f"{type(correction).__name__} has no bank, and relevance needs the level of queries; use ScoreCalibration"
        )
    check_number(share_without_match, "share_without_match", "a share between 0 and 1", 0, 1)
    check_seed(rng)
    if pairs.n_components < MIN_ITEMS:
        raise InputError(
            f"{too_few(pairs.n_components, 'item')} to calibrate the relevance of hits, expected {MIN_ITEMS} or more"
        )
    modalities = correction.modalities
    numbers = [modalities.index(name) if name in modalities else k for k, name in enumerate(pairs.names)]
    names = modalities[numbers[0]], modalities[numbers[1]]
    folds = list(_folds(correction, pairs.sample(MAX_ITEMS, rng=rng), names, rng))
    models = {}
    for query, stored in ((0, 1), (1, 0)):
        direction = names[query], names[stored]
        hits = CalibrationHits.joined(
            [_first_hits(*fold, names, (query, stored), share_without_match, rng) for fold in folds]
        )
        n_right = int(hits.is_right[hits.is_full].sum())
        n_wrong = int(hits.is_full.sum()) - n_right
        if min(n_right, n_wrong) < MIN_HITS * DRAWS:
            raise InputError(
                f"{n_right / DRAWS:.0f} first hits of {direction[0]} queries in {direction[1]} are right and "
                f"{n_wrong / DRAWS:.0f} are wrong, expected {MIN_HITS} or more of each; calibrate with "
                "more pairs"
            )
        models[direction] = HitModel.calibrated(hits, share_without_match=share_without_match)
    return models


def _folds(
    correction: ScoreRows, pairs: Pairs, names: tuple[str, str], rng: int
) -> Iterator[tuple[ScoreRows, ScoreModel, Pairs]]:
    """Yield corrections, their models without the rows of the judged pairs in the banks, and the judged pairs.

    If much of the bank belongs to the pairs, one fold of the items is judged at a time. The share of the bank that is
    averaged stays. A row map that used the pairs is fitted anew to the other items.
    """
    model = correction.score_model
    distinct_rows, matches = _distinct_rows(pairs)
    items = matches.x_components, matches.y_components
    rows = [to_numpy(correction.mapped(r, modality=name)) for r, name in zip(distinct_rows, names, strict=True)]
    bank_items = [_bank_items(model.banks[n], r, i) for n, r, i in zip(names, rows, items, strict=True)]
    overlap = max(float((numbers >= 0).mean()) for numbers in bank_items)
    n_folds = 1 if overlap <= MAX_OVERLAP else FOLDS
    fold_of_item = np.random.default_rng([rng, 0]).permutation(int(items[0].max()) + 1) % n_folds
    for fold in range(n_folds):
        is_in_fold = fold_of_item[items[0]] == fold
        judged_pairs = pairs.take(np.flatnonzero(is_in_fold))
        if correction.row_map_uses_pairs and n_folds > 1:
            refitted = type(correction)(**correction.get_params())
            with without_warnings():  # this fit serves the calibration alone
                refitted.fit(pairs.take(np.flatnonzero(~is_in_fold)), names=names)
            yield refitted, refitted.score_model, judged_pairs
            continue
        banks = dict(model.banks)
        for name, numbers in zip(names, bank_items, strict=True):
            banks[name] = banks[name][(numbers < 0) | (fold_of_item[numbers] != fold)]
            if not len(banks[name]):
                raise InputError(
                    f"the bank of {name} holds no rows of other items, because its rows are equal; calibrate "
                    "with other pairs"
                )
        share = min(len(banks[name]) / len(model.banks[name]) for name in names)
        yield correction, replace(model, banks=banks, k=max(round(model.k * share), 1)), judged_pairs


def _first_hits(
    correction: ScoreRows, model: ScoreModel, pairs: Pairs, names: tuple[str, str], direction: tuple[int, int],
    share_without_match: float, rng: int,
) -> CalibrationHits:  # fmt: skip
    """Return the first hits of queries among random choices of stored items, for a corpus of full and of half size."""
    asking, corpus = direction
    query, stored = names[asking], names[corpus]
    distinct_rows, matches = _distinct_rows(pairs)
    raw = [to_numpy(rows) for rows in distinct_rows]
    mapped = [to_numpy(correction.mapped(rows, modality=name)) for rows, name in zip(raw, names, strict=True)]
    compared = raw if raw[0].shape[1] == raw[1].shape[1] else mapped
    items = matches.x_components, matches.y_components
    hubness = model.hubness(mapped[corpus], query=query, stored=stored)
    n_items = int(items[0].max()) + 1
    hits = []
    for draw, is_full in itertools.product(range(DRAWS), (True, False)):
        order = np.random.default_rng([rng, 1, draw]).permutation(n_items)
        n_asking = n_items if is_full else n_items // 2
        queries = np.flatnonzero(order[items[asking]] < n_asking)
        n_stored = max(round((1 - share_without_match) * n_asking), 2)
        rows = np.flatnonzero(order[items[corpus]] < n_stored)
        best = model.best(
            mapped[asking][queries], mapped[corpus][rows], query=query, stored=stored, k=2, hubness=hubness[rows]
        )
        first = rows[best.index[:, 0]]
        hits.append(
            CalibrationHits(
                features=model.hit_features(best.scores, mapped[asking][queries], query=query, stored=stored),
                is_right=matches.contain(*((queries, first) if asking == 0 else (first, queries))),
                has_match=order[items[asking][queries]] < n_stored,
                cosines=np.einsum("nd,nd->n", compared[asking][queries], compared[corpus][first]),
                items=items[asking][queries],
                n_stored=np.full(len(queries), len(rows)),
                is_full=np.full(len(queries), is_full),
            )
        )
    return CalibrationHits.joined(hits)


def _distinct_rows(pairs: Pairs) -> tuple[tuple[Array, Array], Matches]:
    """Return the distinct rows of x and of y, and which of them match."""
    x, y = pairs.unit()
    matches = Matches.of(pairs.n_items, pairs.n_pairs, pairs.owner, pairs.y_groups)
    return (x, y[matches.y_rows]), matches


def _bank_items(bank: np.ndarray, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the item of each row of a bank that equals one of the rows, and -1 for the others."""
    nearest = topk(bank, rows, k=1, exclude_self=False).index[:, 0]
    differences = bank - rows[nearest]
    is_equal = np.einsum("nd,nd->n", differences, differences) <= EQUAL_DISTANCE_SQ
    return np.where(is_equal, items[nearest], -1)
