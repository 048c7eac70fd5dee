"""Decomposition and verdict of two sets without pairs: means, spectra, collapse and gap, and nothing about pairing."""

from __future__ import annotations

import dataclasses
import math

from isthmus.data.unpaired_sets import NO_PAIRS, UnpairedSets
from isthmus.diagnosis.collapse import CollapseReport
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition, decompose_cosine
from isthmus.diagnosis.decomposition_intervals import swap_null
from isthmus.diagnosis.unpaired_intervals import few_rows_note, sampled_rows, set_intervals
from isthmus.diagnosis.verdict_sentences import (
    MIN_DEFICIT,
    amounts_due,
    component_phrases,
    gap_sentence,
    subspace_sentence,
)
from isthmus.statistics.moments import moments_of
from isthmus.statistics.result import NAN, Estimate, Result
from isthmus.statistics.unpaired_moments import UnpairedMoments, moments_of_rows
from isthmus.utils.format import cosine_text, counted, fixed


def decompose_sets(sets: UnpairedSets, /, *, normalize: bool = True, sample: int | None = None) -> CosineDecomposition:
    """Decompose what any pairing of two sets must lose of the cosine. Components of the pairing are undefined.

    Parameters
    ----------
    sets : UnpairedSets
        The sets, of one width.
    normalize : bool, default True
        Whether rows are divided by their norms.
    sample : int, optional
        Random rows of each larger set that give bias, intervals and nulls, which are scaled to all rows. Default:
        10,000. There are at least 5 per dimension.

    Returns
    -------
    CosineDecomposition
        Without the bias of sampling, with 95 % intervals, and with the values after all rows are dealt to the two sets
        at random. A note gives the reason if there are no intervals.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 300, 8)) + [[[2.0]], [[3.0]]]
    >>> budget = decompose_sets(UnpairedSets(image=X, text=Y[:100]))
    >>> budget["pairing"].undefined, budget["centre"].value < 0.02
    ('the rows have no matching pairs (--unpaired)', True)
    """
    moments = moments_of_rows(sets, normalize=normalize)
    plug_in = decompose_cosine(moments)
    note = few_rows_note(sets)
    sampled = sampled_rows(sets, sample)
    intervals = set_intervals(sets, moments, sample=sample) if not note and isinstance(moments, UnpairedMoments) else {}
    pairs = sets.random_pairs(sample)
    pairs = pairs if sample is None else pairs.sample(sampled or pairs.n_items)
    nulls = swap_null(pairs, moments_of(pairs, normalize=normalize).numpy())
    scale = (1 / sets.sizes[0] + 1 / sets.sizes[1]) * pairs.n_items / 2
    missing = Estimate(NAN, undefined=NO_PAIRS)
    components = {
        name: _with_interval(dataclasses.replace(component, null=scale * nulls[name]), intervals.get(name), sampled)
        if name in nulls
        else dataclasses.replace(missing, unit=component.unit, definition=component.definition)
        for name, component in plug_in.items()
    }
    return dataclasses.replace(
        plug_in,
        components=components,
        total=dataclasses.replace(missing, unit="cosine", definition=plug_in.total.definition),
        captured_fraction=dataclasses.replace(missing, unit="share"),
        best_rotation_fraction=dataclasses.replace(missing, unit="share"),
        shuffled_95th_percentile=NAN,
        notes=tuple(text for text in (note, _sample_note(sampled, has_intervals=bool(intervals))) if text),
    )


def _sample_note(sampled: int, *, has_intervals: bool) -> str:
    """Return which numbers come from random rows of larger sets, and how many there are. '' if all rows are used."""
    if not sampled or not has_intervals:
        return ""
    return (
        f"Sampling bias and intervals of the components are those of {sampled:,} random rows of each larger set "
        "(--sample), scaled to all rows. --json states the standard errors."
    )


def _with_interval(component: Estimate, interval: tuple[float, ...] | None, sampled: int) -> Estimate:
    if interval is None:
        return component
    value, low, high = interval
    return dataclasses.replace(component, value=value, low=low, high=high, plugin=component.value, sampled=sampled)


def verdict_of_sets(result: Result, budget: CosineDecomposition, collapse: CollapseReport, /) -> list[str]:
    """Return the sentences about two sets without pairs, the strongest caveat first.

    Parameters
    ----------
    result : Result
        Measures of the sets.
    budget : CosineDecomposition
        Decomposition from `decompose_sets`.
    collapse : CollapseReport
        Ranks and the verdicts on two explanations of the gap.

    Returns
    -------
    list of str
        Complete sentences.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 300, 8)) + [[[2.0]], [[3.0]]]
    >>> isthmus.explain(X, Y[:100], unpaired=True).verdict[0]
    'The 300 rows of x and 100 of y have no pairs: nothing is said about pairing and retrieval.'
    """
    x, y = result.pairs["names"]
    rows, dim = result.pairs["pairing"]["rows"], result.pairs["dim"]
    messages = [entry["message"] for entry in result.pairs.get("degenerate", [])]
    sentences = [f"{message[0].upper()}{message[1:]}." for message in messages]
    counts = f"{counted(rows[x], 'row')} of {x} and {rows[y]:,} of {y}"
    sentences.append(f"The {counts} have no pairs: nothing is said about pairing and retrieval.")
    if min(rows.values()) <= dim:
        few = [f"{name} ({rows[name]:,})" for name in (x, y) if rows[name] <= dim]
        verb, whose = ("has", "Its") if len(few) == 1 else ("have", "Their")
        ranks = f"{whose} ranks would change with more rows."
        sentences.append(f"{' and '.join(few)} {verb} no more rows than dimensions ({dim:,}). {ranks}")
    sentences.append(gap_sentence(result, x, y))
    total = sum(component.value for component in budget.values() if not math.isnan(component.value))
    has_angle = not result["centroid_angle"].undefined
    phrases = component_phrases(budget, total, collapsed=any(collapse.collapsed), has_angle=has_angle)
    amounts = amounts_due(budget, total, phrases) if total >= MIN_DEFICIT else ""
    due = f", which is {fixed(total, 3)} below 1: {amounts}" if amounts else ""
    sentences.append(f"No pairing of these two clouds has a mean cosine above {cosine_text(1 - total, 3)}{due}.")
    sentences.append(subspace_sentence(result, collapse, x, y))
    return sentences
