"""The two encoders of a run, and what holds their rows in an imposed shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.studies.demo_training import BUCKETS, FEATURES, frame, perceptron
from isthmus.studies.training.settings import LENGTH, RADIUS, STRENGTH, Setting

#: How far apart the first layers' outputs lie from the origin where narrow cones are asked for: the length of the
#: added output, in root mean squares of what the untrained encoder gives.
NARROW = 8.0


@dataclass(frozen=True)
class Shape:
    """Rows z of an encoder, unit (n, r), become offset + z @ basis, unit (n, d)."""

    basis: Tensor | None = None
    offset: Tensor | None = None

    def __call__(self, z: Tensor, /) -> Tensor:
        rows = z if self.basis is None else z @ self.basis
        return rows if self.offset is None else rows + self.offset


class DualEncoder(nn.Module):  # type: ignore[misc]
    """Pictures and captions to unit rows (n, 64), inside the subspaces of the setting.

    `shared` (k, 64) is an orthonormal basis of the directions that both subspaces have, `axes` (2, 64) the one
    direction of each side that the other has not; None where nothing is imposed.
    """

    def __init__(self, setting: Setting):
        super().__init__()
        width = setting.rank or FEATURES
        generators = [np.random.default_rng([setting.seed, stream]) for stream in (2, 3, 5, 6)]
        self.image = perceptron(generators[0], FEATURES, width, dtype=torch.float32)
        self.text = perceptron(generators[1], BUCKETS, width, dtype=torch.float32)
        self.shared: np.ndarray | None = None
        self.axes: np.ndarray | None = None
        self.shapes = (Shape(), Shape())
        if setting.regime != "free":
            affine = setting.regime == "affine"
            self.axes, self.shared = frame(generators[2], width if affine else width - 1, setting.angle)
            self.shapes = tuple(_shape(axis, self.shared, affine) for axis in self.axes)  # type: ignore[assignment]
        self._holds_length = setting.regime == "mean_length_penalty"
        if setting.initial_cone_angle is not None:
            self._start_in_cones(setting.initial_cone_angle, generators[3])

    def forward(self, pictures: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        x, y = (nn.functional.normalize(net(rows)) for net, rows in ((self.image, pictures), (self.text, captions)))
        return self.shapes[0](x), self.shapes[1](y)

    def penalty(self, x: Tensor, y: Tensor) -> Tensor:
        """What the regime adds to the loss: the squared misses of the prescribed length by both means."""
        if not self._holds_length:
            return x.new_zeros(())
        return STRENGTH * sum(((side.mean(0).norm() - LENGTH) ** 2 for side in (x, y)), x.new_zeros(()))

    def _start_in_cones(self, angle: float, generator: np.random.Generator) -> None:
        # A long constant in the last layer's bias: all rows then start near it.
        axes, _ = frame(generator, 1, angle)
        for net, axis in zip((self.image, self.text), axes, strict=True):
            last = net[-1]
            size = float(last.weight.detach().norm()) / last.weight.shape[1] ** 0.5
            with torch.no_grad():
                last.bias.copy_(torch.from_numpy(NARROW * size * axis))


def _shape(axis: np.ndarray, shared: np.ndarray, affine: bool) -> Shape:
    if affine:
        offset = np.sqrt(1 - RADIUS**2) * axis
        return Shape(torch.from_numpy(RADIUS * shared).float(), torch.from_numpy(offset).float())
    return Shape(torch.from_numpy(np.concatenate([shared, axis[None]])).float())
