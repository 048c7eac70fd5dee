"""What a cosine means here: where it stands among partners and among strangers, and which threshold to set."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import row_dot, to_numpy
from isthmus.data.pairs import Pairs
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError
from isthmus.utils.format import json_number

#: More items than this are sampled: strangers cost n^2 cosines.
SAMPLE = 5_000
#: Cosines are counted in this many bins over [-1, 1]: a resolution of 1e-4.
BINS = 20_000
GROUPS = 10
#: Student's 97.5 % point for 10 groups.
T95 = 2.2621571627409915
PRECISIONS = (0.5, 0.9, 0.99)
#: With fewer cosines at or above a threshold the jackknife does not cover, and there is no interval.
FEWEST_PARTNERS, FEWEST_STRANGERS = 20, 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """Counts of cosines in 20,000 bins over [-1, 1]: of partners, of strangers across and within the modalities.

    `items` is the number of items in the data, `sampled` those that were compared. Counts of partners are by group of
    items, (10, bins), those of strangers by pair of groups, (10, 10, bins): leaving groups out shows how sure a
    threshold is. `within` holds the counts inside each modality, (bins,).

    >>> import isthmus
    >>> c = calibrate(isthmus.demo.load("plain"))
    >>> bool(c.percentiles(0.6)["strangers"] < c.percentiles(0.7)["strangers"])
    True
    """

    names: tuple[str, str]
    items: int
    sampled: int
    matching: np.ndarray
    non_matching: np.ndarray
    within: tuple[np.ndarray, np.ndarray]

    @property
    def prevalence(self) -> float:
        """The default share of partners among the candidates: one among as many as there are items."""
        return 1 / self.items

    def percentiles(self, cosine: float, /) -> dict[str, float]:
        """Share of cosines below `cosine` (half of its own bin) among 'partners', 'strangers' and within each modality.

        Errors: `InputError` for a cosine outside [-1, 1].
        """
        parts = {"partners": self.matching.sum(axis=0), "strangers": self.non_matching.sum(axis=(0, 1))}
        parts |= {f"within {name}": counts for name, counts in zip(self.names, self.within, strict=True)}
        bin_ = _bin(cosine)
        return {
            name: float((counts[:bin_].sum() + 0.5 * counts[bin_]) / max(counts.sum(), 1))
            for name, counts in parts.items()
        }

    def matched_quantile(self, cosine: float, /) -> dict[str, float]:
        """For each modality the cosine inside it that as large a share of strangers stays below as stays below `cosine`
        across the modalities: one and the same threshold means different things within and across.

        NaN when `cosine` lies beyond all or below all strangers. Errors: `InputError` for a cosine outside [-1, 1].
        """
        across = self.percentiles(cosine)["strangers"]
        if not 0 < across < 1:
            return dict.fromkeys(self.names, NAN)
        below = [np.cumsum(counts) / max(counts.sum(), 1) for counts in self.within]
        return {
            name: float((np.searchsorted(share, across) + 0.5) * 2 / BINS - 1)
            for name, share in zip(self.names, below, strict=True)
        }

    def likelihood_ratio(self, cosine: float, /) -> float:
        """How many times more frequent a cosine near this one is among partners than among strangers.

        Both are counted within h of it, h = .9 sd n^(-1/5) of the partners (Silverman 1986), at least 1e-3. NaN where
        there are neither, infinite where there are only partners.
        """
        partners, strangers = self.matching.sum(axis=0), self.non_matching.sum(axis=(0, 1))
        n = int(partners.sum())
        centres = (np.arange(BINS) + 0.5) * 2 / BINS - 1
        mean = float(centres @ partners) / n
        deviation = math.sqrt(max(float((centres - mean) ** 2 @ partners) / n, 0.0))
        reach = max(round(max(0.9 * deviation * n**-0.2, 1e-3) * BINS / 2), 1)
        bin_ = _bin(cosine)
        near = slice(max(bin_ - reach, 0), bin_ + reach + 1)
        among = partners[near].sum() / n
        others = strangers[near].sum() / strangers.sum()
        if others == 0:
            return math.inf if among > 0 else NAN
        return float(among / others)

    def probability(self, cosine: float, /, *, prevalence: float | None = None) -> float:
        """Probability that a candidate with this cosine is the partner, by Bayes from `likelihood_ratio`.

        `prevalence` is the share of partners among the candidates; default one among as many as there are items.
        """
        share = self._share(prevalence)
        ratio = self.likelihood_ratio(cosine)
        return 1.0 if math.isinf(ratio) else share * ratio / (share * ratio + 1 - share)

    def threshold(self, precision: float, /, *, prevalence: float | None = None) -> Estimate:
        """The smallest cosine at and above which at least this share of candidates are partners.

        `prevalence` as in `probability`. The interval is the delete-a-group jackknife's over 10 groups of items
        (simulated coverage .95 to .97); there is none with fewer than 20 partners or 10 strangers at or above the
        threshold, where it does not cover. Undefined where no cosine reaches the precision.
        Errors: `InputError` for shares that are not between 0 and 1.
        """
        share = self._share(prevalence)
        if not 0 < precision < 1:
            raise InputError(f"precision={precision}, expected a share between 0 and 1")
        partners, strangers = self.matching.sum(axis=0), self.non_matching.sum(axis=(0, 1))
        value = _threshold(partners, strangers, precision, share)
        definition = f"smallest cosine with a precision of {precision:g} at a prevalence of {share:.3g}"
        if math.isnan(value):
            return Estimate(
                NAN, unit="cosine", definition=definition,
                undefined=f"no cosine of these data has a precision of {precision:g} at a prevalence of {share:.3g}",
            )  # fmt: skip
        above = _bin(value)
        counts = int(partners[above:].sum()), int(strangers[above:].sum())
        definition += f"; {counts[0]:,} partners and {counts[1]:,} strangers here have it"
        if counts[0] < FEWEST_PARTNERS or counts[1] < FEWEST_STRANGERS:
            note = (
                f"no interval: it takes {FEWEST_PARTNERS} partners and {FEWEST_STRANGERS} strangers there, "
                f"and here are {counts[0]:,} and {counts[1]:,}"
            )
            return Estimate(value, unit="cosine", definition=definition, note=note)
        left_out = []
        for g in range(GROUPS):
            cross = (
                strangers
                - self.non_matching[g].sum(axis=0)
                - self.non_matching[:, g].sum(axis=0)
                + self.non_matching[g, g]
            )
            left_out.append(_threshold(partners - self.matching[g], cross, precision, share))
        spread = float(np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
        error = math.sqrt((GROUPS - 1) / GROUPS * spread)
        low, high = (min(max(value + sign * T95 * error, -1.0), 1.0) for sign in (-1, 1))
        return Estimate(value, low, high, unit="cosine", definition=definition)

    def recall(self, cosine: float, /) -> float:
        """Share of partners with at least this cosine."""
        counts = self.matching.sum(axis=0)
        return float(counts[_bin(cosine) :].sum() / counts.sum())

    def sentences(self, cosine: float, /) -> list[str]:
        """What this cosine means, in words."""
        below = self.percentiles(cosine)
        ratio = self.likelihood_ratio(cosine)
        x, y = self.names
        found = [
            f"A cosine of {cosine:g} between {x} and {y} is higher than {_percent(below['strangers'])} of those of "
            f"strangers and than {_percent(below['partners'])} of those of partners.",
            f"Within one modality it would be higher than {_percent(below[f'within {x}'])} ({x}) and "
            f"{_percent(below[f'within {y}'])} ({y}) of the cosines of strangers.",
        ]
        same = self.matched_quantile(cosine)
        if not math.isnan(same[x]):
            found.append(
                f"As few strangers exceed {cosine:g} across the modalities as exceed {same[x]:.2f} within {x} and "
                f"{same[y]:.2f} within {y}."
            )
        if math.isnan(ratio):
            found.append("No pair here, partners or strangers, has a cosine near it.")
        elif math.isinf(ratio) or ratio == 0:
            found.append(f"Only {'partners' if ratio else 'strangers'} have a cosine near it here.")
        else:
            found.append(
                f"Near it partners are {ratio:.3g} times as frequent as strangers, so that with one partner among "
                f"{self.items:,} candidates such a candidate is the partner with probability "
                f"{self.probability(cosine):.2g}."
            )
        return found

    def threshold_sentences(self) -> list[str]:
        """The thresholds for a precision of .5, .9 and .99 in words, with the recall that each of them leaves."""
        found = []
        for precision in PRECISIONS:
            threshold = self.threshold(precision)
            if threshold.undefined:
                found.append(f"No cosine makes {_percent(precision)} of the candidates at or above it partners.")
                continue
            sure = threshold.note or f"95 %: {threshold.low:.4f} to {threshold.high:.4f}"
            found.append(
                f"At or above {threshold.value:.4f} ({sure}), {_percent(precision)} of the candidates are partners, "
                f"and {_percent(self.recall(threshold.value))} of the partners are found."
            )
        return [f"With one partner among {self.items:,} candidates:", *found]

    def to_dict(self, cosine: float | None = None) -> dict[str, Any]:
        """Plain JSON values: thresholds for a precision of .5, .9 and .99, and what `cosine` means if there is one."""
        found: dict[str, Any] = {
            "items": self.items,
            "sampled": self.sampled,
            "prevalence": self.prevalence,
            "thresholds": {f"{p:g}": self.threshold(p).to_dict() for p in PRECISIONS},
        }
        if cosine is not None:
            ratio, probability = self.likelihood_ratio(cosine), self.probability(cosine)
            found |= {
                "cosine": cosine,
                "percentiles": self.percentiles(cosine),
                "equivalents": {k: json_number(v) for k, v in self.matched_quantile(cosine).items()},
                "likelihood_ratio": json_number(ratio),
                "probability": json_number(probability),
            }
        return found

    def _share(self, prevalence: float | None) -> float:
        share = self.prevalence if prevalence is None else prevalence
        if not 0 < share < 1:
            raise InputError(f"prevalence={share}, expected a share between 0 and 1")
        return share


def calibrate(pairs: Pairs, /, *, normalize: bool = True, rng: int = 0) -> Calibration:
    """Count the cosines of partners and of strangers, on a random sample of 5,000 items when there are more.

    An item with several partners is represented by its first one. Errors: `InputError` for fewer than 20 items, and for
    rows that are not unit with `normalize=False`.

    >>> import isthmus
    >>> c = calibrate(isthmus.demo.load("plain", split="test"))
    >>> c.items, int(c.matching.sum()), int(c.non_matching.sum()) == 597 * 596
    (597, 597, True)
    """
    sample = pairs.sample(SAMPLE, rng=rng)
    x, y = (to_numpy(side) for side in sample.unit(normalize=normalize))
    if sample.index is not None:
        items, first = np.unique(sample.index, return_index=True)
        x, y = x[items], y[first]
    if len(x) < 20:
        raise InputError(f"{len(x)} items are too few to calibrate a cosine, expected 20 or more")
    for side, name in zip((x, y), pairs.names, strict=True):
        longest = float(np.max(row_dot(side, side)))
        if longest > 1.01:
            raise InputError(f"{name}: a row of length {math.sqrt(longest):.4g} has no cosine; use normalize=True")
    order = np.random.default_rng(rng).permutation(len(x))
    groups = np.array_split(order, GROUPS)
    partners = np.stack([_count(row_dot(x[g], y[g])) for g in groups])
    strangers = np.zeros((GROUPS, GROUPS, BINS), dtype=np.int64)
    within = (np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64))
    for i, j in _pairs_of(GROUPS):
        a, b = groups[i], groups[j]
        strangers[i, j] = _count_strangers(x[a], y[b], i == j)
        if i <= j:
            within[0][:] += _count_strangers(x[a], x[b], i == j)
            within[1][:] += _count_strangers(y[a], y[b], i == j)
    return Calibration(pairs.names, pairs.n_items, len(x), partners, strangers, within)


def _pairs_of(groups: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(groups) for j in range(groups))


def _count_strangers(a: np.ndarray, b: np.ndarray, same: bool) -> np.ndarray:
    """Counts of the cosines of all rows of a with all rows of b, those of an item with itself left out."""
    scores = a @ b.T
    return _count(scores[~np.eye(len(a), dtype=bool)] if same else scores.ravel())


def _count(cosines: np.ndarray) -> np.ndarray:
    bins = np.clip(((cosines + 1) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
    return np.bincount(bins, minlength=BINS)


def _bin(cosine: float) -> int:
    if not -1 <= cosine <= 1:
        raise InputError(f"cosine={cosine:g}, expected a number between -1 and 1")
    return min(int((cosine + 1) * (BINS / 2) + 1e-9), BINS - 1)


def _threshold(partners: np.ndarray, strangers: np.ndarray, precision: float, share: float) -> float:
    """The lower edge of the first bin from which on the precision is reached; NaN when there is none."""
    true, false = (np.cumsum(counts[::-1])[::-1] / counts.sum() for counts in (partners, strangers))
    reached = np.flatnonzero((true > 0) & (share * true * (1 - precision) >= (1 - share) * false * precision))
    return float(reached[0] * 2 / BINS - 1) if len(reached) else NAN


def _percent(share: float) -> str:
    if 0 < share < 0.001 or 0.999 < share < 1:
        return f"{100 * share:.3f} %"
    return f"{100 * share:.1f} %"
