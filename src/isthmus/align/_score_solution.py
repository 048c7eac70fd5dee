"""Levels and weights of the scores of several modalities, from moments and banks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.align._further import Cloud
from isthmus.align._maps import Map, is_identity
from isthmus.align._score_model import (
    Direction,
    ScoreRule,
    cloud_of_rows,
    default_hubness_weight,
    gain_of_weight,
)
from isthmus.compute import arrays
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import counted
from isthmus.utils.warning import warn

#: Smaller banks are warned of.
MIN_BANK_ROWS = 32
#: Hubness weight that pairs are tested for, and standard errors by which it must gain.
TESTED_WEIGHT, REQUIRED_ERRORS = 0.5, 2.0

#: Rounding error of a score of unit rows.
ROUNDING = 8 * float(np.finfo(np.float64).eps)
#: Variance of scores that the rounding of sums of products changes by less than 2 %.
MIN_VARIANCE = 64 * ROUNDING
#: Mean squared distance of unit rows to their mean below which sums of products say little about the spread of scores.
MIN_SPREAD = 1e-5

#: Standard deviation of the scores of float32 rows beyond what either row gives to all of its scores, below which it is
#: mostly rounding.
MIN_FLOAT32_SPREAD = 4 * float(np.finfo(np.float32).eps)

#: Matching rows of the first modality and of others, by the number of the other one.
Pairing = Mapping[int, tuple[np.ndarray, np.ndarray]]


def solve_levels(
    rule: ScoreRule, names: Sequence[str], clouds: Sequence[Cloud], banks: Sequence[np.ndarray], pairing: Pairing
) -> dict[str, Any]:
    """Return levels and weights of the scores as JSON values.

    Parameters
    ----------
    rule : ScoreRule
        What the correction does with scores.
    names : sequence of str
        Modalities.
    clouds : sequence of Cloud
        Moments of the unit rows of each modality.
    banks : sequence of (m, d) arrays
        Bank of each modality. Empty if no bank was kept.
    pairing : mapping of int to ((m, d) array, (m, d) array)
        For the numbers of modalities that are paired with the first one, matching rows of the first one and of theirs.

    Returns
    -------
    dict of str to Any
        `fit_info_` of the correction.
    """
    clouds, rounding = _precise_clouds(clouds, banks)
    info: dict[str, Any] = {
        "levels": {
            a: {
                b: list(score_level(query, stored, (a, b), rounding)) if rule.standardizes else [0.0, 1.0]
                for b, stored in zip(names, clouds, strict=True)
            }
            for a, query in zip(names, clouds, strict=True)
        }
    }
    if any(rows.dtype == np.float32 for rows in banks):
        _warn_of_float32_rounding(names, clouds)
    if rule.needs_bank:
        bank_sizes = [len(rows) for rows in banks]
        info["bank_rows"] = dict(zip(names, bank_sizes, strict=True))
        if min(bank_sizes) < MIN_BANK_ROWS:
            warn(
                f"scores are compared with a bank of {min(bank_sizes)} rows, fewer than {MIN_BANK_ROWS}, so their "
                "correction is noisy; fit it to more rows, or use ScoreStandardization",
                IsthmusWarning,
                stacklevel=2,
            )
    if rule.hubness_weight is None:
        weights, gains = _choose_weights(banks, pairing, rule.k)
        if gains:
            info["gain"] = {names[number]: list(gain) for number, gain in gains.items()}
    else:
        weights = [rule.hubness_weight] * len(names)
    info["hubness_weights"] = dict(zip(names, weights, strict=True))
    return info | {"level_weight": rule.level_weight, "k": rule.k, "pooling": rule.pooling, "beta": rule.beta}


def _precise_clouds(clouds: Sequence[Cloud], banks: Sequence[np.ndarray]) -> tuple[list[Cloud], float]:
    """Return the moments, those of narrow clouds from the rows of their banks, and the smallest variance of scores."""
    if len(banks) < len(clouds):
        return list(clouds), MIN_VARIANCE
    return [
        replace(cloud_of_rows(rows), n=cloud.n) if len(rows) > 1 and np.trace(cloud.cov) < MIN_SPREAD else cloud
        for cloud, rows in zip(clouds, banks, strict=True)
    ], ROUNDING**2


def _warn_of_float32_rounding(names: Sequence[str], clouds: Sequence[Cloud]) -> None:
    """Warn if the scores of two modalities differ by little more than the rounding of products in float32."""
    spreads = {
        (a, b): math.sqrt(max(float(np.vdot(query.cov, stored.cov)), 0.0))
        for (a, query), (b, stored) in itertools.combinations(zip(names, clouds, strict=True), 2)
    }
    (a, b), spread = min(spreads.items(), key=lambda entry: entry[1])
    if spread < MIN_FLOAT32_SPREAD:
        warn(
            f"the rows of {a} and {b} are so similar that their scores differ by {spread:.0e}, mostly the rounding of "
            "float32; use row_map='Centering' (--set row_map=Centering), or rows of float64",
            IsthmusWarning,
            stacklevel=2,
        )


def score_level(query: Cloud, stored: Cloud, direction: Direction, rounding: float) -> tuple[float, float]:
    """Return mean and standard deviation of the scores of the rows of two modalities, exactly from their moments.

    Within one modality the scores of a row against itself, which are 1, do not count. `rounding` is the largest
    variance of equal scores.
    """
    mean = float(query.mean @ stored.mean)
    variance = float(
        np.vdot(query.cov, stored.cov) + query.mean @ stored.cov @ query.mean + stored.mean @ query.cov @ stored.mean
    )
    name, other = direction
    if name == other:
        n = query.n
        if n < 3:
            raise InputError(f"got {counted(n, 'row')} of {name}, expected 3 or more, because scores need a spread")
        mean, variance = without_own_scores(mean, variance, n)
    if not variance > rounding:
        for modality, cloud in ((name, query), (other, stored)):
            if np.trace(cloud.cov) <= max(rounding, MIN_VARIANCE):
                raise InputError(
                    f"all rows of {modality} are the same, so that their scores have no spread to divide by; check "
                    "the encoder, or give rows of several items"
                )
        advice = "ScoreCalibration, which keeps rows" if rounding == MIN_VARIANCE else "CSLS"
        raise InputError(
            f"the scores of {name} against {other} are equal up to rounding, so there is no spread to divide by; use "
            f"{advice}"
        )
    return mean, math.sqrt(variance)


def without_own_scores(mean: Any, variance: Any, n_rows: Any) -> tuple[Any, Any]:
    """Return mean and variance of the scores of n unit rows against each other, without those of a row with itself.

    >>> mean, variance = without_own_scores(0.5, 0.25, 2)  # the scores 1, 0, 0 and 1
    >>> (mean, variance)
    (0.0, 0.0)
    """
    others = mean - (1 - mean) / (n_rows - 1)
    return others, (n_rows * (variance + (mean - others) ** 2) - (1 - others) ** 2) / (n_rows - 1)


def _choose_weights(
    banks: Sequence[np.ndarray], pairing: Pairing, k: int
) -> tuple[list[float], dict[int, tuple[float, float]]]:
    """Return a weight for each modality, and the measured gain of each modality that is paired with the first.

    The weight grows with the bank. It is .5 where the gain on pairs is at least two standard errors. Each further
    modality is judged against the first one, so that it changes nothing between others.
    """
    weights = [default_hubness_weight(len(rows)) for rows in banks]
    gains = {}
    for number, (first, other) in pairing.items():
        if len(first) < 2:
            continue
        gain, error = gain_of_weight(first, other, weight=TESTED_WEIGHT, k=k)
        gains[number] = (gain, error)
        if gain > 0 and gain >= REQUIRED_ERRORS * error:
            weights[number] = TESTED_WEIGHT
            if number == 1:
                weights[0] = TESTED_WEIGHT
    return weights, gains


def map_rows(mapping: Map, rows: np.ndarray) -> np.ndarray:
    """Return unit rows after a row map and the division by their norms."""
    return rows if is_identity(mapping) else np.asarray(arrays.unit_rows(mapping(rows)))
