"""Report how far two modalities collapsed and which of two published explanations of the gap the data support."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.grouping import pairs_of_items
from isthmus.data.pairs import Pairs
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.diagnosis.hypotheses import SUPPORTED, Hypothesis, collapse_hypothesis, offset_hypothesis, undecided_if
from isthmus.linalg.shared_directions import COSINE_TOLERANCE
from isthmus.linalg.significance import energy_rank, principal_directions
from isthmus.metrics import MetricContext, RandomAngles, Subspaces
from isthmus.statistics.degeneracy import constant_modalities, find_degeneracies, has_equal_pairs
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.unpaired_moments import moments_of_rows
from isthmus.theory.modality_subspaces import SubspaceAngles
from isthmus.utils.format import too_few

#: Eigenvalues of a sum of projections below this are zero.
RANK_TOLERANCE = 1e-10
#: Fewest items by which an explanation of the gap is judged.
MIN_ITEMS = 20
#: Squared distance of two means below which they are equal.
MIN_SQUARED_GAP = 1e-20


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
        Share of the squared mean difference outside the 99 % centred spans of both modalities, undefined if the means
        are equal. The null is the share of a random direction.
    collapsed : tuple of bool
        Whether the mean and 99 % of the variance of each modality lie in clearly fewer dimensions than an isotropic
        cloud of as many items fills. Always False for no more items than dimensions.
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
    collapsed: tuple[bool, bool]
    hypotheses: tuple[Hypothesis, Hypothesis]

    def __repr__(self) -> str:
        ranks = " and ".join(f"{rank:,} ({name})" for rank, name in zip(self.ranks, self.names, strict=True))
        heading = f"Collapse: 99 % of the energy in {ranks} of {self.dim:,} dimensions"
        return "\n".join([heading, *(f"  {sentence}" for sentence in self.sentences())])

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
            "collapsed": dict(zip(self.names, self.collapsed, strict=True)),
            "forced": self.guaranteed,
            "excess": self.excess,
            **{name: getattr(self, name).to_dict() for name in estimates},
            "accounts": [hypothesis.to_dict() for hypothesis in self.hypotheses],
        }


def report_collapse(
    pairs: Pairs | UnpairedSets, budget: CosineDecomposition, /, *, normalize: bool = True
) -> CollapseReport:
    """Report ranks, shared dimensions, principal angles, and the verdicts on two explanations of the gap.

    Parameters
    ----------
    pairs : Pairs or UnpairedSets
        The pairs, or two sets without pairs, both modalities of one width.
    budget : CosineDecomposition
        Decomposition of the same rows with its nulls, such as from `decompose_pairs`.
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
    pairs = pairs_of_items(pairs, normalize=normalize) if isinstance(pairs, Pairs) else pairs
    moments = moments_of_rows(pairs, normalize=normalize).numpy()
    context = MetricContext(moments, pairs, normalize=normalize)
    spaces = context.shared(Subspaces)
    random_angles = context.shared(RandomAngles).degrees
    max_shared_angle = math.degrees(math.acos(1 - COSINE_TOLERANCE))
    shared_null = float(np.mean(np.sum(random_angles < max_shared_angle, axis=1)))
    share, centred_ranks = orthogonal_share(moments)
    reason = _collapse_reason(moments, pairs.names)
    subspaces = SubspaceAngles.of(moments)
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
        collapsed=(subspaces.x.is_collapsed, subspaces.y.is_collapsed),
        hypotheses=(
            undecided_if(reason, collapse_hypothesis(context, subspaces, budget)),
            undecided_if(reason, offset_hypothesis(context, subspaces, share)),
        ),
    )


def _collapse_reason(moments: Moments, names: tuple[str, str]) -> str:
    """Return why neither explanation can be judged: too few items, or a modality is one point or one line. Else ''."""
    if moments.by_item.n_items < MIN_ITEMS:
        return too_few(moments.by_item.n_items, "item")
    entries = [entry for entry in find_degeneracies(moments, names) if entry.kind in ("constant", "narrow", "line")]
    return ", and ".join(entry.message for entry in entries)


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
    if squared_length < MIN_SQUARED_GAP or has_equal_pairs(moments):
        return Estimate(NAN, null=null, unit="share", undefined="the two means are equal"), ranks
    inside = span.T @ gap
    return Estimate(max(1 - float(inside @ inside) / squared_length, 0.0), null=null, unit="share"), ranks
