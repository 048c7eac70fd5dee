"""Alignment inside the space that both sides share, without any term on the gap."""

from __future__ import annotations

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
from isthmus.utils.errors import InputError, unknown_name


@loss(source="our reading of the sequel of Yi, Douady and Chen 2025, arXiv 2510.03268 (ICML 2026)", standalone=True)
class SharedSpaceAlignment(Loss, DynamicBuffersMixin, StepCounterMixin):
    """`base` + w * InfoNCE of the projections onto the shared space, x -> unit(B'x), y -> unit(B'y).

    This is our reading of the method that the sequel of the paper names: its abstract says that alignment is improved
    inside the shared space and that the gap is not optimised; the details are not public. B (d, at most `k`) is
    orthonormal and comes from moments of the recent batches (`RunningMoments`, `decay`; rows of all processes). It is
    estimated anew every `every` steps, and no gradient passes through it. `estimator`: 'overlap' (where the significant
    subspaces meet, the shared space of the paper; it does not look at the pairing), 'cross_covariance' (where partners
    covary), 'cca', 'joint_pca' (a control that does not ask what is shared). `k=None` leaves the number of directions
    to the estimator. The weight w grows from 0 to `weight` over `warmup` steps, since the first moments say little, and
    is 0 while nothing shared is found. InfoNCE is the mean of both directions at the same `logit_scale`. `base` is
    `InfoNCE()` if not given; `alone` leaves it out.

    In eval mode nothing is updated. `basis` (d, k) and the moments are buffers that checkpoints hold. Keys: those of
    `base` and `shared_space_loss`. Errors: `InputError` for an unknown estimator, a negative weight or warmup, k or
    every below 1.

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
        """InfoNCE of the projections, 0 while there is no basis."""
        if self.basis.shape[1] == 0:
            return 0 * batch.scale
        basis = self.basis.to(batch.x.dtype)
        x, y = functional.normalize(batch.x @ basis), functional.normalize(batch.y @ basis)
        if batch.world_size == 1:
            return info_nce(batch, x, y, x, y) / 2
        everyone = functional.normalize(batch.all_x @ basis), functional.normalize(batch.all_y @ basis)
        return info_nce(batch, x, y, *everyone) / 2

    def _weight(self) -> float:
        return self.weight * min(1.0, self.steps / self.warmup) if self.warmup else self.weight

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _update(self, batch: Batch) -> None:
        self.moments.update(batch)
        if self.steps % self.every == 0:
            self.basis = self._estimate(batch)
        self.steps += 1

    def _estimate(self, batch: Batch) -> Tensor:
        found = torch.zeros(batch.x.shape[1], 0)
        if batch.rank == 0:
            cov_x, cov_y, cov_xy = (to_numpy(part) for part in self.moments.covariances)
            basis = ESTIMATORS[self.estimator](cov_x, cov_y, cov_xy, self.moments.n_effective, self.k)
            found = torch.from_numpy(basis.copy())
        if batch.world_size > 1:
            # One process decides: others might round a borderline case differently.
            columns = torch.tensor(found.shape[1], device=batch.x.device)
            dist.broadcast(columns, 0)
            found = found.new_zeros(len(found), int(columns)) if batch.rank else found
            found = found.to(batch.x)
            dist.broadcast(found, 0)
        return found.to(batch.x)
