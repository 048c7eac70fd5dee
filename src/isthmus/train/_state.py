"""What training leaves in a module and a checkpoint must bring back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class DynamicBuffersMixin(nn.Module):  # type: ignore[misc]
    """A module whose buffers take the shapes that are loaded: they depend on data that a fresh one has not seen."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, buffer in list(self.named_buffers(recurse=False)):
            if prefix + name in state:
                setattr(self, name, torch.empty_like(state[prefix + name], device=buffer.device))
        super()._load_from_state_dict(state, prefix, *rest)


class StepCounterMixin(nn.Module):  # type: ignore[misc]
    """A module that counts the training steps it has seen in `steps`, an int: reading it waits for no device."""

    steps: int = 0

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Tensor) -> None:
        self.steps = int(state)
