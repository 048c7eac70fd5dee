"""SharedSpaceProjection: keep only the directions that both modalities use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus.align._maps import Affine
from isthmus.align._self_judging import SelfJudging
from isthmus.align._spectra import energy_subspaces
from isthmus.align._spread import require_spread
from isthmus.linalg import remembered
from isthmus.linalg.shared_directions import COSINE_TOLERANCE, SharedSpace
from isthmus.linalg.significance import ENERGY_SHARE
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import too_few
from isthmus.utils.warning import warn

#: Fewer items than this do not determine subspaces.
MIN_ITEMS = 10
#: The published shared space is reported as tiny if it holds less than this fraction of the energy of a modality.
MIN_ENERGY = 0.5
#: Gaussian draws whose largest singular value is the 95 % edge of unrelated modalities.
DRAWS = 19


@dataclass(kw_only=True, eq=False)
class SharedSpaceProjection(SelfJudging):
    """Project both modalities on the directions that they share: x -> unit(B'x), y -> unit(B'y).

    B (d, k) is an orthonormal basis of the shared space. Only estimator='paired' needs pairs. `fit_info_` holds the
    ranks, the numbers of shared and guaranteed directions and the fraction of the energy that is kept. This is not the
    few-shot method of the same initials (Zhu et al. 2024, arXiv 2407.16977).

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    judge : bool, default True
        Whether `fit` warns of the recall that is lost on held-out pairs, from one split of at most 2,000 items. The
        change is stored in `fit_info_["held_out_recall"]`.
    estimator : {'significant', 'published', 'paired'}, default 'significant'
        Definition of the shared space, see the notes.
    energy : float, default 0.99
        Fraction of the energy that each subspace holds, in (0, 1], for 'published'.
    tolerance : float, default 1e-3
        Distance of a cosine from 1 up to which directions are shared, in (0, 1), for 'published'.
    k : int, optional
        Largest number of directions. The ones with the most energy of both modalities are kept.
    center : bool, default False
        Whether the mean of each modality is subtracted first.

    Notes
    -----
    The first use of the maps raises `InputError` with fewer than 10 items, and if all rows of a modality are the same.
    It also raises it if nothing is shared, or if the ranks alone guarantee all that is shared. Two subspaces of ranks
    r_x and r_y share at least max(0, r_x + r_y - d) directions.

    It warns if there are fewer items than dimensions, or if a part of the overlap is guaranteed. It also warns if the
    published space is tiny, or if `k` exceeds the number of shared directions.

    - 'significant' uses centred covariances. Ranks follow the threshold of Gavish and Donoho, bounded below by 1e-4 of
      the largest singular value. Shared are the principal angles with a larger cosine than random subspaces of these
      ranks reach (95 % point of Tracy and Widom). B holds the midpoints of the principal vectors.
    - 'published' uses uncentred second moments, the fraction `energy` and cosines above 1 - `tolerance`. B holds the
      principal vectors of x. It mostly counts guaranteed dimensions.
    - 'paired' uses the singular vectors U and V of the cross-covariance (partial least squares), one basis for each
      modality: x -> unit(U'x), y -> unit(V'y). It keeps the components whose singular values exceed those of unrelated
      modalities with these covariances (the largest of 19 Gaussian draws, 95 %).

    'paired' also finds shared directions if the subspaces are rotated against each other. 'significant' also finds
    equal subspaces if the rows do not match. They answer different questions.

    References
    ----------
    Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 4.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> U = rng.normal(size=(500, 2))
    >>> X = np.hstack([U, np.full((500, 1), 2.0), np.zeros((500, 5))])
    >>> Y = np.hstack([U, np.zeros((500, 1)), np.full((500, 1), 2.0), np.zeros((500, 4))])
    >>> X2, Y2 = SharedSpaceProjection().fit(X, Y).transform(X, Y)
    >>> X2.shape, bool(np.allclose(X2, Y2))
    ((500, 2), True)
    """

    estimator: str = "significant"
    energy: float = ENERGY_SHARE
    tolerance: float = COSINE_TOLERANCE
    k: int | None = None
    center: bool = False

    selects_directions: ClassVar[bool] = True
    source: ClassVar[str] = "Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 4"

    def check_options(self) -> None:
        """Raise `InputError` for an unknown estimator or numbers out of range."""
        if self.estimator not in ("significant", "published", "paired"):
            raise InputError(f"estimator={self.estimator!r}, expected 'significant', 'published' or 'paired'")
        if not 0 < self.energy <= 1 or not 0 < self.tolerance < 1 or (self.k is not None and self.k < 1):
            raise InputError(
                f"energy={self.energy}, tolerance={self.tolerance}, k={self.k}: expected energy above 0 "
                "and up to 1, tolerance between 0 and 1, and k at least 1"
            )

    @property
    def uses_pairs(self) -> bool:
        """Return whether the estimator is 'paired'."""
        return self.estimator == "paired"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the projections on the bases of the shared space, or raise `InputError`."""
        require_spread(self, moments, "SharedSpaceProjection needs directions in which both vary")
        items = moments.by_item.n_items
        if items < MIN_ITEMS:
            raise InputError(
                f"{too_few(items, 'item')} to tell a shared space from chance, expected {MIN_ITEMS} or more"
            )
        estimators = {"significant": self._significant, "published": self._published, "paired": self._paired}
        (basis_x, basis_y), info = estimators[self.estimator](moments)
        # Singular vectors have no sign. A fixed sign makes the coordinates reproducible.
        signs = np.sign(basis_x[np.argmax(np.abs(basis_x), axis=0), np.arange(basis_x.shape[1])])
        bases = basis_x * signs, basis_y * signs
        second_moments = moments.xx / moments.n, moments.yy / moments.n
        energies = [(b * (s @ b)).sum(0) for b, s in zip(bases, second_moments, strict=True)]
        rank = basis_x.shape[1]
        if self.k is not None and self.k > rank:
            warn(
                f"got k={self.k} directions, but the data support {rank}, which are kept", IsthmusWarning, stacklevel=2
            )
        if self.k is not None and self.k < rank:
            # PLS components are ordered by their covariance. Principal vectors have no such order.
            order = np.arange(rank) if self.estimator == "paired" else np.argsort(-(energies[0] + energies[1]))
            leading = order[: self.k]
            bases = bases[0][:, leading], bases[1][:, leading]
            energies = [energy[leading] for energy in energies]
        fractions = [float(e.sum() / np.trace(s)) for e, s in zip(energies, second_moments, strict=True)]
        info |= {"k": bases[0].shape[1], "energy_kept": fractions}
        self.fit_info_ = info
        if reservations := self._reservations(info, items, moments.dim_x):
            warn("; ".join(reservations), IsthmusWarning, stacklevel=2)
        if not self.center:
            return Affine(bases[0]), Affine(bases[1])
        return Affine(bases[0], -moments.mean_x @ bases[0]), Affine(bases[1], -moments.mean_y @ bases[1])

    def _paired(self, moments: Moments) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
        left_vectors, strengths, right_vectors = remembered.svd(moments.cov_xy, full_matrices=False)
        edge = _unrelated_edge(moments)
        shared = int(np.sum(strengths > edge))
        if shared == 0:
            raise InputError(
                "matching rows vary together in no direction beyond chance (the strongest covariance is "
                f"{strengths[0]:.3g}, and unrelated modalities reach {edge:.3g}), so there is nothing to project on; "
                "use Centering"
            )
        info = {"shared": shared, "edge": edge, "strengths": [float(v) for v in strengths[:10]]}
        return (left_vectors[:, :shared], right_vectors[:shared].T), info

    def _published(self, moments: Moments) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
        spaces = energy_subspaces(moments, self.energy)
        shared = spaces.overlap(self.tolerance)
        if shared == 0:
            raise InputError(
                f"no shared space: the {100 * self.energy:.3g} % energy subspaces of dimensions {spaces.ranks[0]} "
                f"and {spaces.ranks[1]} have no principal angle with cosine above {1 - self.tolerance:g}, so "
                "estimator='published' does not apply; use estimator='significant', a larger tolerance, or more pairs"
            )
        if spaces.guaranteed and shared <= spaces.guaranteed:
            raise InputError(
                f"all {shared} shared dimensions are guaranteed: any two subspaces of dimensions "
                f"{spaces.ranks[0]} and {spaces.ranks[1]} share {spaces.guaranteed} of {moments.dim_x} dimensions, so "
                "estimator='published' does not apply; use estimator='significant' or a smaller energy"
            )
        basis = spaces.vectors[0][:, spaces.closed(self.tolerance)]
        return (basis, basis), {"ranks": spaces.ranks, "shared": shared, "guaranteed": spaces.guaranteed}

    def _significant(self, moments: Moments) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
        n_x, n_y = moments.n_distinct
        space = SharedSpace.of(moments.cov_x, moments.cov_y, n_x=n_x - 1, n_y=n_y - 1)
        if objection := space.objection():
            raise InputError(f"{objection}; use Centering or more pairs")
        basis = space.midpoints()
        info = {"ranks": space.ranks, "shared": space.count, "guaranteed": space.guaranteed, "edge": space.edge}
        return (basis, basis), info

    def _reservations(self, info: dict[str, Any], items: int, dim: int) -> list[str]:
        """Return the reasons why this shared space is weaker than it looks."""
        ranks, shared, guaranteed, reservations = info.get("ranks", ()), info["shared"], info.get("guaranteed"), []
        if self.estimator == "published" and min(info["energy_kept"]) < MIN_ENERGY:
            x, y = (f"{100 * fraction:.0f} %" for fraction in info["energy_kept"])
            reservations.append(
                f"the published estimator finds {shared} shared dimensions ({guaranteed} of them guaranteed) of "
                f"{ranks[0]} and {ranks[1]}, which hold {x} and {y} of the energy, too little to search in: use "
                "estimator='significant' or a larger tolerance"
            )
        elif guaranteed:
            reservations.append(
                f"{guaranteed} of the {shared} shared dimensions are guaranteed: any two subspaces of dimensions "
                f"{ranks[0]} and {ranks[1]} share as many of {dim} dimensions"
            )
        if items < dim:
            published = self.estimator == "published"
            effect = "the ranks grow with the rows" if published else "weak directions are missed"
            reservations.append(f"{items:,} items are fewer than the {dim:,} dimensions: {effect}")
        return reservations


def _unrelated_edge(moments: Moments) -> float:
    """Return what the largest singular value of the cross-covariance of unrelated modalities reaches.

    It is the largest of 19 draws of S_x^1/2 Z S_y^1/2 / sqrt(items) with standard normal Z.
    """
    rng = np.random.default_rng(0)
    # The distribution of the singular values depends on the spectra alone, not on the eigenvectors.
    scale_x, scale_y = (np.sqrt(np.clip(np.linalg.eigvalsh(cov), 0, None)) for cov in (moments.cov_x, moments.cov_y))
    shape = len(scale_x), len(scale_y)
    largest = max(_largest_singular_value(scale_x[:, None] * rng.normal(size=shape) * scale_y) for _ in range(DRAWS))
    return largest / math.sqrt(moments.by_item.n_items)


def _largest_singular_value(matrix: np.ndarray, steps: int = 60) -> float:
    """Return the largest singular value by power iteration, because two digits are enough."""
    vector = np.linalg.norm(matrix, axis=0) + 1e-300
    for _ in range(steps):
        vector = matrix.T @ (matrix @ vector)
        vector /= np.linalg.norm(vector) + 1e-300
    return float(np.linalg.norm(matrix @ vector))
