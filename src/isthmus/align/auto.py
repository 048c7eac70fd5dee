"""Auto: choose the map and its strength by cross-validation on the fitted pairs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._cross_validation import AIMS, best_row, candidates, cross_validate, explain_choice
from isthmus.align._fitting import Names
from isthmus.align._maps import Map
from isthmus.align._registry import REGISTRY
from isthmus.align._statistics import Statistics
from isthmus.align.centering import Centering
from isthmus.align.identity import Identity
from isthmus.data.grouping import item_groups
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.tasks import ZeroShot
from isthmus.utils.errors import InputError, IsthmusWarning

#: Fewer items than this are not cross-validated.
MIN_ITEMS = 40
#: Larger numbers of items are sampled for the cross-validation. The chosen map is fitted to all of them.
MAX_ITEMS = 2_000


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
        One entry per candidate: name, value, recall, change of recall, its standard error, and 'admissible', which is
        True if the rule of the aim below allows the choice.
    reasons_ : list of str
        Sentences that explain the choice.

    Notes
    -----
    Each candidate is fitted to one half of the items and judged on the other one, as a corpus of its own. This is done
    in both directions and for three random halvings. If there are more than 2,000 items, a random sample of 2,000 is
    used. Items with the same row of x are one item and stay in one fold. The chosen aligner is fitted to all pairs.

    Test halves are large on purpose. A small corpus hides what a strong map costs, and rows mapped by different fits
    must not be ranked against each other. Fits to half of the rows are slightly worse than the final one, so the
    estimate is slightly pessimistic.

    - 'search' takes the best R@1 of mixed-modality search (`isthmus.tasks.MixedSearch`) among the allowed candidates.
      A candidate is allowed if its cross-modal R@1 is at most 2 points, and at most one standard error of the
      difference, below the raw one. Ties go to the earlier, weaker candidate.
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
        aligner = _chosen_aligner(self.fit_info_)
        aligner.fitted_state = replace(self.fitted_state, uses_pairs=aligner.uses_pairs, fit_info={})
        return aligner

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
            Must be True.
        names : tuple of str, optional
            Names of the two modalities. Default: those of the Pairs.
        labels : array of shape (n,), optional
            Classes of the rows of X, for aim='classification'.
        class_texts : mapping of label to array of shape (d,), optional
            Row of y that represents each class, for aim='classification'.
        **modalities : array of shape (n, d)
            Rows of the two modalities by name, in place of X and Y.

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
        X, Y, names = self._named_rows(X, Y, names, modalities)
        if not paired or (Y is None and not isinstance(X, Pairs)):
            return super().fit(X, Y, paired=paired)  # raises
        pairs = X if isinstance(X, Pairs) else Pairs(x=X, y=Y, index=index, labels=labels)
        moments = Moments.of(pairs, normalize=self.normalize)
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
        table = cross_validate(
            sample, group, class_texts, aim=self.aim, folds=self.folds, repeats=self.repeats, seed=self.rng,
            normalize=self.normalize,
        )  # fmt: skip
        best_candidate = best_row(table, self.aim)
        reasons = explain_choice(table, best_candidate, self.aim, sample.n_items)
        self._choice = _Choice(candidates(self.normalize)[best_candidate], table, reasons)
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
        fallback = (Centering if self.aim == "search" else Identity)(normalize=self.normalize)
        self._choice = _Choice(fallback, [], [f"{type(fallback).__name__}, not cross-validated: {reason}."])
        super().fit_moments(moments, names=names)
        warnings.warn(f"Auto falls back to {type(fallback).__name__}: {reason}", IsthmusWarning, stacklevel=3)
        return self

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the maps of the chosen aligner."""
        assert self._choice is not None
        aligner = self._choice.aligner
        aligner.fit_moments(moments)
        self.fit_info_ = {
            "chosen": type(aligner).__name__,
            "chosen_options": aligner.get_params(),
            "reasons": self._choice.reasons,
            "table": self._choice.table,
        }
        return aligner.map_x_, aligner.map_y_

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


@dataclass(frozen=True)
class _Choice:
    """The aligner that was chosen, and why."""

    aligner: Aligner
    table: list[dict[str, Any]]
    reasons: list[str]


def _chosen_aligner(info: Mapping[str, Any]) -> Aligner:
    """Return the aligner that the `fit_info_` of an `Auto` names, not fitted."""
    unfitted: Aligner = REGISTRY.find(info["chosen"])(**info["chosen_options"])
    return unfitted
