"""Auto: choose the map and its strength by cross-validation on the fitted pairs."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._fitting import Names
from isthmus.align._maps import Map
from isthmus.align._registry import REGISTRY
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
MIN_ITEMS = 40
#: Larger numbers of items are sampled for the cross-validation. The chosen map is fitted to all of them.
MAX_ITEMS = 2_000
#: Loss of cross-modal recall that aim='search' accepts.
RECALL_TOLERANCE = 0.02
#: Halvings of the corpus that mixed search is averaged over for up to 1,000 items. Above, one halving is enough.
HALVINGS = 3
#: Options of the candidates that are relative to a mean over coordinates.
RELATIVE_OPTIONS = ("lam", "before_lam", "cca_lam", "shrink", "floor")


@dataclass(kw_only=True, eq=False)
class Auto(Aligner):
    """Choose an aligner and its strength by repeated two-fold cross-validation on the fitted pairs.

    It needs pairs, and it needs their rows: `fit_moments` and `partial_fit` only have moments and fall back to
    `Centering`, or to `Identity` for 'retrieval' and 'classification', with a warning. Fewer than 40 items do the same.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    aim : {'search', 'retrieval', 'classification'}, default 'search'
        Task whose score is maximised.
    folds : int, default 2
        Number of folds, at least 2.
    repeats : int, default 3
        Number of random partitions into folds, at least 1.
    rng : int, default 0
        Seed of the partitions.

    Attributes
    ----------
    chosen_ : Aligner
        The chosen aligner, fitted to all pairs.
    table_ : list of dict
        One entry per candidate: name, value, recall, change of recall, its standard error, admissible.
    reasons_ : list of str
        Sentences that explain the choice.

    Notes
    -----
    Each candidate is fitted to one half of the items and judged on the other one, as a corpus of its own, in both
    directions and for three random halvings. At most 2,000 items are sampled. Items with the same row of x are one item
    and stay in one fold. The chosen aligner is fitted to all pairs.

    Test halves are large on purpose. A small corpus hides what a strong map costs, and rows mapped by different fits
    must not be ranked against each other. Fits to half of the rows are slightly worse than the final one, so the
    estimate is slightly pessimistic.

    - 'search' takes the best R@1 of mixed-modality search (`isthmus.tasks.MixedSearch`) among the candidates whose
      cross-modal R@1 is at most min(2 points, one standard error of the difference) below the raw one. Ties go to the
      earlier, weaker candidate.
    - 'retrieval' takes the largest gain of cross-modal R@1 (mean of both directions) whose lower bound is above 0, or
      `Identity`. The bound is one-sided 97.5 % with Bonferroni correction over the candidates (2.9 standard errors), so
      few pairs often give `Identity`.
    - 'classification' applies the same rule to the accuracy and needs `labels`. A held-out row of x is assigned to the
      class of the nearest mapped row of `class_texts`. Without them, the unit mean of the mapped rows of y with a label
      represents its class.

    Examples
    --------
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

    _choice = cast("_Choice | None", None)  # of the last fit, until its maps are solved

    def check_options(self) -> None:
        """Raise `InputError` for an unknown aim or too small numbers of folds or repeats."""
        if self.aim not in AIMS:
            raise InputError(f"aim={self.aim!r}, expected 'search', 'retrieval' or 'classification'")
        if self.folds < 2 or self.repeats < 1:
            raise InputError(f"folds={self.folds}, repeats={self.repeats}: expected 2 or more, and 1 or more")

    @property
    def chosen_(self) -> Aligner:
        """Return the chosen aligner, fitted."""
        chosen = _chosen_aligner(self.fit_info_)
        chosen.fitted_state = replace(self.fitted_state, uses_pairs=chosen.uses_pairs, fit_info={})
        return chosen

    @property
    def table_(self) -> list[dict[str, Any]]:
        """Return the scores of the candidates."""
        table: list[dict[str, Any]] = self.fit_info_["table"]
        return table

    @property
    def reasons_(self) -> list[str]:
        """Return sentences that explain the choice."""
        reasons: list[str] = self.fit_info_["reasons"]
        return reasons

    def fit(
        self,
        X: Any,
        Y: Any = None,
        /,
        *,
        index: Any = None,
        paired: bool = True,
        names: Names | None = None,
        labels: Any = None,
        class_texts: Mapping[Any, Any] | None = None,
    ) -> Self:
        """Choose an aligner and fit it to the pairs.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or both modalities with names and labels.
        Y : array of shape (m, d), optional
            Rows of the second modality.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            Must be True.
        names : tuple of str, optional
            Names of the two modalities. Default: those of the Pairs.
        labels : array of shape (n,), optional
            Classes of the rows of X, for aim='classification'.
        class_texts : mapping of label to array of shape (d,), optional
            Row of y that represents each class, for aim='classification'.

        Returns
        -------
        Auto
            This aligner.

        Raises
        ------
        InputError
            If an option or a row is invalid, rows are unpaired, or aim='classification' has no labels.
        """
        self.validate_options()
        if not paired or (Y is None and not isinstance(X, Pairs)):
            return super().fit(X, Y, paired=paired)  # raises
        pairs = X if isinstance(X, Pairs) else Pairs(x=X, y=Y, index=index, labels=labels)
        moments = Moments.of(pairs, normalize=self.normalize)
        if names is None and isinstance(X, Pairs):
            names = (pairs.names[0], pairs.names[1])
        if self.aim == "classification" and pairs.labels is None:
            raise InputError(
                "aim='classification' needs labels= (one class for each row of x), or Pairs with labels; "
                "in the shell --labels FILE.npy"
            )
        if class_texts is not None and pairs.labels is not None:
            ZeroShot.check_class_names(pairs.labels, np.asarray(list(class_texts)))
        sample = pairs.sample(MAX_ITEMS, rng=self.rng)
        group = item_groups(sample)
        n_items = int(group.max()) + 1
        if n_items < max(MIN_ITEMS, 2 * self.folds):
            return self._fall_back(moments, names, f"{n_items} items are too few to cross-validate")
        table = self._cross_validate(sample, group, class_texts)
        best = _best_row(table, self.aim)
        reasons = _reasons(table, best, self.aim, sample.n_items)
        self._choice = _Choice(_candidates(self.normalize)[best], table, reasons)
        return super().fit_moments(moments, names=names)

    def fit_moments(self, moments: Moments, /, *, names: Names | None = None) -> Self:
        """Fall back to an aligner without cross-validation, with a warning, because moments hold no rows.

        Parameters
        ----------
        moments : Moments
            Moments of the pairs.
        names : tuple of str, optional
            Names of the two modalities.

        Returns
        -------
        Auto
            This aligner.

        Raises
        ------
        InputError
            If an option is invalid or the moments do not fit.
        """
        return self._fall_back(moments, names, "moments hold no rows to cross-validate on (use fit)")

    def _fall_back(self, moments: Moments, names: Names | None, reason: str) -> Self:
        chosen = (Centering if self.aim == "search" else Identity)(normalize=self.normalize)
        self._choice = _Choice(chosen, [], [f"{type(chosen).__name__}, not cross-validated: {reason}."])
        super().fit_moments(moments, names=names)
        warnings.warn(f"Auto falls back to {type(chosen).__name__}: {reason}", IsthmusWarning, stacklevel=3)
        return self

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the maps of the chosen aligner."""
        assert self._choice is not None
        chosen = self._choice.aligner
        chosen.fit_moments(moments)
        self.fit_info_ = {
            "chosen": type(chosen).__name__,
            "chosen_options": chosen.get_params(),
            "reasons": self._choice.reasons,
            "table": self._choice.table,
        }
        return chosen.map_x_, chosen.map_y_

    @property
    def uses_pairs(self) -> bool:
        """Return whether the chosen aligner depends on the pairing, or True before the choice."""
        if self._fit is None:
            return True
        if self._fit.maps is None:
            assert self._choice is not None
            return self._choice.aligner.uses_pairs
        return _chosen_aligner(self._fit.info).uses_pairs

    def adapt_maps(self, statistics: Statistics) -> tuple[Map, Map]:
        """Adapt the maps of the chosen aligner."""
        return self.chosen_.adapt_maps(statistics)

    def _cross_validate(self, pairs: Pairs, group: np.ndarray, class_texts: Any) -> list[dict[str, Any]]:
        """Return the table of all candidates, from their scores per item over all folds and repeats."""
        names = [_display_name(candidate) for candidate in _candidates(self.normalize)]
        pairs, class_texts, fraction = _reduce_to_span(pairs, class_texts, self.normalize)
        # Score (value, recall), candidate, item: sums over the repeats.
        scores = np.zeros((2, len(names), pairs.n_items))
        for repeat in range(self.repeats):
            order = np.random.default_rng([self.rng, repeat]).permutation(int(group.max()) + 1)
            fold = order[group] % self.folds
            test_sets = [pairs.take(np.flatnonzero(fold == f)) for f in range(self.folds)]
            moments = [Moments.of(test, normalize=self.normalize).numpy() for test in test_sets]
            for held_out, test in enumerate(test_sets):
                training = [m for f, m in enumerate(moments) if f != held_out]
                fit_moments, rows = sum(training[1:], start=training[0]), test.unit(normalize=self.normalize)
                fit_pairs = pairs.take(np.flatnonzero(fold != held_out)) if self.aim == "classification" else None
                for number, candidate in enumerate(_candidates(self.normalize, fraction)):
                    x, y = candidate.fit_moments(fit_moments).transform(*rows)
                    recall = value = _recall(x, y, test)
                    if self.aim == "search":
                        value = _mixed_recall(x, y, test, self.rng + repeat)
                    elif fit_pairs is not None:
                        value = _accuracy(candidate, x, test.labels, fit_pairs, class_texts)
                    scores[:, number, fold == held_out] += value, recall
        has_match = np.ones(pairs.n_items, dtype=bool) if pairs.index is None else np.bincount(pairs.index) > 0
        means = scores[:, :, has_match] / self.repeats
        return [_row(name, means[:, number], means[:, 0], self.aim) for number, name in enumerate(names)]


@dataclass(frozen=True)
class _Choice:
    """The aligner that was chosen, and why."""

    aligner: Aligner
    table: list[dict[str, Any]]
    reasons: list[str]


def _chosen_aligner(info: Mapping[str, Any]) -> Aligner:
    """Return the aligner that the `fit_info_` of an `Auto` names, not fitted."""
    aligner: Aligner = REGISTRY.find(info["chosen"])(**info["chosen_options"])
    return aligner


def _candidates(normalize: bool, fraction: float = 1.0) -> list[Aligner]:
    """Return the candidates, Identity first and then from weak to strong.

    `fraction` is that of the coordinates that rows were reduced to, because penalties are relative to means over
    coordinates.
    """
    candidates: list[Aligner] = [
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
    for candidate in candidates:
        penalties = {name: fraction * v for name, v in candidate.get_params().items() if name in RELATIVE_OPTIONS}
        candidate.set_params(normalize=normalize, **penalties)
    return candidates


def _reduce_to_span(pairs: Pairs, class_texts: Any, normalize: bool) -> tuple[Pairs, Any, float]:
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
    reduced = Pairs(x=x, y=y, index=pairs.index, labels=pairs.labels)
    return reduced, texts if class_texts is not None else None, reduced.dim / pairs.dim


def _recall(x: np.ndarray, y: np.ndarray, test: Pairs) -> np.ndarray:
    """Return the R@1 of each item, (items,).

    It is the mean over the query of the item and the queries of its rows of y. An item without rows of y gets 0.
    """
    ranks = Retrieval.of(x, y, index=test.index)
    owner = np.arange(test.n_items) if test.index is None else test.index
    counts = np.bincount(owner, minlength=test.n_items)
    recall = np.bincount(owner, weights=ranks.y_to_x <= 1, minlength=test.n_items) / np.maximum(counts, 1)
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
        owner = np.arange(fit_pairs.n_pairs) if fit_pairs.index is None else fit_pairs.index
        names, texts = mean_texts(aligner.transform_y(fit_pairs.y.read(0, fit_pairs.n_pairs)), owner, fit_pairs.labels)
    has_text = np.isin(labels, names)  # a class whose items are all held out has no text, so none is correct
    correct = np.zeros(len(labels))
    correct[has_text] = ZeroShot.of(x[has_text], labels[has_text], texts, class_names=names).hits
    return correct


def _row(name: str, means: np.ndarray, raw: np.ndarray, aim: str) -> dict[str, Any]:
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


def _best_row(table: list[dict[str, Any]], aim: str) -> int:
    """Return the number of the best row of the table. Row 0 is Identity."""
    if aim == "search":
        admissible = [k for k, row in enumerate(table) if row["admissible"]]
        return max(admissible, key=lambda k: table[k]["value"])
    from scipy.special import ndtri

    z = float(ndtri(1 - 0.025 / max(len(table) - 1, 1)))
    for row in table:
        row["admissible"] = row["gain"] > 0 and row["gain"] >= z * row["gain_error"]
    significant = [k for k, row in enumerate(table) if row["admissible"]]
    return max(significant, key=lambda k: table[k]["gain"], default=0)


def _reasons(table: list[dict[str, Any]], best: int, aim: str, n_items: int) -> list[str]:
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
