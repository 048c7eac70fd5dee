"""Judge two published explanations of the gap by predictions that a data set can refute.

Yi, Douady and Chen (2025): the modalities collapse into different subspaces, and the gap is the angle between these.
Chowers et al. (2026): the gap is one constant offset orthogonal to the directions in which the data vary, and collapse
is neither necessary nor sufficient. The hypotheses do not exclude each other: a constant offset in each of two
subspaces supports both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import Estimate
from isthmus.theory.isotropic_ranks import isotropic_rank
from isthmus.theory.modality_subspaces import SubspaceAngles
from isthmus.theory.orientation import orientation_exceeds_swaps
from isthmus.utils.format import fixed

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
#: An offset is orthogonal if at least this share of its square lies outside the spans ...
MIN_ORTHOGONAL_SHARE = 0.9
#: ... and the share inside is at most this multiple of that of a random direction.
MAX_INSIDE_RATIO = 0.25
#: Largest spread of the rows along the offset, divided by its length, at which the offset is constant.
MAX_CONSTANT_SPREAD = 0.1
#: Spread above which the offset is not constant. The data are undecided in between.
MIN_VARYING_SPREAD = 0.2

#: Verb of each verdict in a sentence about the data.
VERBS = {SUPPORTED: "support", REFUTED: "refute", UNDECIDED: "do not decide on"}


@dataclass(frozen=True)
class Prediction:
    """Prediction of a hypothesis and the measured result.

    Parameters
    ----------
    statement : str
        The prediction.
    measured : str
        The measured result in words.
    verdict : str
        'supported', 'refuted' or 'undecided'.

    Examples
    --------
    >>> Prediction("the two subspaces differ", "all principal angles are zero", "refuted").verdict
    'refuted'
    """

    statement: str
    measured: str
    verdict: str


@dataclass(frozen=True)
class Hypothesis:
    """Published explanation of the gap with its predictions.

    Parameters
    ----------
    name : str
        The explanation as a noun phrase.
    source : str
        Authors and year.
    predictions : tuple of Prediction
        The predictions and the measured results.

    Examples
    --------
    >>> refuted = Prediction("the two subspaces differ", "all principal angles are zero", "refuted")
    >>> Hypothesis("dimension collapse", "Yi, Douady and Chen 2025", (refuted,)).sentence()
    'The data refute dimension collapse (Yi, Douady and Chen 2025): all principal angles are zero.'
    """

    name: str
    source: str
    predictions: tuple[Prediction, ...]

    @property
    def verdict(self) -> str:
        """'refuted' if any prediction is refuted, else 'undecided' if any is, else 'supported'."""
        verdicts = {prediction.verdict for prediction in self.predictions}
        return next((verdict for verdict in (REFUTED, UNDECIDED) if verdict in verdicts), SUPPORTED)

    def sentence(self) -> str:
        """Return the verdict and the measured results that decide.

        Returns
        -------
        str
            For example 'The data refute a constant offset orthogonal to the data (...): ...'. Several results are one
            sentence each.
        """
        deciding = dict.fromkeys(p.measured for p in self.predictions if p.verdict == self.verdict)
        verdict = f"The data {VERBS[self.verdict]} {self.name} ({self.source})"
        if len(deciding) == 1:
            return f"{verdict}: {next(iter(deciding))}."
        return f"{verdict}. {' '.join(f'{measured[0].upper()}{measured[1:]}.' for measured in deciding)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'name', 'source', 'predictions' and `speaks`, the verdict.
        """
        predictions = [
            {"statement": p.statement, "measured": p.measured, "speaks": p.verdict} for p in self.predictions
        ]
        return {"name": self.name, "source": self.source, "predictions": predictions, "speaks": self.verdict}


def collapse_hypothesis(context: MetricContext, angles: SubspaceAngles, budget: CosineDecomposition) -> Hypothesis:
    """Judge Yi, Douady and Chen: both modalities lie in subspaces, these differ, and the gap is their angle."""
    predictions = (
        _subspace_prediction(context, angles),
        _difference_prediction(context, angles, budget["orientation"]),
        _angle_prediction(context, angles),
    )
    return Hypothesis(
        "dimension collapse as the cause of the angle of the gap", "Yi, Douady and Chen 2025", predictions
    )


def _subspace_prediction(context: MetricContext, angles: SubspaceAngles) -> Prediction:
    items, dim = angles.n_items, context.moments.dim_x
    statement = "both modalities lie in a subspace"
    if angles.few_rows:
        return Prediction(statement, angles.few_rows, UNDECIDED)
    x, y = context.names
    measured = (
        f"the mean and 99 % of the variance lie in {angles.x.rank:,} ({x}) and {angles.y.rank:,} ({y}) of {dim:,} "
        f"dimensions, where isotropic clouds fill {isotropic_rank(items, dim):,}"
    )
    if angles.is_filled:
        filled = [name for name, cloud in zip(context.names, (angles.x, angles.y), strict=True) if cloud.is_filled]
        without_subspace = "neither modality has" if len(filled) == 2 else f"{filled[0]} has not"
        return Prediction(statement, f"{measured}, so that {without_subspace} collapsed", REFUTED)
    if not angles.are_collapsed:
        return Prediction(statement, f"{measured}, and the spectra fall too gradually for a subspace to end", UNDECIDED)
    return Prediction(statement, measured, SUPPORTED)


def _difference_prediction(context: MetricContext, angles: SubspaceAngles, orientation: Estimate) -> Prediction:
    statement = "the two subspaces differ"
    n_angles = int(angles.nonzero.sum())
    if not angles.are_known:
        return Prediction(statement, angles.few_rows, UNDECIDED)
    if not n_angles:
        return Prediction(statement, "no angle between strong directions exceeds its sampling error", UNDECIDED)
    nouns = (
        "angle between strong directions exceeds its"
        if n_angles == 1
        else "angles between strong directions exceed their"
    )
    cost = f"different orientation costs {fixed(orientation.value, 4)} of the cosine"
    measured = f"{n_angles:,} {nouns} sampling error, and {cost}"
    if not math.isnan(orientation.null):
        measured += f" (sampling alone {fixed(orientation.null, 4)})"
    # The test needs a pass for each swap. It decides only where there are two subspaces.
    if not angles.are_collapsed or context.pairs is None:
        return Prediction(statement, measured, UNDECIDED)
    if not orientation_exceeds_swaps(context.pairs, context.moments, angles.joint_basis):
        return Prediction(statement, f"{measured}, which swaps of the modalities explain", UNDECIDED)
    return Prediction(statement, measured, SUPPORTED)


def _angle_prediction(context: MetricContext, angles: SubspaceAngles) -> Prediction:
    statement = "the gap is the smallest angle between strong directions that is not zero"
    undefined = gap_angle(context).undefined
    if undefined:
        return Prediction(statement, f"the gap has no angle, because {undefined}", UNDECIDED)
    holds, measured = angles.judge_gap()
    return Prediction(statement, measured, {True: SUPPORTED, False: REFUTED, None: UNDECIDED}[holds])


def offset_hypothesis(context: MetricContext, angles: SubspaceAngles, share: Estimate) -> Hypothesis:
    """Judge Chowers et al.: one constant offset, orthogonal to the directions in which the data vary."""
    m = context.moments
    statements = ("the gap is orthogonal to the directions in which the data vary", "every row has the same offset")
    undefined = share.undefined or gap_angle(context).undefined
    if undefined or not angles.has_gap:
        measured = f"the gap is undefined, because {undefined}" if undefined else angles.no_gap
        predictions = tuple(Prediction(statement, measured, UNDECIDED) for statement in statements)
    else:
        few_items = m.by_item.n_items <= m.dim_x
        orthogonal = Prediction(statements[0], *_judge_orthogonality(share, m.dim_x, few_items=few_items))
        predictions = (orthogonal, Prediction(statements[1], *_judge_constancy(m)))
    return Hypothesis("a constant offset orthogonal to the data", "Chowers et al. 2026", predictions)


def _judge_orthogonality(share: Estimate, dim: int, *, few_items: bool) -> tuple[str, str]:
    measured = f"{fixed(share.value, 2)} of the squared gap lies outside both clouds (a random direction: "
    measured += f"{fixed(share.null, 2)})"
    if share.null == 0:
        measured = f"the two clouds fill all {dim:,} dimensions, so that no part of the gap can lie outside both"
    if share.value >= MIN_ORTHOGONAL_SHARE and 1 - share.value <= MAX_INSIDE_RATIO * (1 - share.null):
        return measured, SUPPORTED
    # Spans that fill the space leave nothing outside, and small spans leave almost everything outside.
    undecidable = few_items or share.null >= MIN_ORTHOGONAL_SHARE or share.null == 0
    return measured, UNDECIDED if undecidable else REFUTED


def _judge_constancy(m: Moments) -> tuple[str, str]:
    gap = m.mean_x - m.mean_y
    length = float(np.linalg.norm(gap))
    direction = gap / length
    spread = math.sqrt(max(float(direction @ (m.cov_x + m.cov_y) @ direction) / 2, 0.0)) / length
    verdict = SUPPORTED if spread <= MAX_CONSTANT_SPREAD else REFUTED if spread > MIN_VARYING_SPREAD else UNDECIDED
    return f"rows scatter along the gap by {fixed(spread, 3)} of its length", verdict


def undecided_if(reason: str, hypothesis: Hypothesis) -> Hypothesis:
    """Return the hypothesis with every prediction undecided for this reason, or as it is without one."""
    if not reason:
        return hypothesis
    predictions = tuple(Prediction(p.statement, reason, UNDECIDED) for p in hypothesis.predictions)
    return replace(hypothesis, predictions=predictions)
