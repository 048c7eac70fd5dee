"""Loggers of the numbers of snapshots: TensorBoard, Weights & Biases, Lightning, or a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from isthmus.utils.errors import InputError

#: Function of (numbers by name, step).
Logger = Callable[[Mapping[str, float], int], None]


def make_logger(target: Any = None, /) -> Logger:
    """Return a function that writes numbers to `target`. No library is imported.

    Parameters
    ----------
    target : object or None, default None
        A TensorBoard `SummaryWriter` (an object with `add_scalar`), a Lightning logger (`log_metrics`), a Weights &
        Biases run (`log`), or a function of (numbers, step). If None, numbers go to the active Weights & Biases run.
        They are dropped if there is none.

    Returns
    -------
    callable
        Function of (numbers by name, step).

    Raises
    ------
    InputError
        If `target` is none of these.

    Examples
    --------
    >>> make_logger(lambda numbers, step: print(step, dict(numbers)))({"gap/angle": 30.0}, 5)
    5 {'gap/angle': 30.0}
    """
    if target is None:
        return _log_to_active_run
    if hasattr(target, "add_scalar"):
        return lambda numbers, step: _add_scalars(target, numbers, step)
    if hasattr(target, "log_metrics"):
        return lambda numbers, step: target.log_metrics(dict(numbers), step=step)
    if callable(getattr(target, "log", None)):
        return lambda numbers, step: _log_to_run(target, numbers, step)
    if callable(target):
        return target
    raise InputError(
        f"log={target!r} cannot be logged to: give a SummaryWriter, a Weights & Biases run, a Lightning logger or a "
        "function of (numbers, step)"
    )


def _add_scalars(writer: Any, numbers: Mapping[str, float], step: int) -> None:
    for name, value in numbers.items():
        writer.add_scalar(name, value, step)


def _log_to_run(run: Any, numbers: Mapping[str, float], step: int) -> None:
    # Weights & Biases requires monotone steps, so the monitor's step is logged as a value.
    run.log({**numbers, "gap/step": step})


def _log_to_active_run(numbers: Mapping[str, float], step: int) -> None:
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is not None:
        _log_to_run(run, numbers, step)
