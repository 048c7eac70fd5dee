"""SharedSpaceProjection: keep only the directions that both sides use."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.linalg.shared_directions import COSINE_TOLERANCE, EnergySubspaces, SharedSpace
from isthmus.linalg.significance import ENERGY_SHARE
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError, IsthmusWarning

#: Fewer items than this show nothing about subspaces.
LEAST_ITEMS = 10
#: A published shared space that holds less than this share of the energy of either side is called tiny.
LEAST_ENERGY = 0.5


@dataclass(kw_only=True, eq=False)
class SharedSpaceProjection(Aligner):
    """x -> unit(B'(x - offset)), y likewise, with B (d, k) an orthonormal basis of the shared space.

    estimator='sound' (default): centred covariances; ranks by Gavish and Donoho's threshold, floored at 1e-4 of the
    largest singular value; shared are the principal angles whose cosine exceeds what random subspaces of these ranks
    reach (95 % Tracy-Widom edge), minus what the ranks force; B holds the midpoints of the principal vectors. Needs
    no pairs.
    estimator='published': uncentred, `energy` 99 %, cosines above 1 - `tolerance`, B the principal vectors of x (Yi,
    Douady and Chen 2025, arXiv 2510.03268). It mostly counts dimensions that the ranks force: max(0, r_x + r_y - d).

    estimator='paired': U and V of the singular value decomposition of the cross-covariance (partial least squares),
    one basis for each side, x -> unit(U'x), y -> unit(V'y); as many components as have singular values above what
    unrelated sides of these covariances reach (the largest of 19 Gaussian draws, 95 %). Needs pairs, and finds shared
    directions also where the subspaces are rotated against each other; the sound estimator finds equal subspaces also
    where the rows are not partners. They answer different questions.

    `center=True` subtracts each side's mean before the projection. `k` keeps at most that many directions, those
    with the most energy of both sides. `fit_info_` holds ranks, shared, forced and the share of energy kept.
    Not the few-shot method of the same initials (Zhu et al. 2024, arXiv 2407.16977).

    Errors: `InputError` with fewer than 10 items, when nothing is shared, and when all that is found is forced. Warns
    when there are fewer items than dimensions, when a part of the overlap is forced, when the published space is tiny,
    and when `k` asks for more directions than were found.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> U = rng.normal(size=(500, 2))
    >>> X = np.hstack([U, np.full((500, 1), 2.0), np.zeros((500, 5))])
    >>> Y = np.hstack([U, np.zeros((500, 1)), np.full((500, 1), 2.0), np.zeros((500, 4))])
    >>> X2, Y2 = SharedSpaceProjection().fit(X, Y).transform(X, Y)
    >>> X2.shape, bool(np.allclose(X2, Y2))
    ((500, 2), True)
    """

    estimator: str = "sound"
    energy: float = ENERGY_SHARE
    tolerance: float = COSINE_TOLERANCE
    k: int | None = None
    center: bool = False

    source: ClassVar[str] = "Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 4"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator not in ("sound", "published", "paired"):
            raise InputError(f"estimator={self.estimator!r}, expected 'sound', 'published' or 'paired'")
        if not 0 < self.energy <= 1 or not 0 < self.tolerance < 1 or (self.k is not None and self.k < 1):
            raise InputError(
                f"energy={self.energy}, tolerance={self.tolerance}, k={self.k}: expected a share above 0 "
                "and up to 1, a tolerance between 0 and 1, and k at least 1"
            )

    @property
    def uses_pairs(self) -> bool:
        return self.estimator == "paired"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        items = moments.by_item.n_items
        if items < LEAST_ITEMS:
            raise InputError(
                f"{items} items are too few to tell a shared space from chance, expected {LEAST_ITEMS} or more"
            )
        if self.estimator == "paired":
            bases = self._paired(moments)
        else:
            basis = self._published(moments) if self.estimator == "published" else self._sound(moments)
            bases = basis, basis
        # Singular vectors have no sign: fix it, so that the same data give the same coordinates.
        signs = np.sign(bases[0][np.argmax(np.abs(bases[0]), axis=0), np.arange(bases[0].shape[1])])
        bases = bases[0] * signs, bases[1] * signs
        seconds = moments.xx / moments.n, moments.yy / moments.n
        energies = [(b * (s @ b)).sum(0) for b, s in zip(bases, seconds, strict=True)]
        found = bases[0].shape[1]
        if self.k is not None and self.k > found:
            warnings.warn(
                f"k={self.k} directions were asked for, but the data support {found}: these are kept",
                IsthmusWarning, stacklevel=2)  # fmt: skip
        if self.k is not None and self.k < found:
            # PLS components come in the order of their covariance; principal vectors have no such order.
            order = np.arange(found) if self.estimator == "paired" else np.argsort(-(energies[0] + energies[1]))
            kept = order[: self.k]
            bases = bases[0][:, kept], bases[1][:, kept]
            energies = [e[kept] for e in energies]
        shares = [float(e.sum() / np.trace(s)) for e, s in zip(energies, seconds, strict=True)]
        self.fit_info_ = {**self.fit_info_, "k": bases[0].shape[1], "energy_kept": shares}
        self._warn(moments)
        bias_x = bias_y = None
        if self.center:
            bias_x, bias_y = -moments.mean_x @ bases[0], -moments.mean_y @ bases[1]
        return Affine(bases[0], bias_x), Affine(bases[1], bias_y)

    def _paired(self, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        left, strengths, right = np.linalg.svd(moments.cov_xy, full_matrices=False)
        edge = _unrelated(moments)
        found = int(np.sum(strengths > edge))
        self.fit_info_ = {"shared": found, "edge": edge, "strengths": [float(v) for v in strengths[:10]]}
        if found == 0:
            raise InputError(
                f"partners share no direction: the largest singular value of the cross-covariance is "
                f"{strengths[0]:.3g} and unrelated sides reach {edge:.3g}; check the pairing, or use Centering"
            )
        return left[:, :found], right[:found].T

    def _published(self, moments: Moments) -> np.ndarray:
        spaces = EnergySubspaces.of(moments.xx, moments.yy, energy=self.energy)
        shared = spaces.overlap(self.tolerance)
        self.fit_info_ = {"ranks": spaces.ranks, "shared": shared, "forced": spaces.guaranteed}
        if shared == 0:
            raise InputError(
                f"no shared space: the {self.energy:.3g} energy subspaces of dimensions {spaces.ranks[0]} "
                f"and {spaces.ranks[1]} have no principal angle with cosine above 1 - {self.tolerance:g}; "
                "use estimator='sound', a larger tolerance, or more pairs"
            )
        if spaces.guaranteed and shared <= spaces.guaranteed:
            raise InputError(
                f"all {shared} shared dimensions are forced: any two subspaces of dimensions "
                f"{spaces.ranks[0]} and {spaces.ranks[1]} share {spaces.guaranteed} in width {moments.dim_x}; "
                "use estimator='sound' or a smaller energy"
            )
        return spaces.angles.vectors_a[:, spaces.closed(self.tolerance)]

    def _sound(self, moments: Moments) -> np.ndarray:
        space = SharedSpace.of(moments.cov_x, moments.cov_y, n_x=moments.by_item.n_items - 1, n_y=moments.n - 1)
        if objection := space.objection():
            raise InputError(f"{objection}; use Centering or more pairs")
        self.fit_info_ = {
            "ranks": space.ranks, "shared": space.count, "forced": space.guaranteed, "edge": space.edge
        }  # fmt: skip
        return space.midpoints()

    def _warn(self, moments: Moments) -> None:
        """Say with the numbers why this shared space is weaker than it looks."""
        facts, items, dim = self.fit_info_, moments.by_item.n_items, moments.dim_x
        ranks, shared, said = facts.get("ranks", ()), facts["shared"], []
        if self.estimator == "published" and min(facts["energy_kept"]) < LEAST_ENERGY:
            x, y = (f"{share:.0%}" for share in facts["energy_kept"])
            said.append(
                f"the published estimator finds {shared} shared dimensions ({facts['forced']} of them forced) of "
                f"{ranks[0]} and {ranks[1]}; they hold {x} and {y} of the energy, too little to search in: use "
                "estimator='sound' or a larger tolerance"
            )
        elif facts.get("forced"):
            said.append(
                f"{facts['forced']} of the {shared} shared dimensions are forced: any two subspaces of dimensions "
                f"{ranks[0]} and {ranks[1]} share as many in width {dim}"
            )
        if items < dim:
            so = (
                "the ranks still grow with every row" if self.estimator == "published" else "weak directions are missed"
            )
            said.append(f"{items:,} items are fewer than the {dim:,} dimensions: {so}")
        if said:
            warnings.warn("; ".join(said), IsthmusWarning, stacklevel=2)


def _unrelated(moments: Moments) -> float:
    """What the largest singular value of the cross-covariance reaches between sides that have nothing to do with each
    other: the largest of 19 draws of S_x^1/2 Z S_y^1/2 / sqrt(items), Z standard normal."""
    rng = np.random.default_rng(0)
    # Singular values do not see the eigenvectors, only the spectra.
    scales = [np.sqrt(np.clip(np.linalg.eigvalsh(cov), 0, None)) for cov in (moments.cov_x, moments.cov_y)]
    draws = []
    for _ in range(19):
        noise = scales[0][:, None] * rng.normal(size=(len(scales[0]), len(scales[1]))) * scales[1]
        draws.append(_largest(noise))
    return max(draws) / math.sqrt(moments.by_item.n_items)


def _largest(matrix: np.ndarray, steps: int = 60) -> float:
    """The largest singular value by power iteration; it needs two digits and no decomposition."""
    vector = np.linalg.norm(matrix, axis=0) + 1e-300
    for _ in range(steps):
        vector = matrix.T @ (matrix @ vector)
        vector /= np.linalg.norm(vector) + 1e-300
    return float(np.linalg.norm(matrix @ vector))
