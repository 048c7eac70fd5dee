"""One training run of the causal experiment: everything that decides its result, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from isthmus.data.demo.captions import NEUTRAL
from isthmus.studies.demo_training import FEATURES
from isthmus.utils.errors import InputError, unknown_name

#: What the rows of the two encoders are held to.
REGIMES = {
    "free": "nothing is imposed",
    "affine": "a fixed axis for each side beside a shared space that both fill",
    "subspace": "each side lies in a subspace of its own; the two share all directions but one",
    "mean_length_penalty": "two subspaces, and a penalty that holds the length of both means",
}
#: The axes of the affine regime carry this much: rows are sqrt(1 - RADIUS^2) axis + RADIUS u.
RADIUS = 0.7
#: The length that the penalty of the 'mean length' regime prescribes, and its weight.
LENGTH, STRENGTH = 0.5, 10.0


@dataclass(frozen=True)
class Setting:
    """How one dual encoder is trained.

    Attributes
    ----------
    loss : a name of `isthmus.train.registry()`; a term is added to InfoNCE at the weight that its source gives
    temperature : one of `TEMPERATURES`
    weight, k, estimator : options of `SharedSpaceAlignment`; 0 and '': its own defaults
    regime : one of `REGIMES`
    rank : dimensions that each side may use (the fixed axis of the affine regime not counted); None: all
    angle : degrees between the two axes, or between the two directions that the subspaces do not share
    epochs : passes over the 1,200 training pairs
    mismatched : share of the training captions that are dealt out anew among themselves
    dropped : attributes that captions leave out, 0 (none) to 4 (they say the digit alone)
    cone : degrees between two narrow cones that the encoders start in; None: where random weights put them
    seed : of the weights, the order, the split and the frames
    """

    loss: str = "InfoNCE"
    temperature: str = "0.07"
    weight: float = 0.0
    k: int = 0
    estimator: str = ""
    regime: str = "free"
    rank: int | None = None
    angle: float = 0.0
    epochs: int = 60
    shuffled_fraction: float = 0.0
    caption_dropout: int = 0
    initial_cone_angle: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.regime not in REGIMES:
            raise unknown_name("regime", self.regime, REGIMES)
        if (self.rank is None) != (self.regime == "free"):
            raise InputError(
                f"regime {self.regime!r} with rank {self.rank}: a rank is given if and only if one is imposed"
            )
        most = FEATURES - 2 if self.regime == "affine" else FEATURES - 1
        if self.rank is not None and not 2 <= self.rank <= most:
            raise InputError(f"rank {self.rank}, expected 2 to {most} of {FEATURES} dimensions")
        if not 0 <= self.angle <= 180:
            raise InputError(f"angle {self.angle:g}, expected 0 to 180 degrees")
        if not 0 <= self.shuffled_fraction <= 1:
            raise InputError(f"shuffled_fraction={self.shuffled_fraction:g}, expected a share from 0 to 1")
        if not 0 <= self.caption_dropout <= len(NEUTRAL):
            raise InputError(f"caption_dropout={self.caption_dropout}, expected 0 to {len(NEUTRAL)} attributes")

    @property
    def key(self) -> str:
        """The setting as one line of JSON; what stands at its default is left out."""
        return json.dumps({f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default})

    @property
    def without_seed(self) -> tuple[Any, ...]:
        """The same for all seeds of one setting."""
        return tuple(v for name, v in asdict(self).items() if name != "seed")
