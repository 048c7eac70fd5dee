"""Report how far two modalities collapsed and which of two published explanations of the gap the data support.

Yi, Douady and Chen (2025): the modalities collapse into different subspaces, and the gap is the angle between these.
Chowers et al. (2026): the gap is one constant offset orthogonal to the directions in which the data vary, and collapse
is neither necessary nor sufficient. Each explanation is a hypothesis with predictions that a data set can refute. The
hypotheses do not exclude each other: a constant offset in each of two subspaces supports both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.linalg.shared_directions import COSINE_TOLERANCE, EnergySubspaces, SubspacePair
from isthmus.linalg.significance import energy_rank, principal_directions, significant_directions
from isthmus.metrics import MetricContext, RandomAngles, Subspaces
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.degeneracy import constant_modalities, find_degeneracies
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN, Estimate

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
#: Largest difference in degrees between the gap and the angle of the subspaces that counts as equal.
MAX_ANGLE_DIFFERENCE = 5.0
#: An offset is orthogonal if at least this share of its square lies outside the spans ...
MIN_ORTHOGONAL_SHARE = 0.9
#: ... and the share inside is at most this multiple of that of a random direction.
MAX_INSIDE_RATIO = 0.25
#: Largest spread of the rows along the offset, divided by its length, at which the offset is constant.
MAX_CONSTANT_SPREAD = 0.1
#: Spread above which the offset is not constant. The data are undecided in between.
MIN_VARYING_SPREAD = 0.2
#: Eigenvalues of a sum of projections below this are zero.
RANK_TOLERANCE = 1e-10
#: Squared distance of two means below which they are equal.
MIN_SQUARED_GAP = 1e-20

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
        """Return one sentence with the verdict and the measured results that decide.

        Returns
        -------
        str
            For example 'The data refute a constant offset orthogonal to the data (...): ...'.
        """
        deciding = dict.fromkeys(p.measured for p in self.predictions if p.verdict == self.verdict)
        return f"The data {VERBS[self.verdict]} {self.name} ({self.source}): {'; '.join(deciding)}."

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


@dataclass(frozen=True)
class CollapseReport:
    """Dimensions that two modalities use and share, and the verdicts on two hypotheses.

    Parameters
    ----------
    names : tuple of str
        Names of the modalities.
    dim : int
        Width of the rows.
    ranks : tuple of int
        Dimensions that hold 99 % of the energy of each modality, uncentred.
    centred_ranks : tuple of int
        Dimensions that hold 99 % of the variance of each modality.
    shared : Estimate
        Number of principal angles with a cosine above 1 - 1e-3. The null is the mean for random subspaces of these
        ranks.
    guaranteed : int
        Number of dimensions that any two subspaces of these ranks share.
    smallest_angle, largest_angle : Estimate
        Smallest and largest principal angle in degrees, with the median for random subspaces as the null. The largest
        angle of two hyperplanes is their dihedral angle.
    orthogonal_share : Estimate
        Share of the squared mean difference outside the 99 % centred spans of both modalities. The null is the share
        of a random direction.
    hypotheses : tuple of Hypothesis
        Dimension collapse, and a constant offset.

    Examples
    --------
    >>> import isthmus
    >>> report = isthmus.explain(isthmus.demo.load("collapsed", split="test")).collapse
    >>> report.ranks, report.guaranteed, [hypothesis.verdict for hypothesis in report.hypotheses]
    ((11, 11), 0, ['supported', 'supported'])
    """

    names: tuple[str, str]
    dim: int
    ranks: tuple[int, int]
    centred_ranks: tuple[int, int]
    shared: Estimate
    guaranteed: int
    smallest_angle: Estimate
    largest_angle: Estimate
    orthogonal_share: Estimate
    hypotheses: tuple[Hypothesis, Hypothesis]

    @property
    def excess(self) -> int:
        """Number of shared dimensions beyond the guaranteed ones."""
        return int(self.shared.value) - self.guaranteed

    def sentences(self) -> list[str]:
        """Return one sentence about each hypothesis, and a third one if both are supported.

        Returns
        -------
        list of str
            Two or three sentences.
        """
        sentences = [hypothesis.sentence() for hypothesis in self.hypotheses]
        if all(hypothesis.verdict == SUPPORTED for hypothesis in self.hypotheses):
            sentences.append(
                "Both hypotheses hold together: the constant offset is the direction in which the subspaces differ, "
                "and a contrastive loss does not depend on it (the affine case)."
            )
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            The fields by name, with 'forced' for the guaranteed dimensions and 'accounts' for the hypotheses.
        """
        estimates = ("shared", "smallest_angle", "largest_angle", "orthogonal_share")
        return {
            "dim": self.dim,
            "ranks": dict(zip(self.names, self.ranks, strict=True)),
            "centred_ranks": dict(zip(self.names, self.centred_ranks, strict=True)),
            "forced": self.guaranteed,
            "excess": self.excess,
            **{name: getattr(self, name).to_dict() for name in estimates},
            "accounts": [hypothesis.to_dict() for hypothesis in self.hypotheses],
        }


def report_collapse(pairs: Pairs, budget: CosineDecomposition, /, *, normalize: bool = True) -> CollapseReport:
    """Report ranks, shared dimensions, principal angles, and the verdicts on two explanations of the gap.

    Parameters
    ----------
    pairs : Pairs
        The pairs, both modalities of one width.
    budget : CosineDecomposition
        Decomposition of the same pairs with its nulls, from `decompose_pairs`.
    normalize : bool, default True
        Whether rows are divided by their norms.

    Returns
    -------
    CollapseReport
        Its nulls come from 9 draws of random subspaces.

    References
    ----------
    Yi, Douady and Chen 2025, arXiv 2510.03268. Chowers et al. 2026, arXiv 2603.29080.

    Examples
    --------
    >>> import isthmus
    >>> from isthmus.diagnosis import decompose_pairs
    >>> pairs = isthmus.demo.load("collapsed")
    >>> report = report_collapse(pairs, decompose_pairs(pairs))
    >>> [hypothesis.verdict for hypothesis in report.hypotheses], round(report.orthogonal_share.value, 2)
    (['supported', 'supported'], 1.0)
    """
    moments = moments_of(pairs, normalize=normalize).numpy()
    context = MetricContext(moments, pairs, normalize=normalize)
    spaces = context.shared(Subspaces)
    random_angles = context.shared(RandomAngles).degrees
    max_shared_angle = math.degrees(math.acos(1 - COSINE_TOLERANCE))
    shared_null = float(np.mean(np.sum(random_angles < max_shared_angle, axis=1)))
    share, centred_ranks = orthogonal_share(moments)
    reason = _collapse_reason(moments, pairs.names)
    angles = np.asarray(spaces.angles.degrees)
    smallest, largest = (
        Estimate(float(function(angles)), null=float(np.median(function(random_angles, axis=1))), unit="degrees")
        for function in (np.min, np.max)
    )
    return CollapseReport(
        names=pairs.names,
        dim=moments.dim_x,
        ranks=spaces.ranks,
        centred_ranks=centred_ranks,
        shared=Estimate(float(spaces.overlap()), null=shared_null, unit="dimensions"),
        guaranteed=spaces.guaranteed,
        smallest_angle=smallest,
        largest_angle=largest,
        orthogonal_share=share,
        hypotheses=(
            _undecided_if(reason, collapse_hypothesis(context, spaces, budget)),
            _undecided_if(reason, offset_hypothesis(context, share)),
        ),
    )


def _collapse_reason(moments: Moments, names: tuple[str, str]) -> str:
    """Return why neither explanation can be judged: a modality is one point or one line. Else ''."""
    entries = [entry for entry in find_degeneracies(moments, names) if entry.kind in ("constant", "narrow", "line")]
    return ", and ".join(entry.message for entry in entries)


def _undecided_if(reason: str, hypothesis: Hypothesis) -> Hypothesis:
    """Return the hypothesis with every prediction undecided for this reason, or as it is without one."""
    if not reason:
        return hypothesis
    predictions = tuple(Prediction(p.statement, reason, UNDECIDED) for p in hypothesis.predictions)
    return replace(hypothesis, predictions=predictions)


def orthogonal_share(moments: Moments) -> tuple[Estimate, tuple[int, int]]:
    """Return the share of |mean x - mean y|^2 outside the 99 % centred spans of both modalities, and their ranks.

    The null is the share of a random direction, 1 - dimension of the sum of both spans / d.
    """
    bases = []
    for cov, is_constant in zip((moments.cov_x, moments.cov_y), constant_modalities(moments), strict=True):
        spectrum, directions = principal_directions(cov)
        rank = 0 if is_constant else energy_rank(spectrum)
        bases.append(directions[:, :rank])
    ranks = (bases[0].shape[1], bases[1].shape[1])
    stacked = np.column_stack(bases)
    values, vectors = np.linalg.eigh(stacked @ stacked.T)
    span = vectors[:, values > RANK_TOLERANCE]
    gap = moments.mean_x - moments.mean_y
    squared_length = float(gap @ gap)
    null = 1 - span.shape[1] / len(gap)
    if squared_length < MIN_SQUARED_GAP:
        return Estimate(NAN, null=null, unit="share", undefined="the two means are equal"), ranks
    inside = span.T @ gap
    return Estimate(max(1 - float(inside @ inside) / squared_length, 0.0), null=null, unit="share"), ranks


def collapse_hypothesis(context: MetricContext, spaces: EnergySubspaces, budget: CosineDecomposition) -> Hypothesis:
    """Judge Yi, Douady and Chen: both modalities lie in subspaces, these differ, and the gap is their angle."""
    m = context.moments
    items = m.by_item.n_items
    significant_spaces = SubspacePair(*(significant_directions(gram / m.n, items, min_rank=1) for gram in (m.xx, m.yy)))
    nonzero_angles = np.asarray(significant_spaces.angles.degrees)[~significant_spaces.closed()]
    return Hypothesis(
        "dimension collapse as the cause of the angle of the gap",
        "Yi, Douady and Chen 2025",
        (
            _subspace_prediction(context, spaces.ranks),
            _difference_prediction(nonzero_angles, budget["orientation"]),
            _angle_prediction(gap_angle(context), nonzero_angles, few_items=items <= m.dim_x),
        ),
    )


def _subspace_prediction(context: MetricContext, ranks: tuple[int, int]) -> Prediction:
    items, dim = context.moments.by_item.n_items, context.moments.dim_x
    statement = "both modalities lie in a subspace"
    if items <= dim:
        return Prediction(statement, f"{items:,} items cannot fill {dim:,} dimensions", UNDECIDED)
    x, y = context.pairs.names if context.pairs is not None else ("x", "y")
    measured = f"99 % of the energy lies in {ranks[0]:,} ({x}) and {ranks[1]:,} ({y}) of {dim:,} dimensions"
    return Prediction(statement, measured, SUPPORTED if max(ranks) < dim else REFUTED)


def _difference_prediction(nonzero_angles: np.ndarray, orientation: Estimate) -> Prediction:
    statement = "the two subspaces differ"
    if not len(nonzero_angles):
        return Prediction(statement, "all principal angles are zero", REFUTED)
    angles = "principal angle is" if len(nonzero_angles) == 1 else "principal angles are"
    cost = f"different orientation costs {orientation.value:.4f} of the cosine"
    if not math.isnan(orientation.null):
        cost += f" (sampling alone {orientation.null:.4f})"
    return Prediction(statement, f"{len(nonzero_angles):,} {angles} above zero, and {cost}", SUPPORTED)


def _angle_prediction(gap: Estimate, nonzero_angles: np.ndarray, *, few_items: bool) -> Prediction:
    statement = "the gap is the smallest angle between the subspaces that is not zero"
    if gap.undefined:
        return Prediction(statement, f"the gap has no angle, because {gap.undefined}", UNDECIDED)
    if not len(nonzero_angles):
        return Prediction(statement, f"the gap is {gap.value:.1f} degrees, and the subspaces are equal", REFUTED)
    smallest = float(nonzero_angles.min())
    measured = f"the gap is {gap.value:.1f} degrees, the smallest angle above zero {smallest:.1f}"
    if abs(gap.value - smallest) <= MAX_ANGLE_DIFFERENCE:
        return Prediction(statement, measured, SUPPORTED)
    # With few rows the angles between sampled subspaces are biased upward, so that only a gap above them refutes.
    return Prediction(statement, measured, UNDECIDED if few_items and gap.value < smallest else REFUTED)


def offset_hypothesis(context: MetricContext, share: Estimate) -> Hypothesis:
    """Judge Chowers et al.: one constant offset, orthogonal to the directions in which the data vary."""
    m = context.moments
    statements = ("the gap is orthogonal to the directions in which the data vary", "every row has the same offset")
    undefined = share.undefined or gap_angle(context).undefined
    if undefined:
        measured = f"the gap is undefined, because {undefined}"
        predictions = tuple(Prediction(statement, measured, UNDECIDED) for statement in statements)
    else:
        few_items = m.by_item.n_items <= m.dim_x
        orthogonal = Prediction(statements[0], *_judge_orthogonality(share, m.dim_x, few_items=few_items))
        predictions = (orthogonal, Prediction(statements[1], *_judge_constancy(m)))
    return Hypothesis("a constant offset orthogonal to the data", "Chowers et al. 2026", predictions)


def _judge_orthogonality(share: Estimate, dim: int, *, few_items: bool) -> tuple[str, str]:
    measured = f"{share.value:.2f} of the squared gap lies outside both clouds (a random direction: {share.null:.2f})"
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
    return f"rows scatter along the gap by {spread:.3f} of its length", verdict
