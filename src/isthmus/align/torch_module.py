"""An aligner as a torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.align._maps import Map, NormalizedAffine
from isthmus.utils.errors import InputError

if TYPE_CHECKING:
    from isthmus.align._base import Aligner


def module(aligner: Aligner) -> Any:
    """A `torch.nn.Module` with the heads `x` and `y`, whose maps are float64 buffers that `state_dict` holds.

    Half-precision rows come back as float32, as from `transform`. Rows without a direction give NaN or zero: a module
    does not check its input. Errors: `InputError` when torch is not installed or the aligner is not fitted.

    >>> import isthmus, torch
    >>> pairs = isthmus.demo.load("plain")
    >>> heads = isthmus.align.Centering().fit(pairs).to_torch()
    >>> tuple(heads.x(torch.ones(3, 64)).shape), len(list(heads.parameters()))
    ((3, 64), 0)
    """
    try:
        import torch
    except ImportError:
        raise InputError("to_torch needs torch, which is not installed: pip install 'isthmus[torch]'") from None

    def unit(rows: Any) -> Any:
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return rows / torch.where(norms == 0, torch.ones_like(norms), norms)

    class Head(torch.nn.Module):  # type: ignore[misc]
        """The map of one side: rows (n, d) -> (n, k)."""

        def __init__(self, mapping: Map) -> None:
            super().__init__()
            self.blocks = mapping.widths if isinstance(mapping, NormalizedAffine) else None
            stages = (mapping.first, mapping.second) if isinstance(mapping, NormalizedAffine) else (mapping,)
            for number, affine in enumerate(stages):
                for part in ("matrix", "bias"):
                    value = getattr(affine, part)
                    tensor = None if value is None else torch.from_numpy(np.array(value, dtype=np.float64))
                    self.register_buffer(f"{part}_{number}", tensor)

        def _stage(self, rows: Any, number: int) -> Any:
            matrix, bias = getattr(self, f"matrix_{number}"), getattr(self, f"bias_{number}")
            if matrix is not None:
                rows = rows @ matrix.to(rows.dtype)
            return rows if bias is None else rows + bias.to(rows.dtype)

        def forward(self, rows: Any) -> Any:
            if rows.dtype not in (torch.float32, torch.float64):
                rows = rows.float()
            if aligner.normalize:
                rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
            rows = self._stage(rows, 0)
            if self.blocks is not None:
                rows = torch.cat([unit(part) for part in rows.split(self.blocks, dim=1)], dim=1)
                rows = self._stage(rows, 1)
            return unit(rows) if aligner.normalize and aligner.normalizes_output else rows

    class Heads(torch.nn.Module):  # type: ignore[misc]
        """Both sides: forward(X, Y) -> (aligned X, aligned Y)."""

        def __init__(self) -> None:
            super().__init__()
            self.x, self.y = Head(aligner.map_x_), Head(aligner.map_y_)

        def forward(self, X: Any, Y: Any) -> Any:
            return self.x(X), self.y(Y)

    return Heads()
