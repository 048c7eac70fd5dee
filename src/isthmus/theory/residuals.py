"""Residuals of the assumptions of the theorems: one function for each assumption."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.linalg.psd import covariance_fidelity
from isthmus.linalg.shared_directions import SharedSpace
from isthmus.statistics.degeneracy import constant_message, constant_modalities
from isthmus.statistics.mean_intervals import mean_p_value
from isthmus.statistics.moments import Moments
from isthmus.theory.goodness import goodness_of_fit
from isthmus.theory.infonce import info_nce
from isthmus.theory.isotropic_ranks import isotropic_rank
from isthmus.theory.loss_bounds import finite_bound, loss_bound, uniform_bound_is_proved
from isthmus.theory.modality_subspaces import SubspaceAngles
from isthmus.theory.orientation import orientation_exceeds_swaps
from isthmus.theory.statements import Assumption
from isthmus.theory.vmf import VonMisesFisher
from isthmus.utils.errors import InputError
from isthmus.utils.format import cosine_text, fixed, number, too_few

#: Fewer items than this show nothing about a shared space.
MIN_ITEMS = 10
#: Degrees from a right angle up to which a centre counts as orthogonal to the shared space.
MAX_TILT = 5.0
#: Level at which a mean counts as different from zero.
MEAN_LEVEL = 0.01


class Evidence:
    """Quantities that several residuals need, computed once from the moments of unit rows."""

    def __init__(self, moments: Moments, names: tuple[str, str]) -> None:
        self.moments = moments
        self.names = names
        self.dim = moments.dim_x
        self.n_items = moments.by_item.n_items
        self.lengths = tuple(float(np.linalg.norm(mean)) for mean in (moments.mean_x, moments.mean_y))
        self.p_values = (mean_p_value(moments), mean_p_value(moments.swapped()))
        self.centres = tuple(
            mean / (length or 1.0) for mean, length in zip((moments.mean_x, moments.mean_y), self.lengths, strict=True)
        )
        self.grams = (moments.xx / moments.n, moments.yy / moments.n)

    @cached_property
    def angles(self) -> SubspaceAngles:
        """Subspaces of the centred rows of each modality, and the angles between them."""
        return SubspaceAngles.of(self.moments)

    @cached_property
    def shared_space(self) -> SharedSpace:
        """Significant directions of the centred rows, and those that both modalities share."""
        m = self.moments
        n_x, n_y = m.n_distinct
        return SharedSpace.of(m.cov_x, m.cov_y, n_x=n_x - 1, n_y=n_y - 1)

    @cached_property
    def are_constant(self) -> tuple[bool, bool]:
        """For each modality, True if its rows are all the same but for rounding."""
        return constant_modalities(self.moments)

    @property
    def constant(self) -> str:
        """Clause that all rows of a modality, or of both, are the same, or ""."""
        names = [name for name, is_constant in zip(self.names, self.are_constant, strict=True) if is_constant]
        return constant_message(names, self.moments) if names else ""

    @cached_property
    def no_shared_space(self) -> str:
        """Why there is no shared space, or ""."""
        if self.constant:
            return self.constant
        if self.n_items < MIN_ITEMS:
            return f"{too_few(self.n_items, 'item')} to tell a shared space from chance"
        return self.shared_space.objection()

    @property
    def no_shared_basis(self) -> str:
        """Why nothing can be projected on a shared space, or "". The numbers stand beside `shared_space` alone."""
        is_measured = self.no_shared_space.startswith("no shared space:")
        return "no shared space was found" if is_measured else self.no_shared_space

    @cached_property
    def shared_basis(self) -> np.ndarray:
        """Orthonormal basis (d, k) of the shared space."""
        return self.shared_space.midpoints()

    def no_direction(self, *modalities: int) -> str:
        """Return why the centre of one of the modalities (default: either) has no direction, or ""."""
        worst = max(modalities or (0, 1), key=lambda modality: self.p_values[modality])
        if self.p_values[worst] < MEAN_LEVEL:
            return ""
        return (
            f"the mean of {self.names[worst]} is not distinguishable from zero (length "
            f"{fixed(self.lengths[worst], 3)}, p = {self.p_values[worst]:.2g}), so that it has no direction"
        )


def moment_residuals(evidence: Evidence, /) -> list[Assumption]:
    """Return the assumptions that moments alone can test."""
    return [
        *(_cone(evidence, modality) for modality in (0, 1)),
        *(_subspace(evidence, modality) for modality in (0, 1)),
        _different_subspaces(evidence),
        _shared_space(evidence),
        _orthogonal_centres(evidence),
        _gap_is_the_angle(evidence),
        *(_constant_part(evidence, modality) for modality in (0, 1)),
        *(_offset_and_shared_only(evidence, modality) for modality in (0, 1)),
        _equal_projections(evidence),
    ]


def row_residuals(
    evidence: Evidence, rows: tuple[np.ndarray, np.ndarray], /, *, temperature: float, rng: int
) -> tuple[float, list[Assumption]]:
    """Return the loss of matching unit rows (n, d), and the assumptions that need rows."""
    distributions = [_von_mises_fisher(evidence, modality, rows[modality], rng) for modality in (0, 1)]
    loss = info_nce(*rows, temperature=temperature)
    optimum = _optimum(evidence.moments, rows, loss, temperature)
    return loss, [*distributions, _isometry(evidence, rows), _not_saturated(loss), optimum]


def _p_text(value: float) -> str:
    return "p undefined" if math.isnan(value) else f"p = {value:.2g}" if value >= 1e-9 else "p < 1e-9"


def _ratio_text(ratio: float, digits: int) -> str:
    """Format a ratio with significant digits and without an exponent."""
    return number(float(f"{ratio:.{digits}g}"))


def _cone(evidence: Evidence, modality: int) -> Assumption:
    name, statement = f"cone_{evidence.names[modality]}", "the mean of the modality is not zero"
    p = evidence.p_values[modality]
    evidence_text = (
        f"the mean has length {cosine_text(evidence.lengths[modality], 3)} ({_p_text(p)} for a mean of zero)"
    )
    return Assumption.tested(name, statement, p, "p-value", MEAN_LEVEL, evidence_text)


def _von_mises_fisher(evidence: Evidence, modality: int, rows: np.ndarray, rng: int) -> Assumption:
    name = f"von_mises_fisher_{evidence.names[modality]}"
    statement = "the modality follows a von Mises-Fisher distribution"
    is_constant = float(np.ptp(rows, axis=0).max()) < 1e-6
    if len(rows) < 20 or is_constant:
        few = f"{len(rows)} independent row{'s show' if len(rows) != 1 else ' shows'} no distribution, 20 are needed"
        reason = "all rows are the same" if is_constant and len(rows) > 1 else few
        return Assumption.untested(name, statement, "KS distance", 0.0, reason)
    try:
        model = VonMisesFisher.fit(rows, debiased=True)
        fit = goodness_of_fit(model, rows, rng=rng)
    except InputError as error:
        return Assumption.untested(name, statement, "KS distance", 0.0, str(error))
    # The tolerance is Kolmogorov's 5 % point. The p-values take into account that the law was fitted, and decide.
    p = min(fit.radial_p, 1.0 if math.isnan(fit.isotropy_p) else fit.isotropy_p)
    around = (
        f"around it directions are {_ratio_text(fit.isotropy, 3)} times as unequal as uniform ones "
        f"({_p_text(fit.isotropy_p)})"
    )
    if math.isnan(fit.isotropy):
        around = "around it the spread over directions cannot be tested"
    evidence_text = (
        f"along its centre the cosines vary {_ratio_text(fit.variance_ratio, 2)} times as much as under the model "
        f"(Kolmogorov-Smirnov distance {fixed(fit.radial_ks, 3)}, {_p_text(fit.radial_p)}), and {around}; fitted "
        f"concentration {model.kappa:.4g}"
    )
    tolerance = 1.36 / math.sqrt(len(rows))
    return Assumption(name, statement, fit.radial_ks, "KS distance", tolerance, p >= 0.05, evidence_text)


def _subspace(evidence: Evidence, modality: int) -> Assumption:
    name = f"subspace_{evidence.names[modality]}"
    statement = "the modality lies in a subspace of clearly fewer dimensions than an isotropic cloud fills"
    cloud = (evidence.angles.x, evidence.angles.y)[modality]
    dim, tolerance = evidence.dim, cloud.largest_collapsed_rank / evidence.dim
    if evidence.are_constant[modality]:
        evidence_text = "all rows are the same, along one direction"
        return Assumption(name, statement, 1 / dim, "share of dimensions", tolerance, True, evidence_text)
    if cloud.few_rows:
        return Assumption.untested(name, statement, "share of dimensions", 1.0, cloud.few_rows)
    isotropic = isotropic_rank(cloud.n_items, dim)
    evidence_text = (
        f"the mean and 99 % of the variance lie in {cloud.rank:,} of {dim:,} dimensions, where an isotropic cloud "
        f"fills {isotropic:,}"
    )
    residual = max(cloud.rank, cloud.basis.shape[1]) / dim
    return Assumption(name, statement, residual, "share of dimensions", tolerance, cloud.is_collapsed, evidence_text)


def _different_subspaces(evidence: Evidence) -> Assumption:
    name, statement = "different_subspaces", "the two subspaces differ"
    angles = evidence.angles
    if angles.is_filled:
        reason = "at least one modality fills the space as an isotropic cloud does"
        return Assumption.untested(name, statement, "yes or no", 0.0, reason)
    if reason := evidence.constant or ("" if angles.are_known else angles.few_rows):
        return Assumption.untested(name, statement, "yes or no", 0.0, reason)
    nonzero, ranks = angles.nonzero, angles.spaces.ranks
    evidence_text = (
        f"{int(nonzero.sum()):,} of {len(nonzero):,} principal angles between the strong directions of the two "
        f"modalities ({ranks[0]:,} and {ranks[1]:,} directions) exceed their sampling error"
    )
    holds = bool(nonzero.any()) or ranks[0] != ranks[1]
    return Assumption(name, statement, 0.0 if holds else 1.0, "yes or no", 0.0, holds, evidence_text)


def different_orientation(found: Assumption, evidence: Evidence, pairs: Pairs, /) -> Assumption:
    """Return the assumption that the subspaces differ, untested if swaps of the modalities explain how they differ."""
    angles = evidence.angles
    if not found.holds or not angles.are_collapsed:
        return found
    if orientation_exceeds_swaps(pairs, evidence.moments, angles.joint_basis):
        return replace(found, message=f"{found.message}, and the orientation of the rows exceeds that after swaps")
    reason = f"swaps of the modalities explain the difference; {found.message}"
    return Assumption.untested(found.name, found.statement, found.unit, found.tolerance, reason)


def _shared_space(evidence: Evidence) -> Assumption:
    name = "shared_space"
    statement = "the two modalities share directions beyond those that their ranks guarantee"
    if reason := evidence.no_shared_space:
        too_few_items = evidence.n_items < MIN_ITEMS
        if too_few_items or reason == evidence.constant or reason.startswith("no test"):
            return Assumption.untested(name, statement, "yes or no", 0.0, reason)
        return Assumption(name, statement, 1.0, "yes or no", 0.0, False, reason)
    count = evidence.shared_space.count
    directions_exceed = "1 shared direction exceeds" if count == 1 else f"{count:,} shared directions exceed"
    evidence_text = f"{directions_exceed} chance in the centred rows"
    if evidence.shared_space.guaranteed:
        evidence_text += f"; the ranks alone guarantee {evidence.shared_space.guaranteed:,} of them"
    if evidence.n_items < evidence.dim:
        sizes = f"{evidence.n_items:,} items are fewer than the {evidence.dim:,} dimensions"
        evidence_text += f"; {sizes}, so weak directions are missed"
    return Assumption(name, statement, 0.0, "yes or no", 0.0, True, evidence_text)


def _orthogonal_centres(evidence: Evidence) -> Assumption:
    name, statement = "orthogonal_centres", "both centres are orthogonal to the shared space"
    if reason := evidence.no_direction() or evidence.no_shared_basis:
        return Assumption.untested(name, statement, "degrees", MAX_TILT, reason)
    basis, names = evidence.shared_basis, evidence.names
    k = basis.shape[1]
    shared = "shared direction" if k == 1 else f"{k:,} shared directions"
    degrees = [math.degrees(math.acos(min(1.0, float(np.linalg.norm(c @ basis))))) for c in evidence.centres]
    random = math.degrees(math.acos(math.sqrt(k / evidence.dim)))
    evidence_text = (
        f"the angle between the centre and the {shared} is {fixed(degrees[0], 1)} ({names[0]}) and "
        f"{fixed(degrees[1], 1)} degrees ({names[1]}), and {90 - MAX_TILT:g} or more counts as orthogonal; that of a "
        f"random direction is about {fixed(random, 1)}"
    )
    return Assumption.tested(name, statement, 90 - min(degrees), "degrees", MAX_TILT, evidence_text)


def _gap_is_the_angle(evidence: Evidence) -> Assumption:
    name, statement = "gap_is_the_angle", "the gap equals the angle between the two subspaces"
    angles = evidence.angles
    if reason := evidence.no_direction() or evidence.constant:
        return Assumption.untested(name, statement, "degrees", 0.0, reason)
    holds, message = angles.judge_gap()
    if holds is None:
        return Assumption.untested(name, statement, "degrees", 0.0, message)
    difference = 90.0 if math.isnan(angles.smallest) else abs(angles.gap - angles.smallest)
    return Assumption(name, statement, difference, "degrees", angles.tolerance, holds, message)


def _isometry(evidence: Evidence, rows: tuple[np.ndarray, np.ndarray]) -> Assumption:
    name = "isometry"
    statement = "matching rows have the same cosine with their own centre (intra-modal isometry): x.c_x = y.c_y"
    if reason := evidence.no_direction():
        return Assumption.untested(name, statement, "cosine", 0.02, reason)
    cosines = [X @ centre for X, centre in zip(rows, evidence.centres, strict=True)]
    spreads = [float(values.std()) for values in cosines]
    correlation = (
        fixed(np.corrcoef(*cosines)[0, 1], 2) if min(spreads) > 1e-6 else "undefined, one modality is constant"
    )
    difference = float(np.mean(np.abs(cosines[0] - cosines[1])))
    evidence_text = (
        f"the mean cosine with the own centre is {cosine_text(cosines[0].mean(), 3)} ({evidence.names[0]}) and "
        f"{cosine_text(cosines[1].mean(), 3)} ({evidence.names[1]}); within a pair the two differ by "
        f"{fixed(difference, 3)} on average (0.02 is allowed), and their correlation over pairs is {correlation}"
    )
    return Assumption.tested(name, statement, difference, "cosine", 0.02, evidence_text)


def _constant_part(evidence: Evidence, modality: int) -> Assumption:
    name = f"constant_part_{evidence.names[modality]}"
    statement = "all rows of the modality have the same component along its centre (affine case)"
    if reason := evidence.no_direction(modality):
        return Assumption.untested(name, statement, "cosine", 0.02, reason)
    centre, length = evidence.centres[modality], evidence.lengths[modality]
    spread = math.sqrt(max(float(centre @ evidence.grams[modality] @ centre) - length**2, 0.0))
    evidence_text = (
        f"the cosines with the centre have mean {cosine_text(length, 3)} and standard deviation {fixed(spread, 4)} "
        "(at most 0.02 counts as constant)"
    )
    return Assumption.tested(name, statement, spread, "cosine", 0.02, evidence_text)


def _offset_and_shared_only(evidence: Evidence, modality: int) -> Assumption:
    name = f"offset_and_shared_only_{evidence.names[modality]}"
    statement = "the modality is its centre plus a component in the shared space, and nothing else (affine case)"
    if reason := evidence.no_direction(modality) or evidence.no_shared_basis:
        return Assumption.untested(name, statement, "share of energy", 0.02, reason)
    frame = np.linalg.qr(np.column_stack([evidence.shared_basis, evidence.centres[modality]]))[0]
    outside = max(1.0 - float(np.trace(frame.T @ evidence.grams[modality] @ frame)), 0.0)
    share = f"{fixed(100 * outside, 1)} % of the energy"
    evidence_text = f"{share} lies outside the centre and the shared directions (2 % is allowed)"
    return Assumption.tested(name, statement, outside, "share of energy", 0.02, evidence_text)


def _equal_projections(evidence: Evidence) -> Assumption:
    name, statement = "equal_projections", "matching rows have the same projection on the shared space"
    unit = "share of the distance of non-matching pairs"
    if reason := evidence.no_shared_basis:
        return Assumption.untested(name, statement, unit, 0.1, reason)
    m, basis, n_items = evidence.moments, evidence.shared_basis, evidence.n_items
    energy, product = (float((basis * (gram @ basis)).sum()) / m.n for gram in (m.xx + m.yy, m.xy))
    matching_sq_distance = max(energy - 2 * product, 0.0)
    all_pairs_sq_distance = energy - 2 * float((m.mean_x @ basis) @ (m.mean_y @ basis))
    non_matching_sq_distance = (n_items * all_pairs_sq_distance - matching_sq_distance) / (n_items - 1)
    if non_matching_sq_distance <= 0:
        return Assumption.untested(name, statement, unit, 0.1, "all projections are equal")
    evidence_text = (
        f"projected on the shared space, matching rows are {fixed(math.sqrt(matching_sq_distance), 3)} apart and "
        f"non-matching rows {fixed(math.sqrt(non_matching_sq_distance), 3)} (root mean squares)"
    )
    return Assumption.tested(
        name, statement, math.sqrt(matching_sq_distance / non_matching_sq_distance), unit, 0.1, evidence_text
    )


def _bound_text(bound: float) -> str:
    if 0 <= bound < 1e-3:
        return "practically 0" if bound < 1e-9 else "below 0.001"
    return f"{bound:.4g}"


def _optimum(moments: Moments, rows: tuple[np.ndarray, np.ndarray], loss: float, temperature: float) -> Assumption:
    n, dim = rows[0].shape
    bound = loss_bound(n, dim, temperature=temperature)
    if n == moments.n and moments.matmul_dtype == "float64":  # other measures need these decompositions too
        covariances = [moments.cov_x, moments.cov_y]
    else:
        covariances = [np.atleast_2d(np.cov(X, rowvar=False, bias=True)) for X in rows]
    best_cosine = min(covariance_fidelity(*covariances), 1.0)
    clouds = max(finite_bound(n, temperature=temperature, cosine=best_cosine), bound)
    evidence_text = (
        f"the loss of {n:,} pairs at temperature {temperature:g} is {loss:.4g} nats (both directions summed); its "
        f"lower bound is {_bound_text(bound)} for all embeddings of {n:,} pairs in {dim:,} dimensions, and "
        f"{_bound_text(clouds)} for all pairings of these two clouds"
    )
    proved = uniform_bound_is_proved(dim, temperature=temperature)
    if bound > finite_bound(n, temperature=temperature) and not proved:
        evidence_text += " (the first is proved for equal matching rows, and open for others at this temperature)"
    return Assumption.tested("optimum", "the loss is at its lower bound", loss - bound, "nats", 0.1, evidence_text)


def _not_saturated(loss: float) -> Assumption:
    name, statement = "not_saturated", "the loss is not saturated"
    evidence_text = f"the loss is {loss:.3g} nats; only a loss close to zero would no longer move the gap"
    return Assumption(name, statement, max(0.01 - loss, 0.0), "nats", 0.0, loss >= 0.01, evidence_text)
