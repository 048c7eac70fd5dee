"""Recommend an aligner from a comparison on held-out pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from isthmus.align import Auto
from isthmus.data.components import NO_INTERVAL
from isthmus.evaluation import Comparison, Summary
from isthmus.statistics.intervals import chance_limit
from isthmus.statistics.result import Estimate
from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError
from isthmus.utils.format import fixed, percent, too_few

#: Scores that can decide which aligner is recommended, the most trustworthy first, and their names in sentences.
SCORE_TITLES = {
    "two_sided_NDCG@10": "two-sided NDCG@10",
    "exchange_R@1": "exchange score of mixed search",
    "R@1": "cross-modal R@1",
}
DECIDING_SCORES = tuple(SCORE_TITLES)
#: Half width of an interval from which on the held-out pairs are too few to choose.
WIDE_INTERVAL = 0.05
#: Why a score decides, after its name.
REASONS = {
    "two_sided_NDCG@10": "captions or labels make rows of both modalities relevant",
    "exchange_R@1": "the task two_sided_search, which needs several captions or labels, was not run",
}
#: Scores that measure cross-modal recall, and their names in sentences.
RECALL_TITLES = {"R@1": "cross-modal R@1", "restricted_R@1": "R@1 among the candidates of the other modality"}


def deciding_score(comparison: Comparison) -> str | None:
    """Return the score that decides which aligner is recommended.

    Parameters
    ----------
    comparison : Comparison
        Aligners judged on held-out pairs.

    Returns
    -------
    str or None
        The two-sided NDCG@10, which knows the relevant rows of both modalities, if it was computed. Otherwise the
        exchange score of mixed search, otherwise R@1. None if there is no such score.
    """
    return next((name for name in DECIDING_SCORES if name in comparison["Identity"].changes), None)


def check_comparison(comparison: Any) -> None:
    """Raise `InputError` for a comparison that is no table of `isthmus.compare`.

    Parameters
    ----------
    comparison : Comparison or None
        The argument of a verb.
    """
    if comparison is not None and not isinstance(comparison, Comparison):
        raise InputError(f"comparison={shown(comparison)}, expected the table that isthmus.compare returns")


def best_row(comparison: Comparison) -> Summary | None:
    """Return the row of the aligner that the verdict recommends.

    Parameters
    ----------
    comparison : Comparison
        Aligners judged on held-out pairs.

    Returns
    -------
    Summary or None
        The best `deciding_score` among the aligners that improve it without loss of recall, or else among those that
        improve it, or else among all. None if no aligner could be fitted, or if no task was run that decides.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> aligners = [isthmus.align.ScoreCalibration(), isthmus.align.MeanRotation()]
    >>> best_row(isthmus.compare(pairs, aligners=aligners, splits=1)).name
    'ScoreCalibration'
    """
    return _best_of(comparison, comparison.rows)


def best_row_map(comparison: Comparison) -> Summary | None:
    """Return the row that `best_row` would recommend if score corrections were not allowed.

    Parameters
    ----------
    comparison : Comparison
        Aligners judged on held-out pairs.

    Returns
    -------
    Summary or None
        The row of an aligner that maps rows.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> aligners = [isthmus.align.ScoreCalibration(), isthmus.align.Centering()]
    >>> best_row_map(isthmus.compare(pairs, aligners=aligners, splits=1)).name
    'Centering'
    """
    row_maps = [row for row in comparison.rows if not row.aligner.corrects_scores and row.name != "Auto"]
    return _best_of(comparison, row_maps)


def _best_of(comparison: Comparison, rows: Sequence[Summary]) -> Summary | None:
    score = deciding_score(comparison)
    if score is None:
        return None
    judged = _corrections(rows)
    improving = [row for row in judged if row.changes[score].low > 0]
    candidates = [row for row in improving if _is_without_loss(row)] or improving or judged
    return max(candidates, key=lambda row: row.scores[score].value, default=None)


def improves_beyond_interval(comparison: Comparison) -> bool:
    """Return whether the aligner of `best_row` raises the deciding score, with an interval above 0.

    Parameters
    ----------
    comparison : Comparison
        Aligners judged on held-out pairs.

    Returns
    -------
    bool
        Whether `recommendation_sentence` recommends an aligner.
    """
    score, best_summary = deciding_score(comparison), best_row(comparison)
    if score is None or best_summary is None or comparison.data.get("no_interval"):
        return False
    return best_summary.changes[score].low > 0 and not _is_at_chance(comparison, best_summary)


def _is_at_chance(comparison: Comparison, row: Summary) -> bool:
    """Return whether R@1 of the raw rows and of an aligner is within three standard errors of a random order.

    Captions and labels make more rows relevant than the match, so that recall of the match does not tell.
    """
    if deciding_score(comparison) != "exchange_R@1":
        return False
    recalls = [summary.scores["R@1"].value for summary in (comparison["Identity"], row) if "R@1" in summary.scores]
    return bool(recalls) and max(recalls) <= chance_limit(1 / comparison.n_test, comparison.n_test)


def _corrections(rows: Sequence[Summary]) -> list[Summary]:
    """Return the rows of corrections that could be fitted."""
    return [row for row in rows if row.scores and row.name != "Identity"]


def _is_without_loss(row: Summary) -> bool:
    """Return whether the interval of the change of recall reaches 0."""
    return _recall(row)[1].high >= 0


def _recall(row: Summary) -> tuple[str, Estimate]:
    """Return the name and the change of cross-modal R@1, or of the restricted search if it was not computed."""
    name = next((name for name in RECALL_TITLES if name in row.changes), "")
    return name, row.changes.get(name, Estimate(0.0, 0.0, 0.0))


def recommendation_sentence(comparison: Comparison) -> str:
    """Return what is recommended, what it changes on unseen pairs, and how an index uses it.

    Parameters
    ----------
    comparison : Comparison
        Aligners judged on held-out pairs.

    Returns
    -------
    str
        A few sentences. Empty if no task was run that decides.
    """
    score = deciding_score(comparison)
    best_summary = best_row(comparison)
    if score is None:
        return ""
    if best_summary is None:
        return "No aligner could be fitted: the table lists the reasons."
    raw, change = comparison["Identity"].scores, best_summary.changes[score]
    title = SCORE_TITLES[score]
    reason = comparison.data.get("no_interval")
    if reason:  # one value without an interval shows no improvement
        because = reason.removeprefix(NO_INTERVAL)
        return (
            f"No correction can be recommended, because no change has an interval ({because}). "
            f"{best_summary.name} has the largest {title}: {percent(best_summary.scores[score].value)}, raw "
            f"{percent(raw[score].value)}."
        )
    if math.isnan(change.low):
        why = change.note.removeprefix(NO_INTERVAL)
        return (
            f"No correction can be recommended. {best_summary.name} has the largest {title} "
            f"({percent(best_summary.scores[score].value)}, raw {percent(raw[score].value)}), but this change has no "
            f"interval{f' ({why})' if why else ''}."
        )
    if change.low <= 0:
        raw_value = percent(raw[score].value)
        return (
            f"None of the corrections tested raises the {title} ({raw_value}) measurably on unseen pairs."
            f"{_resolution(comparison, change)}"
        )
    if _is_at_chance(comparison, best_summary):
        before, after = (percent(scores["R@1"].value) for scores in (raw, best_summary.scores))
        return (
            f"No correction can be recommended, because R@1 on unseen pairs is not measurably above chance (raw "
            f"{before}, {best_summary.name} {after}, chance {percent(1 / comparison.n_test)})."
        )
    start = (
        f"Recommended: {best_summary.name}. On unseen pairs the {title} rises from {percent(raw[score].value)} to "
        f"{percent(best_summary.scores[score].value)} ({_points(change)})"
    )
    name, recall = _recall(best_summary)
    if not name or name == score:
        return f"{start}."
    because = f" The {title} decides, because {REASONS[score]}." if score in REASONS else ""
    ending = "" if _is_without_loss(best_summary) else "; no correction tested raises it without a loss of recall"
    n_tested = len(_corrections(comparison.rows))
    choice = ""
    if n_tested > 1:
        choice = f" As the best of {n_tested} on these pairs, its numbers may be slightly too high."
        if all(row.name != "Auto" for row in comparison.rows):
            choice += " isthmus fit Auto tries more corrections."
    advice = index_advice(best_summary, comparison.data["names"])
    return f"{start}, and {_recall_change(RECALL_TITLES[name], recall)}{ending}.{because}{choice} {advice}"


def index_advice(row: Summary, names: Sequence[str]) -> str:
    """Return how an aligner is used in an index, and what that costs, in sentences.

    Parameters
    ----------
    row : Summary
        The aligner.
    names : sequence of str
        Names of the two modalities.

    Returns
    -------
    str
        One or several sentences.
    """
    x, y = names
    if not row.aligner.corrects_scores and not isinstance(row.aligner, Auto):
        return f"In an index: store transform_x of the {x} rows and transform_y of the {y} rows."
    return (
        f'In an index: keep one list for each modality. Store correction.stored(rows, modality="{x}"), search with '
        f'correction.query(rows, modality="{y}"), and merge the lists of hits. Each stored row has {len(names)} more '
        "coordinates."
    )


def _resolution(comparison: Comparison, change: Estimate) -> str:
    """Return that the held-out pairs are too few to show a moderate change, "" if they are not."""
    half_width = (change.high - change.low) / 2
    if half_width < WIDE_INTERVAL:
        return ""
    limit = f"changes below {100 * half_width:.0f} points do not show"
    return f" {too_few(comparison.n_test, 'held-out pair')} to choose: {limit}."


def _recall_change(title: str, change: Estimate) -> str:
    points = _points(change)
    if change.low > 0:
        return f"{title} rises ({points})"
    if change.high < 0:
        return f"{title} falls ({points})"
    if math.isnan(change.low):
        return f"{title} changes by an amount without an interval ({points})"
    return f"{title} does not change measurably ({points})"


def _points(change: Estimate) -> str:
    """Return a change in percentage points with its interval, if there is one."""
    if math.isnan(change.low):
        return f"{fixed(100 * change.value, 1, sign=True)} points"
    value, low, high = (fixed(100 * number, 1, sign=True) for number in (change.value, change.low, change.high))
    return f"{value} points, 95 %: {low} to {high}"
