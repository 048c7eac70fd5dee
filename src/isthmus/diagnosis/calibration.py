"""Calibrate the cosine: percentiles, probability of a match, and thresholds for a precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus.diagnosis._cosine_bins import BINS, MIN_PAIRS, bin_of, share_text, smallest_reaching, threshold_sentence
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError
from isthmus.utils.files import pack_array, unpack_array
from isthmus.utils.format import cosine_text, json_number
from isthmus.utils.tabular import Tabular

#: Groups of items that the jackknife leaves out in turn.
GROUPS = 10
#: Quantile .975 of Student's t distribution with 9 degrees of freedom.
T95 = 2.2621571627409915
#: Precisions of the thresholds in sentences and in JSON.
PRECISIONS = (0.5, 0.9, 0.99)
#: Matched quantile from which on the bins are too wide for a narrow cone, whose cosines are all nearly 1.
MAX_RESOLVED = 1 - 20 / BINS
#: Smallest bandwidth of the likelihood ratio.
MIN_BANDWIDTH = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Tabular):
    """Histograms of the cosines of matching and non-matching pairs in 20,000 bins over [-1, 1].

    Parameters
    ----------
    names : tuple of str
        Names of the modalities.
    items : int
        Number of items in the data.
    sampled : int
        Number of items whose cosines were counted.
    matching : array of int, (10, 20000)
        Counts of matching pairs by group of items.
    non_matching : array of int, (10, 10, 20000)
        Counts of non-matching pairs across the modalities, by the groups of their two items.
    within : tuple of two arrays of int, (20000,)
        Counts of pairs of different items within each modality.

    Examples
    --------
    >>> import isthmus
    >>> calibration = isthmus.calibrate(isthmus.demo.load("plain"))
    >>> low, high = (calibration.percentiles(cosine)["non_matching"] for cosine in (0.6, 0.7))
    >>> bool(low < high)
    True
    """

    kind: ClassVar[str] = "calibration"

    names: tuple[str, str]
    items: int
    sampled: int
    matching: np.ndarray
    non_matching: np.ndarray
    within: tuple[np.ndarray, np.ndarray]

    @property
    def prevalence(self) -> float:
        """Default share of matches among the candidates, 1 / items."""
        return 1 / self.items

    def percentiles(self, cosine: float, /) -> dict[str, float]:
        """Return the shares of pairs with a lower cosine.

        Parameters
        ----------
        cosine : float
            Between -1 and 1.

        Returns
        -------
        dict of str to float
            Shares of 'matching' and 'non_matching' pairs across the modalities, and of pairs 'within NAME' of each
            modality. Half of the pairs in the bin of `cosine` count as lower.

        Raises
        ------
        InputError
            If `cosine` is outside [-1, 1].
        """
        histograms = {"matching": self.matching.sum(axis=0), "non_matching": self.non_matching.sum(axis=(0, 1))}
        histograms |= {f"within {name}": counts for name, counts in zip(self.names, self.within, strict=True)}
        position = bin_of(cosine)
        return {
            name: float((counts[:position].sum() + 0.5 * counts[position]) / max(counts.sum(), 1))
            for name, counts in histograms.items()
        }

    def matched_quantile(self, cosine: float, /) -> dict[str, float]:
        """Return the cosine within each modality at the same percentile of non-matching pairs as `cosine` across.

        One threshold has different meanings within and across the modalities. This method converts it.

        Parameters
        ----------
        cosine : float
            Cosine across the modalities, between -1 and 1.

        Returns
        -------
        dict of str to float
            Cosine by name of the modality. NaN if `cosine` is above or below all non-matching pairs.

        Raises
        ------
        InputError
            If `cosine` is outside [-1, 1].
        """
        share = self.percentiles(cosine)["non_matching"]
        if not 0 < share < 1:
            return dict.fromkeys(self.names, NAN)
        cumulative = [np.cumsum(counts) / max(counts.sum(), 1) for counts in self.within]
        return {
            name: float((np.searchsorted(shares, share) + 0.5) * 2 / BINS - 1)
            for name, shares in zip(self.names, cumulative, strict=True)
        }

    def likelihood_ratio(self, cosine: float, /) -> float:
        """Return how many times more frequent a cosine near this one is among matching than non-matching pairs.

        Parameters
        ----------
        cosine : float
            Between -1 and 1.

        Returns
        -------
        float
            NaN if no pair is near, infinite if only matching pairs are.

        Notes
        -----
        Pairs within h of the cosine are counted. h = .9 sd n^(-1/5) of the matching pairs, at least 1e-3.

        References
        ----------
        Silverman 1986, Density Estimation for Statistics and Data Analysis.
        """
        matching, non_matching = self.matching.sum(axis=0), self.non_matching.sum(axis=(0, 1))
        n = int(matching.sum())
        centres = (np.arange(BINS) + 0.5) * 2 / BINS - 1
        mean = float(centres @ matching) / n
        deviation = math.sqrt(max(float((centres - mean) ** 2 @ matching) / n, 0.0))
        bandwidth = max(round(max(0.9 * deviation * n**-0.2, MIN_BANDWIDTH) * BINS / 2), 1)
        position = bin_of(cosine)
        window = slice(max(position - bandwidth, 0), position + bandwidth + 1)
        matching_share = matching[window].sum() / n
        non_matching_share = non_matching[window].sum() / non_matching.sum()
        if non_matching_share == 0:
            return math.inf if matching_share > 0 else NAN
        return float(matching_share / non_matching_share)

    def probability(self, cosine: float, /, *, prevalence: float | None = None) -> float:
        """Return the probability that a candidate with this cosine is a match, by Bayes' rule.

        Parameters
        ----------
        cosine : float
            Between -1 and 1.
        prevalence : float, optional
            Share of matches among the candidates. Default: 1 / items.

        Returns
        -------
        float
            Between 0 and 1, NaN if no pair has a cosine near this one.

        Raises
        ------
        InputError
            If `prevalence` is not between 0 and 1.
        """
        prior = self._validated_prevalence(prevalence)
        ratio = self.likelihood_ratio(cosine)
        return 1.0 if math.isinf(ratio) else prior * ratio / (prior * ratio + 1 - prior)

    def threshold(self, precision: float, /, *, prevalence: float | None = None) -> Estimate:
        """Return the smallest cosine at and above which this share of the candidates are matches.

        Parameters
        ----------
        precision : float
            Share of matches among the candidates at or above the threshold.
        prevalence : float, optional
            Share of matches among all candidates. Default: 1 / items.

        Returns
        -------
        Estimate
            The interval comes from the delete-a-group jackknife over 10 groups of items (simulated coverage .95 to
            .97). With fewer than 20 matching or 10 non-matching pairs at or above the threshold it does not cover, and
            there is none. Undefined if no cosine reaches the precision.

        Raises
        ------
        InputError
            If a share is not between 0 and 1.
        """
        prior = self._validated_prevalence(prevalence)
        if not 0 < precision < 1:
            raise InputError(f"precision={precision}, expected a share between 0 and 1")
        matching, non_matching = self.matching.sum(axis=0), self.non_matching.sum(axis=(0, 1))
        value = smallest_reaching(matching, non_matching, precision, prior)
        definition = f"smallest cosine with a precision of {precision:g} at a prevalence of {prior:.3g}"
        if math.isnan(value):
            return Estimate(
                NAN, unit="cosine", definition=definition,
                undefined=f"no cosine of these data has a precision of {precision:g} at a prevalence of {prior:.3g}",
            )  # fmt: skip
        position = bin_of(value)
        n_matching, n_non_matching = int(matching[position:].sum()), int(non_matching[position:].sum())
        definition += f"; {n_matching:,} matching and {n_non_matching:,} non-matching pairs reach it here"
        if n_matching < MIN_PAIRS[0] or n_non_matching < MIN_PAIRS[1]:
            note = (
                f"no interval: {n_matching:,} matching and {n_non_matching:,} non-matching pairs reach it, and "
                f"{MIN_PAIRS[0]} and {MIN_PAIRS[1]} are needed"
            )
            return Estimate(value, unit="cosine", definition=definition, note=note)
        replicates = []
        for g in range(GROUPS):
            removed = self.non_matching[g].sum(axis=0) + self.non_matching[:, g].sum(axis=0) - self.non_matching[g, g]
            replicates.append(smallest_reaching(matching - self.matching[g], non_matching - removed, precision, prior))
        sum_of_squares = float(np.sum((np.array(replicates) - np.mean(replicates)) ** 2))
        error = math.sqrt((GROUPS - 1) / GROUPS * sum_of_squares)
        low, high = (min(max(value + sign * T95 * error, -1.0), 1.0) for sign in (-1, 1))
        return Estimate(value, low, high, unit="cosine", definition=definition)

    def recall(self, cosine: float, /) -> float:
        """Return the share of matching pairs with at least this cosine.

        Parameters
        ----------
        cosine : float
            Between -1 and 1.

        Returns
        -------
        float
            Between 0 and 1.
        """
        counts = self.matching.sum(axis=0)
        return float(counts[bin_of(cosine) :].sum() / counts.sum())

    def sentences(self, cosine: float, /) -> list[str]:
        """Return the meaning of this cosine in sentences.

        Parameters
        ----------
        cosine : float
            Between -1 and 1.

        Returns
        -------
        list of str
            Percentiles, the matched quantiles within the modalities, and the probability of a match.
        """
        shares = self.percentiles(cosine)
        x, y = self.names
        sentences = [
            f"A cosine of {cosine:g} between {x} and {y} is higher than {share_text(shares['non_matching'])} of those "
            f"of non-matching pairs and than {share_text(shares['matching'])} of those of matching pairs.",
            f"Within one modality it would be higher than {share_text(shares[f'within {x}'])} ({x}) and "
            f"{share_text(shares[f'within {y}'])} ({y}) of the cosines of non-matching pairs.",
        ]
        quantiles = self.matched_quantile(cosine)
        if max(quantiles.values()) < MAX_RESOLVED:  # and not NaN
            sentences.append(
                f"The share of non-matching pairs above {cosine:g} across the modalities is the share above "
                f"{cosine_text(quantiles[x], 2)} within {x} and above {cosine_text(quantiles[y], 2)} within {y}."
            )
        ratio = self.likelihood_ratio(cosine)
        if math.isnan(ratio):
            sentences.append("No pair here, matching or not, has a cosine near this one.")
        elif math.isinf(ratio) or ratio == 0:
            sentences.append(f"Only {'matching' if ratio else 'non-matching'} pairs have a cosine near this one here.")
        else:
            sentences.append(
                f"Near this cosine, the share of matching pairs is {ratio:.3g} times that of non-matching pairs. With "
                f"one match among {self.items:,} candidates, a candidate with this cosine is the match with "
                f"probability {self.probability(cosine):.2g}."
            )
        return sentences

    def threshold_sentences(self) -> list[str]:
        """Return the thresholds for a precision of .5, .9 and .99 in sentences, with the recall at each of them.

        Returns
        -------
        list of str
            An introduction and one sentence for each precision.
        """
        sentences = []
        for precision in PRECISIONS:
            threshold = self.threshold(precision)
            if threshold.undefined:
                sentences.append(f"No threshold has a precision of {100 * precision:g} %.")
                continue
            n_matching = int(self.matching.sum(axis=0)[bin_of(threshold.value) :].sum())
            shares = f"{100 * precision:g} %", share_text(self.recall(threshold.value))
            sentences.append(threshold_sentence(threshold, shares, n_matching))
        return [f"With one match among {self.items:,} candidates:", *sentences]

    def to_dict(self, cosine: float | None = None) -> dict[str, Any]:
        """Return plain JSON values. Numbers that are not finite are None.

        Parameters
        ----------
        cosine : float, optional
            Also return the meaning of this cosine.

        Returns
        -------
        dict
            'items', 'sampled', 'prevalence' and the 'thresholds' for a precision of .5, .9 and .99. With `cosine` also
            its 'percentiles' (`partners` are matching and `strangers` non-matching pairs), 'equivalents' (the matched
            quantiles), 'likelihood_ratio' and 'probability'.
        """
        values: dict[str, Any] = {
            "items": self.items,
            "sampled": self.sampled,
            "prevalence": self.prevalence,
            "thresholds": {f"{p:g}": self.threshold(p).to_dict() for p in PRECISIONS},
        }
        if cosine is not None:
            keys = {"matching": "partners", "non_matching": "strangers"}
            ratio, probability = self.likelihood_ratio(cosine), self.probability(cosine)
            values |= {
                "cosine": cosine,
                "percentiles": {keys.get(name, name): share for name, share in self.percentiles(cosine).items()},
                "equivalents": {k: json_number(v) for k, v in self.matched_quantile(cosine).items()},
                "likelihood_ratio": json_number(ratio),
                "probability": json_number(probability),
            }
        return values

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Calibration:
        """Return the calibration that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Calibration
            The calibration.
        """
        histograms = {name: unpack_array(values) for name, values in content["histograms"].items()}
        within = (histograms.pop("within_x"), histograms.pop("within_y"))
        names = (content["names"][0], content["names"][1])
        return cls(names=names, items=content["items"], sampled=content["sampled"], within=within, **histograms)

    def _saved(self) -> dict[str, Any]:
        histograms = {"matching": self.matching, "non_matching": self.non_matching}
        histograms |= dict(zip(("within_x", "within_y"), self.within, strict=True))
        packed = {name: pack_array(counts) for name, counts in histograms.items()}
        return {**super()._saved(), "names": list(self.names), "histograms": packed}

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each precision of `threshold_sentences`.

        Returns
        -------
        dict of str to list
            Precision, the threshold of the cosine with its 95 % interval, the recall there, and a note.
        """
        thresholds = [self.threshold(precision) for precision in PRECISIONS]
        return {
            "precision": list(PRECISIONS),
            "value": [threshold.value for threshold in thresholds],
            "low": [threshold.low for threshold in thresholds],
            "high": [threshold.high for threshold in thresholds],
            "recall": [NAN if threshold.undefined else self.recall(threshold.value) for threshold in thresholds],
            "note": [threshold.undefined or threshold.note for threshold in thresholds],
        }

    def __repr__(self) -> str:
        heading = f"Calibration of the cosine, {self.sampled:,} of {self.items:,} items"
        return "\n".join([heading, *(f"  {sentence}" for sentence in self.threshold_sentences())])

    def _validated_prevalence(self, prevalence: float | None) -> float:
        share = self.prevalence if prevalence is None else prevalence
        if not 0 < share < 1:
            raise InputError(f"prevalence={share}, expected a share between 0 and 1")
        return share
