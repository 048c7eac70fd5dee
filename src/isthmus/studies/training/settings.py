"""Setting of one training run: everything that determines its result."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from isthmus.data.demo.captions import NEUTRAL
from isthmus.studies.demo_training import FEATURES
from isthmus.utils.errors import InputError, unknown_name

#: Constraints on the rows of the two encoders.
REGIMES = {
    "free": "nothing is imposed",
    "affine": "a fixed axis for each modality beside a shared space that both fill",
    "subspace": "each modality lies in a subspace of its own, and the two share all directions but one",
    "mean_length_penalty": "two subspaces, and a penalty that holds the length of both means",
}
#: Rows of the affine regime are sqrt(1 - RADIUS^2) axis + RADIUS u with unit u in the shared space.
RADIUS = 0.7
#: Length of the means that the penalty of the regime 'mean_length_penalty' prescribes, and its weight.
TARGET_LENGTH, PENALTY_WEIGHT = 0.5, 10.0


@dataclass(frozen=True)
class Setting:
    """Describe how one dual encoder is trained.

    Parameters
    ----------
    loss : str, default "InfoNCE"
        Name in `isthmus.train.registry()`. A term is added to InfoNCE at the weight of its source.
    temperature : str, default "0.07"
        Key of `TEMPERATURES`.
    weight, k, estimator : float, int and str
        Options of `SharedSpaceAlignment`. 0 and '' stand for its defaults.
    regime : str, default "free"
        Key of `REGIMES`.
    rank : int or None, default None
        Number of dimensions of each modality, without the fixed axis of the affine regime. None means all.
    angle : float, default 0.0
        Degrees between the two axes, or between the two directions that the subspaces do not share.
    epochs : int, default 60
        Passes over the 1,200 training pairs.
    shuffled_fraction : float, default 0.0
        Fraction of the training captions that are permuted among themselves.
    caption_dropout : int, default 0
        Number of attributes that captions leave out, from 0 to 4 (the digit alone).
    initial_cone_angle : float or None, default None
        Degrees between two narrow cones in which the encoders start. None keeps the random initialisation.
    seed : int, default 0
        Seed of the weights, the order, the split and the subspaces.

    Raises
    ------
    InputError
        If a value is unknown or out of range.

    Examples
    --------
    >>> Setting(temperature="learned", seed=1).key
    '{"temperature": "learned", "seed": 1}'
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
                f"regime {self.regime!r} with rank {self.rank}: give a rank with every regime except 'free'"
            )
        max_rank = FEATURES - 2 if self.regime == "affine" else FEATURES - 1
        if self.rank is not None and not 2 <= self.rank <= max_rank:
            raise InputError(f"rank {self.rank}, expected 2 to {max_rank} of {FEATURES} dimensions")
        if not 0 <= self.angle <= 180:
            raise InputError(f"angle {self.angle:g}, expected 0 to 180 degrees")
        if not 0 <= self.shuffled_fraction <= 1:
            raise InputError(f"shuffled_fraction={self.shuffled_fraction:g}, expected a fraction from 0 to 1")
        if not 0 <= self.caption_dropout <= len(NEUTRAL):
            raise InputError(f"caption_dropout={self.caption_dropout}, expected 0 to {len(NEUTRAL)} attributes")

    @property
    def label(self) -> str:
        """Loss and the values that differ from their defaults, in words.

        >>> Setting(regime="affine", rank=16, angle=30, seed=1).label
        'InfoNCE, affine, rank 16, angle 30, seed 1'
        """
        changed = {f.name: getattr(self, f.name) for f in fields(self)[1:-1] if getattr(self, f.name) != f.default}
        words = [str(value) if name == "regime" else f"{name} {value}" for name, value in changed.items()]
        return ", ".join([self.loss, *words, f"seed {self.seed}"]).replace("_", " ")

    @property
    def key(self) -> str:
        """Setting as one line of JSON, without values at their defaults."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({f.name: values[f.name] for f in fields(self) if values[f.name] != f.default})
