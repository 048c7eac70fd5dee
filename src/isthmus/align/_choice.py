"""Rules by which `Auto` chooses among candidates from their held-out scores per item, and the sentences about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from isthmus.statistics.intervals import chance_limit
from isthmus.utils.format import fixed, percent

#: Level of the one-sided tests of aim='retrieval' and 'classification' together, and the part of the default, which all
#: other candidates share the rest of.
LEVEL, DEFAULT_LEVEL = 0.025, 0.02
#: Standard errors by which a candidate must beat the default of aim='search'.
REQUIRED_ERRORS = 2.0
#: Yardstick of aim='search' where rows of both modalities are relevant.
TWO_SIDED = "two-sided search"
#: Names of the scores in sentences.
SCORES = {
    "search": "exchange score",
    TWO_SIDED: "two-sided NDCG@10",
    "retrieval": "cross-modal R@1",
    "classification": "accuracy",
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out scores of all candidates.

    Attributes
    ----------
    names : sequence of str
        Candidates. The first is Identity.
    scores : (2, candidates, items) array
        Score of the aim and cross-modal R@1 of each item. NaN stands for a candidate that was dropped.
    group : (items,) int array
        Group of each item. The items of a group are one observation.
    fold : (repeats, items) int array
        Fold in which each item was held out.
    leave_one_out : (items,) array
        Change of the hits of each item by the default, where its own match is left out of the bank. The corpus is all
        items, near its final size. NaN for items that do not count, because an equal one does, or without the default.
    failures : mapping of int to str
        Numbers of the candidates that cannot be fitted, and why. Their scores are NaN.
    """

    names: Sequence[str]
    scores: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    leave_one_out: np.ndarray
    failures: Mapping[int, str] = field(default_factory=dict)

    def without(self, number: int, reason: str) -> HeldOut:
        """Return the scores without those of a candidate that cannot be fitted."""
        scores = self.scores.copy()
        scores[:, number] = np.nan
        return replace(self, scores=scores, failures={**self.failures, number: reason})

    def take(self, mask: np.ndarray) -> HeldOut:
        """Return the scores of some items."""
        scores, fold = self.scores[:, :, mask], self.fold[:, mask]
        return replace(self, scores=scores, group=self.group[mask], fold=fold, leave_one_out=self.leave_one_out[mask])


def mean_error(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Return the mean of values per item and its standard error, where a group is one observation."""
    mean = float(values.mean())
    present = np.unique(group)
    n_groups = len(present)
    totals = np.bincount(group, weights=values)[present] * n_groups / len(values) - mean
    return mean, math.sqrt(float(totals @ totals) / n_groups / max(n_groups - 1, 1))


def sign_p_value(values: np.ndarray, group: np.ndarray) -> float:
    """Return the one-sided mid-p-value of the sign test of groups with a nonzero sum."""
    from scipy.special import bdtrc

    signs = np.sign(np.bincount(group, weights=values))
    n_gains, n = int((signs > 0).sum()), int((signs != 0).sum())
    if not n_gains:
        return 1.0
    above = float(bdtrc(n_gains, n, 0.5)) if n_gains < n else 0.0
    return (above + float(bdtrc(n_gains - 1, n, 0.5))) / 2


def is_significant(values: np.ndarray, group: np.ndarray, level: float) -> bool:
    """Return whether a mean gain per item is above 0 by its standard error and by a sign test."""
    gain, error = mean_error(values, group)
    return gain > 0 and gain >= NormalDist().inv_cdf(1 - level) * error and sign_p_value(values, group) <= level


def choose(held_out: HeldOut, aim: str, tolerance: float, default: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of the chosen candidate, and the table."""
    table = [_table_row(held_out, number) for number in range(len(held_out.names))]
    names = list(held_out.names)
    start = names.index(default) if default in names else 0
    rule = _choose_search if aim in ("search", TWO_SIDED) else _choose_gain
    return rule(held_out, table, start, tolerance), table


def _table_row(held_out: HeldOut, number: int) -> dict[str, Any]:
    value, recall = held_out.scores[:, number]
    row: dict[str, Any] = {"name": held_out.names[number], "admissible": False, "dropped": bool(np.isnan(value).any())}
    if row["dropped"]:
        return row | dict.fromkeys(("value", "gain", "gain_error", "recall", "change", "change_error"), math.nan)
    gain, gain_error = mean_error(value - held_out.scores[0, 0], held_out.group)
    change, change_error = mean_error(recall - held_out.scores[1, 0], held_out.group)
    return row | {
        "value": float(value.mean()), "gain": gain, "gain_error": gain_error, "recall": float(recall.mean()),
        "change": change, "change_error": change_error,
    }  # fmt: skip


def _choose_search(held_out: HeldOut, table: list[dict[str, Any]], start: int, tolerance: float) -> int:
    """Return the default, or the best candidate that beats it significantly at the accepted recall.

    The default is refused if its loss of recall exceeds the tolerance by more than two standard errors. Others are
    accepted if their estimated loss is at most the tolerance.
    """
    for number, row in enumerate(table):
        slack = REQUIRED_ERRORS * row["change_error"] if number == start else 0.0
        row["admissible"] = not row["dropped"] and row["change"] >= -tolerance - slack - 1e-12
    if table[start]["admissible"]:
        better = []
        for number, row in enumerate(table):
            if number != start and row["admissible"]:
                difference = held_out.scores[0, number] - held_out.scores[0, start]
                gain, error = mean_error(difference, held_out.group)
                row |= {"lead": gain, "lead_error": error}
                if gain > 0 and gain > REQUIRED_ERRORS * error:
                    better.append(number)
        return max(better, key=lambda k: table[k]["value"], default=start)
    return max((k for k, row in enumerate(table) if row["admissible"]), key=lambda k: table[k]["value"])


def _choose_gain(held_out: HeldOut, table: list[dict[str, Any]], start: int, tolerance: float) -> int:
    """Return the default if its gain is significant, or the largest significant gain, or Identity.

    The gain of the default is measured on all items, with the own match left out of the bank. Others are judged on
    held-out folds. They replace a significant default if they beat it there by more than two standard errors, or if it
    was dropped because it is far behind.
    """
    del tolerance
    table[0]["admissible"] = True
    best = 0
    if start:
        counts = ~np.isnan(held_out.leave_one_out)
        gains = held_out.leave_one_out[counts]
        gain, error = mean_error(gains, np.arange(len(gains)))
        table[start] |= {"leave_one_out_gain": gain, "leave_one_out_error": error}
        is_gain = is_significant(gains, np.arange(len(gains)), DEFAULT_LEVEL)
        table[start]["admissible"] = is_gain and not table[start]["dropped"]
        best = start if table[start]["admissible"] else 0
    level = (LEVEL - DEFAULT_LEVEL if start else LEVEL) / max(len(table) - 1 - (start > 0), 1)
    better = []
    for number, row in enumerate(table):
        if number in (0, start) or row["dropped"]:
            continue
        value = held_out.scores[0, number]
        row["admissible"] = is_significant(value - held_out.scores[0, 0], held_out.group, level)
        difference, error = mean_error(value - held_out.scores[0, best], held_out.group)
        if best:
            row |= {"lead": difference, "lead_error": error}
        if row["admissible"] and difference > REQUIRED_ERRORS * error:
            better.append(number)
    return max(better, key=lambda k: table[k]["gain"], default=best)


def independent_scores(held_out: HeldOut, aim: str, tolerance: float, default: str) -> dict[str, float]:
    """Return the scores of the choice on data that did not make it.

    For each fold the choice is made on the items outside of it, and judged on those inside.
    """
    first_fold = held_out.fold[0]
    gains = np.empty((2, len(first_fold)))
    for number in np.unique(first_fold):
        inside = first_fold == number
        best, _ = choose(held_out.take(~inside), aim, tolerance, default)
        gains[:, inside] = held_out.scores[:, best, inside] - held_out.scores[:, 0, inside]
    gain, gain_error = mean_error(gains[0], held_out.group)
    change, change_error = mean_error(gains[1], held_out.group)
    raw = float(held_out.scores[0, 0].mean())
    return {
        "value": raw + gain, "gain": gain, "gain_error": gain_error, "change": change, "change_error": change_error
    }  # fmt: skip


def explain_choice(
    table: list[dict[str, Any]],
    best: int,
    aim: str,
    n_items: int,
    *,
    tolerance: float,
    default: str,
    independent: dict[str, float],
    failures: Mapping[int, str] | None = None,
    folds: int = 0,
) -> list[str]:
    """Return sentences that explain the choice of row `best`. With `folds`, recall at chance is among them."""
    row, raw, score, failures = table[best], table[0], SCORES[aim], failures or {}
    failed = [table[number]["name"] for number in failures]
    reasons = [
        f"{row['name']} has the {score} {percent(row['value'])} on held-out pairs of {n_items:,} items (raw "
        f"{percent(raw['value'])}, difference {_points(row['gain'])} points, standard error "
        f"{fixed(100 * row['gain_error'], 1)}); cross-modal R@1 changes by {_points(row['change'])} points (standard "
        f"error {fixed(100 * row['change_error'], 1)})."
    ]
    if aim in ("search", TWO_SIDED):
        reasons.append(_search_rule(table, best, tolerance, default, score, failed))
    else:
        reasons.append(_gain_rule(table, best, score, default))
    reasons.append(
        f"On folds that took no part in the choice, the {score} is {percent(independent['value'])} "
        f"({_points(independent['gain'])} points, standard error {fixed(100 * independent['gain_error'], 1)}), and "
        f"cross-modal R@1 changes by {_points(independent['change'])} points (standard error "
        f"{fixed(100 * independent['change_error'], 1)})."
    )
    gains = [(independent[name], independent[f"{name}_error"]) for name in ("gain", "change")]
    if best and all(gain <= REQUIRED_ERRORS * error for gain, error in gains):
        reasons.append(
            "Neither score is measurably higher than that of the raw rows, which may therefore stay as they are."
        )
    if folds and aim in ("search", "retrieval"):
        reasons += _chance_reasons(row, raw, n_items, folds)
    if aim == TWO_SIDED:
        reasons.append(f"The {score} decides because captions or labels make rows of both modalities relevant.")
    higher = [r for r in table if not r["dropped"] and r["value"] > row["value"]]
    if higher:
        rejected = max(higher, key=lambda r: r["value"])
        decisive = f"its gain has a standard error of {fixed(100 * rejected['gain_error'], 1)} points"
        if "lead" in rejected and row["name"] == default:
            decisive = f"its lead is {_lead(rejected)}"
        reasons.append(
            f"{rejected['name']} has a higher {score} ({percent(rejected['value'])}), but was not chosen: {decisive}, "
            f"and cross-modal R@1 changes by {_points(rejected['change'])} points."
        )
    dropped = [r["name"] for number, r in enumerate(table) if r["dropped"] and number not in failures]
    if dropped:
        reasons.append(
            f"Dropped before the last fold, because they could hardly be chosen any more: {', '.join(dropped)}."
        )
    by_reason: dict[str, list[str]] = {}
    for number, reason in failures.items():
        by_reason.setdefault(reason, []).append(table[number]["name"])
    return reasons + [f"Left out, because it has no fit: {', '.join(n)} ({reason})." for reason, n in by_reason.items()]


def _chance_reasons(row: dict[str, Any], raw: dict[str, Any], n_items: int, folds: int) -> list[str]:
    """Return the sentence that R@1 of the raw rows and of the choice is at chance, if it is."""
    chance = folds / n_items  # one match among the items of a fold
    if max(row["recall"], raw["recall"]) > chance_limit(chance, n_items):
        return []
    choice = "" if row is raw else f"{row['name']} {percent(row['recall'])}, "
    return [
        f"Cross-modal R@1 is not measurably above chance (raw {percent(raw['recall'])}, {choice}chance "
        f"{percent(chance)}). Check with isthmus inspect that the rows match."
    ]


def _gain_rule(table: list[dict[str, Any]], best: int, score: str, default: str) -> str:
    rule = "its gain is the largest of those that are significant by their standard error and by a sign test"
    if not best:
        rule = f"no candidate is significantly better than the raw rows in {score}, so the rows stay as they are"
    elif table[best]["name"] == default:
        rule = (
            "it is the default, its gain is significant by its standard error and by a sign test, and no other "
            "candidate beats it by two standard errors"
        )
    sentence = f"Rule: {rule} (one-sided level {100 * LEVEL:g} % over all candidates)."
    if best and "lead" in table[best]:
        sentence += f" It beats {default} by more than two standard errors ({_lead(table[best])})."
    row = next((row for row in table if "leave_one_out_gain" in row), None)
    if row is None:
        return sentence
    return (
        f"{sentence} With all items as the corpus and the own match left out of the bank, {default} changes R@1 by "
        f"{_points(row['leave_one_out_gain'])} points (standard error {fixed(100 * row['leave_one_out_error'], 1)}; it "
        f"is tested at {100 * DEFAULT_LEVEL:g} %)."
    )


def _search_rule(
    table: list[dict[str, Any]], best: int, tolerance: float, default: str, score: str, failed: Sequence[str]
) -> str:
    names = [row["name"] for row in table]
    accepted = f"that lose at most {fixed(100 * tolerance, 1)} points of cross-modal R@1"
    significant = "better than that of the raw rows by more than two standard errors"
    if default not in names and best:
        return f"Rule: of the candidates {accepted}, it has the best {score}, which is {significant}."
    if default not in names:
        return f"Rule: of the candidates {accepted}, no {score} is {significant}."
    start = table[names.index(default)]
    if best == names.index(default):
        rule = f"Rule: it is the default, and of the candidates {accepted}, none is better by two standard errors"
        nearest = max((row for row in table if "lead" in row), key=lambda row: row["lead"], default=None)
        return f"{rule}." if nearest is None else f"{rule}. The nearest is {nearest['name']}, {_lead(nearest)}."
    if start["dropped"]:
        reason = "has no fit" if default in failed else "was far behind"
        return f"Rule: {default} {reason}, and of the candidates {accepted}, it has the best {score}."
    if start["admissible"]:
        return (
            f"Rule: of the candidates {accepted}, it has the best {score}. It beats that of {default} by more "
            f"than two standard errors ({_lead(table[best])})."
        )
    loss = f"{_points(start['change'])} points, standard error {fixed(100 * start['change_error'], 1)}"
    return f"Rule: {default} loses recall ({loss}). Of the candidates {accepted}, it has the best {score}."


def _lead(row: dict[str, Any]) -> str:
    return f"{_points(row['lead'])} points, standard error {fixed(100 * row['lead_error'], 1)}"


def _points(value: float) -> str:
    return fixed(100 * value, 1, sign=True)
