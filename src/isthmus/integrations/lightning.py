"""The monitor as a callback of Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.integrations import needed
from isthmus.integrations.features import features_in
from isthmus.train.monitor import GapMonitor
from isthmus.utils.errors import InputError


def lightning_callback(monitor: GapMonitor, /, *, features: Callable[[Any, Any, Any], Any] | None = None) -> Any:
    """A `lightning.Callback` that shows every training batch to `monitor` and logs its readings with `log_dict`.

    `training_step` returns a dictionary with the loss and both features under names such as 'image_features' and
    'text_features'; or `features(module, outputs, batch)` returns the two (n, d). Readings reach the trainer's logger,
    so the monitor's own `log` is best left alone. Errors: `InputError` without lightning or without features.
    """
    lightning = needed("lightning", "lightning_callback")

    class GapCallback(lightning.Callback):  # type: ignore[misc,name-defined]
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            found = features_in(outputs) if features is None else features(pl_module, outputs, batch)
            if found is None:
                raise InputError(
                    "training_step returned no features: return a dictionary with 'loss', 'image_features' and "
                    "'text_features', or give lightning_callback features="
                )
            reading = monitor(*found)
            if reading is not None:
                # Every process has the reading of all pairs: nothing is left to reduce.
                pl_module.log_dict(reading.to_dict(), sync_dist=False, batch_size=1)

    return GapCallback()
