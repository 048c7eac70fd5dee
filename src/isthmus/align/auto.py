"""Auto: choose a score correction or a row map by cross-validation on the fitted pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

from isthmus.align._base import Aligner
from isthmus.align._candidates import AIMS, CONSTRAINTS, DEFAULT, candidates, display_name
from isthmus.align._choice import SCORES, TWO_SIDED, choose, explain_choice, independent_scores
from isthmus.align._chosen import Choice, ChosenAligner
from isthmus.align._cross_validation import cross_validate, reduce_to_span
from isthmus.align._data_warnings import warn_of_fit
from isthmus.align._fitting_data import FittingData
from isthmus.align._further import Names, keeps_pairing, pairs_of_rows, rows_by_name
from isthmus.align._maps import Map
from isthmus.align._spread import require_spread
from isthmus.align.centering import Centering
from isthmus.align.identity import Identity
from isthmus.align.score_calibration import ScoreCalibration
from isthmus.align.score_standardization import ScoreStandardization
from isthmus.data.columns import as_source
from isthmus.data.grouping import item_groups
from isthmus.data.joins import select_rows
from isthmus.data.pairs import Pairs
from isthmus.statistics.data_warnings import has_unstated_remarks, without_data_warnings
from isthmus.statistics.degeneracy import constant_message, constant_names
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.pairing import judge_pairing
from isthmus.tasks import ZeroShot, has_two_sided_truth
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import too_few
from isthmus.utils.validation import check_sample
from isthmus.utils.warning import warn, without_warnings

#: Fewer items than this are not cross-validated.
MIN_ITEMS = 40
#: Smallest number of items of a fold if the number of folds is not given. Smaller test sets are too easy to search.
MIN_FOLD_ITEMS = 125
#: Largest number of folds if it is not given.
MAX_FOLDS = 5
#: Reason for the default of unpaired rows.
UNPAIRED = "the rows are unpaired, and a choice needs pairs to judge the candidates on"
#: Numbers of partitions if it is not given, for two folds and for more.
REPEATS = (3, 1)


@dataclass(kw_only=True, eq=False)
class Auto(ChosenAligner):
    """Choose a score correction or a row map by cross-validation on the fitted pairs.

    If a score correction is chosen, `stored`, `query`, `scores` and `merge` are those of the correction, and
    `transform` raises. `constraint="rows"` always gives a row map. Unpaired rows and fewer than 40 items give the
    default without cross-validation: `ScoreCalibration`, `Centering` among row maps, and `Identity` for
    'classification'. Moments hold no rows, so that `fit_moments` and `partial_fit` give `ScoreStandardization` in place
    of `ScoreCalibration`, and `Identity` for 'retrieval'. Of three or more modalities, the first two are judged, and
    the chosen aligner is fitted to all.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map. False leaves row maps alone.
    aim : {'search', 'retrieval', 'classification'}, default 'search'
        Task whose score is maximised.
    constraint : {'none', 'rows', 'no_pairs', 'affine'}, default 'none'
        Candidates: all, row maps, those that need no pairs, or row maps that are affine.
    max_recall_loss : float, default 0.01
        Loss of cross-modal R@1 that 'search' accepts, in [0, 1].
    folds : int, default 0
        Number of folds, at least 2. With 0 it is 5, or as many as have 125 items each, but at least 2.
    repeats : int, default 0
        Number of random partitions into folds. With 0 it is 3 for two folds, and otherwise 1.
    rng : int, default 0
        Seed of the partitions.
    sample : int, default 2000
        Number of items of the random sample that candidates are judged on, at least 100.

    Attributes
    ----------
    chosen_ : Aligner
        The chosen aligner, fitted to all pairs.
    table_ : list of dict
        One entry per candidate: name, value, gain, recall, change of recall, their standard errors, and 'admissible',
        which is True if the rule of the aim below allows the choice. For 'search', 'lead' is the difference to the
        default. The value is that of the score that `fit_info_["score"]` names.
    reasons_ : list of str
        Sentences that explain the choice. The numbers of the choice on folds that did not make it are among them.

    Notes
    -----
    Candidates are row maps, `ScoreStandardization`, `ScoreCalibration`, and `ScoreCalibration` behind a row map. Each
    is fitted to all folds but one and judged on that one, as a corpus of its own. Items with the same row of x are one
    item and stay in one fold. After each fold, candidates that will hardly win any more are dropped. The chosen aligner
    is fitted to all pairs.

    - 'search' starts from `ScoreCalibration`, which does well without any choice. It is refused if it loses more recall
      than `max_recall_loss` by more than two standard errors. Another candidate replaces it under two conditions. Its
      own loss is at most `max_recall_loss`. Its exchange score (`isthmus.tasks.MixedSearch.exchange`) is higher by more
      than two standard errors of the difference per item. More pairs make smaller differences decide. Without the
      default, the rows of `Identity` take its place. Where several captions, or labels of at most ten items each, make
      rows of both modalities relevant, the two-sided NDCG@10 (`isthmus.tasks.TwoSidedSearch`) is that score.
    - 'retrieval' takes the largest significant gain of cross-modal R@1 (mean of both directions), or `Identity`. A gain
      is significant by its standard error and by a sign test over items, which also holds for few hits. The one-sided
      level is 2.5 %, of which `ScoreCalibration` gets 2 %. Its gain is measured with all items as the corpus, where the
      own match is left out of the bank. The others replace it if they beat it by two standard errors on the folds.
    - 'classification' applies the same rule to the accuracy of row maps and needs `labels`. A held-out row of x is
      assigned to the class of the nearest mapped row of `class_texts`. Without them, the unit mean of the mapped rows
      of y with a label represents its class.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> auto = isthmus.align.Auto(aim="search").fit(pairs)
    >>> type(auto.chosen_).__name__, "R@1" in auto.reasons_[0]
    ('ScoreCalibration', True)
    >>> auto.query(pairs.unit()[1], modality="text").shape
    (597, 66)
    """

    aim: str = "search"
    constraint: str = "none"
    max_recall_loss: float = 0.01
    folds: int = 0
    repeats: int = 0
    rng: int = 0
    sample: int = 2_000

    uses_means: ClassVar[bool] = True
    supports_partial_fit: ClassVar[bool] = False
    source: ClassVar[str] = "this package"

    def check_options(self) -> None:
        """Raise `InputError` for an unknown aim or constraint, or too small numbers of folds, repeats or items."""
        check_sample(self.sample)
        if self.aim not in AIMS:
            raise InputError(f"aim={self.aim!r}, expected 'search', 'retrieval' or 'classification'")
        if self.constraint not in CONSTRAINTS:
            raise InputError(f"constraint={self.constraint!r}, expected 'none', 'rows', 'no_pairs' or 'affine'")
        if not 0 <= self.max_recall_loss <= 1:
            raise InputError(f"max_recall_loss={self.max_recall_loss}, expected a share between 0 and 1, such as 0.01")
        if (self.folds != 0 and self.folds < 2) or self.repeats < 0:
            raise InputError(
                f"folds={self.folds}, repeats={self.repeats}: expected 2 or more folds, and 1 or more repeats, or 0 "
                "for numbers that suit the data"
            )

    @property
    def needs(self) -> str:
        """Return what a fit needs: pairs for a choice. Unpaired rows are given to the default."""
        return "pairs for a choice, no pairs for the default"

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
        X: Any = None,
        Y: Any = None,
        /,
        *,
        index: Any = None,
        paired: bool = True,
        group: bool = True,
        names: Names | None = None,
        labels: Any = None,
        class_texts: Mapping[Any, Any] | None = None,
        **modalities: Any,
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
            If False, rows do not belong together, and the default is fitted without a choice. So it is if rows by name,
            or those of constraint='no_pairs', are of different lengths.
        group : bool, default True
            Whether equal rows of a modality are one item with several matches.
        names : tuple of str, optional
            Names of the two modalities. Default: those of the Pairs.
        labels : array of shape (n,), optional
            Classes of the rows of X, for 'classification', and for 'search' if they have two to ten items each.
        class_texts : mapping of label to array of shape (d,), optional
            Row of y that represents each class, for aim='classification'.
        **modalities : array of shape (n, d)
            Rows of two or more modalities by name, in place of X and Y. The first two are judged.

        Returns
        -------
        Auto
            This aligner.

        Raises
        ------
        InputError
            If an option or a row is invalid, or aim='classification' has no labels.
        """
        self.validate_options()
        X, Y, names, further = rows_by_name(X, Y, names, modalities, None, paired=paired)
        if Y is None and not isinstance(X, Pairs):
            return super().fit(X, Y, paired=paired)  # raises
        by_length = bool(modalities) or (self.constraint == "no_pairs" and not isinstance(X, Pairs))
        if by_length:
            X, Y = (as_source(name, rows) for name, rows in zip(names or ("x", "y"), (X, Y), strict=True))
        if not (keeps_pairing(paired, index, X, Y) if by_length else paired):
            X, Y = (X.x, X.y) if isinstance(X, Pairs) else (X, Y)
            return self._fall_back(FittingData(X, Y, None, further=further), names, UNPAIRED)
        pairs = pairs_of_rows(
            X, Y, index, names=names, labels=labels, group=group, normalize=self.normalize, same_dim=True
        )
        moments = moments_of(pairs, normalize=self.normalize)
        if further:  # they belong to the rows as they came
            warn_of_fit(self, X, Y, further, index=index, paired=True, names=names, rotated=True)
            data = FittingData(X, Y, moments, pairs, further, index, group)
        else:
            data = FittingData(pairs.x, pairs.y, moments, pairs)
        if self.aim == "classification" and pairs.labels is None:
            raise InputError(
                "aim='classification' needs labels= (one class for each row of x), or Pairs with labels; "
                "in the shell --labels FILE.npy"
            )
        if class_texts is not None:
            ZeroShot.check_class_texts(class_texts, pairs.y.shape[1], labels=pairs.labels)
        options = {"normalize": self.normalize, "has_hub_pairs": data.has_hub_pairs}
        aligners = candidates(self.aim, self.constraint, **options)
        sample = _sample(pairs, self.sample, self.rng)
        item_group = item_groups(sample)
        n_items = int(item_group.max()) + 1
        warn_of_rows = partial(
            warn_of_fit, self, pairs, None, {}, index=None, paired=not further, names=names, rotated=True
        )
        if n_items < max(MIN_ITEMS, 2 * self.folds):
            warn_of_rows()
            return self._fall_back(data, names, f"{too_few(n_items, 'item')} to cross-validate")
        reduced, texts, fraction = reduce_to_span(sample, class_texts, self.normalize)
        folds = self.folds or min(max(n_items // MIN_FOLD_ITEMS, 2), MAX_FOLDS)
        tolerance, yardstick = self.max_recall_loss, self.aim
        truth = {"index": sample.index, "y_groups": sample.y_groups, "labels": sample.labels}
        if self.aim == "search" and has_two_sided_truth(sample.n_items, sample.n_pairs, **truth):
            yardstick = TWO_SIDED
        # The rows are judged in another thread, and warned of afterwards.
        beside = [partial(judge_pairing, pairs)] if has_unstated_remarks(pairs) and not further else []
        with without_data_warnings():
            held_out = cross_validate(
                reduced, item_group, texts, candidates(self.aim, self.constraint, fraction=fraction, **options),
                aim=yardstick, tolerance=tolerance, folds=folds, repeats=self.repeats or REPEATS[folds > 2],
                seed=self.rng, normalize=self.normalize, paired=self.constraint != "no_pairs",
                beside=beside,
            )  # fmt: skip
        warn_of_rows()
        held_out = replace(held_out, names=[display_name(aligner) for aligner in aligners])
        while True:
            best, table = choose(held_out, yardstick, tolerance, DEFAULT)
            independent = independent_scores(held_out, yardstick, tolerance, DEFAULT)
            reasons = explain_choice(
                table, best, yardstick, n_items,
                tolerance=tolerance, default=DEFAULT, independent=independent, failures=held_out.failures, folds=folds,
            )  # fmt: skip
            if names is not None and further:
                reasons.append(
                    f"It was judged on pairs of {names[0]} and {names[1]}. It is fitted to {', '.join(further)} "
                    "as well."
                )
            try:
                choice = Choice(aligners[best], table, reasons, independent, SCORES[yardstick])
                return self._adopt(choice, data, names)
            except InputError as error:
                if not best:  # Identity is fitted to any valid rows
                    raise
                held_out = held_out.without(best, str(error))

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
        reason = "moments hold no rows to cross-validate on (use fit)"
        return self._fall_back(FittingData(None, None, moments), names, reason)

    def _add_unpaired(self, X: Any, Y: Any, names: Names | None) -> Self:
        raise InputError(
            "Auto takes unpaired rows at once; use fit(X, Y, paired=False), or for a stream partial_fit of "
            "ScoreCalibration"
        )

    def _fall_back(self, data: FittingData, names: Names | None, reason: str) -> Self:
        self.validate_options()
        is_rows = self.constraint in ("rows", "affine") or not self.normalize
        fallback: Aligner
        constant = constant_names(data.moments.numpy(), names or ("x", "y")) if data.moments else []
        if constant and data.moments:
            reason = f"{constant_message(constant, data.moments)}, so that nothing can be fitted"
        if constant or self.aim == "classification" or (self.aim == "retrieval" and (is_rows or data.x is None)):
            fallback = Identity(normalize=self.normalize)
        elif is_rows:
            fallback = Centering(normalize=self.normalize)
        else:
            fallback = ScoreStandardization() if data.x is None else ScoreCalibration()
        name = type(fallback).__name__
        try:
            self._adopt(Choice(fallback, [], [f"{name}, not cross-validated: {reason}."], {}), data, names)
            if name == "Centering" and self.moments_:
                require_spread(self, self.moments_.numpy(), "Centering needs directions in which they differ")
        except InputError as error:
            reason = f"{reason}, and {name} has no fit: {error}"
            fallback, name = Identity(normalize=self.normalize), "Identity"
            self._adopt(Choice(fallback, [], [f"{name}, not cross-validated: {reason}."], {}), data, names)
        if data.paired:
            warn(f"Auto falls back to {name}: {reason}", IsthmusWarning, stacklevel=3)
        return self

    def _adopt(self, choice: Choice, data: FittingData, names: Names | None) -> Self:
        """Fit the chosen aligner to all rows. The maps of row maps are solved on first use."""
        aligner = choice.aligner
        is_silent = aligner.corrects_scores and data.paired  # Auto warns of few rows itself
        with without_warnings() if is_silent else nullcontext(), without_data_warnings():
            data.fit(aligner, names, paired=data.paired and self.constraint != "no_pairs")
            if aligner.corrects_scores:
                aligner.map_x_  # noqa: B018  # solves
        self._restore_arrays({})
        self._choice = choice
        if data.moments is not None:
            super().fit_moments(data.moments, names=names)
        else:
            statistics = aligner.statistics_
            super().fit_moments(statistics.moments(normalize=self.normalize), names=names)
            self._require_fit().statistics = statistics
        self._mark_correction(aligner.corrects_scores)
        return self

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the maps of the chosen aligner."""
        assert self._choice is not None
        aligner = self._choice.aligner
        self._arrays = aligner.fitted_state.arrays
        self.fit_info_ = {
            "chosen": type(aligner).__name__,
            "chosen_options": aligner.json_options(),
            "chosen_fit_info": aligner.fit_info_,
            "chosen_uses_pairs": aligner.uses_pairs,
            "modalities": list(aligner.modalities),
            "reasons": self._choice.reasons,
            "table": [_json_row(row) for row in self._choice.table],
            "independent": self._choice.independent,
            "score": self._choice.score,
        }
        return aligner.map_x_, aligner.map_y_


def _sample(pairs: Pairs, size: int, rng: int) -> Pairs:
    """Return the pairs that candidates are judged on, the same whichever modality comes first.

    If components of pairs that share rows are too large to be folds, or too many of them depend on each other, these
    are pairs that share no row.
    """
    if pairs.dependence is None or (pairs.split_groups is pairs.components and pairs.n_components <= size):
        return pairs.sample(size, rng=rng)
    items, rows = pairs.first_pairs
    labels = None if pairs.labels is None else pairs.labels[items]
    x, y = (select_rows(source, numbers) for source, numbers in ((pairs.x, items), (pairs.y, rows)))
    return Pairs(labels=labels, **dict(zip(pairs.names, (x, y), strict=True))).sample(size, rng=rng)


def _json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of the table with None for undefined numbers, which JSON does not have."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
