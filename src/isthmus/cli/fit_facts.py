"""Sentences about the results of a fit for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isthmus.utils.format import fixed, number

#: Facts that the first line of the output states, or that are options of the aligner. Only --json prints them.
UNPRINTED = ("modalities", "rows", "k", "pooling", "beta", "relevance", "level_weight")


def fit_lines(fit_info: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return one line for each fact about the fit of an aligner to modalities of these names."""
    facts = {name: value for name, value in fit_info.items() if name not in UNPRINTED}
    lines: list[str] = []
    for name, value in facts.items():
        described = _DESCRIBED.get(name)
        lines += [f"{name.replace('_', ' ')}: {_plain(value)}"] if described is None else described(value, names)
    return lines


def _levels(levels: Mapping[str, Mapping[str, Sequence[float]]], _names: Sequence[str]) -> list[str]:
    """Describe mean and spread of the scores for each modality of the query. Scores that stay as they are have none."""
    lines = []
    for query, by_stored in levels.items():
        if all(mean == 0 and spread == 1 for mean, spread in by_stored.values()):
            continue
        scores = [
            f"{fixed(mean, 3)} (spread {fixed(spread, 3)}) for {stored}" for stored, (mean, spread) in by_stored.items()
        ]
        lines.append(f"mean score of a query of {query} with stored rows: {', '.join(scores)}")
    return lines


def _of_each(title: str, form: Callable[[Any], str] = str) -> Callable[[Any, Sequence[str]], list[str]]:
    """Return a description of one value for each modality, which come by name or in the order of the modalities."""

    def describe(values: Any, names: Sequence[str]) -> list[str]:
        by_name = values if isinstance(values, Mapping) else dict(zip(names, values, strict=False))
        return [f"{title}: {', '.join(f'{form(value)} ({name})' for name, value in by_name.items())}"]

    return describe


def _one(title: str, form: Callable[[Any], str] = str, unit: str = "") -> Callable[[Any, Sequence[str]], list[str]]:
    """Return a description of one value."""
    return lambda value, _names: [f"{title}: {form(value)}{unit}"]


def _list(title: str, form: Callable[[Any], str] = str) -> Callable[[Any, Sequence[str]], list[str]]:
    """Return a description of a list of values."""
    return lambda values, _names: [f"{title}: {', '.join(map(form, values))}"]


def _weights(weights: Mapping[str, float], _names: Sequence[str]) -> list[str]:
    """Describe the weights of the hubness. Where all are zero, no hubness is subtracted."""
    if not any(weights.values()):
        return []
    return _of_each("weight of the hubness of the stored row, by the modality of the query", number)(weights, ())


def _change(judged: Mapping[str, float], _names: Sequence[str]) -> list[str]:
    """Describe the change of the recall on pairs that were left out of a fit."""
    points = f"{fixed(100 * judged['change'], 1, sign=True)} points (standard error {fixed(100 * judged['error'], 1)})"
    return [f"change of cross-modal R@1 on held-out pairs: {points}, {judged['items']:,} items"]


def _gain(gains: Mapping[str, Sequence[float]], names: Sequence[str]) -> list[str]:
    """Describe what the weight of the hubness gains on pairs that were left out of the bank."""
    first = names[0] if names else "the first modality"
    return [
        f"gain of the hubness weight between {first} and {name}: {fixed(gain, 3, sign=True)} (standard error "
        f"{fixed(error, 3)}) in the mean reciprocal rank of pairs that were left out of the bank"
        for name, (gain, error) in gains.items()
    ]


def _decimals(value: float) -> str:
    return fixed(value, 3)


_DESCRIBED: dict[str, Callable[[Any, Sequence[str]], list[str]]] = {
    "levels": _levels,
    "bank_rows": _of_each("rows of the fit that serve as the bank", "{:,}".format),
    "gain": _gain,
    "hubness_weights": _weights,
    "correlations": _list("largest canonical correlations", _decimals),
    "gap_share": _one("share of the squared gap in the dropped coordinates", _decimals),
    "dropped": _list("dropped coordinates, counted from 0"),
    "ranks": _of_each("dimensions of the subspace of each modality"),
    "guaranteed": _one("shared dimensions that these numbers of dimensions guarantee for any two subspaces"),
    "shared": _one("shared directions"),
    "edge": _one("limit that unrelated modalities reach with a probability of 5 %", _decimals),
    "strengths": _list("largest covariances of matching rows", number),
    "energy_kept": _of_each("share of the energy that is kept", _decimals),
    "flipped": _one("directions that are rotated to the opposite side, because matching rows lie there"),
    "largest_angle": _one("largest angle of the rotation", "{:.1f}".format, " degrees"),
    "held_out_recall": _change,
    "rank": _one("dimensions of the retrieved modality"),
    "gap": _one("distance between the means", _decimals),
    "orthogonal_gap": _one("its part orthogonal to the retrieved modality, which is removed", _decimals),
    "scale": _one("factor of the deviations from the mean", _decimals),
    "drift": _one("distance between the means before the last step", _decimals),
}


def _plain(value: Any) -> str:
    """Return a fact without a description as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return number(value) if isinstance(value, float) else str(value)
