"""The monitor as a callback of the transformers Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.integrations import needed
from isthmus.integrations.features import features_in
from isthmus.train.monitor import GapMonitor


def trainer_callback(monitor: GapMonitor, /, *, features: Callable[[Any], Any] | None = None) -> Any:
    """A `TrainerCallback` that shows the features of every training batch to `monitor`.

    A hook reads them off the model's output: 'image_embeds' and 'text_embeds' of CLIP, SigLIP and their kin, or what
    `features(output)` returns (None: not this output). A batch that is split for gradient accumulation counts as that
    many steps of the monitor. Readings go to the monitor's `log` and into `state.log_history`.
    Errors: `InputError` without transformers.
    """
    transformers = needed("transformers", "trainer_callback")

    class GapCallback(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
        hook: Any = None
        reading: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.hook = model.register_forward_hook(self.seen)

        def seen(self, module: Any, inputs: Any, output: Any) -> None:
            found = (features or features_in)(output) if module.training else None
            if found is not None:
                self.reading = monitor(*found) or self.reading

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.reading is not None:
                state.log_history.append({**self.reading.to_dict(), "step": state.global_step})
                self.reading = None

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.hook.remove()

    return GapCallback()
