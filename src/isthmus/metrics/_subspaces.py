"""The principal subspaces of both modalities and the angles between random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from isthmus.linalg.random_subspaces import random_principal_angles
from isthmus.linalg.shared_directions import EnergySubspaces
from isthmus.metrics._context import MetricContext

#: Pairs of random subspaces behind the nulls of subspaces.
RANDOM_SUBSPACES = 9


class Subspaces(EnergySubspaces):
    """The principal subspaces (uncentred) that hold 99 % of the energy of each modality, as shared work.

    Parameters
    ----------
    basis_x : numpy.ndarray
        Orthonormal basis of the subspace of x, (d, r_x).
    basis_y : numpy.ndarray
        Orthonormal basis of the subspace of y, (d, r_y).

    Examples
    --------
    >>> import isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8))
    >>> context = MetricContext(isthmus.Moments.of(X, Y))
    >>> context.shared(Subspaces).ranks
    (8, 8)
    """

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Self:
        """Return the subspaces of the data.

        Parameters
        ----------
        context : MetricContext
            The data.

        Returns
        -------
        Subspaces
            The two subspaces.
        """
        return cls.of_spectra(context.x.eigen, context.y.eigen)


@dataclass(frozen=True)
class RandomAngles:
    """Principal angles between random subspaces with the ranks of `Subspaces`.

    Parameters
    ----------
    degrees : numpy.ndarray
        Angles in degrees, one row for each pair of random subspaces.

    Examples
    --------
    >>> RandomAngles(np.array([[10.0, 80.0]])).swapped().degrees.tolist()
    [[10.0, 80.0]]
    """

    degrees: np.ndarray

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Self:
        """Draw `RANDOM_SUBSPACES` pairs of subspaces with a fixed seed.

        Parameters
        ----------
        context : MetricContext
            The data.

        Returns
        -------
        RandomAngles
            The angles.
        """
        subspaces = context.shared(Subspaces)
        return cls(random_principal_angles(subspaces.dim, *subspaces.ranks, draws=RANDOM_SUBSPACES, rng=0))

    def swapped(self) -> Self:
        """Return the same angles, which do not depend on the order of the modalities.

        Returns
        -------
        RandomAngles
            This object.
        """
        return self
