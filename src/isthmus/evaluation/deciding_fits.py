"""Fits of an aligner that decide how much it changes scores, more than the items do.

Then no interval is known. Fits on halves share items, so that a part of their variance does not fall with the number of
splits. How large this part is, only fits without some items show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isthmus.align import get
from isthmus.evaluation.split_variance import variance_of_mean
from isthmus.evaluation.trial import Trial
from isthmus.statistics.noise_intervals import NOISE_LEVEL
from isthmus.tasks import registry


def fits_decide(trials: Sequence[Trial], /) -> bool:
    """Return whether the fits of a row map, whose effects are not known, decide how much some score changes.

    Parameters
    ----------
    trials : sequence of Trial
        Trials of one aligner on different splits.

    Returns
    -------
    bool
        True if two conditions hold for some score. The variance over splits v exceeds D at the level `NOISE_LEVEL`,
        divided by the number of scores. The fits add more variance to the mean over splits than the items:
        (v - D) / S > 1.15 (C + D / S), see `isthmus.evaluation.split_variance`. False for a score correction.

    Notes
    -----
    Such fits move the other scores of the aligner, too, by less than a few splits show. A median of ranks does not
    count. It moves in steps, which also vary over splits.

    Examples
    --------
    >>> sums = [1000, *[0] * 63]
    >>> for change in (0.01, 0.5):
    ...     changes = [{"R@1": (split * change, 0.01)} for split in range(4)]
    ...     trials = [Trial("Centering", {}, 0, 50, 50, changes=c, group_sums={"R@1": sums}) for c in changes]
    ...     print(fits_decide(trials))
    False
    True
    """
    if len(trials) == 1 or get(trials[0].aligner).corrects_scores:
        return False
    known = trials[0].fit_effects
    names = [
        name
        for name in trials[0].changes
        if name not in known and shows_error(name, trials) and not math.isinf(range_width(name))
    ]
    return any(_fits_decide(name, trials, NOISE_LEVEL / len(names)) for name in names)


def _fits_decide(name: str, trials: Sequence[Trial], level: float) -> bool:
    from scipy.special import chdtri

    values, variances = np.array([trial.changes[name] for trial in trials]).T
    sums, n_splits = [trial.group_sums.get(name, []) for trial in trials], len(trials)
    pair_sums = [trial.pair_sums.get(name, []) for trial in trials]
    of_items, of_fits = variance_of_mean(values, variances, sums, pair_sums, shared=shared_items(trials[0]))
    of_splits = float(values.var(ddof=1))
    of_items_in_splits = of_splits - n_splits * of_fits
    is_larger = (n_splits - 1) * of_splits > float(chdtri(n_splits - 1, level)) * of_items_in_splits
    return bool(of_fits > of_items and is_larger)


def shows_error(name: str, trials: Sequence[Trial], /) -> bool:
    """Return whether the items show the error of a change.

    Parameters
    ----------
    name : str
        Name of a score.
    trials : sequence of Trial
        Trials of one aligner on different splits.

    Returns
    -------
    bool
        Whether all of its variances are known, and one of them is not 0.

    Examples
    --------
    >>> shows_error("R@1", [Trial("Centering", {}, 0, 50, 50, changes={"R@1": (0.1, 0.0)})])
    False
    """
    variances = np.array([trial.changes[name][1] for trial in trials])
    return bool(variances.any() and not np.isnan(variances).any())


def shared_items(trial: Trial, /) -> float:
    """Return the share of the held-out items of a split that another split holds out, too.

    Parameters
    ----------
    trial : Trial
        A trial of the split.

    Returns
    -------
    float
        1/2 for halves.

    Examples
    --------
    >>> shared_items(Trial("Centering", {}, 0, 50, 50))
    0.5
    """
    return 0.5 if trial.fit_size else trial.test_pairs / max(trial.test_pairs + trial.fit_pairs, 1)


def range_width(name: str, /) -> float:
    """Return the width of the range of a score.

    Parameters
    ----------
    name : str
        Name of the score.

    Returns
    -------
    float
        Width, infinite if it is not known.

    Examples
    --------
    >>> range_width("R@1"), range_width("median_rank")
    (1.0, inf)
    """
    score = next((task.scores[name] for task in registry().values() if name in task.scores), None)
    return math.inf if score is None else float(score.range[1] - score.range[0])
