"""The monitor as a callback of the transformers Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.integrations.features import find_features
from isthmus.train.monitor import GapMonitor
from isthmus.utils.errors import import_optional


def trainer_callback(monitor: GapMonitor, /, *, features: Callable[[Any], Any] | None = None) -> Any:
    """Create a `TrainerCallback` that passes the features of every training batch to a monitor.

    A forward hook reads the features from the model's output. A batch that is split for gradient accumulation counts
    as that many steps of the monitor. The numbers of each snapshot go to `log` of the monitor and to
    `state.log_history`.

    Parameters
    ----------
    monitor : GapMonitor
        Monitor to call.
    features : callable or None, default None
        Function of the model's output that returns the two features (n, d), or None to skip this output. By default
        'image_embeds' and 'text_embeds' of CLIP, SigLIP and similar models are used.

    Returns
    -------
    transformers.TrainerCallback
        Callback for `Trainer(callbacks=[...])`.

    Raises
    ------
    InputError
        If transformers is not installed.

    Examples
    --------
    >>> from isthmus.train import GapMonitor
    >>> callback = trainer_callback(GapMonitor(every=100))  # doctest: +SKIP
    >>> trainer = transformers.Trainer(model, callbacks=[callback])  # doctest: +SKIP
    """
    transformers = import_optional("transformers", "", "trainer_callback", package="transformers")

    class GapCallback(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
        hook: Any = None
        snapshot: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.hook = model.register_forward_hook(self.read_output)

        def read_output(self, module: Any, inputs: Any, output: Any) -> None:
            pair = (features or find_features)(output) if module.training else None
            if pair is not None:
                self.snapshot = monitor(*pair) or self.snapshot

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.snapshot is not None:
                state.log_history.append({**self.snapshot.to_dict(), "step": state.global_step})
                self.snapshot = None

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.hook.remove()

    return GapCallback()
