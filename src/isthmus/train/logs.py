"""Where readings go: TensorBoard, Weights & Biases, or a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from isthmus.utils.errors import InputError

#: called with (name -> number, step)
Log = Callable[[Mapping[str, float], int], None]


def make_logger(target: Any = None, /) -> Log:
    """A function that writes numbers to `target`.

    `target` is a TensorBoard `SummaryWriter` (anything with `add_scalar`), a Weights & Biases run (anything with
    `log`), a Lightning logger (`log_metrics`), a function of (numbers, step), or None: then a Weights & Biases run that
    is active at that moment gets them, and otherwise nobody. No library is loaded here.
    Errors: `InputError` for anything else.

    >>> make_logger(lambda numbers, step: print(step, dict(numbers)))({"gap/angle": 30.0}, 5)
    5 {'gap/angle': 30.0}
    """
    if target is None:
        return _active_run
    if hasattr(target, "add_scalar"):
        return lambda numbers, step: _scalars(target, numbers, step)
    if hasattr(target, "log_metrics"):
        return lambda numbers, step: target.log_metrics(dict(numbers), step=step)
    if callable(getattr(target, "log", None)):
        return lambda numbers, step: _run(target, numbers, step)
    if callable(target):
        return target
    raise InputError(
        f"log={target!r} cannot be logged to: give a SummaryWriter, a Weights & Biases run, a Lightning logger or a "
        "function of (numbers, step)"
    )


def _scalars(writer: Any, numbers: Mapping[str, float], step: int) -> None:
    for name, value in numbers.items():
        writer.add_scalar(name, value, step)


def _run(run: Any, numbers: Mapping[str, float], step: int) -> None:
    # Its own count of steps is the training loop's: a second one would be refused where it runs behind.
    run.log({**numbers, "gap/step": step})


def _active_run(numbers: Mapping[str, float], step: int) -> None:
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is not None:
        _run(run, numbers, step)
