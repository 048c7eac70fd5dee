"""Cross-validation of the candidates of `Auto`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align.blend import Blend
from isthmus.align.centering import Centering
from isthmus.align.difference_whitening import DifferenceWhitening
from isthmus.align.identity import Identity
from isthmus.align.kernel_blend import KernelBlend
from isthmus.align.partial_whitening import PartialWhitening
from isthmus.align.ridge_cca import RidgeCCA
from isthmus.align.shared_signal import SharedSignal
from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.tasks import MixedSearch, Retrieval, ZeroShot, mean_texts

AIMS = ("search", "retrieval", "classification")
#: Loss of cross-modal recall that aim='search' accepts.
RECALL_TOLERANCE = 0.02
#: Level of the one-sided bound of a gain, before the Bonferroni correction.
LEVEL = 0.025
#: Halvings of the corpus that mixed search is averaged over for up to 1,000 items. Above, one halving is enough.
HALVINGS = 3
#: Options of the candidates that are relative to a mean over coordinates.
RELATIVE_OPTIONS = ("lam", "before_lam", "cca_lam", "shrink", "floor")


def cross_validate(
    pairs: Pairs,
    group: np.ndarray,
    class_texts: Any,
    *,
    aim: str,
    folds: int,
    repeats: int,
    seed: int,
    normalize: bool,
) -> list[dict[str, Any]]:
    """Return the table of all candidates, from their scores per item over all folds and repeats."""
    names = [_display_name(candidate) for candidate in candidates(normalize)]
    pairs, class_texts, fraction = reduce_to_span(pairs, class_texts, normalize)
    # Score (value, recall), candidate, item: sums over the repeats.
    scores = np.zeros((2, len(names), pairs.n_items))
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(int(group.max()) + 1)
        fold = order[group] % folds
        test_sets = [pairs.take(np.flatnonzero(fold == f)) for f in range(folds)]
        moments = [Moments.of(test, normalize=normalize).numpy() for test in test_sets]
        for held_out, test in enumerate(test_sets):
            training = [m for f, m in enumerate(moments) if f != held_out]
            fit_moments, rows = sum(training[1:], start=training[0]), test.unit(normalize=normalize)
            fit_pairs = pairs.take(np.flatnonzero(fold != held_out)) if aim == "classification" else None
            for number, candidate in enumerate(candidates(normalize, fraction)):
                x, y = candidate.fit_moments(fit_moments).transform(*rows)
                recall = value = _recall(x, y, test)
                if aim == "search":
                    value = _mixed_recall(x, y, test, seed + repeat)
                elif fit_pairs is not None:
                    value = _accuracy(candidate, x, test.labels, fit_pairs, class_texts)
                scores[:, number, fold == held_out] += value, recall
    has_match = np.ones(pairs.n_items, dtype=bool) if pairs.index is None else np.bincount(pairs.index) > 0
    means = scores[:, :, has_match] / repeats
    return [table_row(name, means[:, number], means[:, 0], aim) for number, name in enumerate(names)]


def candidates(normalize: bool, fraction: float = 1.0) -> list[Aligner]:
    """Return the candidates, Identity first and then from weak to strong.

    `fraction` is that of the coordinates that rows were reduced to, because penalties are relative to means over
    coordinates.
    """
    aligners: list[Aligner] = [
        Identity(),
        Centering(),
        PartialWhitening(),
        DifferenceWhitening(),
        DifferenceWhitening(alpha=0.5),
        Blend(weight=0.25),
        PartialWhitening(alpha=0.5),
        KernelBlend(weight=0.1),
        KernelBlend(weight=0.25),
        KernelBlend(weight=0.5),
        KernelBlend(weight=0.75),
        SharedSignal(),
        SharedSignal(shrink=1.0, floor=0.0, before_alpha=0.25),
        RidgeCCA(),
    ]
    for candidate in aligners:
        penalties = {name: fraction * v for name, v in candidate.get_params().items() if name in RELATIVE_OPTIONS}
        candidate.set_params(normalize=normalize, **penalties)
    return aligners


def reduce_to_span(pairs: Pairs, class_texts: Any, normalize: bool) -> tuple[Pairs, Any, float]:
    """Return rows and class texts in coordinates of the space that they span, and its fraction of the dimension.

    No candidate uses directions outside of it, so a few rows of many dimensions are solved in few dimensions.
    """
    x, y = (to_numpy(rows).astype(np.float64) for rows in pairs.unit(normalize=normalize))
    texts = {} if class_texts is None else {k: np.asarray(to_numpy(v), np.float64) for k, v in class_texts.items()}
    stacked = np.vstack([x, y, *texts.values()])
    if len(stacked) < pairs.dim:
        basis = np.linalg.qr(stacked.T)[0]
        x, y = x @ basis, y @ basis
        texts = {label: text @ basis for label, text in texts.items()}
    reduced = Pairs(x=x, y=y, index=pairs.index, labels=pairs.labels, y_groups=pairs.y_groups)
    return reduced, texts if class_texts is not None else None, reduced.dim / pairs.dim


def _recall(x: np.ndarray, y: np.ndarray, test: Pairs) -> np.ndarray:
    """Return the R@1 of each item, (items,).

    It is the mean over the query of the item and the queries of its rows of y. An item without rows of y gets 0.
    """
    ranks = Retrieval.of(x, y, index=test.index)
    counts = np.bincount(test.owner, minlength=test.n_items)
    recall = np.bincount(test.owner, weights=ranks.y_to_x <= 1, minlength=test.n_items) / np.maximum(counts, 1)
    recall[counts > 0] += ranks.x_to_y <= 1
    return recall / 2


def _mixed_recall(x: np.ndarray, y: np.ndarray, test: Pairs, seed: int) -> np.ndarray:
    """Return the mixed-modality R@1 of each item with its first row of y, (items,). Without one it is 0."""
    items = np.arange(test.n_items)
    if test.index is not None:
        items, rows = np.unique(test.index, return_index=True)
        x, y = x[items], y[rows]
    halvings = HALVINGS if len(x) <= 1000 else 1
    recall = np.zeros(test.n_items)
    hits = [MixedSearch.of(x, y, rng=1000 * seed + number).hits for number in range(halvings)]
    recall[items] = np.mean(hits, axis=0)
    return recall


def _accuracy(aligner: Aligner, x: np.ndarray, labels: Any, fit_pairs: Pairs, class_texts: Any) -> np.ndarray:
    """Return 1 for each mapped row of x whose nearest class text is that of its class, else 0."""
    if class_texts is not None:
        names, texts = np.asarray(list(class_texts)), aligner.transform_y(np.stack(list(class_texts.values())))
    else:
        captions = aligner.transform_y(fit_pairs.y.read(0, fit_pairs.n_pairs))
        names, texts = mean_texts(captions, fit_pairs.owner, fit_pairs.labels)
    has_text = np.isin(labels, names)  # a class whose items are all held out has no text, so none is correct
    correct = np.zeros(len(labels))
    correct[has_text] = ZeroShot.of(x[has_text], labels[has_text], texts, class_names=names).hits
    return correct


def table_row(name: str, means: np.ndarray, raw: np.ndarray, aim: str) -> dict[str, Any]:
    """Return the entry of one candidate in the table."""
    value, recall = means
    change, gain = recall - raw[1], value - raw[0]
    error = float(change.std(ddof=1) / math.sqrt(len(change)))
    row: dict[str, Any] = {
        "name": name,
        "value": float(value.mean()),
        "gain": float(gain.mean()),
        "gain_error": float(gain.std(ddof=1) / math.sqrt(len(gain))),
        "recall": float(recall.mean()),
        "change": float(change.mean()),
        "change_error": error,
    }
    row["admissible"] = aim != "search" or row["change"] >= -min(RECALL_TOLERANCE, error) - 1e-12
    return row


def best_row(table: list[dict[str, Any]], aim: str) -> int:
    """Return the number of the best row of the table. Row 0 is Identity."""
    if aim == "search":
        admissible = [k for k, row in enumerate(table) if row["admissible"]]
        return max(admissible, key=lambda k: table[k]["value"])
    from scipy.special import ndtri

    z = float(ndtri(1 - LEVEL / max(len(table) - 1, 1)))
    for row in table:
        row["admissible"] = row["gain"] > 0 and row["gain"] >= z * row["gain_error"]
    significant = [k for k, row in enumerate(table) if row["admissible"]]
    return max(significant, key=lambda k: table[k]["gain"], default=0)


def explain_choice(table: list[dict[str, Any]], best: int, aim: str, n_items: int) -> list[str]:
    """Return sentences that explain the choice of row `best`."""
    row, raw = table[best], table[0]
    score = {"search": "mixed-modality R@1", "retrieval": "cross-modal R@1", "classification": "accuracy"}[aim]
    reasons = [
        f"{row['name']} has {score} {100 * row['value']:.1f} % on held-out halves of {n_items:,} items (raw "
        f"{100 * raw['value']:.1f} %); cross-modal R@1 changes by {100 * row['change']:+.1f} points "
        f"(standard error {100 * row['change_error']:.1f})."
    ]
    if best == 0:
        advantage = "is better at the accepted recall" if aim == "search" else "is significantly better"
        reasons.append(f"No candidate {advantage} in {score}, so the rows stay as they are.")
    higher = [r for r in table if r["value"] > row["value"] and not r["admissible"]]
    if higher:
        rejected = max(higher, key=lambda r: r["value"])
        reasons.append(
            f"{rejected['name']} reaches {100 * rejected['value']:.1f} % and was not accepted: cross-modal R@1 "
            f"{100 * rejected['change']:+.1f} points, standard error of its gain {100 * rejected['gain_error']:.1f}."
        )
    return reasons


def _display_name(aligner: Aligner) -> str:
    """Return the class name with the options that are not the defaults."""
    options = [
        f"{f.name}={getattr(aligner, f.name)!r}"
        for f in dataclasses.fields(aligner)
        if getattr(aligner, f.name) != f.default
    ]
    return type(aligner).__name__ + (f"({', '.join(options)})" if options else "")
