"""Do the theorems speak about these embeddings? The residual of every assumption, measured on the data.

The theorems of Yi, Douady and Chen (2025), arXiv 2510.03268, describe an ideal: von Mises-Fisher clouds in two
hyperplanes, centres orthogonal to what the hyperplanes share, and so on. `check` measures how far embeddings are from
each of these, and says which theorem may be quoted about them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.linalg.psd import fidelity
from isthmus.linalg.shared_directions import COSINE_TOLERANCE, EnergySubspaces, SharedSpace, SubspacePair
from isthmus.linalg.significance import significant_directions
from isthmus.statistics.mean_intervals import mean_p_value
from isthmus.statistics.moments import moments_of
from isthmus.theory.bounds import finite_bound, loss_bound, uniform_bound_is_proved
from isthmus.theory.goodness import goodness_of_fit
from isthmus.theory.infonce import info_nce
from isthmus.theory.statements import Theorem, theorems
from isthmus.theory.vmf import VonMisesFisher
from isthmus.utils.format import json_number

#: Fewer items than this show nothing about a shared space.
MIN_ITEMS = 10


@dataclass(frozen=True)
class Assumption:
    """One assumption and how far the data are from it.

    `residual` in `unit` is 0 where it holds exactly; it counts as holding up to `tolerance`. `holds` is None where it
    cannot be tested; `message` states the finding, or the reason.
    """

    name: str
    statement: str
    residual: float
    unit: str
    tolerance: float
    holds: bool | None
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; an absent residual is None."""
        return asdict(self) | {"residual": json_number(self.residual)}


@dataclass(frozen=True)
class Check(Mapping[str, Assumption]):
    """Assumptions by name, and `theorems` by name; `loss` is that of the batch, in nats, at this `temperature`."""

    assumptions: Mapping[str, Assumption]
    theorems: Mapping[str, Theorem]
    temperature: float
    loss: float

    def __getitem__(self, name: str) -> Assumption:
        return self.assumptions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.assumptions)

    def __len__(self) -> int:
        return len(self.assumptions)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "temperature": self.temperature,
            "loss": self.loss,
            "assumptions": {name: a.to_dict() for name, a in self.assumptions.items()},
            "theorems": {name: asdict(t) for name, t in self.theorems.items()},
        }


def check(pairs: Any, /, *, temperature: float = 0.01, sample: int = 2000, rng: int = 0) -> Check:
    """Measure the assumptions of the theorems on `pairs` (an `isthmus.Pairs`), rows divided by their norms.

    Moments are taken over all pairs; what needs rows (the fit of von Mises and Fisher, the loss) over `sample` random
    items, each with its first partner. `temperature` is that of the training; the loss sums both directions.
    Errors: `InputError` for a temperature that is not positive.

    >>> import isthmus
    >>> found = check(isthmus.demo.load("collapsed"), temperature=0.0586)
    >>> found["orthogonal_centres"].holds, found["von_mises_fisher_image"].holds
    (True, False)
    >>> [name for name, theorem in found.theorems.items() if theorem.applies]
    ['theorem 1', 'theorem 4', 'corollary rotation', 'affine case']
    """
    data = _Data(moments_of(pairs).numpy(), pairs.names)
    drawn = pairs.sample(sample, rng=rng)
    x, y = (to_numpy(side).astype(np.float64) for side in drawn.unit())
    first = _first_partners(drawn.index, len(x))
    data.rows = (x[first >= 0], y[first[first >= 0]])
    entries = [
        *_of_moments(data),
        *(_von_mises_fisher(data, side, rng) for side in (0, 1)),
        _isometry(data),
    ]
    loss, bound = _loss(data, temperature)
    entries += [_not_saturated(loss), bound]
    assumptions = {entry.name: entry for entry in entries}
    return Check(assumptions, theorems(assumptions, data.names), temperature, loss)


def check_moments(moments: Any, /, *, names: tuple[str, str] = ("x", "y")) -> dict[str, Assumption]:
    """The assumptions that `moments` (an `isthmus.Moments` of unit rows) alone can test, by name: all but the law of
    the clouds, the isometry and the loss. Sides are called by `names`.

    >>> import isthmus
    >>> found = check_moments(isthmus.Moments.of(isthmus.demo.load("collapsed")), names=("image", "text"))
    >>> found["orthogonal_centres"].holds, round(found["gap_is_the_angle"].residual, 1)
    (True, 0.0)
    """
    return {entry.name: entry for entry in _of_moments(_Data(moments.numpy(), names))}


def _of_moments(data: _Data) -> list[Assumption]:
    return [
        *(_cone(data, side) for side in (0, 1)),
        *(_collapse(data, side) for side in (0, 1)),
        _different_subspaces(data),
        _shared_space(data),
        _orthogonal_centres(data),
        _gap_is_the_angle(data),
        *(_constant_part(data, side) for side in (0, 1)),
        *(_filled(data, side) for side in (0, 1)),
        _equal_projections(data),
    ]


class _Data:
    """What the assumptions are computed from, found once; `rows` are a sample of unit rows where there are any."""

    rows: tuple[np.ndarray, np.ndarray]

    def __init__(self, m: Any, names: tuple[str, str]):
        self.names = names
        self.moments = m
        self.dim, self.n, self.items = m.dim_x, m.n, m.by_item.n_items
        self.means = (m.mean_x, m.mean_y)
        self.lengths = tuple(float(np.linalg.norm(mean)) for mean in self.means)
        self.p_values = (mean_p_value(m), mean_p_value(m.swapped()))
        self.centres = tuple(mean / (length or 1.0) for mean, length in zip(self.means, self.lengths, strict=True))
        self.grams = (m.xx / m.n, m.yy / m.n)
        self.subspaces = EnergySubspaces.of(*self.grams)
        self.basis: np.ndarray | None = None  # of the shared space, (d, k)
        self.no_basis = ""
        self.basis_caveat = ""
        if self.items < MIN_ITEMS:
            self.no_basis = f"{self.items} items are too few to tell a shared space from chance"
            return
        space = SharedSpace.of(m.cov_x, m.cov_y, n_x=self.items - 1, n_y=self.n - 1)
        self.no_basis = space.objection()
        if not self.no_basis:
            self.basis = space.midpoints()
            if space.guaranteed:
                self.basis_caveat += f"; the ranks of the two sides alone guarantee {space.guaranteed:,} of them"
            if self.items < self.dim:
                self.basis_caveat += (
                    f"; {self.items:,} items are fewer than the {self.dim:,} dimensions, so weak directions are missed"
                )

    def no_direction(self, *sides: int) -> str:
        """Why the centre of one of `sides` (none: either) has no direction, or nothing."""
        worst = max(sides or (0, 1), key=lambda side: self.p_values[side])
        if self.p_values[worst] < 0.01:
            return ""
        return (
            f"the mean of {self.names[worst]} is not distinguishable from zero (length {self.lengths[worst]:.3f}, "
            f"p = {self.p_values[worst]:.2g}), so that it has no direction"
        )


def _first_partners(index: np.ndarray | None, items: int) -> np.ndarray:
    if index is None:
        return np.arange(items)
    first = np.full(items, -1)
    rows, where = np.unique(index, return_index=True)
    first[rows] = where
    return first


def _untested(name: str, statement: str, unit: str, tolerance: float, why: str) -> Assumption:
    return Assumption(name, statement, math.nan, unit, tolerance, None, f"cannot be tested: {why}")


def _tested(name: str, statement: str, residual: float, unit: str, tolerance: float, words: str) -> Assumption:
    return Assumption(name, statement, residual, unit, tolerance, bool(residual <= tolerance), words)


def _p(value: float) -> str:
    return "p undefined" if math.isnan(value) else f"p = {value:.2g}" if value >= 1e-9 else "p < 1e-9"


def _cone(data: _Data, side: int) -> Assumption:
    p = data.p_values[side]
    words = f"the mean is {data.lengths[side]:.3f} long ({_p(p)} for a mean of zero)"
    return _tested(f"cone_{data.names[side]}", "the mean of the side is not zero", p, "p-value", 0.01, words)


def _von_mises_fisher(data: _Data, side: int, rng: int) -> Assumption:
    name, statement = f"von_mises_fisher_{data.names[side]}", "the side follows a von Mises-Fisher distribution"
    rows = data.rows[side]
    if len(rows) < 20 or float(np.ptp(rows, axis=0).max()) < 1e-6:
        return _untested(name, statement, "KS distance", 0.0, f"{len(rows)} rows, or all of them equal, show no shape")
    fit = VonMisesFisher.fit(rows, debiased=True)
    shape = goodness_of_fit(fit, rows, rng=rng)
    # Kolmogorov's 5 % point; the p-values below know that the law was fitted and decide.
    p = min(shape.radial_p, 1.0 if math.isnan(shape.isotropy_p) else shape.isotropy_p)
    words = (
        f"along its centre the cosines vary {shape.variance_ratio:.2g} times as much as the model's "
        f"(Kolmogorov-Smirnov distance {shape.radial_ks:.3f}, {_p(shape.radial_p)}), and around it directions are "
        f"{shape.isotropy:.3g} times as unequal as evenly spread ones ({_p(shape.isotropy_p)}); fitted "
        f"concentration {fit.kappa:.4g}"
    )
    tolerance = 1.36 / math.sqrt(len(rows))
    return Assumption(name, statement, shape.radial_ks, "KS distance", tolerance, p >= 0.05, words)


def _collapse(data: _Data, side: int) -> Assumption:
    name, statement = f"subspace_{data.names[side]}", "the side lies in a subspace of fewer dimensions than the space"
    rank = data.subspaces.ranks[side]
    if data.items <= data.dim:
        why = f"{data.items:,} items never fill {data.dim:,} dimensions, whatever the encoder does"
        return _untested(name, statement, "share of dimensions", 1.0, why)
    share = rank / data.dim
    words = f"99 % of the energy lies in {rank:,} of {data.dim:,} dimensions"
    return Assumption(name, statement, share, "share of dimensions", 1 - 1 / data.dim, rank < data.dim, words)


def _different_subspaces(data: _Data) -> Assumption:
    ranks, closed = data.subspaces.ranks, data.subspaces.closed()
    apart = int(np.sum(~closed))
    words = (
        f"of {len(closed):,} principal angles {int(closed.sum()):,} are closed (cosine above "
        f"1 - {COSINE_TOLERANCE:g}), {data.subspaces.guaranteed:,} of them because any two subspaces of dimensions "
        f"{ranks[0]:,} and {ranks[1]:,} share as many"
    )
    holds = apart > 0 or ranks[0] != ranks[1]
    residual = 0.0 if holds else 1.0
    return Assumption("different_subspaces", "the two subspaces differ", residual, "yes or no", 0.0, holds, words)


def _shared_space(data: _Data) -> Assumption:
    name, statement = "shared_space", "the two sides share directions beyond what their ranks force"
    if data.basis is None:
        if data.no_basis.startswith("no test"):
            return _untested(name, statement, "yes or no", 0.0, data.no_basis)
        return Assumption(name, statement, 1.0, "yes or no", 0.0, False, data.no_basis)
    words = f"{data.basis.shape[1]:,} shared directions are found beyond chance in the centred rows"
    words += data.basis_caveat
    return Assumption(name, statement, 0.0, "yes or no", 0.0, True, words)


def _orthogonal_centres(data: _Data) -> Assumption:
    name, statement = "orthogonal_centres", "both centres are orthogonal to the shared space (A6)"
    if why := data.no_direction() or (data.no_basis if data.basis is None else ""):
        return _untested(name, statement, "degrees", 5.0, why)
    assert data.basis is not None
    degrees = [math.degrees(math.acos(min(1.0, float(np.linalg.norm(centre @ data.basis))))) for centre in data.centres]
    k = data.basis.shape[1]
    chance = math.degrees(math.acos(math.sqrt(k / data.dim)))
    words = (
        f"the centres stand at {degrees[0]:.1f} ({data.names[0]}) and {degrees[1]:.1f} degrees ({data.names[1]}) to "
        f"the {k:,} shared directions; a random direction stands at about {chance:.1f}"
    )
    return _tested(name, statement, 90 - min(degrees), "degrees", 5.0, words)


def _gap_is_the_angle(data: _Data) -> Assumption:
    name, statement = "gap_is_the_angle", "the gap equals the angle between the two subspaces (A7)"
    if why := data.no_direction():
        return _untested(name, statement, "degrees", 5.0, why)
    gap = math.degrees(math.acos(max(-1.0, min(1.0, float(data.centres[0] @ data.centres[1])))))
    spaces = SubspacePair(*(significant_directions(gram, data.items, min_rank=1) for gram in data.grams))
    apart = np.asarray(spaces.angles.degrees)[~spaces.closed()]
    ranks = f"the significant directions of the two sides ({spaces.ranks[0]:,} and {spaces.ranks[1]:,})"
    if not len(apart):
        return _untested(name, statement, "degrees", 5.0, f"{ranks} leave no angle open")
    smallest, largest = float(apart.min()), float(apart.max())
    words = (
        f"the gap is {gap:.1f} degrees; of the {len(spaces.closed()):,} principal angles between {ranks}, "
        f"{len(apart):,} {'is' if len(apart) == 1 else 'are'} open, the smallest {smallest:.1f} and the largest "
        f"{largest:.1f} degrees"
    )
    return _tested(name, statement, abs(gap - smallest), "degrees", 5.0, words)


def _isometry(data: _Data) -> Assumption:
    name, statement = "isometry", "partners are as near to their own centre (intra-modal isometry): x.c_x = y.c_y"
    if why := data.no_direction():
        return _untested(name, statement, "cosine", 0.02, why)
    along = [rows @ centre for rows, centre in zip(data.rows, data.centres, strict=True)]
    spreads = [float(values.std()) for values in along]
    correlation = f"{np.corrcoef(*along)[0, 1]:.2f}" if min(spreads) > 1e-6 else "undefined, one side is constant"
    apart = float(np.mean(np.abs(along[0] - along[1])))
    words = (
        f"means {along[0].mean():.3f} ({data.names[0]}) and {along[1].mean():.3f} ({data.names[1]}), correlation over "
        f"pairs {correlation}, mean absolute difference {apart:.3f}"
    )
    return _tested(name, statement, apart, "cosine", 0.02, words)


def _constant_part(data: _Data, side: int) -> Assumption:
    name = f"constant_part_{data.names[side]}"
    statement = "all rows of the side have the same part along its centre (affine case)"
    if why := data.no_direction(side):
        return _untested(name, statement, "cosine", 0.02, why)
    centre = data.centres[side]
    spread = math.sqrt(max(float(centre @ data.grams[side] @ centre) - data.lengths[side] ** 2, 0.0))
    words = f"cosines to the centre have the mean {data.lengths[side]:.3f} and the standard deviation {spread:.4f}"
    return _tested(name, statement, spread, "cosine", 0.02, words)


def _filled(data: _Data, side: int) -> Assumption:
    name = f"offset_and_shared_only_{data.names[side]}"
    statement = "the side is its centre plus a part in the shared space, and nothing else (affine case)"
    if why := data.no_direction(side) or (data.no_basis if data.basis is None else ""):
        return _untested(name, statement, "share of energy", 0.02, why)
    assert data.basis is not None
    frame = np.linalg.qr(np.column_stack([data.basis, data.centres[side]]))[0]
    outside = max(1.0 - float(np.trace(frame.T @ data.grams[side] @ frame)), 0.0)
    words = f"{outside:.4f} of the energy lies outside the centre and the shared directions"
    return _tested(name, statement, outside, "share of energy", 0.02, words)


def _equal_projections(data: _Data) -> Assumption:
    name, statement = "equal_projections", "partners have the same projection on the shared space (A8)"
    unit = "share of the distance of strangers"
    if data.basis is None:
        return _untested(name, statement, unit, 0.1, data.no_basis)
    m, basis = data.moments, data.basis
    both, cross = (float((basis * (gram @ basis)).sum()) / data.n for gram in (m.xx + m.yy, m.xy))
    partners = max(both - 2 * cross, 0.0)
    everyone = both - 2 * float((m.mean_x @ basis) @ (m.mean_y @ basis))
    strangers = (data.items * everyone - partners) / (data.items - 1)
    if strangers <= 0:
        return _untested(name, statement, unit, 0.1, "all projections are equal")
    words = (
        f"|P_C x - P_C y| is {math.sqrt(partners):.3f} for partners and {math.sqrt(strangers):.3f} for strangers "
        "(root mean squares)"
    )
    return _tested(name, statement, math.sqrt(partners / strangers), unit, 0.1, words)


def _loss(data: _Data, temperature: float) -> tuple[float, Assumption]:
    x, y = data.rows
    n = len(x)
    loss = info_nce(x, y, temperature=temperature)
    bound = loss_bound(n, data.dim, temperature=temperature)
    covariances = [np.cov(rows, rowvar=False, bias=True) for rows in (x, y)]
    possible = min(fidelity(*covariances), 1.0)
    clouds = max(finite_bound(n, temperature=temperature, cosine=possible), bound)
    words = (
        f"the loss of {n:,} pairs at temperature {temperature:g} is {loss:.4g} nats (both directions summed); no "
        f"embeddings of {n:,} pairs in {data.dim:,} dimensions get below {bound:.4g}, and no pairing of these two "
        f"clouds below {clouds:.4g}"
    )
    if bound > finite_bound(n, temperature=temperature) and not uniform_bound_is_proved(
        data.dim, temperature=temperature
    ):
        words += " (the first is proved for equal partners, and open for others at this temperature)"
    return loss, _tested("optimum", "the loss is at its lower bound", loss - bound, "nats", 0.1, words)


def _not_saturated(loss: float) -> Assumption:
    words = f"the loss is {loss:.3g} nats; where it is nearly zero nothing moves the gap any more"
    statement = "the loss is not saturated"
    return Assumption("not_saturated", statement, max(0.01 - loss, 0.0), "nats", 0.0, loss >= 0.01, words)
