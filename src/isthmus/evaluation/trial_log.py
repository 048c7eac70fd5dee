"""The journal of a comparison: its finished cells."""

from __future__ import annotations

import os
from typing import Any

from isthmus.evaluation.table import Cell
from isthmus.utils.journal import Journal


class Cells(Journal):
    """Finished cells at `path` by key; see `Journal`."""

    def __init__(self, path: str | os.PathLike[str], run: dict[str, Any]):
        super().__init__(path, "compare", run)
        self.cells = {cell.key: cell for cell in map(Cell.from_dict, self.lines)}

    def keep(self, cell: Cell) -> None:
        """Keep `cell` and write its line at once."""
        self.cells[cell.key] = cell
        self.add(cell.to_dict())
