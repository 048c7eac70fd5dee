"""The monitor as a callback of Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.integrations.features import find_features
from isthmus.train.monitor import GapMonitor
from isthmus.utils.errors import InputError, import_optional


def lightning_callback(monitor: GapMonitor, /, *, features: Callable[[Any, Any, Any], Any] | None = None) -> Any:
    """Create a Lightning callback that passes the features of every training batch to a monitor.

    The numbers of each snapshot go to `log_dict` and thus to the logger of the trainer, so leave `log` of the monitor
    at its default.

    Parameters
    ----------
    monitor : GapMonitor
        Monitor to call.
    features : callable or None, default None
        Function of (module, outputs, batch) that returns the two features (n, d). By default `training_step` must
        return a dictionary with the loss and both features under names such as 'image_features' and 'text_features'.

    Returns
    -------
    lightning.Callback
        Callback for `Trainer(callbacks=[...])`.

    Raises
    ------
    InputError
        If lightning is not installed, or during training if there are no features.

    Examples
    --------
    >>> from isthmus.train import GapMonitor
    >>> callback = lightning_callback(GapMonitor(every=100))  # doctest: +SKIP
    >>> trainer = lightning.Trainer(callbacks=[callback])  # doctest: +SKIP
    """
    lightning = import_optional("lightning", "", "lightning_callback", package="lightning")

    class GapCallback(lightning.Callback):  # type: ignore[misc,name-defined]
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            pair = find_features(outputs) if features is None else features(pl_module, outputs, batch)
            if pair is None:
                raise InputError(
                    "training_step returned no features: return a dictionary with 'loss', 'image_features' and "
                    "'text_features', or give lightning_callback features="
                )
            snapshot = monitor(*pair)
            if snapshot is not None:
                # Every process has the snapshot of all pairs, so there is nothing to reduce.
                pl_module.log_dict(snapshot.to_dict(), sync_dist=False, batch_size=1)

    return GapCallback()
