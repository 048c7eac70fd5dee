"""Training of one dual encoder, with measurements on the way."""

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
from isthmus.studies.training.measures import measure_held_out
from isthmus.studies.training.objectives import Objective
from isthmus.studies.training.settings import Setting

#: Fractions of the training after which the encoders are measured.
MEASURED_FRACTIONS = (0.0, 0.05, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class TrainingRun:
    """Hold the measurements of a trained setting.

    Parameters
    ----------
    setting : Setting
        How the encoder was trained.
    curve : list of dict
        Measures on the held-out pairs by epoch. The last entry is the result.
    loss : float
        Mean training loss of the last epoch, without the penalty on the mean lengths. Both directions are averaged.
    seconds : float
        Duration of the training without the measurements.

    Examples
    --------
    >>> run = TrainingRun(Setting(), [{"epoch": 0.0, "R@1": 0.0}, {"epoch": 60.0, "R@1": 0.4}], 1.5, 2.0)
    >>> run.end["R@1"]
    0.4
    """

    setting: Setting
    curve: list[dict[str, float | None]]
    loss: float
    seconds: float

    @property
    def end(self) -> dict[str, float | None]:
        """Measures after the last epoch."""
        return self.curve[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values.

        Returns
        -------
        dict
            Fields by name.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingRun:
        """Create a run from the result of `to_dict`.

        Parameters
        ----------
        values : dict
            Fields by name.

        Returns
        -------
        TrainingRun
            The run.
        """
        return cls(**{**values, "setting": Setting(**values["setting"])})


@dataclass(frozen=True, eq=False)
class DigitTensors:
    """Tensors of one split: pictures (n, 64), captions (n, 128), labels (n,), rows of training and test pairs."""

    pictures: Tensor
    captions: Tensor
    labels: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray


@functools.lru_cache(maxsize=16)
def load_split(seed: int, caption_dropout: int = 0) -> DigitTensors:
    """Return the pairs of one split. Captions leave out the first `caption_dropout` attributes."""
    digits = demo.load_digits(seed=seed)
    captions = digits.captions
    if caption_dropout:
        dropped = list(NEUTRAL)[:caption_dropout]
        captions = compose_captions(digits.pixels, digits.labels, seed=seed, dropped=dropped)
    return DigitTensors(
        torch.from_numpy(digits.pixels.reshape(len(digits.pixels), -1)).float(),
        torch.from_numpy(demo.hash_captions(captions)).float(),
        digits.labels,
        np.flatnonzero(digits.train),
        np.flatnonzero(~digits.train),
    )


def train_setting(
    setting: Setting,
    /,
    *,
    monitor: Callable[[Tensor, Tensor], Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> TrainingRun:
    """Train a setting on its 1,200 pairs and measure it on the 597 others.

    The recipe is that of the demonstration embeddings (AdamW, batches of 256, learning rate on half a cosine) in
    float32.

    Parameters
    ----------
    setting : Setting
        How to train.
    monitor : callable or None, default None
        Function of the features of every step, such as a `GapMonitor`.
    progress : callable or None, default None
        Function of the number of finished epochs, called after each one.

    Returns
    -------
    TrainingRun
        Measures on the way and at the end.

    Examples
    --------
    >>> train_setting(Setting(epochs=1)).curve[0]["epoch"]
    0.0
    """
    split = load_split(setting.seed, setting.caption_dropout)
    encoder = DualEncoder(setting)
    objective = Objective(setting, steps=setting.epochs * -(-len(split.train_rows) // demo.BATCH))
    groups = [
        {"params": list(encoder.parameters()), "max_lr": demo.LEARNING_RATE},
        {
            "params": list(objective.parameters()),
            "max_lr": objective.lr_factor * demo.LEARNING_RATE,
            "weight_decay": 0.0,
        },
    ]
    optimizer = torch.optim.AdamW(groups, lr=demo.LEARNING_RATE, fused=True)
    order_generator = np.random.default_rng([setting.seed, 4])
    caption_rows = assign_captions(setting, split.train_rows)
    measured_epochs = {round(fraction * setting.epochs) for fraction in MEASURED_FRACTIONS}
    curve: list[dict[str, float | None]] = []
    batch_losses, seconds = [], 0.0
    for epoch in range(setting.epochs + 1):
        if epoch in measured_epochs:
            point = {"epoch": float(epoch), "temperature": objective.temperature}
            curve.append({**point, **_measure(encoder, split)})
        if epoch == setting.epochs:
            break
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = group["max_lr"] * (1 + np.cos(np.pi * epoch / setting.epochs)) / 2
        order = demo.random_order(order_generator, len(split.train_rows))
        batch_losses = _train_epoch(encoder, objective, optimizer, split, order, caption_rows, monitor)
        seconds += time.perf_counter() - start
        if progress is not None:
            progress(epoch + 1)
    return TrainingRun(setting, curve, float(np.mean(batch_losses)), seconds)


def _train_epoch(
    encoder: DualEncoder,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    data: DigitTensors,
    order: np.ndarray,
    caption_rows: np.ndarray,
    monitor: Callable[[Tensor, Tensor], Any] | None,
) -> list[float]:
    """Train on all pairs once and return the loss of each batch."""
    batch_losses = []
    for start in range(0, len(order), demo.BATCH):
        batch = order[start : start + demo.BATCH]
        captions = data.captions[caption_rows[batch]]
        x, y = encoder(data.pictures[data.train_rows[batch]], captions)
        loss = objective(x, y, captions)  # the n-grams are unit rows whose products are similarities of captions
        optimizer.zero_grad()
        (loss + encoder.penalty(x, y)).backward()
        optimizer.step()
        objective.step()
        if monitor is not None:
            monitor(x, y)
        batch_losses.append(loss.detach())
    return [float(loss) for loss in batch_losses]


def assign_captions(setting: Setting, train_rows: np.ndarray) -> np.ndarray:
    """Return the row of the caption of each training picture, for a fraction of them that of another picture."""
    caption_rows = train_rows.copy()
    generator = np.random.default_rng([setting.seed, 7])
    order = demo.random_order(generator, len(train_rows))
    shuffled = order[: round(setting.shuffled_fraction * len(train_rows))]
    caption_rows[shuffled] = train_rows[np.roll(shuffled, 1)]  # a cycle, so that no picture keeps its caption
    return caption_rows


def _measure(encoder: DualEncoder, data: DigitTensors) -> dict[str, float | None]:
    """Encode all pairs and return the measures of the test pairs."""
    with torch.no_grad():
        x, y = (rows.double().numpy() for rows in encoder(data.pictures, data.captions))
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    train_data, test_data = ((x[rows], y[rows], data.labels[rows]) for rows in (data.train_rows, data.test_rows))
    return measure_held_out(train_data, test_data, shared_basis=encoder.shared_basis, axes=encoder.axes)
