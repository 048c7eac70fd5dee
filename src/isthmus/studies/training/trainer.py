"""Training one dual encoder and measuring it on the way."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.data.demo.captions import NEUTRAL, compose_captions
from isthmus.studies import demo_training as demo
from isthmus.studies.training.encoders import DualEncoder
from isthmus.studies.training.measures import measured
from isthmus.studies.training.objectives import Objective
from isthmus.studies.training.settings import Setting

#: Shares of the training after which the encoders are measured.
STOPS = (0.0, 0.05, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Run:
    """A trained setting: `curve` holds what was measured on the held-out pairs, by epoch, the last one the result.

    `loss` is the mean of the training loss over the last epoch (both directions averaged, without the penalty that
    holds the mean lengths), `seconds` the time that training took, measuring not counted.
    """

    setting: Setting
    curve: list[dict[str, float | None]]
    loss: float
    seconds: float

    @property
    def end(self) -> dict[str, float | None]:
        """What was measured after the last epoch."""
        return self.curve[-1]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Run:
        """The inverse of `to_dict`."""
        return cls(**{**values, "setting": Setting(**values["setting"])})


@dataclass(frozen=True, eq=False)
class Data:
    """The digits as tensors: pictures (n, 64), captions (n, 128), labels (n,), and the rows of training and test."""

    pictures: Tensor
    captions: Tensor
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray


@functools.lru_cache(maxsize=16)
def digits(seed: int, caption_dropout: int = 0) -> Data:
    """The pairs of one split; captions leave out the first `caption_dropout` attributes."""
    loaded = demo.load_digits(seed=seed)
    captions = loaded.captions
    if caption_dropout:
        captions = compose_captions(loaded.pixels, loaded.labels, seed=seed, dropped=list(NEUTRAL)[:caption_dropout])
    return Data(
        torch.from_numpy(loaded.pixels.reshape(len(loaded.pixels), -1)).float(),
        torch.from_numpy(demo.hash_captions(captions)).float(),
        loaded.labels,
        np.flatnonzero(loaded.train),
        np.flatnonzero(~loaded.train),
    )


def train(setting: Setting, /, *, watch: Callable[[Tensor, Tensor], Any] | None = None) -> Run:
    """Train the setting on its 1,200 pairs and measure it on the 597 others.

    `watch`, such as a `GapMonitor`, is called with the features of every step. The recipe is that of the demonstration
    runs (AdamW, batches of 256, rate falling along a half cosine) in float32.
    """
    data = digits(setting.seed, setting.caption_dropout)
    encoder = DualEncoder(setting)
    objective = Objective(setting, steps=setting.epochs * -(-len(data.train) // demo.BATCH))
    groups = [
        {"params": list(encoder.parameters()), "rate": demo.LEARNING_RATE},
        {"params": list(objective.parameters()), "rate": objective.rate * demo.LEARNING_RATE, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=demo.LEARNING_RATE, fused=True)
    order = np.random.default_rng([setting.seed, 4])
    partners = _partners(setting, data.train)
    stops = {round(share * setting.epochs) for share in STOPS}
    found: list[dict[str, float | None]] = []
    losses, seconds = [], 0.0
    for epoch in range(setting.epochs + 1):
        if epoch in stops:
            found.append({"epoch": float(epoch), "temperature": objective.now, **_measure(encoder, data)})
        if epoch == setting.epochs:
            break
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1 + np.cos(np.pi * epoch / setting.epochs)) / 2
        losses = _epoch(encoder, objective, optimizer, data, demo.random_order(order, len(data.train)), partners, watch)
        seconds += time.perf_counter() - start
    return Run(setting, found, float(np.mean(losses)), seconds)


def _epoch(
    encoder: DualEncoder,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    data: Data,
    order: np.ndarray,
    partners: np.ndarray,
    watch: Callable[[Tensor, Tensor], Any] | None,
) -> list[float]:
    """One pass over the training pairs; the loss of each batch."""
    losses = []
    for start in range(0, len(order), demo.BATCH):
        batch = order[start : start + demo.BATCH]
        captions = data.captions[partners[batch]]
        x, y = encoder(data.pictures[data.train[batch]], captions)
        value = objective(x, y, captions)  # their n-grams are unit rows, and stand for what the items mean
        optimizer.zero_grad()
        (value + encoder.penalty(x, y)).backward()
        optimizer.step()
        objective.step()
        if watch is not None:
            watch(x, y)
        losses.append(value.detach())
    return [float(value) for value in losses]


def _partners(setting: Setting, train: np.ndarray) -> np.ndarray:
    """The row of the caption that each training picture is paired with."""
    partners = train.copy()
    generator = np.random.default_rng([setting.seed, 7])
    dealt = demo.random_order(generator, len(train))[: round(setting.shuffled_fraction * len(train))]
    partners[dealt] = train[np.roll(dealt, 1)]  # in a circle: nobody keeps their own
    return partners


def _measure(encoder: DualEncoder, data: Data) -> dict[str, float | None]:
    with torch.no_grad():
        x, y = (side.double().numpy() for side in encoder(data.pictures, data.captions))
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    fitting, testing = ((x[rows], y[rows], data.labels[rows]) for rows in (data.train, data.test))
    return measured(fitting, testing, shared=encoder.shared, axes=encoder.axes)
