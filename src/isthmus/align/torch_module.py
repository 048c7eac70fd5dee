"""The maps of an aligner as a torch module."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.align._maps import Map, NormalizedAffine
from isthmus.utils.errors import import_optional


def torch_module(map_x: Map, map_y: Map, *, normalize_input: bool, normalize_output: bool) -> Any:
    """Return a `torch.nn.Module` with the heads `x` and `y`, whose maps are float64 buffers.

    Half-precision rows come back as float32, as from `transform`. A module does not check its input, so a row of zeros
    gives NaN or zero.
    """
    torch = import_optional("torch", "torch", "to_torch")

    def unit_rows(rows: Any) -> Any:
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return rows / torch.where(norms == 0, torch.ones_like(norms), norms)

    class Head(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Map the rows (n, d) of one modality to (n, k)."""

        def __init__(self, mapping: Map) -> None:
            super().__init__()
            self.widths = mapping.widths if isinstance(mapping, NormalizedAffine) else None
            stages = (mapping.first, mapping.second) if isinstance(mapping, NormalizedAffine) else (mapping,)
            for number, affine in enumerate(stages):
                for name in ("matrix", "bias"):
                    value = getattr(affine, name)
                    tensor = None if value is None else torch.from_numpy(np.array(value, dtype=np.float64))
                    self.register_buffer(f"{name}_{number}", tensor)

        def _stage(self, rows: Any, number: int) -> Any:
            matrix, bias = getattr(self, f"matrix_{number}"), getattr(self, f"bias_{number}")
            if matrix is not None:
                rows = rows @ matrix.to(rows.dtype)
            return rows if bias is None else rows + bias.to(rows.dtype)

        def forward(self, rows: Any) -> Any:
            if rows.dtype not in (torch.float32, torch.float64):
                rows = rows.float()
            if normalize_input:
                rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
            rows = self._stage(rows, 0)
            if self.widths is not None:
                rows = torch.cat([unit_rows(block) for block in rows.split(self.widths, dim=1)], dim=1)
                rows = self._stage(rows, 1)
            return unit_rows(rows) if normalize_output else rows

    class Heads(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Map the rows of both modalities: forward(X, Y) -> (aligned X, aligned Y)."""

        def __init__(self) -> None:
            super().__init__()
            self.x, self.y = Head(map_x), Head(map_y)

        def forward(self, X: Any, Y: Any) -> Any:
            return self.x(X), self.y(Y)

    return Heads()
