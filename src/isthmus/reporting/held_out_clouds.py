"""Held-out rows on the plane of both clouds, raw and after each row map of a comparison."""

from __future__ import annotations

import warnings
from functools import cached_property

import numpy as np

from isthmus.align import Aligner, Identity
from isthmus.data.pairs import Pairs
from isthmus.data.shared_rows import sampled_items
from isthmus.evaluation import MAX_ITEMS as MAX_COMPARED_ITEMS
from isthmus.evaluation import Summary
from isthmus.evaluation.summary import changed_options
from isthmus.evaluation.trial import summary_key
from isthmus.reporting.samples import MAX_ITEMS, CloudProjection, one_pair_per_item
from isthmus.statistics.moments import moments_of
from isthmus.utils.errors import InputError


class HeldOutClouds:
    """The sampled rows that figures show, and their projection after each aligner that maps rows.

    Aligners that a comparison fits are observed on its first split. Others are fitted on the other half of the pairs,
    once for all figures.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    fit : Pairs or None
        Pairs that the maps are fitted to. None is one half of `pairs`, or none if nothing is compared.
    is_compared : bool
        Whether some pairs are held out. Otherwise all pairs are shown.
    normalize : bool
        Whether rows are divided by their norms.

    Attributes
    ----------
    after : dict of str to CloudProjection
        Projections after the aligners, by name.
    """

    def __init__(self, pairs: Pairs, fit: Pairs | None = None, *, is_compared: bool = True, normalize: bool = True):
        self.pairs, self.fit, self.is_compared, self.normalize = pairs, fit, is_compared, normalize
        self.after: dict[tuple[str, str, int | None], CloudProjection] = {}
        self._test_items: np.ndarray | None = None
        self._observed: Pairs | None = None

    def observe(self, split: int, test_items: np.ndarray, test: Pairs, fitted: Aligner) -> None:
        """Project the held-out rows after an aligner of the first split, see `observing_fits`."""
        if split > 0 or fitted.corrects_scores or isinstance(fitted, Identity):
            return
        self._test_items, self._observed = test_items, test
        self.after[_key(fitted)] = CloudProjection.of(*fitted.transform(*self.rows))

    @cached_property
    def _compared(self) -> Pairs:
        return self.pairs.sample(MAX_COMPARED_ITEMS)

    @cached_property
    def _halves(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Fitting and test items among those that are compared. None if all items are shown."""
        if self._test_items is not None:
            return np.setdiff1d(np.arange(self._compared.n_items), self._test_items), self._test_items
        if self.fit is not None or not self.is_compared:
            return None
        return self._compared.half_items(rng=0)

    @cached_property
    def _fit_pairs(self) -> Pairs:
        if self.fit is not None:
            return self.fit
        return self.pairs if self._halves is None else self._compared.take(self._halves[0])

    @cached_property
    def _test_pairs(self) -> Pairs:
        if self._observed is not None:
            return self._observed
        return self.pairs if self._halves is None else self._compared.take(self._halves[1])

    @cached_property
    def _sample(self) -> Pairs:
        return self._test_pairs.sample(MAX_ITEMS)

    @cached_property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows x and y of the first pair of each item, of at most 2,000 items."""
        return one_pair_per_item(self._sample, normalize=self.normalize)

    @cached_property
    def numbers(self) -> np.ndarray:
        """Number of the item of each row."""
        items = sampled_items(self._test_pairs.sampling_units, MAX_ITEMS)
        if self._halves is not None:
            items = sampled_items(self.pairs.sampling_units, MAX_COMPARED_ITEMS)[self._halves[1][items]]
        return items[self._sample.first_pairs[0]]

    @cached_property
    def raw(self) -> CloudProjection:
        """The raw rows."""
        return CloudProjection.of(*self.rows)

    def mapped(self, row: Summary) -> CloudProjection | None:
        """Return the rows after the aligner of `row`, or None if it maps no rows or refuses the data."""
        key = _key(row.aligner)
        if row.aligner.corrects_scores or not row.scores:
            return None
        if key not in self.after:
            aligner = type(row.aligner)(**row.aligner.get_params())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the table of the page shows the warnings
                try:
                    aligner.fit_moments(moments_of(self._fit_pairs, normalize=aligner.normalize))
                    self.after[key] = CloudProjection.of(*aligner.transform(*self.rows))
                except (InputError, NotImplementedError):
                    return None
        return self.after[key]


def _key(aligner: Aligner) -> tuple[str, str, int | None]:
    return summary_key(type(aligner).__name__, changed_options(aligner), None)
