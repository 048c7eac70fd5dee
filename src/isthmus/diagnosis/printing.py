"""An explanation as lines of text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.diagnosis.explanation import Explanation
from isthmus.statistics.result import Estimate
from isthmus.theory.statements import display_name
from isthmus.utils.format import number

WIDTH = 40


def explanation_lines(explanation: Explanation, cosine: float | None = None) -> Iterator[str]:
    """The budget as a waterfall, the collapse report, the assumptions of the theory, and what a cosine means."""
    yield from ["", "Where the missing cosine goes"]
    yield from waterfall(explanation.budget)
    top = explanation.ceiling
    yield (
        f"  No pairing of these two clouds has a mean cosine above {top.centred:.4f}; these have "
        f"{top.mean_cosine:.4f}"
        + ("." if math.isnan(explanation.ceiling_fraction) else f" ({100 * explanation.ceiling_fraction:.0f} %).")
    )
    yield from ["", "Collapse"]
    yield from _collapse(explanation)
    yield from ["", f"Assumptions of the theory (temperature {explanation.temperature:g})"]
    marks = {True: "holds", False: "fails", None: "untested"}
    for name, entry in explanation.assumptions.items():
        yield f"  {marks[entry.holds]:9}{display_name(name)}: {entry.message}"
    for name, theorem in explanation.assumptions.theorems.items():
        yield f"  {name[0].upper()}{name[1:]}: {theorem.message}"
    calibration = explanation.calibration
    if calibration is None:
        return
    yield from ["", "What a cosine means"]
    # Without a question the mean cosine of partners stands for one.
    asked = round(explanation.ceiling.mean_cosine, 2) if cosine is None else cosine
    yield from (f"  {sentence}" for sentence in calibration.sentences(max(min(asked, 1.0), -1.0)))
    first, *others = calibration.threshold_sentences()
    yield from [f"  {first}", *(f"    {sentence}" for sentence in others)]


def waterfall(budget: CosineDecomposition) -> Iterator[str]:
    """From the full cosine of 1 down to the mean paired cosine, one part a line, each bar where the last ended.

    >>> import isthmus
    >>> lines = list(waterfall(isthmus.explain(isthmus.demo.load("collapsed")).budget))
    >>> print(lines[2][:22])
      centre       -0.2552
    """
    scale = WIDTH / max(1.0, budget.total.value)
    yield f"  full cosine  {1:7.4f}  " + "#" * round(scale)
    left = 1.0
    for name, part in budget.items():
        begin, left = left, left - part.value
        low, high = (round(scale * max(v + max(budget.total.value - 1, 0), 0)) for v in (left, begin))
        bar = " " * low + "#" * max(high - low, 1 if part.value > 0 else 0)
        yield f"  {name:11} {-part.value:8.4f}  {bar:{WIDTH}}  {_beside(part)}".rstrip()
    yield f"  mean cosine  {1 - budget.total.value:7.4f}  " + "#" * max(round(scale * (1 - budget.total.value)), 0)
    if budget.captured_fraction.undefined:
        yield f"  What the pairing could reach is undefined: {budget.captured_fraction.undefined}."
    else:
        yield (
            f"  Partners have {_number(budget.captured_fraction)} of the covariance that the two clouds could have; "
            f"95 % of shuffled pairings stay below {number(budget.shuffled_95th_percentile)}."
        )
    yield from (f"  {note}" for note in budget.notes)


def _number(estimate: Estimate) -> str:
    return str(estimate).removesuffix(f" {estimate.unit}")


def _beside(part: Estimate) -> str:
    interval = "" if math.isnan(part.low) else f"95 %: {part.low:.4f} to {part.high:.4f}; "
    return interval + ("" if math.isnan(part.null) else f"chance {part.null:.4f}")


def _collapse(explanation: Explanation) -> Iterator[str]:
    c = explanation.collapse
    for name, rank, centred in zip(c.names, c.ranks, c.centred_ranks, strict=True):
        yield f"  {name}: 99 % of the energy in {rank:,} of {c.dim:,} dimensions, around the mean in {centred:,}"
    yield (
        f"  shared dimensions: {c.shared.value:.0f}, forced by the ranks {c.guaranteed:,}, between random subspaces "
        f"{c.shared.null:.1f}; excess {c.excess:,}"
    )
    yield (
        f"  principal angles: {c.smallest_angle.value:.1f} to {c.largest_angle.value:.1f} degrees, between random "
        f"subspaces {c.smallest_angle.null:.1f} to {c.largest_angle.null:.1f}"
    )
    share = c.orthogonal_share
    if share.null == 0:
        yield "  share of the squared gap outside both clouds: none, because together they fill the space"
    else:
        yield f"  share of the squared gap outside both clouds: {_number(share)} (a random direction: {share.null:.2f})"
    yield from (f"  {sentence}" for sentence in c.sentences())
