"""The table of several models, and rank correlations across them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from isthmus.statistics.correlation import mean_ranks, spearman
from isthmus.statistics.intervals import Z95
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.format import column_numbers, counted, percent, sample_words, too_few, with_interval
from isthmus.utils.tabular import Tabular

#: Pairs of numbers that are correlated across models: first what may explain, then what users want.
CORRELATED = (
    ("centroid_distance", "R@1"),
    ("shared_alignment", "R@1"),
    ("centroid_distance", "exchange_R@1"),
    ("shared_alignment", "exchange_R@1"),
    ("R@1", "same_modality_share"),
)
#: Fewest models for a rank correlation, and for its interval.
MIN_MODELS, MIN_MODELS_OF_INTERVAL = 4, 6
#: Number of models up to which every permutation is counted, and the number of random ones above it.
EXACT_MODELS, PERMUTATIONS = 7, 10_000
#: Level of a permutation test at which a correlation is called real.
LEVEL = 0.05
#: Numbers that the text shows.
SHOWN = ("centroid_angle", "centroid_distance", "shared_alignment", "R@1", "exchange_R@1", "mixed_R@1")
#: Names of numbers in sentences.
WORDS = {
    "centroid_distance": "the gap (distance between the means)",
    "shared_alignment": "the alignment of the shared space",
    "R@1": "cross-modal R@1",
    "exchange_R@1": "mixed search (exchange score)",
    "same_modality_share": "the preference for the own modality",
}


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(Tabular, Mapping[str, Mapping[str, Estimate]]):
    """Numbers of several models, returned by `isthmus.compare_models`. It is a mapping from models to their numbers.

    Parameters
    ----------
    numbers : mapping of str to mapping of str to Estimate
        Numbers of each model. Names end in _x and _y, whatever the modalities are called.
    differences : mapping of (str, str) to mapping of str to Estimate
        Numbers of the second model minus those of the first, with 95 % intervals.
    correlations : mapping of (str, str) to Estimate
        Spearman's rank correlation of two numbers across models. Their p-values are those of a permutation test.
    steps : mapping of str to int
        Training step of each checkpoint, empty if the names are no steps.
    paired : bool
        Whether all models have the same pairs.
    sizes : mapping of str to int
        Number of pairs of each model.
    item_counts : mapping of str to int
        Number of items of each model. Default: empty, for comparisons without a sample.

    Examples
    --------
    >>> numbers = {name: {"R@1": Estimate(value)} for name, value in (("a", 0.5), ("b", 0.6))}
    >>> table = ModelComparison(numbers, {}, {}, {}, True, {"a": 100, "b": 100})
    >>> list(table), table["b"]["R@1"].value
    (['a', 'b'], 0.6)
    """

    kind: ClassVar[str] = "model comparison"

    numbers: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[tuple[str, str], Mapping[str, Estimate]]
    correlations: Mapping[tuple[str, str], Estimate]
    steps: Mapping[str, int]
    paired: bool
    sizes: Mapping[str, int]
    item_counts: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, model: str) -> Mapping[str, Estimate]:
        return self.numbers[model]

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def sentences(self) -> list[str]:
        """Return the best model, its lead over the next one, one sentence for each rank correlation, and the sample.

        Returns
        -------
        list of str
            Sentences. The last one states the sample of items, if there is one.
            Correlations that a permutation test does not tell from chance are said to be so.
        """
        order = sorted(self.numbers, key=lambda model: -self.numbers[model]["R@1"].value)
        best, second = order[:2]
        sentences = [
            f"{best} has the best cross-modal R@1, {self.numbers[best]['R@1'].value:z.3f}{self._lead(best, second)}."
        ]
        for (cause, effect), correlation in self.correlations.items():
            words = f"{WORDS[cause]} and {WORDS[effect]}"
            if correlation.undefined:
                sentences.append(f"The rank correlation of {words} is undefined: {correlation.undefined}.")
                break
            p_value = correlation.p_value
            if p_value >= LEVEL:
                sentences.append(
                    f"Across these models {words} show no rank correlation beyond chance "
                    f"({correlation.value:+.2f}, p = {p_value:.2g})."
                )
                continue
            direction = "rise together" if correlation.value > 0 else "go in opposite directions"
            sentences.append(
                f"Across these models {words} {direction} (rank correlation {correlation.value:+.2f}, "
                f"p = {p_value:.2g})."
            )
        return [*sentences, *self._sample_sentences()]

    def _sample_sentences(self) -> Iterator[str]:
        """Yield which numbers come from a random sample of the items, and the standard errors of R@1."""
        estimates = {model: own["R@1"] for model, own in self.numbers.items() if own["R@1"].sampled}
        if not estimates:
            return
        samples = {model: sample_words(e.sampled, self.item_counts[model]) for model, e in estimates.items()}
        distinct_texts = set(samples.values())
        sample_text = ", ".join(f"{text} of {model}" for model, text in samples.items())
        if len(distinct_texts) == 1 and len(samples) == len(self.numbers):
            sample_text = f"{next(iter(distinct_texts))} of each model"
        errors = [e.standard_error for e in estimates.values() if not math.isnan(e.standard_error)]
        ends = dict.fromkeys(percent(error) for error in (min(errors), max(errors))) if errors else {}
        text = f" The standard error of R@1 is {' to '.join(ends)}." if ends else ""
        yield (
            f"Retrieval and mixed search are those of {sample_text} (--sample).{text} Bias and intervals of the "
            "components of the cosine deficit come from such a sample too. Other numbers are those of all items."
        )

    def _lead(self, best: str, second: str) -> str:
        key = (second, best) if (second, best) in self.differences else (best, second)
        lead = self.differences.get(key, {}).get("R@1")
        if lead is None or math.isnan(lead.low):
            return ""
        sign = 1 if key == (second, best) else -1
        low, high = sorted((sign * lead.low, sign * lead.high))
        text = f"its lead over {second} is {sign * lead.value:+z.3f} (95 %: {low:+z.3f} to {high:+z.3f})"
        return f", and {text}" if low > 0 else f", but chance can explain the difference: {text}"

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each model and number.

        Returns
        -------
        dict of str to list
            Model, step, measure, its value with interval and unit, the difference from the first model with its
            interval ('difference', 'difference_low', 'difference_high'), and a note. 'sampled' is the number of sampled
            items, 0 for all items, and 'standard_error' that of a number of a sample.
        """
        first = next(iter(self.numbers))
        rows = [(model, name, estimate) for model, own in self.numbers.items() for name, estimate in own.items()]
        absent = Estimate(NAN)
        differences = [self.differences.get((first, model), {}).get(name, absent) for model, name, _ in rows]
        steps: dict[str, list[Any]] = {}
        if self.steps:
            steps = {"step": [self.steps[model] for model, _, _ in rows]}
        return {
            "model": [model for model, _, _ in rows],
            **steps,
            "measure": [name for _, name, _ in rows],
            **{field: [getattr(e, field) for _, _, e in rows] for field in ("value", "low", "high", "unit")},
            "difference": [e.value for e in differences],
            "difference_low": [e.low for e in differences],
            "difference_high": [e.high for e in differences],
            "note": [e.undefined or e.note for _, _, e in rows],
            "sampled": [e.sampled for _, _, e in rows],
            "standard_error": [e.standard_error if e.sampled else NAN for _, _, e in rows],
        }

    def display_columns(self) -> dict[str, list[Any]]:
        """Return one row for each model with the main numbers and their intervals.

        Returns
        -------
        dict of str to list
            Model, step of checkpoints, and texts. The columns of `columns` hold all numbers.
        """
        steps = {"step": [self.steps[model] for model in self.numbers]} if self.steps else {}
        main = {
            name: [with_interval(own[name].value, own[name].low, own[name].high) for own in self.numbers.values()]
            for name in SHOWN
        }
        return {"model": list(self.numbers), **steps, **main}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'models', 'differences' (keys 'a,b' mean b minus a), 'correlations', 'steps', 'paired', 'sizes',
            'item_counts' and 'sentences'.
        """

        def values(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
            return {name: estimate.to_dict() for name, estimate in estimates.items()}

        return {
            "models": {model: values(own) for model, own in self.numbers.items()},
            "differences": [{"from": a, "to": b, "values": values(own)} for (a, b), own in self.differences.items()],
            "correlations": [{"of": list(pair), **e.to_dict()} for pair, e in self.correlations.items()],
            "steps": dict(self.steps),
            "paired": self.paired,
            "sizes": dict(self.sizes),
            "item_counts": dict(self.item_counts),
            "sentences": self.sentences(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> ModelComparison:
        """Return the comparison that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        ModelComparison
            The comparison.
        """

        def estimates(values: Mapping[str, Any]) -> dict[str, Estimate]:
            return {name: Estimate.from_dict(value) for name, value in values.items()}

        return cls(
            {model: estimates(own) for model, own in content["models"].items()},
            {(entry["from"], entry["to"]): estimates(entry["values"]) for entry in content["differences"]},
            {(entry["of"][0], entry["of"][1]): Estimate.from_dict(entry) for entry in content["correlations"]},
            content["steps"],
            content["paired"],
            content["sizes"],
            content.get("item_counts", {}),
        )

    def __repr__(self) -> str:
        same = "the same pairs" if self.paired else "different pairs"
        width = max(map(len, self.numbers))
        lines = [f"ModelComparison of {counted(len(self), 'model')} on {same}", f"  {'':{width}}  " + "  ".join(SHOWN)]
        columns = [column_numbers(own[name].value for own in self.numbers.values()) for name in SHOWN]
        for model, *cells in zip(self.numbers, *columns, strict=True):
            lines.append(f"  {model:{width}}  " + "  ".join(map(str.rjust, cells, map(len, SHOWN))))
        return "\n".join([*lines, *self.sentences()])


def steps_of(names: Sequence[str] | Mapping[str, Any], /) -> dict[str, int]:
    """Return the training step of each checkpoint, the last number in its name.

    Parameters
    ----------
    names : sequence of str
        Names of the models.

    Returns
    -------
    dict of str to int
        Steps by name. Empty unless the names differ in one number alone.

    Examples
    --------
    >>> steps_of(["epoch_1", "epoch_10"]), steps_of(["ViT-B-32", "ViT-L-14"])
    ({'epoch_1': 1, 'epoch_10': 10}, {})
    """
    parts = {name: re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in names}
    found = {name: match for name, match in parts.items() if match}
    frames = {(match[1], match[3]) for match in found.values()}
    steps = {name: int(match[2]) for name, match in found.items()}
    return steps if len(found) == len(parts) == len(set(steps.values())) and len(frames) == 1 else {}


def rank_correlation(
    numbers: Mapping[str, Mapping[str, Estimate]], first: str, second: str, /, *, rng: int = 0
) -> Estimate:
    """Return Spearman's rank correlation of two numbers across models, with a permutation test.

    Parameters
    ----------
    numbers : mapping of str to mapping of str to Estimate
        Numbers of each model.
    first, second : str
        Names of the two numbers.
    rng : int, default 0
        Seed of the permutations, used for more than 7 models.

    Returns
    -------
    Estimate
        In [-1, 1], with the two-sided p-value. The interval is that of Bonett and Wright (2000) for the models
        as a sample of models, from 6 models on. Undefined for fewer than 4 models with both numbers, and if one number
        is the same for all.

    References
    ----------
    Bonett and Wright (2000), Sample size requirements for estimating Pearson, Kendall and Spearman correlations.

    Examples
    --------
    >>> numbers = {str(i): {"a": Estimate(i), "b": Estimate(i**2)} for i in range(4)}
    >>> estimate = rank_correlation(numbers, "a", "b")
    >>> estimate.value, round(estimate.p_value, 3)
    (1.0, 0.083)
    """
    both = [(own[first].value, own[second].value) for own in numbers.values() if first in own and second in own]
    a, b = np.array([pair for pair in both if np.isfinite(pair).all()]).reshape(-1, 2).T
    count = len(a)
    if count < MIN_MODELS:
        return Estimate(NAN, undefined=f"{too_few(count, 'model')} for a rank correlation, {MIN_MODELS} are needed")
    value = spearman(a, b)
    if math.isnan(value):
        return Estimate(NAN, undefined="one of the two numbers is the same for all models")
    if count <= EXACT_MODELS:
        orders = np.array(list(itertools.permutations(range(count))))
    else:
        generator = np.random.default_rng(rng)
        drawn = np.array([generator.permutation(count) for _ in range(PERMUTATIONS)])
        orders = np.concatenate([np.arange(count)[None], drawn])
    ranks_a, ranks_b = (ranks - ranks.mean() for ranks in map(mean_ranks, (a, b)))
    permuted = np.abs(ranks_b[orders] @ ranks_a)
    p_value = float(np.mean(permuted >= abs(float(ranks_a @ ranks_b)) - 1e-9))
    low = high = NAN
    if count >= MIN_MODELS_OF_INTERVAL and abs(value) < 1:
        half_width = Z95 * math.sqrt((1 + value**2 / 2) / (count - 3))
        low, high = math.tanh(math.atanh(value) - half_width), math.tanh(math.atanh(value) + half_width)
    return Estimate(value, low, high, null=0.0, unit="correlation", p_value=p_value)
