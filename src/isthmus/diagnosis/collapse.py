"""The collapse report: how many dimensions each side uses, what they share, and which account of the gap the data bear.

Two accounts are in print. Yi, Douady and Chen (2025): the sides collapse into different subspaces, and the gap is the
angle between these. Chowers et al. (2026): the gap is one constant offset orthogonal to where the data vary, and
collapse is neither needed nor enough. Both are put as predictions that this data set can keep or break. They do not
exclude each other: a constant offset in each of two subspaces keeps all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.linalg.shared_directions import COSINE_TOLERANCE, EnergySubspaces, SubspacePair
from isthmus.linalg.significance import energy_rank, principal_directions, significant_directions
from isthmus.metrics import MetricContext, RandomAngles, Subspaces
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN, Estimate

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
#: The gap counts as the angle between the subspaces when they differ by at most this, in degrees.
ANGLE = 5.0
#: The offset counts as orthogonal when at least this share of its square is outside the spans ...
ORTHOGONAL = 0.9
#: ... and at most this share of what a random direction has inside is inside.
INSIDE = 0.25
#: The offset counts as constant when rows scatter along it by at most the first share of its length, and as not
#: constant above the second.
CONSTANT, VARYING = 0.1, 0.2


@dataclass(frozen=True)
class Prediction:
    """What an account predicts, what was measured, and whether that speaks 'for' it, 'against' it or 'cannot tell'."""

    statement: str
    measured: str
    verdict: str


@dataclass(frozen=True)
class Hypothesis:
    """An account of the gap: the data speak for it when they keep all its predictions, against it when they break one.

    `name` as in a sentence.
    """

    name: str
    source: str
    predictions: tuple[Prediction, ...]

    @property
    def verdict(self) -> str:
        """'for', 'against' or 'cannot tell'."""
        found = {p.verdict for p in self.predictions}
        return REFUTED if REFUTED in found else UNDECIDED if UNDECIDED in found else SUPPORTED

    def sentence(self) -> str:
        """One sentence with the measured numbers."""
        deciding = dict.fromkeys(p.measured for p in self.predictions if p.verdict == self.verdict)
        verb = {SUPPORTED: "speak for", REFUTED: "speak against", UNDECIDED: "cannot decide on"}[self.verdict]
        return f"The data {verb} {self.name} ({self.source}): {'; '.join(deciding)}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        predictions = [
            {"statement": p.statement, "measured": p.measured, "speaks": p.verdict} for p in self.predictions
        ]
        return {"name": self.name, "source": self.source, "predictions": predictions, "speaks": self.verdict}


@dataclass(frozen=True)
class CollapseReport:
    """How far both sides collapsed. Dimensions are counts, angles degrees.

    `ranks` hold 99 % of the energy of each side, uncentred, `centred_ranks` of its scatter around the mean. `shared`
    principal angles have a cosine above 1 - 1e-3: `shared.null` is their mean number for random subspaces of these
    ranks, `forced` what the ranks alone force. `smallest_angle.null` is the median for random subspaces,
    `largest_angle` the dihedral angle where both are hyperplanes. `orthogonal_share` of the squared mean
    difference lies outside the 99 % centred spans of both sides; its null is the share of a random direction.
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
        """Shared dimensions beyond those that the ranks force."""
        return int(self.shared.value) - self.guaranteed

    def sentences(self) -> list[str]:
        """What the data say about each account, and about both where they hold together."""
        found = [account.sentence() for account in self.hypotheses]
        if all(account.verdict == SUPPORTED for account in self.hypotheses):
            found.append(
                "Both accounts hold together: the constant offset is the direction in which the subspaces differ, and "
                "a contrastive loss does not see it (the affine case)."
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
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
    """Ranks, overlap with its null, angles, the orthogonal share of the gap, and the two accounts of the gap.

    `budget` is that of the same pairs with its intervals and nulls. Nulls are taken from 9 draws of random subspaces.

    >>> import isthmus
    >>> from isthmus.diagnosis.decomposition_intervals import decompose_pairs
    >>> pairs = isthmus.demo.load("collapsed")
    >>> report = report_collapse(pairs, decompose_pairs(pairs))
    >>> [account.verdict for account in report.hypotheses], round(report.orthogonal_share.value, 2)
    (['supported', 'supported'], 1.0)
    """
    moments = moments_of(pairs, normalize=normalize).numpy()
    context = MetricContext(moments, pairs, normalize=normalize)
    spaces = context.shared(Subspaces)
    dim = moments.dim_x
    draws = context.shared(RandomAngles).degrees
    closed = math.degrees(math.acos(1 - COSINE_TOLERANCE))
    shared = Estimate(float(spaces.overlap()), null=float(np.mean(np.sum(draws < closed, axis=1))), unit="dimensions")
    share, centred = orthogonal_share(moments)
    angles = np.asarray(spaces.angles.degrees)
    return CollapseReport(
        names=pairs.names,
        dim=dim,
        ranks=spaces.ranks,
        centred_ranks=centred,
        shared=shared,
        guaranteed=spaces.guaranteed,
        smallest_angle=Estimate(float(angles.min()), null=float(np.median(draws.min(axis=1))), unit="degrees"),
        largest_angle=Estimate(float(angles.max()), null=float(np.median(draws.max(axis=1))), unit="degrees"),
        orthogonal_share=share,
        hypotheses=(_collapse(context, spaces, budget), _offset(context, share)),
    )


def orthogonal_share(moments: Moments) -> tuple[Estimate, tuple[int, int]]:
    """Share of |mean x - mean y|^2 outside the 99 % centred spans of both sides, and the dimensions of these spans.

    The null is the share of a random direction: 1 - dimension of both spans together / d.
    """
    bases = []
    for cov in (moments.cov_x, moments.cov_y):
        spectrum, directions = principal_directions(cov)
        rank = energy_rank(spectrum) if spectrum[0] > 0 else 0
        bases.append(directions[:, :rank])
    both = np.column_stack(bases)
    values, vectors = np.linalg.eigh(both @ both.T)
    span = vectors[:, values > 1e-10]
    gap = moments.mean_x - moments.mean_y
    length = float(gap @ gap)
    ranks = (bases[0].shape[1], bases[1].shape[1])
    null = 1 - span.shape[1] / len(gap)
    if length < 1e-20:
        return Estimate(NAN, null=null, unit="share", undefined="the two means are equal"), ranks
    inside = span.T @ gap
    return Estimate(max(1 - float(inside @ inside) / length, 0.0), null=null, unit="share"), ranks


def _collapse(context: MetricContext, spaces: EnergySubspaces, budget: CosineDecomposition) -> Hypothesis:
    """Yi, Douady and Chen: both sides in subspaces, these different, the gap their angle."""
    m = context.moments
    x, y = _names(context)
    items, dim = m.by_item.n_items, m.dim_x
    ranks = spaces.ranks
    count = f"99 % of the energy lies in {ranks[0]:,} ({x}) and {ranks[1]:,} ({y}) of {dim:,} dimensions"
    if items <= dim:
        first = Prediction("both sides lie in a subspace", f"{items:,} items fill no {dim:,} dimensions", UNDECIDED)
    else:
        first = Prediction("both sides lie in a subspace", count, SUPPORTED if max(ranks) < dim else REFUTED)
    significant = SubspacePair(*(significant_directions(gram / m.n, items, min_rank=1) for gram in (m.xx, m.yy)))
    apart = np.asarray(significant.angles.degrees)[~significant.closed()]
    orientation = budget["orientation"]
    clouds = f"different orientation costs {orientation.value:.4f} of the cosine"
    if not math.isnan(orientation.null):
        clouds += f" (sampling alone {orientation.null:.4f})"
    if len(apart):
        are = "angle is" if len(apart) == 1 else "angles are"
        second = Prediction("the two subspaces differ", f"{len(apart):,} principal {are} open; {clouds}", SUPPORTED)
    else:
        second = Prediction("the two subspaces differ", "no principal angle is open", REFUTED)
    statement = "the gap is the smallest angle between the subspaces that is not zero"
    gap = gap_angle(context)
    if gap.undefined:
        third = Prediction(statement, f"the gap has no angle, because {gap.undefined}", UNDECIDED)
    elif not len(apart):
        third = Prediction(statement, f"the gap is {gap.value:.1f} degrees, the subspaces are one", REFUTED)
    else:
        smallest = float(apart.min())
        measured = f"the gap is {gap.value:.1f} degrees, the smallest open angle {smallest:.1f}"
        if abs(gap.value - smallest) <= ANGLE:
            third = Prediction(statement, measured, SUPPORTED)
        else:
            # Angles between sampled subspaces come out too large when rows are few; a gap above them is no accident.
            unsure = items <= dim and gap.value < smallest
            third = Prediction(statement, measured, UNDECIDED if unsure else REFUTED)
    return Hypothesis(
        "dimension collapse as what sets the angle of the gap", "Yi, Douady and Chen 2025", (first, second, third)
    )


def _offset(context: MetricContext, share: Estimate) -> Hypothesis:
    """Chowers et al.: one constant offset, orthogonal to the data."""
    m = context.moments
    name, source = "a constant offset orthogonal to the data", "Chowers et al. 2026"
    statements = ("the gap is orthogonal to where the data vary", "every row has the same offset")
    gap = m.mean_x - m.mean_y
    length = float(np.linalg.norm(gap))
    angle = gap_angle(context)
    if share.undefined or angle.undefined:
        why = share.undefined or angle.undefined
        return Hypothesis(name, source, tuple(Prediction(s, f"there is no gap to place, because {why}", UNDECIDED)
                                           for s in statements))  # fmt: skip
    measured = f"{share.value:.2f} of the squared gap lies outside both clouds (a random direction: {share.null:.2f})"
    if share.null == 0:
        measured = f"the two clouds fill all {m.dim_x:,} dimensions, so that nothing of the gap can lie outside both"
    if share.value >= ORTHOGONAL and 1 - share.value <= INSIDE * (1 - share.null):
        first = SUPPORTED
    elif m.by_item.n_items <= m.dim_x or share.null >= ORTHOGONAL or share.null == 0:
        # Spans that fill the space leave nothing outside, and tiny ones leave everything outside.
        first = UNDECIDED
    else:
        first = REFUTED
    direction = gap / length
    spread = math.sqrt(max(float(direction @ (m.cov_x + m.cov_y) @ direction) / 2, 0.0)) / length
    second = Prediction(
        statements[1],
        f"rows scatter along the gap by {spread:.3f} of its length",
        SUPPORTED if spread <= CONSTANT else REFUTED if spread > VARYING else UNDECIDED,
    )
    return Hypothesis(name, source, (Prediction(statements[0], measured, first), second))


def _names(context: MetricContext) -> tuple[str, str]:
    return context.pairs.names if context.pairs is not None else ("x", "y")
