"""Rows of a comparison: the trials of one aligner, pooled over splits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from isthmus.align import Aligner, get
from isthmus.evaluation.deciding_fits import fits_decide, range_width, shared_items, shows_error
from isthmus.evaluation.split_variance import MAX_SHARE_OF_ONE_CHANGE, interval_of_mean, share_of_one_change
from isthmus.evaluation.trial import Trial
from isthmus.statistics.intervals import clip_interval
from isthmus.statistics.result import NAN, Estimate
from isthmus.tasks import registry
from isthmus.utils.format import counted, visible_decimals

#: Fewer splits than this give no interval for a score whose error items do not show.
MIN_SPLITS = 3
#: Note of an interval of no width.
NO_CHANGE = "the interval has no width, because no two held-out items change differently"
#: Note of a change that no two items show differently, while they change other scores of the task.
RARE_CHANGE = "no two of {n:,} held-out items change differently"
#: Note of a change that very few items show.
FEW_CHANGES = "no interval: about 4 or fewer of {n:,} held-out items make this change, too few to show its error"
#: Corrections that move whole modalities, so that their intervals need the effects of fitting items.
FITS_OF_LEVELS = frozenset({"ScoreStandardization"})
#: Note of a change by levels of whole modalities, where the effects of fitting items are not known.
UNKNOWN_FIT = "no interval: the fit moves this score by more than the held-out items show"
#: Note of a change by a map that selects directions from few fitting items.
FEW_FIT_ITEMS = "no interval: the fits vary too much, as fewer fitting items than dimensions select the directions"
#: With this expected number of rare changes, none is seen in 2.5 %.
UNSEEN_CHANGES = -math.log(0.025)


@dataclass(frozen=True)
class Summary:
    """One aligner on the test pairs, as the mean over splits.

    Parameters
    ----------
    aligner : Aligner
        The aligner with its options, not fitted.
    scores : dict of str to Estimate
        Scores of the clouds, then those of the tasks. The first are 'gap' (degrees, undefined if the means vanish),
        'gap_distance' (between the means), 'paired_cosine', 'ceiling' and 'ceiling_reached'. The ceiling is the
        largest mean cosine that any pairing of these clouds can have. Empty if the aligner could not be fitted.
    changes : dict of str to Estimate
        Difference of each score of a task from the raw embeddings, with 95 % intervals.
    notes : list of str
        Warnings, and the reason why the aligner could not be fitted.
    fit_size : int, optional
        Number of fitting items, if it is varied.
    data : str, default ''
        Name of the pairs.

    Examples
    --------
    >>> from isthmus.align import HyperplaneRotation
    >>> Summary(HyperplaneRotation(energy=0.9), {}, {}, fit_size=100).name
    'HyperplaneRotation(energy=0.9) on 100 items'
    """

    aligner: Aligner
    scores: dict[str, Estimate]
    changes: dict[str, Estimate]
    notes: list[str] = field(default_factory=list)
    fit_size: int | None = None
    data: str = ""

    def __repr__(self) -> str:
        lines = [f"  {name}: {score}" for name, score in self.scores.items()]
        return "\n".join([f"Scores of {self.name}", *lines])

    @property
    def label(self) -> str:
        """Return the class name with the options that differ from the defaults."""
        options = [f"{name}={value!r}" for name, value in changed_options(self.aligner).items()]
        return type(self.aligner).__name__ + (f"({', '.join(options)})" if options else "")

    @property
    def name(self) -> str:
        """Return the label, and the number of fitting items if it is varied."""
        return self.label + ("" if self.fit_size is None else f" on {counted(self.fit_size, 'item')}")


def missing_intervals(rows: Sequence[Summary], scores: Sequence[str], /) -> dict[str, list[str]]:
    """Return why changes of scores have no interval, and the names of the aligners of each reason.

    Parameters
    ----------
    rows : sequence of Summary
        Rows of a comparison.
    scores : sequence of str
        Names of scores.

    Returns
    -------
    dict of str to list of str
        Names by reason, without the words 'no interval'. Empty if every change has an interval.

    Examples
    --------
    >>> from isthmus.align import CSLS, Identity
    >>> changes = {"R@1": Estimate(0.0, note="no interval: few pairs")}
    >>> missing_intervals([Summary(aligner, {}, changes) for aligner in (Identity(), CSLS())], ["R@1"])
    {'few pairs': ['CSLS']}
    """
    names: dict[str, dict[str, None]] = {}
    for row in rows:
        for change in (row.changes[score] for score in scores if score in row.changes and row.label != "Identity"):
            if math.isnan(change.low) and change.note:
                names.setdefault(change.note.removeprefix("no interval: "), {})[row.name] = None
    return {reason: list(of_reason) for reason, of_reason in names.items()}


def column_decimals(rows: Sequence[Summary], score: str, /) -> int:
    """Return the decimals of all numbers of a score in a table.

    Parameters
    ----------
    rows : sequence of Summary
        Rows of the table.
    score : str
        Name of the score.

    Returns
    -------
    int
        Three, or two and one for values from 10 and 1,000 on, or as many more as the ends of every interval need to
        differ.

    Examples
    --------
    >>> from isthmus.align import Identity
    >>> changes = [Estimate(0.02, 0.011, 0.03), Estimate(0.0003, 0.0002, 0.0004)]
    >>> rows = [Summary(Identity(), {"R@1": Estimate(0.4)}, {"R@1": change}) for change in changes]
    >>> column_decimals(rows[:1], "R@1"), column_decimals(rows, "R@1")
    (3, 4)
    """
    changes = [row.changes[score] for row in rows if score in row.changes]
    largest = max((abs(row.scores[score].value) for row in rows if score in row.scores), default=0.0)
    usual = 3 if largest < 10 else 2 if largest < 1_000 else 1
    return max((visible_decimals(change.low, change.high, usual) for change in changes), default=usual)


def changed_options(aligner: Aligner, /) -> dict[str, Any]:
    """Return the options of an aligner that differ from the defaults.

    Parameters
    ----------
    aligner : Aligner
        The aligner.

    Returns
    -------
    dict
        Options by name.
    """
    return {f.name: getattr(aligner, f.name) for f in fields(aligner) if getattr(aligner, f.name) != f.default}


def pool_trials(
    trials: Sequence[Trial], data: str = "", /, *, no_interval: str | None = None, n_items: int | None = None
) -> Summary:
    """Return the mean over splits of the trials of one aligner.

    Parameters
    ----------
    trials : sequence of Trial
        Trials with the same `Trial.summary_key`.
    data : str, default ''
        Name of the pairs.
    no_interval : str, optional
        Why no change has an interval, such as few independent pairs.
    n_items : int, optional
        Number of items that the splits hold out. Default: the number of pairs.

    Returns
    -------
    Summary
        The row of the table.
    """
    first = trials[0]
    aligner = get(first.aligner)(**first.options)
    errors = [trial.error for trial in trials if trial.error]
    if errors:
        count = f" ({len(errors)} of {len(trials)} splits)" if len(trials) > 1 else ""
        return Summary(aligner, {}, {}, [f"{errors[0]}{count}"], first.fit_size, data)
    reason = next((trial.gap_undefined for trial in trials if trial.gap_undefined), None)
    gap = NAN if reason else float(np.mean([trial.gap for trial in trials]))
    scores = {"gap": Estimate(gap, unit="degrees", undefined=reason)}
    scores |= {name: Estimate(float(np.mean([trial.scores[name] for trial in trials]))) for name in first.scores}
    changes = {name: pool_changes(name, trials, n_items=n_items) for name in first.changes}
    from_few_items = len(trials) > 1 and first.selects_from_few_items
    if from_few_items or fits_decide(trials):
        unknown = FEW_FIT_ITEMS if from_few_items else UNKNOWN_FIT
        changes = {
            name: Estimate(change.value, note=unknown) if shows_error(name, trials) else change
            for name, change in changes.items()
        }
    if no_interval:
        changes = {name: Estimate(change.value, note=no_interval) for name, change in changes.items()}
    # Notes of different splits often differ only in their numbers. The first of each kind is shown.
    notes: dict[str, str] = {}
    for note in (note for trial in trials for note in trial.notes):
        notes.setdefault(re.sub(r"[\d.,%]+", "", note), note)
    return Summary(aligner, scores, changes, list(notes.values()), first.fit_size, data)


def pool_changes(name: str, trials: Sequence[Trial], /, *, n_items: int | None = None) -> Estimate:
    """Return the mean change of a score with its 95 % interval.

    Parameters
    ----------
    name : str
        Name of the score.
    trials : sequence of Trial
        Trials of one aligner on different splits.
    n_items : int, optional
        Number of items that the splits hold out. Default: the number of pairs.

    Returns
    -------
    Estimate
        Mean change.

    Notes
    -----
    See `isthmus.evaluation.split_variance`. NaN variances belong to scores whose error items do not show. Their
    interval comes from the spread over splits, corrected for the items that splits share [1]_.

    References
    ----------
    .. [1] Nadeau and Bengio 2003, Inference for the Generalization Error.
    """
    values, variances = np.array([trial.changes[name] for trial in trials]).T
    mean, first = float(values.mean()), trials[0]
    if not np.isnan(variances).any():
        shared = shared_items(first)
        sums = [trial.group_sums.get(name, []) for trial in trials]
        pair_sums = [trial.pair_sums.get(name, []) for trial in trials]
        corrects_scores = bool(get(first.aligner).corrects_scores)
        n_units = first.test_pairs + (first.fit_pairs if len(trials) > 1 else 0)
        if not variances.any() and first.aligner != "Identity":
            return _equal_change(name, trials, mean, n_items or n_units)
        share = share_of_one_change(variances, sums, n_units=n_units)
        if corrects_scores and share > MAX_SHARE_OF_ONE_CHANGE and len(trials) > 1:
            return Estimate(mean, note=FEW_CHANGES.format(n=n_items or n_units))
        fits = [trial.fit_effects[name] for trial in trials if name in trial.fit_effects]
        if not fits and len(trials) > 1 and first.aligner in FITS_OF_LEVELS:
            return Estimate(mean, note=UNKNOWN_FIT)
        options: dict[str, Any] = {"n_units": n_units, "shared": shared, "corrects_scores": corrects_scores}
        ends = interval_of_mean(values, variances, sums, pair_sums, fits=fits, **options)
        return Estimate(mean, *_possible(name, ends))
    if len(values) < MIN_SPLITS:
        return Estimate(mean, note="no interval: items do not show the error of this score, and three splits do")
    if values.min() == values.max():
        return Estimate(mean, note="no interval: all splits give the same number, which does not show its error")
    from scipy.special import stdtrit

    overlap = first.test_pairs / max(first.fit_pairs, 1)
    error = math.sqrt(float(values.var(ddof=1)) * (1 / len(values) + overlap))
    half_width = float(stdtrit(len(values) - 1, 0.975)) * error
    return Estimate(mean, *_possible(name, (mean - half_width, mean + half_width)))


def _possible(name: str, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the interval of a change within the changes that the range of the score permits.

    The measured score of the raw embeddings does not bound it further, because it has an error, too.
    """
    span = range_width(name)
    return clip_interval(ends, -span, span)


def _equal_change(name: str, trials: Sequence[Trial], mean: float, n_items: int) -> Estimate:
    """Return a change that no two items show differently.

    If no other score of the task shows any either, the order of the rows stays, and the interval has no width. Else a
    few items in all of the data may change. The interval holds as many as are overlooked in 2.5 %.
    """
    scores = next((task.scores for task in registry().values() if name in task.scores), {})
    is_changed = any(trial.changes.get(score, (0, 0))[1] > 0 for trial in trials for score in scores)
    if not is_changed:
        return Estimate(mean, mean, mean, note=NO_CHANGE)
    span = scores[name].range[1] - scores[name].range[0]
    if scores[name].is_ratio or math.isinf(span):
        return Estimate(mean, note=f"no interval: {RARE_CHANGE.format(n=n_items)}")
    half_width = span * min(UNSEEN_CHANGES / n_items, 1.0)
    ends = clip_interval((mean - half_width, mean + half_width), -span, span)
    note = f"{RARE_CHANGE.format(n=n_items)}; the interval leaves room for {UNSEEN_CHANGES:.1f} that do"
    return Estimate(mean, *ends, note=note)
