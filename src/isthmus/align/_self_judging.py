"""Aligners that judge themselves: the change of recall on held-out pairs, measured when they are fitted to rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._further import Names, pairs_of_rows, rows_by_name
from isthmus.align._maps import Map
from isthmus.compute.arrays import to_numpy
from isthmus.data.columns import as_source, same_library
from isthmus.data.numbering import renumber
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.tasks import TaskData, mean_per_item
from isthmus.tasks import registry as tasks
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.warning import warn, without_warnings

#: Fewest items that are split, and largest sample of them.
MIN_ITEMS, MAX_ITEMS = 40, 2_000


class RecallWarning(IsthmusWarning):
    """Warns that an aligner loses recall, or that its recall was not checked.

    Parameters
    ----------
    message : str
        The sentence.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", RecallWarning)
    """


@dataclass(kw_only=True, eq=False)
class SelfJudging(Aligner):
    """Base class of aligners that warn of the recall that they lose on held-out pairs.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    judge : bool, default True
        Whether `fit` warns of the recall that is lost, from one split of at most 2,000 items. The change is stored in
        `fit_info_["held_out_recall"]`.

    Examples
    --------
    >>> import isthmus
    >>> aligner = isthmus.align.HyperplaneRotation().fit(isthmus.demo.load("warm"))
    >>> sorted(aligner.fit_info_["held_out_recall"])
    ['change', 'error', 'items']
    """

    judge: bool = True

    # None: no pairs of rows were given, or half of them has no solution. Empty: they were too few.
    _judgement = cast("dict[str, float] | None", None)

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
        **modalities: Any,
    ) -> Self:
        """Fit to the rows of two or more modalities, and warn if recall falls on pairs that were held out.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or both modalities with their names.
        Y : array of shape (m, d), optional
            Rows of the second modality. Row i belongs to row i of X unless `index` is given.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            If False, rows do not belong together, and recall is not checked.
        group : bool, default True
            Whether equal rows of a modality are one item with several matches.
        names : tuple of str, optional
            Names of the two modalities. Default: those of the Pairs.
        **modalities : array of shape (n, d)
            Rows of two or more modalities by name, in place of X and Y. The pairs of the first two are judged.

        Returns
        -------
        Aligner
            This aligner.

        Raises
        ------
        InputError
            If an option, a modality or a row is invalid.

        Warns
        -----
        IsthmusWarning
            If the recall of held-out pairs falls by more than its paired standard error.
        """
        if X is not None and Y is not None:  # sources remember which of their rows are equal
            X, Y = same_library(as_source("x", X), as_source("y", Y))
        super().fit(X, Y, index=index, paired=paired, group=group, names=names, **modalities)
        if not self.judge or self._unpaired != (None, None):
            return self
        X, Y, names, _ = rows_by_name(X, Y, names, modalities, None)
        pairs = pairs_of_rows(X, Y, index, names=names, group=group, normalize=self.normalize, same_dim=True)
        self._judgement = held_out_change(self, pairs)
        if self._judgement and self._judgement["change"] < -self._judgement["error"]:
            change, error = (100 * self._judgement[name] for name in ("change", "error"))
            warn(
                f"{type(self).__name__} changes the R@1 of held-out pairs by {change:+.1f} points (standard error "
                f"{error:.1f}, half of {self._judgement['items']:,} items fitted, the others judged); compare lists "
                "aligners that keep it, and judge=False skips this check",
                RecallWarning,
                stacklevel=2,
            )
        return self

    def _set_moments(self, moments: Moments, names: Names | None) -> Self:
        self._judgement = None
        return super()._set_moments(moments, names)

    def _discard_maps(self) -> None:
        self._judgement = None
        super()._discard_maps()

    def _solve_further(self, maps: tuple[Map, Map]) -> None:
        super()._solve_further(maps)
        if self._judgement:
            self.fit_info_ = {**self.fit_info_, "held_out_recall": self._judgement}
        elif self.judge and self._judgement is None:
            warn(
                f"the recall of {type(self).__name__} was not checked, although it often falls: the check needs all "
                "pairs at once and a fit to half of them; check it with isthmus compare",
                RecallWarning,
                stacklevel=2,
            )


def held_out_change(aligner: SelfJudging, pairs: Pairs) -> dict[str, float] | None:
    """Return the change of R@1 on one half of the items of an aligner fitted to the other half.

    'change' is the mean of both directions, 'error' its paired standard error and 'items' the number of items, where
    those that share rows are one. The result is empty for few items, and None if the aligner has no solution for half
    of them.
    """
    if pairs.n_components < MIN_ITEMS:
        return {}
    sample = pairs.sample(MAX_ITEMS)
    fit, test = sample.split_half(rng=0)
    fresh = type(aligner)(**{**aligner.get_params(), "judge": False})
    raw = test.unit(normalize=aligner.normalize)
    with without_warnings():  # the fit to all pairs warns
        try:
            mapped = fresh.fit_moments(Moments.of(fit, normalize=aligner.normalize)).transform(*raw)
        except (InputError, np.linalg.LinAlgError):
            return None
    recall = []
    for x, y in (raw, mapped):
        data = TaskData(to_numpy(x), to_numpy(y), owner=test.index, seed=0, y_groups=test.y_groups)
        recall.append(tasks()["retrieval"].run(data).per_item["R@1"])
    change = recall[1] - recall[0]
    is_known = np.isfinite(change)
    unit = renumber(test.components[is_known])
    of_units = mean_per_item(change[is_known], unit, int(unit.max(initial=-1)) + 1)
    error = float(of_units.std(ddof=1) / np.sqrt(len(of_units)))
    return {"change": float(of_units.mean()), "error": error, "items": sample.n_components}
