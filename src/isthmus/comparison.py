"""Aligners x tasks x splits: every map is fitted on some pairs and judged on others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.align import (
    Aligner,
    Centering,
    HyperplaneRotation,
    Identity,
    MeanRotation,
    SharedSpaceProjection,
)
from isthmus.arrays import to_numpy
from isthmus.checks import InputError
from isthmus.intervals import Z95
from isthmus.metrics import View
from isthmus.metrics.centroid import gap_angle
from isthmus.moments import Moments
from isthmus.pairs import Pairs
from isthmus.result import NAN, Estimate
from isthmus.tasks import MixedSearch, Retrieval
from isthmus.theory.ceilings import fidelity

#: More items than this are sampled: the tasks cost n^2 for every aligner and split.
SAMPLE = 10_000


@dataclass(frozen=True)
class Row:
    """One aligner on the test pairs, mean over splits.

    `scores` by name: 'gap' (degrees, undefined when the means vanish), 'paired_cosine', 'ceiling' (the largest mean
    cosine that any pairing of these clouds could have, in the first split), 'ceiling_reached' (the share of it),
    'R@1' (mean of both directions), 'mixed_R@1', 'mixed_NDCG@10', 'own_modality' (share of the top 10; .5 is fair). `changes` are the
    paired differences of R@1 and mixed_R@1 to Identity with 95 % intervals over items. `notes` say what went wrong.
    """

    aligner: Aligner
    scores: dict[str, Estimate]
    changes: dict[str, Estimate]
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The class name with the options that are not defaults."""
        import dataclasses

        own = [
            f"{f.name}={getattr(self.aligner, f.name)!r}"
            for f in dataclasses.fields(self.aligner)
            if getattr(self.aligner, f.name) != f.default
        ]
        return type(self.aligner).__name__ + (f"({', '.join(own)})" if own else "")


@dataclass(frozen=True)
class Comparison:
    """The table of `compare`: `rows` in the order of the aligners, Identity first."""

    rows: list[Row]
    n_fit: int
    n_test: int
    splits: int

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no aligner {name!r} in this table; it has {', '.join(row.name for row in self.rows)}")


def default_aligners() -> list[Aligner]:
    """Those of the report."""
    return [
        Centering(),
        MeanRotation(),
        HyperplaneRotation(),
        SharedSpaceProjection(),
        SharedSpaceProjection(estimator="published"),
    ]


def compare(
    pairs: Pairs,
    /,
    *,
    aligners: Sequence[Aligner] | None = None,
    fit: Pairs | None = None,
    splits: int = 5,
    rng: int = 0,
    normalize: bool = True,
) -> Comparison:
    """Fit each aligner on one half of the pairs and judge it on the other, over `splits` random halves.

    With `fit` the aligners are fitted on those pairs and judged on all of `pairs`, once. Identity is always
    included. An aligner that refuses the data stays in the table with its reason. Intervals are over items, for one
    split: splits share items, so their mean is at least as sure as that.
    Errors: `InputError` when there are fewer than 8 items, or `fit` is `pairs`.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + [[[1.0]], [[2.0]]]
    >>> table = isthmus.compare(isthmus.Pairs(image=X, text=Y), splits=1)
    >>> table.rows[0].name, table.n_fit, table.n_test
    ('Identity', 50, 50)
    """
    if fit is pairs:
        raise InputError("fit and test are the same pairs: what is fitted must be judged on pairs it has not seen")
    if pairs.items < 8:
        raise InputError(
            f"{pairs.items} items are too few to fit on one half and judge on the other, expected 8 or more"
        )
    chosen = [Identity(normalize=normalize), *(aligners if aligners is not None else default_aligners())]
    pairs.moments(normalize=normalize)  # looks at every row, so that a bad one is named as it stands in its file
    pairs = pairs.sample(SAMPLE, rng=rng)
    rounds = [(fit, pairs)] if fit is not None else [pairs.halves(rng=rng + s) for s in range(splits)]
    runs: list[list[dict[str, Any] | str]] = [[] for _ in chosen]
    for number, (fitting, testing) in enumerate(rounds):
        moments = fitting.moments(normalize=normalize)
        sides = testing.unit(normalize=normalize)
        for aligner, results in zip(chosen, runs, strict=True):
            results.append(_judge(aligner, moments, testing, sides, rng + number, with_ceiling=number == 0))
    rows = [_row(aligner, results, runs[0]) for aligner, results in zip(chosen, runs, strict=True)]
    return Comparison(rows, n_fit=rounds[0][0].n, n_test=rounds[0][1].n, splits=len(rounds))


def _judge(
    aligner: Aligner, moments: Moments, testing: Pairs, sides: tuple[Any, Any], seed: int, *, with_ceiling: bool
) -> dict[str, Any] | str:
    """Scores and per-item hits of `aligner` on the test pairs, or the reason why it refuses."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            aligner.fit_moments(moments)
            x, y = (to_numpy(side) for side in aligner.transform(*sides))
        except InputError as error:
            return str(error)
    if x.shape[1] < 2:
        return "it keeps a single dimension, in which every cosine is 1 or -1"
    after = Moments.of(x, y, index=testing.index, normalize=False, products="float64")
    inflation = 1 + testing.items / moments.by_item.count if aligner.centres else 1.0
    # One split is enough for what is nearly the same in all of them and costs as much as the rest.
    top = float(after.mean_x @ after.mean_y) + fidelity(after.cov_x, after.cov_y) if with_ceiling else NAN
    ranks = Retrieval.of(x, y, index=testing.index)
    first = np.arange(testing.items) if testing.index is None else _first_rows(testing.index, testing.items)
    mixed = MixedSearch.of(x[first >= 0], y[first[first >= 0]], rng=seed)
    forward, backward = ranks.recall(1)
    return {
        "gap": gap_angle(View(after), inflation=inflation),
        "paired_cosine": after.mean_paired,
        "ceiling": top,
        "ceiling_reached": after.mean_paired / top if top > 0 else NAN,
        "R@1": (forward.value + backward.value) / 2,
        "mixed_R@1": mixed.recall(1),
        "mixed_NDCG@10": mixed.ndcg(),
        "own_modality": mixed.bias,
        "hits": {"R@1": _item_hits(ranks, testing), "mixed_R@1": mixed.hits},
        "notes": [str(w.message) for w in caught],
    }


def _first_rows(index: np.ndarray, items: int) -> np.ndarray:
    """The first row of y of each item, -1 for an item without one."""
    first = np.full(items, -1)
    rows, where = np.unique(index, return_index=True)
    first[rows] = where
    return first


def _item_hits(ranks: Retrieval, testing: Pairs) -> np.ndarray:
    """R@1 of each item: mean of its own query and of its partners' queries."""
    owner = np.arange(testing.items) if testing.index is None else testing.index
    counts = np.bincount(owner, minlength=testing.items)
    backward = np.bincount(owner, weights=ranks.y_to_x <= 1, minlength=testing.items)[counts > 0] / counts[counts > 0]
    return ((ranks.x_to_y <= 1) + backward) / 2


def _row(aligner: Aligner, results: list[Any], raw: list[Any]) -> Row:
    refused = [r for r in results if isinstance(r, str)]
    if refused:
        reason = refused[0] + (f" ({len(refused)} of {len(results)} splits)" if len(results) > 1 else "")
        return Row(aligner, {}, {}, [reason])
    names = ("paired_cosine", "R@1", "mixed_R@1", "mixed_NDCG@10", "own_modality")
    scores = {name: Estimate(float(np.mean([r[name] for r in results]))) for name in names}
    scores |= {name: Estimate(results[0][name]) for name in ("ceiling", "ceiling_reached")}
    gaps = [r["gap"] for r in results]
    open_gaps = [g.value for g in gaps if not g.undefined]
    if len(open_gaps) == len(gaps):
        gap = Estimate(float(np.mean(open_gaps)), unit="degrees")
    else:
        gap = Estimate(NAN, unit="degrees", undefined=next(g.undefined for g in gaps if g.undefined))
    changes = {}
    for name in ("R@1", "mixed_R@1"):
        differences = [r["hits"][name] - base["hits"][name] for r, base in zip(results, raw, strict=True)]
        mean = float(np.mean([d.mean() for d in differences]))
        error = float(np.mean([d.std(ddof=1) / math.sqrt(len(d)) for d in differences]))
        changes[name] = Estimate(mean, mean - Z95 * error, mean + Z95 * error)
    notes = list(dict.fromkeys(note for r in results for note in r["notes"]))
    return Row(aligner, {"gap": gap, **scores}, changes, notes)
