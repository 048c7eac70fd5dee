"""Mixins for the state that a module collects during training and stores in checkpoints."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class DynamicBuffersMixin(nn.Module):  # type: ignore[misc]
    """Load buffers of any shape.

    Their shapes depend on data that a new module has not seen, such as the width of the features.
    """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, buffer in list(self.named_buffers(recurse=False)):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *args)


class StepCounterMixin(nn.Module):  # type: ignore[misc]
    """Count training steps in `steps`, which checkpoints store.

    The counter is an int, so that reading it does not synchronise with the device.
    """

    steps: int = 0

    def get_extra_state(self) -> Tensor:
        """Return the counter for `state_dict`."""
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the counter from `state_dict`."""
        self.steps = int(state)
