"""Alignment inside the space that both modalities share, without a term on the gap."""

from __future__ import annotations

import warnings

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from isthmus.compute.arrays import to_numpy
from isthmus.linalg.shared_directions import ESTIMATORS
from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.train._state import DynamicBuffersMixin, StepCounterMixin
from isthmus.train.info_nce import InfoNCE, info_nce
from isthmus.train.running_moments import RunningMoments
from isthmus.utils.errors import InputError, IsthmusWarning, unknown_name


@loss(source="our reading of the sequel of Yi, Douady and Chen 2025, arXiv 2510.03268 (ICML 2026)", standalone=True)
class SharedSpaceAlignment(Loss, DynamicBuffersMixin, StepCounterMixin):
    """Add InfoNCE of the projections onto the estimated shared space to a base loss.

    No term depends on the gap: a shift of one modality along a direction that is not shared leaves the second term
    unchanged. The abstract of the sequel [2]_ says that alignment is improved inside the shared space and that the gap
    is not optimised. We have read the abstract only, so this class is our reading of it.

    Parameters
    ----------
    weight : float, default 1.0
        Final weight w of the second term.
    k : int or None, default None
        Largest number of directions of the shared space. By default the estimator chooses it.
    estimator : {"overlap", "cross_covariance", "cca", "joint_pca"}, default "overlap"
        Estimator of the shared space. 'overlap' takes the directions in which the significant subspaces meet. It is
        the shared space of the paper and ignores the pairing. 'cross_covariance' takes the directions in which
        matching pairs covary, 'cca' the canonical directions. 'joint_pca' is a control that ignores what is shared.
    warmup : int, default 0
        Number of steps in which w grows linearly from 0, because the first moments are noisy.
    every : int, default 20
        Number of steps between two estimates of the shared space.
    decay : float, default 0.99
        Decay of the running moments, see `RunningMoments`.
    base : Loss or None, default None
        First term, `InfoNCE()` by default.
    alone : bool, default False
        Leave out the base loss.

    Attributes
    ----------
    basis : Tensor of shape (d, k)
        Orthonormal basis of the shared space, of shape (d, 0) while nothing shared is found. A buffer.
    moments : RunningMoments
        Moments of the recent batches of all processes. Buffers.

    Raises
    ------
    InputError
        If the estimator is unknown, or a number is out of range.

    Notes
    -----
    L = `base` + w InfoNCE(unit(B'x), unit(B'y)), the mean of both directions at the same `logit_scale`, where B (d, k)
    is the basis. No gradient flows through B, and w = 0 while it is empty. In eval mode nothing is updated. The keys
    are those of `base` and `shared_space_loss`.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.
    .. [2] Yi, Douady and Chen (2026), The Convergent Representation of Contrastive Vision-Language Models: Geometry,
       Modality Gap and Shared Space Alignment, ICML 2026, PMLR v306.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> x = functional.normalize(torch.randn(64, 8) * torch.tensor([3.0, 3.0, 1, 1, 1, 1, 1, 1]))
    >>> loss = SharedSpaceAlignment(k=2, estimator='cca')
    >>> terms = loss(x, x, 10.0, output_dict=True)
    >>> sorted(terms), tuple(loss.basis.shape), round(loss.basis[:2].norm().item() ** 2)
    (['contrastive_loss', 'shared_space_loss'], (8, 2), 2)
    """

    key = "shared_space_loss"
    basis: Tensor

    def __init__(
        self,
        *,
        weight: float = 1.0,
        k: int | None = None,
        estimator: str = "overlap",
        warmup: int = 0,
        every: int = 20,
        decay: float = 0.99,
        base: Loss | None = None,
        alone: bool = False,
    ) -> None:
        super().__init__()
        if estimator not in ESTIMATORS:
            raise unknown_name("estimator", estimator, ESTIMATORS)
        if not 0 <= weight < float("inf") or warmup < 0 or every < 1 or (k is not None and k < 1):
            raise InputError(
                f"weight={weight}, warmup={warmup}, every={every}, k={k}: expected a weight and a number of steps from "
                "0 up, every and k from 1 up"
            )
        self.weight, self.k, self.estimator, self.warmup, self.every = weight, k, estimator, warmup, every
        self.base = None if alone else base or InfoNCE()
        self.moments = RunningMoments(decay)
        self.register_buffer("basis", torch.zeros(1, 0))

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        if self.training:
            self._update(batch)
        terms = {} if self.base is None else self.base.terms(batch)
        shared = self._weight() * self.value(batch)
        terms[self.key] = terms[self.key] + shared if self.key in terms else shared
        return terms

    def value(self, batch: Batch) -> Tensor:
        if self.basis.shape[1] == 0:
            return 0 * batch.scale
        basis = self.basis.to(batch.x.dtype)
        x, y = functional.normalize(batch.x @ basis), functional.normalize(batch.y @ basis)
        if batch.world_size == 1:
            return info_nce(batch, x, y, x, y) / 2
        all_x, all_y = functional.normalize(batch.all_x @ basis), functional.normalize(batch.all_y @ basis)
        return info_nce(batch, x, y, all_x, all_y) / 2

    def _weight(self) -> float:
        """Return the weight of the second term at this step."""
        return self.weight * min(1.0, self.steps / self.warmup) if self.warmup else self.weight

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _update(self, batch: Batch) -> None:
        """Add the batch to the moments and estimate the basis when it is due."""
        self.moments.update(batch)
        if self.steps % self.every == 0:
            self.basis = self._estimate(batch)
        self.steps += 1

    def _estimate(self, batch: Batch) -> Tensor:
        """Return the basis of the shared space, equal on all processes."""
        basis = torch.zeros(batch.x.shape[1], 0)
        if batch.rank == 0:
            cov_x, cov_y, cov_xy = (to_numpy(covariance) for covariance in self.moments.covariances)
            n = self.moments.n_effective
            if all(np.isfinite(cov).all() for cov in (cov_x, cov_y, cov_xy)):
                basis = torch.from_numpy(ESTIMATORS[self.estimator](cov_x, cov_y, cov_xy, n, self.k).copy())
            else:  # on other processes an exception here would leave the broadcast below waiting
                warnings.warn(
                    "features hold NaN or infinite values, so SharedSpaceAlignment finds no shared space from here on; "
                    "load an earlier checkpoint, and lower the learning rate",
                    IsthmusWarning,
                    stacklevel=2,
                )
        if batch.world_size > 1:
            # Rank 0 decides, because other processes could round a borderline case differently.
            n_columns = torch.tensor(basis.shape[1], device=batch.x.device)
            dist.broadcast(n_columns, 0)
            basis = basis.new_zeros(len(basis), int(n_columns)) if batch.rank else basis
            basis = basis.to(batch.x)
            dist.broadcast(basis, 0)
        return basis.to(batch.x)
