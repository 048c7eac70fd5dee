"""The two encoders of a run, and the maps that impose a subspace on their rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.studies.demo_training import BUCKETS, FEATURES, perceptron, subspace_frame
from isthmus.studies.training.settings import PENALTY_WEIGHT, RADIUS, TARGET_LENGTH, Setting

#: Length of the bias that creates a narrow cone, relative to the weights of the last layer.
CONE_BIAS = 8.0


@dataclass(frozen=True)
class AffineMap:
    """Map unit rows z (n, r) to unit rows offset + z @ basis (n, d)."""

    basis: Tensor | None = None
    offset: Tensor | None = None

    def __call__(self, z: Tensor, /) -> Tensor:
        rows = z if self.basis is None else z @ self.basis
        return rows if self.offset is None else rows + self.offset


class DualEncoder(nn.Module):  # type: ignore[misc]
    """Encode pictures and captions as unit rows (n, 64) inside the subspaces of the setting.

    `shared_basis` (k, 64) is an orthonormal basis of the directions in both subspaces. `axes` (2, 64) holds the
    direction of each modality that the other lacks. Both are None in the free regime.
    """

    def __init__(self, setting: Setting):
        super().__init__()
        width = setting.rank or FEATURES
        generators = [np.random.default_rng([setting.seed, stream]) for stream in (2, 3, 5, 6)]
        self.image = perceptron(generators[0], FEATURES, width, dtype=torch.float32)
        self.text = perceptron(generators[1], BUCKETS, width, dtype=torch.float32)
        self.shared_basis: np.ndarray | None = None
        self.axes: np.ndarray | None = None
        self.maps = (AffineMap(), AffineMap())
        if setting.regime != "free":
            is_affine = setting.regime == "affine"
            n_shared = width if is_affine else width - 1
            self.axes, self.shared_basis = subspace_frame(generators[2], n_shared, setting.angle)
            image_map, text_map = (_subspace_map(axis, self.shared_basis, is_affine) for axis in self.axes)
            self.maps = (image_map, text_map)
        self._has_penalty = setting.regime == "mean_length_penalty"
        if setting.initial_cone_angle is not None:
            self._start_in_cones(setting.initial_cone_angle, generators[3])

    def forward(self, pictures: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of pictures (n, 64) and captions (n, 128)."""
        x, y = nn.functional.normalize(self.image(pictures)), nn.functional.normalize(self.text(captions))
        return self.maps[0](x), self.maps[1](y)

    def penalty(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the weighted squared deviations of both mean lengths from the target, 0 in other regimes."""
        if not self._has_penalty:
            return x.new_zeros(())
        deviations = ((rows.mean(0).norm() - TARGET_LENGTH) ** 2 for rows in (x, y))
        return PENALTY_WEIGHT * sum(deviations, x.new_zeros(()))

    def _start_in_cones(self, angle: float, generator: np.random.Generator) -> None:
        """Set a long bias of the last layers, so that all rows of a modality start in a narrow cone."""
        axes, _ = subspace_frame(generator, 1, angle)
        for network, axis in zip((self.image, self.text), axes, strict=True):
            last = network[-1]
            scale = float(last.weight.detach().norm()) / last.weight.shape[1] ** 0.5
            with torch.no_grad():
                last.bias.copy_(torch.from_numpy(CONE_BIAS * scale * axis))


def _subspace_map(axis: np.ndarray, shared_basis: np.ndarray, is_affine: bool) -> AffineMap:
    if is_affine:
        offset = np.sqrt(1 - RADIUS**2) * axis
        return AffineMap(torch.from_numpy(RADIUS * shared_basis).float(), torch.from_numpy(offset).float())
    return AffineMap(torch.from_numpy(np.concatenate([shared_basis, axis[None]])).float())
