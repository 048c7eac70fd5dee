"""Print an explanation as lines of text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from isthmus.diagnosis.cosine_decomposition import COMPONENTS, CosineDecomposition
from isthmus.diagnosis.explanation import Explanation
from isthmus.statistics.result import Estimate
from isthmus.statistics.sampling_clause import sample_remark
from isthmus.theory.assumptions import ROW_ITEMS
from isthmus.theory.statements import display_name
from isthmus.utils.format import cosine_text, fixed, number

#: Characters of the longest bar.
WIDTH = 40


def explanation_lines(explanation: Explanation, cosine: float | None = None) -> Iterator[str]:
    """Yield decomposition, collapse report, assumptions of the theorems, and the meaning of `cosine`.

    The default for `cosine` is the mean cosine of matching pairs.
    """
    if not explanation.is_paired:
        yield from _lines_of_sets(explanation)
        return
    yield from ["", "Components of the cosine deficit"]
    yield from _component_definitions(explanation.budget)
    yield from waterfall(explanation.budget)
    ceiling, fraction = explanation.ceiling, explanation.ceiling_fraction
    percentage = "" if not fraction > 0 else f" ({100 * fraction:.0f} %)"
    yield (
        f"  No pairing of these two clouds has a mean cosine above {cosine_text(ceiling.centred, 4)}. These pairs have "
        f"{cosine_text(ceiling.mean_cosine, 4)}{percentage}."
    )
    yield from ["", "Collapse"]
    yield from _collapse_lines(explanation)
    items = explanation.result.pairs["items"]
    sample = f"; laws, isometry and loss of a random sample of {ROW_ITEMS:,} of {items:,} items"
    sample = sample if items > ROW_ITEMS else ""
    yield from [
        "",
        f"Assumptions of the theorems (Yi, Douady and Chen 2025; temperature {explanation.temperature:g}{sample})",
    ]
    labels = {True: "holds", False: "fails", None: "untested"}
    for name, assumption in explanation.assumptions.items():
        yield f"  {labels[assumption.holds]:9}{display_name(name)}: {assumption.message}"
    for name, theorem in explanation.assumptions.theorems.items():
        yield f"  {name[0].upper()}{name[1:]}: {theorem.message}"
    calibration = explanation.calibration
    if calibration is None:
        return
    origin = " (the default is the mean of the matching pairs)" if cosine is None else ""
    yield from ["", f"Meaning of a cosine{origin}{sample_remark(calibration.sampled, calibration.items)}"]
    calibrated_cosine = float(cosine_text(ceiling.mean_cosine, 2)) if cosine is None else cosine
    yield from (f"  {sentence}" for sentence in calibration.sentences(max(min(calibrated_cosine, 1.0), -1.0)))
    introduction, *thresholds = calibration.threshold_sentences()
    yield from [f"  {introduction}", *(f"    {sentence}" for sentence in thresholds)]
    if cosine is not None:
        yield from ["", "Relevance of a first hit by the corrected score (ScoreCalibration)"]
        yield from (f"  {sentence}" for sentence in explanation.relevance_sentences(cosine))


def _lines_of_sets(explanation: Explanation) -> Iterator[str]:
    """Yield the components that need no pairs, and the collapse report."""
    yield from ["", "Components of the cosine deficit of any pairing"]
    yield from _component_definitions(explanation.budget)
    for name, component in explanation.budget.items():
        value = f"undefined: {component.undefined}" if component.undefined else fixed(component.value, 4)
        yield f"  {name:11} {value}  {_evidence(component)}".rstrip()
    yield from (f"  {note}" for note in explanation.budget.notes)
    components = [component.value for component in explanation.budget.values() if not component.undefined]
    yield f"  No pairing of these two clouds has a mean cosine above {cosine_text(1 - sum(components), 4)}."
    yield from ["", "Collapse"]
    yield from _collapse_lines(explanation)


def _component_definitions(budget: Mapping[str, Estimate]) -> Iterator[str]:
    """Yield what the components and the numbers behind them are."""
    defined = " ".join(f"{name.capitalize()}: {COMPONENTS[name]}." for name in budget)
    yield f"  1 minus the mean cosine is the sum of these components. {defined}"
    is_corrected = any(component.plugin != component.value for component in budget.values() if not component.undefined)
    plugin = " Plug-in: without the correction of sampling bias." if is_corrected else ""
    yield f"  Chance: the component where no such difference exists, from swapped or shuffled rows.{plugin}"


def waterfall(budget: CosineDecomposition) -> Iterator[str]:
    """Yield one line per component from the cosine 1 to the mean cosine. Each bar starts where the last one ended.

    >>> import isthmus
    >>> lines = list(waterfall(isthmus.explain(isthmus.demo.load("collapsed")).budget))
    >>> print(lines[2][:22])
      centre       -0.2551
    """
    total = budget.total.value
    scale = WIDTH / max(1.0, total)
    offset = max(total - 1, 0)  # keeps bars inside the plot when the mean cosine is negative
    yield f"  full cosine  {1:7.4f}  " + "#" * round(scale)
    level = 1.0
    for name, component in budget.items():
        upper, level = level, level - component.value
        start, end = (round(scale * max(v + offset, 0)) for v in (level, upper))
        bar = " " * start + "#" * max(end - start, 1 if component.value > 0 else 0)
        yield f"  {name:11} {fixed(-component.value, 4):>8}  {bar:{WIDTH}}  {_evidence(component)}".rstrip()
    yield f"  mean cosine  {1 - total:z7.4f}  " + "#" * max(round(scale * (1 - total)), 0)
    captured = budget.captured_fraction
    if captured.undefined:
        yield f"  The captured fraction of the covariance is undefined: {captured.undefined}."
    else:
        yield (
            f"  Matching pairs reach {_without_unit(captured)} of the largest covariance that such clouds can have; "
            f"95 % of shuffled pairings stay below {number(budget.shuffled_95th_percentile)}."
        )
    yield from (f"  {note}" for note in budget.notes)


def _without_unit(estimate: Estimate) -> str:
    return str(replace(estimate, unit=""))


def _evidence(component: Estimate) -> str:
    """Return interval, plug-in and null as text, as far as they exist."""
    interval = "" if math.isnan(component.low) else f"95 %: {fixed(component.low, 4)} to {fixed(component.high, 4)}; "
    # Chance is the plug-in of swapped or shuffled rows, with the same bias as the plug-in of the rows as they are.
    plugin = f"plug-in {fixed(component.plugin, 4)}, " if component.plugin != component.value else ""
    return interval + ("" if math.isnan(component.null) else f"{plugin}chance {fixed(component.null, 4)}")


def _collapse_lines(explanation: Explanation) -> Iterator[str]:
    report = explanation.collapse
    for name, rank, centred_rank in zip(report.names, report.ranks, report.centred_ranks, strict=True):
        yield (
            f"  {name}: 99 % of the energy in {rank:,} of {report.dim:,} dimensions, 99 % of the variance (energy "
            f"without the mean) in {centred_rank:,}"
        )
    yield (
        f"  dimensions that both 99 % energy subspaces share: {report.shared.value:.0f} (any two of these ranks share "
        f"at least {report.guaranteed:,}, random ones {fixed(report.shared.null, 1)}); beyond chance: {report.excess:,}"
    )
    smallest, largest = report.smallest_angle, report.largest_angle
    yield (
        f"  principal angles between these subspaces, which contain the means: {fixed(smallest.value, 1)} to "
        f"{fixed(largest.value, 1)} degrees (random subspaces: {fixed(smallest.null, 1)} to {fixed(largest.null, 1)})"
    )
    share = report.orthogonal_share
    if share.null == 0:
        yield "  share of the squared gap outside both clouds: none, because together they fill the space"
    else:
        value = _without_unit(share)
        yield f"  share of the squared gap outside both clouds: {value} (a random direction: {fixed(share.null, 2)})"
    yield from (f"  {sentence}" for sentence in report.sentences())
