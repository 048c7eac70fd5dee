"""Auto: choose the map and its strength by cross-validation on the pairs that it is fitted on."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Map
from isthmus.align._statistics import Statistics
from isthmus.align.blend import Blend
from isthmus.align.centering import Centering
from isthmus.align.difference_whitening import DifferenceWhitening
from isthmus.align.identity import Identity
from isthmus.align.kernel_blend import KernelBlend
from isthmus.align.partial_whitening import PartialWhitening
from isthmus.align.ridge_cca import RidgeCCA
from isthmus.align.shared_signal import SharedSignal
from isthmus.compute.arrays import to_numpy
from isthmus.data.grouping import item_groups
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.tasks import MixedSearch, Retrieval, ZeroShot, mean_texts
from isthmus.utils.errors import InputError, IsthmusWarning

AIMS = ("search", "retrieval", "classification")
#: Fewer items than this are not cross-validated.
LEAST_ITEMS = 40
#: More items than this are sampled for the cross-validation; the chosen map is fitted on all.
SAMPLE = 2_000
#: Cross-modal recall that the aim 'search' may cost.
TOLERANCE = 0.02
#: Halvings of the corpus that mixed search is averaged over, up to 1,000 items; one above.
DRAWS = 3
#: Options of the candidates that are relative to a mean over coordinates.
PENALTIES = ("lam", "before_lam", "cca_lam", "shrink", "floor")


@dataclass(kw_only=True, eq=False)
class Auto(Aligner):
    """Chooses among the aligners, and how strong they are, by repeated two-fold cross-validation on the fitting pairs.

    Each candidate is fitted on one half of the items and judged on the other, as a corpus of its own, both ways round,
    for three random halvings (`folds`, `repeats`; at most 2,000 items are sampled). Large test halves are the point: a
    small corpus hides what a strong map costs, and rows that different fits mapped are no corpus at all. Fits on half
    of the rows are a little worse than the one that comes out, so the choice is rather too careful. The winner is
    fitted on all pairs.

    aim='search': the best mixed-modality R@1 (`isthmus.tasks.MixedSearch`) among the candidates whose cross-modal R@1
    is at most min(2 points, one standard error of the difference) below raw; the gentler of equals.
    aim='retrieval': the largest gain of cross-modal R@1 (mean of both directions) over raw whose lower bound
    is above 0, else `Identity`; the bound is one-sided 97.5 %, Bonferroni over the candidates (2.9 standard errors).
    Few pairs therefore often mean `Identity`.
    aim='classification': the same rule for accuracy; `labels` are needed. A held-out row of x goes to the class
    whose text is nearest, the mapped row of `class_texts`; without them the unit mean of the mapped fitting rows of y
    with that label stands for a class.

    Items with the same row of x are one and stay in one fold.

    Auto needs rows, so `fit` is its own; `fit_moments` and `partial_fit`, which have only moments, and fewer than 40
    items fall back to `Centering` (`Identity` for 'retrieval' and 'classification') and warn.

    After fitting: `chosen_` (an aligner), `table_` (one dict for each candidate: name, value, recall, change of
    recall, its standard error, admissible), `reasons_` (sentences).
    Errors: `InputError` for an unknown aim, and for 'classification' without labels.

    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> auto = isthmus.align.Auto(aim="search").fit(pairs)
    >>> len(auto.table_) > 5, "R@1" in auto.reasons_[0]
    (True, True)
    """

    aim: str = "search"
    folds: int = 2
    repeats: int = 3
    rng: int = 0

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    supports_partial_fit: ClassVar[bool] = False
    source: ClassVar[str] = "this package"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aim not in AIMS:
            raise InputError(f"aim={self.aim!r}, expected 'search', 'retrieval' or 'classification'")
        if self.folds < 2 or self.repeats < 1:
            raise InputError(f"folds={self.folds}, repeats={self.repeats}: expected 2 or more, and 1 or more")
        self.chosen_: Aligner = Identity(normalize=self.normalize)
        self.table_: list[dict[str, Any]] = []
        self.reasons_: list[str] = []

    def fit(
        self,
        X: Any,
        Y: Any = None,
        /,
        *,
        index: Any = None,
        paired: bool = True,
        labels: Any = None,
        class_texts: Mapping[Any, Any] | None = None,
    ) -> Self:
        """Choose and fit on the pairs X and Y (n, d), or one `Pairs`; `labels` (n,) and `class_texts` (label -> row of
        y, (d,)) are for aim='classification'."""
        if not paired:
            return super().fit(X, Y, paired=False)  # refuses
        pairs = X if isinstance(X, Pairs) else Pairs(x=X, y=Y, index=index, labels=labels)
        moments = Moments.of(pairs, normalize=self.normalize)
        names = pairs.names if isinstance(X, Pairs) else None
        if self.aim == "classification" and pairs.labels is None:
            raise InputError(
                "aim='classification' needs labels= (one class for each row of x), or Pairs with labels; "
                "in the shell --labels FILE.npy"
            )
        if class_texts is not None and pairs.labels is not None:
            ZeroShot.check_class_names(pairs.labels, np.asarray(list(class_texts)))
        sample = pairs.sample(SAMPLE, rng=self.rng)
        group = item_groups(sample)
        items = int(group.max()) + 1
        if items < max(LEAST_ITEMS, 2 * self.folds):
            return self._fall_back(moments, names, f"{items} items are too few to cross-validate")
        self.table_ = self._judged(sample, group, class_texts)
        best = _best(self.table_, self.aim)
        self.chosen_ = _candidates(self.normalize)[best]
        self.reasons_ = _reasons(self.table_, best, self.aim, sample.n_items)
        return self._take(moments, names)

    def fit_moments(self, moments: Moments, /, *, names: tuple[str, str] | None = None) -> Self:
        """Moments hold no rows to judge on: falls back, with a warning."""
        return self._fall_back(moments, names, "moments hold no rows to cross-validate on (use fit)")

    def _fall_back(self, moments: Moments, names: Any, why: str) -> Self:
        self.chosen_ = (Centering if self.aim == "search" else Identity)(normalize=self.normalize)
        self.table_ = []
        self.reasons_ = [f"{type(self.chosen_).__name__}, unjudged: {why}."]
        warnings.warn(f"Auto falls back to {type(self.chosen_).__name__}: {why}", IsthmusWarning, stacklevel=3)
        return self._take(moments, names)

    def _take(self, moments: Moments, names: tuple[str, str] | None) -> Self:
        super().fit_moments(moments, names=names)
        self.fit_info_ = {
            "chosen": type(self.chosen_).__name__,
            "chosen_options": self.chosen_.get_params(),
            "reasons": self.reasons_,
            "table": self.table_,
        }
        return self

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        return self.chosen_.fit_moments(moments)._solved()

    @property
    def uses_pairs(self) -> bool:
        return self.chosen_.uses_pairs

    def _adapted(self, new: Statistics) -> tuple[Map, Map]:
        chosen = self.chosen_
        chosen._maps, chosen._statistics, chosen._dims = self._solved(), self.statistics_, self._dims
        return chosen._adapted(new)

    def _restore(self, header: dict[str, Any]) -> None:
        from isthmus.align._base import get

        self.chosen_ = get(self.fit_info_["chosen"])(**self.fit_info_["chosen_options"])
        self.chosen_._maps, self.chosen_._dims, self.chosen_._statistics = self._maps, self._dims, self._statistics
        self.table_, self.reasons_ = self.fit_info_["table"], self.fit_info_["reasons"]

    def _judged(self, pairs: Pairs, group: np.ndarray, class_texts: Any) -> list[dict[str, Any]]:
        """The table: every candidate on every fold of every repeat, scores by item."""
        names = [_name(candidate) for candidate in _candidates(self.normalize)]
        pairs, class_texts, share = _in_their_span(pairs, class_texts, self.normalize)
        # Score, candidate, item: sums over the repeats.
        found = np.zeros((2, len(names), pairs.n_items))
        for repeat in range(self.repeats):
            order = np.random.default_rng([self.rng, repeat]).permutation(int(group.max()) + 1)
            fold = order[group] % self.folds
            parts = [pairs.take(np.flatnonzero(fold == f)) for f in range(self.folds)]
            moments = [Moments.of(part, normalize=self.normalize).numpy() for part in parts]
            for held, part in enumerate(parts):
                others = [m for f, m in enumerate(moments) if f != held]
                fitting, sides = sum(others[1:], start=others[0]), part.unit(normalize=self.normalize)
                seen = pairs.take(np.flatnonzero(fold != held)) if self.aim == "classification" else None
                for number, candidate in enumerate(_candidates(self.normalize, share)):
                    x, y = candidate.fit_moments(fitting).transform(*sides)
                    recall = value = _recall(x, y, part)
                    if self.aim == "search":
                        value = _mixed(x, y, part, self.rng + repeat)
                    elif seen is not None:
                        value = _accuracy(candidate, x, part.labels, seen, class_texts)
                    found[:, number, fold == held] += value, recall
        asking = np.ones(pairs.n_items, dtype=bool) if pairs.index is None else np.bincount(pairs.index) > 0
        columns = found[:, :, asking] / self.repeats
        return [_row(name, columns[:, number], columns[:, 0], self.aim) for number, name in enumerate(names)]


def _candidates(normalize: bool, share: float = 1.0) -> list[Aligner]:
    """What is judged, Identity first, from gentle to strong.

    `share` is that of the coordinates that rows were reduced to: penalties count in means over coordinates.
    """
    found: list[Aligner] = [
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
    for candidate in found:
        penalties = {name: share * v for name, v in candidate.get_params().items() if name in PENALTIES}
        candidate.set_params(normalize=normalize, **penalties)
    return found


def _in_their_span(pairs: Pairs, class_texts: Any, normalize: bool) -> tuple[Pairs, Any, float]:
    """The rows (and class texts) in coordinates of the space that they span, and its share of the width.

    No candidate looks outside of it, and few rows of a wide space are so solved in few dimensions.
    """
    sides = [to_numpy(side).astype(np.float64) for side in pairs.unit(normalize=normalize)]
    texts = {} if class_texts is None else {k: np.asarray(to_numpy(v), np.float64) for k, v in class_texts.items()}
    whole = np.vstack([*sides, *texts.values()])
    if len(whole) < pairs.dim:
        basis = np.linalg.qr(whole.T)[0]
        sides = [side @ basis for side in sides]
        texts = {label: text @ basis for label, text in texts.items()}
    turned = Pairs(x=sides[0], y=sides[1], index=pairs.index, labels=pairs.labels)
    return turned, texts if class_texts is not None else None, turned.dim / pairs.dim


def _recall(x: np.ndarray, y: np.ndarray, part: Pairs) -> np.ndarray:
    """R@1 of each item, the mean of its own query and of its partners' queries, (items,); 0 without a partner."""
    ranks = Retrieval.of(x, y, index=part.index)
    owner = np.arange(part.n_items) if part.index is None else part.index
    counts = np.bincount(owner, minlength=part.n_items)
    found = np.bincount(owner, weights=ranks.y_to_x <= 1, minlength=part.n_items) / np.maximum(counts, 1)
    found[counts > 0] += ranks.x_to_y <= 1
    return found / 2


def _mixed(x: np.ndarray, y: np.ndarray, part: Pairs, seed: int) -> np.ndarray:
    """Mixed-modality R@1 of each item, (items,), with its first partner; 0 without one."""
    items = np.arange(part.n_items)
    if part.index is not None:
        items, rows = np.unique(part.index, return_index=True)
        x, y = x[items], y[rows]
    draws = DRAWS if len(x) <= 1000 else 1
    found = np.zeros(part.n_items)
    found[items] = np.mean([MixedSearch.of(x, y, rng=1000 * seed + draw).hits for draw in range(draws)], axis=0)
    return found


def _accuracy(aligner: Aligner, x: np.ndarray, labels: Any, seen: Pairs, class_texts: Any) -> np.ndarray:
    """Whether the nearest class text of each mapped row of x is that of its own class."""
    if class_texts is not None:
        names, texts = np.asarray(list(class_texts)), aligner.transform_y(np.stack(list(class_texts.values())))
    else:
        owner = np.arange(seen.n_pairs) if seen.index is None else seen.index
        names, texts = mean_texts(aligner.transform_y(seen.y.read(0, seen.n_pairs)), owner, seen.labels)
    known = np.isin(labels, names)  # a class whose items are all held out has no text: none is found
    right = np.zeros(len(labels))
    right[known] = ZeroShot.of(x[known], labels[known], texts, class_names=names).hits
    return right


def _row(name: str, column: np.ndarray, raw: np.ndarray, aim: str) -> dict[str, Any]:
    value, recall = column
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
    row["admissible"] = aim != "search" or row["change"] >= -min(TOLERANCE, error) - 1e-12
    return row


def _best(table: list[dict[str, Any]], aim: str) -> int:
    """The number of the winner in the table; row 0 is Identity."""
    if aim == "search":
        allowed = [k for k, row in enumerate(table) if row["admissible"]]
        return max(allowed, key=lambda k: table[k]["value"])
    from scipy.special import ndtri

    z = float(ndtri(1 - 0.025 / max(len(table) - 1, 1)))
    for row in table:
        row["admissible"] = row["gain"] > 0 and row["gain"] >= z * row["gain_error"]
    sure = [k for k, row in enumerate(table) if row["admissible"]]
    return max(sure, key=lambda k: table[k]["gain"], default=0)


def _reasons(table: list[dict[str, Any]], best: int, aim: str, items: int) -> list[str]:
    row, raw = table[best], table[0]
    what = {"search": "mixed-modality R@1", "retrieval": "cross-modal R@1", "classification": "accuracy"}[aim]
    found = [
        f"{row['name']} has {what} {100 * row['value']:.1f} % on held-out halves of {items:,} items (raw "
        f"{100 * raw['value']:.1f} %); cross-modal R@1 changes by {100 * row['change']:+.1f} points "
        f"(standard error {100 * row['change_error']:.1f})."
    ]
    if best == 0:
        why = "is better at the recall allowed" if aim == "search" else "is surely better"
        found.append(f"No candidate {why} in {what}, so the rows stay as they are.")
    higher = [r for r in table if r["value"] > row["value"] and not r["admissible"]]
    if higher:
        other = max(higher, key=lambda r: r["value"])
        found.append(
            f"{other['name']} reaches {100 * other['value']:.1f} % and was passed over: cross-modal R@1 "
            f"{100 * other['change']:+.1f} points, standard error of its gain {100 * other['gain_error']:.1f}."
        )
    return found


def _name(aligner: Aligner) -> str:
    own = [
        f"{f.name}={getattr(aligner, f.name)!r}"
        for f in dataclasses.fields(aligner)
        if getattr(aligner, f.name) != f.default
    ]
    return type(aligner).__name__ + (f"({', '.join(own)})" if own else "")
